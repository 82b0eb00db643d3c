"""Who virtual patients are: a joint distribution of what is known of people, with its sources.

A Gaussian copula. Each covariate has a marginal (``data/population/covariates.csv``) and a standard normal
draw of its own, keyed by (seed, purpose, field, patient), so that patient 17 is the same whether 20 or 2000
are drawn; correlations (``correlations.csv``) mix the draws. A published baseline table may replace any
marginal: its parent is then solved so that mean and SD *after* the range of the entry rule are the table's
in expectation. Samples are never rescaled.

Weight, age and hypertension, hepatic class and comedication change the model; suicidal ideation is the same
draw as the model's own. Everything else is recorded and has no effect: published predictors of response
explain little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import invalid, unknown
from euthymia.model.parameters import ParameterRow, ParameterSet, load_parameters
from euthymia.population.marginals import (
    NOT_AN_ERROR,
    Law,
    Marginal,
    correlations,
    find_population,
    from_link,
    marginals,
    root,
    solve_law,
    to_link,
    unmet,
)
from euthymia.population.patient import SEXES, Patient
from euthymia.streams import normals

Array = NDArray[np.float64]
DEFAULT_POPULATION = "trd-adult"
IDEATION = "ideation.episode_ideation_fraction"
NUMBERS = (
    "ssi_points",
    "age_years",
    "height_cm",
    "weight_kg",
    "bmi_kg_per_m2",
    "episode_weeks",
    "failed_trials",
)
SHARES = ("sex", "is_hypertensive", "hepatic_class", "comedications", "cyp2b6_genotype")
ORDER = (*NUMBERS, *SHARES)
"""Covariates in the order in which correlated draws are mixed; ideation stays as the model draws it."""
OTHERWISE = {"sex": "male", "is_hypertensive": "no", "hepatic_class": "normal", "cyp2b6_genotype": "*1/*1"}
"""Level of who is in no share that is stated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stated:
    """What a baseline table or an entry rule states of one covariate; None is as in the population.

    Use :meth:`create`, which validates.

    Parameters
    ----------
    mean, sd : float, optional
        Of those enrolled, in the unit of the field.
    low, high : float, optional
        Range of the entry rule. With a mean or an SD these hold within it; alone it cuts the population.
    shares : tuple of (level, share)
        Of sex (``female``), hypertension (``yes``), hepatic class, comedications or genotype.
    source : str
    """

    mean: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    shares: tuple[tuple[str, float], ...] = ()
    source: str = ""

    @classmethod
    def create(
        cls,
        *,
        mean: float | None = None,
        sd: float | None = None,
        low: float | None = None,
        high: float | None = None,
        shares: Mapping[str, float] | None = None,
        source: str = "",
    ) -> Stated:
        """Return what is stated after checking that it can be.

        Raises
        ------
        InvalidInputError
        """
        values = [one for one in (mean, sd, low, high) if one is not None]
        given = dict(shares or {})
        if not np.all(np.isfinite([*values, *given.values()])):
            raise invalid("baseline", must="made of finite numbers", got=f"{[*values, *given.values()]}")
        if sd is not None and sd <= 0:
            raise invalid("baseline SD", must="above 0", got=f"{sd:g}", cure="Leave it out where unknown.")
        if low is not None and high is not None and low >= high:
            raise invalid("baseline range", must="from low to high", got=f"{low:g} to {high:g}")
        if given and values:
            raise invalid("baseline", must="mean, SD and range, or shares", got="both")
        if any(not 0.0 <= one <= 1.0 for one in given.values()):
            must, cure = "shares from 0 to 1", "A share, not a percentage: 0.68."
            raise invalid("baseline share", must=must, got=f"{given}", cure=cure)
        return cls(mean=mean, sd=sd, low=low, high=high, shares=tuple(given.items()), source=source)


Baseline = Mapping[str, Stated]
"""What a table states, by covariate."""


def sample_patients(
    patients: int | ArrayLike,
    *,
    population: str = DEFAULT_POPULATION,
    seed: int,
    baseline: Baseline | None = None,
) -> tuple[Patient, ...]:
    """Return virtual patients of a population.

    Parameters
    ----------
    patients : int or array of int (P,)
        How many, numbered from 1, or their numbers (`numbers_of` gives those of a replicate of a trial).
    population : str
        ``euthymia patient --population`` lists them where one is misspelt.
    seed : int
        The seed of the run, so that ideation is what the model draws.
    baseline : mapping of covariate to Stated, optional
        What a table states instead.

    Raises
    ------
    InvalidInputError, UnknownNameError
        Names the covariate, and what of its table no distribution can give.

    Examples
    --------
    >>> from euthymia.population.covariates import sample_patients
    >>> people = sample_patients(20, seed=1)
    >>> people[16] == sample_patients([17], seed=1)[0]
    True
    """
    numbers = np.arange(1, int(patients) + 1) if np.ndim(patients) == 0 else np.asarray(patients)  # pyright: ignore
    stated = _checked(population, baseline or {})
    draws = _draws(population, numbers, seed)
    found: dict[str, Any] = {"sex": _levels("sex", population, stated, draws["sex"])}
    is_female = found["sex"] == SEXES[0]
    for field in NUMBERS:
        laws = laws_of(field, population, stated)
        found[field] = _by_sex(laws, draws[field], is_female)
    if "bmi_kg_per_m2" in stated:
        low, high = marginals(population)["weight_kg"][0].low, marginals(population)["weight_kg"][0].high
        weight_kg = found["bmi_kg_per_m2"] * (found["height_cm"] / 100.0) ** 2
        found["weight_kg"] = np.clip(np.round(weight_kg, 1), low, high)
    found["is_hypertensive"] = (
        _levels("is_hypertensive", population, stated, draws["is_hypertensive"], found["age_years"]) == "yes"
    )
    for field in ("hepatic_class", "cyp2b6_genotype"):
        found[field] = _levels(field, population, stated, draws[field])
    found["comedications"] = _comedications(population, stated, numbers, seed)
    found["failed_trials"] = found["failed_trials"].astype(int)
    del found["bmi_kg_per_m2"]
    columns = [values.tolist() if isinstance(values, np.ndarray) else values for values in found.values()]
    return tuple(Patient(**dict(zip(found, row, strict=True))) for row in zip(*columns, strict=True))


def with_ideation(
    parameters: ParameterSet, *, population: str = DEFAULT_POPULATION, baseline: Baseline | None = None
) -> ParameterSet:
    """Return a parameter set whose suicidal ideation is spread as in a population or a table.

    The ideation of `sample_patients` and that of a run with this set are then one and the same.
    """
    stated = _checked(population, baseline or {})
    (row,) = marginals(population)["ssi_points"]
    if row.kind == "parameter" and "ssi_points" not in stated:
        return parameters
    law = laws_of("ssi_points", population, stated)[""]
    typical = float(from_link("logitnormal", np.array(law.centre), 1.0))
    note = "ideation of " + ("a baseline table" if "ssi_points" in stated else f"{population}, {row.tag}")
    return parameters.with_spread(IDEATION, value=typical, sd=law.spread, tag="baseline", note=note)


def _checked(population: str, baseline: Baseline) -> Baseline:
    find_population(population)
    for field, stated in baseline.items():
        if field not in ORDER:
            raise unknown("covariate", field, ORDER)
        if field in SHARES and not stated.shares:
            raise unmet("shares", field, must="given by level", got="none")
        if field in NUMBERS and stated.shares:
            raise unmet("table", field, must="a mean, an SD or a range", got="shares")
        if field == "ssi_points" and (stated.low, stated.high) != (None, None):
            raise unmet("range", field, must="that of the scale: ideation is the model's own draw", got="one")
        levels = {row.level for row in marginals(population)[field]} | {OTHERWISE.get(field, "")}
        for level, _ in stated.shares:
            if level not in levels - {""}:
                raise unknown("level of " + field, level, levels - {""})
        if field != "comedications" and sum(share for _, share in stated.shares) > 1.0 + 1e-9:
            raise unmet("shares", field, must="1 at most in sum", got=stated.shares)
    if {"weight_kg", "bmi_kg_per_m2"} <= set(baseline):
        raise invalid("baseline", must="weight or body mass index", got="both", cure="Leave one out.")
    return baseline


def _draws(population: str, numbers: NDArray[np.int64], seed: int) -> dict[str, Array]:
    """Return correlated standard normals by covariate, (P,)."""
    own = {
        field: normals(seed=seed, purpose="covariates", field=f"covariate.{field}", patients=numbers)
        for field in ORDER
    }
    own["ssi_points"] = normals(seed=seed, purpose="individual", field=IDEATION, patients=numbers)
    pairs = correlations(population)
    names = [field for field in ORDER if any(field in pair for pair in pairs)]
    matrix = np.eye(len(names))
    for (first, second), correlation in pairs.items():
        row, column = names.index(first), names.index(second)
        matrix[row, column] = matrix[column, row] = correlation
    factor = np.linalg.cholesky(matrix)
    mixed = {
        name: sum(
            (factor[row, place] * own[names[place]] for place in range(row + 1)), np.zeros(len(numbers))
        )
        for row, name in enumerate(names)
    }
    return own | mixed


def laws_of(field: str, population: str, baseline: Baseline) -> dict[str, Law]:
    """Return the solved law of a covariate that is a number: one for all (``""``), or one a sex."""
    rows, stated = marginals(population)[field], baseline.get(field, Stated())
    if rows[0].kind == "parameter":
        row = load_parameters().chain[IDEATION]
        if stated.mean is None and stated.sd is None:
            return {"": _cut(_own_law(row, rows[0]), stated)}
        rows = (_as_moments(rows[0], row),)
    if stated.mean is None and stated.sd is None:
        return {row.given: _cut(_solved(field, row), stated) for row in rows}
    share = dict(_shares_of("sex", population, baseline)[""]).get(SEXES[0], 0.0)
    return {row.given: _solved(field, row) for row in _moved(field, rows, stated, share)}


def _own_law(row: ParameterRow, marginal: Marginal) -> Law:
    centre = float(to_link("logitnormal", np.array(row.value), 1.0))
    return Law("logitnormal", centre, row.sd, marginal.low, marginal.high, marginal.step)


def _as_moments(marginal: Marginal, row: ParameterRow) -> Marginal:
    mean, sd = _own_law(row, marginal).mean_and_sd()
    return replace(marginal, kind="logitnormal", mean=mean, sd=sd)


def _cut(law: Law, stated: Stated) -> Law:
    """Return a law cut to a stated range, its parent unchanged."""
    low, high = _range(law, stated)
    return law._replace(low=low, high=high)


def _range(one: Law | Marginal, stated: Stated) -> tuple[float, float]:
    """Return the stated range, or else the own one, its ends brought inwards to values that are recorded."""
    low = one.low if stated.low is None else stated.low
    high = one.high if stated.high is None else stated.high
    steps = np.ceil(low / one.step - 1e-9), np.floor(high / one.step + 1e-9)
    return float(np.round(steps[0] * one.step, 6)), float(np.round(steps[1] * one.step, 6))


def _moved(field: str, rows: Sequence[Marginal], stated: Stated, share_female: float) -> tuple[Marginal, ...]:
    """Return rows with the stated moments over all; the sexes keep the ratio of their means and of their SDs.

    total variance = within + between,  both of the two sexes by their shares
    """
    shares = [{SEXES[0]: share_female, SEXES[1]: 1.0 - share_female}.get(row.given, 1.0) for row in rows]
    means = np.array([row.mean for row in rows], float)
    sds = np.array([row.sd for row in rows], float)
    weights = np.array(shares)
    mean = float((weights * means).sum())
    total_sd = np.sqrt((weights * (sds**2 + (means - mean) ** 2)).sum())
    asked_mean = mean if stated.mean is None else stated.mean
    asked_sd = float(total_sd) if stated.sd is None else stated.sd
    means = means * (asked_mean / mean)
    between = float((weights * (means - asked_mean) ** 2).sum())
    within = asked_sd**2 - between
    if within <= 0.0:
        must = f"above {np.sqrt(between):.3g}, what the difference of the sexes alone makes"
        raise unmet("SD", field, must=must, got=f"{asked_sd:g}", cure=NOT_AN_ERROR)
    sds = sds * np.sqrt(within / float((weights * sds**2).sum()))
    low, high = _range(rows[0], stated)
    return tuple(
        replace(row, mean=float(mean), sd=float(sd), low=low, high=high)
        for row, mean, sd in zip(rows, means, sds, strict=True)
    )


def _solved(field: str, row: Marginal) -> Law:
    mean, sd = cast(float, row.mean), cast(float, row.sd)
    return solve_law(field, row.kind, mean, sd, low=row.low, high=row.high, step=row.step)


def _by_sex(laws: Mapping[str, Law], draws: Array, is_female: NDArray[np.bool_]) -> Array:
    if "" in laws:
        return laws[""].values(draws)
    return np.where(is_female, laws[SEXES[0]].values(draws), laws[SEXES[1]].values(draws))


def _shares_of(field: str, population: str, baseline: Baseline) -> dict[str, tuple[tuple[str, float], ...]]:
    """Return the shares of levels by the ages for which they hold (``""``: all)."""
    rows = marginals(population)[field]
    found: dict[str, tuple[tuple[str, float], ...]] = {}
    for row in rows:
        found[row.given] = (*found.get(row.given, ()), (row.level, cast(float, row.share)))
    if field not in baseline:
        return found
    stated = dict(baseline[field].shares)
    stated.pop(OTHERWISE.get(field, ""), None)
    if list(found) == [""]:
        kept = {} if field != "comedications" else dict(found[""])
        return {"": tuple((kept | stated).items())}
    return _shifted(found, stated, laws_of("age_years", population, baseline)[""])


def _shifted(
    found: Mapping[str, tuple[tuple[str, float], ...]], stated: Mapping[str, float], ages: Law
) -> dict[str, tuple[tuple[str, float], ...]]:
    """Return shares by age that add up to a stated one over all ages, their odds moved by one factor."""
    ((level, asked),) = stated.items()
    if asked in (0.0, 1.0):
        return {given: ((level, asked),) for given in found}
    bands = np.array([ages.share_between(*_ages(given)) for given in found])
    logits = np.array([_logit(dict(shares)[level]) for shares in found.values()])

    def gap(shift: float) -> float:
        return float((bands / bands.sum() / (1.0 + np.exp(-(logits + shift)))).sum()) - asked

    shift = root(gap, (-40.0, 40.0))
    moved = 1.0 / (1.0 + np.exp(-(logits + shift)))
    return {given: ((level, float(share)),) for given, share in zip(found, moved, strict=True)}


def _logit(share: float) -> float:
    return float(np.log(share / (1.0 - share)))


def _ages(given: str) -> tuple[float, float]:
    """Return the ends of ages in whole years, ``18-39`` or ``60-``; a year lasts until the next birthday."""
    low, high = given.split("-")
    return float(low), float(high) + 0.999 if high else np.inf


def _levels(
    field: str, population: str, baseline: Baseline, draws: Array, age_years: Array | None = None
) -> NDArray[np.str_]:
    """Return each patient's level of a covariate, (P,)."""
    from scipy.special import ndtr

    # from above, so that a larger draw means female, hypertensive and so on
    rank = ndtr(-draws)
    levels = np.full(draws.shape, OTHERWISE[field], dtype="U16")
    for given, shares in _shares_of(field, population, baseline).items():
        is_here = np.ones(draws.shape, bool)
        if given and age_years is not None:
            low, high = _ages(given)
            is_here = (age_years >= low) & (age_years <= high)
        below = 0.0
        for level, share in shares:
            levels[is_here & (rank >= below) & (rank < below + share)] = level
            below += share
    return levels


def _comedications(
    population: str, baseline: Baseline, numbers: NDArray[np.int64], seed: int
) -> list[tuple[str, ...]]:
    """Return the drugs of each patient; each is taken by its share, whatever else is."""
    from scipy.special import ndtr

    shares = _shares_of("comedications", population, baseline)[""]
    taken = [(drug, share) for drug, share in shares if share > 0]
    if not taken:
        return [()] * len(numbers)
    is_taken = []
    for drug, share in taken:
        draws = normals(seed=seed, purpose="covariates", field=f"covariate.{drug}", patients=numbers)
        is_taken.append(ndtr(-draws) < share)
    return [
        tuple(drug for (drug, _), has in zip(taken, row, strict=True) if has)
        for row in zip(*is_taken, strict=True)
    ]
