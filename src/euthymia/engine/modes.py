"""Linear compartment systems as sums of exponential-polynomial terms.

A system is a list of flows between named nodes. Its response to a unit impulse is

    y(t) = sum_j sum_p c_jp t^p / p! exp(-lambda_j t),

found without a step size: groups of compartments that exchange both ways are solved by a symmetric
eigendecomposition, chains of equal rates give the powers p (Erlang terms), and one group drives the next
by convolution of terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError

Array = NDArray[np.float64]
Flow = tuple[str, str | None, Array, bool]
"""source, target (None leaves the system), rate per hour (P,), whether the source loses what flows."""
Terms = dict[tuple[int, int], Array]
"""{(pole, power p): coefficient (P,)} of t^p / p! exp(-rate of the pole * t)."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A group of nodes that exchange both ways: x_out = sum_j out[:, o, j] mode_j, mode_j = into[:, j, i]."""

    nodes: tuple[int, ...]
    poles: tuple[int, ...]
    into: Array
    out: Array


@dataclass(frozen=True, slots=True)
class LinearSystem:
    """A compartment system prepared for exact solution; made by :func:`assemble`."""

    nodes: tuple[str, ...]
    flows: tuple[Flow, ...]
    patient_count: int
    poles: tuple[Array, ...]
    blocks: tuple[_Block, ...]
    zero_pole: int
    solvable: bool
    _responses: dict[str, dict[int, Terms]] = field(default_factory=dict)

    def take(self, chosen: NDArray[np.bool_], dtype: Any) -> LinearSystem:
        """Return the system of some of the patients, (P,) of bool, in another precision."""
        return LinearSystem(
            nodes=self.nodes,
            flows=tuple((*flow[:2], flow[2][chosen].astype(dtype), flow[3]) for flow in self.flows),
            patient_count=int(chosen.sum()),
            poles=tuple(pole[chosen].astype(dtype) for pole in self.poles),
            blocks=tuple(
                _Block(one.nodes, one.poles, one.into[chosen].astype(dtype), one.out[chosen].astype(dtype))
                for one in self.blocks
            ),
            zero_pole=self.zero_pole,
            solvable=self.solvable,
        )

    def matrix(self, patient: int) -> Array:
        """Return the rate matrix A of one patient, (nodes, nodes), in dx/dt = A x."""
        matrix = np.zeros((len(self.nodes), len(self.nodes)))
        for source, target, rate, depletes in self.flows:
            value = rate[patient]
            column = self.nodes.index(source)
            if target is not None:
                matrix[self.nodes.index(target), column] += value
            if depletes:
                matrix[column, column] -= value
        return matrix


def assemble(flows: Sequence[Flow], patient_count: int) -> LinearSystem:
    """Prepare a compartment system: find its groups, their rates and their modes.

    Parameters
    ----------
    flows : sequence of (source, target, rate_per_h, depletes)
        ``rate_per_h`` broadcasts to (P,). Two nodes drained by *the same array object* have equal rates
        by construction, and are solved as an Erlang chain.
    patient_count : int
        P.
    """
    identities = {id(rate): position for position, (_, _, rate, _) in enumerate(flows)}
    keys = [identities[id(rate)] for _, _, rate, _ in flows]
    wide = tuple(
        (
            source,
            target,
            np.ascontiguousarray(np.broadcast_to(np.asarray(rate, float), (patient_count,))),
            depletes,
        )
        for source, target, rate, depletes in flows
    )
    for source, target, rate, _ in wide:
        if not np.all(rate >= 0):
            message = (
                f"The rate from {source!r} to {target or 'outside'!r} must be 0 or more per hour. "
                f"Got {np.nanmin(rate):g}. A parameter that was set leads to it."
            )
            raise InvalidInputError(message)
    names = tuple(
        dict.fromkeys(name for source, target, _, _ in wide for name in (source, target) if name is not None)
    )
    groups = _strong_groups(names, wide)
    poles: list[Array] = [np.zeros(patient_count)]
    pole_of_key: dict[int, int] = {}
    blocks: list[_Block] = []
    solvable = True
    for group in groups:
        if len(group) == 1:
            pole = _single_pole(names[group[0]], wide, keys, poles, pole_of_key)
            one = np.ones((patient_count, 1, 1))
            blocks.append(_Block(nodes=group, poles=(pole,), into=one, out=one))
            continue
        block = _exchange_block(group, names, wide, poles)
        solvable = solvable and block is not None
        if block is not None:
            blocks.append(block)
    return LinearSystem(
        nodes=names,
        flows=wide,
        patient_count=patient_count,
        poles=tuple(poles),
        blocks=tuple(blocks),
        zero_pole=0,
        solvable=solvable,
    )


def _strong_groups(names: tuple[str, ...], flows: Sequence[Flow]) -> list[tuple[int, ...]]:
    """Return groups of mutually reachable nodes, upstream groups first."""
    position = {name: index for index, name in enumerate(names)}
    reach = np.eye(len(names), dtype=bool)
    for source, target, _, _ in flows:
        if target is not None:
            reach[position[source], position[target]] = True
    for middle in range(len(names)):
        reach |= np.outer(reach[:, middle], reach[middle])
    mutual = reach & reach.T
    groups = dict.fromkeys(tuple(int(node) for node in np.flatnonzero(row)) for row in mutual)
    # a group that reaches more nodes lies further upstream
    return sorted(groups, key=lambda group: (-int(reach[group[0]].sum()), group))


def _single_pole(
    name: str, flows: Sequence[Flow], keys: Sequence[int], poles: list[Array], pole_of_key: dict[int, int]
) -> int:
    """Return the pole of a node of its own; nodes drained by one and the same rate share it."""
    drains = [
        (key, rate)
        for (source, _, rate, depletes), key in zip(flows, keys, strict=True)
        if source == name and depletes
    ]
    if not drains:
        return 0
    if len(drains) == 1 and drains[0][0] in pole_of_key:
        return pole_of_key[drains[0][0]]
    total = drains[0][1].copy()
    for _, rate in drains[1:]:
        total = total + rate
    poles.append(total)
    if len(drains) == 1:
        pole_of_key[drains[0][0]] = len(poles) - 1
    return len(poles) - 1


def _exchange_block(
    group: tuple[int, ...], names: tuple[str, ...], flows: Sequence[Flow], poles: list[Array]
) -> _Block | None:
    """Return the modes of compartments joined as a tree, or None where they are not a tree.

    Detailed balance D_a k_ab = D_b k_ba makes D^(1/2) A D^(-1/2) symmetric, hence real rates and
    orthogonal modes, whatever the numbers.
    """
    members = [names[index] for index in group]
    size, patients = len(group), len(flows[0][2])
    symmetric = np.zeros((patients, size, size))
    links: dict[tuple[int, int], Array] = {}
    for source, target, rate, depletes in flows:
        if source not in members:
            continue
        start = members.index(source)
        if depletes:
            symmetric[:, start, start] += rate
        if target in members:
            if not depletes:
                return None
            end = members.index(target)
            links[start, end] = links.get((start, end), 0.0) + rate
    if len(links) != 2 * (size - 1) or any((end, start) not in links for start, end in links):
        return None
    balance = [np.ones(patients)] + [np.zeros(patients)] * (size - 1)
    placed, waiting = {0}, [0]
    while waiting:
        start = waiting.pop()
        for (first, end), rate in links.items():
            if first == start and end not in placed:
                balance[end] = balance[start] * rate / links[end, start]
                placed.add(end)
                waiting.append(end)
    for (start, end), rate in links.items():
        symmetric[:, end, start] = -np.sqrt(rate * links[end, start])
    rates, vectors = np.linalg.eigh(symmetric)
    # balance weights: amounts at equilibrium are proportional to D, so x = D^(1/2) Q mode
    root = np.sqrt(np.stack(balance, axis=1))
    first = len(poles)
    poles.extend(np.ascontiguousarray(rates[:, mode]) for mode in range(size))
    return _Block(
        nodes=group,
        poles=tuple(range(first, first + size)),
        into=np.swapaxes(vectors, 1, 2) / root[:, None, :],
        out=vectors * root[:, :, None],
    )


# --- terms -------------------------------------------------------------------------------------


def add_term(terms: Terms, key: tuple[int, int], value: Array) -> None:
    """Add a coefficient to the terms, in place."""
    terms[key] = terms[key] + value if key in terms else value


def convolve(terms: Terms, pole: int, poles: Sequence[Array]) -> Terms:
    """Return the terms of the convolution of a response with exp(-rate t) of one pole."""
    result: Terms = {}
    for (other, power), coefficient in terms.items():
        if other == pole:
            add_term(result, (pole, power + 1), coefficient)
            continue
        gap = poles[pole] - poles[other]
        scaled = coefficient / gap
        for lower in range(power, 0, -1):
            add_term(result, (other, lower), scaled)
            scaled = -scaled / gap
        add_term(result, (other, 0), scaled)
        add_term(result, (pole, 0), -scaled)
    return result


def impulse_response(system: LinearSystem, node: str) -> dict[int, Terms]:
    """Return the terms of every node's response to a unit impulse into one node.

    Returns
    -------
    responses : dict
        {index of a node: its terms}; nodes that the impulse cannot reach are absent.
    """
    if node in system._responses:
        return system._responses[node]
    entry = system.nodes.index(node)
    incoming: dict[int, Terms] = {}
    responses: dict[int, Terms] = {}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for block in system.blocks:
            modes = _block_modes(system, block, entry, incoming)
            if not any(modes):
                continue
            for place, index in enumerate(block.nodes):
                responses[index] = _weighted(
                    (block.out[:, place, mode], modes[mode]) for mode in range(len(modes))
                )
            _pass_on(system, block, responses, incoming)
    system._responses[node] = responses
    return responses


def _block_modes(
    system: LinearSystem, block: _Block, entry: int, incoming: Mapping[int, Terms]
) -> list[Terms]:
    """Return the terms of each mode of a block, driven by an impulse inside it or from upstream."""
    modes: list[Terms] = []
    for mode, pole in enumerate(block.poles):
        drive = _weighted(
            (block.into[:, mode, place], incoming[index])
            for place, index in enumerate(block.nodes)
            if index in incoming
        )
        terms = convolve(drive, pole, system.poles)
        if entry in block.nodes:
            add_term(terms, (pole, 0), block.into[:, mode, block.nodes.index(entry)])
        modes.append(terms)
    return modes


def _pass_on(
    system: LinearSystem, block: _Block, responses: Mapping[int, Terms], incoming: dict[int, Terms]
) -> None:
    """Add what flows out of a block to what drives the nodes downstream."""
    for source, target, rate, _ in system.flows:
        if target is None:
            continue
        start, end = system.nodes.index(source), system.nodes.index(target)
        if start in block.nodes and end not in block.nodes and start in responses:
            drive = incoming.setdefault(end, {})
            for key, coefficient in responses[start].items():
                add_term(drive, key, rate * coefficient)


def _weighted(pairs) -> Terms:
    """Return the weighted sum of several sets of terms."""
    total: Terms = {}
    for weight, terms in pairs:
        for key, coefficient in terms.items():
            add_term(total, key, weight * coefficient)
    return total


def output_terms(system: LinearSystem, node: str, weights: Mapping[str, Array | float]) -> Terms:
    """Return the terms of a weighted sum of nodes after a unit impulse into one node."""
    responses = impulse_response(system, node)
    return _weighted(
        (weight, responses[system.nodes.index(name)])
        for name, weight in weights.items()
        if name in system.nodes and system.nodes.index(name) in responses
    )


def evaluate(terms: Terms, poles: Sequence[Array], times_h: Array) -> Array:
    """Return the value of a sum of terms, (P, T), at times (T,) or (P, T)."""
    times = np.atleast_2d(times_h)
    total: Array = np.zeros((1, times.shape[-1]))
    for (pole, power), coefficient in terms.items():
        total = total + coefficient[:, None] * power_of(times, power) * np.exp(-poles[pole][:, None] * times)
    return total


def power_of(times: Array | float, power: int) -> Array | float:
    """Return t^p / p!."""
    if power == 0:
        return 1.0
    return times if power == 1 else times**power / factorial(power)


def integral_to_infinity(terms: Terms, poles: Sequence[Array]) -> Array:
    """Return the integral of a response from 0 to infinity, (P,)."""
    return sum(
        (coefficient / poles[pole] ** (power + 1) for (pole, power), coefficient in terms.items()),
        np.zeros(1),
    )


def terminal_rate(terms: Terms, poles: Sequence[Array]) -> Array:
    """Return the slowest rate per hour that a response really contains, (P,); infinity where it has none."""
    size = sum((np.abs(coefficient) for coefficient in terms.values()), np.zeros(1))
    slowest: Array = np.full(1, np.inf)
    for (pole, _), coefficient in terms.items():
        present = (np.abs(coefficient) > 1e-9 * size) & (poles[pole] > 0)
        slowest = np.where(present, np.minimum(slowest, poles[pole]), slowest)
    return slowest


def rounding_error(terms: Terms, poles: Sequence[Array]) -> Array:
    """Estimate the relative rounding error of a response near its peak, (P,); infinite where it has no value.

    The sum of the terms' own largest values over the largest value of their sum, times the machine epsilon.
    """
    if not terms:
        return np.zeros(1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size: Array = np.zeros(1)
        for (pole, power), coefficient in terms.items():
            height = (power / np.e / poles[pole]) ** power / factorial(power) if power else 1.0
            size = size + np.abs(coefficient) * height
        rates = np.stack([poles[pole] for pole in sorted({pole for pole, _ in terms})], axis=1)
        times = np.where(rates > 0, 1.0 / np.where(rates > 0, rates, 1.0), 0.0)
        peak = np.abs(evaluate(terms, poles, np.concatenate([times * 0.0, times, 2.5 * times], axis=1))).max(
            axis=1
        )
        error = np.finfo(peak.dtype).eps * size / peak
    return np.where(np.isfinite(error), error, np.inf)
