"""A patient: the course, plan and its versions, scores, exposure, what is owed, consents, history."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends
from fastapi.responses import JSONResponse

from euthymia.care import followup
from euthymia.care.clock import MINUTE, Now, exactly, local_day
from euthymia.care.record import to_text
from euthymia.errors import EuthymiaError
from euthymia.web.care.guards import Ask, Guard
from euthymia.web.care.pages import RESPONSES, Screens, Shown
from euthymia.web.care.refusals import NotFoundError
from euthymia.web.care.session_timeline import entries_of
from euthymia.web.care.session_view import (
    clinic_of,
    instant,
    names_of,
    plain_alert,
    rounded,
    shown,
    stage_of,
)
from euthymia.web.care.store import read_row

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from euthymia.care.clinic import Clinic
    from euthymia.care.course import Course
    from euthymia.care.plan import CarePlan
    from euthymia.care.record import Event
    from euthymia.care.session import Session

SCREENS = Screens()
DAY_MIN = 1440
VIRTUAL_PATIENTS = 60
LAST_ENTRIES = 60
SCALES = ("MADRS", "PHQ-9", "GAD-7")
_TURN = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Written:
    """What a signed plan says in the dosing language; all that the forecast of a group asks for."""

    regimen: str


@SCREENS.screen("/patients/{patient}", right="patient.read", template="patient.html")
def patient_page(ask: Ask, patient: str) -> Shown:
    """Show one patient, everything from the record, nothing filled in."""
    with ask.care.store.reading() as connection:
        clinic = _find(ask, connection, patient)
        name = names_of(ask, connection, [patient])[patient]
    now = exactly(ask.now)
    courses = [one for one in clinic.courses.values() if one.patient == patient]
    sessions = clinic.sessions_of(patient)
    data = {
        "patient": patient,
        "name": name,
        "now": to_text(now.at),
        "may_open": ask.may("session.read"),
        "courses": [_course(clinic, one, now) for one in reversed(courses)],
        "exposure": _exposure(clinic, sessions, now),
        "sessions": [_session(clinic, one) for one in reversed(sessions)],
        "alerts": [plain_alert(one, clinic) for one in clinic.alerts_of(patient)],
        "obligations": [_owed(clinic, one, now) for one in clinic.open_of(patient)],
        "history": _history(clinic, courses),
    }
    return Shown(data=data, about=(patient,), title=name)


def _find(ask: Ask, connection: Connection, patient: str) -> Clinic:
    if read_row(connection, "patients", patient) is None:
        message = "There is no such patient."
        raise NotFoundError(message)
    return clinic_of(ask.care.store, connection, patient)


def _course(clinic: Clinic, course: Course, now: Now) -> dict[str, Any]:
    order, first = course.order, followup.first_dose_at(course)
    return {
        "id": course.id,
        "state": course.state,
        "drug": shown(course.opened.get("drug")),
        "route": shown(course.opened.get("route")),
        "states": [
            {"state": one.facts["to"], "on": _day(clinic, one), "by": one.author, "reason": one.reason or ""}
            for one in course.all("course_moved")
        ],
        "next_review": None if course.next_review_date is None else course.next_review_date.isoformat(),
        "plans": _plans(clinic, course),
        "orders": [_order(clinic, one, is_now=one is order) for one in reversed(course.all("order_signed"))],
        "overrides": [
            {
                "rule_id": one.facts["rule_id"],
                "by": one.author,
                "on": _day(clinic, one),
                "reason": one.reason or "",
            }
            for one in course.all("override_signed")
        ],
        "consents": [
            {"version": shown(one.facts["version"]), "on": _day(clinic, one)}
            for one in reversed(course.all("consent_signed"))
        ],
        "enrolled": [
            {"programme": shown(one.facts["programme"]), "on": _day(clinic, one)}
            for one in course.all("enrolled")
        ],
        "scores": [_standing(clinic, course, scale) for scale in followup.scores(course)],
        "chart": _chart(course, now),
        "has_forecast": bool(_regimen(course)),
        "risk": _risk(clinic, course),
        "long_term": [
            _long_term(one) for one in followup.long_term(course, _today(clinic, now), clinic.site)
        ],
        "early_requests": followup.early_requests(course),
        "monitoring_programme": instant_day(followup.prescription_monitoring(course)),
        "first_dose": None if first is None else local_day(first, clinic.site.zone).isoformat(),
    }


def instant_day(day: Any) -> str | None:
    """Return a day as text; None where there is none."""
    return None if day is None else day.isoformat()


def _today(clinic: Clinic, now: Now) -> Any:
    return local_day(now.at, clinic.site.zone)


def _day(clinic: Clinic, event: Event) -> str:
    return local_day(event.observed_at, clinic.site.zone).isoformat()


def _plans(clinic: Clinic, course: Course) -> list[dict[str, Any]]:
    """Return the versions of the plan, newest first, each with what changed from the one before."""
    signed = course.all("plan_signed")
    found = []
    for place, one in enumerate(signed):
        before = signed[place - 1].to_dict()["facts"] if place else None
        facts = one.to_dict()["facts"]
        found.append(
            {
                "version": facts["plan_version"],
                "on": _day(clinic, one),
                "by": facts["signed_by"],
                "says": _lines(facts["plan"]),
                "next_review": facts.get("next_review_date"),
                "changes": [] if before is None else _changes(_lines(before["plan"]), _lines(facts["plan"])),
                "reason": one.reason or "",
            }
        )
    return found[::-1]


def _lines(plan: Any) -> dict[str, str]:
    """Return what a plan says, field by field."""
    if not isinstance(plan, Mapping):
        return {"plan": shown(plan)}
    return {
        name.replace("_", " "): _plain(one) for name, one in plan.items() if one not in (None, "", [], {})
    }


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name.replace('_', ' ')} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_plain(one) for one in value)
    return shown(value)


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[dict[str, str]]:
    names = dict.fromkeys((*old, *new))
    return [
        {"field": name, "was": old.get(name, ""), "now": new.get(name, "")}
        for name in names
        if old.get(name) != new.get(name)
    ]


def _order(clinic: Clinic, event: Event, *, is_now: bool) -> dict[str, Any]:
    facts = event.facts
    names = ("amount_mg", "max_amount_mg", "min_interval_h", "valid_until", "route", "drug")
    return {
        "on": _day(clinic, event),
        "by": shown(facts["signed_by"]),
        "is_now": is_now,
        **{name: shown(facts.get(name)) for name in names},
    }


def _standing(clinic: Clinic, course: Course, scale: str) -> dict[str, Any]:
    """Return how a scale stands; each definition by its name, where two differ both."""
    one = followup.standing(course, scale)
    return {
        "scale": scale,
        "baseline": None if one.baseline is None else one.baseline.points,
        "now": None if one.now is None else one.now.points,
        "now_on": None if one.now is None else local_day(one.now.at, clinic.site.zone).isoformat(),
        "fall_percent": rounded(one.fall_percent),
        "has_responded": one.has_responded,
        "remission": dict(one.remission),
        "relapse": dict(one.relapse),
    }


def _chart(course: Course, now: Now) -> dict[str, Any]:
    """Return totals by days from the first dose; from the first total where none was given."""
    points = followup.scores(course)
    times = [each.at for one in points.values() for each in one]
    start = followup.first_dose_at(course) or min(times, default=now.at)
    return {
        "has_dose": bool(course.doses_at()),
        "x_says": "days from the first dose" if course.doses_at() else "days from the first score",
        "doses_min": [rounded((at - start) / (DAY_MIN * MINUTE)) for at in course.doses_at()],
        "readings": {
            scale: [
                [rounded((one.at - start) / (DAY_MIN * MINUTE), 2), one.points]
                for one in points.get(scale, ())
                if one.points is not None
            ]
            for scale in SCALES
        },
    }


def _risk(clinic: Clinic, course: Course) -> list[dict[str, Any]]:
    return [
        {
            "on": _day(clinic, one),
            "level": shown(one.facts["level"]),
            "instrument": shown(one.facts["instrument"]),
            "by": one.author,
        }
        for one in reversed(course.all("risk_answered")[-10:])
    ]


def _long_term(one: followup.LongTermCheck) -> dict[str, Any]:
    found = asdict(one)
    return {
        **found,
        "last_on": instant_day(one.last_on),
        "due_on": instant_day(one.due_on),
        "is_each_visit": one.is_each_visit,
    }


def _exposure(clinic: Clinic, sessions: Sequence[Session], now: Now) -> dict[str, Any]:
    found = followup.exposure(sessions, now.at, clinic.site)
    trend = followup.pressure_trend(sessions)
    return {
        "sessions": found.sessions,
        "total_mg": {drug: rounded(mg) for drug, mg in found.total_mg.items()},
        "sessions_last_90_days": found.sessions_last_90_days,
        "first_on": instant_day(found.first_on),
        "last_on": instant_day(found.last_on),
        "pressure": {
            "count": trend.count,
            "last_mmHg": rounded(trend.last_mmHg),
            "change_per_10_sessions_mmHg": rounded(trend.change_per_10_sessions_mmHg),
        },
    }


def _session(clinic: Clinic, one: Session) -> dict[str, Any]:
    start = one.instant("starts_at")
    return {
        "session": one.id,
        **stage_of(one.stage),
        "on": "" if start is None else start.astimezone(clinic.site.zone).strftime("%Y-%m-%d %H:%M"),
        "drug": one.drug,
        "route": one.route,
        "given_mg": one.given_mg,
        "incidents": [f"{each.type}, {each.severity}" for each in one.incidents],
    }


def _owed(clinic: Clinic, one: Any, now: Now) -> dict[str, Any]:
    return {
        "id": one.id,
        "says": one.says,
        "owner": one.owner,
        "due_at": instant(one.due_at),
        "due": one.due_at.astimezone(clinic.site.zone).strftime("%Y-%m-%d %H:%M"),
        "is_overdue": one.is_overdue(now),
    }


def _history(clinic: Clinic, courses: Sequence[Course]) -> list[dict[str, Any]]:
    """Return the last entries of the courses, newest first; those of sessions stand with the sessions."""
    found = [one for course in courses for one in entries_of(clinic, course.events)]
    found.sort(key=lambda one: (one["entered_at"], one["at"]), reverse=True)
    return found[:LAST_ENTRIES]


def _regimen(course: Course) -> str:
    """Return what the signed plan gives in the dosing language; empty where it says no such thing."""
    plan = course.last("plan_signed")
    said = None if plan is None else plan.facts["plan"]
    text = said.get("regimen") if isinstance(said, Mapping) else said
    return text if isinstance(text, str) and _is_regimen(text) else ""


@lru_cache(maxsize=256)
def _is_regimen(text: str) -> bool:
    from euthymia.dosing.notation import parse_regimen

    try:
        parse_regimen(text)
    except (EuthymiaError, ValueError):
        return False
    return True


@SCREENS.router.get("/api/patients/{patient}/expected", response_class=JSONResponse, responses=RESPONSES)
def expected(patient: str, ask: Annotated[Ask, Depends(Guard("patient.read"))]) -> JSONResponse:
    """Return what virtual patients would score under the plan of the last course: a population forecast."""
    ask.require_patient(patient)
    with ask.care.store.reading() as connection:
        clinic = _find(ask, connection, patient)
    courses = [one for one in clinic.courses.values() if one.patient == patient]
    regimen = _regimen(courses[-1]) if courses else ""
    with _TURN:
        data = _expected(regimen) if regimen else None
    return JSONResponse({"ok": True, "data": data, "before": {}})


@lru_cache(maxsize=32)
def _expected(regimen: str) -> dict[str, Any] | None:
    from euthymia.care.expected import expected_course

    try:
        found = expected_course(cast("CarePlan", _Written(regimen=regimen)), patients=VIRTUAL_PATIENTS)
    except EuthymiaError:
        return None
    band = {
        "low": list(found.low_points),
        "middle": list(found.middle_points),
        "high": list(found.high_points),
    }
    says = (
        f"Population forecast, simulated: 5 to 95 % of {found.patients} virtual patients under the plan. "
        "Nobody's own forecast, and no promise. "
    )
    return {"minutes": list(found.days), found.scale: band, "says": says + " ".join(found.caveats)}
