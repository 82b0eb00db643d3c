"""The report of the whole chain: all links on one time axis, the hours of a session, plain sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from euthymia.cli import reports, show
from euthymia.cli.chain import (
    SESSION_HEADS,
    Run,
    day_label,
    harms_of,
    made_of_cells,
    outcome_cells,
    rests_on,
    session_cells,
)
from euthymia.cli.harms import harm_section
from euthymia.cli.ideation import ideation_section
from euthymia.files.report import Section, TableBlock, render_report
from euthymia.model.parameters import ParameterSet
from euthymia.model.variables import find_variable
from euthymia.plots.chain import ChainPanel, Line, Marks, chain_figure, session_figure
from euthymia.plots.concentrations import library, to_html

if TYPE_CHECKING:
    from euthymia.cli.simulate import Asked
    from euthymia.model.scales import Scale
    from euthymia.model.trajectory import Trajectory
    from euthymia.population.relapse import FollowUp

Array = NDArray[np.float64]
LINKS: tuple[tuple[str, str, float | None], ...] = (
    ("s_equivalents_site", "Blockers at the site", 0.0),
    ("nmda_block_interneuron_fraction", "NMDA block,<br>interneurons", 0.0),
    ("glutamate_surge_relative", "Glutamate", 1.0),
    ("ampa_potentiation_fraction", "AMPA", 0.0),
    ("bdnf_relative", "BDNF", 1.0),
    ("synaptic_protein_relative", "Synaptic protein", 0.0),
    ("prefrontal_new_synapses_fraction", "New synapses,<br>prefrontal", 0.0),
    ("prefrontal_synapses_fraction", "All synapses,<br>prefrontal", None),
    ("window_of_plasticity_fraction", "Window", 0.0),
    ("negative_belief_fraction", "Negative beliefs", None),
    ("expectancy_fraction", "Expectancy", 0.0),
    ("madrs_points", "MADRS", 0.0),
)
"""Panels of the chain: observable, short name, and a value that the axis keeps in view."""
SESSION_LINKS: tuple[tuple[str, str, float | None], ...] = (
    ("s_ketamine_site", "S-ketamine at the site", 0.0),
    ("cadss_points", "Dissociation, CADSS", 0.0),
    ("systolic_rise_mmHg", "Systolic pressure, rise", 0.0),
    ("diastolic_rise_mmHg", "Diastolic pressure, rise", 0.0),
    ("heart_rate_rise_per_min", "Heart rate, rise", 0.0),
    ("moaas_points", "Alertness, MOAA/S", None),
    ("relaxation_fraction", "Relaxation", 0.0),
    ("nausea_probability", "Nausea so far", 0.0),
)
INDIVIDUALS = 12
LATER_H = 12.0
"""What the end of a run must lie behind the last day told of, to be told as well."""
WINDOW_OPEN = 0.1
"""Opening from which the window is shaded."""
SESSION_HOURS = 4.0


def chain_report(runs: Sequence[Run], asked: Asked, *, kinds: Sequence[Scale]) -> str:
    """Return the report of one regimen, or of several beside each other, as HTML."""
    first, parameters, unit = runs[0].course, asked.chosen, asked.unit
    sections = [
        Section(
            title="What was simulated",
            regimen=" | ".join(run.course.provenance.regimen for run in runs),
            texts=_sentences(runs),
            cards=_cards(first) if len(runs) == 1 else (),
        ),
        Section(
            title="The chain, link by link",
            texts=[
                "From the drug at its site to mood, on one time axis. Dotted grey: dosing sessions; dotted "
                f"green: therapy; shaded: the window is open by more than {WINDOW_OPEN:g}."
            ],
            figure=to_html(_chain_figure(runs)),
            caption=_caption(first, with_individuals=len(runs) == 1),
        ),
        *_session_section(runs),
        *_made_of_section(runs),
        Section(title="Mood in numbers", tables=[_scale_table(runs, kind) for kind in kinds]),
        *_outcome_section(runs, kinds, parameters),
        *ideation_section(runs, parameters),
        *_harm_sections(runs, asked),
        *_concentration_sections(runs, unit),
        _assumption_section(parameters),
        reports.parameter_section(parameters),
    ]
    return render_report(
        kind="from dose to mood",
        title=first.provenance.regimen,
        lead=[
            "Every link is a hypothesis with evidence of its own; constants downstream of concentrations are "
            "set by hand or assumed, and not calibrated yet. Read shapes and order before sizes."
            if not first.provenance.posterior
            else f"Every link is a hypothesis with evidence of its own. {rests_on(first.provenance)}",
        ],
        sections=sections,
        sources=sorted({key for run in runs for key in run.course.provenance.sources}),
        footer=reports.footer_of(first),
        library=library(),
        warnings=list(dict.fromkeys(note for run in runs for note in run.course.warnings)),
    )


def _caption(course: Trajectory, *, with_individuals: bool) -> str:
    count = len(course.patients)
    if count == 1:
        return "Simulated: one typical patient, no chance."
    thin = f", thin lines the first {min(INDIVIDUALS, count)} of them" if with_individuals else ""
    return f"Simulated: median and 5–95 % band of {count} virtual patients{thin}."


# --- figures -----------------------------------------------------------------------------------------


def _lines(runs: Sequence[Run], stem: str, *, with_individuals: bool) -> tuple[Line, ...]:
    found = []
    for place, run in enumerate(runs):
        course = run.course
        if stem not in course.values:
            continue
        values = course.values[stem]
        is_many = len(values) > 1
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95), axis=0)
        found.append(
            Line(
                label=course.provenance.regimen,
                times_h=course.times_h,
                median=middle,
                low=low if is_many else None,
                high=high if is_many else None,
                individuals=values[:INDIVIDUALS] if is_many and with_individuals else None,
                style=place,
            )
        )
    return tuple(found)


def _panels(
    runs: Sequence[Run], links: Sequence[tuple[str, str, float | None]], *, with_individuals: bool
) -> list[ChainPanel]:
    panels = []
    for stem, name, floor in links:
        lines = _lines(runs, stem, with_individuals=with_individuals)
        if lines:
            unit = find_variable(stem).unit
            shown = {"umol/L": "µmol/L", "1": ""}.get(unit, "" if name.endswith("CADSS") else unit)
            panels.append(ChainPanel(quantity=name, unit=shown, lines=lines, floor=floor))
    return panels


def _chain_figure(runs: Sequence[Run]):
    courses = [run.course for run in runs]
    return chain_figure(
        _panels(runs, LINKS, with_individuals=len(runs) == 1),
        horizon_h=max(float(course.times_h[-1]) for course in courses),
        marks=Marks(
            doses_h=sorted({start for course in courses for start in course.session_starts_h}),
            therapy_h=sorted({start for course in courses for start in _starts(course, "learning_relative")}),
            window_h=next((stretches for course in courses if (stretches := _open(course))), ()),
        ),
    )


def _starts(course: Trajectory, name: str) -> list[float]:
    """Return when something that was 0 begins."""
    if name not in course.values:
        return []
    on = course.values[name][0] > 0
    before = np.concatenate([[False], on[:-1]])
    return [float(time) for time in course.times_h[on & ~before]]


def _open(course: Trajectory) -> list[tuple[float, float]]:
    """Return the stretches in which the median window is open."""
    if "window_of_plasticity_fraction" not in course.values:
        return []
    is_open = np.median(course.values["window_of_plasticity_fraction"], axis=0) > WINDOW_OPEN
    edges = np.flatnonzero(np.diff(is_open.astype(int)))
    times = [float(course.times_h[edge + 1]) for edge in edges]
    if is_open[0]:
        times.insert(0, float(course.times_h[0]))
    if len(times) % 2:
        times.append(float(course.times_h[-1]))
    return list(zip(times[::2], times[1::2], strict=True))


def _session_section(runs: Sequence[Run]) -> list[Section]:
    sessions = [run for run in runs if run.course.session_starts_h]
    if not sessions:
        return []
    panels = _panels(sessions, SESSION_LINKS, with_individuals=False)
    table = TableBlock(
        heads=("first session", *SESSION_HEADS),
        rows=[[run.course.provenance.regimen, *session_cells(run.course)] for run in sessions],
        right=tuple(range(1, 1 + len(SESSION_HEADS))),
        note="Largest values (MOAA/S lowest) of the expected course, without the noise of a reading. "
        "Median (5–95 % of patients). Nausea: assumed hazard, an order of magnitude.",
    )
    later = _later_sessions(sessions[0].course)
    return [
        Section(
            title="The hours of a session",
            texts=[
                "What a patient goes through after the first dose. Pressure shows no tolerance over "
                "sessions; dissociation falls, by an assumed amount. Nothing here watches a patient: people "
                "do, with approved equipment."
            ],
            figure=to_html(session_figure(panels, until_h=SESSION_HOURS)),
            caption=_caption(sessions[0].course, with_individuals=False),
            tables=[table, *later],
        )
    ]


def _later_sessions(course: Trajectory) -> list[TableBlock]:
    starts = course.session_starts_h
    if len(starts) < 2:
        return []
    chosen = sorted({0, 1, len(starts) // 2, len(starts) - 1})
    return [
        TableBlock(
            heads=("session", *SESSION_HEADS),
            rows=[[f"{at + 1} (day {starts[at] / 24:g})", *session_cells(course, at)] for at in chosen],
            right=tuple(range(1, 1 + len(SESSION_HEADS))),
            title="Change over sessions",
        )
    ]


# --- sentences and tables ------------------------------------------------------------------------------


def _sentences(runs: Sequence[Run]) -> list[str]:
    from euthymia.population.summary import peak_of_session, value_at

    texts = []
    for run in runs:
        course = run.course
        start = float(np.median(course["madrs_points"][:, 0]))
        last = float(course.times_h[-1])
        times = [time for time in (24.0, 168.0) if time <= last]
        times += [last] if not times or last - times[-1] > LATER_H else []
        values = np.median(value_at(course, "madrs_points", times), axis=0)
        said = ", ".join(
            f"{value:.0f} {'after' if time < 24 else 'on'} {day_label(time / 24)}"
            for time, value in zip(times, values, strict=True)
        )
        text = f"{course.provenance.regimen}: MADRS {start:.0f} at the start, {said}."
        if course.session_starts_h:
            block = peak_of_session(course, "nmda_block_interneuron_fraction")
            surge = peak_of_session(course, "glutamate_surge_relative")
            text += (
                f" In the first session {np.median(block.value):.0%} of the NMDA current of interneurons is "
                f"blocked and glutamate rises to {np.median(surge.value):.2f} times its baseline after "
                f"{np.median(surge.minutes):.0f} minutes."
            )
        if run.parts and last >= 24.0:
            said = ", ".join(
                f"{show.signed(points)} {part}" for part, points in run.parts.change(24.0).items()
            )
            text += f" Of the mean change after a day, in points: {said}."
        texts.append(text)
    return texts


def _cards(course: Trajectory) -> list[tuple[str, str]]:
    from euthymia.population.summary import peak_of_session, value_at

    first_h = course.session_starts_h[0] if course.session_starts_h else 0.0
    day_h = min(24.0, float(course.times_h[-1]) - first_h)
    madrs = value_at(course, "madrs_points", [first_h + day_h])[:, 0] - course["madrs_points"][:, 0]
    after = "a day" if day_h == 24.0 else f"{day_h:.3g} h"
    cards = [(f"{np.median(madrs):+.1f}", f"MADRS {after} after the first dose, median change")]
    if course.session_starts_h:
        cadss = peak_of_session(course, "cadss_points")
        pressure = peak_of_session(course, "systolic_rise_mmHg")
        cards += [
            (
                f"{np.median(cadss.value):.1f} at {np.median(cadss.minutes):.0f} min",
                "largest CADSS, first session",
            ),
            (
                f"+{np.median(pressure.value):.0f} mmHg at {np.median(pressure.minutes):.0f} min",
                "largest rise of systolic pressure",
            ),
        ]
    window = np.median(course["window_of_plasticity_fraction"], axis=0)
    if window.max() <= WINDOW_OPEN:
        return cards
    open_h = float(course.times_h[int(window.argmax())])
    cards.append((f"hour {open_h:.0f}" if open_h < 48 else f"day {open_h / 24:.1f}", "window most open"))
    return cards


def _scale_table(runs: Sequence[Run], kind: Scale) -> TableBlock:
    from euthymia.mechanism.symptoms.scales import expected
    from euthymia.population.summary import days_within, value_at

    days = days_within(runs[0].course)
    columns = []
    for run in runs:
        latent = value_at(run.course, kind.latent, [day * 24.0 for day in days])
        points = expected(np.column_stack([run.course[kind.latent][:, 0], latent]), kind.map)
        is_typical = len(points) == 1
        cells = [
            show.spread(np.quantile(column, (0.05, 0.5, 0.95)), is_typical=is_typical) for column in points.T
        ]
        columns.append(cells)
    labels = ("start", *(day_label(day) for day in days))
    rows = [[label, *cells] for label, *cells in zip(labels, *columns, strict=True)]
    heads = (kind.name, *(run.course.provenance.regimen for run in runs))
    source = "" if kind.map_status == "definition" else f" Map from what is latent: {kind.map_status}."
    return TableBlock(
        heads=heads,
        rows=rows,
        right=tuple(range(1, len(heads))),
        note=f"Times count from time 0. Expected totals, without rating noise. {_spread_note(runs)}{source}",
    )


def _spread_note(runs: Sequence[Run]) -> str:
    return "" if len(runs[0].course.patients) == 1 else "Median (5–95 % of patients)."


def _outcome_section(runs: Sequence[Run], kinds: Sequence[Scale], parameters: ParameterSet) -> list[Section]:
    from euthymia.population.relapse import follow_ups

    if len(runs[0].course.patients) == 1:
        return []
    days, rows = outcome_cells(runs, kinds, parameters)
    heads = ("regimen", "definition", *days)
    tables = [TableBlock(heads=heads, rows=rows, right=tuple(range(2, len(heads))))]
    first = runs[0].course
    last_dose_day = max(first.session_starts_h, default=0.0) / 24.0
    if first.times_h[-1] / 24.0 - last_dose_day > 14.0:
        found = follow_ups(first, last_dose_day + 1.0, parameters=parameters)
        tables.append(
            TableBlock(
                title="Relapse" if len(runs) == 1 else f"Relapse after {first.provenance.regimen}",
                heads=("definition of relapse", "responders who relapse", "median day of those"),
                rows=[_relapse_row(one) for one in found.values()],
                right=(1, 2),
                note=f"Responders on day {last_dose_day + 1:g}, seen weekly; days count from then. Not "
                "calibrated to any trial of relapse.",
            )
        )
    return [
        Section(
            title="Outcomes as rated",
            texts=["Scores with rating noise, in whole points, by each definition that studies use."],
            tables=tables,
        )
    ]


def _relapse_row(one: FollowUp) -> list[str]:
    """Return the definition, the share of those who entered that relapses, and the median day of these."""
    days = one.days[one.has_relapsed]
    share = f"{len(days) / one.count:.0%}" if one.count else "–"
    return [one.rule, share, f"{np.median(days):.0f}" if len(days) else "–"]


def _made_of_section(runs: Sequence[Run]) -> list[Section]:
    from euthymia.population.parts import CALIBRATED, STATUS

    names, rows = made_of_cells(runs, (2 / 24, 1.0, 7.0, 14.0, 28.0, 90.0))
    if not rows:
        return []
    bounds = (
        " In brackets: with therapy at the ends of what a session may teach." if "therapy" in names else ""
    )
    table = TableBlock(
        heads=("regimen", "", *names),
        rows=rows,
        right=range(2, 2 + len(names)),
        note="The same people run again with one part after the other left out: therapy, antidepressant, "
        "expectancy, drug. What therapy gains from an open window counts as therapy's; hope that comes from "
        f"feeling the drug counts as expectancy.{bounds}",
    )
    stands = CALIBRATED if runs[0].course.provenance.posterior else STATUS
    status = TableBlock(
        heads=("part", "what its size rests on"), rows=[[name, stands[name]] for name in names]
    )
    return [
        Section(
            title="What the change is made of",
            texts=[
                "Mean MADRS of the same people: from the natural course alone to the whole, one part added "
                "after the other."
            ],
            figure=to_html(_parts_figure(runs[0])),
            caption=f"Simulated: {runs[0].course.provenance.regimen}.",
            tables=[table, status],
        )
    ]


def _parts_figure(run: Run):
    """Return mean MADRS over the whole course, one part added after the other."""
    from euthymia.population.parts import NATURAL

    courses = {} if run.parts is None else dict(run.parts.courses)
    added = list(reversed(list(courses)))
    lines = tuple(
        Line(
            label=NATURAL if part == NATURAL else f"+ {part}",
            times_h=courses[part].times_h,
            median=courses[part]["madrs_points"].mean(axis=0),
            style=place,
        )
        for place, part in enumerate(added)
    )
    return chain_figure(
        [ChainPanel(quantity="MADRS, mean", unit="", lines=lines, floor=0.0)],
        horizon_h=float(run.course.times_h[-1]),
        marks=Marks(doses_h=run.course.session_starts_h),
        panel_height=320,
    )


def _harm_sections(runs: Sequence[Run], asked: Asked) -> list[Section]:
    dosed = [run for run in runs if run.course.session_starts_h] if asked.has_harms else []
    sections = [harm_section(harms_of(run, asked)) for run in dosed]
    return [
        replace(one, regimen=run.course.provenance.regimen) for one, run in zip(sections, dosed, strict=True)
    ]


def _concentration_sections(runs: Sequence[Run], unit: str) -> list[Section]:
    dosed = [run.course for run in runs if run.course.metrics]
    if not dosed:
        return []
    labels = [course.provenance.regimen if len(dosed) > 1 else "" for course in dosed]
    tables = [
        reports.exposure_table(course, unit, title=label) for course, label in zip(dosed, labels, strict=True)
    ]
    return [Section(title="Exposure", tables=tables)]


def _assumption_section(parameters: ParameterSet) -> Section:
    """Return every parameter downstream of concentrations with its tag, and what follows from them."""
    rows = parameters.chain.values()
    tags = Counter("set by hand" if row.source == "EuthymiaHandSet" else row.tag for row in rows)
    block = TableBlock(
        title=f"All {len(parameters.chain)} parameters downstream of concentrations",
        heads=("parameter", "value", "unit", "range", "between patients", "tag", "source", "why", "note"),
        rows=[
            [
                row.name,
                show.significant(row.value),
                row.unit,
                f"{row.low:g}–{row.high:g}",
                "–" if row.distribution == "fixed" else f"{row.distribution}, SD {row.sd:.2g}",
                row.tag,
                row.source,
                row.location,
                row.note,
            ]
            for row in rows
        ],
        right=(1,),
        is_folded=True,
    )
    return Section(
        title="What is assumed",
        texts=[
            "Parameters by tag: " + ", ".join(f"{count} {tag}" for tag, count in tags.items()) + ".",
            "Rodent clocks stand for human synapses; a scan of people saw no more synapses after a day. "
            "The timing of therapy rests on one trial. Persistence of new synapses and the course of beliefs "
            "are assumptions. Whether block of interneurons or of pyramidal cells starts the chain cannot "
            "be told from symptoms.",
        ],
        tables=[block],
    )


EPISODE_LINKS: tuple[tuple[str, str, float | None], ...] = (
    ("stress_relative", "Stress carried", 0.0),
    ("inflammation_relative", "Inflammation", 0.0),
    ("trophic_tone_relative", "Trophic tone", None),
    ("prefrontal_synapses_fraction", "Synapses,<br>prefrontal", None),
    ("hippocampal_synapses_fraction", "Synapses,<br>hippocampus", None),
    ("negative_belief_fraction", "Negative beliefs", 0.0),
    ("madrs_points", "MADRS", 0.0),
)


def episode_report(course: Trajectory, parameters: ParameterSet, *, weeks: float) -> str:
    """Return the report of how stress makes an episode, as HTML."""
    run = Run(course=course)
    links = [one for one in EPISODE_LINKS if one[0] != "inflammation_relative" or course[one[0]].max() > 1e-6]
    figure = chain_figure(
        _panels([run], links, with_individuals=False),
        horizon_h=float(course.times_h[-1]),
        marks=Marks(window_h=[(0.0, weeks * 168.0)]),
        has_first_day=False,
    )
    return render_report(
        kind="an episode",
        title=f"A well person under stress for {weeks:g} weeks",
        lead=[
            "Stress weakens synapses in prefrontal cortex and hippocampus and lowers trophic tone; lived low "
            "mood teaches beliefs that keep stress up. Shaded: while the stress lasts."
        ],
        sections=[
            Section(title="What happens", figure=to_html(figure), caption="Simulated: one typical person."),
            _assumption_section(parameters),
        ],
        sources=sorted(course.provenance.sources),
        footer=reports.footer_of(course),
        library=library(),
        warnings=course.warnings,
    )
