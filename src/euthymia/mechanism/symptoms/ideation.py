"""Suicidal ideation: partly mood, partly its own; returns as the effect fades. Never a person's risk."""

from __future__ import annotations

from typing import Any, NamedTuple

from euthymia.mechanism.symptoms.severity import logit

NEAR_0 = 1e-6
"""How near severity comes to 0 and 1 here: where it nearly is one of them, a step may end beyond."""


class Parameters(NamedTuple):
    """Weights on the logit of ideation, its inertia, and its level in the untreated episode."""

    mood_weight_logit: Any
    ampa_weight_logit: Any
    crisis_weight_logit: Any
    care_weight_logit: Any
    ideation_time_h: Any
    episode_ideation_fraction: Any


class Inputs(NamedTuple):
    """From severity, AMPA, life beyond the usual load, care around the clock, and the person's own offset."""

    severity_fraction: Any
    ampa_fraction: Any
    extra_stress_relative: Any
    care_fraction: Any
    offset_logit: Any


class State(NamedTuple):
    """Ideation (0-1): total of the SSI over 38."""

    ideation_fraction: Any


def target(m: Any, inputs: Inputs, parameters: Parameters) -> Any:
    """Return where ideation goes: logit z = z_0 + z_D logit(d) - z_A a + z_C crisis - z_H care.

    A crisis is a stress beyond usual life; how it counts saturates, x / (1 + x).
    """
    p = parameters
    crisis = inputs.extra_stress_relative / (1.0 + inputs.extra_stress_relative)
    severity_fraction = m.minimum(m.maximum(inputs.severity_fraction, NEAR_0), 1.0 - NEAR_0)
    push = (
        inputs.offset_logit
        + p.mood_weight_logit * logit(m, severity_fraction)
        - p.ampa_weight_logit * inputs.ampa_fraction
        + p.crisis_weight_logit * crisis
        - p.care_weight_logit * inputs.care_fraction
    )
    return 1.0 / (1.0 + m.exp(-push))


def offset(m: Any, severity_fraction: Any, parameters: Parameters) -> Any:
    """Return the offset with which the untreated episode holds the person's own ideation."""
    p = parameters
    return logit(m, p.episode_ideation_fraction) - p.mood_weight_logit * logit(m, severity_fraction)


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Ideation follows: dz/dt = (z_inf - z) / tau_Z."""
    gap = target(m, inputs, parameters) - state.ideation_fraction
    return State(ideation_fraction=gap / parameters.ideation_time_h)
