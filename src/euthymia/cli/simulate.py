"""``euthymia simulate``: a regimen or an event table to curves and exposure."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from euthymia.cli import options, show
from euthymia.errors import InvalidInputError, ResultWarning, invalid, unknown

if TYPE_CHECKING:
    from euthymia.model.parameters import ParameterSet
    from euthymia.model.trajectory import Trajectory
    from euthymia.population.patient import Patient
    from euthymia.population.posterior import Posterior
    from euthymia.population.run import Life
    from euthymia.population.screening import Entry

SITES = ("arterial", "venous", "both")


def simulate(
    context: typer.Context,
    regimen: Annotated[
        str, typer.Argument(metavar="REGIMEN|FILE.csv", help="In the dosing language, or an event table.")
    ],
    patients: options.Patients = None,
    seed: options.Seed = 1,
    parameters: options.Parameters = "composed",
    posterior: options.Posterior = None,
    overrides: options.Overrides = None,
    weight_kg: options.WeightKg = 70.0,
    age_years: options.AgeYears = None,
    ancestry: options.Ancestry = None,
    hepatic: options.Hepatic = None,
    comedication: options.Comedication = None,
    hypertension: options.Hypertension = False,
    days: options.Days = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare",
            metavar="REGIMEN",
            help="Another regimen beside it; may be repeated.",
            show_default=False,
        ),
    ] = None,
    setting: options.Setting = "open",
    scales: options.Scales = "madrs",
    engine: options.Engine = None,
    check: options.Check = 0,
    mechanism: options.Mechanism = None,
    already_on: options.AlreadyOn = None,
    entry_madrs: options.EntryMadrs = None,
    life_events: options.LifeEvents = False,
    outcome: Annotated[
        str | None,
        typer.Option(
            "--outcome", help="'relapse': time to relapse after the end of treatment.", show_default=False
        ),
    ] = None,
    maintenance: Annotated[
        str | None,
        typer.Option(
            "--maintenance",
            metavar="SCHEDULE",
            help="How ketamine goes on, with '--outcome relapse': 'weekly x 12 then every 2 weeks x 20' or "
            "'on demand weekly x 26'.",
            show_default=False,
        ),
    ] = None,
    harms: Annotated[
        bool, typer.Option("--harms", help="Add long-term harms, by declared assumptions with wide bounds.")
    ] = False,
    concentrations: Annotated[
        bool, typer.Option("--concentrations", help="Stop at concentrations and exposure.")
    ] = False,
    times: Annotated[
        str | None,
        typer.Option("--times", metavar="H,H,...", help="Hours to report, ascending.", show_default=False),
    ] = None,
    observe: Annotated[
        str, typer.Option("--observe", help="Where ketamine is sampled: arterial, venous or both.")
    ] = "both",
    variables: Annotated[
        str | None,
        typer.Option(
            "--variables",
            metavar="NAME,...",
            help="Variables, or 'all'; by default totals.",
            show_default=False,
        ),
    ] = None,
    drug: Annotated[
        str, typer.Option("--drug", help="Drug of an event table without a DRUG column.")
    ] = "ketamine",
    unit: options.Unit = "ng/mL",
    individuals: Annotated[
        bool, typer.Option("--individuals", help="Add each patient's values to --json and --csv.")
    ] = False,
    report: options.Report = None,
    out: options.Out = None,
    json: options.Json = False,
    csv: options.Csv = False,
    quiet: options.Quiet = False,
) -> None:
    """Simulate a regimen from dose to mood: concentrations, brain, symptoms and acute effects.

    Example: euthymia simulate "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 6" --days 60 --patients 500
    --report out.html
    """
    from euthymia.files.results import check_out
    from euthymia.files.writing import check_writable
    from euthymia.model.variables import CONCENTRATION_UNITS
    from euthymia.population.patient import Patient
    from euthymia.population.screening import Entry

    show.check_one_format(is_json=json, is_csv=csv, cure=" '--out' writes more files.")
    if unit not in CONCENTRATION_UNITS:
        raise unknown("unit of concentration", unit, CONCENTRATION_UNITS)
    if observe not in SITES:
        raise unknown("sampling site", observe, SITES)
    if out is not None:
        check_out(out)
    if report is not None:
        check_writable(report)
    chosen = options.chosen_set(parameters, overrides, mechanisms=mechanism)
    person = Patient.create(
        weight_kg=weight_kg,
        age_years=age_years,
        ancestry=ancestry,
        hepatic_class=hepatic,
        comedications=comedication or (),
        is_hypertensive=hypertension or None,
    )
    asked = Asked(
        chosen=chosen,
        patient=person,
        patients=patients,
        seed=seed,
        times_h=None if times is None else numbers_in("--times", times),
        days=days,
        variables=variables,
        observe=observe,
        drug=drug,
        unit=unit,
        command=tuple(context.obj or ["simulate", regimen]),
        out=out,
        report=report,
        is_json=json,
        is_csv=csv,
        is_quiet=quiet,
        with_individuals=individuals,
        setting=setting,
        engine=engine,
        life=life_of(already_on, has_events=life_events),
        entry=None if entry_madrs is None else Entry(at_least_points=entry_madrs),
        has_harms=harms,
    )
    if outcome not in (None, "relapse"):
        raise unknown("outcome", outcome, ("relapse",))
    if maintenance is not None and outcome is None:
        raise invalid("--maintenance", must="given with '--outcome relapse'", got="without it")
    if concentrations or is_file(regimen) or not chosen.chain:
        _refuse(
            {
                "--compare": bool(compare),
                "--setting": setting != "open",
                "--scales": scales != "madrs",
                "--engine": engine is not None,
                "--check": bool(check),
                "--mechanism": bool(mechanism),
                "--posterior": posterior is not None,
                "--hypertension": hypertension,
                "--already-on": bool(already_on),
                "--entry-madrs": entry_madrs is not None,
                "--life-events": life_events,
                "--outcome": outcome is not None,
                "--harms": harms,
            },
            "without the whole chain; this run ends at concentrations. Leave that out, or give a regimen in "
            "words and a set with both enantiomers.",
        )
        if not concentrations and not is_file(regimen):
            show.note(f"note: the set {chosen.name} ends at concentrations.", is_quiet=quiet)
        _only_concentrations(regimen, asked)
        return
    from euthymia.population.posterior import PRIOR, find_posterior

    asked = replace(asked, posterior=find_posterior(posterior, chosen) or PRIOR)
    if outcome == "relapse":
        from euthymia.cli.relapse import simulate_relapse

        _refuse(
            {
                "--scales": scales != "madrs",
                "--check": bool(check),
                "--harms": harms,
                "--times": times is not None,
                "--variables": variables is not None,
                "--individuals": individuals,
                "--observe": observe != "both",
            },
            "with '--outcome relapse'. Leave one out.",
        )
        simulate_relapse([regimen, *(compare or ())], asked, maintenance=maintenance)
        return
    from euthymia.cli.chain import simulate_chain

    simulate_chain([regimen, *(compare or ())], asked, scales=scales, check=check)


def _refuse(given: Mapping[str, bool], when: str) -> None:
    """Raise with the options that are given where a run would ignore them."""
    if names := [repr(name) for name, is_given in given.items() if is_given]:
        message = f"{', '.join(names)} cannot be given {when}"
        raise InvalidInputError(message)


def life_of(already_on: list[str] | None, *, has_events: bool) -> Life:
    """Return what a patient takes already and what life may bring."""
    from euthymia.population.run import Life
    from euthymia.population.surroundings import Taken

    return Life(taken=tuple(Taken.create(text) for text in already_on or ()), has_events=has_events)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a call of the command asks for, whatever is simulated."""

    chosen: ParameterSet
    patient: Patient
    patients: int | None
    seed: int
    times_h: list[float] | None = None
    days: float | None = None
    variables: str | None = None
    observe: str = "both"
    drug: str = "ketamine"
    unit: str = "ng/mL"
    command: tuple[str, ...] = ()
    out: Path | None = None
    report: Path | None = None
    is_json: bool = False
    is_csv: bool = False
    is_quiet: bool = False
    with_individuals: bool = False
    setting: str = "open"
    engine: str | None = None
    life: Life | None = None
    entry: Entry | None = None
    has_harms: bool = False
    posterior: Posterior | str | None = None


def _only_concentrations(regimen: str, asked: Asked) -> None:
    from euthymia.files.results import write_result

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResultWarning)
        course, recorded = _run(regimen, asked)
    said = [str(one.message) for one in caught if issubclass(one.category, ResultWarning)]
    show.warn([*said, *course.warnings], is_quiet=asked.is_quiet)
    command = list(asked.command)
    _to_standard_output(
        recorded,
        asked.unit,
        command,
        is_json=asked.is_json,
        is_csv=asked.is_csv,
        with_individuals=asked.with_individuals,
    )
    if asked.out is not None:
        for path in write_result(recorded, asked.out, unit=asked.unit, command=command):
            show.note(f"Wrote {path}", is_quiet=asked.is_quiet)
    if asked.report is not None:
        _write_report(course, asked.chosen, asked.unit, asked.report)
        show.note(f"Wrote {asked.report}", is_quiet=asked.is_quiet)


def _run(text: str, asked: Asked) -> tuple[Trajectory, Trajectory]:
    """Return the course as it is drawn, and at the times that are written: those observed, if any."""
    from euthymia.population.concentrations import simulate_concentrations, simulate_subjects

    def names(drugs: list[str]) -> list[str]:
        return concentration_names(asked.variables, asked.observe, asked.chosen, drugs)

    if not is_file(text):
        from euthymia.dosing.notation import parse_regimen
        from euthymia.population.request import is_ketamine_dose

        plan = parse_regimen(text)
        with show.progress("Simulating", is_quiet=asked.is_quiet) as on_done:
            course = simulate_concentrations(
                plan,
                patients=asked.patients,
                patient=asked.patient,
                parameters=asked.chosen,
                seed=asked.seed,
                times_h=asked.times_h,
                days=asked.days,
                variables=names([dose.drug for dose in plan.doses(70.0) if is_ketamine_dose(dose)]),
                on_done=on_done,
            )
        return course, course
    from euthymia.files.events import read_events

    events = read_events(Path(text), drug=asked.drug, patient=asked.patient, virtual_per_id=asked.patients)
    for line in events.notes:
        show.note(f"note: {line}", is_quiet=asked.is_quiet)
    drugs = [given.dose.drug for one in events.subjects for epoch in one.epochs for given in epoch.given]
    written = asked.times_h if asked.times_h is not None else events.times_h
    with show.progress("Simulating", is_quiet=asked.is_quiet) as on_done:
        course = simulate_subjects(
            events.subjects,
            is_random=asked.patients is not None,
            parameters=asked.chosen,
            seed=asked.seed,
            times_h=written,
            is_dense=True,
            days=asked.days,
            variables=names(drugs),
            regimen=events.text,
            on_done=on_done,
        )
    return course, course if written is None else course.at(written)


def is_file(text: str) -> bool:
    """Tell whether a text names a file, by its ending or because it lies there."""
    if text.lower().endswith((".csv", ".tsv", ".txt", ".dat")):
        return True
    try:
        return Path(text).is_file()
    except OSError:  # a long regimen is no file name
        return False


def concentration_names(asked: str | None, observe: str, chosen: ParameterSet, drugs: list[str]) -> list[str]:
    """Return the stems to show: totals (or the one enantiomer given) at the sites asked for."""
    from euthymia.population.request import offered_stems

    offered = offered_stems(chosen, drugs)
    if asked is not None and asked != "all":
        return names_in("--variables", asked)
    other = {"arterial": "venous", "venous": "arterial"}.get(observe)
    at_site = [name for name in offered if other is None or not name.endswith(f"_{other}")]
    if observe != "both" and not any(name.endswith(f"_{observe}") for name in offered):
        sites = sorted({name.rsplit("_", 1)[-1] for name in offered} & {"arterial", "venous", "plasma"})
        raise invalid(
            "--observe", must=f"{' or '.join(sites)} or both for the set {chosen.name!r}", got=repr(observe)
        )
    if asked == "all":
        return at_site
    letters = {name[:2] for name in offered if name[:2] in ("s_", "r_")}
    is_both = len(letters) == 2
    return [name for name in at_site if (name[:2] in letters) != is_both] or at_site


def names_in(option: str, text: str) -> list[str]:
    """Return names separated by commas, or raise where there is none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise invalid(option, must="names separated by commas, or all", got=repr(text))
    return names


def numbers_in(option: str, text: str) -> list[float]:
    """Return numbers separated by commas, or raise."""
    try:
        return [float(part) for part in text.replace(";", ",").split(",") if part.strip()]
    except ValueError:
        raise invalid(option, must="numbers separated by commas, such as 0,0.5,1", got=repr(text)) from None


def _to_standard_output(
    course: Trajectory, unit: str, command: list[str], *, is_json: bool, is_csv: bool, with_individuals: bool
) -> None:
    from euthymia.files.results import dump_json, quantile_table, simulation_json

    if is_json:
        document = simulation_json(course, unit=unit, command=command, with_individuals=with_individuals)
        sys.stdout.write(dump_json(document))
    elif is_csv:
        frame = course.to_polars(unit=unit) if with_individuals else quantile_table(course, unit=unit)
        sys.stdout.write(frame.write_csv())
    else:
        _print_table(course, unit)


def _print_table(course: Trajectory, unit: str) -> None:
    """Print what was simulated and the exposure of each variable."""
    from euthymia.cli.reports import exposure_rows, people_of, quantiles

    made = course.provenance
    who = {1: "typical patient" if course.patients == ("typical",) else "1 patient"}.get(
        len(course.patients), f"{len(course.patients)} patients"
    )
    low, high = made.weight_kg
    weight = f"{low:g} kg" if low == high else f"{low:g}–{high:g} kg"
    changed = [f"{key}={value:g}" for key, value in made.overrides.items()]
    print(f"{made.regimen}")
    print(
        f"{', '.join((who, weight, *made.covariates))}; "
        f"set {', '.join((made.parameters, *changed))}; "
        f"horizon {made.horizon_h:g} h; seed {made.seed}; "
        f"euthymia {made.version}"
    )
    rows = [
        row
        for one, label in people_of(course)
        for row in exposure_rows(one, unit, label=f"{label}: " if label else "")
    ]
    heads = (
        "",
        f"Cmax ({unit})",
        "Tmax (h)",
        f"AUC to horizon (h·{unit})",
        "AUC to infinity",
        "half-life (h)",
    )
    show.table(heads, rows, right=(1, 2, 3, 4, 5))
    for one, label in people_of(course):
        fraction = show.spread(quantiles(one.bioavailable_fraction), is_typical=len(one.patients) == 1)
        print(f"{f'{label}: ' if label else ''}bioavailable fraction {fraction}")
    spread = "" if len(people_of(course)) == len(course.patients) else "Median (5–95 % of patients). "
    print(f"{spread}Tmax counts from the start of the session before the peak.")
    print(show.NOT_A_DEVICE)


def _write_report(course: Trajectory, chosen: ParameterSet, unit: str, path: Path) -> None:
    from euthymia.cli.reports import simulation_report
    from euthymia.files.writing import write_whole

    html = simulation_report(course, chosen, unit=unit)
    write_whole(path, lambda target: target.write_text(html, encoding="utf-8"))
