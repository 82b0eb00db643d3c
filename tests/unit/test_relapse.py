"""Time to relapse: shares by hand, who enters a follow-up, how a regimen goes on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.by_hand import run_of

from euthymia.dosing.notation import parse_regimen
from euthymia.errors import InvalidInputError
from euthymia.model.parameters import load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population.outcomes import relapse_rules
from euthymia.population.relapse import (
    FollowUp,
    end_of_doses_h,
    follow_up,
    follow_ups,
    on_demand_after,
    with_maintenance,
)

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
PARAMETERS = load_parameters()
ILL, WELL = 0.8, 0.02
"""Severities whose ratings stay on their side of every cut, by more than four times the rater's noise."""


def course_of(*severities: list[float]) -> Trajectory:
    """Return a run whose patients have these severities, day 0 first and then every week."""
    return run_of("severity_fraction", severities, every_days=7.0)


def ended(days: list[float], has_relapsed: list[bool]) -> FollowUp:
    """Return a follow-up of patients who all entered."""
    return FollowUp(
        rule="MADRS 22 once",
        days=np.array(days, float),
        has_relapsed=np.array(has_relapsed, dtype=bool),
        is_well=np.ones(len(days), bool),
    )


FIVE = ended([7.0, 14.0, 14.0, 21.0, 28.0], [True, True, False, True, False])
"""Kaplan-Meier by hand: 4/5 after day 7, times 3/4 after day 14, times 1/2 after day 21."""


# --- shares by hand --------------------------------------------------------------------------------


def test_share_still_well_of_five_is_that_by_hand():
    found = FIVE.share_well([0.0, 6.9, 7.0, 13.9, 14.0, 20.0, 21.0, 28.0])
    assert_allclose(found, [1.0, 1.0, 0.8, 0.8, 0.6, 0.6, 0.3, 0.3], rtol=0, atol=1e-12)


def test_who_left_is_no_relapse():
    nobody = ended([7.0, 14.0, 28.0], [False, False, False])
    assert nobody.share_well([7.0, 28.0]).tolist() == [1.0, 1.0]
    assert np.isnan(nobody.median_days())
    assert nobody.hazard_per_day() == 0.0


def test_median_is_the_first_day_with_half_or_less_still_well():
    assert FIVE.median_days() == 21.0
    assert ended([7.0, 14.0], [True, False]).median_days() == 7.0
    assert np.isnan(ended([7.0, 14.0, 14.0], [True, False, False]).median_days())


def test_hazard_is_relapses_over_days_at_risk():
    assert FIVE.hazard_per_day() == pytest.approx(3 / 84, abs=1e-15)
    assert FIVE.hazard_per_day(14.0) == pytest.approx(2 / (7 + 4 * 14), abs=1e-15)
    assert FIVE.hazard_per_day(10.0) == pytest.approx(1 / (7 + 4 * 10), abs=1e-15)
    assert FIVE.hazard_per_day(10.0, added_relapses=0.5) == pytest.approx(1.5 / (7 + 4 * 10), abs=1e-15)


def test_interval_is_that_of_the_log_of_minus_the_log():
    """Greenwood's sum after day 14: 1/(5 4) + 1/(4 3); S^exp(-+ 1.96 sqrt(sum) / ln S)."""
    low, high = FIVE.interval([14.0])
    half = 1.959964 * np.sqrt(1 / 20 + 1 / 12) / np.log(0.6)
    assert_allclose([low[0], high[0]], sorted(0.6 ** np.exp([half, -half])), rtol=1e-6)


def test_interval_encloses_the_share_and_is_missing_where_none_can_be_told():
    days = [7.0, 14.0, 21.0]
    low, high = FIVE.interval(days)
    assert np.all(low < FIVE.share_well(days))
    assert np.all(FIVE.share_well(days) < high)
    for one in (ended([7.0], [True]), ended([7.0, 14.0], [False, False])):
        assert np.isnan(one.interval(days)).all()


def test_interval_when_all_have_relapsed_raises_no_warning():
    low, high = ended([7.0, 14.0], [True, True]).interval([7.0, 14.0, 21.0])
    assert low[0] < 0.5 < high[0]
    assert not np.any((low[1:] > 0) | (high[1:] > 0))


def test_nobody_who_entered_gives_no_numbers():
    nobody = ended([], [])
    assert nobody.count == 0
    assert np.isnan(nobody.share_well([7.0])).all()
    assert np.isnan(nobody.interval([7.0])).all()
    assert np.isnan([nobody.median_days(), nobody.hazard_per_day()]).all()


# --- follow-up of a run ----------------------------------------------------------------------------


def test_relapse_once_and_twice_are_dated_by_their_visits():
    course = course_of(
        [ILL, WELL, WELL, ILL, WELL, WELL],
        [ILL, WELL, WELL, ILL, ILL, WELL],
        [ILL, WELL, WELL, WELL, WELL, WELL],
    )
    once = follow_up(course, 7.0, parameters=PARAMETERS, rule="MADRS 22 once")
    twice = follow_up(course, 7.0, parameters=PARAMETERS, rule="MADRS 22 twice")
    assert (once.days.tolist(), once.has_relapsed.tolist()) == ([14.0, 14.0, 28.0], [True, True, False])
    assert (twice.days.tolist(), twice.has_relapsed.tolist()) == ([28.0, 21.0, 28.0], [False, True, False])
    assert (once.rule, twice.rule) == ("MADRS 22 once", "MADRS 22 twice")


@pytest.mark.parametrize("rule", ["MADRS 22 once", "response lost", "QIDS-SR16 11"])
def test_rules_of_one_visit_agree_on_who_is_ill_again(rule: str):
    course = course_of([ILL, WELL, WELL, ILL], [ILL, WELL, WELL, WELL])
    found = follow_up(course, 7.0, parameters=PARAMETERS, rule=rule)
    assert (found.days.tolist(), found.has_relapsed.tolist()) == ([14.0, 14.0], [True, False])


def test_follow_ups_are_those_by_every_rule_and_of_the_same_people():
    course = course_of([ILL, WELL, WELL, ILL, WELL], [ILL, WELL, WELL, WELL, WELL], [ILL] * 5)
    found = follow_ups(course, 7.0, parameters=PARAMETERS)
    assert list(found) == [one.rule for one in found.values()] == list(relapse_rules())
    assert {one.is_well.tobytes() for one in found.values()} == {np.array([True, True, False]).tobytes()}
    share = {rule: one.has_relapsed.mean() for rule, one in found.items()}
    assert share == {"MADRS 22 twice": 0.0, "MADRS 22 once": 0.5, "response lost": 0.5, "QIDS-SR16 11": 0.5}


def test_only_those_who_respond_on_that_day_enter():
    course = course_of([ILL, ILL, ILL, ILL], [ILL, WELL, WELL, ILL], [ILL, ILL, WELL, ILL])
    found = follow_up(course, 7.0, parameters=PARAMETERS, rule="MADRS 22 once")
    assert found.is_well.tolist() == [False, True, False]
    assert (found.count, found.days.tolist()) == (1, [14.0])


def test_stable_entry_asks_for_remission_at_four_weekly_visits():
    course = course_of(
        [ILL, WELL, WELL, WELL, WELL, ILL, ILL],
        [ILL, WELL, ILL, WELL, WELL, ILL, ILL],
        [ILL, ILL, WELL, WELL, WELL, WELL, WELL],
    )
    asked = {"parameters": PARAMETERS, "rule": "MADRS 22 once"}
    stable = follow_up(course, 28.0, is_stable=True, **asked)
    assert stable.is_well.tolist() == [True, False, False]
    assert (stable.days.tolist(), stable.has_relapsed.tolist()) == ([7.0], [True])
    assert follow_up(course, 28.0, **asked).is_well.tolist() == [True, True, True]


def test_stable_entry_needs_more_than_three_weeks_before():
    course = course_of([ILL, WELL, WELL, WELL, WELL])
    with pytest.raises(
        InvalidInputError, match=r"'from_day' must be more than three weeks after time 0\. Got 7"
    ):
        follow_up(course, 7.0, parameters=PARAMETERS, is_stable=True)


def test_among_says_who_enters_whatever_their_ratings():
    course = course_of([ILL, ILL, ILL, ILL], [ILL, WELL, WELL, WELL], [ILL, WELL, WELL, ILL])
    among = np.array([True, True, False])
    found = follow_up(course, 7.0, parameters=PARAMETERS, rule="MADRS 22 once", among=among)
    assert found.is_well.tolist() == among.tolist()
    assert (found.days.tolist(), found.has_relapsed.tolist()) == ([7.0, 14.0], [True, False])


def test_nobody_well_is_an_empty_follow_up():
    found = follow_up(course_of([ILL, ILL, ILL]), 7.0, parameters=PARAMETERS)
    assert (found.count, found.is_well.tolist()) == (0, [False])


def test_visits_may_be_further_apart():
    course = course_of([ILL, WELL, ILL, WELL, ILL, WELL])
    asked = {"parameters": PARAMETERS, "rule": "MADRS 22 once"}
    assert follow_up(course, 7.0, every_days=14.0, **asked).days.tolist() == [28.0]
    assert follow_up(course, 7.0, **asked).days.tolist() == [7.0]


def test_follow_up_that_cannot_be_is_refused():
    course = course_of([ILL, WELL, WELL])
    with pytest.raises(InvalidInputError, match=r"at least 7 days before the end\. Got 14"):
        follow_up(course, 14.0, parameters=PARAMETERS)
    with pytest.raises(InvalidInputError, match="'rule' must be MADRS 22 twice, MADRS 22 once"):
        follow_up(course, 7.0, parameters=PARAMETERS, rule="MADRS 20")


# --- how treatment goes on -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("regimen", "maintenance", "found"),
    [
        (
            f"{INFUSION}, twice weekly x 4",
            "weekly x 12 then every 2 weeks x 20",
            (f"{INFUSION}, twice weekly x 4 then weekly x 12 then every 2 weeks x 20", False),
        ),
        (
            "esketamine 84 mg in, twice weekly x 8",
            "on demand weekly x 26",
            ("esketamine 84 mg in, twice weekly x 8 then weekly x 26", True),
        ),
        (
            f"escitalopram 10 mg daily x 60; {INFUSION}, twice weekly x 4; CBT 50 min at 24 h",
            " On Demand, weekly x 4 ",
            (
                f"escitalopram 10 mg daily x 60; {INFUSION}, twice weekly x 4 then weekly x 4; "
                "CBT 50 min at 24 h",
                True,
            ),
        ),
    ],
)
def test_maintenance_goes_on_after_the_clause_of_the_drug(
    regimen: str, maintenance: str, found: tuple[str, bool]
):
    assert with_maintenance(regimen, maintenance) == found
    assert len(parse_regimen(found[0]).doses(70.0)) > len(parse_regimen(regimen).doses(70.0))


@pytest.mark.parametrize(
    ("regimen", "count"),
    [
        ("escitalopram 10 mg daily x 60", 0),
        ("midazolam 0.045 mg/kg iv over 40 min", 0),
        (f"{INFUSION}; {INFUSION} at 48 h", 2),
        ("", 0),
    ],
)
def test_maintenance_needs_one_clause_of_a_ketamine(regimen: str, count: int):
    message = f"'--maintenance' must follow one clause that gives a ketamine. Got {count} of them."
    with pytest.raises(InvalidInputError, match=message):
        with_maintenance(regimen, "weekly x 4")


@pytest.mark.parametrize(
    ("regimen", "end_h"),
    [
        (INFUSION, 0.0),
        (f"{INFUSION}, weekly x 3", 336.0),
        (f"{INFUSION} at 30 h; esketamine 28 mg in at 20 h", 30.0),
        (f"{INFUSION}; escitalopram 10 mg daily x 60; midazolam 2 mg iv bolus at 90 h", 0.0),
    ],
)
def test_end_is_the_start_of_the_last_dose_of_a_ketamine(regimen: str, end_h: float):
    assert end_of_doses_h(regimen) == end_h


def test_end_of_a_spray_is_its_last_device():
    last = max(dose.start_h for dose in parse_regimen("esketamine 84 mg in, weekly x 2").doses(70.0))
    assert 168.0 < last < 169.0
    assert end_of_doses_h("esketamine 84 mg in, weekly x 2") == last


def test_end_without_a_ketamine_is_refused():
    with pytest.raises(InvalidInputError, match="'regimen' must be one that gives a ketamine"):
        end_of_doses_h("escitalopram 10 mg daily x 60")


@pytest.mark.parametrize("regimen", [f"{INFUSION}, twice weekly x 2", "esketamine 84 mg in, weekly x 2"])
def test_on_demand_begins_behind_the_last_planned_dose(regimen: str):
    text, _ = with_maintenance(regimen, "on demand weekly x 2")
    starts = [dose.start_h for dose in parse_regimen(text).doses(70.0)]
    from_h = on_demand_after(regimen).from_h
    assert from_h == end_of_doses_h(regimen) + 1.0
    planned = len(parse_regimen(regimen).doses(70.0))
    assert sum(start < from_h for start in starts) == planned
