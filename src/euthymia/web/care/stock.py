"""Stock: of every lot, received = given + wasted + returned + on hand; waste is witnessed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from fastapi.responses import Response

from euthymia.care.record import Event, to_text
from euthymia.care.stock import Lot, may_move
from euthymia.dosing.drug import find_drug
from euthymia.errors import InvalidInputError
from euthymia.web.care.entry import Form, Given, done, enter, made, shown_at, site_of, staff
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.projections import State
from euthymia.web.care.refusals import NotFoundError, RefusedError, UnusableError
from euthymia.web.care.roles import NURSE, PRESCRIBER, WITNESS
from euthymia.web.care.store import Stored, read_row, read_rows, read_stream

SCREENS = Screens()
UNITS = ("device", "vial", "ampoule", "tablet", "lozenge")
DRUGS = ("esketamine", "ketamine", "arketamine")
MOVES = {"wasted": "lot_wasted", "returned": "lot_returned", "counted": "lot_counted"}
WITNESSED = ("wasted", "counted")
SAYS = {
    "lot_received": "received",
    "lot_given": "given",
    "lot_wasted": "wasted",
    "lot_returned": "returned",
    "lot_counted": "counted",
    "corrected": "corrected",
}


@SCREENS.screen("/stock", right="stock.read", template="stock.html", menu="Stock")
def stock_page(ask: Ask) -> Shown:
    """Show every lot with its balance, the one that expires first at the top."""
    with ask.care.store.reading() as connection:
        site = site_of(connection)
        open_ = read_rows(connection, "stock", limit=2000)
        empty = read_rows(connection, "stock", is_open=False, limit=100)
    today = ask.now.astimezone(site.zone).date().isoformat()
    return Shown(
        data={
            "lots": [_row(one, today) for one in open_],
            "empty": [_row(one, today) for one in empty],
            "entry": secrets.token_hex(16),
            "drugs": list(DRUGS),
            "units": list(UNITS),
            "is_writer": ask.may("stock.write"),
        },
        about=("stock",),
        title="Stock",
    )


def _row(state: State, today: str) -> dict[str, Any]:
    parts = {name: state.get(name, 0) for name in ("received", "given", "wasted", "returned", "on_hand")}
    left = parts["given"] + parts["wasted"] + parts["returned"] + parts["on_hand"]
    return {
        **parts,
        "lot": state.get("lot", ""),
        "drug": state.get("drug", "not received"),
        "unit": state.get("unit", ""),
        "amount_mg_each": state.get("amount_mg_each"),
        "expiry": state.get("expiry", ""),
        "is_expired": bool(state.get("expiry")) and state["expiry"] < today,
        "is_balanced": parts["received"] == left and min(parts.values()) >= 0,
        "counted": state.get("counted"),
    }


@SCREENS.screen("/stock/{lot}", right="stock.read", template="stock_lot.html")
def lot_page(ask: Ask, lot: str) -> Shown:
    """Show one lot: its balance, every movement, and what was corrected."""
    with ask.care.store.reading() as connection:
        state = read_row(connection, "stock", lot)
        stored = read_stream(connection, f"stock:{lot}")
        site = site_of(connection)
        seconds = [
            one for one in staff(connection, NURSE, PRESCRIBER, WITNESS) if one["account"] != ask.actor
        ]
    if state is None:
        message = "There is no such lot."
        raise NotFoundError(message)
    today = ask.now.astimezone(site.zone).date().isoformat()
    found = Lot.of([one.event for one in stored])
    return Shown(
        data={
            **_row(state, today),
            "variance": found.variance if found else 0,
            "moves": [_moved(one, shown_at(to_text(one.event.observed_at), site)) for one in stored],
            "version": stored[-1].version,
            "entry": secrets.token_hex(16),
            "seconds": seconds,
            "is_writer": ask.may("stock.write"),
        },
        about=(f"stock:{lot}",),
        title=f"Lot {lot}",
    )


def _moved(one: Stored, at: str) -> dict[str, Any]:
    event = one.event
    facts = event.facts.get("facts", event.facts) if event.kind == "corrected" else event.facts
    return {
        "event_id": event.event_id,
        "at": at,
        "by": event.author,
        "says": SAYS.get(event.kind, event.kind),
        "count": facts.get("count"),
        "witness": facts.get("witness", ""),
        "reason": event.reason or "",
        "corrects": event.corrects or "",
        "may_correct": event.kind in ("lot_received", "lot_wasted", "lot_returned"),
    }


@SCREENS.act("/stock", right="stock.write")
def receive(ask: Ask, given: Form) -> Response:
    """Receive a lot, or more of one that is on record."""
    lot = given.identifier("lot", needed="Give the lot as it stands on the package.")
    drug = given.one_of("drug", DRUGS, needed="Which drug?")
    find_drug(drug)
    facts = {
        "drug": drug,
        "count": given.count("count", low=1),
        "unit": given.one_of("unit", UNITS, needed="Which unit?"),
        "amount_mg_each": _amount(given),
        "expiry": given.day("expiry", needed="Give the day of expiry.").isoformat(),
        "by": ask.actor,
    }
    with ask.care.store.reading() as connection:
        stored = read_stream(connection, f"stock:{lot}")
    _require_alike(stored, facts)
    event = made(ask, "lot_received", {"lot": lot}, event_id=f"{given.entry}-received", facts=facts)
    enter(ask, given, [event], expected={f"stock:{lot}": len(_others(stored, event))})
    return done(ask, f"/stock/{lot}")


def _others(stored: Sequence[Stored], event: Event) -> list[Stored]:
    return [one for one in stored if one.event.event_id != event.event_id]


def _amount(given: Given) -> float:
    text = given.text("amount_mg_each", needed="Milligrams in each.", most=20).replace(",", ".")
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 10_000:
        message = "Milligrams of drug in one unit, above 0."
        raise UnusableError(message, field="amount_mg_each")
    return found


def _require_alike(stored: Sequence[Stored], facts: dict[str, Any]) -> None:
    first = next((one.event.facts for one in stored if one.event.kind == "lot_received"), None)
    for name in ("drug", "unit", "amount_mg_each", "expiry"):
        if first is not None and first[name] != facts[name]:
            message = (
                f"This lot is on record with {name.replace('_', ' ')} {first[name]}: one of them is wrong."
            )
            raise UnusableError(message, field=name)


@SCREENS.act("/stock/{lot}", right="stock.write")
def move(ask: Ask, lot: str, given: Form) -> Response:
    """Record waste, a return or a count; refused where the lot would not add up."""
    what = given.one_of("what", tuple(MOVES), needed="Wasted, returned or counted?")
    second = given.second(account="witness", pin="witness_pin") if what in WITNESSED else None
    facts: dict[str, Any] = {"count": given.count("count", low=int(what != "counted")), "by": ask.actor}
    if what in WITNESSED:
        facts["witness"] = second.account if second else given.text("witness", needed="Who saw it?")
    if what == "returned" and given.text("to", most=120):
        facts["to"] = given.text("to", most=120)
    reason = given.text("reason", needed="Say why." if what == "wasted" else "") or None
    event = made(ask, MOVES[what], {"lot": lot}, event_id=f"{given.entry}-{what}", facts=facts, reason=reason)
    _require_possible(_lot_before(ask, lot, event), event)
    enter(ask, given, [event], expected={f"stock:{lot}": given.version}, second=second)
    return done(ask, f"/stock/{lot}")


def _lot_before(ask: Ask, lot: str, event: Event) -> Lot | None:
    with ask.care.store.reading() as connection:
        stored = read_stream(connection, f"stock:{lot}")
    if not stored:
        message = "There is no such lot."
        raise NotFoundError(message)
    return Lot.of([one.event for one in _others(stored, event)])


def _require_possible(lot: Lot | None, event: Event) -> None:
    """Refuse a movement after which the lot would not add up, and say by which finding."""
    bad = [one for one in may_move(lot, event) if one.is_stopping]
    if not bad:
        return
    on_hand = lot.on_hand if lot else 0
    message = f"{' '.join(one.says for one in bad)} On hand: {on_hand}. Count first; nothing was recorded."
    rows = [{"rule_id": one.rule_id, "says": one.says, "status": one.status} for one in bad]
    raise RefusedError(message, field="count", findings=rows)


@SCREENS.act("/stock/{lot}/correct", right="stock.write")
def correct(ask: Ask, lot: str, given: Form) -> Response:
    """Correct the number of a movement; the old one stays, and the lot has to add up after it."""
    of = given.text("of", needed="Which movement?", most=80)
    facts = {"facts": {"count": given.count("count")}}
    reason = given.text("reason", needed="Say what was wrong.")
    with ask.care.store.reading() as connection:
        stored = read_stream(connection, f"stock:{lot}")
    old = next((one.event for one in stored if one.event.event_id == of), None)
    if old is None or old.kind not in ("lot_received", "lot_wasted", "lot_returned"):
        message = "There is no such movement of this lot."
        raise NotFoundError(message)
    event = made(
        ask,
        "corrected",
        dict(old.subjects),
        event_id=f"{given.entry}-corrected",
        facts=facts,
        reason=reason,
        observed_at=old.observed_at,
        corrects=of,
    )
    _require_balance([*(one.event for one in _others(stored, event)), event])
    enter(ask, given, [event], expected={f"stock:{lot}": given.version})
    return done(ask, f"/stock/{lot}")


def _require_balance(events: Sequence[Event]) -> None:
    try:
        found = Lot.of(events)
    except InvalidInputError as error:
        raise UnusableError(str(error)) from error
    if found is None or not found.is_balanced:
        left = found.on_hand if found else 0
        message = f"The lot would not add up: {left} on hand. Nothing was recorded."
        raise RefusedError(message, field="count")
