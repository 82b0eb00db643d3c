"""A treatment day in a browser, on the file database, by two at once: arrival to the monitoring form."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.web.care.board_day import PEOPLE, booked, put
from tests.web.care.conftest import PASSPHRASE, PIN, Served

from euthymia.care.clinic import Clinic
from euthymia.web.care.rules import CoreRules
from euthymia.web.care.store import read_patient
from euthymia.web.care.verify import verify

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LYING, STANDING = {"width": 1024, "height": 768}, {"width": 768, "height": 1024}
CALM = {
    "systolic_mmHg": "124",
    "diastolic_mmHg": "76",
    "heart_rate_per_min": "70",
    "spo2_percent": "98",
    "respiration_per_min": "14",
    "moaas_points": "5",
    "cadss_points": "0",
}
LOOKED = "Number(document.documentElement.dataset.looked || 0)"
SHOTS = os.environ.get("EUTHYMIA_CARE_PICTURES", "")
"""A folder: then the pictures of the manual are made anew."""


def _shot(page: Page, name: str, *, of: str = "") -> None:
    if not SHOTS:
        return
    page.wait_for_timeout(300)
    if of:
        page.locator(of).scroll_into_view_if_needed()
    page.screenshot(path=Path(SHOTS) / f"{name}.png")


def _sign_in(browser: Browser, served: Served, account: str, viewport: dict[str, int]) -> Page:
    """Sign in as a person does: passphrase, then the authenticator's code."""
    page = browser.new_context(viewport=viewport, base_url=served.address).new_page()
    page.set_default_timeout(10_000)
    page.goto("/login")
    page.fill("input[name=account]", account)
    page.fill("input[name=passphrase]", PASSPHRASE)
    page.click("main button")
    page.fill("input[name=code]", served.code(account))
    page.click("main button")
    page.wait_for_selector("nav a")
    served.clock.go(seconds=31)
    return page


def _open(page: Page, panel: str) -> None:
    box = page.locator(f"#{panel}")
    if box.get_attribute("open") is None:
        box.locator("summary").first.click()


def _save(page: Page, panel: str, words: str) -> None:
    """Press a button, and wait until it was written and the page has looked again."""
    before = page.evaluate(LOOKED)
    with page.expect_response("**/api/entries") as answer:
        page.locator(f"#{panel}").get_by_role("button", name=words).click()
    assert answer.value.status == 200, answer.value.text()
    for _ in range(200):  # the policy of the page forbids the browser to wait for an expression
        if page.evaluate(LOOKED) > before:
            return
        page.wait_for_timeout(30)
    pytest.fail("the page has not looked again")


def _later(served: Served, minutes: float, *pages: Page) -> None:
    served.clock.go(minutes=minutes)
    for page in pages:
        page.reload()


def _pick(page: Page, panel: str, name: str, value: str) -> None:
    page.locator(f"#{panel} input[name='{name}'][value='{value}']").locator("xpath=..").click()


def _type_reading(page: Page, **changes: str) -> None:
    _open(page, "reading")
    for name, value in (CALM | changes).items():
        page.fill(f"#reading input[name='v:{name}']", value)
    for name in ("on_air", "walks", "is_oriented"):
        _pick(page, "reading", f"f:{name}", "yes")
    _pick(page, "reading", "f:nausea", "none")
    _pick(page, "reading", "f:mental_state", "calm")


def _read(page: Page, **changes: str) -> None:
    _type_reading(page, **changes)
    _save(page, "reading", "Save reading")


def _arrive_and_ask(page: Page) -> None:
    _save(page, "arrive", "The person is here")
    _shot(page, "gate")
    _open(page, "ask")
    for value in ("name", "birth date"):
        _pick(page, "ask", "a:identifiers", value)
    page.fill("#ask input[name='s:food']", "180")
    page.fill("#ask input[name='s:liquids']", "60")
    for name in ("nasal_agent", "drugs_today", "alcohol_today", "new_symptoms"):
        _pick(page, "ask", f"a:{name}", "no")
    _pick(page, "ask", "a:pregnancy", "not applicable")
    page.fill("#ask input[name='a:escort']", "Eve")
    _save(page, "ask", "Save answers")
    _ask_risk(page)


def _ask_risk(page: Page) -> None:
    _open(page, "risk")
    _pick(page, "risk", "f:level", "none")
    _save(page, "risk", "Save")


def _keypad(page: Page, digits: str) -> None:
    for digit in digits:
        page.locator(f"#reading [data-key='{digit}']").click()


def _dose_is_refused_without_conditions(page: Page) -> None:
    _open(page, "dose")
    page.fill("#dose input[name='v:amount_mg']", "28")
    page.select_option("#dose select[name='f:lot']", "L1")
    page.get_by_role("button", name="Record dose").click()
    page.locator("#answer").wait_for(state="visible")
    assert "ready" not in page.locator("#answer-title").inner_text().lower()
    assert "unknown" in page.locator("#answer-body").inner_text()
    _shot(page, "not-in-order")
    page.locator("#answer").get_by_role("button", name="Back").click()


def _check_and_dose(nurse: Page) -> None:
    _open(nurse, "check")
    nurse.fill("#check input[name='v:amount_mg']", "28")
    nurse.select_option("#check select[name='f:lot']", "L1")
    nurse.select_option("#check select[name=second_account]", "nils")
    nurse.fill("#check input[name=second_pin]", PIN)
    _save(nurse, "check", "Both have checked")
    nurse.get_by_text("Before the dose: 0 open").wait_for()
    _open(nurse, "dose")
    nurse.fill("#dose input[name='v:amount_mg']", "28")
    nurse.select_option("#dose select[name='f:lot']", "L1")
    _save(nurse, "dose", "Record dose")


def _two_at_once(nurse: Page, prescriber: Page) -> None:
    """Both type a reading; the second to save sees what the first wrote, and neither is lost."""
    _type_reading(prescriber, systolic_mmHg="139", diastolic_mmHg="86")
    _type_reading(nurse, systolic_mmHg="136", diastolic_mmHg="84")
    _save(nurse, "reading", "Save reading")
    prescriber.get_by_role("button", name="Save reading").click()
    prescriber.locator("#answer").wait_for(state="visible")
    assert prescriber.locator("#answer-title").inner_text() == "Written in between"
    told = prescriber.locator("#answer .diff").inner_text()
    assert all(one in told for one in ("139 mmHg", "136 mmHg", "nora"))
    _shot(prescriber, "written-in-between")
    with prescriber.expect_response("**/api/entries") as answer:
        prescriber.get_by_role("button", name="Save mine as well").click()
    assert answer.value.status == 200


def _cut_and_back(page: Page) -> None:
    """Without network nothing is said to be saved; what was typed stays, and is written once."""
    _type_reading(page, systolic_mmHg="130")
    page.context.set_offline(True)
    page.get_by_role("button", name="Save reading").click()
    page.locator("#unsaved").wait_for(state="visible")
    assert "NOT SAVED" in page.locator("#unsaved").inner_text()
    assert page.input_value("#reading input[name='v:systolic_mmHg']") == "130"
    assert (
        page.locator("#unsaved").evaluate("one => one.getBoundingClientRect().top") >= 0
    )  # seen, not scrolled off
    assert page.locator("#reading .kept").is_visible()
    _shot(page, "not-saved")
    page.context.set_offline(False)
    _save(page, "reading", "Save reading")
    assert page.locator(".kept").count() == 0


def _leave(page: Page) -> None:
    _ask_risk(page)
    _open(page, "leave")
    page.fill("#leave input[name='f:name']", "Eve")
    _save(page, "leave", "Escort is here")
    _open(page, "leave")
    _save(page, "leave", "Advice was given")
    page.get_by_text("Before leaving: 0 open").wait_for()
    _open(page, "leave")
    page.fill("#leave input[name='f:after_min']", "95")
    _save(page, "leave", "Save")
    page.evaluate("scrollTo(0, 0)")
    _shot(page, "before-leaving")
    _open(page, "leave")
    _pick(page, "leave", "f:how", "discharged")
    page.fill("#leave input[name=pin]", PIN)
    _save(page, "leave", "Sign: has left")


def _close(page: Page) -> None:
    page.locator("#review").get_by_role("link", name="Monitoring form").click()
    page.wait_for_selector("text=To be sent by")
    _shot(page, "monitoring-form")
    page.fill("input[name='f:outcome']", "portal")
    page.get_by_role("button", name="Form was sent").click()
    page.wait_for_selector("text=No form is owed")
    page.get_by_role("link", name="Back to the session").click()
    page.fill("#review input[name=pin]", PIN)
    _save(page, "review", "Sign: reviewed")


def test_a_day_from_arrival_to_the_monitoring_form_by_two_people(
    serve: Callable[..., Served], chromium: Browser
):
    served = serve(decide=CoreRules(), idle_lock_min=600)
    for account, roles in PEOPLE.items():
        served.account(account, *roles)
    put(served.care.store, booked(served.clock.at))
    nurse = _sign_in(chromium, served, "nora", LYING)
    prescriber = _sign_in(chromium, served, "paula", STANDING)
    nurse.goto("/board")
    nurse.click(".chair a")
    _arrive_and_ask(nurse)
    _type_reading(nurse, weight_kg="70", systolic_mmHg="")
    nurse.click("#reading input[name='v:systolic_mmHg']")
    _keypad(nurse, "124")
    _shot(nurse, "reading", of="#reading .keypad")
    _save(nurse, "reading", "Save reading")
    _dose_is_refused_without_conditions(nurse)
    _later(served, 1, nurse)
    prescriber.goto("/sessions/s1")
    _open(prescriber, "sign")
    prescriber.fill("#sign input[name=pin]", PIN)
    _save(prescriber, "sign", "Sign: treatment may begin")
    _check_and_dose(nurse)
    _later(served, 46, nurse, prescriber)
    nurse.goto("/board")
    assert "check overdue by" in nurse.locator(".chair").inner_text()
    _shot(nurse, "board")
    nurse.click(".chair a")
    _two_at_once(nurse, prescriber)
    _later(served, 63, nurse)
    _cut_and_back(nurse)
    _later(served, 13, nurse)
    _read(nurse, systolic_mmHg="126")
    nurse.wait_for_selector("#drawn canvas")
    _shot(nurse, "readings", of="#drawn")
    _leave(nurse)
    _close(nurse)
    nurse.get_by_role("link", name="Patient").click()
    nurse.wait_for_selector("#drawn canvas")
    _shot(nurse, "patient")
    _holds(served)


def _holds(served: Served) -> None:
    """The record says what was done, each thing once, and its trail holds."""
    with served.care.store.reading() as connection:
        clinic = Clinic.of(one.event for one in read_patient(connection, "p1"))
    session = clinic.sessions["s1"]
    assert session.stage == "REVIEWED"
    seen = [one.value for one in session.seen("systolic_mmHg")]
    assert sorted(seen) == [124, 126, 130, 136, 139]  # the two of one minute stand in either order
    assert not any(one.kind == "deviation_recorded" for one in session.events)
    assert not [one for one in clinic.open_of("p1") if one.type == "rems_form"]
    served.stop()
    assert verify(served.care.settings.data).count == 0
