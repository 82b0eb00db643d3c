"""What was acknowledged is there after the process was killed; what cannot be written is refused loudly."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from tests.web.care.conftest import Clock, Served, event, plain, pressure

from euthymia.web.care import audit
from euthymia.web.care.refusals import NotSavedError
from euthymia.web.care.settings import CareSettings
from euthymia.web.care.store import Store, read_stream
from euthymia.web.care.verify import verify

KILLS = int(os.environ.get("EUTHYMIA_KILLS", "2"))
"""Rounds; 40 was run by hand, see docs/care/security.md."""
CLIENTS = 4
SERVER = Path(__file__).with_name("serve_for_test.py")


def _start(data: Path) -> tuple[subprocess.Popen[str], httpx.Client]:
    process = subprocess.Popen([sys.executable, str(SERVER), str(data)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    port, token, csrf = process.stdout.readline().split()
    headers = {"X-CSRF-Token": csrf}
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", cookies={"care": token}, headers=headers, timeout=10
    )
    for _ in range(200):
        try:
            client.get("/login")
            break
        except httpx.TransportError:
            time.sleep(0.02)
    return process, client


def _load(client: httpx.Client, name: str, acknowledged: list[str]) -> None:
    """Write readings one after the other until the server is gone."""
    for version in range(100_000):
        said = event(session=name, values=pressure(100 + version % 60))
        body = {"events": [plain(said)], "expected": {f"session:{name}": version}}
        try:
            answer = client.post("/api/events", json=body)
        except httpx.TransportError:
            return
        assert answer.status_code == 200, answer.text
        acknowledged.append(said.event_id)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_to_kill_9(tmp_path: Path):
    data = tmp_path / "care.sqlite"
    acknowledged: list[str] = []
    for number in range(KILLS):
        process, client = _start(data)
        threads = [
            threading.Thread(target=_load, args=(client, f"r{number}c{one}", acknowledged))
            for one in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.4 + 0.037 * (number % 11))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for thread in threads:
            thread.join()
        client.close()
        assert process.stdout
        process.stdout.close()
    assert len(acknowledged) > 10 * KILLS
    found = verify(data, anchors=audit.Anchors(data))
    assert found.problems == []
    with closing(sqlite3.connect(data)) as connection:
        there = {one for (one,) in connection.execute("SELECT event_id FROM events")}
        trail = connection.execute("SELECT count(*) FROM audit WHERE action = 'event'").fetchone()[0]
    assert set(acknowledged) <= there
    assert len(there) == trail
    assert len(there) - len(acknowledged) <= KILLS * CLIENTS
    print(f"{KILLS} kills, {len(acknowledged)} acknowledged, 0 lost")


@contextmanager
def _small_disk(folder: Path, *, KiB: int):
    """Mount a disk of a few KiB; where that is not allowed, skip."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={KiB}k", "tmpfs", str(folder)], capture_output=True
    )
    if done.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_loudly_and_nothing_is_half_written(tmp_path: Path, settings: CareSettings):
    with _small_disk(tmp_path / "disk", KiB=1024) as disk:
        store = Store.open(replace(settings, data=disk / "care.sqlite"))
        written = _fill_up(store)
        assert written > 10
        assert not store.writer.is_well
        with store.reading() as connection:
            assert len(read_stream(connection, "session:s1")) == written
        with pytest.raises(NotSavedError):
            store.note(audit.Entry(actor="a", role="", action="x", detail={"y": "z" * 200_000}))
        store.anchors.close()
        store.writer.close()
        assert verify(disk / "care.sqlite", anchors=audit.Anchors(disk / "care.sqlite")).problems == []
        store.engine.dispose()
        store._lock.release()


def _fill_up(store: Store) -> int:
    """Write until it is refused; return how many were written."""
    for written in range(10_000):
        said = event(values=pressure(100), facts={"note": "x" * 900})
        try:
            store.record([said], expected={"session:s1": written})
        except NotSavedError:
            return written
    pytest.fail("the disk never filled")


def test_a_disk_with_room_again_is_written_to_again(store: Store, monkeypatch: pytest.MonkeyPatch):
    whole = store.record([event(values=pressure(100))], expected={"session:s1": 0})
    with monkeypatch.context() as broken:
        broken.setattr(store, "_put", _full)
        with pytest.raises(NotSavedError):
            store.record([event(values=pressure(101))], expected={"session:s1": 1})
    assert not store.writer.is_well
    [again] = store.record([event(values=pressure(102))], expected={"session:s1": 1})
    assert again.seq == whole[0].seq + 1
    assert store.writer.is_well


def _full(*_: Any, **__: Any) -> Any:
    raise OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))


def test_a_database_that_somebody_else_holds_is_refused_not_waited_for(store: Store):
    store.record([event(values=pressure(100))], expected={"session:s1": 0})
    with closing(sqlite3.connect(store.settings.data, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        started = time.perf_counter()
        with pytest.raises(NotSavedError):
            store.record([event(values=pressure(101))], expected={"session:s1": 1})
        assert time.perf_counter() - started < 10
        other.execute("ROLLBACK")
    assert store.record([event(values=pressure(101))], expected={"session:s1": 1})[0].version == 2


def test_the_page_says_not_saved(served: Served, monkeypatch: pytest.MonkeyPatch):
    client = served.client("nurse")
    body = {"events": [plain(event(values=pressure(100)))], "expected": {"session:s1": 0}}
    with monkeypatch.context() as broken:
        broken.setattr(served.care.store, "_put", _full)
        answer = client.post("/api/events", json=body)
    assert answer.status_code == 503
    assert "NOT SAVED" in answer.json()["errors"][0]["message"]
    assert client.post("/api/events", json=body).status_code == 200, "the same request, sent again"


def test_a_record_below_a_file_cannot_be_made(settings: CareSettings, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Store.open(replace(settings, data=tmp_path / "file" / "care.sqlite"))


def test_many_writers_at_once_get_every_version_once(store: Store):
    """Eight threads race for one stream: each version is won once, the rest are told what changed."""
    won: list[int] = []

    def race() -> None:
        from euthymia.web.care.refusals import StaleError

        for _ in range(10):
            with store.reading() as connection:
                seen = len(read_stream(connection, "session:s1"))
            try:
                won.append(
                    store.record([event(values=pressure(100))], expected={"session:s1": seen})[0].version
                )
            except StaleError:
                pass

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(1, len(won) + 1))


def test_a_clock_that_steps_back_keeps_entry_times_and_the_trail_in_order(store: Store, clock: Clock):
    for number, hours in enumerate((0, 1, -3, 0.5)):
        clock.go(hours=hours)
        store.record([event(values=pressure(100), at=clock())], expected={"session:s1": number})
    with store.reading() as connection:
        times = [one.event.entered_at for one in read_stream(connection, "session:s1")]
    assert times == sorted(times)
    assert verify(store.settings.data, anchors=store.anchors).problems == []
