"""Which checks a session owes, when each is due, and whether it was done, missed, or left out with a reason.

A forecast may add a check or lengthen the observation; nothing it says can take one away or bring the end
nearer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from euthymia.care.clock import MINUTE, Now
from euthymia.care.session import INFUSION, Session
from euthymia.care.timing import Schedule, Timing

CheckState = Literal["done", "late", "left out", "upcoming", "due", "overdue", "missed"]
OWED: tuple[CheckState, ...] = ("due", "overdue", "missed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What an expected course asks for beyond the schedule.

    Attributes
    ----------
    extra_checks_min : tuple of float
        Minutes after the first dose at which to look as well.
    observation_min : float
        To observe at least this long; without effect where it is shorter than the floor.
    says, grade : str
        Shown with it.
    """

    extra_checks_min: tuple[float, ...] = ()
    observation_min: float = 0.0
    says: str = ""
    grade: str = ""


NO_FORECAST = Forecast()


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One check of a session.

    Attributes
    ----------
    id : str
    due_at : datetime
    state : str
        done, late (done after it was red), left out (with a reason), upcoming, due, overdue, or missed (its
        time went by without its values).
    missing : tuple of str
        Values that are not there yet.
    is_added : bool
        Whether a forecast asked for it.
    """

    id: str
    due_at: datetime
    state: CheckState
    missing: tuple[str, ...] = ()
    is_added: bool = False

    @property
    def is_owed(self) -> bool:
        """Return whether somebody has to record it, or say why not."""
        return self.state in OWED


def forecast_of(session: Session) -> Forecast:
    """Return the forecast that stands in the record of a session; without one, nothing."""
    event = session.last.get("forecast_attached")
    if event is None:
        return NO_FORECAST
    return Forecast(
        extra_checks_min=tuple(event.facts.get("extra_checks_min", ())),
        observation_min=float(event.facts.get("observation_min", 0.0)),
        says=event.facts["says"],
        grade=event.facts["grade"],
    )


def due_minutes(
    schedule: Schedule, *, until_min: float, end_of_infusion_min: float | None = None
) -> tuple[float, ...]:
    """Return when checks are due up to a minute, in minutes after the first dose.

    Parameters
    ----------
    schedule : Schedule
    until_min : float
    end_of_infusion_min : float, optional
        Of an infusion that has ended; None while it runs, and for other routes.
    """
    if schedule.during_every_min is None:
        then = _every(schedule.then_from_min, schedule.then_every_min, until_min)
        return _ascending([*(at for at in schedule.at_min if at <= until_min), *then])
    if end_of_infusion_min is None:
        return _every(0.0, schedule.during_every_min, until_min)
    last_min = end_of_infusion_min + schedule.then_from_min
    after = _every(
        end_of_infusion_min, schedule.after_every_min or schedule.then_every_min, min(until_min, last_min)
    )
    during = (at for at in _every(0.0, schedule.during_every_min, end_of_infusion_min) if at <= until_min)
    return _ascending([*during, *after, *_every(last_min, schedule.then_every_min, until_min)])


def _every(start: float, step: float, until: float) -> tuple[float, ...]:
    count = int((until - start) // step) if until >= start else 0
    return tuple(start + step * turn for turn in range(1, count + 1))


def _ascending(minutes: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(set(minutes)))


def floor_at(session: Session, timing: Timing, forecast: Forecast | None = None) -> datetime | None:
    """Return before when nobody looks ready to leave; None while drug is still being given or none was.

    Counted from the last device or injection, or the end of the infusion; a forecast can only put it off.
    """
    start = session.observed_from
    if start is None:
        return None
    chosen = forecast_of(session) if forecast is None else forecast
    return start + max(timing.length("observation"), timedelta(minutes=chosen.observation_min))


def checks(
    session: Session, timing: Timing, now: Now, *, forecast: Forecast | None = None, ahead_min: float = 60.0
) -> tuple[Check, ...]:
    """Return the checks of a session, in the order in which they are due.

    Parameters
    ----------
    session : Session
    timing : Timing
    now : Now
    forecast : Forecast, optional
        By default the one in the record of the session.
    ahead_min : float
        Minutes from now to look ahead.
    """
    start = session.first_dose_at
    if start is None:
        return ()
    chosen = forecast_of(session) if forecast is None else forecast
    until = _until(session, now, ahead_min)
    planned = _planned(session, timing, until)
    added = _added(start, planned, chosen, until)
    schedule = timing.schedule(session.route)
    found = [
        _check(session, timing, now, schedule, window=window, is_added=is_added)
        for windows, is_added in (
            (_windows(planned, start, timing), False),
            (_windows(added, start, timing), True),
        )
        for window in windows
    ]
    return tuple(sorted(found, key=lambda one: one.due_at))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Window:
    """When a check is due, and between when its values count for it."""

    due_at: datetime
    opens_at: datetime
    ends_at: datetime


def _windows(times: Sequence[datetime], start: datetime, timing: Timing) -> list[_Window]:
    """Return windows that do not overlap; close checks open half-way from the one before."""
    early = timing.length("check_early")
    opens = [at - min(early, (at - before) / 2) for before, at in zip([start, *times], times, strict=False)]
    ends = [at + timing.length("check_late") for at in times]
    return [
        _Window(due_at=at, opens_at=first, ends_at=min(end, following))
        for at, first, end, following in zip(times, opens, ends, [*opens[1:], *ends[-1:]], strict=True)
    ]


def _until(session: Session, now: Now, ahead_min: float) -> datetime:
    """Return up to when checks are owed: until the patient left, else from now on ahead."""
    left = session.last.get("patient_left")
    return left.observed_at if left else now.latest + timedelta(minutes=ahead_min)


def _planned(session: Session, timing: Timing, until: datetime) -> list[datetime]:
    """Return when the checks of the schedule are due."""
    start = session.doses[0].at
    ends = [dose.ended_at for dose in session.doses if dose.form == INFUSION]
    ended = None if not ends or None in ends else max(end for end in ends if end is not None)
    minutes = due_minutes(
        timing.schedule(session.route),
        until_min=(until - start) / MINUTE,
        end_of_infusion_min=None if ended is None else (ended - start) / MINUTE,
    )
    return [start + at * MINUTE for at in minutes]


def _added(
    start: datetime, planned: Sequence[datetime], forecast: Forecast, until: datetime
) -> list[datetime]:
    """Return when a forecast asks for checks beside those of the schedule."""
    times = {start + at * MINUTE for at in forecast.extra_checks_min if at > 0.0}
    return sorted(at for at in times if at <= until and at not in planned)


def _check(
    session: Session, timing: Timing, now: Now, schedule: Schedule, *, window: _Window, is_added: bool
) -> Check:
    at = window.due_at
    name = f"{session.id}/{(at - session.doses[0].at) / MINUTE:g}"
    times = {value: _first(session, value, window) for value in schedule.needs}
    missing = tuple(value for value, seen in times.items() if seen is None)
    done = [seen for seen in times.values() if seen is not None]
    state = _state(name, session, timing, now, window=window, done=done, is_whole=not missing)
    return Check(id=name, due_at=at, state=state, missing=missing, is_added=is_added)


def _first(session: Session, value: str, window: _Window) -> datetime | None:
    found = (seen.at for seen in session.seen(value, since=window.opens_at) if seen.at < window.ends_at)
    return next(found, None)


def _state(
    name: str,
    session: Session,
    timing: Timing,
    now: Now,
    *,
    window: _Window,
    done: Sequence[datetime],
    is_whole: bool,
) -> CheckState:
    at, end = window.due_at, window.ends_at
    if is_whole:
        return "done" if max(done) <= at + timing.length("check_red") else "late"
    if name in session.skipped:
        return "left out"
    if now.latest < at:
        return "upcoming"
    if now.latest >= end:
        return "missed"
    return "overdue" if now.latest >= at + timing.length("check_red") else "due"


def next_check(found: Sequence[Check]) -> Check | None:
    """Return the check to deal with now or next: the oldest that is owed, else the next to come."""
    waiting = [check for check in found if check.is_owed or check.state == "upcoming"]
    return waiting[0] if waiting else None


def owed(found: Iterable[Check]) -> tuple[Check, ...]:
    """Return the checks that somebody has to record, or to give a reason for."""
    return tuple(check for check in found if check.is_owed)
