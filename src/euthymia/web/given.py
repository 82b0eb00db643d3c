"""Drugs by their routes, as the pages on a session and on routes offer them, within studied doses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from euthymia.errors import invalid
from euthymia.tables import Row, read_table
from euthymia.web.story.state import route_choices

TABLE = "session_routes.csv"
ROUTES = "routes.csv"
PROTOCOLS = "evidence/safety/session_protocols.csv"
RULES = "evidence/safety/screening_rules.csv"
FACTS = "route_facts.csv"
WayName = Literal[
    "infusion",
    "intramuscular",
    "subcutaneous",
    "racemic_nasal",
    "sublingual",
    "oral",
    "extended",
    "nasal",
    "esketamine_infusion",
    "esketamine_subcutaneous",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A drug by a route: its order, and between which studied doses the dose moves.

    Parameters
    ----------
    order : str
        In the regimen language, with ``{dose}``.
    basis : tuple of str
        Studies and rows that hold the smallest and the largest dose.
    effects : tuple of (drug, route)
        As the table of acute effects writes them.
    protocols : tuple of str
        Keys of the table of session protocols.
    stated : mapping
        Row of ``routes.csv``.
    """

    name: str
    drug: str
    title: str
    short: str
    order: str
    unit: str
    low: float
    high: float
    step: float
    default: float
    basis: tuple[str, ...]
    words: str
    effects: tuple[tuple[str, str], ...]
    protocols: tuple[str, ...]
    stated: Row

    @property
    def level(self) -> str:
        """Return the variable that is the level of the drug in arterial plasma."""
        return "ketamine_arterial" if self.drug == "ketamine" else "s_ketamine_arterial"

    def regimen(self, dose: float) -> str:
        """Return one dose in the regimen language."""
        return self.order.format(dose=f"{dose:g}")

    def checked(self, dose: float) -> float:
        """Return a dose that was studied.

        Raises
        ------
        InvalidInputError
            A dose outside the studied ones of this drug and route.
        """
        if not self.low - 1e-9 <= dose <= self.high + 1e-9:
            range_ = f"{self.low:g}" if self.low == self.high else f"{self.low:g}–{self.high:g}"
            raise invalid(
                "dose",
                must=f"{range_} {self.unit}, the studied doses {self.words} ({', '.join(self.basis)})",
                got=f"{dose:g}",
            )
        return dose


@cache
def ways() -> dict[str, Way]:
    """Return every drug and route by its name."""
    return {row["name"]: _way(row) for row in read_table(TABLE)}


def _way(row: Row) -> Way:
    told = next((one for one in read_table("story_routes.csv") if one["route"] == row["story_route"]), row)
    choice = route_choices().get(row["story_route"])
    drugs, places = row["effect_drugs"].split(";"), row["effect_routes"].split(";")
    return Way(
        name=row["name"],
        drug=row["drug"],
        title=f"{row['short']}, {'racemic ' if row['drug'] == 'ketamine' else ''}{row['drug']}",
        short=row["short"],
        order=told["order"],
        unit=told["unit"],
        low=float(told["low"]),
        high=float(told["high"]),
        step=float(told["step"]),
        default=float(told["default"]),
        basis=tuple(told["basis"].split(";")),
        words=choice.words if choice else row["words"],
        effects=tuple((drug, place) for drug in drugs for place in places),
        protocols=tuple(filter(None, row["protocols"].split(";"))),
        stated=next(one for one in read_table(ROUTES) if one["route"] == row["stated"]),
    )


def protocol_rows(way: Way, phases: tuple[str, ...]) -> tuple[Row, ...]:
    """Return what labels and services print about sessions by a route, of some phases; none at home."""
    rows = read_table(PROTOCOLS)
    return tuple(row for row in rows if row["protocol_key"] in way.protocols and row["phase"] in phases)


def facts_about(way: Way, topic: str) -> tuple[Row, ...]:
    """Return the rows of labels and guidelines on setting, supervision or access of a drug by a route."""
    told = {row["id"]: row for table in (RULES, PROTOCOLS) for row in read_table(table)}
    return tuple(
        told[one["row"]] for one in read_table(FACTS) if (one["way"], one["topic"]) == (way.name, topic)
    )
