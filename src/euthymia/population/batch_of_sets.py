"""Many parameter sets at once: typical people without chance, each with parameters and doses of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from os import cpu_count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.batch import chunks
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.errors import unknown
from euthymia.model.parameters import ParameterRow, ParameterSet
from euthymia.population.run import Run, slots_of
from euthymia.population.solve import solve_part
from euthymia.population.surroundings import midazolam_of

Array = NDArray[np.float64]
Read = Callable[[Array, Mapping[str, Array]], Mapping[str, Array]]
SETS_PER_CHUNK = 1024


def solve_sets(
    run: Run,
    values: Mapping[str, Array],
    *,
    dose_relative: Array,
    read: Read,
    executor: Executor | None = None,
    on_done: Callable[[int], object] | None = None,
) -> dict[str, Array]:
    """Return what is read off the course of one typical person under each of many parameter sets.

    Parameters
    ----------
    run : Run
        Of one typical patient, prepared and calibrated: its grid serves every set.
    values : {"layer.field": array (P,)}
        What differs between the sets, in the unit that the name ends in; the rest is the run's.
    dose_relative : array (P,)
        What every dose of ketamine is times the regimen's.
    read : callable (times_h (T,), {variable: array (p, T)}) -> {name: array (p,)}
        Makes of the courses of a chunk what is kept of them.
    executor : Executor, optional
        By default threads where there is enough to do. The result does not depend on it.
    on_done : callable, optional
        Called with the number of sets that are done.

    Raises
    ------
    UnknownNameError
        A field that the set does not have.
    RunFailedError
        A solve failed.
    """
    count = len(dose_relative)
    parts = chunks(count, SETS_PER_CHUNK)
    runner = executor or (ThreadExecutor(cpu_count() or 1) if len(parts) > 1 else SerialExecutor())

    def solve(part: slice) -> Mapping[str, Array]:
        found = solve_part(_of_sets(run, values, dose_relative, part), slice(None), None)
        return read(run.times_h, found.solution.values)

    def report(done: int) -> None:
        if on_done is not None:
            on_done(min(done * SETS_PER_CHUNK, count))

    pieces = runner.map(solve, parts, on_done=report)
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _of_sets(run: Run, values: Mapping[str, Array], dose_relative: Array, part: slice) -> Run:
    """Return the run of some of the sets: a person for each, all alike but for the values."""
    doses = dose_relative[part]
    people = [run.people[0]] * len(doses)
    slots = slots_of(run.plan, people)
    weights = np.array([one.weight_kg for one in people])
    return replace(
        run,
        parameters=with_arrays(run.parameters, {name: array[part] for name, array in values.items()}),
        people=people,
        numbers=None,
        slots=slots,
        midazolam=midazolam_of(run.plan, weights) if run.plan else (),
        factors=np.repeat(doses[:, None], len(slots), axis=1),
    )


def with_arrays(parameters: ParameterSet, values: Mapping[str, Array]) -> ParameterSet:
    """Return a set in which some rows hold a value for each person, (P,), instead of one number.

    Such a set is for solving only: nothing prints it, and its grid is that of another one.

    Raises
    ------
    UnknownNameError
        A field that the set does not have.
    """
    rows, chain = dict(parameters.rows), dict(parameters.chain)
    for name, array in values.items():
        table, key = (chain, name) if name in chain else (rows, name.removeprefix("pk."))
        if key not in table:
            raise unknown("parameter", name, [row.name for row in (*rows.values(), *chain.values())])
        table[key] = _with_value(table[key], array)
    return replace(parameters, rows=rows, chain=chain)


def _with_value(row: ParameterRow, array: Any) -> ParameterRow:
    return replace(row, value=array)
