"""The steps of a schedule: short after each mark, longer with time since it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid

Array = NDArray[np.float64]

FIRST_STEP_H = 0.006
"""Length of the first step after a mark, in hours."""
EARLY_H = 3.0
"""Hours after a mark in which what it sets off is fast."""
EARLY_GROWTH, LATE_GROWTH = 0.06, 0.14
"""What a step gains per hour since the mark, early and later."""
LONGEST_STEP_H = 12.0


def make_grid(
    start_h: float,
    end_h: float,
    marks_h: Iterable[float],
    *,
    fineness: float = 1.0,
    longest_h: float = LONGEST_STEP_H,
) -> Array:
    """Return the ascending times between which all patients are stepped, (steps + 1,), in hours.

    From each mark on, a step is longer the more time has passed since the mark, up to the longest; all are
    shrunk together so that the next mark is met exactly. The grid depends on the schedule alone.

    Parameters
    ----------
    start_h, end_h : float
        Both are marks.
    marks_h : iterable of float
        Starts and ends of inputs, visits: every time at which something jumps or bends. Those outside
        start and end are left out.
    fineness : float
        Number of sub-steps per step; 2 halves every step.
    longest_h : float
        No step is longer, at a fineness of 1.
    """
    if not (np.isfinite(start_h) and np.isfinite(end_h) and start_h < end_h):
        raise invalid("end_h", must="finite and after start_h", got=f"{start_h} to {end_h}")
    if not (np.isfinite(fineness) and fineness > 0):
        raise invalid("fineness", must="above 0", got=fineness)
    marks = np.asarray([float(mark) for mark in marks_h], float)
    if not np.isfinite(marks).all():
        raise invalid("marks_h", must="finite hours", got="NaN or infinity")
    inner = marks[(marks > start_h) & (marks < end_h)]
    stops = np.unique(np.concatenate([[start_h], inner, [end_h]]))
    pieces = [_between(float(a), float(b), fineness, longest_h) for a, b in pairwise(stops)]
    return np.concatenate([*pieces, stops[-1:]])


def _between(start: float, end: float, fineness: float, longest_h: float) -> Array:
    """Return the grid from one mark to the next, the latter left out."""
    since = [0.0]
    while since[-1] < end - start:
        early, late = min(since[-1], EARLY_H), max(since[-1] - EARLY_H, 0.0)
        step = FIRST_STEP_H + EARLY_GROWTH * early + LATE_GROWTH * late
        since.append(since[-1] + min(step, longest_h))
    shape = np.asarray(since) * ((end - start) / since[-1])
    count = max(int(np.ceil((len(shape) - 1) * fineness - 1e-9)), 1)
    places = np.arange(count) * ((len(shape) - 1) / count)
    return start + np.interp(places, np.arange(len(shape)), shape)
