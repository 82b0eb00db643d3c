"""Response, remission and relapse by the definitions that studies use, from scores as they would be rated."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid, unknown
from euthymia.mechanism.symptoms import scales as ratings
from euthymia.model.parameters import ParameterSet
from euthymia.model.scales import Scale, find_scale
from euthymia.streams import normals
from euthymia.tables import read_text

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
_OCCASIONS_PER_H = 60
_FIRST_OCCASION = 2**31
"""Occasions count minutes, so that visits before time 0 have one too."""


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
    severity_fraction: Array,
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
    severity_fraction : array (P, V)
        At the visits.
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
    return ratings.observed(
        severity_fraction,
        kind.map,
        ratings.Parameters(common_share),
        common=_visit_draws("rating.common", times_h, numbers, seed),
        own=_visit_draws(f"rating.{kind.name}", times_h, numbers, seed),
    )


def _visit_draws(
    field: str, times_h: Sequence[float] | Array, numbers: NDArray[np.int64], seed: int
) -> Array:
    columns = [
        normals(
            seed=seed,
            purpose="rating",
            field=field,
            patients=numbers,
            occasion=_FIRST_OCCASION + round(float(time) * _OCCASIONS_PER_H),
        )
        for time in times_h
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(numbers), 0))


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
