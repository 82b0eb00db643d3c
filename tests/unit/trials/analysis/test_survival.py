"""Time to an event: by hand, against the likelihood itself and other libraries, refusals, error rate."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar
from scipy.special import ndtri
from scipy.stats import CensoredData, logrank
from tests.unit.trials.analysis.draws import bounds, normal, uniform

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.population.relapse import FollowUp
from euthymia.trials.analysis.power import events_for_hazard_ratio
from euthymia.trials.analysis.survival import cox, kaplan_meier, log_rank

COUNT = 90
ARM = np.arange(COUNT) % 2
ENDS = -np.log(uniform("ends", COUNT)) / np.where(ARM == 1, 0.04, 0.08)
LEFT = 30.0 * uniform("left", COUNT)
TIMES, HAS_EVENT = np.minimum(ENDS, LEFT), ENDS <= LEFT
FIVE = ([7.0, 14.0, 14.0, 21.0, 28.0], [True, True, False, True, False])


# --- Kaplan-Meier ----------------------------------------------------------------------------------


def test_five_patients_by_hand():
    found = kaplan_meier(*FIVE)
    share, low, high = found.at([0.0, 6.9, 7.0, 14.0, 20.0, 28.0, 28.1])
    assert_allclose(share, [1.0, 1.0, 0.8, 0.6, 0.6, 0.3, np.nan], rtol=1e-14)
    assert found.count_at_risk([0.0, 7.0, 7.1, 14.0, 21.0, 28.0, 29.0]).tolist() == [5, 5, 4, 4, 2, 1, 0]
    assert found.events.tolist() == [1, 1, 1, 0]
    assert (low[:2] == 1.0).all()
    assert (high[:2] == 1.0).all()
    # after day 14: variance of log(-log S) is (1/20 + 1/12) / log^2 0.6
    reach = 1.959963984540054 * np.sqrt(1 / 20 + 1 / 12) / np.log(0.6)
    assert_allclose([low[3], high[3]], 0.6 ** np.exp([-reach, reach]), rtol=1e-12)


def test_median_of_five_is_the_third_event():
    found = kaplan_meier(*FIVE)
    middle, low, high = found.median()
    assert middle == 21.0
    assert low == 7.0
    assert np.isnan(high)


def test_a_share_of_exactly_a_half_is_the_median_also_where_rounding_leaves_it_above():
    assert kaplan_meier([3.0, 5.0], [True, True]).median()[0] == 3.0
    for count in range(2, 60, 2):
        assert kaplan_meier(np.arange(1.0, count + 1.0), np.ones(count, bool)).median()[0] == count / 2


def test_nobody_with_an_event_leaves_everybody_without():
    found = kaplan_meier([3.0, 5.0], [False, False])
    assert found.at([5.0])[0].tolist() == [1.0]
    assert np.isnan(found.median()).all()


def test_when_everybody_had_it_nobody_is_left_and_that_has_no_interval():
    share, low, high = kaplan_meier([3.0, 5.0], [True, True]).at([3.0, 5.0])
    assert share.tolist() == [0.5, 0.0]
    assert np.isnan([low[1], high[1]]).all()


def test_shares_and_intervals_are_those_of_a_follow_up():
    days, has_relapsed = np.ceil(TIMES), HAS_EVENT
    other = FollowUp(rule="any", days=days, has_relapsed=has_relapsed, is_well=np.ones(COUNT, bool))
    at = [1.0, 4.0, 9.0, 15.0]
    found = kaplan_meier(days, has_relapsed)
    for own, right in zip(found.at(at), (other.share_well(at), *other.interval(at)), strict=True):
        assert_allclose(own, right, rtol=1e-13)
    assert found.median()[0] == other.median_days()


# --- log-rank and Cox ------------------------------------------------------------------------------


def test_log_rank_is_that_of_scipy():
    parts = [
        CensoredData(uncensored=TIMES[HAS_EVENT & (ARM == arm)], right=TIMES[~HAS_EVENT & (ARM == arm)])
        for arm in (0, 1)
    ]
    right = logrank(*parts)
    found = log_rank(TIMES, HAS_EVENT, ARM)
    assert found.statistic == pytest.approx(right.statistic**2, rel=1e-11)
    assert found.p == pytest.approx(right.pvalue, rel=1e-10)
    assert found.df == 1


def test_a_stratum_of_everybody_is_no_stratum_and_copies_in_strata_add_up():
    plain = log_rank(TIMES, HAS_EVENT, ARM)
    assert log_rank(TIMES, HAS_EVENT, ARM, strata=np.ones(COUNT, int)).statistic == pytest.approx(
        plain.statistic
    )
    twice = (np.tile(one, 2) for one in (TIMES, HAS_EVENT, ARM))
    doubled = log_rank(*twice, strata=np.repeat([0, 1], COUNT))
    assert doubled.statistic == pytest.approx(2.0 * plain.statistic)


def test_hazard_ratio_maximises_the_partial_likelihood():
    # no ties here, so that every way of treating them is the same
    assert len(np.unique(TIMES)) == COUNT

    def minus(log_ratio: float) -> float:
        hazard = np.exp(log_ratio * ARM)
        return -sum(
            np.log(hazard[place] / hazard[TIMES >= TIMES[place]].sum()) for place in np.flatnonzero(HAS_EVENT)
        )

    right = minimize_scalar(minus, bracket=(-1.0, 0.0), tol=1e-12)
    found = cox(TIMES, HAS_EVENT, ARM)
    assert float(np.log(found.hazard_ratio.value[0])) == pytest.approx(right.x, abs=1e-7)
    assert found.log_likelihood == pytest.approx(-right.fun, rel=1e-12)
    step = 1e-3
    bend = (minus(right.x + step) - 2.0 * right.fun + minus(right.x - step)) / step**2
    assert float(found.hazard_ratio.log_standard_error[0]) == pytest.approx(bend**-0.5, rel=1e-5)


def test_interval_and_p_of_the_hazard_ratio_by_hand():
    found = cox(TIMES, HAS_EVENT, ARM, level=0.9).hazard_ratio
    log_value, error = np.log(found.value), found.log_standard_error
    assert_allclose(
        [found.low, found.high], np.exp([log_value - ndtri(0.95) * error, log_value + ndtri(0.95) * error])
    )
    assert (found.p < 0.05).all()


def test_the_scale_of_a_covariate_scales_its_log_ratio():
    x = normal("covariate", COUNT, 1)
    found, other = (cox(TIMES, HAS_EVENT, ARM, covariates=scale * x) for scale in (1.0, 1000.0))
    assert_allclose(
        np.log(other.covariate_ratio.value), np.log(found.covariate_ratio.value) / 1000.0, rtol=1e-8
    )
    assert_allclose(other.hazard_ratio.value, found.hazard_ratio.value, rtol=1e-9)


# --- refusals --------------------------------------------------------------------------------------


def test_an_arm_without_an_event_has_no_hazard_ratio_but_a_log_rank_test():
    with pytest.raises(RunFailedError, match="arm 1 has no event"):
        cox(TIMES, HAS_EVENT & (ARM == 0), ARM)
    assert log_rank(TIMES, HAS_EVENT & (ARM == 0), ARM).p < 0.05


def test_without_events_there_is_no_test():
    with pytest.raises(RunFailedError, match="no event tells the arms apart"):
        log_rank(TIMES, np.zeros(COUNT, bool), ARM)


def test_a_covariate_that_orders_the_events_has_no_maximum():
    with pytest.raises(RunFailedError, match="no maximum"):
        cox(np.arange(1.0, 41.0), np.ones(40, bool), np.arange(40) % 2, covariates=-np.arange(40.0)[:, None])


def test_a_covariate_that_is_the_arm_is_refused():
    with pytest.raises(RunFailedError, match="hazard ratio has no result"):
        cox(TIMES, HAS_EVENT, ARM, covariates=ARM[:, None].astype(float))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"times": -TIMES}, "'times' must be 0 or more"),
        ({"times": np.append(np.nan, TIMES[1:])}, "'times' must be known and finite"),
        ({"has_event": HAS_EVENT[1:]}, "'has_event' must be yes or no for each of 90 patients"),
        ({"has_event": 2 * HAS_EVENT.astype(int)}, "'has_event' must be yes or no"),
        ({"arm": ARM[1:]}, "'arm' must be one code for each of 90 patients"),
        ({"strata": ARM[1:]}, "'strata' must be a whole number for each of 90 patients"),
    ],
)
@pytest.mark.parametrize("analysis", [log_rank, cox])
def test_bad_input_is_named(analysis, changed: dict, message: str):
    given = {"times": TIMES, "has_event": HAS_EVENT, "arm": ARM, **changed}
    with pytest.raises(InvalidInputError, match=message):
        analysis(given.pop("times"), given.pop("has_event"), given.pop("arm"), **given)


# --- by Monte Carlo --------------------------------------------------------------------------------


def p_values(name: str, *, trials: int, count: int, hazard_ratio: float) -> np.ndarray:
    arm = np.arange(count) % 2
    ends = -np.log(uniform(name, trials, count)) / np.where(arm == 1, hazard_ratio, 1.0)
    left = 3.0 * uniform(f"{name}, left", trials, count)
    return np.array(
        [log_rank(np.minimum(one, other), one <= other, arm).p for one, other in zip(ends, left, strict=True)]
    )


@pytest.mark.slow
def test_without_effect_one_log_rank_test_in_twenty_finds_one():
    low, high = bounds(0.05, 1500)
    assert low <= (p_values("null", trials=1500, count=100, hazard_ratio=1.0) < 0.05).mean() <= high


@pytest.mark.slow
def test_power_of_the_log_rank_test_is_that_of_schoenfeld():
    # all are followed to their event, so that events are patients; the formula is one for small effects
    count = events_for_hazard_ratio(0.7, power=0.8)
    arm = np.arange(count) % 2
    ends = -np.log(uniform("power", 1000, count)) / np.where(arm == 1, 0.7, 1.0)
    found = np.mean([log_rank(one, np.ones(count, bool), arm).p < 0.05 for one in ends])
    low, high = bounds(0.8, 1000)
    assert low <= found <= high
