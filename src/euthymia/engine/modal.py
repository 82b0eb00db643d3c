"""A linear system's response as numbers that a compiled march can carry from step to step.

Each input node and pole has a mode, and one more for each power of time; outputs are weighted sums of modes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.linear import Array, Input, Responder
from euthymia.engine.modes import rounding_error

ACCEPTED_ERROR = 1e-7
"""Largest estimate of the relative rounding error of a response that is carried as modes."""


class Mode(NamedTuple):
    """What one input node leaves in one pole: t^power / power! exp(-rate t)."""

    node: str
    pole: int
    power: int


class Modes(NamedTuple):
    """Arrays of a response.

    Parameters
    ----------
    modes : list of Mode
        Those of one node and pole side by side, by ascending power.
    rates : array (poles, P)
        Of the poles that are used; ``Mode.pole`` counts these.
    terms : list of (output, mode)
    weights : array (terms, P)
    outputs : list of str
    """

    modes: list[Mode]
    rates: Array
    terms: list[tuple[int, int]]
    weights: Array
    outputs: list[str]


def modes_of(responder: Responder, outputs: Sequence[str]) -> Modes:
    """Return the modes behind some outputs of a response."""
    highest: dict[tuple[str, int], int] = {}
    for name in outputs:
        for node, terms in responder.terms[name].items():
            for pole, power in terms:
                highest[node, pole] = max(highest.get((node, pole), 0), power)
    nodes = list(dict.fromkeys(node for node, _ in highest))
    used = sorted({pole for _, pole in highest})
    modes = [
        Mode(node, used.index(pole), power)
        for node in nodes
        for pole in used
        if (node, pole) in highest
        for power in range(highest[node, pole] + 1)
    ]
    place = {mode: at for at, mode in enumerate(modes)}
    terms, weights = [], []
    for at, name in enumerate(outputs):
        for node, own in responder.terms[name].items():
            for (pole, power), weight in own.items():
                terms.append((at, place[Mode(node, used.index(pole), power)]))
                weights.append(np.broadcast_to(weight, (responder.system.patient_count,)))
    count = responder.system.patient_count
    return Modes(
        modes=modes,
        rates=_stacked([responder.system.poles[pole] for pole in used], count),
        terms=terms,
        weights=_stacked(weights, count),
        outputs=list(outputs),
    )


def with_slopes(modes: Modes, of: Sequence[int]) -> Modes:
    """Return modes with more outputs: the slopes of some, but for what flows in meanwhile.

    A mode t^p / p! exp(-rate t) changes by -rate times itself and by the mode of the power below. What flows
    into a node adds to the slope by the weights of the output's own terms of power 0.
    """
    terms, weights = list(modes.terms), list(modes.weights)
    for at, output in enumerate(of):
        by_mode: dict[int, Array] = {}
        for (own, mode), weight in zip(modes.terms, modes.weights, strict=True):
            if own != output:
                continue
            by_mode[mode] = by_mode.get(mode, 0.0) - weight * modes.rates[modes.modes[mode].pole]
            if modes.modes[mode].power:
                by_mode[mode - 1] = by_mode.get(mode - 1, 0.0) + weight
        terms += [(len(modes.outputs) + at, mode) for mode in by_mode]
        weights += by_mode.values()
    return modes._replace(
        terms=terms,
        weights=_stacked(weights, modes.rates.shape[1]),
        outputs=[*modes.outputs, *(f"slope of {modes.outputs[output]}" for output in of)],
    )


def _stacked(rows: Sequence[Array], count: int) -> Array:
    return np.ascontiguousarray(np.stack(rows), float) if rows else np.zeros((0, count))


def loses_digits(responder: Responder) -> NDArray[np.bool_]:
    """Return whose response loses too many digits as modes, or has none, (P,)."""
    system = responder.system
    has_steady = any(item.steady_interval_h is not None for item in responder.inputs)
    lost = np.full(system.patient_count, has_steady or not system.solvable)
    with np.errstate(all="ignore"):
        for by_node in responder.terms.values():
            for terms in by_node.values():
                lost |= rounding_error(terms, system.poles) > ACCEPTED_ERROR
    return lost


def span_of(item: Input) -> tuple[Array, Array]:
    """Return start and length of an input, each (P,) or ()."""
    return np.asarray(item.start_h + item.lag_h, float), np.asarray(item.duration_h, float)


def nodes_reached(modes: Modes) -> Mapping[str, slice]:
    """Return which modes each input node feeds."""
    found: dict[str, slice] = {}
    for at, mode in enumerate(modes.modes):
        start = found[mode.node].start if mode.node in found else at
        found[mode.node] = slice(start, at + 1)
    return found
