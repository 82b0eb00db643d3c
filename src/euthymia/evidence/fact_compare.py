"""Holds published facts about the chain and about trials beside the model's values. Never fits anything.

The verdict on a row of sessions or trials that is kept to validate stays closed, and its printed value
unseen, until the posterior is frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, NamedTuple

import numpy as np

from euthymia.evidence.fact_courses import (
    MOST_PATIENTS,
    FactCourse,
    Scene,
    needs_of,
    other_setting_of,
    setting_of,
    simulate_scenes,
    variable_of,
)
from euthymia.evidence.fact_records import STATISTICS, FactRow, FactRun, Override, print_overrides
from euthymia.evidence.fact_statistics import statistic_of
from euthymia.evidence.facts import load_acute_facts, load_mechanism_facts, load_outcome_facts
from euthymia.evidence.select import is_open
from euthymia.evidence.stated import printed_outcome
from euthymia.model.parameters import ParameterSet
from euthymia.model.variables import find_variable
from euthymia.tables import read_table

Table = Literal["mechanism", "safety", "efficacy"]
CLOSE_FRACTION = 0.2
"""A printed number without spread is reproduced within a fifth either way, as for exposures."""
CLOSE_SHARE = 0.01
"""... and a printed share also within one per cent of patients, for it is printed in whole per cents."""
SMALLEST_CHANGE = 1e-6
"""Less than this is no direction: it is of the size of numerical error."""
REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE = "reproduced", "not reproduced", "not comparable"
CLOSED = "closed: opens with the frozen posterior"


@dataclass(frozen=True, kw_only=True, slots=True)
class FactComparison:
    """One published fact beside the model's value.

    Attributes
    ----------
    topic : str
        What the row is about, in the words of its table (``spines``, ``blood pressure``).
    fact : str
        What is stated; without the printed value where the row is closed.
    studied : str
        Species, region or people.
    grade : str
        Whether the number was read in the source, and what kind of page that was.
    changed : str
        What the overrides stand for, in words; empty without any.
    overrides, reference_overrides : str
        What is set on top of the parameter set, and for the regimen of the reference, as in its table.
    relapse_rule, well_by : str
        By what definition patients relapse and enter, where they are followed; else empty.
    patients_count : int or None
        Virtual patients that were simulated; None for the typical patient.
    statistic : str
        What is read off the variable, in words.
    kind : str
        ``direction`` where the bounds say only which way, else ``number``; empty where the row is closed or
        not compared.
    low, high : float or None
        Printed bounds; None is open, and both are None where the row is closed or not compared.
    simulated : float or None
        None where the row is not compared, or where the model has no such number (never, or 0 over 0).
    verdict : str
        ``reproduced``, ``not reproduced``, ``not comparable: reason``, or closed.
    comment : str
        Why the model misses it (``misfits.csv``).
    """

    row_id: str
    part: str
    role: str
    layer: str
    topic: str
    fact: str
    studied: str
    grade: str
    source: str
    url: str
    regimen: str
    setting: str
    changed: str
    overrides: str
    reference_overrides: str
    subgroup: str
    relapse_rule: str
    well_by: str
    patients_count: int | None
    variable: str
    statistic: str
    unit: str
    kind: str
    low: float | None
    high: float | None
    simulated: float | None
    verdict: str
    comment: str
    assumption: str


class _Columns(NamedTuple):
    """Where a table says what a row is about, in whom it was studied and on what kind of page it was read."""

    topic: str
    studied: str
    quality: str


_COLUMNS: Mapping[Table, _Columns] = {
    "mechanism": _Columns("link", "species_region", ""),
    "safety": _Columns("domain", "population", "source_quality"),
    "efficacy": _Columns("group", "population", "location"),
}


def facts_of(table: Table) -> tuple[FactRow, ...]:
    """Return the shipped facts of a table."""
    load = {"mechanism": load_mechanism_facts, "safety": load_acute_facts, "efficacy": load_outcome_facts}
    return load[table]()


def compare_facts(
    table: Table,
    rows: Iterable[FactRow] | None = None,
    *,
    parameters: ParameterSet | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[FactComparison, ...]:
    """Return every fact of a table beside the model's value, in the order of the table.

    Facts that cannot be compared are kept, with the reason: none is dropped because it fits badly.

    Parameters
    ----------
    table : str
        ``mechanism``, ``safety`` or ``efficacy``.
    rows : iterable of FactRow, optional
        Of that table; by default all. Only what they need is simulated.
    parameters : ParameterSet, optional
        Instead of the shipped one; with the whole chain.
    on_done : callable, optional
        Called with (simulations done, simulations in all).
    """
    chosen = tuple(facts_of(table) if rows is None else rows)
    runs = [run for row in chosen for run in row.runs if run.is_comparable and run.regimen]
    courses = simulate_scenes(needs_of(runs), parameters=parameters, on_done=on_done)
    return tuple(
        _compared(table, row, run, courses, parameters) if run.is_comparable else _stated(table, row, run)
        for row in chosen
        for run in row.runs
    )


def is_misfit(one: FactComparison) -> bool:
    """Tell whether the model misses a fact that is open."""
    return one.verdict == NOT_REPRODUCED


def is_closed(table: Table, row: FactRow) -> bool:
    """Tell whether a row's printed value stays unseen: what validates the acute layer or the outcomes."""
    return not is_open(row, table=table)


def verdict_of(run: FactRun, simulated: float | None) -> str:
    """Return whether a value lies within the printed bounds.

    Bounds that are equal are a printed number without spread: within ``CLOSE_FRACTION`` either way, or
    within ``CLOSE_SHARE`` for a share. A direction must be more than ``SMALLEST_CHANGE``.
    """
    if simulated is None:
        return NOT_REPRODUCED
    low, high = run.expected_low, run.expected_high
    if low is not None and low == high:
        is_share = STATISTICS[run.statistic].is_share
        is_inside = _is_close(simulated, low) or (is_share and abs(simulated - low) <= CLOSE_SHARE + 1e-12)
    else:
        margin = SMALLEST_CHANGE if run.statistic in ("increases", "decreases", "contrast_at") else 0.0
        is_above = low is None or simulated >= low + margin
        is_inside = is_above and (high is None or simulated <= high - margin)
    return REPRODUCED if is_inside else NOT_REPRODUCED


def _is_close(simulated: float, printed: float) -> bool:
    if printed == 0 or simulated == 0:
        return simulated == printed
    ratio = simulated / printed
    return ratio > 0 and abs(float(np.log(ratio))) <= float(np.log1p(CLOSE_FRACTION))


def kind_of(run: FactRun) -> str:
    """Return ``direction`` where the bounds of a run say only which way, else ``number``."""
    bounds = {run.expected_low, run.expected_high} - {None}
    has_no_size = not run.statistic.endswith("_h") and bounds <= {-1.0, 0.0, 1.0}
    return "direction" if has_no_size and run.expected_low != run.expected_high else "number"


def _compared(
    table: Table,
    row: FactRow,
    run: FactRun,
    courses: Mapping[Scene, FactCourse],
    parameters: ParameterSet | None,
) -> FactComparison:
    simulated = statistic_of(run, courses, parameters)
    is_shut = is_closed(table, row)
    verdict = CLOSED if is_shut else verdict_of(run, simulated)
    variable = find_variable(variable_of(run.variable))
    held = run.steady_at_umol_per_L
    return replace(
        _stated(table, row, run),
        layer=variable.layer,
        regimen=run.regimen if held is None else f"{held:g} umol/L unbound ketamine, held",
        setting=setting_of(run) if held is None else "",
        changed=words_of(run.overrides),
        overrides=print_overrides(run.overrides),
        reference_overrides=print_overrides(run.reference_overrides),
        subgroup=run.subgroup,
        relapse_rule=run.relapse_rule,
        well_by=run.well_by,
        patients_count=None if run.patients_count is None else min(run.patients_count, MOST_PATIENTS),
        variable=variable.stem,
        statistic=_statistic(run),
        unit=_unit(run, variable.unit),
        kind="" if is_shut else kind_of(run),
        low=None if is_shut else run.expected_low,
        high=None if is_shut else run.expected_high,
        simulated=simulated,
        verdict=verdict,
        comment=_explanations(table).get(f"{row.row_id}{run.part}", "") if verdict == NOT_REPRODUCED else "",
        assumption="" if is_shut else run.assumption,
    )


def _stated(table: Table, row: FactRow, run: FactRun) -> FactComparison:
    """Return what a row states and where it comes from, not compared."""
    columns = _COLUMNS[table]
    quality = row.printed[columns.quality] if columns.quality else ""
    return FactComparison(
        row_id=row.row_id,
        part=run.part,
        role=row.role.value,
        layer="",
        topic=row.printed[columns.topic].replace("_", " "),
        fact=_fact(table, row, run),
        studied=row.printed[columns.studied],
        grade=", ".join(filter(None, (row.confidence, quality))).replace("-", " "),
        source=row.citation,
        url=row.url,
        regimen="",
        setting="",
        changed="",
        overrides="",
        reference_overrides="",
        subgroup="",
        relapse_rule="",
        well_by="",
        patients_count=None,
        variable="",
        statistic="",
        unit="",
        kind="",
        low=None,
        high=None,
        simulated=None,
        verdict=f"{NOT_COMPARABLE}: {run.reason}",
        comment="",
        assumption="",
    )


def _fact(table: Table, row: FactRow, run: FactRun) -> str:
    """Return what a row states; the printed value of a closed row is left out."""
    printed = row.printed
    if table == "mechanism":
        return _joined(printed["quantity"], printed["value"])
    if table == "efficacy":
        about = ", ".join(
            filter(None, (printed["trial"], printed["arm"], printed["quantity"], printed["time"]))
        )
        return about if is_closed(table, row) else _joined(about, printed_outcome(printed))
    is_placebo = run.regimen.startswith("placebo") and bool(printed["comparator"])
    drug = " ".join(filter(None, (printed["drug"], printed["route"], printed["dose"])))
    stated = _joined(printed["measure"], f"{printed['comparator']}, beside {drug}" if is_placebo else drug)
    if is_closed(table, row):
        return stated
    value = printed["value"] or "–".join(filter(None, (printed["value_low"], printed["value_high"])))
    value = printed["comparator_value"] if is_placebo else value
    return _joined(stated, f"{value} {printed['unit']}".strip())


def _joined(*parts: str) -> str:
    return ": ".join(filter(None, parts))


_WORDS: Mapping[str, str] = {
    "value_at": "{when}",
    "peak": "peak{within}",
    "peak_ratio": "peak over {against}",
    "time_of_peak_h": "time of the peak",
    "onset_h": "first at {percent} % of its peak",
    "return_by_h": "back within {percent} % of its peak",
    "ratio_at": "{when}, over {against}",
    "rise_at": "change, {when}",
    "rise_ratio_at": "change {when}, over the change at {against}",
    "maximum_rise": "largest rise",
    "mean_of_maxima": "largest reading of each patient less the one before, mean",
    "sd_at": "standard deviation between patients, {when}",
    "sd_of_change_at": "standard deviation between patients of the change, {when}",
    "share_above": "share of patients with a reading above {threshold} at least once",
    "share_below": "share of patients with a reading below {threshold} at least once",
    "share_total_above": "share of patients whose reading reaches {threshold} at least once",
    "share_with_event": "share of patients with it in at least one session",
    "share_responding": "share of patients who have lost {percent} % {when}",
    "share_relapsed": "share of those {well} at {start} h who relapse ({rule}) by {end} h",
    "contrast_at": "change {when}, less {against}",
    "mediated_share": "share of the difference in change {when} from {against}",
    "ratio_last_to_first": "peak after the last dose over that after the first",
    "peaks_before": "time of the peak less that of {against}",
    "correlation": "change {when}: correlation over patients with that of {against}",
    "increases": "change, {when}",
    "decreases": "change, {when}",
    "no_change": "{when}, over {against}",
    "no_change_of_rise": "change {when}, over {against}",
}
"""What is read off, in words, one for each name of ``STATISTICS`` (under test)."""
_WELL: Mapping[str, str] = {
    "": "",
    "response": "with a response",
    "remission": "in remission",
    "stable_remission": "in stable remission",
}


def _statistic(run: FactRun) -> str:
    """Return the statistic with its threshold, time and reference in words."""
    when = "at balance" if run.from_h is None or run.to_h is None else _when(run.from_h, run.to_h)
    text = _WORDS[run.statistic].format(
        when=when,
        within="" if run.from_h is None else f" within {run.from_h:g}–{run.to_h:g} h",
        threshold=f"{run.threshold or 0.0:g}",
        percent=f"{100.0 * (run.threshold or 0.0):g}",
        against=_against(run),
        well=_WELL[run.well_by],
        rule=run.relapse_rule,
        start=f"{run.from_h or 0.0:g}",
        end=f"{run.to_h or 0.0:g}",
    )
    is_named = run.reference.kind in ("regimen", "time") and "{against}" not in _WORDS[run.statistic]
    return f"{text}, against {_against(run)}" if is_named else text


def _when(from_h: float, to_h: float) -> str:
    if from_h == to_h:
        return "before the first dose" if from_h == 0 else f"at {from_h:g} h"
    return f"mean of {from_h:g}–{to_h:g} h"


def _against(run: FactRun) -> str:
    reference = run.reference
    at = "" if reference.at_h is None else f"{reference.at_h:g} h"
    if reference.kind == "variable":
        return " at ".join(filter(None, (reference.variable, at)))
    elsewhere = "" if other_setting_of(run) == setting_of(run) else f" in setting {other_setting_of(run)}"
    is_same = run.reference_overrides == run.overrides
    changed = "" if is_same else f" and {words_of(run.reference_overrides) or 'nothing changed'}"
    other = f"that with {reference.regimen}{changed}{elsewhere}"
    if reference.kind == "mediator":
        return f"{other} that goes with {reference.variable}"
    return {"regimen": other, "time": at}.get(reference.kind, "its start")


def _unit(run: FactRun, variable_unit: str) -> str:
    if run.statistic.endswith("_h") or run.statistic == "peaks_before":
        return "h"
    has_own = run.statistic in (
        *("value_at", "peak", "rise_at", "maximum_rise", "mean_of_maxima"),
        *("increases", "decreases", "contrast_at", "sd_at", "sd_of_change_at"),
    )
    return variable_unit if has_own else "1"


def words_of(overrides: tuple[Override, ...]) -> str:
    """Return what overrides stand for (``changes.csv``), or their values where no word is known."""
    return ", ".join(_changes().get(one, f"{one.parameter} {one.value:g}") for one in overrides)


@cache
def _changes() -> Mapping[Override, str]:
    rows = read_table("evidence/changes.csv")
    return {Override(row["parameter"], float(row["value"])): row["words"] for row in rows}


@cache
def _explanations(table: Table) -> Mapping[str, str]:
    """Return why the model misses a fact, by the name of its run (``misfits.csv``)."""
    rows = read_table(f"evidence/{table}/misfits.csv")
    return {run: row["explanation"] for row in rows for run in row["runs"].split(";")}
