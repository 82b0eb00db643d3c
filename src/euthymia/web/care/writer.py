"""One thread that writes: what waits goes into one transaction and is acknowledged after its commit.

A commit waits for the disk several times. Writing what came meanwhile in one go keeps a hundred readings a
second below the time that one of them would take alone. Each piece of work has its own savepoint: one that
is refused takes nothing of the others with it. Where the disk fails, nothing of the transaction is kept,
and everybody is told so.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from euthymia.web.care.audit import Head, head_of
from euthymia.web.care.refusals import NotSavedError, not_saved

T = TypeVar("T")
MOST_TOGETHER = 64
LOG = logging.getLogger("euthymia.care")


class Gate:
    """Lets many read or one commit, in turn: neither waits for more than one round of the other."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers = 0
        self._is_committing = False
        self._wants_commit = False
        self._round = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Read while nobody commits."""
        with self._condition:
            seen = self._round
            self._condition.wait_for(
                lambda: not self._is_committing and (not self._wants_commit or self._round != seen)
            )
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                self._condition.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Commit while nobody reads."""
        with self._condition:
            self._wants_commit = True
            self._condition.wait_for(lambda: not self._readers)
            self._wants_commit, self._is_committing = False, True
        try:
            yield
        finally:
            with self._condition:
                self._is_committing = False
                self._round += 1
                self._condition.notify_all()


@dataclass(kw_only=True, slots=True)
class Batch:
    """The transaction in which work is done.

    Attributes
    ----------
    connection : Connection
    head : Head
        Of the audit chain as it stands within the transaction.
    changes : list
        What listeners are told after the commit.
    """

    connection: Connection
    head: Head
    changes: list[Any] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class _Job:
    work: Callable[[Batch], Any]
    done: Future[Any] = field(default_factory=Future)
    result: Any = None
    error: BaseException | None = None


class Writer:
    """The one writer of a database.

    Parameters
    ----------
    engine : Engine
    gate : Gate
    on_commit : callable
        Told the head and the changes of each transaction, on the writer's thread.
    """

    def __init__(self, engine: Engine, gate: Gate, on_commit: Callable[[Head, Sequence[Any]], None]) -> None:
        self._connection = engine.connect()
        self._gate = gate
        self._on_commit = on_commit
        self._jobs: deque[_Job] = deque()
        self._condition = threading.Condition()
        self._is_closed = False
        self.is_well = True
        self._thread = threading.Thread(target=self._run, name="care-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Batch], T]) -> Future[T]:
        """Queue work; its future is done after the commit, or fails with what refused it.

        Raises
        ------
        NotSavedError
            Where the writer has been closed.
        """
        job = _Job(work=work)
        with self._condition:
            if self._is_closed:
                message = "NOT SAVED. The record is being closed."
                raise NotSavedError(message)
            self._jobs.append(job)
            self._condition.notify()
        return job.done

    def sqlite_connection(self) -> sqlite3.Connection:
        """Return the connection itself, for a copy that is to take in what is written meanwhile."""
        return cast("sqlite3.Connection", self._connection.connection.driver_connection)

    def close(self) -> None:
        """Write what waits, then stop."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while jobs := self._next():
            self._write(jobs)

    def _next(self) -> list[_Job]:
        with self._condition:
            self._condition.wait_for(lambda: self._jobs or self._is_closed)
            return [self._jobs.popleft() for _ in range(min(MOST_TOGETHER, len(self._jobs)))]

    def _write(self, jobs: Sequence[_Job]) -> None:
        try:
            batch = self._transaction(jobs)
        except BaseException as error:  # whatever it is, nobody may wait for ever or believe it was saved
            self._fail(jobs, error)
            return
        self.is_well = True
        self._tell(batch)
        for job in jobs:
            if job.error is None:
                job.done.set_result(job.result)
            else:
                job.done.set_exception(job.error)

    def _transaction(self, jobs: Sequence[_Job]) -> Batch:
        self._connection.exec_driver_sql("BEGIN IMMEDIATE")
        batch = Batch(connection=self._connection, head=head_of(self._connection))
        for job in jobs:
            self._do(job, batch)
        with self._gate.alone():
            self._connection.exec_driver_sql("COMMIT")
        return batch

    def _do(self, job: _Job, batch: Batch) -> None:
        head, count = batch.head, len(batch.changes)
        batch.connection.exec_driver_sql("SAVEPOINT work")
        try:
            job.result, job.error = job.work(batch), None
        except Exception as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                raise  # the disk or the database: not this work's fault
            job.error = error
            batch.head = head
            del batch.changes[count:]
            batch.connection.exec_driver_sql("ROLLBACK TO work")
        batch.connection.exec_driver_sql("RELEASE work")

    def _tell(self, batch: Batch) -> None:
        try:
            self._on_commit(batch.head, batch.changes)
        except Exception as error:  # what was saved is saved; the page shows that it is not live
            LOG.error("after a commit: %s", type(error).__name__)

    def _fail(self, jobs: Sequence[_Job], error: BaseException) -> None:
        self.is_well = False
        LOG.error("NOT SAVED: %s: %s", type(error).__name__, getattr(error, "orig", ""))
        try:
            self._connection.exec_driver_sql("ROLLBACK")
        except DBAPIError:
            self._connection.invalidate()  # SQLite has taken it back by itself, or the file is gone
            self._connection.close()
            self._connection = self._connection.engine.connect()
        for job in jobs:
            job.done.set_exception(not_saved(error))
