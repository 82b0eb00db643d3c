"""Mixed model for repeated measures: means of arms at every visit, with an unstructured covariance, by REML.

    y_i = X_i b + e_i,  e_i ~ N(0, S_i),  S_i the rows and columns of S (V, V) at which patient i was seen

A row of X_i at visit v holds the dummies of the arms and the centred baseline, each crossed with the visits,
and the strata, whose effect is the same at all visits. Patients with one pattern of missing visits enter only
through sums: n, sum z z', sum z y', sum y y' with z the covariates of a patient. An iteration costs the same
for 50 or 5000 people.

Likelihood that is restricted to what the means do not explain (n values seen, p coefficients):

    l(S) = -1/2 [(n - p) log 2 pi + sum log|S_i| + log|X' W X| + sum r_i' W_i r_i],  W = S^-1,  r = y - X b(S)

Its derivatives by the entries of S are exact. Fisher scoring leads to the neighbourhood of the maximum,
Newton's method with the observed information ends there.

References
----------
Patterson & Thompson (1971) Biometrika 58:545, doi:10.1093/biomet/58.3.545: restricted likelihood.
Jennrich & Schluchter (1986) Biometrics 42:805, doi:10.2307/2530695: scoring, values missing.
Gilmour, Thompson, Cullis (1995) Biometrics 51:1440, doi:10.2307/2533274: derivatives by P.
Fai & Cornelius (1996) J Stat Comput Simul 54:363, doi:10.1080/00949659608811740: Satterthwaite's df.
Kenward & Roger (1997) Biometrics 53:983, doi:10.2307/2533558: df and standard error of small samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import invalid
from euthymia.trials.analysis.estimate import (
    LEVEL,
    Array,
    Codes,
    Estimate,
    arm_codes,
    checked_level,
    column,
    complete,
    estimate,
    failed,
)

NAME = "The mixed model for repeated measures"
MOST_ITERATIONS = 100
SMALLEST_DECREMENT = 1e-10
"""Newton's decrement s' J^-1 s after which one more step is the last: what it leaves is far below a digit."""
NEAR = 0.5
"""Decrement below which the observed information is used where it is positive definite."""
MOST_HALVINGS = 40
LARGEST_CHANGE = 4.0
"""Of an eigenvalue of the covariance in one step, relative to what it was."""
SMALLEST_EIGENVALUE = 1e-8
"""Of the correlation matrix: below it the likelihood has no maximum inside."""
FEWEST_AT_TWO_VISITS = 2


class Method(StrEnum):
    """How standard errors and degrees of freedom allow for an estimated covariance."""

    SATTERTHWAITE = "satterthwaite"
    """df = 2 v^2 / (g' A g); v is the variance of the contrast, g its gradient by S, A the inverse of the
    observed information."""
    KENWARD_ROGER = "kenward-roger"
    """The same df (so it is for one contrast at a time); the variance is widened as S is estimated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mmrm:
    """What the model says of each arm at each visit.

    Attributes
    ----------
    codes : array (A,) of int
        Of the arms, ascending.
    others : array (A - 1,) of int
        Codes of the arms that are held against the control.
    count : array (A, V) of int
        Patients seen.
    mean : Estimate (A, V)
        Least-squares means: at the mean baseline and strata of the patients analysed.
    contrast : Estimate (A - 1, V)
        Each other arm less the control.
    covariance : array (V, V)
        Between visits of one patient, not explained by arm, baseline and strata.
    log_likelihood : float
        Restricted.
    patients : int
        With a value at one visit at least.
    iterations : int
    """

    codes: Codes
    others: Codes
    count: Codes
    mean: Estimate
    contrast: Estimate
    covariance: Array
    log_likelihood: float
    patients: int
    iterations: int


def mmrm(
    values: ArrayLike,
    arm: ArrayLike,
    *,
    baseline: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    control: int = 0,
    method: Method | str = Method.SATTERTHWAITE,
    level: float = LEVEL,
) -> Mmrm:
    """Return means of arms and contrasts at every visit, all values seen being used.

    Parameters
    ----------
    values : array (N, V)
        After randomisation, NaN where missing; values or changes from baseline.
    arm : array (N,) of int
    baseline : array (N,), optional
        With a slope for each visit; known for everybody.
    strata : array (N, S), optional
        Dummies or other covariates, of one effect at all visits.
    control : int
        Code of the arm that the others are held against.
    method : Method
        Of standard errors and degrees of freedom.
    level : float
        Of the intervals.

    Raises
    ------
    InvalidInputError
        Where shapes or codes do not fit.
    RunFailedError
        Where a visit has too few patients, hardly anybody was seen at both of two visits, covariates tell
        arms apart, or the likelihood has no maximum inside.

    Notes
    -----
    Missing values are taken as missing at random, given arm, baseline, strata and the values that were seen.
    """
    checked_level(level)
    method = _method(method)
    values, arm, codes, covariates, each_visit = _checked(values, arm, baseline, strata, control)
    is_anywhere = ~np.isnan(values).all(axis=1)
    values, arm, covariates = values[is_anywhere], arm[is_anywhere], covariates[is_anywhere]
    count = np.array([(~np.isnan(values[arm == code])).sum(axis=0) for code in codes])
    _check_seen(values, count, codes, 1 + each_visit)
    covariates = covariates - covariates.mean(axis=0)
    design = np.column_stack([arm[:, None] == codes, covariates]).astype(float)
    data = _Data(values, design, crossed=len(codes) + each_visit)
    found, iterations = _maximum(data)
    identity = np.eye(len(codes))
    contrast = identity[codes != control] - identity[codes == control]
    return Mmrm(
        codes=codes,
        others=codes[codes != control],
        count=count,
        mean=found.estimates(identity, method, level),
        contrast=found.estimates(contrast, method, level),
        covariance=found.covariance,
        log_likelihood=found.log_likelihood,
        patients=len(values),
        iterations=iterations,
    )


def _method(method: Method | str) -> Method:
    try:
        return Method(method)
    except ValueError:
        raise invalid("method", must=" or ".join(Method), got=repr(method)) from None


def _checked(
    values: ArrayLike, arm: ArrayLike, baseline: ArrayLike | None, strata: ArrayLike | None, control: int
) -> tuple[Array, Codes, Codes, Array, int]:
    """Return values, arms, codes, covariates (N, C) and how many of these are crossed with visits."""
    values = np.asarray(values, float)
    if values.ndim != 2 or not values.shape[1]:
        raise invalid("values", must="patients by visits, (N, V)", got=f"shape {values.shape}")
    if np.isinf(values).any():
        raise invalid("values", must="finite, or NaN where missing", got="infinite values")
    arm, codes = arm_codes(arm, control)
    if arm.shape != (len(values),):
        raise invalid("arm", must=f"one code for each of {len(values)} patients", got=f"shape {arm.shape}")
    parts = []
    if baseline is not None:
        parts.append(complete("baseline", column("baseline", baseline, length=len(values)))[:, None])
    if strata is not None:
        strata = np.asarray(strata, float)
        if strata.ndim != 2 or len(strata) != len(values):
            raise invalid("strata", must=f"(N, S) with N = {len(values)}", got=f"shape {strata.shape}")
        parts.append(complete("strata", strata))
    covariates = np.concatenate([np.zeros((len(values), 0)), *parts], axis=1)
    return values, arm, codes, covariates, int(baseline is not None)


def _check_seen(values: Array, count: Codes, codes: Codes, columns: int) -> None:
    """Refuse what cannot be told: an empty arm, a visit of too few people, two visits that few had both."""
    is_seen = (~np.isnan(values)).astype(int)
    for place, code in enumerate(codes):
        for visit in np.flatnonzero(count[place] == 0):
            raise failed(NAME, f"arm {code} has nobody at visit {visit + 1}", "Leave the visit out.")
    fewest = len(codes) + columns
    for visit in np.flatnonzero(is_seen.sum(axis=0) < fewest):
        raise failed(NAME, f"visit {visit + 1} has fewer than {fewest} patients", "Leave the visit out.")
    together = is_seen.T @ is_seen
    for first, second in np.argwhere(together < FEWEST_AT_TWO_VISITS):
        both = f"visits {first + 1} and {second + 1}"
        reason = f"fewer than {FEWEST_AT_TWO_VISITS} patients were seen at both {both}"
        raise failed(NAME, reason)


class _Data:
    """Sums over the patients of each pattern of missing visits, of values less a first least-squares fit.

    Coefficients are held in full, one for each visit and column of the design (V, q); ``spread`` (V q, p)
    makes them from those estimated, p, as an effect common to all visits is one number.
    """

    def __init__(self, values: Array, design: Array, *, crossed: int) -> None:
        is_seen = ~np.isnan(values)
        self.visits, self.width = values.shape[1], design.shape[1]
        self.spread = _spread(self.visits, self.width, crossed)
        self.seen_count = int(is_seen.sum())
        self.first = self._first_fit(values, design, is_seen)
        mean = design @ self.first.reshape(self.visits, self.width).T
        rest = np.where(is_seen, values - mean, 0.0)
        self.masks, order, starts = _patterns(is_seen)
        self.count = np.diff(np.append(starts, len(values)))

        def summed(left: Array, right: Array) -> Array:
            products = left[order, :, None] * right[order, None, :]
            return np.add.reduceat(products, starts, axis=0)

        self.zz, self.zy, self.yy = summed(design, design), summed(design, rest), summed(rest, rest)
        self.rows, self.columns = np.tril_indices(self.visits)

    def _first_fit(self, values: Array, design: Array, is_seen: NDArray[np.bool_]) -> Array:
        """Return coefficients by least squares, in full (V q,)."""
        rows = [
            np.kron(np.eye(self.visits)[visit], design[is_seen[:, visit]]) for visit in range(self.visits)
        ]
        wide = np.concatenate(rows) @ self.spread
        seen = np.concatenate([values[is_seen[:, visit], visit] for visit in range(self.visits)])
        found, _, rank, _ = np.linalg.lstsq(wide, seen, rcond=1e-10)
        if rank < wide.shape[1]:
            reason = "arms, baseline and strata cannot be told apart at every visit"
            raise failed(NAME, reason, "Leave covariates out that do not vary.")
        return self.spread @ found

    def start(self) -> Array:
        """Return a first covariance: of residuals, pair by pair, made positive definite."""
        both = np.einsum("g,gv,gw->vw", self.count, self.masks, self.masks)
        found = self.yy.sum(axis=0) / both
        scale = np.sqrt(np.maximum(np.diag(found), 1e-300))
        size, turned = np.linalg.eigh(found / np.outer(scale, scale))
        correlation = (turned * np.maximum(size, 0.05)) @ turned.T
        return correlation * np.outer(scale, scale)


def _spread(visits: int, width: int, crossed: int) -> Array:
    """Return how full coefficients (V q) follow from those estimated: crossed ones, then common ones."""
    full = np.eye(visits * width).reshape(visits, width, visits * width)
    own = full[:, :crossed].reshape(visits * crossed, -1)
    common = full[:, crossed:].sum(axis=0)
    return np.concatenate([own, common]).T


def _patterns(is_seen: NDArray[np.bool_]) -> tuple[Array, Codes, Codes]:
    """Return the distinct patterns (G, V), an order of patients by pattern, and where each starts in it."""
    masks, which = np.unique(is_seen, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    starts = np.searchsorted(which.ravel()[order], np.arange(len(masks)))
    return masks.astype(float), order, starts


class _State:
    """The likelihood, its derivatives and the coefficients at one covariance."""

    def __init__(self, data: _Data, covariance: Array) -> None:
        self.data, self.covariance = data, covariance
        both = data.masks[:, :, None] * data.masks[:, None, :]
        padded = covariance * both + np.eye(data.visits) * (1.0 - data.masks[:, :, None])
        self.weight = np.linalg.inv(padded) * both
        full = np.einsum("gvw,gjl->vjwl", self.weight, data.zz).reshape(2 * (data.visits * data.width,))
        information = data.spread.T @ full @ data.spread
        right = np.einsum("gvw,gjw->vj", self.weight, data.zy).ravel() @ data.spread
        self.variance = np.linalg.inv(information)
        change = data.spread @ (self.variance @ right)
        self.coefficients = data.first + change
        self._set_residuals(change.reshape(data.visits, data.width))
        free = data.seen_count - len(right)
        twice = (data.count @ _log_determinant(padded)) + _log_determinant(information)
        self.log_likelihood = float(
            -0.5 * (free * np.log(2.0 * np.pi) + twice + (self.weight * self.rr).sum())
        )

    def _set_residuals(self, change: Array) -> None:
        data = self.data
        fitted = change @ data.zy
        self.zr = data.zy - data.zz @ change.T
        self.rr = data.yy - fitted - np.swapaxes(fitted, 1, 2) + change @ data.zz @ change.T

    def differentiate(self) -> None:
        """Set score (K,), expected and observed information (K, K) by the lower entries of S.

        With P = W - W X B X' W, B = (X' W X)^-1 and E_k the derivative of S:
        score = -1/2 [tr(P E_k) - y' P E_k P y], expected = 1/2 tr(P E_k P E_l),
        observed = y' P E_k P E_l P y - 1/2 tr(P E_k P E_l).
        """
        data, weight = self.data, self.weight
        spread = data.spread @ self.variance @ data.spread.T
        shape = (data.visits, data.width)
        of_means = np.einsum("vjwl,gjl->gvw", spread.reshape(*shape, *shape), data.zz)
        lost = weight @ of_means @ weight
        errors = weight @ self.rr @ weight
        self._set_slopes()
        n = data.count[:, None, None]
        gradient = self._entries((n * weight - lost - errors).sum(axis=0))
        self.score = -0.5 * gradient
        pairs = self._pairs(n * weight - 2.0 * lost, weight)
        turned = self.variance @ self.slopes
        traces = pairs + np.einsum("kij,lji->kl", turned, turned)
        pulled = self._pulled()
        products = self._pairs(errors, weight) - pulled @ self.variance @ pulled.T
        self.expected = 0.5 * traces
        self.observed = products - 0.5 * traces

    def _set_slopes(self) -> None:
        """Set -d(X' W X)/dS_k = X' W E_k W X, (K, p, p)."""
        data, weight = self.data, self.weight
        left, right = weight[:, :, data.rows], weight[:, :, data.columns]
        # W E_k W for E_k with ones at (a, b) and (b, a), or one at (a, a)
        outer = np.einsum("gvk,gwk->gkvw", left, right)
        is_off = (data.rows != data.columns)[:, None, None]
        self.moved = outer + np.where(is_off, np.swapaxes(outer, 2, 3), 0.0)
        full = np.tensordot(self.moved, data.zz, axes=(0, 0)).transpose(0, 1, 3, 2, 4)
        size = data.visits * data.width
        self.slopes = data.spread.T @ full.reshape(-1, size, size) @ data.spread

    def _pulled(self) -> Array:
        """Return X' W E_k P y, (K, p)."""
        data = self.data
        full = np.einsum("gkvw,gjw->kvj", self.moved, self.zr)
        return full.reshape(len(full), -1) @ data.spread

    def _entries(self, matrix: Array) -> Array:
        """Return tr(M E_k) of a symmetric matrix, (K,)."""
        rows, columns = self.data.rows, self.data.columns
        return matrix[rows, columns] * np.where(rows == columns, 1.0, 2.0)

    def _pairs(self, first: Array, second: Array) -> Array:
        """Return the sum over patterns of tr(F E_k G E_l), (K, K), F and G symmetric."""
        rows, columns = self.data.rows, self.data.columns
        both = np.einsum("gab,gcd->abcd", first, second)
        total = np.zeros((len(rows), len(rows)))
        for a, b, is_first in ((rows, columns, True), (columns, rows, False)):
            for c, d, is_second in ((rows, columns, True), (columns, rows, False)):
                # E_k at (a, b), E_l at (c, d): tr(F E_k G E_l) = F_da G_bc
                part = both[d[None, :], a[:, None], b[:, None], c[None, :]]
                is_on = (is_first | (rows != columns))[:, None] & (is_second | (rows != columns))[None, :]
                total += np.where(is_on, part, 0.0)
        return 0.5 * (total + total.T)

    def estimates(self, contrasts: Array, method: Method, level: float) -> Estimate:
        """Return contrasts of the arms at every visit, (M, V)."""
        data = self.data
        wide = np.zeros((len(contrasts), data.visits, data.visits, data.width))
        for visit in range(data.visits):
            wide[:, visit, visit, : contrasts.shape[1]] = contrasts
        full = wide.reshape(-1, data.visits * data.width)
        rows = full @ data.spread
        turned = rows @ self.variance
        variance = (turned * rows).sum(axis=1)
        gradient = np.einsum("mi,kij,mj->km", turned, self.slopes, turned)
        spread = np.linalg.inv(self.observed)
        df = 2.0 * variance**2 / (gradient * (spread @ gradient)).sum(axis=0)
        if method is Method.KENWARD_ROGER:
            adjusted = self._widened(spread)
            variance = np.einsum("mi,ij,mj->m", rows, adjusted, rows)
        shape = (len(contrasts), data.visits)
        parts = (full @ self.coefficients, np.sqrt(variance), df)
        value, error, df = (part.reshape(shape) for part in parts)
        return estimate(value, error, df=df, level=level)

    def _widened(self, spread: Array) -> Array:
        """Return the variance of the coefficients after Kenward and Roger; S is linear in its entries.

        B + 2 B [sum_kl A_kl (X' W E_k W E_l W X - X' W E_k W X B X' W E_l W X)] B,  A as for the df
        """
        data = self.data
        basis = np.zeros((len(data.rows), data.visits, data.visits))
        places = np.arange(len(data.rows))
        basis[places, data.rows, data.columns] = basis[places, data.columns, data.rows] = 1.0
        mixed = np.einsum("kl,gkvw->glvw", spread, self.moved)
        inner = np.einsum("glvw,lwx,gxy->gvy", mixed, basis, self.weight, optimize=True)
        size = data.visits * data.width
        full = np.einsum("gvw,gjl->vjwl", inner, data.zz).reshape(size, size)
        crossed = np.einsum(
            "kl,kij,jm,lmn->in", spread, self.slopes, self.variance, self.slopes, optimize=True
        )
        middle = data.spread.T @ full @ data.spread - crossed
        adjusted = self.variance + 2.0 * self.variance @ middle @ self.variance
        return 0.5 * (adjusted + adjusted.T)


def _log_determinant(matrices: Array) -> Array:
    return np.asarray(np.linalg.slogdet(matrices)[1], float)


def _maximum(data: _Data) -> tuple[_State, int]:
    """Return the state of greatest restricted likelihood, its derivatives set, and the iterations it took."""
    state = _State(data, data.start())
    for iteration in range(1, MOST_ITERATIONS + 1):
        state.differentiate()
        step, decrement = _step(state)
        state = _climbed(state, step, is_last=decrement < SMALLEST_DECREMENT)
        _check_inside(state.covariance)
        if decrement < SMALLEST_DECREMENT:
            state.differentiate()
            return state, iteration
    raise failed(NAME, f"it did not converge in {MOST_ITERATIONS} iterations")


def _step(state: _State) -> tuple[Array, float]:
    """Return a step of S, (V, V), by Newton where that is safe, else by Fisher, and its decrement."""
    step = _solved(state.expected, state.score)
    decrement = float(step @ state.score)
    if decrement < NEAR and np.linalg.eigvalsh(state.observed)[0] > 0.0:
        step = _solved(state.observed, state.score)
        decrement = float(step @ state.score)
    matrix = np.zeros_like(state.covariance)
    matrix[state.data.rows, state.data.columns] = step
    matrix[state.data.columns, state.data.rows] = step
    return matrix, decrement


def _solved(information: Array, score: Array) -> Array:
    reason = "the covariance of the visits cannot be told from these data"
    try:
        step = np.linalg.solve(information, score)
    except np.linalg.LinAlgError:
        raise failed(NAME, reason) from None
    if not step @ score >= 0.0:
        raise failed(NAME, reason)
    return np.asarray(step, float)


def _climbed(state: _State, step: Array, *, is_last: bool) -> _State:
    """Return the state after a step, halved until the likelihood does not fall; S stays positive definite."""
    lower = np.linalg.cholesky(state.covariance)
    inverse = np.linalg.inv(lower)
    size, turned = np.linalg.eigh(inverse @ step @ inverse.T)
    base = lower @ turned
    # rounding of the likelihood, which the last step cannot tell from a fall
    slack = 1e-9 * (1.0 + abs(state.log_likelihood)) if is_last else 0.0
    for halving in range(MOST_HALVINGS):
        found = _tried(state.data, (base * _grown(size * 0.5**halving)) @ base.T)
        if found is not None and found.log_likelihood >= state.log_likelihood - slack:
            return found
    raise failed(NAME, "no step raises its likelihood any more, short of a maximum")


def _tried(data: _Data, covariance: Array) -> _State | None:
    """Return the state at a covariance, or None where that cannot be inverted in double precision."""
    try:
        return _State(data, covariance)
    except np.linalg.LinAlgError:
        return None


def _grown(size: Array) -> Array:
    """Return 1 + x, bent so that it stays above 0 for any x (smooth at -1/2), and within reason."""
    held = np.clip(size, -LARGEST_CHANGE, LARGEST_CHANGE)
    return np.where(held > -0.5, 1.0 + held, 0.5 * np.exp(2.0 * held + 1.0))


def _check_inside(covariance: Array) -> None:
    scale = np.sqrt(np.diag(covariance))
    if not np.isfinite(covariance).all() or not (scale > 0).all():
        raise failed(NAME, "its likelihood grows without end")
    if np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0] < SMALLEST_EIGENVALUE:
        reason = "visits are (nearly) a linear combination of each other, and its likelihood has no maximum"
        raise failed(NAME, reason, "Leave visits out or add patients.")
