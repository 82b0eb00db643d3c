"""The whole chain of a batch of patients: from the site of action to severity, over hours and months."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.build import BuildError
from euthymia.engine.equations import Equations, Jump, Knots
from euthymia.engine.grid import Event, make_grid
from euthymia.engine.integrate import Check, integrate
from euthymia.engine.maths import NUMPY
from euthymia.engine.table import Table2
from euthymia.errors import InvalidInputError
from euthymia.mechanism.circuit import spectrum, steady
from euthymia.model import wiring
from euthymia.model.course import Course, Daily, Decision
from euthymia.model.drive import CourseDrive, Interpolated, piecewise
from euthymia.model.parameters import ParameterSet, load_parameters
from euthymia.tables import read_array

Array = NDArray[np.float64]
TABLE_KNOTS = 421
"""Knots a side of the circuit's table; its error against the solved node is under test (1e-6)."""
FINENESS = 1.0
"""Steps per step of the grid where none is calibrated: the error against LSODA is about 1e-4 (under test)."""
REFERENCE_FINENESS = 4.0
"""The same where drives are interpolated for the reference."""
TOLERANCE = 1e-4
"""Largest error that a patient's observables are accepted with, relative to their scales."""
FINER = (2.0, 4.0, 8.0)
"""How much finer the grid is at each further try."""
WHILE_OWN_H = 0.06
"""Length of two steps in the hour in which absorption ends at times of each patient's own."""
AFTER_START_H, AFTER_END_H, AFTER_BOLUS_H, AFTER_OTHER_H, AFTER_BEND_H = 0.09, 0.045, 0.03, 2.5, 6.0
"""Length of the first two steps after an input starts or ends, after one that is given at once, after
anything else that happens, and after a day on which life and mood bend. Found by search over eight
schedules, so that nine of ten patients stay within 6e-5 of a grid four times finer."""
GAMMA_KNOTS = 81
"""Knots a side of the table of the gamma index, which is uncalibrated."""
TABLE_PATH = "tables/circuit_gain.npy"
"""Samples for the shipped constants, made by ``tools/make_circuit_table.py``."""
EQUATIONS = Equations(
    states=wiring.state_names(),
    drives=wiring.DRIVES,
    parameters=wiring.parameter_names(),
    rates=wiring.rates,
    outputs=wiring.outputs,
    structural=wiring.STRUCTURAL,
)


def _of_ketamine_alone(function: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Return rates or outputs without the states that stay still in a course of ketamine alone."""

    def without(m: Any, state: Any, drive: Any, parameter: Any) -> dict[str, Any]:
        found = function(m, {**state, **dict.fromkeys(wiring.STILL, 0.0)}, drive, parameter)
        return {name: value for name, value in found.items() if name not in wiring.STILL}

    return without


KETAMINE_ALONE = replace(
    EQUATIONS,
    states=tuple(name for name in EQUATIONS.states if name not in wiring.STILL),
    rates=_of_ketamine_alone(wiring.rates),
    outputs=_of_ketamine_alone(wiring.outputs),
)
"""The same equations for a course with nothing beside ketamine: fewer states, a shorter program."""


class ChainSolution(NamedTuple):
    """Observables (P, T) by name, and how they were found.

    Parameters
    ----------
    values : {name: array (P, T)}
    steps : int
    factors : array (P, slots) or None
        What each patient got of each dose where that was decided on.
    not_compiled : str
        Why NumPy stepped where a compiled library was asked for; empty where it did not.
    check : {name: Check} or None
        Raw differences to steps of twice the length, where steps were checked.
    error : array (P,) or None
        The largest estimated error of each patient's observables, relative to the scales given.
    was_finer : array (P,) of bool or None
        Who was solved again on a finer grid.
    """

    values: dict[str, Array]
    steps: int
    factors: Array | None = None
    not_compiled: str = ""
    check: dict[str, Check] | None = None
    error: Array | None = None
    was_finer: NDArray[np.bool_] | None = None


@cache
def circuit_table(constants: tuple[float, ...]) -> Table2:
    """Return the pyramidal rate relative to rest over effective block, for constants of the node."""
    if constants == node_constants(load_parameters()):
        return Table2.fit(read_array(TABLE_PATH))
    return Table2.fit(steady.gain_samples(TABLE_KNOTS, node(constants)))


def node(constants: tuple[float, ...]) -> steady.Parameters:
    """Return the circuit's node from its constants, in the order of the record."""
    names = [field.name for field in fields(steady.Parameters)]
    return steady.Parameters(**dict(zip(names, constants, strict=True)))


def node_constants(parameters: ParameterSet) -> tuple[float, ...]:
    """Return the constants of the circuit's node in the order of its record."""
    return tuple(parameters.chain[f"circuit.{field.name}"].value for field in fields(steady.Parameters))


def solve_chain(
    parameters: ParameterSet,
    pk_values: Mapping[str, Array],
    chain_values: Mapping[str, Any],
    course: Course,
    times_h: Array,
    *,
    start_h: float,
    end_h: float,
    patient_count: int,
    is_well: bool = False,
    fineness: float = FINENESS,
    engine: str = "numpy",
    scales: Mapping[str, float] | None = None,
    is_checked: bool = False,
    outputs: Sequence[str] | None = None,
    on_progress: Callable[[float], object] | None = None,
) -> ChainSolution:
    """Return observables of the chain for a batch of patients.

    Parameters
    ----------
    parameters : ParameterSet
    pk_values : {field: array (P,) or ()}
    chain_values : {"layer.field": array (P,) or number}
    course : Course
    times_h : array (T,)
        Ascending, within start and end.
    start_h, end_h : float
    is_well : bool
        Whether to start well instead of in the untreated episode.
    fineness : float
        Steps per step of the grid.
    engine : str
        ``c``: a compiled library steps the patients; without a compiler NumPy does, and that is said.
        ``numpy``. ``reference``: SciPy's LSODA, patient by patient, restarted at every event.
    scales : {name: number}, optional
        What errors of the observables are held against. The compiled library then checks every patient by
        steps of twice the length, and solves those over :data:`TOLERANCE` again on finer grids.
    is_checked : bool
        Whether to check without scales, for the raw differences.
    outputs : sequence of str or None
        Names of observables or states; None for everything.
    on_progress : callable, optional
        Called with the share that is done, now and then.
    """
    problem = _Problem(
        parameters=parameters,
        pk_values=pk_values,
        chain_values=chain_values,
        course=course,
        times_h=times_h,
        start_h=start_h,
        end_h=end_h,
        count=patient_count,
        is_well=is_well,
        outputs=outputs,
    )
    if engine == "reference":
        return _each_by_reference(problem, on_progress)
    if engine == "numpy":
        return problem.solve(fineness, on_progress=on_progress)
    try:
        found = problem.solve(
            fineness, is_compiled=True, is_checked=is_checked or scales is not None, on_progress=on_progress
        )
    except BuildError as error:
        return problem.solve(fineness, on_progress=on_progress)._replace(not_compiled=str(error))
    return found if scales is None or found.check is None else _with_finer(problem, found, fineness, scales)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Problem:
    """A batch of patients and what is asked of them."""

    parameters: ParameterSet
    pk_values: Mapping[str, Array]
    chain_values: Mapping[str, Any]
    course: Course
    times_h: Array
    start_h: float
    end_h: float
    count: int
    is_well: bool
    outputs: Sequence[str] | None

    def of(self, patients: NDArray[np.intp], factors: Array | None = None) -> _Problem:
        """Return the problem of some of the patients; with factors of all nothing is left to decide."""
        course = self.course if factors is None else replace(self.course, factors=factors, decisions=())
        return replace(
            self,
            pk_values=_of_some(self.pk_values, patients),
            chain_values=_of_some(self.chain_values, patients),
            course=course_of(course, patients),
            count=len(patients),
        )

    def begin(self) -> tuple[CourseDrive, dict[str, Any], dict[str, Array]]:
        """Return the drive, the values of the equations' parameters, and the states at the start."""
        values = dict(self.chain_values)
        values[wiring.CIRCUIT_TABLE] = circuit_table(node_constants(self.parameters))
        drive = CourseDrive(self.parameters, self.pk_values, values, self.course, self.count)
        swings = drive.knots().get("mood_noise_logit")
        states, start = wiring.initial(
            NUMPY,
            values,
            is_well=self.is_well,
            mood_noise_logit=_at(swings, self.start_h),
            occupancy_fraction=self.course.adapted_occupancy_fraction,
        )
        values |= start
        first = {
            name: np.broadcast_to(np.asarray(value, float), (self.count,)) for name, value in states.items()
        }
        return drive, {name: values[name] for name in EQUATIONS.parameters}, first

    def jumps(self) -> list[Jump]:
        """Return what changes states at once."""
        return [jump for jump in jumps_of(self.course) if self.start_h <= jump[0] <= self.end_h]

    def solve(
        self,
        fineness: float,
        *,
        is_compiled: bool = False,
        is_checked: bool = False,
        on_progress: Callable[[float], object] | None = None,
    ) -> ChainSolution:
        """Return the solution on the grid of the schedule."""
        drive, given, first = self.begin()
        grid = make_grid(self.start_h, self.end_h, events_of(self.course, drive), fineness=fineness)
        is_alone = not (drive.is_beside or any(np.any(first[name]) for name in wiring.STILL))
        equations, asked = (KETAMINE_ALONE if is_alone else EQUATIONS), self.outputs
        still = [name for name in wiring.STILL if is_alone and (asked is None or name in asked)]
        found = integrate(
            equations,
            given,
            {name: first[name] for name in equations.states},
            drive,
            grid_h=grid,
            times_h=self.times_h,
            outputs=None if asked is None else [name for name in asked if name not in still],
            jumps=self.jumps(),
            decisions=[(one.time_h, partial(_decide, drive, one)) for one in self.course.decisions],
            patient_count=self.count,
            absent=wiring.BESIDE if is_alone else (),
            is_compiled=is_compiled,
            is_checked=is_checked,
            on_progress=on_progress,
        )
        zeros = np.zeros((self.count, len(self.times_h)))
        values = {**found.values, **dict.fromkeys(still, zeros)}
        reason = "numbers beyond single precision" if is_compiled and not found.is_compiled else ""
        return ChainSolution(values, found.steps, drive.factors, not_compiled=reason, check=found.check)


def _at(swings: Knots | None, time_h: float) -> Any:
    return 0.0 if swings is None else piecewise(swings, np.array([time_h]))[0][..., 0]


def _with_finer(
    problem: _Problem, found: ChainSolution, fineness: float, scales: Mapping[str, float]
) -> ChainSolution:
    """Return a solution with the errors of its patients, those over tolerance solved again on finer grids."""
    error = _error(found, scales, problem.count)
    was_finer = np.zeros(problem.count, dtype=bool)
    for more in FINER:
        late = np.flatnonzero(~(error <= TOLERANCE))
        if not len(late):
            break
        again = problem.of(late, found.factors).solve(fineness * more, is_compiled=True, is_checked=True)
        for name, values in again.values.items():
            found.values[name][late] = values
        error[late], was_finer[late] = _error(again, scales, len(late)), True
    return found._replace(error=error, was_finer=was_finer)


def _error(found: ChainSolution, scales: Mapping[str, float], count: int) -> Array:
    """Return the largest estimated error of each patient, (P,); without a check it is not known.

    Where nothing is asked for that is solved by steps, nothing can be off: 0.

    Steps of half the length leave a sixteenth of an error of fourth order: what is left is a fifteenth of the
    difference.
    """
    if found.check is None:
        return np.full(count, np.nan)
    if not found.check:
        return np.zeros(count)
    return np.max([one.difference / (15.0 * scales[name]) for name, one in found.check.items()], axis=0)


def _each_by_reference(problem: _Problem, on_progress: Callable[[float], object] | None) -> ChainSolution:
    """Return the solution by SciPy, patient by patient."""
    if problem.course.decisions:
        message = (
            "Doses that are decided on during the run need the engine 'c' or 'numpy'. Got the reference. "
            "Solve it with the doses that were given: 'factors'."
        )
        raise InvalidInputError(message)
    everyone = []
    for patient in range(problem.count):
        everyone.append(_by_reference(problem.of(np.array([patient]))))
        if on_progress is not None:
            on_progress((patient + 1) / problem.count)
    names, steps = everyone[0]
    return ChainSolution({name: np.concatenate([one[name] for one, _ in everyone]) for name in names}, steps)


def _by_reference(problem: _Problem) -> tuple[dict[str, Array], int]:
    """Solve one patient with SciPy, restarting at every event; return values (1, T) and the stretches."""
    from euthymia.engine.reference_ode import integrate_by_scipy

    drive, given, first = problem.begin()
    start_h, end_h, events = problem.start_h, problem.end_h, events_of(problem.course, drive)
    stops = sorted({start_h, *(one.time_h for one in events if start_h < one.time_h < end_h), end_h})
    smooth = Interpolated(drive, make_grid(start_h, end_h, events, fineness=REFERENCE_FINENESS))
    found = integrate_by_scipy(
        EQUATIONS,
        given,
        first,
        smooth,
        problem.times_h,
        segments_h=stops,
        jumps=problem.jumps(),
        patient=0,
    )
    return {name: found[name][None] for name in problem.outputs or found}, len(stops) - 1


def _of_some(values: Mapping[str, Any], patients: NDArray[np.intp]) -> dict[str, Any]:
    """Return the values of some patients; what is shared stays shared."""
    return {
        name: value if np.ndim(value) == 0 else np.asarray(value)[patients] for name, value in values.items()
    }


def course_of(course: Course, patients: NDArray[np.intp]) -> Course:
    """Return what happens to some of the patients."""

    def dose_of(dose: Any) -> Any:
        amount = np.asarray(dose.amount_umol)
        return dose if amount.ndim == 0 else replace(dose, amount_umol=amount[patients])

    return replace(
        course,
        given=tuple(one._replace(dose=dose_of(one.dose)) for one in course.given),
        midazolam=tuple(dose_of(one) for one in course.midazolam),
        factors=None if course.factors is None else course.factors[patients],
        mood_noise=None if course.mood_noise is None else _daily_of(course.mood_noise, patients),
        events=None if course.events is None else _daily_of(course.events, patients),
    )


def _daily_of(known: Daily, patients: NDArray[np.intp]) -> Daily:
    return Daily(known.days, known.values[patients])


def gamma_index(
    parameters: ParameterSet, chain_values: Mapping[str, Any], observed: Mapping[str, Array]
) -> Array:
    """Return the gamma-band index of the node at the blocks of a run, (P, T); uncalibrated."""
    shares = wiring.record(wiring.Shares, "circuit", chain_values)
    return _gamma_table(node_constants(parameters))(
        _column(shares.pyramidal_nmda_share) * observed["nmda_block_pyramidal_fraction"],
        _column(shares.interneuron_nmda_share) * observed["nmda_block_interneuron_fraction"],
    )


def _column(value: Any) -> Array:
    return np.asarray(value, float)[..., None]


@cache
def _gamma_table(constants: tuple[float, ...]) -> Table2:
    blocks = np.linspace(0.0, 1.0, GAMMA_KNOTS)
    return Table2.fit(spectrum.gamma_index(blocks[:, None], blocks[None, :], node(constants)))


def events_of(course: Course, drive: CourseDrive) -> list[Event]:
    """Return every time at which something jumps or bends for all patients."""
    found = [Event(time_h, AFTER_START_H) for time_h in course.sessions_h]
    for starts_h, ends_h in drive.inputs_h():
        found += [Event(starts_h, AFTER_BOLUS_H if ends_h == starts_h else AFTER_START_H)]
        found += [Event(ends_h, AFTER_END_H)]
    for given_h in drive.individual_h():
        found += [Event(given_h + since_h, WHILE_OWN_H) for since_h in np.arange(0.0, 1.0, WHILE_OWN_H)]
    for visit in course.visits:
        found += [Event(visit.time_h, AFTER_OTHER_H)]
        found += [] if visit.verdict_h is None else [Event(visit.verdict_h, AFTER_OTHER_H)]
    others = [*course.ect_h, *course.contacts_h, *(one.time_h for one in course.decisions)]
    others += [time_h for pulse in course.pulses for time_h in (pulse.start_h, pulse.end_h)]
    found += [Event(time_h, AFTER_OTHER_H) for time_h in others]
    asleep = [time_h for pulse in course.anaesthesia for time_h in (pulse.start_h, pulse.end_h)]
    found += [Event(time_h, AFTER_START_H) for time_h in asleep]
    return found + [Event(float(time_h), AFTER_BEND_H) for time_h in course.kinks_h]


def jumps_of(course: Course) -> list[tuple[float, Callable[..., Any]]]:
    """Return what changes states at once, by time."""
    found: list[tuple[float, Callable[..., Any]]] = [(time, wiring.at_session) for time in course.sessions_h]
    found += [(time, wiring.at_ect) for time in course.ect_h]
    found += [(time, wiring.at_antidepressant) for time in course.contacts_h]
    for visit in course.visits:
        prepared = partial(wiring.at_visit, preparation_fraction=visit.preparation_fraction)
        found.append((visit.time_h, prepared))
        if visit.verdict_h is not None:
            found.append((visit.verdict_h, wiring.after_visit))
    return sorted(found, key=lambda jump: jump[0])


def _decide(drive: CourseDrive, decision: Decision, state: Mapping[str, Any]) -> None:
    """Decide on doses by the states now, which go on being worked on afterwards."""
    seen = {name: np.array(state[name]) for name in state}
    drive.give(decision.slots, decision.decide(seen))
