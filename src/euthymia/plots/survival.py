"""Shares of patients still well over time, as steps, one panel a definition of relapse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from euthymia.plots.concentrations import COLOURS, DASHES, faint, style

if TYPE_CHECKING:
    import plotly.graph_objects as go

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """One arm: share still well on each day, and its interval (NaN where there is none)."""

    label: str
    days: Array
    share: Array
    low: Array
    high: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class SurvivalPanel:
    """One definition of relapse."""

    title: str
    steps: tuple[Steps, ...]


def survival_figure(panels: Sequence[SurvivalPanel]) -> go.Figure:
    """Return two columns of panels; an arm has one colour and dash throughout."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    rows = (len(panels) + 1) // 2
    titles = [panel.title for panel in panels]
    figure = make_subplots(
        rows=rows, cols=2, subplot_titles=titles, horizontal_spacing=0.1, vertical_spacing=0.16
    )
    for at, panel in enumerate(panels):
        where: Any = {"row": at // 2 + 1, "col": at % 2 + 1}
        for place, one in enumerate(panel.steps):
            colour, dash = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
            if np.isfinite(one.low).all():
                figure.add_trace(
                    go.Scatter(
                        x=_there_and_back(np.repeat(one.days, 2)[1:], np.repeat(one.days, 2)[1:]),
                        y=100.0 * _there_and_back(np.repeat(one.high, 2)[:-1], np.repeat(one.low, 2)[:-1]),
                        mode="lines",
                        fill="toself",
                        fillcolor=faint(colour),
                        line={"width": 0},
                        hoverinfo="skip",
                        showlegend=False,
                    ),
                    **where,
                )
            figure.add_trace(
                go.Scatter(
                    x=one.days,
                    y=100.0 * one.share,
                    mode="lines",
                    name=one.label,
                    legendgroup=one.label,
                    showlegend=at == 0,
                    line={"color": colour, "dash": dash, "width": 2, "shape": "hv"},
                    hovertemplate=f"day %{{x:.0f}}: %{{y:.0f}} %<extra>{one.label}</extra>",
                ),
                **where,
            )
        figure.update_yaxes(range=[0, 102], title_text="still well (%)", **where)
        figure.update_xaxes(title_text="days after the end of treatment", **where)
    style(figure, height=300 * rows, legend_lines=1 + len(panels[0].steps) // 3)
    return figure


def _there_and_back(upper: Array, lower: Array) -> Array:
    """Return the outline of a band: along one edge, back along the other."""
    return np.concatenate([upper, lower[::-1]])
