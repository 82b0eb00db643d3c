"""The mixed model for repeated measures: closed forms, an independent maximisation, refusals, error rate."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import block_diag
from scipy.optimize import approx_fprime, minimize
from tests.unit.trials.analysis.draws import bounds, normal, uniform

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.trials.analysis.ancova import ancova
from euthymia.trials.analysis.mmrm import Method, _Data, _State, mmrm

PATIENTS, VISITS = 40, 3
ARM = np.arange(PATIENTS) % 2
BASELINE = 32.0 + 5.0 * normal("baseline", PATIENTS)
STRATUM = (uniform("stratum", PATIENTS, 1) < 0.4).astype(float)
COVARIANCE = 40.0 * 0.7 ** np.abs(np.subtract.outer(range(VISITS), range(VISITS)))
COMPLETE = (
    0.5 * BASELINE[:, None]
    - np.outer(ARM, [1.0, 2.0, 3.0])
    + normal("values", PATIENTS, VISITS) @ np.linalg.cholesky(COVARIANCE).T
)
HOLES = np.where(uniform("missing", PATIENTS, VISITS) < 0.15, np.nan, COMPLETE)
HOLES[np.isnan(HOLES[:, 1]), 2] = np.nan


# --- closed forms ----------------------------------------------------------------------------------


def test_complete_data_give_the_least_squares_of_each_visit():
    found = mmrm(COMPLETE, ARM, baseline=BASELINE)
    for visit in range(VISITS):
        alone = ancova(COMPLETE[:, visit], ARM, covariates=BASELINE[:, None])
        for own, other in ((found.contrast, alone.contrast), (found.mean, alone.mean)):
            assert_allclose(own.value[:, visit], other.value, rtol=1e-10)
            assert_allclose(own.standard_error[:, visit], other.standard_error, rtol=1e-10)
            assert_allclose(own.df[:, visit], other.df, rtol=1e-7)


def test_complete_data_give_the_covariance_of_the_residuals():
    design = np.column_stack([ARM == 0, ARM == 1, BASELINE]).astype(float)
    residuals = COMPLETE - design @ np.linalg.lstsq(design, COMPLETE, rcond=None)[0]
    found = mmrm(COMPLETE, ARM, baseline=BASELINE)
    assert_allclose(found.covariance, residuals.T @ residuals / (PATIENTS - 3), rtol=1e-9)


def test_one_visit_is_an_analysis_of_covariance():
    seen = HOLES[:, 2:]
    found = mmrm(seen, ARM, baseline=BASELINE, strata=STRATUM)
    known = ~np.isnan(seen[:, 0])
    alone = ancova(seen[known, 0], ARM[known], covariates=np.column_stack([BASELINE, STRATUM])[known])
    assert_allclose(found.contrast.value[:, 0], alone.contrast.value, rtol=1e-10)
    assert_allclose(found.contrast.p[:, 0], alone.contrast.p, rtol=1e-7)
    assert_allclose(found.covariance, [[alone.residual_sd**2]], rtol=1e-10)


def test_kenward_roger_widens_and_complete_data_need_no_widening():
    plain, widened = (mmrm(HOLES, ARM, baseline=BASELINE, method=method) for method in Method)
    assert (widened.contrast.standard_error > plain.contrast.standard_error).all()
    assert_allclose(widened.contrast.df, plain.contrast.df, rtol=1e-12)
    plain, widened = (mmrm(COMPLETE, ARM, baseline=BASELINE, method=method) for method in Method)
    assert_allclose(widened.contrast.standard_error, plain.contrast.standard_error, rtol=1e-9)


# --- an independent maximisation -------------------------------------------------------------------


class Dense:
    """The same model in one long regression, each patient's rows by themselves."""

    def __init__(self, values: np.ndarray) -> None:
        design = np.column_stack([ARM == 0, ARM == 1, BASELINE - BASELINE.mean()]).astype(float)
        common = STRATUM - STRATUM.mean()
        self.seen = ~np.isnan(values)
        rows = [
            np.hstack([np.kron(np.eye(VISITS), one), np.repeat(more[None], VISITS, axis=0)])
            for one, more in zip(design, common, strict=True)
        ]
        self.design = np.concatenate([row[seen] for row, seen in zip(rows, self.seen, strict=True)])
        self.values = values[self.seen]

    @staticmethod
    def covariance(cholesky: np.ndarray) -> np.ndarray:
        lower = np.zeros((VISITS, VISITS))
        lower[np.tril_indices(VISITS)] = cholesky
        return lower @ lower.T

    def solve(self, cholesky: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the restricted likelihood, the coefficients and their variance."""
        covariance = self.covariance(cholesky)
        full = block_diag(*[covariance[np.ix_(seen, seen)] for seen in self.seen])
        weight = np.linalg.inv(full)
        variance = np.linalg.inv(self.design.T @ weight @ self.design)
        slope = variance @ self.design.T @ weight @ self.values
        rest = self.values - self.design @ slope
        free = len(self.values) - len(slope)
        parts = np.linalg.slogdet(full)[1] - np.linalg.slogdet(variance)[1] + rest @ weight @ rest
        return -0.5 * (free * np.log(2.0 * np.pi) + parts), slope, variance


@pytest.fixture(scope="module")
def maximised() -> tuple[Dense, np.ndarray]:
    dense = Dense(HOLES)
    start = np.linalg.cholesky(np.diag(np.full(VISITS, 30.0)) + 5.0)[np.tril_indices(VISITS)]
    first = minimize(lambda at: -dense.solve(at)[0], start, method="BFGS", options={"gtol": 1e-6})
    found = minimize(
        lambda at: -dense.solve(at)[0],
        first.x,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000},
    )
    return dense, found.x


@pytest.mark.slow
def test_a_direct_search_finds_the_same_maximum(maximised: tuple[Dense, np.ndarray]):
    dense, at = maximised
    likelihood, slope, variance = dense.solve(at)
    found = mmrm(HOLES, ARM, baseline=BASELINE, strata=STRATUM)
    assert found.log_likelihood == pytest.approx(likelihood, abs=1e-9)
    assert found.log_likelihood >= likelihood - 1e-11
    assert_allclose(found.covariance, dense.covariance(at), rtol=1e-5)
    means = slope[: 3 * VISITS].reshape(VISITS, 3)[:, :2].T
    assert_allclose(found.mean.value, means, rtol=1e-7)
    errors = np.sqrt(np.diag(variance))[: 3 * VISITS].reshape(VISITS, 3)[:, :2].T
    assert_allclose(found.mean.standard_error, errors, rtol=1e-6)


@pytest.mark.slow
def test_degrees_of_freedom_are_those_of_numerical_derivatives(maximised: tuple[Dense, np.ndarray]):
    dense, at = maximised
    contrast = np.zeros(3 * VISITS + 1)
    contrast[-4:-2] = -1.0, 1.0  # arm 1 less arm 0 at the last visit

    def variance(cholesky: np.ndarray) -> float:
        return float(contrast @ dense.solve(cholesky)[2] @ contrast)

    def slopes(cholesky: np.ndarray) -> np.ndarray:
        return central(lambda x: -dense.solve(x)[0], cholesky)

    hessian = np.array([central(lambda x, k=k: slopes(x)[k], at) for k in range(len(at))])
    gradient = central(variance, at)
    right = 2.0 * variance(at) ** 2 / (gradient @ np.linalg.solve(hessian, gradient))
    found = mmrm(HOLES, ARM, baseline=BASELINE, strata=STRATUM)
    assert float(found.contrast.df[0, -1]) == pytest.approx(right, rel=1e-4)


def central(function, at: np.ndarray, step: float = 1e-4) -> np.ndarray:
    moves = step * np.eye(len(at))
    return np.array([(function(at + move) - function(at - move)) / (2.0 * step) for move in moves])


def test_score_and_information_are_derivatives_of_the_likelihood():
    data = _Data(HOLES[~np.isnan(HOLES).all(axis=1)], design_of(~np.isnan(HOLES).all(axis=1)), crossed=3)
    rows, columns = np.tril_indices(VISITS)
    at = COVARIANCE[rows, columns] * 1.1

    def state(entries: np.ndarray) -> _State:
        covariance = np.zeros((VISITS, VISITS))
        covariance[rows, columns] = covariance[columns, rows] = entries
        found = _State(data, covariance)
        found.differentiate()
        return found

    here = state(at)
    score = approx_fprime(at, lambda x: state(x).log_likelihood, 1e-6)
    assert_allclose(here.score, score, rtol=1e-4, atol=1e-6)
    hessian = np.array([central(lambda x, k=k: state(x).score[k], at, 1e-3) for k in range(len(at))])
    assert_allclose(here.observed, -hessian, rtol=1e-6, atol=1e-10)


def test_expected_information_is_the_mean_of_the_observed_one():
    # y enters the observed information squared: its mean over draws of y is the expected information
    design, covariance = np.ones((PATIENTS, 1)), COVARIANCE
    observed = []
    for replicate in range(800):
        values = normal(f"draw {replicate}", PATIENTS, VISITS) @ np.linalg.cholesky(covariance).T
        state = _State(
            _Data(np.where(np.isnan(HOLES), np.nan, values)[is_seen()], design[is_seen()], crossed=1),
            covariance,
        )
        state.differentiate()
        observed.append(state.observed)
    error = np.std(observed, axis=0) / np.sqrt(len(observed))
    assert (np.abs(np.mean(observed, axis=0) - state.expected) < 4.5 * error).all()


def is_seen() -> np.ndarray:
    return ~np.isnan(HOLES).all(axis=1)


def design_of(chosen: np.ndarray) -> np.ndarray:
    columns = [ARM == 0, ARM == 1, BASELINE - BASELINE.mean(), STRATUM[:, 0] - STRATUM.mean()]
    return np.column_stack(columns).astype(float)[chosen]


# --- what does not matter, and what is refused -----------------------------------------------------


def test_the_order_of_patients_and_people_never_seen_do_not_matter():
    found = mmrm(HOLES, ARM, baseline=BASELINE)
    turned = np.argsort(uniform("order", PATIENTS))
    values = np.vstack([np.full(VISITS, np.nan), HOLES[turned]])
    other = mmrm(values, np.append(1, ARM[turned]), baseline=np.append(90.0, BASELINE[turned]))
    assert other.patients == found.patients
    assert_allclose(other.contrast.value, found.contrast.value, rtol=1e-9)
    assert_allclose(other.contrast.df, found.contrast.df, rtol=1e-7)


def test_change_from_baseline_has_the_contrasts_of_the_values():
    found, changed = (mmrm(values, ARM, baseline=BASELINE) for values in (HOLES, HOLES - BASELINE[:, None]))
    assert_allclose(changed.contrast.value, found.contrast.value, rtol=1e-9)
    assert_allclose(changed.contrast.standard_error, found.contrast.standard_error, rtol=1e-9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.where((ARM == 1)[:, None] & [False, True, False], np.nan, HOLES), "arm 1 has nobody at visit 2"),
        (
            np.where((np.arange(PATIENTS) > 2)[:, None] & [False, False, True], np.nan, COMPLETE),
            "visit 3 has fewer than",
        ),
        (
            np.where((np.arange(PATIENTS) < 20)[:, None] == [True, False, False], COMPLETE, np.nan),
            "seen at both visits 1 and 2",
        ),
        (np.column_stack([COMPLETE, COMPLETE.sum(axis=1)]), "linear combination"),
    ],
)
def test_what_the_data_do_not_tell_is_refused(values: np.ndarray, message: str):
    with pytest.raises(RunFailedError, match=message):
        mmrm(values, ARM, baseline=BASELINE)


def test_strata_that_are_the_arms_are_refused():
    with pytest.raises(RunFailedError, match="cannot be told apart"):
        mmrm(HOLES, ARM, strata=ARM[:, None].astype(float))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"method": "between-within"},
            "'method' must be satterthwaite or kenward-roger. Got 'between-within'",
        ),
        (
            {"baseline": np.append(np.nan, BASELINE[1:])},
            "'baseline' must be known and finite for everybody. Got 1",
        ),
        ({"baseline": BASELINE[1:]}, "'baseline' must be one number for each patient, 40 of them"),
        ({"strata": STRATUM[:, 0]}, r"'strata' must be \(N, S\) with N = 40"),
        ({"arm": ARM[1:]}, "'arm' must be one code for each of 40 patients"),
        ({"values": HOLES[:, 0]}, r"'values' must be patients by visits, \(N, V\)"),
        ({"values": np.where(HOLES > 20, np.inf, HOLES)}, "'values' must be finite"),
    ],
)
def test_bad_input_is_named(changed: dict, message: str):
    given = {"values": HOLES, "arm": ARM, **changed}
    with pytest.raises(InvalidInputError, match=message):
        mmrm(given.pop("values"), given.pop("arm"), **given)


# --- by Monte Carlo --------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_effect_one_trial_in_twenty_finds_one_though_the_worse_leave():
    trials, patients, visits = 1500, 60, 4
    covariance = 50.0 * 0.75 ** np.abs(np.subtract.outer(range(visits), range(visits)))
    values = normal("trials", trials, patients, visits) @ np.linalg.cholesky(covariance).T
    leaves = uniform("dropout", trials, patients, visits) < 0.25 / (1.0 + np.exp(-(values - 5.0) / 3.0))
    is_gone = np.maximum.accumulate(leaves, axis=-1)
    values[..., 1:] = np.where(is_gone[..., :-1], np.nan, values[..., 1:])
    assert 0.1 < np.isnan(values[..., -1]).mean() < 0.4
    arm = np.arange(patients) % 2
    p = [mmrm(one, arm, method=Method.KENWARD_ROGER).contrast.p[0, -1] for one in values]
    low, high = bounds(0.05, trials)
    assert low <= np.mean(np.array(p) < 0.05) <= high
