"""What the model expects of a plan: a forecast of a group, with its caveats; nobody's own forecast."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from euthymia.care.schedules import caveats
from euthymia.errors import ResultWarning, invalid

if TYPE_CHECKING:
    from euthymia.care.plan import CarePlan
    from euthymia.population.patient import Patient

BAND = (0.05, 0.5, 0.95)
SCALE = "MADRS"
MOST_PATIENTS = 5000
UNCALIBRATED = (
    "The numbers of the model are not calibrated here: it may be far more hopeful than trials were. "
    "Do not show these shares to a patient.",
)
"""Said where no posterior stands behind a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedCourse:
    """Simulated totals of virtual patients under a plan.

    Attributes
    ----------
    scale, regimen : str
    days : tuple of float
        Before treatment (0), then at the end of each week.
    low_points, middle_points, high_points : tuple of float
        5 %, 50 % and 95 % of the virtual patients.
    responding_share : tuple of float
        0 to 1, with a fall of half; 0 on day 0.
    patients, seed : int
    parameters, posterior : str
    caveats : tuple of str
    sources : tuple of str
        Keys of the bibliography.
    version : str
        Of the software.
    """

    scale: str
    regimen: str
    days: tuple[float, ...]
    low_points: tuple[float, ...]
    middle_points: tuple[float, ...]
    high_points: tuple[float, ...]
    responding_share: tuple[float, ...]
    patients: int
    seed: int
    parameters: str
    posterior: str
    caveats: tuple[str, ...]
    sources: tuple[str, ...]
    version: str


def expected_course(
    plan: CarePlan,
    *,
    patient: Patient | None = None,
    patients: int = 200,
    seed: int = 1,
    posterior: str | None = None,
) -> ExpectedCourse:
    """Return what virtual patients of a weight and age would score under a plan.

    Parameters
    ----------
    plan : CarePlan
    patient : Patient, optional
        What is known of the person that changes the model: weight, age, liver, drugs.
    patients : int
        Virtual ones, 20 to 5000.
    seed : int
    posterior : str, optional
        What is believed of the calibrated numbers, as in ``simulate``; the default where it is left out.

    Raises
    ------
    InvalidInputError
    """
    import numpy as np

    from euthymia.model.parameters import DEFAULT_SET, load_parameters
    from euthymia.population.outcomes import response
    from euthymia.population.run import Life
    from euthymia.population.simulate import simulate
    from euthymia.population.summary import totals

    if not 20 <= patients <= MOST_PATIENTS:
        raise invalid("patients", must=f"20 to {MOST_PATIENTS}", got=patients)
    weeks = _weeks(plan.regimen)
    days = [7.0 * week for week in range(1, weeks + 1)]
    with warnings.catch_warnings():
        # they stand among the caveats
        warnings.simplefilter("ignore", ResultWarning)
        course = simulate(
            plan.regimen,
            patients=patients,
            patient=patient,
            seed=seed,
            days=7.0 * weeks,
            times_h=[0.0, *(24.0 * day for day in days)],
            variables=["severity_fraction"],
            life=Life(has_events=True),
            posterior=posterior,
        )
    rated = totals(course, SCALE, days, parameters=load_parameters(DEFAULT_SET))
    low, middle, high = np.quantile(rated, BAND, axis=0)
    responding = response(rated[:, 0], rated, SCALE).mean(axis=0)
    return ExpectedCourse(
        scale=SCALE,
        regimen=course.provenance.regimen,
        days=(0.0, *days),
        low_points=tuple(map(float, low)),
        middle_points=tuple(map(float, middle)),
        high_points=tuple(map(float, high)),
        responding_share=tuple(map(float, responding)),
        patients=patients,
        seed=seed,
        parameters=course.provenance.parameters,
        posterior=course.provenance.posterior,
        caveats=(*(() if course.provenance.posterior else UNCALIBRATED), *caveats(), *course.warnings),
        sources=tuple(course.provenance.sources),
        version=course.provenance.version,
    )


def _weeks(regimen: str) -> int:
    """Return whole weeks up to the end of the week after the last item."""
    from euthymia.dosing.notation import parse_regimen

    last_h = max(start_h for start_h, _ in parse_regimen(regimen).items)
    return int(last_h // 168.0) + 1
