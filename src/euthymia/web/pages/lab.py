"""The lab: regimens side by side, any variable, downloads, and what reproduces them."""

from __future__ import annotations

import math
import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import HTMLResponse, Response

from euthymia.citations import cite, format_source
from euthymia.errors import InvalidInputError, invalid
from euthymia.files.results import dump_json, quantile_table, simulation_json
from euthymia.model.mechanisms import DEFAULT_MECHANISM, mechanisms
from euthymia.model.trajectory import Trajectory
from euthymia.population.posterior import default_posterior
from euthymia.population.settings import settings
from euthymia.tables import read_text
from euthymia.web import lab
from euthymia.web.figures import STATUS, Figure, figures
from euthymia.web.jobs import ENDED, Job, Jobs, Status
from euthymia.web.lab import (
    FIRST,
    FIRST_VARIABLES,
    UNIT,
    Asked,
    Result,
    Scenario,
    field_of,
    is_known,
    result_of,
)
from euthymia.web.link import Link
from euthymia.web.problems import DOCUMENTED
from euthymia.web.render import render

if TYPE_CHECKING:
    import polars

LINK = Link(path="/lab", title="The lab", place=40)
router = APIRouter()
jobs = Jobs()
MechanismName = Literal[
    "disinhibition",
    "anaesthetic_gain",
    "bistable_mood",
    "direct",
    "enantiomer",
    "expectancy_only",
    "habenula_trapping",
    "hnk",
    "mtor_bypassed",
    "mtor_required",
    "network_sign",
    "opioid",
    "trkb_binding",
]
SettingName = Literal["open", "saline", "midazolam", "nasal_placebo", "anaesthesia", "admission", "none"]
PosteriorName = Literal["default", "prior", "mean"]
LAYERS = {
    "pk": "Concentrations",
    "site": "At the site of action",
    "receptor": "Receptors",
    "circuit": "Circuit",
    "plasticity": "Plasticity",
    "network": "Networks",
    "comparators": "Comparators",
    "symptoms": "Symptoms",
    "acute": "The session",
    "connectivity": "Connectivity of the whole network (slow)",
}
IDEATION = ("suicidal_ideation_fraction", "ssi_points", "cssrs_ideation_points")


def _blank(value: object) -> object:
    """Return None for a field of a form that was left empty."""
    return None if value == "" else value


Text = Annotated[
    str | None,
    Query(max_length=lab.LONGEST_REGIMEN, description="In the dosing language; empty: no such scenario"),
]
Mechanism = Annotated[MechanismName, Query(description="Under which it acts")]


class Form(BaseModel):
    """What the fields of the form hold, read but not yet checked against each other."""

    regimens: list[str | None]
    mechanisms: list[str]
    days: float | None
    patients: int | None
    seed: int
    setting: str
    posterior: str
    weight_kg: float
    age_years: float | None
    hypertension: bool
    variable: list[str]

    def asked(self) -> Asked:
        """Return what is asked, checked.

        Raises
        ------
        InvalidInputError
        """
        texts = [(text or "").strip() for text in self.regimens]
        if not texts[0]:
            message = "'regimen' must be given: the first scenario. Got nothing."
            raise InvalidInputError(message)
        for place, text in enumerate(texts, 1):
            if text:
                lab.plan_of(place, text)
        pairs = zip(texts, self.mechanisms, strict=True)
        found = [Scenario(regimen=text, mechanism=name) for text, name in pairs if text]
        return Asked.create(
            scenarios=found,
            days=self.days,
            patients=self.patients,
            seed=self.seed,
            setting=self.setting,
            posterior=self.posterior,
            weight_kg=self.weight_kg,
            age_years=self.age_years,
            hypertension=self.hypertension,
            variables=self.variable,
        )


def form_of(
    regimen: Text = None,
    regimen_2: Text = None,
    regimen_3: Text = None,
    regimen_4: Text = None,
    mechanism: Mechanism = "disinhibition",
    mechanism_2: Mechanism = "disinhibition",
    mechanism_3: Mechanism = "disinhibition",
    mechanism_4: Mechanism = "disinhibition",
    days: Annotated[
        Annotated[float, Field(ge=0.1, le=lab.LONGEST_DAYS)] | None,
        BeforeValidator(_blank),
        Query(description="Empty: a week after the last item of the longest"),
    ] = None,
    patients: Annotated[
        Annotated[int, Field(ge=1, le=lab.MOST_PATIENTS)] | None,
        BeforeValidator(_blank),
        Query(description="Virtual patients; empty: one typical patient"),
    ] = None,
    seed: Annotated[int, Query(ge=0, le=2**31 - 1, description="Keys every random draw")] = 1,
    setting: Annotated[SettingName, Query(description="What patients believe")] = "open",
    posterior: Annotated[PosteriorName, Query(description="Calibrated numbers")] = "default",
    weight_kg: Annotated[float, Query(ge=30, le=200, description="Body weight of everybody")] = 70.0,
    age_years: Annotated[
        Annotated[float, Field(ge=18, le=100)] | None,
        BeforeValidator(_blank),
        Query(description="Empty: not stated"),
    ] = None,
    hypertension: Annotated[bool, Query(description="A history of high pressure")] = False,
    variable: Annotated[
        list[str], Query(max_length=lab.MOST_VARIABLES, description="Names of variables; may be repeated")
    ] = list(FIRST_VARIABLES),  # noqa: B006 - copied by the framework
) -> Form:
    """Return what a query says; without a regimen, the scenarios of a first visit."""
    texts = [regimen, regimen_2, regimen_3, regimen_4]
    is_first = not any(texts)
    return Form(
        regimens=[*FIRST, None, None] if is_first else texts,
        mechanisms=[mechanism, mechanism_2, mechanism_3, mechanism_4],
        days=28.0 if is_first and days is None else days,
        patients=40 if is_first and patients is None else patients,
        seed=seed,
        setting=setting,
        posterior=posterior,
        weight_kg=weight_kg,
        age_years=age_years,
        hypertension=hypertension,
        variable=variable or list(FIRST_VARIABLES),
    )


Wanted = Annotated[Form, Depends(form_of)]


def _ready(form: Form) -> Result:
    """Return the result of what answers at once.

    Raises
    ------
    InvalidInputError
        It takes longer, and is not known from a long run.
    """
    asked = form.asked()
    if asked.is_long() and not is_known(asked):
        message = (
            f"'patients' must be so few, or the scenarios so short, that all are at most "
            f"{lab.MOST_AT_ONCE:,} patients x times and {lab.MOST_TIMES_AT_ONCE:,} times. "
            f"Got {(asked.patients or 1) * asked.times():,} and {asked.times():,}. "
            "Start it in the queue (POST /api/lab/runs with the same query), then ask again."
        )
        raise InvalidInputError(message)
    return result_of(asked)


def _values(form: Form) -> tuple[int, dict[str, Any]]:
    """Return the status and what the page shows: a result, a mistake, or that it is long."""
    shown: dict[str, Any] = {"problem": "", "problem_field": "", "asked": None, "result": None, "charts": []}
    try:
        asked = form.asked()
        shown["asked"] = asked
        if not asked.is_long() or is_known(asked):
            found = result_of(asked)
            shown |= {"result": found, "charts": lab.charts_of(found, is_drawn=True)}
    except InvalidInputError as error:
        text = str(error)
        named = text.split("'")[1] if text.startswith("'") else ""
        return 400, shown | {"problem": text, "problem_field": named} | _fields(form)
    return 200, shown | _fields(form)


def _fields(form: Form) -> dict[str, Any]:
    return {
        "form": form,
        "places": range(1, lab.MOST_SCENARIOS + 1),
        "field_of": field_of,
        "mechanisms": mechanisms(),
        "default_mechanism": DEFAULT_MECHANISM,
        "settings": {name: settings()[name] for name in SettingName.__args__},
        "layers": [(LAYERS[layer], found) for layer, found in lab.offered().items()],
        "shown_posterior": _posterior_name(),
        "limits": lab,
        "ideation": IDEATION,
        "notice": _notice(),
        "commands": lab.commands,
        "sources": sources_of,
    }


def _notice() -> list[str]:
    return list(tomllib.loads(read_text("notices.toml"))["ideation"]["text"])


def _posterior_name() -> str:
    from euthymia.model.parameters import DEFAULT_SET, load_parameters

    found = default_posterior(load_parameters(DEFAULT_SET))
    return found.name if found else "prior"


def sources_of(result: Result) -> list[str]:
    """Return the sources behind the numbers of every scenario."""
    keys = dict.fromkeys(key for course in result.courses for key in course.provenance.sources)
    return [format_source(one) for one in cite(list(keys))]


@router.get("/lab", include_in_schema=False)
def page(request: Request, form: Wanted) -> HTMLResponse:
    """Return the page; a mistake stands beside the form that holds it."""
    status, values = _values(form)
    return render(request, "lab.html", status_code=status, **values)


@router.get("/lab/live", include_in_schema=False)
def live(request: Request, form: Wanted) -> HTMLResponse:
    """Return what follows the form; the address of the page follows too."""
    status, values = _values(form)
    answer = render(request, "lab_live.html", status_code=status, **values)
    if values["asked"] is not None:
        answer.headers["HX-Push-Url"] = f"/lab{values['asked'].query}"
    return answer


# --- long runs ---------------------------------------------------------------------------------------


def _queued(form: Form) -> Job:
    asked = form.asked()
    return jobs.start(asked.query, lambda progress: result_of(asked, on_done=progress))


def own_request(request: Request) -> None:
    """Refuse what another site makes a browser send: it may start nothing here.

    Raises
    ------
    InvalidInputError
    """
    sent_from = request.headers.get("sec-fetch-site", "none")
    if sent_from not in ("none", "same-origin"):
        raise invalid("sec-fetch-site", must="same-origin: runs are started from these pages", got=sent_from)


OWN = [Depends(own_request)]
JobName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{16}$", description="As it was given at the start")]


def _job(name: str) -> Job:
    found = jobs.find(name)
    if found is None:
        raise HTTPException(404, detail="There is no run of that name any more.")
    return found


@router.post("/lab/runs", include_in_schema=False, dependencies=OWN)
def start_page(request: Request, form: Wanted) -> HTMLResponse:
    """Queue a long run and return its progress."""
    return render(request, "lab_run.html", job=_queued(form), ended=ENDED)


@router.get("/lab/runs/{name}", include_in_schema=False)
def run_page(request: Request, name: JobName) -> HTMLResponse:
    """Return the progress of a run."""
    return render(request, "lab_run.html", job=_job(name), ended=ENDED)


@router.delete("/lab/runs/{name}", include_in_schema=False, dependencies=OWN)
def cancel_page(request: Request, name: JobName) -> HTMLResponse:
    """Cancel a run."""
    job = _job(name)
    jobs.cancel(job)
    return render(request, "lab_run.html", job=job, ended=ENDED)


class RunJson(BaseModel):
    """A long run; its result is at ``/api/lab`` with ``query`` once it is done."""

    ok: bool = True
    name: str
    status: Status
    share: float
    message: str
    query: str


def _run_json(job: Job) -> RunJson:
    return RunJson(name=job.name, status=job.status, share=job.share, message=job.message, query=job.query)


@router.post("/api/lab/runs", responses=DOCUMENTED, status_code=202, tags=["lab"], dependencies=OWN)
def start_json(form: Wanted) -> RunJson:
    """Queue a run of any length that fits the limits."""
    return _run_json(_queued(form))


@router.get("/api/lab/runs/{name}", responses=DOCUMENTED, tags=["lab"])
def run_json(name: JobName) -> RunJson:
    """Return where a run stands."""
    return _run_json(_job(name))


@router.delete("/api/lab/runs/{name}", responses=DOCUMENTED, tags=["lab"], dependencies=OWN)
def cancel_json(name: JobName) -> RunJson:
    """Cancel a run: at once if it waits, else at its next step."""
    job = _job(name)
    jobs.cancel(job)
    return _run_json(job)


# --- results -----------------------------------------------------------------------------------------


class ScenarioJson(BaseModel):
    """A scenario: what was asked and how its numbers were obtained."""

    label: str
    regimen: str
    mechanism: str
    command: str
    posterior: str
    engine: str
    certificate: dict[str, str | float | int | None]
    warnings: list[str]


class LabJson(BaseModel):
    """Scenarios side by side."""

    ok: bool = True
    version: str
    seed: int
    patients: int | None
    days: float
    setting: str
    query: str
    scenarios: list[ScenarioJson]
    charts: list[Figure]
    sources: list[str]
    status: str = STATUS


@router.get("/api/lab", responses=DOCUMENTED, tags=["lab"])
def lab_json(form: Wanted) -> LabJson:
    """Return the curves of every variable and scenario, with certificates and sources."""
    found = _ready(form)
    asked = found.asked
    return LabJson(
        version=version("euthymia"),
        seed=asked.seed,
        patients=asked.patients,
        days=asked.days,
        setting=asked.setting,
        query=asked.query,
        scenarios=[
            _scenario(label, scenario, command, course)
            for label, scenario, command, course in zip(
                found.labels, asked.scenarios, lab.commands(asked), found.courses, strict=True
            )
        ],
        charts=figures(lab.charts_of(found)),
        sources=sources_of(found),
    )


def _scenario(label: str, scenario: Scenario, command: str, course: Trajectory) -> ScenarioJson:
    return ScenarioJson(
        label=label,
        regimen=scenario.regimen,
        mechanism=scenario.mechanism,
        command=command,
        posterior=course.provenance.posterior,
        engine=course.provenance.engine,
        certificate={
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(course.certificate).items()
        },
        warnings=list(course.warnings),
    )


def _file(name: str, kind: str) -> dict[int | str, dict[str, Any]]:
    return {**DOCUMENTED, 200: {"content": {kind: {}}, "description": f"The file {name}"}}


def _sent(content: bytes | str, name: str, kind: str) -> Response:
    return Response(
        content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@router.get("/api/lab/result.json", responses=_file("euthymia-lab.json", "application/json"), tags=["lab"])
def result_json(form: Wanted) -> Response:
    """Return every scenario in the shape that the command line writes (euthymia.simulation/1)."""
    found = _ready(form)
    document = {
        "schema": "euthymia.lab/1",
        "scenarios": [
            simulation_json(course, unit=UNIT, command=shlex.split(command)[1:])
            for course, command in zip(found.courses, lab.commands(found.asked), strict=True)
        ],
    }
    return _sent(dump_json(document), "euthymia-lab.json", "application/json")


@router.get("/api/lab/result.csv", responses=_file("euthymia-lab.csv", "text/csv"), tags=["lab"])
def result_csv(form: Wanted) -> Response:
    """Return median, band and mean of every variable: a row for each scenario and time."""
    frame = _joined(_ready(form), lambda course: quantile_table(course, unit=UNIT))
    return _sent(frame.write_csv(), "euthymia-lab.csv", "text/csv")


PARQUET = "application/vnd.apache.parquet"


@router.get("/api/lab/result.parquet", responses=_file("euthymia-lab.parquet", PARQUET), tags=["lab"])
def result_parquet(form: Wanted) -> Response:
    """Return every patient's values: a row for each scenario, patient, time and variable."""
    held = BytesIO()
    _joined(_ready(form), lambda course: course.to_polars(unit=UNIT)).write_parquet(held)
    return _sent(held.getvalue(), "euthymia-lab.parquet", PARQUET)


def _joined(found: Result, read: Callable[[Trajectory], polars.DataFrame]) -> polars.DataFrame:
    import polars

    parts = [
        read(course).insert_column(0, polars.lit("ABCD"[place]).alias("scenario"))
        for place, course in enumerate(found.courses)
    ]
    return polars.concat(parts)


@router.get("/api/lab/script.py", responses=_file("euthymia-lab.py", "text/x-python"), tags=["lab"])
def script_py(form: Wanted) -> Response:
    """Return a Python program that gives the same numbers; nothing is run for it."""
    text = lab.python_script(form.asked(), version=version("euthymia"))
    return _sent(text, "euthymia-lab.py", "text/x-python")


@router.get("/api/lab/script.sh", responses=_file("euthymia-lab.sh", "text/x-sh"), tags=["lab"])
def script_sh(form: Wanted) -> Response:
    """Return command lines that give the same numbers; nothing is run for them."""
    text = lab.shell_script(form.asked(), version=version("euthymia"))
    return _sent(text, "euthymia-lab.sh", "text/x-sh")


def warm() -> Iterator[Callable[[], object]]:
    """Yield the scenarios of a first visit."""
    asked = Asked.create(scenarios=[Scenario(regimen=text) for text in FIRST], days=28.0)
    yield partial(result_of, asked)
