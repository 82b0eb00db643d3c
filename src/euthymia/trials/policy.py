"""What is decided at visits of a trial: who has left, whose session is missed or held, how much is given.

One set of rules for every arm. Where ketamine is given they act during the run, at grid points, on what a
rater would see there; where none is given nothing that they decide changes the course, and they are applied
to it afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.model.course import Decision
from euthymia.model.parameters import ParameterSet
from euthymia.model.pk import Given
from euthymia.model.scales import find_scale
from euthymia.population.observation import observe
from euthymia.population.outcomes import SEVERITY, rate, relapse_rules, response
from euthymia.streams import occasion_of, uniforms
from euthymia.trials.design import Conduct, Flexible, Rescue
from euthymia.trials.sessions import Plan

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
EXPOSURE = "discomfort.exposure_h"
SAME_TIME_H = 1e-6


@dataclass(kw_only=True, slots=True)
class Course:
    """What has happened to the patients of one arm so far; filled as the run goes.

    Attributes
    ----------
    left_h : array (P,)
        Infinite until the patient leaves.
    level : array (P, S)
        What each session gave of the planned dose.
    was_held, was_missed : array (P, S) of bool
    had_event : array (P, S) of bool
        Whether one of the events that dropout follows was there.
    """

    left_h: Array
    level: Array
    was_held: Flags
    was_missed: Flags
    had_event: Flags
    last_points: Array
    baseline: dict[str, Array] = field(default_factory=dict)

    @classmethod
    def begin(cls, patients: int, sessions: int) -> Course:
        """Return nothing having happened."""
        flags = np.zeros((3, patients, sessions), dtype=bool)
        return cls(
            left_h=np.full(patients, np.inf),
            level=np.ones((patients, sessions)),
            was_held=flags[0],
            was_missed=flags[1],
            had_event=flags[2],
            last_points=np.full(patients, np.nan),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialPolicy:
    """The rules of a trial for one arm, and what they have decided.

    Parameters
    ----------
    conduct : Conduct
    arm : str
    plan : Plan
        Sessions of the arm.
    visits_h : array (V,)
        Planned; people leave at visits.
    keys : array (P,)
        Ascending numbers of everyone in the arm.
    mean_points : float
        Mean of the scale at baseline, to which severity is compared in dropout.
    hazards_per_h : {event: array}
        Of the symptoms that dropout follows.
    """

    conduct: Conduct
    arm: str
    plan: Plan
    visits_h: Array
    keys: NDArray[np.int64]
    parameters: ParameterSet
    seed: int
    mean_points: float
    scale: str
    hazards_per_h: Mapping[str, float]
    course: Course

    @property
    def text(self) -> str:
        """What is said of it beside a result."""
        return "dropout, missed and held sessions and changes of dose as the protocol says"

    @property
    def times_h(self) -> Array:
        """When something is decided: at visits and before sessions."""
        return np.unique(np.concatenate([self.visits_h, self.plan.start_h]))

    @property
    def is_needed(self) -> bool:
        """Whether anything can happen to a dose; only later ones can depend on the course."""
        conduct = self.conduct
        acts = conduct.missed_session or conduct.dropout.share or self.flexible or self.rescue
        return bool(acts or conduct.hold.systolic_mmHg or conduct.hold.diastolic_mmHg)

    @property
    def flexible(self) -> Flexible | None:
        """Changes of dose in this arm."""
        return self.conduct.flexible.get(self.arm)

    @property
    def rescue(self) -> Rescue | None:
        """Doses that are given only where they are needed."""
        return self.conduct.rescue.get(self.arm)

    def for_course(self, given: Sequence[Given], start_h: float) -> TrialPolicy:
        """Implement `euthymia.population.policy.Policy`."""
        del given, start_h
        return self

    def decisions(
        self, parameters: ParameterSet, numbers: NDArray[np.int64] | None, seed: int
    ) -> tuple[Decision, ...]:
        """Implement `euthymia.population.policy.Policy`."""
        del parameters, seed
        if numbers is None:
            raise TypeError("a trial has virtual patients")
        rows = np.searchsorted(self.keys, numbers)
        found, before_h = [], -np.inf
        for time_h in self.times_h:
            session = self.plan.at(time_h)
            slots = () if session is None else self.plan.slots[session]
            decide = partial(self._decide, rows=rows, time_h=float(time_h), before_h=before_h)
            found.append(Decision(float(time_h), slots, decide))
            before_h = float(time_h)
        return tuple(found)

    def _decide(self, state: Mapping[str, Array], *, rows: Any, time_h: float, before_h: float) -> Array:
        return self.visit(time_h, before_h, state[SEVERITY], state[EXPOSURE], rows)

    def visit(
        self, time_h: float, before_h: float, severity_fraction: Array, exposure_h: Array, rows: Any
    ) -> Array:
        """Decide what happens at a visit; return what is given of its doses, (P,).

        Parameters
        ----------
        time_h, before_h : float
            Of this visit, and of the one before (-inf: there was none).
        severity_fraction, exposure_h : array (P,)
            Of the patients in ``rows``.
        """
        course, keys = self.course, self.keys[rows]
        points = self._rated(self.scale, severity_fraction, time_h, keys)
        self._note_events(time_h, exposure_h, rows, keys)
        if np.isfinite(before_h):
            self._leave(time_h, max(before_h, 0.0), rows, keys)
        course.last_points[rows] = points
        session = self.plan.at(time_h)
        if session is None:
            return np.ones(len(keys))
        return self._give(session, time_h, severity_fraction, rows, keys)

    def _rated(self, scale: str, severity_fraction: Array, time_h: float, keys: Any) -> Array:
        """Return totals as rated at a visit; the same as in the data of that visit."""
        kind = find_scale(scale)
        found = rate(
            severity_fraction[:, None],
            kind,
            [time_h],
            parameters=self.parameters,
            numbers=keys,
            seed=self.seed,
        )[:, 0]
        if abs(time_h) < SAME_TIME_H or scale not in self.course.baseline:
            place = np.searchsorted(self.keys, keys)
            self.course.baseline.setdefault(scale, np.full(len(self.keys), np.nan))[place] = found
        return found

    def _draw(self, what: str, time_h: float, keys: Any) -> Array:
        return uniforms(
            seed=self.seed, purpose="conduct", field=what, patients=keys, occasion=occasion_of(time_h)
        )

    def _note_events(self, time_h: float, exposure_h: Array, rows: Any, keys: Any) -> None:
        """Note who had an event in the session before, by the chance that its exposure gave."""
        before = np.flatnonzero(self.plan.start_h < time_h - SAME_TIME_H)
        if not len(before) or not self.hazards_per_h:
            return
        session = int(before[-1])
        start_h = float(self.plan.start_h[session])
        found = np.zeros(len(keys), dtype=bool)
        for event, hazard in self.hazards_per_h.items():
            found |= event_draws(event, start_h, keys, self.seed) < -np.expm1(-hazard * exposure_h)
        self.course.had_event[rows, session] = found

    def _leave(self, time_h: float, before_h: float, rows: Any, keys: Any) -> None:
        """Let people leave between two visits; they do so at the second, before it takes place."""
        dropout, course = self.conduct.dropout, self.course
        if not dropout.share or time_h <= before_h:
            return
        hazard = -np.log1p(-dropout.share) / dropout.by
        worse = np.nan_to_num(course.last_points[rows] - self.mean_points) / 10.0
        rate_per_h = hazard * dropout.per_10_points**worse
        before = np.flatnonzero(self.plan.start_h < time_h - SAME_TIME_H)
        if len(before):
            rate_per_h = rate_per_h * np.where(
                course.had_event[rows, int(before[-1])], dropout.after_event, 1.0
            )
        goes = self._draw("dropout", time_h, keys) < -np.expm1(-rate_per_h * (time_h - before_h))
        left = course.left_h[rows]
        course.left_h[rows] = np.where(goes & np.isinf(left), time_h, left)

    def _give(self, session: int, time_h: float, severity_fraction: Array, rows: Any, keys: Any) -> Array:
        """Return what is given of the doses of a session."""
        course = self.course
        missed = self._draw("missed session", time_h, keys) < self.conduct.missed_session
        held = self._held(time_h, keys) & ~missed
        course.was_missed[rows, session], course.was_held[rows, session] = missed, held
        level = self._level(session, time_h, severity_fraction, rows, keys)
        is_given = ~missed & ~held & np.isinf(course.left_h[rows])
        if self.rescue is not None and time_h >= self.rescue.start - SAME_TIME_H:
            is_given &= self._needs_rescue(time_h, severity_fraction, rows, keys)
        course.level[rows, session] = np.where(is_given, level, 0.0)
        return course.level[rows, session]

    def _held(self, time_h: float, keys: Any) -> Flags:
        """Return whose pressure before the session is at or above a threshold."""
        hold = self.conduct.hold
        limits = {"systolic_rise_mmHg": hold.systolic_mmHg, "diastolic_rise_mmHg": hold.diastolic_mmHg}
        found = np.zeros(len(keys), dtype=bool)
        for name, limit in limits.items():
            if limit is not None:
                rise = np.zeros((len(keys), 1))
                who: dict[str, Any] = {"parameters": self.parameters, "numbers": keys, "seed": self.seed}
                found |= observe(name, rise, [time_h], **who)[:, 0] >= limit
        return found

    def _level(self, session: int, time_h: float, severity_fraction: Array, rows: Any, keys: Any) -> Array:
        """Return the ratio to the planned dose: a level above the last session's while it is asked for."""
        flexible, course = self.flexible, self.course
        if flexible is None:
            return np.ones(len(keys))
        levels = np.array(flexible.levels)
        place = np.zeros(len(keys), dtype=int)
        given = course.level[rows, :session]
        for earlier in range(session):  # what was not given leaves the level where it was
            was = given[:, earlier]
            place = np.where(was > 0, np.abs(levels - was[:, None]).argmin(axis=1), place)
        is_time = session > 0 and time_h >= flexible.start - SAME_TIME_H
        if is_time and (flexible.until is None or time_h <= flexible.until + SAME_TIME_H):
            is_well = self._is_well(flexible, time_h, severity_fraction, rows, keys)
            had_event = course.had_event[rows, session - 1] & bool(flexible.down_after)
            place = np.clip(place + np.where(had_event, -1, np.where(is_well, 0, 1)), 0, len(levels) - 1)
        return levels[place]

    def _is_well(
        self, flexible: Flexible, time_h: float, severity_fraction: Array, rows: Any, keys: Any
    ) -> Flags:
        if flexible.up_unless == "never":
            return np.zeros(len(keys), dtype=bool)
        points = self._rated(flexible.scale, severity_fraction, time_h, keys)
        if flexible.up_unless == "remission":
            return points <= flexible.at_most
        before = self.course.baseline[flexible.scale][rows]
        return response(before, points[:, None], flexible.scale)[:, 0]

    def _needs_rescue(self, time_h: float, severity_fraction: Array, rows: Any, keys: Any) -> Flags:
        rule = relapse_rules()[self.rescue.rule] if self.rescue else relapse_rules()["response lost"]
        points = self._rated(rule.scale, severity_fraction, time_h, keys)
        if rule.is_lost_response:
            before = self.course.baseline[rule.scale][rows]
            return ~response(before, points[:, None], rule.scale)[:, 0]
        return points >= rule.at_least_points

    def afterwards(self, times_h: Array, severity_fraction: Array) -> None:
        """Apply the rules to a course that they cannot change: an arm without ketamine.

        Parameters
        ----------
        times_h : array (T,)
            Those of ``times_h``.
        severity_fraction : array (P, T)
        """
        rows, before_h = np.arange(len(self.keys)), -np.inf
        nothing = np.zeros(len(self.keys))
        for place, time_h in enumerate(times_h):
            self.visit(float(time_h), before_h, severity_fraction[:, place], nothing, rows)
            before_h = float(time_h)


def event_draws(event: str, start_h: float, keys: Any, seed: int) -> Array:
    """Return the uniform draw that decides on a symptom of a session, (P,)."""
    return uniforms(
        seed=seed, purpose="adverse event", field=event, patients=keys, occasion=occasion_of(start_h)
    )
