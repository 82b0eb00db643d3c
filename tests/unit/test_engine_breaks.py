"""Decisions during a run: they may change the drive from there on, and nothing of it is seen before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.equivalence.engine_systems import EVERYTHING, START, Doses, everything_parameters

from euthymia.engine.equations import Equations
from euthymia.engine.grid import make_grid
from euthymia.engine.integrate import Solution, integrate
from euthymia.errors import InvalidInputError

COUNT = 7
GRID = make_grid(0.0, 12.0, [0.0, 3.0, 5.0])
ENDS = GRID[::2]
TIMES = np.unique(np.concatenate([np.linspace(0.0, 12.0, 41), [3.0, 5.0], GRID[::5]]))

Decide = Callable[[Any], None]


def everything(decisions: Sequence[tuple[float, Decide]]) -> dict[str, np.ndarray]:
    return integrate(
        EVERYTHING,
        everything_parameters(COUNT),
        {name: np.asarray(value) for name, value in START.items()},
        Doses(COUNT),
        grid_h=GRID,
        times_h=TIMES,
        outputs=None,
        decisions=decisions,
        patient_count=COUNT,
    ).values


@pytest.mark.parametrize(
    "times_h",
    [[5.0], [0.0], [12.0], [3.0, 5.0], [5.0, 5.0, 3.0], [float(one) for one in ENDS]],
    ids=["one", "start", "end", "two", "unsorted", "every pair of steps"],
)
def test_decisions_move_no_byte_where_they_change_nothing(times_h: list[float]):
    whole, looked = everything([]), []
    for name, found in everything([(time_h, looked.append) for time_h in times_h]).items():
        assert found.tobytes() == whole[name].tobytes(), name
    assert len(looked) == len(times_h)


def test_a_decision_in_the_middle_of_a_pair_of_steps_is_refused():
    with pytest.raises(InvalidInputError, match="an even number of steps from the start"):
        everything([(float(GRID[3]), lambda state: None)])


# --- a drive that is decided on ------------------------------------------------------------------------

FILLING = Equations(
    states=("level",),
    drives=("inflow",),
    parameters=("rate",),
    rates=lambda m, s, d, p: {"level": d["inflow"] - p["rate"] * s["level"]},
    outputs=lambda m, s, d, p: {"seen": d["inflow"]},
)
RATE = 0.4


class Tap:
    """An inflow of each patient that is set at some time, and a note of every time that was asked for."""

    def __init__(self, before: float = 1.0) -> None:
        self.stretches = [(-np.inf, np.full(COUNT, before))]
        self.asked: list[float] = []

    def set(self, time_h: float, inflow: np.ndarray) -> None:
        self.stretches.append((time_h, inflow))

    def __call__(self, times_h: np.ndarray, *, is_left: np.ndarray):
        self.asked.append(float(times_h.max()))
        value = np.zeros((COUNT, len(times_h)))
        for start, inflow in self.stretches:
            on = (times_h > start) | ((times_h == start) & ~is_left)
            value = np.where(on, inflow[:, None], value)
        return {"inflow": value}, {"inflow": np.zeros((COUNT, len(times_h)))}


def filled(
    tap: Tap, *, jumps: Sequence[Any] = (), decisions: Sequence[Any] = (), grid_h: np.ndarray = GRID
) -> Solution:
    return integrate(
        FILLING,
        {"rate": RATE},
        {"level": np.linspace(0.0, 2.0, COUNT)},
        tap,
        grid_h=grid_h,
        times_h=TIMES,
        outputs=None,
        jumps=jumps,
        decisions=decisions,
        patient_count=COUNT,
    )


NEW = np.linspace(0.0, 3.0, COUNT)


def turning(tap: Tap, time_h: float, seen: list[np.ndarray]):
    """Return a decision that sets the tap, and notes what it finds."""

    def decide(state):
        seen.append(np.array(state["level"]))
        tap.set(time_h, NEW)

    return time_h, decide


@pytest.mark.parametrize("time_h", [0.0, 3.0, 5.0])
def test_a_drive_that_is_decided_on_acts_from_there_on_as_if_it_had_been_known(time_h: float):
    tap, known, seen = Tap(), Tap(), []
    known.set(time_h, NEW)
    found = filled(tap, decisions=[turning(tap, time_h, seen)])
    right = filled(known)
    for name, values in right.values.items():
        assert found.values[name].tobytes() == values.tobytes(), name
    at = int(np.searchsorted(TIMES, time_h))
    assert seen[0].tobytes() == np.ascontiguousarray(found.values["level"][:, at]).tobytes()


def test_a_drive_that_is_decided_on_is_not_seen_before():
    tap, untouched = Tap(), filled(Tap())
    found = filled(tap, decisions=[turning(tap, 5.0, [])])
    before = TIMES <= 5.0
    assert found.values["level"][:, before].tobytes() == untouched.values["level"][:, before].tobytes()
    moved = np.abs(found.values["level"] - untouched.values["level"])[:, TIMES > 5.5].min(axis=1)
    assert np.all((moved > 0.0) == (NEW != 1.0))


def test_a_decision_sees_the_states_before_a_jump_at_its_time():
    tap, seen = Tap(), []
    doubling = (5.0, lambda m, state, parameter: {"level": 2.0 * state["level"]})
    found = filled(tap, jumps=[doubling], decisions=[turning(tap, 5.0, seen)]).values["level"]
    at = int(np.searchsorted(TIMES, 5.0))
    np.testing.assert_array_equal(2.0 * seen[0], found[:, at])


def test_the_level_after_the_change_is_its_closed_form():
    tap = Tap()
    fine = make_grid(0.0, 12.0, [0.0, 3.0, 5.0], fineness=4.0)
    found = filled(tap, decisions=[turning(tap, 5.0, [])], grid_h=fine).values["level"]
    start = np.linspace(0.0, 2.0, COUNT)[:, None]
    until = np.minimum(TIMES, 5.0)
    first = 1.0 / RATE + (start - 1.0 / RATE) * np.exp(-RATE * until)
    aim = NEW[:, None] / RATE
    right = np.where(TIMES <= 5.0, first, aim + (first - aim) * np.exp(-RATE * np.maximum(TIMES - 5.0, 0.0)))
    np.testing.assert_allclose(found, right, rtol=0, atol=2e-5)  # the error of steps of up to half an hour


def test_no_later_value_of_the_drive_is_asked_for_before_a_decision():
    tap, asked_by_then = Tap(), []

    def decide(state):
        asked_by_then.append(max(tap.asked, default=0.0))

    filled(tap, decisions=[(3.0, decide), (5.0, decide)])
    assert asked_by_then[0] <= 3.0
    assert asked_by_then[1] <= 5.0


def test_a_jump_that_changed_the_drive_would_come_too_late():
    """What decisions are for: the drive of a whole block of steps is asked for at once."""
    tap, known = Tap(), Tap()
    known.set(5.0, NEW)

    def jump(m, state, parameter):
        tap.set(5.0, NEW)
        return {}

    late = filled(tap, jumps=[(5.0, jump)]).values["level"]
    assert not np.array_equal(late, filled(known).values["level"])
