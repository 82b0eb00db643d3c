"""Power by the size of the arms, and published results beside simulated ones as a forest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.plots.arms import INK, SOFT, ArmStyle, diamond, lines, plain
from euthymia.plots.concentrations import COLOURS, faint

Array = NDArray[np.float64]
ROW, WRAP = 46, 22


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerLine:
    """Power of one contrast (0 to 1) by size, (N,), with the interval of its Monte Carlo error."""

    style: ArmStyle
    sizes: NDArray[np.int64]
    power: Array
    low: Array
    high: Array
    closed_form: Array | None = None


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


def power_figure(curves: Sequence[PowerLine], *, target: float) -> str:
    """Return power by the number of patients in each arm, as HTML; a formula's power as a thin line."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for one in curves:
        size = one.sizes
        figure.add_trace(
            go.Scatter(
                x=np.concatenate([size, size[::-1]]),
                y=100.0 * np.concatenate([one.high, one.low[::-1]]),
                mode="lines",
                fill="toself",
                fillcolor=faint(one.style.colour),
                line={"width": 0},
                hoverinfo="skip",
            )
        )
        if one.closed_form is not None:
            figure.add_trace(
                go.Scatter(
                    x=size,
                    y=100.0 * one.closed_form,
                    mode="lines",
                    line={"color": SOFT, "width": 1.4, "dash": "longdash"},
                    hovertemplate="%{x} an arm: %{y:.0f} % by the formula<extra></extra>",
                )
            )
        figure.add_trace(
            go.Scatter(
                x=size,
                y=100.0 * one.power,
                mode="lines+markers",
                line={"color": one.style.colour, "width": 2, "dash": one.style.dash},
                marker={"symbol": one.style.marker, "size": 8},
                customdata=100.0 * np.column_stack([one.low, one.high]),
                hovertemplate="%{x} an arm: %{y:.0f} % (%{customdata[0]:.0f} to %{customdata[1]:.0f} %)"
                f"<extra>{lines(one.style.label, 40)}</extra>",
            )
        )
    figure.add_hline(y=100.0 * target, line_width=1.2, line_dash="dot", line_color=INK)
    figure.update_xaxes(title_text="Patients in each arm")
    figure.update_yaxes(title_text="Power (%)", range=[0, 102], dtick=20)
    return plain(figure, height=420)


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
    value, low, high = (
        np.array([getattr(one, name) for one in rows]) for name in ("simulated", "low", "high")
    )
    texts = [[one.label, one.text] for one in rows]
    figure.add_trace(
        go.Scatter(
            x=value,
            y=place + 0.13,
            mode="markers",
            marker={"color": COLOURS[0], "symbol": "square", "size": 9},
            error_x=_reach(value, low, high) | {"color": COLOURS[0], "thickness": 3, "width": 0},
            customdata=texts,
            hovertemplate="simulated %{x:.2f}<br>%{customdata[1]}<extra>%{customdata[0]}</extra>",
        )
    )
    value = np.array([one.observed for one in rows])
    low, high = (np.array([getattr(one, f"observed_{end}") for one in rows]) for end in ("low", "high"))
    figure.add_trace(
        go.Scatter(
            x=value,
            y=place - 0.13,
            mode="markers",
            marker=diamond(INK),
            error_x=_reach(value, low, high) | {"color": INK, "thickness": 1.4, "width": 4},
            customdata=texts,
            hovertemplate="published %{x:.2f}<br>%{customdata[1]}<extra>%{customdata[0]}</extra>",
        )
    )
    figure.add_vline(x=1.0 if is_ratio else 0.0, line_width=1.2, line_color=SOFT, line_dash="dot")
    figure.update_yaxes(tickvals=place, ticktext=names, range=[0.5 - len(rows), 0.5], showgrid=False)
    figure.update_xaxes(title_text=quantity, type="log" if is_ratio else "linear")
    tallest = max(name.count("<br>") for name in names)
    return plain(figure, height=66 + max(ROW, 18 * (tallest + 1) + 8) * len(rows))


def _reach(value: Array, low: Array, high: Array) -> dict[str, object]:
    return {
        "type": "data",
        "array": np.where(np.isfinite(high), high - value, 0.0),
        "arrayminus": np.where(np.isfinite(low), value - low, 0.0),
    }
