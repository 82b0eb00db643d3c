"""Fields of a protocol file: times as people write them, scales, shares, and how a field is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from euthymia.model.scales import find_scale
from euthymia.trials.sessions import event_rules

HOURS = {"h": 1.0, "d": 24.0, "w": 168.0}
"""Hours of a unit by its first letter."""
SAME_TIME_H = 1e-6
EVENTS = tuple(event_rules())
"""Adverse events that a session may bring (``data/adverse_events.toml``)."""
SYMPTOMS = tuple(name for name, rule in event_rules().items() if rule.is_symptom)
"""Those of them that staff are told of, which dropout and doses may follow."""
_LENGTH = re.compile(r"(-?\d+(?:\.\d+)?)\s*(min(?:ute)?s?|h(?:ours?)?|d(?:ays?)?|weeks?)")
_DAY = re.compile(r"(day|week)\s*(-?\d+(?:\.\d+)?)")


def refuse(problem: str) -> NoReturn:
    """Raise what pydantic turns into a problem of a field."""
    raise ValueError(problem)


@contextmanager
def about(field: str) -> Iterator[None]:
    """Say which field a refusal is about."""
    try:
        yield
    except ValueError as error:
        message = f"{field}: {str(error).splitlines()[0]}"
        raise ValueError(message) from None


def refuse_all(problems: Iterable[str]) -> None:
    """Refuse every problem there is, each on a line of its own."""
    if found := list(problems):
        refuse("\n".join(found))


def hours(text: object) -> object:
    """Return hours of a time as people write it: ``day 7``, ``week 4``, ``2 h``, ``40 min``, ``3 d``.

    Examples
    --------
    >>> hours("day 7"), hours("40 min") == 40 / 60, hours("week 4")
    (168.0, True, 672.0)
    """
    if isinstance(text, str):
        trimmed = text.strip().lower()
        found = _LENGTH.fullmatch(trimmed)
        number, unit = (found[1], found[2]) if found else ("", "")
        if found := _DAY.fullmatch(trimmed):
            unit, number = found[1], found[2]
        if unit.startswith("m"):
            return float(number) / 60.0
        if unit:
            return float(number) * HOURS[unit[0]]
    message = f"must be a time such as 'day 7', 'week 4', '2 h' or '40 min', not {text!r}"
    refuse(message)


def time_text(time_h: float) -> str:
    """Return a time as people write it; :func:`hours` reads it back to a millionth of an hour.

    Examples
    --------
    >>> time_text(168.0), time_text(2.0), time_text(-24.0), time_text(40 / 60)
    ('day 7', '2 h', 'day -1', '40 min')
    """
    if abs(time_h - 24.0 * round(time_h / 24.0)) < SAME_TIME_H:
        return f"day {round(time_h / 24.0)}"
    if abs(time_h - round(time_h)) < SAME_TIME_H or abs(time_h) > 3.0:
        return f"{time_h:.7f}".rstrip("0").rstrip(".") + " h"
    return f"{time_h * 60.0:.6f}".rstrip("0").rstrip(".") + " min"


TIME_SCHEMA = {"type": "string", "examples": ["day 7", "week 4", "2 h", "40 min"]}
TimeH = Annotated[float, BeforeValidator(hours), WithJsonSchema(TIME_SCHEMA)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Ratio = Annotated[float, Field(gt=0.0)]


def _scale(name: str) -> str:
    return find_scale(name).name


ScaleName = Annotated[str, BeforeValidator(_scale)]


class Part(BaseModel):
    """A part of a protocol: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
