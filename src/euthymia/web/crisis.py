"""Where somebody in danger finds people: crisis lines by country, shown where suicidality is named."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from euthymia.errors import unknown
from euthymia.tables import read_text

DEFAULT_COUNTRY = "international"


@dataclass(frozen=True, kw_only=True, slots=True)
class CrisisLine:
    """A line: its name, what to dial or write, and when it answers."""

    name: str
    reach: str
    hours: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """A country's emergency number and lines, with who says so and when that was read."""

    country: str
    name: str
    emergency: str
    lines: tuple[CrisisLine, ...]
    source: str
    read_on: str


@cache
def countries() -> Mapping[str, Lines]:
    """Return every entry by its code."""
    return {
        code: Lines(
            country=code,
            name=one["name"],
            emergency=one["emergency"],
            lines=tuple(CrisisLine(**line) for line in one.get("line", ())),
            source=one["source"],
            read_on=one["read_on"],
        )
        for code, one in tomllib.loads(read_text("crisis_lines.toml")).items()
    }


def find_lines(country: str) -> Lines:
    """Return the lines of a country by its code, such as ``GB``.

    Raises
    ------
    UnknownNameError
    """
    code = country.strip()
    by_code = {one.lower(): one for one in countries()}
    if code.lower() not in by_code:
        raise unknown("country", country, countries())
    return countries()[by_code[code.lower()]]
