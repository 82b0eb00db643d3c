"""Calibrations whose answer is known: linear in the parameters, with normal scatter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.emulator import Emulator, features
from euthymia.calibration.likelihood import Likelihood, make_likelihood, own_sd
from euthymia.calibration.targets import Target, load_targets
from euthymia.population.posterior import Calibrated, calibrated_parameters

Array = NDArray[np.float64]
FAR = 30.0
"""Bounds in SDs of the priors that cut nothing off."""


def spreads(count: int) -> tuple[Target, ...]:
    """Return fitted SDs, which effects of studies do not move; the first two are of one trial."""
    found = [one for one in load_targets() if one.run.quantity == "sd_change"]
    first = [one for one in found if one.trials == ("murrough-2013",)]
    others = [one for one in found if one.trials != ("murrough-2013",)]
    return tuple([*first, *others][:count])


def at(targets: Sequence[Target], observed: Array) -> tuple[Target, ...]:
    """Return targets with other published numbers."""
    return tuple(replace(one, observed=float(x)) for one, x in zip(targets, observed, strict=True))


def linear(slopes: Array) -> Emulator:
    """Return the emulator whose targets are ``z @ slopes``, (K, M)."""
    size, count = slopes.shape
    coefficients = np.zeros((features(np.zeros((1, size))).shape[1], count))
    coefficients[1 : 1 + size] = slopes
    return Emulator(coefficients=coefficients, error_sd=np.full(count, 0.01), explained=np.ones(count))


def problem(slopes: Array, observed: Array, scatter: Array) -> Likelihood:
    """Return a likelihood of SDs that are linear in the parameters.

    Parameters
    ----------
    slopes : array (K, M)
    observed : array (M,)
    scatter : array (M, M)
    """
    size, count = slopes.shape
    return make_likelihood(
        parameters(size),
        at(spreads(count), observed),
        linear(slopes),
        scatter,
        np.zeros(count),
        np.tile([-FAR, FAR], (size, 1)),
    )


def parameters(count: int) -> tuple[Calibrated, ...]:
    """Return the first calibrated parameters."""
    return calibrated_parameters()[:count]


def whole_covariance(likelihood: Likelihood, scatter: Array) -> Array:
    """Return the covariance of the published numbers of a `problem`, written out."""
    own = np.array([own_sd(one) for one in likelihood.targets])
    return scatter + np.diag(own**2 + likelihood.emulator.error_sd**2)


def answer(slopes: Array, observed: Array, covariance: Array) -> tuple[Array, Array]:
    """Return mean and covariance of the posterior under a standard normal prior, in closed form."""
    weight = np.linalg.inv(covariance)
    found = np.asarray(np.linalg.inv(np.eye(len(slopes)) + slopes @ weight @ slopes.T), np.float64)
    return found @ slopes @ weight @ observed, found
