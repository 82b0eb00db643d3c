"""The rules of the core at the door of the store: an entry is judged on what concerns it; and time passes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import text

from euthymia.care.clinic import Clinic
from euthymia.care.clock import exactly
from euthymia.care.record import Event, to_text
from euthymia.care.recording import StoppedError, enter, tick
from euthymia.errors import InvalidInputError
from euthymia.web.care.projections import stream_of
from euthymia.web.care.refusals import RefusedError, UnusableError
from euthymia.web.care.store import Past, Store
from euthymia.web.care.writer import Batch

PRESENT_H = 36
"""Who came longer ago and has not signed off counts as gone: they sign on again."""
MOST_KEPT = 64
OF_PATIENT = """SELECT seq FROM events WHERE patient = :patient AND seq > :after
    UNION SELECT seq FROM events WHERE seq > :after AND stream IN
        (SELECT DISTINCT stream FROM events WHERE patient = :patient)"""
OF_SITE = """SELECT seq FROM events WHERE kind = 'site_set' AND seq > :after
    UNION SELECT seq FROM events WHERE entered_at > :since AND seq > :after
        AND kind IN ('staff_on_site', 'staff_left', 'clock_stepped', 'clock_confirmed')"""
OF_STOCK = """SELECT seq FROM events WHERE seq > :after AND stream IN
    (SELECT 'stock:' || key FROM projections WHERE name = 'stock' AND is_open = 1 UNION SELECT :stream)"""
OF_BOOKINGS = """SELECT seq FROM events WHERE seq > :after AND stream IN
    (SELECT 'session:' || key FROM projections WHERE name = 'sessions' AND is_open = 1)"""
WAITING = """SELECT DISTINCT patient FROM projections WHERE patient IS NOT NULL AND is_open = 1 AND (
    (name = 'sessions' AND rank < :now) OR name IN ('obligations', 'alerts')
    OR (name = 'patients' AND rank < :now))"""
"""Patients for whom the passing of time can mean something."""


class _Kept(NamedTuple):
    """A patient's part of the record, up to an event that must still be there."""

    seq: int
    event_id: str
    clinic: Clinic


class CoreRules:
    """Judges entries by ``euthymia.care``; a ``Decide``.

    What concerns a patient is kept from one entry to the next and brought up to date, on the writer's thread
    only. What was kept of a transaction that failed is noticed by its last event, and dropped.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def __call__(self, past: Past, event: Event, *, deviation: str | None) -> Sequence[Event]:
        """Return the entry with what follows from it.

        Raises
        ------
        RefusedError
            ``findings`` say which stops hold; ``may_deviate`` whether a reason lets it be recorded.
        UnusableError
        """
        clinic = self._concerning(past, event)
        try:
            return enter(clinic, event, exactly(past.now), deviation=deviation).events
        except StoppedError as stopped:
            findings = [plain(asdict(one.finding)) for one in stopped.criteria]
            may = stopped.may_deviate
            raise RefusedError(str(stopped), field="kind", findings=findings, may_deviate=may) from stopped
        except InvalidInputError as error:
            raise UnusableError(str(error)) from error
        except KeyError as missing:
            message = f"{missing.args[0]!r} is not on record"
            raise UnusableError(message, field="subjects") from missing

    def pass_time(self, store: Store) -> int:
        """Write what the passing of time asks for: escalations, overdue checks; return how many events.

        One transaction for each patient, so that nobody waits for all of them.
        """
        with store.reading() as connection:
            bound = {"now": to_text(store.now())}
            patients = list(connection.execute(text(WAITING), bound).scalars())
        return sum(store.write(partial(self._tick, store, patient)) for patient in patients)

    def _tick(self, store: Store, patient: str, batch: Batch) -> int:
        past = Past(batch.connection, now=store.entry_time(batch))
        events = tick(self._of_patient(past, patient), exactly(past.now)).events
        store.put(batch, events)
        return len(events)

    def _concerning(self, past: Past, event: Event) -> Clinic:
        """Return the part of the clinic that an entry has to be judged with."""
        patient = event.about("patient") or past.patient_of(stream_of(event))
        lot = event.facts.get("lot") or event.about("lot")
        if patient and not lot and event.kind != "session_booked":
            return self._of_patient(past, patient)
        queries = [OF_PATIENT, OF_SITE, OF_STOCK, OF_BOOKINGS]
        return Clinic.of(past.chosen(queries, _bound(past, patient, stream=f"stock:{lot}")))

    def _of_patient(self, past: Past, patient: str) -> Clinic:
        kept = self._kept.pop(patient, None)
        queries = [OF_PATIENT, OF_SITE, OF_STOCK]
        if kept is not None and past.event_id_at(kept.seq) == kept.event_id:
            clinic = kept.clinic.after(*past.chosen(queries, _bound(past, patient, after=kept.seq)))
        else:
            clinic = Clinic.of(past.chosen(queries, _bound(past, patient)))
        last = past.last_seq()
        self._kept[patient] = _Kept(last, past.event_id_at(last), clinic)
        while len(self._kept) > MOST_KEPT:
            self._kept.pop(next(iter(self._kept)))
        return clinic


def _bound(past: Past, patient: str, *, stream: str = "", after: int = 0) -> dict[str, Any]:
    since = to_text(past.now - timedelta(hours=PRESENT_H))
    return {"patient": patient, "stream": stream, "since": since, "after": after}


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a finding as JSON."""
    return json.loads(json.dumps(value, default=str))
