"""Response, remission and relapse on totals made by hand; ratings that hang on the visit alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.model.parameters import load_parameters
from euthymia.model.scales import find_scale
from euthymia.population.outcomes import (
    RelapseRule,
    rate,
    relapse_rules,
    relapse_visit,
    remission,
    response,
)

PARAMETERS = load_parameters()
NUMBERS = np.arange(1, 7)
SEVERITY = np.tile(np.linspace(0.2, 0.8, 6)[:, None], (1, 3))


def array(*rows: list[float]) -> np.ndarray:
    return np.array(rows, float)


# --- response --------------------------------------------------------------------------------------


def test_response_is_a_fall_by_half_or_more():
    found = response(array([34, 34, 34, 34])[0], array([16], [17], [18], [40]), "MADRS")
    assert found[:, 0].tolist() == [True, True, False, False]


def test_half_of_an_odd_baseline_needs_the_whole_point_below():
    found = response(array([33, 33])[0], array([16], [17]), "MADRS")
    assert found[:, 0].tolist() == [True, False]


def test_response_is_told_at_every_visit_on_its_own():
    found = response(array([30])[0], array([30, 15, 16, 0]), "MADRS")
    assert found.tolist() == [[False, True, False, True]]


def test_nobody_responds_from_a_baseline_at_the_minimum():
    assert response(array([0.0])[0], array([0, 0]), "MADRS").tolist() == [[False, False]]


def test_response_counts_from_the_minimum_of_a_scale():
    madrs = find_scale("MADRS")
    lifted = replace(madrs, map=madrs.map._replace(minimum_points=10.0, maximum_points=70.0))
    found = response(array([40, 40, 10])[0], array([25], [26], [10]), lifted)
    assert found[:, 0].tolist() == [True, False, False]


def test_another_fraction_asks_for_another_fall():
    quarter = replace(find_scale("MADRS"), response_fraction=0.25)
    assert response(array([40, 40])[0], array([30], [31]), quarter)[:, 0].tolist() == [True, False]


@given(baseline=st.integers(1, 60), total=st.integers(0, 60), lower=st.integers(0, 60))
def test_a_lower_total_never_undoes_a_response(baseline: int, total: int, lower: int):
    low, high = sorted((total, lower))
    found = response(np.array([baseline], float), array([high, low]), "MADRS")[0]
    assert found[1] >= found[0]


# --- remission -------------------------------------------------------------------------------------


def test_remission_includes_its_cut_off():
    assert remission(array([9, 10, 11]), 10.0).tolist() == [[True, True, False]]


def test_definitions_of_remission_on_the_madrs_differ_where_they_say():
    cuts = [cut.at_most_points for cut in find_scale("MADRS").remissions]
    totals = array([9, 10, 12, 13])
    assert [remission(totals, cut)[0].tolist() for cut in sorted(cuts)] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
    ]


# --- relapse ---------------------------------------------------------------------------------------

START = array([36, 36, 36, 36, 36])[0]


def test_four_definitions_of_relapse_are_shipped():
    assert list(relapse_rules()) == ["MADRS 22 twice", "MADRS 22 once", "response lost", "QIDS-SR16 11"]


def test_madrs_of_22_twice_in_a_row_is_relapse_at_the_second():
    totals = array(
        [10, 22, 22, 10, 10],
        [10, 22, 21, 22, 22],
        [10, 22, 21, 22, 21],
        [10, 21, 21, 21, 21],
        [10, 30, 30, 30, 30],
    )
    assert relapse_visit("MADRS 22 twice", START, totals).tolist() == [2, 4, -1, -1, 2]


def test_madrs_of_22_once_is_relapse_at_once():
    totals = array([10, 22, 5], [10, 21, 22], [10, 21, 21], [5, 5, 60], [12, 60, 60])
    assert relapse_visit("MADRS 22 once", START, totals).tolist() == [1, 2, -1, 2, 1]


def test_the_visit_at_which_someone_was_well_never_counts():
    totals = array([30, 10, 10], [30, 30, 10], [30, 30, 30], [30, 10, 30], [10, 10, 10])
    assert relapse_visit("MADRS 22 twice", START, totals).tolist() == [-1, -1, 2, -1, -1]
    assert relapse_visit("MADRS 22 once", START, totals).tolist() == [-1, 1, 1, 2, -1]


def test_lost_response_is_a_fall_from_baseline_of_less_than_half():
    totals = array([10, 18, 19], [10, 18, 18], [10, 19, 5], [10, 36, 36], [10, 0, 0])
    assert relapse_visit("response lost", START, totals).tolist() == [2, -1, 1, 1, -1]


def test_qids_of_11_is_relapse():
    totals = array([4, 10, 11], [4, 10, 10])
    assert relapse_visit("QIDS-SR16 11", np.array([18.0, 18.0]), totals).tolist() == [2, -1]


def test_lost_response_is_judged_on_the_scale_of_the_rule():
    lost = replace(relapse_rules()["response lost"], scale="QIDS-SR16")
    assert relapse_visit(lost, np.array([20.0]), array([5, 10, 11])).tolist() == [2]


def test_a_rule_of_three_visits_needs_three():
    thrice = RelapseRule(
        name="", scale="MADRS", at_least_points=20.0, visits=3, is_lost_response=False, source=""
    )
    totals = array([5, 20, 20, 19, 20, 20, 20, 20])
    assert relapse_visit(thrice, START[:1], totals).tolist() == [6]


def test_one_visit_alone_shows_no_relapse():
    assert relapse_visit("MADRS 22 once", START[:2], array([30], [10])).tolist() == [-1, -1]


@pytest.mark.parametrize("totals", [np.zeros(3), np.zeros((3, 0)), np.zeros((1, 2, 2))])
def test_totals_of_a_wrong_shape_are_refused(totals: np.ndarray):
    with pytest.raises(InvalidInputError, match=r"'totals' must be \(patients, visits\) with a visit"):
        relapse_visit("MADRS 22 once", START[:3], totals)


def test_an_unknown_definition_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Unknown definition of relapse 'MADRS 22'. Did you mean"):
        relapse_visit("MADRS 22", START[:1], array([1, 2]))


def test_totals_handed_in_are_left_as_they_are():
    totals = array([30, 22, 22])
    relapse_visit("MADRS 22 twice", START[:1], totals)
    assert totals.tolist() == [[30, 22, 22]]


# --- ratings ---------------------------------------------------------------------------------------


def rated(
    severity: np.ndarray = SEVERITY,
    times_h: tuple[float, ...] = (0.0, 24.0, 168.0),
    *,
    scale: str = "MADRS",
    numbers: np.ndarray = NUMBERS,
    seed: int = 1,
) -> np.ndarray:
    return rate(severity, scale, times_h, parameters=PARAMETERS, numbers=numbers, seed=seed)


def test_ratings_are_whole_points_within_the_range():
    found = rated()
    assert found.shape == SEVERITY.shape
    assert np.array_equal(found, np.rint(found))
    assert found.min() >= 0
    assert found.max() <= 60


def test_another_visit_or_another_patient_moves_no_rating():
    full = rated()
    assert np.array_equal(rated(SEVERITY[:, 1:2], (24.0,)), full[:, 1:2])
    assert np.array_equal(rated(SEVERITY[3:], numbers=NUMBERS[3:]), full[3:])


def test_ratings_differ_between_visits_patients_seeds_and_scales():
    same = np.full((6, 3), 0.5)
    found = rated(same)
    assert len(np.unique(found[:, 0])) > 2
    assert not np.array_equal(found[:, 0], found[:, 1])
    assert not np.array_equal(found, rated(same, seed=2))
    assert not np.array_equal(found, 60 / 52 * rated(same, scale="HAM-D17"))


def test_a_minute_is_another_visit_and_the_same_time_the_same():
    same = np.full((6, 3), 0.5)
    found = rated(same, (24.0, 24.0, 24.0 + 1 / 60))
    assert np.array_equal(found[:, 0], found[:, 1])
    assert not np.array_equal(found[:, 0], found[:, 2])


def test_visits_before_time_0_are_rated_too_and_differ_from_those_after():
    same = np.full((6, 2), 0.5)
    found = rated(same, (-168.0, 168.0))
    assert not np.array_equal(found[:, 0], found[:, 1])


def test_a_share_of_common_noise_set_by_the_user_is_used():
    shared = PARAMETERS.with_overrides({"rating.common_noise_fraction": 1.0})
    severity = np.full((6, 1), 0.5)
    madrs = find_scale("MADRS")
    double = replace(madrs, name="another")
    both = [
        rate(severity, one, [24.0], parameters=shared, numbers=NUMBERS, seed=1) for one in (madrs, double)
    ]
    assert np.array_equal(both[0], both[1])
    own = [
        rate(severity, one, [24.0], parameters=PARAMETERS, numbers=NUMBERS, seed=1) for one in (madrs, double)
    ]
    assert not np.array_equal(own[0], own[1])


def test_no_visit_gives_no_rating():
    assert rated(np.zeros((6, 0)), ()).shape == (6, 0)
