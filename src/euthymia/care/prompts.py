"""What a reading, an adverse event or an answer asks of the people in the room, at the moment it is entered.

A prompt on values that somebody typed; no alarm, no sound, no treatment. Emergency signs are answered with
the emergency services and with no score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from euthymia.care.clock import Now
from euthymia.care.obligation import raised
from euthymia.care.record import Event
from euthymia.care.session import Session
from euthymia.care.site import Site
from euthymia.care.timing import Limit, Timing

RISES = {"systolic_rise_mmHg": "systolic_mmHg", "diastolic_rise_mmHg": "diastolic_mmHg"}
TIER = {"stop": "stop", "act": "act", "inform": "inform"}


def of_reading(event: Event, session: Session, site: Site, timing: Timing, now: Now) -> tuple[Event, ...]:
    """Return the alerts that a reading raises.

    Parameters
    ----------
    event : Event
        The reading, as entered; values in question prompt as well, because they may be right.
    session : Session
        With the reading already in it.
    """
    found: list[Event] = []
    if session.first_dose_at is not None and event.observed_at >= session.first_dose_at:
        found += _limits(event, session, site, timing, now)
    found += symptoms(event, event.facts.get("symptoms", ()), site, timing, now)
    if event.facts.get("mental_state") == timing.words["agitation"]:
        found.append(_agitation(event, site, timing, now))
    return tuple(found)


def _limits(event: Event, session: Session, site: Site, timing: Timing, now: Now) -> list[Event]:
    failed = [
        (limit, value)
        for limit in timing.limits.values()
        if limit.prompt
        for value in [_value(limit, event, session)]
        if value is not None and not limit.holds(value)
    ]
    return [_prompt(event, limit, value, session, site, timing, now) for limit, value in _weightiest(failed)]


def _weightiest(failed: Sequence[tuple[Limit, float]]) -> list[tuple[Limit, float]]:
    """Drop what a stronger prompt about the same quantity already says: alerts are few."""
    order = {"stop": 0, "act": 1, "inform": 2}
    kept: dict[str, tuple[Limit, float]] = {}
    for limit, value in sorted(failed, key=lambda one: order[one[0].prompt]):
        kept.setdefault(RISES.get(limit.quantity, limit.quantity), (limit, value))
    return list(kept.values())


def _value(limit: Limit, event: Event, session: Session) -> float | None:
    if limit.quantity not in RISES:
        return event.number(limit.quantity)
    measured, before = event.number(RISES[limit.quantity]), session.before_dose(RISES[limit.quantity])
    return None if measured is None or before is None else measured - before.value


def _prompt(
    event: Event, limit: Limit, value: float, session: Session, site: Site, timing: Timing, now: Now
) -> Event:
    owner = session.nurse if limit.prompt == "inform" and session.nurse else site.clinician()
    return raised(
        event,
        limit.id,
        now=now,
        tier=TIER[limit.prompt],
        owner=owner,
        says=limit.says,
        version=timing.version,
        inputs={"observed": value, "threshold": limit.value, "unit": limit.unit},
        source=limit.source,
    )


def symptoms(event: Event, named: Iterable[str], site: Site, timing: Timing, now: Now) -> tuple[Event, ...]:
    """Return the alert that emergency signs raise, with the instruction to call the emergency services."""
    crisis = sorted(set(named) & set(timing.words["crisis_symptoms"]))
    if not crisis:
        return ()
    return (
        raised(
            event,
            "crisis_symptoms",
            now=now,
            tier="stop",
            owner=site.clinician(),
            says=f"{', '.join(crisis).capitalize()}: {timing.words['crisis_says']}",
            version=timing.version,
            inputs={"symptoms": crisis},
        ),
    )


def _agitation(event: Event, site: Site, timing: Timing, now: Now) -> Event:
    return raised(
        event,
        "severe_agitation",
        now=now,
        tier="stop",
        owner=site.clinician(),
        says=timing.words["agitation_says"],
        version=timing.version,
        inputs={"mental_state": event.facts["mental_state"]},
    )


def of_risk(event: Event, site: Site, timing: Timing, now: Now) -> tuple[Event, ...]:
    """Return the alert that an answer about suicide raises.

    Intent, a plan or recent behaviour: a clinician now, the person is not left alone, and nobody looks ready
    to leave before disposition and safety plan are on record. Thoughts alone, or item 9 of the PHQ-9 above
    zero: a named clinician before leaving. A remote answer gets the crisis text in the same event.
    """
    level, item = event.facts["level"], event.facts.get("item_9") or 0
    urgent = is_urgent(event, timing)
    if level == "none" and item <= 0 and not urgent:
        return ()
    facts: dict[str, Any] = {"needs_disposition": urgent, "blocks": "readiness"}
    facts["inputs"] = {"level": level, "item_9": item, "instrument": event.facts["instrument"]}
    if event.facts["is_remote"]:
        facts["crisis_text"] = crisis_text(site.settings, timing)
    return (
        raised(
            event,
            "suicide_urgent" if urgent else "suicide_watch",
            now=now,
            tier="stop" if urgent else "act",
            owner=site.clinician(),
            says=timing.words["urgent_says" if urgent else "watch_says"],
            version=timing.version,
            **facts,
        ),
    )


def is_urgent(event: Event, timing: Timing) -> bool:
    """Return whether an answer asks for a clinician now: by its level, or as the scoring of it said."""
    return event.facts["level"] in timing.words["risk_urgent"] or event.facts.get("concern") == "now"


def crisis_text(settings: Mapping[str, Any], timing: Timing) -> str:
    """Return what somebody who answers from afar is shown at once, with who reads the answer and when."""
    return str(
        timing.words["remote_text"].format(
            reader=settings.get("reader", "the clinic"),
            when=settings.get("read_when", "in its opening hours"),
        )
    )
