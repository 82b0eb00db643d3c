"""Exact solution of linear compartment systems between and across doses.

A system is a list of flows between named nodes. Its response to a unit impulse is a sum of
exponential-polynomial terms,

    y(t) = sum_j sum_p c_jp t^p / p! exp(-lambda_j t),

found without a step size: groups of compartments that exchange both ways are solved by a symmetric
eigendecomposition, chains of equal rates give the powers p (Erlang terms), and one group drives the next
by convolution of terms. Boluses, infusions, lags and steady state only need the moments of each input
against those terms, which are closed forms as well.

Where two rates of one patient nearly meet, the coefficients cancel; the loss is estimated for every
patient, and a patient whose answer would lose more than ``TOLERANCE`` is solved by matrix exponentials
instead (slower, same answer).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flow = tuple[str, str | None, Array, bool]
"""source, target (None leaves the system), rate per hour (P,), whether the source loses what flows."""
Terms = dict[tuple[int, int], Array]
"""{(pole, power p): coefficient (P,)} of t^p / p! exp(-rate of the pole * t)."""

TOLERANCE = 1e-11
"""Largest accepted estimate of the relative rounding error of the modal solution (a tenth of the promise)."""
_SERIES_BELOW = 2.0
_SERIES_TERMS = 26  # 2^26 / 26! is below 1e-18


class Input(NamedTuple):
    """What enters a node: a bolus (duration 0) or a constant-rate input, one amount a patient.

    Amounts are in any one unit, (P,); times in hours. ``lag_h`` and ``duration_h`` may differ between
    patients. ``steady_interval_h`` says that the same input has been repeated at that interval for ever,
    counted from ``steady_from_h``, the start of the cycle that this input belongs to.
    """

    node: str
    amount: Array
    start_h: float
    duration_h: float | Array = 0.0
    lag_h: float | Array = 0.0
    steady_interval_h: float | None = None
    steady_from_h: float = 0.0


Outputs = Mapping[str, Mapping[str, Array | float]]
"""name of an output -> {node: weight}; an output is a weighted sum of node amounts."""


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


def _add(terms: Terms, key: tuple[int, int], value: Array) -> None:
    terms[key] = terms[key] + value if key in terms else value


def _convolve(terms: Terms, pole: int, poles: Sequence[Array]) -> Terms:
    """Return the terms of the convolution of a response with exp(-rate t) of one pole."""
    result: Terms = {}
    for (other, power), coefficient in terms.items():
        if other == pole:
            _add(result, (pole, power + 1), coefficient)
            continue
        gap = poles[pole] - poles[other]
        scaled = coefficient / gap
        for lower in range(power, 0, -1):
            _add(result, (other, lower), scaled)
            scaled = -scaled / gap
        _add(result, (other, 0), scaled)
        _add(result, (pole, 0), -scaled)
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
        terms = _convolve(drive, pole, system.poles)
        if entry in block.nodes:
            _add(terms, (pole, 0), block.into[:, mode, block.nodes.index(entry)])
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
                _add(drive, key, rate * coefficient)


def _weighted(pairs) -> Terms:
    """Return the weighted sum of several sets of terms."""
    total: Terms = {}
    for weight, terms in pairs:
        for key, coefficient in terms.items():
            _add(total, key, weight * coefficient)
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
        total = total + coefficient[:, None] * _power(times, power) * np.exp(-poles[pole][:, None] * times)
    return total


def _power(times: Array | float, power: int) -> Array | float:
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
        error = np.finfo(float).eps * size / peak
    return np.where(np.isfinite(error), error, np.inf)


# --- response to a schedule --------------------------------------------------------------------


class Response(NamedTuple):
    """Values by output name, (P, T), and which patients were solved by matrix exponentials, (P,)."""

    values: dict[str, Array]
    by_exponential: NDArray[np.bool_]


def respond(
    system: LinearSystem,
    inputs: Sequence[Input],
    times_h: Array,
    outputs: Outputs,
    *,
    integrated: bool = False,
) -> Response:
    """Return the outputs at given times under any overlap of inputs, exactly.

    Parameters
    ----------
    system : LinearSystem
    inputs : sequence of Input
        In any order. At equal times an input counts as already given (values are right-continuous).
    times_h : array (T,)
        Ascending, arbitrary.
    outputs : {name: {node: weight}}
    integrated : bool
        Return the integrals of the outputs from the first input on, instead of their values.
    """
    times = np.asarray(times_h, float)
    terms = {name: _terms_by_input(system, inputs, weights, integrated) for name, weights in outputs.items()}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        failed = _needs_exponential(system, terms)
        values = {name: np.zeros((system.patient_count, len(times))) for name in outputs}
        if system.solvable and not failed.all():
            _Sweep(system, inputs, terms).run(times, values)
    if failed.any():
        from euthymia.engine.exponential import respond_by_exponential

        for patient in np.flatnonzero(failed):
            rows = respond_by_exponential(system, inputs, times, outputs, int(patient), integrated=integrated)
            for name, row in rows.items():
                values[name][patient] = row
    return Response(values=values, by_exponential=failed)


def _terms_by_input(
    system: LinearSystem,
    inputs: Sequence[Input],
    weights: Mapping[str, Array | float],
    integrated: bool,  # noqa: FBT001
) -> dict[str, Terms]:
    if not system.solvable:
        return {}
    by_node: dict[str, Terms] = {}
    for node in dict.fromkeys(item.node for item in inputs):
        terms = output_terms(system, node, weights)
        by_node[node] = _convolve(terms, system.zero_pole, system.poles) if integrated else terms
    return by_node


def _needs_exponential(system: LinearSystem, terms: Mapping[str, Mapping[str, Terms]]) -> NDArray[np.bool_]:
    """Return which patients lose too many digits in the modal solution, (P,)."""
    failed = np.full(system.patient_count, not system.solvable)
    for by_node in terms.values():
        for one in by_node.values():
            failed |= rounding_error(one, system.poles) > TOLERANCE
    return failed


class _Piece:
    """An input on its way: what has not yet been absorbed into the moments of the sweep."""

    def __init__(self, item: Input, patients: int) -> None:
        self.item = item
        self.start = np.broadcast_to(np.asarray(item.start_h + item.lag_h, float), (patients,))
        duration = np.broadcast_to(np.asarray(item.duration_h, float), (patients,))
        self.is_bolus = not np.any(duration > 0)
        self.end = self.start + duration
        self.pending = np.broadcast_to(np.asarray(item.amount, float), (patients,)).copy()
        self.rate = self.pending / np.where(duration > 0, duration, 1.0)
        self.boundaries = {float(item.start_h)}
        if np.ndim(item.lag_h) == 0:
            self.boundaries.add(float(item.start_h + item.lag_h))
            if np.ndim(item.duration_h) == 0:
                self.boundaries.add(float(item.start_h + item.lag_h + item.duration_h))

    def moments(self, rate: Array, times: Array, powers: int) -> list[Array]:
        """Return amount-weighted moments of this input against t^p/p! exp(-rate t), each (P, T)."""
        if self.is_bolus:
            since = times - self.start[:, None]
            given = np.where(since >= 0, self.pending[:, None], 0.0)
            since = np.maximum(since, 0.0)
            decay = given * np.exp(-rate[:, None] * since)
            return [decay * _power(since, power) for power in range(powers + 1)]
        elapsed = np.maximum(np.minimum(times, self.end[:, None]) - self.start[:, None], 0.0)
        after = np.maximum(times - self.end[:, None], 0.0)
        during = _input_moments(rate[:, None], elapsed, powers)
        decay = self.rate[:, None] * np.exp(-rate[:, None] * after)
        return [
            decay * sum((during[low] * _power(after, power - low) for low in range(power + 1)), np.zeros(1))
            for power in range(powers + 1)
        ]

    def absorb(self, time: float) -> None:
        """Forget what was given up to a time; the moments of the sweep carry it from there on."""
        if self.is_bolus:
            self.pending = np.where(self.start <= time, 0.0, self.pending)
        else:
            self.start = np.maximum(self.start, np.minimum(self.end, time))

    def is_done(self) -> bool:
        """Tell whether nothing is left to come."""
        return not np.any(self.pending) if self.is_bolus else bool(np.all(self.start >= self.end))


def _input_moments(rate: Array, elapsed: Array, powers: int) -> list[Array]:
    """Return the integrals of u^p/p! exp(-rate u) from 0 to the elapsed time, p = 0 ... powers."""
    product = rate * elapsed
    safe = np.where(product > 0, product, 1.0)
    fraction = np.where(product > 0, -np.expm1(-product) / safe, 1.0)
    results = [elapsed * fraction]
    if powers == 0:
        return results
    decay = np.exp(-product)
    small = product < _SERIES_BELOW
    base = np.where(small, product, 0.0)
    for power in range(1, powers + 1):
        series, term = np.full_like(product, 1.0 / (power + 1)), np.ones_like(product)
        for step in range(1, _SERIES_TERMS):
            term = term * (-base / step)
            series = series + term / (power + 1 + step)
        fraction = np.where(small, series, (power * fraction - decay) / safe)
        results.append(elapsed ** (power + 1) / factorial(power) * fraction)
    return results


class _Sweep:
    """One pass over a schedule: moments are carried from boundary to boundary, outputs read in between."""

    def __init__(
        self, system: LinearSystem, inputs: Sequence[Input], terms: Mapping[str, Mapping[str, Terms]]
    ) -> None:
        self.system = system
        self.pieces = [_Piece(item, system.patient_count) for item in inputs]
        self.steady = [item for item in inputs if item.steady_interval_h is not None]
        self.terms = terms
        powers: dict[str, dict[int, int]] = {}
        for by_node in terms.values():
            for node, one in by_node.items():
                table = powers.setdefault(node, {})
                for pole, power in one:
                    table[pole] = max(table.get(pole, 0), power)
        self.powers = powers
        shape = system.patient_count
        self.moments = {
            (node, pole): [np.zeros(shape) for _ in range(highest + 1)]
            for node, table in powers.items()
            for pole, highest in table.items()
        }

    def run(self, times: Array, values: Mapping[str, Array]) -> None:
        edges = {edge for piece in self.pieces for edge in piece.boundaries}
        edges |= {float(item.steady_from_h) for item in self.steady}
        boundaries = sorted(edge for edge in edges if len(times) and edge <= times[-1])
        previous: float | None = None
        for place, boundary in enumerate(boundaries):
            if previous is not None:
                self._advance(previous, boundary)
            self._start_steady(boundary)
            self._absorb(boundary)
            following = boundaries[place + 1] if place + 1 < len(boundaries) else np.inf
            low, high = np.searchsorted(times, [boundary, following])
            if high > low:
                self._read(times[low:high], boundary, {name: values[name][:, low:high] for name in values})
            previous = boundary

    def _advance(self, start: float, end: float) -> None:
        """Let the moments decay to the next boundary."""
        step = end - start
        for (_, pole), moments in self.moments.items():
            decay = np.exp(-self.system.poles[pole] * step)
            for power in range(len(moments) - 1, -1, -1):
                moments[power] = decay * sum(
                    (moments[low] * _power(step, power - low) for low in range(power + 1)),
                    np.zeros(1),
                )

    def _absorb(self, boundary: float) -> None:
        """Take what has been given up to a boundary into the moments."""
        now = np.array([[boundary]])
        for piece in self.pieces:
            node = piece.item.node
            if piece.item.start_h > boundary or node not in self.powers or piece.is_done():
                continue
            for pole, highest in self.powers[node].items():
                gained = piece.moments(self.system.poles[pole], now, highest)
                carried = self.moments[node, pole]
                for power in range(highest + 1):
                    carried[power] = carried[power] + gained[power][:, 0]
            piece.absorb(boundary)

    def _start_steady(self, boundary: float) -> None:
        """Add what an endless row of earlier, equal inputs has left at the start of a cycle."""
        for item in self.steady:
            if float(item.steady_from_h) != boundary or item.node not in self.powers:
                continue
            interval = float(item.steady_interval_h or 0.0)
            piece = _Piece(item, self.system.patient_count)
            since = np.array([[item.steady_from_h + interval]])
            for pole, highest in self.powers[item.node].items():
                rate = self.system.poles[pole]
                single = [moment[:, 0] for moment in piece.moments(rate, since, highest)]
                carried = self.moments[item.node, pole]
                for power, total in enumerate(_geometric(single, rate, interval)):
                    carried[power] = carried[power] + total

    def _read(self, times: Array, boundary: float, values: Mapping[str, Array]) -> None:
        """Write the outputs of one stretch between boundaries."""
        since = (times - boundary)[None, :]
        weights: dict[tuple[int, int], list[tuple[str, Array]]] = {}
        for name, by_node in self.terms.items():
            for key, weight in self._free(by_node).items():
                weights.setdefault(key, []).append((name, weight))
        waves: dict[int, Array] = {}
        term = np.empty((self.system.patient_count, len(times)))
        for (pole, power), users in weights.items():
            if pole not in waves:
                waves[pole] = np.exp(-self.system.poles[pole][:, None] * since)
            wave = waves[pole] if power == 0 else waves[pole] * _power(since, power)
            for name, weight in users:
                np.multiply(weight[:, None], wave, out=term)
                values[name][...] += term
        for piece in self.pieces:
            if piece.item.start_h <= times[-1] and piece.item.node in self.powers and not piece.is_done():
                self._read_forced(piece, times, values)

    def _free(self, by_node: Mapping[str, Terms]) -> Terms:
        """Return the terms of the free response from the moments carried to the last boundary."""
        free: Terms = {}
        for node, terms in by_node.items():
            for (pole, power), coefficient in terms.items():
                carried = self.moments[node, pole]
                for low in range(power + 1):
                    _add(free, (pole, power - low), coefficient * carried[low])
        return free

    def _read_forced(self, piece: _Piece, times: Array, values: Mapping[str, Array]) -> None:
        """Add what an input that is still going on has brought since the last boundary."""
        node = piece.item.node
        moments = {
            pole: piece.moments(self.system.poles[pole], times[None, :], highest)
            for pole, highest in self.powers[node].items()
        }
        term = np.empty((self.system.patient_count, len(times)))
        for name, by_node in self.terms.items():
            for (pole, power), coefficient in by_node.get(node, {}).items():
                np.multiply(coefficient[:, None], moments[pole][power], out=term)
                values[name][...] += term


def _geometric(single: Sequence[Array], rate: Array, interval: float) -> list[Array]:
    """Return sum_{k >= 0} of moments that have decayed for k more intervals.

    Solves (1 - Phi) M = m by forward substitution, Phi being the decay over one interval.
    """
    decay = np.exp(-rate * interval)
    denominator = -np.expm1(-rate * interval)
    totals: list[Array] = []
    for power, moment in enumerate(single):
        carried = sum((totals[low] * _power(interval, power - low) for low in range(power)), np.zeros(1))
        totals.append((moment + decay * carried) / denominator)
    return totals
