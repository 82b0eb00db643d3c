"""Sedation and its observer's scale (MOAA/S)."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Sensitivity, steepness and delay."""

    half_effect_umol_per_L: Any
    steepness_exponent: Any
    follow_rate_per_h: Any
    midazolam_half_effect_umol_per_L: Any
    midazolam_steepness_exponent: Any
    midazolam_half_drowsiness_umol_per_L: Any


class Inputs(NamedTuple):
    """Unbound S-ketamine and total midazolam at their sites, and general anaesthesia (0-1)."""

    s_ketamine_site_umol_per_L: Any
    midazolam_site_umol_per_L: Any
    anaesthesia_fraction: Any


class State(NamedTuple):
    """Depth of sedation (0-1)."""

    depth_fraction: Any


class Outputs(NamedTuple):
    """Expected MOAA/S before rounding (5 awake, 0 no response to pain), and how drowsy one feels (0-1)."""

    moaas_points: Any
    drowsiness_fraction: Any


AWAKE_POINTS = 5.0
"""Top of MOAA/S (data/scales/moaas.toml)."""


def initial() -> State:
    """Return the state before any dose."""
    return State(depth_fraction=0.0)


def outputs(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Return the expected score, 5 (1 - depth), and 1 - (1 - depth)(1 - c / (c + C50)) of midazolam.

    Midazolam is felt at concentrations at which an observer sees hardly anything.
    """
    felt = m.hill(inputs.midazolam_site_umol_per_L, parameters.midazolam_half_drowsiness_umol_per_L, 1)
    return Outputs(
        moaas_points=AWAKE_POINTS * (1.0 - state.depth_fraction),
        drowsiness_fraction=_either(state.depth_fraction, felt),
    )


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Depth follows the sites: dZ/dt = k (1 - prod_i (1 - Z_i) - Z), Z_i = c^n / (c^n + C50^n)."""
    p = parameters
    ketamine = m.hill(inputs.s_ketamine_site_umol_per_L, p.half_effect_umol_per_L, p.steepness_exponent)
    midazolam = m.hill(
        inputs.midazolam_site_umol_per_L, p.midazolam_half_effect_umol_per_L, p.midazolam_steepness_exponent
    )
    asleep = _either(_either(ketamine, midazolam), inputs.anaesthesia_fraction)
    return State(depth_fraction=p.follow_rate_per_h * (asleep - state.depth_fraction))


def _either(a: Any, b: Any) -> Any:
    """Return 1 - (1 - a)(1 - b), written so that small shares keep their digits."""
    return a + b - a * b
