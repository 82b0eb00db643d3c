"""The chain told link by link: sentences with the numbers of a run, their grade, what contradicts them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.order import TherapySession
from euthymia.dosing.regimen import Regimen
from euthymia.errors import InvalidInputError, invalid
from euthymia.model.concentrations import session_starts_h
from euthymia.model.course import Pulse
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.model.pk import Given
from euthymia.model.trajectory import Trajectory
from euthymia.population.patient import Patient
from euthymia.population.request import is_ketamine_dose
from euthymia.population.run import Life, default_days
from euthymia.population.simulate import simulate
from euthymia.population.summary import peak_of_session, value_at
from euthymia.population.surroundings import PARTS, occupancy_of
from euthymia.tables import read_text

LAST_H = 14 * 24.0
"""Hours after the last dose at which the story asks what is left."""
END_H = 42 * 24.0
"""Hours after the last dose that it follows."""
THERAPY, IN_WINDOW_D, LATE_D = "CBT 60 min", (1, 2, 4), (21, 22, 24)
"""A therapy, and days after the last dose of its sessions within and outside the window."""
STRESS = (7 * 24.0, 28 * 24.0, 2.0)
"""From and to which hour after the last dose stress comes, and its load."""
SLOW = "escitalopram 10 mg daily x 42"
CLOSED = 0.2
"""The window counts as closed below this share of its largest; dissociation as over below half of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """One link of the chain: a sentence or two, how good its evidence is, and what contradicts it."""

    id: str
    title: str
    text: str
    grade: str
    evidence: tuple[str, ...]
    against: str


Runner = Callable[..., Trajectory]
"""Like ``simulate``, with the patient, the parameters, the setting and the horizon of the story filled in."""


@cache
def _templates() -> Mapping[str, Mapping[str, Any]]:
    return {one["id"]: one for one in tomllib.loads(read_text("story.toml"))["link"]}


def tell(
    regimen: Regimen,
    *,
    patient: Patient | None = None,
    parameters: ParameterSet | None = None,
    setting: str = "open",
) -> tuple[Link, ...]:
    """Return the story of a regimen in one typical patient.

    Raises
    ------
    InvalidInputError
        Where the regimen gives no ketamine.
    """
    chosen = parameters or load_parameters(DEFAULT_SET)
    common: dict[str, Any] = {"patient": patient, "parameters": chosen, "setting": setting}
    run = partial(simulate, **common, days=story_days(regimen))
    course = run(regimen)
    beside: dict[str, Any] = {"variables": ["madrs_points"], "is_dense": True}
    numbers = course_numbers(course) | numbers_beside(regimen, course, partial(run, **beside))
    return tuple(link(one, numbers, setting=setting, half_lost=half_lost(course)) for one in _templates())


def link(id: str, numbers: Mapping[str, float], **words: str) -> Link:
    """Return one link of the chain, its sentence filled with the numbers and words it names.

    Raises
    ------
    KeyError
        A number or word that the sentence names is not given.
    """
    one = _templates()[id]
    rounded = {name: _no_minus_zero(value) for name, value in numbers.items()}
    return Link(
        id=one["id"],
        title=one["title"],
        text=_template(one, rounded).format(**rounded, **words),
        grade=one["grade"],
        evidence=tuple(one["evidence"]),
        against=one["against"],
    )


def story_days(regimen: Regimen) -> float:
    """Return how many days the story follows a regimen: six weeks and a day after its last dose, or longer.

    Raises
    ------
    InvalidInputError
        Where the regimen gives no ketamine.
    """
    given = [Given(dose) for dose in regimen.doses(70.0) if is_ketamine_dose(dose)]
    if not given:
        raise invalid("regimen", must="one that gives ketamine", got=print_regimen(regimen))
    return max((session_starts_h(given)[-1] + END_H) / 24.0 + 1.0, default_days(regimen))


def _no_minus_zero(value: float) -> float:
    """Return a number that is not written as -0.0 with one decimal."""
    return 0.0 if -0.05 <= value < 0.0 else value


def _template(link: Mapping[str, Any], numbers: Mapping[str, float]) -> str:
    """Return the text of a link, or the other one where its number lies below a limit."""
    other = link.get("other")
    return other["text"] if other and numbers[other["name"]] < other["below"] else link["text"]


def numbers_beside(regimen: Regimen, course: Trajectory, run: Runner) -> dict[str, float]:
    """Return the numbers of what stands beside the course: no hope, therapy, an antidepressant, stress.

    Parameters
    ----------
    run : Runner
        Must give ``madrs_points``.
    """
    untreated = run(regimen, omit=PARTS)
    return {
        **hope_numbers(regimen, course, run, untreated),
        **therapy_numbers(regimen, course, run, untreated),
        **slow_numbers(run),
        **stress_numbers(regimen, course, run),
    }


def hope_numbers(
    regimen: Regimen, course: Trajectory, run: Runner, untreated: Trajectory
) -> dict[str, float]:
    """Return what hope and the drug alone change of mood, and what the patient believes to be given."""
    none = run(regimen, omit=["expectancy"])
    start_h = course.session_starts_h[0]
    belief = course["belief_to_be_on_drug_fraction"][0]
    return {
        "drug_2h": _madrs(none, start_h + 2) - _madrs(untreated, start_h + 2),
        "drug_day": _madrs(none, start_h + 24) - _madrs(untreated, start_h + 24),
        "hope_2h": _madrs(course, start_h + 2) - _madrs(none, start_h + 2),
        "hope_day": _madrs(course, start_h + 24) - _madrs(none, start_h + 24),
        "belief_before": float(belief[0]),
        "belief_after_visit": float(value_at(course, "belief_to_be_on_drug_fraction", [start_h + 24])[0, 0]),
    }


def therapy_numbers(
    regimen: Regimen, course: Trajectory, run: Runner, untreated: Trajectory
) -> dict[str, float]:
    """Return what three hours of a therapy change of mood: within the window, late, and without the drug."""
    text, last_h = without_therapy(regimen), course.session_starts_h[-1]
    others = tuple(part for part in PARTS if part != "therapy")

    def with_therapy(days: Sequence[int], *, omit: Sequence[str] = ()) -> float:
        return _madrs(run(parse_regimen(taught(text, last_h, days)), omit=omit), last_h + END_H)

    untaught = _madrs(run(parse_regimen(text)), last_h + END_H)
    return {
        "therapy_in": untaught - with_therapy(IN_WINDOW_D),
        "therapy_late": untaught - with_therapy(LATE_D),
        "therapy_alone": _madrs(untreated, last_h + END_H) - with_therapy(IN_WINDOW_D, omit=others),
    }


def taught(text: str, last_h: float, days: Sequence[float], therapy: str = THERAPY) -> str:
    """Return a regimen with sessions of a therapy on some days after the last dose."""
    times = ", ".join(f"{last_h / 24.0 + day:g}" for day in days)
    return f"{text}; {therapy} at {times} d"


def slow_numbers(run: Runner) -> dict[str, float]:
    """Return what an ordinary antidepressant alone does, hope aside."""
    slow = run(SLOW, setting="none", days=49.0)
    return {
        "occupancy": occupancy_of(parse_regimen(SLOW))[0].height,
        "slow_day": _madrs(slow, 24.0) - _madrs(slow, 0.0),
        "slow_week": _madrs(slow, 168.0) - _madrs(slow, 0.0),
        "slow_six": _madrs(slow, 1008.0) - _madrs(slow, 0.0),
    }


def stress_numbers(regimen: Regimen, course: Trajectory, run: Runner) -> dict[str, float]:
    """Return what strong stress some time after the last dose costs."""
    last_h = course.session_starts_h[-1]
    begins, ends, load = STRESS
    stressed = run(regimen, life=Life(stress=(Pulse(last_h + begins, last_h + ends, load),)))
    return {"stress_cost": _madrs(stressed, last_h + END_H) - _madrs(course, last_h + END_H)}


def _madrs(one: Trajectory, time_h: float) -> float:
    return float(value_at(one, "madrs_points", [time_h])[0, 0])


def without_therapy(regimen: Regimen) -> str:
    """Return the clauses of a regimen that give drugs only."""
    kept = []
    for clause in print_regimen(regimen).split("; "):
        try:
            items = [item for _, item in parse_regimen(clause).items]
        except InvalidInputError:  # times after doses of another clause: only therapies have such
            continue
        if not any(isinstance(item, TherapySession) for item in items):
            kept.append(clause)
    return "; ".join(kept)


def half_lost(course: Trajectory) -> str:
    """Say how many days after the last dose half of the largest gain is lost."""
    last_h = course.session_starts_h[-1]
    after = course.times_h >= last_h
    times, points = course.times_h[after], course["madrs_points"][0][after]
    lowest = int(points.argmin())
    half = 0.5 * (points[lowest] + float(course["madrs_points"][0, 0]))
    back = np.flatnonzero(points[lowest:] >= half)
    if not len(back):
        return f"still there {END_H / 24.0:g} days after it"
    return f"lost {(times[lowest + back[0]] - last_h) / 24.0:.0f} days after it"


def course_numbers(course: Trajectory) -> dict[str, float]:
    """Return every number of the course itself that the sentences name."""
    start_h = course.session_starts_h[0]
    last_h = course.session_starts_h[-1]

    def at(name: str, hours: float) -> float:
        return float(value_at(course, name, [start_h + hours])[0, 0])

    def peak(name: str, *, is_lowest: bool = False) -> tuple[float, float]:
        found = peak_of_session(course, name, is_lowest=is_lowest)
        return float(found.value[0]), float(found.minutes[0])

    day = course.times_h <= start_h + 24.0
    bdnf = course["bdnf_relative"][0][day]
    window = course["window_of_plasticity_fraction"][0]
    widest = int(window[course.times_h <= start_h + 72.0].argmax())
    cadss, cadss_min = peak("cadss_points")
    density_start = float(course["prefrontal_synapses_fraction"][0, 0])
    arterial = next(name for name in course.values if name.endswith("ketamine_arterial"))
    total = "ketamine_arterial" if "ketamine_arterial" in course.values else arterial
    after_h = last_h - start_h + LAST_H
    return {
        "blood_peak_min": peak(total)[1],
        "site_peak": peak("s_equivalents_site")[0],
        "site_peak_min": peak("s_equivalents_site")[1],
        "block_interneuron": peak("nmda_block_interneuron_fraction")[0],
        "block_pyramidal": peak("nmda_block_pyramidal_fraction")[0],
        "gain": peak("circuit_gain_relative")[0],
        "glutamate": peak("glutamate_surge_relative")[0],
        "glutamate_min": peak("glutamate_surge_relative")[1],
        "glutamate_3h": at("glutamate_surge_relative", 3),
        "ampa": float(course["ampa_potentiation_fraction"][0][day].max()),
        "ampa_day": at("ampa_potentiation_fraction", 24),
        "bdnf": float(bdnf.max()),
        "bdnf_h": float(course.times_h[day][int(bdnf.argmax())] - start_h),
        "bdnf_day": at("bdnf_relative", 24),
        "density_start": density_start,
        "synapses_day": at("prefrontal_synapses_fraction", 24) - density_start,
        "synapses_week": at("prefrontal_synapses_fraction", 168) - density_start,
        "synapses_fortnight": at("prefrontal_synapses_fraction", 336) - density_start,
        "window_h": float(course.times_h[widest] - start_h),
        "window_closed_day": _falls_below(course, "window_of_plasticity_fraction", widest) / 24.0,
        "flexibility": float(course["flexibility_relative"][0][: widest + 1].max()),
        "madrs_start": float(course["madrs_points"][0, 0]),
        "madrs_2h": at("madrs_points", 2),
        "madrs_day": at("madrs_points", 24),
        "madrs_week": at("madrs_points", 168),
        "cadss": cadss,
        "cadss_min": cadss_min,
        "cadss_over_min": 60.0 * _falls_below(course, "cadss_points", None),
        "systolic": peak("systolic_rise_mmHg")[0],
        "diastolic": peak("diastolic_rise_mmHg")[0],
        "pressure_min": peak("systolic_rise_mmHg")[1],
        "pulse": peak("heart_rate_rise_per_min")[0],
        "moaas": peak("moaas_points", is_lowest=True)[0],
        "madrs_fortnight_after": at("madrs_points", after_h),
        "belief_after": at("negative_belief_fraction", after_h),
        "belief_start": float(course["negative_belief_fraction"][0, 0]),
        "belief_moved": float(course["negative_belief_fraction"][0, 0])
        - at("negative_belief_fraction", after_h),
        "single": 2.0 - len(course.session_starts_h),
    }


def _falls_below(course: Trajectory, name: str, place: int | None) -> float:
    """Return hours from the first session until an observable is below a share of its largest value."""
    start_h = course.session_starts_h[0]
    values = course[name][0]
    if place is None:
        inside = (course.times_h >= start_h) & (course.times_h <= start_h + 24.0)
        place = int(np.flatnonzero(inside)[0] + values[inside].argmax())
    share = CLOSED if name.startswith("window") else CLOSED / 2.0
    below = np.flatnonzero(values[place:] < share * values[place])
    return float(course.times_h[place + below[0]] - start_h) if len(below) else float("nan")
