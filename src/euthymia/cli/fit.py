"""``euthymia fit``: calibrates the model on published trials, in stages that are kept."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import options, show
from euthymia.errors import invalid, unknown

if TYPE_CHECKING:
    from euthymia.calibration.fit import Fit
    from euthymia.calibration.targets import Target
    from euthymia.files.fit_folder import FitFolder
    from euthymia.model.parameters import ParameterSet
    from euthymia.population.posterior import Calibrated

SCHEMA, RIVALS_SCHEMA = "euthymia.fit/1", "euthymia.rivals-calibrated/1"


def fit(
    context: typer.Context,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="Keeps every point: a fit that was stopped goes on."),
    ],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the posterior.")] = "fitted",
    points: Annotated[int, typer.Option("--points", metavar="N", help="Points over the prior.")] = 160,
    second: Annotated[
        int, typer.Option("--second-points", metavar="N", help="Points around what the first ones leave.")
    ] = 128,
    replicates: Annotated[
        int, typer.Option("--replicates", metavar="R", help="Of every trial, for the scatter of its results.")
    ] = 100,
    patients: Annotated[
        int, typer.Option("--patients", metavar="N", help="Of every trial at every point, about.")
    ] = 400,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Of every ensemble of walkers.")] = 6000,
    truths: Annotated[
        int,
        typer.Option("--truths", metavar="N", help="Simulated data sets whose known truth is fitted again."),
    ] = 60,
    free: Annotated[
        list[str] | None,
        typer.Option(
            "--free", metavar="NAME", help="Only this parameter; may be repeated.", show_default=False
        ),
    ] = None,
    trial: options.Trials = None,
    add: Annotated[
        list[Path] | None,
        typer.Option(
            "--add",
            metavar="FILE.yaml",
            help="Published numbers of a trial of one's own; may be repeated.",
            show_default=False,
        ),
    ] = None,
    earlier: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER|NAME",
            help="Of an earlier fit, or a posterior that ships: its points are taken over.",
            show_default=False,
        ),
    ] = None,
    rival: Annotated[
        list[str] | None,
        typer.Option(
            "--rival",
            metavar="NAME|all",
            help="Calibrate this mechanism too, and compare; may be repeated.",
            show_default=False,
        ),
    ] = None,
    seed: options.Seed = 1,
    overrides: options.Overrides = None,
    mechanism: options.Mechanism = None,
    engine: options.Engine = None,
    workers: options.Workers = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit the model to published trials and write the posterior of its parameters.

    Only rows of roles calibrate, prior and background are read. Virtual trials with the size, entry rule,
    control, schedule, endpoint and imputation of the published ones are run at points of the parameter
    space; an emulator learns from them, walkers draw from the posterior, and simulated data with known
    truths tell whether the draws can be trusted. The whole takes a few hours on two cores; what is done
    stays in the folder.

    Example: euthymia fit --out posterior/ --report fit.html
    """
    from euthymia.calibration.fit import Plan
    from euthymia.calibration.fit import fit as run_fit
    from euthymia.calibration.targets import left_out
    from euthymia.cli.trial import executor_of
    from euthymia.files.fit_folder import FitFolder, opened
    from euthymia.files.writing import check_writable
    from euthymia.population.posterior import posterior_json

    chosen = options.chosen_set("composed", overrides, mechanisms=mechanism)
    calibrated = _free(free or (), chosen)
    targets = (*_targets(trial or ()), *_added(add or ()))
    rivals = _rivals(rival or (), mechanism or ())
    plan = Plan(
        points=points,
        second_points=second,
        replicates=replicates,
        steps=steps,
        recoveries=truths,
        patients=patients,
        seed=seed,
    )
    if report is not None:
        check_writable(report)
    about = manifest(plan, calibrated, targets, chosen, engine=engine)
    taken = None if earlier is None else opened(earlier, about, but=("rows_digest", "protocols"))
    folder = FitFolder(out, about)
    found = run_fit(
        calibrated,
        targets,
        chosen,
        name=name,
        plan=plan,
        left=left_out(),
        store=folder,
        earlier=taken,
        executor=executor_of(workers, patients=1_000_000),
        engine=engine,
        stage=lambda title: _stage(title, is_quiet=quiet),
    )
    written = folder.write("posterior.json", posterior_json(found.posterior))
    document = {"schema": SCHEMA, "command": list(context.obj), "seed": seed, **fit_json(found)}
    folder.write("fit.json", document)
    standings = _compared(rivals, found, folder)
    if json:
        print(json_module.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        print_fit(found)
        if standings:
            print_rivals(standings)
    if report is not None:
        from euthymia.cli.fit_report import fit_report
        from euthymia.files.writing import write_whole

        html = fit_report(found, command=context.obj)
        write_whole(report, lambda target: target.write_text(html, encoding="utf-8"))
        show.note(f"Wrote {report}", is_quiet=quiet)
    show.note(f"Wrote {written}", is_quiet=quiet)


def _rivals(names: Sequence[str], mechanisms: Sequence[str]) -> list[str]:
    """Return the mechanisms that are compared with the model itself."""
    from euthymia.model.mechanisms import DEFAULT_MECHANISM, find_mechanism
    from euthymia.model.mechanisms import mechanisms as every

    if names and mechanisms:
        raise invalid("--rival", must="given without '--mechanism'", got="both")
    wanted = every() if "all" in names else [find_mechanism(name).name for name in names]
    return [name for name in dict.fromkeys(wanted) if name != DEFAULT_MECHANISM]


def _compared(names: Sequence[str], found: Fit, folder: FitFolder) -> list[dict[str, Any]]:
    """Return how mechanisms stand after the same calibration, the best first, and keep it."""
    if not names:
        return []
    from euthymia.calibration.rivals import compare, standings

    compared = compare(names, found.learnt, found.work)
    rows = standings(compared, seed=found.plan.seed)
    document = {
        "schema": RIVALS_SCHEMA,
        "posterior": found.posterior.name,
        "posterior_digest": found.posterior.digest,
        "seed": found.plan.seed,
        "studies": ["+".join(trials) for trials in compared[0].studies],
        "standings": rows,
        "predicted": {one.mechanism: [round(float(x), 4) for x in one.predicted] for one in compared},
        "fitted": {one.mechanism: [round(float(x), 4) for x in one.fitted] for one in compared},
        "center": {one.mechanism: dict(one.center) for one in compared},
    }
    folder.write("rivals.json", document)
    return rows


RIVAL_HEADS = ("mechanism", "predicts studies left out", "behind the best", "weight", "falls behind in")


def print_rivals(rows: Sequence[dict[str, Any]]) -> None:
    """Print how mechanisms stand after the same calibration."""
    show.table(RIVAL_HEADS, [rival_row(row) for row in rows], right=(1, 2, 3))
    print(NO_PROBABILITIES)


NO_PROBABILITIES = (
    "Logarithms of the density that each gives to studies when they are left out of its fit. A gap within "
    "two standard errors, or up to 4, tells nothing apart. Weights say how well mechanisms predict together; "
    "they are no probabilities of truth."
)


def rival_row(row: dict[str, Any]) -> list[str]:
    """Return how one mechanism stands, as a table has it."""
    if not row["differs"]:
        return [row["mechanism"], f"{row['score']:.1f}", "same course", f"{row['weight']:.2f}", ""]
    behind = f"{row['behind']:.1f} ± {row['behind_sd']:.1f}" if row["behind"] else "best"
    worst = ", ".join(f"{name} ({gap:.1f})" for name, gap in row["worst"])
    return [row["mechanism"], f"{row['score']:.1f}", behind, f"{row['weight']:.2f}", worst]


@contextmanager
def _stage(title: str, *, is_quiet: bool) -> Iterator[Any]:
    show.note(f"{title} ...", is_quiet=is_quiet)
    with show.progress(title, is_quiet=is_quiet, counted="done") as on_done:
        yield on_done


def _free(names: Sequence[str], chosen: ParameterSet) -> tuple[Calibrated, ...]:
    """Return what is fitted: all, or what is named; what '--set' has set stands, and cannot be both."""
    from euthymia.population.posterior import calibrated_parameters

    every = {one.name: one for one in calibrated_parameters()}
    for name in names:
        if name not in every:
            raise unknown("calibrated parameter", name, every)
    found = tuple(one for name, one in every.items() if not names or name in names)
    for one in found:
        for field in sorted(chosen.overrides.keys() & set(one.fields)):
            must = f"given a field that is not fitted, as {one.name} is"
            raise invalid("--set", must=must, got=field, cure="Name what is fitted with '--free'.")
    return found


def _targets(trials: Sequence[str]) -> tuple[Target, ...]:
    from euthymia.calibration.targets import load_targets

    every = load_targets()
    known = {name for one in every for name in one.trials}
    for name in trials:
        if name not in known:
            raise unknown("trial to fit", name, known, cure="Rows kept for validation are never fitted.")
    return tuple(one for one in every if not trials or set(one.trials) <= set(trials))


def _added(paths: Sequence[Path]) -> tuple[Target, ...]:
    from euthymia.calibration.added import read_added
    from euthymia.calibration.targets import load_targets

    found = [one for path in paths for one in read_added(path)]
    seen = {one.name for one in load_targets()}
    for one in found:
        if one.name in seen:
            raise invalid("name", must="that of no other row", got=one.name, cure="In a file of '--add'.")
        seen.add(one.name)
    return tuple(found)


def manifest(
    plan: Any,
    calibrated: Sequence[Calibrated],
    targets: Sequence[Target],
    chosen: ParameterSet,
    *,
    engine: str | None,
) -> dict[str, Any]:
    """Return what the points of a fit depend on."""
    from importlib.metadata import version

    from euthymia.calibration.fit import evidence_digests
    from euthymia.files.run_folder import parameters_digest
    from euthymia.population.run import known_engine

    digests = evidence_digests(targets, plan)
    return {
        "version": version("euthymia"),
        "seed": plan.seed,
        "patients": plan.patients,
        "parameters": chosen.name,
        "parameters_digest": parameters_digest(chosen),
        "mechanisms": list(chosen.mechanisms),
        "engine": known_engine(engine),
        "free": [one.name for one in calibrated],
        "rows_digest": digests["rows_digest"],
        "protocols": digests["protocols"],
        "tables": digests["tables"],
    }


def fit_json(found: Fit) -> dict[str, Any]:
    """Return a fit as it stands in a file: the posterior without draws, every number beside its target."""
    from euthymia.cli.fit_shown import target_rows
    from euthymia.files.trial_json import number_out
    from euthymia.population.posterior import posterior_json

    content = posterior_json(found.posterior)
    del content["draws"], content["schema"]
    return {
        **content,
        "rows": [
            {key: number_out(value) if isinstance(value, float) else value for key, value in row.items()}
            for row in target_rows(found)
        ],
        "profiles": [
            {
                "name": one.name,
                "z": [round(float(x), 4) for x in one.z],
                "fall": [round(float(x), 4) for x in one.fall],
            }
            for one in found.profiles
        ],
        "combinations": [
            {"left_share": round(one.left_share, 4), "parts": [[name, round(x, 3)] for name, x in one.parts]}
            for one in found.combinations
        ],
        "left_out": [{"row": one.name, "reason": one.reason} for one in found.left],
        "points_without": dict(found.points_without),
    }


def print_fit(found: Fit) -> None:
    """Print the parameters before and after, and how many numbers lie inside."""
    from euthymia.cli.fit_shown import PARAMETER_HEADS, parameter_rows, summary_lines

    show.table(PARAMETER_HEADS, parameter_rows(found), right=(1, 2, 3, 4, 5))
    for line in summary_lines(found):
        print(line)
    print(show.NOT_A_DEVICE)
