"""The clinic's record: durable writes, fifty listeners, fifty users, screens over five years of ten chairs.

``python benchmarks/bench_care.py [--sessions 60000] [--seconds 20] [--folder build/care]``. The record of
many sessions is made once and kept. Times are of the whole request over a socket; server and clients share
the machine.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import uvicorn

from euthymia.care.record import to_text
from euthymia.web.care.accounts import read_account
from euthymia.web.care.app import create_care_app
from euthymia.web.care.invented import days, demo_accounts, write_many
from euthymia.web.care.settings import CareSettings
from euthymia.web.care.store import (
    Store,
    find_people,
    read_patient,
    read_people,
    read_row,
    read_rows,
    read_stream,
)
from euthymia.web.care.verify import verify

A_DAY = 40
FIRST = datetime(2021, 1, 1, tzinfo=UTC)


def shown(name: str, times_s: list[float], *, wall_s: float | None = None) -> None:
    ordered = sorted(times_s)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    rate = f"{len(ordered) / wall_s:7.0f}/s" if wall_s else ""
    print(
        f"{name:48s} n {len(ordered):6d} {rate:9s} median {1e3 * statistics.median(ordered):7.1f} ms   "
        f"p99 {1e3 * p99:7.1f} ms   max {1e3 * ordered[-1]:7.1f} ms",
        flush=True,
    )


def serve(settings: CareSettings) -> tuple[uvicorn.Server, str, object]:
    app = create_care_app(settings)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server, f"http://127.0.0.1:{listening.getsockname()[1]}", app.state.care


def client(address: str, care: object, role: str = "nurse") -> httpx.Client:
    with care.store.reading() as connection:
        account = read_account(connection, f"demo.{role}")
    token, session = care.sessions.begin(account, stage="full")
    return httpx.Client(
        base_url=address, cookies={"care": token}, headers={"X-CSRF-Token": session.csrf}, timeout=30
    )


def reading(name: str) -> dict:
    one = {"entered": "121", "unit": "mmHg", "canonical": 121.0, "canonical_unit": "mmHg"}
    return {
        "event_id": uuid.uuid4().hex,
        "kind": "reading_taken",
        "subjects": {"patient": f"p{name}", "course": f"c{name}", "session": name},
        "observed_at": to_text(datetime.now(UTC)),
        "values": {"systolic_mmHg": one, "diastolic_mmHg": {**one, "canonical": 80.0}},
    }


def paced(
    count: int, rate_per_s: float, seconds: float, work: Callable[[int, int], None]
) -> tuple[list[float], float]:
    """Run work on some threads at a rate in all; return how long each took, and the wall time."""
    times: list[float] = []
    start = time.perf_counter() + 0.2

    def run(place: int) -> None:
        for turn in range(int(seconds * rate_per_s / count)):
            due = start + (turn + place / count) * count / rate_per_s
            time.sleep(max(0.0, due - time.perf_counter()))
            begun = time.perf_counter()
            work(place, turn)
            times.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, time.perf_counter() - start


def post(one: httpx.Client, name: str, version: int) -> None:
    answer = one.post(
        "/api/events", json={"events": [reading(name)], "expected": {f"session:{name}": version}}
    )
    answer.raise_for_status()


def writes_to_store(store: Store, seconds: float) -> None:
    from euthymia.care.record import Event, Quantity

    value = Quantity(entered="121", unit="mmHg", canonical=121.0, canonical_unit="mmHg")

    def work(place: int, turn: int) -> None:
        name = f"store{place}"
        said = Event(
            event_id=uuid.uuid4().hex,
            kind="reading_taken",
            subjects={"patient": f"p{name}", "course": f"c{name}", "session": name},
            observed_at=datetime.now(UTC),
            entered_at=datetime.now(UTC),
            author="nurse",
            role="nurse",
            values={"systolic_mmHg": value, "diastolic_mmHg": value},
        )
        store.record([said], expected={f"session:{name}": turn})

    times, wall = paced(10, 100, seconds, work)
    shown("store: 100 readings/s, 10 writers", times, wall_s=wall)


def over_http(settings: CareSettings, seconds: float) -> None:
    server, address, care = serve(settings)
    demo_accounts(care.store)
    nurses = [client(address, care) for _ in range(10)]
    times, wall = paced(10, 100, seconds, lambda place, turn: post(nurses[place], f"http{place}", turn))
    shown("POST: 100 readings/s, 10 tablets", times, wall_s=wall)
    listeners(address, care, nurses[0])
    users = [client(address, care) for _ in range(50)]

    def use(place: int, turn: int) -> None:
        if turn % 4 == 0:
            post(users[place], f"user{place}", turn // 4)
        else:
            users[place].get("/").raise_for_status()

    times, wall = paced(50, 50, seconds, use)
    shown("50 users, a page or reading each a second", times, wall_s=wall)
    for one in (*nurses, *users):
        one.close()
    server.should_exit = True
    time.sleep(3)


def listeners(address: str, care: object, writer: httpx.Client, count: int = 50, changes: int = 20) -> None:
    heard: list[tuple[int, float]] = []
    ready = threading.Barrier(count + 1)
    first = care.hub.seq

    def listen() -> None:
        with (
            client(address, care) as one,
            one.stream("GET", "/live", headers={"X-Background": "1"}) as answer,
        ):
            ready.wait()
            seen = 0
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    heard.append((int(line[4:]) - first, time.perf_counter()))
                    seen += 1
                if seen == changes:
                    return

    threads = [threading.Thread(target=listen) for _ in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    time.sleep(0.5)
    sent = {}
    for version in range(changes):
        sent[version + 1] = time.perf_counter()
        post(writer, "listened", version)
        time.sleep(0.1)
    for thread in threads:
        thread.join(timeout=30)
    shown(f"change to {count} listeners", [at - sent[number] for number, at in heard])
    print(f"    heard {len(heard)} of {count * changes}")


def screens(folder: Path, sessions: int) -> None:
    settings = CareSettings(data=folder / f"clinic-{sessions}.sqlite", is_demo=True)
    is_new = not settings.data.exists()
    store = Store.open(settings)
    if is_new:
        begun = time.perf_counter()
        count = write_many(store, days(FIRST, count=sessions // A_DAY, a_day=A_DAY))
        demo_accounts(store)
        print(f"made {sessions} sessions, {count} events in {time.perf_counter() - begun:.0f} s")
    print(f"file {settings.data.stat().st_size / 2**20:.0f} MiB")
    last = FIRST + timedelta(days=sessions // A_DAY)
    week = to_text(last - timedelta(days=7)), to_text(last)
    reads: dict[str, Callable] = {
        "board: open sessions": lambda c: read_rows(c, "sessions"),
        "obligations: open": lambda c: read_rows(c, "obligations"),
        "schedule: a week": lambda c: read_rows(
            c, "sessions", is_open=None, since=week[0], until=week[1], limit=500
        ),
        "stock": lambda c: read_rows(c, "stock"),
        "session, all events": lambda c: read_stream(c, f"session:s{sessions // 2}"),
        "patient, all events": lambda c: (read_row(c, "patients", "p7"), read_patient(c, "p7")),
        "names of 200 patients": lambda c: read_people(c, [f"p{one}" for one in range(200)]),
        "search by name": lambda c: find_people(c, "person 1"),
    }
    for name, read in reads.items():
        times = []
        for _ in range(20):
            begun = time.perf_counter()
            with store.reading() as connection:
                read(connection)
            times.append(time.perf_counter() - begun)
        shown(f"{sessions} sessions: {name}", times)
    store.close()
    server, address, care = serve(replace(settings))
    owner = client(address, care, "owner")
    for path in ("/", "/audit", "/audit?actor=demo.nurse", "/audit?about=p7", "/backups", "/accounts"):
        times = []
        for _ in range(20):
            begun = time.perf_counter()
            owner.get(path).raise_for_status()
            times.append(time.perf_counter() - begun)
        shown(f"{sessions} sessions: GET {path}", times)
    times = []
    for version in range(50):
        begun = time.perf_counter()
        with client(address, care) as nurse:
            post(nurse, "late", version)
        times.append(time.perf_counter() - begun)
    shown(f"{sessions} sessions: sign in and POST", times)
    begun = time.perf_counter()
    name = care.keeper.back_up()
    print(f"backup, checked: {time.perf_counter() - begun:.1f} s ({name})")
    (settings.backups / name).unlink()
    (settings.backups / f"{name}.json").unlink()
    server.should_exit = True
    time.sleep(3)
    begun = time.perf_counter()
    verdict = verify(settings.data)
    print(
        f"verify: {time.perf_counter() - begun:.1f} s, {json.dumps(verdict.rows)}, problems {verdict.count}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=60000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--folder", type=Path, default=Path("build/care"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    fresh = given.folder / f"writes-{uuid.uuid4().hex[:8]}.sqlite"
    store = Store.open(CareSettings(data=fresh))
    writes_to_store(store, given.seconds)
    store.close()
    over_http(replace(CareSettings(data=fresh.with_name(f"{fresh.stem}-http.sqlite"))), given.seconds)
    screens(given.folder, given.sessions)
    for path in given.folder.glob("writes-*"):
        if path.is_file():
            path.unlink()


if __name__ == "__main__":
    main()
