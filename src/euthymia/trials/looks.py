"""Interim looks: when a trial would have stopped for effect, by the primary endpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from euthymia.trials.analysis.sequential import boundaries
from euthymia.trials.design import Looks
from euthymia.trials.estimates import estimates_of
from euthymia.trials.records import Cohort, Estimate, Replicate, part_of

Z = "z at a look"
STOPPED = "share of patients at which it stops"
CONTRASTS = ("difference", "risk difference", "hazard ratio")


def with_looks(replicate: Replicate, cohort: Cohort) -> Replicate:
    """Return a replicate with what its interim looks showed, where the protocol has any."""
    looks = cohort.protocol.looks
    if looks.fractions == (1.0,) or cohort.protocol.control is None:
        return replicate
    return replace(replicate, estimates=(*replicate.estimates, *_looked(cohort, looks)))


def _looked(cohort: Cohort, looks: Looks) -> list[Estimate]:
    limits = boundaries(looks.fractions, alpha=cohort.protocol.alpha, spending=looks.spending)
    stopped: dict[str, Estimate] = {}
    found: list[Estimate] = []
    for fraction, limit in zip(looks.fractions, limits.z, strict=True):
        for one in _contrasts(part_of_trial(cohort, fraction)):
            z = _z(one)
            found.append(replace(one, measure=Z, value=z, se=fraction, low=-limit, high=limit))
            if abs(z) >= limit:
                none = {"low": float("nan"), "high": float("nan"), "se": float("nan")}
                stopped.setdefault(one.arm, replace(one, measure=STOPPED, value=fraction, **none))
    return [*found, *stopped.values()]


def _z(one: Estimate) -> float:
    """Return the statistic of a contrast on the normal scale, by its p, so that degrees of freedom count."""
    from scipy.special import ndtri

    if not np.isfinite(one.p):
        return float("nan")
    size = -float(ndtri(max(one.p, 1e-300) / 2.0))
    effect = np.log(one.value) if one.measure == "hazard ratio" else one.value
    return float(np.sign(effect) * size)


def part_of_trial(cohort: Cohort, fraction: float) -> Cohort:
    """Return the first share of a cohort in order of enrolment."""
    return part_of(cohort, np.arange(len(cohort.key)) < round(fraction * len(cohort.key)))


def _contrasts(cohort: Cohort) -> list[Estimate]:
    protocol = cohort.protocol
    only = protocol.model_copy(update={"endpoints": {protocol.primary: protocol.endpoints[protocol.primary]}})
    return [one for one in estimates_of(replace(cohort, protocol=only)) if one.measure in CONTRASTS]
