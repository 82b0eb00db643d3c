"""What surrounds the drug: therapy, antidepressants, visits, settings, swings of mood keyed by the day."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry import typical_values

from euthymia.dosing.drug import Treatment, treatments
from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.order import Order, Route
from euthymia.dosing.regimen import single
from euthymia.errors import InvalidInputError
from euthymia.model.course import Course, Learning, Pulse, Visit
from euthymia.population import surroundings
from euthymia.population.settings import find_setting
from euthymia.population.surroundings import (
    CONTACTS,
    PARTS,
    PREPARED_H,
    Taken,
    adapted_occupancy,
    cautions_about,
    contacts_of,
    ect_of,
    inert_of,
    learning_of,
    life_events,
    midazolam_of,
    mood_noise,
    occupancy_of,
    preparation_of,
    surround,
    therapies,
    visits_of,
)

SATURATION_H = 1.0
VALUES = typical_values()


# --- therapy ---------------------------------------------------------------------------------------


def learning(text: str, saturation_h: float = SATURATION_H) -> tuple[Learning, ...]:
    return learning_of(parse_regimen(text), saturation_h=saturation_h)


def dose_of(stretches: tuple[Learning, ...]) -> float:
    """Return the learning of all stretches together, in hours: the integral of height exp(-t / T_s)."""
    return sum(
        one.height * one.time_h * (1.0 - np.exp(-(one.end_h - one.start_h) / one.time_h)) for one in stretches
    )


def test_a_session_teaches_from_full_strength_for_as_long_as_it_lasts():
    assert learning("CBT 60 min at 24 h") == (Learning(24.0, 25.0, 1.0, SATURATION_H),)


@pytest.mark.parametrize("saturation_h", [0.5, 1.0, 4.0])
def test_a_session_teaches_the_closed_form_of_its_length(saturation_h: float):
    found = dose_of(learning("CBT 90 min", saturation_h))
    assert found == pytest.approx(saturation_h * (1.0 - np.exp(-1.5 / saturation_h)), rel=1e-12)


def test_two_sessions_of_a_day_teach_as_much_as_one_of_both_lengths():
    twice, once = learning("CBT 60 min at 1 h then at 10 h"), learning("CBT 120 min at 1 h")
    assert dose_of(twice) == pytest.approx(dose_of(once), rel=1e-12)
    assert [one.height for one in twice] == pytest.approx([1.0, np.exp(-1.0)], rel=1e-12)


def test_a_day_never_teaches_more_than_one_full_dose():
    many = learning("CBT 180 min, every 4 h x 6")
    assert len(many) == 6
    assert 0.999 * SATURATION_H < dose_of(many) < SATURATION_H


def test_the_next_day_starts_fresh_also_before_time_0():
    found = learning("CBT 60 min, daily x 4 from -2 d")
    assert [one.start_h for one in found] == [-48.0, -24.0, 0.0, 24.0]
    assert [one.height for one in found] == [1.0] * 4


def test_days_end_at_midnight_of_the_clock_that_starts_at_time_0():
    assert [one.height for one in learning("CBT 60 min at 23 h then at 24 h")] == [1.0, 1.0]
    assert [one.height for one in learning("CBT 60 min at -3 h then at 3 h")] == [1.0, 1.0]
    within = [one.height for one in learning("CBT 60 min at -3 h then at -1 h")]
    assert within == pytest.approx([1.0, np.exp(-1.0)], rel=1e-12)


def test_therapies_teach_by_their_quality_and_share_one_daily_dose():
    assert learning("mindfulness 60 min")[0].height == pytest.approx(0.7, rel=1e-12)
    mixed = learning("mindfulness 60 min at 1 h; CBT 60 min at 5 h")
    assert [one.height for one in mixed] == pytest.approx([0.7, np.exp(-1.0)], rel=1e-12)


def test_a_procedure_teaches_nothing_and_uses_up_nothing():
    mixed = learning("ECT 60 min at 1 h; CBT 60 min at 5 h")
    assert mixed == (Learning(5.0, 6.0, 1.0, SATURATION_H),)
    assert learning("ECT, weekly x 2") == ()


def test_what_a_session_may_teach_has_two_ends():
    plan = parse_regimen("CBT 60 min")
    heights = [
        learning_of(plan, saturation_h=1.0, quality=f"quality_{end}") for end in ("low", "relative", "high")
    ]
    assert heights[0] == ()
    assert [one[0].height for one in heights[1:]] == [1.0, 2.0]


def test_drugs_teach_nothing():
    assert learning("ketamine 0.5 mg/kg iv over 40 min; escitalopram 10 mg po, daily x 3") == ()


# --- preparation -------------------------------------------------------------------------------------


def prepared(text: str) -> tuple[Pulse, ...]:
    return preparation_of(parse_regimen(text))


def test_one_session_prepares_by_half_from_its_end_for_four_weeks():
    assert prepared("preparation 90 min at 24 h") == (Pulse(25.5, 25.5 + PREPARED_H, 0.5),)


def test_each_session_of_preparation_adds_its_share_of_what_is_missing_and_wears_off_alone():
    found = prepared("preparation 60 min at -48 h then at -24 h")
    ends = (-47.0, -23.0)
    assert [(one.start_h, one.end_h) for one in found] == [
        (ends[0], ends[1]),
        (ends[1], ends[0] + PREPARED_H),
        (ends[0] + PREPARED_H, ends[1] + PREPARED_H),
    ]
    assert [one.height for one in found] == pytest.approx([0.5, 0.75, 0.5], rel=1e-14)


def test_no_other_session_prepares():
    others = "; ".join(f"{name} 60 min" for name in therapies() if name != "preparation")
    assert prepared(others) == ()
    assert learning("preparation 60 min") == ()


# --- antidepressants -------------------------------------------------------------------------------


def occupancy(text: str) -> tuple[Pulse, ...]:
    return occupancy_of(parse_regimen(text))


def test_daily_doses_merge_into_one_stretch_of_occupancy():
    assert occupancy("escitalopram 10 mg po, daily x 30") == (Pulse(0.0, 720.0, 0.8),)


def test_a_stretch_ends_a_day_after_the_last_dose_and_a_pause_shows():
    found = occupancy("escitalopram 10 mg po, every 48 h x 2")
    assert found == (Pulse(0.0, 24.0, 0.8), Pulse(48.0, 72.0, 0.8))


def test_another_dose_starts_another_stretch():
    found = occupancy("escitalopram 10 mg po, daily x 2 then escitalopram 20 mg po, daily x 2")
    assert [(one.start_h, one.end_h) for one in found] == [(0.0, 48.0), (48.0, 96.0)]
    assert [one.height for one in found] == pytest.approx([0.8, 8 / 9], rel=1e-12)


def test_two_half_doses_a_day_occupy_as_much_as_one_in_the_middle_of_a_course():
    found = occupancy("escitalopram 5 mg po, twice daily x 6")
    assert [(one.start_h, one.end_h) for one in found] == [(0.0, 12.0), (12.0, 72.0), (72.0, 84.0)]
    assert [one.height for one in found] == pytest.approx([2 / 3, 0.8, 2 / 3], rel=1e-12)


def test_two_antidepressants_compete_for_one_site():
    found = occupancy("escitalopram 10 mg po, daily x 3; sertraline 50 mg po, daily x 3 from 1 d")
    assert [(one.start_h, one.end_h) for one in found] == [(0.0, 24.0), (24.0, 72.0), (72.0, 96.0)]
    assert [one.height for one in found] == pytest.approx([0.8, 8 / 9, 0.8], rel=1e-12)


@given(doses=st.lists(st.sampled_from([2.5, 5.0, 10.0, 20.0, 40.0]), min_size=1, max_size=4))
def test_more_antidepressant_occupies_more_and_never_all(doses: list[float]):
    heights = [occupancy(f"escitalopram {dose} mg po")[0].height for dose in sorted(set(doses))]
    together = occupancy("; ".join(f"escitalopram {dose} mg po" for dose in doses))
    assert heights == sorted(heights)
    assert len(together) == 1
    assert heights[-1] <= together[0].height < 1.0


def test_every_antidepressant_at_its_minimum_dose_occupies_80_percent():
    for text in (
        *("escitalopram 10 mg", "sertraline 50 mg", "fluoxetine 20 mg", "venlafaxine 75 mg"),
        "duloxetine 60 mg",
    ):
        assert occupancy(f"{text} po")[0].height == pytest.approx(0.8, rel=1e-12), text


def test_an_antidepressant_by_weight_is_refused():
    with pytest.raises(InvalidInputError, match="'sertraline' must be given in mg a day"):
        occupancy("sertraline 1 mg/kg po")


# --- antidepressants that are taken already ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "drug", "daily_mg", "until_h"),
    [
        ("escitalopram 10 mg", "escitalopram", 10.0, np.inf),
        ("  Escitalopram  7.5mg ", "escitalopram", 7.5, np.inf),
        ("sertraline 50 mg until day 14", "sertraline", 50.0, 336.0),
        ("VENLAFAXINE 150 MG UNTIL DAY 0.5", "venlafaxine", 150.0, 12.0),
    ],
)
def test_what_is_taken_already_is_read_from_words(text: str, drug: str, daily_mg: float, until_h: float):
    found = Taken.create(text)
    assert (found.drug, found.daily_mg, found.until_h) == (drug, daily_mg, until_h)
    assert Taken.create(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        *("escitalopram", "10 mg", "escitalopram 10", "escitalopram 0.1 mg/kg", "escitalopram -10 mg"),
        *(
            "escitalopram 10 mg until tomorrow",
            "escitalopram 10 mg until day -3",
            "escitalopram 10 mg po",
            "",
        ),
    ],
)
def test_what_is_no_drug_with_a_daily_dose_is_refused(text: str):
    with pytest.raises(InvalidInputError, match=r"'already on' must be drug and dose a day in mg"):
        Taken.create(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("escitalopran 10 mg", "Did you mean 'escitalopram'"),
        ("ketamine 35 mg", "Unknown antidepressant 'ketamine'. Did you mean 'sertraline'"),
        ("placebo 10 mg", "Unknown antidepressant 'placebo'"),
    ],
)
def test_what_is_no_antidepressant_is_refused(text: str, message: str):
    with pytest.raises(InvalidInputError, match=message):
        Taken.create(text)


def test_a_dose_of_nothing_is_refused():
    with pytest.raises(InvalidInputError, match=r"'amount' of escitalopram must be .*Got 0"):
        Taken.create("escitalopram 0 mg")


def already(*texts: str) -> tuple[Taken, ...]:
    return tuple(Taken.create(text) for text in texts)


def test_what_is_taken_already_occupies_from_the_start_to_its_end_or_past_that_of_the_run():
    span = {"start_h": -24.0, "end_h": 240.0}
    (stopped,) = occupancy_of(None, already("escitalopram 10 mg until day 5"), **span)
    assert stopped == Pulse(-24.0, 120.0, 0.8)
    (kept,) = occupancy_of(None, already("escitalopram 10 mg"), **span)
    assert (kept.start_h, kept.height) == (-24.0, 0.8)
    assert kept.end_h > 240.0, "the last reading of the run is taken under the drug"


def test_what_is_taken_already_competes_with_what_is_new():
    plan = parse_regimen("sertraline 50 mg po, daily x 2 from 1 d")
    found = occupancy_of(plan, already("escitalopram 10 mg until day 4"), start_h=0.0, end_h=240.0)
    assert [(one.start_h, one.end_h) for one in found] == [(0.0, 24.0), (24.0, 72.0), (72.0, 96.0)]
    assert [one.height for one in found] == pytest.approx([0.8, 8 / 9, 0.8], rel=1e-12)


def test_the_body_is_adapted_to_all_that_has_been_taken_also_where_it_ends_at_once():
    assert adapted_occupancy(()) == 0.0
    assert adapted_occupancy(already("escitalopram 10 mg")) == pytest.approx(0.8, rel=1e-14)
    both = already("escitalopram 10 mg", "sertraline 50 mg until day 0")
    assert adapted_occupancy(both) == pytest.approx(8 / 9, rel=1e-14)


def test_there_is_contact_about_a_new_antidepressant_weekly_for_a_month_while_it_is_taken():
    weeks = [168.0 * week for week in range(CONTACTS)]
    assert list(contacts_of(parse_regimen("escitalopram 10 mg po, daily x 60"))) == weeks
    assert list(contacts_of(parse_regimen("escitalopram 10 mg po, daily x 10"))) == weeks[:2]
    assert contacts_of(parse_regimen("ketamine 35 mg im; CBT 60 min")) == ()


# --- midazolam and ECT -------------------------------------------------------------------------------


def test_midazolam_by_vein_is_given_by_weight():
    plan = parse_regimen("midazolam 0.045 mg/kg iv over 40 min, weekly x 2; ketamine 35 mg im")
    doses = midazolam_of(plan, np.array([50.0, 100.0]))
    assert [dose.start_h for dose in doses] == [0.0, 168.0]
    assert [dose.duration_h for dose in doses] == pytest.approx([2 / 3, 2 / 3], rel=1e-14)
    expected = 0.045 * np.array([50.0, 100.0]) / 325.77 * 1000.0
    np.testing.assert_allclose(doses[0].amount_umol, expected, rtol=1e-12, atol=0)
    assert doses[0].route is Route.IV_INFUSION


@pytest.mark.parametrize("route", ["im", "po", "in"])
def test_midazolam_by_another_route_is_refused_with_what_to_write(route: str):
    with pytest.raises(InvalidInputError, match=r"'route' must be intravenous.*Write 'midazolam .* iv over"):
        midazolam_of(parse_regimen(f"midazolam 2 mg {route}"), np.array([70.0]))


def test_treatments_with_ect_are_found_and_are_no_visits():
    plan = parse_regimen("ECT, twice weekly x 3; ketamine 35 mg im at 2 h")
    assert ect_of(plan) == (0.0, 72.0, 168.0)
    assert visits_of(plan) == (2.0,)


# --- visits --------------------------------------------------------------------------------------------


def test_a_bolus_just_before_an_infusion_is_one_visit():
    plan = parse_regimen("ketamine 10 mg iv bolus; ketamine 0.5 mg/kg iv over 40 min at 5 min, 3 d")
    assert visits_of(plan) == (0.0, 72.0)


def test_other_drugs_occupy_nothing():
    assert occupancy("ketamine 0.5 mg/kg iv over 40 min; midazolam 2 mg im; CBT 60 min") == ()


def test_an_antidepressant_without_a_daily_dose_is_refused():
    order = Order.create(drug="escitalopram", route="oral", amount=10.0, amount_unit="mg")
    plan = single(replace(order, amount=None))
    with pytest.raises(InvalidInputError, match=r"An order of escitalopram must state its daily dose"):
        occupancy_of(plan)


def visits(text: str) -> tuple[float, ...]:
    return visits_of(parse_regimen(text))


@pytest.mark.parametrize(
    "drug", ["ketamine 35 mg im", "esketamine 84 mg in", "saline im", "placebo po", "midazolam 2 mg im"]
)
def test_a_visit_is_where_ketamine_or_what_stands_in_for_it_is_given(drug: str):
    assert visits(f"{drug}, twice weekly x 3") == (0.0, 72.0, 168.0)


def test_therapy_and_tablets_taken_at_home_are_no_visits():
    assert visits("CBT 60 min, weekly x 2; escitalopram 10 mg po, daily x 5; ECT, weekly x 2") == ()


def test_two_drugs_at_one_time_are_one_visit():
    assert visits("ketamine 35 mg im, weekly x 2; midazolam 2 mg im, weekly x 2") == (0.0, 168.0)


# --- all of it together --------------------------------------------------------------------------------

EVERYTHING = (
    "preparation 60 min at -24 h; ketamine 0.5 mg/kg iv over 40 min, weekly x 2; CBT 60 min at 30 h; "
    "escitalopram 10 mg po, daily x 3; ECT at 5 d"
)


def around(setting: str, text: str = EVERYTHING, **more: object) -> Course:
    span = {"start_h": -24.0, "end_h": 400.0}
    found = find_setting(setting)
    values = {**typical_values(), **found.values()}
    return surround(parse_regimen(text), found, values, **span, **more)  # pyright: ignore[reportArgumentType]


def test_visits_know_how_well_one_is_prepared_and_when_the_verdict_falls():
    assert around("open").visits == (Visit(0.0, 0.5, None), Visit(168.0, 0.5, None))
    verdict_h = VALUES["expectancy.verdict_after_h"]
    assert around("saline").visits == (Visit(0.0, 0.5, verdict_h), Visit(168.0, 0.5, 168.0 + verdict_h))
    late = around("open", "preparation 60 min at -24 h; ketamine 35 mg im at 0, 30 d").visits
    assert [one.preparation_fraction for one in late] == [0.5, 0.0]


def test_without_hope_there_are_no_visits_no_contacts_and_no_care():
    course = around("none")
    assert (course.visits, course.contacts_h, course.care) == ((), (), ())
    assert around("open").contacts_h == (0.0,)


def test_anaesthesia_begins_with_each_visit_and_care_with_the_course():
    asleep = around("anaesthesia")
    hours = find_setting("anaesthesia").anaesthesia_h
    assert asleep.anaesthesia == (Pulse(0.0, hours, 1.0), Pulse(168.0, 168.0 + hours, 1.0))
    assert hours > 0.0
    assert all(one.verdict_h is None for one in asleep.visits), "nobody can tell"
    assert around("saline").anaesthesia == ()
    assert around("saline+admission").care == (Pulse(0.0, 168.0, 1.0),)
    assert around("saline").care == ()


@pytest.mark.parametrize(
    ("part", "emptied"),
    [
        ("therapy", {"learning", "preparation"}),
        ("antidepressant", {"occupancy"}),
        ("expectancy", {"visits", "contacts_h"}),
        ("drug", {"ect_h"}),
    ],
)
def test_leaving_a_part_out_takes_away_what_belongs_to_it_and_nothing_else(part: str, emptied: set[str]):
    whole, less = around("saline"), around("saline", omit=(part,))
    for name in ("learning", "preparation", "occupancy", "contacts_h", "visits", "ect_h"):
        assert getattr(whole, name)
        if name in emptied:
            assert getattr(less, name) == (), name
        elif name == "visits":
            assert [one.time_h for one in less.visits] == [one.time_h for one in whole.visits]
        else:
            assert getattr(less, name) == getattr(whole, name), name
    assert part in PARTS


def test_what_is_taken_already_stays_where_new_antidepressants_are_left_out():
    course = around("open", omit=("antidepressant",), taken=already("escitalopram 10 mg"))
    assert course.adapted_occupancy_fraction == pytest.approx(0.8, rel=1e-14)
    assert [one.height for one in course.occupancy] == [0.8]


# --- what must be said ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "setting", "taken", "word"),
    [
        ("venlafaxine 75 mg, daily x 3", "open", (), "only the serotonin transporter"),
        ("ketamine 35 mg im", "open", ("duloxetine 60 mg",), "only the serotonin transporter"),
        ("midazolam 2 mg iv over 30 min", "open", (), "Midazolam: kinetics of volunteers"),
        ("ECT, weekly x 2", "open", (), "ECT is an empirical curve"),
        ("CBT 60 min", "open", (), "CBT: One randomised trial .* Quality 1 .0–2., assumed"),
        ("ketamine 35 mg im", "saline+admission", (), "care around the clock is assumed"),
        ("ketamine 35 mg im", "anaesthesia", (), "saw no benefit"),
    ],
)
def test_what_is_weak_is_said_beside_a_result(text: str, setting: str, taken: tuple[str, ...], word: str):
    said = cautions_about(parse_regimen(text), find_setting(setting), already(*taken))
    assert sum(bool(re.search(word, one)) for one in said) == 1
    plain = cautions_about(parse_regimen("ketamine 35 mg im"), find_setting("open"), ())
    assert plain == ()


# --- what has no effect ------------------------------------------------------------------------------


def inert(text: str) -> tuple[str, ...]:
    return inert_of(parse_regimen(text))


@pytest.mark.parametrize("treatment", treatments(), ids=lambda one: one.name)
def test_every_treatment_acts_and_is_not_said_to_be_without_effect(treatment: Treatment):
    plan = parse_regimen(TEXTS.get(treatment.name) or one_dose_of(treatment))
    acts = (
        visits_of(plan)
        or learning_of(plan, saturation_h=1.0)
        or preparation_of(plan)
        or occupancy_of(plan)
        or ect_of(plan)
    )
    assert acts
    assert inert_of(plan) == ()


TEXTS = {"midazolam": "midazolam 2 mg iv over 30 min", "ECT": "ECT"}


def one_dose_of(treatment: Treatment) -> str:
    if treatment.drug is None:
        return f"{treatment.name} 60 min"
    amount = "" if treatment.drug.drug_class == "placebo" else "28 mg "
    return f"{treatment.name} {amount}po"


def test_what_has_no_effect_is_said_once(monkeypatch: pytest.MonkeyPatch):
    silent = {**therapies(), "CBT": {**therapies()["CBT"], "quality_high": "0", "preparation_fraction": "0"}}
    monkeypatch.setattr(surroundings, "therapies", lambda: silent)
    monkeypatch.setattr(surroundings, "antidepressants", lambda: {"sertraline": 12.5})
    assert inert("CBT 60 min, weekly x 3; sertraline 50 mg, daily x 2; ketamine 35 mg im") == (
        "CBT has no effect in this version: it changes nothing here.",
    )
    assert inert("escitalopram 10 mg, daily x 3") == (
        "escitalopram has no effect in this version: it changes nothing here.",
    )


# --- swings of mood ----------------------------------------------------------------------------------

NUMBERS = np.arange(1, 9)


def swings(
    start_h: float, end_h: float, *, numbers: np.ndarray = NUMBERS, seed: int = 1
) -> dict[int, np.ndarray]:
    days, values = mood_noise(VALUES, numbers, seed, start_h=start_h, end_h=end_h)
    assert values.shape == (len(numbers), len(days))
    assert np.all(np.diff(days) == 1.0)
    return {int(day): values[:, place] for place, day in enumerate(days)}


@pytest.mark.parametrize(
    ("start_h", "end_h", "first", "last"),
    [(0.0, 168.0, 0, 7), (-25.0, 168.5, -2, 8), (0.0, 1.0, 0, 1), (24.0, 48.0, 0, 2), (-48.0, -24.0, -2, 1)],
)
def test_whole_days_cover_the_run(start_h: float, end_h: float, first: int, last: int):
    assert sorted(swings(start_h, end_h)) == list(range(first, last + 1))


def test_a_day_swings_alike_whatever_the_run_covers():
    long = swings(-24.0 * 9, 24.0 * 30)
    for start_h, end_h in ((0.0, 24.0), (-24.0 * 4, 24.0 * 12), (-30.0, 200.0)):
        for day, values in swings(start_h, end_h).items():
            assert np.array_equal(values, long[day]), day


def test_a_person_swings_alike_in_any_company_and_otherwise_with_another_seed():
    together, alone = swings(0.0, 240.0), swings(0.0, 240.0, numbers=NUMBERS[4:5])
    other = swings(0.0, 240.0, seed=2)
    for day, values in together.items():
        assert np.array_equal(values[4:5], alone[day])
        assert not np.array_equal(values, other[day])


def test_swings_of_virtual_patients_have_the_stated_spread_and_memory_on_both_sides_of_day_0():
    count = 5000
    found = swings(-24.0 * 5, 24.0 * 5, numbers=np.arange(1, count + 1))
    table = np.array([found[day] for day in range(-5, 6)])
    sd = VALUES["noise.mood_noise_sd_logit"]
    np.testing.assert_allclose(table.std(axis=1), sd, rtol=0, atol=5 * sd / np.sqrt(2 * count))
    days = np.arange(-5, 6)
    memory = np.exp(-24.0 * np.abs(days[:, None] - days) / VALUES["noise.mood_noise_time_h"])
    np.testing.assert_allclose(np.corrcoef(table), memory, rtol=0, atol=5 / np.sqrt(count))


# --- events of life ------------------------------------------------------------------------------------


def events_of(
    end_h: float,
    *,
    start_h: float = 0.0,
    numbers: np.ndarray = NUMBERS,
    seed: int = 1,
    rate_per_year: float = 20.0,
) -> dict[int, np.ndarray]:
    values = VALUES | {"life.event_rate_per_year": rate_per_year}
    days, loads = life_events(values, numbers, seed, start_h=start_h, end_h=end_h)
    assert loads.shape == (len(numbers), len(days))
    return {int(day): loads[:, place] for place, day in enumerate(days)}


def test_nothing_happens_before_day_1_or_without_a_rate():
    found = events_of(2400.0, start_h=-72.0)
    assert sorted(found) == list(range(-3, 101))
    assert all(np.all(found[day] == 0.0) for day in range(-3, 1))
    assert max(load.max() for load in found.values()) > 0.0
    never = events_of(2400.0, rate_per_year=0.0)
    assert all(np.all(load == 0.0) for load in never.values())


def test_a_persons_events_are_the_same_in_any_company_and_over_any_horizon():
    few, many = (events_of(2400.0, numbers=np.arange(1, count + 1)) for count in (5, 50))
    short = events_of(240.0, start_h=-30.0)
    other = events_of(2400.0, seed=2)
    for day in range(101):
        assert few[day][2] == many[day][2], day
        if day in short:
            assert np.array_equal(short[day][:5], few[day]), day
    assert any(not np.array_equal(other[day], few[day]) for day in few)


def test_events_come_at_the_stated_rate():
    people, days = 3000, 365
    rate = VALUES["life.event_rate_per_year"]
    found = events_of(24.0 * days, numbers=np.arange(1, people + 1), rate_per_year=rate)
    kept = np.exp(-24.0 / VALUES["life.event_time_h"])
    met = sum(int(np.count_nonzero(found[day] > found[day - 1] * kept + 1e-9)) for day in range(1, days + 1))
    chance = 1.0 - np.exp(-rate / 365.25)
    mean = people * days * chance
    assert abs(met - mean) < 5 * np.sqrt(mean * (1.0 - chance))
