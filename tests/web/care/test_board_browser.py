"""Board, session and patient on tablets: large targets, nothing cut off, nothing that keeps people out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.web.axe import serious
from tests.web.care.board_day import PEOPLE, before_dose, put
from tests.web.care.conftest import Served

from euthymia.web.care.rules import CoreRules

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAGES = ("/board", "/sessions/s1", "/sessions/s1/form", "/patients/p1", "/here")
TARGETS = """[...document.querySelectorAll('button, summary, .choice label, main select, main input')]
    .filter((one) => one.offsetParent && !['radio', 'checkbox'].includes(one.type))
    .filter((one) => one.getBoundingClientRect().height < 44)
    .map((one) => one.outerHTML.slice(0, 80))"""


def _served(serve: Callable[..., Served]) -> Served:
    served = serve(decide=CoreRules(), idle_lock_min=600)
    for account, roles in PEOPLE.items():
        served.account(account, *roles)
    desk = before_dose(served.clock.at)
    desk.three_devices().wait(20)
    desk.read(systolic_mmHg="186", diastolic_mmHg="112")
    put(served.care.store, desk)
    served.clock.at = desk.at
    return served


def _page(browser: Browser, served: Served, width: int, height: int) -> Page:
    context = browser.new_context(viewport={"width": width, "height": height}, base_url=served.address)
    cookie = served.client("nurse", account="nora").cookies["care"]
    context.add_cookies([{"name": "care", "value": cookie, "url": served.address}])
    return context.new_page()


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (768, 1024)])
def test_on_a_tablet_nothing_is_cut_off_or_small_and_axe_finds_nothing(
    serve: Callable[..., Served], chromium: Browser, width: int, height: int
):
    page = _page(chromium, _served(serve), width, height)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    for path in PAGES:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(TARGETS) == [], path
        assert serious(page) == [], path
    assert complaints == []


def test_a_board_without_a_server_says_within_ten_seconds_that_it_is_old(
    serve: Callable[..., Served], chromium: Browser
):
    served = _served(serve)
    page = _page(chromium, served, 1024, 768)
    page.goto("/board")
    page.locator("#live[data-state=live]").wait_for()
    served.stop()
    page.locator("#live[data-state=stale]").wait_for(timeout=10_000)
    assert "NOT LIVE" in page.locator("#live").inner_text()


def test_what_one_enters_appears_on_the_others_board_by_itself(
    serve: Callable[..., Served], chromium: Browser
):
    served = _served(serve)
    page = _page(chromium, served, 1024, 768)
    page.goto("/board")
    page.locator(".chair .alert").first.wait_for()
    page.locator("#live[data-state=live]").wait_for()
    nurse = served.client("nurse", account="nils")
    data = nurse.get("/api/sessions/s1").json()["data"]
    subjects = {"patient": "p1", "course": "c1", "session": "s1"}
    acted = [
        {
            "event_id": f"acted{place}",
            "kind": "alert_acted",
            "subjects": {**subjects, "alert": one["id"]},
            "observed_at": data["now"],
            "facts": {"action": "measured again"},
        }
        for place, one in enumerate(data["alerts"])
    ]
    assert acted
    assert nurse.post("/api/entries", json={"entries": acted, "expected": data["versions"]}).is_success
    page.locator(".chair .alert").first.wait_for(state="detached", timeout=5_000)
