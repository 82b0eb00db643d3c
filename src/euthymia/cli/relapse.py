"""``euthymia simulate --outcome relapse``: how long those who got well stay so, by how treatment goes on."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from euthymia.cli import reports, show
from euthymia.cli.chain import common_of
from euthymia.errors import InvalidInputError, ResultWarning, invalid
from euthymia.files.report import Section, TableBlock

if TYPE_CHECKING:
    from euthymia.cli.simulate import Asked
    from euthymia.model.trajectory import Trajectory
    from euthymia.population.relapse import FollowUp

PATIENTS = 200
AFTER_DAYS = 182.0
"""Follow-up after the end of the first regimen where no horizon is asked for."""
WEEKS = (4.0, 8.0, 13.0, 26.0, 52.0)
SEEN = ("severity_fraction", "madrs_points", "negative_belief_fraction", "prefrontal_synapses_fraction")
WHAT_IT_RESTS_ON = (
    "Relapse is not calibrated: how beliefs learn from lived mood, how stress hardens them and how often "
    "life brings it are assumed. Read the order of schedules, not the months."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One way to go on after getting well, by each definition of relapse."""

    label: str
    course: Trajectory
    sessions_per_year: float
    found: dict[str, FollowUp]


def simulate_relapse(regimens: Sequence[str], asked: Asked, *, maintenance: str | None) -> None:
    """Follow those who responded by the end of the first regimen, and show how long they stay well."""
    if asked.engine == "reference":
        raise invalid("--engine", must="numpy or c with '--outcome relapse'", got=asked.engine)
    if asked.is_csv or asked.out is not None:
        message = "'--outcome relapse' writes a table, '--json' or '--report'. Leave '--csv' and '--out' out."
        raise InvalidInputError(message)
    asked = replace(asked, patients=asked.patients or PATIENTS)
    arms, from_day = _arms(regimens, asked, maintenance)
    for arm in arms:
        show.warn(arm.course.warnings, is_quiet=asked.is_quiet)
    if asked.is_json:
        _dump(arms, from_day, asked)
    else:
        _print(arms, from_day, asked)
    if asked.report is not None:
        from euthymia.files.writing import write_whole

        html = _report(arms, from_day, asked)
        write_whole(asked.report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {asked.report}", is_quiet=asked.is_quiet)


def _arms(regimens: Sequence[str], asked: Asked, maintenance: str | None) -> tuple[list[Arm], float]:
    from euthymia.dosing.notation import parse_regimen
    from euthymia.population.relapse import end_of_doses_h, on_demand_after, with_maintenance
    from euthymia.population.run import default_days

    first = regimens[0]
    end_h = end_of_doses_h(first)
    planned: list[tuple[str, str, Any]] = [("stopped", first, None)]
    if maintenance is not None:
        text, is_on_demand = with_maintenance(first, maintenance)
        planned.append((maintenance, text, on_demand_after(first) if is_on_demand else None))
    planned += [(text, text, None) for text in regimens[1:]]
    from_day = float(np.floor(end_h / 24.0)) + 1.0
    longest = max(default_days(parse_regimen(text)) for _, text, _ in planned)
    days = asked.days if asked.days is not None else max(from_day + AFTER_DAYS, longest)
    return [_arm(label, text, rule, asked, days, from_day) for label, text, rule in planned], from_day


def _arm(label: str, text: str, rule: Any, asked: Asked, days: float, from_day: float) -> Arm:
    from euthymia.dosing.notation import parse_regimen
    from euthymia.population.relapse import follow_ups
    from euthymia.population.simulate import simulate

    plan = parse_regimen(text)
    visits = np.arange(0.0, days + 1e-9, 1.0) * 24.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        with show.progress(label, is_quiet=asked.is_quiet) as on_done:
            course = simulate(
                plan,
                setting=asked.setting,
                variables=list(SEEN),
                policy=rule,
                on_done=on_done,
                **common_of(asked) | {"times_h": visits, "is_dense": False, "days": days},
            )
    return Arm(
        label=label,
        course=course,
        sessions_per_year=_sessions(course, from_day, days) / (days - from_day) * 365.0,
        found=follow_ups(course, from_day, parameters=asked.chosen),
    )


def _sessions(course: Trajectory, from_day: float, days: float) -> float:
    """Return the mean number of sessions a patient was given after a day."""
    from euthymia.dosing.drug import find_drug
    from euthymia.dosing.notation import parse_regimen

    later = [start for start in course.session_starts_h if from_day * 24.0 <= start <= days * 24.0]
    if course.given_fraction is None:
        return float(len(later))
    doses = [
        one for one in parse_regimen(course.provenance.regimen).doses(70.0) if find_drug(one.drug).is_ketamine
    ]
    starts = np.array([dose.start_h for dose in doses])
    session = np.searchsorted(course.session_starts_h, starts, side="right") - 1
    given = [
        (course.given_fraction[:, session == place] > 0).any(axis=1).mean()
        for place, start in enumerate(course.session_starts_h)
        if start in later
    ]
    return float(np.sum(given))


def _weeks(arms: Sequence[Arm], from_day: float) -> list[float]:
    last = float(arms[0].course.times_h[-1]) / 24.0 - from_day
    return [week for week in WEEKS if week * 7.0 <= last]


def _rows(arms: Sequence[Arm], from_day: float) -> list[list[str]]:
    weeks = _weeks(arms, from_day)
    rows = []
    for rule in arms[0].found:
        for arm in arms:
            one = arm.found[rule]
            median = one.median_days()
            rows.append(
                [
                    rule,
                    arm.label,
                    f"{arm.sessions_per_year:.1f}",
                    f"{one.count} of {len(one.is_well)}",
                    *(_share(value) for value in one.share_well([week * 7.0 for week in weeks])),
                    "not reached" if np.isnan(median) else f"{median:.0f}",
                    f"{one.hazard_per_day(56.0):.4f}",
                ]
            )
    return rows


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.0%}"


def _heads(arms: Sequence[Arm], from_day: float) -> tuple[str, ...]:
    weeks = (f"well after {week:g} wk" for week in _weeks(arms, from_day))
    return (
        "definition of relapse",
        "then",
        "sessions a year",
        "entered",
        *weeks,
        "median days",
        "hazard a day, first 8 wk",
    )


def _what(arms: Sequence[Arm], from_day: float, asked: Asked) -> str:
    entry = f"; {asked.entry}" if asked.entry else ""
    events = "with" if asked.life and asked.life.has_events else "without"
    return (
        f"{arms[0].course.provenance.regimen}: {asked.patients} virtual patients{entry}, setting "
        f"{asked.setting}, {events} events of life; those who respond (MADRS) on day {from_day:g} are seen "
        "weekly."
    )


def _print(arms: Sequence[Arm], from_day: float, asked: Asked) -> None:
    print(_what(arms, from_day, asked))
    heads = _heads(arms, from_day)
    show.table(heads, _rows(arms, from_day), right=range(2, len(heads)))
    print("Kaplan-Meier shares. " + WHAT_IT_RESTS_ON)
    if not (asked.life and asked.life.has_events):
        print("Give '--life-events' to let stress arrive by chance.")
    print(show.NOT_A_DEVICE)


def _dump(arms: Sequence[Arm], from_day: float, asked: Asked) -> None:
    from euthymia.files.results import dump_json

    document = {
        "schema": "euthymia.relapse/1",
        "command": list(asked.command),
        "version": version("euthymia"),
        "seed": asked.seed,
        "setting": asked.setting,
        "patients": asked.patients,
        "from_day": from_day,
        "status": "simulated; research software, not a medical device",
        "what_it_rests_on": WHAT_IT_RESTS_ON,
        "arms": [
            {
                "label": arm.label,
                "regimen": arm.course.provenance.regimen,
                "sessions_per_year": arm.sessions_per_year,
                "definitions": [_definition(one) for one in arm.found.values()],
                "warnings": list(arm.course.warnings),
            }
            for arm in arms
        ],
    }
    sys.stdout.write(dump_json(document))


def _definition(one: FollowUp) -> dict[str, Any]:
    days = [7.0 * week for week in range(int(one.days.max()) // 7 + 1)] if one.count else []
    low, high = one.interval(days)
    median = one.median_days()
    return {
        "definition": one.rule,
        "entered": one.count,
        "relapsed": int(one.has_relapsed.sum()),
        "median_days": None if np.isnan(median) else median,
        "hazard_per_day_first_8_weeks": _number(one.hazard_per_day(56.0)),
        "days": days,
        "share_well": [_number(value) for value in one.share_well(days)],
        "share_well_low": [_number(value) for value in low],
        "share_well_high": [_number(value) for value in high],
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _report(arms: Sequence[Arm], from_day: float, asked: Asked) -> str:
    from euthymia.files.report import render_report
    from euthymia.plots.concentrations import library, to_html
    from euthymia.plots.survival import Steps, SurvivalPanel, survival_figure

    panels = []
    for rule in arms[0].found:
        steps = []
        for arm in arms:
            one = arm.found[rule]
            days = np.arange(0.0, (one.days.max() if one.count else 0.0) + 1.0, 7.0)
            low, high = one.interval(list(days))
            steps.append(
                Steps(label=arm.label, days=days, share=one.share_well(list(days)), low=low, high=high)
            )
        panels.append(SurvivalPanel(title=rule, steps=tuple(steps)))
    heads = _heads(arms, from_day)
    first = arms[0].course
    return render_report(
        kind="time to relapse",
        title=first.provenance.regimen,
        lead=[_what(arms, from_day, asked), WHAT_IT_RESTS_ON],
        sections=[
            Section(
                title="Still well",
                texts=["Who responded at the end of treatment, by each definition that studies use."],
                figure=to_html(survival_figure(panels)),
                caption="Simulated: Kaplan-Meier estimate with its 95 % interval (log-log).",
                tables=[
                    TableBlock(
                        title=rule,
                        heads=heads[1:],
                        rows=[row[1:] for row in _rows(arms, from_day) if row[0] == rule],
                        right=range(1, len(heads) - 1),
                    )
                    for rule in arms[0].found
                ],
            ),
            reports.parameter_section(asked.chosen),
        ],
        sources=sorted({key for arm in arms for key in arm.course.provenance.sources}),
        footer=reports.footer_of(first),
        library=library(),
        warnings=list(dict.fromkeys(note for arm in arms for note in arm.course.warnings)),
    )
