"""Published outcomes beside simulated trials: the number of each row over replicates, and the verdict.

``replication_runs`` says what each row is held against, ``replication_values`` reads it off a cohort. Nothing
here runs a trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from euthymia.evidence.records import OutcomeRow
from euthymia.evidence.select import is_open
from euthymia.evidence.studies import load_outcome_rows
from euthymia.trials.published import ReplicationRow
from euthymia.trials.replication_runs import (
    NAN,
    NUMBER,
    QUANTITIES,
    SIGNS,
    TEXT,
    ReplicationRun,
    load_replication,
)
from euthymia.trials.replication_values import quantity_of

__all__ = [
    "ReplicationRun",
    "Verdict",
    "compare",
    "load_replication",
    "observed_interval",
    "observed_of",
    "quantity_of",
    "replication_row",
    "replication_rows",
]

Array = NDArray[np.float64]
INTERVAL = (0.05, 0.95)
"""Ends of the prediction interval of 90 %."""
FEWEST_REPLICATES = 20
"""Replicates with a value below which the ends of the interval would be the extremes."""
CLOSED = "closed until the posterior is frozen"
PERCENT = 100.0
WEEK_DAYS = 7.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A published number beside its values over replicates.

    Attributes
    ----------
    word : str
        ``inside``, ``outside``, ``direction agrees``, ``direction contradicts``, ``closed``,
        ``not comparable``.
    reason : str
        Why it is closed or not comparable; else empty.
    simulated, low, high : float
        Median over replicates with the interval of 90 %.
    replicates : int
        With a value.
    observed : float
        NaN where closed, in words, or a direction.
    """

    word: str
    reason: str = ""
    simulated: float = NAN
    low: float = NAN
    high: float = NAN
    replicates: int = 0
    observed: float = NAN


def observed_of(run: ReplicationRun, outcome: OutcomeRow) -> float:
    """Return the printed number of a row in the unit of the quantity: shares from 0 to 1, times in days.

    NaN where none was printed, and where the row says only which way.
    """
    if run.is_direction:
        return NAN
    if found := TEXT.fullmatch(run.observed):
        numbers = NUMBER.findall(outcome.value_text)
        value = float(numbers[int(found[1]) - 1]) if len(numbers) >= int(found[1]) else None
    else:
        value = _cell(run.observed, outcome)
    if value is None:
        return NAN
    if run.quantity == "median_days" and "weeks" in outcome.quantity:
        return value * WEEK_DAYS
    return value / PERCENT if QUANTITIES[run.quantity].is_share else value


def _cell(name: str, outcome: OutcomeRow) -> float | None:
    return {
        "value": outcome.estimate.value,
        "sd": outcome.estimate.sd,
        "contrast": outcome.contrast.value,
        "response": outcome.response_percent,
        "remission": outcome.remission_percent,
        "effect": outcome.effect.value,
    }[name]


def observed_interval(run: ReplicationRun, outcome: OutcomeRow) -> tuple[float, float]:
    """Return the printed 95 % interval of the number that a run is held against; NaN where there is none."""
    one = {"value": outcome.estimate, "contrast": outcome.contrast, "effect": outcome.effect}.get(
        run.observed
    )
    if one is None:
        return NAN, NAN
    scale = 1.0 / PERCENT if QUANTITIES[run.quantity].is_share else 1.0
    low, high = one.ci95_low, one.ci95_high
    return (NAN if low is None else low * scale), (NAN if high is None else high * scale)


def compare(run: ReplicationRun, outcome: OutcomeRow, values: Sequence[float] | Array = ()) -> Verdict:
    """Return a published number beside the values of the same quantity over replicates.

    Parameters
    ----------
    run : ReplicationRun
    outcome : OutcomeRow
        The published row of that name; what is closed of it is not read.
    values : array (R,)
        Of ``quantity_of``, NaN where it could not be computed.

    Notes
    -----
    The interval holds the middle 90 % of single trials of this size, so that a published trial, which is one,
    lies inside nine times in ten where the model is right. Of a direction the median decides.
    """
    if not run.is_comparable:
        return Verdict(word="not comparable", reason=run.reason)
    drawn = np.asarray(values, float)
    known = drawn[~np.isnan(drawn)]
    if len(known) < FEWEST_REPLICATES:
        reason = f"{len(known)} of {len(drawn)} replicates gave a value, {FEWEST_REPLICATES} are needed"
        return Verdict(word="not comparable", reason=reason, replicates=len(known))
    low, middle, high = _quantiles(known)
    seen = Verdict(word="closed", reason=CLOSED, simulated=middle, low=low, high=high, replicates=len(known))
    if not is_open(outcome):
        return seen
    if run.is_direction:
        agrees = middle * SIGNS[run.observed] > 0.0
        return replace(seen, word=f"direction {'agrees' if agrees else 'contradicts'}", reason="")
    observed = observed_of(run, outcome)
    if np.isnan(observed):
        return replace(seen, word="not comparable", reason="no number was printed")
    is_inside = low <= observed <= high
    return replace(seen, word="inside" if is_inside else "outside", reason="", observed=observed)


def _quantiles(values: Array) -> tuple[float, float, float]:
    """Return the ends and the middle of values, of which some may be infinite."""
    method = "linear" if np.isfinite(values).all() else "closest_observation"
    low, middle, high = np.quantile(values, [INTERVAL[0], 0.5, INTERVAL[1]], method=method)
    return float(low), float(middle), float(high)


def replication_row(
    run: ReplicationRun, outcome: OutcomeRow, values: Sequence[float] | Array = (), *, title: str = ""
) -> ReplicationRow:
    """Return a comparison as tables and pages take it: as of `compare`, with the title of the trial."""
    verdict = compare(run, outcome, values)
    is_shown = np.isfinite(verdict.observed)
    low, high = observed_interval(run, outcome) if is_shown else (NAN, NAN)
    measure = QUANTITIES[run.quantity].measure if run.is_comparable else ""
    return ReplicationRow(
        trial=" + ".join(run.protocols),
        title=title,
        row_id=run.row_id,
        role=outcome.role.value,
        label=run.label or outcome.quantity,
        measure=measure,
        unit={"mean": "points", "SD": "points", "difference": "points", "median days": "days"}.get(
            measure, ""
        ),
        is_primary=run.is_primary_contrast,
        simulated=verdict.simulated,
        low=verdict.low,
        high=verdict.high,
        replicates=verdict.replicates,
        observed=verdict.observed,
        observed_low=low,
        observed_high=high,
        verdict=verdict.word,
        reason=verdict.reason or run.note,
        source=outcome.source_keys[0] if outcome.source_keys else "",
    )


def replication_rows(
    runs: Sequence[ReplicationRun],
    values: Mapping[str, Sequence[float]],
    *,
    titles: Mapping[str, str],
) -> tuple[ReplicationRow, ...]:
    """Return every run beside its published row.

    Parameters
    ----------
    runs : sequence of ReplicationRun
    values : {row and part, ``T0009a``: (R,)}
    titles : {protocol: title}
    """
    outcomes = {row.row_id: row for row in load_outcome_rows()}
    return tuple(
        replication_row(
            run,
            outcomes[run.row_id],
            values.get(f"{run.row_id}{run.part}", ()),
            title=titles[run.protocols[0]] if run.protocols else "",
        )
        for run in runs
    )
