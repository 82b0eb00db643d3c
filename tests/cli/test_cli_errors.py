"""Bad input ends with 2, a failed run with 1; the message says what must hold and how to cure it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from tests.cli.commands import INFUSION, Command, names_in

from euthymia.model.scales import scales
from euthymia.population.run import ENGINES
from euthymia.population.settings import settings

BAD_REGIMENS = {
    "ketamin 35 mg im": "Unknown treatment 'ketamin'. Did you mean 'ketamine'",
    "ketamine 35 mg intranasl": "Unknown route 'intranasl'. Did you mean 'intranasal'",
    "ketamine 35 mq im": "Unknown unit 'mq'. Did you mean 'mg'?",
    "ketamine -35 mg im": "Expected an amount of ketamine, such as '0.5 mg/kg' or '35 mg'. Got '-'.",
    "ketamine 0 mg im": "'amount' of ketamine must be above 0. Got 0.",
    "ketamine 5000 mg im": "'amount' of ketamine must be at most 1000 mg (rules/dosing.toml).",
    "ketamine 50 mg/kg im": "'amount' of ketamine must be at most 15 mg/kg (rules/dosing.toml).",
    "ketamine 0.5 mg/kg iv": "'iv' needs its duration. Write 'iv over 40 min' for an infusion or 'iv bolus'",
    "ketamine 0.5 mg/kg iv over 0.67 min": "(rules/dosing.toml). Got 0.67. Hours? 0.67 h is 40 min.",
    "ketamine 35 mg iv over 40 min, every 0.5 h x 2": "must be apart in time within one clause.",
    "": "The regimen is empty. Write, for example, 'ketamine 0.5 mg/kg iv over 40 min'.",
}
BAD_OPTIONS = {
    "--weight-kg 2.9": "'weight_kg' must be 3–300 (rules/dosing.toml). Got 2.9. In kilograms.",
    "--weight-kg 301": "'weight_kg' must be 3–300 (rules/dosing.toml). Got 301. Pounds? 301 lb is 137 kg.",
    "--weight-kg -70": "'weight_kg' must be 3–300",
    "--weight-kg nan": "'weight_kg' must be a finite number. Got nan.",
    "--age-years 121": "'age_years' must be 0–120 years. Got 121.",
    "--ancestry japan": "Unknown ancestry 'japan'. Did you mean 'japanese'",
    "--hepatic mild": "'hepatic_class' must be normal or moderate (hepatic.csv). Got 'mild', for",
    "--hepatic severe": "Got 'severe', for which no exposure ratio is known (no number exists).",
    "--hepatic moderat": "Unknown hepatic class 'moderat'. Did you mean 'moderate'?",
    "--comedication ticlopidin": "Unknown comedication 'ticlopidin'. Did you mean 'ticlopidine'",
    "--comedication aspirin": "Known: clarithromycin, grapefruit juice, itraconazole, rifampicin,",
    "--parameters composd": "Unknown parameter set 'composd'. Did you mean 'composed'? See 'euthymia sets'.",
    "--set s_clearnce_L_per_h=50": "Did you mean 'pk.s_clearance_L_per_h'",
    "--set s_clearance_L_per_h": "'--set' must be KEY=NUMBER, such as s_clearance_L_per_h=80.",
    "--set s_clearance_L_per_h=fast": "'--set' must be KEY=NUMBER",
    "--set s_clearance_L_per_h=1e9": "must be 4.44–1780 L/h (parameters, set composed). Got 1e+09.",
    "--set s_clearance_L_per_h=-1": "'s_clearance_L_per_h' must be 4.44–1780 L/h",
    "--set s_clearance_L_per_h=nan": "Got nan.",
    "--variables ketamin": "Unknown variable 'ketamin'. Did you mean",
    "--variables ,": "'--variables' must be names separated by commas, or all. Got ','.",
    "--variables s_ketamine_plasma": "Unknown variable of this set and drug 's_ketamine_plasma'.",
    "--unit ng/ml": "Unknown unit of concentration 'ng/ml'. Did you mean 'ng/mL'?",
    "--observe veinous": "Unknown sampling site 'veinous'. Did you mean 'venous'?",
    "--patients 0": "'patients' must be 1 or more. Got 0. Leave it out for one typical patient.",
    "--days 0.01": "'days' must be 0.0278 (end of the last item) to 3650 (rules/dosing.toml). Got 0.01.",
    "--days -1": "'days' must be 0.0278 (end of the last item)",
    "--days nan": "'days' must be 0.0278 (end of the last item)",
    "--days inf": "'days' must be 0.0278 (end of the last item) to 3650",
    "--times one,two": "'--times' must be numbers separated by commas, such as 0,0.5,1. Got 'one,two'.",
    "--times 2,1": "'times_h' must be strictly ascending. Got 1 h after 2 h.",
    "--times 0,nan": "'times_h' must be a list of finite hours.",
    "--times ,": "'times_h' must be a list of finite hours.",
    "--json --csv": "'--json' and '--csv' both want standard output. Give one. '--out' writes more files.",
    "--out result.xlsx": "'--out' must end in .parquet, .csv, .json, or have no suffix for a run folder.",
    "--days 0.01 --concentrations": "'days' must be 0.0278 (end of the last dose) to 3650",
    "--scales foo": f"Unknown scale 'foo'. Known: {', '.join(sorted(scales()))}.",
    "--scales ,": "'--scales' must name a scale, such as madrs or madrs,phq9. Got nothing.",
    "--setting hospital": f"Unknown setting 'hospital'. Known: {', '.join(sorted(settings()))}.",
    "--setting opn": "Unknown setting 'opn'. Did you mean 'open'",
    "--setting open+": "Unknown setting ''.",
    "--setting open+saline": "'setting' must be one setting, or one with '+admission'. Got 'open+saline'.",
    "--setting admission+open": "'setting' must be one setting, or one with '+admission'.",
    "--already-on escitalopram": "'already on' must be drug and dose a day in mg, 'escitalopram 10 mg' or",
    "--entry-madrs 28": "'entry' must be used with a number of alike virtual patients. Got typical",
    "--entry-madrs 61 --patients 2": "Got MADRS of 61 or more at the start, met by 0. Lower the total.",
    "--entry-madrs nan --patients 2": "'entry' must be a rule that 2 of 400 virtual patients meet.",
    "--outcome death": "Unknown outcome 'death'. Known: relapse.",
    "--engine fast": f"Unknown engine 'fast'. Known: {', '.join(sorted(ENGINES))}.",
    "--variables zzz": "Unknown variable 'zzz'. See 'euthymia variables'.",
    "--set receptor.potency=1": "Unknown parameter 'receptor.potency'.",
    "--set signalling.direct_weight_fraction=7": "must be 0–1 (parameters, set composed). Got 7.",
    "--parameters kamp-2020 --compare ketamine": "'--compare' cannot be given without the whole chain",
    "--times 0,200 --days 3": "'times_h' must be within 3 days. Got 200 h.",
    "--patients many": "Invalid value for '--patients'",
    "--nosuch": "No such option: --nosuch",
}


def check_failed(done: tuple[int, str, str], code: int, message: str) -> None:
    """Refuse an end with another code, with a traceback, or with something on standard output."""
    assert done == (code, "", done[2])
    assert message in done[2]
    assert "Traceback" not in done[2]


@pytest.mark.parametrize(("regimen", "message"), BAD_REGIMENS.items())
def test_bad_regimen_is_refused(command: Command, regimen: str, message: str):
    check_failed(command("simulate", regimen), 2, message)


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS.items())
def test_bad_option_is_refused(command: Command, options: str, message: str):
    check_failed(command("simulate", INFUSION, *options.split()), 2, message)


def test_error_points_at_the_word(command: Command):
    done = command("simulate", "ketamine 35 mg intranasl")
    assert done.err.splitlines()[1:] == ["  ketamine 35 mg intranasl", "                 " + "^" * 9]


def test_route_that_a_set_does_not_cover_names_the_sets_that_do(command: Command):
    done = command("simulate", "ketamine 35 mg im", "--parameters", "kamp-2020")
    check_failed(done, 2, "Got ketamine intramuscular. Sets that cover it: composed.")


def test_site_that_a_set_does_not_have_names_the_one_it_has(command: Command):
    regimen = "esketamine 28 mg iv over 40 min"
    done = command("simulate", regimen, "--parameters", "perez-ruixo-2021", "--observe", "arterial")
    check_failed(
        done, 2, "'--observe' must be venous or both for the set 'perez-ruixo-2021'. Got 'arterial'."
    )


def test_two_bad_words_are_reported_before_anything_is_written(command: Command, tmp_path: Path):
    check_failed(command("simulate", "ketamin 35 mg im", "--out", tmp_path / "a.csv"), 2, "ketamin")
    assert names_in(tmp_path) == []


def test_missing_regimen_and_unknown_command_show_how_to_get_help(command: Command):
    check_failed(command("simulate"), 2, "Missing argument 'REGIMEN|FILE.csv'.")
    check_failed(command("simulat"), 2, "No such command 'simulat'. Did you mean 'simulate'?")


# --- disk --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.json", "run", "deep/a.parquet"])
def test_out_below_a_regular_file_fails(command: Command, tmp_path: Path, name: str):
    (tmp_path / "file").write_text("kept")
    done = command("simulate", INFUSION, "--out", tmp_path / "file" / name)
    check_failed(done, 1, f"Cannot write '{tmp_path / 'file' / name}")
    assert names_in(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_out_onto_a_folder_fails(command: Command, tmp_path: Path):
    (tmp_path / "a.csv").mkdir()
    check_failed(
        command("simulate", INFUSION, "--out", tmp_path / "a.csv"), 1, "it is a folder. Give a file name."
    )


def test_report_into_a_folder_that_cannot_be_made_fails(command: Command, tmp_path: Path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "deep" / "report.html"
    check_failed(
        command("simulate", INFUSION, "--report", path), 1, f"Cannot write '{path}': Not a directory."
    )
    assert names_in(tmp_path) == ["file"]


def test_demo_into_a_folder_that_cannot_be_made_fails(command: Command, tmp_path: Path):
    (tmp_path / "file").write_text("")
    check_failed(command("demo", "--out", tmp_path / "file" / "demo"), 1, "Cannot write")


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.json", "run"])
def test_full_disk_leaves_nothing_half_written(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("euthymia.files.writing.os.replace", full)
    done = command("simulate", INFUSION, "--times", "0,1", "--out", tmp_path / name)
    assert done.code == 1
    assert "No space left on device. Nothing was left there." in done.err
    assert names_in(tmp_path) == []


def test_failed_write_keeps_the_older_file(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.json"
    path.write_text("older")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("euthymia.files.writing.os.replace", full)
    assert command("simulate", INFUSION, "--times", "0,1", "--out", path).code == 1
    assert (names_in(tmp_path), path.read_text()) == (["a.json"], "older")
