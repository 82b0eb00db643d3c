"""The screens on which a clinic enters what is not said in the treatment room, as one list."""

from __future__ import annotations

from euthymia.web.care import (
    daysheet,
    intake,
    intake_findings,
    obligations,
    plan,
    plan_steps,
    schedule,
    schedule_therapy,
    scores,
    scores_followup,
    stock,
)
from euthymia.web.care.pages import Screens

GROUPS: tuple[Screens, ...] = (
    intake.SCREENS,
    intake_findings.SCREENS,
    plan_steps.SCREENS,
    plan.SCREENS,
    scores.SCREENS,
    scores_followup.SCREENS,
    schedule.SCREENS,
    schedule_therapy.SCREENS,
    daysheet.SCREENS,
    obligations.SCREENS,
    stock.SCREENS,
)
