"""Lists read off the package, so that a new route, drug, set or solver is tested without being asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

import euthymia.engine
from euthymia.dosing.drug import treatments
from euthymia.dosing.limits import device
from euthymia.dosing.order import Dose, Order, Route
from euthymia.engine.linear import Input, LinearSystem, respond
from euthymia.engine.maths import NUMPY
from euthymia.errors import InvalidInputError
from euthymia.mechanism.acute import cardiovascular, reading
from euthymia.mechanism.circuit import steady
from euthymia.mechanism.comparators import midazolam
from euthymia.mechanism.pk import brain
from euthymia.mechanism.plasticity import events
from euthymia.mechanism.symptoms import belief, expectancy, noise, scales
from euthymia.model import wiring
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


# --- the chain behind concentrations ---------------------------------------------------------------

LAYERS = wiring.LAYERS
STATELESS = wiring.STATELESS
PARTS: dict[str, ModuleType] = {**LAYERS, **STATELESS, "midazolam": midazolam, "life": events}
"""Everything with parameters of its own, by the name that these begin with: layers, kinetics, events."""
CHAIN = load_parameters().chain


def _fields(kind: Any) -> tuple[str, ...]:
    named = getattr(kind, "_fields", None)
    return tuple(named) if named else tuple(field.name for field in fields(kind))


CHAIN_RECORDS: dict[str, tuple[Any, ...]] = {
    **{name: (part.Parameters,) for name, part in PARTS.items()},
    "site": (brain.Parameters,),
    "circuit": (steady.Parameters, wiring.Shares),
    "noise": (noise.Parameters,),
    "rating": (scales.Parameters,),
    "reading": (reading.Parameters,),
    "belief": (belief.Parameters, belief.Sessions),
    "expectancy": (expectancy.Parameters, expectancy.Verdict),
    "cardiovascular": (cardiovascular.Parameters, cardiovascular.Covariates),
}
"""Every record that parameters of the chain fill, by the name that their rows begin with."""
CHAIN_FIELDS = tuple(
    f"{name}.{field}" for name, kinds in CHAIN_RECORDS.items() for kind in kinds for field in _fields(kind)
)


def chain_value(name: str) -> float:
    """Return the typical value of a parameter of the chain."""
    return CHAIN[name].value


def typical(layer: str, **changes: Any) -> Any:
    """Return the typical parameters of a part with some of them changed."""
    kind = PARTS[layer].Parameters
    return kind(**{field: chain_value(f"{layer}.{field}") for field in kind._fields} | changes)


def typical_values() -> dict[str, Any]:
    """Return the typical value of everything that the chain reads, by ``layer.field``."""
    return {name: chain_value(name) for name in CHAIN}


def layer_course(
    layer: str,
    state: Any,
    parameters: Any,
    times_h: Sequence[float] | np.ndarray,
    inputs: Any = None,
    *,
    changes: Mapping[str, Callable[[float], float]] | None = None,
) -> Any:
    """Return a layer alone, solved by SciPy to 1e-11: its State of arrays (T,).

    Parameters
    ----------
    times_h : array (T,)
        Ascending from the time of ``state``.
    inputs : Inputs or None
    changes : {field: function of h} or None
        Inputs that change over time, smoothly.
    """
    from scipy.integrate import solve_ivp

    kind = type(state)

    def flow(time_h: float, values: np.ndarray) -> list[float]:
        now = inputs
        if changes:
            now = inputs._replace(**{name: function(time_h) for name, function in changes.items()})
        arguments = () if now is None else (now,)
        return list(LAYERS[layer].rates(NUMPY, kind(*values), *arguments, parameters))

    times = np.asarray(times_h, float)
    span = (float(times[0]), float(times[-1]))
    found = solve_ivp(flow, span, list(state), "DOP853", times, rtol=1e-11, atol=1e-13)
    return kind(*found.y)
