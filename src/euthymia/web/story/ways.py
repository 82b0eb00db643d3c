"""The picture of the sixth chapter: how the drug gets in, by every route."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from euthymia.tables import read_table
from euthymia.web.charts import Chart, Line
from euthymia.web.runs import Ask, simulated
from euthymia.web.story.first import words_of
from euthymia.web.story.proof import chapters
from euthymia.web.story.state import State
from euthymia.web.story.view import DAY, Table, View

Array = NDArray[np.float64]
LEVEL_H, DRAWN_H = 24.0, 8.0
"""Hours over which the level after one dose is followed, and of which it is drawn."""


def routes(state: State) -> View:
    """Return the level in blood by every route, the patient's own drawn thick."""
    grid = np.linspace(0.0, LEVEL_H, 721)
    drawn = grid <= DRAWN_H
    mine = _levels(state, grid)
    lines = [Line(label=f"yours: {state.choice.title.lower()}", values=mine[0][drawn])]
    rows = [_route_row(state, *mine)]
    for name, tone, dash in (
        ("infusion", "quiet", False),
        ("intramuscular", "alarm", True),
        ("nasal", "second", False),
        ("sublingual", "third", True),
        ("oral", "second", True),
        ("extended", "third", False),
    ):
        if name != state.route:
            other = State.create(route=name, sessions=1, weight_kg=state.weight_kg)
            found = _levels(other, grid)
            lines.append(Line(label=other.choice.title.lower(), values=found[0][drawn], tone=tone, dash=dash))
            rows.append(_route_row(other, *found))
    level, share = mine
    numbers = {
        "peak_ng_per_mL": float(level.max()),
        "peak_min": 60.0 * float(grid[level.argmax()]),
        "bioavailable_fraction": share,
    }
    return View(
        charts=(
            Chart(
                id="routes-level",
                title="Level in the blood after one dose",
                quantity="In arterial plasma",
                unit="ng/mL",
                x=grid[drawn],
                lines=lines,
                floor=0.0,
                decimals=0,
                summary=f"{_dose(state)} {state.choice.words}: highest {level.max():.0f} ng/mL after "
                f"{60 * grid[level.argmax()]:.0f} minutes; {share:.0%} of it reaches the circulation.",
            ),
        ),
        sentences=words_of(state, *chapters()["routes"].links),
        numbers=numbers,
        table=Table(
            caption="Routes side by side, each at a studied dose (simulated; status: United States)",
            is_first_own=True,
            heads=("route", "dose", "highest level", "after", "reaches the blood", "once given", "status"),
            rows=tuple(rows),
        ),
    )


def _levels(state: State, grid: Array) -> tuple[Array, float]:
    """Return the level of both enantiomers in ng/mL on a grid of hours, and the share that is absorbed."""
    names = ("s_ketamine_arterial", "s_equivalents_site")
    names = names if state.route == "nasal" else ("ketamine_arterial", *names)
    one = simulated(
        Ask(
            regimen=state.choice.order.format(dose=f"{state.dose:g}"),
            days=LEVEL_H / DAY,
            variables=names,
            patient=state.patient,
            setting="none",
        )
    )
    level = np.interp(grid, one.times_h, one[f"{names[0]}_ng_per_mL"][0])
    return level, float(one.bioavailable_fraction[0])


def _route_row(state: State, level: Array, share: float) -> tuple[str, ...]:
    grid = np.linspace(0.0, LEVEL_H, len(level))
    stated = _stated(state.route)
    return (
        state.choice.title,
        _dose(state),
        f"{level.max():.0f} ng/mL",
        f"{60 * grid[level.argmax()]:.0f} min",
        f"{share:.0%}",
        stated["interrupting"],
        stated["status_us"],
    )


ROUTE_ROWS = {
    "infusion": "iv_infusion",
    "intramuscular": "intramuscular",
    "subcutaneous": "subcutaneous",
    "nasal": "intranasal (esketamine)",
    "sublingual": "sublingual",
    "oral": "oral",
    "extended": "oral_extended_release",
}
"""Rows of ``routes.csv`` by the names that the story has for them."""


def _stated(route: str) -> dict[str, str]:
    return next(row for row in read_table("routes.csv") if row["route"] == ROUTE_ROWS[route])


def _dose(state: State) -> str:
    return f"{state.dose:g} {state.choice.unit}"
