"""Response, remission and relapse by the definitions that studies use, from scores as they would be rated."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid, unknown
from euthymia.mechanism.symptoms import scales as ratings
from euthymia.model.concentrations import session_starts_h
from euthymia.model.course import Decision
from euthymia.model.parameters import ParameterSet
from euthymia.model.pk import Given
from euthymia.model.scales import Scale, find_scale
from euthymia.streams import normals_by_occasion, occasion_of
from euthymia.tables import read_text

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
SEVERITY = "severity.severity_fraction"
"""The state that decisions read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RelapseRule:
    """What a study calls relapse: a score, or the loss of response, at so many visits in a row."""

    name: str
    scale: str
    at_least_points: float
    visits: int
    is_lost_response: bool
    source: str


@cache
def relapse_rules() -> dict[str, RelapseRule]:
    """Return every definition of relapse by its name."""
    return {
        rule["name"]: RelapseRule(
            name=rule["name"],
            scale=rule["scale"],
            at_least_points=float(rule["at_least"]),
            visits=int(rule["visits"]),
            is_lost_response=bool(rule["lost_response"]),
            source=rule["source"],
        )
        for rule in tomllib.loads(read_text("relapse.toml"))["rule"]
    }


def rate(
    latent_fraction: Array,
    scale: Scale | str,
    times_h: Sequence[float] | Array,
    *,
    parameters: ParameterSet,
    numbers: NDArray[np.int64],
    seed: int,
) -> Array:
    """Return totals as raters would write them down: noise, whole points, the range of the scale.

    Parameters
    ----------
    latent_fraction : array (P, V)
        What the scale maps (``Scale.latent``) at the visits.
    scale : Scale or str
    times_h : array (V,)
        Of the visits; they key the draws, so that another visit moves none.
    numbers : array (P,) of int
        Numbers of the patients.

    Returns
    -------
    totals : array (P, V)
        Whole points.
    """
    kind = find_scale(scale) if isinstance(scale, str) else scale
    common_share = parameters.chain["rating.common_noise_fraction"].value
    draws: dict[str, Any] = {
        "seed": seed,
        "purpose": "rating",
        "patients": numbers,
        "occasions": [occasion_of(time_h) for time_h in times_h],
    }
    return ratings.observed(
        latent_fraction,
        kind.map,
        ratings.Parameters(common_share),
        common=normals_by_occasion(field="rating.common", **draws),
        own=normals_by_occasion(field=f"rating.{kind.name}", **draws),
    )


def response(baseline: Array, totals: Array, scale: Scale | str) -> Flags:
    """Return who has responded: a fall of the scale's fraction (half) of what lies above its minimum.

    Parameters
    ----------
    baseline : array (P,)
    totals : array (P, V)
    """
    kind = find_scale(scale) if isinstance(scale, str) else scale
    start = baseline[:, None] - kind.minimum_points
    return (start > 0) & (start - (totals - kind.minimum_points) >= kind.response_fraction * start)


def remission(totals: Array, at_most_points: float) -> Flags:
    """Return whose total is at or below a cut-off."""
    return totals <= at_most_points


def relapse_visit(rule: RelapseRule | str, baseline: Array, totals: Array) -> NDArray[np.int64]:
    """Return the visit at which each patient has relapsed by a rule, (P,); -1 where none.

    Parameters
    ----------
    rule : RelapseRule or str
    baseline : array (P,)
        Before treatment.
    totals : array (P, V)
        From the visit on at which the patient was well; relapse is counted from the next one.
    """
    if isinstance(rule, str):
        if rule not in relapse_rules():
            raise unknown("definition of relapse", rule, relapse_rules())
        rule = relapse_rules()[rule]
    if totals.ndim != 2 or totals.shape[1] < 1:
        raise invalid("totals", must="(patients, visits) with a visit", got=f"shape {totals.shape}")
    bad = ~response(baseline, totals, rule.scale) if rule.is_lost_response else totals >= rule.at_least_points
    bad[:, 0] = False
    run = np.zeros(len(totals), dtype=int)
    found = np.full(len(totals), -1)
    for visit in range(totals.shape[1]):
        run = np.where(bad[:, visit], run + 1, 0)
        found = np.where((found < 0) & (run >= rule.visits), visit, found)
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class OnDemand:
    """Later doses are given only at visits at which the rating asks for it.

    Parameters
    ----------
    from_h : float
        Doses from here on are decided on; earlier ones are given as planned.
    rule : str
        A definition of relapse (``data/relapse.toml``) that one rating can meet.
    slots : tuple of tuple
        (time, doses that start together there), found by ``for_course``.
    """

    from_h: float
    rule: str = "response lost"
    start_h: float = 0.0
    slots: tuple[tuple[float, tuple[int, ...]], ...] = ()

    @property
    def text(self) -> str:
        """What is said of it beside a result."""
        return f"from day {self.from_h / 24.0:g} on doses only on demand ({self.rule})"

    def for_course(self, given: Sequence[Given], start_h: float) -> OnDemand:
        """Return the rule with the doses that it decides on.

        Raises
        ------
        InvalidInputError
            Where no dose is left to decide on, or the rule needs several visits.
        """
        if self.rule not in relapse_rules():
            raise unknown("definition of relapse", self.rule, relapse_rules())
        if relapse_rules()[self.rule].visits > 1:
            raise invalid("rule of doses on demand", must="one that a single visit can meet", got=self.rule)
        later = [slot for slot, one in enumerate(given) if one.dose.start_h >= self.from_h]
        if not later:
            raise invalid("from_h", must="before the last dose", got=f"{self.from_h:g} h")
        starts = session_starts_h([given[slot] for slot in later])
        place = np.searchsorted(starts, [given[slot].dose.start_h for slot in later], side="right") - 1
        slots = [
            (start, tuple(slot for slot, at in zip(later, place, strict=True) if at == number))
            for number, start in enumerate(starts)
        ]
        return replace(self, start_h=start_h, slots=tuple(slots))

    def decisions(
        self, parameters: ParameterSet, numbers: NDArray[np.int64] | None, seed: int
    ) -> tuple[Decision, ...]:
        """Return what happens at each visit: rate, compare with the rule, give or leave out."""
        rule = relapse_rules()[self.rule]
        scale = find_scale(rule.scale)

        def rated(severity_fraction: Array, time_h: float) -> Array:
            if numbers is None:
                return ratings.expected(severity_fraction, scale.map)
            found = rate(
                severity_fraction[:, None], scale, [time_h], parameters=parameters, numbers=numbers, seed=seed
            )
            return found[:, 0]

        before: dict[float, Array] = {}

        def note_baseline(state: Mapping[str, Array]) -> Array:
            before[self.start_h] = rated(state[SEVERITY], self.start_h)
            return np.ones_like(state[SEVERITY])

        def decide(state: Mapping[str, Array], *, time_h: float) -> Array:
            total = rated(state[SEVERITY], time_h)
            if rule.is_lost_response:
                return (~response(before[self.start_h], total[:, None], scale)[:, 0]).astype(float)
            return (total >= rule.at_least_points).astype(float)

        first = Decision(self.start_h, (), note_baseline)
        return (first, *(Decision(time, slots, partial(decide, time_h=time)) for time, slots in self.slots))
