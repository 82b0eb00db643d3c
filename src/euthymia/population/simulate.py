"""The public simulation: a regimen in one typical patient or in many virtual ones, from dose to mood."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Callable, Collection, Sequence
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.executor import Executor
from euthymia.dosing.notation import print_regimen
from euthymia.dosing.order import Dose
from euthymia.dosing.regimen import Regimen
from euthymia.errors import ResultWarning
from euthymia.model.chain import TOLERANCE
from euthymia.model.concentrations import session_starts_h
from euthymia.model.parameters import DEFAULT_SET, ParameterSet
from euthymia.model.trajectory import Certificate, Provenance, Trajectory
from euthymia.population.concentrations import gathered
from euthymia.population.patient import Patient
from euthymia.population.policy import Policy
from euthymia.population.posterior import Posterior
from euthymia.population.request import (
    cautions_of,
    check_memory,
    covariates_of,
    is_ketamine_dose,
    session_mg_per_kg,
    sources_of,
    warnings_of,
)
from euthymia.population.run import Life, Run, prepare
from euthymia.population.screening import Entry
from euthymia.population.settings import DEFAULT_SETTING
from euthymia.population.solve import Part, calibrate, solved
from euthymia.population.surroundings import (
    cautions_about,
    inert_of,
)

Array = NDArray[np.float64]
ENGINE_NAMES = {"numpy": "numpy (RODAS4)", "c": "c (RODAS4)", "reference": "reference (LSODA)"}
REFERENCE_TOLERANCE = 1e-8


def simulate(
    regimen: Regimen | str | None,
    *,
    patients: int | Sequence[Patient] | None = None,
    patient: Patient | None = None,
    numbers: Sequence[int] | NDArray[np.int64] | None = None,
    parameters: str | ParameterSet = DEFAULT_SET,
    posterior: str | Posterior | None = None,
    seed: int = 1,
    times_h: Sequence[float] | NDArray[np.float64] | None = None,
    is_dense: bool = False,
    days: float | None = None,
    variables: Sequence[str] | None = None,
    setting: str = DEFAULT_SETTING,
    life: Life | None = None,
    entry: Entry | None = None,
    policy: Policy | None = None,
    omit: Collection[str] = (),
    quality: str = "quality_relative",
    factors: NDArray[np.float64] | None = None,
    has_mood_noise: bool | None = None,
    engine: str | None = None,
    executor: Executor | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> Trajectory:
    """Return the whole chain after a regimen: concentrations, brain, mood and acute effects.

    Parameters
    ----------
    regimen : Regimen, str or None
        In the dosing language; therapies and antidepressants count. None: life without treatment.
    patients : int, sequence of Patient, or None
        Number of virtual patients, or the patients themselves, who differ at random; None is one typical
        patient without chance.
    patient : Patient, optional
        Weight, age and so on of the typical patient or of all virtual ones.
    numbers : sequence of int (P,), optional
        Numbers of listed patients, which key their draws; by default from 1.
    parameters : str or ParameterSet
        A set that gives both enantiomers in arterial plasma (``euthymia sets``), or one with overrides.
    posterior : str, Posterior or None
        What is believed of the calibrated numbers. Name or path: each virtual patient takes a draw, keyed by
        its number, so that bands hold people and uncertain numbers; the typical patient has the mean.
        ``mean``: everybody has that of the default. ``prior``: the numbers of the set. None: the default,
        the posterior that ships (``EUTHYMIA_POSTERIOR`` names another), and ``prior`` where none does.
        Overrides of ``parameters`` stand over it. Baseline tables are to be matched at its mean
        (``Posterior.at_center``); an entry rule sees every patient with the draw that the run gives it.
    seed : int
        Keys every draw; virtual patient 17 is the same whatever else is simulated.
    times_h : array (T,), optional
        Hours since time 0, ascending; by default dense after doses, every six hours else.
    is_dense : bool
        Whether to keep the dense times beside those asked for (``Trajectory.at`` picks these out).
    days : float, optional
        Horizon; by default a week after the last item.
    variables : sequence of str, optional
        Names (``euthymia variables``); by default all.
    setting : str
        What patients believe and what surrounds them (``settings.csv``): open, saline, midazolam,
        nasal_placebo, anaesthesia, none, each with '+admission' or without.
    life : Life, optional
        Stress, inflammation and events beyond the usual, what is taken already, and whether the patient is
        well at first.
    entry : Entry, optional
        Only virtual patients whose rated total at the start meets it, as trials enrol them; they keep their
        numbers. What falls afterwards without cause is regression to the mean.
    policy : Policy, optional
        What is decided at visits, such as ``OnDemand``: later doses only where a rating asks for them.
    omit : collection of str
        Of ``therapy``, ``antidepressant``, ``expectancy``, ``drug``: left out, to see what each does.
    quality : str
        ``quality_relative``, ``quality_low`` or ``quality_high``: what a therapy session teaches, or the ends
        of what it may teach.
    factors : array (P, doses), optional
        What each patient gets of each dose: 1 as planned, 0 held or missed; visits stay.
    has_mood_noise : bool, optional
        Slow swings of mood by chance; by default in virtual patients, not in the typical one.
    engine : str
        ``c``: all patients on one grid of steps by a compiled library, each of them checked; NumPy where no
        compiler is found. ``numpy``: the same steps by NumPy, in double precision. ``reference``: SciPy's
        LSODA, patient by patient. None: what ``EUTHYMIA_ENGINE`` names, else ``c``.
    executor : Executor, optional
        By default threads where there is enough to do. The result does not depend on it.
    on_done : callable, optional
        Called with (done, in all) in hundredths of a chunk, now and then, from one thread at a time.

    Raises
    ------
    InvalidInputError
        Names what was given and what is allowed.
    RunFailedError
        A solve failed: names patient, time, state and term.

    Examples
    --------
    >>> from euthymia import simulate
    >>> course = simulate("ketamine 0.5 mg/kg iv over 40 min", times_h=[0, 24])
    >>> bool(course["madrs_points"][0, 1] < course["madrs_points"][0, 0])
    True
    """
    run = prepare(
        regimen,
        patients=patients,
        patient=patient,
        numbers=numbers,
        parameters=parameters,
        posterior=posterior,
        seed=seed,
        times_h=times_h,
        is_dense=is_dense,
        days=days,
        variables=variables,
        setting=setting,
        life=life,
        entry=entry,
        policy=policy,
        omit=omit,
        quality=quality,
        factors=factors,
        has_mood_noise=has_mood_noise,
        engine=engine,
    )
    check_memory(len(run.people), len(run.times_h), len(run.pk_stems) + len(run.chain_names))
    run = calibrate(run)
    parts = solved(run, executor, on_done)
    notes = notes_of(run, parts)
    for note in notes:
        python_warnings.warn(note, ResultWarning, stacklevel=2)
    return trajectory_of(run, parts, notes)


def _notes(run: Run) -> tuple[str, ...]:
    """Return what a call should be warned of."""
    doses = [one.dose for one in run.slots]
    per_kg = [
        amount
        for weight in {min(one.weight_kg for one in run.people), max(one.weight_kg for one in run.people)}
        for amount in session_mg_per_kg(
            [dose for dose in run.plan.doses(weight) if is_ketamine_dose(dose)] if run.plan else [], weight
        )
    ]
    inert = inert_of(run.plan) if run.plan else ()
    return (*inert, *warnings_of(run.parameters, run.people, per_kg)) if doses else inert


def notes_of(run: Run, parts: Sequence[Part]) -> tuple[str, ...]:
    """Return what a caller should be warned of."""
    return (*_notes(run), *_not_compiled(parts))


def trajectory_of(run: Run, parts: Sequence[Part], notes: tuple[str, ...]) -> Trajectory:
    """Return the chunks of a run as one result."""
    pk = gathered([part.pk for part in parts if part.pk]) if parts[0].pk else None
    values = dict(pk.values) if pk else {}
    values |= {
        name: np.concatenate([part.solution.values[name] for part in parts], dtype=float)
        for name in run.chain_names
    }
    doses = [one.dose for one in run.slots]
    weights = [one.weight_kg for one in run.people]
    nothing = np.full(len(run.people), np.nan)
    engine = ENGINE_NAMES["numpy" if _not_compiled(parts) else run.engine]
    return Trajectory(
        times_h=run.times_h,
        values=values,
        metrics=pk.metrics if pk else {},
        bioavailable_fraction=pk.bioavailable_fraction if pk else nothing,
        patients=run.labels,
        session_starts_h=tuple(session_starts_h(run.slots)),
        provenance=Provenance(
            version=version("euthymia"),
            seed=run.seed,
            regimen=print_regimen(run.plan) if run.plan else "no treatment",
            parameters=run.parameters.name,
            overrides=run.parameters.overrides,
            engine=engine,
            sources=_sources(run, doses),
            weight_kg=(min(weights), max(weights)),
            horizon_h=run.horizon_h,
            posterior=run.parameters.posterior,
            covariates=(
                *covariates_of(run.people),
                f"setting {run.setting.name}",
                *((str(run.entry),) if run.entry else ()),
                *(f"already on {one}" for one in run.life.taken),
                *(("events of life",) if run.life.has_events else ()),
                *((run.policy.text,) if run.policy else ()),
                *(f"without {one}" for one in sorted(run.omit)),
                *(f"mechanism {name}" for name in run.parameters.mechanisms),
                *((f"posterior {run.parameters.posterior}",) if run.parameters.posterior else ()),
            ),
        ),
        certificate=_certificate(run, parts, int(pk.by_exponential.sum()) if pk else 0),
        warnings=(
            *notes,
            *cautions_of(run.parameters, doses, run.people),
            *cautions_about(run.plan, run.setting, run.life.taken),
        ),
        given_fraction=_given(run, parts),
    )


def _certificate(run: Run, parts: Sequence[Part], by_exponential: int) -> Certificate:
    is_reference = run.engine == "reference"
    errors = [part.solution.error for part in parts if part.solution.error is not None]
    error = np.concatenate(errors) if errors else None
    finer = sum(int(part.solution.was_finer.sum()) for part in parts if part.solution.was_finer is not None)
    return Certificate(
        method="LSODA, relative 1e-10"
        if is_reference
        else f"RODAS4, {parts[0].solution.steps} steps, PK exact",
        tolerance_relative=REFERENCE_TOLERANCE if is_reference else TOLERANCE,
        patients_by_matrix_exponential=by_exponential,
        patients_by_reference_solver=len(run.people) if is_reference else 0,
        largest_error_relative=None if error is None else float(error.max()),
        p95_error_relative=None if error is None else float(np.quantile(error, 0.95)),
        patients_finer=finer,
        patients_over=0 if error is None else int((~(error <= TOLERANCE)).sum()),
    )


def _not_compiled(parts: Sequence[Part]) -> tuple[str, ...]:
    """Return what must be said where a compiled library was asked for and could not be had."""
    reasons = dict.fromkeys(part.solution.not_compiled for part in parts if part.solution.not_compiled)
    return tuple(f"No compiled engine ({reason}): NumPy took the steps, more slowly." for reason in reasons)


def _given(run: Run, parts: Sequence[Part]) -> Array | None:
    """Return what each patient got of each dose where that was decided on, or asked for."""
    if parts[0].solution.factors is None:
        return run.factors
    return np.concatenate([part.solution.factors for part in parts if part.solution.factors is not None])


def _sources(run: Run, doses: Sequence[Dose]) -> tuple[str, ...]:
    """Return the sources of every number that was used."""
    used = set(sources_of(run.parameters, doses, run.people)) if doses else set()
    used |= {source for row in run.parameters.chain.values() for source in row.source.split(";")}
    return tuple(sorted(used))
