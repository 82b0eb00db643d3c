"""A treatment day as people would have entered it up to a moment, put into a record that a test serves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.care.steps import Desk

from euthymia.care.record import Event
from euthymia.web.care.invented import write_many
from euthymia.web.care.store import Person, Store

PEOPLE = {"nora": ("nurse",), "nils": ("nurse",), "paula": ("prescriber",)}


def desk_at(at: datetime) -> Desk:
    """Return a clinic with its people and stock at an instant."""
    return Desk(at=at)


def booked(at: datetime) -> Desk:
    """Return a course up to a booked session; nobody has arrived."""
    return desk_at(at).open_clinic().course().book()


def before_dose(at: datetime) -> Desk:
    """Return a session with everything before its dose."""
    return desk_at(at).ready_for_dose()


def put(store: Store, desk: Desk, *, name: str = "Invented person 1") -> list[Event]:
    """Write a desk's events as they stand, and say who the patient is."""
    write_many(store, desk.events)
    store.put_person(
        Person(patient="p1", name=name, birth_date="1970-01-01", contact={}), actor="software", role=""
    )
    return desk.events


def entry(desk_now: datetime, kind: str, **more: Any) -> dict[str, Any]:
    """Return an entry as a page would send it."""
    subjects = more.pop("subjects", {"patient": "p1", "course": "c1", "session": "s1"})
    values = {name: {"entered": str(one), "unit": None} for name, one in more.pop("values", {}).items()}
    reason, ago = more.pop("reason", None), more.pop("ago_min", 0)
    return {
        "event_id": more.pop("event_id", f"{kind}-{desk_now.timestamp():.0f}-{more.pop('n', 0)}"),
        "kind": kind,
        "subjects": subjects,
        "observed_at": (desk_now - timedelta(minutes=ago)).isoformat(),
        "values": values,
        "reason": reason,
        "corrects": more.pop("corrects", None),
        "facts": more,
    }
