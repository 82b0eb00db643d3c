"""Screening: several visits, upper limits, people who are not alike, replicates, and who failed where."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from euthymia import simulate
from euthymia.errors import InvalidInputError
from euthymia.model.parameters import load_parameters
from euthymia.population.covariates import sample_patients
from euthymia.population.patient import Patient, numbers_of
from euthymia.population.screening import Entry, numbers_of_enrolled, ratings_before, screen
from euthymia.population.summary import totals

PARAMETERS = load_parameters()
TWO_VISITS = Entry(
    at_least_points=28, at_most_points=44, also=(Entry(at_least_points=24, scale="HAM-D17", day=-14),)
)


def rated(scale: str, day: float, numbers: np.ndarray, **more: Any) -> np.ndarray:
    asked: dict[str, Any] = {"numbers": numbers, "seed": 4} | more
    return ratings_before(PARAMETERS, [scale], [24 * day], **asked)[0]


def test_everybody_enrolled_meets_every_rating_and_nobody_else_before_them_does():
    found = screen(TWO_VISITS, PARAMETERS, 300, seed=4)
    everyone = np.arange(1, found.screened_count + 1)
    baseline, earlier = rated("MADRS", 0, everyone), rated("HAM-D17", -14, everyone)
    passes_first, passes_second = earlier >= 24, (baseline >= 28) & (baseline <= 44)
    assert found.numbers.tolist() == everyone[passes_first & passes_second].tolist()
    assert found.numbers[-1] == found.screened_count
    assert found.failed_counts == (int((~passes_first).sum()), int((passes_first & ~passes_second).sum()))
    assert found.screened_count == 300 + sum(found.failed_counts)


def test_how_many_are_enrolled_changes_neither_who_nor_the_count_up_to_them():
    few, many = (screen(TWO_VISITS, PARAMETERS, count, seed=4) for count in (40, 3000))
    assert few.numbers.tolist() == many.numbers[:40].tolist()
    assert few.screened_count == few.numbers[-1]


def test_each_replicate_screens_people_of_its_own_by_the_same_rule():
    found = [screen(TWO_VISITS, PARAMETERS, 200, seed=4, replicate=one) for one in (0, 1, 2**31 - 1)]
    for replicate, one in zip((0, 1, 2**31 - 1), found, strict=True):
        assert one.numbers.dtype == np.int64
        assert one.numbers.min() >= numbers_of(replicate, [1])[0]
        assert one.numbers[-1] - replicate * 2**32 == one.screened_count
        assert rated("MADRS", 0, one.numbers).min() >= 28
    within = [set((one.numbers % 2**32).tolist()) for one in found]
    assert within[0] != within[1] != within[2]


def test_rating_before_treatment_is_that_of_a_run_at_its_start():
    course = simulate(None, patients=30, entry=TWO_VISITS, days=1, variables=["severity_fraction"], seed=4)
    assert course.numbers.tolist() == screen(TWO_VISITS, PARAMETERS, 30, seed=4).numbers.tolist()
    at_start = totals(course, "MADRS", [1.0], parameters=PARAMETERS)[:, 0]
    assert at_start.tolist() == rated("MADRS", 0, course.numbers).tolist()


def test_people_who_are_not_alike_are_screened_by_their_own_ratings():
    def people(numbers: np.ndarray) -> tuple[Patient, ...]:
        return sample_patients(numbers, population="older-adult", seed=4)

    asked: dict[str, Any] = {"seed": 4, "people": people}
    found = screen(TWO_VISITS, PARAMETERS, 100, **asked)
    # what is known of people changes no rating before treatment today
    assert found.numbers.tolist() == screen(TWO_VISITS, PARAMETERS, 100, seed=4).numbers.tolist()


def test_alike_patients_are_those_of_the_former_function():
    rule = Entry(at_least_points=34)
    former = numbers_of_enrolled(rule, PARAMETERS, Patient(), 50, seed=4, start_h=0.0)
    assert former.tolist() == screen(rule, PARAMETERS, 50, seed=4).numbers.tolist()


def test_the_day_of_a_rating_counts_from_the_start_of_the_run():
    early = screen(TWO_VISITS, PARAMETERS, 50, seed=4, start_h=-240.0)
    assert rated("MADRS", -10, early.numbers).min() >= 28
    assert rated("HAM-D17", -24, early.numbers).min() >= 24


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Entry(at_least_points=34), "MADRS of 34 or more at the start"),
        (Entry(at_least_points=20, at_most_points=40), "MADRS of 20 to 40 at the start"),
        (TWO_VISITS, "HAM-D17 of 24 or more on day -14 and MADRS of 28 to 44 at the start"),
    ],
)
def test_a_rule_says_what_it_is(entry: Entry, text: str):
    assert str(entry) == text


def test_a_rule_that_contradicts_itself_is_refused():
    with pytest.raises(InvalidInputError, match="must be at most 30 or more, which it asks for at least"):
        screen(Entry(at_least_points=30, at_most_points=20), PARAMETERS, 5, seed=1)
    with pytest.raises(InvalidInputError, match=r"'count' must be 1 or more patients\. Got 0"):
        screen(TWO_VISITS, PARAMETERS, 0, seed=1)


def test_a_set_that_ends_at_concentrations_rates_nobody():
    with pytest.raises(InvalidInputError, match="'parameters' must be a set with the whole chain"):
        screen(TWO_VISITS, load_parameters("kamp-2020"), 5, seed=1)


@pytest.mark.slow
def test_twenty_thousand_are_enrolled_within_three_seconds():
    started = time.perf_counter()
    found = screen(TWO_VISITS, PARAMETERS, 20_000, seed=4)
    assert len(found.numbers) == 20_000
    assert time.perf_counter() - started < 3.0
