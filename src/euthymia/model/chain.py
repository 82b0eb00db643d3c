"""The whole chain of a batch of patients: from the site of action to severity, over hours and months."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.order import Dose
from euthymia.engine.build import BuildError
from euthymia.engine.equations import Drive, Equations
from euthymia.engine.grid import LONGEST_STEP_H, make_grid
from euthymia.engine.integrate import integrate
from euthymia.engine.linear import Input, Responder, assemble
from euthymia.engine.maths import NUMPY
from euthymia.engine.table import Table2
from euthymia.errors import InvalidInputError
from euthymia.mechanism.circuit import spectrum, steady
from euthymia.mechanism.comparators import midazolam
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
NEEDED_BY = {
    "R.ketamine": ("signalling.r_route_weight_fraction", "signalling.trkb_binding_weight_fraction"),
    "R.hydroxynorketamine": ("signalling.metabolite_weight_fraction",),
}
"""Substances at the site that only some mechanisms read, by the switches that turn these on."""
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
    """Something constant from one time to another: a load of stress, an occupancy, care."""

    start_h: float
    end_h: float
    height: float


class Learning(NamedTuple):
    """A stretch of therapy: learning per hour starts at ``height`` and saturates with ``time_h``."""

    start_h: float
    end_h: float
    height: float
    time_h: float


class Visit(NamedTuple):
    """When a drug is expected, how well the patient is prepared (0-1), and when the verdict on it is made.

    ``verdict_h`` is None where nothing is concluded from what is felt.
    """

    time_h: float
    preparation_fraction: float = 0.0
    verdict_h: float | None = None


class Decision(NamedTuple):
    """At a visit some doses are decided on: ``decide(severity (P,)) -> what is given of them (P,)``."""

    time_h: float
    slots: tuple[int, ...]
    decide: Callable[[Array], Array]


class Daily(NamedTuple):
    """Whole days, ascending, (D,), and values of each patient on them, (P, D); linear in between."""

    days: Array
    values: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Everything that happens to a batch of patients, on grid points.

    Parameters
    ----------
    given : tuple of Given
        Doses of ketamine; each is a slot.
    factors : array (P, slots) or None
        What each patient gets of each slot: 1 as planned, 0 held or missed. None is 1 for all.
    midazolam : tuple of Dose
        By vein.
    sessions_h, ect_h, contacts_h : tuple of float
        Starts of dosing sessions; electroconvulsive treatments; contacts about a new antidepressant.
    visits : tuple of Visit
        When a drug is expected, given or not.
    decisions : tuple of Decision
        Doses that are decided on during the run, by the severity at a visit.
    learning, preparation, occupancy, anaesthesia, care, stress, inflammation : tuples
        Therapy, being prepared, transporter occupancy, general anaesthesia, care around the clock, and loads
        of life beyond the usual.
    adapted_occupancy_fraction : float
        Occupancy that the patient is adapted to at the start.
    mood_noise, events : Daily or None
        Swings of mood on the logit of severity, and stress by events of each patient's life.
    """

    given: tuple[Given, ...] = ()
    factors: Array | None = None
    midazolam: tuple[Dose, ...] = ()
    sessions_h: tuple[float, ...] = ()
    ect_h: tuple[float, ...] = ()
    contacts_h: tuple[float, ...] = ()
    visits: tuple[Visit, ...] = ()
    decisions: tuple[Decision, ...] = ()
    learning: tuple[Learning, ...] = ()
    preparation: tuple[Pulse, ...] = ()
    occupancy: tuple[Pulse, ...] = ()
    anaesthesia: tuple[Pulse, ...] = ()
    care: tuple[Pulse, ...] = ()
    stress: tuple[Pulse, ...] = ()
    inflammation: tuple[Pulse, ...] = ()
    adapted_occupancy_fraction: float = 0.0
    mood_noise: Daily | None = None
    events: Daily | None = None

    @property
    def pulses(self) -> tuple[Pulse | Learning, ...]:
        """Everything that lasts from one time to another."""
        return (
            *self.learning,
            *self.preparation,
            *self.occupancy,
            *self.anaesthesia,
            *self.care,
            *self.stress,
            *self.inflammation,
        )

    @property
    def kinks_h(self) -> Array:
        """Times at which what is known by the day bends."""
        known = [24.0 * one.days for one in (self.mood_noise, self.events) if one is not None]
        return np.unique(np.concatenate(known)) if known else np.zeros(0)


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
    drive = _Drive(parameters, pk_values, values, course, patient_count)
    swing = _daily(course.mood_noise, np.array([start_h]))[0][..., 0]
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
    marks = [*_marks(course), *drive.bends_h()]
    kinks = course.kinks_h
    longest_h = LONGEST_WITH_SWINGS_H if len(kinks) else LONGEST_STEP_H
    grid = _with_kinks(make_grid(start_h, end_h, marks, fineness=fineness, longest_h=longest_h), kinks)
    jumps = [jump for jump in _jumps(course, drive) if start_h <= jump[0] <= end_h]
    if is_reference:
        stops = sorted(
            {start_h, *(float(mark) for mark in (*marks, *kinks) if start_h < mark < end_h), end_h}
        )
        alone = _by_reference(given, first, _Interpolated(drive, grid), times_h, stops, jumps)
        return ChainSolution({name: alone[name] for name in outputs or alone}, len(stops) - 1)
    march: dict[str, Any] = {
        "grid_h": grid,
        "times_h": times_h,
        "outputs": outputs,
        "jumps": jumps,
        "breaks_h": [one.time_h for one in course.decisions],
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


def _marks(course: Course) -> list[float]:
    """Return every time at which something jumps or bends for all patients."""
    found = [*course.sessions_h, *course.ect_h, *course.contacts_h, *(one.time_h for one in course.decisions)]
    for visit in course.visits:
        found += [visit.time_h, *(() if visit.verdict_h is None else (visit.verdict_h,))]
    for dose in (*(one.dose for one in course.given), *course.midazolam):
        found += [dose.start_h, dose.start_h + dose.duration_h]
    for pulse in course.pulses:
        found += [pulse.start_h, pulse.end_h]
    return found


def _with_kinks(grid: Array, kinks_h: Array) -> Array:
    """Return a grid that also has the days at which life and mood bend; these need no short steps."""
    days = kinks_h[(kinks_h > grid[0]) & (kinks_h < grid[-1])]
    if not len(days):
        return grid
    after = grid[np.searchsorted(grid, days)]
    before = grid[np.searchsorted(grid, days) - 1]
    apart = np.minimum(after - days, days - before) > CLOSEST_H
    return np.unique(np.concatenate([grid, days[apart]]))


def _jumps(course: Course, drive: _Drive) -> list[tuple[float, Callable[..., Any]]]:
    found: list[tuple[float, Callable[..., Any]]] = [
        (one.time_h, partial(_decide, drive=drive, decision=one)) for one in course.decisions
    ]
    found += [(time, wiring.at_session) for time in course.sessions_h]
    found += [(time, wiring.at_ect) for time in course.ect_h]
    found += [(time, wiring.at_antidepressant) for time in course.contacts_h]
    for visit in course.visits:
        prepared = partial(wiring.at_visit, preparation_fraction=visit.preparation_fraction)
        found.append((visit.time_h, prepared))
        if visit.verdict_h is not None:
            found.append((visit.verdict_h, wiring.after_visit))
    return sorted(found, key=lambda jump: jump[0])


def _decide(
    m: Any, state: Mapping[str, Any], parameter: Mapping[str, Any], *, drive: _Drive, decision: Decision
) -> dict[str, Any]:
    """Decide on doses by the severity now; no state jumps."""
    del m, parameter
    drive.give(decision.slots, decision.decide(np.array(state["severity.severity_fraction"])))
    return {}


class _Drive:
    """Drugs at their sites, therapy, care, life and chance as functions of time."""

    def __init__(
        self,
        parameters: ParameterSet,
        pk_values: Mapping[str, Array],
        chain_values: Mapping[str, Any],
        course: Course,
        patient_count: int,
    ) -> None:
        self.parameters, self.pk_values, self.chain_values = parameters, pk_values, chain_values
        self.course, self.count, self.factors = course, patient_count, course.factors
        if course.decisions:
            slots = (patient_count, len(course.given))
            self.factors = np.ones(slots) if self.factors is None else self.factors.copy()
        self.drugs = self._systems()

    def _systems(self) -> list[tuple[Sequence[Input], Responder]]:
        """Return inputs and response of each drug's linear system: ketamine, midazolam, or neither."""
        found = []
        if self.course.given:
            course = replace(self.course, factors=self.factors)
            found.append(_site_model(self.parameters, self.pk_values, self.chain_values, course, self.count))
        if self.course.midazolam:
            found.append(_midazolam_model(self.chain_values, self.course.midazolam, self.count))
        return [(inputs, Responder(system, inputs, readings)) for system, inputs, readings in found]

    def give(self, slots: Sequence[int], factor: Array) -> None:
        """Set what each patient gets of some doses that are still to come; what is missed stays so."""
        if self.factors is None:
            raise RuntimeError("no decisions were announced")
        self.factors[:, list(slots)] *= factor[:, None]
        self.drugs = self._systems()

    def __call__(self, times_h: Array, *, is_left: Flags) -> tuple[dict[str, Array], dict[str, Array]]:
        values, slopes = self._drug(times_h)
        course = self.course
        for name, pulses in (
            ("occupancy_fraction", course.occupancy),
            ("anaesthesia_fraction", course.anaesthesia),
            ("care_fraction", course.care),
            ("preparation_fraction", course.preparation),
            ("extra_stress_relative", course.stress),
            ("extra_inflammation_relative", course.inflammation),
        ):
            values[name] = _steps(pulses, times_h, is_left)
            slopes[name] = np.zeros(len(times_h))
        values["learning_relative"], slopes["learning_relative"] = _taught(course.learning, times_h, is_left)
        values["mood_noise_logit"], slopes["mood_noise_logit"] = _daily(course.mood_noise, times_h)
        if course.events is not None:
            met, slopes["extra_stress_relative"] = _daily(course.events, times_h)
            values["extra_stress_relative"] = values["extra_stress_relative"] + met
        return values, slopes

    def bends_h(self) -> list[float]:
        """Return when what is absorbed starts and ends, where that is the same for all patients."""
        inputs = [one for given, _ in self.drugs for one in given]
        edges = [(one.start_h + one.lag_h, one.start_h + one.lag_h + one.duration_h) for one in inputs]
        return [float(edge) for pair in edges for edge in pair if np.ndim(edge) == 0]

    def _drug(self, times_h: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        nothing = np.zeros(len(times_h))
        values: dict[str, Array] = dict.fromkeys((*wiring.SITES, "midazolam_site_umol_per_L"), nothing)
        slopes = dict(values)
        unique, back = np.unique(times_h, return_inverse=True)
        for _, respond in self.drugs:
            found = respond(unique)
            for name in values.keys() & found.keys():
                values[name] = np.maximum(found[name], 0.0)[:, back]
                slopes[name] = found[f"{name}.slope"][:, back]
        return values, slopes


def _daily(known: Daily | None, times_h: Array) -> tuple[Array, Array]:
    """Return what is known by the day and its slope, (P, T), or (T,) of zeros."""
    if known is None:
        return np.zeros(len(times_h)), np.zeros(len(times_h))
    days, values = known
    place = np.clip(np.searchsorted(24.0 * days, times_h, side="right") - 1, 0, len(days) - 2)
    share = times_h / 24.0 - days[place]
    step = values[:, place + 1] - values[:, place]
    return values[:, place] + step * share, step / 24.0


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
    named = {"S.ketamine": "s_ketamine_site_umol_per_L"} | {
        substance: f"{substance.lower().replace('.', '_')}_site_umol_per_L"
        for substance, fields in NEEDED_BY.items()
        if any(chain_values[field] for field in fields)
    }
    substances = [
        f"{part}.{kind}"
        for part in parts
        for kind in ("ketamine", "norketamine", "hydroxynorketamine")
        if f"{part}.{kind}" in named or np.any(np.asarray(potency[f"{part}.{kind}"]) > 0)
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
            for substance, name in named.items():
                if substance in weights:
                    readings[f"{name}{ending}"] = dict(weights[substance])
        return flows

    model = wire_pk(parameters, pk_values, given, patient_count=count, extend=extend)
    return model.system, model.inputs, readings


def _midazolam_model(chain_values: Mapping[str, Any], doses: Sequence[Dose], count: int) -> Any:
    """Return the linear system of midazolam, its inputs, and what is read off its site."""
    parameters = wiring.record(midazolam.Parameters, "midazolam", chain_values)
    inputs = [
        Input(
            midazolam.CENTRAL,
            np.broadcast_to(np.asarray(dose.amount_umol, float), (count,)),
            dose.start_h,
            dose.duration_h,
        )
        for dose in doses
    ]
    return assemble(midazolam.flows(parameters), count), inputs, midazolam.readings(parameters)


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
