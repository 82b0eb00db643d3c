"""Published values in the shape in which pages lay them beside a simulated trial."""

from __future__ import annotations

from dataclasses import dataclass

NAN = float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedMean:
    """A published mean of an arm at a visit.

    Attributes
    ----------
    arm : str
        Name in the protocol.
    time_h : float
        From the first dose; in a crossover from the start of the period.
    value, low, high : float
        Points, with the interval of 95 % of the mean; NaN where none was printed.
    is_change : bool
        Whether it is a change from baseline.
    source : str
        Key of the bibliography, or empty.
    """

    arm: str
    scale: str
    time_h: float
    value: float
    low: float = NAN
    high: float = NAN
    is_change: bool = False
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedEstimate:
    """A published result of an endpoint: fields as in ``trials.records.Estimate``; shares from 0 to 1."""

    endpoint: str
    arm: str
    reference: str
    measure: str
    value: float
    low: float = NAN
    high: float = NAN
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """What is published of a trial and may be shown.

    Attributes
    ----------
    means : tuple of ObservedMean
    estimates : tuple of ObservedEstimate
    closed : str
        Why the observed side is not shown; where it is not empty, means and estimates must be.
    """

    means: tuple[ObservedMean, ...] = ()
    estimates: tuple[ObservedEstimate, ...] = ()
    closed: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicationRow:
    """One published result beside what its trial gave when it was simulated.

    Attributes
    ----------
    trial, title : str
        Name of the protocol, and its title.
    row_id : str
        Of the evidence.
    role : str
        ``calibrate``, ``validate`` and so on.
    label : str
        What is compared: ``ketamine 0.5 mg/kg - midazolam, MADRS, day 1``.
    measure : str
        As in ``trials.records.Estimate``: gives the axis.
    unit : str
        ``points``, ``days``; empty for shares and ratios.
    is_primary : bool
        Counts for the coverage.
    simulated, low, high : float
        Median over replicates with the 90 % interval for a trial of this size; NaN where a simulation cannot
        speak to the row.
    replicates : int
    observed, observed_low, observed_high : float
        NaN where closed, or not printed.
    verdict : str
        In a word or two: ``inside``, ``outside``, ``closed``, ``not simulated``.
    reason : str
        Why it is closed, outside, or not simulated.
    source : str
        Key of the bibliography, or empty.
    """

    trial: str
    title: str
    row_id: str
    role: str
    label: str
    measure: str
    unit: str = ""
    is_primary: bool = False
    simulated: float = NAN
    low: float = NAN
    high: float = NAN
    replicates: int = 0
    observed: float = NAN
    observed_low: float = NAN
    observed_high: float = NAN
    verdict: str
    reason: str = ""
    source: str = ""
