"""Every published outcome beside its forecast, scored where it is open: by role, by group, case by case.

A forecast for a study that was not fitted must hold what differs between studies. The posterior has the two
SDs of such effects, on all arms of a study and on its active arms alone; ``with_study_effects`` adds a draw
of each to every replicate. The observed side of rows kept to validate is read only where
``evidence.select.is_open`` says so: it opens with the frozen posterior and with nothing else.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.scoring import (
    INTERVAL,
    NAN,
    Coverage,
    Forecast,
    Score,
    Scored,
    forecast_of,
    score_of,
)
from euthymia.calibration.study_effects import (
    Values,
    name_of,
    share_slopes,
    study_effects,
    study_sds,
    with_study_effects,
)
from euthymia.calibration.targets import LIKE_SHARES, SPREADS
from euthymia.errors import invalid
from euthymia.evidence.records import OutcomeRow, Role
from euthymia.evidence.select import is_open
from euthymia.evidence.studies import load_outcome_rows
from euthymia.population.posterior import Posterior
from euthymia.tables import read_table, read_text
from euthymia.trials.published import ReplicationRow
from euthymia.trials.replication import CLOSED, observed_of
from euthymia.trials.replication_all import bundles
from euthymia.trials.replication_runs import QUANTITIES, ReplicationRun, load_replication

Array = NDArray[np.float64]
DAY_H = 24.0
OPEN, SHUT, NOT_COMPARABLE = "open", "closed", "not comparable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A part of a published row beside its forecasts.

    Attributes
    ----------
    name : str
        Row and part, ``T0009a``.
    group : str
        What is new about the trial; empty where it may be fitted.
    kind : str
        As in ``scoring.Scored``; empty where it is not comparable.
    state : str
        ``open``, ``closed`` or ``not comparable``.
    reason : str
        Why it is not open; else a note.
    observed : float
        NaN where it is not open, or where only a direction was printed.
    alone : Forecast
        By chance and by parameters.
    among_studies : Forecast or None
        With what differs between studies besides; None where no posterior says how much.
    """

    name: str
    run: ReplicationRun
    role: str
    trial: str
    group: str
    kind: str
    state: str
    reason: str
    source: str
    observed: float
    alone: Forecast
    among_studies: Forecast | None

    @property
    def forecast(self) -> Forecast:
        """What is scored: with effects of studies where they are known."""
        return self.alone if self.among_studies is None else self.among_studies

    @property
    def verdict(self) -> str:
        """``inside``, ``outside``, ``direction agrees``, ``direction contradicts``, or the state."""
        return self.verdict_of(self.forecast)

    def verdict_of(self, forecast: Forecast) -> str:
        """Return the verdict by one of its forecasts."""
        if self.state != OPEN:
            return self.state
        if self.run.is_direction:
            is_below = self.run.observed == "below"
            agrees = forecast.expected < 0.0 if is_below else forecast.expected > 0.0
            return f"direction {'agrees' if agrees else 'contradicts'}"
        return "inside" if forecast.holds(self.observed) else "outside"


class Gap(NamedTuple):
    """Two numbers of which one is taken from the other, replicate by replicate."""

    label: str
    of: str
    less: str


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedGap:
    """A difference of two published numbers beside its forecasts; fields as in `Judged`."""

    gap: Gap
    state: str
    observed: float
    alone: Forecast
    among_studies: Forecast | None

    @property
    def verdict(self) -> str:
        """``inside``, ``outside``, or the state."""
        forecast = self.alone if self.among_studies is None else self.among_studies
        if self.state != OPEN:
            return self.state
        return "inside" if forecast.holds(self.observed) else "outside"


@dataclass(frozen=True, kw_only=True, slots=True)
class HardCase:
    """A question that models of this kind fail, and the parts of rows that answer it."""

    name: str
    asks: str
    rows: tuple[str, ...]
    trials: tuple[str, ...]
    gaps: tuple[Gap, ...]

    def picks(self, one: Judged) -> bool:
        """Tell whether a part of a row belongs to the case."""
        return one.name in self.rows or bool(set(one.run.protocols) & set(self.trials))


@cache
def transport_groups() -> Mapping[str, str]:
    """Return what is new about each trial that is kept to validate (``data/calibration/transport.csv``)."""
    return {row["trial"]: row["group"] for row in read_table("calibration/transport.csv")}


@cache
def scoring_rules() -> Mapping[str, Mapping[str, float]]:
    """Return the fixed baseline and the aims (``data/calibration/scoring.toml``)."""
    return tomllib.loads(read_text("calibration/scoring.toml"))


@cache
def hard_cases() -> tuple[HardCase, ...]:
    """Return the known hard cases (``data/calibration/hard_cases.toml``)."""
    found = tomllib.loads(read_text("calibration/hard_cases.toml"))["case"]
    return tuple(
        HardCase(
            name=one["name"],
            asks=one["asks"],
            rows=tuple(one.get("rows", ())),
            trials=tuple(one.get("trials", ())),
            gaps=tuple(Gap(**gap) for gap in one.get("differences", ())),
        )
        for one in found
    )


def kind_of(run: ReplicationRun) -> str:
    """Return as what a number is scored; empty where it is not comparable."""
    if not run.is_comparable:
        return ""
    if run.quantity == "contrast_change" and run.scale == "MADRS":
        return "MADRS contrast"
    if QUANTITIES[run.quantity].is_share:
        return "contrast" if run.quantity == "contrast_share" else "rate"
    if run.quantity in SPREADS:
        return "SD"
    return "contrast" if run.reference else "other"


# --- rows beside forecasts -----------------------------------------------------------------------


def judge(
    runs: Sequence[ReplicationRun],
    values: Values,
    *,
    posterior: Posterior | None = None,
    seed: int = 1,
    rows: Mapping[str, OutcomeRow] | None = None,
) -> tuple[Judged, ...]:
    """Return every part of every row beside its forecasts from replicates.

    Parameters
    ----------
    runs : sequence of ReplicationRun
    values : {name: (R,)}
        In order of the replicates, from 0.
    posterior : Posterior, optional
        Whose draws the replicates took; its SDs between studies are added.
    seed : int
        Of the replicates.
    rows : {row: OutcomeRow}, optional
        By default the published ones.
    """
    outcomes = rows if rows is not None else {row.row_id: row for row in load_outcome_rows()}
    moved = _moved(runs, values, posterior, seed)
    found = []
    for run in runs:
        bare = _judged(run, outcomes[run.row_id])
        name = bare.name
        found.append(
            replace(
                bare,
                alone=forecast_of(values.get(name, ()), bare.observed),
                among_studies=forecast_of(moved[name], bare.observed) if name in moved else None,
            )
        )
    return tuple(_with_state(one) for one in found)


def judge_gaps(
    runs: Sequence[ReplicationRun],
    values: Values,
    judged: Sequence[Judged],
    *,
    posterior: Posterior | None = None,
    seed: int = 1,
) -> tuple[JudgedGap, ...]:
    """Return the differences that hard cases ask for, of those whose replicates are at hand.

    Parameters
    ----------
    runs, values, posterior, seed
        As for `judge`.
    judged : sequence of Judged
        What that gave: a difference is open where both of its numbers are.
    """
    known, moved = {one.name: one for one in judged}, _moved(runs, values, posterior, seed)
    found = []
    for gap in (gap for case in hard_cases() for gap in case.gaps):
        if not {gap.of, gap.less} <= known.keys() & set(values):
            continue
        observed = known[gap.of].observed - known[gap.less].observed  # NaN where either is closed
        states = {known[gap.of].state, known[gap.less].state}
        alone = forecast_of(_less(values, gap), observed)
        if np.isnan(alone.expected):
            states.add(NOT_COMPARABLE)
        found.append(
            JudgedGap(
                gap=gap,
                state=next((one for one in (NOT_COMPARABLE, SHUT) if one in states), OPEN),
                observed=observed,
                alone=alone,
                among_studies=forecast_of(_less(moved, gap), observed)
                if {gap.of, gap.less} <= moved.keys()
                else None,
            )
        )
    return tuple(found)


def _less(values: Mapping[str, Sequence[float] | Array], gap: Gap) -> Array:
    of, less = (np.asarray(values[name], float) for name in (gap.of, gap.less))
    both = min(len(of), len(less))
    return of[:both] - less[:both]


def _moved(
    runs: Sequence[ReplicationRun], values: Values, posterior: Posterior | None, seed: int
) -> dict[str, Array]:
    """Return replicates with effects of studies, by name, of all that can have them."""
    replicates = max((len(one) for one in values.values()), default=0)
    sds = None if posterior is None else study_sds(posterior, replicates, seed=seed)
    if sds is None:
        return {}
    slopes, found = share_slopes(runs, values), dict[str, Array]()
    for trials in bundles([run for run in runs if run.is_comparable]):
        effects = study_effects(trials, sds, seed=seed)
        for run in (one for one in runs if one.is_comparable and set(one.protocols) <= set(trials)):
            name = name_of(run)
            needs_slope = run.quantity in (*LIKE_SHARES, "contrast_share")
            if name in values and not (needs_slope and name not in slopes):
                drawn = np.asarray(values[name], float)
                found[name] = with_study_effects(
                    drawn, run, effects[: len(drawn)], slope=slopes.get(name, 0.0)
                )
    return found


def judge_stored(
    stored: Sequence[ReplicationRow], *, rows: Mapping[str, OutcomeRow] | None = None
) -> tuple[Judged, ...]:
    """Return rows beside the medians and intervals of a stored run, whose replicates are not at hand.

    What is open is decided now, not when it was stored.

    Raises
    ------
    InvalidInputError
        If a stored row is none of this version.
    """
    outcomes = rows if rows is not None else {row.row_id: row for row in load_outcome_rows()}
    waiting: dict[tuple[str, str], list[ReplicationRun]] = {}
    for run in load_replication():
        waiting.setdefault((run.row_id, " + ".join(run.protocols)), []).append(run)
    found = []
    for row in stored:
        left = waiting.get((row.row_id, row.trial), [])
        if not left:
            must = "rows that this version has"
            cure = "Run 'euthymia qualify' without it."
            raise invalid("--from", must=must, got=f"{row.row_id} of {row.trial or 'no trial'}", cure=cure)
        run = left.pop(0)
        seen = Forecast(expected=row.simulated, low=row.low, high=row.high, replicates=row.replicates)
        found.append(replace(_judged(run, outcomes[run.row_id]), alone=seen))
    return tuple(_with_state(one) for one in found)


def _judged(run: ReplicationRun, outcome: OutcomeRow) -> Judged:
    """Return a part of a row without forecasts; what is closed of it is not read."""
    is_shown = run.is_comparable and is_open(outcome)
    state = OPEN if is_shown else SHUT if run.is_comparable else NOT_COMPARABLE
    groups = [transport_groups().get(name, "") for name in run.protocols]
    is_kept = outcome.role is Role.VALIDATE
    return Judged(
        name=name_of(run),
        run=run,
        role=outcome.role.value,
        trial=" + ".join(run.protocols),
        group=next(filter(None, groups), "") if is_kept else "",
        kind=kind_of(run),
        state=state,
        reason=CLOSED if state == SHUT else run.reason or run.note,
        source=outcome.source_keys[0] if outcome.source_keys else "",
        observed=observed_of(run, outcome) if is_shown else NAN,
        alone=Forecast(),
        among_studies=None,
    )


def _with_state(one: Judged) -> Judged:
    """Return a row that cannot be judged with the reason."""
    if one.state == NOT_COMPARABLE:
        return one
    if np.isnan(one.alone.expected):
        reason = f"{one.alone.replicates} replicates have a value, which is too few"
        return replace(one, state=NOT_COMPARABLE, reason=reason, observed=NAN)
    if one.state == OPEN and np.isnan(one.observed) and not one.run.is_direction:
        return replace(one, state=NOT_COMPARABLE, reason="no number was printed")
    return one


# --- scores --------------------------------------------------------------------------------------


def scored(rows: Sequence[Judged], *, is_among_studies: bool) -> list[Scored]:
    """Return what can be scored: open, with a number and a forecast.

    Parameters
    ----------
    is_among_studies : bool
        Whether forecasts are those with effects of studies.
    """
    found = []
    for one in rows:
        forecast = one.among_studies if is_among_studies else one.alone
        if one.state == OPEN and not one.run.is_direction and forecast is not None:
            found.append(
                Scored(
                    trial=one.trial,
                    kind=one.kind,
                    is_primary=one.run.is_primary_contrast,
                    is_first_day=one.run.times_h == (DAY_H,),
                    observed=one.observed,
                    forecast=forecast,
                )
            )
    return found


def baselines(rows: Sequence[Judged]) -> tuple[tuple[str, float], ...]:
    """Return the two forecasts of MADRS contrasts that a model must beat.

    A fixed number of points; and the mean of the contrasts of rows to calibrate with.
    """
    fitted = [
        one.observed
        for one in rows
        if one.role == Role.CALIBRATE.value and one.kind == "MADRS contrast" and np.isfinite(one.observed)
    ]
    pooled = (("mean of the contrasts fitted", float(np.mean(fitted))),) if fitted else ()
    fixed = scoring_rules()["baseline"]["fixed_points"]
    return (("a fixed contrast of the usual size", fixed), *pooled)


def score_rows(
    rows: Sequence[Judged],
    *,
    every: Sequence[Judged],
    is_among_studies: bool,
    is_first_day_only: bool = False,
) -> Score:
    """Return the scores of some rows; baselines come from all of them.

    Parameters
    ----------
    rows : sequence of Judged
    every : sequence of Judged
        Among them those to calibrate with.
    """
    chosen = scored(rows, is_among_studies=is_among_studies)
    return score_of(chosen, baselines=baselines(every), is_first_day_only=is_first_day_only)


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion:
    """An aim that was set before, and whether it is met; ``unknown`` where nothing is open to tell."""

    name: str
    aim: str
    value: str
    verdict: str


def adequacy(score: Score) -> tuple[Criterion, ...]:
    """Return every aim of the scoring beside what came out, for rows kept to validate."""
    aims = scoring_rules()["aims"]
    low, high = aims["coverage_low"], aims["coverage_high"]
    found = [
        _covered("contrasts inside the interval of 90 %", score.contrasts, low, high),
        _near("primary contrasts inside, one a trial", score.primary),
        _at_most("error of MADRS contrasts", score.points_error, aims["points"], "points"),
        _at_most("error of rates", score.rates_error, aims["rates"], "percentage points"),
    ]
    for one in score.skills:
        found.append(
            Criterion(
                name=f"better than '{one.baseline}'",
                aim="skill above 0",
                value=f"{one.skill:+.2f}" if np.isfinite(one.skill) else "–",
                verdict=_word(one.skill > 0.0) if np.isfinite(one.skill) else "unknown",
            )
        )
    return tuple(found)


def _covered(name: str, one: Coverage, low: float, high: float) -> Criterion:
    text = "–" if not one.total else f"{one.inside} of {one.total}, {100.0 * one.share:.0f} %"
    verdict = _word(low <= one.share <= high) if one.total else "unknown"
    return Criterion(name=name, aim=f"{100 * low:.0f} to {100 * high:.0f} %", value=text, verdict=verdict)


def _near(name: str, one: Coverage) -> Criterion:
    """Return whether a coverage of few numbers may be that of the interval."""
    nominal = INTERVAL[1] - INTERVAL[0]
    text = f"{one.inside} of {one.total}, {100.0 * one.low:.0f} to {100.0 * one.high:.0f} %"
    return Criterion(
        name=name,
        aim=f"{100 * nominal:.0f} % within its binomial interval",
        value=text if one.total else "–",
        verdict=_word(one.low <= nominal <= one.high) if one.total else "unknown",
    )


def _at_most(name: str, value: float, aim: float, unit: str) -> Criterion:
    is_known = np.isfinite(value)
    return Criterion(
        name=name,
        aim=f"at most {aim:g} {unit}",
        value=f"{value:.1f} {unit}" if is_known else "–",
        verdict=_word(value <= aim) if is_known else "unknown",
    )


def _word(is_met: bool) -> str:  # noqa: FBT001 - a claim and its word
    return "met" if is_met else "not met"
