"""The board: today's chairs, the most overdue first, with what is due and who owns what is open."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from euthymia.care.board import Row, board
from euthymia.care.checks import checks, next_check
from euthymia.care.clock import Now, exactly, zone_of
from euthymia.care.record import to_text
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.session_view import clinic_of, clock, instant, names_of, plain_alert, seat_of, stage_of
from euthymia.web.care.store import read_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from euthymia.care.clinic import Clinic

SCREENS = Screens()
BACK_DAYS = 30
"""Sessions that were begun and not reviewed stay on the board for so long; then they are an obligation."""
AHEAD_MIN = 150.0
GATE, LEAVING = "before the dose", "before leaving"


@SCREENS.screen("/board", right="board.read", template="board.html", menu="Board")
def board_page(ask: Ask) -> Shown:
    """Show every session of the day, the most urgent first."""
    at = ask.now
    with ask.care.store.reading() as connection:
        rows, clinics = _rows(ask, connection, at)
        names = names_of(ask, connection, [row.patient for row in rows])
    found = [_plain(ask, row, clinics[row.patient], names[row.patient], exactly(at)) for row in rows]
    zone = next(iter(clinics.values())).site.zone if clinics else None
    data = {
        "now": to_text(at),
        "clock": at.astimezone(zone).strftime("%H:%M"),
        "sessions": found,
        "may_open": ask.may("session.read"),
    }
    return Shown(data=data, about=tuple(dict.fromkeys(row.patient for row in rows)), title="Board")


def _rows(ask: Ask, connection: Connection, at: datetime) -> tuple[list[Row], dict[str, Clinic]]:
    """Return the board of every patient that may be seen, merged by urgency."""
    patients = _patients(connection, at)
    closed = ask.closed(connection, patients)
    clinics = {
        one: clinic_of(ask.care.store, connection, one) for one in patients if one and one not in closed
    }
    found = [row for clinic in clinics.values() for row in board(clinic, exactly(at))]
    return sorted(found, key=_urgency), clinics


def _urgency(row: Row) -> tuple[bool, int, float, float]:
    is_over = row.stage in ("DISCHARGED", "LEFT", "ABORTED", "REVIEWED")
    due = 1e9 if row.next_due_min is None else row.next_due_min
    return (is_over and not row.alerts, -len(row.alerts), -row.overdue_min, due)


def _patients(connection: Connection, at: datetime) -> list[str]:
    """Return who has a session on the site's day, or one that was begun and is not reviewed."""
    site = read_rows(connection, "clinic")
    zone = zone_of((site[0].get("site") or {}).get("time_zone", "UTC") if site else "UTC")
    day = datetime.combine(at.astimezone(zone).date(), time(), tzinfo=zone)
    start, end = to_text(day), to_text(day + timedelta(days=1))
    today = read_rows(connection, "sessions", is_open=None, since=start, until=end)
    earlier = read_rows(connection, "sessions", since=to_text(day - timedelta(days=BACK_DAYS)), until=start)
    begun = [one for one in earlier if one.get("status") != "booked"]
    return list(dict.fromkeys(str(one.get("patient", "")) for one in (*today, *begun)))


def _due_s(row: Row, clinic: Clinic, now: Now) -> int | None:
    """Return seconds to the next check, looking as far ahead as a schedule pauses; negative where late."""
    if row.next_due_min is not None:
        return round(row.next_due_min * 60)
    session = clinic.sessions[row.session]
    if not session.is_here:
        return None
    found = next_check(checks(session, clinic.timing, now, ahead_min=AHEAD_MIN))
    return None if found is None else round((found.due_at - now.latest).total_seconds())


def _plain(ask: Ask, row: Row, clinic: Clinic, name: str, now: Now) -> dict[str, Any]:
    """Return a row as plain JSON; clinical words only for those who may open sessions."""
    session = clinic.sessions[row.session]
    is_clinical = ask.may("session.read")
    due = _due_s(row, clinic, now)
    return {
        "session": row.session,
        "patient": row.patient,
        "name": name,
        "chair": seat_of(session),
        "nurse": row.nurse,
        "starts": clock(session.instant("starts_at"), clinic),
        "starts_at": instant(session.instant("starts_at")),
        **stage_of(row.stage),
        "since_dose_min": None if row.since_dose_min is None else round(row.since_dose_min),
        "to_floor_min": None if row.to_floor_min is None else round(row.to_floor_min),
        "next_due_s": due,
        "is_overdue": due is not None and due < 0,
        "alerts": [
            plain_alert(one, clinic) for one in clinic.alerts_of(row.patient) if one.session == row.session
        ]
        if is_clinical
        else [],
        "alert_count": len(row.alerts),
        "waits_count": len(row.waits_for),
        "waits_at": LEAVING if session.doses else GATE,
    }
