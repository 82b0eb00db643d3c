"""Copies of a record while it is used, each opened and checked; how they are kept, and how one is put back.

A copy beside a journal of another file is silently wrong, whatever ``integrity_check`` says. Putting one
back moves the old file and its journals aside, then compares the rows and the head of the trail with what
was noted at the backup.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from euthymia.care.record import from_text, to_text
from euthymia.errors import RunFailedError, invalid
from euthymia.web.care import audit, database
from euthymia.web.care.store import Store
from euthymia.web.care.verify import Verdict, verify

PAGES_A_STEP = 512
PAUSE_S = 0.002
CHECK_LIMIT_S = 3600
ALL_H, DAILY_D, WEEKLY_D = 24, 30, 370
NAME = "care-{stamp}-{seq}.sqlite"


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """A copy and what was noted when it was checked.

    Attributes
    ----------
    path : Path
    made_at : datetime
    kind, revision : str
    rows : dict of str to int
    head : Head
    sha256 : str
    """

    path: Path
    made_at: datetime
    kind: str
    revision: str
    rows: dict[str, int]
    head: audit.Head
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "name": self.path.name,
            "made_at": to_text(self.made_at),
            "kind": self.kind,
            "revision": self.revision,
            "rows": self.rows,
            "head": {"seq": self.head.seq, "hash": self.head.hash},
            "sha256": self.sha256,
        }


def note_of(path: Path) -> Path:
    """Return the file in which is noted what a backup held."""
    return path.with_name(path.name + ".json")


def read_backup(path: Path) -> Backup:
    """Return a backup with what was noted of it.

    Raises
    ------
    InvalidInputError
        Where the note is missing or cannot be read.
    """
    try:
        plain = json.loads(note_of(path).read_text(encoding="utf-8"))
        return Backup(
            path=path,
            made_at=from_text(plain["made_at"]),
            kind=plain["kind"],
            revision=plain["revision"],
            rows=plain["rows"],
            head=audit.Head(plain["head"]["seq"], plain["head"]["hash"]),
            sha256=plain["sha256"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        cure = "Name the .sqlite file that euthymia care backup made; its .json note lies beside it."
        raise invalid("BACKUP", must="a backup with its note", got=path.name, cure=cure) from None


def backups_in(folder: Path) -> list[Backup]:
    """Return the backups of a folder, newest first; those without a note were never finished."""
    found = [read_backup(path) for path in folder.glob("care-*.sqlite") if note_of(path).exists()]
    return sorted(found, key=lambda one: one.made_at, reverse=True)


def copy_file(source: Path, target: Path) -> None:
    """Copy a database that nobody writes to, by the backup interface, and wait until it is on the disk."""
    with closing(sqlite3.connect(source)) as connection:
        _copy(connection, target)


def _copy(connection: sqlite3.Connection, target: Path, *, pages: int = -1) -> None:
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(target)) as copied:
        connection.backup(copied, pages=pages, sleep=PAUSE_S)
    for side in database.side_files(target):
        side.unlink()
    _sync(target)


def _sync(path: Path) -> None:
    for one in (path, path.parent):
        file = os.open(one, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def back_up(store: Store, folder: Path) -> Backup:
    """Copy an open record while it is written to; check the copy; keep it only if it holds.

    The copy is taken over the writer's own connection: what is written meanwhile goes into it as well, so
    it neither starts anew nor keeps anybody waiting.

    Raises
    ------
    RunFailedError
        Where the copy does not hold; it is left for a look, under the name ``.bad``.
    OSError, sqlite3.Error
        Where it cannot be written; the half of it is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store.anchor(why="backup")
    now = store.now()
    raw = folder / f".care-{os.getpid()}-{now.timestamp():.0f}.part"
    try:
        _copy(store.writer.sqlite_connection(), raw, pages=PAGES_A_STEP)
        found = _checked(raw, store, now)
    except (OSError, sqlite3.Error):
        raw.unlink(missing_ok=True)
        raise
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    path = folder / NAME.format(stamp=stamp, seq=found.head.seq)
    raw.replace(path)
    text = json.dumps({**found.to_dict(), "name": path.name}, indent=1)
    _write_whole(note_of(path), text)
    for old in superfluous(backups_in(folder), now=now):
        old.path.unlink(missing_ok=True)
        note_of(old.path).unlink(missing_ok=True)
    detail = {"name": path.name, "head": found.head.seq}
    store.note(audit.Entry(actor="software", role="", action="backup", detail=detail))
    return read_backup(path)


def _checked(raw: Path, store: Store, now: datetime) -> Backup:
    said = check_in_process(raw, store.settings.data)
    if not said["ok"]:
        raw.replace(raw.with_suffix(".bad"))
        message = f"The backup does not hold: {'; '.join(said['problems'][:3])}"
        raise RunFailedError(message)
    with closing(sqlite3.connect(raw)) as connection:
        kind = connection.execute("SELECT value FROM meta WHERE name = 'kind'").fetchone()[0]
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    return Backup(
        path=raw,
        made_at=now,
        kind=kind,
        revision=revision,
        rows=said["rows"],
        head=audit.Head(said["head"]["seq"], said["head"]["hash"]),
        sha256=sha256_of(raw),
    )


def check_in_process(path: Path, data: Path) -> dict[str, Any]:
    """Verify a file in a process of its own, so that the pages do not wait for it.

    Parameters
    ----------
    path : Path
        The copy.
    data : Path
        The record whose anchors it is held against: those up to its own head.
    """
    command = [sys.executable, "-m", "euthymia.web.care.backup", str(path), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_LIMIT_S, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {
            "ok": False,
            "problems": ["the check did not end"],
            "rows": {},
            "head": {"seq": 0, "hash": ""},
        }


class _Until(audit.Anchors):
    """The anchors of a record, as far as a copy of it reaches."""

    def __init__(self, data: Path, *, last: int) -> None:
        super().__init__(data)
        self._last = last

    def read(self) -> Iterator[audit.Head]:
        """Give the heads up to the last row of the copy."""
        return (one for one in super().read() if one.seq <= self._last)


def check_copy(path: Path, data: Path) -> Verdict:
    """Verify a copy against the anchors of the record that it was made from."""
    with closing(sqlite3.connect(path)) as connection:
        last = connection.execute("SELECT coalesce(max(seq), 0) FROM audit").fetchone()[0]
    return verify(path, anchors=_Until(data, last=last))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    _sync(part)
    part.replace(path)
    _sync(path)


def superfluous(backups: Iterable[Backup], *, now: datetime) -> list[Backup]:
    """Return the backups to remove: all of a day are kept, then the last of each day, week and month.

    Parameters
    ----------
    backups : iterable of Backup
    now : datetime

    Notes
    -----
    24 h all; 30 d one a day; 370 d one a week; after that one a month, for ever.
    """
    kept: set[str] = set()
    found = []
    for one in sorted(backups, key=lambda each: each.made_at, reverse=True):
        span = _span(one, now=now)
        if span in kept:
            found.append(one)
        kept.add(span)
    return found


def _span(backup: Backup, *, now: datetime) -> str:
    age = now - backup.made_at
    if age <= timedelta(hours=ALL_H):
        return backup.path.name
    if age <= timedelta(days=DAILY_D):
        return backup.made_at.strftime("%Y-%m-%d")
    return backup.made_at.strftime("%G week %V" if age <= timedelta(days=WEEKLY_D) else "%Y month %m")


def restore(path: Path, data: Path, *, kind: str, now: datetime, actor: str = "console") -> Verdict:
    """Put a backup in the place of a record; what was there is moved aside, journals too.

    Parameters
    ----------
    path : Path
        The backup.
    data : Path
        The record's file; it need not exist.
    kind : str
        Of the record: ``record`` or ``demo``.
    now : datetime
    actor : str

    Returns
    -------
    verdict : Verdict
        Of the record as it was put back.

    Raises
    ------
    InvalidInputError
        Where the backup has no note or is of another kind.
    RunFailedError
        Where the backup was altered, or what was put back differs from it; the old file is then put back.
    """
    backup = read_backup(path)
    if backup.kind != kind:
        raise invalid("BACKUP", must=f"one of the kind {kind!r}", got=f"one of the kind {backup.kind!r}")
    if sha256_of(path) != backup.sha256:
        message = f"{path.name} is not the file that was checked when the backup was made. Take another one."
        raise RunFailedError(message)
    data.parent.mkdir(parents=True, exist_ok=True)
    lock = database.Lock(data)
    try:
        moved = _move_aside(data, now)
        try:
            verdict = _put_back(backup, data)
        except BaseException:
            _move_back(moved)
            raise
        _anchor_anew(backup, data, moved, now=now, actor=actor)
    finally:
        lock.release()
    return verdict


def _move_aside(data: Path, now: datetime) -> dict[Path, Path]:
    """Rename the record, its journals and its anchors; return the new name of each."""
    ends = ("", *database.SIDE_FILES, ".anchors", ".head")
    stamp = now.strftime("%Y%m%dT%H%M%S%fZ")
    moved = {}
    for end in ends:
        old = data.with_name(data.name + end)
        if old.exists():
            # the stamp stands in the stem: no journal may take itself for one of the new file
            moved[old] = old.with_name(f"{data.stem}-replaced-{stamp}{data.suffix}{end}")
            old.rename(moved[old])
    return moved


def _move_back(moved: dict[Path, Path]) -> None:
    for old, new in moved.items():
        new.replace(old)


def _put_back(backup: Backup, data: Path) -> Verdict:
    part = data.with_name(data.name + ".part")
    shutil.copyfile(backup.path, part)
    _sync(part)
    part.replace(data)
    _sync(data)
    verdict = verify(data)
    if verdict.count or verdict.rows != backup.rows or verdict.head != backup.head:
        data.unlink()
        message = "What was put back is not what was backed up. The old record is in its place again."
        raise RunFailedError(message)
    return verdict


def _anchor_anew(backup: Backup, data: Path, moved: dict[Path, Path], *, now: datetime, actor: str) -> None:
    """Keep the anchors that the backup reaches; say in the trail that the record goes on from it."""
    fresh = audit.Anchors(data)
    lost = audit.Head(0, audit.GENESIS)
    old = moved.get(fresh.path)
    if old:
        lines = old.read_text(encoding="utf-8").splitlines(keepends=True)
        with suppress(ValueError, KeyError):
            lost = max((audit.Head(one["seq"], one["hash"]) for one in map(json.loads, lines)), default=lost)
        kept = [line for line in lines if json.loads(line)["seq"] <= backup.head.seq]
        fresh.path.write_text("".join(kept), encoding="utf-8")
    with closing(sqlite3.connect(data)) as connection:
        head = _trail(connection, backup, lost, now=now, actor=actor)
    fresh.add(head, at=now, why="restored")
    fresh.note(head)
    fresh.close()


def _trail(
    connection: sqlite3.Connection, backup: Backup, lost: audit.Head, *, now: datetime, actor: str
) -> audit.Head:
    detail = audit.canonical({"backup": backup.path.name, "went_back_from": lost.seq, "hash": lost.hash})
    row = (backup.head.seq + 1, to_text(now), actor, "", "restored", "", detail, backup.head.hash)
    found = audit.row_hash(*row)
    with connection:
        connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, found))
        connection.execute("DELETE FROM sessions")
    return audit.Head(row[0], found)


if __name__ == "__main__":
    os.nice(10)
    print(json.dumps(check_copy(Path(sys.argv[1]), Path(sys.argv[2])).to_dict()))
