"""Curves as the pages draw them: a record for the script, a sentence, and the same numbers as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MOST_POINTS = 400
"""Points of a curve that are sent; more cannot be told apart on a screen."""
TABLE_ROWS = 12
"""Rows of the table beside a curve."""
HOURS_PER = {"min": 1.0 / 60.0, "h": 1.0, "d": 24.0, "weeks": 168.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A curve, or with ``low`` and ``high`` a curve in its band.

    ``tone`` picks the colour: ``main``, ``second``, ``third``, ``quiet`` or ``alarm``. A quiet line and every
    ``dash`` are told apart without colour; ``is_dots`` draws single points.
    Arrays are (T,), on the times of the chart.
    """

    label: str
    values: Array
    tone: str = "main"
    dash: bool = False
    is_dots: bool = False
    low: Array | None = None
    high: Array | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """What is drawn: curves over time or over another quantity.

    Parameters
    ----------
    id : str
        Unique on the page.
    title : str
        What is seen, for people who do not see it; shown above the figure.
    quantity, unit : str
        Of the vertical axis.
    x : array (T,)
    x_quantity, x_unit : str
        Of the horizontal axis; times are given in their unit.
    lines : sequence of Line
    marks : sequence of float
        Places of doses on the horizontal axis.
    spans : sequence of (from, to, label)
        Shaded stretches, such as a window or a time of stress.
    levels : sequence of (value, label)
        Horizontal lines with a name.
    floor, ceiling : float, optional
        Ends of the vertical axis, where these should not follow the curves.
    summary : str
        One sentence that says what the curves show.
    decimals : int
        Of the numbers in the table and under the pointer.
    now : float, optional
        A place on the horizontal axis that the state of the page stands at.
    """

    id: str
    title: str
    quantity: str
    x: Array
    lines: Sequence[Line]
    summary: str
    unit: str = ""
    x_quantity: str = "Time"
    x_unit: str = "h"
    marks: Sequence[float] = ()
    spans: Sequence[tuple[float, float, str]] = ()
    levels: Sequence[tuple[float, str]] = ()
    floor: float | None = None
    ceiling: float | None = None
    decimals: int = 2
    now: float | None = None
    rows_at: Sequence[float] = field(default=())

    @property
    def data(self) -> str:
        """Return what the script draws, as JSON."""
        keep = _thinned(len(self.x))
        found: dict[str, Any] = {
            "x": _plain(self.x[keep], 4),
            "xLabel": _with_unit(self.x_quantity, self.x_unit),
            "xUnit": self.x_unit,
            "yLabel": _with_unit(self.quantity, self.unit),
            "yUnit": self.unit,
            "decimals": self.decimals,
            "marks": [round(float(one), 4) for one in self.marks],
            "spans": [[float(one[0]), float(one[1]), one[2]] for one in self.spans],
            "levels": [[float(one[0]), one[1]] for one in self.levels],
            "floor": self.floor,
            "ceiling": self.ceiling,
            "now": self.now,
            "lines": [
                {
                    "label": one.label,
                    "tone": one.tone,
                    "dash": one.dash,
                    "dots": one.is_dots,
                    "y": _plain(one.values[keep], self.decimals + 2),
                    "low": None if one.low is None else _plain(one.low[keep], self.decimals + 2),
                    "high": None if one.high is None else _plain(one.high[keep], self.decimals + 2),
                }
                for one in self.lines
            ],
        }
        return json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    @property
    def heads(self) -> tuple[str, ...]:
        """Return the heads of the table: the horizontal quantity, then a column for each curve."""
        return (_with_unit(self.x_quantity, self.x_unit), *(one.label for one in self.lines))

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """Return the rows of the table: at ``rows_at``, else evenly spread."""
        wanted = self.rows_at or np.linspace(float(self.x[0]), float(self.x[-1]), TABLE_ROWS)
        places = sorted({int(np.abs(self.x - one).argmin()) for one in wanted})
        return [
            (f"{self.x[place]:.4g}", *(f"{one.values[place]:.{self.decimals}f}" for one in self.lines))
            for place in places
        ]


def _with_unit(quantity: str, unit: str) -> str:
    return f"{quantity} ({unit})" if unit else quantity


def _plain(values: Array, decimals: int) -> list[float | None]:
    return [round(float(one), decimals) if np.isfinite(one) else None for one in values]


def _thinned(count: int) -> NDArray[np.intp]:
    if count <= MOST_POINTS:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, MOST_POINTS).round().astype(np.intp))
