"""Obligations: everything that is owed, what is overdue first, each with its owner; none ends by itself."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from fastapi.responses import Response

from euthymia.care.record import from_text
from euthymia.care.site import NOBODY, Site
from euthymia.web.care.entry import Form, done, enter, made, shown_at, site_of, staff
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.projections import State
from euthymia.web.care.refusals import NotFoundError, RefusedError, UnusableError
from euthymia.web.care.roles import FRONT_DESK, NURSE, PRESCRIBER, THERAPIST
from euthymia.web.care.store import read_people, read_row, read_rows, version_of

SCREENS = Screens()
A_PAGE = 100
MOST = 5000
"""More open obligations than this are not listed but counted as left out: the page says so."""
FILTERS = ("all", "mine", "overdue", "nobody")
ACTS = ("claim", "hand over", "done", "cancel")


@SCREENS.screen("/obligations", right="obligation.read", template="obligations.html", menu="Obligations")
def obligations_page(ask: Ask, show: str = "all", page: int = 1) -> Shown:
    """Show what is owed, the longest overdue first."""
    with ask.care.store.reading() as connection:
        rows = read_rows(connection, "obligations", limit=MOST + 1)
        closed = ask.closed(connection, {one["patient"] for one in rows if one.get("patient")})
        site = site_of(connection)
        people = staff(connection, FRONT_DESK, NURSE, PRESCRIBER, THERAPIST)
        chosen = [one for one in rows if one.get("patient") not in closed and _is_asked(ask, one, show)]
        first = (max(1, min(page, MOST)) - 1) * A_PAGE
        listed = chosen[first : first + A_PAGE]
        names = read_people(connection, [one["patient"] for one in listed if one.get("patient")])
        found = [
            {**_row(ask, one, site), "version": version_of(connection, f"obligation:{one['obligation']}")}
            for one in listed
        ]
    for one in found:
        person = names.get(one["patient"])
        one["name"] = person.name if person else ""
    return Shown(
        data={
            "rows": found,
            "count": len(rows),
            "chosen": len(chosen),
            "overdue": sum(_is_overdue(ask, one) for one in rows),
            "restricted": sum(one.get("patient") in closed for one in rows),
            "is_cut": len(rows) > MOST,
            "show": show if show in FILTERS else "all",
            "filters": list(FILTERS),
            "page": page,
            "next": page + 1 if len(chosen) > first + A_PAGE else None,
            "entry": secrets.token_hex(16),
            "people": people,
            "is_writer": ask.may("obligation.write"),
        },
        about=tuple(dict.fromkeys(one["patient"] for one in found if one["patient"])),
        title="Obligations",
    )


def _is_overdue(ask: Ask, state: State) -> bool:
    return from_text(state["due_at"]) < ask.now


def _is_asked(ask: Ask, state: State, show: str) -> bool:
    if show == "mine":
        return state.get("owner") in (ask.actor, *(role.replace("_", " ") for role in ask.roles))
    if show == "overdue":
        return _is_overdue(ask, state)
    return show != "nobody" or state.get("owner") in (NOBODY, "")


def _row(ask: Ask, state: State, site: Site) -> dict[str, Any]:
    due = from_text(state["due_at"])
    early = state.get("not_before")
    return {
        "obligation": state["obligation"],
        "entry": secrets.token_hex(16),
        "patient": state.get("patient", ""),
        "session": state.get("session", ""),
        "type": state.get("type", "").replace("_", " "),
        "says": state.get("says", ""),
        "due": shown_at(state["due_at"], site),
        "is_overdue": due < ask.now,
        "how": in_time(due - ask.now),
        "not_before": shown_at(early, site) if early else "",
        "owner": state.get("owner", ""),
        "is_mine": state.get("owner") == ask.actor,
        "level": state.get("level", 0),
        "escalated_to": state.get("escalated_to", ""),
    }


def in_time(span: timedelta) -> str:
    """Return how long until something is due, or how long it is late, in the largest fitting unit."""
    minutes = abs(span) / timedelta(minutes=1)
    number, unit = (minutes, "min") if minutes < 120 else (minutes / 60, "h")
    if number >= 48 and unit == "h":
        number, unit = number / 24, "d"
    return (
        f"{'in ' if span >= timedelta(0) else ''}{number:.0f} {unit}{'' if span >= timedelta(0) else ' late'}"
    )


@SCREENS.act("/obligations", right="obligation.write")
def act(ask: Ask, given: Form) -> Response:
    """Claim one, hand it over, close it with its outcome, or cancel it with a reason."""
    obligation = given.text("obligation", needed="Which one?", most=200)
    with ask.care.store.reading() as connection:
        state = read_row(connection, "obligations", obligation)
        owners = {one["account"] for one in staff(connection, FRONT_DESK, NURSE, PRESCRIBER, THERAPIST)}
    if state is None:
        message = "There is no such obligation."
        raise NotFoundError(message)
    what = given.one_of("what", ACTS, needed="Claim, hand over, done or cancel?")
    event_id = f"{given.entry}-{what.replace(' ', '-')}"
    kind, facts, reason = _said(ask, given, what, owners)
    if state.get("is_done") and not _is_again(ask, event_id):
        message = "It was closed in the meantime. Load the page again."
        raise RefusedError(message, field="what")
    subjects = {name: state[name] for name in ("obligation", "patient") if state.get(name)}
    event = made(ask, kind, subjects, event_id=event_id, facts=facts, reason=reason)
    enter(ask, given, [event], expected={f"obligation:{obligation}": given.version})
    return done(ask, "/obligations")


def _is_again(ask: Ask, event_id: str) -> bool:
    with ask.care.store.reading() as connection:
        query = "SELECT 1 FROM events WHERE event_id = ?"
        return connection.exec_driver_sql(query, (event_id,)).first() is not None


def _said(ask: Ask, given: Any, what: str, owners: set[str]) -> tuple[str, dict[str, Any], str | None]:
    if what == "claim":
        return "obligation_assigned", {"owner": ask.actor}, None
    if what == "hand over":
        owner = given.identifier("owner", needed="To whom?")
        if owner not in owners:
            message = "There is no such account that may take it."
            raise UnusableError(message, field="owner")
        return "obligation_assigned", {"owner": owner}, given.text("reason") or None
    if what == "done":
        outcome = given.text("outcome", needed="Say what came of it.", most=400)
        return "obligation_done", {"outcome": outcome, "done_by": ask.actor}, None
    reason = given.text("reason", needed="Say why it is not owed any more.")
    return "obligation_cancelled", {"cancelled_by": ask.actor}, reason
