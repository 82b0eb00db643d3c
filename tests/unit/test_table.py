"""The two-way table: exact where it can be, smooth, clamped."""

from __future__ import annotations

import numpy as np
import pytest

from euthymia.engine.table import Table2
from euthymia.errors import InvalidInputError

POINTS = np.random.default_rng(1).random((2, 500))


def samples(function, count):
    axis = np.linspace(0, 1, count)
    return function(axis[:, None], axis[None, :])


def bicubic(x, y):
    return (1 + x - 2 * x**2 + 3 * x**3) * (y**3 - 0.5 * y + 0.2)


def wave(x, y):
    return np.sin(3 * x + 1) * np.exp(-2 * y) + 1 / (1 + x + y)


@pytest.mark.parametrize("count", [4, 5, 6, 17])
def test_bicubic_polynomials_are_reproduced(count):
    table = Table2.fit(samples(bicubic, count))
    np.testing.assert_allclose(table(*POINTS), bicubic(*POINTS), rtol=0, atol=2e-14)


def test_the_table_goes_through_its_samples():
    values = np.random.default_rng(2).random((9, 9))
    axis = np.linspace(0, 1, 9)
    np.testing.assert_allclose(Table2.fit(values)(axis[:, None], axis), values, rtol=0, atol=1e-14)


def test_error_falls_with_the_fourth_power_of_the_spacing_up_to_the_edge():
    edge = np.linspace(0, 1, 301)
    errors = [
        np.abs(Table2.fit(samples(wave, count))(edge[:, None], edge) - wave(edge[:, None], edge)).max()
        for count in (17, 33, 65)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > 3.7).all(), orders


def test_it_equals_scipy_on_the_same_samples():
    from scipy.interpolate import RectBivariateSpline

    axis = np.linspace(0, 1, 21)
    other = RectBivariateSpline(axis, axis, samples(wave, 21), s=0)
    table = Table2.fit(samples(wave, 21))
    np.testing.assert_allclose(table(*POINTS), other.ev(*POINTS), rtol=0, atol=1e-13)
    np.testing.assert_allclose(table.derivative_x(*POINTS), other.ev(*POINTS, dx=1), rtol=0, atol=1e-11)
    np.testing.assert_allclose(table.derivative_y(*POINTS), other.ev(*POINTS, dy=1), rtol=0, atol=1e-11)


@pytest.mark.parametrize("axis", [0, 1])
def test_derivatives_equal_differences(axis):
    table, by = Table2.fit(samples(wave, 11)), 1e-5
    inside = 0.01 + 0.98 * POINTS
    step = by * np.eye(2)[axis][:, None]
    expected = (table(*(inside + step)) - table(*(inside - step))) / (2 * by)
    found = (table.derivative_x, table.derivative_y)[axis](*inside)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


def test_value_slope_and_curvature_are_continuous_at_knots():
    values, y, hair = np.random.default_rng(3).random((9, 9)), 0.37, 1e-9
    table = Table2.fit(values)
    knots = np.arange(1, 8) / 8
    for function, tolerance in ((table, 1e-7), (table.derivative_x, 1e-5)):
        np.testing.assert_allclose(
            function(knots - hair, y), function(knots + hair, y), rtol=0, atol=tolerance
        )
    left, right = (
        (table.derivative_x(knots + side * 1e-6, y) - table.derivative_x(knots, y)) / (side * 1e-6)
        for side in (-1, 1)
    )
    np.testing.assert_allclose(left, right, rtol=0, atol=0.2)  # they differ by 1e-6 x the third derivative
    assert np.abs(left).max() > 20


def test_outside_the_square_the_table_is_constant_and_its_slope_zero():
    table = Table2.fit(samples(wave, 9))
    far = np.array([-3.0, 1.5])
    np.testing.assert_array_equal(table(far, 0.4), table([0.0, 1.0], 0.4))
    np.testing.assert_array_equal(table.derivative_x(far, 0.4), 0.0)
    np.testing.assert_array_equal(table.derivative_y(0.4, far), 0.0)
    assert (table.derivative_y(far, 0.4) != 0).all()


def test_what_is_not_a_number_stays_so():
    table = Table2.fit(samples(wave, 5))
    assert np.isnan(table([np.nan, 0.5], 0.5)).tolist() == [True, False]


def test_equal_tables_are_one():
    one, other = (Table2.fit(samples(wave, 5)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != Table2.fit(samples(bicubic, 5))


@pytest.mark.parametrize("values", [np.ones((3, 3)), np.ones((4, 5)), np.ones(4), np.full((5, 5), np.nan)])
def test_samples_that_make_no_table_are_refused(values):
    with pytest.raises(InvalidInputError, match="values"):
        Table2.fit(values)
