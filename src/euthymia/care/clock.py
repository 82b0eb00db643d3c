"""Instants that never run backwards, days of the site's calendar, and how long something lasted.

A computer's clock can be set, and summer time comes and goes. So a reading of the clock is an interval: its
earliest and its latest. What must have lasted long enough is counted to the earliest; what may be late, to
the latest. Both then err towards looking once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from euthymia.care.record import in_utc
from euthymia.errors import invalid

TICK = timedelta(microseconds=1)
DRIFT = timedelta(seconds=2)
"""A difference between wall clock and steady count up to this is followed without a word."""
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Now:
    """A reading of the clock.

    Attributes
    ----------
    at : datetime
        Time of entry, UTC; later than every earlier one.
    earliest, latest : datetime
        Between which the true time is believed to lie; both equal ``at`` where nothing is in doubt.
    step : timedelta
        By how much the wall clock was found to have been moved at this reading; zero else.
    """

    at: datetime
    earliest: datetime
    latest: datetime
    step: timedelta = timedelta(0)

    @property
    def is_in_doubt(self) -> bool:
        """Return whether the two ends differ by more than drift."""
        return self.latest - self.earliest > DRIFT

    def minutes_at_least(self, since: datetime) -> float:
        """Return the minutes that have passed for certain since an instant; never negative."""
        return max(0.0, (self.earliest - since) / MINUTE)

    def minutes_at_most(self, since: datetime) -> float:
        """Return the minutes that may have passed since an instant; never negative."""
        return max(0.0, (self.latest - since) / MINUTE)

    def is_past(self, instant: datetime) -> bool:
        """Return whether an instant may have passed: what is due is shown as due."""
        return self.latest >= instant


def exactly(at: datetime) -> Now:
    """Return a reading without doubt."""
    instant = in_utc("at", at)
    return Now(at=instant, earliest=instant, latest=instant)


class SteadyClock:
    """Entry times from a wall clock that may be moved and a count of seconds that only grows.

    Parameters
    ----------
    wall : callable () -> datetime
        The computer's clock, aware.
    ticks : callable () -> float
        Seconds of a count that also runs while the computer sleeps.
    last : datetime, optional
        The last time of entry in the record; none is given before it.
    """

    __slots__ = ("_anchor", "_anchor_ticks", "_known_step", "_last", "_ticks", "_wall")

    def __init__(
        self, wall: Callable[[], datetime], ticks: Callable[[], float], *, last: datetime | None = None
    ) -> None:
        self._wall, self._ticks = wall, ticks
        self._last = None if last is None else in_utc("last", last)
        self._anchor, self._anchor_ticks = in_utc("wall", wall()), ticks()
        self._known_step = timedelta(0)
        if self._last is not None and self._anchor < self._last:
            self._anchor = self._last + TICK

    def read(self) -> Now:
        """Return the time, and by how much the wall clock was moved since the last reading."""
        wall = in_utc("wall", self._wall())
        steady = self._anchor + timedelta(seconds=self._ticks() - self._anchor_ticks)
        step = wall - steady
        if abs(step) <= DRIFT:
            self._follow(wall)
            steady, step = wall, timedelta(0)
        is_new = abs(step - self._known_step) > DRIFT
        self._known_step = step
        self._last = steady if self._last is None else max(steady, self._last + TICK)
        return Now(
            at=self._last,
            earliest=min(wall, self._last) if step else self._last,
            latest=max(wall, self._last),
            step=step if is_new else timedelta(0),
        )

    def confirm(self) -> Now:
        """Take the wall clock as right, because a person has looked, and read."""
        self._follow(in_utc("wall", self._wall()))
        self._known_step = timedelta(0)
        return self.read()

    def _follow(self, wall: datetime) -> None:
        self._anchor, self._anchor_ticks = wall, self._ticks()


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its name.

    Raises
    ------
    InvalidInputError
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid("time_zone", must="a name such as Europe/Berlin", got=repr(name)) from None


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """Return the day of the site's calendar in which an instant falls."""
    return in_utc("instant", instant).astimezone(zone).date()


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the last instant of a day of the site's calendar, UTC, however many hours that day has."""
    midnight = datetime.combine(day + timedelta(days=1), time(0), zone)
    return midnight.astimezone(UTC) - TICK


def due_in_calendar_days(instant: datetime, days: float, zone: ZoneInfo) -> datetime:
    """Return the end of the day so many calendar days after that of an instant, UTC."""
    return end_of_day(local_day(instant, zone) + timedelta(days=round(days)), zone)


def from_local(wall: datetime, zone: ZoneInfo, *, is_second: bool | None = None) -> datetime:
    """Return the instant of a local time as somebody read it off a clock, UTC.

    Parameters
    ----------
    wall : datetime
        Without zone.
    zone : ZoneInfo
    is_second : bool, optional
        Which of the two, in the hour that comes twice when summer time ends.

    Raises
    ------
    InvalidInputError
        In the hour that is left out when summer time begins, and where an hour comes twice and it is not said
        which is meant.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
        raise invalid("time", must="one that clocks show that day (summer time begins)", got=f"{wall:%H:%M}")
    if is_second is None:
        raise invalid(
            "time", must="said to be the first or the second (summer time ends)", got=f"{wall:%H:%M}"
        )
    return (second if is_second else first).astimezone(UTC)
