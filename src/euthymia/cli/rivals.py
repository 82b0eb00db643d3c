"""``euthymia rivals``: mechanisms side by side, and what tells them apart."""

from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import options, show
from euthymia.errors import InvalidInputError, ResultWarning

if TYPE_CHECKING:
    from euthymia.cli.rival_predictions import Prediction
    from euthymia.files.report import Section
    from euthymia.model.mechanisms import Mechanism
    from euthymia.model.parameters import ParameterSet

WIDTH = 96
NOT_SETTLED = "Which mechanism is true is not settled."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What is asked for, checked."""

    names: Sequence[str]
    chosen: ParameterSet
    report: Path | None
    context: typer.Context
    is_json: bool
    is_quiet: bool


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
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="How they stand after the same fit to published trials.")
    ] = False,
    earlier: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="With --calibrated: rivals.json of a fit of one's own.",
            show_default=False,
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
    from euthymia.files.writing import check_writable
    from euthymia.model.mechanisms import find_mechanism, mechanisms
    from euthymia.population.rivals import check_several

    if calibrated or earlier is not None:
        from euthymia.cli.rivals_calibrated import load_calibrated, show_calibrated

        if regimen is not None or ensemble or facts or mechanism or not calibrated:
            message = "'--calibrated' stands alone, or with '--from', '--report', '--json' and '--quiet'."
            raise InvalidInputError(message)
        if report is not None:
            check_writable(report)
        found = load_calibrated(earlier)
        show_calibrated(found, command=context.obj, report=report, is_json=json, is_quiet=quiet)
        return
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


def _mechanisms(asked: _Asked) -> list[Mechanism]:
    from euthymia.model.mechanisms import mechanisms

    return [mechanisms()[name] for name in asked.names]


def _list(asked: _Asked) -> None:
    found = _mechanisms(asked)
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
    from euthymia.cli.rival_predictions import Prediction
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
    seen = Prediction(
        regimen=print_regimen(plan),
        weight_kg=weight_kg,
        found=found,
        band=ensemble_of(found) if has_ensemble else None,
        left_out=left_out,
    )
    _show_prediction(seen, asked)


def _show_prediction(seen: Prediction, asked: _Asked) -> None:
    from euthymia.cli import rival_predictions

    chosen = [one.mechanism for one in seen.found]
    if asked.is_json:
        changes = [{key: list(days) for key, days in one.change_points.items()} for one in seen.found]
        told = [
            {**_described(one), "madrs_change_points": points}
            for one, points in zip(chosen, changes, strict=True)
        ]
        _dump(asked, {**rival_predictions.prediction_document(seen), "mechanisms": told})
    else:
        rival_predictions.print_prediction(seen, width=WIDTH)
        for one in chosen:
            _print_mechanism(one)
        print(textwrap.fill(rival_predictions.NOT_REFITTED, WIDTH))
        print(show.NOT_A_DEVICE)
    if asked.report is not None:
        from euthymia.cli.reports import footer_of
        from euthymia.plots.concentrations import library

        first = seen.found[0].course
        _write(
            asked,
            title=first.provenance.regimen,
            lead=[f"{NOT_SETTLED} The same dose, by each of them.", rival_predictions.NOT_REFITTED],
            sections=rival_predictions.prediction_sections(seen),
            sources=sorted({key for one in seen.found for key in one.course.provenance.sources}),
            footer=footer_of(first),
            library=library(),
            warnings=first.warnings,
        )


def _progress(asked: _Asked) -> AbstractContextManager[Callable[[int, int], None] | None]:
    return show.progress("Simulating", is_quiet=asked.is_quiet)


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
    if asked.is_json:
        head = {"mechanisms": [_described(one) for one in _mechanisms(asked)]}
        _dump(asked, {**head, "facts": rival_facts.facts_document(found)})
    else:
        rival_facts.print_facts(found, width=WIDTH)
        print(show.NOT_A_DEVICE)
    if asked.report is not None:
        _write(
            asked,
            title="Published facts by each mechanism",
            lead=[f"{NOT_SETTLED} The same facts, by each of them."],
            sections=rival_facts.fact_sections(found),
            sources=rival_facts.sources_of(found),
            footer=[show.NOT_A_DEVICE, f"euthymia {version('euthymia')}"],
        )


# --- report ------------------------------------------------------------------------------------------


def _write(
    asked: _Asked,
    *,
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    sources: Sequence[str],
    footer: Sequence[str],
    library: str = "",
    warnings: Sequence[str] = (),
) -> None:
    """Write a report: sections, then every mechanism in words, then the parameters."""
    from euthymia.cli.reports import parameter_section
    from euthymia.files.report import Section, render_report
    from euthymia.files.writing import write_whole

    if asked.report is None:
        return
    told = [Section(title=f"{one.name}: {one.title}", texts=_texts(one)) for one in _mechanisms(asked)]
    html = render_report(
        kind="rival mechanisms",
        title=title,
        lead=lead,
        sections=[*sections, *told, parameter_section(asked.chosen)],
        sources=sources,
        footer=footer,
        library=library,
        warnings=warnings,
    )
    write_whole(asked.report, lambda target: target.write_text(html, encoding="utf-8"))
    show.note(f"Wrote {asked.report}", is_quiet=asked.is_quiet)
