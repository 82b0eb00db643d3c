"""Regimens: clauses in parallel, each a chain of phases, each an item with its schedule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.dosing.limits import horizon, refused, shortest, within
from euthymia.dosing.order import Dose, Item, Order, Route, TherapySession
from euthymia.dosing.schedule import TIME_TOLERANCE_H, AfterEachDose, AtTimes, Once, Repeated, Schedule
from euthymia.errors import InvalidInputError

TimedItem = tuple[float, Item]


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """One item and when it is given."""

    item: Item
    schedule: Schedule

    @classmethod
    def create(cls, *, item: Item, schedule: Schedule | None = None) -> Phase:
        """Return a phase; without a schedule the item is given once."""
        if not isinstance(item, Order | TherapySession):
            raise refused(field="item", must="an Order or a TherapySession", got=repr(item))
        return cls(item=item, schedule=schedule or Once())


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """Phases one after the other, on a clock of their own from time 0."""

    phases: tuple[Phase, ...]

    @classmethod
    def create(cls, *, phases: Sequence[Phase]) -> Clause:
        """Return a clause whose phases follow each other in time and do not overlap.

        Raises
        ------
        InvalidInputError
            A phase has no defined start, starts before the one ahead of it ended, or infusions of one drug
            overlap.
        """
        if not phases:
            raise refused(field="phases", must="at least one phase", got="none")
        if len(phases) > 1 and any(isinstance(phase.schedule, AfterEachDose) for phase in phases):
            cure = "Put it into a clause of its own, after a ';'."
            raise refused(
                field="phases", must="without 'then' beside 'after each dose'", got="both", cure=cure
            )
        clause = cls(phases=(_from_zero(phases[0]), *phases[1:]))
        if isinstance(phases[0].schedule, AfterEachDose):
            _check_dose_is_another(phases[0].item)
        else:
            _check_overlap(clause_items(clause))
        return clause

    @property
    def next_h(self) -> float | None:
        """When the last phase would go on, on the clock of the clause; None where it has no interval."""
        return list(_walk(self))[-1][1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Regimen:
    """Everything that is given in a course of treatment; use `create`, which checks it.

    Parameters
    ----------
    clauses : tuple of Clause
        In parallel, each on its own clock from time 0.
    name : str or None
        A label; regimens that differ only in it are equal.
    """

    clauses: tuple[Clause, ...]
    name: str | None = field(default=None, compare=False)

    @classmethod
    def create(cls, *, clauses: Sequence[Clause], name: str | None = None) -> Regimen:
        """Return a regimen whose clauses have been checked against each other.

        Raises
        ------
        InvalidInputError
            There is no clause, or items follow "each dose" of a regimen without any order of ketamine, or
            infusions that follow each dose overlap.
        """
        if not clauses:
            raise refused(field="clauses", must="at least one clause", got="none")
        regimen = cls(clauses=tuple(clauses), name=name)
        starts_h = ketamine_starts_h(regimen)
        for clause in regimen.clauses:
            if isinstance(clause.phases[0].schedule, AfterEachDose):
                if not starts_h:
                    cure = "Add a clause such as 'ketamine 0.5 mg/kg iv over 40 min'."
                    must = "used beside an order of a ketamine"
                    raise refused(field="after each dose", must=must, got="none in the regimen", cure=cure)
                _check_overlap(clause_items(clause, starts_h))
        return regimen

    @property
    def items(self) -> tuple[TimedItem, ...]:
        """Every item with its start_h, in order of time, then of clause."""
        starts_h = ketamine_starts_h(self)
        timed = [item for clause in self.clauses for item in clause_items(clause, starts_h)]
        return tuple(sorted(timed, key=lambda item: item[0]))

    def doses(self, weight_kg: float | NDArray[np.float64]) -> tuple[Dose, ...]:
        """Return the doses that patients of that weight, float or array (P,), receive, in order of time."""
        doses = [
            dose
            for start_h, item in self.items
            if isinstance(item, Order)
            for dose in item.doses(start_h, weight_kg)
        ]
        return tuple(sorted(doses, key=lambda dose: dose.start_h))

    def horizon_h(self, *, pk_only: bool = False) -> float:
        """Return when a simulation ends unless told otherwise.

        Parameters
        ----------
        pk_only : bool
            Whether only concentrations are wanted: 48 h after the last order, else 7 d after the last item
            (``rules/dosing.toml``). Both count from its start.

        Raises
        ------
        InvalidInputError
            Only concentrations are wanted of a regimen without drugs.
        """
        if not pk_only:
            return self.items[-1][0] + horizon().after_last_item_h
        starts_h = [start_h for start_h, item in self.items if isinstance(item, Order)]
        if not starts_h:
            raise refused(field="pk_only", must="false for a regimen without drugs", got="true")
        return starts_h[-1] + horizon().after_last_dose_h


def single(item: Item, *, schedule: Schedule | None = None, name: str | None = None) -> Regimen:
    """Return the regimen of one item with one schedule."""
    phase = Phase.create(item=item, schedule=schedule)
    return Regimen.create(clauses=(Clause.create(phases=(phase,)),), name=name)


def combine(*regimens: Regimen, name: str | None = None) -> Regimen:
    """Return the regimens in parallel, on one clock (the ``;`` of the notation)."""
    return Regimen.create(clauses=[clause for regimen in regimens for clause in regimen.clauses], name=name)


def shift(regimen: Regimen, *, by_h: float) -> Regimen:
    """Return the regimen later by that many hours; earlier where negative."""
    clauses = [Clause.create(phases=_shifted(clause, by_h)) for clause in regimen.clauses]
    return Regimen.create(clauses=clauses, name=regimen.name)


def append(first: Regimen, second: Regimen, *, at_h: float | None = None) -> Regimen:
    """Return the first regimen followed by the second (the ``then`` of the notation).

    Parameters
    ----------
    first, second : Regimen
        Of one clause each, unless ``at_h`` is given.
    at_h : float or None
        Where the second regimen's time 0 lies; None is one interval after the first regimen's last item.

    Raises
    ------
    InvalidInputError
        ``at_h`` is needed: a regimen has several clauses, or the first ends in a phase without interval.

    Notes
    -----
    With several clauses, items "after each dose" are fixed at their times first, so that they go on
    following the doses of their own regimen only.
    """
    one_each = len(first.clauses) == len(second.clauses) == 1
    if at_h is None and not one_each:
        raise refused(field="at_h", must="given where a regimen has several clauses", got="nothing")
    if not one_each:
        later = shift(_fixed(second), by_h=at_h or 0.0)
        return Regimen.create(clauses=(*_fixed(first).clauses, *later.clauses), name=first.name)
    (head,), (tail,) = first.clauses, second.clauses
    phases = _shifted(tail, _next_h(head) if at_h is None else at_h)
    if at_h is None and _follows(tail.phases[0].schedule):
        phases = (tail.phases[0], *phases[1:])
    return Regimen.create(clauses=(Clause.create(phases=(*head.phases, *phases)),), name=first.name)


def repeat(regimen: Regimen, *, times: int, every_h: float) -> Regimen:
    """Return the regimen given several times, its time 0 every so many hours.

    Items "after each dose" follow the doses of every repetition.
    """
    if not isinstance(times, int) or isinstance(times, bool) or times < 1:
        raise refused(field="times", must="a whole number above 0", got=times)
    every_h = within("interval_h", "every_h", every_h)
    clauses = []
    for clause in regimen.clauses:
        again = 1 if isinstance(clause.phases[0].schedule, AfterEachDose) else times
        copies = [clause.phases, *(_shifted(clause, turn * every_h) for turn in range(1, again))]
        clauses.append(Clause.create(phases=[phase for copy in copies for phase in copy]))
    return Regimen.create(clauses=clauses, name=regimen.name)


def clause_items(clause: Clause, ketamine_starts: Sequence[float] = ()) -> tuple[TimedItem, ...]:
    """Return the items of one clause with their start_h, in order of time.

    Parameters
    ----------
    clause : Clause
    ketamine_starts : sequence of float
        Starts (h) of the orders that "after each dose" refers to. Where two delays fall on the same time,
        there is one item.
    """
    schedule = clause.phases[0].schedule
    if isinstance(schedule, AfterEachDose):
        times_h = sorted(start_h + delay_h for start_h in ketamine_starts for delay_h in schedule.delays_h)
        distinct_h = times_h[:1] + [b for a, b in pairwise(times_h) if b - a > TIME_TOLERANCE_H]
        return tuple((time_h, clause.phases[0].item) for time_h in distinct_h)
    walk = zip(clause.phases, _walk(clause), strict=True)
    return tuple((time_h, phase.item) for phase, (times_h, _) in walk for time_h in times_h)


def ketamine_starts_h(regimen: Regimen) -> tuple[float, ...]:
    """Return the starts of all orders of ketamine or its enantiomers, in order of time."""
    items = [item for clause in regimen.clauses for item in clause_items(clause)]
    return tuple(sorted(start_h for start_h, item in items if _is_ketamine(item)))


def _is_ketamine(item: Item) -> bool:
    return isinstance(item, Order) and find_drug(item.drug).is_ketamine


def _check_dose_is_another(item: Item) -> None:
    if _is_ketamine(item):
        must = "used for another treatment than the ketamine that it follows"
        raise refused(
            field="after each dose", must=must, got=item.drug if isinstance(item, Order) else "a therapy"
        )


def _walk(clause: Clause) -> Iterator[tuple[tuple[float, ...], float | None]]:
    """Yield the times of each phase, and when the next phase may start."""
    following: float | None = 0.0
    last_h: float | None = None
    for phase in clause.phases:
        times_h, following = _phase_times(phase.schedule, following)
        if last_h is not None and times_h[0] - last_h < TIME_TOLERANCE_H:
            must = f"later than the last item of the phase before, {shortest(last_h)} h"
            raise refused(field="then", must=must, got=f"{shortest(times_h[0])} h")
        last_h = times_h[-1]
        yield times_h, following


def _phase_times(schedule: Schedule, start_h: float | None) -> tuple[tuple[float, ...], float | None]:
    if isinstance(schedule, AtTimes):
        return schedule.times_h, None
    if isinstance(schedule, Repeated):
        start_h = schedule.from_h if schedule.from_h is not None else start_h
    if start_h is None:
        raise _no_interval()
    if isinstance(schedule, Repeated):
        times_h = tuple(start_h + schedule.time_h(index) for index in range(schedule.item_count))
        return times_h, start_h + schedule.time_h(schedule.item_count)
    return (start_h,), None


def _no_interval() -> InvalidInputError:
    cure = "Give the phase before it a pattern ('weekly x 1'), or the phase after it a time ('at 72 h')."
    return refused("then", must="used after a phase with an interval", got="a phase without one", cure=cure)


def _check_overlap(items: Sequence[TimedItem]) -> None:
    """Raise where two infusions of the same drug overlap."""
    infusions: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for start_h, item in items:
        if isinstance(item, Order) and item.route is Route.IV_INFUSION:
            infusions[item.drug].append((start_h, start_h + item.end_min / 60))
    for drug, spans in infusions.items():
        for (first_h, end_h), (second_h, _) in pairwise(sorted(spans)):
            if second_h < end_h - TIME_TOLERANCE_H:
                must = "apart in time within one clause"
                got = f"{first_h:g} h to {end_h:g} h, and a next one from {second_h:g} h"
                cure = "Lengthen the interval, or write parallel clauses with ';' if both lines run at once."
                raise refused(field="infusions", must=must, got=got, of=drug, cure=cure)


def _from_zero(phase: Phase) -> Phase:
    """Return a first phase without its start where that is time 0, so that equal regimens compare equal."""
    if isinstance(phase.schedule, Repeated) and phase.schedule.from_h == 0:
        return replace(phase, schedule=replace(phase.schedule, from_h=None))
    return phase


def _shifted(clause: Clause, by_h: float) -> tuple[Phase, ...]:
    first = clause.phases[0]
    moved = [replace(first, schedule=_moved_first(first.schedule, by_h))]
    moved += [replace(phase, schedule=_moved(phase.schedule, by_h)) for phase in clause.phases[1:]]
    return tuple(moved)


def _moved_first(schedule: Schedule, by_h: float) -> Schedule:
    if isinstance(schedule, Once):
        return AtTimes.create(times_h=(by_h,))
    if isinstance(schedule, Repeated) and schedule.from_h is None:
        return replace(schedule, from_h=within("time_h", "by_h", by_h))
    return _moved(schedule, by_h)


def _moved(schedule: Schedule, by_h: float) -> Schedule:
    if isinstance(schedule, AtTimes):
        return AtTimes.create(times_h=[time_h + by_h for time_h in schedule.times_h])
    if isinstance(schedule, Repeated) and schedule.from_h is not None:
        return replace(schedule, from_h=within("time_h", "by_h", schedule.from_h + by_h))
    return schedule


def _follows(schedule: Schedule) -> bool:
    return isinstance(schedule, Once) or (isinstance(schedule, Repeated) and schedule.from_h is None)


def _next_h(clause: Clause) -> float:
    following = clause.next_h
    if following is None:
        raise _no_interval()
    return following


def _fixed(regimen: Regimen) -> Regimen:
    """Return the regimen with items "after each dose" at fixed times."""
    starts_h = ketamine_starts_h(regimen)
    clauses = [
        Clause(
            phases=(
                Phase(
                    item=clause.phases[0].item,
                    schedule=AtTimes.create(times_h=[time_h for time_h, _ in clause_items(clause, starts_h)]),
                ),
            )
        )
        if isinstance(clause.phases[0].schedule, AfterEachDose)
        else clause
        for clause in regimen.clauses
    ]
    return Regimen(clauses=tuple(clauses), name=regimen.name)
