"""The story: how ketamine therapy works, in twelve chapters, one patient running through them."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from euthymia.dosing.notation import print_regimen
from euthymia.model.connectome import load_connectome, surface
from euthymia.model.trajectory import Trajectory
from euthymia.population.story import course_numbers
from euthymia.tables import read_text
from euthymia.web.figures import Curve
from euthymia.web.link import Link
from euthymia.web.problems import DOCUMENTED
from euthymia.web.render import render
from euthymia.web.story import controls
from euthymia.web.story.pictures import PICTURES, is_ready, view_of
from euthymia.web.story.proof import VERDICTS, chapters, contraindications
from euthymia.web.story.state import Asked, State
from euthymia.web.story.view import DAY, View, course_of, days_of, doses_until, sampled

LINK = Link(path="/", title="The story", place=0)
SIDES = ("left", "right")
CURVE_DAYS = 42.0
AT_ONCE = 2
"""Chapters that stand in the page from the start, whatever has to be computed for them."""
router = APIRouter()
ChapterName = Literal[
    "brain",
    "surge",
    "repair",
    "network",
    "pace",
    "routes",
    "session",
    "therapy",
    "ideation",
    "relapse",
    "safety",
    "people",
]


class ChartJson(BaseModel):
    """A chart as numbers."""

    id: str
    title: str
    summary: str
    x_quantity: str
    x_unit: str
    quantity: str
    unit: str
    x: list[float | None]
    lines: list[Curve]


class ToldJson(BaseModel):
    """A sentence and the best evidence for the link of the chain that it tells of."""

    text: str
    grade: str


class ChapterJson(BaseModel):
    """A chapter for programs: its sentences and numbers for the patient asked for."""

    ok: bool = True
    id: str
    title: str
    regimen: str
    command: str
    query: str
    sentences: list[ToldJson]
    numbers: dict[str, float | None]
    charts: list[ChartJson]
    status: str = "simulated; research software, not a medical device"


class ChapterLink(BaseModel):
    """A chapter in the list of chapters."""

    id: str
    place: int
    mission: str
    title: str
    url: str


class StoryJson(BaseModel):
    """The story for programs: what the patient gets and where each chapter is."""

    ok: bool = True
    regimen: str
    command: str
    query: str
    state: dict[str, str | float | int | bool]
    chapters: list[ChapterLink]


@router.get("/", include_in_schema=False)
def page(
    request: Request, state: Asked, everything: Annotated[bool, Query(alias="all")] = False
) -> HTMLResponse:
    """Return the page: chapters that are known at once, the others to be fetched as they come into sight."""
    names = list(PICTURES)
    views = {
        name: view_of(name, state) if everything or place < AT_ONCE or is_ready(name, state) else None
        for place, name in enumerate(names)
    }
    return render(
        request,
        "story.html",
        state=state,
        chapters=list(chapters().values()),
        views=views,
        controls=controls.of(state),
        verdicts=VERDICTS,
        contraindications=contraindications(),
        notice=read_notice(),
        **_bar(state),
    )


@router.get("/story/patient", include_in_schema=False)
def patient(request: Request, state: Asked, was_route: str = "") -> HTMLResponse:
    """Return the bar that says who the patient is; the address of the page follows."""
    answer = render(
        request,
        "story_patient.html",
        state=state,
        is_new_route=was_route not in ("", state.route),
        dose=controls.dose(state),
        **_bar(state),
    )
    answer.headers["HX-Push-Url"] = f"/{state.query}"
    answer.headers["HX-Trigger"] = json.dumps({"patient": {"query": state.query}})
    return answer


@router.get("/story/chapter/{name}", include_in_schema=False)
def chapter(request: Request, name: Annotated[ChapterName, Path()], state: Asked) -> HTMLResponse:
    """Return the live part of a chapter."""
    return render(request, "story_live.html", view=view_of(name, state), chapter=chapters()[name])


@router.get("/api/story", responses=DOCUMENTED, tags=["story"])
def story_json(state: Asked) -> StoryJson:
    """Return what the patient gets, and the chapters."""
    return StoryJson(
        regimen=print_regimen(state.regimen),
        command=state.command(days_of(state)),
        query=state.query,
        state=state.plain,
        chapters=[
            ChapterLink(
                id=one.id,
                place=one.place,
                mission=one.mission,
                title=one.title,
                url=f"/api/story/chapters/{one.id}{state.query}",
            )
            for one in chapters().values()
        ],
    )


@router.get("/api/story/chapters/{name}", responses=DOCUMENTED, tags=["story"])
def chapter_json(name: Annotated[ChapterName, Path()], state: Asked) -> ChapterJson:
    """Return a chapter's sentences, numbers and curves."""
    view = view_of(name, state)
    return ChapterJson(
        id=name,
        title=chapters()[name].title,
        regimen=print_regimen(state.regimen),
        command=state.command(days_of(state)),
        query=state.query,
        sentences=[ToldJson(text=one.text, grade=one.grade) for one in view.sentences],
        numbers={key: _finite(value) for key, value in view.numbers.items()},
        charts=_charts(view),
    )


class BrainJson(BaseModel):
    """The cortex as two meshes: points in mm (right, front, up), triangles, and the network of each point."""

    ok: bool = True
    points_mm: list[list[float]]
    triangles: list[list[int]]
    point_networks: list[list[str]]
    notice: str


@router.get("/api/story/brain", responses=DOCUMENTED, tags=["story"])
def brain_json(response: Response) -> BrainJson:
    """Return the surface that the chapter on networks is drawn on."""
    response.headers["Cache-Control"] = "public, max-age=3600"
    held, connectome = surface(), load_connectome()
    names = ("", *connectome.networks)
    return BrainJson(
        points_mm=[held.points_mm[side].ravel().round(1).tolist() for side in SIDES],
        triangles=[held.triangles[side].ravel().tolist() for side in SIDES],
        point_networks=[[names[number] for number in held.parcels[side]] for side in SIDES],
        notice=connectome.note,
    )


def _charts(view: View) -> list[ChartJson]:
    return [
        ChartJson(
            id=one.id,
            title=one.title,
            summary=one.summary,
            x_quantity=one.x_quantity,
            x_unit=one.x_unit,
            quantity=one.quantity,
            unit=one.unit,
            x=[_finite(float(value)) for value in one.x],
            lines=[
                Curve(
                    label=line.label,
                    values=[_finite(float(value)) for value in line.values],
                    low=None if line.low is None else [_finite(float(value)) for value in line.low],
                    high=None if line.high is None else [_finite(float(value)) for value in line.high],
                )
                for line in one.lines
            ],
        )
        for one in view.charts
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _bar(state: State) -> dict[str, Any]:
    """Return what the head of the page and the bar over the chapters say."""
    course = course_of(state)
    numbers = course_numbers(course)
    return {
        "words": state.words,
        "before": numbers["madrs_start"],
        "after_day": numbers["madrs_day"],
        "command": state.command(days_of(state)),
        "curve": _curve(course),
    }


def _curve(course: Trajectory) -> dict[str, Any]:
    """Return six weeks of MADRS as a path, 460 by 230, with the numbers that stand at it."""
    days = np.linspace(0.0, CURVE_DAYS, 211)
    madrs = sampled(course, "madrs_points", days * DAY)
    x, y = 460.0 * days / CURVE_DAYS, 225.0 - 5.0 * madrs
    lowest, end_h = int(madrs.argmin()), CURVE_DAYS * DAY
    return {
        "path": "M" + "L".join(f"{one:.1f} {other:.1f}" for one, other in zip(x, y, strict=True)),
        "doses": [round(460.0 * day / CURVE_DAYS, 1) for day in doses_until(course, end_h, DAY)],
        "top": round(float(y[0]), 1),
        "start": f"{madrs[0]:.0f}",
        "lowest": f"{madrs[lowest]:.0f}",
        "lowest_x": round(min(max(float(x[lowest]), 12.0), 440.0), 1),
        "lowest_y": round(float(y[lowest]), 1),
        "end": f"{madrs[-1]:.0f}",
        "end_y": round(float(y[-1]), 1),
    }


def read_notice() -> list[str]:
    """Return what must stand where suicidality is named."""
    return list(tomllib.loads(read_text("notices.toml"))["ideation"]["text"])


def warm() -> Iterator[Callable[[], object]]:
    """Yield the chapters of a first visit, then what other accounts and routes compile or keep."""
    first = State()
    for name in PICTURES:
        yield partial(view_of, name, first)
    yield partial(view_of, "network", State(account="hypo"))
    yield partial(view_of, "ideation", State(among="ideation"))
    for sessions in (1, 8):
        yield partial(view_of, "ideation", State(sessions=sessions))
    for route in ("nasal", "intramuscular", "oral"):
        yield partial(view_of, "pace", State.create(route=route))
