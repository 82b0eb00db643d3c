"""The regimen notation: ``ketamine 0.5 mg/kg iv over 40 min, twice weekly x 8`` to a `Regimen` and back.

``docs/grammar.md`` holds the grammar. Parsing is recursive descent, one method a rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from euthymia.dosing.canonical import print_regimen
from euthymia.dosing.drug import Treatment, find_drug, known_names, plain_name, treatment_names
from euthymia.dosing.order import AMOUNT_UNIT_OF_RATE, Item, Order, Route, TherapySession
from euthymia.dosing.regimen import Clause, Phase, Regimen
from euthymia.dosing.schedule import (
    HOURS_PER_DAY,
    HOURS_PER_WEEK,
    AfterEachDose,
    AtTimes,
    Once,
    Repeated,
    Schedule,
)
from euthymia.dosing.tokens import Reader

__all__ = ["parse_regimen", "print_regimen"]

Span = tuple[int, int]

_MASSES = {
    "g": 1000,
    "mg": 1,
    "ug": Decimal("0.001"),
    "mcg": Decimal("0.001"),
    "µg": Decimal("0.001"),
    "μg": Decimal("0.001"),
}
_PER_HOUR = {"h": 1, "hr": 1, "hour": 1, "min": 60}
# What is written: the unit that is kept, and the factor to it.
_UNITS: dict[str, tuple[str, Decimal]] = {
    f"{mass}{per_kg}{per_time}": (f"mg{per_kg}{'/h' if per_time else ''}", Decimal(factor) * times)
    for mass, factor in _MASSES.items()
    for per_kg in ("", "/kg")
    for per_time, times in (("", 1), *((f"/{name}", count) for name, count in _PER_HOUR.items()))
}

_TIME_UNITS = {
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "wk", "week", "weeks"), "weeks"),
}
_SHORT_UNITS = {word: unit for word, unit in _TIME_UNITS.items() if unit in ("min", "h")}
_LONG_UNITS = {word: unit for word, unit in _TIME_UNITS.items() if unit != "min"}
_MIN_PER_UNIT = {"min": Decimal(1), "h": Decimal(60), "d": Decimal(1440), "weeks": Decimal(10080)}

_IV = ("iv", "intravenous", "intravenously")
_EXTENDED = ("er", "xr", "extended-release")
_ROUTES = {
    **dict.fromkeys(("im", "intramuscular", "intramuscularly"), Route.INTRAMUSCULAR),
    **dict.fromkeys(("sc", "subcutaneous", "subcutaneously"), Route.SUBCUTANEOUS),
    **dict.fromkeys(("in", "nasal", "intranasal", "intranasally"), Route.INTRANASAL),
    **dict.fromkeys(("sl", "sublingual", "sublingually"), Route.SUBLINGUAL),
    **dict.fromkeys(("po", "oral", "orally"), Route.ORAL),
    **dict.fromkeys(_EXTENDED, Route.ORAL_EXTENDED_RELEASE),
}
_ROUTE_WORDS = (*_IV, *_ROUTES)
_SWALLOWED_CLASSES = ("ssri", "snri")
"""Classes of drug whose route may be left out, for they are swallowed."""

# Word sequences of patterns, the longest first where one begins another.
_PATTERN_WORDS: dict[tuple[str, ...], str] = {
    ("once", "daily"): "daily",
    ("once", "a", "day"): "daily",
    ("once", "weekly"): "weekly",
    ("once", "a", "week"): "weekly",
    ("twice", "daily"): "twice daily",
    ("twice", "a", "day"): "twice daily",
    ("twice", "weekly"): "twice weekly",
    ("twice", "a", "week"): "twice weekly",
    ("three", "times", "daily"): "three times daily",
    ("three", "times", "a", "day"): "three times daily",
    ("three", "times", "weekly"): "three times weekly",
    ("three", "times", "a", "week"): "three times weekly",
    ("thrice", "weekly"): "three times weekly",
    ("every", "day"): "daily",
    ("every", "week"): "weekly",
    ("daily",): "daily",
    ("weekly",): "weekly",
}
_INTERVAL_WORDS: dict[tuple[str, ...], float] = {
    ("every", "other", "day"): 2 * HOURS_PER_DAY,
    ("every", "two", "days"): 2 * HOURS_PER_DAY,
    ("every", "other", "week"): 2 * HOURS_PER_WEEK,
    ("every", "two", "weeks"): 2 * HOURS_PER_WEEK,
    ("fortnightly",): 2 * HOURS_PER_WEEK,
}
_SCHEDULE_STARTS = ("once", "daily", "weekly", "twice", "thrice", "three", "every", "fortnightly", "at")
_TAIL_STARTS = ("x", "for", "from")
_SCHEDULE_TEXT = "a schedule such as 'twice weekly x 8', 'every 12 h x 6' or 'at 0, 72 h'"


def parse_regimen(text: str, *, name: str | None = None) -> Regimen:
    """Return the regimen that a text describes.

    Parameters
    ----------
    text : str
        In the notation of ``docs/grammar.md``.
    name : str or None
        A label for the regimen.

    Raises
    ------
    InvalidInputError
        The text cannot be read or its numbers cannot hold; the message points at the word.

    Examples
    --------
    >>> regimen = parse_regimen("ketamine 0.5 mg/kg iv over 40 min, twice weekly x 3")
    >>> [start_h for start_h, _ in regimen.items]
    [0.0, 72.0, 168.0]
    """
    return _Parser(text).regimen(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Amounts:
    """What is written between the drug and its route."""

    values: tuple[float, ...]
    unit: str
    minutes: tuple[float, ...]
    span: Span

    @property
    def is_rate(self) -> bool:
        return self.unit in AMOUNT_UNIT_OF_RATE


class _Parser(Reader):
    """Recursive descent over the tokens; every method takes what its rule covers."""

    def regimen(self, name: str | None) -> Regimen:
        if self.token.kind == "end":
            raise self.error(
                message="The regimen is empty. Write, for example, 'ketamine 0.5 mg/kg iv over 40 min'."
            )
        clauses = [self.clause()]
        while self.accept(";"):
            clauses.append(self.clause())
        if self.token.kind != "end":
            raise self.unexpected(
                expected=f"{_SCHEDULE_TEXT}, 'then', ';' or the end", candidates=self._next_words()
            )
        with self.pointing({}, self.span_from(0)):
            return Regimen.create(clauses=clauses, name=name)

    def _next_words(self) -> tuple[str, ...]:
        return (*_SCHEDULE_STARTS, *_TAIL_STARTS, "then", "stopped", "paused", "held", "spat")

    def clause(self) -> Clause:
        first = self.place
        phases = [self.phase(None)]
        while self.accept("then"):
            phases.append(self.phase(phases[-1].item))
        with self.pointing({}, self.span_from(first)):
            return Clause.create(phases=phases)

    def phase(self, previous: Item | None) -> Phase:
        goes_on = self._is_schedule() and not self._treatment_word_count()
        item = previous if previous is not None and goes_on else self.item()
        needs_schedule = self.accept(",")
        if self._is_schedule():
            return Phase.create(item=item, schedule=self.schedule())
        if needs_schedule:
            raise self.unexpected(expected=f"{_SCHEDULE_TEXT} after the comma", candidates=_SCHEDULE_STARTS)
        return Phase.create(item=item)

    def item(self) -> Item:
        first = self.place
        treatment = self.treatment()
        return self.order(treatment, first) if treatment.kind == "drug" else self.session(treatment, first)

    def treatment(self) -> Treatment:
        """Take the longest run of words that names a treatment."""
        if self.token.kind != "word":
            raise self.unexpected(expected="the name of a treatment, such as 'ketamine'")
        count = self._treatment_word_count()
        if not count:
            raise self.unknown(kind="treatment", known=known_names())
        name = self._name_ahead(count)
        self.place += count
        return treatment_names()[name]

    def _treatment_word_count(self) -> int:
        """Return how many of the next words name a treatment, the longest name first; 0 where none does."""
        words = 0
        while self.ahead(words).kind == "word":
            words += 1
        return next((one for one in range(words, 0, -1) if self._name_ahead(one) in treatment_names()), 0)

    def _name_ahead(self, count: int) -> str:
        return plain_name(" ".join(self.ahead(index).text for index in range(count)))

    def session(self, treatment: Treatment, first: int) -> TherapySession:
        minutes, spans = None, {}
        if self.token.kind == "number":
            place = self.place
            minutes = self.minutes("the duration of a session")
            spans["duration_min"] = self.span_from(place)
        with self.pointing(spans, self.span_from(first)):
            return TherapySession.create(therapy=treatment.name, duration_min=minutes)

    def order(self, treatment: Treatment, first: int) -> Order:
        given: dict[str, Any] = {"drug": treatment.name}
        spans: dict[str, Span] = {}
        amounts = self.amounts(treatment) if self._is_amount(treatment) else None
        if amounts is not None:
            for field in ("amount", "amount_unit", "rate_steps", "rate_unit"):
                spans[field] = amounts.span
        self.salt(given, spans)
        self.route(given, spans, amounts)
        self.modifiers(given, spans)
        with self.pointing(spans, self.span_from(first)):
            return Order.create(**given)

    def _is_amount(self, treatment: Treatment) -> bool:
        if self.token.kind == "number":
            return True
        if self.word in ("hydrochloride", "hcl"):
            cure = f"Write '{treatment.name} 50 mg (hcl)'; amounts without '(hcl)' are of the base."
            raise self.error(message=f"The salt is written after the amount. {cure}")
        if treatment.drug is not None and treatment.drug.is_active:
            raise self.unexpected(expected=f"an amount of {treatment.name}, such as '0.5 mg/kg' or '35 mg'")
        return False

    def amounts(self, treatment: Treatment) -> _Amounts:
        """Take an amount, or rates with their unit and perhaps their durations."""
        first = self.place
        numbers = [self.number("an amount")]
        while self.word == "then" and self.ahead(1).kind == "number":
            self.advance()
            numbers.append(self.number("a rate"))
        unit, factor = self.amount_unit()
        values, minutes = [float(value * factor) for value in numbers], []
        if unit in AMOUNT_UNIT_OF_RATE and len(values) == 1 and self.accept("for"):
            minutes.append(self.minutes("the duration of the rate"))
            while self.word == "then" and self.ahead(1).kind == "number":
                self.advance()
                value = self.number("a rate")
                unit_place = self.place
                next_unit, factor = self.amount_unit()
                if next_unit != unit:
                    raise self.error(
                        message="All rates of an infusion need the same kind of unit.",
                        span=self.span_from(unit_place),
                    )
                values.append(float(value * factor))
                self.expect("for", "'for' and the duration of the rate, such as 'for 60 min'")
                minutes.append(self.minutes("the duration of the rate"))
        if len(values) > 1 and unit not in AMOUNT_UNIT_OF_RATE:
            cure = f"Write '{treatment.name} 0.14 then 0.28 mg/kg/h iv, 60 min each'."
            raise self.error(
                message=f"Steps of an infusion are rates, in mg/h or mg/kg/h. {cure}",
                span=self.span_from(first),
            )
        return _Amounts(values=tuple(values), unit=unit, minutes=tuple(minutes), span=self.span_from(first))

    def amount_unit(self) -> tuple[str, Decimal]:
        first = self.place
        if self.word == "," and self.ahead(1).kind == "number":
            raise self.error(message="Expected a unit. Got ','. Decimals are written with a point: '0.5'.")
        if self.token.kind != "word":
            raise self.unexpected(expected="a unit: mg, mg/kg, ug, ug/kg, mg/h, mg/kg/h or ug/kg/min")
        parts = [self.advance().text.lower()]
        while self.accept("/"):
            if self.token.kind != "word":
                raise self.unexpected(expected="a unit after '/'", candidates=("kg", "h", "min"))
            parts.append(self.advance().text.lower())
        unit = _UNITS.get("/".join(parts))
        if unit is None:
            cure = "A volume needs its concentration: write milligrams." if parts[0] in ("ml", "l") else ""
            raise self.unknown(kind="unit", known=_UNITS, span=self.span_from(first), cure=cure)
        return unit

    def salt(self, given: dict[str, Any], spans: dict[str, Span]) -> None:
        first = self.place
        if not self.accept("("):
            return
        salts = {"hcl": "hcl", "hydrochloride": "hcl", "base": "base"}
        if self.word not in salts:
            raise self.unexpected(expected="'hcl' or 'base' in the brackets", candidates=salts)
        given["salt_form"] = salts[self.advance().text.lower()]
        self.expect(")", "')'")
        spans["salt_form"] = self.span_from(first)

    def route(self, given: dict[str, Any], spans: dict[str, Span], amounts: _Amounts | None) -> None:
        first = self.place
        if amounts is not None and not amounts.is_rate:
            given.update(amount=amounts.values[0], amount_unit=amounts.unit)
        given["route"] = route = self.route_or_default(given["drug"])
        spans["route"] = self.span_from(first)
        if amounts is not None and amounts.is_rate:
            minutes = self.step_minutes(amounts, spans) if route is Route.IV_INFUSION else amounts.minutes
            steps = zip(amounts.values, minutes or (1.0,) * len(amounts.values), strict=True)
            given.update(rate_steps=tuple(steps), rate_unit=amounts.unit)
        elif route is Route.IV_INFUSION:
            given["duration_min"] = self.over(spans, self.span_from(first))
        elif self.word == "over":
            raise self.error(
                message=f"'over' belongs to an intravenous infusion. Got it after {route.value!r}."
            )

    def route_or_default(self, drug: str) -> Route:
        """Return the route; one that comes as tablets only is swallowed where none is written."""
        is_left_out = self.token.kind == "end" or self.word in (
            ",",
            ";",
            "then",
            *_SCHEDULE_STARTS,
            *_TAIL_STARTS,
        )
        if is_left_out and find_drug(drug).drug_class in _SWALLOWED_CLASSES:
            return Route.ORAL
        return self.route_words()

    def route_words(self) -> Route:
        if self.word in _IV:
            self.advance()
            self.accept("infusion")
            return Route.IV_BOLUS if self.accept("bolus") else Route.IV_INFUSION
        if self.accept("extended", "release"):
            return Route.ORAL_EXTENDED_RELEASE
        if self.word not in _ROUTES:
            if self.token.kind == "word":
                raise self.unknown(kind="route", known=_ROUTE_WORDS)
            raise self.unexpected(expected="a route: iv, im, sc, in, sl, po or er")
        route = _ROUTES[self.advance().text.lower()]
        if route is not Route.ORAL:
            return route
        if self.word in _EXTENDED:
            self.advance()
            return Route.ORAL_EXTENDED_RELEASE
        return Route.ORAL_EXTENDED_RELEASE if self.accept("extended", "release") else route

    def over(self, spans: dict[str, Span], route_span: Span) -> float:
        if not self.accept("over"):
            cure = "Write 'iv over 40 min' for an infusion or 'iv bolus' for an injection."
            message = f"'iv' needs its duration. {cure}"
            raise self.error(message, route_span)
        first = self.place
        minutes = self.minutes("the duration of the infusion")
        spans["duration_min"] = self.span_from(first)
        return minutes

    def step_minutes(self, amounts: _Amounts, spans: dict[str, Span]) -> tuple[float, ...]:
        """Take the duration of each rate, unless it was written beside the rates."""
        if amounts.minutes:
            spans["duration_min"] = amounts.span
            return amounts.minutes
        is_over = len(amounts.values) == 1 and self.accept("over")
        if not is_over:
            self.accept(",")
        first = self.place
        if self.token.kind != "number":
            raise self.unexpected(expected="the duration of the rates, such as '60 min each'")
        minutes = self.minutes("the duration of each rate")
        spans["duration_min"] = self.span_from(first)
        if not is_over:
            self.expect("each", "'each' after the duration of the rates")
        return (minutes,) * len(amounts.values)

    def modifiers(self, given: dict[str, Any], spans: dict[str, Span]) -> None:
        """Take stops, pauses, holds and spitting out, in any order."""
        while True:
            comma = 1 if self.word == "," else 0
            word = self.ahead(comma).text.lower()
            if word not in ("stopped", "paused", "held", "spat"):
                return
            self.place += comma
            first = self.place
            self.advance()
            field, value = self.modifier(word)
            if field == "pauses":
                value = (*given.get("pauses", ()), value)
            elif field in given:
                raise self.error(message=f"'{word}' can be written once.", span=self.span_from(first))
            given[field] = value
            spans[field] = self.span_from(first)

    def modifier(self, word: str) -> tuple[str, Any]:
        if word == "stopped":
            self.expect("at", "'at' and the minute, as in 'stopped at 25 min'")
            return "stopped_at_min", self.minutes("the minute of the stop")
        if word == "held":
            self.accept("for")
            return "hold_min", self.minutes("the time of the hold")
        if word == "spat":
            self.expect("out", "'out' after 'spat'")
            return "spat_out", True
        first = self.number("the minutes of the pause, as in 'paused 10-20 min'")
        if self.token.kind == "word" and self.word != "to":
            raise self.unexpected(expected="'-' and the end of the pause, as in 'paused 10-20 min'")
        if not self.accept("to"):
            self.expect("-", "'-' and the end of the pause, as in 'paused 10-20 min'")
        last = self.number("the end of the pause")
        factor = _MIN_PER_UNIT[self.unit(_SHORT_UNITS, "min or h")]
        return "pauses", (float(first * factor), float(last * factor))

    def minutes(self, what: str) -> float:
        """Take a number with min or h and return minutes."""
        value = self.number(f"{what}, such as '40 min'")
        return float(value * _MIN_PER_UNIT[self.unit(_SHORT_UNITS, "min or h after the number")])

    def _is_schedule(self) -> bool:
        return self.word in _SCHEDULE_STARTS or self.word in _TAIL_STARTS

    def schedule(self) -> Schedule:
        first = self.place
        if self.accept("at"):
            return self.at_times(first)
        if self.word in _TAIL_STARTS:
            patterns = "daily, twice weekly, three times weekly, weekly, every 12 h"
            raise self.error(message=f"'{self.word}' needs a pattern before it: {patterns}.")
        pattern = self.pattern()
        if pattern is None:
            return Once()
        return self.repeated(pattern, first)

    def pattern(self) -> dict[str, Any] | None:
        """Take a pattern and return how it is created; None for a bare ``once``."""
        for words, name in _PATTERN_WORDS.items():
            if self.accept(*words):
                return {"pattern": name}
        for words, every_h in _INTERVAL_WORDS.items():
            if self.accept(*words):
                return {"every_h": every_h}
        word = self.advance().text.lower()
        if word == "every":
            return {"every_h": self.hours("the interval, such as '12 h' or '2 weeks'", _TIME_UNITS)}
        if word == "once":
            return None
        raise self.unexpected(
            expected=f"'daily' or 'weekly' after '{word}'", candidates=("daily", "weekly", "times")
        )

    def repeated(self, created: dict[str, Any], first: int) -> Repeated:
        spans = {"every_h": self.span_from(first)}
        while self.word in _TAIL_STARTS:
            place = self.place
            word = self.advance().text.lower()
            field, value = self.tail(word)
            if field in created:
                raise self.error(message=f"'{word}' can be written once.", span=self.span_from(place))
            created[field] = value
            spans[field] = self.span_from(place)
        spans.setdefault("count", spans.get("length_h", self.span_from(first)))
        with self.pointing(spans, self.span_from(first)):
            return Repeated.create(**created)

    def tail(self, word: str) -> tuple[str, Any]:
        if word == "x":
            count = self.number("the number of items, such as 'x 8'")
            return "count", int(count) if count == count.to_integral_value() else float(count)
        if word == "for":
            return "length_h", self.hours("the length, such as '4 weeks'", _LONG_UNITS)
        return "from_h", self.times()[0]

    def hours(self, what: str, units: dict[str, str]) -> float:
        value = self.number(what)
        return _hours(value, self.unit(units, f"one of the units {', '.join(dict.fromkeys(units.values()))}"))

    def at_times(self, first: int) -> Schedule:
        times_h = self.times()
        for word, sign in (("after", 1.0), ("before", -1.0)):
            if self.accept(word):
                if not self.accept("each", "dose"):
                    raise self.unexpected(expected=f"'each dose' after '{word}'", candidates=("each",))
                with self.pointing({}, self.span_from(first)):
                    return AfterEachDose.create(delays_h=[sign * time_h for time_h in times_h])
        with self.pointing({}, self.span_from(first)):
            return AtTimes.create(times_h=times_h)

    def times(self) -> list[float]:
        """Take times such as ``0, 72, 168 h`` or ``day 0, day 3``.

        A unit after a number holds for the bare numbers before it, one before a number for those after it.
        """
        waiting: list[Decimal] = []
        times_h: list[float] = []
        unit_before: str | None = None
        while True:
            if self.token.kind == "word" and self.word in _TIME_UNITS and not waiting:
                unit_before = _TIME_UNITS[self.advance().text.lower()]
            waiting.append(self.number("a time, such as '24 h' or 'day 3'", is_signed=True))
            if self.token.kind == "word" and self.word in _TIME_UNITS:
                unit = _TIME_UNITS[self.advance().text.lower()]
            else:
                unit = unit_before
            if unit is not None:
                times_h += [_hours(value, unit) for value in waiting]
                waiting = []
            if not self._takes_another_time():
                break
        if waiting:
            if self.token.kind == "word" and self.word not in ("then", "after", "before"):
                raise self.unknown(kind="unit", known=_TIME_UNITS)
            raise self.unexpected(expected="a unit of time: h or d")
        return times_h

    def _takes_another_time(self) -> bool:
        following = self.ahead(1)
        is_time = following.kind == "number" or following.text == "-" or following.text.lower() in _TIME_UNITS
        return self.word == "," and is_time and self.accept(",")


def _hours(value: Decimal, unit: str) -> float:
    return float(value * _MIN_PER_UNIT[unit] / 60)
