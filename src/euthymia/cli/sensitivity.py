"""``euthymia sensitivity``: which inputs a prediction hangs on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from euthymia.cli import options, show
from euthymia.errors import invalid

if TYPE_CHECKING:
    from euthymia.population.sensitivity import Sensitivity

SUFFIXES = (".json", ".csv")
SAMPLES, TOP = 4096, 20
"""Those of ``population.sensitivity``, which is loaded only where it is used."""


def sensitivity(
    context: typer.Context,
    regimen: Annotated[str, typer.Argument(metavar="REGIMEN", help="In the dosing language; with ketamine.")],
    dose_range: Annotated[
        str, typer.Option("--dose-range", metavar="LOW,HIGH", help="What the dose is moved by, times itself.")
    ] = "0.5,1.5",
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="NAME,...",
            help="Inputs to move, or groups: chosen, between_people, not_known; left out, all.",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", help="Of the Sobol sequence: a power of two.")
    ] = SAMPLES,
    top: Annotated[
        int,
        typer.Option(
            "--top", metavar="N", help="Inputs of the Sobol analysis, those with the largest local effects."
        ),
    ] = TOP,
    posterior: options.Posterior = None,
    seed: options.Seed = 1,
    parameters: options.Parameters = "composed",
    overrides: options.Overrides = None,
    mechanism: options.Mechanism = None,
    weight_kg: options.WeightKg = 70.0,
    setting: options.Setting = "open",
    engine: Annotated[
        str | None,
        typer.Option("--engine", help="c (compiled, the default) or numpy.", show_default=False),
    ] = None,
    report: options.Report = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the result: .json or .csv.", show_default=False),
    ] = None,
    json: options.Json = False,
    csv: options.Csv = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what mood, dissociation and blood pressure after a regimen hang on, locally and by Sobol indices.

    A typical patient: the dose is moved, then what differs between people, then what is not known.

    Example: euthymia sensitivity "ketamine 0.5 mg/kg iv over 40 min" --report s.html
    """
    from euthymia.cli.simulate import names_in
    from euthymia.files.writing import check_writable
    from euthymia.population.patient import Patient
    from euthymia.population.sensitivity import sensitivity as analyse

    show.check_one_format(is_json=json, is_csv=csv, cure=" '--out' writes the other.")
    if out is not None and out.suffix not in SUFFIXES:
        raise invalid("--out", must="a file that ends in .json or .csv", got=repr(str(out)))
    for path in (out, report):
        if path is not None:
            check_writable(path)
    with show.progress("Solving", is_quiet=quiet, counted="parameter sets") as on_done:
        found = analyse(
            regimen,
            parameters=options.chosen_set(parameters, overrides, mechanisms=mechanism),
            patient=Patient.create(weight_kg=weight_kg),
            setting=setting,
            posterior=posterior,
            dose_range=_range(dose_range),
            only=() if only is None else names_in("--only", only),
            samples=samples,
            top=top,
            seed=seed,
            engine=engine,
            on_done=on_done,
        )
    show.warn(found.course.warnings, is_quiet=quiet)
    command = [str(word) for word in context.obj or ["sensitivity", regimen]]
    _write(found, command, out=out, report=report, is_json=json, is_csv=csv, is_quiet=quiet)


def _range(text: str) -> tuple[float, float]:
    from euthymia.cli.simulate import numbers_in

    numbers = numbers_in("--dose-range", text)
    if len(numbers) != 2:
        raise invalid("--dose-range", must="two numbers, such as 0.5,1.5", got=repr(text))
    return numbers[0], numbers[1]


def _write(
    found: Sensitivity,
    command: list[str],
    *,
    out: Path | None,
    report: Path | None,
    is_json: bool,
    is_csv: bool,
    is_quiet: bool,
) -> None:
    """Print an analysis, and write what is asked for."""
    from euthymia.cli import sensitivity_shown as shown
    from euthymia.files.results import dump_json, write_frame
    from euthymia.files.writing import write_whole

    if is_json:
        sys.stdout.write(dump_json(shown.document(found, command)))
    elif is_csv:
        sys.stdout.write(shown.frame(found).write_csv())
    else:
        shown.print_tables(found)
    if out is not None:
        if out.suffix == ".json":
            text = dump_json(shown.document(found, command))
            write_whole(out, lambda target: target.write_text(text, encoding="utf-8"))
        else:
            write_frame(shown.frame(found), out)
        show.note(f"Wrote {out}", is_quiet=is_quiet)
    if report is not None:
        html = shown.report(found)
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=is_quiet)
