"""Reversible occupancy of a target by a drug that is taken daily."""

from __future__ import annotations

from typing import Any


def occupancy(dose_mg: Any, half_occupancy_dose_mg: Any) -> Any:
    """Fraction of a target occupied at steady state: dose / (dose + D50).

    Parameters
    ----------
    dose_mg : array (...,)
        Daily dose.
    half_occupancy_dose_mg : array (...,)
        Daily dose that occupies half: a quarter of the minimum effective dose where that occupies 80 %.

    References
    ----------
    Sorensen2022: hyperbolic over 17 studies of the serotonin transporter; Meyer2004: 76-85 % at the minimum
    effective dose of five drugs.
    """
    return dose_mg / (dose_mg + half_occupancy_dose_mg)
