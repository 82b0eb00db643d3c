"""A session: what stops the next step, what is due, what was seen and given; and entries into the record.

Times, ages and stops are worked out by the core at the moment of asking; the page adds nothing to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from euthymia.care import rems
from euthymia.care.checks import Check, checks, next_check
from euthymia.care.clock import MINUTE, Now, exactly, local_day
from euthymia.care.gate import pre_dose, stops
from euthymia.care.integration import therapy_of
from euthymia.care.readiness import ready, would_be_ready
from euthymia.care.readings import quantity
from euthymia.care.record import Event, Quantity, to_text
from euthymia.care.session import GONE, Session
from euthymia.errors import InvalidInputError
from euthymia.web.care.guards import Ask, Guard
from euthymia.web.care.pages import RESPONSES, Screens, Shown
from euthymia.web.care.refusals import NotFoundError, UnusableError
from euthymia.web.care.session_expected import expected_readings, regimen_of
from euthymia.web.care.session_timeline import charted, timeline
from euthymia.web.care.session_view import (
    clinic_of,
    clock,
    instant,
    names_of,
    plain_alert,
    plain_criterion,
    seat_of,
    stage_of,
    versions_of,
)
from euthymia.web.care.store import read_person, read_row
from euthymia.web.care.writing import SecondIn, write

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from euthymia.care.clinic import Clinic
    from euthymia.care.timing import Criterion

SCREENS = Screens()
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Identifier = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[A-Za-z0-9_.:/-]+$")]
"""What the core makes of identifiers, such as an alert's, has slashes."""
AHEAD_MIN = 150.0
"""Checks are shown so far ahead: the longest pause of a schedule lies within it."""
SIGNED_BY_SELF = ("first_checker", "signed_by", "decided_by", "given_by")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TypedIn(_Strict):
    """A value as it was typed; the canonical number is worked out here."""

    entered: str = Field(min_length=1, max_length=40)
    unit: str | None = Field(default=None, max_length=20)


class EntryIn(_Strict):
    """One entry of a page."""

    event_id: Name
    kind: Name
    subjects: dict[Name, Identifier] = Field(max_length=12)
    observed_at: AwareDatetime
    values: dict[Name, TypedIn] = Field(default={}, max_length=40)
    facts: dict[Name, Any] = Field(default={}, max_length=60)
    corrects: Identifier | None = None
    reason: str | None = Field(default=None, max_length=2000)


class EntriesIn(_Strict):
    """Entries that are written together or not at all."""

    entries: list[EntryIn] = Field(min_length=1, max_length=40)
    expected: dict[Identifier, Annotated[int, Field(ge=0)]] = Field(max_length=400)
    deviation: str | None = Field(default=None, max_length=2000)
    pin: str | None = Field(default=None, max_length=12)
    second: SecondIn | None = None


@SCREENS.router.post("/api/entries", response_class=JSONResponse, responses=RESPONSES)
def post_entries(given: EntriesIn, ask: Annotated[Ask, Depends(Guard("event.write"))]) -> JSONResponse:
    """Write what was typed; answers as ``/api/events`` does."""
    events = [_event(one, ask) for one in given.entries]
    found = write(
        ask,
        events,
        expected=given.expected,
        deviation=given.deviation,
        pin=given.pin,
        second=given.second,
    )
    return JSONResponse({"ok": True, "events": [one.to_dict() for one in found]})


def _event(given: EntryIn, ask: Ask) -> Event:
    for fact in SIGNED_BY_SELF:
        if given.facts.get(fact, ask.actor) != ask.actor and not (
            fact == "signed_by" and given.kind == "consent_signed"
        ):
            message = "sign for yourself"
            raise UnusableError(message, field=fact)
    try:
        values = {name: quantity(name, one.entered, one.unit) for name, one in given.values.items()}
        return Event(
            entered_at=ask.now,
            author=ask.actor,
            role="",
            values=values,
            **given.model_dump(exclude={"values"}),
        )
    except (InvalidInputError, OverflowError) as error:
        raise UnusableError(str(error), field="values") from error


def _find(ask: Ask, connection: Connection, session: str) -> tuple[Clinic, Session]:
    row = read_row(connection, "sessions", session)
    if row is None:
        message = "There is no such session."
        raise NotFoundError(message)
    clinic = clinic_of(ask.care.store, connection, str(row["patient"]))
    found = clinic.sessions.get(session)
    if found is None or found.course not in clinic.courses:
        message = "There is no such session."
        raise NotFoundError(message)
    return clinic, found


@SCREENS.screen("/sessions/{session}", right="session.read", template="session.html")
def session_page(ask: Ask, session: str) -> Shown:
    """Show one session: the next step and what it waits for, checks, prompts, timeline."""
    with ask.care.store.reading() as connection:
        clinic, found = _find(ask, connection, session)
        name = names_of(ask, connection, [found.patient])[found.patient]
        versions = versions_of(connection, found.patient)
    now = exactly(ask.now)
    data = {
        **_head(clinic, found, now),
        "name": name,
        "account": ask.actor,
        "roles": list(ask.roles),
        "may_write": ask.may("session.write"),
        "may_sign": ask.may("plan.write"),
        "versions": _versions(versions, clinic, found),
        **_conditions(clinic, found, now),
        **_due(clinic, found, now),
        "questions": _questions(found),
        "incidents": _incidents(clinic, found),
        **_at_hand(clinic, found, now),
        **_after(clinic, found),
        "timeline": timeline(clinic, found),
        "chart": charted(clinic, found, now),
        "has_forecast": bool(regimen_of(clinic, found)),
    }
    return Shown(data=data, about=(found.patient,), title=f"{name} · {seat_of(found)}")


def _head(clinic: Clinic, found: Session, now: Now) -> dict[str, Any]:
    start, order = found.first_dose_at, clinic.courses[found.course].order
    return {
        "session": found.id,
        "patient": found.patient,
        "course": found.course,
        "course_state": clinic.courses[found.course].state,
        "chair": seat_of(found),
        "nurse": found.nurse,
        "drug": found.drug,
        "route": found.route,
        "now": to_text(now.at),
        "clock": clock(now.at, clinic),
        **stage_of(found.stage),
        "is_gone": found.stage in GONE,
        "has_dose": bool(found.doses),
        "is_running": any(dose.is_running for dose in found.doses),
        "given_mg": found.given_mg,
        "since_dose_min": None if start is None else round(now.minutes_at_most(start)),
        "order": None if order is None else _order(order),
    }


def _order(order: Event) -> dict[str, Any]:
    names = ("order_id", "drug", "route", "amount_mg", "max_amount_mg", "min_interval_h", "valid_until")
    facts = {name: order.facts.get(name) for name in names}
    return {**facts, "signed_by": order.facts["signed_by"], "signed_at": instant(order.observed_at)}


def _conditions(clinic: Clinic, found: Session, now: Now) -> dict[str, Any]:
    """Return the gate before a dose, or the criteria before leaving; neither once the person has gone."""
    around = clinic.around(found)
    gate = pre_dose(found, around, now) if not found.doses and found.stage not in GONE else ()
    leaving = ready(found, around, now) if found.doses and found.stage not in GONE else ()
    stage = stage_of("READY_CHECK") if _is_floor_over(leaving, found) else {}
    return {
        "gate": _listed(gate),
        "gate_open": len(stops(gate)),
        "ready": _listed(leaving),
        "ready_open": len(stops(leaving)),
        "would_be_ready": bool(leaving) and would_be_ready(leaving),
        **stage,
    }


def _is_floor_over(leaving: Sequence[Criterion], found: Session) -> bool:
    is_met = any(one.finding.rule_id == "observation" and one.is_met for one in leaving)
    return found.stage == "OBSERVING" and is_met


def _listed(criteria: Sequence[Criterion]) -> list[dict[str, Any]]:
    """Return criteria with what stops first; what is met below."""
    order = {"fails": 0, "unknown": 1, "meets": 2}
    some = sorted(criteria, key=lambda one: (one.is_met, order[one.finding.status]))
    return [plain_criterion(one) for one in some]


def _due(clinic: Clinic, found: Session, now: Now) -> dict[str, Any]:
    owed = checks(found, clinic.timing, now, ahead_min=AHEAD_MIN) if found.doses else ()
    first = next_check(owed) if found.is_here else None
    return {
        "checks": [_check(one, clinic, now) for one in owed],
        "next_check": None if first is None else _check(first, clinic, now),
        "check_source": clinic.timing.schedule(found.route).source if found.doses else "",
        "alerts": [plain_alert(one, clinic) for one in clinic.alerts_of(found.patient)],
    }


def _check(one: Check, clinic: Clinic, now: Now) -> dict[str, Any]:
    return {
        "id": one.id,
        "due_at": instant(one.due_at),
        "clock": clock(one.due_at, clinic),
        "state": one.state,
        "due_s": round((one.due_at - now.latest).total_seconds()),
        "is_owed": one.is_owed,
        "missing": list(one.missing),
        "is_added": one.is_added,
    }


def _questions(found: Session) -> list[dict[str, Any]]:
    """Return open questions about entries, with what may have been meant."""
    answered = {one.facts["question_id"] for one in found.events if one.kind == "question_answered"}
    return [
        {
            "id": one.event_id,
            "of_event": one.facts["of_event"],
            "says": one.facts.get("says")
            or f"{one.facts['field']}: {one.facts['entered']}. Right as entered?",
            "proposals": [
                {
                    "says": ", ".join(f"{name} {Quantity.from_dict(each)}" for name, each in some.items()),
                    "values": {
                        name: {"entered": each["entered"], "unit": each["unit"]}
                        for name, each in some.items()
                    },
                }
                for some in one.facts.get("proposals", ())
            ],
        }
        for one in found.events
        if one.kind == "question_asked" and one.event_id not in answered
    ]


def _incidents(clinic: Clinic, found: Session) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "type": one.type,
            "severity": one.severity,
            "is_serious": one.is_serious,
            "clock": clock(one.at, clinic),
            "is_open": one.closed_at is None,
            "outcome": one.outcome,
        }
        for one in found.incidents
    ]


def _at_hand(clinic: Clinic, found: Session, now: Now) -> dict[str, Any]:
    """Return what forms offer: lots in stock, people on site, words of the rules."""
    order = clinic.courses[found.course].order
    drug = str(order.facts["drug"]) if order else found.drug
    today = local_day(now.latest, clinic.site.zone)
    words = clinic.timing.words
    return {
        "lots": [
            {
                "id": one.id,
                "unit": one.unit,
                "each_mg": one.amount_mg_each,
                "on_hand": one.on_hand,
                "expiry": one.expiry.isoformat(),
            }
            for one in clinic.lots.values()
            if one.is_usable(drug, today)
        ],
        "staff": [
            {"account": name, "role": str(facts["staff_role"])} for name, facts in clinic.site.staff.items()
        ],
        "risk_levels": list(words["risk_levels"]),
        "risk_urgent": list(words["risk_urgent"]),
        "crisis_symptoms": list(words["crisis_symptoms"]),
        "crisis_says": words["crisis_says"],
        "agitation": words["agitation"],
        "is_wanted": {
            name: found.route in clinic.timing.limits[name].routes for name in ("food", "nasal_agent")
        },
    }


def _after(clinic: Clinic, found: Session) -> dict[str, Any]:
    """Return what is owed after the session, and whether therapy was offered."""
    therapy = therapy_of(clinic, found.id) if found.doses else None
    return {
        "obligations": [
            {
                "id": one.id,
                "type": one.type,
                "says": one.says,
                "owner": one.owner,
                "due_at": instant(one.due_at),
                "due": one.due_at.astimezone(clinic.site.zone).strftime("%d %b %H:%M"),
            }
            for one in clinic.open_of(found.patient)
        ],
        "therapy": None
        if therapy is None
        else {"is_offered": therapy.is_offered, "is_booked": therapy.is_booked},
        "needs_form": clinic.courses[found.course].needs_enrolment and bool(found.doses),
    }


def _versions(versions: Mapping[str, int], clinic: Clinic, found: Session) -> dict[str, int]:
    """Return the versions of the streams that this page may write to."""
    wanted = {f"session:{found.id}", f"course:{found.course}"}
    wanted |= {f"alert:{one.id}" for one in clinic.alerts_of(found.patient)}
    wanted |= {f"obligation:{one.id}" for one in clinic.open_of(found.patient)}
    return {name: version for name, version in versions.items() if name in wanted}


@SCREENS.router.get("/api/sessions/{session}/expected", response_class=JSONResponse, responses=RESPONSES)
def expected(session: str, ask: Annotated[Ask, Depends(Guard("session.read"))]) -> JSONResponse:
    """Return what virtual patients would show after what was given: a population forecast."""
    with ask.care.store.reading() as connection:
        clinic, found = _find(ask, connection, session)
    ask.require_patient(found.patient)
    regimen = regimen_of(clinic, found)
    base = {name: found.before_dose(name) for name in ("systolic_mmHg", "diastolic_mmHg")}
    data = expected_readings(regimen) if regimen else None
    return JSONResponse(
        {
            "ok": True,
            "data": data,
            "before": {name: None if one is None else one.value for name, one in base.items()},
        }
    )


@SCREENS.screen("/sessions/{session}/form", right="session.read", template="session_form.html")
def session_form(ask: Ask, session: str) -> Shown:
    """Show the programme's monitoring form as the record fills it; what it cannot answer is named."""
    with ask.care.store.reading() as connection:
        clinic, found = _find(ask, connection, session)
        name = names_of(ask, connection, [found.patient])[found.patient]
        versions = versions_of(connection, found.patient)
        known = read_person(connection, found.patient) if ask.may("identity.read") else None
    identity = {} if known is None else {"patient_dob": known.birth_date}
    course = clinic.courses[found.course]
    filled = rems.form(found, course, clinic.site, timing=clinic.timing, identity=identity)
    says = {row["field_key"]: row["field_label"] for row in rems.fields(filled.version)}
    owed = [
        one for one in clinic.open_of(found.patient) if one.type == "rems_form" and one.session == found.id
    ]
    left = found.last.get("patient_left")
    data = {
        "session": found.id,
        "patient": found.patient,
        "course": found.course,
        "name": name,
        "version": filled.version,
        "is_over": left is not None,
        "minutes": None
        if left is None or found.first_dose_at is None
        else round((left.observed_at - found.first_dose_at) / MINUTE),
        "fields": [
            {"key": key, "says": says[key], "value": _answer(value), "is_missing": key in filled.missing}
            for key, value in filled.fields.items()
        ],
        "missing": list(filled.missing),
        "obligation": None
        if not owed
        else {"id": owed[0].id, "due": owed[0].due_at.astimezone(clinic.site.zone).strftime("%d %b %H:%M")},
        "versions": {
            f"obligation:{one.id}": versions[f"obligation:{one.id}"]
            for one in owed
            if f"obligation:{one.id}" in versions
        },
        "now": to_text(ask.now),
        "may_write": ask.may("obligation.write"),
    }
    return Shown(data=data, about=(found.patient,), title=f"Monitoring form · {name}")


def _answer(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_answer(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
