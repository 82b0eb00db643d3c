"""Every published trial run again, many times over, and each published result held against what came out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol as Interface

from euthymia.compute.batch import chunks
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.errors import invalid, unknown
from euthymia.evidence.select import is_kept
from euthymia.evidence.studies import load_outcome_rows
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.population.posterior import Posterior, find_posterior
from euthymia.trials.conduct import run_replicates
from euthymia.trials.enrol import Intake, intake
from euthymia.trials.protocols import load_protocol
from euthymia.trials.published import ReplicationRow
from euthymia.trials.replicate import PATIENTS_PER_BATCH, distinct
from euthymia.trials.replication import ReplicationRun, load_replication, quantity_of, replication_rows

Values = dict[str, list[float]]
"""Numbers over replicates by row and part, ``T0009a``."""


class ValueStore(Interface):
    """Keeps the values of batches, so that a run which was stopped goes on where it was."""

    def load(self, name: str) -> Values | None:
        """Return what is kept under a name, None where there is nothing."""
        ...

    def save(self, name: str, values: Values) -> None:
        """Keep values, whole."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """Some replicates of the protocols that are read together.

    Attributes
    ----------
    givens : tuple of Intake
    runs : tuple of ReplicationRun
        What is read off them.
    """

    name: str
    givens: tuple[Intake, ...]
    runs: tuple[ReplicationRun, ...]
    replicates: tuple[int, ...]

    @property
    def cost(self) -> float:
        """Patient-days, for progress."""
        days = [(one.protocol.visits_h[-1] / 24.0 + 1.0) * one.protocol.size for one in self.givens]
        return len(self.replicates) * sum(days)


def bundles(runs: Sequence[ReplicationRun]) -> list[tuple[str, ...]]:
    """Return the protocols that must be run together because a row pools their patients.

    Examples
    --------
    >>> sorted(len(one) for one in bundles(load_replication()))[0]
    1
    """
    found: list[set[str]] = []
    for run in runs:
        own = set(run.protocols)
        joined = [one for one in found if one & own]
        found = [one for one in found if not one & own] + [own.union(*joined)]
    return sorted(tuple(sorted(one)) for one in found if one)


def tasks_of(
    runs: Sequence[ReplicationRun],
    replicates: int,
    parameters: ParameterSet,
    *,
    seed: int,
    posterior: Posterior | None = None,
    fitted_replicates: int | None = None,
) -> list[Task]:
    """Return the work, the longest trials first; see `replicate_published`."""
    found, kept = [], {row.row_id for row in load_outcome_rows() if is_kept(row)}
    fewer = replicates if fitted_replicates is None else min(replicates, fitted_replicates)
    for names in bundles(runs):
        givens = tuple(
            intake(load_protocol(name), parameters, seed=seed, posterior=posterior) for name in names
        )
        own = tuple(run for run in runs if set(run.protocols) <= set(names))
        size = max(1, PATIENTS_PER_BATCH // sum(one.protocol.size for one in givens))
        is_forecast = any(run.row_id in kept for run in own if run.protocols)
        for part in chunks(replicates if is_forecast else fewer, size):
            name = f"{'+'.join(names)}-{part.start:05d}"
            numbers = tuple(range(part.start, part.stop))
            found.append(Task(name=name, givens=givens, runs=own, replicates=numbers))
    return sorted(found, key=lambda one: (-one.cost / len(one.replicates), one.name))


def run_task(task: Task, *, engine: str | None = None) -> Values:
    """Return what is read off some replicates."""
    alone = SerialExecutor()
    cohorts = {
        given.protocol.id: run_replicates(given, task.replicates, engine=engine, executor=alone)[0]
        for given in task.givens
    }
    return {
        f"{run.row_id}{run.part}": [
            quantity_of([cohorts[name][place] for name in run.protocols], run)
            for place in range(len(task.replicates))
        ]
        for run in task.runs
    }


def replicate_published(
    *,
    replicates: int = 100,
    fitted_replicates: int | None = None,
    only: Collection[str] = (),
    seed: int = 1,
    parameters: str | ParameterSet = DEFAULT_SET,
    posterior: str | Posterior | None = None,
    engine: str | None = None,
    executor: Executor | None = None,
    store: ValueStore | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[tuple[ReplicationRow, ...], tuple[str, ...]]:
    """Return every published outcome beside its simulated trial, and what must be said of the runs.

    No row is left out: what cannot be compared says why.

    Parameters
    ----------
    replicates : int
        Of each trial; 20 or more for an interval.
    fitted_replicates : int, optional
        Of trials without a row kept to validate, where fewer do.
    only : collection of str
        Names of protocols; by default all.
    seed, parameters, posterior, engine, executor
        As for `euthymia.trials.replicate.run_trial`; a replicate takes one draw in all trials.
    store : ValueStore, optional
        Batches that it holds are not run again.
    on_done : callable, optional
        Called with (patient-days done, in all).

    Raises
    ------
    InvalidInputError
    """
    for name, count in (("replicates", replicates), ("fitted replicates", fitted_replicates)):
        if count is not None and count < 1:
            raise invalid(name, must="1 or more", got=count)
    every = load_replication()
    known = {name for run in every for name in run.protocols}
    for name in only:
        if name not in known:
            raise unknown("protocol with published results", name, known)
    chosen = load_parameters(parameters) if isinstance(parameters, str) else parameters
    shown = [run for run in every if not only or set(run.protocols) & set(only)]
    wanted = [run for run in shown if run.is_comparable and run.protocols]
    believed = find_posterior(posterior, chosen)
    tasks = tasks_of(
        wanted, replicates, chosen, seed=seed, posterior=believed, fitted_replicates=fitted_replicates
    )
    values = _values(tasks, engine, executor, store, on_done)
    notes = distinct(note for task in tasks for given in task.givens for note in given.notes)
    titles = {name: load_protocol(name).title for run in shown for name in run.protocols}
    return replication_rows(shown, values, titles=titles), notes


def _values(
    tasks: Sequence[Task],
    engine: str | None,
    executor: Executor | None,
    store: ValueStore | None,
    on_done: Callable[[int, int], None] | None,
) -> Mapping[str, list[float]]:
    """Run what is not kept yet, keep it as it comes, and return all values in order of the replicates."""
    loaded = {task.name: store.load(task.name) if store else None for task in tasks}
    found = {task.name: _whole(task, loaded[task.name]) for task in tasks}
    missing = [task for task in tasks if found[task.name] is None]
    total = sum(task.cost for task in tasks)
    done = total - sum(task.cost for task in missing)

    def keep(place: int, values: Values) -> None:
        nonlocal done
        task = missing[place]
        found[task.name] = values
        done += task.cost
        if store is not None:
            store.save(task.name, values)
        if on_done is not None:
            on_done(round(done), round(total))

    (executor or SerialExecutor()).map(partial(run_task, engine=engine), missing, on_result=keep)
    gathered: dict[str, list[float]] = {}
    for task in sorted(tasks, key=lambda one: one.replicates[0]):
        for name, values in (found[task.name] or {}).items():
            gathered.setdefault(name, []).extend(values)
    return gathered


def _whole(task: Task, values: Values | None) -> Values | None:
    """Return values that are kept, if they are those of the task: a shorter run may have left fewer."""
    names = {f"{run.row_id}{run.part}" for run in task.runs}
    if values is None or set(values) != names:
        return None
    return values if all(len(row) == len(task.replicates) for row in values.values()) else None
