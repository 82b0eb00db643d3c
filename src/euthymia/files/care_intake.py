"""Intake files: read with their lines, so that a message says where to look."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml

from euthymia.care.intake import Intake, fields
from euthymia.care.plan import AtHome, CarePlan, Phase, from_schedule
from euthymia.care.screening import Override, Screening, screen
from euthymia.errors import InvalidInputError, UnknownNameError, invalid, unknown

SCHEMA = "euthymia.intake/1"
HEAD = ("schema", "patient", "seen_utc", "drug", "route")
LISTS = ("prior_trials", "comedications", "confirmed", "overrides", "plan")
SUFFIXES = (".yaml", ".yml")
PLAN_TUPLES = ("therapy", "goals", "expectations", "comorbidity", "go_on_rules", "stop_rules", "monitoring")
Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True, slots=True)
class IntakeFile:
    """What an intake file says, and the lines on which its fields stand."""

    name: str
    head: Mapping[str, Any]
    answers: Mapping[str, Any]
    parts: Mapping[str, Any]
    lines: Mapping[str, int]

    def intake(self) -> Intake:
        """Return the intake.

        Raises
        ------
        InvalidInputError
            Names the file and the line.
        """
        return self._located(
            lambda: Intake.create(
                patient_id=str(self.head["patient"]),
                answers=self.answers,
                prior_trials=self.parts["prior_trials"] or (),
                comedications=self.parts["comedications"],
                confirmed=self.parts["confirmed"] or (),
            )
        )

    def overrides(self) -> tuple[Override, ...]:
        """Return the overrides that are signed in the file."""
        given = self.parts["overrides"] or ()
        return self._located(lambda: tuple(_override(one) for one in given))

    def screening(self, *, drug: str | None = None, route: str | None = None) -> Screening:
        """Return what the rules say, for the drug and route of the file or others."""
        return self._located(
            lambda: screen(
                self.intake(),
                drug=drug or str(self.head["drug"]),
                route=route or str(self.head["route"]),
                at_utc=_instant("seen_utc", self.head["seen_utc"]),
                overrides=self.overrides(),
            )
        )

    def plan(self) -> CarePlan:
        """Return the plan of the file.

        Raises
        ------
        InvalidInputError
            Where the file has none, or it does not hold.
        """
        if not isinstance(self.parts["plan"], Mapping):
            raise invalid("plan", must=f"given in {self.name} as a mapping", got=repr(self.parts["plan"]))
        return self._located(lambda: _plan(self.parts["plan"], self.intake()))

    def _located(self, make: Callable[[], Made]) -> Made:
        """Return what is made; a message about a field says on which line it stands."""
        try:
            return make()
        except InvalidInputError as error:
            if str(error).startswith(self.name):
                raise
            named = [word for word in re.findall(r"'([\w.-]+)'", str(error)) if word in self.lines]
            where = f"{self.name}, line {self.lines[named[0]]}" if named else self.name
            kind = UnknownNameError if isinstance(error, UnknownNameError) else InvalidInputError
            message = f"{where}: {error}"
            raise kind(message) from None


def read_intake(path: Path) -> IntakeFile:
    """Return an intake file.

    Raises
    ------
    InvalidInputError
        Where it cannot be read, is no YAML, or has a field that is not known.
    """
    if path.suffix not in SUFFIXES:
        raise invalid("FILE", must="a name that ends in .yaml", got=str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        message = f"Cannot read {str(path)!r}: {reason}. 'euthymia care init' writes an example."
        raise InvalidInputError(message) from None
    return parse_intake(text, path.name)


def parse_intake(text: str, name: str) -> IntakeFile:
    """Return the intake of a YAML text; ``name`` stands in messages."""
    data, lines = _yaml(text, name)
    known = {one.section.replace(" ", "_") for one in fields().values()}
    answers: dict[str, Any] = {}
    for key, value in data.items():
        if key in (*HEAD, *LISTS):
            continue
        inner = value if key in known and isinstance(value, Mapping) else {key: value}
        if key in known and value is None:
            continue
        for field, answer in inner.items():
            if field not in fields():
                message = f"{name}, line {lines.get(str(field), 1)}: {unknown('field', str(field), fields())}"
                raise UnknownNameError(message)
            answers[str(field)] = answer
    for key in ("patient", "seen_utc", "drug", "route"):
        if not data.get(key):
            message = f"{name}: '{key}' is missing. 'euthymia care init' writes an example."
            raise InvalidInputError(message)
    if data.get("schema") != SCHEMA:
        message = f"{name}: {invalid('schema', must=SCHEMA, got=repr(data.get('schema')))}"
        raise InvalidInputError(message)
    return IntakeFile(
        name=name,
        head={key: data.get(key) for key in HEAD},
        answers=answers,
        parts={key: data.get(key) for key in LISTS},
        lines=lines,
    )


def _yaml(text: str, name: str) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        message = f"{name}{where}: no valid YAML ({problem}). Check indentation, colons and quotes."
        raise InvalidInputError(message) from None
    if not isinstance(data, dict):
        message = f"{name}: an intake is a mapping of fields. 'euthymia care init' writes an example."
        raise InvalidInputError(message)
    lines: dict[str, int] = {}
    _note(node, lines, name)
    return {str(key): value for key, value in data.items()}, lines


def _note(node: yaml.Node | None, lines: dict[str, int], name: str) -> None:
    """Note on which line each key and each word of a list stands; a key that is there twice is refused."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            word = str(key.value)
            if word in seen:
                message = f"{name}, line {key.start_mark.line + 1}: '{word}' stands here twice."
                raise InvalidInputError(message)
            seen.add(word)
            lines.setdefault(word, key.start_mark.line + 1)
            _note(value, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            _note(one, lines, name)
    elif isinstance(node, yaml.ScalarNode):
        lines.setdefault(str(node.value), node.start_mark.line + 1)


def _instant(field: str, given: object) -> datetime:
    found = given
    if isinstance(given, str):
        try:
            found = datetime.fromisoformat(given)
        except ValueError:
            found = None
    if not isinstance(found, datetime):
        raise invalid(
            field, must="a date and time with its zone", got=repr(given), cure="2026-05-04T09:30:00Z"
        )
    if found.tzinfo is None:
        raise invalid(field, must="given with its zone", got=str(given), cure="A 'Z' at the end is UTC.")
    return found.astimezone(UTC)


def _day(field: str, given: object) -> date:
    if isinstance(given, datetime) or not isinstance(given, date):
        raise invalid(field, must="a date", got=repr(given), cure="2026-07-27")
    return given


def _override(one: object) -> Override:
    names = ("rule_id", "of", "reason", "by", "by_role", "signed_utc", "countersigned_by")
    if not isinstance(one, Mapping):
        raise invalid("overrides", must=f"a list of mappings with {', '.join(names)}", got=repr(one))
    for key in one:
        if key not in names:
            raise unknown("field of an override", str(key), names)
    missing = [key for key in names[:-1] if one.get(key) in (None, "")]
    if missing:
        raise invalid("overrides", must="complete", got=f"one without {', '.join(missing)}")
    given: dict[str, Any] = {key: str(one[key]) for key in names if key != "signed_utc" and one.get(key)}
    return Override.create(**given, signed_utc=_instant("signed_utc", one["signed_utc"]))


def _plan(given: Mapping[str, Any], intake: Intake) -> CarePlan:
    needed = ("schedule", "author", "author_role", "created_utc", "step_down_review")
    for key in needed:
        if not given.get(key):
            raise invalid("plan", must=f"given with {', '.join(needed)}", got=f"one without {key}")
    more = {key: value for key, value in given.items() if key not in {*needed, "dose"}}
    for key in PLAN_TUPLES:
        if key in more:
            more[key] = _texts(key, more[key])
    if "phases" in more:
        more["phases"] = tuple(_phase(one) for one in more["phases"] or ())
    if "at_home" in more:
        more["at_home"] = _at_home(more["at_home"])
    return from_schedule(
        str(given["schedule"]),
        patient_id=intake.patient_id,
        author=str(given["author"]),
        author_role=str(given["author_role"]),
        created_utc=_instant("created_utc", given["created_utc"]),
        step_down_review=_day("step_down_review", given["step_down_review"]),
        dose=_dose(given.get("dose")),
        facts=intake.facts(),
        **more,
    )


def _dose(given: object) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise invalid("dose", must="a number in the unit of the schedule", got=repr(given))
    return float(given)


def _texts(key: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise invalid(key, must="a list of texts", got=repr(given))
    return tuple(given)


def _phase(one: object) -> Phase:
    if not isinstance(one, Mapping) or not {"name", "regimen"} <= set(one) <= {"name", "regimen", "basis"}:
        raise invalid("phases", must="a list of mappings with name, regimen and basis", got=repr(one))
    return Phase(name=str(one["name"]), regimen=str(one["regimen"]), basis=str(one.get("basis") or ""))


def _at_home(given: object) -> AtHome:
    names = ("status", "reasons", "assessed_by", "countersigned_by", "assessed_on")
    if not isinstance(given, Mapping) or not set(given) <= set(names):
        raise invalid("at_home", must=f"a mapping with {', '.join(names)}", got=repr(given))
    made = {key: value for key, value in given.items() if value is not None}
    if "reasons" in made:
        made["reasons"] = _texts("reasons", made["reasons"])
    if "assessed_on" in made:
        made["assessed_on"] = _day("assessed_on", made["assessed_on"])
    return AtHome(**made)
