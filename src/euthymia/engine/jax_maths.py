"""The functions that equations may call, over jax.numpy: the same equations, differentiable.

Needs the extra ``bayes``. JAX is loaded when a function here is called, never by an import, and is set to
double precision for the whole process: in single precision these numbers would be no check of anything.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

from euthymia.engine.table import Table2, value_weights, weighted
from euthymia.errors import missing_extra


@cache
def load_jax() -> ModuleType:
    """Return JAX in double precision.

    Raises
    ------
    MissingExtraError
        Where JAX is not installed.
    """
    try:
        import jax
    except ImportError as error:
        raise missing_extra("jax", extra="bayes", needed_for="A gradient or a solution by JAX") from error
    jax.config.update("jax_enable_x64", True)
    return jax


@cache
def jax_maths() -> JaxMaths:
    """Return the one namespace over jax.numpy."""
    return JaxMaths()


_TINY = 1e-100
"""Shares u / K up to this are as good as 0: their inverse squares would leave the range of numbers."""


class JaxMaths:
    """The namespace of :class:`euthymia.engine.maths.NumpyMaths`, over JAX arrays and plain numbers.

    At a tie of ``maximum`` and ``minimum`` the derivative is that of the first, as in
    :mod:`euthymia.engine.jacobian`, so that both engines step with the same Jacobian.
    """

    def __init__(self) -> None:
        self.numpy = load_jax().numpy
        self._logistic = load_jax().nn.sigmoid

    def exp(self, x: Any) -> Any:
        """Return e^x."""
        return self.numpy.exp(x)

    def log(self, x: Any) -> Any:
        """Return the natural logarithm."""
        return self.numpy.log(x)

    def sqrt(self, x: Any) -> Any:
        """Return the square root."""
        return self.numpy.sqrt(x)

    def tanh(self, x: Any) -> Any:
        """Return the hyperbolic tangent."""
        return self.numpy.tanh(x)

    def maximum(self, a: Any, b: Any) -> Any:
        """Return the larger of two; of two zeros the positive one; NaN where either is NaN."""
        a = self.numpy.asarray(a)
        return self.numpy.where((b <= a) | (a != a), a, b) + 0.0

    def minimum(self, a: Any, b: Any) -> Any:
        """Return the smaller of two; of two zeros the positive one; NaN where either is NaN."""
        a = self.numpy.asarray(a)
        return self.numpy.where((a <= b) | (a != a), a, b) + 0.0

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """Return a where the condition holds and b elsewhere; both are evaluated and must be finite."""
        return self.numpy.where(condition, a, b)

    def hill(self, u: Any, K: Any, n: Any) -> Any:
        """Return u^n / (u^n + K^n) for K > 0 and n >= 1; 0 at and below u = 0.

        1 / (1 + exp(-n log(u / K))), in whose place at u = 0 stand the first two terms of its series, so that
        derivatives of first and second order by u, K and n exist there too. For 1 < n < 2 the second by u
        has no value at 0; it is given as 0.
        """
        numpy = self.numpy
        u = numpy.asarray(u)
        is_above = u > _TINY * K
        x = numpy.where(is_above | (u < 0.0), 0.0, u) / K
        series = numpy.where(n <= 1.0, x - x * x, numpy.where(n == 2.0, x * x, 0.0 * x))
        return numpy.where(is_above, self._logistic(n * numpy.log(numpy.where(is_above, u, K) / K)), series)

    def table2(self, table: Table2, x: Any, y: Any) -> Any:
        """Return the value of a two-way table, clamped to its square; at the edges the slope from inside.

        The coefficients may be a JAX array, and be differentiated by.
        """
        numpy = self.numpy
        coefficients = numpy.asarray(table.coefficients)
        row, along_x = self._place(x, coefficients.shape[0] - 3)
        column, along_y = self._place(y, coefficients.shape[1] - 3)
        around = [
            weighted(value_weights(along_y), [coefficients[row + i, column + j] for j in range(4)])
            for i in range(4)
        ]
        return weighted(value_weights(along_x), around)

    def _place(self, x: Any, cells: int) -> tuple[Any, Any]:
        """Return the cell of each value and how far into the cell it lies, 0 to 1."""
        numpy = self.numpy
        x = numpy.asarray(x)
        scaled = numpy.where(x < 0.0, 0.0, numpy.where(x > 1.0, 1.0, x)) * cells
        known = numpy.where(scaled >= 0.0, scaled, 0.0)  # what is not a number has no cell
        cell = numpy.minimum(known.astype(int), cells - 1)
        return cell, scaled - cell
