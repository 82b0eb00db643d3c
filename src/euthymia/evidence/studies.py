"""Reads the published studies and their outcomes into records, after the checks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from euthymia.citations import load_sources
from euthymia.errors import unknown
from euthymia.evidence.check import as_number, require_sound, split_keys
from euthymia.evidence.records import (
    SCALES,
    START_OF_TREATMENT,
    Baseline,
    Estimate,
    OutcomeRow,
    Role,
    Study,
    StudyArm,
)
from euthymia.evidence.study_check import SPREAD, study_problems
from euthymia.tables import Row, number, read_table, read_text

STUDIES = "evidence/efficacy/studies.toml"
MEASURES = "evidence/efficacy/measures.csv"
OUTCOMES = "evidence/efficacy/outcomes.csv"
_CLOCK = re.compile(r"\btime 0 is ([^;]+)")


class Library(NamedTuple):
    """Studies by key, and their outcomes in the order of their table."""

    studies: Mapping[str, Study]
    outcomes: tuple[OutcomeRow, ...]


@cache
def load_library() -> Library:
    """Return the shipped studies and outcomes, of every role.

    Code that fits takes outcomes through ``select.fitting_rows``.
    """
    raw = tomllib.loads(read_text(STUDIES))
    return read_library(raw, read_table(OUTCOMES), read_table(MEASURES), sources=load_sources())


def load_studies() -> Mapping[str, Study]:
    """Return the shipped studies by key."""
    return load_library().studies


def load_outcome_rows() -> tuple[OutcomeRow, ...]:
    """Return the shipped outcomes, typed, of every role."""
    return load_library().outcomes


def find_study(key: str) -> Study:
    """Return a study by its key.

    Raises
    ------
    UnknownNameError
        If there is no such study; the message offers the nearest.
    """
    studies = load_studies()
    if key not in studies:
        raise unknown("study", key, studies, cure="'euthymia evidence list' shows all.")
    return studies[key]


def read_library(
    raw: Mapping[str, Mapping[str, Any]],
    rows: Sequence[Row],
    measures: Sequence[Row],
    *,
    sources: Collection[str],
) -> Library:
    """Return studies and outcomes from their three tables.

    Parameters
    ----------
    raw : mapping of str to mapping
        ``studies.toml``.
    rows, measures : sequence of Row
        ``outcomes.csv`` and its companion ``measures.csv``.
    sources : collection of str
        Keys of the bibliography.

    Raises
    ------
    InvalidInputError
        If any check fails, with every problem on its own line.
    """
    require_sound(STUDIES, study_problems(raw, rows, measures, sources=sources))
    by_id = {one["row_id"]: one for one in measures}
    studies = {key: _study(key, one, _of(key, rows, by_id), by_id) for key, one in raw.items()}
    outcomes = tuple(
        _outcome(row, by_id[row["row_id"]], studies[by_id[row["row_id"]]["study"]]) for row in rows
    )
    return Library(MappingProxyType(studies), outcomes)


def _of(key: str, rows: Sequence[Row], measures: Mapping[str, Row]) -> list[Row]:
    return [row for row in rows if measures[row["row_id"]]["study"] == key]


def _study(key: str, raw: Mapping[str, Any], rows: Sequence[Row], measures: Mapping[str, Row]) -> Study:
    texts = ("design", "blinding", "population", "concomitant", "response", "relapse", "primary")
    texts += ("imputation", "note")
    shipped = load_sources().get(raw["sources"][0])
    return Study(
        key=key,
        title=raw["title"],
        role=Role(rows[0]["role"]),
        source_keys=tuple(raw["sources"]),
        doi=shipped.doi if shipped else "",
        registry=tuple(raw.get("registry", ())),
        is_registry_seen=raw.get("is_registry_seen", False),
        n=raw.get("n"),
        remission=tuple(raw.get("remission", ())),
        same_patients_as=tuple(raw.get("same_patients_as", ())),
        arms=tuple(_arm(one, rows, measures) for one in raw["arms"]),
        times_h=_times_h(rows),
        **{name: raw.get(name, "") for name in texts},
    )


def _times_h(rows: Sequence[Row]) -> tuple[float, ...]:
    found = {number(row, "time_h") for row in rows if clock_of(row["note"]) == START_OF_TREATMENT}
    return tuple(sorted(time_h for time_h in found if time_h is not None))


def _arm(raw: Mapping[str, Any], rows: Sequence[Row], measures: Mapping[str, Row]) -> StudyArm:
    stated = [
        Baseline(scale=scale, mean=mean, sd=sd[0] if sd else None)
        for scale, mean, *sd in raw.get("baseline", ())
    ]
    own = [
        Baseline(scale=scale_of(row["quantity"]), mean=float(row["value"]), sd=read_spread(row["spread"]).sd)
        for row in rows
        if _is_baseline_of(raw["name"], measures[row["row_id"]]) and row["value"]
    ]
    texts = ("drug", "route", "dose", "infusion_note", "dosing_days")
    return StudyArm(
        name=raw["name"],
        infusion_min=raw.get("infusion_min"),
        n=raw.get("n"),
        baselines=(*stated, *own),
        **{name: raw.get(name, "") for name in texts},
    )


def _is_baseline_of(name: str, measure: Row) -> bool:
    return measure["kind"] == "baseline" and measure["arm"] == name


def _outcome(row: Row, measure: Row, study: Study) -> OutcomeRow:
    scale, n = scale_of(row["quantity"]), row["n"]
    value = as_number(row["value"])
    same = ("row_id", "quantity", "time", "contrast_kind", "population", "design", "confidence", "note")
    same += ("citation", "url", "location")
    return OutcomeRow(
        role=Role(row["role"]),
        study=study.key,
        arm=study.arm(measure["arm"]) if measure["arm"] else None,
        comparator=study.arm(measure["comparator"]) if measure["comparator"] else None,
        scale=scale,
        kind=measure["kind"],
        time_h=number(row, "time_h"),
        t0=clock_of(row["note"]),
        estimate=read_spread(row["spread"], value=value),
        value_text="" if value is not None else row["value"],
        contrast=read_spread(row["contrast_spread"], value=number(row, "contrast")),
        effect=_effect(measure),
        effect_kind=measure["effect_kind"],
        p=measure["p"],
        n=int(n) if n else None,
        is_n_seen=bool(n) and measure["n_seen"] != "no",
        response_percent=number(row, "response_percent"),
        remission_percent=number(row, "remission_percent"),
        remission_rule=_remission_rule(study, scale),
        imputation=study.imputation,
        source_keys=split_keys(row["source_key"]),
        printed=row,
        **{name: row[name] for name in same},
    )


def _effect(measure: Row) -> Estimate:
    low, high = number(measure, "effect_low"), number(measure, "effect_high")
    return Estimate(value=number(measure, "effect"), ci95_low=low, ci95_high=high)


def _remission_rule(study: Study, scale: str) -> str:
    """Return the study's rule for a scale; one on the family of the scale (HAM-D) stands for its versions."""
    named = {rule.split(" ")[0]: rule for rule in study.remission}
    return named.get(scale) or next((rule for name, rule in named.items() if scale.startswith(name)), "")


def read_spread(text: str, *, value: float | None = None) -> Estimate:
    """Return an estimate with the spread that a cell states.

    Parameters
    ----------
    text : str
        ``"SD 4.5"``, ``"SE 2.6, 95 % CI -7.3 to -0.6"`` or nothing; checked before.
    value : float, optional
        The number that the spread belongs to.

    Examples
    --------
    >>> read_spread("SE 1.79", value=-5.7).se
    1.79
    """
    found = SPREAD.fullmatch(text)
    parts = found.groupdict() if found else {}
    given = {name: None if part is None else float(part) for name, part in parts.items()}
    return Estimate(value=value, **given)


def clock_of(note: str) -> str:
    """Return what the hours of a row count from.

    Examples
    --------
    >>> clock_of("open label; time 0 is last infusion, responders")
    'last infusion, responders'
    """
    found = _CLOCK.search(note)
    return found[1] if found else START_OF_TREATMENT


def scale_of(quantity: str) -> str:
    """Return the scale that a quantity begins with; empty where it names none.

    Examples
    --------
    >>> scale_of("MADRS at least 22: % of day-3 responders relapsed")
    'MADRS'
    """
    head = quantity.partition(": ")[0]
    if head == "mixed":
        return "several scales"
    named = [scale for scale in SCALES if head == scale or head.startswith(f"{scale} at")]
    return named[0] if named else ""
