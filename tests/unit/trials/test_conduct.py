"""Trials as they are run: who is rated when, what sessions give and bring, in any company the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare
from tests.unit.trials.cohorts import CROSSOVER

from euthymia.compute.threads import ThreadExecutor
from euthymia.dosing.notation import parse_regimen
from euthymia.model.parameters import load_parameters
from euthymia.population import solve
from euthymia.population.outcomes import rate
from euthymia.population.run import ENGINE_VARIABLE
from euthymia.population.screening import ratings_before
from euthymia.population.simulate import simulate
from euthymia.trials import conduct
from euthymia.trials.conduct import Group, groups_of, places_of, policy_of, run_replicates
from euthymia.trials.design import Protocol
from euthymia.trials.enrol import Intake, enrol, intake
from euthymia.trials.records import AFTER_EVENT, COMPLETED, PATIENT_FIELDS, SESSION_FIELDS, WITHDREW, Cohort
from euthymia.trials.sessions import READ_MIN, event_rules, planned_mg, sessions_of

LEAST_P = 1e-3
WEEK_H = 168.0
KETAMINE, MIDAZOLAM = "ketamine 0.5 mg/kg iv over 40 min", "midazolam 0.045 mg/kg iv over 40 min"
SMALL: dict[str, Any] = {
    "id": "small",
    "title": "Three sessions",
    "population": {"entry": [{"scale": "MADRS", "at_least": 24}, {"scale": "SSI", "at_least": 2}]},
    "arms": {
        "ketamine": {"n": 12, "regimen": f"{KETAMINE}, weekly x 3", "setting": "midazolam"},
        "control": {
            "n": 6,
            "regimen": f"{MIDAZOLAM}, weekly x 3",
            "setting": "midazolam",
            "is_control": True,
        },
    },
    "visits": [
        {"at": "day 0", "scales": ["MADRS", "SSI"]},
        {"at": "day 1"},
        {"at": "day 7"},
        {"at": "day 14", "scales": ["MADRS", "SSI"]},
        {"at": "day 21"},
    ],
    "endpoints": {"day-21": {"kind": "change", "at": "day 21"}},
}
LIVELY: dict[str, Any] = {
    "dropout": {"share": 0.4, "by": "day 21", "per_10_points": 1.5, "after_event": 2.0},
    "missed_session": 0.15,
    "missed_rating": 0.1,
    "hold": {"systolic_mmHg": 132, "diastolic_mmHg": 90},
    "flexible": {"ketamine": {"levels": [1.0, 1.5], "start": "day 7", "down_after": ["nausea"]}},
    "rescue": {"control": {"start": "day 14"}},
}


@pytest.fixture(autouse=True, scope="module")
def _compiled_engine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENGINE_VARIABLE, "c")
        yield


def given_of(seed: int = 7, **changes: Any) -> Intake:
    return intake(Protocol.model_validate(SMALL | changes), load_parameters(), seed=seed)


def run(*replicates: int, seed: int = 7, **changes: Any) -> tuple[Cohort, ...]:
    return run_replicates(given_of(seed, **changes), replicates)[0]


@cache
def lively() -> tuple[Cohort, ...]:
    """Return three replicates in which everything happens."""
    return run(0, 1, 2, conduct=LIVELY)


def alone(regimen: str, *, n: int = 4, last: str = "day 7", **changes: Any) -> Cohort:
    """Return the cohort of a single arm."""
    visits = [{"at": "day 0"}, {"at": last}]
    content: dict[str, Any] = {
        "design": "single-arm",
        "arms": {"one": {"n": n, "regimen": regimen}},
        "visits": visits,
        "population": {},
        "endpoints": {"end": {"kind": "change", "at": last}},
    }
    content |= changes
    (found,) = run(0, **content)
    return found


def parts_of(cohort: Cohort) -> dict[str, bytes]:
    """Return everything that stands of the patients of a cohort."""
    sessions = cohort.sessions
    parts = {name: getattr(cohort, name) for name in PATIENT_FIELDS}
    parts |= {name: getattr(sessions, name) for name in SESSION_FIELDS}
    parts |= {f"score {name}": one for name, one in cohort.scores.items()}
    parts |= {f"unmasked {name}": one for name, one in cohort.unmasked.items()}
    parts |= {f"reading {name}": one for name, one in sessions.readings.items()}
    parts |= {f"event {name}": one for name, one in sessions.events.items()}
    found = {name: one.tobytes() for name, one in parts.items()}
    return found | {"people": repr(cohort.people).encode(), "reason": repr(cohort.reason).encode()}


# --- ratings ---------------------------------------------------------------------------------------


def test_ratings_at_baseline_are_those_that_screening_saw_and_meet_the_rule():
    given = given_of(conduct=LIVELY)
    for cohort in lively():
        for scale, least in (("MADRS", 24), ("SSI", 2)):
            (screened,) = ratings_before(
                given.parameters, [scale], [0.0], numbers=cohort.key, seed=given.seed
            )
            assert np.array_equal(cohort.scores[scale][:, 0], screened)
            assert screened.min() >= least


def test_a_rating_at_baseline_is_not_read_off_a_run_which_rounds():
    given = given_of()
    keys, group = enrol(given, 0).key, groups_of(given.protocol)[0]
    found = conduct._rated(given, group, "MADRS", np.full((len(keys), 5), 0.3), keys)  # pyright: ignore[reportPrivateUsage]
    (screened,) = ratings_before(given.parameters, ["MADRS"], [0.0], numbers=keys, seed=given.seed)
    assert np.array_equal(found[:, 0], screened)
    assert not np.array_equal(found[:, 1], screened)


def test_a_scale_is_rated_where_the_protocol_says_and_nowhere_else():
    for cohort in lively():
        assert np.isnan(cohort.unmasked["SSI"][:, [1, 2, 4]]).all()
        assert not np.isnan(cohort.unmasked["SSI"][:, 0]).any()


def test_who_has_left_is_not_rated_but_would_have_been():
    for cohort in lively():
        has_left = cohort.left_h[:, None] <= cohort.visits_h
        for scale in ("MADRS", "SSI"):
            seen, all_seen = cohort.scores[scale], cohort.unmasked[scale]
            assert np.isnan(seen[has_left]).all()
            assert np.array_equal(seen[~has_left], all_seen[~has_left], equal_nan=True)
        later = cohort.unmasked["MADRS"][has_left]
        assert np.isfinite(later).mean() > 0.7
    assert sum(one.has_left.sum() for one in lively()) > 5


@pytest.mark.slow
def test_ratings_are_missed_by_their_share_but_not_at_baseline():
    (cohort,) = run(
        0,
        arms={name: one | {"n": 150} for name, one in SMALL["arms"].items()},
        conduct={"missed_rating": 0.2},
    )
    missed = np.isnan(cohort.unmasked["MADRS"])
    assert not missed[:, 0].any()
    assert binomtest(int(missed[:, 1:].sum()), missed[:, 1:].size, 0.2).pvalue > LEAST_P


@pytest.mark.slow
def test_visits_take_place_within_their_window_evenly_and_with_a_session_on_its_day():
    visits = [*SMALL["visits"][:2], {"at": "day 7", "window": "1 d"}, {"at": "day 18", "window": "2 d"}]
    visits.append({"at": "day 23"})
    changes = {"visits": visits, "endpoints": {"end": {"kind": "change", "at": "day 18"}}}
    changes["arms"] = {name: one | {"n": 100} for name, one in SMALL["arms"].items()}
    (wide,) = run(0, **changes)
    places = np.unique((wide.actual_h[:, 3] - 432.0) / 48.0, return_counts=True)
    assert places[0].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert chisquare(places[1]).pvalue > LEAST_P
    assert (wide.actual_h[:, [0, 1, 2, 4]] == [0.0, 24.0, 168.0, 552.0]).all(), "day 7 has a session"
    visits[3] = {"at": "day 18"}
    (exact,) = run(0, **changes)
    on_day = wide.actual_h[:, 3] == 432.0
    seen, planned = wide.scores["MADRS"], exact.scores["MADRS"]
    assert np.array_equal(seen[on_day], planned[on_day])
    assert np.array_equal(seen[:, [0, 1, 2, 4]], planned[:, [0, 1, 2, 4]])
    assert 0.2 < (seen[~on_day, 3] != planned[~on_day, 3]).mean() < 1.0


def test_a_time_that_a_run_was_not_asked_for_is_no_rating():
    assert places_of(np.array([0.0, 1.0, 2.0]), np.array([2.0, 0.0])).tolist() == [2, 0]
    for wanted in (1.0 + 1e-12, 3.0):
        with pytest.raises(Exception, match="not among those of the run"):
            places_of(np.array([0.0, 1.0, 2.0]), np.array([wanted]))


# --- sessions --------------------------------------------------------------------------------------


def test_what_is_given_is_what_was_planned_times_the_level_and_nothing_after_leaving():
    levels = set()
    for cohort in lively():
        sessions, weights = cohort.sessions, np.array([one.weight_kg for one in cohort.people])
        per_kg = np.where(cohort.arm == 0, 0.5, 0.045)
        assert sessions.planned_mg == pytest.approx((weights * per_kg)[:, None] * np.ones(3), rel=1e-9)
        ratio = np.round(sessions.given_mg / sessions.planned_mg, 9)
        levels |= set(ratio.ravel())
        is_gone = sessions.start_h >= cohort.left_h[:, None]
        assert (ratio[is_gone | sessions.was_held | sessions.was_missed] == 0.0).all()
        stays = ~(is_gone | sessions.was_held | sessions.was_missed)
        assert (ratio[(cohort.arm == 0)[:, None] & stays] >= 1.0).all()
        assert not (is_gone & (sessions.was_held | sessions.was_missed)).any()
    assert levels == {0.0, 1.0, 1.5}


def test_nothing_is_read_and_nothing_happens_where_there_was_no_session():
    for cohort in lively():
        sessions = cohort.sessions
        took_place = sessions.given_mg > 0
        for name, values in sessions.readings.items():
            assert values.shape == (18, 3, len(READ_MIN))
            assert np.isfinite(values[took_place]).all(), name
            assert np.isnan(values[~took_place][:, 1:]).all(), name
        for name, flags in sessions.events.items():
            assert not flags[~took_place].any(), name
    assert lively()[0].sessions.events["nausea"].any()


def test_a_held_session_has_the_pressure_that_held_it_and_every_other_one_lies_below():
    held_count = 0
    for cohort in lively():
        sessions = cohort.sessions
        systolic, diastolic = (
            sessions.readings[name][..., 0] for name in ("systolic_mmHg", "diastolic_mmHg")
        )
        is_high = (systolic >= 132) | (diastolic >= 90)
        took_place = sessions.given_mg > 0
        assert np.array_equal(is_high & np.isfinite(systolic), sessions.was_held)
        assert not is_high[took_place].any()
        assert np.isnan(sessions.readings["heart_rate_per_min"][sessions.was_held]).all()
        assert np.isnan(systolic[~took_place & ~sessions.was_held]).all()
        held_count += sessions.was_held.sum()
    assert held_count > 5


@pytest.mark.parametrize("before", ["", "preparation session 60 min at -1 d; "])
def test_events_that_people_leave_after_are_those_in_the_data(before: str):
    """The policy sees what the data of a session will say, and not another draw; preparation calms."""
    ketamine = SMALL["arms"]["ketamine"] | {"regimen": f"{before}{KETAMINE}, weekly x 3"}
    given = given_of(conduct=LIVELY, arms=SMALL["arms"] | {"ketamine": ketamine})
    enrolled, group = enrol(given, 0, 60), groups_of(given.protocol)[0]
    policy = policy_of(given, group, enrolled.key, enrolled.people)
    assert policy is not None
    assert ((policy.preparation_fraction > 0.0) == bool(before)).all()
    course = conduct._simulated(
        given, group, enrolled.people, enrolled.key, policy, engine="c", executor=None
    )  # pyright: ignore[reportPrivateUsage]
    weights = np.array([one.weight_kg for one in enrolled.people])
    sessions = conduct._sessions(given, group, course, enrolled.key, weights, policy.course)  # pyright: ignore[reportPrivateUsage]
    for name, had in policy.course.had_event.items():
        assert np.array_equal(had, sessions.events[name])
        assert had.any()


def test_why_people_left_is_said():
    for cohort in lively():
        said = np.array(cohort.reason)
        assert np.array_equal(said == COMPLETED, ~cohort.has_left)
        for row in np.flatnonzero(cohort.has_left):
            last = np.flatnonzero(cohort.sessions.start_h[row] < cohort.left_h[row])[-1]
            had_anxiety = cohort.sessions.events["anxiety"][row, last]
            assert said[row] == (AFTER_EVENT if had_anxiety else WITHDREW)
    assert {AFTER_EVENT, WITHDREW} <= {one for cohort in lively() for one in cohort.reason}


def test_doses_end_with_leaving_and_the_path_of_who_left_changes_from_then_on():
    """The same people under the same rules but for how many leave: nobody, or most."""
    stay, leave = (run(0, conduct={"dropout": {"share": share, "by": "day 21"}})[0] for share in (1e-12, 0.9))
    assert not stay.has_left.any()
    changed = 0
    for row in np.flatnonzero(leave.arm == 0):
        before = leave.visits_h <= leave.left_h[row]
        totals = [one.unmasked["MADRS"][row] for one in (stay, leave)]
        assert np.array_equal(totals[0][before], totals[1][before])
        changed += bool((totals[0][~before] != totals[1][~before]).any())
    gone = leave.has_left & (leave.arm == 0) & (leave.left_h < 2 * WEEK_H + 1)
    assert changed >= 0.5 * gone.sum() > 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::euthymia.errors.ResultWarning")
def test_a_replay_with_the_doses_that_were_decided_is_the_same_to_the_byte():
    """Visits and sessions fall together here, so that both runs take the same steps."""
    visits = [{"at": "day 0"}, {"at": "day 7"}, {"at": "day 14"}]
    rules = {name: LIVELY[name] for name in ("missed_session", "hold", "rescue")}
    rules |= {"dropout": {"share": 0.4, "by": "day 21", "per_10_points": 1.5}}
    rules |= {"flexible": {"ketamine": {"levels": [1.0, 1.5], "start": "day 7"}}}
    changes = {"visits": visits, "endpoints": {"end": {"kind": "change", "at": "day 14"}}, "population": {}}
    given = given_of(conduct=rules, **changes)
    enrolled, group = enrol(given, 0, 40), groups_of(given.protocol)[0]
    policy = policy_of(given, group, enrolled.key, enrolled.people)
    assert policy is not None
    decided = conduct._simulated(
        given, group, enrolled.people, enrolled.key, policy, engine="c", executor=None
    )  # pyright: ignore[reportPrivateUsage]
    assert decided.given_fraction is not None
    assert np.array_equal(decided.given_fraction, policy.course.level)
    assert len(np.unique(policy.course.level)) == 3
    again = simulate(
        group.regimen,
        patients=enrolled.people,
        numbers=enrolled.key,
        parameters=given.parameters,
        seed=given.seed,
        times_h=decided.times_h,
        days=group.end_h / 24.0,
        variables=list(decided.values),
        setting=group.setting,
        factors=policy.course.level,
    )
    for name, values in decided.values.items():
        assert again.values[name].tobytes() == values.tobytes(), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::euthymia.errors.ResultWarning")
def test_a_course_by_two_routes_is_that_of_a_regimen_written_so():
    """Everybody ill is switched for good at day 7: as if the order had said so."""
    visits = [{"at": "day 0"}, {"at": "day 7"}, {"at": "day 14"}]
    changes = {"visits": visits, "endpoints": {"end": {"kind": "change", "at": "day 14"}}, "population": {}}
    switch = {"to": "ketamine 0.8 mg/kg im", "unless": "remission", "at_most": 0, "start": "day 7"}
    given = given_of(conduct={"switch": {"ketamine": switch}}, **changes)
    enrolled, group = enrol(given, 0, 24), groups_of(given.protocol)[0]
    policy = policy_of(given, group, enrolled.key, enrolled.people)
    assert policy is not None
    found = conduct._simulated(given, group, enrolled.people, enrolled.key, policy, engine="c", executor=None)  # pyright: ignore[reportPrivateUsage]
    is_switched = policy.course.was_switched.all(axis=1, where=[False, True, True])
    assert is_switched.mean() > 0.9
    written = parse_regimen(f"{KETAMINE}; ketamine 0.8 mg/kg im, at 7 d, 14 d")
    again = simulate(
        written,
        patients=enrolled.people,
        numbers=enrolled.key,
        parameters=given.parameters,
        seed=given.seed,
        times_h=found.times_h,
        days=group.end_h / 24.0,
        variables=list(found.values),
        setting=group.setting,
        engine="c",
    )
    for name, values in again.values.items():
        largest = np.abs(values).max()
        assert found.values[name][is_switched] == pytest.approx(values[is_switched], abs=2e-4 * largest), name
    weights = np.array([one.weight_kg for one in enrolled.people])
    sessions = conduct._sessions(given, group, found, enrolled.key, weights, policy.course)  # pyright: ignore[reportPrivateUsage]
    expected = weights[:, None] * np.where(policy.course.was_switched, 0.8, 0.5)
    assert sessions.given_mg == pytest.approx(expected, rel=1e-9)


# --- the same whatever happens beside --------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicates", "size", "threads"),
    [((1,), 512, None), ((2, 0, 1), 512, None), ((0, 1), 7, 1), ((0, 1), 7, 2)],
)
def test_patients_are_the_same_in_any_company_order_chunk_and_number_of_threads(
    replicates: tuple[int, ...], size: int, threads: int | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(solve, "PATIENTS_PER_CHUNK", size)
    executor = None if threads is None else ThreadExecutor(threads)
    found, _ = run_replicates(given_of(conduct=LIVELY), replicates, executor=executor)
    for cohort, replicate in zip(found, replicates, strict=True):
        assert cohort.replicate == replicate
        assert parts_of(cohort) == parts_of(lively()[replicate])


def test_replicates_have_other_people_and_the_same_plan():
    one, other, _ = lively()
    assert not set(one.key) & set(other.key)
    assert np.array_equal(one.visits_h, other.visits_h)
    assert one.subjects[0] != other.subjects[0]


# --- designs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crossed() -> Cohort:
    protocol = Protocol.model_validate(CROSSOVER | {"crossover": CROSSOVER["crossover"] | {"n": 40}})
    return run_replicates(intake(protocol, load_parameters(), seed=7), [0])[0][0]


def test_everyone_of_a_crossover_gets_every_treatment_in_its_period(crossed: Cohort):
    sessions, weights = crossed.sessions, np.array([one.weight_kg for one in crossed.people])
    assert (sessions.start_h == [0.0, 504.0]).all()
    per_kg = np.where(crossed.arm[:, None] == [0, 1], 0.5, 0.045)
    assert sessions.given_mg == pytest.approx(per_kg * weights[:, None], rel=1e-9)
    assert np.bincount(crossed.arm).tolist() == [20, 20]
    assert crossed.arms == ("ketamine > midazolam", "midazolam > ketamine")
    rises = sessions.readings["cadss_points"].max(axis=2)
    is_ketamine = per_kg == 0.5
    assert rises[is_ketamine].mean() > 2.0
    assert (rises[~is_ketamine] == 0.0).all()


def test_visits_of_a_crossover_are_repeated_in_each_period_with_a_baseline_of_its_own(crossed: Cohort):
    assert crossed.visits_h.tolist() == [0.0, 24.0, 336.0, 504.0, 528.0, 840.0]
    for column in (0, 3):
        assert np.isfinite(crossed.scores["HAM-D17"][:, column]).all()
    assert np.isnan(crossed.scores["HAM-D17"][:, [1, 4]]).all()
    after, before = crossed.scores["MADRS"][:, [1, 4]], crossed.scores["MADRS"][:, [0, 3]]
    first = crossed.arm == 0
    falls = before - after
    assert falls[first, 0].mean() > falls[first, 1].mean()
    assert falls[~first, 1].mean() > falls[~first, 0].mean()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"rule": "response"}, [True, False, True, False]),
        ({"rule": "remission", "at_most": 12}, [True, False, False, False]),
        ({"rule": "stable remission", "at_most": 14}, [False, False, True, False]),
        ({"rule": "stable remission", "at_most": 30}, [False, False, True, False]),
    ],
)
def test_who_is_well_at_a_withdrawal_counts(rule: dict[str, Any], expected: list[bool]):
    visits = [{"at": f"day {day}"} for day in (0, 7, 14, 21, 28, 56)]
    regimens = {"on": f"{KETAMINE}, weekly x 8", "off": f"{KETAMINE}, weekly x 4"}
    protocol = Protocol.model_validate(
        SMALL
        | {
            "design": "withdrawal",
            "population": {},
            "arms": {
                name: {"n": 2, "regimen": one, "is_control": name == "off"} for name, one in regimens.items()
            },
            "visits": visits,
            "withdrawal": {"at": "day 28", **rule},
            "endpoints": {"end": {"kind": "change", "at": "day 56"}},
        }
    )
    totals = np.array(
        [
            [40.0, 31.0, 20.0, 13.0, 12.0, 40.0],
            [40.0, 12.0, 12.0, 12.0, np.nan, 5.0],
            [32.0, 14.0, 14.0, 13.0, 14.0, 5.0],
            [40.0, 12.0, 12.0, 12.0, 31.0, 5.0],
        ]
    )
    found = conduct._analysed(protocol, 24.0 * np.array([0, 7, 14, 21, 28, 56]), {"MADRS": totals})  # pyright: ignore[reportPrivateUsage]
    assert found.tolist() == expected


def test_what_is_given_before_day_0_is_given_and_rated():
    arms = {"one": {"n": 4, "regimen": f"escitalopram 10 mg po, daily x 40 from -14 d; {KETAMINE}"}}
    visits = [{"at": "day -7"}, {"at": "day 0"}, {"at": "day 7"}]
    cohort = alone("saline iv over 40 min", arms=arms, visits=visits)
    assert np.isfinite(cohort.scores["MADRS"]).all()
    assert cohort.sessions.start_h.tolist() == [[0.0]] * 4
    assert cohort.left_h.min() == np.inf


@pytest.mark.parametrize("regimen", ["escitalopram 10 mg po, daily x 28", "ECT, twice weekly x 4"])
def test_an_arm_without_sessions_is_rated_all_the_same(regimen: str):
    cohort = alone(regimen, conduct={"dropout": {"share": 0.3}, "hold": {"systolic_mmHg": 140}})
    assert cohort.sessions.start_h.shape == (4, 0)
    assert np.isfinite(cohort.unmasked["MADRS"]).all()
    assert all(values.shape == (4, 0, len(READ_MIN)) for values in cohort.sessions.readings.values())
    assert all(flags.shape == (4, 0) for flags in cohort.sessions.events.values())


def test_arms_of_different_length_stand_side_by_side():
    arms = {
        "many": {"n": 3, "regimen": f"{KETAMINE}, weekly x 2"},
        "none": {"n": 3, "regimen": "escitalopram 10 mg po, daily x 14", "is_control": True},
    }
    (cohort,) = run(0, arms=arms, conduct={"missed_session": 0.3})
    none = cohort.arm == 1
    assert cohort.sessions.start_h.shape == (6, 2)
    assert np.isnan(cohort.sessions.start_h[none]).all()
    assert np.isnan(cohort.sessions.given_mg[none]).all()
    assert not cohort.sessions.was_missed[none].any()
    assert np.isnan(cohort.sessions.readings["cadss_points"][none]).all()


@pytest.mark.slow
def test_of_many_sessions_the_first_are_read_and_all_are_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(conduct, "SESSIONS_READ", 3)
    cohort = alone("ketamine 50 mg po, daily x 5", conduct={"missed_session": 0.2})
    sessions = cohort.sessions
    took_place = sessions.given_mg > 0
    for values in sessions.readings.values():
        assert np.isfinite(values[:, :3][took_place[:, :3]]).all()
        assert np.isnan(values[:, 3:]).all()
    assert not any(
        flags[:, 3:].any() for name, flags in sessions.events.items() if event_rules()[name].is_symptom
    )
    assert set(np.round(sessions.given_mg[:, 3:].ravel(), 6)) <= {0.0, 50.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regimen", "last", "sessions"),
    [
        ("ketamine 50 mg po, daily x 70", "day 90", 70),
        (f"{KETAMINE}, every 2 weeks x 14", "day 200", 14),
        ("ketamine 1 mg/kg iv over 24 h at 11 h", "2 h", 1),
        ("ketamine 50 mg po, every 8 h x 6", "day 7", 6),
    ],
)
def test_long_trials_run_through(regimen: str, last: str, sessions: int):
    cohort = alone(regimen, n=3, last=last, conduct={"dropout": {"share": 0.1, "after_event": 2.0}})
    assert cohort.sessions.start_h.shape == (3, sessions)
    assert np.isfinite(cohort.unmasked["MADRS"]).all()


def test_a_horizon_of_a_session_at_an_odd_minute_is_not_short_of_its_last_reading():
    """The end in days times 24 must not fall below the last time that is read."""
    regimen = "ketamine 10 mg iv bolus at 14639 min"
    (group,) = _groups(regimen)
    end_h = group.plan.start_h[0] + 12.0
    assert end_h / 24.0 * 24.0 < end_h, "what went wrong"
    assert group.end_h / 24.0 * 24.0 >= end_h
    assert np.isfinite(alone(regimen, last="day 3").unmasked["MADRS"]).all()


def _groups(regimen: str) -> tuple[Group, ...]:
    content = {"design": "single-arm", "arms": {"one": {"n": 2, "regimen": regimen}}}
    return groups_of(Protocol.model_validate(SMALL | content))


# --- sessions of a regimen -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("regimen", "starts_h", "slots"),
    [
        (f"{KETAMINE}, weekly x 2", [0.0, 168.0], [(0,), (1,)]),
        ("esketamine 84 mg in, twice weekly x 2", [0.0, 72.0], [(0, 1, 2), (3, 4, 5)]),
        ("ketamine 0.14 then 0.28 then 0.57 mg/kg/h iv, 60 min each", [0.0], [(0, 1, 2)]),
        (f"{MIDAZOLAM}; {KETAMINE} at 20 min", [0.0], [(0,)]),
        (f"{MIDAZOLAM} then {KETAMINE} at 7 d", [0.0, 168.0], [(), (0,)]),
        (f"{MIDAZOLAM}; {KETAMINE} at 7 d", [0.0, 168.0], [(), (0,)]),
        (
            f"{KETAMINE}, weekly x 2 from -14 d; saline iv over 40 min",
            [-336.0, -168.0, 0.0],
            [(0,), (1,), ()],
        ),
        ("escitalopram 10 mg po, daily x 3", [], []),
    ],
)
def test_every_dose_belongs_to_the_session_that_it_is_given_in(
    regimen: str, starts_h: list[float], slots: list[tuple[int, ...]]
):
    plan = sessions_of(parse_regimen(regimen))
    assert plan.start_h.tolist() == starts_h
    assert list(plan.slots) == slots


def test_amounts_of_a_session_add_up_over_its_devices_steps_and_drugs():
    weights = np.array([50.0, 80.0])
    for regimen, expected in (
        ("esketamine 84 mg in, twice weekly x 2", [[84.0, 84.0]] * 2),
        ("ketamine 0.1 then 0.2 mg/kg/h iv, 60 min each", [[15.0], [24.0]]),
        (f"{MIDAZOLAM} ; {KETAMINE} at 7 d", [[2.25, 25.0], [3.6, 40.0]]),
        ("saline iv over 40 min; escitalopram 10 mg po, daily x 3", [[0.0]] * 2),
    ):
        plan = parse_regimen(regimen)
        assert planned_mg(plan, sessions_of(plan), weights) == pytest.approx(np.array(expected), rel=1e-9)


@pytest.mark.slow
def test_a_missed_spray_is_missed_with_all_its_devices():
    cohort = alone(
        "esketamine 84 mg in, twice weekly x 4", n=20, last="day 21", conduct={"missed_session": 0.5}
    )
    sessions = cohort.sessions
    assert set(np.round(sessions.given_mg.ravel(), 6)) == {0.0, 84.0}
    assert 0.3 < sessions.was_missed.mean() < 0.7
    missed = sessions.was_missed
    assert np.isnan(sessions.readings["cadss_points"][missed]).all()


def test_totals_at_later_visits_are_those_of_the_run():
    """By another way: each patient alone, at the times of the visits, rated by the same draws."""
    (cohort,) = run(0)
    given, row = given_of(), int(np.flatnonzero(cohort.arm == 0)[2])
    group = groups_of(given.protocol)[0]
    one = simulate(
        group.regimen,
        patients=[cohort.people[row]],
        numbers=cohort.key[[row]],
        parameters=given.parameters,
        seed=given.seed,
        times_h=cohort.visits_h,
        days=group.end_h / 24.0,
        variables=["severity_fraction"],
        setting=group.setting,
    )
    totals = rate(
        one["severity_fraction"],
        "MADRS",
        cohort.visits_h,
        parameters=given.parameters,
        numbers=cohort.key[[row]],
        seed=given.seed,
    )
    assert np.array_equal(totals[0], cohort.scores["MADRS"][row])
