"""Change and crossover: against SciPy and a regression with a term for each patient, by hand, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy.stats import ttest_1samp, ttest_ind
from tests.unit.trials.analysis.draws import normal, uniform

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.trials.analysis.paired import change, crossover

COUNT = 27
SEQUENCE = (uniform("sequence", COUNT) < 0.5).astype(int)
VALUES = 20.0 + 6.0 * normal("patient", COUNT, 1) + 3.0 * normal("visit", COUNT, 2)
VALUES[:, 1] += 2.0
VALUES[SEQUENCE == 1, 0] -= 4.0
VALUES[SEQUENCE == 0, 1] -= 4.0
SEEN = np.where(uniform("missing", COUNT, 2) < 0.1, np.nan, VALUES)


def test_change_is_a_one_sample_t_test():
    differences = SEEN[:, 1] - SEEN[:, 0]
    known = differences[~np.isnan(differences)]
    right = ttest_1samp(known, 0.0)
    found = change(differences, level=0.9)
    interval = right.confidence_interval(0.9)
    assert_allclose([found.mean.low, found.mean.high], [interval.low, interval.high], rtol=1e-12)
    assert_allclose(found.mean.p, right.pvalue, rtol=1e-12)
    assert (found.count, found.mean.df) == (len(known), len(known) - 1)
    assert found.effect_size == pytest.approx(known.mean() / known.std(ddof=1))


def test_crossover_is_a_regression_with_a_term_for_each_patient():
    both = ~np.isnan(SEEN).any(axis=1)
    values, sequence = SEEN[both], SEQUENCE[both]
    treated = np.column_stack([sequence == 1, sequence == 0]).ravel()
    second = np.tile([0.0, 1.0], len(values))
    patients = np.repeat(np.eye(len(values)), 2, axis=0)
    fit = sm.OLS(values.ravel(), np.column_stack([treated, second, patients]).astype(float)).fit()
    found = crossover(SEEN, SEQUENCE)
    for place, own in enumerate((found.treatment, found.period)):
        right = [fit.params[place], fit.bse[place], fit.df_resid, *fit.conf_int()[place], fit.pvalues[place]]
        assert_allclose([own.value, own.standard_error, own.df, own.low, own.high, own.p], right, rtol=1e-9)


def test_carry_over_compares_sums_of_the_sequences():
    found = crossover(VALUES, SEQUENCE).carry_over
    sums = VALUES.sum(axis=1)
    right = ttest_ind(sums[SEQUENCE == 1], sums[SEQUENCE == 0])
    assert_allclose(found.p, right.pvalue, rtol=1e-11)
    assert np.sign(found.value) == np.sign(right.statistic)


def test_a_period_effect_and_patients_do_not_move_the_treatment_effect():
    found = crossover(VALUES, SEQUENCE)
    moved = crossover(VALUES + [0.0, 7.0] + 100.0 * normal("more", COUNT, 1), SEQUENCE)
    assert_allclose(moved.treatment.value, found.treatment.value, rtol=1e-10)
    assert_allclose(moved.period.value, found.period.value + 7.0, rtol=1e-10)


def test_crossover_by_hand():
    found = crossover([[10.0, 14.0], [12.0, 18.0], [20.0, 15.0], [16.0, 13.0]], [1, 1, 0, 0])
    # d: -4, -6 and 5, 3; means -5 and 4
    assert found.treatment.value == -4.5
    assert found.period.value == 0.5
    assert found.treatment.standard_error == pytest.approx(0.5 * np.sqrt(2.0) * np.sqrt(1.0))


def test_too_few_patients_are_refused():
    with pytest.raises(RunFailedError, match="1 patients have one, where two are needed"):
        change([1.0, np.nan])
    with pytest.raises(RunFailedError, match="a sequence has 1 patients with both periods"):
        crossover([[1.0, 2.0], [1.0, 2.0], [3.0, np.nan], [1.0, 3.0]], [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("values", "sequence", "message"),
    [
        (VALUES[:, :1], SEQUENCE, "'values' must be two periods"),
        (VALUES, SEQUENCE + 1, "'sequence' must be codes of two or more arms"),
        (VALUES, SEQUENCE * 2, "'sequence' must be 0 or 1"),
        (VALUES, SEQUENCE[1:], "'sequence' must be 0 or 1"),
    ],
)
def test_bad_input_is_named(values: np.ndarray, sequence: np.ndarray, message: str):
    with pytest.raises(InvalidInputError, match=message):
        crossover(values, sequence)
