"""Patients of a virtual trial as labelled arrays (xarray), with units and long names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from euthymia.errors import invalid, missing_extra
from euthymia.model.scales import scales

if TYPE_CHECKING:
    import xarray

    from euthymia.trials.records import Cohort

STATUS = "SIMULATED"
READINGS = {
    "systolic_mmHg": ("mmHg", "systolic blood pressure in sessions"),
    "diastolic_mmHg": ("mmHg", "diastolic blood pressure in sessions"),
    "heart_rate_per_min": ("1/min", "heart rate in sessions"),
    "cadss_points": ("points", "dissociation in sessions, CADSS"),
    "moaas_points": ("points", "alertness in sessions, MOAA/S; 5 is awake"),
}
"""Unit and long name of what is read in sessions."""
_VISITS, _SESSIONS = ("subject", "visit"), ("subject", "session")


def trial_dataset(cohorts: Cohort | Sequence[Cohort]) -> xarray.Dataset:
    """Return the patients of one replicate of a trial, or of several, as a dataset.

    Parameters
    ----------
    cohorts : Cohort or sequence of Cohort
        Of one protocol; their patients follow each other along ``subject``.

    Returns
    -------
    dataset : xarray.Dataset
        Dimensions ``subject``, ``visit``, ``scale``, ``session``, ``minute`` and ``event``. Text that is not
        known is empty, a number NaN.

    Raises
    ------
    MissingExtraError
        xarray is not installed.
    InvalidInputError
        The cohorts are not of one protocol, or there is none.
    """
    try:
        import xarray
    except ImportError as error:
        raise missing_extra("xarray", extra="xarray", needed_for="A trial as a dataset") from error
    from euthymia.trials.records import Cohort

    every = [cohorts] if isinstance(cohorts, Cohort) else list(cohorts)
    if not every or any(one.protocol != every[0].protocol for one in every):
        raise invalid("cohorts", must="one or more, of one protocol", got=f"{len(every)}")
    parts = [
        xarray.Dataset(_variables(one), coords=_coordinates(one), attrs=_attributes(one)) for one in every
    ]
    return parts[0] if len(parts) == 1 else xarray.concat(parts, dim="subject", data_vars="all", join="exact")


def _attributes(cohort: Cohort) -> dict[str, Any]:
    return {"status": STATUS, "protocol": cohort.protocol.id, "title": cohort.protocol.title}


def _coordinates(cohort: Cohort) -> dict[str, Any]:
    sessions = cohort.sessions
    people = cohort.people
    numbers: Mapping[str, tuple[str, list[float | None]]] = {
        "weight_kg": ("kg", [one.weight_kg for one in people]),
        "age_years": ("years", [one.age_years for one in people]),
        "height_cm": ("cm", [one.height_cm for one in people]),
        "episode_weeks": ("weeks", [one.episode_weeks for one in people]),
        "failed_trials": ("1", [one.failed_trials for one in people]),
        "ssi_points": ("points", [one.ssi_points for one in people]),
    }
    return {
        "subject": ("subject", np.array(cohort.subjects)),
        "replicate": ("subject", np.full(len(people), cohort.replicate)),
        "arm": ("subject", np.array(cohort.arms)[cohort.arm]),
        "stratum": ("subject", cohort.stratum),
        "sex": ("subject", np.array([one.sex or "" for one in people])),
        **{
            name: ("subject", _known(values), {"units": unit, "long_name": name.rpartition("_")[0]})
            for name, (unit, values) in numbers.items()
        },
        "visit": ("visit", np.arange(1, len(cohort.visits_h) + 1)),
        "planned_h": ("visit", cohort.visits_h, {"units": "h", "long_name": "planned since first dose"}),
        "scale": ("scale", np.array(list(cohort.scores))),
        "scale_name": ("scale", np.array([scales()[name].full_name for name in cohort.scores])),
        "session": ("session", np.arange(1, sessions.start_h.shape[1] + 1)),
        "minute": ("minute", sessions.minutes, {"units": "min", "long_name": "since start of session"}),
        "event": ("event", np.array(list(sessions.events))),
    }


def _variables(cohort: Cohort) -> dict[str, Any]:
    sessions = cohort.sessions
    return {
        "score": _by_scale(cohort.scores, "total as rated; missing after leaving"),
        "unmasked_score": _by_scale(cohort.unmasked, "total as rated if all had stayed"),
        "actual_h": (_VISITS, cohort.actual_h, {"units": "h", "long_name": "visit since first dose"}),
        "left_h": ("subject", cohort.left_h, {"units": "h", "long_name": "leaving; infinite where not"}),
        "reason": ("subject", np.array(cohort.reason), {"long_name": "how it ended"}),
        "is_analysed": ("subject", cohort.is_analysed, {"long_name": "counts in the analysis"}),
        "session_start_h": (_SESSIONS, sessions.start_h, {"units": "h", "long_name": "since first dose"}),
        "planned_mg": (_SESSIONS, sessions.planned_mg, {"units": "mg", "long_name": "planned dose of base"}),
        "given_mg": (_SESSIONS, sessions.given_mg, {"units": "mg", "long_name": "dose of base as given"}),
        "was_switched": (_SESSIONS, sessions.was_switched, {"long_name": "session by the other route"}),
        "was_held": (_SESSIONS, sessions.was_held, {"long_name": "session held for pressure"}),
        "was_missed": (_SESSIONS, sessions.was_missed, {"long_name": "session missed by the patient"}),
        "has_event": (
            (*_SESSIONS, "event"),
            np.stack(list(sessions.events.values()), axis=-1),
            {"long_name": "adverse event in the session"},
        ),
        **{
            name: ((*_SESSIONS, "minute"), sessions.readings[name], {"units": unit, "long_name": what})
            for name, (unit, what) in READINGS.items()
            if name in sessions.readings
        },
    }


def _by_scale(totals: Mapping[str, Any], what: str) -> tuple[Any, Any, dict[str, str]]:
    stacked = np.stack(list(totals.values()), axis=-1)
    return ((*_VISITS, "scale"), stacked, {"units": "points", "long_name": what})


def _known(values: Sequence[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if one is None else float(one) for one in values])
