"""What is read off a device, weighed or rated: as entered, in which unit, and what is asked about it.

A value that cannot be, that is unusual, or that looks like another unit is written down as it was entered,
and a question is put to the person who entered it. Nothing is changed here. While a question is open the
value proves nothing: for what needs it, it is unknown.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from euthymia.care.record import Quantity
from euthymia.errors import invalid, unknown
from euthymia.tables import read_text

QuestionKind = Literal["impossible", "unusual", "unit", "swapped", "whole", "repeated"]
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?|[.,]\d+", re.ASCII)
REPEATED_COUNT = 3
"""So many values equal to those of the reading before look copied."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """What can be measured, in which units."""

    name: str
    label: str
    unit: str
    possible: tuple[float, float]
    usual: tuple[float, float]
    factors: Mapping[str, tuple[float, float]]
    is_whole: bool = False

    def canonical(self, number: float, unit: str) -> float:
        """Return a number in the canonical unit; exact where the unit is canonical."""
        factor, offset = self.factors[unit]
        return number if factor == 1.0 and not offset else number * factor + offset


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question about an entry, which a person answers.

    Attributes
    ----------
    kind : str
        impossible, unusual, unit, swapped, whole or repeated.
    field : str
        The values asked about, with blanks between.
    entered : str
        As entered.
    says : str
        The question as it is put.
    proposals : tuple of mapping of str to Quantity
        What may have been meant; never taken without an answer.
    """

    kind: QuestionKind
    field: str
    entered: str
    says: str
    proposals: tuple[Mapping[str, Quantity], ...] = ()

    def to_facts(self) -> dict[str, Any]:
        """Return the facts of the event that asks it."""
        return {
            "question": self.kind,
            "field": self.field,
            "entered": self.entered,
            "proposals": [{name: value.to_dict() for name, value in one.items()} for one in self.proposals],
        }


def _table() -> dict[str, Any]:
    return tomllib.loads(read_text("rules/readings.toml"))


@cache
def measures() -> Mapping[str, Measure]:
    """Return everything that can be measured, by name (``data/rules/readings.toml``)."""
    rows = {name: row for name, row in _table().items() if isinstance(row, dict)}
    return MappingProxyType({name: _measure(name, row) for name, row in rows.items()})


def _measure(name: str, row: Mapping[str, Any]) -> Measure:
    factors = {unit: (one["factor"], one.get("offset", 0.0)) for unit, one in row["units"].items()}
    return Measure(
        name=name,
        label=row["label"],
        unit=row["unit"],
        possible=(row["possible"][0], row["possible"][1]),
        usual=(row["usual"][0], row["usual"][1]),
        factors=MappingProxyType(factors),
        is_whole=row.get("is_whole", False),
    )


@cache
def _fractions() -> tuple[float, float]:
    table = _table()
    return table["weight_change_fraction"], table["unit_match_fraction"]


def quantity(name: str, entered: str | float, unit: str | None = None) -> Quantity:
    """Return a value as it was entered, with its canonical number.

    Parameters
    ----------
    name : str
        One of ``measures()``.
    entered : str or float
        Digits with one decimal mark, a point or a comma.
    unit : str, optional
        By default the canonical one.

    Raises
    ------
    InvalidInputError
        Where it is no number, or the unit is not one of this measure.

    Examples
    --------
    >>> quantity("weight_kg", "82,5").canonical
    82.5
    """
    measure = _find(name)
    text, chosen = str(entered).strip(), unit or measure.unit
    if chosen not in measure.factors:
        raise invalid(f"unit of {name}", must=f"one of {', '.join(measure.factors)}", got=repr(unit))  # noqa: EM102
    if not _NUMBER.fullmatch(text):
        raise invalid(name, must="digits with one decimal mark", got=repr(entered))
    number = float(text.replace(",", "."))
    return Quantity(
        entered=text, unit=chosen, canonical=measure.canonical(number, chosen), canonical_unit=measure.unit
    )


def _find(name: str) -> Measure:
    if name not in measures():
        raise unknown("measure", name, measures())
    return measures()[name]


def quantities(values: Mapping[str, str | float]) -> dict[str, Quantity]:
    """Return several values entered in their canonical units."""
    return {name: quantity(name, value) for name, value in values.items()}


def questions(
    values: Mapping[str, Quantity], *, before: Mapping[str, Quantity] | None = None
) -> tuple[Question, ...]:
    """Return what has to be asked about values before they prove anything.

    Parameters
    ----------
    values : mapping of str to Quantity
        As entered.
    before : mapping of str to Quantity, optional
        The last ones of this person, for comparison; never copied.
    """
    earlier = before or {}
    found = [question for name, value in values.items() for question in _about(name, value)]
    found += _swapped(values)
    found += _weight(values, earlier)
    found += _repeated(values, earlier)
    return tuple(found)


def _about(name: str, value: Quantity) -> Iterable[Question]:
    measure = _find(name)
    kind = _strangeness(measure, value.canonical)
    if kind is not None:
        low, high = measure.usual
        yield Question(
            kind=kind,
            field=name,
            entered=str(value),
            says=f"{measure.label}: {value}. Usual is {low:g} to {high:g} {measure.unit}. Right as entered?",
            proposals=_other_units(measure, value),
        )


def _strangeness(measure: Measure, number: float) -> QuestionKind | None:
    if not measure.possible[0] <= number <= measure.possible[1]:
        return "impossible"
    if measure.is_whole and number != round(number):
        return "whole"
    return None if measure.usual[0] <= number <= measure.usual[1] else "unusual"


def _other_units(measure: Measure, value: Quantity) -> tuple[Mapping[str, Quantity], ...]:
    others = [quantity(measure.name, value.entered, unit) for unit in measure.factors if unit != value.unit]
    low, high = measure.usual
    return tuple({measure.name: one} for one in others if low <= one.canonical <= high)


def _swapped(values: Mapping[str, Quantity]) -> Iterable[Question]:
    high, low = values.get("systolic_mmHg"), values.get("diastolic_mmHg")
    if high is not None and low is not None and high.canonical <= low.canonical:
        yield Question(
            kind="swapped",
            field="systolic_mmHg diastolic_mmHg",
            entered=f"{high.entered}/{low.entered}",
            says=f"Pressure {high.entered}/{low.entered}: the first is not the larger. Right as entered?",
            proposals=({"systolic_mmHg": low, "diastolic_mmHg": high},),
        )


def _weight(values: Mapping[str, Quantity], before: Mapping[str, Quantity]) -> Iterable[Question]:
    new, old = values.get("weight_kg"), before.get("weight_kg")
    if new is None or old is None or not old.canonical:
        return
    change, match = _fractions()
    ratio = new.canonical / old.canonical
    if round(abs(ratio - 1.0), 9) <= change:
        return
    pound = _find("weight_kg").factors["lb"][0]
    is_unit = any(abs(ratio / one - 1.0) <= match for one in (pound, 1.0 / pound))
    other = "lb" if new.unit == "kg" else "kg"
    yield Question(
        kind="unit" if is_unit else "unusual",
        field="weight_kg",
        entered=str(new),
        says=f"Weight {new} after {old}: {'is the unit right' if is_unit else 'is it right as entered'}?",
        proposals=({"weight_kg": quantity("weight_kg", new.entered, other)},) if is_unit else (),
    )


def _repeated(values: Mapping[str, Quantity], before: Mapping[str, Quantity]) -> Iterable[Question]:
    measured = [name for name in values if name not in ("moaas_points", "cadss_points", "weight_kg")]
    same = [name for name in measured if name in before and values[name].canonical == before[name].canonical]
    if len(measured) >= REPEATED_COUNT and len(same) == len(measured):
        yield Question(
            kind="repeated",
            field=" ".join(same),
            entered=", ".join(str(values[name]) for name in same),
            says="Every value is that of the reading before. Were they measured again?",
        )
