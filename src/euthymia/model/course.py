"""What happens to a batch of patients, on grid points: doses, visits, therapy, life and chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.order import Dose
from euthymia.engine.equations import Knots
from euthymia.model.pk import Given

Array = NDArray[np.float64]


class Pulse(NamedTuple):
    """Something constant from one time to another: a load of stress, an occupancy, care."""

    start_h: float
    end_h: float
    height: float


class Learning(NamedTuple):
    """A stretch of therapy: learning per hour starts at ``height`` and saturates with ``time_h``."""

    start_h: float
    end_h: float
    height: float
    time_h: float


class Visit(NamedTuple):
    """When a drug is expected, how well the patient is prepared (0-1), and when the verdict on it is made.

    ``verdict_h`` is None where nothing is concluded from what is felt.
    """

    time_h: float
    preparation_fraction: float = 0.0
    verdict_h: float | None = None


class Decision(NamedTuple):
    """At a visit some doses are decided on: ``decide({state: (P,)})`` returns what is given of them.

    One number for all of the slots, (P,), or one for each, (P, slots).
    """

    time_h: float
    slots: tuple[int, ...]
    decide: Callable[[Mapping[str, Array]], Array]


class Daily(NamedTuple):
    """Whole days, ascending, (D,), and values of each patient on them, (P, D); linear in between."""

    days: Array
    values: Array

    @property
    def knots(self) -> Knots:
        """The same by the hour."""
        return Knots(24.0 * self.days, self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Everything that happens to a batch of patients, on grid points.

    Parameters
    ----------
    given : tuple of Given
        Doses of ketamine; each is a slot.
    factors : array (P, slots) or None
        What each patient gets of each slot: 1 as planned, 0 held or missed. None is 1 for all.
    midazolam : tuple of Dose
        By vein.
    sessions_h, ect_h, contacts_h : tuple of float
        Starts of dosing sessions; electroconvulsive treatments; contacts about a new antidepressant.
    visits : tuple of Visit
        When a drug is expected, given or not.
    decisions : tuple of Decision
        Doses that are decided on during the run, by the states at a visit.
    learning, preparation, occupancy, anaesthesia, care, stress, inflammation : tuples
        Therapy, being prepared, transporter occupancy, general anaesthesia, care around the clock, and loads
        of life beyond the usual.
    adapted_occupancy_fraction : float
        Occupancy that the patient is adapted to at the start.
    mood_noise, events : Daily or None
        Swings of mood on the logit of severity, and stress by events of each patient's life.
    """

    given: tuple[Given, ...] = ()
    factors: Array | None = None
    midazolam: tuple[Dose, ...] = ()
    sessions_h: tuple[float, ...] = ()
    ect_h: tuple[float, ...] = ()
    contacts_h: tuple[float, ...] = ()
    visits: tuple[Visit, ...] = ()
    decisions: tuple[Decision, ...] = ()
    learning: tuple[Learning, ...] = ()
    preparation: tuple[Pulse, ...] = ()
    occupancy: tuple[Pulse, ...] = ()
    anaesthesia: tuple[Pulse, ...] = ()
    care: tuple[Pulse, ...] = ()
    stress: tuple[Pulse, ...] = ()
    inflammation: tuple[Pulse, ...] = ()
    adapted_occupancy_fraction: float = 0.0
    mood_noise: Daily | None = None
    events: Daily | None = None

    @property
    def pulses(self) -> tuple[Pulse | Learning, ...]:
        """Everything that lasts from one time to another."""
        return (
            *self.learning,
            *self.preparation,
            *self.occupancy,
            *self.anaesthesia,
            *self.care,
            *self.stress,
            *self.inflammation,
        )

    @property
    def kinks_h(self) -> Array:
        """Times at which what is known by the day bends."""
        known = [24.0 * one.days for one in (self.mood_noise, self.events) if one is not None]
        return np.unique(np.concatenate(known)) if known else np.zeros(0)
