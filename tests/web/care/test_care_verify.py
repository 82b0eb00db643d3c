"""Nothing in a record can be edited, removed, put in, moved, cut or written anew without being found."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.web.care.conftest import event, named, pressure

from euthymia.cli.main import call
from euthymia.web.care import audit
from euthymia.web.care.accounts import Accounts
from euthymia.web.care.settings import CareSettings
from euthymia.web.care.store import Store
from euthymia.web.care.verify import Verdict, verify

ROWS = 60
Attack = Callable[[sqlite3.Connection], object]


@pytest.fixture
def written(settings: CareSettings) -> Path:
    """A closed record with sixty readings, a person and an account."""
    store = Store.open(settings)
    Accounts(store).invite(account="anna", name="Anna", roles=["nurse"], actor="console", role="")
    store.put_person(named("p-s1"), actor="desk", role="front_desk")
    for number in range(ROWS):
        store.record([event(values=pressure(100 + number))], expected={"session:s1": number})
    store.close()
    return settings.data


def _look(path: Path, *, has_anchors: bool = True) -> Verdict:
    return verify(path, anchors=audit.Anchors(path) if has_anchors else None)


def _attack(path: Path, attack: Attack) -> None:
    """Change a file as somebody who holds it can: triggers put aside, and back again."""
    with closing(sqlite3.connect(path)) as connection, connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        attack(connection)
        for _, sql in triggers:
            connection.execute(sql)


def _cut(connection: sqlite3.Connection) -> None:
    last = connection.execute("SELECT max(seq) FROM audit").fetchone()[0]
    connection.execute("DELETE FROM audit WHERE seq > ?", (last - 50,))
    kept = connection.execute("SELECT count(*) FROM audit WHERE action = 'event'").fetchone()[0]
    connection.execute("DELETE FROM events WHERE seq > ?", (kept,))


def _write_anew(connection: sqlite3.Connection) -> None:
    """Change one event and every hash from there on, so that the chain is whole again."""
    body = connection.execute("SELECT body FROM events WHERE seq = 5").fetchone()[0].replace('"104"', '"94"')
    connection.execute("UPDATE events SET body = ? WHERE seq = 5", (body,))
    row = connection.execute(
        "SELECT seq, stream, version, patient, body FROM events WHERE seq = 5"
    ).fetchone()
    previous = audit.GENESIS
    for line in connection.execute(
        "SELECT seq, at, actor, role, action, about, detail FROM audit ORDER BY seq"
    ).fetchall():
        detail = json.loads(line[6])
        if detail.get("seq") == 5 and line[4] == "event":
            line = (*line[:6], audit.canonical({**detail, "digest": audit.event_digest(*row)}))
        found = audit.row_hash(*line, previous)
        connection.execute(
            "UPDATE audit SET detail = ?, previous = ?, hash = ? WHERE seq = ?",
            (line[6], previous, found, line[0]),
        )
        previous = found


def _swap(table: str, columns: str) -> Attack:
    def attack(connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            f"SELECT {columns} FROM {table} WHERE seq IN (20, 21) ORDER BY seq"
        ).fetchall()
        names = columns.split(", ")
        setting = ", ".join(f"{name} = ?" for name in names)
        for seq, row in zip((21, 20), rows, strict=True):
            connection.execute(f"UPDATE {table} SET {setting} WHERE seq = ?", (*row, seq))

    return attack


def _sql(*statements: str) -> Attack:
    def attack(connection: sqlite3.Connection) -> None:
        for statement in statements:
            assert connection.execute(statement).rowcount, statement

    return attack


INSERTED = """INSERT INTO events SELECT (SELECT max(seq) + 1 FROM events), 'put-in', stream, 9999, kind,
    patient, entered_at, author, body FROM events WHERE seq = 3"""
TAMPERED: dict[str, tuple[Attack, str]] = {
    "event edited": (
        _sql("UPDATE events SET body = replace(body, '\"104\"', '\"94\"') WHERE seq = 5"),
        "event 5 was edited",
    ),
    "event removed": (_sql("DELETE FROM events WHERE seq = 9"), "event 9 .* missing"),
    "last event removed": (_sql(f"DELETE FROM events WHERE seq = {ROWS}"), "is gone"),
    "event put in": (_sql(INSERTED), "inserted"),
    "events swapped": (_swap("events", "body"), "event 20 was edited"),
    "event of another patient": (
        _sql("UPDATE events SET patient = 'p-other' WHERE seq = 5"),
        "event 5 was edited",
    ),
    "trail edited": (_sql("UPDATE audit SET actor = 'somebody' WHERE seq = 12"), "row 12 was edited"),
    "trail row removed": (_sql("DELETE FROM audit WHERE seq = 12"), "row 12 is missing"),
    "trail row put in": (
        _sql(
            "UPDATE audit SET seq = 1000 WHERE seq = 12",
            "INSERT INTO audit SELECT 12, at, actor, role, action, "
            "about, detail, previous, hash FROM audit WHERE seq = 13",
        ),
        "row 12",
    ),
    "trail rows swapped": (_swap("audit", "at, actor, detail, previous, hash"), "row 20"),
    "time changed": (
        _sql("UPDATE audit SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = 30"),
        "row 30 was edited",
    ),
    "last fifty cut": (_cut, "the trail was cut"),
    "written anew": (_write_anew, "written anew"),
    "all emptied": (_sql("DELETE FROM audit", "DELETE FROM events"), "the trail was cut"),
    "person edited": (_sql("UPDATE people SET birth_date = '1970-01-01'"), "was edited or put in"),
    "person removed": (_sql("DELETE FROM people"), "was removed"),
    "roles given": (_sql("""UPDATE accounts SET roles = '["owner"]'"""), "account anna was edited"),
    "account put in": (
        _sql(
            "INSERT INTO accounts SELECT 'eve', name, roles, 1, password, pin, secret, 0, recovery, "
            "token, token_until, created_at FROM accounts"
        ),
        "account eve",
    ),
    "account removed": (_sql("DELETE FROM accounts"), "account anna was removed"),
}


def test_an_untouched_record_holds(written: Path):
    found = _look(written)
    assert found.problems == []
    assert found.rows["events"] == ROWS
    assert found.head.seq == ROWS + 2
    assert found.anchors >= 2


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found_and_named(written: Path, name: str):
    attack, says = TAMPERED[name]
    _attack(written, attack)
    found = _look(written)
    assert found.count
    assert any(re.search(says, one) for one in found.problems), found.problems


@pytest.mark.parametrize("name", ["last fifty cut", "written anew"])
def test_without_anchors_a_chain_that_is_whole_in_itself_passes(written: Path, name: str):
    _attack(written, TAMPERED[name][0])
    assert _look(written, has_anchors=False).count == 0


def test_a_dropped_trigger_is_found(written: Path):
    with closing(sqlite3.connect(written)) as connection:
        connection.execute("DROP TRIGGER events_no_update")
    assert "events_no_update is missing from the schema" in _look(written).problems


def test_anchors_that_disagree_are_found(written: Path):
    path = audit.Anchors(written).path
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1].replace('"hash":"', '"hash":"f')]) + "\n")
    assert any("disagree" in one for one in _look(written).problems)


def test_verify_says_so_on_the_command_line(written: Path, capsys: pytest.CaptureFixture[str]):
    assert call(["care", "verify", str(written), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    _attack(written, TAMPERED["event edited"][0])
    assert call(["care", "verify", str(written)]) == 1
    assert "PROBLEM  event 5 was edited" in capsys.readouterr().out


def test_an_erased_person_leaves_a_trail_that_holds(settings: CareSettings):
    store = Store.open(settings)
    store.put_person(named("p-s1"), actor="desk", role="front_desk")
    store.erase("p-s1", reason="asked for it", actor="owner", role="owner")
    store.close()
    assert _look(settings.data).problems == []
    assert b"Zwiebelfisch" not in settings.data.read_bytes()
