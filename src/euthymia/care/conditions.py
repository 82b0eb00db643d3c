"""Conditions of rules in three values: yes, no and unknown, read from one line of text.

``systolic_mmHg > 140 or diastolic_mmHg > 90``: atoms joined by 'and', then by 'or'; no brackets. An atom is a
field, an operator and a value: ``is yes``, ``is no``, ``is WORD``, ``has WORD`` (a list holds it), or one of
``< <= > >=`` with a number. What is absent is unknown, and stays unknown unless the rest decides (Kleene).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from operator import ge, gt, le, lt

from euthymia.errors import InvalidInputError

Fact = bool | float | str | tuple[str, ...] | None
Facts = Mapping[str, Fact]
OTHERS = "?"
"""Member of a list that says: there are others, of which nothing is known."""
ORDERS: Mapping[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}
WORDS = {"yes": True, "no": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One comparison of a field with a value."""

    field: str
    operator: str
    value: bool | float | str

    def holds(self, facts: Facts) -> bool | None:
        """Return whether it holds; None where it is not known."""
        found = facts.get(self.field)
        if found is None:
            return None
        if self.operator == "has":
            return _has(found, str(self.value))
        if self.operator in ORDERS:
            return _ordered(found, self)
        return found == self.value

    def __str__(self) -> str:
        """Return it as it is written."""
        if isinstance(self.value, bool):
            return f"{self.field} {self.operator} {'yes' if self.value else 'no'}"
        value = self.value if isinstance(self.value, str) else f"{self.value:g}"
        return f"{self.field} {self.operator} {value}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """Ways in which something comes about, each a list of conditions that hold together."""

    ways: tuple[tuple[Condition, ...], ...]

    def hold(self, facts: Facts) -> bool | None:
        """Return whether any way is fulfilled: True, False or None where that is not known."""
        found = [_all(way, facts) for way in self.ways]
        return True if True in found else None if None in found else False

    def missing(self, facts: Facts) -> tuple[str, ...]:
        """Return the fields that would have to be known, in the order in which to ask; () if decided.

        Of a way the first unknown field is asked first: the others matter only where it does not decide.
        """
        if self.hold(facts) is not None:
            return ()
        open_ways = [way for way in self.ways if _all(way, facts) is None]
        unknown = (one.field for way in open_ways for one in way if one.holds(facts) is None)
        return tuple(dict.fromkeys(unknown))

    @property
    def fields(self) -> tuple[str, ...]:
        """Return every field that is looked at."""
        return tuple(dict.fromkeys(one.field for one in self.atoms()))

    def atoms(self) -> Iterator[Condition]:
        """Yield every comparison."""
        return (one for way in self.ways for one in way)


@cache
def read_conditions(text: str) -> Conditions:
    """Return the conditions that a line of text says.

    Raises
    ------
    InvalidInputError
        Where a part is no comparison.

    Examples
    --------
    >>> line = read_conditions("age_years < 65 and systolic_mmHg > 140 or diastolic_mmHg > 90")
    >>> line.hold({"age_years": 40.0, "systolic_mmHg": 150.0}), line.hold({"systolic_mmHg": 150.0})
    (True, None)
    """
    ways = [way.split(" and ") for way in text.split(" or ")]
    return Conditions(ways=tuple(tuple(_atom(part, text) for part in way) for way in ways))


def _atom(part: str, text: str) -> Condition:
    words = part.split()
    if len(words) != 3 or words[1] not in {*ORDERS, "is", "has"}:
        message = f"{part.strip()!r} in {text!r} is no condition. Write 'field is yes', 'field > 140'."
        raise InvalidInputError(message)
    field, operator, value = words
    if operator in ORDERS:
        return Condition(field=field, operator=operator, value=float(value))
    return Condition(field=field, operator=operator, value=WORDS.get(value, value))


def _all(way: tuple[Condition, ...], facts: Facts) -> bool | None:
    found = [one.holds(facts) for one in way]
    return False if False in found else None if None in found else True


def _has(found: Fact, member: str) -> bool | None:
    members = found if isinstance(found, tuple) else (str(found),)
    return True if member in members else None if OTHERS in members else False


def _ordered(found: Fact, one: Condition) -> bool:
    if isinstance(found, bool | str | tuple) or found is None:
        message = f"'{one.field}' must be a number. Got {found!r}."
        raise InvalidInputError(message)
    return ORDERS[one.operator](float(found), float(one.value))
