"""What follows from an entry by rule: questions, alerts with an owner, obligations with a due date, stock.

Each is an event of its own with the entry as its cause, so that the record shows why it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from euthymia.care import prompts
from euthymia.care.checks import checks, owed
from euthymia.care.clinic import Clinic
from euthymia.care.clock import Now, due_in_calendar_days
from euthymia.care.course import LONG_TERM
from euthymia.care.guards import DISCHARGED, session_of
from euthymia.care.obligation import Obligation, made, opened, raised
from euthymia.care.readings import questions
from euthymia.care.record import Event, Quantity, from_text
from euthymia.care.session import Session

Rule = Callable[[Clinic, Event, Now], list[Event]]
CONTACTS = ("session_call", "first_contact", "stop_contact")
OVERDUE = "overdue-"
"""Rule of the alert about a check, before the name of the check."""
STOPPED = ("DISCONTINUED", "COMPLETED")


def follows(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    """Return the events that follow from one that has just been entered.

    Parameters
    ----------
    clinic : Clinic
        With the event already in it.
    event : Event
    now : Now
    """
    rule = _RULES.get(event.kind)
    return [*(rule(clinic, event, now) if rule else []), *_settles(clinic, event, now)]


def _reading(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    session = session_of(clinic, event)
    if session is None:
        return []
    asked = questions(event.values, before=_earlier(clinic, session, event))
    return [
        *(_ask(event, place, one.to_facts() | {"says": one.says}, now) for place, one in enumerate(asked)),
        *prompts.of_reading(event, session, clinic.site, clinic.timing, now),
        *_answers_overdue(clinic, event, now),
    ]


def _answers_overdue(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    """Return that an overdue check was acted on by who has now recorded it, or said why not."""
    session = session_of(clinic, event)
    if session is None:
        return []
    still = {f"{OVERDUE}{one.id}" for one in owed(checks(session, clinic.timing, now))}
    return [
        made(
            f"{event.event_id}/acts/{alert.id}",
            "alert_acted",
            {**event.subjects, "alert": alert.id},
            now=now,
            facts={"action": event.kind},
            because_of=event.event_id,
            by=event,
        )
        for alert in clinic.alerts_of(session.patient)
        if alert.session == session.id and alert.rule_id.startswith(OVERDUE) and alert.rule_id not in still
    ]


def _earlier(clinic: Clinic, session: Session, event: Event) -> dict[str, Quantity]:
    """Return the last values of this person before an entry, to hold it against; weight from any session."""
    found: dict[str, Quantity] = {}
    for one in clinic.sessions_of(session.patient):
        for read in one.readings:
            if read.event_id != event.event_id and read.entered_at <= event.entered_at:
                known = dict(read.values) if one.id == session.id else _weight(read.values)
                found |= known
    return found


def _weight(values: Mapping[str, Quantity]) -> dict[str, Quantity]:
    return {name: value for name, value in values.items() if name == "weight_kg"}


def _ask(event: Event, place: int, facts: Mapping[str, Any], now: Now) -> Event:
    return made(
        f"{event.event_id}/question-{place}",
        "question_asked",
        event.subjects,
        now=now,
        facts={**facts, "of_event": event.event_id},
        because_of=event.event_id,
    )


def _corrected(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    """Prompt and ask about a corrected reading as about a new one; settle the questions it answers."""
    target = clinic.home.get(event.corrects or "")
    session = session_of(clinic, event)
    if target is None or session is None or target.kind not in ("reading_taken", "corrected"):
        return []
    settled = [
        made(
            f"{event.event_id}/answers-{place}",
            "question_answered",
            event.subjects,
            now=now,
            facts={"question_id": name, "answer": "corrected", "corrected_by": event.event_id},
            because_of=event.event_id,
        )
        for place, name in enumerate(_questions_of(session, target.event_id, event.values))
    ]
    standing = next(one for one in session.readings if one.event_id == _origin(clinic, target))
    seen = replace(standing, event_id=event.event_id, entered_at=event.entered_at, subjects=event.subjects)
    asked = questions(standing.values)
    return [
        *settled,
        *(
            _ask(event, place, one.to_facts() | {"says": one.says}, now)
            for place, one in enumerate(asked)
            if set(one.field.split()) & set(event.values)
        ),
        *prompts.of_reading(seen, session, clinic.site, clinic.timing, now),
    ]


def _origin(clinic: Clinic, event: Event) -> str:
    while event.corrects is not None:
        event = clinic.home[event.corrects]
    return event.event_id


def _questions_of(session: Session, event_id: str, values: Mapping[str, Any]) -> list[str]:
    answered = {one.facts["question_id"] for one in session.events if one.kind == "question_answered"}
    return [
        one.event_id
        for one in session.events
        if one.kind == "question_asked"
        and one.facts["of_event"] == event_id
        and one.event_id not in answered
        and set(one.facts["field"].split()) & set(values)
    ]


def _risk(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    return list(prompts.of_risk(event, clinic.site, clinic.timing, now))


def _score(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    """Item 9 of the PHQ-9 above zero is an answer about suicide, whatever the total says."""
    items = event.facts.get("items") or ()
    if event.facts["scale"] != "PHQ-9" or len(items) < 9 or not items[8]:
        return []
    facts = {
        "instrument": "PHQ-9",
        "level": "none",
        "item_9": items[8],
        "is_remote": bool(event.facts.get("is_remote", False)),
    }
    return list(prompts.of_risk(replace(event, facts=facts), clinic.site, clinic.timing, now))


def _incident(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    site, timing = clinic.site, clinic.timing
    found = list(prompts.symptoms(event, (event.facts["type"],), site, timing, now))
    if event.facts["severity"] == "severe" or event.facts.get("is_serious"):
        says = f"{event.facts['type']}: call the prescriber."
        found.append(
            raised(
                event,
                "incident",
                now=now,
                tier="stop",
                owner=site.clinician(),
                says=says,
                version=timing.version,
            )
        )
    if event.facts.get("is_serious"):
        says = "Report the serious event to the programme and the authority."
        due = now.at + timing.length("session_call")
        found.append(opened(event, "serious_event_report", now=now, due_at=due, owner=site.lead, says=says))
    return found


def _dose(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    """Take what was given from its lot; a dose entered after the patient left owes what any dose owes."""
    session = session_of(clinic, event)
    is_late = session is not None and "patient_left" in session.last and len(session.doses) == 1
    left = session.last["patient_left"] if session is not None and is_late else None
    owed_too = [] if left is None else _owed_after(clinic, event, now, left_at=left.observed_at)
    return [*_from_lot(clinic, event, now), *owed_too]


def _from_lot(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    """Return the movement of stock; where the lot has none, the difference goes to a person."""
    lot, units = clinic.lots.get(event.facts["lot"]), int(event.facts.get("units", 1))
    if lot is None or lot.on_hand < units:
        says = f"Given from lot {event.facts['lot']}, which the record does not have."
        return [
            raised(
                event,
                "stock_difference",
                now=now,
                tier="act",
                owner=clinic.site.lead,
                says=says,
                version=clinic.timing.version,
            )
        ]
    return [
        made(
            f"{event.event_id}/lot",
            "lot_given",
            {**event.subjects, "lot": lot.id},
            now=now,
            facts={"count": units, "by": event.author, "of_event": event.event_id},
            because_of=event.event_id,
        )
    ]


def _left(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    session = session_of(clinic, event)
    if session is None or not session.doses:
        return []
    found = _owed_after(clinic, event, now, left_at=event.observed_at)
    if event.facts["how"] != DISCHARGED:
        found.append(
            raised(
                event,
                "left_early",
                now=now,
                tier="act",
                owner=clinic.site.clinician(),
                says=f"Left {event.facts['how']} after a dose: reach the person and their escort.",
                version=clinic.timing.version,
            )
        )
    return found


def _owed_after(clinic: Clinic, event: Event, now: Now, *, left_at: datetime) -> list[Event]:
    """Return what is owed after a session with a dose: contact, form, and therapy where none was offered."""
    session = clinic.sessions[event.about("session")]
    found = [_call(clinic, session, event, now, left_at), *_form(clinic, session, event, now)]
    if not any(one.kind in ("therapy_offered", "therapy_booked") for one in session.events):
        says = "Offer therapy after this session."
        due = left_at + clinic.timing.length("integration_from")
        owner = clinic.site.clinician(first="therapist")
        found.append(opened(event, "integration_offer", now=now, due_at=due, owner=owner, says=says))
    return found


def _call(clinic: Clinic, session: Session, event: Event, now: Now, left_at: datetime) -> Event:
    """Return the contact after a session: 24 to 72 hours after the first, else a call within a day."""
    timing, owner = clinic.timing, session.nurse or clinic.site.clinician(first="nurse")
    others = [one for one in clinic.sessions_of(session.patient) if one.id != session.id and one.doses]
    if others:
        due = left_at + timing.length("session_call")
        return opened(event, "session_call", now=now, due_at=due, owner=owner, says="Call after the session.")
    return opened(
        event,
        "first_contact",
        now=now,
        due_at=left_at + timing.length("first_contact_until"),
        not_before=left_at + timing.length("first_contact_from"),
        owner=owner,
        says="Contact after the first session.",
    )


def _form(clinic: Clinic, session: Session, event: Event, now: Now) -> list[Event]:
    """Return the obligation to send the programme's form, due in calendar days of the site."""
    if not clinic.courses[session.course].needs_enrolment or session.first_dose_at is None:
        return []
    days = clinic.timing.length("rems_form") / timedelta(days=1)
    due = due_in_calendar_days(session.first_dose_at, days, clinic.site.zone)
    owner = session.nurse or clinic.site.lead
    says = f"Send the monitoring form of session {session.id}."
    return [opened(event, "rems_form", now=now, due_at=due, owner=owner, says=says)]


def _moved(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    if event.facts["to"] in STOPPED:
        return [_stop_contact(clinic, event, now)]
    if event.facts["to"] == "PAUSED":
        due = event.observed_at + clinic.timing.length("stop_contact_from")
        says = f"Paused: {event.facts['restart_test']}"
        return [opened(event, "pause", now=now, due_at=due, owner=event.facts["owner"], says=says)]
    return []


def _stop_contact(clinic: Clinic, event: Event, now: Now) -> Event:
    timing = clinic.timing
    return opened(
        event,
        "stop_contact",
        now=now,
        due_at=event.observed_at + timing.length("stop_contact_until"),
        not_before=event.observed_at + timing.length("stop_contact_from"),
        owner=clinic.site.clinician(),
        says="Contact after a stop or no response.",
    )


def _decided(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    return [_stop_contact(clinic, event, now)] if event.facts["decision"] == "no response" else []


def _missed(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    due = event.observed_at + clinic.timing.length("integration_from")
    owner = clinic.site.clinician(first="therapist")
    says = "Therapy was missed: offer another time."
    return [opened(event, "integration_offer", now=now, due_at=due, owner=owner, says=says)]


def _counted(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    lot = clinic.lots.get(event.about("lot"))
    if lot is None or not lot.variance:
        return []
    says = f"Lot {lot.id}: {lot.counted} counted, {lot.on_hand} in the record."
    alert = raised(
        event,
        "stock_difference",
        now=now,
        tier="act",
        owner=clinic.site.lead,
        says=says,
        version=clinic.timing.version,
    )
    return [alert]


def _intervals(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    return [
        _long_term(clinic, event, name, days, now)
        for name, days in event.facts["intervals_days"].items()
        if name in LONG_TERM and days
    ]


def _long_term(clinic: Clinic, event: Event, check: str, days: float, now: Now) -> Event:
    due = due_in_calendar_days(event.observed_at, days, clinic.site.zone)
    says = f"Long-term check: {check} (interval set here; consensus needed)."
    return opened(event, f"long_term_{check}", now=now, due_at=due, owner=clinic.site.clinician(), says=says)


def _checked(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    """Return the next long-term check, due from this one."""
    course, check = clinic.courses[event.about("course")], event.facts["check"]
    days = course.intervals_days.get(check)
    found = [_long_term(clinic, event, check, days, now)] if days else []
    if event.facts.get("is_concern"):
        found.append(
            raised(
                event,
                f"long_term_{check}",
                now=now,
                tier="act",
                owner=clinic.site.clinician(),
                says=f"Long-term check of {check}: a concern was recorded.",
                version=clinic.timing.version,
            )
        )
    return found


def _early(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    limit = clinic.timing.length("early_request") / timedelta(days=1)
    if float(event.facts["days_early"]) <= limit:
        return []
    says = f"A dose was asked for {event.facts['days_early']:g} days early: look at misuse and at relapse."
    return [
        raised(
            event,
            "early_request",
            now=now,
            tier="act",
            owner=clinic.site.clinician(),
            says=says,
            version=clinic.timing.version,
        )
    ]


def _staff_left(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    """Open alerts of somebody who leaves go to another person: none is without an owner who is there."""
    gone = event.facts["account"]
    owner = clinic.site.other_than(gone)
    return [
        made(
            f"{event.event_id}/{alert.id}",
            "alert_assigned",
            {"alert": alert.id},
            now=now,
            facts={"owner": owner},
            because_of=event.event_id,
        )
        for alert in clinic.alerts.values()
        if alert.is_open and alert.owner == gone
    ]


def _booked(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    """Return the confirmations a day and three hours before, where there is still time for them."""
    start = from_text(event.facts["starts_at"])
    table = (("confirm_day", timedelta(hours=24)), ("confirm_hours", timedelta(hours=3)))
    says = "Confirm visit, fasting and escort."
    return [
        opened(
            event,
            name,
            now=now,
            due_at=start - before,
            owner="front desk",
            says=says,
        )
        for name, before in table
        if now.latest < start - before
    ]


_RULES: Mapping[str, Rule] = {
    "reading_taken": _reading,
    "corrected": _corrected,
    "check_skipped": _answers_overdue,
    "risk_answered": _risk,
    "score_recorded": _score,
    "incident_opened": _incident,
    "dose_given": _dose,
    "patient_left": _left,
    "course_moved": _moved,
    "review_decided": _decided,
    "therapy_missed": _missed,
    "lot_counted": _counted,
    "maintenance_intervals_set": _intervals,
    "long_term_checked": _checked,
    "early_requested": _early,
    "staff_left": _staff_left,
    "session_booked": _booked,
}


def _settles(clinic: Clinic, event: Event, now: Now) -> list[Event]:
    """Return the obligations that an entry fulfils; each is closed by that entry, never by time."""
    return [
        made(
            f"{event.event_id}/settles/{one.id}",
            "obligation_done",
            {"obligation": one.id, "patient": one.patient},
            now=now,
            facts={"outcome": event.kind, "done_by": event.author, "evidence": event.event_id},
            because_of=event.event_id,
        )
        for one in clinic.open_of(event.about("patient"))
        if _fulfils(event, one) and (one.not_before is None or now.latest >= one.not_before)
    ]


def _fulfils(event: Event, owed: Obligation) -> bool:
    if event.kind == "contact_made":
        return owed.type == event.facts["contact"]
    if event.kind in ("therapy_offered", "therapy_booked"):
        return owed.type == "integration_offer"
    if event.kind == "visit_confirmed":
        return owed.type == event.facts["stage"] and owed.session == event.about("session")
    if event.kind == "long_term_checked":
        is_that = owed.type == f"long_term_{event.facts['check']}"
        return is_that and not owed.id.startswith(event.event_id)
    if event.kind == "course_moved":
        return owed.type == "pause" and event.facts["to"] != "PAUSED"
    return event.kind == "review_decided" and owed.type == "review"
