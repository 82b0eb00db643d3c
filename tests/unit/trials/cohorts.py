"""Cohorts and results of virtual trials made by hand: plausible random content, no model behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from euthymia.dosing.order import Order
from euthymia.population.patient import Patient, numbers_of
from euthymia.trials.design import Protocol
from euthymia.trials.fields import EVENTS
from euthymia.trials.records import (
    AFTER_EVENT,
    COMPLETED,
    READINGS,
    WITHDREW,
    ArmSummary,
    Cohort,
    Estimate,
    Replicate,
    Sessions,
    TrialResult,
)

MINUTES = np.array([0.0, 40.0, 120.0])
MIDDLE = dict(zip(READINGS, (125.0, 78.0, 75.0, 12.0, 4.0), strict=True))
PARALLEL: dict[str, Any] = {
    "id": "made-up",
    "title": "Two arms that nobody ran",
    "arms": {
        "ketamine": {"n": 6, "regimen": "ketamine 0.5 mg/kg iv over 40 min, weekly x 2", "label": "Ketamine"},
        "saline": {"n": 6, "regimen": "saline iv over 40 min, weekly x 2", "is_control": True},
    },
    "visits": [
        {"at": "day 0", "scales": ["MADRS", "HAM-D17"]},
        {"at": "day 1"},
        {"at": "day 14", "scales": ["MADRS", "HAM-D17"]},
    ],
    "endpoints": {"day-14": {"kind": "change", "at": "day 14"}},
}
CROSSOVER: dict[str, Any] = PARALLEL | {
    "id": "made-up-crossover",
    "design": "crossover",
    "arms": {
        "ketamine": {"regimen": "ketamine 0.5 mg/kg iv over 40 min"},
        "midazolam": {"regimen": "midazolam 0.045 mg/kg iv over 40 min", "is_control": True},
    },
    "crossover": {
        "n": 8,
        "period": "day 21",
        "sequences": [["ketamine", "midazolam"], ["midazolam", "ketamine"]],
    },
}
TRANSFORMS: dict[str, Any] = PARALLEL | {
    "id": "made-up-spray",
    "arms": {
        "spray": {
            "n": 5,
            "regimen": "esketamine 56 mg intranasal, twice weekly x 4; escitalopram 10 mg po, daily x 14",
        },
        "control": {
            "n": 4,
            "regimen": "placebo intranasal, twice weekly x 4; escitalopram 10 mg po, daily x 14",
            "is_control": True,
        },
    },
}


def make_protocol(content: dict[str, Any] | None = None, **changes: Any) -> Protocol:
    """Return a small protocol; fields may be replaced."""
    return Protocol.model_validate((content or PARALLEL) | changes)


def make_cohort(
    protocol: Protocol | None = None,
    *,
    replicate: int = 0,
    rng: np.random.Generator | None = None,
    leaving_share: float = 0.3,
) -> Cohort:
    """Return a cohort whose content is random, but of the right shapes and within every scale.

    Some patients leave, miss visits, and have sessions held or missed; the first is complete, and the second
    has neither age nor sex.
    """
    protocol, rng = protocol or make_protocol(), rng or np.random.default_rng(1 + replicate)
    arm = _arms(protocol)
    count = len(arm)
    visits_h = _visits_h(protocol)
    left_h = np.where(rng.random(count) < leaving_share, rng.uniform(20.0, visits_h[-1], count), np.inf)
    left_h[0] = np.inf
    unmasked = {scale: _ratings(rng, protocol, scale, count, visits_h) for scale in protocol.scales}
    seen = (visits_h < left_h[:, None]) & (rng.random((count, len(visits_h))) > 0.1)
    seen[:, 0], seen[0] = True, True
    numbers, people = np.arange(1, count + 1, dtype=np.int64), _people(rng, count)
    return Cohort(
        protocol=protocol,
        replicate=replicate,
        number=numbers,
        key=numbers_of(replicate, numbers),
        arm=arm,
        stratum=np.zeros(count, dtype=np.int64),
        people=people,
        screened=2 * count,
        visits_h=visits_h,
        actual_h=visits_h + rng.uniform(0.0, 0.25, (count, len(visits_h))) * (visits_h > 0),
        scores={scale: np.where(seen, total, np.nan) for scale, total in unmasked.items()},
        unmasked=unmasked,
        left_h=left_h,
        reason=tuple(_reason(left) for left in left_h),
        is_analysed=np.ones(count, dtype=bool),
        sessions=_sessions(rng, protocol, arm, people, left_h),
    )


def make_replicate(
    protocol: Protocol | None = None, *, replicate: int = 0, rng: np.random.Generator | None = None
) -> Replicate:
    """Return what is kept of a replicate, random, with numbers that do not exist here and there."""
    protocol, rng = protocol or make_protocol(), rng or np.random.default_rng(100 + replicate)
    visits, control = len(protocol.visits), protocol.control
    return Replicate(
        replicate=replicate,
        screened=int(rng.integers(20, 40)),
        enrolled={name: protocol.arms[name].n or 4 for name in protocol.arms},
        completed={name: int(rng.integers(2, 5)) for name in protocol.arms},
        arms=tuple(
            ArmSummary(
                arm=name,
                scale=scale,
                n=rng.integers(2, 7, visits),
                mean=rng.normal(20.0, 3.0, visits),
                sd=rng.uniform(5.0, 9.0, visits),
                mean_change=np.array([0.0, np.nan, *rng.normal(-8.0, 2.0, visits - 2)]),
                sd_change=np.array([0.0, np.nan, *rng.uniform(5.0, 9.0, visits - 2)]),
            )
            for name in protocol.arms
            for scale in protocol.scales
        ),
        estimates=tuple(
            one
            for endpoint in protocol.endpoints
            for name in protocol.active
            for one in (
                _estimate(rng, endpoint, name, "", "mean"),
                _estimate(rng, endpoint, name, control or "", "difference"),
            )
        ),
        events={name: {event: int(rng.integers(0, 4)) for event in EVENTS} for name in protocol.arms},
    )


def make_result(protocol: Protocol | None = None, *, replicates: int = 5, seed: int = 3) -> TrialResult:
    """Return a result of several replicates."""
    protocol = protocol or make_protocol()
    return TrialResult(
        protocol=protocol,
        seed=seed,
        parameters="composed",
        replicates=tuple(make_replicate(protocol, replicate=number) for number in range(replicates)),
        first=make_cohort(protocol),
        provenance={
            "version": "0.1.0",
            "engine": "numpy (RODAS4)",
            "overrides": {"noise.x": 1.5},
            "seed": seed,
        },
        warnings=("Few replicates.",),
    )


def _estimate(rng: np.random.Generator, endpoint: str, arm: str, reference: str, measure: str) -> Estimate:
    value = float(rng.normal(-5.0, 3.0))
    return Estimate(
        endpoint=endpoint,
        arm=arm,
        reference=reference,
        measure=measure,
        method="ancova",
        value=value,
        se=2.0,
        low=value - 4.0,
        high=value + 4.0,
        p=float(rng.random()) if reference else np.nan,
        n=12,
    )


def _arms(protocol: Protocol) -> np.ndarray:
    if protocol.crossover is not None:
        return np.arange(protocol.crossover.n) % len(protocol.crossover.sequences)
    sizes: Sequence[int] = [one.n or 0 for one in protocol.arms.values()]
    return np.repeat(np.arange(len(sizes)), sizes)


def _visits_h(protocol: Protocol) -> np.ndarray:
    once = np.array(protocol.visits_h)
    if protocol.crossover is None:
        return once
    return np.concatenate(
        [once + turn * protocol.crossover.period for turn in range(len(protocol.crossover.sequences[0]))]
    )


def _ratings(
    rng: np.random.Generator, protocol: Protocol, scale: str, count: int, visits_h: np.ndarray
) -> np.ndarray:
    """Return whole points from 3 to 45; NaN where the visit does not rate the scale."""
    points = np.round(rng.uniform(3.0, 45.0, (count, len(visits_h))))
    turns = len(visits_h) // len(protocol.visits)
    is_rated = np.array([scale in visit.scales for visit in protocol.visits] * turns)
    return np.where(is_rated, points, np.nan)


def _people(rng: np.random.Generator, count: int) -> tuple[Patient, ...]:
    known = [
        Patient.create(
            weight_kg=float(np.round(rng.uniform(50.0, 110.0), 1)),
            age_years=float(rng.integers(18, 65)),
            sex="female" if rng.random() < 0.6 else "male",
            height_cm=float(np.round(rng.uniform(155.0, 190.0), 1)),
            is_hypertensive=bool(rng.random() < 0.2),
            failed_trials=int(rng.integers(2, 5)),
        )
        for _ in range(count)
    ]
    return (known[0], Patient.create(weight_kg=80.0), *known[2:])


def _reason(left_h: float) -> str:
    if not np.isfinite(left_h):
        return COMPLETED
    return AFTER_EVENT if left_h < 100.0 else WITHDREW


def _sessions(
    rng: np.random.Generator,
    protocol: Protocol,
    arm: np.ndarray,
    people: tuple[Patient, ...],
    left_h: np.ndarray,
) -> Sessions:
    """Return sessions at the times of the plan: the first as planned, some others held or missed."""
    plans = [_planned(protocol, one) for one in range(int(arm.max()) + 1)]
    shape = (len(arm), max(len(one) for one in plans))
    start_h, planned_mg = np.full(shape, np.nan), np.full(shape, np.nan)
    for place, (one, person) in enumerate(zip(arm, people, strict=True)):
        for turn, (time_h, order) in enumerate(plans[one]):
            start_h[place, turn] = time_h
            planned_mg[place, turn] = _amount_mg(order, person)
    is_later = np.isfinite(start_h) & (np.arange(shape[1]) > 0)
    was_held = is_later & (rng.random(shape) < 0.15)
    was_missed = is_later & ~was_held & (rng.random(shape) < 0.15)
    took_place = np.isfinite(start_h) & (start_h < left_h[:, None]) & ~was_held & ~was_missed
    readings = {
        name: np.where(
            took_place[..., None], np.round(middle + rng.uniform(-1, 1, (*shape, len(MINUTES)))), np.nan
        )
        for name, middle in MIDDLE.items()
    }
    return Sessions(
        start_h=start_h,
        planned_mg=planned_mg,
        given_mg=np.where(np.isfinite(start_h), np.where(took_place, planned_mg, 0.0), np.nan),
        was_switched=np.zeros(shape, dtype=bool),
        was_held=was_held,
        was_missed=was_missed,
        readings=readings,
        minutes=MINUTES,
        events={event: took_place & (rng.random(shape) < 0.2) for event in EVENTS},
    )


def _planned(protocol: Protocol, arm: int) -> list[tuple[float, Order]]:
    """Return the sessions of an arm by hour: what is given at a clinic, not tablets at home."""
    crossover = protocol.crossover
    names = [list(protocol.arms)[arm]] if crossover is None else crossover.sequences[arm]
    period = 0.0 if crossover is None else crossover.period
    return [
        (turn * period + time_h, item)
        for turn, name in enumerate(names)
        for time_h, item in protocol.arms[name].plan.items
        if isinstance(item, Order) and item.drug != "escitalopram"
    ]


def _amount_mg(order: Order, person: Patient) -> float:
    if order.amount is None:
        return 0.0
    return order.amount * (person.weight_kg if order.amount_unit == "mg/kg" else 1.0)
