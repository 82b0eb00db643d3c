"""Published numbers beside their forecasts as tables of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from euthymia.cli.replicate import number
from euthymia.files.report import TableBlock
from euthymia.trials.replication_runs import QUANTITIES, load_replication

if TYPE_CHECKING:
    from euthymia.calibration.scoring import Forecast
    from euthymia.calibration.validation import Judged, JudgedGap

ROW_HEADS = ("row", "what", "measure", "published", "forecast (90 %)", "with study effects", "verdict")


def gap_table(gaps: Sequence[JudgedGap]) -> TableBlock:
    """Return differences of two numbers as a table."""
    runs = {f"{run.row_id}{run.part}": run for run in load_replication()}
    cells = []
    for one in gaps:
        is_share = QUANTITIES[runs[one.gap.of].quantity].is_share
        measure = "risk difference" if is_share else "difference"
        shown = [_forecast_text(forecast, measure) for forecast in (one.alone, one.among_studies)]
        cells.append([one.gap.label, number(one.observed, measure), *shown, one.verdict])
    return TableBlock(
        title="Differences",
        heads=("of two numbers", "published", "forecast (90 %)", "with study effects", "verdict"),
        rows=cells,
        right=(1, 2, 3),
        marked=[place for place, one in enumerate(gaps) if one.verdict == "outside"],
    )


def _forecast_text(forecast: Forecast | None, measure: str) -> str:
    if forecast is None or np.isnan(forecast.expected):
        return "–"
    low, high = number(forecast.low, measure), number(forecast.high, measure)
    return f"{number(forecast.expected, measure)} ({low} to {high})"


def row_table(rows: Sequence[Judged], *, is_with_trial: bool = False, is_folded: bool = False) -> TableBlock:
    """Return parts of rows as a table: what was published, what was forecast, and the verdict."""
    off = ("outside", "direction contradicts")
    heads = ("row", "trial", *ROW_HEADS[1:]) if is_with_trial else ROW_HEADS
    cells = [row_cells(one) for one in rows]
    if is_with_trial:
        cells = [[first, one.trial, *rest] for one, (first, *rest) in zip(rows, cells, strict=True)]
    return TableBlock(
        heads=heads,
        rows=cells,
        right=range(len(heads) - 4, len(heads) - 1),
        marked=[place for place, one in enumerate(rows) if one.verdict in off],
        note="* primary contrast." if any(one.run.is_primary_contrast for one in rows) else "",
        is_folded=is_folded,
    )


def row_cells(one: Judged) -> list[str]:
    """Return the cells of a part of a row."""
    measure = QUANTITIES[one.run.quantity].measure if one.run.is_comparable else ""
    shown = [_forecast_text(forecast, measure) for forecast in (one.alone, one.among_studies)]
    is_word = one.run.is_direction and one.state == "open"
    published = one.run.observed if is_word else number(one.observed, measure)
    verdict = f"{one.verdict}: {one.reason}" if one.verdict == "not comparable" else one.verdict
    star = " *" if one.run.is_primary_contrast else ""
    return [one.name + star, one.run.label, measure, published, *shown, verdict]
