"""Accounts: made by a one-time token, with passphrase, authenticator and PIN; each change is in the trail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from euthymia.care.record import from_text, to_text
from euthymia.web.care import audit, passwords
from euthymia.web.care.refusals import (
    NotAllowedError,
    NotFoundError,
    StaleError,
    TooOftenError,
    UnusableError,
)
from euthymia.web.care.roles import OWNER, ROLES
from euthymia.web.care.store import Store
from euthymia.web.care.tables import ACCOUNTS, ATTEMPTS, META, SESSIONS
from euthymia.web.care.verify import ACCOUNT_FIELDS
from euthymia.web.care.writer import Batch

TOKEN_H = 72
WINDOW_S = 900.0
MOST_PER_PAIR, MOST_PER_ACCOUNT, MOST_PER_ADDRESS = 5, 30, 40
"""Failed attempts in a quarter of an hour: of an account from an address, of an account, of an address."""
SET_UP = "set_up_token"
NOBODY = "-"
CHANGED = "accounts"
"""Told to listeners after an account has changed: rights count at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Somebody who can sign in, without the secrets."""

    account: str
    name: str
    roles: tuple[str, ...]
    is_active: bool
    is_enrolled: bool
    created_at: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "account": self.account,
            "name": self.name,
            "roles": list(self.roles),
            "is_active": self.is_active,
            "is_enrolled": self.is_enrolled,
            "created_at": self.created_at,
        }


def read_account(connection: Connection, account: str) -> Account | None:
    """Return an account; None where there is none."""
    row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.account == account)).first()
    return _account(row) if row else None


def read_accounts(connection: Connection) -> list[Account]:
    """Return every account."""
    return [_account(row) for row in connection.execute(select(ACCOUNTS).order_by(ACCOUNTS.c.account))]


def _account(row: Any) -> Account:
    return Account(
        account=row.account,
        name=row.name,
        roles=tuple(json.loads(row.roles)),
        is_active=bool(row.is_active),
        is_enrolled=row.secret is not None and row.pin is not None and row.password is not None,
        created_at=row.created_at,
    )


class Accounts:
    """Makes, changes and checks accounts.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.hasher = passwords.Hasher(store.settings.hashing)

    def set_up_token(self) -> str | None:
        """Return a new one-time token while there is no account, else None; older ones count no more."""
        token = passwords.new_token()

        def work(batch: Batch) -> str | None:
            if batch.connection.execute(select(func.count()).select_from(ACCOUNTS)).scalar():
                return None
            batch.connection.execute(delete(META).where(META.c.name == SET_UP))
            batch.connection.execute(insert(META), {"name": SET_UP, "value": passwords.fingerprint(token)})
            self.store.trail(batch, audit.Entry(actor="console", role="", action="set-up token made"))
            return token

        return self.store.write(work)

    def set_up(self, *, token: str, account: str, name: str, passphrase: str) -> Account:
        """Make the first account, an owner, for who holds the token.

        Raises
        ------
        NotAllowedError, UnusableError
        """
        check_name(account)
        hashed = self.hasher.hash(passwords.check_passphrase(passphrase, account=account))

        def work(batch: Batch) -> Account:
            stored = batch.connection.execute(select(META.c.value).where(META.c.name == SET_UP)).scalar()
            if not stored or not passwords.is_same(stored, passwords.fingerprint(token)):
                message = "This token is not the one that was printed last, or it has been used."
                raise NotAllowedError(message, field="token")
            batch.connection.execute(delete(META).where(META.c.name == SET_UP))
            row = self._new_row(account, name, [OWNER]) | {"password": hashed}
            return self._insert(batch, row, actor=account, what="set up")

        return self.store.write(work)

    def invite(self, *, account: str, name: str, roles: Sequence[str], actor: str, role: str) -> str:
        """Make an account and return the one-time token with which its owner signs in first.

        Raises
        ------
        UnusableError, StaleError
        """
        check_name(account)
        check_roles(roles)
        token = passwords.new_token()

        def work(batch: Batch) -> str:
            if read_account(batch.connection, account):
                message = "There is an account of this name."
                raise StaleError(message, field="account")
            row = self._new_row(account, name, roles) | self._token(token)
            self._insert(batch, row, actor=actor, what="invited", role=role)
            return token

        return self.store.write(work)

    def join(self, *, account: str, token: str, passphrase: str) -> Account:
        """Set the passphrase of an account for who holds its token; authenticator and PIN are set next.

        Raises
        ------
        NotAllowedError, UnusableError
        """
        hashed = self.hasher.hash(passwords.check_passphrase(passphrase, account=account))

        def work(batch: Batch) -> Account:
            row = self._row(batch.connection, account)
            if not row or not row.token or not row.is_active or not self._is_token(row, token):
                message = "This token is not right, has been used, or is too old."
                raise NotAllowedError(message, field="token")
            fresh = {"password": hashed, "token": None, "token_until": None, "pin": None, "secret": None}
            return self._update(batch, account, fresh | {"last_step": 0}, actor=account, what="joined")

        return self.store.write(work)

    def _is_token(self, row: Any, token: str) -> bool:
        is_right = passwords.is_same(row.token, passwords.fingerprint(token))
        return is_right and to_text(self.store.now()) < row.token_until

    def change(
        self,
        account: str,
        *,
        actor: str,
        role: str,
        roles: Sequence[str] | None = None,
        is_active: bool | None = None,
    ) -> Account:
        """Change roles, or close or open an account; its sessions end at once.

        Raises
        ------
        NotFoundError, UnusableError
            The last active owner stays one.
        """
        fresh: dict[str, Any] = {}
        if roles is not None:
            fresh["roles"] = json.dumps(sorted(check_roles(roles)))
        if is_active is not None:
            fresh["is_active"] = int(is_active)

        def work(batch: Batch) -> Account:
            found = self._update(batch, account, fresh, actor=actor, what="changed", role=role)
            _require_owner(read_accounts(batch.connection))
            batch.connection.execute(delete(SESSIONS).where(SESSIONS.c.account == account))
            return found

        return self.store.write(work)

    def reset(self, account: str, *, actor: str, role: str) -> str:
        """Take an account's passphrase, PIN and authenticator; return the token with which to set them."""
        token = passwords.new_token()
        fresh = {"password": None, "pin": None, "secret": None, "recovery": "[]", "last_step": 0}

        def work(batch: Batch) -> str:
            self._update(batch, account, fresh | self._token(token), actor=actor, what="reset", role=role)
            batch.connection.execute(delete(SESSIONS).where(SESSIONS.c.account == account))
            return token

        return self.store.write(work)

    def enrol(self, account: str, *, secret: str, code: str, pin: str) -> list[str]:
        """Set authenticator and PIN, once; return the recovery codes, which are shown this one time.

        Raises
        ------
        UnusableError, NotAllowedError
        """
        hashed = self.hasher.hash(passwords.check_pin(pin))
        step = passwords.step_of(secret, code, at=self.store.now(), after=0)
        if step is None:
            message = "This code is not the one that the authenticator shows now."
            raise UnusableError(message, field="code")
        codes = passwords.new_recovery_codes()
        stored = json.dumps([passwords.fingerprint(one) for one in codes])
        fresh = {"secret": secret, "pin": hashed, "last_step": step, "recovery": stored}

        def work(batch: Batch) -> list[str]:
            row = self._row(batch.connection, account)
            if not row or row.secret is not None:
                message = "This account has an authenticator."
                raise NotAllowedError(message)
            self._update(batch, account, fresh, actor=account, what="enrolled")
            return codes

        return self.store.write(work)

    def set_pin(self, account: str, pin: str) -> None:
        """Change the PIN.

        Raises
        ------
        UnusableError
        """
        hashed = self.hasher.hash(passwords.check_pin(pin))
        self.store.write(
            lambda batch: self._update(batch, account, {"pin": hashed}, actor=account, what="changed the PIN")
        )

    def check_passphrase(self, account: str, passphrase: str, *, address: str) -> Account:
        """Return the account whose passphrase this is.

        Raises
        ------
        NotAllowedError
            The same for an unknown account, a closed one and a wrong passphrase.
        TooOftenError
        """
        self._require_few(account, address)
        with self.store.reading() as connection:
            row = self._row(connection, account)
        stored = row.password if row and row.is_active else None
        if not self.hasher.is_right(stored, passphrase):
            self._fail(account, address, "wrong passphrase")
            message = "Account or passphrase is wrong."
            raise NotAllowedError(message)
        return _account(row)

    def check_code(self, account: str, code: str, *, address: str) -> None:
        """Accept a code of the authenticator, or a recovery code; each counts once.

        Raises
        ------
        NotAllowedError, TooOftenError
        """
        self._require_few(account, address)
        if not self.store.write(lambda batch: self._use_code(batch, account, code)):
            self._fail(account, address, "wrong code")
            message = "This code is wrong or was used before."
            raise NotAllowedError(message, field="code")

    def _use_code(self, batch: Batch, account: str, code: str) -> bool:
        row = self._row(batch.connection, account)
        if not row or not row.is_active or row.secret is None:
            return False
        step = passwords.step_of(row.secret, code, at=self.store.now(), after=row.last_step)
        if step is not None:
            one = update(ACCOUNTS).where(ACCOUNTS.c.account == account)
            batch.connection.execute(one.values(last_step=step))
            return True
        kept = json.loads(row.recovery)
        used = passwords.fingerprint(re.sub(r"\s", "", code))
        if used not in kept:
            return False
        fresh = {"recovery": json.dumps([one for one in kept if one != used])}
        self._update(batch, account, fresh, actor=account, what="used a recovery code")
        return True

    def is_pin(self, account: str, pin: str) -> bool:
        """Return whether this is the PIN of an active account."""
        with self.store.reading() as connection:
            row = self._row(connection, account)
        return self.hasher.is_right(row.pin if row and row.is_active else None, pin)

    def check_witness(self, account: str, pin: str, *, address: str) -> Account:
        """Return the account of a second person who signs with their PIN.

        Raises
        ------
        NotAllowedError, TooOftenError
        """
        self._require_few(account, address)
        if not self.is_pin(account, pin):
            self._fail(account, address, "wrong PIN of a witness")
            message = "The second person or their PIN is wrong."
            raise NotAllowedError(message, field="witness")
        with self.store.reading() as connection:
            return _account(self._row(connection, account))

    def _require_few(self, account: str, address: str) -> None:
        limits = _limits(account, address)
        since = self.store.now().timestamp() - WINDOW_S
        with self.store.reading() as connection:
            for key, most in limits.items():
                query = select(func.count()).where(ATTEMPTS.c.key == key, ATTEMPTS.c.at_s > since)
                if (connection.execute(query).scalar() or 0) >= most:
                    message = "Too many attempts. Wait a quarter of an hour, or ask the owner."
                    raise TooOftenError(message)

    def _fail(self, account: str, address: str, what: str) -> None:
        now = self.store.now().timestamp()

        def work(batch: Batch) -> None:
            batch.connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.at_s < now - WINDOW_S))
            rows = [{"key": key, "at_s": now} for key in _limits(account, address)]
            batch.connection.execute(insert(ATTEMPTS), rows)
            known = account if read_account(batch.connection, account) else NOBODY
            self.store.trail(
                batch, audit.Entry(actor=known, role="", action="sign-in refused", detail={"why": what})
            )

        self.store.write(work)

    def _row(self, connection: Connection, account: str) -> Any:
        return connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.account == account)).first()

    def _token(self, token: str) -> dict[str, str]:
        until = self.store.now() + timedelta(hours=TOKEN_H)
        return {"token": passwords.fingerprint(token), "token_until": to_text(until)}

    def _new_row(self, account: str, name: str, roles: Sequence[str]) -> dict[str, Any]:
        empty = dict.fromkeys(("password", "pin", "secret", "token", "token_until"))
        return {
            **empty,
            "account": account,
            "name": name.strip() or account,
            "roles": json.dumps(sorted(roles)),
            "is_active": 1,
            "last_step": 0,
            "recovery": "[]",
            "created_at": to_text(self.store.now()),
        }

    def _insert(
        self, batch: Batch, row: dict[str, Any], *, actor: str, what: str, role: str = OWNER
    ) -> Account:
        batch.connection.execute(insert(ACCOUNTS), row)
        return self._trail(batch, row["account"], actor=actor, what=what, role=role)

    def _update(
        self, batch: Batch, account: str, fresh: dict[str, Any], *, actor: str, what: str, role: str = ""
    ) -> Account:
        done = batch.connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.account == account).values(**fresh))
        if not done.rowcount:
            message = "There is no such account."
            raise NotFoundError(message)
        return self._trail(batch, account, actor=actor, what=what, role=role)

    def _trail(self, batch: Batch, account: str, *, actor: str, what: str, role: str) -> Account:
        row = self._row(batch.connection, account)
        found = audit.digest([getattr(row, name) for name in ACCOUNT_FIELDS])
        detail = {"what": what, "digest": found, "roles": json.loads(row.roles), "is_active": row.is_active}
        self.store.trail(
            batch, audit.Entry(actor=actor, role=role, action=audit.ACCOUNT, about=account, detail=detail)
        )
        batch.changes.append(CHANGED)
        return _account(row)


def _limits(account: str, address: str) -> dict[str, int]:
    """Return how many failures each key may have; the keys say nothing about whom they are of."""
    keys = {f"{account} {address}": MOST_PER_PAIR, account: MOST_PER_ACCOUNT, f"@{address}": MOST_PER_ADDRESS}
    return {passwords.fingerprint(key): most for key, most in keys.items()}


def check_name(account: str) -> str:
    """Return a name that an account may have.

    Raises
    ------
    UnusableError
    """
    if not re.fullmatch(r"[a-z][a-z0-9_.-]{1,31}", account):
        message = "2 to 32 of a-z, 0-9, dot, dash and underscore, a letter first"
        raise UnusableError(message, field="account")
    return account


def check_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Return roles that exist, at least one.

    Raises
    ------
    UnusableError
    """
    found = tuple(dict.fromkeys(roles))
    if not found or not set(found) <= set(ROLES):
        message = f"one or more of {', '.join(ROLES)}"
        raise UnusableError(message, field="roles")
    return found


def _require_owner(accounts: Iterable[Account]) -> None:
    if not any(OWNER in one.roles and one.is_active for one in accounts):
        message = "One active owner has to stay."
        raise UnusableError(message, field="roles")


def is_before(text: str, at: datetime) -> bool:
    """Return whether an instant, as text, lies before another."""
    return from_text(text) < at
