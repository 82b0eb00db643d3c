"""Long-term harms of a course: cumulative exposure, and hazards that are assumed, not fitted.

Nothing else in the package calls this module: harms are told of only when they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.limits import limit
from euthymia.dosing.order import Dose
from euthymia.dosing.regimen import Regimen
from euthymia.dosing.schedule import TIME_TOLERANCE_H
from euthymia.errors import invalid, unknown
from euthymia.model.concentrations import grouped_starts_h
from euthymia.population.request import is_ketamine_dose
from euthymia.tables import Row, number, read_table

Array = NDArray[np.float64]
Measure = Literal["sessions", "mg_per_kg", "dose_days"]

DAY_H = 24.0
DAYS_PER_YEAR = 365.25
TABLE = "harms.csv"
MEASURES: dict[Measure, str] = {
    "sessions": "sessions",
    "mg_per_kg": "mg/kg of base in all",
    "dose_days": "days with a dose",
}
"""What a harm may follow, in words."""
WHAT_IT_RESTS_ON = (
    "Assumed throughout: no rate below was fitted or taken from a trial. Trials of ketamine are too short "
    "and too small to count harms this late or this rare; the bounds are guesses about what they left open.",
    "A small probability is no clearance. No number of sessions and no amount is known below which harm can "
    "be ruled out, and the true rate may lie outside the bounds.",
)
"""What must stand beside every result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Three guesses at one rate; they are no quantiles."""

    low: float
    central: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Harm:
    """One harm of ``harms.csv``, with the guesses that stand for its hazard.

    Parameters
    ----------
    counts : str
        What counts as the harm.
    exposure : {"sessions", "mg_per_kg", "dose_days"}
        What its hazard follows.
    background_per_year : Bounds or None
        Per person-year without ketamine; None where the harm is defined as begun by treatment.
    hazard_per_unit : Bounds
        Per session, per mg/kg, or per day with a dose.
    evidence_rows, compared_later : tuple of str
        Rows of acute effects that bear on it, and rows kept for validation, which set no number.
    """

    name: str
    counts: str
    exposure: Measure
    background_per_year: Bounds | None
    hazard_per_unit: Bounds
    tag: str
    source: str
    evidence_rows: tuple[str, ...]
    evidence: str
    compared_later: tuple[str, ...]
    why_wide: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """What has been given by some days; doses before time 0 count in full.

    Parameters
    ----------
    days : array (T,)
        Since time 0 of the regimen.
    sessions : array (P, T)
        Sessions of which at least one dose was given; devices and steps of an infusion belong together.
    mg_per_kg : array (P, T)
        Ketamine base per kg of body weight; the enantiomers count alike.
    dose_days : array (P, T)
        Days, counted in 24 h from time 0, on which a dose began.
    """

    days: Array
    sessions: Array
    mg_per_kg: Array
    dose_days: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """Probabilities by the low, central and high guess, arrays of one shape."""

    low: Array
    central: Array
    high: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class HarmCourse:
    """Probability of one harm to have occurred by the days of the exposure.

    Parameters
    ----------
    harm : Harm
    occurred : Band of arrays (P, T)
    background : Band of arrays (T,)
        The same without any dose.
    """

    harm: Harm
    occurred: Band
    background: Band


@dataclass(frozen=True, kw_only=True, slots=True)
class LongTermHarms:
    """Exposure and harms of a course; ``texts`` must stand beside every number."""

    exposure: Exposure
    courses: tuple[HarmCourse, ...]
    texts: tuple[str, ...] = WHAT_IT_RESTS_ON


@cache
def harms() -> dict[str, Harm]:
    """Return every harm by its name, in the order of the table."""
    return {row["name"]: _harm(row) for row in read_table(TABLE)}


def find_harm(name: str) -> Harm:
    """Return the harm with that name.

    Raises
    ------
    UnknownNameError
    """
    if name not in harms():
        raise unknown("harm", name, harms())
    return harms()[name]


def long_term_harms(
    regimen: Regimen,
    *,
    days: Sequence[float] | Array,
    weight_kg: float | Array = 70.0,
    factors: Array | None = None,
    names: Sequence[str] = (),
) -> LongTermHarms:
    """Return cumulative exposure and the probability of each harm by some days.

    Parameters
    ----------
    regimen : Regimen
        Without ketamine only the background is left.
    days : array (T,)
        Since time 0, ascending; the last is the horizon.
    weight_kg : float or array (P,)
    factors : array (P, doses), optional
        What each patient gets of each dose of ketamine, in order of time: 1 as planned, 0 not given.
    names : sequence of str
        Harms; none for all.

    Raises
    ------
    InvalidInputError
        Names the field, what is allowed and what was given.
    """
    chosen = [find_harm(name) for name in names or harms()]
    exposure = exposure_of(regimen, days=days, weight_kg=weight_kg, factors=factors)
    return LongTermHarms(exposure=exposure, courses=tuple(course_of(one, exposure) for one in chosen))


def exposure_of(
    regimen: Regimen,
    *,
    days: Sequence[float] | Array,
    weight_kg: float | Array = 70.0,
    factors: Array | None = None,
) -> Exposure:
    """Return sessions, cumulative amount and days with a dose; parameters as of `long_term_harms`.

    Each dose counts in full from its start on.
    """
    times_h = DAY_H * _checked_days(days)
    doses = [dose for dose in regimen.doses(weight_kg) if is_ketamine_dose(dose)]
    factor = _checked_factors(factors, len(doses), np.asarray(weight_kg))
    starts_h = np.array([dose.start_h for dose in doses])
    by_then = (starts_h[:, None] <= times_h + TIME_TOLERANCE_H).astype(float)
    sessions_h = np.array(grouped_starts_h((one.start_h, one.start_h + one.duration_h) for one in doses))
    session = np.searchsorted(sessions_h, starts_h, side="right")
    return Exposure(
        days=times_h / DAY_H,
        sessions=_groups_by_then(factor, session, by_then),
        mg_per_kg=factor * _mg_per_kg(doses, weight_kg, len(factor)) @ by_then,
        dose_days=_groups_by_then(factor, np.floor((starts_h + TIME_TOLERANCE_H) / DAY_H), by_then),
    )


def course_of(harm: Harm, exposure: Exposure) -> HarmCourse:
    """Return the probability of a harm to have occurred by the days of an exposure.

    P = 1 - exp(-(b t + h E)),  b per year of time t, h per unit of exposure E

    Notes
    -----
    Proportional to exposure without threshold, delay or recovery; what a dose does counts from the dose on.
    """
    years = exposure.days / DAYS_PER_YEAR
    given: Array = getattr(exposure, harm.exposure)
    return HarmCourse(
        harm=harm,
        occurred=_band(harm, years, given),
        background=_band(harm, years, np.zeros_like(years)),
    )


def _band(harm: Harm, years: Array, given: Array) -> Band:
    base = harm.background_per_year or Bounds(low=0.0, central=0.0, high=0.0)
    unit = harm.hazard_per_unit
    return Band(
        low=_occurred(base.low * years + unit.low * given),
        central=_occurred(base.central * years + unit.central * given),
        high=_occurred(base.high * years + unit.high * given),
    )


def _occurred(cumulative_hazard: Array) -> Array:
    return -np.expm1(-cumulative_hazard)


def _mg_per_kg(doses: Sequence[Dose], weight_kg: float | Array, patients: int) -> Array:
    """Return the amounts of base per kg, (P, doses)."""
    weight = np.broadcast_to(weight_kg, (patients,))
    found = [np.ravel(dose.amount_umol) / find_drug(dose.drug).umol_per_mg() / weight for dose in doses]
    return np.reshape(found, (len(doses), patients)).T


def _groups_by_then(factor: Array, group: NDArray[np.generic], by_then: Array) -> Array:
    """Return how many groups of doses have one that was given by each time, (P, T).

    Parameters
    ----------
    factor : array (P, doses)
    group : array (doses,)
    by_then : array (doses, T)
        1 from the start of the dose on.
    """
    is_given = (factor > 0).astype(float)
    counts = np.zeros((len(factor), by_then.shape[1]))
    for one in np.unique(group):
        counts += is_given[:, group == one] @ by_then[group == one] > 0
    return counts


def _checked_days(days: Sequence[float] | Array) -> Array:
    longest = limit("time_h").high / DAY_H
    must = f"a list of ascending days, 0 to {longest:g} (rules/dosing.toml)"
    try:
        found = np.asarray(days, float)
    except (TypeError, ValueError):
        raise invalid("days", must=must, got=repr(days)) from None
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise invalid("days", must=must, got=repr(days), cure="Write one day as [365].")
    if found[0] < 0 or found[-1] > longest or (np.diff(found) <= 0).any():
        raise invalid("days", must=must, got=", ".join(f"{day:g}" for day in found))
    return found


def _checked_factors(factors: Array | None, doses: int, weight: NDArray[np.generic]) -> Array:
    """Return factors (P, doses): ones where none are given."""
    if weight.ndim > 1 or not weight.size:
        raise invalid("weight_kg", must="one weight or one a patient", got=f"shape {weight.shape}")
    if factors is None:
        return np.ones((weight.size, doses))
    found = np.asarray(factors, float)
    patients = weight.size if weight.ndim else max(len(np.atleast_1d(found)), 1)
    if found.shape != (patients, doses):
        must = f"({patients}, {doses}), patients by doses of ketamine"
        raise invalid("factors", must=must, got=f"shape {found.shape}")
    if not np.isfinite(found).all() or (found < 0).any():
        raise invalid("factors", must="finite, each 0 or more", got="negative or not finite")
    return found


def _harm(row: Row) -> Harm:
    return Harm(
        name=row["name"],
        counts=row["counts"],
        exposure=cast(Measure, row["exposure"]),
        background_per_year=_bounds(row, "background", "per_year"),
        hazard_per_unit=cast(Bounds, _bounds(row, "hazard", "per_unit")),
        tag=row["tag"],
        source=row["source"],
        evidence_rows=_listed(row["evidence_rows"]),
        evidence=row["evidence"],
        compared_later=_listed(row["compared_later"]),
        why_wide=row["why_wide"],
    )


def _bounds(row: Row, what: str, per: str) -> Bounds | None:
    low, central, high = (number(row, f"{what}_{bound}_{per}") for bound in ("low", "central", "high"))
    if low is None or central is None or high is None:
        return None
    return Bounds(low=low, central=central, high=high)


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(cell.split(";")) if cell else ()
