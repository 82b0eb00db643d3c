"""A brain network as pictures: matrices by network, and two views of a glass brain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from euthymia.plots.concentrations import style

if TYPE_CHECKING:
    import plotly.graph_objects as go

Array = NDArray[np.float64]

# blue below, orange above: distinct with every common colour vision
BELOW, ABOVE = "#0072B2", "#D55E00"
SCALE = ((0.0, "#053d66"), (0.25, "#5fa3cf"), (0.5, "#ffffff"), (0.75, "#f0a05f"), (1.0, "#8c3a00"))
MOST_LINES = 40
"""Pairs of nodes that are drawn of those that rise, and of those that fall; more cannot be told apart."""
_GREY = "#c9d1d9"
_LEAST_CHANGE = 1e-9
_PANEL_HEIGHT, _PANEL_WIDTH = 330, 2
VIEWS = (("from above", 0, 1), ("from the left", 1, 2))
"""Two views: which axis lies across and which upwards (0 right, 1 front, 2 up)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixPanel:
    """A matrix (K, K) with its name; the scale is shared by all panels of a figure."""

    title: str
    values: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class GlassBrain:
    """Nodes and the pairs whose correlation changes most.

    Attributes
    ----------
    title : str
    places_mm : array (N, 3)
        Right, front, up.
    change : array (N, N)
        What pairs are drawn by: those that rise most, and those that fall most.
    """

    title: str
    places_mm: Array
    change: Array


def block_figure(panels: Sequence[MatrixPanel], names: Sequence[str], *, largest: float) -> go.Figure:
    """Return small matrices by network, numbers written in, two beside each other.

    Parameters
    ----------
    panels : sequence of MatrixPanel
    names : sequence of str (K,)
    largest : float
        End of the scale, either way.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    rows = (len(panels) + _PANEL_WIDTH - 1) // _PANEL_WIDTH
    figure = make_subplots(
        rows=rows,
        cols=min(_PANEL_WIDTH, len(panels)),
        subplot_titles=[panel.title for panel in panels],
        horizontal_spacing=0.16,
        vertical_spacing=0.3 / rows,
    )
    for place, panel in enumerate(panels):
        figure.add_trace(
            go.Heatmap(
                z=np.round(panel.values, 4),
                x=list(names),
                y=list(names),
                text=[[_signed(value) for value in row] for row in panel.values],
                texttemplate="%{text}",
                textfont={"size": 10},
                hovertemplate="%{y} with %{x}: %{z:+.3f}<extra></extra>",
                **_scale(largest, is_shown=place == 0, title="r"),
            ),
            row=place // _PANEL_WIDTH + 1,
            col=place % _PANEL_WIDTH + 1,
        )
    style(figure, height=_PANEL_HEIGHT * rows, legend_lines=0)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickangle=-35)
    return figure


def matrix_figure(
    panels: Sequence[MatrixPanel], labels: Sequence[str], networks: Sequence[str], *, largest: float
) -> go.Figure:
    """Return whole matrices (N, N) beside each other, nodes sorted by network, lines between."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    order, borders, middles, names = _sorted(networks)
    figure = make_subplots(
        rows=1,
        cols=len(panels),
        subplot_titles=[panel.title for panel in panels],
        horizontal_spacing=0.12,
    )
    named = [labels[one] for one in order]
    for column, panel in enumerate(panels, start=1):
        values = np.round(panel.values[np.ix_(order, order)], 3)
        np.fill_diagonal(values, np.nan)
        figure.add_trace(
            go.Heatmap(
                z=[[None if np.isnan(one) else float(one) for one in row] for row in values],
                customdata=[[f"{one} with {other}" for other in named] for one in named],
                hovertemplate="%{customdata}: %{z:+.3f}<extra></extra>",
                **_scale(largest, is_shown=column == 1, title="r"),
            ),
            row=1,
            col=column,
        )
        where: Any = {"row": 1, "col": column}
        for border in borders:
            figure.add_hline(y=border, line_width=0.7, line_color="#52606d", **where)
            figure.add_vline(x=border, line_width=0.7, line_color="#52606d", **where)
    style(figure, height=430, legend_lines=0)
    figure.update_xaxes(tickvals=middles, ticktext=names, tickangle=-35)
    figure.update_yaxes(tickvals=middles, ticktext=names, autorange="reversed")
    return figure


def glass_figure(
    brain: GlassBrain,
    networks: Sequence[str],
    titles: Mapping[str, str],
    colours: Mapping[str, str],
    *,
    labels: Sequence[str],
    outline_mm: Array | None = None,
) -> go.Figure:
    """Return a brain from above and from the left, with the pairs whose correlation changes most.

    Parameters
    ----------
    brain : GlassBrain
    networks, labels : sequence of str (N,)
    titles, colours : {network: str}
    outline_mm : array (V, 3), optional
        Points of a surface, drawn faintly behind.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=1, cols=2, subplot_titles=[view[0] for view in VIEWS], horizontal_spacing=0.04
    )
    for column, (_, across, upwards) in enumerate(VIEWS, start=1):
        where: Any = {"row": 1, "col": column}
        if outline_mm is not None:
            figure.add_trace(_cloud(outline_mm[:, across], outline_mm[:, upwards]), **where)
        for line in _lines(brain, across, upwards, is_first=column == 1):
            figure.add_trace(line, **where)
        for name in titles:
            chosen = np.array([one == name for one in networks])
            if chosen.any():
                points = _nodes(brain, chosen, across, upwards, labels=labels, name=titles[name])
                points.update(marker_color=colours[name], showlegend=column == 1, legendgroup=name)
                figure.add_trace(points, **where)
        axis = "" if column == 1 else str(column)
        figure.update_yaxes(scaleanchor=f"x{axis}", scaleratio=1, row=1, col=column)
    style(figure, height=460, legend_lines=2)
    figure.update_layout(margin={"l": 5, "r": 5, "b": 5})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def strongest_pairs(change: Array, most: int) -> list[tuple[int, int]]:
    """Return the pairs (one < other) that rise most, the largest first; none that do not rise."""
    one, other = np.triu_indices(len(change), 1)
    rise = change[one, other]
    order = np.argsort(-rise, kind="stable")[:most]
    return [(int(one[at]), int(other[at])) for at in order if rise[at] > _LEAST_CHANGE]


def _scale(largest: float, *, is_shown: bool, title: str) -> dict[str, Any]:
    return {
        "zmin": -largest,
        "zmax": largest,
        "colorscale": [list(stop) for stop in SCALE],
        "showscale": is_shown,
        "colorbar": {"title": {"text": title}, "thickness": 12, "len": 0.9},
    }


def _signed(value: float) -> str:
    return "" if np.isnan(value) else f"{value:+.2f}".replace("+0.00", "0").replace("-0.00", "0")


def _sorted(networks: Sequence[str]) -> tuple[list[int], list[float], list[float], list[str]]:
    """Return the order of nodes by network, borders between networks, their middles and names."""
    names = list(dict.fromkeys(networks))
    order, borders, middles = [], [], []
    for name in names:
        own = [at for at, one in enumerate(networks) if one == name]
        middles.append(len(order) + (len(own) - 1) / 2)
        order += own
        borders.append(len(order) - 0.5)
    return order, borders[:-1], middles, names


def _cloud(across: Array, upwards: Array) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=np.round(across, 1),
        y=np.round(upwards, 1),
        mode="markers",
        marker={"size": 2.6, "color": _GREY, "opacity": 0.4},
        hoverinfo="skip",
        showlegend=False,
    )


def _lines(brain: GlassBrain, across: int, upwards: int, *, is_first: bool) -> list[go.Scatter]:
    """Return pairs that rise and pairs that fall, each as one broken line."""
    import plotly.graph_objects as go

    found = []
    for sign, colour, dash, name in (
        (1.0, ABOVE, "solid", "rises most"),
        (-1.0, BELOW, "dash", "falls most"),
    ):
        x: list[float | None] = []
        y: list[float | None] = []
        for one, other in strongest_pairs(sign * brain.change, MOST_LINES):
            x += [float(brain.places_mm[one, across]), float(brain.places_mm[other, across]), None]
            y += [float(brain.places_mm[one, upwards]), float(brain.places_mm[other, upwards]), None]
        if x:
            line = {"color": colour, "width": 1.4, "dash": dash}
            shown: Any = {"name": name, "legendgroup": name, "showlegend": is_first}
            found.append(
                go.Scatter(x=x, y=y, mode="lines", line=line, opacity=0.7, hoverinfo="skip", **shown)
            )
    return found


def _nodes(
    brain: GlassBrain,
    chosen: NDArray[np.bool_],
    across: int,
    upwards: int,
    *,
    labels: Sequence[str],
    name: str,
) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=brain.places_mm[chosen, across],
        y=brain.places_mm[chosen, upwards],
        mode="markers",
        name=name,
        text=[label for label, is_in in zip(labels, chosen, strict=True) if is_in],
        hovertemplate="%{text}<extra></extra>",
        marker={"size": 8, "line": {"color": "white", "width": 0.8}},
    )
