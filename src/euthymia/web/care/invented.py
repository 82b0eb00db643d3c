"""Invented patients and days of a clinic, for the demonstration and measurements; nothing is random."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import insert

from euthymia.care.record import Event, Quantity, from_text, to_text
from euthymia.web.care import audit
from euthymia.web.care.people import INVENTED
from euthymia.web.care.projections import stream_of
from euthymia.web.care.roles import ROLES
from euthymia.web.care.store import Person, Store, event_entry, event_row, rebuild
from euthymia.web.care.tables import ACCOUNTS, AUDIT, EVENTS
from euthymia.web.care.verify import ACCOUNT_FIELDS
from euthymia.web.care.writer import Batch

STARTS_H = 9
SLOT_MIN = 30
CHAIRS = 10
SESSIONS_A_COURSE = 20
READINGS_MIN = (-10, 0, 15, 40, 60, 90, 120)
AT_A_TIME = 5000
PLAYED_CHAIRS, PLAYED_PATIENTS, PLAYED_SEED, PLAYED_MIN = 5, 10, 3, 140
"""The day of the demonstration, and how far it has gone."""
PLAYED_BY = {"nurse-1": "demo.nurse", "prescriber-1": "demo.prescriber", "fay": "demo.front_desk"}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def demo_accounts(store: Store) -> None:
    """Make one account for each role, without secrets: only the demonstration lets it in."""

    def work(batch: Batch) -> None:
        for role, says in ROLES.items():
            row: dict[str, Any] = dict.fromkeys(("password", "pin", "secret", "token", "token_until"))
            row |= {"account": f"demo.{role}", "name": says.capitalize(), "roles": json.dumps([role])}
            row |= {"is_active": 1, "last_step": 0, "recovery": "[]", "created_at": to_text(store.now())}
            batch.connection.execute(insert(ACCOUNTS), row)
            detail = {"what": "demonstration", "digest": audit.digest([row[name] for name in ACCOUNT_FIELDS])}
            store.trail(
                batch,
                audit.Entry(
                    actor="software", role="", action=audit.ACCOUNT, about=row["account"], detail=detail
                ),
            )

    store.write(work)


def demo_people(store: Store, patients: int) -> None:
    """Say who the invented patients are."""
    for number in range(patients):
        person = Person(
            patient=f"p{number}",
            name=f"{INVENTED}{number + 1}",
            birth_date=f"19{60 + number % 40}-01-01",
            contact={},
        )
        store.put_person(person, actor="software", role="")


def days(first: datetime, *, count: int, a_day: int) -> Iterator[Event]:
    """Give the events of some days in the order in which they were entered, stock and courses first.

    Parameters
    ----------
    first : datetime
        Midnight before the first day, UTC.
    count : int
    a_day : int
        Sessions a day.
    """
    number = 0
    for day in range(count):
        midnight = first + timedelta(days=day)
        yield _lot(day, midnight, a_day)
        for slot in range(a_day):
            yield from session(
                number, midnight + timedelta(hours=STARTS_H, minutes=SLOT_MIN * (slot // CHAIRS)), day
            )
            number += 1


def _event(kind: str, number: str, at: datetime, subjects: dict[str, str], **more: Any) -> Event:
    role = more.pop("role", "nurse")
    return Event(
        event_id=f"{kind}-{number}",
        kind=kind,
        subjects=subjects,
        observed_at=at,
        entered_at=at,
        author=f"demo.{role}",
        role=role,
        **more,
    )


def _lot(day: int, at: datetime, a_day: int) -> Event:
    facts = {"drug": "esketamine", "count": 3 * a_day, "unit": "device", "amount_mg_each": 28.0}
    expiry = (at + timedelta(days=400)).date().isoformat()
    return _event("lot_received", f"{day}", at, {"lot": f"lot{day}"}, facts={**facts, "expiry": expiry})


def session(number: int, at: datetime, day: int) -> Iterator[Event]:
    """Give the events of one session that begins at an instant."""
    course, place = divmod(number, SESSIONS_A_COURSE)
    subjects = {"patient": f"p{course}", "course": f"c{course}"}
    if place == 0:
        facts = {"drug": "esketamine", "route": "intranasal"}
        yield _event("course_opened", f"{course}", at, subjects, facts=facts)
        yield _event("course_moved", f"{course}", at, subjects, facts={"to": "INDUCTION"})
    whole = {**subjects, "session": f"s{number}"}

    def one(kind: str, minutes: float, *, index: int = 0, **more: Any) -> Event:
        return _event(kind, f"{number}-{index}", at + timedelta(minutes=minutes), whole, **more)

    yield one("session_booked", -1440, facts=_booking(number, at))
    yield one("patient_arrived", -20)
    for index, minutes in enumerate(READINGS_MIN[:1]):
        yield one("reading_taken", minutes, index=index, values=_reading(number, minutes))
    yield one("ready_to_treat_signed", -5, facts={"signed_by": "demo.prescriber"}, role="prescriber")
    dose = {"form": "spray", "drug": "esketamine", "route": "intranasal", "lot": f"lot{day}"}
    amount = Quantity(entered="56", unit="mg", canonical=56.0, canonical_unit="mg")
    yield one("dose_given", 0, facts=dose, values={"amount_mg": amount})
    stock = {"lot": f"lot{day}"}
    yield _event(
        "lot_given", f"{number}", at, stock, facts={"count": 2, "of_event": f"dose_given-{number}-0"}
    )
    for index, minutes in enumerate(READINGS_MIN[1:], start=1):
        yield one("reading_taken", minutes, index=index, values=_reading(number, minutes))
    yield one("escort_seen", 121, facts={"name": "seen"})
    yield one("patient_left", 125, facts={"how": "discharged", "decided_by": "demo.nurse"})
    yield from _obligation(number, at)
    yield one("session_reviewed", 180, facts={"signed_by": "demo.prescriber"}, role="prescriber")


def _booking(number: int, at: datetime) -> dict[str, Any]:
    return {
        "starts_at": to_text(at),
        "ends_at": to_text(at + timedelta(minutes=150)),
        "chair": f"chair {number % CHAIRS + 1}",
        "nurse": "demo.nurse",
        "prescriber": "demo.prescriber",
        "drug": "esketamine",
        "route": "intranasal",
        "number": number % SESSIONS_A_COURSE + 1,
    }


def _reading(number: int, minutes: float) -> dict[str, Quantity]:
    """Return a made-up reading: a rise that is largest at 40 min."""
    rise = max(0.0, 14.0 - abs(minutes - 40) / 5)
    numbers = {
        "systolic_mmHg": (118 + number % 15 + round(rise), "mmHg"),
        "diastolic_mmHg": (74 + number % 9 + round(rise * 0.7), "mmHg"),
        "heart_rate_per_min": (68 + number % 12, "1/min"),
        "spo2_percent": (96 + number % 3, "%"),
    }
    return {
        name: Quantity(entered=str(value), unit=unit, canonical=float(value), canonical_unit=unit)
        for name, (value, unit) in numbers.items()
    }


def _obligation(number: int, at: datetime) -> Iterator[Event]:
    subjects = {"obligation": f"o{number}", "patient": f"p{number // SESSIONS_A_COURSE}"}
    due = to_text(at + timedelta(days=7))
    facts = {
        "type": "rems_form",
        "due_at": due,
        "owner": "demo.nurse",
        "says": "Monitoring form of this session",
    }
    yield _event("obligation_opened", f"{number}", at + timedelta(minutes=126), subjects, facts=facts)
    if number % 200:
        done = at + timedelta(hours=20)
        yield _event("obligation_done", f"{number}", done, subjects, facts={"outcome": "sent"})


def write_many(store: Store, events: Iterable[Event]) -> int:
    """Write invented events as fast as the disk takes them, rules unasked, then make the read models."""
    versions: dict[str, int] = {}
    found = 0
    waiting = iter(events)
    while some := list(islice(waiting, AT_A_TIME)):
        store.write(lambda batch, some=some: _put_many(batch, some, versions))
        found += len(some)
    store.write(lambda batch: rebuild(batch.connection))
    return found


def _put_many(batch: Batch, events: Sequence[Event], versions: dict[str, int]) -> None:
    seq = batch.connection.exec_driver_sql("SELECT coalesce(max(seq), 0) FROM events").scalar() or 0
    rows, trail = [], []
    seq_of_trail, previous = batch.head
    for event in events:
        seq += 1
        stream = stream_of(event)
        versions[stream] = versions.get(stream, 0) + 1
        body = audit.canonical(event.to_dict())
        row = event_row(event, seq=seq, stream=stream, version=versions[stream], body=body)
        rows.append(row)
        seq_of_trail += 1
        trail.append(
            audit.row_of(event_entry(event, row), seq=seq_of_trail, previous=previous, at=event.entered_at)
        )
        previous = trail[-1]["hash"]
    batch.connection.execute(insert(EVENTS), rows)
    batch.connection.execute(insert(AUDIT), trail)
    batch.head = audit.Head(seq_of_trail, previous)


def today(now: datetime) -> list[Event]:
    """Return a treatment day that the core has played with virtual patients, by the rules, up to now."""
    from euthymia.care.day import BASE_DAY, simulate_day

    span = now - BASE_DAY - timedelta(minutes=PLAYED_MIN)
    played = simulate_day(chairs=PLAYED_CHAIRS, patients=PLAYED_PATIENTS, seed=PLAYED_SEED).events
    return [_moved(one, span) for one in played if one.entered_at + span <= now]


def _moved(event: Event, span: timedelta) -> Event:
    """Return an event as of another day, by the people of the demonstration."""
    text = INSTANT.sub(lambda found: to_text(from_text(found[0]) + span), json.dumps(event.to_dict()))
    for name, account in PLAYED_BY.items():
        text = text.replace(f'"{name}"', f'"{account}"')
    return Event.from_dict(json.loads(text))


def fill_demo(store: Store) -> None:
    """Fill an empty demonstration: days of a small clinic, one under way, its people and its accounts."""
    demo_accounts(store)
    now = store.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    under_way = today(now)
    before = min(one.entered_at for one in under_way)
    past = [one for one in days(midnight - timedelta(days=6), count=5, a_day=12) if one.entered_at <= before]
    write_many(store, [*sorted(past, key=lambda one: one.entered_at), *under_way])
    demo_people(store, len({one.about("patient") for one in past} - {""}))
    for place in range(PLAYED_PATIENTS):
        name = f"{INVENTED}{101 + place}"
        person = Person(
            patient=f"virtual-{place + 1}", name=name, birth_date=f"{1960 + place}-01-01", contact={}
        )
        store.put_person(person, actor="software", role="")
