"""Claim: Kaplan-Meier, log-rank and Cox are those of R's package survival; published numbers come out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.reference.r.stored import columns, results, whole

from euthymia.trials.analysis.survival import Cox, KaplanMeier, cox, kaplan_meier, log_rank

STORED = results("survival")
REMISSION, RELAPSE = columns("remission"), columns("relapse")


def curve_of(data: dict[str, np.ndarray], arm: int | None = None) -> KaplanMeier:
    chosen = np.ones(len(data["arm"]), bool) if arm is None else data["arm"] == arm
    return kaplan_meier(data["time"][chosen], data["event"][chosen])


CURVES = [
    pytest.param(curve_of(REMISSION, 1), STORED["remission"]["treated"], id="mercaptopurine"),
    pytest.param(curve_of(REMISSION, 0), STORED["remission"]["placebo"], id="placebo"),
    pytest.param(curve_of(RELAPSE), STORED["relapse"]["all"], id="relapse"),
]


@pytest.mark.parametrize(("found", "stored"), CURVES)
def test_kaplan_meier_is_that_of_survfit(found: KaplanMeier, stored: dict[str, Any]):
    for values, field in zip(found.at(stored["at"]), ("share", "low", "high"), strict=True):
        assert_allclose(values, np.array(stored[field], float), rtol=1e-12, atol=0, err_msg=field)
    assert found.count_at_risk(stored["at"]).tolist() == stored["at_risk"]
    assert_allclose(found.median(), np.array(stored["median"], float), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("data", "name", "is_stratified"),
    [(REMISSION, "remission", False), (RELAPSE, "relapse", False), (RELAPSE, "relapse", True)],
)
def test_log_rank_is_that_of_survdiff(data: dict[str, np.ndarray], name: str, is_stratified: bool):
    strata = whole(data["stratum"]) if is_stratified else None
    found = log_rank(data["time"], data["event"], whole(data["arm"]), strata=strata)
    stored = STORED[name]["log_rank_stratified" if is_stratified else "log_rank"]
    assert found.statistic == pytest.approx(stored["statistic"], rel=1e-11)
    assert found.p == pytest.approx(stored["p"], rel=1e-11)


def assert_same_hazards(found: Cox, stored: dict[str, Any]) -> None:
    ratios = (found.hazard_ratio, found.covariate_ratio)
    log_value = np.concatenate([np.log(one.value) for one in ratios])
    error = np.concatenate([one.log_standard_error for one in ratios])
    assert_allclose(log_value, np.ravel(stored["log_value"]), rtol=1e-10, atol=0)
    assert_allclose(error, np.ravel(stored["se"]), rtol=1e-10, atol=0)
    assert found.log_likelihood == pytest.approx(stored["log_likelihood"], rel=1e-12)


def test_hazard_ratio_is_that_of_coxph():
    found = cox(REMISSION["time"], REMISSION["event"], whole(REMISSION["arm"]))
    assert_same_hazards(found, STORED["remission"]["cox"])


@pytest.mark.parametrize(
    ("name", "is_adjusted", "is_stratified"),
    [("cox", False, False), ("cox_adjusted", True, False), ("cox_stratified", True, True)],
)
def test_hazard_ratios_with_ties_are_those_of_coxph(name: str, is_adjusted: bool, is_stratified: bool):
    found = cox(
        RELAPSE["time"],
        RELAPSE["event"],
        whole(RELAPSE["arm"]),
        covariates=RELAPSE["x"][:, None] if is_adjusted else None,
        strata=whole(RELAPSE["stratum"]) if is_stratified else None,
    )
    assert_same_hazards(found, STORED["relapse"][name])


def test_mercaptopurine_is_as_published():
    # Freireich et al. (1963) as analysed in text books: chi-square 16.79, median 8 and 23 weeks
    assert log_rank(
        REMISSION["time"], REMISSION["event"], whole(REMISSION["arm"])
    ).statistic == pytest.approx(16.79, abs=0.005)
    assert curve_of(REMISSION, 0).median()[0] == 8.0
    assert curve_of(REMISSION, 1).median()[0] == 23.0
