"""Each check refuses the table that it is there for."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest

from euthymia.citations import load_sources
from euthymia.errors import InvalidInputError
from euthymia.evidence.check import printed_quantity
from euthymia.evidence.load import read_exposures, read_time_courses
from euthymia.evidence.records import Quantity
from euthymia.tables import Row, list_files, read_table

Tables = tuple[list[Row], list[Row]]
FOLDER = "evidence/pk/timecourses"
SETS = {row["set"] for row in read_table("parameters/sets.csv")}


def exposure_tables() -> Tables:
    return (
        deepcopy(list(read_table("evidence/pk/exposure.csv"))),
        deepcopy(list(read_table("evidence/pk/exposure_runs.csv"))),
    )


def series_tables() -> tuple[list[Row], dict[str, list[Row]]]:
    names = [path for path in list_files(FOLDER, ".csv") if not path.endswith("manifest.csv")]
    points = {path.rsplit("/", 1)[1]: deepcopy(list(read_table(path))) for path in names}
    return deepcopy(list(read_table(f"{FOLDER}/manifest.csv"))), points


def put(row_id: str, column: str, text: str, table: int = 0) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        row = next(row for row in tables[table] if row["row_id"] == row_id)
        assert column in row
        row[column] = text

    return change


def run(row_id: str, column: str, text: str) -> Callable[[Tables], None]:
    return put(row_id, column, text, table=1)


def repeat_first_row(tables: Tables) -> None:
    tables[0].append(dict(tables[0][0]))


def repeat_first_run(tables: Tables) -> None:
    tables[1].append(dict(tables[1][0]))


def drop_a_run(tables: Tables) -> None:
    del tables[1][5]


def drop_a_row(tables: Tables) -> None:
    del tables[0][5]


def test_unchanged_tables_pass():
    rows, runs = exposure_tables()
    assert len(read_exposures(rows, runs, sources=load_sources(), sets=SETS)) == 101
    manifest, points = series_tables()
    assert len(read_time_courses(manifest, points, sources=load_sources())) == 14


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("E022", "role", ""), "'role' must be one of 'calibrate'.*Got '' in row E022. Every row"),
        (put("E022", "role", "validated"), "'role' must be one of .*Got 'validated' in row E022"),
        (repeat_first_row, "'row_id' must be given and unique. Got 'E001' 2 time"),
        (repeat_first_run, "'row_id' must be given and unique. Got 'E001' 2 time"),
        (drop_a_run, "'row_id' must be in both tables. Got 'E006' in only one"),
        (drop_a_row, "'row_id' must be in both tables. Got 'E006' in only one"),
        (put("E022", "source_key", "Hassan2021"), "Unknown source 'Hassan2021'.*Hasan2021.*row E022"),
        (put("E022", "source_key", ""), "'source_key' must be given. Got nothing in row E022"),
        (put("E022", "cmax_unit", "ug/L"), "'cmax_unit' must be one of '', 'ng/mL'. Got 'ug/L' in row E022"),
        (put("E016", "auc_unit", "ng*min/mL"), "'auc_unit' must be one of .*row E016"),
        (run("E022", "cmax_ng_per_mL", "16.5"), "'cmax_ng_per_mL' must be '15.6' with spread 'SD 4.5'"),
        (run("E022", "cmax_low", "11.2"), "'cmax_ng_per_mL' must be '15.6' with spread 'SD 4.5'"),
        (run("E022", "cmax_spread_kind", "ci95"), "'cmax_ng_per_mL' must be '15.6' with spread"),
        (run("E022", "cmax_spread_kind", "se"), "'cmax_spread_kind' must be one of"),
        (run("E048", "auc_ng_h_per_mL", "8363"), "'auc_ng_h_per_mL' must be '139.4' .*run E048"),
        (run("E028", "auc_ratio", "30"), "'auc_ratio' must be '18' with spread 'SD 11' .*run E028"),
        (run("E028", "auc_ng_h_per_mL", "18"), "'auc_ng_h_per_mL' must be '' .*run E028"),
        (run("E048", "bioavailable_fraction", ""), "'bioavailable_fraction' must be '0.29' as printed"),
        (run("E058", "auc_low", "380"), "'auc_ng_h_per_mL' must be '280-460' .*run E058"),
        (run("E001", "half_life_h", "3"), "'half_life_h' must be '' with spread '' as printed"),
        (run("E001", "weight_kg", "heavy"), "'weight_kg' must be a number, 0 or more. Got 'heavy'"),
        (run("E001", "weight_kg", "-70"), "'weight_kg' must be a number, 0 or more. Got '-70'"),
        (run("E001", "weight_kg", "nan"), "'weight_kg' must be a number, 0 or more. Got 'nan'"),
        (run("E001", "age_years", ""), "'age_years' must be given. Got nothing in run E001"),
        (run("E001", "runnable", "maybe"), "'runnable' must be one of 'yes', 'no'. Got 'maybe'"),
        (run("E001", "runnable", "no"), "'reason' must be given alone.*run E001"),
        (run("E001", "regimen", ""), "'regimen' must be given with sets.*run E001"),
        (run("E003", "reason", ""), "'reason' must be given alone.*run E003"),
        (run("E001", "analyte", "S-ketamine"), "'analyte' must be one of .*run E001"),
        (run("E001", "site", "presumed"), "'site' must be one of 'arterial', 'venous'"),
        (run("E001", "ancestry", "white"), "'ancestry' must be one of .*run E001"),
        (run("E001", "sets", "composed;domino-1892"), "Unknown parameter set 'domino-1892'. Did you"),
        (run("E001", "at", ""), "'at' must be given exactly where there is a peak.*run E001"),
        (run("E001", "at", "5 min"), "'at' must be 'peak', 'end of infusion' or a time"),
        (run("E016", "auc_to_h", ""), "'auc_to_h' must be a window with a beginning"),
        (run("E048", "auc_from_h", "6"), "'auc_to_h' must be a window with a beginning"),
    ],
)  # fmt: skip
def test_a_changed_exposure_is_refused(change: Callable[[Tables], None], message: str):
    tables = exposure_tables()
    change(tables)
    with pytest.raises(InvalidInputError, match=message):
        read_exposures(*tables, sources=load_sources(), sets=SETS)


def test_every_problem_of_a_table_is_named_at_once():
    tables = exposure_tables()
    put("E001", "role", "")(tables)
    put("E005", "role", "")(tables)
    with pytest.raises(InvalidInputError, match=r"2 problem\(s\)(.|\n)*row E001(.|\n)*row E005"):
        read_exposures(*tables, sources=load_sources(), sets=SETS)


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("role", "", "'role' must be one of .*Got '' in series hasan2021"),
        ("source_key", "Hassan2021", "Unknown source 'Hassan2021'"),
        ("unit", "nmol/mL", "'unit' must be 'nmol/mL' as in the manifest. Got another in series hasan2021"),
        ("unit", "mg/L", "'unit' must be one of 'ng/mL', 'nmol/mL'"),
        ("variable", "R-ketamine", "'variable' must be one of .*series hasan2021"),
        ("site", "vein", "'site' must be one of"),
        ("drop_first_point", "yes", "'drop_first_point' must be one of 'true', 'false'"),
        ("censored_from_h", "late", "'censored_from_h' must be a number"),
        ("regimen", "", "'regimen' must be given with its weight_kg"),
        ("n_points", "11", "'conc' must be as the manifest says in n_points and max_conc"),
        ("max_conc", "12.6", "'conc' must be as the manifest says in n_points and max_conc"),
    ],
)
def test_a_changed_manifest_is_refused(column: str, text: str, message: str):
    manifest, points = series_tables()
    assert column in manifest[0]
    manifest[0][column] = text
    with pytest.raises(InvalidInputError, match=message):
        read_time_courses(manifest, points, sources=load_sources())


@pytest.mark.parametrize(
    ("index", "column", "text", "message"),
    [
        (0, "time_h", "0.6", "'time_h' must be rising"),
        (3, "conc", "-3.5", "'time_h' must be rising, with no negative number"),
        (3, "conc", "BLQ", "'conc' must be a number with a number for time_h"),
        (1, "conc", "12.6", "'conc' must be as the manifest says"),
        (3, "unit", "ug/L", "'unit' must be 'ng/mL' as in the manifest"),
        (0, "time_h", "0.1", "'drop_first_point' must be true only for a point at time 0"),
    ],
)
def test_a_changed_series_is_refused(index: int, column: str, text: str, message: str):
    manifest, points = series_tables()
    points[manifest[0]["file"]][index][column] = text
    with pytest.raises(InvalidInputError, match=message):
        read_time_courses(manifest, points, sources=load_sources())


def test_a_series_that_is_not_in_the_manifest_is_refused():
    manifest, points = series_tables()
    with pytest.raises(
        InvalidInputError, match=r"'file' must be in both tables\. Got 'hasan2021.*in only one"
    ):
        read_time_courses(manifest[1:], points, sources=load_sources())


@pytest.mark.parametrize(
    ("text", "spread", "expected"),
    [
        ("15.6", "SD 4.5", (15.6, 11.1, 20.1, "sd")),
        ("13.0 (SD 6.9)", "", (13.0, 6.1, 19.9, "sd")),
        ("156", "SD 161", (156, 0, 317, "sd")),
        ("100-250", "", (None, 100, 250, "range")),
        ("273", "95% CI 259-287", (273, 259, 287, "ci95")),
        ("0.29", "median; 90% CI 0.27-0.31", (0.29, 0.27, 0.31, "ci90")),
        ("0.75", "median (0.25-1.0)", (0.75, 0.25, 1.0, "range")),
        ("0.08", "IIV 11%", (0.08, None, None, "none")),
        ("0.333", "within", (0.333, None, None, "none")),
    ],
)
def test_a_printed_cell_is_read_with_its_spread(
    text: str, spread: str, expected: tuple[float | None, float | None, float | None, str]
):
    value, low, high, kind = expected
    read = printed_quantity(text, spread)
    rounded = [None if limit is None else round(limit, 9) for limit in (read.value, read.low, read.high)]
    assert (*rounded, read.spread_kind) == (value, low, high, kind)
    assert isinstance(read, Quantity)
