"""Limits, devices and horizons of dosing, read from ``rules/dosing.toml``."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any

from euthymia.errors import InvalidInputError
from euthymia.tables import read_text

RULES = "rules/dosing.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A closed range for one quantity, with the reason and the source that it rests on."""

    name: str
    low: float
    high: float
    unit: str
    reason: str
    source: str

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{shortest(self.low)}–{shortest(self.high)} ({RULES})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Maximum:
    """The largest amounts of a class of drugs that are not taken for a slip of unit."""

    amount_mg: float
    amount_mg_per_kg: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """A spray of fixed content; several are used one after the other."""

    route: str
    amount_mg: float
    interval_min: float
    tolerance_fraction: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Horizon:
    """How long a simulation goes on after the end of a regimen."""

    after_last_item_h: float
    after_last_dose_h: float


@cache
def _rules() -> dict[str, Any]:
    return tomllib.loads(read_text(RULES))


@cache
def limit(name: str) -> Limit:
    """Return the limit of a quantity by its name in the rules."""
    return Limit(name=name, **_rules()["limits"][name])


@cache
def maximum(drug_class: str) -> Maximum | None:
    """Return the largest plausible amounts of a class of drugs, None where the class has none."""
    rule = _rules()["maxima"].get(drug_class)
    return rule and Maximum(amount_mg=rule["amount_mg"], amount_mg_per_kg=rule["amount_mg_per_kg"])


@cache
def device(drug: str, route: str) -> Device | None:
    """Return the device that a drug comes in by a route, None where it is given at once."""
    rule = _rules()["devices"].get(drug)
    if rule is None or rule["route"] != route:
        return None
    return Device(**{key: rule[key] for key in Device.__slots__})


@cache
def horizon() -> Horizon:
    """Return how long a simulation goes on after the last item and the last dose."""
    return Horizon(**{key: _rules()["horizon"][key] for key in Horizon.__slots__})


def finite(field: str, value: float, *, of: str = "") -> float:
    """Return a value as a float, or raise where it is not a finite number.

    Parameters
    ----------
    field : str
        Name of the field, for the message.
    value : float
    of : str
        What the field belongs to, for the message: ``"an iv_infusion"``.

    Raises
    ------
    InvalidInputError
        The value is no number, or not finite.
    """
    try:
        result = float(value)
    except (TypeError, ValueError):
        result = math.nan
    if not math.isfinite(result):
        raise refused(field, must="a finite number", got=value, of=of)
    return result


def positive(field: str, value: float, *, of: str = "", cure: str = "") -> float:
    """Return a value as a float, or raise where it is not a finite number above zero."""
    result = finite(field, value, of=of)
    if result <= 0:
        raise refused(field, must="above 0", got=shortest(result), of=of, cure=cure)
    return result


def within(name: str, field: str, value: float, *, of: str = "", cure: str = "") -> float:
    """Return a value as a float, or raise where it is outside the limit of that name."""
    result = finite(field, value, of=of)
    if result not in limit(name):
        raise refused(field, must=str(limit(name)), got=shortest(result), of=of, cure=cure)
    return result


def refused(field: str, *, must: str, got: object, of: str = "", cure: str = "") -> InvalidInputError:
    """Build the error that a field of something must hold a rule, with what was given and the cure."""
    whose = f" of {of}" if of else ""
    return InvalidInputError(f"'{field}'{whose} must be {must}. Got {got}." + (f" {cure}" if cure else ""))


def shortest(value: float) -> str:
    """Return the shortest text that reads back as the same number: ``40``, ``0.5``."""
    return repr(float(value)).removesuffix(".0")
