"""Limits, clocks and schedules of sessions, with their sources; and a limit held to a value.

Nothing here is a number of its own: all stand in ``data/rules/session_timing.toml``. A site may set its own
values; what is a floor it can only lengthen.
"""

from __future__ import annotations

import operator
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Any

from euthymia.care.findings import Finding, Observed, Severity, Status
from euthymia.care.record import frozen
from euthymia.errors import invalid, unknown
from euthymia.tables import read_text

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)
TIMES = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """What a value must meet, and who says so; ``quantity passes value``."""

    id: str
    quantity: str
    passes: str
    value: float
    unit: str
    severity: Severity
    source: str
    confidence: str
    says: str
    is_own_rule: bool = False
    jurisdiction: str = ""
    prompt: str = ""
    routes: tuple[str, ...] = ()

    def holds(self, observed: float) -> bool:
        """Return whether a value passes."""
        return COMPARISONS[self.passes](observed, self.value)

    def finding(self, observed: float | None, *, version: str = "") -> Finding:
        """Return the finding about a value; None is unknown."""
        status = "unknown" if observed is None else "meets" if self.holds(observed) else "fails"
        return finding(
            self.id,
            status,
            self.says,
            severity=self.severity,
            observed=observed,
            threshold=self.value,
            unit=self.unit,
            source=self.source,
            jurisdiction=self.jurisdiction,
            confidence=self.confidence,
            is_own_rule=self.is_own_rule,
            asks=(self.quantity,) if observed is None else (),
            version=version,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockRule:
    """A length of time and who says so."""

    id: str
    length: timedelta
    says: str
    source: str
    confidence: str
    is_floor: bool = False
    is_own_rule: bool = False
    jurisdiction: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When a route asks for checks: minutes after the first dose, and during and after an infusion."""

    route: str
    at_min: tuple[float, ...]
    during_every_min: float | None
    after_every_min: float | None
    then_every_min: float
    then_from_min: float
    floor_anchor: str
    needs: tuple[str, ...]
    source: str
    confidence: str
    says: str
    is_own_rule: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """The whole table, as a site uses it."""

    version: str
    limits: Mapping[str, Limit]
    clocks: Mapping[str, ClockRule]
    schedules: Mapping[str, Schedule]
    ladders: Mapping[str, tuple[Mapping[str, Any], ...]]
    words: Mapping[str, Any]

    def length(self, clock: str) -> timedelta:
        """Return the length of a clock."""
        return self.clocks[clock].length

    def minutes(self, clock: str) -> float:
        """Return the length of a clock in minutes."""
        return self.clocks[clock].length / TIMES["min"]

    def schedule(self, route: str) -> Schedule:
        """Return the checks of a route.

        Raises
        ------
        UnknownNameError
        """
        if route not in self.schedules:
            raise unknown("route", route, self.schedules)
        return self.schedules[route]

    def of_limit(self, name: str, observed: float | None) -> Finding:
        """Return the finding of a limit about a value."""
        return self.limits[name].finding(observed, version=self.version)

    def with_site(
        self, *, limits: Mapping[str, float] | None = None, clocks_min: Mapping[str, float] | None = None
    ) -> Timing:
        """Return the table with a site's own values, marked as its own.

        Raises
        ------
        UnknownNameError
        InvalidInputError
            Where a floor would be shortened.
        """
        changed = dict(self.limits)
        for name, value in (limits or {}).items():
            if name not in changed:
                raise unknown("limit", name, changed)
            changed[name] = replace(
                changed[name], value=value, source="the site", confidence="own", is_own_rule=True
            )
        clocks = dict(self.clocks)
        for name, value in (clocks_min or {}).items():
            clocks[name] = _site_clock(clocks, name, value)
        return replace(self, limits=MappingProxyType(changed), clocks=MappingProxyType(clocks))


def _site_clock(clocks: Mapping[str, ClockRule], name: str, value_min: float) -> ClockRule:
    if name not in clocks:
        raise unknown("clock", name, clocks)
    old, length = clocks[name], timedelta(minutes=value_min)
    if old.is_floor and length < old.length:
        raise invalid(
            name, must=f"{old.length / TIMES['min']:g} min or more ({old.source})", got=f"{value_min:g}"
        )
    return replace(old, length=length, source="the site", confidence="own", is_own_rule=True)


@cache
def load_timing() -> Timing:
    """Return the shipped table (``data/rules/session_timing.toml``)."""
    table = tomllib.loads(read_text("rules/session_timing.toml"))
    sources = table["sources"]
    return Timing(
        version=table["version"],
        limits=_rows(table["limits"], lambda name, row: _limit(name, row, sources)),
        clocks=_rows(table["clocks"], lambda name, row: _clock(name, row, sources)),
        schedules=_rows(table["schedules"], lambda name, row: _schedule(name, row, sources)),
        ladders=_rows(table["ladders"], lambda _, row: frozen(row["steps"])),
        words=frozen(table["words"]),
    )


def _rows(table: Mapping[str, Any], read: Callable[[str, Mapping[str, Any]], Any]) -> Mapping[str, Any]:
    return MappingProxyType({name: read(name, row) for name, row in table.items()})


def _limit(name: str, row: Mapping[str, Any], sources: Mapping[str, str]) -> Limit:
    return Limit(
        id=name,
        **{key: value for key, value in row.items() if key not in ("source", "value", "routes")},
        value=float(row["value"]),
        routes=tuple(row.get("routes", ())),
        source=sources[row["source"]],
    )


def _clock(name: str, row: Mapping[str, Any], sources: Mapping[str, str]) -> ClockRule:
    return ClockRule(
        id=name,
        length=row["value"] * TIMES[row["unit"]],
        **{key: value for key, value in row.items() if key not in ("source", "value", "unit")},
        source=sources[row["source"]],
    )


def _schedule(name: str, row: Mapping[str, Any], sources: Mapping[str, str]) -> Schedule:
    return Schedule(
        route=name,
        at_min=tuple(float(value) for value in row.get("at_min", ())),
        during_every_min=row.get("during_every_min"),
        after_every_min=row.get("after_every_min"),
        then_every_min=row["then_every_min"],
        then_from_min=row["then_from_min"],
        floor_anchor=row["floor_anchor"],
        needs=tuple(row["needs"]),
        source=sources[row["source"]],
        confidence=row["confidence"],
        says=row["says"],
        is_own_rule=row.get("is_own_rule", False),
    )


OWN_SOURCE = "Euthymia: our own rule; no source sets it"


def finding(
    rule_id: str,
    status: Status,
    says: str,
    *,
    severity: Severity = "override",
    observed: Observed = None,
    threshold: Observed = None,
    unit: str = "",
    source: str = OWN_SOURCE,
    jurisdiction: str = "",
    confidence: str = "own",
    is_own_rule: bool | None = None,
    asks: tuple[str, ...] = (),
    version: str = "",
) -> Finding:
    """Return a finding; one without another source is our own rule and says so."""
    return Finding(
        rule_id=rule_id,
        status=status,
        severity=severity,
        observed=observed,
        threshold=threshold,
        unit=unit,
        source=source,
        jurisdiction=jurisdiction,
        confidence=confidence,
        is_own_rule=source == OWN_SOURCE if is_own_rule is None else is_own_rule,
        says=says,
        asks=asks,
        version=version,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion:
    """A finding with when it was seen, how old that is, and who has signed for it.

    Attributes
    ----------
    finding : Finding
    seen_at : datetime or None
    age_min : float or None
        Since then, in minutes; None where nothing was recorded.
    signed_by : str
        Who accepted it with a reason; empty where nobody did.
    """

    finding: Finding
    seen_at: datetime | None = None
    age_min: float | None = None
    signed_by: str = ""

    @property
    def is_met(self) -> bool:
        """Return whether it does not stop: it meets, it only informs, or it was signed for."""
        return bool(self.signed_by) or not self.finding.is_stopping
