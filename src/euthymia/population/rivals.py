"""Rival mechanisms side by side: what each predicts of a regimen and of experiments with it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from euthymia.dosing.regimen import Regimen
from euthymia.errors import invalid
from euthymia.model.mechanisms import Mechanism, mechanisms, with_mechanisms
from euthymia.model.parameters import ParameterSet
from euthymia.model.trajectory import Trajectory
from euthymia.population.patient import Patient
from euthymia.population.request import is_ketamine_dose
from euthymia.population.simulate import simulate
from euthymia.population.summary import value_at
from euthymia.tables import read_text

READ_DAYS = (2.0 / 24.0, 1.0, 7.0, 28.0)
"""Days at which the change of MADRS is read."""
NEEDED_DAYS = 28.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """The same regimen with something changed: doses, parameters, or what the patient knows."""

    id: str
    title: str
    factor: float
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
    """

    mechanism: Mechanism
    course: Trajectory
    change_points: Mapping[str, tuple[float, ...]]


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
    """
    if not any(is_ketamine_dose(dose) for dose in regimen.doses(70.0)):
        raise invalid("regimen", must="one with ketamine, esketamine or arketamine", got="none of them")
    return tuple(_rival(regimen, name, parameters, patient) for name in names or mechanisms())


def _rival(regimen: Regimen, name: str, parameters: ParameterSet, patient: Patient | None) -> Rival:
    courses = {one.id: _course(regimen, name, one, parameters, patient) for one in experiments()}
    changes = {}
    for key, course in courses.items():
        points = value_at(course, "madrs_points", [0.0, *(day * 24.0 for day in READ_DAYS)])[0]
        changes[key] = tuple(float(point) for point in points[1:] - points[0])
    return Rival(mechanism=mechanisms()[name], course=courses[experiments()[0].id], change_points=changes)


def _course(
    regimen: Regimen, name: str, one: Experiment, parameters: ParameterSet, patient: Patient | None
) -> Trajectory:
    doses = [dose for dose in regimen.doses(70.0) if is_ketamine_dose(dose)]
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
