"""Preparation and integration: therapy offered in the window after a dose, booked, held, offered again."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from fastapi.responses import Response

from euthymia.care.course import Course
from euthymia.care.integration import Window, is_prepared, therapy_of, usual_window, window_after
from euthymia.care.record import Event, from_text, to_text
from euthymia.care.session import Session
from euthymia.care.site import Site
from euthymia.care.timing import Timing
from euthymia.errors import InvalidInputError
from euthymia.web.care.entry import (
    Form,
    Given,
    Record,
    at_local,
    done,
    enter,
    made,
    read_record,
    shown_at,
    staff,
)
from euthymia.web.care.guards import Ask
from euthymia.web.care.intake import stored_intake
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.refusals import NotFoundError, RefusedError, UnusableError
from euthymia.web.care.roles import NURSE, PRESCRIBER, THERAPIST
from euthymia.web.care.store import read_row

SCREENS = Screens()
PREPARATION = "preparation"
HOUR = timedelta(hours=1)
AXIS_H = 168.0
WIDTH, LEFT, TOP, HIGH = 900.0, 10.0, 34.0, 24.0
"""The drawing of the band, in its own units."""
PHRASES = {
    "intranasal": "intranasal",
    "iv_bolus": "iv bolus",
    "intramuscular": "intramuscular",
    "subcutaneous": "subcutaneous",
    "sublingual": "sublingual",
    "oral": "oral",
    "oral_extended_release": "oral extended release",
}


@SCREENS.screen("/sessions/{session}/therapy", right="therapy.read", template="schedule_therapy.html")
def therapy_page(ask: Ask, session: str) -> Shown:
    """Show the window after a session as a band with its grade, and what is offered and booked in it."""
    record, found = _session(ask, session)
    start = _counted_from(found)
    windows = _windows(ask, record, found)
    state = therapy_of(record.clinic, session, windows[-1][1])
    appointments = appointments_of(record.course, session)
    with ask.care.store.reading() as connection:
        people = staff(connection, THERAPIST, NURSE, PRESCRIBER)
    return Shown(
        data={
            **record.to_dict(),
            "session": session,
            "entry": secrets.token_hex(16),
            "is_dosed": found.first_dose_at is not None,
            "start": shown_at(to_text(start), record.site),
            "windows": [_window(name, one, start, record.site) for name, one in windows],
            "band": _band(windows, start, appointments, record.site),
            "is_offered": state.is_offered,
            "is_owed": state.is_owed,
            "appointments": [_appointment(one, windows, start, record.site) for one in appointments],
            "people": people,
            "is_writer": ask.may("therapy.write"),
        },
        about=(record.patient,),
        title="Therapy after a session",
    )


def _session(ask: Ask, session: str) -> tuple[Record, Session]:
    with ask.care.store.reading() as connection:
        state = read_row(connection, "sessions", session)
    if state is None:
        message = "There is no such session."
        raise NotFoundError(message)
    record = read_record(ask, state["patient"])
    return record, record.clinic.sessions[session]


def _counted_from(session: Session) -> datetime:
    """Return the first dose, or while there is none the time that is booked."""
    return session.first_dose_at or from_text(session.booked["starts_at"])


def _windows(ask: Ask, record: Record, session: Session) -> list[tuple[str, Window]]:
    """Return the window of practice, and after it that of the model where it can be asked."""
    timing: Timing = record.site.timing()
    found = [("practice", usual_window(timing))]
    regimen = regimen_of(record.course, session)
    if regimen:
        weight_kg = stored_intake(record.course).facts().get("weight_kg")
        window = _modelled(regimen, weight_kg if isinstance(weight_kg, float) else None)
        found += [("model", window)] if window else []
    return found


def regimen_of(course: Course, session: Session) -> str:
    """Return what was given, or is to be given by the order, in the dosing language; empty if not known."""
    order = course.order.facts if course.order else {}
    amount_mg = session.given_mg or order.get("max_amount_mg") or order.get("amount_mg")
    drug, route = session.booked.get("drug", ""), session.route
    phrase = PHRASES.get(route, "")
    if route == "iv_infusion" and order.get("duration_min"):
        phrase = f"iv over {order['duration_min']:g} min"
    return f"{drug} {amount_mg:g} mg {phrase}" if amount_mg and drug and phrase else ""


@lru_cache(maxsize=256)
def _modelled(regimen: str, weight_kg: float | None) -> Window | None:
    """Return the window by the model for this dose and weight; None where it cannot be asked."""
    from euthymia.care.timing import load_timing
    from euthymia.population.patient import Patient

    try:
        patient = Patient.create(weight_kg=weight_kg) if weight_kg else None
        return window_after(regimen, timing=load_timing(), patient=patient)
    except InvalidInputError:
        return None


def appointments_of(course: Course, session: str) -> list[dict[str, Any]]:
    """Return the appointments after a session, or for preparation where it is empty, and how each stands."""
    booked = [one for one in course.all("therapy_booked") if one.about("session") == session]
    if not session:
        booked = [one for one in booked if one.facts.get("note") == PREPARATION]
    return [{**_plain(one), "state": _state(course, one.facts["appointment_id"])} for one in booked]


def _plain(event: Event) -> dict[str, Any]:
    names = ("appointment_id", "starts_at", "ends_at", "therapist")
    return {name: event.facts[name] for name in names}


def _state(course: Course, appointment: str) -> str:
    for kind, word in (("therapy_held", "held"), ("therapy_missed", "missed")):
        if course.last(kind, appointment_id=appointment):
            return word
    return "booked"


def _appointment(
    one: dict[str, Any], windows: Sequence[tuple[str, Window]], start: datetime, site: Site
) -> dict[str, Any]:
    at = from_text(one["starts_at"])
    return {
        **one,
        "at": shown_at(one["starts_at"], site),
        "inside": {name: window.holds(start, at) for name, window in windows},
    }


def _window(name: str, one: Window, start: datetime, site: Site) -> dict[str, Any]:
    first, last = one.bounds(start)
    return {
        "name": name,
        "grade": one.grade,
        "says": one.says,
        "against": one.against,
        "from_h": one.from_h,
        "until_h": one.until_h,
        "widest_h": one.widest_h,
        "first": shown_at(to_text(first), site),
        "last": shown_at(to_text(last), site),
    }


def _place(hours: float) -> float:
    return LEFT + (WIDTH - 2 * LEFT) * min(max(hours, 0.0), AXIS_H) / AXIS_H


def _band(
    windows: Sequence[tuple[str, Window]], start: datetime, appointments: Sequence[dict[str, Any]], site: Site
) -> dict[str, Any]:
    """Return the drawing: a bar for each window, a mark for each appointment, a tick for each day."""
    bars = [
        {
            "name": name,
            "x": round(_place(one.from_h), 1),
            "width": round(_place(one.until_h) - _place(one.from_h), 1),
            "y": TOP + place * (HIGH + 6),
            "says": f"{name}, grade: {one.grade}",
        }
        for place, (name, one) in enumerate(windows)
    ]
    marks = [
        {"x": round(_place((from_text(one["starts_at"]) - start) / HOUR), 1), "state": one["state"]}
        for one in appointments
    ]
    ticks = [
        {"x": round(_place(24.0 * day), 1), "says": f"{start.astimezone(site.zone) + day * 24 * HOUR:%a %d}"}
        for day in range(8)
    ]
    return {"bars": bars, "marks": marks, "ticks": ticks, "high": TOP + len(bars) * (HIGH + 6) + 24}


@SCREENS.act("/sessions/{session}/therapy", right="therapy.write")
def therapy(ask: Ask, session: str, given: Form) -> Response:
    """Offer or book a time, or record that an appointment was held or missed."""
    record, found = _session(ask, session)
    what = given.one_of("what", ("offer", "book", "held", "missed"), needed="What?")
    subjects = {**record.subjects, "session": session}
    if what in ("held", "missed"):
        event = _ended(ask, record, given, subjects, session, what)
    else:
        event = _offered(ask, record, given, subjects, found, what)
    enter(ask, given, [event], expected={record.stream: given.version})
    return done(ask, f"/sessions/{session}/therapy")


def _times(given: Given, record: Record) -> dict[str, str]:
    starts_at = at_local(given, record.site)
    length = timedelta(minutes=given.count("length_min", low=5, high=480))
    return {"starts_at": to_text(starts_at), "ends_at": to_text(starts_at + length)}


def _offered(
    ask: Ask, record: Record, given: Given, subjects: dict[str, str], session: Session, what: str
) -> Event:
    facts: dict[str, Any] = _times(given, record)
    start = _counted_from(session)
    if from_text(facts["starts_at"]) < start:
        message = "Therapy after a session begins after it."
        raise UnusableError(message, field="time")
    therapist = given.identifier("therapist", needed="With whom?" if what == "book" else "")
    if what == "offer":
        window = _windows(ask, record, session)[-1][1]
        first, last = window.bounds(start)
        facts |= {"grade": window.grade, "window_from": to_text(first), "window_until": to_text(last)}
        facts |= {"therapist": therapist} if therapist else {}
        return made(ask, "therapy_offered", subjects, event_id=f"{given.entry}-offered", facts=facts)
    facts |= {"appointment_id": f"t{given.entry[:16]}", "therapist": therapist, "of_session": session.id}
    return made(ask, "therapy_booked", subjects, event_id=f"{given.entry}-booked", facts=facts)


def _ended(
    ask: Ask, record: Record, given: Given, subjects: dict[str, str], session: str, what: str
) -> Event:
    name = given.identifier("appointment", needed="Which appointment?")
    event_id = f"{given.entry}-{what}"
    is_again = any(one.event_id == event_id for one in record.course.events)
    known = {one["appointment_id"]: one["state"] for one in appointments_of(record.course, session)}
    if name not in known:
        message = "There is no such appointment."
        raise NotFoundError(message)
    if known[name] != "booked" and not is_again:
        message = f"It was {known[name]} already."
        raise RefusedError(message, field="appointment")
    return made(ask, f"therapy_{what}", subjects, event_id=event_id, facts={"appointment_id": name})


@SCREENS.screen("/patients/{patient}/preparation", right="therapy.read", template="schedule_preparation.html")
def preparation_page(ask: Ask, patient: str) -> Shown:
    """Show the preparation visits of a course: booked, held, with expectations and anxiety."""
    record = read_record(ask, patient)
    with ask.care.store.reading() as connection:
        people = staff(connection, THERAPIST, NURSE, PRESCRIBER)
    held = record.course.all("preparation_held")
    return Shown(
        data={
            **record.to_dict(),
            "entry": secrets.token_hex(16),
            "is_prepared": is_prepared(record.clinic, record.course.id),
            "appointments": [
                {**one, "at": shown_at(one["starts_at"], record.site)}
                for one in appointments_of(record.course, "")
            ],
            "held": [
                {
                    "at": shown_at(to_text(one.observed_at), record.site),
                    "by": one.author,
                    "expectation": one.facts["expectation"],
                    "anxiety": one.facts["anxiety"],
                    "topics": one.facts.get("topics", ""),
                }
                for one in held
            ],
            "people": people,
            "is_writer": ask.may("therapy.write"),
        },
        about=(patient,),
        title="Preparation",
    )


@SCREENS.act("/patients/{patient}/preparation", right="therapy.write")
def preparation(ask: Ask, patient: str, given: Form) -> Response:
    """Book a preparation visit, or record that one was held."""
    record = read_record(ask, patient)
    what = given.one_of("what", ("book", "held"), needed="What?")
    if what == "book":
        facts: dict[str, Any] = {
            **_times(given, record),
            "appointment_id": f"t{given.entry[:16]}",
            "therapist": given.identifier("therapist", needed="With whom?"),
            "note": PREPARATION,
        }
        kind = "therapy_booked"
    else:
        facts = {
            "expectation": given.count("expectation", high=10),
            "anxiety": given.count("anxiety", high=10),
            "therapist": ask.actor,
        }
        facts |= {"topics": given.text("topics")} if given.text("topics") else {}
        kind = "preparation_held"
    event = made(ask, kind, record.subjects, event_id=f"{given.entry}-{what}", facts=facts)
    enter(ask, given, [event], expected={record.stream: given.version})
    return done(ask, f"/patients/{patient}/preparation")
