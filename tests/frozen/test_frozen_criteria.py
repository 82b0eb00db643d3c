"""What each condition before a dose and before leaving says, how strict it is and who says so.

A change here is a change of the safeguards and has to be seen. With ``EUTHYMIA_WRITE_FROZEN=1`` the file is
written anew.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.care.steps import START, Desk, exactly, through_a_session

from euthymia.care.gate import pre_dose
from euthymia.care.readiness import ready
from euthymia.care.record import Event
from euthymia.care.stock import may_move

FILE = Path(__file__).with_name("frozen_criteria.json")
BAD_ANSWERS = {
    "identifiers": ["name"],
    "nasal_agent": True,
    "drugs_today": True,
    "alcohol_today": True,
    "new_symptoms": True,
    "pregnancy": "pregnant",
    "escort": False,
}
BAD = {
    "systolic_mmHg": "190",
    "diastolic_mmHg": "115",
    "spo2_percent": "90",
    "moaas_points": "3",
    "cadss_points": "20",
}


def empty() -> Desk:
    desk = Desk().open_clinic().course().book()
    desk.enter("patient_arrived", who="fay")
    return desk.wait(1)


def unwell() -> Desk:
    desk = empty().answers(**BAD_ANSWERS)
    desk.read(**BAD)
    desk.enter("risk_answered", instrument="C-SSRS", level="plan", is_remote=False)
    return desk.wait(1)


def dosed_and_bad() -> Desk:
    desk = Desk().ready_for_dose()
    desk.dose()
    desk.wait(50).read(**BAD, facts={"walks": False, "is_oriented": False, "nausea": "vomiting"})
    desk.enter("risk_answered", instrument="C-SSRS", level="active", is_remote=False)
    desk.enter("incident_opened", type="nausea", severity="mild")
    return desk.wait(1)


def just_dosed() -> Desk:
    desk = Desk().ready_for_dose()
    desk.dose()
    return desk.wait(1)


BEFORE = {
    "before, nothing recorded": empty,
    "before, unwell": unwell,
    "before, well": lambda: Desk().ready_for_dose(),
}


def by_word() -> Desk:
    """Dissociation noted in words, worse than before the dose."""
    desk = Desk().ready_for_dose()
    desk.dose()
    desk.wait(50).enter("reading_taken", values={"systolic_mmHg": "130"}, dissociation="moderate")
    return desk.wait(1)


AFTER = {
    "after, by word": by_word,
    "after, nothing recorded": just_dosed,
    "after, unwell": dosed_and_bad,
    "after, well": through_a_session,
}


def criteria(name: str) -> list[dict]:
    desk = (BEFORE | AFTER)[name]()
    judge = pre_dose if name in BEFORE else ready
    found = judge(desk.session, desk.clinic.around(desk.session), exactly(desk.at))
    return json.loads(json.dumps([asdict(one) for one in found], default=str))


WASTE = {"count": 21, "by": "nora", "witness": "nora"}


def of_stock() -> list[dict]:
    lot = Desk().open_clinic().clinic.lots["L1"]
    known = [
        ("lot_wasted", lot, WASTE),
        ("lot_wasted", None, WASTE | {"count": -1}),
        ("lot_received", None, WASTE),
    ]
    return [
        json.loads(json.dumps([asdict(one) for one in may_move(found, move(kind, facts))]))
        for kind, found, facts in known
    ]


def move(kind: str, facts: dict) -> Event:
    return Event(
        event_id="x",
        kind=kind,
        subjects={"lot": "L1"},
        observed_at=START,
        entered_at=START,
        author="nora",
        role="nurse",
        facts=facts,
    )


def everything(name: str) -> list:
    return of_stock() if name == "stock" else criteria(name)


@pytest.mark.parametrize("name", [*BEFORE, *AFTER, "stock"])
def test_each_criterion_says_what_it_said(name):
    if os.environ.get("EUTHYMIA_WRITE_FROZEN"):
        known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
        FILE.write_text(json.dumps(known | {name: everything(name)}, indent=1) + "\n", encoding="utf-8")
    assert everything(name) == json.loads(FILE.read_text(encoding="utf-8"))[name]
