"""The protocol of a trial as a file: every field, what it may be, and what must hold between fields.

One YAML file a trial; ``data/protocols/`` holds those that ship. Times are written as people say them:
``day 7``, ``2 h``, ``40 min``, counted from the first dose. What a source does not state is assumed, and
listed under ``assumed``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.regimen import Regimen
from euthymia.model.scales import find_scale, scales
from euthymia.population.outcomes import relapse_rules
from euthymia.population.settings import find_setting
from euthymia.population.surroundings import Taken

SCHEMA = "euthymia.protocol/1"
HOURS = {"min": 1.0 / 60.0, "h": 1.0, "d": 24.0, "day": 24.0, "days": 24.0, "week": 168.0, "weeks": 168.0}
SAME_TIME_H = 1e-6
EVENTS = ("nausea", "dizziness", "headache", "anxiety", "dissociation", "sedation", "hypertension")
"""Adverse events that a session may bring."""
_LENGTH = re.compile(r"(-?\d+(?:\.\d+)?)\s*(min|h|days?|d|weeks?)")
_DAY = re.compile(r"(day|week)\s*(-?\d+(?:\.\d+)?)")
_STRATUM = re.compile(r"([a-z_0-9]+|[A-Z][A-Za-z0-9-]*)\s*(>=|<=|<|>|==)\s*(\S+)")


def _refuse(problem: str) -> NoReturn:
    """Raise what pydantic turns into a problem of a field."""
    raise ValueError(problem)


def hours(text: object) -> object:
    """Return hours of a time as people write it: ``day 7``, ``week 4``, ``2 h``, ``40 min``, ``3 d``.

    Examples
    --------
    >>> hours("day 7"), hours("40 min") == 40 / 60, hours("week 4")
    (168.0, True, 672.0)
    """
    if isinstance(text, str):
        trimmed = text.strip().lower()
        if found := _LENGTH.fullmatch(trimmed):
            return float(found[1]) * HOURS[found[2]]
        if found := _DAY.fullmatch(trimmed):
            return float(found[2]) * HOURS[found[1]]
    message = f"must be a time such as 'day 7', 'week 4', '2 h' or '40 min', not {text!r}"
    _refuse(message)


def time_text(time_h: float) -> str:
    """Return a time as people write it; :func:`hours` reads it back.

    Examples
    --------
    >>> time_text(168.0), time_text(2.0), time_text(-24.0)
    ('day 7', '2 h', 'day -1')
    """
    days = time_h / 24.0
    if abs(days - round(days)) < SAME_TIME_H:
        return f"day {round(days)}"
    if abs(time_h - round(time_h)) < SAME_TIME_H or abs(time_h) > 3.0:
        return f"{time_h:.4g} h"
    return f"{time_h * 60.0:.4g} min"


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


class Moments(Part):
    """What a baseline table states of one quantity of those enrolled."""

    mean: float | None = None
    sd: Annotated[float, Field(gt=0.0)] | None = None
    low: float | None = None
    high: float | None = None
    share: Share | None = None

    @model_validator(mode="after")
    def _whole(self) -> Moments:
        has_numbers = any(one is not None for one in (self.mean, self.sd, self.low, self.high))
        if (self.share is not None) == has_numbers:
            _refuse("must give either 'share', or any of 'mean', 'sd', 'low' and 'high'")
        return self


class EntryRule(Part):
    """A rated total that is asked for at screening, at baseline, or at both."""

    scale: ScaleName
    at_least: float | None = None
    at_most: float | None = None
    at: tuple[Literal["screening", "baseline"], ...] = ("baseline",)

    @model_validator(mode="after")
    def _bounded(self) -> EntryRule:
        if self.at_least is None and self.at_most is None:
            _refuse("must give 'at_least' or 'at_most'")
        return self


class Population(Part):
    """Who takes part."""

    name: str = "trd-adult"
    baseline: dict[str, Moments] = {}
    """Of those enrolled, by scale (``MADRS``) or covariate (``age_years``, ``female``, ``weight_kg``)."""
    entry: tuple[EntryRule, ...] = ()
    screening: TimeH = -168.0
    already_on: tuple[str, ...] = ()
    """Antidepressants taken for months, ``escitalopram 10 mg``."""

    @model_validator(mode="after")
    def _known(self) -> Population:
        for text in self.already_on:
            Taken.create(text)
        for name, one in self.baseline.items():
            if name in scales() and (one.mean is None or one.sd is None):
                _refuse(f"baseline.{name}: must give 'mean' and 'sd'; list what is not known under 'assumed'")
        if self.screening > 0:
            _refuse("'screening' must lie before day 0")
        return self


class Arm(Part):
    """What one group is given. ``{dose}`` in the regimen stands for ``dose``."""

    label: str = ""
    n: Count | None = None
    regimen: str
    dose: str | None = None
    setting: str = "open"
    is_control: bool = False

    @model_validator(mode="after")
    def _readable(self) -> Arm:
        if ("{dose}" in self.regimen) != (self.dose is not None):
            _refuse("must hold '{dose}' in 'regimen' exactly where 'dose' is given")
        parse_regimen(self.text)
        find_setting(self.setting)
        return self

    @property
    def text(self) -> str:
        """The regimen as given."""
        return self.regimen.replace("{dose}", self.dose or "")

    @property
    def plan(self) -> Regimen:
        """The regimen."""
        return parse_regimen(self.text)


class Visit(Part):
    """A visit and what is rated there; it takes place within ``window`` either side."""

    at: TimeH
    scales: tuple[ScaleName, ...] = ("MADRS",)
    window: TimeH = 0.0


class Endpoint(Part):
    """What is compared between arms.

    ``change`` from baseline of a scale; ``score`` at a visit; ``response`` (fall of ``fraction``) and
    ``remission`` (``at_most``), shares; ``relapse`` from ``start`` on by a rule of ``data/relapse.toml``, a
    time; ``event``, the share with an adverse event in any session.

    ``estimand`` says what becomes of those who leave: ``hypothetical``, as if they had stayed (what is seen,
    completed by ``imputation`` or the model); ``treatment policy``, rated all the same; ``composite``, a
    failure; ``while on treatment``, as last seen.
    """

    kind: Literal["change", "score", "response", "remission", "relapse", "event"]
    scale: ScaleName = "MADRS"
    at: TimeH | None = None
    fraction: Share = 0.5
    at_most: float | None = None
    rule: str | None = None
    start: TimeH | None = None
    among: Literal["all", "response", "remission"] = "all"
    """Of a relapse: who is followed from ``start`` on."""
    event: str | None = None
    analysis: Literal["ancova", "mmrm", "t", "paired", "proportions", "survival"] | None = None
    imputation: Literal["observed", "locf", "bocf", "worst", "failure"] = "observed"
    estimand: Literal["hypothetical", "treatment policy", "composite", "while on treatment"] = "hypothetical"
    is_primary: bool = False
    title: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Endpoint:
        needs_time = self.kind in ("change", "score", "response", "remission")
        if needs_time and self.at is None:
            _refuse(f"must say 'at' which visit the {self.kind} is read")
        if "remission" in (self.kind, self.among) and self.at_most is None:
            _refuse("must give 'at_most', the trial's own cut-off of remission")
        if self.kind == "relapse" and (self.rule not in relapse_rules() or self.start is None):
            _refuse(f"must give 'start' and 'rule', one of {', '.join(relapse_rules())}")
        if self.kind == "event" and self.event not in EVENTS:
            _refuse(f"must name an 'event', one of {', '.join(EVENTS)}")
        if self.analysis is not None and self.analysis not in ANALYSES[self.kind]:
            _refuse(f"'analysis' must be one of {', '.join(ANALYSES[self.kind])} for {self.kind}")
        return self

    @property
    def method(self) -> str:
        """The analysis: as asked for, else the field's usual one."""
        return self.analysis or ANALYSES[self.kind][0]

    @property
    def text(self) -> str:
        """What it is called."""
        if self.title:
            return self.title
        if self.kind == "event":
            return f"{self.event}, any session"
        when = time_text(self.at if self.at is not None else self.start or 0.0)
        rule = (
            f" ({self.rule})" if self.rule else f" (<= {self.at_most:g})" if self.at_most is not None else ""
        )
        return f"{self.scale} {self.kind}{rule}, {'from ' if self.kind == 'relapse' else ''}{when}"


ANALYSES: dict[str, tuple[str, ...]] = {
    "change": ("ancova", "mmrm", "t", "paired"),
    "score": ("ancova", "mmrm", "t", "paired"),
    "response": ("proportions",),
    "remission": ("proportions",),
    "event": ("proportions",),
    "relapse": ("survival",),
}
"""Analyses that fit each kind of endpoint, the usual one first."""


class Randomisation(Part):
    """Permuted blocks within strata, in the ratio of the arms' sizes."""

    strata: tuple[str, ...] = ()
    """Such as ``age_years >= 65`` or ``MADRS >= 35``."""
    blocks: tuple[Count, ...] = ()
    """Sizes of blocks, taken at random; empty: two and four times the smallest whole ratio."""

    @model_validator(mode="after")
    def _readable(self) -> Randomisation:
        for text in self.strata:
            stratum(text)
        return self


def stratum(text: str) -> tuple[str, str, float]:
    """Return field, comparison and threshold of a stratum such as ``age_years >= 65``."""
    found = _STRATUM.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        return found[1], found[2], float(found[3])
    except ValueError:
        message = f"must compare a field with a number, 'age_years >= 65', not {text!r}"
        raise ValueError(message) from None


class Crossover(Part):
    """Everyone gets treatments one after the other; arms are the treatments."""

    n: Count
    period: TimeH
    """From the start of one period to the start of the next."""
    sequences: tuple[tuple[str, ...], ...]


class Withdrawal(Part):
    """Arms differ from ``at`` on; only who is well there by ``rule`` is compared."""

    at: TimeH
    rule: Literal["response", "remission", "stable remission"]
    at_most: float = 12.0
    scale: ScaleName = "MADRS"


class Dropout(Part):
    """Leaving the trial: a hazard that follows severity and events, per hour at risk.

    ``share`` by ``by`` is that of people who stay as ill as at baseline and have no event. The hazard is
    multiplied by ``per_10_points`` for every ten points above the mean at baseline (and divided below), and
    by ``after_event`` from a session with an event to the next.
    """

    share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    by: TimeH = 672.0
    per_10_points: Ratio = 1.0
    after_event: Ratio = 1.0
    events: tuple[str, ...] = ("anxiety",)

    @model_validator(mode="after")
    def _consistent(self) -> Dropout:
        if self.by <= 0:
            _refuse("'by' must lie after day 0")
        if self.share == 0.0 and (self.per_10_points != 1.0 or self.after_event != 1.0):
            _refuse("multiplies a hazard of zero: give 'share', or leave the multipliers out")
        return self


class Hold(Part):
    """A session is held where the pressure before it is at or above a threshold (mmHg)."""

    systolic_mmHg: float | None = None
    diastolic_mmHg: float | None = None


class Flexible(Part):
    """Doses that follow response: at each later session one level up while the rating asks for it.

    Levels are ratios to the dose of the regimen, the first is where everyone starts.
    """

    levels: tuple[Ratio, ...]
    start: TimeH = 1.0
    until: TimeH | None = None
    up_unless: Literal["response", "remission", "never"] = "response"
    at_most: float = 10.0
    scale: ScaleName = "MADRS"
    down_after: tuple[str, ...] = ()
    """Events after which the next dose is one level lower."""

    @model_validator(mode="after")
    def _ascending(self) -> Flexible:
        if len(self.levels) < 2 or any(b <= a for a, b in pairwise(self.levels)):
            _refuse("'levels' must be two or more ascending ratios such as [1, 1.5]")
        return self


class Rescue(Part):
    """Sessions from ``start`` on are given only to those who need them."""

    start: TimeH
    rule: str = "response lost"

    @model_validator(mode="after")
    def _known(self) -> Rescue:
        known = [name for name, rule in relapse_rules().items() if rule.visits == 1]
        if self.rule not in known:
            _refuse(f"'rule' must be one of {', '.join(known)}")
        return self


class Conduct(Part):
    """What happens that the plan did not foresee, or foresaw conditionally."""

    dropout: Dropout = Dropout()
    missed_session: Share = 0.0
    missed_rating: Share = 0.0
    hold: Hold = Hold()
    flexible: dict[str, Flexible] = {}
    """By arm."""
    rescue: dict[str, Rescue] = {}
    """By arm."""


class Looks(Part):
    """Interim looks at the primary endpoint."""

    fractions: tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...] = (1.0,)
    spending: Literal["obrien-fleming", "pocock"] = "obrien-fleming"

    @model_validator(mode="after")
    def _ascending(self) -> Looks:
        if self.fractions[-1] != 1.0 or any(b <= a for a, b in pairwise(self.fractions)):
            _refuse("'fractions' must ascend to 1, such as [0.5, 1]")
        return self


class Protocol(Part):
    """A trial as it is run."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["euthymia.protocol/1"] = Field(default=SCHEMA, alias="schema")
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    study: str | None = None
    design: Literal["parallel", "crossover", "withdrawal", "single-arm"] = "parallel"
    population: Population = Population()
    arms: Annotated[dict[str, Arm], Field(min_length=1)]
    randomisation: Randomisation = Randomisation()
    crossover: Crossover | None = None
    withdrawal: Withdrawal | None = None
    visits: Annotated[tuple[Visit, ...], Field(min_length=2)]
    endpoints: Annotated[dict[str, Endpoint], Field(min_length=1)]
    conduct: Conduct = Conduct()
    looks: Looks = Looks()
    alpha: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    ends: TimeH | None = None
    assumed: tuple[str, ...] = ()
    """What no source states, one line each."""
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Protocol:
        for problem in _problems(self):
            _refuse(problem)
        return self

    @property
    def control(self) -> str | None:
        """The arm that others are compared with."""
        return next((name for name, arm in self.arms.items() if arm.is_control), None)

    @property
    def active(self) -> tuple[str, ...]:
        """Arms that are compared with the control; all where there is none."""
        return tuple(name for name, arm in self.arms.items() if not arm.is_control)

    @property
    def primary(self) -> str:
        """Name of the primary endpoint, the first where none is marked."""
        marked = [name for name, one in self.endpoints.items() if one.is_primary]
        return marked[0] if marked else next(iter(self.endpoints))

    @property
    def visits_h(self) -> tuple[float, ...]:
        """Planned times of the visits."""
        return tuple(visit.at for visit in self.visits)

    @property
    def scales(self) -> tuple[str, ...]:
        """Scales that are rated at any visit, in order of mention."""
        return tuple(dict.fromkeys(scale for visit in self.visits for scale in visit.scales))

    @property
    def size(self) -> int:
        """How many people are enrolled in one replicate."""
        if self.crossover is not None:
            return self.crossover.n
        return sum(arm.n or 0 for arm in self.arms.values())


def _problems(protocol: Protocol) -> Iterator[str]:
    """Yield what does not fit together."""
    yield from _problems_of_arms(protocol)
    yield from _problems_of_visits(protocol)
    for place in (protocol.conduct.flexible, protocol.conduct.rescue):
        for name in place:
            if name not in protocol.arms:
                yield f"conduct names the arm {name!r}; arms are {', '.join(protocol.arms)}"
    if sum(one.is_primary for one in protocol.endpoints.values()) > 1:
        yield "endpoints: only one may be primary"


def _problems_of_arms(protocol: Protocol) -> Iterator[str]:
    arms, design = protocol.arms, protocol.design
    controls = [name for name, arm in arms.items() if arm.is_control]
    if len(controls) > 1:
        yield f"arms: only one may be the control, not {', '.join(controls)}"
    if design in ("parallel", "withdrawal") and (len(arms) < 2 or not controls):
        yield f"arms: a {design} design needs two or more, one with 'is_control: true'"
    if design == "single-arm" and len(arms) > 1:
        yield "arms: a single-arm design has one"
    if (design == "crossover") != (protocol.crossover is not None):
        yield "crossover: must be given exactly where 'design' is crossover"
    if (design == "withdrawal") != (protocol.withdrawal is not None):
        yield "withdrawal: must be given exactly where 'design' is withdrawal"
    if protocol.crossover is None:
        empty = [name for name, arm in arms.items() if arm.n is None]
        if empty:
            yield f"arms.{empty[0]}.n: an arm must have patients"
        return
    if any(arm.n is not None for arm in arms.values()):
        yield "arms: in a crossover everyone gets every treatment; give crossover.n instead of n"
    named = {name for sequence in protocol.crossover.sequences for name in sequence}
    if named != set(arms):
        yield f"crossover.sequences: must name {', '.join(arms)}, all and no others"


def _problems_of_visits(protocol: Protocol) -> Iterator[str]:
    visits = protocol.visits
    if any(b.at <= a.at for a, b in pairwise(visits)):
        yield "visits: must ascend in time"
    if not any(abs(visit.at) < SAME_TIME_H for visit in visits):
        yield "visits: one must be at day 0, which is baseline"
    if (
        protocol.crossover is not None
        and not 0.0 <= visits[0].at <= visits[-1].at < protocol.crossover.period
    ):
        yield "visits: of a crossover must lie within one period; they are repeated in each"
    rated = {scale: [visit.at for visit in visits if scale in visit.scales] for scale in protocol.scales}
    for name, one in protocol.endpoints.items():
        if one.kind == "event":
            continue
        if not any(abs(at) < SAME_TIME_H for at in rated.get(one.scale, ())):
            yield f"endpoints.{name}: {one.scale} is not rated at day 0"
        when = one.at if one.at is not None else one.start
        if when is not None and not any(abs(at - when) < SAME_TIME_H for at in rated.get(one.scale, ())):
            times = ", ".join(time_text(at) for at in rated.get(one.scale, ()))
            yield f"endpoints.{name}: no visit rates {one.scale} at {time_text(when)}; it is rated at {times}"
    for rule in protocol.population.entry:
        if rule.scale not in rated:
            yield f"population.entry: no visit rates {rule.scale}"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a protocol file; times are written as text."""
    return Protocol.model_json_schema(mode="validation", by_alias=True)
