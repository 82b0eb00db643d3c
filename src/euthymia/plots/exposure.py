"""Exposure by dose: simulated medians with their band, printed values beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from euthymia.plots.concentrations import COLOURS, style

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, kw_only=True, slots=True)
class ExposurePanel:
    """One quantity by dose: simulated (median, 5 %, 95 %) and printed values, in the order of the doses."""

    quantity: str
    doses: Sequence[str]
    median: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    printed: Sequence[float | None]


def exposure_figure(panels: Sequence[ExposurePanel], *, printed_label: str) -> go.Figure:
    """Return one column a panel: simulated medians with 5-95 % bars, printed values as open diamonds."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=len(panels), horizontal_spacing=0.085)
    for column, panel in enumerate(panels, start=1):
        figure.add_trace(
            go.Scatter(
                x=list(panel.doses),
                y=list(panel.median),
                error_y={
                    "type": "data",
                    "array": [high - middle for high, middle in zip(panel.high, panel.median, strict=True)],
                    "arrayminus": [middle - low for low, middle in zip(panel.low, panel.median, strict=True)],
                },
                mode="markers",
                name="simulated median, 5–95 % of patients",
                showlegend=column == 1,
                marker={"color": COLOURS[0], "size": 9},
            ),
            row=1,
            col=column,
        )
        figure.add_trace(
            go.Scatter(
                x=list(panel.doses),
                y=list(panel.printed),
                mode="markers",
                name=printed_label,
                showlegend=column == 1,
                marker={"color": COLOURS[1], "symbol": "diamond-open", "size": 14, "line": {"width": 2}},
            ),
            row=1,
            col=column,
        )
        figure.update_yaxes(title_text=panel.quantity, rangemode="tozero", row=1, col=column)
        figure.update_xaxes(title_text="Dose", type="category", row=1, col=column)
    style(figure, height=300)
    return figure
