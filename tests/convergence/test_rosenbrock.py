"""RODAS4 over fixed grids: fitted order, stiff problems, jumps and kinks at grid points."""

from __future__ import annotations

import numpy as np
import pytest

from euthymia.engine.equations import Equations
from euthymia.engine.grid import CLOSEST_H, make_grid
from euthymia.engine.integrate import integrate, quintic
from euthymia.engine.reference_ode import integrate_by_scipy


def nothing(m, state, drive, parameter):
    return {}


def no_drive(times_h, *, is_left):
    return {}, {}


def solve(equations, parameters, initial, drive, grid, times, **options):
    solution = integrate(
        equations,
        parameters,
        initial,
        drive,
        grid_h=np.asarray(grid, float),
        times_h=np.asarray(times, float),
        outputs=None,
        patient_count=1,
        **options,
    )
    return np.array([solution.values[name][0] for name in equations.states])


def fitted_order(steps, errors):
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


# y = cos t + 1/(1 + t), z = sin(y) + t/9 solve this for any stiffness.
KNOWN = Equations(
    states=("y", "z"),
    drives=("g", "target", "slope"),
    parameters=("stiffness",),
    rates=lambda m, s, d, p: {
        "y": d["g"] + s["y"] * (d["target"] - s["y"]),
        "z": d["slope"] - p["stiffness"] * (s["z"] - d["target"] ** 2 * m.tanh(s["y"])) * m.exp(0.1 * s["z"]),
    },
    outputs=nothing,
)


def known(t):
    y, dy = np.cos(t) + 1 / (1 + t), -np.sin(t) - 1 / (1 + t) ** 2
    ddy = -np.cos(t) + 2 / (1 + t) ** 3
    z = y**2 * np.tanh(y)
    dz = (2 * y * np.tanh(y) + y**2 / np.cosh(y) ** 2) * dy
    cosh = 1 / np.cosh(y) ** 2
    ddz = (2 * np.tanh(y) + 4 * y * cosh - 2 * y**2 * cosh * np.tanh(y)) * dy**2
    ddz += (2 * y * np.tanh(y) + y**2 * cosh) * ddy
    return (y, dy, ddy), (z, dz, ddz)


def known_drive(times_h, *, is_left):
    (y, dy, ddy), (_, dz, ddz) = known(times_h)
    return {"g": dy, "target": y, "slope": dz}, {"g": ddy, "target": dy, "slope": ddz}


def known_errors(stiffness, steps, between, **options):
    (y, _, _), (z, _, _) = known(np.zeros(1))
    errors = []
    for count in steps:
        grid = 4.0 * np.linspace(0, 1, count + 1) ** 1.2
        times = grid[:-1] + between * np.diff(grid) if between else grid[1:]
        found = solve(KNOWN, {"stiffness": stiffness}, {"y": y, "z": z}, known_drive, grid, times, **options)
        (y_end, _, _), (z_end, _, _) = known(times)
        errors.append(np.abs(found - [y_end, z_end]).max())
    return errors


@pytest.mark.parametrize("stiffness", [1.0, 20.0])
def test_order_four_on_a_nonlinear_problem_with_drives(stiffness):
    steps = np.array([32, 48, 64, 96, 128]) * (1 if stiffness == 1 else 3)
    order = fitted_order(steps, known_errors(stiffness, steps, 0.0))
    assert 3.8 <= order <= 5.0, order


@pytest.mark.parametrize("between", [0.2, 0.5, 0.9])
def test_values_within_a_step_have_order_four_as_well(between):
    steps = np.array([32, 48, 64, 96, 128])
    order = fitted_order(steps, known_errors(1.0, steps, between))
    assert 3.8 <= order <= 5.0, order


@pytest.mark.parametrize("between", [0.2, 0.5, 0.9])
def test_what_lies_between_grid_points_adds_little_to_the_error_at_them(between):
    (within,), (at,) = (known_errors(1.0, [64], share) for share in (between, 0.0))
    assert within < 1.1 * at


@pytest.mark.slow
@pytest.mark.parametrize("between", [0.0, 0.2, 0.5, 0.9])
def test_the_compiled_march_has_order_four_until_single_precision_ends_it(between):
    steps = np.array([8, 12, 16, 24, 32])
    errors = known_errors(1.0, steps, between, is_compiled=True)
    order = fitted_order(steps, errors)
    assert 3.8 <= order <= 5.0, order
    assert errors[-1] < 2e-5
    (finest,) = known_errors(1.0, [512], between, is_compiled=True)
    assert finest < 1e-6


def test_the_solution_is_continuous_over_grid_points():
    (y, _, _), (z, _, _) = known(np.zeros(1))
    grid = np.linspace(0, 4, 17)
    hair = grid[1:-1, None] + np.array([-1e-12, 0.0, 1e-12])
    found = solve(KNOWN, {"stiffness": 5.0}, {"y": y, "z": z}, known_drive, grid, hair.reshape(-1))
    np.testing.assert_allclose(np.ptp(found.reshape(2, -1, 3), axis=2), 0.0, rtol=0, atol=1e-10)


# --- between grid points ---------------------------------------------------------------------------


def by_quintic(function, slope, start, length, middle, share):
    """Return the polynomial through a function and its slope at start, middle and end."""
    at = start + length * np.array([0.0, middle, 1.0])
    of_changes, of_slopes = quintic(share, middle)
    values, slopes = function(at), length * slope(at)
    return values[0] + of_changes.T @ (values[1:] - values[0]) + of_slopes.T @ slopes


SHARES = np.linspace(0.0, 1.0, 41)
MIDDLES = pytest.mark.parametrize("middle", [0.5, 0.37, 0.8])


@MIDDLES
def test_the_quintic_is_exact_for_polynomials_of_degree_five(middle):
    polynomial = np.polynomial.Polynomial([0.3, -1.0, 0.7, 2.0, -1.5, 0.9])
    found = by_quintic(polynomial, polynomial.deriv(), 0.4, 1.3, middle, SHARES)
    np.testing.assert_allclose(found, polynomial(0.4 + 1.3 * SHARES), rtol=0, atol=1e-12)


@MIDDLES
def test_the_quintic_through_exact_points_has_order_six(middle):
    pairs = np.array([4, 6, 8, 12, 16])
    errors = []
    for count in pairs:
        starts = np.arange(count) * (4.0 / count)
        found = [by_quintic(np.sin, np.cos, start, 4.0 / count, middle, SHARES) for start in starts]
        errors.append(np.abs(found - np.sin(starts[:, None] + SHARES * (4.0 / count))).max())
    order = fitted_order(pairs, errors)
    assert 5.8 <= order <= 6.5, order


# --- jumps and kinks --------------------------------------------------------------------------

PULSED = Equations(
    states=("x",),
    drives=("input",),
    parameters=(),
    rates=lambda m, s, d, p: {"x": d["input"] - s["x"] ** 2},
    outputs=lambda m, s, d, p: {"seen": d["input"] + s["x"]},
)
ON, OFF = 1.0, 2.5


def pulse(times_h, *, is_left):
    """1 from ON to OFF and 0 elsewhere."""
    on = (times_h > ON) | ((times_h == ON) & ~is_left)
    off = (times_h > OFF) | ((times_h == OFF) & ~is_left)
    return {"input": (on & ~off).astype(float)}, {"input": np.zeros(len(times_h))}


def pulsed(t):
    """The exact solution from x(0) = 1: hyperbolas without input, tanh with."""
    before = 1 / (1 + t)
    at_on = 1 / (1 + ON)
    during = np.tanh(t - ON + np.arctanh(at_on))
    at_off = np.tanh(OFF - ON + np.arctanh(at_on))
    return np.where(t < ON, before, np.where(t < OFF, during, at_off / (1 + at_off * (t - OFF))))


def uniform_with_marks(count):
    return np.unique(
        np.concatenate([np.linspace(a, b, count + 1) for a, b in ((0, ON), (ON, OFF), (OFF, 4))])
    )


def test_order_four_survives_jumps_of_a_drive_on_grid_points():
    steps, errors = [4, 6, 8, 12, 16], []
    for count in steps:
        grid = uniform_with_marks(count)
        errors.append(np.abs(solve(PULSED, {}, {"x": 1.0}, pulse, grid, grid)[0] - pulsed(grid)).max())
    assert fitted_order(steps, errors) >= 3.8
    assert errors[-1] < 1e-6


def test_steps_look_at_a_drive_just_inside_their_ends():
    """So that a drive may jump there whatever side it takes to be its own, and by rounding beside it."""
    grid, asked = uniform_with_marks(16), []

    def noting(times_h, *, is_left):
        asked.append(times_h)
        return pulse(times_h, is_left=np.zeros(len(times_h), bool))

    sided, blind = (solve(PULSED, {}, {"x": 1.0}, drive, grid, grid)[0] for drive in (pulse, noting))
    np.testing.assert_array_equal(blind, sided)
    of_steps, of_outputs = asked
    assert np.abs(of_steps[:, None] - grid).min() > CLOSEST_H
    np.testing.assert_array_equal(of_outputs, grid)


def test_a_drive_that_jumps_beside_a_grid_point_would_be_noticed():
    grid = uniform_with_marks(16)
    late = solve(PULSED, {}, {"x": 1.0}, lambda t, *, is_left: pulse(t - 2e-3, is_left=is_left), grid, grid)
    assert np.abs(late[0] - pulsed(grid)).max() > 1e-4


def test_order_four_survives_jumps_of_a_state():
    """x' = -x^2 with x doubled at ON and again at OFF."""
    jumps = [(time, lambda m, state, parameter: {"x": 2 * state["x"]}) for time in (ON, OFF)]
    steps, errors = [8, 12, 16, 24, 32], []
    for count in steps:
        grid = uniform_with_marks(count)
        found = solve(
            PULSED,
            {},
            {"x": 1.0},
            lambda t, *, is_left: ({"input": 0 * t}, {"input": 0 * t}),
            grid,
            [4.0],
            jumps=jumps,
        )[0, 0]
        one = 2 / (1 + ON)
        two = 2 * one / (1 + one * (OFF - ON))
        errors.append(abs(found - two / (1 + two * (4 - OFF))))
    assert fitted_order(steps, errors) >= 3.8


def test_values_at_a_jump_are_those_after_it_and_just_before_it_those_before():
    jumps = [(0.0, lambda m, s, p: {"x": s["x"] + 1}), (2.0, lambda m, s, p: {"x": 7.0})]
    jumps.append((4.0, lambda m, s, p: {"x": m.maximum(s["x"], 9.0)}))
    jumps.append((4.0, lambda m, s, p: {"x": s["x"] * 2}))
    equations = Equations(
        states=("x",), drives=(), parameters=(), rates=lambda m, s, d, p: {"x": 0.0}, outputs=nothing
    )
    times = [0.0, 1.0, 2.0 - 1e-9, 2.0, 3.0, 4.0]
    found = solve(equations, {}, {"x": 1.0}, no_drive, [0, 1, 2, 3, 4], times, jumps=jumps)[0]
    np.testing.assert_allclose(found, [2, 2, 2, 7, 7, 18], rtol=0, atol=1e-14)


# --- stiff problems ------------------------------------------------------------------------------


@pytest.mark.parametrize("stiffness", [1e2, 1e4, 1e6])
def test_prothero_robinson_is_damped_and_followed(stiffness):
    """y' = -k (y - cos t) - sin t, from off the slow curve: nothing of the start is left, whatever k."""
    equations = Equations(
        states=("y",),
        drives=("target", "slope"),
        parameters=("k",),
        rates=lambda m, s, d, p: {"y": -p["k"] * (s["y"] - d["target"]) + d["slope"]},
        outputs=nothing,
    )

    def drive(times_h, *, is_left):
        c, s = np.cos(times_h), np.sin(times_h)
        return {"target": c, "slope": -s}, {"target": -s, "slope": -c}

    grid = np.linspace(0, 5, 101)
    found = solve(equations, {"k": stiffness}, {"y": 3.0}, drive, grid, grid[20:])[0]
    np.testing.assert_allclose(found, np.cos(grid[20:]), rtol=0, atol=1e-6)


def graded(end, count):
    """Short steps first: t = end (10^(6 s) - 1) / (10^6 - 1)."""
    return end * (10 ** (6 * np.linspace(0, 1, count + 1)) - 1) / (10**6 - 1)


def test_robertson_equals_scipy():
    equations = Equations(
        states=("a", "b", "c"),
        drives=(),
        parameters=("k1", "k2", "k3"),
        rates=lambda m, s, d, p: {
            "a": -p["k1"] * s["a"] + p["k2"] * s["b"] * s["c"],
            "b": p["k1"] * s["a"] - p["k2"] * s["b"] * s["c"] - p["k3"] * s["b"] ** 2,
            "c": p["k3"] * s["b"] ** 2,
        },
        outputs=nothing,
    )
    parameters, start = {"k1": 0.04, "k2": 1e4, "k3": 3e7}, {"a": 1.0, "b": 0.0, "c": 0.0}
    times = np.array([0.4, 4.0, 40.0, 400.0])
    expected = integrate_by_scipy(
        equations, parameters, start, no_drive, times, segments_h=[0, 400], patient=0, atol=1e-16
    )
    found = solve(equations, parameters, start, no_drive, graded(400, 300), times)
    for row, name in zip(found, "abc", strict=True):
        np.testing.assert_allclose(row, expected[name], rtol=1e-6, atol=0)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, rtol=0, atol=1e-12)


def test_van_der_pol_equals_scipy():
    equations = Equations(
        states=("x", "v"),
        drives=(),
        parameters=("mu",),
        rates=lambda m, s, d, p: {"x": s["v"], "v": p["mu"] * (1 - s["x"] ** 2) * s["v"] - s["x"]},
        outputs=nothing,
    )
    times = np.linspace(0, 20, 41)
    start = {"x": 2.0, "v": 0.0}
    expected = integrate_by_scipy(
        equations, {"mu": 10.0}, start, no_drive, times, segments_h=[0, 20], patient=0
    )
    found = solve(equations, {"mu": 10.0}, start, no_drive, np.linspace(0, 20, 4001), times)
    np.testing.assert_allclose(found[0], expected["x"], rtol=0, atol=1e-6)


# --- grids -----------------------------------------------------------------------------------------


def test_halving_a_grid_of_marks_divides_the_error_by_about_sixteen():
    errors = []
    for fineness in (1, 2, 4):
        grid = make_grid(0, 4, [ON, OFF], fineness=fineness)
        errors.append(np.abs(solve(PULSED, {}, {"x": 1.0}, pulse, grid, grid)[0] - pulsed(grid)).max())
    ratios = np.array(errors[:-1]) / errors[1:]
    assert (ratios > 11).all(), ratios
