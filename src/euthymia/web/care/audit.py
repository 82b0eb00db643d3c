"""The trail of every read and change: a chain of hashes, its head kept outside the database as well.

A row holds the hash of the row before it, so an edited, removed, inserted or moved row breaks the chain. A
chain that was cut short or written anew from some row on is whole in itself: the anchors outside tell. Rows
about events carry the digest of the event, rows about people a digest under a salt of their own, which
erasure drops.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from euthymia.care.record import to_text

GENESIS = "0" * 64
EVENT, PERSON, ACCOUNT, ERASED = "event", "person", "account", "erased"
HEAD_BYTES = 160
PUT = """INSERT INTO audit (seq, at, actor, role, action, about, detail, previous, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""


class Head(NamedTuple):
    """The newest row of the chain."""

    seq: int
    hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What happened: who did what in which role, to what."""

    actor: str
    role: str
    action: str
    about: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def canonical(value: Any) -> str:
    """Return the one way in which a value is written for a digest."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the SHA-256 of a plain value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def salted_digest(value: Any, *, salt: str) -> str:
    """Return a digest that says nothing once its salt is gone."""
    return hmac.new(bytes.fromhex(salt), canonical(value).encode(), "sha256").hexdigest()


def event_digest(seq: int, stream: str, version: int, patient: str | None, body: str) -> str:
    """Return the digest of an event where it stands."""
    return digest([seq, stream, version, patient, body])


def row_hash(*parts: str | int) -> str:
    """Return the hash of a row: number, time, actor, role, action, about, detail, previous hash."""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def row_of(entry: Entry, *, seq: int, previous: str, at: datetime) -> dict[str, Any]:
    """Return the row of an entry that follows a row with some hash."""
    row = {
        "seq": seq,
        "at": to_text(at),
        "actor": entry.actor,
        "role": entry.role,
        "action": entry.action,
        "about": entry.about,
        "detail": canonical(dict(entry.detail)),
        "previous": previous,
    }
    return {**row, "hash": row_hash(*row.values())}


def append(connection: Connection, head: Head, entry: Entry, *, at: datetime) -> Head:
    """Write one row after the head, in the transaction of the connection, and return the new head."""
    row = row_of(entry, seq=head.seq + 1, previous=head.hash, at=at)
    connection.exec_driver_sql(PUT, tuple(row.values()))
    return Head(row["seq"], row["hash"])


def head_of(connection: Connection) -> Head:
    """Return the newest row of a database; row 0 where there is none."""
    row = connection.exec_driver_sql("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").first()
    return Head(*row) if row else Head(0, GENESIS)


class Anchors:
    """Heads of the chain, kept beside the database: one file that grows, one with the newest head.

    The newest is written after each commit without waiting for the disk, the other each minute and waited
    for. Copy the growing file to another machine: who can write both files can still lie.

    Parameters
    ----------
    data : Path
        The database.
    """

    def __init__(self, data: Path) -> None:
        self.path = data.with_name(data.name + ".anchors")
        self.newest = data.with_name(data.name + ".head")
        self._file: int | None = None

    def note(self, head: Head) -> None:
        """Overwrite the newest head."""
        if self._file is None:
            self._file = os.open(self.newest, os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(self._file, f"{head.seq} {head.hash}".ljust(HEAD_BYTES - 1).encode() + b"\n", 0)

    def add(self, head: Head, *, at: datetime, **more: Any) -> None:
        """Append a head to the growing file and wait until it is on the disk."""
        line = canonical({"at": to_text(at), "seq": head.seq, "hash": head.hash, **more}) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())
            os.fsync(file)
        finally:
            os.close(file)

    def close(self) -> None:
        """Close the files."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def read(self) -> Iterator[Head]:
        """Give every head that was anchored, oldest first, the newest last.

        Raises
        ------
        ValueError
            Where a line cannot be read.
        """
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                plain = json.loads(line)
                yield Head(int(plain["seq"]), str(plain["hash"]))
        if self.newest.exists():
            seq, found = self.newest.read_text(encoding="ascii").split()
            yield Head(int(seq), found)
