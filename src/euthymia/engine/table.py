"""A function of two numbers in the unit square, as a smooth table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid

Array = NDArray[np.float64]
_FEWEST_SAMPLES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Table2:
    """A tensor cubic spline on uniform knots over the unit square, twice continuously differentiable.

    s(x, y) = sum_ij c_ij B(x (N - 1) - i) B(y (N - 1) - j), with B the cubic B-spline. Outside the square
    it goes on as a constant. Two tables with equal coefficients are equal.

    Parameters
    ----------
    coefficients : array (N + 2, N + 2)
        One row and one column of c lie outside each edge of the square.

    References
    ----------
    de Boor, A Practical Guide to Splines (1978), chapters IV (not-a-knot) and XVII (tensor products).
    """

    coefficients: Array

    @classmethod
    def fit(cls, values: Array) -> Table2:
        """Return the spline through samples, with not-a-knot ends: exact for bicubic polynomials.

        Parameters
        ----------
        values : array (N, N)
            At x = linspace(0, 1, N) along the first axis and y = linspace(0, 1, N) along the second.
        """
        samples = np.asarray(values, float)
        is_square = samples.ndim == 2 and samples.shape[0] == samples.shape[1] >= _FEWEST_SAMPLES
        if not is_square or not np.isfinite(samples).all():
            raise invalid(
                "values",
                must=f"finite, (N, N) with N of at least {_FEWEST_SAMPLES}",
                got=f"shape {samples.shape}",
            )
        coefficients = np.ascontiguousarray(_along_first_axis(_along_first_axis(samples).T).T)
        coefficients.flags.writeable = False
        return cls(coefficients)

    def __call__(self, x: Any, y: Any) -> Array:
        """Return the value; any shapes that broadcast."""
        return self._sum(x, y, value_weights, value_weights)

    def derivative_x(self, x: Any, y: Any) -> Array:
        """Return the derivative along x; 0 outside 0 to 1."""
        inside = (np.asarray(x) >= 0.0) & (np.asarray(x) <= 1.0)
        return np.where(inside, self._cells * self._sum(x, y, _slope_weights, value_weights), 0.0)

    def derivative_y(self, x: Any, y: Any) -> Array:
        """Return the derivative along y; 0 outside 0 to 1."""
        inside = (np.asarray(y) >= 0.0) & (np.asarray(y) <= 1.0)
        return np.where(inside, self._cells * self._sum(x, y, value_weights, _slope_weights), 0.0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table2) and np.array_equal(self.coefficients, other.coefficients)

    def __hash__(self) -> int:
        return hash(self.coefficients.tobytes())

    @property
    def _cells(self) -> int:
        return len(self.coefficients) - 3

    def _sum(self, x: Any, y: Any, weights_x: Any, weights_y: Any) -> Array:
        row, along_x = self._place(x)
        column, along_y = self._place(y)
        width = self.coefficients.shape[1]
        corner = row * width + column
        near = (np.arange(4)[:, None] + width * np.arange(4)).reshape(4, 4, *(1,) * corner.ndim)
        around = self.coefficients.reshape(-1).take(corner + near)  # (4 columns, 4 rows, ...)
        by_row = weighted(weights_y(along_y), around)
        return weighted(weights_x(along_x), by_row)

    def _place(self, x: Any) -> tuple[NDArray[np.intp], Array]:
        """Return the cell of each value and how far into the cell it lies, 0 to 1."""
        scaled = np.minimum(np.maximum(np.asarray(x, float), 0.0), 1.0) * self._cells
        known = np.where(scaled >= 0.0, scaled, 0.0)  # what is not a number has no cell
        cell = np.minimum(known.astype(np.intp), self._cells - 1)
        return cell, scaled - cell


def weighted(weights: tuple[Any, Any, Any, Any], values: Any) -> Any:
    """Return the weighted sum over the first axis, always in the same order."""
    total = weights[0] * values[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = total + weight * value
    return total


def value_weights(t: Any) -> tuple[Any, Any, Any, Any]:
    """Return the four cubic B-splines that do not vanish in a cell."""
    r = 1.0 - t
    square, cube = t * t, t * t * t
    first, last = r * r * r / 6.0, cube / 6.0
    second = (3.0 * cube - 6.0 * square + 4.0) / 6.0
    return first, second, 1.0 - first - second - last, last


def _slope_weights(t: Array) -> tuple[Array, Array, Array, Array]:
    """Return their derivatives, per cell."""
    r = 1.0 - t
    first, last = -0.5 * r * r, 0.5 * t * t
    second = (1.5 * t - 2.0) * t
    return first, second, -(first + second + last), last


def _along_first_axis(f: Array) -> Array:
    """Return B-spline coefficients (N + 2, ...) that reproduce samples (N, ...) along the first axis.

    c_{i-1} + 4 c_i + c_{i+1} = 6 f_i at every knot. Not-a-knot (a vanishing fourth difference of c at each
    end) together with those gives 6 c_1 = 8 f_1 - f_0 - f_2 outright, and the rest is tridiagonal.
    """
    last = len(f) - 1
    c = np.zeros((len(f) + 2, *f.shape[1:]))  # c_i is c[i + 1]
    c[2] = (8.0 * f[1] - f[0] - f[2]) / 6.0
    c[last] = (8.0 * f[last - 1] - f[last] - f[last - 2]) / 6.0
    _tridiagonal(c, f, range(2, last - 1))
    for end, step in ((1, -1), (last + 1, 1)):
        c[end] = 6.0 * f[end - 1 - step] - 4.0 * c[end - step] - c[end - 2 * step]
        c[end + step] = 6.0 * f[end - 1] - 4.0 * c[end] - c[end - step]
    return c


def _tridiagonal(c: Array, f: Array, rows: range) -> None:
    """Solve c_{i-1} + 4 c_i + c_{i+1} = 6 f_i for the rows given; c before and after them is known."""
    upper = np.zeros(len(f) + 2)
    for i in rows:
        is_first, is_last = i == rows[0], i == rows[-1]
        pivot = 4.0 - (0.0 if is_first else upper[i])
        right = 6.0 * f[i] - c[i] - (c[i + 2] if is_last else 0.0)
        upper[i + 1] = 1.0 / pivot
        c[i + 1] = right / pivot
    for i in reversed(rows[:-1]):
        c[i + 1] -= upper[i + 1] * c[i + 2]
