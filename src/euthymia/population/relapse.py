"""Time to relapse: who was well at the end of treatment, and how long that lasted, by a stated definition."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.notation import parse_regimen
from euthymia.errors import InvalidInputError, invalid
from euthymia.model.parameters import ParameterSet
from euthymia.model.trajectory import Trajectory
from euthymia.population.outcomes import OnDemand, relapse_rules, relapse_visit, remission, response
from euthymia.population.run import Life
from euthymia.population.screening import Entry
from euthymia.population.simulate import simulate
from euthymia.population.summary import totals
from euthymia.population.surroundings import DAY_H

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
WEEK_DAYS = 7.0
STABLE_VISITS = 4
"""Weekly visits before the start of follow-up that make remission stable."""
ON_DEMAND = "on demand"


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowUp:
    """How long patients who were well at a day stayed well.

    Attributes
    ----------
    rule : str
        Definition of relapse.
    days : array (W,)
        From the start of follow-up to relapse, or to the end where none; whole visits.
    has_relapsed : array (W,) of bool
    is_well : array (P,) of bool
        Who entered, of all patients.
    """

    rule: str
    days: Array
    has_relapsed: Flags
    is_well: Flags

    @property
    def count(self) -> int:
        """Return how many entered."""
        return len(self.days)

    def share_well(self, days: Sequence[float]) -> Array:
        """Return the Kaplan-Meier estimate of the share still well after some days, (len(days),).

        SciPy's ``ecdf`` of right-censored data; 1 before the first visit, NaN where nobody entered.
        """
        if not self.count:
            return np.full(len(days), np.nan)
        return np.asarray(self._survival().evaluate(np.asarray(days, float)))

    def interval(self, days: Sequence[float]) -> tuple[Array, Array]:
        """Return the 95 % interval (log-log) of the share well, two arrays (len(days),), NaN if none."""
        if self.count < 2 or not self.has_relapsed.any():
            nothing = np.full(len(days), np.nan)
            return nothing, nothing
        with warnings.catch_warnings():
            # where nobody is left the formula has no value, which NaN says
            warnings.simplefilter("ignore", RuntimeWarning)
            band = self._survival().confidence_interval(method="log-log")
        wanted = np.asarray(days, float)
        return np.asarray(band.low.evaluate(wanted)), np.asarray(band.high.evaluate(wanted))

    def _survival(self):
        from scipy.stats import CensoredData, ecdf

        ended = self.has_relapsed
        return ecdf(CensoredData(uncensored=self.days[ended], right=self.days[~ended])).sf

    def median_days(self) -> float:
        """Return the median time to relapse; NaN where it is not reached."""
        ends = np.unique(self.days[self.has_relapsed])
        if not len(ends):
            return float("nan")
        below = ends[self.share_well(list(ends)) <= 0.5]
        return float(below[0]) if len(below) else float("nan")

    def hazard_per_day(self, until_days: float = np.inf, *, added_relapses: float = 0.0) -> float:
        """Return relapses over patient-days at risk up to a day; NaN where nobody entered.

        Half a relapse added to those seen keeps a ratio finite where there is none.
        """
        at_risk = np.minimum(self.days, until_days).sum()
        if not at_risk:
            return float("nan")
        seen = (self.has_relapsed & (self.days <= until_days)).sum()
        return float((seen + added_relapses) / at_risk)


def follow_up(
    course: Trajectory,
    from_day: float,
    *,
    parameters: ParameterSet,
    rule: str = "MADRS 22 twice",
    is_stable: bool = False,
    every_days: float = WEEK_DAYS,
    among: Flags | None = None,
) -> FollowUp:
    """Return how long patients stayed well from a day on.

    Parameters
    ----------
    course : Trajectory
    from_day : float
    parameters : ParameterSet
    rule : str
        Definition of relapse (``data/relapse.toml``).
    is_stable : bool
        Whether only stable remitters enter (MADRS of 12 or less at four weekly visits); else all who respond
        by MADRS on that day.
    every_days : float
        Between visits.
    among : array (P,) of bool, optional
        Who enters instead of those who are well by their ratings.

    Raises
    ------
    InvalidInputError
        Where the rule is not known, fewer than two visits fit in, or stability cannot be seen.
    """
    last = float(course.times_h[-1]) / DAY_H
    days = np.arange(from_day, last + 1e-9, every_days)
    if len(days) < 2:
        raise invalid("from_day", must=f"at least {every_days:g} days before the end", got=f"{from_day:g}")
    if rule not in relapse_rules():
        raise invalid("rule", must=", ".join(relapse_rules()), got=repr(rule))
    kind = relapse_rules()[rule]
    rated = totals(course, kind.scale, days, parameters=parameters)
    is_well = among if among is not None else _are_well(course, from_day, parameters, is_stable=is_stable)
    visit = relapse_visit(kind, rated[is_well, 0], rated[is_well, 1:])
    has_relapsed = visit >= 0
    return FollowUp(
        rule=rule,
        days=np.where(has_relapsed, visit, len(days) - 1) * every_days,
        has_relapsed=has_relapsed,
        is_well=is_well,
    )


def follow_ups(course: Trajectory, from_day: float, *, parameters: ParameterSet) -> dict[str, FollowUp]:
    """Return how long those who respond on a day stayed well, {definition of relapse: FollowUp}.

    Raises
    ------
    InvalidInputError
        Where the run ends less than a week after the day.
    """
    return {rule: follow_up(course, from_day, parameters=parameters, rule=rule) for rule in relapse_rules()}


def _are_well(course: Trajectory, from_day: float, parameters: ParameterSet, *, is_stable: bool) -> Flags:
    if not is_stable:
        rated = totals(course, "MADRS", [from_day], parameters=parameters)
        return response(rated[:, 0], rated[:, 1:], "MADRS")[:, 0]
    before = [from_day - WEEK_DAYS * week for week in range(STABLE_VISITS)]
    if before[-1] <= 0:
        raise invalid("from_day", must="more than three weeks after time 0", got=f"{from_day:g}")
    rated = totals(course, "MADRS", before, parameters=parameters)[:, 1:]
    return np.asarray(remission(rated, STABLE_POINTS).all(axis=1))


STABLE_POINTS = 12.0
"""MADRS of remission in the withdrawal study of esketamine (data/scales/madrs.toml)."""


def with_maintenance(regimen: str, maintenance: str) -> tuple[str, bool]:
    """Return a regimen whose ketamine goes on by a schedule, and whether that is on demand.

    Parameters
    ----------
    regimen : str
        With one clause that gives a ketamine.
    maintenance : str
        Such as ``weekly x 12 then every 2 weeks x 20``, or ``on demand weekly x 26``.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> with_maintenance("esketamine 84 mg in, twice weekly x 8", "weekly x 4")[0]
    'esketamine 84 mg in, twice weekly x 8 then weekly x 4'
    """
    clauses = [clause.strip() for clause in regimen.split(";")]
    given = [place for place, clause in enumerate(clauses) if _gives_ketamine(clause)]
    if len(given) != 1:
        message = (
            f"'--maintenance' must follow one clause that gives a ketamine. Got {len(given)} of them. "
            "Write the maintenance into the regimen with 'then'."
        )
        raise InvalidInputError(message)
    schedule = maintenance.strip()
    is_on_demand = schedule.lower().startswith(ON_DEMAND)
    schedule = schedule[len(ON_DEMAND) :].lstrip(" ,") if is_on_demand else schedule
    clauses[given[0]] += f" then {schedule}"
    return "; ".join(clauses), is_on_demand


def _gives_ketamine(clause: str) -> bool:
    words = clause.split(maxsplit=1)
    try:
        return bool(words) and find_drug(words[0]).is_ketamine
    except InvalidInputError:
        return False


def on_demand_after(regimen: str) -> OnDemand:
    """Return the rule by which doses after the end of a regimen are given on demand."""
    return OnDemand(from_h=end_of_doses_h(regimen) + 1.0)


def end_of_doses_h(regimen: str) -> float:
    """Return when the last dose of a ketamine starts."""
    starts = [dose.start_h for dose in parse_regimen(regimen).doses(70.0) if find_drug(dose.drug).is_ketamine]
    if not starts:
        raise invalid("regimen", must="one that gives a ketamine", got=regimen)
    return max(starts)


SHORT = "ketamine 0.5 mg/kg iv over 40 min, three times weekly x 6"
LONG = f"{SHORT} then weekly x 14"
SHORT_END_DAY, LONG_END_DAY, HORIZON_DAYS = 13.0, 113.0, 176.0
BESIDE = f"escitalopram 10 mg, daily x {HORIZON_DAYS:g}"
ENTRY_POINTS = 28.0
"""MADRS at the start in ``hazard_steps``."""


def hazard_steps(
    parameters: ParameterSet, *, rule: str, patients: int = 300, seed: int = 1
) -> dict[str, FollowUp]:
    """Return why relapse after sixteen weeks of stable remission is rarer than after two weeks, step by step.

    An antidepressant beside; only people who would be stable remitters after sixteen weeks (selection), seen
    after the short course all the same; the long course itself (consolidation in synapses and beliefs).

    Parameters
    ----------
    parameters : ParameterSet
    rule : str
        Definition of relapse (``data/relapse.toml``).
    patients, seed : int

    Returns
    -------
    steps : {what is added: FollowUp}
        For ratios take ``hazard_per_day`` with half a relapse added.

    Raises
    ------
    InvalidInputError
        Where the rule is not known.
    """

    def run(text: str) -> Trajectory:
        return simulate(
            text,
            patients=patients,
            parameters=parameters,
            seed=seed,
            entry=Entry(at_least_points=ENTRY_POINTS),
            life=Life(has_events=True),
            days=HORIZON_DAYS,
            times_h=np.arange(HORIZON_DAYS) * DAY_H,
            variables=["severity_fraction"],
        )

    followed = partial(follow_up, parameters=parameters, rule=rule)
    short, medicated, long = (run(text) for text in (SHORT, f"{SHORT}; {BESIDE}", f"{LONG}; {BESIDE}"))
    after_long = followed(long, LONG_END_DAY, is_stable=True)
    return {
        "two weeks, then nothing": followed(short, SHORT_END_DAY),
        "antidepressant": followed(medicated, SHORT_END_DAY),
        "selection": followed(medicated, SHORT_END_DAY, among=after_long.is_well),
        "consolidation": after_long,
    }
