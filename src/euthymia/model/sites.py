"""Doses -> flows, inputs and readings of the sites of action, before anything is solved.

Arithmetic on the values handed over, so that these may be arrays of NumPy or of JAX.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from euthymia.dosing.order import Dose
from euthymia.engine.linear import Input
from euthymia.mechanism.comparators import midazolam
from euthymia.mechanism.pk import brain
from euthymia.mechanism.pk.disposition import Array, Flow
from euthymia.model import wiring
from euthymia.model.parameters import ParameterSet
from euthymia.model.pk import Given, parts_of, wire_flows

NEEDED_BY = {
    "R.ketamine": ("signalling.r_route_weight_fraction", "signalling.trkb_binding_weight_fraction"),
    "R.hydroxynorketamine": ("signalling.metabolite_weight_fraction",),
}
"""Substances at the site that only some mechanisms read, by the switches that turn these on."""
KINDS = ("ketamine", "norketamine", "hydroxynorketamine")


class Wired(NamedTuple):
    """A linear system in parts: flows, inputs, and {name of a drive, or of its slope: {node: weight}}."""

    flows: list[Flow]
    inputs: list[Input]
    readings: dict[str, dict[str, Any]]


def wire_sites(
    parameters: ParameterSet,
    pk_values: Mapping[str, Any],
    chain_values: Mapping[str, Any],
    given: Sequence[Given],
    *,
    has_all: bool = False,
) -> Wired:
    """Return what ketamine and its metabolites do at the site, umol/L, and per hour for ``.slope``.

    Parameters
    ----------
    has_all : bool
        Whether substances of no potency are followed too: a potency may not be looked at where one
        differentiates by it, and its derivative is not 0 where it is.
    """
    site = wiring.record(brain.Parameters, "site", chain_values)
    parts, potency = parts_of([one.dose.drug for one in given]), brain.potencies(site)
    named = {"S.ketamine": wiring.SITES[1]} | {
        substance: f"{substance.lower().replace('.', '_')}_site_umol_per_L"
        for substance, fields in NEEDED_BY.items()
        if any(chain_values[field] for field in fields)
    }
    substances = [
        name
        for name in (f"{part}.{kind}" for part in parts for kind in KINDS)
        if has_all or name in named or _is_anywhere_positive(potency[name])
    ]
    readings: dict[str, dict[str, Any]] = {}

    def extend(observed: Mapping[str, Mapping[str, Array]]) -> list[Flow]:
        plasma = {
            f"{part}.{kind}": observed[f"{part.lower()}_{kind}{'_arterial' if kind == 'ketamine' else ''}"]
            for part in parts
            for kind in KINDS
        }
        flows, concentrations, slopes = brain.sites(site, plasma, substances)
        for ending, weights in (("", concentrations), (".slope", slopes)):
            total: dict[str, Any] = {}
            for substance in substances:
                for node, weight in weights[substance].items():
                    total[node] = total.get(node, 0.0) + potency[substance] * weight
            readings[f"{wiring.SITES[0]}{ending}"] = total
            for substance, name in named.items():
                if substance in weights:
                    readings[f"{name}{ending}"] = dict(weights[substance])
        return flows

    wired = wire_flows(parameters, pk_values, given, extend=extend)
    return Wired(wired.flows, wired.inputs, readings)


def wire_midazolam(chain_values: Mapping[str, Any], doses: Sequence[Dose]) -> Wired:
    """Return what midazolam does at its site, umol/L in plasma, and per hour for ``.slope``."""
    parameters = wiring.record(midazolam.Parameters, "midazolam", chain_values)
    inputs = [
        Input(midazolam.CENTRAL, np.asarray(dose.amount_umol), dose.start_h, dose.duration_h)
        for dose in doses
    ]
    return Wired(midazolam.flows(parameters), inputs, midazolam.readings(parameters))


def _is_anywhere_positive(potency: Any) -> bool:
    return bool(np.any(np.asarray(potency) > 0.0))
