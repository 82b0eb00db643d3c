"""``euthymia evidence``: published results beside the model's."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from euthymia.cli import evidence_list, options, replicate, show
from euthymia.errors import unknown

if TYPE_CHECKING:
    from euthymia.evidence.compare import Comparison
    from euthymia.evidence.fact_compare import FactComparison, Table

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


RoleName = Annotated[str | None, typer.Option("--role", help="Only rows of this role.", show_default=False)]
FACT_COLUMNS = ("row", "role", "layer", "fact", "run", "read off", "published", "model", "verdict")


@app.callback()
def _evidence() -> None:
    """Hold published results beside the model's."""


app.command("list")(evidence_list.list_evidence)
app.command("show")(evidence_list.show_evidence)
app.command("check")(evidence_list.check_evidence)
app.command("replicate")(replicate.replicate)


@app.command("pk")
def pk(
    parameters: Annotated[
        str | None,
        typer.Option("--parameters", metavar="NAME", help="Only this set; by default all that cover a row."),
    ] = None,
    overrides: options.Overrides = None,
    role: RoleName = None,
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
    from euthymia.evidence.compare import Comparison, compare_exposures, is_misfit
    from euthymia.files.writing import check_writable
    from euthymia.model.parameters import DEFAULT_SET

    show.check_one_format(is_json=json, is_csv=csv)
    if report is not None:
        check_writable(report)
    is_one_set = parameters is not None or overrides
    only = options.chosen_set(parameters or DEFAULT_SET, overrides) if is_one_set else None
    _check_role(role)
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
        _rows_as_csv(Comparison, found)
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


def _check_role(role: str | None) -> None:
    from euthymia.evidence.records import Role

    if role is not None and role not in {one.value for one in Role}:
        raise unknown("role", role, [one.value for one in Role])


def _rows_as_csv(kind: Any, found: Sequence[Any]) -> None:
    import csv as csv_module
    import sys

    columns = [field.name for field in fields(kind)]
    writer = csv_module.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in found)


def _write_report(found: list[Comparison], path: Path) -> None:
    from euthymia.cli.reports import evidence_report
    from euthymia.files.writing import write_whole

    html = evidence_report(found)
    write_whole(path, lambda target: target.write_text(html, encoding="utf-8"))


# --- facts about the chain -----------------------------------------------------------------------

FactRows = Annotated[
    list[str] | None,
    typer.Option("--row", metavar="ID", help="Only this row; may be repeated.", show_default=False),
]
FactMisfits = Annotated[
    bool, typer.Option("--misfits", help="Only facts that are not reproduced, with the reason.")
]


def _add_fact_command(table: Table, text: str) -> None:
    """Add the command that holds one table of facts beside the model."""

    @app.command(table, help=text)
    def show_table(
        row: FactRows = None,
        overrides: options.Overrides = None,
        role: RoleName = None,
        misfits: FactMisfits = False,
        json: options.Json = False,
        csv: options.Csv = False,
        quiet: options.Quiet = False,
    ) -> None:
        show.check_one_format(is_json=json, is_csv=csv)
        found = _compare_facts(table, row, overrides, role, is_quiet=quiet)
        _show_facts(table, found, is_misfits=misfits, is_json=json, is_csv=csv)


_add_fact_command(
    "mechanism",
    "Show published facts from receptor to mood beside the model's values, with verdict.\n\n"
    "Example: euthymia evidence mechanism --row Q019 --row Q097",
)
_add_fact_command(
    "safety",
    "Show published acute effects beside the model's values; rows kept to validate stay closed.\n\n"
    "Example: euthymia evidence safety --role calibrate --misfits",
)
_add_fact_command(
    "efficacy",
    "Show published outcomes of trials beside the model's; rows kept to validate stay closed.\n\n"
    "Example: euthymia evidence efficacy --row P0017 --row T0103",
)


def _compare_facts(
    table: Table, only: list[str] | None, overrides: list[str] | None, role: str | None, *, is_quiet: bool
) -> list[FactComparison]:
    from euthymia.evidence.fact_compare import compare_facts, facts_of
    from euthymia.model.parameters import DEFAULT_SET

    _check_role(role)
    known = {row.row_id: row for row in facts_of(table)}
    for name in only or ():
        if name not in known:
            raise unknown("row", name, known)
    rows = [
        one for one in known.values() if role in (None, one.role.value) and (not only or one.row_id in only)
    ]
    parameters = options.chosen_set(DEFAULT_SET, overrides) if overrides else None
    with show.progress("Simulating", is_quiet=is_quiet) as on_done:
        return list(compare_facts(table, rows, parameters=parameters, on_done=on_done))


def _show_facts(
    table: Table, found: list[FactComparison], *, is_misfits: bool, is_json: bool, is_csv: bool
) -> None:
    from euthymia.evidence.fact_compare import FactComparison, is_misfit

    if is_misfits:
        found = [one for one in found if is_misfit(one)]
    if is_json:
        print(json_module.dumps(_fact_document(table, found), indent=1, ensure_ascii=False))
    elif is_csv:
        _rows_as_csv(FactComparison, found)
    else:
        show.table(FACT_COLUMNS, [fact_row_of(one) for one in found], right=(6, 7))
        print(fact_summary(found, by="topic" if table == "efficacy" else "layer"))
        if is_misfits:
            for text in dict.fromkeys(f"{one.row_id}{one.part}: {one.comment}" for one in found):
                print(text)


def _fact_document(table: Table, found: list[FactComparison]) -> dict[str, Any]:
    return {
        "schema": "euthymia.facts/1",
        "version": version("euthymia"),
        "table": table,
        "rows": [asdict(one) for one in found],
    }


def fact_row_of(one: FactComparison) -> list[str]:
    """Return the cells of one fact."""
    return [
        f"{one.row_id}{one.part}",
        one.role,
        one.layer or "–",
        one.fact,
        run_of(one),
        f"{one.variable} {one.statistic}".strip() or "–",
        bounds_of(one),
        model_of(one),
        one.verdict,
    ]


def run_of(one: FactComparison) -> str:
    """Return the regimen and whom it is given to."""
    people = "typical" if one.patients_count is None else f"{one.patients_count} patients"
    group = "" if one.subgroup == "all" else f", {one.subgroup.replace('_', ' ')}"
    expects = "" if one.setting in ("", "none") else f", setting {one.setting}"
    return f"{given_in(one)} ({people}{group}{expects})" if one.regimen else "–"


def given_in(one: FactComparison) -> str:
    """Return the regimen and, in words, what is set on top of the parameters."""
    return ", with ".join(filter(None, (one.regimen, one.changed)))


def bounds_of(one: FactComparison) -> str:
    """Return the printed bounds; a direction is named as one."""
    low, high = one.low, one.high
    if low is None and high is None:
        return "–"
    if one.kind == "direction":
        return f"{_span(low, high)} (direction)"
    return f"{_span(low, high)}{_unit_of(one)}"


def _span(low: float | None, high: float | None) -> str:
    if low == high:
        return f"{low:.4g}"
    if high is None:
        return f"above {low:.4g}"
    return f"below {high:.4g}" if low is None else f"{low:.4g} to {high:.4g}"


def _unit_of(one: FactComparison) -> str:
    return "" if one.unit == "1" else f" {one.unit}"


def model_of(one: FactComparison) -> str:
    """Return the model's value with its unit; none where it has no such number."""
    if one.simulated is None:
        return "none" if one.variable else "–"
    return f"{show.significant(one.simulated)}{_unit_of(one)}"


def fact_summary(found: list[FactComparison], *, by: Literal["layer", "topic"] = "layer") -> str:
    """Return how many facts were compared and reproduced, by layer or topic, and what is closed."""
    from euthymia.evidence.fact_compare import CLOSED, REPRODUCED, is_misfit

    lines = []
    run = [one for one in found if one.variable]
    for group in dict.fromkeys(getattr(one, by) for one in run):
        judged = [one for one in run if getattr(one, by) == group and one.verdict != CLOSED]
        if judged:
            hit = [one for one in judged if one.verdict == REPRODUCED]
            only = sum(one.kind == "direction" for one in hit)
            missed = ", ".join(f"{one.row_id}{one.part}" for one in judged if is_misfit(one))
            tail = f"; not {missed}" if missed else ""
            which = f" ({only} as directions)" if only else ""
            lines.append(f"{group}: {len(hit)} of {len(judged)} reproduced{which}{tail}")
    shut = sum(one.verdict == CLOSED for one in found)
    if shut:
        lines.append(f"{shut} kept to validate: the printed values open with the frozen posterior")
    left = len({one.row_id for one in found if not one.variable})
    lines.append(f"{left} rows not comparable, with the reason; none is dropped because it fits badly.")
    return "\n".join(lines)
