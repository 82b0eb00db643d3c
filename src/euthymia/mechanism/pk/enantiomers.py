"""Both enantiomers of ketamine with norketamine and hydroxynorketamine, and every route.

The structure of the sets composed and simons-2022.

For each enantiomer: three-compartment arterial parent -> two-step delay -> two-compartment norketamine ->
two-step delay -> two-compartment hydroxynorketamine, in moles. Whether an enantiomer is solved at all
depends on what is given; there is no chiral inversion (Geisslinger 1993, Wang 2019).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from euthymia.mechanism.pk.disposition import (
    Array,
    Entry,
    Flow,
    Observed,
    Peripheral,
    elimination,
    mammillary,
    two_step_delay,
)

ABSENT: Any = None
"""Default of a field that a set may lack: the routes that need it are then not covered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """Individual parameters, each (P,); a route whose fields are None is not covered by the set."""

    central_volume_L: Array
    fast_volume_L: Array
    slow_volume_L: Array
    s_clearance_L_per_h: Array
    r_clearance_L_per_h: Array = ABSENT
    fast_flow_L_per_h: Array
    slow_flow_L_per_h: Array
    norketamine_delay_h: Array
    norketamine_formed_fraction: Array
    norketamine_central_volume_L: Array
    norketamine_peripheral_volume_L: Array
    norketamine_clearance_L_per_h: Array
    norketamine_flow_L_per_h: Array
    hydroxynorketamine_delay_h: Array
    hydroxynorketamine_formed_fraction: Array
    hydroxynorketamine_central_volume_L: Array
    hydroxynorketamine_peripheral_volume_L: Array
    hydroxynorketamine_clearance_L_per_h: Array
    hydroxynorketamine_flow_L_per_h: Array
    venous_rate_per_h: Array = ABSENT
    venous_arterial_fraction: Array = ABSENT
    first_pass_norketamine_fraction: Array = ABSENT
    intramuscular_fraction: Array = ABSENT
    intramuscular_rate_per_h: Array = ABSENT
    subcutaneous_fraction: Array = ABSENT
    subcutaneous_rate_per_h: Array = ABSENT
    nasal_spray_fraction: Array = ABSENT
    nasal_spray_further_device_ratio: Array = ABSENT
    nasal_spray_recovered_fraction: Array = ABSENT
    nasal_spray_rate_per_h: Array = ABSENT
    nasal_spray_swallowed_fraction: Array = ABSENT
    nasal_spray_swallowed_duration_h: Array = ABSENT
    nasal_spray_swallowed_rate_per_h: Array = ABSENT
    nasal_solution_fraction: Array = ABSENT
    nasal_solution_rate_per_h: Array = ABSENT
    sublingual_uptake_rate_per_h: Array = ABSENT
    sublingual_hold_h: Array = ABSENT
    sublingual_duration_h: Array = ABSENT
    sublingual_rate_per_h: Array = ABSENT
    sublingual_swallowed_fraction: Array = ABSENT
    sublingual_swallowed_duration_h: Array = ABSENT
    sublingual_swallowed_rate_per_h: Array = ABSENT
    sublingual_gut_transit_h: Array = ABSENT
    oral_fraction: Array = ABSENT
    oral_duration_h: Array = ABSENT
    oral_rate_per_h: Array = ABSENT
    oral_extended_release_s_fraction: Array = ABSENT
    oral_extended_release_r_fraction: Array = ABSENT
    oral_extended_release_duration_h: Array = ABSENT
    clearance_exponent: Array
    volume_exponent: Array


def flows(parameters: Parameters, *, ways: Collection[str], enantiomers: Collection[str]) -> list[Flow]:
    """Return all flows for the enantiomers and ways into the body that are used."""
    found: list[Flow] = []
    for enantiomer in enantiomers:
        found += _disposition(parameters, enantiomer)
        for way in ways:
            found += _ABSORPTION.get(way, _no_flows)(parameters, enantiomer)
    return found


def _disposition(p: Parameters, enantiomer: str) -> list[Flow]:
    parent, norketamine, hydroxy = (
        f"{enantiomer}.{name}" for name in ("ketamine", "norketamine", "hydroxynorketamine")
    )
    clearance = (
        p.r_clearance_L_per_h
        if enantiomer == "R" and p.r_clearance_L_per_h is not None
        else p.s_clearance_L_per_h
    )
    return [
        *mammillary(
            parent,
            p.central_volume_L,
            Peripheral("fast", p.fast_volume_L, p.fast_flow_L_per_h),
            Peripheral("slow", p.slow_volume_L, p.slow_flow_L_per_h),
        ),
        *elimination(
            f"{parent}.central",
            f"{norketamine}.delay_1",
            clearance / p.central_volume_L,
            p.norketamine_formed_fraction,
        ),
        *two_step_delay(norketamine, f"{norketamine}.central", p.norketamine_delay_h),
        *mammillary(
            norketamine,
            p.norketamine_central_volume_L,
            Peripheral("peripheral", p.norketamine_peripheral_volume_L, p.norketamine_flow_L_per_h),
        ),
        *elimination(
            f"{norketamine}.central",
            f"{hydroxy}.delay_1",
            p.norketamine_clearance_L_per_h / p.norketamine_central_volume_L,
            p.hydroxynorketamine_formed_fraction,
        ),
        *two_step_delay(hydroxy, f"{hydroxy}.central", p.hydroxynorketamine_delay_h),
        *mammillary(
            hydroxy,
            p.hydroxynorketamine_central_volume_L,
            Peripheral(
                "peripheral", p.hydroxynorketamine_peripheral_volume_L, p.hydroxynorketamine_flow_L_per_h
            ),
        ),
        Flow(
            f"{hydroxy}.central",
            "elsewhere",
            p.hydroxynorketamine_clearance_L_per_h / p.hydroxynorketamine_central_volume_L,
        ),
        *_venous_observer(p, enantiomer),
    ]


def _venous_observer(p: Parameters, enantiomer: str) -> list[Flow]:
    """Return the forearm vein as an observer of arterial blood and the slow compartment.

    dC_v/dt = k_v (w C_1 + (1 - w) C_3 - C_v); exploratory fit to venous boluses (docs/science).
    """
    if p.venous_rate_per_h is None or p.venous_arterial_fraction is None:
        return []
    parent, rate, share = f"{enantiomer}.ketamine", p.venous_rate_per_h, p.venous_arterial_fraction
    return [
        Flow(f"{parent}.central", f"{parent}.vein", rate * share / p.central_volume_L, depletes=False),
        Flow(f"{parent}.slow", f"{parent}.vein", rate * (1.0 - share) / p.slow_volume_L, depletes=False),
        Flow(f"{parent}.vein", None, rate),
    ]


def observed(parameters: Parameters, *, enantiomers: Collection[str]) -> Observed:
    """Return the concentrations that the set offers, for the enantiomers that are solved."""
    p, found = parameters, Observed()
    for enantiomer in enantiomers:
        letter = enantiomer.lower()
        found[f"{letter}_ketamine_arterial"] = {f"{enantiomer}.ketamine.central": 1.0 / p.central_volume_L}
        if p.venous_rate_per_h is not None:
            found[f"{letter}_ketamine_venous"] = {
                f"{enantiomer}.ketamine.vein": p.central_volume_L / p.central_volume_L
            }
        found[f"{letter}_norketamine"] = {
            f"{enantiomer}.norketamine.central": 1.0 / p.norketamine_central_volume_L
        }
        found[f"{letter}_hydroxynorketamine"] = {
            f"{enantiomer}.hydroxynorketamine.central": 1.0 / p.hydroxynorketamine_central_volume_L
        }
    return found


# --- ways into the body ------------------------------------------------------------------------


def entries(
    way: str,
    parameters: Parameters,
    enantiomer: str,
    *,
    device_index: int = 0,
    hold_h: float | None = None,
    is_spat_out: bool = False,
) -> tuple[Entry, ...] | None:
    """Return where one enantiomer of a dose enters, or None where the set does not cover the way.

    Parameters
    ----------
    way : str
        iv, intramuscular, subcutaneous, nasal_spray, nasal_solution, sublingual, oral, oral_extended_release.
    device_index : int
        0 for the first nasal device of a session; later ones deliver less through the mucosa.
    hold_h : float or None
        Time under the tongue; None is the hold of the source study.
    """
    p = parameters
    whole = p.central_volume_L / p.central_volume_L
    if way == "iv":
        return (Entry(f"{enantiomer}.ketamine.central", whole),)
    if way == "intramuscular" and p.intramuscular_fraction is not None:
        return _injected(f"{enantiomer}.muscle", p.intramuscular_fraction)
    if way == "subcutaneous" and p.subcutaneous_fraction is not None:
        return _injected(f"{enantiomer}.subcutis", p.subcutaneous_fraction)
    if way == "nasal_spray" and p.nasal_spray_fraction is not None:
        return _nasal_spray(p, enantiomer, is_first_device=device_index == 0)
    if way == "nasal_solution" and p.nasal_solution_fraction is not None:
        swallowed = 1.0 - p.nasal_solution_fraction
        return (
            Entry(f"{enantiomer}.nose", p.nasal_solution_fraction),
            Entry(f"{enantiomer}.gut", swallowed, p.oral_duration_h),
        )
    if way == "sublingual" and p.sublingual_uptake_rate_per_h is not None:
        return _sublingual(p, enantiomer, hold_h=hold_h, is_spat_out=is_spat_out)
    if way == "oral" and p.oral_fraction is not None:
        return (Entry(f"{enantiomer}.gut", whole, p.oral_duration_h),)
    if way == "oral_extended_release" and p.oral_extended_release_s_fraction is not None:
        return _extended_release(p, enantiomer)
    return None


def _injected(depot: str, fraction: Array) -> tuple[Entry, ...]:
    """Return the share of an injection that will be absorbed, and the rest, which is only counted."""
    return (Entry(depot, fraction), Entry("elsewhere", 1.0 - fraction))


def _nasal_spray(p: Parameters, enantiomer: str, *, is_first_device: bool) -> tuple[Entry, ...]:
    """Return mucosal and swallowed shares of one device; what is not recovered is only counted."""
    fraction = (
        p.nasal_spray_fraction
        if is_first_device
        else p.nasal_spray_fraction * p.nasal_spray_further_device_ratio
    )
    recovered = p.nasal_spray_recovered_fraction
    return (
        Entry(f"{enantiomer}.spray", recovered * fraction),
        Entry(f"{enantiomer}.spray_gut", recovered * (1.0 - fraction), p.nasal_spray_swallowed_duration_h),
        Entry("elsewhere", 1.0 - recovered),
    )


def _sublingual(
    p: Parameters, enantiomer: str, *, hold_h: float | None, is_spat_out: bool
) -> tuple[Entry, ...]:
    """Return the share taken up while held, 1 - exp(-k hold), and what is swallowed after it."""
    hold = p.sublingual_hold_h if hold_h is None else np.full_like(p.sublingual_hold_h, hold_h)
    taken = -np.expm1(-p.sublingual_uptake_rate_per_h * hold)
    mucosa = Entry(f"{enantiomer}.mucosa", taken, p.sublingual_duration_h)
    if is_spat_out:
        return (mucosa,)
    swallowed = (1.0 - taken) * p.sublingual_swallowed_fraction
    return (mucosa, Entry(f"{enantiomer}.film_gut", swallowed, p.sublingual_swallowed_duration_h))


def _extended_release(p: Parameters, enantiomer: str) -> tuple[Entry, ...]:
    fraction = p.oral_extended_release_r_fraction if enantiomer == "R" else p.oral_extended_release_s_fraction
    lost = (1.0 - fraction) * p.first_pass_norketamine_fraction
    return (
        Entry(f"{enantiomer}.ketamine.central", fraction, p.oral_extended_release_duration_h),
        Entry(f"{enantiomer}.norketamine.delay_1", lost, p.oral_extended_release_duration_h),
        Entry("elsewhere", 1.0 - fraction - lost, p.oral_extended_release_duration_h),
    )


def _no_flows(p: Parameters, enantiomer: str) -> list[Flow]:
    return []


def _depot(name: str, field: str):
    def build(p: Parameters, enantiomer: str) -> list[Flow]:
        return [Flow(f"{enantiomer}.{name}", f"{enantiomer}.ketamine.central", getattr(p, field))]

    return build


def _swallowed(p: Parameters, enantiomer: str, node: str, rate_per_h: Array, fraction: Array) -> list[Flow]:
    """Return a gut depot: a fraction escapes first pass, of the rest a part becomes norketamine."""
    formed = p.first_pass_norketamine_fraction
    return [
        Flow(node, f"{enantiomer}.ketamine.central", rate_per_h * fraction),
        Flow(node, f"{enantiomer}.norketamine.delay_1", rate_per_h * (1.0 - fraction) * formed),
        Flow(node, "elsewhere", rate_per_h * (1.0 - fraction) * (1.0 - formed)),
    ]


def _oral(p: Parameters, enantiomer: str) -> list[Flow]:
    return _swallowed(p, enantiomer, f"{enantiomer}.gut", p.oral_rate_per_h, p.oral_fraction)


def _spray(p: Parameters, enantiomer: str) -> list[Flow]:
    return [
        Flow(f"{enantiomer}.spray", f"{enantiomer}.ketamine.central", p.nasal_spray_rate_per_h),
        *_swallowed(
            p,
            enantiomer,
            f"{enantiomer}.spray_gut",
            p.nasal_spray_swallowed_rate_per_h,
            p.nasal_spray_swallowed_fraction,
        ),
    ]


def _solution(p: Parameters, enantiomer: str) -> list[Flow]:
    nose = Flow(f"{enantiomer}.nose", f"{enantiomer}.ketamine.central", p.nasal_solution_rate_per_h)
    return [nose, *_oral(p, enantiomer)]


def _film(p: Parameters, enantiomer: str) -> list[Flow]:
    """Return the mucosa depot and the swallowed film: gut, liver, norketamine; no parent (Simons2022)."""
    transit_rate_per_h = 1.0 / p.sublingual_gut_transit_h
    formed = p.first_pass_norketamine_fraction
    return [
        Flow(f"{enantiomer}.mucosa", f"{enantiomer}.ketamine.central", p.sublingual_rate_per_h),
        Flow(f"{enantiomer}.film_gut", f"{enantiomer}.film_liver", p.sublingual_swallowed_rate_per_h),
        Flow(f"{enantiomer}.film_liver", f"{enantiomer}.norketamine.delay_1", transit_rate_per_h * formed),
        Flow(f"{enantiomer}.film_liver", "elsewhere", transit_rate_per_h * (1.0 - formed)),
    ]


_ABSORPTION = {
    "intramuscular": _depot("muscle", "intramuscular_rate_per_h"),
    "subcutaneous": _depot("subcutis", "subcutaneous_rate_per_h"),
    "nasal_spray": _spray,
    "nasal_solution": _solution,
    "sublingual": _film,
    "oral": _oral,
}
