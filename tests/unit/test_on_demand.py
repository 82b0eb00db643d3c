"""Doses on demand: who gets one at a visit is decided by the rating of that visit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from euthymia import simulate
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.model.parameters import load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population import solve as population
from euthymia.population.outcomes import OnDemand, relapse_rules, response
from euthymia.population.patient import Patient
from euthymia.population.summary import totals

TEXT = "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 4 then weekly x 5"
STARTS_H = [0.0, 72.0, 168.0, 240.0, 336.0, 504.0, 672.0, 840.0, 1008.0]
FIXED = 4
"""Doses that are given as planned."""
RULE = OnDemand(from_h=STARTS_H[FIXED])
TIMES_H = sorted({*STARTS_H, *(start + 0.6 for start in STARTS_H), 1100.0})
COUNT = 40


def run(patients: int | None = COUNT, **more: Any) -> Trajectory:
    asked: dict[str, Any] = {
        "times_h": TIMES_H,
        "days": 46,
        "variables": ["severity_fraction", "s_ketamine_site_umol_per_L"],
        "setting": "none",
        "seed": 2,
        "policy": RULE,
    }
    return simulate(TEXT, patients=patients, **(asked | more))


@pytest.fixture(scope="module")
def course() -> Trajectory:
    return run()


def holds_response(course: Trajectory) -> np.ndarray:
    """Return who is rated as a responder at each visit of doses on demand, (P, visits)."""
    days = [start / 24.0 for start in STARTS_H[FIXED:]]
    rated = totals(course, "MADRS", days, parameters=load_parameters())
    return response(rated[:, 0], rated[:, 1:], "MADRS")


def given_to(course: Trajectory) -> np.ndarray:
    assert course.given_fraction is not None
    return course.given_fraction


def test_doses_start_as_written_here(course: Trajectory):
    assert list(course.session_starts_h) == STARTS_H


def test_who_lost_the_response_gets_a_dose_at_that_very_visit_and_nobody_else_does(course: Trajectory):
    given, responds = given_to(course), holds_response(course)
    assert np.all(given[:, :FIXED] == 1.0)
    assert np.array_equal(given[:, FIXED:], np.where(responds, 0.0, 1.0))
    assert 0.2 < given[:, FIXED:].mean() < 0.9


def test_what_is_decided_is_what_is_in_the_brain(course: Trajectory):
    near_the_end = np.searchsorted(course.times_h, [start + 0.6 for start in STARTS_H])
    found = course["s_ketamine_site_umol_per_L"][:, near_the_end]
    is_given = given_to(course) > 0.0
    assert found[is_given].min() > 0.1
    assert found[~is_given].max() < 1e-3


@pytest.mark.slow
def test_a_replay_with_the_doses_that_were_given_is_the_same_to_the_byte(course: Trajectory):
    again = run(policy=None, factors=given_to(course))
    for name, values in course.values.items():
        assert again.values[name].tobytes() == values.tobytes(), name


def test_later_ratings_decide_later_doses(course: Trajectory):
    """Both happen: a dose left out and a later one given, and the other way round."""
    later = given_to(course)[:, FIXED:]
    change = np.diff(later, axis=1)
    assert (change > 0).any()
    assert (change < 0).any()


@pytest.mark.slow
def test_a_dose_that_is_left_out_moves_mood_only_from_its_visit_on(course: Trajectory):
    as_planned = run(policy=None)
    given = given_to(course)
    first_left_out = [int(np.flatnonzero(row == 0.0)[0]) if (row == 0.0).any() else None for row in given]
    assert sum(one is not None for one in first_left_out) > 10
    for patient, slot in enumerate(first_left_out):
        until_h = np.inf if slot is None else STARTS_H[slot]
        before = course.times_h <= until_h
        mood, planned = (one["severity_fraction"][patient] for one in (course, as_planned))
        assert mood[before].tobytes() == planned[before].tobytes()
        if slot is not None:
            assert not np.array_equal(mood[~before], planned[~before])


@pytest.mark.slow
@pytest.mark.parametrize(("count", "size"), [(3, 512), (8, 3)])
def test_patient_3_is_the_same_in_any_company_and_chunk(
    course: Trajectory, count: int, size: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(population, "PATIENTS_PER_CHUNK", size)
    other = run(count)
    assert other.patients[2] == "3"
    assert given_to(other).tobytes() == given_to(course)[:count].tobytes()
    for name, values in other.values.items():
        assert values[2].tobytes() == course.values[name][2].tobytes(), name


@pytest.mark.slow
def test_doses_that_are_missed_stay_missed_whatever_the_rating(course: Trajectory):
    planned = np.ones((COUNT, len(STARTS_H)))
    planned[::2, FIXED + 1] = 0.0
    planned[:, FIXED] = 0.5
    found = given_to(run(factors=planned))
    assert np.all(found[::2, FIXED + 1] == 0.0)
    assert set(found[:, FIXED]) <= {0.0, 0.5}
    assert np.array_equal(found[:, FIXED] > 0.0, given_to(course)[:, FIXED] > 0.0), "same mood until then"


@pytest.mark.slow
def test_the_typical_patient_is_rated_without_error():
    typical = run(None)
    given = given_to(typical)
    rated = 60.0 * typical["severity_fraction"][0, np.searchsorted(typical.times_h, STARTS_H)]
    has_responded = rated[0] - rated[FIXED:] >= 0.5 * rated[0]
    assert np.array_equal(given[0, FIXED:], np.where(has_responded, 0.0, 1.0))


@pytest.mark.slow
def test_a_cut_off_decides_where_the_rule_is_one():
    cut = run(policy=OnDemand(from_h=STARTS_H[FIXED], rule="MADRS 22 once"))
    days = [start / 24.0 for start in STARTS_H[FIXED:]]
    rated = totals(cut, "MADRS", days, parameters=load_parameters())[:, 1:]
    assert np.array_equal(given_to(cut)[:, FIXED:] == 1.0, rated >= 22.0)


@pytest.mark.slow
def test_a_dose_on_demand_at_once_is_given_for_nobody_has_responded_yet():
    found = run(5, policy=OnDemand(from_h=0.0))
    assert np.all(given_to(found)[:, 0] == 1.0)


def test_doses_of_one_session_are_decided_on_together():
    text = (
        "ketamine 10 mg iv bolus; ketamine 0.5 mg/kg iv over 40 min at 5 min; ketamine 35 mg im at 8 d, 15 d"
    )
    found = simulate(
        text,
        patients=20,
        policy=OnDemand(from_h=0.0),
        times_h=[0.0, 400.0],
        variables=["severity_fraction"],
    )
    given = given_to(found)
    assert given.shape == (20, 4)
    assert np.array_equal(given[:, 0], given[:, 1])


def test_the_reference_engine_is_refused():
    with pytest.raises(InvalidInputError, match=r"need the engine 'c' or 'numpy'.*'factors'"):
        run(None, engine="reference")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (OnDemand(from_h=1009.0), r"'from_h' must be before the last dose. Got 1009 h"),
        (OnDemand(from_h=0.0, rule="MADRS 22 twice"), "must be one that a single visit can meet"),
        (OnDemand(from_h=0.0, rule="response lots"), "Did you mean 'response lost'"),
    ],
)
def test_a_rule_that_decides_nothing_is_refused(rule: OnDemand, message: str):
    with pytest.raises((InvalidInputError, UnknownNameError), match=message):
        run(2, policy=rule)


def test_rules_are_definitions_of_relapse(course: Trajectory):
    assert RULE.rule in relapse_rules()
    assert any("only on demand (response lost)" in note for note in course.provenance.covariates)


def test_listed_patients_keep_the_numbers_that_key_their_draws():
    people = [Patient()] * 3
    asked: dict[str, Any] = {"times_h": [0.0, 24.0], "variables": ["severity_fraction"], "seed": 4}
    everyone = simulate(TEXT, patients=[Patient()] * 9, **asked)
    some = simulate(TEXT, patients=people, numbers=[9, 2, 5], **asked)
    assert some.patients == ("9", "2", "5")
    assert (some["severity_fraction"] == everyone["severity_fraction"][[8, 1, 4]]).all()


@pytest.mark.parametrize("numbers", [[1, 2], [0, 1, 2], [1.5, 2, 3]])
def test_numbers_are_whole_and_one_a_patient(numbers: list[Any]):
    with pytest.raises(InvalidInputError, match="numbers"):
        simulate(TEXT, patients=[Patient()] * 3, numbers=numbers, times_h=[0.0])
