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
    integrated: bool = False,
) -> dict[str, Array]:
    """Return one patient's outputs, each (T,), by adaptive integration between events.

    Parameters
    ----------
    factors : {node: function of time in hours}
        What multiplies the rate at which a node is drained out of the system (a clearance that changes).
    integrated : bool
        Return the integrals of the outputs from the first event on, instead of their values.

    Raises
    ------
    RunFailedError
        With patient, time and the solver's words; or where a steady state is asked for.
    """
    if any(item.steady_interval_h is not None for item in inputs):
        message = "The reference solver starts from nothing: it has no steady state. Write the doses out."
        raise RunFailedError(message)
    position = {name: index for index, name in enumerate(system.nodes)}
    rows = {name: _row(weights, position, patient) for name, weights in outputs.items()}
    derivative = _Derivative(
        system, patient, position, factors or {}, list(rows.values()) if integrated else []
    )
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
    same = _merged(edges | {float(time) for time in times_h})
    doses = [
        (node, amount, same[start], same[start + duration] - same[start] if duration else 0.0)
        for node, amount, start, duration in doses
    ]
    times = np.array([same[float(time)] for time in times_h])
    stops = sorted(set(same.values()))
    size = len(system.nodes)
    state = np.zeros(size + (len(rows) if integrated else 0))
    smallest = RELATIVE_TOLERANCE * 1e-3 * max((amount for _, amount, _, _ in doses), default=1.0)
    results = {name: np.zeros(len(times_h)) for name in outputs}
    previous = stops[0]
    for stop in stops:
        if stop > previous:
            derivative.rates = np.zeros(size)
            for node, amount, start, duration in doses:
                if duration > 0 and start < stop and start + duration > previous:
                    derivative.rates[node] += amount / duration
            state = _step(derivative, previous, stop, state, smallest, patient)
            previous = stop
        for node, amount, start, duration in doses:
            if duration == 0 and start == stop:
                state[node] += amount
        for place in np.flatnonzero(times == stop):
            for index, (name, row) in enumerate(rows.items()):
                results[name][place] = state[size + index] if integrated else row @ state[:size]
    return results


def _merged(stops: set[float]) -> dict[float, float]:
    """Return {stop: the stop that stands for it}: those that differ by rounding only are one."""
    standing: dict[float, float] = {}
    last = -np.inf
    for stop in sorted(stops):
        if stop - last > 1e-12 * max(1.0, abs(stop)):
            last = stop
        standing[stop] = last
    return standing


class _Derivative:
    """dx/dt = A(t) x + r, and the outputs as further derivatives where their integrals are wanted."""

    def __init__(
        self,
        system: LinearSystem,
        patient: int,
        position: Mapping[str, int],
        factors: Mapping[str, Callable[[float], float]],
        integrands: Sequence[Array],
    ) -> None:
        self.matrix, self.moving = _split_matrix(system, patient, position, factors)
        self.integrands = integrands
        self.rates = np.zeros(len(position))

    def __call__(self, time: float, state: Array) -> Array:
        amounts = state[: len(self.rates)]
        slope = self.matrix @ amounts + self.rates
        for node, (rate, factor) in self.moving.items():
            slope[node] -= rate * factor(time) * amounts[node]
        return np.concatenate([slope, [row @ amounts for row in self.integrands]])


def _step(
    derivative: _Derivative, start: float, end: float, state: Array, smallest: float, patient: int
) -> Array:
    from scipy.integrate import solve_ivp

    solution = solve_ivp(
        derivative, (start, end), state, method="LSODA", rtol=RELATIVE_TOLERANCE, atol=smallest
    )
    if not solution.success:
        message = f"LSODA failed for patient {patient} at {solution.t[-1]:g} h: {solution.message}"
        raise RunFailedError(message)
    return np.asarray(solution.y[:, -1], float)


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
