"""What is written down and never rewritten: an event, who entered it, when it was seen, when it was entered.

An event is frozen and becomes one plain JSON object. A value keeps what was typed, its unit, and beside them
the canonical number. What was wrong is corrected by a further event; the old one stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from euthymia.errors import invalid

SCHEMA = "euthymia.care.event/1"
Facts = Mapping[str, Any]
NOTHING: Facts = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A measured value as it was typed, with its canonical number.

    Attributes
    ----------
    entered : str
        As typed, such as ``82,5``.
    unit : str
        As chosen, such as ``lb``.
    canonical : float
        In ``canonical_unit``.
    canonical_unit : str
    """

    entered: str
    unit: str
    canonical: float
    canonical_unit: str

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON object."""
        return {
            "entered": self.entered,
            "unit": self.unit,
            "canonical": self.canonical,
            "canonical_unit": self.canonical_unit,
        }

    @classmethod
    def from_dict(cls, plain: Facts) -> Quantity:
        """Read what ``to_dict`` wrote."""
        return cls(
            entered=str(plain["entered"]),
            unit=str(plain["unit"]),
            canonical=float(plain["canonical"]),
            canonical_unit=str(plain["canonical_unit"]),
        )

    def __str__(self) -> str:
        """Return it as it was entered."""
        return f"{self.entered} {self.unit}".strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One thing that was done, seen or decided.

    Attributes
    ----------
    event_id : str
        Unique in the whole record.
    kind : str
        One of ``events.kinds()``.
    subjects : mapping of str to str
        What it is about: patient, course, session, obligation, alert, lot ... each to an identifier.
    observed_at : datetime
        When it happened, UTC.
    entered_at : datetime
        When it was entered, UTC; never decreases along the record.
    author : str
        Account of who entered it; ``software`` where the core made it from a rule.
    role : str
        Role in which that was done.
    values : mapping of str to Quantity
        Measured values by name.
    facts : mapping
        Everything else, of plain JSON values.
    corrects : str or None
        The event whose values and facts this one replaces.
    reason : str or None
        Why: of a correction, a deviation, an override.
    because_of : str or None
        The event that this one follows from, where the core made it.
    rules_version : str
        Of the rules in force; empty where none was applied.
    """

    event_id: str
    kind: str
    subjects: Mapping[str, str]
    observed_at: datetime
    entered_at: datetime
    author: str
    role: str
    values: Mapping[str, Quantity] = field(default_factory=lambda: NOTHING)
    facts: Facts = field(default_factory=lambda: NOTHING)
    corrects: str | None = None
    reason: str | None = None
    because_of: str | None = None
    rules_version: str = ""

    def __post_init__(self) -> None:
        """Freeze what was given, and refuse times without a zone."""
        for name in ("observed_at", "entered_at"):
            object.__setattr__(self, name, in_utc(name, getattr(self, name)))
        for name in ("subjects", "values", "facts"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def about(self, subject: str) -> str:
        """Return the identifier of a subject; empty where the event has none of that kind."""
        return self.subjects.get(subject, "")

    def number(self, name: str) -> float | None:
        """Return the canonical number of a value; None where it was not recorded."""
        found = self.values.get(name)
        return None if found is None else found.canonical

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON object: strings, numbers, booleans, null, lists and objects."""
        return {
            "schema": SCHEMA,
            "event_id": self.event_id,
            "kind": self.kind,
            "subjects": dict(self.subjects),
            "observed_at": to_text(self.observed_at),
            "entered_at": to_text(self.entered_at),
            "author": self.author,
            "role": self.role,
            "values": {name: value.to_dict() for name, value in self.values.items()},
            "facts": thawed(self.facts),
            "corrects": self.corrects,
            "reason": self.reason,
            "because_of": self.because_of,
            "rules_version": self.rules_version,
        }

    @classmethod
    def from_dict(cls, plain: Facts) -> Event:
        """Read what ``to_dict`` wrote.

        Raises
        ------
        InvalidInputError
            Where the schema is another, or a field is missing.
        """
        if plain.get("schema") != SCHEMA:
            raise invalid("schema", must=SCHEMA, got=repr(plain.get("schema")))
        try:
            return cls(
                event_id=plain["event_id"],
                kind=plain["kind"],
                subjects=plain["subjects"],
                observed_at=from_text(plain["observed_at"]),
                entered_at=from_text(plain["entered_at"]),
                author=plain["author"],
                role=plain["role"],
                values={name: Quantity.from_dict(value) for name, value in plain["values"].items()},
                facts=plain["facts"],
                corrects=plain["corrects"],
                reason=plain["reason"],
                because_of=plain["because_of"],
                rules_version=plain["rules_version"],
            )
        except KeyError as missing:
            raise invalid(str(missing.args[0]), must="in every event", got="nothing") from None


def to_text(instant: datetime) -> str:
    """Return an instant as text of fixed width, so that texts sort as instants do."""
    return in_utc("instant", instant).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_text(text: str) -> datetime:
    """Read an instant; a zone is required.

    Raises
    ------
    InvalidInputError
    """
    try:
        return in_utc("instant", datetime.fromisoformat(text))
    except (TypeError, ValueError):
        raise invalid("instant", must="ISO 8601 with a zone", got=repr(text)) from None


def in_utc(name: str, instant: datetime) -> datetime:
    """Return an aware instant in UTC.

    Raises
    ------
    InvalidInputError
        Where it has no zone.
    """
    if not isinstance(instant, datetime) or instant.tzinfo is None:
        raise invalid(name, must="an instant with a time zone", got=repr(instant))
    return instant.astimezone(UTC)


def frozen(value: Any) -> Any:
    """Return plain JSON values that cannot be changed: read-only mappings and tuples."""
    if isinstance(value, Mapping):
        return MappingProxyType({str(key): frozen(one) for key, one in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(one) for one in value)
    return value


def thawed(value: Any) -> Any:
    """Return frozen values as dictionaries and lists, as JSON writes them."""
    if isinstance(value, Mapping):
        return {key: thawed(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [thawed(one) for one in value]
    return value
