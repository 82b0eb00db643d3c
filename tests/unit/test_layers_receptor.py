"""The receptor alone: block of NMDA current, trapping, occupancy of a transporter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from tests.registry import layer_course, typical
from tests.strategies import concentrations, fractions, layer_parameters

from euthymia.engine.maths import NUMPY
from euthymia.mechanism.receptor import nmda
from euthymia.mechanism.receptor.occupancy import occupancy
from euthymia.tables import read_table

TYPICAL = typical("receptor")
UNTRAPPED = nmda.initial()
TIMES_H = np.linspace(0.0, 12.0, 49)


def blocks(x: object, parameters: nmda.Parameters = TYPICAL, trapped: float = 0.0) -> nmda.Outputs:
    return nmda.outputs(NUMPY, nmda.State(trapped), nmda.Inputs(x), parameters)


# --- block -----------------------------------------------------------------------------------------


@given(x=concentrations(), parameters=layer_parameters("receptor"), trapped=fractions())
def test_block_lies_between_0_and_1(x: float, parameters: nmda.Parameters, trapped: float):
    for one in blocks(x, parameters, trapped):
        assert 0.0 <= one <= 1.0


@given(low=concentrations(), high=concentrations(), parameters=layer_parameters("receptor"))
def test_more_drug_blocks_no_less(low: float, high: float, parameters: nmda.Parameters):
    low, high = sorted((low, high))
    less, more = blocks(low, parameters, 0.3), blocks(high, parameters, 0.3)
    # rounding of exp and log may turn equal blocks around in the last digits
    assert all(a <= b + 1e-14 for a, b in zip(less, more, strict=True))


def test_block_rises_strictly_over_nine_decades():
    x = np.geomspace(1e-6, 1e3, 400)
    for one in blocks(x):
        assert np.all(np.diff(one) > 0)


def test_half_of_the_current_is_blocked_at_the_half_block_concentration():
    interneurons = blocks(TYPICAL.interneuron_half_block_umol_per_L)
    pyramidal = blocks(TYPICAL.pyramidal_half_block_umol_per_L)
    assert interneurons.interneuron_block_fraction == pytest.approx(0.5, rel=1e-14, abs=0)
    assert pyramidal.pyramidal_block_fraction == pytest.approx(0.5, rel=1e-14, abs=0)


def test_block_is_the_hyperbola_of_one_site():
    x = np.array([0.0, 1e-3, 0.1, 0.3, 2.5, 40.0])
    found = blocks(x)
    np.testing.assert_allclose(found.interneuron_block_fraction, x / (x + 0.3), rtol=1e-13, atol=0)
    np.testing.assert_allclose(found.pyramidal_block_fraction, x / (x + 2.5), rtol=1e-13, atol=0)


def test_without_drug_nothing_is_blocked():
    assert tuple(blocks(0.0)) == (0.0, 0.0)
    assert nmda.rates(NUMPY, UNTRAPPED, nmda.Inputs(0.0), TYPICAL) == UNTRAPPED


def test_interneurons_are_blocked_more_than_pyramidal_cells_at_every_concentration():
    found = blocks(np.geomspace(1e-6, 1e3, 100))
    assert np.all(found.interneuron_block_fraction > found.pyramidal_block_fraction)


def test_the_share_of_trapping_mixes_free_and_trapped_block_of_interneurons_only():
    free = blocks(0.3)
    for share in (0.0, 0.25, 1.0):
        mixed = blocks(0.3, typical("receptor", trapping_share_fraction=share), 0.9)
        assert mixed.interneuron_block_fraction == pytest.approx((1 - share) * 0.5 + share * 0.9, rel=1e-14)
        assert mixed.pyramidal_block_fraction == free.pyramidal_block_fraction


# --- trapping --------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [0.05, 0.3, 5.0])
def test_trapping_follows_its_closed_form_to_its_balance(x: float):
    on, off = TYPICAL.trapping_on_L_per_umol_per_h * x, TYPICAL.trapping_off_per_h
    expected = on / (on + off) * (1.0 - np.exp(-(on + off) * TIMES_H))
    found = layer_course("receptor", UNTRAPPED, TYPICAL, TIMES_H, nmda.Inputs(x))
    np.testing.assert_allclose(found.trapped_block_fraction, expected, rtol=1e-9, atol=1e-12)


@given(x=concentrations(), parameters=layer_parameters("receptor"))
def test_nothing_moves_at_the_balance_of_trapping(x: float, parameters: nmda.Parameters):
    on = parameters.trapping_on_L_per_umol_per_h * x
    balance = nmda.State(on / (on + parameters.trapping_off_per_h))
    change = nmda.rates(NUMPY, balance, nmda.Inputs(x), parameters).trapped_block_fraction
    assert abs(change) <= 1e-14 * (on + parameters.trapping_off_per_h)


def test_balance_of_trapping_is_the_equilibrium_block_of_interneurons():
    x = np.array([0.01, 0.3, 3.0])
    equilibrium = nmda.State(blocks(x).interneuron_block_fraction)
    change = nmda.rates(NUMPY, equilibrium, nmda.Inputs(x), TYPICAL).trapped_block_fraction
    np.testing.assert_allclose(change, 0.0, rtol=0, atol=1e-13)


def test_half_of_what_is_trapped_leaves_in_three_hours():
    half_life_h = np.log(2.0) / TYPICAL.trapping_off_per_h
    assert half_life_h == pytest.approx(3.0, rel=1e-3)  # printed as about 3 h
    found = layer_course(
        "receptor", nmda.State(0.8), TYPICAL, [0.0, half_life_h, 2 * half_life_h], nmda.Inputs(0.0)
    )
    np.testing.assert_allclose(found.trapped_block_fraction, [0.8, 0.4, 0.2], rtol=1e-9, atol=0)


@given(x=concentrations(), parameters=layer_parameters("receptor"))
def test_trapping_cannot_leave_0_to_1(x: float, parameters: nmda.Parameters):
    given_x = nmda.Inputs(x)
    assert nmda.rates(NUMPY, nmda.State(0.0), given_x, parameters).trapped_block_fraction >= 0.0
    assert nmda.rates(NUMPY, nmda.State(1.0), given_x, parameters).trapped_block_fraction <= 0.0


# --- occupancy of a transporter ----------------------------------------------------------------------


def test_four_times_the_half_occupancy_dose_occupies_80_percent():
    half = np.array([2.5, 12.5, 18.75])
    np.testing.assert_allclose(occupancy(4.0 * half, half), 0.8, rtol=1e-15, atol=0)
    np.testing.assert_allclose(occupancy(half, half), 0.5, rtol=1e-15, atol=0)


@pytest.mark.parametrize("row", read_table("antidepressants.csv"), ids=lambda row: row["name"])
def test_the_minimum_dose_of_each_antidepressant_occupies_80_percent(row: dict[str, str]):
    dose, half = float(row["minimum_effective_dose_mg"]), float(row["half_occupancy_dose_mg"])
    assert occupancy(dose, half) == pytest.approx(0.8, rel=1e-15, abs=0)


@given(low=concentrations(), high=concentrations())
def test_occupancy_rises_with_the_dose_and_stays_below_1(low: float, high: float):
    low, high = sorted((low, high))
    assert 0.0 <= occupancy(low, 2.5) <= occupancy(high, 2.5) < 1.0
    assert occupancy(0.0, 2.5) == 0.0
