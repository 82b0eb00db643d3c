"""Before a dose: every condition with its value, its age and who says so. What is missing is unknown.

The gate refuses to write that a dose was in order. It cannot withhold one: what was really given is recorded,
as a deviation with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from euthymia.care.clock import Now, local_day
from euthymia.care.course import DOSING, Course, enrolment, screened, signed_for, valid_until
from euthymia.care.findings import Finding
from euthymia.care.obligation import Alert
from euthymia.care.prompts import is_urgent
from euthymia.care.record import Event
from euthymia.care.session import Seen, Session
from euthymia.care.site import Site
from euthymia.care.stock import Lot
from euthymia.care.timing import Criterion, Limit, Timing, finding

VITALS = (
    "predose_systolic_guide",
    "predose_diastolic_guide",
    "predose_systolic_hard",
    "predose_diastolic_hard",
    "predose_spo2",
    "predose_moaas",
)
SINCE = ("food", "liquids", "nasal_agent")
CLEAR = {
    "drugs_today": "No drugs beyond those prescribed were taken today.",
    "alcohol_today": "No alcohol was drunk today.",
    "new_symptoms": "There are no new symptoms or medicines since the last visit.",
}
IDENTIFIERS_NEEDED = 2
PREGNANCY_CLEAR = ("not pregnant", "not applicable")
LABEL_US = "Spravato US prescribing information (2019 text, third-party mirror)"
REMS = "Spravato REMS, REMS 386, FDA REMS@FDA page"


@dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    """What a session is judged with: its course, the site, the stock, open alerts, other sessions."""

    course: Course
    site: Site
    timing: Timing
    lots: Mapping[str, Lot]
    alerts: Sequence[Alert] = ()
    sessions: Sequence[Session] = ()


def pre_dose(
    session: Session, around: Around, now: Now, *, dose: Event | None = None
) -> tuple[Criterion, ...]:
    """Return every condition before a dose.

    Parameters
    ----------
    session : Session
    around : Around
    now : Now
        Of the dose; ages are counted to its latest.
    dose : Event, optional
        The dose about to be recorded: its drug, route, amount and lot are held to the order. Without it those
        of the order.

    Returns
    -------
    conditions : tuple of Criterion
        Those that were signed for under the rules of their severity carry the name.
    """
    order = around.course.order
    found = [
        *_papers(session, around, now, order),
        *_people(around, session),
        *_arrival(session, around, now),
        *_vitals(session, around.timing, now),
        *_amounts(session, around, now, order, dose),
        *_open(session, around),
        *_ready(session, around),
    ]
    return tuple(_with_signature(one, session, around.course) for one in found)


def _with_signature(one: Criterion, session: Session, course: Course) -> Criterion:
    return replace(one, signed_by=signed_for(one.finding, course, session=session.id))


def _plain(
    rule_id: str, says: str, has: Any, *, event: Event | None = None, now: Now, **more: Any
) -> Criterion:
    """Return a condition that holds (True), does not (False), or is not on record (None)."""
    status = "unknown" if has is None else "meets" if has else "fails"
    at = event.observed_at if event else None
    return Criterion(
        finding=finding(rule_id, status, says, **more),
        seen_at=at,
        age_min=None if at is None else now.minutes_at_most(at),
    )


def _papers(session: Session, around: Around, now: Now, order: Event | None) -> list[Criterion]:
    course = around.course
    consent = course.last("consent_signed")
    lapses = valid_until(order) if order else None
    in_force = None if order is None else lapses is None or not now.is_past(lapses)
    return [
        _plain(
            "order", "A prescriber's order is in force.", in_force, event=order, now=now, severity="block"
        ),
        _plain(
            "consent",
            "Consent is signed, with its version.",
            consent is not None or None,
            event=consent,
            now=now,
            severity="block",
        ),
        _plain(
            "course_state",
            "The course is in a phase in which doses are given.",
            course.state in DOSING,
            now=now,
            severity="countersign",
            observed=course.state,
            threshold=DOSING,
        ),
        Criterion(finding=enrolment(course)),
        *(Criterion(finding=one) for one in screened(course) if one.is_stopping),
        _review(around, now),
        _previous(session, around, now),
    ]


def _review(around: Around, now: Now) -> Criterion:
    """Return that a lapsed review goes to a prescriber, who may go on with a reason; nothing is silent."""
    due = around.course.next_review_date
    says = "The next review of benefit is not overdue."
    if around.course.state != "MAINTENANCE":
        return _plain("review_in_time", says, True, now=now, observed="does not apply")
    today = local_day(now.latest, around.site.zone)
    return _plain(
        "review_in_time",
        says,
        None if due is None else today <= due,
        now=now,
        observed=None if due is None else due.isoformat(),
        threshold=today.isoformat(),
    )


def _previous(session: Session, around: Around, now: Now) -> Criterion:
    waiting = tuple(
        one.id
        for one in around.sessions
        if one.patient == session.patient and one.id != session.id and one.is_unresolved
    )
    says = "The session before is resolved."
    return _plain("previous_resolved", says, not waiting, now=now, severity="override", observed=waiting)


def _people(around: Around, session: Session) -> list[Criterion]:
    prescribers = around.site.on_site("prescriber")
    is_spray = session.route == "intranasal" and session.drug == "esketamine"
    source: dict[str, Any] = {"source": REMS, "jurisdiction": "US", "confidence": "seen-in-source"}
    source = source if is_spray else {}
    return [
        Criterion(
            finding=finding(
                "prescriber_on_site",
                "meets" if prescribers else "unknown",
                "A prescriber is on site.",
                severity="block",
                observed=prescribers,
                **source,
            )
        ),
        Criterion(
            finding=finding(
                "emergency_trained_on_site",
                "meets" if around.site.has_emergency_trained else "unknown",
                "Somebody trained for emergencies is on site.",
                severity="block",
            )
        ),
    ]


def _arrival(session: Session, around: Around, now: Now) -> list[Criterion]:
    return [
        _identity(session, now, around.timing),
        *(
            _since(name, session, around.timing, now)
            for name in SINCE
            if _applies(name, session, around.timing)
        ),
        *(_clear(name, says, session, now, around.timing) for name, says in CLEAR.items()),
        _pregnancy(session, around, now),
        _escort(session, now, around.timing),
        _ideation(session, around, now),
    ]


def _answered(session: Session, item: str, now: Now, timing: Timing) -> Event | None:
    """Return the answer of this visit; one that is older than a visit is none."""
    event = session.answers.get(item)
    if event is None or now.latest - event.observed_at > timing.length("predose_answers"):
        return None
    return event


def _identity(session: Session, now: Now, timing: Timing) -> Criterion:
    event = _answered(session, "identifiers", now, timing)
    given = tuple(event.facts["answer"]) if event else ()
    has = None if event is None else len(set(given)) >= IDENTIFIERS_NEEDED
    says = "The person was identified by two identifiers."
    return _plain("identity", says, has, event=event, now=now, severity="block", observed=given or None)


def _applies(name: str, session: Session, timing: Timing) -> bool:
    return session.route in timing.limits[name].routes


def _since(name: str, session: Session, timing: Timing, now: Now) -> Criterion:
    """How long ago something was taken: what was said at arrival, and the time since then."""
    event, limit = _answered(session, name, now, timing), timing.limits[name]
    if event is None:
        return Criterion(finding=limit.finding(None, version=timing.version))
    if event.facts["answer"] is False:
        return _plain(name, limit.says, True, event=event, now=now, **_words(limit))
    minutes = event.facts.get("since_min")
    since = None if minutes is None else float(minutes) + now.minutes_at_least(event.observed_at)
    return Criterion(
        finding=limit.finding(since, version=timing.version),
        seen_at=event.observed_at,
        age_min=now.minutes_at_most(event.observed_at),
    )


def _words(limit: Limit) -> dict[str, Any]:
    return {
        "severity": limit.severity,
        "source": limit.source,
        "confidence": limit.confidence,
        "jurisdiction": limit.jurisdiction,
        "is_own_rule": limit.is_own_rule,
    }


def _clear(name: str, says: str, session: Session, now: Now, timing: Timing) -> Criterion:
    event = _answered(session, name, now, timing)
    answer = event.facts["answer"] if event else None
    has = None if not isinstance(answer, bool) else not answer
    return _plain(name, says, has, event=event, now=now, observed=answer)


def _pregnancy(session: Session, around: Around, now: Now) -> Criterion:
    event = session.answers.get("pregnancy")
    is_old = event is None or now.latest - event.observed_at > around.timing.length("pregnancy")
    answer = event.facts["answer"] if event else None
    has = None if is_old or answer in (None, "declined", "unknown") else answer in PREGNANCY_CLEAR
    says = "Pregnancy status is on record and does not speak against a dose."
    return _plain("pregnancy", says, has, event=event, now=now, severity="countersign", observed=answer)


def _escort(session: Session, now: Now, timing: Timing) -> Criterion:
    event = _answered(session, "escort", now, timing)
    name = event.facts["answer"] if event else None
    has = None if event is None else bool(name)
    says = "An escort is named who takes the person home."
    return _plain(
        "escort",
        says,
        has,
        event=event,
        now=now,
        severity="block",
        observed=name if isinstance(name, str) else None,
        source=LABEL_US,
        jurisdiction="US",
        confidence="seen-in-source",
    )


def _ideation(session: Session, around: Around, now: Now) -> Criterion:
    """Suicidal ideation since the last visit, asked today; intent, plan or behaviour goes to a prescriber."""
    event = session.last.get("risk_answered")
    level = event.facts["level"] if event else None
    has = None if event is None else not is_urgent(event, around.timing)
    says = "Suicidal ideation since the last visit was asked; intent, plan or behaviour: a prescriber first."
    return _plain("ideation", says, has, event=event, now=now, observed=level)


def _vitals(session: Session, timing: Timing, now: Now) -> list[Criterion]:
    age = timing.length("predose_vitals")
    found = [_fresh(timing.limits[name], session, timing, now, age) for name in VITALS]
    for name in ("heart_rate_per_min", "respiration_per_min"):
        found.append(_recorded(name, session, now, age))
    found.append(_recorded("weight_kg", session, now, timing.length("weight")))
    return found


def _fresh(limit: Limit, session: Session, timing: Timing, now: Now, age: timedelta) -> Criterion:
    seen = session.before_dose(limit.quantity)
    value = None if _is_old(seen, now, age) else seen.value if seen else None
    return _of(limit.finding(value, version=timing.version), seen, now)


def _recorded(name: str, session: Session, now: Now, age: timedelta) -> Criterion:
    seen = session.before_dose(name)
    status = "unknown" if _is_old(seen, now, age) else "meets"
    says = f"{name} is on record and no older than it may be."
    value = seen.value if seen else None
    return _of(finding(f"recorded_{name}", status, says, observed=value, asks=(name,)), seen, now)


def _is_old(seen: Seen | None, now: Now, age: timedelta) -> bool:
    return seen is None or now.latest - seen.at > age


def _of(one: Finding, seen: Seen | None, now: Now) -> Criterion:
    return Criterion(
        finding=one,
        seen_at=seen.at if seen else None,
        age_min=now.minutes_at_most(seen.at) if seen else None,
    )


def _amounts(
    session: Session, around: Around, now: Now, order: Event | None, dose: Event | None
) -> list[Criterion]:
    if order is None:
        return []
    asked = dose.values["amount_mg"].canonical if dose else float(order.facts["amount_mg"])
    limit = float(order.facts.get("max_amount_mg") or order.facts["amount_mg"])
    total = session.given_mg + asked
    found = [
        _plain(
            "dose_limit",
            "No more than was ordered.",
            total <= limit,
            now=now,
            severity="block",
            observed=total,
            threshold=limit,
            unit="mg",
        ),
        _drug_and_route(order, dose, now),
        _interval(session, around, now, order),
        _lot(around, now, order, dose),
    ]
    return found


def _drug_and_route(order: Event, dose: Event | None, now: Now) -> Criterion:
    names = ("drug", "route")
    wanted = tuple(str(order.facts[name]) for name in names)
    given = wanted if dose is None else tuple(str(dose.facts[name]) for name in names)
    says = "The drug and route that were ordered."
    return _plain(
        "as_ordered", says, given == wanted, now=now, severity="block", observed=given, threshold=wanted
    )


def _interval(session: Session, around: Around, now: Now, order: Event) -> Criterion:
    own = {dose.event_id for dose in session.doses}
    others = [
        dose.at
        for one in around.sessions
        if one.patient == session.patient
        for dose in one.doses
        if dose.event_id not in own
    ]
    hours = order.facts.get("min_interval_h")
    says = "The interval since the last session's dose is that of the order or longer."
    if not others:
        return _plain("interval", says, True, now=now, observed="no dose before")
    if hours is None:
        return _plain("interval", says, None, now=now)
    passed = now.minutes_at_least(max(others)) / 60.0
    return _plain(
        "interval",
        says,
        passed >= float(hours),
        now=now,
        observed=round(passed, 2),
        threshold=float(hours),
        unit="h",
    )


def _lot(around: Around, now: Now, order: Event, dose: Event | None) -> Criterion:
    drug = str(order.facts["drug"])
    today = local_day(now.latest, around.site.zone)
    says = "A lot of this drug is in stock and not expired."
    usable = [lot.id for lot in around.lots.values() if lot.is_usable(drug, today)]
    if dose is None:
        return _plain(
            "stock_lot", says, bool(usable) or None, now=now, severity="block", observed=tuple(usable)
        )
    named = str(dose.facts["lot"])
    return _plain("stock_lot", says, named in usable, now=now, severity="block", observed=named)


def _open(session: Session, around: Around) -> list[Criterion]:
    blocking = tuple(
        alert.rule_id
        for alert in around.alerts
        if alert.is_open and alert.patient == session.patient and alert.tier == "stop"
    )
    asked = tuple(sorted(name for _, name in session.asked))
    return [
        Criterion(
            finding=finding(
                "no_open_alert",
                "fails" if blocking else "meets",
                "No alert that stops is open for this person.",
                severity="override",
                observed=blocking,
            )
        ),
        Criterion(
            finding=finding(
                "no_open_question",
                "unknown" if asked else "meets",
                "Every question about an entry is answered.",
                severity="override",
                observed=asked,
                asks=asked,
            )
        ),
    ]


def _ready(session: Session, around: Around) -> list[Criterion]:
    """Return the prescriber's word and the second check; the word comes after the values it rests on."""
    signed, second = session.last.get("ready_to_treat_signed"), session.last.get("dose_checked")
    read = session.before_dose("systolic_mmHg")
    after = signed is not None and read is not None and signed.observed_at >= read.at
    is_prescriber = signed is not None and signed.role == "prescriber"
    has_second = second is not None and second.facts["first_checker"] != second.facts["second_checker"]
    return [
        _at(
            "ready_to_treat",
            "A prescriber has looked at today's values and signed that treatment may begin.",
            None if signed is None else after and is_prescriber,
            signed,
        ),
        _at("second_check", "Two people have checked drug, amount and lot.", has_second or None, second),
    ]


def _at(rule_id: str, says: str, has: bool | None, event: Event | None) -> Criterion:  # noqa: FBT001
    status = "unknown" if has is None else "meets" if has else "fails"
    return Criterion(finding=finding(rule_id, status, says), seen_at=event.observed_at if event else None)


def later_dose(session: Session, around: Around, now: Now, dose: Event) -> tuple[Criterion, ...]:
    """Return the conditions of a further device or injection: order, lot, rest, open alerts."""
    order, timing = around.course.order, around.timing
    found = [*_amounts(session, around, now, order, dose), *_open(session, around)]
    found += [one for one in _papers(session, around, now, order) if one.finding.rule_id == "order"]
    if session.route in timing.limits["device_gap"].routes:
        gap = (dose.observed_at - session.doses[-1].at) / timedelta(minutes=1)
        found.append(Criterion(finding=timing.of_limit("device_gap", gap)))
    return tuple(_with_signature(one, session, around.course) for one in found)


def stops(conditions: Sequence[Criterion]) -> tuple[Criterion, ...]:
    """Return the conditions that are not met and not signed for."""
    return tuple(one for one in conditions if not one.is_met)
