"""The door to the record: an entry is judged, refused or written, with what follows from it; and time passes.

Nothing here stores. What comes back are events to be stored together, in order, or none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from euthymia.care.checks import checks
from euthymia.care.clinic import Clinic
from euthymia.care.clock import Now, end_of_day, local_day
from euthymia.care.consequences import OVERDUE, follows
from euthymia.care.course import DOSING
from euthymia.care.events import check_event, kinds
from euthymia.care.gate import stops
from euthymia.care.guards import DEVIABLE, STRUCTURAL, judge
from euthymia.care.obligation import climbs, made, raised
from euthymia.care.record import Event, to_text
from euthymia.care.session import Session
from euthymia.care.timing import Criterion
from euthymia.errors import EuthymiaError, invalid, unknown


class StoppedError(EuthymiaError):
    """An entry was refused; ``criteria`` says by what, with values and sources.

    Attributes
    ----------
    criteria : tuple of Criterion
        Those that stop.
    may_deviate : bool
        Whether it can be recorded as what was really done, with a reason.
    """

    def __init__(self, kind: str, criteria: Sequence[Criterion], *, may_deviate: bool) -> None:
        self.criteria, self.may_deviate = tuple(criteria), may_deviate
        reasons = "; ".join(f"{one.finding.says} ({one.finding.status})" for one in criteria)
        super().__init__(f"{kind} was not recorded: {reasons}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What an entry led to.

    Attributes
    ----------
    events : tuple of Event
        To be stored together, in this order; the entry first.
    clinic : Clinic
        After them.
    criteria : tuple of Criterion
        Every finding about the entry, met ones too.
    """

    events: tuple[Event, ...]
    clinic: Clinic
    criteria: tuple[Criterion, ...] = ()


def enter(clinic: Clinic, event: Event, now: Now, *, deviation: str | None = None) -> Outcome:
    """Judge an entry and return what has to be stored.

    Parameters
    ----------
    clinic : Clinic
        Of the whole record, or of everything that concerns this entry.
    event : Event
        ``entered_at`` is replaced by the time of the clock.
    now : Now
    deviation : str, optional
        Why something was done against a stop. It is then recorded as it was done, and as a deviation.

    Returns
    -------
    outcome : Outcome

    Raises
    ------
    StoppedError
        Where a stop holds and no reason was given, or no reason could help.
    InvalidInputError
        Where the entry does not say what its kind needs, is already there, or lies in the future.
    """
    entry = check_event(replace(event, entered_at=now.at, rules_version=clinic.timing.version))
    _require_possible(clinic, entry, now)
    criteria = judge(clinic, entry, now)
    found = stops(criteria)
    if found:
        _require_deviation(entry, found, deviation)
    after = clinic.after(entry)
    extra = [_deviation(entry, found, deviation or "", now)] if found else []
    events = [entry, *extra, *follows(after, entry, now)]
    return Outcome(events=tuple(events), clinic=after.after(*events[1:]), criteria=criteria)


def _require_possible(clinic: Clinic, event: Event, now: Now) -> None:
    if event.event_id in clinic.home:
        raise invalid("event_id", must="new", got=repr(event.event_id))
    if event.observed_at > now.latest + clinic.timing.length("future"):
        cure = "Is the time of the tablet right?"
        raise invalid("observed_at", must="not later than now", got=to_text(event.observed_at), cure=cure)
    if clinic.last_entered_at is not None and now.at < clinic.last_entered_at:
        raise invalid("now", must="not before the last entry", got=to_text(now.at))
    if event.kind == "corrected" and event.corrects not in clinic.home:
        raise invalid("corrects", must="an event in the record", got=repr(event.corrects))
    machine = kinds()[event.kind].machine
    if machine in ("course", "session") and event.kind != "course_opened":
        _require_known("course", event.about("course"), clinic.courses)
    if machine == "session" and event.kind != "session_booked":
        _require_known("session", event.about("session"), clinic.sessions)
    if event.kind == "risk_answered" and event.facts["level"] not in clinic.timing.words["risk_levels"]:
        raise unknown("level of risk", str(event.facts["level"]), clinic.timing.words["risk_levels"])
    if not event.author.strip() or not event.role.strip():
        raise invalid("author", must="given with a role", got=repr(event.author))


def _require_known(subject: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise unknown(subject, name, known)


def _require_deviation(event: Event, found: Sequence[Criterion], deviation: str | None) -> None:
    is_structural = any(one.finding.rule_id in STRUCTURAL for one in found)
    may = event.kind in DEVIABLE and not is_structural
    if event.kind == "session_booked":
        may = all(one.finding.severity != "block" for one in found)
    if not may or not (deviation or "").strip():
        raise StoppedError(event.kind, found, may_deviate=may)


def _deviation(event: Event, found: Sequence[Criterion], reason: str, now: Now) -> Event:
    """Return the event that says which stops were passed and why, by the person who entered it."""
    facts = {
        "rules": [one.finding.rule_id for one in found],
        "of_kind": event.kind,
        "findings": [
            {
                "rule_id": one.finding.rule_id,
                "status": one.finding.status,
                "observed": one.finding.observed,
                "threshold": one.finding.threshold,
            }
            for one in found
        ],
    }
    return made(
        f"{event.event_id}/deviation",
        "deviation_recorded",
        event.subjects,
        now=now,
        facts=facts,
        because_of=event.event_id,
        version=event.rules_version,
        reason=reason,
        by=event,
    )


def tick(clinic: Clinic, now: Now) -> Outcome:
    """Return what the passing of time asks for; asked again without a change it gives nothing.

    Late obligations climb, overdue checks and unanswered alerts go to a second person, a lapsed review
    becomes somebody's obligation. Nothing is closed or withheld by time.
    """
    found = [*_late(clinic, now), *_overdue(clinic, now), *_unanswered(clinic, now), *_lapsed(clinic, now)]
    new = [event for event in found if event.event_id not in clinic.home]
    return Outcome(events=tuple(new), clinic=clinic.after(*new))


def _late(clinic: Clinic, now: Now) -> list[Event]:
    lead = clinic.site.lead
    return [
        step
        for one in clinic.obligations.values()
        for step in climbs(one, now=now, timing=clinic.timing, lead=lead)
    ]


def _overdue(clinic: Clinic, now: Now) -> list[Event]:
    return [
        event
        for session in clinic.sessions.values()
        if session.is_here and session.doses
        for event in _overdue_of(clinic, session, now)
    ]


def _overdue_of(clinic: Clinic, session: Session, now: Now) -> list[Event]:
    """Return an alert to a second person for each check that is overdue by long enough."""
    cause = clinic.home[session.doses[0].event_id]
    wait = clinic.timing.length("check_second_person")
    return [
        raised(
            cause,
            f"{OVERDUE}{check.id}",
            now=now,
            tier="act",
            owner=clinic.site.other_than(session.nurse),
            says=f"Check due at {check.due_at:%H:%M} UTC is not recorded: look, or say why not.",
            version=clinic.timing.version,
        )
        for check in checks(session, clinic.timing, now)
        if check.is_owed and now.latest >= check.due_at + wait
    ]


def _unanswered(clinic: Clinic, now: Now) -> list[Event]:
    """Return that alerts go to a second person; both times are of entry, which no step of a clock moves."""
    wait = clinic.timing.length("alert_unseen")
    return [
        made(
            f"{alert.id}/second",
            "alert_assigned",
            {"alert": alert.id},
            now=now,
            facts={"owner": clinic.site.other_than(alert.owner), "note": "not acted on in time"},
            version=clinic.timing.version,
        )
        for alert in clinic.alerts.values()
        if alert.is_open and now.at >= alert.raised_at + wait
    ]


def _lapsed(clinic: Clinic, now: Now) -> list[Event]:
    """Return the obligation to review where the date has passed: a person decides; nothing is withheld."""
    today = local_day(now.latest, clinic.site.zone)
    found = []
    for course in clinic.courses.values():
        due = course.next_review_date
        if course.state not in DOSING or due is None or due >= today:
            continue
        identifier = f"{course.id}/review/{due.isoformat()}"
        facts = {
            "type": "review",
            "due_at": to_text(end_of_day(due, clinic.site.zone)),
            "owner": clinic.site.clinician(),
            "says": f"The review of {due.isoformat()} is overdue: a prescriber decides how to go on.",
        }
        subjects = {"obligation": identifier, "patient": course.patient, "course": course.id}
        found.append(
            made(
                identifier, "obligation_opened", subjects, now=now, facts=facts, version=clinic.timing.version
            )
        )
    return found


def is_backcharted(event: Event, clinic: Clinic) -> bool:
    """Return whether an entry was written down long after what it describes."""
    return event.entered_at - event.observed_at > clinic.timing.length("backcharted")


def backcharted_together(events: Sequence[Event], clinic: Clinic, *, within_min: float = 2.0) -> list[Event]:
    """Return readings of several times that one author wrote down afterwards in one go."""
    late = [event for event in events if event.kind == "reading_taken" and is_backcharted(event, clinic)]
    window = timedelta(minutes=within_min)
    return [
        one
        for one in late
        if any(
            other is not one
            and other.author == one.author
            and abs(other.entered_at - one.entered_at) <= window
            and other.observed_at != one.observed_at
            for other in late
        )
    ]
