"""``euthymia evidence list``, ``show`` and ``check``: readable, complete, closed where they must be."""

from __future__ import annotations

import csv
import io
from collections import Counter

import pytest
from tests.cli.commands import Command, check_schema
from tests.unit.evidence.marked import MARKS, marked_acute_facts, marked_library

from euthymia.cli.evidence_list import WIDTH
from euthymia.evidence import facts, integrity, studies
from euthymia.evidence.records import TABLES, Role
from euthymia.evidence.stated import stated_rows
from euthymia.evidence.studies import load_studies
from euthymia.tables import Row, read_table

pytestmark = pytest.mark.usefixtures("nothing_is_frozen")

EVERY_TABLE = pytest.mark.parametrize("table", TABLES)


# --- list ------------------------------------------------------------------------------------------


def test_list_names_every_study_and_counts_at_the_end(command: Command):
    done = command("evidence", "list")
    assert (done.code, done.err) == (0, "")
    assert all(f" {key} " in done.out for key in load_studies())
    assert "60 studies, 371 rows: " in done.out
    assert "100 rows kept to validate are closed until a posterior is frozen." in done.out


@EVERY_TABLE
@pytest.mark.parametrize("rows", [[], ["--rows"]])
def test_list_fits_in_a_hundred_columns(command: Command, table: str, rows: list[str]):
    lines = command("evidence", "list", "--table", table, *rows).out.splitlines()
    assert max(map(len, lines)) <= WIDTH


@EVERY_TABLE
@pytest.mark.parametrize("rows", [[], ["--rows"]])
def test_list_as_json_obeys_its_schema_and_holds_all(command: Command, table: str, rows: list[str]):
    document = command("evidence", "list", "--table", table, *rows, "--json").json
    check_schema(document, "evidence-list-1")
    stated = stated_rows(next(one for one in TABLES if one == table))
    assert document["counts"]["rows"] == len(stated)
    assert [row["row_id"] for row in document["rows"]] == ([one.row_id for one in stated] if rows else [])
    groups = document["studies"] or document["sources"]
    assert sum(one["rows"] for one in groups) == (0 if rows else len(stated))


def test_csv_of_rows_holds_what_the_json_holds(command: Command):
    options = ("evidence", "list", "--study", "transform-2", "--rows")
    rows = list(csv.DictReader(io.StringIO(command(*options, "--csv").out)))
    expected = command(*options, "--json").json["rows"]
    assert rows == [{key: "" if cell is None else str(cell) for key, cell in row.items()} for row in expected]


def test_csv_of_studies_has_a_line_for_each(command: Command):
    rows = list(csv.DictReader(io.StringIO(command("evidence", "list", "--csv").out)))
    assert [row["study"] for row in rows] == list(load_studies())
    kept = next(row for row in rows if row["study"] == "transform-1")
    assert (kept["arms"], kept["remission"]) == ("3", "MADRS <=12")


def test_conditions_keep_their_rows(command: Command):
    options = ("evidence", "list", "--rows", "--json")
    rows = command(*options, "--study", "daly-2018", "--quantity", "change").json["rows"]
    assert {(row["study"], row["quantity"]) for row in rows} == {("daly-2018", "change")}
    rows = command(*options, "--role", "prior", "--scale", "several scales").json["rows"]
    assert {row["role"] for row in rows} == {"prior"}
    found = command("evidence", "list", "--route", "SC", "--json").json
    assert [one["study"] for one in found["studies"]] == ["kads"]
    rows = command(*options, "--table", "mechanism", "--quantity", "bdnf").json["rows"]
    assert Counter(row["quantity"] for row in rows) == {"bdnf": 7}
    rows = command(*options, "--table", "pk", "--study", "Hasan2021").json["rows"]
    assert {row["study"] for row in rows} == {"Hasan2021"}


def test_numbers_of_an_open_row_are_typed(command: Command):
    rows = command("evidence", "list", "--rows", "--study", "daly-2018", "--json").json["rows"]
    row = next(one for one in rows if one["row_id"] == "T0031")
    assert (row["value"], row["se"], row["contrast"], row["n"], row["time_h"]) == (-12.4, 2.66, -7.6, 11, 168)


def test_conditions_that_meet_nothing_list_nothing(command: Command):
    done = command("evidence", "list", "--study", "kads", "--role", "prior")
    assert done.code == 0
    assert "0 studies, 0 rows." in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--study", "fava-2017"], "Did you mean 'fava-2018'"),
        (["--role", "validation"], "Did you mean 'validate'"),
        (["--quantity", "respons"], "Did you mean 'response'"),
        (["--scale", "MADR"], "Did you mean 'MADRS'"),
        (["--drug", "esketamin"], "Did you mean 'esketamine'"),
        (["--route", "nasal"], "Unknown route 'nasal'. Known: "),
        (["--table", "eficacy"], "Did you mean 'efficacy'"),
        (["--table", "pk", "--scale", "MADRS"], "'--scale' must be left out"),
        (["--table", "pk", "--study", "Hasan2020"], "Did you mean 'Hasan2021'"),
        (["--json", "--csv"], "both want standard output"),
    ],
)
def test_list_offers_the_nearest_name(command: Command, options: list[str], message: str):
    done = command("evidence", "list", *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


# --- show ------------------------------------------------------------------------------------------


def test_show_of_a_study_tells_who_what_and_where_from(command: Command):
    out = command("evidence", "show", "daly-2018").out
    words = " ".join(out.split())
    for text in (
        *("Intranasal esketamine", "NCT01998958", "not on a page read", "antidepressant continued"),
        *(
            "MADRS <=10",
            "MADRS 33.2 (SD 6.26)",
            "esketamine 84 mg (period 2)",
            "T0031",
            "euthymia trial run daly",
        ),
        *("-12.4 (SE 2.66);", "2, 24, 168, 1776, 3120 h"),
    ):
        assert text in words
    assert "Closed" not in out
    assert max(map(len, out.splitlines())) <= WIDTH


def test_show_names_the_same_people_in_both_directions(command: Command):
    assert "same people  salloum-2019" in command("evidence", "show", "fava-2018").out
    assert "same people  fava-2018" in command("evidence", "show", "salloum-2019").out


def test_show_says_what_was_not_read(command: Command):
    out = command("evidence", "show", "kads").out
    assert "primary     not stated" in out
    assert "Closed: kept to validate" in out
    assert " closed " in out


@pytest.mark.parametrize("key", ["fava-2018", "kads", "kew-2023", "star-d"])
def test_show_of_a_study_as_json_obeys_its_schema(command: Command, key: str):
    document = command("evidence", "show", key, "--json").json
    check_schema(document, "evidence-show-1")
    assert document["study"]["study"] == key
    assert len(document["rows"]) == document["study"]["rows"]
    assert bool(document["closed"]) == (document["study"]["role"] == "validate")


@pytest.mark.parametrize("row_id", ["T0031", "T0156", "Q019", "AE-DISSO-002", "E001"])
def test_show_of_a_row_as_json_obeys_its_schema(command: Command, row_id: str):
    document = command("evidence", "show", row_id, "--json").json
    check_schema(document, "evidence-show-1")
    assert document["rows"][0]["row_id"] == row_id
    assert document["fields"]


def test_show_of_a_row_tells_every_field_and_how_to_go_on(command: Command):
    out = command("evidence", "show", "t0103").out
    assert "T0103 of efficacy" in out
    assert "effect_kind" in out
    assert "See also: euthymia evidence show murrough-2013\n" in out
    assert "See also: euthymia evidence efficacy --row T0103" in out


def test_show_of_a_closed_row_says_why_and_when_it_opens(command: Command):
    out = " ".join(command("evidence", "show", "T0156").out.split())
    assert "what was observed opens when a posterior is frozen (none is yet)" in out
    assert "response_percent" not in out


@pytest.mark.parametrize(("name", "nearest"), [("fava2018", "'fava-2018'"), ("T0999", "'T0099'")])
def test_show_of_an_unknown_name_offers_the_nearest(command: Command, name: str, nearest: str):
    done = command("evidence", "show", name)
    assert (done.code, done.out) == (2, "")
    assert nearest in done.err


# --- check -----------------------------------------------------------------------------------------


def test_check_names_every_table_and_finds_them_sound(command: Command):
    done = command("evidence", "check")
    assert done.code == 0
    assert "60 studies, 165 arms, 371 rows" in done.out
    assert "Sound: no problem in any table." in done.out
    document = command("evidence", "check", "--json").json
    check_schema(document, "evidence-check-1")
    assert document["is_sound"]
    assert len(document["tables"]) == 12


def spoil(monkeypatch: pytest.MonkeyPatch, path: str, row_id: str, **cells: str) -> None:
    """Let the checks read a table with other cells in one row."""

    def read(asked: str) -> tuple[Row, ...]:
        rows = read_table(asked)
        if asked != path:
            return rows
        return tuple({**row, **cells} if row["row_id"] == row_id else row for row in rows)

    monkeypatch.setattr(integrity, "read_table", read)


@pytest.mark.parametrize(
    ("path", "row_id", "cells", "message"),
    [
        ("evidence/efficacy/outcomes.csv", "T0031", {"role": "calibrat"}, "'role' must be one of"),
        ("evidence/efficacy/measures.csv", "T0031", {"kind": "chang"}, "Unknown kind 'chang'"),
        ("evidence/safety/acute_effects.csv", "AE-DISSO-002", {"source_key": "X1"}, "Unknown source 'X1'"),
        ("evidence/pk/exposure.csv", "E001", {"cmax_unit": "mg"}, "'cmax_unit' must be one of"),
    ],
)
def test_check_ends_with_1_and_names_what_is_wrong(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    row_id: str,
    cells: dict[str, str],
    message: str,
):
    spoil(monkeypatch, path, row_id, **cells)
    done = command("evidence", "check")
    assert done.code == 1
    assert message in done.out
    assert "problem(s)." in done.out
    document = command("evidence", "check", "--json")
    assert document.code == 1
    assert not document.json["is_sound"]


def test_check_says_where_a_column_is_missing(command: Command, monkeypatch: pytest.MonkeyPatch):
    bare = ({"row_id": "T0001"},)
    monkeypatch.setattr(
        integrity, "read_table", lambda path: bare if path.endswith("outcomes.csv") else read_table(path)
    )
    done = command("evidence", "check")
    assert done.code == 1
    assert "cannot be read: column" in done.out


# --- nothing observed of a closed row --------------------------------------------------------------


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    library, acute = marked_library(), marked_acute_facts()
    monkeypatch.setattr(studies, "load_library", lambda: library)
    monkeypatch.setattr(facts, "load_acute_facts", lambda: acute)


@pytest.mark.usefixtures("marked")
@EVERY_TABLE
@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_list_prints_no_observed_number_of_a_closed_row(command: Command, table: str, form: list[str]):
    for rows in ([], ["--rows"]):
        done = command("evidence", "list", "--table", table, *rows, *form)
        assert done.code == 0
        assert not MARKS.search(done.out)


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_show_prints_no_observed_number_of_a_closed_study_or_row(command: Command, form: list[str]):
    kept = [key for key, one in load_studies().items() if one.role is Role.VALIDATE]
    shut = [row.row_id for table in TABLES for row in stated_rows(table) if not row.is_open]
    assert (len(kept), len(shut)) == (17, 320)
    for name in [*kept, *shut[::20], "T0124", "S0013", "T0184"]:
        done = command("evidence", "show", name, *form)
        assert done.code == 0
        assert not MARKS.search(done.out), name


@pytest.mark.usefixtures("marked")
def test_check_prints_no_observed_number(command: Command):
    assert not MARKS.search(command("evidence", "check").out + command("evidence", "check", "--json").out)
