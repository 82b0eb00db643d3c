"""Integrity of the tables of facts: every finding in one error, before any record is built."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from euthymia.dosing.notation import parse_regimen
from euthymia.errors import InvalidInputError, invalid, unknown
from euthymia.evidence.check import as_number, role_problems, split_keys
from euthymia.evidence.fact_records import (
    CONFIDENCES,
    MEDIATOR,
    PATIENTS,
    RECALLED,
    STATISTICS,
    SUBGROUPS,
    VARIABLE,
    WELL_BY,
    WINDOW,
    Statistic,
    read_overrides,
    read_reference,
)
from euthymia.evidence.fact_relapse import entry_times_h, scale_of
from euthymia.model.parameters import ParameterSet
from euthymia.population.outcomes import relapse_rules
from euthymia.tables import Row

_NUMERIC = ("steady_at_umol_per_L", "threshold", "expected_low", "expected_high")
_COMPARISON = (
    *("regimen", "steady_at_umol_per_L", "variable", "statistic", "threshold", "at_h", "reference"),
    *("expected_low", "expected_high", "population", "subgroup", "assumption"),
    *("overrides", "reference_overrides", "relapse_rule", "well_by"),
)


def fact_problems(
    rows: Sequence[Row],
    runs: Sequence[Row],
    *,
    sources: Collection[str],
    variables: Collection[str],
    parameters: ParameterSet,
) -> Iterator[str]:
    """Yield what is wrong with a table of facts and its table of runs.

    Parameters
    ----------
    rows, runs : sequence of Row
        Every row must have a run and every run its row.
    sources : collection of str
        Keys of the bibliography.
    variables : collection of str
        Names of observables.
    parameters : ParameterSet
        Whose names and ranges overrides must keep to.
    """
    yield from _identity_problems(rows, runs)
    by_id = {row["row_id"]: row for row in rows}
    for row in rows:
        yield from _row_problems(row, sources)
    for run in runs:
        row = by_id.get(run["row_id"])
        yield from run_problems(run, variables)
        yield from _override_problems(run, parameters)
        if row is not None and row["confidence"] == RECALLED and run["comparable"] == "yes":
            cure = "A number from memory is never compared."
            yield str(invalid("comparable", must="no for a recalled row", got=_name(run), cure=cure))


def run_problems(run: Row, variables: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with one row of a table of runs."""
    name = _name(run)
    if run["comparable"] == "no":
        given = [column for column in _COMPARISON if run.get(column)]
        if given or not run["reason"]:
            must = "given alone where comparable is no"
            yield str(invalid("reason", must=must, got=f"{', '.join(given) or 'nothing'} in {name}"))
        return
    yield from _choice_problems(run, "comparable", ("yes", "no"))
    if run["reason"]:
        yield str(invalid("reason", must="left out where comparable is yes", got=name))
    for variable in _variables(run):
        if variable not in variables:
            yield str(unknown("variable", variable, variables, cure=f"It stands in {name}."))
    yield from _choice_problems(run, "statistic", tuple(STATISTICS))
    yield from _choice_problems(run, "subgroup", SUBGROUPS)
    yield from _input_problems(run)
    yield from _bound_problems(run)
    if run["statistic"] in STATISTICS:
        yield from _need_problems(run, STATISTICS[run["statistic"]])
        yield from _follow_up_problems(run, STATISTICS[run["statistic"]])


def _name(run: Row) -> str:
    return f"run {run['row_id']}{run['part']}"


def _variables(run: Row) -> tuple[str, ...]:
    other = VARIABLE.fullmatch(run["reference"]) or MEDIATOR.fullmatch(run["reference"])
    return (run["variable"], other[1]) if other else (run["variable"],)


def _identity_problems(rows: Sequence[Row], runs: Sequence[Row]) -> Iterator[str]:
    for names in (
        [row["row_id"] for row in rows],
        [f"{run['row_id']}{run['part']}" for run in runs if run["part"]],
    ):
        for name, times in Counter(names).items():
            if times > 1 or not name:
                yield str(invalid("row_id", must="given and unique", got=f"{name!r} {times} time(s)"))
    for run in runs:
        if not re.fullmatch("[a-z]", run["part"]):
            yield str(invalid("part", must="one small letter", got=f"{run['part']!r} in {_name(run)}"))
    for name in sorted({row["row_id"] for row in rows} ^ {run["row_id"] for run in runs}):
        yield str(invalid("row_id", must="in both tables", got=f"{name!r} in only one"))


def _row_problems(row: Row, sources: Collection[str]) -> Iterator[str]:
    name = f"row {row['row_id']}"
    yield from role_problems(row, name)
    if row["confidence"] not in CONFIDENCES:
        must = f"one of {', '.join(map(repr, CONFIDENCES))}"
        yield str(invalid("confidence", must=must, got=f"{row['confidence']!r} in {name}"))
    if not (row["citation"] or row["confidence"] == RECALLED):
        yield str(invalid("citation", must="given", got=f"nothing in {name}"))
    for key in split_keys(row["source_key"]):
        if key not in sources:
            yield str(unknown("source", key, sources, cure=f"It stands in {name}."))


def _choice_problems(run: Row, column: str, allowed: Sequence[str]) -> Iterator[str]:
    if run[column] not in allowed:
        must = f"one of {', '.join(map(repr, allowed))}"
        yield str(invalid(column, must=must, got=f"{run[column]!r} in {_name(run)}"))


def _input_problems(run: Row) -> Iterator[str]:
    """Yield what is wrong with what is run: regimens, held concentration, patients, reference."""
    name = _name(run)
    if bool(run["regimen"]) == bool(run["steady_at_umol_per_L"]):
        must = "given exactly where steady_at_umol_per_L is not"
        yield str(invalid("regimen", must=must, got=f"{run['regimen']!r} in {name}"))
    texts = [run["regimen"]]
    try:
        texts.append(read_reference(run["reference"]).regimen)
    except InvalidInputError as problem:
        yield f"In {name}: {problem}"
    for text in filter(None, texts):
        try:
            parse_regimen(text)
        except InvalidInputError as problem:
            yield f"In {name}: {problem}"
    if run["population"] != "typical" and not PATIENTS.fullmatch(run["population"]):
        must = "'typical' or a number of virtual patients"
        yield str(invalid("population", must=must, got=f"{run['population']!r} in {name}"))
    window = WINDOW.fullmatch(run["at_h"])
    if run["at_h"] and (not window or (window[2] and float(window[2]) <= float(window[1]))):
        must = "a time or a window such as '0.5-1'"
        yield str(invalid("at_h", must=must, got=f"{run['at_h']!r} in {name}"))


def _override_problems(run: Row, parameters: ParameterSet) -> Iterator[str]:
    """Yield overrides that the set does not have or allow, and those of a reference without a regimen."""
    name = _name(run)
    for column in ("overrides", "reference_overrides"):
        try:
            parameters.with_overrides(dict(read_overrides(run[column])))
        except InvalidInputError as problem:
            yield f"In {column} of {name}: {problem}"
    if run["reference_overrides"] and "regimen: " not in run["reference"]:
        must = "left out where the reference has no regimen"
        yield str(invalid("reference_overrides", must=must, got=f"{run['reference_overrides']!r} in {name}"))


def _bound_problems(run: Row) -> Iterator[str]:
    """Yield cells that are no numbers, and bounds that are missing or the wrong way round."""
    name = _name(run)
    for column in _NUMERIC:
        if run[column] and as_number(run[column]) is None:
            yield str(invalid(column, must="a number", got=f"{run[column]!r} in {name}"))
    low, high = as_number(run["expected_low"]), as_number(run["expected_high"])
    if low is None and high is None:
        yield str(invalid("expected_low", must="given, or expected_high", got=f"nothing in {name}"))
    if low is not None and high is not None and low > high:
        must = "at most expected_high"
        yield str(invalid("expected_low", must=must, got=f"{low:g} over {high:g} in {name}"))
    statistic = STATISTICS.get(run["statistic"])
    given = [bound for bound in (low, high) if bound is not None]
    if statistic is not None and statistic.is_share and not all(0.0 <= bound <= 1.0 for bound in given):
        yield str(invalid("expected_high", must="0 to 1 for a share", got=f"{given} in {name}"))


def _need_problems(run: Row, statistic: Statistic) -> Iterator[str]:
    """Yield columns that the statistic of a run needs or cannot use."""
    name = f"{run['statistic']} in {_name(run)}"
    if statistic.needs_time and not run["at_h"] and not run["steady_at_umol_per_L"]:
        yield str(invalid("at_h", must="given", got=f"nothing for {name}"))
    if statistic.needs_threshold != bool(run["threshold"]):
        must = "given" if statistic.needs_threshold else "left out"
        yield str(invalid("threshold", must=must, got=f"{run['threshold']!r} for {name}"))
    if statistic.needs_patients and run["population"] == "typical":
        yield str(invalid("population", must="a number of virtual patients", got=f"'typical' for {name}"))
    kind = run["reference"].split(":")[0] or "none"
    if kind not in statistic.references:
        must = f"of the kind {' or '.join(statistic.references)}"
        yield str(invalid("reference", must=must, got=f"{run['reference']!r} for {name}"))


def _follow_up_problems(run: Row, statistic: Statistic) -> Iterator[str]:
    """Yield what is wrong with how patients are followed to relapse, or that it is given in vain."""
    name = f"{run['statistic']} in {_name(run)}"
    rules = tuple(relapse_rules())
    for column, allowed in (("relapse_rule", rules), ("well_by", WELL_BY)):
        given = run.get(column, "")
        if given and not statistic.is_follow_up:
            yield str(invalid(column, must="left out", got=f"{given!r} for {name}"))
        if statistic.is_follow_up and given not in allowed:
            must = f"one of {', '.join(map(repr, allowed))}"
            yield str(invalid(column, must=must, got=f"{given!r} for {name}"))
    if statistic.is_follow_up and run.get("relapse_rule") in rules:
        yield from _window_problems(run, name)


def _window_problems(run: Row, name: str) -> Iterator[str]:
    scale = scale_of(run["relapse_rule"])
    if run["variable"] != scale.variable:
        must = f"{scale.variable}, which {run['relapse_rule']!r} rates"
        yield str(invalid("variable", must=must, got=f"{run['variable']!r} for {name}"))
    if run.get("well_by") == "stable_remission" and scale.name != "MADRS":
        must = "a rule on MADRS where well_by is stable_remission"
        yield str(invalid("relapse_rule", must=must, got=f"{run['relapse_rule']!r} for {name}"))
    window = WINDOW.fullmatch(run["at_h"])
    if window is None or window[2] is None:
        yield str(invalid("at_h", must="a window", got=f"{run['at_h']!r} for {name}"))
        return
    first_h = min(entry_times_h(float(window[1]), run.get("well_by", "")))
    if first_h < 0:
        must = "a window with weekly visits of four weeks before it"
        yield str(invalid("at_h", must=must, got=f"{run['at_h']!r} for {name}"))
