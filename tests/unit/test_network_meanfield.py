"""The dynamic mean field: balanced, settled, linearised and simulated; the vessels; scans over time."""

from __future__ import annotations

import numpy as np
import pytest

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.mechanism.circuit import steady
from euthymia.mechanism.network import balloon, dynamics, meanfield
from euthymia.mechanism.network.meanfield import Block
from euthymia.model import brain_dynamics
from euthymia.model.connectome import load_connectome

CLINICAL = Block(0.063, 0.49)


@pytest.fixture(scope="module")
def field() -> meanfield.Field:
    return brain_dynamics.field_of(load_connectome())


def test_without_drug_every_node_fires_at_its_target(field: meanfield.Field):
    state = meanfield.settle(field, Block())
    rates = meanfield.pyramidal_rates_Hz(state.gating, field, Block())
    np.testing.assert_allclose(rates, field.node.resting_rate_Hz, rtol=1e-10)


def test_uncoupled_nodes_are_the_circuit_of_the_chain(field: meanfield.Field):
    alone = meanfield.balanced(field.node, np.zeros((3, 3)))
    state = meanfield.settle(alone, CLINICAL)
    circuit = steady.steady(*CLINICAL, field.node)
    np.testing.assert_allclose(state.gating[0], float(circuit.s_e), rtol=1e-9)
    np.testing.assert_allclose(state.gating[1], float(circuit.s_i), rtol=1e-9)


def test_the_jacobian_is_the_slope_of_the_flow(field: meanfield.Field):
    some = meanfield.Field(field.node, field.coupling[:4, :4] * 20, field.inhibition_nA[:4])
    random = np.random.default_rng(1)
    gating = np.stack([random.uniform(0.1, 0.5, 4), random.uniform(0.02, 0.08, 4)])
    matrix, step = meanfield.drift(gating, some, CLINICAL), 1e-6
    for place in range(8):
        nudge = np.zeros(8)
        nudge[place] = step
        ahead, behind = (
            meanfield.flow(gating + sign * nudge.reshape(2, 4), some, CLINICAL) for sign in (1, -1)
        )
        np.testing.assert_allclose(matrix[:, place], ((ahead - behind) / (2 * step)).ravel(), atol=1e-7)


def test_small_noise_in_time_has_the_covariance_of_the_lyapunov_equation(field: meanfield.Field):
    nodes, runs, noise_sd, step_ms, steps, settling = 3, 200, 2e-4, 0.5, 6000, 2000
    fibres = 0.3 * (np.ones((nodes, nodes)) - np.eye(nodes))
    some = meanfield.balanced(field.node, fibres)
    state = meanfield.settle(some, Block())
    random = np.random.default_rng(2)
    gating, total = np.repeat(state.gating[None], runs, axis=0), np.zeros((nodes, nodes))
    for step in range(steps):
        kick = noise_sd * np.sqrt(step_ms) * random.standard_normal((runs, 2, nodes))
        gating = gating + step_ms * meanfield.flow(gating, some, Block()) + kick
        if step >= settling:
            away = gating[:, 0] - state.gating[0]
            total += away.T @ away / (runs * (steps - settling))
    expected = brain_dynamics.lyapunov(state.drift_per_ms, noise_sd**2 * np.eye(2 * nodes))[:nodes, :nodes]
    # some 2000 independent samples: a standard error of 3 % of a variance
    np.testing.assert_allclose(total, expected, rtol=0, atol=0.1 * expected[0, 0])
    assert expected[0, 1] > 0.3 * expected[0, 0]  # so that correlations are seen as well


def test_block_of_the_clinical_dose_lowers_every_correlation_at_the_published_coupling(
    field: meanfield.Field,
):
    before, now = (brain_dynamics.linear_connectivity(field, block) for block in (Block(), CLINICAL))
    pairs = np.tril_indices(100, -1)
    assert (now[pairs] < before[pairs]).mean() > 0.99


def test_a_weak_block_raises_them(field: meanfield.Field):
    before, now = (
        brain_dynamics.linear_connectivity(field, block) for block in (Block(), Block(0.004, 0.05))
    )
    assert now.mean() > 1.5 * before.mean()


def test_a_scan_is_the_same_for_the_same_seed_and_networks_share_their_noise():
    few = meanfield.balanced(
        brain_dynamics.field_of(load_connectome()).node, 0.2 * (np.ones((3, 3)) - np.eye(3))
    )
    one, again = (
        brain_dynamics.scan(few, [Block(), Block()], seed=4, duration_s=4, discarded_s=0) for _ in range(2)
    )
    np.testing.assert_array_equal(one.bold, again.bold)
    np.testing.assert_array_equal(one.bold[:, 0], one.bold[:, 1])
    assert one.bold.shape == (2, 2, 3)
    np.testing.assert_allclose(one.times_s, [2, 4])
    other = brain_dynamics.scan(few, [Block()], seed=5, duration_s=4, discarded_s=0)
    assert not np.array_equal(one.bold[:, :1], other.bold)


def test_correlations_without_fibres_cannot_be_simulated():
    with pytest.raises(InvalidInputError, match=r"'strength' must be given for the mean field"):
        brain_dynamics.field_of(load_connectome("synthetic"))


def test_far_too_strong_a_coupling_has_no_stationary_covariance():
    strong = brain_dynamics.field_of(load_connectome(), coupling_relative=3.5)
    rest = meanfield.settle(strong, Block())
    unstable = np.linalg.eigvals(rest.drift_per_ms).real.max() > 0
    assert unstable
    with pytest.raises(RunFailedError, match="not stable"):
        brain_dynamics.linear_connectivity(strong, Block())


# --- vessels ----------------------------------------------------------------------------------------


def test_vessels_at_rest_stay_there_and_without_activity_give_no_signal():
    vessels = brain_dynamics.vessels()
    rest = balloon.at_rest(np.array([0.0, 0.16]), vessels)
    for change in balloon.rates(rest, np.array([0.0, 0.16]), vessels):
        np.testing.assert_allclose(change, 0.0, atol=1e-13)
    signal = balloon.signal(rest, vessels)
    assert signal[0] == pytest.approx(0.0, abs=1e-15)
    assert 0.001 < signal[1] < 0.02


def test_a_burst_of_activity_peaks_after_some_seconds_and_passes():
    vessels = brain_dynamics.vessels()
    blood = balloon.at_rest(np.zeros(1), vessels)
    course = []
    for step in range(3000):
        blood = balloon.advance(blood, np.array([1.0 if step < 100 else 0.0]), vessels)
        course.append(float(balloon.signal(blood, vessels)[0]))
    peak_s = (int(np.argmax(course)) + 1) * balloon.STEP_MS / 1000
    assert 2.0 < peak_s < 5.0
    assert abs(course[-1]) < 0.02 * max(course)
    assert min(course) < 0  # the undershoot


# --- scans over time --------------------------------------------------------------------------------


def test_connectivity_is_the_correlation_over_time():
    signal = np.random.default_rng(6).normal(size=(50, 4))
    np.testing.assert_allclose(dynamics.connectivity(signal), np.corrcoef(signal.T), atol=1e-13)


def test_connectivity_that_repeats_is_alike_and_windows_must_fit():
    half = np.random.default_rng(8).normal(size=(30, 6))
    alike = dynamics.connectivity_dynamics(np.concatenate([half, half]), length=30, step=30)
    np.testing.assert_allclose(alike, 1.0, atol=1e-12)
    with pytest.raises(InvalidInputError, match=r"two windows of 30 samples or longer. Got 31 samples"):
        dynamics.connectivity_dynamics(half[:1].repeat(31, axis=0), length=30, step=10)
