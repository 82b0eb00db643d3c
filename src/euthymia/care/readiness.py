"""Before leaving: every criterion with its value and age. The software discharges nobody; it can refuse.

A named clinician decides. Leaving against advice is another transition, recorded as what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from euthymia.care.checks import checks, floor_at, owed
from euthymia.care.clock import MINUTE, Now
from euthymia.care.course import signed_for
from euthymia.care.events import corrected
from euthymia.care.findings import Finding
from euthymia.care.gate import Around
from euthymia.care.obligation import Alert
from euthymia.care.record import Event
from euthymia.care.session import DISSOCIATION, Seen, Session
from euthymia.care.timing import Criterion, Timing, finding

ADVICE = ("no driving for 24 h and a night's sleep", "who to call")
"""What has to be among the advice given."""
PRESSURES = ("systolic_mmHg", "diastolic_mmHg")
CALM_NAUSEA = ("none", "controlled")


def ready(session: Session, around: Around, now: Now) -> tuple[Criterion, ...]:
    """Return every criterion before leaving.

    Parameters
    ----------
    session : Session
    around : Around
    now : Now
        What must have lasted is counted to its earliest, ages to its latest.

    Returns
    -------
    criteria : tuple of Criterion
        A missing or old value is unknown, which is not ready.
    """
    timing = around.timing
    found = [
        _observed(session, timing, now),
        *_pressures(session, timing, now),
        *_breathing(session, timing, now),
        *_mind(session, timing, now),
        *_body(session, timing, now),
        *_risk(session, around),
        *_leaving(session, now),
        *_closed(session, around, now),
    ]
    return tuple(
        replace(one, signed_by=signed_for(one.finding, around.course, session=session.id) or one.signed_by)
        for one in found
    )


def is_ready(criteria: Sequence[Criterion]) -> bool:
    """Return whether nothing stops: every criterion is met or was signed for under its rule."""
    return all(one.is_met for one in criteria)


def would_be_ready(criteria: Sequence[Criterion]) -> bool:
    """Return whether only the minimum of observation stands against it, as the programme's form asks."""
    return all(one.is_met for one in criteria if one.finding.rule_id != "observation")


def _criterion(
    rule_id: str, says: str, has: Any, seen: Seen | Event | None, now: Now, **more: Any
) -> Criterion:
    status = "unknown" if has is None else "meets" if has else "fails"
    at = None if seen is None else seen.at if isinstance(seen, Seen) else seen.observed_at
    return _dated(finding(rule_id, status, says, **more), at, now)


def _dated(one: Finding, at: datetime | None, now: Now) -> Criterion:
    return Criterion(finding=one, seen_at=at, age_min=None if at is None else now.minutes_at_most(at))


def _observed(session: Session, timing: Timing, now: Now) -> Criterion:
    rule, start, end = timing.clocks["observation"], session.observed_from, floor_at(session, timing)
    has = None if end is None or start is None else now.earliest >= end
    minutes = None if start is None else round(now.minutes_at_least(start), 1)
    return _criterion(
        "observation",
        rule.says,
        has,
        None,
        now,
        severity="block",
        observed=minutes,
        threshold=None if end is None or start is None else (end - start) / MINUTE,
        unit="min",
        source=rule.source,
        confidence=rule.confidence,
        jurisdiction=rule.jurisdiction,
        is_own_rule=rule.is_own_rule,
    )


def _fresh(session: Session, name: str, timing: Timing, now: Now) -> Seen | None:
    """Return the last value since the dose that is not too old."""
    seen = session.latest(name, since=session.first_dose_at)
    is_old = seen is None or now.latest - seen.at > timing.length("ready_vitals")
    return None if is_old else seen


def _limit(name: str, quantity: str, session: Session, timing: Timing, now: Now) -> Criterion:
    seen = _fresh(session, quantity, timing, now)
    return _dated(timing.of_limit(name, seen.value if seen else None), seen.at if seen else None, now)


def _pairs(session: Session) -> list[tuple[datetime, float, float]]:
    """Return whole pressures since the dose, both of one reading; none where the last is in question."""
    if any(session.latest(name, since=session.first_dose_at) is None for name in PRESSURES):
        return []
    low = {one.event_id: one.value for one in session.seen("diastolic_mmHg", since=session.first_dose_at)}
    high = session.seen("systolic_mmHg", since=session.first_dose_at)
    return [(one.at, one.value, low[one.event_id]) for one in high if one.event_id in low]


def _last_two(session: Session, timing: Timing) -> list[tuple[datetime, float, float]]:
    """Return the last pressure and the latest one that stands far enough, and not too far, before it."""
    found = _pairs(session)
    if not found:
        return []
    limit = timing.limits["ready_pressure_gap"]
    longest = timing.length("ready_first_pressure")
    gaps = [(found[-1][0] - one[0], one) for one in found[:-1]]
    earlier = [one for gap, one in gaps if limit.holds(gap / MINUTE) and gap <= longest]
    return [*earlier[-1:], found[-1]]


def _pressures(session: Session, timing: Timing, now: Now) -> list[Criterion]:
    two = _last_two(session, timing)
    accepted = _accepted(session, two)
    is_fresh = bool(two) and now.latest - two[-1][0] <= timing.length("ready_vitals")
    last = two[-1][0] if two else None
    gap = (two[-1][0] - two[0][0]) / MINUTE if len(two) == 2 else None
    values = {
        "ready_pressure_gap": gap,
        "ready_systolic": max((high for _, high, _ in two), default=None),
        "ready_diastolic": max((low for _, _, low in two), default=None),
        "ready_near_predose": _distance(session, two) if two else None,
    }
    found = [
        _dated(timing.of_limit(name, value if is_fresh else None), last, now)
        for name, value in values.items()
    ]
    return [found[0], *(replace(one, signed_by=accepted) if is_fresh else one for one in found[1:])]


def _distance(session: Session, two: Sequence[tuple[datetime, float, float]]) -> float | None:
    """Return how far the last pressure stands above that before the dose; the larger of the two."""
    before = [session.before_dose(name) for name in ("systolic_mmHg", "diastolic_mmHg")]
    if before[0] is None or before[1] is None:
        return None
    return max(0.0, two[-1][1] - before[0].value, two[-1][2] - before[1].value)


def _accepted(session: Session, two: Sequence[tuple[datetime, float, float]]) -> str:
    """Return which prescriber accepted the last pressure as it was read; empty where none did."""
    event = session.last.get("bp_accepted")
    if event is None or not two or event.role != "prescriber" or event.observed_at < two[-1][0]:
        return ""
    is_that_one = (event.facts["systolic_mmHg"], event.facts["diastolic_mmHg"]) == two[-1][1:]
    return str(event.facts["signed_by"]) if is_that_one else ""


def _breathing(session: Session, timing: Timing, now: Now) -> list[Criterion]:
    seen, before = _fresh(session, "spo2_percent", timing, now), session.before_dose("spo2_percent")
    on_air = _fresh(session, "on_air", timing, now)
    is_air = on_air is not None and on_air.value is True
    value = seen.value if seen and is_air else None
    fall = None if value is None or before is None else before.value - value
    at = seen.at if seen else None
    return [
        _dated(timing.of_limit("ready_spo2", value), at, now),
        _dated(timing.of_limit("ready_spo2_fall", fall), at, now),
        _limit("ready_respiration", "respiration_per_min", session, timing, now),
    ]


def _mind(session: Session, timing: Timing, now: Now) -> list[Criterion]:
    oriented = _fresh(session, "is_oriented", timing, now)
    return [
        _limit("ready_moaas", "moaas_points", session, timing, now),
        _dissociation(session, timing, now),
        _criterion(
            "oriented", "Oriented.", oriented.value if oriented else None, oriented, now, severity="block"
        ),
    ]


def _dissociation(session: Session, timing: Timing, now: Now) -> Criterion:
    """Return by CADSS where it was rated, else by the level noted; what it was before the dose passes."""
    limit = timing.limits["ready_cadss"]
    seen = _fresh(session, "cadss_points", timing, now)
    if seen is None:
        return _by_word(session, timing, now)
    before = session.before_dose("cadss_points")
    has = limit.holds(seen.value) or (before is not None and seen.value <= before.value)
    return _criterion(
        "ready_cadss",
        limit.says,
        has,
        seen,
        now,
        severity=limit.severity,
        observed=seen.value,
        threshold=limit.value,
        unit=limit.unit,
        source=limit.source,
        confidence=limit.confidence,
        jurisdiction=limit.jurisdiction,
    )


def _by_word(session: Session, timing: Timing, now: Now) -> Criterion:
    limit, seen = timing.limits["ready_cadss"], _fresh(session, "dissociation", timing, now)
    before = session.before_dose("dissociation")
    level = DISSOCIATION.index(before.value) if before and before.value in DISSOCIATION else 0
    known = seen is not None and seen.value in DISSOCIATION
    has = DISSOCIATION.index(seen.value) <= level if seen is not None and known else None
    return _criterion(
        "ready_cadss",
        limit.says,
        has,
        seen,
        now,
        severity=limit.severity,
        observed=seen.value if seen else None,
    )


def _body(session: Session, timing: Timing, now: Now) -> list[Criterion]:
    walks, nausea = (_fresh(session, name, timing, now) for name in ("walks", "nausea"))
    calm = None if nausea is None else nausea.value in CALM_NAUSEA
    return [
        _criterion("walks", "Walks unaided.", walks.value if walks else None, walks, now, severity="block"),
        _criterion(
            "nausea", "Nausea is controlled.", calm, nausea, now, observed=nausea.value if nausea else None
        ),
    ]


def _risk(session: Session, around: Around) -> list[Criterion]:
    """Return that ideation, asked again, is not above that before, and that every answer was dealt with."""
    levels = around.timing.words["risk_levels"]
    start = session.first_dose_at
    asked = [event for event in corrected(session.events) if event.kind == "risk_answered"]
    before = [event for event in asked if start is None or event.observed_at <= start]
    after = [event for event in asked if start is not None and event.observed_at > start]
    has = None
    if before and after:
        has = levels.index(after[-1].facts["level"]) <= levels.index(before[-1].facts["level"])
    says = "No suicidal ideation above that before the dose."
    status = "unknown" if has is None else "meets" if has else "fails"
    open_ids = tuple(alert.rule_id for alert in _of_readiness(around.alerts, session))
    return [
        Criterion(
            finding=finding(
                "ideation_not_above",
                status,
                says,
                severity="block",
                observed=after[-1].facts["level"] if after else None,
                threshold=before[-1].facts["level"] if before else None,
            ),
            seen_at=after[-1].observed_at if after else None,
        ),
        Criterion(
            finding=finding(
                "risk_dealt_with",
                "fails" if open_ids else "meets",
                "Every answer of risk has been dealt with by a clinician.",
                severity="block",
                observed=open_ids,
            )
        ),
    ]


def _of_readiness(alerts: Sequence[Alert], session: Session) -> list[Alert]:
    return [
        one for one in alerts if one.is_open and one.patient == session.patient and one.blocks == "readiness"
    ]


def _leaving(session: Session, now: Now) -> list[Criterion]:
    escort, advice = session.last.get("escort_seen"), session.last.get("advice_given")
    start = session.first_dose_at
    is_here = escort is not None and start is not None and escort.observed_at >= start
    given = tuple(advice.facts["items"]) if advice else ()
    has = None if advice is None else set(ADVICE) <= set(given)
    return [
        _criterion(
            "escort_present",
            "The escort is here, not only promised.",
            is_here or None,
            escort,
            now,
            severity="block",
        ),
        _criterion(
            "advice", "Advice was given: " + "; ".join(ADVICE) + ".", has, advice, now, observed=given
        ),
    ]


def _closed(session: Session, around: Around, now: Now) -> list[Criterion]:
    incidents = tuple(one.type for one in session.open_incidents)
    late = tuple(check.id for check in owed(checks(session, around.timing, now)))
    asked = tuple(sorted(name for _, name in session.asked))
    stops = tuple(
        one.rule_id
        for one in around.alerts
        if one.is_open and one.session == session.id and one.blocks != "readiness"
    )
    table = (
        ("no_open_incident", "No adverse event is open.", incidents),
        ("checks_done", "Every check that was due is recorded, or it is recorded why not.", late),
        ("questions_answered", "Every question about an entry is answered.", asked),
        ("prompts_answered", "Every prompt of this session was acted on.", stops),
    )
    return [
        _criterion(rule_id, says, not left, None, now, severity="block", observed=left)
        for rule_id, says, left in table
    ]
