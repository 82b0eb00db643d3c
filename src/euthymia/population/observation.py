"""What staff would read in a session: pressure, pulse, dissociation and alertness, noise included."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import unknown
from euthymia.mechanism.acute import reading
from euthymia.model.parameters import ParameterSet
from euthymia.model.wiring import record
from euthymia.population.individual import chain_values
from euthymia.population.patient import Patient
from euthymia.streams import normals_by_occasion, occasion_of
from euthymia.tables import read_text

Array = NDArray[np.float64]
VITAL_SIGNS = {
    "systolic_rise_mmHg": ("resting_systolic_mmHg", "systolic_noise_sd_mmHg"),
    "diastolic_rise_mmHg": ("resting_diastolic_mmHg", "diastolic_noise_sd_mmHg"),
    "heart_rate_rise_per_min": ("resting_heart_rate_per_min", "heart_rate_noise_sd_per_min"),
}
"""Resting value and noise of each vital sign, by the variable that holds its rise."""
SCORES = {
    "cadss_points": ("scales/cadss.toml", reading.cadss),
    "moaas_points": ("scales/moaas.toml", reading.moaas),
}
OBSERVED = (*VITAL_SIGNS, *SCORES)
"""Variables of the acute layer that are read off a device or rated."""


def observe(
    variable: str,
    values: Array,
    times_h: Sequence[float] | Array,
    *,
    parameters: ParameterSet,
    numbers: NDArray[np.int64],
    seed: int,
) -> Array:
    """Return readings as they would be written down.

    Parameters
    ----------
    variable : str
        One of ``OBSERVED``. Of a rise the reading is the whole pressure or pulse, resting value included.
    values : array (P, V)
        As expected, at the readings.
    times_h : array (V,)
        Of the readings; they key the draws, so that another reading moves none.
    numbers : array (P,) of int
        Numbers of the patients.

    Returns
    -------
    readings : array (P, V)
        Whole points, mmHg or beats per minute.

    Raises
    ------
    UnknownNameError
    """
    if variable not in OBSERVED:
        raise unknown("variable that is read in a session", variable, OBSERVED)
    draws = normals_by_occasion(
        seed=seed,
        purpose="reading",
        field=f"reading.{variable}",
        patients=numbers,
        occasions=[occasion_of(time_h) for time_h in times_h],
    )
    own = _person(parameters, numbers, seed)
    if variable in SCORES:
        path, rated = SCORES[variable]
        return rated(values, own, draws, maximum_points=_maximum_points(path))
    resting, noise_sd = (getattr(own, field) for field in VITAL_SIGNS[variable])
    return reading.vital_sign(values, np.asarray(resting)[..., None], noise_sd, draws)


def _person(parameters: ParameterSet, numbers: NDArray[np.int64], seed: int) -> Any:
    """Return what is a person's own in readings; resting values are drawn like every other parameter."""
    rows = {name: row for name, row in parameters.chain.items() if row.layer == "reading"}
    own = replace(parameters, chain=rows)
    values = chain_values(own, [Patient()] * len(numbers), numbers=numbers, seed=seed)
    return record(reading.Parameters, "reading", values)


@cache
def _maximum_points(path: str) -> float:
    return float(tomllib.loads(read_text(path))["maximum"])
