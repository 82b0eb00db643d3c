"""Follow-up: what was done about risk, contacts, long-term checks, early requests; what a payer asks."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict
from typing import Any

from fastapi.responses import Response

from euthymia.care.clock import local_day
from euthymia.care.course import LONG_TERM
from euthymia.care.followup import (
    early_requests,
    exposure,
    for_prior_authorisation,
    long_term,
    prescription_monitoring,
    pressure_trend,
)
from euthymia.care.record import to_text
from euthymia.web.care.entry import Form, Given, Record, done, enter, made, read_record, shown_at
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens, Shown

SCREENS = Screens()
CONTACTS = ("first_contact", "session_call", "stop_contact")
KINDS = {
    "disposition": "disposition_recorded",
    "safety plan": "safety_plan_recorded",
    "contact": "contact_made",
    "check": "long_term_checked",
    "early": "early_requested",
    "monitoring": "pmp_checked",
}
ANSWERS = ("yes", "no")


@SCREENS.screen("/patients/{patient}/follow-up", right="patient.read", template="scores_followup.html")
def followup_page(ask: Ask, patient: str) -> Shown:
    """Show what is looked at after sessions and over the years, with what is due."""
    record = read_record(ask, patient)
    course, site = record.course, record.site
    sessions = record.clinic.sessions_of(patient)
    today = local_day(ask.now, site.zone)
    last_check = prescription_monitoring(course)
    return Shown(
        data={
            **record.to_dict(),
            "entry": secrets.token_hex(16),
            "alerts": [
                {"says": one.says, "owner": one.owner, "needs_disposition": one.needs_disposition}
                for one in record.clinic.alerts_of(patient)
            ],
            "checks": [
                _dated({**asdict(one), "is_each_visit": one.is_each_visit})
                for one in long_term(course, today, site)
            ],
            "exposure": _dated(asdict(exposure(sessions, ask.now, site))),
            "trend": asdict(pressure_trend(sessions)),
            "early_requests": early_requests(course),
            "monitored_on": last_check.isoformat() if last_check else None,
            "contacts": list(CONTACTS),
            "done": _done(record),
            "may": {one: ask.may(one) for one in ("assessment.write", "session.write")},
        },
        about=(patient,),
        title="Follow-up",
    )


def _dated(plain: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in plain.items()
    }


def _done(record: Record) -> list[dict[str, str]]:
    found = [one for one in record.course.standing if one.kind in KINDS.values()]
    return [
        {
            "at": shown_at(to_text(one.observed_at), record.site),
            "by": one.author,
            "what": one.kind.replace("_", " "),
            "says": ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in one.facts.items()),
        }
        for one in reversed(found)
    ]


@SCREENS.act("/patients/{patient}/follow-up", right="assessment.write")
def save_followup(ask: Ask, patient: str, given: Form) -> Response:
    """Record one thing that was done; what it fulfils is closed by the rules of the core."""
    record = read_record(ask, patient)
    what = given.one_of("what", tuple(KINDS), needed="What was done?")
    kind = KINDS[what]
    name = kind.replace("_", "-")
    event = made(ask, kind, record.subjects, event_id=f"{given.entry}-{name}", facts=_facts(ask, given, what))
    enter(ask, given, [event], expected={record.stream: given.version})
    return done(ask, f"/patients/{patient}/follow-up")


def _facts(ask: Ask, given: Given, what: str) -> dict[str, Any]:
    if what == "disposition":
        safe = given.one_of("is_safe_to_leave", ANSWERS, needed="Is it safe to leave?")
        words = given.text("disposition", needed="What was decided?")
        return {"clinician": ask.actor, "disposition": words, "is_safe_to_leave": safe == "yes"}
    if what == "safety plan":
        return {"clinician": ask.actor, "note": given.text("note", needed="Where does the plan stand?")}
    if what == "contact":
        contact = given.one_of("contact", CONTACTS, needed="Which contact?")
        return {
            "contact": contact,
            "outcome": given.text("outcome", needed="What came of it?"),
            "by": ask.actor,
        }
    if what == "early":
        said = given.text("said")
        return {"days_early": given.count("days_early", low=1, high=365), **({"said": said} if said else {})}
    result = given.text("result", needed="What was found?")
    concern = given.one_of("is_concern", ANSWERS, needed="Is it a concern?") == "yes"
    if what == "check":
        check = given.one_of("check", LONG_TERM, needed="Which check?")
        return {"check": check, "result": result, "is_concern": concern}
    programme = given.text("programme", needed="Which programme?", most=80)
    return {"programme": programme, "checked_by": ask.actor, "result": result, "is_concern": concern}


@SCREENS.act("/patients/{patient}/prior-authorisation", right="assessment.write")
def export(ask: Ask, patient: str) -> Response:
    """Give what a payer asks for, from the record alone; what is not in it is null and listed as missing."""
    record = read_record(ask, patient)
    found = for_prior_authorisation(record.course, record.clinic.sessions_of(patient), record.site)
    ask.note("exported for prior authorisation", patient)
    headers = {"Content-Disposition": 'attachment; filename="prior-authorisation.json"'}
    text = json.dumps(found, indent=2, default=str)
    return Response(text, media_type="application/json", headers=headers)
