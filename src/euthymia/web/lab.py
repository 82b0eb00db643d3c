"""Scenarios of the lab: what is asked, bounded; the library's own runs; and what reproduces them."""

from __future__ import annotations

import math
import shlex
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.regimen import Regimen
from euthymia.errors import InvalidInputError, ResultWarning, invalid
from euthymia.model.mechanisms import DEFAULT_MECHANISM, find_mechanism, with_mechanisms
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.model.variables import Variable, find_variable, variables
from euthymia.population.patient import Patient
from euthymia.population.run import default_days, prepare
from euthymia.population.settings import find_setting
from euthymia.population.simulate import simulate
from euthymia.web.charts import MOST_POINTS, Chart, Line
from euthymia.web.runs import ENGINE, Memory, in_turn

Times = NDArray[np.float64]
MOST_SCENARIOS = 4
MOST_VARIABLES = 8
MOST_PATIENTS = 400
LONGEST_DAYS = 400.0
LONGEST_REGIMEN = 600
MOST_AT_ONCE = 300_000
"""Patients times times of all scenarios that answer within about two seconds."""
MOST_TIMES_AT_ONCE = 4_000
"""Times of all scenarios that do: the grid of a regimen takes as long as it has doses."""
MOST_VALUES = 6_000_000
"""Patients, times and variables of all scenarios together: 48 MB."""
FIRST = (
    "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 4",
    "esketamine 56 mg intranasal, twice weekly x 4",
)
FIRST_VARIABLES = ("madrs_points", "cadss_points")
DRAWS = {"default": None, "prior": "prior", "mean": "mean"}
UNIT = "ng/mL"
TONES = (("main", False), ("second", True), ("third", False), ("alarm", True))
DAYS_FROM_H = 72.0
"""Horizons from here on are drawn in days."""
_memory = Memory(8)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """A regimen under a mechanism."""

    regimen: str
    mechanism: str = DEFAULT_MECHANISM


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the lab is asked for, checked; equal asks are computed once.

    ``patients`` None is the typical patient; ``days`` is set, so that every scenario ends together.
    """

    scenarios: tuple[Scenario, ...]
    days: float
    patients: int | None = 40
    seed: int = 1
    setting: str = "open"
    posterior: str = "default"
    weight_kg: float = 70.0
    age_years: float | None = None
    hypertension: bool = False
    variables: tuple[str, ...] = FIRST_VARIABLES

    @classmethod
    def create(
        cls,
        *,
        scenarios: Sequence[Scenario],
        days: float | None = None,
        variables: Sequence[str] = FIRST_VARIABLES,
        **more: Any,
    ) -> Asked:
        """Return what is asked after every check that does not need a run.

        Raises
        ------
        InvalidInputError
            Names the field; of a regimen also where in the text.
        """
        plans = [plan_of(place, one.regimen) for place, one in enumerate(scenarios, 1)]
        longest = max(default_days(plan) for plan in plans)
        if longest > LONGEST_DAYS:
            raise invalid("days", must=f"at most {LONGEST_DAYS:g}", got=f"{longest:g} by the regimens")
        for one in scenarios:
            find_mechanism(one.mechanism)
        find_setting(str(more.get("setting", "open")))
        stems = tuple(dict.fromkeys(find_variable(name).stem for name in variables))
        made = cls(
            scenarios=tuple(
                Scenario(regimen=print_regimen(plan), mechanism=one.mechanism)
                for plan, one in zip(plans, scenarios, strict=True)
            ),
            days=float(math.ceil(longest)) if days is None else days,
            variables=stems,
            **more,
        )
        made.check_size()
        return made

    @property
    def patient(self) -> Patient:
        """Return who everybody is alike to."""
        return Patient.create(
            weight_kg=self.weight_kg,
            age_years=self.age_years,
            is_hypertensive=self.hypertension or None,
        )

    def arguments(self, scenario: Scenario) -> dict[str, Any]:
        """Return the arguments of ``simulate`` for a scenario."""
        return {
            "patients": self.patients,
            "patient": self.patient,
            "parameters": _set_of(scenario.mechanism),
            "posterior": DRAWS[self.posterior],
            "seed": self.seed,
            "days": self.days,
            "variables": list(self.variables),
            "setting": self.setting,
            "engine": ENGINE,
        }

    def times(self) -> int:
        """Return at how many times all scenarios together are known."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResultWarning)
            return sum(len(prepare(one.regimen, **self.arguments(one)).times_h) for one in self.scenarios)

    def check_size(self) -> None:
        """Refuse what is larger than a server takes on, even in its queue."""
        count = (self.patients or 1) * self.times() * len(self.variables)
        if count > MOST_VALUES:
            raise invalid(
                "patients",
                must=f"so few that all scenarios and variables make at most {MOST_VALUES:,} values",
                got=f"{self.patients} patients, {count:,} values",
                cure="Fewer patients, days, variables or scenarios; the script runs on the command line.",
            )

    def is_long(self) -> bool:
        """Tell whether the answer takes longer than about two seconds."""
        times = self.times()
        return times > MOST_TIMES_AT_ONCE or (self.patients or 1) * times > MOST_AT_ONCE

    @property
    def query(self) -> str:
        """Return the query of a link to this."""
        told: list[tuple[str, str]] = []
        for place, one in enumerate(self.scenarios, 1):
            ending = "" if place == 1 else f"_{place}"
            told.append((f"regimen{ending}", one.regimen))
            if one.mechanism != DEFAULT_MECHANISM:
                told.append((f"mechanism{ending}", one.mechanism))
        usual = Asked(scenarios=(), days=0.0)
        for name, value in asdict(self).items():
            if name in ("scenarios", "variables") or (name != "days" and value == getattr(usual, name)):
                continue
            told.append((name, _written(value)))
        told += [("variable", name) for name in self.variables]
        return f"?{urlencode(told)}"


def plan_of(place: int, text: str) -> Regimen:
    """Return a regimen, read; the mistake names its field and shows where it is."""
    try:
        return parse_regimen(text)
    except InvalidInputError as error:
        message = f"'{field_of(place)}': {error}"
        raise InvalidInputError(message) from error


def field_of(place: int) -> str:
    """Return what the regimen of a scenario is called in a query."""
    return "regimen" if place == 1 else f"regimen_{place}"


def _set_of(mechanism: str) -> ParameterSet:
    return with_mechanisms(load_parameters(DEFAULT_SET), _names(mechanism))


def _names(mechanism: str) -> tuple[str, ...]:
    """Return the switches of a mechanism by name; none for the default."""
    return () if mechanism == DEFAULT_MECHANISM else (mechanism,)


def _written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came out: a course for each scenario."""

    asked: Asked
    courses: tuple[Trajectory, ...]
    labels: tuple[str, ...] = field(default=())


def result_of(asked: Asked, *, on_done: Callable[[float], None] | None = None) -> Result:
    """Return the courses, remembered or computed by the library's own ``simulate``.

    Parameters
    ----------
    asked : Asked
    on_done : callable, optional
        Called with the share that is done; what it raises ends the run.
    """
    return _memory.get(asked, lambda: in_turn(lambda: _found(asked, on_done)))


def is_known(asked: Asked) -> bool:
    """Tell whether a result would come at once."""
    return asked in _memory


def _found(asked: Asked, on_done: Callable[[float], None] | None) -> Result:
    courses = []
    for place, one in enumerate(asked.scenarios):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResultWarning)
            arguments = asked.arguments(one)
            if on_done is not None:
                on_done(place / len(asked.scenarios))
                arguments["on_done"] = _share_of(on_done, place, len(asked.scenarios))
            courses.append(simulate(one.regimen, **arguments))
    return Result(asked=asked, courses=tuple(courses), labels=labels_of(asked))


def _share_of(on_done: Callable[[float], None], place: int, count: int) -> Callable[[int, int], None]:
    return lambda done, in_all: on_done((place + done / max(in_all, 1)) / count)


def labels_of(asked: Asked) -> tuple[str, ...]:
    """Return how scenarios are called beside their curves: a letter, and the mechanism where it differs."""
    return tuple(
        f"{'ABCD'[place]}" + (f" ({one.mechanism})" if one.mechanism != DEFAULT_MECHANISM else "")
        for place, one in enumerate(asked.scenarios)
    )


def charts_of(result: Result, *, is_drawn: bool = False) -> list[Chart]:
    """Return a chart for each variable, a curve with its band for each scenario.

    ``is_drawn`` leaves as many times as a screen can show, and the peaks among them.
    """
    grid = _grid(result)
    found = [find_variable(stem) for stem in result.asked.variables]
    return [_chart(result, one, _drawn(result, one, grid) if is_drawn else grid) for one in found]


def _drawn(result: Result, variable: Variable, grid: Times) -> Times:
    """Return the highest and the lowest time of each stretch of a grid, and its ends."""
    if len(grid) <= MOST_POINTS:
        return grid
    first = result.courses[0]
    curve = np.interp(grid, first.times_h, first[variable.name_in(UNIT)].max(axis=0))
    stretches = np.array_split(np.arange(1, len(grid) - 1), MOST_POINTS // 2 - 1)
    kept = [one[place] for one in stretches for place in (curve[one].argmin(), curve[one].argmax())]
    return grid[np.unique(np.array([0, *kept, len(grid) - 1]))]


def _chart(result: Result, variable: Variable, grid: Times) -> Chart:
    is_days = grid[-1] >= DAYS_FROM_H
    many = result.asked.patients is not None
    name = variable.name_in(UNIT)
    lines, ends = [], []
    for label, course, (tone, dash) in zip(result.labels, result.courses, TONES, strict=False):
        low, middle, high = (np.interp(grid, course.times_h, one) for one in course.quantiles(name))
        lines.append(
            Line(
                label=label,
                values=middle,
                low=low if many else None,
                high=high if many else None,
                tone=tone,
                dash=dash,
            )
        )
        ends.append(f"{label} {_rounded(float(middle[-1]), float(np.abs(high).max()))}")
    who = f"median and middle 90 of 100 of {result.asked.patients} people" if many else "typical patient"
    return Chart(
        id=f"lab-{variable.stem.replace('_', '-')}",
        title=variable.meaning,
        quantity=_short(variable),
        unit="" if variable.unit_in(UNIT) == "1" else variable.unit_in(UNIT),
        x=grid / 24.0 if is_days else grid,
        x_unit="d" if is_days else "h",
        lines=lines,
        summary=f"Simulated, {who}. At the end: {'; '.join(ends)}.",
        decimals=3,
    )


def _rounded(value: float, scale: float) -> str:
    """Return a number to three figures; what is nothing beside the scale is 0."""
    return "0" if abs(value) <= 1e-4 * scale else f"{value:.3g}"


def _short(variable: Variable) -> str:
    words = variable.stem.replace("_", " ")
    for ending in (" relative", " fraction", " points", " mmHg", " probability"):
        words = words.removesuffix(ending)
    return words


def _grid(result: Result) -> Times:
    """Return the times of all scenarios together."""
    return np.unique(np.concatenate([course.times_h for course in result.courses]))


def commands(asked: Asked) -> list[str]:
    """Return the command line of each scenario, with its seed."""
    return [_command(asked, one, place) for place, one in enumerate(asked.scenarios, 1)]


def _command(asked: Asked, scenario: Scenario, place: int) -> str:
    parts = ["euthymia", "simulate", scenario.regimen, "--days", f"{asked.days:.10g}"]
    parts += ["--seed", str(asked.seed)]
    parts += [] if asked.patients is None else ["--patients", str(asked.patients)]
    parts += [] if asked.setting == "open" else ["--setting", asked.setting]
    parts += [] if asked.posterior == "default" else ["--posterior", asked.posterior]
    parts += [f"--mechanism={name}" for name in _names(scenario.mechanism)]
    parts += [] if asked.weight_kg == 70.0 else ["--weight-kg", f"{asked.weight_kg:g}"]
    parts += [] if asked.age_years is None else ["--age-years", f"{asked.age_years:g}"]
    parts += ["--hypertension"] if asked.hypertension else []
    parts += ["--variables", ",".join(asked.variables), "--out", f"scenario-{'abcd'[place - 1]}.parquet"]
    return shlex.join(parts)


def shell_script(asked: Asked, *, version: str) -> str:
    """Return a script of command lines that gives the same numbers."""
    head = f"#!/bin/sh\n# Euthymia {version}, seed {asked.seed}. Simulated; research software.\nset -e"
    return "\n".join((head, *commands(asked), ""))


def python_script(asked: Asked, *, version: str) -> str:
    """Return a Python program that gives the same numbers."""
    scenarios = "\n".join(
        f"    {'ABCD'[place]!r}: ({one.regimen!r}, {_names(one.mechanism)!r}),"
        for place, one in enumerate(asked.scenarios)
    )
    alike = f"age_years={asked.age_years!r}, is_hypertensive={(asked.hypertension or None)!r}"
    status = "Simulated; research software, not a medical device."
    return f'''"""Scenarios of the lab, Euthymia {version}. {status}"""

from euthymia.model.mechanisms import with_mechanisms
from euthymia.model.parameters import load_parameters
from euthymia.population.patient import Patient
from euthymia.population.simulate import simulate

SCENARIOS = {{
{scenarios}
}}
VARIABLES = {list(asked.variables)!r}
PATIENT = Patient.create(weight_kg={asked.weight_kg!r}, {alike})

courses = {{
    name: simulate(
        regimen,
        patients={asked.patients!r},
        patient=PATIENT,
        parameters=with_mechanisms(load_parameters({DEFAULT_SET!r}), mechanisms),
        posterior={DRAWS[asked.posterior]!r},
        seed={asked.seed!r},
        days={asked.days!r},
        variables=VARIABLES,
        setting={asked.setting!r},
    )
    for name, (regimen, mechanisms) in SCENARIOS.items()
}}

if __name__ == "__main__":
    for name, course in courses.items():
        print(name, course)
        course.to_polars().write_parquet(f"scenario-{{name.lower()}}.parquet")
'''


def offered() -> dict[str, list[Variable]]:
    """Return every variable by its layer, in the order of the chain."""
    found: dict[str, list[Variable]] = {}
    for one in variables().values():
        found.setdefault(one.layer, []).append(one)
    return found
