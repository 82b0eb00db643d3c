"""Claim: schedules of one's own, steady states and resets give what the same doses written in full give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.registry import INTEGRATED_SETS, REPRESENTATIVES, Combination, largest

from euthymia.dosing.order import Route
from euthymia.model.concentrations import Epoch
from euthymia.model.pk import Given
from euthymia.model.trajectory import Trajectory
from euthymia.population.concentrations import Subject, simulate_subjects

TIMES = np.linspace(0.0, 23.5, 48)
# a metabolite whose clearance changes with time has no steady state
LINEAR = [one for one in REPRESENTATIVES if one.set not in INTEGRATED_SETS]
EACH = pytest.mark.parametrize("combination", LINEAR, ids=str)


def run(
    combination: Combination, epochs: Sequence[Epoch], *, times: np.ndarray = TIMES, days: float = 2.0
) -> Trajectory:
    subject = Subject(label="a", patient=combination.patient, number=5, epochs=tuple(epochs))
    return simulate_subjects(
        [subject], is_random=True, parameters=combination.set, seed=3, times_h=times, days=days
    )


def course(combination: Combination, *starts: float) -> tuple[Given, ...]:
    return tuple(Given(dose) for start in starts for dose in combination.doses(start))


def steady(combination: Combination, interval_h: float, *, start_h: float = 0.0) -> tuple[Given, ...]:
    return tuple(Given(dose, interval_h, start_h) for dose in combination.doses(start_h))


def assert_same(found: Trajectory, right: Trajectory, *, within: float = 1e-11) -> None:
    for name, values in found.values.items():
        off = np.abs(values - right.values[name]) / largest(right.values[name])
        assert off.max() <= within, f"{name}: {off.max():.1e} of the peak"


@EACH
def test_steady_state_equals_a_long_row_of_doses(combination: Combination):
    # 30 days leave nothing of the start: the slowest patient met has a half-life of about half a day
    row = course(combination, *(24.0 * turn for turn in range(-30, 1)))
    assert_same(
        run(combination, [Epoch(0.0, steady(combination, 24.0))]), run(combination, [Epoch(-240.0, row)])
    )


@EACH
def test_after_a_reset_only_later_doses_count(combination: Combination):
    later = run(combination, [Epoch(0.0, course(combination, 0.0)), Epoch(6.0, course(combination, 6.0))])
    alone = run(combination, [Epoch(6.0, course(combination, 6.0))])
    before = run(combination, [Epoch(0.0, course(combination, 0.0))])
    is_later = TIMES >= 6.0
    for name, values in later.values.items():
        assert np.array_equal(values[:, is_later], alone.values[name][:, is_later]), name
        assert np.array_equal(values[:, ~is_later], before.values[name][:, ~is_later]), name


@EACH
def test_area_adds_up_over_a_reset(combination: Combination):
    epochs = [Epoch(0.0, course(combination, 0.0)), Epoch(6.0, course(combination, 6.0))]
    both = run(combination, epochs)
    first = run(combination, epochs[:1], days=0.25)
    second = run(combination, epochs[1:])
    for name, metrics in both.metrics.items():
        area = first.metrics[name].auc_horizon + second.metrics[name].auc_horizon
        np.testing.assert_allclose(metrics.auc_horizon, area, rtol=1e-12)


ORAL = next(one for one in LINEAR if one.set == "composed" and one.route is Route.ORAL)
RELEASE = next(one for one in LINEAR if one.set == "composed" and one.route is Route.ORAL_EXTENDED_RELEASE)


def test_area_to_the_horizon_is_finite_at_steady_state():
    found = run(ORAL, [Epoch(0.0, steady(ORAL, 24.0))], days=1.0)
    assert all(np.all(np.isfinite(metrics.auc_horizon)) for metrics in found.metrics.values())


def test_steady_state_of_a_release_that_outlasts_the_interval():
    row = course(RELEASE, *(8.0 * turn for turn in range(-30, 1)))
    assert_same(run(RELEASE, [Epoch(0.0, steady(RELEASE, 8.0))]), run(RELEASE, [Epoch(-240.0, row)]))
