"""Scores: numbers of items without any wording, and how each scale stands: response, remission, relapse."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response

from euthymia.care.followup import Standing, standing
from euthymia.care.record import Event, thawed, to_text
from euthymia.care.scores import SKIPPED, Cssrs, Instrument, Score, concern, find_instrument, score
from euthymia.errors import InvalidInputError
from euthymia.web.care.entry import Form, Given, done, enter, made, read_record, shown_at
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.refusals import UnusableError

SCREENS = Screens()
SCALES = ("MADRS", "PHQ-9", "GAD-7")
ITEMS = ("wish_to_be_dead", "active_thoughts", "method", "intent", "plan", "recent_behaviour")
"""Items of the C-SSRS screener in the order of the form; the page shows their numbers only."""
LEVELS = ("none", "passive", "active", "active", "intent", "plan")
"""Words of the record for the level of ideation, 0 to 5."""
TICKS: Mapping[str, Any] = {"yes": True, "no": False, SKIPPED: SKIPPED, "": None}
INCOMPLETE = "unknown"
"""Stands for the points of a scale with items missing: no total is made of a part."""
DO = {
    "now": "Intent, a plan or recent behaviour: a clinician now, and the person is not left alone.",
    "before leaving": "A named clinician speaks with the person before they leave.",
    "unknown": "Not everything was answered: unknown is no pass. Ask.",
    "none": "All was answered, with no.",
}


@SCREENS.screen("/patients/{patient}/scores", right="patient.read", template="scores.html")
def scores_page(ask: Ask, patient: str) -> Shown:
    """Show how each scale stands and take the numbers of its items."""
    record = read_record(ask, patient)
    course = record.course
    recorded = course.all("score_recorded", "risk_answered")
    return Shown(
        data={
            **record.to_dict(),
            "entry": secrets.token_hex(16),
            "forms": [_form(find_instrument(one)) for one in SCALES],
            "cssrs": {"items": [1, 2, 3, 4, 5, 6], "skippable": [3, 4, 5]},
            "standing": [_standing(standing(course, one)) for one in SCALES],
            "recorded": [
                _recorded(one, shown_at(to_text(one.observed_at), record.site)) for one in recorded[::-1]
            ],
            "alerts": [
                {"tier": one.tier, "says": one.says, "owner": one.owner}
                for one in record.clinic.alerts_of(patient)
            ],
            "is_writer": ask.may("assessment.write"),
        },
        about=(patient,),
        title="Scores",
    )


def _form(kind: Instrument) -> dict[str, Any]:
    return {
        "scale": kind.name,
        "rater": kind.rater,
        "recall": kind.recall_period,
        "low": kind.item_minimum,
        "items": [{"number": place, "most": most} for place, most in enumerate(kind.item_maxima, 1)],
        "concern": kind.concern,
    }


def _standing(one: Standing) -> dict[str, Any]:
    return {
        "scale": one.scale,
        "baseline": None if one.baseline is None else one.baseline.points,
        "now": None if one.now is None else one.now.points,
        "fall_percent": one.fall_percent,
        "has_responded": one.has_responded,
        "remission": dict(one.remission),
        "relapse": dict(one.relapse),
    }


def _recorded(event: Event, at: str) -> dict[str, Any]:
    facts = thawed(event.facts)
    is_scale = event.kind == "score_recorded"
    return {
        "at": at,
        "by": event.author,
        "scale": facts["scale"] if is_scale else facts["instrument"],
        "says": _says(facts) if is_scale else f"{facts['level']}; {DO.get(facts.get('concern', ''), '')}",
        "is_remote": bool(facts.get("is_remote")),
    }


def _says(facts: Mapping[str, Any]) -> str:
    if facts.get("is_complete", True):
        return f"{facts['points']:g} points" if isinstance(facts["points"], int | float) else INCOMPLETE
    missing = [place for place, one in enumerate(facts.get("items", ()), 1) if one is None]
    return f"total unknown, items missing: {', '.join(map(str, missing))}"


@SCREENS.act("/patients/{patient}/scores", right="assessment.write")
def save_score(ask: Ask, patient: str, given: Form) -> Response:
    """Record the items of a scale; its total is unknown while one is missing."""
    record = read_record(ask, patient)
    scale = given.one_of("scale", SCALES, needed="Which scale?")
    found = _scored(scale, given)
    if all(one is None for one in found.items):
        message = "No item was answered."
        raise UnusableError(message, field="i.1")
    facts = {
        "scale": found.scale,
        "points": INCOMPLETE if found.total is None else found.total,
        "items": list(found.items),
        "is_complete": found.total is not None,
        "is_remote": given.text("is_remote") == "yes",
    }
    event = made(ask, "score_recorded", record.subjects, event_id=f"{given.entry}-{scale}", facts=facts)
    enter(ask, given, [event], expected={record.stream: given.version})
    return done(ask, f"/patients/{patient}/scores")


def _scored(scale: str, given: Given) -> Score:
    count = find_instrument(scale).item_count
    try:
        return score(scale, [_item(given, f"i.{place}") for place in range(1, count + 1)])
    except InvalidInputError as error:
        raise UnusableError(str(error), field="items") from error


def _item(given: Given, name: str) -> int | None:
    return given.count(name, high=99) if given.text(name) else None


@SCREENS.act("/patients/{patient}/risk", right="assessment.write")
def save_risk(ask: Ask, patient: str, given: Form) -> Response:
    """Record the answers of the C-SSRS screener by number, with what they ask for."""
    record = read_record(ask, patient)
    answers = _answers(given)
    if all(one is None for one in answers.answers.values()):
        message = "No item was answered."
        raise UnusableError(message, field="r.1")
    asks_for = concern(answers)
    facts = {
        "instrument": "C-SSRS",
        "level": _level(answers),
        "is_remote": given.text("is_remote") == "yes",
        "answers": {str(place): answers.answers[name] for place, name in enumerate(ITEMS, 1)},
        "concern": asks_for,
    }
    event = made(ask, "risk_answered", record.subjects, event_id=f"{given.entry}-cssrs", facts=facts)
    enter(ask, given, [event], expected={record.stream: given.version})
    return done(ask, f"/patients/{patient}/scores")


def _answers(given: Given) -> Cssrs:
    ticks: dict[str, Any] = {}
    for place, name in enumerate(ITEMS, 1):
        word = given.text(f"r.{place}")
        if word not in TICKS:
            message = "Yes, no, left out, or not answered."
            raise UnusableError(message, field=f"r.{place}")
        ticks[name] = TICKS[word]
    try:
        return Cssrs.create(**ticks)
    except InvalidInputError as error:
        message = "Left out only where item 2 was answered with no."
        raise UnusableError(message, field="r.3") from error


def _level(answers: Cssrs) -> str:
    """Return the word of the record for the answers; refused where it cannot be said.

    The record knows no unknown level: an answer that is missing must not read as none.
    """
    if answers.answers["recent_behaviour"]:
        return "behaviour"
    if concern(answers) == "unknown":
        message = "Not everything was answered, and nothing with yes: unknown is no pass. Ask, then record."
        raise UnusableError(message, field="r.1")
    known = [place for place, name in enumerate(ITEMS[:5], 1) if answers.answers[name]]
    return LEVELS[max(known, default=0)]
