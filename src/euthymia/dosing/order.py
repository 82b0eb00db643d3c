"""Orders as written for any patient, and the doses that they become for one of known weight."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import Drug, find_drug, find_treatment
from euthymia.dosing.infusion import interruptions, stretches
from euthymia.dosing.limits import (
    RULES,
    Device,
    device,
    finite,
    limit,
    maximum,
    positive,
    refused,
    shortest,
    within,
)
from euthymia.errors import InvalidInputError, ResultWarning, unknown

AmountUnit = Literal["mg", "mg/kg"]
RateUnit = Literal["mg/h", "mg/kg/h"]
SaltForm = Literal["base", "hcl"]

AMOUNT_UNIT_OF_RATE: dict[RateUnit, AmountUnit] = {"mg/h": "mg", "mg/kg/h": "mg/kg"}


class Route(StrEnum):
    """The ways in which a drug is given."""

    IV_BOLUS = "iv_bolus"
    IV_INFUSION = "iv_infusion"
    INTRAMUSCULAR = "intramuscular"
    SUBCUTANEOUS = "subcutaneous"
    INTRANASAL = "intranasal"
    SUBLINGUAL = "sublingual"
    ORAL = "oral"
    ORAL_EXTENDED_RELEASE = "oral_extended_release"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dose:
    """An amount of base given at a constant rate from one time to another, or at once.

    Parameters
    ----------
    drug : str
        Name in the registry.
    route : Route
    amount_umol : float or array (P,)
        Of base; one value a patient where the weights were an array.
    start_h, duration_h : float
        Since time 0 of the regimen; the duration is 0 for all but an infusion.
    hold_h : float or None
        Time under the tongue; None where not sublingual or where the model's default applies.
    spat_out : bool
        Whether what is left in the mouth is spat out after the hold.
    device_index : int
        Which of the devices of one order this is, from 0.
    """

    drug: str
    route: Route
    amount_umol: float | NDArray[np.float64]
    start_h: float
    duration_h: float
    hold_h: float | None = None
    spat_out: bool = False
    device_index: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What is given, how much, and by which route; use `create`, which checks it.

    Parameters
    ----------
    drug : str
        Name in the registry.
    route : Route
    amount : float or None
        Planned amount in ``amount_unit``; for steps of rate their total; None for an inactive substance.
    amount_unit : {"mg", "mg/kg"}
    salt_form : {"base", "hcl"}
        Whether the amount is of the base or of the hydrochloride.
    duration_min : float or None
        Planned duration of an infusion without its pauses; None for every other route.
    rate_steps : tuple of (rate, duration_min)
        Consecutive constant rates of an infusion; empty where the rate is the same throughout.
    rate_unit : {"mg/h", "mg/kg/h"} or None
    stopped_at_min : float or None
        Clock minutes since the infusion began, pauses included, at which it was ended for good.
    pauses : tuple of (from_min, to_min)
        Clock minutes since the infusion began between which the pump stood still.
    hold_min : float or None
        Time under the tongue; None is the default of the model.
    spat_out : bool
        Whether the rest is spat out after the hold.

    Notes
    -----
    A pause moves what remains to later: same rate, same total, an end that is later by the pause. A stop
    cuts off what had not been given.
    """

    drug: str
    route: Route
    amount: float | None
    amount_unit: AmountUnit = "mg"
    salt_form: SaltForm = "base"
    duration_min: float | None = None
    rate_steps: tuple[tuple[float, float], ...] = ()
    rate_unit: RateUnit | None = None
    stopped_at_min: float | None = None
    pauses: tuple[tuple[float, float], ...] = ()
    hold_min: float | None = None
    spat_out: bool = False

    @classmethod
    def create(
        cls,
        *,
        drug: str,
        route: Route | str,
        amount: float | None = None,
        amount_unit: str | None = None,
        salt_form: str = "base",
        duration_min: float | None = None,
        rate_steps: Sequence[tuple[float, float]] = (),
        rate_unit: str | None = None,
        stopped_at_min: float | None = None,
        pauses: Sequence[tuple[float, float]] = (),
        hold_min: float | None = None,
        spat_out: bool = False,
    ) -> Order:
        """Return an order whose parts have been checked and agree with each other.

        Raises
        ------
        InvalidInputError
            A value is outside its limit, missing, or does not fit the route; the message names the field.
        """
        substance = find_drug(drug)
        way = _route(route)
        if rate_steps:
            if amount is not None or amount_unit is not None or duration_min is not None:
                raise refused(field="rate_steps", must="given without amount and duration", got="both")
            rate_steps, amount, amount_unit, duration_min = _stepped(rate_steps, rate_unit, way)
        elif rate_unit is not None:
            raise refused(field="rate_unit", must="given with rate_steps", got=repr(rate_unit))
        unit = cast(AmountUnit, _one_of("amount_unit", amount_unit or "mg", get_args(AmountUnit)))
        salt = cast(SaltForm, _one_of("salt_form", salt_form, get_args(SaltForm)))
        amount = _amount(substance, amount, unit, salt)
        duration_min = _duration(way, duration_min)
        if duration_min is None:
            _check_uninterrupted(way, pauses, stopped_at_min)
        else:
            pauses, stopped_at_min = interruptions(duration_min, pauses, stopped_at_min)
        hold_min = _hold(way, hold_min, spat_out)
        _check_devices(substance, way, amount, unit, salt)
        return cls(
            drug=substance.name,
            route=way,
            amount=amount,
            amount_unit=unit if substance.is_active else "mg",
            salt_form=salt,
            duration_min=duration_min,
            rate_steps=tuple(rate_steps),
            rate_unit=cast("RateUnit | None", rate_unit),
            stopped_at_min=stopped_at_min,
            pauses=tuple(pauses),
            hold_min=hold_min,
            spat_out=bool(spat_out),
        )

    @property
    def end_min(self) -> float:
        """Clock minutes from the start to the end of an infusion, pauses and a stop included; else 0."""
        return max((start + duration for start, duration, _ in self._pieces()), default=0.0)

    def doses(self, start_h: float, weight_kg: float | NDArray[np.float64]) -> tuple[Dose, ...]:
        """Return the doses that a patient, or many, of that weight receive.

        Parameters
        ----------
        start_h : float
            When the order begins.
        weight_kg : float or array (P,)

        Returns
        -------
        doses : tuple of Dose
            In order of time. The pieces of an infusion follow each other; amounts have the shape of the
            weight.
        """
        weight = _weight(weight_kg)
        factor = self._umol_per_unit_of_amount(weight)
        if self.route is Route.IV_INFUSION:
            return tuple(
                self._dose(start_h + start_min / 60, factor * amount, duration_h=duration_min / 60)
                for start_min, duration_min, amount in self._pieces()
            )
        spray = device(self.drug, self.route)
        return tuple(
            self._dose(
                start_h + index * (spray.interval_min / 60 if spray else 0), factor * part, index=index
            )
            for index, part in enumerate(self._device_amounts())
        )

    def _dose(
        self,
        start_h: float,
        amount_umol: float | NDArray[np.float64],
        *,
        duration_h: float = 0.0,
        index: int = 0,
    ) -> Dose:
        return Dose(
            drug=self.drug,
            route=self.route,
            amount_umol=amount_umol,
            start_h=start_h,
            duration_h=duration_h,
            hold_h=None if self.hold_min is None else self.hold_min / 60,
            spat_out=self.spat_out,
            device_index=index,
        )

    def _umol_per_unit_of_amount(self, weight_kg: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
        umol_per_mg = find_drug(self.drug).umol_per_mg(self.salt_form)
        per_unit = weight_kg if self.amount_unit == "mg/kg" else weight_kg * 0.0 + 1.0
        return umol_per_mg * per_unit

    def _device_amounts(self) -> tuple[float, ...]:
        return _device_amounts(find_drug(self.drug), self.route, self.amount, self.salt_form)

    def _pieces(self) -> Iterator[tuple[float, float, float]]:
        """Yield (start_min, duration_min, amount) of each stretch in which an infusion runs."""
        if self.duration_min is None:
            return
        steps = [(rate * minutes / 60, minutes) for rate, minutes in self.rate_steps]
        steps = steps or [(self.amount or 0.0, self.duration_min)]
        yield from stretches(steps, self.pauses, self.stopped_at_min)


@dataclass(frozen=True, kw_only=True, slots=True)
class TherapySession:
    """One session of a therapy, or one procedure; use `create`, which checks it.

    Parameters
    ----------
    therapy : str
        Name in the registry.
    duration_min : float or None
        None only for a procedure.
    """

    therapy: str
    duration_min: float | None

    @classmethod
    def create(cls, *, therapy: str, duration_min: float | None = None) -> TherapySession:
        """Return a session whose therapy and duration have been checked."""
        treatment = find_treatment(therapy)
        if treatment.kind == "drug":
            raise refused(field="therapy", must="a therapy or a procedure", got=f"{treatment.name}, a drug")
        if duration_min is not None:
            duration_min = within("session_duration_min", "duration_min", duration_min, of=treatment.name)
        elif treatment.kind == "therapy":
            cure = f"Write '{treatment.name} 50 min'."
            raise refused(field="duration_min", must="given", got="nothing", of=treatment.name, cure=cure)
        return cls(therapy=treatment.name, duration_min=duration_min)


Item = Order | TherapySession


def _route(route: Route | str) -> Route:
    try:
        return Route(route)
    except ValueError:
        raise unknown(kind="route", name=str(route), known=[member.value for member in Route]) from None


def _one_of(field: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise refused(field, must=" or ".join(repr(name) for name in known), got=repr(value))
    return value


def _stepped(
    rate_steps: Sequence[tuple[float, float]], rate_unit: str | None, route: Route
) -> tuple[tuple[tuple[float, float], ...], float, AmountUnit, float]:
    """Return the steps as floats, and the amount, its unit and the duration that they add up to."""
    if route is not Route.IV_INFUSION:
        raise refused(
            field="rate_steps", must="given by intravenous infusion", got=f"the route {route.value}"
        )
    if rate_unit is None:
        raise refused(field="rate_unit", must="'mg/h' or 'mg/kg/h'", got="nothing")
    unit = cast(RateUnit, _one_of("rate_unit", rate_unit, get_args(RateUnit)))
    steps = tuple(
        (
            positive("rate_steps", rate, of="an iv_infusion", cure="Write a rate of 0 as a pause."),
            positive("rate_steps", minutes, of="an iv_infusion"),
        )
        for rate, minutes in rate_steps
    )
    amount = sum(rate * minutes / 60 for rate, minutes in steps)
    return steps, amount, AMOUNT_UNIT_OF_RATE[unit], sum(minutes for _, minutes in steps)


def _amount(drug: Drug, amount: float | None, unit: AmountUnit, salt: SaltForm) -> float | None:
    drug.umol_per_mg(salt)  # raises where the drug has no such salt
    if not drug.is_active:
        if amount is not None:
            cure = f"Write '{drug.name} intramuscular' or '{drug.name} iv over 40 min'."
            got = f"{shortest(finite('amount', amount))} {unit}"
            raise refused(field="amount", must="left out", got=got, of=drug.name, cure=cure)
        return None
    if amount is None:
        cure = f"Write '{drug.name} 0.5 mg/kg' or '{drug.name} 35 mg'."
        raise refused(field="amount", must="given", got="nothing", of=drug.name, cure=cure)
    value = positive("amount", amount, of=drug.name)
    _check_maximum(drug, value, unit)
    return value


def _check_maximum(drug: Drug, amount: float, unit: AmountUnit) -> None:
    most = maximum(drug.drug_class)
    if most is None:
        return
    highest = most.amount_mg if unit == "mg" else most.amount_mg_per_kg
    if amount > highest:
        smaller = unit.replace("mg", "ug")
        raise refused(
            field="amount",
            must=f"at most {shortest(highest)} {unit} ({RULES})",
            got=f"{shortest(amount)} {unit}",
            of=drug.name,
            cure=f"Micrograms? {amount:g} {smaller} is {amount / 1000:g} {unit}.",
        )


def _duration(route: Route, duration_min: float | None) -> float | None:
    if route is not Route.IV_INFUSION:
        if duration_min is not None:
            cure = "Only an intravenous infusion has one."
            raise refused(
                field="duration_min", must="left out", got=duration_min, of=f"route {route}", cure=cure
            )
        return None
    if duration_min is None:
        cure = "Write 'iv over 40 min', or 'iv bolus' for an injection at once."
        raise refused(field="duration_min", must="given", got="nothing", of="an iv_infusion", cure=cure)
    cure = _duration_cure(finite("duration_min", duration_min, of="an iv_infusion"))
    return within("infusion_duration_min", "duration_min", duration_min, of="an iv_infusion", cure=cure)


def _duration_cure(duration_min: float) -> str:
    allowed = limit("infusion_duration_min")
    if duration_min < allowed.low and 60 * duration_min in allowed:
        return f"Hours? {duration_min:g} h is {60 * duration_min:.0f} min."
    if duration_min > allowed.high and duration_min / 60 in allowed:
        return f"Seconds? {duration_min:g} s is {duration_min / 60:.0f} min."
    return ""


def _check_uninterrupted(
    route: Route, pauses: Sequence[tuple[float, float]], stopped_at_min: float | None
) -> None:
    if pauses or stopped_at_min is not None:
        field = "pauses" if stopped_at_min is None else "stopped_at_min"
        cure = "Injections, sprays and tablets cannot be stopped or paused."
        raise refused(field, must="left out", got=f"the route {route}", of="an order", cure=cure)


def _hold(route: Route, hold_min: float | None, spat_out: bool) -> float | None:  # noqa: FBT001 (private)
    if route is Route.SUBLINGUAL:
        return None if hold_min is None else within("hold_min", "hold_min", hold_min, of="a sublingual order")
    if hold_min is not None or spat_out:
        field = "hold_min" if hold_min is not None else "spat_out"
        cure = "Only a sublingual order is held in the mouth."
        raise refused(field, must="left out", got=f"the route {route}", of="an order", cure=cure)
    return None


def _check_devices(drug: Drug, route: Route, amount: float | None, unit: AmountUnit, salt: SaltForm) -> None:
    spray = device(drug.name, route)
    if spray is None or amount is None:
        return
    if unit != "mg":
        cure = f"One device holds {shortest(spray.amount_mg)} mg ({RULES})."
        raise refused(field="amount_unit", must="'mg'", got=repr(unit), of=f"{drug.name} {route}", cure=cure)
    count = _device_count(drug, spray, amount, salt)
    if isinstance(count, int):
        return
    whole = int(count) + 1
    message = (
        f"{shortest(amount)} mg of {drug.name} is no multiple of the device of "
        f"{shortest(spray.amount_mg)} mg of base ({RULES}): the last device is given in part. "
        f"Order {shortest(spray.amount_mg * whole)} mg for {whole} whole devices."
    )
    warnings.warn(message, ResultWarning, stacklevel=3)


def _device_count(drug: Drug, spray: Device, amount: float, salt: str) -> int | float:
    """Return how many devices hold an amount: an int where they are whole within the tolerance."""
    base_mg = amount * (1.0 if salt == "base" else drug.base_per_salt_fraction or 1.0)
    count = base_mg / spray.amount_mg
    whole = round(count)
    return whole if whole and abs(count - whole) <= spray.tolerance_fraction else count


def _device_amounts(drug: Drug, route: Route, amount: float | None, salt: str) -> tuple[float, ...]:
    """Return the amounts of the devices of one order, in the unit and salt of the order."""
    spray = device(drug.name, route)
    if spray is None or amount is None:
        return (amount or 0.0,)
    count = _device_count(drug, spray, amount, salt)
    if isinstance(count, int):
        return (amount / count,) * count
    full = int(count)
    return (amount / count,) * full + (amount * (count - full) / count,)


def _weight(weight_kg: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Return the weight as a float or a float array, or raise where a value is outside its limit."""
    weight = np.asarray(weight_kg)
    try:
        weight = weight.astype(np.float64)
    except (TypeError, ValueError):
        raise refused(field="weight_kg", must=str(limit("weight_kg")), got=repr(weight_kg)) from None
    outside = ~((weight >= limit("weight_kg").low) & (weight <= limit("weight_kg").high))
    if outside.any():
        raise _weight_error(weight, outside)
    return weight if weight.ndim else float(weight)


def _weight_error(weight: NDArray[np.float64], outside: NDArray[np.bool_]) -> InvalidInputError:
    worst = float(weight[outside].flat[0]) if weight.ndim else float(weight)
    allowed = limit("weight_kg")
    cure = f"Grams? {worst:g} g is {worst / 1000:g} kg." if worst / 1000 in allowed else ""
    return refused("weight_kg", must=str(allowed), got=shortest(worst), cure=cure)
