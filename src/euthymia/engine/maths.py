"""The few functions that equations may call, over NumPy arrays.

Equations are written once, as functions of a namespace ``m``: :data:`NUMPY` evaluates them,
:mod:`euthymia.engine.trace` records them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.table import Table2

Array = NDArray[np.float64]


def hill(u: Any, K: Any, n: Any) -> Any:
    """Return u^n / (u^n + K^n), 0 at and below u = 0; warns of log(0) unless the caller silences it.

    Written with exp and log, as in every engine: a power would take short cuts that depend on the batch.
    """
    return 1.0 / (1.0 + np.exp(-n * np.log(np.maximum(u, 0.0) / K)))


def larger(a: Any, b: Any, out: Array | None = None) -> Any:
    """Return the larger of two; of two zeros the positive one, in every lane."""
    return np.add(np.maximum(a, b, out=out), 0.0, out=out)


def smaller(a: Any, b: Any, out: Array | None = None) -> Any:
    """Return the smaller of two; of two zeros the positive one, in every lane."""
    return np.add(np.minimum(a, b, out=out), 0.0, out=out)


def look_up(table: Table2, x: Any, y: Any) -> Any:
    """Return the value of a table."""
    return table(x, y)


def look_up_x(table: Table2, x: Any, y: Any) -> Any:
    """Return the derivative of a table along x."""
    return table.derivative_x(x, y)


def look_up_y(table: Table2, x: Any, y: Any) -> Any:
    """Return the derivative of a table along y."""
    return table.derivative_y(x, y)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negative": np.negative,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "maximum": larger,
    "minimum": smaller,
    "less": np.less,
    "less_equal": np.less_equal,
    "where": np.where,
    "hill": hill,
    "table2": look_up,
    "table2_x": look_up_x,
    "table2_y": look_up_y,
}
"""Every operation that a recorded program may hold, and what it is in NumPy. All are elementwise."""

WRITING = frozenset("add subtract multiply divide negative exp log sqrt tanh maximum minimum".split())
"""Those that write into an array handed to them."""


class NumpyMaths:
    """The namespace over plain arrays and numbers."""

    def exp(self, x: Any) -> Any:
        """Return e^x."""
        return np.exp(x)

    def log(self, x: Any) -> Any:
        """Return the natural logarithm."""
        return np.log(x)

    def sqrt(self, x: Any) -> Any:
        """Return the square root."""
        return np.sqrt(x)

    def tanh(self, x: Any) -> Any:
        """Return the hyperbolic tangent."""
        return np.tanh(x)

    def maximum(self, a: Any, b: Any) -> Any:
        """Return the larger of two."""
        return larger(a, b)

    def minimum(self, a: Any, b: Any) -> Any:
        """Return the smaller of two."""
        return smaller(a, b)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """Return a where the condition holds and b elsewhere; both are evaluated and must be finite."""
        return np.where(condition, a, b)

    def hill(self, u: Any, K: Any, n: Any) -> Any:
        """Return u^n / (u^n + K^n) for K > 0 and n >= 1; 0 at and below u = 0."""
        with np.errstate(divide="ignore", over="ignore"):
            return hill(u, K, n)

    def table2(self, table: Table2, x: Any, y: Any) -> Any:
        """Return the value of a two-way table, clamped to its square."""
        return look_up(table, x, y)


NUMPY = NumpyMaths()
"""The one namespace over NumPy."""
