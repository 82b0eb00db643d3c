"""Sedation and its observer's scale (MOAA/S)."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Sensitivity, steepness and delay."""

    half_effect_umol_per_L: Any
    steepness_exponent: Any
    follow_rate_per_h: Any


class Inputs(NamedTuple):
    """Unbound S-ketamine at the site."""

    s_ketamine_site_umol_per_L: Any


class State(NamedTuple):
    """Depth of sedation (0-1)."""

    depth_fraction: Any


class Outputs(NamedTuple):
    """Expected MOAA/S before rounding: 5 awake, 0 no response to pain."""

    moaas_points: Any


AWAKE_POINTS = 5.0
"""Top of MOAA/S (data/scales/moaas.toml)."""


def initial() -> State:
    """Return the state before any dose."""
    return State(depth_fraction=0.0)


def outputs(m: Any, state: State) -> Outputs:
    """Return the expected score, 5 (1 - depth)."""
    del m
    return Outputs(moaas_points=AWAKE_POINTS * (1.0 - state.depth_fraction))


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Depth follows the site: dZ/dt = k (c^n / (c^n + C50^n) - Z)."""
    p = parameters
    aim = m.hill(inputs.s_ketamine_site_umol_per_L, p.half_effect_umol_per_L, p.steepness_exponent)
    return State(depth_fraction=p.follow_rate_per_h * (aim - state.depth_fraction))
