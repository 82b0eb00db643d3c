"""What the model expects of readings after a dose: a population drawn behind them, never this person."""

from __future__ import annotations

import threading
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from euthymia.care.clinic import Clinic
    from euthymia.care.session import Session

PATIENTS, SEED = 60, 1
UNTIL_MIN, STEP_MIN = 240, 5
BAND = (0.05, 0.5, 0.95)
VARIABLES = {
    "systolic_mmHg": "systolic_rise_mmHg",
    "diastolic_mmHg": "diastolic_rise_mmHg",
    "cadss_points": "cadss_points",
}
WORDS = {
    "intranasal": "{drug} {mg:g} mg in",
    "iv_infusion": "{drug} {mg:g} mg iv over {duration_min:g} min",
    "subcutaneous": "{drug} {mg:g} mg sc",
    "intramuscular": "{drug} {mg:g} mg im",
    "oral": "{drug} {mg:g} mg po",
    "sublingual": "{drug} {mg:g} mg sl",
}
INFUSION_MIN = 40.0
"""Where the order does not say how long: the usual length of trials (protocols of data/rules)."""
SAYS = (
    "Population forecast, simulated: 5 to 95 % of {patients} virtual patients after {regimen}. Not this "
    "person, not a limit, and nothing to act on. Checks stay due whatever it shows."
)
_TURN = threading.Lock()


def regimen_of(clinic: Clinic, session: Session) -> str:
    """Return what was given, or else is ordered, in the dosing language; empty if unknown."""
    order = clinic.courses[session.course].order
    words = WORDS.get(session.route)
    ordered = None if order is None else order.facts.get("max_amount_mg") or order.facts["amount_mg"]
    amount = session.given_mg or (float(ordered) if ordered is not None else 0.0)
    if words is None or amount <= 0.0:
        return ""
    duration = order.facts.get("duration_min") if order else None
    return words.format(drug=session.drug, mg=amount, duration_min=float(duration or INFUSION_MIN))


def expected_readings(regimen: str) -> dict[str, Any] | None:
    """Return curves in time after a dose, or None where the model cannot give this one.

    Parameters
    ----------
    regimen : str

    Returns
    -------
    curves : dict
        ``minutes``; for each reading ``low``, ``middle``, ``high`` (pressures: the rise); ``says``.
    """
    with _TURN:
        return _run(regimen)


@lru_cache(maxsize=64)
def _run(regimen: str) -> dict[str, Any] | None:
    import numpy as np

    from euthymia.errors import EuthymiaError, ResultWarning
    from euthymia.population.simulate import simulate

    minutes = np.arange(0, UNTIL_MIN + 1, STEP_MIN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResultWarning)  # what they say stands beside the curve
            course = simulate(
                regimen,
                patients=PATIENTS,
                seed=SEED,
                times_h=minutes / 60.0,
                days=1.0,
                variables=list(VARIABLES.values()),
            )
    except EuthymiaError:
        return None
    found: dict[str, Any] = {
        "minutes": minutes.tolist(),
        "says": SAYS.format(patients=PATIENTS, regimen=regimen),
    }
    for name, variable in VARIABLES.items():
        low, middle, high = np.quantile(np.asarray(course[variable]), BAND, axis=0)
        found[name] = {"low": low.tolist(), "middle": middle.tolist(), "high": high.tolist()}
    return found
