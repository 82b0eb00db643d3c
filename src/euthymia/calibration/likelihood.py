"""How likely the published numbers are at points of the parameter space.

Normal on the scale of the comparison. The covariance has four parts: how virtual trials of the published
size scatter (several numbers of one trial hang together), the error of the emulator, what is left of each
number by itself, and two effects of each study - on all of its arms, and on its active arms alone - whose
sizes are estimated beside the parameters. So a number that a trial prints twice, as two means and as their
difference, counts once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.emulator import Emulator, features
from euthymia.calibration.targets import LIKE_SHARES, SPREADS, Target
from euthymia.population.posterior import Calibrated
from euthymia.tables import read_text
from euthymia.trials.protocols import load_protocol
from euthymia.trials.replication_all import bundles

Array = NDArray[np.float64]
STUDY_EFFECTS = ("control_points", "contrast_points")
"""SDs between studies that are estimated, in this order after the parameters."""
SD_OF_CHANGE_POINTS = 10.0
"""In which standardised differences are turned into points for the effects of studies."""


@cache
def rules() -> Mapping[str, Mapping[str, float]]:
    """Return the sizes of what nothing else explains (``data/calibration/likelihood.toml``)."""
    return tomllib.loads(read_text("calibration/likelihood.toml"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """The numbers of one study: trials whose patients are read together.

    Attributes
    ----------
    places : array (m,) of int
        Among all targets.
    factor : array (m, m)
        Cholesky factor of the covariance without effects of the study.
    whitened : array (m, 2)
        Loadings on the two effects of the study, through the inverse of ``factor``.
    """

    trials: tuple[str, ...]
    places: NDArray[np.int64]
    factor: Array
    loadings: Array
    whitened: Array

    @property
    def log_determinant(self) -> float:
        """Of the covariance without effects of the study."""
        return 2.0 * float(np.log(np.diag(self.factor)).sum())


@dataclass(frozen=True, kw_only=True, slots=True)
class Likelihood:
    """The published numbers beside the emulator, and the prior.

    Attributes
    ----------
    observed : array (M,)
    limits : array (K, 2)
        Bounds of the parameters, in SDs of the priors.
    whitening : array (M, M)
        Inverse of the factors of all blocks.
    white_coefficients : array (F, M)
        Those of the emulator through it.
    """

    calibrated: tuple[Calibrated, ...]
    targets: tuple[Target, ...]
    emulator: Emulator
    observed: Array
    blocks: tuple[Block, ...]
    limits: Array
    whitening: Array
    white_coefficients: Array

    @property
    def size(self) -> int:
        """How many numbers are sampled: parameters, and logarithms of the SDs between studies."""
        return len(self.calibrated) + len(STUDY_EFFECTS)

    def log_prior(self, points: Array) -> Array:
        """Return the logarithm of the prior at points (W, K + 2), up to a constant; -inf beyond bounds."""
        z, log_sds = self._split(points)
        low, high = self.limits.T
        is_inside = ((z >= low) & (z <= high)).all(axis=1) & (np.abs(log_sds) < 6.0).all(axis=1)
        scales = np.array([rules()["study"][name] for name in STUDY_EFFECTS])
        # half-normal in the SD; the logarithm is sampled, so its derivative comes in
        effects = -0.5 * (np.exp(log_sds) / scales) ** 2 + log_sds
        return np.where(is_inside, -0.5 * (z**2).sum(axis=1) + effects.sum(axis=1), -np.inf)

    def log_likelihood(self, points: Array) -> Array:
        """Return the logarithm of the likelihood at points (W, K + 2)."""
        return self.by_study(points).sum(axis=1)

    def by_study(self, points: Array) -> Array:
        """Return the logarithm of the likelihood of every study (``blocks``) at points, (W, B)."""
        z, log_sds = self._split(points)
        white = self.whitening @ self.observed - features(z) @ self.white_coefficients
        variances = np.exp(2.0 * log_sds)
        return np.stack([_of_block(one, white[:, one.places], variances) for one in self.blocks], axis=1)

    def without(self, study: int) -> Likelihood:
        """Return the likelihood of all other studies."""
        return replace(self, blocks=tuple(one for at, one in enumerate(self.blocks) if at != study))

    def log_posterior(self, points: Array) -> Array:
        """Return both together at points (W, K + 2), up to a constant."""
        prior = self.log_prior(points)
        found = np.full(len(points), -np.inf)
        inside = np.isfinite(prior)
        if inside.any():
            found[inside] = prior[inside] + self.log_likelihood(points[inside])
        return np.where(np.isnan(found), -np.inf, found)

    def _split(self, points: Array) -> tuple[Array, Array]:
        return points[:, : len(self.calibrated)], points[:, len(self.calibrated) :]

    def covariance(self, study_sds: Array) -> Array:
        """Return the whole covariance of the published numbers around the emulator, (M, M)."""
        found = np.zeros((len(self.targets), len(self.targets)))
        spread = np.diag(np.square(study_sds))
        for one in self.blocks:
            own = one.factor @ one.factor.T + one.loadings @ spread @ one.loadings.T
            found[np.ix_(one.places, one.places)] = own
        return found


def _of_block(block: Block, white: Array, variances: Array) -> Array:
    """Return the logarithm of a normal density with two added effects (Woodbury), (W,)."""
    on_effects = white @ block.whitened
    gram = block.whitened.T @ block.whitened
    a, b = 1.0 / variances[:, 0] + gram[0, 0], 1.0 / variances[:, 1] + gram[1, 1]
    determinant = a * b - gram[0, 1] ** 2
    first, second = on_effects.T
    explained = (b * first**2 - 2.0 * gram[0, 1] * first * second + a * second**2) / determinant
    log_determinant = block.log_determinant + np.log(determinant * variances[:, 0] * variances[:, 1])
    size = white.shape[1]
    return -0.5 * ((white**2).sum(axis=1) - explained + log_determinant + size * np.log(2.0 * np.pi))


def make_likelihood(
    calibrated: tuple[Calibrated, ...],
    targets: Sequence[Target],
    emulator: Emulator,
    scatter: Array,
    slope: Array,
    limits: Array,
) -> Likelihood:
    """Return the likelihood of targets.

    Parameters
    ----------
    scatter : array (M, M)
        Covariance of virtual trials of the published size; only within studies is it used.
    slope : array (M,)
        How each share follows the mean change of its arm, per point.
    limits : array (K, 2)
    """
    order = {one.name: place for place, one in enumerate(targets)}
    loadings = np.array([loadings_of(one, float(slope[order[one.name]])) for one in targets])
    own = np.array([own_sd(one) for one in targets])
    blocks, whitening = [], np.zeros((len(targets), len(targets)))
    for trials in bundles([one.run for one in targets]):
        places = np.array([order[one.name] for one in targets if set(one.trials) <= set(trials)])
        extra = np.diag(own[places] ** 2 + emulator.error_sd[places] ** 2)
        covariance = scatter[np.ix_(places, places)] + extra
        factor = np.asarray(np.linalg.cholesky(covariance), np.float64)
        whitening[np.ix_(places, places)] = np.linalg.inv(factor)
        blocks.append(
            Block(
                trials=trials,
                places=places,
                factor=factor,
                loadings=loadings[places],
                whitened=np.asarray(np.linalg.solve(factor, loadings[places]), np.float64),
            )
        )
    return Likelihood(
        calibrated=calibrated,
        targets=tuple(targets),
        emulator=emulator,
        observed=np.array([one.observed for one in targets]),
        blocks=tuple(blocks),
        limits=limits,
        whitening=whitening,
        white_coefficients=emulator.coefficients @ whitening.T,
    )


def loadings_of(target: Target, slope: float) -> tuple[float, float]:
    """Return how a number moves with a point more in all arms of its study, and in its active arms alone."""
    run = target.run
    controls = {load_protocol(name).control for name in run.protocols}
    is_active = float(not set(run.arms) <= controls)
    apart = is_active - float(not set(run.reference) <= controls)  # of two active arms nothing is left
    if run.quantity in ("mean_change", "mean_score"):
        return 1.0, is_active
    if run.quantity in LIKE_SHARES:
        return slope, slope * is_active
    per_point = {
        "contrast_change": 1.0,
        "standardised_difference": -1.0 / SD_OF_CHANGE_POINTS,
        "contrast_share": slope,
    }
    return 0.0, apart * per_point.get(run.quantity, 0.0)


def own_sd(target: Target) -> float:
    """Return the SD of what is left of a number by itself, on the scale of its comparison."""
    own, quantity = rules()["own"], target.run.quantity
    kinds: dict[str, Any] = {
        **dict.fromkeys(LIKE_SHARES, "share"),
        **dict.fromkeys(SPREADS, "log_sd"),
        **dict.fromkeys(("well_share", "relapse_share"), "followed_share"),
        "standardised_difference": "standardised_difference",
        "contrast_share": "share_difference",
        "hazard_ratio": "log_hazard_ratio",
        "dose_share": "dose_share",
    }
    return own[kinds.get(quantity, "points")]
