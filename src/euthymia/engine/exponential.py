"""The same linear systems by matrix exponentials: any rates, equal or not, one patient at a time.

Slower than :mod:`euthymia.engine.linear` and free of its cancellations. It solves the patients whose rates
nearly meet, and is the independent check of the modal solution in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.linear import Array, Input, LinearSystem, Outputs


def respond_by_exponential(
    system: LinearSystem,
    inputs: Sequence[Input],
    times_h: Array,
    outputs: Outputs,
    patient: int,
    *,
    integrated: bool = False,
) -> dict[str, Array]:
    """Return one patient's outputs, each (T,), by exponentials of the rate matrix between events."""
    order, matrix, rows = _reduced(system, outputs, patient, integrated=integrated)
    doses = [
        (
            order[item.node],
            _of(item.amount, patient),
            item.start_h + _of(item.lag_h, patient),
            _of(item.duration_h, patient),
        )
        for item in inputs
        if item.node in order
    ]
    edges = sorted({edge for _, _, start, duration in doses for edge in (start, start + duration)})
    steady = [item for item in inputs if item.steady_interval_h is not None and item.node in order]
    edges = sorted({*edges, *(float(item.steady_from_h) for item in steady)})
    stops = sorted({*edges, *(float(time) for time in times_h)})
    step_by = _Stepper(matrix)
    state = np.zeros(len(order))
    results = {name: np.zeros(len(times_h)) for name in rows}
    previous = stops[0] if stops else 0.0
    for stop in stops:
        rates = np.zeros(len(order))
        for node, amount, start, duration in doses:
            if duration > 0 and start < stop and start + duration > previous:
                rates[node] += amount / duration
        state = step_by(state, rates, stop - previous)
        for item in steady:
            if float(item.steady_from_h) == stop:
                state = state + _steady_state(item, order, step_by, patient)
        for node, amount, start, duration in doses:
            if duration == 0 and start == stop:
                state[node] += amount
        for place in np.flatnonzero(times_h == stop):
            for name, row in rows.items():
                results[name][place] = row @ state
        previous = stop
    return results


class _Stepper:
    """Exact steps of dx/dt = A x + r for constant r; the exponential of each length is kept."""

    def __init__(self, matrix: Array) -> None:
        self.matrix = matrix
        self.known: dict[float, tuple[Array, Array]] = {}

    def __call__(self, state: Array, rates: Array, step: float) -> Array:
        if step <= 0:
            return state
        if step not in self.known:
            from scipy.linalg import expm

            size = len(self.matrix)
            joint = np.zeros((2 * size, 2 * size))
            joint[:size, :size] = self.matrix * step
            joint[:size, size:] = np.eye(size) * step
            whole = expm(joint)
            self.known[step] = np.asarray(whole[:size, :size], float), np.asarray(whole[:size, size:], float)
        free, forced = self.known[step]
        return free @ state + (forced @ rates if np.any(rates) else 0.0)


def _reduced(
    system: LinearSystem, outputs: Outputs, patient: int, *, integrated: bool
) -> tuple[dict[str, int], Array, dict[str, NDArray[np.float64]]]:
    """Return the nodes that matter to the outputs, their rate matrix, and a row for each output."""
    needed = {node for weights in outputs.values() for node in weights if node in system.nodes}
    while True:
        more = {source for source, target, _, _ in system.flows if target in needed} - needed
        if not more:
            break
        needed |= more
    kept = [index for index, name in enumerate(system.nodes) if name in needed]
    order = {system.nodes[index]: place for place, index in enumerate(kept)}
    matrix = system.matrix(patient)[np.ix_(kept, kept)]
    rows = {}
    for name, weights in outputs.items():
        row = np.zeros(len(kept))
        for node, weight in weights.items():
            if node in order:
                row[order[node]] += _of(weight, patient)
        rows[name] = row
    if integrated:
        matrix, rows = _with_integrals(matrix, rows)
    return (
        order | {f"integral:{name}": len(kept) + place for place, name in enumerate(rows) if integrated},
        matrix,
        rows,
    )


def _with_integrals(matrix: Array, rows: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
    """Append one accumulating node for each output."""
    size, count = len(matrix), len(rows)
    wide = np.zeros((size + count, size + count))
    wide[:size, :size] = matrix
    picks = {}
    for place, (name, row) in enumerate(rows.items()):
        wide[size + place, :size] = row
        picks[name] = np.eye(size + count)[size + place]
    return wide, picks


def _steady_state(item: Input, order: dict[str, int], step_by: _Stepper, patient: int) -> Array:
    """Return the state that an endless row of earlier, equal inputs has left at the start of a cycle."""
    interval = float(item.steady_interval_h or 0.0)
    offset = item.start_h + _of(item.lag_h, patient) - item.steady_from_h
    duration, amount = _of(item.duration_h, patient), _of(item.amount, patient)
    rates, state = np.zeros(len(order)), np.zeros(len(order))
    if duration > 0:
        rates[order[item.node]] = amount / duration
        state = step_by(state, rates, duration)
    else:
        state[order[item.node]] = amount
    state = step_by(state, np.zeros(len(order)), interval - offset - duration)
    whole = np.column_stack(
        [step_by(column, np.zeros(len(order)), interval) for column in np.eye(len(order))]
    )
    return np.asarray(np.linalg.solve(np.eye(len(order)) - whole, state), float)


def _of(value: Array | float, patient: int) -> float:
    """Return one patient's value of something that may be shared."""
    array = np.asarray(value, float)
    return float(array if array.ndim == 0 else array[patient % len(array)])


def area_by_solve(
    system: LinearSystem, node: str, weights: Mapping[str, Array | float], patient: int
) -> float:
    """Return one patient's integral from 0 to infinity of an output after a unit impulse, by a linear solve.

    The integral of x is -A^(-1) x(0); nodes that only collect are left out, so that A is regular.
    """
    order, matrix, rows = _reduced(system, {"area": weights}, patient, integrated=False)
    if node not in order:
        return 0.0
    start = np.zeros(len(order))
    start[order[node]] = 1.0
    return float(rows["area"] @ np.linalg.solve(-matrix, start))
