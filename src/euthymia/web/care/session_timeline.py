"""What was entered in a session, in order, with what it was before a correction; its readings by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from euthymia.care.clock import MINUTE, Now, local_day
from euthymia.care.events import corrected, history
from euthymia.care.readings import measures
from euthymia.care.recording import is_backcharted
from euthymia.web.care.session_view import clock, instant, shown

if TYPE_CHECKING:
    from euthymia.care.clinic import Clinic
    from euthymia.care.record import Event
    from euthymia.care.session import Session

SHORT = {
    "systolic_mmHg": "sys",
    "diastolic_mmHg": "dia",
    "heart_rate_per_min": "pulse",
    "spo2_percent": "SpO₂",
    "respiration_per_min": "breaths",
    "moaas_points": "MOAA/S",
    "cadss_points": "CADSS",
    "weight_kg": "weight",
    "amount_mg": "amount",
}
SAYS: Mapping[str, str] = {
    "session_booked": "Booked",
    "patient_arrived": "Arrived",
    "answer_recorded": "Asked",
    "reading_taken": "Reading",
    "risk_answered": "Suicidal ideation asked",
    "ready_to_treat_signed": "Ready to treat, signed",
    "override_signed": "Gone on with a reason",
    "dose_checked": "Dose checked by two",
    "dose_given": "DOSE GIVEN",
    "infusion_changed": "Infusion changed",
    "infusion_ended": "Infusion ended",
    "check_skipped": "Check left out",
    "incident_opened": "Adverse event",
    "incident_closed": "Adverse event closed",
    "escort_seen": "Escort here",
    "advice_given": "Advice given",
    "would_be_ready": "Would have been ready",
    "bp_accepted": "Pressure accepted",
    "patient_left": "Left",
    "session_aborted": "Broken off",
    "session_reviewed": "Reviewed",
    "deviation_recorded": "DEVIATION",
    "question_asked": "Question about an entry",
    "question_answered": "Question answered",
    "disposition_recorded": "Disposition",
    "safety_plan_recorded": "Safety plan",
    "note_added": "Note",
}
HIDDEN = ("corrected", "ready_seen", "visit_confirmed")
CORRECTABLE = ("reading_taken", "dose_given", "answer_recorded", "infusion_ended", "dose_checked")
QUIET = ("question", "proposals", "of_event", "findings", "curves", "question_id")
CHARTED = (
    "systolic_mmHg",
    "diastolic_mmHg",
    "heart_rate_per_min",
    "spo2_percent",
    "cadss_points",
    "moaas_points",
)


def timeline(clinic: Clinic, session: Session) -> list[dict[str, Any]]:
    """Return every entry of a session, newest first, with the values it had before corrections."""
    found = entries_of(clinic, session.events)
    for one in found:
        one["in_question"] = [name for name in one["names"] if not session.is_proof(one["id"], name)]
    return sorted(found, key=lambda one: (one["at"], one["entered_at"]), reverse=True)


def entries_of(clinic: Clinic, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return entries as they now stand, with what they were, in the order of entry."""
    now = {one.event_id: one for one in corrected(events)}
    return [_entry(clinic, events, one, now[one.event_id]) for one in events if one.kind not in HIDDEN]


def _entry(clinic: Clinic, events: Sequence[Event], first: Event, now: Event) -> dict[str, Any]:
    versions = history(events, first.event_id)
    return {
        "id": first.event_id,
        "kind": first.kind,
        "says": SAYS.get(first.kind, first.kind.replace("_", " ")),
        "at": instant(now.observed_at),
        "entered_at": instant(first.entered_at),
        "clock": clock(now.observed_at, clinic),
        "entered_clock": clock(first.entered_at, clinic),
        "day": local_day(now.observed_at, clinic.site.zone).isoformat(),
        "is_late": is_backcharted(first, clinic),
        "author": first.author,
        "names": list(now.values),
        "values": _values(now),
        "facts": _facts(now),
        "reason": first.reason or "",
        "is_deviation": first.kind == "deviation_recorded",
        "may_correct": first.kind in CORRECTABLE,
        "fields": [
            {"name": name, "says": _label(name), "now": str(value)} for name, value in now.values.items()
        ],
        "before": [_before(clinic, versions, place) for place in range(len(versions) - 1)],
        "in_question": [],
    }


def _before(clinic: Clinic, versions: Sequence[Event], place: int) -> dict[str, Any]:
    """Return what one correction replaced, who did so, when and why."""
    by, old = versions[place + 1], versions[: place + 1]
    names = [*by.values, *by.facts.get("facts", {})]
    was = {name: each for event in old for name, each in _named(event).items()}
    return {
        "was": {_label(name): was.get(name, "nothing") for name in names},
        "author": by.author,
        "clock": clock(by.entered_at, clinic),
        "reason": by.reason or "",
    }


def _named(event: Event) -> dict[str, str]:
    facts = event.facts.get("facts", {}) if event.kind == "corrected" else event.facts
    found = {name: str(one) for name, one in event.values.items()}
    return found | {name: shown(one) for name, one in facts.items() if not isinstance(one, Mapping)}


def _label(name: str) -> str:
    known = measures().get(name)
    return SHORT.get(name) or (known.label if known else name.replace("_", " "))


def _values(event: Event) -> list[str]:
    return [f"{_label(name)} {value}" for name, value in event.values.items()]


def _facts(event: Event) -> list[str]:
    return [
        f"{name.replace('_', ' ')}: {shown(value)}"
        for name, value in event.facts.items()
        if name not in QUIET and not isinstance(value, Mapping)
    ]


def charted(clinic: Clinic, session: Session, now: Now) -> dict[str, Any]:
    """Return readings by minutes from the first dose; from the first reading where none was given."""
    first = session.readings[0].observed_at if session.readings else now.at
    start = session.first_dose_at or first
    return {
        "has_dose": session.first_dose_at is not None,
        "x_says": "minutes from the first dose" if session.doses else "minutes from the first reading",
        "start": clock(start, clinic),
        "now_min": round((now.at - start) / MINUTE, 1),
        "doses_min": [round((one.at - start) / MINUTE, 1) for one in session.doses],
        "readings": {
            name: [[round((one.at - start) / MINUTE, 1), one.value] for one in session.seen(name)]
            for name in CHARTED
        },
    }
