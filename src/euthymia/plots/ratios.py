"""Model over published, one mark a number, by study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from euthymia.plots.concentrations import COLOURS, MARKERS, style

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """A ratio with the line that it stands on and the group that gives its mark."""

    line: str
    group: str
    value: float
    text: str


def ratio_figure(ratios: Sequence[Ratio]) -> go.Figure:
    """Return a forest of ratios on a logarithmic axis, with the band of 20 % shaded."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_vrect(x0=1 / 1.2, x1=1.2, fillcolor="rgba(0,158,115,.12)", line_width=0)
    figure.add_vline(x=1, line_width=1, line_color="#52606d")
    for place, group in enumerate(dict.fromkeys(one.group for one in ratios)):
        chosen = [one for one in ratios if one.group == group]
        figure.add_trace(
            go.Scatter(
                x=[one.value for one in chosen],
                y=[one.line for one in chosen],
                mode="markers",
                name=group,
                text=[one.text for one in chosen],
                hovertemplate="%{text}<extra></extra>",
                marker={
                    "color": COLOURS[place % len(COLOURS)],
                    "symbol": MARKERS[place % len(MARKERS)],
                    "size": 9,
                },
            )
        )
    lines = list(dict.fromkeys(one.line for one in ratios))
    figure.update_xaxes(
        type="log", title_text="Model / published", tickvals=[0.2, 0.5, 0.8, 1, 1.25, 2, 5], range=[-0.8, 0.8]
    )
    figure.update_yaxes(categoryorder="array", categoryarray=lines[::-1])
    style(figure, height=140 + 24 * len(lines))
    figure.update_layout(margin={"l": 260})
    return figure
