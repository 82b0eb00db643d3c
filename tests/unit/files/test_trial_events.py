"""The event table of a virtual trial: the doses read back, findings stand beside them in order of time."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.trials.cohorts import CROSSOVER, MINUTES, PARALLEL, TRANSFORMS, make_cohort, make_protocol

from euthymia.dosing.drug import find_drug
from euthymia.files.events import read_events
from euthymia.files.trial_events import COLUMNS, event_rows, write_trial_events
from euthymia.trials.records import Cohort

STEPS = PARALLEL | {
    "arms": {
        "steps": {"n": 3, "regimen": "ketamine 0.14 then 0.28 then 0.57 mg/kg/h iv, 60 min each"},
        "film": {"n": 3, "regimen": "ketamine 100 mg sublingual held 10 min, weekly x 2", "is_control": True},
    }
}


def given_mg(cohort: Cohort) -> dict[str, list[tuple[float, float]]]:
    """Return hour and amount of the sessions of each patient in which a drug was given."""
    found: dict[str, list[tuple[float, float]]] = {}
    sessions = cohort.sessions
    for person in range(len(cohort.people)):
        rows = []
        for place in np.flatnonzero(sessions.given_mg[person] > 0):
            rows.append((float(sessions.start_h[person, place]), float(sessions.given_mg[person, place])))
        found[str(person + 1)] = sorted(rows)
    return found


@pytest.mark.parametrize("design", [PARALLEL, CROSSOVER, TRANSFORMS, STEPS], ids=lambda one: one["id"])
def test_doses_read_back_as_they_were_given(tmp_path: Path, design: dict):
    cohort = make_cohort(make_protocol(design))
    table = read_events(write_trial_events(cohort, tmp_path / "events.csv"))
    assert [one.label for one in table.subjects] == [str(number) for number in cohort.number]
    starts = given_mg(cohort)
    for subject, patient in zip(table.subjects, cohort.people, strict=True):
        assert subject.patient.weight_kg == patient.weight_kg
        assert subject.patient.age_years == patient.age_years
        doses = [one.dose for epoch in subject.epochs for one in epoch.given if np.any(one.dose.amount_umol)]
        for start_h, amount_mg in starts[subject.label]:
            own = [dose for dose in doses if start_h <= dose.start_h < start_h + 12.0]
            total = sum(float(dose.amount_umol) / find_drug(dose.drug).umol_per_mg() for dose in own)
            assert total == pytest.approx(amount_mg, rel=1e-13)
            assert min(dose.start_h for dose in own) == start_h
        assert len({dose.start_h // 12.0 for dose in doses}) == len(starts[subject.label])


def test_drugs_and_lengths_of_infusions_read_back(tmp_path: Path):
    cohort = make_cohort(make_protocol(CROSSOVER))
    table = read_events(write_trial_events(cohort, tmp_path / "events.csv"))
    for subject, arm in zip(table.subjects, cohort.arm, strict=True):
        sequence = CROSSOVER["crossover"]["sequences"][arm]
        for dose in (one.dose for one in subject.epochs[0].given if np.any(one.dose.amount_umol)):
            assert dose.drug == sequence[int(dose.start_h // 504.0)]
            assert dose.duration_h == pytest.approx(40 / 60, rel=1e-13)


def test_level_of_a_flexible_dose_is_kept(tmp_path: Path):
    cohort = make_cohort(make_protocol(TRANSFORMS), leaving_share=0.0)
    higher = np.where(np.arange(cohort.sessions.start_h.shape[1]) > 0, 1.5, 1.0)
    sessions = replace(cohort.sessions, given_mg=cohort.sessions.given_mg * higher)
    table = read_events(write_trial_events(replace(cohort, sessions=sessions), tmp_path / "events.csv"))
    doses = [one.dose for one in table.subjects[0].epochs[0].given]
    per_mg = find_drug("esketamine").umol_per_mg()
    amounts = {round(float(dose.amount_umol) / per_mg) for dose in doses}
    assert amounts == {28}
    assert sum(dose.start_h < 1.0 for dose in doses) == 2
    assert {sum(abs(dose.start_h - start) < 1.0 for dose in doses) for start in (72.0, 168.0, 240.0)} <= {
        0,
        3,
    }


def test_findings_are_all_there_with_their_values():
    cohort = make_cohort()
    rows = [row for row in event_rows(cohort) if row["EVID"] == "0"]
    numbers = {row["DVNAME"]: row["DVID"] for row in rows}
    assert len(set(numbers.values())) == len(numbers) == 7
    madrs = [float(row["DV"]) for row in rows if row["DVNAME"] == "MADRS"]
    totals = cohort.scores["MADRS"]
    assert sorted(madrs) == sorted(totals[np.isfinite(totals)].tolist())
    assert {row["MDV"] for row in rows} == {"0"}
    read = [row for row in rows if row["DVNAME"] == "systolic_mmHg"]
    assert {round(float(row["TIME"]) * 60, 6) % (168 * 60) for row in read} == set(MINUTES)


def test_rows_of_a_subject_stand_together_in_order_of_time_findings_first():
    rows = list(event_rows(make_cohort()))
    labels = [row["ID"] for row in rows]
    assert labels == sorted(labels, key=int)
    for label in dict.fromkeys(labels):
        own = [(float(row["TIME"]), row["EVID"] != "0") for row in rows if row["ID"] == label]
        assert own == sorted(own)


def test_sessions_that_were_held_missed_or_inactive_are_other_events():
    cohort = make_cohort(leaving_share=0.0)
    other = [row["DVNAME"] for row in event_rows(cohort) if row["EVID"] == "2"]
    assert other.count("session held") == cohort.sessions.was_held.sum() > 0
    assert other.count("session missed") == cohort.sessions.was_missed.sum() > 0
    assert (
        other.count("saline")
        == (cohort.sessions.planned_mg == 0).sum()
        - ((cohort.sessions.was_held | cohort.sessions.was_missed) & (cohort.sessions.planned_mg == 0)).sum()
    )


def test_subjects_of_several_replicates_are_numbered_on(tmp_path: Path):
    cohorts = [make_cohort(), make_cohort(replicate=1)]
    path = write_trial_events(cohorts, tmp_path / "events.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len({row["ID"] for row in rows}) == len({row["USUBJID"] for row in rows}) == 24
    assert {row["REP"] for row in rows if int(row["ID"]) > 12} == {"1"}
    assert all(row["STUDYID"].startswith("SIMULATED ") for row in rows)


def test_what_is_not_known_of_a_patient_is_missing(tmp_path: Path):
    path = write_trial_events(make_cohort(), tmp_path / "events.csv")
    with path.open(encoding="utf-8", newline="") as file:
        second = next(row for row in csv.DictReader(file) if row["ID"] == "2")
    assert (second["AGE"], second["FEMALE"], second["WT"]) == (".", ".", "80")
