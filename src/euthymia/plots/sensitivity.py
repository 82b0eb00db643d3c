"""What an output hangs on: a tornado beside bars of Sobol indices, and the indices of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from euthymia.plots.arms import INK, SOFT
from euthymia.plots.concentrations import COLOURS, style, to_html

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROW, BAR = 44, 0.32
FIRST, TOTAL = COLOURS[0], COLOURS[5]
LOW, HIGH = COLOURS[4], COLOURS[1]
PATTERNS = ("", "/", "x")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """An input or a group: what the output is with it low and high, and its indices with half widths.

    ``under`` is a second, softer line of its label.
    """

    label: str
    under: str = ""
    at_low: float = np.nan
    at_high: float = np.nan
    first: float = np.nan
    first_half_width: float = 0.0
    total: float = np.nan
    total_half_width: float = 0.0
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupBars:
    """The total and first-order index of one group on every output."""

    group: str
    bars: Sequence[Bars]


def sensitivity_figure(bars: Sequence[Bars], *, typical: float, quantity: str) -> str:
    """Return the tornado of an output beside the indices of the same inputs, as HTML.

    Parameters
    ----------
    bars : sequence of Bars
        The largest first.
    typical : float
        The output with every input at its typical value.
    quantity : str
        Label of the tornado's axis, with unit.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04, column_widths=(0.54, 0.46)
    )
    place = -np.arange(len(bars), dtype=float)
    _draw_tornado(figure, bars, place, typical)
    _draw_indices(figure, bars, place)
    names = [_label(one) for one in bars]
    style(figure, height=96 + ROW * len(bars))
    figure.update_layout(bargap=0.2, margin={"r": 14, "b": 50})
    figure.update_yaxes(
        tickvals=place, ticktext=names, range=[0.6 - len(bars), 0.6], showgrid=False, automargin=True
    )
    figure.update_yaxes(showticklabels=False, row=1, col=2)
    figure.update_xaxes(title_text=quantity, row=1, col=1)
    figure.update_xaxes(title_text="Share of variance", rangemode="tozero", row=1, col=2)
    return to_html(figure)


def _label(one: Bars) -> str:
    under = f'<br><span style="color:{SOFT};font-size:11px">{escape(one.under)}</span>' if one.under else ""
    return f"{escape(one.label)}{under}"


def _draw_tornado(figure: go.Figure, bars: Sequence[Bars], place: Any, typical: float) -> None:
    import plotly.graph_objects as go

    ends = (
        ("input low (its 16 % point)", [one.at_low for one in bars], LOW, ""),
        ("input high (its 84 % point)", [one.at_high for one in bars], HIGH, "/"),
    )
    for name, values, colour, pattern in ends:
        figure.add_trace(
            go.Bar(
                x=np.array(values) - typical,
                base=typical,
                y=place,
                offset=-0.36,
                width=0.72,
                orientation="h",
                name=name,
                marker={
                    "color": colour,
                    "opacity": 0.85,
                    "pattern": {"shape": pattern, "fgcolor": "white", "size": 5, "solidity": 0.22},
                },
                customdata=[[one.label, value, one.text] for one, value in zip(bars, values, strict=True)],
                hovertemplate="%{customdata[1]:.3g}<br>%{customdata[2]}<extra>%{customdata[0]}</extra>",
            ),
            row=1,
            col=1,
        )
    figure.add_vline(x=typical, line_width=1.2, line_color=INK, row=1, col=1)  # pyright: ignore[reportArgumentType] - stubs


def _draw_indices(figure: go.Figure, bars: Sequence[Bars], place: Any) -> None:
    import plotly.graph_objects as go

    kinds = (
        ("first order (alone)", "first", FIRST, "", 0.02),
        ("total (with interactions)", "total", TOTAL, "x", -0.34),
    )
    for name, key, colour, pattern, offset in kinds:
        values = np.array([getattr(one, key) for one in bars])
        half = np.array([getattr(one, f"{key}_half_width") for one in bars])
        figure.add_trace(
            go.Bar(
                x=values,
                y=place,
                offset=offset,
                width=BAR,
                orientation="h",
                name=name,
                marker={
                    "color": colour,
                    "pattern": {"shape": pattern, "fgcolor": "white", "size": 5, "solidity": 0.22},
                },
                error_x={"type": "data", "array": half, "color": INK, "thickness": 1.2, "width": 3},
                customdata=[[one.label, width] for one, width in zip(bars, half, strict=True)],
                hovertemplate=f"{name}: %{{x:.3f}} ± %{{customdata[1]:.3f}}<extra>%{{customdata[0]}}</extra>",
            ),
            row=1,
            col=2,
        )


def group_figure(groups: Sequence[GroupBars]) -> str:
    """Return the total index of each group on every output, first orders marked, as HTML."""
    import plotly.graph_objects as go

    figure = go.Figure()
    count = len(groups[0].bars)
    place, width = -np.arange(count, dtype=float), 0.8 / len(groups)
    for number, group in enumerate(groups):
        middle = place + 0.4 - (number + 0.5) * width
        figure.add_trace(
            go.Bar(
                x=[one.total for one in group.bars],
                y=middle,
                width=0.86 * width,
                orientation="h",
                name=group.group,
                marker={
                    "color": COLOURS[number],
                    "pattern": {
                        "shape": PATTERNS[number],
                        "fgcolor": "white",
                        "size": 5,
                        "solidity": 0.22,
                    },
                },
                error_x={
                    "type": "data",
                    "array": [one.total_half_width for one in group.bars],
                    "color": INK,
                    "thickness": 1.2,
                    "width": 3,
                },
                customdata=[one.label for one in group.bars],
                hovertemplate=f"{group.group}, total: %{{x:.3f}}<extra>%{{customdata}}</extra>",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=[one.first for one in group.bars],
                y=middle,
                mode="markers",
                name="first order (alone)",
                showlegend=number == 0,
                legendgroup="first",
                legendrank=2000,
                marker={
                    "symbol": "diamond",
                    "size": 9,
                    "color": "white",
                    "line": {"color": INK, "width": 1.6},
                },
                customdata=[one.label for one in group.bars],
                hovertemplate=f"{group.group}, first order: %{{x:.3f}}<extra>%{{customdata}}</extra>",
            )
        )
    style(figure, height=80 + (16 + 22 * len(groups)) * count)
    figure.update_layout(margin={"r": 14, "b": 50})
    figure.update_xaxes(title_text="Share of variance", rangemode="tozero")
    figure.update_yaxes(
        tickvals=place,
        ticktext=[_label(one) for one in groups[0].bars],
        range=[0.5 - count, 0.5],
        showgrid=False,
        automargin=True,
    )
    return to_html(figure)
