"""What a regimen does to a brain network: couplings of the chain, correlations of a scan at some moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.regimen import Regimen
from euthymia.errors import invalid
from euthymia.mechanism.network.gaussian import Change
from euthymia.model.connectivity import (
    BETWEEN,
    DEFAULT_SCENARIO,
    WITHIN,
    Scenario,
    find_scenario,
    levels,
    network_at,
)
from euthymia.model.connectome import Connectome, load_connectome, read_off
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population.patient import Patient
from euthymia.population.posterior import Posterior
from euthymia.population.run import Life, default_days
from euthymia.population.settings import DEFAULT_SETTING
from euthymia.population.simulate import simulate
from euthymia.population.surroundings import visits_of

Array = NDArray[np.float64]

SITE = "s_ketamine_site"
AFTER_DAYS = (1.0, 7.0)
DAY_H = 24.0
SET_BY_SCENARIO = ("network.sign_relative",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A time at which the network is looked at."""

    name: str
    time_h: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BrainCourse:
    """One typical patient's network through a regimen, under one scenario.

    Attributes
    ----------
    change : Change
        d_w, d_b and d_l, each (T,).
    levels : {observable: array (T,)}
        Mean correlations.
    health : {observable: float}
        Those of the connectome itself.
    moments : tuple of Moment
        Before, during, a day and a week after the last session.
    """

    scenario: Scenario
    connectome: Connectome
    course: Trajectory
    times_h: Array
    change: Change
    levels: dict[str, Array]
    health: dict[str, float]
    moments: tuple[Moment, ...]

    def at(self, moment: Moment) -> int:
        """Return the place of a moment in time."""
        return int(np.abs(self.times_h - moment.time_h).argmin())

    def change_at(self, moment: Moment) -> Change:
        """Return d_w, d_b and d_l at a moment."""
        return Change(*(float(np.asarray(one)[self.at(moment)]) for one in self.change))

    def correlations(self) -> Array:
        """Return the correlations at every moment, (moments, N, N), by solving the network."""
        columns = np.array([self.change_at(moment) for moment in self.moments]).T
        return network_at(Change(*columns), self.connectome)


def brain_course(
    regimen: Regimen | str,
    *,
    scenario: str = DEFAULT_SCENARIO,
    connectome: Connectome | None = None,
    parameters: str | ParameterSet = DEFAULT_SET,
    posterior: str | Posterior | None = None,
    patient: Patient | None = None,
    setting: str = DEFAULT_SETTING,
    times_h: Sequence[float] | None = None,
    days: float | None = None,
    is_well: bool = False,
    seed: int = 1,
) -> BrainCourse:
    """Return the network of a typical patient through a regimen.

    Parameters
    ----------
    regimen : Regimen or str
    scenario : str
        ``hyper``, ``hypo`` or ``limbic``: what depression is taken to have done.
    connectome : Connectome, optional
        By default the one of people that ships.
    times_h : sequence of float, optional
        Moments to look at instead of before, during, a day and a week after.
    is_well : bool
        Whether the person is well at first; then nothing is changed before the drug.

    Raises
    ------
    InvalidInputError
        Also where a parameter is set that the scenario sets.
    """
    chosen = find_scenario(scenario)
    base = load_parameters(parameters) if isinstance(parameters, str) else parameters
    for name in SET_BY_SCENARIO:
        if name in base.overrides:
            cure = "Choose the scenario instead: hyper, hypo or limbic."
            raise invalid(name, must="left to the scenario", got=f"{base.overrides[name]:g}", cure=cure)
    brain = connectome or load_connectome()
    plan = parse_regimen(regimen) if isinstance(regimen, str) else regimen
    last_h = max(visits_of(plan), default=0.0)
    horizon_h = (default_days(plan) if days is None else days) * DAY_H
    after = tuple(last_h + day * DAY_H for day in AFTER_DAYS if last_h + day * DAY_H <= horizon_h)
    wanted_h = sorted({0.0, *after}) if times_h is None else times_h

    def run(overrides: dict[str, float], variables: list[str]) -> Trajectory:
        return simulate(
            plan,
            parameters=base.with_overrides(overrides),
            posterior=posterior,
            patient=patient,
            setting=setting,
            times_h=wanted_h,
            is_dense=True,
            days=days,
            variables=variables,
            life=Life(is_well=is_well),
            seed=seed,
        )

    course = run(dict(chosen.within), [WITHIN, BETWEEN, SITE])
    limbic: Array = np.zeros(len(course.times_h))
    if chosen.limbic:
        limbic = chosen.limbic_share * run(dict(chosen.limbic), [WITHIN])[WITHIN][0]
    change = Change(course[WITHIN][0], course[BETWEEN][0], limbic)
    health = read_off(brain.correlation, brain)
    return BrainCourse(
        scenario=chosen,
        connectome=brain,
        course=course,
        times_h=course.times_h,
        change=change,
        levels=levels(change, brain),
        health={name: float(value) for name, value in health.items()},
        moments=_moments(course, last_h, after) if times_h is None else _named(times_h),
    )


def _moments(course: Trajectory, last_h: float, after_h: Sequence[float]) -> tuple[Moment, ...]:
    found = [Moment(name="before", time_h=float(course.times_h[0]))]
    if course.session_starts_h:
        found.append(Moment(name="during", time_h=_peak_h(course, course.session_starts_h[-1])))
    days = zip(AFTER_DAYS, after_h, strict=False)
    return (*found, *(Moment(name=f"{day:g} d after", time_h=time) for day, time in days))


def _named(times_h: Sequence[float]) -> tuple[Moment, ...]:
    return tuple(Moment(name=f"{time:g} h", time_h=float(time)) for time in times_h)


def _peak_h(course: Trajectory, start_h: float) -> float:
    """Return when most ketamine is at its site in the day after a session's start."""
    inside = (course.times_h >= start_h) & (course.times_h <= start_h + DAY_H)
    return float(course.times_h[inside][course[SITE][0][inside].argmax()])
