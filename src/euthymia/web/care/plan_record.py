"""A plan as the record keeps it: plain JSON and back, and every signed version of a course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import date
from typing import Any

from euthymia.care.course import Course
from euthymia.care.findings import Finding
from euthymia.care.plan import AtHome, CarePlan, Phase
from euthymia.care.record import from_text, thawed, to_text
from euthymia.dosing.order import Route

SCHEMA = "euthymia.care.plan/1"
TUPLES = (
    "monitoring",
    "therapy",
    "go_on_rules",
    "stop_rules",
    "goals",
    "expectations",
    "comorbidity",
)


def plan_to_dict(plan: CarePlan) -> dict[str, Any]:
    """Return a plan as plain JSON."""
    plain = {one.name: getattr(plan, one.name) for one in fields(plan)}
    return {
        **plain,
        "schema": SCHEMA,
        "route": plan.route.value,
        "created_utc": to_text(plan.created_utc),
        "step_down_review": plan.step_down_review.isoformat(),
        "phases": [asdict(one) for one in plan.phases],
        "at_home": _home_to_dict(plan.at_home),
        "findings": [_finding_to_dict(one) for one in plan.findings],
        **{name: list(plain[name]) for name in TUPLES},
    }


def _home_to_dict(home: AtHome) -> dict[str, Any]:
    on = home.assessed_on.isoformat() if home.assessed_on else None
    return {**asdict(home), "reasons": list(home.reasons), "assessed_on": on}


def _finding_to_dict(one: Finding) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(one).items()}


def plan_from_dict(plain: Mapping[str, Any]) -> CarePlan:
    """Read what ``plan_to_dict`` wrote; it was checked when it was signed and is not judged anew."""
    given = {name: value for name, value in plain.items() if name != "schema"}
    return CarePlan(
        **{
            **given,
            "route": Route(plain["route"]),
            "created_utc": from_text(plain["created_utc"]),
            "step_down_review": date.fromisoformat(plain["step_down_review"]),
            "phases": tuple(Phase(**one) for one in plain["phases"]),
            "at_home": _home(plain["at_home"]),
            "findings": tuple(_finding(one) for one in plain["findings"]),
            **{name: tuple(plain[name]) for name in TUPLES},
        }
    )


def _home(plain: Mapping[str, Any]) -> AtHome:
    on = date.fromisoformat(plain["assessed_on"]) if plain["assessed_on"] else None
    return AtHome(**{**plain, "reasons": tuple(plain["reasons"]), "assessed_on": on})


def _finding(plain: Mapping[str, Any]) -> Finding:
    given: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in plain.items()
    }
    return Finding(**given)


def signed_plans(course: Course) -> list[CarePlan]:
    """Return the signed versions of a course's plan, oldest first; those written elsewhere are left out."""
    found = [thawed(event.facts["plan"]) for event in course.all("plan_signed")]
    return [plan_from_dict(one) for one in found if isinstance(one, Mapping) and one.get("schema") == SCHEMA]
