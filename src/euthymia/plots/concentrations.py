"""Concentration curves with bands and published points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

Array = NDArray[np.float64]

# Okabe-Ito palette: distinct with every common colour vision; dashes and markers differ too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "diamond", "square", "triangle-up", "x", "star")
BAND_OPACITY = 0.16


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A simulated median with its 5-95 % band over patients (equal to the median for a typical patient)."""

    label: str
    times_h: Array
    median: Array
    low: Array | None = None
    high: Array | None = None
    style: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Points:
    """Published values, with their spread where printed."""

    label: str
    times_h: Array
    values: Array
    low: Array | None = None
    high: Array | None = None
    style: int = 0
    is_model_output: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One axis: what is drawn on it and what its quantity is called."""

    quantity: str
    unit: str
    curves: tuple[Curve, ...]
    points: tuple[Points, ...] = ()


CHARACTERS_PER_LEGEND_LINE = 105


def concentration_figure(
    panels: Sequence[Panel], *, focus_h: float, horizon_h: float, dose_times_h: Sequence[float] = ()
) -> go.Figure:
    """Return one row a panel: the first hours on a linear axis, the whole course on a logarithmic one.

    Parameters
    ----------
    panels : sequence of Panel
    focus_h : float
        End of the left axes.
    horizon_h : float
        End of the right axes.
    dose_times_h : sequence of float
        Marked on the time axis of the right column.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=len(panels),
        cols=2,
        column_widths=(0.5, 0.5),
        horizontal_spacing=0.09,
        vertical_spacing=min(0.12, 0.3 / max(len(panels), 1)),
        column_titles=(f"first {focus_h:g} h", "whole course, logarithmic"),
    )
    seen: set[str] = set()
    for row, panel in enumerate(panels, start=1):
        _draw(figure, panel, row=row, seen=seen)
        label = f"{panel.quantity} ({panel.unit})"
        top = _top(panel, focus_h)
        figure.update_yaxes(title_text=label, range=[0, 1.08 * top], row=row, col=1)
        whole = _top(panel, horizon_h)
        figure.update_yaxes(
            type="log", range=[np.log10(whole) - 3.2, np.log10(whole) + 0.15], dtick=1, row=row, col=2
        )
        figure.update_xaxes(range=[min(0.0, min(dose_times_h, default=0.0)), focus_h], row=row, col=1)
        is_long = horizon_h > 24 * 5
        figure.update_xaxes(
            range=[0, horizon_h],
            tickmode="linear" if is_long else "auto",
            dtick=168 if is_long else None,
            row=row,
            col=2,
        )
        for time_h in dose_times_h if len(dose_times_h) <= 60 else ():
            where: Any = {"row": row, "col": 2}
            figure.add_vline(
                x=time_h, line_width=1, line_dash="dot", line_color="rgba(90,90,90,.35)", **where
            )
    figure.update_xaxes(title_text="Time since the first dose (h)", row=len(panels), col=1)
    figure.update_xaxes(title_text="Time since the first dose (h)", row=len(panels), col=2)
    letters = sum(len(label) + 7 for label in seen)
    style(figure, height=110 + 300 * len(panels), legend_lines=1 + letters // CHARACTERS_PER_LEGEND_LINE)
    return figure


def _draw(figure: go.Figure, panel: Panel, *, row: int, seen: set[str]) -> None:
    import plotly.graph_objects as go

    for column in (1, 2):
        for curve in panel.curves:
            colour, dash = COLOURS[curve.style % len(COLOURS)], DASHES[curve.style % len(DASHES)]
            if curve.low is not None and curve.high is not None:
                band = go.Scatter(
                    x=np.concatenate([curve.times_h, curve.times_h[::-1]]),
                    y=np.concatenate([curve.high, curve.low[::-1]]),
                    fill="toself",
                    fillcolor=faint(colour),
                    line={"width": 0},
                    hoverinfo="skip",
                    legendgroup=curve.label,
                    showlegend=False,
                )
                figure.add_trace(band, row=row, col=column)
            figure.add_trace(
                go.Scatter(
                    x=curve.times_h,
                    y=curve.median,
                    name=curve.label,
                    legendgroup=curve.label,
                    showlegend=curve.label not in seen,
                    line={"color": colour, "dash": dash, "width": 2},
                    hovertemplate=f"%{{x:.2f}} h: %{{y:.3g}} {panel.unit}<extra>{curve.label}</extra>",
                ),
                row=row,
                col=column,
            )
            seen.add(curve.label)
        for points in panel.points:
            _draw_points(figure, points, panel, row=row, column=column, seen=seen)


def _draw_points(
    figure: go.Figure, points: Points, panel: Panel, *, row: int, column: int, seen: set[str]
) -> None:
    import plotly.graph_objects as go

    colour, marker = COLOURS[points.style % len(COLOURS)], MARKERS[points.style % len(MARKERS)]
    spread = None
    if points.low is not None and points.high is not None:
        spread = {
            "type": "data",
            "array": points.high - points.values,
            "arrayminus": points.values - points.low,
        }
    figure.add_trace(
        go.Scatter(
            x=points.times_h,
            y=points.values,
            error_y=spread,
            mode="markers",
            name=points.label,
            legendgroup=points.label,
            showlegend=points.label not in seen,
            marker={
                "color": "white" if points.is_model_output else colour,
                "symbol": marker,
                "size": 8,
                "line": {
                    "color": colour if points.is_model_output else "white",
                    "width": 1.5 if points.is_model_output else 0.8,
                },
            },
            hovertemplate=f"%{{x:.2f}} h: %{{y:.3g}} {panel.unit}<extra>{points.label}</extra>",
        ),
        row=row,
        col=column,
    )
    seen.add(points.label)


def faint(colour: str) -> str:
    """Return a colour as faint as a band."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{BAND_OPACITY})"


def _top(panel: Panel, until_h: float) -> float:
    """Return the largest value drawn up to a time."""
    heights = [1e-12]
    for curve in panel.curves:
        inside = curve.times_h <= until_h
        heights.append(
            float((curve.high if curve.high is not None else curve.median)[inside].max(initial=0.0))
        )
    for points in panel.points:
        inside = points.times_h <= until_h
        heights.append(
            float((points.high if points.high is not None else points.values)[inside].max(initial=0.0))
        )
    return max(heights)


def style(figure: go.Figure, *, height: int, legend_lines: int = 1) -> None:
    """Give a figure the look of every page: plain, no titles inside, legend in lines of its own on top."""
    above = 34 + 24 * legend_lines
    figure.update_layout(
        template="plotly_white",
        height=height + above,
        margin={"l": 70, "r": 20, "t": above, "b": 55},
        font={
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
            "size": 13,
            "color": "#1f2933",
        },
        legend={
            "orientation": "h",
            "yref": "container",
            "yanchor": "top",
            "y": 0.998,
            "x": 0,
            "font": {"size": 12},
        },
        hovermode="closest",
    )
    figure.update_xaxes(
        showline=True, linecolor="#9aa5b1", ticks="outside", gridcolor="#eef1f4", zeroline=False
    )
    figure.update_yaxes(
        showline=True, linecolor="#9aa5b1", ticks="outside", gridcolor="#eef1f4", zeroline=False
    )


def to_html(figure: go.Figure) -> str:
    """Return a figure as a fragment of HTML that needs the plotting library on the page."""
    from hashlib import sha1

    import plotly.io

    # named by its content: the same report has the same bytes
    content = str(plotly.io.to_json(figure)).encode()
    name = f"figure-{sha1(content, usedforsecurity=False).hexdigest()[:12]}"
    return plotly.io.to_html(
        figure,
        include_plotlyjs=False,
        full_html=False,
        div_id=name,
        config={"displayModeBar": False, "responsive": True},
    )


def library() -> str:
    """Return the plotting library to embed once in a page, so that the page works offline."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
