"""Registering a person, and the intake: who somebody is stands apart from what is on record of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.responses import Response

from euthymia.care.comedications import class_names
from euthymia.care.course import BASELINE_VALUES, Course
from euthymia.care.intake import Answer, Field, Intake, intake_fields
from euthymia.care.record import thawed
from euthymia.care.screening import checked_product
from euthymia.dosing.order import Route
from euthymia.errors import InvalidInputError
from euthymia.web.care.entry import Form, Given, Record, done, enter, made, read_day, read_record
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.people import INVENTED
from euthymia.web.care.refusals import StaleError, UnusableError
from euthymia.web.care.store import Person, find_people, name_key, read_person

SCREENS = Screens()
DRUGS = ("esketamine", "ketamine", "arketamine")
JURISDICTIONS = ("US", "EU", "UK", "other")
TRIALS = 8
"""Rows for earlier trials of antidepressants; more are added as rows are filled."""
TICKS = {"yes": True, "no": False}


@SCREENS.screen("/register", right="identity.write", template="intake_new.html", menu="New person")
def new_person(ask: Ask) -> Shown:
    """Show the form that registers a person."""
    data = {
        "patient": secrets.token_hex(8),
        "entry": secrets.token_hex(16),
        "drugs": list(DRUGS),
        "routes": [one.value for one in Route],
        "jurisdictions": list(JURISDICTIONS),
        "name_begins": INVENTED if ask.care.settings.is_demo else "",
    }
    return Shown(data=data, title="New person")


@SCREENS.act("/register", right="identity.write")
def register(ask: Ask, given: Form) -> Response:
    """Say who somebody is, and open a course under an identifier that says nothing."""
    ask.require("intake.write")
    person, facts = _person(ask, given), _course_facts(given)
    _require_new(ask, person, is_other=given.text("is_other") == "yes")
    _put_once(ask, person)
    subjects = {"patient": person.patient, "course": f"c{given.entry[:16]}"}
    event = made(ask, "course_opened", subjects, event_id=f"{given.entry}-opened", facts=facts)
    enter(ask, given, [event], expected={f"course:{subjects['course']}": 0})
    return done(ask, f"/patients/{person.patient}/intake")


def _person(ask: Ask, given: Given) -> Person:
    name = given.text("name", needed="Give the name.", most=120)
    if ask.care.settings.is_demo and not name.startswith(INVENTED):
        message = f"A demonstration takes no real person: names begin with '{INVENTED.strip()}'."
        raise UnusableError(message, field="name")
    birth = read_day(given.text("birth_date", needed="Give the date of birth."), "birth_date")
    if birth > ask.now.date():
        message = "A date of birth in the past."
        raise UnusableError(message, field="birth_date")
    contact = {one: given.text(one, most=200) for one in ("phone", "escort") if given.text(one, most=200)}
    patient = given.identifier("patient") or secrets.token_hex(8)
    ask.require_patient(patient)
    return Person(patient=patient, name=name, birth_date=birth.isoformat(), contact=contact)


def _course_facts(given: Given) -> dict[str, Any]:
    drug = given.one_of("drug", DRUGS, needed="Choose the drug.")
    route = given.one_of("route", [one.value for one in Route], needed="Choose the route.")
    checked_product(drug, route)
    facts: dict[str, Any] = {"drug": drug, "route": route}
    for name in ("jurisdiction", "referrer", "setting"):
        if given.text(name, most=120):
            facts[name] = given.text(name, most=120)
    if given.text("is_urgent") in TICKS:
        facts["is_urgent"] = TICKS[given.text("is_urgent")]
    return facts


def _require_new(ask: Ask, person: Person, *, is_other: bool) -> None:
    """Ask back where somebody of the same name and date of birth is on record."""
    with ask.care.store.reading() as connection:
        found = find_people(connection, person.name)
    same = [
        one
        for one in found
        if (name_key(one.name), one.birth_date) == (name_key(person.name), person.birth_date)
        and one.patient != person.patient
    ]
    if same and not is_other:
        message = "Somebody of this name and date of birth is on record. If this is another person, tick so."
        raise UnusableError(message, field="is_other")


def _put_once(ask: Ask, person: Person) -> None:
    with ask.care.store.reading() as connection:
        stands = read_person(connection, person.patient)
    if stands == person:
        return
    if stands is not None:
        message = "Another person stands under this identifier. Load the page again."
        raise StaleError(message, field="patient")
    ask.care.store.put_person(person, actor=ask.actor, role=ask.role)


@SCREENS.screen("/patients/{patient}/intake", right="intake.read", template="intake.html")
def intake_page(ask: Ask, patient: str) -> Shown:
    """Show the intake: every question of the table, unknown unless somebody answered."""
    record = read_record(ask, patient)
    intake = stored_intake(record.course)
    return Shown(
        data={
            **record.to_dict(),
            "entry": secrets.token_hex(16),
            "is_urgent": record.course.opened.get("is_urgent"),
            "sections": sections(intake),
            "questions": [
                {
                    "kind": one.kind,
                    "fields": list(one.fields),
                    "says": one.says,
                    "holds_back": list(one.holds_back),
                }
                for one in intake.questions()
            ],
            "trials": _trial_rows(record.course),
            "taken": taken(record.course),
            "classes": list(class_names()),
            "last": _last(record.course),
            "is_writer": ask.may("intake.write"),
        },
        about=(patient,),
        title="Intake",
    )


def stored_answers(course: Course) -> dict[str, Any]:
    """Return what the newest intake of a course says, as it was entered; nothing before the first."""
    event = course.last("intake_recorded")
    return thawed(event.facts["answers"]) if event else {}


def stored_intake(course: Course) -> Intake:
    """Return the newest intake of a course; one without answers before the first."""
    return _intake(course.patient, stored_answers(course))


def _intake(patient: str, answers: Mapping[str, Any]) -> Intake:
    known = {one.name for one in intake_fields() if one.kind != "list"}
    return Intake.create(
        patient_id=patient,
        answers={name: one for name, one in answers.items() if name in known},
        prior_trials=answers.get("prior_trials", ()),
        comedications=answers.get("comedications"),
        confirmed=answers.get("confirmed", ()),
    )


def _last(course: Course) -> dict[str, str] | None:
    event = course.last("intake_recorded")
    return None if event is None else {"by": event.author, "at": event.entered_at.isoformat()}


def sections(intake: Intake) -> list[dict[str, Any]]:
    """Return the questions of the intake by section, each with its answer; empty where it is unknown."""
    asked: dict[str, list[str]] = {}
    for one in intake.questions():
        for name in one.fields:
            asked.setdefault(name, []).append(one.says)
    found: dict[str, list[dict[str, Any]]] = {}
    for field in intake_fields():
        if field.kind != "list":
            shown = _shown(field, intake.answers.get(field.name), asked.get(field.name, []))
            found.setdefault(field.section, []).append(shown)
    return [
        {"name": name, "fields": rows, "open": sum(not one["entered"] for one in rows)}
        for name, rows in found.items()
    ]


def _shown(field: Field, answer: Answer | None, questions: Sequence[str]) -> dict[str, Any]:
    quantity = answer.quantity if answer else None
    return {
        "name": field.name,
        "asks": field.asks,
        "kind": field.kind,
        "unit": quantity.unit if quantity else field.unit,
        "units": [field.unit, *field.units] if field.unit else [],
        "choices": list(field.choices),
        "derived": field.derived,
        "entered": quantity.entered if quantity else _word(answer),
        "is_confirmed": bool(answer and answer.is_confirmed),
        "questions": list(questions),
    }


def _word(answer: Answer | None) -> str:
    if answer is None:
        return ""
    if isinstance(answer.value, bool):
        return "yes" if answer.value else "no"
    return str(answer.value)


def _trial_rows(course: Course) -> list[dict[str, Any]]:
    trials = stored_answers(course).get("prior_trials", [])
    return [*trials, *({} for _ in range(max(2, TRIALS - len(trials))))]


def taken(course: Course) -> dict[str, Any]:
    """Return how drugs taken were answered: unknown, none, or which, with their classes where given."""
    listed = stored_answers(course).get("comedications")
    state = "unknown" if listed is None else "listed" if listed else "none"
    return {"state": state, "lines": [_drug_line(one) for one in listed or ()]}


def _drug_line(one: Any) -> str:
    return one if isinstance(one, str) else f"{one['name']}: {', '.join(one['classes'])}"


@SCREENS.act("/patients/{patient}/intake", right="intake.write")
def save_intake(ask: Ask, patient: str, given: Form) -> Response:
    """Write the whole intake as it now is; nothing is changed on the way, what is unlikely is asked again."""
    record = read_record(ask, patient)
    answers = read_answers(given, before=stored_answers(record.course))
    intake = _checked(patient, answers)
    numbers = {name: one.quantity for name, one in intake.answers.items() if one.quantity}
    events = [
        made(
            ask,
            "intake_recorded",
            record.subjects,
            event_id=f"{given.entry}-intake",
            facts={"answers": answers},
            values=numbers,
        )
    ]
    measured = _measured(record, intake) if ask.may("assessment.write") else {}
    if measured:
        events.append(
            made(ask, "measured", record.subjects, event_id=f"{given.entry}-measured", values=measured)
        )
    enter(ask, given, events, expected={record.stream: given.version})
    go = "screening" if given.text("go") == "screening" and ask.may("patient.read") else "intake"
    return done(ask, f"/patients/{patient}/{go}")


def _measured(record: Record, intake: Intake) -> dict[str, Any]:
    """Return the values of the baseline that are new in this intake and not held back by a question."""
    before = stored_answers(record.course)
    held = {name for one in intake.questions() for name in one.holds_back}
    found = {
        name: intake.answers[name]
        for name in BASELINE_VALUES
        if name in intake.answers and name not in held and before.get(name) != _typed(intake.answers[name])
    }
    return {name: one.quantity for name, one in found.items()}


def _typed(answer: Answer) -> str:
    return answer.entered


def read_answers(given: Given, *, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers of a form as they were typed; what was left at unknown is left out.

    A confirmation holds for the value that was asked about, and goes when the value is changed.
    """
    asked = [one for one in intake_fields() if one.kind != "list"]
    found: dict[str, Any] = {one.name: text for one in asked if (text := _entered(given, one))}
    trials = _trials(given)
    if trials:
        found["prior_trials"] = trials
    drugs = _drugs(given)
    if drugs is not None:
        found["comedications"] = drugs
    kept = [name for name in given.many("confirmed") if name in found and found[name] == before.get(name)]
    return {**found, **({"confirmed": kept} if kept else {})}


def _entered(given: Given, field: Field) -> str:
    text = given.text(f"f.{field.name}")
    unit = given.text(f"u.{field.name}", most=20)
    is_number = field.kind in ("number", "count")
    return f"{text} {unit}" if text and is_number and unit and unit != field.unit else text


def _trials(given: Given) -> list[dict[str, Any]]:
    found = []
    for place in range(40):
        drug = given.text(f"trial.{place}.drug", most=120)
        if drug:
            found.append({"drug": drug, **_trial(given, place)})
    return found


def _trial(given: Given, place: int) -> dict[str, Any]:
    numbers = {
        name: _number(given, f"trial.{place}.{name}")
        for name in ("weeks", "improvement_percent")
        if given.text(f"trial.{place}.{name}")
    }
    dose, adequate = given.text(f"trial.{place}.dose", most=60), given.text(f"trial.{place}.is_adequate")
    more = {"dose": dose} if dose else {}
    return {**numbers, **more, **({"is_adequate": TICKS[adequate]} if adequate in TICKS else {})}


def _number(given: Given, name: str) -> float:
    try:
        return float(given.text(name).replace(",", "."))
    except ValueError:
        message = "A number, or nothing where it is not known."
        raise UnusableError(message, field=name) from None


def _drugs(given: Given) -> list[Any] | None:
    """Return the drugs taken: None where it was not asked, () where none is taken."""
    state = given.text("taken")
    if state == "none":
        if given.lines("comedications"):
            message = "'None taken', but drugs are listed. Which is right?"
            raise UnusableError(message, field="comedications")
        return []
    return [_drug(one) for one in given.lines("comedications")] or None


def _drug(line: str) -> Any:
    name, _, kinds = line.partition(":")
    classes = [one.strip() for one in kinds.split(",") if one.strip()]
    return {"name": name.strip(), "classes": classes} if classes else line.rstrip(":").strip()


def _checked(patient: str, answers: Mapping[str, Any]) -> Intake:
    """Return the intake, or refuse every field that cannot be read, all at once."""
    problems = [found for one in intake_fields() if (found := _problem(patient, one, answers))]
    if problems:
        raise UnusableError(problems[0]["message"], field=problems[0]["field"], errors=problems)
    try:
        return _intake(patient, answers)
    except InvalidInputError as error:
        raise UnusableError(str(error), field="comedications" if "class" in str(error) else "") from error


def _problem(patient: str, field: Field, answers: Mapping[str, Any]) -> dict[str, str] | None:
    if field.name not in answers or field.kind == "list":
        return None
    try:
        Intake.create(patient_id=patient, answers={field.name: answers[field.name]})
    except InvalidInputError as error:
        return {"field": f"f.{field.name}", "message": str(error)}
    return None
