"""Solves a batch of individual parameters for given doses: concentrations and exposure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.linear import (
    integral_to_infinity,
    output_terms,
    respond,
    rounding_error,
    terminal_rate,
)
from euthymia.mechanism.pk.disposition import Observed
from euthymia.model.parameters import ParameterSet
from euthymia.model.pk import STRUCTURES, Given, PkModel, totals, wire_pk
from euthymia.model.trajectory import Metrics

Array = NDArray[np.float64]
SESSION_GAP_H = 0.5
SESSION_LENGTH_H = 4.0
_MINUTES_AFTER_DOSE = np.array(
    [
        *range(0, 8),
        *range(8, 34, 2),
        *(36, 40, 45, 50, 55, 60, 65, 70, 75, 80, 90, 100, 110, 120, 135, 150, 165, 180, 210, 240, 270, 300),
        *(360, 420, 480, 540, 600, 660, 720, 840, 960, 1080, 1260, 1440, 1800, 2160, 2520, 2880),
    ]
)
_MINUTES_AFTER_INFUSION = np.array([0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30, 40, 50, 60, 80, 100, 120])


class Epoch(NamedTuple):
    """Doses since a reset; everything given before it is forgotten."""

    start_h: float
    given: tuple[Given, ...]


class PkSolution(NamedTuple):
    """Concentrations (P, T) in umol/L and exposure (P,) of one batch of patients."""

    values: dict[str, Array]
    metrics: dict[str, Metrics]
    bioavailable_fraction: Array
    by_exponential: NDArray[np.bool_]
    by_reference: NDArray[np.bool_]


def default_times_h(given: Sequence[Given], horizon_h: float) -> Array:
    """Return the times at which a course of doses is worth looking at, up to a horizon.

    A minute apart right after each dose and each end of an infusion, then wider; dose times included.
    """
    starts = sorted({one.dose.start_h for one in given})
    ends = sorted({one.dose.start_h + one.dose.duration_h for one in given if one.dose.duration_h > 0})
    first = min([0.0, *starts])
    parts = [np.arange(first, horizon_h, 24.0), np.array([horizon_h])]
    parts += [start + _MINUTES_AFTER_DOSE / 60.0 for start in session_starts_h(given)]
    parts += [np.array(starts)] + [end + _MINUTES_AFTER_INFUSION / 60.0 for end in ends]
    times = np.round(np.concatenate(parts), 9)
    # doses keep their exact times, so that a value read at a dose is the value after it
    exact = np.array(starts + ends)
    times = np.concatenate([times[~np.isin(times, np.round(exact, 9))], exact])
    inside = times[(times >= first) & (times <= horizon_h)]
    return np.asarray(np.unique(inside), float)


def session_starts_h(given: Sequence[Given]) -> list[float]:
    """Return when sessions start: doses that soon follow each other (devices, steps) belong to one."""
    return grouped_starts_h((one.dose.start_h, one.dose.start_h + one.dose.duration_h) for one in given)


def grouped_starts_h(spans_h: Iterable[tuple[float, float]]) -> list[float]:
    """Return the starts of what soon follows each other, one for each group of (start, end)."""
    starts: list[float] = []
    last_end = -np.inf
    for start, end in sorted(spans_h):
        if not starts or start > min(last_end + SESSION_GAP_H, starts[-1] + SESSION_LENGTH_H):
            starts.append(start)
        last_end = max(last_end, end)
    return starts


def solve_pk(
    parameters: ParameterSet,
    values: Mapping[str, Array],
    epochs: Sequence[Epoch],
    times_h: Array,
    *,
    patient_count: int,
    stems: Sequence[str] | None,
    horizon_h: float,
    with_metrics: bool = True,
) -> PkSolution:
    """Return concentrations and exposure of a batch of patients.

    Parameters
    ----------
    parameters : ParameterSet
    values : {field: array (P,) or ()}
    epochs : sequence of Epoch
        In order of time; more than one only after resets.
    times_h : array (T,)
        Ascending.
    stems : sequence of str or None
        Variables wanted; None is all that the set offers.
    horizon_h : float
        End of the area under the curve.
    """
    solution: PkSolution | None = None
    for place, epoch in enumerate(epochs):
        end_h = epochs[place + 1].start_h if place + 1 < len(epochs) else np.inf
        if not epoch.given:  # a reset with nothing after it: everything stays at zero
            continue
        inside = (times_h >= epoch.start_h) & (times_h < end_h)
        model = wire_pk(parameters, values, epoch.given, patient_count=patient_count)
        sums = totals(model.observed)
        # an enantiomer that these people are not given is absent here: its values stay at zero
        asked = [name for name in stems or (*model.observed, *sums) if name in sums or name in model.observed]
        needed = [part for name in asked for part in sums.get(name, (name,))]
        chosen = {name: model.observed[name] for name in dict.fromkeys(needed)}
        part = _solve_epoch(
            parameters,
            values,
            model,
            chosen,
            times_h[inside],
            min(horizon_h, end_h),
            with_metrics=with_metrics,
        )
        part = _with_totals(part, asked, sums)
        is_later = solution is not None
        if solution is None:
            empty = {name: np.zeros((patient_count, len(times_h))) for name in part.values}
            solution = part._replace(values=empty)
        for name, array in part.values.items():
            solution.values.setdefault(name, np.zeros((patient_count, len(times_h))))[:, inside] = array
        if is_later:
            solution = solution._replace(metrics=_joined(solution.metrics, part.metrics))
    if solution is None:
        raise ValueError("no doses")
    if with_metrics:
        # peaks are read off these people's own grid: neither others nor the times asked for move them
        everything = [given for epoch in epochs for given in epoch.given]
        own = np.isin(times_h, default_times_h(everything, horizon_h))
        sessions = session_starts_h(everything)
        solution = solution._replace(
            metrics=_with_peaks(
                solution.metrics,
                {name: array[:, own] for name, array in solution.values.items()},
                times_h[own],
                sessions,
            )
        )
    return solution


def _with_totals(part: PkSolution, asked: Sequence[str], sums: Mapping[str, Sequence[str]]) -> PkSolution:
    """Return the variables that were asked for, totals made from their parts."""
    values, metrics = {}, {}
    for name in asked:
        stems = sums.get(name, (name,))
        values[name] = part.values[stems[0]].copy()
        for stem in stems[1:]:
            values[name] += part.values[stem]
        if part.metrics:
            metrics[name] = _summed([part.metrics[stem] for stem in stems])
    return part._replace(values=values, metrics=metrics)


def _summed(parts: Sequence[Metrics]) -> Metrics:
    """Return the exposure of a sum: areas add up, the slower half-life remains."""
    first = parts[0]
    if len(parts) == 1:
        return first
    second = parts[1]
    return replace(
        first,
        auc_horizon=first.auc_horizon + second.auc_horizon,
        auc_infinity=first.auc_infinity + second.auc_infinity,
        half_life_h=np.fmax(first.half_life_h, second.half_life_h),
    )


def _solve_epoch(
    parameters: ParameterSet,
    values: Mapping[str, Array],
    model: PkModel,
    chosen: Observed,
    times_h: Array,
    end_h: float,
    *,
    with_metrics: bool,
) -> PkSolution:
    response = respond(model.system, model.inputs, times_h, chosen)
    metrics = _exposure(model, chosen, end_h) if with_metrics else {}
    # where terms cancel to nothing (before the first molecule arrives) rounding may leave -1e-17
    concentrations = {name: np.maximum(array, 0.0, out=array) for name, array in response.values.items()}
    by_reference = np.zeros(model.system.patient_count, dtype=bool)
    field = STRUCTURES[parameters.structure].time_variant_field
    if field is not None and field in values and "s_norketamine" in chosen:
        concentrations["s_norketamine"], metrics_of = _time_variant(model, values[field], times_h, end_h)
        by_reference[:] = True
        if with_metrics:
            metrics["s_norketamine"] = metrics_of
    return PkSolution(
        values=concentrations,
        metrics=metrics,
        bioavailable_fraction=model.reaching_umol / np.where(model.given_umol > 0, model.given_umol, np.nan),
        by_exponential=response.by_exponential,
        by_reference=by_reference,
    )


def _exposure(model: PkModel, chosen: Observed, end_h: float) -> dict[str, Metrics]:
    """Return areas and half-lives of the chosen variables; peaks are read later off the curve."""
    areas = respond(model.system, model.inputs, np.array([end_h]), chosen, integrated=True).values
    return {name: _exposure_of(model, weights, areas[name][:, 0]) for name, weights in chosen.items()}


def _exposure_of(model: PkModel, weights: Mapping[str, Array], area: Array) -> Metrics:
    system, inputs = model.system, model.inputs
    count = system.patient_count
    total, slowest = np.zeros(count), np.full(count, np.inf)
    for node in dict.fromkeys(item.node for item in inputs):
        terms = output_terms(system, node, weights)
        amount = sum((item.amount for item in inputs if item.node == node), np.zeros(count))
        whole = integral_to_infinity(terms, system.poles)
        lost = np.broadcast_to(rounding_error(terms, system.poles) > 1e-9, (count,))
        if lost.any():
            whole = _areas_by_solve(model, node, weights, np.broadcast_to(whole, (count,)).copy(), lost)
        total = total + amount * whole
        slowest = np.minimum(slowest, terminal_rate(terms, system.poles))
    if any(item.steady_interval_h is not None for item in inputs):
        total = np.full(count, np.nan)
    nothing = np.full(count, np.nan)
    half_life_h = np.where(np.isfinite(slowest), np.log(2.0) / slowest, np.nan)
    return Metrics(
        cmax=nothing, tmax_h=nothing, auc_horizon=area, auc_infinity=total, half_life_h=half_life_h
    )


def _areas_by_solve(
    model: PkModel, node: str, weights: Mapping[str, Array], whole: Array, lost: NDArray[np.bool_]
) -> Array:
    """Replace the areas of patients whose rates nearly meet by a solution of A x = -1 at the input."""
    from euthymia.engine.exponential import area_by_solve

    for patient in np.flatnonzero(lost):
        whole[patient] = area_by_solve(model.system, node, weights, int(patient))
    return whole


def _time_variant(
    model: PkModel, increase_per_h: Array, times_h: Array, end_h: float
) -> tuple[Array, Metrics]:
    """Return norketamine whose clearance rises with time since the first dose, by the reference solver."""
    from euthymia.engine.reference import respond_by_ode

    count = model.system.patient_count
    weights = {"s_norketamine": model.observed["s_norketamine"]}
    first_h = min(item.start_h for item in model.inputs)
    end = np.array([end_h])
    rises = np.broadcast_to(increase_per_h, (count,))
    values, areas = np.zeros((count, len(times_h))), np.zeros(count)
    for patient in range(count):
        rise = float(rises[patient])
        factors = {"S.norketamine.central": lambda time, rise=rise: 1.0 + rise * (time - first_h)}
        row = respond_by_ode(model.system, model.inputs, times_h, weights, patient, factors=factors)
        area = respond_by_ode(
            model.system, model.inputs, end, weights, patient, factors=factors, integrated=True
        )
        values[patient], areas[patient] = row["s_norketamine"], area["s_norketamine"][0]
    nothing = np.full(count, np.nan)
    metrics = Metrics(
        cmax=nothing, tmax_h=nothing, auc_horizon=areas, auc_infinity=nothing, half_life_h=nothing
    )
    return values, metrics


def _with_peaks(
    metrics: Mapping[str, Metrics], values: Mapping[str, Array], times_h: Array, sessions_h: Sequence[float]
) -> dict[str, Metrics]:
    """Read peaks off the curves; their time counts from the start of the session before them."""
    found = {}
    starts = np.asarray(sessions_h)
    for name, one in metrics.items():
        place = values[name].argmax(axis=1)
        before = starts[np.maximum(np.searchsorted(starts, times_h[place], side="right") - 1, 0)]
        found[name] = replace(
            one, cmax=values[name][np.arange(len(place)), place], tmax_h=times_h[place] - before
        )
    return found


def _joined(first: Mapping[str, Metrics], second: Mapping[str, Metrics]) -> dict[str, Metrics]:
    """Return the exposure over two epochs: areas add up, the end belongs to the later one."""
    joined = dict(first)
    for name, one in second.items():
        before = first.get(name)
        earlier = before.auc_horizon if before else 0.0
        nothing = np.full_like(one.auc_infinity, np.nan)
        joined[name] = replace(one, auc_horizon=one.auc_horizon + earlier, auc_infinity=nothing)
    return joined
