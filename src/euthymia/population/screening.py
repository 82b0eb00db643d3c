"""Who is enrolled: virtual patients whose rated total at the start meets the entry rule of a trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid
from euthymia.model.drive import piecewise
from euthymia.model.parameters import ParameterSet
from euthymia.model.scales import find_scale
from euthymia.population.individual import chain_values
from euthymia.population.outcomes import rate
from euthymia.population.patient import Patient
from euthymia.population.surroundings import mood_noise

MOST_SCREENED_PER_PATIENT = 200
"""Virtual patients looked at for each one to be enrolled, before a rule counts as one that nobody meets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A rated total on a scale of mood that patients must reach at the start.

    Who is chosen by a high rating was partly so by the rater's error and a bad week; both pass, and the mean
    falls without any treatment.
    """

    at_least_points: float
    scale: str = "MADRS"

    def __str__(self) -> str:
        return f"{self.scale} of {self.at_least_points:g} or more at the start"


def numbers_of_enrolled(
    entry: Entry,
    parameters: ParameterSet,
    person: Patient,
    count: int,
    *,
    seed: int,
    start_h: float,
    has_swings: bool = True,
) -> NDArray[np.int64]:
    """Return the numbers of the first virtual patients who meet a rule, (count,).

    Screening needs no run: the rating of the first visit follows from severity in the episode, the swing of
    mood of that day and the rater's error, which are keyed by the patient.

    Raises
    ------
    InvalidInputError
        Where too few meet it.
    """
    scale = find_scale(entry.scale)
    if scale.latent != "severity_fraction":
        raise invalid("entry", must="a scale of mood", got=scale.name)
    block = max(2 * count, 64)
    found = np.zeros(0, dtype=np.int64)
    for first in range(1, MOST_SCREENED_PER_PATIENT * count + 1, block):
        numbers = np.arange(first, first + block)
        values = chain_values(parameters, [person] * block, numbers=numbers, seed=seed)
        at_start: Any = 0.0
        if has_swings:
            swings = mood_noise(values, numbers, seed, start_h=start_h, end_h=start_h)
            at_start = piecewise(swings.knots, np.array([start_h]))[0][..., 0]
        usual = values["severity.episode_severity_fraction"]
        severity = 1.0 / (1.0 + (1.0 / usual - 1.0) * np.exp(-at_start))
        rated = rate(severity[:, None], scale, [start_h], parameters=parameters, numbers=numbers, seed=seed)
        found = np.concatenate([found, numbers[rated[:, 0] >= entry.at_least_points]])
        if len(found) >= count:
            return found[:count]
    raise invalid(
        "entry",
        must=f"a rule that {count} of {MOST_SCREENED_PER_PATIENT * count} virtual patients meet",
        got=f"{entry}, met by {len(found)}",
        cure="Lower the total.",
    )
