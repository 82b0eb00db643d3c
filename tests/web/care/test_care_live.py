"""What changed reaches every open page, in order and with nothing missed; what stops is said."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.web.care.conftest import Served, event, named, plain, pressure

from euthymia.web.care.live import Listener

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LISTENERS = 50


@contextmanager
def listening(
    client: httpx.Client, **headers: str
) -> Iterator[Iterator[tuple[str, dict[str, Any], int | None]]]:
    """Give the events of a stream: kind, data, number."""
    with client.stream("GET", "/live", headers={**headers, "X-Background": "1"}) as answer:
        assert answer.status_code == 200
        yield _events(answer)


def _events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any], int | None]]:
    kind, number = "", None
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "id":
            number = int(value)
        elif name == "data":
            yield kind, json.loads(value), number
            number = None


def _next(
    events: Iterator[tuple[str, dict[str, Any], int | None]], wanted: str = "change"
) -> tuple[dict[str, Any], int | None]:
    return next((data, number) for kind, data, number in events if kind == wanted)


def _write(client: httpx.Client, version: int, session: str = "s1", **more: Any) -> None:
    said = plain(event(session=session, values=pressure(120), **more))
    answer = client.post("/api/events", json={"events": [said], "expected": {f"session:{session}": version}})
    assert answer.status_code == 200, answer.text


def test_a_change_is_told_with_its_number_and_the_one_before(served: Served):
    nurse = served.client("nurse")
    with listening(served.client("nurse")) as events:
        _next(events, "beat")
        _write(nurse, 0)
        data, number = _next(events)
        assert (number, data["seq"], data["previous"]) == (1, 1, 0)
        rows = {one["name"]: one for one in data["rows"]}
        assert rows["sessions"]["state"]["reading"]["systolic_mmHg"] == 120.0
        assert rows["patients"]["state"] is None
        _write(nurse, 1)
        assert _next(events)[0]["previous"] == 1


def test_the_front_desk_hears_that_a_session_moved_and_no_reading(served: Served):
    with listening(served.client("front_desk")) as events:
        _next(events, "beat")
        _write(served.client("nurse"), 0)
        data, _ = _next(events)
    assert {one["name"] for one in data["rows"]} == {"sessions"}
    assert "reading" not in data["rows"][0]["state"]


def test_a_restricted_patient_is_not_told_to_everybody(served: Served):
    served.care.store.put_person(named("p-s1"), actor="desk", role="front_desk")
    served.client("owner").post("/patients/p-s1/team", data={"team": "insider"})
    with listening(served.client("nurse")) as events:
        _next(events, "beat")
        _write(served.client("nurse", account="insider"), 0)
        data, _ = _next(events)
    assert all(one["state"] is None for one in data["rows"])


def test_a_page_that_was_away_hears_what_it_missed(served: Served):
    nurse = served.client("nurse")
    for version in range(3):
        _write(nurse, version)
    with listening(served.client("nurse"), **{"Last-Event-ID": "1"}) as events:
        data, number = _next(events)
    assert (number, data["previous"]) == (3, 1)
    assert {one["key"] for one in data["rows"]} == {"s1", "p-s1"}


def test_the_heart_beats_and_says_whether_the_last_write_was_kept(served: Served):
    with listening(served.client("nurse")) as events:
        first = _next(events, "beat")[0]
        assert first["is_well"] is True
        served.care.store.writer.is_well = False
        assert _next(events, "beat")[0]["is_well"] in (True, False)
        assert any(not _next(events, "beat")[0]["is_well"] for _ in range(3))


def test_a_stream_ends_when_its_session_locks_or_ends(served: Served):
    for act in ("/lock", "/logout"):
        client = served.client("nurse")
        with listening(client) as events:
            _next(events, "beat")
            assert client.post(act).status_code == 303
            assert all(kind == "beat" for kind, *_ in events)


def test_a_page_that_does_not_keep_up_is_cut_off():
    listener = Listener(key="k", account="a", roles=())
    for number in range(600):
        listener.put(str(number))
    assert listener.queue.qsize() < 500
    left = [listener.queue.get_nowait() for _ in range(listener.queue.qsize())]
    assert None in left


@pytest.mark.slow
def test_fifty_listeners_hear_within_a_second_and_miss_nothing(served: Served):
    writer = served.client("nurse")
    heard: list[list[tuple[int, float]]] = [[] for _ in range(LISTENERS)]
    ready, count = threading.Barrier(LISTENERS + 1), 5

    def listen(place: int) -> None:
        with listening(served.client("nurse")) as events:
            _next(events, "beat")
            ready.wait()
            while not heard[place] or heard[place][-1][0] < count:
                _, number = _next(events)
                heard[place].append((number or 0, time.perf_counter()))

    threads = [threading.Thread(target=listen, args=(place,)) for place in range(LISTENERS)]
    for thread in threads:
        thread.start()
    ready.wait()
    sent = {}
    for version in range(count):
        sent[version + 1] = time.perf_counter()
        _write(writer, version)
    for thread in threads:
        thread.join(timeout=20)
    slowest = max(at - sent[number] for one in heard for number, at in one)
    assert all(one[-1][0] == count for one in heard)
    assert slowest < 1.0, slowest


@pytest.mark.browser
@pytest.mark.slow
def test_a_page_that_hears_nothing_says_so_within_ten_seconds(served: Served, chromium: Browser):
    """Also with the tab hidden; and nothing is kept in the browser."""
    nurse = served.client("nurse")
    context = chromium.new_context(viewport={"width": 820, "height": 1180})
    context.add_cookies(
        [{"name": "care", "value": nurse.cookies["care"], "url": served.address, "httpOnly": True}]
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    page.goto(served.address)
    page.wait_for_selector("#live[data-state=live]")
    assert not errors, "the content policy refused something of our own"
    context.new_page().bring_to_front()
    gone = time.monotonic()
    served.stop()
    page.wait_for_selector("#live[data-state=stale]", timeout=10_000)
    assert time.monotonic() - gone < 10
    assert "NOT LIVE since" in page.inner_text("#live")
    kept = page.evaluate("() => [localStorage.length, sessionStorage.length, document.cookie]")
    assert kept == [0, 0, ""]
    assert page.evaluate("() => document.querySelector('button').getBoundingClientRect().height") >= 48
    context.close()
