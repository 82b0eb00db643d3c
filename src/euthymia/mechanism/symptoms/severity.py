"""Latent severity of depression, and what is read off the same states without a scale of its own."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Weights on the logit of severity, and its own inertia."""

    synapse_weight_logit: Any
    belief_weight_logit: Any
    ampa_weight_logit: Any
    expectancy_weight_logit: Any
    care_weight_logit: Any
    severity_time_h: Any
    episode_severity_fraction: Any
    bistability_fraction: Any
    bistable_strength_relative: Any
    bistable_threshold_relative: Any
    bistable_well_relative: Any
    rumination_ampa_weight_fraction: Any
    anhedonia_ampa_weight_fraction: Any


class Inputs(NamedTuple):
    """From synapses, beliefs, AMPA, expectancy, care, ECT, chance; the offset is the person's own."""

    deficit_relative: Any
    belief_fraction: Any
    ampa_fraction: Any
    expectancy_fraction: Any
    care_fraction: Any
    ect_logit: Any
    mood_noise_logit: Any
    offset_logit: Any


class State(NamedTuple):
    """Severity (0-1): MADRS / 60."""

    severity_fraction: Any


def logit(m: Any, fraction: Any) -> Any:
    """Return log(x / (1 - x)) for 0 < x < 1."""
    return m.log(fraction / (1.0 - fraction))


def pressure(inputs: Inputs, parameters: Parameters) -> Any:
    """Return what pushes severity, on the logit scale, without the person's offset.

    w_S (deficit - 1/2) + w_b (b - 1/2) - w_A a - w_X (x_f + x_s) - w_C care - ECT + v
    """
    p = parameters
    return (
        p.synapse_weight_logit * (inputs.deficit_relative - 0.5)
        + p.belief_weight_logit * (inputs.belief_fraction - 0.5)
        - p.ampa_weight_logit * inputs.ampa_fraction
        - p.expectancy_weight_logit * inputs.expectancy_fraction
        - p.care_weight_logit * inputs.care_fraction
        - inputs.ect_logit
        + inputs.mood_noise_logit
    )


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Severity follows its pressure: dd/dt = (D - d) / tau_D,  D = 1 / (1 + exp(-y)).

    With bistable mood (a rival) there are two resting states, the episode i and wellness w i, with a
    threshold t i between them; no push, however strong, takes severity to 0:

    dd/dt = ((D - i) d / i - K (d - i)(d - t i)(d - w i) / i^2) d (1 - d) / (i (1 - i) tau_D)
    """
    p, severity = parameters, state.severity_fraction
    aim = 1.0 / (1.0 + m.exp(-(pressure(inputs, p) + inputs.offset_logit)))
    ill = p.episode_severity_fraction
    cubic = (
        (severity - ill)
        * (severity - p.bistable_threshold_relative * ill)
        * (severity - p.bistable_well_relative * ill)
        / (ill * ill)
    )
    within = severity * (1.0 - severity) / (ill * (1.0 - ill))
    bistable = within * ((aim - ill) * severity / ill - p.bistable_strength_relative * cubic)
    change = (1.0 - p.bistability_fraction) * (aim - severity) + p.bistability_fraction * bistable
    return State(severity_fraction=change / p.severity_time_h)


class ReadOuts(NamedTuple):
    """Uncalibrated: shapes only, 1 at the start of the episode."""

    rumination_relative: Any
    flexibility_relative: Any
    anhedonia_relative: Any
    clarity_relative: Any


class ReadOutInputs(NamedTuple):
    """What the read-outs are made of; ``start`` values are those of the untreated episode."""

    belief_fraction: Any
    start_belief_fraction: Any
    ampa_fraction: Any
    plasticity_fraction: Any
    start_plasticity_fraction: Any
    deficit_relative: Any
    start_deficit_relative: Any
    severity_fraction: Any
    start_severity_fraction: Any
    dissociation_fraction: Any
    sedation_fraction: Any


def read_outs(inputs: ReadOutInputs, parameters: Parameters) -> ReadOuts:
    """Rumination, flexibility, anhedonia and clarity, each relative to the start (assumed forms).

    rumination = (b / b_0)(1 - c_A a)           beliefs, quietened by AMPA throughput
    flexibility = (p_0 gate + w) / (p_0 gate)_0  rate of updating beliefs; at the start with TrkB free
    anhedonia = ((1 + deficit) / (1 + deficit_0))(1 - c_A a)
    clarity = (1 - d)(1 - dissociation)(1 - sedation) / (1 - d_0)
    """
    one, p = inputs, parameters
    return ReadOuts(
        rumination_relative=one.belief_fraction
        / one.start_belief_fraction
        * (1.0 - p.rumination_ampa_weight_fraction * one.ampa_fraction),
        flexibility_relative=one.plasticity_fraction / one.start_plasticity_fraction,
        anhedonia_relative=(1.0 + one.deficit_relative)
        / (1.0 + one.start_deficit_relative)
        * (1.0 - p.anhedonia_ampa_weight_fraction * one.ampa_fraction),
        clarity_relative=(1.0 - one.severity_fraction)
        / (1.0 - one.start_severity_fraction)
        * (1.0 - one.dissociation_fraction)
        * (1.0 - one.sedation_fraction),
    )
