"""How the arms of a trial look on every figure of a page, the key to it, and panels side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING

from euthymia.plots.concentrations import COLOURS, DASHES, MARKERS, style, to_html

if TYPE_CHECKING:
    import plotly.graph_objects as go

INK, SOFT = "#1f2933", "#52606d"
STROKES = {
    "solid": "none",
    "dash": "7 4",
    "dot": "2 3",
    "dashdot": "7 3 2 3",
    "longdash": "11 4",
    "longdashdot": "11 3 2 3",
}
"""Dashes of the plotting library as those of SVG."""
SHAPES = {
    "circle": "M4 0A4 4 0 1 1-4 0A4 4 0 1 1 4 0Z",
    "diamond": "M0-5L5 0L0 5L-5 0Z",
    "square": "M-4-4H4V4H-4Z",
    "triangle-up": "M0-5L5 4H-5Z",
    "x": "M-5-3L-3-5L0-2L3-5L5-3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0Z",
    "star": "M0-6L1.5-2H5.7L2.3.7L3.5 5L0 2.4L-3.5 5L-2.3.7L-5.7-2H-1.5Z",
}
"""Markers of the plotting library as paths around 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmStyle:
    """An arm's label, colour, dash and marker; ``place`` is that among the arms, from 0."""

    label: str
    colour: str
    dash: str
    marker: str
    place: int


def arm_styles(labels: Mapping[str, str]) -> dict[str, ArmStyle]:
    """Return the look of each arm by its name, {name: label} given in order.

    Where colours come round again, dashes and markers differ.
    """
    return {
        name: ArmStyle(
            label=label,
            colour=COLOURS[place % len(COLOURS)],
            dash=DASHES[(place + place // len(COLOURS)) % len(DASHES)],
            marker=MARKERS[(place + place // len(COLOURS)) % len(MARKERS)],
            place=place,
        )
        for place, (name, label) in enumerate(labels.items())
    }


def swatch(one: ArmStyle) -> str:
    """Return a piece of an arm's line with its marker, as SVG."""
    return (
        f'<svg width="38" height="14" viewBox="-19 -7 38 14" aria-hidden="true"><path d="M-19 0H19" '
        f'stroke="{one.colour}" stroke-width="2" stroke-dasharray="{STROKES[one.dash]}"/>'
        f'<path d="{SHAPES[one.marker]}" fill="{one.colour}" stroke="#fff" stroke-width=".8"/></svg>'
    )


def key_html(arms: Sequence[ArmStyle], *, has_observed: bool = False) -> str:
    """Return the key to the arms; with published values also what an open diamond is."""
    parts = [f"<span>{swatch(one)} {escape(one.label)}</span>" for one in arms]
    if has_observed:
        parts.append(
            '<span><svg width="20" height="16" viewBox="-10 -8 20 16" aria-hidden="true">'
            f'<path d="M0-7L7 0L0 7L-7 0Z" fill="#fff" stroke="{INK}" stroke-width="1.6"/></svg> '
            "published</span>"
        )
    return f'<div class="key">{"".join(parts)}</div>'


def panels_html(panels: Sequence[tuple[str, str]], *, narrowest_px: int = 330, key: str = "") -> str:
    """Return panels (heading, HTML) beside each other where there is room, else below each other."""
    cells = "".join(
        f'<div class="panel"><p class="head">{escape(head)}</p>{body}</div>' for head, body in panels
    )
    columns = f"grid-template-columns:repeat(auto-fit,minmax(min({narrowest_px}px,100%),1fr))"
    return f'<div class="panels">{key}<div class="grid" style="{columns}">{cells}</div></div>'


def absent(text: str) -> str:
    """Return a panel that says why there is nothing in it."""
    return f'<p class="absent">{escape(text)}</p>'


def plain(
    figure: go.Figure, *, height: int, left: int = 62, bottom: int = 48, hidden: Sequence[str] = ()
) -> str:
    """Return a figure without legend as HTML, as wide as there is room; axes in ``hidden`` have no line."""
    style(figure, height=height, legend_lines=0)
    figure.update_layout(showlegend=False, height=height, margin={"l": left, "r": 14, "t": 8, "b": bottom})
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    for axis in hidden:
        figure.layout[axis].update(showline=False, ticks="")
    return to_html(figure)


def lines(text: str, width: int = 16) -> str:
    """Return a label of an axis in lines of so many characters at most, where words allow it."""
    return "<br>".join(escape(part, quote=False) for part in wrap(text, width, break_long_words=False))


def diamond(colour: str, *, size: int = 12) -> dict[str, object]:
    """Return the marker of published values."""
    return {"symbol": "diamond", "size": size, "color": "white", "line": {"color": colour, "width": 1.8}}
