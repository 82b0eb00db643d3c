"""``euthymia qualify``: everything that speaks for and against the model, on one page."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from euthymia.cli import options, show
from euthymia.errors import invalid

if TYPE_CHECKING:
    from euthymia.cli.qualify_found import Qualification

SCHEMA = "euthymia.qualification/1"


def qualify(
    context: typer.Context,
    replicates: Annotated[
        int,
        typer.Option(
            "--replicates", metavar="R", help="Of trials with rows to validate; 1000 for a score to publish."
        ),
    ] = 1000,
    fitted_replicates: Annotated[
        int,
        typer.Option(
            "--fitted-replicates", metavar="R", help="Of trials without such rows; at most --replicates."
        ),
    ] = 200,
    stored: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="replication.json",
            help="Takes trials from a run that was kept ('evidence replicate --out'), and runs none.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Keeps every batch, as 'evidence replicate' does: a run that was stopped goes on.",
            show_default=False,
        ),
    ] = None,
    only: options.Trials = None,
    card: Annotated[
        Path | None,
        typer.Option("--card", metavar="FILE.md", help="Writes the model card.", show_default=False),
    ] = None,
    seed: options.Seed = 1,
    posterior: options.Posterior = None,
    overrides: options.Overrides = None,
    mechanism: options.Mechanism = None,
    engine: options.Engine = None,
    workers: options.Workers = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Hold the model against everything there is, and say what it may be used for.

    Checks of the code, facts, every published trial with its verdict, and forecasts of trials that were not
    fitted, scored. What is kept for validation stays closed until a posterior is frozen.

    Example: euthymia qualify --out qualified --report qualification.html --card model-card.md
    """
    from euthymia.cli.qualify_found import document_of
    from euthymia.cli.qualify_runs import from_runs, from_stored
    from euthymia.files.writing import check_writable, write_whole

    for path in (report, card):
        if path is not None:
            check_writable(path)
    if stored is not None and out is not None:
        raise invalid("--out", must="left out with '--from', which runs no trial", got=str(out))
    chosen = options.chosen_set("composed", overrides, mechanisms=mechanism)
    if stored is None:
        found = from_runs(
            chosen,
            posterior,
            replicates=replicates,
            fitted_replicates=min(fitted_replicates, replicates),
            only=only or (),
            seed=seed,
            engine=engine,
            workers=workers,
            out=out,
            is_quiet=quiet,
        )
    else:
        found = from_stored(stored, chosen, posterior, only=only or (), engine=engine, is_quiet=quiet)
    show.warn(found.cautions, is_quiet=quiet)
    document = {"schema": SCHEMA, "command": list(context.obj), **document_of(found)}
    if json:
        print(json_module.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        print_qualification(found)
    if report is not None:
        from euthymia.cli.qualify_report import qualification_report

        html = qualification_report(found, command=context.obj)
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=quiet)
    if card is not None:
        from euthymia.cli.qualify_card import model_card

        text = model_card(found)
        write_whole(card, lambda target: target.write_text(text, encoding="utf-8"))
        show.note(f"Wrote {card}", is_quiet=quiet)
    if not all(one.passes for one in found.checks):
        raise typer.Exit(1)


def print_qualification(found: Qualification) -> None:
    """Print what passes, what agrees, what is closed, and which aims are met."""
    from euthymia.calibration.validation import adequacy
    from euthymia.cli.qualify_found import VALIDATE, fact_counts, frozen_text
    from euthymia.cli.replicate import print_verdicts

    passed = sum(one.passes for one in found.checks)
    print(f"Verification: {passed} of {len(found.checks)} checks pass.")
    for one in found.checks:
        if not one.passes:
            print(f"  FAILS: {one.claim} ({one.value:.2g} {one.unit}, at most {one.tolerance:.2g})")
    for table, rows in found.facts.items():
        hit, judged, closed, left = fact_counts(rows)
        print(f"Facts, {table}: {hit} of {judged} reproduced; {closed} closed, {left} not comparable.")
    print_verdicts((one.role, one.verdict) for one in found.rows)
    print(frozen_text(found))
    rows = adequacy(found.score(found.of_role(VALIDATE)))
    show.table(
        ("aim for rows kept to validate", "aim", "value", "verdict"),
        [[one.name, one.aim, one.value, one.verdict] for one in rows],
    )
    print(show.NOT_A_DEVICE)
