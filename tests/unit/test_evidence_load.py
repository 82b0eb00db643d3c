"""The shipped evidence: complete, equal to what was printed, and run as the source says."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from euthymia.citations import cite, load_sources
from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.evidence.load import load_exposures, load_time_courses
from euthymia.evidence.records import ExposureRow, Quantity, Role, TimeCourse
from euthymia.tables import read_table, read_text

PRINTED = "evidence/pk/exposure.csv"


def exposure(row_id: str) -> ExposureRow:
    return next(row for row in load_exposures() if row.row_id == row_id)


def course(row_id: str) -> TimeCourse:
    return next(row for row in load_time_courses() if row.row_id == row_id)


def value(quantity: Quantity | None) -> float | None:
    assert quantity is not None
    return quantity.value


def test_all_101_exposures_load_with_their_roles():
    assert len(load_exposures()) == 101
    assert Counter(row.role for row in load_exposures()) == {
        Role.CALIBRATE: 83,
        Role.VALIDATE: 14,
        Role.CONTEXT: 4,
    }


def test_all_14_time_courses_load_and_were_used_to_calibrate():
    assert len(load_time_courses()) == 14
    assert {row.role for row in load_time_courses()} == {Role.CALIBRATE}


def test_exposures_hold_the_numbers_of_the_papers_by_hand():
    assert value(exposure("E001").run.cmax_ng_per_mL) == 185
    assert exposure("E022").run.cmax_ng_per_mL == Quantity(value=15.6, low=11.1, high=20.1, spread_kind="sd")
    assert exposure("E054").run.cmax_ng_per_mL == Quantity(value=273, low=259, high=287, spread_kind="ci95")
    assert [value(exposure(row).run.cmax_ng_per_mL) for row in ("E068", "E070", "E072")] == [43.8, 72.5, 101]
    assert [value(exposure(row).run.bioavailable_fraction) for row in ("E104", "E105")] == [0.54, 0.51]
    assert value(exposure("E016").run.auc_ng_h_per_mL) == 460
    assert exposure("E028").run.auc_ratio == Quantity(value=18, low=7, high=29, spread_kind="sd")
    assert exposure("E109").run.half_life_h == Quantity(value=None, low=7, high=9, spread_kind="range")


def test_printed_columns_travel_with_the_record():
    assert exposure("E019").printed["notes"].startswith("reported 9.3")
    assert exposure("E034").printed["citation"].endswith("Anaesthesist 1984;33:272-275")


def test_time_courses_hold_the_numbers_of_the_figures_by_hand():
    trauma = course("trauma_iv_bolus_0.5mgkg_racemic_ketamine")
    assert trauma.concentrations == (238, 189, 135, 118)
    assert course("trauma_iv_bolus_0.25mgkg_racemic_ketamine").concentrations == (167, 92, 82.5, 46)
    kamp = course("kamp2020_esketamine_S-ketamine_arterial")
    assert (max(kamp.concentrations), kamp.unit, len(kamp.times_h)) == (1.0335, "nmol/mL", 17)
    hasan = course("hasan2021_iv5mg_racemic_R-ketamine_venous")
    assert (hasan.times_h[1], hasan.concentrations[1]) == (0.5, 12.5633)


def test_time_courses_say_how_they_are_run():
    by_start = {
        "kamp2020_esketamine": ("esketamine 0.14 then 0.28 then 0.57 mg/kg/h iv, 60 min each", "arterial"),
        "kamp2020_racemic": ("ketamine 0.28 then 0.57 then 1.14 mg/kg/h iv, 60 min each", "arterial"),
        "hasan2021": ("ketamine 5 mg iv over 30 min", "venous"),
        "trauma_iv_bolus_0.5mgkg": ("ketamine 0.5 mg/kg iv bolus", "venous"),
        "trauma_iv_bolus_0.25mgkg": ("ketamine 0.25 mg/kg iv bolus", "venous"),
    }
    for row in load_time_courses():
        (start,) = (start for start in by_start if row.row_id.startswith(start))
        assert (row.regimen, row.site, row.weight_kg) == (*by_start[start], 70)


def test_only_dehydronorketamine_has_no_variable():
    uncovered = {row.analyte for row in load_time_courses() if row.variable is None}
    assert uncovered == {"S-DHNK", "R-DHNK"}
    assert course("kamp2020_racemic_total-HNK_arterial").variable == "hydroxynorketamine"


def test_artefacts_at_time_zero_are_marked_where_a_figure_has_them():
    marked = {row.row_id for row in load_time_courses() if row.is_first_point_artefact}
    assert marked == {
        "hasan2021_iv5mg_racemic_R-ketamine_venous",
        "hasan2021_iv5mg_racemic_S-ketamine_venous",
        "kamp2020_esketamine_S-ketamine_arterial",
        "kamp2020_racemic_R-ketamine_arterial",
    }


def test_only_the_digitising_floor_is_censored():
    assert {(row.study[:10], row.censored_from_h) for row in load_time_courses() if row.censored_from_h} == {
        ("Hasan 2021", 12.0)
    }


def test_seven_rows_cannot_be_run_and_say_why():
    refused = {row.row_id: row.run.reason for row in load_exposures() if not row.run.is_runnable}
    assert refused == {
        "E003": "no number printed",
        "E004": "no number printed",
        "E021": "target-controlled infusion: rates not given",
        "E046": "no number printed",
        "E059": "rectal route not modelled",
        "E067": "rectal route not modelled",
        "E112": "(2R,6R)-HNK given as a drug",
    }


def test_every_run_that_covers_its_drug_starts_with_the_composed_model():
    for row in load_exposures():
        assert row.run.sets[:1] == (("composed",) if row.run.is_runnable else ()), row.row_id


def test_arterial_sets_are_not_held_against_venous_peaks_nor_venous_against_arterial():
    for row in load_exposures():
        if row.run.cmax_ng_per_mL or row.run.tmax_h:
            wrong = {"simons-2022", "kamp-2020"} if row.run.site == "venous" else {"fanta-otto-2021"}
            assert not wrong & set(row.run.sets), row.row_id


def test_every_regimen_is_written_in_the_regimen_language():
    regimens = {row.run.regimen for row in load_exposures() if row.run.is_runnable}
    for regimen in regimens | {row.regimen for row in load_time_courses()}:
        parsed = parse_regimen(regimen)
        assert parse_regimen(print_regimen(parsed)) == parsed, regimen


def test_sets_of_a_run_take_its_drug():
    drugs = {row["set"]: row["drugs"].split(";") for row in read_table("parameters/sets.csv")}
    for row in load_exposures():
        for name in row.run.sets:
            assert row.run.regimen.split()[0] in drugs[name], (row.row_id, name)


def test_a_bolus_is_compared_at_its_first_sample_not_at_its_peak():
    assert exposure("E007").run.at_h == pytest.approx(0.083, rel=1e-12, abs=0)
    assert exposure("E007").run.tmax_h is None
    assert exposure("E019").run.at == "end of infusion"


def test_areas_of_yanagihara_belong_to_norketamine_and_the_fraction_to_ketamine():
    run = exposure("E057").run
    assert (run.analyte, run.auc_analyte, run.auc_from_h, run.auc_to_h) == ("ketamine", "s_norketamine", 0, 8)


def test_areas_of_chong_are_per_mg_of_dose():
    assert {row.row_id for row in load_exposures() if row.run.is_auc_per_mg} == {
        "E041", "E042", "E043", "E044", "E045",
    }  # fmt: skip


def test_ancestry_and_age_follow_the_population():
    for row in load_exposures():
        if "Perez-Ruixo C" in row.printed["citation"] and row.population:
            age, group = row.population.split(", ")
            expected = {"Caucasian": "none", "Asian non-Japanese": "asian", "Asian Japanese": "japanese"}
            assert row.run.ancestry == expected[group], row.row_id
            assert row.run.age_years == (70 if age == ">60 y" else 45), row.row_id


def test_doses_of_the_nasal_runs_are_those_printed():
    for row in load_exposures():
        if row.study == "Perez-Ruixo 2021":
            assert row.run.regimen == f"esketamine {row.printed['dose']} mg intranasal", row.row_id


def test_every_source_of_evidence_can_be_cited():
    for row in (*load_exposures(), *load_time_courses()):
        assert cite(row.source_keys)


def test_identifiers_in_the_rows_are_those_of_their_sources():
    for row in (*load_exposures(), *load_time_courses()):
        if row.printed["doi"]:
            assert row.printed["doi"] in {source.doi for source in cite(row.source_keys)}, row.row_id


def test_no_table_of_evidence_names_a_raw_address():
    for table in (
        PRINTED,
        "evidence/pk/exposure_runs.csv",
        "evidence/pk/timecourses/manifest.csv",
        "sources.csv",
    ):
        assert not re.search(r"\b\d{1,3}(\.\d{1,3}){3}\b", read_text(table)), table


def test_the_licence_travels_with_the_digitised_numbers():
    notice = read_text("evidence/pk/timecourses/LICENSES.md")
    assert "Copyright (c) 2026 Anand Srinivasan" in notice
    assert "Permission is hereby granted, free of charge" in notice


def test_the_table_keeps_every_column_of_the_collected_data():
    assert len(read_table(PRINTED)[0]) == 34
    assert list(read_table(PRINTED)[0])[-1] == "source_key"
    assert set(load_sources()) >= {key for row in load_exposures() for key in row.source_keys}
