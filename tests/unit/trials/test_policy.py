"""What is decided at visits, played through without an engine: on courses that are given from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binom, binomtest

from euthymia.dosing.notation import parse_regimen
from euthymia.model.parameters import load_parameters
from euthymia.population.observation import observe
from euthymia.population.outcomes import SEVERITY, rate, response
from euthymia.trials.conduct_rules import Conduct
from euthymia.trials.policy import EFFECT, EXPOSURE, TrialPolicy, apart, conduct_draws, event_draws
from euthymia.trials.sessions import session_ends_h, sessions_of

PARAMETERS = load_parameters()
WEEK_H = 168.0
SEED = 3
LEAST_P = 1e-3
WEEKLY = "ketamine 0.5 mg/kg iv over 40 min, weekly x 4"
ANXIETY_PER_H = 0.4
PERSON = {
    "discomfort.half_effect_umol_per_L": 0.35,
    "discomfort.nausea_hazard_per_h": 0.5,
    "discomfort.dizziness_hazard_per_h": 0.5,
    "discomfort.headache_hazard_per_h": 0.3,
    "discomfort.anxiety_hazard_per_h": ANXIETY_PER_H,
    "discomfort.preparation_on_anxiety_fraction": 0.5,
    "cardiovascular.largest_systolic_rise_mmHg": 20.0,
    "cardiovascular.largest_diastolic_rise_mmHg": 12.0,
}


def policy_of(
    count: int = 400,
    *,
    regimen: str = WEEKLY,
    visits: tuple[float, ...] = (0.0, 7.0, 14.0, 21.0, 28.0),
    scale: str = "MADRS",
    prepared: float = 0.0,
    keys: np.ndarray | None = None,
    **conduct: Any,
) -> TrialPolicy:
    """Return a policy for an arm ``a``; visits in days."""
    rules = Conduct.model_validate(conduct)
    planned = parse_regimen(regimen)
    plan = sessions_of(planned, rules.switch["a"].instead_of(planned) if "a" in rules.switch else None)
    return TrialPolicy(
        conduct=rules,
        arm="a",
        plan=plan,
        visits_h=24.0 * np.array(visits),
        keys=np.arange(1, count + 1) if keys is None else keys,
        parameters=PARAMETERS,
        seed=SEED,
        mean_points=30.0,
        scale=scale,
        person=PERSON,
        preparation_fraction=np.full(len(plan.start_h), prepared),
    )


def play(
    policy: TrialPolicy,
    severity: Any = 0.5,
    *,
    exposure_h: Any = 0.0,
    effect: Any = 0.0,
    numbers: np.ndarray | None = None,
    first: int = 0,
) -> np.ndarray:
    """Play decisions through from one of them on; return what they gave, (P, times).

    Severity, exposure and effect are numbers, arrays (P,), or arrays (P, times) over ``policy.times_h``.
    """
    numbers = policy.keys if numbers is None else numbers
    shape = (len(policy.keys), len(policy.times_h))
    rows = np.searchsorted(policy.keys, numbers)

    def at(value: Any, place: int) -> np.ndarray:
        array = np.asarray(value, float)
        return np.broadcast_to(array[:, None] if array.ndim == 1 else array, shape)[rows, place].copy()

    given = np.ones((len(numbers), shape[1]))
    for place, decision in enumerate(policy.decisions(PARAMETERS, numbers, SEED)):
        if place >= first:
            state = {
                SEVERITY: at(severity, place),
                EXPOSURE: at(exposure_h, place),
                EFFECT: at(effect, place),
            }
            given[:, place] = decision.decide(state).reshape(len(numbers), -1).max(axis=1)
    return given


def rated(policy: TrialPolicy, severity: Any, time_h: float, scale: str = "MADRS") -> np.ndarray:
    latent = np.broadcast_to(np.asarray(severity, float), (len(policy.keys),))[:, None]
    return rate(latent, scale, [time_h], parameters=PARAMETERS, numbers=policy.keys, seed=SEED)[:, 0]


# --- times -----------------------------------------------------------------------------------------


def test_something_is_decided_at_visits_and_sessions_each_once():
    policy = policy_of(visits=(-7.0, 0.0, 3.0, 7.0), missed_session=0.1)
    assert policy.times_h.tolist() == [24.0 * day for day in (-7, 0, 3, 7, 14, 21)]
    assert [len(one.slots) for one in policy.decisions(PARAMETERS, policy.keys, SEED)] == [0, 1, 0, 1, 1, 1]


def test_where_events_matter_they_are_noted_half_a_day_after_a_session():
    policy = policy_of(dropout={"share": 0.1, "after_event": 2.0})
    assert set(policy.times_h) == {*policy.stops_h, *(policy.plan.start_h + 12.0)}
    assert 12.0 not in policy.stops_h, "nobody leaves then"


def test_times_that_are_nearly_one_are_one():
    assert apart(np.array([7.0, 0.0, 7.0 + 1e-9, 7.0 - 1e-12])).tolist() == [0.0, 7.0 - 1e-12]
    assert apart(np.zeros(0)).tolist() == []


def test_a_rule_that_can_do_nothing_is_not_needed():
    assert not policy_of().is_needed
    assert not policy_of(missed_rating=0.2).is_needed
    acting: tuple[dict[str, Any], ...] = (
        {"missed_session": 0.1},
        {"dropout": {"share": 0.1}},
        {"hold": {"diastolic_mmHg": 100}},
        {"flexible": {"a": {"levels": [1, 2]}}},
        {"rescue": {"a": {"start": "day 7"}}},
    )
    for one in acting:
        assert policy_of(**one).is_needed, one
    assert not policy_of(flexible={"b": {"levels": [1, 2]}}).is_needed


# --- leaving ---------------------------------------------------------------------------------------


def test_as_many_leave_by_a_day_as_the_share_says():
    policy = policy_of(20_000, dropout={"share": 0.2, "by": "day 28"})
    play(policy)
    left = policy.course.left_h
    for day, share in ((7, 1 - 0.8**0.25), (14, 1 - 0.8**0.5), (28, 0.2)):
        assert binomtest(int((left <= 24.0 * day).sum()), len(left), share).pvalue > LEAST_P
    assert set(left[np.isfinite(left)]) == {168.0, 336.0, 504.0, 672.0}, "at visits, none at the first"


def test_more_visits_between_move_no_share():
    policy = policy_of(
        20_000, visits=(0.0, 1.0, 2.5, 7.0, 13.0, 28.0), dropout={"share": 0.2, "by": "day 28"}
    )
    play(policy)
    assert binomtest(int(np.isfinite(policy.course.left_h).sum()), 20_000, 0.2).pvalue > LEAST_P


def test_nobody_leaves_before_day_0():
    policy = policy_of(2000, visits=(-70.0, -7.0, 0.0, 7.0), dropout={"share": 0.5, "by": "day 7"})
    play(policy)
    left = policy.course.left_h
    assert left.min() == WEEK_H
    first = int((left == WEEK_H).sum())
    assert binomtest(first, 2000, 0.5).pvalue > LEAST_P


def log_ratios(rows: np.ndarray, goes: np.ndarray, length_h: float) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients of a log hazard by maximum likelihood, and their standard errors.

    P(leave) = 1 - exp(-length exp(rows @ b)).
    """

    def minus_log_likelihood(b: np.ndarray) -> float:
        total = length_h * np.exp(rows @ b)
        return float(-np.where(goes, np.log(-np.expm1(-total)), -total).sum())

    start = np.array([np.log(0.1 / length_h), *np.zeros(rows.shape[1] - 1)])
    found = minimize(minus_log_likelihood, start, method="BFGS")
    return found.x, np.sqrt(np.diag(found.hess_inv))


def test_the_hazard_ratio_of_ten_points_is_recovered_from_who_leaves():
    severity = np.random.default_rng(1).uniform(0.2, 0.8, 40_000)
    policy = policy_of(
        40_000,
        regimen="ketamine 0.5 mg/kg iv over 40 min",
        visits=(0.0, 14.0),
        dropout={"share": 0.2, "by": "day 14", "per_10_points": 1.7},
    )
    play(policy, np.column_stack([severity, severity[::-1]]))
    points = policy.course.points[:, 0]
    assert np.array_equal(points, rated(policy, severity, 0.0)), "as rated at the visit before"
    rows = np.column_stack([np.ones(len(points)), (points - 30.0) / 10.0])
    found, error = log_ratios(rows, np.isfinite(policy.course.left_h), 336.0)
    expected = np.array([np.log(-np.log(0.8) / 336.0), np.log(1.7)])
    assert np.abs(found - expected).max() < 4.0 * error.max()
    assert error[1] < 0.05


def test_the_hazard_ratio_after_an_event_is_recovered_and_lasts_until_the_next_session():
    dropout = {"share": 0.3, "by": "day 14", "after_event": 3.0, "events": ["nausea", "anxiety"]}
    policy = policy_of(40_000, regimen=WEEKLY.replace("x 4", "x 2"), visits=(0.0, 7.0, 14.0), dropout=dropout)
    play(policy, exposure_h=0.5)
    course = policy.course
    had = course.had_event["nausea"] | course.had_event["anxiety"]
    for session, (start_h, end_h) in enumerate(((0.0, 168.0), (168.0, 336.0))):
        there = course.left_h > start_h
        rows = np.column_stack([np.ones(there.sum()), had[there, session]])
        found, error = log_ratios(rows, course.left_h[there] == end_h, 168.0)
        assert np.abs(found - [np.log(-np.log(0.7) / 336.0), np.log(3.0)]).max() < 4.0 * error.max()
    assert 0.2 < had[:, 0].mean() < 0.6


def test_who_has_left_gets_nothing_and_who_has_not_gets_everything():
    policy = policy_of(2000, dropout={"share": 0.5, "by": "day 28"})
    given = play(policy)
    course = policy.course
    is_there = policy.plan.start_h < course.left_h[:, None]
    assert np.array_equal(course.level, is_there)
    at_sessions = np.isin(policy.times_h, policy.plan.start_h)
    assert np.array_equal(given[:, at_sessions], course.level)
    assert (given[:, ~at_sessions] == 1.0).all()
    assert not is_there.all()


# --- missed, held ----------------------------------------------------------------------------------


def test_sessions_are_missed_by_their_share_independently_and_not_by_who_has_left():
    policy = policy_of(10_000, missed_session=0.1, dropout={"share": 0.4, "by": "day 28"})
    play(policy)
    course = policy.course
    is_there = policy.plan.start_h < course.left_h[:, None]
    assert binomtest(int(course.was_missed.sum()), int(is_there.sum()), 0.1).pvalue > LEAST_P
    assert not (course.was_missed & ~is_there).any()
    assert np.array_equal(course.level > 0, is_there & ~course.was_missed)
    stayed = np.isinf(course.left_h)
    counts = np.bincount(course.was_missed[stayed].sum(axis=1), minlength=5)
    assert np.abs(counts / stayed.sum() - binom.pmf(np.arange(5), 4, 0.1)).max() < 0.02


def test_a_session_is_held_exactly_where_the_pressure_read_before_it_reaches_the_limit():
    policy = policy_of(3000, hold={"systolic_mmHg": 140, "diastolic_mmHg": 90}, missed_session=0.1)
    play(policy)
    course = policy.course
    who = {"parameters": PARAMETERS, "numbers": policy.keys, "seed": SEED}
    times, nothing = policy.plan.start_h, np.zeros(course.level.shape)
    systolic = observe("systolic_rise_mmHg", nothing, times, **who)
    diastolic = observe("diastolic_rise_mmHg", nothing, times, **who)
    is_high = ((systolic >= 140) | (diastolic >= 90)) & ~course.was_missed
    assert np.array_equal(course.was_held, is_high)
    assert np.array_equal(course.level > 0, ~course.was_held & ~course.was_missed)
    assert np.array_equal(
        course.pressure["systolic_mmHg"], np.where(course.was_missed, np.nan, systolic), equal_nan=True
    )
    assert 0.05 < course.was_held.mean() < 0.5


def test_what_an_earlier_dose_left_of_a_rise_counts_in_the_pressure_before_a_session():
    policy = policy_of(2000, hold={"systolic_mmHg": 140})
    play(policy, effect=0.5)
    who = {"parameters": PARAMETERS, "numbers": policy.keys, "seed": SEED}
    read = observe("systolic_rise_mmHg", np.full((2000, 4), 10.0), policy.plan.start_h, **who)
    assert np.array_equal(policy.course.was_held, read >= 140)


# --- levels ----------------------------------------------------------------------------------------

FLEXIBLE = {"levels": [1.0, 1.5, 2.0], "start": "day 7"}


def test_nobody_climbs_while_well_and_everybody_a_step_a_session_while_ill_up_to_the_top():
    severity = np.where(np.arange(400) < 200, 0.05, 0.6)[:, None] * np.ones(5)
    severity[:, 0] = 0.6
    policy = policy_of(flexible={"a": FLEXIBLE})
    play(policy, severity)
    assert (policy.course.level[:200] == 1.0).mean() > 0.99
    ill = policy.course.level[200:]
    responded = [
        response(rated(policy, 0.6, 0.0), rated(policy, 0.6, 168.0 * week)[:, None], "MADRS")[200:, 0]
        for week in (1, 2, 3)
    ]
    never = ~np.any(responded, axis=0)
    assert never.mean() > 0.9
    assert (ill[never] == [1.0, 1.5, 2.0, 2.0]).all()


def test_a_step_follows_the_very_rating_of_the_session():
    """Levels are worked out again from ratings, patient by patient."""
    severity = np.random.default_rng(2).uniform(0.2, 0.6, (400, 5))
    policy = policy_of(flexible={"a": FLEXIBLE})
    play(policy, severity)
    levels, before = np.array(FLEXIBLE["levels"]), rated(policy, severity[:, 0], 0.0)
    step = np.zeros(400, int)
    for session in range(1, 4):
        points = rated(policy, severity[:, session], 168.0 * session)
        step = np.minimum(step + ~(points <= 0.5 * before), 2)
        assert np.array_equal(policy.course.level[:, session], levels[step])
    assert len(np.unique(step)) == 3


def test_levels_follow_their_own_scale_also_where_dropout_follows_another():
    """The baseline of each scale is that of day 0, for everybody, in whichever chunk."""
    severity = np.random.default_rng(2).uniform(0.2, 0.6, (400, 5))
    policy = policy_of(flexible={"a": FLEXIBLE | {"scale": "HAM-D17"}}, dropout={"share": 0.1})
    for numbers in (policy.keys[:150], policy.keys[150:]):
        play(policy, severity, numbers=numbers)
    before, points = (rated(policy, severity[:, week], 168.0 * week, "HAM-D17") for week in (0, 1))
    there = np.isinf(policy.course.left_h)
    climbed = policy.course.level[:, 1] == 1.5
    assert np.array_equal(climbed[there], ~(points <= 0.5 * before)[there])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"up_unless": "never"}, [1.0, 1.5, 2.0, 2.0]),
        ({"up_unless": "never", "until": "day 10"}, [1.0, 1.5, 1.5, 1.5]),
        ({"up_unless": "never", "start": "day 14"}, [1.0, 1.0, 1.5, 2.0]),
        ({"up_unless": "remission", "at_most": 60}, [1.0, 1.0, 1.0, 1.0]),
        ({"up_unless": "remission", "at_most": -1}, [1.0, 1.5, 2.0, 2.0]),
        ({"up_unless": "never", "levels": [0.5, 1.0]}, [0.5, 1.0, 1.0, 1.0]),
    ],
)
def test_levels_move_between_start_and_until_and_unless_told_otherwise(
    change: dict[str, Any], expected: list[float]
):
    policy = policy_of(20, flexible={"a": FLEXIBLE | change})
    play(policy)
    assert (policy.course.level == expected).all()


def test_the_first_session_gives_the_first_level_whenever_it_is():
    policy = policy_of(20, regimen=WEEKLY + " from 14 d", flexible={"a": FLEXIBLE | {"up_unless": "never"}})
    play(policy)
    assert (policy.course.level == [1.0, 1.5, 2.0, 2.0]).all()


def test_after_an_event_the_next_dose_is_a_step_lower_and_only_after_those_named():
    flexible = {"a": FLEXIBLE | {"up_unless": "never", "down_after": ["dizziness"]}}
    dropout = {"share": 0.01, "after_event": 1.5, "events": ["anxiety"]}
    policy = policy_of(1000, flexible=flexible, dropout=dropout)
    play(policy, exposure_h=0.8)
    course, levels = policy.course, np.array(FLEXIBLE["levels"])
    there = np.isinf(course.left_h)
    step = np.zeros(1000, int)
    for session in range(1, 4):
        step = np.clip(step + np.where(course.had_event["dizziness"][:, session - 1], -1, 1), 0, 2)
        assert np.array_equal(course.level[there, session], levels[step][there])
    only_anxious = course.had_event["anxiety"][:, 0] & ~course.had_event["dizziness"][:, 0]
    assert (course.level[only_anxious & there, 1] == 1.5).all()
    assert only_anxious.any()


def test_what_was_not_given_leaves_the_level_where_it_was():
    policy = policy_of(2000, flexible={"a": FLEXIBLE | {"up_unless": "never"}}, missed_session=0.3)
    play(policy)
    levels = np.array(FLEXIBLE["levels"])
    for given, missed in zip(policy.course.level, policy.course.was_missed, strict=True):
        step = 0
        for session in range(4):
            asked = min(step + (session > 0), 2)
            assert given[session] == (0.0 if missed[session] else levels[asked])
            step = step if missed[session] else asked


# --- another route ---------------------------------------------------------------------------------

IM = "ketamine 0.8 mg/kg im"


def test_routes_are_switched_by_their_share_for_good_or_for_one_session():
    for lasts in (True, False):
        policy = policy_of(4000, switch={"a": {"to": IM, "share": 0.2, "start": "day 7", "lasts": lasts}})
        given = play(policy)
        was = policy.course.was_switched
        assert not was[:, 0].any()
        expected = 1.0 - 0.8 ** np.arange(4) if lasts else np.array([0.0, 0.2, 0.2, 0.2])
        for session in range(4):
            assert binomtest(int(was[:, session].sum()), 4000, expected[session]).pvalue > LEAST_P
        assert (was[:, 1:] >= was[:, :-1]).all() or not lasts
        assert (given[:, 0] == 1.0).all()


def test_of_a_switched_session_the_doses_of_the_other_route_are_given_and_no_others():
    policy = policy_of(
        300,
        switch={"a": {"to": IM, "share": 0.5}},
        flexible={"a": {"levels": [1.0, 1.5], "start": "day 14", "up_unless": "never"}},
        missed_session=0.2,
    )
    given = dict(zip(policy.times_h, _given_by_dose(policy), strict=True))
    for session, time_h in enumerate(policy.plan.start_h):
        is_instead = np.array([policy.plan.is_instead[slot] for slot in policy.plan.slots[session]])
        assert list(is_instead) == ([False, True] if session else [False])
        level, was = policy.course.level[:, session], policy.course.was_switched[:, session]
        for dose, instead in enumerate(is_instead):
            assert np.array_equal(given[time_h][:, dose], np.where(was == instead, level, 0.0))
    assert set(policy.course.level.ravel()) == {0.0, 1.0, 1.5}


def _given_by_dose(policy: TrialPolicy) -> list[np.ndarray]:
    severity = np.full(len(policy.keys), 0.5)
    state = {SEVERITY: severity, EXPOSURE: np.zeros_like(severity), EFFECT: np.zeros_like(severity)}
    return [one.decide(state) for one in policy.decisions(PARAMETERS, policy.keys, SEED)]


def test_a_route_is_switched_after_the_events_that_are_named_and_where_rating_asks_for_it():
    policy = policy_of(1500, switch={"a": {"to": IM, "after": ["anxiety"], "lasts": False}})
    play(policy, exposure_h=1.0)
    had = policy.course.had_event["anxiety"]
    assert 0.1 < had[:, 0].mean() < 0.9
    assert np.array_equal(policy.course.was_switched[:, 1:], had[:, :-1])
    severity = np.random.default_rng(5).uniform(0.05, 0.6, 500)
    policy = policy_of(
        500, switch={"a": {"to": IM, "unless": "remission", "lasts": False, "until": "day 14"}}
    )
    play(policy, severity)
    ill = rated(policy, severity, WEEK_H) > 10
    assert 0.1 < ill.mean() < 0.9
    assert np.array_equal(policy.course.was_switched[:, 1], ill)
    assert not policy.course.was_switched[:, 3].any()


def test_who_gets_nothing_is_not_switched_then_but_stays_so():
    policy = policy_of(2000, switch={"a": {"to": IM, "share": 0.3}}, missed_session=0.5)
    play(policy)
    was, missed = policy.course.was_switched, policy.course.was_missed
    assert np.array_equal(was[:, 1:][missed[:, 1:]], was[:, :-1][missed[:, 1:]])
    assert (missed & was).any()


# --- rescue ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["response lost", "MADRS 22 once"])
def test_later_sessions_are_given_only_to_those_whose_rating_asks_for_it(rule: str):
    severity = np.random.default_rng(3).uniform(0.1, 0.6, (400, 5))
    policy = policy_of(rescue={"a": {"start": "day 14", "rule": rule}})
    play(policy, severity)
    before = rated(policy, severity[:, 0], 0.0)
    assert (policy.course.level[:, :2] == 1.0).all()
    for session in (2, 3):
        points = rated(policy, severity[:, session], 168.0 * session)
        needs = points >= 22 if rule == "MADRS 22 once" else ~(points <= 0.5 * before)
        assert np.array_equal(policy.course.level[:, session], needs)
        assert 0.1 < needs.mean() < 0.95


def test_who_needs_no_rescue_neither_misses_a_session_nor_is_measured():
    policy = policy_of(
        1000,
        rescue={"a": {"start": "day 14", "rule": "MADRS 22 once"}},
        missed_session=0.3,
        hold={"systolic_mmHg": 130},
    )
    play(policy, 0.02)
    course = policy.course
    assert not course.was_missed[:, 2:].any()
    assert not course.was_held[:, 2:].any()
    assert np.isnan(course.pressure["systolic_mmHg"][:, 2:]).all()
    assert course.was_held[:, :2].any()


# --- events ----------------------------------------------------------------------------------------


def test_an_event_comes_by_its_chance_once_the_session_is_over():
    policy = policy_of(2000, dropout={"share": 0.01, "after_event": 2.0}, missed_session=0.2)
    exposure = np.random.default_rng(4).uniform(0.0, 2.0, (2000, len(policy.times_h)))
    play(policy, exposure_h=exposure)
    course = policy.course
    for session, start_h in enumerate(policy.plan.start_h):
        place = int(np.flatnonzero(policy.times_h == start_h + 12.0)[0])
        chance = 1.0 - np.exp(-ANXIETY_PER_H * exposure[:, place])
        draws = event_draws("anxiety", float(start_h), policy.keys, SEED)
        assert np.array_equal(
            course.had_event["anxiety"][:, session], (draws < chance) & (course.level[:, session] > 0)
        )


def test_preparation_takes_its_share_off_anxiety_alone():
    counts = {}
    for prepared in (0.0, 1.0):
        dropout = {"share": 0.01, "after_event": 2.0, "events": ["anxiety", "nausea"]}
        policy = policy_of(20_000, dropout=dropout, prepared=prepared)
        play(policy, exposure_h=1.0)
        counts[prepared] = {name: one[:, 0].sum() for name, one in policy.course.had_event.items()}
    assert counts[0.0]["nausea"] == counts[1.0]["nausea"]
    assert binomtest(int(counts[1.0]["anxiety"]), 20_000, 1.0 - np.exp(-0.5 * ANXIETY_PER_H)).pvalue > LEAST_P


def test_sessions_of_one_day_end_before_the_next_begins():
    ends = session_ends_h(np.array([0.0, 8.0, 100.0]))
    assert ends.tolist() == [8.0 - 1e-3, 20.0, 112.0]
    assert session_ends_h(np.zeros(0)).shape == (0,)


# --- the same whatever happens beside --------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    "dropout": {"share": 0.3, "by": "day 28", "per_10_points": 1.5, "after_event": 2.0},
    "missed_session": 0.1,
    "hold": {"systolic_mmHg": 140},
    "flexible": {"a": FLEXIBLE | {"down_after": ["nausea"]}},
    "rescue": {"a": {"start": "day 21", "rule": "MADRS 22 once"}},
}


def state_of(policy: TrialPolicy, seed: int = 5) -> dict[str, Any]:
    rng, shape = np.random.default_rng(seed), (len(policy.keys), len(policy.times_h))
    return {
        "severity": rng.uniform(0.1, 0.7, shape),
        "exposure_h": rng.uniform(0.0, 1.0, shape),
        "effect": rng.uniform(0.0, 0.3, shape),
    }


def bytes_of(policy: TrialPolicy) -> dict[str, bytes]:
    course = policy.course
    parts = {
        name: getattr(course, name)
        for name in ("left_h", "level", "step", "was_held", "was_missed", "points")
    }
    parts |= {f"event {name}": one for name, one in course.had_event.items()}
    parts |= {f"pressure {name}": one for name, one in course.pressure.items()}
    parts |= {f"baseline {name}": one for name, one in course.baseline.items()}
    return {name: one.tobytes() for name, one in parts.items()}


def test_chunks_in_any_order_decide_the_same_to_the_byte():
    keys = np.sort(np.random.default_rng(6).choice(2**40, 300, replace=False)) + 1
    whole, parts = (policy_of(keys=keys, **EVERYTHING) for _ in range(2))
    states = state_of(whole)
    play(whole, **states)
    for chosen in (keys[200:], keys[:77], keys[77:200]):
        play(parts, numbers=chosen, **states)
    assert bytes_of(whole) == bytes_of(parts)
    assert 0 < np.isfinite(whole.course.left_h).sum() < 300
    assert whole.course.was_held.any()


@pytest.mark.parametrize("first", [0, 1])
def test_a_run_that_starts_again_leaves_nothing_of_the_first_try(first: int):
    """Where the compiled engine gives up NumPy begins again after what was decided at the start."""
    visits = (0.0, 0.2, 7.0, 14.0, 21.0, 28.0)
    once, twice = (policy_of(300, visits=visits, **EVERYTHING) for _ in range(2))
    states, others = state_of(once), state_of(once, seed=9)
    for name, values in others.items():
        values[:, :first] = states[name][:, :first]
    play(once, **states)
    play(twice, **others)
    assert bytes_of(once) != bytes_of(twice)
    play(twice, first=first, **states)
    assert bytes_of(once) == bytes_of(twice)


def test_an_arm_without_ketamine_gets_the_same_rules_afterwards():
    text = "midazolam 0.045 mg/kg iv over 40 min, weekly x 4"
    rules: dict[str, Any] = {
        name: EVERYTHING[name] for name in ("dropout", "missed_session", "hold", "rescue")
    }
    during, after = (policy_of(300, regimen=text, **rules) for _ in range(2))
    severity = np.random.default_rng(7).uniform(0.1, 0.7, (300, len(during.times_h)))
    play(during, severity)
    after.afterwards(severity[:, np.isin(after.times_h, after.stops_h)])
    assert bytes_of(during) == bytes_of(after)


def test_a_run_of_typical_patients_has_no_trial():
    with pytest.raises(TypeError, match="virtual patients"):
        policy_of().decisions(PARAMETERS, None, SEED)


def test_draws_differ_by_what_they_decide_and_when():
    keys = np.arange(1, 2001)
    draws = [
        conduct_draws(what, time_h, keys, SEED)
        for what in ("dropout", "missed session")
        for time_h in (0.0, 24.0)
    ]
    correlation = np.corrcoef(draws) - np.eye(4)
    assert np.abs(correlation).max() < 4.0 / np.sqrt(2000)
