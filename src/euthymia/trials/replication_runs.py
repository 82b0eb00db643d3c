"""Which number of which simulated trial a published row is held against: the table, typed and checked.

``data/evidence/efficacy/replication.csv`` says it for every row of the outcomes, by the definition and the
imputation of the row, or says why there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import eq, ge, gt, le, lt
from typing import Any, cast

from euthymia.errors import invalid, unknown
from euthymia.evidence.check import require_sound
from euthymia.model.scales import find_scale
from euthymia.population.outcomes import relapse_rules
from euthymia.tables import Row, number, read_table
from euthymia.trials.design import Protocol
from euthymia.trials.endpoints import IMPUTATIONS, SAME_TIME_H
from euthymia.trials.fields import hours, time_text

NAN = float("nan")
TABLE = "evidence/efficacy/replication.csv"
COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {"<=": le, ">=": ge, "<": lt, ">": gt, "==": eq}
COVARIATES = ("age_years", "sex")
ANALYSES = ("raw", "ancova", "mmrm")
SIGNS = {"below": -1.0, "above": 1.0}
CELLS = ("value", "sd", "contrast", "response", "remission", "effect")
"""Cells of a row that may be the printed number."""
OUTCOME_EVENTS = ("response", "remission")
"""Events that are no relapse, where the time to the first is meant."""
TEXT = re.compile(r"text ([1-9])")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_RATED = re.compile(r"(no )?(?:(response)|([A-Z][\w/ -]*?) (<=|>=) (\d+)) at (.+)")
_COVARIATE = re.compile(r"(\w+) (<=|>=|<|>|==) (\S+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A number that is read off a cohort, and which columns of a run it needs.

    Attributes
    ----------
    meaning : str
    measure : str
        As in ``trials.records.Estimate``; ``SD`` and ``share`` besides.
    needs : tuple of str
        Columns that must be given.
    is_share : bool
        Printed in percent, here from 0 to 1.
    """

    meaning: str
    measure: str
    needs: tuple[str, ...] = ()
    is_share: bool = False


_FOLLOWED = ("since", "among", "rule")
QUANTITIES: Mapping[str, Quantity] = {
    "mean_change": Quantity(meaning="mean change of a total since a visit", measure="mean"),
    "sd_change": Quantity(meaning="SD between patients of that change", measure="SD"),
    "mean_score": Quantity(meaning="mean total at a visit", measure="mean"),
    "sd_score": Quantity(meaning="SD between patients of a total", measure="SD"),
    "contrast_change": Quantity(
        meaning="change in the arm less that in the reference", measure="difference", needs=("reference",)
    ),
    "standardised_difference": Quantity(
        meaning="fall in the arm less that in the reference, in pooled SDs; above 0 favours the arm",
        measure="standardised difference",
        needs=("reference",),
    ),
    "response_share": Quantity(
        meaning="share with a fall of a fraction from baseline",
        measure="share",
        needs=("fraction",),
        is_share=True,
    ),
    "remission_share": Quantity(
        meaning="share at or below a cut-off", measure="share", needs=("at_most",), is_share=True
    ),
    "conditional_share": Quantity(
        meaning="share with a response or remission among those with an earlier or later state",
        measure="share",
        needs=("among",),
        is_share=True,
    ),
    "contrast_share": Quantity(
        meaning="share in the arm less that in the reference",
        measure="risk difference",
        needs=("reference",),
        is_share=True,
    ),
    "relapse_share": Quantity(
        meaning="share who relapsed, 1 less Kaplan-Meier", measure="share", needs=_FOLLOWED, is_share=True
    ),
    "well_share": Quantity(
        meaning="share without relapse, Kaplan-Meier", measure="share", needs=_FOLLOWED, is_share=True
    ),
    "median_days": Quantity(
        meaning="median days to relapse; infinite where it is not reached",
        measure="median days",
        needs=_FOLLOWED,
    ),
    "hazard_ratio": Quantity(
        meaning="hazard in the arm over that in the reference (Cox)",
        measure="hazard ratio",
        needs=("reference", "rule"),
    ),
    "dose_share": Quantity(
        meaning="share of those still treated whose last dose was at least so large",
        measure="share",
        needs=("at_least",),
        is_share=True,
    ),
}
"""The closed vocabulary of ``quantity``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """Who counts: by a state at visits, a covariate, or being among those analysed.

    Attributes
    ----------
    kind : str
        ``response``, ``points``, ``covariate`` or ``analysed``.
    is_met : bool
        False where the state must not have held at all of the times.
    field, comparison, threshold
        Scale or covariate, how it is compared, and with what.
    times_h : tuple of float
        The state holds where it holds at all of them.
    """

    kind: str
    is_met: bool = True
    field: str = ""
    comparison: str = ""
    threshold: float | str = NAN
    times_h: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicationRun:
    """What of simulated trials one part of a published row is held against; see the header of the table.

    Attributes
    ----------
    protocols : tuple of str
        Whose patients are pooled; empty where no protocol has the row.
    arms, reference : tuple of str
        Arms of the protocols, pooled.
    times_h : tuple of float
        From the first dose; in a crossover from the start of the period.
    count : int or None
        At how many of the times; None: at all; 0: at none.
    """

    row_id: str
    part: str
    protocols: tuple[str, ...]
    is_comparable: bool
    reason: str
    quantity: str
    observed: str
    arms: tuple[str, ...]
    reference: tuple[str, ...]
    scale: str
    times_h: tuple[float, ...]
    since_h: float
    among: tuple[Condition, ...]
    fraction: float | None
    at_most: float | None
    at_least: float | None
    count: int | None
    rule: str
    imputation: str
    analysis: str
    is_primary_contrast: bool
    note: str

    @property
    def is_direction(self) -> bool:
        """Whether the row says only which way."""
        return self.observed in SIGNS

    @property
    def same_as(self) -> str:
        """Row whose number this one repeats; empty where it is its own."""
        return self.reason.removeprefix("same as ") if self.reason.startswith("same as ") else ""

    @property
    def last_h(self) -> float:
        """The last of the times."""
        return max(self.times_h)

    @property
    def label(self) -> str:
        """What is compared, in a line."""
        if not self.is_comparable:
            return ""
        arms = " + ".join(self.arms) + (f" - {' + '.join(self.reference)}" if self.reference else "")
        when = ", ".join(time_text(one) for one in self.times_h)
        if self.quantity in ("median_days", "hazard_ratio"):
            when = f"from {time_text(self.since_h)}"
        return ", ".join(part for part in (arms, self.scale, self.rule, when) if part)


@cache
def load_replication() -> tuple[ReplicationRun, ...]:
    """Return every part of every row, comparable or not, in the order of the table.

    Raises
    ------
    InvalidInputError
        If any check fails, with every problem on its own line.
    """
    return read_replication(read_table(TABLE))


def read_replication(rows: Sequence[Row]) -> tuple[ReplicationRun, ...]:
    """Return runs from the rows of a table, after the checks of `load_replication`."""
    require_sound(TABLE, [problem for row in rows for problem in row_problems(row)])
    runs = tuple(_run(row) for row in rows)
    require_sound(TABLE, _problems_between(runs))
    return runs


def row_problems(row: Row) -> Iterator[str]:
    """Yield what is wrong in one row of the table by itself."""
    name = f"{row['row_id']}{row['part']}"
    for column in ("comparable", "is_primary_contrast"):
        if row[column] not in ("yes", "no"):
            yield f"{name}: {column} must be yes or no, not {row[column]!r}"
    if row["comparable"] != "yes":
        if not row["reason"]:
            yield f"{name}: what is not comparable needs a reason"
        if row["quantity"] or row["is_primary_contrast"] == "yes":
            yield f"{name}: what is not comparable has no quantity and is no primary contrast"
        return
    yield from (f"{name}: {problem}" for problem in _problems_of_comparable(row))


def _problems_of_comparable(row: Row) -> Iterator[str]:
    if row["quantity"] not in QUANTITIES:
        yield f"quantity must be one of {', '.join(QUANTITIES)}, not {row['quantity']!r}"
        return
    needs = ("protocol", "arm", "time", "scale", *QUANTITIES[row["quantity"]].needs)
    yield from (f"{column} must be given for {row['quantity']}" for column in needs if not row[column])
    if row["observed"] not in (*CELLS, *SIGNS) and not TEXT.fullmatch(row["observed"]):
        yield f"observed must be one of {', '.join((*CELLS, *SIGNS))} or 'text 1', not {row['observed']!r}"
    if row["imputation"] not in ("", *IMPUTATIONS):
        yield f"imputation must be one of {', '.join(IMPUTATIONS)}, not {row['imputation']!r}"
    if row["analysis"] not in ("", *ANALYSES):
        yield f"analysis must be one of {', '.join(ANALYSES)}, not {row['analysis']!r}"
    if row["rule"] not in ("", *relapse_rules(), *OUTCOME_EVENTS):
        yield f"rule must be one of {', '.join((*relapse_rules(), *OUTCOME_EVENTS))}, not {row['rule']!r}"
    if row["is_primary_contrast"] == "yes" and not row["reference"]:
        yield "a primary contrast needs a reference"
    is_yes_or_no = row["quantity"] in ("conditional_share", "contrast_share")
    if is_yes_or_no and not (row["fraction"] or row["at_most"]):
        yield f"fraction or at_most must be given for {row['quantity']}"
    try:
        _run(row)
    except ValueError as error:
        yield str(error)


def _problems_between(runs: Sequence[ReplicationRun]) -> Iterator[str]:
    known = {run.row_id for run in runs}
    copies = {run.row_id for run in runs if run.same_as}
    seen: set[tuple[str, str]] = set()
    for run in runs:
        if (run.row_id, run.part) in seen:
            yield f"{run.row_id}{run.part} stands twice"
        seen.add((run.row_id, run.part))
        if run.same_as and (run.same_as not in known or run.same_as in copies):
            yield f"{run.row_id}{run.part}: {run.same_as} must be another row, and its own"


def _run(row: Row) -> ReplicationRun:
    if row["comparable"] != "yes":
        return _not_comparable(row)
    count = number(row, "count")
    return ReplicationRun(
        row_id=row["row_id"],
        part=row["part"],
        protocols=_joined(row["protocol"]),
        is_comparable=True,
        reason="",
        quantity=row["quantity"],
        observed=row["observed"],
        arms=_joined(row["arm"]),
        reference=_joined(row["reference"]),
        scale=find_scale(row["scale"]).name,
        times_h=_times(row["time"]),
        since_h=_times(row["since"])[0] if row["since"] else 0.0,
        among=tuple(read_condition(text) for text in row["among"].split(";")) if row["among"] else (),
        fraction=number(row, "fraction"),
        at_most=number(row, "at_most"),
        at_least=number(row, "at_least"),
        count=None if count is None else int(count),
        rule=row["rule"],
        imputation=row["imputation"] or "observed",
        analysis=row["analysis"] or "raw",
        is_primary_contrast=row["is_primary_contrast"] == "yes",
        note=row["note"],
    )


def _not_comparable(row: Row) -> ReplicationRun:
    return ReplicationRun(
        row_id=row["row_id"],
        part=row["part"],
        protocols=_joined(row["protocol"]),
        is_comparable=False,
        reason=row["reason"],
        quantity="",
        observed="",
        arms=(),
        reference=(),
        scale="",
        times_h=(),
        since_h=0.0,
        among=(),
        fraction=None,
        at_most=None,
        at_least=None,
        count=None,
        rule="",
        imputation="",
        analysis="",
        is_primary_contrast=False,
        note=row["note"],
    )


def _joined(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(" + ")) if text else ()


def _times(text: str) -> tuple[float, ...]:
    return tuple(cast(float, hours(part.strip())) for part in text.split(","))


def read_condition(text: str) -> Condition:
    """Return what a text says of who counts.

    Examples
    --------
    >>> read_condition("no response at day 1").is_met
    False
    >>> read_condition("MADRS <= 12 at day 91, day 98").times_h
    (2184.0, 2352.0)

    Raises
    ------
    InvalidInputError
    """
    text = text.strip()
    if text == "analysed":
        return Condition(kind="analysed")
    if found := _RATED.fullmatch(text):
        is_met, times_h = not found[1], _times(found[6])
        if found[2]:
            return Condition(kind="response", is_met=is_met, times_h=times_h)
        return Condition(
            kind="points",
            is_met=is_met,
            field=find_scale(found[3]).name,
            comparison=found[4],
            threshold=float(found[5]),
            times_h=times_h,
        )
    found = _COVARIATE.fullmatch(text)
    if found is None:
        raise invalid(
            "among", must="such as 'response at day 1', 'age_years < 75' or 'analysed'", got=repr(text)
        )
    if found[1] not in COVARIATES:
        raise unknown("covariate", found[1], COVARIATES)
    is_number = NUMBER.fullmatch(found[3]) is not None
    return Condition(
        kind="covariate",
        field=found[1],
        comparison=found[2],
        threshold=float(found[3]) if is_number else found[3],
    )


def protocol_problems(run: ReplicationRun, protocols: Collection[Protocol]) -> Iterator[str]:
    """Yield what a run asks of its protocols that they do not have: arms, visits, scales."""
    name = f"{run.row_id}{run.part}"
    arms = {arm for one in protocols for arm in one.arms}
    for arm in (*run.arms, *run.reference):
        if arm not in arms:
            yield f"{name}: no arm {arm!r} in {' + '.join(run.protocols)}"
    for protocol in protocols:
        for scale, time_h in _asked(run):
            rated = [one.at for one in protocol.visits if not scale or scale in one.scales]
            if not any(abs(at - time_h) < SAME_TIME_H for at in rated):
                yield f"{name}: {protocol.id} does not rate {scale or 'anything'} at {time_text(time_h)}"


def _asked(run: ReplicationRun) -> Iterator[tuple[str, float]]:
    """Yield every scale and time that a run reads."""
    if run.quantity != "dose_share":
        yield from ((run.scale, time_h) for time_h in (0.0, run.since_h, *run.times_h))
    for one in run.among:
        yield from ((one.field if one.kind == "points" else run.scale, time_h) for time_h in one.times_h)
