"""The whole chain of a batch of patients: from the site of action to severity, over hours and months."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.build import BuildError
from euthymia.engine.equations import Drive, Equations
from euthymia.engine.grid import Event, make_grid
from euthymia.engine.integrate import integrate
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
"""Sub-steps per step of the engine's grid: the error against LSODA stays below 1e-4 (under test)."""
AFTER_START_H, AFTER_END_H, AFTER_OTHER_H, AFTER_BEND_H = 0.024, 0.024, 1.0, 3.0
"""Length of the first two steps after a dose begins, after it ends, after anything else that happens at once,
and after a day on which life and mood bend."""
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


class ChainSolution(NamedTuple):
    """Observables (P, T) by name, the number of steps, and what each patient got of each dose (P, slots).

    ``not_compiled`` says why NumPy stepped where a compiled library was asked for; empty where it did not.
    """

    values: dict[str, Array]
    steps: int
    factors: Array | None = None
    not_compiled: str = ""


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
    is_reference: bool = False,
    is_compiled: bool = False,
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
        Sub-steps per step of the grid.
    is_reference : bool
        Whether SciPy's LSODA solves instead, patient by patient, restarted at every mark.
    is_compiled : bool
        Whether a compiled library steps the patients; without a compiler NumPy does, and that is said.
    outputs : sequence of str or None
        Names of observables or states; None for everything.
    on_progress : callable, optional
        Called with the share that is done, now and then.
    """
    if is_reference and course.decisions:
        message = (
            "Doses that are decided on during the run need the engine 'numpy'. Got the reference. "
            "Solve it with the doses that were given: 'factors'."
        )
        raise InvalidInputError(message)
    if is_reference and patient_count > 1:
        everyone = []
        for patient in range(patient_count):
            one = solve_chain(
                parameters,
                _only(pk_values, patient),
                _only(chain_values, patient),
                _course_of(course, patient),
                times_h,
                start_h=start_h,
                end_h=end_h,
                patient_count=1,
                is_well=is_well,
                is_reference=True,
                outputs=outputs,
            )
            everyone.append(one)
            if on_progress is not None:
                on_progress((patient + 1) / patient_count)
        names = everyone[0].values
        return ChainSolution(
            {name: np.concatenate([one.values[name] for one in everyone]) for name in names},
            everyone[0].steps,
        )
    values = dict(chain_values)
    values[wiring.CIRCUIT_TABLE] = circuit_table(node_constants(parameters))
    drive = CourseDrive(parameters, pk_values, values, course, patient_count)
    swings = drive.knots().get("mood_noise_logit")
    swing = 0.0 if swings is None else piecewise(swings, np.array([start_h]))[0][..., 0]
    states, start = wiring.initial(
        NUMPY,
        values,
        is_well=is_well,
        mood_noise_logit=swing,
        occupancy_fraction=course.adapted_occupancy_fraction,
    )
    values |= start
    given = {name: values[name] for name in EQUATIONS.parameters}
    first = {
        name: np.broadcast_to(np.asarray(value, float), (patient_count,)) for name, value in states.items()
    }
    events = _events(course, drive)
    grid = make_grid(start_h, end_h, events, fineness=fineness)
    jumps = [jump for jump in _jumps(course) if start_h <= jump[0] <= end_h]
    if is_reference:
        stops = sorted({start_h, *(one.time_h for one in events if start_h < one.time_h < end_h), end_h})
        alone = _by_reference(given, first, Interpolated(drive, grid), times_h, stops, jumps)
        return ChainSolution({name: alone[name] for name in outputs or alone}, len(stops) - 1)
    march: dict[str, Any] = {
        "grid_h": grid,
        "times_h": times_h,
        "outputs": outputs,
        "jumps": jumps,
        "decisions": [(one.time_h, partial(_decide, drive, one)) for one in course.decisions],
        "patient_count": patient_count,
        "on_progress": on_progress,
    }
    reason = ""
    try:
        found = integrate(EQUATIONS, given, first, drive, is_compiled=is_compiled, **march)
    except BuildError as error:
        reason = str(error)
        found = integrate(EQUATIONS, given, first, drive, **march)
    return ChainSolution(found.values, found.steps, drive.factors, reason)


def _by_reference(
    given: Mapping[str, Any],
    initial: Mapping[str, Array],
    drive: Drive,
    times_h: Array,
    stops_h: Sequence[float],
    jumps: Sequence[Any],
) -> dict[str, Array]:
    """Solve one patient with SciPy, restarting at every mark; each value is (1, T)."""
    from euthymia.engine.reference_ode import integrate_by_scipy

    found = integrate_by_scipy(
        EQUATIONS, given, initial, drive, times_h, segments_h=stops_h, jumps=jumps, patient=0
    )
    return {name: row[None] for name, row in found.items()}


def _only(values: Mapping[str, Any], patient: int) -> dict[str, Any]:
    """Return one patient's values; what is shared stays shared."""
    return {
        name: value if np.ndim(value) == 0 else np.asarray(value)[patient : patient + 1]
        for name, value in values.items()
    }


def _course_of(course: Course, patient: int) -> Course:
    """Return what happens to one patient."""
    one = slice(patient, patient + 1)
    given = tuple(
        dose._replace(dose=replace(dose.dose, amount_umol=np.atleast_1d(dose.dose.amount_umol)[one]))
        for dose in course.given
    )
    return replace(
        course,
        given=given,
        midazolam=tuple(
            replace(dose, amount_umol=np.atleast_1d(dose.amount_umol)[one]) for dose in course.midazolam
        ),
        factors=None if course.factors is None else course.factors[one],
        mood_noise=None if course.mood_noise is None else _of_one(course.mood_noise, one),
        events=None if course.events is None else _of_one(course.events, one),
    )


def _of_one(known: Daily, patients: slice) -> Daily:
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


def _events(course: Course, drive: CourseDrive) -> list[Event]:
    """Return every time at which something jumps or bends for all patients."""
    found = [Event(time_h, AFTER_START_H) for time_h in (*drive.starts_h(), *course.sessions_h)]
    found += [Event(time_h, AFTER_END_H) for time_h in drive.ends_h()]
    for visit in course.visits:
        found += [Event(visit.time_h, AFTER_OTHER_H)]
        found += [] if visit.verdict_h is None else [Event(visit.verdict_h, AFTER_OTHER_H)]
    others = [*course.ect_h, *course.contacts_h, *(one.time_h for one in course.decisions)]
    others += [time_h for pulse in course.pulses for time_h in (pulse.start_h, pulse.end_h)]
    found += [Event(time_h, AFTER_OTHER_H) for time_h in others]
    return found + [Event(float(time_h), AFTER_BEND_H) for time_h in course.kinks_h]


def _jumps(course: Course) -> list[tuple[float, Callable[..., Any]]]:
    found: list[tuple[float, Callable[..., Any]]] = [
        (time, wiring.at_session) for time in course.sessions_h
    ]
    found += [(time, wiring.at_ect) for time in course.ect_h]
    found += [(time, wiring.at_antidepressant) for time in course.contacts_h]
    for visit in course.visits:
        prepared = partial(wiring.at_visit, preparation_fraction=visit.preparation_fraction)
        found.append((visit.time_h, prepared))
        if visit.verdict_h is not None:
            found.append((visit.verdict_h, wiring.after_visit))
    return sorted(found, key=lambda jump: jump[0])


def _decide(drive: CourseDrive, decision: Decision, state: Mapping[str, Any]) -> None:
    """Decide on doses by the severity now."""
    drive.give(decision.slots, decision.decide(np.array(state["severity.severity_fraction"])))
