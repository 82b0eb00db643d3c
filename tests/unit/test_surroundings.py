"""What surrounds the drug: therapy, antidepressants, visits, settings, swings of mood keyed by the day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry import typical_values

from euthymia.dosing.drug import treatments
from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.order import Order
from euthymia.dosing.regimen import single
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.model.chain import Learning, Pulse
from euthymia.population.settings import find_setting, settings
from euthymia.population.surroundings import (
    inert_of,
    learning_of,
    mood_noise,
    occupancy_of,
    visits_of,
)

SATURATION_H = 1.0


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


def test_drugs_teach_nothing():
    assert learning("ketamine 0.5 mg/kg iv over 40 min; escitalopram 10 mg po, daily x 3") == ()


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


# --- visits and settings -----------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", settings())
def test_the_belief_of_a_setting_is_that_of_its_row(name: str):
    found = find_setting(name)
    assert found.prior_belief_fraction == float(settings()[name]["prior_belief_fraction"])
    assert 0.0 <= found.prior_belief_fraction <= 1.0
    assert found.name == name


def test_an_unknown_setting_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Unknown setting 'salin'. Did you mean 'saline'"):
        find_setting("salin")


# --- what has no effect ------------------------------------------------------------------------------


def inert(text: str) -> tuple[str, ...]:
    return inert_of(parse_regimen(text))


def test_what_has_no_effect_is_said_once():
    assert inert("ECT, weekly x 3") == ("ECT has no effect in this version: it changes nothing here.",)
    assert inert("midazolam 2 mg im, weekly x 3") == (
        "midazolam counts as a visit only: its own effects are not in this version.",
    )


@pytest.mark.parametrize("treatment", treatments(), ids=lambda one: one.name)
def test_every_treatment_either_acts_or_is_said_not_to(treatment: object):
    name = treatment.name  # pyright: ignore[reportAttributeAccessIssue]
    drug = treatment.drug  # pyright: ignore[reportAttributeAccessIssue]
    amount = "" if drug is not None and drug.drug_class == "placebo" else "28 mg "
    text = f"{name} 60 min" if drug is None else f"{name} {amount}po"
    plan = parse_regimen(text)
    acts = bool(learning_of(plan, saturation_h=1.0) or occupancy_of(plan))
    acts = acts or (drug is not None and drug.drug_class in ("ketamine", "placebo"))
    assert acts != bool(inert_of(plan))


# --- swings of mood ----------------------------------------------------------------------------------

NUMBERS = np.arange(1, 9)
VALUES = typical_values()


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
