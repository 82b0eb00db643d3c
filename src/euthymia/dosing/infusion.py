"""When an infusion runs: steps of rate, pauses, and a stop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from euthymia.dosing.limits import finite, refused, shortest

Pauses = tuple[tuple[float, float], ...]


def interruptions(
    duration_min: float, pauses: Sequence[tuple[float, float]], stopped_at_min: float | None
) -> tuple[Pauses, float | None]:
    """Return pauses in order of time, and the stop, checked to lie inside the infusion.

    Parameters
    ----------
    duration_min : float
        Planned duration without pauses.
    pauses : sequence of (from_min, to_min)
    stopped_at_min : float or None
        Both in clock minutes since the infusion began.
    """
    ordered = tuple(sorted((finite("pauses", start), finite("pauses", end)) for start, end in pauses))
    end_min = duration_min
    for start, end in ordered:
        _check_pause(start, end, end_min)
        end_min += end - start
    for (_, end), (start, _) in pairwise(ordered):
        if start <= end:
            got = f"{shortest(start)} before {shortest(end)}"
            raise refused(field="pauses", must="apart from each other", got=got)
    return ordered, _stop(stopped_at_min, end_min, ordered)


def stretches(
    steps: Sequence[tuple[float, float]], pauses: Pauses, stopped_at_min: float | None
) -> Iterator[tuple[float, float, float]]:
    """Yield (start_min, duration_min, amount) of each stretch at a constant rate.

    Parameters
    ----------
    steps : sequence of (amount, duration_min)
        Planned, one after the other.
    pauses : tuple of (from_min, to_min)
    stopped_at_min : float or None
    """
    stop = float("inf") if stopped_at_min is None else stopped_at_min
    for start, duration, amount in _run(steps, pauses):
        if start < stop:
            given = min(duration, stop - start)
            yield start, given, amount * (given / duration)


def _check_pause(start_min: float, end_min: float, infusion_end_min: float) -> None:
    got = f"{shortest(start_min)}-{shortest(end_min)}"
    if end_min <= start_min:
        raise refused(field="pauses", must="from an earlier to a later minute", got=got)
    if not 0 < start_min < infusion_end_min:
        must = f"within the infusion, which would run from 0 to {shortest(infusion_end_min)} min"
        raise refused(field="pauses", must=must, got=got)


def _stop(
    stopped_at_min: float | None, end_min: float, pauses: tuple[tuple[float, float], ...]
) -> float | None:
    if stopped_at_min is None:
        return None
    stop = finite("stopped_at_min", stopped_at_min)
    if not 0 < stop < end_min:
        must = f"within the infusion, which would run from 0 to {shortest(end_min)} min"
        raise refused(field="stopped_at_min", must=must, got=shortest(stop))
    if pauses and pauses[-1][0] >= stop:
        must = f"later than the start of every pause, the last at {shortest(pauses[-1][0])} min"
        raise refused(field="stopped_at_min", must=must, got=shortest(stop))
    return stop


def _run(
    steps: Sequence[tuple[float, float]], pauses: Sequence[tuple[float, float]]
) -> Iterator[tuple[float, float, float]]:
    """Yield (start_min, duration_min, amount) of each stretch between steps and pauses."""
    waiting = list(pauses)
    clock = 0.0
    for amount, duration in steps:
        left = duration
        while waiting and waiting[0][0] < clock + left:
            pause_from, pause_to = waiting.pop(0)
            if pause_from > clock:
                yield clock, pause_from - clock, amount * ((pause_from - clock) / duration)
            left -= pause_from - clock
            clock = pause_to
        if left > 0:
            yield clock, left, amount * (left / duration)
            clock += left
