"""Patients of a virtual trial as one event table of the NONMEM family: doses, sessions not held, findings.

`euthymia.files.events.read_events` reads the doses back.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from euthymia.files.events import order_rows
from euthymia.files.trial_doses import GivenOrder, orders_given, took_place
from euthymia.files.writing import write_whole

if TYPE_CHECKING:
    from euthymia.population.patient import Patient
    from euthymia.trials.records import Cohort

COLUMNS = tuple(
    "ID TIME EVID AMT RATE CMT ROUTE DRUG HOLD SPAT_OUT DV MDV DVID DVNAME ARM WT AGE FEMALE HEIGHT_CM "
    "HYPERTENSIVE FAILED_TRIALS EPISODE_WEEKS SSI REP USUBJID STUDYID".split()
)
COMPARTMENTS = {
    "iv_bolus": 1,
    "iv_infusion": 1,
    "intramuscular": 2,
    "subcutaneous": 3,
    "intranasal": 4,
    "sublingual": 5,
    "oral": 6,
    "oral_extended_release": 7,
}
"""``CMT`` by route; 1 is central, as everywhere."""
MISSING = "."
_Cells = dict[str, str]


def write_trial_events(cohorts: Cohort | Sequence[Cohort], path: Path) -> Path:
    """Write one replicate of a trial, or several, as an event table in CSV.

    Rows with EVID 1 are doses, with EVID 2 inactive or cancelled sessions, with EVID 0 findings: ``DVNAME``
    and ``DVID`` say of what. Findings at the hour of a dose come before it. ``.`` is missing.

    Parameters
    ----------
    cohorts : Cohort or sequence of Cohort
    path : Path
        Put in place whole.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in event_rows(cohorts):
        writer.writerow([row.get(name, MISSING) for name in COLUMNS])
    write_whole(path, lambda target: target.write_text(text.getvalue(), encoding="utf-8"))
    return path


def event_rows(cohorts: Cohort | Sequence[Cohort]) -> Iterator[_Cells]:
    """Yield the rows of an event table, cells by column; what is missing is left out."""
    from euthymia.trials.records import Cohort

    every = [cohorts] if isinstance(cohorts, Cohort) else cohorts
    names = list(dict.fromkeys(name for one in every for name in (*one.scores, *one.sessions.readings)))
    first = 1
    for cohort in every:
        yield from _of_cohort(cohort, {name: place for place, name in enumerate(names, start=1)}, first)
        first += len(cohort.people)


def _of_cohort(cohort: Cohort, kinds: dict[str, int], first: int) -> Iterator[_Cells]:
    rows: list[list[tuple[float, int, _Cells]]] = [[] for _ in cohort.people]
    for one in orders_given(cohort):
        rows[one.person] += [(time_h, 1, cells) for time_h, cells in _dose(cohort, one)]
    for person, time_h, cells in (*_cancelled(cohort), *_findings(cohort, kinds)):
        rows[person].append((time_h, int(cells["EVID"] != "0"), cells))
    for person, (patient, own) in enumerate(zip(cohort.people, rows, strict=True)):
        who = {
            "ID": str(first + person),
            "ARM": str(int(cohort.arm[person]) + 1),
            "REP": str(cohort.replicate),
            "USUBJID": cohort.subjects[person],
            "STUDYID": f"SIMULATED {cohort.protocol.id.upper()}",
            **_covariates(patient),
        }
        for _, _, cells in sorted(own, key=lambda row: row[:2]):
            yield who | cells


def _dose(cohort: Cohort, one: GivenOrder) -> list[tuple[float, _Cells]]:
    """Return the rows of an order that was carried out at some level."""
    route = str(COMPARTMENTS[one.order.route.value])
    if not one.amount_mg:
        return [(one.start_h, _no_dose(one.start_h, one.order.drug))]
    planned = one.order.doses(one.start_h, cohort.people[one.person].weight_kg)
    given = [replace(dose, amount_umol=one.level * float(np.ravel(dose.amount_umol)[0])) for dose in planned]
    return [(time_h, {**cells, "CMT": route, "MDV": "1"}) for time_h, cells in order_rows(one.start_h, given)]


def _cancelled(cohort: Cohort) -> Iterator[tuple[int, float, _Cells]]:
    """Yield the sessions that were held back or missed."""
    sessions = cohort.sessions
    what = np.where(sessions.was_held, "session held", "session missed")
    not_there = (sessions.was_held | sessions.was_missed) & ~took_place(cohort)
    for person, place in np.argwhere(not_there & np.isfinite(sessions.start_h)):
        time_h = float(sessions.start_h[person, place])
        yield int(person), time_h, _no_dose(time_h, str(what[person, place]))


def _no_dose(time_h: float, what: str) -> _Cells:
    return {"TIME": _number(time_h), "EVID": "2", "MDV": "1", "DVNAME": what}


def _findings(cohort: Cohort, kinds: dict[str, int]) -> Iterator[tuple[int, float, _Cells]]:
    """Yield what was rated at visits and read in sessions."""
    for scale, totals in cohort.scores.items():
        for person, visit in np.argwhere(np.isfinite(totals)):
            time_h = float(cohort.actual_h[person, visit])
            yield int(person), time_h, _finding(time_h, float(totals[person, visit]), scale, kinds)
    sessions = cohort.sessions
    for name, values in sessions.readings.items():
        for person, place, point in np.argwhere(np.isfinite(values)):
            time_h = float(sessions.start_h[person, place] + sessions.minutes[point] / 60.0)
            yield int(person), time_h, _finding(time_h, float(values[person, place, point]), name, kinds)


def _finding(time_h: float, value: float, name: str, kinds: dict[str, int]) -> _Cells:
    return {
        "TIME": _number(time_h),
        "EVID": "0",
        "DV": _number(value),
        "MDV": "0",
        "DVID": str(kinds[name]),
        "DVNAME": name,
    }


def _covariates(patient: Patient) -> _Cells:
    known: dict[str, float | None] = {
        "WT": patient.weight_kg,
        "AGE": patient.age_years,
        "FEMALE": None if patient.sex is None else patient.sex == "female",
        "HEIGHT_CM": patient.height_cm,
        "HYPERTENSIVE": patient.is_hypertensive,
        "FAILED_TRIALS": patient.failed_trials,
        "EPISODE_WEEKS": patient.episode_weeks,
        "SSI": patient.ssi_points,
    }
    return {name: _number(float(value)) for name, value in known.items() if value is not None}


def _number(value: float) -> str:
    """Return a number with 15 digits, which leaves out the noise of sums and products."""
    return f"{value:.15g}"
