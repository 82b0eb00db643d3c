"""``evidence pk``, ``evidence efficacy`` and ``demo``: every number is shown, and the pages stand alone."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import fields
from pathlib import Path

import pytest
from tests.cli.commands import Command, check_schema, check_stands_alone, names_in

from euthymia import __version__
from euthymia.evidence.compare import Comparison
from euthymia.evidence.load import load_exposures

FEW = ("--parameters", "kamp-2020")


# --- evidence pk -------------------------------------------------------------------------------


@pytest.mark.slow
def test_json_obeys_its_schema_and_holds_every_row(command: Command):
    done = command("evidence", "pk", "--json")
    assert (done.code, done.err) == (0, "")
    check_schema(done.json, "exposures-1")
    assert {one["row_id"] for one in done.json["rows"]} == {row.row_id for row in load_exposures()}


def test_schema_refuses_a_row_not_run_that_has_a_ratio(command: Command):
    document = command("evidence", "pk", "--json", *FEW).json
    idle = next(row for row in document["rows"] if row["verdict"].startswith("not run"))
    with pytest.raises(Exception, match="is not of type 'null'"):
        check_schema({**document, "rows": [{**idle, "ratio": 1.0}]}, "exposures-1")


def test_parameters_keep_one_set_and_the_rows_that_no_set_can_run(command: Command):
    rows = command("evidence", "pk", "--json", *FEW).json["rows"]
    assert {row["parameters"] for row in rows} == {"kamp-2020", ""}


@pytest.mark.slow
def test_role_keeps_its_rows(command: Command):
    rows = command("evidence", "pk", "--json", "--role", "context").json["rows"]
    assert {row["role"] for row in rows} == {"context"}


def test_role_without_rows_is_an_empty_list_and_a_csv_with_its_columns(command: Command):
    assert command("evidence", "pk", *FEW, "--role", "prior", "--json").json["rows"] == []
    header = command("evidence", "pk", *FEW, "--role", "prior", "--csv").out
    assert header == ",".join(field.name for field in fields(Comparison)) + "\n"


def test_csv_holds_what_the_json_holds(command: Command):
    rows = list(csv.DictReader(io.StringIO(command("evidence", "pk", "--csv", *FEW).out)))
    expected = [
        {key: "" if value is None else str(value) for key, value in row.items()}
        for row in command("evidence", "pk", "--json", *FEW).json["rows"]
    ]
    assert rows == expected


def test_table_counts_fits_by_role_and_says_that_none_is_dropped(command: Command):
    out = command("evidence", "pk", *FEW).out
    assert re.search(r"calibrate: \d+ of \d+ numbers within their spread or within 20 %", out)
    assert "none is dropped because it fits badly" in out


@pytest.mark.slow
def test_misfits_are_shown_with_their_reason(command: Command):
    options = ("--parameters", "simons-2022", "--misfits")
    rows = command("evidence", "pk", *options, "--json").json["rows"]
    assert rows
    out = command("evidence", "pk", *options).out
    for row in rows:
        assert row["verdict"].startswith(("outside", "off"))
        assert f"{row['row_id']}: {row['comment']}" in out


def test_report_marks_misfits_and_names_sources(command: Command, tmp_path: Path):
    done = command("evidence", "pk", *FEW, "--report", tmp_path / "pk.html")
    assert (done.code, done.err) == (0, f"Wrote {tmp_path / 'pk.html'}\n")
    html = (tmp_path / "pk.html").read_text(encoding="utf-8")
    check_stands_alone(html)
    assert "No row is dropped because it fits badly" in html
    assert "not offered or reviewed as a medical device" in html


def test_unknown_set_and_role_are_bad_input(command: Command):
    done = command("evidence", "pk", "--parameters", "composd")
    assert done.code == 2
    assert "Did you mean 'composed'" in done.err
    done = command("evidence", "pk", "--role", "validat")
    assert done.code == 2
    assert "Unknown role 'validat'. Did you mean 'validate'" in done.err


@pytest.mark.slow
def test_an_override_moves_the_composed_set_only(command: Command):
    plain = command("evidence", "pk", "--json", "--parameters", "composed", "--role", "validate").json["rows"]
    options = ("--set", "s_clearance_L_per_h=60", "--role", "validate")
    moved = command("evidence", "pk", "--json", *options).json["rows"]
    assert {row["parameters"] for row in moved} <= {"composed", ""}
    area = {row["row_id"]: row["simulated"] for row in moved if row["quantity"] == "AUC 0-inf"}
    before = {row["row_id"]: row["simulated"] for row in plain if row["quantity"] == "AUC 0-inf"}
    assert area["E016"] == pytest.approx(before["E016"] * 88.8 / 60.0)
    assert area["E018"] == before["E018"]


def test_two_formats_at_once_are_bad_input(command: Command):
    assert command("evidence", "pk", "--json", "--csv").code == 2


def test_report_that_cannot_be_written_fails_before_anything_is_printed(command: Command, tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = command("evidence", "pk", *FEW, "--report", tmp_path / "file" / "pk.html")
    assert (done.code, done.out) == (1, "")
    assert "Cannot write" in done.err


# --- evidence efficacy ---------------------------------------------------------------------------

OUTCOMES = ("--row", "T0103", "--row", "T0124", "--row", "S0007")


@pytest.mark.slow
def test_outcomes_obey_the_schema_of_facts_and_keep_the_order_of_their_table(command: Command):
    done = command("evidence", "efficacy", "--json", *OUTCOMES)
    assert (done.code, done.err) == (0, "")
    check_schema(done.json, "facts-1")
    assert done.json["table"] == "efficacy"
    assert [one["row_id"] for one in done.json["rows"]] == ["S0007", "T0103", "T0124"]
    assert [one["topic"] for one in done.json["rows"]] == ["therapy", "control", "control"]


@pytest.mark.usefixtures("nothing_is_frozen")
def test_closed_outcomes_show_the_model_and_not_what_was_printed(command: Command):
    shut = command("evidence", "efficacy", "--json", "--row", "T0010").json["rows"][0]
    assert shut["verdict"] == "closed: opens with the frozen posterior"
    assert (shut["low"], shut["high"], shut["kind"], shut["assumption"]) == (None, None, "", "")
    assert shut["simulated"] < 0.0
    for option in ((), ("--csv",), ("--json",)):
        out = command("evidence", "efficacy", "--row", "T0010", *option).out
        assert "T0010" in out
        assert not re.search(r"7\.6\b|11\.3\b|3\.9\b", out)


@pytest.mark.usefixtures("nothing_is_frozen")
def test_outcomes_are_counted_by_group(command: Command):
    out = command("evidence", "efficacy", *OUTCOMES).out
    assert re.search(r"^control: [01] of 1 reproduced", out, flags=re.MULTILINE)
    assert "1 kept to validate: the printed values open with the frozen posterior" in out
    assert "1 rows not comparable, with the reason; none is dropped because it fits badly." in out


def test_unknown_outcome_is_bad_input(command: Command):
    done = command("evidence", "efficacy", "--row", "T103")
    assert done.code == 2
    assert "Unknown row 'T103'. Did you mean 'T0103'" in done.err


# --- blockers ------------------------------------------------------------------------------------


def test_a_blocked_run_says_what_is_blocked_in_words_and_as_overrides(command: Command):
    document = command("evidence", "mechanism", "--json", "--row", "Q010").json
    check_schema(document, "facts-1")
    last = document["rows"][-1]
    assert last["changed"] == "no NMDA receptors on pyramidal cells, no drive by their block"
    assert last["overrides"] == "circuit.pyramidal_nmda_share=0;signalling.direct_weight_fraction=0"
    assert last["reference_overrides"] == ""
    assert last["changed"] in command("evidence", "mechanism", "--row", "Q010", "--csv").out
    with pytest.raises(Exception, match="does not match"):
        check_schema({**document, "rows": [{**last, "overrides": "opioids blocked"}]}, "facts-1")


# --- demo --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from euthymia.cli.main import call

    folder = tmp_path_factory.mktemp("demo")
    assert call(["demo", "--patients", "5", "--out", str(folder), "--quiet"]) == 0
    assert names_in(folder) == ["chain.html", "report.html"]
    return folder


@pytest.fixture(scope="module")
def demo_page(demo_folder: Path) -> str:
    return (demo_folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_demo_leaves_the_chain_of_two_courses(demo_folder: Path):
    html = (demo_folder / "chain.html").read_text(encoding="utf-8")
    check_stands_alone(html)
    assert "not offered or reviewed as a medical device" in html
    assert "esketamine 84 mg intranasal, twice weekly x 6" in html
    assert "The chain, link by link" in html


@pytest.mark.slow
def test_demo_page_stands_alone(demo_page: str):
    check_stands_alone(demo_page)


@pytest.mark.slow
def test_demo_page_says_what_it_is_not(demo_page: str):
    assert "not offered or reviewed as a medical device" in demo_page
    assert "transcription and assembly, not prediction" in demo_page
    assert "Its printed Cmax and AUC are model output, not measurements." in demo_page
    assert __version__ in demo_page


@pytest.mark.slow
@pytest.mark.parametrize("analyte", ["S", "R", "total"])
def test_demo_draws_the_points_of_kamp_over_the_curves(demo_page: str, analyte: str):
    assert f'"name":"{analyte}: Kamp 2020 measured, digitised"' in demo_page


@pytest.mark.slow
def test_demo_names_its_sources(demo_page: str):
    assert all(f"<b>{key}</b>" in demo_page for key in ("Kamp2020", "PerezRuixo2021", "Simons2022"))


@pytest.mark.slow
def test_demo_says_where_the_report_is_and_notes_go_to_standard_error(command: Command, tmp_path: Path):
    done = command("demo", "--patients", 1, "--out", tmp_path)
    assert done.code == 0
    assert f"published data: {tmp_path / 'report.html'}\n" in done.out
    assert f"From dose to mood: {tmp_path / 'chain.html'}\n" in done.out
    assert "not a medical device" in done.out
    assert done.err.splitlines()[0] == "Kamp 2020, racemic ketamine: done"


@pytest.mark.slow
def test_demo_of_the_same_seed_is_the_same_page(command: Command, tmp_path: Path, demo_folder: Path):
    command("demo", "--patients", 5, "--out", tmp_path, "--quiet")
    for name in ("report.html", "chain.html"):
        first, second = (
            _without_figure_names((folder / name).read_text(encoding="utf-8"))
            for folder in (demo_folder, tmp_path)
        )
        assert first == second


def _without_figure_names(html: str) -> str:
    """plotly names every figure anew."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "", html)


def test_demo_without_patients_is_bad_input(command: Command, tmp_path: Path):
    done = command("demo", "--patients", 0, "--out", tmp_path)
    assert done.code == 2
    assert "'patients' must be 1 or more" in done.err
    assert names_in(tmp_path) == []
