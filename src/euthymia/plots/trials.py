"""Arms of a trial over its visits, shares by arm, and contrasts over replicates."""

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
CLOSE, TICK_ROOM = 0.012, 0.085
"""Shares of an axis: visits closer than the first ask for a square-root axis; ticks are this far apart."""
DODGE = 0.008
"""Share of the axis between the intervals of neighbouring arms."""
MOST_BARS = 12
"""Visits up to which intervals are drawn as bars; bands where there are more."""
BIN_COUNT = 24


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
        ticktext=[f"{day:.2g}" if abs(day) < 1 else f"{day:g}" for day in axis.ticks_days],
        title_text="Days after the first dose" + (", square-root axis" if axis.is_root else ""),
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
    room = TICK_ROOM * (ends[1] - ends[0])
    zero = int(np.argmin(np.abs(days)))
    kept = list(dict.fromkeys([zero, len(days) - 1]))
    for place in range(len(days)):
        if all(abs(placed[place] - placed[other]) >= room for other in kept):
            kept.append(place)
    return tuple(float(days[place]) for place in sorted(kept))


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
            error_y=_errors(mean, low, high) if has_bars else None,
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
            error_y=_errors(one.value, one.low, one.high) | {"color": one.style.colour},
            marker=diamond(one.style.colour),
            customdata=days,
            hovertemplate=f"day %{{customdata:.3g}}: %{{y:.{decimals}f}}<extra>{lines(label, 40)}</extra>",
        )
    )


def _errors(value: Array, low: Array, high: Array) -> dict[str, Any]:
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
    names = [lines(one.style.label) for one in bars]
    value = 100.0 * np.array([one.share for one in bars])
    figure.add_trace(
        go.Bar(
            x=value,
            y=names,
            orientation="h",
            marker={
                "color": [faint(one.style.colour) for one in bars],
                "line": {"color": [one.style.colour for one in bars], "width": 1.6},
            },
            width=0.6,
            error_x=_errors(value, *(100.0 * np.array(ends) for ends in _ends(bars)))
            | {"color": INK, "thickness": 1.4},
            customdata=[[one.style.label, 100 * one.low, 100 * one.high, one.text] for one in bars],
            hovertemplate="%{x:.0f} % (%{customdata[1]:.0f} to %{customdata[2]:.0f} %)%{customdata[3]}"
            "<extra>%{customdata[0]}</extra>",
        )
    )
    shown = [one for one in bars if np.isfinite(one.observed)]
    if shown:
        value = 100.0 * np.array([one.observed for one in shown])
        low = 100.0 * np.array([one.observed_low for one in shown])
        high = 100.0 * np.array([one.observed_high for one in shown])
        figure.add_trace(
            go.Scatter(
                x=value,
                y=[lines(one.style.label) for one in shown],
                mode="markers",
                error_x=_errors(value, low, high) | {"color": SOFT},
                marker=diamond(INK),
                customdata=[one.style.label for one in shown],
                hovertemplate="published: %{x:.0f} %<extra>%{customdata}</extra>",
            )
        )
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
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
                error_x=_errors(value, low, high) | {"color": look.colour},
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
    figure.update_xaxes(title_text=quantity, range=[-2, 102], dtick=20)
    return plain(figure, height=70 + len(events) * max(34, 15 * count + 8))


# --- contrasts over replicates -----------------------------------------------------------------


def replicate_figure(
    values: Array,
    *,
    style: ArmStyle,
    quantity: str,
    is_ratio: bool = False,
    observed: tuple[float, float, float] | None = None,
) -> str:
    """Return how often each size of a contrast came out, as HTML; no effect and what was published marked.

    Parameters
    ----------
    values : array (R,)
        One a replicate; NaN and infinite ones are left out.
    style : ArmStyle
        Of the arm that is compared.
    quantity : str
        Label of the axis, with unit.
    is_ratio : bool
        Ratios stand on a logarithmic axis, no effect is 1.
    observed : (value, low, high), optional
        Ends NaN where none was printed.
    """
    import plotly.graph_objects as go

    placed = _logs(values[np.isfinite(values)]) if is_ratio else values[np.isfinite(values)]
    none = 0.0
    marked = [] if observed is None else [x for x in observed if np.isfinite(x)]
    marked = list(_logs(np.array(marked))) if is_ratio else marked
    edges = np.histogram_bin_edges(placed, bins=min(BIN_COUNT, max(6, len(placed) // 4)))
    counts, _ = np.histogram(placed, edges)
    back = np.exp(edges) if is_ratio else edges
    figure = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2.0,
            y=counts,
            width=np.diff(edges),
            marker={"color": faint(style.colour), "line": {"color": style.colour, "width": 1.2}},
            customdata=np.column_stack([back[:-1], back[1:]]),
            hovertemplate="%{customdata[0]:.2f} to %{customdata[1]:.2f}: %{y} replicates<extra></extra>",
        )
    )
    top = 1.3 * float(counts.max())
    figure.add_vline(x=none, line_width=1.2, line_color=SOFT, line_dash="dot")
    mean = float(placed.mean())
    figure.add_vline(x=mean, line_width=2, line_color=style.colour, line_dash=style.dash)
    if observed is not None and marked:
        _mark(figure, marked, y=1.14 * float(counts.max()))
    ends = [min([edges[0], none, *marked]), max([edges[-1], none, *marked])]
    air = 0.05 * (ends[1] - ends[0])
    figure.update_xaxes(title_text=quantity, range=[ends[0] - air, ends[1] + air])
    if is_ratio:
        figure.update_xaxes(**_ratio_ticks(ends[0] - air, ends[1] + air))
    figure.update_yaxes(title_text="Replicates", range=[0, top])
    return plain(figure, height=280)


def _mark(figure: go.Figure, marked: Sequence[float], *, y: float) -> None:
    """Add the published value with its interval above the bars."""
    import plotly.graph_objects as go

    value = np.array([marked[0]])
    low, high = (np.array([min(marked)]), np.array([max(marked)]))
    figure.add_trace(
        go.Scatter(
            x=value,
            y=[y],
            mode="markers",
            marker=diamond(INK, size=13),
            error_x=_errors(value, low, high) | {"color": INK},
            hovertemplate="published<extra></extra>",
        )
    )
    figure.add_vline(x=float(value[0]), line_width=1.4, line_color=INK)


def _logs(values: Array) -> Array:
    return np.log(np.maximum(values, 1e-6))


RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def _ratio_ticks(low: float, high: float) -> dict[str, Any]:
    """Return ticks of an axis of logarithms, labelled as ratios."""
    inside = [ratio for ratio in RATIOS if low <= np.log(ratio) <= high]
    room = TICK_ROOM * (high - low)
    kept: list[float] = []
    for ratio in sorted(inside, key=lambda one: abs(np.log(one))):
        if all(abs(np.log(ratio) - np.log(other)) >= room for other in kept):
            kept.append(ratio)
    return {
        "tickvals": [float(np.log(ratio)) for ratio in kept],
        "ticktext": [f"{ratio:g}" for ratio in kept],
    }
