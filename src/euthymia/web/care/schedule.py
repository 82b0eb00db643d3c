"""The schedule: a day's sessions by chair, booking, confirming and cancelling, and therapy of that day."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from fastapi.responses import Response
from sqlalchemy import Connection

from euthymia.care.course import BOOKABLE
from euthymia.care.record import Event, from_text, to_text
from euthymia.care.site import Site
from euthymia.web.care.entry import (
    Form,
    at_local,
    bounds_of_day,
    course_now,
    done,
    enter,
    made,
    read_day,
    read_record,
    shown_at,
    site_of,
    staff,
)
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.projections import State
from euthymia.web.care.refusals import NotFoundError
from euthymia.web.care.roles import NURSE, PRESCRIBER
from euthymia.web.care.store import Person, read_people, read_row, read_rows, version_of

SCREENS = Screens()
MOST = 400
CHAIRS = ("1", "2", "3", "4")
"""Offered where no chair is on record yet; any other may be typed."""
LOOK_BACK_D = 60
"""Therapy is booked at most this long before it takes place, to be found here."""
OVER = ("cancelled", "left", "reviewed", "aborted")
BOOKED_THERAPY = """SELECT body FROM events WHERE kind = 'therapy_booked' AND entered_at > ?
    ORDER BY entered_at"""
STAGES = {"confirm_day": "the day before", "confirm_hours": "hours before"}


@SCREENS.screen("/schedule", right="schedule.read", template="schedule.html", menu="Schedule")
def schedule_page(ask: Ask, day: str = "") -> Shown:
    """Show a day by chair, with what may be booked."""
    with ask.care.store.reading() as connection:
        site = site_of(connection)
        on = read_day(day) if day else ask.now.astimezone(site.zone).date()
        sessions = sessions_on(connection, on, site)
        therapy = therapy_on(connection, on, site, now=ask.now)
        owed = [one for one in read_rows(connection, "obligations", limit=2000) if _is_offer(one)]
        patients = {one["patient"] for one in (*sessions, *therapy, *owed) if one.get("patient")}
        bookable = _bookable(connection)
        closed = ask.closed(connection, {*patients, *bookable})
        people = read_people(connection, [*({*patients, *bookable} - closed)])
        nurses, prescribers = staff(connection, NURSE), staff(connection, PRESCRIBER)
        chairs = sorted(
            {one["chair"] for one in read_rows(connection, "sessions", limit=MOST) if "chair" in one}
        )
        versions = {one["session"]: version_of(connection, f"session:{one['session']}") for one in sessions}
    seen = [_row(one, people, site, versions) for one in sessions if one["patient"] not in closed]
    listed = _named(bookable, people)
    shown = [one["patient"] for one in (*seen, *therapy, *owed, *listed) if one["patient"] not in closed]
    return Shown(
        data={
            "day": on.isoformat(),
            "weekday": f"{on:%A}",
            "before": (on - timedelta(days=1)).isoformat(),
            "after": (on + timedelta(days=1)).isoformat(),
            "zone": str(site.zone),
            "chairs": _by_chair(seen),
            "count": len(seen),
            "restricted": sum(one["patient"] in closed for one in sessions),
            "therapy": [_therapy_row(one, people, site) for one in therapy if one["patient"] not in closed],
            "owed": [_owed(one, people) for one in owed if one.get("patient") not in closed],
            "entry": secrets.token_hex(16),
            "bookable": listed,
            "known_chairs": chairs or list(CHAIRS),
            "nurses": nurses,
            "prescribers": prescribers,
            "stages": STAGES,
            "is_writer": ask.may("schedule.write"),
            "may_see_therapy": ask.may("therapy.read"),
        },
        about=tuple(dict.fromkeys(shown)),
        title="Schedule",
    )


def sessions_on(connection: Connection, day: date, site: Site) -> list[State]:
    """Return the sessions of a day of the site, in the order of their time."""
    first, last = (to_text(one) for one in bounds_of_day(day, site))
    return read_rows(connection, "sessions", is_open=None, since=first, until=last, limit=MOST)


def therapy_on(connection: Connection, day: date, site: Site, *, now: datetime) -> list[dict[str, str]]:
    """Return the therapy that is booked on a day of the site."""
    first, last = bounds_of_day(day, site)
    since = to_text(min(now, first) - timedelta(days=LOOK_BACK_D))
    found = [
        Event.from_dict(json.loads(one))
        for one in connection.exec_driver_sql(BOOKED_THERAPY, (since,)).scalars()
    ]
    return [
        {
            "patient": one.about("patient"),
            "session": one.about("session"),
            "starts_at": one.facts["starts_at"],
            "ends_at": one.facts["ends_at"],
            "therapist": one.facts["therapist"],
            "says": str(one.facts.get("note", "integration")),
        }
        for one in found
        if first <= from_text(one.facts["starts_at"]) < last
    ]


def _is_offer(state: State) -> bool:
    return state.get("type") == "integration_offer"


def _bookable(connection: Connection) -> dict[str, str]:
    """Return the patients whose course may be booked, with its state."""
    found: dict[str, str] = {}
    for row in read_rows(connection, "patients", limit=2000):
        course = row.get("courses", {}).get(course_now(row), {})
        if course.get("state") in BOOKABLE:
            found[row["patient"]] = course["state"]
    return found


def _named(patients: dict[str, str], people: dict[str, Person]) -> list[dict[str, str]]:
    found = [
        {"patient": one, "name": people[one].name, "birth_date": people[one].birth_date, "state": state}
        for one, state in patients.items()
        if one in people
    ]
    return sorted(found, key=lambda one: one["name"].casefold())


def _row(state: State, people: dict[str, Person], site: Site, versions: dict[str, int]) -> dict[str, Any]:
    person = people.get(state["patient"])
    return {
        "session": state["session"],
        "entry": secrets.token_hex(16),
        "patient": state["patient"],
        "name": person.name if person else "",
        "starts": shown_at(state.get("starts_at"), site)[11:],
        "ends": shown_at(state.get("ends_at"), site)[11:],
        "chair": state.get("chair", "?"),
        "nurse": state.get("nurse", ""),
        "prescriber": state.get("prescriber", ""),
        "drug": state.get("drug", ""),
        "route": state.get("route", "").replace("_", " "),
        "number": state.get("number"),
        "status": state.get("status", ""),
        "is_over": state.get("status") in OVER,
        "version": versions.get(state["session"], 0),
    }


def _by_chair(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in rows:
        found.setdefault(str(one["chair"]), []).append(one)
    return [{"chair": name, "sessions": found[name]} for name in sorted(found, key=_chair_key)]


def _chair_key(name: str) -> tuple[int, str]:
    number = "".join(one for one in name if one.isascii() and one.isdigit())
    return (int(number[:9]) if number else 10**9, name)


def _therapy_row(one: dict[str, str], people: dict[str, Person], site: Site) -> dict[str, str]:
    person = people.get(one["patient"])
    times = {name: shown_at(one[f"{name}_at"], site)[11:] for name in ("starts", "ends")}
    return {**one, **times, "name": person.name if person else ""}


def _owed(state: State, people: dict[str, Person]) -> dict[str, str]:
    person = people.get(state.get("patient", ""))
    return {
        "patient": state.get("patient", ""),
        "session": state.get("session", ""),
        "name": person.name if person else "",
        "says": state.get("says", ""),
        "owner": state.get("owner", ""),
    }


@SCREENS.act("/schedule/book", right="schedule.write")
def book(ask: Ask, given: Form) -> Response:
    """Book a session; the core refuses it where chair, nurse, course or an open session stand against it."""
    record = read_record(ask, given.identifier("patient", needed="Who is it for?"))
    starts_at = at_local(given, record.site)
    length = timedelta(minutes=given.count("length_min", low=1, high=1440))
    session = f"s{given.entry[:16]}"
    opened, order = record.course.opened, record.course.order
    facts: dict[str, Any] = {
        "starts_at": to_text(starts_at),
        "ends_at": to_text(starts_at + length),
        "chair": given.text("chair", needed="Which chair?", most=40),
        "nurse": given.identifier("nurse", needed="Who watches?"),
        "prescriber": given.identifier("prescriber", needed="Which prescriber is on site?"),
        "drug": opened["drug"],
        "route": opened["route"],
        "number": 1 + sum(bool(one.doses) for one in record.clinic.sessions_of(record.patient)),
    }
    if order is not None:
        facts["order_id"] = order.facts["order_id"]
    subjects = {**record.subjects, "session": session}
    event = made(ask, "session_booked", subjects, event_id=f"{given.entry}-booked", facts=facts)
    enter(ask, given, [event], expected={f"session:{session}": 0})
    return done(ask, f"/schedule?day={starts_at.astimezone(record.site.zone).date().isoformat()}")


@SCREENS.act("/schedule/visit", right="schedule.write")
def visit(ask: Ask, given: Form) -> Response:
    """Confirm a visit that is booked, or cancel it with a reason."""
    session = given.identifier("session", needed="Which session?")
    with ask.care.store.reading() as connection:
        state = read_row(connection, "sessions", session)
        site = site_of(connection)
    if state is None:
        message = "There is no such session."
        raise NotFoundError(message)
    what = given.one_of("what", (*STAGES, "cancel"), needed="Confirm or cancel?")
    subjects = {name: state[name] for name in ("patient", "course", "session")}
    if what == "cancel":
        reason = given.text("reason", needed="Say why it is cancelled.")
        event = made(ask, "visit_cancelled", subjects, event_id=f"{given.entry}-cancelled", reason=reason)
    else:
        facts = {"stage": what}
        event = made(ask, "visit_confirmed", subjects, event_id=f"{given.entry}-{what}", facts=facts)
    enter(ask, given, [event], expected={f"session:{session}": given.version})
    day = shown_at(state.get("starts_at"), site)[:10]
    return done(ask, f"/schedule?day={day}" if day else "/schedule")
