"""Forecasts are scored as closed forms and SciPy say: coverage, its interval, evenness, errors, skill."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from euthymia.calibration.scoring import (
    Forecast,
    Scored,
    binomial_interval,
    coverage_of,
    forecast_of,
    is_sd_close,
    mean_absolute_error,
    pit_of,
    score_of,
    skill_of,
    unevenness,
)
from euthymia.errors import InvalidInputError

NAN = float("nan")


def one(observed: float, expected: float, *, kind: str = "MADRS contrast", **more: object) -> Scored:
    given = {"low": expected - 2.0, "high": expected + 2.0, "pit": 0.5}
    forecast = Forecast(expected=expected, replicates=100, **given)
    plain = {"trial": "made-up", "is_primary": False, "is_first_day": False}
    return Scored(kind=kind, observed=observed, forecast=forecast, **{**plain, **more})


@pytest.mark.parametrize(("inside", "total"), [(0, 5), (5, 5), (9, 10), (7, 9), (90, 100), (0, 1)])
def test_interval_of_coverage_is_that_of_scipy(inside: int, total: int):
    right = binomtest(inside, total).proportion_ci(0.95, method="exact")
    assert binomial_interval(inside, total) == pytest.approx((right.low, right.high), abs=1e-12)


def test_interval_of_a_whole_coverage_has_its_closed_form():
    """Where all n lie inside the lower end is 0.025 ** (1 / n)."""
    assert binomial_interval(8, 8)[0] == pytest.approx(0.025 ** (1 / 8), rel=1e-12)


def test_more_inside_than_there_are_is_refused():
    with pytest.raises(InvalidInputError, match="'inside' must be 0 to 3"):
        binomial_interval(4, 3)


def test_coverage_of_nothing_is_no_number():
    found = coverage_of([])
    assert (found.inside, found.total) == (0, 0)
    assert np.isnan([found.share, found.low, found.high]).all()


def forecasts(spread: float, count: int = 3000) -> list[Forecast]:
    """Return forecasts of numbers with SD 1 by replicates with another SD."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=count) * 3.0
    return [
        forecast_of(centre + spread * rng.normal(size=400), centre + float(rng.normal()))
        for centre in centres
    ]


def test_a_calibrated_forecaster_covers_nine_in_ten_and_is_even():
    rng = np.random.default_rng(6)
    found = [forecast_of(rng.normal(size=400), 0.0) for _ in range(2)]
    assert all(one.low < one.expected < one.high for one in found)
    pits = np.array([forecast.pit for forecast in forecasts(1.0)])
    assert abs((np.abs(pits - 0.5) < 0.45).mean() - 0.9) < 4.0 * np.sqrt(0.09 / len(pits))
    assert kstest(pits, "uniform").pvalue > 0.001
    assert unevenness(pits) == pytest.approx(kstest(pits, "uniform").statistic, abs=1e-12)


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_intervals_that_are_too_narrow_or_too_wide_are_told(spread: float):
    pits = np.array([forecast.pit for forecast in forecasts(spread)])
    assert kstest(pits, "uniform").pvalue < 1e-6
    share = (np.abs(pits - 0.5) < 0.45).mean()
    assert share < 0.7 if spread < 1.0 else share > 0.98


def test_equal_values_count_half_as_in_the_closed_form():
    assert pit_of([0.0, 0.0, 0.0, 1.0], 0.0) == pytest.approx((1.5 + 0.5) / 5)
    assert pit_of([1.0, NAN, 2.0], 3.0) == pytest.approx(2.5 / 3)
    assert np.isnan(pit_of([1.0], NAN))


def test_a_forecast_needs_replicates_and_bears_infinite_ones():
    assert np.isnan(forecast_of([1.0] * 19 + [NAN] * 50, 1.0).expected)
    assert forecast_of([1.0] * 19 + [NAN] * 50).replicates == 19
    found = forecast_of([10.0] * 15 + [np.inf] * 25, 12.0)
    assert (found.low, found.expected, found.high) == (10.0, np.inf, np.inf)
    assert found.holds(12.0)


def test_quantiles_are_those_of_five_and_ninety_five_per_cent():
    found = forecast_of(np.arange(101.0))
    assert (found.low, found.expected, found.high) == (5.0, 50.0, 95.0)
    assert np.isnan(found.pit)


def test_errors_and_skill_are_their_closed_forms():
    observed, expected = [-4.0, -8.0], [-5.0, -5.0]
    assert mean_absolute_error(observed, expected) == 2.0
    found = skill_of(observed, expected, baseline="fixed", value=-7.0)
    assert (found.error, found.baseline_error, found.total) == (2.0, 2.0, 2)
    assert found.skill == 0.0
    assert np.isnan(skill_of([-7.0], [-6.0], baseline="fixed", value=-7.0).skill)
    assert np.isnan(mean_absolute_error([], []))


@pytest.mark.parametrize(("expected", "is_close"), [(8.0, True), (12.0, True), (7.9, False), (12.1, False)])
def test_an_sd_is_met_within_a_fifth_of_the_observed_one(expected: float, is_close: bool):
    assert is_sd_close(10.0, expected) is is_close


def test_scores_keep_kinds_apart():
    rows = [
        one(-5.0, -6.0, is_primary=True, is_first_day=True),
        one(-5.0, -9.0),
        one(0.1, 0.3, kind="rate"),
        one(10.0, 7.0, kind="SD"),
        one(0.0, 1.0, kind="contrast"),
    ]
    found = score_of(rows, baselines=[("fixed", -7.0)])
    assert (found.contrasts.inside, found.contrasts.total) == (2, 3)
    assert (found.primary.inside, found.primary.total) == (1, 1)
    assert (found.numbers.inside, found.numbers.total) == (3, 5)
    assert (found.points_error, found.points_total) == (2.5, 2)
    assert (found.rates_error, found.rates_total) == (pytest.approx(20.0), 1)
    assert (found.sds_close, found.sds_total) == (0, 1)
    assert found.skills[0].skill == pytest.approx(1.0 - 2.5 / 2.0)
    first = score_of(rows, baselines=[("fixed", -7.0)], is_first_day_only=True)
    assert (first.skills[0].total, first.skills[0].skill) == (1, pytest.approx(0.5))


def test_scores_of_nothing_are_no_numbers():
    found = score_of([])
    assert found.contrasts.total == 0
    assert np.isnan([found.points_error, found.rates_error, found.evenness]).all()
