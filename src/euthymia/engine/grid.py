"""The steps of a schedule: short after something happens, longer with time since it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid

Array = NDArray[np.float64]


class Growth(NamedTuple):
    """How pairs of steps grow with time since an event.

    Parameters
    ----------
    early_h : float
        Hours after an event in which what it sets off is fast.
    early, late : float
        What a pair gains per hour, in these hours and later.
    longest_h : float
        No pair is longer.
    """

    early_h: float = 3.2
    early: float = 0.26
    late: float = 0.41
    longest_h: float = 16.0


USUAL = Growth()
FIRST_H = 0.024
"""Length of the first two steps after an event of which nothing else is known."""
CLOSEST_H = 1e-9
"""Events closer than this are one."""
INSIDE_H = 2.0 * CLOSEST_H
"""How far inside a step its ends are looked at, so that nothing at one time falls on the wrong side."""


class Event(NamedTuple):
    """Something that happens, and how soon what follows from it has to be looked at.

    ``first_h`` is the length of the first two steps after it.
    """

    time_h: float
    first_h: float = FIRST_H


def make_grid(
    start_h: float,
    end_h: float,
    events: Iterable[Event | float],
    *,
    fineness: float = 1.0,
    growth: Growth = USUAL,
) -> Array:
    """Return the ascending times between which all patients are stepped, (2 S + 1,), in hours.

    Every event is a grid point. Steps come in pairs of equal length. After each event a pair is longer the
    more time has passed, up to the longest; all before the next event are shrunk together so that it is met
    exactly. The grid depends on the schedule alone.

    Parameters
    ----------
    start_h, end_h : float
        Start is an event too, unless one is given there.
    events : iterable of Event, or of times in hours
        Those outside start and end are left out.
    fineness : float
        Number of pairs in place of one; 2 halves every step.
    growth : Growth
    """
    if not (np.isfinite(start_h) and np.isfinite(end_h) and start_h < end_h):
        raise invalid("end_h", must="finite and after start_h", got=f"{start_h} to {end_h}")
    if not (np.isfinite(fineness) and fineness > 0):
        raise invalid("fineness", must="above 0", got=fineness)
    happens = [one if isinstance(one, Event) else Event(one) for one in events]
    if not np.isfinite([one.time_h for one in happens]).all():
        raise invalid("events", must="at finite hours", got="NaN or infinity")
    times, firsts = _apart([Event(start_h, growth.longest_h), *happens], start_h, end_h)
    pieces = [
        _between(a, b, times[: at + 1], firsts[: at + 1], fineness, growth)
        for at, (a, b) in enumerate(pairwise([*times.tolist(), float(end_h)]))
    ]
    return np.concatenate([*pieces, [float(end_h)]])


def _apart(events: Iterable[Event], start_h: float, end_h: float) -> tuple[Array, Array]:
    """Return times and first lengths of the events within, in order, those at one time as one."""
    times: list[float] = []
    firsts: list[float] = []
    for time_h, first_h in sorted(events):
        if not start_h <= time_h < end_h - CLOSEST_H:
            continue
        if times and time_h - times[-1] < CLOSEST_H:
            firsts[-1] = min(firsts[-1], first_h)
        else:
            times.append(float(time_h))
            firsts.append(first_h)
    return np.asarray(times), np.asarray(firsts)


def _between(
    start: float, end: float, events: Array, firsts: Array, fineness: float, growth: Growth
) -> Array:
    """Return the grid from one event to the next, the latter left out."""
    ends = [start]
    while ends[-1] < end:
        since = ends[-1] - events
        early, late = np.minimum(since, growth.early_h), np.maximum(since - growth.early_h, 0.0)
        pair = float((firsts + growth.early * early + growth.late * late).min())
        ends.append(ends[-1] + min(pair, growth.longest_h))
    shape = start + (np.asarray(ends) - start) * ((end - start) / (ends[-1] - start))
    count = max(int(np.ceil((len(shape) - 1) * fineness - 1e-9)), 1)
    places = np.arange(2 * count + 1) * ((len(shape) - 1) / (2 * count))
    grid = np.interp(places, np.arange(len(shape)), shape)
    grid[1::2] = 0.5 * (grid[:-1:2] + grid[2::2])
    return grid[:-1]
