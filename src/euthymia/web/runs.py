"""Answers of the model for the pages: the library's own, remembered, each computed once, so many at a time.

A run differs from the command line's in one thing: the grid of steps is that of one reference schedule
instead of a pilot cohort for every regimen that anybody dials, which takes five times as long as the run
itself. Every run is still checked by half steps and solved again finer where it needs to be, so that both lie
within the same tolerance of the truth, a ten-thousandth of each observable's scale.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cache
from os import cpu_count
from threading import BoundedSemaphore, Lock
from typing import Any

from euthymia.errors import ResultWarning
from euthymia.model.course import Pulse
from euthymia.model.mechanisms import with_mechanisms
from euthymia.model.parameters import DEFAULT_SET, load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population.patient import Patient
from euthymia.population.pilot import Calibration
from euthymia.population.run import Life, Run, prepare
from euthymia.population.settings import DEFAULT_SETTING
from euthymia.population.simulate import notes_of, trajectory_of
from euthymia.population.solve import calibrate, solved
from euthymia.web.problems import BusyError

REFERENCE = (
    "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 4; escitalopram 10 mg daily x 14; "
    "midazolam 0.045 mg/kg iv over 40 min at 20 d; CBT 60 min at 1 d"
)
"""Gives everything that the pages give, once: its pilots show how large each observable becomes."""
REFERENCE_STRESS = Pulse(100.0, 200.0, 1.0)
WELL_STRAIN = (0.0, 1344.0, 3.0)
"""What makes an episode of somebody who was well: eight weeks at three times the load of an episode."""
ENGINE = "c"
"""Steps by the compiled library; NumPy takes them where there is no compiler."""
READ_OFF = {"network_sign"}
"""Mechanisms that change what is read off and no size."""
FINENESS = 1.75
"""Of the grid, finer than the reference needs: as fast, for hardly anybody is solved twice."""
MOST_REMEMBERED = 400
MOST_WAITING = 64
"""Runs that may wait for a core; more is refused and may be tried again."""
MOST_PATIENTS = 200
LONGEST_DAYS = 400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One run of the model; equal asks are computed once.

    The fields are those of :func:`euthymia.population.simulate.simulate`. ``regimen`` None is life without
    treatment, ``patients`` None the typical patient.
    """

    regimen: str | None
    days: float
    variables: tuple[str, ...]
    setting: str = DEFAULT_SETTING
    patient: Patient = field(default_factory=Patient)
    patients: int | None = None
    seed: int = 1
    life: Life = field(default_factory=Life)
    omit: frozenset[str] = frozenset()
    mechanisms: tuple[str, ...] = ()
    parameters: str = DEFAULT_SET
    times_h: tuple[float, ...] | None = None


class Memory:
    """Remembers answers, the least used forgotten first; whoever asks for one being computed waits for it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, find: Callable[[], Any]) -> Any:
        """Return what is remembered, else find and remember it; a failure is not remembered."""
        with self._lock:
            kept = self._kept.get(key)
            is_mine = kept is None
            if kept is None:
                kept = self._kept[key] = Future()
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(key)
        if is_mine:
            self._find(key, kept, find)
        return kept.result()

    def _find(self, key: Hashable, kept: Future[Any], find: Callable[[], Any]) -> None:
        try:
            kept.set_result(find())
        except BaseException as error:
            with self._lock:
                self._kept.pop(key, None)
            kept.set_exception(error)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._kept and self._kept[key].done()


_memory = Memory(MOST_REMEMBERED)
_cores = BoundedSemaphore(max(cpu_count() or 1, 1))
_queue = BoundedSemaphore(MOST_WAITING)


def simulated(ask: Ask) -> Trajectory:
    """Return the answer of the model, remembered or computed.

    Raises
    ------
    InvalidInputError
        As ``simulate`` does.
    BusyError
        More runs wait than are taken on.
    """
    return _memory.get(ask, lambda: in_turn(lambda: _solved(ask)))


def remembered(key: Hashable, find: Callable[[], Any]) -> Any:
    """Return anything else a page works out of runs, remembered by a key that names it."""
    return _memory.get(("made", key), find)


def is_made(key: Hashable) -> bool:
    """Whether something that ``remembered`` finds is known."""
    return ("made", key) in _memory


def is_remembered(ask: Ask) -> bool:
    """Whether an answer would come at once."""
    return ask in _memory


def in_turn(find: Callable[[], Any]) -> Any:
    """Return what a computation finds, when a core is free for it.

    Raises
    ------
    BusyError
        More computations wait than are taken on.
    """
    if not _queue.acquire(blocking=False):
        raise BusyError
    try:
        with _cores:
            return find()
    finally:
        _queue.release()


def _solved(ask: Ask) -> Trajectory:
    run = _prepared(ask)
    is_well = run.life.is_well
    run = replace(run, calibration=_grid(is_well=is_well)) if _takes_reference(run) else calibrate(run)
    parts = solved(run, None, None)
    return trajectory_of(run, parts, notes_of(run, parts))


def _prepared(ask: Ask) -> Run:
    chosen = with_mechanisms(load_parameters(ask.parameters), ask.mechanisms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        return prepare(
            ask.regimen,
            patients=ask.patients,
            patient=ask.patient,
            parameters=chosen,
            seed=ask.seed,
            times_h=ask.times_h,
            days=ask.days,
            variables=ask.variables,
            setting=ask.setting,
            life=ask.life,
            omit=ask.omit,
            engine=ENGINE,
        )


def _takes_reference(run: Run) -> bool:
    """Whether the reference schedule stands for a run: default numbers, switches that size nothing."""
    chosen = run.parameters
    return chosen.name == DEFAULT_SET and set(chosen.mechanisms) <= READ_OFF


@cache
def _grid(*, is_well: bool) -> Calibration | None:
    strain = Pulse(*WELL_STRAIN) if is_well else REFERENCE_STRESS
    life = Life(stress=(strain,), is_well=is_well)
    found = calibrate(prepare(None if is_well else REFERENCE, life=life, engine=ENGINE)).calibration
    return found and replace(found, fineness=max(found.fineness, FINENESS))
