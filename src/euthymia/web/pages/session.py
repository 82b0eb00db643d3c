"""A session: four hours minute by minute in a hundred imagined people, beside what was seen in real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from numpy.typing import NDArray
from pydantic import BaseModel
from starlette.responses import HTMLResponse

from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.evidence.stated import stated_rows
from euthymia.model.trajectory import Trajectory
from euthymia.population.patient import Patient
from euthymia.tables import Row
from euthymia.web.charts import Chart, Line
from euthymia.web.figures import STATUS, Figure, Spread, figures, spread_of, written
from euthymia.web.given import Way, WayName, protocol_rows, ways
from euthymia.web.link import Link
from euthymia.web.problems import DOCUMENTED
from euthymia.web.render import render
from euthymia.web.runs import Ask, simulated
from euthymia.web.story.controls import Slider
from euthymia.web.story.proof import Proof, proof_of

LINK = Link(path="/session", title="A session", place=10)
Array = NDArray[np.float64]
router = APIRouter()
PEOPLE = 100
LENGTH_MIN = 240
LENGTH_D = 0.2
USUAL_AGE = 45
BAND = "90 of 100 imagined people"
EFFECTS = (
    "cadss_points",
    "systolic_rise_mmHg",
    "diastolic_rise_mmHg",
    "heart_rate_rise_per_min",
    "moaas_points",
    "drowsiness_fraction",
)
DOMAINS = {
    "dissociation": "Dissociation",
    "blood_pressure": "Blood pressure",
    "heart_rate": "Heart rate",
    "sedation": "Sedation",
    "respiratory": "Breathing",
}
PHASES = ("monitoring", "intervene", "discharge", "aftercare", "staffing", "safety", "status")
TABLE_MIN = (0, 10, 20, 30, 40, 50, 60, 90, 120, 150, 180, 240)
STAGES = {
    "monitoring": "watched",
    "intervene": "when a reading is out of range",
    "discharge": "before leaving",
    "aftercare": "afterwards",
    "staffing": "who is there",
    "safety": "warnings",
    "status": "standing",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the controls of the page say."""

    way: Way
    dose: float
    age: int = USUAL_AGE
    hypertension: bool = False

    @property
    def regimen(self) -> str:
        """Return the dose in the canonical regimen language."""
        return print_regimen(parse_regimen(self.way.regimen(self.dose)))

    @property
    def query(self) -> str:
        """Return the query of a link to this state."""
        told: dict[str, object] = {"route": self.way.name, "dose": f"{self.dose:g}"}
        if self.age != USUAL_AGE:
            told["age"] = self.age
        if self.hypertension:
            told["hypertension"] = "true"
        return f"?{urlencode(told)}"

    @property
    def command(self) -> str:
        """Return the command line that simulates the same people."""
        more = " --hypertension" if self.hypertension else ""
        names = ",".join((self.way.level, *EFFECTS))
        return (
            f'euthymia simulate "{self.regimen}" --patients {PEOPLE} --days {LENGTH_D:g} '
            f"--age-years {self.age}{more} --variables {names}"
        )


def asked(
    route: Annotated[WayName, Query(description="Drug and route")] = "infusion",
    dose: Annotated[float | None, Query(ge=0.01, le=1000, description="In the unit of the route")] = None,
    age: Annotated[int, Query(ge=18, le=85, description="Years; pressure depends on it")] = USUAL_AGE,
    hypertension: Annotated[bool, Query(description="A history of high pressure")] = False,
    was_route: Annotated[
        WayName | None, Query(description="Route before a change; the dose of another is forgotten")
    ] = None,
) -> Asked:
    """Return what a query asks for."""
    way = ways()[route]
    is_new = was_route not in (None, route)
    given = way.default if dose is None or is_new else way.checked(dose)
    return Asked(way=way, dose=given, age=age, hypertension=hypertension)


Wanted = Annotated[Asked, Depends(asked)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the page says of a session."""

    charts: Sequence[Chart]
    spreads: Mapping[str, Spread]
    facts: Sequence[tuple[str, str]]
    usual: Sequence[tuple[str, Sequence[Proof]]]
    printed: Sequence[tuple[str, Sequence[Row]]]
    cautions: Sequence[str]


def people_of(state: Asked) -> Trajectory:
    """Return a hundred imagined people, minute by minute."""
    return simulated(
        Ask(
            regimen=state.regimen,
            days=LENGTH_D,
            variables=(state.way.level, *EFFECTS),
            patient=Patient.create(age_years=state.age, is_hypertensive=state.hypertension or None),
            patients=PEOPLE,
            times_h=tuple(np.arange(LENGTH_MIN + 1) / 60.0),
        )
    )


def told_of(state: Asked) -> Told:
    """Return the session in curves, in numbers, and beside what was seen in real people."""
    people = people_of(state)
    spreads = spreads_of(state, people)
    return Told(
        charts=charts_of(state, people, spreads),
        spreads=spreads,
        facts=(
            (written(spreads["cadss_peak"]), "CADSS points at the peak"),
            (written(spreads["systolic_peak"]), "mmHg, highest systolic rise"),
            (written(spreads["diastolic_peak"]), "mmHg, highest diastolic rise"),
            (written(spreads["heart_rate_peak"]), "beats a minute, highest rise"),
            (written(spreads["moaas_lowest"], 1), "MOAA/S at its lowest (5 is awake)"),
        ),
        usual=usual_in(state.way),
        printed=printed_about(state.way),
        cautions=[one for one in (state.way.stated["caution"],) if one],
    )


def spreads_of(state: Asked, people: Trajectory) -> dict[str, Spread]:
    """Return peaks and their times over people."""
    minutes = 60.0 * people.times_h
    cadss, systolic = people["cadss_points"], people["systolic_rise_mmHg"]
    level = people[f"{state.way.level}_ng_per_mL"]
    return {
        "level_peak": spread_of(level.max(axis=1), "ng/mL"),
        "level_peak_min": spread_of(minutes[level.argmax(axis=1)], "min"),
        "cadss_peak": spread_of(cadss.max(axis=1), "points"),
        "cadss_peak_min": spread_of(minutes[cadss.argmax(axis=1)], "min"),
        "cadss_gone_min": spread_of(_gone(cadss, minutes), "min"),
        "systolic_peak": spread_of(systolic.max(axis=1), "mmHg"),
        "systolic_peak_min": spread_of(minutes[systolic.argmax(axis=1)], "min"),
        "diastolic_peak": spread_of(people["diastolic_rise_mmHg"].max(axis=1), "mmHg"),
        "heart_rate_peak": spread_of(people["heart_rate_rise_per_min"].max(axis=1), "/min"),
        "moaas_lowest": spread_of(people["moaas_points"].min(axis=1), "points"),
        "drowsiness_peak": spread_of(people["drowsiness_fraction"].max(axis=1), "1"),
    }


def _gone(curves: Array, minutes: Array) -> Array:
    """Return when each curve is back to a tenth of its peak; NaN where it is not by the end."""
    peak = curves.max(axis=1, keepdims=True)
    after = (curves <= 0.1 * peak) & (np.arange(curves.shape[1]) > curves.argmax(axis=1)[:, None])
    return np.where(after.any(axis=1) & (peak[:, 0] > 0), minutes[after.argmax(axis=1)], np.nan)


def _band(people: Trajectory, name: str, *, label: str, tone: str = "main", dash: bool = False) -> Line:
    low, middle, high = people.quantiles(name)
    return Line(label=label, values=middle, low=low, high=high, tone=tone, dash=dash)


def charts_of(state: Asked, people: Trajectory, spreads: Mapping[str, Spread]) -> list[Chart]:
    """Return the curves over four hours: level, dissociation, pressure, heart rate, sedation."""
    shared: dict[str, Any] = {
        "x": 60.0 * people.times_h,
        "x_unit": "min",
        "rows_at": TABLE_MIN,
        "marks": (0.0,),
        "spans": ((0.0, 40.0, "infusion"),) if "over 40 min" in state.way.order else (),
    }
    drug = "ketamine, both enantiomers" if state.way.drug == "ketamine" else "esketamine"
    return [
        Chart(
            id="session-dissociation",
            title="Dissociation",
            quantity="CADSS",
            unit="points",
            lines=(_band(people, "cadss_points", label="dissociation", tone="third"),),
            floor=0.0,
            decimals=1,
            summary=f"Highest after {written(spreads['cadss_peak_min'])} minutes; down to a tenth after "
            f"{written(spreads['cadss_gone_min'])}. Line: median; band: {BAND}.",
            **shared,
        ),
        Chart(
            id="session-pressure",
            title="Blood pressure, above each person's own",
            quantity="Rise",
            unit="mmHg",
            lines=(
                _band(people, "systolic_rise_mmHg", label="systolic", tone="alarm"),
                _band(people, "diastolic_rise_mmHg", label="diastolic", tone="second", dash=True),
            ),
            decimals=1,
            summary=f"Highest after {written(spreads['systolic_peak_min'])} minutes. Rises, not readings.",
            **shared,
        ),
        Chart(
            id="session-heart",
            title="Heart rate, above each person's own",
            quantity="Rise",
            unit="beats/min",
            lines=(_band(people, "heart_rate_rise_per_min", label="heart rate", tone="second"),),
            decimals=1,
            summary=f"At most {written(spreads['heart_rate_peak'], 1)} beats a minute more.",
            **shared,
        ),
        Chart(
            id="session-sedation",
            title="Sedation",
            quantity="MOAA/S",
            unit="points",
            lines=(_band(people, "moaas_points", label="alertness as rated, 5 is awake"),),
            ceiling=5.0,
            decimals=2,
            summary=f"Lowest {written(spreads['moaas_lowest'], 1)}; an expected rating, so it lies between "
            "whole points.",
            **shared,
        ),
        Chart(
            id="session-level",
            title="Level in arterial plasma",
            quantity="Level",
            unit="ng/mL",
            lines=(_band(people, f"{state.way.level}_ng_per_mL", label=drug),),
            floor=0.0,
            decimals=0,
            summary=f"Highest {written(spreads['level_peak'])} ng/mL after "
            f"{written(spreads['level_peak_min'])} minutes.",
            **shared,
        ),
    ]


@cache
def _acute() -> tuple[Any, ...]:
    return tuple(row for row in stated_rows("safety") if row.topic in DOMAINS)


def usual_in(way: Way) -> list[tuple[str, list[Proof]]]:
    """Return what was seen in real people by this drug and route, by what it is about."""
    own = [row for row in _acute() if (row.fields["drug"], row.fields["route"]) in way.effects]
    grouped = [(label, [proof_of(row) for row in own if row.topic == key]) for key, label in DOMAINS.items()]
    return [(label, rows) for label, rows in grouped if rows]


def printed_about(way: Way) -> list[tuple[str, list[Row]]]:
    """Return what labels and services print about sessions by this drug and route."""
    rows = protocol_rows(way, PHASES)
    grouped = [(STAGES[phase], [row for row in rows if row["phase"] == phase]) for phase in PHASES]
    return [(label, found) for label, found in grouped if found]


def dose_dial(state: Asked) -> Slider:
    """Return the dial of the dose, within the studied ones."""
    way = state.way
    is_one = way.low == way.high
    words = "The only dose in our evidence" if is_one else "Between the smallest and the largest studied"
    return Slider(
        name="dose",
        label=f"Dose {way.words}",
        value=state.dose,
        low=way.low,
        high=way.high,
        step=way.step,
        unit=way.unit,
        help=f"{words}: {', '.join(way.basis)}.",
    )


def _values(state: Asked) -> dict[str, Any]:
    return {
        "state": state,
        "told": told_of(state),
        "dose": dose_dial(state),
        "age": Slider(name="age", label="Age", value=state.age, low=18, high=85, step=1, unit="years"),
        "drugs": [
            (label, [one for one in ways().values() if one.drug == drug])
            for drug, label in (("ketamine", "Ketamine, racemic"), ("esketamine", "Esketamine"))
        ],
        "people": PEOPLE,
    }


@router.get("/session", include_in_schema=False)
def page(request: Request, state: Wanted) -> HTMLResponse:
    """Return the page."""
    return render(request, "session.html", **_values(state))


@router.get("/session/live", include_in_schema=False)
def live(request: Request, state: Wanted, was_route: str = "") -> HTMLResponse:
    """Return what follows the controls; the address of the page follows too."""
    is_new = was_route not in ("", state.way.name)
    answer = render(request, "session_live.html", is_new_route=is_new, **_values(state))
    answer.headers["HX-Push-Url"] = f"/session{state.query}"
    return answer


class SeenJson(BaseModel):
    """A row of evidence: what was seen in real people, by whom, and how good it is."""

    row_id: str
    about: str
    found: str
    grade: str
    who: str
    source: str
    note: str


class SessionJson(BaseModel):
    """A session for programs."""

    ok: bool = True
    regimen: str
    command: str
    query: str
    people: int
    seed: int
    posterior: str
    age_years: int
    hypertension: bool
    numbers: dict[str, Spread]
    charts: list[Figure]
    usual: dict[str, list[SeenJson]]
    status: str = STATUS


@router.get("/api/session", responses=DOCUMENTED, tags=["session"])
def session_json(state: Wanted) -> SessionJson:
    """Return the session as numbers, with what was seen in real people."""
    told, made = told_of(state), people_of(state).provenance
    return SessionJson(
        regimen=state.regimen,
        command=state.command,
        query=state.query,
        people=PEOPLE,
        seed=made.seed,
        posterior=made.posterior,
        age_years=state.age,
        hypertension=state.hypertension,
        numbers=dict(told.spreads),
        charts=figures(told.charts),
        usual={label: [_row(one) for one in rows] for label, rows in told.usual},
    )


def _row(one: Proof) -> SeenJson:
    return SeenJson(
        row_id=one.row_id,
        about=one.about,
        found=one.found,
        grade=one.grade,
        who=one.who,
        source=one.source,
        note=one.note,
    )


def warm() -> Iterator[Callable[[], object]]:
    """Yield the session of a first visit."""
    way = ways()["infusion"]
    yield partial(told_of, Asked(way=way, dose=way.default))
