"""The stationary covariance of linear noise, by NumPy or, differentiable, by JAX: one algorithm for both."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.jax_maths import load_jax
from euthymia.errors import RunFailedError, invalid

Array = NDArray[np.float64]

DOUBLINGS = 22
"""Terms of the series doubled so often: rates that differ by six orders of magnitude are solved."""
RESIDUAL = 1e-9
"""Largest accepted residual, relative to the noise."""


def lyapunov(drift: Array, noise: Array, *, by: Literal["numpy", "jax"] = "numpy") -> Array:
    """Return X of A X + X A' + Q = 0, the covariance of dx = A x dt + dW with noise of intensity Q.

    With g > 0 and W = (g I - A)^-1 the equation becomes X = M X M' + 2 g W Q W', M = (g I + A) W. Its
    series is summed by doubling: X <- X + M X M', M <- M M.

    Parameters
    ----------
    drift : array (..., N, N)
        A, all eigenvalues with a negative real part.
    noise : array (..., N, N)
        Q, symmetric.
    by : str
        ``numpy`` or ``jax``, which needs the extra ``bayes``.

    Raises
    ------
    InvalidInputError
        Where the shapes do not fit.
    RunFailedError
        Where the residual is too large: the drift is not stable, or nearly so.
    """
    if drift.ndim < 2 or drift.shape[-1] != drift.shape[-2] or noise.shape[-2:] != drift.shape[-2:]:
        got = f"shapes {drift.shape} and {noise.shape}"
        raise invalid("drift", must="square, of the shape of the noise", got=got)
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.asarray(_jax_solve()(drift, noise) if by == "jax" else solve(np, drift, noise))
        residual = drift @ found + found @ np.swapaxes(drift, -1, -2) + noise
    worst = float(np.abs(residual).max() / np.abs(noise).max())
    if not worst <= RESIDUAL:
        message = f"No stationary covariance: residual {worst:.1e}. The drift is not stable, or nearly so."
        raise RunFailedError(message)
    return found


def solve(numpy: Any, drift: Any, noise: Any) -> Any:
    """Return X by the functions of an array library (``numpy`` or ``jax.numpy``), unchecked."""
    count = drift.shape[-1]
    identity = numpy.eye(count)
    shift = (-numpy.trace(drift, axis1=-2, axis2=-1) / count)[..., None, None]
    resolvent = numpy.linalg.inv(shift * identity - drift)
    step = (shift * identity + drift) @ resolvent
    total = 2.0 * shift * (resolvent @ noise @ numpy.swapaxes(resolvent, -1, -2))
    for _ in range(DOUBLINGS):
        total = total + step @ total @ numpy.swapaxes(step, -1, -2)
        step = step @ step
    return (total + numpy.swapaxes(total, -1, -2)) / 2.0


@cache
def _jax_solve() -> Any:
    jax = load_jax()
    return jax.jit(lambda drift, noise: solve(jax.numpy, drift, noise))
