"""``euthymia brain``: what a regimen does to the default mode network, and what the evidence says of it."""

from __future__ import annotations

import csv as csv_module
import io
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from euthymia.cli import options, show
from euthymia.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from euthymia.evidence.fact_compare import FactComparison
    from euthymia.model.parameters import ParameterSet
    from euthymia.population.brain import BrainCourse

SCHEMA = "euthymia.brain/1"
SUFFIXES = (".csv", ".json", ".npz")
CSV_COLUMNS = ("observable", "moment", "time_h", "r", "r_against_health", "r_against_before")
SHOWN = (
    "within_default_connectivity",
    "default_to_frontoparietal_connectivity",
    "default_to_salience_connectivity",
    "default_to_subgenual_connectivity",
    "global_connectivity",
)
"""What the terminal shows; the rest stands in the files and in the report."""
SIGN = (
    "The sign of the change in depression is disputed: coupling with subgenual cortex was found raised "
    "(Q072), coupling within lowered in two pooled samples (Q073, Q074). During infusion one study found it "
    "lower within the default mode and the salience network (Q066, Q067), another higher everywhere (Q068)."
)


def brain(
    context: typer.Context,
    regimen: Annotated[str, typer.Argument(help="In the dosing language.")],
    scenario: Annotated[
        str,
        typer.Option(
            "--scenario",
            metavar="NAME",
            help="What depression did: hyper (the usual account), hypo, or limbic; which is disputed.",
        ),
    ] = "hyper",
    connectome: Annotated[
        str,
        typer.Option(
            "--connectome",
            metavar="NAME|FILE",
            help="schaefer-100 (people, group averages), synthetic (network means), or an .npz or TVB .zip.",
        ),
    ] = "schaefer-100",
    setting: options.Setting = "open",
    weight_kg: options.WeightKg = 70.0,
    parameters: options.Parameters = "composed",
    posterior: options.Posterior = None,
    overrides: options.Overrides = None,
    is_healthy: Annotated[
        bool, typer.Option("--healthy", help="A person who is well, as in many scanning studies.")
    ] = False,
    with_evidence: Annotated[
        bool, typer.Option("--evidence", help="Also compare every fact about networks (half a minute).")
    ] = False,
    days: options.Days = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="Write the result: .csv, .json, or .npz with the whole matrices.",
            show_default=False,
        ),
    ] = None,
    report: options.Report = None,
    json: options.Json = False,
    csv: options.Csv = False,
    quiet: options.Quiet = False,
) -> None:
    """Show the default mode network before, during and after: correlations of a scan, simulated.

    Example: euthymia brain "ketamine 0.5 mg/kg iv over 40 min" --report brain.html
    """
    from euthymia.files.connectome import read_connectome
    from euthymia.files.writing import check_writable
    from euthymia.population.brain import brain_course
    from euthymia.population.patient import Patient

    show.check_one_format(is_json=json, is_csv=csv)
    for path in filter(None, (out, report)):
        check_writable(path)
    if out is not None and out.suffix not in SUFFIXES:
        raise unknown("format of '--out'", out.suffix or "no suffix", SUFFIXES)
    chosen = options.chosen_set(parameters, overrides)
    common: dict[str, Any] = {
        "connectome": read_connectome(connectome),
        "parameters": chosen,
        "posterior": posterior,
        "patient": Patient.create(weight_kg=weight_kg),
        "setting": setting,
        "days": days,
        "is_well": is_healthy,
    }
    course = _quietly(lambda: brain_course(regimen, scenario=scenario, **common))
    show.warn(course.course.warnings, is_quiet=quiet)
    evidence = _evidence(chosen, is_wanted=with_evidence or report is not None, is_quiet=quiet)
    document = brain_json(
        course,
        command=list(context.obj or ["brain", regimen]),
        evidence=evidence[scenario] if evidence else (),
    )
    if json:
        from euthymia.files.results import dump_json

        sys.stdout.write(dump_json(document))
    elif csv:
        sys.stdout.write(brain_csv(course))
    else:
        _print(course, evidence)
    if out is not None:
        _write(out, course, document)
        show.note(f"Wrote {out}", is_quiet=quiet)
    if report is not None:
        from euthymia.cli.brain_report import brain_report
        from euthymia.files.writing import write_whole

        others = {
            name: _quietly(lambda name=name: brain_course(regimen, scenario=name, **common))
            for name in evidence
            if name != scenario
        }
        html = brain_report(course, others, evidence)
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=quiet)


def brain_json(
    course: BrainCourse, *, command: Sequence[str], evidence: Sequence[FactComparison]
) -> dict[str, Any]:
    """Return a result in the shape of ``euthymia.brain/1``; no wall times or dates."""
    return {
        "schema": SCHEMA,
        "command": list(command),
        "version": version("euthymia"),
        "seed": course.course.provenance.seed,
        "regimen": course.course.provenance.regimen,
        "parameters": course.course.provenance.parameters,
        "overrides": dict(course.course.provenance.overrides),
        "status": "simulated, uncalibrated, sign disputed; research software, not a medical device",
        "scenario": {
            "name": course.scenario.name,
            "claim": course.scenario.claim,
            "doubt": course.scenario.doubt,
        },
        "connectome": {
            "name": course.connectome.name,
            "nodes": len(course.connectome.networks),
            "note": course.connectome.note,
        },
        "health_r": course.health,
        "moments": [
            {
                "name": moment.name,
                "time_h": moment.time_h,
                "coupling_change_fraction": dict(
                    zip(("within_default", "default_to_others", "default_to_limbic"), change, strict=True)
                ),
                "r": {name: float(values[course.at(moment)]) for name, values in course.levels.items()},
            }
            for moment in course.moments
            for change in (course.change_at(moment),)
        ],
        "times_h": course.times_h.tolist(),
        "course_r": {name: values.tolist() for name, values in course.levels.items()},
        "evidence": [
            {
                "row": f"{one.row_id}{one.part}",
                "fact": one.fact,
                "studied": one.studied,
                "grade": one.grade,
                "source": one.source,
                "variable": one.variable,
                "low": one.low,
                "high": one.high,
                "simulated": one.simulated,
                "verdict": one.verdict,
            }
            for one in evidence
        ],
        "warnings": list(course.course.warnings),
    }


def brain_csv(course: BrainCourse) -> str:
    """Return a line for every observable at every moment."""
    text = io.StringIO()
    writer = csv_module.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for name, values in course.levels.items():
        before = values[course.at(course.moments[0])]
        for moment in course.moments:
            now = values[course.at(moment)]
            numbers = (now, now - course.health[name], now - before)
            writer.writerow([name, moment.name, f"{moment.time_h:g}", *(f"{one:.9g}" for one in numbers)])
    return text.getvalue()


def level_rows(course: BrainCourse, names: Sequence[str]) -> list[list[str]]:
    """Return a row for every observable: its meaning, health, and every moment."""
    from euthymia.model.connectome import observables

    meanings = {one.name: one.meaning for one in observables()}
    return [
        [
            meanings[name],
            f"{course.health[name]:.3f}",
            *(f"{course.levels[name][course.at(moment)]:.3f}" for moment in course.moments),
        ]
        for name in names
        if name in course.levels
    ]


def _print(course: BrainCourse, evidence: Mapping[str, Sequence[FactComparison]]) -> None:
    moments = course.moments
    print(f"{course.course.provenance.regimen}: one typical patient, connectome {course.connectome.name}")
    print(f"Scenario {course.scenario.name}: {course.scenario.claim}\n")
    heads = ("Mean correlation (r)", "health", *(f"{one.name} ({_when(one.time_h)})" for one in moments))
    show.table(heads, level_rows(course, SHOWN), right=range(1, len(heads)))
    couplings = [
        [title, *(f"{change[place]:+.3f}" for change in map(course.change_at, moments))]
        for place, title in enumerate(
            ("within default", "default with frontoparietal, salience", "default with limbic")
        )
    ]
    show.table(
        ("Change of couplings", *(one.name for one in moments)), couplings, right=range(1, len(moments) + 1)
    )
    for name, found in evidence.items() if evidence else ():
        compared = [one for one in found if one.simulated is not None and one.layer == "connectivity"]
        met = sum(one.verdict == "reproduced" for one in compared)
        print(f"Facts about networks under {name}: {met} of {len(compared)} reproduced.")
    print(SIGN)
    print(f"{course.connectome.note}")
    print(show.NOT_A_DEVICE)


def _when(time_h: float) -> str:
    return f"{time_h / 24.0:g} d" if time_h >= 24.0 else f"{60.0 * time_h:.0f} min"


def _evidence(
    chosen: ParameterSet, *, is_wanted: bool, is_quiet: bool
) -> dict[str, tuple[FactComparison, ...]]:
    from euthymia.evidence.fact_scenarios import compare_scenarios
    from euthymia.model.connectivity import scenarios

    if not is_wanted:
        return {}
    show.note("Comparing facts about networks under every scenario ...", is_quiet=is_quiet)
    return compare_scenarios(list(scenarios()), parameters=chosen)


def _quietly(run: Any) -> BrainCourse:
    """Return a course whose warnings are kept in it and not shown twice."""
    import warnings

    from euthymia.errors import ResultWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        return run()


def _write(path: Path, course: BrainCourse, document: dict[str, Any]) -> None:
    from euthymia.files.results import dump_json
    from euthymia.files.writing import write_whole

    if path.suffix == ".json":
        write_whole(path, lambda target: target.write_text(dump_json(document), encoding="utf-8"))
    elif path.suffix == ".csv":
        write_whole(path, lambda target: target.write_text(brain_csv(course), encoding="utf-8"))
    else:
        write_whole(path, lambda target: _write_matrices(target, course))


def _write_matrices(target: Path, course: BrainCourse) -> None:
    """Write the whole matrices; the first is that of health."""
    network = course.connectome
    matrices = np.concatenate([network.correlation[None], course.correlations()])
    with target.open("wb") as file:
        np.savez_compressed(
            file,
            correlation=matrices,
            moments=np.array(["health", *(moment.name for moment in course.moments)]),
            times_h=np.array([np.nan, *(moment.time_h for moment in course.moments)]),
            labels=np.array(network.labels),
            networks=np.array(network.networks),
            note=np.array(network.note),
        )
