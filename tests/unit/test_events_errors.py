"""Event tables that cannot be used: each message names the row, the column and the cure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.files.events import read_events

NAMES = "ID TIME EVID AMT RATE ROUTE DRUG SS II ADDL HOLD SPAT_OUT WT AGE CMT".split()
DOSE = {"ID": "1", "TIME": "0", "EVID": "1", "AMT": "35", "ROUTE": "iv"}


def refusal(tmp_path: Path, text: str, **options: object) -> InvalidInputError:
    """Return the error that a text gives."""
    path = tmp_path / "doses.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError) as caught:
        read_events(path, **options)  # type: ignore[arg-type]
    return caught.value


def rows(*changes: dict[str, str]) -> str:
    """Return a table of doses with some cells changed."""
    lines = [",".join(NAMES)]
    lines += [",".join({**DOSE, **change}.get(name, ".") for name in NAMES) for change in changes]
    return "\n".join(lines) + "\n"


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInputError, match=r"Cannot read the event table .*nothing\.csv.*: No such file"
    ):
        read_events(tmp_path / "nothing.csv")
    with pytest.raises(InvalidInputError, match="Is a directory"):
        read_events(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "doses.csv"
    path.write_bytes(b"ID,TIME,AMT,ROUTE\n1,0,35,im \xe9\n")
    with pytest.raises(InvalidInputError, match=r"row 2: .* UTF-8 text\. Got the byte 0xe9\. Save it as"):
        read_events(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"doses\.csv, row 1: .* must begin with a header .* Got an empty file\."),
        ("\n\nID,TIME,AMT\n", r"row 1: .* must begin with a header .* Got an empty line\."),
        ("ID,TIME,AMT,ROUTE\n", r"doses\.csv: .* must have rows below its header\."),
        ("ID,TIME,AMT,ROUTE\n\n,,,\n", r"must have rows below its header\."),
        ("ID,TIME,AMT,ROUTE,C\n1,0,35,im,no\n", r"Got none that is not commented out\."),
        ("TIME,AMT,ROUTE\n0,35,im\n", r"row 1: 'ID' must be a column .* Got TIME, AMT, ROUTE\."),
        ("ID,TIMES,AMT\n1,0,35\n", r"row 1: 'TIME' must be a column .* Is it 'TIMES'\? Rename it\."),
        ("ID,TIME,ROUTE\n1,0,im\n", r"row 1: 'EVID' must be a column of an event table, or else AMT\."),
        ("ID TIME AMT\n1 0 35\n", r"row 1: 'ID' .* Put commas, tabs or semicolons"),
        (
            "ID,Time,TIME,AMT\n1,0,0,35\n",
            r"row 1: 'TIME' must be the name of one column\. Got 'Time', 'TIME'\.",
        ),
        ("ID,TIME,AMT,WT,weight_kg\n1,0,35,70,70\n", r"row 1: 'WT' must be given without WEIGHT_KG\."),
        ("ID,TIME,AMT,ROUTE\n1,0,35,im\n1,24,35\n", r"row 3: .* as many fields as the header, 4\. Got 3\."),
        ("ID,TIME,AMT,ROUTE\n1,0,35,im,x\n", r"row 2: .* as many fields as the header, 4\. Got 5\."),
        (
            'ID,TIME,AMT,ROUTE\n1,0,35,"im\n1,24,35,im\n',
            r"row 2: the fields must be told apart\..* quotation mark",
        ),
        ("ID,TIME,EVID,AMT\n1,0,0,.\n", r"doses\.csv, column EVID: a table must hold a dose\. Got none\."),
        ("ID,TIME,AMT\n1,0,.\n", r"doses\.csv, column AMT: a table must hold a dose\. Got none\."),
        ("ID,TIME,EVID\n1,0,1\n", r"row 2, column AMT: 'AMT' must be above 0 where EVID is 1"),
    ],
)
def test_files_and_headers(tmp_path: Path, text: str, message: str) -> None:
    assert re.search(message, str(refusal(tmp_path, text)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ID": "."}, r"column ID: 'ID' must be given in every row\. Got nothing\."),
        ({"TIME": "."}, r"column TIME: 'TIME' must be given in every row\. Got nothing\."),
        ({"TIME": "10:30"}, r"column TIME: 'TIME' must be a number\. Got '10:30'\. Write hours"),
        ({"TIME": "1e6"}, r"column TIME: 'TIME' must be -87600.87600 \(rules/dosing\.toml\)\. Got 1000000\."),
        ({"TIME": "inf"}, r"column TIME: 'TIME' must be a number\. Got 'inf'\."),
        ({"AMT": "-5"}, r"column AMT: 'AMT' must be 0 or more\. Got -5\."),
        (
            {"AMT": "NA"},
            r"column AMT: 'AMT' must be a number\. Got 'NA'\. Write '\.' where nothing is known\.",
        ),
        ({"AMT": '"0,5"'}, r"column AMT: .* Got '0,5'\. Decimal comma\? Write 0\.5\."),
        ({"AMT": "1_0"}, r"column AMT: 'AMT' must be a number\. Got '1_0'\."),
        ({"AMT": "1e999"}, r"column AMT: 'AMT' must be a number\. Got '1e999'\."),
        ({"AMT": "5000"}, r"column AMT: 'amount' of ketamine must be at most 1000 mg"),
        (
            {"AMT": "."},
            r"column AMT: 'AMT' must be above 0 where EVID is 1 \(dose\)\. Got nothing\. In mg of base\.",
        ),
        ({"EVID": "4", "AMT": "0"}, r"column AMT: .* above 0 where EVID is 4 \(reset and dose\)\. Got 0\."),
        (
            {"EVID": "0"},
            r"column AMT: .* 0 or missing where EVID is 0 \(observation\)\. Got 35\. Write EVID 1",
        ),
        ({"EVID": "2"}, r"column AMT: 'AMT' must be 0 or missing where EVID is 2 \(other\)\."),
        ({"EVID": "3"}, r"column AMT: 'AMT' must be 0 or missing where EVID is 3 \(reset\)\."),
        ({"EVID": "7"}, r"column EVID: 'EVID' must be one of 0 \(observation\), 1 \(dose\), .* Got 7\."),
        ({"EVID": "."}, r"column EVID: 'EVID' must be one of .* Got nothing\."),
        (
            {"RATE": "-1"},
            r"column RATE: .* Got -1\. Models that estimate the rate are not supported: give a number",
        ),
        ({"RATE": "-2"}, r"column RATE: .* Got -2\. Models that estimate the duration are not supported"),
        ({"RATE": "-3"}, r"column RATE: 'RATE' must be 0 or more\. Got -3\."),
        (
            {"RATE": "10", "ROUTE": "im"},
            r"column RATE: .* 0 or missing where ROUTE is intramuscular\. Got 10\.",
        ),
        ({"RATE": "10", "ROUTE": "iv_bolus"}, r"column RATE: .* 0 or missing where ROUTE is iv_bolus\."),
        (
            {"ROUTE": "iv_infusion"},
            r"column RATE: .* above 0 where ROUTE is iv_infusion\. Got nothing\. In mg/h",
        ),
        (
            {"RATE": "3500"},
            r"column RATE: 'duration_min' .* must be 2.1440 .* Got 0\.6\..* The duration is AMT / RATE\.",
        ),
        ({"ADDL": "2"}, r"column II: 'II' must be above 0 h where ADDL is above 0\. Got nothing\."),
        ({"ADDL": "2", "II": "0"}, r"column II: 'II' must be above 0 h where ADDL is above 0\. Got 0\."),
        (
            {"ADDL": "-1", "II": "24"},
            r"column ADDL: 'ADDL' must be a whole number from 0 to 10000\. Got -1\.",
        ),
        ({"ADDL": "1.5", "II": "24"}, r"column ADDL: .* Got 1\.5\."),
        ({"ADDL": "1", "II": "1e5"}, r"column II: 'II' must be 0\.25.8760 .* Got 100000\. In hours\."),
        (
            {"SS": "1"},
            r"column II: 'II' must be above 0 h where SS is above 0\. .* constant infusion is not supported",
        ),
        ({"SS": "3", "II": "12"}, r"column SS: 'SS' must be 0, 1 \(.*\) or 2 \(.*\)\. Got 3\."),
        (
            {"SS": "1", "II": "0.5", "RATE": "35"},
            r"column II: 'II' must be at least the 1 h that the infusion takes\.",
        ),
        (
            {"ADDL": "1", "II": "0.5", "RATE": "35"},
            r"column II: .* the 1 h that the infusion takes\. Got 0\.5 h\.",
        ),
        (
            {"SS": "1", "II": "0.25", "AMT": "140", "ROUTE": "in", "DRUG": "esketamine"},
            r"column II: 'II' must be at least the 0\.333333 h that all devices take\.",
        ),
        ({"DRUG": "CBT"}, r"column DRUG: 'drug' must be a drug\. Got CBT, a therapy\."),
        ({"DRUG": "saline"}, r"column DRUG: 'drug' must be one with an amount\. Got saline, a placebo\."),
        ({"HOLD": "10"}, r"column HOLD: 'hold_min' .* must be left out\. Got the route iv_bolus\."),
        ({"ROUTE": "sl", "HOLD": "100"}, r"column HOLD: 'hold_min' .* must be 0\.5.60 .* Got 100\."),
        ({"ROUTE": "sl", "HOLD": "long"}, r"column HOLD: 'HOLD' must be a number\. Got 'long'\."),
        ({"SPAT_OUT": "1"}, r"column SPAT_OUT: 'spat_out' of an order must be left out\."),
        ({"SPAT_OUT": "2", "ROUTE": "sl"}, r"column SPAT_OUT: 'SPAT_OUT' must be 0 or 1\. Got 2\."),
        (
            {"ROUTE": "."},
            r"column ROUTE: 'ROUTE' must be given for a dose, or else CMT\. Got nothing\. Add a column",
        ),
        (
            {"ROUTE": ".", "CMT": "2"},
            r"column CMT: 'CMT' must be 1 or 'central' .* where ROUTE is missing\. Got '2'\.",
        ),
        ({"WT": "2"}, r"column WT: 'weight_kg' must be 3.300 .* Got 2\."),
        ({"WT": "400"}, r"column WT: 'weight_kg' must be 3.300 .* Pounds\? 400 lb is 181 kg\."),
        ({"WT": "heavy"}, r"column WT: 'WT' must be a number\. Got 'heavy'\."),
        ({"AGE": "200"}, r"column AGE: 'age_years' must be 0.120 years\. Got 200\."),
    ],
)
def test_cells(tmp_path: Path, change: dict[str, str], message: str) -> None:
    text = rows({"ID": "other"}, {}, {"TIME": "1", **change})
    if change.get("TIME") or change.get("WT") or change.get("AGE"):
        text = rows({"ID": "other"}, {"ID": "another"}, change)
    assert re.search(r"doses\.csv, row 4, " + message, str(refusal(tmp_path, text)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ROUTE": "sublingal"},
            r"row 2, column ROUTE: Unknown route 'sublingal'\. Did you mean 'sublingual'\?",
        ),
        ({"DRUG": "ketamin"}, r"row 2, column DRUG: Unknown treatment 'ketamin'\. Did you mean 'ketamine'"),
    ],
)
def test_unknown_names_offer_the_nearest(tmp_path: Path, change: dict[str, str], message: str) -> None:
    error = refusal(tmp_path, rows(change))
    assert isinstance(error, UnknownNameError)
    assert re.search(message, str(error))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ({"TIME": "5"}, {"ID": "2"}, {"TIME": "4"}),
            r"rows 2 and 4, column TIME: 'TIME' must be at least 5 h, .* ID '1'\. Got 4 h\. Sort each ID",
        ),
        (
            ({"WT": "70"}, {"WT": "."}, {"WT": "71"}),
            r"rows 2 and 4, column WT: 'WT' must be the same in all rows of ID '1', 70 in row 2\. Got 71\.",
        ),
        (({"AGE": "30"}, {"AGE": "31"}), r"rows 2 and 3, column AGE: 'AGE' must be the same in all rows"),
        (
            ({"RATE": "35"}, {"TIME": "0.5", "RATE": "35"}),
            r"rows 2 and 3, column RATE: .* infusion of ketamine from 0 h ends before the next one\. "
            r"Got an end at 1 h and another infusion from 0\.5 h\. Two lines at once\?",
        ),
        (
            ({"RATE": "35", "ADDL": "3", "II": "12"}, {"TIME": "24.5", "RATE": "35"}),
            r"rows 2 and 3, column RATE: .* from 24 h ends",
        ),
        (
            ({"SS": "1", "II": "12"}, {"SS": "1", "II": "24"}),
            r"rows 2 and 3, column SS: .* Write SS 2 for all but one of them\.",
        ),
    ],
)
def test_rows_that_contradict_each_other_are_both_named(
    tmp_path: Path, changes: tuple[dict[str, str], ...], message: str
) -> None:
    assert re.search(message, str(refusal(tmp_path, rows(*changes))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drug": "ketamien"}, r"Unknown treatment 'ketamien'\. Did you mean 'ketamine'"),
        ({"virtual_per_id": 0}, r"'virtual_per_id' must be a whole number, 1 or more\. Got 0\."),
        ({"virtual_per_id": 2.5}, r"'virtual_per_id' must be a whole number, 1 or more\. Got 2\.5\."),
        ({"default_weight_kg": 1}, r"'weight_kg' must be 3.300"),
    ],
)
def test_arguments(tmp_path: Path, options: dict[str, object], message: str) -> None:
    assert re.search(message, str(refusal(tmp_path, rows({}), **options)))
