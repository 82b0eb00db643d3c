"""Shares and their differences: published examples, closed forms, what intervals cover, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import ndtri
from scipy.stats import binom
from statsmodels.stats.contingency_tables import Table2x2
from tests.unit.trials.analysis.draws import uniform

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.trials.analysis.proportions import (
    Count,
    share,
    stratified_difference,
    stratified_odds_ratio,
    two_shares,
)

PUBLISHED = two_shares(Count(56, 70), Count(48, 80))


def test_wilson_is_as_published():
    # Newcombe (1998) Stat Med 17:857, table I, method 3
    for events, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
    ):
        found = share(events, total)
        assert_allclose([found.low, found.high], [low, high], atol=5e-5)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_solves_its_equation(level: float):
    found = share(7, 31, level=level)
    for end in (found.low, found.high):
        gap = abs(7 / 31 - end) / np.sqrt(end * (1.0 - end) / 31)
        assert gap == pytest.approx(ndtri(0.5 + level / 2.0), rel=1e-10)


def test_wilson_covers_about_what_it_says():
    events = np.arange(31)
    found = [share(int(one), 30) for one in events]
    for truth in (0.2, 0.35, 0.5):
        covers = np.array([one.low <= truth <= one.high for one in found])
        assert binom.pmf(events, 30, truth)[covers].sum() == pytest.approx(0.95, abs=0.02)


def test_newcombe_is_as_published():
    # Newcombe (1998) Stat Med 17:873, table II, method 10 and method 1
    assert_allclose([PUBLISHED.difference.low, PUBLISHED.difference.high], [0.0524, 0.3339], atol=5e-5)
    assert_allclose(
        [PUBLISHED.difference_wald.low, PUBLISHED.difference_wald.high], [0.0575, 0.3425], atol=5e-5
    )
    assert PUBLISHED.difference.value == pytest.approx(0.2)


def test_newcombe_is_made_of_the_intervals_of_both_shares():
    one, none, gap = PUBLISHED.arm, PUBLISHED.control, PUBLISHED.difference
    assert gap.value - gap.low == pytest.approx(
        np.hypot(one.value - one.low, none.high - none.value), rel=1e-10
    )
    assert gap.high - gap.value == pytest.approx(
        np.hypot(one.high - one.value, none.value - none.low), rel=1e-10
    )


def test_ratios_are_those_of_statsmodels():
    table = Table2x2(np.array([[56, 14], [48, 32]]))
    for found, value, error, (low, high), p in (
        (
            PUBLISHED.odds_ratio,
            table.oddsratio,
            table.log_oddsratio_se,
            table.oddsratio_confint(),
            table.oddsratio_pvalue(),
        ),
        (
            PUBLISHED.risk_ratio,
            table.riskratio,
            table.log_riskratio_se,
            table.riskratio_confint(),
            table.riskratio_pvalue(),
        ),
    ):
        right = [value, error, low, high, p]
        assert_allclose(
            [found.value, found.log_standard_error, found.low, found.high, found.p], right, rtol=1e-10
        )


def test_an_empty_cell_gets_half_a_patient_in_each():
    found = two_shares(Count(0, 10), Count(3, 10))
    assert found.odds_ratio.value == pytest.approx((0.5 * 7.5) / (10.5 * 3.5))
    assert found.risk_ratio.value == pytest.approx(0.5 / 3.5)
    assert found.difference.value == -0.3


def test_needed_to_treat_turns_the_interval_over():
    found = PUBLISHED.needed_to_treat
    assert_allclose(
        [found.value, found.low, found.high],
        [5.0, 1 / PUBLISHED.difference.high, 1 / PUBLISHED.difference.low],
    )
    unsure = two_shares(Count(10, 20), Count(9, 20))
    assert unsure.needed_to_treat.low < 0 < unsure.needed_to_treat.high
    assert np.isinf(two_shares(Count(10, 20), Count(10, 20)).needed_to_treat.value)


# --- strata ----------------------------------------------------------------------------------------


def test_one_stratum_is_the_plain_difference():
    found = stratified_difference([[48, 56]], [[80, 70]])
    assert found.value == pytest.approx(0.2)
    plain = PUBLISHED.odds_ratio
    assert stratified_odds_ratio([[48, 56]], [[80, 70]]).value == pytest.approx(plain.value)


def test_strata_with_the_same_difference_keep_it_where_the_pooled_table_does_not():
    events, totals = [[10, 60], [48, 18]], [[100, 200], [80, 20]]
    assert stratified_difference(events, totals).value == pytest.approx(
        (0.2 * 100 * 200 / 300 + 0.3 * 80 * 20 / 100) / (100 * 200 / 300 + 80 * 20 / 100)
    )


def test_a_stratum_of_one_arm_says_nothing():
    found = stratified_difference([[48, 56], [0, 3]], [[80, 70], [0, 9]])
    other = stratified_difference([[48, 56]], [[80, 70]])
    assert found.value == other.value
    assert found.standard_error == other.standard_error
    with pytest.raises(RunFailedError, match="no stratum has patients of both arms"):
        stratified_difference([[0, 3]], [[0, 9]])


@pytest.mark.parametrize(("count", "strata"), [(200, 1), (4, 60)])
def test_variance_of_the_stratified_difference_is_that_of_draws(count: int, strata: int):
    # few large strata and many sparse ones
    totals = np.full((strata, 2), count)
    draws = binom.ppf(uniform(f"{strata} strata", 3000, strata, 2), count, [0.3, 0.5])
    found = [stratified_difference(one, totals) for one in draws]
    spread = np.std([one.value for one in found], ddof=1)
    # the SD of 3000 draws is known to 1.3 %
    assert np.sqrt(np.mean([one.standard_error**2 for one in found])) == pytest.approx(spread, rel=0.04)


def test_an_odds_ratio_of_strata_that_is_0_is_refused():
    with pytest.raises(RunFailedError, match="0, infinite or not defined"):
        stratified_odds_ratio([[3, 0], [4, 0]], [[10, 10], [10, 10]])


@pytest.mark.parametrize(("events", "total"), [(3, 2), (-1, 5), (0, 0)])
def test_counts_that_cannot_be_are_named(events: int, total: int):
    with pytest.raises(InvalidInputError, match=f"'events' must be 0 to the total.* Got {events} of {total}"):
        share(events, total)


def test_tables_that_cannot_be_are_named():
    with pytest.raises(InvalidInputError, match="'events' must be from 0 to the total"):
        stratified_difference([[3, 1]], [[2, 4]])
    with pytest.raises(InvalidInputError, match="'events' must be strata by control and arm"):
        stratified_odds_ratio([[3, 1, 2]], [[2, 4, 2]])
