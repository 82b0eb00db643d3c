"""What a person reads off a run: change of mood by day, the first session, outcomes, and what made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid
from euthymia.model.parameters import ParameterSet
from euthymia.model.scales import Scale, find_scale
from euthymia.model.trajectory import Trajectory
from euthymia.population.outcomes import rate, remission, response
from euthymia.population.surroundings import DAY_H

Array = NDArray[np.float64]
DAYS = (2.0 / 24.0, 4.0 / 24.0, 1.0, 3.0, 7.0, 14.0, 28.0, 60.0, 90.0, 180.0, 365.0)
"""Days after time 0 at which mood is reported, as far as the run goes."""
SESSION_H = 24.0
"""Hours after the start of a session in which its peaks are looked for, if no other starts before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Peak:
    """The largest value of an observable within a session, and minutes from its start; each (P,)."""

    value: Array
    minutes: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Shares of patients by one definition at one visit (0-1)."""

    day: float
    scale: str
    definition: str
    share: float


def days_within(course: Trajectory, days: Sequence[float] = DAYS) -> tuple[float, ...]:
    """Return the days of a list that a run reaches; its last day too where that is later by half a day."""
    last = float(course.times_h[-1]) / DAY_H
    inside = [day for day in days if day <= last]
    return (*inside, last) if not inside or last - inside[-1] > 0.5 else tuple(inside)


def value_at(course: Trajectory, name: str, times_h: Sequence[float]) -> Array:
    """Return an observable at some times, (P, len(times_h)), linear between those of the run."""
    values = course[name]
    if len(course.times_h) == 1:
        if np.any(np.asarray(times_h) != course.times_h[0]):
            raise invalid(
                "times_h", must=f"{course.times_h[0]:g}, the only time of the run", got=list(times_h)
            )
        return np.repeat(values, len(times_h), axis=1)
    place = np.clip(np.searchsorted(course.times_h, times_h) - 1, 0, len(course.times_h) - 2)
    start, end = course.times_h[place], course.times_h[place + 1]
    share = np.clip((np.asarray(times_h) - start) / (end - start), 0.0, 1.0)
    return values[:, place] * (1.0 - share) + values[:, place + 1] * share


def differences(course: Trajectory, reference: Trajectory) -> dict[str, float]:
    """Return how far a run is from another of the same people and times, by observable.

    Each is the largest difference over patients and times, relative to the largest value in the reference,
    which is the observable's own scale.
    """
    count = len(reference.patients)
    return {
        stem: float(np.abs(course.values[stem][:count] - values).max() / max(np.abs(values).max(), 1e-12))
        for stem, values in reference.values.items()
    }


def change(course: Trajectory, name: str, days: Sequence[float]) -> Array:
    """Return the change of an observable from the start of the run to some days, (P, days)."""
    values = value_at(course, name, [day * DAY_H for day in days])
    return values - course[name][:, :1]


def peak_of_session(course: Trajectory, name: str, *, session: int = 0, is_lowest: bool = False) -> Peak:
    """Return the largest (or lowest) value of an observable in the hours of a session.

    Parameters
    ----------
    session : int
        Counted from 0.
    """
    start_h = course.session_starts_h[session]
    later = course.session_starts_h[session + 1 :]
    inside = (course.times_h >= start_h) & (course.times_h <= start_h + SESSION_H)
    if later:
        inside &= course.times_h < later[0]
    if not inside.any():
        raise invalid("times_h", must="within a session", got=f"none from {start_h:g} h on")
    values = course[name][:, inside]
    place = values.argmin(axis=1) if is_lowest else values.argmax(axis=1)
    minutes = (course.times_h[inside][place] - start_h) * 60.0
    return Peak(value=values[np.arange(len(place)), place], minutes=minutes)


def totals(
    course: Trajectory, scale: Scale | str, days: Sequence[float] | Array, *, parameters: ParameterSet
) -> Array:
    """Return what raters would write down before treatment and on some days, (P, 1 + days)."""
    kind = find_scale(scale) if isinstance(scale, str) else scale
    if course.times_h[0] > 0.0:
        first = f"{course.times_h[0]:g} h"
        raise invalid("times_h", must="0 h or earlier at first, for the baseline", got=first)
    times_h = [float(course.times_h[0]), *(day * DAY_H for day in days)]
    return rate(
        value_at(course, kind.latent, times_h),
        kind,
        times_h,
        parameters=parameters,
        numbers=course.numbers,
        seed=course.provenance.seed,
    )


def outcomes(
    course: Trajectory, scale: Scale | str, days: Sequence[float], *, parameters: ParameterSet
) -> tuple[Outcome, ...]:
    """Return shares with response and with remission by each definition of a scale, on some days."""
    kind = find_scale(scale) if isinstance(scale, str) else scale
    rated = totals(course, kind, days, parameters=parameters)
    baseline, later = rated[:, 0], rated[:, 1:]
    found = []
    for place, day in enumerate(days):
        column = later[:, place : place + 1]
        fall = f"response ({kind.name} fall of {kind.response_fraction:.0%} or more)"
        named = {fall: response(baseline, column, kind)}
        for cut in kind.remissions:
            named[f"remission ({kind.name} {cut.at_most_points:g} or less)"] = remission(
                column, cut.at_most_points
            )
        found += [
            Outcome(day=day, scale=kind.name, definition=definition, share=float(np.mean(flags)))
            for definition, flags in named.items()
        ]
    return tuple(found)
