"""What surrounds the drug: therapy, antidepressants, visits, care, chance."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.order import Dose, Order, Route, TherapySession
from euthymia.dosing.regimen import Regimen
from euthymia.errors import InvalidInputError, invalid, unknown
from euthymia.mechanism.plasticity import events
from euthymia.mechanism.receptor.occupancy import occupancy
from euthymia.mechanism.symptoms import noise
from euthymia.model.concentrations import grouped_starts_h
from euthymia.model.course import Course, Daily, Learning, Pulse, Visit
from euthymia.model.wiring import record
from euthymia.population.settings import Setting
from euthymia.streams import normals_by_occasion, uniforms
from euthymia.tables import Row, read_table

Array = NDArray[np.float64]
DAY_H = 24.0
PREPARED_H = 28 * DAY_H
"""How long a preparation lasts (assumed)."""
CONTACTS = 5
"""Contacts about a newly started antidepressant: at the start and in each of four weeks (assumed)."""
MIDAZOLAM, ECT = "midazolam", "ECT"
PARTS = ("therapy", "antidepressant", "expectancy", "drug")
"""What may be left out of a run to see what it does; ``drug`` is ketamine, midazolam and ECT."""
QUALITIES = ("quality_relative", "quality_low", "quality_high")
"""Columns of ``therapies.csv``: what a session teaches, and the ends of what it may teach."""
EXPECTED_CLASSES = ("ketamine", "placebo", "benzodiazepine")
"""Classes of drug whose visits raise hope: ketamine, and what may stand in for it behind a blind."""


def visits_of(plan: Regimen) -> tuple[float, ...]:
    """Return when visits take place at which a drug is expected, one for doses that follow each other."""
    spans = [
        (start_h, start_h + (item.duration_min or 0.0) / 60.0)
        for start_h, item in plan.items
        if isinstance(item, Order) and find_drug(item.drug).drug_class in EXPECTED_CLASSES
    ]
    return tuple(grouped_starts_h(spans))


@cache
def therapies() -> Mapping[str, Row]:
    """Return what therapies teach and how they prepare, by name."""
    return {row["name"]: row for row in read_table("therapies.csv")}


@cache
def antidepressants() -> Mapping[str, float]:
    """Return the daily dose that occupies half of the transporters, mg, by drug."""
    return {row["name"]: float(row["half_occupancy_dose_mg"]) for row in read_table("antidepressants.csv")}


def learning_of(
    plan: Regimen, *, saturation_h: float, quality: str = "quality_relative"
) -> tuple[Learning, ...]:
    """Return the learning of every therapy session; a second session of a day adds to what is saturated.

    ``quality`` is a column of ``therapies.csv``: what a session teaches, or the ends of what it may teach.
    """
    if quality not in QUALITIES:
        raise unknown("quality", quality, QUALITIES)
    taught = {name: float(row[quality]) for name, row in therapies().items()}
    found: list[Learning] = []
    hours_of_day: dict[int, float] = {}
    for start_h, item in plan.items:
        if not isinstance(item, TherapySession) or not taught.get(item.therapy) or not item.duration_min:
            continue
        day = int(start_h // DAY_H)
        before_h = hours_of_day.get(day, 0.0)
        length_h = item.duration_min / 60.0
        hours_of_day[day] = before_h + length_h
        height = taught[item.therapy] * float(np.exp(-before_h / saturation_h))
        found.append(Learning(start_h, start_h + length_h, height, saturation_h))
    return tuple(found)


def preparation_of(plan: Regimen) -> tuple[Pulse, ...]:
    """Return how well the patient is prepared over time: each session adds its share of what is missing.

    It lasts for four weeks after a session (assumed).
    """
    shares = {name: float(row["preparation_fraction"]) for name, row in therapies().items()}
    sessions = [
        (start_h + (item.duration_min or 0.0) / 60.0, shares[item.therapy])
        for start_h, item in plan.items
        if isinstance(item, TherapySession) and shares.get(item.therapy)
    ]
    edges = sorted({edge for end, _ in sessions for edge in (end, end + PREPARED_H)})
    found = []
    for start, end in pairwise(edges):
        unprepared = [1.0 - share for done, share in sessions if done <= start < done + PREPARED_H]
        if unprepared:
            found.append(Pulse(start, end, 1.0 - float(np.prod(unprepared))))
    return tuple(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """An antidepressant that has been taken for months before the run, and until when it goes on."""

    drug: str
    daily_mg: float
    until_h: float = np.inf

    @classmethod
    def create(cls, text: str) -> Taken:
        """Return what a text says: ``escitalopram 10 mg``, or ``escitalopram 10 mg until day 14``.

        Raises
        ------
        InvalidInputError
        """
        match = TAKEN.fullmatch(text.strip().lower())
        if match is None:
            raise invalid(
                "already on",
                must="drug and dose a day in mg, 'escitalopram 10 mg' or 'sertraline 50 mg until day 14'",
                got=repr(text),
            )
        drug = find_drug(match["drug"]).name
        if drug not in antidepressants():
            raise unknown("antidepressant", drug, antidepressants())
        order = Order.create(drug=drug, route=Route.ORAL, amount=float(match["mg"]), amount_unit="mg")
        daily_mg = order.amount or 0.0
        until_h = np.inf if match["day"] is None else float(match["day"]) * DAY_H
        return cls(drug=drug, daily_mg=daily_mg, until_h=until_h)

    @property
    def load(self) -> float:
        """Dose over the one that occupies half of the transporters."""
        return self.daily_mg / antidepressants()[self.drug]

    def __str__(self) -> str:
        end = "" if np.isinf(self.until_h) else f" until day {self.until_h / DAY_H:g}"
        return f"{self.drug} {self.daily_mg:g} mg{end}"


TAKEN = re.compile(
    r"(?P<drug>[a-z ]+?)\s+(?P<mg>\d+(?:\.\d+)?)\s*mg(?:\s+until\s+day\s+(?P<day>\d+(?:\.\d+)?))?"
)


def adapted_occupancy(taken: Sequence[Taken]) -> float:
    """Return the occupancy that somebody is adapted to who has taken some antidepressants for months."""
    return float(occupancy(sum(one.load for one in taken), 1.0)) if taken else 0.0


def occupancy_of(
    plan: Regimen | None, taken: Sequence[Taken] = (), *, start_h: float = 0.0, end_h: float = 0.0
) -> tuple[Pulse, ...]:
    """Return occupancy of the serotonin transporter over time: each daily dose holds for a day.

    Competing drugs share one site: sum(dose / D50) / (1 + sum(dose / D50)).

    Parameters
    ----------
    plan : Regimen or None
    taken : sequence of Taken
        Taken from the start of the run on.
    start_h, end_h : float
        Of the run.
    """
    spans = [
        (start_h, start_h + DAY_H, _daily_mg(item) / antidepressants()[item.drug])
        for start_h, item in (plan.items if plan else ())
        if isinstance(item, Order) and item.drug in antidepressants()
    ]
    spans += [(start_h, min(one.until_h, end_h + DAY_H), one.load) for one in taken if one.until_h > start_h]
    edges = sorted({edge for start, end, _ in spans for edge in (start, end)})
    found: list[Pulse] = []
    for start, end in pairwise(edges):
        load = sum(share for begins, ends, share in spans if begins <= start and ends >= end)
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


def midazolam_of(plan: Regimen, weight_kg: Array) -> tuple[Dose, ...]:
    """Return the doses of midazolam, which acts by vein only.

    Raises
    ------
    InvalidInputError
        Where it is given by another route.
    """
    doses = tuple(dose for dose in plan.doses(weight_kg) if dose.drug == MIDAZOLAM)
    for dose in doses:
        if dose.route not in (Route.IV_INFUSION, Route.IV_BOLUS):
            raise invalid(
                "route",
                must="intravenous, the only one with kinetics here",
                got=f"{dose.route.value} {MIDAZOLAM}",
                cure=f"Write '{MIDAZOLAM} 0.045 mg/kg iv over 40 min'.",
            )
    return doses


def inert_of(plan: Regimen) -> tuple[str, ...]:
    """Return what must be said about items that have no effect of their own in this version."""
    found: list[str] = []
    for _, item in plan.items:
        if isinstance(item, TherapySession):
            row = therapies().get(item.therapy)
            acts = row is not None and (float(row["quality_high"]) or float(row["preparation_fraction"]))
            if not acts and item.therapy != ECT:
                found.append(f"{item.therapy} has no effect in this version: it changes nothing here.")
            continue
        drug = find_drug(item.drug)
        acts = (
            drug.is_ketamine or drug.drug_class == "placebo" or item.drug in (*antidepressants(), MIDAZOLAM)
        )
        if not acts:
            found.append(f"{item.drug} has no effect in this version: it changes nothing here.")
    return tuple(dict.fromkeys(found))


def cautions_about(plan: Regimen | None, setting: Setting, taken: Sequence[Taken]) -> tuple[str, ...]:
    """Return what always stands beside a result of some comparators, therapies and settings."""
    items = [item for _, item in plan.items] if plan else []
    drugs = {item.drug for item in items if isinstance(item, Order)} | {one.drug for one in taken}
    sessions = dict.fromkeys(item.therapy for item in items if isinstance(item, TherapySession))
    found = []
    if any(find_drug(drug).drug_class == "snri" for drug in drugs):
        found.append(
            "Of venlafaxine and duloxetine only the serotonin transporter acts here; noradrenaline is absent."
        )
    if MIDAZOLAM in drugs:
        found.append(
            "Midazolam: kinetics of volunteers in their thirties, any weight; drowsiness from one study; its "
            "quietening of the circuit is assumed. It causes no dissociation here."
        )
    if ECT in sessions:
        found.append("ECT is an empirical curve set to one arm of a trial, hope and natural course included.")
    found += [
        f"{name}: {therapies()[name]['evidence']} Quality {therapies()[name]['quality_relative']} "
        f"({therapies()[name]['quality_low']}–{therapies()[name]['quality_high']}), assumed."
        for name in sessions
        if name in therapies() and name != ECT
    ]
    if setting.care_days:
        found.append("Admission: the relief by care around the clock is assumed.")
    if setting.anaesthesia_h:
        found.append(
            "Under anaesthesia, where nobody could tell what was given, a trial saw no benefit of ketamine; "
            "the default mechanism predicts one all the same. 'euthymia rivals' lists those that do not."
        )
    return tuple(found)


def mood_noise(
    values: Mapping[str, Any], numbers: NDArray[np.int64], seed: int, *, start_h: float, end_h: float
) -> Daily:
    """Return each patient's swing of mood on whole days that cover a run.

    A day's swing is the same whatever the run covers: draws are keyed by the day, on both sides of day 0.
    """
    first, last = _days_around(start_h, end_h)
    draws: dict[str, Any] = {"seed": seed, "purpose": "mood noise", "patients": numbers}
    before = normals_by_occasion(field="noise.before", occasions=range(1, -first + 1), **draws)
    after = normals_by_occasion(field="noise.after", occasions=range(last + 1), **draws)
    earlier, later = noise.daily(record(noise.Parameters, "noise", values), before, after)
    return Daily(np.arange(first, last + 1, dtype=float), np.concatenate([earlier[:, ::-1], later], axis=1))


def life_events(
    values: Mapping[str, Any], numbers: NDArray[np.int64], seed: int, *, start_h: float, end_h: float
) -> Daily:
    """Return the stress that events of each patient's life bring on whole days that cover a run.

    Events arrive from day 1 on; a day's draws are the same whatever the run covers.
    """
    first, last = _days_around(start_h, end_h)
    draws: dict[str, Any] = {"seed": seed, "purpose": "life events", "patients": numbers}

    def each_day(field: str) -> Array:
        columns = [uniforms(field=field, occasion=day, **draws) for day in range(1, last + 1)]
        return np.stack(columns, axis=1)

    loads = events.daily(
        record(events.Parameters, "life", values), each_day("life.arrival"), each_day("life.size")
    )
    before = np.zeros((len(numbers), 1 - first))
    return Daily(np.arange(first, last + 1, dtype=float), np.concatenate([before, loads], axis=1))


def _days_around(start_h: float, end_h: float) -> tuple[int, int]:
    return min(int(np.floor(start_h / DAY_H)), 0), max(int(np.ceil(end_h / DAY_H)), 1)


def surround(
    plan: Regimen | None,
    setting: Setting,
    values: Mapping[str, Any],
    *,
    taken: Sequence[Taken] = (),
    omit: Collection[str] = (),
    quality: str = "quality_relative",
    start_h: float,
    end_h: float,
) -> Course:
    """Return what happens around the doses of ketamine, chance and life aside.

    Parameters
    ----------
    plan : Regimen or None
    setting : Setting
    values : {layer.field: value}
    taken : sequence of Taken
    omit : collection of str
        Of ``PARTS``: what is left out to see what it does.
    quality : str
        Column of ``therapies.csv``.
    start_h, end_h : float
    """
    prior = np.asarray(values["expectancy.prior_belief_fraction"])  # a number, or one for each patient
    weight = np.asarray(values["expectancy.clue_weight_fraction"])
    is_hopeful = bool((prior > 0.0).any()) and "expectancy" not in omit
    can_be_told = bool(((weight > 0.0) & (prior > 0.0) & (prior < 1.0)).any())
    has_therapy = plan is not None and "therapy" not in omit
    prepared = preparation_of(plan) if plan is not None and has_therapy else ()
    visits = visits_of(plan) if plan is not None and is_hopeful else ()
    verdict_after_h = float(values["expectancy.verdict_after_h"]) if can_be_told else None
    saturation_h = float(values["belief.session_saturation_h"])
    care_h = 0.0 if "expectancy" in omit else setting.care_days * DAY_H
    medicines = None if "antidepressant" in omit else plan
    asleep = visits_of(plan) if plan is not None and setting.anaesthesia_h else ()
    return Course(
        contacts_h=contacts_of(plan) if plan is not None and is_hopeful else (),
        ect_h=ect_of(plan) if plan is not None and "drug" not in omit else (),
        visits=tuple(
            Visit(
                time_h,
                max((one.height for one in prepared if one.start_h <= time_h < one.end_h), default=0.0),
                None if verdict_after_h is None else time_h + verdict_after_h,
            )
            for time_h in visits
        ),
        learning=(
            learning_of(plan, saturation_h=saturation_h, quality=quality)
            if plan is not None and has_therapy
            else ()
        ),
        preparation=prepared,
        occupancy=occupancy_of(medicines, taken, start_h=start_h, end_h=end_h),
        anaesthesia=tuple(Pulse(time_h, time_h + setting.anaesthesia_h, 1.0) for time_h in asleep),
        care=(Pulse(0.0, care_h, 1.0),) if care_h else (),
        adapted_occupancy_fraction=adapted_occupancy(taken),
    )


def contacts_of(plan: Regimen) -> tuple[float, ...]:
    """Return when there is contact about a new antidepressant: at its start, then weekly for a month."""
    taken: dict[str, list[float]] = {}
    for start_h, item in plan.items:
        if isinstance(item, Order) and item.drug in antidepressants():
            taken.setdefault(item.drug, []).append(start_h)
    contacts = {
        starts[0] + week * 7 * DAY_H
        for starts in taken.values()
        for week in range(CONTACTS)
        if starts[0] + week * 7 * DAY_H <= starts[-1]
    }
    return tuple(sorted(contacts))


def ect_of(plan: Regimen) -> tuple[float, ...]:
    """Return when electroconvulsive treatments take place."""
    return tuple(
        start_h for start_h, item in plan.items if isinstance(item, TherapySession) and item.therapy == ECT
    )
