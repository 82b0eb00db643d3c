"""The report of ``euthymia brain``: matrices, a glass brain, every scenario over time, the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from euthymia.cli import reports, show
from euthymia.cli.brain import SHOWN, SIGN, level_rows
from euthymia.files.report import Section, TableBlock, render_report
from euthymia.model.connectome import DEFAULT_CONNECTOME, block_means, network_names, network_rows, surface
from euthymia.plots.brain import GlassBrain, MatrixPanel, block_figure, glass_figure, matrix_figure
from euthymia.plots.chain import ChainPanel, Line, Marks, chain_figure
from euthymia.plots.concentrations import library, to_html

if TYPE_CHECKING:
    from euthymia.evidence.fact_compare import FactComparison
    from euthymia.population.brain import BrainCourse

Array = NDArray[np.float64]
Evidence = Mapping[str, Sequence["FactComparison"]]

SOURCES = ("Saberi2025", "VanEssen2013", "Schaefer2018", "VosDeWael2020", "Deco2014", "Friston2003")
COURSE_NAMES = {
    "within_default_connectivity": "Within<br>default mode",
    "default_to_frontoparietal_connectivity": "Default with<br>frontoparietal",
    "default_to_salience_connectivity": "Default with<br>salience",
    "default_to_subgenual_connectivity": "Default with<br>orbitofrontal",
    "global_connectivity": "All pairs",
}
NOTHING_SHOWN = 1e-4
MET = "reproduced"


def brain_report(course: BrainCourse, others: Mapping[str, BrainCourse], evidence: Evidence) -> str:
    """Return the report of one scenario, with the others and the evidence beside it, as HTML."""
    matrices = course.correlations()
    made = course.course.provenance
    sections = [
        _what(course),
        _numbers(course),
        *_glass(course, matrices),
        _matrices(course, matrices),
        _courses(course, others),
        _evidence(course, evidence),
        _check(),
    ]
    return render_report(
        kind="the default mode network",
        title=made.regimen,
        lead=[
            f"Scenario {course.scenario.name}: {course.scenario.title.lower()}. {course.scenario.claim}",
            "Mean correlations between parts of the cortex, as a scan at rest would show them. Every size "
            "here is assumed; read directions and order.",
        ],
        sections=sections,
        sources=[*SOURCES, *(key for key in made.sources if key not in SOURCES)],
        footer=[
            *reports.made_again(made, course.course.certificate, 1),
            f"Connectome {course.connectome.name}. {course.connectome.note}",
        ],
        library=library(),
        warnings=list(course.course.warnings),
    )


def _what(course: BrainCourse) -> Section:
    first, *_ = course.moments
    change = course.change_at(first)
    return Section(
        title="What was simulated",
        regimen=course.course.provenance.regimen,
        texts=[
            f"One typical patient; connectome {course.connectome.name}, {len(course.connectome.networks)} "
            f"parcels. Before treatment couplings within the default mode network are changed by "
            f"{change.within_default:+.0%}, those with frontoparietal and salience networks by "
            f"{change.default_to_others:+.0%}, those with limbic cortex by {change.default_to_limbic:+.0%}; "
            "what each does to correlations follows from the whole network.",
        ],
        points=[SIGN, f"Against this scenario: {course.scenario.doubt}"],
        cards=[
            (f"{course.levels[SHOWN[0]][course.at(moment)]:.3f}", f"r within default mode, {moment.name}")
            for moment in course.moments
        ],
    )


def _numbers(course: BrainCourse) -> Section:
    heads = ("mean correlation (r)", "health", *(moment.name for moment in course.moments))
    right = range(1, len(heads))
    more = [name for name in course.levels if name not in SHOWN]
    return Section(
        title="In numbers",
        tables=[
            TableBlock(heads=heads, rows=level_rows(course, SHOWN), right=right),
            TableBlock(
                title="More read off the same network",
                heads=heads,
                rows=level_rows(course, more),
                right=right,
                is_folded=True,
                note="With the global signal regressed, means over all pairs are near 0 by construction.",
            ),
        ],
    )


def _glass(course: BrainCourse, matrices: Array) -> list[Section]:
    network = course.connectome
    names = [moment.name for moment in course.moments]
    if network.places_mm is None or "during" not in names:
        return []
    is_shipped = network.name == DEFAULT_CONNECTOME
    rows = network_rows()
    points = np.concatenate(list(surface().points_mm.values())) if is_shipped else None
    figure = glass_figure(
        GlassBrain(
            title="", places_mm=network.places_mm, change=matrices[names.index("during")] - matrices[0]
        ),
        network.networks,
        {name: row["title"] for name, row in rows.items()},
        {name: row["colour"] for name, row in rows.items()},
        labels=network.labels,
        outline_mm=points,
    )
    return [
        Section(
            title="Where it changes most",
            texts=[
                "The forty pairs that rise most from before to during the last session, and the forty "
                "that fall most."
            ],
            figure=to_html(figure),
            caption="Simulated. Orange, solid: the correlation rises; blue, dashed: it falls. "
            + ("Grey: an averaged surface." if is_shipped else ""),
        )
    ]


def _matrices(course: BrainCourse, matrices: Array) -> Section:
    network = course.connectome
    present = [name for name in network_names() if name in network.networks]
    kept = [network_names().index(name) for name in present]

    def blocks(matrix: Array) -> Array:
        return block_means(matrix, network.networks)[np.ix_(kept, kept)]

    health, before = network.correlation, matrices[0]
    panels = [MatrixPanel(title="before, against health", values=blocks(before) - blocks(health))]
    for moment, matrix in zip(course.moments[1:], matrices[1:], strict=True):
        title = f"{moment.name}, against before"
        panels.append(MatrixPanel(title=title, values=blocks(matrix) - blocks(before)))
    largest = max(float(np.nanmax(np.abs(panel.values))) for panel in panels)
    whole = [MatrixPanel(title="before", values=before)]
    if len(matrices) > 1:
        whole.append(MatrixPanel(title=course.moments[1].name, values=matrices[1]))
    blocks_html = to_html(block_figure(panels, present, largest=max(largest, NOTHING_SHOWN)))
    whole_html = to_html(matrix_figure(whole, network.labels, network.networks, largest=1.0))
    return Section(
        title="Matrices by network",
        texts=["Differences of mean correlations between networks; below, every pair of parcels."],
        figure=f"{blocks_html}{whole_html}",
        caption="Simulated. Names: "
        + ", ".join(f"{name} {network_rows()[name]['title']}" for name in present)
        + ".",
    )


def _courses(course: BrainCourse, others: Mapping[str, BrainCourse]) -> Section:
    runs = [course, *others.values()]
    panels = [
        ChainPanel(
            quantity=title,
            unit="1",
            lines=tuple(
                Line(
                    label=run.scenario.name,
                    times_h=run.times_h,
                    median=run.levels[name] - run.health[name],
                    style=place,
                )
                for place, run in enumerate(runs)
            ),
            floor=0.0,
        )
        for name, title in COURSE_NAMES.items()
        if name in course.levels
    ]
    figure = chain_figure(
        panels,
        horizon_h=float(course.times_h[-1]),
        marks=Marks(doses_h=course.course.session_starts_h),
        panel_height=140,
    )
    return Section(
        title="Over time, under every scenario",
        texts=[
            "Mean correlations less those of health: 0 is health. The scenarios are the dispute, side by "
            "side."
        ],
        figure=to_html(figure),
        caption="Simulated: one typical patient under each scenario.",
    )


def _evidence(course: BrainCourse, evidence: Evidence) -> Section:
    shown = evidence[course.scenario.name]
    by_name = {name: {one.row_id + one.part: one for one in found} for name, found in evidence.items()}
    rows = []
    for one in shown:
        name = one.row_id + one.part
        verdicts = [_verdict(found[name]) for found in by_name.values()]
        if one.simulated is None:
            verdicts = ["–" for _ in evidence]
        rows.append([name, one.fact, f"{one.studied}; {one.grade}", one.source, _read_as(one), *verdicts])
    counts = ", ".join(f"{scenario} {_count(found)}" for scenario, found in evidence.items())
    return Section(
        title="What the evidence says",
        texts=[
            "Every row about oscillations and networks, kept to validate: none set a number here. What "
            "depression did differs between scenarios: one row may be met by one and missed by another. "
            f"Facts about networks met: {counts}.",
        ],
        points=[
            "During infusion coupling was lower within the default mode and the salience network in one "
            "study (Q066, Q067) and higher everywhere in another (Q068): no scenario here meets all three, "
            "and which is right is not settled. Midazolam lowered coupling as well (Q066).",
        ],
        tables=[
            TableBlock(
                heads=("row", "fact", "studied in; read", "source", "read as", *evidence),
                rows=rows,
                marked=[
                    place
                    for place, one in enumerate(shown)
                    if one.simulated is not None and one.verdict != MET
                ],
                note="Shaded: missed under the scenario of this page. A direction is easy to meet and "
                "supports no size. Where the reading is of a change against health, 0 is health.",
            )
        ],
    )


def _verdict(one: FactComparison) -> str:
    if one.simulated is None:
        return one.verdict
    value = f"{one.simulated:+.4f}" if one.kind == "direction" else show.significant(one.simulated, 2)
    return f"{value}: {'met' if one.verdict == MET else 'missed'}"


def _read_as(one: FactComparison) -> str:
    if one.simulated is None:
        return one.verdict
    bounds = (
        f"above {one.low:g}"
        if one.high is None
        else f"below {one.high:g}"
        if one.low is None
        else f"{one.low:g} to {one.high:g}"
    )
    regimen = f"; {one.regimen}" if not one.regimen.startswith("ketamine 0.5 mg/kg") else ""
    return f"{one.variable.removesuffix('_change_r').replace('_', ' ')}, {one.statistic}: {bounds}{regimen}"


def _count(found: Sequence[FactComparison]) -> str:
    read = [one for one in found if one.layer == "connectivity"]
    return f"{sum(one.verdict == MET for one in read)} of {len(read)}"


def _check() -> Section:
    return Section(
        title="An independent check, and what it says",
        texts=[
            "A dynamic mean field on the fibres, with a block of NMDA currents and a model of blood flow, "
            "was asked the same question about 0.5 mg/kg over 40 min. It changes the gain of the whole "
            "cortex, not of one network: correlations of all networks rise together at a weak block and "
            "fall together at the block of that dose. It agrees that correlations within the default mode "
            "network fall during the session, and does not support that those with other networks rise at "
            "the same time. With weaker coupling between regions it finds the opposite. Numbers stand on "
            "the page about brain networks of the documentation.",
        ],
    )
