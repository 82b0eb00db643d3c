"""``euthymia evidence replicate``: every published trial simulated, beside its own results."""

from __future__ import annotations

import json as json_module
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import options, show
from euthymia.files.trial_json import number_in, number_out
from euthymia.files.value_folder import ValueFolder

if TYPE_CHECKING:
    from euthymia.model.parameters import ParameterSet
    from euthymia.trials.published import ReplicationRow

SCHEMA = "euthymia.replication/1"
COLUMNS = ("row", "role", "trial", "what", "measure", "published", "simulated (90 %)", "verdict")


def replicate(
    context: typer.Context,
    replicates: Annotated[
        int, typer.Option("--replicates", metavar="R", help="Of every trial; 20 or more for an interval.")
    ] = 100,
    only: options.Trials = None,
    seed: options.Seed = 1,
    parameters: options.Parameters = "composed",
    posterior: options.Posterior = None,
    overrides: options.Overrides = None,
    mechanism: options.Mechanism = None,
    engine: options.Engine = None,
    workers: options.Workers = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="Every row on the terminal, not only the count of verdicts.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Keeps every batch: a run that was stopped goes on.",
            show_default=False,
        ),
    ] = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run every published trial again and hold each of its results against what came out.

    Results of trials that are kept for validation stay closed until a posterior is frozen; the simulation is
    shown. Without a posterior numbers may be far off: nothing is calibrated then.

    Example: euthymia evidence replicate --replicates 100 --out replicated --report replicated.html
    """
    from euthymia.cli.trial import executor_of
    from euthymia.files.writing import check_writable
    from euthymia.population.posterior import PRIOR, find_posterior
    from euthymia.trials.replicate import believed_of, uncalibrated
    from euthymia.trials.replication_all import replicate_published

    chosen = options.chosen_set(parameters, overrides, mechanisms=mechanism)
    if report is not None:
        check_writable(report)
    believed = find_posterior(posterior, chosen)
    made = provenance(chosen, seed=seed, engine=engine) | believed_of(chosen, believed)
    store = None if out is None else run_folder(out, made, chosen)
    with show.progress("trials", is_quiet=quiet, counted="patient-days") as on_done:
        found, notes = replicate_published(
            replicates=replicates,
            only=only or (),
            seed=seed,
            parameters=chosen,
            posterior=believed or PRIOR,
            engine=engine,
            executor=executor_of(workers, patients=replicates * 1000),
            store=store,
            on_done=on_done,
        )
    cautions = [*uncalibrated(chosen, believed), *notes]
    show.warn(cautions, is_quiet=quiet)
    document = {
        "schema": SCHEMA,
        "command": list(context.obj),
        **made,
        "replicates": replicates,
        "rows": [_plain(one) for one in found],
    }
    if store is not None:
        store.write("replication.json", document)
    if json:
        print(json_module.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        print_rows(found, is_every=rows or bool(only))
    if report is not None:
        from euthymia.cli.trial import sources_of
        from euthymia.cli.trial_report import replication_report
        from euthymia.files.writing import write_whole

        html = replication_report(
            found,
            command=context.obj,
            seed=seed,
            parameters=chosen.name,
            provenance={**made, "sources": sources_of(chosen)},
            warnings=cautions,
        )
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=quiet)


def provenance(chosen: Any, *, seed: int, engine: str | None) -> dict[str, Any]:
    """Return what is needed to get the same bytes again."""
    from importlib.metadata import version

    from euthymia.population.run import known_engine

    return {
        "version": version("euthymia"),
        "seed": seed,
        "parameters": chosen.name,
        "overrides": dict(chosen.overrides),
        "mechanisms": list(chosen.mechanisms),
        "engine": known_engine(engine),
    }


def run_folder(out: Path, made: Mapping[str, Any], chosen: ParameterSet) -> ValueFolder:
    """Return the folder that keeps the batches of a run; it belongs to one seed, parameter set and version.

    Raises
    ------
    InvalidInputError
    """
    from euthymia.files.run_folder import parameters_digest

    digests = {"parameters_digest": parameters_digest(chosen), "protocols": _digests()}
    return ValueFolder(out, {**made, **digests})


def _digests() -> dict[str, str]:
    from euthymia.trials.protocols import load_protocol, protocol_names
    from euthymia.trials.replicate import digest_of

    return {name: digest_of(load_protocol(name)) for name in protocol_names()}


def _plain(row: ReplicationRow) -> dict[str, Any]:
    return {
        name: number_out(value) if isinstance(value, float) else value for name, value in asdict(row).items()
    }


def rows_from(document: dict[str, Any]) -> tuple[ReplicationRow, ...]:
    """Return the rows of a result that was written."""
    from euthymia.trials.published import ReplicationRow

    numbers = {one.name for one in fields(ReplicationRow) if one.type == "float"}

    def read(row: dict[str, Any]) -> dict[str, Any]:
        return {name: number_in(value) if name in numbers else value for name, value in row.items()}

    return tuple(ReplicationRow(**read(row)) for row in document["rows"])


def print_rows(found: Sequence[ReplicationRow], *, is_every: bool) -> None:
    """Print verdicts counted by role, and every row where that is asked for."""
    if is_every:
        show.table(COLUMNS, [_row(one) for one in found])
    print_verdicts((one.role, one.verdict) for one in found)
    primary = [one for one in found if one.is_primary and one.verdict in ("inside", "outside")]
    inside = sum(one.verdict == "inside" for one in primary)
    print(f"Primary contrasts inside the 90 % interval: {inside} of {len(primary)} that are open.")
    print(show.NOT_A_DEVICE)


def print_verdicts(found: Iterable[tuple[str, str]]) -> None:
    """Print how many rows of each role have each verdict."""
    counts = Counter(found)
    roles, verdicts = (list(dict.fromkeys(names)) for names in zip(*counts, strict=True))
    show.table(
        ("role", *verdicts),
        [[role, *(str(counts[role, verdict] or "") for verdict in verdicts)] for role in roles],
        right=tuple(range(1, len(verdicts) + 1)),
    )


def _row(one: ReplicationRow) -> list[str]:
    return [
        one.row_id,
        one.role,
        one.trial,
        one.label,
        one.measure,
        number(one.observed, one.measure),
        f"{number(one.simulated, one.measure)} ({number(one.low, one.measure)} to "
        f"{number(one.high, one.measure)})"
        if math.isfinite(one.simulated)
        else "",
        one.verdict + (f": {one.reason}" if one.verdict == "not comparable" else ""),
    ]


def number(value: float, measure: str) -> str:
    """Return a number as its measure is read."""
    from euthymia.cli.trial import shown_number

    return shown_number(value, measure)
