"""Closed forms of power and size: published numbers, SciPy's noncentral t, consistency, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, nct, t

from euthymia.errors import InvalidInputError
from euthymia.trials.analysis.power import (
    count_for_means,
    events_for_hazard_ratio,
    power_of_means,
    power_of_shares,
)
from euthymia.trials.analysis.proportions import Count, two_shares


@pytest.mark.parametrize(
    ("effect", "power", "count"), [(0.2, 0.8, 394), (0.5, 0.8, 64), (0.8, 0.8, 26), (0.5, 0.9, 86)]
)
def test_counts_are_those_of_cohen(effect: float, power: float, count: int):
    # Cohen (1988), tables 2.4; two-sided 5 % (393 there for 0.2, where the exact power is 0.7996)
    assert count_for_means(power, difference=effect, sd=1.0) == count


@pytest.mark.parametrize(("count", "other"), [(20, 20), (15, 40), (2, 2)])
def test_power_is_that_of_the_noncentral_t(count: int, other: int):
    df = count + other - 2
    shift = 0.6 / np.sqrt(1 / count + 1 / other)
    reach = t.ppf(0.975, df)
    right = nct.sf(reach, df, shift) + nct.cdf(-reach, df, shift)
    found = power_of_means(count, count_control=other, difference=-6.0, sd=10.0)
    assert found == pytest.approx(right, rel=1e-8)


def test_the_count_is_the_smallest_that_reaches_the_power():
    count = count_for_means(0.85, difference=4.0, sd=9.0, correlation=0.4)
    reached = [power_of_means(one, difference=4.0, sd=9.0, correlation=0.4) for one in (count - 1, count)]
    assert reached[0] < 0.85 <= reached[1]


def test_a_correlated_covariate_is_a_smaller_sd():
    adjusted = power_of_means(30, difference=5.0, sd=10.0, correlation=0.6)
    assert adjusted == pytest.approx(power_of_means(30, difference=5.0, sd=8.0), rel=1e-12)


def test_power_of_shares_is_about_that_of_enumeration():
    # every pair of counts, tested by the pooled z; the normal distribution is close at 93 an arm
    events = np.arange(94)
    one, none = (binom.pmf(events, 93, share) for share in (0.5, 0.3))
    gap = (events[:, None] - events[None, :]) / 93
    pooled = (events[:, None] + events[None, :]) / 186
    with np.errstate(invalid="ignore", divide="ignore"):
        z = gap / np.sqrt(pooled * (1.0 - pooled) * 2 / 93)
    right = (one[:, None] * none[None, :])[np.abs(z) > 1.959963984540054].sum()
    assert power_of_shares(93, share=0.5, share_control=0.3) == pytest.approx(right, abs=0.01)
    assert two_shares(Count(47, 93), Count(28, 93)).difference_wald.p < 0.05


def test_without_difference_power_is_the_error():
    assert power_of_shares(500, share=0.4, share_control=0.4) == pytest.approx(0.05, abs=1e-12)
    assert power_of_means(50, difference=0.0, sd=1.0) == pytest.approx(0.05, abs=1e-9)


def test_events_by_hand():
    # 4 (1.96 + 0.8416)^2 / log^2 0.5 = 65.3; arms of 2 to 1 need 9/8 as many
    assert events_for_hazard_ratio(0.5) == 66
    assert events_for_hazard_ratio(2.0) == 66
    assert events_for_hazard_ratio(0.5, share_treated=2 / 3) == 74


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power_of_means(1, difference=1.0, sd=1.0), "'count' must be two or more"),
        (lambda: power_of_means(9, difference=1.0, sd=0.0), "'sd' must be above 0"),
        (
            lambda: power_of_means(9, difference=1.0, sd=1.0, correlation=1.0),
            "'correlation' must be above -1",
        ),
        (lambda: count_for_means(0.04, difference=1.0, sd=1.0), "'power' must be above alpha"),
        (lambda: count_for_means(0.8, difference=0.0, sd=1.0), "'difference' must be other than 0"),
        (lambda: count_for_means(0.8, difference=1e-5, sd=1.0), "'difference' must be large enough"),
        (lambda: power_of_shares(9, share=1.0, share_control=0.5), "'share' must be above 0 and below 1"),
        (lambda: power_of_shares(0, share=0.4, share_control=0.5), "'count' must be one or more"),
        (lambda: events_for_hazard_ratio(1.0), "'hazard_ratio' must be above 0 and other than 1"),
    ],
)
def test_bad_input_is_named(call, message: str):
    with pytest.raises(InvalidInputError, match=message):
        call()
