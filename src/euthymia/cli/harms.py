"""Long-term harms as table cells and as a section of a report; shown only when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from euthymia.cli import show
from euthymia.cli.chain import day_label
from euthymia.files.report import Section, TableBlock

if TYPE_CHECKING:
    from euthymia.population.harms import Bounds, Harm, LongTermHarms

Array = NDArray[np.float64]
SMALLEST_PERCENT = 0.001
"""Below it a probability is shown as less than it."""
CELL_NOTE = (
    "Assumed probability to have occurred at least once: central guess (low–high guess); the bounds are no "
    "interval of confidence. Mean of the patients. Without doses: by the last day."
)


def harm_heads(found: LongTermHarms) -> list[str]:
    """Return the heads of `harm_rows`; all but the first two stand over numbers."""
    days = [day_label(day) for day in found.exposure.days]
    return ["long-term harm, assumed", "follows", *days, "without doses"]


def harm_rows(found: LongTermHarms) -> list[list[str]]:
    """Return one row a harm: name, what it follows, probability by each day, and without doses at last."""
    from euthymia.population.harms import MEASURES

    rows = []
    for course in found.courses:
        occurred, alone = course.occurred, course.background
        means = (occurred.low.mean(axis=0), occurred.central.mean(axis=0), occurred.high.mean(axis=0))
        cells = [_cell(*three) for three in zip(*means, strict=True)]
        last = _cell(alone.low[-1], alone.central[-1], alone.high[-1])
        has_background = course.harm.background_per_year is not None
        follows = MEASURES[course.harm.exposure]
        rows.append([course.harm.name, follows, *cells, last if has_background else "none, by definition"])
    return rows


def exposure_rows(found: LongTermHarms) -> list[list[str]]:
    """Return one row a measure of exposure: its name, and by each day the median (5–95 % of patients)."""
    from euthymia.population.harms import MEASURES

    rows = []
    for measure, words in MEASURES.items():
        values: Array = getattr(found.exposure, measure)
        quantiles = np.quantile(values, (0.05, 0.5, 0.95), axis=0).T
        shown = [[_amount(value) for value in three] for three in quantiles]
        cells = [middle if len(values) == 1 else f"{middle} ({low}–{high})" for low, middle, high in shown]
        rows.append([words, *cells])
    return rows


def harm_section(found: LongTermHarms) -> Section:
    """Return the part of a report on long-term harms: exposure, probabilities, and every assumption."""
    heads = harm_heads(found)
    days = heads[2:-1]
    tables = [
        TableBlock(
            heads=("exposure by", *days),
            rows=exposure_rows(found),
            right=tuple(range(1, 1 + len(days))),
            note="Ketamine and its enantiomers, counted alike. Median (5–95 % of patients).",
        ),
        TableBlock(heads=heads, rows=harm_rows(found), right=tuple(range(2, len(heads))), note=CELL_NOTE),
        _assumptions([course.harm for course in found.courses]),
    ]
    return Section(title="Long-term harms, assumed", texts=found.texts, tables=tables)


def _assumptions(shown: list[Harm]) -> TableBlock:
    from euthymia.population.harms import MEASURES

    return TableBlock(
        title="What is assumed of each harm",
        heads=(
            *("harm", "what counts", "follows", "background per person-year", "hazard per unit"),
            *("tag", "source", "evidence", "compared later", "why so wide"),
        ),
        rows=[
            [
                one.name,
                one.counts,
                MEASURES[one.exposure],
                _rate(one.background_per_year),
                _rate(one.hazard_per_unit),
                one.tag,
                one.source,
                " ".join((*one.evidence_rows, one.evidence)),
                ", ".join(one.compared_later) or "–",
                one.why_wide,
            ]
            for one in shown
        ],
        note="Central guess (low–high guess). Rows compared later are kept for validation and set nothing.",
        is_folded=True,
    )


def _amount(value: float) -> str:
    return f"{value:.3g}" if value < 1000.0 else f"{value:.0f}"


def _rate(bounds: Bounds | None) -> str:
    return "none" if bounds is None else f"{bounds.central:g} ({bounds.low:g}–{bounds.high:g})"


def _cell(low: float, central: float, high: float) -> str:
    return f"{_percent(central)} % ({_percent(low)}–{_percent(high)} %)"


def _percent(probability: float) -> str:
    percent = 100.0 * probability
    if 0.0 < percent < SMALLEST_PERCENT:
        return f"<{SMALLEST_PERCENT:g}"
    return show.significant(percent, 2)
