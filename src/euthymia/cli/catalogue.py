"""``sets``, ``routes``, ``settings``, ``therapies``, ``variables``, ``cite``: what there is, where from."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import options, show
from euthymia.errors import InvalidInputError

if TYPE_CHECKING:
    from euthymia.model.parameters import ParameterRow, ParameterSet


def sets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show every parameter of this set.")
    ] = None,
    json: options.Json = False,
    csv: options.Csv = False,
) -> None:
    """List the parameter sets, or the parameters of one.

    Example: euthymia sets perez-ruixo-2021
    """
    from euthymia.model.parameters import load_parameters, set_names

    show.check_one_format(is_json=json, is_csv=csv)
    if name is None:
        chosen = [load_parameters(one) for one in set_names()]
        if json or csv:
            _print([_set_record(one) for one in chosen], is_json=json, is_csv=csv)
        else:
            _print([_set_cells(one) for one in chosen])
        return
    found = load_parameters(name)
    if json or csv:
        _print([_parameter_record(row) for row in found.rows.values()], is_json=json, is_csv=csv)
        return
    print(f"{found.title}\n{found.summary}\nPopulation: {found.population}\nSay with it: {found.disclaimer}")
    _print([_parameter_cells(row) for row in found.rows.values()])


def routes(json: options.Json = False, csv: options.Csv = False) -> None:
    """List the routes: how they are written, where the drug goes, setting, approval, sources.

    Example: euthymia routes
    """
    from euthymia.tables import read_table

    shown = ("route", "written", "enters", "absorption_from", "status_us", "interrupting")
    _print([dict(row) for row in read_table("routes.csv")], is_json=json, is_csv=csv, shown=shown)


def list_settings(json: options.Json = False, csv: options.Csv = False) -> None:
    """List the settings: what patients believe, how much what they feel tells, what surrounds them.

    Example: euthymia settings
    """
    from euthymia.population.settings import settings

    shown = ("name", "prior_belief_fraction", "clue_weight_fraction", "anaesthesia_h", "care_days", "meaning")
    _print([dict(row) for row in settings().values()], is_json=json, is_csv=csv, shown=shown)


def list_therapies(json: options.Json = False, csv: options.Csv = False) -> None:
    """List the therapies: what a session teaches, between what that may lie, and the evidence for it.

    Example: euthymia therapies
    """
    from euthymia.population.surroundings import therapies

    shown = ("name", "quality_relative", "quality_low", "quality_high", "preparation_fraction", "evidence")
    _print([dict(row) for row in therapies().values()], is_json=json, is_csv=csv, shown=shown)


def list_variables(json: options.Json = False, csv: options.Csv = False) -> None:
    """List every observable: name, unit, meaning, layer.

    Example: euthymia variables
    """
    from euthymia.model.variables import variables

    rows = [
        {"name": one.stem, "unit": one.unit, "meaning": one.meaning, "layer": one.layer}
        for one in variables().values()
    ]
    _print(rows, is_json=json, is_csv=csv)


def cite(
    result: Annotated[
        Path | None,
        typer.Argument(metavar="[RESULT]", help="A JSON result or run folder; left out: all sources."),
    ] = None,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print BibTeX.")] = False,
    json: options.Json = False,
) -> None:
    """List the papers behind a result, or all sources.

    Example: euthymia cite run/result.json --bibtex
    """
    from euthymia.citations import cite as cite_keys
    from euthymia.citations import format_source, load_sources, to_bibtex

    keys = load_sources() if result is None else _keys_of(result)
    found = cite_keys(keys)
    if json:
        print(
            json_module.dumps(
                [{"key": one.key, "reference": format_source(one), "doi": one.doi} for one in found], indent=1
            )
        )
        return
    for one in found:
        print(to_bibtex(one) if bibtex else f"{one.key}: {format_source(one)}")


def _keys_of(result: Path) -> list[str]:
    path = result / "result.json" if result.is_dir() else result
    try:
        document = json_module.loads(path.read_text(encoding="utf-8"))
        return list(document["provenance"]["sources"])
    except (FileNotFoundError, NotADirectoryError):
        message = (
            f"'RESULT' must be a JSON result or a run folder. Got {str(result)!r}, which does not exist. "
            "Make one with 'euthymia simulate ... --out run'."
        )
        raise InvalidInputError(message) from None
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        message = f"'RESULT' must be JSON made by 'euthymia simulate --json' or '--out'. Got {str(result)!r}."
        raise InvalidInputError(message) from None


def _set_record(one: ParameterSet) -> dict[str, Any]:
    """Return a set for machines."""
    weight_low_kg, weight_high_kg = one.valid.weight_kg
    age_low_years, age_high_years = one.valid.age_years
    return {
        "set": one.name,
        "title": one.title,
        "drugs": ";".join(one.drugs),
        "ways": ";".join(one.ways),
        "weight_low_kg": weight_low_kg,
        "weight_high_kg": weight_high_kg,
        "age_low_years": age_low_years,
        "age_high_years": age_high_years,
        "site": one.site,
    }


def _set_cells(one: ParameterSet) -> dict[str, str]:
    return {
        "set": one.name,
        "title": one.title,
        "drugs": ", ".join(one.drugs),
        "ways": ", ".join(one.ways),
        "weight_kg": "{:g}–{:g}".format(*one.valid.weight_kg),
        "age_years": "{:g}–{:g}".format(*one.valid.age_years),
        "site": one.site,
    }


def _parameter_record(row: ParameterRow) -> dict[str, Any]:
    """Return a parameter for machines: unrounded, and empty where there is no spread."""
    is_fixed = row.distribution == "fixed"
    return {
        "field": row.field,
        "value": row.value,
        "unit": row.unit,
        "distribution": row.distribution,
        "sd": None if is_fixed else row.sd,
        "draw_with": row.draw_with,
        "low": row.low,
        "high": row.high,
        "tag": row.tag,
        "source": row.source,
        "location": row.location,
        "confidence": row.confidence,
        "note": row.note,
    }


def _parameter_cells(row: ParameterRow) -> dict[str, str]:
    return {
        "field": row.field,
        "value": f"{row.value:g}",
        "unit": row.unit,
        "spread": _spread(row),
        "range": f"{row.low:g}–{row.high:g}",
        "tag": row.tag,
        "source": row.source,
    }


def _spread(row: ParameterRow) -> str:
    if row.distribution == "fixed":
        return "–"
    shared = f" (with {row.draw_with})" if row.draw_with else ""
    return f"{row.distribution}, SD {row.sd:.3g}{shared}"


def _print(
    rows: list[dict[str, Any]], *, is_json: bool = False, is_csv: bool = False, shown: tuple[str, ...] = ()
) -> None:
    """Print rows as a table, JSON or CSV; the table may show some columns only."""
    show.check_one_format(is_json=is_json, is_csv=is_csv)
    if is_json:
        print(json_module.dumps(rows, indent=1, ensure_ascii=False))
        return
    if is_csv:
        import csv as csv_module
        import sys

        writer = csv_module.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    columns = shown or tuple(rows[0])
    show.table(columns, [[row[name] for name in columns] for row in rows])
