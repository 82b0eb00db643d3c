"""What stands for missing values, by hand, and what each estimand does with those after treatment."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from euthymia.errors import InvalidInputError
from euthymia.trials.analysis.imputation import (
    Estimand,
    Imputation,
    for_estimand,
    impute,
    impute_outcome,
)

NAN = np.nan
BASELINE = [30.0, 28.0, 25.0]
VALUES = [
    [20.0, NAN, 12.0, NAN],
    [NAN, 31.0, NAN, NAN],
    [NAN, NAN, NAN, NAN],
]
BY_HAND = {
    Imputation.OBSERVED: VALUES,
    Imputation.NON_RESPONDER: VALUES,
    Imputation.LAST: [[20, 20, 12, 12], [28, 31, 31, 31], [25, 25, 25, 25]],
    Imputation.BASELINE: [[20, 30, 12, 30], [28, 31, 28, 28], [25, 25, 25, 25]],
    Imputation.WORST: [[20, 30, 12, 30], [28, 31, 31, 31], [25, 25, 25, 25]],
}


@pytest.mark.parametrize("method", Imputation)
def test_values_by_hand(method: Imputation):
    assert_array_equal(impute(VALUES, BASELINE, method), BY_HAND[method])


def test_the_worst_is_the_lowest_where_lower_is_worse():
    found = impute(VALUES, BASELINE, "worst value carried forward", is_higher_worse=False)
    assert_array_equal(found, [[20, 20, 12, 12], [28, 31, 28, 28], [25, 25, 25, 25]])


@pytest.mark.parametrize("method", Imputation)
@pytest.mark.parametrize("is_higher_worse", [True, False])
def test_what_was_seen_stays_and_nothing_given_changes(method: Imputation, is_higher_worse: bool):
    values = np.array(VALUES)
    found = impute(values, BASELINE, method, is_higher_worse=is_higher_worse)
    seen = ~np.isnan(values)
    assert_array_equal(found[seen], values[seen])
    assert_array_equal(values, VALUES)


OUTCOMES = {
    Imputation.OBSERVED: [[1, NAN, 0, NAN]],
    Imputation.NON_RESPONDER: [[1, 0, 0, 0]],
    Imputation.LAST: [[1, 1, 0, 0]],
    Imputation.BASELINE: [[1, 0, 0, 0]],
    Imputation.WORST: [[1, 0, 0, 0]],
}


@pytest.mark.parametrize("method", Imputation)
def test_outcomes_by_hand(method: Imputation):
    found = impute_outcome([[True, True, False, True]], [[True, False, True, False]], method)
    assert_array_equal(found, OUTCOMES[method])


# --- estimands -------------------------------------------------------------------------------------

# one stopped after visit 2 and came once more; one missed visit 2 and went on
OBSERVED = [[20.0, 18.0, NAN, 24.0], [22.0, NAN, 16.0, 14.0]]
AFTER = [[False, False, True, True], [False, False, False, False]]
UNMASKED = [[20.0, 18.0, 21.0, 24.0], [22.0, 19.0, 16.0, 14.0]]
ASKED = {
    Estimand.TREATMENT_POLICY: [[20, 18, 21, 24], [22, NAN, 16, 14]],
    Estimand.HYPOTHETICAL: [[20, 18, NAN, NAN], [22, NAN, 16, 14]],
    Estimand.COMPOSITE: [[20, 18, 30, 30], [22, NAN, 16, 14]],
    Estimand.WHILE_ON_TREATMENT: [[20, 18, 18, 18], [22, 22, 16, 14]],
}


@pytest.mark.parametrize("estimand", Estimand)
def test_estimands_by_hand(estimand: Estimand):
    found = for_estimand(OBSERVED, AFTER, UNMASKED, estimand, baseline=BASELINE[:2])
    assert_array_equal(found, ASKED[estimand])


@pytest.mark.parametrize("estimand", Estimand)
def test_where_nobody_stops_and_all_is_seen_estimands_are_one(estimand: Estimand):
    found = for_estimand(UNMASKED, np.zeros((2, 4), bool), UNMASKED, estimand, baseline=BASELINE[:2])
    assert_array_equal(found, UNMASKED)


def test_bad_input_is_named():
    with pytest.raises(InvalidInputError, match=r"'imputation' must be observed cases or last.* Got 'locf'"):
        impute(VALUES, BASELINE, "locf")
    with pytest.raises(
        InvalidInputError, match=r"'estimand' must be treatment policy or .* Got 'per protocol'"
    ):
        for_estimand(OBSERVED, AFTER, UNMASKED, "per protocol", baseline=BASELINE[:2])
    with pytest.raises(InvalidInputError, match="'baseline' must be one number for each patient, 3 of them"):
        impute(VALUES, BASELINE[:2], "observed cases")
    with pytest.raises(InvalidInputError, match="'unmasked' must be of shape"):
        for_estimand(OBSERVED, AFTER, UNMASKED[0], "composite", baseline=BASELINE[:2])
    with pytest.raises(InvalidInputError, match="'is_met' must be patients by visits"):
        impute_outcome([True], [True], "non-responder")
