"""Pages of virtual trials: one trial, a power curve, and every trial beside its published results."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from euthymia.cli import trial_outcomes as outcomes
from euthymia.cli import trial_sections as sections
from euthymia.cli.show import NOT_A_DEVICE
from euthymia.cli.trial_numbers import RATIO_MEASURES, share_interval
from euthymia.cli.trial_protocol import protocol_yaml
from euthymia.cli.trial_shown import SHARES, measure_label, percent, shown, sized
from euthymia.files.report import Section, TableBlock, render_report
from euthymia.plots.arms import absent, arm_styles, key_html, panels_html
from euthymia.plots.concentrations import library
from euthymia.plots.contrasts import Contrast, forest_figure
from euthymia.plots.power import PowerLine, power_figure
from euthymia.trials.published import Observed, ReplicationRow
from euthymia.trials.records import PowerCurve, TrialResult
from euthymia.trials.replicate import UNCALIBRATED

PROGRAM = "euthymia"
TARGET = 0.8
"""Power that is marked."""
CLOSED = "closed"
"""Verdict of a row whose published side may not be shown."""


def trial_report(result: TrialResult, *, command: Sequence[str], observed: Observed | None = None) -> str:
    """Return the page of a simulated trial as HTML that needs nothing else.

    Parameters
    ----------
    result : TrialResult
        ``provenance`` may hold ``version``, ``sources`` (keys of the bibliography), ``posterior``, ``engine``
        and ``overrides``.
    command : sequence of str
        What was run, with the program's name before it or without.
    observed : Observed, optional
        What is published and open; ``closed`` says why where it is not.
    """
    one = shown(result, observed)
    parts = [
        sections.summary_section(one),
        sections.flow_section(one),
        sections.course_section(one),
        outcomes.waterfall_section(one),
        outcomes.share_section(one),
        outcomes.relapse_section(one),
        outcomes.event_section(one),
        outcomes.exposure_section(one),
        sections.contrast_section(one),
        sections.estimate_section(one),
        _protocol_section(result),
        assumed_section(result.protocol.assumed),
    ]
    return render_report(
        kind="virtual trial",
        title=result.protocol.title,
        lead=[f"{result.protocol.id}, simulated. Nobody took part: every patient here is invented."],
        sections=[part for part in parts if part is not None],
        sources=_sources(result, one.observed),
        footer=footer(result.provenance, command, seed=result.seed, parameters=result.parameters),
        library=library(),
        warnings=_warnings(result.provenance, result.warnings),
    )


def _warnings(provenance: Mapping[str, object], said: Sequence[str]) -> list[str]:
    """Return what was said of a result, each once; first that it has no posterior, where so."""
    is_calibrated = provenance.get("posterior") not in (None, "", "prior")
    return list(dict.fromkeys([*(() if is_calibrated else (UNCALIBRATED,)), *said]))


def _protocol_section(result: TrialResult) -> Section:
    text = protocol_yaml(result.protocol)
    notes = [f"{note}" for note in result.protocol.notes]
    return Section(
        title="Protocol", texts=notes, folded=[(f"{result.protocol.id}.yaml, as it was run", text)]
    )


def assumed_section(assumed: Sequence[str]) -> Section:
    """Return everything that no source states, in full."""
    if not assumed:
        return Section(title="What was assumed", texts=["The protocol lists nothing as assumed."])
    text = "No source that was read states these; each may move the result."
    return Section(title=f"What was assumed ({len(assumed)})", texts=[text], points=list(assumed))


def _sources(result: TrialResult, observed: Observed) -> list[str]:
    from euthymia.population.outcomes import relapse_rules

    given = result.provenance.get("sources", ())
    rules = [relapse_rules()[one.rule].source for one in result.protocol.endpoints.values() if one.rule]
    beside = [one.source for one in (*observed.means, *observed.estimates)]
    listed = [str(key) for key in given] if isinstance(given, list | tuple | set | frozenset) else []
    return known_sources([*listed, *rules, *beside])


def known_sources(keys: Sequence[str]) -> list[str]:
    """Return keys that the bibliography has, sorted, each once."""
    from euthymia.citations import load_sources

    return sorted({key for key in keys if key in load_sources()})


def footer(
    provenance: Mapping[str, object], command: Sequence[str], *, seed: int, parameters: str
) -> list[str]:
    """Return seed, version, what makes the page again, and what it is."""
    changed = provenance.get("overrides")
    overrides = (
        "".join(f" {name}={value}" for name, value in changed.items()) if isinstance(changed, Mapping) else ""
    )
    engine = f" · engine {provenance['engine']}" if provenance.get("engine") else ""
    program = () if list(command[:1]) == [PROGRAM] else (PROGRAM,)
    named = f" · parameters {parameters}" if parameters else ""
    if provenance.get("posterior"):
        digest = str(provenance.get("posterior_digest", ""))[:12]
        named += f" · posterior {' '.join(part for part in (str(provenance['posterior']), digest) if part)}"
    return [
        f"Euthymia {provenance.get('version', version('euthymia'))} · seed {seed}{named}{overrides}{engine}.",
        f"Run again: {shlex.join([*program, *command])}",
        NOT_A_DEVICE,
    ]


# --- power -------------------------------------------------------------------------------------


def power_report(
    curves: Sequence[PowerCurve],
    *,
    title: str,
    command: Sequence[str],
    seed: int,
    parameters: str = "",
    assumed: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    provenance: Mapping[str, object] | None = None,
    warnings: Sequence[str] = (),
    target: float = TARGET,
    counted: str = "in each arm",
) -> str:
    """Return the page of power by the size of the arms as HTML.

    Parameters
    ----------
    curves : sequence of PowerCurve
        One a contrast, of one endpoint.
    title : str
        Of the protocol.
    command : sequence of str
    assumed : sequence of str
        Of the protocol.
    labels : {name of an arm: what it is called}, optional
    provenance : mapping, optional
        As in a TrialResult.
    target : float
        Power that is marked, above 0 and below 1.
    counted : str
        Of what a size is: ``in each arm``, or ``in all`` of a crossover.
    """
    named, made = labels or {}, provenance or {}
    styles = arm_styles({one.arm: named.get(one.arm, one.arm) for one in curves})
    lines = [
        PowerLine(
            style=styles[one.arm],
            sizes=one.sizes,
            power=one.power,
            low=one.low,
            high=one.high,
            closed_form=one.closed_form,
        )
        for one in curves
    ]
    has_form = any(one.closed_form is not None for one in curves)
    form = f" {CLOSED_FORM}" if has_form else ""
    alpha, replicates = curves[0].alpha, curves[0].replicates
    drawn = power_figure(lines, target=target, counted=counted)
    figure = panels_html([("", drawn)], key=key_html(list(styles.values())))
    reached = [_reached(one, target, named, counted) for one in curves]
    return render_report(
        kind="power of a virtual trial",
        title=title,
        lead=[f"Power for {curves[0].endpoint} by the number of patients {counted}, simulated."],
        sections=[
            Section(
                title="Power",
                texts=reached,
                figure=figure,
                caption=f"Simulated: share of {replicates} replicates with p < {alpha:g}; band: 95 % "
                f"interval of the Monte Carlo error.{form} Dotted: {percent(target)}.",
                tables=[_power_table(one, named, counted) for one in curves],
            ),
            assumed_section(assumed),
        ],
        sources=known_sources([str(key) for key in _listed(made)]),
        footer=footer(made, command, seed=seed, parameters=parameters),
        library=library(),
        warnings=_warnings(made, warnings),
    )


CLOSED_FORM = (
    "Thin long dashes: power by the closed form, from the mean effect and its spread as simulated at the "
    "largest size."
)


def _listed(provenance: Mapping[str, object]) -> Sequence[object]:
    given = provenance.get("sources", ())
    return given if isinstance(given, list | tuple) else ()


def _reached(one: PowerCurve, target: float, labels: Mapping[str, str], counted: str) -> str:
    """Return from which size on a curve stays at or above the target."""
    what = f"{labels.get(one.arm, one.arm)} against {labels.get(one.reference, one.reference)}"
    order = np.argsort(one.sizes)
    sizes, power, low = one.sizes[order], one.power[order], one.low[order]
    is_below = np.flatnonzero(~(power >= target))
    first = 0 if not len(is_below) else int(is_below[-1]) + 1
    if first == len(sizes):
        return f"{what}: {percent(target)} is not reached with up to {sizes[-1]} patients {counted}."
    is_sure = np.flatnonzero(~(low >= target))
    sure = 0 if not len(is_sure) else int(is_sure[-1]) + 1
    beyond = (
        f", beyond Monte Carlo error from {sizes[sure]} on"
        if sure < len(sizes)
        else "; its interval includes less at every size"
    )
    start = "at every size tried, from" if first == 0 else "from"
    return f"{what}: {percent(target)} is reached {start} {sizes[first]} patients {counted} on{beyond}."


def _power_table(one: PowerCurve, labels: Mapping[str, str], counted: str) -> TableBlock:
    form = one.closed_form
    rows = [
        [
            str(size),
            percent(one.power[place], 1),
            f"{percent(one.low[place], 1)} to {percent(one.high[place], 1)}",
            *([] if form is None else [percent(form[place], 1)]),
        ]
        for place, size in enumerate(one.sizes)
    ]
    heads = (f"patients {counted}", "power", "95 % interval", *(() if form is None else ("closed form",)))
    return TableBlock(
        title=f"{labels.get(one.arm, one.arm)} against {labels.get(one.reference, one.reference)}",
        heads=heads,
        rows=rows,
        right=range(len(heads)),
    )


# --- replication -------------------------------------------------------------------------------


def replication_report(
    rows: Sequence[ReplicationRow],
    *,
    command: Sequence[str],
    seed: int,
    parameters: str = "",
    provenance: Mapping[str, object] | None = None,
    warnings: Sequence[str] = (),
) -> str:
    """Return every trial beside its published results as one page of HTML.

    Parameters
    ----------
    rows : sequence of ReplicationRow
        Every row of the evidence, those too that are closed or that a simulation cannot speak to.
    """
    made = provenance or {}
    rows = [_without_closed(row) for row in rows]
    trials = dict.fromkeys(row.trial for row in rows)
    return render_report(
        kind="published trials, simulated",
        title="Every published trial beside its simulation",
        lead=[
            f"{len(trials)} trials, {len(rows)} published results. None is left out: where the published "
            "side is closed, or a simulation cannot speak to a result, the row says so and why."
        ],
        sections=[
            _verdict_section(rows),
            *(_trial_section(name, [row for row in rows if row.trial == name]) for name in trials),
        ],
        sources=known_sources([*(row.source for row in rows), *map(str, _listed(made))]),
        footer=footer(made, command, seed=seed, parameters=parameters),
        library=library(),
        warnings=_warnings(made, warnings),
    )


def _without_closed(row: ReplicationRow) -> ReplicationRow:
    """Return a row without its published side where that is closed, whatever was handed over."""
    if row.verdict != CLOSED:
        return row
    return replace(row, observed=np.nan, observed_low=np.nan, observed_high=np.nan)


def _verdict_section(rows: Sequence[ReplicationRow]) -> Section:
    verdicts = list(dict.fromkeys(row.verdict for row in rows))
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in verdicts}
    judged = [
        row for row in rows if row.is_primary and np.isfinite(row.observed) and np.isfinite(row.simulated)
    ]
    inside = sum(row.low <= row.observed <= row.high for row in judged)
    texts = [
        "A published result counts as inside where it lies in the 90 % interval of simulated trials of its "
        "size. One primary contrast a trial counts for the coverage."
    ]
    if judged:
        low, high = share_interval(inside, len(judged))
        texts.append(
            f"Coverage: {inside} of {len(judged)} open primary contrasts inside, "
            f"{percent(inside / len(judged))} (95 % interval {percent(low)} to {percent(high)}); 90 % would "
            "be right."
        )
    else:
        texts.append("No primary contrast is open, so there is no coverage to tell.")
    table = TableBlock(
        title="Verdicts by role of the evidence",
        heads=("role", *verdicts, "all"),
        rows=[
            _verdict_row(role, [row for row in rows if row.role == role], verdicts)
            for role in dict.fromkeys(row.role for row in rows)
        ],
        right=range(1, len(verdicts) + 2),
    )
    return Section(
        title="Verdicts",
        texts=texts,
        cards=[(str(count), verdict) for verdict, count in counts.items()],
        tables=[table],
    )


def _verdict_row(role: str, rows: Sequence[ReplicationRow], verdicts: Sequence[str]) -> list[str]:
    counts = [sum(row.verdict == verdict for row in rows) for verdict in verdicts]
    return [role, *(str(count) if count else "" for count in counts), str(len(rows))]


def _trial_section(name: str, rows: Sequence[ReplicationRow]) -> Section:
    drawn = [row for row in rows if np.isfinite(row.simulated)]
    measures = dict.fromkeys((row.measure, row.unit) for row in drawn)
    panels = [
        _forest([row for row in drawn if (row.measure, row.unit) == one], *one) for one in measures
    ] or [("", absent("A simulation can speak to none of the rows of this trial; each says why below."))]
    closed = sum(row.verdict == CLOSED for row in rows)
    texts = [f"The published side of {closed} of {len(rows)} rows is closed."] if closed else []
    return Section(
        title=f"{name}: {rows[0].title}",
        texts=texts,
        figure=panels_html(panels, narrowest_px=420),
        caption=_forest_caption(drawn),
        tables=[_replication_table(rows)],
    )


def _forest_caption(drawn: Sequence[ReplicationRow]) -> str:
    if not drawn:
        return ""
    counts = sorted({row.replicates for row in drawn})
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    beside = " Open diamonds: published, with the printed interval."
    is_open = any(np.isfinite(row.observed) for row in drawn)
    return (
        f"Squares: simulated, median of {many} replicates with the 90 % interval for one trial of this size."
        f"{beside if is_open else ''}"
    )


def _forest(rows: Sequence[ReplicationRow], measure: str, unit: str) -> tuple[str, str]:
    factor = 100.0 if measure in SHARES else 1.0
    contrasts = [
        Contrast(
            label=row.label,
            simulated=factor * row.simulated,
            low=factor * row.low,
            high=factor * row.high,
            observed=factor * row.observed,
            observed_low=factor * row.observed_low,
            observed_high=factor * row.observed_high,
            text=f"{row.row_id}: simulated {sized(measure, row.simulated)}, published "
            f"{sized(measure, row.observed)}, {row.verdict}",
        )
        for row in rows
    ]
    quantity = (
        f"{measure.capitalize()} ({unit})" if unit and measure not in SHARES else measure_label(measure)
    )
    return "", forest_figure(contrasts, quantity=quantity, is_ratio=measure in RATIO_MEASURES)


def _replication_table(rows: Sequence[ReplicationRow]) -> TableBlock:
    return TableBlock(
        heads=(
            "row",
            "role",
            "result",
            "measure",
            "simulated",
            "90 %",
            "published",
            "95 %",
            "verdict",
            "why",
        ),
        rows=[
            [
                row.row_id + (" (primary)" if row.is_primary else ""),
                row.role,
                row.label,
                f"{row.measure} ({row.unit})" if row.unit else row.measure,
                sized(row.measure, row.simulated),
                _ends(row.measure, row.low, row.high),
                CLOSED if row.verdict == CLOSED else sized(row.measure, row.observed),
                _ends(row.measure, row.observed_low, row.observed_high),
                row.verdict,
                row.reason,
            ]
            for row in rows
        ],
        right=(4, 5, 6, 7),
        marked=[place for place, row in enumerate(rows) if row.verdict == "outside"],
    )


def _ends(measure: str, low: float, high: float) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return "–"
    return f"{sized(measure, low)} to {sized(measure, high)}"
