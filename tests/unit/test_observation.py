"""Readings of a session: whole, with the stated scatter, the same whatever else is read."""

from __future__ import annotations

import numpy as np
import pytest

from euthymia.errors import UnknownNameError
from euthymia.model.parameters import load_parameters
from euthymia.population.observation import OBSERVED, VITAL_SIGNS, observe

MANY = np.arange(1, 20_001)
AT_H = np.array([0.0, 40.0 / 60.0, 1.0, 1.5])
CHAIN = load_parameters().chain
LARGEST_OF_THREE = 3.0 / (2.0 * np.sqrt(np.pi))
"""Mean of the largest of three standard normals."""


def seen(
    variable: str, expected: float, *, numbers: np.ndarray = MANY, times_h: np.ndarray = AT_H
) -> np.ndarray:
    values = np.full((len(numbers), len(times_h)), expected)
    return observe(variable, values, times_h, parameters=load_parameters(), numbers=numbers, seed=1)


def value(field: str) -> float:
    return CHAIN[f"reading.{field}"].value


@pytest.mark.parametrize("variable", OBSERVED)
def test_readings_are_whole_and_within_their_range(variable: str):
    found = seen(variable, 4.0)
    assert (found == np.rint(found)).all()
    highest = {"cadss_points": 92.0, "moaas_points": 5.0}.get(variable, np.inf)
    assert found.min() >= 0.0
    assert found.max() <= highest


@pytest.mark.parametrize("variable", OBSERVED)
def test_a_reading_does_not_depend_on_what_else_is_read_or_on_who_else_is_there(variable: str):
    everything = seen(variable, 4.0)
    alone = seen(variable, 4.0, numbers=np.array([17]), times_h=AT_H[2:3])
    assert alone[0, 0] == everything[16, 2]


@pytest.mark.parametrize("variable", VITAL_SIGNS)
def test_a_vital_sign_is_resting_value_and_rise_with_the_stated_scatter(variable: str):
    resting, noise = VITAL_SIGNS[variable]
    row = CHAIN[f"reading.{resting}"]
    found = seen(variable, 10.0)
    error = 4.0 * np.hypot(row.sd, value(noise)) / np.sqrt(len(MANY))
    assert found[:, 0].mean() == pytest.approx(row.value + 10.0, abs=error)
    within = found.std(axis=1, ddof=1)
    assert np.sqrt((within**2).mean()) == pytest.approx(np.hypot(value(noise), np.sqrt(1 / 12)), rel=0.02)
    assert found.mean(axis=1).std() == pytest.approx(np.hypot(row.sd, value(noise) / 2.0), rel=0.03)


@pytest.mark.parametrize(("variable", "printed"), [("systolic_rise_mmHg", 6.1), ("diastolic_rise_mmHg", 4.9)])
def test_scatter_alone_gives_the_mean_of_maxima_on_placebo_that_it_was_set_to(variable: str, printed: float):
    found = seen(variable, 0.0)
    largest = (found[:, 1:].max(axis=1) - found[:, 0]).mean()
    noise = value(VITAL_SIGNS[variable][1])
    assert largest == pytest.approx(LARGEST_OF_THREE * noise, abs=0.2)
    assert largest == pytest.approx(printed, abs=0.2)


def test_cadss_without_drug_is_zero_and_its_mean_stays_where_it_is_expected():
    assert not seen("cadss_points", 0.0).any()
    assert seen("cadss_points", 20.0).mean() == pytest.approx(20.0, rel=0.01)
    assert seen("cadss_points", 20.0).std() == pytest.approx(
        20.0 * np.sqrt(np.expm1(value("cadss_noise_relative") ** 2)), rel=0.03
    )


def test_small_cadss_is_often_zero_and_sometimes_large():
    found = seen("cadss_points", 0.6)
    assert 0.2 < (found == 0).mean() < 0.8
    assert found.max() >= 2.0


def test_alertness_scatters_only_between_awake_and_unresponsive():
    assert (seen("moaas_points", 5.0) == 5.0).all()
    assert (seen("moaas_points", 0.0) == 0.0).all()
    halfway = seen("moaas_points", 2.5)
    assert halfway.mean() == pytest.approx(2.5, abs=0.02)
    assert set(np.unique(halfway)) >= {2.0, 3.0}


def test_what_nobody_reads_is_refused_by_name():
    with pytest.raises(UnknownNameError, match="Unknown variable that is read in a session 'cadss_point'"):
        seen("cadss_point", 1.0)
