"""What is decided at visits of a trial: who has left, whose session is missed or held, how much is given.

One set of rules for every arm. Where ketamine is given they act during the run, at grid points, on what a
rater would see there; where none is given nothing that they decide changes the course, and they are applied
to it afterwards.

What is noted at one time is read at later ones only, and written over when a run starts again: an earlier
try leaves no trace. Chunks of patients write to rows of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.maths import NUMPY
from euthymia.mechanism.acute import discomfort
from euthymia.model.course import Decision
from euthymia.model.parameters import ParameterSet
from euthymia.model.pk import Given
from euthymia.model.wiring import record
from euthymia.population.observation import observe
from euthymia.population.outcomes import SEVERITY, rate, relapse_rules, remission, response
from euthymia.streams import occasion_of, uniforms
from euthymia.trials.conduct_rules import Conduct, Flexible, Rescue, Stretch, Switch
from euthymia.trials.fields import SAME_TIME_H
from euthymia.trials.sessions import RISES, Plan, session_ends_h

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
EXPOSURE = "discomfort.exposure_h"
EFFECT = "cardiovascular.effect_fraction"
PRESSURES = ("systolic_mmHg", "diastolic_mmHg")
"""Readings that a session may be held for."""
LAYERS = ("discomfort", "cardiovascular")
"""Layers whose parameters decide on events and pressures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What has happened to the patients of one arm so far; its arrays are filled as the run goes.

    Attributes
    ----------
    left_h : array (P,)
        Infinite until the patient leaves.
    level : array (P, S)
        What each session gave of the planned dose.
    step : array (P, S) of int
        Place of the last dose given in the levels of a flexible one.
    was_switched : array (P, S) of bool
        Whether it was, or would have been, by the route of a switch.
    was_held, was_missed : array (P, S) of bool
    had_event : {symptom: array (P, S) of bool}
        Of those that dropout or doses follow.
    points : array (P, T)
        As rated when people may leave.
    baseline : {scale: array (P,)}
        As rated at day 0.
    pressure : {name of PRESSURES: array (P, S)}
        As read before sessions where some are held for it; NaN where nobody came.
    """

    left_h: Array
    level: Array
    step: Codes
    was_switched: Flags
    was_held: Flags
    was_missed: Flags
    had_event: Mapping[str, Flags] = field(default_factory=dict)
    points: Array = field(default_factory=lambda: np.zeros((0, 0)))
    baseline: Mapping[str, Array] = field(default_factory=dict)
    pressure: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def begin(cls, patients: int, sessions: int) -> Course:
        """Return nothing having happened, and nothing being followed."""
        shape = (patients, sessions)
        return cls(
            left_h=np.full(patients, np.inf),
            level=np.ones(shape),
            step=np.zeros(shape, dtype=np.int64),
            was_switched=np.zeros(shape, dtype=bool),
            was_held=np.zeros(shape, dtype=bool),
            was_missed=np.zeros(shape, dtype=bool),
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
        Planned; people leave at visits and before sessions.
    keys : array (P,)
        Ascending numbers of everyone in the arm.
    mean_points : float or array (P,)
        Mean of the scale at baseline, to which severity is compared in dropout.
    scale : str
        Of mood, whose rating dropout follows.
    person : {"layer.field": array (P,) or number}
        Individual values of the ``LAYERS``.
    preparation_fraction : array (S,)
        How well patients are prepared in each session.
    """

    conduct: Conduct
    arm: str
    plan: Plan
    visits_h: Array
    keys: Codes
    parameters: ParameterSet
    seed: int
    mean_points: float | Array
    scale: str
    person: Mapping[str, Any]
    preparation_fraction: Array
    stops_h: Array = field(init=False)
    """When people may leave and sessions start, (T,)."""
    ends_h: Array = field(init=False)
    """When it is known what a session brought, (S,)."""
    course: Course = field(init=False)

    def __post_init__(self) -> None:
        stops_h = apart(np.concatenate([self.plan.start_h, self.visits_h]))
        shape = (len(self.keys), len(self.plan.start_h))
        course = replace(
            Course.begin(*shape),
            had_event={name: np.zeros(shape, dtype=bool) for name in self.symptoms},
            points=np.full((len(self.keys), len(stops_h)), np.nan),
            baseline={name: np.full(len(self.keys), np.nan) for name in self.scales},
            pressure={name: np.full(shape, np.nan) for name in self.limits},
        )
        made = {"stops_h": stops_h, "ends_h": session_ends_h(self.plan.start_h), "course": course}
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def text(self) -> str:
        """What is said of it beside a result."""
        return "dropout, missed and held sessions and changes of dose as the protocol says"

    @property
    def times_h(self) -> Array:
        """When something is decided or noted, ascending."""
        return apart(np.concatenate([self.stops_h, self.ends_h])) if self.symptoms else self.stops_h

    @property
    def is_needed(self) -> bool:
        """Whether anything can happen to a dose; only later ones can depend on the course."""
        conduct = self.conduct
        acts = conduct.missed_session or conduct.dropout.share or self.flexible or self.rescue
        return bool(acts or self.limits or self.switch)

    @property
    def flexible(self) -> Flexible | None:
        """Changes of dose in this arm."""
        return self.conduct.flexible.get(self.arm)

    @property
    def rescue(self) -> Rescue | None:
        """Doses that are given only where they are needed."""
        return self.conduct.rescue.get(self.arm)

    @property
    def switch(self) -> Switch | None:
        """Another route for some sessions of this arm."""
        return self.conduct.switch.get(self.arm)

    @property
    def limits(self) -> dict[str, float]:
        """Pressures at or above which a session is held."""
        asked = {name: getattr(self.conduct.hold, name) for name in PRESSURES}
        return {name: limit for name, limit in asked.items() if limit is not None}

    @property
    def symptoms(self) -> tuple[str, ...]:
        """Events that dropout or doses follow."""
        leaving = self.conduct.dropout.events if self.conduct.dropout.after_event != 1.0 else ()
        lowering = self.flexible.down_after if self.flexible else ()
        switching = self.switch.after if self.switch else ()
        return tuple(dict.fromkeys((*leaving, *lowering, *switching)))

    @property
    def scales(self) -> tuple[str, ...]:
        """Scales whose baseline something is compared with."""
        flexible = (self.flexible.scale,) if self.flexible else ()
        rescue = (relapse_rules()[self.rescue.rule].scale,) if self.rescue else ()
        switch = (self.switch.scale,) if self.switch else ()
        return tuple(dict.fromkeys((*flexible, *rescue, *switch)))

    def for_course(self, given: Sequence[Given], start_h: float) -> TrialPolicy:
        """Implement `euthymia.population.policy.Policy`."""
        del given, start_h
        return self

    def decisions(self, parameters: ParameterSet, numbers: Codes | None, seed: int) -> tuple[Decision, ...]:
        """Implement `euthymia.population.policy.Policy`."""
        del parameters, seed
        if numbers is None:
            raise TypeError("a trial has virtual patients")
        rows = np.searchsorted(self.keys, numbers)
        return tuple(self._decision(float(time_h), rows) for time_h in self.times_h)

    def _decision(self, time_h: float, rows: Codes) -> Decision:
        session = self.plan.at(time_h)
        slots = () if session is None else self.plan.slots[session]
        return Decision(time_h, slots, partial(self._decide, time_h=time_h, rows=rows))

    def _decide(self, state: Mapping[str, Array], *, time_h: float, rows: Codes) -> Array:
        if self.symptoms:
            self._note_events(time_h, state[EXPOSURE], rows)
        stop = np.flatnonzero(np.abs(self.stops_h - time_h) < SAME_TIME_H)
        if not len(stop):
            return np.ones(len(rows))
        return self._visit(int(stop[0]), state[SEVERITY], state[EFFECT], rows)

    def afterwards(self, severity_fraction: Array) -> None:
        """Apply the rules to a course that they cannot change: an arm without ketamine.

        Parameters
        ----------
        severity_fraction : array (P, T)
            At ``stops_h``.
        """
        rows, nothing = np.arange(len(self.keys)), np.zeros(len(self.keys))
        for stop in range(len(self.stops_h)):
            self._visit(stop, severity_fraction[:, stop], nothing, rows)

    def _visit(self, stop: int, severity_fraction: Array, effect_fraction: Array, rows: Codes) -> Array:
        """Decide what happens at one of ``stops_h``; return what is given of its doses, (P,) or (P, D)."""
        course, time_h = self.course, float(self.stops_h[stop])
        course.points[rows, stop] = self._rated(self.scale, severity_fraction, time_h, rows)
        if abs(time_h) < SAME_TIME_H:
            for scale, before in course.baseline.items():
                before[rows] = self._rated(scale, severity_fraction, time_h, rows)
        self._leave(stop, rows)
        session = self.plan.at(time_h)
        if session is None:
            return np.ones(len(rows))
        comes = self._come(session, time_h, severity_fraction, rows)
        held = self._held(session, time_h, effect_fraction, comes, rows)
        level = self._give(session, time_h, severity_fraction, comes & ~held, rows)
        if self.switch is None:
            return level
        is_switched = self._switched(self.switch, session, time_h, severity_fraction, comes & ~held, rows)
        is_instead = np.array([self.plan.is_instead[slot] for slot in self.plan.slots[session]])
        return np.where(is_switched[:, None] == is_instead, level[:, None], 0.0)

    def _rated(self, scale: str, severity_fraction: Array, time_h: float, rows: Codes) -> Array:
        """Return totals as rated at a visit; the same as in the data of that visit."""
        who: dict[str, Any] = {"parameters": self.parameters, "numbers": self.keys[rows], "seed": self.seed}
        return rate(severity_fraction[:, None], scale, [time_h], **who)[:, 0]

    def _draw(self, what: str, time_h: float, rows: Codes) -> Array:
        return conduct_draws(what, time_h, self.keys[rows], self.seed)

    def _note_events(self, time_h: float, exposure_h: Array, rows: Codes) -> None:
        """Note who has had an event, by the chance that the exposure of a session gave, when it is over."""
        known = {name: value if np.ndim(value) == 0 else value[rows] for name, value in self.person.items()}
        own = record(discomfort.Parameters, "discomfort", known)
        for session in np.flatnonzero(np.abs(self.ends_h - time_h) < SAME_TIME_H):
            start_h, prepared = float(self.plan.start_h[session]), self.preparation_fraction[session]
            inputs = discomfort.Inputs(0.0, prepared)
            chances = discomfort.outputs(NUMPY, discomfort.State(exposure_h), inputs, own)._asdict()
            for name, noted in self.course.had_event.items():
                draws = event_draws(name, start_h, self.keys[rows], self.seed)
                took_place = self.course.level[rows, session] > 0
                noted[rows, session] = took_place & (draws < chances[f"{name}_probability"])

    def _had_event(self, events: Sequence[str], session: int, time_h: float, rows: Codes) -> Flags:
        """Return who is known to have had one of some events in a session."""
        found = np.zeros(len(rows), dtype=bool)
        if session < 0 or self.ends_h[session] > time_h:
            return found
        for name in events:
            found |= self.course.had_event[name][rows, session]
        return found

    def _leave(self, stop: int, rows: Codes) -> None:
        """Let people leave between two stops; they do so at the second, before it takes place."""
        dropout, course = self.conduct.dropout, self.course
        time_h = float(self.stops_h[stop])
        length_h = time_h - max(float(self.stops_h[stop - 1]), 0.0) if stop else 0.0
        goes = np.zeros(len(rows), dtype=bool)
        if dropout.share and length_h > 0.0:
            usual = np.broadcast_to(self.mean_points, len(self.keys))[rows]
            worse = (course.points[rows, stop - 1] - usual) / 10.0
            rate_per_h = -np.log1p(-dropout.share) / dropout.by * dropout.per_10_points**worse
            if dropout.after_event != 1.0:
                last = int(np.searchsorted(self.plan.start_h, time_h - SAME_TIME_H)) - 1
                had_event = self._had_event(dropout.events, last, time_h, rows)
                rate_per_h = np.where(had_event, rate_per_h * dropout.after_event, rate_per_h)
            goes = self._draw("dropout", time_h, rows) < -np.expm1(-rate_per_h * length_h)
        left = course.left_h[rows]
        course.left_h[rows] = np.where(left < time_h, left, np.where(goes, time_h, np.inf))

    def _come(self, session: int, time_h: float, severity_fraction: Array, rows: Codes) -> Flags:
        """Return who comes to a session: who is still there, needs it, and does not miss it."""
        comes = np.isinf(self.course.left_h[rows])
        if self.rescue is not None and time_h >= self.rescue.start - SAME_TIME_H:
            comes &= self._needs_rescue(self.rescue, time_h, severity_fraction, rows)
        missed = comes & (self._draw("missed session", time_h, rows) < self.conduct.missed_session)
        self.course.was_missed[rows, session] = missed
        return comes & ~missed

    def _held(self, session: int, time_h: float, effect_fraction: Array, comes: Flags, rows: Codes) -> Flags:
        """Return whose pressure before the session is at or above a threshold."""
        found = np.zeros(len(rows), dtype=bool)
        who: dict[str, Any] = {"parameters": self.parameters, "numbers": self.keys[rows], "seed": self.seed}
        for name, limit in self.limits.items():
            largest = np.asarray(self.person[f"cardiovascular.largest_{RISES[name]}"])
            rise = (largest if largest.ndim == 0 else largest[rows]) * effect_fraction
            read = observe(RISES[name], rise[:, None], [time_h], **who)[:, 0]
            self.course.pressure[name][rows, session] = np.where(comes, read, np.nan)
            found |= comes & (read >= limit)
        self.course.was_held[rows, session] = found
        return found

    def _give(
        self, session: int, time_h: float, severity_fraction: Array, is_given: Flags, rows: Codes
    ) -> Array:
        """Return what is given of the planned dose: on levels, a step up while it is asked for."""
        course, flexible = self.course, self.flexible
        if flexible is None:
            course.level[rows, session] = is_given
            return course.level[rows, session]
        before = course.step[rows, session - 1] if session else np.zeros(len(rows), dtype=np.int64)
        step = before
        if session > 0 and flexible.holds(time_h):
            is_well = self._is_well(flexible, flexible.up_unless, time_h, severity_fraction, rows)
            had_event = self._had_event(flexible.down_after, session - 1, time_h, rows)
            change = np.where(had_event, -1, np.where(is_well, 0, 1))
            step = np.clip(before + change, 0, len(flexible.levels) - 1)
        # what is not given leaves the level where it was
        course.step[rows, session] = np.where(is_given, step, before)
        course.level[rows, session] = np.where(is_given, np.asarray(flexible.levels)[step], 0.0)
        return course.level[rows, session]

    def _switched(
        self,
        switch: Switch,
        session: int,
        time_h: float,
        severity_fraction: Array,
        is_given: Flags,
        rows: Codes,
    ) -> Flags:
        """Return who gets, or would get, a session by the other route; noted for later ones."""
        course = self.course
        before = course.was_switched[rows, session - 1] if session else np.zeros(len(rows), dtype=bool)
        is_switched = before & switch.lasts
        if session > 0 and switch.holds(time_h):
            asks = self._had_event(switch.after, session - 1, time_h, rows)
            asks |= self._draw("route switch", time_h, rows) < switch.share
            if switch.unless is not None:
                asks |= ~self._is_well(switch, switch.unless, time_h, severity_fraction, rows)
            is_switched |= asks & is_given  # nothing is changed where nothing is given
        course.was_switched[rows, session] = is_switched
        return is_switched

    def _is_well(
        self, rule: Stretch, what: str, time_h: float, severity_fraction: Array, rows: Codes
    ) -> Flags:
        if what == "never":
            return np.zeros(len(rows), dtype=bool)
        points = self._rated(rule.scale, severity_fraction, time_h, rows)
        if what == "remission":
            return remission(points, rule.at_most)
        return response(self.course.baseline[rule.scale][rows], points[:, None], rule.scale)[:, 0]

    def _needs_rescue(self, rescue: Rescue, time_h: float, severity_fraction: Array, rows: Codes) -> Flags:
        rule = relapse_rules()[rescue.rule]
        points = self._rated(rule.scale, severity_fraction, time_h, rows)
        if rule.is_lost_response:
            return ~response(self.course.baseline[rule.scale][rows], points[:, None], rule.scale)[:, 0]
        return points >= rule.at_least_points


def apart(times_h: Array) -> Array:
    """Return times in order, those at one time once."""
    times = np.sort(times_h)
    return times[np.append(np.ones(1, dtype=bool), np.diff(times) > SAME_TIME_H)[: len(times)]]


def conduct_draws(what: str, time_h: float, keys: Codes, seed: int) -> Array:
    """Return the uniform draw that decides on something at a visit, (P,)."""
    return uniforms(seed=seed, purpose="conduct", field=what, patients=keys, occasion=occasion_of(time_h))


def event_draws(event: str, start_h: float, keys: Codes, seed: int) -> Array:
    """Return the uniform draw that decides on a symptom of a session, (P,)."""
    return uniforms(
        seed=seed, purpose="adverse event", field=event, patients=keys, occasion=occasion_of(start_h)
    )
