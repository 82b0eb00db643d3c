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
from math import asin, pi

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.likelihood import STUDY_EFFECTS, loadings_of
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
from euthymia.calibration.targets import LIKE_SHARES, SPREADS, TRANSFORMS, Target
from euthymia.errors import invalid
from euthymia.evidence.records import OutcomeRow, Role
from euthymia.evidence.select import is_open
from euthymia.evidence.studies import load_outcome_rows
from euthymia.population.posterior import Posterior
from euthymia.streams import normals
from euthymia.tables import read_table, read_text
from euthymia.trials.published import ReplicationRow
from euthymia.trials.replication import CLOSED, observed_of
from euthymia.trials.replication_all import bundles
from euthymia.trials.replication_runs import QUANTITIES, ReplicationRun, load_replication

Array = NDArray[np.float64]
Values = Mapping[str, Sequence[float]]
STREAM = "study effect"
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


@dataclass(frozen=True, kw_only=True, slots=True)
class HardCase:
    """A question that models of this kind fail, and the parts of rows that answer it."""

    name: str
    asks: str
    rows: tuple[str, ...]
    trials: tuple[str, ...]

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
        )
        for one in found
    )


def name_of(run: ReplicationRun) -> str:
    """Return row and part."""
    return f"{run.row_id}{run.part}"


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


# --- effects of studies --------------------------------------------------------------------------


def study_sds(posterior: Posterior, replicates: int, *, seed: int) -> Array | None:
    """Return the SDs between studies of the draw that each replicate takes, (R, 2) points.

    None where the posterior does not say. Of a posterior mean, root mean squares of all draws.
    """
    known = posterior.diagnostics.get("study_sd_points")
    if not known:
        return None
    draws = np.array([known[name]["draws"] for name in STUDY_EFFECTS], float).T
    if len(draws) != len(posterior.flat):
        return np.tile(np.sqrt((draws**2).mean(axis=0)), (replicates, 1))
    places = [posterior.draw_of_replicate(place, seed=seed) for place in range(replicates)]
    return draws[places]


def study_effects(trials: Sequence[str], sds: Array, *, seed: int) -> Array:
    """Return effects of one study, (R, 2) points: on all of its arms, and on its active arms alone.

    Parameters
    ----------
    trials : sequence of str
        Protocols that are read together; they key the draws.
    sds : array (R, 2)
    """
    numbers = np.arange(1, len(sds) + 1)  # a replicate is to a study what a patient is to a trial
    drawn = [
        normals(seed=seed, purpose=STREAM, field=f"{name} {'+'.join(trials)}", patients=numbers)
        for name in STUDY_EFFECTS
    ]
    return sds * np.stack(drawn, axis=1)


def with_study_effects(values: Array, run: ReplicationRun, effects: Array, *, slope: float) -> Array:
    """Return replicates of a number with effects of their studies added, (R,).

    Means move with both effects in active arms and with the first in control arms, contrasts with the second;
    shares follow by a slope on the scale on which they are fitted; SDs and times to relapse stay.

    Parameters
    ----------
    values : array (R,)
    effects : array (R, 2)
        Points.
    slope : float
        Of a share by the mean change of its arm, per point; see ``share_slopes``.
    """
    loadings = np.array(loadings_of(_target(run), slope))
    if not loadings.any():
        return values
    moved = effects @ loadings
    if run.quantity not in LIKE_SHARES:
        return values + moved
    wide = np.array([asin(np.sqrt(min(max(one, 0.0), 1.0))) if np.isfinite(one) else NAN for one in values])
    return np.sin(np.clip(wide + moved, 0.0, 0.5 * pi)) ** 2


def _target(run: ReplicationRun) -> Target:
    """Return a run as loadings take it: without an observed number."""
    return Target(name=name_of(run), trials=run.protocols, run=run, role="", observed=NAN)


def share_slopes(runs: Sequence[ReplicationRun], values: Values) -> dict[str, float]:
    """Return how each share follows the mean change of its arm over replicates, by name, per point.

    A share whose arm has no mean among the rows takes the median slope of those that have. Differences of
    shares take the median on the scale of shares. Without any pair there is no slope, and no entry.
    """
    means = {_arm_key(run): run for run in runs if run.quantity in ("mean_change", "mean_score")}
    fitted, plain = dict[str, float](), []
    for run in runs:
        mean = means.get(_arm_key(run))
        if run.quantity not in LIKE_SHARES or mean is None or run.among:
            continue
        shares = np.asarray(values.get(name_of(run), ()), float)
        points = np.asarray(values.get(name_of(mean), ()), float)
        wide = np.array([TRANSFORMS[run.quantity](one) if np.isfinite(one) else NAN for one in shares])
        slope = _slope(points, wide)
        if np.isfinite(slope):
            fitted[name_of(run)] = slope
            plain.append(_slope(points, shares))
    if not fitted:
        return {}
    usual, usual_plain = float(np.median(list(fitted.values()))), float(np.median(plain))
    rest = {name_of(run): usual for run in runs if run.quantity in LIKE_SHARES}
    gaps = {name_of(run): usual_plain for run in runs if run.quantity == "contrast_share"}
    return {**rest, **gaps, **fitted}


def _arm_key(run: ReplicationRun) -> tuple[object, ...]:
    return (run.protocols, run.arms, run.scale, run.times_h[-1:], run.since_h, run.among)


def _slope(points: Array, wide: Array) -> float:
    """Return the least-squares slope over replicates that have both; NaN without spread."""
    if points.shape != wide.shape:
        return NAN
    is_known = np.isfinite(points) & np.isfinite(wide)
    x, y = points[is_known], wide[is_known]
    if len(x) < 20 or not np.ptp(x) > 0.0:
        return NAN
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum())


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
