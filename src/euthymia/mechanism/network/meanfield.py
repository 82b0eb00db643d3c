"""The dynamic mean field: the excitation-inhibition node of the circuit at every parcel, coupled by fibres.

    I_E,i = W_E I0 + (1 - x) J_N (w S_E,i + G sum_j C_ij S_E,j) - J_i S_I,i
    I_I,i = W_I I0 + (1 - y) J_N S_E,i - v S_I,i

Rates and gating are those of :mod:`euthymia.mechanism.circuit.steady`; x and y are the effective blocks of
pyramidal cells and interneurons. Feedback inhibition J_i holds every drug-free node at its target rate; all
nodes then have the same state, so that it follows in closed form. Time is in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import RunFailedError, invalid
from euthymia.mechanism.circuit import steady
from euthymia.mechanism.network import balloon

Array = NDArray[np.float64]
Normals = Callable[[int, int], Array]
"""(first step, steps) -> standard normal numbers (steps, 2, N) for S_E and S_I."""

SETTLED = 1e-12
_ROUNDS = 400
_FIRST_MS, _GROWTH = 5.0, 1.5


class Field(NamedTuple):
    """Nodes, what couples them, C times G (N, N), and their feedback inhibition (N,) in nA."""

    node: steady.Parameters
    coupling: Array
    inhibition_nA: Array


class Block(NamedTuple):
    """Effective block of pyramidal cells and of interneurons, 0 to 1."""

    pyramidal: float = 0.0
    interneuron: float = 0.0


class State(NamedTuple):
    """Gating (2, N): S_E, S_I; how fast it changes, per ms, and the Jacobian (2N, 2N) of that."""

    gating: Array
    flow_per_ms: Array
    drift_per_ms: Array


class Scan(NamedTuple):
    """BOLD signal (T, R, N) and when it was sampled, s."""

    times_s: Array
    bold: Array


def balanced(node: steady.Parameters, coupling: Array) -> Field:
    """Return a field whose feedback inhibition holds every drug-free node at its target rate.

    J_i = (W_E I0 + J_N S_E (w + G sum_j C_ij) - I_E) / S_I, with the state of the node alone.
    """
    rest = _rest(node)
    alone_nA = steady.feedback_inhibition_nA(node)
    extra_nA = node.nmda_current_nA * rest[0] * coupling.sum(axis=1)
    return Field(node, coupling, alone_nA + extra_nA / rest[1])


def flow(gating: Array, field: Field, block: Block) -> Array:
    """Return the change of gating (..., 2, N) per ms."""
    pyramidal, interneuron = _rates(gating, field, block)
    s_e, s_i = gating[..., 0, :], gating[..., 1, :]
    p = field.node
    return np.stack(
        [
            p.opening_ratio * (1.0 - s_e) * pyramidal.rate_Hz / steady.MS_PER_S - s_e / p.pyramidal_decay_ms,
            interneuron.rate_Hz / steady.MS_PER_S - s_i / p.interneuron_decay_ms,
        ],
        axis=-2,
    )


def drift(gating: Array, field: Field, block: Block) -> Array:
    """Return the Jacobian (2N, 2N) of the flow at a state (2, N), per ms."""
    pyramidal, interneuron = _rates(gating, field, block)
    p, s_e = field.node, gating[0]
    count = len(s_e)
    identity = np.eye(count)
    excited = p.opening_ratio * (1.0 - s_e) * pyramidal.slope_Hz_per_nA / steady.MS_PER_S
    inhibited = interneuron.slope_Hz_per_nA / steady.MS_PER_S
    current_nA = p.nmda_current_nA * (1.0 - block.pyramidal) * (p.recurrent_ratio * identity + field.coupling)
    leak = 1.0 / p.pyramidal_decay_ms + p.opening_ratio * pyramidal.rate_Hz / steady.MS_PER_S
    return np.block(
        [
            [excited[:, None] * current_nA - np.diag(leak), np.diag(-excited * field.inhibition_nA)],
            [
                np.diag(inhibited * p.nmda_current_nA * (1.0 - block.interneuron)),
                np.diag(-1.0 / p.interneuron_decay_ms - inhibited * p.interneuron_inhibition_nA),
            ],
        ]
    )


def settle(field: Field, block: Block) -> State:
    """Return the steady state that the drug-free network reaches after the block is set.

    Implicit steps that grow: they follow the flow at first and end as Newton steps.

    Raises
    ------
    RunFailedError
        Where none is reached.
    """
    gating = np.repeat(_rest(field.node)[:, None], len(field.coupling), axis=1)
    step_ms = _FIRST_MS
    for _ in range(_ROUNDS):
        change, matrix = flow(gating, field, block), drift(gating, field, block)
        if np.abs(change).max() <= SETTLED:
            return State(gating, change, matrix)
        ahead = np.linalg.solve(np.eye(len(matrix)) / step_ms - matrix, change.ravel())
        gating = gating + ahead.reshape(gating.shape)
        step_ms *= _GROWTH
    message = "The mean field did not settle. A coupling far above the published one is the usual cause."
    raise RunFailedError(message)


def pyramidal_rates_Hz(gating: Array, field: Field, block: Block) -> Array:
    """Return the rates of pyramidal cells (..., N) in a state."""
    return _rates(gating, field, block)[0].rate_Hz


def scan(
    field: Field,
    blocks: tuple[Block, ...],
    vessels: balloon.Parameters,
    *,
    normals: Normals,
    noise_sd: float,
    duration_s: float,
    discarded_s: float,
    repetition_s: float,
    step_ms: float,
) -> Scan:
    """Return the BOLD signal of noisy networks, one for each block, all with the same noise.

    Parameters
    ----------
    field : Field
    blocks : tuple of Block (R,)
    vessels : balloon.Parameters
        Driven by S_E, averaged over ``balloon.STEP_MS``.
    normals : callable
        Of the steps, so that nothing here is random.
    noise_sd : float
        Of S_E and S_I, per square root of a millisecond.
    duration_s, discarded_s, repetition_s : float
        How long is sampled, what is thrown away before, and the time between samples.
    step_ms : float
        Of Euler's method; ``balloon.STEP_MS`` is a whole number of these.

    Returns
    -------
    Scan
    """
    inner = round(balloon.STEP_MS / step_ms)
    if inner < 1 or abs(inner * step_ms - balloon.STEP_MS) > 1e-9:
        raise invalid("step_ms", must=f"a whole part of {balloon.STEP_MS:g} ms", got=f"{step_ms:g}")
    each = round(repetition_s * steady.MS_PER_S / balloon.STEP_MS)
    first = round(discarded_s * steady.MS_PER_S / balloon.STEP_MS)
    outer = first + round(duration_s * steady.MS_PER_S / balloon.STEP_MS)
    drive = _Blocks.of(blocks)
    gating = np.stack([settle(field, block).gating for block in blocks])
    blood = balloon.at_rest(gating[:, 0], vessels)
    kept, times = [], []
    for step in range(outer):
        kicks = noise_sd * np.sqrt(step_ms) * normals(step * inner, inner)
        mean = np.zeros_like(gating[:, 0])
        for kick in kicks:
            gating = _in_range(gating + step_ms * flow(gating, field, drive) + kick)  # type: ignore[arg-type]
            mean += gating[:, 0] / inner
        blood = balloon.advance(blood, mean, vessels)
        if step >= first and (step - first) % each == each - 1:
            kept.append(balloon.signal(blood, vessels))
            times.append((step - first + 1) * balloon.STEP_MS / steady.MS_PER_S)
    return Scan(np.array(times), np.array(kept))


class _Blocks(NamedTuple):
    """Blocks of several networks as columns (R, 1), in the place of one ``Block``."""

    pyramidal: Array
    interneuron: Array

    @classmethod
    def of(cls, blocks: tuple[Block, ...]) -> _Blocks:
        columns = np.array(blocks, float)
        return cls(columns[:, :1], columns[:, 1:])


def _rates(gating: Array, field: Field, block: Block) -> tuple[steady.Rate, steady.Rate]:
    p = field.node
    s_e, s_i = gating[..., 0, :], gating[..., 1, :]
    nmda_nA = p.nmda_current_nA * (1.0 - block.pyramidal) * (p.recurrent_ratio * s_e + s_e @ field.coupling.T)
    pyramidal_nA = p.pyramidal_drive_ratio * p.external_current_nA + nmda_nA - field.inhibition_nA * s_i
    interneuron_nA = (
        p.interneuron_drive_ratio * p.external_current_nA
        + p.nmda_current_nA * (1.0 - block.interneuron) * s_e
        - p.interneuron_inhibition_nA * s_i
    )
    return steady.pyramidal_rate(pyramidal_nA, p), steady.interneuron_rate(interneuron_nA, p)


def _rest(node: steady.Parameters) -> Array:
    """Return S_E and S_I of a drug-free node, (2,)."""
    rest = steady.steady(0.0, 0.0, node)
    return np.array([float(rest.s_e), float(rest.s_i)])


def _in_range(gating: Array) -> Array:
    return np.stack([np.clip(gating[..., 0, :], 0.0, 1.0), np.maximum(gating[..., 1, :], 0.0)], axis=-2)
