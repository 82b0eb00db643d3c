"""How the numbers of one trial scatter, and hang together, when the trial is run again with other people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.runs import POINT, Task
from euthymia.calibration.targets import Target
from euthymia.compute.batch import chunks
from euthymia.trials.protocols import load_protocol
from euthymia.trials.replication_all import bundles

Array = NDArray[np.float64]
LONG_DAYS = 120.0
LONG_SHARE = 0.125
"""Trials longer than that are run so much less often; few replicates draw correlations towards none."""
PATIENTS_PER_TASK = 1500
FEWEST = 8
"""Trials with a number below which its scatter is not taken from them."""
UNKNOWN_SD = 0.35
"""On the scales of shares and logarithms, where hardly any virtual trial has the number."""


def scatter_tasks(like: Task, replicates: int) -> list[Task]:
    """Return the trials that tell how numbers scatter at a point, cut into pieces.

    Parameters
    ----------
    like : Task
        With the point, the targets, and the beginning of the names.
    replicates : int
        Of every trial.
    """
    found = []
    for trials in bundles([one.run for one in like.targets]):
        own = tuple(one for one in like.targets if set(one.trials) <= set(trials))
        protocols = [load_protocol(name) for name in trials]
        is_long = max(one.visits_h[-1] for one in protocols) > 24.0 * LONG_DAYS
        count = max(FEWEST, round(replicates * LONG_SHARE)) if is_long else replicates
        together = max(1, PATIENTS_PER_TASK // sum(one.size for one in protocols))
        for part in chunks(count, together):
            found.append(
                replace(
                    like,
                    name=f"{like.name}-{'+'.join(one.id for one in protocols)}-{part.start:04d}",
                    targets=own,
                    replicates=tuple(range(part.start, part.stop)),
                    is_pooled=False,
                )
            )
    return found


def covariance_of(targets: Sequence[Target], values: Mapping[str, Sequence[float]]) -> Array:
    """Return the covariance of targets over replicates, (M, M); zero between studies.

    Correlations are drawn towards none, the more the fewer replicates there are for the numbers of a study.

    Parameters
    ----------
    values : {name of a target: (R,)}
        NaN where a replicate has no value.
    """
    found = np.zeros((len(targets), len(targets)))
    order = {one.name: place for place, one in enumerate(targets)}
    for trials in bundles([one.run for one in targets]):
        own = [one for one in targets if set(one.trials) <= set(trials)]
        places = [order[one.name] for one in own]
        sds = np.array([_sd(one, np.asarray(values.get(one.name, ()), float)) for one in own])
        found[np.ix_(places, places)] = np.outer(sds, sds) * _correlations(own, values)
    return found


def _sd(target: Target, values: Array) -> float:
    if np.isfinite(target.printed_sd):
        return target.printed_sd
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) >= FEWEST else UNKNOWN_SD


def _correlations(targets: Sequence[Target], values: Mapping[str, Sequence[float]]) -> Array:
    """Return the correlations of the numbers of one study, drawn towards none."""
    rows = np.array([values.get(one.name, ()) for one in targets], float)
    count = rows.shape[1] if rows.ndim == 2 else 0
    found = np.eye(len(targets))
    if count < 3 * FEWEST:
        return found
    known = np.isfinite(rows)
    is_whole = known.mean(axis=1) > 0.9
    sums = np.where(known, rows, 0.0).sum(axis=1, keepdims=True)
    mean = sums / np.maximum(known.sum(axis=1, keepdims=True), 1)
    centred = np.where(known, rows - mean, 0.0)
    spread = np.sqrt((centred**2).sum(axis=1))
    usable = is_whole & (spread > 0.0)
    scaled = centred[usable] / spread[usable, None]
    kept = count / (count + usable.sum())
    found[np.ix_(usable, usable)] = kept * scaled @ scaled.T + (1.0 - kept) * np.eye(int(usable.sum()))
    return found


def joined(parts: Iterator[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Return the values of pieces, in their order, one after the other."""
    found: dict[str, list[float]] = {}
    for part in parts:
        for name, values in part.items():
            if name != POINT:
                found.setdefault(name, []).extend(values)
    return found
