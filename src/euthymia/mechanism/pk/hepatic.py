"""Nasal, oral and intravenous esketamine with a liver between gut and circulation (set perez-ruixo-2021).

A well-stirred hepato-portal compartment exchanges with the central one at the liver's blood flow, and
eliminates: to noresketamine at kmet, to the rest at kel. Clearance and first pass follow from it:
E = Vh (kel + kmet) / (Qh + Vh (kel + kmet)), CL = Qh E, F_oral = Fgut (1 - E).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from euthymia.mechanism.pk.disposition import Array, Entry, Flow, Observed, Peripheral, mammillary


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """Individual parameters, each (P,); covariate effects are applied before."""

    central_volume_L: Array
    fast_volume_L: Array
    fast_flow_L_per_h: Array
    slow_volume_L: Array
    slow_flow_L_per_h: Array
    liver_flow_L_per_h: Array
    liver_volume_L: Array
    liver_elimination_per_h: Array
    liver_formation_per_h: Array
    formed_ratio: Array
    norketamine_central_volume_L: Array
    norketamine_peripheral_volume_L: Array
    norketamine_clearance_L_per_h: Array
    norketamine_flow_L_per_h: Array
    nasal_spray_fraction: Array
    nasal_spray_further_device_ratio: Array
    nasal_spray_rate_per_h: Array
    nasal_spray_swallowed_duration_h: Array
    nasal_spray_swallowed_rate_per_h: Array
    gut_escape_fraction: Array
    oral_duration_h: Array
    oral_rate_per_h: Array
    liver_flow_loss_L_per_h_per_year: Array
    liver_flow_loss_from_age_years: Array
    asian_elimination_ratio: Array
    asian_norketamine_clearance_ratio: Array
    japanese_nasal_fraction_ratio: Array
    clearance_exponent: Array
    volume_exponent: Array


def flows(parameters: Parameters) -> list[Flow]:
    """Return the flows of esketamine, the liver and noresketamine, with the nasal and oral depots."""
    p = parameters
    return [
        *mammillary(
            "S.ketamine",
            p.central_volume_L,
            Peripheral("fast", p.fast_volume_L, p.fast_flow_L_per_h),
            Peripheral("slow", p.slow_volume_L, p.slow_flow_L_per_h),
            Peripheral("liver", p.liver_volume_L, p.liver_flow_L_per_h),
        ),
        Flow("S.ketamine.liver", "elsewhere", p.liver_elimination_per_h),
        Flow("S.ketamine.liver", "formed", p.liver_formation_per_h),
        Flow(
            "S.ketamine.liver",
            "S.norketamine.central",
            p.liver_formation_per_h * p.formed_ratio,
            depletes=False,
        ),
        *mammillary(
            "S.norketamine",
            p.norketamine_central_volume_L,
            Peripheral("peripheral", p.norketamine_peripheral_volume_L, p.norketamine_flow_L_per_h),
        ),
        Flow("S.norketamine.central", None, p.norketamine_clearance_L_per_h / p.norketamine_central_volume_L),
        Flow("S.spray", "S.ketamine.central", p.nasal_spray_rate_per_h),
        Flow("S.spray_gut", "S.ketamine.liver", p.nasal_spray_swallowed_rate_per_h),
        Flow("S.gut", "S.ketamine.liver", p.oral_rate_per_h),
    ]


def observed(parameters: Parameters, *, name: str) -> Observed:
    """Return the concentrations of esketamine, under the name of its sampling site, and noresketamine."""
    return {
        name: {"S.ketamine.central": 1.0 / parameters.central_volume_L},
        "s_norketamine": {"S.norketamine.central": 1.0 / parameters.norketamine_central_volume_L},
    }


def entries(way: str, parameters: Parameters, *, device_index: int = 0) -> tuple[Entry, ...] | None:
    """Return where a dose enters, or None where the set does not cover the way."""
    p, whole = parameters, np.ones_like(parameters.central_volume_L)
    if way == "iv":
        return (Entry("S.ketamine.central", whole),)
    if way == "nasal_spray":
        fraction = p.nasal_spray_fraction * (p.nasal_spray_further_device_ratio if device_index else whole)
        swallowed = (1.0 - fraction) * p.gut_escape_fraction
        return (
            Entry("S.spray", fraction),
            Entry("S.spray_gut", swallowed, p.nasal_spray_swallowed_duration_h),
            Entry("elsewhere", 1.0 - fraction - swallowed, p.nasal_spray_swallowed_duration_h),
        )
    if way == "oral":
        return (
            Entry("S.gut", p.gut_escape_fraction, p.oral_duration_h),
            Entry("elsewhere", 1.0 - p.gut_escape_fraction, p.oral_duration_h),
        )
    return None
