"""Drugs taken beside a ketamine: their classes for the rules of interaction, changes of exposure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from euthymia.care.findings import Finding
from euthymia.dosing.order import Route
from euthymia.errors import invalid, unknown
from euthymia.tables import number, read_table

CLASSES = "rules/comedication_classes.csv"
RATIOS = "comedications.csv"
SWALLOWED = (Route.ORAL, Route.ORAL_EXTENDED_RELEASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comedication:
    """A drug taken: as it was entered, its name in the table, its classes; none where it is not known."""

    entered: str
    name: str
    classes: tuple[str, ...] = ()

    @property
    def is_classified(self) -> bool:
        """Whether any class is known."""
        return bool(self.classes)


@cache
def known_drugs() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Return (name, classes) by every name that is read, in small letters."""
    found = {}
    for row in read_table(CLASSES):
        names = [row["name"], *filter(None, row["other_names"].split("|"))]
        found |= {name.lower(): (row["name"], tuple(row["classes"].split("|"))) for name in names}
    return found


def class_names() -> tuple[str, ...]:
    """Return every class that a drug may have."""
    return tuple(sorted({kind for _, kinds in known_drugs().values() for kind in kinds}))


def read_comedications(given: Sequence[object]) -> tuple[Comedication, ...]:
    """Return drugs from their names (``sertraline 100 mg``), or mappings of name and classes.

    Raises
    ------
    InvalidInputError
        Where an entry is neither, or a class is not known.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise invalid("comedications", must="a list; [] where none is taken", got=repr(given))
    return tuple(_one(entry) for entry in given)


def exposure_findings(taken: Sequence[Comedication], route: Route) -> tuple[Finding, ...]:
    """Return what measured changes of exposure the drugs taken bring by a route; they only inform.

    The ratio of the swallowed routes is that of oral ketamine, that of the others of intravenous ketamine.
    """
    rows = {row["name"]: row for row in read_table(RATIOS)}
    column = "oral_auc_ratio" if route in SWALLOWED else "systemic_auc_ratio"
    found = []
    for one in taken:
        ratio = number(rows[one.name], column) if one.name in rows else None
        if ratio is not None:
            found.append(_exposure(one.name, rows[one.name], ratio))
    return tuple(found)


def _exposure(name: str, row: Mapping[str, str], ratio: float) -> Finding:
    return Finding(
        rule_id=f"EXPOSURE-{name.replace(' ', '-')}",
        status="meets" if ratio == 1.0 else "fails",
        severity="inform",
        observed=ratio,
        threshold=1.0,
        unit="ratio of exposure",
        source=f"{row['source']}, {row['location']}",
        confidence=row["confidence"],
        says=f"{name} ({row['class']}): exposure to ketamine {ratio:g} times. {row['note']}".strip(),
    )


def _one(entry: object) -> Comedication:
    if isinstance(entry, Mapping):
        return _stated(entry)
    if not isinstance(entry, str) or not entry.strip():
        raise invalid("comedications", must="names of drugs", got=repr(entry), cure="As 'sertraline 100 mg'.")
    name, classes = _found(entry)
    return Comedication(entered=entry.strip(), name=name, classes=classes)


def _stated(entry: Mapping[object, object]) -> Comedication:
    """Return a drug whose class a person states."""
    for key in entry:
        if key not in {"name", "classes"}:
            raise unknown("field of a comedication", str(key), ("name", "classes"))
    name, classes = str(entry.get("name") or "").strip(), entry.get("classes") or []
    if not name or isinstance(classes, str) or not isinstance(classes, Sequence):
        raise invalid("comedications", must="a name with a list of classes", got=repr(dict(entry)))
    for kind in classes:
        if kind not in class_names():
            raise unknown("class of drugs", str(kind), class_names())
    known, found = _found(name)
    return Comedication(entered=name, name=known, classes=tuple(dict.fromkeys([*found, *map(str, classes)])))


def _found(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the drug whose name stands at the start of a text, the longest first."""
    plain = " ".join(text.lower().split())
    for name in sorted(known_drugs(), key=len, reverse=True):
        if re.match(rf"{re.escape(name)}(?![\w-])", plain):
            return known_drugs()[name]
    return plain, ()
