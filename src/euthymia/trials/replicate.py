"""A trial many times over: replicates in batches, in any number of processes, kept as they are done."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from os import environ
from typing import Any
from typing import Protocol as Interface

import numpy as np

from euthymia.compute.batch import chunks
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.errors import ResultWarning, invalid
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.population.posterior import Posterior, find_posterior
from euthymia.population.run import ENGINE_VARIABLE, ENGINES
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
    return tuple(_kept_of(cohort) for cohort in cohorts)


def _kept_of(cohort: Cohort) -> Replicate:
    return with_looks(summarise(cohort), cohort)


def run_trial(
    protocol: Protocol,
    *,
    replicates: int = 1,
    seed: int = 1,
    parameters: str | ParameterSet = DEFAULT_SET,
    posterior: str | Posterior | None = None,
    engine: str | None = None,
    executor: Executor | None = None,
    store: Store | None = None,
    on_done: Callable[[int, int], None] | None = None,
    patients_per_batch: int = PATIENTS_PER_BATCH,
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
    posterior : str, Posterior or None
        What is believed of the calibrated numbers: each replicate takes a draw, keyed by its number and
        shared by its patients, so that intervals hold chance and uncertain numbers. ``mean``, ``prior`` and
        None as for ``simulate``.
    engine : str, optional
        As for ``simulate``.
    executor : Executor, optional
        Runs the batches; by default one after the other. The result does not depend on it.
    store : Store, optional
        Batches that it holds are not run again; others are saved as soon as they are done.
    on_done : callable, optional
        Called with (replicates done, replicates in all).
    patients_per_batch : int
        How many go together, about; the result does not depend on it, what a store holds does.

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
    believed = find_posterior(posterior, chosen)
    given = intake(protocol, chosen, seed=seed, posterior=believed)
    # this also chooses the grids of all arms, which the other processes then find in the cache
    (first,), said = run_replicates(given, [0], engine=engine)
    planned = batches(protocol, replicates, patients_per_batch=patients_per_batch)
    done = _Done(planned, store, on_done)
    if done.missing and done.missing[0].replicates == (0,):
        done.keep(0, (_kept_of(first),))
    work = partial(run_batch, given, engine=engine)
    left = done.missing
    with notes_alone():
        (executor or SerialExecutor()).map(
            work, left, on_result=lambda place, made: done.keep(left[place].place, made)
        )
    return TrialResult(
        protocol=protocol,
        seed=seed,
        parameters=chosen.name,
        replicates=done.replicates,
        first=first,
        provenance=provenance_of(protocol, chosen, seed=seed, engine=engine, posterior=believed),
        warnings=(*uncalibrated(chosen, believed), *given.notes, *distinct(said)),
    )


def uncalibrated(parameters: ParameterSet, posterior: Posterior | None) -> tuple[str, ...]:
    """Return what must be said where no posterior stands behind the numbers."""
    return () if posterior is not None or parameters.posterior else (UNCALIBRATED,)


class _Done:
    """What is done of a run: read from a store, added to it, told of."""

    def __init__(
        self, planned: Sequence[Batch], store: Store | None, on_done: Callable[[int, int], None] | None
    ) -> None:
        self._planned, self._store, self._on_done = planned, store, on_done
        loaded = {} if store is None else {batch.place: store.load(batch.place) for batch in planned}
        self._found = {place: made for place, made in loaded.items() if made and self._is_whole(place, made)}
        if self._found:
            self._tell()

    def _is_whole(self, place: int, made: Sequence[Replicate]) -> bool:
        """Tell whether a batch holds what is asked for: a shorter run may have left less."""
        return tuple(one.replicate for one in made) == self._planned[place].replicates

    @property
    def missing(self) -> list[Batch]:
        """Batches that are to be run."""
        return [batch for batch in self._planned if batch.place not in self._found]

    @property
    def replicates(self) -> tuple[Replicate, ...]:
        """All that is done, in order."""
        return tuple(one for batch in self._planned for one in self._found.get(batch.place, ()))

    def keep(self, place: int, made: tuple[Replicate, ...]) -> None:
        """Keep a batch, and say how many replicates are done."""
        if self._store is not None:
            self._store.save(place, made)
        self._found[place] = made
        self._tell()

    def _tell(self) -> None:
        if self._on_done is not None:
            done = sum(len(made) for made in self._found.values())
            self._on_done(done, sum(len(batch.replicates) for batch in self._planned))


@contextmanager
def notes_alone() -> Iterator[None]:
    """Leave what runs warn of to their notes; it must be said outside of threads, which share the filters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        yield


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
    protocol: Protocol,
    parameters: ParameterSet,
    *,
    seed: int,
    engine: str | None,
    posterior: Posterior | None = None,
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
        **believed_of(parameters, posterior),
        "engine": engine or environ.get(ENGINE_VARIABLE) or ENGINES[0],
    }


def believed_of(parameters: ParameterSet, posterior: Posterior | None) -> dict[str, str]:
    """Return name and digest of the posterior behind a result, nothing for the prior."""
    if posterior is not None:
        return {"posterior": posterior.name, "posterior_digest": posterior.digest}
    return {"posterior": parameters.posterior} if parameters.posterior else {}


def first_of_each_arm(cohort: Cohort, count: int) -> Cohort:
    """Return a cohort of the first patients of each arm (of all, in a crossover) in order of enrolment."""
    if cohort.protocol.crossover is not None:
        return part_of(cohort, np.arange(len(cohort.key)) < count)
    rank = np.zeros(len(cohort.arm), dtype=int)
    for code in range(len(cohort.arms)):
        rows = cohort.arm == code
        rank[rows] = np.arange(rows.sum())
    return part_of(cohort, rank < count)
