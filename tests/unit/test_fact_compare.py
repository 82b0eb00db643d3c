"""Published facts beside the model: nothing dropped, closed rows closed, misfits explained one by one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from euthymia import simulate
from euthymia.cli.evidence import run_of as words_of_run
from euthymia.evidence import fact_compare, fact_courses
from euthymia.evidence.fact_compare import (
    _WORDS,
    CLOSED,
    NOT_REPRODUCED,
    REPRODUCED,
    FactComparison,
    Table,
    _statistic,
    compare_facts,
    facts_of,
    is_closed,
    is_misfit,
    kind_of,
    verdict_of,
)
from euthymia.evidence.fact_courses import (
    MOST_PATIENTS,
    FactCourse,
    held_at,
    needs_of,
    other_scene_of,
    scene_of,
    setting_of,
    simulate_scenes,
)
from euthymia.evidence.fact_records import STATISTICS, FactRow, FactRun, Override, Reference, read_overrides
from euthymia.evidence.fact_statistics import _MEASURES, crossing_h, statistic_of
from euthymia.evidence.facts import comparable_runs
from euthymia.model.parameters import load_parameters
from euthymia.population.observation import OBSERVED, VITAL_SIGNS
from euthymia.tables import read_table

TABLES: tuple[Table, ...] = ("mechanism", "safety", "efficacy")
INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
EACH_TABLE = pytest.mark.parametrize("table", TABLES)


def fact(row_id: str) -> FactRow:
    return next(row for table in TABLES for row in facts_of(table) if row.row_id == row_id)


def run_of(row_id: str, part: str = "a") -> FactRun:
    return next(run for run in fact(row_id).runs if run.part == part)


def compared(table: Table, *row_ids: str) -> dict[str, FactComparison]:
    found = compare_facts(table, [fact(row_id) for row_id in row_ids])
    return {f"{one.row_id}{one.part}": one for one in found}


@cache
def everything_open(table: Table) -> tuple[FactComparison, ...]:
    return compare_facts(table, [row for row in facts_of(table) if not is_closed(table, row)])


@pytest.fixture
def unsimulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every value of the model be 1, without running it."""
    monkeypatch.setattr(fact_compare, "simulate_scenes", lambda *_, **__: {})
    monkeypatch.setattr(fact_compare, "statistic_of", lambda *_: 1.0)


# --- completeness ------------------------------------------------------------------------------


@EACH_TABLE
@pytest.mark.usefixtures("unsimulated")
def test_every_part_of_every_row_appears_in_the_order_of_the_table(table: Table):
    expected = [(row.row_id, run.part) for row in facts_of(table) for run in row.runs]
    assert [(one.row_id, one.part) for one in compare_facts(table)] == expected


@EACH_TABLE
@pytest.mark.usefixtures("unsimulated")
def test_facts_that_cannot_be_compared_stay_with_their_reason(table: Table):
    reasons = {
        (row.row_id, run.part): run.reason for row in facts_of(table) for run in row.runs if run.reason
    }
    left = {(one.row_id, one.part): one for one in compare_facts(table) if not one.variable}
    assert {key: one.verdict for key, one in left.items()} == {
        key: f"not comparable: {reason}" for key, reason in reasons.items()
    }
    assert all(one.simulated is None and not is_misfit(one) for one in left.values())


@pytest.mark.usefixtures("nothing_is_frozen")
@pytest.mark.usefixtures("unsimulated")
def test_validating_acute_facts_show_neither_printed_value_nor_verdict():
    rows = {row.row_id: row for row in facts_of("safety")}
    shut = [one for one in compare_facts("safety") if one.role == "validate" and one.variable]
    assert len(shut) == 83
    for one in shut:
        assert (one.verdict, one.low, one.high, one.kind) == (CLOSED, None, None, "")
        assert (one.assumption, one.comment) == ("", "")
        assert not is_misfit(one)
        printed = rows[one.row_id].printed
        drug = " ".join(filter(None, (printed["drug"], printed["route"], printed["dose"])))
        given = f"{printed['comparator']}, beside {drug}" if one.regimen.startswith("placebo") else drug
        assert one.fact == f"{printed['measure']}: {given}"


@pytest.mark.usefixtures("unsimulated")
def test_the_placebo_part_of_a_fact_states_what_was_printed_for_placebo():
    parts = compare_facts("safety", [fact("AE-BLOOD-014")])
    assert [one.fact for one in parts] == [
        "largest mean maximum SBP rise: esketamine IN: 13.3 mmHg",
        "largest mean maximum SBP rise: placebo, beside esketamine IN: 6.1 mmHg",
    ]


@EACH_TABLE
@pytest.mark.usefixtures("unsimulated")
def test_every_fact_says_what_it_is_about_and_how_well_it_was_read(table: Table):
    found = compare_facts(table)
    assert all(one.topic and one.grade for one in found)
    assert all(one.source for one in found if not one.grade.startswith("recalled"))


@pytest.mark.usefixtures("unsimulated")
def test_mechanism_facts_are_open_whatever_their_role():
    found = [one for one in compare_facts("mechanism") if one.variable]
    assert {one.role for one in found} >= {"validate", "calibrate"}
    assert all(one.verdict in (REPRODUCED, NOT_REPRODUCED) for one in found)


def test_every_statistic_of_the_vocabulary_can_be_read_off():
    assert set(_MEASURES) == set(STATISTICS)


# --- verdicts ----------------------------------------------------------------------------------


def judged(statistic: str, low: float | None, high: float | None, simulated: float | None) -> str:
    run = replace(run_of("Q019"), statistic=statistic, expected_low=low, expected_high=high)
    return verdict_of(run, simulated)


@pytest.mark.parametrize(
    ("statistic", "low", "high", "simulated", "is_met"),
    [
        ("value_at", 1.0, 2.0, 1.0, True),
        ("value_at", 1.0, 2.0, 2.0, True),
        ("value_at", 1.0, 2.0, 2.001, False),
        ("value_at", 1.0, None, 5.0, True),
        ("value_at", None, 2.0, 2.1, False),
        ("value_at", 10.0, 10.0, 11.99, True),
        ("value_at", 10.0, 10.0, 12.01, False),
        ("value_at", 10.0, 10.0, 8.34, True),
        ("value_at", 10.0, 10.0, 8.32, False),
        ("correlation", -0.4, -0.4, -0.4, True),
        ("correlation", -0.4, -0.4, 0.4, False),
        ("value_at", 0.0, 0.0, 0.001, False),
        ("value_at", 0.0, 0.0, 0.0, True),
        ("share_above", 0.03, 0.03, 0.04, True),
        ("share_above", 0.03, 0.03, 0.041, False),
        ("share_above", 0.0, 0.0, 0.01, True),
        ("share_above", 0.003, 0.004, 0.0, False),
        ("increases", 0.0, None, 1e-9, False),
        ("increases", 0.0, None, 1e-3, True),
        ("increases", 0.0, None, -1e-3, False),
        ("decreases", None, 0.0, -1e-9, False),
        ("decreases", None, 0.0, -1e-3, True),
        ("contrast_at", None, 0.0, -1e-9, False),
        ("contrast_at", -7.3, -0.6, -0.7, True),
        ("return_by_h", 0.0, 2.0, None, False),
    ],
)
def test_bounds_decide_and_a_number_without_spread_is_met_within_a_fifth(
    statistic: str, low: float | None, high: float | None, simulated: float | None, *, is_met: bool
):
    assert judged(statistic, low, high, simulated) == (REPRODUCED if is_met else NOT_REPRODUCED)


@pytest.mark.parametrize(
    ("statistic", "low", "high", "kind"),
    [
        ("increases", 0.0, None, "direction"),
        ("correlation", -1.0, 0.0, "direction"),
        ("contrast_at", None, 0.0, "direction"),
        ("contrast_at", -7.3, -0.6, "number"),
        ("peak_ratio", 1.0, None, "direction"),
        ("ratio_at", 0.0, 1.0, "direction"),
        ("ratio_at", 1.13, None, "number"),
        ("value_at", 0.0, 0.8, "number"),
        ("value_at", 0.0, 0.0, "number"),
        ("time_of_peak_h", 0.0, 1.0, "number"),
    ],
)
def test_bounds_without_a_size_are_a_direction(statistic: str, low: float, high: float | None, kind: str):
    run = replace(run_of("Q019"), statistic=statistic, expected_low=low, expected_high=high)
    assert kind_of(run) == kind


def test_every_statistic_has_its_words():
    assert set(_WORDS) == set(STATISTICS)


@pytest.mark.parametrize(
    ("row_id", "part", "words"),
    [
        ("Q008", "a", "change, at balance"),
        ("Q022", "a", "at 3.22 h, over its start"),
        ("Q046", "a", "change at 4.5 h, over the change at 24 h"),
        ("Q018", "a", "peak over that with ketamine 0.1 mg/kg iv over 40 min"),
        ("Q018", "b", "time of the peak less that of severity_fraction"),
        ("Q031", "a", "change at 4 h: correlation over patients with that of madrs_points at 4 h"),
        ("Q058", "b", "change, at 840 h, against 576 h"),
        ("Q098", "a", "share of patients who have lost 50 % at 24 h"),
        ("AE-DISSO-030", "a", "back within 25 % of its peak"),
        ("AE-DISSO-035", "a", "peak within 0–6 h"),
        ("AE-BLOOD-006", "a", "share of patients whose reading reaches 180 at least once"),
        ("T0103", "a", "change at 24 h, less that with midazolam 0.045 mg/kg iv over 40 min"),
        ("P0036", "a", "change at 24 h, less that with saline iv over 40 min in setting saline"),
        ("C0036", "a", "share of those with a response at 288 h who relapse (response lost) by 696 h"),
        ("Q040", "a", f"change at 24 h, over that with {INFUSION} and nothing changed"),
    ],
)
def test_what_is_read_off_stands_in_words(row_id: str, part: str, words: str):
    assert _statistic(run_of(row_id, part)) == words


# --- reading off a course that is known --------------------------------------------------------

TIMES_H = np.linspace(0.0, 10.0, 1001)


def known_course(**values: np.ndarray) -> FactCourse:
    patients = len(next(iter(values.values())))
    return FactCourse(
        times_h=TIMES_H,
        values=values,
        starts_h=(0.0, 5.0),
        numbers=np.arange(1, patients + 1),
        parameters=load_parameters(),
    )


def read_off(statistic: str, *courses: FactCourse, **changes: object) -> float | None:
    """Return a statistic of a course and of the other regimen's, or of one that stands for both."""
    plain = dict.fromkeys(("threshold", "from_h", "to_h", "patients_count", "steady_at_umol_per_L"))
    given = {"variable": "glutamate_surge_relative", "reference": Reference(kind="baseline"), **plain}
    run = replace(run_of("Q019"), statistic=statistic, **(given | changes))
    return statistic_of(run, {other_scene_of(run): courses[-1], scene_of(run): courses[0]})


def tent(height: float, at_h: float = 2.0, end_h: float = 6.0) -> np.ndarray:
    """Rise from 1 in a straight line to a peak, and fall back in another."""
    return 1.0 + height * np.clip(np.minimum(TIMES_H / at_h, (end_h - TIMES_H) / (end_h - at_h)), 0.0, None)


@pytest.mark.parametrize(
    ("statistic", "changes", "by_hand"),
    [
        ("value_at", {"from_h": 1.0, "to_h": 1.0}, 3.0),
        ("value_at", {"from_h": 0.0, "to_h": 2.0}, 3.0),
        ("value_at", {"from_h": 2.0, "to_h": 6.0}, 3.0),
        ("rise_at", {"from_h": 1.0, "to_h": 1.0}, 2.0),
        ("increases", {"from_h": 1.0, "to_h": 1.0}, 2.0),
        ("ratio_at", {"from_h": 2.0, "to_h": 2.0, "reference": Reference(kind="time", at_h=1.0)}, 5.0 / 3.0),
        ("rise_ratio_at", {"from_h": 1.0, "to_h": 1.0, "reference": Reference(kind="time", at_h=2.0)}, 0.5),
        ("no_change", {"from_h": 8.0, "to_h": 8.0}, 1.0),
        ("peak", {}, 5.0),
        ("peak", {"from_h": 4.0, "to_h": 10.0}, 3.0),
        ("peak_ratio", {}, 5.0),
        ("peak_ratio", {"reference": Reference(kind="regimen", regimen="other")}, 1.0),
        ("time_of_peak_h", {}, 2.0),
        ("onset_h", {"threshold": 0.25}, 0.5),
        ("return_by_h", {"threshold": 0.25}, 5.0),
        ("maximum_rise", {}, 4.0),
        ("ratio_last_to_first", {}, 0.25),
    ],
)
def test_statistics_of_a_tent_are_those_worked_out_by_hand(
    statistic: str, changes: dict[str, object], by_hand: float
):
    course = known_course(glutamate_surge_relative=tent(4.0)[None])
    assert read_off(statistic, course, **changes) == pytest.approx(by_hand, rel=1e-9)


@pytest.fixture
def rated_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let raters write down what is expected."""
    monkeypatch.setattr(FactCourse, "observed", as_expected)


def as_expected(course: FactCourse, variable: str, times_h: list[float]) -> np.ndarray:
    return np.stack([course.at(variable, time_h) for time_h in times_h], axis=1)


def test_a_contrast_is_the_change_less_that_of_the_other_arm_each_from_its_own_start():
    own = known_course(madrs_points=np.array([[30.0], [20.0]]) - 2.0 * TIMES_H)
    other = known_course(madrs_points=np.array([[34.0], [28.0]]) - 0.5 * TIMES_H)
    asked = {"variable": "madrs_points", "reference": Reference(kind="regimen", regimen="other")}
    at_4_h = read_off("contrast_at", own, other, from_h=4.0, to_h=4.0, **asked)
    assert at_4_h == pytest.approx(-6.0, rel=1e-9)
    window = read_off("contrast_at", own, other, from_h=2.0, to_h=4.0, **asked)
    assert window == pytest.approx(-4.5, rel=1e-9)


def test_an_effect_is_unchanged_where_its_ratio_is_one_or_neither_arm_moves():
    own = known_course(madrs_points=np.array([[30.0], [20.0]]) - 2.0 * TIMES_H)
    other = known_course(madrs_points=np.array([[34.0], [28.0]]) - 0.5 * TIMES_H)
    asked = {"variable": "madrs_points", "reference": Reference(kind="regimen", regimen="other")}
    at_4_h = {"from_h": 4.0, "to_h": 4.0, **asked}
    assert read_off("no_change_of_rise", own, other, **at_4_h) == pytest.approx(4.0, rel=1e-9)
    still = known_course(madrs_points=np.full((2, 1001), 30.0))
    assert read_off("no_change_of_rise", still, still, **at_4_h) == 1.0
    assert read_off("no_change_of_rise", own, still, **at_4_h) is None


def test_a_mediated_share_is_slope_within_arms_times_contrast_over_contrast(monkeypatch: pytest.MonkeyPatch):
    """With y = x / 2 - 3 on the drug and x / 2 without, and x lower by 4 on it, 2 of the 5 go with x."""
    monkeypatch.setattr(FactCourse, "observed", as_expected)
    spread = np.array([-2.0, 0.0, 1.0, 5.0])[:, None] * TIMES_H / 10.0
    own_x, other_x = 20.0 + spread - 4.0 * TIMES_H / 10.0, 20.0 + spread
    own = known_course(madrs_points=own_x, ssi_points=0.5 * own_x - 3.0 * TIMES_H / 10.0)
    other = known_course(madrs_points=other_x, ssi_points=0.5 * other_x)
    reference = Reference(kind="mediator", variable="madrs_points", regimen="other")
    asked = {"variable": "ssi_points", "reference": reference, "from_h": 10.0, "to_h": 10.0}
    assert read_off("mediated_share", own, other, **asked) == pytest.approx(0.4, rel=1e-9)


def test_an_entry_rule_keeps_the_same_patients_in_both_arms(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(FactCourse, "observed", as_expected)
    start = np.array([[1.0], [4.0], [20.0]])
    own = known_course(ssi_points=start - np.array([[9.0], [1.0], [3.0]]) * TIMES_H)
    other = known_course(ssi_points=start + 0.0 * TIMES_H)
    reference = Reference(kind="regimen", regimen="other")
    asked = {"variable": "ssi_points", "reference": reference, "from_h": 1.0, "to_h": 1.0}
    assert read_off("contrast_at", own, other, subgroup="ssi_from_4", **asked) == pytest.approx(-2.0)
    assert read_off("contrast_at", own, other, subgroup="all", **asked) == pytest.approx(-13.0 / 3.0)


def test_the_other_arm_may_stand_in_the_setting_of_its_own_trials():
    run = run_of("P0036")
    assert (scene_of(run).setting, other_scene_of(run).setting) == ("midazolam", "saline")
    assert other_scene_of(run).regimen == "saline iv over 40 min"
    assert other_scene_of(run_of("T0103")).setting == "midazolam"


def test_a_fall_has_its_peak_where_it_is_deepest():
    course = known_course(glutamate_surge_relative=2.0 - tent(0.5)[None])
    assert read_off("time_of_peak_h", course) == pytest.approx(2.0, rel=1e-9)
    assert read_off("peak", course) == pytest.approx(0.5, rel=1e-9)


def test_order_of_peaks_is_negative_where_the_first_variable_comes_first():
    course = known_course(
        glutamate_surge_relative=tent(1.0, at_h=1.0)[None], severity_fraction=tent(1.0, at_h=3.5)[None]
    )
    reference = Reference(kind="variable", variable="severity_fraction")
    asked = {"from_h": 0.0, "to_h": 10.0, "reference": reference}
    assert read_off("peaks_before", course, **asked) == pytest.approx(-2.5, rel=1e-9)


def test_correlation_is_of_changes_over_patients():
    heights = np.array([1.0, 2.0, 4.0])[:, None]
    course = known_course(
        glutamate_surge_relative=1.0 + heights * (tent(1.0) - 1.0),
        severity_fraction=0.5 - 0.1 * heights * TIMES_H,
    )
    reference = Reference(kind="variable", variable="severity_fraction", at_h=3.0)
    asked = {"from_h": 2.0, "to_h": 2.0, "reference": reference}
    assert read_off("correlation", course, **asked) == pytest.approx(-1.0, rel=1e-9)
    flat = known_course(glutamate_surge_relative=np.ones((3, 1001)), severity_fraction=np.ones((3, 1001)))
    assert read_off("correlation", flat, **asked) is None


def test_a_course_that_does_not_return_has_no_return_time():
    values = np.minimum(TIMES_H, 4.0)
    onset_h, return_h = crossing_h(TIMES_H, values, 0.5)
    assert onset_h == pytest.approx(2.0, rel=1e-9)
    assert return_h == np.inf
    assert np.isnan(crossing_h(TIMES_H, np.ones_like(TIMES_H), 0.5)).all()
    assert read_off("return_by_h", known_course(glutamate_surge_relative=values[None]), threshold=0.5) is None


def test_share_with_event_multiplies_what_is_escaped_in_each_session(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("euthymia.evidence.fact_statistics.SESSION_END_H", 4.0)
    course = known_course(nausea_probability=np.full((2, 1001), [[0.5], [0.0]]))
    assert read_off("share_with_event", course, variable="nausea_probability") == pytest.approx(0.375)


def test_readings_of_a_rise_count_from_the_reading_at_the_start_of_their_session():
    step = np.where((TIMES_H > 5.0) & (TIMES_H < 5.7), 100.0, 0.0)
    course = known_course(systolic_rise_mmHg=np.tile(step, (50, 1)))
    asked = {"variable": "systolic_rise_mmHg", "patients_count": 50}
    assert read_off("share_above", course, threshold=50.0, **asked) == 1.0
    assert read_off("share_above", course, threshold=150.0, **asked) == 0.0
    assert read_off("share_total_above", course, threshold=150.0, **asked) == 1.0
    largest = read_off("mean_of_maxima", course, **asked)
    assert largest is not None
    assert 90.0 < largest < 112.0


def test_the_spread_of_a_window_is_that_of_one_reading():
    expected = np.tile([[4.0], [8.0]], (500, 1001))[:1000]
    spread = read_off(
        "sd_at", known_course(cadss_points=expected), variable="cadss_points", from_h=1.0, to_h=2.0
    )
    scatter = np.sqrt(0.5 * (16.0 + 64.0) * np.expm1(0.4**2) + 4.0 + 1.0 / 12.0)
    assert spread == pytest.approx(scatter, rel=0.08)


def test_the_spread_of_changes_is_that_of_what_was_seen_to_change(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(FactCourse, "observed", as_expected)
    course = known_course(madrs_points=np.array([[30.0], [20.0], [10.0]]) - [[1.0], [2.0], [6.0]] * TIMES_H)
    asked = {"variable": "madrs_points", "from_h": 2.0, "to_h": 2.0}
    assert read_off("sd_of_change_at", course, **asked) == pytest.approx(np.sqrt(28.0), rel=1e-9)


def daily(*totals: list[float]) -> FactCourse:
    """Return 30 patients of each kind, with a total for each day, straight in between."""
    days = np.linspace(0.0, len(totals[0]) - 1.0, len(totals[0]))
    points = np.repeat(np.array(totals), 30, axis=0)
    return FactCourse(
        times_h=days * 24.0,
        values={"madrs_points": points},
        starts_h=(0.0,),
        numbers=np.arange(1, len(points) + 1),
        parameters=load_parameters(),
    )


def relapse_by(course: FactCourse, from_day: float, to_day: float, **changes: object) -> float | None:
    asked = {"relapse_rule": "MADRS 22 once", "well_by": "response", "variable": "madrs_points"}
    hours = {"from_h": 24.0 * from_day, "to_h": 24.0 * to_day}
    return read_off("share_relapsed", course, **(asked | hours | changes))


def falling_ill(day: int, last: int, *, well: float = 8.0, ill: float = 30.0) -> list[float]:
    """Return totals: ill at the start, well from the next day, ill again from a day on."""
    return [36.0, *([well] * (day - 1)), *([ill] * (last - day + 1))]


@pytest.mark.usefixtures("rated_as_expected")
@pytest.mark.parametrize(("to_day", "by_hand"), [(7, 0.0), (14, 0.25), (21, 0.25), (28, 0.5), (30, 0.75)])
def test_those_relapse_whose_known_time_lies_within_the_window(to_day: int, by_hand: float):
    """Ill from days 10, 25, 30 and never; seen at weekly visits after day 0 and at the end of the window."""
    course = daily(*(falling_ill(day, 40) for day in (10, 25, 30, 41)))
    assert relapse_by(course, 1, 1 + to_day if to_day < 28 else to_day) == pytest.approx(by_hand)


@pytest.mark.usefixtures("rated_as_expected")
def test_a_short_window_is_visited_every_third_day_and_a_dip_between_weeks_is_seen():
    dip = [36.0, *([8.0] * 3), 30.0, *([8.0] * 39)]
    course = daily(dip, falling_ill(41, 43))
    assert relapse_by(course, 1, 15) == pytest.approx(0.5)
    assert relapse_by(course, 1, 29) == pytest.approx(0.0)


@pytest.mark.usefixtures("rated_as_expected")
def test_only_the_well_enter_by_the_rule_that_is_named():
    course = daily(
        falling_ill(40, 60, well=16.0),
        falling_ill(40, 60, well=9.0),
        [36.0] * 61,
        falling_ill(61, 60, well=9.0),
    )
    assert relapse_by(course, 30, 58) == pytest.approx(2.0 / 3.0)
    assert relapse_by(course, 30, 58, well_by="remission") == pytest.approx(0.5)
    assert relapse_by(course, 30, 58, well_by="stable_remission") == pytest.approx(0.5)


@pytest.mark.usefixtures("rated_as_expected")
def test_stable_remission_forgives_one_of_four_weekly_visits():
    late = [36.0] * 10 + [8.0] * 50
    once = falling_ill(61, 59)
    once[16] = 13.0
    twice = list(once)
    twice[23] = 13.0
    asked = {"well_by": "stable_remission", "relapse_rule": "response lost"}
    for course, is_admitted in ((once, True), (twice, False), (late, True)):
        assert (relapse_by(daily(course), 30, 58, **asked) == 0.0) is is_admitted


@pytest.mark.usefixtures("rated_as_expected")
def test_a_rule_of_two_visits_waits_for_the_second():
    course = daily(falling_ill(25, 40), falling_ill(41, 40))
    twice = {"relapse_rule": "MADRS 22 twice"}
    assert relapse_by(course, 1, 29) == pytest.approx(0.5)
    assert relapse_by(course, 1, 29, **twice) == pytest.approx(0.0)
    assert relapse_by(course, 1, 36, **twice) == pytest.approx(0.5)


@pytest.mark.usefixtures("rated_as_expected")
def test_too_few_who_enter_give_no_share():
    course = daily(falling_ill(10, 40)).first(19)
    assert relapse_by(course, 1, 29) is None
    assert relapse_by(daily(falling_ill(10, 40)).first(20), 1, 29) == pytest.approx(1.0)
    assert relapse_by(daily([36.0] * 41), 1, 29) is None


def test_the_followed_are_seen_at_visits_and_live_with_events():
    run = run_of("C0036")
    assert scene_of(run).has_events
    assert not scene_of(run_of("T0105")).has_events
    assert scene_of(run_of("T0105")).regimen == scene_of(run).regimen
    ((_, need),) = needs_of([run]).items()
    assert need.times_h == (0.0, 288.0, 360.0, 432.0, 504.0, 576.0, 648.0, 696.0)
    ((_, stable),) = needs_of([run_of("C0027")]).items()
    assert stable.times_h[:5] == (0.0, 2184.0, 2352.0, 2520.0, 2688.0)
    assert stable.times_h[-1] == 9240.0


def test_fewer_patients_are_the_first_ones():
    course = known_course(glutamate_surge_relative=np.array([[1.0], [3.0], [8.0]]) * np.ones(1001))
    two = {"from_h": 1.0, "to_h": 1.0, "patients_count": 2}
    assert read_off("value_at", course, **two) == pytest.approx(2.0)


# --- grouping ----------------------------------------------------------------------------------


def test_runs_that_share_regimen_and_people_share_one_simulation(monkeypatch: pytest.MonkeyPatch):
    asked = []
    plain = fact_courses._simulated
    monkeypatch.setattr(fact_courses, "_simulated", lambda *given: (asked.append(given[0]), plain(*given))[1])
    fact_courses._shipped.cache_clear()
    compare_facts("mechanism", [fact(one) for one in ("Q002", "Q003", "Q014", "Q018", "Q019", "Q027")])
    fact_courses._shipped.cache_clear()
    assert [scene.regimen for scene in asked] == [INFUSION, "ketamine 0.1 mg/kg iv over 40 min"]


def test_a_blocker_makes_a_scene_of_its_own_and_its_reference_is_without():
    run = run_of("Q040")
    assert scene_of(run).overrides == (Override("signalling.mtorc1_scale_relative", 0.0),)
    assert other_scene_of(run) == scene_of(run)._replace(overrides=())
    naltrexone = read_overrides("signalling.opioid_block_fraction=1")
    both = replace(run, reference_overrides=naltrexone)
    assert other_scene_of(both).overrides == naltrexone
    assert len(needs_of([run, both])) == 3


def test_scenes_that_differ_by_overrides_alone_have_the_same_times():
    needs = needs_of(comparable_runs([fact("Q040"), fact("Q041"), fact("Q090"), fact("Q048")]))
    by_regimen: dict[str, set[tuple[float, ...]]] = {}
    for scene, need in needs.items():
        by_regimen.setdefault(scene.regimen, set()).add(need.times_h)
    assert by_regimen[INFUSION] == {(0.0, 0.67, 24.0, 72.0, 336.0)}
    assert by_regimen["arketamine 0.5 mg/kg iv over 40 min"] == {(0.0, 3.0)}


def test_no_run_is_held_against_itself():
    runs = [run for table in TABLES for run in comparable_runs(facts_of(table)) if run.reference.regimen]
    assert runs
    assert [f"{run.row_id}{run.part}" for run in runs if scene_of(run) == other_scene_of(run)] == []


def test_every_override_has_its_words_and_none_is_left_over():
    runs = [run for table in TABLES for run in comparable_runs(facts_of(table))]
    used = {one for run in runs for one in (*run.overrides, *run.reference_overrides)}
    rows = read_table("evidence/changes.csv")
    assert {Override(row["parameter"], float(row["value"])) for row in rows} == used
    assert all(row["words"] for row in rows)
    assert fact_compare.words_of((Override("circuit.share", 0.5),)) == "circuit.share 0.5"


def test_a_scene_carries_all_that_its_runs_need_and_at_most_so_many_patients():
    needs = needs_of(comparable_runs([fact("AE-SEDAT-001"), fact("AE-SEDAT-002"), fact("AE-DISSO-002")]))
    counts = {scene.regimen.split(" ")[0]: need.patients_count for scene, need in needs.items()}
    assert counts == {"esketamine": MOST_PATIENTS, "placebo": 500}
    spray = next(need for scene, need in needs.items() if scene.regimen.startswith("esketamine"))
    assert {"moaas_points", "cadss_points"} <= set(spray.variables)
    assert {0.25, 40.0 / 60.0, 72.0 + 1.5} <= set(spray.times_h)


def test_nothing_is_expected_outside_the_arms_of_trials():
    named = {one for row in read_table("evidence/expectations.csv") for one in row["row_ids"].split(";")}
    runs = [run for table in TABLES for run in comparable_runs(facts_of(table))]
    assert named == {run.row_id for run in runs if setting_of(run) != "none"}
    assert (setting_of(run_of("Q097")), setting_of(run_of("Q079"))) == ("open", "saline")


def test_subgroups_and_readings_cover_what_the_runs_name():
    runs = [run for table in TABLES for run in comparable_runs(facts_of(table))]
    assert {run.subgroup for run in runs} == {row["name"] for row in read_table("evidence/subgroups.csv")}
    assert {row["variable"] for row in read_table("evidence/readings.csv")} == set(OBSERVED)


# --- against the model itself ------------------------------------------------------------------


def test_a_window_of_the_surge_is_the_mean_of_the_simulated_course():
    times_h = np.linspace(0.0, 0.67, 300)
    course = simulate(
        INFUSION, times_h=times_h, days=7, setting="none", variables=["glutamate_surge_relative"]
    )
    by_hand = np.trapezoid(course["glutamate_surge_relative"][0], times_h) / 0.67
    found = compared("mechanism", "Q019")["Q019a"]
    assert found.simulated == pytest.approx(by_hand, rel=2e-4)
    assert (found.low, found.high, found.layer, found.patients_count) == (1.13, None, "circuit", None)


@pytest.mark.slow
def test_placebo_spray_leaves_the_acute_layer_at_rest():
    found = compared("safety", "AE-DISSO-002")
    assert found["AE-DISSO-002b"].simulated == 0.0
    assert (found["AE-DISSO-002a"].simulated or 0.0) > 0.3


@pytest.mark.parametrize("concentration", [1.0, 10.0])
def test_ketamine_held_at_the_site_blocks_by_one_site_a_channel(concentration: float):
    chain = load_parameters().chain
    weight = chain["site.r_ketamine_weight_relative"].value
    share = chain["receptor.trapping_share_fraction"].value
    equivalents = 0.5 * concentration * (1.0 + weight)
    found = held_at(concentration)
    assert share == 0.0
    for cells in ("interneuron", "pyramidal"):
        half = chain[f"receptor.{cells}_half_block_umol_per_L"].value
        by_hand = equivalents / (equivalents + half)
        assert found[f"nmda_block_{cells}_fraction"] == pytest.approx(by_hand, rel=1e-12)


def test_without_drug_the_held_circuit_is_at_rest():
    assert held_at(0.0)["circuit_gain_relative"] == pytest.approx(1.0, abs=1e-6)
    assert held_at(0.0)["nmda_block_interneuron_fraction"] == 0.0


def test_other_parameters_move_the_value_and_leave_the_shipped_one():
    plain = compared("safety", "AE-BLOOD-038")["AE-BLOOD-038a"].simulated
    changed = load_parameters().with_overrides({"cardiovascular.largest_systolic_rise_mmHg": 15.0})
    halved = compare_facts("safety", [fact("AE-BLOOD-038")], parameters=changed)[0].simulated
    rise = load_parameters().chain["cardiovascular.largest_systolic_rise_mmHg"].value
    assert plain is not None
    assert halved == pytest.approx(plain * 15.0 / rise, rel=1e-9)
    assert compared("safety", "AE-BLOOD-038")["AE-BLOOD-038a"].simulated == plain


def test_a_blocked_run_is_the_model_with_that_override():
    changes = []
    blocked = load_parameters().with_overrides({"signalling.mtorc1_scale_relative": 0.0})
    for parameters in (blocked, load_parameters()):
        course = simulate(
            INFUSION,
            times_h=[0.0, 24.0],
            days=7,
            setting="none",
            parameters=parameters,
            variables=["madrs_points"],
        )
        changes.append(np.diff(course["madrs_points"][0])[0])
    found = compared("mechanism", "Q040")["Q040a"]
    assert found.simulated == pytest.approx(changes[0] / changes[1], rel=1e-3)
    assert (found.overrides, found.reference_overrides) == ("signalling.mtorc1_scale_relative=0", "")
    assert words_of_run(found) == f"{INFUSION}, with mTORC1 off (rapamycin) (typical)"


def test_what_an_override_leaves_alone_is_the_same_to_the_last_digit():
    found = compared("mechanism", "Q090")
    assert found["Q090a"].simulated == 0.0
    assert found["Q090b"].simulated == 0.0


def test_an_override_holds_at_balance_too():
    held = replace(run_of("Q008"), overrides=read_overrides("circuit.interneuron_nmda_share=0"))
    plain, without = (statistic_of(run, {}) for run in (run_of("Q008"), held))
    assert plain is not None
    assert without is not None
    assert plain > 0.0 > without


def test_well_people_of_a_study_in_volunteers_start_well():
    courses = simulate_scenes(needs_of([replace(run_of("Q022"), variable="severity_fraction")]))
    ((_, course),) = courses.items()
    assert course.at("severity_fraction", 0.0)[0] < 0.2


@pytest.mark.slow
@EACH_TABLE
def test_misfits_are_explained_one_by_one_and_no_explanation_is_left_over(table: Table):
    misfits = {f"{one.row_id}{one.part}": one for one in everything_open(table) if is_misfit(one)}
    explained = [run for row in read_table(f"evidence/{table}/misfits.csv") for run in row["runs"].split(";")]
    assert sorted(explained) == sorted(misfits)
    assert all(one.comment for one in misfits.values())


@EACH_TABLE
def test_explanations_name_open_facts_only(table: Table):
    names = {
        f"{row.row_id}{run.part}"
        for row in facts_of(table)
        if not is_closed(table, row)
        for run in row.runs
        if run.is_comparable
    }
    for row in read_table(f"evidence/{table}/misfits.csv"):
        assert row["explanation"]
        assert set(row["runs"].split(";")) <= names


def test_rises_are_the_only_readings_with_a_resting_value():
    assert {name for name in OBSERVED if "rise" in name} == set(VITAL_SIGNS)
