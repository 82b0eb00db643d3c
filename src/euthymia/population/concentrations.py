"""The public simulation: a regimen in one typical patient or in many virtual ones."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from os import cpu_count

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.batch import chunks
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.dosing.drug import find_drug
from euthymia.dosing.limits import horizon
from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.order import Dose, Order
from euthymia.dosing.regimen import Regimen
from euthymia.engine.linear import TOLERANCE
from euthymia.errors import InvalidInputError, ResultWarning, invalid
from euthymia.model.concentrations import Epoch, PkSolution, default_times_h, session_starts_h, solve_pk
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.model.pk import STRUCTURES, Given
from euthymia.model.trajectory import METRIC_FIELDS, Certificate, Metrics, Provenance, Trajectory
from euthymia.population.individual import individual_values
from euthymia.population.patient import Patient
from euthymia.population.request import (
    cautions_of,
    check_covariates,
    check_days,
    check_doses,
    check_memory,
    checked_times,
    covariates_of,
    is_ketamine_dose,
    left_out,
    people_of,
    session_mg_per_kg,
    sources_of,
    stems_of,
    warnings_of,
    whole,
)

Array = NDArray[np.float64]
CHUNK_VALUES = 500_000
"""Patients times time points solved together; patients do not touch each other, so this moves no byte."""
CHUNK_SIZE_RANGE = (64, 2500)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One person of a cohort: who, keyed by which number, and what is given when, since which resets."""

    label: str
    patient: Patient
    number: int
    epochs: tuple[Epoch, ...]


def simulate_concentrations(
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
    >>> from euthymia import simulate_concentrations
    >>> course = simulate_concentrations("ketamine 0.5 mg/kg iv over 40 min")
    >>> float(course.metrics["ketamine_arterial"].cmax[0].round(2))
    1.25
    """
    plan = parse_regimen(regimen) if isinstance(regimen, str) else regimen
    chosen = load_parameters(parameters) if isinstance(parameters, str) else parameters
    people, numbers = people_of(patients, patient)
    if whole("seed", seed) < 0:
        raise invalid("seed", must="0 or more", got=seed)
    first = [dose for dose in plan.doses(70.0) if is_ketamine_dose(dose)]
    check_doses(chosen, first)
    check_covariates(chosen, people)
    wanted = None if times_h is None else checked_times(times_h)
    horizon_h = _horizon_h(plan, first, days, wanted)
    schedule = tuple(Given(dose) for dose in first)
    grid = default_times_h(schedule, horizon_h)
    weights = np.array([one.weight_kg for one in people])

    def epochs_of(part: slice) -> tuple[Epoch, ...]:
        doses = [dose for dose in plan.doses(weights[part]) if is_ketamine_dose(dose)]
        start_h = min((dose.start_h for dose in doses), default=0.0)
        return (Epoch(min(start_h, 0.0), tuple(Given(dose) for dose in doses)),)

    per_kg = [
        amount
        for weight in {float(weights.min()), float(weights.max())}
        for amount in session_mg_per_kg(
            [dose for dose in plan.doses(weight) if is_ketamine_dose(dose)], weight_kg=weight
        )
    ]
    notes = (*left_out(plan), *warnings_of(chosen, people, per_kg))
    job = _Job(
        chosen,
        people,
        numbers,
        seed,
        stems_of(chosen, variables, first),
        horizon_h,
        with_metrics=with_metrics,
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
    check_doses(chosen, doses)
    check_covariates(chosen, [subject.patient for subject in subjects])
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
    if days is not None:
        check_days(days, last_h)
    horizon_h = (
        days * 24.0
        if days is not None
        else _default_horizon_h([dose.start_h for dose in doses if dose.device_index == 0], doses, observed_h)
    )
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
        for amount in session_mg_per_kg(
            [given.dose for epoch in subject.epochs for given in epoch.given], subject.patient.weight_kg
        )
    ]
    job = _Job(chosen, people, numbers, seed, stems_of(chosen, variables, doses), horizon_h)
    schedules = [
        [given for epoch in subjects[places[0]].epochs for given in epoch.given] for places in groups.values()
    ]
    grid = np.unique(np.concatenate([default_times_h(schedule, horizon_h) for schedule in schedules]))
    wanted = None if times_h is None else checked_times(times_h)
    if is_dense and wanted is not None:
        grid, wanted = np.unique(np.concatenate([grid, wanted])), None
    solution, shown = _run(job, ranges, grid, wanted, executor, on_done)
    back = np.argsort(order)
    solution = _reordered(solution, back)
    labels = tuple(subject.label for subject in subjects)
    return _trajectory(job, solution, shown, labels, regimen, all_given, warnings_of(chosen, people, per_kg))


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
    check_memory(len(job.people), len(times_h), len(job.stems or ()) or 12)
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
    solution = gathered(runner.map(solve, tasks, on_done=report))
    if wanted is None:
        return solution, times_h
    place = np.searchsorted(times_h, wanted)
    kept = {name: values[:, place] for name, values in solution.values.items()}
    return solution._replace(values=kept), wanted


def gathered(parts: Sequence[PkSolution]) -> PkSolution:
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
            sources=sources_of(job.parameters, doses, job.people),
            weight_kg=(min(weights), max(weights)),
            horizon_h=job.horizon_h,
            covariates=covariates_of(job.people),
        ),
        certificate=Certificate(
            method="sums of exponential-polynomial terms, no step size",
            tolerance_relative=TOLERANCE,
            patients_by_matrix_exponential=int(solution.by_exponential.sum()),
            patients_by_reference_solver=by_reference,
        ),
        warnings=(*notes, *cautions_of(job.parameters, doses, job.people)),
    )


def _horizon_h(plan: Regimen, doses: Sequence[Dose], days: float | None, wanted: Array | None) -> float:
    if days is None:
        starts_h = [
            start_h
            for start_h, item in plan.items
            if isinstance(item, Order) and find_drug(item.drug).is_ketamine
        ]
        return _default_horizon_h(starts_h, doses, 0.0 if wanted is None else float(wanted[-1]))
    last_h = max(dose.start_h + dose.duration_h for dose in doses)
    check_days(days, last_h)
    return days * 24.0


def _default_horizon_h(starts_h: Sequence[float], doses: Sequence[Dose], observed_h: float) -> float:
    """Return two days after the last order began; later if a dose ends or a time is asked for later."""
    end_h = max(dose.start_h + dose.duration_h for dose in doses)
    return max(max(starts_h) + horizon().after_last_dose_h, end_h, observed_h)


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
