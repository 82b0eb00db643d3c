"""The page of a calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from euthymia.cli import fit_shown as shown
from euthymia.cli.show import significant
from euthymia.cli.trial_report import footer, known_sources
from euthymia.files.report import Section, TableBlock, render_report
from euthymia.plots.arms import panels_html
from euthymia.plots.calibration import (
    Miss,
    Shift,
    miss_figure,
    profile_figure,
    rank_figure,
    shift_figure,
)
from euthymia.plots.concentrations import library

if TYPE_CHECKING:
    from euthymia.calibration.fit import Fit

LIMITS = (
    "Draws are of an emulator's likelihood: its error is in it, and numbers are said to be inside by it, not "
    "by fresh virtual trials.",
    "Priors are mostly of assumed width. A parameter that the data leave open keeps its prior.",
    "What differs between studies beyond chance and parameters is taken as random; its size is estimated.",
    "Rows kept for validation were not read. How good the model is where it was not fitted is another page.",
)


def fit_report(found: Fit, *, command: Sequence[str]) -> str:
    """Return the page of a calibration as HTML that needs nothing else."""
    posterior = found.posterior
    made = {"posterior": posterior.name, "posterior_digest": posterior.digest, "version": posterior.version}
    return render_report(
        kind="calibration",
        title=f"Posterior {posterior.name}",
        lead=[
            f"{len(posterior.parameters)} parameters fitted to {len(found.likelihood.targets)} published "
            "numbers."
        ],
        sections=[
            Section(title="In short", points=[*shown.summary_lines(found)]),
            _parameter_section(found),
            _identifiable_section(found),
            _fit_section(found),
            _trust_section(found),
            _left_section(found),
            Section(title="What this cannot say", points=LIMITS),
        ],
        sources=known_sources([]),
        footer=footer(made, command, seed=found.plan.seed, parameters=posterior.set),
        library=library(),
    )


def _panel(figure: str) -> str:
    return panels_html([("", figure)], key="")


def _parameter_section(found: Fit) -> Section:
    rows: list[Shift] = []
    for row, words in zip(found.posterior.diagnostics["shifts"], shown.parameter_rows(found), strict=True):
        rows.append(
            Shift(
                label=row["name"],
                middle=row["shift_in_prior_sds"],
                low=row["low"],
                high=row["high"],
                text=f"prior {words[1]}, posterior {words[2]}",
            )
        )
    return Section(
        title="Parameters, before and after",
        texts=[
            "Band: 90 % of the prior. Bar: 90 % of the posterior. A bar as wide as the band was not learnt."
        ],
        figure=_panel(shift_figure(rows)),
        caption="Distance from the middle of the prior.",
        tables=[
            TableBlock(
                heads=(*shown.PARAMETER_HEADS, "what should move it", "note"),
                rows=[
                    [*row, one.informs, one.note]
                    for row, one in zip(shown.parameter_rows(found), found.posterior.parameters, strict=True)
                ],
                title="As numbers",
                right=(1, 2, 3, 4, 5),
                note="'data alone': whether the likelihood closes an interval of 95 % on both sides.",
                is_folded=True,
            )
        ],
    )


def _identifiable_section(found: Fit) -> Section:
    rows = [
        [
            f"{100.0 * one.left_share:.0f} %",
            " ".join(f"{'+' if x > 0 else '-'} {abs(x):.2f} {name}" for name, x in one.parts),
        ]
        for one in found.combinations
    ]
    panels = [(one.name, profile_figure(one.z, one.fall)) for one in found.profiles]
    return Section(
        title="What the data can tell apart",
        texts=[
            "Directions in which the parameters (in SDs of their priors) are known best come first; the "
            "share of the prior's variance that is left says how well. Those near 100 % cannot be told from "
            "these data."
        ],
        figure=panels_html(panels, narrowest_px=160),
        caption="Profile likelihood: the best fit for each value of one parameter (across, in SDs of its "
        "prior), all others free; how far the logarithm falls (up). Dotted: where an interval of 95 % ends. "
        "A flat line was not learnt.",
        tables=[
            TableBlock(
                title="Directions, the best known first",
                heads=("variance left", "direction"),
                rows=rows,
                right=(0,),
                is_folded=True,
            )
        ],
    )


def _fit_section(found: Fit) -> Section:
    rows = shown.target_rows(found)
    misses = [
        Miss(
            label=f"{row['row']}: {row['what']}",
            z=row["z"],
            text=f"published {_number(row['observed'])}, expected {_number(row['expected'])} "
            f"({_number(row['low'])} to {_number(row['high'])})",
            group=row["trial"],
        )
        for row in rows
    ]
    heads = (
        "row",
        "trial",
        "what",
        "quantity",
        "published",
        "expected (90 %)",
        "SDs off",
        "emulator explains",
    )
    table = [
        [
            row["row"] + (" *" if row["is_primary"] else ""),
            row["trial"],
            row["what"],
            row["quantity"].replace("_", " "),
            _number(row["observed"]),
            f"{_number(row['expected'])} ({_number(row['low'])} to {_number(row['high'])})",
            f"{row['z']:+.1f}",
            f"{100.0 * row['emulator_explains']:.0f} %",
        ]
        for row in rows
    ]
    outside = [place for place, row in enumerate(rows) if not row["is_inside"]]
    return Section(
        title="Published numbers beside the fit",
        texts=["What was fitted, so agreement is no evidence that the model predicts. * primary contrast."],
        figure=_panel(miss_figure(misses)),
        caption="Each number where it lies in SDs of what such a trial would show, published less "
        "expected; the band holds 90 %.",
        tables=[
            TableBlock(
                title="Every number",
                heads=heads,
                rows=table,
                right=(4, 5, 6, 7),
                marked=outside,
                is_folded=True,
            )
        ],
    )


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else significant(value)


def _trust_section(found: Fit) -> Section:
    if not len(found.recovered.ranks):
        return Section(title="Can the draws be trusted?", points=shown.trust_lines(found))
    names = [one.name for one in found.posterior.parameters]
    rows = [
        [
            one.name,
            f"{found.posterior.diagnostics['r_hat'][one.name]:.3f}",
            f"{found.posterior.diagnostics['ess'][one.name]:,}",
            f"{100.0 * found.recovered.coverage[0.5][place]:.0f} %",
            f"{100.0 * found.recovered.coverage[0.9][place]:.0f} %",
            f"{found.recovered.p_value[place]:.2f}",
        ]
        for place, one in enumerate(found.posterior.parameters)
    ]
    heads = (
        "parameter",
        "R-hat",
        "effective draws",
        "truths in 50 %",
        "truths in 90 %",
        "p that ranks are even",
    )
    return Section(
        title="Can the draws be trusted?",
        texts=shown.trust_lines(found),
        figure=_panel(rank_figure(found.recovered.ranks, names)),
        caption="Known truths among the draws fitted to data simulated from them, by tenths. White is "
        "even, blue too few, orange too many.",
        tables=[
            TableBlock(title="By parameter", heads=heads, rows=rows, right=(1, 2, 3, 4, 5), is_folded=True)
        ],
    )


def _left_section(found: Fit) -> Section:
    reasons = Counter(one.reason for one in found.left)
    rows = [[reason, str(count)] for reason, count in reasons.most_common()]
    lost = [[name, str(count)] for name, count in found.points_without.items()]
    tables = [TableBlock(title="Why", heads=("why", "parts of rows"), rows=rows, right=(1,), is_folded=True)]
    if lost:
        tables.append(
            TableBlock(
                heads=("row", "points without it"),
                rows=lost,
                right=(1,),
                title="Points at which virtual trials did not have a number",
                is_folded=True,
            )
        )
    return Section(
        title="What may be fitted and was not",
        texts=[f"{len(found.left)} parts of rows."],
        tables=tables,
    )
