"""What a running record is told at its start; nothing of it is read from the surroundings later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from euthymia.care.record import Event
    from euthymia.web.care.store import Past, Store

BACKUP_FOLDER = "backups"


HOSTS = ("localhost", "127.0.0.1", "[::1]")


def utc_now() -> datetime:
    """Return the present instant, UTC."""
    return datetime.now(UTC)


class Decide(Protocol):
    """Judge an event inside the transaction that would write it."""

    def __call__(self, past: Past, event: Event, *, deviation: str | None) -> Sequence[Event]:
        """Return the events to write, this one first, or raise what refuses it."""
        ...


def no_time(store: Store) -> int:
    """Let time pass without consequence."""
    del store
    return 0


def accept(past: Past, event: Event, *, deviation: str | None) -> Sequence[Event]:
    """Refuse nothing and add nothing."""
    del past, deviation
    return (event,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hashing:
    """Cost of argon2id: the library's own defaults, above the floor of 19 MiB, 2 rounds."""

    time_cost: int = 3
    memory_KiB: int = 65536
    lanes: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class CareSettings:
    """Settings of one served record.

    Attributes
    ----------
    data : Path
        The SQLite file; its lock, anchors and backups lie beside it.
    is_demo : bool
        Invented patients, in a file of that kind only.
    is_tls : bool
        Whether browsers reach it by TLS: cookies become ``Secure``.
    hosts : tuple of str
        Names under which it may be asked for.
    clock : callable
        Gives the present instant, UTC.
    decide : Decide
        The rules of the core.
    pass_time : callable
        Asked each minute: what the passing of time asks for by those rules.
    idle_lock_min, absolute_h : float
        A session locks after that much rest and ends after that much time.
    heartbeat_s, anchor_every_s, backup_every_min : float
    hashing : Hashing
    """

    data: Path
    is_demo: bool = False
    is_tls: bool = False
    hosts: tuple[str, ...] = HOSTS
    clock: Callable[[], datetime] = utc_now
    decide: Decide = accept
    pass_time: Callable[[Store], int] = no_time
    idle_lock_min: float = 5.0
    absolute_h: float = 12.0
    heartbeat_s: float = 2.0
    anchor_every_s: float = 60.0
    backup_every_min: float = 15.0
    hashing: Hashing = field(default_factory=Hashing)

    @property
    def kind(self) -> str:
        """Return the kind of file: ``record`` or ``demo``."""
        return "demo" if self.is_demo else "record"

    @property
    def backups(self) -> Path:
        """Return the folder of the backups."""
        return self.data.with_name(f"{self.data.stem}-{BACKUP_FOLDER}")
