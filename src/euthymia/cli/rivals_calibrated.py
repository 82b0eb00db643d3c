"""How mechanisms stand after the same calibration: what ``euthymia fit --rival`` has found."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from euthymia.cli import show
from euthymia.cli.fit import NO_PROBABILITIES, RIVAL_HEADS, RIVALS_SCHEMA, rival_row
from euthymia.errors import InvalidInputError
from euthymia.files.report import Section, TableBlock, render_report
from euthymia.tables import list_files, read_text

FOLDER = "calibration/rivals"


def load_calibrated(path: Path | None) -> dict[str, Any]:
    """Return a comparison of calibrated mechanisms: of a file, or the one that ships.

    Raises
    ------
    InvalidInputError
        None ships, or the file holds something else.
    """
    if path is None:
        shipped = list_files(FOLDER, ".json") if _has_folder() else ()
        if not shipped:
            message = (
                "No calibrated comparison of mechanisms ships with this version. 'euthymia fit --out FOLDER "
                "--rival all' makes one; then give its file: '--from FOLDER/rivals.json'."
            )
            raise InvalidInputError(message)
        return json_module.loads(read_text(shipped[0]))
    try:
        found = json_module.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("schema") != RIVALS_SCHEMA:
        message = f"'--from' must be a rivals.json of 'euthymia fit --rival'. Got {str(path)!r}."
        raise InvalidInputError(message)
    return found


def _has_folder() -> bool:
    from importlib import resources

    return resources.files("euthymia").joinpath("data", *FOLDER.split("/")).is_dir()


def show_calibrated(
    document: Mapping[str, Any],
    *,
    command: Sequence[str],
    report: Path | None,
    is_json: bool,
    is_quiet: bool,
) -> None:
    """Print a comparison, or write it as JSON, and a page of it where one is asked for."""
    rows = document["standings"]
    if is_json:
        print(json_module.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        print(
            f"After the calibration that gave {document['posterior']} ({document['posterior_digest'][:12]}):"
        )
        show.table(RIVAL_HEADS, [rival_row(row) for row in rows], right=(1, 2, 3))
        for line in told_apart(rows):
            print(line)
        print(NO_PROBABILITIES)
        print(show.NOT_A_DEVICE)
    if report is not None:
        from euthymia.files.writing import write_whole

        html = page(document, command=command)
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=is_quiet)


def told_apart(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which mechanisms these data separate from the best, and which they cannot."""
    best, others = rows[0]["mechanism"], [row for row in rows[1:] if row["differs"]]
    apart = [row["mechanism"] for row in others if row["is_separated"]]
    alike = [row["mechanism"] for row in others if not row["is_separated"]]
    same = [row["mechanism"] for row in rows[1:] if not row["differs"]]
    return [
        f"Predicts worse than {best}, by over 4 and over two standard errors: {', '.join(apart) or 'none'}.",
        f"Not told apart from {best} by these trials: {', '.join(alike) or 'none'}.",
        *([f"The same course in every fitted trial: {', '.join(same)}."] if same else []),
    ]


def page(document: Mapping[str, Any], *, command: Sequence[str]) -> str:
    """Return the page of a comparison as HTML that needs nothing else."""
    from euthymia.cli.trial_report import footer
    from euthymia.plots.concentrations import library

    rows = document["standings"]
    names = [row["mechanism"] for row in rows]
    by_study = [
        [study, *(f"{document['predicted'][name][place]:.1f}" for name in names)]
        for place, study in enumerate(document["studies"])
    ]
    made = {"posterior": document["posterior"], "posterior_digest": document["posterior_digest"]}
    return render_report(
        kind="rival mechanisms",
        title="Mechanisms after the same calibration",
        lead=["Which mechanism is true is not settled; this says which ones published trials tell apart."],
        sections=[
            Section(
                title="In short",
                points=told_apart(rows),
                tables=[
                    TableBlock(heads=RIVAL_HEADS, rows=[rival_row(row) for row in rows], right=(1, 2, 3))
                ],
                texts=[NO_PROBABILITIES],
            ),
            Section(
                title="By study",
                texts=["Logarithm of the density that each gives to a study that was left out of its fit."],
                tables=[
                    TableBlock(heads=("study", *names), rows=by_study, right=tuple(range(1, len(names) + 1)))
                ],
            ),
        ],
        sources=[],
        footer=footer(made, command, seed=int(document.get("seed", 1)), parameters="composed"),
        library=library(),
    )
