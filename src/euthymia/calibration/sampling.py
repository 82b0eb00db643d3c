"""Draws of the posterior: ensembles of walkers on the emulated likelihood, several with starts of their own.

Walkers in place of gradients: the log posterior of a hundred points costs hardly more than that of one, the
ensemble needs no tuning, and walls at the bounds do not trouble it. Whether the draws can be trusted is asked
of ensembles that know nothing of each other, and of simulated data whose truth is known (``recovery``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.likelihood import STUDY_EFFECTS, Likelihood
from euthymia.errors import missing_extra

Array = NDArray[np.float64]
ENSEMBLES = 4
WALKERS_PER_PARAMETER = 4
BURN_SHARE = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """What the walkers found.

    Attributes
    ----------
    draws : array (C, D, K + 2)
        Ensembles, draws, parameters in SDs of their priors and logarithms of the SDs between studies.
    r_hat, ess : array (K + 2,)
    autocorrelation_steps : array (K + 2,)
    acceptance : float
    """

    draws: Array
    r_hat: Array
    ess: Array
    autocorrelation_steps: Array
    acceptance: float


def sample(
    likelihood: Likelihood,
    *,
    steps: int = 6000,
    kept: int = 100,
    ensembles: int = ENSEMBLES,
    seed: int = 1,
    on_done: Callable[[int, int], None] | None = None,
) -> Drawn:
    """Return draws of the posterior.

    Parameters
    ----------
    steps : int
        Of every ensemble; the first of them, ``BURN_SHARE``, are left out.
    kept : int
        Draws of each ensemble that are kept, evenly over steps and walkers.
    on_done : callable, optional
        Called with (steps done, steps in all).
    """
    chains, taus, accepted = [], [], []
    for place in range(ensembles):

        def report(done: int, place: int = place) -> None:
            if on_done is not None:
                on_done(place * steps + done, ensembles * steps)

        chain, tau, rate = _ensemble(likelihood, steps, seed=1000 * seed + place, report=report)
        chains.append(chain)
        taus.append(tau)
        accepted.append(rate)
    tau = np.max(taus, axis=0)
    whole = np.stack([chain.reshape(-1, likelihood.size) for chain in chains])
    ess = whole.shape[0] * whole.shape[1] / np.maximum(tau, 1.0)
    places = np.linspace(0, whole.shape[1] - 1, kept).astype(int)
    return Drawn(
        draws=_scattered(whole, seed)[:, places],
        r_hat=r_hats(_thinned(chains, likelihood.size)),
        ess=ess,
        autocorrelation_steps=tau,
        acceptance=float(np.mean(accepted)),
    )


def _thinned(chains: list[Array], size: int) -> Array:
    """Return whole steps, all walkers of each, so many that about 4000 draws are left, (C, D, K + 2)."""
    every = max(1, chains[0].shape[0] * chains[0].shape[1] // 4000)
    return np.stack([chain[::every].reshape(-1, size) for chain in chains])


def _scattered(whole: Array, seed: int) -> Array:
    """Return draws of each ensemble in an order of chance, so that the first ones are not of one time."""
    order = np.random.default_rng(seed).permutation(whole.shape[1])
    return whole[:, order]


def _ensemble(
    likelihood: Likelihood, steps: int, *, seed: int, report: Callable[[int], None]
) -> tuple[Array, Array, float]:
    """Return steps after the first ones, (N, W, K + 2), autocorrelation, and the share of moves accepted."""
    try:
        import emcee
    except ImportError:
        raise missing_extra("emcee", extra="fit", needed_for="Calibration") from None
    walkers = 2 * ((WALKERS_PER_PARAMETER * likelihood.size + 1) // 2)
    sampler = emcee.EnsembleSampler(
        walkers,
        likelihood.size,
        likelihood.log_posterior,
        vectorize=True,
        moves=[
            (emcee.moves.DEMove(), 0.7),
            (emcee.moves.DESnookerMove(), 0.1),
            (emcee.moves.StretchMove(), 0.2),
        ],
    )
    state = np.random.RandomState(seed)
    sampler.random_state = state.get_state()
    start = starts(likelihood, walkers, seed)
    for step, _ in enumerate(sampler.sample(start, iterations=steps), start=1):
        if step % 100 == 0:
            report(step)
    burn = int(BURN_SHARE * steps)
    tau = np.asarray(sampler.get_autocorr_time(discard=burn, tol=0, quiet=True))
    return np.asarray(sampler.get_chain(discard=burn)), tau, float(np.mean(sampler.acceptance_fraction))


def starts(likelihood: Likelihood, count: int, seed: int) -> Array:
    """Return starts of walkers around the best of some draws of the prior, (count, K + 2)."""
    rng = np.random.default_rng(seed)
    low, high = likelihood.limits.T
    size = len(likelihood.calibrated)
    z = np.clip(rng.standard_normal((4000, size)), low, high) * rng.uniform(0.0, 1.0, (4000, 1))
    tried = np.concatenate([z, rng.normal(0.5, 0.5, (4000, len(STUDY_EFFECTS)))], axis=1)
    best = tried[np.argsort(-likelihood.log_posterior(tried))[:count]]
    return best + 1e-3 * rng.standard_normal(best.shape)


def r_hats(draws: Array) -> Array:
    """Return rank-normalised split R-hat of draws (C, D, K), (K,); NaN of one ensemble alone."""
    import warnings

    if len(draws) < 2:
        return np.full(draws.shape[-1], np.nan)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it announces its next version
            from arviz import rhat
    except ImportError:
        raise missing_extra("arviz", extra="fit", needed_for="Calibration") from None
    return np.array([float(rhat(draws[..., place])) for place in range(draws.shape[-1])])
