"""Who took part in a virtual trial, what was given, what happened and how it ended, as columns of SDTM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.files.trial_doses import orders_given, took_place

if TYPE_CHECKING:
    from euthymia.trials.records import Cohort

NOTE = "SIMULATED"
FIRST_DOSE_CLOCK_H = 9.0
"""Assumed hour of the day of the first dose: what happens earlier that morning is of day 1 too."""
FIRST_SESSION_VISIT = 1001
"""Sessions are visits of their own, numbered from here."""
ROUTES = {
    "iv_bolus": "INTRAVENOUS BOLUS",
    "iv_infusion": "INTRAVENOUS",
    "intramuscular": "INTRAMUSCULAR",
    "subcutaneous": "SUBCUTANEOUS",
    "intranasal": "NASAL",
    "sublingual": "SUBLINGUAL",
    "oral": "ORAL",
    "oral_extended_release": "ORAL",
}
"""Standard terms for the routes of ``dosing.order``."""
DISPOSITIONS = {
    "completed": "COMPLETED",
    "withdrew": "WITHDRAWAL BY SUBJECT",
    "withdrew after an adverse event": "ADVERSE EVENT",
}
"""Standard terms for the reasons of ``trials.records``."""
MILESTONE = "PROTOCOL MILESTONE"


def study_day(time_h: ArrayLike) -> NDArray[np.int64]:
    """Return study days of hours since the first dose: 1 is its day, -1 the day before; none is 0.

    Examples
    --------
    >>> study_day([-24.0, -1.0, 0.0, 2.0, 24.0, 168.0]).tolist()
    [-1, 1, 1, 1, 2, 8]
    """
    days = np.floor((np.asarray(time_h, float) + FIRST_DOSE_CLOCK_H) / 24.0).astype(np.int64)
    return np.where(days >= 0, days + 1, days)


def demographics(cohort: Cohort) -> dict[str, Any]:
    """Return columns of DM: one row a patient."""
    ages = [one.age_years for one in cohort.people]
    return {
        "USUBJID": cohort.subjects,
        "SUBJID": [f"{cohort.replicate:04d}-{number:04d}" for number in cohort.number],
        "AGE": [None if age is None else int(age) for age in ages],
        "AGEU": [None if age is None else "YEARS" for age in ages],
        "SEX": [(one.sex or "U")[0].upper() for one in cohort.people],
        **_arms_of(cohort),
        "REPLICAT": [cohort.replicate] * len(ages),
    }


def _arms_of(cohort: Cohort) -> dict[str, list[str | None]]:
    """Return planned and actual arm of each patient, and why one of them is not there."""
    codes, labels = arm_codes(cohort), _arm_labels(cohort)
    is_assigned = np.ones(len(cohort.people), dtype=bool)
    if cohort.protocol.withdrawal is not None:
        is_assigned = cohort.is_analysed
    is_treated = is_assigned & took_place(cohort).any(axis=1)
    reasons = np.where(is_assigned, "ASSIGNED, NOT TREATED", "NOT ASSIGNED")

    def where(flags: NDArray[np.bool_], texts: tuple[str, ...]) -> list[str | None]:
        return [texts[arm] if flag else None for arm, flag in zip(cohort.arm, flags, strict=True)]

    return {
        "ARMCD": where(is_assigned, codes),
        "ARM": where(is_assigned, labels),
        "ACTARMCD": where(is_treated, codes),
        "ACTARM": where(is_treated, labels),
        "ARMNRS": [None if flag else str(why) for flag, why in zip(is_treated, reasons, strict=True)],
    }


def exposure(cohort: Cohort) -> dict[str, Any]:
    """Return columns of EX: one row for each order that was carried out in a session, 0 mg of a placebo."""
    given = orders_given(cohort)
    subjects = cohort.subjects
    return {
        "USUBJID": [subjects[one.person] for one in given],
        "EXTRT": [one.order.drug.upper() for one in given],
        "EXDOSE": [one.amount_mg for one in given],
        "EXDOSU": ["mg"] * len(given),
        "EXROUTE": [ROUTES[one.order.route.value] for one in given],
        "VISITNUM": [FIRST_SESSION_VISIT + one.place for one in given],
        "VISIT": [f"SESSION {one.place + 1}" for one in given],
        "EXSTDY": study_day([one.start_h for one in given]),
        "EXENDY": study_day([one.end_h for one in given]),
        "EXSTHR": [one.start_h for one in given],
        "EXENHR": [one.end_h for one in given],
    }


def adverse_events(cohort: Cohort) -> dict[str, Any]:
    """Return columns of AE: one row for each event of a session. Severity and end are not simulated."""
    start_h, subjects = cohort.sessions.start_h, cohort.subjects
    rows = [
        (subjects[person], float(start_h[person, place]), event.upper())
        for event, flags in cohort.sessions.events.items()
        for person, place in np.argwhere(flags)
    ]
    rows.sort()
    return {
        "USUBJID": [subject for subject, _, _ in rows],
        "AETERM": [event for _, _, event in rows],
        "AESTDY": study_day([time_h for _, time_h, _ in rows]),
        "AESTHR": [time_h for _, time_h, _ in rows],
    }


def disposition(cohort: Cohort) -> dict[str, Any]:
    """Return columns of DS: when each patient was screened, enrolled and randomised, and how it ended."""
    rows = [
        (subject, *step) for place, subject in enumerate(cohort.subjects) for step in _steps(cohort, place)
    ]
    return {
        "USUBJID": [row[0] for row in rows],
        "DSTERM": [row[1] for row in rows],
        "DSDECOD": [row[2] for row in rows],
        "DSCAT": [row[3] for row in rows],
        "DSSTDY": study_day([row[4] for row in rows]),
        "DSSTHR": [row[4] for row in rows],
    }


def _steps(cohort: Cohort, place: int) -> Iterator[tuple[str, str, str, float]]:
    """Yield term, standard term, category and hour of each step of a patient through the trial."""
    protocol, reason = cohort.protocol, cohort.reason[place]
    left_h, end_h = float(cohort.left_h[place]), max(float(cohort.actual_h[place, -1]), protocol.ends or 0.0)
    yield "SCREENED", "INFORMED CONSENT OBTAINED", MILESTONE, protocol.population.screening
    yield "ENROLLED", "ENTERED INTO TRIAL", MILESTONE, 0.0
    if protocol.withdrawal is None and len(cohort.arms) > 1:
        yield "RANDOMISED", "RANDOMIZED", MILESTONE, 0.0
    elif protocol.withdrawal is not None and cohort.is_analysed[place]:
        yield "RANDOMISED", "RANDOMIZED", MILESTONE, protocol.withdrawal.at
    ended = DISPOSITIONS.get(reason, "OTHER")
    yield reason.upper(), ended, "DISPOSITION EVENT", left_h if np.isfinite(left_h) else end_h


def study_id(cohort: Cohort) -> str:
    """Return the identifier of the study, which says that it was simulated."""
    return f"{NOTE} {cohort.protocol.id.upper()}"


def visit_name(time_h: float) -> str:
    """Return the protocol's own words for a visit: ``BASELINE``, ``2 H``, ``DAY 7``, which is study day 8."""
    from euthymia.trials.fields import SAME_TIME_H, time_text

    return "BASELINE" if abs(time_h) < SAME_TIME_H else time_text(float(time_h)).upper()


def arm_codes(cohort: Cohort) -> tuple[str, ...]:
    """Return a code of at most 20 characters for each arm, or sequence; different ones for different arms."""
    plain = [name.replace(" > ", "-").upper() for name in cohort.arms]
    if len({one[:20] for one in plain}) == len(plain):
        return tuple(one[:20] for one in plain)
    return tuple(f"{number}-{one}"[:20] for number, one in enumerate(plain, start=1))


def _arm_labels(cohort: Cohort) -> tuple[str, ...]:
    if cohort.protocol.crossover is not None:
        return cohort.arms
    return tuple(arm.label or name for name, arm in cohort.protocol.arms.items())
