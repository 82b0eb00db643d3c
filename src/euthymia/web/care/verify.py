"""Hold a record against its chain, anchors and schema: any edited, removed, inserted or moved row shows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from euthymia.web.care import audit

MOST_SHOWN = 20
TABLES = ("events", "audit", "people", "erasures", "accounts", "projections", "restricted", "team", "glass")
AUDIT_ROWS = "SELECT seq, at, actor, role, action, about, detail, previous, hash FROM audit ORDER BY seq"
EVENT_ROWS = "SELECT seq, stream, version, patient, body FROM events ORDER BY seq"
ACCOUNT_FIELDS = ("account", "name", "roles", "is_active", "password", "pin", "secret", "recovery", "token")
PERSON_FIELDS = ("patient", "version", "name", "birth_date", "contact", "entered_at", "author")

COUNT = "SELECT count(*) FROM {}"
PERSON_ROWS = f"SELECT {', '.join(PERSON_FIELDS)} FROM people"  # nosec B608 - names of our own columns
ACCOUNT_ROWS = f"SELECT {', '.join(ACCOUNT_FIELDS)} FROM accounts"  # nosec B608 - names of our own columns


@dataclass(kw_only=True, slots=True)
class Verdict:
    """What was found in a record.

    Attributes
    ----------
    problems : list of str
        Empty where all holds; at most 20 are kept, ``count`` counts all.
    head : Head
    rows : dict of str to int
        Rows of each table.
    anchors : int
        Heads outside that were held against the chain.
    """

    problems: list[str] = field(default_factory=list)
    count: int = 0
    head: audit.Head = field(default_factory=lambda: audit.Head(0, audit.GENESIS))
    rows: dict[str, int] = field(default_factory=dict)
    anchors: int = 0

    def add(self, problem: str) -> None:
        """Count a problem, and keep it if it is among the first."""
        self.count += 1
        if len(self.problems) < MOST_SHOWN:
            self.problems.append(problem)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "ok": not self.count,
            "problems": self.problems,
            "problem_count": self.count,
            "head": {"seq": self.head.seq, "hash": self.head.hash},
            "rows": self.rows,
            "anchors": self.anchors,
        }


@dataclass(kw_only=True, slots=True)
class _Kept:
    """What the trail says should stand in the tables that change."""

    accounts: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)


def verify(path: Path, *, anchors: audit.Anchors | None = None) -> Verdict:
    """Check a record's file.

    Parameters
    ----------
    path : Path
    anchors : Anchors, optional
        Heads outside the file; without them a chain that was cut or written anew is not found.

    Raises
    ------
    sqlite3.DatabaseError
        Where the file cannot be read as a database.
    """
    found = Verdict()
    with closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    ) as connection:
        connection.execute("BEGIN")
        if (said := connection.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            found.add(f"the file is damaged: {said}")
        _check_schema(connection, found)
        heads = _heads(anchors, found)
        kept = _walk(connection, heads, found)
        _check_people(connection, kept, found)
        _check_accounts(connection, kept, found)
        for table in TABLES:
            found.rows[table] = connection.execute(COUNT.format(table)).fetchone()[0]
    return found


def _heads(anchors: audit.Anchors | None, found: Verdict) -> dict[int, str]:
    heads: dict[int, str] = {}
    try:
        for seq, value in anchors.read() if anchors else ():
            if heads.setdefault(seq, value) != value:
                found.add(f"anchors disagree about row {seq}")
    except ValueError:
        found.add("the anchors cannot be read")
    found.anchors = len(heads)
    return heads


def _check_schema(connection: sqlite3.Connection, found: Verdict) -> None:
    """Compare with a schema that is made anew; a dropped trigger shows here."""
    there = {name: " ".join(sql.split()) for name, sql in connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    )}  # fmt: skip
    wanted = _fresh_schema()
    for name in wanted.keys() - there.keys():
        found.add(f"{name} is missing from the schema")
    for name in there.keys() - wanted.keys():
        found.add(f"{name} was added to the schema")
    for name in wanted.keys() & there.keys():
        if wanted[name] != there[name]:
            found.add(f"{name} was changed in the schema")


def _fresh_schema() -> dict[str, str]:
    from sqlalchemy import create_engine

    from euthymia.web.care.database import schema_of, upgrade

    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            upgrade(connection)
            return schema_of(connection)
    finally:
        engine.dispose()


def _walk(connection: sqlite3.Connection, heads: dict[int, str], found: Verdict) -> _Kept:
    """Go once through the trail and, beside it, the events."""
    kept = _Kept()
    previous = audit.GENESIS
    expected = 1
    events = connection.execute(EVENT_ROWS)
    for row in connection.execute(AUDIT_ROWS):
        seq, *_, action, about, detail, before, value = row
        if seq != expected:
            found.add(f"audit row {expected} is missing or out of its place")
        if before != previous:
            found.add(f"audit row {seq} does not follow the row before it")
        if audit.row_hash(*row[:-1]) != value:
            found.add(f"audit row {seq} was edited")
        if heads.pop(seq, value) != value:
            found.add(f"audit row {seq} is not the one that was anchored: the trail was written anew")
        _keep(kept, action, about, detail, seq, events, found)
        previous, expected = value, seq + 1
        found.head = audit.Head(seq, value)
    for event in events:
        found.add(f"event {event[0]} is not in the trail: it was inserted")
    for seq in sorted(seq for seq in heads if seq):
        found.add(f"row {seq} was anchored and is gone: the trail was cut")
    return kept


def _keep(
    kept: _Kept,
    action: str,
    about: str,
    detail: str,
    seq: int,
    events: Iterator[Any],
    found: Verdict,
) -> None:
    if action == audit.EVENT:
        _check_event(json.loads(detail), next(events, None), seq, found)
    elif action == audit.PERSON:
        plain = json.loads(detail)
        kept.people[f"{about}/{plain['version']}"] = plain["digest"]
    elif action == audit.ACCOUNT:
        kept.accounts[about] = json.loads(detail)["digest"]
    elif action == audit.ERASED:
        kept.erased.add(about)


def _check_event(said: dict[str, Any], event: Any, seq: int, found: Verdict) -> None:
    if event is None:
        found.add(f"the event of audit row {seq} is gone")
    elif event[0] != said["seq"]:
        found.add(f"event {said['seq']} of audit row {seq} is missing, moved or preceded by one put in")
    elif audit.event_digest(*event) != said["digest"]:
        found.add(f"event {event[0]} was edited")


def _check_people(connection: sqlite3.Connection, kept: _Kept, found: Verdict) -> None:
    salts = dict(connection.execute("SELECT patient, salt FROM salts"))
    there = set()
    for row in connection.execute(PERSON_ROWS):
        key = f"{row[0]}/{row[1]}"
        there.add(key)
        if row[0] not in salts or kept.people.get(key) != audit.salted_digest(row, salt=salts[row[0]]):
            found.add(f"who patient {row[0]} is was edited or put in past the trail")
    for key in kept.people.keys() - there:
        if key.split("/")[0] not in kept.erased:
            found.add(f"who patient {key.split('/')[0]} is was removed past the trail")


def _check_accounts(connection: sqlite3.Connection, kept: _Kept, found: Verdict) -> None:
    there = set()
    for row in connection.execute(ACCOUNT_ROWS):
        there.add(row[0])
        if kept.accounts.get(row[0]) != audit.digest(list(row)):
            found.add(f"account {row[0]} was edited or put in past the trail")
    for account in kept.accounts.keys() - there:
        found.add(f"account {account} was removed past the trail")
