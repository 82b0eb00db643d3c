"""Claim: the mixed model for repeated measures is that of R's nlme::gls and of R's package mmrm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.reference.r.stored import columns, results, visits, whole

from euthymia.trials.analysis.mmrm import Mmrm, mmrm

STORED = results("mmrm")
CASES = ("dental", "dental_holes", "trial", "trial_no_stratum")


def fitted(name: str, method: str = "satterthwaite") -> Mmrm:
    data = columns(name.removesuffix("_no_stratum"))
    values, arm = visits(data), whole(data["arm"])
    if name.startswith("dental"):
        return mmrm(values, arm, method=method)
    strata = data["stratum"][:, None] if name == "trial" else None
    return mmrm(values, arm, baseline=data["baseline"], strata=strata, method=method)


def assert_same(found: Any, stored: dict[str, Any], fields: dict[str, tuple[str, float]]) -> None:
    for own, (field, rtol) in fields.items():
        assert_allclose(getattr(found, own), stored[field], rtol=rtol, atol=0, err_msg=field)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("what", ["mean", "contrast"])
def test_estimates_and_standard_errors_are_those_of_gls(name: str, what: str):
    # gls searches by numerical derivatives, which leaves it 1e-6 from the maximum
    fields = {"value": ("value", 1e-6), "standard_error": ("se", 2e-6)}
    assert_same(getattr(fitted(name), what), STORED[name]["gls"][what], fields)


@pytest.mark.parametrize("name", CASES)
def test_covariance_and_likelihood_are_those_of_gls(name: str):
    found, stored = fitted(name), STORED[name]
    assert_allclose(found.covariance, stored["covariance"], rtol=5e-6, atol=0)
    assert found.log_likelihood == pytest.approx(stored["log_likelihood"], rel=1e-10)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("what", ["mean", "contrast"])
@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger"])
def test_degrees_of_freedom_are_those_of_the_package_mmrm(name: str, what: str, method: str):
    fields = {
        "value": ("value", 1e-6),
        "standard_error": ("se", 1e-6),
        "df": ("df", 1e-6),
        "p": ("p", 2e-5),  # of a mean, 1e-20 and less: df to 7 digits
    }
    stored = STORED[name][method.replace("-", "_")]
    assert_same(getattr(fitted(name, method), what), stored[what], fields)


def test_what_was_deleted_depends_on_what_was_seen():
    whole_data, holes = visits(columns("dental")), visits(columns("dental_holes"))
    at_10, at_14 = whole_data[:, 0] < 20.75, whole_data[:, 2] < 23.0
    assert at_10.any()
    assert at_14.any()
    assert np.isnan(holes).T.tolist() == [[False] * 27, at_10.tolist(), [False] * 27, at_14.tolist()]
