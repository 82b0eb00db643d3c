"""Where an excitation-inhibition node settles while part of its NMDA currents is blocked.

The node of Deco 2014, one region without long-range input. x and y are effective blocks: the share of an NMDA
current that ketamine can block times the blocked fraction, of pyramidal cells (x) and interneurons (y).

    I_E = W_E I0 + w J_N (1 - x) S_E - G J S_I          r_E = H(I_E; a_E, b_E, d_E)
    I_I = W_I I0 +   J_N (1 - y) S_E - v S_I            r_I = H(I_I; a_I, b_I, d_I)
    dS_E/dt = -S_E/tau_E + gamma (1 - S_E) r_E          dS_I/dt = -S_I/tau_I + r_I
    H(I; a, b, d) = (a I - b) / (1 - exp(-d (a I - b)))

Time is in milliseconds, rates in Hz, currents in nA. G is the gain of GABA-A receptors, 1 without a drug that
acts on them. J is what keeps the drug-free pyramidal rate at its target.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import RunFailedError, invalid

Array = NDArray[np.float64]

RESIDUAL = 1e-12
"""Largest accepted residual of the equation that S_E solves."""
MS_PER_S = 1000.0
_ROUNDS = 100
_COARSE_BLOCKS, _COARSE_STATES = 26, 400
_SETTLED = 4.0 * np.finfo(float).eps
_SERIES_BELOW = 0.05  # the first term left out of the series is below 1e-14


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """Constants of the node; the shares of NMDA current that can be blocked come with the blocks.

    ``*_slope``, ``*_threshold`` and ``*_curvature`` are a, b and d of H; ``opening_ratio`` is gamma,
    ``recurrent_ratio`` w, ``*_drive_ratio`` W, ``interneuron_inhibition_nA`` v and ``resting_rate_Hz`` the
    drug-free rate of pyramidal cells, from which J follows.
    """

    external_current_nA: float
    pyramidal_drive_ratio: float
    interneuron_drive_ratio: float
    recurrent_ratio: float
    nmda_current_nA: float
    interneuron_inhibition_nA: float
    pyramidal_slope_Hz_per_nA: float
    pyramidal_threshold_Hz: float
    pyramidal_curvature_ms: float
    interneuron_slope_Hz_per_nA: float
    interneuron_threshold_Hz: float
    interneuron_curvature_ms: float
    pyramidal_decay_ms: float
    interneuron_decay_ms: float
    opening_ratio: float
    resting_rate_Hz: float


class Steady(NamedTuple):
    """A steady state: rates of both populations in Hz and both gating variables, all of one shape."""

    pyramidal_rate_Hz: Array
    interneuron_rate_Hz: Array
    s_e: Array
    s_i: Array


class Currents(NamedTuple):
    """Input currents of both populations, nA."""

    pyramidal_nA: Array
    interneuron_nA: Array


class Rate(NamedTuple):
    """A rate in Hz and its slope against the input current, Hz per nA."""

    rate_Hz: Array
    slope_Hz_per_nA: Array


class Inputs(NamedTuple):
    """What a drug sets: effective blocks, 0 to 1, and gain of GABA-A receptors; arrays of one shape."""

    pyramidal_block: Array
    interneuron_block: Array
    inhibition_gain: Array


# --- the equations -------------------------------------------------------------------------------


def currents(s_e: Array, s_i: Array, inputs: Inputs, parameters: Parameters) -> Currents:
    """Return the input currents of both populations in a state, nA."""
    p = parameters
    inhibition_nA = feedback_inhibition_nA(p) * inputs.inhibition_gain
    return Currents(
        pyramidal_nA=p.pyramidal_drive_ratio * p.external_current_nA
        + p.recurrent_ratio * p.nmda_current_nA * (1.0 - inputs.pyramidal_block) * s_e
        - inhibition_nA * s_i,
        interneuron_nA=_excitation_of_interneurons(s_e, inputs.interneuron_block, p)
        - p.interneuron_inhibition_nA * s_i,
    )


def pyramidal_rate(current_nA: Array, parameters: Parameters) -> Rate:
    """Return rate and slope of pyramidal cells at an input current."""
    p = parameters
    return _transfer(
        current_nA, p.pyramidal_slope_Hz_per_nA, p.pyramidal_threshold_Hz, p.pyramidal_curvature_ms
    )


def interneuron_rate(current_nA: Array, parameters: Parameters) -> Rate:
    """Return rate and slope of interneurons at an input current."""
    p = parameters
    return _transfer(
        current_nA, p.interneuron_slope_Hz_per_nA, p.interneuron_threshold_Hz, p.interneuron_curvature_ms
    )


def flow_per_ms(s_e: Array, s_i: Array, inputs: Inputs, parameters: Parameters) -> tuple[Array, Array]:
    """Return dS_E/dt and dS_I/dt, per millisecond."""
    p = parameters
    current = currents(s_e, s_i, inputs, p)
    r_e = pyramidal_rate(current.pyramidal_nA, p).rate_Hz / MS_PER_S
    r_i = interneuron_rate(current.interneuron_nA, p).rate_Hz / MS_PER_S
    return (
        p.opening_ratio * (1.0 - s_e) * r_e - s_e / p.pyramidal_decay_ms,
        r_i - s_i / p.interneuron_decay_ms,
    )


@lru_cache(maxsize=64)
def feedback_inhibition_nA(parameters: Parameters) -> float:
    """Return J, the weight of inhibition that holds the drug-free pyramidal rate at its target.

    J = (W_E I0 + w J_N S_E - I_E) / S_I,  with S_E, S_I and I_E those of the target rate.

    Raises
    ------
    InvalidInputError
        Where excitation is too weak for the rate, so that no inhibition would hold it.

    Notes
    -----
    Deco 2014 tunes J by iteration; for one node it follows in closed form but for the inverse of H.
    """
    p = parameters
    turnover = _opening_per_Hz(p) * p.resting_rate_Hz
    s_e = turnover / (1.0 + turnover)
    s_i, _ = _settle_inhibition(_excitation_of_interneurons(np.array(s_e), np.array(0.0), p), p)
    drive_nA = p.pyramidal_drive_ratio * p.external_current_nA + p.recurrent_ratio * p.nmda_current_nA * s_e
    weight_nA = (drive_nA - _current_at_rest(p)) / float(s_i)
    if not weight_nA > 0.0:
        must = "a rate that the node exceeds without inhibition"
        raise invalid("resting_rate_Hz", must=must, got=f"{p.resting_rate_Hz:g} Hz")
    return weight_nA


def read_inputs(
    effective_block_pyramidal: ArrayLike, effective_block_interneuron: ArrayLike, inhibition_gain: ArrayLike
) -> Inputs:
    """Check and broadcast what a drug sets.

    Raises
    ------
    InvalidInputError
        Where a block is not within 0 to 1, or a gain not positive.
    """
    given = Inputs(
        np.asarray(effective_block_pyramidal, float),
        np.asarray(effective_block_interneuron, float),
        np.asarray(inhibition_gain, float),
    )
    for name, block in (
        ("effective_block_pyramidal", given.pyramidal_block),
        ("effective_block_interneuron", given.interneuron_block),
    ):
        _require(name, block, (block >= 0.0) & (block <= 1.0), "a fraction from 0 to 1")
    gain_ = given.inhibition_gain
    _require("inhibition_gain", gain_, (gain_ > 0.0) & np.isfinite(gain_), "positive and finite")
    return Inputs(*np.broadcast_arrays(*given))


# --- the steady state ----------------------------------------------------------------------------


def steady(
    effective_block_pyramidal: ArrayLike,
    effective_block_interneuron: ArrayLike,
    parameters: Parameters,
    *,
    inhibition_gain: ArrayLike = 1.0,
) -> Steady:
    """Return the steady state of the node under NMDA block.

    S_I follows from S_E alone (its own feedback is negative, so there is one solution); what is left is one
    equation, solved by Newton steps inside a bracket that is halved where a step would leave it:

        F(S_E) = gamma tau_E (1 - S_E) r_E(S_E, S_I(S_E)) - S_E = 0,    F(0) > 0 > F(1)

    Parameters
    ----------
    effective_block_pyramidal, effective_block_interneuron : array (...)
        Share of NMDA current that can be blocked x fraction blocked, 0 to 1; they broadcast.
    parameters : Parameters
    inhibition_gain : array (...)
        Multiplies J; 1 is no drug at GABA-A receptors.

    Returns
    -------
    Steady
        Each array (...), solved element by element: no element knows which others are solved beside it.

    Raises
    ------
    InvalidInputError
        Where a block is not within 0 to 1.
    RunFailedError
        Where the residual stays above ``RESIDUAL``.

    Notes
    -----
    With the shipped constants F has one root everywhere on [0, 1]^2 (docs/science/circuit.md), so the state
    is the one that is reached from the drug-free node however block rises. With other constants, or
    ``inhibition_gain`` near 1.4, there may be three (:func:`count_states`); one of them is returned.

    References
    ----------
    Deco2014, the model of one node; extended here by the blocks and the gain.
    """
    inputs = read_inputs(effective_block_pyramidal, effective_block_interneuron, inhibition_gain)
    s_e, worst = _solve(inputs, parameters)
    if not worst <= RESIDUAL:
        message = f"The steady state of the circuit was not found: residual {worst:.1e} > {RESIDUAL:.0e}."
        raise RunFailedError(message)
    s_i, r_i = _settle_inhibition(
        _excitation_of_interneurons(s_e, inputs.interneuron_block, parameters), parameters
    )
    r_e = pyramidal_rate(currents(s_e, s_i, inputs, parameters).pyramidal_nA, parameters)
    return Steady(r_e.rate_Hz, r_i.rate_Hz, s_e, s_i)


def gain(
    effective_block_pyramidal: ArrayLike,
    effective_block_interneuron: ArrayLike,
    parameters: Parameters,
    *,
    inhibition_gain: ArrayLike = 1.0,
) -> Array:
    """Return Phi = r_E / r_E0, pyramidal rate relative to the drug-free node, array (...).

    Parameters are those of :func:`steady`; ``inhibition_gain`` does not move the drug-free rate.
    """
    state = steady(
        effective_block_pyramidal, effective_block_interneuron, parameters, inhibition_gain=inhibition_gain
    )
    return state.pyramidal_rate_Hz / parameters.resting_rate_Hz


def gain_samples(count: int, parameters: Parameters, *, inhibition_gain: float = 1.0) -> Array:
    """Return Phi on a uniform grid of effective blocks, from which a table is built.

    Returns
    -------
    samples : array (count, count)
        [i, j] at pyramidal block x_i and interneuron block y_j, both ``linspace(0, 1, count)``.

    Raises
    ------
    InvalidInputError
        Where ``count`` is below 2.
    RunFailedError
        Where some blocks leave two stable states (a fold): the gain would then depend on the past.
    """
    if count < 2:
        raise invalid("count", must="2 or more", got=count)
    if count_states(parameters, inhibition_gain=inhibition_gain) > 1:
        message = (
            "The circuit has more than one steady state for some blocks, so its gain is no function of them. "
            f"Inhibition gain {inhibition_gain:g}, recurrent_ratio {parameters.recurrent_ratio:g}."
        )
        raise RunFailedError(message)
    grid = np.linspace(0.0, 1.0, count)
    return gain(grid[:, None], grid[None, :], parameters, inhibition_gain=inhibition_gain)


def count_states(parameters: Parameters, *, inhibition_gain: float = 1.0) -> int:
    """Return the largest number of steady states that any pair of blocks leaves, by scanning S_E.

    Notes
    -----
    Sign changes of F on 400 values of S_E at 26 x 26 blocks; a pair of states closer than that is missed.
    """
    grid = np.linspace(0.0, 1.0, _COARSE_BLOCKS)
    inputs = read_inputs(grid[:, None, None], grid[None, :, None], inhibition_gain)
    s_e = np.linspace(0.0, 1.0, _COARSE_STATES) * np.ones_like(inputs.pyramidal_block)
    value, _ = _residual(s_e, inputs, parameters)
    return int(np.count_nonzero(np.diff(value > 0.0, axis=-1), axis=-1).max())


def residual_slope(
    s_e: ArrayLike,
    effective_block_pyramidal: ArrayLike,
    effective_block_interneuron: ArrayLike,
    parameters: Parameters,
    *,
    inhibition_gain: ArrayLike = 1.0,
) -> Array:
    """Return dF/dS_E; below 0 at a steady state that continues smoothly, 0 at a fold."""
    inputs = read_inputs(effective_block_pyramidal, effective_block_interneuron, inhibition_gain)
    return _residual(np.asarray(s_e, float), inputs, parameters)[1]


def _solve(inputs: Inputs, p: Parameters) -> tuple[Array, float]:
    """Return S_E and the largest residual left."""
    low, high = np.zeros(inputs.pyramidal_block.shape), np.ones(inputs.pyramidal_block.shape)
    s_e = np.full_like(low, _opening_per_Hz(p) * p.resting_rate_Hz)
    open_, value = np.ones(low.shape, bool), np.full_like(low, np.inf)
    for _ in range(_ROUNDS):
        value, slope = _residual(s_e, inputs, p)
        low, high = np.where(value > 0.0, s_e, low), np.where(value < 0.0, s_e, high)
        newton = s_e - value / np.where(slope < 0.0, slope, -1.0)
        is_inside = (newton > low) & (newton < high) & (slope < 0.0)
        following = np.where(is_inside, newton, 0.5 * (low + high))
        open_ = open_ & (value != 0.0) & (np.abs(following - s_e) > _SETTLED)
        if not open_.any():
            break
        s_e = np.where(open_, following, s_e)
    return s_e, float(np.max(np.abs(value), initial=0.0))


def _residual(s_e: Array, inputs: Inputs, p: Parameters) -> tuple[Array, Array]:
    """Return F and dF/dS_E, with S_I settled."""
    excitation_nA = _excitation_of_interneurons(s_e, inputs.interneuron_block, p)
    s_i, r_i = _settle_inhibition(excitation_nA, p)
    r_e = pyramidal_rate(currents(s_e, s_i, inputs, p).pyramidal_nA, p)
    # how far S_I follows S_E: its own feedback v damps it
    response = p.interneuron_decay_ms / MS_PER_S * r_i.slope_Hz_per_nA
    s_i_slope = (
        response
        / (1.0 + p.interneuron_inhibition_nA * response)
        * (p.nmda_current_nA * (1.0 - inputs.interneuron_block))
    )
    current_slope = (
        p.recurrent_ratio * p.nmda_current_nA * (1.0 - inputs.pyramidal_block)
        - feedback_inhibition_nA(p) * inputs.inhibition_gain * s_i_slope
    )
    opening = _opening_per_Hz(p)
    value = opening * (1.0 - s_e) * r_e.rate_Hz - s_e
    slope = opening * ((1.0 - s_e) * r_e.slope_Hz_per_nA * current_slope - r_e.rate_Hz) - 1.0
    return value, slope


def _settle_inhibition(excitation_nA: Array, p: Parameters) -> tuple[Array, Rate]:
    """Return S_I = tau_I r_I, and the rate, where interneurons settle at a given excitation.

    S_I - tau_I H(I - v S_I) rises with S_I and is concave, so Newton steps from 0 rise to the one root.
    """
    decay_s = p.interneuron_decay_ms / MS_PER_S
    s_i = np.zeros_like(excitation_nA)
    rate = interneuron_rate(excitation_nA, p)
    for _ in range(_ROUNDS):
        excess = s_i - decay_s * rate.rate_Hz
        step = excess / (1.0 + decay_s * p.interneuron_inhibition_nA * rate.slope_Hz_per_nA)
        is_open = np.abs(step) > _SETTLED
        if not is_open.any():
            break
        s_i = np.where(is_open, s_i - step, s_i)
        rate = interneuron_rate(excitation_nA - p.interneuron_inhibition_nA * s_i, p)
    return s_i, rate


def _excitation_of_interneurons(s_e: Array, interneuron_block: Array, p: Parameters) -> Array:
    """Return the input current of interneurons without their own inhibition, nA."""
    return (
        p.interneuron_drive_ratio * p.external_current_nA
        + p.nmda_current_nA * (1.0 - interneuron_block) * s_e
    )


def _opening_per_Hz(p: Parameters) -> float:
    """Return gamma tau_E, in seconds."""
    return p.opening_ratio * p.pyramidal_decay_ms / MS_PER_S


def _transfer(current_nA: Array, slope_Hz_per_nA: float, threshold_Hz: float, curvature_ms: float) -> Rate:
    """Return H and dH/dI at an input current."""
    curvature_s = curvature_ms / MS_PER_S
    value, slope = _bend(curvature_s * (slope_Hz_per_nA * current_nA - threshold_Hz))
    return Rate(value / curvature_s, slope * slope_Hz_per_nA)


def _bend(z: Array) -> tuple[Array, Array]:
    """Return z / (1 - exp(-z)) and its slope; smooth at 0, without overflow."""
    size = np.abs(z)
    near = size < _SERIES_BELOW
    safe = np.where(near, 1.0, size)
    above = safe / -np.expm1(-safe)
    far = np.where(z < 0.0, above * np.exp(-safe), above)
    signed = np.where(near, 1.0, z)
    # e^-z value = value - z, which turns the quotient rule into this
    far_slope = far * (1.0 + signed - far) / signed
    square = z * z
    value = 1.0 + z / 2.0 + square / 12.0 * (1.0 - square / 60.0 * (1.0 - square / 42.0))
    slope = 0.5 + z / 6.0 * (1.0 - square / 30.0 * (1.0 - square / 28.0))
    return np.where(near, value, far), np.where(near, slope, far_slope)


def _current_at_rest(p: Parameters) -> float:
    """Return the current at which pyramidal cells fire at their drug-free rate, nA.

    H is convex and at or above its asymptote, so Newton steps from the asymptote fall to the root.
    """
    current = np.array((p.resting_rate_Hz + p.pyramidal_threshold_Hz) / p.pyramidal_slope_Hz_per_nA)
    for _ in range(_ROUNDS):
        rate = pyramidal_rate(current, p)
        step = (rate.rate_Hz - p.resting_rate_Hz) / rate.slope_Hz_per_nA
        current = current - step
        if abs(float(step)) <= _SETTLED:
            break
    return float(current)


def _require(name: str, value: Array, holds: NDArray[np.bool_], must: str) -> None:
    if not holds.all():
        raise invalid(name, must=must, got=f"{np.extract(~holds, value)[0]:g}")
