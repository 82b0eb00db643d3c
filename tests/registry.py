"""Lists read off the package, so that a new route, drug, set or solver is tested without being asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple

import numpy as np
import pytest

import euthymia.engine
from euthymia.dosing.drug import treatments
from euthymia.dosing.limits import device
from euthymia.dosing.order import Dose, Order, Route
from euthymia.engine.linear import Input, LinearSystem, respond
from euthymia.errors import InvalidInputError
from euthymia.model.parameters import ParameterSet, load_parameters, set_names
from euthymia.model.pk import STRUCTURES, Given, PkModel, check_covered, way_of, wire_pk
from euthymia.population.individual import individual_values
from euthymia.population.patient import Patient

ROUTES = tuple(Route)
SETS = set_names()
STRUCTURE_NAMES = tuple(STRUCTURES)
DRUGS = tuple(one.name for one in treatments() if one.drug is not None and one.drug.s_fraction is not None)


class Combination(NamedTuple):
    """A set, and a drug and a route that it covers."""

    set: str
    drug: str
    route: Route

    def __str__(self) -> str:
        return f"{self.set}-{self.drug}-{self.route.value}"

    @property
    def parameters(self) -> ParameterSet:
        return load_parameters(self.set)

    @property
    def weight_kg(self) -> float:
        """A weight inside the range of the set."""
        return float(np.clip(70.0, *self.parameters.valid.weight_kg))

    @property
    def patient(self) -> Patient:
        return Patient(weight_kg=self.weight_kg)

    @property
    def order(self) -> Order:
        """An order inside the range of the set: 0.5 mg/kg or the nearest to it, or one device."""
        spray = device(self.drug, self.route)
        amount, unit = (
            (spray.amount_mg, "mg")
            if spray
            else (np.clip(0.5, *self.parameters.valid.dose_mg_per_kg), "mg/kg")
        )
        duration_min = 40.0 if self.route is Route.IV_INFUSION else None
        return Order.create(
            drug=self.drug,
            route=self.route,
            amount=float(amount),
            amount_unit=unit,
            duration_min=duration_min,
        )

    def doses(self, start_h: float = 0.0, *, factor: float = 1.0) -> tuple[Dose, ...]:
        """Return the doses of the order, multiplied by any factor."""
        found = self.order.doses(start_h, self.weight_kg)
        return tuple(replace(dose, amount_umol=dose.amount_umol * factor) for dose in found)


def _is_covered(combination: Combination) -> bool:
    dose = Dose(drug=combination.drug, route=combination.route, amount_umol=1.0, start_h=0.0, duration_h=0.0)
    try:
        check_covered(combination.parameters, [dose])
    except InvalidInputError:
        return False
    return True


COMBINATIONS = tuple(
    one
    for name in SETS
    for drug in DRUGS
    for route in ROUTES
    if _is_covered(one := Combination(name, drug, route))
)
REPRESENTATIVES = tuple(
    {(one.set, way_of(one.drug, one.route), one.route): one for one in reversed(COMBINATIONS)}.values()
)
"""One drug for every way of a set: racemate where it is covered."""


def _is_integrated(combination: Combination) -> bool:
    field = STRUCTURES[combination.parameters.structure].time_variant_field
    return field in combination.parameters.rows


INTEGRATED_SETS = frozenset(one.set for one in COMBINATIONS if _is_integrated(one))
"""Sets with a metabolite that is integrated numerically: some 0.06 s a patient in a run."""


def every(*, is_run: bool = False) -> pytest.MarkDecorator:
    """Return the parametrisation over all combinations; other drugs of a way are slow, as are long runs.

    Parameters
    ----------
    is_run : bool
        Whether the test calls ``simulate``, which integrates what is time-variant.
    """
    return pytest.mark.parametrize(
        "combination",
        [
            pytest.param(
                one,
                id=str(one),
                marks=()
                if one in REPRESENTATIVES and not (is_run and one.set in INTEGRATED_SETS)
                else (pytest.mark.slow,),
            )
            for one in COMBINATIONS
        ],
    )


INTRAVENOUS = tuple(one for one in COMBINATIONS if one.route in (Route.IV_BOLUS, Route.IV_INFUSION))


def model_of(
    combination: Combination, doses: Sequence[Dose], *, numbers: Sequence[int] | None = None, seed: int = 1
) -> PkModel:
    """Return the pharmacokinetics of virtual patients with those numbers, or of the typical one."""
    count = 1 if numbers is None else len(numbers)
    keys = None if numbers is None else np.array(numbers)
    values = individual_values(combination.parameters, [combination.patient] * count, numbers=keys, seed=seed)
    return wire_pk(combination.parameters, values, [Given(dose) for dose in doses], patient_count=count)


Solver = Callable[[LinearSystem, Sequence[Input], np.ndarray, Any], dict[str, np.ndarray]]


def _modal(
    system: LinearSystem, inputs: Sequence[Input], times: np.ndarray, outputs: Any
) -> dict[str, np.ndarray]:
    return respond(system, inputs, times, outputs).values


def _by_patient(respond_one: Callable[..., dict[str, np.ndarray]]) -> Solver:
    def solve(
        system: LinearSystem, inputs: Sequence[Input], times: np.ndarray, outputs: Any
    ) -> dict[str, np.ndarray]:
        rows = [
            respond_one(system, inputs, times, outputs, patient) for patient in range(system.patient_count)
        ]
        return {name: np.stack([row[name] for row in rows]) for name in outputs}

    return solve


def _engine_functions() -> dict[str, Callable[..., Any]]:
    found = {}
    for module in iter_modules(euthymia.engine.__path__):
        members = vars(import_module(f"euthymia.engine.{module.name}"))
        found |= {
            name: one
            for name, one in members.items()
            if name.startswith("respond")
            and getattr(one, "__module__", "") == f"euthymia.engine.{module.name}"
        }
    return found


ENGINE_FUNCTIONS = _engine_functions()
"""Every public function of the engine that answers a schedule: ``respond``, ``respond_by_...``."""
SOLVERS: dict[str, Solver] = {
    name: _modal if name == "respond" else _by_patient(function)
    for name, function in ENGINE_FUNCTIONS.items()
}


def curves(model: PkModel, times: np.ndarray, *, solver: str = "respond") -> dict[str, np.ndarray]:
    """Return every concentration of a model, (P, T)."""
    return SOLVERS[solver](model.system, model.inputs, times, model.observed)


def largest(values: np.ndarray) -> np.ndarray:
    """Return each patient's largest value, (P, 1), or 1 where there is none."""
    peak = np.abs(values).max(axis=1, keepdims=True)
    return np.where(peak > 0, peak, 1.0)
