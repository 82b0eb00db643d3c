"""Integrity of the studies and their outcomes: every finding in one error, before any record is built."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from euthymia.errors import invalid, unknown
from euthymia.evidence.check import as_number, role_problems, source_problems, split_keys
from euthymia.evidence.fact_records import CONFIDENCES, RECALLED
from euthymia.evidence.records import CONTRAST_KINDS, KINDS, ROUTES, SCALES
from euthymia.tables import Row

_NUMBER = r"-?\d+(?:\.\d+)?"
SPREAD = re.compile(
    rf"(?:SD (?P<sd>{_NUMBER}))?(?:SE (?P<se>{_NUMBER}))?(?:, (?=9))?"
    rf"(?:95 % CI (?:from )?(?P<ci95_low>{_NUMBER})(?: to (?P<ci95_high>{_NUMBER}))?)?"
)
"""What a cell of spreads may hold."""
_KEY = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SHARES = ("response_percent", "remission_percent")
_PERCENT_KINDS = ("response", "remission", "relapse")
_STUDY_FIELDS = frozenset(
    (
        "title sources registry is_registry_seen design blinding population n concomitant response remission"
    ).split()
) | {"relapse", "primary", "imputation", "same_patients_as", "note", "arms"}
_ARM_FIELDS = frozenset("name drug route dose infusion_min infusion_note dosing_days n baseline".split())


def study_problems(
    raw: Mapping[str, Mapping[str, Any]],
    rows: Sequence[Row],
    measures: Sequence[Row],
    *,
    sources: Collection[str],
) -> Iterator[str]:
    """Yield what is wrong with the studies, the outcomes and the companion of the outcomes.

    Parameters
    ----------
    raw : mapping of str to mapping
        ``studies.toml``.
    rows, measures : sequence of Row
        ``outcomes.csv`` and ``measures.csv``; must name the same rows in the same order.
    sources : collection of str
        Keys of the bibliography.
    """
    names = [row["row_id"] for row in rows]
    if names != [one["row_id"] for one in measures]:
        yield str(invalid("row_id", must="the same rows, in order, in outcomes and measures", got="others"))
        return
    for name, times in Counter(names).items():
        if times > 1 or not name:
            yield str(invalid("row_id", must="given and unique", got=f"{name!r} {times} time(s)"))
    for key, one in raw.items():
        yield from entry_problems(key, one, raw, sources)
    for row, measure in zip(rows, measures, strict=True):
        yield from outcome_problems(row, sources)
        yield from measure_problems(measure, row, raw)
    yield from _company_problems(raw, rows, measures)


def entry_problems(
    key: str, raw: Mapping[str, Any], studies: Collection[str], sources: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong with one study and its arms."""
    name = f"study {key}"
    if not _KEY.fullmatch(key):
        yield str(invalid("study", must="small letters, digits and hyphens", got=repr(key)))
    for column in sorted(set(raw) - _STUDY_FIELDS):
        yield str(unknown("field", column, _STUDY_FIELDS, cure=f"It stands in {name}."))
    for column in ("title", "design", "population", "sources", "arms"):
        if column not in raw or raw[column] in ("", None) or (column == "sources" and not raw[column]):
            yield str(invalid(column, must="given", got=f"nothing in {name}"))
    yield from source_problems({"source_key": ";".join(raw.get("sources", ()))}, name, sources)
    for other in raw.get("same_patients_as", ()):
        if other not in studies or other == key:
            yield str(unknown("study", other, studies, cure=f"It stands in same_patients_as of {name}."))
    yield from _count_problems(raw, name)
    yield from _arm_problems(raw.get("arms", ()), name)


def _arm_problems(arms: Sequence[Mapping[str, Any]], study: str) -> Iterator[str]:
    for arm, times in Counter(one.get("name", "") for one in arms).items():
        if times > 1 or not arm:
            yield str(invalid("name", must="given and unique", got=f"arm {arm!r} {times} time(s) in {study}"))
    for one in arms:
        name = f"arm {one.get('name')!r} of {study}"
        for column in sorted(set(one) - _ARM_FIELDS):
            yield str(unknown("field", column, _ARM_FIELDS, cure=f"It stands in {name}."))
        if one.get("route", "") not in ROUTES:
            yield str(unknown("route", one["route"], ROUTES, cure=f"It stands in {name}."))
        if one.get("infusion_min", 1) <= 0:
            yield str(invalid("infusion_min", must="above 0", got=f"{one['infusion_min']} in {name}"))
        yield from _count_problems(one, name)
        yield from _baseline_problems(one.get("baseline", ()), name)


def _count_problems(raw: Mapping[str, Any], name: str) -> Iterator[str]:
    n = raw.get("n", 1)
    if not isinstance(n, int) or n < 1:
        yield str(invalid("n", must="a whole number above 0", got=f"{n} in {name}"))


def _baseline_problems(baselines: Sequence[Sequence[Any]], name: str) -> Iterator[str]:
    for scale, mean, *sd in baselines:
        if scale not in SCALES:
            yield str(unknown("scale", scale, SCALES, cure=f"It stands in {name}."))
        if mean < 0 or len(sd) > 1 or any(one <= 0 for one in sd):
            must = "a mean of 0 or more, and an SD above 0"
            yield str(invalid("baseline", must=must, got=f"{[mean, *sd]} in {name}"))


def outcome_problems(row: Row, sources: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with one outcome as printed."""
    name = f"row {row['row_id']}"
    yield from role_problems(row, name)
    yield from source_problems(row, name, sources)
    if row["confidence"] == RECALLED or row["confidence"] not in CONFIDENCES:
        must = "seen-in-source or derived; a recalled outcome is not shipped"
        yield str(invalid("confidence", must=must, got=f"{row['confidence']!r} in {name}"))
    for column in ("citation", "url", "location"):
        if not row[column]:
            yield str(invalid(column, must="given", got=f"nothing in {name}"))
    if row["contrast_kind"] not in CONTRAST_KINDS:
        yield str(unknown("contrast_kind", row["contrast_kind"], CONTRAST_KINDS, cure=f"In {name}."))
    yield from _number_problems(row, name)
    for value, spread in (("value", "spread"), ("contrast", "contrast_spread")):
        yield from _spread_problems(row, value, spread, name)


def _number_problems(row: Row, name: str) -> Iterator[str]:
    for column in ("contrast", "time_h", "n", *_SHARES):
        if row[column] and as_number(row[column]) is None:
            yield str(invalid(column, must="a number", got=f"{row[column]!r} in {name}"))
    if (as_number(row["time_h"]) or 0.0) < 0:
        yield str(invalid("time_h", must="0 or more", got=f"{row['time_h']} in {name}"))
    if row["n"] and not (row["n"].isdigit() and int(row["n"]) > 0):
        yield str(invalid("n", must="a whole number above 0", got=f"{row['n']!r} in {name}"))
    for column in _SHARES:
        yield from _percent_problems(row, column, name)


def _percent_problems(row: Row, column: str, name: str) -> Iterator[str]:
    percent = as_number(row[column])
    if percent is not None and not 0.0 <= percent <= 100.0:
        yield str(invalid(column, must="0 to 100 %", got=f"{row[column]} in {name}"))


def _spread_problems(row: Row, value: str, spread: str, name: str) -> Iterator[str]:
    """Yield a spread that cannot be read, is not above 0, or an interval that leaves its number out."""
    found = SPREAD.fullmatch(row[spread])
    if found is None:
        must = "'SD x', 'SE x', '95 % CI x to y', or the last two with a comma"
        yield str(invalid(spread, must=must, got=f"{row[spread]!r} in {name}"))
        return
    for part in ("sd", "se"):
        if found[part] is not None and float(found[part]) <= 0:
            yield str(invalid(spread, must=f"an {part.upper()} above 0", got=f"{row[spread]!r} in {name}"))
    middle, low, high = as_number(row[value]), found["ci95_low"], found["ci95_high"]
    if middle is None or low is None:
        return
    if middle < float(low) or (high is not None and middle > float(high)):
        yield str(invalid(spread, must=f"an interval around {middle:g}", got=f"{row[spread]!r} in {name}"))


def measure_problems(measure: Row, row: Row, studies: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with the companion of one outcome."""
    name = f"measure {measure['row_id']}"
    if measure["kind"] not in KINDS:
        yield str(unknown("kind", measure["kind"], KINDS, cure=f"It stands in {name}."))
    if measure["kind"] in _PERCENT_KINDS:
        yield from _percent_problems(row, "value", name)
    if measure["n_seen"] not in ("", "no"):
        yield str(invalid("n_seen", must="'no' or empty", got=f"{measure['n_seen']!r} in {name}"))
    yield from _effect_problems(measure, name)
    if measure["study"] not in studies:
        yield str(unknown("study", measure["study"], studies, cure=f"It stands in {name}."))
        return
    study = studies[measure["study"]]
    arms = [one.get("name", "") for one in study.get("arms", ())]
    for column in ("arm", "comparator"):
        if measure[column] and measure[column] not in arms:
            yield str(unknown(f"arm of {measure['study']}", measure[column], arms, cure=f"In {name}."))
    for key in split_keys(row["source_key"]):
        if key not in study.get("sources", ()):
            must = f"among the sources of study {measure['study']}"
            yield str(invalid("source_key", must=must, got=f"{key!r} in row {row['row_id']}"))


def _effect_problems(measure: Row, name: str) -> Iterator[str]:
    middle, low, high = (as_number(measure[one]) for one in ("effect", "effect_low", "effect_high"))
    if (middle is None) != (not measure["effect"]) or bool(measure["effect"]) != bool(measure["effect_kind"]):
        must = "a number, with its effect_kind"
        yield str(invalid("effect", must=must, got=f"{measure['effect']!r} in {name}"))
    given = [one for one in (low, middle, high) if one is not None]
    if given != sorted(given):
        must = "an interval around its number"
        yield str(invalid("effect", must=must, got=f"{low}, {middle}, {high} in {name}"))


def _company_problems(
    raw: Mapping[str, Mapping[str, Any]], rows: Sequence[Row], measures: Sequence[Row]
) -> Iterator[str]:
    """Yield studies without a row, and studies whose rows differ in role."""
    roles: dict[str, set[str]] = {key: set() for key in raw}
    for row, measure in zip(rows, measures, strict=True):
        roles.setdefault(measure["study"], set()).add(row["role"])
    for key, found in roles.items():
        if len(found) != 1:
            must = "one role for all rows of a study"
            yield str(
                invalid("role", must=must, got=f"{', '.join(sorted(found)) or 'no row'} in study {key}")
            )
