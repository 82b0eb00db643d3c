"""Backups hold what was there; putting one back gives exactly that, whatever lies beside it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.web.care.conftest import START, SURNAME, event, named, pressure

from euthymia.care.record import to_text
from euthymia.cli.main import call
from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.web.care import audit, backup
from euthymia.web.care.backup import (
    Backup,
    back_up,
    backups_in,
    check_copy,
    read_backup,
    restore,
    superfluous,
)
from euthymia.web.care.pseudonyms import export, make_key
from euthymia.web.care.settings import CareSettings
from euthymia.web.care.store import Store
from euthymia.web.care.verify import verify


@pytest.fixture(autouse=True)
def _in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check copies here; that it is done in a process of its own is tested once, on the command line."""
    if "command_line" not in request.node.name:
        monkeypatch.setattr(backup, "check_in_process", lambda path, data: check_copy(path, data).to_dict())


def _fill(store: Store, count: int, *, start: int = 0) -> None:
    for number in range(start, start + count):
        store.record([event(values=pressure(100))], expected={"session:s1": number})


def _export(path: Path) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM events ORDER BY seq").fetchall()


def test_restore_drill_beside_a_stale_journal(settings: CareSettings):
    """Backup, wipe, restore, verify: rows, head and export equal, beside another file's write-ahead log."""
    store = Store.open(settings)
    _fill(store, 50)
    made = back_up(store, settings.backups)
    store.close()
    before = _export(settings.data)
    settings.data.unlink()
    _leave_a_stale_wal(settings.data)
    verdict = restore(made.path, settings.data, kind="record", now=START)
    assert verdict.problems == []
    assert (verdict.rows, verdict.head) == (made.rows, made.head)
    assert _export(settings.data) == before
    assert not settings.data.with_name(settings.data.name + "-wal").exists()
    again = Store.open(settings)
    _fill(again, 1, start=50)
    again.close()
    after = verify(settings.data, anchors=audit.Anchors(settings.data))
    assert after.problems == []
    assert after.rows["events"] == 51


def _leave_a_stale_wal(data: Path) -> None:
    """Leave the write-ahead log of another database with the same name, as a crash would."""
    other = data.with_name("other.sqlite")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", [(one,) for one in range(500)])
        connection.commit()
        for end in ("-wal", "-shm"):
            shutil.copy(f"{other}{end}", f"{data}{end}")
    assert data.with_name(data.name + "-wal").stat().st_size > 1000


def test_going_back_is_in_the_trail_and_the_old_file_is_kept(settings: CareSettings):
    store = Store.open(settings)
    _fill(store, 5)
    made = back_up(store, settings.backups)
    _fill(store, 5, start=5)
    store.close()
    lost = _export(settings.data)
    restore(made.path, settings.data, kind="record", now=START)
    [old] = settings.data.parent.glob("care-replaced-*.sqlite")
    assert _export(old) == lost
    with closing(sqlite3.connect(settings.data)) as connection:
        [detail] = connection.execute("SELECT detail FROM audit WHERE action = 'restored'").fetchone()
    assert json.loads(detail)["went_back_from"] > made.head.seq
    assert verify(settings.data, anchors=audit.Anchors(settings.data)).problems == []


def test_an_altered_backup_is_not_put_back(settings: CareSettings):
    store = Store.open(settings)
    _fill(store, 5)
    made = back_up(store, settings.backups)
    store.close()
    before = _export(settings.data)
    whole = made.path.read_bytes()
    made.path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(RunFailedError, match="not the file that was checked"):
        restore(made.path, settings.data, kind="record", now=START)
    assert _export(settings.data) == before


def test_a_backup_that_is_not_what_its_note_says_leaves_the_old_record(settings: CareSettings):
    store = Store.open(settings)
    _fill(store, 5)
    made = back_up(store, settings.backups)
    store.close()
    before = _export(settings.data)
    note = made.path.with_name(made.path.name + ".json")
    said = json.loads(note.read_text())
    note.write_text(json.dumps({**said, "rows": {**said["rows"], "events": 4}}))
    with pytest.raises(RunFailedError, match="old record is in its place"):
        restore(made.path, settings.data, kind="record", now=START)
    assert _export(settings.data) == before
    assert verify(settings.data, anchors=audit.Anchors(settings.data)).problems == []


def test_a_demonstration_is_not_put_in_the_place_of_a_record(settings: CareSettings):
    store = Store.open(settings)
    made = back_up(store, settings.backups)
    store.close()
    with pytest.raises(InvalidInputError, match="of the kind 'demo'"):
        restore(made.path, settings.data, kind="demo", now=START)


def test_a_backup_without_its_note_is_none(tmp_path: Path):
    with pytest.raises(InvalidInputError, match="with its note"):
        read_backup(tmp_path / "care-x.sqlite")


def test_a_backup_is_taken_while_others_write(store: Store, settings: CareSettings):
    _fill(store, 20)
    is_over = threading.Event()

    def write() -> None:
        number = 0
        while not is_over.is_set():
            store.record([event(session="busy", values=pressure(100))], expected={"session:busy": number})
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    made = [back_up(store, settings.backups) for _ in range(2)]
    is_over.set()
    writer.join()
    assert made[1].rows["events"] > made[0].rows["events"] >= 20
    assert all(verify(one.path).problems == [] for one in made)


def test_a_damaged_record_gives_no_backup(store: Store, settings: CareSettings):
    _fill(store, 3)
    with closing(sqlite3.connect(settings.data)) as connection, connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("UPDATE audit SET actor = 'somebody' WHERE seq = 2")
    with pytest.raises(RunFailedError, match="does not hold"):
        back_up(store, settings.backups)
    assert backups_in(settings.backups) == []


def test_a_backup_on_a_full_disk_leaves_no_half(store: Store, settings: CareSettings):
    blocked = settings.data.parent / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match=r"directory|exists"):
        back_up(store, blocked / "backups")


def _made(at: datetime) -> Backup:
    empty = audit.Head(0, audit.GENESIS)
    return Backup(
        path=Path(to_text(at)), made_at=at, kind="record", revision="1", rows={}, head=empty, sha256=""
    )


def test_retention_keeps_a_day_whole_then_one_a_day_a_week_a_month():
    now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    every_quarter = [_made(now - timedelta(minutes=15 * one)) for one in range(4 * 24 * 3)]
    gone = superfluous(every_quarter, now=now)
    kept = sorted(set(one.made_at for one in every_quarter) - {one.made_at for one in gone})
    assert len([one for one in kept if now - one <= timedelta(hours=24)]) == 97
    assert len(kept) == 97 + 3
    daily = [_made(now - timedelta(days=one)) for one in range(800)]
    kept_daily = len(daily) - len(superfluous(daily, now=now))
    assert kept_daily == pytest.approx(1 + 30 + 49 + 15, abs=2)
    assert daily[0] not in superfluous(daily, now=now)


def test_backup_and_restore_on_the_command_line(settings: CareSettings, capsys: pytest.CaptureFixture[str]):
    Store.open(settings).close()
    assert call(["care", "backup", "--data", str(settings.data), "--json"]) == 0
    name = json.loads(capsys.readouterr().out)["name"]
    assert call(["care", "restore", str(settings.backups / name), "--data", str(settings.data)]) == 0
    assert "holds" in capsys.readouterr().out
    assert call(["care", "rebuild", "--data", str(settings.data)]) == 0
    assert call(["care", "restore", str(settings.data), "--data", str(settings.data)]) == 2


def test_research_gets_no_name_no_date_and_no_identifier(store: Store, settings: CareSettings):
    make_key(store)
    _fill(store, 3)
    store.put_person(named("p-s1"), actor="desk", role="front_desk")
    said = event(kind="note_added", facts={"text": f"{SURNAME} was tired", "note": "x"}, values={})
    store.record([said], expected={"session:s1": 3})
    with store.reading() as connection:
        text = "".join(export(connection))
    assert len(text.splitlines()) == 4
    assert not any(word in text for word in (SURNAME, "p-s1", "c-s1", "2026-", "tired", "1971"))
    assert len({json.loads(line)["subjects"]["patient"] for line in text.splitlines()}) == 1
    store.erase("p-s1", reason="asked for it", actor="owner", role="owner")
    assert verify(settings.data, anchors=store.anchors).problems == []


def test_settings_say_where_backups_lie(settings: CareSettings):
    assert replace(settings, data=Path("a/b.sqlite")).backups == Path("a/b-backups")
