"""Reads off simulated courses what a fact states: one function for each statistic of the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from euthymia.evidence.fact_courses import (
    VITAL_SIGNS,
    FactCourse,
    reading_times_h,
    scene_of,
    Scene,
    variable_of,
)
from euthymia.evidence.fact_courses import _SESSION_END_H as SESSION_END_H
from euthymia.evidence.fact_records import FactRun
from euthymia.mechanism.symptoms.scales import expected
from euthymia.population.outcomes import response

Array = NDArray[np.float64]
