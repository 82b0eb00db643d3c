"""The chain by JAX against NumPy's engine: the same values, and derivatives equal to its differences.

Compiling takes most of the time, so horizons are short and what is compiled serves several tests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.equivalence.engine_systems import EVERYTHING, START, TABLE, Doses, everything_parameters

from euthymia.dosing.notation import parse_regimen
from euthymia.engine import jax_march
from euthymia.engine.equations import Equations, SolveFailedError
from euthymia.engine.grid import make_grid
from euthymia.engine.integrate import integrate, stage_times
from euthymia.engine.jax_linear import propagate
from euthymia.engine.jax_march import Driven, integrate_by_jax, make_solver, sample
from euthymia.engine.jax_maths import jax_maths, load_jax
from euthymia.engine.linear import Input, assemble, respond
from euthymia.engine.maths import NUMPY
from euthymia.engine.table import Table2
from euthymia.errors import InvalidInputError, MissingExtraError, UnknownNameError
from euthymia.model import wiring
from euthymia.model.chain import solve_chain
from euthymia.model.concentrations import session_starts_h
from euthymia.model.course import Course, Decision
from euthymia.model.jax_chain import JaxChain, gradients, solve_chain_by_jax
from euthymia.model.parameters import load_parameters
from euthymia.model.pk import Given
from euthymia.population.individual import chain_values, individual_values
from euthymia.population.patient import Patient
from euthymia.population.request import is_ketamine_dose
from euthymia.population.settings import find_setting
from euthymia.population.surroundings import midazolam_of, surround

pytest.importorskip("jax")
jax = load_jax()
numpy = jax.numpy
M = jax_maths()
quick = jax_march.jit_quickly
Array = NDArray[np.float64]


def off(found: Any, right: Any) -> float:
    """Return the largest difference relative to the largest value; of what is 0 throughout, absolute."""
    found, right = np.asarray(found), np.asarray(right)
    return float(np.abs(found - right).max() / (np.abs(right).max() or 1.0))


def difference(function: Callable[[float], Any], at: float, step: float) -> Any:
    """Return the derivative by central differences of two steps, extrapolated; of fourth order."""
    wide, narrow = ((function(at + h) - function(at - h)) / (2.0 * h) for h in (2.0 * step, step))
    return (4.0 * narrow - wide) / 3.0


# --- functions -------------------------------------------------------------------------------------

X = np.linspace(-3.0, 3.0, 61)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh"])
def test_functions_are_those_of_numpy(name: str):
    x = X if name in ("exp", "tanh") else np.abs(X) + 0.1
    np.testing.assert_allclose(getattr(M, name)(x), getattr(NUMPY, name)(x), rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_larger_and_smaller_with_their_ties_zeros_and_nan(name: str):
    a, b = np.array([1.0, 2.0, -0.0, 0.0, np.nan, 1.0]), np.array([2.0, 1.0, 0.0, -0.0, 1.0, np.nan])
    found, right = getattr(M, name)(a, b), getattr(NUMPY, name)(a, b)
    np.testing.assert_array_equal(found, right)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(right))
    assert jax.grad(getattr(M, name), argnums=(0, 1))(1.0, 1.0) == (1.0, 0.0)


def test_a_choice_is_that_of_numpy():
    np.testing.assert_array_equal(M.where(X > 0.5, X, 2.0), NUMPY.where(X > 0.5, X, 2.0))


@pytest.mark.parametrize("n", [1, 1.0, 1.5, 2, 2.7, 4.0])
def test_hill_and_its_slopes(n: float):
    u, K = np.array([-1.0, 0.0, 1e-320, 1e-200, 1e-9, 0.2, 0.7, 3.0, 1e9]), 0.7
    np.testing.assert_allclose(M.hill(u, K, n), NUMPY.hill(u, K, n), rtol=1e-13, atol=1e-99)
    inside = u[u > 1e-10]
    slopes = jax.vmap(jax.grad(M.hill, argnums=(0, 1, 2)), (0, None, None))
    by_u, by_K, by_n = quick(slopes)(inside, K, float(n))
    h = NUMPY.hill(inside, K, n)
    log_share = np.log(inside / K)
    np.testing.assert_allclose(by_u, n * h * (1.0 - h) / inside, rtol=1e-12)
    np.testing.assert_allclose(by_K, -n * h * (1.0 - h) / K, rtol=1e-12)
    np.testing.assert_allclose(by_n, h * (1.0 - h) * log_share, rtol=1e-12)


@pytest.mark.parametrize(("n", "first", "second"), [(1.0, 2.0, -8.0), (2.0, 0.0, 8.0), (3.0, 0.0, 0.0)])
def test_hill_has_derivatives_at_and_near_0(n: float, first: float, second: float):
    first_of, second_of = jax.grad(M.hill, argnums=(0, 1, 2)), jax.grad(jax.grad(M.hill), argnums=(0, 1))
    u = np.array([0.0, 1e-300, 1e-120, -1.0])
    (by_u, *others), (by_u_twice, by_u_and_K) = quick(
        lambda u: [jax.vmap(lambda u, one=one: one(u, 0.5, n))(u) for one in (first_of, second_of)]
    )(u)
    np.testing.assert_allclose(by_u, [first, first, first, 0.0], atol=1e-90)
    np.testing.assert_allclose(by_u_twice, [second, second, second, 0.0], atol=1e-90)
    np.testing.assert_allclose(by_u_and_K, [-first / 0.5] * 3 + [0.0], atol=1e-90)
    assert np.isfinite(others).all()


def test_a_table_and_its_slopes():
    x, y = np.random.default_rng(0).uniform(-0.2, 1.2, (2, 300))
    x[:4], y[:4] = [0.0, 1.0, 0.5, 1.0], [1.0, 0.0, 0.0, 1.0]
    looked_up = jax.vmap(jax.value_and_grad(lambda x, y: M.table2(TABLE, x, y), argnums=(0, 1)))
    found, (by_x, by_y) = quick(looked_up)(x, y)
    np.testing.assert_allclose(found, TABLE(x, y), rtol=0, atol=1e-14)
    np.testing.assert_allclose(by_x, TABLE.derivative_x(x, y), rtol=0, atol=1e-13)
    np.testing.assert_allclose(by_y, TABLE.derivative_y(x, y), rtol=0, atol=1e-13)
    assert np.isnan(M.table2(TABLE, np.nan, 0.5))


# --- small systems ---------------------------------------------------------------------------------

STIFF = Equations(
    states=("y", "z"),
    drives=("goal", "goal_rate"),
    parameters=("fast", "slow"),
    rates=lambda m, state, drive, parameter: {
        "y": drive["goal_rate"] - parameter["fast"] * (state["y"] - drive["goal"]),
        "z": -parameter["slow"] * state["z"],
    },
    outputs=lambda m, state, drive, parameter: {"sum": state["y"] + state["z"]},
)


def cosine(times_h: Array, *, is_left: Any) -> Any:
    del is_left
    values = {"goal": np.cos(times_h), "goal_rate": -np.sin(times_h)}
    return values, {"goal": -np.sin(times_h), "goal_rate": -np.cos(times_h)}


@pytest.mark.slow
def test_a_stiff_system_with_a_known_solution():
    """Between grid points a rate of 1e6 per hour magnifies the error of y in its slopes, in both engines."""
    slow = np.array([0.3, 0.5])
    grid = np.linspace(0.0, 4.0, 161)
    asked: dict[str, Any] = {
        "grid_h": grid,
        "times_h": np.array([0.0, 0.017, 0.05, 1.0, 3.99, 4.0]),
        "outputs": None,
        "patient_count": 2,
    }
    start = {"y": np.array([1.0, 1.0]), "z": np.array([2.0, 3.0])}
    parameters = {"fast": 1e6, "slow": slow}
    found = integrate_by_jax(STIFF, parameters, start, cosine, **asked)
    right = integrate(STIFF, parameters, start, cosine, **asked)
    assert all(off(found.values[name], value) < 1e-10 for name, value in right.values.items())
    z = start["z"][:, None] * np.exp(-slow[:, None] * found.times_h)
    np.testing.assert_allclose(found.values["z"], z, rtol=1e-6)
    at_points = np.isclose(found.times_h[:, None], grid, rtol=0.0, atol=1e-12).any(axis=1)
    y = np.cos([found.times_h[at_points]] * 2)
    np.testing.assert_allclose(found.values["y"][:, at_points], y, atol=1e-6)


JUMPS = [
    (0.0, lambda m, state, parameter: {"a": state["a"] + 0.1}),
    (5.0, lambda m, state, parameter: {"b": m.minimum(state["b"] * parameter["K"], 1.0)}),
    (5.0, lambda m, state, parameter: {"c": 0.3}),
    (10.0, lambda m, state, parameter: {"a": 0.5}),
]
SOLVE: dict[str, Any] = {
    "grid_h": make_grid(0.0, 10.0, [5.0]),
    "times_h": np.unique(np.concatenate([np.linspace(0.0, 10.0, 31), [5.0]])),
    "outputs": None,
    "jumps": JUMPS,
}


@pytest.mark.slow
def test_every_operation_jump_and_time_within_a_step_agrees_with_numpy():
    right = integrate(EVERYTHING, everything_parameters(3), START, Doses(3), patient_count=3, **SOLVE)
    found = integrate_by_jax(EVERYTHING, everything_parameters(3), START, Doses(3), patient_count=3, **SOLVE)
    assert found.steps == right.steps
    assert found.values.keys() == right.values.keys()
    assert {name: off(found.values[name], value) for name, value in right.values.items()} == pytest.approx(
        dict.fromkeys(right.values, 0.0), abs=1e-12
    )


@pytest.mark.slow
def test_backwards_a_sum_is_differentiated_by_parameter_start_table_and_drive():
    count = 2
    parameters = everything_parameters(count)
    times = np.array([5.0, 10.0])
    grid = make_grid(0.0, 10.0, [5.0])
    asked: dict[str, Any] = {"grid_h": grid, "times_h": times, "outputs": ("b",), "jumps": JUMPS}
    solve = make_solver(EVERYTHING, patient_count=count, **asked)
    driven = sample(Doses(count), EVERYTHING.drives, grid_h=grid, times_h=times, patient_count=count)

    def total(fast: Any, e: Any, lift: Any, scale: Any) -> Any:
        own = {**parameters, "fast": fast, "table": Table2(scale * TABLE.coefficients)}
        lifted = driven.values["blocked"].at[40].add(lift)
        given = Driven({**driven.values, "blocked": lifted}, driven.slopes, driven.at_times)
        return solve(own, {**START, "e": e}, given)["b"].sum()

    driven = jax.tree.map(numpy.asarray, driven)
    at = (numpy.asarray(parameters["fast"]), numpy.full(count, 0.2), 0.0, 1.0)
    by_fast, by_e, by_lift, by_scale = quick(jax.grad(total, argnums=(0, 1, 2, 3)))(*at)

    def by_numpy(fast: Any, e: Any, scale: float) -> float:
        own = {**parameters, "fast": fast, "table": Table2(scale * TABLE.coefficients)}
        done = integrate(EVERYTHING, own, {**START, "e": e}, Doses(count), patient_count=count, **asked)
        return done.values["b"].sum()

    fast, e = parameters["fast"], np.full(count, 0.2)
    for patient in range(count):
        one = np.eye(count)[patient]
        np.testing.assert_allclose(
            by_fast[patient],
            difference(lambda d, one=one: by_numpy(fast + d * one, e, 1.0), 0.0, 0.01),
            rtol=1e-6,
        )
        np.testing.assert_allclose(
            by_e[patient],
            difference(lambda d, one=one: by_numpy(fast, e + d * one, 1.0), 0.0, 1e-3),
            rtol=1e-6,
        )
    np.testing.assert_allclose(by_scale, difference(lambda s: by_numpy(fast, e, s), 1.0, 1e-3), rtol=1e-6)
    compiled = quick(total)
    np.testing.assert_allclose(
        by_lift, difference(lambda d: float(compiled(at[0], at[1], d, 1.0)), 0.0, 1e-3), rtol=1e-6
    )


def test_a_failed_solve_names_patient_time_and_state():
    equations = Equations(
        states=("x",),
        drives=(),
        parameters=("k",),
        rates=lambda m, state, drive, parameter: {"x": m.log(parameter["k"]) - state["x"]},
        outputs=lambda m, state, drive, parameter: {},
    )
    asked: dict[str, Any] = {"grid_h": np.array([0.0, 1.0, 2.0]), "times_h": np.array([0.0]), "outputs": ()}
    with pytest.raises(SolveFailedError, match="patient 1 failed after 0 h: 'x' is not finite") as caught:
        integrate_by_jax(
            equations,
            {"k": np.array([2.0, -1.0])},
            {"x": np.zeros(2)},
            lambda times, *, is_left: ({}, {}),
            patient_count=2,
            **asked,
        )
    assert caught.value.patient == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jumps": [(0.31, JUMPS[0][1])]}, "'jumps' must be at grid points, an even number"),
        ({"times_h": np.array([11.0])}, "'times_h' must be finite, ascending and within the grid, 0 to 10 h"),
        ({"times_h": np.array([2.0, 1.0])}, "'times_h' must be finite, ascending"),
        ({"grid_h": np.array([1.0])}, "'grid_h' must be finite, ascending times in hours, an even number"),
        ({"outputs": ["bee"]}, "Unknown output 'bee'"),
    ],
)
def test_what_cannot_be_solved_is_said(change: Mapping[str, Any], words: str):
    with pytest.raises(InvalidInputError, match=words):
        integrate_by_jax(
            EVERYTHING, everything_parameters(2), START, Doses(2), patient_count=2, **{**SOLVE, **change}
        )


def test_without_jax_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'euthymia\[bayes\]'"):
        load_jax.__wrapped__()


def test_an_option_that_the_compiler_has_lost_is_done_without(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jax_march, "_QUICK", {"xla_no_such_option": 1})
    assert jax_march.jit_quickly(lambda x: x + 1.0)(1.0) == 2.0


# --- compartments ----------------------------------------------------------------------------------

GRID = make_grid(0.0, 12.0, [0.5, 2.0, 2.25, 6.0, 11.0])
INPUTS = (
    Input("central", np.array([3.0, 4.0]), 0.5, duration_h=1.5),
    Input("central", np.array([1.0, 2.0]), 6.0),
    Input("depot", np.array([2.0, 0.0]), 2.0, lag_h=0.25),
    Input("central", np.array([9.0, 9.0]), 11.0, duration_h=48.0),
    Input("nowhere", np.array([9.0, 9.0]), 2.0),
    Input("central", np.array([9.0, 9.0]), 40.0),
)


def compartments(clearance: Any) -> list[Any]:
    """Return two compartments, a delay of equal rates that equal the depot's, and an observer."""
    equal = np.array([1.5, 1.5])
    return [
        ("depot", "central", equal, True),
        ("central", "peripheral", np.array([2.0, 5.0]), True),
        ("peripheral", "central", np.array([0.7, 0.2]), True),
        ("central", "delay_1", clearance / 10.0, True),
        ("delay_1", "delay_2", equal, True),
        ("delay_2", "metabolite", equal, True),
        ("metabolite", None, np.array([0.4, 1.5]), True),
        ("central", "site", np.array(3.0), False),
        ("site", None, np.array([3.0, 30.0]), True),
        ("metabolite", "elsewhere", np.array([0.1, 0.1]), True),
    ]


WEIGHTS = {
    "central": {"central": np.array([0.1, 0.2])},
    "late": {"metabolite": 1.0, "site": np.array([2.0, 3.0])},
}
CLEARANCE = np.array([20.0, 60.0])


@pytest.mark.slow
def test_compartments_on_a_grid_are_those_of_the_exact_response():
    times = np.concatenate([[0.0, 0.3], GRID[5:8], [6.0, 7.7, 11.9, 12.0]])
    times = np.unique(times)
    place: dict[str, Any] = {"grid_h": GRID, "times_h": times, "patient_count": 2}
    found = quick(lambda by: propagate(compartments(by), INPUTS, WEIGHTS, **place))(CLEARANCE)
    system = assemble(compartments(CLEARANCE), 2)
    inputs = [item for item in INPUTS if item.node in system.nodes]
    at_times = respond(system, inputs, times, WEIGHTS).values
    inside, _ = stage_times(GRID)
    at_stages = respond(system, inputs, inside, WEIGHTS).values
    for name in WEIGHTS:
        assert off(found.at_times[name].T, at_times[name]) < 1e-12
        stages = at_stages[name].T.reshape(len(GRID) - 1, -1, 2)
        assert off(found.at_stages[name], stages) < 1e-12
        assert off(found.at_starts[name], stages[:, 0]) < 1e-12


@pytest.mark.slow
def test_compartments_are_differentiated_by_a_rate():
    times = np.array([1.0, 3.0, 12.0])

    def late(clearance: Any) -> Any:
        flows = compartments(clearance)
        place = {"grid_h": GRID, "times_h": times, "patient_count": 2}
        return propagate(flows, INPUTS, WEIGHTS, **place).at_times["late"].T

    _, found = quick(lambda way: jax.jvp(late, (numpy.asarray(CLEARANCE),), (way,)))(numpy.ones(2))

    def by_modes(moved: float) -> Array:
        system = assemble(compartments(CLEARANCE + moved), 2)
        inputs = [item for item in INPUTS if item.node in system.nodes]
        return respond(system, inputs, times, {"late": WEIGHTS["late"]}).values["late"]

    assert off(found, difference(by_modes, 0.0, 0.02)) < 1e-9


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Input("central", np.ones(2), 0.5, lag_h=np.array([0.1, 0.2])), "'lag_h' must be the same"),
        (Input("central", np.ones(2), 0.5, duration_h=np.array([0.1, 0.2])), "'duration_h' must be the same"),
        (Input("central", np.ones(2), 0.123), "given from grid point to grid point"),
        (Input("central", np.ones(2), 0.5, steady_interval_h=12.0), "Steady state is not covered"),
    ],
)
def test_inputs_off_the_grid_are_refused(item: Input, words: str):
    with pytest.raises(InvalidInputError, match=words):
        propagate(compartments(CLEARANCE), [item], WEIGHTS, grid_h=GRID, times_h=GRID[:1], patient_count=2)


# --- the chain -------------------------------------------------------------------------------------

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
SEVERITY = "severity_fraction"


class Case(NamedTuple):
    """What both ways to solve the chain are asked."""

    pk_values: dict[str, Any]
    chain_values: dict[str, Any]
    course: Course
    times_h: Array
    more: dict[str, Any]

    def solved(self, changed: Mapping[str, Any]) -> dict[str, Array]:
        """Return NumPy's values with some parameters changed."""
        pk_values = self.pk_values | {
            name[3:]: value for name, value in changed.items() if name.startswith("pk.")
        }
        own = self.chain_values | {
            name: value for name, value in changed.items() if not name.startswith("pk.")
        }
        parameters = load_parameters()
        return solve_chain(parameters, pk_values, own, self.course, self.times_h, **self.more).values

    def by_jax(self) -> JaxChain:
        return JaxChain(
            load_parameters(), self.pk_values, self.chain_values, self.course, self.times_h, **self.more
        )


def case(regimen: str, times_h: Sequence[float], *, outputs: Sequence[str] | None = None) -> Case:
    """Return two virtual patients under a regimen."""
    parameters, people, numbers = load_parameters(), (Patient(), Patient(weight_kg=95.0)), np.array([1, 2])
    plan, weights = parse_regimen(regimen), np.array([70.0, 95.0])
    setting = find_setting("midazolam")
    own = chain_values(parameters, people, numbers=numbers, seed=1)
    own |= {name: np.asarray(value) for name, value in setting.values().items()}
    given = tuple(Given(dose) for dose in plan.doses(weights) if is_ketamine_dose(dose))
    span = {"start_h": 0.0, "end_h": float(times_h[-1])}
    course = replace(
        surround(plan, setting, own, taken=(), **span),
        given=given,
        midazolam=midazolam_of(plan, weights),
        sessions_h=tuple(session_starts_h(given)),
    )
    pk_values = individual_values(parameters, people, numbers=numbers, seed=1)
    more = {**span, "patient_count": 2, "outputs": outputs}
    return Case(pk_values, own, course, np.asarray(times_h, float), more)


@pytest.mark.slow
@pytest.mark.parametrize(
    "regimen",
    [
        INFUSION,
        "midazolam 0.045 mg/kg iv over 40 min; ketamine 35 mg im at 6 h; CBT 50 min at 26 h; "
        "escitalopram 10 mg daily x 3; ECT at 50 h",
    ],
)
def test_every_observable_and_state_of_three_days_agrees_with_numpy(regimen: str):
    one = case(regimen, [0.0, 0.3, 2 / 3, 1.0, 2.0, 5.5, 24.0, 25.0, 50.5, 71.0, 72.0])
    right = one.solved({})
    chain = (load_parameters(), one.pk_values, one.chain_values, one.course, one.times_h)
    found = solve_chain_by_jax(*chain, **one.more)
    assert found.values.keys() == right.keys()
    assert len(right) > 80
    apart = {name: off(found.values[name], value) for name, value in right.items()}
    assert {name: error for name, error in apart.items() if not error < 1e-8} == {}


BY = (
    "severity.belief_weight_logit",
    "severity.episode_severity_fraction",
    "signalling.ampa_rate_per_h",
    "surge.glutamate_time_h",
    "receptor.interneuron_half_block_umol_per_L",
    "dissociation.steepness_exponent",
    "site.equilibration_rate_per_h",
    "pk.s_clearance_L_per_h",
    "pk.central_volume_L",
)
"""Parameters of the equations, of the start of the episode, of the site and of the kinetics."""


@pytest.mark.slow
def test_severity_after_a_day_is_differentiated_as_numpy_differs():
    """The differences themselves are good to about 1e-8 of the derivative: steps of 1e-4, values of 1e-15."""
    one = case(INFUSION, [0.3, 2.0, 24.0], outputs=(SEVERITY,))
    chain = one.by_jax()
    found = gradients(chain, BY)[SEVERITY]
    apart = {}
    for name in BY:
        value = chain.value_of(name)

        def moved(share: float, name: str = name, value: Array = value) -> Array:
            return one.solved({name: value * (1.0 + share)})[SEVERITY]

        right = difference(moved, 0.0, 1e-4) / value[:, None]
        assert np.abs(right[:, -1]).min() > 0.0
        apart[name] = max(off(found[name][:, -1], right[:, -1]), off(found[name], right))
    assert {name: error for name, error in apart.items() if not error < 1e-7} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"occupancy_fraction": 0.7}, "prefrontal.recovery_time_h"),
        ({"is_well": True}, "belief.threshold_relative"),
    ],
    ids=["adapted to an antidepressant", "well"],
)
def test_a_start_that_is_searched_for_is_differentiated(more: dict[str, Any], name: str):
    """Halving and repetition hide what a result depends on; the last step of each shows it."""
    own = {one: row.value for one, row in load_parameters().chain.items()}
    chosen = ("prefrontal.stable_fraction", "belief.belief_fraction", "severity.severity_fraction")

    def repeat(count: int, step: Any, value: Any) -> Any:
        return jax.lax.fori_loop(0, count, lambda _, value: step(value), value)

    def by_jax(value: Any) -> Any:
        states, start = wiring.initial(M, own | {name: value}, repeat=repeat, **more)
        return numpy.stack([*(states[one] for one in chosen), start["start.offset_logit"]])

    def by_numpy(value: float) -> Array:
        states, start = wiring.initial(NUMPY, own | {name: np.asarray(value)}, **more)
        return np.stack([*(states[one] for one in chosen), start["start.offset_logit"]])

    np.testing.assert_allclose(quick(by_jax)(own[name]), by_numpy(own[name]), rtol=1e-12)
    found = quick(jax.jacfwd(by_jax))(own[name])
    right = difference(by_numpy, own[name], 1e-3 * own[name])
    assert off(found, right) < 1e-7


def test_what_cannot_be_differentiated_by_is_said():
    chain = case(INFUSION, [0.0, 1.0], outputs=(SEVERITY,)).by_jax()
    assert chain.value_of("pk.s_clearance_L_per_h").shape == (2,)
    for name in (
        "signalling.drive_exponent",
        "circuit.gain_table",
        "start.offset_logit",
        "pk.oral_duration_h",
    ):
        with pytest.raises(UnknownNameError, match="Unknown parameter to differentiate by"):
            gradients(chain, [name])


def test_doses_decided_on_during_the_run_are_refused():
    one = case(INFUSION, [0.0, 1.0])
    decided = replace(one.course, decisions=(Decision(0.0, (0,), lambda severity: severity),))
    with pytest.raises(InvalidInputError, match="decided on during the run"):
        one._replace(course=decided).by_jax()
