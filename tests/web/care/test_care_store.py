"""The record: what is appended stands, a stale write is told what changed, read models follow the events."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.web.care.conftest import START, Clock, event, named, pressure

from euthymia.care.events import correction
from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.web.care import database
from euthymia.web.care.invented import days, write_many
from euthymia.web.care.projections import PROJECTIONS, fold_all, stream_of
from euthymia.web.care.refusals import NotFoundError, StaleError, UnusableError
from euthymia.web.care.settings import CareSettings
from euthymia.web.care.store import Store, find_people, read_person, read_row, read_rows, read_stream
from euthymia.web.care.tables import METADATA


def test_events_come_back_as_they_were_said(store: Store):
    said = event(values=pressure(121), facts={"position": "sitting"})
    [stored] = store.record([said], expected={"session:s1": 0})
    with store.reading() as connection:
        [found] = read_stream(connection, "session:s1")
    assert found == stored
    assert found.event == replace(said, entered_at=store.now())
    assert (found.seq, found.version) == (1, 1)


def test_a_stale_write_is_refused_and_shows_what_came_in_between(store: Store):
    store.record([event(values=pressure(121), author="first")], expected={"session:s1": 0})
    with pytest.raises(StaleError) as refused:
        store.record([event(values=pressure(150), author="second")], expected={"session:s1": 0})
    said = refused.value.to_dict()
    assert (said["status"], said["expected"], said["current"]) == (409, 0, 1)
    assert [one["author"] for one in said["since"]] == ["first"]
    [differs] = [one for one in said["differences"] if one["field"] == "values.systolic_mmHg"]
    assert (differs["yours"], differs["theirs"], differs["author"]) == ("150 mmHg", "121 mmHg", "first")
    with store.reading() as connection:
        assert len(read_stream(connection, "session:s1")) == 1


def test_a_write_without_a_version_is_refused(store: Store):
    with pytest.raises(UnusableError, match="version"):
        store.record([event(values=pressure(121))], expected={})


def test_events_of_one_request_are_written_together_or_not_at_all(store: Store):
    good, bad = event(values=pressure(121)), event(facts={"no_such_fact": 1})
    with pytest.raises(UnusableError, match="no_such_fact"):
        store.record([good, bad], expected={"session:s1": 0})
    with store.reading() as connection:
        assert read_stream(connection, "session:s1") == []
        assert connection.execute(text("SELECT count(*) FROM audit")).scalar() == 0


def test_the_same_request_sent_twice_is_written_once(store: Store):
    said = event(values=pressure(121))
    first = store.record([said], expected={"session:s1": 0})
    assert store.record([said], expected={"session:s1": 0}) == first
    with pytest.raises(UnusableError, match="another event"):
        store.record([replace(said, values=pressure(122))], expected={"session:s1": 1})


def test_entry_times_do_not_go_back_with_the_clock(store: Store, clock: Clock):
    store.record([event(values=pressure(121))], expected={"session:s1": 0})
    clock.go(hours=-2)
    [second] = store.record([event(values=pressure(121))], expected={"session:s1": 1})
    assert second.event.entered_at == START


@pytest.mark.parametrize("table", ["events", "audit", "people"])
@pytest.mark.parametrize("change", ["UPDATE {} SET rowid = rowid", "DELETE FROM {}"])
def test_tables_only_grow(store: Store, table: str, change: str):
    store.record([event(values=pressure(121))], expected={"session:s1": 0})
    store.put_person(named("p-s1"), actor="nurse", role="nurse")
    store.close()
    with closing(sqlite3.connect(store.settings.data)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            connection.execute(change.format(table))
    store.__init__(store.settings, *_again(store.settings))


def _again(settings: CareSettings):
    return database.open_engine(settings.data), database.Lock(settings.data)


def test_replace_cannot_overwrite_a_row_either(store: Store):
    store.record([event(values=pressure(121))], expected={"session:s1": 0})
    with (
        store.engine.connect() as connection,
        pytest.raises(Exception, match=r"rows follow one another|only grows"),
    ):
        connection.exec_driver_sql("INSERT OR REPLACE INTO events SELECT * FROM events WHERE seq = 1")


def test_read_models_equal_those_made_anew_from_the_events(store: Store):
    for one in days(START, count=2, a_day=3):
        stream = stream_of(one)
        with store.reading() as connection:
            seen = len(read_stream(connection, stream))
        store.record([one], expected={stream: seen})
    _correct_a_reading(store)
    before = _rows(store)
    assert len({name for name, *_ in before}) >= 4
    assert store.rebuild() == len(before)
    assert _rows(store) == before
    with store.reading() as connection:
        events = [one.event for stream in _streams(connection) for one in read_stream(connection, stream)]
    by_hand = fold_all(sorted(events, key=_seq(store)))
    assert {(name, key): state for name, key, state, *_ in before} == by_hand


def _correct_a_reading(store: Store) -> None:
    with store.reading() as connection:
        stored = read_stream(connection, "session:s4")
        before = read_row(connection, "sessions", "s4")
    last = [one.event for one in stored if one.event.kind == "reading_taken"][-1]
    said = correction(
        last,
        event_id="fix",
        at=START,
        author="demo.nurse",
        role="nurse",
        reason="misread",
        values=pressure(101),
    )
    store.record([said], expected={"session:s4": len(stored)})
    with store.reading() as connection:
        after = read_row(connection, "sessions", "s4")
    assert before
    assert after
    assert (before["reading"]["systolic_mmHg"], after["reading"]["systolic_mmHg"]) != (101, 101.0)
    assert after["reading"]["systolic_mmHg"] == 101.0


def _streams(connection) -> list[str]:
    return list(connection.execute(text("SELECT DISTINCT stream FROM events")).scalars())


def _seq(store: Store):
    with store.reading() as connection:
        order = {one[0]: one[1] for one in connection.execute(text("SELECT event_id, seq FROM events"))}
    return lambda one: order[one.event_id]


def _rows(store: Store) -> list[tuple]:
    import json

    query = "SELECT name, key, state, is_open, rank, patient, seq FROM projections ORDER BY name, key"
    with store.reading() as connection:
        return [(one[0], one[1], json.loads(one[2]), *one[3:]) for one in connection.execute(text(query))]


def test_stock_of_a_lot_always_balances(store: Store):
    write_many(store, days(START, count=1, a_day=4))
    with store.reading() as connection:
        [lot] = read_rows(connection, "stock")
    assert lot["received"] == lot["given"] + lot["wasted"] + lot["returned"] + lot["on_hand"] == 12
    assert lot["given"] == 8


def test_rows_are_found_open_first_in_the_order_of_their_rank(store: Store):
    write_many(store, days(START, count=1, a_day=2))
    with store.reading() as connection:
        assert read_rows(connection, "sessions") == []
        both = read_rows(connection, "sessions", is_open=None)
        assert [one["starts_at"] for one in both] == sorted(one["starts_at"] for one in both)
        assert read_rows(connection, "sessions", is_open=None, since="2099") == []
        assert len(read_rows(connection, "obligations")) == 1


def test_every_projection_has_a_name_of_its_own():
    assert len({one.name for one in PROJECTIONS}) == len(PROJECTIONS)


def test_who_a_patient_is_stands_apart_and_is_found_by_words(store: Store):
    store.put_person(named("p-s1"), actor="desk", role="front_desk")
    with pytest.raises(StaleError):
        store.put_person(named("p-s1"), actor="desk", role="front_desk")
    store.put_person(replace(named("p-s1", version=2), name="Berta Stein"), actor="desk", role="front_desk")
    with store.reading() as connection:
        assert [one.name for one in find_people(connection, "stei")] == ["Berta Stein"]
        assert find_people(connection, "%") == []
        assert not connection.execute(text("SELECT 1 FROM audit WHERE detail LIKE '%Berta%'")).first()


def test_erasure_forgets_the_person_and_keeps_the_events(store: Store):
    store.record([event(values=pressure(121))], expected={"session:s1": 0})
    store.put_person(named("p-s1"), actor="desk", role="front_desk")
    store.erase("p-s1", reason="asked for it", actor="owner", role="owner")
    with store.reading() as connection:
        assert read_person(connection, "p-s1") is None
        assert len(read_stream(connection, "session:s1")) == 1
    with pytest.raises(NotFoundError, match="erased"):
        store.put_person(named("p-s1", version=1), actor="desk", role="front_desk")


def test_the_schema_is_what_the_tables_say(tmp_path: Path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = create_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with engine.begin() as connection:
        database.upgrade(connection)
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_journal_and_synchronous_are_the_safe_pair(store: Store):
    with store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "persist"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_demonstration_and_a_record_do_not_mix(settings: CareSettings):
    Store.open(settings).close()
    with pytest.raises(InvalidInputError, match=r"'demo'.*'record'"):
        Store.open(replace(settings, is_demo=True))
    other = replace(settings, data=settings.data.with_name("demo.sqlite"), is_demo=True)
    Store.open(other).close()
    with pytest.raises(InvalidInputError, match="Add --demo"):
        Store.open(replace(other, is_demo=False))


def test_a_file_of_something_else_is_left_alone(settings: CareSettings):
    with closing(sqlite3.connect(settings.data)) as connection:
        connection.execute("CREATE TABLE other (a)")
    with pytest.raises(InvalidInputError, match="euthymia care made"):
        Store.open(settings)


def test_a_newer_schema_is_refused(settings: CareSettings):
    Store.open(settings).close()
    with closing(sqlite3.connect(settings.data)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(RunFailedError, match="newer version"):
        Store.open(settings)


def test_one_process_at_a_time(store: Store):
    with pytest.raises(RunFailedError, match="Another process"):
        Store.open(store.settings)


def test_reading_and_writing_do_not_wait_for_each_other_in_one_thread(store: Store):
    with store.reading(), pytest.raises(RuntimeError, match="leave reading"):
        store.write(lambda batch: None)
