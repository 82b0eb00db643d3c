"""Routes side by side: level, dissociation, pressure, mood, and what labels and guidelines hold on each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from numpy.typing import NDArray
from pydantic import BaseModel
from starlette.responses import HTMLResponse

from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.model.trajectory import Trajectory
from euthymia.population.patient import Patient
from euthymia.tables import Row
from euthymia.web.figures import STATUS, Spread, spread_of, written
from euthymia.web.given import Way, facts_about, ways
from euthymia.web.link import Link
from euthymia.web.problems import DOCUMENTED
from euthymia.web.render import render
from euthymia.web.runs import Ask, remembered, simulated
from euthymia.web.sketches import Sketch, sketch
from euthymia.web.story.controls import Choice, Slider

LINK = Link(path="/routes", title="Routes", place=20)
Array = NDArray[np.float64]
router = APIRouter()
PEOPLE = 60
DAYS = 7.0
USUAL_KG = 70.0
SESSION_H = 6.0
TIMES_H = tuple(
    np.unique(np.concatenate([np.arange(0, 181) / 30.0, np.arange(6, 24), np.arange(24, 169, 6)]))
)
"""Every two minutes of the session, then hours, then quarters of days."""
VARIABLES = ("cadss_points", "systolic_rise_mmHg", "madrs_points")
TOPICS = ("setting", "supervision", "access")
MISSING = "not in our evidence"
Size = Literal["low", "usual", "high"]
Belief = Literal["open", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the controls of the page say."""

    size: Size = "usual"
    belief: Belief = "open"
    weight_kg: float = USUAL_KG
    hypertension: bool = False

    @property
    def query(self) -> str:
        """Return the query of a link to this state; empty for a first visit."""
        usual = Asked()
        told: dict[str, str] = {}
        if self.size != usual.size:
            told["size"] = self.size
        if self.belief != usual.belief:
            told["belief"] = self.belief
        if self.weight_kg != usual.weight_kg:
            told["weight_kg"] = f"{self.weight_kg:g}"
        if self.hypertension:
            told["hypertension"] = "true"
        return f"?{urlencode(told)}" if told else ""

    def dose_of(self, way: Way) -> float:
        """Return the dose of a route: the smallest, the usual or the largest studied."""
        return {"low": way.low, "usual": way.default, "high": way.high}[self.size]


def asked(
    size: Annotated[
        Size, Query(description="Smallest, usual or largest studied dose of each route")
    ] = "usual",
    belief: Annotated[Belief, Query(description="What people expect: a setting of the library")] = "open",
    weight_kg: Annotated[float, Query(ge=45, le=130, description="Body weight")] = USUAL_KG,
    hypertension: Annotated[bool, Query(description="A history of high pressure")] = False,
) -> Asked:
    """Return what a query asks for."""
    return Asked(size=size, belief=belief, weight_kg=weight_kg, hypertension=hypertension)


Wanted = Annotated[Asked, Depends(asked)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the page says of one drug by one route.

    Parameters
    ----------
    spreads : mapping of str to Spread
        Over people.
    sketches : mapping of str to Sketch
        Level, dissociation, pressure and mood, drawn on axes that all routes share.
    facts : mapping of str to sequence of Row
        Setting, supervision, access; empty where our tables hold nothing.
    """

    way: Way
    dose: float
    regimen: str
    spreads: Mapping[str, Spread]
    sketches: Mapping[str, Sketch]
    facts: Mapping[str, Sequence[Row]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Quantiles over people of what is drawn (3, T), with the numbers of the table."""

    quantiles: Mapping[str, Array]
    spreads: Mapping[str, Spread]


PANELS = (
    ("level", "Level", "ng/mL", "six hours"),
    ("cadss", "Dissociation", "CADSS points", "six hours"),
    ("systolic", "Systolic pressure", "mmHg above own", "six hours"),
    ("madrs", "Mood", "MADRS points, change", "seven days"),
)
AXES = {"level": "level_peak", "cadss": "cadss_peak", "systolic": "systolic_peak", "madrs": "madrs_day_7"}


def regimen_of(state: Asked, way: Way) -> str:
    """Return the one dose of a route in the canonical regimen language."""
    return print_regimen(parse_regimen(way.regimen(state.dose_of(way))))


def people_of(state: Asked, way: Way) -> Trajectory:
    """Return sixty imagined people for a week after one dose; the same people by every route."""
    is_hypertensive = state.hypertension or None
    return simulated(
        Ask(
            regimen=regimen_of(state, way),
            days=DAYS,
            variables=(way.level, *VARIABLES),
            setting=state.belief,
            patient=Patient.create(weight_kg=state.weight_kg, is_hypertensive=is_hypertensive),
            patients=PEOPLE,
            times_h=TIMES_H,
        )
    )


def curves_of(state: Asked, way: Way) -> Curves:
    """Return what is drawn and written of a route."""
    people = people_of(state, way)
    minutes = 60.0 * people.times_h
    read = {
        "level": people[f"{way.level}_ng_per_mL"],
        "cadss": people["cadss_points"],
        "systolic": people["systolic_rise_mmHg"],
        "madrs": people["madrs_points"] - people["madrs_points"][:, :1],
    }
    day, week = (int(np.abs(people.times_h - hours).argmin()) for hours in (24.0, 168.0))
    return Curves(
        quantiles={name: np.quantile(one, (0.05, 0.5, 0.95), axis=0) for name, one in read.items()},
        spreads={
            "level_peak": spread_of(read["level"].max(axis=1), "ng/mL"),
            "level_peak_min": spread_of(minutes[read["level"].argmax(axis=1)], "min"),
            "absorbed_percent": spread_of(100.0 * people.bioavailable_fraction, "%"),
            "cadss_peak": spread_of(read["cadss"].max(axis=1), "points"),
            "systolic_peak": spread_of(read["systolic"].max(axis=1), "mmHg"),
            "madrs_day_1": spread_of(read["madrs"][:, day], "points"),
            "madrs_day_7": spread_of(read["madrs"][:, week], "points"),
        },
    )


def told_of(state: Asked) -> tuple[Told, ...]:
    """Return every route, drawn on the same axes."""
    return remembered(("routes", state), lambda: _told_of(state))


def _told_of(state: Asked) -> tuple[Told, ...]:
    found = {name: curves_of(state, way) for name, way in ways().items()}
    ends = {
        panel: (
            min(0.0, *(float(one.quantiles[panel].min()) for one in found.values())),
            max(1e-9, *(float(one.quantiles[panel].max()) for one in found.values())),
        )
        for panel, *_ in PANELS
    }
    return tuple(
        Told(
            way=way,
            dose=state.dose_of(way),
            regimen=regimen_of(state, way),
            spreads=found[name].spreads,
            sketches={panel: _drawn(found[name], panel, label, ends[panel]) for panel, label, *_ in PANELS},
            facts={topic: facts_about(way, topic) for topic in TOPICS},
        )
        for name, way in ways().items()
    )


def _drawn(found: Curves, panel: str, label: str, ends: tuple[float, float]) -> Sketch:
    times = np.array(TIMES_H)
    shown = times >= 0.0 if panel == "madrs" else times <= SESSION_H
    low, middle, high = found.quantiles[panel][:, shown]
    says = f"{label}: {written(found.spreads[AXES[panel]])}"
    return sketch(times[shown], low, middle, high, bottom=ends[0], top=ends[1], says=says)


TABLE = (
    ("level_peak", "highest level (ng/mL)", 0),
    ("level_peak_min", "after (min)", 0),
    ("absorbed_percent", "reaches the blood (%)", 0),
    ("cadss_peak", "dissociation, peak CADSS", 0),
    ("systolic_peak", "systolic rise (mmHg)", 0),
    ("madrs_day_1", "MADRS change, day 1", 1),
    ("madrs_day_7", "MADRS change, day 7", 1),
)


def _values(state: Asked) -> dict[str, Any]:
    told = told_of(state)
    return {
        "state": state,
        "told": told,
        "people": PEOPLE,
        "panels": PANELS,
        "topics": TOPICS,
        "missing": MISSING,
        "heads": [label for _, label, _ in TABLE],
        "cells": {
            one.way.name: [written(one.spreads[key], places) for key, _, places in TABLE] for one in told
        },
        "shown": {
            one.way.name: {panel: _short(one.spreads[AXES[panel]]) for panel, *_ in PANELS} for one in told
        },
        "controls": (
            Choice(
                name="size",
                label="Each route at its",
                value=state.size,
                options=(
                    ("low", "smallest studied dose"),
                    ("usual", "usual dose"),
                    ("high", "largest studied dose"),
                ),
                help="A dose of one route is not the equal of a dose of another; each is what was studied.",
            ),
            Choice(
                name="belief",
                label="What people expect",
                value=state.belief,
                options=(("open", "they know what it is"), ("none", "nothing: the drug alone")),
                help="Where hope is in, it works by every route alike and makes routes look alike.",
            ),
            Slider(
                name="weight_kg",
                label="Body weight",
                value=state.weight_kg,
                low=45,
                high=130,
                step=5,
                unit="kg",
            ),
            Choice(
                name="hypertension",
                label="History of high blood pressure",
                value=str(state.hypertension).lower(),
                options=(("false", "none known"), ("true", "yes")),
            ),
        ),
    }


def _short(one: Spread) -> str:
    return "–" if one.p50 is None else f"{one.p50:.0f}"


@router.get("/routes", include_in_schema=False)
def page(request: Request, state: Wanted) -> HTMLResponse:
    """Return the page."""
    return render(request, "routes.html", **_values(state))


@router.get("/routes/live", include_in_schema=False)
def live(request: Request, state: Wanted) -> HTMLResponse:
    """Return what follows the controls; the address of the page follows too."""
    answer = render(request, "routes_live.html", **_values(state))
    answer.headers["HX-Push-Url"] = f"/routes{state.query}"
    return answer


class FactJson(BaseModel):
    """What a label, guideline or service prints, and where."""

    row_id: str
    says: str
    jurisdiction: str
    source: str


class RouteJson(BaseModel):
    """A drug by a route for programs; an empty list of facts is not in our evidence."""

    name: str
    drug: str
    title: str
    regimen: str
    basis: list[str]
    numbers: dict[str, Spread]
    approval_us: str
    interrupting: str
    caution: str
    facts: dict[str, list[FactJson]]


class RoutesJson(BaseModel):
    """Routes side by side for programs."""

    ok: bool = True
    query: str
    people: int
    days: float
    setting: str
    routes: list[RouteJson]
    status: str = STATUS


@router.get("/api/routes", responses=DOCUMENTED, tags=["routes"])
def routes_json(state: Wanted) -> RoutesJson:
    """Return the numbers of every route, and what labels and guidelines hold on it."""
    return RoutesJson(
        query=state.query,
        people=PEOPLE,
        days=DAYS,
        setting=state.belief,
        routes=[
            RouteJson(
                name=one.way.name,
                drug=one.way.drug,
                title=one.way.title,
                regimen=one.regimen,
                basis=list(one.way.basis),
                numbers=dict(one.spreads),
                approval_us=one.way.stated["status_us"],
                interrupting=one.way.stated["interrupting"],
                caution=one.way.stated["caution"],
                facts={topic: [_fact(row) for row in rows] for topic, rows in one.facts.items()},
            )
            for one in told_of(state)
        ],
    )


def _fact(row: Row) -> FactJson:
    return FactJson(
        row_id=row["id"], says=row["rule"], jurisdiction=row["jurisdiction"], source=row["citation"]
    )


def warm() -> Iterator[Callable[[], object]]:
    """Yield the routes of a first visit, one by one, then their picture."""
    first = Asked()
    for way in ways().values():
        yield partial(people_of, first, way)
    yield partial(told_of, first)
