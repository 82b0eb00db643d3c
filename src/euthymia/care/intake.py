"""What is asked before a course: answers as given with their canonical value; each may be unknown.

Nothing is changed on the way: a value that cannot be, or does not fit another, is questioned, and is not used
until a person confirms it; one that is only unusual is questioned and used.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any, Literal

from euthymia.care.comedications import Comedication, read_comedications
from euthymia.care.conditions import OTHERS, Fact
from euthymia.care.record import Quantity
from euthymia.care.rules import find_rule
from euthymia.errors import invalid, unknown
from euthymia.tables import read_text

TABLE = "rules/fields.toml"
NOT_ASKED_AT_INTAKE = ("session", "follow-up")
UNKNOWN_WORDS = ("", "?", "unknown", "not known")
YES_NO = {"yes": True, "no": False, "true": True, "false": False}
TOTALS = ("madrs_points", "phq9_points", "qids_sr16_points", "hamd17_points")
INADEQUATE = "SR-INDICA-06"
"""Rule that says up to which improvement a trial counts as failed."""
_NUMBER = re.compile(r"(?P<number>[+-]?\d+(?:[.,]\d+)?)\s*(?P<unit>[^\d\s.,].*)?")

QuestionKind = Literal["implausible", "unusual", "conflict", "unclassified"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """What may be asked.

    Attributes
    ----------
    name, section, asks : str
        ``asks`` is the question in words.
    kind : str
        yes_no, number, count, choice, text or list.
    unit : str
    low, high : float or None
        Outside is taken for a slip and not used until confirmed.
    usual_low, usual_high : float or None
        Outside is questioned, and used.
    units : mapping of str to float
        Other units that are read, as factors to ``unit``.
    choices : tuple of str
    derived : str
        Fields that it can be worked out from.
    is_baseline : bool
    """

    name: str
    section: str
    kind: str
    asks: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    usual_low: float | None = None
    usual_high: float | None = None
    units: Mapping[str, float]
    choices: tuple[str, ...] = ()
    derived: str = ""
    is_baseline: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer as it was given; ``quantity`` where it is a number, ``value`` is canonical."""

    field: str
    value: Fact
    entered: str
    quantity: Quantity | None = None
    is_confirmed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What has to be asked again, and why; ``holds_back`` are fields not used until then."""

    kind: QuestionKind
    fields: tuple[str, ...]
    says: str
    holds_back: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PriorTrial:
    """An antidepressant that was tried in this episode; what is not known is None."""

    drug: str
    weeks: float | None = None
    dose: str = ""
    is_adequate: bool | None = None
    improvement_percent: float | None = None

    @property
    def has_failed(self) -> bool | None:
        """Return whether it counts: adequate, and little improvement (SR-INDICA-06); None if not known."""
        if self.is_adequate is False:
            return False
        limit_percent = float(find_rule(INADEQUATE).threshold)
        if self.improvement_percent is not None and self.improvement_percent > limit_percent:
            return False
        known = self.is_adequate is not None and self.improvement_percent is not None
        return True if known else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """The answers of one person at one time; use :meth:`create`.

    Attributes
    ----------
    patient_id : str
    answers : mapping of str to Answer
        Only what is known.
    prior_trials : tuple of PriorTrial
    comedications : tuple of Comedication or None
        None: not asked; () none taken.
    """

    patient_id: str
    answers: Mapping[str, Answer]
    prior_trials: tuple[PriorTrial, ...] = ()
    comedications: tuple[Comedication, ...] | None = None

    @classmethod
    def create(
        cls,
        *,
        patient_id: str,
        answers: Mapping[str, object],
        prior_trials: Iterable[Mapping[str, Any]] = (),
        comedications: Sequence[object] | None = None,
        confirmed: Iterable[str] = (),
    ) -> Intake:
        """Return an intake after reading every answer.

        Parameters
        ----------
        patient_id : str
            A pseudonym.
        answers : mapping of str to object
            By field: yes or no, a number, a number with its unit (``154 lb``), a word; None, ``?`` and
            ``unknown`` are unknown.
        prior_trials : iterable of mappings
            drug, weeks, dose, is_adequate, improvement_percent.
        comedications : sequence or None
            Names, or mappings with name and classes; None: not asked.
        confirmed : iterable of str
            Fields whose unlikely value a person has checked.

        Raises
        ------
        InvalidInputError
            Names the field, what is allowed, and what was given.
        """
        if not patient_id.strip():
            raise invalid("patient", must="a pseudonym", got=repr(patient_id))
        checked = set(confirmed)
        for name in (*answers, *checked):
            find_field(name)
        read = (
            _answer(fields()[name], given, is_confirmed=name in checked) for name, given in answers.items()
        )
        return cls(
            patient_id=patient_id.strip(),
            answers={one.field: one for one in read if one is not None},
            prior_trials=tuple(_trial(place, one) for place, one in enumerate(prior_trials, 1)),
            comedications=None if comedications is None else read_comedications(comedications),
        )

    def facts(self) -> dict[str, Fact]:
        """Return every known value by its field; what is held back by a question is left out."""
        held = {field for one in self.questions() for field in one.holds_back}
        given = {name: one.value for name, one in self.answers.items() if name not in held}
        return {**_derived(self, given), **given}

    def questions(self) -> tuple[Question, ...]:
        """Return what should be asked again: slips, units, answers that do not fit each other."""
        single = [
            one for answer in self.answers.values() if (one := _doubt(answer)) and not answer.is_confirmed
        ]
        return (*single, *_conflicts(self), *_unclassified(self))


@cache
def fields() -> Mapping[str, Field]:
    """Return every field by its name, in the order in which they are asked."""
    return {name: _field(name, one) for name, one in tomllib.loads(read_text(TABLE)).items()}


def intake_fields() -> tuple[Field, ...]:
    """Return the fields of the intake: not those of the day and of follow-up."""
    return tuple(one for one in fields().values() if one.section not in NOT_ASKED_AT_INTAKE)


def find_field(name: str) -> Field:
    """Return a field by its name.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    if name not in fields():
        raise unknown("field", name, fields(), cure="'euthymia care init' writes a file with every field.")
    return fields()[name]


def _field(name: str, one: Mapping[str, Any]) -> Field:
    return Field(
        name=name, **{**one, "units": one.get("units", {}), "choices": tuple(one.get("choices", ()))}
    )


def _answer(field: Field, given: object, *, is_confirmed: bool) -> Answer | None:
    if given is None or (isinstance(given, str) and given.strip().lower() in UNKNOWN_WORDS):
        return None
    if field.kind in {"number", "count"}:
        return _number(field, given, is_confirmed=is_confirmed)
    readers = {"yes_no": _yes_no, "choice": _choice, "text": _words, "list": _refuse_list}
    value = readers[field.kind](field, given)
    return Answer(field=field.name, value=value, entered=str(given), is_confirmed=is_confirmed)


def _yes_no(field: Field, given: object) -> bool:
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given.strip().lower() in YES_NO:
        return YES_NO[given.strip().lower()]
    raise invalid(field.name, must="yes, no or unknown", got=repr(given), cure=field.asks)


def _choice(field: Field, given: object) -> str:
    # YAML reads 'no' as false; none of our choices is a boolean
    text = str(given).strip()
    found = {one.lower(): one for one in field.choices}.get(text.lower())
    if isinstance(given, bool) or found is None:
        raise invalid(field.name, must=f"{', '.join(field.choices)} or unknown", got=repr(given))
    return found


def _words(field: Field, given: object) -> str:
    if not isinstance(given, str):
        raise invalid(field.name, must="a text", got=repr(given), cure="Put it in quotes.")
    return given.strip()


def _refuse_list(field: Field, given: object) -> str:
    raise invalid(field.name, must="given as a list of its own", got=repr(given))


def _number(field: Field, given: object, *, is_confirmed: bool) -> Answer:
    typed, number, unit = _number_and_unit(field, given)
    factor = 1.0 if unit == field.unit else field.units[unit]
    canonical = number * factor
    if field.kind == "count" and not canonical.is_integer():
        raise invalid(field.name, must="a whole number", got=str(given))
    quantity = Quantity(entered=typed, unit=unit, canonical=canonical, canonical_unit=field.unit)
    return Answer(
        field=field.name,
        value=canonical,
        entered=str(given).strip(),
        quantity=quantity,
        is_confirmed=is_confirmed,
    )


def _number_and_unit(field: Field, given: object) -> tuple[str, float, str]:
    """Return the number as typed, its value, and its unit: the field's own where none was written."""
    known = (field.unit, *field.units)
    must = f"a number in {field.unit}" if field.unit else "a number"
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise invalid(field.name, must=must, got=repr(given))
    found = _NUMBER.fullmatch(given.strip()) if isinstance(given, str) else None
    if isinstance(given, str) and found is None:
        raise invalid(
            field.name, must=must, got=repr(given), cure=f"Units: {', '.join(filter(None, known))}."
        )
    number = float(found["number"].replace(",", ".")) if found else float(given)
    if not isfinite(number):
        raise invalid(field.name, must="a finite number", got=str(given))
    unit = (found["unit"] or field.unit).strip() if found else field.unit
    if unit not in known:
        kind = f"unit of '{field.name}'"
        raise unknown(kind, unit, filter(None, known))
    return found["number"] if found else str(given), number, unit


def _trial(place: int, one: Mapping[str, Any]) -> PriorTrial:
    known = ("drug", "weeks", "dose", "is_adequate", "improvement_percent")
    name = f"prior_trials, number {place}"
    if not isinstance(one, Mapping) or not one.get("drug"):
        raise invalid(name, must=f"a mapping with {', '.join(known)}", got=repr(one))
    for key in one:
        if key not in known:
            raise unknown("field of a prior trial", str(key), known, cure=f"In {name}.")
    adequate = one.get("is_adequate")
    if adequate is not None and not isinstance(adequate, bool):
        raise invalid("is_adequate", must=f"yes, no or left out in {name}", got=repr(adequate))
    return PriorTrial(
        drug=str(one["drug"]),
        dose=str(one.get("dose") or ""),
        weeks=_optional(f"weeks of {name}", one.get("weeks"), 0, 4000),
        is_adequate=adequate,
        improvement_percent=_optional(
            f"improvement_percent of {name}", one.get("improvement_percent"), -100, 100
        ),
    )


def _optional(name: str, given: object, low: float, high: float) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
        raise invalid(name, must=f"a number of {low:g} to {high:g}, or left out", got=repr(given))
    return float(given)


def _derived(intake: Intake, given: Mapping[str, Fact]) -> dict[str, Fact]:
    found: dict[str, Fact] = {
        "bmi_kg_per_m2": _bmi(given),
        "has_rated_severity": True if any(given.get(name) is not None for name in TOTALS) else None,
        "failed_adequate_trials": _failed(intake.prior_trials),
    }
    if intake.comedications is not None:
        names = [one.name for one in intake.comedications]
        classes = [kind for one in intake.comedications for kind in one.classes]
        # a drug of unknown class may be any: its brand may hide one that a rule names
        others = [OTHERS] if any(not one.is_classified for one in intake.comedications) else []
        found["comedications"] = tuple(dict.fromkeys([*names, *others]))
        marks = [*others, "unclassified"] if others else []
        found["comedication_classes"] = tuple(dict.fromkeys([*classes, *marks]))
    return {name: value for name, value in found.items() if value is not None}


def _bmi(given: Mapping[str, Fact]) -> float | None:
    weight_kg, height_cm = given.get("weight_kg"), given.get("height_cm")
    if not isinstance(weight_kg, float) or not isinstance(height_cm, float) or height_cm <= 0:
        return None
    return weight_kg / (height_cm / 100.0) ** 2


def _failed(trials: Sequence[PriorTrial]) -> float | None:
    """Return how many trials failed; None where there are none on record, or one is not fully known."""
    found = [one.has_failed for one in trials]
    return None if not found or None in found else float(found.count(True))


def _doubt(answer: Answer) -> Question | None:
    field, value = fields()[answer.field], answer.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    low, high = field.low, field.high
    told = f"{answer.field}: {answer.entered}"
    hint = _unit_hint(field, answer)
    if low is not None and high is not None and not low <= value <= high:
        says = f"{told} cannot be ({low:g} to {high:g} {field.unit}). {hint}Not used until it is confirmed."
        return Question(kind="implausible", fields=(field.name,), says=_plain(says), holds_back=(field.name,))
    low, high = field.usual_low, field.usual_high
    if low is not None and high is not None and not low <= value <= high:
        says = f"{told} is unusual (mostly {low:g} to {high:g} {field.unit}). {hint}Used as it stands."
        return Question(kind="unusual", fields=(field.name,), says=_plain(says))
    return None


def _is_held_back(answer: Answer) -> bool:
    doubt = None if answer.is_confirmed else _doubt(answer)
    return doubt is not None and bool(doubt.holds_back)


def _plain(text: str) -> str:
    return text.replace(" )", ")")


def _unit_hint(field: Field, answer: Answer) -> str:
    """Return which other unit would make a number without unit a usual one."""
    if answer.quantity is None or answer.quantity.unit != field.unit:
        return ""
    low = field.low if field.usual_low is None else field.usual_low
    high = field.high if field.usual_high is None else field.usual_high
    number = answer.quantity.canonical
    for unit, factor in field.units.items():
        if low is not None and high is not None and low <= number * factor <= high:
            return f"In {unit}? {number:g} {unit} is {number * factor:.4g} {field.unit}. "
    return ""


def _conflicts(intake: Intake) -> Iterable[Question]:
    both = ("systolic_mmHg", "diastolic_mmHg")
    answers = intake.answers
    is_checked = all(name in answers and answers[name].is_confirmed for name in both)
    given = {name: one.value for name, one in answers.items() if not _is_held_back(one)}
    upper, lower = given.get("systolic_mmHg"), given.get("diastolic_mmHg")
    if isinstance(upper, float) and isinstance(lower, float) and lower >= upper and not is_checked:
        says = f"Diastolic {lower:g} is not below systolic {upper:g}. Swapped? Not used until confirmed."
        yield Question(kind="conflict", fields=both, says=says, holds_back=both)
    bmi, limits = _bmi(given), fields()["bmi_kg_per_m2"]
    low, high = limits.usual_low or 0.0, limits.usual_high or 0.0
    has_doubt = not all(name in answers and answers[name].is_confirmed for name in ("weight_kg", "height_cm"))
    if bmi is not None and has_doubt and not low <= bmi <= high:
        says = f"Weight and height give a body mass index of {bmi:.3g}. Are the units of both right?"
        yield Question(kind="conflict", fields=("weight_kg", "height_cm"), says=says)
    for one, other, says in EXCLUDING:
        if given.get(one) is True and given.get(other) is False:
            yield Question(kind="conflict", fields=(one, other), says=says)


EXCLUDING = (
    ("is_pregnant", "could_become_pregnant", "Pregnant, but could not become pregnant?"),
    ("past_myocardial_infarction", "cardiovascular_event", "An infarction, but no cardiovascular event?"),
    ("current_mania", "bipolar_disorder", "Mania now, without bipolar disorder? Another cause?"),
    ("symptomatic_brain_injury", "cerebral_trauma", "Symptoms of a brain injury, but no injury?"),
)
"""A yes that does not fit a no: asked again, both kept."""


def _unclassified(intake: Intake) -> Iterable[Question]:
    for one in intake.comedications or ():
        if not one.is_classified:
            says = f"{one.entered!r} is not in the list of drugs. Which class? Interactions stay unknown."
            yield Question(kind="unclassified", fields=("comedications",), says=says)


def check_complete(facts: Mapping[str, Fact]) -> tuple[str, ...]:
    """Return the fields of the intake that are not known, in the order in which they are asked."""
    return tuple(one.name for one in intake_fields() if facts.get(one.name) is None)
