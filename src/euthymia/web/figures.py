"""Charts and spreads as numbers, for the JSON twins of pages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from euthymia.web.charts import Chart

Array = NDArray[np.float64]
LEVELS = (0.05, 0.5, 0.95)
STATUS = "simulated; research software, not a medical device"


class Curve(BaseModel):
    """A curve; ``low`` and ``high`` are the ends of its 90 % band."""

    label: str
    values: list[float | None]
    low: list[float | None] | None = None
    high: list[float | None] | None = None


class Figure(BaseModel):
    """A chart as numbers; every curve stands at ``x``."""

    id: str
    title: str
    summary: str
    x_quantity: str
    x_unit: str
    quantity: str
    unit: str
    x: list[float | None]
    curves: list[Curve]


class Spread(BaseModel):
    """Median over people, with the middle 90 of 100."""

    p05: float | None
    p50: float | None
    p95: float | None
    unit: str = ""


def figures(charts: Iterable[Chart]) -> list[Figure]:
    """Return charts as numbers, every point of them."""
    return [
        Figure(
            id=one.id,
            title=one.title,
            summary=one.summary,
            x_quantity=one.x_quantity,
            x_unit=one.x_unit,
            quantity=one.quantity,
            unit=one.unit,
            x=plain(one.x),
            curves=[
                Curve(
                    label=line.label,
                    values=plain(line.values),
                    low=None if line.low is None else plain(line.low),
                    high=None if line.high is None else plain(line.high),
                )
                for line in one.lines
            ],
        )
        for one in charts
    ]


def plain(values: Sequence[float] | Array) -> list[float | None]:
    """Return numbers for JSON; what is not finite is None."""
    return [float(one) if math.isfinite(one) else None for one in values]


def spread_of(values: Array, unit: str = "") -> Spread:
    """Return median and the middle 90 of 100 of one value a person (P,); NaN people are left out."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Spread(p05=None, p50=None, p95=None, unit=unit)
    low, middle, high = np.quantile(known, LEVELS)
    return Spread(p05=float(low), p50=float(middle), p95=float(high), unit=unit)


def written(one: Spread, places: int = 0) -> str:
    """Return a spread in words: median (from to)."""
    if one.p05 is None or one.p50 is None or one.p95 is None:
        return "–"
    return f"{one.p50:.{places}f} ({one.p05:.{places}f} to {one.p95:.{places}f})"
