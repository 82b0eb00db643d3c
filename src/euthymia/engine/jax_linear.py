"""Exact response of a linear compartment system on a grid, by JAX: differentiable by every rate and amount.

Between grid points what flows in is constant, so that one step of length h is a matrix exponential,

    [x(t + h); 1] = exp(h [[A, r], [0, 0]]) [x(t); 1],

whatever the rates, equal ones too. Covered are boluses and inputs of constant rate whose start and end are
grid points, hence the same for all patients. Not covered are individual lags and durations, steady state,
integrals, and what was given before the grid starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from euthymia.engine.grid import CLOSEST_H, INSIDE_H
from euthymia.engine.jax_maths import load_jax
from euthymia.engine.linear import Input
from euthymia.engine.modes import Array
from euthymia.engine.rosenbrock import STAGE_TIMES
from euthymia.errors import InvalidInputError, invalid


class GridResponse(NamedTuple):
    """Outputs by name where a march over the grid reads them, as in ``engine.jax_march.Driven``.

    Parameters
    ----------
    at_stages : {output: array (S, 5, P)}
        At the end of a step before what is given there; the first and the last just inside the step.
    at_starts : {output: array (S, P)}
    at_times : {output: array (T, P)}
        At equal times what is given counts as given.
    """

    at_stages: dict[str, Any]
    at_starts: dict[str, Any]
    at_times: dict[str, Any]


def propagate(
    flows: Sequence[tuple[str, str | None, Any, bool]],
    inputs: Sequence[Input],
    outputs: Mapping[str, Mapping[str, Any]],
    *,
    grid_h: Array,
    times_h: Array,
    patient_count: int,
) -> GridResponse:
    """Return outputs on a grid, exactly; empty at its start.

    Parameters
    ----------
    flows : sequence of (source, target, rate_per_h, depletes)
        Rates may be JAX arrays, (P,) or ().
    inputs : sequence of Input
        Amounts may be JAX arrays. Starts and ends are grid points; lags and durations are shared.
    outputs : {name: {node: weight}}
        Weights may be JAX arrays, (P,) or ().
    grid_h : array (S + 1,)
    times_h : array (T,)
        Within the grid.
    patient_count : int
        P.

    Raises
    ------
    InvalidInputError
        For an input that is not covered.
    """
    jax = load_jax()
    numpy = jax.numpy
    grid, times = np.asarray(grid_h, float), np.asarray(times_h, float)
    system = _System(_needed(flows, outputs), patient_count)
    matrix, weights = system.matrix(flows), {name: system.weights(one) for name, one in outputs.items()}
    boluses, rates = system.inputs(inputs, grid)

    def later(matrix: Any, x: Any, rate: Any, length_h: Any) -> Any:
        """Return one patient's amounts some time later, (n,)."""
        joint = numpy.zeros((len(x) + 1, len(x) + 1)).at[:-1, :-1].set(matrix).at[:-1, -1].set(rate)
        whole = jax.scipy.linalg.expm(length_h * joint)
        return whole[:-1, :-1] @ x + whole[:-1, -1]

    def flow(x: Any, rate: Any) -> Any:
        """Return what everyone's amounts gain per hour, (P, n): for times so short that it is constant."""
        return numpy.einsum("pij,pj->pi", matrix, x) + rate

    everyone = jax.vmap(later, in_axes=(0, 0, 0, None))
    at_shares = jax.vmap(everyone, in_axes=(None, None, None, 0))
    shares = np.asarray(STAGE_TIMES[1:])

    def step(x: Any, given: Any) -> tuple[Any, Any]:
        length_h, bolus, rate = given
        x = x + bolus
        after = at_shares(matrix, x, rate, length_h * shares)
        end = after[-1]
        inside = (x + INSIDE_H * flow(x, rate), *after[:-1], end - INSIDE_H * flow(end, rate))
        return end, (x, numpy.stack(inside))

    start = numpy.zeros((patient_count, len(system.nodes)))
    last, (begun, stages) = jax.lax.scan(step, start, (np.diff(grid), boluses[:-1], rates))
    at = np.searchsorted(grid, times, side="right") - 1
    begun = numpy.concatenate([begun, (last + boluses[-1])[None]])[at]
    if (times != grid[at]).any():
        going_on = numpy.concatenate([rates, 0.0 * rates[:1]])[at]
        begun = jax.vmap(everyone, in_axes=(None, 0, 0, 0))(matrix, begun, going_on, times - grid[at])
    return GridResponse(
        *(
            {name: (weight * amounts).sum(axis=-1) for name, weight in weights.items()}
            for amounts in (stages, stages[:, 0], begun)
        )
    )


def _needed(
    flows: Sequence[tuple[str, str | None, Any, bool]], outputs: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Return the nodes that matter to the outputs, in the order of the flows."""
    needed = {node for weights in outputs.values() for node in weights}
    while more := {source for source, target, _, _ in flows if target in needed} - needed:
        needed |= more
    known = dict.fromkeys(node for source, target, _, _ in flows for node in (source, target))
    return tuple(node for node in known if node is not None and node in needed)


class _System:
    """The nodes that matter, and how flows, inputs and weights are laid out over them."""

    def __init__(self, nodes: tuple[str, ...], patient_count: int) -> None:
        self.nodes, self.count, self.numpy = nodes, patient_count, load_jax().numpy
        self.place = {name: at for at, name in enumerate(nodes)}

    def wide(self, value: Any) -> Any:
        """Return a value of each patient, (P,)."""
        return self.numpy.broadcast_to(self.numpy.asarray(value, float), (self.count,))

    def matrix(self, flows: Sequence[tuple[str, str | None, Any, bool]]) -> Any:
        """Return A in dx/dt = A x, (P, n, n)."""
        matrix = self.numpy.zeros((self.count, len(self.nodes), len(self.nodes)))
        for source, target, rate, depletes in flows:
            if source not in self.place:
                continue
            column = self.place[source]
            if target in self.place:
                matrix = matrix.at[:, self.place[target], column].add(self.wide(rate))
            if depletes:
                matrix = matrix.at[:, column, column].add(-self.wide(rate))
        return matrix

    def weights(self, of_nodes: Mapping[str, Any]) -> Any:
        """Return the weights of one output, (P, n)."""
        row = self.numpy.zeros((self.count, len(self.nodes)))
        for node, weight in of_nodes.items():
            if node in self.place:
                row = row.at[:, self.place[node]].add(self.wide(weight))
        return row

    def inputs(self, inputs: Sequence[Input], grid: Array) -> tuple[Any, Any]:
        """Return what is given at once at each grid point, (S + 1, P, n), and per hour in each step."""
        shape = (len(grid), self.count, len(self.nodes))
        boluses, rates = self.numpy.zeros(shape), self.numpy.zeros((len(grid) - 1, *shape[1:]))
        for item in inputs:
            _check_covered(item)
            if item.node not in self.place:
                continue
            node, start = self.place[item.node], item.start_h + float(item.lag_h)
            if start > grid[-1]:
                continue
            first, duration = _grid_point(grid, start), float(item.duration_h)
            if duration == 0.0:
                boluses = boluses.at[first, :, node].add(self.wide(item.amount))
            else:
                last = _grid_point(grid, min(start + duration, grid[-1]))
                rates = rates.at[first:last, :, node].add(self.wide(item.amount) / duration)
        return boluses, rates


def _check_covered(item: Input) -> None:
    if item.steady_interval_h is not None:
        message = "Steady state is not covered by the solution on a grid: give the doses one by one."
        raise InvalidInputError(message)
    for name, value in (("lag_h", item.lag_h), ("duration_h", item.duration_h)):
        if np.ndim(value) != 0:
            raise invalid(
                name,
                must="the same for all patients where kinetics are differentiated (grid points are shared)",
                got=f"shape {np.shape(value)}",
                cure="Individual lags and durations need the NumPy engine.",
            )


def _grid_point(grid: Array, time: float) -> int:
    at = int(np.argmin(np.abs(grid - time)))
    if abs(grid[at] - time) > CLOSEST_H:
        raise invalid(
            "inputs", must="given from grid point to grid point", got=f"{time!r} h", cure="Make it an event."
        )
    return at
