"""The whole chain of a batch of patients: from the site of action to severity, over hours and months."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.equations import Drive, Equations
from euthymia.engine.grid import LONGEST_STEP_H, make_grid
from euthymia.engine.integrate import integrate
from euthymia.engine.linear import respond
from euthymia.engine.maths import NUMPY
from euthymia.engine.table import Table2
from euthymia.mechanism.circuit import spectrum, steady
from euthymia.mechanism.pk import brain
from euthymia.model import wiring
from euthymia.model.parameters import ParameterSet, load_parameters
from euthymia.model.pk import Given, parts_of, wire_pk
from euthymia.tables import read_array

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
TABLE_KNOTS = 421
"""Knots a side of the circuit's table; its error against the solved node is under test (1e-6)."""
FINENESS = 1.0
"""Sub-steps per step of the engine's grid: the error against LSODA stays below 1e-4 (under test)."""
LONGEST_WITH_SWINGS_H = 3.0
"""Longest step where mood swings, which bend every day."""
CHEBYSHEV_NODES = 13
CLOSEST_H = 1e-6
"""Grid points closer than this are one."""
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


class Pulse(NamedTuple):
    """Something constant from one time to another: a load of stress, an occupancy."""

    start_h: float
    end_h: float
    height: float


class Learning(NamedTuple):
    """A stretch of therapy: learning per hour starts at ``height`` and saturates with ``time_h``."""

    start_h: float
    end_h: float
    height: float
    time_h: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Everything that happens to a batch of patients, on grid points.

    Parameters
    ----------
    given : tuple of Given
        Doses of ketamine; each is a slot.
    factors : array (P, slots) or None
        What each patient gets of each slot: 1 as planned, 0 held or missed. None is 1 for all.
    sessions_h : tuple of float
        Starts of dosing sessions.
    visits_h : tuple of float
        When a drug is expected, given or not.
    learning, occupancy, stress, inflammation : tuples
        Therapy, transporter occupancy, and loads of life beyond the usual.
    noise_days : array (D,) or None
        Whole days, ascending, at which ``noise_logit`` (P, D) is known; linear in between.
    """

    given: tuple[Given, ...] = ()
    factors: Array | None = None
    sessions_h: tuple[float, ...] = ()
    visits_h: tuple[float, ...] = ()
    learning: tuple[Learning, ...] = ()
    occupancy: tuple[Pulse, ...] = ()
    stress: tuple[Pulse, ...] = ()
    inflammation: tuple[Pulse, ...] = ()
    noise_days: Array | None = None
    noise_logit: Array | None = None


class ChainSolution(NamedTuple):
    """Observables (P, T) by name, and the number of steps."""

    values: dict[str, Array]
    steps: int


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
    outputs : sequence of str or None
        Names of observables or states; None for everything.
    on_progress : callable, optional
        Called with the share that is done, now and then.
    """
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
    drive = _Drive(parameters, pk_values, values, course, patient_count)
    swing = drive.noise(np.array([start_h]))[0][..., 0]
    states, start = wiring.initial(NUMPY, values, is_well=is_well, mood_noise_logit=swing)
    values |= start
    given = {name: values[name] for name in EQUATIONS.parameters}
    first = {
        name: np.broadcast_to(np.asarray(value, float), (patient_count,)) for name, value in states.items()
    }
    marks = [*_marks(course), *drive.bends_h()]
    longest_h = LONGEST_STEP_H if course.noise_days is None else LONGEST_WITH_SWINGS_H
    grid = _with_kinks(make_grid(start_h, end_h, marks, fineness=fineness, longest_h=longest_h), course)
    jumps = [jump for jump in _jumps(course) if start_h <= jump[0] <= end_h]
    if is_reference:
        days = [] if course.noise_days is None else [24.0 * float(day) for day in course.noise_days]
        stops = sorted({start_h, *(mark for mark in (*marks, *days) if start_h < mark < end_h), end_h})
        alone = _by_reference(given, first, _Interpolated(drive, grid), times_h, stops, jumps)
        return ChainSolution({name: alone[name] for name in outputs or alone}, len(stops) - 1)
    found = integrate(
        EQUATIONS,
        given,
        first,
        drive,
        grid_h=grid,
        times_h=times_h,
        outputs=outputs,
        jumps=jumps,
        patient_count=patient_count,
        on_progress=on_progress,
    )
    return ChainSolution(found.values, found.steps)


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
        factors=None if course.factors is None else course.factors[one],
        noise_logit=None if course.noise_logit is None else course.noise_logit[one],
    )


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


def _marks(course: Course) -> list[float]:
    """Return every time at which something jumps or bends for all patients."""
    found = [*course.sessions_h, *course.visits_h]
    for given in course.given:
        dose = given.dose
        found += [dose.start_h, dose.start_h + dose.duration_h]
    for pulse in (*course.learning, *course.occupancy, *course.stress, *course.inflammation):
        found += [pulse.start_h, pulse.end_h]
    return found


def _with_kinks(grid: Array, course: Course) -> Array:
    """Return a grid that also has the days at which the swings of mood bend; these need no short steps."""
    if course.noise_days is None:
        return grid
    days = 24.0 * course.noise_days
    days = days[(days > grid[0]) & (days < grid[-1])]
    after = grid[np.searchsorted(grid, days)]
    before = grid[np.searchsorted(grid, days) - 1]
    apart = np.minimum(after - days, days - before) > CLOSEST_H
    return np.unique(np.concatenate([grid, days[apart]]))


def _jumps(course: Course) -> list[tuple[float, Callable[..., Any]]]:
    sessions = [(time, wiring.at_session) for time in course.sessions_h]
    visits = [(time, wiring.at_visit) for time in course.visits_h]
    return sorted([*sessions, *visits], key=lambda jump: jump[0])


class _Drive:
    """Drug at the site, therapy, antidepressant, life and chance as functions of time."""

    def __init__(
        self,
        parameters: ParameterSet,
        pk_values: Mapping[str, Array],
        chain_values: Mapping[str, Any],
        course: Course,
        patient_count: int,
    ) -> None:
        self.course, self.count = course, patient_count
        self.system = None
        if course.given:
            self.system, self.inputs, self.readings = _site_model(
                parameters, pk_values, chain_values, course, patient_count
            )

    def __call__(self, times_h: Array, *, is_left: Flags) -> tuple[dict[str, Array], dict[str, Array]]:
        values, slopes = self._drug(times_h)
        course = self.course
        for name, pulses in (
            ("occupancy_fraction", course.occupancy),
            ("extra_stress_relative", course.stress),
            ("extra_inflammation_relative", course.inflammation),
        ):
            values[name] = _steps(pulses, times_h, is_left)
            slopes[name] = np.zeros(len(times_h))
        values["learning_relative"], slopes["learning_relative"] = _taught(course.learning, times_h, is_left)
        values["mood_noise_logit"], slopes["mood_noise_logit"] = self.noise(times_h)
        return values, slopes

    def bends_h(self) -> list[float]:
        """Return when what is absorbed starts and ends, where that is the same for all patients."""
        if self.system is None:
            return []
        edges = [(one.start_h + one.lag_h, one.start_h + one.lag_h + one.duration_h) for one in self.inputs]
        return [float(edge) for pair in edges for edge in pair if np.ndim(edge) == 0]

    def _drug(self, times_h: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        names = ("s_equivalents_site_umol_per_L", "s_ketamine_site_umol_per_L")
        nothing = np.zeros(len(times_h))
        if self.system is None:
            return dict.fromkeys(names, nothing), dict.fromkeys(names, nothing)
        unique, back = np.unique(times_h, return_inverse=True)
        found = respond(self.system, self.inputs, unique, self.readings).values
        values = {name: np.maximum(found[name], 0.0)[:, back] for name in names if name in found}
        slopes = {name: found[f"{name}.slope"][:, back] for name in names if name in found}
        for name in names:
            values.setdefault(name, nothing)
            slopes.setdefault(name, nothing)
        return values, slopes

    def noise(self, times_h: Array) -> tuple[Array, Array]:
        """Return the swings of mood and their slopes, (P, T), or (T,) of zeros."""
        days, swings = self.course.noise_days, self.course.noise_logit
        if days is None or swings is None:
            return np.zeros(len(times_h)), np.zeros(len(times_h))
        place = np.clip(np.searchsorted(24.0 * days, times_h, side="right") - 1, 0, len(days) - 2)
        share = times_h / 24.0 - days[place]
        step = swings[:, place + 1] - swings[:, place]
        return swings[:, place] + step * share, step / 24.0


class _Interpolated:
    """One patient's drive, read off Chebyshev polynomials of each grid step: cheap at one time after another.

    Thirteen nodes a step leave an error near rounding, since a step is short against what happens in it.
    """

    def __init__(self, drive: Drive, grid: Array) -> None:
        self.drive, self.grid = drive, grid
        self.nodes = -np.cos(np.linspace(0.0, np.pi, CHEBYSHEV_NODES))
        half = 0.5 * np.diff(grid)
        times = 0.5 * (grid[:-1] + grid[1:])[:, None] + half[:, None] * self.nodes
        times[:, 0], times[:, -1] = grid[:-1], grid[1:]
        is_left = np.zeros(times.shape, dtype=bool)
        is_left[:, -1] = True
        values, _ = drive(times.ravel(), is_left=is_left.ravel())
        to_coefficients = np.linalg.inv(np.polynomial.chebyshev.chebvander(self.nodes, CHEBYSHEV_NODES - 1))
        self.names = tuple(values)
        stacked = np.stack([np.broadcast_to(values[name], (1, times.size))[0] for name in self.names])
        self.coefficients = np.einsum("kj,nsj->snk", to_coefficients, stacked.reshape(-1, *times.shape))

    def __call__(self, times_h: Array, *, is_left: Flags) -> tuple[dict[str, Array], dict[str, Array]]:
        rows = np.empty((len(times_h), len(self.names)))
        for at, (time, left) in enumerate(zip(times_h, is_left, strict=True)):
            if time >= self.grid[-1] and not left:  # the polynomials end with the value before the end
                values, _ = self.drive(np.array([time]), is_left=np.array([False]))
                rows[at] = [np.ravel(values[name])[0] for name in self.names]
                continue
            side = "left" if left else "right"
            step = int(np.clip(np.searchsorted(self.grid, time, side=side) - 1, 0, len(self.grid) - 2))
            start, end = self.grid[step], self.grid[step + 1]
            place = (2.0 * time - start - end) / (end - start)
            angles = np.cos(np.arange(CHEBYSHEV_NODES) * np.arccos(np.clip(place, -1.0, 1.0)))
            rows[at] = self.coefficients[step] @ angles
        return {name: rows[:, at] for at, name in enumerate(self.names)}, {}


def _site_model(
    parameters: ParameterSet,
    pk_values: Mapping[str, Array],
    chain_values: Mapping[str, Any],
    course: Course,
    count: int,
) -> Any:
    """Return the linear system with effect sites, its inputs, and what is read off the sites."""
    given = [
        one if course.factors is None else one._replace(dose=_scaled(one.dose, course.factors[:, slot]))
        for slot, one in enumerate(course.given)
    ]
    site = wiring.record(brain.Parameters, "site", chain_values)
    parts = parts_of([one.dose.drug for one in given])
    potency = brain.potencies(site)
    substances = [
        f"{part}.{kind}"
        for part in parts
        for kind in ("ketamine", "norketamine", "hydroxynorketamine")
        if np.any(np.asarray(potency[f"{part}.{kind}"]) > 0)
    ]
    readings: dict[str, dict[str, Any]] = {}

    def extend(observed: Mapping[str, Mapping[str, Array]]) -> list[Any]:
        plasma = {
            f"{part}.{kind}": observed[f"{part.lower()}_{kind}{'_arterial' if kind == 'ketamine' else ''}"]
            for part in parts
            for kind in ("ketamine", "norketamine", "hydroxynorketamine")
        }
        flows, concentrations, slopes = brain.sites(site, plasma, substances)
        for ending, weights in (("", concentrations), (".slope", slopes)):
            total: dict[str, Any] = {}
            for substance in substances:
                for node, weight in weights[substance].items():
                    total[node] = total.get(node, 0.0) + potency[substance] * weight
            readings[f"s_equivalents_site_umol_per_L{ending}"] = total
            if "S.ketamine" in weights:
                readings[f"s_ketamine_site_umol_per_L{ending}"] = dict(weights["S.ketamine"])
        return flows

    model = wire_pk(parameters, pk_values, given, patient_count=count, extend=extend)
    return model.system, model.inputs, readings


def _scaled(dose: Any, factor: Array) -> Any:
    return replace(dose, amount_umol=dose.amount_umol * factor)


def _steps(pulses: Sequence[Pulse], times_h: Array, is_left: Flags) -> Array:
    """Return the sum of pulses at some times; at an edge the value after it, or before it where asked."""
    total = np.zeros(len(times_h))
    for start, end, height in pulses:
        total += height * _inside(start, end, times_h, is_left)
    return total


def _inside(start_h: float, end_h: float, times_h: Array, is_left: Flags) -> Array:
    after_start = np.where(is_left, times_h > start_h, times_h >= start_h)
    before_end = np.where(is_left, times_h <= end_h, times_h < end_h)
    return (after_start & before_end).astype(float)


def _taught(stretches: Sequence[Learning], times_h: Array, is_left: Flags) -> tuple[Array, Array]:
    """Return learning per hour and its slope: exp(-t / T_s) while a session lasts."""
    value, slope = np.zeros(len(times_h)), np.zeros(len(times_h))
    for start, end, height, time in stretches:
        now = height * np.exp(-np.maximum(times_h - start, 0.0) / time)
        now = now * _inside(start, end, times_h, is_left)
        value += now
        slope -= now / time
    return value, slope
