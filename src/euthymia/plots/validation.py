"""Forecasts held against what was observed: whether they are even, and how many numbers lie inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from euthymia.plots.arms import SOFT, lines, plain
from euthymia.plots.concentrations import COLOURS, faint

BINS = 10
ROW, WRAP = 30, 26


@dataclass(frozen=True, kw_only=True, slots=True)
class Covered:
    """A share of numbers inside their intervals, with its own interval; 0 to 1."""

    label: str
    share: float
    low: float
    high: float
    text: str = ""


def pit_figure(pits: ArrayLike) -> str:
    """Return a histogram of where observed numbers lay in their forecasts as HTML; even is right.

    Parameters
    ----------
    pits : array (N,)
        Share of each forecast below the observed number, 0 to 1.
    """
    import plotly.graph_objects as go

    values = np.asarray(pits, float)
    counts = np.histogram(values, BINS, (0.0, 1.0))[0]
    even = len(values) / BINS
    spread = 1.96 * np.sqrt(even * (1.0 - 1.0 / BINS))
    figure = go.Figure()
    low, high = max(even - spread, 0.0), even + spread
    figure.add_hrect(y0=low, y1=high, fillcolor=faint(SOFT), line_width=0, layer="below")
    figure.add_hline(y=even, line_width=1.2, line_color=SOFT, line_dash="dot")
    figure.add_trace(
        go.Bar(
            x=(np.arange(BINS) + 0.5) / BINS,
            y=counts,
            width=0.9 / BINS,
            marker={"color": COLOURS[0]},
            hovertemplate="%{y} numbers<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="Share of the forecast below what was observed", range=[0.0, 1.0])
    figure.update_yaxes(title_text="Numbers")
    return plain(figure, height=280)


def coverage_figure(rows: Sequence[Covered], *, aimed: float = 0.9) -> str:
    """Return shares inside their intervals below each other as HTML; dotted is what would be right."""
    import plotly.graph_objects as go

    place = -np.arange(len(rows), dtype=float)
    figure = go.Figure()
    figure.add_vline(x=aimed, line_width=1.2, line_color=SOFT, line_dash="dot")
    figure.add_trace(
        go.Scatter(
            x=[one.share for one in rows],
            y=place,
            mode="markers",
            marker={"color": COLOURS[0], "size": 9, "symbol": "square"},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [one.high - one.share for one in rows],
                "arrayminus": [one.share - one.low for one in rows],
                "thickness": 1.6,
                "width": 4,
            },
            customdata=[[one.label, one.text] for one in rows],
            hovertemplate="%{customdata[0]}: %{customdata[1]}<extra></extra>",
        )
    )
    figure.update_yaxes(
        tickvals=place, ticktext=[lines(one.label, WRAP) for one in rows], range=[0.6 - len(rows), 0.6]
    )
    figure.update_xaxes(title_text="Share inside the 90 % interval", range=[-0.02, 1.02], tickformat=".0%")
    return plain(figure, height=110 + ROW * len(rows))
