"""The chain as a column of small panels: the first day on a logarithmic axis, then days on a linear one."""

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
FIRST_H = 0.1
"""Where the logarithmic axis of the first day begins, in hours."""
DAY_H = 24.0
FLATTEST = 1e-6
"""Share of its size below which a curve counts as flat."""
PANEL_HEIGHT = 118
MOST_MARKS = 80
"""Lines of one kind that can still be told apart."""
DOSE_COLOUR, THERAPY_COLOUR = "rgba(90,90,90,.35)", "rgba(0,120,100,.6)"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Axis:
    """A time axis: its unit as a word and in hours, what it shows (h), and how a pointer reads it."""

    name: str
    unit_h: float
    shown_h: tuple[float, float]
    read: str


HOURS = _Axis(name="Hours", unit_h=1.0, shown_h=(FIRST_H, DAY_H), read="%{x:.2f} h")
DAYS = _Axis(name="Days", unit_h=DAY_H, shown_h=(-np.inf, np.inf), read="day %{x:.1f}")
MINUTES = _Axis(name="Minutes", unit_h=1.0 / 60.0, shown_h=(0.0, np.inf), read="%{x:.0f} min")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The median of one observable in one run, its 5-95 % band, and some individuals (n, T)."""

    label: str
    times_h: Array
    median: Array
    low: Array | None = None
    high: Array | None = None
    individuals: Array | None = None
    style: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainPanel:
    """One link of the chain: its quantity with unit, and its lines; ``floor`` keeps 0 or 1 in view."""

    quantity: str
    unit: str
    lines: tuple[Line, ...]
    floor: float | None = None
    top: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Marks:
    """What is marked on the time axes, in hours: doses, therapy sessions, and stretches of an open window."""

    doses_h: Sequence[float] = ()
    therapy_h: Sequence[float] = ()
    window_h: Sequence[tuple[float, float]] = ()


def chain_figure(
    panels: Sequence[ChainPanel],
    *,
    horizon_h: float,
    marks: Marks,
    has_first_day: bool = True,
    panel_height: int = PANEL_HEIGHT,
) -> go.Figure:
    """Return one row a panel: left the first day (log), right the whole course in days.

    Parameters
    ----------
    panels : sequence of ChainPanel
        In the order of the chain.
    horizon_h : float
    marks : Marks
    has_first_day : bool
        Without it the whole course alone, for what takes weeks.
    panel_height : int
        Pixels.
    """
    from plotly.subplots import make_subplots

    axes = (HOURS, DAYS) if has_first_day else (DAYS,)
    figure = make_subplots(
        rows=len(panels),
        cols=len(axes),
        column_widths=(0.42, 0.58) if has_first_day else None,
        horizontal_spacing=0.06,
        vertical_spacing=0.012,
        shared_xaxes=True,
        column_titles=("first day, hours (log)", "whole course, days") if has_first_day else None,
    )
    seen: set[str] = set()
    for row, panel in enumerate(panels, start=1):
        for column, axis in enumerate(axes, start=1):
            _draw(figure, panel, axis, row=row, column=column, seen=seen)
            _mark(figure, marks, axis, row=row, column=column, horizon_h=horizon_h)
        figure.update_yaxes(range=_range(panel), row=row, nticks=4)
        figure.update_yaxes(title_text=_label(panel), title_font={"size": 11}, row=row, col=1)
        if has_first_day:
            figure.update_yaxes(showticklabels=False, row=row, col=2)
    for column, axis in enumerate(axes, start=1):
        _set_time_axis(figure, axis, marks, column=column, horizon_h=horizon_h)
        figure.update_xaxes(title_text=f"{axis.name} after time 0", row=len(panels), col=column)
    style(figure, height=panel_height * len(panels), legend_lines=1 + len(seen) // 3)
    return figure


def _set_time_axis(figure: go.Figure, axis: _Axis, marks: Marks, *, column: int, horizon_h: float) -> None:
    if axis is DAYS:
        start = min([0.0, *marks.doses_h, *marks.therapy_h]) / DAY_H
        figure.update_xaxes(range=[start, horizon_h / DAY_H], col=column)
        return
    ticks = [0.1, 0.25, 0.5, 1, 2, 4, 8, 24]
    figure.update_xaxes(
        type="log",
        range=[np.log10(FIRST_H), np.log10(DAY_H)],
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
        col=column,
    )


def session_figure(panels: Sequence[ChainPanel], *, until_h: float) -> go.Figure:
    """Return the hours of a session on a linear axis: two columns of panels."""
    from plotly.subplots import make_subplots

    rows = (len(panels) + 1) // 2
    figure = make_subplots(rows=rows, cols=2, horizontal_spacing=0.1, vertical_spacing=0.09)
    seen: set[str] = set()
    for at, panel in enumerate(panels):
        row, column = at // 2 + 1, at % 2 + 1
        _draw(figure, panel, MINUTES, row=row, column=column, seen=seen)
        figure.update_yaxes(range=_range(panel), title_text=_label(panel), row=row, col=column)
    figure.update_xaxes(range=[0.0, until_h * 60.0], dtick=30)
    figure.update_xaxes(title_text="Minutes after the start of the session", row=rows)
    style(figure, height=250 * rows, legend_lines=1 + len(seen) // 3)
    return figure


def _label(panel: ChainPanel) -> str:
    return panel.quantity if panel.unit in ("", "1") else f"{panel.quantity}<br>({panel.unit})"


def _draw(
    figure: go.Figure, panel: ChainPanel, axis: _Axis, *, row: int, column: int, seen: set[str]
) -> None:
    import plotly.graph_objects as go

    for line in panel.lines:
        colour, dash = COLOURS[line.style % len(COLOURS)], DASHES[line.style % len(DASHES)]
        keep = (line.times_h >= axis.shown_h[0]) & (line.times_h <= axis.shown_h[1])
        x = np.round(line.times_h[keep] / axis.unit_h, 5)
        where: Any = {"row": row, "col": column}
        if line.low is not None and line.high is not None:
            band = go.Scatter(
                x=np.concatenate([x, x[::-1]]),
                y=_short(np.concatenate([line.high[keep], line.low[keep][::-1]])),
                mode="lines",
                fill="toself",
                fillcolor=faint(colour),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
            )
            figure.add_trace(band, **where)
        for one in line.individuals if line.individuals is not None else ():
            figure.add_trace(
                go.Scatter(
                    x=x,
                    y=_short(one[keep]),
                    mode="lines",
                    line={"color": colour, "width": 0.6},
                    opacity=0.35,
                    hoverinfo="skip",
                    showlegend=False,
                ),
                **where,
            )
        figure.add_trace(
            go.Scatter(
                x=x,
                y=_short(line.median[keep]),
                mode="lines",
                name=line.label,
                legendgroup=line.label,
                showlegend=line.label not in seen,
                line={"color": colour, "dash": dash, "width": 2},
                hovertemplate=f"{axis.read}: %{{y:.3g}}<extra>{line.label}</extra>",
            ),
            **where,
        )
        seen.add(line.label)


def _short(values: Array) -> Array:
    """Return values with five significant digits, which halves the size of a page."""
    size = np.where(
        values == 0, 1.0, 10.0 ** (np.floor(np.log10(np.abs(np.where(values == 0, 1.0, values)))) - 4)
    )
    return np.round(values / size) * size


def _mark(figure: go.Figure, marks: Marks, axis: _Axis, *, row: int, column: int, horizon_h: float) -> None:
    for start_h, end_h in marks.window_h:
        left, right = max(start_h, axis.shown_h[0]), min(end_h, horizon_h, axis.shown_h[1])
        if left < right:
            _shade(figure, left / axis.unit_h, right / axis.unit_h, row=row, column=column)
    if axis is not DAYS:
        return
    for times_h, colour in ((marks.doses_h, DOSE_COLOUR), (marks.therapy_h, THERAPY_COLOUR)):
        for time_h in times_h if len(times_h) <= MOST_MARKS else ():
            where: Any = {"row": row, "col": column}
            figure.add_vline(x=time_h / DAY_H, line_width=1, line_dash="dot", line_color=colour, **where)


def _shade(figure: go.Figure, left: float, right: float, *, row: int, column: int) -> None:
    where: Any = {"row": row, "col": column}
    figure.add_vrect(x0=left, x1=right, fillcolor="rgba(230,159,0,.10)", line_width=0, layer="below", **where)


def _range(panel: ChainPanel) -> list[float]:
    """Return the limits of an axis: everything drawn, the floor in view, a little air."""
    lows, highs = [], []
    for line in panel.lines:
        parts = [line.median, *(part for part in (line.low, line.high, line.individuals) if part is not None)]
        lows.append(min(float(np.min(part)) for part in parts))
        highs.append(max(float(np.max(part)) for part in parts))
    low = min(lows) if panel.floor is None else min(panel.floor, *lows)
    high = max(highs) if panel.top is None else max(panel.top, *highs)
    if high - low < FLATTEST * max(abs(high), 1.0):  # nothing moves: rounding must not fill the panel
        high = low + 0.1 * max(abs(high), 1.0)
    air = 0.06 * (high - low)
    return [low - (air if low < 0 or panel.floor is None else 0.0), high + air]
