"""What is given -> what the layers need; the only file that knows dosing, layers and engine together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.order import Dose, Route
from euthymia.engine.linear import Input, LinearSystem, assemble
from euthymia.errors import InvalidInputError
from euthymia.mechanism.pk import compartments, enantiomers, hepatic
from euthymia.mechanism.pk.disposition import Entry, Flow, Observed
from euthymia.model.parameters import ParameterSet, load_parameters, set_names

Array = NDArray[np.float64]


class Given(NamedTuple):
    """A dose as it enters the model: repeated for ever at an interval (steady state), or once."""

    dose: Dose
    steady_interval_h: float | None = None
    steady_from_h: float = 0.0


class PkModel(NamedTuple):
    """The pharmacokinetics of one batch of patients, ready to be solved."""

    system: LinearSystem
    inputs: tuple[Input, ...]
    observed: Observed
    given_umol: Array
    reaching_umol: Array


class Wired(NamedTuple):
    """Flows, inputs and observables before anything is solved; arithmetic on the values handed over."""

    flows: list[Flow]
    inputs: list[Input]
    observed: Observed


@dataclass(frozen=True, slots=True)
class Structure:
    """How one form of pharmacokinetic model is put together from its parameter record."""

    record: type
    flows: Callable[[Any, Collection[str], Collection[str]], list[Flow]]
    observed: Callable[[Any, Collection[str], str], Observed]
    entries: Callable[[str, Any, str, Dose], tuple[Entry, ...] | None]
    time_variant_field: str | None = None


def _site_name(stem: str, site: str) -> str:
    return f"{stem}_{site}"


def _enantiomer_entries(way: str, record: Any, part: str, dose: Dose) -> tuple[Entry, ...] | None:
    return enantiomers.entries(
        way, record, part, device_index=dose.device_index, hold_h=dose.hold_h, is_spat_out=dose.spat_out
    )


def _central_only(node: str) -> Callable[[str, Any, str, Dose], tuple[Entry, ...] | None]:
    def entries(way: str, record: Any, part: str, dose: Dose) -> tuple[Entry, ...] | None:
        return (Entry(node, np.ones_like(record.central_volume_L)),) if way == "iv" else None

    return entries


STRUCTURES: dict[str, Structure] = {
    "enantiomers": Structure(
        enantiomers.Parameters,
        lambda record, ways, parts: enantiomers.flows(record, ways=ways, enantiomers=parts),
        lambda record, parts, site: enantiomers.observed(record, enantiomers=parts),
        _enantiomer_entries,
    ),
    "mammillary": Structure(
        compartments.Mammillary,
        lambda record, ways, parts: compartments.mammillary_flows(record),
        lambda record, parts, site: compartments.mammillary_observed(
            record, name=_site_name("ketamine", site)
        ),
        _central_only("ketamine.central"),
    ),
    "parent_metabolite": Structure(
        compartments.ParentMetabolite,
        lambda record, ways, parts: compartments.parent_metabolite_flows(record),
        lambda record, parts, site: compartments.parent_metabolite_observed(
            record, name=_site_name("s_ketamine", site)
        ),
        _central_only("S.ketamine.central"),
        time_variant_field="norketamine_clearance_increase_per_h",
    ),
    "hepatic": Structure(
        hepatic.Parameters,
        lambda record, ways, parts: hepatic.flows(record),
        lambda record, parts, site: hepatic.observed(record, name=_site_name("s_ketamine", site)),
        lambda way, record, part, dose: hepatic.entries(way, record, device_index=dose.device_index),
    ),
}

_WAYS = {
    Route.IV_BOLUS: "iv",
    Route.IV_INFUSION: "iv",
    Route.INTRAMUSCULAR: "intramuscular",
    Route.SUBCUTANEOUS: "subcutaneous",
    Route.SUBLINGUAL: "sublingual",
    Route.ORAL: "oral",
    Route.ORAL_EXTENDED_RELEASE: "oral_extended_release",
}


def way_of(drug: str, route: Route) -> str:
    """Return the way into the body: the route, with the nasal device told from the drug."""
    if route is Route.INTRANASAL:
        return "nasal_spray" if drug == "esketamine" else "nasal_solution"
    return _WAYS[route]


def parts_of(drugs: Collection[str]) -> tuple[str, ...]:
    """Return which enantiomers are given: ``S``, ``R`` or both."""
    shares = [find_drug(drug).s_fraction or 0.0 for drug in drugs]
    return tuple(
        part
        for part, is_given in (("S", any(s > 0 for s in shares)), ("R", any(s < 1 for s in shares)))
        if is_given
    )


def record_of(parameters: ParameterSet, values: Mapping[str, Array]) -> Any:
    """Return the record of a set's structure filled with individual values, each (P,)."""
    return STRUCTURES[parameters.structure].record(**values)


def check_covered(parameters: ParameterSet, doses: Sequence[Dose]) -> None:
    """Raise where a set cannot answer for a drug or a way, naming the sets that can."""
    for dose in doses:
        way = way_of(dose.drug, dose.route)
        if dose.drug in parameters.drugs and way in parameters.ways:
            continue
        others = [
            name
            for name in set_names()
            if (one := load_parameters(name)) and dose.drug in one.drugs and way in one.ways
        ]
        given = f"{dose.drug} {dose.route.value.replace('_', ' ')}"
        cure = (
            f"Sets that cover it: {', '.join(others)}." if others else "No set has pharmacokinetics for it."
        )
        covered = f"{' and '.join(parameters.drugs)} by {', '.join(parameters.ways)}"
        message = f"The set {parameters.name!r} covers {covered}. Got {given}. {cure}"
        raise InvalidInputError(message)


def wire_pk(
    parameters: ParameterSet,
    values: Mapping[str, Array],
    given: Sequence[Given],
    *,
    patient_count: int,
    extend: Callable[[Observed], Sequence[Flow]] | None = None,
) -> PkModel:
    """Return the flows, inputs and observables of a batch of patients.

    Parameters
    ----------
    parameters : ParameterSet
    values : {field: array (P,) or ()}
        Individual values; a value that is the same for every patient by construction is a scalar array, and
        durations that are scalar become grid points. Fields that the set lacks are absent.
    given : sequence of Given
        Doses whose amounts are (P,) or shared.
    patient_count : int
        P.
    extend : callable or None
        Given what can be observed, returns flows to add: observers such as effect sites.
    """
    wired = wire_flows(parameters, values, given, extend=extend)
    system = assemble(wired.flows, patient_count)
    known, total = set(system.nodes), np.zeros(patient_count)
    for one in given:
        total = total + one.dose.amount_umol
    inputs = [
        item._replace(amount=np.broadcast_to(item.amount, (patient_count,)))
        for item in wired.inputs
        if item.node in known
    ]
    return PkModel(
        system=system,
        inputs=tuple(inputs),
        observed=wired.observed,
        given_umol=total,
        reaching_umol=_reaching(system, inputs),
    )


def wire_flows(
    parameters: ParameterSet,
    values: Mapping[str, Any],
    given: Sequence[Given],
    *,
    extend: Callable[[Observed], Sequence[Flow]] | None = None,
) -> Wired:
    """Return the flows, inputs and observables of a batch of patients, not yet made a system.

    Arguments as for :func:`wire_pk`. Values may be arrays of JAX, but for those of sublingual doses.
    """
    structure = STRUCTURES[parameters.structure]
    record = record_of(parameters, values)
    drugs = list(dict.fromkeys(one.dose.drug for one in given))
    ways = list(dict.fromkeys(way_of(one.dose.drug, one.dose.route) for one in given))
    parts = parts_of(drugs) if parameters.structure == "enantiomers" else ("S",)
    inputs = [
        _input(node, amount, entry, one)
        for one in given
        for node, amount, entry in _shares(structure, record, parts, parameters.structure, one.dose)
    ]
    observed = structure.observed(record, parts, parameters.site)
    flows = [*structure.flows(record, ways, parts), *(extend(observed) if extend else ())]
    return Wired(flows, inputs, observed)


def _shares(
    structure: Structure, record: Any, parts: Collection[str], kind: str, dose: Dose
) -> list[tuple[str, Array, Entry]]:
    """Return (node, amount of it, how) for everything that one dose turns into."""
    way = way_of(dose.drug, dose.route)
    found = []
    for part in parts:
        share = _share_of(part, dose.drug) if kind == "enantiomers" else 1.0
        if share == 0.0:
            continue
        for entry in structure.entries(way, record, part, dose) or ():
            found.append((entry.node, share * dose.amount_umol * entry.fraction, entry))
    return found


def _share_of(part: str, drug: str) -> float:
    s_fraction = find_drug(drug).s_fraction or 0.0
    return s_fraction if part == "S" else 1.0 - s_fraction


def _input(node: str, amount: Array, entry: Entry, one: Given) -> Input:
    return Input(
        node=node,
        amount=amount,
        start_h=one.dose.start_h,
        duration_h=_plain(one.dose.duration_h if entry.duration_h is None else entry.duration_h),
        lag_h=0.0 if entry.lag_h is None else _plain(entry.lag_h),
        steady_interval_h=one.steady_interval_h,
        steady_from_h=one.steady_from_h,
    )


def _plain(value: float | Array) -> float | Array:
    """Return a number where all patients share it by construction, so that it may be a grid point."""
    return float(value) if np.ndim(value) == 0 else value


def _reaching(system: LinearSystem, inputs: Sequence[Input]) -> Array:
    """Return the moles of ketamine that ever reach central plasma for the first time, (P,).

    Walks each input node's depots: the share of what enters that flows on into a ketamine compartment.
    """
    arriving: dict[str, Array] = {}
    centre = {
        name for name in system.nodes if name.endswith("ketamine.central") and "norketamine" not in name
    }
    total = np.zeros(system.patient_count)
    for item in inputs:
        if item.node not in arriving:
            arriving[item.node] = _share_arriving(system, item.node, centre)
        total = total + item.amount * arriving[item.node]
    return total


def _share_arriving(system: LinearSystem, node: str, centre: Collection[str]) -> Array:
    """Return the share of what is in a node that will reach the centre, (P,), following first passes only.

    A ketamine compartment that exchanges with the centre (a liver) gives back its share against elimination.
    """
    if node in centre:
        return np.ones(system.patient_count)
    out = [(target, rate) for source, target, rate, depletes in system.flows if source == node and depletes]
    total = sum((rate for _, rate in out), np.zeros(system.patient_count))
    share = np.zeros(system.patient_count)
    for target, rate in out:
        if (
            target is not None
            and not target.startswith("elsewhere")
            and "norketamine" not in target
            and target != node
        ):
            share = share + rate / np.where(total > 0, total, 1.0) * _share_arriving(system, target, centre)
    return share


_FIELDS_OF_WAYS = {
    "intramuscular": ("intramuscular_",),
    "subcutaneous": ("subcutaneous_",),
    "nasal_spray": ("nasal_spray_", "gut_escape_"),
    "nasal_solution": ("nasal_solution_", "oral_duration", "oral_rate", "oral_fraction"),
    "sublingual": ("sublingual_",),
    "oral": ("oral_duration", "oral_rate", "oral_fraction", "gut_escape_"),
    "oral_extended_release": ("oral_extended_release_",),
}


def used_fields(parameters: ParameterSet, doses: Sequence[Dose]) -> tuple[str, ...]:
    """Return the fields of a set that some doses make use of: absorption only of the ways given."""
    ways = {way_of(dose.drug, dose.route) for dose in doses}
    starts = {start for one in _FIELDS_OF_WAYS.values() for start in one}
    wanted = tuple(start for way in ways for start in _FIELDS_OF_WAYS.get(way, ()))
    parts = parts_of([dose.drug for dose in doses])
    return tuple(
        name
        for name in parameters.rows
        if (not name.startswith(tuple(starts)) or name.startswith(wanted))
        and (name[:2] not in ("s_", "r_") or name[0].upper() in parts)
    )


def totals(parts: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return {stem of a total: stems that add up to it}: both enantiomers, or the only one."""
    found: dict[str, tuple[str, ...]] = {}
    for stem in parts:
        if stem[:2] in ("s_", "r_"):
            found[stem[2:]] = (*found.get(stem[2:], ()), stem)
    return found


def record_fields(structure: str) -> dict[str, bool]:
    """Return the fields of a structure's record and whether each may be absent."""
    from dataclasses import MISSING

    return {field.name: field.default is not MISSING for field in fields(STRUCTURES[structure].record)}
