"""Signed-in sessions: an opaque token in a strict cookie, its fingerprint here, locked after a rest."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from euthymia.care.record import from_text, to_text
from euthymia.web.care import audit, passwords
from euthymia.web.care.accounts import CHANGED, Account, read_account
from euthymia.web.care.store import Store
from euthymia.web.care.tables import SESSIONS
from euthymia.web.care.writer import Batch

ENROL, CODE, FULL, LOCKED = "enrol", "code", "full", "locked"
HALF_WAY_MIN = 15
"""How long somebody may stay between passphrase and code."""
FRESH_MIN = 5
MOST_PIN_FAILURES = 5
WRITE_SEEN_S = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One signed-in browser.

    Attributes
    ----------
    key : str
        Fingerprint of its token.
    account : Account
    csrf : str
    stage : str
        enrol, code, full or locked.
    seen_at, until, fresh_at : datetime
        Last asked something; ends for good; a secret was last given.
    """

    key: str
    account: Account
    csrf: str
    stage: str
    seen_at: datetime
    until: datetime
    fresh_at: datetime


class Sessions:
    """Begins, finds, locks and ends sessions.

    What was read is kept in memory and dropped whenever an account or session changes: there is one process.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[str, Session] = {}
        self._guard = threading.Lock()
        store.listeners.append(self._heard)

    def _heard(self, _head: audit.Head, changes: Sequence[object]) -> None:
        if CHANGED in changes:
            self.forget()

    def begin(
        self, account: Account, *, stage: str, replaces: str | None = None, until: datetime | None = None
    ) -> tuple[str, Session]:
        """Begin a session and return its token, which is told to nobody else; the one it replaces ends."""
        now = self.store.now()
        until = until or now + self._length(stage)
        token = passwords.new_token()
        row = {
            "token": passwords.fingerprint(token),
            "account": account.account,
            "csrf": passwords.new_token(),
            "stage": stage,
            "began_at": to_text(now),
            "seen_at": to_text(now),
            "until": to_text(until),
            "fresh_at": to_text(now),
            "failures": 0,
        }

        def work(batch: Batch) -> None:
            batch.connection.execute(delete(SESSIONS).where(SESSIONS.c.until < to_text(now)))
            if replaces:
                batch.connection.execute(delete(SESSIONS).where(SESSIONS.c.token == replaces))
            batch.connection.execute(insert(SESSIONS), row)
            self._trail(batch, account.account, f"signed in: {stage}")

        self.store.write(work)
        self.forget()
        found = Session(
            key=row["token"],
            account=account,
            csrf=row["csrf"],
            stage=stage,
            seen_at=now,
            until=until,
            fresh_at=now,
        )
        return token, found

    def _length(self, stage: str) -> timedelta:
        if stage == FULL:
            return timedelta(hours=self.store.settings.absolute_h)
        return timedelta(minutes=HALF_WAY_MIN)

    def find(self, token: str) -> Session | None:
        """Return the session of a token, locked if it rested too long; None where there is none."""
        return self.find_key(passwords.fingerprint(token))

    def find_key(self, key: str) -> Session | None:
        """Return the session of a fingerprint; see ``find``."""
        found = self._known.get(key) or self._read(key)
        now = self.store.now()
        if found is None or now >= found.until or not found.account.is_active:
            return None
        if found.stage == FULL and now - found.seen_at > timedelta(minutes=self.store.settings.idle_lock_min):
            return self.lock(found, why="rest")
        return found

    def _read(self, key: str) -> Session | None:
        with self.store.reading() as connection:
            row = connection.execute(select(SESSIONS).where(SESSIONS.c.token == key)).first()
            account = read_account(connection, row.account) if row else None
        if not row or not account:
            return None
        found = Session(
            key=key,
            account=account,
            csrf=row.csrf,
            stage=row.stage,
            seen_at=from_text(row.seen_at),
            until=from_text(row.until),
            fresh_at=from_text(row.fresh_at),
        )
        with self._guard:
            self._known[key] = found
        return found

    def forget(self) -> None:
        """Drop what was read, after an account or session has changed."""
        with self._guard:
            self._known.clear()

    def touch(self, session: Session) -> None:
        """Note that somebody is there; written to the disk now and then."""
        now = self.store.now()
        with self._guard:
            if session.key in self._known:
                self._known[session.key] = replace(self._known[session.key], seen_at=now)
        if now - session.seen_at > timedelta(seconds=WRITE_SEEN_S):
            self._set(session.key, seen_at=to_text(now))

    def _set(self, key: str, **values: object) -> None:
        one = update(SESSIONS).where(SESSIONS.c.token == key).values(**values)
        self.store.write(lambda batch: batch.connection.execute(one) and None)

    def lock(self, session: Session, *, why: str) -> Session:
        """Lock a session; only its PIN opens it."""

        def work(batch: Batch) -> None:
            one = update(SESSIONS).where(SESSIONS.c.token == session.key)
            batch.connection.execute(one.values(stage=LOCKED))
            self._trail(batch, session.account.account, f"locked: {why}")

        self.store.write(work)
        self.forget()
        return replace(session, stage=LOCKED)

    def fail_pin(self, session: Session) -> bool:
        """Count a wrong PIN; return whether the session has ended of it."""

        def work(batch: Batch) -> bool:
            here = SESSIONS.c.token == session.key
            batch.connection.execute(update(SESSIONS).where(here).values(failures=SESSIONS.c.failures + 1))
            count = (
                batch.connection.execute(select(SESSIONS.c.failures).where(here)).scalar()
                or MOST_PIN_FAILURES
            )
            self._trail(batch, session.account.account, "wrong PIN")
            if count >= MOST_PIN_FAILURES:
                batch.connection.execute(delete(SESSIONS).where(here))
            return count >= MOST_PIN_FAILURES

        is_over = self.store.write(work)
        self.forget()
        return is_over

    def freshen(self, session: Session) -> None:
        """Note that a secret was given just now."""
        self._set(session.key, fresh_at=to_text(self.store.now()), failures=0)
        self.forget()

    def is_fresh(self, session: Session) -> bool:
        """Return whether a secret was given a short while ago."""
        return self.store.now() - session.fresh_at <= timedelta(minutes=FRESH_MIN)

    def end(self, session: Session) -> None:
        """End a session."""

        def work(batch: Batch) -> None:
            batch.connection.execute(delete(SESSIONS).where(SESSIONS.c.token == session.key))
            self._trail(batch, session.account.account, "signed out")

        self.store.write(work)
        self.forget()

    def still_open(self, keys: Iterable[str]) -> set[str]:
        """Return those of some sessions that are signed in and not locked."""
        return {key for key in keys if (found := self.find_key(key)) and found.stage == FULL}

    def _trail(self, batch: Batch, account: str, what: str) -> None:
        self.store.trail(batch, audit.Entry(actor=account, role="", action="session", detail={"what": what}))
