"""Claim: pooled differences and odds ratios of strata are those of R's package metafor."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference.r.stored import results

from euthymia.trials.analysis.proportions import stratified_difference, stratified_odds_ratio

STORED = results("shares")


@pytest.mark.parametrize("name", ["all", "few"])
def test_stratified_difference_is_that_of_rma_mh(name: str):
    stored = STORED[name]
    found = stratified_difference(stored["events"], stored["totals"])
    assert found.value == pytest.approx(stored["difference"]["value"], rel=1e-12)
    assert found.standard_error == pytest.approx(stored["difference"]["se"], rel=1e-12)


@pytest.mark.parametrize("name", ["all", "few"])
def test_stratified_odds_ratio_is_that_of_rma_mh(name: str):
    stored = STORED[name]
    found = stratified_odds_ratio(stored["events"], stored["totals"])
    assert np.log(found.value) == pytest.approx(stored["odds_ratio"]["log_value"], rel=1e-12)
    assert found.log_standard_error == pytest.approx(stored["odds_ratio"]["se"], rel=1e-12)
