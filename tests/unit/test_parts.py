"""What a change is made of: parts that add up, those a regimen has, bounds of therapy, doses on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from euthymia import simulate
from euthymia.dosing.notation import parse_regimen
from euthymia.errors import UnknownNameError
from euthymia.model.trajectory import Trajectory
from euthymia.population.outcomes import OnDemand
from euthymia.population.parts import NATURAL, STATUS, Parts, parts_in, take_apart
from euthymia.population.run import Life
from euthymia.population.screening import Entry
from euthymia.population.summary import value_at
from euthymia.population.surroundings import PARTS, Taken

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
EVERYTHING = f"{INFUSION}; CBT 50 min at 24 h; escitalopram 10 mg daily x 4"
HOURS = (2.0, 13.7, 24.0, 80.0, 96.0)
COMMON: Mapping[str, Any] = {"days": 4, "seed": 3, "patients": 3, "times_h": np.linspace(0.0, 96.0, 33)}
EXACT = 1e-12


def taken_apart(text: str, *, setting: str = "open", **more: Any) -> tuple[Trajectory, Parts]:
    """Return a run and what it is made of."""
    plan, common = parse_regimen(text), {**COMMON, **more}
    course = simulate(plan, setting=setting, **common)
    return course, take_apart(plan, course, setting=setting, **common)


@pytest.fixture(scope="module")
def everything() -> tuple[Trajectory, Parts]:
    return taken_apart(EVERYTHING)


# --- a change and its parts ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["madrs_points", "severity_fraction"])
def test_parts_add_up_to_the_whole_change(everything: tuple[Trajectory, Parts], name: str):
    course, parts = everything
    start = course[name][:, 0].mean()
    for hour in HOURS:
        whole = value_at(course, name, [hour]).mean() - start
        assert sum(parts.change(hour, name).values()) == pytest.approx(whole, abs=EXACT * 60.0)
        assert abs(whole) > 0.01


def test_every_part_of_everything_is_named_in_the_order_it_is_left_out(everything: tuple[Trajectory, Parts]):
    parts = everything[1]
    assert parts.names == (*PARTS, NATURAL)
    assert tuple(parts.change(24.0)) == parts.names
    assert parts.courses["therapy"] is everything[0]


def test_each_run_leaves_out_what_came_before_it(everything: tuple[Trajectory, Parts]):
    for place, course in enumerate(everything[1].courses.values()):
        left_out = {text for text in course.provenance.covariates if text.startswith("without ")}
        assert left_out == {f"without {part}" for part in PARTS[:place]}


def test_natural_course_of_virtual_patients_is_their_swing_of_mood_alone(
    everything: tuple[Trajectory, Parts],
):
    untreated = simulate(None, variables=["madrs_points"], **COMMON)
    natural = everything[1].courses[NATURAL]
    np.testing.assert_allclose(natural["madrs_points"], untreated["madrs_points"], rtol=0, atol=1e-3)
    assert abs(everything[1].change(96.0)[NATURAL]) > 0.05


@pytest.fixture(scope="module")
def typical() -> Parts:
    return taken_apart(INFUSION, patients=None)[1]


def test_natural_course_of_the_typical_patient_is_flat(typical: Parts):
    assert typical.change(24.0)[NATURAL] == pytest.approx(0.0, abs=1e-6)


def test_ketamine_and_hope_each_lower_the_score_after_a_day(typical: Parts):
    change = typical.change(24.0)
    assert tuple(change) == ("expectancy", "drug", NATURAL)
    assert change["drug"] < -1.0
    assert change["expectancy"] < -1.0


@pytest.mark.parametrize("setting", ["none", "saline"])
def test_the_drug_is_the_same_whatever_is_hoped(typical: Parts, setting: str):
    other = taken_apart(INFUSION, setting=setting, patients=None)[1]
    assert other.change(24.0)["drug"] == pytest.approx(typical.change(24.0)["drug"], abs=1e-3)


def test_what_else_a_run_was_asked_holds_for_its_parts():
    life = Life(taken=(Taken(drug="escitalopram", daily_mg=10.0),), has_events=True)
    course, parts = taken_apart(INFUSION, life=life, entry=Entry(at_least_points=28.0))
    for one in parts.courses.values():
        assert one.patients == course.patients
        assert {"already on escitalopram 10 mg", "events of life"} <= set(one.provenance.covariates)
    assert "antidepressant" not in parts.names


def test_progress_ends_with_all_runs_done():
    plan, seen = parse_regimen("CBT 50 min at 24 h"), []
    few = {**COMMON, "patients": None, "days": 2, "times_h": [0.0, 48.0]}
    course = simulate(plan, setting="none", **few)
    take_apart(plan, course, setting="none", on_done=lambda done, total: seen.append((done, total)), **few)
    assert seen == [(0, 3), (1, 3), (3, 3)]


def test_size_of_every_part_rests_on_something():
    assert set(STATUS) == {*PARTS, NATURAL}


# --- which parts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "setting", "found"),
    [
        (INFUSION, "open", ("expectancy", "drug")),
        (INFUSION, "none", ("drug",)),
        ("esketamine 84 mg in", "nasal_placebo", ("expectancy", "drug")),
        ("saline iv over 40 min", "saline", ("expectancy",)),
        ("saline iv over 40 min", "none", ()),
        ("midazolam 0.045 mg/kg iv over 40 min", "midazolam", ("expectancy", "drug")),
        ("escitalopram 10 mg daily x 3", "none", ("antidepressant",)),
        ("escitalopram 10 mg daily x 3", "open", ("antidepressant", "expectancy")),
        ("CBT 50 min at 24 h", "none", ("therapy",)),
        ("ECT at 24 h", "none", ("drug",)),
        ("ECT at 24 h; CBT 50 min at 48 h", "none", ("therapy", "drug")),
        (INFUSION, "none+admission", ("expectancy", "drug")),
        (EVERYTHING, "open+admission", PARTS),
    ],
)
def test_parts_are_those_that_the_regimen_and_the_setting_have(
    text: str, setting: str, found: tuple[str, ...]
):
    assert parts_in(parse_regimen(text), setting) == found


def test_unknown_setting_has_no_parts():
    with pytest.raises(UnknownNameError, match="Unknown setting 'hospital'"):
        parts_in(parse_regimen(INFUSION), "hospital")


# --- therapy ---------------------------------------------------------------------------------------


def test_bounds_of_therapy_enclose_it(everything: tuple[Trajectory, Parts]):
    parts = everything[1]
    for hour in HOURS:
        between = parts.therapy_between(hour)
        assert between is not None
        low, high = between
        assert low - EXACT <= parts.change(hour)["therapy"] <= high + EXACT


def test_bounds_of_therapy_are_wide(everything: tuple[Trajectory, Parts]):
    low, high = everything[1].therapy_between(96.0) or (0.0, 0.0)
    middle = everything[1].change(96.0)["therapy"]
    assert low < middle - 0.1
    assert high > middle + 0.1


def test_before_the_first_session_therapy_does_nothing(everything: tuple[Trajectory, Parts]):
    parts = everything[1]
    assert parts.change(2.0)["therapy"] == pytest.approx(0.0, abs=0.01)
    assert parts.therapy_between(2.0) == pytest.approx((0.0, 0.0), abs=0.01)


def test_without_therapy_there_are_no_bounds(typical: Parts):
    assert typical.therapy_bounds is None
    assert typical.therapy_between(24.0) is None


def test_bounds_come_in_order_whichever_end_is_the_worse(everything: tuple[Trajectory, Parts]):
    parts = everything[1]
    assert parts.therapy_bounds is not None
    least, most = parts.therapy_bounds
    turned = replace(parts, therapy_bounds=(most, least))
    assert turned.therapy_between(96.0) == parts.therapy_between(96.0)


# --- doses on demand -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_demand() -> tuple[Trajectory, Parts]:
    """Six patients of whom some are given the third and fourth dose."""
    return taken_apart(
        f"{INFUSION}, twice weekly x 4",
        days=12,
        patients=6,
        times_h=np.linspace(0.0, 288.0, 49),
        policy=OnDemand(from_h=120.0),
    )


def test_doses_on_demand_are_given_again_as_they_were(on_demand: tuple[Trajectory, Parts]):
    course, parts = on_demand
    given = course.given_fraction
    assert given is not None
    assert set(given[:, :2].ravel()) == {1.0}
    assert set(given[:, 2:].ravel()) == {0.0, 1.0}
    for one in parts.courses.values():
        assert one.given_fraction is not None
        np.testing.assert_array_equal(one.given_fraction, given)


def test_replayed_doses_give_the_same_course(on_demand: tuple[Trajectory, Parts]):
    course, _ = on_demand
    again = simulate(
        f"{INFUSION}, twice weekly x 4",
        factors=course.given_fraction,
        variables=["madrs_points"],
        **{**COMMON, "days": 12, "patients": 6, "times_h": course.times_h},
    )
    np.testing.assert_allclose(again["madrs_points"], course["madrs_points"], rtol=0, atol=0.01)


def test_parts_of_doses_on_demand_add_up(on_demand: tuple[Trajectory, Parts]):
    course, parts = on_demand
    whole = course["madrs_points"][:, -1].mean() - course["madrs_points"][:, 0].mean()
    assert sum(parts.change(288.0).values()) == pytest.approx(whole, abs=EXACT * 60.0)
