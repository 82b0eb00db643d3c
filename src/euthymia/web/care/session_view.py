"""What screens read of the record: a patient's part of it as the core sees it, kept between two looks.

Only what was committed is kept, and events are never changed: what is kept is always a beginning of what
stands now. Nothing here writes.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from euthymia.care.clinic import Clinic
from euthymia.care.record import Event, to_text
from euthymia.care.stock import Lot
from euthymia.web.care.store import read_people, read_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from euthymia.care.obligation import Alert
    from euthymia.care.session import Session
    from euthymia.care.timing import Criterion
    from euthymia.web.care.guards import Ask
    from euthymia.web.care.store import Store

MOST_KEPT = 128
PRESENT_H = 36
"""As at the door of the store: who came longer ago counts as gone."""
CONCERNING = """SELECT seq, body FROM events WHERE seq IN (
    SELECT seq FROM events WHERE patient = :patient AND seq > :after
    UNION SELECT seq FROM events WHERE seq > :after AND patient IS NULL AND stream IN
        (SELECT name_of || key FROM (SELECT CASE name WHEN 'alerts' THEN 'alert:' ELSE 'obligation:' END
            AS name_of, key FROM projections WHERE name IN ('alerts', 'obligations') AND patient = :patient))
    UNION SELECT seq FROM events WHERE seq > :after AND kind = 'site_set'
    UNION SELECT seq FROM events WHERE seq > :after AND kind IN ('staff_on_site', 'staff_left')
        AND entered_at > :since
) ORDER BY seq"""
VERSIONS = "SELECT stream, max(version) FROM events WHERE patient = :patient GROUP BY stream"
STAGES: Mapping[str, tuple[str, str]] = {
    "BOOKED": ("booked", "○"),
    "ARRIVED": ("here, before the dose", "◔"),
    "PRE_DOSE": ("here, before the dose", "◔"),
    "DOSED": ("infusion runs", "▶"),
    "OBSERVING": ("observed", "◑"),
    "READY_CHECK": ("time of observation over: check", "◕"),
    "EVENT": ("adverse event open", "▲"),
    "DISCHARGED": ("discharged, to review", "◉"),
    "LEFT": ("left early, to review", "◇"),
    "ABORTED": ("broken off, to review", "✕"),
    "REVIEWED": ("reviewed", "●"),
    "CANCELLED": ("cancelled", "–"),
}
"""Words and shape of each stage; colour only repeats them."""


class _Kept(NamedTuple):
    seq: int
    clinic: Clinic


class _Shelf:
    """Parts of one opened record, by patient."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.parts: OrderedDict[str, _Kept] = OrderedDict()

    def keep(self, patient: str, part: _Kept) -> None:
        with self.lock:
            self.parts[patient] = part
            self.parts.move_to_end(patient)
            while len(self.parts) > MOST_KEPT:
                self.parts.popitem(last=False)


_SHELVES: dict[int, tuple[Any, _Shelf]] = {}


def _shelf(store: Store) -> _Shelf:
    found = _SHELVES.get(id(store))
    if found is None or found[0] is not store:
        _SHELVES.clear()
        _SHELVES[id(store)] = found = (store, _Shelf())
    return found[1]


def clinic_of(store: Store, connection: Connection, patient: str) -> Clinic:
    """Return what concerns a patient: their events, the site, the lots in stock.

    Parameters
    ----------
    store : Store
    connection : Connection
        Within ``store.reading()``.
    patient : str
    """
    shelf = _shelf(store)
    with shelf.lock:
        kept = shelf.parts.get(patient, _Kept(0, Clinic()))
    since = to_text(store.now() - timedelta(hours=PRESENT_H))
    bound = {"patient": patient, "after": kept.seq, "since": since}
    rows = connection.execute(text(CONCERNING), bound).all()
    clinic = kept.clinic
    if rows:
        events = [Event.from_dict(json.loads(row.body)) for row in rows]
        clinic = clinic.after(*events) if kept.seq else Clinic.of(events)
        shelf.keep(patient, _Kept(rows[-1].seq, clinic))
    return replace(clinic, built={**clinic.built, "lot": _lots(connection)})


def _lots(connection: Connection) -> dict[str, Lot]:
    """Return the lots in stock from their read model: their events may be thousands."""
    rows = read_rows(connection, "stock")
    return {str(row["lot"]): _lot(row) for row in rows if row.get("drug")}


def _lot(row: Mapping[str, Any]) -> Lot:
    names = ("drug", "unit", "received", "given", "wasted", "returned")
    return Lot(
        id=str(row["lot"]),
        amount_mg_each=float(row["amount_mg_each"]),
        expiry=date.fromisoformat(row["expiry"]),
        **{name: row[name] for name in names},
    )


def versions_of(connection: Connection, patient: str) -> dict[str, int]:
    """Return the version of every stream of a patient, as a page has to say it when it writes."""
    return {row[0]: row[1] for row in connection.execute(text(VERSIONS), {"patient": patient})}


def names_of(ask: Ask, connection: Connection, patients: Sequence[str]) -> dict[str, str]:
    """Return names by patient for who may see them; the identifier where none is on record."""
    if not ask.may("identity.read"):
        return {one: one for one in patients}
    people = read_people(connection, list(patients))
    return {one: people[one].name if one in people else one for one in patients}


def stage_of(stage: str) -> dict[str, str]:
    """Return a stage with its words and its shape."""
    says, shape = STAGES.get(stage, (stage.lower(), "?"))
    return {"stage": stage, "says": says, "shape": shape}


def instant(at: datetime | None) -> str | None:
    """Return an instant as text; None where there is none."""
    return None if at is None else to_text(at)


def clock(at: datetime | None, clinic: Clinic) -> str:
    """Return the time of day on the wall of the site; empty where there is none."""
    return "" if at is None else at.astimezone(clinic.site.zone).strftime("%H:%M")


def plain_criterion(one: Criterion) -> dict[str, Any]:
    """Return a criterion as plain JSON: what it says, what was seen, how old that is, who says so."""
    found = asdict(one.finding)
    return {
        **found,
        "observed": shown(one.finding.observed),
        "threshold": shown(one.finding.threshold),
        "asks": list(one.finding.asks),
        "seen_at": instant(one.seen_at),
        "age_min": None if one.age_min is None else round(one.age_min),
        "signed_by": one.signed_by,
        "is_met": one.is_met,
    }


def shown(value: Any) -> str:
    """Return a value as it is read on a page; empty where nothing was on record."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(shown(one) for one in value)
    return f"{rounded(value):g}" if isinstance(value, float) else str(value)


def rounded(value: float | None, places: int = 1) -> float | None:
    """Return a number as it is shown; what it is held to is never rounded."""
    return None if value is None else round(value, places)


def seat_of(session: Session) -> str:
    """Return the place of a session in words."""
    seat = str(session.booked.get("chair", ""))
    return f"chair {seat}" if seat.isdigit() else seat


def plain_alert(one: Alert, clinic: Clinic) -> dict[str, Any]:
    """Return an open alert as plain JSON."""
    return {
        "id": one.id,
        "tier": one.tier,
        "owner": one.owner,
        "says": one.says,
        "rule_id": one.rule_id,
        "session": one.session,
        "raised_at": instant(one.raised_at),
        "clock": clock(one.raised_at, clinic),
        "is_seen": one.seen_at is not None,
        "needs_disposition": one.needs_disposition,
        "crisis_text": one.crisis_text,
    }
