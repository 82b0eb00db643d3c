"""The same linear systems by matrix exponentials: any rates, equal or not, one patient at a time.

Slower than :mod:`euthymia.engine.linear` and free of its cancellations. It solves the patients whose rates
nearly meet, and is the independent check of the modal solution in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from euthymia.engine.linear import Array, Input, LinearSystem, Outputs

_GRAIN_H = 2.0**-44
"""Steps are rounded to this, below the rounding of the times themselves: equal steps share an exponential."""


class _Given(NamedTuple):
    """What one patient is given into one place, at once (duration 0) or at a constant rate."""

    place: int
    amount: float
    start_h: float
    duration_h: float


def respond_by_exponential(
    system: LinearSystem,
    inputs: Sequence[Input],
    times_h: Array,
    outputs: Outputs,
    patient: int,
    *,
    integrated: bool = False,
) -> dict[str, Array]:
    """Return one patient's outputs, each (T,), by exponentials of the rate matrix.

    Every time is reached in one step from the event before it, so that other times asked for move nothing.
    """
    order, matrix, rows = _reduced(system, outputs, patient)
    base = len(order)
    if integrated:
        matrix, rows = _with_integrals(matrix, rows)
    items = [item for item in inputs if item.node in order]
    given = [_given(item, order, patient) for item in items]
    steady = [item for item in items if item.steady_interval_h is not None]
    for item in steady:
        given += _still_going_on(item, order, patient)
    edges = sorted(
        {edge for one in given for edge in (one.start_h, one.start_h + one.duration_h)}
        | {float(item.steady_from_h) for item in steady}
    )
    step_by = _stepper(matrix)
    state = np.zeros(len(matrix))
    results = {name: np.zeros(len(times_h)) for name in rows}
    for place, edge in enumerate(edges):
        following = edges[place + 1] if place + 1 < len(edges) else np.inf
        for item in steady:
            if float(item.steady_from_h) == edge:
                state[:base] += _steady_state(item, order, _Stepper(matrix[:base, :base]), patient)
        for one in given:
            if one.duration_h == 0 and one.start_h == edge:
                state[one.place] += one.amount
        rates = _rates(given, edge, len(matrix))
        inside = (times_h >= edge) & (times_h < following)
        if inside.any():
            reached = step_by.each(state, rates, times_h[inside] - edge)
            for name, row in rows.items():
                results[name][inside] = _dot(reached, row)
        if np.isfinite(following):
            state = step_by(state, rates, following - edge)
    return results


def area_by_solve(
    system: LinearSystem, node: str, weights: Mapping[str, Array | float], patient: int
) -> float:
    """Return one patient's integral from 0 to infinity of an output after a unit impulse, by a linear solve.

    The integral of x is -A^(-1) x(0); nodes that only collect are left out, so that A is regular.
    """
    order, matrix, rows = _reduced(system, {"area": weights}, patient)
    if node not in order:
        return 0.0
    start = np.zeros(len(order))
    start[order[node]] = 1.0
    return float(rows["area"] @ np.linalg.solve(-matrix, start))


LENGTHS_KEPT, STEPPERS_KEPT = 1024, 32
_steppers: dict[bytes, _Stepper] = {}


def _stepper(matrix: Array) -> _Stepper:
    """Return the steps of a matrix; a run that decides on doses asks for the same ones again and again."""
    key = matrix.tobytes()
    found = _steppers.get(key)
    if found is None:
        if len(_steppers) >= STEPPERS_KEPT:
            _steppers.clear()
        found = _steppers[key] = _Stepper(matrix)
    return found


class _Stepper:
    """Exact steps of dx/dt = A x + r for constant r; exponentials of the latest lengths are kept."""

    def __init__(self, matrix: Array) -> None:
        self.matrix = matrix
        self.known: dict[float, tuple[Array, Array]] = {}
        self.powers: dict[int, Array] = {}

    def __call__(self, state: Array, rates: Array, step: float) -> Array:
        length = round(step / _GRAIN_H) * _GRAIN_H
        if length <= 0:
            return state.copy()
        kept = self.known.get(length)
        if kept is None:
            from scipy.linalg import expm

            size = len(self.matrix)
            whole = np.asarray(expm(self._joint(length)), float)
            kept = whole[:size, :size], whole[:size, size:]
            if len(self.known) >= LENGTHS_KEPT:
                self.known.clear()
            self.known[length] = kept
        free, forced = kept
        return free @ state + forced @ rates

    def each(self, state: Array, rates: Array, steps: Array) -> Array:
        """Return the states after steps of different lengths, (steps, n).

        A length is a sum of powers of two of the grain, so that a step is the product of a few exponentials
        that are made once; each result is the same whatever others are asked for.
        """
        grains = np.maximum(np.rint(steps / _GRAIN_H).astype(np.int64), 0)
        reached = np.tile(np.concatenate([state, rates]), (len(grains), 1))
        for bit in range(int(grains.max()).bit_length()):
            chosen = (grains >> bit) & 1 == 1
            if chosen.any():
                reached[chosen] = _dot(reached[chosen][:, None, :], self._power(bit))
        return reached[:, : len(state)]

    def _power(self, bit: int) -> Array:
        """Return the exponential, on states and rates together, of so long a step: 2^bit grains."""
        if bit not in self.powers:
            from scipy.linalg import expm

            self.powers[bit] = np.asarray(expm(self._joint(_GRAIN_H * 2.0**bit)), float)
        return self.powers[bit]

    def _joint(self, length: float) -> Array:
        """Return the matrix of states and constant rates, times a length."""
        size = len(self.matrix)
        joint = np.zeros((2 * size, 2 * size))
        joint[:size, :size] = self.matrix * length
        joint[:size, size:] = np.eye(size) * length
        return joint


def _dot(left: Array, right: Array) -> Array:
    """Return products summed over the last axis, each by itself."""
    return (left * right).sum(axis=-1)


def _given(item: Input, order: Mapping[str, int], patient: int) -> _Given:
    return _Given(
        place=order[item.node],
        amount=_of(item.amount, patient),
        start_h=item.start_h + _of(item.lag_h, patient),
        duration_h=_of(item.duration_h, patient),
    )


def _rates(given: Sequence[_Given], time: float, size: int) -> Array:
    """Return the constant input rates that hold from an event to the next."""
    rates = np.zeros(size)
    for one in given:
        if one.duration_h > 0 and one.start_h <= time < one.start_h + one.duration_h:
            rates[one.place] += one.amount / one.duration_h
    return rates


def _reduced(
    system: LinearSystem, outputs: Outputs, patient: int
) -> tuple[dict[str, int], Array, dict[str, Array]]:
    """Return the nodes that matter to the outputs, their rate matrix, and a row for each output."""
    needed = {node for weights in outputs.values() for node in weights if node in system.nodes}
    while True:
        more = {source for source, target, _, _ in system.flows if target in needed} - needed
        if not more:
            break
        needed |= more
    kept = [index for index, name in enumerate(system.nodes) if name in needed]
    order = {system.nodes[index]: place for place, index in enumerate(kept)}
    rows = {}
    for name, weights in outputs.items():
        row = np.zeros(len(kept))
        for node, weight in weights.items():
            if node in order:
                row[order[node]] += _of(weight, patient)
        rows[name] = row
    return order, system.matrix(patient)[np.ix_(kept, kept)], rows


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


def _cycle(item: Input, patient: int) -> tuple[float, float, float, int]:
    """Return interval, offset, duration, and how many earlier inputs are not complete at the start."""
    interval, duration = float(item.steady_interval_h or 0.0), _of(item.duration_h, patient)
    offset = item.start_h + _of(item.lag_h, patient) - item.steady_from_h
    return interval, offset, duration, max(int(np.ceil((offset + duration) / interval - 1e-12)) - 1, 0)


def _still_going_on(item: Input, order: Mapping[str, int], patient: int) -> list[_Given]:
    """Return what the latest earlier inputs have still to give at the start of the cycle."""
    interval, offset, duration, incomplete = _cycle(item, patient)
    left = []
    for cycle in range(1, incomplete + 1):
        start, end = offset - cycle * interval, offset + duration - cycle * interval
        share = 1.0 if duration == 0 else (end - max(start, 0.0)) / duration
        left.append(
            _Given(
                place=order[item.node],
                amount=share * _of(item.amount, patient),
                start_h=item.steady_from_h + max(start, 0.0),
                duration_h=0.0 if duration == 0 else end - max(start, 0.0),
            )
        )
    return left


def _steady_state(item: Input, order: Mapping[str, int], step_by: _Stepper, patient: int) -> Array:
    """Return the state that an endless row of earlier, equal inputs has left at the start of a cycle."""
    interval, offset, duration, incomplete = _cycle(item, patient)
    size, amount = len(order), _of(item.amount, patient)
    nothing, rates, pulse = np.zeros(size), np.zeros(size), np.zeros(size)
    if duration > 0:
        rates[order[item.node]] = amount / duration
    else:
        pulse[order[item.node]] = amount
    total = np.zeros(size)
    for cycle in range(1, incomplete + 1):
        given_for = min(max(cycle * interval - offset, 0.0), duration)
        if cycle * interval > offset and duration > 0:
            total = total + step_by(nothing, rates, given_for)
    last = (incomplete + 1) * interval - offset - duration
    one = step_by(step_by(pulse, rates, duration), nothing, last)
    whole = np.column_stack([step_by(column, nothing, interval) for column in np.eye(size)])
    return total + np.asarray(np.linalg.solve(np.eye(size) - whole, one), float)


def _of(value: Array | float, patient: int) -> float:
    """Return one patient's value of something that may be shared."""
    array = np.asarray(value, float)
    return float(array if array.ndim == 0 else array[patient % len(array)])
