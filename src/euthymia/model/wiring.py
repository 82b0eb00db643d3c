"""Outputs of one layer -> inputs of the next: the only file that knows every layer of the chain.

Evaluated in this order: states -> fast outputs -> rates. A layer feeds back only through a state, so there is
no algebraic loop. Names of states and parameters are ``layer.field``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from euthymia.mechanism.acute import cardiovascular, discomfort, dissociation, sedation
from euthymia.mechanism.circuit import surge
from euthymia.mechanism.comparators import ssri
from euthymia.mechanism.plasticity import signalling, stress, synapses
from euthymia.mechanism.receptor import nmda
from euthymia.mechanism.symptoms import belief, expectancy, severity

Values = Mapping[str, Any]


class Shares(NamedTuple):
    """Share of the NMDA current of each population that a blocker can block."""

    pyramidal_nmda_share: Any
    interneuron_nmda_share: Any


class Start(NamedTuple):
    """What the untreated episode fixes for a person: the offset of severity, and what to compare with."""

    offset_logit: Any
    belief_fraction: Any
    plasticity_fraction: Any
    deficit_relative: Any


LAYERS: dict[str, ModuleType] = {
    "receptor": nmda,
    "surge": surge,
    "stress": stress,
    "signalling": signalling,
    "prefrontal": synapses,
    "hippocampus": synapses,
    "ssri": ssri,
    "belief": belief,
    "expectancy": expectancy,
    "severity": severity,
    "dissociation": dissociation,
    "cardiovascular": cardiovascular,
    "sedation": sedation,
    "discomfort": discomfort,
}
"""Each layer with a state, by the name that its parameters and states begin with."""
REGIONS = ("prefrontal", "hippocampus")
DRIVES = (
    "s_equivalents_site_umol_per_L",
    "s_ketamine_site_umol_per_L",
    "learning_relative",
    "occupancy_fraction",
    "extra_stress_relative",
    "extra_inflammation_relative",
    "mood_noise_logit",
)
"""What comes from outside as a function of time: drug at the site, therapy, antidepressant, life, chance."""
CIRCUIT_TABLE = "circuit.gain_table"
STRUCTURAL = (
    "receptor.trapping_share_fraction",
    "signalling.disinhibition_weight_fraction",
    "signalling.direct_weight_fraction",
    "signalling.trapping_weight_fraction",
    "signalling.drive_exponent",
    "signalling.trkb_block_fraction",
    "prefrontal.stabilisation_by_therapy_relative",
    "prefrontal.homeostasis_rate_per_h",
    "hippocampus.stabilisation_by_therapy_relative",
    "hippocampus.homeostasis_rate_per_h",
)
"""Switches of mechanisms and whole exponents: constants of the compiled program."""


def state_names() -> tuple[str, ...]:
    """Return every state as ``layer.field``, in the order of the layers."""
    return tuple(f"{name}.{field}" for name, layer in LAYERS.items() for field in layer.State._fields)


def parameter_names() -> tuple[str, ...]:
    """Return everything that the equations read beside states and drives."""
    own = [f"{name}.{field}" for name, layer in LAYERS.items() for field in layer.Parameters._fields]
    shares = [f"circuit.{field}" for field in Shares._fields]
    return (*own, *shares, CIRCUIT_TABLE, *(f"start.{field}" for field in Start._fields))


def record(kind: Any, layer: str, values: Values) -> Any:
    """Return a layer's record filled from values named ``layer.field``."""
    return kind(*(values[f"{layer}.{field}"] for field in kind._fields))


class Fast(NamedTuple):
    """Everything that follows at once from states, drives and parameters."""

    receptor: nmda.Outputs
    circuit_gain_relative: Any
    surge: surge.Outputs
    signalling: signalling.Outputs
    prefrontal: synapses.Outputs
    hippocampus: synapses.Outputs
    belief: belief.Outputs
    dissociation: dissociation.Outputs


class Layers(NamedTuple):
    """States, parameters and inputs of every layer at one moment, by layer name."""

    states: dict[str, Any]
    parameters: dict[str, Any]
    inputs: dict[str, Any]
    fast: Fast


def connect(m: Any, state: Values, drive: Values, parameter: Values) -> Layers:
    """Return every layer's state, parameters and inputs: states -> fast outputs -> inputs of the rates."""
    x = {name: record(layer.State, name, state) for name, layer in LAYERS.items()}
    p = {name: record(layer.Parameters, name, parameter) for name, layer in LAYERS.items()}
    start = record(Start, "start", parameter)
    loads, adapted = x["stress"], x["ssri"].adaptation_fraction
    learning, site = drive["learning_relative"], drive["s_ketamine_site_umol_per_L"]

    given: dict[str, Any] = {
        "receptor": nmda.Inputs(drive["s_equivalents_site_umol_per_L"]),
        "stress": stress.Inputs(
            extra_stress_relative=drive["extra_stress_relative"],
            extra_inflammation_relative=drive["extra_inflammation_relative"],
            belief_fraction=x["belief"].belief_fraction,
        ),
        "ssri": ssri.Inputs(drive["occupancy_fraction"]),
        "dissociation": dissociation.Inputs(site),
        "cardiovascular": cardiovascular.Inputs(site),
        "sedation": sedation.Inputs(site),
        "discomfort": discomfort.Inputs(site),
    }
    block = nmda.outputs(m, x["receptor"], given["receptor"], p["receptor"])
    shares = record(Shares, "circuit", parameter)
    gain = m.table2(
        parameter[CIRCUIT_TABLE],
        shares.pyramidal_nmda_share * block.pyramidal_block_fraction,
        shares.interneuron_nmda_share * block.interneuron_block_fraction,
    )
    given["surge"] = surge.Inputs(gain)
    released = surge.outputs(m, x["surge"], given["surge"], p["surge"])
    given["signalling"] = signalling.Inputs(
        surge_relative=released.surge_relative,
        pyramidal_block_fraction=block.pyramidal_block_fraction,
        trapped_block_fraction=x["receptor"].trapped_block_fraction,
        stress_relative=loads.stress_relative,
        inflammation_relative=loads.inflammation_relative,
        ssri_adaptation_fraction=adapted,
    )
    signals = signalling.outputs(m, x["signalling"], given["signalling"], p["signalling"])
    regions = {}
    for region in REGIONS:
        given[region] = synapses.Inputs(
            protein_relative=x["signalling"].protein_relative,
            stress_relative=loads.stress_relative,
            inflammation_relative=loads.inflammation_relative,
            ssri_adaptation_fraction=adapted,
            learning_relative=learning,
        )
        regions[region] = synapses.outputs(m, x[region], given[region], p[region])
    given["belief"] = belief.Inputs(
        protein_relative=x["signalling"].protein_relative,
        resting_gate_relative=signals.resting_gate_relative,
        severity_fraction=x["severity"].severity_fraction,
        episode_severity_fraction=p["severity"].episode_severity_fraction,
        learning_relative=learning,
        extra_stress_relative=drive["extra_stress_relative"],
    )
    given["severity"] = severity.Inputs(
        deficit_relative=mean_deficit(regions["prefrontal"], regions["hippocampus"]),
        belief_fraction=x["belief"].belief_fraction,
        ampa_fraction=x["signalling"].ampa_fraction,
        expectancy_fraction=x["expectancy"].fast_fraction + x["expectancy"].slow_fraction,
        mood_noise_logit=drive["mood_noise_logit"],
        offset_logit=start.offset_logit,
    )
    fast = Fast(
        receptor=block,
        circuit_gain_relative=gain,
        surge=released,
        signalling=signals,
        **regions,
        belief=belief.outputs(m, x["belief"], given["belief"], p["belief"]),
        dissociation=dissociation.outputs(m, x["dissociation"], given["dissociation"], p["dissociation"]),
    )
    return Layers(states=x, parameters=p, inputs=given, fast=fast)


def mean_deficit(prefrontal: synapses.Outputs, hippocampus: synapses.Outputs) -> Any:
    """Return the synaptic deficit that mood feels: the mean of both regions."""
    return 0.5 * (prefrontal.deficit_relative + hippocampus.deficit_relative)


def rates(m: Any, state: Values, drive: Values, parameter: Values) -> dict[str, Any]:
    """Return the derivative of every state, per hour."""
    all_of = connect(m, state, drive, parameter)
    found: dict[str, Any] = {}
    for name, layer in LAYERS.items():
        arguments = (all_of.inputs[name],) if name in all_of.inputs else ()
        changes = layer.rates(m, all_of.states[name], *arguments, all_of.parameters[name])
        found |= {f"{name}.{field}": value for field, value in zip(changes._fields, changes, strict=True)}
    return found


def outputs(m: Any, state: Values, drive: Values, parameter: Values) -> dict[str, Any]:
    """Return every observable of the chain by its name in ``variables.csv``, scales aside."""
    now = connect(m, state, drive, parameter)
    x, p, fast = now.states, now.parameters, now.fast
    felt, calm = fast.dissociation, x["sedation"].depth_fraction
    start = record(Start, "start", parameter)
    body = cardiovascular.outputs(m, x["cardiovascular"], p["cardiovascular"])
    discomforts = discomfort.outputs(m, x["discomfort"], p["discomfort"])
    read = severity.read_outs(
        severity.ReadOutInputs(
            belief_fraction=x["belief"].belief_fraction,
            start_belief_fraction=start.belief_fraction,
            ampa_fraction=x["signalling"].ampa_fraction,
            plasticity_fraction=fast.belief.plasticity_fraction,
            start_plasticity_fraction=start.plasticity_fraction,
            deficit_relative=now.inputs["severity"].deficit_relative,
            start_deficit_relative=start.deficit_relative,
            severity_fraction=x["severity"].severity_fraction,
            start_severity_fraction=p["severity"].episode_severity_fraction,
            dissociation_fraction=felt.intensity_fraction,
            sedation_fraction=calm,
        ),
        p["severity"],
    )
    return {
        "s_equivalents_site_umol_per_L": drive["s_equivalents_site_umol_per_L"],
        "s_ketamine_site_umol_per_L": drive["s_ketamine_site_umol_per_L"],
        "nmda_block_interneuron_fraction": fast.receptor.interneuron_block_fraction,
        "nmda_block_pyramidal_fraction": fast.receptor.pyramidal_block_fraction,
        "nmda_trapped_fraction": x["receptor"].trapped_block_fraction,
        "sert_occupancy_fraction": drive["occupancy_fraction"],
        "circuit_gain_relative": fast.circuit_gain_relative,
        "glutamate_surge_relative": x["surge"].glutamate_relative,
        "glutamate_adaptation_relative": x["surge"].adaptation_relative,
        "plasticity_drive_fraction": fast.signalling.drive_fraction,
        "ampa_potentiation_fraction": x["signalling"].ampa_fraction,
        "bdnf_relative": fast.signalling.bdnf_relative,
        "trophic_tone_relative": fast.signalling.tone_relative,
        "trkb_gate_relative": fast.signalling.gate_relative,
        "mtorc1_relative": x["signalling"].mtorc1_relative,
        "synaptic_protein_relative": x["signalling"].protein_relative,
        "prefrontal_new_synapses_fraction": x["prefrontal"].new_fraction,
        "prefrontal_synapses_fraction": fast.prefrontal.density_fraction,
        "hippocampal_new_synapses_fraction": x["hippocampus"].new_fraction,
        "hippocampal_synapses_fraction": fast.hippocampus.density_fraction,
        "stress_relative": x["stress"].stress_relative,
        "inflammation_relative": x["stress"].inflammation_relative,
        "ssri_adaptation_fraction": x["ssri"].adaptation_fraction,
        "window_of_plasticity_fraction": x["belief"].window_fraction,
        "learning_relative": drive["learning_relative"],
        "negative_belief_fraction": x["belief"].belief_fraction,
        "expectancy_fraction": now.inputs["severity"].expectancy_fraction,
        "mood_noise_logit": drive["mood_noise_logit"],
        "severity_fraction": x["severity"].severity_fraction,
        **read._asdict(),
        "dissociation_fraction": felt.intensity_fraction,
        "cadss_points": felt.cadss_points,
        "depersonalisation_fraction": felt.depersonalisation_fraction,
        "derealisation_fraction": felt.derealisation_fraction,
        "time_distortion_fraction": felt.time_fraction,
        "perception_fraction": felt.perception_fraction,
        "relaxation_fraction": felt.relaxation_fraction,
        "dissociation_tolerance_relative": x["dissociation"].tolerance_relative,
        **body._asdict(),
        "sedation_fraction": calm,
        "moaas_points": sedation.outputs(m, x["sedation"]).moaas_points,
        **discomforts._asdict(),
    }


def at_visit(m: Any, state: Values, parameter: Values) -> dict[str, Any]:
    """Return what a visit at which a drug is expected changes."""
    del m
    before = record(expectancy.State, "expectancy", state)
    after = expectancy.after_visit(before, record(expectancy.Parameters, "expectancy", parameter))
    return {f"expectancy.{field}": value for field, value in after._asdict().items()}


def at_session(m: Any, state: Values, parameter: Values) -> dict[str, Any]:
    """Return what the start of a dosing session changes: its exposure counts from 0."""
    del m, parameter
    after = discomfort.at_session(record(discomfort.State, "discomfort", state))
    return {f"discomfort.{field}": value for field, value in after._asdict().items()}


def initial(
    m: Any, parameter: Values, *, is_well: bool = False, mood_noise_logit: Any = 0.0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the states before treatment and what the untreated episode fixes.

    In the episode nothing moves: beliefs are those that its severity teaches, stress is what life and these
    beliefs bring, synapses are in balance with it, and the offset makes the person's own severity stationary.
    A well person has the same offset and the lower of the two states that mood can rest in. A swing of mood
    at the start moves severity alone.

    Parameters
    ----------
    m : maths namespace
    parameter : {layer.field: value}
        Without ``start``.
    is_well : bool
    mood_noise_logit : value
        The swing at the start.

    Returns
    -------
    states : {layer.field: value}
    start : {"start.field": value}
    """
    p = {name: record(layer.Parameters, name, parameter) for name, layer in LAYERS.items()}
    severe = p["severity"].episode_severity_fraction
    ill = _rest(m, p, severe)
    push = severity.pressure(_pressure_inputs(ill), p["severity"])
    start = Start(
        offset_logit=severity.logit(m, severe) - push,
        belief_fraction=ill["belief"].belief_fraction,
        plasticity_fraction=p["belief"].resting_plasticity_fraction * ill["free_gate"],
        deficit_relative=ill["deficit"],
    )
    rest = _well(m, p, start) if is_well else ill
    states = {name: rest[name] for name in LAYERS}
    lived = severity.logit(m, rest["severity"].severity_fraction) + mood_noise_logit
    states["severity"] = severity.State(1.0 / (1.0 + m.exp(-lived)))
    named = {
        f"{name}.{field}": value for name, one in states.items() for field, value in one._asdict().items()
    }
    return named, {f"start.{field}": value for field, value in start._asdict().items()}


ROUNDS_TO_WELL = 400


def _well(m: Any, p: Mapping[str, Any], start: Start) -> dict[str, Any]:
    """Follow mood and belief from no negative belief to where they rest, under the loads of usual life."""
    rest = _rest(m, p, 0.0 * start.offset_logit)
    for _ in range(ROUNDS_TO_WELL):
        y = severity.pressure(_pressure_inputs(rest), p["severity"]) + start.offset_logit
        rest = _rest(m, p, 1.0 / (1.0 + m.exp(-y)))
    return rest


def _rest(m: Any, p: Mapping[str, Any], lived: Any) -> dict[str, Any]:
    """Return every layer at rest, with the beliefs that a lived severity teaches and their load."""
    none = 0.0 * lived
    taught = belief.Inputs(
        protein_relative=none,
        resting_gate_relative=none,
        severity_fraction=lived,
        episode_severity_fraction=p["severity"].episode_severity_fraction,
        learning_relative=none,
        extra_stress_relative=none,
    )
    beliefs = belief.initial(m, taught, p["belief"])
    loads = stress.target(stress.Inputs(none, none, beliefs.belief_fraction), p["stress"])
    quiet = signalling.Inputs(none, none, none, loads.stress_relative, loads.inflammation_relative, none)
    signals = signalling.outputs(m, signalling.initial(), quiet, p["signalling"])
    found: dict[str, Any] = {
        "receptor": nmda.initial(),
        "surge": surge.initial(),
        "stress": loads,
        "signalling": signalling.initial(),
        "ssri": ssri.initial(),
        "belief": beliefs,
        "expectancy": expectancy.initial(),
        "severity": severity.State(lived),
        "dissociation": dissociation.initial(),
        "cardiovascular": cardiovascular.initial(),
        "sedation": sedation.initial(),
        "discomfort": discomfort.initial(),
        "free_gate": signalling.gate(signals.tone_relative, 0.0),
    }
    seen = []
    for region in REGIONS:
        inputs = synapses.Inputs(none, loads.stress_relative, loads.inflammation_relative, none, none)
        found[region] = synapses.initial(inputs, p[region])
        seen.append(synapses.outputs(m, found[region], inputs, p[region]))
    return {**found, "deficit": mean_deficit(*seen)}


def _pressure_inputs(rest: Mapping[str, Any]) -> severity.Inputs:
    none = 0.0 * rest["deficit"]
    return severity.Inputs(
        deficit_relative=rest["deficit"],
        belief_fraction=rest["belief"].belief_fraction,
        ampa_fraction=none,
        expectancy_fraction=none,
        mood_noise_logit=none,
        offset_logit=none,
    )
