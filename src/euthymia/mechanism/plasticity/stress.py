"""Stress and inflammation: loads that the brain carries for days after life brings them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Loads of the untreated episode and of usual life (1: the load of an episode), and their inertia."""

    episode_stress_relative: Any
    episode_inflammation_relative: Any
    usual_stress_relative: Any
    usual_inflammation_relative: Any
    stress_time_h: Any
    inflammation_time_h: Any


class Inputs(NamedTuple):
    """What life brings beyond the usual load at this time."""

    extra_stress_relative: Any
    extra_inflammation_relative: Any


class State(NamedTuple):
    """Loads as the brain carries them (0 = none)."""

    stress_relative: Any
    inflammation_relative: Any


def episode(parameters: Parameters) -> State:
    """Return the loads in the untreated episode."""
    p = parameters
    return State(p.episode_stress_relative, p.episode_inflammation_relative)


def usual(parameters: Parameters) -> State:
    """Return the loads of usual life."""
    p = parameters
    return State(p.usual_stress_relative, p.usual_inflammation_relative)


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """First-order following: dl/dt = (l_usual + extra - l) / tau_l, and the same for inflammation."""
    del m
    p = parameters
    stress = p.usual_stress_relative + inputs.extra_stress_relative
    inflammation = p.usual_inflammation_relative + inputs.extra_inflammation_relative
    return State(
        stress_relative=(stress - state.stress_relative) / p.stress_time_h,
        inflammation_relative=(inflammation - state.inflammation_relative) / p.inflammation_time_h,
    )
