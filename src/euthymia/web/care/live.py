"""What changed, told to every open page at once, with a heartbeat: a page that hears none says so."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi.responses import StreamingResponse
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from euthymia.care.record import to_text
from euthymia.web.care import audit
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens
from euthymia.web.care.roles import may
from euthymia.web.care.store import Change, Store, read_row
from euthymia.web.care.tables import EVENTS, RESTRICTED

if TYPE_CHECKING:
    from euthymia.web.care.sessions import Sessions

LOG = logging.getLogger("euthymia.care")
SCREENS = Screens()
RETRY_MS = 2000
MOST_WAITING = 500
MOST_REPLAYED = 2000
ROW_RIGHTS = {
    "sessions": "board.read",
    "patients": "patient.read",
    "obligations": "obligation.read",
    "alerts": "obligation.read",
    "stock": "stock.read",
    "clinic": "board.read",
}
"""Who hears that a row of a read model moved; a model that is not listed nobody hears of."""
CLINICAL = ("reading", "given_mg", "dosed_at", "open_incidents")
"""Fields of a session's row for those only who may open sessions."""


@dataclass(eq=False, slots=True)
class Listener:
    """One open page."""

    key: str
    account: str
    roles: tuple[str, ...]
    queue: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    seq: int = 0

    def put(self, message: str | None) -> None:
        """Queue a message; a page that does not keep up is cut off and comes back by itself."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(None)


def encode(event: str, data: dict[str, Any], *, number: int | None = None) -> str:
    """Return a server-sent event."""
    first = f"id: {number}\n" if number is not None else ""
    return f"{first}event: {event}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


class Hub:
    """Tells every open page what changed.

    Parameters
    ----------
    store : Store
    sessions : Sessions
    """

    def __init__(self, store: Store, sessions: Sessions) -> None:
        self.store = store
        self.sessions = sessions
        self.listeners: set[Listener] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Change] = []
        self._rings = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.seq = 0

    async def start(self) -> None:
        """Begin to listen to the store and to beat."""
        self._loop = asyncio.get_running_loop()
        self.seq = await run_in_threadpool(self._last_seq)
        self.store.listeners.append(self._heard)
        self._tasks = [asyncio.create_task(self._tell()), asyncio.create_task(self._beat())]

    async def stop(self) -> None:
        """Send every page away."""
        self.store.listeners.remove(self._heard)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in tuple(self.listeners):
            listener.put(None)

    def _last_seq(self) -> int:
        with self.store.reading() as connection:
            return connection.exec_driver_sql("SELECT coalesce(max(seq), 0) FROM events").scalar() or 0

    def _heard(self, _head: audit.Head, changes: Sequence[Any]) -> None:
        """Take what was committed, on the writer's thread."""
        found = [one for one in changes if isinstance(one, Change)]
        if found and self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring, found)

    def _ring(self, changes: Sequence[Change]) -> None:
        self._waiting += changes
        self._rings.set()

    async def _tell(self) -> None:
        while True:
            await self._rings.wait()
            self._rings.clear()
            changes, self._waiting = self._waiting, []
            try:
                rows = await run_in_threadpool(self.rows, {row for one in changes for row in one.rows})
            except Exception as error:
                LOG.error("live pages: %s", type(error).__name__)
                continue
            previous, self.seq = self.seq, max(one.seq for one in changes)
            self._send(rows, previous=previous)

    def rows(self, wanted: set[tuple[str, str]]) -> list[dict[str, Any]]:
        """Return rows of read models that moved, with the state of sessions that are open to all."""
        with self.store.reading() as connection:
            found = [
                {
                    "name": name,
                    "key": key,
                    "state": read_row(connection, name, key) if name == "sessions" else None,
                }
                for name, key in sorted(wanted)
            ]
            patients = {one["state"]["patient"] for one in found if one["state"]}
            query = select(RESTRICTED.c.patient).where(RESTRICTED.c.patient.in_(patients))
            closed = set(connection.execute(query).scalars())
        for one in found:
            if one["state"] and one["state"]["patient"] in closed:
                one["state"] = None
        return found

    def _send(self, rows: Sequence[dict[str, Any]], *, previous: int) -> None:
        """Give each page what its roles may hear; pages of the same roles share one text."""
        texts: dict[tuple[str, ...], str] = {}
        for listener in tuple(self.listeners):
            if listener.seq >= self.seq:
                continue
            if listener.roles not in texts:
                texts[listener.roles] = self.message(rows, listener.roles, previous=previous)
            listener.put(texts[listener.roles])
            listener.seq = self.seq

    def message(self, rows: Sequence[dict[str, Any]], roles: tuple[str, ...], *, previous: int) -> str:
        """Return the event that says what moved, as far as some roles may hear it."""
        heard = [_as_seen(one, roles) for one in rows if may(roles, ROW_RIGHTS.get(one["name"], ""))]
        return encode("change", {"previous": previous, "seq": self.seq, "rows": heard}, number=self.seq)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.store.settings.heartbeat_s)
            listeners = tuple(self.listeners)
            try:
                opened = await run_in_threadpool(self.sessions.still_open, {one.key for one in listeners})
            except Exception as error:  # without the database nobody is live: no beat, and the pages say so
                LOG.error("heartbeat: %s", type(error).__name__)
                continue
            text = self.beat()
            for listener in listeners:
                listener.put(text if listener.key in opened else None)

    def beat(self) -> str:
        """Return a heartbeat: the server's time, the newest event, and whether the last write was kept."""
        is_well = self.store.writer.is_well
        return encode("beat", {"at": to_text(self.store.now()), "seq": self.seq, "is_well": is_well})

    async def replay(self, listener: Listener, after: int) -> str:
        """Return what moved since a page last heard something."""

        def read() -> set[tuple[str, str]]:
            query = (
                select(EVENTS.c.body).where(EVENTS.c.seq > after).order_by(EVENTS.c.seq).limit(MOST_REPLAYED)
            )
            with self.store.reading() as connection:
                bodies = list(connection.execute(query).scalars())
            return _rows_of(bodies)

        rows = await run_in_threadpool(lambda: self.rows(read()))
        return self.message(rows, listener.roles, previous=after)


def _rows_of(bodies: Sequence[str]) -> set[tuple[str, str]]:
    from euthymia.care.record import Event
    from euthymia.web.care.projections import PROJECTIONS

    events = [Event.from_dict(json.loads(body)) for body in bodies]
    return {(one.name, key) for event in events for one in PROJECTIONS if (key := one.key_of(event))}


def _as_seen(row: dict[str, Any], roles: tuple[str, ...]) -> dict[str, Any]:
    if not row["state"] or may(roles, "session.read"):
        return row
    return {**row, "state": {name: one for name, one in row["state"].items() if name not in CLINICAL}}


@SCREENS.show("/live", right="board.read")
async def live(ask: Ask) -> StreamingResponse:
    """Stream what changes, from ``Last-Event-ID`` on, with a heartbeat; ends when the session locks."""
    listener = Listener(key=ask.signed_in.key, account=ask.actor, roles=ask.roles)
    hub = ask.care.hub
    given = ask.request.headers.get("last-event-id", "")
    after = int(given) if given.isdecimal() and len(given) < 16 else hub.seq
    await run_in_threadpool(ask.note, "live opened", after=min(after, hub.seq))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(ask, listener, after), media_type="text/event-stream", headers=headers)


async def _stream(ask: Ask, listener: Listener, after: int) -> AsyncIterator[str]:
    hub = ask.care.hub
    listener.seq = hub.seq
    hub.listeners.add(listener)
    try:
        yield f"retry: {RETRY_MS}\n\n" + hub.beat()
        if after < listener.seq:
            yield await hub.replay(listener, after)
        while (message := await listener.queue.get()) is not None:
            yield message
    finally:
        hub.listeners.discard(listener)
        entry = audit.Entry(
            actor=ask.actor,
            role=ask.role,
            action="live closed",
            detail={"after": after, "until": listener.seq},
        )
        ask.care.store.writer.submit(lambda batch: ask.care.store.trail(batch, entry))
