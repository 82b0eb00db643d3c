"""What is asked of a simulation: who, what, when; checks before it, and what must be said beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import index as whole_number

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.limits import limit
from euthymia.dosing.order import Dose, Order, TherapySession
from euthymia.dosing.regimen import Regimen
from euthymia.errors import InvalidInputError, invalid, unknown
from euthymia.model.concentrations import session_starts_h
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.model.pk import STRUCTURES, Given, check_covered, parts_of, totals, used_fields, way_of
from euthymia.model.variables import find_variable
from euthymia.population.patient import Patient
from euthymia.tables import read_table

Array = NDArray[np.float64]
MEMORY_LIMIT_BYTES = 8e9
MOST_AGES_LISTED = 20
"""Ages that are said one by one beside a result; more are said as a range."""


def people_of(
    patients: int | Sequence[Patient] | None,
    patient: Patient | None,
    numbers: Sequence[int] | NDArray[np.int64] | None = None,
) -> tuple[Sequence[Patient], NDArray[np.int64] | None]:
    """Return the patients and the numbers that key their draws (None: typical)."""
    everyone = patient or Patient()
    if numbers is not None and not isinstance(patients, Sequence):
        raise invalid("numbers", must="used with listed patients", got=f"patients {patients!r}")
    if patients is None:
        return [everyone], None
    if isinstance(patients, Sequence):
        if patient is not None:
            raise invalid("patient", must="absent where 'patients' lists patients", got="both")
        if not patients:
            raise invalid("patients", must="at least one patient", got="an empty list")
        return list(patients), _numbers(numbers, len(patients))
    count = whole("patients", patients)
    if count < 1:
        raise invalid("patients", must="1 or more", got=count, cure="Leave it out for one typical patient.")
    check_memory(count, times=60, variables=1)
    return [everyone] * count, np.arange(1, count + 1)


def _numbers(numbers: Sequence[int] | NDArray[np.int64] | None, count: int) -> NDArray[np.int64]:
    if numbers is None:
        return np.arange(1, count + 1)
    array = np.asarray(numbers)
    if array.shape != (count,) or array.dtype.kind not in "iu" or (array < 1).any():
        raise invalid("numbers", must=f"{count} whole numbers from 1, one a patient", got=f"{numbers!r:.60}")
    return array.astype(np.int64)


def whole(field: str, value: object) -> int:
    """Return a whole number, or raise; True is none."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return whole_number(value)  # type: ignore[arg-type]
    except TypeError:
        raise invalid(field, must="a whole number", got=repr(value)) from None


def check_memory(patients: int, times: int, variables: int) -> None:
    """Raise where a result would not fit into memory."""
    needed = 8.0 * patients * times * variables
    if needed > MEMORY_LIMIT_BYTES:
        raise invalid(
            "patients",
            must=f"so many that patients x times x variables fit into {MEMORY_LIMIT_BYTES / 1e9:g} GB",
            got=f"{patients} x {times} x {variables}, {needed / 1e9:.1f} GB",
            cure="Name fewer variables, times or patients.",
        )


def is_ketamine_dose(dose: Dose) -> bool:
    """Tell whether a dose is of a drug with pharmacokinetics here: ketamine or an enantiomer."""
    return find_drug(dose.drug).is_ketamine


def check_doses(parameters: ParameterSet, doses: Sequence[Dose]) -> None:
    """Raise where no ketamine is given, or a set does not cover what is."""
    if not doses:
        message = (
            "A regimen must give ketamine, esketamine or arketamine at least once. Got none. "
            "Example: 'ketamine 0.5 mg/kg iv over 40 min'."
        )
        raise InvalidInputError(message)
    check_covered(parameters, doses)


def check_days(
    days: object, last_h: float, *, last: str = "dose", default: str = "48 h after the last dose"
) -> None:
    """Raise where a horizon is no number, ends before the last item, or lies beyond the limit of times."""
    if isinstance(days, bool) or not isinstance(days, int | float | np.integer | np.floating):
        raise invalid("days", must="a number", got=repr(days))
    longest_days = limit("time_h").high / 24.0
    if not last_h / 24.0 <= days <= longest_days or not days > 0:
        raise invalid(
            "days",
            must=f"{last_h / 24.0:.3g} (end of the last {last}) to {longest_days:g} (rules/dosing.toml)",
            got=f"{days:g}",
            cure=f"Leave it out for {default}.",
        )


def checked_times(times_h: Sequence[float] | NDArray[np.float64]) -> Array:
    """Return times as an array, or raise where they are no ascending hours."""
    try:
        times = np.asarray(times_h, float)
    except (TypeError, ValueError):
        raise invalid("times_h", must="a list of finite hours", got=repr(times_h)) from None
    if times.ndim != 1 or not len(times) or not np.all(np.isfinite(times)):
        raise invalid("times_h", must="a list of finite hours", got=f"shape {times.shape}")
    bounds = limit("time_h")
    if times[0] < bounds.low or times[-1] > bounds.high:
        raise invalid("times_h", must=f"{bounds} h", got=f"{times[0]:g} to {times[-1]:g}")
    if np.any(np.diff(times) <= 0):
        place = int(np.flatnonzero(np.diff(times) <= 0)[0]) + 1
        raise invalid(
            "times_h", must="strictly ascending", got=f"{times[place]:g} h after {times[place - 1]:g} h"
        )
    return times


def check_covariates(parameters: ParameterSet, people: Sequence[Patient]) -> None:
    """Raise where a set has no parameter that liver or comedication could change."""
    if parameters.structure != "hepatic":
        return
    if any(one.comedications or one.hepatic_class not in (None, "normal") for one in people):
        message = (
            f"The set {parameters.name!r} has no effect of liver or comedication, and none can be taken from "
            "elsewhere: its clearance is blood flow times extraction. Use the set 'composed'."
        )
        raise InvalidInputError(message)


def stems_of(
    parameters: ParameterSet, variables: Sequence[str] | None, doses: Sequence[Dose]
) -> tuple[str, ...] | None:
    """Return the stems asked for, all of which the set must offer for these drugs."""
    if variables is None:
        return None
    offered = offered_stems(parameters, [dose.drug for dose in doses])
    stems = []
    for name in variables:
        stem = find_variable(name).stem
        if stem not in offered:
            raise unknown("variable of this set and drug", name, offered, cure="See 'euthymia variables'.")
        stems.append(stem)
    return tuple(dict.fromkeys(stems))


def offered_stems(parameters: ParameterSet, drugs: Sequence[str]) -> tuple[str, ...]:
    """Return the observables that a set offers for some drugs."""
    values = {name: np.asarray(row.value) for name, row in parameters.rows.items()}
    structure = STRUCTURES[parameters.structure]
    parts = parts_of(drugs) if parameters.structure == "enantiomers" else ("S",)
    found = tuple(structure.observed(structure.record(**values), parts, parameters.site))
    return (*found, *totals(found))


def session_mg_per_kg(doses: Sequence[Dose], weight_kg: float) -> list[float]:
    """Return the amounts per kg of each session of one person (devices and steps belong together)."""
    starts = np.array(session_starts_h([Given(dose) for dose in doses]))
    totals = np.zeros(len(starts))
    for dose in doses:
        mass = find_drug(dose.drug).molar_mass_g_per_mol or 0.0
        session = int(np.searchsorted(starts, dose.start_h, side="right")) - 1
        totals[session] += float(np.ravel(dose.amount_umol)[0]) * mass / 1000.0 / weight_kg
    return [float(total) for total in totals]


def warnings_of(
    parameters: ParameterSet, people: Sequence[Patient], sessions_mg_per_kg: Sequence[float]
) -> tuple[str, ...]:
    """Return what must be said about a result: outside a range, or resting on unverified rows."""
    notes: list[str] = []
    valid = parameters.valid
    weights = np.array([one.weight_kg for one in people])
    notes += _outside("weight_kg", "kg", weights, valid.weight_kg, parameters)
    ages = np.array([one.age_years for one in people if one.age_years is not None])
    notes += _outside("age_years", "years", ages, valid.age_years, parameters)
    given = np.array([amount for amount in sessions_mg_per_kg if amount > 0])
    notes += _outside("dose", "mg/kg", given, valid.dose_mg_per_kg, parameters)
    recalled = {
        row["class"]: row for row in read_table("hepatic.csv") if row["confidence"].startswith("recalled")
    }
    for name in dict.fromkeys(one.hepatic_class for one in people if one.hepatic_class in recalled):
        notes.append(
            f"Hepatic class {name!r}: its AUC ratio {recalled[name]['systemic_auc_ratio']} is recalled, not "
            "verified; only its direction was seen in the label."
        )
    if parameters.structure != "hepatic":
        threshold = load_parameters("perez-ruixo-2021").rows["liver_flow_loss_from_age_years"].value
        stated = {
            "age_years": bool(np.any(ages > threshold)),
            "ancestry": any(one.ancestry for one in people),
        }
        notes += [
            f"'{field}' has no effect on concentrations in the set {parameters.name!r}; "
            "in perez-ruixo-2021 it has one."
            for field, is_stated in stated.items()
            if is_stated
        ]
    changed = any(one.hepatic_class or one.comedications for one in people)
    if changed and parameters.structure not in ("enantiomers",):
        notes.append(
            f"The set {parameters.name!r} has no first pass to change: only its clearance follows the liver."
        )
    return tuple(notes)


def _outside(
    field: str, unit: str, values: NDArray[np.float64], bounds: tuple[float, float], parameters: ParameterSet
) -> list[str]:
    low, high = bounds
    if not len(values) or (values.min() >= low * (1 - 1e-9) and values.max() <= high * (1 + 1e-9)):
        return []
    given = (
        f"{values.min():.3g}" if values.min() == values.max() else f"{values.min():.3g}–{values.max():.3g}"
    )
    return [
        f"'{field}' {given} {unit} lies outside {low:g}–{high:g} {unit}, the {parameters.valid.basis} range "
        f"of the set {parameters.name!r} ({parameters.population}): an extrapolation."
    ]


def cautions_of(
    parameters: ParameterSet, doses: Sequence[Dose], people: Sequence[Patient]
) -> tuple[str, ...]:
    """Return what always stands beside a result of some routes or patients (``routes.csv``).

    No Python warning: nothing about the call is unusual.
    """
    ways = {way_of(dose.drug, dose.route) for dose in doses} if parameters.name == DEFAULT_SET else set()
    found = [row["caution"] for row in read_table("routes.csv") if row["caution"] and row["way"] in ways]
    if any(one.comedications for one in people):
        found.append(
            "Comedication changes clearance and first pass of ketamine only; that of norketamine and "
            "hydroxynorketamine is left alone, though inhibitors and inducers were seen to lower norketamine."
        )
    return tuple(found)


def left_out(plan: Regimen) -> tuple[str, ...]:
    """Return what must be said about drugs and sessions that this version cannot let act."""
    items = [item for _, item in plan.items]
    drugs = dict.fromkeys(item.drug for item in items if isinstance(item, Order))
    sessions = dict.fromkeys(item.therapy for item in items if isinstance(item, TherapySession))
    others = [f"{drug} has no pharmacokinetics" for drug in drugs if not find_drug(drug).is_ketamine]
    others += [f"{session} has no effect" for session in sessions]
    return tuple(f"{other} in this version: it changes nothing here." for other in others)


def sources_of(parameters: ParameterSet, doses: Sequence[Dose], people: Sequence[Patient]) -> tuple[str, ...]:
    """Return the sources of the numbers that were used, not of the whole set."""
    fields = used_fields(parameters, doses)
    used = {source for name in fields for source in parameters.rows[name].source.split(";")}
    drugs = {drug for one in people for drug in one.comedications}
    used |= {row["source"] for row in read_table("comedications.csv") if row["name"] in drugs}
    classes = {one.hepatic_class for one in people}
    used |= {row["source"] for row in read_table("hepatic.csv") if row["class"] in classes}
    return tuple(sorted(used))


def covariates_of(people: Sequence[Patient]) -> tuple[str, ...]:
    """Return what was stated of the patients beside their weight, each once; many ages as their range."""
    found: list[str] = []
    ages = {one.age_years for one in people if one.age_years is not None}
    if len(ages) > MOST_AGES_LISTED:
        found.append(f"age {min(ages):g}–{max(ages):g} years")
        people = [replace(one, age_years=None) for one in people]
    for one in dict.fromkeys(people):
        found += [f"age {one.age_years:g} years"] if one.age_years is not None else []
        found += [f"ancestry {one.ancestry}"] if one.ancestry else []
        found += [f"hepatic class {one.hepatic_class}"] if one.hepatic_class else []
        found += [f"with {drug}" for drug in one.comedications]
        found += ["hypertension"] if one.is_hypertensive else []
    return tuple(dict.fromkeys(found))
