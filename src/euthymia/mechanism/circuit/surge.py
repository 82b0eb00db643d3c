"""The glutamate surge: how the circuit's gain passes into release, and how release adapts."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Time constants and strength of adaptation."""

    glutamate_time_h: Any
    adaptation_relative: Any
    adaptation_time_h: Any


class Inputs(NamedTuple):
    """Pyramidal rate relative to its drug-free value (1)."""

    circuit_gain_relative: Any


class State(NamedTuple):
    """Glutamate release (1 = baseline) and its adaptation (0 = none)."""

    glutamate_relative: Any
    adaptation_relative: Any


ROUNDING = 0.001
"""Rise of release over which adaptation sets in."""


class Outputs(NamedTuple):
    """Release above baseline that is not yet adapted to."""

    surge_relative: Any


def initial() -> State:
    """Return the state without drug."""
    return State(glutamate_relative=1.0, adaptation_relative=0.0)


def outputs(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Unadapted surge u = max(g - 1 - h, 0); what uses it squares it, so that the kink is smooth."""
    del inputs, parameters
    return Outputs(surge_relative=m.maximum(state.glutamate_relative - 1.0 - state.adaptation_relative, 0.0))


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Release follows gain, adaptation follows a rise of release.

    dg/dt = (Phi - g) / tau_g,   dh/dt = (kappa x - h) / tau_h,   x = g - 1 where release is raised, else 0

    A fall of release leaves no adaptation behind, else its end would count as a surge. The corner at 0 is
    rounded: x^2 / (x + 0.001).
    """
    p = parameters
    rise = m.maximum(state.glutamate_relative - 1.0, 0.0)
    rounded = rise * rise / (rise + ROUNDING)
    return State(
        glutamate_relative=(inputs.circuit_gain_relative - state.glutamate_relative) / p.glutamate_time_h,
        adaptation_relative=(p.adaptation_relative * rounded - state.adaptation_relative)
        / p.adaptation_time_h,
    )
