"""Pictures of the first five chapters: from stress to the pace of mood."""

from __future__ import annotations

import numpy as np

from euthymia.dosing.notation import parse_regimen
from euthymia.mechanism.network.gaussian import Change
from euthymia.model.connectivity import CHANGE_SUFFIX, changes_from_health
from euthymia.model.course import Pulse
from euthymia.population.run import Life
from euthymia.population.story import SLOW, course_numbers, half_lost, hope_numbers, link, slow_numbers
from euthymia.population.summary import value_at
from euthymia.population.surroundings import PARTS
from euthymia.web.charts import Chart, Line
from euthymia.web.runs import Ask, simulated
from euthymia.web.story.proof import chapters
from euthymia.web.story.state import State
from euthymia.web.story.view import (
    DAY,
    Table,
    Told,
    View,
    course_of,
    doses_until,
    runner_of,
    sampled,
    turned_network_of,
    until,
)

EPISODE = (
    "stress_relative",
    "prefrontal_synapses_fraction",
    "hippocampal_synapses_fraction",
    "negative_belief_fraction",
    "madrs_points",
)
EPISODE_DAYS = 365.0
STAIRS = "ketamine 0.5 then 2 then 11 mg/kg/h iv, 60 min each"
"""Raises the level to that of anaesthesia; only the answer of the circuit to the level is read off."""
MIDAZOLAM = "midazolam 0.045 mg/kg iv over 40 min"
ILL_FROM, WELL_TO = 20.0, 10.0
"""MADRS: moderate depression begins, and remission."""


def words_of(state: State, *ids: str, **numbers: float) -> list[Told]:
    """Return sentences of the story filled with the numbers of the patient's course."""
    course = course_of(state)
    found = course_numbers(course) | numbers
    words = {"setting": state.setting, "half_lost": half_lost(course)}
    links = [link(one, found, **words) for one in ids]
    return [Told(text=one.text, grade=one.grade) for one in links]


def brain(state: State) -> View:
    """Return how stress makes an episode, in somebody who was well."""
    end_h = state.weeks * 7.0 * DAY
    pulse = (Pulse(0.0, end_h, state.strain),) if state.strain else ()
    asked = Ask(regimen=None, days=EPISODE_DAYS, variables=EPISODE, life=Life(stress=pulse, is_well=True))
    course = simulated(asked)
    days = np.linspace(0.0, EPISODE_DAYS, 366)
    lines = {name: sampled(course, name, days * DAY) for name in EPISODE}
    low = {name: float(lines[name].min()) for name in EPISODE[1:3]}
    madrs, late = lines["madrs_points"], float(np.interp(end_h / DAY + 84.0, days, lines["madrs_points"]))
    is_ill = float(madrs.max()) >= ILL_FROM
    span = ((0.0, end_h / DAY, "stress"),) if pulse else ()
    outcome = (
        "The episode outlasts its stress."
        if late >= ILL_FROM
        else "The strain shows, and then it mends."
        if is_ill
        else "The brain bends and comes back."
    )
    return View(
        charts=(
            Chart(
                id="brain-wear",
                title="What stress does to connections and beliefs",
                quantity="Share of the healthy",
                x=days,
                x_unit="d",
                lines=(
                    Line(
                        label="connections, prefrontal cortex", values=lines["prefrontal_synapses_fraction"]
                    ),
                    Line(
                        label="connections, hippocampus",
                        values=lines["hippocampal_synapses_fraction"],
                        tone="third",
                        dash=True,
                    ),
                    Line(
                        label="strength of bleak beliefs",
                        values=lines["negative_belief_fraction"],
                        tone="alarm",
                    ),
                ),
                spans=span,
                floor=0.0,
                ceiling=1.1,
                summary=f"Connections fall to {low['prefrontal_synapses_fraction']:.0%} of health in "
                f"prefrontal cortex and to {low['hippocampal_synapses_fraction']:.0%} in the hippocampus.",
            ),
            Chart(
                id="brain-mood",
                title="Severity of depression",
                quantity="MADRS",
                unit="points",
                x=days,
                x_unit="d",
                lines=(Line(label="MADRS", values=madrs),),
                spans=span,
                levels=((ILL_FROM, "moderate depression"),),
                floor=0.0,
                ceiling=40.0,
                decimals=1,
                summary=f"MADRS rises to {madrs.max():.0f}; twelve weeks after the stress it is {late:.0f}.",
            ),
        ),
        sentences=(
            Told(
                text=f"{state.weeks} weeks of stress {state.strain:g} times beyond an ordinary life, in "
                f"somebody who was well: MADRS reaches {madrs.max():.0f} of 60 and is {late:.0f} twelve "
                "weeks "
                f"after the stress has ended. {outcome}"
            ),
        ),
        numbers={"madrs_highest": float(madrs.max()), "madrs_twelve_weeks_after": late, **low},
    )


def surge(state: State) -> View:
    """Return block, disinhibition and surge of the first session, and where it stands on the inverted U."""
    course = course_of(state)
    end_h = 4.0 if state.route != "extended" else 16.0
    times, inner = until(course, "nmda_block_interneuron_fraction", end_h)
    _, outer = until(course, "nmda_block_pyramidal_fraction", end_h)
    _, glutamate = until(course, "glutamate_surge_relative", end_h)
    numbers = course_numbers(course)
    return View(
        charts=(
            Chart(
                id="surge-block",
                title="Gates closed: mostly on the cells that brake",
                quantity="NMDA current blocked",
                unit="%",
                x=times,
                lines=(
                    Line(label="on braking cells (interneurons)", values=100.0 * inner),
                    Line(label="on main cells (pyramidal)", values=100.0 * outer, tone="third", dash=True),
                ),
                floor=0.0,
                decimals=1,
                summary=f"At most {numbers['block_interneuron']:.0%} on braking cells, "
                f"{numbers['block_pyramidal']:.0%} on main cells.",
            ),
            Chart(
                id="surge-glutamate",
                title="Glutamate, against before",
                quantity="Glutamate release",
                unit="× before",
                x=times,
                lines=(Line(label="glutamate", values=glutamate, tone="second"),),
                levels=((1.0, "before"),),
                summary=f"Highest {numbers['glutamate']:.2f} times its level before, after "
                f"{numbers['glutamate_min']:.0f} minutes.",
            ),
            _inverted_u(numbers["site_peak"], numbers["gain"]),
        ),
        sentences=words_of(state, *chapters()["surge"].links),
        numbers={
            name: numbers[name]
            for name in (
                "site_peak",
                "block_interneuron",
                "block_pyramidal",
                "gain",
                "glutamate",
                "glutamate_3h",
            )
        },
    )


def _inverted_u(here: float, gain: float) -> Chart:
    """Return the rate of the circuit over the level at the site, and where the patient's peak lies."""
    names = ("s_equivalents_site", "circuit_gain_relative")
    stairs = simulated(Ask(regimen=STAIRS, days=0.125, variables=names, setting="none"))
    level, rate = (stairs[name][0] for name in names)
    order = np.argsort(level)
    grid = np.geomspace(0.02, float(level.max()), 160)
    curve = np.interp(grid, level[order], rate[order])
    best = float(grid[curve.argmax()])
    return Chart(
        id="surge-shape",
        title="More is not better",
        quantity="Firing of main cells",
        unit="× before",
        x=grid,
        x_quantity="Drug at its site",
        x_unit="µmol/L",
        lines=(Line(label="firing of main cells", values=curve, tone="third"),),
        levels=((1.0, "before"),),
        now=here,
        summary=f"This dose peaks at {here:.2f} µmol/L, where firing is {gain:.2f} times that before. "
        f"The curve turns at {best:.1f} µmol/L; levels far to the right are those of anaesthesia.",
    )


def repair(state: State) -> View:
    """Return growth signals in the first days, and synapses and the window over the weeks."""
    course = course_of(state)
    early, weeks_h = np.linspace(0.0, 72.0, 217), np.linspace(0.0, 42.0 * DAY, 337)
    start = float(course["prefrontal_synapses_fraction"][0, 0])
    grown = {
        name: 100.0 * (sampled(course, name, weeks_h) - float(course[name][0, 0]))
        for name in ("prefrontal_synapses_fraction", "hippocampal_synapses_fraction")
    }
    window = 100.0 * sampled(course, "window_of_plasticity_fraction", weeks_h)
    numbers = course_numbers(course)
    highest = grown["prefrontal_synapses_fraction"]
    return View(
        charts=(
            Chart(
                id="repair-signals",
                title="Signals that open the gate to growth",
                quantity="Signal",
                unit="share",
                x=early,
                lines=(
                    Line(
                        label="BDNF, above before",
                        values=sampled(course, "bdnf_relative", early) - 1.0,
                        tone="second",
                    ),
                    Line(
                        label="mTORC1",
                        values=sampled(course, "mtorc1_relative", early),
                        tone="third",
                        dash=True,
                    ),
                    Line(
                        label="AMPA throughput", values=sampled(course, "ampa_potentiation_fraction", early)
                    ),
                ),
                marks=doses_until(course, 72.0, 1.0),
                floor=0.0,
                summary=f"BDNF peaks after {numbers['bdnf_h']:.1f} hours; AMPA throughput reaches "
                f"{numbers['ampa']:.0%} of its ceiling and {numbers['ampa_day']:.0%} is left after a day.",
            ),
            Chart(
                id="repair-synapses",
                title="New connections, and the window",
                quantity="Gain of connections; window",
                unit="%",
                x=weeks_h / DAY,
                x_unit="d",
                lines=(
                    Line(label="connections gained, prefrontal", values=highest),
                    Line(
                        label="connections gained, hippocampus",
                        values=grown["hippocampal_synapses_fraction"],
                        tone="third",
                        dash=True,
                    ),
                    Line(label="window of plasticity", values=window, tone="second"),
                ),
                marks=doses_until(course, weeks_h[-1], DAY),
                floor=0.0,
                decimals=1,
                summary=f"Connections gained peak at {highest.max():.1f} % of health on day "
                f"{weeks_h[highest.argmax()] / DAY:.0f}, from {start:.0%}; on day 42 {highest[-1]:.1f} % "
                "are left.",
            ),
        ),
        sentences=words_of(state, *chapters()["repair"].links),
        numbers={
            name: numbers[name]
            for name in (
                "ampa",
                "bdnf",
                "bdnf_day",
                "synapses_day",
                "synapses_week",
                "synapses_fortnight",
                "window_h",
            )
        }
        | {"synapses_highest_percent": float(highest.max()), "synapses_day_42_percent": float(highest[-1])},
    )


COUPLINGS = (
    ("within_default_coupling_change_fraction", "within the default mode network"),
    ("default_to_others_coupling_change_fraction", "to attention and control networks"),
)
NETWORKS = {
    "Default": ("within_default_connectivity", "within the default mode network"),
    "Cont": ("default_to_frontoparietal_connectivity", "with the frontoparietal network"),
    "SalVentAttn": ("default_to_salience_connectivity", "with the salience network"),
}
"""Networks that the brain colours, by what a scan would show of them and the default mode network."""
MOMENTS = (
    (0.0, "before"),
    (40.0 / 60.0, "40 min"),
    (24.0, "1 d"),
    (72.0, "3 d"),
    (168.0, "7 d"),
    (336.0, "14 d"),
)


def network(state: State) -> View:
    """Return the two couplings of the default mode network, by the account chosen."""
    course = course_of(state) if state.account == "hyper" else turned_network_of(state)
    times_h = np.unique(np.concatenate([np.linspace(0, 24, 97), np.linspace(24, 28 * DAY, 217)]))
    lines = [100.0 * sampled(course, name, times_h) for name, _ in COUPLINGS]
    moments = [hours for hours, _ in MOMENTS]
    values = [100.0 * value_at(course, name, moments)[0] for name, _ in COUPLINGS]
    within, between = values
    maps = _maps(within, between)
    direction = "above" if within[0] > 0 else "below"
    return View(
        charts=(
            Chart(
                id="network-coupling",
                title="How tightly the network is coupled, against health",
                quantity="Difference from health",
                unit="%",
                x=times_h / DAY,
                x_unit="d",
                lines=(
                    Line(label=COUPLINGS[0][1], values=lines[0], tone="third"),
                    Line(label=COUPLINGS[1][1], values=lines[1], tone="second", dash=True),
                ),
                marks=doses_until(course, 28 * DAY, DAY),
                levels=((0.0, "health"),),
                decimals=1,
                summary=f"Within the network {abs(within[0]):.0f} % {direction} health before treatment, "
                f"{within[2]:+.0f} % after a day and {within[4]:+.0f} % after a week.",
            ),
        ),
        sentences=(
            Told(
                text=f"By this account coupling within the network stands {within[0]:+.0f} % from health "
                f"before treatment, {within[1]:+.0f} % in the session, {within[2]:+.0f} % after a day and "
                f"{within[5]:+.0f} % after two weeks; coupling to other networks goes from "
                f"{between[0]:+.0f} % "
                f"to {between[2]:+.0f} % after a day."
            ),
            Told(text="None of these numbers is calibrated, and nothing else in the model depends on them."),
        ),
        numbers={
            f"within_{label.replace(' ', '_')}": float(one)
            for (_, label), one in zip(MOMENTS, within, strict=True)
        }
        | {
            f"to_others_{label.replace(' ', '_')}": float(one)
            for (_, label), one in zip(MOMENTS, between, strict=True)
        },
        table=Table(
            caption="Against health (simulated): couplings of the model in per cent, and mean correlations "
            "that a scan would show (differences of r)",
            heads=("", *(label for _, label in MOMENTS)),
            rows=(
                *(
                    (label, *(f"{one:+.1f} %" for one in row))
                    for (_, label), row in zip(COUPLINGS, values, strict=True)
                ),
                *((f"r, {NETWORKS[name][1]}", *(f"{one:+.3f}" for one in row)) for name, row in maps.items()),
            ),
        ),
        brain={
            "moments": [label for _, label in MOMENTS],
            "networks": {name: [float(one) for one in row] for name, row in maps.items()},
        },
    )


def _maps(within_percent: np.ndarray, between_percent: np.ndarray) -> dict[str, np.ndarray]:
    """Return the change of mean correlation of the default mode network with some networks, by moment."""
    change = Change(
        within_default=within_percent / 100.0,
        default_to_others=between_percent / 100.0,
        default_to_limbic=np.zeros_like(within_percent),
    )
    found = changes_from_health(change)
    return {name: found[f"{stem}{CHANGE_SUFFIX}"] for name, (stem, _) in NETWORKS.items()}


def pace(state: State) -> View:
    """Return mood after this plan, after a sedative and on an ordinary antidepressant."""
    course, run = course_of(state), runner_of(state)
    days = np.unique(np.concatenate([np.linspace(0, 2, 49), np.linspace(2, 42, 161)]))
    plan = state.regimen
    untreated = run(plan, omit=PARTS)
    numbers = hope_numbers(plan, course, run, untreated) | slow_numbers(run)
    sedative = MIDAZOLAM if state.sessions == 1 else f"{MIDAZOLAM}, twice weekly x {state.sessions}"
    blinded = run(parse_regimen(sedative), setting="midazolam", days=50.0, life=Life())
    slow = run(SLOW, setting="none", days=49.0)
    shown = [
        Line(label="this plan", values=sampled(course, "madrs_points", days * DAY)),
        Line(
            label="sedative (midazolam), blinded",
            values=sampled(blinded, "madrs_points", days * DAY),
            tone="second",
            dash=True,
        ),
        Line(
            label="ordinary antidepressant alone, hope aside",
            values=sampled(slow, "madrs_points", days * DAY),
            tone="third",
        ),
        Line(
            label="no treatment",
            values=sampled(untreated, "madrs_points", days * DAY),
            tone="quiet",
            dash=True,
        ),
    ]
    found = course_numbers(course)
    apart = float(value_at(blinded, "madrs_points", [24.0])[0, 0]) - found["madrs_day"]
    return View(
        charts=(
            Chart(
                id="pace-mood",
                title="Mood over six weeks",
                quantity="MADRS",
                unit="points",
                x=days,
                x_unit="d",
                lines=shown,
                marks=doses_until(course, 42 * DAY, DAY),
                levels=((WELL_TO, "remission"),),
                floor=0.0,
                decimals=1,
                summary=f"This plan: {found['madrs_start']:.0f} before, {found['madrs_day']:.0f} after a day."
                f" A sedative that people may take for the drug: {apart:.0f} points higher at a day.",
            ),
        ),
        sentences=words_of(state, *chapters()["pace"].links, **numbers),
        numbers={name: found[name] for name in ("madrs_start", "madrs_2h", "madrs_day", "madrs_week")}
        | numbers
        | {"over_sedative_day": apart},
    )
