"""Reads off simulated courses what a fact states: one function for each statistic of the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.evidence.fact_courses import (
    SESSION_END_H,
    FactCourse,
    Scene,
    entry_of,
    held_at,
    other_scene_of,
    reading_times_h,
    scene_of,
    variable_of,
)
from euthymia.evidence.fact_records import FactRun
from euthymia.evidence.fact_relapse import entry_times_h, follow, visit_times_h
from euthymia.model.parameters import ParameterSet, load_parameters
from euthymia.population.observation import VITAL_SIGNS
from euthymia.population.outcomes import response
from euthymia.population.surroundings import DAY_H

Array = NDArray[np.float64]
FEWEST_FOLLOWED = 20
"""A share who relapse has no value where fewer enter: its standard error would exceed a tenth."""


class Asked(NamedTuple):
    """A run with its course, the course of the other regimen (else its own) and its variable."""

    run: FactRun
    own: FactCourse
    other: FactCourse
    variable: str

    @property
    def values(self) -> Array:
        """The variable over the whole course, (P, T)."""
        return self.own.values[self.variable]

    @property
    def from_h(self) -> float:
        """Start of the window, or of the course."""
        return 0.0 if self.run.from_h is None else self.run.from_h

    @property
    def to_h(self) -> float:
        """End of the window, or of the course."""
        return float(self.own.times_h[-1]) if self.run.to_h is None else self.run.to_h

    @property
    def threshold(self) -> float:
        """Threshold of the statistic; the table has one where it is needed."""
        return 0.0 if self.run.threshold is None else self.run.threshold

    @property
    def is_rise(self) -> bool:
        """Whether the variable is a rise, which is read as a whole pressure or pulse."""
        return self.variable in VITAL_SIGNS


def statistic_of(
    run: FactRun, courses: Mapping[Scene, FactCourse], parameters: ParameterSet | None = None
) -> float | None:
    """Return the model's value of a comparable run, or None where it has none (never, or 0 over 0)."""
    if run.steady_at_umol_per_L is not None:
        return _held(run, parameters)
    own, other = (courses[scene].first(run.patients_count) for scene in (scene_of(run), other_scene_of(run)))
    admitted = own.admitted(entry_of(run.subgroup))
    asked = Asked(run, own.only(admitted), other.only(admitted), variable_of(run.variable))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(_MEASURES[run.statistic](asked))
    return value if np.isfinite(value) else None


def _held(run: FactRun, parameters: ParameterSet | None) -> float:
    """Return a statistic of ketamine held at the site; baseline is the site without drug."""
    name = variable_of(run.variable)
    chosen = (parameters or load_parameters()).with_overrides(dict(run.overrides))
    now = held_at(run.steady_at_umol_per_L or 0.0, chosen)[name]
    if run.statistic == "value_at":
        return now
    before = held_at(0.0, chosen)[name]
    return now / before if run.statistic == "ratio_at" else now - before


# --- at a time or over a window --------------------------------------------------------------------


def _now(asked: Asked) -> Array:
    return asked.own.mean(asked.variable, asked.from_h, asked.to_h)


def _before(asked: Asked) -> Array:
    """Return what a value is held against: before the first dose, another time, the other regimen."""
    reference = asked.run.reference
    if reference.kind == "regimen":
        return asked.other.mean(asked.variable, asked.from_h, asked.to_h)
    return asked.own.at(asked.variable, reference.at_h or 0.0)


def _value_at(asked: Asked) -> float:
    return _now(asked).mean()


def _rise_at(asked: Asked) -> float:
    return _now(asked).mean() - _before(asked).mean()


def _contrast_at(asked: Asked) -> float:
    return _change(asked.own, asked) - _change(asked.other, asked)


def _change(course: FactCourse, asked: Asked) -> np.float64:
    now = course.mean(asked.variable, asked.from_h, asked.to_h)
    return np.float64((now - course.at(asked.variable, 0.0)).mean())


def _no_change_of_rise(asked: Asked) -> float:
    own, other = (_change(one, asked) for one in (asked.own, asked.other))
    return 1.0 if own == other else own / other


def _mediated_share(asked: Asked) -> float:
    """Return a b / c: contrast in the mediator, slope within arms, contrast in the variable."""
    mediator = variable_of(asked.run.reference.variable)
    outcomes = [_seen_change(one, asked.variable, asked.to_h) for one in (asked.own, asked.other)]
    carried = [_seen_change(one, mediator, asked.to_h) for one in (asked.own, asked.other)]
    y, x = (np.concatenate([one - one.mean() for one in arms]) for arms in (outcomes, carried))
    own, other = (float(arms[0].mean() - arms[1].mean()) for arms in (carried, outcomes))
    return own * float(x @ y / (x @ x)) / other


def _seen_change(course: FactCourse, variable: str, time_h: float) -> Array:
    totals = course.observed(variable, [0.0, time_h])
    return totals[:, 1] - totals[:, 0]


def _ratio_at(asked: Asked) -> float:
    return _now(asked).mean() / _before(asked).mean()


def _rise_ratio_at(asked: Asked) -> float:
    start = asked.own.at(asked.variable, 0.0)
    return (_now(asked) - start).mean() / (_before(asked) - start).mean()


def _sd_at(asked: Asked) -> float:
    """Return the spread of one reading of the mean over the window."""
    seen = asked.own.read(asked.variable, _now(asked)[:, None], [asked.to_h])
    return seen.std(ddof=1)


def _sd_of_change_at(asked: Asked) -> float:
    return _seen_change(asked.own, asked.variable, asked.to_h).std(ddof=1)


def _correlation(asked: Asked) -> float:
    reference = asked.run.reference
    name, at_h = variable_of(reference.variable), reference.at_h or 0.0
    first, second = asked.own.at(asked.variable, asked.to_h), asked.own.at(name, at_h)
    if (asked.to_h, at_h) != (0.0, 0.0):
        first, second = first - asked.own.at(asked.variable, 0.0), second - asked.own.at(name, 0.0)
    if first.std() == 0 or second.std() == 0:
        return np.nan
    return np.corrcoef(first, second)[0, 1]


# --- peaks and times -----------------------------------------------------------------------------


def _peak_place(course: FactCourse, variable: str, from_h: float, to_h: float) -> NDArray[np.int64]:
    """Return where a variable departs furthest from its baseline within a window, (P,)."""
    values = course.values[variable]
    inside = (course.times_h >= from_h) & (course.times_h <= to_h)
    return np.where(inside, np.abs(values - values[:, :1]), -1.0).argmax(axis=1)


def _at_peak(course: FactCourse, variable: str, from_h: float, to_h: float) -> Array:
    place = _peak_place(course, variable, from_h, to_h)
    return course.values[variable][np.arange(len(place)), place]


def _peak(asked: Asked) -> float:
    return _at_peak(asked.own, asked.variable, asked.from_h, asked.to_h).mean()


def _peak_ratio(asked: Asked) -> float:
    if asked.run.reference.kind == "baseline":
        return _peak(asked) / asked.own.at(asked.variable, 0.0).mean()
    end_h = min(asked.to_h, float(asked.other.times_h[-1]))
    return _peak(asked) / _at_peak(asked.other, asked.variable, asked.from_h, end_h).mean()


def _time_of_peak_h(asked: Asked) -> float:
    return asked.own.times_h[_peak_place(asked.own, asked.variable, asked.from_h, asked.to_h)].mean()


def _peaks_before(asked: Asked) -> float:
    other = variable_of(asked.run.reference.variable)
    place = _peak_place(asked.own, other, asked.from_h, asked.to_h)
    return _time_of_peak_h(asked) - asked.own.times_h[place].mean()


def _onset_h(asked: Asked) -> float:
    return float(np.mean([crossing_h(asked.own.times_h, one, asked.threshold)[0] for one in asked.values]))


def _return_by_h(asked: Asked) -> float:
    return float(np.mean([crossing_h(asked.own.times_h, one, asked.threshold)[1] for one in asked.values]))


def crossing_h(times_h: Array, values: Array, share: float) -> tuple[float, float]:
    """Return when a course first has, and last has, a share of its largest departure from its start.

    Parameters
    ----------
    times_h, values : array (T,)

    Returns
    -------
    onset_h, return_h : float
        Interpolated; infinite where it has not returned by the end, NaN where nothing departs.
    """
    gone = values - values[0]
    place = int(np.abs(gone).argmax())
    if gone[place] == 0:
        return np.nan, np.nan
    excess = gone / gone[place] - share
    first = int((excess >= 0).argmax())
    last = len(excess) - 1 - int((excess[::-1] > 0).argmax())
    onset_h = _zero_h(times_h, excess, first - 1)
    return onset_h, np.inf if last == len(excess) - 1 else _zero_h(times_h, excess, last)


def _zero_h(times_h: Array, excess: Array, place: int) -> float:
    """Return where a course crosses 0 between a point and the next one."""
    rise = excess[place + 1] - excess[place]
    return float(times_h[place] - excess[place] / rise * (times_h[place + 1] - times_h[place]))


def _maximum_rise(asked: Asked) -> float:
    return (asked.values - asked.values[:, :1]).max(axis=1).mean()


def _ratio_last_to_first(asked: Asked) -> float:
    starts, values = asked.own.starts_h, asked.values
    first = _at_peak(asked.own, asked.variable, starts[0], min((*starts[1:], asked.to_h)))
    last = _at_peak(asked.own, asked.variable, max(starts), asked.to_h)
    return (last - values[:, 0]).mean() / (first - values[:, 0]).mean()


# --- readings of many patients ---------------------------------------------------------------------


def _readings(asked: Asked, *, is_total: bool = False) -> Array:
    """Return every reading, (P, V): of a rise what it is above the reading at the start of its session."""
    starts = asked.own.starts_h
    seen = asked.own.observed(asked.variable, reading_times_h(asked.variable, starts))
    if is_total or not asked.is_rise:
        return seen
    before = asked.own.observed(asked.variable, starts)
    return seen - np.repeat(before, seen.shape[1] // len(starts), axis=1)


def _mean_of_maxima(asked: Asked) -> float:
    return _readings(asked).max(axis=1).mean()


def _share_above(asked: Asked) -> float:
    return (_readings(asked) > asked.threshold).any(axis=1).mean()


def _share_below(asked: Asked) -> float:
    return (_readings(asked) < asked.threshold).any(axis=1).mean()


def _share_total_above(asked: Asked) -> float:
    return (_readings(asked, is_total=True) >= asked.threshold).any(axis=1).mean()


def _share_with_event(asked: Asked) -> float:
    """Return the probability of at least one event, averaged over patients: no chance is drawn."""
    after = [asked.own.at(asked.variable, start + SESSION_END_H) for start in asked.own.starts_h]
    return 1.0 - np.prod(1.0 - np.stack(after), axis=0).mean()


def _share_responding(asked: Asked) -> float:
    totals = asked.own.observed(asked.variable, [0.0, asked.to_h])
    return response(totals[:, 0], totals[:, 1:], asked.variable.removesuffix("_points")).mean()


def _share_relapsed(asked: Asked) -> float:
    rule, well_by = asked.run.relapse_rule, asked.run.well_by
    entry_h, visits_h = entry_times_h(asked.from_h, well_by), visit_times_h(asked.from_h, asked.to_h)
    totals = asked.own.observed(asked.variable, [0.0, *entry_h, *visits_h])
    before, after = np.split(totals[:, 1:], [len(entry_h)], axis=1)
    found = follow(rule, well_by, baseline=totals[:, 0], at_entry=before, rated=after, times_h=visits_h)
    if found.count < FEWEST_FOLLOWED:
        return np.nan
    return 1.0 - found.share_well([(asked.to_h - asked.from_h) / DAY_H])[0]


_MEASURES: Mapping[str, Callable[[Asked], float]] = {
    "value_at": _value_at,
    "peak": _peak,
    "peak_ratio": _peak_ratio,
    "time_of_peak_h": _time_of_peak_h,
    "onset_h": _onset_h,
    "return_by_h": _return_by_h,
    "ratio_at": _ratio_at,
    "rise_at": _rise_at,
    "rise_ratio_at": _rise_ratio_at,
    "maximum_rise": _maximum_rise,
    "mean_of_maxima": _mean_of_maxima,
    "sd_at": _sd_at,
    "sd_of_change_at": _sd_of_change_at,
    "share_above": _share_above,
    "share_below": _share_below,
    "share_total_above": _share_total_above,
    "share_with_event": _share_with_event,
    "share_responding": _share_responding,
    "share_relapsed": _share_relapsed,
    "contrast_at": _contrast_at,
    "mediated_share": _mediated_share,
    "ratio_last_to_first": _ratio_last_to_first,
    "peaks_before": _peaks_before,
    "correlation": _correlation,
    "increases": _rise_at,
    "decreases": _rise_at,
    "no_change": _ratio_at,
    "no_change_of_rise": _no_change_of_rise,
}
"""One for each name of ``STATISTICS`` (under test)."""
