"""One observable by several mechanisms: a thin line each, and the band from lowest to highest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from euthymia.plots.chain import DAY_H, DOSE_COLOUR, MOST_MARKS, Line
from euthymia.plots.concentrations import COLOURS, DASHES, faint, style

if TYPE_CHECKING:
    import plotly.graph_objects as go

BAND_COLOUR = "#52606d"
LINES_PER_LEGEND_LINE = 6


def ensemble_figure(
    band: Line, lines: Sequence[Line], *, quantity: str, doses_h: Sequence[float] = ()
) -> go.Figure:
    """Return the course in days.

    Parameters
    ----------
    band : Line
        Median with lowest and highest.
    lines : sequence of Line
        One for each mechanism.
    quantity : str
        Label of the axis, with unit.
    doses_h : sequence of float
        Marked on the time axis.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    days = band.times_h / DAY_H
    if band.low is not None and band.high is not None:
        figure.add_trace(
            go.Scatter(
                x=np.concatenate([days, days[::-1]]),
                y=np.concatenate([band.high, band.low[::-1]]).round(3),
                mode="lines",
                fill="toself",
                fillcolor=faint(BAND_COLOUR),
                line={"width": 0},
                name="lowest to highest",
                hoverinfo="skip",
            )
        )
    for line in lines:
        _add(figure, line, COLOURS[line.style % len(COLOURS)], DASHES[_dash(line) % len(DASHES)], width=1.0)
    _add(figure, band, BAND_COLOUR, "solid", width=3.0)
    for time_h in doses_h if len(doses_h) <= MOST_MARKS else ():
        figure.add_vline(x=time_h / DAY_H, line_width=1, line_dash="dot", line_color=DOSE_COLOUR)
    figure.update_xaxes(title_text="Days after time 0")
    figure.update_yaxes(title_text=quantity)
    style(figure, height=420, legend_lines=1 + (len(lines) + 1) // LINES_PER_LEGEND_LINE)
    return figure


def _dash(line: Line) -> int:
    """Return a dash that differs where colours come round again."""
    return line.style + line.style // len(COLOURS)


def _add(figure: go.Figure, line: Line, colour: str, dash: str, *, width: float) -> None:
    import plotly.graph_objects as go

    figure.add_trace(
        go.Scatter(
            x=line.times_h / DAY_H,
            y=line.median.round(3),
            mode="lines",
            name=line.label,
            line={"color": colour, "dash": dash, "width": width},
            hovertemplate=f"day %{{x:.1f}}: %{{y:.1f}}<extra>{line.label}</extra>",
        )
    )
