"""Secrets that people know: passphrases and PINs (argon2id), an authenticator's codes, single-use tokens."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from datetime import datetime

from euthymia.web.care.refusals import UnusableError
from euthymia.web.care.settings import Hashing

LEAST_LENGTH, MOST_LENGTH = 15, 128
PIN_DIGITS = 6
RECOVERY_CODES = 10
AT_A_TIME = 2
"""Hashes computed at the same time; each takes tens of MiB."""
STEP_S = 30
RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1q2w3e4r5t6y7u8i9o0p",
)
TOO_PLAIN = ("password", "passwort", "passphrase", "ketamine", "esketamine", "spravato", "euthymia", "clinic",
             "letmein", "welcome", "administrator")  # fmt: skip


class Hasher:
    """Makes and checks argon2id hashes, few at a time.

    Parameters
    ----------
    cost : Hashing
    """

    def __init__(self, cost: Hashing) -> None:
        from argon2 import PasswordHasher

        self._argon2 = PasswordHasher(
            time_cost=cost.time_cost, memory_cost=cost.memory_KiB, parallelism=cost.lanes
        )
        self._turn = threading.BoundedSemaphore(AT_A_TIME)
        self._nobody = self._argon2.hash(secrets.token_hex(16))

    def hash(self, secret: str) -> str:
        """Return the hash of a secret."""
        with self._turn:
            return self._argon2.hash(secret)

    def is_right(self, stored: str | None, secret: str) -> bool:
        """Return whether a secret is the right one; takes as long where there is no hash."""
        from argon2.exceptions import InvalidHashError, VerificationError

        with self._turn:
            try:
                return (
                    self._argon2.verify(stored or self._nobody, secret[:MOST_LENGTH]) and stored is not None
                )
            except (VerificationError, InvalidHashError):
                return False


def check_passphrase(given: str, *, account: str) -> str:
    """Return a passphrase that may be used.

    Fifteen characters leave out every entry of the usual lists of common passwords; what is left are
    repeats, runs of keys, and the words of this place.

    Raises
    ------
    UnusableError
    """
    if not LEAST_LENGTH <= len(given) <= MOST_LENGTH:
        message = f"a passphrase has {LEAST_LENGTH} to {MOST_LENGTH} characters; several words are easiest"
        raise UnusableError(message, field="passphrase")
    if _weight(given, account) < LEAST_LENGTH - 7:
        message = "this is a repeat, a run of keys, or little more than the account or a word of this place"
        raise UnusableError(message, field="passphrase")
    return given


def _weight(given: str, account: str) -> int:
    """Return how many characters are left when what is easily guessed is taken away."""
    plain = given.casefold()
    for word in sorted({*TOO_PLAIN, account.casefold()} - {""}, key=len, reverse=True):
        plain = plain.replace(word, "")
    for run in (*RUNS, *(run[::-1] for run in RUNS)):
        for length in range(len(run), 3, -1):
            for start in range(len(run) - length + 1):
                plain = plain.replace(run[start : start + length], "")
    return len(re.sub(r"(.{1,8}?)\1+", r"\1", plain))


def check_pin(given: str) -> str:
    """Return a PIN that may be used.

    Raises
    ------
    UnusableError
    """
    if (
        not re.fullmatch(r"[0-9]{6,12}", given)
        or len(set(given)) < 3
        or given in "0123456789012" + "9876543210"
    ):
        message = f"a PIN has {PIN_DIGITS} to 12 digits, at least three of them different, and is no run"
        raise UnusableError(message, field="pin")
    return given


def new_token() -> str:
    """Return a token that nobody can guess: 256 bits."""
    return secrets.token_urlsafe(32)


def fingerprint(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_same(one: str, other: str) -> bool:
    """Compare two secrets in a time that says nothing."""
    return hmac.compare_digest(one.encode(), other.encode())


def new_recovery_codes() -> list[str]:
    """Return codes of 80 bits that each open an account once."""
    return [secrets.token_hex(10) for _ in range(RECOVERY_CODES)]


def new_secret() -> str:
    """Return a secret for an authenticator, base 32."""
    import pyotp

    return pyotp.random_base32()


def address_of(secret: str, *, account: str) -> str:
    """Return the address that an authenticator reads."""
    from pyotp.totp import TOTP

    return TOTP(secret).provisioning_uri(name=account, issuer_name="Euthymia care")


def step_of(secret: str, code: str, *, at: datetime, after: int) -> int | None:
    """Return the time step whose code was given; None where it is wrong or was used before.

    Parameters
    ----------
    secret : str
    code : str
    at : datetime
    after : int
        The step that was used last: it and those before count no more.
    """
    from pyotp.totp import TOTP

    now = int(at.timestamp()) // STEP_S
    plain = re.sub(r"\s", "", code)
    for step in (now, now - 1, now + 1):
        if step > after and TOTP(secret).verify(plain, for_time=step * STEP_S):
            return step
    return None
