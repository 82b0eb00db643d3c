"""Who is enrolled: virtual patients whose ratings before treatment meet the entry rule of a trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.maths import NUMPY
from euthymia.errors import invalid
from euthymia.mechanism.symptoms import ideation
from euthymia.mechanism.symptoms.severity import logit
from euthymia.model.drive import piecewise
from euthymia.model.parameters import ParameterSet
from euthymia.model.scales import Scale, find_scale
from euthymia.population.individual import chain_values
from euthymia.population.outcomes import rate
from euthymia.population.patient import PATIENTS_PER_REPLICATE, Patient, numbers_of
from euthymia.population.surroundings import mood_noise

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
People = Patient | Callable[[NDArray[np.int64]], Sequence[Patient]]
"""One patient whom all are alike, or what gives the patients of some numbers."""

MOST_SCREENED_PER_PATIENT = 200
"""Virtual patients looked at for each one to be enrolled, before a rule counts as one that nobody meets."""
LARGEST_BLOCK = 65_536
"""Virtual patients looked at together; bounds memory."""
MOOD = "severity_fraction"
"""What scales of mood map; the others map ideation."""
RATED_LAYERS = ("noise", "rating", "cardiovascular")
RATED_FIELDS = (
    "severity.episode_severity_fraction",
    "ideation.episode_ideation_fraction",
    "ideation.mood_weight_logit",
)
"""Parameters that a rating before treatment depends on, and those that covariates change on the way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Rated totals on scales of mood or ideation that patients must have before treatment.

    Who is chosen by a high rating was partly so by the rater's error and a bad week; both pass, and the mean
    falls without any treatment.

    Parameters
    ----------
    at_least_points : float
    at_most_points : float, optional
    scale : str
    day : float
        Of the rating, from the start of the run; -14 is a screening visit two weeks before.
    also : tuple of Entry
        Further ratings that must be met, such as that of the screening visit.
    """

    at_least_points: float
    scale: str = "MADRS"
    at_most_points: float | None = None
    day: float = 0.0
    also: tuple[Entry, ...] = ()

    def __str__(self) -> str:
        return " and ".join(_say(one) for one in self.ratings)

    @property
    def ratings(self) -> tuple[Entry, ...]:
        """Every rating of the rule, in order of the day."""
        found = [replace(self, also=()), *(one for more in self.also for one in more.ratings)]
        return tuple(sorted(found, key=lambda one: one.day))

    def is_met(self, totals: Array) -> Flags:
        """Tell who meets this rating alone, from totals in points of any shape."""
        high = np.inf if self.at_most_points is None else self.at_most_points
        return (totals >= self.at_least_points) & (totals <= high)


def _say(one: Entry) -> str:
    most = "or more" if one.at_most_points is None else f"to {one.at_most_points:g}"
    when = "at the start" if one.day == 0 else f"on day {one.day:g}"
    return f"{one.scale} of {one.at_least_points:g} {most} {when}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Screened:
    """Who was enrolled, how many were looked at for it, and at which rating the others failed.

    Parameters
    ----------
    numbers : array (count,) of int
        Of those enrolled.
    screened_count : int
        Virtual patients up to the last one enrolled.
    failed_counts : tuple of int
        By the ratings of the rule, in order of the day; each patient fails once, at the first.
    """

    numbers: NDArray[np.int64]
    screened_count: int
    failed_counts: tuple[int, ...]


def ratings_before(
    parameters: ParameterSet,
    scales: Sequence[str],
    times_h: Sequence[float],
    *,
    numbers: NDArray[np.int64],
    seed: int,
    people: People | None = None,
    has_swings: bool = True,
) -> list[Array]:
    """Return totals of untreated virtual patients as raters would write them down, (P,) each.

    No run is needed: a rating follows from severity in the episode, the swing of mood of that day and the
    rater's error, all of which are keyed by the patient. At its start a run of the same patients shows the
    same totals; later an untreated one follows the swings with the lag of mood, less than an hour.

    Parameters
    ----------
    scales, times_h : sequence (V,)
        A scale and a time for each rating. Ideation follows mood at once here, in a run within hours.
    numbers : array (P,) of int
    """
    kinds = [find_scale(name) for name in scales]
    values = _rated_values(parameters, people, numbers, seed)
    usual = np.broadcast_to(values["severity.episode_severity_fraction"], numbers.shape)
    swing = np.zeros((len(numbers), len(times_h)))
    if has_swings:
        known = mood_noise(values, numbers, seed, start_h=min(times_h), end_h=max(times_h)).knots
        swing = piecewise(known, np.asarray(times_h, float))[0]
    # as `wiring.initial` starts a run, operation by operation
    severity = 1.0 / (1.0 + NUMPY.exp(-(logit(NUMPY, usual[:, None]) + swing)))
    more: dict[str, Any] = {"parameters": parameters, "numbers": numbers, "seed": seed}
    return [
        rate(_latent(kind, severity[:, [place]], usual[:, None], values), kind, [time_h], **more)[:, 0]
        for place, (kind, time_h) in enumerate(zip(kinds, times_h, strict=True))
    ]


def _latent(scale: Scale, severity: Array, usual: Array, values: Mapping[str, Any]) -> Array:
    """Return what a scale maps, of untreated people: severity, or the ideation at which it rests."""
    if scale.latent == MOOD:
        return severity
    own = np.asarray(values["ideation.episode_ideation_fraction"])[..., None]
    weight = np.asarray(values["ideation.mood_weight_logit"])[..., None]
    known = ideation.Parameters(weight, 0.0, 0.0, 0.0, 0.0, own)
    offset = ideation.offset(NUMPY, usual, known)
    return np.asarray(ideation.target(NUMPY, ideation.Inputs(severity, 0.0, 0.0, 0.0, offset), known))


def screen(
    entry: Entry,
    parameters: ParameterSet,
    count: int,
    *,
    seed: int,
    start_h: float = 0.0,
    replicate: int = 0,
    people: People | None = None,
    has_swings: bool = True,
) -> Screened:
    """Return the first virtual patients of a replicate who meet a rule, and how many were screened.

    Parameters
    ----------
    entry : Entry
    parameters : ParameterSet
    count : int
        To be enrolled.
    start_h : float
        Of the run; days of the rule count from it.
    replicate : int
        Keys who is screened: patients of replicate r have the numbers r 2**32 + 1, 2, ...
    people : Patient or callable (numbers) -> patients, optional
        Whom they are; left out where nothing is known of them.
    has_swings : bool
        Whether mood swings, as in the run.

    Raises
    ------
    InvalidInputError
        Where too few meet it, or the rule contradicts itself.
    """
    if count < 1:
        raise invalid("count", must="1 or more patients", got=count)
    rules, most = entry.ratings, min(MOST_SCREENED_PER_PATIENT * count, PATIENTS_PER_REPLICATE - 1)
    check_rule(entry)
    block = min(max(2 * count, 64), LARGEST_BLOCK)
    found, failures, enrolled = [], [], 0
    for first in range(1, most + 1, block):
        numbers = numbers_of(replicate, np.arange(first, min(first + block, most + 1)))
        totals = ratings_before(
            parameters,
            [one.scale for one in rules],
            [start_h + 24.0 * one.day for one in rules],
            numbers=numbers,
            seed=seed,
            people=people,
            has_swings=has_swings,
        )
        failed_at = _failed_at(rules, totals)
        passed = np.flatnonzero(failed_at < 0)[: count - enrolled]
        enrolled += len(passed)
        looked_at = passed[-1] + 1 if enrolled == count else len(numbers)
        found.append(numbers[passed])
        failures.append(np.bincount(failed_at[:looked_at] + 1, minlength=len(rules) + 1)[1:])
        if enrolled == count:
            failed = np.sum(failures, axis=0)
            return Screened(
                numbers=np.concatenate(found),
                screened_count=count + int(failed.sum()),
                failed_counts=tuple(int(one) for one in failed),
            )
    raise invalid(
        "entry",
        must=f"a rule that {count} of {most} virtual patients meet",
        got=f"{entry}, met by {enrolled}",
        cure="Lower the total.",
    )


def numbers_of_enrolled(
    entry: Entry,
    parameters: ParameterSet,
    person: Patient,
    count: int,
    *,
    seed: int,
    start_h: float,
    has_swings: bool = True,
) -> NDArray[np.int64]:
    """Return the numbers of the first alike virtual patients who meet a rule, (count,); see `screen`."""
    found = screen(entry, parameters, count, seed=seed, start_h=start_h, people=person, has_swings=has_swings)
    return found.numbers


def check_rule(entry: Entry) -> None:
    """Raise where a rule is of no scale, or asks for at least more than at most."""
    for one in entry.ratings:
        find_scale(one.scale)
        if one.at_most_points is not None and one.at_most_points < one.at_least_points:
            raise invalid(
                "entry",
                must=f"at most {one.at_least_points:g} or more, which it asks for at least",
                got=str(one),
                cure="Exchange the two totals.",
            )


def _failed_at(rules: Sequence[Entry], totals: Sequence[Array]) -> NDArray[np.int64]:
    """Return the place of the first rating that each patient fails, (P,); -1 where none."""
    is_failed = np.stack([~one.is_met(rated) for one, rated in zip(rules, totals, strict=True)])
    return np.where(is_failed.any(axis=0), is_failed.argmax(axis=0), -1)


def _rated_values(
    parameters: ParameterSet, people: People | None, numbers: NDArray[np.int64], seed: int
) -> dict[str, Any]:
    """Return individual values of what ratings depend on; drawing the rest would take most of the time."""
    if not parameters.chain:
        raise invalid("parameters", must="a set with the whole chain, such as composed", got=parameters.name)
    rows = {
        name: row
        for name, row in parameters.chain.items()
        if name in RATED_FIELDS or row.layer in RATED_LAYERS
    }
    if not callable(people):
        patients: Sequence[Patient] = [people or Patient()] * len(numbers)
    else:
        patients = people(numbers)
    return chain_values(replace(parameters, chain=rows), patients, numbers=numbers, seed=seed)


def check_rule_of_mood(entry: Entry) -> None:
    """Raise where a rule is not one of scales of mood alone; see also `check_rule`."""
    check_rule(entry)
    for one in entry.ratings:
        if find_scale(one.scale).latent != MOOD:
            raise invalid("entry", must="a scale of mood", got=find_scale(one.scale).name)
