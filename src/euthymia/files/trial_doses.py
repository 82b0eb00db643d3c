"""What was given in the sessions of a virtual trial: the orders of the plan, at the level of the day."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.order import Order
from euthymia.population.surroundings import EXPECTED_CLASSES
from euthymia.trials.design import instead_of

if TYPE_CHECKING:
    from euthymia.trials.records import Cohort

Array = NDArray[np.float64]
SAME_TIME_H = 1e-6


class GivenOrder(NamedTuple):
    """One order as it was carried out in a session.

    ``person`` and ``place`` are those of the patient and the session in the cohort; ``level`` is the ratio to
    the planned dose; ``amount_mg`` is of base, 0 of an inactive substance.
    """

    person: int
    place: int
    order: Order
    start_h: float
    level: float
    amount_mg: float

    @property
    def end_h(self) -> float:
        """End of the infusion; the start where it is none."""
        return self.start_h + self.order.end_min / 60.0


def took_place(cohort: Cohort) -> NDArray[np.bool_]:
    """Tell which sessions took place, (P, S).

    Those of a drug did where some of it was given. Those of an inactive comparator did where they were
    planned, neither held nor missed, before the patient left, and read where others were read.
    """
    one = cohort.sessions
    was_read = _was_read(cohort)
    is_unread = ~was_read.any(axis=0)
    is_inactive = (one.planned_mg == 0) & (one.start_h < cohort.left_h[:, None])
    is_inactive &= ~one.was_held & ~one.was_missed & (was_read | is_unread)
    return (one.given_mg > 0) | is_inactive


def _was_read(cohort: Cohort) -> NDArray[np.bool_]:
    found = np.zeros(cohort.sessions.start_h.shape, dtype=bool)
    for values in cohort.sessions.readings.values():
        found |= np.isfinite(values).any(axis=-1)
    return found


def orders_given(cohort: Cohort) -> list[GivenOrder]:
    """Return every order of every session that took place, by patient, then in order of time."""
    plans = [_orders(cohort, arm) for arm in range(len(cohort.arms))]
    happened, one = took_place(cohort), cohort.sessions
    found = []
    for person, arm in enumerate(cohort.arm):
        starts_h, weight_kg = one.start_h[person], cohort.people[person].weight_kg
        for start_h, order, is_instead in plans[arm]:
            place = _session_at(starts_h, start_h)
            if place is None or one.was_switched[person, place] != is_instead:
                continue
            if happened[person, place]:
                level = _level(one.given_mg[person, place], one.planned_mg[person, place])
                amount_mg = level * _amount_mg(order, weight_kg)
                found.append(GivenOrder(person, place, order, start_h, level, amount_mg))
    return found


def _level(given_mg: float, planned_mg: float) -> float:
    return float(given_mg / planned_mg) if planned_mg > 0 else 1.0


def _session_at(starts_h: Array, time_h: float) -> int | None:
    """Return the place of the session that an order belongs to: the last that has begun."""
    begun = np.flatnonzero(starts_h <= time_h + SAME_TIME_H)
    return int(begun[np.argmax(starts_h[begun])]) if len(begun) else None


def _amount_mg(order: Order, weight_kg: float) -> float:
    drug = find_drug(order.drug)
    if not drug.is_active:
        return 0.0
    doses = order.doses(0.0, weight_kg)
    return float(sum(float(np.ravel(dose.amount_umol)[0]) for dose in doses)) / drug.umol_per_mg()


def _orders(cohort: Cohort, arm: int) -> list[tuple[float, Order, bool]]:
    """Return the orders of sessions that are planned for an arm, or for a sequence, in order of time.

    And of each whether it is given only in place of another, where a session is switched.
    """
    protocol = cohort.protocol
    if protocol.crossover is None:
        treatments = [(0.0, list(protocol.arms)[arm])]
    else:
        sequence = protocol.crossover.sequences[arm]
        treatments = [(turn * protocol.crossover.period, name) for turn, name in enumerate(sequence)]
    planned = [
        (from_h + start_h, item, is_instead)
        for from_h, name in treatments
        for plan, is_instead in ((protocol.arms[name].plan, False), (instead_of(protocol, name), True))
        for start_h, item in (plan.items if plan else ())
        if isinstance(item, Order) and find_drug(item.drug).drug_class in EXPECTED_CLASSES
    ]
    return sorted(planned, key=lambda one: one[0])
