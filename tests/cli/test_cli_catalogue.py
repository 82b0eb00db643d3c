"""``sets``, ``routes``, ``variables``, ``cite``: complete, and readable by machines."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from tests.cli.commands import INFUSION, Command, check_schema

from euthymia.citations import load_sources
from euthymia.model.parameters import load_parameters, set_names
from euthymia.model.variables import variables
from euthymia.tables import read_table

LISTS = {
    "sets": "sets-1",
    "routes": "routes-1",
    "settings": "settings-1",
    "therapies": "therapies-1",
    "variables": "variables-1",
    "cite": "sources-1",
}


@pytest.mark.parametrize(("name", "schema"), LISTS.items())
def test_list_as_json_obeys_its_schema(command: Command, name: str, schema: str):
    done = command(name, "--json")
    assert (done.code, done.err) == (0, "")
    check_schema(done.json, schema)


@pytest.mark.parametrize("name", ["sets", "routes", "settings", "therapies", "variables"])
def test_list_as_csv_holds_what_the_json_holds(command: Command, name: str):
    rows = list(csv.DictReader(io.StringIO(command(name, "--csv").out)))
    expected = [{key: str(value) for key, value in row.items()} for row in command(name, "--json").json]
    assert rows == expected


@pytest.mark.parametrize("name", ["sets", "routes", "settings", "therapies", "variables"])
def test_list_does_not_print_two_formats_at_once(command: Command, name: str):
    done = command(name, "--json", "--csv")
    assert (done.code, done.out) == (2, "")
    assert "'--json' and '--csv' both want standard output" in done.err


@pytest.mark.parametrize("name", set_names())
def test_parameters_of_a_set_obey_their_schema_and_are_not_rounded(command: Command, name: str):
    rows = command("sets", name, "--json").json
    check_schema(rows, "parameters-1")
    assert {row["field"]: row["value"] for row in rows} == {
        field: row.value for field, row in load_parameters(name).rows.items()
    }


@pytest.mark.parametrize("name", set_names())
def test_table_of_a_set_says_what_must_be_said_with_it(command: Command, name: str):
    done = command("sets", name)
    found = load_parameters(name)
    assert done.code == 0
    assert f"Say with it: {found.disclaimer}" in done.out
    assert all(field in done.out for field in found.rows)


def test_sets_lists_every_set(command: Command):
    out = command("sets").out
    assert all(name in out for name in set_names())


def test_routes_lists_every_route(command: Command):
    rows = command("routes", "--json").json
    assert [row["route"] for row in rows] == [row["route"] for row in read_table("routes.csv")]
    assert "ketamine 0.5 mg/kg im" in command("routes").out


@pytest.mark.parametrize("row", read_table("routes.csv"), ids=lambda row: row["route"])
def test_route_runs_as_it_is_written(command: Command, row: dict[str, str]):
    assert command("simulate", row["written"], "--times", "1").code == 0


def test_variables_lists_every_observable_by_the_name_that_simulate_takes(command: Command):
    rows = command("variables", "--json").json
    assert [row["name"] for row in rows] == list(variables())
    units = {row["layer"]: set() for row in rows}
    for row in rows:
        units[row["layer"]].add(row["unit"])
    assert units["pk"] == {"umol/L"}
    assert units["acute"] == {"1", "mmHg", "1/min", "points"}


def test_cite_lists_every_source(command: Command):
    lines = command("cite").out.splitlines()
    assert [line.split(":")[0] for line in lines] == list(load_sources())


def test_cite_bibtex_has_one_entry_for_each_source(command: Command):
    out = command("cite", "--bibtex").out
    assert sum(line.startswith("@") for line in out.splitlines()) == len(load_sources())


@pytest.mark.parametrize("place", ["run", "result.json"])
def test_cite_lists_the_sources_of_a_result(command: Command, tmp_path: Path, place: str):
    out = tmp_path / place
    command("simulate", INFUSION, "--parameters", "kamp-2020", "--out", out, "--times", "1")
    rows = command("cite", out, "--json").json
    check_schema(rows, "sources-1")
    assert [row["key"] for row in rows] == ["Kamp2020Review"]


def test_cite_refuses_what_is_not_there(command: Command, tmp_path: Path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "none.json", tmp_path / "file" / "below.json", tmp_path):
        done = command("cite", path)
        assert (done.code, done.out) == (2, "")
        assert "which does not exist. Make one with 'euthymia simulate ... --out run'." in done.err


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"provenance": {}}', "\x00"])
def test_cite_refuses_what_is_no_result(command: Command, tmp_path: Path, text: str):
    (tmp_path / "a.json").write_text(text)
    done = command("cite", tmp_path / "a.json")
    assert (done.code, done.out) == (2, "")
    assert "'RESULT' must be JSON made by 'euthymia simulate --json'" in done.err


def test_unknown_set_is_offered_the_nearest(command: Command):
    done = command("sets", "kamp-2021")
    assert (done.code, done.out) == (2, "")
    assert "Unknown parameter set 'kamp-2021'. Did you mean 'kamp-2020'" in done.err
