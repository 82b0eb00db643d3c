"""Published facts about the chain and about trials, and how each is compared with the model.

A table of facts holds what was printed; beside it a table of runs says, for every fact, what is run, what is
read off and between which bounds it should lie, or why it cannot be compared. Nothing here runs the model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache

from euthymia.citations import load_sources
from euthymia.evidence.check import require_sound, split_keys
from euthymia.evidence.fact_check import fact_problems
from euthymia.evidence.fact_records import FactRow, FactRun, read_run
from euthymia.evidence.records import Role
from euthymia.evidence.select import require_fittable
from euthymia.model.parameters import ParameterSet, load_parameters
from euthymia.tables import Row, read_table

MECHANISM = "evidence/mechanism/quantities"
ACUTE = "evidence/safety/acute_effects"
OUTCOMES = "evidence/efficacy/outcomes"


@cache
def load_mechanism_facts() -> tuple[FactRow, ...]:
    """Return the shipped facts from block to synapse, mood and antidepressants, of every role."""
    return _load(MECHANISM)


@cache
def load_acute_facts() -> tuple[FactRow, ...]:
    """Return the shipped facts on what happens during a session, of every role."""
    return _load(ACUTE)


@cache
def load_outcome_facts() -> tuple[FactRow, ...]:
    """Return the shipped outcomes of trials, from controls to relapse, of every role."""
    return _load(OUTCOMES)


def _load(stem: str) -> tuple[FactRow, ...]:
    rows, runs = read_table(f"{stem}.csv"), read_table(f"{stem}_runs.csv")
    return read_facts(
        stem,
        rows,
        runs,
        sources=load_sources(),
        variables=known_variables(),
        parameters=load_parameters(),
    )


def known_variables() -> frozenset[str]:
    """Return the names of observables that a run may use."""
    return frozenset(row["name"] for row in read_table("variables.csv"))


def read_facts(
    table: str,
    rows: Sequence[Row],
    runs: Sequence[Row],
    *,
    sources: Collection[str],
    variables: Collection[str],
    parameters: ParameterSet,
) -> tuple[FactRow, ...]:
    """Return facts from their two tables.

    Raises
    ------
    InvalidInputError
        If any check fails, with every problem on its own line.
    """
    problems = fact_problems(rows, runs, sources=sources, variables=variables, parameters=parameters)
    require_sound(f"{table}.csv", problems)
    by_id: dict[str, list[FactRun]] = {}
    for run in runs:
        by_id.setdefault(run["row_id"], []).append(read_run(run))
    return tuple(_fact(row, tuple(by_id[row["row_id"]])) for row in rows)


def comparable_runs(rows: Iterable[FactRow]) -> tuple[FactRun, ...]:
    """Return every run of some facts that can be compared with the model, of any role."""
    return tuple(run for row in rows for run in row.runs if run.is_comparable)


def runs_to_fit(rows: Iterable[FactRow]) -> tuple[FactRun, ...]:
    """Return the comparable runs of facts that are to be fitted.

    Raises
    ------
    InvalidInputError
        If a row may only be predicted or shown.
    """
    chosen = tuple(rows)
    for row in chosen:
        require_fittable(row)
    return comparable_runs(chosen)


def _fact(row: Row, runs: tuple[FactRun, ...]) -> FactRow:
    return FactRow(
        row_id=row["row_id"],
        role=Role(row["role"]),
        source_keys=split_keys(row["source_key"]),
        citation=row["citation"],
        url=row["url"],
        confidence=row["confidence"],
        runs=runs,
        printed=row,
    )
