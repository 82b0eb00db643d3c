"""The Gaussian network: exact without change, one minimum, variances held, monotone in its knobs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from euthymia.errors import InvalidInputError
from euthymia.mechanism.network import gaussian
from euthymia.mechanism.network.gaussian import Change
from euthymia.model.connectivity import network_at
from euthymia.model.connectome import Connectome, load_connectome, read_off

WITHIN, ALL = "within_default_connectivity", "global_connectivity"
KNOBS = st.tuples(st.floats(-0.4, 0.4), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))


@pytest.fixture(scope="module")
def people() -> Connectome:
    return load_connectome()


def objective(leak: np.ndarray, coupling: np.ndarray) -> float:
    """sum(a) - log det(diag(a) + O), by another route: eigenvalues."""
    values = np.linalg.eigvalsh(coupling + np.diag(leak))
    return float(leak.sum() - np.log(values).sum()) if values[0] > 0 else np.inf


def test_without_change_the_measured_correlations_come_back(people: Connectome):
    found = network_at(Change(), people)
    np.testing.assert_allclose(found, people.correlation, rtol=0, atol=1e-13)


@settings(max_examples=12, deadline=None)
@given(knobs=KNOBS)
def test_every_variance_stays_one_and_the_network_stable(knobs: tuple[float, float, float]):
    people = load_connectome()
    coupling = gaussian.rescale(people.coupled.coupling, people.groups, Change(*knobs))
    found = gaussian.homeostatic(coupling, people.coupled.leak)
    np.testing.assert_allclose(np.diagonal(found.correlation), 1.0, rtol=0, atol=1e-10)
    assert np.linalg.eigvalsh(coupling + np.diag(found.leak))[0] > 0
    assert np.linalg.eigvalsh(found.correlation)[0] > 0


@pytest.mark.parametrize("knobs", [(0.4, 0.1, 0.0), (-0.4, -0.1, 0.1), (0.2, -0.05, 0.0)])
def test_the_leaks_are_one_minimum_from_wherever_it_is_sought(people: Connectome, knobs: tuple[float, ...]):
    coupling = gaussian.rescale(people.coupled.coupling, people.groups, Change(*knobs))
    random = np.random.default_rng(3)
    starts = [
        people.coupled.leak,
        np.full(100, 50.0),
        random.uniform(0.01, 0.5, 100),
        random.uniform(5, 40, 100),
    ]
    found = [gaussian.homeostatic(coupling, start) for start in starts]
    for other in found[1:]:
        np.testing.assert_allclose(other.leak, found[0].leak, rtol=1e-9)
    least = objective(found[0].leak, coupling)
    for _ in range(20):
        assert objective(found[0].leak + random.normal(0, 0.05, 100), coupling) > least


def test_two_nodes_by_hand():
    # precision [[a, -c], [-c, a]] with variance 1: a = (1 + sqrt(1 + 4 c^2)) / 2 and r = c / (a^2 - c^2)
    c = 0.7
    coupling = np.array([[0.0, -c], [-c, 0.0]])
    found = gaussian.homeostatic(coupling, np.array([1.0, 1.0]))
    leak = (1 + np.sqrt(1 + 4 * c * c)) / 2
    np.testing.assert_allclose(found.leak, leak, rtol=1e-12)
    np.testing.assert_allclose(found.correlation[0, 1], c / (leak**2 - c**2), rtol=1e-12)


def test_several_changes_at_once_are_those_one_by_one(people: Connectome):
    within, between = np.array([-0.3, 0.0, 0.35]), np.array([0.05, -0.1, 0.1])
    together = network_at(Change(within, between), people)
    for place in range(3):
        alone = network_at(Change(within[place], between[place]), people)
        np.testing.assert_allclose(together[place], alone, rtol=0, atol=1e-10)


def test_only_couplings_of_the_groups_are_scaled_and_between_them_only_positive_ones(people: Connectome):
    base, groups = people.coupled.coupling, people.groups
    scaled = gaussian.rescale(base, groups, Change(0.2, 0.1, 0.05))
    ratio = np.where(base == 0.0, 1.0, scaled / np.where(base == 0.0, 1.0, base))
    both = np.outer(groups.default, groups.default)
    mixed = np.outer(groups.default, groups.others)
    expected = 1.0 + 0.2 * both
    expected = expected + 0.1 * ((mixed | mixed.T) & (base < 0))
    limbic = np.outer(groups.default, groups.limbic)
    expected = expected + 0.05 * ((limbic | limbic.T) & (base < 0))
    off = ~np.eye(100, dtype=bool)
    np.testing.assert_allclose(ratio[off], expected[off], rtol=1e-12)


@pytest.mark.parametrize(
    ("place", "top", "name"),
    [
        (0, 0.4, WITHIN),
        (1, 0.1, "default_to_salience_connectivity"),
        (1, 0.1, "default_to_frontoparietal_connectivity"),
        (2, 0.1, "default_to_subgenual_connectivity"),
    ],
)
def test_every_knob_raises_what_it_is_named_for(people: Connectome, place: int, top: float, name: str):
    knobs = np.zeros((3, 9))
    knobs[place] = np.linspace(-top, top, 9)
    levels = read_off(network_at(Change(*knobs), people), people)[name]
    assert (np.diff(levels) > 1e-4).all()


def test_regression_on_the_global_signal_is_that_of_samples():
    random = np.random.default_rng(5)
    mixing = random.normal(size=(5, 5))
    signal = random.normal(size=(4000, 5)) @ mixing
    signal = (signal - signal.mean(0)) / signal.std(0)
    correlation = np.corrcoef(signal.T)
    shared = signal.mean(axis=1)
    left = signal - np.outer(shared, signal.T @ shared / (shared @ shared))
    np.testing.assert_allclose(
        gaussian.without_global_signal(correlation), np.corrcoef(left.T), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), r"'correlation' must be a square matrix. Got shape \(2, 3\)"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "must be finite"),
        (np.array([[1.0, 0.5], [0.2, 1.0]]), "must be symmetric. Got differences of 0.3"),
        (np.array([[2.0, 0.5], [0.5, 2.0]]), "must be 1 on its diagonal. Got 2 there"),
        (np.array([[1.0, 1.0], [1.0, 1.0]]), "must be positive definite"),
    ],
)
def test_what_is_no_correlation_matrix_is_refused(matrix: np.ndarray, message: str):
    with pytest.raises(InvalidInputError, match=message):
        gaussian.take_apart(matrix)
