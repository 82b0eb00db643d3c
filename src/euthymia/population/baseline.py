"""Severity of those a trial enrols: solved so that their rated baseline is that of a published table.

What is solved for is the distribution of true severity in the episode *before* anybody is chosen. The
entry rule, the rater's error, the swing of mood of the day, whole points and the range of the scale are
then what they are for every virtual patient, and the enrolled fall back afterwards as real ones do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid
from euthymia.mechanism.symptoms.scales import expected
from euthymia.model.parameters import ParameterSet
from euthymia.model.scales import Scale, find_scale
from euthymia.population.screening import Entry, check_rule_of_mood

Array = NDArray[np.float64]
FIELD = "severity.episode_severity_fraction"
TAG = "baseline"
LOGITS = np.linspace(-8.0, 8.0, 4001)
"""Severity, on the logit, at which ratings are tabulated."""
NODES = {1: 301, 2: 81, 3: 41}
"""Points of the quadrature in each direction, by how many days a rule and a rating span."""
REACH_SD = 8.0
COMMON_NODES = 21
LARGEST_SD_LOGIT = 3.0
STEPS = 16
"""Spreads tried to find where a table can be met."""
HALVINGS = 12


class Rated(NamedTuple):
    """Mean and SD of a rated total among those enrolled, in points, and the share of the screened who are."""

    mean_points: float
    sd_points: float
    enrolled_fraction: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineTable:
    """Mean and SD of the rated total of those enrolled, as a trial prints them."""

    mean_points: float
    sd_points: float
    scale: str = "MADRS"
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """Distribution of true severity that gives a table after an entry rule.

    Parameters
    ----------
    table : BaselineTable
    entry : Entry or None
    severity_fraction : float
        Typical severity in the episode of those screened, 0 to 1.
    sd_logit : float
        Its spread between people, on the logit.
    rated : Rated
        Mean and SD that are expected of those enrolled.
    """

    table: BaselineTable
    entry: Entry | None
    severity_fraction: float
    sd_logit: float
    rated: Rated

    @property
    def is_met(self) -> bool:
        """Whether mean and SD are those of the table, to a thousandth of a point."""
        found, asked = self.rated, self.table
        return max(abs(found.mean_points - asked.mean_points), abs(found.sd_points - asked.sd_points)) < 1e-3

    @property
    def text(self) -> str:
        """What is said of it beside a result."""
        asked, found = self.table, self.rated
        rule = f", entry {self.entry}" if self.entry else ""
        lead = f"baseline {asked.scale} {asked.mean_points:g} (SD {asked.sd_points:g}){rule}"
        missed = (
            "" if self.is_met else f"; the SD asked for is out of reach, it comes to {found.sd_points:.2f}"
        )
        return f"{lead}: severity {self.severity_fraction:.3f}, SD {self.sd_logit:.3f} on the logit{missed}"

    def apply(self, parameters: ParameterSet) -> ParameterSet:
        """Return a parameter set whose virtual patients have this distribution of severity."""
        return parameters.with_spread(
            FIELD, value=self.severity_fraction, sd=self.sd_logit, tag=TAG, note=self.text
        )


def match_baseline(
    table: BaselineTable,
    entry: Entry | None,
    parameters: ParameterSet,
    *,
    start_day: float = 0.0,
    has_swings: bool = True,
    accepts_other_sd: bool = False,
) -> Baseline:
    """Solve for the severity of those screened that gives a table among those enrolled, in expectation.

    Parameters
    ----------
    table : BaselineTable
    entry : Entry or None
        None where nobody is turned away.
    parameters : ParameterSet
        Gives the swings of mood, the rater's error and the range of severity.
    start_day : float
        Of the run, from time 0; swings are drawn by the day.
    has_swings : bool
        Whether mood swings, as in the run.
    accepts_other_sd : bool
        Where no spread gives the table's SD, meet its mean alone, which ``is_met`` and ``text`` then say. Of
        a table that is narrower than swings and raters alone the spread of the set is kept: none at all
        would make everybody alike and bring the SD hardly nearer.

    Raises
    ------
    InvalidInputError
        Where no distribution of severity gives the table; says which of mean and SD is out of reach.

    Notes
    -----
    Deterministic: a trapezoid rule over the joint normal distribution of the logits of severity on the days
    of the rule and of the table; ratings given a logit are tabulated once.
    """
    check_table(table, entry)
    ratings = _Ratings(
        parameters, table.scale, entry, rated_day=0.0, start_day=start_day, has_swings=has_swings
    )
    row = parameters.chain[FIELD]
    low, high = (float(np.log(end / (1.0 - end))) for end in (row.low, row.high))
    centre, spread = _solve(ratings, table, (low, high), row.sd if accepts_other_sd else None)
    return Baseline(
        table=table,
        entry=entry,
        severity_fraction=float(1.0 / (1.0 + np.exp(-centre))),
        sd_logit=spread,
        rated=ratings.expect(centre, spread),
    )


def expect_rating(
    parameters: ParameterSet,
    scale: str,
    entry: Entry | None = None,
    *,
    day: float = 0.0,
    start_day: float = 0.0,
    has_swings: bool = True,
) -> Rated:
    """Return mean and SD of a rating on a day among those whom a rule enrols, untreated.

    After the day of entry it shows the regression to the mean: what falls without any cause.

    Parameters
    ----------
    day : float
        Of the rating, from the start of the run.
    """
    if entry is not None:
        check_rule_of_mood(entry)
    row = parameters.chain[FIELD]
    ratings = _Ratings(parameters, scale, entry, rated_day=day, start_day=start_day, has_swings=has_swings)
    return ratings.expect(float(np.log(row.value / (1.0 - row.value))), row.sd)


def check_table(table: BaselineTable, entry: Entry | None) -> None:
    """Raise where no patients at all could have such a table, whatever the model."""
    scale = find_scale(table.scale)
    bounds = [scale.map.minimum_points, scale.map.maximum_points]
    if scale.latent != "severity_fraction":
        raise invalid("baseline", must="a table of a scale of mood", got=scale.name)
    if entry is not None:
        check_rule_of_mood(entry)
        own = [one for one in entry.ratings if find_scale(one.scale) is scale and one.day == 0]
        bounds[0] = max([bounds[0], *(one.at_least_points for one in own)])
        bounds[1] = min([bounds[1], *(one.at_most_points for one in own if one.at_most_points is not None)])
    low, high = bounds
    rule = f"{low:g}–{high:g} on the {scale.name}" + (f" (entry {entry})" if entry else "")
    mean, sd = table.mean_points, table.sd_points
    if not low < mean < high:
        raise invalid("baseline mean", must=f"within {rule}", got=f"{mean:g}", cure="Another scale or form?")
    largest = float(np.sqrt((mean - low) * (high - mean)))
    if not 0.0 < sd <= largest:
        must = f"above 0 and at most {largest:.3g}, what a mean of {mean:g} within {rule} allows"
        raise invalid("baseline SD", must=must, got=f"{sd:g}", cure="A standard error is not an SD.")


def _solve(
    ratings: _Ratings, table: BaselineTable, limits: tuple[float, float], otherwise: float | None
) -> tuple[float, float]:
    """Return centre and spread of the logit that give mean and SD of a table.

    Where no spread does: those that give its mean, with the spread ``otherwise`` or the widest there is.
    """

    def centre_of(spread: float) -> float:
        """Return the centre that gives the mean, nan where none does."""
        gaps = [ratings.expect(end, spread).mean_points - table.mean_points for end in limits]
        if not gaps[0] <= 0.0 <= gaps[1]:
            return np.nan

        def gap(centre: float) -> float:
            return ratings.expect(centre, spread).mean_points - table.mean_points

        return _root(gap, *limits)

    def excess(spread: float) -> float:
        centre = centre_of(spread)
        return np.nan if np.isnan(centre) else ratings.expect(centre, spread).sd_points - table.sd_points

    known: list[tuple[float, float]] = []
    for spread in np.concatenate([[0.0], np.geomspace(0.02, LARGEST_SD_LOGIT, STEPS)]).tolist():
        gap = excess(spread)
        if np.isnan(gap) and known:  # the mean is in reach only up to somewhere between two spreads
            spread = _last_finite(excess, known[-1][0], spread)
            gap = excess(spread)
        if np.isnan(gap):
            continue
        if known and known[-1][1] <= 0.0 <= gap:
            found = _root(excess, known[-1][0], spread)
            return centre_of(found), found
        known.append((spread, gap))
    if not known:
        raise _out_of_reach(ratings, table, limits)
    if otherwise is None:
        raise _no_such_spread(table, known)
    is_narrow = min(gap for _, gap in known) > 0.0
    spread = otherwise if is_narrow and np.isfinite(excess(otherwise)) else min(known, key=_by_gap)[0]
    return centre_of(spread), spread


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(cast(float, brentq(function, low, high, xtol=1e-10)))


def _last_finite(function: Callable[[float], float], finite: float, missing: float) -> float:
    """Return the last place, from one where a function is finite to one where it is nan, where it is."""
    for _ in range(HALVINGS):
        middle = 0.5 * (finite + missing)
        finite, missing = (finite, middle) if np.isnan(function(middle)) else (middle, missing)
    return finite


def _by_gap(one: tuple[float, float]) -> float:
    return abs(one[1])


def _out_of_reach(ratings: _Ratings, table: BaselineTable, limits: tuple[float, float]) -> Exception:
    means = [ratings.expect(end, spread).mean_points for end in limits for spread in (0.0, LARGEST_SD_LOGIT)]
    return invalid(
        "baseline mean",
        must=f"{min(means):.1f}–{max(means):.1f}, what severities of the model give after the rule",
        got=f"{table.mean_points:g}",
        cure="Check the scale, its form and the entry rule.",
    )


def _no_such_spread(table: BaselineTable, known: Sequence[tuple[float, float]]) -> Exception:
    found = [table.sd_points + gap for _, gap in known]
    is_small = table.sd_points < min(found)
    why = "swings of mood and raters alone scatter more" if is_small else "the rule cuts off what is wider"
    return invalid(
        "baseline SD",
        must=f"{min(found):.2f}–{max(found):.2f} for a mean of {table.mean_points:g} after the rule: {why}",
        got=f"{table.sd_points:g}",
        cure="Check the entry rule, or meet the mean alone (accepts_other_sd).",
    )


class _Ratings:
    """Ratings of untreated people on the days of a rule and of a table, as functions of centre and spread."""

    def __init__(
        self,
        parameters: ParameterSet,
        scale: str,
        entry: Entry | None,
        *,
        rated_day: float,
        start_day: float,
        has_swings: bool,
    ) -> None:
        rules = entry.ratings if entry else ()
        self.days = sorted({rated_day, *(one.day for one in rules)})
        if len(self.days) > max(NODES):
            got = f"ratings on days {', '.join(f'{day:g}' for day in self.days)}"
            raise invalid("entry", must=f"a rule that spans at most {max(NODES)} days", got=got)
        values = {name: row.value for name, row in parameters.chain.items()}
        self.swing_covariance = _swing_covariance(values, np.array(self.days) + start_day)
        if not has_swings:
            self.swing_covariance = np.zeros_like(self.swing_covariance)
        self.place = self.days.index(rated_day)
        common = values["rating.common_noise_fraction"]
        target = find_scale(scale)
        self.tables = [
            _tabulate([one for one in rules if one.day == day], target if day == rated_day else None, common)
            for day in self.days
        ]

    def expect(self, centre: float, spread: float) -> Rated:
        """Return mean and SD of the total among those enrolled, and the share of those screened."""
        nodes, weights = _grid(len(self.days))
        factor = _factor(self.swing_covariance + spread * spread)
        logits = [
            centre + sum(factor[day, k] * nodes[k] for k in range(day + 1)) for day in range(len(factor))
        ]
        weight = weights
        for day, table in enumerate(self.tables):
            if day != self.place:
                weight = weight * np.interp(logits[day], LOGITS, table[0])
        share, total, square = (
            float((weight * np.interp(logits[self.place], LOGITS, one)).sum())
            for one in self.tables[self.place]
        )
        mean = total / share
        return Rated(mean, float(np.sqrt(max(square / share - mean * mean, 0.0))), share)


def _swing_covariance(values: Mapping[str, float], days: Array) -> Array:
    """Return the covariance of swings on some days, which between whole days are linear."""
    sd, memory_h = values["noise.mood_noise_sd_logit"], values["noise.mood_noise_time_h"]
    whole = np.arange(np.floor(days.min()), np.floor(days.max()) + 2.0)
    daily = sd * sd * np.exp(-24.0 * np.abs(whole[:, None] - whole[None, :]) / memory_h)
    share = np.clip(1.0 - np.abs(days[:, None] - whole[None, :]), 0.0, 1.0)
    return np.einsum("ik,kl,jl->ij", share, daily, share)


def _factor(covariance: Array) -> Array:
    """Return the lower triangular factor of a covariance, which may be singular."""
    count = len(covariance)
    factor = np.zeros((count, count))
    for row in range(count):
        for column in range(row + 1):
            left = covariance[row, column] - sum(factor[row, k] * factor[column, k] for k in range(column))
            if row == column:
                factor[row, row] = np.sqrt(max(left, 0.0))
            elif factor[column, column] > 1e-12:
                factor[row, column] = left / factor[column, column]
    return factor


@cache
def _grid(count: int) -> tuple[tuple[Array, ...], Array]:
    """Return nodes of independent standard normals, one flat array a direction, and their weights."""
    line = np.linspace(-REACH_SD, REACH_SD, NODES[count])
    weight = np.exp(-0.5 * line * line)
    weight /= weight.sum()
    nodes = tuple(one.ravel() for one in np.meshgrid(*[line] * count, indexing="ij"))
    weights = np.ones(1)
    for _ in range(count):
        weights = np.multiply.outer(weights, weight).ravel()
    return nodes, weights


def _tabulate(rules: Sequence[Entry], target: Scale | None, common_share: float) -> tuple[Array, ...]:
    """Return the share that passes the rules of a day by the logit of severity.

    On the day of the table, whose scale is the target, also the means of total and squared total times
    passing. Scales of one day share part of the rater's error, over which they are averaged together.
    """
    asked = {find_scale(one.scale).name: find_scale(one.scale) for one in rules}
    involved = asked | ({target.name: target} if target else {})
    is_shared = len(involved) > 1
    nodes, weights = (
        np.polynomial.hermite_e.hermegauss(COMMON_NODES) if is_shared else (np.zeros(1), np.ones(1))
    )
    found = np.zeros((3 if target else 1, len(LOGITS)))
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        passing, moments = np.ones(len(LOGITS)), (np.ones(len(LOGITS)),)
        for name, scale in involved.items():
            shift = np.sqrt(common_share) * node if is_shared else 0.0
            own = np.sqrt(1.0 - common_share) if is_shared else 1.0
            totals, shares = _shares_of_totals(scale, shift, own)
            mine = [one for one in rules if find_scale(one.scale).name == name]
            is_in = np.logical_and.reduce([np.ones(len(totals), bool), *(one.is_met(totals) for one in mine)])
            if target is not None and name == target.name:
                kept = np.where(is_in, shares, 0.0)
                moments = tuple((kept * totals**power).sum(axis=1) for power in range(3))
            else:
                passing = passing * np.where(is_in, shares, 0.0).sum(axis=1)
        for place, moment in enumerate(moments):
            found[place] += weight * passing * moment
    return tuple(found)


def _shares_of_totals(scale: Scale, shift: float, own: float) -> tuple[Array, Array]:
    """Return the totals of a scale and the share of each by logit, (L, totals).

    ``shift`` is the part of the rater's error that is given, ``own`` the SD of the rest, both in its SDs.
    """
    from scipy.special import ndtr

    totals = np.arange(scale.map.minimum_points, scale.map.maximum_points + 1.0)
    centre = expected(1.0 / (1.0 + np.exp(-LOGITS)), scale.map) + scale.map.noise_sd_points * shift
    sd = max(scale.map.noise_sd_points * own, 1e-9)
    below = ndtr((totals[:-1] + 0.5 - centre[:, None]) / sd)
    edges = np.concatenate([np.zeros((len(centre), 1)), below, np.ones((len(centre), 1))], axis=1)
    return totals, np.diff(edges, axis=1)
