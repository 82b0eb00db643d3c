"""A record served for real on a free port, with cheap hashes and a clock that tests move."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
import uvicorn

from euthymia.care.record import Event, Quantity
from euthymia.web.care.app import Care, create_care_app
from euthymia.web.care.settings import CareSettings, Hashing
from euthymia.web.care.store import Person, Store

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CHEAP = Hashing(time_cost=1, memory_KiB=8, lanes=1)
PASSPHRASE = "four words of one's own"
PIN = "271828"
SURNAME = "Zwiebelfisch"
"""A name that stands nowhere else: what leaks is found by it."""


@dataclass(slots=True)
class Clock:
    """Gives an instant that tests move."""

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at

    def go(self, **span: float) -> None:
        self.at += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: waiting for the disk is what the tests of durability are for."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def settings(folder: Path, clock: Clock) -> CareSettings:
    return CareSettings(
        data=folder / "care.sqlite", clock=clock, hashing=CHEAP, anchor_every_s=3600, heartbeat_s=0.2
    )


@pytest.fixture
def store(settings: CareSettings) -> Iterator[Store]:
    opened = Store.open(settings)
    yield opened
    opened.close()


def event(kind: str = "reading_taken", session: str = "s1", *, at: datetime = START, **more: Any) -> Event:
    """Return an event of a session; ``n`` is part of no fact, so each is new."""
    subjects = more.pop("subjects", {"patient": f"p-{session}", "course": f"c-{session}", "session": session})
    return Event(
        event_id=more.pop("event_id", uuid.uuid4().hex),
        kind=kind,
        subjects=subjects,
        observed_at=at,
        entered_at=at,
        author=more.pop("author", "nurse"),
        role=more.pop("role", "nurse"),
        **more,
    )


def pressure(systolic: float) -> dict[str, Quantity]:
    """Return one value as the core keeps it."""
    one = Quantity(entered=f"{systolic:g}", unit="mmHg", canonical=float(systolic), canonical_unit="mmHg")
    return {"systolic_mmHg": one}


def plain(one: Event) -> dict[str, Any]:
    """Return an event as a page would send it."""
    left_out = ("schema", "entered_at", "author", "role")
    return {name: value for name, value in one.to_dict().items() if name not in left_out}


def named(patient: str, *, version: int = 1) -> Person:
    """Return somebody whose name is found wherever it leaks."""
    return Person(
        patient=patient,
        name=f"Anna {SURNAME}",
        birth_date="1971-03-04",
        contact={"phone": "0123"},
        version=version,
    )


@dataclass(slots=True)
class Served:
    """A record on a free port of this machine."""

    app: Any
    care: Care
    address: str
    clock: Clock
    server: uvicorn.Server
    thread: threading.Thread
    clients: list[httpx.Client] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)

    def stop(self) -> None:
        """Stop serving, as a power cut would look from a tablet."""
        self.server.should_exit = True
        self.thread.join(timeout=20)

    def bare(self) -> httpx.Client:
        """Return a client that nobody has signed in with."""
        client = httpx.Client(base_url=self.address, timeout=20)
        self.clients.append(client)
        return client

    def account(self, account: str, *roles: str) -> None:
        """Make an account with passphrase, authenticator and PIN."""
        accounts = self.care.accounts
        token = accounts.invite(account=account, name=account.title(), roles=roles, actor="console", role="")
        accounts.join(account=account, token=token, passphrase=PASSPHRASE)
        secret = pyotp.random_base32()
        self.secrets[account] = secret
        accounts.enrol(account, secret=secret, code=self.code(account), pin=PIN)
        self.clock.go(seconds=31)

    def code(self, account: str) -> str:
        """Return what the authenticator shows now."""
        return pyotp.TOTP(self.secrets[account]).at(self.clock())

    def client(self, *roles: str, account: str = "") -> httpx.Client:
        """Return a client signed in as somebody with some roles, the token of its forms set."""
        name = account or "-".join(roles).replace("_", "")
        if name not in self.secrets:
            self.account(name, *roles)
        with self.care.store.reading() as connection:
            from euthymia.web.care.accounts import read_account

            found = read_account(connection, name)
        assert found
        token, session = self.care.sessions.begin(found, stage="full")
        client = self.bare()
        client.cookies.set("care", token)
        client.headers["X-CSRF-Token"] = session.csrf
        return client


def run_server(app: Any, *, port: int = 0) -> tuple[uvicorn.Server, threading.Thread, str]:
    """Serve an application on a thread until it listens."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    for _ in range(400):
        if server.started:
            break
        time.sleep(0.01)
    assert server.started
    return server, thread, f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def serve(settings: CareSettings, clock: Clock) -> Iterator[Callable[..., Served]]:
    """Start as many servers as asked for; all end with the test."""
    running: list[Served] = []

    def start(**changes: Any) -> Served:
        app = create_care_app(replace(settings, **changes))
        server, thread, address = run_server(app)
        running.append(
            Served(app=app, care=app.state.care, address=address, clock=clock, server=server, thread=thread)
        )
        return running[-1]

    yield start
    for served in running:
        for client in served.clients:
            client.close()
        served.stop()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    return serve()
