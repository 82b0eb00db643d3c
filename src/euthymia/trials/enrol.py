"""Who takes part: screening by the entry rule, a matched baseline, and allocation to arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from math import gcd
from operator import eq, ge, gt, le, lt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError, ResultWarning, invalid, unknown
from euthymia.model.parameters import ParameterSet
from euthymia.model.scales import find_scale, scales
from euthymia.population.baseline import BaselineTable, expect_rating, match_baseline
from euthymia.population.covariates import Stated, sample_patients, with_ideation
from euthymia.population.patient import Patient, numbers_of
from euthymia.population.screening import Entry, Screened, ratings_before, screen
from euthymia.streams import uniforms
from euthymia.trials.design import Moments, Protocol, stratum

Codes = NDArray[np.int64]
COMPARE: dict[str, Callable[[Any, float], Any]] = {">=": ge, "<=": le, ">": gt, "<": lt, "==": eq}
LARGEST_RATIO = 12
"""Most patients in the smallest block that a ratio of arms may need."""
STREAM = "randomisation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """What is settled before the first replicate: the rule, and whose severity gives the baseline table.

    Attributes
    ----------
    parameters : ParameterSet
        With severity before entry as the baseline table asks for.
    mean_points : float
        Expected at baseline of the scale that dropout follows; NaN where it does not follow severity.
    notes : tuple of str
        What could not be met.
    """

    protocol: Protocol
    parameters: ParameterSet
    entry: Entry | None
    seed: int
    mean_points: float = float("nan")
    notes: tuple[str, ...] = ()

    def people(self, keys: Codes) -> tuple[Patient, ...]:
        """Return the virtual patients of some numbers."""
        population = self.protocol.population
        baseline = _covariates(population.baseline)
        return sample_patients(keys, population=population.name, seed=self.seed, baseline=baseline)


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolled:
    """Those who take part in one replicate, and what each is allocated to.

    Attributes
    ----------
    number, key : array (P,)
        Within the replicate, from 1; and what keys all draws.
    arm, stratum : array (P,)
    """

    replicate: int
    number: Codes
    key: Codes
    arm: Codes
    stratum: Codes
    people: tuple[Patient, ...]
    screened: int


def intake(protocol: Protocol, parameters: ParameterSet, *, seed: int) -> Intake:
    """Return what screening needs, with the baseline table matched.

    Raises
    ------
    InvalidInputError
        Where no patients can have such a baseline, or arms cannot be balanced.
    """
    import warnings

    entry = entry_of(protocol)
    _ratio(protocol)
    table, population = _table(protocol), protocol.population
    parameters = with_ideation(
        parameters, population=population.name, baseline=_covariates(population.baseline)
    )
    notes: tuple[str, ...] = ()
    if table is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResultWarning)
            matched = match_baseline(table, entry, parameters, accepts_other_sd=True)
        parameters = matched.apply(parameters)
        notes = () if matched.is_met else (f"Baseline: {matched.text}.",)
    return Intake(
        protocol=protocol,
        parameters=parameters,
        entry=entry,
        seed=seed,
        mean_points=_mean_points(protocol, parameters, entry),
        notes=notes,
    )


def _mean_points(protocol: Protocol, parameters: ParameterSet, entry: Entry | None) -> float:
    dropout = protocol.conduct.dropout
    if not dropout.share or dropout.per_10_points == 1.0:
        return float("nan")
    return expect_rating(parameters, mood_scale(protocol), entry).mean_points


def mood_scale(protocol: Protocol) -> str:
    """Return the scale of mood that dropout follows: that of the primary endpoint, else the first rated."""
    named = (protocol.endpoints[protocol.primary].scale, *protocol.scales, "MADRS")
    return next(name for name in named if find_scale(name).latent == "severity_fraction")


def entry_of(protocol: Protocol) -> Entry | None:
    """Return the entry rule of a protocol; days count from day 0."""
    screening_day = protocol.population.screening / 24.0
    found = [
        Entry(
            scale=rule.scale,
            at_least_points=-np.inf if rule.at_least is None else rule.at_least,
            at_most_points=rule.at_most,
            day=screening_day if when == "screening" else 0.0,
        )
        for rule in protocol.population.entry
        for when in rule.at
    ]
    return replace(found[0], also=tuple(found[1:])) if found else None


def _table(protocol: Protocol) -> BaselineTable | None:
    """Return the baseline of the first scale of mood that the protocol's table has."""
    for name, one in protocol.population.baseline.items():
        if name in scales() and one.mean is not None and one.sd is not None:
            return BaselineTable(mean_points=one.mean, sd_points=one.sd, scale=name, source=protocol.id)
    return None


SHARES = {"female": ("sex", "female"), "hypertension": ("is_hypertensive", "yes")}
"""Rows of a baseline table that state a share: the covariate, and the level that is counted."""


def _covariates(baseline: Mapping[str, Moments]) -> dict[str, Stated]:
    """Return what a baseline table says of covariates."""
    found: dict[str, Stated] = {}
    for name, one in baseline.items():
        if name in scales():
            continue
        if one.share is None:
            found[name] = Stated.create(mean=one.mean, sd=one.sd, low=one.low, high=one.high)
        elif name in SHARES:
            field, level = SHARES[name]
            found[field] = Stated.create(shares={level: one.share})
        else:
            raise unknown("share of a baseline table", name, SHARES)
    return found


def enrol(given: Intake, replicate: int, count: int | None = None) -> Enrolled:
    """Return who takes part in a replicate and to what each is allocated.

    Parameters
    ----------
    given : Intake
    replicate : int
        Keys who is screened and how they are allocated.
    count : int, optional
        People to enrol; by default as many as the protocol has.
    """
    size = count or given.protocol.size
    found = _screened(given, replicate, size)
    key = found.numbers
    number = (key - numbers_of(replicate, np.array([1]))[0] + 1).astype(np.int64)
    people = given.people(key)
    strata = strata_of(given, key, people)
    return Enrolled(
        replicate=replicate,
        number=number,
        key=key,
        arm=allocate(given.protocol, strata, seed=given.seed, replicate=replicate),
        stratum=strata,
        people=people,
        screened=found.screened_count,
    )


def _screened(given: Intake, replicate: int, size: int) -> Screened:
    if given.entry is None:
        numbers = numbers_of(replicate, np.arange(1, size + 1))
        return Screened(numbers=numbers, screened_count=size, failed_counts=())
    return screen(
        given.entry, given.parameters, size, seed=given.seed, replicate=replicate, people=given.people
    )


def strata_of(given: Intake, key: Codes, people: Sequence[Patient]) -> Codes:
    """Return the stratum of each patient, (P,): all combinations of what the protocol stratifies by."""
    found = np.zeros(len(key), dtype=np.int64)
    for text in given.protocol.randomisation.strata:
        field, comparison, threshold = stratum(text)
        values = _field(given, field, key, people)
        found = 2 * found + COMPARE[comparison](values, threshold)
    return found


def _field(given: Intake, field: str, key: Codes, people: Sequence[Patient]) -> NDArray[np.float64]:
    """Return a covariate or a rated total at baseline of each patient."""
    if field in scales():
        rated = ratings_before(
            given.parameters, [field], [0.0], numbers=key, seed=given.seed, people=given.people
        )
        return rated[0]
    known = [name for name in Patient.__slots__ if not name.startswith("_")]
    if field not in known:
        raise unknown("field of a stratum", field, (*known, *scales()))
    return np.array([np.nan if (value := getattr(one, field)) is None else float(value) for one in people])


def allocate(protocol: Protocol, strata: Codes, *, seed: int, replicate: int) -> Codes:
    """Return the arm (or sequence of a crossover) of each patient, (P,).

    Without strata and blocks the arms get exactly their sizes, in random order. Else permuted blocks within
    strata, in the ratio of the sizes; sizes of blocks are taken at random from those given.

    Parameters
    ----------
    strata : array (P,)
        In the order of enrolment.
    """
    sizes, ratio = _sizes(protocol), _ratio(protocol)
    rules = protocol.randomisation
    if not rules.strata and not rules.blocks and sum(sizes) == len(strata):
        return _permuted(sizes, seed=seed, replicate=replicate, field="all", first=1)
    blocks = rules.blocks or (2 * sum(ratio), 4 * sum(ratio))
    found = np.zeros(len(strata), dtype=np.int64)
    for one in np.unique(strata):
        members = np.flatnonzero(strata == one)
        found[members] = _in_blocks(ratio, blocks, len(members), int(one), seed=seed, replicate=replicate)
    return found


def _in_blocks(
    ratio: Sequence[int], blocks: Sequence[int], count: int, stratum_code: int, *, seed: int, replicate: int
) -> Codes:
    """Return the arms of the first patients of a stratum."""
    parts, place = [], 0
    chosen = uniforms(
        seed=seed,
        purpose=STREAM,
        field=f"size of block, stratum {stratum_code}",
        patients=np.arange(1, count + 1),
        replicate=replicate,
    )
    for share in chosen:
        if place >= count:
            break
        size = blocks[int(share * len(blocks))]
        arms = [size // sum(ratio) * one for one in ratio]
        field = f"block, stratum {stratum_code}"
        parts.append(_permuted(arms, seed=seed, replicate=replicate, field=field, first=place + 1))
        place += size
    return np.concatenate(parts)[:count]


def _permuted(sizes: Sequence[int], *, seed: int, replicate: int, field: str, first: int) -> Codes:
    """Return so many of each arm in random order, keyed by the places from ``first`` on."""
    listed = np.repeat(np.arange(len(sizes)), sizes)
    places = np.arange(first, first + len(listed))
    draws = uniforms(seed=seed, purpose=STREAM, field=field, patients=places, replicate=replicate)
    return listed[np.argsort(draws, kind="stable")]


def _sizes(protocol: Protocol) -> list[int]:
    """Return how many patients each arm has; the sequences of a crossover share them."""
    if protocol.crossover is None:
        return [arm.n or 0 for arm in protocol.arms.values()]
    many = len(protocol.crossover.sequences)
    return [protocol.crossover.n // many + (place < protocol.crossover.n % many) for place in range(many)]


def _ratio(protocol: Protocol) -> list[int]:
    """Return the smallest whole ratio of the arms; nearly equal sizes count as equal.

    Raises
    ------
    InvalidInputError
        Where blocks cannot hold the ratio.
    """
    sizes = _sizes(protocol)
    common = reduce(gcd, sizes)
    ratio = [size // common for size in sizes]
    if sum(ratio) > LARGEST_RATIO:
        least = min(sizes)
        rough = [Fraction(size, least).limit_denominator(2) for size in sizes]
        whole = max(one.denominator for one in rough)
        ratio = [int(one * whole) for one in rough]
    rules = protocol.randomisation
    bad = [size for size in rules.blocks if size % sum(ratio)]
    if bad:
        raise invalid(
            "randomisation.blocks",
            must=f"multiples of {sum(ratio)}, the sum of the ratio {':'.join(map(str, ratio))} of the arms",
            got=", ".join(map(str, bad)),
            cure="Change the blocks, or n of the arms.",
        )
    if rules.strata and sum(ratio) > LARGEST_RATIO:
        message = (
            f"'randomisation' cannot be balanced: n of the arms ({', '.join(map(str, sizes))}) stand in no "
            "small whole ratio. Choose sizes such as 20 and 40, or leave 'strata' out."
        )
        raise InvalidInputError(message)
    return ratio
