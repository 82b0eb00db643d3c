"""Who takes part: screening by the entry rule, a matched baseline, and allocation to arms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import eq, ge, gt, le, lt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import ResultWarning
from euthymia.model.parameters import Draws, ParameterSet
from euthymia.model.scales import find_scale, scales
from euthymia.population.baseline import FIELD, expect_rating, match_baseline
from euthymia.population.covariates import sample_patients, with_ideation
from euthymia.population.patient import Patient, numbers_of, replicate_and_patient
from euthymia.population.posterior import Posterior
from euthymia.population.screening import MOOD, Entry, Screened, ratings_before, screen
from euthymia.streams import uniforms
from euthymia.trials.design import Protocol, stratum

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
COMPARE: dict[str, Callable[[Any, float], Any]] = {">=": ge, "<=": le, ">": gt, "<": lt, "==": eq}
STREAM = "randomisation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """What is settled before the first replicate: the rule, and whose severity gives the baseline table.

    Attributes
    ----------
    parameters : ParameterSet
        With severity before entry as the baseline table asks for.
    mean_points : float or array (D,)
        Expected at baseline of the scale that dropout follows; NaN where it does not follow severity. One for
        each of the draws of ``parameters``.
    notes : tuple of str
        What could not be met.
    posterior : Posterior or None
        Of which each replicate takes a draw; ``parameters`` are then at its mean until `taking` is asked.
    believed_before : ParameterSet or None
        The set without posterior and baseline table, where there is a posterior.
    """

    protocol: Protocol
    parameters: ParameterSet
    entry: Entry | None
    seed: int
    mean_points: float | Array = float("nan")
    notes: tuple[str, ...] = ()
    posterior: Posterior | None = None
    believed_before: ParameterSet | None = None

    def taking(self, replicates: Sequence[int]) -> Intake:
        """Return the intake of some replicates, each with the numbers of its draw; itself without posterior.

        The baseline table is matched for every draw: how mood swings, which is among them, decides on it.
        """
        if self.posterior is None or self.believed_before is None:
            return self
        known = np.unique(np.asarray(replicates, dtype=np.int64))
        taken = [self.posterior.draw_of_replicate(int(one), seed=self.seed) for one in known]
        sets = {
            draw: intake(
                self.protocol,
                replace(self.posterior.at_draw(self.believed_before, draw), pilots=None),
                seed=self.seed,
            )
            for draw in dict.fromkeys(taken)
        }
        found = [sets[draw] for draw in taken]
        names = (*self.posterior.fields, FIELD)
        rows = {name: [one.parameters.chain[name] for one in found] for name in names}
        draws = Draws(
            values={name: np.array([row.value for row in ones]) for name, ones in rows.items()},
            sds={name: np.array([row.sd for row in ones]) for name, ones in rows.items()},
            places=partial(_places_of_replicates, known),
        )
        return replace(
            self,
            parameters=replace(
                self.parameters, posterior=self.posterior.label, pilots=self.parameters, draws=draws
            ),
            mean_points=np.array([one.mean_points for one in found]),
            posterior=None,
        )

    def mean_points_of(self, keys: Codes) -> float | Array:
        """Return ``mean_points`` of the replicates of some patients, (P,) where these differ."""
        if self.parameters.draws is None or np.ndim(self.mean_points) == 0:
            return self.mean_points
        return np.asarray(self.mean_points)[self.parameters.draws.places(keys, self.seed)]

    def people(self, keys: Codes) -> tuple[Patient, ...]:
        """Return the virtual patients of some numbers."""
        asked = self.protocol.population
        return sample_patients(keys, population=asked.name, seed=self.seed, baseline=asked.covariates)


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


def _places_of_replicates(known: Codes, numbers: Codes, seed: int) -> Codes:
    """Return the place of each patient's replicate among some in order, (P,)."""
    del seed
    replicates, _ = replicate_and_patient(numbers)
    return np.searchsorted(known, replicates)


def intake(
    protocol: Protocol, parameters: ParameterSet, *, seed: int, posterior: Posterior | None = None
) -> Intake:
    """Return what screening needs, with the baseline table matched.

    Parameters
    ----------
    protocol : Protocol
    parameters : ParameterSet
    seed : int
    posterior : Posterior, optional
        Each replicate takes a draw of it, shared by its patients; grids and notes are those of its mean.

    Raises
    ------
    InvalidInputError
        Where no patients of the model can have such a baseline.
    """
    import warnings

    if posterior is not None:
        usual = intake(protocol, posterior.at_center(parameters), seed=seed)
        return replace(usual, posterior=posterior, believed_before=parameters)
    population = protocol.population
    tables, notes = population.tables, tuple(_notes(protocol))
    parameters = with_ideation(parameters, population=population.name, baseline=population.covariates)
    if tables:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResultWarning)
            matched = match_baseline(tables[0], population.mood_rule, parameters, accepts_other_sd=True)
        parameters = matched.apply(parameters)
        if parameters.pilots is not None:
            grids = intake(protocol, parameters.pilots, seed=seed).parameters
            parameters = replace(parameters, pilots=grids)
        notes = notes if matched.is_met else (f"Baseline: {matched.text}.", *notes)
    return Intake(
        protocol=protocol,
        parameters=parameters,
        entry=population.rule,
        seed=seed,
        mean_points=_mean_points(protocol, parameters),
        notes=notes,
    )


def _notes(protocol: Protocol) -> Iterator[str]:
    """Yield what of a protocol the intake leaves to the model."""
    population = protocol.population
    for table in population.tables[1:]:
        yield f"Baseline: {table.scale} is as the model has it; {population.tables[0].scale} is met."
    if population.tables and population.rule != population.mood_rule:
        yield (
            "Baseline: solved without the rule about ideation; who is chosen by it is more depressed, by up "
            "to about a point of the MADRS."
        )
    starts_h = [start_h for arm in protocol.arms.values() for start_h, _ in arm.plan.items]
    if population.entry and min(*starts_h, protocol.visits_h[0]) < 0.0:
        yield (
            "Entry: rated as if nothing happened before day 0; totals of day 0 in the data follow from what "
            "is given until then, and may miss the rule."
        )


def _mean_points(protocol: Protocol, parameters: ParameterSet) -> float:
    dropout = protocol.conduct.dropout
    if not dropout.share or dropout.per_10_points == 1.0:
        return float("nan")
    return expect_rating(parameters, mood_scale(protocol), protocol.population.mood_rule).mean_points


def mood_scale(protocol: Protocol) -> str:
    """Return the scale of mood that dropout follows: that of the primary endpoint, else the first rated."""
    named = (protocol.endpoints[protocol.primary].scale, *protocol.scales, "MADRS")
    return next(name for name in named if find_scale(name).latent == MOOD)


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
    given, size = given.taking([replicate]), count or given.protocol.size
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
    sizes, ratio = protocol.sizes, protocol.ratio
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
