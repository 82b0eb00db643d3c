"""A session, routes, trials and the lab in Chromium: controls move curves, files open, nobody is kept out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import polars
import pytest
from tests.web.axe import serious

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.web.conftest import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
DARK = {"color_scheme": "dark"}
PATHS = ("/session", "/routes", "/trials", "/trials/transform-2", "/lab")


def _curve(page: Page, chart: str) -> list[float]:
    return json.loads(page.get_attribute(f"#{chart}", "data-chart") or "")["lines"][0]["y"]


def _answered(page: Page, act, path: str) -> None:
    """Do something and wait until its answer stands in the page."""
    page.evaluate("document.documentElement.dataset.settled = 'false'")
    with page.expect_response(re.compile(path)):
        act()
    page.locator("html[data-settled=true]").wait_for(state="attached", timeout=30_000)


@pytest.mark.parametrize("visit", [{}, DARK, PHONE], indirect=True, ids=["light", "dark", "phone"])
def test_nothing_serious_keeps_people_out_and_a_phone_scrolls_down_only(visit: Visit):
    for path in PATHS:
        page = visit.open(path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert serious(page) == [], path
        width = page.viewport_size["width"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_dose_and_a_route_move_a_session(visit: Visit):
    page = visit.open("/session")
    before = _curve(page, "session-dissociation")
    _answered(page, lambda: page.locator("#dose").fill("1"), "/session/live")
    assert max(_curve(page, "session-dissociation")) > 1.5 * max(before)
    assert "dose=1" in page.url
    assert page.locator("#session-dissociation canvas").count() == 1
    _answered(page, lambda: page.locator("input[value=nasal]").check(force=True), "route=nasal")
    assert page.locator("#dial-dose output").inner_text() == "56 mg"
    assert page.url.endswith("/session?route=nasal&dose=56")


def test_keys_turn_a_dial_and_the_link_opens_the_same_session(visit: Visit):
    page = visit.open("/session?route=subcutaneous&dose=0.5&age=70")
    assert page.locator("#age").input_value() == "70"
    page.focus("#dose")
    _answered(page, lambda: page.keyboard.press("ArrowRight"), "/session/live")
    assert "dose=0.55" in page.url
    held = _curve(page, "session-pressure")
    page.reload(wait_until="networkidle")
    assert _curve(page, "session-pressure") == held


def test_routes_and_trials_answer_their_controls(visit: Visit):
    page = visit.open("/routes")
    level = page.locator(".panel b").first
    before = float(level.inner_text())
    _answered(page, lambda: page.locator("input[name=size][value=high]").check(force=True), "/routes/live")
    assert float(level.inner_text()) > 1.5 * before
    assert page.url.endswith("/routes?size=high")
    page = visit.open("/trials")
    count = page.locator(".trial").count()
    _answered(page, lambda: page.locator("input[name=route][value=SC]").check(force=True), "/trials/live")
    assert 0 < page.locator(".trial").count() < count
    page.locator(".trial").first.click()
    page.locator(".mark circle.obs, .mark rect.sim").first.wait_for()


def test_the_lab_runs_what_is_written_and_its_files_open(visit: Visit, tmp_path: Path):
    page = visit.open("/lab?regimen=ketamine+0.5+mg/kg+iv+over+40+min&patients=6&days=2")
    before = _curve(page, "lab-madrs-points")
    page.locator("#regimen").fill("ketamine 0.2 mg/kg iv over 40 min")
    _answered(page, lambda: page.locator("button[type=submit]").click(), "/lab/live")
    assert _curve(page, "lab-madrs-points") != before
    assert "0.2" in page.url
    with page.expect_download() as sent:
        page.locator("a", has_text="Parquet").click()
    held = tmp_path / "held.parquet"
    sent.value.save_as(held)
    assert polars.read_parquet(held)["patient"].n_unique() == 6


def test_a_run_that_takes_long_shows_its_progress_and_comes(visit: Visit, monkeypatch: pytest.MonkeyPatch):
    from euthymia.web import lab

    monkeypatch.setattr(lab, "MOST_AT_ONCE", 100)
    page = visit.open("/lab?regimen=ketamine+0.5+mg/kg+im&patients=12&days=2&seed=31")
    page.locator("button", has_text="Run it in the queue").click()
    page.locator("#lab-madrs-points canvas").wait_for(timeout=30_000)


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_every_page_answers_by_its_form(visit: Visit):
    page = visit.open("/session?route=nasal&dose=84")
    assert page.locator(".chart table").count() == 5
    assert page.locator("noscript button").count() == 1
    page = visit.open("/lab?regimen=ketamine+0.5+mg/kg+im&patients=4&days=2")
    page.locator("button[type=submit]").click()
    page.locator(".chart table").first.wait_for(state="attached")
