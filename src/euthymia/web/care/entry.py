"""What forms share: fields as sent, an entry that may come twice, answers in words, and whose record."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Connection

from euthymia.care.clinic import Clinic
from euthymia.care.clock import from_local, zone_of
from euthymia.care.course import Course
from euthymia.care.record import NOTHING, Event, Quantity, from_text
from euthymia.care.site import Site
from euthymia.errors import InvalidInputError
from euthymia.web.care.accounts import read_accounts
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import see_other
from euthymia.web.care.projections import COURSE_OVER, State, stream_of
from euthymia.web.care.refusals import NotFoundError, StaleError, UnusableError
from euthymia.web.care.store import (
    Stored,
    read_patient,
    read_people,
    read_row,
    read_rows,
    read_stream,
    version_of,
)
from euthymia.web.care.writing import SecondIn, write

IDENTIFIER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
ENTRY = re.compile(r"[0-9a-f]{16,64}")
LONGEST = 2000
SAME_EVENT = "SELECT body FROM events WHERE event_id = ?"


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """The fields of a form as they were sent.

    Attributes
    ----------
    fields : mapping of str to tuple of str
    """

    fields: Mapping[str, tuple[str, ...]]

    def text(self, name: str, *, needed: str = "", most: int = LONGEST) -> str:
        """Return a field without blanks around it; empty where it was not given.

        Raises
        ------
        UnusableError
            Where it is ``needed`` (the words that say so) and empty, or too long.
        """
        found = (self.fields.get(name) or ("",))[-1].strip()
        if needed and not found:
            raise UnusableError(needed, field=name)
        if len(found) > most:
            message = f"At most {most} characters."
            raise UnusableError(message, field=name)
        return found

    def many(self, name: str) -> tuple[str, ...]:
        """Return every value of a field that is there several times."""
        return tuple(one.strip() for one in self.fields.get(name, ()) if one.strip())

    def lines(self, name: str) -> tuple[str, ...]:
        """Return the lines of a field that say something."""
        return tuple(one.strip() for one in self.text(name).splitlines() if one.strip())

    def identifier(self, name: str, *, needed: str = "") -> str:
        """Return an identifier.

        Raises
        ------
        UnusableError
        """
        found = self.text(name, needed=needed)
        if found and not IDENTIFIER.fullmatch(found):
            message = "Letters, digits, '.', '_' and '-' only."
            raise UnusableError(message, field=name)
        return found

    def one_of(self, name: str, choices: Sequence[str], *, needed: str) -> str:
        """Return a field that is one of some words.

        Raises
        ------
        UnusableError
        """
        found = self.text(name, needed=needed)
        if found not in choices:
            message = f"One of: {', '.join(choices)}."
            raise UnusableError(message, field=name)
        return found

    def count(self, name: str, *, low: int = 0, high: int = 100_000) -> int:
        """Return a whole number.

        Raises
        ------
        UnusableError
        """
        found = self.text(name, needed="Give a whole number.")
        if not found.isascii() or not found.isdigit() or not low <= int(found[:9]) <= high or len(found) > 9:
            message = f"A whole number of {low} to {high}."
            raise UnusableError(message, field=name)
        return int(found)

    def day(self, name: str, *, needed: str = "Give a day.") -> date:
        """Return a day.

        Raises
        ------
        UnusableError
        """
        return read_day(self.text(name, needed=needed), name)

    @property
    def version(self) -> int:
        """Return the version of the stream that was seen when the form was shown."""
        return self.count("version", high=10_000_000)

    @property
    def entry(self) -> str:
        """Return the identifier of this entry: the same when the form is sent again."""
        found = self.text("entry")
        return found if ENTRY.fullmatch(found) else secrets.token_hex(16)

    def second(self, *, account: str = "second", pin: str = "second_pin") -> SecondIn | None:
        """Return the second person who signs, where one is named."""
        name = self.identifier(account)
        return SecondIn(account=name, pin=self.text(pin, most=12)) if name else None


async def _read_form(request: Request) -> Given:
    form = await request.form()
    texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    names = dict.fromkeys(name for name, _ in texts)
    return Given(fields={name: tuple(value for each, value in texts if each == name) for name in names})


Form = Annotated[Given, Depends(_read_form)]
"""A parameter of a route that takes any form."""


def read_day(text: str, field: str = "day") -> date:
    """Return a day from its text.

    Raises
    ------
    UnusableError
    """
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or not 1900 <= found.year <= 2200:
        message = "A day such as 2026-05-31."
        raise UnusableError(message, field=field)
    return found


def bounds_of_day(day: date, site: Site) -> tuple[datetime, datetime]:
    """Return the first instant of a day of the site and that of the next, UTC."""
    first, last = (datetime.combine(one, time(0), site.zone) for one in (day, day + timedelta(days=1)))
    return first.astimezone(UTC), last.astimezone(UTC)


def at_local(given: Given, site: Site, *, day: str = "day", clock: str = "time") -> datetime:
    """Return the instant that a day and a time on the clock of the site name, UTC.

    Raises
    ------
    UnusableError
    """
    on = given.day(day)
    try:
        wall = datetime.combine(on, time.fromisoformat(given.text(clock, needed="Give a time.")))
        return from_local(wall.replace(tzinfo=None), site.zone)
    except (ValueError, InvalidInputError) as error:
        message = str(error) if isinstance(error, InvalidInputError) else "A time such as 09:30."
        raise UnusableError(message, field=clock) from error


def shown_at(text: str | None, site: Site) -> str:
    """Return an instant of the record as clocks at the site show it; empty for none."""
    return f"{from_text(text).astimezone(site.zone):%Y-%m-%d %H:%M}" if text else ""


def made(
    ask: Ask,
    kind: str,
    subjects: Mapping[str, str],
    *,
    event_id: str,
    facts: Mapping[str, Any] = NOTHING,
    values: Mapping[str, Quantity] = NOTHING,
    reason: str | None = None,
    observed_at: datetime | None = None,
    corrects: str | None = None,
) -> Event:
    """Return an event that who asks enters now."""
    return Event(
        event_id=event_id,
        kind=kind,
        subjects=subjects,
        observed_at=observed_at or ask.now,
        entered_at=ask.now,
        author=ask.actor,
        role="",
        facts=facts,
        values=values,
        reason=reason,
        corrects=corrects,
    )


def enter(
    ask: Ask,
    given: Given,
    events: Sequence[Event],
    *,
    expected: Mapping[str, int],
    second: SecondIn | None = None,
) -> list[Stored]:
    """Write what a form says; the same form sent twice is written once.

    Raises
    ------
    NotAllowedError, StaleError, RefusedError, UnusableError, NotSavedError
    """
    return write(
        ask,
        [_as_before(ask, one) for one in events],
        expected=expected,
        deviation=given.text("deviation") or None,
        pin=given.text("pin", most=12) or None,
        second=second,
    )


def _as_before(ask: Ask, event: Event) -> Event:
    """Return an event at the time at which it was first entered, where it is in the record already."""
    import json

    with ask.care.store.reading() as connection:
        body = connection.exec_driver_sql(SAME_EVENT, (event.event_id,)).scalar()
    return event if body is None else replace(event, observed_at=from_text(json.loads(body)["observed_at"]))


def done(ask: Ask, path: str) -> Response:
    """Return the answer to a form that was written: where to go."""
    if "application/json" in ask.request.headers.get("accept", ""):
        return JSONResponse({"ok": True, "go": path})
    return see_other(path)


def site_of(connection: Connection) -> Site:
    """Return the site as it now is; an empty one where nothing was set."""
    rows = read_rows(connection, "clinic", limit=1)
    if not rows:
        return Site()
    settings = rows[0].get("site", {})
    zone = zone_of(settings.get("time_zone", "UTC"))
    return Site(zone=zone, staff=rows[0].get("staff", {}), settings=settings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What is on record of one patient, with the course that counts now.

    Attributes
    ----------
    patient, name : str
        ``name`` is empty where nobody said who it is.
    clinic : Clinic
        Of this patient's events.
    site : Site
    course : Course
    version : int
        Of the stream of the course.
    """

    patient: str
    name: str
    clinic: Clinic
    site: Site
    course: Course
    version: int

    @property
    def subjects(self) -> dict[str, str]:
        """Return the subjects of an event of the course."""
        return {"patient": self.patient, "course": self.course.id}

    @property
    def stream(self) -> str:
        """Return the stream of the course."""
        return f"course:{self.course.id}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: who, which course, which version was seen."""
        return {
            "patient": self.patient,
            "name": self.name,
            "course": self.course.id,
            "state": self.course.state,
            "drug": self.course.opened.get("drug", ""),
            "route": self.course.opened.get("route", ""),
            "version": self.version,
        }


def read_record(ask: Ask, patient: str) -> Record:
    """Return what is on record of a patient.

    Raises
    ------
    NotAllowedError
        Where the patient is restricted.
    NotFoundError
        Where there is no such patient, or no course was opened.
    """
    ask.require_patient(patient)
    with ask.care.store.reading() as connection:
        row = read_row(connection, "patients", patient)
        course = course_now(row)
        if not course:
            message = "There is no such patient, or no course was opened."
            raise NotFoundError(message)
        person = read_people(connection, [patient]).get(patient)
        clinic = Clinic.of(one.event for one in read_patient(connection, patient))
        site = site_of(connection)
        version = version_of(connection, f"course:{course}")
    if course not in clinic.courses:
        message = "No course was opened for this patient."
        raise NotFoundError(message)
    return Record(
        patient=patient,
        name=person.name if person else "",
        clinic=clinic,
        site=site,
        course=clinic.courses[course],
        version=version,
    )


def require_seen(ask: Ask, record: Record, given: Given) -> None:
    """Refuse a form whose course has moved on since it was shown, before its fields are judged.

    Raises
    ------
    StaleError
    """
    if given.version == record.version:
        return
    with ask.care.store.reading() as connection:
        since = read_stream(connection, record.stream, after=min(given.version, record.version))
    message = "Somebody else wrote in the meantime. Look at what changed, then save again."
    raise StaleError(
        message, expected=given.version, current=record.version, since=[one.to_dict() for one in since]
    )


def course_now(row: State | None) -> str:
    """Return the course that counts: the last one that is not over, else the last; empty for none."""
    courses = (row or {}).get("courses", {})
    going = [name for name, one in courses.items() if one.get("state") not in COURSE_OVER]
    return ([*courses][-1:] if not going else going[-1:] or [""])[0] if courses else ""


def staff(connection: Connection, *roles: str) -> list[dict[str, str]]:
    """Return the accounts that have one of some roles, as choices."""
    found = [one for one in read_accounts(connection) if one.is_active and set(one.roles) & set(roles)]
    return [{"account": one.account, "name": one.name} for one in found]


def expected_of(events: Sequence[Event], version: int) -> dict[str, int]:
    """Return the version seen, for the one stream that all of some events belong to."""
    return dict.fromkeys((stream_of(one) for one in events), version)
