"""The story in a browser: dials turn curves, links keep them, keys reach them, nothing leaves the machine."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from tests.web.axe import serious
from tests.web.conftest import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
DARK = {"color_scheme": "dark"}
DIALS = "[...document.querySelectorAll('#patient input:not([type=hidden])')].map((one) => one.name)"


def _settled(page: Page) -> Page:
    page.locator("html[data-settled=true]").wait_for(state="attached", timeout=30_000)
    return page


def _curve(page: Page, chart: str) -> list[float]:
    return json.loads(page.get_attribute(f"#{chart}", "data-chart") or "")["lines"][0]["y"]


def _turn(page: Page, dial: str, value: str) -> None:
    """Turn a dial as a pointer does, and wait until every chapter has answered."""
    page.evaluate("document.documentElement.dataset.settled = 'false'")
    with page.expect_response(re.compile("/story/patient")):
        page.locator(f"#{dial}").fill(value)
    _settled(page)


def test_a_turned_dose_moves_the_curves_of_later_chapters_and_the_address(visit: Visit):
    page = _settled(visit.open())
    charts = ("surge-block", "repair-synapses", "pace-mood", "routes-level", "session-feel", "therapy-mood")
    charts += ("ideation-group", "relapse-mood", "safety-urinary", "people-change", "network-coupling")
    before = {one: _curve(page, one) for one in charts}
    _turn(page, "dose", "0.9")
    assert page.locator("#dial-dose output").inner_text() == "0.90 mg/kg"
    assert page.url.endswith("/?dose=0.9")
    assert "0.9 mg/kg" in page.locator("#who-words").inner_text()
    still = [one for one in charts if _curve(page, one) == before[one]]
    assert not still
    assert max(_curve(page, "surge-block")) > max(before["surge-block"])


def test_going_back_brings_the_patient_before(visit: Visit):
    page = _settled(visit.open())
    _turn(page, "dose", "0.3")
    page.go_back()
    page.wait_for_function("document.querySelector('#dose')?.value === '0.5'", timeout=30_000)


def test_a_deep_link_opens_the_same_patient(visit: Visit):
    page = _settled(visit.open("/?route=nasal&dose=84&sessions=8&account=hypo"))
    assert page.locator("#dose").input_value() == "84"
    assert page.locator("input[name=sessions]:checked").get_attribute("value") == "8"
    assert "84 mg of esketamine" in page.locator("#who-words").inner_text()
    assert _curve(page, "network-coupling")[0] < 0


def test_another_route_brings_its_own_doses(visit: Visit):
    page = _settled(visit.open())
    page.evaluate("document.documentElement.dataset.settled = 'false'")
    with page.expect_response(re.compile("route=nasal")):
        page.locator("input[name=route][value=nasal]").check(force=True)
    _settled(page)
    assert page.locator("#dose").get_attribute("max") == "84.0"
    assert page.locator("#dial-dose output").inner_text() == "56 mg"
    _turn(page, "dose", "84")
    assert page.url.endswith("/?route=nasal&dose=84")


def test_keys_reach_and_turn_every_dial(visit: Visit):
    page = _settled(visit.open())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name ?? ''"))
    wanted = set(page.evaluate(DIALS))
    assert wanted <= reached
    page.focus("#dose")
    page.evaluate("document.documentElement.dataset.settled = 'false'")
    with page.expect_response(re.compile("/story/patient")):
        page.keyboard.press("ArrowRight")
    _settled(page)
    assert page.url.endswith("/?dose=0.55")


def test_a_curve_says_its_numbers_under_the_pointer_and_in_a_table(visit: Visit):
    page = _settled(visit.open())
    plot = page.locator("#pace-mood .plot")
    plot.scroll_into_view_if_needed()
    plot.hover(position={"x": 300, "y": 120})
    assert "this plan:" in page.locator("#pace-mood .readout").inner_text()
    page.locator("#pace-mood summary").click()
    assert page.locator("#pace-mood tbody tr").count() >= 10


@pytest.mark.parametrize("visit", [PHONE, PHONE | DARK], indirect=True, ids=["light", "dark"])
def test_a_phone_scrolls_down_only(visit: Visit):
    page = _settled(visit.open())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("visit", [{}, DARK, PHONE], indirect=True, ids=["light", "dark", "phone"])
def test_nothing_serious_keeps_people_out(visit: Visit):
    page = _settled(visit.open("/?all=true"))
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert serious(page) == []


def test_the_brain_is_drawn_and_turns_by_key(visit: Visit):
    page = _settled(visit.open())
    page.locator("#network").scroll_into_view_if_needed()
    canvas = page.locator("#network .brain canvas")
    canvas.wait_for(state="visible")
    before = canvas.screenshot()
    canvas.focus()
    page.keyboard.press("ArrowRight")
    assert canvas.screenshot() != before
    page.locator("[data-moment='1']").click()
    assert page.locator("[data-moment='1']").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_every_number_is_in_a_table(visit: Visit):
    page = visit.open("/?all=true&dose=0.7")
    assert page.locator(".chart table").count() == page.locator(".chart").count() >= 12
    assert page.locator("noscript button").count() == 1
