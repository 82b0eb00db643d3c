"""Simulates what the facts about the chain need: each regimen once for everyone who asks for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.serial import SerialExecutor
from euthymia.dosing.notation import parse_regimen
from euthymia.engine.maths import NUMPY
from euthymia.errors import ResultWarning
from euthymia.evidence.fact_records import STATISTICS, FactRun, Override
from euthymia.evidence.fact_relapse import entry_times_h, visit_times_h
from euthymia.mechanism.pk import brain
from euthymia.mechanism.receptor import nmda
from euthymia.model.chain import circuit_table, node_constants
from euthymia.model.parameters import ParameterSet, load_parameters
from euthymia.model.scales import Scale, scales
from euthymia.model.variables import find_variable
from euthymia.model.wiring import Shares, record
from euthymia.population.individual import chain_values
from euthymia.population.observation import observe
from euthymia.population.outcomes import rate
from euthymia.population.patient import Patient
from euthymia.population.run import Life
from euthymia.population.simulate import simulate
from euthymia.population.surroundings import visits_of
from euthymia.tables import read_table

Array = NDArray[np.float64]
SEED = 1
MOST_PATIENTS = 500
"""No simulation has more virtual patients, whatever a run asks for, so that a page takes half a minute.

The standard error of a share of 3 % is then 0.8 %.
"""
NO_EXPECTATION = "none"
_DENSE_H = 6.0
_DENSE_STEP_H = 1.0 / 60.0
_AFTER_LAST_H = 168.0
SESSION_END_H = 24.0
_WINDOW_POINTS = 25
_ROUNDING = 1.0 + 1e-12
_BEYOND = 1.5
"""A course that should end, or peak, by some hour is followed this many times as long."""


class Person(NamedTuple):
    """What sets a subgroup apart; groups without a difference are simulated together."""

    age_years: float | None
    is_hypertensive: bool
    is_well: bool


class Entry(NamedTuple):
    """A reading before the first dose that admits virtual patients to a trial."""

    variable: str
    at_least: float


class Scene(NamedTuple):
    """What is simulated, in whom, what they expect and live through, and what is set on top of the set."""

    regimen: str
    person: Person
    setting: str
    is_typical: bool
    overrides: tuple[Override, ...]
    has_events: bool = False


class Need(NamedTuple):
    """What all runs together ask of a scene."""

    patients_count: int
    variables: tuple[str, ...]
    times_h: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FactCourse:
    """One simulated course, read by many facts.

    Attributes
    ----------
    times_h : array (T,)
    values : {variable: array (P, T)}
        As expected, without noise of observation.
    starts_h : tuple of float
        Starts of sessions, given or sham.
    numbers : array (P,) of int
        Numbers of the virtual patients.
    """

    times_h: Array
    values: Mapping[str, Array]
    starts_h: tuple[float, ...]
    numbers: NDArray[np.int64]
    parameters: ParameterSet

    def first(self, count: int | None) -> FactCourse:
        """Return the course of the first patients only; draws are keyed, so they are the same people."""
        return self if count is None else self.only(np.arange(len(self.numbers)) < count)

    def only(self, is_in: NDArray[np.bool_]) -> FactCourse:
        """Return the course of some patients, (P,)."""
        values = {name: array[is_in] for name, array in self.values.items()}
        return replace(self, values=values, numbers=self.numbers[is_in])

    def admitted(self, entry: Entry | None) -> NDArray[np.bool_]:
        """Return who would have been taken into a trial by what was read before the first dose, (P,)."""
        if entry is None:
            return np.ones(len(self.numbers), dtype=bool)
        return self.observed(entry.variable, [0.0])[:, 0] >= entry.at_least

    def at(self, variable: str, time_h: float) -> Array:
        """Return a variable at one of the times, (P,)."""
        return self.values[variable][:, self._place(time_h)]

    def mean(self, variable: str, from_h: float, to_h: float) -> Array:
        """Return the mean of a variable over a window, (P,), or its value where the window is one time."""
        if from_h == to_h:
            return self.at(variable, from_h)
        window = slice(self._place(from_h), self._place(to_h) + 1)
        values, times = self.values[variable][:, window], self.times_h[window]
        return np.asarray(np.trapezoid(values, times, axis=1)) / (to_h - from_h)

    def observed(self, variable: str, times_h: Sequence[float]) -> Array:
        """Return a variable as written down at some of the times, (P, V); a rise with the resting value."""
        places = [self._place(time) for time in times_h]
        if variable not in _scale_variables():
            values = self.values[variable][:, places]
            return self.read(variable, values, times_h)
        scale = _scale_variables()[variable]
        return rate(
            self.values[scale.latent][:, places],
            scale,
            times_h,
            parameters=self.parameters,
            numbers=self.numbers,
            seed=SEED,
        )

    def read(self, variable: str, values: Array, times_h: Sequence[float]) -> Array:
        """Return expected values of the acute layer, (P, V), as they would be written down."""
        return observe(variable, values, times_h, parameters=self.parameters, numbers=self.numbers, seed=SEED)

    def _place(self, time_h: float) -> int:
        return int(np.abs(self.times_h - time_h).argmin())


@cache
def _scale_variables() -> Mapping[str, Scale]:
    return {scale.variable: scale for scale in scales().values()}


def variable_of(name: str) -> str:
    """Return the observable that a run means."""
    return find_variable(name).stem


@cache
def reading_minutes(variable: str) -> tuple[float, ...]:
    """Return when staff read a variable in a session, minutes after its start."""
    rows = {row["variable"]: row["minutes"] for row in read_table("evidence/readings.csv")}
    return tuple(float(one) for one in rows[variable].split(";"))


def reading_times_h(variable: str, starts_h: Iterable[float]) -> tuple[float, ...]:
    """Return every time at which a variable is read in a course."""
    return tuple(start + minute / 60.0 for start in starts_h for minute in reading_minutes(variable))


@cache
def person_of(subgroup: str) -> Person:
    """Return whom a subgroup stands for."""
    row = {one["name"]: one for one in read_table("evidence/subgroups.csv")}[subgroup]
    age_years = float(row["age_years"]) if row["age_years"] else None
    return Person(age_years, row["is_hypertensive"] == "yes", row["is_well"] == "yes")


@cache
def entry_of(subgroup: str) -> Entry | None:
    """Return what admits to a subgroup that was chosen by a reading, else None."""
    row = {one["name"]: one for one in read_table("evidence/subgroups.csv")}[subgroup]
    return Entry(row["entry_variable"], float(row["entry_at_least"])) if row["entry_variable"] else None


@cache
def _settings(column: str) -> Mapping[str, str]:
    rows = read_table("evidence/expectations.csv")
    return {row_id: row[column] for row in rows for row_id in row["row_ids"].split(";")}


def setting_of(run: FactRun) -> str:
    """Return what patients expect in a run: nothing, unless it is about an arm of a trial."""
    return _settings("setting").get(run.row_id, NO_EXPECTATION)


def other_setting_of(run: FactRun) -> str:
    """Return what patients expect with the other regimen: the same, unless it is of another trial."""
    return _settings("reference_setting").get(run.row_id) or setting_of(run)


@cache
def starts_of(regimen: str) -> tuple[float, ...]:
    """Return when sessions start, with drug or placebo."""
    return visits_of(parse_regimen(regimen)) or (0.0,)


# --- what is needed ------------------------------------------------------------------------------


def scene_of(run: FactRun) -> Scene:
    """Return the scene of a run."""
    is_typical = run.patients_count is None
    return Scene(
        run.regimen,
        person_of(run.subgroup),
        setting_of(run),
        is_typical,
        run.overrides,
        STATISTICS[run.statistic].is_follow_up,
    )


def other_scene_of(run: FactRun) -> Scene:
    """Return the scene of the other regimen that a run is held against, else its own."""
    if not run.reference.regimen:
        return scene_of(run)
    return scene_of(run)._replace(
        regimen=run.reference.regimen,
        setting=other_setting_of(run),
        overrides=run.reference_overrides,
    )


def needs_of(runs: Iterable[FactRun]) -> dict[Scene, Need]:
    """Return every scene once, with all that runs ask of it.

    Scenes that differ by overrides alone have the same times: what an override leaves as it is then stays
    so to the last digit, and no difference of grids counts as a direction.
    """
    found: dict[Scene, Need] = {}
    for run in runs:
        for scene in dict.fromkeys((scene_of(run), other_scene_of(run))):
            need = _need(run, scene.regimen)
            before = found.get(scene, Need(1, (), ()))
            found[scene] = Need(
                max(before.patients_count, need.patients_count),
                tuple(dict.fromkeys((*before.variables, *need.variables))),
                tuple(sorted({*before.times_h, *need.times_h})),
            )
    times: dict[Scene, set[float]] = {}
    for scene, need in found.items():
        times.setdefault(scene._replace(overrides=()), set()).update(need.times_h)
    return {
        scene: need._replace(times_h=tuple(sorted(times[scene._replace(overrides=())])))
        for scene, need in found.items()
    }


def _need(run: FactRun, regimen: str) -> Need:
    entry = entry_of(run.subgroup)
    asked = (run.variable, run.reference.variable, entry.variable if entry else "")
    names = [variable_of(name) for name in asked if name]
    latent = [_scale_variables()[name].latent for name in names if name in _scale_variables()]
    times = [0.0, *_named_times_h(run)]
    if run.patients_count is not None:
        times += _read_times_h(run, regimen)
    count = min(run.patients_count or 1, MOST_PATIENTS)
    return Need(count, tuple(dict.fromkeys((*names, *latent))), tuple(times))


def _named_times_h(run: FactRun) -> list[float]:
    """Return the times that a run names, points within its window, and how long to follow it."""
    named = [] if run.reference.at_h is None else [run.reference.at_h]
    if run.statistic.endswith("_h") and run.expected_high is not None:
        named.append(_BEYOND * run.expected_high)
    if run.from_h is None or run.to_h is None:
        return named
    if STATISTICS[run.statistic].is_follow_up:
        return [*entry_times_h(run.from_h, run.well_by), *visit_times_h(run.from_h, run.to_h)]
    return [*named, *np.linspace(run.from_h, run.to_h, _WINDOW_POINTS if run.to_h > run.from_h else 1)]


def _read_times_h(run: FactRun, regimen: str) -> list[float]:
    """Return when virtual patients are read where a run names no time: in, or after, every session."""
    starts = starts_of(regimen)
    if run.statistic == "share_with_event":
        return [start + SESSION_END_H for start in starts]
    if STATISTICS[run.statistic].needs_time:
        return []
    return [*starts, *reading_times_h(variable_of(run.variable), starts)]


# --- simulating ----------------------------------------------------------------------------------


def simulate_scenes(
    needs: Mapping[Scene, Need],
    *,
    parameters: ParameterSet | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[Scene, FactCourse]:
    """Return every scene simulated; with the shipped parameters a scene is kept for the next call."""
    found: dict[Scene, FactCourse] = {}
    for done, (scene, need) in enumerate(needs.items()):
        if on_done is not None:
            on_done(done, len(needs))
        found[scene] = _shipped(scene, need) if parameters is None else _simulated(scene, need, parameters)
    return found


@lru_cache(maxsize=128)
def _shipped(scene: Scene, need: Need) -> FactCourse:
    return _simulated(scene, need, load_parameters())


def _simulated(scene: Scene, need: Need, parameters: ParameterSet) -> FactCourse:
    who, chosen = scene.person, parameters.with_overrides(dict(scene.overrides))
    person = Patient.create(age_years=who.age_years, is_hypertensive=who.is_hypertensive)
    times_h = _dense_times_h(scene, need) if scene.is_typical else np.array(need.times_h)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        course = simulate(
            scene.regimen,
            patients=None if scene.is_typical else need.patients_count,
            patient=person,
            parameters=chosen,
            seed=SEED,
            times_h=times_h,
            days=_days(scene, float(times_h[-1])),
            variables=need.variables,
            setting=scene.setting,
            life=Life(is_well=who.is_well, has_events=scene.has_events),
            executor=SerialExecutor(),
            engine="c" if scene.has_events else "numpy",
        )
    return FactCourse(
        times_h=times_h,
        values=course.values,
        starts_h=starts_of(scene.regimen),
        numbers=np.arange(1, need.patients_count + 1),
        parameters=chosen,
    )


def _last_h(regimen: str) -> float:
    return max(start + (item.duration_min or 0.0) / 60.0 for start, item in parse_regimen(regimen).items)


def _days(scene: Scene, last_reading_h: float) -> float:
    return max(_last_h(scene.regimen), last_reading_h) / 24.0 * _ROUNDING


def _dense_times_h(scene: Scene, need: Need) -> Array:
    """Return every minute of the hours after the first and the last dose, hours for two days, then wider."""
    starts = starts_of(scene.regimen)
    end_h = max(_last_h(scene.regimen) + _AFTER_LAST_H, need.times_h[-1])
    parts = [np.array(need.times_h), np.arange(0.0, end_h, _DENSE_H), np.array([end_h])]
    for start in (starts[0], starts[-1]):
        parts.append(start + np.arange(0.0, _DENSE_H, _DENSE_STEP_H))
        parts.append(start + np.arange(_DENSE_H, 48.0, 0.25))
    times = np.concatenate(parts)
    return np.unique(np.minimum(np.round(times[times <= end_h], 9), end_h))


# --- without time --------------------------------------------------------------------------------


def held_at(racemic_umol_per_L: float, parameters: ParameterSet | None = None) -> dict[str, float]:
    """Return block and gain with unbound racemic ketamine held at the site, the circuit at rest."""
    chosen = parameters or load_parameters()
    values = chain_values(chosen, [Patient()], numbers=None, seed=SEED)
    r_weight = brain.potencies(record(brain.Parameters, "site", values))["R.ketamine"]
    inputs = nmda.Inputs(0.5 * racemic_umol_per_L * (1.0 + float(r_weight)))
    receptor = record(nmda.Parameters, "receptor", values)
    bound_per_h = receptor.trapping_on_L_per_umol_per_h * inputs.s_equivalents_site_umol_per_L
    trapped = nmda.State(bound_per_h / (bound_per_h + receptor.trapping_off_per_h))
    block = nmda.outputs(NUMPY, trapped, inputs, receptor)
    shares = record(Shares, "circuit", values)
    gain = circuit_table(node_constants(chosen))(
        shares.pyramidal_nmda_share * block.pyramidal_block_fraction,
        shares.interneuron_nmda_share * block.interneuron_block_fraction,
    )
    return {
        "nmda_block_interneuron_fraction": float(block.interneuron_block_fraction),
        "nmda_block_pyramidal_fraction": float(block.pyramidal_block_fraction),
        "circuit_gain_relative": float(gain),
    }
