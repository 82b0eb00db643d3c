"""The workload on which engines are set side by side: a course of ketamine as 30 differential equations.

13 linear states are the amounts of both enantiomers of ketamine, of norketamine, and of hydroxynorketamine;
17 nonlinear ones stand for what follows in brain and circulation. A patient has 30 log-normal parameters.
Every number here is chosen to make a solver work as the platform's own chain does. None is evidence, none is
read by the platform, and no result of it says anything about a patient.

Equations are written once, over the namespace ``m`` of :mod:`euthymia.engine.maths`, and so run on NumPy, on
JAX and on the recorder that writes them as text for other engines (``equations_text.py``). Times are in h,
amounts in mg, volumes in L.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.equations import Equations
from euthymia.engine.linear import Input, Responder, assemble
from euthymia.engine.maths import NUMPY

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Values = Mapping[str, Any]

ENANTIOMERS = ("s", "r")
LINEAR_STATES = (
    *(f"{one}_{place}_mg" for one in ENANTIOMERS for place in ("depot", "central", "shallow", "deep")),
    *(f"{one}_norketamine_{place}_mg" for one in ENANTIOMERS for place in ("central", "deep")),
    "hydroxynorketamine_mg",
)
INITIAL = {
    "glutamate_relative": 1.0,
    "bdnf_relative": 1.0,
    "mtorc1_relative": 1.0,
    "plasticity_relative": 1.0,
    "synapses_relative": 0.8,
    "stress_relative": 1.0,
    "default_mode_relative": 1.0,
    "mood_relative": 1.0,
    "anhedonia_relative": 1.0,
    "reward_relative": 1.0,
    "dissociation_tolerance_relative": 0.0,
    "effect_site_fraction": 0.0,
    "pressure_tolerance_relative": 0.0,
    "arterial_pressure_mmHg": 93.0,
    "heart_rate_per_min": 72.0,
    "baroreflex_relative": 0.0,
    "cognition_relative": 0.0,
}
"""The nonlinear states and where they rest without drug."""
NONLINEAR_STATES = tuple(INITIAL)
STATES = LINEAR_STATES + NONLINEAR_STATES
DRIVES = (
    "s_ketamine_mg_per_L",
    "r_ketamine_mg_per_L",
    "s_norketamine_mg_per_L",
    "r_norketamine_mg_per_L",
    "hydroxynorketamine_mg_per_L",
)
OUTPUTS = (
    "total_ketamine_mg_per_L",
    "total_norketamine_mg_per_L",
    "total_hydroxynorketamine_mg_per_L",
    "occupancy_fraction",
    "glutamate_relative",
    "bdnf_relative",
    "synapses_relative",
    "madrs_points",
    "arterial_pressure_mmHg",
    "dissociation_points",
)
"""What is asked for; some are states."""
ALGEBRAIC_OUTPUTS = tuple(name for name in OUTPUTS if name not in STATES)

RANDOM = {
    "s_clearance_L_per_h": (85.0, 0.25),
    "r_clearance_L_per_h": (75.0, 0.25),
    "s_central_L": (20.0, 0.25),
    "r_central_L": (22.0, 0.25),
    "shallow_L": (60.0, 0.3),
    "deep_L": (180.0, 0.3),
    "shallow_exchange_L_per_h": (110.0, 0.25),
    "deep_exchange_L_per_h": (65.0, 0.25),
    "norketamine_clearance_L_per_h": (55.0, 0.3),
    "norketamine_central_L": (60.0, 0.25),
    "norketamine_deep_L": (110.0, 0.3),
    "norketamine_exchange_L_per_h": (60.0, 0.3),
    "hydroxynorketamine_loss_per_h": (0.12, 0.3),
    "absorption_per_h": (1.2, 0.4),
    "s_ketamine_half_mg_per_L": (0.25, 0.25),
    "r_ketamine_half_mg_per_L": (0.8, 0.25),
    "s_norketamine_half_mg_per_L": (0.6, 0.3),
    "r_norketamine_half_mg_per_L": (1.8, 0.3),
    "occupancy_exponent": (1.2, 0.08),
    "block_of_inhibition_fraction": (0.8, 0.1),
    "excitation_of_inhibition": (5.0, 0.08),
    "glutamate_gain": (1.2, 0.25),
    "bdnf_gain": (1.5, 0.3),
    "mtorc1_half_relative": (1.6, 0.2),
    "synapses_per_h": (1 / 144, 0.3),
    "synapses_gain": (0.5, 0.3),
    "stress_per_h": (1 / 96, 0.3),
    "mood_per_h": (1 / 60, 0.3),
    "pressure_gain_fraction": (0.45, 0.25),
    "effect_site_per_h": (8.0, 0.3),
}
"""Typical value, and standard deviation of its logarithm."""
FIXED = {
    "norketamine_formed_fraction": 0.8,
    "hydroxynorketamine_formed_fraction": 0.5,
    "hydroxynorketamine_L": 50.0,
    "block_of_excitation_fraction": 0.3,
    "excitation_of_excitation": 3.0,
    "inhibition_of_excitation": 4.0,
    "inhibition_of_inhibition": 1.0,
    "bias_of_excitation": -0.4,
    "bias_of_inhibition": -2.0,
    "synapses_on_excitation": 0.4,
    "glutamate_per_h": 10.0,
    "bdnf_per_h": 0.25,
    "mtorc1_per_h": 0.35,
    "plasticity_per_h": 1 / 12,
    "default_mode_per_h": 1 / 18,
    "anhedonia_per_h": 1 / 120,
    "reward_per_h": 1 / 8,
    "dissociation_tolerance_per_h": 1 / 72,
    "pressure_tolerance_per_h": 1 / 30,
    "arterial_pressure_per_h": 5.0,
    "heart_rate_loss_per_h": 7.0,
    "baroreflex_per_h": 2.0,
    "cognition_per_h": 1 / 6,
    "metabolite_gain": 0.4,
    "metabolite_half_mg_per_L": 0.3,
    "stress_on_synapses": 0.4,
    "resting_pressure_mmHg": 93.0,
    "resting_heart_rate_per_min": 72.0,
    "heart_rate_gain_fraction": 0.35,
    "pressure_half_mg_per_L": 0.15,
}
AT_REST = "excitation_at_rest_fraction"
"""Parameter that follows from the others: how active the circuit is without drug."""
PARAMETERS = (*RANDOM, *FIXED, AT_REST)

NEWTON_START = (0.3, 0.35)
NEWTON_STEPS = 3
HIGHEST_BLOCK_FRACTION = 0.98

DOSE_MG = 17.5
"""Of each enantiomer: racemic ketamine 0.5 mg/kg for 70 kg."""
INFUSION_H = 2 / 3
FIRST_MONTH_DAYS = (0, 3, 7, 10, 14, 17, 21, 24)
LATER_DAYS = (28, 35, 42, 49)
MAINTENANCE_DAYS = (63, 14)
"""First day and interval of the doses after those."""
OFFSETS_H = (
    *(minute / 60 for minute in (0, 10, 20, 30, 40, 50)),
    *(hour / 3 for hour in (3, 4, 5, 6, 8, 10)),
    4,
    6,
    8,
    12,
    16,
    24,
)
"""After each dose outputs are asked for at these; later every 6 h, late in a long course once a day."""


# --- equations -----------------------------------------------------------------------------------


def flows(parameter: Values) -> list[tuple[str, str | None, Any, bool]]:
    """Return source, target, rate per hour and whether the source loses what flows, of the linear states.

    Ketamine has three compartments and a depot, norketamine two, hydroxynorketamine one.
    """
    p = parameter
    absorption, found = p["absorption_per_h"], []
    formed = p["norketamine_formed_fraction"]
    hydroxylated = p["hydroxynorketamine_formed_fraction"]
    lost = p["norketamine_clearance_L_per_h"] / p["norketamine_central_L"]
    for one in ENANTIOMERS:
        depot, central, metabolite = f"{one}_depot_mg", f"{one}_central_mg", f"{one}_norketamine_central_mg"
        cleared = p[f"{one}_clearance_L_per_h"] / p[f"{one}_central_L"]
        found += [(depot, central, absorption, True), (central, None, cleared, True)]
        found.append((central, metabolite, formed * cleared, False))
        for place in ("shallow", "deep"):
            exchange, outside = p[f"{place}_exchange_L_per_h"], f"{one}_{place}_mg"
            found.append((central, outside, exchange / p[f"{one}_central_L"], True))
            found.append((outside, central, exchange / p[f"{place}_L"], True))
        exchange, outside = p["norketamine_exchange_L_per_h"], f"{one}_norketamine_deep_mg"
        found.append((metabolite, outside, exchange / p["norketamine_central_L"], True))
        found.append((outside, metabolite, exchange / p["norketamine_deep_L"], True))
        found += [(metabolite, None, lost, True)]
        found.append((metabolite, "hydroxynorketamine_mg", hydroxylated * lost, False))
    found.append(("hydroxynorketamine_mg", None, p["hydroxynorketamine_loss_per_h"], True))
    return found


def linear_rates(state: Values, parameter: Values, infusion_mg_per_h: Any) -> dict[str, Any]:
    """Return the derivatives of the linear states per hour; the infusion is that of each enantiomer."""
    found: dict[str, Any] = dict.fromkeys(LINEAR_STATES, 0.0)
    for one in ENANTIOMERS:
        found[f"{one}_central_mg"] = infusion_mg_per_h
    for source, target, rate, depletes in flows(parameter):
        flow = rate * state[source]
        if depletes:
            found[source] = found[source] - flow
        if target is not None:
            found[target] = found[target] + flow
    return found


def volumes_L(parameter: Values) -> dict[str, tuple[str, Any]]:
    """Return for each drive the linear state that it is read off, and the volume that this is divided by."""
    return {
        "s_ketamine_mg_per_L": ("s_central_mg", parameter["s_central_L"]),
        "r_ketamine_mg_per_L": ("r_central_mg", parameter["r_central_L"]),
        "s_norketamine_mg_per_L": ("s_norketamine_central_mg", parameter["norketamine_central_L"]),
        "r_norketamine_mg_per_L": ("r_norketamine_central_mg", parameter["norketamine_central_L"]),
        "hydroxynorketamine_mg_per_L": ("hydroxynorketamine_mg", parameter["hydroxynorketamine_L"]),
    }


def concentrations(state: Values, parameter: Values) -> dict[str, Any]:
    """Return the drives from the linear states."""
    return {name: state[node] / volume for name, (node, volume) in volumes_L(parameter).items()}


def occupancy(m: Any, drive: Values, parameter: Values) -> Any:
    """Return the share of NMDA receptors that four species block: u^h / (1 + u^h), u = sum C / K."""
    species = ("s_ketamine", "r_ketamine", "s_norketamine", "r_norketamine")
    u = sum((drive[f"{one}_mg_per_L"] / parameter[f"{one}_half_mg_per_L"] for one in species), 0.0)
    power = m.exp(parameter["occupancy_exponent"] * m.log(m.maximum(u, 0.0) + 1e-9))
    return power / (1.0 + power)


def circuit_inputs(parameter: Values, occupied: Any, synapses: Any) -> tuple[Any, Any, Any]:
    """Return the weights onto excitation and inhibition under a block, and the bias of excitation."""
    p = parameter
    return (
        p["excitation_of_excitation"] * (1.0 - p["block_of_excitation_fraction"] * occupied),
        p["excitation_of_inhibition"] * (1.0 - p["block_of_inhibition_fraction"] * occupied),
        p["bias_of_excitation"] + p["synapses_on_excitation"] * (synapses - 1.0),
    )


def sigmoids(m: Any, parameter: Values, inputs: tuple[Any, Any, Any], e: Any, i: Any) -> tuple[Any, Any]:
    """Return what activities of excitation and inhibition call for."""
    p, (onto_e, onto_i, bias) = parameter, inputs
    return (
        1.0 / (1.0 + m.exp(p["inhibition_of_excitation"] * i - onto_e * e - bias)),
        1.0 / (1.0 + m.exp(p["inhibition_of_inhibition"] * i - onto_i * e - p["bias_of_inhibition"])),
    )


def excitation(m: Any, parameter: Values, occupied: Any, synapses: Any) -> Any:
    """Return where excitation settles: exactly three steps of Newton's method on two sigmoids."""
    p, inputs = parameter, circuit_inputs(parameter, occupied, synapses)
    onto_e, onto_i, _ = inputs
    e, i = NEWTON_START
    for _ in range(NEWTON_STEPS):
        of_e, of_i = sigmoids(m, p, inputs, e, i)
        slope_e, slope_i = of_e * (1.0 - of_e), of_i * (1.0 - of_i)
        ee, ei = 1.0 - slope_e * onto_e, slope_e * p["inhibition_of_excitation"]
        ie, ii = -slope_i * onto_i, 1.0 + slope_i * p["inhibition_of_inhibition"]
        left_e, left_i = of_e - e, of_i - i
        share = 1.0 / (ee * ii - ei * ie)
        e, i = e + share * (ii * left_e - ei * left_i), i + share * (ee * left_i - ie * left_e)
    return e


def nonlinear_rates(
    m: Any, state: Values, drive: Values, parameter: Values, occupied: Any, excited: Any
) -> dict[str, Any]:
    """Return the derivatives of the nonlinear states per hour; all are rate x (target - state)."""
    x, p = state, parameter
    surge, rise = excited / p[AT_REST] - 1.0, x["glutamate_relative"] - 1.0
    released = rise * rise / (rise * rise + 0.15)
    bdnf = x["bdnf_relative"] * x["bdnf_relative"]
    half = p["mtorc1_half_relative"] * p["mtorc1_half_relative"]
    window, stress = x["plasticity_relative"] - 1.0, x["stress_relative"]
    synapses, network, mood = x["synapses_relative"], x["default_mode_relative"], x["mood_relative"]
    site = x["effect_site_fraction"] * x["effect_site_fraction"]
    metabolite = drive["hydroxynorketamine_mg_per_L"]
    felt = drive["s_ketamine_mg_per_L"] + 0.7 * drive["r_ketamine_mg_per_L"]
    pressor = felt / (p["pressure_half_mg_per_L"] * (1.0 + x["pressure_tolerance_relative"]) + felt)
    load = m.exp(4.0 * (synapses - 0.8) - 2.0 * (network - 1.0) - 1.2 * (stress - 1.0))
    direct = p["metabolite_gain"] * metabolite / (metabolite + p["metabolite_half_mg_per_L"])
    grown = (1.0 + p["synapses_gain"] * window) * 1.12 / (1.0 + p["stress_on_synapses"] * stress)
    risen = 1.0 + p["pressure_gain_fraction"] * pressor
    beating = 1.0 + p["heart_rate_gain_fraction"] * pressor - 0.8 * x["baroreflex_relative"]
    pressed = x["arterial_pressure_mmHg"] / p["resting_pressure_mmHg"] - 1.0
    called = 1.0 + p["bdnf_gain"] * released * (1.0 + 0.5 * window) + direct
    settled = 1.0 + 0.3 * (stress - 1.0) - 0.4 * (synapses - 0.8) - 0.6 * occupied - 0.2 * surge
    targets = {
        "glutamate_relative": ("glutamate_per_h", 1.0 + p["glutamate_gain"] * surge),
        "bdnf_relative": ("bdnf_per_h", called),
        "mtorc1_relative": ("mtorc1_per_h", (1.0 + half) * bdnf / (half + bdnf)),
        "plasticity_relative": ("plasticity_per_h", x["mtorc1_relative"]),
        "synapses_relative": ("synapses_per_h", grown),
        "stress_relative": ("stress_per_h", 0.4 + 0.6 * mood),
        "default_mode_relative": ("default_mode_per_h", settled),
        "mood_relative": ("mood_per_h", 2.0 / (1.0 + load)),
        "anhedonia_relative": ("anhedonia_per_h", mood * (1.0 - 0.3 * (x["reward_relative"] - 1.0))),
        "reward_relative": ("reward_per_h", 1.0 + 0.5 * rise),
        "dissociation_tolerance_relative": (
            "dissociation_tolerance_per_h",
            20.0 * x["effect_site_fraction"],
        ),
        "effect_site_fraction": ("effect_site_per_h", occupied),
        "pressure_tolerance_relative": ("pressure_tolerance_per_h", 30.0 * felt),
        "arterial_pressure_mmHg": ("arterial_pressure_per_h", p["resting_pressure_mmHg"] * risen),
        "heart_rate_per_min": ("heart_rate_loss_per_h", p["resting_heart_rate_per_min"] * beating),
        "baroreflex_relative": ("baroreflex_per_h", pressed),
        "cognition_relative": ("cognition_per_h", site / (site + 0.09)),
    }
    found = {name: p[rate] * (target - x[name]) for name, (rate, target) in targets.items()}
    found["synapses_relative"] = (1.0 + 2.0 * window) * found["synapses_relative"]
    return found


def rates(m: Any, state: Values, drive: Values, parameter: Values) -> dict[str, Any]:
    """Return the derivatives of the nonlinear states per hour, as the engine asks for them."""
    occupied = occupancy(m, drive, parameter)
    excited = excitation(m, parameter, occupied, state["synapses_relative"])
    return nonlinear_rates(m, state, drive, parameter, occupied, excited)


def outputs(m: Any, state: Values, drive: Values, parameter: Values) -> dict[str, Any]:
    """Return the outputs that are no states."""
    site = state["effect_site_fraction"] * state["effect_site_fraction"]
    half = 0.35 * (1.0 + 0.1 * state["dissociation_tolerance_relative"])
    return {
        "total_ketamine_mg_per_L": drive["s_ketamine_mg_per_L"] + drive["r_ketamine_mg_per_L"],
        "total_norketamine_mg_per_L": drive["s_norketamine_mg_per_L"] + drive["r_norketamine_mg_per_L"],
        "total_hydroxynorketamine_mg_per_L": 1.0 * drive["hydroxynorketamine_mg_per_L"],
        "occupancy_fraction": occupancy(m, drive, parameter),
        "madrs_points": 32.0 * state["mood_relative"],
        "dissociation_points": 100.0 * site / (site + half * half),
    }


EQUATIONS = Equations(
    states=NONLINEAR_STATES, drives=DRIVES, parameters=PARAMETERS, rates=rates, outputs=outputs
)


def all_rates(m: Any, state: Values, parameter: Values, infusion_mg_per_h: Any) -> dict[str, Any]:
    """Return the derivatives of all 30 states per hour, for engines that take them as one system."""
    drive = concentrations(state, parameter)
    return linear_rates(state, parameter, infusion_mg_per_h) | rates(m, state, drive, parameter)


def observe(m: Any, state: Values, parameter: Values) -> list[Any]:
    """Return the outputs in their order, from all 30 states."""
    found = outputs(m, state, concentrations(state, parameter), parameter)
    return [found[name] if name in found else state[name] for name in OUTPUTS]


def observe_states(states: Array, parameter: Values) -> Array:
    """Return the outputs (P, T, 10) of states (P, T, 30)."""
    state = {name: states[..., at] for at, name in enumerate(STATES)}
    own = {name: np.asarray(value)[:, None] for name, value in parameter.items()}
    return np.stack(observe(NUMPY, state, own), axis=-1)


# --- patients and their course ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Virtual patients, (P,) by parameter, and for how many days they are treated."""

    parameters: dict[str, Array]
    days: int

    @property
    def count(self) -> int:
        """Number of patients."""
        return len(self.parameters[AT_REST])

    def take(self, some: slice) -> Cohort:
        """Return some of the patients."""
        return replace(self, parameters={name: value[some] for name, value in self.parameters.items()})


def make_cohort(count: int, *, days: int, seed: int = 1) -> Cohort:
    """Return patients; the first ones are the same whatever the count."""
    draws = np.random.default_rng(seed).standard_normal((count, len(RANDOM)))
    values = {
        name: typical * np.exp(spread * draw)
        for (name, (typical, spread)), draw in zip(RANDOM.items(), draws.T, strict=True)
    }
    values["block_of_inhibition_fraction"] = np.minimum(
        values["block_of_inhibition_fraction"], HIGHEST_BLOCK_FRACTION
    )
    values |= {name: np.full(count, value) for name, value in FIXED.items()}
    values[AT_REST] = excitation(NUMPY, values, np.zeros(count), INITIAL["synapses_relative"])
    return Cohort(parameters=values, days=days)


def doses_h(days: int) -> Array:
    """Return the starts of the infusions: 8 in 28 days, 34 in a year."""
    first, interval = MAINTENANCE_DAYS
    given = [*FIRST_MONTH_DAYS, *LATER_DAYS, *range(first, max(days, first), interval)]
    return np.array([24.0 * day for day in given if day < days])


def edges_h(days: int) -> Array:
    """Return when infusions start and end, ascending, with the start and the end of the course."""
    starts = doses_h(days)
    return np.unique(np.concatenate([[0.0], starts, starts + INFUSION_H, [24.0 * days]]))


def is_infusing(start_h: float, days: int) -> bool:
    """Tell whether an infusion goes on from an edge to the next."""
    return bool(np.isin(start_h, doses_h(days)))


def times_h(days: int) -> Array:
    """Return when outputs are asked for: 217 times in 28 days, 1048 in a year."""
    starts = doses_h(days)
    ends = np.append(starts[1:], 24.0 * days)
    offsets = np.concatenate([OFFSETS_H, np.arange(30.0, 24.0 * days, 6.0)])
    found: list[float] = []
    for start, end in zip(starts, ends, strict=True):
        since = offsets[offsets < end - start - 1e-9]
        if days > 28 and start >= 28 * 24.0:
            since = since[(since <= 48.0) | (since % 24.0 == 0.0)]
        found += list(start + since)
    return np.array([*found, 24.0 * days])


class Drug:
    """The linear states of a cohort in closed form: concentrations and their slopes as functions of time."""

    def __init__(self, cohort: Cohort) -> None:
        parameter, self.starts = cohort.parameters, doses_h(cohort.days)
        links = flows(parameter)
        amount = np.full(cohort.count, DOSE_MG)
        inputs = [
            Input(f"{one}_central_mg", amount, float(start), INFUSION_H)
            for start in self.starts
            for one in ENANTIOMERS
        ]
        readings: dict[str, dict[str, Any]] = {}
        self.jumps: dict[str, Array] = {}
        for name, (node, volume) in volumes_L(parameter).items():
            readings[name] = {node: 1.0 / volume}
            readings[f"{name}.slope"] = _slope(links, node, volume)
            if name in ("s_ketamine_mg_per_L", "r_ketamine_mg_per_L"):
                self.jumps[name] = (DOSE_MG / INFUSION_H) / volume[:, None]
        self.respond = Responder(assemble(links, cohort.count), inputs, readings)

    def __call__(self, times_h: Array, *, is_left: Flags) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return values and slopes by name, (P, T); see ``euthymia.engine.equations.Drive``."""
        unique, back = np.unique(times_h, return_inverse=True)
        found = self.respond(unique)
        values = {name: found[name][:, back] for name in DRIVES}
        slopes = {name: found[f"{name}.slope"][:, back] for name in DRIVES}
        is_given = self._is_given(times_h, is_left)
        for name, jump in self.jumps.items():
            slopes[name] = slopes[name] + jump * is_given
        return values, slopes

    def linear(self) -> list[Responder]:
        """Return what a compiled march carries itself; see ``euthymia.engine.equations.PartedDrive``."""
        return [self.respond]

    def knots(self) -> dict[str, Any]:
        """Return what is linear between known times: nothing here."""
        return {}

    def outside(self, times_h: Array, *, is_left: Flags) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return all the rest: nothing here."""
        return {}, {}

    def _is_given(self, times_h: Array, is_left: Flags) -> Flags:
        """Return whether drug flows in, (T,); at an edge what holds after it, or before it where asked."""
        after = np.searchsorted(self.starts, times_h, side="right")
        before = np.searchsorted(self.starts, times_h, side="left")
        last = np.where(is_left, before, after) - 1
        end = self.starts[np.maximum(last, 0)] + INFUSION_H
        return (last >= 0) & np.where(is_left, times_h <= end, times_h < end)


def _slope(links: Sequence[tuple[str, str | None, Any, bool]], node: str, volume: Array) -> dict[str, Array]:
    """Return by linear state how fast what flows changes a concentration, (P,)."""
    found: dict[str, Array] = {}
    for source, target, rate, depletes in links:
        if target == node:
            found[source] = found.get(source, 0.0) + rate / volume
        if source == node and depletes:
            found[node] = found.get(node, 0.0) - rate / volume
    return found


# --- error -----------------------------------------------------------------------------------------


def errors(found: Array, right: Array) -> Array:
    """Return each patient's error, (P,), of outputs (P, T, outputs).

    The largest over times and outputs of |found - right| / max(|right|, 1 % of that patient's peak).
    """
    peak = np.abs(right).max(axis=1, keepdims=True)
    return (np.abs(found - right) / np.maximum(np.abs(right), 0.01 * peak)).max(axis=(1, 2))
