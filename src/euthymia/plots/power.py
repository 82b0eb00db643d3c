"""Power by the size of the arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.plots.arms import INK, SOFT, ArmStyle, lines, plain
from euthymia.plots.concentrations import faint

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerLine:
    """Power of one contrast (0 to 1) by size, (N,), with the interval of its Monte Carlo error."""

    style: ArmStyle
    sizes: NDArray[np.int64]
    power: Array
    low: Array
    high: Array
    closed_form: Array | None = None


def power_figure(curves: Sequence[PowerLine], *, target: float, counted: str = "in each arm") -> str:
    """Return power by the number of patients, counted in each arm or otherwise, as HTML; a formula's thin."""
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
                    hovertemplate="%{x} patients: %{y:.0f} % by the formula<extra></extra>",
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
                hovertemplate="%{x} patients: %{y:.0f} % (%{customdata[0]:.0f} to %{customdata[1]:.0f} %)"
                f"<extra>{lines(one.style.label, 40)}</extra>",
            )
        )
    figure.add_hline(y=100.0 * target, line_width=1.2, line_dash="dot", line_color=INK)
    figure.update_xaxes(title_text=f"Patients {counted}")
    figure.update_yaxes(title_text="Power (%)", range=[0, 102], dtick=20)
    return plain(figure, height=420)
