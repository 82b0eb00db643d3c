"""``euthymia rivals``: mechanisms side by side, and what tells them apart."""

from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from euthymia.cli import options, show
from euthymia.errors import InvalidInputError, ResultWarning

if TYPE_CHECKING:
    from euthymia.files.report import Section, TableBlock
    from euthymia.model.mechanisms import Mechanism
    from euthymia.model.parameters import ParameterSet
    from euthymia.model.trajectory import Trajectory
    from euthymia.population.rivals import Ensemble, Rival

WIDTH = 96
NOT_REFITTED = (
    "Sizes of rivals are not set to anything: compare a row with the first row of its own mechanism, not one "
    "mechanism's points with another's."
)
NOT_WEIGHTED = (
    "Each mechanism counts once, not weighted by how likely it is, so the band is no interval of anything. "
    "An edge need not be the course of one mechanism, and its width holds sizes of rivals that nothing set."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What is asked for, checked."""

    names: Sequence[str]
    chosen: ParameterSet
    report: Path | None
    context: typer.Context
    is_json: bool
    is_quiet: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prediction:
    """What is shown of a regimen: each mechanism, the band over them, and why an experiment is left out."""

    regimen: str
    weight_kg: float
    found: Sequence[Rival]
    band: Ensemble | None
    left_out: Mapping[str, str]


def rivals(
    context: typer.Context,
    regimen: Annotated[
        str | None,
        typer.Argument(
            help="In the dosing language; left out, the mechanisms are listed.", show_default=False
        ),
    ] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Also lowest, median and highest over the mechanisms.")
    ] = False,
    facts: Annotated[
        bool, typer.Option("--facts", help="Published facts by each mechanism instead of a regimen.")
    ] = False,
    mechanism: options.Mechanism = None,
    weight_kg: options.WeightKg = 70.0,
    parameters: options.Parameters = "composed",
    overrides: options.Overrides = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what each rival mechanism predicts of a regimen, and which facts separate them.

    Example: euthymia rivals "ketamine 0.5 mg/kg iv over 40 min" --report rivals.html
    """
    from euthymia.files.writing import check_writable
    from euthymia.model.mechanisms import find_mechanism, mechanisms
    from euthymia.population.rivals import check_several

    _check_asked(context, regimen, has_ensemble=ensemble, has_facts=facts, has_report=report is not None)
    names = [find_mechanism(name).name for name in dict.fromkeys(mechanism or mechanisms())]
    if ensemble or facts:
        check_several(names)
    if report is not None:
        check_writable(report)
    asked = _Asked(
        names=names,
        chosen=options.chosen_set(parameters, overrides),
        report=report,
        context=context,
        is_json=json,
        is_quiet=quiet,
    )
    if facts:
        _facts(asked)
    elif regimen is None:
        _list(asked)
    else:
        _predict(regimen, asked, weight_kg=weight_kg, has_ensemble=ensemble)


def _check_asked(
    context: typer.Context, regimen: str | None, *, has_ensemble: bool, has_facts: bool, has_report: bool
) -> None:
    """Raise where options contradict each other or have nothing to work on."""
    weight = context.get_parameter_source("weight_kg")
    has_weight = weight is not None and weight.name != "DEFAULT"
    if has_facts and (regimen is not None or has_ensemble or has_weight):
        message = (
            "'--facts' has regimens and people of its own. "
            "Leave out the regimen, '--ensemble' and '--weight-kg'."
        )
        raise InvalidInputError(message)
    if regimen is None and not has_facts and (has_ensemble or has_report):
        message = "'--ensemble' needs a regimen; '--report' a regimen or '--facts'. Got neither."
        raise InvalidInputError(message)


# --- the mechanisms themselves -----------------------------------------------------------------------


def _list(asked: _Asked) -> None:
    from euthymia.model.mechanisms import mechanisms

    found = [mechanisms()[name] for name in asked.names]
    if asked.is_json:
        _dump(asked, {"mechanisms": [_described(one) for one in found]})
        return
    for one in found:
        _print_mechanism(one)
    print("Use one with '--mechanism NAME' in 'euthymia simulate' and 'euthymia story'.")


def _print_mechanism(one: Mechanism) -> None:
    print(f"{one.name}: {one.title}")
    for text in _texts(one):
        print(textwrap.fill(text, WIDTH, initial_indent="   ", subsequent_indent="   "))
    print()


def _texts(one: Mechanism) -> tuple[str, ...]:
    """Return what a mechanism claims, what speaks for and against it, and what tells it from others."""

    def joined(parts: Sequence[str]) -> str:
        return "; ".join(part.removesuffix(".") for part in parts)

    return (
        one.claim,
        f"For: {joined(one.evidence_for)}. Against: {joined(one.evidence_against)}.",
        f"Separated by: {joined(one.separated_by)}. Not by: {one.cannot_be_told_by}",
    )


def _described(one: Mechanism) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "claim": one.claim,
        "evidence_for": list(one.evidence_for),
        "evidence_against": list(one.evidence_against),
        "separated_by": list(one.separated_by),
        "cannot_be_told_by": one.cannot_be_told_by,
        "overrides": dict(one.overrides),
    }


# --- predictions of a regimen ------------------------------------------------------------------------


def _predict(regimen: str, asked: _Asked, *, weight_kg: float, has_ensemble: bool) -> None:
    from euthymia.dosing.notation import parse_regimen, print_regimen
    from euthymia.population.patient import Patient
    from euthymia.population.rivals import arrange, compare_mechanisms, ensemble_of

    plan = parse_regimen(regimen)
    with warnings.catch_warnings(record=True) as caught, _progress(asked) as on_done:
        warnings.simplefilter("always", ResultWarning)
        found = compare_mechanisms(
            plan,
            parameters=asked.chosen,
            patient=Patient.create(weight_kg=weight_kg),
            names=asked.names,
            on_done=on_done,
        )
        left_out = arrange(plan, asked.chosen)[1]
    show.warn(list(dict.fromkeys(str(one.message) for one in caught)), is_quiet=asked.is_quiet)
    seen = _Prediction(
        regimen=print_regimen(plan),
        weight_kg=weight_kg,
        found=found,
        band=ensemble_of(found) if has_ensemble else None,
        left_out=left_out,
    )
    if asked.is_json:
        _dump(asked, _document(seen))
    else:
        _print(seen)
    if asked.report is not None:
        _write(asked, _report(seen, asked.chosen))


def _progress(asked: _Asked):
    return show.progress("Simulating", is_quiet=asked.is_quiet)


def _print(seen: _Prediction) -> None:
    print(f"{seen.regimen}: one typical patient of {seen.weight_kg:g} kg\n")
    heads = _heads()
    show.table(heads, _rows(seen.found), right=tuple(range(2, len(heads))))
    for text in _left_out_texts(seen):
        print(textwrap.fill(text, WIDTH) + "\n")
    if seen.band is not None:
        heads = _band_heads(seen)
        show.table(heads, _band_rows(seen.band), right=tuple(range(1, len(heads))))
        print(textwrap.fill(f"{_edges_text(seen.band)} {NOT_WEIGHTED}", WIDTH) + "\n")
    for one in seen.found:
        _print_mechanism(one.mechanism)
    print(textwrap.fill(NOT_REFITTED, WIDTH))
    print(show.NOT_A_DEVICE)


def _days() -> tuple[str, ...]:
    from euthymia.cli.chain import day_label
    from euthymia.population.rivals import READ_DAYS

    return tuple(day_label(day) for day in READ_DAYS)


def _heads() -> tuple[str, ...]:
    return ("mechanism", "change of MADRS", *_days())


def _rows(found: Sequence[Rival]) -> list[list[str]]:
    from euthymia.population.rivals import experiments

    return [
        [
            one.mechanism.name if place == 0 else "",
            experiment.title,
            *(f"{points:+z.1f}" for points in one.change_points[experiment.id]),
        ]
        for one in found
        for place, experiment in enumerate(experiments())
        if experiment.id in one.change_points
    ]


def _left_out_texts(seen: _Prediction) -> list[str]:
    """Return which experiments the regimen does not allow, and why."""
    from euthymia.population.rivals import experiments

    titles = {one.id: one.title for one in experiments()}
    return [f"Left out: {titles[key]}. {reason}" for key, reason in seen.left_out.items()]


def _band_heads(seen: _Prediction) -> tuple[str, ...]:
    return (f"change of MADRS, {len(seen.found)} mechanisms", *_days())


def _band_rows(band: Ensemble) -> list[list[str]]:
    return [
        [edge, *(f"{points:+z.1f}" for points in changes)] for edge, changes in band.change_points.items()
    ]


def _edges_text(band: Ensemble) -> str:
    """Return which mechanisms are lowest and highest on which days."""
    return " ".join(
        f"{edge}: {'; '.join(f'{name} ({days})' for name, days in _days_by(names).items())}."
        for edge, names in (("Lowest", band.lowest_by), ("Highest", band.highest_by))
    )


def _days_by(names: Sequence[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, day in zip(names, _days(), strict=True):
        found.setdefault(name, []).append(day)
    return {name: ", ".join(days) for name, days in found.items()}


def _document(seen: _Prediction) -> dict[str, Any]:
    from euthymia.population.rivals import READ_DAYS

    document: dict[str, Any] = {
        "regimen": seen.regimen,
        "days": list(READ_DAYS),
        "left_out": dict(seen.left_out),
        "mechanisms": [
            {
                **_described(one.mechanism),
                "madrs_change_points": {key: list(values) for key, values in one.change_points.items()},
            }
            for one in seen.found
        ],
    }
    if seen.band is not None:
        document["ensemble"] = {
            "note": NOT_WEIGHTED,
            "times_h": seen.band.times_h.tolist(),
            "madrs_points": {edge: points.tolist() for edge, points in seen.band.points.items()},
            "madrs_change_points": {edge: list(points) for edge, points in seen.band.change_points.items()},
            "lowest_by": list(seen.band.lowest_by),
            "highest_by": list(seen.band.highest_by),
        }
    return document


def _dump(asked: _Asked, document: dict[str, Any]) -> None:
    from euthymia.files.results import dump_json

    head = {
        "schema": "euthymia.rivals/1",
        "command": list(asked.context.obj or ["rivals"]),
        "version": version("euthymia"),
        "status": "simulated; research software, not a medical device",
    }
    sys.stdout.write(dump_json({**head, **document}))


# --- published facts ---------------------------------------------------------------------------------


def _facts(asked: _Asked) -> None:
    from euthymia.cli import rival_facts
    from euthymia.population.rival_facts import compare_rival_facts

    with _progress(asked) as on_done:
        found = compare_rival_facts(parameters=asked.chosen, names=asked.names, on_done=on_done)
    chosen = _mechanisms(asked)
    if asked.is_json:
        head = {"mechanisms": [_described(one) for one in chosen]}
        _dump(asked, {**head, "facts": rival_facts.facts_document(found)})
    else:
        rival_facts.print_facts(found, width=WIDTH)
        print(show.NOT_A_DEVICE)
    if asked.report is not None:
        from euthymia.cli import reports
        from euthymia.files.report import render_report

        sections = [
            *rival_facts.fact_sections(found),
            *_mechanism_sections(chosen),
            reports.parameter_section(asked.chosen),
        ]
        html = render_report(
            kind="rival mechanisms",
            title="Published facts by each mechanism",
            lead=["Which mechanism is true is not settled. The same facts, by each of them."],
            sections=sections,
            sources=rival_facts.sources_of(found),
            footer=[show.NOT_A_DEVICE, f"euthymia {version('euthymia')}"],
            library="",
        )
        _write(asked, html)


def _mechanisms(asked: _Asked) -> list[Mechanism]:
    from euthymia.model.mechanisms import mechanisms

    return [mechanisms()[name] for name in asked.names]


# --- report ------------------------------------------------------------------------------------------

LINKS = (
    ("nmda_block_interneuron_fraction", "NMDA block,<br>interneurons", 0.0),
    ("glutamate_surge_relative", "Glutamate", 1.0),
    ("plasticity_drive_fraction", "Drive", 0.0),
    ("ampa_potentiation_fraction", "AMPA", 0.0),
    ("synaptic_protein_relative", "Synaptic protein", 0.0),
    ("prefrontal_synapses_fraction", "Synapses,<br>prefrontal", None),
    ("madrs_points", "MADRS", None),
)


def _write(asked: _Asked, html: str) -> None:
    from euthymia.files.writing import write_whole

    if asked.report is not None:
        write_whole(asked.report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {asked.report}", is_quiet=asked.is_quiet)


def _report(seen: _Prediction, parameters: ParameterSet) -> str:
    from euthymia.cli import reports
    from euthymia.files.report import Section, render_report
    from euthymia.plots.concentrations import library

    first = seen.found[0].course
    return render_report(
        kind="rival mechanisms",
        title=first.provenance.regimen,
        lead=["Which mechanism is true is not settled. The same dose, by each of them.", NOT_REFITTED],
        sections=[
            *([_band_section(seen, seen.band)] if seen.band is not None else []),
            Section(
                title="The chain, by mechanism",
                figure=_chain_html(seen.found),
                caption="Simulated: one typical patient without expectancy.",
            ),
            Section(title="What each predicts", tables=[_table(seen)], texts=_left_out_texts(seen)),
            *_mechanism_sections([one.mechanism for one in seen.found]),
            reports.parameter_section(parameters),
        ],
        sources=sorted({key for one in seen.found for key in one.course.provenance.sources}),
        footer=reports.footer_of(first),
        library=library(),
        warnings=first.warnings,
    )


def _table(seen: _Prediction) -> TableBlock:
    from euthymia.files.report import TableBlock

    heads = _heads()
    return TableBlock(heads=heads, rows=_rows(seen.found), right=tuple(range(2, len(heads))))


def _mechanism_sections(found: Sequence[Mechanism]) -> list[Section]:
    from euthymia.files.report import Section

    return [Section(title=f"{one.name}: {one.title}", texts=_texts(one)) for one in found]


def _band_section(seen: _Prediction, band: Ensemble) -> Section:
    from euthymia.files.report import Section, TableBlock
    from euthymia.plots.chain import Line
    from euthymia.plots.concentrations import to_html
    from euthymia.plots.ensemble import ensemble_figure

    middle = Line(
        label="median of the mechanisms",
        times_h=band.times_h,
        median=band.points["median"],
        low=band.points["lowest"],
        high=band.points["highest"],
    )
    lines = [_line(one, "madrs_points", place) for place, one in enumerate(seen.found)]
    figure = ensemble_figure(
        middle, lines, quantity="MADRS (points)", doses_h=seen.found[0].course.session_starts_h
    )
    heads = _band_heads(seen)
    table = TableBlock(heads=heads, rows=_band_rows(band), right=tuple(range(1, len(heads))))
    return Section(
        title="Over the mechanisms",
        texts=[NOT_WEIGHTED, _edges_text(band)],
        figure=to_html(figure),
        caption="Simulated: one typical patient without expectancy. Thin lines: mechanisms. Band: from the "
        "lowest to the highest at each time.",
        tables=[table],
    )


def _chain_html(found: Sequence[Rival]) -> str:
    from euthymia.plots.chain import ChainPanel, Marks, chain_figure
    from euthymia.plots.concentrations import to_html

    first: Trajectory = found[0].course
    panels = [
        ChainPanel(
            quantity=title,
            unit="1",
            floor=floor,
            lines=tuple(_line(one, stem, place) for place, one in enumerate(found)),
        )
        for stem, title, floor in LINKS
    ]
    marks = Marks(doses_h=first.session_starts_h)
    return to_html(chain_figure(panels, horizon_h=float(first.times_h[-1]), marks=marks))


def _line(one: Rival, stem: str, place: int):
    from euthymia.plots.chain import Line

    return Line(
        label=one.mechanism.name,
        times_h=one.course.times_h,
        median=np.asarray(one.course.values[stem][0]),
        style=place,
    )
