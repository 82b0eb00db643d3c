"""Individual patients of a trial: change of each, sorted, and change by what was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.plots.arms import INK, SOFT, ArmStyle, plain
from euthymia.plots.concentrations import faint

Array = NDArray[np.float64]
MOST_DOSES = 6
"""Distinct exposures up to which each is summarised; quartiles where there are more."""
SPREAD = 0.012
"""Share of the axis over which patients with the same exposure are spread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposed:
    """Patients of one arm: exposure and change of each, (P,)."""

    style: ArmStyle
    exposure: Array
    change: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Patients of about the same exposure: its median, and 25 %, 50 %, 75 % of their changes."""

    exposure: float
    low: float
    middle: float
    high: float
    count: int


def waterfall_figure(percent: Array, *, style: ArmStyle, lowest: float, highest: float, line: float) -> str:
    """Return the change of each patient of an arm as HTML, worst first.

    Parameters
    ----------
    percent : array (P,)
        Change from baseline (%); NaN is left out.
    style : ArmStyle
    lowest, highest : float
        Ends of the axis, the same in every arm.
    line : float
        Where response begins (%).
    """
    import plotly.graph_objects as go

    ordered = np.sort(percent[np.isfinite(percent)])[::-1]
    figure = go.Figure(
        go.Bar(
            x=np.arange(1, len(ordered) + 1),
            y=ordered.round(1),
            marker={"color": style.colour, "line": {"width": 0}},
            hovertemplate="%{y:.0f} %<extra>" + f"{len(ordered)} rated</extra>",
        )
    )
    figure.add_hline(y=line, line_width=1.4, line_dash="dash", line_color=INK)
    figure.add_hline(y=0, line_width=1, line_color=SOFT)
    figure.update_layout(bargap=0.12)
    figure.update_yaxes(range=[lowest, highest], title_text="Change (%)", dtick=25)
    figure.update_xaxes(title_text="Patients", showticklabels=False, ticks="")
    return plain(figure, height=270, left=52)


def steps_of(exposure: Array, change: Array) -> list[Step]:
    """Return changes by exposure: each where few differ, by quartile where many do.

    Parameters
    ----------
    exposure, change : array (P,)
        Patients with a NaN in either, or given nothing, are left out.
    """
    known = np.isfinite(exposure) & np.isfinite(change) & (exposure > 0)
    x, y = exposure[known], change[known]
    distinct = np.unique(x.round(3))
    if len(distinct) <= MOST_DOSES:
        groups = [x.round(3) == one for one in distinct]
    else:
        cuts = np.quantile(x, (0.25, 0.5, 0.75))
        groups = [np.searchsorted(cuts, x, side="left") == one for one in range(4)]
    return [
        Step(
            exposure=float(np.median(x[group])),
            low=float(np.quantile(y[group], 0.25)),
            middle=float(np.median(y[group])),
            high=float(np.quantile(y[group], 0.75)),
            count=int(group.sum()),
        )
        for group in groups
        if group.any()
    ]


def exposure_response_figure(
    arms: Sequence[Exposed], steps: Sequence[Step], *, exposure: str, change: str
) -> str:
    """Return change by exposure as HTML: a mark a patient, median and quartiles of each step.

    Parameters
    ----------
    arms : sequence of Exposed
    steps : sequence of Step
    exposure, change : str
        Labels of the axes, with units.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    width = max((float(np.nanmax(one.exposure, initial=0.0)) for one in arms), default=0.0) or 1.0
    for one in arms:
        known = np.isfinite(one.change) & np.isfinite(one.exposure)
        figure.add_trace(
            go.Scatter(
                x=_spread(one.exposure[known], SPREAD * width).round(4),
                y=one.change[known].round(2),
                mode="markers",
                marker={
                    "symbol": one.style.marker,
                    "size": 7,
                    "color": faint(one.style.colour),
                    "line": {"color": one.style.colour, "width": 1.2},
                },
                customdata=one.exposure[known].round(3),
                hovertemplate="given %{customdata}: %{y:.1f}" + f"<extra>{one.style.label}</extra>",
            )
        )
    middle = np.array([one.middle for one in steps])
    figure.add_trace(
        go.Scatter(
            x=[one.exposure for one in steps],
            y=middle,
            mode="lines+markers",
            line={"color": INK, "width": 2},
            marker={"color": INK, "symbol": "line-ew-open", "size": 16, "line": {"width": 3}},
            error_y={
                "type": "data",
                "array": [one.high - one.middle for one in steps],
                "arrayminus": [one.middle - one.low for one in steps],
                "color": INK,
                "thickness": 1.6,
                "width": 5,
            },
            customdata=[one.count for one in steps],
            hovertemplate="median of %{customdata}: %{y:.1f}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text=exposure, range=[-0.06 * width, 1.06 * width])
    figure.update_yaxes(title_text=change)
    return plain(figure, height=380)


def _spread(values: Array, reach: float) -> Array:
    """Return values of which equal ones stand beside each other."""
    found = values.copy()
    for one in np.unique(values.round(3)):
        same = values.round(3) == one
        found[same] += np.linspace(-reach, reach, int(same.sum())) if same.sum() > 1 else 0.0
    return found
