"""Facts about the brain network beside every scenario of what depression did to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from euthymia.evidence.fact_compare import FactComparison, compare_facts, facts_of, verdict_of
from euthymia.evidence.fact_courses import FactCourse, Scene, needs_of, simulate_scenes
from euthymia.evidence.fact_records import FactRow, FactRun
from euthymia.evidence.fact_statistics import statistic_of
from euthymia.mechanism.network.gaussian import Change
from euthymia.model.connectivity import (
    BETWEEN,
    COUPLINGS,
    DEFAULT_SCENARIO,
    WITHIN,
    Scenario,
    change_names,
    changes_from_health,
    find_scenario,
)
from euthymia.model.parameters import ParameterSet, load_parameters

FIRST_ROW, LAST_ROW = "Q059", "Q077"
"""Rows about oscillations and networks in people and rats."""


def network_rows() -> tuple[FactRow, ...]:
    """Return the facts about oscillations and networks."""
    return tuple(row for row in facts_of("mechanism") if FIRST_ROW <= row.row_id <= LAST_ROW)


def compare_scenarios(
    names: Sequence[str], *, parameters: ParameterSet | None = None
) -> dict[str, tuple[FactComparison, ...]]:
    """Return the network's facts compared under every scenario named, by its name.

    Why the model misses a fact is said for the default scenario alone.
    """
    base = parameters or load_parameters()
    return {name: _compared(find_scenario(name), base) for name in names}


def _compared(scenario: Scenario, base: ParameterSet) -> tuple[FactComparison, ...]:
    rows = network_rows()
    found = compare_facts("mechanism", rows, parameters=base.with_overrides(dict(scenario.within)))
    if scenario.limbic:
        read = _with_limbic(scenario, base, [run for row in rows for run in row.runs])
        found = tuple(_read_again(one, read) for one in found)
    is_default = scenario.name == DEFAULT_SCENARIO
    return found if is_default else tuple(replace(one, comment="") for one in found)


def _read_again(one: FactComparison, read: Mapping[str, tuple[float | None, str]]) -> FactComparison:
    name = f"{one.row_id}{one.part}"
    return replace(one, simulated=read[name][0], verdict=read[name][1]) if name in read else one


def _with_limbic(
    scenario: Scenario, base: ParameterSet, every: Iterable[FactRun]
) -> dict[str, tuple[float | None, str]]:
    """Return value and verdict of every run that reads the network, with the couplings of limbic cortex."""
    runs = [run for run in every if run.is_comparable and run.variable in change_names()]
    chosen = base.with_overrides(dict(scenario.within))
    courses = _courses(runs, chosen, COUPLINGS)
    limbic = _courses(runs, base.with_overrides(dict(scenario.limbic)), (WITHIN,))
    read = {
        scene: _changed(course, limbic[scene], scenario.limbic_share) for scene, course in courses.items()
    }
    values = {f"{run.row_id}{run.part}": (run, statistic_of(run, read, chosen)) for run in runs}
    return {name: (value, verdict_of(run, value)) for name, (run, value) in values.items()}


def _courses(
    runs: Sequence[FactRun], parameters: ParameterSet, couplings: tuple[str, ...]
) -> dict[Scene, FactCourse]:
    needs = {
        scene: need._replace(
            variables=(*couplings, *(one for one in need.variables if one not in change_names()))
        )
        for scene, need in needs_of(runs).items()
    }
    return simulate_scenes(needs, parameters=parameters)


def _changed(course: FactCourse, limbic: FactCourse, share: float) -> FactCourse:
    change = Change(course.values[WITHIN], course.values[BETWEEN], share * limbic.values[WITHIN])
    return replace(course, values={**course.values, **changes_from_health(change)})
