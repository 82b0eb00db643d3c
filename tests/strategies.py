"""Hypothesis strategies for orders, schedules and regimens."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from tests.registry import CHAIN, PARTS

from euthymia.dosing.drug import treatments
from euthymia.dosing.limits import device
from euthymia.dosing.order import Item, Order, Route, TherapySession
from euthymia.dosing.regimen import Clause, Phase, Regimen
from euthymia.dosing.schedule import PATTERNS, AfterEachDose, AtTimes, Once, Repeated

DRUGS = [treatment.drug for treatment in treatments() if treatment.drug is not None]
THERAPIES = [treatment for treatment in treatments() if treatment.drug is None]


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Round and unround numbers between two bounds."""
    unround = st.floats(low, high, allow_nan=False, allow_subnormal=False)
    return unround | st.integers(int(low) + 1, int(high)).map(float) if int(high) > int(low) else unround


@st.composite
def orders(draw: st.DrawFn, *, is_ketamine: bool | None = None, is_infusion: bool | None = None) -> Order:
    """Valid orders of any drug by any route that warn of nothing."""
    drug = draw(st.sampled_from([d for d in DRUGS if is_ketamine is None or d.is_ketamine == is_ketamine]))
    routes = [r for r in Route if is_infusion is None or (r is Route.IV_INFUSION) == is_infusion]
    route = draw(st.sampled_from(routes))
    given: dict = {"drug": drug.name, "route": route}
    if drug.base_per_salt_fraction is not None:
        given["salt_form"] = draw(st.sampled_from(["base", "hcl"]))
    if device(drug.name, route) is not None:
        given.update(salt_form="base", amount_unit="mg", amount=28.0 * draw(st.integers(1, 4)))
    elif drug.is_active:
        unit = draw(st.sampled_from(["mg", "mg/kg"]))
        given.update(amount_unit=unit, amount=draw(numbers(0.001, 1.0 if unit == "mg/kg" else 100.0)))
    if route is Route.IV_INFUSION:
        _draw_infusion(draw, given)
    if route is Route.SUBLINGUAL:
        given["hold_min"] = draw(st.none() | numbers(0.5, 60.0))
        given["spat_out"] = draw(st.booleans())
    return Order.create(**given)


def _draw_infusion(draw: st.DrawFn, given: dict) -> None:
    if "amount" in given and draw(st.booleans()):
        unit = f"{given.pop('amount_unit')}/h"
        rate = numbers(0.001, given.pop("amount") / 4 + 0.001)
        minutes = draw(st.just(numbers(2.0, 60.0)) | numbers(2.0, 60.0).map(st.just))
        steps = draw(st.lists(st.tuples(rate, minutes), min_size=1, max_size=4))
        given.update(rate_unit=unit, rate_steps=steps)
        planned = sum(duration for _, duration in steps)
    else:
        planned = given["duration_min"] = draw(numbers(2.0, 240.0))
    if draw(st.booleans()):
        start = planned * draw(st.sampled_from([0.25, 0.5]))
        given["pauses"] = [(start, start + draw(numbers(0.5, 30.0)))]
    if draw(st.booleans()):
        given["stopped_at_min"] = planned * draw(st.sampled_from([0.75, 0.9]))


@st.composite
def sessions(draw: st.DrawFn) -> TherapySession:
    """Valid sessions of any therapy or procedure."""
    therapy = draw(st.sampled_from(THERAPIES))
    duration = numbers(1.0, 480.0)
    is_optional = therapy.kind == "procedure"
    return TherapySession.create(
        therapy=therapy.name, duration_min=draw(duration | st.none() if is_optional else duration)
    )


def items() -> st.SearchStrategy[Item]:
    """Orders and sessions."""
    return orders() | sessions()


@st.composite
def repeated(draw: st.DrawFn, *, from_h: float | None = None) -> Repeated:
    """Patterns and intervals of at least 8 h, ended by a count or a length."""
    given: dict = {"from_h": from_h}
    if draw(st.booleans()):
        given["pattern"] = draw(st.sampled_from(sorted(PATTERNS)))
    else:
        given["every_h"] = draw(numbers(8.0, 400.0))
    if draw(st.booleans()):
        given["count"] = draw(st.integers(1, 12))
    else:
        given["length_h"] = draw(numbers(0.5, 800.0) | st.sampled_from([24.0, 72.0, 168.0, 672.0]))
    return Repeated.create(**given)


@st.composite
def clauses(draw: st.DrawFn, *, first_item: st.SearchStrategy[Item] | None = None) -> Clause:
    """Clauses of one to three phases; the last may be given once or at fixed times after the others."""
    start_h = draw(st.none() | numbers(-1000.0, 1000.0))
    phases = [
        Phase.create(
            item=draw(first_item if first_item is not None else items()),
            schedule=draw(repeated(from_h=start_h)),
        )
    ]
    for _ in range(draw(st.integers(0, 1))):
        item = draw(st.just(phases[-1].item) | items())
        phases.append(Phase.create(item=item, schedule=draw(repeated())))
    next_h = Clause.create(phases=phases).next_h
    last = draw(st.sampled_from(["none", "once", "at", "from"]))
    item = draw(st.just(phases[-1].item) | items())
    later_h = (next_h or 0.0) + draw(numbers(0.0, 500.0))
    if last == "once":
        phases.append(Phase.create(item=item, schedule=Once()))
    elif last == "at":
        phases.append(Phase.create(item=item, schedule=AtTimes.create(times_h=[later_h, later_h + 24.0])))
    elif last == "from":
        phases.append(Phase.create(item=item, schedule=draw(repeated(from_h=later_h))))
    return Clause.create(phases=phases)


@st.composite
def regimens(draw: st.DrawFn) -> Regimen:
    """Regimens of one to three clauses, some with sessions that follow each dose."""
    parts = draw(st.lists(clauses(), min_size=0, max_size=2))
    if not parts or draw(st.booleans()):
        parts.append(draw(clauses(first_item=orders(is_ketamine=True))))
        delays_h = st.lists(st.integers(-48, 48).map(float), min_size=1, max_size=3, unique=True)
        schedule = AfterEachDose.create(delays_h=draw(delays_h))
        parts.append(Clause.create(phases=[Phase.create(item=draw(sessions()), schedule=schedule)]))
    return Regimen.create(clauses=parts)


def fractions() -> st.SearchStrategy[float]:
    """Numbers from 0 to 1, both ends often."""
    return st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0, allow_subnormal=False)


def loads() -> st.SearchStrategy[float]:
    """Stress and inflammation as far as the model must hold: 0 to 5."""
    return st.sampled_from([0.0, 1.0, 5.0]) | st.floats(0.0, 5.0, allow_subnormal=False)


def concentrations() -> st.SearchStrategy[float]:
    """Unbound concentrations at the site in umol/L, from none to far above anaesthesia."""
    return st.just(0.0) | st.floats(1e-6, 1e3)


def layer_parameters(layer: str, **fixed: float) -> st.SearchStrategy[Any]:
    """Parameters of a part, each anywhere in its range, whole numbers where the table has one."""
    kind = PARTS[layer].Parameters
    return st.builds(
        kind,
        **{
            field: st.just(fixed[field]) if field in fixed else _in_range(f"{layer}.{field}")
            for field in kind._fields
        },
    )


def _in_range(name: str) -> st.SearchStrategy[float]:
    row = CHAIN[name]
    return st.sampled_from([row.low, row.value, row.high]) | st.floats(
        row.low, row.high, allow_subnormal=False
    )
