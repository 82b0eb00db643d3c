"""``euthymia simulate`` for the whole chain: what is run, and what a terminal shows of it."""

from __future__ import annotations

import sys
import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from euthymia.cli import show
from euthymia.errors import InvalidInputError, ResultWarning
from euthymia.model.variables import find_variable
from euthymia.tables import read_text

if TYPE_CHECKING:
    from pathlib import Path

    import polars

    from euthymia.cli.simulate import Asked
    from euthymia.dosing.regimen import Regimen
    from euthymia.model.parameters import ParameterSet
    from euthymia.model.scales import Scale
    from euthymia.model.trajectory import Provenance, Trajectory
    from euthymia.population.harms import LongTermHarms
    from euthymia.population.parts import Parts

Array = NDArray[np.float64]
MOST_COMPARED = 5
OUTCOME_DAYS = (1.0, 7.0, 14.0, 28.0)
HARM_DAYS = (28.0, 182.0, 365.0)
IDEATION = "suicidal_ideation_fraction"
IDEATION_VARIABLES = (IDEATION, "ssi_points", "cssrs_ideation_points")
"""Latent variable of the scales of ideation."""
SESSION_HEADS = (
    "CADSS",
    "at (min)",
    "systolic (mmHg)",
    "diastolic",
    "at (min)",
    "heart rate (/min)",
    "MOAA/S",
    "nausea in a day",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One regimen with what its effect is made of, where that was asked for."""

    course: Trajectory
    plan: Regimen | None = None
    parts: Parts | None = None

    def written(self, asked: Asked) -> Trajectory:
        """Return the course at the times and with the observables asked for, by default whole."""
        held = [name for name in _named(asked) if find_variable(name).stem in self.course.values]
        course = self.course.only(held) if held else self.course
        if any(name in course.values for name in IDEATION_VARIABLES):
            course = replace(course, warnings=(*course.warnings, *notice("ideation")))
        return course if asked.times_h is None else course.at(asked.times_h)


def simulate_chain(regimens: Sequence[str], asked: Asked, *, scales: str, check: int = 0) -> None:
    """Run regimens side by side and show, write and report them; check some patients by the slow solver."""
    from euthymia.model.scales import find_scale

    if len(regimens) > MOST_COMPARED + 1:
        message = f"'--compare' may be given {MOST_COMPARED} times at most. Got {len(regimens) - 1}."
        raise InvalidInputError(message)
    kinds = [find_scale(name.strip()) for name in scales.split(",") if name.strip()]
    if not kinds:
        message = "'--scales' must name a scale, such as madrs or madrs,phq9. Got nothing."
        raise InvalidInputError(message)
    runs = _runs(regimens, asked)
    for run in runs:
        show.warn(run.course.warnings, is_quiet=asked.is_quiet)
    if asked.is_json or asked.is_csv:
        if any(kind.latent == IDEATION for kind in kinds):
            show.warn(notice("ideation"))
        if asked.has_harms and asked.report is None:
            show.note("note: '--harms' stands in the table and in '--report' only.", is_quiet=asked.is_quiet)
        _machine_readable(runs, asked, kinds)
    else:
        _print(runs, kinds, asked)
    _write(runs, asked, kinds)
    if check and asked.engine == "reference":
        show.note("note: '--check' has nothing to check: the reference itself was run.", is_quiet=False)
    for run in runs if check and asked.engine != "reference" else ():
        _check(run, asked, count=check)


def common_of(asked: Asked) -> dict[str, Any]:
    """Return what every run of a call has in common, as arguments of ``simulate``."""
    return {
        "patients": asked.patients,
        "patient": asked.patient,
        "parameters": asked.chosen,
        "posterior": asked.posterior,
        "seed": asked.seed,
        "times_h": asked.times_h,
        "is_dense": True,
        "engine": asked.engine,
        "life": asked.life,
        "entry": asked.entry,
    }


def _runs(regimens: Sequence[str], asked: Asked) -> list[Run]:
    from euthymia.dosing.drug import find_drug
    from euthymia.dosing.notation import parse_regimen
    from euthymia.population.parts import take_apart
    from euthymia.population.simulate import simulate

    plans = [parse_regimen(text) for text in regimens]
    days = asked.days
    if days is None and len(plans) > 1:
        from euthymia.population.run import default_days

        days = max(*(default_days(plan) for plan in plans), max(asked.times_h or [0.0]) / 24.0)
    found = []
    for plan in plans:
        drugs = [dose.drug for dose in plan.doses(70.0) if find_drug(dose.drug).is_ketamine]
        common: dict[str, Any] = common_of(asked) | {"days": days}
        parts = None
        with warnings.catch_warnings():
            # the same warnings stand in the result, and are shown from there
            warnings.simplefilter("ignore", ResultWarning)
            with show.progress("Simulating", is_quiet=asked.is_quiet) as on_done:
                course = simulate(
                    plan, setting=asked.setting, variables=_wanted(asked, drugs), on_done=on_done, **common
                )
            if asked.engine != "reference" and not (asked.is_json or asked.is_csv):
                with show.progress("Taking apart", is_quiet=asked.is_quiet) as on_done:
                    parts = take_apart(plan, course, setting=asked.setting, on_done=on_done, **common)
        found.append(Run(course=course, plan=plan, parts=parts))
    return found


def _check(run: Run, asked: Asked, *, count: int) -> None:
    """Solve some of the patients again with SciPy and print how far the grid is from it."""
    from euthymia.population.simulate import simulate
    from euthymia.population.summary import differences

    with warnings.catch_warnings(), show.progress("Checking", is_quiet=asked.is_quiet) as on_done:
        warnings.simplefilter("ignore", ResultWarning)
        right = simulate(
            run.plan or run.course.provenance.regimen,
            setting=asked.setting,
            variables=list(run.course.values),
            on_done=on_done,
            **common_of(asked)
            | {
                "patients": None if asked.patients is None else min(count, asked.patients),
                "times_h": run.course.times_h,
                "is_dense": False,
                "days": run.course.provenance.horizon_h / 24.0,
                "engine": "reference",
            },
        )
    found = differences(run.course, right)
    worst = max(found, key=lambda stem: found[stem])
    solved = (
        f"{len(right.patients)} of {len(run.course.patients)} patients"
        if asked.patients
        else "typical patient"
    )
    show.note(
        f"Against the reference (LSODA), {solved}: largest difference {found[worst]:.1e} of its scale "
        f"({worst}); severity {found['severity_fraction']:.1e}. {run.course.provenance.regimen}",
        is_quiet=False,
    )


def _wanted(asked: Asked, drugs: Sequence[str]) -> list[str] | None:
    """Return the observables to keep: those named, or all of the chain beside totals of concentrations."""
    from euthymia.cli.simulate import concentration_names
    from euthymia.model.variables import variables
    from euthymia.population.run import CHAIN_LAYERS

    chain = [stem for stem, one in variables().items() if one.layer in CHAIN_LAYERS]
    named = [name for name in _named(asked) if drugs or find_variable(name).layer != "pk"]
    if named and not asked.report:
        return list(dict.fromkeys([*named, *_shown()]))
    return [
        *(concentration_names(asked.variables, asked.observe, asked.chosen, list(drugs)) if drugs else ()),
        *chain,
    ]


def _named(asked: Asked) -> list[str]:
    """Return the observables named one by one; none for the default and for all."""
    from euthymia.cli.simulate import names_in

    return [] if asked.variables in (None, "all") else names_in("--variables", asked.variables)


def _shown() -> tuple[str, ...]:
    """Return what the tables on a terminal and outcomes are made of."""
    return (
        "severity_fraction",
        IDEATION,
        "madrs_points",
        "cadss_points",
        "systolic_rise_mmHg",
        "diastolic_rise_mmHg",
        "heart_rate_rise_per_min",
        "moaas_points",
        "nausea_probability",
        "window_of_plasticity_fraction",
    )


# --- terminal ----------------------------------------------------------------------------------------


def _print(runs: Sequence[Run], kinds: Sequence[Scale], asked: Asked) -> None:
    """Print mood by day, what it is made of, the first session, and outcomes of many patients."""
    first = runs[0].course
    made = first.provenance
    count = len(first.patients)
    who = "typical patient" if first.patients == ("typical",) else f"{count} virtual patients"
    changed = [f"{key}={value:g}" for key, value in made.overrides.items()]
    low, high = made.weight_kg
    weight = f"{low:g} kg" if low == high else f"{low:g}–{high:g} kg"
    print(
        f"{', '.join((who, weight, *made.covariates))}; set {', '.join((made.parameters, *changed))}; "
        f"{made.horizon_h / 24.0:.3g} days; seed {made.seed}; engine {made.engine}; euthymia {made.version}"
    )
    for kind in kinds:
        _print_mood(runs, kind)
    if any(kind.latent == IDEATION for kind in kinds):
        print("\n".join(notice("ideation")))
    _print_made_of(runs)
    _print_session(runs)
    if count > 1:
        _print_outcomes(runs, kinds, asked)
    if asked.has_harms:
        _print_harms(runs, asked)
    print(rests_on(made))
    print(show.NOT_A_DEVICE)


def rests_on(made: Provenance) -> str:
    """Return what the constants behind concentrations rest on."""
    if made.posterior:
        return (
            f"Constants downstream of concentrations: those calibrated on trials by the posterior "
            f"{made.posterior}, the rest set by hand or assumed."
        )
    return (
        "Constants downstream of concentrations are set by hand or assumed, not calibrated yet: shapes "
        "before sizes."
    )


def notice(name: str) -> tuple[str, ...]:
    """Return the sentences that stand beside some results."""
    return tuple(tomllib.loads(read_text("notices.toml"))[name]["text"])


def harms_of(run: Run, asked: Asked) -> LongTermHarms:
    """Return the long-term harms of a run, by its days."""
    from euthymia.dosing.notation import parse_regimen
    from euthymia.population.harms import long_term_harms
    from euthymia.population.summary import days_within

    return long_term_harms(
        run.plan or parse_regimen(run.course.provenance.regimen),
        days=days_within(run.course, HARM_DAYS),
        weight_kg=asked.patient.weight_kg,
        factors=run.course.given_fraction,
    )


def _print_harms(runs: Sequence[Run], asked: Asked) -> None:
    from euthymia.cli.harms import harm_heads, harm_rows
    from euthymia.population.harms import WHAT_IT_RESTS_ON

    for run in runs:
        if not run.course.session_starts_h:
            continue
        found = harms_of(run, asked)
        heads = harm_heads(found)
        print(run.course.provenance.regimen)
        show.table(heads, harm_rows(found), right=range(2, len(heads)))
    print("\n".join(WHAT_IT_RESTS_ON))


def day_label(day: float) -> str:
    """Return a day as a heading: hours below one day."""
    return f"{day * 24:.0f} h" if day < 1 else f"day {round(day, 1):g}"


def _spread(values: Array, *, is_typical: bool, digits: int = 2) -> str:
    return show.spread(np.quantile(values, (0.05, 0.5, 0.95)), digits=digits, is_typical=is_typical)


def _print_mood(runs: Sequence[Run], kind: Scale) -> None:
    from euthymia.mechanism.symptoms.scales import expected
    from euthymia.population.summary import days_within, value_at

    days = days_within(runs[0].course)
    rows = []
    for run in runs:
        latent = value_at(run.course, kind.latent, [0.0, *(day * 24.0 for day in days)])
        latent[:, 0] = run.course[kind.latent][:, 0]
        points = expected(latent, kind.map)
        is_typical = len(run.course.patients) == 1
        rows.append(
            [
                run.course.provenance.regimen,
                _spread(points[:, 0], is_typical=is_typical),
                *(_signed(points[:, at] - points[:, 0], is_typical) for at in range(1, points.shape[1])),
            ]
        )
    heads = (f"{kind.name}, change", "start", *(day_label(day) for day in days))
    show.table(heads, rows, right=tuple(range(1, len(heads))))


def _signed(values: Array, is_typical: bool) -> str:  # noqa: FBT001 - two words, one meaning
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return f"{middle:+.1f}" if is_typical else f"{middle:+.1f} ({low:+.0f}; {high:+.0f})"


def made_of_cells(runs: Sequence[Run], days: Sequence[float]) -> tuple[list[str], list[list[str]]]:
    """Return the parts that any run has, and regimen, day and mean change of MADRS by each part as cells."""
    from euthymia.population.parts import NATURAL
    from euthymia.population.summary import days_within
    from euthymia.population.surroundings import PARTS

    taken = [(run, run.parts) for run in runs if run.parts]
    names = [part for part in (*reversed(PARTS), NATURAL) if any(part in one.names for _, one in taken)]
    rows = []
    for run, parts in taken:
        for day in days_within(run.course, days):
            change = parts.change(day * 24.0)
            between = parts.therapy_between(day * 24.0)
            cells = [show.signed(change[part]) if part in change else "–" for part in names]
            if between and "therapy" in names:
                low, high = between
                cells[names.index("therapy")] += f" ({show.signed(low)} to {show.signed(high)})"
            rows.append([run.course.provenance.regimen, day_label(day), *cells])
    return names, rows


def _print_made_of(runs: Sequence[Run]) -> None:
    from euthymia.population.parts import CALIBRATED, STATUS

    names, rows = made_of_cells(runs, (1.0, 7.0, 28.0))
    if rows:
        heads = ("mean change of MADRS made of", "", *names)
        show.table(heads, rows, right=range(2, len(heads)))
        stands = CALIBRATED if runs[0].course.provenance.posterior else STATUS
        each = "; ".join(f"{name}: {stands[name]}" for name in names)
        print(f"What each rests on: {each}.")


def session_cells(course: Trajectory, session: int = 0) -> list[str]:
    """Return peaks of one session in the order of ``SESSION_HEADS``."""
    from euthymia.population.summary import peak_of_session

    is_typical = len(course.patients) == 1

    def cell(name: str, *, is_lowest: bool = False) -> tuple[str, str]:
        peak = peak_of_session(course, name, session=session, is_lowest=is_lowest)
        return _spread(np.round(peak.value, 6), is_typical=is_typical), f"{np.median(peak.minutes):.0f}"

    cadss, cadss_at = cell("cadss_points")
    systolic, pressure_at = cell("systolic_rise_mmHg")
    diastolic, _ = cell("diastolic_rise_mmHg")
    rate, _ = cell("heart_rate_rise_per_min")
    awake, _ = cell("moaas_points", is_lowest=True)
    nausea = np.median(peak_of_session(course, "nausea_probability", session=session).value)
    return [cadss, cadss_at, systolic, diastolic, pressure_at, rate, awake, f"{nausea:.0%}"]


def _print_session(runs: Sequence[Run]) -> None:
    rows = [
        [run.course.provenance.regimen, *session_cells(run.course)]
        for run in runs
        if run.course.session_starts_h
    ]
    if rows:
        heads = ("first session, largest (MOAA/S lowest)", *SESSION_HEADS)
        show.table(heads, rows, right=tuple(range(1, len(heads))))


def outcome_cells(
    runs: Sequence[Run], kinds: Sequence[Scale], parameters: ParameterSet
) -> tuple[list[str], list[list[str]]]:
    """Return labels of the days, and regimen, definition and shares of patients on them as cells."""
    from euthymia.population.summary import days_within, outcomes

    days = days_within(runs[0].course, OUTCOME_DAYS)
    rows = []
    for run in runs:
        for kind in kinds:
            found = outcomes(run.course, kind, days, parameters=parameters)
            for definition in dict.fromkeys(one.definition for one in found):
                shares = [f"{one.share:.0%}" for one in found if one.definition == definition]
                rows.append([run.course.provenance.regimen, definition, *shares])
    return [day_label(day) for day in days], rows


def _print_outcomes(runs: Sequence[Run], kinds: Sequence[Scale], asked: Asked) -> None:
    days, rows = outcome_cells(runs, kinds, asked.chosen)
    heads = ("patients as rated", "", *days)
    show.table(heads, rows, right=tuple(range(2, len(heads))))


# --- machines and files --------------------------------------------------------------------------------


def _outcomes(run: Run, asked: Asked, kinds: Sequence[Scale]) -> list[dict[str, Any]]:
    """Return shares of patients with response and remission; none of one patient, or without severity."""
    from euthymia.population.summary import days_within, outcomes

    if "severity_fraction" not in run.course.values or len(run.course.patients) == 1:
        return []
    days = days_within(run.course, OUTCOME_DAYS)
    return [
        {"day": one.day, "scale": one.scale, "definition": one.definition, "share": one.share}
        for kind in kinds
        for one in outcomes(run.course, kind, days, parameters=asked.chosen)
    ]


def _document(
    runs: Sequence[Run], asked: Asked, kinds: Sequence[Scale], *, with_individuals: bool
) -> dict[str, Any]:
    """Return the first run as JSON, the others under ``compared``."""
    from euthymia.files.results import simulation_json

    first, *others = [
        simulation_json(
            run.written(asked),
            unit=asked.unit,
            command=asked.command,
            with_individuals=with_individuals,
            outcomes=_outcomes(run, asked, kinds),
        )
        for run in runs
    ]
    return {**first, "compared": others} if others else first


def _frame(runs: Sequence[Run], asked: Asked, *, with_individuals: bool) -> polars.DataFrame:
    """Return all runs as one long table, with their regimen where there are several."""
    import polars

    from euthymia.files.results import quantile_table

    frames = [
        run.written(asked).to_polars(unit=asked.unit)
        if with_individuals
        else quantile_table(run.written(asked), unit=asked.unit)
        for run in runs
    ]
    if len(runs) == 1:
        return frames[0]
    return polars.concat(
        frame.with_columns(polars.lit(run.course.provenance.regimen).alias("regimen"))
        for run, frame in zip(runs, frames, strict=True)
    )


def _machine_readable(runs: Sequence[Run], asked: Asked, kinds: Sequence[Scale]) -> None:
    from euthymia.files.results import dump_json

    if asked.is_json:
        document = _document(runs, asked, kinds, with_individuals=asked.with_individuals)
        sys.stdout.write(dump_json(document))
    else:
        sys.stdout.write(_frame(runs, asked, with_individuals=asked.with_individuals).write_csv())


def _write(runs: Sequence[Run], asked: Asked, kinds: Sequence[Scale]) -> None:
    for path in _write_results(runs, asked, kinds) if asked.out else ():
        show.note(f"Wrote {path}", is_quiet=asked.is_quiet)
    if asked.report is not None:
        from euthymia.cli.chain_report import chain_report
        from euthymia.files.writing import write_whole

        html = chain_report(runs, asked, kinds=kinds)
        write_whole(asked.report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {asked.report}", is_quiet=asked.is_quiet)


def _write_results(runs: Sequence[Run], asked: Asked, kinds: Sequence[Scale]) -> list[Path]:
    """Write one file of all runs by its suffix, or a folder for each (``1``, ``2`` ... where several)."""
    from euthymia.files.results import dump_json, write_frame, write_result
    from euthymia.files.writing import write_whole

    out = asked.out
    if out is None:
        return []
    if out.suffix == ".json":
        text = dump_json(_document(runs, asked, kinds, with_individuals=False))
        write_whole(out, lambda target: target.write_text(text, encoding="utf-8"))
        return [out]
    if out.suffix:
        return [write_frame(_frame(runs, asked, with_individuals=True), out)]
    return [
        path
        for number, run in enumerate(runs, 1)
        for path in write_result(
            run.written(asked),
            out if len(runs) == 1 else out / str(number),
            unit=asked.unit,
            command=list(asked.command),
            outcomes=_outcomes(run, asked, kinds),
        )
    ]
