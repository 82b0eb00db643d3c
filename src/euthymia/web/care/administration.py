"""What the owner looks after: accounts, the trail, backups, restricted patients, the state of the service."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Form, Query
from fastapi.responses import Response
from sqlalchemy import Connection, select

from euthymia.web.care import access, audit
from euthymia.web.care.accounts import read_accounts
from euthymia.web.care.backup import backups_in
from euthymia.web.care.database import revision
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens, Shown, render, see_other
from euthymia.web.care.refusals import NotFoundError
from euthymia.web.care.roles import ROLES
from euthymia.web.care.tables import AUDIT, PEOPLE
from euthymia.web.care.verify import verify

SCREENS = Screens()
ROWS_A_PAGE = 100
LAST_ROW = 2**62
Short = Annotated[str, Form(max_length=200)]
Words = Annotated[str, Query(max_length=64)]


@SCREENS.screen("/accounts", right="account.manage", template="accounts.html", menu="Accounts")
def accounts(ask: Ask) -> Shown:
    """List every account."""
    with ask.care.store.reading() as connection:
        found = [one.to_dict() for one in read_accounts(connection)]
    return Shown(data={"accounts": found, "roles": dict(ROLES)}, title="Accounts")


@SCREENS.act("/accounts", right="account.manage", needs_secret=True)
def invite(ask: Ask, account: Short, name: Short, roles: Annotated[list[str], Form()]) -> Response:
    """Make an account; its one-time token is shown this once."""
    token = ask.care.accounts.invite(account=account, name=name, roles=roles, actor=ask.actor, role=ask.role)
    return render(ask, "token.html", title="Account made", account=account, token=token)


@SCREENS.act("/accounts/{account}/roles", right="account.manage", needs_secret=True)
def change_roles(ask: Ask, account: str, roles: Annotated[list[str], Form()]) -> Response:
    """Change what an account may do; it signs in anew."""
    ask.care.accounts.change(account, roles=roles, actor=ask.actor, role=ask.role)
    return see_other("/accounts")


@SCREENS.act("/accounts/{account}/active", right="account.manage", needs_secret=True)
def set_active(ask: Ask, account: str, is_active: Annotated[bool, Form()]) -> Response:
    """Close or open an account; its sessions end at once."""
    ask.care.accounts.change(account, is_active=is_active, actor=ask.actor, role=ask.role)
    return see_other("/accounts")


@SCREENS.act("/accounts/{account}/reset", right="account.manage", needs_secret=True)
def reset(ask: Ask, account: str) -> Response:
    """Take the secrets of an account and give it a one-time token."""
    token = ask.care.accounts.reset(account, actor=ask.actor, role=ask.role)
    return render(ask, "token.html", title="Secrets taken back", account=account, token=token)


@SCREENS.act("/pin", right="home.read", needs_secret=True)
def set_pin(ask: Ask, new_pin: Short) -> Response:
    """Change one's own PIN."""
    ask.care.accounts.set_pin(ask.actor, new_pin)
    return see_other("/")


@SCREENS.screen("/audit", right="audit.read", template="audit.html", menu="Trail")
def trail(
    ask: Ask,
    before: Annotated[int, Query(ge=1, le=LAST_ROW)] = LAST_ROW,
    actor: Words = "",
    action: Words = "",
    about: Words = "",
) -> Shown:
    """Show the trail, newest first."""
    query = select(AUDIT).where(AUDIT.c.seq < before)
    for column, word in ((AUDIT.c.actor, actor), (AUDIT.c.action, action), (AUDIT.c.about, about)):
        query = query.where(column == word) if word else query
    with ask.care.store.reading() as connection:
        found = connection.execute(query.order_by(AUDIT.c.seq.desc()).limit(ROWS_A_PAGE))
        rows = [_row(one) for one in found]
        head = audit.head_of(connection)
        glass = access.unseen_glass(connection)
    data = {
        "rows": rows,
        "head": {"seq": head.seq, "hash": head.hash},
        "next": rows[-1]["seq"] if len(rows) == ROWS_A_PAGE else None,
        "asked": {"actor": actor, "action": action, "about": about},
        "glass": glass,
    }
    return Shown(data=data, title="Trail")


def _row(row: Any) -> dict[str, Any]:
    names = ("seq", "at", "actor", "role", "action", "about")
    return {**{name: getattr(row, name) for name in names}, "detail": json.loads(row.detail)}


@SCREENS.act("/audit/verify", right="audit.read")
def verify_now(ask: Ask) -> Response:
    """Hold the record against its chain and its anchors."""
    verdict = verify(ask.care.settings.data, anchors=ask.care.store.anchors)
    ask.note("verified", problems=verdict.count, seq=verdict.head.seq)
    return render(ask, "verified.html", title="Verified", data=verdict.to_dict())


@SCREENS.act("/audit/glass", right="access.manage")
def see_glass(ask: Ask) -> Response:
    """Note that the owner has seen who broke the glass."""
    access.see_glass(ask.care.store, actor=ask.actor, role=ask.role)
    return see_other("/audit")


@SCREENS.screen("/backups", right="backup.run", template="backups.html", menu="Backups")
def backups(ask: Ask) -> Shown:
    """List the backups and the state of the service."""
    with ask.care.store.reading() as connection:
        state = _state(ask, connection)
    found = [one.to_dict() for one in backups_in(ask.care.settings.backups)]
    return Shown(data={"backups": found, "state": state}, title="Backups")


def _state(ask: Ask, connection: Connection) -> dict[str, Any]:
    head = audit.head_of(connection)
    return {
        "schema": revision(connection),
        "head": {"seq": head.seq, "hash": head.hash},
        "last_write_was_kept": ask.care.store.writer.is_well,
        "failure": ask.care.keeper.failure or ask.care.keeper.time_failure,
        "journal": connection.exec_driver_sql("PRAGMA journal_mode").scalar(),
        "synchronous": connection.exec_driver_sql("PRAGMA synchronous").scalar(),
        "sqlite": connection.exec_driver_sql("SELECT sqlite_version()").scalar(),
    }


@SCREENS.act("/backups", right="backup.run", needs_secret=True)
def back_up_now(ask: Ask) -> Response:
    """Make a backup now."""
    ask.care.keeper.back_up()
    return see_other("/backups")


@SCREENS.act("/patients/{patient}/team", right="access.manage", needs_secret=True)
def restrict(ask: Ask, patient: str, team: Annotated[list[str], Form()] = []) -> Response:  # noqa: B006 - FastAPI copies it
    """Open a patient to a team only, or, with no team, to everybody who has the right."""
    _require_patient(ask, patient)
    access.restrict(ask.care.store, patient, [one for one in team if one], actor=ask.actor, role=ask.role)
    return see_other("/audit")


@SCREENS.act("/patients/{patient}/erase", right="identity.erase", needs_secret=True)
def erase(ask: Ask, patient: str, reason: Annotated[str, Form(min_length=5, max_length=500)]) -> Response:
    """Forget who a patient was; what was recorded stays, under the identifier."""
    ask.care.store.erase(patient, reason=reason, actor=ask.actor, role=ask.role)
    return see_other("/audit")


@SCREENS.act("/patients/{patient}/glass", right="glass.break", needs_secret=True)
def break_glass(ask: Ask, patient: str, reason: Annotated[str, Form(max_length=500)]) -> Response:
    """Open a restricted patient in an emergency; the owner is told."""
    _require_patient(ask, patient)
    access.break_glass(ask.care.store, patient, reason=reason, actor=ask.actor, role=ask.role)
    return see_other("/")


def _require_patient(ask: Ask, patient: str) -> None:
    with ask.care.store.reading() as connection:
        found = connection.execute(select(PEOPLE.c.patient).where(PEOPLE.c.patient == patient)).first()
    if found is None:
        message = "There is no such patient."
        raise NotFoundError(message)
