"""The SQLite file of the record: how it is opened, what kind it is, which schema it has, who holds it.

Rollback journal kept in place (PERSIST) with ``synchronous=FULL``: in that pair the commit itself is
synchronised, so a power cut does not take back what was acknowledged. The write-ahead log is not used:
SQLite before 3.51.3 can corrupt a file in that mode.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError

from euthymia.errors import RunFailedError, invalid

APPLICATION_ID = 0x45555448
BUSY_MS = 2000
PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_MS}",
    "PRAGMA journal_mode=PERSIST",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA recursive_triggers=ON",  # REPLACE then fires the triggers of DELETE
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cache_size=-32768",
)
SIDE_FILES = ("-journal", "-wal", "-shm")
MIGRATIONS = Path(__file__).parent / "migrations"


def open_engine(path: Path, *, connections: int = 24) -> Engine:
    """Return an engine on a file; a transaction begins when it is told to, not by itself.

    Parameters
    ----------
    path : Path
    connections : int
        Kept open at most.
    """
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000},
        isolation_level="AUTOCOMMIT",  # transactions are begun and ended in so many words
        pool_size=connections,
        max_overflow=8,
        hide_parameters=True,  # no value of a patient in a message
    )
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    with closing(connection.cursor()) as cursor:
        for pragma in PRAGMAS:
            cursor.execute(pragma)


def make(connection: Connection, *, kind: str) -> None:
    """Make the schema in an empty file and say of which kind it is."""
    connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
    upgrade(connection)
    connection.execute(text("INSERT INTO meta VALUES ('kind', :kind)"), {"kind": kind})


def check_kind(connection: Connection, *, kind: str, path: Path) -> None:
    """Refuse a file of another kind.

    Raises
    ------
    InvalidInputError
        Where the file is no record, or holds invented patients and real ones were asked for, or the reverse.
    """
    found = kind_of(connection)
    if found is None:
        raise invalid("--data", must="a file that euthymia care made", got=path.name)
    if found != kind:
        cure = (
            "Add --demo, or name another file."
            if found == "demo"
            else "Leave out --demo, or name another file."
        )
        raise invalid(
            "--data", must=f"a file of the kind {kind!r}", got=f"one of the kind {found!r}", cure=cure
        )


def kind_of(connection: Connection) -> str | None:
    """Return ``record`` or ``demo``; None for a file that is neither."""
    try:
        if connection.exec_driver_sql("PRAGMA application_id").scalar() != APPLICATION_ID:
            return None
        return connection.exec_driver_sql("SELECT value FROM meta WHERE name = 'kind'").scalar()
    except DatabaseError:
        return None


def is_empty(connection: Connection) -> bool:
    """Return whether the file has no table."""
    return not connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()


def _configuration(connection: Connection) -> Any:
    from alembic.config import Config

    found = Config()
    found.set_main_option("script_location", str(MIGRATIONS))
    found.attributes["connection"] = connection
    return found


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision, inside the transaction of the connection."""
    from alembic import command

    command.upgrade(_configuration(connection), "head")


def revision(connection: Connection) -> str | None:
    """Return the revision of the schema."""
    try:
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except DatabaseError:
        return None


def newest_revision() -> str:
    """Return the revision that this version of the program writes."""
    from alembic.script import ScriptDirectory

    return str(ScriptDirectory(str(MIGRATIONS)).get_current_head())


def check_revision(found: str | None) -> bool:
    """Return whether a file has to be brought up to date.

    Raises
    ------
    RunFailedError
        Where a newer version of the program made it.
    """
    from alembic.script import ScriptDirectory

    known = {one.revision for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if found not in known:
        message = (
            f"The record has the schema {found!r}, made by a newer version of the program. Update it first."
        )
        raise RunFailedError(message)
    return found != newest_revision()


def schema_of(connection: Connection) -> dict[str, str]:
    """Return the SQL of every table, index and trigger by its name, white space aside."""
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: " ".join(sql.split()) for name, sql in rows}


def side_files(path: Path) -> list[Path]:
    """Return the journals that lie beside a file."""
    return [side for end in SIDE_FILES if (side := path.with_name(path.name + end)).exists()]


class Lock:
    """Held by the one process that has the record open for writing.

    Raises
    ------
    RunFailedError
        Where another process has it.
    """

    def __init__(self, data: Path) -> None:
        self._file = os.open(data.with_name(data.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            message = f"Another process has {data.name} open. End it first."
            raise RunFailedError(message) from None

    def release(self) -> None:
        """Let another process have the record."""
        os.close(self._file)
