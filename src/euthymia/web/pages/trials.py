"""Every shipped trial: simulated beside observed, from the stored replication, and the verdicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse

from euthymia.errors import UnknownNameError
from euthymia.web.link import Link
from euthymia.web.problems import DOCUMENTED
from euthymia.web.render import render
from euthymia.web.replicated import (
    COMPARED,
    POPULATIONS,
    ROUTES,
    Compared,
    Trial,
    compared_rows,
    find_trial,
    forests,
    made_of,
    number_of,
    trials,
)
from euthymia.web.story.controls import Choice

LINK = Link(path="/trials", title="Trials", place=30)
router = APIRouter()
RoleName = Literal["any", "calibrate", "validate", "background"]
RouteName = Literal["any", "IV", "IN", "SC", "PO-ER", "ECT"]
PopulationName = Literal["any", "trd-adult", "older-adult", "acute-suicidality"]
TrialName = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,60}$", description="Of a shipped protocol")]


class Asked(BaseModel):
    """What the filters say."""

    role: RoleName = "any"
    route: RouteName = "any"
    population: PopulationName = "any"

    @property
    def query(self) -> str:
        """Return the query of a link to these filters; empty where nothing is filtered."""
        told = {name: value for name, value in self.model_dump().items() if value != "any"}
        return f"?{urlencode(told)}" if told else ""

    def takes(self, trial: Trial) -> bool:
        """Tell whether a trial passes."""
        return (
            self.role in ("any", *trial.roles)
            and self.route in ("any", *trial.routes)
            and self.population in ("any", trial.population)
        )


def asked(
    role: Annotated[RoleName, Query(description="What its rows were kept for")] = "any",
    route: Annotated[RouteName, Query(description="Of any of its arms")] = "any",
    population: Annotated[PopulationName, Query(description="Whom it took")] = "any",
) -> Asked:
    """Return what a query asks for."""
    return Asked(role=role, route=route, population=population)


Wanted = Annotated[Asked, Depends(asked)]


def _chosen(state: Asked) -> list[Trial]:
    return [one for one in trials().values() if state.takes(one)]


def _controls(state: Asked) -> tuple[Choice, ...]:
    return (
        Choice(
            name="role",
            label="Its rows were kept to",
            value=state.role,
            options=(
                ("any", "any"),
                ("calibrate", "calibrate"),
                ("validate", "validate"),
                ("background", "background"),
            ),
        ),
        Choice(
            name="route",
            label="Route of an arm",
            value=state.route,
            options=(("any", "any"), *((name, ROUTES[name]) for name in ("IV", "IN", "SC", "PO-ER", "ECT"))),
        ),
        Choice(
            name="population",
            label="Population",
            value=state.population,
            options=(("any", "any"), *POPULATIONS.items()),
        ),
    )


def _reasons() -> list[tuple[str, int]]:
    """Return why rows that belong to no trial were not compared, the most frequent first."""
    return Counter(row.reason for trial, row in compared_rows() if not trial).most_common()


def _values(state: Asked) -> dict[str, Any]:
    chosen = _chosen(state)
    rows = {(row.row_id, row.label, row.measure): row for one in chosen for row in one.rows}.values()
    primary = [row for row in rows if row.is_primary]
    return {
        "state": state,
        "chosen": chosen,
        "count": len(trials()),
        "made": made_of(),
        "controls": _controls(state),
        "tally": Counter(row.verdict for row in rows),
        "primary": Counter(row.verdict for row in primary),
        "populations": POPULATIONS,
        "routes": ROUTES,
        "reasons": _reasons(),
        "compared": COMPARED,
    }


@router.get("/trials", include_in_schema=False)
def page(request: Request, state: Wanted) -> HTMLResponse:
    """Return the list."""
    return render(request, "trials.html", **_values(state))


@router.get("/trials/live", include_in_schema=False)
def live(request: Request, state: Wanted) -> HTMLResponse:
    """Return the list alone; the address of the page follows."""
    answer = render(request, "trials_live.html", **_values(state))
    answer.headers["HX-Push-Url"] = f"/trials{state.query}"
    return answer


def _found(name: str) -> Trial:
    try:
        return find_trial(name)
    except UnknownNameError as error:
        raise HTTPException(404, detail=str(error)) from error


@router.get("/trials/{name}", include_in_schema=False)
def trial_page(request: Request, name: TrialName) -> HTMLResponse:
    """Return the page of a trial."""
    trial = _found(name)
    return render(
        request,
        "trial.html",
        trial=trial,
        made=made_of(),
        forests=forests(trial.rows),
        others=[row for row in trial.rows if row.verdict not in COMPARED],
        populations=POPULATIONS,
        routes=ROUTES,
        number=number_of,
    )


class MadeJson(BaseModel):
    """What the stored result is of; an empty posterior means numbers that are not calibrated."""

    version: str
    seed: int
    replicates: int
    parameters: str
    engine: str
    posterior: str
    posterior_digest: str


class TrialLink(BaseModel):
    """A trial in the list."""

    name: str
    title: str
    design: str
    population: str
    routes: list[str]
    roles: list[str]
    verdicts: dict[str, int]
    primary: str
    url: str


class TrialsJson(BaseModel):
    """Every trial that passes the filters."""

    ok: bool = True
    stored: MadeJson
    trials: list[TrialLink]


class ComparedJson(BaseModel):
    """A published number beside the 90 % interval of single simulated trials of that size."""

    row_id: str
    role: str
    label: str
    measure: str
    unit: str
    is_primary: bool
    simulated: float | None
    low: float | None
    high: float | None
    observed: float | None
    observed_low: float | None
    observed_high: float | None
    published: str
    verdict: str
    reason: str
    pool: str
    citation: str


class ArmJson(BaseModel):
    """An arm of a protocol."""

    name: str
    n: int | None
    regimen: str
    setting: str


class TrialJson(BaseModel):
    """A trial for programs."""

    ok: bool = True
    stored: MadeJson
    name: str
    title: str
    design: str
    population: str
    who: str
    routes: list[str]
    roles: list[str]
    arms: list[ArmJson]
    assumed: list[str]
    rows: list[ComparedJson]


@router.get("/api/trials", responses=DOCUMENTED, tags=["trials"])
def trials_json(state: Wanted) -> TrialsJson:
    """Return the trials that pass the filters, with their verdicts counted."""
    return TrialsJson(
        stored=_made(),
        trials=[
            TrialLink(
                name=one.name,
                title=one.title,
                design=one.design,
                population=one.population,
                routes=list(one.routes),
                roles=list(one.roles),
                verdicts=dict(one.tally),
                primary=one.primary.verdict if one.primary else "",
                url=f"/api/trials/{one.name}",
            )
            for one in _chosen(state)
        ],
    )


@router.get("/api/trials/{name}", responses=DOCUMENTED, tags=["trials"])
def trial_json(name: TrialName) -> TrialJson:
    """Return a trial with every row, simulated beside observed."""
    one = _found(name)
    return TrialJson(
        stored=_made(),
        name=one.name,
        title=one.title,
        design=one.design,
        population=one.population,
        who=one.who,
        routes=list(one.routes),
        roles=list(one.roles),
        arms=[ArmJson(name=arm.name, n=arm.n, regimen=arm.regimen, setting=arm.setting) for arm in one.arms],
        assumed=list(one.assumed),
        rows=[_row(row) for row in one.rows],
    )


def _made() -> MadeJson:
    made = made_of()
    return MadeJson(
        version=made.version,
        seed=made.seed,
        replicates=made.replicates,
        parameters=made.parameters,
        engine=made.engine,
        posterior=made.posterior,
        posterior_digest=made.digest,
    )


def _row(row: Compared) -> ComparedJson:
    return ComparedJson(
        row_id=row.row_id,
        role=row.role,
        label=row.label,
        measure=row.measure,
        unit=row.unit,
        is_primary=row.is_primary,
        simulated=_finite(row.simulated),
        low=_finite(row.low),
        high=_finite(row.high),
        observed=_finite(row.observed),
        observed_low=_finite(row.observed_low),
        observed_high=_finite(row.observed_high),
        published=row.published,
        verdict=row.verdict,
        reason=row.reason,
        pool=row.pool,
        citation=row.citation,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def warm() -> Iterator[Callable[[], object]]:
    """Yield the reading of every protocol."""
    yield trials
