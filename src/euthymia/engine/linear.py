"""Exact response of a linear compartment system to a schedule of inputs.

Boluses, infusions, lags, overlap and steady state only need the moments of each input against the terms of
the impulse response (:mod:`euthymia.engine.modes`), which are closed forms.

Where two rates of one patient nearly meet, the coefficients cancel; the loss is estimated for every patient
and output, and what would lose more than ``TOLERANCE`` is solved again in extended precision, and where that
is not enough by matrix exponentials (slower, same answer).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from math import factorial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.modes import (
    Array,
    Flow,
    LinearSystem,
    Terms,
    add_term,
    assemble,
    convolve,
    evaluate,
    impulse_response,
    integral_to_infinity,
    output_terms,
    power_of,
    rounding_error,
    terminal_rate,
)

__all__ = [
    "TOLERANCE",
    "Array",
    "Flow",
    "Input",
    "LinearSystem",
    "Outputs",
    "Responder",
    "Response",
    "Terms",
    "assemble",
    "evaluate",
    "impulse_response",
    "integral_to_infinity",
    "output_terms",
    "respond",
    "rounding_error",
    "terminal_rate",
]

TOLERANCE = 1e-12
"""Largest accepted estimate of the relative rounding error of the modal solution."""
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
    values, lost = _by_modes(system, inputs, times, outputs, integrated=integrated)
    anywhere = _any_of(lost, system.patient_count)
    if anywhere.any() and system.solvable:
        # the same closed forms in extended precision bear gaps that are far smaller
        fewer = system.take(anywhere, np.longdouble)
        some, still = _by_modes(
            fewer,
            [taken(item, anywhere) for item in inputs],
            times,
            {
                name: {node: _of_some(weight, anywhere) for node, weight in weights.items()}
                for name, weights in outputs.items()
            },
            integrated=integrated,
        )
        for name, mask in lost.items():
            values[name][mask] = some[name][mask[anywhere]]
            mask[anywhere] &= still[name]
    _by_exponential(system, inputs, times, outputs, lost, values, integrated=integrated)
    return Response(values=values, by_exponential=_any_of(lost, system.patient_count))


class Responder:
    """The exact response to a schedule, asked for block by block: what is past is not gone through again.

    Parameters
    ----------
    system, inputs, outputs
        As for :func:`respond`, whose values these are.
    """

    def __init__(self, system: LinearSystem, inputs: Sequence[Input], outputs: Outputs) -> None:
        self.system, self.inputs, self.outputs = system, inputs, outputs
        self.terms = {name: _terms_by_input(system, inputs, one, False) for name, one in outputs.items()}
        self.reached_h = np.inf

    @cached_property
    def lost(self) -> dict[str, NDArray[np.bool_]]:
        """Who loses too many digits of each output in the modal solution, (P,)."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return {name: _loses_digits(self.system, one) for name, one in self.terms.items()}

    @cached_property
    def anywhere(self) -> NDArray[np.bool_]:
        """Who does so of any output, (P,)."""
        return _any_of(self.lost, self.system.patient_count)

    @cached_property
    def finer(self) -> Responder | None:
        """The same in extended precision for those."""
        return self._finer() if self.anywhere.any() else None

    def _finer(self) -> Responder | None:
        """Return the patients who lose digits in extended precision; None where they are in it already."""
        chosen, dtype = self.anywhere, self.system.poles[0].dtype
        if not self.system.solvable or dtype == np.longdouble:
            return None
        return self.take(chosen, np.longdouble)

    def take(self, chosen: NDArray[np.bool_], dtype: Any = np.float64) -> Responder:
        """Return the response of some of the patients, (P,) of bool, in another precision."""
        return Responder(
            self.system.take(chosen, dtype),
            [taken(item, chosen) for item in self.inputs],
            {
                name: {node: _of_some(weight, chosen) for node, weight in weights.items()}
                for name, weights in self.outputs.items()
            },
        )

    def with_inputs(self, inputs: Sequence[Input]) -> Responder:
        """Return the response to the same inputs in other amounts, of those from the latest times on.

        It goes on where this one is.
        """
        found = copy(self)
        found.inputs = inputs
        if "finer" in found.__dict__ and self.finer is not None:
            found.finer = self.finer.with_inputs([taken(item, self.anywhere) for item in inputs])
        if np.isfinite(self.reached_h):
            found.sweep, found.reached_h = self.before.with_inputs(self.inputs, inputs), self.before_h
        return found

    def __call__(self, times_h: Array) -> dict[str, Array]:
        """Return values by output, (P, T), at ascending times."""
        times = np.asarray(times_h, float)
        if times[0] < self.reached_h:
            self.sweep = _Sweep(self.system, self.inputs, self.terms, is_integrated=False)
        # amounts may change from the end of these times on, which is gone past here
        self.before, self.before_h = self.sweep.copy(), float(times[0])
        self.reached_h = float(times[-1])
        dtype = self.system.poles[0].dtype
        values = {name: np.zeros((self.system.patient_count, len(times)), dtype) for name in self.outputs}
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self.sweep.run(times, values)
        if self.anywhere.any() and self.finer is None:
            given = (self.system, self.inputs, times, self.outputs)
            _by_exponential(*given, self.lost, values, integrated=False)
        if self.finer is not None:
            some = self.finer(times)
            for name, mask in self.lost.items():
                values[name][mask] = some[name][mask[self.anywhere]]
        return values


def _by_modes(
    system: LinearSystem, inputs: Sequence[Input], times: Array, outputs: Outputs, *, integrated: bool
) -> tuple[dict[str, Array], dict[str, NDArray[np.bool_]]]:
    """Return values by output, and which patients lose too many digits of it, in the system's precision."""
    dtype = system.poles[0].dtype
    terms = {name: _terms_by_input(system, inputs, outputs[name], integrated) for name in outputs}
    values = {name: np.zeros((system.patient_count, len(times)), dtype) for name in outputs}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        lost = {name: _loses_digits(system, terms[name]) for name in outputs}
        if system.solvable and not all(mask.all() for mask in lost.values()):
            _Sweep(system, inputs, terms, is_integrated=integrated).run(times, values)
    return values, lost


def _any_of(masks: Mapping[str, NDArray[np.bool_]], count: int) -> NDArray[np.bool_]:
    anywhere = np.zeros(count, dtype=bool)
    for mask in masks.values():
        anywhere |= mask
    return anywhere


def taken(item: Input, chosen: NDArray[np.bool_]) -> Input:
    """Return an input of some of the patients."""
    return item._replace(
        amount=_of_some(np.broadcast_to(item.amount, chosen.shape), chosen),
        duration_h=_of_some(item.duration_h, chosen),
        lag_h=_of_some(item.lag_h, chosen),
    )


def _of_some(value: Array | float, chosen: NDArray[np.bool_]) -> Any:
    """Return the values of some patients; what is shared stays shared."""
    return value if np.ndim(value) == 0 else np.asarray(value)[chosen]


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
        by_node[node] = convolve(terms, system.zero_pole, system.poles) if integrated else terms
    return by_node


def _loses_digits(system: LinearSystem, by_node: Mapping[str, Terms]) -> NDArray[np.bool_]:
    """Return which patients lose too many digits of one output in the modal solution, (P,)."""
    failed = np.full(system.patient_count, not system.solvable)
    for one in by_node.values():
        failed |= rounding_error(one, system.poles) > TOLERANCE
    return failed


def _by_exponential(
    system: LinearSystem,
    inputs: Sequence[Input],
    times: Array,
    outputs: Outputs,
    lost: Mapping[str, NDArray[np.bool_]],
    values: Mapping[str, Array],
    *,
    integrated: bool,
) -> None:
    """Solve the patients that lost digits by matrix exponentials, in place, all their outputs at once."""
    for patient in np.flatnonzero(_any_of(lost, system.patient_count)):
        from euthymia.engine.exponential import respond_by_exponential

        chosen = {name: outputs[name] for name, mask in lost.items() if mask[patient]}
        rows = respond_by_exponential(system, inputs, times, chosen, int(patient), integrated=integrated)
        for name, row in rows.items():
            values[name][patient] = row


class _Piece:
    """An input on its way: what has not yet been absorbed into the moments of the sweep."""

    def __init__(self, item: Input, patients: int, *, earlier_h: Any = 0.0) -> None:
        self.item = item
        self.opens_h = float(item.start_h - np.max(earlier_h))
        self.start = np.broadcast_to(np.asarray(item.start_h + item.lag_h - earlier_h, float), (patients,))
        duration = np.broadcast_to(np.asarray(item.duration_h, float), (patients,))
        self.is_bolus = duration == 0
        self.end = self.start + duration
        self.pending = np.broadcast_to(np.asarray(item.amount, float), (patients,)).copy()
        self.rate = np.where(self.is_bolus, 0.0, self.pending / np.where(self.is_bolus, 1.0, duration))
        self.boundaries = {float(item.start_h)}
        if np.ndim(item.lag_h) == 0:
            self.boundaries.add(float(item.start_h + item.lag_h))
            if np.ndim(item.duration_h) == 0:
                self.boundaries.add(float(item.start_h + item.lag_h + item.duration_h))

    def moments(self, rate: Array, times: Array, powers: int) -> list[Array]:
        """Return amount-weighted moments of this input against t^p/p! exp(-rate t), each (P, T)."""
        if self.is_bolus.all():
            return self._of_bolus(rate, times, powers)
        if not self.is_bolus.any():
            return self._of_infusion(rate, times, powers)
        pairs = zip(self._of_bolus(rate, times, powers), self._of_infusion(rate, times, powers), strict=True)
        return [np.where(self.is_bolus[:, None], bolus, infusion) for bolus, infusion in pairs]

    def _of_bolus(self, rate: Array, times: Array, powers: int) -> list[Array]:
        since = times - self.start[:, None]
        given = np.where(since >= 0, self.pending[:, None], 0.0)
        since = np.maximum(since, 0.0)
        decay = given * np.exp(-rate[:, None] * since)
        return [decay * power_of(since, power) for power in range(powers + 1)]

    def _of_infusion(self, rate: Array, times: Array, powers: int) -> list[Array]:
        elapsed = np.maximum(np.minimum(times, self.end[:, None]) - self.start[:, None], 0.0)
        after = np.maximum(times - self.end[:, None], 0.0)
        during = _input_moments(rate[:, None], elapsed, powers)
        decay = self.rate[:, None] * np.exp(-rate[:, None] * after)
        return [
            decay * sum((during[low] * power_of(after, power - low) for low in range(power + 1)), np.zeros(1))
            for power in range(powers + 1)
        ]

    def absorb(self, time: float) -> None:
        """Forget what was given up to a time; the moments of the sweep carry it from there on."""
        self.pending = np.where(self.start <= time, 0.0, self.pending)
        self.start = np.where(self.is_bolus, self.start, np.maximum(self.start, np.minimum(self.end, time)))

    def is_done(self) -> bool:
        """Tell whether nothing is left to come."""
        return not np.any(np.where(self.is_bolus, self.pending != 0, self.start < self.end))


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
        self,
        system: LinearSystem,
        inputs: Sequence[Input],
        terms: Mapping[str, Mapping[str, Terms]],
        *,
        is_integrated: bool,
    ) -> None:
        self.system = system
        self.pieces = [_Piece(item, system.patient_count) for item in inputs]
        self.steady = [item for item in inputs if item.steady_interval_h is not None]
        self.terms = terms
        self.is_integrated = is_integrated
        self.powers = _highest_powers(terms)
        # an integral counts from the start of the sweep: what earlier cycles have brought is taken off
        self.offsets = {name: np.zeros(system.patient_count) for name in terms}
        edges = {edge for piece in self.pieces for edge in piece.boundaries}
        edges |= {float(item.steady_from_h) for item in self.steady}
        self.boundaries = [-np.inf, *sorted(edges), np.inf]
        self.place = 0
        self.moments = {
            (node, pole): [np.zeros(system.patient_count) for _ in range(highest + 1)]
            for node, table in self.powers.items()
            for pole, highest in table.items()
        }

    def copy(self) -> _Sweep:
        """Return a sweep that is as far as this one and goes on by itself."""
        found = copy(self)
        found.pieces = [copy(piece) for piece in self.pieces]
        found.moments = {key: list(moments) for key, moments in self.moments.items()}
        return found

    def with_inputs(self, before: Sequence[Input], inputs: Sequence[Input]) -> _Sweep:
        """Return a sweep that goes on with other amounts of what it has not reached yet."""
        now = {id(old): new for old, new in zip(before, inputs, strict=True)}
        found = self.copy()
        found.pieces = [
            _Piece(now[id(piece.item)], self.system.patient_count)
            if piece.opens_h > self.boundaries[self.place] and id(piece.item) in now
            else piece
            for piece in found.pieces
        ]
        return found

    def run(self, times: Array, values: Mapping[str, Array]) -> None:
        """Write the outputs at ascending times, none before those of an earlier call."""
        while True:
            boundary, following = self.boundaries[self.place : self.place + 2]
            low, high = np.searchsorted(times, [boundary, following])
            if high > low and self.place:
                self._read(times[low:high], boundary, {name: values[name][:, low:high] for name in values})
            if high == len(times):
                return
            if self.place:
                self._advance(boundary, following)
            self._start_steady(following)
            self._absorb(following)
            self.place += 1

    def _advance(self, start: float, end: float) -> None:
        """Let the moments decay to the next boundary."""
        step = end - start
        for (_, pole), moments in self.moments.items():
            decay = np.exp(-self.system.poles[pole] * step)
            for power in range(len(moments) - 1, -1, -1):
                moments[power] = decay * sum(
                    (moments[low] * power_of(step, power - low) for low in range(power + 1)),
                    np.zeros(1),
                )

    def _absorb(self, boundary: float) -> None:
        """Take what has been given up to a boundary into the moments."""
        now = np.array([[boundary]])
        for piece in self.pieces:
            node = piece.item.node
            if piece.opens_h > boundary or node not in self.powers or piece.is_done():
                continue
            for pole, highest in self.powers[node].items():
                gained = piece.moments(self.system.poles[pole], now, highest)
                carried = self.moments[node, pole]
                for power in range(highest + 1):
                    carried[power] = carried[power] + gained[power][:, 0]
            piece.absorb(boundary)
        self.pieces = [one for one in self.pieces if one.opens_h > boundary or not one.is_done()]

    def _start_steady(self, boundary: float) -> None:
        """Add what an endless row of earlier, equal inputs has left at the start of a cycle.

        Cycles that are complete sum up as a geometric row; the latest ones, where an input takes longer
        than its interval, are still going on and stay as pieces.
        """
        for item in self.steady:
            if float(item.steady_from_h) != boundary or item.node not in self.powers:
                continue
            incomplete = _incomplete_cycles(item, self.system.patient_count)
            for cycle in range(1, int(incomplete.max(initial=0)) + 1):
                piece = self._earlier(
                    item, float(cycle) * (item.steady_interval_h or 0.0), cycle <= incomplete
                )
                self._add_earlier(piece, item, boundary)
                piece.absorb(boundary)
                self.pieces.append(piece)
            self._add_earlier(
                self._earlier(item, (incomplete + 1.0) * (item.steady_interval_h or 0.0), np.True_),
                item,
                boundary,
                interval=item.steady_interval_h,
            )

    def _earlier(self, item: Input, earlier_h: Any, is_given: NDArray[np.bool_] | np.bool_) -> _Piece:
        """Return the same input of an earlier cycle, for the patients that it is meant for."""
        amount = np.where(is_given, item.amount, 0.0)
        return _Piece(item._replace(amount=amount), self.system.patient_count, earlier_h=earlier_h)

    def _add_earlier(
        self, piece: _Piece, item: Input, boundary: float, *, interval: float | None = None
    ) -> None:
        """Add the moments of earlier input at a boundary; with an interval, of all cycles before it too."""
        now = np.array([[boundary]])
        gained: dict[int, list[Array]] = {}
        for pole, highest in self.powers[item.node].items():
            rate = self.system.poles[pole]
            single = [moment[:, 0] for moment in piece.moments(rate, now, highest)]
            if interval is not None and pole == self.system.zero_pole:
                # without end where amounts only collect; an integral needs none of it, see the offsets
                single = [np.full_like(moment, 0.0 if self.is_integrated else np.nan) for moment in single]
            elif interval is not None:
                single = _geometric(single, rate, interval)
            gained[pole] = single
            carried = self.moments[item.node, pole]
            for power, moment in enumerate(single):
                carried[power] = carried[power] + moment
        if self.is_integrated:
            for name, by_node in self.terms.items():
                for (pole, power), coefficient in by_node.get(item.node, {}).items():
                    self.offsets[name] = self.offsets[name] - coefficient * gained[pole][power]

    def _read(self, times: Array, boundary: float, values: Mapping[str, Array]) -> None:
        """Write the outputs of one stretch between boundaries.

        Terms are added in the order of their poles, so that asking for fewer outputs moves no byte.
        """
        since = (times - boundary)[None, :]
        weights: dict[tuple[int, int], list[tuple[str, Array]]] = {}
        for name, by_node in self.terms.items():
            for key, weight in self._free(by_node).items():
                weights.setdefault(key, []).append((name, weight))
        waves: dict[int, Array] = {}
        term = np.empty((self.system.patient_count, len(times)), self.system.poles[0].dtype)
        for (pole, power), users in sorted(weights.items(), key=lambda one: one[0]):
            if pole not in waves:
                waves = {pole: np.exp(-self.system.poles[pole][:, None] * since)}
            wave = waves[pole] if power == 0 else waves[pole] * power_of(since, power)
            for name, weight in users:
                np.multiply(weight[:, None], wave, out=term)
                values[name][...] += term
        for piece in self.pieces:
            if piece.opens_h <= times[-1] and piece.item.node in self.powers and not piece.is_done():
                self._read_forced(piece, times, values)
        if self.is_integrated and self.steady:
            for name, offset in self.offsets.items():
                values[name][...] += offset[:, None]

    def _free(self, by_node: Mapping[str, Terms]) -> Terms:
        """Return the terms of the free response from the moments carried to the last boundary."""
        free: Terms = {}
        for node, terms in by_node.items():
            for (pole, power), coefficient in terms.items():
                carried = self.moments[node, pole]
                for low in range(power + 1):
                    add_term(free, (pole, power - low), coefficient * carried[low])
        return free

    def _read_forced(self, piece: _Piece, times: Array, values: Mapping[str, Array]) -> None:
        """Add what an input that is still going on has brought since the last boundary."""
        node = piece.item.node
        moments = {
            pole: piece.moments(self.system.poles[pole], times[None, :], highest)
            for pole, highest in self.powers[node].items()
        }
        term = np.empty((self.system.patient_count, len(times)), self.system.poles[0].dtype)
        for name, by_node in self.terms.items():
            for (pole, power), coefficient in by_node.get(node, {}).items():
                np.multiply(coefficient[:, None], moments[pole][power], out=term)
                values[name][...] += term


def _highest_powers(terms: Mapping[str, Mapping[str, Terms]]) -> dict[str, dict[int, int]]:
    """Return {input node: {pole: highest power of t}} over all outputs."""
    powers: dict[str, dict[int, int]] = {}
    for by_node in terms.values():
        for node, one in by_node.items():
            table = powers.setdefault(node, {})
            for pole, power in one:
                table[pole] = max(table.get(pole, 0), power)
    return powers


def _incomplete_cycles(item: Input, patients: int) -> NDArray[np.int64]:
    """Return how many earlier inputs are not complete at the start of the cycle, (P,)."""
    takes_h = item.start_h - item.steady_from_h + item.lag_h + item.duration_h
    cycles = np.ceil(np.asarray(takes_h, float) / (item.steady_interval_h or np.inf) - 1e-12) - 1.0
    return np.broadcast_to(np.maximum(cycles, 0.0).astype(np.int64), (patients,))


def _geometric(single: Sequence[Array], rate: Array, interval: float) -> list[Array]:
    """Return sum_{k >= 0} of moments that have decayed for k more intervals.

    Solves (1 - Phi) M = m by forward substitution, Phi being the decay over one interval.
    """
    decay = np.exp(-rate * interval)
    denominator = -np.expm1(-rate * interval)
    totals: list[Array] = []
    for power, moment in enumerate(single):
        carried = sum((totals[low] * power_of(interval, power - low) for low in range(power)), np.zeros(1))
        totals.append((moment + decay * carried) / denominator)
    return totals
