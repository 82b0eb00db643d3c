"""``euthymia qualify``: everything that speaks for and against the model, on one page."""

from __future__ import annotations

import json as json_module
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import options, show
from euthymia.cli.replicate import Folder, provenance, rows_from
from euthymia.errors import InvalidInputError, invalid
from euthymia.files.trial_json import number_in, number_out

if TYPE_CHECKING:
    from euthymia.calibration.scoring import Forecast, Score
    from euthymia.calibration.validation import Judged
    from euthymia.calibration.verification import Check
    from euthymia.evidence.fact_compare import FactComparison, Table
    from euthymia.model.parameters import ParameterSet
    from euthymia.population.posterior import Posterior
    from euthymia.trials.replication_all import Values

SCHEMA = "euthymia.qualification/1"
REPLICATION = "euthymia.replication/1"
TABLES: tuple[Table, ...] = ("mechanism", "safety", "efficacy")
VALIDATE, CALIBRATE = "validate", "calibrate"


@dataclass(frozen=True, kw_only=True)
class Qualification:
    """Everything that a report says.

    Attributes
    ----------
    made : mapping
        What gives the same bytes again: version, seed, parameters, posterior, engine.
    replicates : int
    is_stored : bool
        Whether trials were read from a stored run.
    frozen : str
        Digest of the frozen posterior; empty before one is frozen.
    facts : {table: comparisons}
    cautions : tuple of str
        What results may not mean.
    sources : tuple of str
        Keys of the bibliography behind the parameters.
    """

    made: Mapping[str, Any]
    replicates: int
    is_stored: bool
    frozen: str
    posterior: Posterior | None
    checks: tuple[Check, ...]
    facts: Mapping[str, tuple[FactComparison, ...]]
    rows: tuple[Judged, ...]
    cautions: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def has_study_effects(self) -> bool:
        """Whether forecasts hold what differs between studies."""
        return any(one.among_studies is not None for one in self.rows)

    @property
    def is_frozen_one(self) -> bool:
        """Whether the replicates took draws of the posterior that was frozen."""
        return bool(self.frozen) and self.made.get("posterior_digest", "") == self.frozen

    def of_role(self, role: str) -> tuple[Judged, ...]:
        """Return the rows of a role."""
        return tuple(one for one in self.rows if one.role == role)

    def groups(self) -> dict[str, tuple[Judged, ...]]:
        """Return the rows to validate with by what is new about their trial."""
        kept = [one for one in self.of_role(VALIDATE) if one.group]
        return {
            name: tuple(one for one in kept if one.group == name)
            for name in dict.fromkeys(one.group for one in kept)
        }

    def score(
        self, rows: Sequence[Judged], *, is_among_studies: bool | None = None, is_first_day_only: bool = False
    ) -> Score:
        """Return the scores of some rows; by default with effects of studies where they are known."""
        from euthymia.calibration.validation import score_rows

        chosen = self.has_study_effects if is_among_studies is None else is_among_studies
        return score_rows(rows, every=self.rows, is_among_studies=chosen, is_first_day_only=is_first_day_only)


def qualify(
    context: typer.Context,
    replicates: Annotated[
        int, typer.Option("--replicates", metavar="R", help="Of every trial; 1000 for a score to publish.")
    ] = 1000,
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
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--trial", metavar="NAME", help="Only this protocol; may be repeated.", show_default=False
        ),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option("--card", metavar="FILE.md", help="Writes the model card.", show_default=False),
    ] = None,
    seed: options.Seed = 1,
    posterior: options.Posterior = None,
    overrides: options.Overrides = None,
    mechanism: options.Mechanism = None,
    engine: options.Engine = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, help="Processes; by default one a core.", show_default=False
        ),
    ] = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Hold the model against everything there is, and say what it may be used for.

    Checks of the code, facts, every published trial with its verdict, and forecasts of trials that were not
    fitted, scored. What is kept for validation stays closed until a posterior is frozen.

    Example: euthymia qualify --out qualified --report qualification.html --card model-card.md
    """
    from euthymia.files.writing import check_writable, write_whole

    for path in (report, card):
        if path is not None:
            check_writable(path)
    if stored is not None and out is not None:
        raise invalid("--out", must="left out with '--from', which runs no trial", got=str(out))
    chosen = options.chosen_set("composed", overrides, mechanisms=mechanism)
    if stored is None:
        found = _run(
            chosen,
            posterior,
            replicates=replicates,
            only=only or (),
            seed=seed,
            engine=engine,
            workers=workers,
            out=out,
            is_quiet=quiet,
        )
    else:
        found = _from(stored, chosen, posterior, only=only or (), engine=engine, is_quiet=quiet)
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


# --- what is run ---------------------------------------------------------------------------------


class _Gathering:
    """Keeps values of batches in memory, and in a folder where one is given."""

    def __init__(self, inner: Folder | None) -> None:
        self._inner = inner
        self._found: dict[str, Values] = {}

    def load(self, name: str) -> Values | None:
        """Implement `euthymia.trials.replication_all.ValueStore`."""
        kept = None if self._inner is None else self._inner.load(name)
        if kept is not None:
            self._found[name] = kept
        return kept

    def save(self, name: str, values: Values) -> None:
        """Implement `euthymia.trials.replication_all.ValueStore`."""
        self._found[name] = values
        if self._inner is not None:
            self._inner.save(name, values)

    def values(self) -> dict[str, list[float]]:
        """Return the values of all batches in order of their replicates."""
        return joined(self._found)


def joined(batches: Mapping[str, Values]) -> dict[str, list[float]]:
    """Return values of batches, ``singh-2016-twice-00050``, one after the other."""
    gathered: dict[str, list[float]] = {}
    for name in sorted(batches, key=lambda one: int(one.rpartition("-")[2])):
        for row, values in batches[name].items():
            gathered.setdefault(row, []).extend(values)
    return gathered


def _run(
    chosen: ParameterSet,
    posterior: str | None,
    *,
    replicates: int,
    only: Sequence[str],
    seed: int,
    engine: str | None,
    workers: int | None,
    out: Path | None,
    is_quiet: bool,
) -> Qualification:
    from euthymia.calibration.validation import judge
    from euthymia.cli.trial import executor_of
    from euthymia.files.run_folder import parameters_digest
    from euthymia.population.posterior import PRIOR, find_posterior
    from euthymia.trials.replicate import believed_of
    from euthymia.trials.replication_all import replicate_published
    from euthymia.trials.replication_runs import load_replication

    believed = find_posterior(posterior, chosen)
    made = provenance(chosen, seed=seed, engine=engine) | believed_of(chosen, believed)
    digest = {"parameters_digest": parameters_digest(chosen)}
    store = _Gathering(None if out is None else Folder(out, {**made, **digest}))
    with show.progress("trials", is_quiet=is_quiet, counted="patient-days") as on_done:
        _, notes = replicate_published(
            replicates=replicates,
            only=only,
            seed=seed,
            parameters=chosen,
            posterior=believed or PRIOR,
            engine=engine,
            executor=executor_of(workers, patients=replicates * 1000),
            store=store,
            on_done=on_done,
        )
    runs = [run for run in load_replication() if not only or set(run.protocols) & set(only)]
    rows = judge(runs, store.values(), posterior=believed, seed=seed)
    return _whole(
        chosen,
        believed,
        made,
        rows,
        replicates=replicates,
        is_stored=False,
        notes=notes,
        engine=engine,
        is_quiet=is_quiet,
    )


def _from(
    path: Path,
    chosen: ParameterSet,
    posterior: str | None,
    *,
    only: Sequence[str],
    engine: str | None,
    is_quiet: bool,
) -> Qualification:
    from euthymia.calibration.validation import judge, judge_stored
    from euthymia.trials.replication_runs import load_replication

    document = read_replication_file(path)
    believed = _posterior_of(document, posterior, chosen)
    for name, own in (("parameters", chosen.name), ("mechanisms", list(chosen.mechanisms))):
        if document[name] != own:
            must = f"a run with the {name} asked for, {own}"
            raise invalid("--from", must=must, got=f"{document[name]} in {path}")
    if document["overrides"] != dict(chosen.overrides):
        raise invalid("--set", must=f"as in {path}", got=str(dict(chosen.overrides)))
    rows = rows_from(document)
    values = _values_beside(path, document)
    shown = [run for run in load_replication() if not only or set(run.protocols) & set(only)]
    if values:
        kept = {(row.row_id, row.trial) for row in rows}
        runs = [run for run in shown if (run.row_id, " + ".join(run.protocols)) in kept]
        judged = judge(runs, values, posterior=believed, seed=document["seed"])
        notes: tuple[str, ...] = ()
    else:
        names = {f"{run.row_id}{run.part}" for run in shown}
        judged = tuple(one for one in judge_stored(rows) if one.name in names)
        notes = (
            "Trials come from a stored result without its replicates: forecasts are its medians and "
            "intervals, effects of studies are not added, and there is no calibration plot.",
        )
    made = {
        key: document[key] for key in ("version", "seed", "parameters", "overrides", "mechanisms", "engine")
    } | {key: document[key] for key in ("posterior", "posterior_digest") if key in document}
    return _whole(
        chosen,
        believed,
        made,
        judged,
        replicates=document["replicates"],
        is_stored=True,
        notes=notes,
        engine=engine,
        is_quiet=is_quiet,
    )


def read_replication_file(path: Path) -> dict[str, Any]:
    """Return a stored run of published trials.

    Raises
    ------
    InvalidInputError
        It cannot be read, is another kind of file, or was made by another version.
    """
    from importlib.metadata import version

    place = path / "replication.json" if path.is_dir() else path
    try:
        document = json_module.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"'--from' {place} cannot be read: {error.strerror}."
        raise InvalidInputError(message) from None
    except ValueError:
        document = None
    cure = "'euthymia evidence replicate --out FOLDER' writes one."
    if not isinstance(document, dict) or document.get("schema") != REPLICATION:
        got = document.get("schema") if isinstance(document, dict) else "no JSON object"
        raise invalid("--from", must=f"a file with 'schema': {REPLICATION!r}", got=repr(got), cure=cure)
    if document.get("version") != version("euthymia"):
        must = f"a run of this version, {version('euthymia')}"
        got = f"version {document.get('version')} in {place}"
        raise invalid("--from", must=must, got=got, cure="Run it again: numbers may have moved.")
    needed = ("seed", "parameters", "overrides", "mechanisms", "engine", "replicates", "rows")
    if missing := [name for name in needed if name not in document]:
        raise invalid("--from", must="a whole file", got=f"{place} without {', '.join(missing)}", cure=cure)
    return document


def _posterior_of(document: Mapping[str, Any], asked: str | None, chosen: ParameterSet) -> Posterior | None:
    """Return the posterior of a stored run; None for the prior.

    Raises
    ------
    InvalidInputError
        Another one is asked for, or it cannot be found.
    """
    from euthymia.population.posterior import find_posterior

    own = document.get("posterior_digest", "")
    if not own and asked is None:
        return None
    found = find_posterior(asked, chosen)
    digest = "" if found is None else found.digest
    if digest != own:
        named = {True: "the prior", False: "the posterior "}
        must = f"that of the run, {named[not own]}{own[:12]}"
        got = f"{named[not digest]}{digest[:12]}"
        raise invalid("--posterior", must=must, got=got, cure="Give its file, or leave '--from' out.")
    return found


def _values_beside(path: Path, document: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the replicates kept beside a result; nothing where they are not there, or not whole."""
    folder = (path if path.is_dir() else path.parent) / "values"
    batches: dict[str, Values] = {}
    for place in folder.glob("*-*.json"):
        try:
            kept = json_module.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        batches[place.stem] = {key: [number_in(one) for one in row] for key, row in kept.items()}
    count = document["replicates"]
    found = {name: values[:count] for name, values in joined(batches).items()}
    return found if all(len(values) == count for values in found.values()) else {}


def _whole(
    chosen: ParameterSet,
    believed: Posterior | None,
    made: Mapping[str, Any],
    rows: tuple[Judged, ...],
    *,
    replicates: int,
    is_stored: bool,
    notes: Sequence[str],
    engine: str | None,
    is_quiet: bool,
) -> Qualification:
    """Return rows with checks of the code and with facts, which are always made again."""
    from euthymia.calibration.verification import run_checks
    from euthymia.cli.trial import sources_of
    from euthymia.evidence.select import frozen_posterior
    from euthymia.trials.replicate import uncalibrated

    with show.progress("checks", is_quiet=is_quiet, counted="done") as on_done:
        checks = run_checks(chosen, posterior=believed, engine=engine, on_done=on_done)
    frozen = frozen_posterior()
    cautions = [*uncalibrated(chosen, believed), *_cautions(believed, made, frozen), *notes]
    return Qualification(
        made=made,
        replicates=replicates,
        is_stored=is_stored,
        frozen=frozen,
        posterior=believed,
        checks=checks,
        facts=facts_found(chosen, believed, is_quiet=is_quiet),
        rows=rows,
        cautions=tuple(cautions),
        sources=tuple(sources_of(chosen)),
    )


def _cautions(believed: Posterior | None, made: Mapping[str, Any], frozen: str) -> list[str]:
    from importlib.metadata import version

    from euthymia.trials.protocols import load_protocol, protocol_names
    from euthymia.trials.replicate import digest_of

    said = []
    if frozen and made.get("posterior_digest", "") != frozen:
        said.append(
            f"The frozen posterior is {frozen[:12]}, and these forecasts are not of it: scores on rows kept "
            "to validate are of a model that was chosen after they were opened."
        )
    if believed is None:
        return said
    if believed.version != version("euthymia"):
        said.append(
            f"The posterior {believed.name} was fitted by version {believed.version}; this is "
            f"{version('euthymia')}."
        )
    then = believed.evidence.get("protocols", {})
    moved = [
        name
        for name, digest in then.items()
        if name not in protocol_names() or digest_of(load_protocol(name)) != digest
    ]
    if moved:
        said.append(f"Protocols have changed since the posterior was fitted: {', '.join(moved)}.")
    return said


def facts_found(
    chosen: ParameterSet, believed: Posterior | None, *, is_quiet: bool
) -> dict[str, tuple[FactComparison, ...]]:
    """Return every fact beside the model, at the mean of the posterior where there is one."""
    from dataclasses import replace

    from euthymia.evidence.fact_compare import compare_facts
    from euthymia.population.posterior import PRIOR

    at = replace(chosen, posterior=PRIOR) if believed is None else believed.at_center(chosen)
    found = {}
    for table in TABLES:
        with show.progress(f"facts, {table}", is_quiet=is_quiet) as on_done:
            found[table] = tuple(compare_facts(table, parameters=at, on_done=on_done))
    return found


# --- what is written -----------------------------------------------------------------------------


def document_of(found: Qualification) -> dict[str, Any]:
    """Return a qualification as it stands in a file."""
    from euthymia.calibration.validation import adequacy, hard_cases

    return {
        **found.made,
        "replicates": found.replicates,
        "is_stored": found.is_stored,
        "frozen_posterior": found.frozen,
        "is_of_frozen_posterior": found.is_frozen_one,
        "cautions": list(found.cautions),
        "verification": [{**_plain(asdict(one)), "passes": one.passes} for one in found.checks],
        "facts": [_fact(table, one) for table, rows in found.facts.items() for one in rows],
        "rows": [_row(one) for one in found.rows],
        "scores": _scores(found),
        "hard_cases": [
            {
                "name": case.name,
                "asks": case.asks,
                "rows": [one.name for one in found.rows if case.picks(one)],
            }
            for case in hard_cases()
        ],
        "adequacy": [asdict(one) for one in adequacy(found.score(found.of_role(VALIDATE)))],
    }


def _scores(found: Qualification) -> list[dict[str, Any]]:
    every = {
        VALIDATE: found.of_role(VALIDATE),
        CALIBRATE: found.of_role(CALIBRATE),
        **{f"{VALIDATE}: {name}": rows for name, rows in found.groups().items()},
    }
    ways = (False, True) if found.has_study_effects else (False,)
    listed = []
    for name, rows in every.items():
        for way in ways:
            score = found.score(rows, is_among_studies=way)
            first = found.score(rows, is_among_studies=way, is_first_day_only=True)
            listed.append(
                {
                    "of": name,
                    "with_study_effects": way,
                    **_plain(asdict(score)),
                    "first_day_skills": [_plain(asdict(one)) for one in first.skills],
                }
            )
    return listed


def _row(one: Judged) -> dict[str, Any]:
    return _plain(
        {
            "row": one.name,
            "trial": one.trial,
            "role": one.role,
            "group": one.group,
            "label": one.run.label,
            "quantity": one.run.quantity,
            "kind": one.kind,
            "is_primary": one.run.is_primary_contrast,
            "state": one.state,
            "verdict": one.verdict,
            "verdict_without_study_effects": one.verdict_of(one.alone),
            "reason": one.reason,
            "observed": one.observed,
            "forecast": _forecast(one.alone),
            "forecast_with_study_effects": None
            if one.among_studies is None
            else _forecast(one.among_studies),
            "source": one.source,
        }
    )


def _forecast(one: Forecast) -> dict[str, Any]:
    return asdict(one)


def _fact(table: str, one: FactComparison) -> dict[str, Any]:
    kept = ("role", "topic", "fact", "kind", "low", "high", "simulated", "unit", "verdict", "comment")
    return _plain(
        {"table": table, "row": f"{one.row_id}{one.part}"} | {name: getattr(one, name) for name in kept}
    )


def _plain(value: Any) -> Any:
    """Return something with numbers as JSON has them."""
    if isinstance(value, float):
        return number_out(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def fact_counts(rows: Sequence[FactComparison]) -> tuple[int, int, int, int]:
    """Return how many facts are reproduced, of how many judged, and how many are closed and not compared."""
    from euthymia.evidence.fact_compare import CLOSED, NOT_REPRODUCED, REPRODUCED

    words = Counter(one.verdict for one in rows)
    hit, judged = words[REPRODUCED], words[REPRODUCED] + words[NOT_REPRODUCED]
    return hit, judged, words[CLOSED], len(rows) - judged - words[CLOSED]


def print_qualification(found: Qualification) -> None:
    """Print what passes, what agrees, what is closed, and which aims are met."""
    from euthymia.calibration.validation import adequacy

    passed = sum(one.passes for one in found.checks)
    print(f"Verification: {passed} of {len(found.checks)} checks pass.")
    for one in found.checks:
        if not one.passes:
            print(f"  FAILS: {one.claim} ({one.value:.2g} {one.unit}, at most {one.tolerance:.2g})")
    for table, rows in found.facts.items():
        hit, judged, closed, left = fact_counts(rows)
        print(f"Facts, {table}: {hit} of {judged} reproduced; {closed} closed, {left} not comparable.")
    roles = list(dict.fromkeys(one.role for one in found.rows))
    counts = Counter((one.role, one.verdict) for one in found.rows)
    verdicts = list(dict.fromkeys(one.verdict for one in found.rows))
    show.table(
        ("role", *verdicts),
        [[role, *(str(counts[role, verdict] or "") for verdict in verdicts)] for role in roles],
        right=tuple(range(1, len(verdicts) + 1)),
    )
    print(frozen_text(found))
    rows = adequacy(found.score(found.of_role(VALIDATE)))
    show.table(
        ("aim for rows kept to validate", "aim", "value", "verdict"),
        [[one.name, one.aim, one.value, one.verdict] for one in rows],
    )
    print(show.NOT_A_DEVICE)


def frozen_text(found: Qualification) -> str:
    """Return whether rows kept to validate are open, and by what."""
    if not found.frozen:
        return "Rows kept to validate are closed until a posterior is frozen; only forecasts are shown."
    own = "of it" if found.is_frozen_one else "NOT of it"
    return f"Rows kept to validate are open: posterior {found.frozen[:12]} is frozen; forecasts are {own}."
