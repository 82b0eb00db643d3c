"""The window of plasticity, and beliefs that learn from lived mood, from therapy and from stress."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Time constants, learning rates and the threshold between lived wellness and lived illness."""

    window_time_h: Any
    learning_rate_per_h: Any
    resting_plasticity_fraction: Any
    hardening_rate_per_h: Any
    belief_time_h: Any
    threshold_relative: Any
    threshold_width_fraction: Any


class Sessions(NamedTuple):
    """How fast learning saturates within a day: L = exp(-hours of therapy that day / T_s)."""

    session_saturation_h: Any


class Inputs(NamedTuple):
    """From plasticity, severity, therapy and stress; episode severity scales the threshold."""

    protein_relative: Any
    resting_gate_relative: Any
    severity_fraction: Any
    episode_severity_fraction: Any
    learning_relative: Any
    extra_stress_relative: Any


class State(NamedTuple):
    """Opening of the window (0-1) and strength of negative beliefs (0-1)."""

    window_fraction: Any
    belief_fraction: Any


class Outputs(NamedTuple):
    """How readily beliefs change: plasticity at rest and the window together."""

    plasticity_fraction: Any


def lived(m: Any, inputs: Inputs, parameters: Parameters) -> Any:
    """Belief that a lived severity d teaches in the end: 1 / (1 + exp(-(d - D_h) / w_b))."""
    p = parameters
    threshold = p.threshold_relative * inputs.episode_severity_fraction
    return 1.0 / (1.0 + m.exp((threshold - inputs.severity_fraction) / p.threshold_width_fraction))


def initial(m: Any, inputs: Inputs, parameters: Parameters) -> State:
    """Return the state in balance with the severity that is lived."""
    belief = lived(m, inputs, parameters)
    return State(window_fraction=0.0 * belief, belief_fraction=belief)


def outputs(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Plasticity of beliefs: p_0 gate(B_0) + w."""
    del m
    resting = parameters.resting_plasticity_fraction * inputs.resting_gate_relative
    return Outputs(plasticity_fraction=resting + state.window_fraction)


def hardening_event(inputs: Inputs) -> Any:
    """Return how a stress x beyond usual life is felt, x^2 / (1 + x): a little hardly counts."""
    excess = inputs.extra_stress_relative
    return excess * excess / (1.0 + excess)


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Let the window follow protein, and beliefs therapy, stress and life.

    dw/dt = (tanh q - w) / tau_W
    db/dt = -k_b L (p_0 gate + w) b + k_neg event (p_0 gate + w)(1 - b) + (b_inf(d) - b) / tau_b
    """
    p, belief = parameters, state.belief_fraction
    plasticity = outputs(m, state, inputs, parameters).plasticity_fraction
    learnt = p.learning_rate_per_h * inputs.learning_relative * plasticity * belief
    hardened = p.hardening_rate_per_h * hardening_event(inputs) * plasticity * (1.0 - belief)
    return State(
        window_fraction=(m.tanh(inputs.protein_relative) - state.window_fraction) / p.window_time_h,
        belief_fraction=hardened - learnt + (lived(m, inputs, p) - belief) / p.belief_time_h,
    )
