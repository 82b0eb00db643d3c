"""Runs everything that a qualification rests on, or takes trials from a run that was kept."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from euthymia.cli import show
from euthymia.cli.qualify_found import Qualification
from euthymia.cli.replicate import provenance, rows_from, run_folder
from euthymia.errors import InvalidInputError, invalid
from euthymia.files.value_folder import ValueFolder, values_in

if TYPE_CHECKING:
    from euthymia.calibration.validation import Judged, JudgedGap
    from euthymia.evidence.fact_compare import FactComparison, Table
    from euthymia.model.parameters import ParameterSet
    from euthymia.population.posterior import Posterior
    from euthymia.trials.replication_all import Values

REPLICATION = "euthymia.replication/1"
TABLES: tuple[Table, ...] = ("mechanism", "safety", "efficacy")


class _Gathering:
    """Keeps values of batches in memory, and in a folder where one is given."""

    def __init__(self, inner: ValueFolder | None) -> None:
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


def from_runs(
    chosen: ParameterSet,
    posterior: str | None,
    *,
    replicates: int,
    fitted_replicates: int,
    only: Sequence[str],
    seed: int,
    engine: str | None,
    workers: int | None,
    out: Path | None,
    is_quiet: bool,
) -> Qualification:
    """Return a qualification on trials that are run now; a folder keeps their batches.

    Raises
    ------
    InvalidInputError, UnknownNameError
    """
    from euthymia.calibration.validation import judge, judge_gaps
    from euthymia.cli.trial import executor_of
    from euthymia.population.posterior import PRIOR, find_posterior
    from euthymia.trials.replicate import believed_of
    from euthymia.trials.replication_all import replicate_published
    from euthymia.trials.replication_runs import load_replication

    believed = find_posterior(posterior, chosen)
    made = provenance(chosen, seed=seed, engine=engine) | believed_of(chosen, believed)
    store = _Gathering(None if out is None else run_folder(out, made, chosen))
    with show.progress("trials", is_quiet=is_quiet, counted="patient-days") as on_done:
        _, notes = replicate_published(
            replicates=replicates,
            fitted_replicates=fitted_replicates,
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
    gaps = judge_gaps(runs, store.values(), rows, posterior=believed, seed=seed)
    return _whole(
        chosen,
        believed,
        made,
        rows,
        gaps,
        replicates=replicates,
        fitted_replicates=fitted_replicates,
        is_stored=False,
        notes=notes,
        engine=engine,
        is_quiet=is_quiet,
    )


def from_stored(
    path: Path,
    chosen: ParameterSet,
    posterior: str | None,
    *,
    only: Sequence[str],
    engine: str | None,
    is_quiet: bool,
) -> Qualification:
    """Return a qualification on trials of a stored run, a folder or its ``replication.json``.

    Raises
    ------
    InvalidInputError, UnknownNameError
        It is none of this version, of other parameters, or of another posterior.
    """
    from euthymia.calibration.validation import judge, judge_gaps, judge_stored
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
        gaps = judge_gaps(runs, values, judged, posterior=believed, seed=document["seed"])
        notes: tuple[str, ...] = ()
    else:
        names = {f"{run.row_id}{run.part}" for run in shown}
        judged, gaps = tuple(one for one in judge_stored(rows) if one.name in names), ()
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
        gaps,
        replicates=document["replicates"],
        fitted_replicates=document["replicates"],
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
    """Return the posterior of a stored run, where it ships or is asked for; None for the prior.

    Raises
    ------
    InvalidInputError
        Another one is asked for, or it cannot be found.
    """
    from euthymia.population.posterior import find_posterior, posterior_names

    own = document.get("posterior_digest", "")
    if not own and asked is None:
        return None
    name = document.get("posterior")
    found = find_posterior(name if asked is None and name in posterior_names() else asked, chosen)
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
            batches[place.stem] = values_in(json_module.loads(place.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}
    count = document["replicates"]
    found = {name: values[:count] for name, values in joined(batches).items()}
    return found if all(len(values) == count for values in found.values()) else {}


def _whole(
    chosen: ParameterSet,
    believed: Posterior | None,
    made: Mapping[str, Any],
    rows: tuple[Judged, ...],
    gaps: tuple[JudgedGap, ...],
    *,
    replicates: int,
    fitted_replicates: int,
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
        fitted_replicates=fitted_replicates,
        is_stored=is_stored,
        frozen=frozen,
        posterior=believed,
        checks=checks,
        facts=facts_found(chosen, believed, is_quiet=is_quiet),
        rows=rows,
        gaps=gaps,
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
