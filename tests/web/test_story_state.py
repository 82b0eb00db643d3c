"""The state of the story: links keep it, doses stay within studied ones, plans are regimens."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.errors import InvalidInputError
from euthymia.evidence.stated import stated_rows
from euthymia.evidence.studies import load_studies
from euthymia.tables import read_table
from euthymia.web.story.state import RouteChoice, State, asked_state, route_choices
from euthymia.web.story.ways import ROUTE_ROWS

CHOICES = tuple(route_choices().values())
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def _studied(basis: str) -> list[float]:
    """Return the doses that a row or study names."""
    if basis in load_studies():
        arms = [one for one in load_studies()[basis].arms if "ketamine" in one.drug]
        return [float(found) for one in arms for found in NUMBER.findall(one.dose)]
    row = next(one for table in ("pk", "safety") for one in stated_rows(table) if one.row_id == basis)
    return [float(found) for found in NUMBER.findall(str(row.fields["dose"]))]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda one: one.name)
def test_the_smallest_and_the_largest_dose_of_a_route_were_studied(choice: RouteChoice):
    studied = [dose for basis in choice.basis for dose in _studied(basis)]
    assert choice.low == min(studied)
    assert choice.high == max(studied)
    assert choice.low <= choice.default <= choice.high


@pytest.mark.parametrize("choice", CHOICES, ids=lambda one: one.name)
def test_a_dose_beyond_the_studied_ones_is_refused_with_both_limits(choice: RouteChoice):
    for dose in (choice.low * 0.9, choice.high * 1.1):
        with pytest.raises(InvalidInputError, match=f"'dose' must be {choice.low:g}–{choice.high:g}"):
            State.create(route=choice.name, dose=dose)


def test_every_route_has_its_row_of_facts():
    assert set(ROUTE_ROWS) == set(route_choices())
    assert set(ROUTE_ROWS.values()) <= {row["route"] for row in read_table("routes.csv")}


def test_a_first_visit_needs_no_query():
    assert State().query == ""
    assert State.create() == State()


@given(
    route=st.sampled_from(sorted(route_choices())),
    share=st.floats(0, 1),
    sessions=st.sampled_from([1, 2, 4, 6, 8]),
    therapy=st.sampled_from(["none", "CBT", "meaning-centred therapy"]),
    day=st.integers(1, 28),
    hypertension=st.booleans(),
    stress=st.sampled_from([0.0, 0.5, 3.0]),
)
def test_a_link_keeps_the_state(route, share, sessions, therapy, day, hypertension, stress):
    choice = route_choices()[route]
    dose = round(choice.low + share * (choice.high - choice.low), 3)
    state = State.create(
        route=route,
        dose=dose,
        sessions=sessions,
        therapy=therapy,
        therapy_day=day,
        hypertension=hypertension,
        stress=stress,
    )
    kept = {name: values[0] for name, values in parse_qs(state.query.removeprefix("?")).items()}
    typed = {
        name: value == "true" if name == "hypertension" else type(getattr(State(), name))(value)
        for name, value in kept.items()
    }
    assert State.create(**typed) == state


@pytest.mark.parametrize("choice", CHOICES, ids=lambda one: one.name)
@pytest.mark.parametrize("sessions", [1, 8])
def test_plans_are_regimens(choice: RouteChoice, sessions: int):
    state = State.create(
        route=choice.name, sessions=sessions, ssri="started", therapy="CBT", therapy_day=3, upkeep="weekly"
    )
    for text in (state.plan, state.with_upkeep):
        plan = parse_regimen(text)
        assert parse_regimen(print_regimen(plan)) == plan
    first = [start for start, item in parse_regimen(state.plan).items if hasattr(item, "therapy")]
    assert min(first) == state.last_session_h + 72.0


def test_a_change_of_route_forgets_the_dose_of_the_one_before():
    asked = asked_state(route="nasal", dose=0.5, was_route="infusion")
    assert asked.dose == route_choices()["nasal"].default
    assert asked_state(route="nasal", dose=84.0, was_route="nasal").dose == 84.0
