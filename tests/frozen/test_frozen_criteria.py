"""What each condition before a dose and before leaving says, how strict it is and who says so.

A change here is a change of the safeguards and has to be seen. With ``EUTHYMIA_WRITE_FROZEN=1`` the file is
written anew.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.care.steps import Desk, exactly, through_a_session

from euthymia.care.gate import pre_dose
from euthymia.care.readiness import ready

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
AFTER = {
    "after, nothing recorded": just_dosed,
    "after, unwell": dosed_and_bad,
    "after, well": through_a_session,
}


def criteria(name: str) -> list[dict]:
    desk = (BEFORE | AFTER)[name]()
    judge = pre_dose if name in BEFORE else ready
    found = judge(desk.session, desk.clinic.around(desk.session), exactly(desk.at))
    return json.loads(json.dumps([asdict(one) for one in found], default=str))


@pytest.mark.parametrize("name", [*BEFORE, *AFTER])
def test_each_criterion_says_what_it_said(name):
    if os.environ.get("EUTHYMIA_WRITE_FROZEN"):
        known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
        FILE.write_text(json.dumps(known | {name: criteria(name)}, indent=1) + "\n", encoding="utf-8")
    assert criteria(name) == json.loads(FILE.read_text(encoding="utf-8"))[name]
