"""Long-term harms: what their table says, exposure of a course, and probabilities that follow from both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.citations import load_sources
from euthymia.cli.harms import exposure_rows, harm_heads, harm_rows, harm_section
from euthymia.dosing.notation import parse_regimen
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.evidence.facts import load_acute_facts
from euthymia.population.harms import (
    DAYS_PER_YEAR,
    MEASURES,
    WHAT_IT_RESTS_ON,
    Bounds,
    Exposure,
    LongTermHarms,
    course_of,
    exposure_of,
    harms,
    long_term_harms,
)
from euthymia.tables import read_table, read_text

ROOT = Path(__file__).resolve().parents[2]
COURSE = "ketamine 0.5 mg/kg iv over 40 min twice weekly for 4 weeks"
DAYS = (0.0, 1.0, 14.0, 28.0, 365.0)
HARMS = tuple(harms().values())
by_harm = pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.name)


def found(text: str, days: Sequence[float] = DAYS, **more: Any) -> LongTermHarms:
    return long_term_harms(parse_regimen(text), days=days, **more)


def exposure(text: str, days: Sequence[float] = DAYS, **more: Any) -> Exposure:
    return exposure_of(parse_regimen(text), days=days, **more)


def hazard(probability: np.ndarray) -> np.ndarray:
    return -np.log1p(-probability)


def driven(result: LongTermHarms, place: int) -> np.ndarray:
    """Return the part of the central cumulative hazard that exposure drives, (P, T)."""
    one = result.courses[place]
    return hazard(one.occurred.central) - hazard(one.background.central)


# --- the table -------------------------------------------------------------------------------------


def test_the_four_harms_are_shipped_and_every_cell_that_must_speak_does():
    assert list(harms()) == ["urinary symptoms", "cognitive change", "liver injury", "misuse"]
    for row in read_table("harms.csv"):
        blank = {column for column, cell in row.items() if not cell}
        assert {one for one in blank if not one.startswith("background")} <= {
            "evidence_rows",
            "compared_later",
        }
        assert len([one for one in blank if one.startswith("background")]) in (0, 3)


@by_harm
def test_every_number_is_tagged_as_assumed(harm):
    assert (harm.tag, harm.source) == ("assumed", "EuthymiaAssumed")
    assert harm.source in load_sources()
    assert harm.exposure in MEASURES


@by_harm
def test_bounds_are_in_order_and_span_a_factor_of_ten(harm):
    for bounds in (harm.background_per_year, harm.hazard_per_unit):
        if bounds is not None:
            assert 0.0 <= bounds.low < bounds.central < bounds.high < 1.0
            assert bounds.high >= 10.0 * bounds.low


@pytest.mark.parametrize("name", ["cognitive change", "liver injury", "misuse"])
def test_no_effect_of_treatment_doses_is_among_the_bounds(name: str):
    assert harms()[name].hazard_per_unit.low == 0.0


@by_harm
def test_rows_kept_for_validation_are_named_only_as_compared_later(harm):
    roles = {fact.row_id: fact.role for fact in load_acute_facts()}
    assert all(roles[row] != "validate" for row in harm.evidence_rows)
    assert all(roles[row] == "validate" for row in harm.compared_later)


def test_header_explains_every_column_that_is_not_plain():
    header = read_text("harms.csv").split("\nname,")[0]
    for word in (*MEASURES, "evidence_rows", "compared_later", "background"):
        assert word in header, word


# --- exposure --------------------------------------------------------------------------------------


def test_exposure_counts_sessions_amount_and_days():
    one = exposure(COURSE, (0.0, 6.9, 27.0, 365.0))
    assert one.sessions.tolist() == one.dose_days.tolist() == [[1.0, 2.0, 8.0, 8.0]]
    assert one.mg_per_kg == pytest.approx(np.array([[0.5, 1.0, 4.0, 4.0]]), rel=1e-12)


def test_devices_and_pieces_of_an_infusion_are_one_session():
    for text in (
        "esketamine 84 mg intranasal",
        "ketamine 0.5 mg/kg iv over 40 min paused 10-15 min",
    ):
        one = exposure(text, (1.0,))
        assert one.sessions.tolist() == one.dose_days.tolist() == [[1.0]]


def test_two_sessions_of_a_day_are_one_day():
    one = exposure("ketamine 25 mg im at 0 h, 8 h", (1.0,))
    assert (one.sessions[0, 0], one.dose_days[0, 0]) == (2.0, 1.0)


def test_amount_is_of_the_base_and_other_drugs_do_not_count():
    salt = exposure("ketamine 70 mg (hcl) im; midazolam 2 mg im; escitalopram 10 mg po", (1.0,))
    assert salt.mg_per_kg[0, 0] == pytest.approx(237.73 / 274.19, rel=1e-9)
    assert salt.sessions[0, 0] == 1.0


def test_weight_divides_a_fixed_amount_and_leaves_an_amount_per_kg():
    weight_kg = np.array([50.0, 100.0])
    fixed = exposure("ketamine 50 mg im", (1.0,), weight_kg=weight_kg)
    assert fixed.mg_per_kg[:, 0] == pytest.approx([1.0, 0.5], rel=1e-12)
    relative = exposure("ketamine 0.5 mg/kg im", (1.0,), weight_kg=weight_kg)
    assert relative.mg_per_kg[:, 0] == pytest.approx([0.5, 0.5], rel=1e-12)


def test_doses_before_time_zero_count_in_full():
    assert exposure("ketamine 0.5 mg/kg im at -48 h, 24 h", (0.0, 1.0)).sessions.tolist() == [[1.0, 2.0]]


def test_a_factor_of_zero_is_a_dose_not_given_and_half_is_half_the_amount():
    factors = np.ones((3, 8))
    factors[1], factors[2, 4:] = 0.5, 0.0
    one = exposure(COURSE, factors=factors)
    assert one.sessions[:, -1].tolist() == one.dose_days[:, -1].tolist() == [8.0, 8.0, 4.0]
    assert one.mg_per_kg[:, -1] == pytest.approx([4.0, 2.0, 2.0], rel=1e-12)


def test_a_session_counts_while_one_of_its_devices_is_given():
    factors = np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    one = exposure("esketamine 84 mg intranasal", (1.0,), factors=factors)
    assert one.sessions[:, 0].tolist() == one.dose_days[:, 0].tolist() == [1.0, 0.0]


# --- probability -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["midazolam 2 mg im", COURSE])
def test_without_exposure_only_the_background_is_left(text: str):
    for one in found(text, factors=np.zeros((1, 8)) if text == COURSE else None).courses:
        for bound in ("low", "central", "high"):
            occurred, alone = getattr(one.occurred, bound), getattr(one.background, bound)
            assert occurred[0].tolist() == alone.tolist()
            rate = one.harm.background_per_year and getattr(one.harm.background_per_year, bound)
            expected = 1.0 - np.exp(-(rate or 0.0) * np.array(DAYS) / DAYS_PER_YEAR)
            assert alone == pytest.approx(expected, rel=1e-9, abs=1e-15)
            assert (alone[-1] > 0.0) == (one.harm.background_per_year is not None)


def test_one_harm_has_no_background():
    assert [harm.name for harm in HARMS if harm.background_per_year is None] == ["misuse"]


@by_harm
@given(amounts=st.lists(st.floats(0.0, 5000.0), min_size=2, max_size=6))
def test_probability_rises_with_exposure_and_lies_in_order(harm, amounts: list[float]):
    given_now = np.sort(np.array(amounts))[None, :]
    one = course_of(
        harm,
        Exposure(
            days=np.full(given_now.shape[1], 365.0),
            sessions=given_now,
            mg_per_kg=given_now,
            dose_days=given_now,
        ),
    )
    for values in (one.occurred.low, one.occurred.central, one.occurred.high):
        assert np.all((values >= 0.0) & (values <= 1.0))
        assert np.all(np.diff(values) >= 0.0)
    assert np.all(one.occurred.low <= one.occurred.central)
    assert np.all(one.occurred.central <= one.occurred.high)


@by_harm
def test_probability_is_the_closed_form_of_its_hazard(harm):
    days, units = np.array([DAYS_PER_YEAR]), np.array([[30.0]])
    one = course_of(harm, Exposure(days=days, sessions=units, mg_per_kg=units, dose_days=units))
    base = harm.background_per_year or Bounds(low=0.0, central=0.0, high=0.0)
    for bound in ("low", "central", "high"):
        total = getattr(base, bound) + 30.0 * getattr(harm.hazard_per_unit, bound)
        assert getattr(one.occurred, bound)[0, 0] == pytest.approx(1.0 - np.exp(-total), rel=1e-9, abs=1e-15)


def test_twice_the_sessions_double_what_exposure_drives():
    once = found("ketamine 0.5 mg/kg im weekly for 4 weeks", (60.0,))
    twice = found("ketamine 0.5 mg/kg im weekly for 8 weeks", (60.0,))
    for place in range(len(HARMS)):
        assert driven(twice, place) == pytest.approx(2.0 * driven(once, place), rel=1e-9)


def test_twice_the_amount_doubles_only_what_follows_the_amount():
    once, twice = found(COURSE), found(COURSE.replace("0.5 mg/kg", "1 mg/kg"))
    for place, harm in enumerate(HARMS):
        ratio = 2.0 if harm.exposure == "mg_per_kg" else 1.0
        assert driven(twice, place) == pytest.approx(ratio * driven(once, place), rel=1e-9, abs=1e-15)


def test_factors_of_patients_are_courses_of_their_own():
    factors = np.ones((2, 8))
    factors[1, 4:] = 0.0
    both, short = found(COURSE, factors=factors), found(COURSE.replace("4 weeks", "2 weeks"))
    for many, one in zip(both.courses, short.courses, strict=True):
        assert many.occurred.central[1] == pytest.approx(one.occurred.central[0], rel=1e-12)
        assert many.occurred.central[0, -1] > many.occurred.central[1, -1]


def test_harms_can_be_chosen():
    assert [one.harm.name for one in found(COURSE, names=["misuse"]).courses] == ["misuse"]


# --- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "days", [[], [-1.0], [7.0, 1.0], [1.0, 1.0], [np.nan], [4000.0], 28.0, ["soon"], [[1.0]]], ids=str
)
def test_bad_days_are_refused(days: Any):
    with pytest.raises(InvalidInputError, match="'days' must be a list of ascending days, 0 to 3650"):
        found(COURSE, days)


@pytest.mark.parametrize("factors", [np.ones((1, 7)), np.ones(8), np.ones((2, 8, 1)), np.float64(1.0)])
def test_factors_of_another_shape_are_refused(factors: Any):
    with pytest.raises(InvalidInputError, match="patients by doses of ketamine"):
        found(COURSE, factors=factors)


def test_factors_must_fit_the_weights():
    with pytest.raises(InvalidInputError, match=r"'factors' must be \(3, 8\).* Got shape \(2, 8\)"):
        found(COURSE, factors=np.ones((2, 8)), weight_kg=np.full(3, 70.0))


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_factors_that_are_negative_or_not_finite_are_refused(value: float):
    with pytest.raises(InvalidInputError, match="'factors' must be finite, each 0 or more"):
        found(COURSE, factors=np.full((1, 8), value))


def test_weight_is_one_number_or_one_a_patient():
    with pytest.raises(InvalidInputError, match="'weight_kg' must be one weight or one a patient"):
        found(COURSE, weight_kg=np.full((2, 2), 70.0))
    with pytest.raises(InvalidInputError, match="weight_kg"):
        found(COURSE, weight_kg=700.0)


def test_unknown_harm_is_offered_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'misuse'"):
        found(COURSE, names=["misus"])


# --- what a person reads ---------------------------------------------------------------------------


def test_rows_have_a_cell_for_every_head():
    result = found(COURSE, factors=np.ones((3, 8)))
    assert harm_heads(result)[2:-1] == ["0 h", "day 1", "day 14", "day 28", "day 365"]
    assert [row[0] for row in harm_rows(result)] == list(harms())
    assert {len(row) for row in harm_rows(result)} == {len(harm_heads(result))}
    sessions = ["1 (1–1)", "1 (1–1)", "5 (5–5)", "8 (8–8)", "8 (8–8)"]
    assert exposure_rows(result)[0] == ["sessions", *sessions]


def test_cells_show_the_guesses_as_percent():
    rows = {row[0]: row for row in harm_rows(found(COURSE, (28.0,)))}
    assert rows["misuse"] == ["misuse", "sessions", "0.080 % (0–2.4 %)", "none, by definition"]
    assert rows["liver injury"][2] == "0.012 % (0.0023–0.20 %)"


def test_section_says_what_it_rests_on_and_lists_every_assumption():
    section = harm_section(found(COURSE))
    assert section.texts == WHAT_IT_RESTS_ON
    assert len(section.tables) == 3
    assert [row[0] for row in section.tables[2].rows] == list(harms())
    assert all(len(row) == len(block.heads) for block in section.tables for row in block.rows)


def test_no_text_calls_an_exposure_safe():
    page = (ROOT / "docs" / "science" / "harms.md").read_text(encoding="utf-8")
    for text in (*WHAT_IT_RESTS_ON, page):
        assert "safe" not in text.lower()
    for harm in HARMS:
        assert "safe" not in f"{harm.counts} {harm.evidence} {harm.why_wide}".lower()


def test_the_page_names_every_harm_and_what_it_follows():
    page = (ROOT / "docs" / "science" / "harms.md").read_text(encoding="utf-8").lower()
    for harm in HARMS:
        assert f"| {harm.name} |" in page
        assert harm.exposure in page
