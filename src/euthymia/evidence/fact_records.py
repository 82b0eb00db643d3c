"""Typed records of published facts about the chain, and the vocabulary of how they are compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from euthymia.errors import invalid
from euthymia.evidence.records import Role
from euthymia.tables import Row, number

RECALLED = "recalled-not-verified"
CONFIDENCES = ("seen-in-source", "derived", RECALLED)
SUBGROUPS = ("all", "healthy", "under_65", "from_65", "hypertension", "ssi_from_4")
WELL_BY = ("response", "remission", "stable_remission")
REFERENCE_KINDS = ("none", "baseline", "regimen", "variable", "time", "mediator")

_NUMBER = r"\d+(?:\.\d+)?"
WINDOW = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?")
PATIENTS = re.compile(r"([1-9]\d*) virtual patients")
_TIME = re.compile(rf"time: ({_NUMBER}) h")
VARIABLE = re.compile(rf"variable: (\w+)(?: at ({_NUMBER}) h)?")
MEDIATOR = re.compile(r"mediator: (\w+), regimen: (.+)")
_OVERRIDE = re.compile(r"([a-z]\w*\.[a-z]\w*)=(\S+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistic:
    """What is read off a simulated course, and which columns of a run it needs.

    Attributes
    ----------
    meaning : str
        With v the variable, over a window its mean unless said otherwise; averaged over virtual patients
        where there are many and the meaning names no share, spread or link. Baseline is before the first
        dose; a peak is where v departs furthest from it, in either direction.
    references : tuple of str
        Kinds that a run may name, of ``REFERENCE_KINDS``.
    needs_time, needs_threshold, needs_patients : bool
        A time or window, a threshold, more than one virtual patient. A threshold is given only where needed.
    is_share : bool
        The bounds are between 0 and 1.
    is_follow_up : bool
        A window, a definition of relapse and who is well at its start; given only where needed. People then
        live with events of life.
    """

    meaning: str
    references: tuple[str, ...] = ("none",)
    needs_time: bool = False
    needs_threshold: bool = False
    needs_patients: bool = False
    is_share: bool = False
    is_follow_up: bool = False


_COURSES = ("baseline", "regimen", "time")

STATISTICS: Mapping[str, Statistic] = {
    "value_at": Statistic(meaning="v at the time", needs_time=True),
    "peak": Statistic(meaning="v at its peak, within the window where one is given"),
    "peak_ratio": Statistic(
        meaning="peak of v over that with the other regimen, or over v at baseline",
        references=("baseline", "regimen"),
    ),
    "time_of_peak_h": Statistic(meaning="hours from time 0 to the peak of v"),
    "onset_h": Statistic(
        meaning="hours from time 0 until v has gone the share `threshold` of the way to its peak",
        needs_threshold=True,
    ),
    "return_by_h": Statistic(
        meaning="hours from time 0, after the peak, from which v stays within the share `threshold` of the "
        "peak's departure from baseline",
        needs_threshold=True,
    ),
    "ratio_at": Statistic(
        meaning="v at the time over v at the reference", references=_COURSES, needs_time=True
    ),
    "rise_at": Statistic(
        meaning="v at the time minus v at the reference", references=_COURSES, needs_time=True
    ),
    "rise_ratio_at": Statistic(
        meaning="rise of v over baseline at the time, over its rise at the reference time",
        references=("time",),
        needs_time=True,
    ),
    "maximum_rise": Statistic(meaning="largest v minus v at baseline", references=("baseline",)),
    "mean_of_maxima": Statistic(
        meaning="mean over patients of the largest observed reading minus the reading at baseline",
        references=("baseline",),
        needs_patients=True,
    ),
    "sd_at": Statistic(
        meaning="standard deviation over patients of v as observed at the time",
        needs_time=True,
        needs_patients=True,
    ),
    "sd_of_change_at": Statistic(
        meaning="standard deviation over patients of the observed change of v from baseline at the time",
        references=("baseline",),
        needs_time=True,
        needs_patients=True,
    ),
    "share_above": Statistic(
        meaning="share of patients whose observed v is above the threshold at least once",
        needs_threshold=True,
        needs_patients=True,
        is_share=True,
    ),
    "share_below": Statistic(
        meaning="share of patients whose observed v is below the threshold at least once",
        needs_threshold=True,
        needs_patients=True,
        is_share=True,
    ),
    "share_total_above": Statistic(
        meaning="share of patients whose level before the dose plus v reaches the threshold at least once",
        needs_threshold=True,
        needs_patients=True,
        is_share=True,
    ),
    "share_with_event": Statistic(
        meaning="share of patients with the event at least once, v being its probability in one session",
        needs_patients=True,
        is_share=True,
    ),
    "share_responding": Statistic(
        meaning="share of patients whose observed v has fallen by the share `threshold` of its baseline",
        references=("baseline",),
        needs_time=True,
        needs_threshold=True,
        needs_patients=True,
        is_share=True,
    ),
    "share_relapsed": Statistic(
        meaning="of the patients who are well at the start of the window (`well_by`), the share who relapse "
        "within it (`relapse_rule`), by observed v at visits; Kaplan-Meier at its end, none where hardly "
        "anybody enters",
        needs_time=True,
        needs_patients=True,
        is_share=True,
        is_follow_up=True,
    ),
    "contrast_at": Statistic(
        meaning="change of v from baseline at the time, less that with the other regimen",
        references=("regimen",),
        needs_time=True,
    ),
    "mediated_share": Statistic(
        meaning="share of the contrast in v that goes with the mediator: slope of the change of v on that of "
        "the mediator within the arms, times the contrast in the mediator, over that in v; as observed",
        references=("mediator",),
        needs_time=True,
        needs_patients=True,
    ),
    "ratio_last_to_first": Statistic(
        meaning="departure of v from baseline at its peak after the last dose over that after the first"
    ),
    "peaks_before": Statistic(
        meaning="time of the peak of v minus that of the other variable, h, within the window",
        references=("variable",),
        needs_time=True,
    ),
    "correlation": Statistic(
        meaning="correlation over patients of the change of v from baseline with that of the other variable; "
        "of the values themselves where both times are 0",
        references=("variable",),
        needs_time=True,
        needs_patients=True,
    ),
    "increases": Statistic(
        meaning="v at the time minus v at the reference, strictly above the lower bound",
        references=_COURSES,
        needs_time=True,
    ),
    "decreases": Statistic(
        meaning="v at the time minus v at the reference, strictly below the upper bound",
        references=_COURSES,
        needs_time=True,
    ),
    "no_change": Statistic(
        meaning="v at the time over v at the reference, within bounds around 1",
        references=_COURSES,
        needs_time=True,
    ),
    "no_change_of_rise": Statistic(
        meaning="change of v from baseline at the time over that with the other regimen, within bounds "
        "around 1; 1 where neither changes",
        references=("regimen",),
        needs_time=True,
    ),
}
"""The closed vocabulary of ``statistic``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """What a statistic is held against.

    Attributes
    ----------
    kind : str
        One of ``REFERENCE_KINDS``; ``"baseline"`` is before the first dose, of the same person.
    regimen, variable : str
        Given for the kinds of these names, both for the kind ``"mediator"``, else empty.
    at_h : float or None
        For the kind ``"time"``, and for ``"variable"`` where a time is named.
    """

    kind: str
    regimen: str = ""
    variable: str = ""
    at_h: float | None = None


class Override(NamedTuple):
    """A value that a run sets on top of the parameter set; `parameter` is ``layer.field``."""

    parameter: str
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FactRun:
    """How one part of a fact is compared with the model.

    Attributes
    ----------
    part : str
        ``"a"``, ``"b"`` ... where one row prints several facts.
    is_comparable : bool
        False where it cannot be compared; `reason` says why and the rest is empty.
    regimen : str
        In the regimen language; empty where `steady_at_umol_per_L` is given.
    steady_at_umol_per_L : float or None
        Unbound racemic ketamine held constant at the site; the circuit is evaluated directly, without time.
    variable : str
        Name of an observable.
    statistic : str
        A key of ``STATISTICS``.
    from_h, to_h : float or None
        Time or window on the clock of the regimen, equal for a single time; the run lasts at least to here.
    expected_low, expected_high : float or None
        Bounds of the printed fact in the unit of the statistic; None is open. Equal bounds are a printed
        number without spread.
    patients_count : int or None
        Virtual patients; None for the typical patient.
    subgroup : str
        One of ``SUBGROUPS``.
    assumption : str
        What the source does not print and the comparison supposes.
    overrides : tuple of Override
        What a blocker, a knock-out or a mutation stands for; set after any mechanism, so it holds in each.
    reference_overrides : tuple of Override
        The same for the regimen of the reference: empty is without the blocker.
    relapse_rule : str
        A definition of ``data/relapse.toml``; empty where nobody is followed.
    well_by : str
        Who enters the window, of ``WELL_BY``; empty where nobody is followed.
    """

    row_id: str
    part: str
    is_comparable: bool
    reason: str
    regimen: str
    steady_at_umol_per_L: float | None
    variable: str
    statistic: str
    threshold: float | None
    from_h: float | None
    to_h: float | None
    reference: Reference
    expected_low: float | None
    expected_high: float | None
    patients_count: int | None
    subgroup: str
    assumption: str
    overrides: tuple[Override, ...]
    reference_overrides: tuple[Override, ...]
    relapse_rule: str
    well_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FactRow:
    """A published fact: where it comes from, what was printed and how it is compared.

    Attributes
    ----------
    source_keys : tuple of str
        Entries of the bibliography; empty where the source has no verified entry (see `citation`).
    runs : tuple of FactRun
        At least one.
    printed : mapping of str to str
        Every column of the table as it stands there.
    """

    row_id: str
    role: Role
    source_keys: tuple[str, ...]
    citation: str
    url: str
    confidence: str
    runs: tuple[FactRun, ...]
    printed: Mapping[str, str] = field(repr=False, hash=False)

    @property
    def is_comparable(self) -> bool:
        """Whether at least one part can be compared with the model."""
        return any(run.is_comparable for run in self.runs)


def read_run(run: Row) -> FactRun:
    """Return how to compare a fact from a checked row of its table."""
    window = WINDOW.fullmatch(run["at_h"])
    patients = PATIENTS.fullmatch(run["population"])
    return FactRun(
        row_id=run["row_id"],
        part=run["part"],
        reason=run["reason"],
        regimen=run["regimen"],
        variable=run["variable"],
        statistic=run["statistic"],
        subgroup=run["subgroup"],
        assumption=run["assumption"],
        is_comparable=run["comparable"] == "yes",
        steady_at_umol_per_L=number(run, "steady_at_umol_per_L"),
        threshold=number(run, "threshold"),
        from_h=float(window[1]) if window else None,
        to_h=float(window[2] or window[1]) if window else None,
        reference=read_reference(run["reference"]),
        expected_low=number(run, "expected_low"),
        expected_high=number(run, "expected_high"),
        patients_count=int(patients[1]) if patients else None,
        overrides=read_overrides(run["overrides"]),
        reference_overrides=read_overrides(run["reference_overrides"]),
        relapse_rule=run.get("relapse_rule", ""),
        well_by=run.get("well_by", ""),
    )


def read_reference(text: str) -> Reference:
    """Return the reference that a cell stands for.

    Raises
    ------
    InvalidInputError
        If the cell has none of the forms.

    Examples
    --------
    >>> read_reference("variable: madrs_points at 24 h").at_h
    24.0
    """
    if text in ("", "baseline"):
        return Reference(kind=text or "none")
    if text.startswith("regimen: "):
        return Reference(kind="regimen", regimen=text.removeprefix("regimen: "))
    timed = _TIME.fullmatch(text)
    if timed:
        return Reference(kind="time", at_h=float(timed[1]))
    other = VARIABLE.fullmatch(text)
    if other:
        return Reference(kind="variable", variable=other[1], at_h=float(other[2]) if other[2] else None)
    between = MEDIATOR.fullmatch(text)
    if between:
        return Reference(kind="mediator", variable=between[1], regimen=between[2])
    must = (
        "'baseline', 'regimen: ...', 'time: ... h', 'variable: ... at ... h' or 'mediator: ..., regimen: ...'"
    )
    raise invalid("reference", must=must, got=repr(text))


def read_overrides(text: str) -> tuple[Override, ...]:
    """Return the values that a cell sets, in the order of the cell.

    Raises
    ------
    InvalidInputError
        If an entry is not ``layer.field=number``, or a parameter is set twice.

    Examples
    --------
    >>> read_overrides("signalling.mtorc1_scale_relative=0")
    (Override(parameter='signalling.mtorc1_scale_relative', value=0.0),)
    """
    found = tuple(_override(part.strip()) for part in text.split(";")) if text else ()
    if len({one.parameter for one in found}) < len(found):
        raise invalid("overrides", must="one value for a parameter", got=repr(text))
    return found


def _override(text: str) -> Override:
    parts = _OVERRIDE.fullmatch(text)
    try:
        if parts:
            return Override(parts[1], float(parts[2]))
    except ValueError:
        pass
    raise invalid("overrides", must="'layer.field=number', several with ';'", got=repr(text))


def print_overrides(overrides: tuple[Override, ...]) -> str:
    """Return overrides as a cell has them."""
    return ";".join(f"{one.parameter}={one.value:g}" for one in overrides)
