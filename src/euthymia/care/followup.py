"""After the session: scores over time, relapse watch, long-term checks, exposure, and what a payer asks for.

Intervals of long-term checks are set by the site: sources name the checks and no interval, so each is marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from euthymia.care.clock import local_day
from euthymia.care.course import LONG_TERM, Course
from euthymia.care.events import corrected
from euthymia.care.scores import find_instrument
from euthymia.care.session import Session
from euthymia.care.site import Site
from euthymia.care.timing import load_timing
from euthymia.errors import InvalidInputError

CONSENSUS = "consensus needed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One total of a scale; None where the scale was incomplete."""

    at: datetime
    points: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a scale stands against its baseline.

    Attributes
    ----------
    scale : str
    baseline, now : Point or None
    fall_percent : float or None
        Of the baseline.
    has_responded : bool or None
        None where a total is unknown or the scale has no definition.
    remission : mapping of str to bool
        By each definition on record; both are shown where they differ.
    relapse : mapping of str to bool
        By each definition of relapse on this scale, among those who had responded before.
    """

    scale: str
    baseline: Point | None
    now: Point | None
    fall_percent: float | None
    has_responded: bool | None
    remission: Mapping[str, bool]
    relapse: Mapping[str, bool]


def scores(course: Course) -> dict[str, tuple[Point, ...]]:
    """Return the totals of every scale of a course, in the order of observation."""
    found: dict[str, list[Point]] = {}
    for event in sorted(course.all("score_recorded"), key=lambda one: one.observed_at):
        is_whole = event.facts.get("is_complete", True)
        points = float(event.facts["points"]) if is_whole else None
        found.setdefault(event.facts["scale"], []).append(Point(at=event.observed_at, points=points))
    return {scale: tuple(points) for scale, points in found.items()}


def first_dose_at(course: Course) -> datetime | None:
    """Return when the first dose of a course was given."""
    times = course.doses_at()
    return times[0] if times else None


def standing(course: Course, scale: str) -> Standing:
    """Return how a scale stands: the last total before the first dose, and the last of all.

    Raises
    ------
    UnknownNameError
        Where the scale is not known.
    """
    kind = find_instrument(scale)
    points = [one for one in scores(course).get(scale, ()) if one.points is not None]
    start = first_dose_at(course)
    before = [one for one in points if start is None or one.at <= start]
    after = [one for one in points if start is not None and one.at > start]
    baseline, now = (before[-1] if before else None), (after[-1] if after else None)
    falls = [_fall(baseline, one, kind.minimum) for one in after]
    responses = [_responds(fall, kind.response_fraction) for fall in falls]
    total = None if now is None else now.points
    cuts = kind.remissions if total is not None else ()
    remission = {cut.label: total is not None and total <= cut.at_most_points for cut in cuts}
    return Standing(
        scale=scale,
        baseline=baseline,
        now=now,
        fall_percent=None if not falls or falls[-1] is None else round(100.0 * falls[-1], 1),
        has_responded=responses[-1] if responses else None,
        remission=remission,
        relapse=_relapse(scale, baseline, after, responses),
    )


def _fall(baseline: Point | None, now: Point, minimum: float) -> float | None:
    if baseline is None or baseline.points is None or now.points is None or baseline.points <= minimum:
        return None
    return (baseline.points - now.points) / (baseline.points - minimum)


def _responds(fall: float | None, fraction: float | None) -> bool | None:
    return None if fall is None or fraction is None else fall >= fraction


def _relapse(
    scale: str, baseline: Point | None, after: Sequence[Point], responses: Sequence[bool | None]
) -> dict[str, bool]:
    """Return whether each definition of relapse is met since the first response; empty before one."""
    from euthymia.population.outcomes import relapse_rules, relapse_visit

    if baseline is None or True not in responses:
        return {}
    later = after[list(responses).index(True) :]
    totals = np.array([[one.points for one in later]], dtype=float)
    start = np.array([baseline.points], dtype=float)
    return {
        name: bool(relapse_visit(rule, start, totals)[0] >= 0)
        for name, rule in relapse_rules().items()
        if rule.scale == scale
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class LongTermCheck:
    """A check of long use: when it was done, when it is due, and that nobody agrees on the interval."""

    check: str
    interval_days: float | None
    last_on: date | None
    due_on: date | None
    is_overdue: bool
    marked: str = CONSENSUS

    @property
    def is_each_visit(self) -> bool:
        """Return whether it is looked at at each visit, by what was proposed and not set otherwise."""
        return self.interval_days is None and self.check in load_timing().words["each_visit"]


def long_term(course: Course, today: date, site: Site) -> tuple[LongTermCheck, ...]:
    """Return the long-term checks of a course with their due dates.

    Before an interval is set there is no due date, and no maintenance either.
    """
    return tuple(_long_term(course, name, today, site) for name in LONG_TERM)


def _long_term(course: Course, name: str, today: date, site: Site) -> LongTermCheck:
    done = course.last("long_term_checked", check=name)
    last = local_day(done.observed_at, site.zone) if done else None
    interval = course.intervals_days.get(name)
    start = course.last("maintenance_intervals_set")
    since = last or (local_day(start.observed_at, site.zone) if start else None)
    due = since + timedelta(days=float(interval)) if since and interval else None
    return LongTermCheck(
        check=name,
        interval_days=interval,
        last_on=last,
        due_on=due,
        is_overdue=due is not None and today > due,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """What was given so far."""

    sessions: int
    total_mg: Mapping[str, float]
    sessions_last_90_days: int
    first_on: date | None
    last_on: date | None


def exposure(sessions: Sequence[Session], now: datetime, site: Site) -> Exposure:
    """Return the cumulative exposure: sessions with a dose and milligrams by drug."""
    dosed = [one for one in sessions if one.doses]
    times = sorted(one.doses[0].at for one in dosed)
    total: dict[str, float] = {}
    for dose in (dose for one in dosed for dose in one.doses):
        total[dose.drug] = total.get(dose.drug, 0.0) + dose.amount_mg
    return Exposure(
        sessions=len(dosed),
        total_mg=total,
        sessions_last_90_days=sum(now - at <= timedelta(days=90) for at in times),
        first_on=local_day(times[0], site.zone) if times else None,
        last_on=local_day(times[-1], site.zone) if times else None,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """Pressure before doses over the sessions: the last, and its change; None below three sessions."""

    count: int
    last_mmHg: float | None
    change_per_10_sessions_mmHg: float | None


def pressure_trend(sessions: Sequence[Session], name: str = "systolic_mmHg") -> Trend:
    """Return the trend of the pressure before doses, by the median of slopes between pairs of sessions.

    Theil and Sen's slope: one wild reading moves it little.
    """
    seen = [one.before_dose(name) for one in sessions if one.doses]
    values = [one.value for one in seen if one is not None]
    slopes = [
        (values[late] - values[early]) / (late - early)
        for early in range(len(values))
        for late in range(early + 1, len(values))
    ]
    is_enough = len(values) >= 3
    return Trend(
        count=len(values),
        last_mmHg=values[-1] if values else None,
        change_per_10_sessions_mmHg=float(np.median(slopes)) * 10.0 if is_enough else None,
    )


def early_requests(course: Course) -> int:
    """Return how often a dose was asked for before it was due."""
    return len(course.all("early_requested"))


def prescription_monitoring(course: Course) -> date | None:
    """Return the day of the last check of the prescription monitoring programme; None without one."""
    event = course.last("pmp_checked")
    return event.observed_at.date() if event else None


def for_prior_authorisation(course: Course, sessions: Sequence[Session], site: Site) -> dict[str, Any]:
    """Return what a payer asks for, from the record alone: trial history, scores, sessions with their times.

    What is not in the record is null, and listed under ``missing``; nothing is filled in.
    """
    intake = course.last("intake_recorded")
    answers = dict(intake.facts["answers"]) if intake else {}
    found: dict[str, Any] = {
        "schema": "euthymia.care.prior_authorisation/1",
        "patient": course.patient,
        "course": course.id,
        "state": course.state,
        "diagnosis": answers.get("diagnosis"),
        "prior_trials": answers.get("prior_trials"),
        "drug": course.opened.get("drug"),
        "route": course.opened.get("route"),
        "scores": {
            scale: [{"on": local_day(one.at, site.zone).isoformat(), "points": one.points} for one in points]
            for scale, points in scores(course).items()
        },
        "standing": {scale: _plain(course, scale) for scale in scores(course)},
        "sessions": [_session(one, site) for one in sessions if one.doses],
    }
    needed = ("diagnosis", "prior_trials", "scores", "sessions")
    found["missing"] = [name for name in needed if not found[name]]
    return found


def _plain(course: Course, scale: str) -> dict[str, Any] | None:
    try:
        one = standing(course, scale)
    except InvalidInputError:
        return None
    return {
        "fall_percent": one.fall_percent,
        "has_responded": one.has_responded,
        "remission": dict(one.remission),
        "relapse": dict(one.relapse),
    }


def _session(one: Session, site: Site) -> dict[str, Any]:
    left = one.last.get("patient_left")
    start = one.doses[0].at
    return {
        "session": one.id,
        "on": local_day(start, site.zone).isoformat(),
        "drug": one.drug,
        "route": one.route,
        "given_mg": one.given_mg,
        "lots": sorted({dose.lot for dose in one.doses}),
        "first_dose_at": start.isoformat(),
        "left_at": left.observed_at.isoformat() if left else None,
        "left_how": left.facts["how"] if left else None,
        "adverse_events": [incident.type for incident in one.incidents],
        "readings": len(one.readings),
        "corrections": sum(event.kind == "corrected" for event in one.events),
        "deviations": sum(event.kind == "deviation_recorded" for event in corrected(one.events)),
    }
