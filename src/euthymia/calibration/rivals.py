"""Rival mechanisms calibrated alike, and compared by how well they predict studies that were left out.

A rival is run at some of the points of the model itself, with the same people; how its results differ is
learnt from these few points and added to what many points have taught of the model. Prior, likelihood and
walkers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.emulator import Emulator, columns, fit_emulator
from euthymia.calibration.fit import Learnt, Values, Work
from euthymia.calibration.likelihood import Likelihood
from euthymia.calibration.runs import MEAN_OF, POINT
from euthymia.calibration.sampling import Drawn, sample
from euthymia.model.mechanisms import DEFAULT_MECHANISM, find_mechanism, with_mechanisms

Array = NDArray[np.float64]
POINTS, PROBES = 32, 2
"""Points at which a rival is run, and the first of them, at which it is seen whether it differs at all."""
STEPS, STEPS_WITHOUT = 3000, 1500
"""Of walkers on all studies, and on all but one."""
SMALL_GAP = 4.0
"""A gap of scores up to which its standard error over so few studies is not to be trusted."""
RESAMPLES = 4000
"""Bayesian bootstrap over studies, for weights and their uncertainty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A mechanism that was calibrated.

    Attributes
    ----------
    studies : tuple of tuple of str (B)
        Trials of each.
    predicted : array (B,)
        Logarithm of the density that it gives each study when that study is left out.
    fitted : array (B,)
        The same when it is not.
    center : {name: number}
        Mean of the posterior, as it stands in the model.
    differs : bool
        Whether any fitted number of it differs from the model's at the points.
    """

    mechanism: str
    studies: tuple[tuple[str, ...], ...]
    predicted: Array
    fitted: Array
    center: Mapping[str, float]
    differs: bool
    r_hat: float

    @property
    def score(self) -> float:
        """Sum of what it predicts (expected log predictive density)."""
        return float(self.predicted.sum())


def compare(names: Sequence[str], known: Learnt, work: Work, *, points: int = POINTS) -> list[Compared]:
    """Return mechanisms calibrated alike, the model itself first.

    Parameters
    ----------
    names : sequence of str
        Mechanisms besides the model's own.
    known : Learnt
        Of the model itself, with its points.
    work : Work
        Of the same; keeps what rivals give beside it.
    points : int
        Points at which each is run: the last of those that are known.
    """
    found = [_compared(DEFAULT_MECHANISM, known.likelihood, work, differs=True)]
    for name in names:
        likelihood, differs = rival_likelihood(name, known, work, points=points)
        same = replace(found[0], mechanism=name, differs=False)
        found.append(_compared(name, likelihood, work, differs=True) if differs else same)
    return found


def rival_likelihood(
    name: str, known: Learnt, work: Work, *, points: int = POINTS
) -> tuple[Likelihood, bool]:
    """Return the likelihood of published numbers under a rival, and whether it differs from the model's."""
    own = find_mechanism(name).overrides
    free = [place for place, one in enumerate(work.calibrated) if not set(one.fields) & own.keys()]
    parameters = with_mechanisms(work.parameters, [name])
    first = max(0, len(known.z) - points)
    tasks = []
    for place in range(first, len(known.z)):
        like = work.task(f"rival-{name}-{place:04d}", known.z[place])
        tasks.append(
            replace(
                like,
                z=tuple(like.z[one] for one in free),
                calibrated=tuple(work.calibrated[one] for one in free),
                targets=known.likelihood.targets,
                parameters=parameters,
            )
        )
    there = known.values[first:]
    probe = work.run(f"{name}: does it differ", tasks[:PROBES])
    if not _differs(probe, there[:PROBES]):
        return known.likelihood, False
    values = work.run(f"{name}: points", tasks)
    names = [one.name for one in known.likelihood.targets]
    difference = columns(values, names) - columns(there, names)
    learnt = fit_emulator(known.z[first:], difference, is_difference=True)
    return with_difference(known.likelihood, learnt), True


def _differs(values: Sequence[Values], before: Sequence[Values]) -> bool:
    """Tell whether any target is another number than before."""
    return any(
        not np.array_equal(value, there[key], equal_nan=True)
        for one, there in zip(values, before, strict=True)
        for key, value in one.items()
        if key in there and key != POINT and not key.startswith(MEAN_OF)
    )


def with_difference(likelihood: Likelihood, difference: Emulator) -> Likelihood:
    """Return a likelihood whose emulator is that of another one and a difference, with the errors of both.

    A target that the difference is not known for stays as it is, with the error that such a target has.
    """
    before = likelihood.emulator
    error = np.where(np.isfinite(difference.error_sd), difference.error_sd, 0.0)
    emulator = Emulator(
        coefficients=before.coefficients + difference.coefficients,
        error_sd=np.sqrt(before.error_sd**2 + error**2),
        explained=before.explained,
    )
    blocks, whitening = [], np.zeros_like(likelihood.whitening)
    for one in likelihood.blocks:
        covariance = one.factor @ one.factor.T + np.diag(error[one.places] ** 2)
        factor = np.asarray(np.linalg.cholesky(covariance), np.float64)
        whitening[np.ix_(one.places, one.places)] = np.linalg.inv(factor)
        whitened = np.asarray(np.linalg.solve(factor, one.loadings), np.float64)
        blocks.append(replace(one, factor=factor, whitened=whitened))
    return replace(
        likelihood,
        emulator=emulator,
        blocks=tuple(blocks),
        whitening=whitening,
        white_coefficients=emulator.coefficients @ whitening.T,
    )


def _compared(name: str, likelihood: Likelihood, work: Work, *, differs: bool) -> Compared:
    with work.stage(f"{name}: draws") as on_done:
        drawn = sample(likelihood, steps=STEPS, kept=500, seed=work.plan.seed, on_done=on_done)
    flat = _flat(drawn)
    with work.stage(f"{name}: studies left out, one by one") as on_done:
        predicted = []
        for study in range(len(likelihood.blocks)):
            others = likelihood.without(study)
            left = _flat(sample(others, steps=STEPS_WITHOUT, kept=500, ensembles=2, seed=work.plan.seed))
            predicted.append(_log_mean(likelihood.by_study(left)[:, study]))
            if on_done is not None:
                on_done(study + 1, len(likelihood.blocks))
    own = find_mechanism(name).overrides
    center = {
        one.name: float(one.from_normal(flat[:, place].mean()))
        for place, one in enumerate(likelihood.calibrated)
        if not set(one.fields) & own.keys()
    }
    return Compared(
        mechanism=name,
        studies=tuple(one.trials for one in likelihood.blocks),
        predicted=np.array(predicted),
        fitted=np.array([_log_mean(column) for column in likelihood.by_study(flat).T]),
        center=center,
        differs=differs,
        r_hat=float(drawn.r_hat.max()),
    )


def _flat(drawn: Drawn) -> Array:
    return drawn.draws.reshape(-1, drawn.draws.shape[-1])


def _log_mean(values: Array) -> float:
    """Return the logarithm of the mean of exponentials."""
    highest = float(values.max())
    return highest + float(np.log(np.exp(values - highest).mean()))


def standings(found: Sequence[Compared], *, seed: int = 1) -> list[dict[str, Any]]:
    """Return the mechanisms with their scores against the best, and weights; the best first.

    Weights are those of a Bayesian bootstrap over studies (pseudo-BMA+): how often and how clearly a
    mechanism predicts studies best. They are no probabilities of truth.
    """
    predicted = np.array([one.predicted for one in found])
    shares = np.random.default_rng(seed).dirichlet(np.ones(predicted.shape[1]), RESAMPLES)
    scores = predicted.shape[1] * shares @ predicted.T
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)
    best = int(np.argmax([one.score for one in found]))
    rows = []
    for place, one in enumerate(found):
        gaps = one.predicted - found[best].predicted
        sd = float(np.sqrt(len(gaps)) * gaps.std(ddof=1)) if place != best else 0.0
        order = np.argsort(gaps)
        rows.append(
            {
                "mechanism": one.mechanism,
                "score": one.score,
                "behind": float(gaps.sum()),
                "behind_sd": sd,
                "weight": float(weights[place]),
                "differs": one.differs,
                "is_separated": bool(place != best and -gaps.sum() > max(2.0 * sd, SMALL_GAP)),
                "worst": [
                    ("+".join(one.studies[study]), float(gaps[study]))
                    for study in order[:2]
                    if gaps[study] < -0.5
                ],
                "r_hat": one.r_hat,
            }
        )
    return sorted(rows, key=lambda row: (-row["score"], row["mechanism"]))
