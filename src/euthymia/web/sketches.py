"""Small drawings made at the server: a curve in its band, and intervals side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
WIDTH, HEIGHT, FOOT = 150.0, 64.0, 60.0
"""Of a small drawing and of its ground line, in its own units."""
MOST_POINTS = 90


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketch:
    """A small drawing: paths of the band and of the line, and where zero lies."""

    line: str
    band: str
    zero: float
    says: str


def sketch(
    x: Array, low: Array, middle: Array, high: Array, *, bottom: float, top: float, says: str
) -> Sketch:
    """Return a curve in its band, from the first to the last x, between two values.

    Parameters
    ----------
    x, low, middle, high : array (T,)
    bottom, top : float
        Ends of the vertical axis; shared by drawings that are to be compared.
    says : str
        What is seen, for people who do not see it.
    """
    keep = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).round().astype(int))
    across = WIDTH * (x[keep] - x[0]) / (x[-1] - x[0])
    span = max(top - bottom, 1e-12)

    def up(values: Array) -> Array:
        return FOOT - (FOOT - 4.0) * (np.clip(values, bottom, top) - bottom) / span

    around = (np.concatenate([across, across[::-1]]), np.concatenate([up(high[keep]), up(low[keep])[::-1]]))
    return Sketch(
        line=_path(across, up(middle[keep])),
        band=f"{_path(*around)}Z",
        zero=round(float(up(np.zeros(1))[0]), 1),
        says=says,
    )


def _path(x: Array, y: Array) -> str:
    return "M" + "L".join(f"{one:.1f} {other:.1f}" for one, other in zip(x, y, strict=True))
