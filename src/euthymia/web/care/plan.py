"""The plan: made from a schedule by a person, signed by a prescriber, each version beside the one before."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from fastapi.responses import Response

from euthymia.care.intake import Intake
from euthymia.care.plan import (
    LONGEST_MONTH_DAYS,
    STEP_DOWN,
    AtHome,
    CarePlan,
    Phase,
    compare,
    from_schedule,
    plan_findings,
    revised,
)
from euthymia.care.record import thawed
from euthymia.care.rules import find_rule
from euthymia.care.schedules import Schedule, caveats, find_schedule, schedules
from euthymia.care.screening import PRESCRIBER
from euthymia.errors import InvalidInputError
from euthymia.web.care.entry import Form, Given, Record, done, enter, made, read_record, require_seen
from euthymia.web.care.guards import Ask
from euthymia.web.care.intake import stored_intake
from euthymia.web.care.intake_findings import MARKS, in_words
from euthymia.web.care.pages import Screens, Shown, render
from euthymia.web.care.plan_record import plan_from_dict, plan_to_dict, signed_plans
from euthymia.web.care.refusals import UnusableError

SCREENS = Screens()
LISTS = ("therapy", "go_on_rules", "stop_rules", "goals", "expectations", "comorbidity")
TEXTS = ("dose_rule", "daily_practice", "least_that_holds", "contingency")
ASKED = {
    "goals": "Goals, in the person's own words",
    "expectations": "What the person expects",
    "comorbidity": "What else is treated",
    "therapy": "Therapy, in the dosing language",
    "go_on_rules": "Goes on where",
    "stop_rules": "Stops where",
    "daily_practice": "Daily practice",
    "dose_rule": "Dose rule",
    "least_that_holds": "Lowest dose and longest interval that hold",
    "contingency": "In a crisis, or where the course is broken off",
}
AT_HOME = ("not offered", "not suitable")
"""Treatment at home is out of this record on purpose: it can only be said not to be."""
VIRTUAL = 100


@SCREENS.screen("/patients/{patient}/plan", right="patient.read", template="plan.html")
def plan_page(ask: Ask, patient: str) -> Shown:
    """Show the plan that holds, how it came about, and the schedules that a plan may start from."""
    record = read_record(ask, patient)
    plans = signed_plans(record.course)
    opened = record.course.opened
    fitting = [one for one in schedules().values() if _fits(one, opened)]
    return Shown(
        data={
            **record.to_dict(),
            "entry": secrets.token_hex(16),
            "plan": _shown(plans[-1]) if plans else None,
            "versions": _versions(plans),
            "schedules": [_schedule(one) for one in fitting],
            "may_sign": ask.may("plan.write"),
        },
        about=(patient,),
        title="Plan",
    )


def _fits(one: Schedule, opened: Any) -> bool:
    return one.drug == opened.get("drug") and one.route.value == opened.get("route")


def _schedule(one: Schedule) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "basis": one.basis,
        "jurisdiction": one.jurisdiction,
        "doses": list(one.doses),
        "unit": one.dose_unit,
        "dose_rule": one.dose_rule,
        "phases": [{"name": each.name, "regimen": each.regimen} for each in one.phases],
        "rows": list(one.rows),
    }


def _shown(plan: CarePlan) -> dict[str, Any]:
    """Return a plan with the words that a page shows."""
    plain = plan_to_dict(plan)
    return {
        **plain,
        "regimen": plan.regimen,
        "watched": [{"id": one, "title": find_rule(one).title} for one in plan.monitoring],
        "home": str(plan.at_home),
        "standing": [
            {
                "rule_id": one.rule_id,
                "mark": MARKS[one.status],
                "status": one.status,
                "says": one.says,
                "observed": in_words(one.observed),
                "source": one.source,
            }
            for one in plan.standing
        ],
    }


def _versions(plans: Sequence[CarePlan]) -> list[dict[str, Any]]:
    """Return the versions, newest first, each with its differences from the one before in words."""
    before: list[CarePlan | None] = [None, *plans][: len(plans)]
    found = [
        {
            "version": plan.version,
            "by": plan.author,
            "at": f"{plan.created_utc:%Y-%m-%d %H:%M}",
            "reason": plan.reason,
            "differences": list(compare(old, plan)) if old else [],
        }
        for old, plan in zip(before, plans, strict=True)
    ]
    return found[::-1]


@SCREENS.act("/patients/{patient}/plan/draft", right="plan.write")
def draft(ask: Ask, patient: str, given: Form) -> Response:
    """Show a draft on the page: of a schedule, or of the plan that holds; nothing is written yet."""
    record = read_record(ask, patient)
    plans = signed_plans(record.course)
    name = given.text("schedule", most=80)
    plan = _from_schedule(ask, record, given, name) if name else (plans[-1] if plans else None)
    if plan is None:
        message = "Choose a schedule to start from."
        raise UnusableError(message, field="schedule")
    ask.note("read", patient, screen="plan_draft")
    data = {
        **record.to_dict(),
        "entry": secrets.token_hex(16),
        "plan": _shown(plan),
        "schedule": name,
        "dose": given.text("dose", most=20),
        "is_change": bool(plans),
        "asked": ASKED,
        "lists": list(LISTS),
        "texts": list(TEXTS),
        "at_home": list(AT_HOME),
        "latest_review": _latest(ask).isoformat(),
        "months": find_rule(STEP_DOWN).value,
    }
    return render(ask, "plan_draft.html", data=data, title="Draft of a plan")


def _latest(ask: Ask) -> Any:
    months = find_rule(STEP_DOWN).value
    days = float(months if isinstance(months, int | float) else 0) * LONGEST_MONTH_DAYS
    return (ask.now + timedelta(days=days)).date()


def _from_schedule(ask: Ask, record: Record, given: Given, name: str) -> CarePlan:
    try:
        _require_fit(record, name)
        return from_schedule(
            name,
            patient_id=record.patient,
            author=ask.actor,
            author_role=PRESCRIBER,
            created_utc=ask.now,
            step_down_review=_latest(ask),
            dose=_dose(given),
            facts=_facts(record),
        )
    except InvalidInputError as error:
        raise UnusableError(str(error), field="schedule") from error


def _require_fit(record: Record, name: str) -> None:
    if not _fits(find_schedule(name), record.course.opened):
        message = "The schedule is of another drug or route than the course."
        raise UnusableError(message, field="schedule")


def _dose(given: Given) -> float | None:
    text = given.text("dose", most=20)
    try:
        return float(text) if text else None
    except ValueError:
        message = "A dose of the schedule."
        raise UnusableError(message, field="dose") from None


def _facts(record: Record) -> Any:
    intake: Intake = stored_intake(record.course)
    return intake.facts()


@SCREENS.act("/patients/{patient}/plan", right="plan.write")
def sign(ask: Ask, patient: str, given: Form) -> Response:
    """Sign a plan: the first, or the next version with its reason."""
    record = read_record(ask, patient)
    event_id = f"{given.entry}-plan"
    if _is_signed(record, event_id, given):
        return done(ask, f"/patients/{patient}/plan")
    require_seen(ask, record, given)
    try:
        plan = _written(ask, record, given)
    except InvalidInputError as error:
        raise UnusableError(str(error), field=_named(str(error))) from error
    facts = {
        "plan": plan_to_dict(plan),
        "plan_version": plan.version,
        "signed_by": ask.actor,
        "next_review_date": plan.step_down_review.isoformat(),
    }
    event = made(
        ask,
        "plan_signed",
        record.subjects,
        event_id=event_id,
        facts=facts,
        reason=plan.reason or None,
    )
    enter(ask, given, [event], expected={record.stream: given.version})
    return done(ask, f"/patients/{patient}/plan")


def _is_signed(record: Record, event_id: str, given: Given) -> bool:
    """Return whether this very form was signed already; refuse one that was changed since."""
    event = next((one for one in record.course.events if one.event_id == event_id), None)
    if event is None:
        return False
    plan = plan_from_dict(thawed(event.facts["plan"]))
    if any(getattr(plan, name) != value for name, value in _changes(given).items()):
        message = "This draft was signed already, and says something else now. Load the plan again."
        raise UnusableError(message)
    return True


def _written(ask: Ask, record: Record, given: Given) -> CarePlan:
    """Return the plan that the form says: of the schedule named, or a change of the one that holds."""
    changes = _changes(given)
    who = {"author": ask.actor, "author_role": PRESCRIBER}
    plans = signed_plans(record.course)
    name = given.text("schedule", most=80)
    if name:
        base = _from_schedule(ask, record, given, name)
        changes = {**_of_schedule(base), **changes}
    opened = record.course.opened
    changes["findings"] = plan_findings(
        _facts(record), drug=opened["drug"], route=opened["route"], at_home=changes["at_home"]
    )
    if plans:
        reason = given.text("reason", needed="Say why the plan is changed.")
        return revised(plans[-1], created_utc=ask.now, reason=reason, status="signed", **who, **changes)
    if not name:
        message = "Choose a schedule to start from."
        raise UnusableError(message, field="schedule")
    first = {"patient_id": record.patient, "created_utc": ask.now, "status": "signed"}
    return CarePlan.create(**first, **who, **changes)


def _of_schedule(base: CarePlan) -> dict[str, Any]:
    names = ("drug", "route", "indication", "basis", "monitoring")
    return {name: getattr(base, name) for name in names}


def _changes(given: Given) -> dict[str, Any]:
    names, regimens = given.many("phase_name"), given.many("phase_regimen")
    bases = given.fields.get("phase_basis", ())
    if len(names) != len(regimens) or len(bases) != len(names):
        message = "Each phase has a name and what is given."
        raise UnusableError(message, field="phase_regimen")
    return {
        "phases": tuple(
            Phase(name=name, regimen=regimen, basis=basis)
            for name, regimen, basis in zip(names, regimens, bases, strict=True)
        ),
        **{name: given.lines(name) for name in LISTS},
        **{name: given.text(name) for name in TEXTS},
        "step_down_review": given.day("step_down_review"),
        "at_home": AtHome(
            status=given.one_of("at_home", AT_HOME, needed="Not offered, or not suitable?"),  # pyright: ignore[reportArgumentType] - one of them
            reasons=given.lines("at_home_reasons"),
        ),
    }


def _named(message: str) -> str:
    found = message.partition("'")[2].partition("'")[0]
    return found if found in (*LISTS, *TEXTS, "at_home", "step_down_review") else "phase_regimen"


@SCREENS.act("/patients/{patient}/plan/expected", right="patient.read")
def expected(ask: Ask, patient: str) -> Response:
    """Show what the model expects of a group under this plan, with its caveats; nobody's own forecast."""
    record = read_record(ask, patient)
    plans = signed_plans(record.course)
    if not plans:
        message = "There is no signed plan yet."
        raise UnusableError(message)
    ask.note("read", patient, screen="plan_expected")
    data = {**record.to_dict(), **_course(plans[-1], record), "version_of_plan": plans[-1].version}
    return render(ask, "plan_expected.html", data=data, title="Expected by the model")


def _course(plan: CarePlan, record: Record) -> dict[str, Any]:
    from euthymia.care.expected import expected_course
    from euthymia.population.patient import Patient

    facts = _facts(record)
    known = {
        name: facts[name] for name in ("weight_kg", "age_years", "height_cm") if facts.get(name) is not None
    }
    try:
        found = expected_course(plan, patient=Patient.create(**known), patients=VIRTUAL, seed=1)
    except InvalidInputError as error:
        return {"says": str(error), "rows": [], "caveats": list(caveats())}
    plain = asdict(found)
    rows = list(zip(found.days, found.low_points, found.middle_points, found.high_points, strict=True))
    return {
        "says": "",
        "rows": [list(one) for one in rows],
        "caveats": list(plain["caveats"]),
        "scale": found.scale,
        "patients": found.patients,
        "known": list(known),
        "parameters": found.parameters,
        "posterior": found.posterior,
    }
