"""``euthymia trial``: virtual trials from a protocol file: list, show, check, run, power, and a template."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import options, show
from euthymia.errors import InvalidInputError, invalid

if TYPE_CHECKING:
    from euthymia.cli.trial_numbers import Summary
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
    from euthymia.cli.trial_protocol import length_text, plan_lines
    from euthymia.trials.fields import time_text

    for line in plan_lines(protocol):
        print(line)
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
            [
                time_text(visit.at),
                ", ".join(visit.scales),
                f"± {length_text(visit.window)}" if visit.window else "",
            ]
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
    from euthymia.trials.enrol import intake

    protocol, chosen = _read(name, changes)
    for text in intake(protocol, chosen, seed=1).notes:
        show.note(f"note: {text}")
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
    posterior: options.Posterior = None,
    mechanism: options.Mechanism = None,
    engine: options.Engine = None,
    workers: options.Workers = None,
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
    from euthymia.population.posterior import PRIOR, find_posterior

    believed = find_posterior(posterior, chosen)
    given: dict[str, Any] = {
        "seed": seed,
        "parameters": chosen,
        "posterior": believed or PRIOR,
        "engine": engine,
        "replicates": replicates,
    }
    folder = None
    if out is not None:
        manifest = {"seed": seed, "engine": engine, "posterior": believed}
        folder = _folder(out, protocol, chosen, manifest, replicates, is_quiet=quiet)
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
    out: Path,
    protocol: Protocol,
    chosen: ParameterSet,
    given: dict[str, Any],
    replicates: int,
    *,
    is_quiet: bool,
) -> BatchStore | None:
    """Return what keeps batches, None where a file is to be written."""
    from euthymia.files.run_folder import Manifest, RunFolder
    from euthymia.files.trial_results import check_trial_out

    check_trial_out(out)
    if out.suffix:
        return None
    folder = RunFolder(out, Manifest.of_run(protocol, chosen, **given))
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
    for one in overrides:
        _check_layer(one, fields)
    return load_protocol(name, changes=of_protocol), options.chosen_set(
        parameters, overrides, mechanisms=mechanism
    )


def _check_layer(change: str, fields: Collection[str]) -> None:
    """Raise where what is to be changed is close to a field of the protocol, and no layer of parameters."""
    from euthymia.errors import nearest
    from euthymia.model.parameters import load_parameters

    first = change.split("=")[0].split(".")[0].strip()
    close = nearest(first, fields)
    layers = {key.split(".")[0] for key in load_parameters("composed").chain}
    if close and first not in layers:
        message = f"'--set {change}': no such field. Did you mean {' or '.join(close)}?"
        raise InvalidInputError(message)


def _sources(protocol: Protocol, chosen: ParameterSet) -> list[str]:
    """Return the bibliography of a trial and of the model that runs it."""
    from euthymia.trials.observed import source_keys

    return sorted({*source_keys(protocol), *sources_of(chosen)})


def sources_of(chosen: ParameterSet) -> list[str]:
    """Return the bibliography of every parameter of a set."""
    rows = (*chosen.rows.values(), *chosen.chain.values())
    return sorted({key for row in rows for key in row.source.split(";")})


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

    from euthymia.cli.trial_numbers import primary_contrasts, summaries
    from euthymia.trials.fields import time_text

    protocol, count = result.protocol, len(result.replicates)
    every = result.replicates
    print(
        f"{protocol.title}\n{protocol.size} patients, {count} {'replicate' if count == 1 else 'replicates'}"
    )
    screened = np.mean([one.screened for one in every])
    left = np.mean([1.0 - sum(one.completed.values()) / sum(one.enrolled.values()) for one in every])
    print(f"screened {screened:.0f} a replicate; {100.0 * left:.1f} % left before the end")
    if protocol.withdrawal is not None:
        (compared, *_) = primary_contrasts(result, summaries(result))
        print(f"compared {compared.n:.0f} a replicate, who were well at {time_text(protocol.withdrawal.at)}")
    print()
    interval = "90 % of replicates" if count > 1 else f"{100.0 * (1.0 - protocol.alpha):g} % interval"
    tested = f"p < {protocol.alpha:g}" if count > 1 else "p"
    heads = ("endpoint", "arm", "against", "measure", "value", interval, tested)
    show.table(heads, _estimate_rows(result), right=(4, 5, 6))
    if count > 1:
        print(
            "Value: mean over replicates, of ratios the median. An arm's mean is of those rated, unadjusted."
        )
    print(show.NOT_A_DEVICE)


def _estimate_rows(result: TrialResult) -> list[list[str]]:
    """Return every estimate as a row of text."""
    from euthymia.cli.trial_numbers import summaries

    return [_estimate_row(one) for one in summaries(result)]


def _estimate_row(one: Summary) -> list[str]:
    import numpy as np

    from euthymia.cli.trial_numbers import boundary_text

    is_known = np.isfinite(one.low) and np.isfinite(one.high)
    ends = [shown_number(end, one.measure) for end in (one.low, one.high)]
    lacking = "" if one.count == one.replicates or not one.count else f" ({one.count} of {one.replicates})"
    is_single = one.replicates == 1
    p = one.p if is_single else one.significant if one.reference else float("nan")
    return [
        one.endpoint,
        one.arm,
        one.reference,
        one.measure,
        shown_number(one.value, one.measure) + lacking,
        boundary_text(one) or (" to ".join(ends) if is_known else ""),
        "" if not np.isfinite(p) else f"{p:.3g}" if is_single else f"{p:.0%}",
    ]


def shown_number(value: float, measure: str) -> str:
    """Return a number as its measure is read: shares in per cent."""
    import math

    if not math.isfinite(value):
        return "–"
    from euthymia.cli.trial_numbers import is_share

    if is_share(measure) or measure == "risk difference":
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
    posterior: options.Posterior = None,
    mechanism: options.Mechanism = None,
    engine: options.Engine = None,
    workers: options.Workers = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the power of a trial by the size of its arms.

    Example: euthymia trial power my-trial.yaml --n 20:200 --report power.html
    """
    from euthymia.files.writing import check_writable, write_whole
    from euthymia.population.posterior import PRIOR, find_posterior
    from euthymia.trials.enrol import intake
    from euthymia.trials.power import power_curves, sizes_of
    from euthymia.trials.replicate import provenance_of, uncalibrated

    protocol, chosen = _read(name, changes, parameters=parameters, mechanism=mechanism)
    believed = find_posterior(posterior, chosen)
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
            posterior=believed or PRIOR,
            engine=engine,
            executor=executor_of(workers, patients=patients),
            on_done=on_done,
        )
    given = intake(protocol, chosen, seed=seed, posterior=believed)
    cautions = [*uncalibrated(chosen, believed), *given.notes, *power_notes(protocol)]
    show.warn(cautions, is_quiet=quiet)
    made = provenance_of(protocol, chosen, seed=seed, engine=engine, posterior=believed)
    made |= {"replicates": replicates}
    if json:
        _dump(_power_json(protocol, curves, made, context.obj))
    else:
        _print_power(curves, counted_in(protocol))
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
            warnings=cautions,
            counted=counted_in(protocol),
        )
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=quiet)


def counted_in(protocol: Protocol) -> str:
    """Return in words of what a size of a power curve is."""
    if protocol.crossover is not None:
        return "in all"
    return "in each arm" if protocol.withdrawal is None else "who start in each arm"


def power_notes(protocol: Protocol) -> list[str]:
    """Return what of a protocol a power curve leaves out."""
    found = []
    if protocol.looks.fractions != (1.0,):
        found.append(
            "Power is that of one analysis at the end: interim looks are not in it. "
            "'trial run' has the power with looks at the size of the file."
        )
    if protocol.crossover is None and len(set(protocol.sizes)) > 1:
        ratio = ":".join(map(str, protocol.ratio))
        found.append(f"Power is by arms of one size, not {ratio} as in the file.")
    return found


def _print_power(curves: Sequence[PowerCurve], counted: str) -> None:
    for one in curves:
        print(f"{one.endpoint}: {one.arm} against {one.reference}, two-sided alpha {one.alpha:g}")
        heads = (
            {"in each arm": "n per arm", "in all": "n in all"}.get(counted, "n who start per arm"),
            "power",
            "95 % Monte Carlo",
            *(("formula",) if one.closed_form is not None else ()),
        )
        rows = []
        for place, size in enumerate(one.sizes):
            row = [str(size), f"{one.power[place]:.1%}", f"{one.low[place]:.1%} to {one.high[place]:.1%}"]
            rows.append(row + ([f"{one.closed_form[place]:.1%}"] if one.closed_form is not None else []))
        show.table(heads, rows, right=(0, 1, 2, 3))
    if any(one.closed_form is not None for one in curves):
        print(f"Formula: from the mean effect and its spread as simulated at {max(curves[0].sizes)}.")
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
