"""Outputs of one layer -> inputs of the next: the only file that knows every layer of the chain.

Evaluated in this order: states -> fast outputs -> rates. A layer feeds back only through a state, so there is
no algebraic loop. Names of states and parameters are ``layer.field``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from euthymia.mechanism.acute import cardiovascular, discomfort, dissociation, sedation
from euthymia.mechanism.circuit import surge
from euthymia.mechanism.comparators import ect, gaba, ssri
from euthymia.mechanism.network import coupling
from euthymia.mechanism.plasticity import signalling, stress, synapses
from euthymia.mechanism.receptor import nmda
from euthymia.mechanism.symptoms import belief, expectancy, ideation, severity

Values = Mapping[str, Any]


class Shares(NamedTuple):
    """Share of the NMDA current of each population that a blocker can block."""

    pyramidal_nmda_share: Any
    interneuron_nmda_share: Any


class Start(NamedTuple):
    """What the untreated episode fixes for a person: the offset of severity, and what to compare with."""

    offset_logit: Any
    ideation_offset_logit: Any
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
    "ect": ect,
    "belief": belief,
    "expectancy": expectancy,
    "severity": severity,
    "ideation": ideation,
    "dissociation": dissociation,
    "cardiovascular": cardiovascular,
    "sedation": sedation,
    "discomfort": discomfort,
}
"""Each layer with a state, by the name that its parameters and states begin with."""
STATELESS: dict[str, ModuleType] = {"gaba": gaba, "network": coupling}
"""Layers that follow at once, by the name that their parameters begin with."""
REGIONS = ("prefrontal", "hippocampus")
SITES = (
    "s_equivalents_site_umol_per_L",
    "s_ketamine_site_umol_per_L",
    "r_ketamine_site_umol_per_L",
    "r_hydroxynorketamine_site_umol_per_L",
)
"""Unbound ketamine and metabolites at the site of action; the first in units of S-ketamine's potency."""
DRIVES = (
    *SITES,
    "midazolam_site_umol_per_L",
    "anaesthesia_fraction",
    "learning_relative",
    "preparation_fraction",
    "occupancy_fraction",
    "care_fraction",
    "extra_stress_relative",
    "extra_inflammation_relative",
    "mood_noise_logit",
)
"""What comes from outside as a function of time: drugs at their sites, therapy, care, life, chance."""
BESIDE = (
    "r_ketamine_site_umol_per_L",
    "r_hydroxynorketamine_site_umol_per_L",
    "midazolam_site_umol_per_L",
    "anaesthesia_fraction",
    "learning_relative",
    "preparation_fraction",
    "occupancy_fraction",
    "care_fraction",
    "extra_stress_relative",
    "extra_inflammation_relative",
)
"""Drives of which a course of ketamine alone has none: the equations without them are a shorter program."""
STILL = ("stress.inflammation_relative", "ssri.adaptation_fraction", "ect.effect_fraction")
"""States that stay at 0 in such a course if they begin there."""
CIRCUIT_TABLE = "circuit.gain_table"
STRUCTURAL = (
    "receptor.trapping_share_fraction",
    "signalling.disinhibition_weight_fraction",
    "signalling.direct_weight_fraction",
    "signalling.trapping_weight_fraction",
    "signalling.trkb_binding_weight_fraction",
    "signalling.metabolite_weight_fraction",
    "signalling.r_route_weight_fraction",
    "signalling.opioid_share_fraction",
    "signalling.opioid_block_fraction",
    "signalling.mtorc1_bypass_fraction",
    "signalling.drive_exponent",
    "signalling.trkb_block_fraction",
    "severity.bistability_fraction",
    "gaba.anaesthetic_gain_relative",
    "network.sign_relative",
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
    others = [f"{name}.{field}" for name, layer in STATELESS.items() for field in layer.Parameters._fields]
    return (*own, *shares, *others, CIRCUIT_TABLE, *(f"start.{field}" for field in Start._fields))


def record(kind: Any, layer: str, values: Values) -> Any:
    """Return a layer's record filled from values named ``layer.field``."""
    return kind(*(values[f"{layer}.{field}"] for field in kind._fields))


class Fast(NamedTuple):
    """Everything that follows at once from states, drives and parameters."""

    receptor: nmda.Outputs
    gaba: gaba.Outputs
    circuit_gain_relative: Any
    surge: surge.Outputs
    signalling: signalling.Outputs
    prefrontal: synapses.Outputs
    hippocampus: synapses.Outputs
    belief: belief.Outputs
    dissociation: dissociation.Outputs
    sedation: sedation.Outputs


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
    midazolam, anaesthesia = drive["midazolam_site_umol_per_L"], drive["anaesthesia_fraction"]

    given: dict[str, Any] = {
        "receptor": nmda.Inputs(drive["s_equivalents_site_umol_per_L"]),
        "stress": stress.Inputs(
            extra_stress_relative=drive["extra_stress_relative"],
            extra_inflammation_relative=drive["extra_inflammation_relative"],
            belief_fraction=x["belief"].belief_fraction,
        ),
        "ssri": ssri.Inputs(drive["occupancy_fraction"]),
        "dissociation": dissociation.Inputs(site, anaesthesia),
        "cardiovascular": cardiovascular.Inputs(site),
        "sedation": sedation.Inputs(site, midazolam, anaesthesia),
        "discomfort": discomfort.Inputs(site, drive["preparation_fraction"]),
    }
    block = nmda.outputs(m, x["receptor"], given["receptor"], p["receptor"])
    shares = record(Shares, "circuit", parameter)
    interneuron_block = shares.interneuron_nmda_share * block.interneuron_block_fraction
    inhibition = gaba.outputs(
        m,
        gaba.Inputs(midazolam, anaesthesia, interneuron_block),
        record(gaba.Parameters, "gaba", parameter),
    )
    gain = inhibition.circuit_factor_relative * m.table2(
        parameter[CIRCUIT_TABLE],
        shares.pyramidal_nmda_share * block.pyramidal_block_fraction,
        interneuron_block,
    )
    given["surge"] = surge.Inputs(gain)
    released = surge.outputs(m, x["surge"], given["surge"], p["surge"])
    given["signalling"] = signalling.Inputs(
        surge_relative=released.surge_relative,
        pyramidal_block_fraction=block.pyramidal_block_fraction,
        trapped_block_fraction=x["receptor"].trapped_block_fraction,
        s_ketamine_site_umol_per_L=site,
        r_ketamine_site_umol_per_L=drive["r_ketamine_site_umol_per_L"],
        r_hydroxynorketamine_site_umol_per_L=drive["r_hydroxynorketamine_site_umol_per_L"],
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
        care_fraction=drive["care_fraction"],
        ect_logit=p["ect"].weight_logit * x["ect"].effect_fraction,
        mood_noise_logit=drive["mood_noise_logit"],
        offset_logit=start.offset_logit,
    )
    given["ideation"] = ideation.Inputs(
        severity_fraction=x["severity"].severity_fraction,
        ampa_fraction=x["signalling"].ampa_fraction,
        extra_stress_relative=drive["extra_stress_relative"],
        care_fraction=drive["care_fraction"],
        offset_logit=start.ideation_offset_logit,
    )
    felt = dissociation.outputs(m, x["dissociation"], given["dissociation"], p["dissociation"])
    calm = sedation.outputs(m, x["sedation"], given["sedation"], p["sedation"])
    given["expectancy"] = expectancy.Inputs(felt.cadss_points, calm.drowsiness_fraction)
    fast = Fast(
        receptor=block,
        gaba=inhibition,
        circuit_gain_relative=gain,
        surge=released,
        signalling=signals,
        **regions,
        belief=belief.outputs(m, x["belief"], given["belief"], p["belief"]),
        dissociation=felt,
        sedation=calm,
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
    discomforts = discomfort.outputs(m, x["discomfort"], now.inputs["discomfort"], p["discomfort"])
    coupled = coupling.outputs(
        m,
        coupling.Inputs(
            deficit_relative=now.inputs["severity"].deficit_relative,
            belief_fraction=x["belief"].belief_fraction,
            ampa_fraction=x["signalling"].ampa_fraction,
            s_ketamine_site_umol_per_L=drive["s_ketamine_site_umol_per_L"],
        ),
        record(coupling.Parameters, "network", parameter),
    )
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
        "r_ketamine_site_umol_per_L": drive["r_ketamine_site_umol_per_L"],
        "r_hydroxynorketamine_site_umol_per_L": drive["r_hydroxynorketamine_site_umol_per_L"],
        "midazolam_site_umol_per_L": drive["midazolam_site_umol_per_L"],
        "nmda_block_interneuron_fraction": fast.receptor.interneuron_block_fraction,
        "nmda_block_pyramidal_fraction": fast.receptor.pyramidal_block_fraction,
        "nmda_trapped_fraction": x["receptor"].trapped_block_fraction,
        "sert_occupancy_fraction": drive["occupancy_fraction"],
        "gaba_gain_relative": fast.gaba.inhibition_gain_relative,
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
        "belief_to_be_on_drug_fraction": x["expectancy"].belief_fraction,
        "ect_effect_fraction": x["ect"].effect_fraction,
        "care_fraction": drive["care_fraction"],
        "mood_noise_logit": drive["mood_noise_logit"],
        "severity_fraction": x["severity"].severity_fraction,
        "suicidal_ideation_fraction": x["ideation"].ideation_fraction,
        **read._asdict(),
        **coupled._asdict(),
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
        **fast.sedation._asdict(),
        **discomforts._asdict(),
    }


def at_visit(
    m: Any, state: Values, parameter: Values, *, preparation_fraction: float = 0.0
) -> dict[str, Any]:
    """Return what arriving at a visit at which a drug is expected changes."""
    before, p = _of("expectancy", expectancy, state, parameter)
    return _named("expectancy", expectancy.at_visit(m, before, p, preparation_fraction))


def at_antidepressant(m: Any, state: Values, parameter: Values) -> dict[str, Any]:
    """Return what a contact about a newly started antidepressant changes."""
    del m
    return _named(
        "expectancy", expectancy.at_antidepressant(*_of("expectancy", expectancy, state, parameter))
    )


def after_visit(m: Any, state: Values, parameter: Values) -> dict[str, Any]:
    """Return what people make of what they felt at a visit."""
    return _named("expectancy", expectancy.after_visit(m, *_of("expectancy", expectancy, state, parameter)))


def at_ect(m: Any, state: Values, parameter: Values) -> dict[str, Any]:
    """Return what an electroconvulsive treatment changes."""
    del m
    return _named("ect", ect.after_treatment(*_of("ect", ect, state, parameter)))


def _of(name: str, layer: ModuleType, state: Values, parameter: Values) -> tuple[Any, Any]:
    return record(layer.State, name, state), record(layer.Parameters, name, parameter)


def _named(name: str, values: Any) -> dict[str, Any]:
    return {f"{name}.{field}": value for field, value in values._asdict().items()}


def at_session(m: Any, state: Values, parameter: Values) -> dict[str, Any]:
    """Return what the start of a dosing session changes: its exposure counts from 0."""
    del m, parameter
    return _named("discomfort", discomfort.at_session(record(discomfort.State, "discomfort", state)))


Repeat = Callable[[int, Callable[[Any], Any], Any], Any]


def repeated(count: int, step: Callable[[Any], Any], value: Any) -> Any:
    """Return a value after a number of equal steps."""
    for _ in range(count):
        value = step(value)
    return value


def initial(
    m: Any,
    parameter: Values,
    *,
    is_well: bool = False,
    mood_noise_logit: Any = 0.0,
    occupancy_fraction: float = 0.0,
    repeat: Repeat = repeated,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the states before treatment and what the untreated episode fixes.

    In the episode nothing moves: beliefs are those that its severity teaches, stress is what life and these
    beliefs bring, synapses are in balance with it, and the offset makes the person's own severity stationary.
    A well person has the same offset and the lower of the two states that mood can rest in. A swing of mood
    at the start moves severity, and ideation with it.

    Parameters
    ----------
    m : maths namespace
    parameter : {layer.field: value}
        Without ``start``.
    is_well : bool
    mood_noise_logit : value
        The swing at the start.
    occupancy_fraction : float
        By an antidepressant that has been taken for months: serotonin, BDNF and synapses are adapted to it,
        and the person is in the episode nevertheless.
    repeat : callable (count, step, value) -> value after that many steps
        How a loop is written in the namespace.

    Returns
    -------
    states : {layer.field: value}
    start : {"start.field": value}
    """
    p = {name: record(layer.Parameters, name, parameter) for name, layer in LAYERS.items()}
    severe = p["severity"].episode_severity_fraction
    ill = _rest(m, p, severe, occupancy_fraction)
    push = severity.pressure(_pressure_inputs(ill), p["severity"])
    start = Start(
        offset_logit=severity.logit(m, severe) - push,
        ideation_offset_logit=ideation.offset(m, severe, p["ideation"]),
        belief_fraction=ill["belief"].belief_fraction,
        plasticity_fraction=p["belief"].resting_plasticity_fraction * ill["free_gate"],
        deficit_relative=ill["deficit"],
    )
    rest = _well(m, p, start, occupancy_fraction, repeat) if is_well else ill
    lived = severity.logit(m, rest["severity"].severity_fraction) + mood_noise_logit
    mood = severity.State(1.0 / (1.0 + m.exp(-lived)))
    thoughts = ideation.Inputs(mood.severity_fraction, 0.0, 0.0, 0.0, start.ideation_offset_logit)
    states = {
        **{name: rest[name] for name in LAYERS if name in rest},
        "severity": mood,
        "ideation": ideation.State(ideation.target(m, thoughts, p["ideation"])),
    }
    named: dict[str, Any] = {}
    for name, one in states.items():
        named |= _named(name, one)
    return named, _named("start", start)


ROUNDS_TO_WELL = 400


def _well(
    m: Any, p: Mapping[str, Any], start: Start, occupancy_fraction: float, repeat: Repeat
) -> dict[str, Any]:
    """Follow mood and belief from no negative belief to where they rest, under the loads of usual life."""

    def next_severity(lived: Any) -> Any:
        rest = _rest(m, p, lived, occupancy_fraction)
        y = severity.pressure(_pressure_inputs(rest), p["severity"]) + start.offset_logit
        return 1.0 / (1.0 + m.exp(-y))

    lived = repeat(ROUNDS_TO_WELL, next_severity, 0.0 * start.offset_logit)
    return _rest(m, p, lived, occupancy_fraction)


def _rest(m: Any, p: Mapping[str, Any], lived: Any, occupancy_fraction: float) -> dict[str, Any]:
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
    adaptation = occupancy_fraction + none
    no_drug = 0.0 * p["dissociation"].half_effect_umol_per_L
    quiet = signalling.Inputs(
        surge_relative=none,
        pyramidal_block_fraction=none,
        trapped_block_fraction=none,
        s_ketamine_site_umol_per_L=no_drug,
        r_ketamine_site_umol_per_L=no_drug,
        r_hydroxynorketamine_site_umol_per_L=no_drug,
        stress_relative=loads.stress_relative,
        inflammation_relative=loads.inflammation_relative,
        ssri_adaptation_fraction=adaptation,
    )
    signalled = signalling.initial(adaptation, p["signalling"])
    signals = signalling.outputs(m, signalled, quiet, p["signalling"])
    found: dict[str, Any] = {
        "receptor": nmda.initial(),
        "surge": surge.initial(),
        "stress": loads,
        "signalling": signalled,
        "ssri": ssri.initial(adaptation),
        "ect": ect.initial(),
        "belief": beliefs,
        "expectancy": expectancy.initial(p["expectancy"]),
        "severity": severity.State(lived),
        "dissociation": dissociation.initial(),
        "cardiovascular": cardiovascular.initial(),
        "sedation": sedation.initial(),
        "discomfort": discomfort.initial(),
        "free_gate": signalling.gate(signals.tone_relative, 0.0),
    }
    seen = []
    for region in REGIONS:
        inputs = synapses.Inputs(none, loads.stress_relative, loads.inflammation_relative, adaptation, none)
        is_adapted = occupancy_fraction > 0.0
        found[region] = (
            synapses.adapted(m, inputs, p[region]) if is_adapted else synapses.initial(inputs, p[region])
        )
        seen.append(synapses.outputs(m, found[region], inputs, p[region]))
    return {**found, "deficit": mean_deficit(*seen)}


def _pressure_inputs(rest: Mapping[str, Any]) -> severity.Inputs:
    none = 0.0 * rest["deficit"]
    return severity.Inputs(
        deficit_relative=rest["deficit"],
        belief_fraction=rest["belief"].belief_fraction,
        ampa_fraction=none,
        expectancy_fraction=none,
        care_fraction=none,
        ect_logit=none,
        mood_noise_logit=none,
        offset_logit=none,
    )
