"""When the items of one phase of a regimen are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from euthymia.dosing.limits import limit, refused, shortest, within

HOURS_PER_DAY = 24.0
HOURS_PER_WEEK = 168.0

# Names of the language: hours within the period, and the period.
PATTERNS: dict[str, tuple[tuple[float, ...], float]] = {
    "daily": ((0.0,), 24.0),
    "twice daily": ((0.0,), 12.0),
    "three times daily": ((0.0,), 8.0),
    "weekly": ((0.0,), 168.0),
    "twice weekly": ((0.0, 72.0), 168.0),
    "three times weekly": ((0.0, 48.0, 96.0), 168.0),
}

# Two times closer than this are the same: it absorbs the rounding of sums, under a tenth of a second.
TIME_TOLERANCE_H = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class Once:
    """One item, at the start of the phase."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeated:
    """Items at a pattern that repeats, ended by a count or by a length of time.

    Parameters
    ----------
    offsets_h : tuple of float
        Times within one period.
    period_h : float
    count : int or None
        Number of items; None where ``length_h`` is given.
    length_h : float or None
        Items are given while less than this has passed since the start of the phase.
    from_h : float or None
        Start on the clock of the clause; None follows the preceding phase, or is time 0.
    """

    offsets_h: tuple[float, ...]
    period_h: float
    count: int | None = None
    length_h: float | None = None
    from_h: float | None = None

    @classmethod
    def create(
        cls,
        *,
        pattern: str | None = None,
        every_h: float | None = None,
        count: int | None = None,
        length_h: float | None = None,
        from_h: float | None = None,
    ) -> Repeated:
        """Return a repeated schedule from the name of a pattern, or from an interval.

        Raises
        ------
        InvalidInputError
            Not exactly one of pattern and interval, or of count and length, was given; or a limit is broken.
        """
        offsets_h, period_h = _pattern(pattern, every_h)
        if count is None and length_h is None:
            cure = "Write 'x 8' for 8 items or 'for 4 weeks'."
            raise refused(field="count", must="given, for a pattern has no end", got="nothing", cure=cure)
        if count is not None and length_h is not None:
            raise refused(field="count", must="given without a length of time", got="both")
        schedule = cls(
            offsets_h=offsets_h,
            period_h=period_h,
            count=None if count is None else _count(count),
            length_h=None if length_h is None else _length(length_h),
            from_h=None if from_h is None else within("time_h", "from_h", from_h),
        )
        _count(schedule.item_count)
        return schedule

    @property
    def item_count(self) -> int:
        """How many items the phase has."""
        if self.count is not None:
            return self.count
        length_h = (self.length_h or 0.0) - TIME_TOLERANCE_H
        periods = max(int(length_h // self.period_h), 0)
        rest_h = length_h - periods * self.period_h
        return periods * len(self.offsets_h) + sum(offset_h < rest_h for offset_h in self.offsets_h)

    def time_h(self, index: int) -> float:
        """Return the time of one item since the start of the phase, also beyond the last."""
        period, position = divmod(index, len(self.offsets_h))
        return period * self.period_h + self.offsets_h[position]


@dataclass(frozen=True, kw_only=True, slots=True)
class AtTimes:
    """Items at fixed times on the clock of the clause."""

    times_h: tuple[float, ...]

    @classmethod
    def create(cls, *, times_h: Sequence[float]) -> AtTimes:
        """Return the times, checked and in order."""
        return cls(times_h=_distinct("times_h", times_h))


@dataclass(frozen=True, kw_only=True, slots=True)
class AfterEachDose:
    """Items at fixed delays after the start of every order of ketamine in the whole regimen.

    A negative delay is before the dose.
    """

    delays_h: tuple[float, ...]

    @classmethod
    def create(cls, *, delays_h: Sequence[float]) -> AfterEachDose:
        """Return the delays, checked and in order."""
        return cls(delays_h=_distinct("delays_h", delays_h))


Schedule = Once | Repeated | AtTimes | AfterEachDose


def _pattern(pattern: str | None, every_h: float | None) -> tuple[tuple[float, ...], float]:
    if (pattern is None) == (every_h is None):
        raise refused(field="pattern", must="given, or else every_h", got="both" if pattern else "neither")
    if every_h is not None:
        return (0.0,), within("interval_h", "every_h", every_h)
    if pattern not in PATTERNS:
        raise refused(field="pattern", must=f"one of {', '.join(PATTERNS)}", got=repr(pattern))
    return PATTERNS[pattern]


def _count(count: float) -> int:
    allowed = limit("item_count")
    if not isinstance(count, int) or isinstance(count, bool) or count not in allowed:
        raise refused(field="count", must=f"a whole number, {allowed}", got=shortest(count))
    return count


def _length(length_h: float) -> float:
    result = within("time_h", "length_h", length_h)
    if result <= TIME_TOLERANCE_H:
        raise refused(field="length_h", must="above 0", got=shortest(result))
    return result


def _distinct(field: str, values: Sequence[float]) -> tuple[float, ...]:
    if not values:
        raise refused(field, must="at least one time", got="none")
    ordered = tuple(sorted(within("time_h", field, value) + 0.0 for value in values))
    if any(later - earlier <= TIME_TOLERANCE_H for earlier, later in pairwise(ordered)):
        raise refused(field, must="different from each other", got=", ".join(map(shortest, ordered)))
    return ordered
