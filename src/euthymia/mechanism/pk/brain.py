"""Unbound concentrations at the site of action in the brain, and NMDA potency in S-ketamine equivalents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from euthymia.mechanism.pk.disposition import Array, Flow


class Parameters(NamedTuple):
    """Equilibration with arterial plasma, unbound fractions, and potency relative to S-ketamine."""

    equilibration_rate_per_h: Any
    unbound_ketamine_fraction: Any
    unbound_norketamine_fraction: Any
    unbound_partition_ratio: Any
    r_ketamine_weight_relative: Any
    s_norketamine_weight_relative: Any
    r_norketamine_weight_relative: Any
    hydroxynorketamine_weight_relative: Any


def potencies(parameters: Parameters) -> dict[str, Any]:
    """Return the NMDA potency of each substance relative to S-ketamine, by name (``R.ketamine``)."""
    p = parameters
    return {
        "S.ketamine": 1.0,
        "R.ketamine": p.r_ketamine_weight_relative,
        "S.norketamine": p.s_norketamine_weight_relative,
        "R.norketamine": p.r_norketamine_weight_relative,
        "S.hydroxynorketamine": p.hydroxynorketamine_weight_relative,
        "R.hydroxynorketamine": p.hydroxynorketamine_weight_relative,
    }


def sites(
    parameters: Parameters, plasma: Mapping[str, Mapping[str, Array]], substances: Collection[str]
) -> tuple[list[Flow], dict[str, dict[str, Array]], dict[str, dict[str, Array]]]:
    """Return the flows of effect sites that watch plasma without draining it, and what is read off them.

    dc/dt = k_e0 (Kp,uu f_u C_arterial - c)

    Parameters
    ----------
    plasma : {substance: {node: 1 / volume}}
        Total concentration of each substance in arterial plasma.
    substances : collection of str
        ``S.ketamine``, ``R.norketamine`` ...

    Returns
    -------
    flows : list of Flow
    concentrations : {substance: {node: weight}}
        Unbound, umol/L.
    slopes : {substance: {node: weight}}
        Their derivative, umol/L per hour.
    """
    p, rate = parameters, parameters.equilibration_rate_per_h
    flows: list[Flow] = []
    concentrations: dict[str, dict[str, Array]] = {}
    slopes: dict[str, dict[str, Array]] = {}
    for substance in substances:
        is_ketamine = substance.endswith(".ketamine")
        unbound = p.unbound_ketamine_fraction if is_ketamine else p.unbound_norketamine_fraction
        site = f"{substance}.site"
        entering = {
            node: rate * p.unbound_partition_ratio * unbound * weight
            for node, weight in plasma[substance].items()
        }
        flows += [Flow(node, site, inflow, depletes=False) for node, inflow in entering.items()]
        flows.append(Flow(site, None, rate))
        concentrations[substance] = {site: rate / rate}
        slopes[substance] = {**entering, site: -rate}
    return flows, concentrations, slopes
