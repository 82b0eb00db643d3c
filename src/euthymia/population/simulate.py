"""The public simulation: a regimen in one typical patient or in many virtual ones, from dose to mood."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from os import cpu_count, environ
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.batch import chunks
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.dosing.limits import horizon
from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.order import Dose, Order, TherapySession
from euthymia.dosing.regimen import Regimen
from euthymia.engine.draws import use_compiled_draws
from euthymia.engine.equations import SolveFailedError
from euthymia.errors import InvalidInputError, ResultWarning, RunFailedError, invalid, unknown
from euthymia.mechanism.symptoms.scales import expected
from euthymia.model.chain import FINENESS, TOLERANCE, ChainSolution, gamma_index, solve_chain
from euthymia.model.concentrations import Epoch, PkSolution, default_times_h, session_starts_h, solve_pk
from euthymia.model.course import Course, Pulse
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters, set_names
from euthymia.model.pk import Given
from euthymia.model.scales import scales
from euthymia.model.trajectory import Certificate, Provenance, Trajectory
from euthymia.model.variables import find_variable
from euthymia.model.variables import variables as all_variables
from euthymia.population.concentrations import gathered
from euthymia.population.individual import chain_values, individual_values
from euthymia.population.patient import Patient
from euthymia.population.pilot import PILOT_SEED, PILOTS, Calibration, calibrated
from euthymia.population.policy import Policy
from euthymia.population.request import (
    cautions_of,
    check_covariates,
    check_days,
    check_doses,
    check_memory,
    checked_times,
    covariates_of,
    is_ketamine_dose,
    offered_stems,
    people_of,
    session_mg_per_kg,
    sources_of,
    warnings_of,
    whole,
)
from euthymia.population.screening import Entry, numbers_of_enrolled
from euthymia.population.settings import DEFAULT_SETTING, Setting, find_setting
from euthymia.population.surroundings import (
    DAY_H,
    PARTS,
    Taken,
    cautions_about,
    inert_of,
    life_events,
    midazolam_of,
    mood_noise,
    surround,
    visits_of,
)

Array = NDArray[np.float64]
ENGINES = ("c", "numpy", "reference")
ENGINE_VARIABLE = "EUTHYMIA_ENGINE"
"""Environment variable that names the engine where none is asked for; without it the first."""
ENGINE_NAMES = {"numpy": "numpy (RODAS4)", "c": "c (RODAS4)", "reference": "reference (LSODA)"}
CHAIN_LAYERS = ("site", "receptor", "circuit", "plasticity", "network", "comparators", "symptoms", "acute")
"""Layers of ``variables.csv`` that belong to the chain; ``pk`` is the other one."""
PATIENTS_PER_CHUNK = 512
MOST_TOGETHER, NUMBERS_PER_CHUNK = 4, 40_000_000
"""Most such chunks that a fast engine takes at once, and most values that these may have."""
AFTER_EVENT_H = np.array([0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0, 12.0, 18.0, 24.0])
MOST_EVENTS = 200
"""Events that are followed closely; later ones every six hours."""
TIMES_EVERY_H = 6.0
REFERENCE_TOLERANCE = 1e-8


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """What life brings during a run, and how it finds the patient.

    Parameters
    ----------
    stress, inflammation : tuple of Pulse
        Loads beyond the usual one, each from one hour to another.
    is_well : bool
        Whether the run starts well instead of in the untreated episode.
    has_events : bool
        Whether events of life arrive by chance (virtual patients only).
    taken : tuple of Taken
        Antidepressants that have been taken for months; the patient is in the episode nevertheless.
    """

    stress: tuple[Pulse, ...] = ()
    inflammation: tuple[Pulse, ...] = ()
    is_well: bool = False
    has_events: bool = False
    taken: tuple[Taken, ...] = ()


def simulate(
    regimen: Regimen | str | None,
    *,
    patients: int | Sequence[Patient] | None = None,
    patient: Patient | None = None,
    numbers: Sequence[int] | NDArray[np.int64] | None = None,
    parameters: str | ParameterSet = DEFAULT_SET,
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
    parts = _solved(run, executor, on_done)
    notes = notes_of(run, parts)
    for note in notes:
        python_warnings.warn(note, ResultWarning, stacklevel=2)
    return trajectory_of(run, parts, notes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What is asked, checked; the same for all chunks."""

    plan: Regimen | None
    parameters: ParameterSet
    people: Sequence[Patient]
    numbers: NDArray[np.int64] | None
    seed: int
    setting: Setting
    life: Life
    entry: Entry | None
    policy: Policy | None
    omit: frozenset[str]
    quality: str
    midazolam: tuple[Dose, ...]
    engine: str
    is_noisy: bool
    slots: tuple[Given, ...]
    factors: Array | None
    start_h: float
    horizon_h: float
    times_h: Array
    pk_stems: tuple[str, ...]
    chain_names: tuple[str, ...]
    calibration: Calibration | None = None

    @property
    def is_drug_given(self) -> bool:
        """Whether anybody gets any of the doses; without it they leave no marks on the grid."""
        return "drug" not in self.omit and (self.factors is None or bool(self.factors.any()))

    @property
    def labels(self) -> tuple[str, ...]:
        """How patients are called: by their numbers."""
        return ("typical",) if self.numbers is None else tuple(str(number) for number in self.numbers)


class Part(NamedTuple):
    """What one chunk of patients gave."""

    pk: PkSolution | None
    solution: ChainSolution

    def without_values(self) -> Part:
        """Return how the chunk was solved, without what came out."""
        return Part(None, self.solution._replace(values={}, check=None))


# --- what is asked for ---------------------------------------------------------------------------


def prepare(
    regimen: Regimen | str | None,
    *,
    patients: int | Sequence[Patient] | None = None,
    patient: Patient | None = None,
    numbers: Sequence[int] | NDArray[np.int64] | None = None,
    parameters: str | ParameterSet = DEFAULT_SET,
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
) -> Run:
    """Return what is asked of a simulation, checked; see :func:`simulate`."""
    engine = known_engine(engine)
    if engine == "c":
        use_compiled_draws()
    plan = parse_regimen(regimen) if isinstance(regimen, str) else regimen
    chosen = load_parameters(parameters) if isinstance(parameters, str) else parameters
    people, keys = people_of(patients, patient, numbers)
    surroundings = find_setting(setting)
    for part in omit:
        if part not in PARTS:
            raise unknown("part", part, PARTS)
    wanted = None if times_h is None else checked_times(times_h)
    life = life or Life()
    start_h, horizon_h = _span(plan, days, wanted, life)
    slots = _slots(plan, people)
    if slots:
        check_doses(chosen, [one.dose for one in slots])
    check_covariates(chosen, people)
    if has_mood_noise and keys is None:
        raise invalid("has_mood_noise", must="used with virtual patients", got="one typical patient")
    if life.has_events and keys is None:
        raise invalid(
            "events of life",
            must="used with virtual patients",
            got="one typical patient",
            cure="Give 'patients'.",
        )
    if entry is not None:
        if life.is_well:
            raise invalid("entry", must="used with people who start in the episode", got="a well start")
        has_swings = has_mood_noise is not False
        keys = _enrolled(entry, chosen, people, keys, _seed(seed), start_h, has_swings=has_swings)
    pk_stems, chain_names = _names(_with_chain(chosen), variables, [one.dose.drug for one in slots])
    return Run(
        plan=plan,
        parameters=chosen,
        people=people,
        numbers=keys,
        seed=_seed(seed),
        setting=surroundings,
        life=life,
        entry=entry,
        policy=policy if policy is None else policy.for_course(slots, start_h),
        omit=frozenset(omit),
        quality=quality,
        midazolam=midazolam_of(plan, np.array([one.weight_kg for one in people])) if plan else (),
        engine=engine,
        is_noisy=keys is not None if has_mood_noise is None else has_mood_noise,
        slots=slots,
        factors=_checked_factors(factors, len(people), len(slots)),
        start_h=start_h,
        horizon_h=horizon_h,
        times_h=_times_h(slots, plan, life, start_h, horizon_h, wanted, is_dense=is_dense),
        pk_stems=pk_stems,
        chain_names=chain_names,
    )


def _with_chain(parameters: ParameterSet) -> ParameterSet:
    """Return a set that can carry the chain, or raise naming those that can."""
    if parameters.chain:
        return parameters
    able = [name for name in set_names() if load_parameters(name).chain]
    message = (
        f"The set {parameters.name!r} ends at concentrations: what follows needs both enantiomers in "
        f"arterial plasma. Sets with the whole chain: {', '.join(able)}. "
        "'--concentrations' stops at concentrations."
    )
    raise InvalidInputError(message)


def _enrolled(
    entry: Entry,
    parameters: ParameterSet,
    people: Sequence[Patient],
    numbers: NDArray[np.int64] | None,
    seed: int,
    start_h: float,
    *,
    has_swings: bool,
) -> NDArray[np.int64]:
    """Return the numbers of the virtual patients who meet an entry rule."""
    if numbers is None or len(dict.fromkeys(people)) > 1:
        raise invalid(
            "entry", must="used with a number of alike virtual patients", got="typical or listed ones"
        )
    return numbers_of_enrolled(
        entry, parameters, people[0], len(people), seed=seed, start_h=start_h, has_swings=has_swings
    )


def _seed(seed: object) -> int:
    number = whole("seed", seed)
    if number < 0:
        raise invalid("seed", must="0 or more", got=seed)
    return number


def known_engine(asked: str | None) -> str:
    """Return the engine asked for, else that of the environment, else the default.

    Raises
    ------
    UnknownNameError
    """
    engine = asked or environ.get(ENGINE_VARIABLE) or ENGINES[0]
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    return engine


def _span(plan: Regimen | None, days: float | None, wanted: Array | None, life: Life) -> tuple[float, float]:
    """Return start and end of a run in hours: the end by default a week after the last item."""
    items = plan.items if plan else ()
    ends = [start_h + _length_h(item) for start_h, item in items]
    ends += [pulse.end_h for pulse in (*life.stress, *life.inflammation)]
    starts = [start for start, _ in items] + ([] if wanted is None else [float(wanted[0])])
    start_h = float(min([0.0, *starts]))
    last_h = float(max([0.0, *ends]))
    if days is None:
        asked_h = 0.0 if wanted is None else float(wanted[-1])
        return start_h, max(last_h + horizon().after_last_item_h, asked_h)
    check_days(days, last_h, last="item", default="a week after the last item")
    if wanted is not None and wanted[-1] > days * DAY_H:
        raise invalid("times_h", must=f"within {days:g} days", got=f"{wanted[-1]:g} h")
    return start_h, days * DAY_H


def default_days(plan: Regimen) -> float:
    """Return the horizon of a regimen in days where none is asked for."""
    return _span(plan, None, None, Life())[1] / DAY_H


def _length_h(item: Order | TherapySession) -> float:
    return (item.duration_min or 0.0) / 60.0


def _slots(plan: Regimen | None, people: Sequence[Patient]) -> tuple[Given, ...]:
    """Return every dose of ketamine with its amount for each patient."""
    if plan is None:
        return ()
    weights = np.array([one.weight_kg for one in people])
    return tuple(Given(dose) for dose in plan.doses(weights) if is_ketamine_dose(dose))


def _names(
    parameters: ParameterSet, variables: Sequence[str] | None, drugs: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the concentrations and the observables of the chain that are asked for."""
    offered = offered_stems(parameters, drugs) if drugs else ()
    chain = [stem for stem, one in all_variables().items() if one.layer in CHAIN_LAYERS]
    if variables is None:
        return tuple(offered), tuple(chain)
    stems = list(dict.fromkeys(find_variable(name).stem for name in variables))
    for stem in stems:
        if stem not in offered and stem not in chain:
            raise unknown(
                "variable of this set and drug", stem, (*offered, *chain), cure="See 'euthymia variables'."
            )
    return tuple(one for one in stems if one in offered), tuple(one for one in stems if one in chain)


def _checked_factors(factors: Array | None, patients: int, slots: int) -> Array | None:
    if factors is None:
        return None
    array = np.asarray(factors, float)
    if array.shape != (patients, slots) or not np.isfinite(array).all() or (array < 0).any():
        raise invalid(
            "factors",
            must=f"({patients}, {slots}), patients by doses, each 0 or more",
            got=f"shape {array.shape}" if array.shape != (patients, slots) else "negative or not finite",
        )
    return array


def _times_h(
    slots: Sequence[Given],
    plan: Regimen | None,
    life: Life,
    start_h: float,
    horizon_h: float,
    wanted: Array | None,
    *,
    is_dense: bool,
) -> Array:
    """Return the times wanted; by default (or beside them) times dense after doses, every six hours else.

    Every edge of what else happens belongs to the dense ones.
    """
    if wanted is not None and not is_dense:
        return wanted
    edges = [
        edge for start, item in (plan.items if plan else ()) for edge in (start, start + _length_h(item))
    ]
    edges += [edge for pulse in (*life.stress, *life.inflammation) for edge in pulse[:2]]
    every = np.arange(np.ceil(start_h / TIMES_EVERY_H) * TIMES_EVERY_H, horizon_h, TIMES_EVERY_H)
    parts = [every, np.array([start_h, horizon_h]), np.array(edges)]
    parts += [event + AFTER_EVENT_H for event in _events_h(plan, life)[:MOST_EVENTS]]
    if slots:
        parts.append(default_times_h(slots, horizon_h))
    if wanted is not None:
        parts.append(wanted)
    times = np.unique(np.concatenate(parts))
    return times[(times >= start_h) & (times <= horizon_h)]


def _events_h(plan: Regimen | None, life: Life) -> list[float]:
    """Return when something starts or ends whose effect is fast and that is no dose of ketamine."""
    found = [edge for pulse in (*life.stress, *life.inflammation) for edge in pulse[:2]]
    if plan:
        found += visits_of(plan)
        found += [start for start, item in plan.items if isinstance(item, TherapySession)]
    return sorted(set(found))


# --- solving ---------------------------------------------------------------------------------------


def _solved(run: Run, executor: Executor | None, on_done: Callable[[int, int], None] | None) -> list[Part]:
    tasks = list(chunks(len(run.people), _patients_per_chunk(run)))
    runner = executor or (ThreadExecutor(cpu_count() or 1) if len(tasks) > 1 else SerialExecutor())
    progress = None if on_done is None else _Progress(on_done, len(tasks))
    return runner.map(lambda part: solve_part(run, part, progress), tasks)


def _patients_per_chunk(run: Run) -> int:
    """Return how many patients go together: more where the engine is fast, if there are many and it fits."""
    if run.engine != "c":
        return PATIENTS_PER_CHUNK
    in_all = len(run.people) // (2 * PATIENTS_PER_CHUNK * (cpu_count() or 1))
    numbers = max(len(run.times_h) * (len(run.chain_names) + len(run.pk_stems)), 1)
    fitting = NUMBERS_PER_CHUNK // (numbers * PATIENTS_PER_CHUNK)
    return PATIENTS_PER_CHUNK * max(1, min(in_all, fitting, MOST_TOGETHER))


class _Progress:
    """Adds up how far chunks are that run at the same time."""

    def __init__(self, on_done: Callable[[int, int], None], chunk_count: int) -> None:
        self.on_done, self.total = on_done, 100 * chunk_count
        self.shares: dict[int, float] = {}
        self.lock = Lock()

    def of(self, part: slice) -> Callable[[float], None]:
        """Return what a chunk calls with its share."""

        def report(share: float) -> None:
            with self.lock:
                self.shares[part.start] = share
                self.on_done(int(100.0 * sum(self.shares.values()) + 0.5), self.total)

        return report


def calibrate(run: Run) -> Run:
    """Return a run with the grid of its schedule and the scales of its observables, where it is compiled."""
    return replace(run, calibration=_calibration(run)) if run.engine == "c" else run


def pilots_of(run: Run) -> Run:
    """Return the same for the pilot cohort, with no decisions on the way."""
    pilots = [Patient()] * PILOTS
    plan = run.plan
    return replace(
        run,
        people=pilots,
        numbers=np.arange(1, PILOTS + 1),
        seed=PILOT_SEED,
        slots=_slots(plan, pilots),
        midazolam=midazolam_of(plan, np.array([one.weight_kg for one in pilots])) if plan else (),
        factors=None,
        policy=None,
        entry=None,
    )


def _calibration(run: Run) -> Calibration | None:
    plan = run.plan
    pilot = replace(
        pilots_of(run),
        times_h=_times_h(run.slots, plan, run.life, run.start_h, run.horizon_h, None, is_dense=True),
        pk_stems=(),
        chain_names=(),
    )
    key = (
        plan and print_regimen(plan),
        run.parameters.name,
        sorted(run.parameters.overrides.items()),
        run.parameters.mechanisms,
        run.setting,
        run.life,
        sorted(run.omit),
        run.quality,
        run.is_noisy,
        run.is_drug_given,
        run.start_h,
        run.horizon_h,
    )

    everyone = slice(None)
    drawn = _drawn(pilot, everyone)
    every_name = [stem for stem, one in all_variables().items() if one.layer in CHAIN_LAYERS]

    def solve(fineness: float) -> ChainSolution:
        return _chain_of(
            pilot, everyone, drawn, fineness=fineness, is_checked=True, outputs=_solved_for(every_name)
        )

    try:
        return calibrated(key, solve)
    except SolveFailedError:
        return None  # the run itself says what fails, for whom


def solve_part(run: Run, part: slice, progress: _Progress | None) -> Part:
    """Solve a chunk of patients: the chain, then the concentrations before it."""
    numbers = None if run.numbers is None else run.numbers[part]
    factors = None if run.factors is None else run.factors[part]
    drawn = _drawn(run, part)
    calibration = run.calibration or Calibration(fineness=FINENESS, scales={})
    report = None if progress is None else progress.of(part)
    try:
        found = _chain_of(
            run,
            part,
            drawn,
            fineness=calibration.fineness,
            scales=calibration.scales or None,
            outputs=_solved_for(run.chain_names),
            on_progress=report,
        )
    except SolveFailedError as error:
        label = "typical" if numbers is None else str(numbers[error.patient])
        message = (
            f"The solve of patient {label} failed after {error.time_h:g} h: {error.state} is not finite, "
            f"first at the term {error.term}. A parameter far outside its usual size is the usual cause."
        )
        raise RunFailedError(message) from error
    if report is not None:
        report(1.0)
    if found.factors is not None and factors is not None:  # what was missed stays missed
        found = found._replace(factors=found.factors * factors)
    got = factors if found.factors is None else found.factors
    given = tuple(_of_some(one, part, got, slot) for slot, one in enumerate(run.slots))
    pk = _pk(run, drawn.pk, given if run.is_drug_given else (), len(run.people[part]))
    return Part(pk, _with_made(run, drawn.chain, found))


class _Drawn(NamedTuple):
    """Parameters of some of the patients: of pharmacokinetics, and of the chain."""

    pk: Mapping[str, Array]
    chain: Mapping[str, Any]


def _drawn(run: Run, part: slice) -> _Drawn:
    who: dict[str, Any] = {"numbers": None if run.numbers is None else run.numbers[part], "seed": run.seed}
    people = run.people[part]
    values = chain_values(run.parameters, people, **who) | _set_by_setting(run)
    return _Drawn(individual_values(run.parameters, people, **who), values)


def _chain_of(run: Run, part: slice, drawn: _Drawn, **more: Any) -> ChainSolution:
    """Solve the chain of some of the patients."""
    numbers = None if run.numbers is None else run.numbers[part]
    factors = None if run.factors is None else run.factors[part]
    given = tuple(_of_some(one, part, factors, slot) for slot, one in enumerate(run.slots))
    return solve_chain(
        run.parameters,
        drawn.pk,
        drawn.chain,
        _course(run, part, drawn.chain, given if run.is_drug_given else (), numbers),
        run.times_h,
        start_h=run.start_h,
        end_h=run.horizon_h,
        is_well=run.life.is_well,
        engine=run.engine,
        patient_count=len(run.people[part]),
        **more,
    )


def _with_made(run: Run, values: Mapping[str, Any], found: ChainSolution) -> ChainSolution:
    """Return a solution with what is made of its observables: scales, and the gamma index."""
    by_stem = {find_variable(name).stem: array for name, array in found.values.items()}
    for scale in scales().values():
        if scale.variable in run.chain_names:
            by_stem[scale.variable] = expected(by_stem[scale.latent], scale.map)
    if "gamma_index_relative" in run.chain_names:
        by_stem["gamma_index_relative"] = gamma_index(run.parameters, values, by_stem)
    return found._replace(values={name: by_stem[name] for name in run.chain_names})


def _set_by_setting(run: Run) -> dict[str, Any]:
    """Return the parameters that the setting sets, but for those that the caller has set."""
    own = run.parameters.overrides
    return {name: np.asarray(value) for name, value in run.setting.values().items() if name not in own}


def _of_some(given: Given, part: slice, factors: Array | None, slot: int) -> Given:
    """Return a dose of some of the patients, times what each gets of it."""
    amount = np.asarray(given.dose.amount_umol)[part]
    scaled = amount if factors is None else amount * factors[:, slot]
    return given._replace(dose=replace(given.dose, amount_umol=scaled))


def _course(
    run: Run,
    part: slice,
    values: Mapping[str, Any],
    given: tuple[Given, ...],
    numbers: NDArray[np.int64] | None,
) -> Course:
    span = {"start_h": run.start_h, "end_h": run.horizon_h}
    around = surround(
        run.plan,
        run.setting,
        values,
        taken=run.life.taken,
        omit=run.omit,
        quality=run.quality,
        **span,
    )
    is_many = numbers is not None
    midazolam = () if "drug" in run.omit else run.midazolam
    return replace(
        around,
        given=given,
        midazolam=tuple(replace(dose, amount_umol=_of(dose.amount_umol, part)) for dose in midazolam),
        sessions_h=tuple(session_starts_h(given)),
        decisions=(
            run.policy.decisions(run.parameters, numbers, run.seed)
            if run.policy is not None and given
            else ()
        ),
        stress=run.life.stress,
        inflammation=run.life.inflammation,
        mood_noise=mood_noise(values, numbers, run.seed, **span) if run.is_noisy and is_many else None,
        events=life_events(values, numbers, run.seed, **span) if run.life.has_events and is_many else None,
    )


def _of(amount_umol: Any, part: slice) -> Any:
    return amount_umol if np.ndim(amount_umol) == 0 else np.asarray(amount_umol)[part]


def _solved_for(chain_names: Sequence[str]) -> list[str]:
    """Return what the equations must give for some observables: scales and the gamma index are made of it."""
    made_of: dict[str, tuple[str, ...]] = {scale.variable: (scale.latent,) for scale in scales().values()}
    made_of["gamma_index_relative"] = ("nmda_block_pyramidal_fraction", "nmda_block_interneuron_fraction")
    stems = dict.fromkeys(part for name in chain_names for part in made_of.get(name, (name,)))
    return [find_variable(stem).name for stem in stems]


def _pk(run: Run, pk_values: Mapping[str, Array], given: tuple[Given, ...], count: int) -> PkSolution | None:
    if not given or not run.pk_stems:
        return None
    dense = default_times_h(given, run.horizon_h)
    times = np.unique(np.concatenate([dense, run.times_h]))
    solution = solve_pk(
        run.parameters,
        pk_values,
        (Epoch(run.start_h, given),),
        times,
        patient_count=count,
        stems=run.pk_stems,
        horizon_h=run.horizon_h,
    )
    place = np.searchsorted(times, run.times_h)
    return solution._replace(values={name: array[:, place] for name, array in solution.values.items()})


# --- the result ------------------------------------------------------------------------------------


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
            covariates=(
                *covariates_of(run.people),
                f"setting {run.setting.name}",
                *((str(run.entry),) if run.entry else ()),
                *(f"already on {one}" for one in run.life.taken),
                *(("events of life",) if run.life.has_events else ()),
                *((run.policy.text,) if run.policy else ()),
                *(f"without {one}" for one in sorted(run.omit)),
                *(f"mechanism {name}" for name in run.parameters.mechanisms),
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
