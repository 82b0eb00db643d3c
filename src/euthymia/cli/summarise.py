"""``euthymia summarise``: thousands to millions of virtual patients, as quantiles, means and endpoints."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from euthymia.cli import options, show
from euthymia.errors import ResultWarning, invalid, unknown

if TYPE_CHECKING:
    from euthymia.cli.simulate import Asked
    from euthymia.dosing.regimen import Regimen
    from euthymia.files.report import Section
    from euthymia.model.variables import Variable
    from euthymia.population.summarising import Curve, Summary

ENGINES = ("c", "numpy")
SUFFIXES = (".json", ".csv")
DAYS = (1.0, 7.0, 14.0, 28.0, 60.0, 90.0, 180.0, 365.0)
"""Days after time 0 that the table shows, as far as the run goes."""
MEMORY_MB = 500.0
"""That of ``population.summarising``, which is loaded only where it is used."""
HEADS = ("p05", "p50", "p95", "mean", "SD")
HOW_RATED = (
    "Response and remission: shares of patients by the expected total; noise of a rating, which 'euthymia "
    "simulate' adds, is left out."
)


def summarise(
    context: typer.Context,
    regimen: Annotated[str, typer.Argument(metavar="REGIMEN", help="In the dosing language.")],
    patients: Annotated[
        int, typer.Option("--patients", metavar="N", help="Virtual patients, from 1.", show_default=False)
    ],
    seed: options.Seed = 1,
    parameters: options.Parameters = "composed",
    overrides: options.Overrides = None,
    weight_kg: options.WeightKg = 70.0,
    age_years: options.AgeYears = None,
    hepatic: options.Hepatic = None,
    comedication: options.Comedication = None,
    hypertension: options.Hypertension = False,
    days: Annotated[
        float | None,
        typer.Option(
            "--days", metavar="D", help="Horizon; left out: a week after the last item.", show_default=False
        ),
    ] = None,
    times: Annotated[
        str | None,
        typer.Option(
            "--times",
            metavar="H,H,...",
            help="Hours to write, ascending; fewer are faster.",
            show_default=False,
        ),
    ] = None,
    scales: options.Scales = "madrs",
    variables: Annotated[
        str | None,
        typer.Option(
            "--variables",
            metavar="NAME,...",
            help="Variables beside those of the scales.",
            show_default=False,
        ),
    ] = None,
    unit: options.Unit = "ng/mL",
    setting: options.Setting = "open",
    mechanism: options.Mechanism = None,
    already_on: options.AlreadyOn = None,
    entry_madrs: options.EntryMadrs = None,
    life_events: options.LifeEvents = False,
    engine: Annotated[
        str | None,
        typer.Option("--engine", help="c (compiled, the default) or numpy.", show_default=False),
    ] = None,
    memory_mb: Annotated[
        float,
        typer.Option("--memory-mb", metavar="MB", help="What values of patients may take at a time."),
    ] = MEMORY_MB,
    report: options.Report = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the result: .json or .csv.", show_default=False),
    ] = None,
    json: options.Json = False,
    csv: options.Csv = False,
    quiet: options.Quiet = False,
) -> None:
    """Summarise a regimen in any number of virtual patients: quantiles, means, response and remission.

    Trajectories are not kept, so memory hardly grows with the patients.

    Example: euthymia summarise "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 6" --patients 100000 --days
    60 --report out.html
    """
    from euthymia.cli.simulate import Asked, life_of, numbers_in
    from euthymia.files.writing import check_writable
    from euthymia.model.variables import CONCENTRATION_UNITS
    from euthymia.population.patient import Patient
    from euthymia.population.screening import Entry

    show.check_one_format(is_json=json, is_csv=csv, cure=" '--out' writes the other.")
    if unit not in CONCENTRATION_UNITS:
        raise unknown("unit of concentration", unit, CONCENTRATION_UNITS)
    if engine not in (None, *ENGINES):
        raise unknown("engine of summaries", engine, ENGINES, cure="'euthymia simulate' has the reference.")
    if out is not None and out.suffix not in SUFFIXES:
        raise invalid("--out", must="a file that ends in .json or .csv", got=repr(str(out)))
    for path in (out, report):
        if path is not None:
            check_writable(path)
    chosen = options.chosen_set(parameters, overrides, mechanisms=mechanism)
    if not chosen.chain:
        raise invalid(
            "--parameters",
            must="a set with the whole chain",
            got=f"{chosen.name}, which ends at concentrations",
            cure="Use the set 'composed'.",
        )
    asked = Asked(
        chosen=chosen,
        patient=Patient.create(
            weight_kg=weight_kg,
            age_years=age_years,
            hepatic_class=hepatic,
            comedications=comedication or (),
            is_hypertensive=hypertension or None,
        ),
        patients=patients,
        seed=seed,
        times_h=None if times is None else numbers_in("--times", times),
        days=days,
        variables=variables,
        unit=unit,
        command=tuple(context.obj or ["summarise", regimen]),
        out=out,
        report=report,
        is_json=json,
        is_csv=csv,
        is_quiet=quiet,
        setting=setting,
        engine=engine,
        life=life_of(already_on, has_events=life_events),
        entry=None if entry_madrs is None else Entry(at_least_points=entry_madrs),
    )
    _show(_summary(regimen, asked, _names(scales, asked), memory_mb), asked)


def _names(scales: str, asked: Asked) -> list[str]:
    """Return the totals of the scales, then the variables that are named."""
    from euthymia.cli.simulate import names_in
    from euthymia.model.scales import find_scale

    totals = [find_scale(name).variable for name in names_in("--scales", scales)]
    named = [] if asked.variables is None else names_in("--variables", asked.variables)
    if "all" in named:
        raise invalid(
            "--variables",
            must="names separated by commas; histograms of all would take gigabytes",
            got="all",
            cure="See 'euthymia variables'.",
        )
    return list(dict.fromkeys([*totals, *named]))


def _summary(regimen: str, asked: Asked, names: Sequence[str], memory_mb: float) -> Summary:
    from euthymia.cli.chain import IDEATION_VARIABLES, common_of, notice
    from euthymia.cli.simulate import is_file
    from euthymia.dosing.notation import parse_regimen
    from euthymia.model.variables import find_variable
    from euthymia.population.summarising import summarise as summarise_patients

    if is_file(regimen):
        raise invalid(
            "REGIMEN",
            must="in the dosing language",
            got=f"the file {regimen!r}",
            cure="'euthymia simulate' reads event tables.",
        )
    plan = parse_regimen(regimen)
    wanted: dict[str, Any] = {"times_h": _with_days(plan, asked), "days": asked.days, "is_dense": False}
    with warnings.catch_warnings():
        # the same warnings stand in the result, and are shown from there
        warnings.simplefilter("ignore", ResultWarning)
        with show.progress("Summarising", is_quiet=asked.is_quiet, counted="patients") as on_done:
            found = summarise_patients(
                plan,
                variables=names,
                setting=asked.setting,
                memory_mb=memory_mb,
                on_done=on_done,
                **common_of(asked) | wanted,
            )
    stems = dict.fromkeys(find_variable(name).stem for name in names)
    found = replace(found, curves={stem: found.curves[stem] for stem in stems})
    show.warn(found.warnings, is_quiet=asked.is_quiet)
    if any(name in found.curves for name in IDEATION_VARIABLES):
        found = replace(found, warnings=(*found.warnings, *notice("ideation")))
        show.warn(notice("ideation") if asked.is_json or asked.is_csv else ())
    return found


def _with_days(plan: Regimen, asked: Asked) -> list[float] | None:
    """Return the hours asked for with the start, from which responses count, the days shown and the end."""
    from euthymia.population.request import check_days, checked_times
    from euthymia.population.run import default_days

    if asked.times_h is None:
        return None
    times_h = [float(time) for time in checked_times(asked.times_h)]
    if asked.days is None:
        end_h = max(24.0 * default_days(plan), times_h[-1])
    else:
        check_days(asked.days, 0.0, last="item", default="a week after the last item")
        end_h = 24.0 * asked.days
    start_h = min([0.0, *(start for start, _ in plan.items)])
    inside = {day * 24.0 for day in DAYS if day * 24.0 <= end_h}
    return sorted({*times_h, *inside, start_h, end_h})


def _show(found: Summary, asked: Asked) -> None:
    """Print, write and report a summary."""
    from euthymia.files.results import dump_json, summary_json, summary_table, write_frame
    from euthymia.files.writing import write_whole

    written = found if asked.times_h is None else found.at(asked.times_h)
    if asked.is_json:
        sys.stdout.write(dump_json(summary_json(written, unit=asked.unit, command=asked.command)))
    elif asked.is_csv:
        sys.stdout.write(summary_table(written, unit=asked.unit).write_csv())
    else:
        _print(found, asked)
    if asked.out is not None:
        if asked.out.suffix == ".json":
            text = dump_json(summary_json(written, unit=asked.unit, command=asked.command))
            write_whole(asked.out, lambda target: target.write_text(text, encoding="utf-8"))
        else:
            write_frame(summary_table(written, unit=asked.unit), asked.out)
        show.note(f"Wrote {asked.out}", is_quiet=asked.is_quiet)
    if asked.report is not None:
        html = _report(found, asked)
        write_whole(asked.report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {asked.report}", is_quiet=asked.is_quiet)


# --- terminal ----------------------------------------------------------------------------------------


def _print(found: Summary, asked: Asked) -> None:
    from euthymia.files.results import summary_curves

    print(found.provenance.regimen)
    print(_what(found))
    for variable, curve in summary_curves(found, asked.unit):
        heads, rows = _cells(found, variable, curve)
        title = variable.meaning if (unit := _unit(variable, asked)) == "" else f"{variable.meaning} ({unit})"
        show.table((title, *heads), rows, right=range(1, len(heads) + 1))
    print("\n".join(_sentences(found, asked)))
    print(show.NOT_A_DEVICE)


def _what(found: Summary) -> str:
    made = found.provenance
    low, high = made.weight_kg
    weight = f"{low:g} kg" if low == high else f"{low:g}–{high:g} kg"
    changed = [f"{key}={value:g}" for key, value in made.overrides.items()]
    who = "1 virtual patient" if found.patients == 1 else f"{found.patients} virtual patients"
    return (
        f"{', '.join((who, weight, *made.covariates))}; set {', '.join((made.parameters, *changed))}; "
        f"{made.horizon_h / 24.0:.3g} days; seed {made.seed}; engine {made.engine}; euthymia {made.version}"
    )


def _unit(variable: Variable, asked: Asked) -> str:
    """Return a unit as people read it; none where the meaning of a variable says it."""
    unit = variable.unit_in(asked.unit)
    return {"umol/L": "µmol/L", "1": ""}.get(unit, unit)


def _places(found: Summary) -> dict[int, str]:
    """Return which times the table shows, by their places, and how these are called."""
    from euthymia.cli.chain import day_label

    times = [float(time) for time in found.times_h]
    last = times[-1] / 24.0
    close = {day for day in DAYS if abs(day - last) < 0.1}  # the end stands for it
    shown = {
        times.index(day * 24.0): day_label(day) for day in DAYS if day * 24.0 in times and day not in close
    }
    return {0: "start", **shown, len(times) - 1: f"end, {day_label(last)}"}


def _cells(found: Summary, variable: Variable, curve: Curve) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of a variable by day: quantiles, mean, SD, and the endpoints of a scale."""
    from euthymia.model.scales import scales

    names = [name for name, scale in scales().items() if scale.variable == variable.stem]
    endpoints = [one for name in names for one in (f"{name} response", f"{name} remission")]
    endpoints = [one for one in endpoints if one in found.shares]
    rows = [
        [
            label,
            *(_within(float(column[place]), curve.resolution) for column in curve.quantiles),
            *(show.significant(float(column[place])) for column in (curve.mean, curve.sd)),
            *(f"{found.shares[one][place]:.1%}" for one in endpoints),
        ]
        for place, label in sorted(_places(found).items())
    ]
    return [*HEADS, *(one.split()[-1] for one in endpoints)], rows


def _within(value: float, resolution: float) -> str:
    """Return a quantile with three significant digits, and no decimals finer than it is known to."""
    text = show.significant(value)
    places = max(0, -int(np.floor(np.log10(resolution))))
    has_finer = "e-" in text or len(text.partition(".")[2]) > places
    return f"{value:.{places}f}" if has_finer else text


def _sentences(found: Summary, asked: Asked) -> list[str]:
    """Return what stands under the tables: how endpoints are counted, what it rests on, how it was solved."""
    from euthymia.cli.chain import IDEATION_VARIABLES, notice, rests_on

    has_ideation = any(name in found.curves for name in IDEATION_VARIABLES)
    return [
        *(notice("ideation") if has_ideation else ()),
        *([HOW_RATED] if found.shares else []),
        rests_on(found.provenance),
        certificate_line(found, asked.unit),
    ]


def certificate_line(found: Summary, unit: str) -> str:
    """Return how a summary was solved, how far it may be off, and how finely quantiles are told apart."""
    from euthymia.files.results import summary_curves

    solved, curves = found.certificate, summary_curves(found, unit)
    error = "errors not checked by this engine"
    if solved.largest_error_relative is not None and solved.p95_error_relative is not None:
        error = (
            f"largest error {solved.largest_error_relative:.1e}, 95 % of patients within "
            f"{solved.p95_error_relative:.1e}; {solved.patients_finer} solved again finer, "
            f"{solved.patients_over} over the tolerance"
        )
    widths = ", ".join(f"{show.significant(curve.resolution, 2)} ({one.stem})" for one, curve in curves)
    outside = [
        f"{show.significant(100.0 * curve.outside_fraction, 2)} % ({one.stem})"
        for one, curve in curves
        if curve.outside_fraction > 0
    ]
    beyond = f"; at most {', '.join(outside)} of patients outside the histogram" if outside else ""
    return (
        f"{solved.method}; tolerance {solved.tolerance_relative:g} of each scale; {error}; quantiles within "
        f"{widths}{beyond}."
    )


# --- report ------------------------------------------------------------------------------------------


def _report(found: Summary, asked: Asked) -> str:
    from euthymia.cli import reports
    from euthymia.cli.chain import rests_on
    from euthymia.files.report import Section, render_report
    from euthymia.files.results import summary_curves
    from euthymia.plots.concentrations import library

    made = found.provenance
    return render_report(
        kind="many virtual patients",
        title=made.regimen,
        lead=[rests_on(made)],
        sections=[
            Section(title="What was summarised", regimen=made.regimen, texts=[_what(found)]),
            *(_section(found, asked, one, curve) for one, curve in summary_curves(found, asked.unit)),
            Section(title="How it was solved", texts=[certificate_line(found, asked.unit)]),
            reports.parameter_section(asked.chosen),
        ],
        sources=sorted(made.sources),
        footer=reports.made_again(made, found.certificate, found.patients),
        library=library(),
        warnings=found.warnings,
    )


def _section(found: Summary, asked: Asked, variable: Variable, curve: Curve) -> Section:
    """Return the figure of a variable, median and 5-95 % band, and its numbers by day."""
    from euthymia.files.report import Section, TableBlock
    from euthymia.plots.chain import ChainPanel, Line, Marks, chain_figure
    from euthymia.plots.concentrations import to_html

    low, middle, high = curve.quantiles
    figure = chain_figure(
        [
            ChainPanel(
                quantity=variable.meaning,
                unit=_unit(variable, asked),
                lines=(Line(label="median", times_h=found.times_h, median=middle, low=low, high=high),),
                floor=0.0 if low.min() >= 0 else None,
            )
        ],
        horizon_h=float(found.times_h[-1]),
        marks=Marks(doses_h=found.session_starts_h),
        has_first_day=False,
        panel_height=320,
    )
    heads, rows = _cells(found, variable, curve)
    who = "1 virtual patient" if found.patients == 1 else f"{found.patients} virtual patients"
    return Section(
        title=variable.meaning,
        figure=to_html(figure),
        caption=f"Simulated: median and 5–95 % band of {who}. Dotted: doses.",
        tables=[
            TableBlock(
                heads=("", *heads),
                rows=rows,
                right=range(1, len(heads) + 1),
                note=HOW_RATED if len(heads) > len(HEADS) else "",
            )
        ],
    )
