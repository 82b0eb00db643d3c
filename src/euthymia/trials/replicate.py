"""A trial many times over: replicates in batches, in any number of processes, kept as they are done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from typing import Any
from typing import Protocol as Interface

import numpy as np

from euthymia.compute.batch import chunks
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.errors import invalid
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.trials.conduct import run_replicates
from euthymia.trials.design import Protocol
from euthymia.trials.enrol import Intake, intake
from euthymia.trials.estimates import summarise
from euthymia.trials.looks import with_looks
from euthymia.trials.records import Cohort, Replicate, TrialResult, part_of

PATIENTS_PER_BATCH = 1024
"""Replicates go together until they have about so many patients; the result does not depend on it."""
UNCALIBRATED = (
    "Not calibrated: sizes of effects are set by hand to some of the published trials, or assumed. Read "
    "directions and how designs compare, not the numbers (docs/limits.md)."
)


class Store(Interface):
    """Keeps batches of replicates, so that a run which was stopped goes on where it was."""

    def load(self, batch: int) -> tuple[Replicate, ...] | None:
        """Return a batch that is kept, None where there is none."""
        ...

    def save(self, batch: int, replicates: Sequence[Replicate]) -> None:
        """Keep a batch, whole."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Replicates that are run together."""

    place: int
    replicates: tuple[int, ...]


def batches(
    protocol: Protocol, replicates: int, *, patients_per_batch: int = PATIENTS_PER_BATCH
) -> list[Batch]:
    """Return how the replicates of a trial are cut."""
    if replicates < 1:
        raise invalid("replicates", must="1 or more", got=replicates)
    together = max(1, patients_per_batch // protocol.size)
    return [
        Batch(place=place, replicates=tuple(range(part.start, part.stop)))
        for place, part in enumerate(chunks(replicates, together))
    ]


def run_batch(given: Intake, batch: Batch, *, engine: str | None = None) -> tuple[Replicate, ...]:
    """Return what is kept of some replicates."""
    cohorts, _ = run_replicates(given, batch.replicates, engine=engine, executor=SerialExecutor())
    return tuple(with_looks(summarise(cohort), cohort) for cohort in cohorts)


def run_trial(
    protocol: Protocol,
    *,
    replicates: int = 1,
    seed: int = 1,
    parameters: str | ParameterSet = DEFAULT_SET,
    engine: str | None = None,
    executor: Executor | None = None,
    store: Store | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> TrialResult:
    """Return a virtual trial: every replicate analysed, and the patients of the first.

    Parameters
    ----------
    protocol : Protocol
    replicates : int
        Each has patients of its own.
    seed : int
        Keys every draw; replicate 7 is the same whatever else is run.
    parameters : str or ParameterSet
    engine : str, optional
        As for ``simulate``.
    executor : Executor, optional
        Runs the batches; by default one after the other. The result does not depend on it.
    store : Store, optional
        Batches that it holds are not run again.
    on_done : callable, optional
        Called with (replicates done, replicates in all).

    Raises
    ------
    InvalidInputError
        Where nobody can be enrolled, or arms cannot be balanced.

    Examples
    --------
    >>> from euthymia.trials.protocols import load_protocol
    >>> trial = run_trial(load_protocol("murrough-2013"), seed=3)
    >>> trial.first.screened >= trial.protocol.size
    True
    """
    chosen = load_parameters(parameters) if isinstance(parameters, str) else parameters
    given = intake(protocol, chosen, seed=seed)
    # this also chooses the grids of all arms, which the other processes then find in the cache
    (first,), said = run_replicates(given, [0], engine=engine)
    kept = _kept(given, batches(protocol, replicates), engine, executor, store, on_done, replicates)
    return TrialResult(
        protocol=protocol,
        seed=seed,
        parameters=chosen.name,
        replicates=kept,
        first=first,
        provenance=provenance_of(protocol, chosen, seed=seed, engine=engine),
        warnings=(UNCALIBRATED, *given.notes, *distinct(said)),
    )


def _kept(
    given: Intake,
    planned: Sequence[Batch],
    engine: str | None,
    executor: Executor | None,
    store: Store | None,
    on_done: Callable[[int, int], None] | None,
    replicates: int,
) -> tuple[Replicate, ...]:
    """Run what is not kept yet, keep it, and return everything in order."""
    found = {batch.place: store.load(batch.place) if store else None for batch in planned}
    missing = [batch for batch in planned if found[batch.place] is None]
    done = replicates - sum(len(batch.replicates) for batch in missing)
    runner, together = executor or SerialExecutor(), getattr(executor, "workers", 1)
    for part in chunks(len(missing), together):  # kept in step, so that little is lost when it is stopped
        now = missing[part]
        for batch, made in zip(now, runner.map(partial(run_batch, given, engine=engine), now), strict=True):
            found[batch.place] = made
            done += len(made)
            if store is not None:
                store.save(batch.place, made)
        if on_done is not None:
            on_done(done, replicates)
    return tuple(one for batch in planned for one in found[batch.place] or ())


def distinct(notes: Iterable[str]) -> tuple[str, ...]:
    """Return notes without those that differ from an earlier one in numbers only."""
    kept: dict[str, str] = {}
    for note in notes:
        kept.setdefault(re.sub(r"[\d.]+", "#", note), note)
    return tuple(kept.values())


def digest_of(protocol: Protocol) -> str:
    """Return what tells one protocol from another."""
    return sha256(protocol.model_dump_json(by_alias=True).encode()).hexdigest()[:16]


def provenance_of(
    protocol: Protocol, parameters: ParameterSet, *, seed: int, engine: str | None
) -> dict[str, Any]:
    """Return what is needed to run a trial again and get the same bytes."""
    return {
        "version": version("euthymia"),
        "protocol": protocol.id,
        "protocol_digest": digest_of(protocol),
        "seed": seed,
        "parameters": parameters.name,
        "overrides": dict(parameters.overrides),
        "mechanisms": list(parameters.mechanisms),
        "engine": engine or "c",
    }


def first_of_each_arm(cohort: Cohort, count: int) -> Cohort:
    """Return a cohort of the first patients of each arm (of all, in a crossover) in order of enrolment."""
    if cohort.protocol.crossover is not None:
        return part_of(cohort, np.arange(len(cohort.key)) < count)
    rank = np.zeros(len(cohort.arm), dtype=int)
    for code in range(len(cohort.arms)):
        rows = cohort.arm == code
        rank[rows] = np.arange(rows.sum())
    return part_of(cohort, rank < count)
