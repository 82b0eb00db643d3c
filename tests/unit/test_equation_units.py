"""Claim: units balance in every equation, shown by evaluating each right-hand side on dimensioned inputs.

A factor that converts (minutes to hours) counts as an imbalance: inside, nothing is converted. Fractions,
logits, points and relative sizes all have no unit: that they are not mixed is for the layers' own tests.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
import pint
import pytest
from tests.registry import LAYERS, PARTS, STATELESS, typical, typical_values

from euthymia.engine.maths import NUMPY
from euthymia.mechanism.acute import cardiovascular
from euthymia.mechanism.comparators import midazolam
from euthymia.mechanism.pk import brain
from euthymia.model import wiring
from euthymia.model.chain import circuit_table, node_constants
from euthymia.model.parameters import load_parameters
from euthymia.model.variables import find_variable
from euthymia.units import registry, unit_in_name

UNITS = registry()
EACH = pytest.mark.parametrize("layer", LAYERS)
PURE = UNITS.Unit("")


class UnitsDifferError(Exception):
    """Two quantities of different units meet, or one with a unit where there must be none."""


class Measured:
    """A pint quantity that adds and compares only what has exactly its own unit."""

    def __init__(self, quantity: Any) -> None:
        self.quantity = quantity

    @property
    def unit(self) -> pint.Unit:
        return self.quantity.units

    @property
    def value(self) -> float:
        return float(self.quantity.magnitude)

    def beside(self, other: Any) -> Any:
        """Return the other's quantity if it has the same unit; a plain number has none."""
        right = quantity_of(other)
        if right.units != self.unit:
            message = f"{self.unit} meets {right.units}"
            raise UnitsDifferError(message)
        return right

    def pure(self) -> float:
        """Return the value of a quantity without unit."""
        if self.unit != PURE:
            message = f"{self.unit} where a number must stand"
            raise UnitsDifferError(message)
        return self.value

    def __add__(self, other: Any) -> Measured:
        return Measured(self.quantity + self.beside(other))

    def __sub__(self, other: Any) -> Measured:
        return Measured(self.quantity - self.beside(other))

    def __rsub__(self, other: Any) -> Measured:
        return Measured(self.beside(other) - self.quantity)

    def __mul__(self, other: Any) -> Measured:
        return Measured(self.quantity * quantity_of(other))

    def __truediv__(self, other: Any) -> Measured:
        return Measured(self.quantity / quantity_of(other))

    def __rtruediv__(self, other: Any) -> Measured:
        return Measured(quantity_of(other) / self.quantity)

    def __gt__(self, other: Any) -> bool:
        """Compare with what has the same unit, or with a written 0: a sign has no unit."""
        is_sign = not isinstance(other, Measured) and other == 0.0
        return bool(self.value > (0.0 if is_sign else self.beside(other).magnitude))

    def __neg__(self) -> Measured:
        return Measured(-self.quantity)

    __radd__, __rmul__ = __add__, __mul__


def quantity_of(value: Any) -> Any:
    return value.quantity if isinstance(value, Measured) else UNITS.Quantity(value, PURE)


def measured(value: float, unit: str | pint.Unit) -> Measured:
    return Measured(UNITS.Quantity(value, unit))


def lifted(value: Any) -> Measured:
    return value if isinstance(value, Measured) else measured(value, PURE)


class MeasuredMaths:
    """The namespace of the equations over dimensioned quantities."""

    def exp(self, x: Any) -> Measured:
        return measured(NUMPY.exp(lifted(x).pure()), PURE)

    def log(self, x: Any) -> Measured:
        return measured(NUMPY.log(lifted(x).pure()), PURE)

    def tanh(self, x: Any) -> Measured:
        return measured(NUMPY.tanh(lifted(x).pure()), PURE)

    def sqrt(self, x: Any) -> Measured:
        return Measured(lifted(x).quantity ** 0.5)

    def maximum(self, a: Any, b: Any) -> Measured:
        return self._alike(NUMPY.maximum, a, b)

    def minimum(self, a: Any, b: Any) -> Measured:
        return self._alike(NUMPY.minimum, a, b)

    def where(self, condition: Any, a: Any, b: Any) -> Measured:
        return self._alike(lambda first, second: NUMPY.where(condition, first, second), a, b)

    def hill(self, u: Any, K: Any, n: Any) -> Measured:
        first, half, power = lifted(u), lifted(K), lifted(n)
        first.beside(half)
        return measured(NUMPY.hill(first.value, half.value, power.pure()), PURE)

    def table2(self, table: Any, x: Any, y: Any) -> Measured:
        return measured(float(NUMPY.table2(table, lifted(x).pure(), lifted(y).pure())), PURE)

    def _alike(self, choose: Callable[[float, float], Any], a: Any, b: Any) -> Measured:
        first = lifted(a)
        other = Measured(first.beside(b))
        return measured(float(choose(first.value, other.value)), first.unit)


MEASURED = MeasuredMaths()


# --- what stands behind the names ------------------------------------------------------------------


def unit_of(name: str) -> pint.Unit:
    return UNITS.Unit(unit_in_name(name))


def rate_of(name: str) -> Any:
    """Return the unit of a state's derivative."""
    return unit_of(name) / UNITS.Unit("h")


def same_unit(found: Any, expected: Any) -> bool:
    """Return whether something, plain numbers included, has exactly a unit; a written 0 fits any."""
    return lifted(found).unit == expected or (not isinstance(found, Measured) and found == 0.0)


def plain_record(kind: Any, seed: int) -> Any:
    """Return a record of numbers between 0.1 and 0.9, all different."""
    draws = np.random.default_rng(seed).uniform(0.1, 0.9, len(kind._fields))
    return kind(*(float(one) for one in draws))


def dimensioned(record: Any) -> Any:
    """Return a record whose fields carry the units that their names promise."""
    return type(record)(**{name: measured(value, unit_of(name)) for name, value in record._asdict().items()})


def arguments_of(layer: str) -> tuple[Any, ...]:
    """Return plain state, inputs where the layer has any, and typical parameters."""
    module = PARTS[layer]
    state = (plain_record(module.State, 1),) if hasattr(module, "State") else ()
    inputs = (plain_record(module.Inputs, 2),) if hasattr(module, "Inputs") else ()
    return (*state, *inputs, typical(layer))


def called(function: Callable[..., Any], m: Any, arguments: tuple[Any, ...]) -> Any:
    """Call ``outputs`` of any layer with those of (state, inputs, parameters) that it takes."""
    names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    given: dict[str, Any] = {
        "state": arguments[0],
        "inputs": arguments[-2],
        "parameters": arguments[-1],
    }
    return function(m, *(given[name] for name in names))


# --- the layers ------------------------------------------------------------------------------------


@EACH
def test_every_rate_has_the_unit_of_its_state_per_hour(layer: str):
    arguments = tuple(dimensioned(one) for one in arguments_of(layer))
    changes = LAYERS[layer].rates(MEASURED, *arguments)
    wrong = {
        name: str(lifted(rate).unit)
        for name, rate in changes._asdict().items()
        if not same_unit(rate, rate_of(name))
    }
    assert wrong == {}


@pytest.mark.parametrize("layer", [name for name, layer in PARTS.items() if hasattr(layer, "outputs")])
def test_every_output_has_the_unit_that_its_name_promises(layer: str):
    arguments = tuple(dimensioned(one) for one in arguments_of(layer))
    found = called(PARTS[layer].outputs, MEASURED, arguments)._asdict()
    assert {name: str(one.unit) for name, one in found.items() if not same_unit(one, unit_of(name))} == {}


@EACH
def test_dimensioned_and_plain_equations_give_the_same_numbers(layer: str):
    plain = arguments_of(layer)
    changes = LAYERS[layer].rates(NUMPY, *plain)
    checked = LAYERS[layer].rates(MEASURED, *(dimensioned(one) for one in plain))
    np.testing.assert_allclose([lifted(one).value for one in checked], list(changes), rtol=1e-14, atol=0)


# --- the chain -------------------------------------------------------------------------------------


class Chain(NamedTuple):
    """States, drives and parameters of the whole chain, each with its unit."""

    state: dict[str, Measured]
    drive: dict[str, Measured]
    parameter: dict[str, Any]


@pytest.fixture(scope="module")
def chain() -> Chain:
    numbers = np.random.default_rng(3).uniform(0.1, 0.9, 100)
    names = [*wiring.state_names(), *wiring.DRIVES, *(f"start.{name}" for name in wiring.Start._fields)]
    found = {name: measured(float(value), unit_of(name)) for name, value in zip(names, numbers, strict=False)}
    parameter: dict[str, Any] = {name: measured(one, unit_of(name)) for name, one in typical_values().items()}
    parameter |= {name: one for name, one in found.items() if name.startswith("start.")}
    parameter[wiring.CIRCUIT_TABLE] = circuit_table(node_constants(load_parameters()))
    return Chain(
        {name: found[name] for name in wiring.state_names()},
        {name: found[name] for name in wiring.DRIVES},
        parameter,
    )


def test_wired_rates_have_the_unit_of_their_state_per_hour(chain: Chain):
    found = wiring.rates(MEASURED, *chain)
    assert set(found) == set(wiring.state_names())
    assert [name for name, rate in found.items() if not same_unit(rate, rate_of(name))] == []


def test_wired_observables_have_the_unit_of_their_name_and_of_the_table(chain: Chain):
    found = wiring.outputs(MEASURED, *chain)
    assert [name for name, one in found.items() if not same_unit(one, unit_of(name))] == []
    stated = {name: find_variable(name).unit.replace("points", "") for name in found}
    assert [name for name, one in found.items() if not same_unit(one, UNITS.Unit(stated[name]))] == []


def test_every_layer_is_handed_the_units_that_it_promises_to_read(chain: Chain):
    handed = wiring.connect(MEASURED, *chain).inputs
    wrong = [
        f"{layer}.{name}"
        for layer, inputs in handed.items()
        for name, one in inputs._asdict().items()
        if not same_unit(one, unit_of(name))
    ]
    assert wrong == []
    assert set(handed) == {name for name, layer in LAYERS.items() if hasattr(layer, "Inputs")}
    assert not set(handed) & set(STATELESS), "these are handed theirs on the way"


@pytest.mark.parametrize(("is_well", "occupancy"), [(False, 0.0), (True, 0.0), (False, 0.8)])
def test_the_start_has_the_units_of_states(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, is_well: bool, occupancy: float
):
    monkeypatch.setattr(wiring, "ROUNDS_TO_WELL", 2)
    states, start = wiring.initial(MEASURED, chain.parameter, is_well=is_well, occupancy_fraction=occupancy)
    assert set(states) == set(wiring.state_names())
    # a written 0 is nothing in any unit
    found = {name: one for name, one in (states | start).items() if isinstance(one, Measured) or one != 0.0}
    assert len(found) > len(start) + 2 * len(wiring.REGIONS)
    assert [name for name, one in found.items() if not same_unit(one, unit_of(name))] == []


JUMPS = [
    one
    for name, one in vars(wiring).items()
    if name.startswith(("at_", "after_")) and one.__module__ == wiring.__name__
]


def test_every_event_that_makes_states_jump_is_known():
    assert {wiring.at_visit, wiring.after_visit, wiring.at_session, wiring.at_ect} <= set(JUMPS)


@pytest.mark.parametrize("jump", JUMPS, ids=lambda one: one.__name__)
def test_jumps_keep_the_unit_of_a_state(chain: Chain, jump: Callable[..., dict[str, Any]]):
    found = jump(MEASURED, chain.state, chain.parameter)
    assert found
    assert [name for name, one in found.items() if not same_unit(one, unit_of(name))] == []


def test_effect_sites_are_concentrations_that_follow_by_rates_per_hour():
    site = dimensioned(
        brain.Parameters(*(typical_values()[f"site.{name}"] for name in brain.Parameters._fields))
    )
    per_volume = cast(np.ndarray, measured(0.3, "1/L"))
    plasma = {one: {"node": per_volume} for one in brain.potencies(site)}
    flows, concentrations, slopes = brain.sites(site, plasma, list(plasma))
    for flow in flows:
        # an observer of amounts (umol) that itself is a concentration
        is_watching = flow.target is not None
        assert same_unit(flow.rate_per_h, UNITS.Unit("1/L/h" if is_watching else "1/h")), flow
    for one in plasma:
        assert same_unit(concentrations[one][f"{one}.site"], PURE)
        assert same_unit(slopes[one][f"{one}.site"], UNITS.Unit("1/h"))
        assert same_unit(slopes[one]["node"], UNITS.Unit("1/L/h"))
    assert all(same_unit(one, PURE) for one in brain.potencies(site).values())


def test_compartments_of_midazolam_hold_amounts_and_its_site_a_concentration():
    body = dimensioned(typical("midazolam"))
    for flow in midazolam.flows(body):
        is_watching = flow.target == midazolam.SITE
        assert same_unit(flow.rate_per_h, UNITS.Unit("1/L/h" if is_watching else "1/h")), flow
        assert is_watching != flow.depletes
    concentration, slope = midazolam.readings(body).values()
    assert same_unit(concentration[midazolam.SITE], PURE)
    assert same_unit(slope[midazolam.SITE], UNITS.Unit("1/h"))
    assert same_unit(slope[midazolam.CENTRAL], UNITS.Unit("1/L/h"))


def test_rises_of_a_person_keep_the_unit_of_the_rise():
    values = typical_values()
    covariates = cardiovascular.Covariates(
        *(
            UNITS.Quantity(values[f"cardiovascular.{name}"], unit_in_name(name))
            for name in cardiovascular.Covariates._fields
        )
    )
    rise = UNITS.Quantity(30.0, "mmHg")
    older = cardiovascular.for_person(
        rise, covariates, age_years=UNITS.Quantity(65.0, "year"), is_hypertensive=True
    )
    assert older.to("mmHg").magnitude == pytest.approx(30.0 * 1.2 * 1.3, rel=1e-12)
    with pytest.raises(pint.DimensionalityError):
        cardiovascular.for_person(
            rise, covariates, age_years=UNITS.Quantity(65.0, "kg"), is_hypertensive=True
        )


# --- that the test bites ---------------------------------------------------------------------------

DISSOCIATION = dimensioned(plain_record(LAYERS["dissociation"].Parameters, 4))
SITE = measured(0.4, "umol/L")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda m: m.hill(SITE, measured(0.3, ""), 2), "micromole / liter meets dimensionless"),
        (lambda m: m.hill(SITE, SITE, measured(2.0, "1/h")), "1 / hour where a number"),
        (lambda m: m.exp(-SITE), "micromole / liter where a number"),
        (lambda m: m.log(SITE), "micromole / liter where a number"),
        (lambda m: m.tanh(measured(2.0, "h")), "hour where a number"),
        (lambda m: m.exp(measured(2.0, "1/min") * measured(0.5, "h")), "hour / minute where a number"),
        (lambda m: m.maximum(SITE, 0.0), "micromole / liter meets dimensionless"),
        (lambda m: m.minimum(0.0, SITE), "dimensionless meets micromole / liter"),
        (lambda m: m.where(1, SITE, measured(1.0, "h")), "micromole / liter meets hour"),
        (lambda m: m.table2(None, SITE, 0.5), "micromole / liter where a number"),
        (lambda m: 1.0 - SITE, "micromole / liter meets dimensionless"),
        (lambda m: SITE + measured(1.0, "nmol/mL"), "micromole / liter meets nanomole / milliliter"),
        (lambda m: measured(1.0, "1/h") - measured(1.0, "1/min"), "1 / hour meets 1 / minute"),
    ],
)
def test_a_wrong_equation_is_refused(wrong: Callable[[Any], Any], reason: str):
    with pytest.raises(UnitsDifferError, match=reason):
        wrong(MEASURED)


def test_a_layer_with_a_forgotten_time_constant_is_found(monkeypatch: pytest.MonkeyPatch):
    module = LAYERS["ssri"]

    def forgetful(m: Any, state: Any, inputs: Any, parameters: Any) -> Any:
        del m, parameters
        return module.State(inputs.occupancy_fraction - state.adaptation_fraction)

    monkeypatch.setitem(LAYERS, "ssri", SimpleNamespace(**{**vars(module), "rates": forgetful}))
    with pytest.raises(AssertionError, match="dimensionless"):
        test_every_rate_has_the_unit_of_its_state_per_hour("ssri")
