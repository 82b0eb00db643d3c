"""``euthymia evidence``: published results beside the model's."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from euthymia.cli import options, show
from euthymia.errors import unknown

if TYPE_CHECKING:
    from euthymia.evidence.compare import Comparison

app = typer.Typer(help="Published results beside the model's.", no_args_is_help=True, rich_markup_mode=None)

COLUMNS = (
    "row",
    "role",
    "study",
    "set",
    "analyte",
    "quantity",
    "published",
    "model",
    "ratio",
    "verdict",
)


@app.callback()
def _evidence() -> None:
    """Hold published results beside the model's."""


@app.command("pk")
def pk(
    parameters: Annotated[
        str | None,
        typer.Option("--parameters", metavar="NAME", help="Only this set; by default all that cover a row."),
    ] = None,
    overrides: options.Overrides = None,
    role: Annotated[
        str | None, typer.Option("--role", help="Only rows of this role.", show_default=False)
    ] = None,
    misfits: Annotated[
        bool, typer.Option("--misfits", help="Only numbers that fit badly, with the reason.")
    ] = False,
    report: options.Report = None,
    json: options.Json = False,
    csv: options.Csv = False,
    quiet: options.Quiet = False,
) -> None:
    """Show every published exposure beside the model's, with ratio and verdict.

    Example: euthymia evidence pk --parameters composed --misfits
    """
    from euthymia.evidence.compare import compare_exposures, is_misfit
    from euthymia.evidence.records import Role
    from euthymia.files.writing import check_writable
    from euthymia.model.parameters import DEFAULT_SET, load_parameters, parse_override

    show.check_one_format(is_json=json, is_csv=csv)
    if report is not None:
        check_writable(report)
    only = None if parameters is None and not overrides else load_parameters(parameters or DEFAULT_SET)
    if only is not None and overrides:
        only = only.with_overrides(dict(parse_override(text) for text in overrides))
    if role is not None and role not in {one.value for one in Role}:
        raise unknown("role", role, [one.value for one in Role])
    with show.progress("Comparing", is_quiet=quiet) as on_done:
        compared = compare_exposures(parameters=only, on_done=on_done)
    found = [one for one in compared if role in (None, one.role)]
    if misfits:
        found = [one for one in found if is_misfit(one)]
    if json:
        document = {
            "schema": "euthymia.exposures/1",
            "version": version("euthymia"),
            "rows": [asdict(one) for one in found],
        }
        print(json_module.dumps(document, indent=1, ensure_ascii=False))
    elif csv:
        _csv(found)
    else:
        show.table(COLUMNS, [row_of(one) for one in found], right=(6, 7, 8))
        print(summary(found))
        if misfits:
            for text in dict.fromkeys(f"{one.row_id}: {one.comment}" for one in found):
                print(text)
    if report is not None:
        _write_report(found, report)
        show.note(f"Wrote {report}", is_quiet=quiet)


def row_of(one: Comparison) -> list[str]:
    """Return the cells of one comparison."""
    ratio = "–" if one.ratio is None else f"{one.ratio:.2f}"
    simulated = "–" if one.simulated is None else show.significant(one.simulated)
    quantity = f"{one.quantity} ({one.unit})" if one.unit not in ("", "1") else one.quantity
    return [
        one.row_id,
        one.role,
        one.study,
        one.parameters,
        one.analyte,
        quantity,
        published(one),
        simulated,
        ratio,
        one.verdict,
    ]


def published(one: Comparison) -> str:
    """Return the published number with its spread."""
    value = "" if one.observed is None else f"{one.observed:.4g}"
    if one.low is None or one.high is None:
        return value or "–"
    return f"{value} ({one.low:.4g}–{one.high:.4g})".strip()


def summary(found: list[Comparison]) -> str:
    """Return how many numbers were compared and how they fit, by role."""
    from euthymia.evidence.compare import is_misfit

    lines = []
    for role in dict.fromkeys(one.role for one in found):
        compared = [one for one in found if one.role == role and one.ratio is not None]
        if not compared:
            continue
        fit = sum(not is_misfit(one) for one in compared)
        lines.append(f"{role}: {fit} of {len(compared)} numbers within their spread or within 20 %")
    not_run = len({one.row_id for one in found if one.verdict.startswith("not run")})
    return "\n".join(
        [*lines, f"{not_run} rows not run, with the reason; none is dropped because it fits badly."]
    )


def _csv(found: list[Comparison]) -> None:
    import csv as csv_module
    import sys

    from euthymia.evidence.compare import Comparison

    columns = [field.name for field in fields(Comparison)]
    writer = csv_module.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in found)


def _write_report(found: list[Comparison], path: Path) -> None:
    from euthymia.cli.reports import evidence_report
    from euthymia.files.writing import write_whole

    html = evidence_report(found)
    write_whole(path, lambda target: target.write_text(html, encoding="utf-8"))
