"""Slow antidepressants: adaptation to transporter occupancy."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """How slowly the serotonin system adapts."""

    adaptation_time_h: Any


class Inputs(NamedTuple):
    """Occupancy of the serotonin transporter (0-1)."""

    occupancy_fraction: Any


class State(NamedTuple):
    """Adaptation (desensitisation of the autoreceptor; 0-1)."""

    adaptation_fraction: Any


def initial(occupancy_fraction: Any = 0.0) -> State:
    """Return the state without an antidepressant, or adapted to one that has been taken for months."""
    return State(adaptation_fraction=occupancy_fraction)


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Adaptation follows occupancy: dr/dt = (occupancy - r) / tau_R (LePoul1995: days)."""
    del m
    return State(
        adaptation_fraction=(inputs.occupancy_fraction - state.adaptation_fraction)
        / parameters.adaptation_time_h
    )
