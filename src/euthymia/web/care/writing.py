"""The write path: events as a page sends them, the rights and signatures each asks for, then the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from euthymia.care.record import Event, Quantity
from euthymia.errors import InvalidInputError
from euthymia.web.care import passwords
from euthymia.web.care.guards import Ask, Guard
from euthymia.web.care.pages import RESPONSES, Screens
from euthymia.web.care.refusals import NotAllowedError, NotSignedInError, UnusableError
from euthymia.web.care.roles import CLINICIANS, KIND_RIGHTS, may
from euthymia.web.care.tables import EVENTS

if TYPE_CHECKING:
    from euthymia.web.care.store import Stored

SCREENS = Screens()
SIGNED = frozenset(
    {
        "plan_signed",
        "order_signed",
        "review_decided",
        "override_signed",
        "ready_to_treat_signed",
        "bp_accepted",
        "patient_left",
        "session_reviewed",
        "deviation_recorded",
    }
)
"""Kinds that are signatures: the PIN has to have been given within five minutes."""
SECOND = ("witness", "second_checker", "second_signer")
"""Facts that name a second person, who gives their own PIN."""
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class QuantityIn(_Strict):
    """A measured value as it was typed, with its canonical number."""

    entered: str = Field(max_length=40)
    unit: str = Field(max_length=20)
    canonical: float = Field(allow_inf_nan=False)
    canonical_unit: str = Field(max_length=20)


class EventIn(_Strict):
    """An event without who entered it and when: those are the record's to say."""

    event_id: Name
    kind: Name
    subjects: dict[Name, Name] = Field(max_length=12)
    observed_at: AwareDatetime
    values: dict[Name, QuantityIn] = Field(default={}, max_length=40)
    facts: dict[Name, Any] = Field(default={}, max_length=60)
    corrects: Name | None = None
    reason: str | None = Field(default=None, max_length=2000)
    because_of: Name | None = None
    rules_version: str = Field(default="", max_length=64)


class SecondIn(_Strict):
    """A second person who signs on the same tablet."""

    account: Name
    pin: str = Field(max_length=12)


class WriteIn(_Strict):
    """Events that are written together or not at all."""

    events: list[EventIn] = Field(min_length=1, max_length=40)
    expected: dict[str, Annotated[int, Field(ge=0)]] = Field(max_length=40)
    deviation: str | None = Field(default=None, max_length=2000)
    pin: str | None = Field(default=None, max_length=12)
    second: SecondIn | None = None


@SCREENS.router.post("/api/events", response_class=JSONResponse, responses=RESPONSES)
def post_events(given: WriteIn, ask: Annotated[Ask, Depends(Guard("event.write"))]) -> JSONResponse:
    """Write events; a stale ``expected`` gets 409 with what came in between."""
    events = [_event(one, ask) for one in given.events]
    found = write(
        ask,
        events,
        expected=given.expected,
        deviation=given.deviation,
        pin=given.pin,
        second=given.second,
    )
    return JSONResponse({"ok": True, "events": [one.to_dict() for one in found]})


def _event(given: EventIn, ask: Ask) -> Event:
    try:
        return Event(
            entered_at=ask.now,
            author=ask.actor,
            role="",
            values={name: Quantity(**one.model_dump()) for name, one in given.values.items()},
            **given.model_dump(exclude={"values"}),
        )
    except (InvalidInputError, OverflowError) as error:
        raise UnusableError(str(error)) from error


def write(
    ask: Ask,
    events: Sequence[Event],
    *,
    expected: Mapping[str, int],
    deviation: str | None = None,
    pin: str | None = None,
    second: SecondIn | None = None,
) -> list[Stored]:
    """Append events in the name of who asks.

    Parameters
    ----------
    ask : Ask
    events : sequence of Event
        Their author and role are set here.
    expected : mapping of str to int
        Version of each stream that was seen.
    deviation : str, optional
        Why something was done against a stop of the rules.
    pin : str, optional
        Of who asks, where a kind is a signature and none was given of late.
    second : SecondIn, optional
        Where a fact names a second person.

    Raises
    ------
    NotAllowedError, StaleError, RefusedError, UnusableError, NotSavedError
    """
    named = [replace(one, author=ask.actor, role=_role(ask, one)) for one in events]
    patients = {one.about("patient") for one in named} | _patients_of_streams(ask, named)
    ask.require_patient(*patients - {""})
    if deviation or any(one.kind in SIGNED for one in named):  # a deviation is signed as well
        _require_signature(ask, named, pin)
    _require_second(ask, named, second)
    return ask.care.store.record(named, expected=expected, deviation=deviation)


def _role(ask: Ask, event: Event) -> str:
    kind = event.kind
    if kind == "corrected":
        kind = _kind_of(ask, event)
    right = KIND_RIGHTS.get(kind)
    if right is None:
        message = f"{event.kind!r} is no kind of event that may be entered"
        raise UnusableError(message, field="kind")
    return ask.require(right)


def _kind_of(ask: Ask, event: Event) -> str:
    """Return the kind of the event that a correction corrects, whose subjects it has to share."""
    from sqlalchemy import select

    query = select(EVENTS).where(EVENTS.c.event_id == (event.corrects or ""))
    with ask.care.store.reading() as connection:
        row = connection.execute(query).first()
    if row is None or (row.patient or "") != event.about("patient"):
        message = "the event to correct is not on record for these subjects"
        raise UnusableError(message, field="corrects")
    if row.kind == "corrected":
        message = "correct the first event, not a correction of it"
        raise UnusableError(message, field="corrects")
    return str(row.kind)


def _patients_of_streams(ask: Ask, events: Sequence[Event]) -> set[str]:
    """Return the patients of the sessions, courses and so on that events name without naming the patient."""
    from sqlalchemy import select

    from euthymia.web.care.projections import stream_of

    known = [one for one in events if one.kind in KIND_RIGHTS or one.kind == "corrected"]
    streams = {stream_of(one) for one in known}
    query = select(EVENTS.c.patient).where(EVENTS.c.stream.in_(streams), EVENTS.c.version == 1)
    with ask.care.store.reading() as connection:
        return {one for one in connection.execute(query).scalars() if one}


def _require_signature(ask: Ask, events: Sequence[Event], pin: str | None) -> None:
    for event in events:
        if event.facts.get("signed_by", ask.actor) != ask.actor:
            message = "sign for yourself"
            raise UnusableError(message, field="signed_by")
    if ask.care.sessions.is_fresh(ask.signed_in):
        return
    if pin and ask.care.accounts.is_pin(ask.actor, pin):
        ask.care.sessions.freshen(ask.signed_in)
        return
    if pin and ask.care.sessions.fail_pin(ask.signed_in):
        message = "Too many wrong PINs. Sign in again."
        raise NotSignedInError(message)
    message = "Give your PIN: this is a signature."
    raise NotAllowedError(message, field="pin")


def _require_second(ask: Ask, events: Sequence[Event], second: SecondIn | None) -> None:
    """Hold every second person that events name against the one who gave a PIN."""
    named = {str(one.facts[fact]) for one in events for fact in SECOND if one.facts.get(fact)}
    if not named:
        return
    if second is None or named != {second.account} or passwords.is_same(second.account, ask.actor):
        message = "another person has to sign with their own PIN"
        raise NotAllowedError(message, field="second")
    found = ask.care.accounts.check_witness(second.account, second.pin, address=ask.address)
    needs_clinician = any(one.facts.get("second_signer") for one in events)
    is_fit = not CLINICIANS.isdisjoint(found.roles) if needs_clinician else may(found.roles, "stock.witness")
    if not is_fit:
        message = "this person may not sign here"
        raise NotAllowedError(message, field="second")
