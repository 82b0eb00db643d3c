"""Obligations and alerts: what somebody still owes, who owns it, when it is due, and how it was closed.

Neither ends by itself. A late one climbs to another person; it never withholds anything in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from euthymia.care.clock import Now
from euthymia.care.events import SOFTWARE, check_event, corrected
from euthymia.care.record import Event, from_text, to_text
from euthymia.care.timing import Timing

OPEN, DONE, CANCELLED = "open", "done", "cancelled"
TIERS = ("inform", "act", "stop")


@dataclass(frozen=True, kw_only=True, slots=True)
class Obligation:
    """Something owed, from minutes to months, which outlives the session it came from.

    Attributes
    ----------
    id, type, patient, session : str
    due_at, opened_at : datetime
    not_before : datetime or None
        Done earlier it does not count.
    owner : str
        Account, or role where nobody is named.
    says : str
    status : str
        open, done or cancelled.
    level : int
        How often it has climbed; 0 before it was late.
    stops : str
        What it stops at this level, such as ``booking``; empty for most.
    outcome : str
    """

    id: str
    type: str
    patient: str
    session: str
    due_at: datetime
    opened_at: datetime
    not_before: datetime | None
    owner: str
    says: str
    status: str = OPEN
    level: int = 0
    stops: str = ""
    outcome: str = ""

    @classmethod
    def of(cls, events: Sequence[Event]) -> Obligation:
        """Return the obligation that its events make."""
        standing = corrected(events)
        first = standing[0]
        latest = {event.kind: event for event in standing}
        climbed = [event for event in standing if event.kind == "obligation_escalated"]
        assigned = latest.get("obligation_assigned")
        status, end = _end_of(latest)
        early = first.facts.get("not_before")
        return cls(
            id=first.about("obligation"),
            type=first.facts["type"],
            patient=first.about("patient"),
            session=first.about("session"),
            due_at=from_text(first.facts["due_at"]),
            opened_at=first.entered_at,
            not_before=from_text(early) if early else None,
            owner=assigned.facts["owner"] if assigned else first.facts["owner"],
            says=first.facts["says"],
            status=status,
            level=max((event.facts["level"] for event in climbed), default=0),
            stops=next(
                (str(event.facts["note"]) for event in reversed(climbed) if event.facts.get("note")), ""
            ),
            outcome=end,
        )

    @property
    def is_open(self) -> bool:
        """Return whether it is still owed."""
        return self.status == OPEN

    def is_overdue(self, now: Now) -> bool:
        """Return whether it is owed and may be late."""
        return self.is_open and now.latest > self.due_at


def _end_of(latest: Mapping[str, Event]) -> tuple[str, str]:
    if "obligation_done" in latest:
        return DONE, str(latest["obligation_done"].facts["outcome"])
    if "obligation_cancelled" in latest:
        return CANCELLED, latest["obligation_cancelled"].reason or ""
    return OPEN, ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """Something that somebody has to see or act on: inform, act, or stop.

    ``needs_disposition``: it closes only after a clinician's disposition and a safety plan are on record.
    """

    id: str
    tier: str
    patient: str
    session: str
    owner: str
    says: str
    rule_id: str
    raised_at: datetime
    blocks: str = ""
    needs_disposition: bool = False
    crisis_text: str = ""
    seen_at: datetime | None = None
    acted_at: datetime | None = None
    action: str = ""

    @classmethod
    def of(cls, events: Sequence[Event]) -> Alert:
        """Return the alert that its events make."""
        standing = corrected(events)
        first, latest = standing[0], {event.kind: event for event in standing}
        seen, acted, assigned = (latest.get(kind) for kind in ("alert_seen", "alert_acted", "alert_assigned"))
        return cls(
            id=first.about("alert"),
            tier=first.facts["tier"],
            patient=first.about("patient"),
            session=first.about("session"),
            owner=assigned.facts["owner"] if assigned else first.facts["owner"],
            says=first.facts["says"],
            rule_id=first.facts["rule_id"],
            raised_at=first.entered_at,
            blocks=first.facts.get("blocks", ""),
            needs_disposition=bool(first.facts.get("needs_disposition", False)),
            crisis_text=first.facts.get("crisis_text", ""),
            seen_at=seen.entered_at if seen else None,
            acted_at=acted.entered_at if acted else None,
            action=acted.facts["action"] if acted else "",
        )

    @property
    def is_open(self) -> bool:
        """Return whether somebody still has to act; one that only informs is never open."""
        return self.tier != "inform" and self.acted_at is None


def made(
    event_id: str,
    kind: str,
    subjects: Mapping[str, str],
    *,
    now: Now,
    facts: Mapping[str, Any],
    because_of: str | None = None,
    version: str = "",
    reason: str | None = None,
    by: Event | None = None,
) -> Event:
    """Return an event that the core makes by a rule; in the name of who entered ``by`` where it is given."""
    return check_event(
        Event(
            event_id=event_id,
            kind=kind,
            subjects=subjects,
            observed_at=now.at,
            entered_at=now.at,
            author=by.author if by else SOFTWARE,
            role=by.role if by else SOFTWARE,
            facts=facts,
            because_of=because_of,
            rules_version=version,
            reason=reason,
        )
    )


def opened(
    of: Event,
    name: str,
    *,
    now: Now,
    due_at: datetime,
    owner: str,
    says: str,
    not_before: datetime | None = None,
    **more: Any,
) -> Event:
    """Return the event that opens an obligation because of another event."""
    identifier = f"{of.event_id}/{name}"
    facts = {"type": name, "due_at": to_text(due_at), "owner": owner, "says": says, "of_event": of.event_id}
    if not_before is not None:
        facts["not_before"] = to_text(not_before)
    return made(
        identifier,
        "obligation_opened",
        {**of.subjects, "obligation": identifier},
        now=now,
        facts=facts | more,
        because_of=of.event_id,
    )


def raised(
    of: Event, rule_id: str, *, now: Now, tier: str, owner: str, says: str, version: str, **more: Any
) -> Event:
    """Return the event that raises an alert because of another event."""
    identifier = f"{of.event_id}/{rule_id}"
    facts = {"tier": tier, "owner": owner, "says": says, "rule_id": rule_id, "of_event": of.event_id}
    return made(
        identifier,
        "alert_raised",
        {**of.subjects, "alert": identifier},
        now=now,
        facts=facts | more,
        because_of=of.event_id,
        version=version,
    )


def climbs(obligation: Obligation, *, now: Now, timing: Timing, lead: str) -> tuple[Event, ...]:
    """Return the steps that a late obligation has climbed by now and that are not yet on record."""
    if not obligation.is_open:
        return ()
    steps = timing.ladders.get(obligation.type, timing.ladders["default"])
    found = []
    for level, step in enumerate(steps, start=1):
        if level > obligation.level and now.is_past(_at(obligation, step, timing)):
            found.append(_climb(obligation, level, step, now=now, lead=lead, version=timing.version))
    return tuple(found)


def _at(obligation: Obligation, step: Mapping[str, Any], timing: Timing) -> datetime:
    """Return when a step is reached: hours after it was due, or days after the session as the form counts."""
    if "after_due_h" in step:
        return obligation.due_at + timedelta(hours=step["after_due_h"])
    return obligation.due_at - timing.length(obligation.type) + timedelta(days=step["after_session_d"])


def _climb(
    obligation: Obligation, level: int, step: Mapping[str, Any], *, now: Now, lead: str, version: str
) -> Event:
    facts = {
        "level": level,
        "to": lead if step["to"] == "lead" else obligation.owner,
        "why": f"{obligation.says} {step['says']}",
    }
    if step.get("stops"):
        facts["note"] = step["stops"]
    subjects = {"obligation": obligation.id, "patient": obligation.patient, "session": obligation.session}
    return made(
        f"{obligation.id}/late-{level}",
        "obligation_escalated",
        {name: value for name, value in subjects.items() if value},
        now=now,
        facts=facts,
        version=version,
    )


def grouped(events: Iterable[Event], subject: str) -> dict[str, list[Event]]:
    """Return events by the identifier of a subject, in the order given."""
    found: dict[str, list[Event]] = {}
    for event in events:
        if event.about(subject):
            found.setdefault(event.about(subject), []).append(event)
    return found
