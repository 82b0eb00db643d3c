"""Suicidal ideation in a report: the mean of a group, when it returns, and what must stand beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from euthymia.cli.chain import IDEATION, Run, day_label, notice
from euthymia.files.report import Section, TableBlock
from euthymia.plots.chain import ChainPanel, Line, Marks, chain_figure
from euthymia.plots.concentrations import to_html

if TYPE_CHECKING:
    from euthymia.model.parameters import ParameterSet

DAYS = (1.0, 3.0, 7.0, 14.0, 28.0, 60.0)


def ideation_section(runs: Sequence[Run], parameters: ParameterSet) -> list[Section]:
    """Return the section on suicidal ideation of those who have any at the start; none where nobody has."""
    from euthymia.population.ideation import ENTRY_POINTS, among_ideators, window_of_return

    if len(runs[0].course.patients) == 1:
        return []
    found = [among_ideators(run.course, parameters=parameters, days=DAYS) for run in runs if _has(run)]
    found = [one for one in found if one.count]
    if not found:
        return []
    texts, windows = [*notice("ideation")], []
    for one in found:
        window = window_of_return(one)
        if window:
            windows.append(window)
            lowest, back = (day_label(day) for day in window)
            texts.append(
                f"{one.regimen}: after the last dose the simulated mean is lowest at {lowest}; by {back} "
                "half of what was gained is lost again."
            )
    lines = tuple(
        Line(label=one.regimen, times_h=one.times_h, median=one.mean_points, style=place)
        for place, one in enumerate(found)
    )
    figure = chain_figure(
        [ChainPanel(quantity="SSI, mean", unit="", lines=lines, floor=0.0)],
        horizon_h=max(float(one.times_h[-1]) for one in found),
        marks=Marks(
            doses_h=sorted({start for run in runs for start in run.course.session_starts_h}),
            window_h=[(24.0 * window[0], 24.0 * window[1]) for window in windows],
        ),
        panel_height=280,
    )
    days = found[0].days
    table = TableBlock(
        heads=("regimen", "patients", "SSI at the start", *(day_label(day) for day in days)),
        rows=[
            [
                one.regimen,
                f"{one.count}",
                f"{one.start_points:.1f}",
                *(f"{value:+.1f}" for value in one.changes),
            ]
            for one in found
        ],
        right=range(1, 3 + len(days)),
        note=f"Mean change of the SSI as rated, of those with {ENTRY_POINTS:g} or more at the start. About a "
        "third of the change after a day runs through mood; set by hand to one trial.",
    )
    return [
        Section(
            title="Suicidal ideation",
            texts=texts,
            figure=to_html(figure),
            caption=f"Simulated: mean of patients with an SSI of {ENTRY_POINTS:g} or more at the start. "
            "Shaded: ideation comes back.",
            tables=[table],
        )
    ]


def _has(run: Run) -> bool:
    return IDEATION in run.course.values and bool(np.any(run.course[IDEATION] > 0))
