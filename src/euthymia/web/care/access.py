"""Patients that only their team may open, and the glass that any clinician may break with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from euthymia.care.record import to_text
from euthymia.web.care import audit
from euthymia.web.care.refusals import UnusableError
from euthymia.web.care.store import Store
from euthymia.web.care.tables import GLASS, RESTRICTED, TEAM
from euthymia.web.care.writer import Batch

GLASS_MIN = 60


def closed_to(connection: Connection, account: str, patients: Iterable[str], *, at: str) -> set[str]:
    """Return those of some patients that an account may not open now.

    Parameters
    ----------
    connection : Connection
    account : str
    patients : iterable of str
    at : str
        The present instant, as text.
    """
    wanted = set(patients) - {""}
    if not wanted:
        return set()
    here = RESTRICTED.c.patient.in_(wanted)
    closed = set(connection.execute(select(RESTRICTED.c.patient).where(here)).scalars())
    if not closed:
        return closed
    team = select(TEAM.c.patient).where(TEAM.c.account == account, TEAM.c.patient.in_(closed))
    glass = select(GLASS.c.patient).where(GLASS.c.account == account, GLASS.c.until > at)
    return closed - set(connection.execute(team).scalars()) - set(connection.execute(glass).scalars())


def restrict(store: Store, patient: str, team: Sequence[str], *, actor: str, role: str) -> None:
    """Let only a team open a patient; an empty team opens it to everybody who has the right."""

    def work(batch: Batch) -> None:
        for table in (TEAM, RESTRICTED):
            batch.connection.execute(delete(table).where(table.c.patient == patient))
        if team:
            row = {"patient": patient, "at": to_text(store.now()), "author": actor}
            batch.connection.execute(insert(RESTRICTED), row)
            batch.connection.execute(
                insert(TEAM), [{"patient": patient, "account": one} for one in sorted(set(team))]
            )
        detail = {"team": sorted(set(team))}
        store.trail(
            batch, audit.Entry(actor=actor, role=role, action="restricted", about=patient, detail=detail)
        )

    store.write(work)


def break_glass(store: Store, patient: str, *, reason: str, actor: str, role: str) -> str:
    """Open a patient to one clinician for an hour; the owner is told. Return until when.

    Raises
    ------
    UnusableError
        Where there is no reason.
    """
    if len(reason.strip()) < 5:
        message = "say why, in a few words"
        raise UnusableError(message, field="reason")
    now = store.now()
    until = to_text(now + timedelta(minutes=GLASS_MIN))
    row = {"account": actor, "patient": patient, "reason": reason.strip(), "at": to_text(now), "until": until}

    def work(batch: Batch) -> None:
        batch.connection.execute(insert(GLASS), {**row, "seen_by": None})
        detail = {"reason": audit.digest(reason.strip()), "until": until}
        store.trail(
            batch, audit.Entry(actor=actor, role=role, action="glass broken", about=patient, detail=detail)
        )

    store.write(work)
    return until


def unseen_glass(connection: Connection) -> list[dict[str, Any]]:
    """Return the broken glasses that no owner has seen, newest first."""
    query = select(GLASS).where(GLASS.c.seen_by.is_(None)).order_by(GLASS.c.number.desc())
    return [dict(row._mapping) for row in connection.execute(query)]


def see_glass(store: Store, *, actor: str, role: str) -> None:
    """Note that the owner has seen every broken glass."""

    def work(batch: Batch) -> None:
        batch.connection.execute(update(GLASS).where(GLASS.c.seen_by.is_(None)).values(seen_by=actor))
        store.trail(batch, audit.Entry(actor=actor, role=role, action="glass seen"))

    store.write(work)
