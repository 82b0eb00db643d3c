"""Calibrations: parameters before and after, profiles of the likelihood, truths found again, what fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.checks import FALL_95
from euthymia.plots.arms import INK, SOFT, lines, plain
from euthymia.plots.concentrations import COLOURS, faint

Array = NDArray[np.float64]
ROW, WRAP = 30, 24
PANEL, LOWEST = 150, -8.0
RANK_BINS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """A parameter in SDs of its prior: where it is now, with the interval of 90 %."""

    label: str
    middle: float
    low: float
    high: float
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Miss:
    """A fitted number: how many SDs of its prediction it lies above it; ``text`` shows on pointing."""

    label: str
    z: float
    text: str
    group: str


def shift_figure(rows: Sequence[Shift]) -> str:
    """Return parameters below each other as HTML, each in SDs of its prior, whose 90 % is the band behind."""
    import plotly.graph_objects as go

    place = -np.arange(len(rows), dtype=float)
    figure = go.Figure()
    figure.add_vrect(x0=-1.645, x1=1.645, fillcolor=faint(SOFT), line_width=0, layer="below")
    figure.add_vline(x=0.0, line_width=1.2, line_color=SOFT, line_dash="dot")
    figure.add_trace(
        go.Scatter(
            x=[one.middle for one in rows],
            y=place,
            mode="markers",
            marker={"color": COLOURS[0], "size": 9, "symbol": "square"},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [one.high - one.middle for one in rows],
                "arrayminus": [one.middle - one.low for one in rows],
                "color": COLOURS[0],
                "thickness": 3,
                "width": 0,
            },
            customdata=[[one.label, one.text] for one in rows],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
        )
    )
    names = [lines(one.label, WRAP) for one in rows]
    figure.update_yaxes(tickvals=place, ticktext=names, range=[0.5 - len(rows), 0.5], showgrid=False)
    figure.update_xaxes(title_text="SDs of the prior")
    return plain(figure, height=90 + ROW * len(rows))


def profile_figure(z: Array, fall: Array) -> str:
    """Return one profile likelihood as HTML, a small panel: z in prior SDs, fall of the logarithm."""
    import plotly.graph_objects as go

    figure = go.Figure(
        go.Scatter(
            x=z,
            y=np.maximum(fall, LOWEST),
            mode="lines+markers",
            line={"color": COLOURS[0], "width": 2},
            marker={"size": 4},
            hovertemplate="%{x:.2f} SD, %{y:.2f}<extra></extra>",
        )
    )
    figure.add_hline(y=FALL_95, line_width=1, line_color=SOFT, line_dash="dot")
    figure.update_yaxes(range=[LOWEST, 0.4], tickvals=[-8, -4, 0])
    figure.update_xaxes(range=[-2.7, 2.7], tickvals=[-2, 0, 2])
    return plain(figure, height=PANEL, left=30, bottom=28)


def rank_figure(ranks: Array, names: Sequence[str]) -> str:
    """Return where known truths lay among their draws as HTML: the share of each tenth, by parameter.

    Parameters
    ----------
    ranks : array (N, K)
        From 0 to 1; even where the draws can be trusted.
    """
    import plotly.graph_objects as go

    counts = np.stack([np.histogram(column, RANK_BINS, (0.0, 1.0))[0] for column in ranks.T])
    expected = len(ranks) / RANK_BINS
    figure = go.Figure(
        go.Heatmap(
            z=counts / expected,
            x=[10 * one + 5 for one in range(RANK_BINS)],
            y=[lines(name, WRAP) for name in names],
            zmin=0.0,
            zmax=2.0,
            colorscale=[[0.0, COLOURS[0]], [0.5, "#ffffff"], [1.0, COLOURS[1]]],
            showscale=False,
            hovertemplate="%{y}: %{x} ± 5 %, %{z:.2f} times as often as if even<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title_text="Percent of draws below the truth", tickvals=[0, 25, 50, 75, 100])
    return plain(figure, height=100 + ROW * len(names))


def miss_figure(rows: Sequence[Miss]) -> str:
    """Return fitted numbers as HTML, each where it lies in SDs of its prediction; the band holds 90 %."""
    import plotly.graph_objects as go

    groups = list(dict.fromkeys(one.group for one in rows))
    figure = go.Figure()
    figure.add_vrect(x0=-1.645, x1=1.645, fillcolor=faint(SOFT), line_width=0, layer="below")
    figure.add_vline(x=0.0, line_width=1.2, line_color=SOFT, line_dash="dot")
    for number, group in enumerate(groups):
        own = [one for one in rows if one.group == group]
        spread = np.linspace(-0.28, 0.28, len(own)) if len(own) > 1 else np.zeros(1)
        is_far = np.array([abs(one.z) > 1.645 for one in own])
        figure.add_trace(
            go.Scatter(
                x=[one.z for one in own],
                y=-number + spread,
                mode="markers",
                marker={"color": np.where(is_far, COLOURS[1], COLOURS[0]).tolist(), "size": 8},
                customdata=[[one.label, one.text] for one in own],
                hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
            )
        )
    figure.update_yaxes(
        tickvals=[-number for number in range(len(groups))],
        ticktext=[lines(group, WRAP) for group in groups],
        range=[0.5 - len(groups), 0.5],
    )
    figure.update_xaxes(title_text="SDs above what is expected", linecolor=INK)
    return plain(figure, height=110 + 44 * len(groups))
