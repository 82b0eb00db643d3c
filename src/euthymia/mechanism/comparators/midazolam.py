"""Midazolam by vein: three compartments and a site that plasma reaches with a delay."""

from __future__ import annotations

from typing import Any, NamedTuple

from euthymia.mechanism.pk.disposition import Flow, Peripheral, mammillary


class Parameters(NamedTuple):
    """Disposition of total midazolam in plasma of adults, and how fast its site follows."""

    central_volume_L: Any
    fast_volume_L: Any
    fast_flow_L_per_h: Any
    slow_volume_L: Any
    slow_flow_L_per_h: Any
    clearance_L_per_h: Any
    equilibration_rate_per_h: Any


CENTRAL, SITE = "midazolam.central", "midazolam.site"


def flows(parameters: Parameters) -> list[Flow]:
    """Return the flows between compartments, and the site that watches plasma without draining it."""
    p = parameters
    return [
        *mammillary(
            "midazolam",
            p.central_volume_L,
            Peripheral("fast", p.fast_volume_L, p.fast_flow_L_per_h),
            Peripheral("slow", p.slow_volume_L, p.slow_flow_L_per_h),
        ),
        Flow(CENTRAL, None, p.clearance_L_per_h / p.central_volume_L),
        Flow(CENTRAL, SITE, p.equilibration_rate_per_h / p.central_volume_L, depletes=False),
        Flow(SITE, None, p.equilibration_rate_per_h),
    ]


def readings(parameters: Parameters) -> dict[str, dict[str, Any]]:
    """Return what is read off the compartments: total concentration at the site, umol/L, and its slope."""
    p = parameters
    rate = p.equilibration_rate_per_h
    return {
        "midazolam_site_umol_per_L": {SITE: rate / rate},
        "midazolam_site_umol_per_L.slope": {CENTRAL: rate / p.central_volume_L, SITE: -rate},
    }
