"""What surrounds the drug: therapy, antidepressants, visits and what is expected of them, chance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.order import Order, TherapySession
from euthymia.dosing.regimen import Regimen
from euthymia.errors import InvalidInputError, unknown
from euthymia.mechanism.receptor.occupancy import occupancy
from euthymia.mechanism.symptoms import noise
from euthymia.model.chain import Learning, Pulse
from euthymia.model.concentrations import grouped_starts_h
from euthymia.model.wiring import record
from euthymia.streams import normals_by_occasion
from euthymia.tables import Row, read_table

Array = NDArray[np.float64]
DAY_H = 24.0
DEFAULT_SETTING = "open"
EXPECTED_CLASSES = ("ketamine", "placebo", "benzodiazepine")
"""Classes of drug whose visits raise hope: ketamine, and what may stand in for it behind a blind."""


@cache
def settings() -> Mapping[str, Row]:
    """Return what patients expect of a visit, by the name of the setting."""
    return {row["name"]: row for row in read_table("settings.csv")}


def belief_of(setting: str) -> float:
    """Return the belief to be on the drug that a setting gives (0-1).

    Raises
    ------
    UnknownNameError
    """
    if setting not in settings():
        raise unknown("setting", setting, settings())
    return float(settings()[setting]["belief_fraction"])


def visits_of(plan: Regimen) -> tuple[float, ...]:
    """Return when visits take place at which a drug is expected, one for doses that follow each other."""
    spans = [
        (start_h, start_h + (item.duration_min or 0.0) / 60.0)
        for start_h, item in plan.items
        if isinstance(item, Order) and find_drug(item.drug).drug_class in EXPECTED_CLASSES
    ]
    return tuple(grouped_starts_h(spans))


def learning_of(plan: Regimen, *, saturation_h: float) -> tuple[Learning, ...]:
    """Return the learning of every therapy session; a second session of a day adds to what is saturated."""
    quality = {row["name"]: float(row["quality_relative"]) for row in read_table("therapies.csv")}
    found: list[Learning] = []
    hours_of_day: dict[int, float] = {}
    for start_h, item in plan.items:
        if not isinstance(item, TherapySession) or not quality.get(item.therapy) or not item.duration_min:
            continue
        day = int(start_h // DAY_H)
        before_h = hours_of_day.get(day, 0.0)
        length_h = item.duration_min / 60.0
        hours_of_day[day] = before_h + length_h
        height = quality[item.therapy] * float(np.exp(-before_h / saturation_h))
        found.append(Learning(start_h, start_h + length_h, height, saturation_h))
    return tuple(found)


def occupancy_of(plan: Regimen) -> tuple[Pulse, ...]:
    """Return occupancy of the serotonin transporter over time: each daily dose holds for a day.

    Competing drugs share one site: sum(dose / D50) / (1 + sum(dose / D50)).
    """
    halves = {row["name"]: float(row["half_occupancy_dose_mg"]) for row in read_table("antidepressants.csv")}
    taken = [
        (start_h, start_h + DAY_H, _daily_mg(item) / halves[item.drug])
        for start_h, item in plan.items
        if isinstance(item, Order) and item.drug in halves
    ]
    edges = sorted({edge for start, end, _ in taken for edge in (start, end)})
    found: list[Pulse] = []
    for start, end in pairwise(edges):
        load = sum(share for begins, ends, share in taken if begins <= start and ends >= end)
        height = float(occupancy(load, 1.0))
        if found and found[-1].end_h == start and found[-1].height == height:
            found[-1] = found[-1]._replace(end_h=end)
        elif height > 0:
            found.append(Pulse(start, end, height))
    return tuple(found)


def _daily_mg(order: Order) -> float:
    if order.amount is None:
        message = (
            f"An order of {order.drug} must state its daily dose, such as '{order.drug} 10 mg po daily'."
        )
        raise InvalidInputError(message)
    if order.amount_unit == "mg/kg":
        message = (
            f"'{order.drug}' must be given in mg a day, whatever the weight. Got {order.amount:g} mg/kg."
        )
        raise InvalidInputError(message)
    return float(order.amount)


def inert_of(plan: Regimen) -> tuple[str, ...]:
    """Return what must be said about items that have no effect of their own in this version."""
    halves = {row["name"] for row in read_table("antidepressants.csv")}
    quality = {row["name"]: float(row["quality_relative"]) for row in read_table("therapies.csv")}
    found: list[str] = []
    for _, item in plan.items:
        if isinstance(item, TherapySession):
            if not quality.get(item.therapy):
                found.append(f"{item.therapy} has no effect in this version: it changes nothing here.")
            continue
        drug = find_drug(item.drug)
        if drug.drug_class == "benzodiazepine":
            found.append(f"{item.drug} counts as a visit only: its own effects are not in this version.")
        elif not drug.is_ketamine and drug.drug_class != "placebo" and item.drug not in halves:
            found.append(f"{item.drug} has no effect in this version: it changes nothing here.")
    return tuple(dict.fromkeys(found))


def mood_noise(
    values: Mapping[str, Any], numbers: NDArray[np.int64], seed: int, *, start_h: float, end_h: float
) -> tuple[Array, Array]:
    """Return whole days that cover a run, (D,), and each patient's swing of mood on them, (P, D).

    A day's swing is the same whatever the run covers: draws are keyed by the day, on both sides of day 0.
    """
    first = min(int(np.floor(start_h / DAY_H)), 0)
    last = max(int(np.ceil(end_h / DAY_H)), 1)
    draws: dict[str, Any] = {"seed": seed, "purpose": "mood noise", "patients": numbers}
    before = normals_by_occasion(field="noise.before", occasions=range(1, -first + 1), **draws)
    after = normals_by_occasion(field="noise.after", occasions=range(last + 1), **draws)
    earlier, later = noise.daily(record(noise.Parameters, "noise", values), before, after)
    return np.arange(first, last + 1, dtype=float), np.concatenate([earlier[:, ::-1], later], axis=1)
