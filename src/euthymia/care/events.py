"""Every kind of event, what it must say, and the fold that makes state of them.

State is never stored: it is the fold over events in the order in which they were entered. A kind lists the
subjects and facts it needs; others are refused, so that a slip of spelling cannot hide a fact.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from euthymia.care.record import NOTHING, Event, Facts, Quantity
from euthymia.errors import invalid, unknown
from euthymia.tables import read_text

SOFTWARE = "software"
"""Author and role of events that the core makes from a rule."""
State = TypeVar("State")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of event.

    Attributes
    ----------
    name : str
    machine : str
        Which state it moves: course, session, obligation, alert, stock, clinic or record.
    subjects : tuple of str
        Identifiers that it must have.
    needs, may : tuple of str
        Facts that it must have and may have.
    takes_values : bool
        Whether it may carry measured values.
    needs_reason : bool
    needs_values : tuple of str
        Values that it must carry.
    roles : tuple of str
        Who may enter it; empty: everybody who may enter anything.
    """

    name: str
    machine: str
    subjects: tuple[str, ...]
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    takes_values: bool = False
    needs_reason: bool = False
    needs_values: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


def _read_kinds() -> dict[str, Kind]:
    table = tomllib.loads(read_text("rules/event_kinds.toml"))
    return {
        name: Kind(
            name=name,
            machine=row["machine"],
            subjects=tuple(table["subjects"][row["machine"]]),
            needs=tuple(row.get("needs", ())),
            may=(*row.get("may", ()), "note"),
            takes_values=row.get("takes_values", False),
            needs_reason=row.get("needs_reason", False),
            needs_values=tuple(row.get("needs_values", ())),
            roles=tuple(row.get("roles", ())),
        )
        for name, row in table["kinds"].items()
    }


@cache
def kinds() -> Mapping[str, Kind]:
    """Return every kind of event by its name (``data/rules/event_kinds.toml``)."""
    return MappingProxyType(_read_kinds())


def check_event(event: Event) -> Event:
    """Return an event that says what its kind needs.

    Raises
    ------
    InvalidInputError
        Names the field that is missing or not known.
    """
    kind = kinds().get(event.kind)
    if kind is None:
        raise unknown("kind of event", event.kind, kinds())
    _all_of("subjects", kind.subjects, event.subjects, event.kind)
    _all_of("facts", kind.needs, event.facts, event.kind)
    _all_of("values", kind.needs_values, event.values, event.kind)
    for name in event.facts:
        if name not in (*kind.needs, *kind.may):
            what = f"fact of {event.kind}"
            raise unknown(what, name, (*kind.needs, *kind.may))
    if event.values and not kind.takes_values:
        raise invalid("values", must=f"left out of {event.kind}", got=", ".join(event.values))
    if kind.needs_reason and not (event.reason or "").strip():
        raise invalid("reason", must=f"given with {event.kind}", got="nothing")
    if kind.roles and event.role not in kind.roles:
        raise invalid("role", must=f"{' or '.join(kind.roles)} for {event.kind}", got=repr(event.role))
    _require_plain(event)
    return event


def _all_of(field: str, names: Sequence[str], given: Mapping[str, Any], kind: str) -> None:
    missing = [name for name in names if given.get(name) in (None, "")]
    if missing:
        name = f"{field}.{missing[0]}"
        raise invalid(name, must=f"given with {kind}", got="nothing")


def _require_plain(event: Event) -> None:
    try:
        json.dumps(event.to_dict(), allow_nan=False)
    except (TypeError, ValueError):
        raise invalid("facts", must="plain JSON values without NaN", got=repr(dict(event.facts))) from None


def fold(events: Iterable[Event], step: Callable[[State, Event], State], start: State) -> State:
    """Return the state after events, in the order given."""
    state = start
    for event in events:
        state = step(state, event)
    return state


def corrected(events: Sequence[Event]) -> list[Event]:
    """Return events with the values that now stand; what was corrected is replaced where it stood.

    The events given are not changed: ``history`` shows the old values. A correction of a correction stands
    over the first one. Values and facts that it does not name stay; its time of observation stands.
    """
    place = {event.event_id: at for at, event in enumerate(events)}
    origin: dict[str, str] = {}
    found = list(events)
    for event in events:
        if event.kind != "corrected" or event.corrects not in place:
            continue
        first = origin.get(event.corrects, event.corrects)
        origin[event.event_id] = first
        found[place[first]] = _replaced(found[place[first]], event)
    return found


def _replaced(old: Event, by: Event) -> Event:
    facts = {**old.facts, **by.facts.get("facts", {})}
    return replace(old, values={**old.values, **by.values}, facts=facts, observed_at=by.observed_at)


def history(events: Iterable[Event], event_id: str) -> list[Event]:
    """Return an event and every correction of it, oldest first."""
    chain = {event_id}
    found = []
    for event in events:
        if event.event_id in chain or event.corrects in chain:
            chain.add(event.event_id)
            found.append(event)
    return found


def correction(
    of: Event,
    *,
    event_id: str,
    at: datetime,
    author: str,
    role: str,
    reason: str,
    values: Mapping[str, Quantity] = NOTHING,
    facts: Facts = NOTHING,
    observed_at: datetime | None = None,
) -> Event:
    """Return the event that corrects another, about the same subjects; the old event stays as it was.

    Raises
    ------
    InvalidInputError
        Where no reason is given, or a value or fact does not belong to that kind of event.
    """
    found = Event(
        event_id=event_id,
        kind="corrected",
        subjects=of.subjects,
        observed_at=observed_at or of.observed_at,
        entered_at=at,
        author=author,
        role=role,
        values=values,
        facts={"facts": facts} if facts else {},
        corrects=of.event_id,
        reason=reason,
    )
    check_event(_replaced(of, found))
    return check_event(found)
