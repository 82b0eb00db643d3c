"""The protocol of a trial as a file: every field, what it may be, and what must hold between fields.

One YAML file a trial; ``data/protocols/`` holds those that ship. Times are written as people say them:
``day 7``, ``2 h``, ``40 min``, counted from the first dose. What a source does not state is assumed, and
listed under ``assumed``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from math import gcd
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.regimen import Regimen, TimedItem, combine
from euthymia.errors import InvalidInputError, unknown
from euthymia.evidence.studies import find_study
from euthymia.model.scales import find_scale, scales
from euthymia.population.baseline import BaselineTable, check_table
from euthymia.population.covariates import NUMBERS, Stated
from euthymia.population.marginals import find_population
from euthymia.population.outcomes import relapse_rules
from euthymia.population.screening import MOOD, Entry
from euthymia.population.settings import find_setting
from euthymia.population.surroundings import Taken, midazolam_of, occupancy_of, visits_of
from euthymia.trials.conduct_rules import Conduct
from euthymia.trials.fields import (
    EVENTS,
    SAME_TIME_H,
    Count,
    Part,
    ScaleName,
    Share,
    TimeH,
    about,
    refuse,
    refuse_all,
    time_text,
)
from euthymia.trials.sessions import sessions_of

SCHEMA = "euthymia.protocol/1"
CLOSEST_VISITS_H = 1.0 / 60.0
"""Ratings are drawn by the minute."""
SHARES = {"female": ("sex", "female"), "hypertension": ("is_hypertensive", "yes")}
"""Rows of a baseline table that state a share: the covariate, and the level that is counted."""
STRATA = (*NUMBERS, "is_hypertensive")
"""Covariates that a randomisation may be stratified by; scales are the others."""
LARGEST_RATIO = 12
"""Most patients in the smallest block that a ratio of arms may need."""
STABLE_VISITS = 4
"""Visits in a row, the last at the point of withdrawal, that make remission stable."""
_STRATUM = re.compile(r"([A-Za-z][A-Za-z_0-9 -]*?)\s*(>=|<=|<|>|==)\s*(-?\d+(?:\.\d+)?)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")


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
            refuse("must give either 'share', or any of 'mean', 'sd', 'low' and 'high'")
        return self


class EntryRule(Part):
    """A rated total that is asked for at screening, at baseline, or at both."""

    scale: ScaleName
    at_least: float | None = None
    at_most: float | None = None
    at: Annotated[tuple[Literal["screening", "baseline"], ...], Field(min_length=1)] = ("baseline",)

    @model_validator(mode="after")
    def _bounded(self) -> EntryRule:
        if self.at_least is None and self.at_most is None:
            refuse("must give 'at_least' or 'at_most'")
        known = find_scale(self.scale).map
        low, high = known.minimum_points, known.maximum_points
        if not low <= self.least <= self.most <= high:
            asked = f"{self.least:g} to {self.most:g}"
            refuse(f"must be ascending totals within {low:g}–{high:g} of the {self.scale}, not {asked}")
        return self

    @property
    def least(self) -> float:
        """Smallest total that is let in."""
        return find_scale(self.scale).minimum_points if self.at_least is None else self.at_least

    @property
    def most(self) -> float:
        """Largest total that is let in."""
        return find_scale(self.scale).map.maximum_points if self.at_most is None else self.at_most


class Population(Part):
    """Who takes part."""

    name: str = "trd-adult"
    baseline: dict[str, Moments] = Field(default_factory=dict)
    """Of those enrolled, by scale (``MADRS``) or covariate (``age_years``, ``female``, ``weight_kg``)."""
    entry: tuple[EntryRule, ...] = ()
    screening: TimeH = -168.0
    already_on: tuple[str, ...] = ()
    """Antidepressants taken for months, ``escitalopram 10 mg``."""
    life_events: bool = False
    """Whether stressful events arrive by chance; relapse after treatment mostly follows them."""

    @model_validator(mode="after")
    def _known(self) -> Population:
        with about("name"):
            find_population(self.name)
        with about("already_on"):
            for text in self.already_on:
                Taken.create(text)
        if self.screening >= 0:
            refuse("screening: must lie before day 0")
        refuse_all(_problems_of_baseline(self))
        return self

    @property
    def rule(self) -> Entry | None:
        """The entry rule; days count from day 0."""
        days = {"screening": self.screening / 24.0, "baseline": 0.0}
        found = [
            Entry(
                scale=one.scale,
                at_least_points=-np.inf if one.at_least is None else one.at_least,
                at_most_points=one.at_most,
                day=days[when],
            )
            for one in self.entry
            for when in one.at
        ]
        return joined(found)

    @property
    def mood_rule(self) -> Entry | None:
        """What of the rule asks for ratings of mood, which severity before entry is solved with."""
        ratings = self.rule.ratings if self.rule else ()
        return joined([one for one in ratings if find_scale(one.scale).latent == MOOD])

    @property
    def tables(self) -> tuple[BaselineTable, ...]:
        """Mean and SD by scale of mood, the one that is matched first."""
        return tuple(
            BaselineTable(mean_points=one.mean, sd_points=one.sd, scale=name)
            for name, one in self.baseline.items()
            if name in scales() and one.mean is not None and one.sd is not None
        )

    @property
    def covariates(self) -> dict[str, Stated]:
        """What the table says of covariates."""
        found: dict[str, Stated] = {}
        for name, one in self.baseline.items():
            if name in SHARES:
                field, level = SHARES[name]
                found[field] = Stated.create(shares={level: one.share or 0.0})
            elif name not in scales():
                found[name] = Stated.create(mean=one.mean, sd=one.sd, low=one.low, high=one.high)
        return found


def joined(ratings: list[Entry] | tuple[Entry, ...]) -> Entry | None:
    """Return several ratings that must all be met as one rule."""
    return replace(ratings[0], also=tuple(ratings[1:])) if ratings else None


def _problems_of_baseline(population: Population) -> Iterator[str]:
    """Yield what no people can have; only solving for it, at the start of a trial, finds the rest."""
    for name, one in population.baseline.items():
        where = f"baseline.{name}"
        if name in scales() and find_scale(name).latent != MOOD:
            yield f"{where}: must be a scale of mood; ideation before the entry rule is 'ssi_points'"
        elif name in scales() and (one.mean is None or one.sd is None):
            yield f"{where}: must give 'mean' and 'sd'; list what is not known under 'assumed'"
        elif name not in (*scales(), *NUMBERS, *SHARES):
            yield f"{where}: {unknown('row of a baseline table', name, (*scales(), *NUMBERS, *SHARES))}"
        elif (one.share is not None) != (name in SHARES):
            yield f"{where}: must give {'share' if name in SHARES else 'mean, sd, low or high'!r}"
        else:
            yield from _impossible(population, name)


def _impossible(population: Population, name: str) -> Iterator[str]:
    """Yield why no people at all can have a row of a baseline table, whatever the model."""
    one = population.baseline[name]
    try:
        if name in scales():
            table = BaselineTable(mean_points=one.mean or 0.0, sd_points=one.sd or 0.0, scale=name)
            check_table(table, population.mood_rule)
        elif name not in SHARES:
            Stated.create(mean=one.mean, sd=one.sd, low=one.low, high=one.high)
    except InvalidInputError as error:
        yield f"baseline.{name}: {error}"


class Arm(Part):
    """What one group is given. ``{dose}`` in the regimen and in the label stands for ``dose``."""

    label: str = ""
    n: Count | None = None
    regimen: str
    dose: str | None = None
    setting: str = "open"
    is_control: bool = False

    @model_validator(mode="before")
    @classmethod
    def _labelled(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and isinstance(given.get("label"), str):
            return {**given, "label": given["label"].replace("{dose}", str(given.get("dose") or ""))}
        return given

    @model_validator(mode="after")
    def _readable(self) -> Arm:
        if ("{dose}" in self.regimen) != (self.dose is not None):
            refuse("must hold '{dose}' in 'regimen' exactly where 'dose' is given")
        with about("setting"):
            find_setting(self.setting)
        with about("regimen"):
            midazolam_of(self.plan, np.array([70.0]))  # what has no kinetics or no daily dose is said here
            occupancy_of(self.plan)
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
    """A visit and what is rated there; it takes place within ``window`` either side.

    A visit at which a session starts takes place with it, whatever the window.
    """

    at: TimeH
    scales: tuple[ScaleName, ...] = ("MADRS",)
    window: TimeH = 0.0

    @model_validator(mode="after")
    def _ahead(self) -> Visit:
        if self.window < 0:
            refuse("'window' must be a length such as '1 d', not a negative one")
        if self.window and abs(self.at) < SAME_TIME_H:
            refuse("the visit at day 0 is the baseline and has no window")
        return self


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
    fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
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
            refuse(f"must say 'at' which visit the {self.kind} is read")
        if "remission" in (self.kind, self.among) and self.at_most is None:
            refuse("must give 'at_most', the trial's own cut-off of remission")
        if self.kind == "relapse" and (self.rule not in relapse_rules() or self.start is None):
            refuse(f"must give 'start' and 'rule', one of {', '.join(relapse_rules())}")
        if self.kind == "relapse" and not _counts(self.rule or "", self.scale):
            refuse(f"the rule {self.rule!r} asks for points of another scale than {self.scale}")
        if self.kind == "event" and self.event not in EVENTS:
            refuse(f"must name an 'event', one of {', '.join(EVENTS)}, not {self.event!r}")
        for name in sorted(self.model_fields_set & READ_BY.keys()):
            if not {self.kind, self.among} & READ_BY[name]:
                refuse(f"{name!r} is read by {', '.join(sorted(READ_BY[name]))}, not by {self.kind}")
        if self.analysis is not None and self.analysis not in ANALYSES[self.kind]:
            refuse(f"'analysis' must be one of {', '.join(ANALYSES[self.kind])} for {self.kind}")
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


READ_BY = {
    "at": {"change", "score", "response", "remission"},
    "fraction": {"response"},
    "at_most": {"remission"},
    "rule": {"relapse"},
    "start": {"relapse"},
    "among": {"relapse"},
    "event": {"event"},
}
"""Kinds of endpoint that read a field which others do not have."""


def _counts(rule: str, scale: str) -> bool:
    """Tell whether a rule of relapse can be read off a scale."""
    found = relapse_rules()[rule]
    return found.is_lost_response or found.scale == scale


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
        for place, text in enumerate(self.strata):
            with about(f"strata.{place}"):
                stratum(text)
        return self


def stratum(text: str) -> tuple[str, str, float]:
    """Return field, comparison and threshold of a stratum such as ``age_years >= 65``."""
    found = _STRATUM.fullmatch(text.strip())
    if found is None:
        refuse(f"must compare a field with a number, 'age_years >= 65', not {text!r}")
    name = found[1] if found[1] in STRATA else _scale_of_stratum(found[1])
    return name, found[2], float(found[3])


def _scale_of_stratum(name: str) -> str:
    try:
        return find_scale(name).name
    except InvalidInputError:
        raise unknown("field of a stratum", name, (*STRATA, *scales())) from None


class Crossover(Part):
    """Everyone gets treatments one after the other; arms are the treatments."""

    n: Count
    period: TimeH
    """From the start of one period to the start of the next."""
    sequences: Annotated[tuple[tuple[str, ...], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> Crossover:
        lengths = {len(sequence) for sequence in self.sequences}
        if len(lengths) > 1 or len(set(self.sequences)) < len(self.sequences):
            refuse("'sequences' must be of one length, each given once")
        if self.n < len(self.sequences):
            refuse(f"'n' must be {len(self.sequences)} or more, one patient for each sequence")
        if self.period <= 0:
            refuse("'period' must lie after day 0")
        return self


class Withdrawal(Part):
    """Arms differ from ``at`` on; only who is well there by ``rule`` is compared."""

    at: TimeH
    rule: Literal["response", "remission", "stable remission"]
    at_most: float = 12.0
    scale: ScaleName = "MADRS"


class Looks(Part):
    """Interim looks at the primary endpoint."""

    fractions: Annotated[tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...], Field(min_length=1)] = (1.0,)
    spending: Literal["obrien-fleming", "pocock"] = "obrien-fleming"

    @model_validator(mode="after")
    def _ascending(self) -> Looks:
        if self.fractions[-1] != 1.0 or any(b <= a for a, b in pairwise(self.fractions)):
            refuse("'fractions' must ascend to 1, such as [0.5, 1]")
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
        with about("study"):
            _ = self.study and find_study(self.study)
        refuse_all(_problems(self))
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
        return sum(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many people each arm has; the sequences of a crossover share them."""
        if self.crossover is None:
            return tuple(arm.n or 0 for arm in self.arms.values())
        many = len(self.crossover.sequences)
        return tuple(self.crossover.n // many + (place < self.crossover.n % many) for place in range(many))

    @property
    def ratio(self) -> tuple[int, ...]:
        """The smallest whole ratio of the arms; where it is not small, nearly equal sizes count as equal."""
        common = reduce(gcd, self.sizes)
        exact = tuple(size // common for size in self.sizes)
        if sum(exact) <= LARGEST_RATIO:
            return exact
        rough = [Fraction(size, min(self.sizes)).limit_denominator(2) for size in self.sizes]
        whole = max(one.denominator for one in rough)
        return tuple(int(one * whole) for one in rough)


def _problems(protocol: Protocol) -> Iterator[str]:
    """Yield what does not fit together, each beginning with the field that it is about."""
    yield from _problems_of_arms(protocol)
    yield from _problems_of_visits(protocol)
    yield from _problems_of_endpoints(protocol)
    yield from _problems_of_conduct(protocol)
    if protocol.crossover is not None:
        yield from _problems_of_crossover(protocol, protocol.crossover)
    if protocol.withdrawal is not None:
        yield from _problems_of_withdrawal(protocol, protocol.withdrawal)


def _problems_of_arms(protocol: Protocol) -> Iterator[str]:
    arms, design = protocol.arms, protocol.design
    controls = [name for name, arm in arms.items() if arm.is_control]
    odd = [name for name in arms if not _NAME.fullmatch(name)]
    if odd:
        yield f"arms: names must be letters, digits, '-', '_' and '+', not {odd[0]!r}"
    if len(controls) > 1:
        yield f"arms: only one may be the control, not {', '.join(controls)}"
    if design in ("parallel", "withdrawal") and (len(arms) < 2 or not controls):
        yield f"arms: a {design} design needs two or more, one with 'is_control: true'"
    if design == "crossover" and len(arms) < 2:
        yield "arms: a crossover needs two or more"
    if design == "single-arm" and (len(arms) > 1 or controls):
        yield f"arms: a single-arm design has one, and no control; here are {', '.join(arms)}"
    if (design == "crossover") != (protocol.crossover is not None):
        such = " Such as {n: 20, period: 7 d, sequences: [[a, b], [b, a]]}" if design == "crossover" else ""
        yield f"crossover: must be given exactly where 'design' is crossover; here it is {design}.{such}"
    if (design == "withdrawal") != (protocol.withdrawal is not None):
        such = " Such as {at: day 56, rule: response}" if design == "withdrawal" else ""
        yield f"withdrawal: must be given exactly where 'design' is withdrawal; here it is {design}.{such}"
    empty = [name for name, arm in arms.items() if arm.n is None and protocol.crossover is None]
    if empty:
        yield f"arms.{empty[0]}: an arm must have patients; give 'n'"
    else:
        yield from _problems_of_balance(protocol)


def _problems_of_balance(protocol: Protocol) -> Iterator[str]:
    """Yield where blocks cannot hold the ratio of the arms."""
    rules, ratio = protocol.randomisation, protocol.ratio
    said = ":".join(map(str, ratio))
    bad = [size for size in rules.blocks if size % sum(ratio)]
    if bad:
        yield (
            f"randomisation.blocks: must be multiples of {sum(ratio)}, the sum of the ratio {said} of the "
            f"arms, not {', '.join(map(str, bad))}; change the blocks, or n of the arms"
        )
    elif rules.strata and sum(ratio) > LARGEST_RATIO:
        sizes = ", ".join(map(str, protocol.sizes))
        yield (
            f"randomisation: cannot be balanced within strata: n of the arms ({sizes}) stand in no small "
            "whole ratio; choose sizes such as 20 and 40, or leave 'strata' out"
        )


def _problems_of_crossover(protocol: Protocol, crossover: Crossover) -> Iterator[str]:
    arms, visits = protocol.arms, protocol.visits
    if any(arm.n is not None for arm in arms.values()):
        yield "arms: in a crossover everyone gets every treatment; give crossover.n instead of n"
    if {name for sequence in crossover.sequences for name in sequence} != set(arms):
        yield f"crossover.sequences: must name {', '.join(arms)}, all and no others"
    if len(crossover.sequences) < 2:
        yield "crossover.sequences: must be two or more, else treatment and period cannot be told apart"
    if len({arm.setting for arm in arms.values()}) > 1:
        yield "arms: in a crossover all must have one 'setting'; patients do not know which period it is"
    for name, arm in arms.items():
        last_h = max(start_h for start_h, _ in arm.plan.items)
        if last_h >= crossover.period:
            yield f"arms.{name}.regimen: must end within one period, {time_text(crossover.period)}"
    if not 0.0 <= visits[0].at <= visits[-1].at + visits[-1].window < crossover.period:
        yield "visits: of a crossover must lie within one period; they are repeated in each"


def _problems_of_withdrawal(protocol: Protocol, withdrawal: Withdrawal) -> Iterator[str]:
    rated = rated_at(protocol, withdrawal.scale)
    if not _holds(rated, withdrawal.at):
        yield f"withdrawal.at: no visit rates {withdrawal.scale} at {time_text(withdrawal.at)}"
    if withdrawal.rule == "response" and not _holds(rated, 0.0):
        yield f"withdrawal.scale: {withdrawal.scale} is not rated at day 0"
    before = [at for at in rated if 0.0 < at <= withdrawal.at + SAME_TIME_H]
    if withdrawal.rule == "stable remission" and len(before) < STABLE_VISITS:
        yield f"withdrawal.rule: stable remission needs {STABLE_VISITS} ratings up to the withdrawal"
    if len({_until(arm.plan, withdrawal.at) for arm in protocol.arms.values()}) > 1:
        yield f"arms: must be given the same before the withdrawal at {time_text(withdrawal.at)}"


def _until(plan: Regimen, time_h: float) -> tuple[TimedItem, ...]:
    return tuple(one for one in plan.items if one[0] < time_h - SAME_TIME_H)


def _problems_of_visits(protocol: Protocol) -> Iterator[str]:
    visits = protocol.visits
    for a, b in pairwise(visits):
        if b.at - a.at < CLOSEST_VISITS_H - SAME_TIME_H:
            pair = f"{time_text(b.at)} stands after {time_text(a.at)}"
            yield f"visits: must ascend in time, a minute or more apart; {pair}"
    for place, (a, b) in enumerate(pairwise(visits), start=1):
        if a.at < b.at and a.at + a.window >= b.at - b.window and (a.window or b.window):
            yield f"visits.{place}: windows of {time_text(a.at)} and {time_text(b.at)} overlap"
    if not _holds(protocol.visits_h, 0.0):
        yield "visits: one must be at day 0, which is baseline"
    if protocol.ends is not None and protocol.ends < visits[-1].at:
        yield f"ends: must not lie before the last visit, {time_text(visits[-1].at)}"
    for rule in protocol.population.entry:
        if not rated_at(protocol, rule.scale):
            yield f"population.entry: no visit rates {rule.scale}"


def rated_at(protocol: Protocol, scale: str) -> list[float]:
    """Return when a scale is rated."""
    return [visit.at for visit in protocol.visits if scale in visit.scales]


def _holds(times_h: Iterable[float], time_h: float) -> bool:
    return any(abs(one - time_h) < SAME_TIME_H for one in times_h)


def _problems_of_endpoints(protocol: Protocol) -> Iterator[str]:
    if sum(one.is_primary for one in protocol.endpoints.values()) > 1:
        yield "endpoints: only one may be primary"
    for name, one in protocol.endpoints.items():
        yield from _problems_of_analysis(protocol, name, one)
        if one.kind == "event":
            continue
        rated = rated_at(protocol, one.scale)
        if not _holds(rated, 0.0):
            yield f"endpoints.{name}: {one.scale} is not rated at day 0"
        when = one.at if one.at is not None else one.start
        if when is not None and not _holds(rated, when):
            times = ", ".join(map(time_text, rated)) or "no visit"
            yield f"endpoints.{name}: no visit rates {one.scale} at {time_text(when)}; it is rated at {times}"
        if one.kind == "relapse" and rated and (one.start or 0.0) >= rated[-1] - SAME_TIME_H:
            yield f"endpoints.{name}: nothing is rated after 'start', when relapse could be seen"


def _problems_of_analysis(protocol: Protocol, name: str, one: Endpoint) -> Iterator[str]:
    """Yield analyses that a design does not have, which would be replaced in silence."""
    if one.kind not in ("change", "score"):
        return
    if protocol.design == "crossover" and one.analysis not in (None, "paired"):
        yield f"endpoints.{name}: a crossover is compared within patients: 'analysis' must be paired"
    if protocol.design in ("parallel", "withdrawal") and one.analysis == "paired":
        yield f"endpoints.{name}: arms of a {protocol.design} design have different patients: not paired"
    if one.imputation == "failure":
        yield f"endpoints.{name}: 'imputation' of a {one.kind} must not be failure, which has no points"


def _problems_of_conduct(protocol: Protocol) -> Iterator[str]:
    """Yield rules for arms that are not there, or have no session that they could act on."""
    conduct, groups = protocol.conduct, _groups_of(protocol)
    spans = [
        (f"conduct.{rule}.{name}", name, one.start, np.inf if one.until is None else one.until)
        for rule, by_arm in (("flexible", conduct.flexible), ("switch", conduct.switch))
        for name, one in by_arm.items()
    ]
    spans += [(f"conduct.rescue.{name}", name, one.start, np.inf) for name, one in conduct.rescue.items()]
    for where, name, start_h, end_h in spans:
        if not groups:
            yield f"{where}: not in a crossover, whose sessions are not decided on"
        elif name not in groups:
            yield f"{where}: no such arm; arms are {', '.join(groups)}"
        elif not _has_session(protocol, name, start_h, end_h):
            yield f"{where}: no session of {name} starts between {time_text(start_h)} and its end"
    for name in conduct.switch.keys() & set(groups):
        yield from _problems_of_switch(protocol, name)


def _problems_of_switch(protocol: Protocol, name: str) -> Iterator[str]:
    """Yield why sessions of an arm cannot be given as a switch says."""
    plan = protocol.arms[name].plan
    here, instead = sessions_of(plan), instead_of(protocol, name)
    together = visits_of(plan if instead is None else combine(plan, instead))
    if not all(here.slots):
        yield f"conduct.switch.{name}: every session of {name} must give ketamine"
        return
    end_h = max(
        start_h + (one.duration_min or 0.0) / 60.0
        for start_h, one in protocol.conduct.switch[name].plan.items
    )
    if not np.array_equal(here.start_h, together) or (np.diff(here.start_h) <= end_h).any():
        yield f"conduct.switch.{name}.to: must be over well before the next session of {name} starts"


def instead_of(protocol: Protocol, name: str) -> Regimen | None:
    """Return what sessions of an arm are given as where they are switched; None where none can be."""
    switch = protocol.conduct.switch.get(name)
    return None if switch is None else switch.instead_of(protocol.arms[name].plan)


def _groups_of(protocol: Protocol) -> tuple[str, ...]:
    """Return the names of arms that sessions may be changed in; a crossover has none."""
    return () if protocol.crossover is not None else tuple(protocol.arms)


def _has_session(protocol: Protocol, arm: str, start_h: float, end_h: float) -> bool:
    starts_h = sessions_of(protocol.arms[arm].plan).start_h
    inside = (starts_h >= start_h - SAME_TIME_H) & (starts_h <= end_h + SAME_TIME_H)
    return bool(inside.any())


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a protocol file; where it includes another, fields may be absent."""
    schema = Protocol.model_json_schema(mode="validation", by_alias=True)
    _write_defaults(schema)
    name = {"type": "string"}
    schema["properties"]["include"] = {"anyOf": [name, {"type": "array", "items": name}]}
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["include"]}]
    named = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:euthymia:schema:protocol-1",
    }
    return {**named, **schema}


def _write_defaults(schema: dict[str, Any]) -> None:
    """Write defaults that are times as people do, and leave out those that repeat a part's own, in place."""
    for one in schema.values():
        for inner in one if isinstance(one, list) else [one]:
            if isinstance(inner, dict):
                _write_defaults(inner)
    default = schema.get("default")
    if isinstance(default, float) and schema.get("type") == "string":
        schema["default"] = time_text(default)
    elif isinstance(default, dict):
        del schema["default"]
