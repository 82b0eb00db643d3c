"""A session: what was recorded on one treatment day, folded from its events, and its stage.

Nothing is carried over from an earlier session. Values with an open question count as not recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from euthymia.care.events import corrected
from euthymia.care.record import Event, from_text

Stage = Literal[
    "BOOKED", "ARRIVED", "PRE_DOSE", "DOSED", "OBSERVING", "EVENT", "DISCHARGED", "REVIEWED", "ABORTED",
    "LEFT", "CANCELLED",
]  # fmt: skip
OVER: tuple[Stage, ...] = ("REVIEWED", "CANCELLED")
GONE: tuple[Stage, ...] = ("DISCHARGED", "REVIEWED", "ABORTED", "LEFT", "CANCELLED")
INFUSION = "infusion_start"
DISSOCIATION = ("none", "mild", "moderate", "severe")
FORMS = ("device", INFUSION, "injection", "swallowed", "lozenge")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One value of a reading, as it now stands."""

    value: Any
    at: datetime
    event_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Dose:
    """One device, injection, lozenge or infusion that was given.

    ``amount_mg`` of an infusion that still runs is what was hung; once it ended, what ran in.
    """

    at: datetime
    form: str
    drug: str
    route: str
    lot: str
    amount_mg: float
    event_id: str
    ended_at: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Return whether it is an infusion that has not ended."""
        return self.form == INFUSION and self.ended_at is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """An adverse event of a session."""

    id: str
    type: str
    severity: str
    at: datetime
    is_serious: bool = False
    closed_at: datetime | None = None
    outcome: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One treatment day of one patient.

    Attributes
    ----------
    id, patient, course : str
    events : tuple of Event
        As entered, corrections included.
    booked : mapping
        Facts of the booking.
    answers : mapping of str to Event
        The last answer to each question at arrival.
    readings : tuple of Event
        As corrected, in the order of observation.
    doses : tuple of Dose
    skipped : mapping of str to str
        Reason by check.
    incidents : tuple of Incident
    asked : frozenset of (str, str)
        Open questions: event, and the values asked about with blanks between.
    last : mapping of str to Event
        The last event of each other kind.
    """

    id: str
    patient: str
    course: str
    events: tuple[Event, ...] = ()
    booked: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    answers: Mapping[str, Event] = field(default_factory=lambda: MappingProxyType({}))
    readings: tuple[Event, ...] = ()
    doses: tuple[Dose, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    incidents: tuple[Incident, ...] = ()
    asked: frozenset[tuple[str, str]] = frozenset()
    last: Mapping[str, Event] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, events: Sequence[Event]) -> Session:
        """Return the session that these events of one session make."""
        draft = _Draft()
        for event in corrected(events):
            draft.take(event)
        first = events[0]
        return cls(
            id=first.about("session"),
            patient=first.about("patient"),
            course=first.about("course"),
            events=tuple(events),
            booked=draft.booked,
            answers=MappingProxyType(draft.answers),
            readings=tuple(sorted(draft.readings, key=lambda one: (one.observed_at, one.entered_at))),
            doses=tuple(sorted(draft.doses, key=lambda one: one.at)),
            skipped=MappingProxyType(draft.skipped),
            incidents=tuple(draft.incidents.values()),
            asked=frozenset(draft.asked.values()),
            last=MappingProxyType(draft.last),
        )

    @property
    def stage(self) -> Stage:
        """Return where the session stands."""
        if "visit_cancelled" in self.last:
            return "CANCELLED"
        if "session_reviewed" in self.last:
            return "REVIEWED"
        if "patient_left" in self.last:
            return "DISCHARGED" if self.last["patient_left"].facts["how"] == "discharged" else "LEFT"
        if self.doses:
            return self._after_dose()
        return self._before_dose()

    def _after_dose(self) -> Stage:
        if self.open_incidents:
            return "EVENT"
        return "DOSED" if any(dose.is_running for dose in self.doses) else "OBSERVING"

    def _before_dose(self) -> Stage:
        if "session_aborted" in self.last:
            return "ABORTED"
        if "patient_arrived" not in self.last:
            return "BOOKED"
        return "PRE_DOSE" if self.readings or "ready_to_treat_signed" in self.last else "ARRIVED"

    @property
    def is_here(self) -> bool:
        """Return whether the patient is in the clinic."""
        return "patient_arrived" in self.last and self.stage not in GONE

    @property
    def is_unresolved(self) -> bool:
        """Return whether it still has to be reviewed: it began and is neither reviewed nor cancelled."""
        return "patient_arrived" in self.last and self.stage not in OVER

    @property
    def route(self) -> str:
        """Return the route given, or planned while nothing was given."""
        return self.doses[0].route if self.doses else str(self.booked.get("route", ""))

    @property
    def drug(self) -> str:
        """Return the drug given, or planned while nothing was given."""
        return self.doses[0].drug if self.doses else str(self.booked.get("drug", ""))

    @property
    def nurse(self) -> str:
        """Return who watches: named at the booking."""
        return str(self.booked.get("nurse", ""))

    @property
    def given_mg(self) -> float:
        """Return the amount given so far."""
        return sum(dose.amount_mg for dose in self.doses)

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """Return adverse events that nobody has closed."""
        return tuple(one for one in self.incidents if one.closed_at is None)

    @property
    def first_dose_at(self) -> datetime | None:
        """Return when the first device, injection or infusion started."""
        return self.doses[0].at if self.doses else None

    @property
    def observed_from(self) -> datetime | None:
        """Return from when the minimum of observation counts: last dose or end of infusion; else None."""
        if not self.doses or any(dose.is_running for dose in self.doses):
            return None
        return max(dose.ended_at or dose.at for dose in self.doses)

    def is_proof(self, event_id: str, name: str) -> bool:
        """Return whether no question about a value is open."""
        return not any(of == event_id and name in fields.split() for of, fields in self.asked)

    def seen(
        self, name: str, *, before: datetime | None = None, since: datetime | None = None
    ) -> tuple[Seen, ...]:
        """Return what was read of a value or fact, oldest first, without what is in question.

        Parameters
        ----------
        name : str
            A value such as ``systolic_mmHg``, or a fact such as ``walks``.
        before, since : datetime, optional
            Only observed up to, and from, these instants.
        """
        found = self._all(name, before=before, since=since)
        return tuple(one for one in found if self.is_proof(one.event_id, name))

    def _all(self, name: str, *, before: datetime | None, since: datetime | None) -> list[Seen]:
        return [
            Seen(value=_value(event, name), at=event.observed_at, event_id=event.event_id)
            for event in self.readings
            if _value(event, name) is not None
            and (before is None or event.observed_at <= before)
            and (since is None or event.observed_at >= since)
        ]

    def latest(
        self, name: str, *, before: datetime | None = None, since: datetime | None = None
    ) -> Seen | None:
        """Return the last reading of a value or fact; None where there is none, or the last is in question.

        An older value never stands in for a later one that is in question.
        """
        found = self._all(name, before=before, since=since)
        return found[-1] if found and self.is_proof(found[-1].event_id, name) else None

    def before_dose(self, name: str) -> Seen | None:
        """Return the last reading of a value before the first dose."""
        return self.latest(name, before=self.first_dose_at)

    def instant(self, name: str) -> datetime | None:
        """Return an instant of the booking: starts_at or ends_at."""
        return from_text(self.booked[name]) if name in self.booked else None


def _value(event: Event, name: str) -> Any:
    number = event.number(name)
    return event.facts.get(name) if number is None else number


class _Draft:
    """Collects what events say; used while a session is folded, and nowhere else."""

    def __init__(self) -> None:
        self.booked: Mapping[str, Any] = MappingProxyType({})
        self.answers: dict[str, Event] = {}
        self.readings: list[Event] = []
        self.doses: list[Dose] = []
        self.skipped: dict[str, str] = {}
        self.incidents: dict[str, Incident] = {}
        self.asked: dict[str, tuple[str, str]] = {}
        self.last: dict[str, Event] = {}

    def take(self, event: Event) -> None:
        step = _STEPS.get(event.kind)
        if step is not None:
            step(self, event)
        self.last[event.kind] = event


def _book(draft: _Draft, event: Event) -> None:
    draft.booked = event.facts


def _answer(draft: _Draft, event: Event) -> None:
    draft.answers[event.facts["item"]] = event


def _read(draft: _Draft, event: Event) -> None:
    draft.readings.append(event)


def _give(draft: _Draft, event: Event) -> None:
    draft.doses.append(
        Dose(
            at=event.observed_at,
            form=event.facts["form"],
            drug=event.facts["drug"],
            route=event.facts["route"],
            lot=event.facts["lot"],
            amount_mg=event.values["amount_mg"].canonical,
            event_id=event.event_id,
        )
    )


def _end(draft: _Draft, event: Event) -> None:
    draft.doses = [
        replace(dose, ended_at=event.observed_at, amount_mg=event.values["amount_mg"].canonical)
        if dose.is_running
        else dose
        for dose in draft.doses
    ]


def _skip(draft: _Draft, event: Event) -> None:
    draft.skipped[event.facts["check_id"]] = event.reason or ""


def _open(draft: _Draft, event: Event) -> None:
    draft.incidents[event.event_id] = Incident(
        id=event.event_id,
        type=event.facts["type"],
        severity=event.facts["severity"],
        at=event.observed_at,
        is_serious=bool(event.facts.get("is_serious", False)),
    )


def _close(draft: _Draft, event: Event) -> None:
    found = draft.incidents.get(event.facts["incident_id"])
    if found is not None:
        closed = replace(found, closed_at=event.observed_at, outcome=event.facts["outcome"])
        draft.incidents[found.id] = closed


def _ask(draft: _Draft, event: Event) -> None:
    draft.asked[event.event_id] = (event.facts["of_event"], event.facts["field"])


def _settle(draft: _Draft, event: Event) -> None:
    draft.asked.pop(event.facts["question_id"], None)


_STEPS: Mapping[str, Callable[[_Draft, Event], None]] = {
    "session_booked": _book,
    "answer_recorded": _answer,
    "reading_taken": _read,
    "dose_given": _give,
    "infusion_ended": _end,
    "check_skipped": _skip,
    "incident_opened": _open,
    "incident_closed": _close,
    "question_asked": _ask,
    "question_answered": _settle,
}


def sessions_of(events: Iterable[Event]) -> dict[str, Session]:
    """Return every session that events speak of, by its identifier, in the order of booking."""
    by_session: dict[str, list[Event]] = {}
    for event in events:
        if event.about("session"):
            by_session.setdefault(event.about("session"), []).append(event)
    return {name: Session.of(found) for name, found in by_session.items()}
