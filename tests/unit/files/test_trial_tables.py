"""Patients of a virtual trial as tables: what they hold, that they agree, and every format read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.unit.trials.cohorts import CROSSOVER, MINUTES, PARALLEL, TRANSFORMS, make_cohort, make_protocol

from euthymia.errors import InvalidInputError, RunFailedError, UnknownNameError
from euthymia.files.trial_domains import DISPOSITIONS, arm_codes, study_day
from euthymia.files.trial_findings import READINGS, scale_code
from euthymia.files.trial_tables import (
    TITLES,
    PatientTable,
    patient_tables,
    table_problems,
    write_tables,
)
from euthymia.model.scales import scales
from euthymia.tables import read_table
from euthymia.trials import records
from euthymia.trials.records import Cohort

DESIGNS = [None, CROSSOVER, TRANSFORMS]


def cohort_of(design: dict | None) -> Cohort:
    return make_cohort(make_protocol(design))


@pytest.mark.parametrize("design", DESIGNS)
def test_tables_have_the_columns_of_their_data_file(design: dict | None):
    tables = patient_tables(cohort_of(design))
    assert list(tables) == list(TITLES)
    for name, table in tables.items():
        assert table.frame.columns == [
            row["name"] for row in read_table("patient_tables.csv") if row["table"] == name
        ]
        assert set(table.frame["DOMAIN"]) <= {name}
        assert all(study.startswith("SIMULATED ") for study in table.frame["STUDYID"])


@pytest.mark.parametrize(
    "row", read_table("patient_tables.csv"), ids=lambda row: f"{row['table']}.{row['name']}"
)
def test_column_fits_the_transport_format_and_names_follow_the_standard(row: Mapping[str, str]):
    assert 0 < len(row["name"]) <= 8
    assert 0 < len(row["label"]) <= 40
    assert row["label"].isascii()
    assert row["kind"] in ("text", "whole", "number")
    general = ("STUDYID", "DOMAIN", "USUBJID", "VISIT", "VISITNUM", "VISITDY")
    if row["is_standard"] == "yes" and row["table"] != "DM" and row["name"] not in general:
        assert row["name"].startswith(row["table"]), "variables of a domain begin with its two letters"


def test_one_row_a_patient_with_what_is_known_of_them():
    cohort = make_cohort()
    frame = patient_tables(cohort)["DM"].frame
    assert frame["USUBJID"].to_list() == list(cohort.subjects)
    first, unknown = frame.row(0, named=True), frame.row(1, named=True)
    assert first["AGE"] == int(cohort.people[0].age_years or -1)
    assert first["SEX"] == (cohort.people[0].sex or "?")[0].upper()
    assert (first["ARMCD"], first["ARM"], first["ACTARM"]) == ("KETAMINE", "Ketamine", "Ketamine")
    assert (unknown["AGE"], unknown["AGEU"], unknown["SEX"]) == (None, None, "U")


def test_doses_are_those_of_the_sessions_that_took_place():
    cohort = make_cohort(leaving_share=0.0)
    frame = patient_tables(cohort)["EX"].frame
    sessions = cohort.sessions
    happened = ~(sessions.was_held | sessions.was_missed)
    assert frame.height == happened.sum() < happened.size
    np.testing.assert_allclose(frame["EXDOSE"], sessions.given_mg[happened], rtol=1e-14, atol=0)
    assert frame.filter(pl.col("EXTRT") == "SALINE")["EXDOSE"].unique().to_list() == [0.0]
    one = frame.filter(pl.col("USUBJID") == cohort.subjects[0]).row(0, named=True)
    assert (one["EXTRT"], one["EXROUTE"], one["EXDOSU"], one["EXSTDY"]) == (
        "KETAMINE",
        "INTRAVENOUS",
        "mg",
        1,
    )
    assert one["EXENHR"] == pytest.approx(40 / 60, rel=1e-15)


def test_treatments_of_a_crossover_follow_the_sequence():
    cohort = cohort_of(CROSSOVER)
    frame = patient_tables(cohort)["EX"].frame
    given = {
        subject: frame.filter(pl.col("USUBJID") == subject)["EXTRT"].to_list() for subject in cohort.subjects
    }
    for subject, arm in zip(cohort.subjects, cohort.arm, strict=True):
        planned = [name.upper() for name in CROSSOVER["crossover"]["sequences"][arm]]
        assert given[subject] == planned[: len(given[subject])]
    assert any(len(drugs) == 2 for drugs in given.values())


def test_tablets_at_home_are_no_sessions():
    frame = patient_tables(cohort_of(TRANSFORMS))["EX"].frame
    assert set(frame["EXTRT"]) == {"ESKETAMINE", "PLACEBO"}
    assert set(frame["EXROUTE"]) == {"NASAL"}


def test_nobody_has_a_dose_after_leaving_or_a_total_that_was_not_rated():
    cohort = make_cohort(leaving_share=0.9)
    tables = patient_tables(cohort)
    left = dict(zip(cohort.subjects, cohort.left_h, strict=True))
    for subject, time_h in tables["EX"].frame.select("USUBJID", "EXSTHR").iter_rows():
        assert time_h < left[subject]
    totals = tables["QS"].frame.filter(pl.col("QSCAT") == "MADRS")
    assert totals.height == np.isfinite(cohort.scores["MADRS"]).sum()


def test_totals_are_found_again_by_subject_test_and_visit():
    cohort = make_cohort()
    frame = patient_tables(cohort)["QS"].frame
    for scale, totals in cohort.scores.items():
        rows = frame.filter(pl.col("QSCAT") == scale)
        found = np.full_like(totals, np.nan)
        for subject, visit, value in rows.select("USUBJID", "VISITNUM", "QSSTRESN").iter_rows():
            found[cohort.subjects.index(subject), visit - 1] = value
        np.testing.assert_array_equal(found, totals)
        assert [float(text) for text in rows["QSORRES"]] == rows["QSSTRESN"].to_list()


def test_readings_are_found_again_by_subject_test_session_and_minute():
    cohort = make_cohort()
    tables = patient_tables(cohort)
    for name, (table, code, _, _) in READINGS.items():
        values = cohort.sessions.readings[name]
        rows = tables[table].frame.filter(pl.col(f"{table}TESTCD") == code)
        found = np.full_like(values, np.nan)
        columns = ("USUBJID", "VISITNUM", f"{table}TPTNUM", f"{table}STRESN")
        for subject, visit, minute, value in rows.select(columns).iter_rows():
            found[cohort.subjects.index(subject), visit - 1001, list(MINUTES).index(minute)] = value
        np.testing.assert_array_equal(found, values)


def test_every_reading_of_a_session_has_a_place():
    assert set(READINGS) == set(records.READINGS)
    assert set(DISPOSITIONS) == {records.COMPLETED, records.WITHDREW, records.AFTER_EVENT}


def test_baseline_is_the_last_finding_before_the_first_dose():
    cohort = make_cohort(leaving_share=0.0)
    tables = patient_tables(cohort)
    for name in ("QS", "VS"):
        marked = tables[name].frame.filter(pl.col(f"{name}BLFL") == "Y")
        assert marked.select("USUBJID", f"{name}TESTCD").is_unique().all()
        assert marked[f"{name}HR"].max() == 0.0
    madrs = tables["QS"].frame.filter((pl.col("QSCAT") == "MADRS") & (pl.col("QSBLFL") == "Y"))
    assert madrs["QSSTRESN"].to_list() == cohort.scores["MADRS"][:, 0].tolist()


def test_of_two_visits_before_the_dose_the_later_one_is_baseline():
    visits = [{"at": "day -7"}, {"at": "day 0"}, {"at": "day 14"}]
    cohort = make_cohort(make_protocol(visits=visits))
    frame = patient_tables(cohort)["QS"].frame.filter(pl.col("QSCAT") == "MADRS")
    at_zero = set(frame.filter(pl.col("VISIT") == "BASELINE")["USUBJID"])
    marked = frame.filter(pl.col("QSBLFL") == "Y")
    assert set(marked["USUBJID"]) == set(cohort.subjects)
    for subject, visit in marked.select("USUBJID", "VISIT").iter_rows():
        assert visit == ("BASELINE" if subject in at_zero else "DAY -7")
    assert len(at_zero) < len(cohort.subjects), "somebody must have missed the visit"


def test_events_and_ends_are_those_of_the_cohort():
    cohort = make_cohort(leaving_share=0.5)
    tables = patient_tables(cohort)
    assert tables["AE"].frame.height == sum(flags.sum() for flags in cohort.sessions.events.values())
    ends = tables["DS"].frame.filter(pl.col("DSCAT") == "DISPOSITION EVENT")
    assert ends["DSDECOD"].to_list() == [DISPOSITIONS[reason] for reason in cohort.reason]
    hours = np.where(cohort.has_left, cohort.left_h, cohort.actual_h[:, -1])
    assert ends["DSSTHR"].to_list() == hours.tolist()


def test_who_was_not_well_at_the_point_of_withdrawal_was_not_assigned():
    withdrawal = {"at": "day 1", "rule": "response"}
    stopped = "ketamine 0.5 mg/kg iv over 40 min then saline iv over 40 min at 168 h"
    arms = PARALLEL["arms"] | {"saline": PARALLEL["arms"]["saline"] | {"regimen": stopped}}
    protocol = make_protocol(design="withdrawal", withdrawal=withdrawal, arms=arms)
    cohort = make_cohort(protocol)
    well = np.arange(len(cohort.people)) % 2 == 0
    tables = patient_tables(replace(cohort, is_analysed=well))
    people = tables["DM"].frame
    assert [code is not None for code in people["ARMCD"]] == well.tolist()
    assert people.filter(pl.col("ARMCD").is_null())["ARMNRS"].unique().to_list() == ["NOT ASSIGNED"]
    randomised = tables["DS"].frame.filter(pl.col("DSDECOD") == "RANDOMIZED")
    assert randomised["USUBJID"].to_list() == [
        one for one, is_well in zip(cohort.subjects, well, strict=True) if is_well
    ]
    assert set(randomised["DSSTHR"]) == {24.0}


def test_who_got_nothing_has_no_actual_arm():
    cohort = make_cohort(leaving_share=0.0)
    missed = cohort.sessions.was_missed.copy()
    missed[2], given = True, cohort.sessions.given_mg.copy()
    given[2] = 0.0
    sessions = replace(cohort.sessions, was_missed=missed, given_mg=given)
    row = patient_tables(replace(cohort, sessions=sessions))["DM"].frame.row(2, named=True)
    assert (row["ARMCD"], row["ACTARMCD"], row["ARMNRS"]) == ("KETAMINE", None, "ASSIGNED, NOT TREATED")


@pytest.mark.parametrize(
    ("time_h", "day"),
    [(-168, -7), (-24, -1), (-9.001, -1), (-9, 1), (0, 1), (14.999, 1), (15, 2), (24, 2), (168, 8)],
)
def test_study_days_have_no_day_0(time_h: float, day: int):
    assert study_day([time_h]).tolist() == [day]


def test_numbers_within_a_subject_go_from_one_up():
    tables = patient_tables([make_cohort(), make_cohort(replicate=1)])
    for name in ("EX", "QS", "VS", "AE", "DS"):
        for (_,), rows in tables[name].frame.group_by(["USUBJID"]):
            assert rows[f"{name}SEQ"].to_list() == list(range(1, rows.height + 1))


def test_several_replicates_stand_in_one_table_with_subjects_of_their_own():
    one, two = make_cohort(), make_cohort(replicate=1)
    frame = patient_tables([one, two])["DM"].frame
    assert frame["USUBJID"].to_list() == [*one.subjects, *two.subjects]
    assert frame["REPLICAT"].to_list() == [0] * len(one.people) + [1] * len(two.people)


def test_same_cohort_twice_is_noticed():
    with pytest.raises(RunFailedError, match="DM has two rows of the same USUBJID"):
        patient_tables([make_cohort(), make_cohort()])


def test_total_outside_its_scale_is_noticed():
    cohort = make_cohort()
    totals = cohort.scores["MADRS"].copy()
    totals[0, 0] = 61.0
    with pytest.raises(RunFailedError, match="QS holds a MADRS of 61, which goes from 0 to 60"):
        patient_tables(replace(cohort, scores={**cohort.scores, "MADRS": totals}))


def test_subject_who_is_not_in_dm_and_impossible_pressure_are_noticed():
    tables = patient_tables(make_cohort())
    frame = tables["VS"].frame.with_columns(USUBJID=pl.lit("nobody"), VSSTRESN=pl.lit(-1.0))
    problems = table_problems({**tables, "VS": PatientTable(name="VS", frame=frame)})
    assert any("VS names 'nobody', who is not in DM" in one for one in problems)
    assert any("VS holds a" in one and "of -1" in one for one in problems)


def test_no_cohort_is_refused():
    with pytest.raises(InvalidInputError, match="one or more"):
        patient_tables([])


def test_codes_of_arms_are_short_and_different():
    first = make_protocol().arms["ketamine"].model_dump(exclude={"setting"}) | {"n": 3}
    arms = {"a" * 30: first, "a" * 29 + "b": first | {"is_control": True}}
    codes = arm_codes(make_cohort(make_protocol(arms=arms)))
    assert len(set(codes)) == 2
    assert all(len(code) <= 20 for code in codes)
    assert arm_codes(cohort_of(CROSSOVER)) == ("KETAMINE-MIDAZOLAM", "MIDAZOLAM-KETAMINE")


def test_codes_of_scales_are_short_and_different():
    codes = [scale_code(name) for name in scales()]
    assert len(set(codes)) == len(codes)
    assert all(len(code) <= 8 and code[0].isalpha() for code in codes)


def test_every_format_reads_back_as_the_frame(tmp_path: Path):
    tables = patient_tables(cohort_of(TRANSFORMS))
    written = write_tables(tables, tmp_path)
    assert len(written) == 3 * len(TITLES) + 1
    for name, table in tables.items():
        path = tmp_path / name.lower()
        assert pl.read_parquet(path.with_suffix(".parquet")).equals(table.frame)
        as_text = pl.read_csv(path.with_suffix(".csv"), schema=table.frame.schema)
        assert as_text.equals(table.frame)
        check_xpt(path.with_suffix(".xpt"), table)


def check_xpt(path: Path, table: PatientTable) -> None:
    """Hold what pandas reads against the frame; pandas takes the bytes of 0 for 16^-65."""
    found = pd.read_sas(path, format="xport", encoding="utf-8")
    assert isinstance(found, pd.DataFrame)
    assert list(found.columns) == table.frame.columns
    assert len(found) == table.frame.height
    for name in table.frame.columns:
        ours = table.frame[name]
        if ours.dtype == pl.String:
            assert found[name].fillna("").to_list() == ours.fill_null("").to_list()
        else:
            theirs = found[name].to_numpy(dtype=float)
            theirs = np.where(theirs == 16.0**-65, 0.0, theirs)
            np.testing.assert_array_equal(theirs, ours.cast(float).fill_null(np.nan).to_numpy())


def test_files_say_that_they_are_simulated(tmp_path: Path):
    write_tables(patient_tables(make_cohort()), tmp_path)
    assert pl.read_parquet_metadata(tmp_path / "dm.parquet")["label"] == "SIMULATED Demographics"
    assert b"SIMULATED Demographics" in (tmp_path / "dm.xpt").read_bytes()
    assert (tmp_path / "dm.csv").read_text(encoding="utf-8").splitlines()[1].startswith("SIMULATED MADE-UP,")


def test_same_cohort_gives_the_same_bytes(tmp_path: Path):
    for folder in ("a", "b"):
        write_tables(patient_tables(make_cohort()), tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_table_without_rows_is_written(tmp_path: Path):
    cohort = make_cohort()
    nothing = {name: np.zeros_like(flags) for name, flags in cohort.sessions.events.items()}
    tables = patient_tables(replace(cohort, sessions=replace(cohort.sessions, events=nothing)))
    write_tables(tables, tmp_path)
    assert pl.read_parquet(tmp_path / "ae.parquet").height == 0
    assert (tmp_path / "ae.xpt").stat().st_size % 80 == 0


def test_unknown_format_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(UnknownNameError, match="Unknown format of tables 'sas'"):
        write_tables(patient_tables(make_cohort()), tmp_path, ("parquet", "sas"))
    assert not list(tmp_path.iterdir())


def test_disk_that_cannot_be_written_is_an_error_of_the_run(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFailedError, match="Cannot write"):
        write_tables(patient_tables(make_cohort()), tmp_path / "file" / "tables")


def test_inactive_session_that_was_not_needed_is_known_by_its_missing_readings():
    cohort = make_cohort(leaving_share=0.0)
    person = cohort.subjects.index("made-up-0000-0007")
    assert cohort.sessions.planned_mg[person, 0] == 0
    unread = {name: values.copy() for name, values in cohort.sessions.readings.items()}
    for values in unread.values():
        values[person, 0] = np.nan
    skipped = replace(cohort, sessions=replace(cohort.sessions, readings=unread))
    before, after = (patient_tables(one)["EX"].frame.height for one in (cohort, skipped))
    assert after == before - 1
    nothing = {name: np.full_like(values, np.nan) for name, values in unread.items()}
    never_read = replace(cohort, sessions=replace(cohort.sessions, readings=nothing))
    assert patient_tables(never_read)["EX"].frame.height == before
