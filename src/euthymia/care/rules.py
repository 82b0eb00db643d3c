"""Rules as data: read from ``data/rules``, applied to what is on record, never more than a finding.

A rule covers the products that its source speaks of. On these it has its ``severity``; for every other
ketamine and route it has ``elsewhere``, and none where that is empty. Rows written from memory only inform.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from euthymia.care.conditions import Conditions, Fact, Facts, read_conditions
from euthymia.care.findings import Finding, Observed, Severity, Status
from euthymia.dosing.drug import treatments
from euthymia.dosing.order import Route
from euthymia.errors import unknown
from euthymia.tables import read_text

FILES = ("screening", "session", "followup")
RECALLED = "recalled-not-verified"
KINDS = (
    *("contraindication", "relative_contraindication", "caution", "requirement", "indication"),
    *("information", "parameter", "instruction"),
)
MOMENTS = ("screening", "plan", "pre_dose", "during", "discharge", "aftercare", "followup")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule with its source.

    Attributes
    ----------
    id : str
    row : str
        Row of the tables in ``data/evidence/safety`` that it copies; empty for a rule of our own.
    kind : str
        contraindication, relative_contraindication, caution, requirement, indication or information: as the
        row says. parameter: a number or a list of times that others use. instruction: a text to be shown.
    title, says, holds : str
        What it is about; what the source says; what must hold.
    moments : tuple of str
        When it is looked at.
    fails_if : Conditions or None
        What it fails by.
    records : tuple of str
        Fields that must be on record, whatever they say.
    severity, elsewhere : str
        On the products of the source, and on others (None: says nothing of them).
    drugs, routes : tuple of str
        Of the source; empty: any.
    value, low, high : float, str or None
        Of a parameter.
    threshold, unit, timing, jurisdiction, source, url, confidence, note : str
    is_own_rule, is_consensus_needed : bool
    version : str
        Of the file.
    """

    id: str
    row: str = ""
    kind: str
    title: str
    says: str
    holds: str = ""
    moments: tuple[str, ...]
    fails_if: Conditions | None = None
    records: tuple[str, ...] = ()
    severity: Severity
    elsewhere: Severity | None = None
    drugs: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    value: float | str | None = None
    low: float | None = None
    high: float | None = None
    threshold: str = ""
    unit: str = ""
    timing: str = ""
    jurisdiction: str = ""
    source: str
    url: str = ""
    confidence: str
    note: str = ""
    is_own_rule: bool = False
    is_consensus_needed: bool = False
    version: str

    @property
    def is_tested(self) -> bool:
        """Whether it can meet or fail; a parameter and an instruction are only shown or used."""
        return self.fails_if is not None or bool(self.records)

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields that it looks at."""
        return tuple(dict.fromkeys((*(self.fails_if.fields if self.fails_if else ()), *self.records)))

    def covers(self, drug: str, route: Route | str) -> bool:
        """Return whether the source speaks of a drug by a route."""
        return (not self.drugs or drug in self.drugs) and (not self.routes or str(route) in self.routes)

    def severity_for(self, drug: str, route: Route | str) -> Severity | None:
        """Return its severity for a drug by a route; None where it says nothing of them."""
        chosen = self.severity if self.covers(drug, route) else self.elsewhere
        return "inform" if chosen is not None and self.confidence == RECALLED else chosen


@dataclass(frozen=True, kw_only=True, slots=True)
class NoRule:
    """A row of the tables that no rule was made of, and why."""

    row: str
    reason: str
    see: str = ""


@cache
def rules() -> Mapping[str, Rule]:
    """Return every rule by its id, in the order of the files."""
    return {one.id: one for name in FILES for one in _of_file(name)}


@cache
def rows_without_rule() -> Mapping[str, NoRule]:
    """Return the rows of the tables that no rule was made of, by their id."""
    listed = [one for name in FILES for one in _read(name).get("none", ())]
    return {one["row"]: NoRule(**one) for one in listed}


def find_rule(rule_id: str) -> Rule:
    """Return a rule by its id.

    Raises
    ------
    UnknownNameError
        With the nearest ids.
    """
    if rule_id not in rules():
        raise unknown("rule", rule_id, rules(), cure="They stand in data/rules.")
    return rules()[rule_id]


def rules_at(moment: str, *, drug: str | None = None, route: Route | str | None = None) -> tuple[Rule, ...]:
    """Return the rules that are looked at at a moment; with a drug and a route only those that speak of them.

    Parameters
    ----------
    moment : str
        screening, plan, pre_dose, during, discharge, aftercare or followup.
    drug : str, optional
    route : Route or str, optional
    """
    if moment not in MOMENTS:
        raise unknown("moment", moment, MOMENTS)
    found = tuple(one for one in rules().values() if moment in one.moments)
    if drug is None or route is None:
        return found
    return tuple(one for one in found if one.severity_for(drug, route) is not None)


def rule_set_version() -> str:
    """Return the version of the rules, which every record of a finding carries."""
    return "+".join(dict.fromkeys(_read(name)["version"] for name in FILES))


def products() -> tuple[tuple[str, Route], ...]:
    """Return every ketamine of the registry by every route."""
    names = [one.name for one in treatments() if one.drug is not None and one.drug.is_ketamine]
    return tuple((name, route) for name in names for route in Route)


def evaluate(rule: Rule, facts: Facts, *, drug: str, route: Route | str) -> Finding | None:
    """Return what a rule says of some facts; None where it says nothing of the drug by that route.

    Parameters
    ----------
    rule : Rule
        With a test (``is_tested``); others give None.
    facts : mapping of str to bool, float, str, tuple or None
        By field; absent and None are unknown.
    drug : str
    route : Route or str
    """
    severity = rule.severity_for(drug, route)
    if severity is None or not rule.is_tested:
        return None
    status, asks = _judged(rule, facts)
    return Finding(
        rule_id=rule.id,
        status=status,
        severity=severity,
        observed=_observed(rule, facts),
        threshold=_threshold(rule),
        unit=rule.unit,
        source=rule.source,
        jurisdiction=rule.jurisdiction,
        confidence=rule.confidence,
        is_own_rule=rule.is_own_rule,
        says=f"{rule.title}: {rule.says}" if rule.says else rule.title,
        asks=asks,
        version=rule.version,
        url=rule.url,
    )


def evaluate_at(moment: str, facts: Facts, *, drug: str, route: Route | str) -> tuple[Finding, ...]:
    """Return what every rule of a moment says of some facts, in the order of the tables."""
    found = (evaluate(one, facts, drug=drug, route=route) for one in rules_at(moment))
    return tuple(one for one in found if one is not None)


def _judged(rule: Rule, facts: Facts) -> tuple[Status, tuple[str, ...]]:
    absent = tuple(field for field in rule.records if facts.get(field) is None)
    fails = rule.fails_if.hold(facts) if rule.fails_if else False
    if fails:
        return "fails", ()
    asked = rule.fails_if.missing(facts) if rule.fails_if else ()
    asks = tuple(dict.fromkeys((*asked, *absent)))
    return ("unknown", asks) if asks else ("meets", ())


def _observed(rule: Rule, facts: Facts) -> Observed:
    seen: dict[str, Fact] = {field: facts.get(field) for field in rule.fields}
    known = {field: value for field, value in seen.items() if value is not None}
    if not known:
        return None
    if len(seen) == 1:
        return next(iter(known.values()))
    return tuple(f"{field} {_text(value)}" for field, value in known.items())


def _text(value: Fact) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _threshold(rule: Rule) -> Observed:
    try:
        return float(rule.threshold)
    except ValueError:
        return rule.threshold or None


@cache
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(read_text(f"rules/{name}.toml"))


def _of_file(name: str) -> Iterable[Rule]:
    version = _read(name)["version"]
    return [_rule(one, version) for one in _read(name)["rule"]]


def _rule(one: Mapping[str, Any], version: str) -> Rule:
    names = ("moments", "records", "drugs", "routes")
    given: dict[str, Any] = {key: value for key, value in one.items() if key not in {"fails_if", "elsewhere"}}
    given |= {key: tuple(one.get(key, ())) for key in names}
    return Rule(
        **given,
        fails_if=read_conditions(one["fails_if"]) if "fails_if" in one else None,
        elsewhere=cast("Severity | None", one.get("elsewhere")),
        version=version,
    )
