"""``euthymia evidence list``, ``show``, ``check``: published studies and rows, and whether they are sound."""

from __future__ import annotations

import json as json_module
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import options, show
from euthymia.errors import invalid, unknown

if TYPE_CHECKING:
    from euthymia.evidence.records import Study, TableName
    from euthymia.evidence.stated import StatedRow

WIDTH = 100
"""Columns that text is set for where it does not go to a terminal."""
STUDY_COLUMNS = ("study", "role", "arms", "n", "rows", "what was done")
SOURCE_COLUMNS = ("source", "role", "rows", "about", "citation")
ROW_COLUMNS = ("row", "role", "study", "measured", "in", "time", "printed")
ARM_COLUMNS = ("arm", "given", "n", "before treatment")
OUTCOME_COLUMNS = ("row", "measured", "arm", "time", "printed")
NUMBERS = (
    *("value", "sd", "se", "ci95_low", "ci95_high", "contrast", "contrast_se", "contrast_ci95_low"),
    *("contrast_ci95_high", "contrast_kind", "n", "response_percent", "remission_percent"),
)
"""Fields of outcomes that JSON and CSV list beside the words; empty in other tables."""
CLOSED = "closed"

TableOption = Annotated[
    str, typer.Option("--table", metavar="NAME", help="efficacy, safety, mechanism or pk.")
]


def _text_option(name: str, text: str) -> Any:
    return typer.Option(name, metavar="NAME", help=text, show_default=False)


def list_evidence(
    study: Annotated[str | None, _text_option("--study", "Only this study, or this source.")] = None,
    role: Annotated[str | None, _text_option("--role", "Only this role, such as calibrate.")] = None,
    quantity: Annotated[
        str | None, _text_option("--quantity", "Only this kind: change, response, relapse ...")
    ] = None,
    scale: Annotated[str | None, _text_option("--scale", "Only this scale, such as MADRS.")] = None,
    drug: Annotated[str | None, _text_option("--drug", "Only arms with this drug.")] = None,
    route: Annotated[str | None, _text_option("--route", "Only arms by this route, such as IN.")] = None,
    table: TableOption = "efficacy",
    rows: Annotated[bool, typer.Option("--rows", help="Rows instead of studies.")] = False,
    json: options.Json = False,
    csv: options.Csv = False,
) -> None:
    """List the published studies behind the model, or their rows; what is kept to validate stays closed.

    Example: euthymia evidence list --scale MADRS --role calibrate --rows
    """
    show.check_one_format(is_json=json, is_csv=csv)
    name = _table_named(table)
    outcome_only = {"scale": scale, "drug": drug, "route": route}
    found = _chosen(name, study=study, role=role, topic=quantity, outcome_only=outcome_only)
    if json:
        print(json_module.dumps(_list_document(name, found, is_rows=rows), indent=1, ensure_ascii=False))
    elif csv:
        _print_csv([row_record(one) for one in found] if rows else _group_records(name, found))
    else:
        _print_list(name, found, is_rows=rows)


def _table_named(name: str) -> TableName:
    from euthymia.evidence.records import TABLES

    known: dict[str, TableName] = {one: one for one in TABLES}
    if name not in known:
        raise unknown("table", name, TABLES)
    return known[name]


def _chosen(
    table: TableName,
    *,
    study: str | None,
    role: str | None,
    topic: str | None,
    outcome_only: Mapping[str, str | None],
) -> list[StatedRow]:
    """Return the rows of a table that meet every condition given."""
    from euthymia.evidence.select import select_outcomes
    from euthymia.evidence.stated import state_outcome, stated_rows
    from euthymia.evidence.studies import load_outcome_rows

    if table == "efficacy":
        asked = {"study": study, "role": role, "kind": topic, **outcome_only}
        return [state_outcome(row) for row in select_outcomes(load_outcome_rows(), **asked)]
    for name, given in outcome_only.items():
        if given is not None:
            option = f"--{name}"
            raise invalid(option, must="left out, or given with '--table efficacy'", got=repr(given))
    return _chosen_facts(stated_rows(table), study=study, role=role, topic=topic)


def _chosen_facts(
    rows: Sequence[StatedRow], *, study: str | None, role: str | None, topic: str | None
) -> list[StatedRow]:
    from euthymia.evidence.records import Role

    _require("role", role, [one.value for one in Role])
    _require("quantity", topic, {row.topic for row in rows})
    _require("source", study, {row.study for row in rows})
    return [
        row
        for row in rows
        if study in (None, row.study) and role in (None, row.role.value) and topic in (None, row.topic)
    ]


def _require(kind: str, name: str | None, known: Iterable[str]) -> None:
    names = set(known)
    if name is not None and name not in names:
        raise unknown(kind, name, names)


def _print_list(table: TableName, found: Sequence[StatedRow], *, is_rows: bool) -> None:
    if is_rows:
        _print_table(ROW_COLUMNS, [_row_cells(one) for one in found])
    elif table == "efficacy":
        _print_table(STUDY_COLUMNS, [_study_cells(one, found) for one in _studies_of(found)], right=(2, 3, 4))
    else:
        cells = [
            [one["source"], one["roles"], str(one["rows"]), one["topics"].replace("_", " "), one["citation"]]
            for one in _group_records(table, found)
        ]
        _print_table(SOURCE_COLUMNS, cells, right=(2,))
    _print_lines([counts_of(table, found)])


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    show.table(columns, rows, right=right, width=WIDTH)


def _studies_of(found: Sequence[StatedRow]) -> list[Study]:
    from euthymia.evidence.studies import load_studies

    named = {one.study for one in found}
    return [study for key, study in load_studies().items() if key in named]


def _study_cells(study: Study, found: Sequence[StatedRow]) -> list[str]:
    rows = sum(one.study == study.key for one in found)
    n = "–" if study.n is None else str(study.n)
    return [study.key, study.role.value, str(len(study.arms) or "–"), n, str(rows), study.title]


def _row_cells(one: StatedRow) -> list[str]:
    printed = one.printed or "–" if one.is_open else CLOSED
    return [one.row_id, one.role.value, one.study, one.about, one.arm, one.time, printed]


def counts_of(table: TableName, found: Sequence[StatedRow]) -> str:
    """Return how many studies and rows there are, by role, and how many are closed."""
    roles = Counter(row.role.value for row in found)
    groups = len({row.study for row in found})
    one, many = ("study", "studies") if table == "efficacy" else ("source", "sources")
    shut = sum(not row.is_open for row in found)
    word, row = one if groups == 1 else many, "row" if len(found) == 1 else "rows"
    by_role = ", ".join(f"{count} {role}" for role, count in roles.items())
    kept = "1 row kept to validate is" if shut == 1 else f"{shut} rows kept to validate are"
    tail = f"\n{kept} closed until a posterior is frozen." if shut else ""
    return f"{groups} {word}, {len(found)} {row}{f': {by_role}' if by_role else ''}.{tail}"


def row_record(one: StatedRow) -> dict[str, Any]:
    """Return a row for JSON and CSV; observed fields of a closed row are empty."""
    return {
        "row_id": one.row_id,
        "table": one.table,
        "role": one.role.value,
        "study": one.study,
        "quantity": one.topic,
        "about": one.about,
        "arm": one.arm,
        "time": one.time,
        "time_h": one.fields.get("time_h") if one.table == "efficacy" else None,
        "is_open": one.is_open,
        "printed": one.printed,
        **{name: one.fields.get(name) if one.table == "efficacy" else None for name in NUMBERS},
        "sources": "; ".join(one.source_keys),
        "citation": one.citation,
        "url": one.url,
    }


def study_record(study: Study, rows_count: int) -> dict[str, Any]:
    """Return a study for JSON."""
    texts = ("design", "blinding", "population", "n", "concomitant", "response", "relapse", "primary")
    texts += ("imputation", "note")
    return {
        "study": study.key,
        "title": study.title,
        "role": study.role.value,
        "sources": list(study.source_keys),
        "doi": study.doi,
        "registry": list(study.registry),
        "is_registry_seen": study.is_registry_seen,
        **{name: getattr(study, name) for name in texts},
        "remission": list(study.remission),
        "same_patients_as": list(study.same_patients_as),
        "times_h": list(study.times_h),
        "arms": [{**asdict(one), "regimen": one.regimen} for one in study.arms],
        "rows": rows_count,
    }


def _group_records(table: TableName, found: Sequence[StatedRow]) -> list[dict[str, Any]]:
    """Return studies, or the sources of another table, as flat records."""
    counts = Counter(one.study for one in found)
    if table == "efficacy":
        return [_flat_study(study, counts[study.key]) for study in _studies_of(found)]
    return [_source_record(name, [one for one in found if one.study == name]) for name in counts]


def _flat_study(study: Study, rows_count: int) -> dict[str, Any]:
    whole = study_record(study, rows_count)
    lists = ("sources", "registry", "remission", "same_patients_as", "times_h")
    joined = {name: "; ".join(map(str, whole[name])) for name in lists}
    return {**whole, **joined, "arms": len(study.arms)}


def _source_record(name: str, rows: Sequence[StatedRow]) -> dict[str, Any]:
    return {
        "source": name,
        "roles": ", ".join(dict.fromkeys(one.role.value for one in rows)),
        "rows": len(rows),
        "topics": ", ".join(dict.fromkeys(one.topic for one in rows)),
        "citation": rows[0].citation if rows[0].citation != name else "",
    }


def _list_document(table: TableName, found: Sequence[StatedRow], *, is_rows: bool) -> dict[str, Any]:
    counts = Counter(one.study for one in found)
    is_studies = table == "efficacy" and not is_rows
    studies = [study_record(one, counts[one.key]) for one in _studies_of(found)] if is_studies else []
    roles = Counter(one.role.value for one in found)
    return {
        "schema": "euthymia.evidence-list/1",
        "version": version("euthymia"),
        "table": table,
        "studies": studies,
        "sources": _group_records(table, found) if table != "efficacy" and not is_rows else [],
        "rows": [row_record(one) for one in found] if is_rows else [],
        "counts": {
            "studies": len(counts),
            "rows": len(found),
            "closed": sum(not one.is_open for one in found),
            "roles": [{"role": role, "rows": count} for role, count in roles.items()],
        },
    }


def _print_csv(records: Sequence[Mapping[str, Any]]) -> None:
    import csv as csv_module
    import sys

    if records:
        writer = csv_module.DictWriter(sys.stdout, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


# --- one study, one row --------------------------------------------------------------------------


def show_evidence(
    name: Annotated[str, typer.Argument(metavar="STUDY|ROW", help="Such as fava-2018, T0031 or Q019.")],
    json: options.Json = False,
) -> None:
    """Show everything about a study, or about a row of any table.

    Example: euthymia evidence show fava-2018
    """
    from euthymia.evidence.studies import load_studies

    studies = {key.lower(): study for key, study in load_studies().items()}
    if name.lower() in studies:
        _show_study(studies[name.lower()], is_json=json)
    else:
        _show_row(_row_named(name, studies), is_json=json)


def _row_named(name: str, studies: Iterable[str]) -> StatedRow:
    from euthymia.evidence.records import TABLES
    from euthymia.evidence.stated import stated_rows

    rows = {one.row_id.lower(): one for table in TABLES for one in stated_rows(table)}
    if name.lower() not in rows:
        known = [*studies, *(one.row_id for one in rows.values())]
        raise unknown("study or row", name, known, cure="'euthymia evidence list' shows all.")
    return rows[name.lower()]


def _show_study(study: Study, *, is_json: bool) -> None:
    from euthymia.evidence.stated import WHY_CLOSED, stated_rows

    rows = [one for one in stated_rows("efficacy") if one.study == study.key]
    why = "" if all(one.is_open for one in rows) else WHY_CLOSED
    commands = study_commands(study.key)
    if is_json:
        _print_show(study_record(study, len(rows)), rows, [], why, commands)
        return
    print(f"{study.key}: {study.title}")
    _print_pairs(_study_pairs(study))
    if study.arms:
        _print_table(ARM_COLUMNS, [_arm_cells(study, place) for place in range(len(study.arms))], right=(2,))
    cells = [[one.row_id, *_row_cells(one)[3:]] for one in rows]
    _print_table(OUTCOME_COLUMNS, cells)
    _print_lines([why, *(f"Run again: {one}" for one in commands)])


def _study_pairs(study: Study) -> dict[str, str]:
    from euthymia.citations import cite, format_source
    from euthymia.evidence.studies import load_studies

    seen = "on a page read" if study.is_registry_seen else "not on a page read, check before citing"
    others = [*study.same_patients_as]
    others += [key for key, one in load_studies().items() if study.key in one.same_patients_as]
    return {
        "role": study.role.value,
        "sources": "\n".join(format_source(one) for one in cite(study.source_keys)),
        "doi": study.doi or "not seen",
        "registry": f"{', '.join(study.registry)} ({seen})" if study.registry else "not read",
        "design": "; ".join(filter(None, (study.design, study.blinding))),
        "people": "; ".join(filter(None, (study.population, f"n = {study.n}" if study.n else ""))),
        "beside it": study.concomitant or "not stated",
        "response": study.response or "fall of 50 % or more",
        "remission": "; ".join(study.remission) or "not stated",
        "relapse": study.relapse,
        "primary": study.primary or "not stated",
        "imputation": study.imputation or "not stated",
        "times": ", ".join(f"{time_h:g}" for time_h in study.times_h) + " h" if study.times_h else "",
        "same people": ", ".join(others),
        "note": study.note,
    }


def _arm_cells(study: Study, place: int) -> list[str]:
    arm = study.arms[place]
    scores = [
        f"{one.scale} {one.mean:g}" + (f" (SD {one.sd:g})" if one.sd is not None else "")
        for one in arm.baselines
    ]
    return [arm.name, arm.regimen, "–" if arm.n is None else str(arm.n), "; ".join(scores) or "–"]


def study_commands(key: str) -> list[str]:
    """Return the commands that run a study again: one for each protocol file that ships for it."""
    from euthymia.evidence.studies import load_studies
    from euthymia.tables import list_files

    try:
        files = list_files("protocols", ".yaml")
    except FileNotFoundError:
        return []
    names = [path.rsplit("/", 1)[1].removesuffix(".yaml") for path in files]
    owner = {name: _study_of_protocol(name, load_studies()) for name in names}
    return [f"euthymia trial run {name}" for name in names if owner[name] == key]


def _study_of_protocol(name: str, studies: Iterable[str]) -> str:
    """Return the study that a protocol is of: the longest key that its name is or begins with."""
    return max((key for key in studies if name == key or name.startswith(f"{key}-")), key=len, default="")


def _show_row(one: StatedRow, *, is_json: bool) -> None:
    from euthymia.citations import cite, format_source
    from euthymia.evidence.stated import WHY_CLOSED

    why = "" if one.is_open else WHY_CLOSED
    commands = row_commands(one)
    if is_json:
        _print_show(None, [one], list(one.fields.items()), why, commands)
        return
    print(f"{one.row_id} of {one.table}: {one.about}")
    fields = {name: _cell_text(cell) for name, cell in one.fields.items() if name != "row_id"}
    sources = "\n".join(format_source(source) for source in cite(one.source_keys))
    _print_pairs({**fields, "read in": sources})
    _print_lines([why, *(f"See also: {command}" for command in commands)])


def row_commands(one: StatedRow) -> list[str]:
    """Return the commands that go on from a row: its study, and the model beside it where it is compared."""
    from euthymia.evidence.facts import load_acute_facts, load_mechanism_facts, load_outcome_facts

    load = {"efficacy": load_outcome_facts, "safety": load_acute_facts, "mechanism": load_mechanism_facts}
    found = [f"euthymia evidence show {one.study}"] if one.table == "efficacy" else []
    facts = load[one.table]() if one.table in load else ()
    if any(fact.row_id == one.row_id and fact.is_comparable for fact in facts):
        found.append(f"euthymia evidence {one.table} --row {one.row_id}")
    return found


def _cell_text(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:g}" if isinstance(cell, float) else "" if cell is None else str(cell)


def _print_pairs(pairs: Mapping[str, str]) -> None:
    """Print names with their texts, those without a text left out, long ones in several lines."""
    given = {name: text for name, text in pairs.items() if text}
    indent = max(map(len, given), default=0) + 2
    for name, text in given.items():
        for place, line in enumerate(_wrapped(text, WIDTH - indent)):
            print(f"{name if place == 0 else '':<{indent}}{line}")


def _print_lines(texts: Iterable[str]) -> None:
    for text in filter(None, texts):
        print("\n".join(_wrapped(text, WIDTH)))


def _wrapped(text: str, width: int) -> list[str]:
    from textwrap import wrap

    return [
        line
        for part in text.split("\n")
        for line in wrap(part, width, break_long_words=False, break_on_hyphens=False)
    ]


def _print_show(
    study: dict[str, Any] | None,
    rows: Sequence[StatedRow],
    fields: Sequence[tuple[str, Any]],
    why: str,
    commands: Sequence[str],
) -> None:
    document = {
        "schema": "euthymia.evidence-show/1",
        "version": version("euthymia"),
        "study": study,
        "rows": [row_record(one) for one in rows],
        "fields": [{"name": name, "value": value} for name, value in fields],
        "closed": why,
        "commands": list(commands),
    }
    print(json_module.dumps(document, indent=1, ensure_ascii=False))


# --- all tables ----------------------------------------------------------------------------------


def check_evidence(json: options.Json = False) -> None:
    """Check every table of evidence for names, units, roles, sources, shares and intervals.

    Exit code 1 where there is a problem.

    Example: euthymia evidence check
    """
    from euthymia.evidence.integrity import check_evidence as check_all

    found = check_all()
    problems = sum(len(one.problems) for one in found)
    if json:
        document = {
            "schema": "euthymia.evidence-check/1",
            "version": version("euthymia"),
            "is_sound": not problems,
            "tables": [{**asdict(one), "problems": list(one.problems)} for one in found],
        }
        print(json_module.dumps(document, indent=1, ensure_ascii=False))
    else:
        cells = [[one.tables, one.counts, str(len(one.problems) or "–")] for one in found]
        _print_table(("tables", "hold", "problems"), cells, right=(2,))
        _print_lines(f"{one.tables}: {problem}" for one in found for problem in one.problems)
        print(f"{problems} problem(s)." if problems else "Sound: no problem in any table.")
    if problems:
        raise typer.Exit(1)
