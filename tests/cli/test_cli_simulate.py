"""``euthymia simulate --concentrations``: what it prints, where, and the same bytes for a seed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import polars
import pytest
from tests.cli.commands import INFUSION, Command, check_schema, names_in, program

from euthymia import __version__
from euthymia.model.variables import find_variable

PK = ("simulate", "--concentrations")
TIMES = ("--times", "0,0.5,1,2,6")
CURVES = ("p05", "p50", "p95", "mean")
DISCLAIMER = "not a medical device"


# --- what is printed ---------------------------------------------------------------------------


def test_table_says_what_was_run_and_echoes_seed_and_version(command: Command):
    done = command(*PK, INFUSION, "--seed", 7)
    assert done.code == 0
    assert not done.err
    assert done.out.startswith("ketamine 0.5 mg/kg intravenous over 40 min\n")
    assert f"typical patient, 70 kg; set composed; horizon 48 h; seed 7; euthymia {__version__}" in done.out
    assert all(text in done.out for text in ("Cmax (ng/mL)", "Tmax (h)", "AUC", "half-life (h)", DISCLAIMER))
    assert "Total ketamine in venous plasma" in done.out


def test_table_of_many_patients_shows_median_and_spread(command: Command):
    done = command(*PK, INFUSION, "--patients", 20)
    assert "20 patients, 70 kg" in done.out
    assert "Median (5–95 % of patients)" in done.out


@pytest.mark.parametrize("options", [(), ("--patients", 12), ("--patients", 3, "--individuals")])
@pytest.mark.parametrize("unit", ["ng/mL", "umol/L"])
def test_json_obeys_its_schema(command: Command, options: tuple[object, ...], unit: str):
    done = command(*PK, INFUSION, "--json", "--unit", unit, *options)
    assert (done.code, done.err) == (0, "")
    check_schema(done.json, "simulation-1")


def test_schema_refuses_a_key_it_does_not_know(command: Command):
    document = command(*PK, INFUSION, "--json", *TIMES).json
    with pytest.raises(Exception, match="Additional properties are not allowed"):
        check_schema({**document, "when": "today"}, "simulation-1")


def test_json_echoes_command_version_seed_and_set(command: Command):
    document = command(*PK, INFUSION, "--json", "--seed", 3, *TIMES).json
    assert document["command"] == [*PK, INFUSION, "--json", "--seed", "3", *TIMES]
    assert (document["version"], document["seed"]) == (__version__, 3)
    assert document["provenance"]["parameters"] == "composed"
    assert "Simons2022" in document["provenance"]["sources"]
    assert document["times_h"] == [0, 0.5, 1, 2, 6]
    assert all(len(curve[name]) == 5 for curve in document["variables"].values() for name in CURVES)


def test_quantiles_of_the_json_lie_in_order(command: Command):
    document = command(*PK, INFUSION, "--json", "--patients", 30).json
    for curve in document["variables"].values():
        low, middle, high = (np.array(curve[name]) for name in CURVES[:3])
        assert np.all(low <= middle)
        assert np.all(middle <= high)


def test_typical_patient_has_no_spread(command: Command):
    curve = command(*PK, INFUSION, "--json", *TIMES).json["variables"]["norketamine_ng_per_mL"]
    assert curve["p05"] == curve["p50"] == curve["p95"] == curve["mean"]


def test_a_number_that_does_not_exist_is_null(command: Command):
    # the clearance of flint-2017's metabolite rises with time, so it has no half-life
    done = command(
        *PK,
        "esketamine 1 mg/kg/h iv over 600 min",
        *("--parameters", "flint-2017", "--weight-kg", 10, "--age-years", 2, "--json"),
    )
    assert done.code == 0
    assert done.json["metrics"]["s_norketamine_ng_per_mL"]["half_life_h"]["p50"] is None
    check_schema(done.json, "simulation-1")


def test_csv_holds_the_curves_in_long_form(command: Command):
    done = command(*PK, INFUSION, "--csv", *TIMES)
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert list(rows[0]) == ["time_h", "variable", "unit", *CURVES]
    assert len(rows) == 5 * 4
    assert {row["unit"] for row in rows} == {"ng/mL"}


def test_csv_and_json_agree(command: Command):
    document = command(*PK, INFUSION, "--json", "--patients", 9, *TIMES).json
    rows = csv.DictReader(io.StringIO(command(*PK, INFUSION, "--csv", "--patients", 9, *TIMES).out))
    for row in rows:
        curve = document["variables"][f"{row['variable']}_ng_per_mL"]
        place = document["times_h"].index(float(row["time_h"]))
        assert [float(row[name]) for name in CURVES] == [curve[name][place] for name in CURVES]


def test_individuals_add_each_patient_to_json_and_csv(command: Command):
    options = ("--patients", 4, "--individuals", *TIMES)
    document = command(*PK, INFUSION, "--json", *options).json
    assert set(document["individuals"]) == set(document["variables"])
    rows = list(csv.DictReader(io.StringIO(command(*PK, INFUSION, "--csv", *options).out)))
    assert list(rows[0]) == ["patient", "time_h", "variable", "value", "unit"]
    assert {row["patient"] for row in rows} == {"1", "2", "3", "4"}
    mine = [float(row["value"]) for row in rows if (row["patient"], row["variable"]) == ("2", "norketamine")]
    assert mine == document["individuals"]["norketamine_ng_per_mL"]["2"]


def test_individuals_are_left_out_unless_asked_for(command: Command):
    assert "individuals" not in command(*PK, INFUSION, "--json", "--patients", 2, *TIMES).json


# --- what the options change -------------------------------------------------------------------


def test_unit_changes_names_and_values_by_the_molar_mass(command: Command):
    mass = command(*PK, INFUSION, "--json", *TIMES).json["variables"]
    moles = command(*PK, INFUSION, "--json", "--unit", "umol/L", *TIMES).json["variables"]
    for name, curve in mass.items():
        stem = name.removesuffix("_ng_per_mL")
        other = moles[f"{stem}_umol_per_L"]
        assert (curve["unit"], other["unit"]) == ("ng/mL", "umol/L")
        expected = np.array(other["p50"]) * find_variable(stem).molar_mass_g_per_mol
        np.testing.assert_allclose(curve["p50"], expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("site", "present", "absent"),
    [
        ("venous", "ketamine_venous", "ketamine_arterial"),
        ("arterial", "ketamine_arterial", "ketamine_venous"),
    ],
)
def test_observe_leaves_out_the_other_site(command: Command, site: str, present: str, absent: str):
    names = command(*PK, INFUSION, "--json", "--observe", site, *TIMES).json["variables"]
    assert f"{present}_ng_per_mL" in names
    assert f"{absent}_ng_per_mL" not in names
    assert "norketamine_ng_per_mL" in names


def test_variables_names_what_is_shown_with_or_without_unit(command: Command):
    asked = "s_ketamine_venous,r_norketamine_umol_per_L"
    names = command(*PK, INFUSION, "--json", "--variables", asked, *TIMES).json["variables"]
    assert list(names) == ["s_ketamine_venous_ng_per_mL", "r_norketamine_ng_per_mL"]


def test_all_variables_hold_totals_and_enantiomers(command: Command):
    names = command(*PK, INFUSION, "--json", "--variables", "all", *TIMES).json["variables"]
    assert {"ketamine_venous_ng_per_mL", "s_ketamine_venous_ng_per_mL", "r_ketamine_venous_ng_per_mL"} <= set(
        names
    )


def test_esketamine_shows_its_enantiomer_by_default(command: Command):
    names = command(*PK, "esketamine 56 mg intranasal", "--json", *TIMES).json["variables"]
    assert {name[:2] for name in names} == {"s_"}


def test_set_moves_what_it_names_and_is_echoed(command: Command):
    def area(*options: str) -> float:
        document = command(*PK, "esketamine 20 mg iv over 40 min", "--json", *options).json
        return document["metrics"]["s_ketamine_arterial_ng_per_mL"]["auc_0_to_infinity"]["p50"]

    assert area("--set", "s_clearance_L_per_h=44.4") == pytest.approx(2 * area(), rel=1e-9)
    document = command(*PK, INFUSION, "--json", "--set", "pk.s_clearance_L_per_h=44.4", *TIMES).json
    assert document["provenance"]["overrides"] == {"pk.s_clearance_L_per_h": 44.4}


def test_parameters_picks_a_set(command: Command):
    document = command(*PK, INFUSION, "--json", "--parameters", "kamp-2020", *TIMES).json
    assert document["provenance"]["parameters"] == "kamp-2020"
    assert list(document["variables"]) == ["ketamine_arterial_ng_per_mL"]


def test_days_set_the_horizon(command: Command):
    document = command(*PK, INFUSION, "--json", "--days", 3).json
    assert document["times_h"][-1] == 72
    assert "horizon 72 h" in command(*PK, INFUSION, "--days", 3).out


def test_times_do_not_move_the_horizon_of_the_areas(command: Command):
    few, many = (command(*PK, INFUSION, "--json", *options).json for options in (TIMES, ()))
    assert (
        few["metrics"]["norketamine_ng_per_mL"]["auc_0_to_horizon"]
        == (many["metrics"]["norketamine_ng_per_mL"]["auc_0_to_horizon"])
    )
    assert few["provenance"]["horizon_h"] == many["provenance"]["horizon_h"] == 48
    assert "horizon 48 h" in command(*PK, INFUSION, *TIMES).out


def test_what_is_said_of_the_patients_is_echoed(command: Command):
    options = ("--parameters", "perez-ruixo-2021", "--age-years", 70, "--ancestry", "japanese")
    done = command(*PK, "esketamine 28 mg iv over 40 min", "--json", *options, *TIMES)
    assert done.json["provenance"]["covariates"] == ["age 70 years", "ancestry japanese"]


def test_weight_scales_a_dose_by_weight(command: Command):
    document = command(*PK, INFUSION, "--json", "--weight-kg", 90, *TIMES).json
    assert document["provenance"]["weight_kg"] == [90, 90]


# --- the same seed gives the same bytes --------------------------------------------------------


def test_json_of_another_process_is_the_same_bytes(command: Command):
    arguments = (*PK, INFUSION, "--patients", 50, "--seed", 11, "--json", *TIMES)
    assert program(*arguments).out == command(*arguments).out


def test_another_seed_gives_other_patients(command: Command):
    first, second = (
        command(*PK, INFUSION, "--patients", 20, "--json", "--seed", seed, *TIMES).json["variables"]
        for seed in (1, 2)
    )
    assert first != second


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_file_of_another_run_is_the_same_bytes(command: Command, tmp_path: Path, suffix: str):
    files = [tmp_path / f"{name}{suffix}" for name in ("first", "second")]
    for file in files:
        assert command(*PK, INFUSION, "--patients", 40, "--quiet", "--out", file).code == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_patient_17_is_the_same_among_100_and_among_300(command: Command):
    few, many = (
        command(*PK, INFUSION, "--patients", count, "--json", "--individuals", *TIMES).json["individuals"]
        for count in (100, 300)
    )
    for name, curves in few.items():
        assert curves["17"] == many[name]["17"]
        assert curves["17"] != curves["18"]


# --- what is written ---------------------------------------------------------------------------


def test_parquet_and_csv_files_hold_every_patient(command: Command, tmp_path: Path):
    for file in (tmp_path / "a.parquet", tmp_path / "a.csv"):
        done = command(*PK, INFUSION, "--patients", 3, *TIMES, "--out", file)
        assert (done.code, done.err) == (0, f"Wrote {file}\n")
    whole = polars.read_parquet(tmp_path / "a.parquet")
    assert whole.columns == ["patient", "time_h", "variable", "value", "unit"]
    assert whole.height == 3 * 5 * 4
    text = polars.read_csv(tmp_path / "a.csv", schema_overrides={"patient": polars.String})
    assert text["value"].to_list() == pytest.approx(whole["value"].to_list(), rel=1e-15)


def test_json_file_is_what_json_prints(command: Command, tmp_path: Path):
    file = tmp_path / "a.json"
    printed = command(*PK, INFUSION, "--json", "--out", file, *TIMES).out
    assert file.read_text(encoding="utf-8") == printed


def test_run_folder_is_made_with_its_parents(command: Command, tmp_path: Path):
    folder = tmp_path / "runs" / "first"
    done = command(*PK, INFUSION, "--patients", 3, *TIMES, "--out", folder)
    assert done.code == 0
    assert names_in(tmp_path) == [
        f"runs/first/{name}" for name in ("individuals.parquet", "quantiles.csv", "result.json")
    ]
    check_schema(json.loads((folder / "result.json").read_text(encoding="utf-8")), "simulation-1")


def test_report_stands_alone_and_says_what_it_is(command: Command, tmp_path: Path):
    file = tmp_path / "deep" / "report.html"
    done = command(*PK, INFUSION, "--report", file)
    assert (done.code, done.err) == (0, f"Wrote {file}\n")
    assert names_in(tmp_path) == ["deep/report.html"]
    html = file.read_text(encoding="utf-8")
    assert "ketamine 0.5 mg/kg intravenous over 40 min" in html
    assert "not offered or reviewed as a medical device" in html
    assert __version__ in html


def test_report_draws_measured_points_over_their_own_regimen(command: Command, tmp_path: Path):
    file = tmp_path / "kamp.html"
    regimen = "ketamine 0.28 then 0.57 then 1.14 mg/kg/h iv, 60 min each"
    command(*PK, regimen, "--variables", "all", "--report", file)
    html = file.read_text(encoding="utf-8")
    assert "S: Kamp 2020 measured, digitised" in html
    assert "<b>Kamp2020</b>" in html


# --- where it is printed -----------------------------------------------------------------------


def test_warnings_go_to_standard_error_and_into_the_json(command: Command):
    done = command(*PK, INFUSION, "--json", "--weight-kg", 150, *TIMES)
    (warning,) = done.json["warnings"]
    assert done.err == f"warning: {warning}\n"
    assert warning.startswith(
        "'weight_kg' 150 kg lies outside 40–120 kg, the assumed range of the set 'composed'"
    )


def test_dose_beyond_the_range_of_the_set_is_called_an_extrapolation(command: Command):
    done = command(*PK, "ketamine 6 mg/kg im")
    assert done.code == 0
    assert "warning: 'dose' 6 mg/kg lies outside 0.05–5 mg/kg" in done.err
    assert "an extrapolation.\n" in done.err


def test_quiet_leaves_out_notes_but_not_warnings(command: Command, tmp_path: Path):
    done = command(*PK, INFUSION, "--weight-kg", 150, "--quiet", "--out", tmp_path / "a.csv")
    assert done.err.startswith("warning: ")
    assert "Wrote" not in done.err


def test_recalled_liver_ratio_is_said_to_be_unverified(command: Command):
    done = command(*PK, "ketamine 50 mg po", "--hepatic", "moderate")
    assert "AUC ratio 2.03 is recalled, not verified" in done.err


def test_drug_without_pharmacokinetics_is_named(command: Command):
    done = command(*PK, "ketamine 35 mg im; midazolam 2 mg im")
    assert "warning: midazolam has no pharmacokinetics in this version" in done.err


def test_a_regimen_longer_than_a_file_name_is_read(command: Command):
    regimen = "; ".join(f"ketamine {20 + place} mg im at {place} d" for place in range(30))
    assert len(regimen) > 255
    assert command(*PK, regimen, *TIMES).code == 0


# --- event tables ------------------------------------------------------------------------------


def _table(folder: Path, text: str) -> Path:
    file = folder / "doses.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_event_table_is_simulated(command: Command, tmp_path: Path):
    rows = "ID,TIME,EVID,AMT,RATE,ROUTE,WT\n1,0,1,35,52.5,iv,70\n1,24,1,35,52.5,iv,70\n2,0,1,40,0,im,80\n"
    done = command(*PK, _table(tmp_path, rows), "--json", "--individuals", *TIMES)
    assert done.code == 0
    assert done.json["regimen"] == "event table doses.csv: 2 subjects, 3 doses"
    check_schema(done.json, "simulation-1")
    assert done.json["provenance"]["weight_kg"] == [70, 80]
    own = command(*PK, f"{INFUSION}, daily x 2", "--json", *TIMES).json["variables"]
    np.testing.assert_allclose(
        done.json["individuals"]["norketamine_ng_per_mL"]["1"],
        own["norketamine_ng_per_mL"]["p50"],
        rtol=1e-10,
        atol=1e-10,
    )


def test_unsorted_event_table_names_the_row(command: Command, tmp_path: Path):
    done = command(*PK, _table(tmp_path, "ID,TIME,AMT,ROUTE\n1,24,35,im\n1,0,35,im\n"))
    assert (done.code, done.out) == (2, "")
    assert "doses.csv, rows 2 and 3, column TIME" in done.err


def test_empty_event_table_is_bad_input(command: Command, tmp_path: Path):
    done = command(*PK, _table(tmp_path, ""))
    assert (done.code, done.out) == (2, "")
    assert "an event table must begin with a header" in done.err


def test_missing_event_table_is_bad_input(command: Command, tmp_path: Path):
    done = command(*PK, tmp_path / "none.csv")
    assert (done.code, done.out) == (2, "")
    assert "Cannot read the event table" in done.err
