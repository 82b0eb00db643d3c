"""Expectancy: hope that a visit raises, one part gone within hours, one within weeks."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Size of a visit's effect and how long it lasts."""

    fast_gain_fraction: Any
    slow_gain_fraction: Any
    fast_time_h: Any
    slow_time_h: Any
    belief_to_be_on_drug_fraction: Any


class State(NamedTuple):
    """Fast and slow expectancy (0-1)."""

    fast_fraction: Any
    slow_fraction: Any


def initial() -> State:
    """Return the state before the first visit."""
    return State(fast_fraction=0.0, slow_fraction=0.0)


def rates(m: Any, state: State, parameters: Parameters) -> State:
    """Both parts fade: dx/dt = -x / tau."""
    del m
    p = parameters
    return State(
        fast_fraction=-state.fast_fraction / p.fast_time_h, slow_fraction=-state.slow_fraction / p.slow_time_h
    )


def after_visit(state: State, parameters: Parameters) -> State:
    """Return the state after a visit at which a drug is expected: x + k p (1 - x)."""
    p = parameters
    belief = p.belief_to_be_on_drug_fraction
    return State(
        fast_fraction=state.fast_fraction + p.fast_gain_fraction * belief * (1.0 - state.fast_fraction),
        slow_fraction=state.slow_fraction + p.slow_gain_fraction * belief * (1.0 - state.slow_fraction),
    )
