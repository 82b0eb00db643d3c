"""SciPy's LSODA on the same systems: the slow, independent truth, also for rates that change with time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from euthymia.engine.linear import Array, Input, LinearSystem, Outputs
from euthymia.errors import RunFailedError

RELATIVE_TOLERANCE = 1e-11


def respond_by_ode(
    system: LinearSystem,
    inputs: Sequence[Input],
    times_h: Array,
    outputs: Outputs,
    patient: int,
    *,
    factors: Mapping[str, Callable[[float], float]] | None = None,
) -> dict[str, Array]:
    """Return one patient's outputs, each (T,), by adaptive integration between events.

    Parameters
    ----------
    factors : {node: function of time in hours}
        What multiplies the rate at which a node is drained out of the system (a clearance that changes).

    Raises
    ------
    RunFailedError
        With patient, time and the solver's words.
    """
    from scipy.integrate import solve_ivp

    position = {name: index for index, name in enumerate(system.nodes)}
    steady, moving = _split_matrix(system, patient, position, factors or {})
    doses = [
        (
            position[item.node],
            _one(item.amount, patient),
            item.start_h + _one(item.lag_h, patient),
            _one(item.duration_h, patient),
        )
        for item in inputs
    ]
    edges = {edge for _, _, start, duration in doses for edge in (start, start + duration)}
    stops = sorted(edges | {float(time) for time in times_h})
    state = np.zeros(len(system.nodes))
    amounts = max((amount for _, amount, _, _ in doses), default=1.0)
    results = {name: np.zeros(len(times_h)) for name in outputs}
    rows = {name: _row(weights, position, patient) for name, weights in outputs.items()}
    previous = stops[0]
    for stop in stops:
        if stop > previous:
            rates = np.zeros(len(state))
            for node, amount, start, duration in doses:
                if duration > 0 and start < stop and start + duration > previous:
                    rates[node] += amount / duration

            def derivative(time: float, x: Array, rates: Array = rates) -> Array:
                slope = steady @ x + rates
                for node, (rate, factor) in moving.items():
                    slope[node] -= rate * factor(time) * x[node]
                return slope

            solution = solve_ivp(
                derivative,
                (previous, stop),
                state,
                method="LSODA",
                rtol=RELATIVE_TOLERANCE,
                atol=RELATIVE_TOLERANCE * 1e-3 * amounts,
            )
            if not solution.success:
                message = f"LSODA failed for patient {patient} at {solution.t[-1]:g} h: {solution.message}"
                raise RunFailedError(message)
            state = solution.y[:, -1]
        for node, amount, start, duration in doses:
            if duration == 0 and start == stop:
                state[node] += amount
        for place in np.flatnonzero(times_h == stop):
            for name, row in rows.items():
                results[name][place] = row @ state
        previous = stop
    return results


def _split_matrix(
    system: LinearSystem,
    patient: int,
    position: Mapping[str, int],
    factors: Mapping[str, Callable[[float], float]],
) -> tuple[Array, dict[int, tuple[float, Callable[[float], float]]]]:
    """Return the constant rate matrix and {node: (rate, factor)} of the drains that change with time."""
    matrix = system.matrix(patient)
    moving = {}
    for source, target, rate, depletes in system.flows:
        if source in factors and target is None and depletes:
            place = position[source]
            matrix[place, place] += rate[patient]
            moving[place] = (float(rate[patient]), factors[source])
    return matrix, moving


def _row(weights: Mapping[str, Array | float], position: Mapping[str, int], patient: int) -> Array:
    row = np.zeros(len(position))
    for node, weight in weights.items():
        row[position[node]] += _one(weight, patient)
    return row


def _one(value: Array | float, patient: int) -> float:
    array = np.asarray(value, float)
    return float(array if array.ndim == 0 else array[patient])
