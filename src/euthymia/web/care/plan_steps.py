"""The course: where it stands, what its next step asks for, and what is signed on the way there."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi.responses import Response

from euthymia.care.course import BASELINE_VALUES, LONG_TERM, STEPS, may_move
from euthymia.care.findings import Finding
from euthymia.care.readings import measures, quantity
from euthymia.care.record import to_text
from euthymia.care.timing import load_timing
from euthymia.errors import InvalidInputError
from euthymia.web.care.entry import Form, Given, Record, done, enter, made, read_record, shown_at
from euthymia.web.care.guards import Ask
from euthymia.web.care.intake_findings import MARKS, in_words
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.refusals import UnusableError

SCREENS = Screens()
DECISIONS = ("maintain", "adjust", "no response", "stop")
MOVES = {
    "CONSENTED": "Baseline complete and consent signed",
    "PLANNED": "The plan is signed",
    "INDUCTION": "Start treatment",
    "REVIEW": "Look at the benefit",
    "MAINTENANCE": "Go on at longer intervals",
    "PAUSED": "Pause",
    "DISCONTINUED": "Stop",
    "COMPLETED": "End as planned",
    "FOLLOW_UP": "Follow up",
    "CLOSED": "Close",
}
"""Steps that are taken on this screen; the first ones are taken by the decision after the screening."""


@SCREENS.screen("/patients/{patient}/course", right="patient.read", template="plan_steps.html")
def course_page(ask: Ask, patient: str) -> Shown:
    """Show the state of the course and, for each step that may follow, what it asks for."""
    record = read_record(ask, patient)
    course = record.course
    return Shown(
        data={
            **record.to_dict(),
            "entry": secrets.token_hex(16),
            "steps": [_step(record, to) for to in STEPS.get(course.state, ()) if to in MOVES],
            "is_before": course.state in ("REFERRED", "SCREENING"),
            "signed": _signed(record),
            "baseline": [
                {"name": one, "label": measures()[one].label, "units": list(measures()[one].factors)}
                for one in BASELINE_VALUES
            ],
            "needs_enrolment": course.needs_enrolment,
            "intervals": dict(course.intervals_days),
            "proposed": _proposed(),
            "decisions": list(DECISIONS),
            "may": {one: ask.may(one) for one in ("assessment.write", "intake.write", "plan.write")},
        },
        about=(patient,),
        title="Course",
    )


def _proposed() -> list[dict[str, Any]]:
    words = load_timing().words
    return [
        {
            "check": one,
            "days": words["proposed_interval_days"].get(one),
            "says": words["proposed_interval_says"],
        }
        for one in LONG_TERM
    ]


def _step(record: Record, to: str) -> dict[str, Any]:
    """Return a step with what speaks against it now, by the core's own test of it."""
    facts = {"next_review_date": None, "owner": "x", "restart_test": "x"}
    open_ids = [one.id for one in record.clinic.open_of(record.patient)]
    found = may_move(record.course, to, facts, open_ids=open_ids, reason="x")
    waits = [one for one in found if one.is_stopping]
    return {"to": to, "says": MOVES[to], "waits": [_finding(one) for one in waits]}


def _finding(one: Finding) -> dict[str, Any]:
    missing = f" Missing: {', '.join(one.asks)}." if one.asks else ""
    return {
        "rule_id": one.rule_id,
        "status": one.status,
        "mark": MARKS[one.status],
        "says": f"{one.says}{missing}",
        "observed": in_words(one.observed),
    }


def _signed(record: Record) -> list[dict[str, str]]:
    """Return what was signed or done for the course, newest first."""
    says = {
        "consent_signed": lambda facts: f"Consent, version {facts['version']}",
        "enrolled": lambda facts: f"Enrolled: {facts['programme']}",
        "order_signed": lambda facts: f"Order: {facts['amount_mg']:g} mg {facts['drug']}, {facts['route']}",
        "order_ended": lambda facts: f"Order {facts['order_id']} ended",
        "plan_signed": lambda facts: f"Plan, version {facts['plan_version']}",
        "measured": lambda _: "Baseline values",
        "review_decided": lambda facts: f"Review: {facts['decision']}",
        "maintenance_intervals_set": lambda _: "Intervals of long-term checks",
        "course_moved": lambda facts: f"Course: {facts['to']}",
    }
    found = [one for one in record.course.standing if one.kind in says]
    return [
        {
            "at": shown_at(to_text(one.observed_at), record.site),
            "by": one.author,
            "says": says[one.kind](one.facts)
            + "".join(f", {name.replace('_', ' ')} {value}" for name, value in one.values.items()),
            "reason": one.reason or "",
        }
        for one in reversed(found)
    ]


def _write(ask: Ask, record: Record, given: Given, kind: str, facts: dict[str, Any], **more: Any) -> Response:
    name = kind.replace("_", "-")
    event = made(ask, kind, record.subjects, event_id=f"{given.entry}-{name}", facts=facts, **more)
    enter(ask, given, [event], expected={record.stream: given.version})
    return done(ask, f"/patients/{record.patient}/course")


@SCREENS.act("/patients/{patient}/baseline", right="assessment.write")
def save_baseline(ask: Ask, patient: str, given: Form) -> Response:
    """Record what was measured before the course; what was not measured is left out."""
    record = read_record(ask, patient)
    values = {}
    for name in BASELINE_VALUES:
        if given.text(name, most=20):
            try:
                values[name] = quantity(name, given.text(name), given.text(f"u.{name}", most=20) or None)
            except InvalidInputError as error:
                raise UnusableError(str(error), field=name) from error
    if not values:
        message = "Nothing was measured."
        raise UnusableError(message, field=BASELINE_VALUES[0])
    return _write(ask, record, given, "measured", {}, values=values)


@SCREENS.act("/patients/{patient}/consent", right="intake.write")
def save_consent(ask: Ask, patient: str, given: Form) -> Response:
    """Record that the person signed, and which version of the text."""
    record = read_record(ask, patient)
    facts = {
        "version": given.text("text_version", needed="Which version of the text?", most=60),
        "signed_by": patient,
        "is_label": given.one_of("is_label", ("yes", "no"), needed="On the label, or off it?") == "yes",
    }
    return _write(ask, record, given, "consent_signed", facts)


@SCREENS.act("/patients/{patient}/enrolment", right="intake.write")
def save_enrolment(ask: Ask, patient: str, given: Form) -> Response:
    """Record that the person is enrolled in the risk programme."""
    record = read_record(ask, patient)
    facts = {
        "programme": given.text("programme", needed="Which programme?", most=60),
        "number": given.text("number", needed="Under which number?", most=60),
    }
    return _write(ask, record, given, "enrolled", facts)


@SCREENS.act("/patients/{patient}/order", right="plan.write")
def save_order(ask: Ask, patient: str, given: Form) -> Response:
    """Sign an order: what may be given, how much at most, how long it holds."""
    record = read_record(ask, patient)
    opened = record.course.opened
    facts: dict[str, Any] = {
        "order_id": f"o{given.entry[:16]}",
        "drug": opened["drug"],
        "route": opened["route"],
        "amount_mg": _milligrams(given, "amount_mg"),
        "signed_by": ask.actor,
        "min_interval_h": given.count("min_interval_h", low=1, high=2000),
    }
    if given.text("max_amount_mg"):
        facts["max_amount_mg"] = _milligrams(given, "max_amount_mg")
    if given.text("valid_until"):
        until = given.day("valid_until")
        facts["valid_until"] = f"{until.isoformat()}T23:59:59Z"
    return _write(ask, record, given, "order_signed", facts)


def _milligrams(given: Given, name: str) -> float:
    try:
        found = float(given.text(name, needed="How many milligrams?", most=20).replace(",", "."))
    except ValueError:
        found = 0.0
    if not 0 < found <= 10_000:
        message = "Milligrams, above 0."
        raise UnusableError(message, field=name)
    return found


@SCREENS.act("/patients/{patient}/review", right="plan.write")
def save_review(ask: Ask, patient: str, given: Form) -> Response:
    """Record what a prescriber decided at the review, and when the next one is."""
    record = read_record(ask, patient)
    facts: dict[str, Any] = {
        "decision": given.one_of("decision", DECISIONS, needed="What was decided?"),
        "decided_by": ask.actor,
    }
    if given.text("next_review_date"):
        facts["next_review_date"] = given.day("next_review_date").isoformat()
    return _write(ask, record, given, "review_decided", facts, reason=given.text("reason") or None)


@SCREENS.act("/patients/{patient}/intervals", right="plan.write")
def save_intervals(ask: Ask, patient: str, given: Form) -> Response:
    """Set the intervals of the long-term checks; there is no consensus on them, so a person does."""
    record = read_record(ask, patient)
    days = {
        one: given.count(f"days.{one}", low=1, high=3650) for one in LONG_TERM if given.text(f"days.{one}")
    }
    if not days:
        message = "No interval was given."
        raise UnusableError(message, field=f"days.{LONG_TERM[0]}")
    facts = {"intervals_days": {**record.course.intervals_days, **days}, "set_by": ask.actor}
    return _write(ask, record, given, "maintenance_intervals_set", facts)


@SCREENS.act("/patients/{patient}/course", right="plan.write", needs_secret=True)
def move(ask: Ask, patient: str, given: Form) -> Response:
    """Take a step of the course; the rules of the core refuse it where a hard stop holds."""
    record = read_record(ask, patient)
    to = given.one_of("to", tuple(MOVES), needed="Which step?")
    facts: dict[str, Any] = {"to": to, "decided_by": ask.actor}
    if to == "PAUSED":
        facts["owner"] = ask.actor
        facts["restart_test"] = given.text("restart_test", needed="What has to be seen before going on?")
    if given.text("next_review_date"):
        facts["next_review_date"] = given.day("next_review_date").isoformat()
    return _write(ask, record, given, "course_moved", facts, reason=given.text("reason") or None)
