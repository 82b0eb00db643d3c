"""A course of treatment, weeks to years: its state, what has been signed, and which step may follow.

A step is refused where a hard stop says so. It never happens by itself, and software decides nothing: a
review is decided by a prescriber.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from euthymia.care.events import corrected
from euthymia.care.findings import Finding
from euthymia.care.record import Event, from_text
from euthymia.care.timing import finding

STEPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "REFERRED": ("SCREENING", "DISCONTINUED"),
        "SCREENING": ("BASELINE", "PAUSED", "DISCONTINUED"),
        "BASELINE": ("CONSENTED", "PAUSED", "DISCONTINUED"),
        "CONSENTED": ("PLANNED", "PAUSED", "DISCONTINUED"),
        "PLANNED": ("INDUCTION", "PAUSED", "DISCONTINUED"),
        "INDUCTION": ("REVIEW", "PAUSED", "DISCONTINUED"),
        "REVIEW": ("INDUCTION", "MAINTENANCE", "PAUSED", "DISCONTINUED", "COMPLETED"),
        "MAINTENANCE": ("REVIEW", "PAUSED", "DISCONTINUED", "COMPLETED"),
        "PAUSED": ("SCREENING", "BASELINE", "CONSENTED", "PLANNED", "REVIEW", "DISCONTINUED"),
        "DISCONTINUED": ("FOLLOW_UP",),
        "COMPLETED": ("FOLLOW_UP",),
        "FOLLOW_UP": ("SCREENING", "CLOSED"),
        "CLOSED": (),
    }
)
DOSING = ("INDUCTION", "MAINTENANCE")
"""States in which a dose may be given."""
BOOKABLE = ("PLANNED", *DOSING)
BASELINE_VALUES = ("weight_kg", "systolic_mmHg", "diastolic_mmHg", "heart_rate_per_min", "spo2_percent")
BASELINE_SCORES = ("MADRS", "PHQ-9", "GAD-7")
LONG_TERM = ("bladder", "liver", "cognition", "blood_pressure", "misuse")
NEEDS_ENROLMENT = "esketamine"


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """One course of one patient, folded from its events."""

    id: str
    patient: str
    events: tuple[Event, ...]
    standing: tuple[Event, ...]
    state: str
    orders: Mapping[str, Event]

    @classmethod
    def of(cls, events: Sequence[Event]) -> Course:
        """Return the course that these events of one course make."""
        standing = corrected(events)
        moves = [event.facts["to"] for event in standing if event.kind == "course_moved"]
        orders = {event.facts["order_id"]: event for event in standing if event.kind == "order_signed"}
        for event in standing:
            if event.kind == "order_ended":
                orders.pop(event.facts["order_id"], None)
        return cls(
            id=events[0].about("course"),
            patient=events[0].about("patient"),
            events=tuple(events),
            standing=tuple(standing),
            state=moves[-1] if moves else "REFERRED",
            orders=MappingProxyType(orders),
        )

    def all(self, *kinds: str) -> list[Event]:
        """Return the events of some kinds, as they now stand."""
        return [event for event in self.standing if event.kind in kinds]

    def last(self, kind: str, **facts: Any) -> Event | None:
        """Return the last event of a kind with these facts; None where there is none."""
        found = [
            event
            for event in self.all(kind)
            if all(event.facts.get(name) == value for name, value in facts.items())
        ]
        return found[-1] if found else None

    @property
    def opened(self) -> Mapping[str, Any]:
        """Return the facts with which the course was opened: drug, route, jurisdiction, setting."""
        found = self.last("course_opened")
        return found.facts if found else MappingProxyType({})

    @property
    def order(self) -> Event | None:
        """Return the order in force; None where there is none."""
        return list(self.orders.values())[-1] if self.orders else None

    @property
    def next_review_date(self) -> date | None:
        """Return when the benefit is looked at next; None where no date was set."""
        dates = [
            event.facts["next_review_date"]
            for event in self.all("plan_signed", "course_moved", "review_decided")
            if event.facts.get("next_review_date")
        ]
        return date.fromisoformat(dates[-1]) if dates else None

    @property
    def needs_enrolment(self) -> bool:
        """Return whether the programme of the spray asks for enrolment: outpatients in the United States."""
        facts = self.opened
        return (
            facts.get("drug") == NEEDS_ENROLMENT
            and facts.get("route") == "intranasal"
            and facts.get("jurisdiction", "US") == "US"
            and facts.get("setting", "outpatient") == "outpatient"
        )

    @property
    def intervals_days(self) -> Mapping[str, float]:
        """Return the intervals of the long-term checks that a prescriber has set, in days."""
        found = self.last("maintenance_intervals_set")
        return found.facts["intervals_days"] if found else MappingProxyType({})

    def override_of(self, rule_id: str, *, session: str = "") -> Event | None:
        """Return who accepted that a rule is not met: for the course, or for one session; None if nobody."""
        found = [
            event
            for event in self.all("override_signed")
            if event.facts["rule_id"] == rule_id and event.about("session") in ("", session)
        ]
        return found[-1] if found else None

    def doses_at(self) -> list[datetime]:
        """Return when doses of this course were given, oldest first."""
        return sorted(event.observed_at for event in self.all("dose_given"))


def signed_for(one: Finding, course: Course, *, session: str = "") -> str:
    """Return who accepted a finding that stops, by the rules of its severity; empty where nobody did.

    ``block`` has no override; ``countersign`` takes a prescriber and another person; ``override`` a
    prescriber.
    """
    if one.severity == "block" or not one.is_stopping:
        return ""
    event = course.override_of(one.rule_id, session=session)
    if event is None or event.role != "prescriber":
        return ""
    second = event.facts.get("second_signer")
    if one.severity == "countersign" and second in (None, "", event.facts["signed_by"]):
        return ""
    return str(event.facts["signed_by"])


def may_move(
    course: Course,
    to: str,
    facts: Mapping[str, Any],
    *,
    open_ids: Collection[str] = (),
    reason: str | None = None,
) -> tuple[Finding, ...]:
    """Return what speaks for and against a step of the course.

    Parameters
    ----------
    course : Course
    to : str
        The state to enter.
    facts : mapping
        Of the event that would move it: findings, owner, restart_test, next_review_date.
    open_ids : collection of str
        Obligations and serious events of this patient that are still open.
    reason : str, optional
    """
    allowed = STEPS.get(course.state, ())
    first = finding(
        "course_step",
        "meets" if to in allowed else "fails",
        f"From {course.state} a course may go to {', '.join(allowed) or 'nothing'}.",
        severity="block",
        observed=to,
        threshold=tuple(allowed),
    )
    check = _GUARDS.get(to)
    return (first, *(check(course, facts, open_ids, reason) if check else ()))


def _holds(rule_id: str, says: str, has: bool | None, *, severity: Any = "block", **more: Any) -> Finding:  # noqa: FBT001
    status = "unknown" if has is None else "meets" if has else "fails"
    return finding(rule_id, status, says, severity=severity, **more)


def _to_screening(course: Course, *_: Any) -> tuple[Finding, ...]:
    is_urgent = course.opened.get("is_urgent")
    settled = is_urgent is False or course.last("disposition_recorded") is not None
    says = "Whether there is urgent risk was asked, and where there is, a clinician has dealt with it."
    return (_holds("urgent_risk_first", says, None if is_urgent is None and not settled else settled),)


def _to_baseline(course: Course, facts: Mapping[str, Any], *_: Any) -> tuple[Finding, ...]:
    given = facts.get("findings")
    if given is None:
        return (_holds("screened", "The findings of the screening stand in the record.", None),)
    return tuple(_as_recorded(course, row) for row in given)


def screened(course: Course) -> tuple[Finding, ...]:
    """Return the findings of the last screening in the record; those that were signed for meet."""
    moves = [event for event in course.all("course_moved") if event.facts.get("findings") is not None]
    return tuple(_as_recorded(course, row) for row in moves[-1].facts["findings"]) if moves else ()


def _as_recorded(course: Course, row: Mapping[str, Any]) -> Finding:
    one = finding(
        row["rule_id"],
        row["status"],
        row.get("says", row["rule_id"]),
        severity=row["severity"],
        source=row.get("source", ""),
        confidence=row.get("confidence", ""),
    )
    if signed_for(one, course):
        return finding(one.rule_id, "meets", f"{one.says} (signed for)", severity=one.severity)
    return one


def _to_consented(course: Course, *_: Any) -> tuple[Finding, ...]:
    taken = {name for event in course.all("reading_taken", "measured") for name in event.values}
    scored = {
        event.facts["scale"] for event in course.all("score_recorded") if event.facts.get("is_complete", True)
    }
    missing = tuple(name for name in BASELINE_VALUES if name not in taken)
    missing += tuple(name for name in BASELINE_SCORES if name not in scored)
    missing += () if course.last("risk_answered") else ("C-SSRS",)
    return (
        _holds("baseline_complete", "The baseline is complete.", None if missing else True, asks=missing),
        _consent(course),
    )


def _consent(course: Course) -> Finding:
    event = course.last("consent_signed")
    return _holds("consent", "Consent is signed, with its version.", event is not None or None)


def _to_planned(course: Course, *_: Any) -> tuple[Finding, ...]:
    plan = course.last("plan_signed")
    signed = None if plan is None else plan.role == "prescriber"
    return (_consent(course), _holds("plan", "A prescriber has signed the plan.", signed))


def _to_induction(course: Course, *_: Any) -> tuple[Finding, ...]:
    order = course.order
    signed = None if order is None else order.role == "prescriber"
    return (_holds("order", "A prescriber has signed an order.", signed), enrolment(course))


def enrolment(course: Course) -> Finding:
    """Return whether enrolment in the programme of the spray is on record, where it applies."""
    says = "The patient is enrolled in the programme, where it applies."
    if not course.needs_enrolment:
        return _holds("enrolment", says, True, observed="does not apply")
    event = course.last("enrolled")
    return _holds(
        "enrolment",
        says,
        event is not None or None,
        source="Spravato REMS outpatient healthcare-setting enrolment form, August 2020 (manual mirror)",
        jurisdiction="US",
        confidence="seen-in-source",
    )


def _decision(course: Course) -> Finding:
    event = course.last("review_decided")
    decided = None if event is None else event.role == "prescriber"
    return _holds("review", "A prescriber has decided at the review.", decided)


def _to_maintenance(course: Course, facts: Mapping[str, Any], *_: Any) -> tuple[Finding, ...]:
    has_date = bool(facts.get("next_review_date")) or course.next_review_date is not None
    missing = tuple(name for name in LONG_TERM if not course.intervals_days.get(name))
    return (
        _decision(course),
        _holds("next_review", "The date of the next review is set.", has_date or None),
        _holds(
            "long_term_intervals",
            "The intervals of the long-term checks are set; there is no consensus on them.",
            None if missing else True,
            asks=missing,
        ),
    )


def _to_paused(
    _course: Course, facts: Mapping[str, Any], _open: Any, reason: str | None
) -> tuple[Finding, ...]:
    return (
        _holds("pause_reason", "The reason for the pause is given.", bool(reason) or None),
        _holds("pause_owner", "Somebody owns the pause.", bool(facts.get("owner")) or None),
        _holds(
            "restart_test",
            "What has to be seen before going on is written.",
            bool(facts.get("restart_test")) or None,
        ),
    )


def _to_ended(_course: Course, _facts: Any, _open: Any, reason: str | None) -> tuple[Finding, ...]:
    return (_holds("end_reason", "The reason for the end is given.", bool(reason) or None),)


def _to_closed(
    _course: Course, _facts: Any, open_ids: Collection[str], _reason: str | None
) -> tuple[Finding, ...]:
    says = "No serious event and no obligation is open."
    return (_holds("nothing_open", says, not open_ids, observed=tuple(sorted(open_ids))),)


_GUARDS = {
    "SCREENING": _to_screening,
    "BASELINE": _to_baseline,
    "CONSENTED": _to_consented,
    "PLANNED": _to_planned,
    "INDUCTION": _to_induction,
    "MAINTENANCE": _to_maintenance,
    "PAUSED": _to_paused,
    "DISCONTINUED": _to_ended,
    "COMPLETED": _to_ended,
    "CLOSED": _to_closed,
}


def valid_until(order: Event) -> datetime | None:
    """Return when an order lapses; None where it says nothing."""
    text = order.facts.get("valid_until")
    return from_text(text) if text else None
