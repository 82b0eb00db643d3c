"""Published trials beside their stored simulations, as the pages show them; closed numbers stay closed."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from euthymia.citations import Source, cite
from euthymia.errors import unknown
from euthymia.evidence.select import frozen_posterior, is_open
from euthymia.evidence.stated import state_outcome
from euthymia.evidence.studies import load_outcome_rows, load_studies
from euthymia.tables import read_text
from euthymia.trials.protocols import load_protocol, protocol_names

COPY = "replication.json"
COMPARED = ("inside", "outside", "direction agrees", "direction contradicts", "closed", "opened since")
OPENED = "opened since"
"""Verdict of a row that was closed when the stored result was made and is open now."""
POPULATIONS = {
    "trd-adult": "adults, resistant depression",
    "older-adult": "65 years or older",
    "acute-suicidality": "suicidal thoughts at entry",
}
ROUTES = {
    "IV": "infusion",
    "IN": "nasal spray",
    "SC": "under the skin",
    "IM": "into a muscle",
    "PO": "swallowed",
    "PO-ER": "slow release",
    "ECT": "ECT",
}
MEASURES = {
    "difference": "Difference between arms, points",
    "standardised difference": "Standardised difference",
    "risk difference": "Difference of shares",
    "hazard ratio": "Hazard ratio",
    "mean": "Change within an arm, points",
    "SD": "Spread within an arm, SD in points",
    "share": "Share of patients",
    "median days": "Median days",
}
ABSENT = float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What the stored result is of."""

    version: str
    seed: int
    replicates: int
    parameters: str
    engine: str
    posterior: str
    digest: str

    @property
    def is_of_frozen(self) -> bool:
        """Whether it was made with the posterior whose freezing opened the rows."""
        return bool(self.digest) and self.digest == frozen_posterior()


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A published number beside its simulation; NaN where there is none.

    ``published`` is what was printed, in words; empty where the row is closed. ``pool`` names the trials that
    were taken together, where there are several.
    """

    row_id: str
    role: str
    label: str
    measure: str
    unit: str
    is_primary: bool
    simulated: float
    low: float
    high: float
    observed: float
    observed_low: float
    observed_high: float
    verdict: str
    reason: str
    published: str
    pool: str
    url: str
    citation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """An arm of a protocol in words."""

    name: str
    n: int | None
    regimen: str
    setting: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A shipped trial: what was done, in whom, and its rows."""

    name: str
    title: str
    design: str
    population: str
    who: str
    routes: tuple[str, ...]
    roles: tuple[str, ...]
    arms: tuple[Arm, ...]
    assumed: tuple[str, ...]
    sources: tuple[Source, ...]
    rows: tuple[Compared, ...]

    @property
    def tally(self) -> Mapping[str, int]:
        """Return how many rows have each verdict."""
        return Counter(row.verdict for row in self.rows)

    @property
    def primary(self) -> Compared | None:
        """Return the contrast that counts for the coverage, if there is one."""
        return next((row for row in self.rows if row.is_primary), None)


@cache
def _stored() -> Mapping[str, Any]:
    return json.loads(read_text(COPY))


def made_of() -> Made:
    """Return what the stored result is of."""
    held = _stored()
    return Made(
        version=held["version"],
        seed=held["seed"],
        replicates=held["replicates"],
        parameters=held["parameters"],
        engine=held["engine"],
        posterior=held["posterior"],
        digest=held["posterior_digest"],
    )


def compared_rows() -> tuple[tuple[str, Compared], ...]:
    """Return every stored row with the trials it belongs to, as ``name`` or ``name + name``, or empty.

    The observed side is taken only where the row is open now.
    """
    outcomes = {row.row_id: row for row in load_outcome_rows()}
    held = _stored()
    found = []
    for values in held["rows"]:
        row = dict(zip(held["columns"], values, strict=True))
        outcome = outcomes[row["row_id"]]
        found.append((row["trial"], _compared(row, outcome, shown=is_open(outcome))))
    return tuple(found)


def _compared(row: Mapping[str, Any], outcome: Any, *, shown: bool) -> Compared:
    told = state_outcome(outcome)
    verdict = row["verdict"]
    if not shown and verdict != "not comparable":
        verdict = "closed"
    elif verdict == "closed":
        verdict = OPENED
    return Compared(
        row_id=row["row_id"],
        role=outcome.role.value,
        label=row["label"],
        measure=row["measure"],
        unit=row["unit"],
        is_primary=row["is_primary"],
        simulated=_number(row["simulated"]),
        low=_number(row["low"]),
        high=_number(row["high"]),
        observed=_number(row["observed"]) if shown else ABSENT,
        observed_low=_number(row["observed_low"]) if shown else ABSENT,
        observed_high=_number(row["observed_high"]) if shown else ABSENT,
        verdict=verdict,
        reason="" if verdict == OPENED else row["reason"],
        published=told.printed,
        pool=row["trial"] if " + " in row["trial"] else "",
        url=told.url if told.url.startswith("http") else "",
        citation=told.citation or "; ".join(told.source_keys),
    )


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


def trials() -> Mapping[str, Trial]:
    """Return every shipped trial by name, each with its rows and those of pools it is part of."""
    rows = compared_rows()
    return {name: _trial(name, rows) for name in protocol_names()}


def find_trial(name: str) -> Trial:
    """Return a trial by its name.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    if name not in protocol_names():
        raise unknown("trial", name, protocol_names())
    return _trial(name, compared_rows())


@cache
def _told(name: str) -> Any:
    return load_protocol(name)


def _trial(name: str, rows: Sequence[tuple[str, Compared]]) -> Trial:
    protocol = _told(name)
    study = load_studies()[protocol.study]
    own = tuple(row for trial, row in rows if name in trial.split(" + "))
    return Trial(
        name=name,
        title=protocol.title,
        design=protocol.design,
        population=protocol.population.name,
        who=study.population,
        routes=tuple(sorted({arm.route for arm in study.arms} & set(ROUTES))),
        roles=tuple(sorted({row.role for row in own})),
        arms=tuple(
            Arm(
                name=_arm_name(key, arm),
                n=arm.n,
                regimen=_with_dose(arm.regimen, arm.dose),
                setting=arm.setting,
            )
            for key, arm in protocol.arms.items()
        ),
        assumed=tuple(protocol.assumed),
        sources=tuple(cite(study.source_keys)),
        rows=own,
    )


def _arm_name(key: str, arm: Any) -> str:
    return _with_dose(arm.label or key, arm.dose)


def _with_dose(text: str, dose: str | None) -> str:
    return text.replace("{dose}", dose or "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A row of a forest picture: places in per cent of its width; None where there is nothing to draw."""

    row: Compared
    low: float | None
    width: float | None
    middle: float | None
    observed: float | None
    from_: float | None
    to: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Forest:
    """Rows of one measure on one axis."""

    title: str
    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float | None


def forests(rows: Sequence[Compared]) -> tuple[Forest, ...]:
    """Return the rows that were compared, on an axis for each measure."""
    groups = {
        measure: [row for row in rows if row.measure == measure and row.verdict in COMPARED]
        for measure in MEASURES
    }
    return tuple(_forest(MEASURES[measure], own, measure) for measure, own in groups.items() if own)


def _forest(title: str, rows: Sequence[Compared], measure: str) -> Forest:
    held = [
        value
        for row in rows
        for value in (row.low, row.high, row.simulated, row.observed, row.observed_low, row.observed_high)
        if math.isfinite(value)
    ]
    anchor = 1.0 if measure == "hazard ratio" else 0.0
    bottom, top = min([anchor, *held]), max([anchor, *held])
    room = 0.04 * (top - bottom or 1.0)
    bottom, top = bottom - room, top + room

    def at(value: float) -> float | None:
        if math.isnan(value):
            return None
        return round(float(np.clip(100.0 * (value - bottom) / (top - bottom), 0.0, 100.0)), 2)

    return Forest(
        title=title,
        marks=tuple(_mark(row, at) for row in rows),
        ticks=tuple((at(value) or 0.0, _written(value, measure)) for value in _nice(bottom, top)),
        zero=at(anchor) if measure not in ("SD", "median days") else None,
    )


def _mark(row: Compared, at: Any) -> Mark:
    low, high = at(row.low), at(row.high)
    return Mark(
        row=row,
        low=low,
        width=None if low is None or high is None else round(high - low, 2),
        middle=at(row.simulated),
        observed=at(row.observed),
        from_=at(row.observed_low),
        to=at(row.observed_high),
    )


def _nice(bottom: float, top: float) -> list[float]:
    """Return about five round numbers between two values."""
    rough = (top - bottom) / 5.0
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(one * scale for one in (1.0, 2.0, 2.5, 5.0, 10.0) if one * scale >= rough)
    return [step * count for count in range(math.ceil(bottom / step), math.floor(top / step) + 1)]


def _written(value: float, measure: str) -> str:
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "none" if value > 0 else "–"
    if measure in ("share", "risk difference"):
        return f"{100.0 * value:.0f} %"
    if measure == "median days":
        return f"{value:.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 10 else f"{value:.1f}".removesuffix(".0")


def number_of(value: float, measure: str) -> str:
    """Return a number as its measure is written; shares in per cent."""
    return _written(value, measure)
