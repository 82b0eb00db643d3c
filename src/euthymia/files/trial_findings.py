"""What was rated and read in a virtual trial, as columns of the tables QS and VS of SDTM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from euthymia.files.trial_domains import FIRST_SESSION_VISIT, study_day, visit_name

if TYPE_CHECKING:
    from euthymia.trials.records import Cohort

Array = NDArray[np.float64]
READINGS = {
    "systolic_mmHg": ("VS", "SYSBP", "Systolic Blood Pressure", "mmHg"),
    "diastolic_mmHg": ("VS", "DIABP", "Diastolic Blood Pressure", "mmHg"),
    "heart_rate_per_min": ("VS", "PULSE", "Pulse Rate", "beats/min"),
    "cadss_points": ("QS", "CADSSTOT", "CADSS Total Score", "CADSS"),
    "moaas_points": ("QS", "MOAASTOT", "MOAA/S Score", "MOAA/S"),
}
"""Where a reading of a session stands: table, short name, name, and unit or scale."""


def questionnaires(cohort: Cohort) -> dict[str, Any]:
    """Return columns of QS: totals at visits, and dissociation and alertness in sessions; no items."""
    parts = [_rated(cohort, scale, totals) for scale, totals in cohort.scores.items()]
    parts += [_read(cohort, name) for name in READINGS if READINGS[name][0] == "QS"]
    found = _joined(parts)
    words = _words(found["value"])
    return {
        "USUBJID": found["subject"],
        "QSTESTCD": found["code"],
        "QSTEST": found["test"],
        "QSCAT": found["unit"],
        "QSORRES": words,
        "QSSTRESC": words,
        "QSSTRESN": found["value"],
        **_when(found, "QS"),
    }


def vital_signs(cohort: Cohort) -> dict[str, Any]:
    """Return columns of VS: pressures and pulse in sessions, weight and height at screening."""
    parts = [_read(cohort, name) for name in READINGS if READINGS[name][0] == "VS"]
    found = _joined([*parts, *_bodies(cohort)])
    words = _words(found["value"])
    return {
        "USUBJID": found["subject"],
        "VSTESTCD": found["code"],
        "VSTEST": found["test"],
        "VSORRES": words,
        "VSORRESU": found["unit"],
        "VSSTRESC": words,
        "VSSTRESN": found["value"],
        "VSSTRESU": found["unit"],
        **_when(found, "VS"),
    }


def _rated(cohort: Cohort, scale: str, totals: Array) -> dict[str, Any]:
    """Return the rated totals of a scale as long columns."""
    person, visit = np.nonzero(np.isfinite(totals))
    names = [visit_name(time_h) for time_h in cohort.visits_h]
    return _long(
        cohort,
        person,
        totals[person, visit],
        code=scale_code(scale),
        test=f"{scale} Total Score",
        unit=scale,
        visit_number=visit + 1,
        visit_name=np.array(names, dtype=object)[visit],
        planned_h=cohort.visits_h[visit],
        time_h=cohort.actual_h[person, visit],
    )


def _read(cohort: Cohort, name: str) -> dict[str, Any]:
    """Return what was read in sessions as long columns."""
    sessions = cohort.sessions
    values = sessions.readings.get(name)
    if values is None:
        values = np.zeros((len(cohort.people), 0, 0))
    person, place, point = np.nonzero(np.isfinite(values))
    minutes = sessions.minutes[point]
    time_h = sessions.start_h[person, place] + minutes / 60.0
    _, code, test, unit = READINGS[name]
    return _long(
        cohort,
        person,
        values[person, place, point],
        code=code,
        test=test,
        unit=unit,
        visit_number=FIRST_SESSION_VISIT + place,
        visit_name=np.array([f"SESSION {one + 1}" for one in place], dtype=object),
        planned_h=time_h,
        time_h=time_h,
        minutes=minutes,
    )


def _bodies(cohort: Cohort) -> list[dict[str, Any]]:
    """Return weight and height, known since screening, as long columns."""
    bodies = {
        "WEIGHT": ("Weight", "kg", [one.weight_kg for one in cohort.people]),
        "HEIGHT": ("Height", "cm", [one.height_cm for one in cohort.people]),
    }
    return [_measured(cohort, code, *body) for code, body in bodies.items()]


def _measured(
    cohort: Cohort, code: str, test: str, unit: str, given: Sequence[float | None]
) -> dict[str, Any]:
    values = np.array([np.nan if one is None else one for one in given], dtype=float)
    person = np.flatnonzero(np.isfinite(values))
    time_h = np.full(len(person), cohort.protocol.population.screening)
    return _long(
        cohort,
        person,
        values[person],
        code=code,
        test=test,
        unit=unit,
        visit_number=np.zeros(len(person), dtype=np.int64),
        visit_name=np.full(len(person), "SCREENING", dtype=object),
        planned_h=time_h,
        time_h=time_h,
    )


def _long(
    cohort: Cohort,
    person: NDArray[np.int64],
    values: Array,
    *,
    code: str,
    test: str,
    unit: str,
    visit_number: NDArray[np.int64],
    visit_name: NDArray[np.object_],
    planned_h: Array,
    time_h: Array,
    minutes: Array | None = None,
) -> dict[str, Any]:
    """Return findings of one test as columns; the last one before the first dose is baseline."""
    count = len(person)
    is_baseline = np.zeros(count, dtype=bool)
    before = np.flatnonzero(planned_h <= 0)
    ordered = before[np.lexsort((planned_h[before], person[before]))]
    is_last = np.append(np.diff(person[ordered]) > 0, np.ones(min(1, len(ordered)), dtype=bool))
    is_baseline[ordered[is_last]] = True
    return {
        "subject": np.array(cohort.subjects, dtype=object)[person],
        "code": np.full(count, code, dtype=object),
        "test": np.full(count, test, dtype=object),
        "unit": np.full(count, unit, dtype=object),
        "value": values,
        "is_baseline": is_baseline,
        "visit_number": visit_number,
        "visit_name": visit_name,
        "planned_h": planned_h,
        "time_h": time_h,
        "minutes": np.full(count, np.nan) if minutes is None else minutes,
    }


def _joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return long columns one below the other, by subject, time and test."""
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows = sorted(
        range(len(whole["value"])),
        key=lambda row: (whole["subject"][row], whole["time_h"][row], whole["code"][row]),
    )
    return {name: column[rows] for name, column in whole.items()}


def _when(found: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    minutes = found["minutes"]
    return {
        f"{prefix}BLFL": ["Y" if one else None for one in found["is_baseline"]],
        "VISITNUM": found["visit_number"],
        "VISIT": found["visit_name"],
        "VISITDY": study_day(found["planned_h"]),
        f"{prefix}DY": study_day(found["time_h"]),
        f"{prefix}TPT": [f"{one:g} MIN" if np.isfinite(one) else None for one in minutes],
        f"{prefix}TPTNUM": [float(one) if np.isfinite(one) else None for one in minutes],
        f"{prefix}HR": found["time_h"],
    }


def _words(values: Array) -> list[str]:
    return [f"{value:.12g}" for value in values]


def scale_code(scale: str) -> str:
    """Return the short name of a scale's total, 8 characters at most.

    Examples
    --------
    >>> scale_code("MADRS"), scale_code("HAM-D17"), scale_code("QIDS-SR16")
    ('MADRSTOT', 'HAMD17', 'QIDSSR16')
    """
    plain = "".join(one for one in scale.upper() if one.isalnum())
    return f"{plain}TOT" if len(plain) <= 5 else plain[:8]
