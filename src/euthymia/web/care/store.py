"""The record: events in order, who patients are, read models, and the trail of it all in one transaction."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, delete, func, insert, select, text

from euthymia.care.events import check_event
from euthymia.care.record import Event, from_text, to_text
from euthymia.errors import InvalidInputError, invalid
from euthymia.web.care import audit, database
from euthymia.web.care.projections import PROJECTIONS, Projection, State, stream_of
from euthymia.web.care.refusals import NotFoundError, StaleError, UnusableError
from euthymia.web.care.settings import CareSettings
from euthymia.web.care.tables import ERASURES, EVENTS, PEOPLE, SALTS
from euthymia.web.care.tables import PROJECTIONS as ROWS
from euthymia.web.care.verify import PERSON_FIELDS
from euthymia.web.care.writer import Batch, Gate, Writer

T = TypeVar("T")
LOG = logging.getLogger("euthymia.care")
# Said in SQL: these run for every event, and putting the statement together costs more than running it.
VERSION = "SELECT max(version) FROM events WHERE stream = ?"
SAME = "SELECT * FROM events WHERE event_id = ?"
LAST_SEQ = "SELECT max(seq) FROM events"
LAST_ENTERED = "SELECT entered_at FROM events ORDER BY seq DESC LIMIT 1"
PUT_EVENT = """INSERT INTO events (seq, event_id, stream, version, kind, patient, entered_at, author, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
ROW = "SELECT state FROM projections WHERE name = ? AND key = ?"
PUT_ROW = """INSERT INTO projections (name, key, patient, is_open, rank, seq, state)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name, key) DO UPDATE SET patient = excluded.patient,
    is_open = excluded.is_open, rank = excluded.rank, seq = excluded.seq, state = excluded.state"""
Listener = Callable[[audit.Head, Sequence["Change"]], None]


class Change(NamedTuple):
    """What listeners hear of one event: where it stands and which rows of read models moved."""

    seq: int
    stream: str
    version: int
    kind: str
    patient: str | None
    rows: tuple[tuple[str, str], ...]


class Stored(NamedTuple):
    """An event with its place in the record."""

    seq: int
    stream: str
    version: int
    event: Event

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        place = {"seq": self.seq, "stream": self.stream, "version": self.version}
        return {**place, **self.event.to_dict()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Who a patient is; never part of an event."""

    patient: str
    name: str
    birth_date: str
    contact: Mapping[str, str]
    version: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "patient": self.patient,
            "name": self.name,
            "birth_date": self.birth_date,
            "contact": dict(self.contact),
            "version": self.version,
        }


class Past:
    """What stood in the record before an event, read inside the transaction that would write it.

    Parameters
    ----------
    connection : Connection
    now : datetime
    """

    def __init__(self, connection: Connection, *, now: datetime) -> None:
        self._connection = connection
        self.now = now

    def stream(self, name: str) -> list[Event]:
        """Return the events of a stream such as ``session:7f3a``, oldest first."""
        return [one.event for one in read_stream(self._connection, name)]

    def patient(self, patient: str) -> list[Event]:
        """Return all events of a patient, oldest first."""
        return [one.event for one in read_patient(self._connection, patient)]

    def kind(self, *kinds: str) -> list[Event]:
        """Return all events of some kinds, oldest first."""
        query = select(EVENTS).where(EVENTS.c.kind.in_(kinds)).order_by(EVENTS.c.seq)
        return [_stored(row).event for row in self._connection.execute(query)]

    def chosen(self, queries: Sequence[str], bound: Mapping[str, Any]) -> list[Event]:
        """Return the events whose numbers some queries give, oldest first, each once."""
        query = text(f"SELECT * FROM events WHERE seq IN ({' UNION '.join(queries)}) ORDER BY seq")  # nosec B608
        return [_stored(row).event for row in self._connection.execute(query, dict(bound))]

    def patient_of(self, stream: str) -> str:
        """Return the patient that a stream is about; empty where it is about none."""
        query = "SELECT patient FROM events WHERE stream = ? AND patient IS NOT NULL LIMIT 1"
        return self._connection.exec_driver_sql(query, (stream,)).scalar() or ""

    def last_seq(self) -> int:
        """Return the number of the newest event."""
        return self._connection.exec_driver_sql(LAST_SEQ).scalar() or 0

    def event_id_at(self, seq: int) -> str:
        """Return the identifier of the event with a number; empty where there is none."""
        query = "SELECT event_id FROM events WHERE seq = ?"
        return self._connection.exec_driver_sql(query, (seq,)).scalar() or ""

    def row(self, name: str, key: str) -> State | None:
        """Return one row of a read model."""
        return read_row(self._connection, name, key)


def _stored(row: Any) -> Stored:
    return Stored(row.seq, row.stream, row.version, Event.from_dict(json.loads(row.body)))


def read_stream(connection: Connection, name: str, *, after: int = 0) -> list[Stored]:
    """Return the events of a stream after a version, oldest first."""
    query = select(EVENTS).where(EVENTS.c.stream == name, EVENTS.c.version > after).order_by(EVENTS.c.version)
    return [_stored(row) for row in connection.execute(query)]


def read_patient(connection: Connection, patient: str) -> list[Stored]:
    """Return all events of a patient, oldest first."""
    query = select(EVENTS).where(EVENTS.c.patient == patient).order_by(EVENTS.c.seq)
    return [_stored(row) for row in connection.execute(query)]


def version_of(connection: Connection, stream: str) -> int:
    """Return the version of a stream: how many events it has."""
    return connection.exec_driver_sql(VERSION, (stream,)).scalar() or 0


def read_row(connection: Connection, name: str, key: str) -> State | None:
    """Return the state of one row of a read model; None where there is none."""
    found = connection.exec_driver_sql(ROW, (name, key)).scalar()
    return None if found is None else json.loads(found)


def read_rows(
    connection: Connection,
    name: str,
    *,
    is_open: bool | None = True,
    patient: str | None = None,
    since: str = "",
    until: str = "",
    limit: int = 200,
) -> list[State]:
    """Return rows of a read model in the order of their rank.

    Parameters
    ----------
    is_open : bool or None
        None for both.
    patient : str, optional
        Of this patient only.
    since, until : str
        Least rank, and the rank before which it ends.
    limit : int
    """
    query = select(ROWS.c.state).where(ROWS.c.name == name)
    if patient is not None:
        query = query.where(ROWS.c.patient == patient)
    if is_open is not None:
        query = query.where(ROWS.c.is_open == int(is_open))
    elif patient is None:
        query = query.where(ROWS.c.is_open.in_((0, 1)))  # lets the index on rank serve both
    if since:
        query = query.where(ROWS.c.rank >= since)
    if until:
        query = query.where(ROWS.c.rank < until)
    found = connection.execute(query.order_by(ROWS.c.rank).limit(limit)).scalars()
    return [json.loads(one) for one in found]


class Store:
    """One opened record. ``Store.open`` makes or opens the file; ``close`` writes what waits.

    Parameters
    ----------
    settings : CareSettings
    engine : Engine
    lock : Lock
    """

    def __init__(self, settings: CareSettings, engine: Engine, lock: database.Lock) -> None:
        self.settings = settings
        self.engine = engine
        self.anchors = audit.Anchors(settings.data)
        self.gate = Gate()
        self.listeners: list[Listener] = []
        self._lock = lock
        self._here = threading.local()
        self.writer = Writer(engine, self.gate, self._committed)

    @classmethod
    def open(cls, settings: CareSettings) -> Store:
        """Open the file of the settings; make it where there is none, and bring an older one up to date.

        Raises
        ------
        InvalidInputError
            Where the file is of another kind.
        RunFailedError
            Where another process has it, or a newer version of the program made it.
        """
        settings.data.parent.mkdir(parents=True, exist_ok=True)
        lock = database.Lock(settings.data)
        engine = None
        try:
            engine = _opened(settings)
            store = cls(settings, engine, lock)
        except BaseException:
            if engine is not None:
                engine.dispose()
            lock.release()
            raise
        store.anchor(why="opened")
        return store

    def close(self) -> None:
        """Write what waits, anchor the head, and let go of the file."""
        self.writer.close()
        self.anchor(why="closed")
        self.anchors.close()
        self.engine.dispose()
        self._lock.release()

    def _committed(self, head: audit.Head, changes: Sequence[Change]) -> None:
        self.anchors.note(head)
        for listener in tuple(self.listeners):
            listener(head, changes)

    def now(self) -> datetime:
        """Return the present instant of the clock given, UTC."""
        return self.settings.clock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read one consistent state; nothing may be written inside, the writer would wait for it for ever."""
        self._require_free()
        with self.gate.shared(), self.engine.connect() as connection:
            self._here.is_reading = True
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                self._here.is_reading = False
                connection.exec_driver_sql("ROLLBACK")

    def _require_free(self) -> None:
        if getattr(self._here, "is_reading", False):
            message = "leave reading() before reading anew or writing"
            raise RuntimeError(message)

    def write(self, work: Callable[[Batch], T]) -> T:
        """Do work in a transaction of the one writer; return after its commit.

        Raises
        ------
        NotSavedError
            Where the disk or the database failed: nothing was kept.
        """
        self._require_free()
        return self.writer.submit(work).result()

    def note(self, *entries: audit.Entry) -> None:
        """Write rows of the trail that go with no change: reads, refusals, sign-ins."""
        if entries:
            self.write(lambda batch: self.trail(batch, *entries))

    def trail(self, batch: Batch, *entries: audit.Entry) -> None:
        """Write rows of the trail within a transaction."""
        for entry in entries:
            batch.head = audit.append(batch.connection, batch.head, entry, at=self.now())

    def anchor(self, *, why: str = "") -> audit.Head:
        """Write the head outside the database, waiting for the disk, and return it."""
        with self.reading() as connection:
            head = audit.head_of(connection)
        self.anchors.note(head)
        self.anchors.add(head, at=self.now(), **({"why": why} if why else {}))
        return head

    def record(
        self, events: Sequence[Event], *, expected: Mapping[str, int], deviation: str | None = None
    ) -> list[Stored]:
        """Append events, and those that follow from them by the rules, or nothing at all.

        Parameters
        ----------
        events : sequence of Event
            ``entered_at`` is set anew, by the clock of this record.
        expected : mapping of str to int
            The version that the writer last saw of each stream it writes to.
        deviation : str, optional
            Why something was done against a stop of the rules.

        Returns
        -------
        stored : list of Stored
            What was written; what had been written before under the same ``event_id`` is returned as it
            stands.

        Raises
        ------
        StaleError
            Where a stream has moved on; ``since`` holds what came in between.
        UnusableError, RefusedError, NotSavedError
        """
        return self.write(lambda batch: self.append(batch, events, expected=expected, deviation=deviation))

    def append(
        self,
        batch: Batch,
        events: Sequence[Event],
        *,
        expected: Mapping[str, int],
        deviation: str | None = None,
    ) -> list[Stored]:
        """Do what ``record`` does, within a transaction."""
        before = self._written(batch.connection, events)
        if before:
            return before
        now = self._entered_at(batch.connection)
        given = [replace(_checked(event), entered_at=now) for event in events]
        for stream in dict.fromkeys(map(stream_of, given)):
            self._require_version(batch.connection, stream, expected, given)
        found = []
        for event in given:
            past = Past(batch.connection, now=now)
            decided = self.settings.decide(past, event, deviation=deviation)
            found += [self._put(batch, _checked(one)) for one in decided]
        return found

    def _written(self, connection: Connection, events: Sequence[Event]) -> list[Stored]:
        """Return what stands under the same identifiers: the request was sent twice."""
        rows = [connection.exec_driver_sql(SAME, (event.event_id,)).first() for event in events]
        found = [_stored(row) for row in rows if row]
        if found and [_said(one.event) for one in found] != [_said(event) for event in events]:
            message = "another event was written under this identifier"
            raise UnusableError(message, field="event_id")
        return found

    def _entered_at(self, connection: Connection) -> datetime:
        """Return the present instant, or that of the newest event where the clock was set back."""
        last = connection.exec_driver_sql(LAST_ENTERED).scalar()
        now = self.now()
        return max(now, from_text(last)) if last else now

    def _require_version(
        self,
        connection: Connection,
        stream: str,
        expected: Mapping[str, int],
        given: Sequence[Event],
    ) -> None:
        current, seen = version_of(connection, stream), expected.get(stream)
        if seen is None:
            message = f"the version of the {stream.partition(':')[0]} that was seen is missing"
            raise UnusableError(message, field="expected")
        if seen == current:
            return
        since = read_stream(connection, stream, after=min(seen, current))
        message = "Somebody else wrote in the meantime. Look at what changed, then save again."
        raise StaleError(
            message,
            field="expected",
            stream=stream,
            expected=seen,
            current=current,
            since=[one.to_dict() for one in since],
            differences=differences(since, [one for one in given if stream_of(one) == stream]),
        )

    def entry_time(self, batch: Batch) -> datetime:
        """Return the time of entry within a transaction: never before that of the newest event."""
        return self._entered_at(batch.connection)

    def put(self, batch: Batch, events: Sequence[Event]) -> list[Stored]:
        """Append events that the rules made by themselves, within a transaction; no version is asked."""
        return [self._put(batch, _checked(event)) for event in events]

    def _put(self, batch: Batch, event: Event) -> Stored:
        stream = stream_of(event)
        version = version_of(batch.connection, stream) + 1
        seq = (batch.connection.exec_driver_sql(LAST_SEQ).scalar() or 0) + 1
        body = audit.canonical(event.to_dict())
        row = event_row(event, seq=seq, stream=stream, version=version, body=body)
        batch.connection.exec_driver_sql(PUT_EVENT, tuple(row.values()))
        self.trail(batch, event_entry(event, row))
        rows = _project(batch.connection, event, seq=seq)
        batch.changes.append(Change(seq, stream, version, event.kind, row["patient"], rows))
        return Stored(seq, stream, version, event)

    def rebuild(self) -> int:
        """Throw the read models away and make them anew from the events; return the number of rows."""
        return self.write(lambda batch: rebuild(batch.connection))

    def put_person(self, person: Person, *, actor: str, role: str) -> Person:
        """Write who a patient is: a new version of it, the older ones stay.

        Raises
        ------
        StaleError
            Where ``version`` is not the next one.
        NotFoundError
            Where the patient has been erased.
        """
        return self.write(lambda batch: self._put_person(batch, person, actor=actor, role=role))

    def _put_person(self, batch: Batch, person: Person, *, actor: str, role: str) -> Person:
        connection = batch.connection
        _require_kept(connection, person.patient)
        query = select(func.max(PEOPLE.c.version)).where(PEOPLE.c.patient == person.patient)
        current = connection.execute(query).scalar() or 0
        if person.version != current + 1:
            now = read_person(connection, person.patient)
            since = [now.to_dict()] if now else []
            raise StaleError(
                "Somebody else changed this person.",
                current=current,
                expected=person.version - 1,
                since=since,
            )
        if not current:
            connection.execute(insert(SALTS), {"patient": person.patient, "salt": secrets.token_hex(32)})
        row = _person_row(person, at=self.now(), author=actor)
        connection.execute(insert(PEOPLE), row)
        salt = connection.execute(select(SALTS.c.salt).where(SALTS.c.patient == person.patient)).scalar_one()
        found = audit.salted_digest([row[name] for name in PERSON_FIELDS], salt=salt)
        detail = {"version": person.version, "digest": found}
        self.trail(
            batch,
            audit.Entry(actor=actor, role=role, action=audit.PERSON, about=person.patient, detail=detail),
        )
        return person

    def erase(self, patient: str, *, reason: str, actor: str, role: str) -> None:
        """Forget who a patient was; the events stay under the identifier, and the trail still holds.

        Raises
        ------
        NotFoundError
        """

        def work(batch: Batch) -> None:
            _require_kept(batch.connection, patient)
            if read_person(batch.connection, patient) is None:
                message = "There is no such person."
                raise NotFoundError(message)
            row = {"patient": patient, "at": to_text(self.now()), "author": actor, "reason": reason}
            batch.connection.execute(insert(ERASURES), row)
            for table in (PEOPLE, SALTS):
                batch.connection.execute(delete(table).where(table.c.patient == patient))
            self.trail(batch, audit.Entry(actor=actor, role=role, action=audit.ERASED, about=patient))

        self.write(work)


def event_row(event: Event, *, seq: int, stream: str, version: int, body: str) -> dict[str, Any]:
    """Return the row of an event."""
    return {
        "seq": seq,
        "event_id": event.event_id,
        "stream": stream,
        "version": version,
        "kind": event.kind,
        "patient": event.about("patient") or None,
        "entered_at": to_text(event.entered_at),
        "author": event.author,
        "body": body,
    }


def event_entry(event: Event, row: Mapping[str, Any]) -> audit.Entry:
    """Return the row of the trail that goes with the row of an event."""
    found = audit.event_digest(row["seq"], row["stream"], row["version"], row["patient"], row["body"])
    return audit.Entry(
        actor=event.author,
        role=event.role,
        action=audit.EVENT,
        about=row["patient"] or row["stream"],
        detail={
            "seq": row["seq"],
            "stream": row["stream"],
            "version": row["version"],
            "kind": event.kind,
            "digest": found,
        },
    )


def _opened(settings: CareSettings) -> Engine:
    engine = database.open_engine(settings.data)
    try:
        _prepare(engine, settings)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _prepare(engine: Engine, settings: CareSettings) -> None:
    with engine.connect() as connection:
        if database.is_empty(connection):
            with _transaction(connection):
                database.make(connection, kind=settings.kind)
            return
        database.check_kind(connection, kind=settings.kind, path=settings.data)
        if database.check_revision(database.revision(connection)):
            _upgrade(connection, settings)


def _upgrade(connection: Connection, settings: CareSettings) -> None:
    from euthymia.web.care.backup import copy_file

    copy_file(settings.data, settings.data.with_name(f"{settings.data.name}.before-upgrade"))
    with _transaction(connection):
        database.upgrade(connection)
        rebuild(connection)


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    connection.exec_driver_sql("BEGIN EXCLUSIVE")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _checked(event: Event) -> Event:
    try:
        return check_event(event)
    except InvalidInputError as error:
        raise UnusableError(str(error)) from error


def _said(event: Event) -> dict[str, Any]:
    """Return what a person said with an event: all but what the record says of it."""
    return {name: one for name, one in event.to_dict().items() if name not in ("entered_at", "rules_version")}


def differences(since: Sequence[Stored], given: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the fields that both a stale write and what came in between name, with either value."""
    theirs = {name: (one, value) for one in since for name, value in _named(one.event).items()}
    return [
        {"field": name, "yours": value, "theirs": theirs[name][1], "author": theirs[name][0].event.author}
        for event in given
        for name, value in _named(event).items()
        if name in theirs
    ]


def _named(event: Event) -> dict[str, Any]:
    plain = event.to_dict()
    values = {
        f"values.{name}": f"{one['entered']} {one['unit']}".strip() for name, one in plain["values"].items()
    }
    return {"kind": event.kind, **values, **{f"facts.{name}": one for name, one in plain["facts"].items()}}


def _project(connection: Connection, event: Event, *, seq: int) -> tuple[tuple[str, str], ...]:
    moved = []
    for one in PROJECTIONS:
        if key := one.key_of(event):
            _put_row(connection, one, key, _next_state(connection, one, key, event), seq=seq)
            moved.append((one.name, key))
    return tuple(moved)


def _next_state(connection: Connection, one: Projection, key: str, event: Event) -> State:
    if event.kind != "corrected":
        return one.step(read_row(connection, one.name, key) or {}, event)
    return _folded(connection, one, key, stream_of(event))


def _put_row(connection: Connection, one: Projection, key: str, state: State, *, seq: int) -> None:
    row = projected_row(one, key, state, seq=seq)
    connection.exec_driver_sql(PUT_ROW, tuple(row.values()))


def projected_row(one: Projection, key: str, state: State, *, seq: int) -> dict[str, Any]:
    """Return the row of a read model for a state."""
    is_open, rank = one.place(state)
    return {
        "name": one.name,
        "key": key,
        "patient": state.get("patient"),
        "is_open": int(is_open),
        "rank": rank,
        "seq": seq,
        "state": audit.canonical(state),
    }


def rebuild(connection: Connection) -> int:
    """Make the read models anew from the events, within a transaction; return the number of rows.

    Events pass through one by one; a key with a correction is folded anew at the end, over what now stands.
    """
    states: dict[tuple[str, str], tuple[State, int]] = {}
    corrected_at: dict[tuple[str, str], str] = {}
    by_name = {one.name: one for one in PROJECTIONS}
    query = select(EVENTS.c.seq, EVENTS.c.stream, EVENTS.c.body).order_by(EVENTS.c.seq)
    for row in connection.execute(query.execution_options(yield_per=1000)):
        event = Event.from_dict(json.loads(row.body))
        for one in PROJECTIONS:
            if key := one.key_of(event):
                place = (one.name, key)
                if event.kind == "corrected":
                    corrected_at[place] = row.stream
                    states[place] = (states.get(place, ({}, 0))[0], row.seq)
                else:
                    states[place] = (one.step(states.get(place, ({}, 0))[0], event), row.seq)
    for place, stream in corrected_at.items():
        states[place] = (_folded(connection, by_name[place[0]], place[1], stream), states[place][1])
    connection.execute(delete(ROWS))
    rows = [projected_row(by_name[name], key, state, seq=seq) for (name, key), (state, seq) in states.items()]
    if rows:
        connection.execute(insert(ROWS), rows)
    return len(rows)


def _folded(connection: Connection, one: Projection, key: str, stream: str) -> State:
    found = read_patient(connection, key) if one.is_of_patient else read_stream(connection, stream)
    return one.fold([stored.event for stored in found])


def _require_kept(connection: Connection, patient: str) -> None:
    if connection.execute(select(ERASURES.c.at).where(ERASURES.c.patient == patient)).first():
        message = "Who this was has been erased."
        raise NotFoundError(message)


def name_key(name: str) -> str:
    """Return a name as it is looked up: case and spacing aside."""
    return " ".join(name.casefold().split())


def _person_row(person: Person, *, at: datetime, author: str) -> dict[str, Any]:
    if not person.name.strip():
        raise invalid("name", must="given", got="nothing")
    return {
        "patient": person.patient,
        "version": person.version,
        "name": person.name,
        "name_key": name_key(person.name),
        "birth_date": person.birth_date,
        "contact": audit.canonical(dict(person.contact)),
        "entered_at": to_text(at),
        "author": author,
    }


def read_person(connection: Connection, patient: str) -> Person | None:
    """Return who a patient is; None where that is not on record, or was erased."""
    return read_people(connection, [patient]).get(patient)


def read_people(connection: Connection, patients: Sequence[str]) -> dict[str, Person]:
    """Return who patients are, by identifier."""
    query = select(PEOPLE).where(PEOPLE.c.patient.in_(set(patients))).order_by(PEOPLE.c.version)
    return {row.patient: _person(row) for row in connection.execute(query)}


def find_people(connection: Connection, words: str, *, limit: int = 20) -> list[Person]:
    """Return people whose name begins with some words or has a word that does, newest version of each."""
    key = name_key(words).replace("\\", "").replace("%", "").replace("_", "")
    query = (
        select(PEOPLE.c.patient)
        .where(PEOPLE.c.name_key.like(f"{key}%") | PEOPLE.c.name_key.like(f"% {key}%"))
        .distinct()
        .limit(limit)
    )
    patients = list(connection.execute(query).scalars()) if key else []
    return sorted(read_people(connection, patients).values(), key=lambda one: name_key(one.name))


def _person(row: Any) -> Person:
    return Person(
        patient=row.patient,
        name=row.name,
        birth_date=row.birth_date,
        contact=json.loads(row.contact),
        version=row.version,
    )
