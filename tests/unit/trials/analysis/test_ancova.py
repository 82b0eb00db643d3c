"""Analysis of covariance: against statsmodels, by hand, and its error and power by Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy.stats import ttest_ind
from tests.unit.trials.analysis.draws import bounds, normal, uniform

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.trials.analysis.ancova import Ancova, ancova, ancova_replicates
from euthymia.trials.analysis.power import power_of_means

REPLICATES, COUNT = 12, 83
ARM = np.arange(COUNT) % 3
BASELINE = 30.0 + 5.0 * normal("baseline", REPLICATES, COUNT)
STRATUM = (uniform("stratum", REPLICATES, COUNT) < 0.4).astype(float)
COVARIATES = np.stack([BASELINE, STRATUM], axis=-1)
OUTCOME = 0.6 * BASELINE - 3.0 * (ARM == 2) - 2.0 * STRATUM + 8.0 * normal("error", REPLICATES, COUNT)
OUTCOME = np.where(uniform("missing", REPLICATES, COUNT) < 0.15, np.nan, OUTCOME)
SAME = {"rtol": 1e-10, "atol": 1e-12}


def by_statsmodels(outcome: np.ndarray, covariates: np.ndarray):
    """Return the contrasts with arm 0 and the adjusted means of three arms, as statsmodels tests them."""
    seen = ~np.isnan(outcome)
    at_mean = covariates[seen].mean(axis=0)
    design = np.column_stack([ARM[:, None] == [0, 1, 2], covariates]).astype(float)[seen]
    fit = sm.OLS(outcome[seen], design).fit()
    rest = len(at_mean)
    contrast = np.array([[-1.0, 1.0, 0.0, *[0.0] * rest], [-1.0, 0.0, 1.0, *[0.0] * rest]])
    mean = np.column_stack([np.eye(3), np.tile(at_mean, (3, 1))])
    return fit, fit.t_test(contrast), fit.t_test(mean)


@pytest.mark.parametrize("replicate", range(REPLICATES))
def test_contrasts_and_means_are_those_of_statsmodels(replicate: int):
    found = ancova(OUTCOME[replicate], ARM, covariates=COVARIATES[replicate])
    fit, contrast, mean = by_statsmodels(OUTCOME[replicate], COVARIATES[replicate])
    for own, other in ((found.contrast, contrast), (found.mean, mean)):
        assert_allclose(own.value, other.effect, **SAME)
        assert_allclose(own.standard_error, other.sd, **SAME)
        assert_allclose(own.p, other.pvalue, **SAME)
        assert_allclose(np.column_stack([own.low, own.high]), other.conf_int(), **SAME)
        assert_allclose(own.df, fit.df_resid, **SAME)
    assert_allclose(found.residual_sd, np.sqrt(fit.mse_resid), **SAME)


def leaves(found: Ancova, replicate: int | None = None) -> list[np.ndarray]:
    arrays = [found.count, found.effect_size, found.residual_sd]
    for one in (found.mean, found.contrast):
        arrays += [one.value, one.standard_error, one.df, one.low, one.high, one.p]
    return [array if replicate is None else array[replicate] for array in arrays]


def test_replicates_at_once_are_those_one_by_one():
    together = ancova_replicates(OUTCOME, ARM, covariates=COVARIATES)
    for replicate in range(REPLICATES):
        alone = ancova(OUTCOME[replicate], ARM, covariates=COVARIATES[replicate])
        for own, other in zip(leaves(together, replicate), leaves(alone), strict=True):
            assert_allclose(own, other, **SAME)


def test_one_design_for_all_replicates_is_that_design_in_each():
    complete = np.nan_to_num(OUTCOME, nan=20.0)
    shared = ancova_replicates(complete, ARM, covariates=COVARIATES[0])
    each = ancova_replicates(
        complete, np.tile(ARM, (REPLICATES, 1)), covariates=np.tile(COVARIATES[0], (REPLICATES, 1, 1))
    )
    for own, other in zip(leaves(shared), leaves(each), strict=True):
        assert_allclose(own, other, **SAME)


def test_two_arms_without_covariates_are_a_t_test():
    one, two = 3.0 + normal("one", 14), normal("two", 11)
    found = ancova(np.concatenate([two, one]), [0] * 11 + [1] * 14)
    right = ttest_ind(one, two)
    assert_allclose(found.contrast.value / found.contrast.standard_error, right.statistic, rtol=1e-12)
    assert_allclose(found.contrast.p, right.pvalue, rtol=1e-11)


def test_effect_size_is_the_contrast_over_the_pooled_sd_by_hand():
    # SDs 2 and 1 in arms of three: pooled sqrt((8 + 2) / 4)
    found = ancova([10.0, 12.0, 8.0, 5.0, 7.0, 6.0, np.nan], [0, 0, 0, 1, 1, 1, 1])
    assert_allclose(found.effect_size, [-4.0 / np.sqrt(2.5)], rtol=1e-14)
    assert found.count.tolist() == [3, 3]


def test_a_covariate_that_does_not_vary_changes_nothing():
    plain = ancova(OUTCOME[0], ARM)
    for own, other in zip(
        leaves(ancova(OUTCOME[0], ARM, covariates=np.full((COUNT, 1), 0.1))), leaves(plain), strict=True
    ):
        assert_allclose(own, other, rtol=1e-12)


def test_the_control_may_be_any_arm():
    found = ancova(OUTCOME[0], ARM, control=2)
    assert found.others.tolist() == [0, 1]
    assert_allclose(found.contrast.value[0], -ancova(OUTCOME[0], ARM).contrast.value[1], rtol=1e-12)


def test_a_replicate_without_an_arm_has_no_number_and_leaves_the_others():
    outcome = OUTCOME[:2].copy()
    outcome[0, ARM == 1] = np.nan
    found = ancova_replicates(outcome, ARM)
    assert np.isnan(found.contrast.value).tolist() == [[True, False], [False, False]]
    assert np.isnan(found.effect_size).tolist() == [[True, False], [False, False]]
    with pytest.raises(RunFailedError, match="arm 1 has no patient with an outcome"):
        ancova(outcome[0], ARM)


def test_a_covariate_that_is_the_arm_leaves_no_contrast():
    with pytest.raises(RunFailedError, match="tell the arms apart"):
        ancova(OUTCOME[0], ARM, covariates=(ARM == 2)[:, None].astype(float))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"control": 7}, r"'arm' must be codes of two or more arms, one of them the control \(7\)"),
        ({"arm": ARM + 0.5}, "'arm' must be whole numbers"),
        ({"arm": ARM[1:]}, "'arm' must be one code for each of 83 patients"),
        ({"covariates": COVARIATES[0][1:]}, "'covariates' must be"),
        (
            {"covariates": np.full((COUNT, 1), np.nan)},
            "'covariates' must be known and finite for everybody. Got 83",
        ),
        ({"level": 95.0}, "'level' must be above 0 and below 1. Got 95.0. 95 % is 0.95."),
        ({"outcome": OUTCOME}, "'outcome' must be one number for each patient"),
    ],
)
def test_bad_input_is_named(changed: dict, message: str):
    given = {"outcome": OUTCOME[0], "arm": ARM, **changed}
    with pytest.raises(InvalidInputError, match=message):
        ancova(given.pop("outcome"), given.pop("arm"), **given)


# --- by Monte Carlo --------------------------------------------------------------------------------

MANY, EACH = 4000, 25
TWO_ARMS = np.repeat([0, 1], EACH)


def rejected(effect: float, *, slope: float) -> float:
    baseline = normal("many baselines", MANY, 2 * EACH)
    outcome = slope * baseline + np.sqrt(1.0 - slope**2) * normal("many", MANY, 2 * EACH) + effect * TWO_ARMS
    found = ancova_replicates(outcome, TWO_ARMS, covariates=baseline[..., None])
    return float((found.contrast.p < 0.05).mean())


def test_without_effect_one_trial_in_twenty_finds_one():
    low, high = bounds(0.05, MANY)
    assert low <= rejected(0.0, slope=0.5) <= high


def test_power_is_that_of_the_closed_form():
    right = power_of_means(EACH, difference=0.7, sd=1.0, correlation=0.5)
    low, high = bounds(right, MANY)
    assert low <= rejected(0.7, slope=0.5) <= high
