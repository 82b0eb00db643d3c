"""``euthymia story`` and ``euthymia episode``: the chain in words, and how stress makes an episode."""

from __future__ import annotations

import sys
import textwrap
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from euthymia.cli import options, show
from euthymia.errors import ResultWarning, invalid

if TYPE_CHECKING:
    from euthymia.model.trajectory import Trajectory

WIDTH = 96


def story(
    context: typer.Context,
    regimen: Annotated[str, typer.Argument(help="In the dosing language; must give ketamine.")],
    setting: options.Setting = "open",
    weight_kg: options.WeightKg = 70.0,
    parameters: options.Parameters = "composed",
    mechanism: options.Mechanism = None,
    overrides: options.Overrides = None,
    json: options.Json = False,
) -> None:
    """Tell the chain of a regimen link by link, in plain words with its numbers.

    Example: euthymia story "ketamine 0.5 mg/kg iv over 40 min"
    """
    from euthymia.dosing.notation import parse_regimen, print_regimen
    from euthymia.population.patient import Patient
    from euthymia.population.story import tell

    plan = parse_regimen(regimen)
    chosen = options.chosen_set(parameters, overrides, mechanisms=mechanism)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResultWarning)
        links = tell(plan, patient=Patient.create(weight_kg=weight_kg), parameters=chosen, setting=setting)
    show.warn([str(one.message) for one in caught])
    if json:
        from euthymia.files.results import dump_json

        document: dict[str, Any] = {
            "schema": "euthymia.story/1",
            "command": list(context.obj or ["story", regimen]),
            "version": version("euthymia"),
            "regimen": print_regimen(plan),
            "setting": setting,
            "status": "simulated; research software, not a medical device",
            "links": [
                {
                    "id": link.id,
                    "title": link.title,
                    "text": link.text,
                    "grade": link.grade,
                    "evidence": list(link.evidence),
                    "against": link.against,
                }
                for link in links
            ],
        }
        sys.stdout.write(dump_json(document))
        return
    print(f"{print_regimen(plan)}: one typical patient of {weight_kg:g} kg, setting {setting}\n")
    for number, link in enumerate(links, start=1):
        print(f"{number}. {link.title}")
        for text in (
            link.text,
            f"Evidence: {link.grade} ({', '.join(link.evidence)}).",
            f"But: {link.against}",
        ):
            print(textwrap.fill(text, WIDTH, initial_indent="   ", subsequent_indent="   "))
        print()
    print("Rows named Q.., AE-.. and P.. : 'euthymia evidence mechanism', 'safety' and 'efficacy'.")
    print(show.NOT_A_DEVICE)


def episode(
    stress: Annotated[
        float, typer.Option("--stress", metavar="L", help="Load beyond usual life; 1 is that of an episode.")
    ] = 3.0,
    weeks: Annotated[float, typer.Option("--weeks", metavar="W", help="How long it lasts.")] = 8.0,
    inflammation: Annotated[
        float, typer.Option("--inflammation", metavar="F", help="Inflammation beyond usual life.")
    ] = 0.0,
    days: Annotated[float, typer.Option("--days", metavar="D", help="Horizon.")] = 365.0,
    overrides: options.Overrides = None,
    report: options.Report = None,
    quiet: options.Quiet = False,
) -> None:
    """Let stress wear down a well person: weeks of it make an episode that outlasts it, a little does not.

    Example: euthymia episode --stress 3 --weeks 8
    """
    from euthymia.files.writing import check_writable, write_whole
    from euthymia.model.course import Pulse
    from euthymia.model.parameters import DEFAULT_SET
    from euthymia.population.run import Life
    from euthymia.population.simulate import simulate

    for name, value, most in (
        ("stress", stress, 5.0),
        ("inflammation", inflammation, 5.0),
        ("weeks", weeks, 520.0),
    ):
        if not 0.0 <= value <= most:
            raise invalid(name, must=f"0–{most:g}", got=f"{value:g}")
    if report is not None:
        check_writable(report)
    end_h = weeks * 7.0 * 24.0
    life = Life(
        stress=(Pulse(0.0, end_h, stress),) if stress and weeks else (),
        inflammation=(Pulse(0.0, end_h, inflammation),) if inflammation and weeks else (),
        is_well=True,
    )
    chosen = options.chosen_set(DEFAULT_SET, overrides)
    course = simulate(None, life=life, parameters=chosen, days=days)
    _print_episode(course, weeks, f"stress {stress:g} and inflammation {inflammation:g}")
    if report is not None:
        from euthymia.cli.chain_report import episode_report

        html = episode_report(course, chosen, weeks=weeks)
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=quiet)


EPISODE_ROWS = (
    ("stress_relative", "stress carried", 2),
    ("trophic_tone_relative", "trophic tone", 2),
    ("prefrontal_synapses_fraction", "synapses, prefrontal", 2),
    ("hippocampal_synapses_fraction", "synapses, hippocampus", 2),
    ("negative_belief_fraction", "negative beliefs", 2),
    ("madrs_points", "MADRS", 0),
)
"""What an episode is told by, in the order of cause and effect, and its decimals."""
WEEKS_TO_TELL = 12
"""Weeks after the stress before an episode counts as one that outlasts it."""


def _print_episode(course: Trajectory, weeks: float, what: str) -> None:
    from euthymia.cli.chain import day_label
    from euthymia.population.summary import value_at

    end, last = weeks * 7.0, float(course.times_h[-1]) / 24.0
    wanted = (0.0, end / 4, end / 2, end, end + 28, end + 84, end + 168, last)
    days = sorted({round(day, 2) for day in wanted if day <= last})
    hours = [day * 24.0 for day in days]
    rows = [
        [name, *(f"{value:.{places}f}" for value in value_at(course, stem, hours)[0])]
        for stem, name, places in EPISODE_ROWS
    ]
    print(f"A well person, typical; {what} for {weeks:g} weeks, then as before.")
    show.table(
        ("", *(day_label(day) if day else "start" for day in days)), rows, right=range(1, 1 + len(days))
    )
    print(_verdict(course, end_h=end * 24.0))
    print("Rates of loss come from rodents; how beliefs harden and keep up stress is assumed.")
    print(show.NOT_A_DEVICE)


def _verdict(course: Trajectory, *, end_h: float) -> str:
    """Say whether stress made an episode, and whether that outlasts it."""
    from euthymia.model.scales import find_scale

    moderate = next(low for name, low, _ in find_scale("MADRS").bands if name == "moderate")
    madrs, last_h = course["madrs_points"][0], float(course.times_h[-1])
    is_ill = madrs >= moderate
    if not is_ill.any():
        return f"No episode: MADRS stays below {moderate:g}."
    if last_h < end_h + WEEKS_TO_TELL * 168.0:
        needed = np.ceil(end_h / 24.0) + 7 * WEEKS_TO_TELL
        return (
            f"MADRS reaches {madrs.max():.0f}. Whether that outlasts the stress cannot be told before "
            f"{WEEKS_TO_TELL} weeks after it; give '--days {needed:.0f}' or more."
        )
    if is_ill[-1]:
        return f"An episode that outlasts its cause: MADRS is {madrs[-1]:.0f} after {last_h / 24.0:g} days."
    well_h = float(course.times_h[np.flatnonzero(is_ill)[-1] + 1])
    return f"An episode that passes: MADRS is below {moderate:g} from day {well_h / 24.0:.0f} on."
