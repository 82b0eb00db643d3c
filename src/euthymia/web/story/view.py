"""What a chapter shows, and the runs that several chapters share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.regimen import Regimen
from euthymia.model.trajectory import Trajectory
from euthymia.population.run import Life
from euthymia.population.story import Runner, story_days
from euthymia.web.charts import Chart
from euthymia.web.runs import Ask, simulated
from euthymia.web.story.state import State

Array = NDArray[np.float64]
HOUR, DAY = 1.0, 24.0
MOOD = ("madrs_points",)
COURSE = (
    "ketamine_arterial",
    "s_ketamine_arterial",
    "s_equivalents_site",
    "nmda_block_interneuron_fraction",
    "nmda_block_pyramidal_fraction",
    "circuit_gain_relative",
    "glutamate_surge_relative",
    "ampa_potentiation_fraction",
    "bdnf_relative",
    "mtorc1_relative",
    "prefrontal_synapses_fraction",
    "hippocampal_synapses_fraction",
    "window_of_plasticity_fraction",
    "flexibility_relative",
    "negative_belief_fraction",
    "belief_to_be_on_drug_fraction",
    "madrs_points",
    "cadss_points",
    "moaas_points",
    "systolic_rise_mmHg",
    "diastolic_rise_mmHg",
    "heart_rate_rise_per_min",
    "rumination_relative",
    "clarity_relative",
    "within_default_coupling_change_fraction",
    "default_to_others_coupling_change_fraction",
)
"""What the chapters read off the patient's course."""
ESKETAMINE_ONLY = tuple(name for name in COURSE if name != "ketamine_arterial")
PEOPLE_VARIABLES = ("severity_fraction", "suicidal_ideation_fraction")
PEOPLE = 64
"""Imagined people of the last chapters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Numbers side by side, with a heading that says what they are; the first row may be the patient's."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_first_own: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A sentence with the numbers of this run, and the best evidence for the link it tells of."""

    text: str
    grade: str = "assumption"


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The live part of a chapter.

    Parameters
    ----------
    charts : sequence of Chart
    sentences : sequence of Told
    numbers : mapping of str to float
        Those numbers, and more, for programs.
    facts : sequence of (str, str)
        A number as it is read at a glance, and what it is.
    brain : mapping, optional
        What the drawing of the brain shows.
    """

    charts: Sequence[Chart]
    sentences: Sequence[Told] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()
    table: Table | None = None
    brain: Mapping[str, Any] | None = None


def course_of(state: State) -> Trajectory:
    """Return the course of the patient, the one that every chapter reads."""
    return simulated(_ask(state, state.regimen, COURSE if state.route != "nasal" else ESKETAMINE_ONLY))


def turned_network_of(state: State) -> Trajectory:
    """Return the couplings by the account that depression lowers them."""
    names = COURSE[-2:]
    return simulated(_ask(state, state.regimen, names, mechanisms=("network_sign",)))


def runner_of(state: State) -> Runner:
    """Return how what stands beside the course is run: mood only, else as the patient."""
    return partial(_beside, state)


def _beside(
    state: State,
    regimen: Regimen | str,
    *,
    omit: Collection[str] = (),
    life: Life | None = None,
    setting: str | None = None,
    days: float | None = None,
    variables: tuple[str, ...] = MOOD,
) -> Trajectory:
    plan = parse_regimen(regimen) if isinstance(regimen, str) else regimen
    if "drug" in omit:
        plan = _with_usual_dose(state, plan)
    more: dict[str, Any] = {"omit": frozenset(omit)}
    if life is not None:
        more["life"] = Life(stress=life.stress, taken=state.life.taken)
    if setting is not None:
        more["setting"] = setting
    if days is not None:
        more["days"] = days
    return simulated(_ask(state, plan, variables, **more))


def _with_usual_dose(state: State, plan: Regimen) -> Regimen:
    """Return a plan whose drug is left out with the usual dose: its course is the same whatever the dose."""
    given, usual = (
        print_regimen(parse_regimen(state.order_of(dose))) for dose in (state.dose, state.choice.default)
    )
    return parse_regimen(print_regimen(plan).replace(given, usual))


def _ask(state: State, plan: Regimen, variables: tuple[str, ...], **more: Any) -> Ask:
    usual: dict[str, Any] = {
        "regimen": print_regimen(plan),
        "days": days_of(state),
        "variables": variables,
        "setting": state.setting,
        "patient": state.patient,
        "life": state.life,
    }
    return Ask(**usual | more)


def days_of(state: State) -> float:
    """Return how many days the story follows the patient."""
    return story_days(state.regimen)


def people_of(state: State, *, regimen: str = "", setting: str = "") -> Trajectory:
    """Return imagined people with the plan, or with another regimen, once a day."""
    days = days_of(state)
    asked = Ask(
        regimen=regimen or print_regimen(state.regimen),
        days=days,
        variables=PEOPLE_VARIABLES,
        setting=setting or state.setting,
        patient=state.patient,
        patients=PEOPLE,
        life=state.life,
        times_h=tuple(np.arange(0.0, days * DAY + 1e-9, DAY)),
    )
    return simulated(asked)


def until(course: Trajectory, name: str, end_h: float, *, start_h: float = 0.0) -> tuple[Array, Array]:
    """Return times and values of the typical patient in a stretch of time."""
    inside = (course.times_h >= start_h) & (course.times_h <= end_h + 1e-9)
    return course.times_h[inside], course[name][0][inside]


def sampled(course: Trajectory, name: str, times_h: Array) -> Array:
    """Return the values of the typical patient at some times, linear between those of the run."""
    return np.interp(times_h, course.times_h, course[name][0])


def doses_until(course: Trajectory, end_h: float, unit_h: float) -> tuple[float, ...]:
    """Return the starts of sessions within a stretch, in a unit of time."""
    return tuple(start / unit_h for start in course.session_starts_h if start <= end_h)
