"""Dosing sessions of an arm: when they are, what was planned for each, and what is read in them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.order import Order
from euthymia.dosing.regimen import Regimen
from euthymia.population.request import is_ketamine_dose
from euthymia.population.surroundings import visits_of
from euthymia.tables import read_text

Array = NDArray[np.float64]
READ_MIN = np.array([0.0, 20.0, 40.0, 60.0, 90.0, 120.0])
"""Minutes after the start of a session at which pressure and scores are read (assumed)."""
SESSION_END_H = 12.0
"""When a symptom has appeared or not; the next session is later."""
RISES = {
    "systolic_mmHg": "systolic_rise_mmHg",
    "diastolic_mmHg": "diastolic_rise_mmHg",
    "heart_rate_per_min": "heart_rate_rise_per_min",
    "cadss_points": "cadss_points",
    "moaas_points": "moaas_points",
}
"""Observable behind each reading."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The sessions of one regimen.

    Attributes
    ----------
    start_h : array (S,)
        Every session at which something is given that raises hope: ketamine, midazolam, an inert stand-in.
    slots : tuple of tuple of int (S)
        Places of the ketamine doses of each session among all of the regimen; empty for other drugs.
    is_instead : tuple of bool (slots)
        Which doses are given only in place of the others of their session.
    """

    start_h: Array
    slots: tuple[tuple[int, ...], ...]
    is_instead: tuple[bool, ...]

    @property
    def gives_ketamine(self) -> bool:
        """Whether any session does."""
        return any(self.slots)

    def at(self, time_h: float) -> int | None:
        """Return the place of the session that starts at a time."""
        place = np.flatnonzero(np.abs(self.start_h - time_h) < 1e-6)
        return int(place[0]) if len(place) else None


def sessions_of(regimen: Regimen, instead: Regimen | None = None) -> Plan:
    """Return the sessions of a regimen, and of what some of them may be given as ``instead``."""
    starts = np.array(visits_of(regimen), float)
    marked = [(dose, False) for dose in regimen.doses(70.0) if is_ketamine_dose(dose)]
    marked += [(dose, True) for dose in (instead.doses(70.0) if instead else ()) if is_ketamine_dose(dose)]
    marked.sort(key=lambda one: one[0].start_h)  # as the doses of both regimens together stand
    begun = [_session_of(starts, dose.start_h) for dose, _ in marked]
    return Plan(
        is_instead=tuple(is_instead for _, is_instead in marked),
        start_h=starts,
        slots=tuple(
            tuple(slot for slot, place in enumerate(begun) if place == session)
            for session in range(len(starts))
        ),
    )


def _session_of(starts_h: Array, time_h: float) -> int:
    """Return the place of the last session that has started at a time; -1 where none has."""
    return int(np.searchsorted(starts_h, time_h + 1e-9)) - 1


def planned_mg(regimen: Regimen, plan: Plan, weight_kg: Array) -> Array:
    """Return the base that is planned for each session, mg, (P, S); of inert stand-ins 0."""
    found = np.zeros((len(weight_kg), len(plan.start_h)))
    for start_h, item in regimen.items:
        if not isinstance(item, Order) or find_drug(item.drug).drug_class not in WITH_AMOUNT:
            continue
        mass = find_drug(item.drug).molar_mass_g_per_mol or 0.0
        for dose in item.doses(start_h, weight_kg):
            found[:, _session_of(plan.start_h, start_h)] += np.asarray(dose.amount_umol) * mass / 1000.0
    return found


WITH_AMOUNT = ("ketamine", "benzodiazepine")
"""Classes of drug whose amount is noted in sessions; what stands in for them has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventRule:
    """What counts as an adverse event: a symptom by its chance, or a reading beyond a threshold."""

    name: str
    is_symptom: bool
    variable: str
    above: Mapping[str, float]
    below: Mapping[str, float]
    source: str


@cache
def event_rules() -> Mapping[str, EventRule]:
    """Return every adverse event by its name (``data/adverse_events.toml``)."""
    rules = tomllib.loads(read_text("adverse_events.toml"))["event"]
    return {rule["name"]: _rule(rule) for rule in rules}


def _rule(rule: Mapping[str, object]) -> EventRule:
    above = {
        str(rule[name]): float(str(rule[limit]))
        for name, limit in (("variable", "above"), ("or_variable", "or_above"))
        if limit in rule
    }
    below = {str(rule["variable"]): float(str(rule["below"]))} if "below" in rule else {}
    return EventRule(
        name=str(rule["name"]),
        is_symptom=rule["kind"] == "symptom",
        variable=str(rule["variable"]),
        above=above,
        below=below,
        source=str(rule["source"]),
    )


def has_event(rule: EventRule, readings: Mapping[str, Array]) -> NDArray[np.bool_]:
    """Return in which sessions any reading is beyond the threshold, (P, S); what was not read is no event."""
    high = [(readings[name] > limit).any(axis=-1) for name, limit in rule.above.items()]
    low = [(readings[name] < limit).any(axis=-1) for name, limit in rule.below.items()]
    return np.logical_or.reduce([*high, *low])


def session_ends_h(starts_h: Array) -> Array:
    """Return when it is known what a session brought, (S,): half a day later, or before the next."""
    following = np.append(starts_h[1:], np.inf)[: len(starts_h)] - 1e-3
    return np.minimum(starts_h + SESSION_END_H, following)


def read_times_h(starts_h: Sequence[float] | Array) -> Array:
    """Return when readings are taken in sessions, (S, R)."""
    return np.asarray(starts_h, float)[:, None] + READ_MIN / 60.0
