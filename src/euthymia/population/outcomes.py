"""Response, remission and relapse by the definitions that studies use, from scores as they would be rated."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid, unknown
from euthymia.mechanism.symptoms import scales as ratings
from euthymia.model.parameters import ParameterSet
from euthymia.model.scales import Scale, find_scale
from euthymia.streams import normals_by_occasion, occasion_of
from euthymia.tables import read_text

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


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
    draws: dict[str, Any] = {
        "seed": seed,
        "purpose": "rating",
        "patients": numbers,
        "occasions": [occasion_of(time_h) for time_h in times_h],
    }
    return ratings.observed(
        severity_fraction,
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
