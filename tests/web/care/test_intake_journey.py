"""From the first call to a booked session and its therapy, in a browser on a tablet, by three people."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.unit.care.test_screening import answers
from tests.web.axe import serious
from tests.web.care.conftest import PIN, START, Served, event
from tests.web.care.test_schedule import write

from euthymia.care.intake import fields, intake_fields
from euthymia.web.care.rules import CoreRules

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PICTURES = os.environ.get("EUTHYMIA_CARE_PICTURES", "")
"""A folder for pictures of the screens; none are taken without it."""
SMALL = """[...document.querySelectorAll('main button, main .choice')]
    .filter((one) => one.offsetHeight && one.offsetHeight < 44).length"""
CLICK = """(given) => { for (const [name, value] of Object.entries(given))
    document.querySelector(`[name="f.${name}"][value="${value}"]`).click(); }"""
PAPER = """[document.documentElement, document.querySelector('section.sheet')]
    .map((one) => getComputedStyle(one).backgroundColor)"""
REASON = "Well for eleven years; agreed with the treating psychiatrist."


@dataclass(slots=True)
class Desk:
    """A browser with a page for each person, which notes what the pages complain of."""

    served: Served
    browser: Browser
    complaints: list[str]

    def page(self, role: str) -> Page:
        """Return a page of somebody who is signed in."""
        client = self.served.client(role)
        context = self.browser.new_context(viewport={"width": 820, "height": 1180}, has_touch=True)
        cookie = {"name": "care", "value": client.cookies["care"], "url": self.served.address}
        context.add_cookies([{**cookie, "httpOnly": True}])  # pyright: ignore[reportArgumentType] - of playwright's form
        page = context.new_page()
        page.set_default_timeout(60_000)  # of a loaded machine
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda one: self.complaints.append(one.text) if "Policy" in one.text else None)
        return page

    def go(self, page: Page, path: str) -> Page:
        """Open a screen."""
        page.goto(f"{self.served.address}{path}")
        return page


@pytest.fixture
def desk(serve: Callable[..., Served], chromium: Browser) -> Iterator[Desk]:
    made = Desk(serve(decide=CoreRules()), chromium, [])
    yield made
    for context in chromium.contexts:
        context.close()
    assert not made.complaints


def _picture(page: Page, name: str, *, top: bool = True) -> None:
    """Take a picture for the manual, where one is asked for."""
    if PICTURES:
        if top:
            page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=f"{PICTURES}/{name}.png")


def _press(page: Page, words: str) -> None:
    """Press a button that sends a form, and wait for the page that follows."""
    _send(page, page.get_by_role("button", name=words, exact=True).first)


def _send(page: Page, button: Locator) -> None:
    page.evaluate("document.body.dataset.old = 'yes'")
    button.click()
    page.wait_for_selector("body:not([data-old]), .refusal")
    refusal = page.locator(".refusal")
    assert not refusal.count(), refusal.inner_text()


def _register(desk: Desk, page: Page) -> str:
    desk.go(page, "/register")
    page.fill("[name=name]", "Ada Example")
    page.fill("[name=birth_date]", "1979-02-03")
    page.select_option("[name=drug]", "esketamine")
    page.select_option("[name=route]", "intranasal")
    page.select_option("[name=jurisdiction]", "US")
    page.select_option("[name=setting]", "outpatient")
    page.check("[name=is_urgent][value=no]")
    _picture(page, "register")
    _press(page, "Register and open the intake")
    return page.url.split("/")[4]


def _fill_intake(page: Page, **changed: object) -> None:
    """Answer every question as a person would of whom all is known."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    given = answers(**changed)
    words = {name: ("yes" if one else "no") for name, one in given.items() if isinstance(one, bool)}
    chosen = {name: str(one) for name, one in given.items() if fields()[name].kind == "choice"}
    page.evaluate(CLICK, {**words, **chosen})
    for name in given.keys() - words.keys() - chosen.keys():
        page.fill(f"[name='f.{name}']", str(given[name]))
    page.check("[name=taken][value=none]")


def test_from_registration_to_a_booked_session_and_its_therapy(desk: Desk):
    desk.served.account("nora", "nurse")
    nurse, doctor = desk.page("nurse"), desk.page("prescriber")
    patient = _register(desk, nurse)
    unknown = nurse.locator("input[type=radio][value='']:checked").count()
    assert unknown == sum(one.kind in ("yes_no", "choice") for one in intake_fields())
    _picture(nurse, "intake")
    _asked_again(nurse)
    _picture(nurse, "intake-asked-again")
    _fill_intake(nurse, past_psychosis=True)
    _press(nurse, "Save and see what the rules say")
    assert nurse.url.endswith("/screening")
    assert nurse.locator("text=Sign the override").count() == 0, "a nurse overrides nothing"
    _override(desk, doctor, patient)
    _decide(desk, doctor)
    _course(desk, nurse, doctor, patient)
    _plan(desk, doctor, patient)
    _start(desk, doctor, patient)
    session = _book(desk, nurse, patient)
    _integration(desk, session)
    for screen in ("screening", "intake", "course", "plan", "preparation", "scores", "follow-up"):
        assert not serious(desk.go(doctor, f"/patients/{patient}/{screen}")), screen
    for screen in ("schedule", "daysheet", "obligations", "stock", "register"):
        assert not serious(desk.go(nurse, f"/{screen}")), screen


def _asked_again(page: Page) -> None:
    """Type a weight that cannot be: it is kept, asked about, and not used."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.fill("[name='f.weight_kg']", "1540")
    _press(page, "Save")
    assert "1540" in page.inner_text(".problem")
    assert page.input_value("[name='f.weight_kg']") == "1540"
    page.fill("[name='f.weight_kg']", "heavy")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_selector(".refusal")
    assert "weight_kg" in page.inner_text(".refusal")
    assert page.get_attribute("[name='f.weight_kg']", "aria-invalid") == "true"
    assert page.input_value("[name='f.weight_kg']") == "heavy", "nothing typed is lost"


def _override(desk: Desk, doctor: Page, patient: str) -> None:
    desk.go(doctor, f"/patients/{patient}/screening")
    _picture(doctor, "screening")
    finding = doctor.locator("article.finding:has(form)").first
    finding.locator("summary").click()
    finding.locator("[name=reason]").fill(REASON)
    if finding.locator("[name=second]").count():
        finding.locator("[name=second]").select_option("nora")
        finding.locator("[name=second_pin]").fill(PIN)
    finding.locator("[name=pin]").fill(PIN)
    finding.scroll_into_view_if_needed()
    _picture(doctor, "override", top=False)
    _press(doctor, "Sign the override")
    assert REASON in doctor.inner_text("main")


def _decide(desk: Desk, doctor: Page) -> None:
    while doctor.locator("article.finding:has(form)").count():
        finding = doctor.locator("article.finding:has(form)").first
        finding.locator("summary").click()
        finding.locator("[name=reason]").fill(REASON)
        if finding.locator("[name=second]").count():
            finding.locator("[name=second]").select_option("nora")
            finding.locator("[name=second_pin]").fill(PIN)
        _send(doctor, finding.get_by_role("button", name="Sign the override"))
    doctor.check("[name=choice][value='go on']")
    doctor.fill("#decision [name=reason]", "Discussed with the patient and the team.")
    doctor.locator("#decision").scroll_into_view_if_needed()
    _picture(doctor, "decision", top=False)
    _press(doctor, "Record my decision")
    assert doctor.url.endswith("/course")
    assert "BASELINE" in doctor.inner_text("main")


def _course(desk: Desk, nurse: Page, doctor: Page, patient: str) -> None:
    """Consent and scores by the nurse; what was measured at the intake is not asked a second time."""
    desk.go(nurse, f"/patients/{patient}/course")
    _picture(nurse, "course")
    nurse.fill("[name=text_version]", "3")
    nurse.check("[name=is_label][value=yes]")
    _press(nurse, "The person has signed")
    nurse.fill("[name=number]", "R-1")
    _press(nurse, "Record enrolment")
    desk.go(nurse, f"/patients/{patient}/scores")
    for scale, count in (("MADRS", 10), ("PHQ-9", 9), ("GAD-7", 7)):
        form = nurse.locator(f"details[id='{scale}']")
        form.locator("summary").click()
        for place in range(1, count + 1):
            value = "0" if scale == "PHQ-9" and place == 9 else "3"
            form.locator(f"[name='i.{place}'][value='{value}']").check()
        if scale == "MADRS":
            _picture(nurse, "scores", top=False)
        _press(nurse, f"Record {scale}")
    nurse.locator("#cssrs summary").click()
    for place, word in ((1, "no"), (2, "no"), (3, "skipped"), (4, "skipped"), (5, "skipped"), (6, "no")):
        nurse.locator(f"#cssrs [name='r.{place}'][value='{word}']").check()
    _press(nurse, "Record C-SSRS")
    assert "30 points" in nurse.inner_text("main")
    _step(desk, doctor, patient, "CONSENTED")


def _step(desk: Desk, doctor: Page, patient: str, to: str) -> None:
    desk.go(doctor, f"/patients/{patient}/course")
    step = doctor.locator(f"#step-{to}")
    assert "nothing stands against it" in step.inner_text(), step.inner_text()
    _send(doctor, step.locator("button"))
    assert to in doctor.inner_text("main > p")


def _plan(desk: Desk, doctor: Page, patient: str) -> None:
    desk.go(doctor, f"/patients/{patient}/plan")
    _press(doctor, "Draft from this")
    assert doctor.is_checked("[name=at_home][value='not offered']")
    doctor.fill("[name=goals]", "Back to the choir")
    doctor.fill("[name=therapy]", "integration 60 min at 1 d after each dose")
    _picture(doctor, "plan-draft")
    _press(doctor, "Sign the plan")
    assert "Back to the choir" in doctor.inner_text("main")
    desk.served.clock.go(minutes=1)
    _press(doctor, "Change this plan")
    doctor.fill("[name=daily_practice]", "A walk each morning")
    doctor.fill("[name=reason]", "Agreed at the preparation visit.")
    _press(doctor, "Sign the plan")
    assert "Daily practice: nothing -> A walk each morning." in doctor.inner_text("main")
    _picture(doctor, "plan")


def _start(desk: Desk, doctor: Page, patient: str) -> None:
    _step(desk, doctor, patient, "PLANNED")
    desk.go(doctor, f"/patients/{patient}/course")
    doctor.fill("[name=amount_mg]", "28")
    doctor.fill("[name=max_amount_mg]", "56")
    doctor.fill("[name=min_interval_h]", "48")
    _press(doctor, "Sign the order")
    _step(desk, doctor, patient, "INDUCTION")


def _book(desk: Desk, nurse: Page, patient: str) -> str:
    desk.go(nurse, "/schedule")
    nurse.select_option("[name=patient]", patient)
    nurse.fill("[name=time]", "13:00")
    nurse.fill("[name=length_min]", "60")
    nurse.fill("[name=chair]", "1")
    nurse.select_option("[name=nurse]", "nora")
    nurse.select_option("[name=prescriber]", "prescriber")
    nurse.get_by_role("button", name="Book", exact=True).click()
    nurse.wait_for_selector(".refusal")
    assert "observation" in nurse.inner_text(".refusal"), "an hour does not hold dose and observation"
    nurse.fill("[name=length_min]", "180")
    _press(nurse, "Book")
    assert "13:00–16:00" in nurse.inner_text("main")
    _picture(nurse, "schedule")
    session = nurse.locator("article.finding").first.get_attribute("id")
    assert session
    desk.go(nurse, "/daysheet")
    _picture(nurse, "daysheet")
    nurse.emulate_media(media="print")
    assert not nurse.is_visible("nav")
    assert nurse.evaluate(PAPER) == ["rgb(255, 255, 255)"] * 2, "black on white"
    _picture(nurse, "daysheet-printed")
    nurse.emulate_media(media="screen")
    return session


def _integration(desk: Desk, session: str) -> None:
    desk.served.account("theo", "therapist")
    therapist = desk.page("therapist")
    desk.go(therapist, f"/sessions/{session}/therapy")
    therapist.fill("[name=day]", (START + timedelta(days=2)).date().isoformat())
    therapist.fill("[name=time]", "10:00")
    therapist.select_option("[name=therapist]", "theo")
    _press(therapist, "Book this time")
    assert "✓ inside practice" in therapist.inner_text("main")
    _picture(therapist, "therapy")
    assert not serious(therapist)


def test_two_at_once_on_one_intake_nothing_is_overwritten(desk: Desk):
    nurse, doctor = desk.page("nurse"), desk.page("prescriber")
    patient = _register(desk, nurse)
    desk.go(doctor, f"/patients/{patient}/intake")
    for page, diagnosis in ((nurse, "depression"), (doctor, "another word")):
        page.fill("[name='f.diagnosis']", diagnosis)
    _press(nurse, "Save")
    doctor.get_by_role("button", name="Save", exact=True).click()
    doctor.wait_for_selector(".refusal")
    assert "intake_recorded by nurse" in doctor.inner_text(".refusal")
    assert doctor.input_value("[name='f.diagnosis']") == "another word"
    desk.served.stop()
    doctor.get_by_role("button", name="Save", exact=True).click()
    doctor.wait_for_function("document.querySelector('.refusal')?.innerText.includes('cannot be reached')")
    assert doctor.input_value("[name='f.diagnosis']") == "another word"


def test_stock_and_obligations_on_a_tablet(desk: Desk):
    desk.served.account("wim", "stock_witness")
    nurse = desk.page("nurse")
    desk.go(nurse, "/stock")
    for name, value in (("lot", "L-1"), ("count", "10"), ("amount_mg_each", "28"), ("expiry", "2027-01-31")):
        nurse.fill(f"[name={name}]", value)
    nurse.select_option("[name=drug]", "esketamine")
    _press(nurse, "Receive")
    waste = nurse.locator("#wasted")
    waste.locator("[name=count]").fill("11")
    waste.locator("[name=witness]").select_option("wim")
    waste.locator("[name=witness_pin]").fill(PIN)
    waste.locator("[name=reason]").fill("dropped")
    waste.locator("button").click()
    nurse.wait_for_selector(".refusal")
    assert "On hand: 10" in nurse.inner_text(".refusal")
    waste.locator("[name=count]").fill("1")
    _send(nurse, waste.locator("button"))
    assert "1 wasted" in nurse.inner_text("main")
    _picture(nurse, "stock")
    owed = {"type": "session_call", "due_at": "2026-11-22T05:00:00.000000Z", "owner": "on duty"}
    write(
        desk.served,
        event(
            "obligation_opened",
            subjects={"obligation": "o1", "patient": "p1"},
            facts={**owed, "says": "Call after the session."},
        ),
    )
    desk.go(nurse, "/obligations")
    _picture(nurse, "obligations")
    _press(nurse, "I take it")
    assert "owner: you" in nurse.inner_text("main")
    assert nurse.evaluate(SMALL) == 0
