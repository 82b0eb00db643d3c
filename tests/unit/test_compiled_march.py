"""The compiled march over made-up equations: functions, records, jumps, decisions, bytes, failures."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.equivalence.engine_systems import EVERYTHING, START, TABLE, Doses, everything_parameters

from euthymia.engine import build, native
from euthymia.engine.equations import SolveFailedError
from euthymia.engine.grid import make_grid
from euthymia.engine.integrate import Solution, integrate
from euthymia.engine.kernel import compile_equations

Array = NDArray[np.float64]
slow = pytest.mark.slow
WIDTHS = tuple(width for width in (16, 8, 4) if width <= build.lanes())
EVENTS = [0.0, 5.0, 8.0]
TIMES = np.array([0.0, 0.01, 0.5, 3.0, 5.0, 5.2, 8.0, 9.0, 24.0])
JUMPS = [
    (0.0, lambda m, state, parameter: {"a": state["a"] + 0.02}),
    (8.0, lambda m, state, parameter: {"e": 0.5 * state["e"] + 0.1 * parameter["K"]}),
    (24.0, lambda m, state, parameter: {"c": 2.0 * state["c"]}),
]
COUNT = 20


class SomeDoses(Doses):
    """The doses of some patients."""

    def __init__(self, chosen: Any) -> None:
        super().__init__(100)
        self.sizes = self.sizes[np.asarray(chosen)]


def solve(chosen: Sequence[int] = range(COUNT), *, fineness: float = 1.0, **more: Any) -> Solution:
    """Return some of a hundred patients by the compiled march, unless told otherwise."""
    parameters = {
        name: value if name == "table" else value[np.asarray(chosen)]
        for name, value in everything_parameters(100).items()
    }
    asked: dict[str, Any] = {
        "grid_h": make_grid(0.0, 24.0, EVENTS, fineness=fineness),
        "times_h": TIMES,
        "outputs": None,
        "jumps": JUMPS,
        "is_compiled": True,
        "drive": SomeDoses(chosen),
    }
    asked |= more
    drive = asked.pop("drive")
    return integrate(EVERYTHING, parameters, START, drive, patient_count=len(chosen), **asked)


@pytest.fixture(scope="module")
def whole() -> Solution:
    return solve()


# --- the same numbers ------------------------------------------------------------------------------------


STEPS = pytest.mark.parametrize(
    ("fineness", "tolerance"), [(1.0, 5e-3), pytest.param(8.0, 1e-6, marks=slow)], ids=["usual", "fine"]
)
"""What differs are the cubics for drives, of fourth order as the steps are, and single precision."""


@STEPS
def test_every_state_and_output_is_what_numpy_gives(fineness: float, tolerance: float):
    """Every operation there is, and states that jump at the start, on the way and at the very end."""
    compiled, plain = (solve(fineness=fineness, is_compiled=one) for one in (True, False))
    assert compiled.check is None
    assert compiled.steps == plain.steps
    for name, right in plain.values.items():
        assert compiled.values[name].dtype == np.float32
        np.testing.assert_allclose(compiled.values[name], right, rtol=0, atol=tolerance, err_msg=name)


@STEPS
def test_what_lies_between_grid_points_is_what_numpy_gives(fineness: float, tolerance: float):
    times = np.sort(np.random.default_rng(1).uniform(0.0, 24.0, 200))
    compiled, plain = (solve(fineness=fineness, is_compiled=one, times_h=times) for one in (True, False))
    for name, right in plain.values.items():
        np.testing.assert_allclose(compiled.values[name], right, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize(
    "drive",
    [
        lambda t, is_left: (
            {"dose": 0.4 + 0 * t, "blocked": 0.2 + 0.01 * t},
            {"dose": 0 * t, "blocked": 0.01 + 0 * t},
        ),
        lambda t, is_left: (
            {"dose": np.linspace(0.0, 1.0, COUNT)[:, None], "blocked": np.full((COUNT, 1), 0.2)},
            {"dose": np.zeros((COUNT, 1)), "blocked": np.zeros((COUNT, 1))},
        ),
    ],
    ids=["the same for all", "the same at all times"],
)
def test_drives_may_have_any_shape_that_numpy_takes(drive: Any):
    compiled, plain = (solve(is_compiled=one, drive=drive) for one in (True, False))
    for name, right in plain.values.items():  # cubics are exact here
        np.testing.assert_allclose(compiled.values[name], right, rtol=0, atol=2e-6, err_msg=name)


# --- the same bytes --------------------------------------------------------------------------------------


def assert_same(found: Solution, right: Solution, rows: Any = slice(None), times: Any = slice(None)) -> None:
    for name, values in found.values.items():
        assert values.tobytes() == np.ascontiguousarray(right.values[name][rows][:, times]).tobytes(), name


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17])
def test_a_patient_is_the_same_in_any_batch(whole: Solution, count: int):
    assert_same(solve(range(count)), whole, slice(count))


@pytest.mark.parametrize("place", [0, 3, 15, 16, 18])
def test_a_patient_is_the_same_at_any_place(whole: Solution, place: int):
    chosen = [*range(50, 50 + place), 17, *range(70, 89 - place)]
    found = solve(chosen)
    for name, values in found.values.items():
        assert values[place].tobytes() == whole.values[name][17].tobytes(), name


def test_other_times_asked_for_move_nothing(whole: Solution):
    more = np.sort(np.concatenate([TIMES, TIMES, np.linspace(0.0, 24.0, 77)]))
    assert_same(solve(times_h=TIMES), solve(times_h=more), times=np.searchsorted(more, TIMES))


@pytest.mark.parametrize("times_h", [[], [0.0], [24.0], [5.0, 5.0, 8.0]], ids=str)
def test_any_times_may_be_asked_for(whole: Solution, times_h: list[float]):
    found = solve(times_h=np.array(times_h))
    assert all(values.shape == (COUNT, len(times_h)) for values in found.values.values())
    assert_same(found, whole, times=np.searchsorted(TIMES, times_h))


@pytest.mark.parametrize("outputs", [[], ["e"], ["seen"], ["flat", "a", "total", "a"]], ids=str)
def test_what_is_asked_for_alone_is_what_it_is_among_all(whole: Solution, outputs: list[str]):
    found = solve(outputs=outputs)
    assert list(found.values) == list(dict.fromkeys(outputs))
    assert_same(found, whole)


def test_the_check_takes_off_what_it_finds_and_moves_nothing_else(whole: Solution):
    checked = solve(is_checked=True)
    assert checked.check is not None
    assert list(checked.check) == list(whole.values)
    for name in EVERYTHING.states:
        moved = np.abs(checked.values[name] - whole.values[name]).max(axis=1)
        scale = np.abs(whole.values[name]).max()
        assert np.all(moved <= checked.check[name].difference / 15.0 + 1e-6 * scale), name


@pytest.mark.parametrize("at", [[0.0], [5.0], [24.0], [5.0, 8.0]], ids=str)
def test_decisions_that_change_nothing_move_no_byte(whole: Solution, at: list[float]):
    seen: list[Array] = []
    found = solve(decisions=[(time_h, lambda state: seen.append(np.array(state["a"]))) for time_h in at])
    assert_same(found, whole)
    assert len(seen) == len(at)


@slow
@pytest.mark.parametrize("width", WIDTHS)
def test_lane_widths_move_no_byte(whole: Solution, width: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EUTHYMIA_LANES", str(width))
    assert build.lanes() == width
    assert_same(solve(), whole)
    checked = solve(is_checked=True)
    monkeypatch.delenv("EUTHYMIA_LANES")
    widest = solve(is_checked=True)
    assert_same(checked, widest)
    for name, one in (widest.check or {}).items():
        assert (checked.check or {})[name].difference.tobytes() == one.difference.tobytes()


# --- the check -------------------------------------------------------------------------------------------


HIGH = (5.0, lambda m, state, parameter: {"a": 1.5 + 0.0 * state["a"]})
"""After it long steps of 'a' end above short ones, elsewhere all end below."""


@pytest.mark.parametrize("jumps", [(), JUMPS[1:2], [HIGH]], ids=["smooth", "a jump", "too high"])
def test_the_check_is_the_difference_to_steps_of_twice_the_length_where_these_end(jumps: Any):
    grid = make_grid(0.0, 24.0, EVENTS, fineness=2.0)
    ends = grid[
        ::2
    ]  # where steps of twice the length end; those before a dose are left out, for it moves outputs
    fine = solve(grid_h=grid, times_h=ends, jumps=jumps)
    coarse = solve(grid_h=ends, times_h=ends, jumps=jumps)
    check = solve(grid_h=grid, times_h=ends, is_checked=True, jumps=jumps).check
    assert check is not None
    for name in EVERYTHING.states:
        right = np.abs(fine.values[name] - coarse.values[name])[:, 1:].max(axis=1)
        assert right.max() > 1e-5
        np.testing.assert_allclose(check[name].difference, right, rtol=0.05, atol=5e-7, err_msg=name)


def test_the_check_gives_the_largest_size_before_anything_happens_there():
    grid = make_grid(0.0, 24.0, EVENTS)
    found = solve(grid_h=grid, times_h=grid[::2], is_checked=True, jumps=())
    assert found.check is not None
    for name in EVERYTHING.states:
        size = np.abs(found.values[name])[:, 1:].max(axis=1)
        np.testing.assert_allclose(found.check[name].size, size, rtol=1e-3, err_msg=name)


def test_finer_steps_leave_smaller_differences():
    checks = [solve(fineness=fineness, is_checked=True).check or {} for fineness in (1.0, 2.0, 4.0)]
    largest = [max(float(one.difference.max()) for one in check.values()) for check in checks]
    assert largest[0] > 2.0 * largest[1] > 8.0 * largest[2]


# --- decisions -------------------------------------------------------------------------------------------


class Tap:
    """Both drives of the made-up equations, one of them set at some time; notes what was asked for."""

    def __init__(self) -> None:
        self.stretches: list[tuple[float, Array]] = [(-np.inf, np.zeros(COUNT))]
        self.asked: list[float] = []

    def set(self, time_h: float, dose: Array) -> None:
        self.stretches.append((time_h, dose))

    def __call__(self, times_h: Array, *, is_left: Any) -> Any:
        self.asked.append(float(times_h.max()))
        dose = np.zeros((COUNT, len(times_h)))
        for start, size in self.stretches:
            on = (times_h > start) | ((times_h == start) & ~is_left)
            dose = np.where(on, size[:, None], dose)
        none = np.zeros(len(times_h))
        return {"dose": dose, "blocked": none + 0.2}, {"dose": np.zeros_like(dose), "blocked": none}


def test_a_drive_that_is_decided_on_acts_from_there_on_and_is_not_asked_for_before():
    given = np.linspace(0.0, 2.0, COUNT)
    tap, known, asked_by_then = Tap(), Tap(), []
    known.set(5.0, given)

    def decide(state: Any) -> None:
        asked_by_then.append(max(tap.asked, default=0.0))
        tap.set(5.0, given)

    assert_same(solve(drive=tap, decisions=[(5.0, decide)]), solve(drive=known))
    assert asked_by_then[0] <= 5.0


def test_a_decision_sees_the_states_before_a_jump_at_its_time():
    seen: list[Array] = []
    jump = (8.0, lambda m, state, parameter: {"e": state["e"] + 1.0})
    found = solve(jumps=[jump], decisions=[(8.0, lambda state: seen.append(np.array(state["e"])))])
    at = int(np.searchsorted(TIMES, 8.0))
    np.testing.assert_allclose(found.values["e"][:, at], seen[0] + 1.0, rtol=2e-7)


# --- what fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jumps", [(), JUMPS], ids=["smooth", "before a jump"])
def test_a_failed_solve_names_patient_time_state_and_term(jumps: Any):
    def drive(times_h: Array, *, is_left: Any) -> Any:
        values, slopes = SomeDoses(range(COUNT))(times_h, is_left=is_left)
        lost = (np.arange(COUNT)[:, None] == 13) & (times_h > 6.0)
        return values | {"blocked": np.where(lost, np.nan, values["blocked"])}, slopes

    with pytest.raises(SolveFailedError, match="patient 13") as caught:
        solve(drive=drive, jumps=jumps)
    assert caught.value.patient == 13
    assert 5.0 < caught.value.time_h < 6.0
    assert caught.value.state in EVERYTHING.states
    assert "blocked" in caught.value.term


def test_what_only_single_precision_cannot_hold_is_solved_in_double():
    def huge(m: Any, state: Any, parameter: Any) -> Any:
        return {"a": 1e39 + 0.0 * state["a"]}

    found = solve(jumps=[(24.0, huge)], times_h=np.array([0.0, 24.0]), outputs=["a"])
    assert found.values["a"].dtype == np.float64
    np.testing.assert_array_equal(found.values["a"][:, 1], 1e39)


def test_a_march_leaves_the_processor_as_it_was():
    """Within it, numbers too small for all their digits count as 0."""
    tiny = np.full(5, 1e-40, np.float32)
    solve()
    assert (tiny * np.float32(0.5) > 0.0).all()


def test_progress_is_told_up_to_the_end():
    shares: list[float] = []
    solve(on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


# --- functions -------------------------------------------------------------------------------------------

EXP, LOG, TANH, SQRT = range(4)
SMALLEST = float(np.finfo(np.float32).tiny)
LARGEST = float(np.finfo(np.float32).max)


def evaluated(which: int, x: Any, width: int | None = None) -> NDArray[np.float32]:
    """Return one of the library's functions of some numbers."""
    kernel = compile_equations(EVERYTHING, {"table": TABLE})
    library, _ = native.library_of(kernel, width or build.lanes())
    values = np.ascontiguousarray(x, np.float32)
    found = np.empty_like(values)
    pointers = [one.ctypes.data_as(ctypes.c_void_p) for one in (values, found)]
    library.evaluate(which, ctypes.c_long(len(values)), *pointers)
    return found


def spread(low: float, high: float) -> NDArray[np.float32]:
    """Return numbers over many powers of ten."""
    return np.exp(np.linspace(np.log(low), np.log(high), 200_003)).astype(np.float32)


FUNCTIONS = {
    "exp": (EXP, np.exp, np.linspace(-87.0, 88.5, 400_001), 1.0e-7),
    "exp near 0": (EXP, np.exp, np.concatenate([-spread(1e-30, 1.0), spread(1e-30, 1.0)]), 1.0e-7),
    "log": (LOG, np.log, spread(SMALLEST, LARGEST), 1.8e-7),
    "tanh": (TANH, np.tanh, np.linspace(-20.0, 20.0, 400_001), 2.0e-7),
    "tanh near 0": (TANH, np.tanh, np.concatenate([-spread(1e-30, 1.0), spread(1e-30, 1.0)]), 2.0e-7),
    "sqrt": (SQRT, np.sqrt, spread(SMALLEST, LARGEST), 6.0e-8),
}
"""Where, and the largest relative error: half a unit in the last place is 6e-8."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_agree_with_numpy(name: str):
    which, function, x, tolerance = FUNCTIONS[name]
    single = x.astype(np.float32)
    right = function(single.astype(float))
    np.testing.assert_allclose(evaluated(which, single), right, rtol=tolerance, atol=0)


def test_log_keeps_its_digits_near_one():
    x = (1.0 + np.concatenate([-spread(1e-7, 0.5), spread(1e-7, 0.5)])).astype(np.float32)
    right = np.log(x.astype(float))
    np.testing.assert_allclose(evaluated(LOG, x), right, rtol=1.8e-7, atol=0)


INF, NAN = np.inf, np.nan
EDGES = {
    "exp": (EXP, [INF, 89.0, 1e30, 0.0, -0.0, NAN], [INF, INF, INF, 1.0, 1.0, NAN]),
    "log": (LOG, [0.0, -0.0, INF, 1.0, -1.0, -INF, NAN], [-INF, -INF, INF, 0.0, NAN, NAN, NAN]),
    "tanh": (TANH, [INF, -INF, 1e30, -1e30, 0.0, NAN], [1.0, -1.0, 1.0, -1.0, 0.0, NAN]),
    "sqrt": (SQRT, [0.0, INF, 4.0, -1.0, -INF, NAN], [0.0, INF, 2.0, NAN, NAN, NAN]),
}


@pytest.mark.parametrize("name", EDGES)
def test_functions_at_their_edges(name: str):
    which, x, right = EDGES[name]
    np.testing.assert_array_equal(evaluated(which, x), np.array(right, np.float32))


def test_functions_of_what_is_nearly_nothing():
    """Denormal numbers: in a march they count as 0, alone they give what lies beside it."""
    denormal = [1e-40, 1e-44]
    np.testing.assert_array_equal(evaluated(EXP, [*denormal, -1e-40]), 1.0)
    np.testing.assert_allclose(evaluated(TANH, denormal), denormal, rtol=0, atol=1e-45)
    np.testing.assert_allclose(evaluated(SQRT, denormal), np.sqrt(np.float32(denormal)), rtol=1e-6)
    assert (evaluated(LOG, denormal) < np.log(SMALLEST)).all()
    far_below = evaluated(EXP, [-88.0, -100.0, -1e30, -INF])
    assert (far_below >= 0.0).all()
    assert (far_below < 2.0 * SMALLEST).all()


@slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_give_the_same_bytes_at_every_width(name: str, width: int):
    which, _, x, _ = FUNCTIONS[name]
    assert evaluated(which, x, width).tobytes() == evaluated(which, x).tobytes()
