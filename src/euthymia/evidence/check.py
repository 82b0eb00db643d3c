"""Integrity of the evidence tables: every finding in one error, before any record is built."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from euthymia.errors import InvalidInputError, invalid, unknown
from euthymia.evidence.records import ANALYTES, ANCESTRIES, SITES, SPREAD_KINDS, Quantity, Role
from euthymia.tables import Row

UNITS = {"cmax_unit": ("", "ng/mL"), "auc_unit": ("", "ng*h/mL", "ng*h/mL per mg", "ratio")}
TIME_COURSE_UNITS = ("ng/mL", "nmol/mL")

# Value column of exposure_runs.csv: stem of its limits, then column and spread in exposure.csv.
QUANTITIES = {
    "cmax_ng_per_mL": ("cmax", "cmax", "cmax_var"),
    "tmax_h": ("tmax", "tmax_h", "tmax_stat"),
    "auc_ng_h_per_mL": ("auc", "auc", "auc_var"),
    "half_life_h": ("half_life", "t_half_h", "t_half_var"),
    "bioavailable_fraction": ("bioavailable", "F", "F_var"),
    "auc_ratio": ("auc_ratio", "auc", "auc_var"),
}
_NUMERIC = (
    "weight_kg",
    "age_years",
    "auc_from_h",
    "auc_to_h",
    "half_life_window_h",
    *QUANTITIES,
    *(f"{stem}_{limit}" for stem, _, _ in QUANTITIES.values() for limit in ("low", "high")),
)
_NUMBER = r"\d+(?:\.\d+)?"
_RANGE = re.compile(rf"({_NUMBER})-({_NUMBER})")
_SD = re.compile(rf"\bSD ({_NUMBER})")
_LEVEL = re.compile(r"(\d+)% CI")
_AT = re.compile(rf"peak|end of infusion|{_NUMBER} h")


def require_sound(table: str, problems: Iterable[str]) -> None:
    """Refuse a table that has problems.

    Raises
    ------
    InvalidInputError
        With every problem on its own line.
    """
    found = tuple(problems)
    if found:
        message = "\n".join([f"'data/{table}' cannot be used: {len(found)} problem(s).", *found])
        raise InvalidInputError(message)


def exposure_problems(
    rows: Sequence[Row], runs: Sequence[Row], *, sources: Collection[str], sets: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong with the table of exposures and the table of how to run them.

    Parameters
    ----------
    rows : sequence of Row
        ``exposure.csv``.
    runs : sequence of Row
        ``exposure_runs.csv``; must name exactly the rows of the first.
    sources : collection of str
        Keys of the bibliography.
    sets : collection of str
        Names of the parameter sets.
    """
    yield from _identity_problems("row_id", rows, runs)
    by_id = {run["row_id"]: run for run in runs}
    for row in rows:
        name = f"row {row['row_id']}"
        yield from role_problems(row, name)
        yield from source_problems(row, name, sources)
        for column, allowed in UNITS.items():
            yield from _choice_problems(row, column, allowed, name)
        run = by_id.get(row["row_id"])
        if run is not None:
            yield from run_problems(run, row, sets)


def time_course_problems(
    manifest: Sequence[Row], points: Mapping[str, Sequence[Row]], *, sources: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong with the manifest of time courses and their files.

    Parameters
    ----------
    manifest : sequence of Row
        ``timecourses/manifest.csv``.
    points : mapping of str to sequence of Row
        Rows of each series file, by file name; must be exactly the files of the manifest.
    sources : collection of str
        Keys of the bibliography.
    """
    yield from _identity_problems("file", manifest, [{"file": name} for name in points])
    for row in manifest:
        name = f"series {row['file']}"
        yield from role_problems(row, name)
        yield from source_problems(row, name, sources)
        yield from _choice_problems(row, "unit", TIME_COURSE_UNITS, name)
        yield from _choice_problems(row, "variable", (*ANALYTES, "none"), name)
        yield from _choice_problems(row, "site", SITES, name)
        yield from _choice_problems(row, "drop_first_point", ("true", "false"), name)
        yield from _number_problems(row, ("weight_kg", "censored_from_h", "n_points", "max_conc"), name)
        if not row["regimen"] or not row["weight_kg"]:
            yield str(invalid("regimen", must="given with its weight_kg", got=f"nothing in {name}"))
        yield from _series_problems(row, points.get(row["file"], ()), name)


def role_problems(row: Row, name: str) -> Iterator[str]:
    """Yield what is wrong with the role of a row; a missing role is a problem."""
    yield from _choice_problems(row, "role", tuple(Role), name, cure="Every row of evidence has a role.")


def source_problems(row: Row, name: str, sources: Collection[str]) -> Iterator[str]:
    """Yield the source keys of a row that are not in the bibliography, or that there is none."""
    keys = split_keys(row["source_key"])
    if not keys:
        yield str(invalid("source_key", must="given", got=f"nothing in {name}"))
    for key in keys:
        if key not in sources:
            yield str(unknown("source", key, sources, cure=f"It stands in {name}."))


def split_keys(text: str) -> tuple[str, ...]:
    """Return the names of a list with semicolons."""
    return tuple(part.strip() for part in text.split(";") if part.strip())


def run_problems(run: Row, row: Row, sets: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with a row of ``exposure_runs.csv``, alone and against what was printed."""
    name = f"run {run['row_id']}"
    numbers = list(_number_problems(run, _NUMERIC, name))
    yield from numbers
    yield from _run_choice_problems(run, name)
    for member in split_keys(run["sets"]):
        if member not in sets:
            yield str(unknown("parameter set", member, sets, cure=f"It stands in {name}."))
    if run["runnable"] == "yes":
        if run["reason"] or not (run["regimen"] and run["sets"]):
            yield str(
                invalid(
                    "regimen", must="given with sets and without a reason where runnable is yes", got=name
                )
            )
    elif run["regimen"] or run["sets"] or not run["reason"]:
        yield str(
            invalid("reason", must="given alone, without regimen and sets, where runnable is no", got=name)
        )
    if not numbers:
        yield from _window_problems(run, name)
        for column in QUANTITIES:
            yield from _quantity_problems(run, row, column, name)


def _run_choice_problems(run: Row, name: str) -> Iterator[str]:
    yield from _choice_problems(run, "runnable", ("yes", "no"), name)
    yield from _choice_problems(run, "auc_per_mg", ("yes", "no"), name)
    yield from _choice_problems(run, "analyte", ANALYTES, name)
    yield from _choice_problems(run, "auc_analyte", ("", *ANALYTES), name)
    yield from _choice_problems(run, "site", SITES, name)
    yield from _choice_problems(run, "ancestry", ANCESTRIES, name)
    for stem, _, _ in QUANTITIES.values():
        yield from _choice_problems(run, f"{stem}_spread_kind", ("", *SPREAD_KINDS), name)
    for column in ("weight_kg", "age_years"):
        if not run[column]:
            yield str(invalid(column, must="given", got=f"nothing in {name}"))
    if run["at"] and not _AT.fullmatch(run["at"]):
        must = "'peak', 'end of infusion' or a time such as '0.083 h'"
        yield str(invalid("at", must=must, got=f"{run['at']!r} in {name}"))
    if bool(run["at"]) != bool(run["cmax_ng_per_mL"] or run["cmax_low"]):
        yield str(invalid("at", must="given exactly where there is a peak concentration", got=name))


def _window_problems(run: Row, name: str) -> Iterator[str]:
    has_area = any(run[column] for column in ("auc_ng_h_per_mL", "auc_low", "auc_ratio"))
    start, end = run["auc_from_h"], run["auc_to_h"]
    if has_area != bool(start and end) or (has_area and float(start) >= float(end)):
        must = "a window with a beginning before its end exactly where there is an area"
        yield str(invalid("auc_to_h", must=must, got=f"{start!r} to {end!r} in {name}"))


def _identity_problems(column: str, rows: Sequence[Row], others: Sequence[Row]) -> Iterator[str]:
    """Yield names that are missing or occur twice in a table, or in only one of two tables."""
    names, matched = [row[column] for row in rows], [other[column] for other in others]
    for counted in (Counter(names), Counter(matched)):
        for name, times in counted.items():
            if times > 1 or not name:
                yield str(invalid(column, must="given and unique", got=f"{name!r} {times} time(s)"))
    for name in sorted(set(names) ^ set(matched)):
        yield str(invalid(column, must="in both tables", got=f"{name!r} in only one"))


def _choice_problems(
    row: Row, column: str, allowed: Sequence[str], name: str, *, cure: str = ""
) -> Iterator[str]:
    if row[column] not in allowed:
        must = f"one of {', '.join(repr(str(choice)) for choice in allowed)}"
        yield str(invalid(column, must=must, got=f"{row[column]!r} in {name}", cure=cure))


def _number_problems(row: Row, columns: Iterable[str], name: str) -> Iterator[str]:
    for column in columns:
        number = as_number(row[column])
        if row[column] and (number is None or number < 0):
            yield str(invalid(column, must="a number, 0 or more", got=f"{row[column]!r} in {name}"))


def as_number(text: str) -> float | None:
    """Return a cell as a number, or None where it is empty or something else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _series_problems(row: Row, series: Sequence[Row], name: str) -> Iterator[str]:
    times = [as_number(point["time_h"]) for point in series]
    values = [as_number(point["conc"]) for point in series]
    if None in times or None in values:
        yield str(invalid("conc", must="a number with a number for time_h", got=f"something else in {name}"))
        return
    known_times = [time_h for time_h in times if time_h is not None]
    known_values = [value for value in values if value is not None]
    if known_times != sorted(set(known_times)) or min([*known_times, *known_values], default=-1.0) < 0:
        yield str(invalid("time_h", must="rising, with no negative number", got=name))
    if len(series) != as_number(row["n_points"]) or max(known_values, default=-1.0) != as_number(
        row["max_conc"]
    ):
        must = "as the manifest says in n_points and max_conc"
        yield str(invalid("conc", must=must, got=f"{len(series)} points in {name}"))
    if {point["unit"] for point in series} != {row["unit"]}:
        yield str(invalid("unit", must=f"{row['unit']!r} as in the manifest", got=f"another in {name}"))
    if row["drop_first_point"] == "true" and known_times[:1] != [0.0]:
        yield str(invalid("drop_first_point", must="true only for a point at time 0", got=name))


def _quantity_problems(run: Row, row: Row, column: str, name: str) -> Iterator[str]:
    """Yield where a number to compare with differs from what was printed, or is missing unexplained."""
    _, printed_column, spread_column = QUANTITIES[column]
    is_ratio = row["auc_unit"] == "ratio"
    is_other_area = printed_column == "auc" and is_ratio != (column == "auc_ratio")
    text = "" if is_other_area else row[printed_column]
    given = given_quantity(run, column)
    printed = printed_quantity(text, row[spread_column])
    if given is None:
        if text and "left out" not in run["assumption"]:
            must = f"{text!r} as printed, or explained as left out"
            yield str(invalid(column, must=must, got=f"nothing in {name}"))
        return
    if not _agrees(given, printed):
        must = f"{text!r} with spread {row[spread_column]!r} as printed"
        yield str(invalid(column, must=must, got=f"{given} in {name}"))


def given_quantity(run: Row, column: str) -> Quantity | None:
    """Return a quantity of a run, or None where value and limits are empty."""
    stem = QUANTITIES[column][0]
    value, low, high = (as_number(run[cell]) for cell in (column, f"{stem}_low", f"{stem}_high"))
    if value is None and low is None and high is None:
        return None
    return Quantity(value=value, low=low, high=high, spread_kind=run[f"{stem}_spread_kind"])


def printed_quantity(text: str, spread: str) -> Quantity:
    """Return what a printed cell and its spread stand for.

    Parameters
    ----------
    text : str
        ``"15.6"``, ``"100-250"`` or ``"13.0 (SD 6.9)"``.
    spread : str
        ``"SD 4.5"``, ``"95% CI 259-287"``, or a text with a range in it.
    """
    whole = _RANGE.fullmatch(text)
    if whole:
        return Quantity(value=None, low=float(whole[1]), high=float(whole[2]), spread_kind="range")
    value = as_number(text.split(" (")[0])
    deviation = _SD.search(text) or _SD.search(spread)
    if value is not None and deviation:
        sd = float(deviation[1])
        return Quantity(value=value, low=max(value - sd, 0.0), high=value + sd, spread_kind="sd")
    limits = _RANGE.search(spread)
    if limits is None:
        return Quantity(value=value, low=None, high=None, spread_kind="none")
    level = _LEVEL.search(spread)
    kind = f"ci{level[1]}" if level else "range"
    return Quantity(value=value, low=float(limits[1]), high=float(limits[2]), spread_kind=kind)


def _agrees(given: Quantity, printed: Quantity) -> bool:
    """Return whether two quantities are the same; limits were rounded to six digits."""
    pairs = ((given.value, printed.value), (given.low, printed.low), (given.high, printed.high))
    return given.spread_kind == printed.spread_kind and all(
        one is two if one is None or two is None else math.isclose(one, two, rel_tol=1e-5, abs_tol=1e-9)
        for one, two in pairs
    )
