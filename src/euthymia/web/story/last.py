"""Pictures of the last six chapters: from the session to the people."""

from __future__ import annotations

import numpy as np

from euthymia.dosing.notation import parse_regimen
from euthymia.errors import InvalidInputError
from euthymia.mechanism.symptoms.scales import expected
from euthymia.model.course import Pulse
from euthymia.model.parameters import DEFAULT_SET, load_parameters
from euthymia.model.scales import find_scale
from euthymia.population import harms as late_harms
from euthymia.population.ideation import among_ideators
from euthymia.population.outcomes import response
from euthymia.population.relapse import follow_up
from euthymia.population.run import Life
from euthymia.population.story import (
    CLOSED,
    END_H,
    STRESS,
    course_numbers,
    half_lost,
    stress_numbers,
    therapy_numbers,
)
from euthymia.population.summary import totals
from euthymia.population.surroundings import PARTS
from euthymia.web.charts import Chart, Line
from euthymia.web.story.first import MIDAZOLAM, WELL_TO, words_of
from euthymia.web.story.proof import chapters
from euthymia.web.story.state import LATE_D, State
from euthymia.web.story.view import (
    DAY,
    PEOPLE,
    Table,
    Told,
    View,
    course_of,
    days_of,
    doses_until,
    people_of,
    runner_of,
    sampled,
)

IDEATION = "suicidal_ideation_fraction"
WELL_DAY, FOLLOW_D, UPKEEP_D = 1.0, 42.0, 56.0


def session(state: State) -> View:
    """Return the first two hours, and the days after."""
    course = course_of(state)
    end_h = 2.5 if state.route not in ("oral", "extended", "sublingual") else 8.0
    hours = np.linspace(0.0, end_h, 151)
    read = {
        name: sampled(course, name, hours)
        for name in (
            "cadss_points",
            "moaas_points",
            "systolic_rise_mmHg",
            "diastolic_rise_mmHg",
            "heart_rate_rise_per_min",
        )
    }
    days = np.linspace(0.0, 14.0, 169)
    numbers = course_numbers(course)
    clear, brood = (sampled(course, name, days * DAY) for name in ("clarity_relative", "rumination_relative"))
    return View(
        charts=(
            Chart(
                id="session-feel",
                title="What is felt",
                quantity="Dissociation (CADSS)",
                unit="points",
                x=60 * hours,
                x_unit="min",
                lines=(Line(label="dissociation (CADSS)", values=read["cadss_points"], tone="third"),),
                floor=0.0,
                decimals=1,
                summary=f"Highest {numbers['cadss']:.0f} points after {numbers['cadss_min']:.0f} minutes; "
                f"alertness falls to {numbers['moaas']:.1f} of 5.",
            ),
            Chart(
                id="session-body",
                title="What the body does",
                quantity="Rise",
                unit="mmHg; beats/min",
                x=60 * hours,
                x_unit="min",
                lines=(
                    Line(label="systolic pressure", values=read["systolic_rise_mmHg"], tone="alarm"),
                    Line(
                        label="diastolic pressure",
                        values=read["diastolic_rise_mmHg"],
                        tone="alarm",
                        dash=True,
                    ),
                    Line(label="pulse", values=read["heart_rate_rise_per_min"], tone="second"),
                ),
                floor=0.0,
                decimals=1,
                summary=f"Pressure rises by {numbers['systolic']:.0f}/{numbers['diastolic']:.0f} mmHg "
                f"on average, highest after {numbers['pressure_min']:.0f} minutes.",
            ),
            Chart(
                id="session-after",
                title="The two weeks after the first session",
                quantity="Against before",
                unit="×",
                x=days,
                x_unit="d",
                lines=(
                    Line(label="clarity", values=clear),
                    Line(label="brooding (rumination)", values=brood, tone="second", dash=True),
                ),
                levels=((1.0, "before"),),
                marks=doses_until(course, 14 * DAY, DAY),
                summary=f"A day after: clarity {np.interp(1, days, clear):.1f} times, brooding "
                f"{np.interp(1, days, brood):.2f} times that before. Neither curve is calibrated.",
            ),
        ),
        sentences=words_of(state, *chapters()["session"].links),
        numbers={
            name: numbers[name]
            for name in ("cadss", "cadss_min", "moaas", "systolic", "diastolic", "pulse", "pressure_min")
        }
        | {
            "clarity_day": float(np.interp(1, days, clear)),
            "rumination_day": float(np.interp(1, days, brood)),
        },
        facts=(
            (f"{numbers['cadss']:.0f}", "points of dissociation at the peak"),
            (f"+{numbers['systolic']:.0f}/{numbers['diastolic']:.0f}", "mmHg at the peak"),
            (_over(numbers["cadss_over_min"]), "until a tenth of the dissociation is left"),
        ),
    )


def _over(minutes: float) -> str:
    return "–" if np.isnan(minutes) else f"{minutes:.0f} min"


def therapy(state: State) -> View:
    """Return mood without therapy, with it on the day chosen, and with it three weeks later."""
    course, run, last_h = course_of(state), runner_of(state), state.last_session_h
    kind = "CBT" if state.therapy == "none" else state.therapy
    plain = run(parse_regimen(state.with_therapy("none", 0)))
    chosen = run(parse_regimen(state.with_therapy(kind, state.therapy_day)))
    late = run(parse_regimen(state.with_therapy(kind, LATE_D)))
    end = (last_h + END_H) / DAY
    days = np.linspace(0.0, end, 220)
    lines = [sampled(one, "madrs_points", days * DAY) for one in (plain, chosen, late)]
    window = sampled(course, "window_of_plasticity_fraction", days * DAY)
    gains = [float(lines[0][-1] - one[-1]) for one in lines[1:]]
    after = days >= last_h / DAY
    is_open = days[after & (window >= CLOSED * window[after].max())]
    numbers = therapy_numbers(state.regimen, course, run, run(state.regimen, omit=PARTS))
    first = last_h / DAY + state.therapy_day
    return View(
        charts=(
            Chart(
                id="therapy-mood",
                title=f"Three hours of {_plain(kind)}, sooner or later",
                quantity="MADRS",
                unit="points",
                x=days,
                x_unit="d",
                lines=(
                    Line(label="without", values=lines[0], tone="quiet", dash=True),
                    Line(label=f"from day {state.therapy_day} after the last session", values=lines[1]),
                    Line(label=f"from day {LATE_D} after it", values=lines[2], tone="second", dash=True),
                ),
                spans=((float(is_open[0]), float(is_open[-1]), "window"),),
                marks=doses_until(course, end * DAY, DAY),
                now=first,
                floor=0.0,
                decimals=1,
                summary=f"Six weeks after the last session: {gains[0]:.1f} points lower with therapy from "
                f"day {state.therapy_day}, {gains[1]:.1f} from day {LATE_D}.",
            ),
        ),
        sentences=[
            *words_of(state, *chapters()["therapy"].links, **numbers),
            Told(
                text=f"Three hours of {_plain(kind)} from day {state.therapy_day} after the last session: "
                f"{gains[0]:.1f} points lower six weeks after it; from day {LATE_D}, {gains[1]:.1f}. The "
                "size is assumed."
            ),
        ],
        numbers=numbers | {"gain_chosen_day": gains[0], "gain_late": gains[1]},
    )


def _plain(therapy: str) -> str:
    return "cognitive therapy" if therapy == "CBT" else therapy


def ideation(state: State) -> View:
    """Return mean ideation of a group on this plan and on a sedative."""
    days = days_of(state)
    shown = (1.0, 7.0, 28.0)
    parameters = load_parameters(DEFAULT_SET)
    drug = people_of(state)
    sedative = MIDAZOLAM if state.sessions == 1 else f"{MIDAZOLAM}, twice weekly x {state.sessions}"
    held = people_of(state, regimen=sedative, setting="midazolam")
    x = drug.times_h / DAY
    if state.among == "ideation":
        arms = [among_ideators(one, parameters=parameters, days=shown) for one in (drug, held)]
        curves, count = [one.mean_points for one in arms], arms[0].count
        who = f"{count} of {PEOPLE} imagined people who have such thoughts at the start (SSI of 4 or more)"
    else:
        kind = find_scale("SSI").map
        curves = [expected(one[IDEATION], kind).mean(axis=0) for one in (drug, held)]
        who = f"all {PEOPLE} imagined people"
    at = [[float(np.interp(day, x, one)) for day in (0.0, *shown)] for one in curves]
    return View(
        charts=(
            Chart(
                id="ideation-group",
                title="Thoughts of suicide, average of a group",
                quantity="SSI",
                unit="points",
                x=x,
                x_unit="d",
                lines=(
                    Line(label="this plan", values=curves[0]),
                    Line(label="sedative (midazolam), blinded", values=curves[1], tone="second", dash=True),
                ),
                marks=doses_until(drug, days * DAY, DAY),
                floor=0.0,
                decimals=1,
                summary=f"Mean of {who}: {at[0][0]:.1f} at the start, {at[0][1]:.1f} after a day and "
                f"{at[0][3]:.1f} after four weeks; with the sedative {at[1][1]:.1f} and {at[1][3]:.1f}.",
            ),
        ),
        sentences=(
            Told(
                text=f"Averaged over {who}, the SSI goes from {at[0][0]:.1f} to {at[0][1]:.1f} after a day, "
                f"{at[0][2]:.1f} after a week and {at[0][3]:.1f} after four weeks. On a sedative that "
                "might have "
                f"been the drug: {at[1][1]:.1f}, {at[1][2]:.1f} and {at[1][3]:.1f}."
            ),
        ),
        numbers={
            "ssi_start": at[0][0],
            "ssi_day": at[0][1],
            "ssi_week": at[0][2],
            "ssi_four_weeks": at[0][3],
            "ssi_sedative_day": at[1][1],
        },
    )


def relapse(state: State) -> View:
    """Return how mood sinks again, with further sessions and new stress, and how long people stay well."""
    course, run, last_h = course_of(state), runner_of(state), state.last_session_h
    days_to = days_of(state) if state.upkeep == "none" else last_h / DAY + UPKEEP_D + FOLLOW_D
    begins, ends, _ = STRESS
    hard = Life(stress=(Pulse(last_h + begins, last_h + ends, state.stress),) if state.stress else ())
    plain = run(state.plan, days=days_to)
    kept = run(state.with_upkeep, days=days_to)
    stressed = run(state.with_upkeep, life=hard, days=days_to)
    days = np.linspace(0.0, days_to, 260)
    lines = [sampled(one, "madrs_points", days * DAY) for one in (plain, kept, stressed)]
    six = (last_h + END_H) / DAY
    at_six = [float(np.interp(six, days, one)) for one in lines]
    well, median = _staying_well(state)
    shown = [Line(label="the plan, then nothing", values=lines[0])]
    if state.upkeep != "none":
        shown.append(Line(label=f"then {state.upkeep} for 8 weeks", values=lines[1], tone="third"))
    if state.stress:
        shown.append(Line(label="and new stress", values=lines[2], tone="alarm", dash=True))
    numbers = stress_numbers(state.regimen, course, run)
    spans = (((last_h + begins) / DAY, (last_h + ends) / DAY, "new stress"),) if state.stress else ()
    return View(
        charts=(
            Chart(
                id="relapse-mood",
                title="After the last session",
                quantity="MADRS",
                unit="points",
                x=days,
                x_unit="d",
                lines=shown,
                marks=doses_until(kept, days_to * DAY, DAY),
                spans=spans,
                levels=((WELL_TO, "remission"),),
                floor=0.0,
                decimals=1,
                summary=f"Six weeks after the last session of the plan: {at_six[0]:.0f}"
                + (f", {at_six[1]:.0f} with further sessions" if state.upkeep != "none" else "")
                + (f", {at_six[2]:.0f} with new stress" if state.stress else "")
                + f". Half of the gain is {half_lost(course)}.",
            ),
        ),
        sentences=[
            *words_of(state, *chapters()["relapse"].links, **numbers),
            Told(text=_kept_well(well, median)),
        ],
        numbers={
            "madrs_six_weeks_after": at_six[0],
            "madrs_six_weeks_after_with_upkeep": at_six[1],
            "madrs_six_weeks_after_with_stress": at_six[2],
            "well_after_last_session": well,
            "days_well_median": median,
            **numbers,
        },
    )


def _staying_well(state: State) -> tuple[float, float]:
    """Return how many imagined people respond by the day after the last session, and the median days well."""
    from_day = state.last_session_h / DAY + WELL_DAY
    people = people_of(state)
    try:
        found = follow_up(people, from_day, parameters=load_parameters(DEFAULT_SET), rule="MADRS 22 once")
    except InvalidInputError:
        return 0.0, float("nan")
    return float(found.count), found.median_days()


def _kept_well(well: float, median: float) -> str:
    how_long = (
        "stays so for the six weeks followed"
        if np.isnan(median)
        else f"is back at MADRS 22 within {median:.0f} days"
    )
    return (
        f"Of {PEOPLE} imagined people {well:.0f} respond by the day after the last session; of these, half "
        f"{how_long} without further treatment."
        if well
        else f"None of {PEOPLE} imagined people responds."
    )


def safety(state: State) -> View:
    """Return what adds up over months of going on, and assumed bounds of late harms."""
    weeks = max(1, round(state.months * 30.4 / 7))
    plan = parse_regimen(state.going_on(f"weekly x {weeks}"))
    days = np.linspace(1.0, state.months * 30.4 + state.last_session_h / DAY + 7.0, 120)
    exposure = late_harms.exposure_of(plan, days=days, weight_kg=state.weight_kg)
    found = {name: late_harms.course_of(one, exposure) for name, one in late_harms.harms().items()}
    peaks = course_numbers(course_of(state))
    total, sessions = float(exposure.mg_per_kg[0, -1]), float(exposure.sessions[0, -1])
    one = found["urinary symptoms"]
    low, mid, high = (100 * getattr(one.occurred, bound)[0] for bound in ("low", "central", "high"))
    return View(
        charts=(
            Chart(
                id="safety-urinary",
                title="Urinary symptoms, if weekly sessions go on: a guess with wide bounds",
                quantity="Have had them",
                unit="% of people",
                x=days / 30.4,
                x_unit="months",
                lines=(
                    Line(
                        label="central guess, and the bounds left open",
                        values=mid,
                        low=low,
                        high=high,
                        tone="second",
                    ),
                    Line(
                        label="without the drug", values=100 * one.background.central, tone="quiet", dash=True
                    ),
                ),
                floor=0.0,
                decimals=1,
                summary=f"After {state.months} months of weekly sessions: {mid[-1]:.0f} %, bounds "
                f"{low[-1]:.0f} to {high[-1]:.0f} %; without the drug "
                f"{100 * one.background.central[-1]:.0f} %. Assumed, not fitted.",
            ),
        ),
        sentences=(
            Told(
                text=f"One session raises pressure by {peaks['systolic']:.0f}/{peaks['diastolic']:.0f} "
                "mmHg on "
                f"average in this patient and takes alertness to {peaks['moaas']:.1f} of 5. Weekly "
                "sessions for "
                f"{state.months} months after the course add up to {sessions:.0f} sessions and {total:.1f} "
                "mg per kg of body weight."
            ),
        ),
        numbers={
            "systolic": peaks["systolic"],
            "diastolic": peaks["diastolic"],
            "moaas": peaks["moaas"],
            "sessions": sessions,
            "mg_per_kg": total,
            **{
                f"{name.replace(' ', '_')}_percent": 100 * float(one.occurred.central[0, -1])
                for name, one in found.items()
            },
        },
        table=Table(
            caption=f"Late harms after {state.months} months: assumed bounds, not rates",
            heads=("what", "without the drug", "low", "central", "high"),
            rows=tuple(
                (
                    name,
                    _percent(one.background.central[-1]) if one.harm.background_per_year else "–",
                    *(_percent(getattr(one.occurred, bound)[0, -1]) for bound in ("low", "central", "high")),
                )
                for name, one in found.items()
            ),
        ),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def people(state: State) -> View:
    """Return how sixty-four imagined people do, a day after the first session and weeks after the last."""
    last = state.last_session_h / DAY
    course = people_of(state)
    moments = (1.0, last + 1.0, last + 28.0)
    rated = totals(course, "MADRS", moments, parameters=load_parameters(DEFAULT_SET))
    change = 100.0 * (rated[:, 1:] - rated[:, :1]) / np.maximum(rated[:, :1], 1.0)
    order = np.argsort(change[:, 1])
    rank = np.arange(1.0, PEOPLE + 1)
    shares = [
        float(response(rated[:, 0], rated[:, place : place + 1], "MADRS").mean()) for place in (1, 2, 3)
    ]
    best = int((change[:, 1] <= -50.0).sum())
    worse = int(((change[:, 1] <= -50.0) & (change[:, 2] > -50.0)).sum())
    return View(
        charts=(
            Chart(
                id="people-change",
                title="Sixty-four imagined people, from the most to the least improved",
                quantity="Change of MADRS",
                unit="%",
                x=rank,
                x_quantity="People",
                x_unit="in order",
                lines=(
                    Line(label="the day after the last session", values=change[order, 1], is_dots=True),
                    Line(
                        label="four weeks later",
                        values=change[order, 2],
                        tone="second",
                        dash=True,
                        is_dots=True,
                    ),
                ),
                levels=((-50.0, "half as severe: response"),),
                decimals=0,
                summary=f"The day after the last session {shares[1]:.0%} are at most half as severe as "
                "before, "
                f"four weeks later {shares[2]:.0%}.",
            ),
        ),
        sentences=(
            Told(
                text=f"{shares[0]:.0%} respond by the day after the first session, {shares[1]:.0%} by the "
                "day "
                f"after the last and {shares[2]:.0%} four weeks later. {worse} of the {best} who had "
                "responded "
                "no longer do then. Ratings carry the scatter of raters and of days, as in trials."
            ),
        ),
        numbers={
            "response_day_1": shares[0],
            "response_after_last": shares[1],
            "response_four_weeks_later": shares[2],
            "mean_change_percent": float(change[:, 1].mean()),
        },
        facts=(
            (f"{shares[0]:.0%}", "respond after one day"),
            (f"{shares[1]:.0%}", "after the last session"),
            (f"{shares[2]:.0%}", "four weeks later"),
        ),
    )
