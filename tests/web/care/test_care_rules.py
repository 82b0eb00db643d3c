"""The core's rules stand at the door of the store: a day that the core played is taken as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.web.care.conftest import Clock, event, pressure

from euthymia.care.clinic import Clinic
from euthymia.care.day import simulate_day
from euthymia.care.events import SOFTWARE
from euthymia.care.record import Event
from euthymia.web.care.projections import stream_of
from euthymia.web.care.refusals import RefusedError, UnusableError
from euthymia.web.care.rules import CoreRules
from euthymia.web.care.settings import CareSettings
from euthymia.web.care.store import Store, read_stream, version_of


@pytest.fixture
def ruled(settings: CareSettings) -> Iterator[Store]:
    opened = Store.open(replace(settings, decide=CoreRules()))
    yield opened
    opened.close()


def _enter(store: Store, one: Event, *, deviation: str | None = None) -> list[Event]:
    with store.reading() as connection:
        seen = version_of(connection, stream_of(one))
    return [at.event for at in store.record([one], expected={stream_of(one): seen}, deviation=deviation)]


def test_a_dose_out_of_nowhere_is_refused_and_nothing_is_kept(ruled: Store):
    with pytest.raises((RefusedError, UnusableError)):
        _enter(ruled, event(values=pressure(120)))
    with ruled.reading() as connection:
        assert read_stream(connection, "session:s1") == []


@pytest.mark.slow
def test_a_day_that_the_core_played_is_judged_alike(ruled: Store, clock: Clock):
    """Every entry of people, at its own time, gives the events that the core gave; time passing aside."""
    played = simulate_day(chairs=2, patients=3, seed=1).events
    why = {one.because_of: one.reason for one in played if one.kind == "deviation_recorded"}
    ours: list[Event] = []
    for one in played:
        clock.at = one.entered_at
        if one.kind == "deviation_recorded" or one.event_id in {each.event_id for each in ours}:
            continue
        if one.author == SOFTWARE:  # made by the passing of time
            before = _last(ruled)
            assert _rules(ruled).pass_time(ruled) >= 1
            ours += _since(ruled, before)
            continue
        ours += _enter(ruled, one, deviation=why.get(one.event_id))
    assert {one.event_id for one in ours} == {one.event_id for one in played}
    mine, theirs = Clinic.of(ours), Clinic.of(played)
    assert mine.lots == theirs.lots
    assert {name: one.stage for name, one in mine.sessions.items()} == {
        name: one.stage for name, one in theirs.sessions.items()
    }


def _rules(store: Store) -> CoreRules:
    assert isinstance(store.settings.decide, CoreRules)
    return store.settings.decide


def _last(store: Store) -> int:
    with store.reading() as connection:
        return connection.exec_driver_sql("SELECT coalesce(max(seq), 0) FROM events").scalar() or 0


def _since(store: Store, seq: int) -> list[Event]:
    query = "SELECT body FROM events WHERE seq > ? ORDER BY seq"
    with store.reading() as connection:
        return [Event.from_dict(json.loads(one)) for (one,) in connection.exec_driver_sql(query, (seq,))]
