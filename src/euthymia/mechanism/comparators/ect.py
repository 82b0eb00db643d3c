"""Electroconvulsive therapy: an empirical curve, not a mechanism; it stands here as a comparator."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """What a treatment adds, how long it lasts, and its weight on the logit of severity."""

    gain_fraction: Any
    effect_time_h: Any
    weight_logit: Any


class State(NamedTuple):
    """Effect of the treatments so far (0-1)."""

    effect_fraction: Any


def initial() -> State:
    """Return the state before any treatment."""
    return State(effect_fraction=0.0)


def rates(m: Any, state: State, parameters: Parameters) -> State:
    """Let the effect fade: dE/dt = -E / tau."""
    del m
    return State(effect_fraction=-state.effect_fraction / parameters.effect_time_h)


def after_treatment(state: State, parameters: Parameters) -> State:
    """Return the state after a treatment: E + k (1 - E)."""
    return State(
        effect_fraction=state.effect_fraction + parameters.gain_fraction * (1.0 - state.effect_fraction)
    )
