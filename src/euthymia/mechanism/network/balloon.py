"""From synaptic activity to the signal of a scanner: the Balloon-Windkessel model.

    ds/dt = z - kappa s - gamma (f - 1)          df/dt = s
    tau dv/dt = f - v^(1/alpha)                  tau dq/dt = f (1 - (1 - rho)^(1/f)) / rho - v^(1/alpha - 1) q
    y = V0 (k1 (1 - q) + k2 (1 - q/v) + k3 (1 - v)),   k1 = 7 rho, k2 = 2, k3 = 2 rho - 0.2

z is activity, s the vasodilatory signal, f flow, v volume and q deoxyhaemoglobin, all relative to rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP_MS = 10.0
"""Of Euler's method; the quickest time constant is about a second."""
_STEP_S = STEP_MS / 1000.0
_LEAST_FLOW = 0.05
"""Noise may not stop the flow: oxygen extraction is not defined there."""


class Parameters(NamedTuple):
    """Constants of the vessels: decay, feedback and transit, Grubb's exponent, extraction, volume."""

    signal_decay_per_s: float
    flow_elimination_per_s: float
    transit_s: float
    stiffness_exponent: float
    resting_extraction_fraction: float
    resting_volume_fraction: float


class Blood(NamedTuple):
    """Vasodilatory signal, flow, volume and deoxyhaemoglobin, each (...)."""

    signal_per_s: Array
    flow_relative: Array
    volume_relative: Array
    deoxyhaemoglobin_relative: Array


def at_rest(activity: Array, parameters: Parameters) -> Blood:
    """Return the steady state under constant activity (...)."""
    p = parameters
    flow = 1.0 + activity / p.flow_elimination_per_s
    volume = flow**p.stiffness_exponent
    return Blood(np.zeros_like(flow), flow, volume, _extracted(flow, p) * volume / flow)


def rates(blood: Blood, activity: Array, parameters: Parameters) -> Blood:
    """Return how fast each changes, per second."""
    p = parameters
    outflow = blood.volume_relative ** (1.0 / p.stiffness_exponent)
    concentration = blood.deoxyhaemoglobin_relative / blood.volume_relative
    return Blood(
        activity
        - p.signal_decay_per_s * blood.signal_per_s
        - p.flow_elimination_per_s * (blood.flow_relative - 1.0),
        blood.signal_per_s,
        (blood.flow_relative - outflow) / p.transit_s,
        (_extracted(blood.flow_relative, p) - outflow * concentration) / p.transit_s,
    )


def advance(blood: Blood, activity: Array, parameters: Parameters) -> Blood:
    """Return the state a step of ``STEP_MS`` later."""
    change = rates(blood, activity, parameters)
    ahead = Blood(*(now + _STEP_S * one for now, one in zip(blood, change, strict=True)))
    return ahead._replace(flow_relative=np.maximum(ahead.flow_relative, _LEAST_FLOW))


def signal(blood: Blood, parameters: Parameters) -> Array:
    """Return the change of the signal as a share of rest, (...)."""
    rho = parameters.resting_extraction_fraction
    q, v = blood.deoxyhaemoglobin_relative, blood.volume_relative
    return parameters.resting_volume_fraction * (
        7.0 * rho * (1.0 - q) + 2.0 * (1.0 - q / v) + (2.0 * rho - 0.2) * (1.0 - v)
    )


def _extracted(flow: Array, p: Parameters) -> Array:
    """Return the oxygen taken out in unit time, relative to rest."""
    rho = p.resting_extraction_fraction
    return flow * (1.0 - (1.0 - rho) ** (1.0 / flow)) / rho
