"""Screening: what the rules say of an intake, a drug and a route; what is open, stops, or was overridden.

There is no verdict of eligibility. A prescriber may override where the rule allows one, with a reason and,
off the product of a contraindication, a second person's signature. A person decides, and that is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from euthymia.care.comedications import exposure_findings
from euthymia.care.findings import Finding, Severity, Status, by_weight
from euthymia.care.intake import Intake, Question, fields
from euthymia.care.record import in_utc
from euthymia.care.rules import evaluate_at, find_rule, rule_set_version, rules_at
from euthymia.dosing.drug import find_drug
from euthymia.dosing.order import Route
from euthymia.errors import invalid, unknown

PRESCRIBER = "prescriber"
OVERRIDABLE: tuple[Severity, ...] = ("countersign", "override")
URGENT = ("OWN-SUICIDE-01",)
"""Rules that come before everything else when they fail."""
SHORTEST_REASON = 10

Choice = Literal["go on", "more work-up", "decline", "refer"]
CHOICES: tuple[Choice, ...] = ("go on", "more work-up", "decline", "refer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """A prescriber's reason to go on in spite of a rule; use :meth:`create`.

    Attributes
    ----------
    rule_id : str
    of : str
        What the rule said when it was signed: fails or unknown. It holds for no other.
    reason, by, by_role : str
    signed_utc : datetime
    countersigned_by : str
        Another person; empty where none signed.
    """

    rule_id: str
    of: Status
    reason: str
    by: str
    by_role: str
    signed_utc: datetime
    countersigned_by: str = ""

    @classmethod
    def create(
        cls,
        *,
        rule_id: str,
        of: Status,
        reason: str,
        by: str,
        by_role: str,
        signed_utc: datetime,
        countersigned_by: str = "",
    ) -> Override:
        """Return an override after checking who signs and why.

        Raises
        ------
        InvalidInputError
            Where the rule is not known, nobody who prescribes signs, the reason is no sentence, or both
            signatures are of one person.
        """
        find_rule(rule_id)
        field = f"override of {rule_id}"
        if of not in ("fails", "unknown"):
            raise invalid(field, must="of what fails or is unknown", got=repr(of))
        if by_role != PRESCRIBER:
            raise invalid(field, must="signed by a prescriber", got=repr(by_role))
        if not by.strip():
            raise invalid(field, must="signed with a name", got="nothing")
        if len(reason.strip()) < SHORTEST_REASON:
            raise invalid(
                field, must="given with its reason", got=repr(reason), cure="Say why, for this person."
            )
        if by.strip().casefold() == countersigned_by.strip().casefold():
            raise invalid(field, must="countersigned by another person", got=repr(countersigned_by))
        return cls(
            rule_id=rule_id,
            of=of,
            reason=reason.strip(),
            by=by.strip(),
            by_role=by_role,
            signed_utc=in_utc("signed_utc", signed_utc),
            countersigned_by=countersigned_by.strip(),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkItem:
    """Something to do or to record before a course, and which rules ask for it."""

    says: str
    fields: tuple[str, ...]
    rule_ids: tuple[str, ...]
    is_required: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Screening:
    """What the rules say of one person for one drug and route; not a verdict.

    Attributes
    ----------
    patient_id, drug : str
    route : Route
    as_of_utc : datetime
    findings : tuple of Finding
        Of every rule that speaks of the drug and route, the weightiest first.
    overridden : tuple of (Finding, Override)
    lapsed : tuple of Override
        Signed for what no longer stands so: they have no effect.
    questions : tuple of Question
        Answers to ask again.
    version : str
        Of the rules.
    """

    patient_id: str
    drug: str
    route: Route
    as_of_utc: datetime
    findings: tuple[Finding, ...]
    overridden: tuple[tuple[Finding, Override], ...] = ()
    lapsed: tuple[Override, ...] = ()
    questions: tuple[Question, ...] = ()
    version: str = ""

    @property
    def standing(self) -> tuple[Finding, ...]:
        """Return what stops and was not overridden, unknown included."""
        done = {finding.rule_id for finding, _ in self.overridden}
        return tuple(one for one in self.findings if one.is_stopping and one.rule_id not in done)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Return what fails and cannot be overridden."""
        return tuple(one for one in self.standing if one.severity == "block" and one.status == "fails")

    @property
    def needing_override(self) -> tuple[Finding, ...]:
        """Return what fails and may be overridden, and was not."""
        return tuple(one for one in self.standing if one.severity in OVERRIDABLE and one.status == "fails")

    @property
    def open_findings(self) -> tuple[Finding, ...]:
        """Return what is unknown and was not overridden, whatever its severity."""
        done = {finding.rule_id for finding, _ in self.overridden}
        return tuple(one for one in self.findings if one.is_unknown and one.rule_id not in done)

    @property
    def open_fields(self) -> tuple[str, ...]:
        """Return what to ask, in the order of the intake; what stops first."""
        stopping = {field for one in self.open_findings if one.is_stopping for field in one.asks}
        asked = {field for one in self.open_findings for field in one.asks}
        order = list(fields())
        return tuple(sorted(asked, key=lambda name: (name not in stopping, order.index(name))))

    @property
    def remarks(self) -> tuple[Finding, ...]:
        """Return what was seen and does not stop."""
        return tuple(one for one in self.findings if one.status == "fails" and not one.is_stopping)

    @property
    def work_up(self) -> tuple[WorkItem, ...]:
        """Return what still has to be recorded or done before a course; once for each set of fields."""
        asked = [one for one in self.findings if _is_of_work_up(one)]
        sets = dict.fromkeys(find_rule(one.rule_id).fields for one in asked)
        return tuple(
            _work_item(wanted, [one for one in asked if find_rule(one.rule_id).fields == wanted])
            for wanted in sets
        )

    @property
    def urgent(self) -> tuple[Finding, ...]:
        """Return what comes before everything else: a clinician now."""
        return tuple(one for one in self.findings if one.rule_id in URGENT and one.status == "fails")

    @property
    def says(self) -> tuple[str, ...]:
        """Return where it stands, in plain sentences; never that somebody is eligible."""
        return tuple(_sentences(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a person decided after a screening."""

    choice: Choice
    reason: str
    by: str
    by_role: str
    decided_utc: datetime
    version: str


def screen(
    intake: Intake,
    *,
    drug: str,
    route: Route | str,
    at_utc: datetime,
    overrides: Sequence[Override] = (),
) -> Screening:
    """Return what the rules say of an intake, for a drug by a route.

    Parameters
    ----------
    intake : Intake
    drug : str
        A ketamine of the registry.
    route : Route or str
    at_utc : datetime
        When it is looked at, with its zone.
    overrides : sequence of Override

    Raises
    ------
    InvalidInputError
        Where the drug is no ketamine, the route is not known, or an override is not allowed.
    """
    name, way = checked_product(drug, route)
    facts = intake.facts()
    found = (
        *evaluate_at("screening", facts, drug=name, route=way),
        *exposure_findings(intake.comedications or (), way),
    )
    by_rule = {one.rule_id: one for one in found}
    applied, lapsed = _applied(by_rule, overrides)
    return Screening(
        patient_id=intake.patient_id,
        drug=name,
        route=way,
        as_of_utc=in_utc("at_utc", at_utc),
        findings=tuple(by_weight(found)),
        overridden=applied,
        lapsed=lapsed,
        questions=intake.questions(),
        version=rule_set_version(),
    )


def checked_product(drug: str, route: Route | str) -> tuple[str, Route]:
    """Return the name of a ketamine and its route.

    Raises
    ------
    InvalidInputError
        Where the drug is no ketamine, or the route is not known.
    """
    found = find_drug(drug)
    if not found.is_ketamine:
        raise invalid("drug", must="ketamine, esketamine or arketamine", got=repr(drug))
    if str(route) not in set(Route):
        raise unknown("route", str(route), [str(one) for one in Route])
    return found.name, Route(str(route))


def decide(
    screening: Screening, *, choice: Choice, reason: str, by: str, by_role: str, at_utc: datetime
) -> Decision:
    """Return the decision of a person; 'go on' is refused while anything stands.

    Raises
    ------
    InvalidInputError
    """
    if choice not in CHOICES:
        raise unknown("decision", choice, CHOICES)
    if not by.strip() or not reason.strip():
        raise invalid("decision", must="given with a name and a reason", got=repr((by, reason)))
    if choice == "go on" and by_role != PRESCRIBER:
        raise invalid("decision", must="a prescriber's to go on", got=repr(by_role))
    if choice == "go on" and screening.standing:
        left = ", ".join(one.rule_id for one in screening.standing)
        raise invalid("decision", must="taken when nothing stands", got=f"'go on' with {left}")
    return Decision(
        choice=choice,
        reason=reason.strip(),
        by=by.strip(),
        by_role=by_role,
        decided_utc=in_utc("at_utc", at_utc),
        version=screening.version,
    )


def _applied(
    findings: dict[str, Finding], overrides: Iterable[Override]
) -> tuple[tuple[tuple[Finding, Override], ...], tuple[Override, ...]]:
    """Return which overrides hold for what the rules say now, and which no longer do."""
    applied: dict[str, tuple[Finding, Override]] = {}
    lapsed = []
    for one in overrides:
        finding = findings.get(one.rule_id)
        if finding is None or finding.status != one.of or not finding.is_stopping:
            lapsed.append(one)
            continue
        _check_allowed(finding, one)
        applied[one.rule_id] = (finding, one)
    return tuple(applied.values()), tuple(lapsed)


def _check_allowed(finding: Finding, override: Override) -> None:
    field = f"override of {finding.rule_id}"
    if finding.severity not in OVERRIDABLE:
        must = f"left out: {finding.source} allows none here"
        raise invalid(field, must=must, got=f"one by {override.by}", cure="Record what was really done.")
    if finding.severity == "countersign" and not override.countersigned_by:
        raise invalid(field, must="countersigned by a second person", got="one signature")


def _is_of_work_up(finding: Finding) -> bool:
    if finding.rule_id.startswith("EXPOSURE-") or finding.status == "meets":
        return False
    rule = find_rule(finding.rule_id)
    is_asked = finding.severity == "record" or rule.row.startswith("SR-BASELI")
    return is_asked and rule.kind in {"requirement", "information"}


def _work_item(wanted: tuple[str, ...], asked: Sequence[Finding]) -> WorkItem:
    return WorkItem(
        says=find_rule(asked[0].rule_id).holds,
        fields=wanted,
        rule_ids=tuple(one.rule_id for one in asked),
        is_required=any(one.severity != "inform" for one in asked),
    )


def _sentences(one: Screening) -> Iterable[str]:
    if one.urgent:
        yield "Urgent: suicidal intent, plan or recent behaviour. A clinician now; not left alone."
    if one.blocking:
        yield f"Blocked by {_ids(one.blocking)}: no override exists."
    if one.needing_override:
        yield f"Stands until a prescriber gives a reason: {_ids(one.needing_override)}."
    stopping = [finding for finding in one.open_findings if finding.is_stopping]
    if stopping:
        yield f"Without an answer yet, of rules that can stop: {len(stopping)}."
    if not one.standing:
        yield "Nothing stands against going on by these rules. That is no verdict: a person decides."
    if one.overridden:
        told = (f"{finding.rule_id} by {override.by}" for finding, override in one.overridden)
        yield f"Overridden: {', '.join(told)}."
    for finding, override in one.overridden:
        if override.countersigned_by:
            yield f"{finding.rule_id} was countersigned by {override.countersigned_by}."
    if one.lapsed:
        yield f"Overrides without effect, what they were signed for has changed: {_lapsed(one)}."


def _ids(findings: Iterable[Finding]) -> str:
    return ", ".join(one.rule_id for one in findings)


def _lapsed(one: Screening) -> str:
    return ", ".join(override.rule_id for override in one.lapsed)


def instructions(drug: str, route: Route | str) -> tuple[str, ...]:
    """Return what the sources say of a product that is shown and not tested, at screening."""
    shown = (rule for rule in rules_at("screening") if not rule.is_tested and rule.covers(drug, route))
    return tuple(f"{rule.title}: {rule.says} ({rule.source})" for rule in shown)
