"""Ideation of a group: who has any at the start, its mean change, and the days in which it comes back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.by_hand import run_of

from euthymia.model.parameters import load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population.ideation import Ideators, among_ideators, window_of_return
from euthymia.population.summary import totals

PARAMETERS = load_parameters()
DAY_H = 24.0
MOST_POINTS = 38.0


def course_of(points: np.ndarray, *, sessions_h: tuple[float, ...] = (0.0,)) -> Trajectory:
    """Return a run whose patients have these expected SSI totals on whole days, (P, days)."""
    return run_of("suicidal_ideation_fraction", points / MOST_POINTS, sessions_h=sessions_h)


def group(
    points: list[float], *, every_h: float = DAY_H, last_dose_h: float | None = 0.0, start_h: float = 0.0
) -> Ideators:
    """Return a group whose mean SSI goes through some points at equal intervals."""
    return Ideators(
        regimen="by hand",
        count=1,
        times_h=start_h + every_h * np.arange(len(points), dtype=float),
        mean_points=np.array(points, float),
        start_points=points[0],
        days=(1.0,),
        changes=np.zeros(1),
        last_dose_h=last_dose_h,
    )


# --- who has any -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed() -> Trajectory:
    """Forty people: half with an SSI of 20 that falls by 2 a day, half with none."""
    falling = np.linspace(20.0, 0.0, 11)
    return course_of(np.vstack([np.tile(falling, (20, 1)), np.zeros((20, 11))]))


def test_only_those_with_ideation_at_the_start_are_followed(mixed: Trajectory):
    found = among_ideators(mixed, parameters=PARAMETERS, days=(1.0, 5.0))
    assert found.count == 20
    assert_allclose(found.mean_points, np.linspace(20.0, 0.0, 11), rtol=0, atol=1e-12)
    assert (found.regimen, found.last_dose_h) == ("by hand", 0.0)


def test_changes_are_means_of_what_raters_write_down(mixed: Trajectory):
    found = among_ideators(mixed, parameters=PARAMETERS, days=(1.0, 5.0))
    assert found.days == (1.0, 5.0, 10.0)  # the last day of the run too
    rated = totals(mixed, "SSI", found.days, parameters=PARAMETERS)[:20]
    assert found.start_points == rated[:, 0].mean()
    assert found.changes.tolist() == (rated[:, 1:] - rated[:, :1]).mean(axis=0).tolist()
    assert_allclose(found.changes, [-2.0, -10.0, -20.0], rtol=0, atol=1.0)


def test_days_that_the_run_does_not_reach_are_left_out(mixed: Trajectory):
    found = among_ideators(mixed, parameters=PARAMETERS, days=(1.0, 10.0, 28.0))
    assert (found.days, len(found.changes)) == ((1.0, 10.0), 2)


def test_the_cut_is_a_rated_total_of_four():
    course = course_of(np.tile(np.linspace(0.0, 8.0, 60)[:, None], (1, 3)))
    rated = totals(course, "SSI", (1.0,), parameters=PARAMETERS)[:, 0]
    found = among_ideators(course, parameters=PARAMETERS, days=(1.0,))
    assert found.count == (rated >= 4.0).sum()
    assert 0 < found.count < 60
    assert found.start_points == rated[rated >= 4.0].mean()


def test_a_group_without_ideation_is_empty_and_has_no_means():
    found = among_ideators(course_of(np.zeros((5, 4))), parameters=PARAMETERS, days=(1.0,))
    assert found.count == 0
    assert np.isnan([found.start_points, *found.changes, *found.mean_points]).all()
    assert window_of_return(found) is None


def test_last_dose_is_that_of_the_last_session_if_any():
    points = np.full((2, 4), 20.0)
    asked = {"parameters": PARAMETERS, "days": (1.0,)}
    assert among_ideators(course_of(points, sessions_h=(0.0, 48.0)), **asked).last_dose_h == 48.0
    assert among_ideators(course_of(points, sessions_h=()), **asked).last_dose_h is None


# --- the window of return --------------------------------------------------------------------------


def test_window_lasts_from_the_lowest_mean_until_half_of_the_gain_is_lost():
    assert window_of_return(group([20.0, 10.0, 8.0, 9.0, 13.0, 14.0, 18.0, 20.0])) == (2.0, 5.0)


def test_window_is_looked_for_after_the_last_dose_only():
    points = [20.0, 4.0, 19.0, 12.0, 10.0, 12.0, 16.0]
    assert window_of_return(group(points, last_dose_h=2 * DAY_H)) == (4.0, 6.0)
    assert window_of_return(group(points)) == (1.0, 2.0)


def test_gain_counts_from_the_start_of_the_run():
    points = [20.0, 10.0, 12.0, 8.0, 11.0, 14.0]
    assert window_of_return(group(points, last_dose_h=2 * DAY_H)) == (3.0, 5.0)


def test_window_is_in_days_since_time_0():
    points = [20.0, 10.0, 12.0, 16.0]
    assert window_of_return(group(points, every_h=6.0)) == (0.25, 0.75)
    assert window_of_return(group(points, start_h=-DAY_H, last_dose_h=-DAY_H)) == (0.0, 2.0)


@pytest.mark.parametrize(
    "one",
    [
        group([20.0, 10.0, 12.0, 20.0], last_dose_h=None),
        group([20.0, 10.0, 11.0, 14.9]),
        group([20.0, 20.0, 20.0]),
        group([20.0, 21.0, 25.0]),
        group([20.0, 15.0, 10.0]),
    ],
    ids=["no dose", "not half lost", "no gain", "a rise", "still falling"],
)
def test_without_a_gain_that_is_lost_there_is_no_window(one: Ideators):
    assert window_of_return(one) is None
