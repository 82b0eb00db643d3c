"""Screening: what the rules say of the intake, overrides with signatures, and a person's decision."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from fastapi.responses import Response

from euthymia.care.course import Course
from euthymia.care.findings import Finding
from euthymia.care.intake import find_field
from euthymia.care.record import Event
from euthymia.care.screening import (
    CHOICES,
    OVERRIDABLE,
    PRESCRIBER,
    SHORTEST_REASON,
    Override,
    Screening,
    decide,
    instructions,
    screen,
)
from euthymia.errors import InvalidInputError
from euthymia.web.care.entry import Form, Given, Record, done, enter, made, read_record, staff
from euthymia.web.care.guards import Ask
from euthymia.web.care.intake import stored_intake
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.refusals import RefusedError, UnusableError
from euthymia.web.care.roles import CLINICIANS

SCREENS = Screens()
MARKS = {"fails": "✕", "unknown": "?", "meets": "✓"}
WEIGHTS = {
    "block": "stops; no override exists",
    "countersign": "stops until a prescriber and a second person sign",
    "override": "stops until a prescriber gives a reason",
    "record": "has to be recorded",
    "inform": "informs",
}
BEFORE = ("REFERRED", "SCREENING")
"""States in which the decision after a screening is taken."""


@SCREENS.screen("/patients/{patient}/screening", right="patient.read", template="intake_findings.html")
def screening_page(ask: Ask, patient: str) -> Shown:
    """Show what the rules say, the weightiest first; never that somebody is eligible."""
    record = read_record(ask, patient)
    found = screening_of(ask, record)
    with ask.care.store.reading() as connection:
        seconds = [one for one in staff(connection, *CLINICIANS) if one["account"] != ask.actor]
    return Shown(
        data={**record.to_dict(), **_data(found), **_signing(ask, record), "seconds": seconds},
        about=(patient,),
        title="Screening",
    )


def _signing(ask: Ask, record: Record) -> dict[str, Any]:
    return {
        "entry": secrets.token_hex(16),
        "choices": list(CHOICES),
        "may_override": ask.may("plan.write"),
        "may_decide": ask.may("assessment.write"),
        "is_before": record.course.state in BEFORE,
        "shortest_reason": SHORTEST_REASON,
        "decisions": decisions(record.course),
    }


def screening_of(ask: Ask, record: Record) -> Screening:
    """Return what the rules say now of the newest intake, for the drug and route of the course."""
    opened = record.course.opened
    return screen(
        stored_intake(record.course),
        drug=opened["drug"],
        route=opened["route"],
        at_utc=ask.now,
        overrides=overrides(record.course),
    )


def overrides(course: Course) -> list[Override]:
    """Return the overrides of a course that were signed: the last one for each rule."""
    signed = [event for event in course.all("override_signed") if not event.about("session")]
    return [_override(event) for event in {one.facts["rule_id"]: one for one in signed}.values()]


def _override(event: Event) -> Override:
    return Override.create(
        rule_id=event.facts["rule_id"],
        of=event.facts.get("of", "fails"),
        reason=event.reason or "",
        by=event.facts["signed_by"],
        by_role=event.role,
        signed_utc=event.entered_at,
        countersigned_by=event.facts.get("second_signer") or "",
    )


def decisions(course: Course) -> list[dict[str, str]]:
    """Return what persons decided after a screening, oldest first."""
    found = [
        event
        for event in course.standing
        if event.facts.get("decided_by") and event.kind == "course_moved" and event.facts["to"] != "SCREENING"
    ]
    noted = [event for event in course.standing if str(event.facts.get("text", "")).startswith(WORK_UP)]
    return [
        {
            "at": event.entered_at.isoformat(),
            "by": event.author,
            "says": event.facts.get("text")
            or f"{event.facts.get('note') or 'moved'}: to {event.facts['to']}",
            "reason": event.reason or "",
        }
        for event in sorted([*found, *noted], key=lambda one: one.entered_at)
    ]


def _data(found: Screening) -> dict[str, Any]:
    done_by = {finding.rule_id: override for finding, override in found.overridden}
    rows = [_row(one, done_by.get(one.rule_id)) for one in found.findings]
    return {
        "says": list(found.says),
        "urgent": [one.says for one in found.urgent],
        "groups": _groups(rows),
        "findings": rows,
        "asked": [{"name": one, "asks": find_field(one).asks} for one in found.open_fields],
        "questions": [one.says for one in found.questions],
        "work_up": [
            {"says": one.says, "rules": list(one.rule_ids), "is_required": one.is_required}
            for one in found.work_up
        ],
        "instructions": list(instructions(found.drug, found.route)),
        "rules_version": found.version,
        "standing": [one.rule_id for one in found.standing],
    }


def _groups(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows by weight: what stops, what is open, what was seen, what is met."""
    stops = [one for one in rows if one["is_stopping"] and not one["override"] and one["status"] == "fails"]
    signed = [one for one in rows if one["override"]]
    open_ = [one for one in rows if one["is_stopping"] and not one["override"] and one["status"] == "unknown"]
    seen = [one for one in rows if not one["is_stopping"] and one["status"] != "meets"]
    met = [one for one in rows if one["status"] == "meets"]
    named = (
        ("Stops", stops, True),
        ("Overridden, with reason and signature", signed, True),
        ("Unknown, and unknown stops", open_, True),
        ("Seen or not recorded; does not stop", seen, False),
        ("Meets", met, False),
    )
    return [{"name": name, "rows": group, "is_open": is_open} for name, group, is_open in named if group]


def _row(one: Finding, signed: Override | None) -> dict[str, Any]:
    return {
        "rule_id": one.rule_id,
        "status": one.status,
        "mark": MARKS[one.status],
        "severity": one.severity,
        "weight": WEIGHTS[one.severity],
        "is_stopping": one.is_stopping,
        "may_override": one.is_stopping and one.severity in OVERRIDABLE,
        "needs_second": one.severity == "countersign",
        "says": one.says,
        "observed": in_words(one.observed),
        "threshold": " ".join(filter(None, (in_words(one.threshold), one.unit))),
        "asks": [find_field(name).asks for name in one.asks],
        "source": one.source,
        "url": one.url,
        "jurisdiction": one.jurisdiction,
        "confidence": one.confidence,
        "is_own_rule": one.is_own_rule,
        "override": None if signed is None else _signed(signed),
    }


def _signed(one: Override) -> dict[str, str]:
    return {
        "reason": one.reason,
        "by": one.by,
        "countersigned_by": one.countersigned_by,
        "at": one.signed_utc.isoformat(),
    }


def in_words(value: object) -> str:
    """Return what was seen, as it is read; empty where nothing was."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


@SCREENS.act("/patients/{patient}/override", right="plan.write")
def override(ask: Ask, patient: str, given: Form) -> Response:
    """Sign that a rule is not met and the course goes on: with a reason, and a second person where asked."""
    record = read_record(ask, patient)
    rule_id = given.text("rule_id", needed="Which rule?", most=64)
    finding = _overridable(screening_of(ask, record), rule_id)
    second = given.second() if finding.severity == "countersign" else None
    if finding.severity == "countersign" and second is None:
        message = "This rule asks for a second person's signature."
        raise UnusableError(message, field="second")
    reason = given.text("reason", needed="Say why, for this person.")
    if len(reason) < SHORTEST_REASON:
        message = "A reason is a sentence: say why, for this person."
        raise UnusableError(message, field="reason")
    facts = {"rule_id": rule_id, "signed_by": ask.actor, "of": finding.status}
    if second:
        facts["second_signer"] = second.account
    event = made(
        ask,
        "override_signed",
        record.subjects,
        event_id=f"{given.entry}-override-{rule_id}"[:64],
        facts=facts,
        reason=reason,
    )
    enter(ask, given, [event], expected={record.stream: given.version}, second=second)
    return done(ask, f"/patients/{patient}/screening")


def _overridable(found: Screening, rule_id: str) -> Finding:
    finding = next((one for one in found.standing if one.rule_id == rule_id), None)
    if finding is None:
        message = "Nothing stands by this rule."
        raise UnusableError(message, field="rule_id")
    if finding.severity not in OVERRIDABLE:
        message = f"No override exists here: {finding.source} allows none. Record what was really done."
        raise RefusedError(message, field="rule_id", findings=[_row(finding, None)])
    return finding


WORK_UP = "After the screening: "
ENDS = {"decline": "DISCONTINUED", "refer": "DISCONTINUED"}


@SCREENS.act("/patients/{patient}/decision", right="assessment.write", needs_secret=True)
def decision(ask: Ask, patient: str, given: Form) -> Response:
    """Record what a person decided; to go on is refused while anything stands."""
    record = read_record(ask, patient)
    if record.course.state not in BEFORE:
        message = f"The decision was taken: the course is in {record.course.state}."
        raise RefusedError(message, field="choice")
    found = screening_of(ask, record)
    choice: Any = given.one_of("choice", CHOICES, needed="Choose.")
    reason = given.text("reason", needed="Say why.")
    if choice != "more work-up":
        ask.require("plan.write")
    try:
        decide(
            found,
            choice=choice,
            reason=reason,
            by=ask.actor,
            by_role=PRESCRIBER if ask.may("plan.write") else ask.role,
            at_utc=ask.now,
        )
    except InvalidInputError as error:
        standing = [_row(one, None) for one in found.standing]
        raise RefusedError(str(error), field="choice", findings=standing) from error
    events = _decided(ask, record, found, given, choice=choice, reason=reason)
    enter(ask, given, events, expected={record.stream: given.version})
    return done(ask, f"/patients/{patient}/{'course' if choice == 'go on' else 'screening'}")


def _decided(
    ask: Ask, record: Record, found: Screening, given: Given, *, choice: str, reason: str
) -> list[Event]:
    if choice == "more work-up":
        facts: dict[str, Any] = {"text": f"{WORK_UP}{choice}"}
        return [
            made(
                ask, "note_added", record.subjects, event_id=f"{given.entry}-note", facts=facts, reason=reason
            )
        ]
    if choice in ENDS:
        facts = {"to": ENDS[choice], "decided_by": ask.actor, "note": choice}
        return [_move(ask, record, given, facts, reason)]
    first = [] if record.course.state == "SCREENING" else [{"to": "SCREENING", "decided_by": ask.actor}]
    last = {"to": "BASELINE", "decided_by": ask.actor, "findings": _kept(found), "note": choice}
    return [_move(ask, record, given, facts, reason) for facts in (*first, last)]


def _move(ask: Ask, record: Record, given: Given, facts: dict[str, Any], reason: str) -> Event:
    event_id = f"{given.entry}-{facts['to']}"
    return made(ask, "course_moved", record.subjects, event_id=event_id, facts=facts, reason=reason)


def _kept(found: Screening) -> list[dict[str, Any]]:
    """Return the findings as the record keeps them."""
    return [
        {
            "rule_id": one.rule_id,
            "status": one.status,
            "severity": one.severity,
            "says": one.says,
            "observed": in_words(one.observed),
            "threshold": in_words(one.threshold),
            "source": one.source,
            "confidence": one.confidence,
            "version": one.version,
        }
        for one in found.findings
    ]
