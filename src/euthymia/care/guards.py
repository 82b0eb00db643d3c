"""What stands between an entry and the record: findings for and against it, by its kind.

A guard refuses an entry that says more than is so. What was really done is never refused: it is recorded with
its reason, as a deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from euthymia.care import course as courses
from euthymia.care import stock
from euthymia.care.clinic import Clinic
from euthymia.care.clock import Now
from euthymia.care.findings import Finding
from euthymia.care.gate import later_dose, pre_dose
from euthymia.care.readiness import ready
from euthymia.care.record import Event, from_text
from euthymia.care.session import GONE, Session
from euthymia.care.timing import Criterion, finding

Guard = Callable[[Clinic, Event, Now], tuple[Criterion, ...]]
DISCHARGED = "discharged"
LEAVES = (DISCHARGED, "against advice", "without being seen", "transferred")
STAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "patient_arrived": ("BOOKED",),
        "visit_cancelled": ("BOOKED",),
        "ready_to_treat_signed": ("ARRIVED", "PRE_DOSE"),
        "infusion_changed": ("DOSED", "EVENT"),
        "infusion_ended": ("DOSED", "EVENT"),
        "session_aborted": ("ARRIVED", "PRE_DOSE", "DOSED", "OBSERVING", "EVENT"),
        "patient_left": ("ARRIVED", "PRE_DOSE", "DOSED", "OBSERVING", "EVENT"),
        "session_reviewed": ("DISCHARGED", "LEFT", "ABORTED"),
    }
)
DEVIABLE = ("dose_given", "patient_left", "lot_wasted", "lot_given", "lot_returned", "session_booked")
"""What people do whether or not the record agrees."""
STRUCTURAL = ("stage", "running", "lot_known", "whole_count", "enough_on_hand", "leave_known", "leave_reason")
"""Findings that no reason can turn into a fact."""


def judge(clinic: Clinic, event: Event, now: Now) -> tuple[Criterion, ...]:
    """Return every finding about an entry."""
    found: list[Criterion] = []
    if event.kind in STAGES:
        found += _plain(_stage(clinic, event))
    guard = _GUARDS.get(event.kind)
    return (*found, *(guard(clinic, event, now) if guard else ()))


def _plain(*findings: Finding) -> tuple[Criterion, ...]:
    return tuple(Criterion(finding=one) for one in findings)


def _holds(rule_id: str, says: str, has: bool | None, **more: Any) -> Finding:  # noqa: FBT001
    status = "unknown" if has is None else "meets" if has else "fails"
    return finding(rule_id, status, says, **{"severity": "block", **more})


def session_of(clinic: Clinic, event: Event) -> Session | None:
    """Return the session that an entry is about; None before it was booked."""
    return clinic.sessions.get(event.about("session"))


def _stage(clinic: Clinic, event: Event) -> Finding:
    session, allowed = session_of(clinic, event), STAGES[event.kind]
    stage = session.stage if session else "nothing"
    says = f"{event.kind} follows {', '.join(allowed)}."
    return _holds("stage", says, stage in allowed, observed=stage, threshold=allowed)


def _booking(clinic: Clinic, event: Event, now: Now) -> tuple[Criterion, ...]:
    course = clinic.courses[event.about("course")]
    waiting = [one for one in clinic.sessions_of(event.about("patient")) if one.is_unresolved]
    late = [one.type for one in clinic.open_of(event.about("patient")) if one.stops == "booking"]
    session = session_of(clinic, event)
    stage = session.stage if session else "nothing"
    return _plain(
        _holds("stage", "It has not begun.", stage in ("nothing", "BOOKED"), observed=stage),
        _holds(
            "course_bookable",
            "A plan is signed and the course is neither paused nor over.",
            course.state in courses.BOOKABLE,
            observed=course.state,
        ),
        courses.enrolment(course),
        _holds(
            "session_resolved",
            "The session before is resolved.",
            not waiting,
            observed=tuple(one.id for one in waiting),
        ),
        _holds(
            "forms_in_time",
            "No form of this patient is five days old.",
            not late,
            severity="override",
            observed=tuple(late),
        ),
        _free(clinic, event),
    )


def _free(clinic: Clinic, event: Event) -> Finding:
    """Return whether chair and nurse are free for the whole time, and the time holds the observation."""
    start, end = (from_text(event.facts[name]) for name in ("starts_at", "ends_at"))
    beside = [
        one
        for one in clinic.sessions.values()
        if one.id != event.about("session") and one.stage not in GONE and _meets(one, start, end)
    ]
    taken = tuple(one.id for one in beside if one.booked["chair"] == event.facts["chair"])
    watched = sum(one.nurse == event.facts["nurse"] for one in beside)
    is_long = end - start >= clinic.timing.length("observation")
    has_room = watched < clinic.timing.words["patients_per_nurse"]
    says = "Chair and nurse are free, and the time holds dose and observation."
    return _holds("slot_free", says, not taken and is_long and has_room, observed=taken)


def _meets(one: Session, start: datetime, end: datetime) -> bool:
    first, last = one.instant("starts_at"), one.instant("ends_at")
    return first is not None and last is not None and first < end and start < last


def _dose(clinic: Clinic, event: Event, now: Now) -> tuple[Criterion, ...]:
    session = session_of(clinic, event)
    if session is None:
        return _plain(_holds("stage", "The session was booked.", False))
    is_here = session.stage in ("ARRIVED", "PRE_DOSE", "DOSED", "OBSERVING", "EVENT")
    here = _plain(
        _holds("present", "The person has arrived and has not left.", is_here, observed=session.stage)
    )
    around = clinic.around(session)
    if session.doses:
        return (*here, *later_dose(session, around, now, event))
    return (*here, *pre_dose(session, around, now, dose=event))


def _infusion(clinic: Clinic, event: Event, _: Now) -> tuple[Criterion, ...]:
    session = session_of(clinic, event)
    running = session is not None and any(dose.is_running for dose in session.doses)
    return _plain(_holds("running", "An infusion is running.", running))


def _leave(clinic: Clinic, event: Event, now: Now) -> tuple[Criterion, ...]:
    session, how = session_of(clinic, event), event.facts["how"]
    known = _plain(_holds("leave_known", f"One of {', '.join(LEAVES)}.", how in LEAVES, observed=how))
    if session is None:
        return known
    if how == DISCHARGED:
        return (*known, *ready(session, clinic.around(session), now))
    says = "The reason of leaving otherwise than discharged is given."
    return (*known, *_plain(_holds("leave_reason", says, bool((event.reason or "").strip()))))


def _review(clinic: Clinic, event: Event, _: Now) -> tuple[Criterion, ...]:
    session = session_of(clinic, event)
    if session is None:
        return ()
    alerts = tuple(one.rule_id for one in clinic.alerts_of(session.patient) if one.session == session.id)
    incidents = tuple(one.type for one in session.open_incidents)
    return _plain(
        _holds("no_open_incident", "No adverse event is open.", not incidents, observed=incidents),
        _holds("no_open_alert", "No alert of this session is open.", not alerts, observed=alerts),
        _holds("questions_answered", "Every question about an entry is answered.", not session.asked),
    )


def _course(clinic: Clinic, event: Event, _: Now) -> tuple[Criterion, ...]:
    course = clinic.courses[event.about("course")]
    patient = event.about("patient")
    serious = [
        one.id for session in clinic.sessions_of(patient) for one in session.open_incidents if one.is_serious
    ]
    still = [one.id for one in clinic.open_of(patient)] + serious
    return _plain(
        *courses.may_move(course, event.facts["to"], event.facts, open_ids=still, reason=event.reason)
    )


def _stock(clinic: Clinic, event: Event, _: Now) -> tuple[Criterion, ...]:
    return _plain(*stock.may_move(clinic.lots.get(event.about("lot")), event))


def _acted(clinic: Clinic, event: Event, _: Now) -> tuple[Criterion, ...]:
    """Return whether an alert may be closed: an urgent answer only after disposition and safety plan."""
    alert = clinic.alerts.get(event.about("alert"))
    known = _holds("alert_known", "The alert is in the record.", alert is not None)
    if alert is None or not alert.needs_disposition:
        return _plain(known)
    course = clinic.courses.get(clinic.home[alert.id].about("course"))
    later = [] if course is None else _since(course.events, alert.raised_at)
    has = {event.kind for event in later} >= {"disposition_recorded", "safety_plan_recorded"}
    says = "A clinician's disposition and a safety plan are on record."
    return _plain(known, _holds("disposition_first", says, has or None))


def _since(events: Sequence[Event], instant: datetime) -> list[Event]:
    return [event for event in events if event.entered_at >= instant]


def _obligation(clinic: Clinic, event: Event, now: Now) -> tuple[Criterion, ...]:
    found = clinic.obligations.get(event.about("obligation"))
    known = _holds("obligation_open", "It is in the record and open.", found is not None and found.is_open)
    if found is None or event.kind != "obligation_done" or found.not_before is None:
        return _plain(known)
    says = "It is not done before its time."
    return _plain(known, _holds("not_before", says, now.latest >= found.not_before))


_GUARDS: Mapping[str, Guard] = {
    "session_booked": _booking,
    "dose_given": _dose,
    "infusion_changed": _infusion,
    "infusion_ended": _infusion,
    "patient_left": _leave,
    "session_reviewed": _review,
    "course_moved": _course,
    "lot_received": _stock,
    "lot_given": _stock,
    "lot_wasted": _stock,
    "lot_returned": _stock,
    "lot_counted": _stock,
    "alert_acted": _acted,
    "obligation_done": _obligation,
    "obligation_cancelled": _obligation,
}
