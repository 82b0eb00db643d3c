"""What differs between studies beyond chance and parameters, added to replicates of a new study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import asin, pi

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.likelihood import STUDY_EFFECTS, loadings_of
from euthymia.calibration.targets import LIKE_SHARES, TRANSFORMS, Target
from euthymia.population.posterior import Posterior
from euthymia.streams import normals
from euthymia.trials.replication_runs import ReplicationRun

Array = NDArray[np.float64]
Values = Mapping[str, Sequence[float]]
NAN = float("nan")
STREAM = "study effect"


def name_of(run: ReplicationRun) -> str:
    """Return row and part."""
    return f"{run.row_id}{run.part}"


def study_sds(posterior: Posterior, replicates: int, *, seed: int) -> Array | None:
    """Return the SDs between studies of the draw that each replicate takes, (R, 2) points.

    None where the posterior does not say. Of a posterior mean, root mean squares of all draws.
    """
    known = posterior.diagnostics.get("study_sd_points")
    if not known:
        return None
    draws = np.array([known[name]["draws"] for name in STUDY_EFFECTS], float).T
    if len(draws) != len(posterior.flat):
        return np.tile(np.sqrt((draws**2).mean(axis=0)), (replicates, 1))
    places = [posterior.draw_of_replicate(place, seed=seed) for place in range(replicates)]
    return draws[places]


def study_effects(trials: Sequence[str], sds: Array, *, seed: int) -> Array:
    """Return effects of one study, (R, 2) points: on all of its arms, and on its active arms alone.

    Parameters
    ----------
    trials : sequence of str
        Protocols that are read together; they key the draws.
    sds : array (R, 2)
    """
    numbers = np.arange(1, len(sds) + 1)  # a replicate is to a study what a patient is to a trial
    drawn = [
        normals(seed=seed, purpose=STREAM, field=f"{name} {'+'.join(trials)}", patients=numbers)
        for name in STUDY_EFFECTS
    ]
    return sds * np.stack(drawn, axis=1)


def with_study_effects(values: Array, run: ReplicationRun, effects: Array, *, slope: float) -> Array:
    """Return replicates of a number with effects of their studies added, (R,).

    Means move with both effects in active arms and with the first in control arms, contrasts with the second;
    shares follow by a slope on the scale on which they are fitted; SDs and times to relapse stay.

    Parameters
    ----------
    values : array (R,)
    effects : array (R, 2)
        Points.
    slope : float
        Of a share by the mean change of its arm, per point; see ``share_slopes``.
    """
    loadings = np.array(loadings_of(_target(run), slope))
    if not loadings.any():
        return values
    moved = effects @ loadings
    if run.quantity not in LIKE_SHARES:
        return values + moved
    wide = np.array([asin(np.sqrt(min(max(one, 0.0), 1.0))) if np.isfinite(one) else NAN for one in values])
    return np.sin(np.clip(wide + moved, 0.0, 0.5 * pi)) ** 2


def _target(run: ReplicationRun) -> Target:
    """Return a run as loadings take it: without an observed number."""
    return Target(name=name_of(run), trials=run.protocols, run=run, role="", observed=NAN)


def share_slopes(runs: Sequence[ReplicationRun], values: Values) -> dict[str, float]:
    """Return how each share follows the mean change of its arm over replicates, by name, per point.

    A share whose arm has no mean among the rows takes the median slope of those that have. Differences of
    shares take the median on the scale of shares. Without any pair there is no slope, and no entry.
    """
    means = {_arm_key(run): run for run in runs if run.quantity in ("mean_change", "mean_score")}
    fitted, plain = dict[str, float](), []
    for run in runs:
        mean = means.get(_arm_key(run))
        if run.quantity not in LIKE_SHARES or mean is None or run.among:
            continue
        shares = np.asarray(values.get(name_of(run), ()), float)
        points = np.asarray(values.get(name_of(mean), ()), float)
        wide = np.array([TRANSFORMS[run.quantity](one) if np.isfinite(one) else NAN for one in shares])
        slope = _slope(points, wide)
        if np.isfinite(slope):
            fitted[name_of(run)] = slope
            plain.append(_slope(points, shares))
    if not fitted:
        return {}
    usual, usual_plain = float(np.median(list(fitted.values()))), float(np.median(plain))
    rest = {name_of(run): usual for run in runs if run.quantity in LIKE_SHARES}
    gaps = {name_of(run): usual_plain for run in runs if run.quantity == "contrast_share"}
    return {**rest, **gaps, **fitted}


def _arm_key(run: ReplicationRun) -> tuple[object, ...]:
    return (run.protocols, run.arms, run.scale, run.times_h[-1:], run.since_h, run.among)


def _slope(points: Array, wide: Array) -> float:
    """Return the least-squares slope over replicates that have both; NaN without spread."""
    if points.shape != wide.shape:
        return NAN
    is_known = np.isfinite(points) & np.isfinite(wide)
    x, y = points[is_known], wide[is_known]
    if len(x) < 20 or not np.ptp(x) > 0.0:
        return NAN
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum())
