"""Interim looks: when a trial would have stopped for effect, by the primary endpoint."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from euthymia.trials.analysis.sequential import boundaries
from euthymia.trials.design import Looks
from euthymia.trials.estimates import estimates_of
from euthymia.trials.records import Cohort, Estimate, Replicate, part_of

Z = "z at "
"""How the measure of a look begins; the share of patients follows, so that looks stay apart."""
REACHED = "share stopped by "
"""How the measure begins that is 1 where a trial has crossed a boundary at a look or before, else 0."""
STOPPED = "share of patients at which it stops"
CONTRASTS = ("difference", "risk difference", "hazard ratio")


def with_looks(replicate: Replicate, cohort: Cohort) -> Replicate:
    """Return a replicate with what its interim looks showed, where the protocol has any."""
    looks = cohort.protocol.looks
    if looks.fractions == (1.0,) or cohort.protocol.control is None:
        return replicate
    return replace(replicate, estimates=(*replicate.estimates, *_looked(cohort, looks)))


def _looked(cohort: Cohort, looks: Looks) -> list[Estimate]:
    limits = _limits(looks.fractions, cohort.protocol.alpha, looks.spending)
    found: list[Estimate] = []
    stopped: dict[str, Estimate] = {}
    for fraction, limit in zip(looks.fractions, limits, strict=True):
        patients = f"{100.0 * fraction:.3g} % of patients"
        for one in _contrasts(part_of_trial(cohort, fraction)):
            z = _z(one)
            look = replace(one, value=z, se=fraction, low=-limit, high=limit, p=float("nan"))
            found.append(replace(look, measure=f"{Z}{patients}"))
            stops = fraction if abs(z) >= limit else float("nan")
            before = stopped.get(one.arm)
            if before is None or np.isnan(before.value):
                stopped[one.arm] = replace(one, measure=STOPPED, value=stops, **ALONE)
            reached = float(np.isfinite(stopped[one.arm].value))
            found.append(replace(one, measure=f"{REACHED}{patients}", value=reached, **ALONE))
    return [*found, *stopped.values()]


ALONE = dict.fromkeys(("se", "low", "high", "p"), float("nan"))
"""No interval and no p: that of a look is judged by its boundary, not by alpha."""


@cache
def _limits(fractions: tuple[float, ...], alpha: float, spending: str) -> tuple[float, ...]:
    return tuple(boundaries(fractions, alpha=alpha, spending=spending).z.tolist())


def _z(one: Estimate) -> float:
    """Return the statistic of a contrast on the normal scale, by its p, so that degrees of freedom count.

    A hazard ratio that does not exist, as one arm has no relapse, leaves the sign open: above 0.
    """
    from scipy.special import ndtri

    if not np.isfinite(one.p):
        return float("nan")
    size = -float(ndtri(max(one.p, SMALLEST_P) / 2.0))
    effect = np.log(one.value) if one.measure == "hazard ratio" else one.value
    return size if np.isnan(effect) else float(np.sign(effect) * size)


SMALLEST_P = 1e-300
"""A smaller one counts as this, so that its statistic is finite."""


def part_of_trial(cohort: Cohort, fraction: float) -> Cohort:
    """Return the first share of a cohort in order of enrolment."""
    return part_of(cohort, np.arange(len(cohort.key)) < round(fraction * len(cohort.key)))


def _contrasts(cohort: Cohort) -> list[Estimate]:
    every = estimates_of(cohort, endpoint=cohort.protocol.primary)
    return [one for one in every if one.measure in CONTRASTS]
