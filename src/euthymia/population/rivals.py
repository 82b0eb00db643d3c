"""Rival mechanisms side by side: what each predicts of a regimen and of experiments with it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.order import Item, Order
from euthymia.dosing.regimen import Clause, Phase, Regimen
from euthymia.errors import InvalidInputError, RunFailedError, invalid
from euthymia.model.mechanisms import Mechanism, mechanisms, with_mechanisms
from euthymia.model.parameters import ParameterSet
from euthymia.model.pk import check_covered
from euthymia.model.trajectory import Trajectory
from euthymia.population.patient import Patient
from euthymia.population.request import is_ketamine_dose
from euthymia.population.simulate import simulate
from euthymia.population.summary import value_at
from euthymia.tables import read_text

Array = NDArray[np.float64]
READ_DAYS = (2.0 / 24.0, 1.0, 7.0, 28.0)
"""Days at which the change of MADRS is read."""
NEEDED_DAYS = 28.0
SAME_POINTS = 1e-3
"""Courses of MADRS that are nowhere further apart are one; the grid is about as exact."""
ANY_WEIGHT_KG = 70.0
"""For what is asked of doses whatever they amount to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """The same regimen with something changed: doses, drug, parameters, or what the patient knows.

    Attributes
    ----------
    factor : float
        What each dose is multiplied by.
    drug : str or None
        Given in the same amounts instead of every ketamine of the regimen.
    """

    id: str
    title: str
    factor: float = 1.0
    drug: str | None = None
    overrides: Mapping[str, float] = field(default_factory=dict)
    setting: str = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rival:
    """What one mechanism predicts of a regimen.

    Attributes
    ----------
    course : Trajectory
        Of the typical patient as given, without expectancy.
    change_points : {experiment: changes of MADRS on READ_DAYS}
        Without experiments that the regimen does not allow.
    """

    mechanism: Mechanism
    course: Trajectory
    change_points: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ensemble:
    """Lowest, median and highest MADRS over mechanisms, each counted once: no interval of anything.

    Attributes
    ----------
    times_h : array (T,)
    points : {lowest, median, highest: array (T,)}
        At each time by itself: an edge need not be the course of one mechanism.
    change_points : {lowest, median, highest: changes on READ_DAYS}
    lowest_by, highest_by : tuple of str
        The mechanism at each edge on READ_DAYS.
    same_course : tuple of tuple of str
        Groups of mechanisms with one course: the median leans to what many share.
    """

    times_h: Array
    points: Mapping[str, Array]
    change_points: Mapping[str, tuple[float, ...]]
    lowest_by: tuple[str, ...]
    highest_by: tuple[str, ...]
    same_course: tuple[tuple[str, ...], ...]


@cache
def experiments() -> tuple[Experiment, ...]:
    """Return the experiments in the order of their table; the first is the regimen as given."""
    return tuple(Experiment(**one) for one in tomllib.loads(read_text("experiments.toml"))["experiment"])


def compare_mechanisms(
    regimen: Regimen,
    *,
    parameters: ParameterSet,
    patient: Patient | None = None,
    names: Sequence[str] = (),
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[Rival, ...]:
    """Return what each mechanism predicts for the typical patient.

    Parameters
    ----------
    regimen : Regimen
        With at least one dose of ketamine.
    parameters : ParameterSet
    patient : Patient, optional
    names : sequence of str
        Mechanisms; none for all.
    on_done : callable, optional
        Called with (simulations done, simulations in all).
    """
    if not any(is_ketamine_dose(dose) for dose in regimen.doses(ANY_WEIGHT_KG)):
        raise invalid("regimen", must="one with ketamine, esketamine or arketamine", got="none of them")
    plans, _ = arrange(regimen, parameters)
    chosen, found = tuple(names or mechanisms()), []
    for place, name in enumerate(chosen):
        courses = {}
        for done, (one, plan) in enumerate(plans.items()):
            if on_done is not None:
                on_done(place * len(plans) + done, len(chosen) * len(plans))
            with naming(name):
                courses[one] = _course(plan, name, _experiment(one), parameters, patient)
        changes = {one: _changes(course) for one, course in courses.items()}
        course = courses[experiments()[0].id]
        found.append(Rival(mechanism=mechanisms()[name], course=course, change_points=changes))
    return tuple(found)


def ensemble_of(found: Sequence[Rival]) -> Ensemble:
    """Return the band over mechanisms of MADRS as given.

    Raises
    ------
    InvalidInputError
        Where there are fewer than two.
    """
    check_several([one.mechanism.name for one in found])
    points = np.stack([one.course["madrs_points"][0] for one in found])
    changes = np.array([one.change_points[experiments()[0].id] for one in found])
    names = [one.mechanism.name for one in found]
    return Ensemble(
        times_h=found[0].course.times_h,
        points=_over_mechanisms(points),
        change_points={key: tuple(map(float, one)) for key, one in _over_mechanisms(changes).items()},
        lowest_by=tuple(names[place] for place in changes.argmin(axis=0)),
        highest_by=tuple(names[place] for place in changes.argmax(axis=0)),
        same_course=_same_course(names, points),
    )


def check_several(names: Sequence[str]) -> None:
    """Raise where a comparison of mechanisms is asked of fewer than two."""
    if len(names) < 2:
        got = names[0] if names else "none"
        raise invalid("mechanism", must="two or more", got=got, cure="Repeat it, or leave it out for all.")


@contextmanager
def naming(mechanism: str) -> Iterator[None]:
    """Name the mechanism in the error of a run that fails."""
    try:
        yield
    except RunFailedError as error:
        message = f"Mechanism {mechanism!r}: {error} '--mechanism' asks for others."
        raise RunFailedError(message) from error


def _same_course(names: Sequence[str], points: Array) -> tuple[tuple[str, ...], ...]:
    """Return groups of two or more mechanisms whose points (M, T) are the same within numerical error."""
    groups: list[list[int]] = []
    for place, course in enumerate(points):
        alike = (group for group in groups if np.abs(points[group[0]] - course).max() < SAME_POINTS)
        group = next(alike, None)
        if group is None:
            groups.append([place])
        else:
            group.append(place)
    return tuple(tuple(names[place] for place in group) for group in groups if len(group) > 1)


def _over_mechanisms(values: Array) -> dict[str, Array]:
    """Return lowest, median and highest of an array (M, ...) over its first axis."""
    return {
        "lowest": values.min(axis=0),
        "median": np.median(values, axis=0),
        "highest": values.max(axis=0),
    }


# --- experiments -------------------------------------------------------------------------------------


def arrange(regimen: Regimen, parameters: ParameterSet) -> tuple[dict[str, Regimen], dict[str, str]]:
    """Return the regimen of each experiment, and why the others are left out.

    Returns
    -------
    plans : {experiment: Regimen}
        The first is the regimen as given.
    left_out : {experiment: reason}
    """
    plans, left_out = {}, {}
    for one in experiments():
        try:
            plans[one.id] = regimen if one.drug is None else _swapped(regimen, one.drug, parameters)
        except InvalidInputError as error:
            left_out[one.id] = str(error)
    return plans, left_out


def with_drug(regimen: Regimen, drug: str) -> Regimen:
    """Return the regimen with a drug in the same amounts instead of every ketamine.

    Raises
    ------
    InvalidInputError
        An order of that drug is not allowed, or infusions come to overlap.
    """
    clauses = [
        Clause.create(
            phases=[
                Phase.create(item=_item_with(phase.item, drug), schedule=phase.schedule)
                for phase in clause.phases
            ]
        )
        for clause in regimen.clauses
    ]
    return Regimen.create(clauses=clauses)


def _swapped(regimen: Regimen, drug: str, parameters: ParameterSet) -> Regimen:
    plan = with_drug(regimen, drug)
    if plan == regimen:
        message = f"The regimen gives {drug} already."
        raise InvalidInputError(message)
    check_covered(parameters, [dose for dose in plan.doses(ANY_WEIGHT_KG) if is_ketamine_dose(dose)])
    return plan


def _item_with(item: Item, drug: str) -> Item:
    if not (isinstance(item, Order) and find_drug(item.drug).is_ketamine):
        return item
    parts: dict[str, Any] = {one.name: getattr(item, one.name) for one in fields(Order)}
    if item.rate_steps:  # amount and duration follow from them
        parts |= {"amount": None, "amount_unit": None, "duration_min": None}
    return Order.create(**{**parts, "drug": drug})


def _experiment(name: str) -> Experiment:
    return next(one for one in experiments() if one.id == name)


def _course(
    regimen: Regimen, name: str, one: Experiment, parameters: ParameterSet, patient: Patient | None
) -> Trajectory:
    doses = [dose for dose in regimen.doses(ANY_WEIGHT_KG) if is_ketamine_dose(dose)]
    last_h = max(start for start, _ in regimen.items)
    common: dict[str, Any] = {
        "patient": patient,
        "parameters": with_mechanisms(parameters, [name]).with_overrides(one.overrides),
        "setting": one.setting,
        "days": max(NEEDED_DAYS, last_h / 24.0 + 7.0),
        "factors": np.full((1, len(doses)), one.factor),
        "variables": None if one is experiments()[0] else ["madrs_points"],
    }
    return simulate(regimen, **common)


def _changes(course: Trajectory) -> tuple[float, ...]:
    """Return the changes of MADRS on READ_DAYS."""
    points = value_at(course, "madrs_points", [0.0, *(day * 24.0 for day in READ_DAYS)])[0]
    return tuple(float(point) for point in points[1:] - points[0])
