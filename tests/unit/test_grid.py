"""Grids: pairs of equal steps, every event a grid point, short after what is fast and longer with time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.engine.grid import CLOSEST_H, FIRST_H, USUAL, Event, make_grid
from euthymia.errors import InvalidInputError

LONGEST_H = USUAL.longest_h

SCHEDULE = [0.0, 0.7, 5.0, Event(5.0 + 2.0 / 3.0, 0.1), Event(30.0, 4.0)]


def assert_pairs(grid: np.ndarray) -> None:
    """Assert that steps go up, in pairs of equal length."""
    assert len(grid) % 2 == 1
    steps = np.diff(grid)
    assert (steps > 0).all()
    np.testing.assert_allclose(steps[::2], steps[1::2], rtol=0, atol=4.0 * np.spacing(np.abs(grid).max()))


def test_a_grid_contains_its_ends_and_every_event_between_them():
    events = [0.1 + 0.2, 2 / 3, 48.0, 48.0, 48 + 2 / 3, -5.0, 500.0]
    grid = make_grid(-1.0, 168.0, events)
    assert set(grid[::2]) >= {-1.0, 168.0, *events[:5]}
    assert grid[0] == -1.0
    assert grid[-1] == 168.0
    assert_pairs(grid)


def test_steps_start_short_after_an_event_grow_and_are_bounded():
    grid = make_grid(0.0, 200.0, [0.0, 100.0])
    for start in (0.0, 100.0):
        pairs = np.diff(grid[(grid >= start) & (grid <= start + 100.0)][::2])
        assert FIRST_H / 2 < pairs[0] <= FIRST_H
        assert (np.diff(pairs) > -1e-9).all()
        assert LONGEST_H / 2 < pairs[-1] <= LONGEST_H * (1 + 1e-12)
        assert (pairs[1:] / pairs[:-1]).max() < 1.0 + USUAL.late + 0.01
        small = pairs[pairs < 0.2]
        assert (small[1:] / small[:-1]).max() < 1.0 + USUAL.early + 0.01


def test_the_start_alone_is_no_reason_for_short_steps():
    np.testing.assert_allclose(np.diff(make_grid(3.0, 3.0 + 4 * LONGEST_H, [])), LONGEST_H / 2)
    assert np.diff(make_grid(3.0, 43.0, [Event(3.0, 1.0)]))[0] <= 0.5


def test_an_event_says_how_soon_it_has_to_be_looked_at():
    first = [np.diff(make_grid(0.0, 50.0, [Event(0.0, of)])[::2])[0] for of in (0.01, 0.1, 1.0, 10.0)]
    for found, asked in zip(first, (0.01, 0.1, 1.0, 10.0), strict=True):
        assert asked / 2 < found <= asked


def test_an_event_that_may_wait_does_not_lengthen_the_steps_of_one_that_may_not():
    fast = make_grid(0.0, 60.0, [0.0, 20.0])
    both = make_grid(0.0, 60.0, [0.0, 20.0, Event(20.0, 5.0), Event(0.0, LONGEST_H)])
    np.testing.assert_array_equal(both, fast)
    after = np.diff(make_grid(0.0, 60.0, [0.0, Event(1.0, 5.0)])[::2])
    assert after.max() > 1.0
    near = make_grid(0.0, 60.0, [0.0, Event(1.0, 5.0)])
    assert np.diff(near[near >= 1.0])[0] < 0.25  # an hour after what is fast, whatever else happens


def test_fineness_two_halves_every_step():
    coarse, fine = make_grid(0, 60, SCHEDULE), make_grid(0, 60, SCHEDULE, fineness=2)
    assert len(fine) - 1 == 2 * (len(coarse) - 1)
    np.testing.assert_allclose(fine[::2], coarse, rtol=1e-15, atol=0)
    assert_pairs(fine)


@pytest.mark.parametrize("fineness", [0.01, 0.3, 1.5, 3.7])
def test_any_fineness_keeps_the_events(fineness: float):
    grid = make_grid(0, 60, [0.7, 5.0], fineness=fineness)
    assert {0.0, 0.7, 5.0, 60.0} <= set(grid[::2])
    count = len(make_grid(0, 60, [0.7, 5.0])) - 1
    assert fineness * count <= len(grid) - 1 <= fineness * count + 3 * 2
    assert_pairs(grid)


def test_events_closer_than_the_closest_are_one():
    at = 5.0
    one = make_grid(0.0, 12.0, [0.0, at])
    apart = [make_grid(0.0, 12.0, [0.0, at, at + gap]) for gap in (0.5 * CLOSEST_H, 0.9 * CLOSEST_H)]
    for grid in apart:
        np.testing.assert_array_equal(grid, one)
    assert len(make_grid(0.0, 12.0, [0.0, at, at + 3.0 * CLOSEST_H])) == len(one) + 2


def test_of_events_that_are_one_the_most_urgent_counts():
    urgent = make_grid(0.0, 12.0, [Event(5.0, 0.01)])
    for events in (
        [Event(5.0, 0.01), Event(5.0 + 0.5 * CLOSEST_H, 3.0)],
        [Event(5.0, 3.0), Event(5.0 + 0.5 * CLOSEST_H, 0.01)],
        [Event(5.0, 3.0), Event(5.0, 0.01)],
    ):
        np.testing.assert_array_equal(make_grid(0.0, 12.0, events), urgent)


def test_events_as_close_to_the_end_as_to_be_one_with_it_make_no_step():
    plain = make_grid(0.0, 12.0, [0.0])
    np.testing.assert_array_equal(make_grid(0.0, 12.0, [0.0, 12.0, 12.0 - 0.5 * CLOSEST_H]), plain)


def test_the_order_in_which_events_are_given_moves_nothing():
    np.testing.assert_array_equal(make_grid(0, 60, SCHEDULE[::-1]), make_grid(0, 60, SCHEDULE))


def test_what_happens_later_moves_no_step_before_it():
    one, more = make_grid(0, 60, [0.0, 5.0, 30.0]), make_grid(0, 90, [0.0, 5.0, 30.0, 41.0])
    np.testing.assert_array_equal(more[more <= 30.0], one[one <= 30.0])


TIMES = st.floats(-100.0, 1000.0, allow_nan=False)
EVENTS = st.lists(st.tuples(TIMES, st.floats(1e-3, 50.0)), max_size=8)


@given(
    start_h=st.floats(-50.0, 50.0),
    length_h=st.floats(0.01, 900.0),
    drawn=EVENTS,
    fineness=st.floats(0.2, 5.0),
)
def test_any_schedule_gives_pairs_that_end_at_its_events(
    start_h: float, length_h: float, drawn: list[tuple[float, float]], fineness: float
):
    end_h = start_h + length_h
    events = [Event(*one) for one in drawn]
    grid = make_grid(start_h, end_h, events, fineness=fineness)
    assert (grid[0], grid[-1]) == (start_h, end_h)
    inside = sorted({one.time_h for one in events if start_h <= one.time_h < end_h - CLOSEST_H})
    for time_h in inside:
        assert np.abs(grid[::2] - time_h).min() < CLOSEST_H * len(inside)
    if all(b - a > 1e-6 for a, b in pairwise([start_h, *inside, end_h]) if b > a):
        assert_pairs(grid)
    assert np.diff(grid).max() <= LONGEST_H / 2 / min(fineness, 1.0) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((1.0, 1.0, []), "end_h"),
        ((0.0, np.inf, []), "end_h"),
        ((0.0, 1.0, [np.nan]), "events"),
        ((0.0, 1.0, [Event(np.inf)]), "events"),
    ],
)
def test_bad_grids_are_refused(arguments: Any, field: str):
    with pytest.raises(InvalidInputError, match=field):
        make_grid(*arguments)


@pytest.mark.parametrize("fineness", [0.0, -1.0, np.nan, np.inf])
def test_a_fineness_that_is_no_number_above_0_is_refused(fineness: float):
    with pytest.raises(InvalidInputError, match="fineness"):
        make_grid(0, 1, [], fineness=fineness)
