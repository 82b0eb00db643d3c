"""What is asked of a simulation, checked: who, what is given, when, what is wanted of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from os import environ

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.limits import horizon
from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.order import Dose, Order, TherapySession
from euthymia.dosing.regimen import Regimen
from euthymia.engine.draws import use_compiled_draws
from euthymia.errors import InvalidInputError, invalid, unknown
from euthymia.model.concentrations import default_times_h
from euthymia.model.course import Pulse
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters, set_names
from euthymia.model.pk import Given
from euthymia.model.variables import find_variable
from euthymia.model.variables import variables as all_variables
from euthymia.population.patient import Patient
from euthymia.population.pilot import Calibration
from euthymia.population.policy import Policy
from euthymia.population.posterior import Posterior, with_posterior
from euthymia.population.request import (
    check_covariates,
    check_days,
    check_doses,
    checked_times,
    is_ketamine_dose,
    offered_stems,
    people_of,
    whole,
)
from euthymia.population.screening import Entry, numbers_of_enrolled
from euthymia.population.settings import DEFAULT_SETTING, Setting, find_setting
from euthymia.population.surroundings import (
    DAY_H,
    PARTS,
    Taken,
    midazolam_of,
    visits_of,
)

Array = NDArray[np.float64]
ENGINES = ("c", "numpy", "reference")
ENGINE_VARIABLE = "EUTHYMIA_ENGINE"
"""Environment variable that names the engine where none is asked for; without it the first."""
CHAIN_LAYERS = ("site", "receptor", "circuit", "plasticity", "network", "comparators", "symptoms", "acute")
"""Layers of ``variables.csv`` that belong to the chain; ``pk`` and ``connectivity`` are the others."""
CONNECTIVITY_LAYER = "connectivity"
"""Layer of what is read off the network at the couplings of the chain: given only where it is asked for."""
AFTER_EVENT_H = np.array([0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0, 12.0, 18.0, 24.0])
MOST_EVENTS = 200
"""Events that are followed closely; later ones every six hours."""
TIMES_EVERY_H = 6.0


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


def prepare(
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
) -> Run:
    """Return what is asked of a simulation, checked; see :func:`simulate`."""
    engine = known_engine(engine)
    if engine == "c":
        use_compiled_draws()
    plan = parse_regimen(regimen) if isinstance(regimen, str) else regimen
    chosen = load_parameters(parameters) if isinstance(parameters, str) else parameters
    people, keys = people_of(patients, patient, numbers)
    chosen = with_posterior(chosen, posterior, is_typical=keys is None)
    surroundings = find_setting(setting)
    for part in omit:
        if part not in PARTS:
            raise unknown("part", part, PARTS)
    wanted = None if times_h is None else checked_times(times_h)
    life = life or Life()
    start_h, horizon_h = _span(plan, days, wanted, life)
    slots = slots_of(plan, people)
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
        times_h=times_of(slots, plan, life, start_h, horizon_h, wanted, is_dense=is_dense),
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


def slots_of(plan: Regimen | None, people: Sequence[Patient]) -> tuple[Given, ...]:
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
    chain += [stem for stem, one in all_variables().items() if one.layer == CONNECTIVITY_LAYER]
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


def times_of(
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
