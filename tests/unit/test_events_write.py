"""Event tables written from regimens and subjects read back as the same doses."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.order import Dose
from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.files.events import read_events, write_events
from euthymia.population.concentrations import Subject

REGIMENS = [
    "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 8",
    "ketamine 0.5 mg/kg iv over 40 min, daily x 5 then weekly x 4",
    "ketamine 35 mg (hcl) im, every 20 min x 3",
    "ketamine 0.14 then 0.28 then 0.57 mg/kg/h iv, 60 min each",
    "ketamine 0.5 mg/kg iv over 40 min paused 10-20 min stopped at 45 min, weekly x 3",
    "esketamine 56 mg in; esketamine 84 mg in at 72 h; esketamine 84 mg intranasal, weekly x 4 from 168 h",
    "esketamine 64.6 mg (hcl) intranasal",
    "ketamine 50 mg sl held 12 min spat out, daily x 6; ketamine 25 mg sl at 200 h",
    "ketamine 120 mg er, every 12 h x 4; ketamine 30 mg po at 1 h; arketamine 20 mg sc at -2 h",
    "ketamine 0.5 mg/kg iv bolus; ketamine 0.5 mg/kg iv bolus; CBT 50 min at 24 h after each dose",
    "midazolam 2 mg iv over 2 min; saline iv over 40 min; ketamine 35 mg iv over 2 min at 1 h",
]


def doses_of(subject: Subject) -> list[Dose]:
    return [given.dose for epoch in subject.epochs for given in epoch.given]


def in_order(doses: list[Dose]) -> list[Dose]:
    def key(dose: Dose) -> tuple[object, ...]:
        amount = round(float(np.ravel(dose.amount_umol)[0]), 6)
        return (dose.drug, dose.route, dose.device_index, round(dose.start_h, 6), amount, dose.hold_h or 0.0)

    return sorted(doses, key=key)


def assert_same_doses(first: list[Dose], second: list[Dose]) -> None:
    """Compare all fields, numbers to 1e-12."""
    assert len(first) == len(second)
    for one, other in zip(in_order(first), in_order(second), strict=True):
        names = ("drug", "route", "spat_out", "device_index")
        assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
        for name in ("start_h", "duration_h", "amount_umol", "hold_h"):
            value, expected = getattr(one, name), getattr(other, name)
            assert value == (
                expected if expected is None else pytest.approx(expected, rel=1e-12, abs=1e-12)
            ), name


@pytest.mark.parametrize("text", REGIMENS)
def test_a_regimen_reads_back_as_the_same_doses(tmp_path: Path, text: str) -> None:
    regimen = parse_regimen(text)
    write_events(regimen, tmp_path / "doses.csv", weight_kg=81.3)
    (subject,) = read_events(tmp_path / "doses.csv").subjects
    expected = [dose for dose in regimen.doses(81.3) if dose.amount_umol]
    assert_same_doses(doses_of(subject), expected)
    assert subject.patient.weight_kg == 81.3


def written(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_equal_intervals_become_one_row_and_others_their_own(tmp_path: Path) -> None:
    path = tmp_path / "doses.csv"
    write_events(parse_regimen("ketamine 35 mg iv over 40 min, weekly x 4"), path, weight_kg=70)
    assert path.read_text(encoding="utf-8") == (
        "ID,TIME,EVID,AMT,RATE,ADDL,II,ROUTE,DRUG,WT\n1,0,1,35,52.5,3,168,iv_infusion,ketamine,70\n"
    )
    write_events(parse_regimen("ketamine 35 mg im, twice weekly x 3"), path, weight_kg=70)
    assert [(row["TIME"], row["AMT"]) for row in written(path)] == [("0", "35"), ("72", "35"), ("168", "35")]


def test_steps_and_pauses_become_rows(tmp_path: Path) -> None:
    path = tmp_path / "doses.csv"
    text = "ketamine 10 mg/h for 60 min then 20 mg/h for 30 min iv paused 30-40 min"
    write_events(parse_regimen(text), path, weight_kg=70)
    assert [(row["AMT"], row["RATE"]) for row in written(path)] == [("5", "10"), ("5", "10"), ("10", "20")]


TABLE = """ID,TIME,EVID,AMT,RATE,ROUTE,DRUG,SS,II,ADDL,HOLD,SPAT_OUT,WEIGHT_KG,AGE
a,-3,1,35,52.5,iv,.,.,24,2,.,.,80,50
a,40,3,.,.,.,.,.,.,.,.,.,80,50
a,50,1,84,.,in,esketamine,2,72,1,.,.,80,50
a,300,1,50,.,sl,.,1,12,3,8,1,80,50
a,400,3,.,.,.,.,.,.,.,.,.,80,50
b,5,1,35,.,im,.,1,12,.,.,.,.,.
c,5,0,.,.,.,.,.,.,.,.,.,66,.
"""


def test_subjects_read_back_with_resets_and_steady_states(tmp_path: Path) -> None:
    first = tmp_path / "first.csv"
    first.write_text(TABLE, encoding="utf-8")
    before = read_events(first)
    write_events(before.subjects, tmp_path / "second.csv")
    after = read_events(tmp_path / "second.csv")
    assert [one.label for one in after.subjects] == ["a", "b", "c"]
    for one, other in zip(after.subjects, before.subjects, strict=True):
        assert (one.patient, one.number) == (other.patient, other.number)
        assert [epoch.start_h for epoch in one.epochs] == [epoch.start_h for epoch in other.epochs]
        assert_same_doses(doses_of(one), doses_of(other))
        for mine, theirs in zip(one.epochs, other.epochs, strict=True):
            steady = [{given[1:] for given in epoch.given} for epoch in (mine, theirs)]
            assert steady[0] == steady[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ketamine 35 mg iv over 60 min; ketamine 20 mg iv over 60 min at 0.5 h",
            r"could not be read: .* rows 2 and 3, column RATE: .* ends before the next",
        ),
        ("ketamine 35 mg iv over 40 min stopped at 1 min", r"could not be read: .*'duration_min' .* Got 1\."),
        ("ketamine 15 mg/kg im", r"could not be read: .*'amount' of ketamine must be at most 1000 mg"),
        ("saline iv over 40 min", "could not be read: .* must have rows"),
        ("CBT 50 min, weekly x 4", "could not be read: .* must have rows"),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "doses.csv"
    with pytest.raises(InvalidInputError, match=message):
        write_events(parse_regimen(text), path, weight_kg=100)
    assert list(tmp_path.iterdir()) == []


def test_a_regimen_needs_a_weight_and_subjects_distinct_labels(tmp_path: Path) -> None:
    regimen = parse_regimen("ketamine 35 mg im")
    with pytest.raises(InvalidInputError, match="'weight_kg' must be given for a regimen"):
        write_events(regimen, tmp_path / "doses.csv")
    with pytest.raises(InvalidInputError, match=r"'weight_kg' must be 3.300"):
        write_events(regimen, tmp_path / "doses.csv", weight_kg=1)
    write_events(regimen, tmp_path / "doses.csv", weight_kg=70)
    one = read_events(tmp_path / "doses.csv").subjects[0]
    with pytest.raises(InvalidInputError, match=r"'label' must be different for each subject\. Got 1"):
        write_events([one, one], tmp_path / "again.csv")


def test_a_disk_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFailedError, match="Cannot write"):
        write_events(parse_regimen("ketamine 35 mg im"), tmp_path / "file" / "doses.csv", weight_kg=70)
