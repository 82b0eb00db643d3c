"""The excitation-inhibition node under NMDA block: its steady state, its fluctuations, what it refuses."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline
from scipy.linalg import solve_continuous_lyapunov
from scipy.optimize import brentq

from euthymia.citations import load_sources
from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.mechanism.circuit.simulation import simulate
from euthymia.mechanism.circuit.spectrum import gamma_index, linearise, power_density
from euthymia.mechanism.circuit.steady import (
    Parameters,
    count_states,
    currents,
    feedback_inhibition_nA,
    flow_per_ms,
    gain,
    gain_samples,
    pyramidal_rate,
    read_inputs,
    residual_slope,
    steady,
)
from euthymia.tables import read_table

ROWS = {row["field"]: row for row in read_table("parameters/circuit.csv") if row["set"] == "composed"}
NAMES = [field.name for field in fields(Parameters)]
NODE = Parameters(**{name: float(ROWS[name]["value"]) for name in NAMES})
SHARE_E, SHARE_I = (float(ROWS[f"{cell}_nmda_share"]["value"]) for cell in ("pyramidal", "interneuron"))
GRID = np.linspace(0.0, 1.0, 41)
X, Y = np.meshgrid(GRID, GRID, indexing="ij")


def blocks(concentration: np.ndarray, k_e: float, k_i: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the effective blocks at concentrations, with the affinities of both cell types."""
    return SHARE_E * concentration / (concentration + k_e), SHARE_I * concentration / (concentration + k_i)


# --- the steady state ----------------------------------------------------------------------------


def test_feedback_inhibition_is_the_published_one_at_3_06_hz():
    assert NODE.resting_rate_Hz == 3.06
    assert round(feedback_inhibition_nA(NODE), 4) == 1.0024


@pytest.mark.parametrize("rate_Hz", [0.5, 3.06, 10.0, 40.0])
def test_drug_free_rate_is_its_target(rate_Hz: float):
    node = replace(NODE, resting_rate_Hz=rate_Hz)
    assert steady(0.0, 0.0, node).pyramidal_rate_Hz == pytest.approx(rate_Hz, rel=1e-12, abs=0)
    assert gain(0.0, 0.0, node) == pytest.approx(1.0, rel=1e-12, abs=0)


def test_rates_under_block_are_those_of_the_published_table_to_two_decimals():
    concentration = np.array([0.1, 0.25, 0.5, 1, 2, 5, 10, 30])
    state, rest = steady(*blocks(concentration, 5.0, 0.6), NODE), steady(0.0, 0.0, NODE)
    ratio_e = state.pyramidal_rate_Hz / rest.pyramidal_rate_Hz
    ratio_i = state.interneuron_rate_Hz / rest.interneuron_rate_Hz
    assert ratio_e.round(2).tolist() == [1.10, 1.25, 1.43, 1.60, 1.52, 1.18, 0.99, 0.85]
    assert ratio_i.round(2).tolist() == [0.98, 0.96, 0.92, 0.87, 0.80, 0.73, 0.71, 0.70]


def test_default_affinities_give_an_inverted_u_with_its_top_at_clinical_exposure():
    concentration = np.geomspace(0.01, 1000.0, 400)
    response = gain(*blocks(concentration, 2.5, 0.3), NODE)
    top = int(response.argmax())
    assert 0.4 < concentration[top] < 1.0
    assert 1.55 < response[top] < 1.65
    assert np.all(np.diff(response[: top + 1]) > 0)
    assert np.all(np.diff(response[top:]) < 0)
    assert 0.7 < response[-1] < 0.8


def test_equal_affinity_gives_no_rise_worth_the_name():
    concentration = np.geomspace(0.05, 1.0, 40)
    assert gain(*blocks(concentration, 2.0, 2.0), NODE).max() < 1.01


def test_steady_state_leaves_no_flow():
    state = steady(X, Y, NODE)
    flow_e, flow_i = flow_per_ms(state.s_e, state.s_i, read_inputs(X, Y, 1.0), NODE)
    # residual of S_E in its own units: flow times decay time
    np.testing.assert_allclose(flow_e * NODE.pyramidal_decay_ms, 0.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(flow_i * NODE.interneuron_decay_ms, 0.0, rtol=0, atol=1e-12)


def brent(x: float, y: float) -> float:
    """Return the pyramidal rate by nested root finding in seconds, written apart from the package."""
    p, inhibition = NODE, feedback_inhibition_nA(NODE)

    def rate(current: float, slope: float, threshold: float, curvature_s: float) -> float:
        drive = slope * current - threshold
        return drive / (1.0 - np.exp(-curvature_s * drive))

    def settled(s_e: float) -> tuple[float, float]:
        def excess(s_i: float) -> float:
            current = p.interneuron_drive_ratio * p.external_current_nA
            current += p.nmda_current_nA * (1 - y) * s_e - s_i
            return s_i - 0.01 * rate(current, 615.0, 177.0, 0.087)

        s_i = brentq(excess, 0.0, 2.0, xtol=1e-15)
        current = p.external_current_nA + 1.4 * p.nmda_current_nA * (1 - x) * s_e - inhibition * s_i
        return s_i, rate(current, 310.0, 125.0, 0.16)

    s_e = brentq(lambda s: 0.0641 * (1 - s) * settled(s)[1] - s, 1e-6, 1 - 1e-6, xtol=1e-15)
    return settled(s_e)[1]


@pytest.mark.parametrize(("x", "y"), list(product((0.0, 0.13, 0.5, 1.0), (0.0, 0.37, 0.9, 1.0))))
def test_steady_state_equals_nested_root_finding(x: float, y: float):
    assert steady(x, y, NODE).pyramidal_rate_Hz == pytest.approx(brent(x, y), rel=1e-10, abs=0)


@pytest.mark.parametrize("z", [-60.0, -1.0, -0.051, -0.049, -1e-3, 1e-3, 0.049, 0.051, 1.0, 60.0])
def test_transfer_function_and_its_slope_hold_through_the_threshold(z: float):
    curvature_s = NODE.pyramidal_curvature_ms / 1000.0
    current = (z / curvature_s + NODE.pyramidal_threshold_Hz) / NODE.pyramidal_slope_Hz_per_nA
    found = pyramidal_rate(np.array(current), NODE)
    # what rounding of the current leaves of z, in extended precision
    wide = np.longdouble(curvature_s) * np.longdouble(
        NODE.pyramidal_slope_Hz_per_nA * current - NODE.pyramidal_threshold_Hz
    )
    value = wide / -np.expm1(-wide)
    slope = value * (1 + wide - value) / wide * NODE.pyramidal_slope_Hz_per_nA
    assert float(found.rate_Hz) == pytest.approx(float(value / curvature_s), rel=1e-13, abs=0)
    assert float(found.slope_Hz_per_nA) == pytest.approx(float(slope), rel=1e-11, abs=0)


def test_no_element_knows_which_others_are_solved_beside_it():
    together = steady(X, Y, NODE)
    alone = [steady(x, y, NODE) for x, y in ((X[3, 17], Y[3, 17]), (X[40, 2], Y[40, 2]))]
    # the last bits of exp may depend on the place in a vector
    for state, place in zip(alone, ((3, 17), (40, 2)), strict=True):
        for one, many in zip(state, together, strict=True):
            assert float(one) == pytest.approx(float(many[place]), rel=1e-14, abs=0)


def test_there_is_one_steady_state_for_any_block():
    assert count_states(NODE) == 1


def test_the_state_stays_away_from_a_fold_over_the_whole_square():
    slope = residual_slope(steady(X, Y, NODE).s_e, X, Y, NODE)
    assert slope.max() < -0.2


def test_slope_of_the_residual_is_its_derivative():
    s_e, step = np.array([0.1, 0.3, 0.6]), 1e-6

    def residual(values: np.ndarray) -> np.ndarray:
        # dF/dS_E with S_I settled, from the flow of S_E at the S_I that brings dS_I/dt to 0
        s_i = np.zeros_like(values)
        for _ in range(200):
            _, flow = flow_per_ms(values, s_i, inputs, NODE)
            s_i = s_i + flow
        return flow_per_ms(values, s_i, inputs, NODE)[0] * NODE.pyramidal_decay_ms

    inputs = read_inputs(np.full(3, 0.1), np.full(3, 0.4), 1.0)
    central = (residual(s_e + step) - residual(s_e - step)) / (2 * step)
    np.testing.assert_allclose(residual_slope(s_e, 0.1, 0.4, NODE), central, rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_gain_has_no_jump_and_no_kink_over_the_square():
    """A jump would keep its first difference on a finer grid, a kink would halve its second only."""
    largest = []
    for count in (101, 201, 401):
        samples = gain_samples(count, NODE)
        largest.append([max(np.abs(np.diff(samples, n, axis)).max() for axis in (0, 1)) for n in (1, 2, 3)])
    coarse, middle, fine = largest
    for order in (1, 2, 3):
        for few, many in ((coarse, middle), (middle, fine)):
            # 0.5^order where smooth; a jump of the second derivative would leave 0.25 in the third order
            assert many[order - 1] < few[order - 1] * 0.5 ** (0.9 * order), order


def test_block_of_pyramidal_cells_lowers_and_block_of_interneurons_raises_the_gain():
    samples = gain_samples(41, NODE)
    assert np.all(np.diff(samples, axis=0) < 0)
    assert np.all(np.diff(samples, axis=1) > 0)


@pytest.mark.slow
def test_421_samples_are_enough_for_a_spline_within_1e_6():
    grid, between = np.linspace(0.0, 1.0, 421), (np.arange(311) + 0.5) / 311
    # the corner where the gain bends most, between the nodes
    near = np.unique(np.concatenate([between, np.linspace(0.0, 0.01, 40)]))
    middle = np.unique(np.concatenate([between, np.linspace(0.48, 0.53, 60)]))
    spline = RectBivariateSpline(grid, grid, gain_samples(421, NODE), kx=3, ky=3, s=0)
    right = gain(near[:, None], middle[None, :], NODE)
    np.testing.assert_allclose(spline(near, middle), right, rtol=0, atol=1e-6)


# --- GABA-A gain ---------------------------------------------------------------------------------


def test_gain_of_inhibition_lowers_the_rate_and_leaves_the_drug_free_one():
    factors = np.array([0.8, 1.0, 1.2, 1.5, 2.0, 5.0])
    response = gain(0.0, 0.0, NODE, inhibition_gain=factors)
    assert np.all(np.diff(response) < 0)
    assert response[1] == pytest.approx(1.0, rel=1e-12, abs=0)
    # a sedative on top of a clinical block takes the surge away
    assert gain(*blocks(np.array(0.6), 2.5, 0.3), NODE, inhibition_gain=1.3) < 1.0


def test_extreme_inhibition_overflows_nothing():
    assert 0.0 <= gain(0.2, 0.3, NODE, inhibition_gain=1e6) < 1e-6


def test_a_node_with_two_stable_states_is_refused_as_a_table():
    assert count_states(NODE, inhibition_gain=1.4) == 3
    with pytest.raises(RunFailedError, match=r"more than one steady state.*Inhibition gain 1\.4"):
        gain_samples(11, NODE, inhibition_gain=1.4)
    with pytest.raises(RunFailedError, match=r"recurrent_ratio 2\.4"):
        gain_samples(11, replace(NODE, recurrent_ratio=2.4))


# --- fluctuations --------------------------------------------------------------------------------

CLINICAL = np.array([0.1, 0.3, 0.6, 1.0])


def test_jacobian_is_the_derivative_of_the_flow():
    x, y = blocks(CLINICAL, 2.5, 0.3)
    inputs, state = read_inputs(x, y, 1.1), steady(x, y, NODE, inhibition_gain=1.1)
    near, step = linearise(x, y, NODE, inhibition_gain=1.1), 1e-6

    def both(s_e: np.ndarray, s_i: np.ndarray) -> np.ndarray:
        rate = pyramidal_rate(currents(s_e, s_i, inputs, NODE).pyramidal_nA, NODE).rate_Hz
        return np.array([*flow_per_ms(s_e, s_i, inputs, NODE), rate])

    of_e = (both(state.s_e + step, state.s_i) - both(state.s_e - step, state.s_i)) / (2 * step)
    of_i = (both(state.s_e, state.s_i + step) - both(state.s_e, state.s_i - step)) / (2 * step)
    np.testing.assert_allclose([near.ee, near.ie, near.rate_of_e], of_e, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose([near.ei, near.ii, near.rate_of_i], of_i, rtol=1e-6, atol=1e-9)


def test_power_over_all_frequencies_is_the_variance_of_the_lyapunov_equation():
    x, y = 0.1, 0.6
    near = [float(part) for part in linearise(x, y, NODE)]
    matrix, read_out = np.array([near[0:2], near[2:4]]), np.array(near[4:6])
    variance = read_out @ solve_continuous_lyapunov(matrix, -np.eye(2)) @ read_out
    # dense where power is; the tail falls as 1/f^2 and is added in closed form
    frequencies = np.geomspace(1e-4, 1e6, 200_001)
    density = power_density(frequencies, x, y, NODE)
    total = np.trapezoid(density, frequencies) + density[0] * 1e-4 + density[-1] * 1e6
    assert total == pytest.approx(variance, rel=1e-6, abs=0)


def test_index_is_one_without_drug_whatever_the_band():
    for band in ((30.0, 90.0), (1.0, 4.0)):
        assert gamma_index(0.0, 0.0, NODE, band_Hz=band) == pytest.approx(1.0, rel=1e-13, abs=0)


def test_index_is_the_mean_of_the_density_over_the_band():
    frequencies = np.linspace(30.0, 90.0, 20_001)
    drug, rest = (
        np.trapezoid(power_density(frequencies, *at, NODE), frequencies) for at in ((0.1, 0.6), (0, 0))
    )
    assert gamma_index(0.1, 0.6, NODE) == pytest.approx(drug / rest, rel=1e-8, abs=0)


def test_gamma_rises_at_clinical_exposure_and_falls_below_baseline_at_anaesthetic_block():
    """The direction of Q059-Q061 (MEG, 0.5 mg/kg); no size is claimed."""
    assert np.all(gamma_index(*blocks(CLINICAL, 2.5, 0.3), NODE) > 1.2)
    assert gamma_index(*blocks(np.array(100.0), 2.5, 0.3), NODE) < 0.9


def test_the_node_has_no_gamma_rhythm():
    """The density falls with frequency from 5 Hz on, whatever the block: there is no peak to speak of."""
    density = power_density(np.linspace(5.0, 200.0, 391), X, Y, NODE)
    assert np.all(np.diff(density, axis=-1) < 0)


def test_the_node_has_no_rhythm_at_all_within_the_shares():
    x, y = blocks(np.geomspace(0.01, 1000.0, 100), 2.5, 0.3)
    density = power_density(np.linspace(0.0, 200.0, 401), x, y, NODE)
    assert np.all(np.diff(density, axis=-1) < 0)


@pytest.mark.slow
def test_noise_in_time_has_the_power_that_the_linear_theory_gives():
    steps, step_ms, sd = 40_000, 0.25, 1e-5
    normals = np.random.default_rng(5).standard_normal((steps, 2, 8))
    x, y = np.full(8, 0.1), np.full(8, 0.6)
    rest = steady(x, y, NODE)
    course = simulate(
        x,
        y,
        NODE,
        duration_ms=steps * step_ms,
        step_ms=step_ms,
        start=(rest.s_e, rest.s_i),
        noise_sd=sd,
        normals=normals,
    )
    rate = course.pyramidal_rate_Hz[1:] - rest.pyramidal_rate_Hz
    frequencies = np.fft.rfftfreq(steps, step_ms / 1000.0)
    found = 2 * np.abs(np.fft.rfft(rate, axis=0)) ** 2 * (step_ms / 1000.0) / steps
    band = (frequencies >= 30.0) & (frequencies <= 90.0)
    right = sd**2 * power_density(frequencies[band], 0.1, 0.6, NODE).mean()
    # 600 frequencies x 8 runs: standard error 1.4 %; a step of 0.25 ms costs below 1 %
    assert found[band].mean() == pytest.approx(right, rel=0.05, abs=0)


# --- the table of parameters, what is refused ----------------------------------------------------


def test_rows_and_record_fields_match_one_to_one_but_for_the_shares():
    assert set(NAMES) | {"pyramidal_nmda_share", "interneuron_nmda_share"} <= set(ROWS)
    assert (SHARE_E, SHARE_I) == (0.5, 0.9)


@pytest.mark.parametrize("name", [*NAMES, "pyramidal_nmda_share", "interneuron_nmda_share"])
def test_each_row_has_its_range_source_and_place(name: str):
    row = ROWS[name]
    assert float(row["low"]) < float(row["value"]) < float(row["high"])
    assert set(row["source"].split(";")) <= set(load_sources())
    assert row["location"]
    assert row["note"]
    assert row["distribution"] == "fixed"


@pytest.mark.parametrize("block", [-1e-9, 1.0 + 1e-9, np.nan, [0.2, 1.5]])
def test_block_outside_0_to_1_is_refused(block: float | list[float]):
    with pytest.raises(InvalidInputError, match="'effective_block_pyramidal' must be a fraction from 0 to 1"):
        steady(block, 0.0, NODE)
    with pytest.raises(InvalidInputError, match="'effective_block_interneuron' must be a fraction"):
        gamma_index(0.0, block, NODE)


@pytest.mark.parametrize("factor", [0.0, -1.0, np.inf, np.nan])
def test_gain_of_inhibition_that_is_not_positive_is_refused(factor: float):
    with pytest.raises(InvalidInputError, match="'inhibition_gain' must be positive and finite"):
        steady(0.0, 0.0, NODE, inhibition_gain=factor)


def test_a_rate_that_excitation_cannot_reach_is_refused():
    weak = replace(NODE, external_current_nA=0.2, resting_rate_Hz=10.0)
    with pytest.raises(InvalidInputError, match=r"'resting_rate_Hz' must be a rate .* Got 10 Hz"):
        feedback_inhibition_nA(weak)


def test_a_table_of_one_sample_is_refused():
    with pytest.raises(InvalidInputError, match="'count' must be 2 or more"):
        gain_samples(1, NODE)


@pytest.mark.parametrize("band", [(30.0, 30.0), (-1.0, 5.0), (30.0, np.inf)])
def test_a_band_that_is_none_is_refused(band: tuple[float, float]):
    with pytest.raises(InvalidInputError, match="'band_Hz' must be a lower and a higher frequency"):
        gamma_index(0.0, 0.0, NODE, band_Hz=band)


def test_frequencies_below_0_are_refused():
    with pytest.raises(InvalidInputError, match="'frequencies_Hz' must be a row of finite numbers"):
        power_density([-1.0], 0.0, 0.0, NODE)
