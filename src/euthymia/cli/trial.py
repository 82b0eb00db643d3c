"""``euthymia trial``: virtual trials from a protocol file: list, show, check, run, power, and a template."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import options, show
from euthymia.errors import invalid

if TYPE_CHECKING:
    from euthymia.compute.executor import Executor
    from euthymia.files.run_folder import BatchStore
    from euthymia.model.parameters import ParameterSet
    from euthymia.trials.design import Protocol
    from euthymia.trials.records import PowerCurve, TrialResult

app = typer.Typer(
    name="trial",
    help="Virtual trials: run a protocol, find its power, write a new one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[
    str, typer.Argument(metavar="NAME|FILE.yaml", help="'euthymia trial list' lists what ships.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change the protocol (arms.high.dose='1.0 mg/kg') or a parameter (layer.field=NUMBER); "
        "may be repeated.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", min=1, help="Processes; by default one a core.", show_default=False
    ),
]
LONG_PATIENTS = 1500
"""Patients from which starting processes is worth its second."""


@app.command("list")
def list_trials(json: options.Json = False) -> None:
    """List the protocols that ship.

    Example: euthymia trial list
    """
    from euthymia.trials.protocols import load_protocol, protocol_names

    found = [load_protocol(name) for name in protocol_names()]
    if json:
        _dump({"schema": "euthymia.trials/1", "trials": [_entry(one) for one in found]})
        return
    heads = ("name", "design", "arms", "n", "days", "primary endpoint", "assumed")
    show.table(heads, [_row(one) for one in found], right=(3, 4, 6))
    show.note(f"{len(found)} protocols; 'assumed' counts what no source states. 'euthymia trial show NAME'.")


def _entry(protocol: Protocol) -> dict[str, Any]:
    return {
        "id": protocol.id,
        "title": protocol.title,
        "study": protocol.study,
        "design": protocol.design,
        "arms": list(protocol.arms),
        "patients": protocol.size,
        "days": protocol.visits_h[-1] / 24.0,
        "primary": protocol.primary,
        "assumed": list(protocol.assumed),
    }


def _row(protocol: Protocol) -> list[str]:
    return [
        protocol.id,
        protocol.design,
        str(len(protocol.arms)),
        str(protocol.size),
        f"{protocol.visits_h[-1] / 24.0:.3g}",
        protocol.endpoints[protocol.primary].text,
        str(len(protocol.assumed)),
    ]


@app.command("show")
def show_trial(
    name: Name,
    changes: Changes = None,
    json: Annotated[bool, typer.Option("--json", help="The protocol as JSON, defaults included.")] = False,
) -> None:
    """Show a protocol: who takes part, what they are given, what is rated and compared, what is assumed.

    Example: euthymia trial show fava-2018
    """
    protocol, _ = _read(name, changes)
    if json:
        _dump(protocol.model_dump(mode="json", by_alias=True))
        return
    from euthymia.trials.design import time_text

    print(f"{protocol.id}: {protocol.title}")
    print(f"{protocol.design}, {protocol.size} patients of '{protocol.population.name}'")
    for rule in protocol.population.entry:
        bounds = [f"{rule.at_least:g} or more"] if rule.at_least is not None else []
        bounds += [f"{rule.at_most:g} or less"] if rule.at_most is not None else []
        print(f"entry: {rule.scale} {' and '.join(bounds)} at {' and '.join(rule.at)}")
    show.table(
        ("arm", "n", "regimen", "setting", ""),
        [
            [key, str(arm.n or ""), arm.text, arm.setting, "control" if arm.is_control else ""]
            for key, arm in protocol.arms.items()
        ],
        right=(1,),
    )
    show.table(
        ("visit", "scales", "window"),
        [
            [time_text(visit.at), ", ".join(visit.scales), time_text(visit.window) if visit.window else ""]
            for visit in protocol.visits
        ],
    )
    show.table(
        ("endpoint", "what", "analysis", "missing", "estimand"),
        [
            [
                key + (" *" if key == protocol.primary else ""),
                one.text,
                one.method,
                one.imputation,
                one.estimand,
            ]
            for key, one in protocol.endpoints.items()
        ],
    )
    for text in protocol.assumed:
        print(f"assumed: {text}")
    for text in protocol.notes:
        print(f"note: {text}")


@app.command("check")
def check_trial(name: Name, changes: Changes = None) -> None:
    """Say whether a protocol can be run; every problem with its line.

    Example: euthymia trial check my-trial.yaml
    """
    protocol, _ = _read(name, changes)
    print(f"{protocol.id}: {protocol.design}, {protocol.size} patients, can be run.")


@app.command("init")
def init_trial(
    path: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="A new file.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="Start from a protocol that ships.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a commented protocol to start from.

    Example: euthymia trial init my-trial.yaml
    """
    from euthymia.files.writing import write_whole
    from euthymia.tables import read_text
    from euthymia.trials.protocols import SUFFIXES, load_protocol

    if path.suffix not in SUFFIXES:
        raise invalid("FILE", must="a name that ends in .yaml", got=str(path))
    if path.exists() and not force:
        raise invalid("FILE", must="new", got=f"{path}, which is there", cure="'--force' overwrites it.")
    if source is not None:
        load_protocol(source)
    text = read_text("protocol_template.yaml" if source is None else f"protocols/{source}.yaml")
    write_whole(path, lambda target: target.write_text(text, encoding="utf-8"))
    show.note(f"Wrote {path}. Next: euthymia trial run {path} --replicates 50 --report trial.html")


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of protocol files, for editors that check while one types.

    Example: euthymia trial schema
    """
    from euthymia.trials.design import json_schema

    _dump(json_schema())


@app.command("run")
def run_trial(
    context: typer.Context,
    name: Name,
    replicates: Annotated[
        int, typer.Option("--replicates", metavar="R", help="How many times, each with other patients.")
    ] = 1,
    seed: options.Seed = 1,
    changes: Changes = None,
    parameters: options.Parameters = "composed",
    mechanism: options.Mechanism = None,
    engine: options.Engine = None,
    workers: Workers = None,
    report: options.Report = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="A folder keeps every batch (a run that was stopped goes on), patients and results; "
            ".json or .csv is a file.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
    csv: options.Csv = False,
    quiet: options.Quiet = False,
) -> None:
    """Run a trial, once or many times, and analyse it as the field does.

    Example: euthymia trial run fava-2018 --replicates 200 --report out.html
    """
    from euthymia.files.trial_results import estimates_csv, trial_json
    from euthymia.files.writing import check_writable, write_whole
    from euthymia.trials import replicate

    show.check_one_format(is_json=json, is_csv=csv, cure=" '--out' writes more files.")
    protocol, chosen = _read(name, changes, parameters=parameters, mechanism=mechanism)
    if report is not None:
        check_writable(report)
    if replicates < 1:
        raise invalid("--replicates", must="1 or more", got=replicates)
    given: dict[str, Any] = {"seed": seed, "parameters": chosen, "engine": engine, "replicates": replicates}
    folder = _folder(out, protocol, chosen, seed, engine, replicates, is_quiet=quiet)
    with show.progress(protocol.id, is_quiet=quiet, counted="replicates") as on_done:
        result = replicate.run_trial(
            protocol,
            executor=executor_of(workers, patients=protocol.size * replicates),
            store=folder,
            on_done=on_done,
            **given,
        )
    show.warn(result.warnings, is_quiet=quiet)
    if json:
        _dump(trial_json(result, command=context.obj))
    elif csv:
        sys.stdout.write(estimates_csv(result))
    else:
        _print(result)
    if out is not None:
        from euthymia.files.trial_results import write_trial

        write_trial(result, out, command=context.obj)
        show.note(f"Wrote {out}", is_quiet=quiet)
    if report is not None:
        from euthymia.cli.trial_report import trial_report
        from euthymia.trials.observed import observed_beside

        cited = replace(result, provenance={**result.provenance, "sources": _sources(protocol, chosen)})
        html = trial_report(cited, command=context.obj, observed=observed_beside(protocol))
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=quiet)


def _folder(
    out: Path | None,
    protocol: Protocol,
    chosen: ParameterSet,
    seed: int,
    engine: str | None,
    replicates: int,
    *,
    is_quiet: bool,
) -> BatchStore | None:
    """Return what keeps batches, None where a file or nothing is to be written."""
    if out is None:
        return None
    from euthymia.files.run_folder import Manifest, RunFolder
    from euthymia.files.trial_results import check_trial_out

    check_trial_out(out)
    if out.suffix:
        return None
    folder = RunFolder(out, Manifest.of_run(protocol, chosen, seed=seed, engine=engine))
    left, every = folder.missing(replicates), folder.batches(replicates)
    for note in folder.notes:
        show.note(note, is_quiet=is_quiet)
    if folder.is_resumed:
        show.note(
            f"{out} goes on: {len(every) - len(left)} of {len(every)} batches are done.", is_quiet=is_quiet
        )
    return folder.store(replicates)


def _read(
    name: str,
    changes: Sequence[str] | None,
    *,
    parameters: str = "composed",
    mechanism: Sequence[str] | None = None,
) -> tuple[Protocol, ParameterSet]:
    """Return a protocol and a parameter set, each with its share of what '--set' changes."""
    from euthymia.trials.design import Protocol
    from euthymia.trials.protocols import load_protocol

    fields = {*Protocol.model_fields, "schema"}
    of_protocol = [one for one in changes or () if one.split(".")[0].split("=")[0].strip() in fields]
    overrides = [one for one in changes or () if one not in of_protocol]
    return load_protocol(name, changes=of_protocol), options.chosen_set(
        parameters, overrides, mechanisms=mechanism
    )


def _sources(protocol: Protocol, chosen: ParameterSet) -> list[str]:
    """Return the bibliography of a trial and of the model that runs it."""
    from euthymia.trials.observed import source_keys

    rows = (*chosen.rows.values(), *chosen.chain.values())
    return sorted({*source_keys(protocol), *(key for row in rows for key in row.source.split(";"))})


def executor_of(workers: int | None, *, patients: int) -> Executor | None:
    """Return processes where there is enough to do for them."""
    count = workers or (cpu_count() or 1 if patients > LONG_PATIENTS else 1)
    if count == 1:
        return None
    from euthymia.compute.processes import ProcessExecutor

    return ProcessExecutor(count)


def _print(result: TrialResult) -> None:
    """Print who took part and what was estimated, over replicates where there are several."""
    import numpy as np

    protocol, count = result.protocol, len(result.replicates)
    every = result.replicates
    print(
        f"{protocol.title}\n{protocol.size} patients, {count} {'replicate' if count == 1 else 'replicates'}"
    )
    screened = np.mean([one.screened for one in every])
    left = np.mean([1.0 - sum(one.completed.values()) / sum(one.enrolled.values()) for one in every])
    print(f"screened {screened:.0f} a replicate; {100.0 * left:.1f} % left before the end\n")
    heads = (
        "endpoint",
        "arm",
        "against",
        "measure",
        "value",
        "90 % of replicates" if count > 1 else "interval",
        "p",
    )
    heads = (*heads[:-1], f"p < {protocol.alpha:g}") if count > 1 else heads
    show.table(heads, _estimate_rows(result), right=(4, 5, 6))
    print(show.NOT_A_DEVICE)


def _estimate_rows(result: TrialResult) -> list[list[str]]:
    """Return every estimate as a row of text."""
    import numpy as np

    first, count = result.replicates[0].estimates, len(result.replicates)
    rows = []
    for one in first:
        values = [
            found
            for each in result.replicates
            for found in each.estimates
            if (found.endpoint, found.arm, found.reference, found.measure)
            == (one.endpoint, one.arm, one.reference, one.measure)
        ]
        known = np.array([found.value for found in values])
        known = known[np.isfinite(known)]
        low, high = (one.low, one.high) if count == 1 else _ends(known)
        p = [found.p for found in values if np.isfinite(found.p)]
        tested = (
            f"{p[0]:.3g}"
            if count == 1 and p
            else f"{np.mean(np.array(p) < result.protocol.alpha):.0%}"
            if p
            else ""
        )
        middle = float(known.mean()) if len(known) else float("nan")
        rows.append(
            [
                one.endpoint,
                one.arm,
                one.reference,
                one.measure,
                shown_number(middle, one.measure),
                f"{shown_number(low, one.measure)} to {shown_number(high, one.measure)}"
                if np.isfinite(low)
                else "",
                tested if one.reference or count == 1 else "",
            ]
        )
    return rows


def _ends(values: Any) -> tuple[float, float]:
    import numpy as np

    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, (0.05, 0.95))
    return float(low), float(high)


def shown_number(value: float, measure: str) -> str:
    """Return a number as its measure is read: shares in per cent."""
    import math

    if not math.isfinite(value):
        return "–"
    if measure in ("share", "risk difference"):
        return f"{100.0 * value:.1f} %"
    return f"{value:.2f}"


@app.command("power")
def power(
    context: typer.Context,
    name: Name,
    n: Annotated[
        str,
        typer.Option("--n", metavar="LOW:HIGH[:STEP]", help="Patients of each arm (all, in a crossover)."),
    ] = "20:200",
    replicates: Annotated[int, typer.Option("--replicates", metavar="R", help="At each size.")] = 200,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="NAME", help="By default the primary.", show_default=False),
    ] = None,
    seed: options.Seed = 1,
    changes: Changes = None,
    parameters: options.Parameters = "composed",
    mechanism: options.Mechanism = None,
    engine: options.Engine = None,
    workers: Workers = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the power of a trial by the size of its arms.

    Example: euthymia trial power my-trial.yaml --n 20:200 --report power.html
    """
    from euthymia.files.writing import check_writable, write_whole
    from euthymia.trials.power import power_curves, sizes_of
    from euthymia.trials.replicate import UNCALIBRATED, provenance_of

    protocol, chosen = _read(name, changes, parameters=parameters, mechanism=mechanism)
    sizes = sizes_of(n)
    if report is not None:
        check_writable(report)
    patients = max(sizes) * len(protocol.arms) * replicates
    with show.progress(protocol.id, is_quiet=quiet, counted="replicates") as on_done:
        curves = power_curves(
            protocol,
            sizes,
            replicates=replicates,
            endpoint=endpoint,
            seed=seed,
            parameters=chosen,
            engine=engine,
            executor=executor_of(workers, patients=patients),
            on_done=on_done,
        )
    show.warn([UNCALIBRATED], is_quiet=quiet)
    made = provenance_of(protocol, chosen, seed=seed, engine=engine) | {"replicates": replicates}
    if json:
        _dump(_power_json(protocol, curves, made, context.obj))
    else:
        _print_power(curves)
    if report is not None:
        from euthymia.cli.trial_report import power_report

        html = power_report(
            curves,
            title=protocol.title,
            command=context.obj,
            seed=seed,
            parameters=chosen.name,
            assumed=protocol.assumed,
            labels={key: arm.label or key for key, arm in protocol.arms.items()},
            provenance={**made, "sources": _sources(protocol, chosen)},
            warnings=[UNCALIBRATED],
        )
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=quiet)


def _print_power(curves: Sequence[PowerCurve]) -> None:
    for one in curves:
        print(f"{one.endpoint}: {one.arm} against {one.reference}, two-sided alpha {one.alpha:g}")
        heads = (
            "n per arm",
            "power",
            "95 % Monte Carlo",
            *(("formula",) if one.closed_form is not None else ()),
        )
        rows = []
        for place, size in enumerate(one.sizes):
            row = [str(size), f"{one.power[place]:.1%}", f"{one.low[place]:.1%} to {one.high[place]:.1%}"]
            rows.append(row + ([f"{one.closed_form[place]:.1%}"] if one.closed_form is not None else []))
        show.table(heads, rows, right=(0, 1, 2, 3))
    print(show.NOT_A_DEVICE)


def _power_json(
    protocol: Protocol, curves: Sequence[PowerCurve], made: dict[str, Any], command: Sequence[str]
) -> dict[str, Any]:
    return {
        "schema": "euthymia.power/1",
        "command": list(command),
        "protocol": protocol.id,
        "provenance": made,
        "curves": [
            {
                "endpoint": one.endpoint,
                "arm": one.arm,
                "reference": one.reference,
                "alpha": one.alpha,
                "replicates": one.replicates,
                "sizes": one.sizes.tolist(),
                "power": one.power.tolist(),
                "low": one.low.tolist(),
                "high": one.high.tolist(),
                "closed_form": None if one.closed_form is None else one.closed_form.tolist(),
            }
            for one in curves
        ],
    }


def _dump(document: Any) -> None:
    import json

    json.dump(document, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
    print()
