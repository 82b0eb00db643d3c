"""``evidence mechanism`` and ``evidence safety``: every fact with verdict, closed ones without."""

from __future__ import annotations

import csv
import io
from dataclasses import fields

import pytest
from tests.cli.commands import Command, check_schema

from euthymia.evidence.fact_compare import CLOSED, FactComparison
from euthymia.evidence.facts import load_mechanism_facts

FEW = ("--row", "Q001", "--row", "Q003", "--row", "Q019")
ACUTE = ("--row", "AE-BLOOD-038", "--row", "AE-BLOOD-053")


def test_json_obeys_its_schema_and_keeps_the_rows_asked_for_in_order(command: Command):
    done = command("evidence", "mechanism", "--json", *FEW)
    assert (done.code, done.err) == (0, "")
    check_schema(done.json, "facts-1")
    assert done.json["table"] == "mechanism"
    assert [one["row_id"] for one in done.json["rows"]] == ["Q001", "Q003", "Q019"]


@pytest.mark.usefixtures("nothing_is_frozen")
def test_schema_refuses_printed_bounds_of_a_closed_fact(command: Command):
    document = command("evidence", "safety", "--json", *ACUTE).json
    check_schema(document, "facts-1")
    shut = next(row for row in document["rows"] if row["verdict"] == CLOSED)
    with pytest.raises(Exception, match="is not of type 'null'"):
        check_schema({**document, "rows": [{**shut, "low": 1.0}]}, "facts-1")


@pytest.mark.usefixtures("nothing_is_frozen")
def test_closed_facts_show_the_model_and_not_what_was_printed(command: Command):
    rows = command("evidence", "safety", "--json", *ACUTE).json["rows"]
    shut = [row for row in rows if row["row_id"] == "AE-BLOOD-053"]
    assert [row["verdict"] for row in shut] == [CLOSED, CLOSED]
    assert all(row["simulated"] > 0 and row["low"] is None and row["high"] is None for row in shut)
    for option in ((), ("--csv",), ("--json",)):
        out = command("evidence", "safety", *ACUTE[2:], *option).out
        assert "AE-BLOOD-053" in out
        assert "4.87" not in out


@pytest.mark.usefixtures("nothing_is_frozen")
def test_table_counts_by_layer_and_says_what_is_closed_and_left_out(command: Command):
    out = command("evidence", "mechanism", *FEW).out
    assert "circuit: 1 of 1 reproduced" in out
    assert "site: 0 of 1 reproduced; not Q003a" in out
    assert "1 rows not comparable, with the reason; none is dropped because it fits badly." in out
    out = command("evidence", "safety", *ACUTE).out
    assert "acute: 1 of 1 reproduced" in out
    assert "2 kept to validate: the printed values open with the frozen posterior" in out


def test_misfits_are_shown_with_their_reason(command: Command):
    done = command("evidence", "mechanism", *FEW, "--misfits")
    rows = command("evidence", "mechanism", *FEW, "--misfits", "--json").json["rows"]
    assert [row["row_id"] for row in rows] == ["Q003"]
    assert f"Q003a: {rows[0]['comment']}" in done.out
    assert rows[0]["comment"]


def test_csv_holds_what_the_json_holds(command: Command):
    rows = list(csv.DictReader(io.StringIO(command("evidence", "mechanism", "--csv", *FEW).out)))
    expected = [
        {key: "" if value is None else str(value) for key, value in row.items()}
        for row in command("evidence", "mechanism", "--json", *FEW).json["rows"]
    ]
    assert rows == expected
    header = command("evidence", "mechanism", *FEW, "--role", "prior", "--csv").out
    assert header == ",".join(field.name for field in fields(FactComparison)) + "\n"


def test_role_keeps_its_rows(command: Command):
    rows = command("evidence", "mechanism", "--json", "--role", "context").json["rows"]
    assert [row["row_id"] for row in rows] == [
        row.row_id for row in load_mechanism_facts() if row.role == "context"
    ]


def test_an_override_moves_the_value(command: Command):
    plain = command("evidence", "safety", *ACUTE, "--json").json["rows"][0]["simulated"]
    options = ("--set", "cardiovascular.largest_systolic_rise_mmHg=60")
    moved = command("evidence", "safety", *ACUTE, *options, "--json").json["rows"][0]["simulated"]
    assert moved > plain


def test_unknown_row_role_and_key_are_bad_input(command: Command):
    done = command("evidence", "mechanism", "--row", "Q0019")
    assert done.code == 2
    assert "Unknown row 'Q0019'. Did you mean 'Q019'" in done.err
    assert "Did you mean 'validate'" in command("evidence", "safety", "--role", "validat").err
    assert command("evidence", "safety", *ACUTE, "--set", "cardiovascular.largest=1").code == 2
    assert command("evidence", "mechanism", *FEW, "--json", "--csv").code == 2


@pytest.mark.usefixtures("nothing_is_frozen")
@pytest.mark.slow
def test_the_followed_name_their_rule_and_who_entered(command: Command):
    document = command("evidence", "efficacy", "--json", "--row", "C0036", "--row", "C0066").json
    check_schema(document, "facts-1")
    followed, shut = document["rows"]
    assert (followed["relapse_rule"], followed["well_by"]) == ("response lost", "response")
    assert 0.0 < followed["simulated"] <= 1.0
    assert (shut["verdict"], shut["low"], shut["high"]) == (CLOSED, None, None)
