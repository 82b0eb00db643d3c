"""The public simulation: a regimen in one typical patient or in many virtual ones."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from operator import index as whole_number
from os import cpu_count

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.batch import chunks
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.dosing.drug import find_drug
from euthymia.dosing.limits import horizon, limit
from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.order import Dose, Order, TherapySession
from euthymia.dosing.regimen import Regimen
from euthymia.engine.linear import TOLERANCE
from euthymia.errors import InvalidInputError, ResultWarning, invalid, unknown
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.model.simulate import Epoch, PkSolution, default_times_h, session_starts_h, solve_pk
from euthymia.model.trajectory import METRIC_FIELDS, Certificate, Metrics, Provenance, Trajectory
from euthymia.model.variables import find_variable
from euthymia.model.wiring import STRUCTURES, Given, check_covered, parts_of, totals, used_fields, way_of
from euthymia.population.individual import individual_values
from euthymia.population.patient import Patient
from euthymia.tables import read_table

Array = NDArray[np.float64]
CHUNK_VALUES = 500_000
"""Patients times time points solved together; patients do not touch each other, so this moves no byte."""
CHUNK_SIZE_RANGE = (64, 2500)
MEMORY_LIMIT_BYTES = 8e9


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One person of a cohort: who, keyed by which number, and what is given when, since which resets."""

    label: str
    patient: Patient
    number: int
    epochs: tuple[Epoch, ...]


def simulate(
    regimen: Regimen | str,
    *,
    patients: int | Sequence[Patient] | None = None,
    patient: Patient | None = None,
    parameters: str | ParameterSet = DEFAULT_SET,
    seed: int = 1,
    times_h: Sequence[float] | NDArray[np.float64] | None = None,
    days: float | None = None,
    variables: Sequence[str] | None = None,
    executor: Executor | None = None,
    on_done: Callable[[int, int], None] | None = None,
    with_metrics: bool = True,
) -> Trajectory:
    """Return concentrations and exposure after a regimen.

    Parameters
    ----------
    regimen : Regimen or str
        In the dosing language: ``"ketamine 0.5 mg/kg iv over 40 min, twice weekly x 8"``.
    patients : int, sequence of Patient, or None
        Number of virtual patients, or the patients themselves, drawn between-subject effects included;
        None is one typical patient.
    patient : Patient, optional
        Weight, age and so on of the typical patient or of all virtual ones.
    parameters : str or ParameterSet
        Name of a set (``euthymia sets``), or one with overrides.
    seed : int
        Keys every draw; virtual patient 17 is the same whatever else is simulated.
    times_h : array (T,), optional
        Hours since time 0, ascending; by default dense after doses.
    days : float, optional
        Horizon; by default 48 h after the last dose.
    variables : sequence of str, optional
        Names (``euthymia sets NAME``); by default all that the set offers.
    executor : Executor, optional
        By default threads where there is enough to do. The result does not depend on it.
    on_done : callable, optional
        Called with (chunks done, chunks in all).
    with_metrics : bool
        Whether to work out peaks, areas and half-lives.

    Raises
    ------
    InvalidInputError
        Names what was given and what is allowed.

    Examples
    --------
    >>> from euthymia import simulate
    >>> course = simulate("ketamine 0.5 mg/kg iv over 40 min")
    >>> float(course.metrics["ketamine_arterial"].cmax[0].round(2))
    1.25
    """
    plan = parse_regimen(regimen) if isinstance(regimen, str) else regimen
    chosen = load_parameters(parameters) if isinstance(parameters, str) else parameters
    people, numbers = _people(patients, patient)
    if _whole("seed", seed) < 0:
        raise invalid("seed", must="0 or more", got=seed)
    first = [dose for dose in plan.doses(70.0) if _is_covered(dose)]
    _check_doses(chosen, first)
    _check_covariates(chosen, people)
    wanted = None if times_h is None else _checked_times(times_h)
    horizon_h = _horizon_h(plan, first, days, wanted)
    schedule = tuple(Given(dose) for dose in first)
    grid = default_times_h(schedule, horizon_h)
    weights = np.array([one.weight_kg for one in people])

    def epochs_of(part: slice) -> tuple[Epoch, ...]:
        doses = [dose for dose in plan.doses(weights[part]) if _is_covered(dose)]
        start_h = min((dose.start_h for dose in doses), default=0.0)
        return (Epoch(min(start_h, 0.0), tuple(Given(dose) for dose in doses)),)

    per_kg = [
        amount
        for weight in {float(weights.min()), float(weights.max())}
        for amount in _session_mg_per_kg(
            [dose for dose in plan.doses(weight) if _is_covered(dose)], weight_kg=weight
        )
    ]
    notes = (*_left_out(plan), *_warnings(chosen, people, per_kg))
    job = _Job(
        chosen, people, numbers, seed, _stems(chosen, variables, first), horizon_h, with_metrics=with_metrics
    )
    solution, shown = _run(job, [(slice(0, len(people)), epochs_of)], grid, wanted, executor, on_done)
    labels = ("typical",) if patients is None else tuple(str(number) for number in range(1, len(people) + 1))
    return _trajectory(job, solution, shown, labels, print_regimen(plan), schedule, notes)


@dataclass(frozen=True, slots=True)
class _Job:
    """What stays the same over all chunks of a run."""

    parameters: ParameterSet
    people: Sequence[Patient]
    numbers: NDArray[np.int64] | None
    seed: int
    stems: tuple[str, ...] | None
    horizon_h: float
    with_metrics: bool = True


def simulate_subjects(
    subjects: Sequence[Subject],
    *,
    is_random: bool,
    parameters: str | ParameterSet = DEFAULT_SET,
    seed: int = 1,
    times_h: Sequence[float] | NDArray[np.float64] | None = None,
    is_dense: bool = False,
    days: float | None = None,
    variables: Sequence[str] | None = None,
    regimen: str = "event table",
    executor: Executor | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> Trajectory:
    """Return what people with schedules of their own go through, as from an event table.

    Parameters
    ----------
    subjects : sequence of Subject
    is_random : bool
        Whether each has random effects, keyed by its number; otherwise each is typical of its covariates.
    times_h : array (T,), optional
        Hours since time 0, ascending; by default dense after doses.
    is_dense : bool
        Whether to keep the dense times beside those asked for (``Trajectory.at`` picks these out).
    """
    chosen = load_parameters(parameters) if isinstance(parameters, str) else parameters
    if not subjects:
        message = "An event table must hold at least one subject. Got none."
        raise InvalidInputError(message)
    all_given = [given for subject in subjects for epoch in subject.epochs for given in epoch.given]
    doses = [given.dose for given in all_given]
    _check_doses(chosen, doses)
    _check_covariates(chosen, [subject.patient for subject in subjects])
    varying = STRUCTURES[chosen.structure].time_variant_field
    if varying in chosen.rows and any(given.steady_interval_h is not None for given in all_given):
        raise invalid(
            "SS",
            must=f"0 or absent with the set {chosen.name!r}, whose metabolite changes with time",
            got="a steady state",
            cure="Write the doses out with ADDL and II.",
        )
    last_h = max(dose.start_h + dose.duration_h for dose in doses)
    observed_h = max(times_h) if times_h is not None and len(times_h) else 0.0
    horizon_h = (
        days * 24.0
        if days is not None
        else _default_horizon_h([dose.start_h for dose in doses if dose.device_index == 0], doses, observed_h)
    )
    if days is not None:
        _check_days(days, last_h)
    people = [subject.patient for subject in subjects]
    numbers = np.array([subject.number for subject in subjects]) if is_random else None
    groups: dict[object, list[int]] = {}
    for place, subject in enumerate(subjects):
        groups.setdefault(_signature(subject.epochs), []).append(place)
    order = np.array([place for places in groups.values() for place in places])
    people = [people[place] for place in order]
    numbers = None if numbers is None else numbers[order]
    ranges, start = [], 0
    for places in groups.values():
        ranges.append(
            (slice(start, start + len(places)), _stacked([subjects[place] for place in places], start))
        )
        start += len(places)
    per_kg = [
        amount
        for subject in subjects
        for amount in _session_mg_per_kg(
            [given.dose for epoch in subject.epochs for given in epoch.given], subject.patient.weight_kg
        )
    ]
    job = _Job(chosen, people, numbers, seed, _stems(chosen, variables, doses), horizon_h)
    schedules = [
        [given for epoch in subjects[places[0]].epochs for given in epoch.given] for places in groups.values()
    ]
    grid = np.unique(np.concatenate([default_times_h(schedule, horizon_h) for schedule in schedules]))
    wanted = None if times_h is None else _checked_times(times_h)
    if is_dense and wanted is not None:
        grid, wanted = np.unique(np.concatenate([grid, wanted])), None
    solution, shown = _run(job, ranges, grid, wanted, executor, on_done)
    back = np.argsort(order)
    solution = _reordered(solution, back)
    labels = tuple(subject.label for subject in subjects)
    return _trajectory(job, solution, shown, labels, regimen, all_given, _warnings(chosen, people, per_kg))


def _run(
    job: _Job,
    groups: Sequence[tuple[slice, Callable[[slice], tuple[Epoch, ...]]]],
    grid: Array,
    wanted: Array | None,
    executor: Executor | None,
    on_done: Callable[[int, int], None] | None,
) -> tuple[PkSolution, Array]:
    """Solve all chunks on a grid that holds the wanted times, and keep those."""
    times_h = (
        grid if wanted is None else np.unique(np.concatenate([grid, wanted])) if job.with_metrics else wanted
    )
    _check_memory(len(job.people), len(times_h), len(job.stems or ()) or 12)
    low, high = CHUNK_SIZE_RANGE
    size = int(np.clip(CHUNK_VALUES // len(times_h), low, high))
    tasks = [
        (slice(whole.start + part.start, whole.start + part.stop), epochs_of)
        for whole, epochs_of in groups
        for part in chunks(whole.stop - whole.start, size)
    ]

    def solve(task: tuple[slice, Callable[[slice], tuple[Epoch, ...]]]) -> PkSolution:
        part, epochs_of = task
        people = job.people[part]
        numbers = None if job.numbers is None else job.numbers[part]
        values = individual_values(job.parameters, people, numbers=numbers, seed=job.seed)
        return solve_pk(
            job.parameters,
            values,
            epochs_of(part),
            times_h,
            patient_count=len(people),
            stems=job.stems,
            horizon_h=job.horizon_h,
            with_metrics=job.with_metrics,
        )

    runner = executor or (ThreadExecutor(cpu_count() or 1) if len(tasks) > 1 else SerialExecutor())
    report = None if on_done is None else lambda done: on_done(done, len(tasks))
    solution = _gathered(runner.map(solve, tasks, on_done=report))
    if wanted is None:
        return solution, times_h
    place = np.searchsorted(times_h, wanted)
    kept = {name: values[:, place] for name, values in solution.values.items()}
    return solution._replace(values=kept), wanted


def _check_memory(patients: int, times: int, variables: int) -> None:
    needed = 8.0 * patients * times * variables
    if needed > MEMORY_LIMIT_BYTES:
        raise invalid(
            "patients",
            must=f"so many that patients x times x variables fit into {MEMORY_LIMIT_BYTES / 1e9:g} GB",
            got=f"{patients} x {times} x {variables}, {needed / 1e9:.1f} GB",
            cure="Name fewer variables, times or patients.",
        )


def _gathered(parts: Sequence[PkSolution]) -> PkSolution:
    """Join the solutions of all chunks, in order."""
    if len(parts) == 1:
        return parts[0]
    names = list(dict.fromkeys(name for part in parts for name in part.values))
    width = next(iter(parts[0].values.values())).shape[1]
    values = {
        name: np.concatenate(
            [part.values.get(name, np.zeros((len(part.bioavailable_fraction), width))) for part in parts]
        )
        for name in names
    }
    measured = dict.fromkeys(name for part in parts for name in part.metrics)
    metrics = {name: _joined_metrics(name, parts) for name in measured}
    return PkSolution(
        values=values,
        metrics=metrics,
        bioavailable_fraction=np.concatenate([part.bioavailable_fraction for part in parts]),
        by_exponential=np.concatenate([part.by_exponential for part in parts]),
        by_reference=np.concatenate([part.by_reference for part in parts]),
    )


def _joined_metrics(name: str, parts: Sequence[PkSolution]) -> Metrics:
    return Metrics(
        **{
            field: np.concatenate(
                [
                    getattr(part.metrics[name], field)
                    if name in part.metrics
                    else np.full(len(part.bioavailable_fraction), np.nan)
                    for part in parts
                ]
            )
            for field in METRIC_FIELDS
        }
    )


def _reordered(solution: PkSolution, order: NDArray[np.int64]) -> PkSolution:
    return PkSolution(
        values={name: values[order] for name, values in solution.values.items()},
        metrics={
            name: Metrics(**{field: getattr(one, field)[order] for field in METRIC_FIELDS})
            for name, one in solution.metrics.items()
        },
        bioavailable_fraction=solution.bioavailable_fraction[order],
        by_exponential=solution.by_exponential[order],
        by_reference=solution.by_reference[order],
    )


def _trajectory(
    job: _Job,
    solution: PkSolution,
    times_h: Array,
    labels: tuple[str, ...],
    regimen: str,
    given: Sequence[Given],
    notes: tuple[str, ...],
) -> Trajectory:
    for note in notes:
        python_warnings.warn(note, ResultWarning, stacklevel=3)
    weights = [one.weight_kg for one in job.people]
    doses = [one.dose for one in given]
    by_reference = int(solution.by_reference.sum())
    return Trajectory(
        times_h=times_h,
        values=solution.values,
        metrics=solution.metrics,
        bioavailable_fraction=solution.bioavailable_fraction,
        patients=labels,
        session_starts_h=tuple(session_starts_h(given)),
        provenance=Provenance(
            version=version("euthymia"),
            seed=job.seed,
            regimen=regimen,
            parameters=job.parameters.name,
            overrides=job.parameters.overrides,
            engine="exact" if not by_reference else "exact, metabolite by LSODA",
            sources=_sources(job.parameters, doses, job.people),
            weight_kg=(min(weights), max(weights)),
            horizon_h=job.horizon_h,
            covariates=_covariates(job.people),
        ),
        certificate=Certificate(
            method="sums of exponential-polynomial terms, no step size",
            tolerance_relative=TOLERANCE,
            patients_by_matrix_exponential=int(solution.by_exponential.sum()),
            patients_by_reference_solver=by_reference,
        ),
        warnings=(*notes, *_cautions(job.parameters, doses, job.people)),
    )


def _sources(parameters: ParameterSet, doses: Sequence[Dose], people: Sequence[Patient]) -> tuple[str, ...]:
    """Return the sources of the numbers that were used, not of the whole set."""
    fields = used_fields(parameters, doses)
    used = {source for name in fields for source in parameters.rows[name].source.split(";")}
    drugs = {drug for one in people for drug in one.comedications}
    used |= {row["source"] for row in read_table("comedications.csv") if row["name"] in drugs}
    classes = {one.hepatic_class for one in people}
    used |= {row["source"] for row in read_table("hepatic.csv") if row["class"] in classes}
    return tuple(sorted(used))


def _covariates(people: Sequence[Patient]) -> tuple[str, ...]:
    """Return what was stated of the patients beside their weight, each once."""
    found: list[str] = []
    for one in dict.fromkeys(people):
        found += [f"age {one.age_years:g} years"] if one.age_years is not None else []
        found += [f"ancestry {one.ancestry}"] if one.ancestry else []
        found += [f"hepatic class {one.hepatic_class}"] if one.hepatic_class else []
        found += [f"with {drug}" for drug in one.comedications]
    return tuple(dict.fromkeys(found))


def _people(
    patients: int | Sequence[Patient] | None, patient: Patient | None
) -> tuple[Sequence[Patient], NDArray[np.int64] | None]:
    """Return the patients and the numbers that key their draws (None: typical)."""
    everyone = patient or Patient()
    if patients is None:
        return [everyone], None
    if isinstance(patients, Sequence):
        if patient is not None:
            raise invalid("patient", must="absent where 'patients' lists patients", got="both")
        if not patients:
            raise invalid("patients", must="at least one patient", got="an empty list")
        return list(patients), np.arange(1, len(patients) + 1)
    count = _whole("patients", patients)
    if count < 1:
        raise invalid("patients", must="1 or more", got=count, cure="Leave it out for one typical patient.")
    _check_memory(count, times=60, variables=1)
    return [everyone] * count, np.arange(1, count + 1)


def _whole(field: str, value: object) -> int:
    """Return a whole number, or raise; True is none."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return whole_number(value)  # type: ignore[arg-type]
    except TypeError:
        raise invalid(field, must="a whole number", got=repr(value)) from None


def _is_covered(dose: Dose) -> bool:
    """Tell whether a dose is of a drug with pharmacokinetics here: ketamine or an enantiomer."""
    return find_drug(dose.drug).is_ketamine


def _left_out(plan: Regimen) -> tuple[str, ...]:
    """Return what must be said about drugs and sessions that this version cannot let act."""
    items = [item for _, item in plan.items]
    drugs = dict.fromkeys(item.drug for item in items if isinstance(item, Order))
    sessions = dict.fromkeys(item.therapy for item in items if isinstance(item, TherapySession))
    others = [f"{drug} has no pharmacokinetics" for drug in drugs if not find_drug(drug).is_ketamine]
    others += [f"{session} has no effect" for session in sessions]
    return tuple(f"{other} in this version: it changes nothing here." for other in others)


def _check_doses(parameters: ParameterSet, doses: Sequence[Dose]) -> None:
    if not doses:
        message = (
            "A regimen must give ketamine, esketamine or arketamine at least once. Got none. "
            "Example: 'ketamine 0.5 mg/kg iv over 40 min'."
        )
        raise InvalidInputError(message)
    check_covered(parameters, doses)


def _horizon_h(plan: Regimen, doses: Sequence[Dose], days: float | None, wanted: Array | None) -> float:
    if days is None:
        starts_h = [
            start_h
            for start_h, item in plan.items
            if isinstance(item, Order) and find_drug(item.drug).is_ketamine
        ]
        return _default_horizon_h(starts_h, doses, 0.0 if wanted is None else float(wanted[-1]))
    last_h = max(dose.start_h + dose.duration_h for dose in doses)
    _check_days(days, last_h)
    return days * 24.0


def _default_horizon_h(starts_h: Sequence[float], doses: Sequence[Dose], observed_h: float) -> float:
    """Return two days after the last order began; later if a dose ends or a time is asked for later."""
    end_h = max(dose.start_h + dose.duration_h for dose in doses)
    return max(max(starts_h) + horizon().after_last_dose_h, end_h, observed_h)


def _check_days(days: float, last_h: float) -> None:
    """Raise where a horizon is no number, ends before the last dose, or lies beyond the limit of times."""
    longest_days = limit("time_h").high / 24.0
    if not last_h / 24.0 <= days <= longest_days or not days > 0:
        raise invalid(
            "days",
            must=f"{last_h / 24.0:.3g} (end of the last dose) to {longest_days:g} (rules/dosing.toml)",
            got=f"{days:g}",
            cure="Leave it out for 48 h after the last dose.",
        )


def _checked_times(times_h: Sequence[float] | NDArray[np.float64]) -> Array:
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


def _stems(
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
            raise unknown("variable of this set and drug", name, offered)
        stems.append(stem)
    return tuple(dict.fromkeys(stems))


def offered_stems(parameters: ParameterSet, drugs: Sequence[str]) -> tuple[str, ...]:
    """Return the observables that a set offers for some drugs."""
    values = {name: np.asarray(row.value) for name, row in parameters.rows.items()}
    structure = STRUCTURES[parameters.structure]
    parts = parts_of(drugs) if parameters.structure == "enantiomers" else ("S",)
    found = tuple(structure.observed(structure.record(**values), parts, parameters.site))
    return (*found, *totals(found))


def _signature(epochs: Sequence[Epoch]) -> object:
    """Return what must be equal for people to be solved together: everything but the amounts."""
    return tuple(
        (
            epoch.start_h,
            tuple(
                (
                    given.steady_interval_h,
                    given.steady_from_h,
                    given.dose.drug,
                    given.dose.route,
                    given.dose.start_h,
                    given.dose.duration_h,
                    given.dose.hold_h,
                    given.dose.spat_out,
                    given.dose.device_index,
                )
                for given in epoch.given
            ),
        )
        for epoch in epochs
    )


def _stacked(subjects: Sequence[Subject], first: int) -> Callable[[slice], tuple[Epoch, ...]]:
    """Return epochs with amounts (P,) for people who share a schedule."""
    from dataclasses import replace

    def epochs_of(part: slice) -> tuple[Epoch, ...]:
        chosen = subjects[part.start - first : part.stop - first]
        stacked = []
        for place, epoch in enumerate(chosen[0].epochs):
            given = []
            for index, one in enumerate(epoch.given):
                amounts = np.array(
                    [float(np.ravel(s.epochs[place].given[index].dose.amount_umol)[0]) for s in chosen]
                )
                given.append(one._replace(dose=replace(one.dose, amount_umol=amounts)))
            stacked.append(Epoch(epoch.start_h, tuple(given)))
        return tuple(stacked)

    return epochs_of


def _warnings(
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
            f"'{field}' has no effect in the set {parameters.name!r}; perez-ruixo-2021 has one."
            for field, is_stated in stated.items()
            if is_stated
        ]
    changed = any(one.hepatic_class or one.comedications for one in people)
    if changed and parameters.structure not in ("enantiomers",):
        notes.append(
            f"The set {parameters.name!r} has no first pass to change: only its clearance follows the liver."
        )
    return tuple(notes)


def _cautions(parameters: ParameterSet, doses: Sequence[Dose], people: Sequence[Patient]) -> tuple[str, ...]:
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


def _check_covariates(parameters: ParameterSet, people: Sequence[Patient]) -> None:
    """Raise where a set has no parameter that liver or comedication could change."""
    if parameters.structure != "hepatic":
        return
    if any(one.comedications or one.hepatic_class not in (None, "normal") for one in people):
        message = (
            f"The set {parameters.name!r} has no effect of liver or comedication, and none can be taken from "
            "elsewhere: its clearance is blood flow times extraction. Use the set 'composed'."
        )
        raise InvalidInputError(message)


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


def _session_mg_per_kg(doses: Sequence[Dose], weight_kg: float) -> list[float]:
    """Return the amounts per kg of each session of one person (devices and steps belong together)."""
    starts = np.array(session_starts_h([Given(dose) for dose in doses]))
    totals = np.zeros(len(starts))
    for dose in doses:
        mass = find_drug(dose.drug).molar_mass_g_per_mol or 0.0
        session = int(np.searchsorted(starts, dose.start_h, side="right")) - 1
        totals[session] += float(np.ravel(dose.amount_umol)[0]) * mass / 1000.0 / weight_kg
    return [float(total) for total in totals]
