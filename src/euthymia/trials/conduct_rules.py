"""What happens in a trial that the plan did not foresee, or foresaw conditionally, as fields of its file."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import Annotated, Literal

from pydantic import Field, model_validator

from euthymia.dosing.drug import find_drug
from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.order import Order
from euthymia.dosing.regimen import Regimen, combine, shift
from euthymia.model.scales import find_scale
from euthymia.population.outcomes import relapse_rules
from euthymia.population.screening import MOOD
from euthymia.trials.fields import (
    SAME_TIME_H,
    SYMPTOMS,
    Part,
    Ratio,
    ScaleName,
    Share,
    TimeH,
    about,
    refuse,
)
from euthymia.trials.sessions import sessions_of


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
            refuse("'by' must lie after day 0")
        for name in self.events:
            _refuse_other_event(name)
        if self.after_event != 1.0 and not self.events:
            refuse("'after_event' needs 'events' that people leave after")
        if self.share == 0.0 and (self.per_10_points != 1.0 or self.after_event != 1.0):
            refuse("multiplies a hazard of zero: give 'share', or leave the multipliers out")
        return self


def _refuse_other_event(name: str) -> None:
    """Refuse an event that nobody speaks of by the next visit."""
    if name not in SYMPTOMS:
        refuse(f"must be one of {', '.join(SYMPTOMS)}, what patients tell of; not {name!r}")


class Hold(Part):
    """A session is held where the pressure before it is at or above a threshold (mmHg)."""

    systolic_mmHg: Annotated[float, Field(gt=0.0)] | None = None
    diastolic_mmHg: Annotated[float, Field(gt=0.0)] | None = None


class Stretch(Part):
    """From when to when something may be changed, and the rating that it may follow."""

    start: TimeH = 1.0
    until: TimeH | None = None
    at_most: float = 10.0
    """Points of remission."""
    scale: ScaleName = "MADRS"

    @model_validator(mode="after")
    def _forward(self) -> Stretch:
        if self.start <= 0 or (self.until is not None and self.until < self.start):
            refuse("'start' must lie after day 0, and 'until' not before it")
        if find_scale(self.scale).latent != MOOD:
            refuse(f"'scale' must be one of mood, not {self.scale}")
        return self

    def holds(self, time_h: float) -> bool:
        """Tell whether a time lies in the stretch."""
        end_h = inf if self.until is None else self.until
        return self.start - SAME_TIME_H <= time_h <= end_h + SAME_TIME_H


class Flexible(Stretch):
    """Doses that follow response: at each later session one level up while the rating asks for it.

    Levels are ratios to the dose of the regimen, the first is where everyone starts.
    """

    levels: tuple[Ratio, ...]
    up_unless: Literal["response", "remission", "never"] = "response"
    down_after: tuple[str, ...] = ()
    """Events after which the next dose is one level lower."""

    @model_validator(mode="after")
    def _ascending(self) -> Flexible:
        if len(self.levels) < 2 or any(b <= a for a, b in pairwise(self.levels)):
            refuse("'levels' must be two or more ascending ratios such as [1, 1.5]")
        for name in self.down_after:
            _refuse_other_event(name)
        return self


class Switch(Stretch):
    """Sessions that are given by another route: ``to`` in place of what the arm's regimen has.

    Asked before every session of the stretch: a session is switched ``after`` events of the one before it,
    ``unless`` there is response or remission, or by chance with ``share`` of sessions (no vein is found).
    Levels of a flexible dose are ratios to the dose of either route.
    """

    to: str
    """One session, such as ``ketamine 0.5 mg/kg im``."""
    after: tuple[str, ...] = ()
    unless: Literal["response", "remission"] | None = None
    share: Share = 0.0
    lasts: bool = True
    """Whether later sessions are given so too."""

    @model_validator(mode="after")
    def _one_session(self) -> Switch:
        with about("to"):
            plan = self.plan
            orders = [one for _, one in plan.items if isinstance(one, Order)]
            is_ketamine = all(find_drug(one.drug).drug_class == "ketamine" for one in orders)
            if len(orders) < len(plan.items) or not is_ketamine or len(sessions_of(plan).start_h) != 1:
                refuse(f"must be one session of ketamine such as 'ketamine 0.5 mg/kg im', not {self.to!r}")
        if not (self.after or self.unless or self.share):
            refuse("must say when: give 'after' (events), 'unless' (response or remission) or 'share'")
        for name in self.after:
            _refuse_other_event(name)
        return self

    @property
    def plan(self) -> Regimen:
        """The session, from time 0."""
        return parse_regimen(self.to)

    def instead_of(self, plan: Regimen) -> Regimen | None:
        """Return what later sessions of a regimen are given as where they are switched; None without any."""
        later_h = sessions_of(plan).start_h[1:]
        plans = [shift(self.plan, by_h=float(at)) for at in later_h if at >= self.start - SAME_TIME_H]
        return combine(*plans) if plans else None


class Rescue(Part):
    """Sessions from ``start`` on are given only to those who need them."""

    start: TimeH
    rule: str = "response lost"

    @model_validator(mode="after")
    def _known(self) -> Rescue:
        known = [name for name, rule in relapse_rules().items() if rule.visits == 1]
        if self.rule not in known:
            refuse(f"'rule' must be one of {', '.join(known)}")
        if self.start <= 0:
            refuse("'start' must lie after day 0")
        return self


class Conduct(Part):
    """What happens that the plan did not foresee, or foresaw conditionally."""

    dropout: Dropout = Dropout()
    missed_session: Share = 0.0
    missed_rating: Share = 0.0
    hold: Hold = Hold()
    flexible: dict[str, Flexible] = Field(default_factory=dict)
    """By arm."""
    rescue: dict[str, Rescue] = Field(default_factory=dict)
    """By arm."""
    switch: dict[str, Switch] = Field(default_factory=dict)
    """By arm."""
