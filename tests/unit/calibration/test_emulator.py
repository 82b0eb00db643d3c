"""The emulator: exact where the truth is a quadratic, its errors those of refits, noise shrunk."""

from __future__ import annotations

import numpy as np
import pytest

from euthymia.calibration import emulator
from euthymia.calibration.emulator import columns, features, fit_emulator, slopes

RNG_SEED = 4


def _points(count: int, size: int = 3) -> np.ndarray:
    return np.random.default_rng(RNG_SEED).normal(size=(count, size))


def _curved(z: np.ndarray) -> np.ndarray:
    return np.stack(
        [
            2.0 - z[:, 0] + 0.5 * z[:, 1] * z[:, 2],
            0.3 * z[:, 0] ** 2 - z[:, 2],
            np.full(len(z), -7.0),
        ],
        axis=1,
    )


def test_features_are_one_the_parameters_and_every_product_once():
    found = features(np.array([[2.0, 3.0, 5.0]]))
    np.testing.assert_array_equal(found, [[1, 2, 3, 5, 4, 6, 10, 9, 15, 25]])


def test_a_quadratic_is_found_exactly_where_nothing_is_shrunk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(emulator, "SHRINKAGES", (0.0,))
    monkeypatch.setattr(emulator, "STRAIGHT_SHRINKAGE", 0.0)
    z, new = _points(40), _points(90)[40:]
    found = fit_emulator(z, _curved(z))
    np.testing.assert_allclose(found(new), _curved(new), atol=1e-8)
    assert found.error_sd.max() < 1e-8
    np.testing.assert_allclose(found.explained[:2], 1.0, atol=1e-12)


def test_shrinkage_costs_a_quadratic_little_at_as_many_points_as_a_fit_has():
    z, new = _points(256), _points(300)[256:]
    found = fit_emulator(z, _curved(z))
    np.testing.assert_allclose(found(new), _curved(new), atol=5e-3)


@pytest.mark.parametrize("has_weights", [False, True])
def test_errors_at_left_out_points_are_those_of_refits(has_weights: bool):
    rng = np.random.default_rng(RNG_SEED)
    z = _points(30, 2)
    y = rng.normal(size=(30, 2)) + z[:, :1]
    weights = rng.uniform(0.02, 1.0, 30) if has_weights else np.ones(30)
    design = features(z)
    penalty = emulator._penalty(design.shape[1], 3, 0.7)
    _, missed = emulator._ridge(design, y, weights, penalty)
    for place in range(30):
        kept = np.arange(30) != place
        again, _ = emulator._ridge(design[kept], y[kept], weights[kept], penalty)
        np.testing.assert_allclose(missed[place], y[place] - design[place] @ again, rtol=1e-8, atol=1e-10)


def test_the_error_is_the_weighted_root_mean_square_of_what_left_out_points_miss():
    rng = np.random.default_rng(RNG_SEED)
    z, weights = _points(60, 2), rng.uniform(0.1, 1.0, 60)
    y = (z[:, :1] + 0.3 * rng.normal(size=(60, 1))).copy()
    found = fit_emulator(z, y, weights=weights)
    losses = []
    for size in emulator.SHRINKAGES:
        _, missed = emulator._ridge(features(z), y, weights, emulator._penalty(6, 3, size))
        losses.append(np.sqrt(np.average(missed[:, 0] ** 2, weights=weights)))
    assert found.error_sd[0] == pytest.approx(min(losses), rel=1e-12)
    assert found.error_sd[0] == pytest.approx(0.3, rel=0.3)


def test_the_error_is_that_of_new_points():
    rng = np.random.default_rng(RNG_SEED)
    z, new = rng.normal(size=(200, 4)), rng.normal(size=(4000, 4))
    found = fit_emulator(z, np.sin(z).sum(axis=1, keepdims=True) + 0.2 * rng.normal(size=(200, 1)))
    truth = np.sin(new).sum(axis=1) + 0.2 * rng.normal(size=4000)
    assert np.sqrt(np.mean((found(new)[:, 0] - truth) ** 2)) == pytest.approx(found.error_sd[0], rel=0.25)


def test_curved_terms_that_are_noise_are_shrunk():
    rng = np.random.default_rng(RNG_SEED)
    z = rng.normal(size=(60, 6))
    noisy = z[:, :1] + rng.normal(size=(60, 1))
    found, free = fit_emulator(z, noisy), np.linalg.lstsq(features(z), noisy, rcond=None)[0]
    curved = slice(7, None)
    assert np.abs(found.coefficients[curved]).max() < 0.1 * np.abs(free[curved]).max()
    assert found.coefficients[1, 0] == pytest.approx(1.0, abs=0.5)


def test_a_difference_that_is_the_same_everywhere_needs_few_points():
    """Straight terms are shrunk as curved ones, the mean is not."""
    rng = np.random.default_rng(RNG_SEED)
    z, noise = rng.normal(size=(24, 8)), 0.1 * rng.normal(size=(24, 1))
    found, usual = (fit_emulator(z, -1.5 + noise, is_difference=one) for one in (True, False))
    new = rng.normal(size=(500, 8))
    miss, usual_miss = (np.sqrt(np.mean((one(new) + 1.5) ** 2)) for one in (found, usual))
    assert miss < 0.04
    assert miss < 0.5 * usual_miss


def test_points_without_a_value_count_for_the_others():
    z = _points(80)
    values = _curved(z)
    values[:30, 1] = np.nan
    found = fit_emulator(z, values)
    whole, part = fit_emulator(z, values[:, [0, 2]]), fit_emulator(z[30:], values[30:, [1]])
    np.testing.assert_allclose(found.coefficients[:, [0, 2]], whole.coefficients, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.coefficients[:, [1]], part.coefficients, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.error_sd[1], part.error_sd[0], rtol=1e-12)


def test_a_target_that_no_point_has_is_known_with_no_precision():
    z = _points(40)
    values = np.stack([z[:, 0], np.full(40, np.nan)], axis=1)
    found = fit_emulator(z, values)
    assert np.isinf(found.error_sd[1])
    assert found.explained[1] == 0.0


def test_points_of_small_weight_hardly_count():
    z = _points(120, 1)
    far = z[:, 0] > 0.5
    y = np.where(far, 100.0, z[:, 0])[:, None]
    found = fit_emulator(z, y, weights=np.where(far, 1e-9, 1.0))
    near = z[~far]
    np.testing.assert_allclose(found(near)[:, 0], near[:, 0], atol=2e-3)


def test_slopes_are_those_of_a_straight_line_and_zero_where_nothing_is_followed():
    x = np.linspace(-3.0, 3.0, 20)
    outcomes = np.stack([1.0 - 0.04 * x, 2.0 * x, x], axis=1)
    followed = np.stack([x, np.full(20, np.nan), x], axis=1)
    outcomes[3, 2] = np.nan
    np.testing.assert_allclose(slopes(outcomes, followed), [-0.04, 0.0, 1.0], atol=1e-12)


def test_columns_leave_a_gap_where_a_point_lacks_a_number():
    found = columns([{"a": [1.0]}, {"b": [2.0]}], ["a", "b"])
    np.testing.assert_array_equal(found, [[1.0, np.nan], [np.nan, 2.0]])
