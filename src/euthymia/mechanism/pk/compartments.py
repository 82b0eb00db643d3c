"""Published disposition models of two or three compartments, with or without norketamine.

``mammillary`` sets (Kamp 2020 pooled, and the parameters of infusion pumps) describe total ketamine after
intravenous racemate. ``parent_metabolite`` sets (Fanta 2015 / Otto 2021, Flint 2017) add norketamine.
"""

from __future__ import annotations

from dataclasses import dataclass

from euthymia.mechanism.pk.disposition import Array, Flow, Observed, Peripheral, mammillary


@dataclass(frozen=True, kw_only=True, slots=True)
class Mammillary:
    """Parameters of total ketamine, each (P,); the slow compartment is absent in two-compartment sets."""

    central_volume_L: Array
    fast_volume_L: Array
    fast_flow_L_per_h: Array
    clearance_L_per_h: Array
    slow_volume_L: Array | None = None
    slow_flow_L_per_h: Array | None = None
    clearance_exponent: Array
    volume_exponent: Array


def mammillary_flows(parameters: Mammillary) -> list[Flow]:
    """Return the flows of total ketamine."""
    p = parameters
    return [
        *_parent("ketamine", p),
        Flow("ketamine.central", "elsewhere", p.clearance_L_per_h / p.central_volume_L),
    ]


def mammillary_observed(parameters: Mammillary, *, name: str) -> Observed:
    """Return the one concentration of the set under the name of its sampling site."""
    return {name: {"ketamine.central": 1.0 / parameters.central_volume_L}}


def _parent(prefix: str, p: Mammillary | ParentMetabolite) -> list[Flow]:
    """Return the exchanges of ketamine with one or two peripheral compartments."""
    peripherals = [Peripheral("fast", p.fast_volume_L, p.fast_flow_L_per_h)]
    if p.slow_volume_L is not None and p.slow_flow_L_per_h is not None:
        peripherals.append(Peripheral("slow", p.slow_volume_L, p.slow_flow_L_per_h))
    return mammillary(prefix, p.central_volume_L, *peripherals)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParentMetabolite:
    """Parameters of S-ketamine and S-norketamine, each (P,).

    ``formed_ratio`` is moles of norketamine that appear for a mole of ketamine cleared. It is not 1 where the
    authors moved mass without correcting for molar mass, or where volumes are divided by an unknown fraction
    formed; such a set does not conserve moles, and says so in its disclaimer.
    """

    central_volume_L: Array
    fast_volume_L: Array
    fast_flow_L_per_h: Array
    slow_volume_L: Array | None = None
    slow_flow_L_per_h: Array | None = None
    clearance_L_per_h: Array
    formed_ratio: Array
    norketamine_central_volume_L: Array
    norketamine_clearance_L_per_h: Array
    norketamine_peripheral_volume_L: Array | None = None
    norketamine_flow_L_per_h: Array | None = None
    norketamine_clearance_increase_per_h: Array | None = None
    clearance_exponent: Array
    volume_exponent: Array


def parent_metabolite_flows(parameters: ParentMetabolite) -> list[Flow]:
    """Return the flows of S-ketamine and S-norketamine, at the metabolite's initial clearance."""
    p = parameters
    metabolite_peripherals = []
    if p.norketamine_peripheral_volume_L is not None and p.norketamine_flow_L_per_h is not None:
        metabolite_peripherals.append(
            Peripheral("peripheral", p.norketamine_peripheral_volume_L, p.norketamine_flow_L_per_h)
        )
    eliminated_per_h = p.clearance_L_per_h / p.central_volume_L
    return [
        *_parent("S.ketamine", p),
        Flow("S.ketamine.central", "elsewhere", eliminated_per_h),
        Flow(
            "S.ketamine.central", "S.norketamine.central", eliminated_per_h * p.formed_ratio, depletes=False
        ),
        *mammillary("S.norketamine", p.norketamine_central_volume_L, *metabolite_peripherals),
        Flow("S.norketamine.central", None, p.norketamine_clearance_L_per_h / p.norketamine_central_volume_L),
    ]


def parent_metabolite_observed(parameters: ParentMetabolite, *, name: str) -> Observed:
    """Return the concentrations of S-ketamine, under the name of its sampling site, and S-norketamine."""
    return {
        name: {"S.ketamine.central": 1.0 / parameters.central_volume_L},
        "s_norketamine": {"S.norketamine.central": 1.0 / parameters.norketamine_central_volume_L},
    }
