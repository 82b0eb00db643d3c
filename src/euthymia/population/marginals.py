"""Marginal distributions of what is known of people: rows with sources, and the laws that meet them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError, invalid, unknown
from euthymia.tables import Row, number, read_table

Array = NDArray[np.float64]
FARTHEST_SD = 35.0
WIDEST_TAIL = 25.0
"""How many SDs a range may lie off the centre of a parent: beyond, it is an exponential for all purposes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Population:
    """A named set of marginals; ``inherits`` names the one whose rows it has where it has none itself."""

    name: str
    inherits: str
    title: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Marginal:
    """One row of a marginal: mean and SD of what is recorded, or the share of a level.

    ``given`` says for which sex or ages it holds, empty where for all. A ``parameter`` is a draw of the
    model's own.
    """

    population: str
    field: str
    level: str
    given: str
    kind: str
    mean: float | None
    sd: float | None
    share: float | None
    low: float
    high: float
    step: float
    unit: str
    tag: str
    source: str
    location: str
    confidence: str
    note: str


class Law(NamedTuple):
    """A normal on the scale of a link, cut to a range, recorded in steps."""

    link: str
    centre: float
    spread: float
    low: float
    high: float
    step: float

    def mean_and_sd(self) -> tuple[float, float]:
        """Return mean and SD of what is recorded, exactly."""
        values, shares = _shares(self)
        mean = float((values * shares).sum())
        return mean, float(np.sqrt((shares * (values - mean) ** 2).sum()))

    def share_between(self, low: float, high: float) -> float:
        """Return the share of values from low to high, both inclusive."""
        values, shares = _shares(self)
        return float(shares[(values >= low) & (values <= high)].sum())

    def values(self, draws: Array) -> Array:
        """Return what is recorded for standard normal draws, of any shape."""
        from scipy.special import ndtr, ndtri

        low, high = (self.on_link(end) for end in (self.low - self.step / 2, self.high + self.step / 2))
        ends = np.array([low - self.centre, high - self.centre]) / self.spread
        share = ndtr(draws)
        if ends[0] > 0:  # the upper tail keeps its digits when counted from above
            inner = -ndtri(ndtr(-ends[0]) * (1.0 - share) + ndtr(-ends[1]) * share)
        else:
            inner = ndtri(ndtr(ends[0]) * (1.0 - share) + ndtr(ends[1]) * share)
        value = from_link(self.link, self.centre + self.spread * inner, self.high)
        steps = np.rint(value / self.step)
        return np.clip(np.round(steps * self.step, 6), self.low, self.high)

    def on_link(self, value: float) -> float:
        """Return a value on the scale of the link; infinite beyond its domain."""
        return float(to_link(self.link, np.array(value), self.high))


def to_link(link: str, values: Array, top: float) -> Array:
    """Return values on the scale of a link; beyond its domain they are infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if link == "lognormal":
            return np.log(np.maximum(values, 0.0))
        if link == "logitnormal":
            share = np.clip(values / top, 0.0, 1.0)
            return np.log(share / (1.0 - share))
    return values


def from_link(link: str, values: Array, top: float) -> Array:
    """Return values from the scale of a link, whose top is that of a logitnormal."""
    with np.errstate(over="ignore"):
        if link == "lognormal":
            return np.asarray(np.exp(values), float)
        if link == "logitnormal":
            return top / (1.0 + np.exp(-values))
    return values


def _shares(law: Law) -> tuple[Array, Array]:
    """Return every value that can be recorded, and its share."""
    from scipy.special import ndtr

    count = round((law.high - law.low) / law.step) + 1
    values = np.round(law.low + law.step * np.arange(count), 6)
    edges = np.asarray(law.low + law.step * (np.arange(count + 1) - 0.5), np.float64)
    scores = (to_link(law.link, edges, law.high) - law.centre) / law.spread
    # counted from the nearer tail, so that a far one keeps its digits
    upper, lower = ndtr(-scores[:-1]) - ndtr(-scores[1:]), np.diff(ndtr(scores))
    shares: Array = np.where(scores[:-1] > 0, upper, lower)
    return cast(Array, values), shares / shares.sum()


@cache
def populations() -> Mapping[str, Population]:
    """Return every population by its name."""
    return {
        row["population"]: Population(
            name=row["population"], inherits=row["inherits"], title=row["title"], note=row["note"]
        )
        for row in read_table("population/populations.csv")
    }


def find_population(name: str) -> Population:
    """Return a population by its name.

    Raises
    ------
    UnknownNameError
    """
    if name not in populations():
        raise unknown("population", name, populations())
    return populations()[name]


@cache
def marginals(population: str) -> Mapping[str, tuple[Marginal, ...]]:
    """Return the rows of each covariate of a population, its own or inherited, by covariate."""
    one = find_population(population)
    found = dict(marginals(one.inherits)) if one.inherits else {}
    own = [
        _marginal(row) for row in read_table("population/covariates.csv") if row["population"] == population
    ]
    for row in own:
        found[row.field] = tuple(other for other in own if other.field == row.field)
    return found


@cache
def correlations(population: str) -> Mapping[tuple[str, str], float]:
    """Return the correlations of the normals behind a population's covariates, own or inherited, by pair."""
    one = find_population(population)
    found = dict(correlations(one.inherits)) if one.inherits else {}
    return found | {
        (row["field_a"], row["field_b"]): float(row["correlation"])
        for row in read_table("population/correlations.csv")
        if row["population"] == population
    }


def fields() -> tuple[Row, ...]:
    """Return what is known of a virtual patient: field, label, unit, and what it acts on."""
    return read_table("population/fields.csv")


def _marginal(row: Row) -> Marginal:
    numbers = {column: number(row, column) for column in ("mean", "sd", "share")}
    bounds = {column: number(row, column) or 0.0 for column in ("low", "high", "step")}
    texts = {
        column: row[column]
        for column in "population field level given kind unit tag source location confidence note".split()
    }
    return Marginal(**texts, **numbers, **bounds)  # pyright: ignore[reportArgumentType]


def unmet(what: str, field: str, *, must: str, got: object, cure: str = "") -> InvalidInputError:
    """Build the error that a mean, an SD or a range of a baseline table cannot be had."""
    return invalid(f"baseline {what} of {field}", must=must, got=got, cure=cure)


NOT_AN_ERROR = "A standard error is not an SD."


@cache
def solve_law(field: str, link: str, mean: float, sd: float, *, low: float, high: float, step: float) -> Law:
    """Return the parent whose values, cut to a range and recorded in steps, have a mean and an SD.

    Parameters
    ----------
    field : str
        For messages.
    link : str
        ``normal``, ``lognormal`` or ``logitnormal``, which then runs from 0 to ``high``.
    mean, sd, low, high, step : float
        In the unit of the field.

    Raises
    ------
    InvalidInputError
        Where none has: the mean outside the range, or an SD that the range does not allow.
    """
    if not low < mean < high:
        raise unmet("mean", field, must=f"within {low:g}–{high:g}", got=f"{mean:g}")
    if link == "lognormal" and low - step / 2 <= 0:
        raise unmet("range", field, must="above 0", got=f"{low:g}")
    start = Law(link, 0.0, 1.0, low, high, step)
    ends = [start.on_link(end) for end in (low - step / 2, high + step / 2)]
    middle = start.on_link(mean)
    room = [
        min(middle - ends[0], 20.0 * abs(middle) + 20.0),
        min(ends[1] - middle, 20.0 * abs(middle) + 20.0),
    ]
    widest = min(WIDEST_TAIL * min(room), 20.0 * sum(room))

    def law_of(spread: float) -> Law:
        def gap(centre: float) -> float:
            return start._replace(centre=centre, spread=spread).mean_and_sd()[0] - mean

        reach = FARTHEST_SD * spread
        bounds = (max(ends[0], middle - sum(room)) - reach, min(ends[1], middle + sum(room)) + reach)
        return start._replace(centre=root(gap, bounds), spread=spread)

    def excess(spread: float) -> float:
        return law_of(spread).mean_and_sd()[1] - sd

    narrowest = 1e-3 * min(room)
    if excess(narrowest) > 0.0 or excess(widest) < 0.0:
        smallest, largest = (law_of(one).mean_and_sd()[1] for one in (narrowest, widest))
        must = f"{smallest:.3g}–{largest:.3g}, what a mean of {mean:g} within {low:g}–{high:g} allows"
        raise unmet("SD", field, must=must, got=f"{sd:g}", cure=NOT_AN_ERROR)
    return law_of(root(excess, (narrowest, widest)))


def root(function: Callable[[float], float], bounds: tuple[float, float]) -> float:
    """Return where a function that changes sign between two bounds is 0."""
    from scipy.optimize import brentq

    return cast(float, brentq(function, *bounds, xtol=1e-12))  # pyright: ignore[reportArgumentType]
