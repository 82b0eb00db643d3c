"""The clinic as its events make it: courses, sessions, obligations, alerts, stock, site.

It may hold the whole record or what concerns one patient; the same functions serve both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from euthymia.care.course import Course
from euthymia.care.events import kinds
from euthymia.care.gate import Around
from euthymia.care.obligation import Alert, Obligation
from euthymia.care.record import Event
from euthymia.care.session import Session
from euthymia.care.site import Site
from euthymia.care.stock import Lot
from euthymia.care.timing import Timing, load_timing

_EMPTY: Mapping[str, Any] = MappingProxyType({})
_BUILDERS: Mapping[str, Any] = {
    "course": Course.of,
    "session": Session.of,
    "obligation": Obligation.of,
    "alert": Alert.of,
    "lot": Lot.of,
    "clinic": Site.of,
}
_MACHINES: Mapping[str, tuple[str, ...]] = {
    "course": ("course",),
    "session": ("session", "course"),
    "obligation": ("obligation",),
    "alert": ("alert",),
    "lot": ("stock",),
    "clinic": ("clinic",),
}
"""Which machines' events belong to a subject; corrections and questions go where they point."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clinic:
    """State of a clinic, or of a part of it.

    Attributes
    ----------
    parts : mapping of subject to mapping of identifier to tuple of Event
    built : mapping of subject to mapping of identifier to record
    home : mapping of event to its event
        Every event by its identifier.
    last_entered_at : datetime or None
    """

    parts: Mapping[str, Mapping[str, tuple[Event, ...]]] = field(default_factory=lambda: _EMPTY)
    built: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _EMPTY)
    home: Mapping[str, Event] = field(default_factory=lambda: _EMPTY)
    last_entered_at: datetime | None = None
    timing: Timing = field(default_factory=load_timing)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Clinic:
        """Return the clinic that events make, in the order in which they were entered."""
        parts: dict[str, dict[str, list[Event]]] = {}
        home: dict[str, Event] = {}
        for event in events:
            home[event.event_id] = event
            for subject, name in _places(event, home):
                parts.setdefault(subject, {}).setdefault(name, []).append(event)
        tuples = {
            subject: {name: tuple(found) for name, found in table.items()} for subject, table in parts.items()
        }
        built = {
            subject: {name: _BUILDERS[subject](found) for name, found in table.items()}
            for subject, table in tuples.items()
        }
        last = max((event.entered_at for event in home.values()), default=None)
        return cls(parts=tuples, built=built, home=home, last_entered_at=last)._with_timing()

    def after(self, *events: Event) -> Clinic:
        """Return the clinic after further events; only what they touch is made again."""
        clinic = self
        for event in events:
            clinic = clinic._after(event)
        return clinic

    def _after(self, event: Event) -> Clinic:
        home = {**self.home, event.event_id: event}
        parts, built = dict(self.parts), dict(self.built)
        for subject, name in _places(event, home):
            table = dict(parts.get(subject, {}))
            table[name] = (*table.get(name, ()), event)
            parts[subject] = table
            built[subject] = {**built.get(subject, {}), name: _BUILDERS[subject](table[name])}
        last = (
            event.entered_at if self.last_entered_at is None else max(event.entered_at, self.last_entered_at)
        )
        found = replace(self, parts=parts, built=built, home=home, last_entered_at=last)
        return found._with_timing() if event.kind == "site_set" else found

    def _with_timing(self) -> Clinic:
        return replace(self, timing=self.site.timing())

    @property
    def site(self) -> Site:
        """Return the site; an empty one where nothing was set."""
        return next(iter(self.built.get("clinic", {}).values()), Site())

    @property
    def courses(self) -> Mapping[str, Course]:
        """Return courses by identifier."""
        return self.built.get("course", _EMPTY)

    @property
    def sessions(self) -> Mapping[str, Session]:
        """Return sessions by identifier."""
        return self.built.get("session", _EMPTY)

    @property
    def obligations(self) -> Mapping[str, Obligation]:
        """Return obligations by identifier, done ones too."""
        return self.built.get("obligation", _EMPTY)

    @property
    def alerts(self) -> Mapping[str, Alert]:
        """Return alerts by identifier, closed ones too."""
        return self.built.get("alert", _EMPTY)

    @property
    def lots(self) -> Mapping[str, Lot]:
        """Return the lots that were received."""
        return {name: lot for name, lot in self.built.get("lot", _EMPTY).items() if lot is not None}

    def sessions_of(self, patient: str) -> list[Session]:
        """Return the sessions of a patient, in the order of booking."""
        return [one for one in self.sessions.values() if one.patient == patient]

    def open_of(self, patient: str) -> list[Obligation]:
        """Return the open obligations of a patient, the one due first at the front."""
        found = [one for one in self.obligations.values() if one.patient == patient and one.is_open]
        return sorted(found, key=lambda one: one.due_at)

    def alerts_of(self, patient: str) -> list[Alert]:
        """Return the open alerts of a patient."""
        return [one for one in self.alerts.values() if one.patient == patient and one.is_open]

    def around(self, session: Session) -> Around:
        """Return what a session is judged with."""
        return Around(
            course=self.courses[session.course],
            site=self.site,
            timing=self.timing,
            lots=self.lots,
            alerts=self.alerts_of(session.patient),
            sessions=self.sessions_of(session.patient),
        )


def _places(event: Event, home: Mapping[str, Event]) -> Sequence[tuple[str, str]]:
    """Return the subjects whose state an event moves."""
    kind = kinds()[event.kind]
    if kind.machine == "record":
        return _of_record(event, home)
    found = [
        (subject, event.about(subject))
        for subject, machines in _MACHINES.items()
        if kind.machine in machines and event.about(subject)
    ]
    if event.kind == "dose_given":
        found.append(("course", event.about("course")))
    return found


def _of_record(event: Event, home: Mapping[str, Event]) -> Sequence[tuple[str, str]]:
    """Return where a correction, question, note or deviation belongs: where the event it speaks of does."""
    target = str(event.corrects or event.facts.get("of_event") or event.facts.get("question_id") or "")
    if target in home and target != event.event_id:
        return _places(home[target], home)
    subject = next((name for name in ("session", "course") if event.about(name)), None)
    return () if subject is None else ((subject, event.about(subject)),)
