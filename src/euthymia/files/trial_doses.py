"""Which order of the plan a dosing session of a virtual trial carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.order import Order
from euthymia.dosing.regimen import TimedItem

if TYPE_CHECKING:
    from euthymia.trials.records import Cohort

BACKGROUND_CLASSES = ("ssri", "snri")
"""Drugs that are taken at home: no session."""


class Session(NamedTuple):
    """One session that took place: whose (place in the cohort), which, what, when and how much."""

    person: int
    place: int
    order: Order
    start_h: float
    given_mg: float

    @property
    def end_h(self) -> float:
        """End of the infusion; the start where it is none."""
        return self.start_h + self.order.end_min / 60.0


def took_place(cohort: Cohort) -> NDArray[np.bool_]:
    """Tell which sessions took place, (P, S).

    Those of a drug did where some of it was given; those of an inactive comparator where they were planned,
    neither held nor missed, and the patient had not left.
    """
    one = cohort.sessions
    is_inactive = (one.planned_mg == 0) & np.isfinite(one.start_h) & (one.start_h < cohort.left_h[:, None])
    return (one.given_mg > 0) | (is_inactive & ~one.was_held & ~one.was_missed)


def sessions_given(cohort: Cohort) -> list[Session]:
    """Return every session that took place, by patient, then in order of time."""
    plans = [_orders(cohort, arm) for arm in range(len(cohort.arms))]
    happened, one = took_place(cohort), cohort.sessions
    found = []
    for person, arm in enumerate(cohort.arm):
        for place, order in _matched(one.start_h[person], plans[arm]):
            if happened[person, place]:
                start_h, given_mg = one.start_h[person, place], one.given_mg[person, place]
                amount_mg = float(given_mg) if np.isfinite(given_mg) else 0.0
                found.append(Session(person, place, order, float(start_h), amount_mg))
    return found


def _orders(cohort: Cohort, arm: int) -> list[tuple[float, Order]]:
    """Return the orders of sessions that are planned for an arm, or for a sequence, in order of time."""
    protocol = cohort.protocol
    if protocol.crossover is None:
        treatments = [(0.0, list(protocol.arms)[arm])]
    else:
        sequence = protocol.crossover.sequences[arm]
        treatments = [(turn * protocol.crossover.period, name) for turn, name in enumerate(sequence)]
    return [
        (from_h + start_h, order)
        for from_h, name in treatments
        for start_h, order in _in_sessions(protocol.arms[name].plan.items)
    ]


def _in_sessions(items: tuple[TimedItem, ...]) -> list[tuple[float, Order]]:
    return [
        (start_h, item)
        for start_h, item in items
        if isinstance(item, Order) and find_drug(item.drug).drug_class not in BACKGROUND_CLASSES
    ]


def _matched(starts_h: NDArray[np.float64], orders: list[tuple[float, Order]]) -> list[tuple[int, Order]]:
    """Return the sessions of a patient in order of time, each with its order: by rank, else the nearest."""
    places = [int(place) for place in np.argsort(starts_h, kind="stable") if np.isfinite(starts_h[place])]
    if len(places) == len(orders):
        return [(place, order) for place, (_, order) in zip(places, orders, strict=True)]
    planned_h = np.array([start_h for start_h, _ in orders])
    nearest = [int(np.argmin(np.abs(planned_h - starts_h[place]))) for place in places]
    return [(place, orders[one][1]) for place, one in zip(places, nearest, strict=True)]
