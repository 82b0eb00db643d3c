"""Endpoints of cohorts written by hand: each kind, estimand and imputation gives what can be read off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.trials.hand_made import (
    NAN,
    crossover_trial,
    endpoint_of,
    trial,
    whole,
    written,
)

from euthymia.trials.endpoints import has_outcome, is_well, relapse, stretches, values

ROWS = [
    [30, 20, 10, 8],  # there to the end
    [30, 34, NAN, 26],  # one visit missed, worse before
    [40, 25, 32, 5],  # leaves on day 21, the true course goes on
    [NAN, 20, 20, 20],  # no baseline
    [20, 18, 16, NAN],  # last visit missed
    [36, NAN, NAN, NAN],  # never seen again
]
LEAVES = {2: 21.0}


def last_values(imputation: str, estimand: str, *, kind: str = "score") -> list[float]:
    protocol = trial({"e": {"kind": kind, "at": "day 21", "imputation": imputation, "estimand": estimand}})
    _, totals, before = values(whole(written(protocol, ROWS, left_day=LEAVES)), endpoint_of(protocol))
    return (totals[:, -1] - (before if kind == "change" else 0.0)).tolist()


@pytest.mark.parametrize(
    ("imputation", "expected"),
    [
        ("observed", [8, 26, NAN, NAN, NAN, NAN]),
        ("locf", [8, 26, 32, NAN, 16, 36]),
        ("bocf", [8, 26, 40, NAN, 20, 36]),
        ("worst", [8, 26, 40, NAN, 20, 36]),
    ],
)
def test_imputation_fills_what_is_missing(imputation: str, expected: list[float]):
    np.testing.assert_array_equal(last_values(imputation, "hypothetical"), expected)


def test_worst_is_the_worst_seen_before_not_the_baseline_alone():
    protocol = trial({"e": {"kind": "score", "at": "day 14", "imputation": "worst"}})
    _, totals, _ = values(whole(written(protocol, ROWS)), endpoint_of(protocol))
    assert totals[1].tolist() == [34, 34]


@pytest.mark.parametrize(
    ("estimand", "expected"),
    [
        ("hypothetical", [8, 26, NAN, NAN, NAN, NAN]),
        ("treatment policy", [8, 26, 5, NAN, NAN, NAN]),
        ("composite", [8, 26, 40, NAN, NAN, NAN]),
        ("while on treatment", [8, 26, 32, NAN, 16, 36]),
    ],
)
def test_estimand_says_what_becomes_of_those_who_leave(estimand: str, expected: list[float]):
    np.testing.assert_array_equal(last_values("observed", estimand), expected)


def test_change_counts_from_baseline():
    np.testing.assert_array_equal(
        last_values("locf", "hypothetical", kind="change"), [-22, -4, -8, NAN, -4, 0]
    )


def test_values_hold_the_visits_after_baseline_up_to_the_endpoints():
    protocol = trial({"e": {"kind": "change", "at": "day 14"}})
    visits_h, totals, before = values(whole(written(protocol, ROWS)), endpoint_of(protocol))
    assert visits_h.tolist() == [168.0, 336.0]
    assert totals[0].tolist() == [20, 10]
    assert before[:3].tolist() == [30, 30, 40]


@pytest.mark.parametrize(("at", "expected"), [("day 0", 30.0), ("day -7", 33.0)])
def test_score_at_baseline_or_before_is_that_of_its_visit(at: str, expected: float):
    protocol = trial({"e": {"kind": "score", "at": at}}, days=(-7, 0, 7))
    cohort = written(protocol, [[33, 30, 20]] * 6)
    _, totals, _ = values(whole(cohort), endpoint_of(protocol))
    assert totals.tolist() == [[expected]] * 6


def outcome(scores: Sequence[Sequence[float]], endpoint: dict, **given) -> tuple[list[bool], list[bool]]:
    size = {"drug": len(scores) - 1, "placebo": 1}
    protocol = trial({"e": {"at": "day 21", **endpoint}}, sizes=size, scale=endpoint.get("scale", "MADRS"))
    found = has_outcome(whole(written(protocol, scores, **given)), endpoint_of(protocol))
    return tuple(one.tolist() for one in found)  # pyright: ignore[reportReturnType]


def test_a_fall_of_exactly_the_fraction_is_response():
    has_it, _ = outcome([[30, 0, 0, 15], [30, 0, 0, 16], [31, 0, 0, 16]], {"kind": "response"})
    assert has_it == [True, False, False]


def test_rounding_does_not_refuse_a_fall_that_is_just_enough():
    # 0.55 times 20 is a little above 11 in double precision
    has_it, _ = outcome([[20, 0, 0, 9], [20, 0, 0, 10]], {"kind": "response", "fraction": 0.55})
    assert has_it == [True, False]


def test_remission_is_at_the_cut_or_below():
    has_it, known = outcome(
        [[30, 0, 0, 10], [30, 0, 0, 11], [30, 0, 0, NAN]], {"kind": "remission", "at_most": 10}
    )
    assert has_it == [True, False, False]
    assert known == [True, True, False]


@pytest.mark.parametrize("kind", ["response", "remission"])
def test_failure_counts_the_missing_as_no_and_keeps_them(kind: str):
    given = {"kind": kind, "imputation": "failure"} | ({"at_most": 10} if kind == "remission" else {})
    has_it, known = outcome([[30, 9, 9, 9], [30, 9, 9, NAN], [NAN, 9, 9, 9]], given)
    assert has_it == [True, False, False]
    assert known == [True, True, True]


def test_missing_baseline_leaves_response_unknown():
    assert outcome([[NAN, 9, 9, 9], [30, 9, 9, 9]], {"kind": "response"}) == ([False, True], [False, True])


def test_composite_fails_those_who_left_by_the_visit_and_no_others():
    given = {"kind": "remission", "at_most": 10, "estimand": "composite", "at": "day 14"}
    rows = [[30, 9, 9, 9], [9, 9, 9, 9], [30, 9, 9, 9]]
    has_it, known = outcome(rows, given, left_day={1: 14.0, 2: 21.0})
    assert has_it == [True, False, True]  # the second would be in remission by its baseline
    assert known == [True, True, True]


def test_composite_with_failure_still_fails_those_who_left():
    given = {"kind": "remission", "at_most": 10, "estimand": "composite", "imputation": "failure"}
    has_it, known = outcome([[30, 9, 9, 9], [9, 9, 9, 9]], given, left_day={1: 14.0})
    assert has_it == [True, False]
    assert known == [True, True]


def test_event_counts_any_session_of_the_stretch():
    protocol = crossover_trial({"e": {"kind": "event", "event": "nausea"}}, n=2)
    cohort = written(protocol, [[30, 20, 30, 20]] * 2)
    sessions = cohort.sessions
    flags = np.array([[True, False], [False, True]])
    assert sessions.start_h.tolist() == [[0.0, 504.0]] * 2
    cohort = replace(cohort, sessions=replace(sessions, events={**sessions.events, "nausea": flags}))
    first, second = (has_outcome(one, endpoint_of(protocol))[0].tolist() for one in stretches(cohort))
    assert first == [True, False]
    assert second == [False, True]


def test_each_period_counts_from_its_own_baseline():
    protocol = crossover_trial({"e": {"kind": "change", "at": "day 7"}}, n=2)
    cohort = written(protocol, [[30, 10, 28, 27], [26, 25, 24, 4]], arm=[0, 1])
    one, two = stretches(cohort)
    assert [part.treatment.tolist() for part in (one, two)] == [[0, 1], [1, 0]]
    changes = [
        (totals[:, -1] - before).tolist()
        for _, totals, before in (values(part, endpoint_of(protocol)) for part in (one, two))
    ]
    assert changes == [[-20, -1], [-1, -20]]


def test_imputation_in_a_period_does_not_reach_into_the_one_before():
    protocol = crossover_trial({"e": {"kind": "score", "at": "day 7", "imputation": "locf"}}, n=2)
    cohort = written(protocol, [[30, 10, 28, NAN], [26, 25, NAN, 4]], arm=[0, 1])
    _, second = stretches(cohort)
    _, totals, _ = values(second, endpoint_of(protocol))
    np.testing.assert_array_equal(totals, [[28], [NAN]])


# --- relapse -------------------------------------------------------------------------------------

WEEKS = (0, 7, 14, 21, 28)


def relapsed(rows: Sequence[Sequence[float]], *, scale: str = "MADRS", **given) -> list[tuple[float, bool]]:
    """Return days from day 7 and whether it was relapse."""
    left_day = given.pop("left_day", None)
    endpoint = {"kind": "relapse", "scale": scale, "rule": "MADRS 22 once", "start": "day 7", **given}
    sizes = {"drug": max(len(rows) - 1, 1), "placebo": 1}
    protocol = trial({"e": endpoint}, sizes=sizes, days=WEEKS, scale=scale)
    padded = [*rows, *[rows[0]] * (sum(sizes.values()) - len(rows))]
    days, flags = relapse(whole(written(protocol, padded, left_day=left_day)), endpoint_of(protocol))
    return list(zip(days.tolist(), flags.tolist(), strict=True))[: len(rows)]


def test_one_visit_at_the_score_is_relapse_and_the_score_itself_counts():
    rows = [[30, 10, 10, 22, 10], [30, 10, 21, 21, 21]]
    assert relapsed(rows) == [(14.0, True), (21.0, False)]


def test_two_visits_in_a_row_are_asked_for_and_the_second_dates_it():
    rows = [[30, 10, 22, 10, 22], [30, 10, 10, 25, 25]]
    assert relapsed(rows, rule="MADRS 22 twice") == [(21.0, False), (21.0, True)]


def test_loss_of_response_is_less_than_half_the_fall_from_baseline():
    rows = [[30, 10, 15, 16, 10], [40, 10, 20, 20, 20]]
    assert relapsed(rows, rule="response lost") == [(14.0, True), (21.0, False)]


def test_loss_of_response_is_read_on_the_endpoints_own_scale():
    rows = [[20, 5, 10, 11, 5], [20, 5, 5, 5, 5]]
    assert relapsed(rows, scale="HAM-D17", rule="response lost") == [(14.0, True), (21.0, False)]


def test_quick_inventory_relapses_at_eleven():
    rows = [[18, 5, 10, 11, 5], [18, 5, 10, 10, 10]]
    found = relapsed(rows, scale="QIDS-SR16", rule="QIDS-SR16 11")
    assert found == [(14.0, True), (21.0, False)]


def test_what_is_seen_at_the_start_itself_is_no_relapse():
    assert relapsed([[30, 30, 10, 10, 10], [30, 30, 30, 10, 10]]) == [(21.0, False), (7.0, True)]


def test_follow_up_ends_at_the_last_rating():
    assert relapsed([[30, 10, 10, NAN, NAN], [30, 10, NAN, NAN, NAN]]) == [(7.0, False), (0.0, False)]


def test_those_who_leave_are_followed_to_their_last_rating():
    rows = [[30, 10, 10, 25, 25], [30, 10, 10, 10, 25]]
    assert relapsed(rows, left_day={0: 21.0, 1: 28.0}) == [(7.0, False), (14.0, False)]


def test_a_missed_visit_is_neither_relapse_nor_recovery():
    rows = [
        [30, 10, 25, NAN, 10],  # seen bad once: no relapse by a rule of two
        [30, 10, 25, NAN, 25],  # bad at two ratings in a row
        [30, NAN, NAN, 10, 10],  # not seen at the start and after: the baseline is no relapse
    ]
    assert relapsed(rows, rule="MADRS 22 twice") == [(21.0, False), (21.0, True), (21.0, False)]
    assert relapsed([rows[2]], rule="MADRS 22 once") == [(21.0, False)]


def test_under_composite_to_leave_is_to_relapse_on_that_day():
    rows = [[30, 10, 10, 10, 10], [30, 10, 25, 10, 10], [30, 10, 10, 10, 10]]
    found = relapsed(rows, estimand="composite", left_day={0: 21.0, 1: 28.0})
    assert found == [(14.0, True), (7.0, True), (21.0, False)]


def test_under_treatment_policy_those_who_left_are_rated_all_the_same():
    rows = [[30, 10, 10, 10, 25], [30, 10, 10, 10, 10]]
    assert relapsed(rows, estimand="treatment policy", left_day={0: 14.0}) == [(21.0, True), (21.0, False)]
    assert relapsed(rows, left_day={0: 14.0})[0] == (0.0, False)


@pytest.mark.parametrize(
    ("among", "expected"),
    [
        ("all", [True, True, True, False, True]),
        ("response", [True, True, False, False, False]),
        ("remission", [True, False, False, False, False]),
    ],
)
def test_those_are_followed_who_are_well_at_the_start_and_still_there(among: str, expected: list[bool]):
    endpoint = {"kind": "relapse", "rule": "MADRS 22 once", "start": "day 7", "among": among}
    endpoint |= {"at_most": 10} if among == "remission" else {}
    protocol = trial({"e": endpoint}, sizes={"drug": 4, "placebo": 1}, days=WEEKS)
    rows = [[30, 10, 1, 1, 1], [30, 15, 1, 1, 1], [30, 16, 1, 1, 1], [30, 5, 1, 1, 1], [30, NAN, 1, 1, 1]]
    cohort = written(protocol, rows, left_day={3: 7.0})
    assert is_well(whole(cohort), endpoint_of(protocol)).tolist() == expected
