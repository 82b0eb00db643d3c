"""What a change of mood is made of: therapy, antidepressant, expectancy, drug and natural course.

The same people are simulated again with one part after the other left out, in that order; a part is the
difference that leaving it out makes. The order matters where parts act on each other: what therapy gains from
an open window counts as therapy's, and hope that comes from feeling the drug counts as expectancy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.order import Order, TherapySession
from euthymia.dosing.regimen import Regimen
from euthymia.model.trajectory import Trajectory
from euthymia.population.settings import find_setting
from euthymia.population.simulate import simulate
from euthymia.population.summary import value_at
from euthymia.population.surroundings import ECT, MIDAZOLAM, PARTS, antidepressants

Array = NDArray[np.float64]
NATURAL = "natural course"
STATUS: Mapping[str, str] = {
    "therapy": "assumed; one trial of training stands behind its size",
    "antidepressant": "set by hand to a third of the effect by week one",
    "expectancy": "set by hand to control arms; beliefs and clues are assumed",
    "drug": "set by hand to contrasts with midazolam; ECT to one arm of a trial",
    NATURAL: "assumed: swings of mood, nothing else unless life is added",
}
"""What the size of each part rests on without a posterior."""
CALIBRATED: Mapping[str, str] = {
    **STATUS,
    "antidepressant": "calibrated on trials that start one, which leave it wide",
    "expectancy": "calibrated on control arms; beliefs and clues are assumed",
    "drug": "calibrated on trials; ECT set by hand to one arm of a trial",
}
"""The same with one."""
SEEN = ("severity_fraction", "madrs_points")


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The same people with one part after the other left out.

    Attributes
    ----------
    courses : {part: Trajectory}
        ``courses[part]`` is the run before that part was left out, in the order of ``PARTS``; the last, of
        the natural course, is what remains.
    therapy_bounds : tuple of Trajectory or None
        The whole with therapy at the ends of what a session may teach.
    """

    courses: Mapping[str, Trajectory]
    therapy_bounds: tuple[Trajectory, Trajectory] | None

    @property
    def names(self) -> tuple[str, ...]:
        """Parts that the regimen and the setting have, and the natural course."""
        return tuple(self.courses)

    def change(self, time_h: float, name: str = "madrs_points") -> dict[str, float]:
        """Return the mean change of an observable by a time that each part makes."""
        courses = list(self.courses.values())
        means = [_mean(course, name, time_h) for course in courses]
        start = float(courses[-1][name][:, 0].mean())
        left = [*means[1:], start]
        return {part: mean - without for part, mean, without in zip(self.names, means, left, strict=True)}

    def therapy_between(self, time_h: float, name: str = "madrs_points") -> tuple[float, float] | None:
        """Return what therapy may do at most and at least, by what its sessions may teach."""
        if self.therapy_bounds is None:
            return None
        without = list(self.courses.values())[1]
        low, high = (
            _mean(course, name, time_h) - _mean(without, name, time_h) for course in self.therapy_bounds
        )
        return min(low, high), max(low, high)


def _mean(course: Trajectory, name: str, time_h: float) -> float:
    return float(value_at(course, name, [time_h]).mean())


def parts_in(plan: Regimen, setting: str) -> tuple[str, ...]:
    """Return the parts that a regimen in a setting has, in the order of ``PARTS``."""
    items = [item for _, item in plan.items]
    drugs = [find_drug(item.drug) for item in items if isinstance(item, Order)]
    sessions = [item.therapy for item in items if isinstance(item, TherapySession)]
    around = find_setting(setting)
    has = {
        "therapy": any(name != ECT for name in sessions),
        "antidepressant": any(drug.name in antidepressants() for drug in drugs),
        "expectancy": around.is_hopeful or around.care_days > 0.0,
        "drug": ECT in sessions or any(drug.is_ketamine or drug.name == MIDAZOLAM for drug in drugs),
    }
    return tuple(part for part in PARTS if has[part])


def take_apart(
    plan: Regimen,
    course: Trajectory,
    *,
    setting: str,
    on_done: Callable[[int, int], None] | None = None,
    **common: Any,
) -> Parts:
    """Return what a run is made of.

    Parameters
    ----------
    plan : Regimen
    course : Trajectory
        Of the regimen; doses that were decided on during it are given again as they were.
    setting : str
    on_done : callable, optional
        Called with (runs done, runs in all).
    **common
        What else ``simulate`` was called with.
    """
    found = parts_in(plan, setting)
    asked: dict[str, Any] = {
        **common,
        "setting": setting,
        "variables": list(SEEN),
        "factors": course.given_fraction,
        "policy": None,
    }
    has_bounds = "therapy" in found
    total = len(found) + 2 * has_bounds
    courses = {}
    for done, part in enumerate((*found, NATURAL)):
        courses[part] = course if done == 0 else simulate(plan, omit=found[:done], **asked)
        if on_done is not None:
            on_done(done, total)
    bounds = None
    if has_bounds:
        least, most = (simulate(plan, quality=f"quality_{end}", **asked) for end in ("low", "high"))
        bounds = (least, most)
    if on_done is not None:
        on_done(total, total)
    return Parts(courses=courses, therapy_bounds=bounds)
