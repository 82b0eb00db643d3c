"""Estimates of cohorts written by hand are those of statsmodels and SciPy on the same numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight, survdiff
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest
from tests.unit.trials.cohorts import CROSSOVER, make_cohort, make_protocol
from tests.unit.trials.hand_made import NAN, crossover_trial, estimated, trial, whole, written

from euthymia.trials.analysis.mmrm import mmrm
from euthymia.trials.analysis.paired import crossover
from euthymia.trials.design import Protocol
from euthymia.trials.endpoints import relapse
from euthymia.trials.estimates import estimates_of, summarise
from euthymia.trials.records import Cohort, Estimate

SIZES = {"high": 14, "low": 16, "placebo": 15}
EXACT: Any = {"rtol": 1e-9, "atol": 1e-9}


def drawn(protocol: Protocol, seed: int = 4) -> Cohort:
    """Return a cohort of whole points around a trend that differs by arm; some visits are missed."""
    rng = np.random.default_rng(seed)
    size, visits = protocol.size, len(make_cohort(protocol).visits_h)
    arm = np.arange(size) % len(protocol.arms)
    base = rng.normal(32.0, 4.0, size)
    fall = np.arange(visits) * (1.0 + 1.5 * (len(protocol.arms) - 1 - arm))[:, None]
    scores = np.round(base[:, None] - fall + rng.normal(0.0, 4.0, (size, visits)))
    scores[:, 1:][rng.random((size, visits - 1)) < 0.15] = NAN
    strata = (rng.random(size) < 0.4).astype(np.int64)
    return written(protocol, np.clip(scores, 0.0, 60.0), arm=arm.tolist(), stratum=strata)


def last(cohort: Cohort) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return baseline and last total of those with both, and who they are."""
    totals = next(iter(cohort.scores.values()))
    rows = ~np.isnan(totals[:, 0]) & ~np.isnan(totals[:, -1])
    return totals[rows, 0], totals[rows, -1], rows


def numbers(one: Estimate) -> list[float]:
    return [one.value, one.se, one.low, one.high, one.p]


def of_fit(fit: Any, place: int) -> list[float]:
    low, high = np.asarray(fit.conf_int())[place]
    return [fit.params[place], fit.bse[place], low, high, fit.pvalues[place]]


def test_ancova_is_least_squares_on_arms_baseline_and_strata():
    protocol = trial({"e": {"kind": "change", "at": "day 21"}}, sizes=SIZES)
    cohort = drawn(protocol)
    before, after, rows = last(cohort)
    arm = cohort.arm[rows]
    design = np.column_stack([np.ones(len(arm)), arm == 0, arm == 1, before, cohort.stratum[rows]])
    fit = sm.OLS(after - before, design.astype(float)).fit()
    found = estimated(cohort)
    for place, name in enumerate(("high", "low")):
        one = found["e", name, "difference"]
        np.testing.assert_allclose(numbers(one), of_fit(fit, place + 1), **EXACT)
        assert one.n == np.isin(arm, (place, 2)).sum()
        assert (one.reference, one.method) == ("placebo", "ancova")
    pooled = np.sqrt(
        sum(((after - before)[arm == k].var() * (arm == k).sum()) for k in range(3)) / (len(arm) - 3)
    )
    sizes = found["e", "high", "standardised difference"]
    assert sizes.value == pytest.approx(fit.params[1] / pooled, rel=1e-9)


def test_t_is_students_test_of_two_arms_alone():
    protocol = trial({"e": {"kind": "change", "at": "day 21", "analysis": "t"}}, sizes=SIZES)
    cohort = drawn(protocol)
    before, after, rows = last(cohort)
    change, arm = after - before, cohort.arm[rows]
    test = stats.ttest_ind(change[arm == 0], change[arm == 2])
    ends = test.confidence_interval()
    one = estimated(cohort)["e", "high", "difference"]
    np.testing.assert_allclose([one.p, one.low, one.high], [test.pvalue, *ends], **EXACT)


def test_mmrm_is_read_at_its_last_visit():
    protocol = trial({"e": {"kind": "change", "at": "day 21", "analysis": "mmrm"}}, sizes=SIZES)
    cohort = drawn(protocol)
    totals = cohort.scores["MADRS"]
    rows = ~np.isnan(totals[:, 1:]).all(axis=1)
    fit = mmrm(
        totals[rows, 1:] - totals[rows, :1],
        cohort.arm[rows],
        baseline=totals[rows, 0],
        strata=cohort.stratum[rows, None],
        control=2,
    )
    one = estimated(cohort)["e", "low", "difference"]
    assert fit.others.tolist() == [0, 1]
    assert one.value == pytest.approx(float(fit.contrast.value[1, -1]), rel=1e-12)
    assert one.p == pytest.approx(float(fit.contrast.p[1, -1]), rel=1e-12)
    assert one.n == (rows & (cohort.arm != 0)).sum()
    assert ("e", "low", "standardised difference") not in estimated(cohort)


def test_mmrm_of_complete_data_without_strata_is_ancova_at_the_last_visit():
    endpoints = {name: {"kind": "change", "at": "day 21", "analysis": name} for name in ("mmrm", "ancova")}
    protocol = trial(endpoints, sizes={"drug": 12, "placebo": 12})
    cohort = drawn(protocol)
    full = written(protocol, np.nan_to_num(cohort.scores["MADRS"], nan=25.0), arm=cohort.arm.tolist())
    found = estimated(full)
    np.testing.assert_allclose(
        numbers(found["mmrm", "drug", "difference"]),
        numbers(found["ancova", "drug", "difference"]),
        rtol=1e-6,
    )


def test_means_of_arms_have_students_interval():
    cohort = drawn(trial(sizes=SIZES))
    before, after, rows = last(cohort)
    own = (after - before)[cohort.arm[rows] == 1]
    test = stats.ttest_1samp(own, 0.0)
    found = estimated(cohort)
    one = found["last", "low", "mean"]
    np.testing.assert_allclose(
        numbers(one), [own.mean(), stats.sem(own), *test.confidence_interval(), test.pvalue], **EXACT
    )
    assert one.n == len(own)
    assert found["last", "low", "SD"].value == pytest.approx(own.std(ddof=1), rel=1e-12)


def test_single_arm_tells_means_only():
    protocol = make_protocol(design="single-arm", arms={"all": {"n": 5, "regimen": "saline iv over 40 min"}})
    measures = [one.measure for one in estimates_of(make_cohort(protocol))]
    assert measures == ["mean", "SD"]


def test_alpha_sets_the_level_of_the_intervals():
    one, other = (
        estimated(drawn(trial(sizes=SIZES, alpha=alpha)))["last", "high", "difference"]
        for alpha in (0.05, 0.2)
    )
    assert other.p == one.p
    assert one.low < other.low < other.high < one.high


# --- crossover -----------------------------------------------------------------------------------


def test_two_by_two_crossover_is_freed_of_the_period():
    protocol = crossover_trial({"e": {"kind": "change", "at": "day 7"}}, n=10)
    cohort = drawn(protocol)
    totals = cohort.scores["MADRS"]
    change = np.stack([totals[:, 1] - totals[:, 0], totals[:, 3] - totals[:, 2]], axis=1)
    expected = crossover(change, (cohort.arm == 0).astype(int)).treatment
    one = estimated(cohort)["e", "drug", "difference"]
    assert one.value == pytest.approx(float(expected.value), rel=1e-12)
    assert one.p == pytest.approx(float(expected.p), rel=1e-12)
    assert one.n == (~np.isnan(change)).all(axis=1).sum()
    assert one.method == "paired"


def test_larger_crossover_is_the_paired_test():
    sequences = [["drug", "placebo", "low"], ["placebo", "low", "drug"], ["low", "drug", "placebo"]]
    protocol = crossover_trial({"e": {"kind": "score", "at": "day 7"}}, sequences=sequences, n=12)
    rng = np.random.default_rng(8)
    cohort = written(protocol, np.round(rng.uniform(5.0, 40.0, (12, 6))))
    after = cohort.scores["MADRS"][:, 1::2]
    rows = np.arange(12)
    drug = after[rows, np.array([0, 2, 1])[cohort.arm]]
    none = after[rows, np.array([1, 0, 2])[cohort.arm]]
    test = stats.ttest_rel(drug, none)
    one = estimated(cohort)["e", "drug", "difference"]
    np.testing.assert_allclose(
        [one.value, one.p, one.low, one.high],
        [np.mean(drug - none), test.pvalue, *test.confidence_interval()],
        **EXACT,
    )


def test_periods_of_one_treatment_are_averaged():
    sequences = [["drug", "placebo", "placebo", "drug"], ["placebo", "drug", "drug", "placebo"]]
    protocol = crossover_trial({"e": {"kind": "score", "at": "day 7"}}, sequences=sequences, n=2)
    rows = [[30, 10, 30, 20, 30, 24, 30, 4], [30, 21, 30, 9, 30, 7, 30, 25]]
    one = estimated(written(protocol, rows, arm=[0, 1]))["e", "drug", "difference"]
    assert one.value == pytest.approx(((7 - 22) + (8 - 23)) / 2)


def test_shares_of_a_crossover_are_compared_within_patients():
    protocol = crossover_trial({"e": {"kind": "remission", "at": "day 7", "at_most": 10}}, n=8)
    after = [[5, 20], [5, 20], [5, 5], [20, 20], [20, 5], [20, 5], [20, 20], [5, 5]]
    rows = [[30, one, 30, two] for one, two in after]
    cohort = written(protocol, rows, arm=[0, 0, 0, 0, 1, 1, 1, 1])
    found = estimated(cohort)
    has_it = np.array(after) <= 10
    expected = crossover(has_it.astype(float), (cohort.arm == 0).astype(int)).treatment
    one = found["e", "drug", "risk difference"]
    np.testing.assert_allclose([one.value, one.p], [expected.value, expected.p], **EXACT)
    assert found["e", "drug", "share"].value == 6 / 8
    assert found["e", "placebo", "share"].n == 8
    assert np.isnan(found["e", "drug", "odds ratio"].p)  # arms are not independent


# --- shares --------------------------------------------------------------------------------------


def with_remission(drug: int, placebo: int, total: int = 20) -> dict[tuple[str, str, str], Estimate]:
    protocol = trial(
        {"e": {"kind": "remission", "at": "day 21", "at_most": 10}}, sizes={"drug": total, "placebo": total}
    )
    after = [9] * drug + [11] * (total - drug) + [9] * placebo + [11] * (total - placebo)
    return estimated(written(protocol, [[30, 20, 20, one] for one in after]))


def test_shares_are_those_of_statsmodels():
    found = with_remission(12, 5)
    share, gap, odds = (found["e", "drug", name] for name in ("share", "risk difference", "odds ratio"))
    np.testing.assert_allclose(
        [share.value, share.low, share.high], [0.6, *proportion_confint(12, 20, method="wilson")], **EXACT
    )
    newcombe = confint_proportions_2indep(12, 20, 5, 20, method="newcomb")
    np.testing.assert_allclose([gap.value, gap.low, gap.high], [0.35, *newcombe], **EXACT)
    assert gap.p == pytest.approx(proportions_ztest([12, 5], [20, 20])[1], rel=1e-9)
    table = Table2x2(np.array([[12, 8], [5, 15]]))
    np.testing.assert_allclose(
        numbers(odds),
        [table.oddsratio, table.log_oddsratio_se, *table.oddsratio_confint(), table.oddsratio_pvalue()],
        **EXACT,
    )
    assert (share.n, gap.n, odds.n) == (20, 40, 40)


def test_empty_cells_leave_the_odds_ratio_finite():
    odds = with_remission(6, 0)["e", "drug", "odds ratio"]
    assert odds.value == pytest.approx(6.5 * 20.5 / (14.5 * 0.5))


def test_nobody_in_either_arm_has_no_p():
    found = with_remission(0, 0)
    assert found["e", "drug", "risk difference"].value == 0.0
    assert np.isnan(found["e", "drug", "risk difference"].p)


def test_unknown_outcomes_are_not_counted():
    protocol = trial({"e": {"kind": "remission", "at": "day 21", "at_most": 10}})
    rows = [[30, 9, 9, 9], [30, 9, 9, NAN], [30, 9, 9, 12], [30, 9, 9, 9], [NAN, 9, 9, 9], [30, 9, 9, 9]]
    found = estimated(written(protocol, rows))
    assert (found["e", "drug", "share"].value, found["e", "drug", "share"].n) == (0.5, 2)
    assert (found["e", "placebo", "share"].value, found["e", "placebo", "share"].n) == (1.0, 2)


# --- relapse -------------------------------------------------------------------------------------


def relapsing(seed: int = 1) -> Cohort:
    days = [7.0 * week for week in range(9)]
    protocol = trial(
        {"e": {"kind": "relapse", "rule": "MADRS 22 once", "start": "day 7"}},
        sizes={"drug": 25, "placebo": 25},
        days=days,
    )
    rng = np.random.default_rng(seed)
    chance = np.where(np.arange(50)[:, None] < 25, 0.06, 0.2)
    scores = np.where(rng.random((50, 9)) < chance, 25.0, 10.0)
    left = {int(row): 7.0 * int(rng.integers(3, 9)) for row in np.flatnonzero(rng.random(50) < 0.3)}
    return written(protocol, scores, left_day=left)


def test_relapse_is_that_of_statsmodels():
    cohort = relapsing()
    days, flags = relapse(whole(cohort), cohort.protocol.endpoints["e"])
    found = estimated(cohort)
    none = cohort.arm == 1
    curve = SurvfuncRight(days[none], flags[none])
    low, high = curve.quantile_ci(0.5, method="cloglog")
    share, median = found["e", "placebo", "share"], found["e", "placebo", "median days"]
    assert share.value == pytest.approx(1.0 - curve.surv_prob[-1], rel=1e-12)
    assert share.n == 25
    assert median.value == curve.quantile(0.5)
    assert (median.low, median.high) == pytest.approx((low, high), nan_ok=True)
    ratio = found["e", "drug", "hazard ratio"]
    fit = PHReg(days, (~none).astype(float)[:, None], status=flags.astype(int), ties="efron").fit()
    assert ratio.value == pytest.approx(np.exp(fit.params[0]), rel=1e-6)
    assert (ratio.low, ratio.high) == pytest.approx(tuple(np.exp(fit.conf_int()[0])), rel=1e-6)
    assert ratio.p == pytest.approx(survdiff(days, flags.astype(int), cohort.arm)[1], rel=1e-9)
    assert ratio.n == 50


def test_where_one_arm_has_no_relapse_the_log_rank_test_still_tells():
    cohort = relapsing()
    scores = np.where((cohort.arm == 0)[:, None], 10.0, cohort.scores["MADRS"])
    ratio = estimated(replace(cohort, scores={"MADRS": scores}))["e", "drug", "hazard ratio"]
    assert np.isnan(ratio.value)
    assert 0.0 < ratio.p < 0.05


def test_relapses_that_do_not_overlap_have_no_ratio_and_no_warning():
    days = [0.0, 7.0, 14.0, 21.0, 28.0]
    protocol = trial(
        {"e": {"kind": "relapse", "rule": "MADRS 22 once", "start": "day 7"}},
        sizes={"drug": 6, "placebo": 6},
        days=days,
    )
    rows = [[30, 10, 25, 10, 10]] * 5 + [[30, 10, 10, 10, 25]] + [[30, 10, 10, 10, 25]] * 3
    rows += [[30, 10, 10, 10, 10]] * 3
    rows[5] = [30, 10, 25, 10, 10]
    ratio = estimated(written(protocol, rows))["e", "drug", "hazard ratio"]
    assert np.isnan(ratio.value)
    assert ratio.p < 0.05


def test_no_relapse_at_all_is_a_share_of_zero_without_interval():
    cohort = relapsing()
    found = estimated(replace(cohort, scores={"MADRS": np.full_like(cohort.scores["MADRS"], 5.0)}))
    share = found["e", "drug", "share"]
    assert share.value == 0.0
    assert np.isnan(share.low)
    assert np.isnan(found["e", "drug", "median days"].value)
    assert np.isnan(found["e", "drug", "hazard ratio"].p)


def test_everybody_relapses_at_once():
    cohort = relapsing()
    scores = np.full_like(cohort.scores["MADRS"], 30.0)
    found = estimated(replace(cohort, scores={"MADRS": scores}, left_h=np.full(50, np.inf)))
    assert found["e", "drug", "share"].value == 1.0
    assert found["e", "drug", "median days"].value == 7.0


# --- what cannot be analysed ---------------------------------------------------------------------

EVERY: dict[str, dict[str, Any]] = {
    "ancova": {"kind": "change", "at": "day 21"},
    "mmrm": {"kind": "change", "at": "day 21", "analysis": "mmrm"},
    "t": {"kind": "score", "at": "day 21", "analysis": "t"},
    "response": {"kind": "response", "at": "day 21"},
    "remission": {"kind": "remission", "at": "day 21", "at_most": 10},
    "event": {"kind": "event", "event": "nausea"},
    "relapse": {"kind": "relapse", "rule": "MADRS 22 once", "start": "day 7"},
    "lost": {"kind": "relapse", "rule": "response lost", "start": "day 7", "among": "response"},
}
SPOILT = {
    "as drawn": lambda cohort: {},
    "nobody rated": lambda cohort: {"scores": blank(cohort, slice(None))},
    "nobody rated after baseline": lambda cohort: {"scores": blank(cohort, slice(None), after=1)},
    "an arm without ratings": lambda cohort: {"scores": blank(cohort, cohort.arm == 0, after=1)},
    "a control without ratings": lambda cohort: {"scores": blank(cohort, cohort.arm == 2, after=1)},
    "one patient of an arm": lambda cohort: {"scores": blank(cohort, cohort.arm == 0, after=1, but=1)},
    "one patient of the control": lambda cohort: {"scores": blank(cohort, cohort.arm == 2, after=1, but=1)},
    "one patient of each": lambda cohort: {
        "scores": {"MADRS": np.where(np.arange(len(cohort.arm))[:, None] < 3, 20.0, NAN) + np.zeros(4)}
    },
    "all the same": lambda cohort: {"scores": {"MADRS": np.full((len(cohort.arm), 4), 20.0)}},
    "nobody counts": lambda cohort: {"is_analysed": np.zeros(len(cohort.arm), dtype=bool)},
    "an arm that nobody counts of": lambda cohort: {"is_analysed": cohort.arm != 0},
    "a control that nobody counts of": lambda cohort: {"is_analysed": cohort.arm != 2},
    "everybody leaves at once": lambda cohort: {
        "left_h": np.full(len(cohort.arm), 24.0),
        "scores": blank(cohort, slice(None), after=1),
    },
    "an arm in one stratum": lambda cohort: {"stratum": (cohort.arm == 0).astype(np.int64)},
}


def blank(cohort: Cohort, rows: Any, *, after: int = 0, but: int = 0) -> dict[str, np.ndarray]:
    """Return ratings without those of some patients from a visit on, the first few excepted."""
    scores = cohort.scores["MADRS"].copy()
    places = np.arange(len(scores))[rows][but:]
    scores[places, after:] = NAN
    return {"MADRS": scores}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_cannot_be_analysed_is_nan_and_nothing_is_left_out(spoilt: str):
    protocol = trial(EVERY, sizes=SIZES)
    cohort = drawn(protocol)
    found = estimated(replace(cohort, **SPOILT[spoilt](cohort)))
    assert list(found) == list(estimated(cohort))
    assert all(one.n >= 0 for one in found.values())
    for (name, arm, measure), one in found.items():
        if measure == "difference" and one.n == 0:
            assert np.isnan(numbers(one)).all(), (name, arm)


def test_an_arm_that_nobody_is_left_of_does_not_spoil_the_others():
    protocol = trial(EVERY, sizes=SIZES)
    cohort = drawn(protocol)
    whole_trial, found = estimated(cohort), estimated(replace(cohort, is_analysed=cohort.arm != 0))
    for name in ("ancova", "mmrm", "t", "response", "relapse"):
        measure = {"response": "risk difference", "relapse": "hazard ratio"}.get(name, "difference")
        assert np.isnan(found[name, "high", measure].value)
        assert np.isfinite(found[name, "low", measure].value)
    assert found["t", "low", "difference"] == whole_trial["t", "low", "difference"]


def test_one_patient_has_a_mean_and_no_interval():
    protocol = trial(sizes=SIZES)
    cohort = drawn(protocol)
    one = estimated(replace(cohort, scores=blank(cohort, cohort.arm == 0, after=1, but=1)))
    mean = one["last", "high", "mean"]
    assert mean.n <= 1
    assert np.isnan([mean.low, mean.high, mean.p]).all()


CROSSED = {name: one for name, one in EVERY.items() if name not in ("relapse", "lost")}


@pytest.mark.parametrize("n", [2, 3])
def test_smallest_crossover_is_nan_where_it_must_be(n: int):
    paired = {
        name: {key: value for key, value in one.items() if key != "analysis"} for name, one in CROSSED.items()
    }
    endpoints = {name: one | {"at": "day 7"} if "at" in one else one for name, one in paired.items()}
    few = crossover_trial(endpoints, n=n)
    many = crossover_trial(endpoints, n=12)
    found = estimated(drawn(few))
    assert list(found) == list(estimated(drawn(many)))
    assert np.isnan(found["ancova", "drug", "difference"].value)


def test_one_endpoint_alone_is_as_among_all():
    cohort = drawn(trial(EVERY, sizes=SIZES))
    every = [one for one in estimates_of(cohort) if one.endpoint == "mmrm"]
    assert list(map(str, estimates_of(cohort, endpoint="mmrm"))) == list(map(str, every))


# --- what is kept --------------------------------------------------------------------------------


def test_summary_counts_patients_and_describes_every_visit():
    protocol = trial(sizes={"drug": 2, "placebo": 2})
    rows = [[30, 20, NAN, 10], [20, 10, 10, 10], [30, 30, 30, 30], [NAN, 30, 30, 20]]
    kept = summarise(written(protocol, rows, left_day={2: 14.0}, replicate=5))
    assert kept.replicate == 5
    assert kept.enrolled == {"drug": 2, "placebo": 2}
    assert kept.completed == {"drug": 2, "placebo": 1}
    drug, placebo = kept.arms
    assert drug.n.tolist() == [2, 2, 1, 2]
    assert drug.mean.tolist() == [25.0, 15.0, 10.0, 10.0]
    np.testing.assert_allclose(drug.sd, [50**0.5, 50**0.5, NAN, 0.0])
    assert drug.mean_change.tolist() == [0.0, -10.0, -10.0, -15.0]
    np.testing.assert_array_equal(placebo.mean_change, [0.0, 0.0, NAN, NAN])
    np.testing.assert_array_equal(placebo.n, [1, 2, 1, 1])


def test_summary_of_a_crossover_is_by_treatment_over_periods():
    protocol = crossover_trial({"e": {"kind": "change", "at": "day 7"}}, n=2)
    kept = summarise(written(protocol, [[30, 10, 28, 27], [26, 25, 24, 4]], arm=[0, 1]))
    drug = next(one for one in kept.arms if one.arm == "drug")
    assert drug.n.tolist() == [2, 2]
    assert drug.mean.tolist() == [27.0, 7.0]
    assert drug.mean_change.tolist() == [0.0, -20.0]
    assert kept.enrolled == {"drug > placebo": 1, "placebo > drug": 1}


@pytest.mark.parametrize("design", [None, CROSSOVER])
def test_events_are_counted_once_a_patient(design: dict[str, Any] | None):
    cohort = make_cohort(make_protocol(design))
    counted = summarise(cohort).events
    had = cohort.sessions.events["nausea"].any(axis=1)
    assert {arm: one["nausea"] for arm, one in counted.items()} == {
        name: int((had & (cohort.arm == place)).sum()) for place, name in enumerate(cohort.arms)
    }
