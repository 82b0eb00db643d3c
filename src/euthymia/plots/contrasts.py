"""Contrasts: how often each size came out over replicates, and published beside simulated as a forest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from euthymia.plots.arms import INK, SOFT, ArmStyle, diamond, lines, plain
from euthymia.plots.concentrations import COLOURS, faint
from euthymia.plots.trials import error_bars

if TYPE_CHECKING:
    import plotly.graph_objects as go

Array = NDArray[np.float64]
BIN_COUNT = 24
ROW, WRAP = 46, 22
RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Ratios that an axis may be labelled with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """A simulated result with the interval for one trial, and the published one; NaN where there is none."""

    label: str
    simulated: float
    low: float
    high: float
    observed: float
    observed_low: float
    observed_high: float
    text: str = ""


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
            error_x=error_bars(value, low, high) | {"color": INK},
            hovertemplate="published<extra></extra>",
        )
    )
    figure.add_vline(x=float(value[0]), line_width=1.4, line_color=INK)


def _logs(values: Array) -> Array:
    return np.log(np.maximum(values, 1e-6))


def _ratio_ticks(low: float, high: float) -> dict[str, Any]:
    """Return ticks of an axis of logarithms, labelled as ratios."""
    inside = [ratio for ratio in RATIOS if low <= np.log(ratio) <= high]
    kept: list[float] = []
    for ratio in sorted(inside, key=lambda one: abs(np.log(one))):
        if all(abs(np.log(ratio) - np.log(other)) >= 0.1 * (high - low) for other in kept):
            kept.append(ratio)
    return {
        "tickvals": [float(np.log(ratio)) for ratio in kept],
        "ticktext": [f"{ratio:g}" for ratio in kept],
    }


def forest_figure(rows: Sequence[Contrast], *, quantity: str, is_ratio: bool = False) -> str:
    """Return results below each other as HTML: simulated with its interval, published as an open diamond.

    Parameters
    ----------
    rows : sequence of Contrast
    quantity : str
        Label of the axis, with unit.
    is_ratio : bool
        Ratios stand on a logarithmic axis, no effect is 1.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    names = [lines(one.label, WRAP) for one in rows]
    place = -np.arange(len(rows), dtype=float)
    value, low, high = (_placed(rows, name, is_ratio=is_ratio) for name in ("simulated", "low", "high"))
    texts = [[one.label, one.text] for one in rows]
    figure.add_trace(
        go.Scatter(
            x=value,
            y=place + 0.13,
            mode="markers",
            marker={"color": COLOURS[0], "symbol": "square", "size": 9},
            error_x=error_bars(value, low, high) | {"color": COLOURS[0], "thickness": 3, "width": 0},
            customdata=texts,
            hovertemplate="simulated<br>%{customdata[1]}<extra>%{customdata[0]}</extra>",
        )
    )
    shown = (value, low, high)
    value, low, high = (
        _placed(rows, name, is_ratio=is_ratio) for name in ("observed", "observed_low", "observed_high")
    )
    figure.add_trace(
        go.Scatter(
            x=value,
            y=place - 0.13,
            mode="markers",
            marker=diamond(INK),
            error_x=error_bars(value, low, high) | {"color": INK, "thickness": 1.4, "width": 4},
            customdata=texts,
            hovertemplate="published<br>%{customdata[1]}<extra>%{customdata[0]}</extra>",
        )
    )
    figure.add_vline(x=0.0, line_width=1.2, line_color=SOFT, line_dash="dot")
    figure.update_yaxes(tickvals=place, ticktext=names, range=[0.5 - len(rows), 0.5], showgrid=False)
    figure.update_xaxes(title_text=quantity)
    if is_ratio:
        every = np.concatenate([*shown, value, low, high, [0.0]])
        figure.update_xaxes(**_ratio_ticks(float(np.nanmin(every)), float(np.nanmax(every))))
    tallest = max(name.count("<br>") for name in names)
    return plain(figure, height=66 + max(ROW, 18 * (tallest + 1) + 8) * len(rows))


def _placed(rows: Sequence[Contrast], name: str, *, is_ratio: bool) -> Array:
    values = np.array([getattr(one, name) for one in rows], float)
    return _logs(values) if is_ratio else values
