"""Fluctuations of the node around its steady state, and what they say about gamma power: an index, no more.

Two variables with time constants of 100 and 10 ms do not oscillate at 30-90 Hz; the index is the broadband
power of the pyramidal rate in that band under noise of fixed size. It is **uncalibrated**, and moves mostly
because the rate answers more steeply to its input when it is high.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from euthymia.errors import invalid
from euthymia.mechanism.circuit.steady import (
    MS_PER_S,
    Array,
    Parameters,
    currents,
    feedback_inhibition_nA,
    interneuron_rate,
    pyramidal_rate,
    read_inputs,
    steady,
)

GAMMA_BAND_HZ = (30.0, 90.0)
"""Band of the index; that of the human recordings it is compared with (Rademacher 2025)."""
_NODES = 24


class Linearised(NamedTuple):
    """The node near a steady state: d(S_E, S_I)/dt per ms, and the pyramidal rate in Hz, per unit of each.

    Every field is an array (...): ``ei`` is the effect of S_I on dS_E/dt.
    """

    ee: Array
    ei: Array
    ie: Array
    ii: Array
    rate_of_e: Array
    rate_of_i: Array


def linearise(
    effective_block_pyramidal: ArrayLike,
    effective_block_interneuron: ArrayLike,
    parameters: Parameters,
    *,
    inhibition_gain: ArrayLike = 1.0,
) -> Linearised:
    """Return the Jacobian of the node at its steady state and the slopes of the pyramidal rate.

    Parameters are those of :func:`euthymia.mechanism.circuit.steady.steady`.
    """
    p = parameters
    inputs = read_inputs(effective_block_pyramidal, effective_block_interneuron, inhibition_gain)
    state = steady(*inputs[:2], p, inhibition_gain=inputs.inhibition_gain)
    current = currents(state.s_e, state.s_i, inputs, p)
    slope_e = pyramidal_rate(current.pyramidal_nA, p).slope_Hz_per_nA
    slope_i = interneuron_rate(current.interneuron_nA, p).slope_Hz_per_nA / MS_PER_S
    rate_of_e = slope_e * p.recurrent_ratio * p.nmda_current_nA * (1.0 - inputs.pyramidal_block)
    rate_of_i = -slope_e * feedback_inhibition_nA(p) * inputs.inhibition_gain
    opening = p.opening_ratio * (1.0 - state.s_e) / MS_PER_S
    return Linearised(
        ee=opening * rate_of_e
        - 1.0 / p.pyramidal_decay_ms
        - p.opening_ratio * state.pyramidal_rate_Hz / MS_PER_S,
        ei=opening * rate_of_i,
        ie=slope_i * p.nmda_current_nA * (1.0 - inputs.interneuron_block),
        ii=-1.0 / p.interneuron_decay_ms - slope_i * p.interneuron_inhibition_nA,
        rate_of_e=rate_of_e,
        rate_of_i=rate_of_i,
    )


def power_density(
    frequencies_Hz: ArrayLike,
    effective_block_pyramidal: ArrayLike,
    effective_block_interneuron: ArrayLike,
    parameters: Parameters,
    *,
    inhibition_gain: ArrayLike = 1.0,
) -> Array:
    """Return the power density of the pyramidal rate under weak white noise on both gating variables.

    With A the Jacobian, c the slopes of the rate and noise of sd s on each gating variable,

        P(f) = 2 s^2 |c (i w - A)^-1|^2,   w = 2 pi f

    Parameters
    ----------
    frequencies_Hz : array (F,)
    effective_block_pyramidal, effective_block_interneuron, inhibition_gain : array (...)

    Returns
    -------
    density : array (..., F)
        One-sided, Hz^2 per Hz, for a noise of 1 per square root of a millisecond; proportional to its square.

    Notes
    -----
    Linear: holds while fluctuations are small against the curvature of H.
    """
    frequencies = np.asarray(frequencies_Hz, float)
    if frequencies.ndim != 1 or not np.all(np.isfinite(frequencies) & (frequencies >= 0.0)):
        raise invalid("frequencies_Hz", must="a row of finite numbers, 0 or above", got=f"{frequencies}")
    near = linearise(
        effective_block_pyramidal, effective_block_interneuron, parameters, inhibition_gain=inhibition_gain
    )
    return _density(frequencies, near)


def gamma_index(
    effective_block_pyramidal: ArrayLike,
    effective_block_interneuron: ArrayLike,
    parameters: Parameters,
    *,
    inhibition_gain: ArrayLike = 1.0,
    band_Hz: tuple[float, float] = GAMMA_BAND_HZ,
) -> Array:
    """Return the power of the pyramidal rate in a band relative to the drug-free node: an uncalibrated index.

    Parameters are those of :func:`power_density`; ``band_Hz`` is the band, lowest and highest frequency.

    Returns
    -------
    index : array (...)
        1 without drug.

    Notes
    -----
    Says whether fast fluctuations of the mean rate grow or shrink, not what an electrode measures. There is
    no peak, so no peak frequency, and no interneuron-timed rhythm.
    """
    low, high = band_Hz
    if not (np.isfinite(high) and 0.0 <= low < high):
        raise invalid("band_Hz", must="a lower and a higher frequency, 0 or above", got=f"{band_Hz}")
    # the density is rational and smooth over a band: Gauss-Legendre is exact to rounding
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    frequencies = 0.5 * (low + high) + 0.5 * (high - low) * points
    under_drug = linearise(
        effective_block_pyramidal, effective_block_interneuron, parameters, inhibition_gain=inhibition_gain
    )
    drug_free = linearise(0.0, 0.0, parameters)
    return np.vecdot(_density(frequencies, under_drug), weights) / np.vecdot(
        _density(frequencies, drug_free), weights
    )


def _density(frequencies_Hz: Array, near: Linearised) -> Array:
    """Return the one-sided density for noise of 1 per square root of a millisecond, (..., F)."""
    ee, ei, ie, ii, c_e, c_i = (np.asarray(part)[..., None] for part in near)
    w = 2.0 * np.pi * frequencies_Hz / MS_PER_S
    determinant = (ee * ii - ei * ie - w**2) ** 2 + ((ee + ii) * w) ** 2
    of_noise_in_e = (c_i * ie - c_e * ii) ** 2 + (c_e * w) ** 2
    of_noise_in_i = (c_e * ei - c_i * ee) ** 2 + (c_i * w) ** 2
    return 2.0 / MS_PER_S * (of_noise_in_e + of_noise_in_i) / determinant
