"""Schedules by label or published protocol that a plan starts from, and how sessions are watched by route."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from euthymia.care.rules import Rule, find_rule
from euthymia.dosing.order import Route
from euthymia.errors import invalid, unknown
from euthymia.tables import read_text

TABLE = "rules/schedules.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class SchedulePhase:
    """A phase of a schedule; ``regimen`` holds ``{dose}`` where the dose is chosen."""

    name: str
    regimen: str
    rows: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """A schedule with the rows of the evidence that it stands on.

    Attributes
    ----------
    id, title : str
    basis : str
        label or protocol.
    jurisdiction, indication, drug : str
    route : Route
    doses : tuple of float
        What may be chosen, in ``dose_unit``; the first is the default.
    dose_unit, dose_rule : str
    phases : tuple of SchedulePhase
    go_on, stop : tuple of str
    rows : tuple of str
    """

    id: str
    title: str
    basis: str
    jurisdiction: str
    indication: str
    drug: str
    route: Route
    doses: tuple[float, ...]
    dose_unit: str
    dose_rule: str
    phases: tuple[SchedulePhase, ...]
    go_on: tuple[str, ...]
    stop: tuple[str, ...]
    rows: tuple[str, ...]

    def checked_dose(self, dose: float | None) -> float:
        """Return a dose of the schedule, the default where none is given.

        Raises
        ------
        InvalidInputError
            Where the schedule does not have it.
        """
        if dose is None:
            return self.doses[0]
        if dose not in self.doses:
            listed = ", ".join(f"{one:g}" for one in self.doses)
            must = f"{listed} {self.dose_unit} in {self.id!r}"
            raise invalid("dose", must=must, got=f"{dose:g}", cure="Or write the phases of the plan out.")
        return dose


@cache
def schedules() -> Mapping[str, Schedule]:
    """Return every schedule by its id."""
    return {one["id"]: _schedule(one) for one in _read()["schedule"]}


def find_schedule(name: str) -> Schedule:
    """Return a schedule by its id.

    Raises
    ------
    UnknownNameError
        With the nearest ids.
    """
    if name not in schedules():
        raise unknown("schedule", name, schedules())
    return schedules()[name]


def monitoring(route: Route | str) -> tuple[Rule, ...]:
    """Return the rules by which a session is watched, those of the route first."""
    table = _read()["monitoring"]
    return tuple(find_rule(one) for one in (*table[str(route)], *table["always"]))


def caveats() -> tuple[str, ...]:
    """Return what stands beside every expected course of the model."""
    return tuple(_read()["expected"]["caveats"])


@cache
def _read() -> dict[str, Any]:
    return tomllib.loads(read_text(TABLE))


def _schedule(one: Mapping[str, Any]) -> Schedule:
    phases = [
        SchedulePhase(name=each["name"], regimen=each["regimen"], rows=tuple(each["rows"]))
        for each in one["phase"]
    ]
    return Schedule(
        id=one["id"],
        title=one["title"],
        basis=one["basis"],
        jurisdiction=one.get("jurisdiction", ""),
        indication=one["indication"],
        drug=one["drug"],
        route=Route(one["route"]),
        doses=tuple(map(float, one["doses"])),
        dose_unit=one["dose_unit"],
        dose_rule=one["dose_rule"],
        phases=tuple(phases),
        go_on=tuple(one["go_on"]),
        stop=tuple(one["stop"]),
        rows=tuple(one["rows"]),
    )
