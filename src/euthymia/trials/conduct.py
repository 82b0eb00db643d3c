"""A trial as it is run: everyone in an arm through the model, and what staff would have written down."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.executor import Executor
from euthymia.dosing.regimen import Regimen, combine, shift
from euthymia.errors import ResultWarning, RunFailedError
from euthymia.model.scales import find_scale
from euthymia.model.trajectory import Trajectory
from euthymia.population.individual import chain_values
from euthymia.population.observation import observe
from euthymia.population.outcomes import rate, remission, response
from euthymia.population.patient import Patient
from euthymia.population.posterior import PRIOR
from euthymia.population.run import Life
from euthymia.population.screening import ratings_before
from euthymia.population.simulate import simulate
from euthymia.population.surroundings import Taken, preparation_of
from euthymia.trials.design import STABLE_VISITS, Protocol, instead_of
from euthymia.trials.enrol import Enrolled, Intake, enrol, mood_scale
from euthymia.trials.fields import SAME_TIME_H
from euthymia.trials.policy import LAYERS, Course, TrialPolicy, conduct_draws, event_draws
from euthymia.trials.records import AFTER_EVENT, COMPLETED, WITHDREW, Cohort, Sessions
from euthymia.trials.sessions import (
    READ_MIN,
    RISES,
    SESSION_END_H,
    EventRule,
    Plan,
    event_rules,
    has_event,
    planned_mg,
    read_times_h,
    session_ends_h,
    sessions_of,
)

DAY_H = 24.0
Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
SHIFTS = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
"""Where in its window a visit may take place, in shares of the window."""
SESSIONS_READ = 60
"""Most sessions of which readings are kept; later ones have none."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """People of several replicates who are all given the same: an arm, or a sequence of a crossover."""

    protocol: Protocol
    name: str
    regimen: Regimen
    instead: Regimen | None = None
    setting: str
    visits_h: tuple[float, ...]
    rated: tuple[tuple[str, ...], ...]
    windows_h: tuple[float, ...]

    @cached_property
    def plan(self) -> Plan:
        """The sessions."""
        return sessions_of(self.regimen, self.instead)

    @cached_property
    def whole(self) -> Regimen:
        """Everything that anybody may be given: both routes of sessions that may be switched."""
        return self.regimen if self.instead is None else combine(self.regimen, self.instead)

    @cached_property
    def start_h(self) -> float:
        """Start of the run: the first visit or item, or day 0."""
        return min(0.0, float(self.visit_times_h().min()), *(start_h for start_h, _ in self.regimen.items))

    @cached_property
    def end_h(self) -> float:
        """End of the run in whole days: half a day after the last visit, item, or what the protocol says."""
        last_h = float(self.visit_times_h().max())
        items = [start_h + (one.duration_min or 0.0) / 60.0 for start_h, one in self.whole.items]
        return DAY_H * ceil((max(last_h, *items, self.protocol.ends or 0.0) + SESSION_END_H) / DAY_H)

    def visit_times_h(self) -> Array:
        """Return when each visit may take place, (V, shifts); one with a session takes place with it."""
        alone = np.array([self.plan.at(time_h) is None for time_h in self.visits_h])
        windows_h = np.where(alone, self.windows_h, 0.0)
        return np.asarray(self.visits_h)[:, None] + windows_h[:, None] * SHIFTS


def groups_of(protocol: Protocol) -> tuple[Group, ...]:
    """Return what the groups of a trial are given and when they are rated, in the order of the arms."""
    visits = protocol.visits
    one: dict[str, Any] = {
        "visits_h": protocol.visits_h,
        "rated": tuple(visit.scales for visit in visits),
        "windows_h": tuple(visit.window for visit in visits),
    }
    if protocol.crossover is None:
        return tuple(
            Group(
                protocol=protocol,
                name=name,
                regimen=arm.plan,
                instead=instead_of(protocol, name),
                setting=arm.setting,
                **one,
            )
            for name, arm in protocol.arms.items()
        )
    period_h, count = protocol.crossover.period, len(protocol.crossover.sequences[0])
    starts = [period_h * place for place in range(count)]
    one = {
        "visits_h": tuple(start + at for start in starts for at in one["visits_h"]),
        "rated": one["rated"] * count,
        "windows_h": one["windows_h"] * count,
    }
    return tuple(_sequence(protocol, sequence, starts, one) for sequence in protocol.crossover.sequences)


def _sequence(
    protocol: Protocol, sequence: Sequence[str], starts_h: Sequence[float], one: Mapping[str, Any]
) -> Group:
    """Return the group that gets treatments one after the other."""
    plans = [
        shift(protocol.arms[name].plan, by_h=start) for name, start in zip(sequence, starts_h, strict=True)
    ]
    setting = protocol.arms[sequence[0]].setting
    return Group(
        protocol=protocol, name=" > ".join(sequence), regimen=combine(*plans), setting=setting, **one
    )


def run_replicates(
    given: Intake,
    replicates: Sequence[int],
    *,
    engine: str | None = None,
    executor: Executor | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[tuple[Cohort, ...], tuple[str, ...]]:
    """Return the cohorts of some replicates, and what must be said of the runs.

    A patient is the same whatever replicates go together, in any order: draws are keyed, and the engine gives
    the same bytes in any company.
    """
    if list(replicates) != sorted(set(replicates)):
        in_order = sorted(set(replicates))
        cohorts, said = run_replicates(given, in_order, engine=engine, executor=executor, on_done=on_done)
        return tuple(cohorts[in_order.index(one)] for one in replicates), said
    given = given.taking(replicates)
    enrolled = [enrol(given, replicate) for replicate in replicates]
    found: list[list[_Seen]] = []
    notes: dict[str, None] = {}
    groups = groups_of(given.protocol)
    for place, group in enumerate(groups):
        members = [np.flatnonzero(one.arm == place) for one in enrolled]
        if on_done is not None:
            on_done(place, len(groups))
        seen, said = _run_group(given, group, enrolled, members, engine=engine, executor=executor)
        found.append(seen)
        notes |= dict.fromkeys(said)
    cohorts = [
        _cohort(given, groups, one, [seen[place] for seen in found]) for place, one in enumerate(enrolled)
    ]
    return tuple(cohorts), tuple(notes)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """What was seen of one group in one replicate; rows are ``members`` of the cohort."""

    members: NDArray[np.int64]
    actual_h: Array
    unmasked: Mapping[str, Array]
    course: Course
    had_event: Flags
    sessions: Sessions


def _run_group(
    given: Intake,
    group: Group,
    enrolled: Sequence[Enrolled],
    members: Sequence[NDArray[np.int64]],
    *,
    engine: str | None,
    executor: Executor | None,
) -> tuple[list[_Seen], tuple[str, ...]]:
    """Run a group of all replicates together and take them apart again."""
    keys = np.concatenate([one.key[rows] for one, rows in zip(enrolled, members, strict=True)])
    ends = np.cumsum([len(rows) for rows in members])
    if not len(keys):
        return [_nothing(group, rows) for rows in members], ()
    people = [one.people[row] for one, rows in zip(enrolled, members, strict=True) for row in rows]
    policy = policy_of(given, group, keys, people)
    run = _simulated(given, group, people, keys, policy, engine=engine, executor=executor)
    if policy is not None and not group.plan.gives_ketamine:
        policy.afterwards(run.at(list(policy.stops_h))["severity_fraction"])
    course = Course.begin(len(keys), len(group.plan.start_h)) if policy is None else policy.course
    actual_h, unmasked = _ratings(given, group, run, keys)
    weights = np.array([one.weight_kg for one in people])
    sessions = _sessions(given, group, run, keys, weights, course)
    found = []
    for rows, end in zip(members, ends, strict=True):
        part = slice(end - len(rows), end)
        found.append(
            _Seen(
                members=rows,
                actual_h=actual_h[part],
                unmasked={scale: totals[part] for scale, totals in unmasked.items()},
                course=_part_of_course(course, part),
                had_event=_had_event(given, course)[part],
                sessions=_part_of_sessions(sessions, part),
            )
        )
    return found, run.warnings


def policy_of(
    given: Intake, group: Group, keys: NDArray[np.int64], people: Sequence[Patient]
) -> TrialPolicy | None:
    """Return the rules for a group of people, or None where nothing can happen to their doses."""
    parameters = given.parameters
    rows = {name: row for name, row in parameters.chain.items() if row.layer in LAYERS}
    policy = TrialPolicy(
        conduct=given.protocol.conduct,
        arm=group.name,
        plan=group.plan,
        visits_h=np.array(group.visits_h),
        keys=keys,
        parameters=parameters,
        seed=given.seed,
        mean_points=given.mean_points_of(keys),
        scale=mood_scale(given.protocol),
        person=chain_values(replace(parameters, chain=rows), people, numbers=keys, seed=given.seed),
        preparation_fraction=_prepared(group),
    )
    return policy if policy.is_needed else None


def _prepared(group: Group) -> Array:
    """Return how well patients are prepared when it is known what each session brought, (S,)."""
    known = preparation_of(group.regimen)
    return np.array(
        [
            max((one.height for one in known if one.start_h <= end_h < one.end_h), default=0.0)
            for end_h in session_ends_h(group.plan.start_h)
        ]
    )


def _simulated(
    given: Intake,
    group: Group,
    people: Sequence[Any],
    keys: NDArray[np.int64],
    policy: TrialPolicy | None,
    *,
    engine: str | None,
    executor: Executor | None,
) -> Trajectory:
    starts = group.plan.start_h
    times = [group.visit_times_h().ravel(), starts, [0.0]]
    times += [read_times_h(starts[:SESSIONS_READ]).ravel(), session_ends_h(starts)[:SESSIONS_READ]]
    if policy is not None:
        times.append(policy.stops_h)
    names = dict.fromkeys(find_scale(scale).latent for scale in given.protocol.scales)
    names |= dict.fromkeys(["severity_fraction"])
    if len(starts):
        names |= dict.fromkeys(RISES.values())
        names |= dict.fromkeys(rule.variable for rule in event_rules().values() if rule.is_symptom)
    decided = policy if policy is not None and group.plan.gives_ketamine else None
    population = given.protocol.population
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        return simulate(
            group.whole,
            patients=people,
            numbers=keys,
            parameters=given.parameters,
            posterior=PRIOR,  # a draw, where there is one, is in the parameters
            seed=given.seed,
            times_h=np.unique(np.concatenate(times)),
            days=group.end_h / 24.0,
            variables=list(names),
            setting=group.setting,
            life=Life(
                taken=tuple(Taken.create(text) for text in population.already_on),
                has_events=population.life_events,
            ),
            policy=decided,
            engine=engine,
            executor=executor,
        )


def _ratings(
    given: Intake, group: Group, run: Trajectory, keys: NDArray[np.int64]
) -> tuple[Array, dict[str, Array]]:
    """Return when visits took place, (P, V), and what would have been rated there by everybody."""
    possible = group.visit_times_h()
    actual = np.empty((len(keys), len(possible)))
    at = np.empty(actual.shape, dtype=np.int64)
    for place, (planned_h, times) in enumerate(zip(group.visits_h, possible, strict=True)):
        draw = conduct_draws("day of the visit", planned_h, keys, given.seed)
        actual[:, place] = times[(draw * len(SHIFTS)).astype(np.int64)]
        at[:, place] = places_of(run.times_h, actual[:, place])
    rows = np.arange(len(keys))[:, None]
    return actual, {
        scale: _rated(given, group, scale, run[find_scale(scale).latent][rows, at], keys)
        for scale in given.protocol.scales
    }


def places_of(times_h: Array, wanted_h: Array) -> NDArray[np.int64]:
    """Return where some times stand in a run, which must have been asked for them to the bit."""
    found = np.minimum(np.searchsorted(times_h, wanted_h), len(times_h) - 1)
    if not np.array_equal(times_h[found], wanted_h):
        message = "A time of a visit or session is not among those of the run."
        raise RunFailedError(message)
    return found


def _rated(given: Intake, group: Group, scale: str, latent_fraction: Array, keys: NDArray[np.int64]) -> Array:
    """Return the totals of a scale, NaN at visits that do not rate it or were missed by the rater."""
    totals = rate(
        latent_fraction,
        scale,
        group.visits_h,
        parameters=given.parameters,
        numbers=keys,
        seed=given.seed,
    )
    is_rated = np.array([scale in scales for scales in group.rated])
    missed = given.protocol.conduct.missed_rating
    for place, time_h in enumerate(group.visits_h):
        if abs(time_h) >= SAME_TIME_H:
            draws = conduct_draws("missed rating", time_h, keys, given.seed)
            totals[draws < missed, place] = np.nan
        elif group.start_h == 0.0:  # as screening saw it, to the bit: a compiled run rounds
            (totals[:, place],) = ratings_before(
                given.parameters, [scale], [0.0], numbers=keys, seed=given.seed
            )
    return np.where(is_rated, totals, np.nan)


def _sessions(
    given: Intake,
    group: Group,
    run: Trajectory,
    keys: NDArray[np.int64],
    weight_kg: Array,
    course: Course,
) -> Sessions:
    """Return what was given and read in every session."""
    starts = group.plan.start_h
    planned = planned_mg(group.regimen, group.plan, weight_kg)
    if group.instead is not None:
        planned = np.where(course.was_switched, planned_mg(group.instead, group.plan, weight_kg), planned)
    took_place = course.level > 0
    readings = {name: _read(given, run, name, starts, keys, took_place) for name in RISES}
    for name, before in course.pressure.items():  # a session that was held for it has this reading alone
        readings[name][..., 0] = np.where(np.isnan(before), readings[name][..., 0], before)
    return Sessions(
        start_h=np.broadcast_to(starts, planned.shape).copy(),
        planned_mg=planned,
        given_mg=planned * course.level,
        was_switched=course.was_switched,
        was_held=course.was_held,
        was_missed=course.was_missed,
        readings=readings,
        minutes=READ_MIN,
        events={
            name: _event(given, run, rule, readings, starts, keys) & took_place
            for name, rule in event_rules().items()
        },
    )


def _read(
    given: Intake, run: Trajectory, name: str, starts_h: Array, keys: NDArray[np.int64], took_place: Flags
) -> Array:
    """Return the readings of one kind, (P, S, R), NaN where there was no session or none was kept."""
    found = np.full((*took_place.shape, len(READ_MIN)), np.nan)
    times = read_times_h(starts_h[:SESSIONS_READ])
    if not times.size:
        return found
    rise = run[RISES[name]][:, places_of(run.times_h, times.ravel())]
    who: dict[str, Any] = {"parameters": given.parameters, "numbers": keys, "seed": given.seed}
    read = observe(RISES[name], rise, times.ravel(), **who).reshape(len(keys), *times.shape)
    found[:, : len(times)] = np.where(took_place[:, : len(times), None], read, np.nan)
    return found


def _event(
    given: Intake,
    run: Trajectory,
    rule: EventRule,
    readings: Mapping[str, Array],
    starts_h: Array,
    keys: NDArray[np.int64],
) -> Flags:
    """Return in which sessions an event was there, (P, S)."""
    if not rule.is_symptom:
        return has_event(rule, readings)
    found = np.zeros((len(keys), len(starts_h)), dtype=bool)
    ends_h = session_ends_h(starts_h)[:SESSIONS_READ]
    if len(ends_h):
        chance = run[rule.variable][:, places_of(run.times_h, ends_h)]
        for session in range(len(ends_h)):
            draws = event_draws(rule.name, float(starts_h[session]), keys, given.seed)
            found[:, session] = draws < chance[:, session]
    return found


def _had_event(given: Intake, course: Course) -> Flags:
    """Return in which sessions there was an event that people leave after, (P, S)."""
    found = np.zeros(course.level.shape, dtype=bool)
    for name in given.protocol.conduct.dropout.events:
        found |= course.had_event.get(name, False)
    return found


def _part_of_course(course: Course, part: slice) -> Course:
    """Return what a cohort keeps of some patients."""
    return Course(
        left_h=course.left_h[part],
        level=course.level[part],
        step=course.step[part],
        was_switched=course.was_switched[part],
        was_held=course.was_held[part],
        was_missed=course.was_missed[part],
    )


def _part_of_sessions(sessions: Sessions, part: slice) -> Sessions:
    return Sessions(
        start_h=sessions.start_h[part],
        planned_mg=sessions.planned_mg[part],
        given_mg=sessions.given_mg[part],
        was_switched=sessions.was_switched[part],
        was_held=sessions.was_held[part],
        was_missed=sessions.was_missed[part],
        readings={name: values[part] for name, values in sessions.readings.items()},
        minutes=sessions.minutes,
        events={name: flags[part] for name, flags in sessions.events.items()},
    )


def _nothing(group: Group, rows: NDArray[np.int64]) -> _Seen:
    """Return what is seen of a group without people."""
    sessions, visits = len(group.plan.start_h), len(group.visits_h)
    empty, flags = np.zeros((0, sessions)), np.zeros((0, sessions), dtype=bool)
    return _Seen(
        members=rows,
        actual_h=np.zeros((0, visits)),
        unmasked={scale: np.zeros((0, visits)) for scale in group.protocol.scales},
        course=Course.begin(0, sessions),
        had_event=flags,
        sessions=Sessions(
            start_h=empty,
            planned_mg=empty,
            given_mg=empty,
            was_switched=flags,
            was_held=flags,
            was_missed=flags,
            readings={name: np.zeros((0, sessions, len(READ_MIN))) for name in RISES},
            minutes=READ_MIN,
            events=dict.fromkeys(event_rules(), flags),
        ),
    )


def _cohort(given: Intake, groups: Sequence[Group], enrolled: Enrolled, seen: Sequence[_Seen]) -> Cohort:
    """Return the groups of one replicate put together again in the order of enrolment."""
    order = np.argsort(np.concatenate([one.members for one in seen]), kind="stable")
    left_h = np.concatenate([one.course.left_h for one in seen])[order]
    had_event = _joined([one.had_event for one in seen], order, fill=False)
    unmasked = {
        scale: np.concatenate([one.unmasked[scale] for one in seen])[order] for scale in given.protocol.scales
    }
    visits_h = np.array(groups[0].visits_h)
    has_left = left_h[:, None] <= visits_h
    scores = {scale: np.where(has_left, np.nan, totals) for scale, totals in unmasked.items()}
    sessions = _sessions_joined([one.sessions for one in seen], order)
    return Cohort(
        protocol=given.protocol,
        replicate=enrolled.replicate,
        number=enrolled.number,
        key=enrolled.key,
        arm=enrolled.arm,
        stratum=enrolled.stratum,
        people=enrolled.people,
        screened=enrolled.screened,
        visits_h=visits_h,
        actual_h=np.concatenate([one.actual_h for one in seen])[order],
        scores=scores,
        unmasked=unmasked,
        left_h=left_h,
        reason=_reasons(left_h, had_event, sessions),
        is_analysed=_analysed(given.protocol, visits_h, scores),
        sessions=sessions,
    )


def _reasons(left_h: Array, had_event: Flags, sessions: Sessions) -> tuple[str, ...]:
    """Return why each patient left: after an event of the last session, or for reasons of their own."""
    found = []
    for row, time_h in enumerate(left_h):
        if np.isinf(time_h):
            found.append(COMPLETED)
            continue
        before = np.flatnonzero(sessions.start_h[row] < time_h - 1e-6)
        is_after = bool(len(before)) and bool(had_event[row, before[-1]])
        found.append(AFTER_EVENT if is_after else WITHDREW)
    return tuple(found)


def _analysed(protocol: Protocol, visits_h: Array, scores: Mapping[str, Array]) -> Flags:
    """Return who counts: everybody, or who is well at the point of withdrawal."""
    totals = next(iter(scores.values()))
    rule = protocol.withdrawal
    if rule is None:
        return np.ones(len(totals), dtype=bool)
    totals = scores[rule.scale]
    at = int(np.argmin(np.abs(visits_h - rule.at)))
    base = totals[:, int(np.argmin(np.abs(visits_h)))]
    if rule.rule == "response":
        return response(base, totals[:, [at]], rule.scale)[:, 0]
    if rule.rule == "remission":
        return remission(totals[:, at], rule.at_most)
    last = totals[:, max(at - STABLE_VISITS + 1, 0) : at + 1]
    return np.asarray(remission(last, rule.at_most).all(axis=1))


def _joined(parts: Sequence[NDArray[Any]], order: NDArray[np.int64], *, fill: Any) -> NDArray[Any]:
    """Return arrays (P, S, ...) of groups with different numbers of sessions under each other."""
    widest = max(part.shape[1] for part in parts)
    padded = [
        np.concatenate(
            [part, np.full((len(part), widest - part.shape[1], *part.shape[2:]), fill, dtype=part.dtype)],
            axis=1,
        )
        for part in parts
    ]
    return np.concatenate(padded)[order]


def _sessions_joined(parts: Sequence[Sessions], order: NDArray[np.int64]) -> Sessions:
    return Sessions(
        start_h=_joined([one.start_h for one in parts], order, fill=np.nan),
        planned_mg=_joined([one.planned_mg for one in parts], order, fill=np.nan),
        given_mg=_joined([one.given_mg for one in parts], order, fill=np.nan),
        was_switched=_joined([one.was_switched for one in parts], order, fill=False),
        was_held=_joined([one.was_held for one in parts], order, fill=False),
        was_missed=_joined([one.was_missed for one in parts], order, fill=False),
        readings={name: _joined([one.readings[name] for one in parts], order, fill=np.nan) for name in RISES},
        minutes=READ_MIN,
        events={
            name: _joined([one.events[name] for one in parts], order, fill=False) for name in event_rules()
        },
    )
