"""Shares of patients still well over time, as steps, one panel a definition of relapse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from euthymia.plots.arms import INK, ArmStyle, lines, plain
from euthymia.plots.concentrations import COLOURS, DASHES, faint, style

if TYPE_CHECKING:
    import plotly.graph_objects as go

Array = NDArray[np.float64]
MOST_BANDS = 3
"""Arms of which intervals can be told apart."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class AtRisk:
    """An arm of a trial: its steps, and what returns how many are at risk on some days."""

    style: ArmStyle
    steps: Steps
    at_risk: Callable[[Sequence[float]], NDArray[np.int64]]


def survival_figure(panels: Sequence[SurvivalPanel]) -> go.Figure:
    """Return two columns of panels; an arm has one colour and dash throughout."""
    from plotly.subplots import make_subplots

    rows = (len(panels) + 1) // 2
    titles = [panel.title for panel in panels]
    figure = make_subplots(
        rows=rows, cols=2, subplot_titles=titles, horizontal_spacing=0.1, vertical_spacing=0.16
    )
    for at, panel in enumerate(panels):
        where: Any = {"row": at // 2 + 1, "col": at % 2 + 1}
        for place, one in enumerate(panel.steps):
            look = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
            _add_steps(figure, one, look, where, is_in_legend=at == 0)
        figure.update_yaxes(range=[0, 102], title_text="still well (%)", **where)
        figure.update_xaxes(title_text="days after the end of treatment", **where)
    style(figure, height=300 * rows, legend_lines=1 + len(panels[0].steps) // 3)
    return figure


def _add_steps(
    figure: go.Figure,
    one: Steps,
    look: tuple[str, str],
    where: dict[str, Any],
    *,
    is_in_legend: bool = False,
    has_band: bool = True,
) -> None:
    """Add an arm's steps in its colour and dash, and their interval where there is one throughout."""
    import plotly.graph_objects as go

    colour, dash = look
    if has_band and np.isfinite(one.low).all():
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
            showlegend=is_in_legend,
            line={"color": colour, "dash": dash, "width": 2, "shape": "hv"},
            hovertemplate=f"day %{{x:.0f}}: %{{y:.0f}} %<extra>{one.label}</extra>",
        ),
        **where,
    )


def survival_at_risk_figure(arms: Sequence[AtRisk], *, start: str) -> str:
    """Return the shares still well as HTML, with numbers at risk below the axis, a line an arm.

    Parameters
    ----------
    arms : sequence of AtRisk
    start : str
        What days are counted from.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    rows_px, height = 30 * len(arms) + 12, 300
    figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        row_heights=[height, rows_px],
        vertical_spacing=74.0 / (height + rows_px + 74.0),
    )
    end = max(float(one.steps.days[-1]) for one in arms)
    ticks = _risk_days(end)
    for arm in arms:
        look = arm.style.colour, arm.style.dash
        has_band = len(arms) <= MOST_BANDS
        _add_steps(figure, arm.steps, look, {"row": 1, "col": 1}, has_band=has_band)
        figure.add_trace(
            go.Scatter(
                x=ticks,
                y=np.full(len(ticks), -float(arm.style.place)),
                mode="text",
                text=[f"{count}" for count in arm.at_risk(ticks)],
                textfont={"color": INK, "size": 13},
                hoverinfo="skip",
            ),
            row=2,
            col=1,
        )
    figure.update_xaxes(range=[-0.08 * end, 1.03 * end], tickvals=ticks, showticklabels=True, row=1, col=1)
    figure.update_xaxes(title_text=f"Days after {start}", row=1, col=1)
    figure.update_xaxes(showticklabels=False, showgrid=False, ticks="", showline=False, row=2, col=1)
    figure.update_yaxes(range=[0, 102], title_text="Still well (%)", row=1, col=1)
    places = [-float(arm.style.place) for arm in arms]
    figure.update_yaxes(
        tickvals=places,
        ticktext=[f"{lines(arm.style.label, 22)}" for arm in arms],
        range=[min(places) - 0.5, max(places) + 0.5],
        showgrid=False,
        row=2,
        col=1,
    )
    return plain(figure, height=height + rows_px + 74, bottom=8, hidden=("xaxis2", "yaxis2"))


def _risk_days(end: float) -> list[float]:
    """Return days at which numbers at risk stand: about six, in whole days or weeks."""
    for step in (1.0, 2.0, 7.0, 14.0, 28.0, 56.0, 84.0, 112.0, 182.0, 364.0):
        if end / step <= 7.0:
            return [float(day) for day in np.arange(0.0, end + 1e-9, step)]
    return [float(day) for day in np.linspace(0.0, end, 6).round()]


def _there_and_back(upper: Array, lower: Array) -> Array:
    """Return the outline of a band: along one edge, back along the other."""
    return np.concatenate([upper, lower[::-1]])
