"""What a virtual trial yields: one cohort a replicate, every patient in it, and what was estimated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from euthymia.population.patient import Patient
from euthymia.trials.design import Protocol

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]

COMPLETED, WITHDREW, AFTER_EVENT = "completed", "withdrew", "withdrew after an adverse event"
READINGS = ("systolic_mmHg", "diastolic_mmHg", "heart_rate_per_min", "cadss_points", "moaas_points")
"""What is read in sessions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sessions:
    """Dosing sessions of a cohort, by what was planned for each patient's arm.

    A cohort has as many columns as the arm with most sessions; what an arm does not have is NaN or False.

    Attributes
    ----------
    start_h : array (P, S)
        Hours from the first dose of the trial.
    planned_mg, given_mg : array (P, S)
        Base of ketamine (or midazolam); 0 of an inactive comparator.
    was_switched, was_held, was_missed : array (P, S) of bool
        ``was_switched``: by the other route of a switch, whose dose is then the planned one.
    readings : {name of READINGS: array (P, S, R)}
        As rated or read off a device at ``minutes`` after the start; NaN where there was no session.
    minutes : array (R,)
    events : {name of design.EVENTS: array (P, S) of bool}
    """

    start_h: Array
    planned_mg: Array
    given_mg: Array
    was_switched: Flags
    was_held: Flags
    was_missed: Flags
    readings: Mapping[str, Array]
    minutes: Array
    events: Mapping[str, Flags]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cohort:
    """Everyone who took part in one replicate of a trial.

    Attributes
    ----------
    replicate : int
        From 0.
    number : array (P,)
        Numbers within the replicate, from 1; ``key`` is what keys their draws.
    arm : array (P,)
        Place of each patient's arm in ``protocol.arms``; in a crossover, of the sequence.
    stratum : array (P,)
    people : tuple of Patient (P)
    screened : int
        How many were looked at for these to be enrolled.
    visits_h : array (V,)
        As planned; ``actual_h`` (P, V) as they took place.
    scores : {scale: array (P, V)}
        As rated; NaN where the scale is not rated, the visit was missed, or the patient had left.
    unmasked : {scale: array (P, V)}
        The same as if everybody had stayed to be rated.
    left_h : array (P,)
        When the patient left the trial; infinite where not.
    reason : tuple of str (P)
    is_analysed : array (P,) of bool
        Who counts: all, or who was well at the point of a withdrawal.
    sessions : Sessions
    """

    protocol: Protocol
    replicate: int
    number: Codes
    key: Codes
    arm: Codes
    stratum: Codes
    people: tuple[Patient, ...]
    screened: int
    visits_h: Array
    actual_h: Array
    scores: Mapping[str, Array]
    unmasked: Mapping[str, Array]
    left_h: Array
    reason: tuple[str, ...]
    is_analysed: Flags
    sessions: Sessions

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, or of the sequences of a crossover (treatments joined by ' > ')."""
        crossover = self.protocol.crossover
        if crossover is None:
            return tuple(self.protocol.arms)
        return tuple(" > ".join(sequence) for sequence in crossover.sequences)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subject identifiers, unique over replicates: ``fava-2018-0003-0017``."""
        return tuple(f"{self.protocol.id}-{self.replicate:04d}-{number:04d}" for number in self.number)

    @property
    def has_left(self) -> Flags:
        """Who left before the end."""
        return np.isfinite(self.left_h)

    def visit(self, time_h: float) -> int:
        """Return the place of a planned visit."""
        return int(np.argmin(np.abs(self.visits_h - time_h)))


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmSummary:
    """One arm at every visit, of one scale.

    Attributes
    ----------
    n : array (V,)
        Rated.
    mean, sd : array (V,)
        Of the total.
    mean_change, sd_change : array (V,)
        From baseline, of those rated at both; NaN where fewer than one, or two.
    """

    arm: str
    scale: str
    n: Codes
    mean: Array
    sd: Array
    mean_change: Array
    sd_change: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What one endpoint gave: an arm's own size, or its contrast with the control.

    Attributes
    ----------
    endpoint, arm : str
    reference : str
        The control; empty for an arm's own size.
    measure : str
        ``mean``, ``SD``, ``difference``, ``standardised difference``; ``share``, ``risk difference``, ``odds
        ratio``; ``median days``, ``hazard ratio``; and those of interim looks (`euthymia.trials.looks`).
    method : str
        The endpoint's; ``paired`` within patients of a crossover.
    value, se, low, high, p : float
        Interval of 95 % (or 1 - alpha of the protocol), ``se`` of a ratio that of its logarithm; NaN where
        there is none. Of a share ``p`` is of the z test that pools both arms, of a hazard ratio of the
        log-rank test. Of a look ``se`` is the share of the patients, ``low`` and ``high`` its boundaries.
    n : int
        Patients behind it: of a contrast those of both arms.
    """

    endpoint: str
    arm: str
    reference: str
    measure: str
    method: str
    value: float
    se: float
    low: float
    high: float
    p: float
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Replicate:
    """What is kept of one replicate."""

    replicate: int
    screened: int
    enrolled: Mapping[str, int]
    completed: Mapping[str, int]
    arms: tuple[ArmSummary, ...]
    estimates: tuple[Estimate, ...]
    events: Mapping[str, Mapping[str, int]]
    """Patients with an event, by arm and event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialResult:
    """Every replicate of a trial, and the patients of the first.

    Attributes
    ----------
    protocol : Protocol
    seed : int
    parameters : str
        Name of the parameter set, with overrides and mechanisms in ``provenance``.
    replicates : tuple of Replicate
    first : Cohort
        Patients of replicate 0.
    provenance : {name: value}
        Version, engine, digests, seed: what is needed to run it again.
    warnings : tuple of str
    """

    protocol: Protocol
    seed: int
    parameters: str
    replicates: tuple[Replicate, ...]
    first: Cohort
    provenance: Mapping[str, object]
    warnings: tuple[str, ...]

    def values(self, endpoint: str, arm: str, measure: str) -> Array:
        """Return an estimate over replicates, (R,)."""
        return np.array(
            [
                one.value
                for replicate in self.replicates
                for one in replicate.estimates
                if (one.endpoint, one.arm, one.measure) == (endpoint, arm, measure)
            ]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerCurve:
    """Share of replicates in which a contrast was significant, by size of the arms.

    Attributes
    ----------
    endpoint : str
        Name in the protocol.
    arm, reference : str
        What is compared with what.
    sizes : array (N,)
        Patients per arm.
    power, low, high : array (N,)
        0 to 1; the interval is that of the Monte Carlo error.
    replicates : int
        At each size.
    alpha : float
    closed_form : array (N,) or None
        Power by a formula, where one fits the analysis.
    """

    endpoint: str
    arm: str
    reference: str
    sizes: Codes
    power: Array
    low: Array
    high: Array
    replicates: int
    alpha: float
    closed_form: Array | None = None


def part_of(cohort: Cohort, rows: Flags) -> Cohort:
    """Return some patients of a cohort."""
    sessions = cohort.sessions
    return replace(
        cohort,
        **{name: getattr(cohort, name)[rows] for name in PATIENT_FIELDS},
        people=tuple(one for one, kept in zip(cohort.people, rows, strict=True) if kept),
        reason=tuple(one for one, kept in zip(cohort.reason, rows, strict=True) if kept),
        scores={scale: totals[rows] for scale, totals in cohort.scores.items()},
        unmasked={scale: totals[rows] for scale, totals in cohort.unmasked.items()},
        sessions=replace(
            sessions,
            **{name: getattr(sessions, name)[rows] for name in SESSION_FIELDS},
            readings={name: values[rows] for name, values in sessions.readings.items()},
            events={name: flags[rows] for name, flags in sessions.events.items()},
        ),
    )


PATIENT_FIELDS = ("number", "key", "arm", "stratum", "actual_h", "left_h", "is_analysed")
SESSION_FIELDS = ("start_h", "planned_mg", "given_mg", "was_switched", "was_held", "was_missed")
