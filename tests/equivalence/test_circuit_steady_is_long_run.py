"""Claim: the steady state that is tabulated is where the node goes in time, wherever it starts."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from euthymia.errors import InvalidInputError
from euthymia.mechanism.circuit.simulation import Course, simulate
from euthymia.mechanism.circuit.steady import Parameters, steady
from euthymia.tables import read_table

ROWS = {row["field"]: row for row in read_table("parameters/circuit.csv") if row["set"] == "composed"}
NODE = Parameters(**{field.name: float(ROWS[field.name]["value"]) for field in fields(Parameters)})
GRID = np.linspace(0.0, 1.0, 9)
X, Y = np.meshgrid(GRID, GRID, indexing="ij")
STARTS = {"drug free": None, "silent": (0.0, 0.0), "excited": (0.95, 0.0), "inhibited": (0.05, 0.4)}


def last_second(course: Course) -> Course:
    kept = course.times_ms > course.times_ms[-1] - 1000.0
    return Course(*(values[kept] for values in course))


@pytest.mark.slow
@pytest.mark.parametrize("start", list(STARTS))
def test_mean_of_the_last_second_is_the_steady_state(start: str):
    # the slowest time constant over the square is 0.49 s: 14 s leave exp(-28) of any start
    course = last_second(simulate(X, Y, NODE, duration_ms=15_000.0, step_ms=1.0, start=STARTS[start]))
    right = steady(X, Y, NODE)
    for name in right._fields:
        values = getattr(course, name)
        np.testing.assert_allclose(values.mean(axis=0), getattr(right, name), rtol=1e-8, atol=0)
        # it settles: nothing swings around the mean
        assert np.ptp(values, axis=0).max() <= 1e-8 * values.max(), name


def test_it_also_settles_under_more_inhibition():
    course = simulate(0.1, 0.6, NODE, duration_ms=8000.0, step_ms=1.0, inhibition_gain=1.3, start=(0.6, 0.0))
    right = steady(0.1, 0.6, NODE, inhibition_gain=1.3)
    assert course.pyramidal_rate_Hz[-1] == pytest.approx(right.pyramidal_rate_Hz, rel=1e-8, abs=0)


def test_without_drug_nothing_moves():
    course = simulate(0.0, 0.0, NODE, duration_ms=500.0, step_ms=1.0)
    np.testing.assert_allclose(course.pyramidal_rate_Hz, NODE.resting_rate_Hz, rtol=1e-12, atol=0)


def test_error_of_the_course_falls_with_the_square_of_the_step():
    def at_50_ms(step_ms: float) -> float:
        return float(simulate(0.1, 0.7, NODE, duration_ms=50.0, step_ms=step_ms).s_e[-1])

    right = at_50_ms(1 / 128)
    errors = [abs(at_50_ms(step) - right) for step in (1.0, 0.5, 0.25)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all(orders > 1.8)


@pytest.mark.slow
def test_mean_under_weak_noise_is_the_steady_state():
    steps, runs = 20_000, 16
    normals = np.random.default_rng(3).standard_normal((steps, 2, runs))
    blocks = np.full(runs, 0.1), np.full(runs, 0.6)
    right = steady(*blocks, NODE)
    course = simulate(
        *blocks,
        NODE,
        duration_ms=float(steps),
        step_ms=1.0,
        noise_sd=1e-4,
        normals=normals,
        start=(right.s_e, right.s_i),
    )
    mean = course.pyramidal_rate_Hz.mean(axis=0)
    error = mean.std(ddof=1) / np.sqrt(runs)
    assert error < 0.02
    # 4 standard errors, and 0.01 Hz for what curvature adds at this noise
    assert abs(mean.mean() - right.pyramidal_rate_Hz[0]) < 4 * error + 0.01


def test_same_normals_give_the_same_course_and_noise_moves_it():
    normals = np.random.default_rng(1).standard_normal((50, 2))
    first, again = (
        simulate(0.1, 0.5, NODE, duration_ms=50.0, step_ms=1.0, noise_sd=0.01, normals=normals)
        for _ in range(2)
    )
    assert first.s_e.tobytes() == again.s_e.tobytes()
    assert np.ptp(first.s_e - simulate(0.1, 0.5, NODE, duration_ms=50.0, step_ms=1.0).s_e) > 1e-3
    assert first.s_e.min() >= 0.0
    assert first.s_i.min() >= 0.0


def test_times_run_from_the_start_to_the_end():
    course = simulate([0.1, 0.2], [0.3, 0.4], NODE, duration_ms=10.0, step_ms=0.5)
    np.testing.assert_allclose(course.times_ms, np.linspace(0.0, 10.0, 21), rtol=1e-14, atol=0)
    assert course.s_e.shape == course.interneuron_rate_Hz.shape == (21, 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"step_ms": 2.0}, r"'step_ms' must be above 0 and at most 1\.4 ms"),
        ({"step_ms": 0.0}, "'step_ms' must be above 0"),
        ({"duration_ms": 0.1}, "'duration_ms' must be finite and at least one step"),
        ({"duration_ms": np.inf}, "'duration_ms' must be finite"),
        ({"noise_sd": -1.0}, "'noise_sd' must be 0 or more"),
        ({"noise_sd": 0.1}, r"'normals' must be an array \(10, 2\) of standard normal numbers\. Got none"),
        ({"noise_sd": 0.1, "normals": np.zeros((3, 2))}, r"Got an array \(3, 2\)"),
    ],
)
def test_what_cannot_be_simulated_is_refused(changed: dict[str, float], message: str):
    given = {"duration_ms": 10.0, "step_ms": 1.0, **changed}
    with pytest.raises(InvalidInputError, match=message):
        simulate(0.1, 0.2, NODE, **given)
