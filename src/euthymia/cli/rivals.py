"""``euthymia rivals``: mechanisms side by side, and what tells them apart."""

from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from euthymia.cli import options, show
from euthymia.errors import ResultWarning

if TYPE_CHECKING:
    from euthymia.model.mechanisms import Mechanism
    from euthymia.model.parameters import ParameterSet
    from euthymia.population.rivals import Rival

WIDTH = 96
NOT_REFITTED = (
    "Sizes of rivals are not set to anything: compare a row with the first row of its own mechanism, not one "
    "mechanism's points with another's."
)


def rivals(
    context: typer.Context,
    regimen: Annotated[
        str | None,
        typer.Argument(
            help="In the dosing language; left out, the mechanisms are listed.", show_default=False
        ),
    ] = None,
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
    from euthymia.dosing.notation import parse_regimen, print_regimen
    from euthymia.files.writing import check_writable, write_whole
    from euthymia.model.mechanisms import find_mechanism, mechanisms
    from euthymia.population.patient import Patient
    from euthymia.population.rivals import compare_mechanisms

    names = [find_mechanism(name).name for name in dict.fromkeys(mechanism or mechanisms())]
    if regimen is None:
        _list([mechanisms()[name] for name in names], context, is_json=json)
        return
    if report is not None:
        check_writable(report)
    plan = parse_regimen(regimen)
    chosen = options.chosen_set(parameters, overrides)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResultWarning)
        found = compare_mechanisms(
            plan, parameters=chosen, patient=Patient.create(weight_kg=weight_kg), names=names
        )
    show.warn(list(dict.fromkeys(str(one.message) for one in caught)), is_quiet=quiet)
    if json:
        _write_json(found, print_regimen(plan), context)
    else:
        print(f"{print_regimen(plan)}: one typical patient of {weight_kg:g} kg\n")
        _print_predictions(found)
        for one in found:
            _print_mechanism(one.mechanism)
        print(textwrap.fill(NOT_REFITTED, WIDTH))
        print(show.NOT_A_DEVICE)
    if report is not None:
        html = _report(found, chosen)
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=quiet)


def _list(found: Sequence[Mechanism], context: typer.Context, *, is_json: bool) -> None:
    if is_json:
        _dump(context, {"mechanisms": [_described(one) for one in found]})
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


# --- predictions -------------------------------------------------------------------------------------


def _heads() -> tuple[str, ...]:
    from euthymia.cli.chain import day_label
    from euthymia.population.rivals import READ_DAYS

    return ("mechanism", "change of MADRS", *(day_label(day) for day in READ_DAYS))


def _rows(found: Sequence[Rival]) -> list[list[str]]:
    from euthymia.population.rivals import experiments

    return [
        [
            one.mechanism.name if place == 0 else "",
            experiment.title,
            *(f"{points:+.1f}" for points in one.change_points[experiment.id]),
        ]
        for one in found
        for place, experiment in enumerate(experiments())
    ]


def _print_predictions(found: Sequence[Rival]) -> None:
    heads = _heads()
    show.table(heads, _rows(found), right=tuple(range(2, len(heads))))


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


def _write_json(found: Sequence[Rival], regimen: str, context: typer.Context) -> None:
    from euthymia.population.rivals import READ_DAYS

    document = {
        "regimen": regimen,
        "days": list(READ_DAYS),
        "mechanisms": [
            {
                **_described(one.mechanism),
                "madrs_change_points": {key: list(values) for key, values in one.change_points.items()},
            }
            for one in found
        ],
    }
    _dump(context, document)


def _dump(context: typer.Context, document: dict[str, Any]) -> None:
    from euthymia.files.results import dump_json

    head = {
        "schema": "euthymia.rivals/1",
        "command": list(context.obj or ["rivals"]),
        "version": version("euthymia"),
        "status": "simulated; research software, not a medical device",
    }
    sys.stdout.write(dump_json({**head, **document}))


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


def _report(found: Sequence[Rival], parameters: ParameterSet) -> str:
    from euthymia.cli import reports
    from euthymia.files.report import Section, TableBlock, render_report
    from euthymia.plots.chain import ChainPanel, Line, Marks, chain_figure
    from euthymia.plots.concentrations import library, to_html

    first = found[0].course
    panels = [
        ChainPanel(
            quantity=title,
            unit="1",
            floor=floor,
            lines=tuple(
                Line(
                    label=one.mechanism.name,
                    times_h=one.course.times_h,
                    median=np.asarray(one.course.values[stem][0]),
                    style=place,
                )
                for place, one in enumerate(found)
            ),
        )
        for stem, title, floor in LINKS
    ]
    marks = Marks(doses_h=first.session_starts_h)
    figure = chain_figure(panels, horizon_h=float(first.times_h[-1]), marks=marks)
    heads = _heads()
    return render_report(
        kind="rival mechanisms",
        title=first.provenance.regimen,
        lead=["Which mechanism is true is not settled. The same dose, by each of them.", NOT_REFITTED],
        sections=[
            Section(
                title="The chain, by mechanism",
                figure=to_html(figure),
                caption="Simulated: one typical patient without expectancy.",
            ),
            Section(
                title="What each predicts",
                tables=[TableBlock(heads=heads, rows=_rows(found), right=tuple(range(2, len(heads))))],
            ),
            *(
                Section(
                    title=f"{one.mechanism.name}: {one.mechanism.title}",
                    texts=_texts(one.mechanism),
                )
                for one in found
            ),
            reports.parameter_section(parameters),
        ],
        sources=sorted({key for one in found for key in one.course.provenance.sources}),
        footer=reports.footer_of(first),
        library=library(),
        warnings=first.warnings,
    )
