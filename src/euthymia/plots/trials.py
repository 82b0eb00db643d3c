"""Arms of a trial over its visits, and shares by arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from euthymia.plots.arms import INK, SOFT, ArmStyle, diamond, lines, plain
from euthymia.plots.concentrations import faint

if TYPE_CHECKING:
    import plotly.graph_objects as go

Array = NDArray[np.float64]
DAY_H = 24.0
CLOSE, LETTER, AIR = 0.012, 0.024, 0.03
"""Shares of an axis: visits closer than the first ask for a square-root axis; a letter of a label on narrow
screens; room between two labels."""
DODGE = 0.008
"""Share of the axis between the intervals of neighbouring arms."""
MOST_BARS = 12
"""Visits up to which intervals are drawn as bars; bands where there are more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """One arm over its visits; ``times_h`` (V,), mean with interval (V,), NaN where there is none."""

    style: ArmStyle
    times_h: Array
    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Published values of an arm at times (h), with their interval; NaN where none was printed."""

    style: ArmStyle
    times_h: Array
    value: Array
    low: Array
    high: Array
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A share of an arm (0 to 1) with its interval, and the published one with its own."""

    style: ArmStyle
    share: float
    low: float
    high: float
    observed: float = float("nan")
    observed_low: float = float("nan")
    observed_high: float = float("nan")
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Axis:
    """A time axis in days, on a square-root scale where visits crowd at its start."""

    is_root: bool
    ticks_days: tuple[float, ...]
    range: tuple[float, float]

    def place(self, days: Array) -> Array:
        return np.sign(days) * np.sqrt(np.abs(days)) if self.is_root else days


# --- courses -----------------------------------------------------------------------------------


def course_figure(
    courses: Sequence[Course], published: Sequence[Published] = (), *, quantity: str, decimals: int = 1
) -> str:
    """Return arms over time as HTML: means with their interval, published values as open diamonds.

    Parameters
    ----------
    courses : sequence of Course
    published : sequence of Published
    quantity : str
        Label of the axis, with unit.
    decimals : int
        In what a pointer reads.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    axis = _time_axis([one.times_h for one in (*courses, *published)])
    visits = max(int(np.isfinite(one.mean).sum()) for one in courses)
    has_bars = len(courses) > 2 and visits <= MOST_BARS
    width = axis.range[1] - axis.range[0]
    for order, one in enumerate(courses):
        offset = DODGE * width * (order - (len(courses) - 1) / 2.0) if has_bars else 0.0
        _add_course(figure, one, axis, offset, has_bars=has_bars, decimals=decimals)
    for one in published:
        order = next((place for place, course in enumerate(courses) if course.style == one.style), 0)
        offset = DODGE * width * (order - (len(courses) - 1) / 2.0) if has_bars else 0.0
        _add_published(figure, one, axis, offset, decimals=decimals)
    figure.update_xaxes(
        range=axis.range,
        tickvals=axis.place(np.array(axis.ticks_days)),
        ticktext=[_day(day) for day in axis.ticks_days],
        title_text="Days, square-root axis" if axis.is_root else "Days after the first dose",
    )
    figure.update_yaxes(title_text=quantity)
    return plain(figure, height=330)


def _time_axis(times_h: Sequence[Array]) -> _Axis:
    days = np.unique(np.concatenate([*times_h, np.zeros(1)])) / DAY_H
    span = max(float(np.ptp(days)), 1e-6)
    is_root = len(days) > 2 and float(np.diff(days).min()) < CLOSE * span
    root = _Axis(is_root=is_root, ticks_days=(), range=(0.0, 0.0))
    placed = root.place(days)
    air = 0.04 * max(float(np.ptp(placed)), 1e-6)
    ends = (float(placed[0]) - air, float(placed[-1]) + air)
    return _Axis(is_root=is_root, ticks_days=_ticks(days, placed, ends), range=ends)


def _ticks(days: Array, placed: Array, ends: tuple[float, float]) -> tuple[float, ...]:
    """Return the days that are labelled: day 0, the last visit, and those between with room for a label."""
    width = ends[1] - ends[0]
    half = np.array([LETTER * len(_day(day)) / 2.0 for day in days])
    zero = int(np.argmin(np.abs(days)))
    kept = list(dict.fromkeys([zero, len(days) - 1]))
    for place in range(len(days)):
        if all(
            abs(placed[place] - placed[other]) >= width * (half[place] + half[other] + AIR) for other in kept
        ):
            kept.append(place)
    return tuple(float(days[place]) for place in sorted(kept))


def _day(day: float) -> str:
    return f"{day:.2g}" if abs(day) < 1 else f"{day:.4g}"


def _add_course(
    figure: go.Figure, one: Course, axis: _Axis, offset: float, *, has_bars: bool, decimals: int
) -> None:
    import plotly.graph_objects as go

    known = np.isfinite(one.mean)
    days, mean = one.times_h[known] / DAY_H, one.mean[known].round(3)
    low, high = (np.where(np.isfinite(end), end, one.mean)[known].round(3) for end in (one.low, one.high))
    x = axis.place(days) + offset
    label = one.style.label
    if not has_bars:
        figure.add_trace(
            go.Scatter(
                x=np.concatenate([x, x[::-1]]),
                y=np.concatenate([high, low[::-1]]),
                mode="lines",
                fill="toself",
                fillcolor=faint(one.style.colour),
                line={"width": 0},
                hoverinfo="skip",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=x,
            y=mean,
            mode="lines+markers",
            name=label,
            line={"color": one.style.colour, "dash": one.style.dash, "width": 2},
            marker={"symbol": one.style.marker, "size": 7, "line": {"color": "white", "width": 0.8}},
            error_y=error_bars(mean, low, high) if has_bars else None,
            customdata=np.column_stack([days, low, high]),
            hovertemplate=f"day %{{customdata[0]:.3g}}: %{{y:.{decimals}f}} (%{{customdata[1]:.{decimals}f}} "
            f"to %{{customdata[2]:.{decimals}f}})<extra>{lines(label, 40)}</extra>",
        )
    )


def _add_published(figure: go.Figure, one: Published, axis: _Axis, offset: float, *, decimals: int) -> None:
    import plotly.graph_objects as go

    days = one.times_h / DAY_H
    label = f"published, {one.style.label}" + (f", {one.source}" if one.source else "")
    figure.add_trace(
        go.Scatter(
            x=axis.place(days) + offset,
            y=one.value,
            mode="markers",
            name=label,
            error_y=error_bars(one.value, one.low, one.high) | {"color": one.style.colour},
            marker=diamond(one.style.colour),
            customdata=days,
            hovertemplate=f"day %{{customdata:.3g}}: %{{y:.{decimals}f}}<extra>{lines(label, 40)}</extra>",
        )
    )


def error_bars(value: Array, low: Array, high: Array) -> dict[str, Any]:
    """Return error bars between the ends of an interval; none where an end is not known."""
    return {
        "type": "data",
        "array": np.where(np.isfinite(high), high - value, 0.0),
        "arrayminus": np.where(np.isfinite(low), value - low, 0.0),
        "thickness": 1.2,
        "width": 3,
    }


# --- shares ------------------------------------------------------------------------------------


def share_figure(bars: Sequence[Bar], *, quantity: str) -> str:
    """Return shares by arm as HTML: horizontal bars with their interval, published ones as diamonds."""
    import plotly.graph_objects as go

    figure = go.Figure()
    place = -np.arange(len(bars), dtype=float)
    value = 100.0 * np.array([one.share for one in bars])
    figure.add_trace(
        go.Bar(
            x=value,
            y=place,
            orientation="h",
            marker={
                "color": [faint(one.style.colour) for one in bars],
                "line": {"color": [one.style.colour for one in bars], "width": 1.6},
            },
            width=0.6,
            error_x=error_bars(value, *(100.0 * np.array(ends) for ends in _ends(bars)))
            | {"color": INK, "thickness": 1.4},
            customdata=[[one.style.label, 100 * one.low, 100 * one.high, one.text] for one in bars],
            hovertemplate="%{x:.0f} % (%{customdata[1]:.0f} to %{customdata[2]:.0f} %)%{customdata[3]}"
            "<extra>%{customdata[0]}</extra>",
        )
    )
    is_open = np.array([bool(np.isfinite(one.observed)) for one in bars])
    shown = [one for one in bars if np.isfinite(one.observed)]
    if shown:
        value = 100.0 * np.array([one.observed for one in shown])
        low = 100.0 * np.array([one.observed_low for one in shown])
        high = 100.0 * np.array([one.observed_high for one in shown])
        figure.add_trace(
            go.Scatter(
                x=value,
                y=place[is_open] - 0.2,
                mode="markers",
                error_x=error_bars(value, low, high) | {"color": SOFT},
                marker=diamond(INK),
                customdata=[one.style.label for one in shown],
                hovertemplate="published: %{x:.0f} %<extra>%{customdata}</extra>",
            )
        )
    names = [lines(one.style.label) for one in bars]
    figure.update_yaxes(tickvals=place, ticktext=names, range=[0.5 - len(bars), 0.5], showgrid=False)
    figure.update_xaxes(title_text=quantity, range=[0, 100], dtick=20)
    return plain(figure, height=70 + 46 * len(bars))


def _ends(bars: Sequence[Bar]) -> tuple[list[float], list[float]]:
    return [one.low for one in bars], [one.high for one in bars]


def event_figure(events: Sequence[tuple[str, Sequence[Bar]]], *, quantity: str) -> str:
    """Return shares with an event as HTML: a line of marks an event, arms below each other in it."""
    import plotly.graph_objects as go

    figure = go.Figure()
    count = max(len(bars) for _, bars in events)
    rows = [(row, place, one) for row, (_, bars) in enumerate(events) for place, one in enumerate(bars)]
    for style in dict.fromkeys(one.style.place for _, _, one in rows):
        chosen = [(row, place, one) for row, place, one in rows if one.style.place == style]
        look = chosen[0][2].style
        value = 100.0 * np.array([one.share for _, _, one in chosen])
        low, high = (100.0 * np.array(ends) for ends in _ends([one for _, _, one in chosen]))
        figure.add_trace(
            go.Scatter(
                x=value,
                y=[row + (place - (count - 1) / 2.0) * 0.72 / count for row, place, _ in chosen],
                mode="markers",
                marker={"color": look.colour, "symbol": look.marker, "size": 9},
                error_x=error_bars(value, low, high) | {"color": look.colour},
                customdata=[[events[row][0], 100 * one.low, 100 * one.high] for row, _, one in chosen],
                hovertemplate="%{customdata[0]}: %{x:.0f} % (%{customdata[1]:.0f} to %{customdata[2]:.0f} %)"
                f"<extra>{lines(look.label, 40)}</extra>",
            )
        )
    for row in range(1, len(events)):
        figure.add_hline(y=row - 0.5, line_width=1, line_color="#dde3ea")
    figure.update_yaxes(
        tickvals=list(range(len(events))),
        ticktext=[name for name, _ in events],
        range=[len(events) - 0.5, -0.5],
        showgrid=False,
    )
    tallest = np.nanmax([[100.0 * one.share, 100.0 * one.high] for _, _, one in rows])
    top = min(100.0, 20.0 * np.ceil(tallest / 20.0))
    figure.update_xaxes(title_text=quantity, range=[-0.02 * top, 1.02 * top])
    return plain(figure, height=70 + len(events) * max(34, 15 * count + 8))
