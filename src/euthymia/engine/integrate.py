"""All patients of a batch stepped together over one fixed grid, by RODAS4.

Each patient's numbers are the same bytes whatever the batch, the times asked for and the blocks that the
drives are evaluated in: every operation is elementwise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.equations import (
    Array,
    Decide,
    Drive,
    Equations,
    Flags,
    Jump,
    SolveFailedError,
    Values,
    as_parted,
)
from euthymia.engine.grid import CLOSEST_H, INSIDE_H
from euthymia.engine.kernel import Kernel, compile_equations, compile_outputs, drive_values, hoist
from euthymia.engine.maths import NUMPY
from euthymia.engine.native import Native
from euthymia.engine.program import Level, Program, evaluate, expression
from euthymia.engine.rosenbrock import RODAS4, STAGE_TIMES
from euthymia.engine.table import Table2
from euthymia.engine.trace import Declared
from euthymia.errors import invalid, unknown

__all__ = ["Drive", "Equations", "Jump", "Solution", "SolveFailedError", "integrate"]

_PAIRS_PER_BLOCK = 32
_STEPS_BETWEEN_REPORTS = 16
_NUMBERS_PER_BLOCK = 200_000
"""Most values of one drive held at a time: about 1.6 MB, so that a few fit into a cache."""

_BEYOND_H = 1e-3

_TIME_OF_STAGE = tuple(STAGE_TIMES.index(node) for node in RODAS4.nodes)


class Check(NamedTuple):
    """Largest difference to steps of twice the length, and largest size, each (P,)."""

    difference: NDArray[np.floating]
    size: NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Values by name of state or output, (P, T), at the times asked for, and how they were found.

    Parameters
    ----------
    times_h : array (T,)
    values : {name: array (P, T)}
        A compiled library gives them in single precision.
    steps : int
    check : {name: Check} or None
        How far steps of twice the length come out elsewhere, where these were taken.
    is_compiled : bool
        Whether a compiled library took the steps; not where a number was beyond single precision.
    """

    times_h: Array
    values: dict[str, Array]
    steps: int
    check: dict[str, Check] | None = None
    is_compiled: bool = False


def integrate(
    equations: Equations,
    parameters: Mapping[str, Any],
    initial: Mapping[str, Array],
    drive: Drive,
    *,
    grid_h: Array,
    times_h: Array,
    outputs: Sequence[str] | None,
    jumps: Sequence[Jump] = (),
    decisions: Sequence[Decide] = (),
    patient_count: int,
    absent: Collection[str] = (),
    is_compiled: bool = False,
    is_checked: bool = False,
    on_progress: Callable[[float], object] | None = None,
) -> Solution:
    """Return states and outputs of every patient at any times within the grid.

    Parameters
    ----------
    equations : Equations
    parameters : {name: array (P,), number, or Table2}
    initial : {state: array (P,) or number}
        At the first grid point, before a jump there.
    drive : Drive or PartedDrive
        Kinks and jumps of it lie on every second grid point, between pairs of steps.
    grid_h : array (N + 1,)
        Ascending, an even number of steps; from :func:`euthymia.engine.grid.make_grid`.
    times_h : array (T,)
        Ascending, within the grid. Within each pair of steps by the polynomial of degree five through states
        and rates at its three points; at a grid point the value after any jump.
    outputs : sequence of str or None
        Names of outputs and states to return; None for all.
    jumps : sequence of Jump
        Those at one time are applied in the order given.
    decisions : sequence of Decide
        At grid points, before any jump there; they may change the drive from there on: no later value of it
        is asked for before.
    patient_count : int
    absent : collection of str
        Drives that are 0 all the time: equations without them are shorter.
    is_compiled : bool
        Whether a compiled library steps the patients instead of NumPy, in single precision.
    is_checked : bool
        Whether a compiled library takes steps of twice the length beside, two of the grid in one.
    on_progress : callable, optional
        Called with the share of steps that are done, now and then.

    Raises
    ------
    SolveFailedError
        For the first patient with a state or output that is not finite.
    BuildError
        Where no library can be compiled.
    """
    grid, times = checked_grid(grid_h), np.asarray(times_h, float)
    check_times(times, grid)
    values = _parameters(equations, parameters, patient_count)
    kernel = compile_equations(equations, values, absent)
    start = _initial(equations, initial, patient_count)
    march = _March(kernel, values, grid, patient_count, by_step(jumps, grid), by_step(decisions, grid))

    def report(step: int) -> None:
        if on_progress is not None:
            on_progress((step + 1) / (len(grid) - 1))

    with np.errstate(all="ignore"):
        y = march.jump(start, 0)
        if is_compiled:
            found = _by_library(march, y, drive, times, outputs, report, is_checked=is_checked)
            if found is not None:
                return found
        record = _Record(kernel, outputs, times, grid, patient_count)
        for step in march.run(y, drive):
            record.keep(step, march)
            if (step + 1) % _STEPS_BETWEEN_REPORTS == 0:  # a pair ends with an odd step
                report(step)
        return Solution(times_h=times, values=record.finish(march.y, values, drive), steps=len(grid) - 1)


def _by_library(
    march: _March,
    y: Array,
    drive: Drive,
    times: Array,
    outputs: Sequence[str] | None,
    report: Callable[[int], None],
    *,
    is_checked: bool,
) -> Solution | None:
    """Return the solution by the compiled library; None where a number is not finite: NumPy finds out why."""
    grid, kernel = march.grid, march.kernel
    record = _Record(kernel, outputs, times, grid, march.count)
    native = Native(kernel, march.parameters, y, len(times), record.asked, is_checked=is_checked)
    parted = as_parted(drive)
    native.set_linear(parted.linear())
    stops = sorted({0, *march.decisions, *march.jumps, len(grid) - 1})
    for first, last in pairwise(stops):
        if first in march.decisions:
            native.set_linear(parted.linear())
        native.advance(grid[first : last + 1], parted, record.within(first, last))
        if not np.isfinite(native.y).all():
            return None
        native.y[...] = march.jump(native.y, last)
        if native.y_coarse is not None:
            native.y_coarse[...] = march.jump(native.y_coarse, last, is_deciding=False)
        report(last - 1)
    # what holds at the very end, after any jump there, is the beginning of what would follow
    beyond = grid[-1] + np.array([0.0, 0.5, 1.0]) * _BEYOND_H
    native.advance(beyond, parted, times[native.done :])
    if not (np.isfinite(native.y).all() and np.isfinite(native.recorded).all()):
        return None
    values: dict[str, Any] = {name: native.recorded[at].T for at, name in enumerate(record.asked)}
    check = {name: Check(native.error[at], native.peak[at]) for at, name in enumerate(record.asked)}
    return Solution(
        times_h=times,
        values=values,
        steps=len(grid) - 1,
        check=check if is_checked else None,
        is_compiled=True,
    )


# --- what is asked for ---------------------------------------------------------------------------


def checked_grid(grid_h: Array) -> Array:
    """Return the times between which is stepped, or say what is wrong with them."""
    grid = np.asarray(grid_h, float)
    is_good = grid.ndim == 1 and len(grid) > 2 and np.isfinite(grid).all() and (np.diff(grid) > 0).all()
    if not is_good or len(grid) % 2 == 0:
        raise invalid(
            "grid_h",
            must="finite, ascending times in hours, an even number of steps between them",
            got=_short(grid),
        )
    return grid


def check_times(times: Array, grid: Array) -> None:
    """Raise for times asked for that are not within the grid, or not ascending."""
    is_good = times.ndim == 1 and np.isfinite(times).all() and (np.diff(times) >= 0).all()
    if is_good and (not len(times) or (times[0] >= grid[0] and times[-1] <= grid[-1])):
        return
    raise invalid(
        "times_h",
        must=f"finite, ascending and within the grid, {grid[0]:g} to {grid[-1]:g} h",
        got=_short(times),
    )


def _short(values: Array) -> str:
    return np.array2string(values, threshold=6, edgeitems=2, precision=6)


def _parameters(equations: Equations, parameters: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the declared parameters: tables and structural numbers as they are, others as arrays."""
    values: dict[str, Any] = {}
    for name in equations.parameters:
        if name not in parameters:
            raise unknown("parameter", name, parameters, cure="The equations declare it; give it a value.")
        value = parameters[name]
        if isinstance(value, Table2):
            values[name] = value
        elif name in equations.structural:
            values[name] = _number(name, value)
        else:
            values[name] = _per_patient(name, value, count)
    return values


def _number(name: str, value: Any) -> float:
    if np.ndim(value) != 0:
        raise invalid(name, must="one number for all patients (structural)", got=f"shape {np.shape(value)}")
    return float(value)


def _per_patient(name: str, value: Any, count: int) -> Array:
    """Return a copy of an array (P,), or of a number, ()."""
    array = np.array(value, float)
    if array.shape not in ((), (count,)):
        raise invalid(
            name, must=f"one number, or one for each of {count} patients", got=f"shape {array.shape}"
        )
    return array


def _initial(equations: Equations, initial: Mapping[str, Array], count: int) -> Array:
    """Return the states at the start, (n, P)."""
    missing = [name for name in equations.states if name not in initial]
    extra = [name for name in initial if name not in equations.states]
    if missing or extra:
        raise invalid(
            "initial", must="given for every state and nothing else", got=f"missing {missing}, extra {extra}"
        )
    y = np.empty((len(equations.states), count))
    for row, name in zip(y, equations.states, strict=True):
        row[:] = _per_patient(name, initial[name], count)
    return y


def by_step(happenings: Sequence[tuple[float, Any]], grid: Array) -> dict[int, list[Any]]:
    """Return {grid point: what happens there}; raise for a time between pairs of steps."""
    found: dict[int, list[Any]] = {}
    for time, one in happenings:
        at = int(np.argmin(np.abs(grid - time)))
        if abs(grid[at] - time) > CLOSEST_H or at % 2:
            raise invalid(
                "jumps",
                must="at grid points, an even number of steps from the start",
                got=f"{time!r} h",
                cure="Make it an event of the grid.",
            )
        found.setdefault(at, []).append(one)
    return found


def quintic(share: Array, middle: float) -> tuple[Array, Array]:
    """Return weights of a polynomial of degree five through values and slopes at 0, a middle and 1.

    Parameters
    ----------
    share : array (T,)
    middle : float
        Above 0, below 1.

    Returns
    -------
    of_changes : array (2, T)
        Of the value at the middle and at 1, less the value at 0.
    of_slopes : array (3, T)
    """
    s, m = share, middle
    a, b, c = (
        (s - m) * (s - 1.0) / m,
        s * (s - 1.0) / (m * (m - 1.0)),
        s * (s - m) / (1.0 - m),
    )  # Lagrange polynomials of the three points
    to_middle = (1.0 - 2.0 * (s - m) * (2.0 * m - 1.0) / (m * (m - 1.0))) * b * b
    to_end = (1.0 - 2.0 * (s - 1.0) * (2.0 - m) / (1.0 - m)) * c * c
    return np.stack([to_middle, to_end]), np.stack([s * a * a, (s - m) * b * b, (s - 1.0) * c * c])


# --- stepping --------------------------------------------------------------------------------------


class _March:
    """The state of all patients on its way over the grid, and the arrays that a step works in.

    ``points`` and ``slopes`` are states and rates at start, middle and end of the last two steps.
    """

    def __init__(
        self,
        kernel: Kernel,
        parameters: Values,
        grid: Array,
        count: int,
        jumps: Mapping[int, Sequence[Any]],
        decisions: Mapping[int, Sequence[Any]],
    ) -> None:
        self.kernel, self.parameters, self.grid, self.count = kernel, parameters, grid, count
        self.jumps, self.decisions = jumps, decisions
        self.y = np.zeros((len(kernel.equations.states), count))

    def _begin(self, start: Array) -> None:
        """Set the states at the start, and make what steps are worked out in."""
        kernel, parameters, count = self.kernel, self.parameters, self.count
        self.y[:] = start
        states = len(kernel.equations.states)
        stages = len(RODAS4.nodes)
        shape = (states, count)
        self.end, self.argument = np.zeros(shape), np.zeros(shape)
        self.rate, self.by_time, self.right = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.product = np.zeros(shape)
        self.k = np.zeros((stages, *shape))
        self.points, self.slopes = np.zeros((3, *shape)), np.zeros((3, *shape))
        self.factors = np.zeros((len(kernel.prepare.program.outputs) - 2 * states, count))
        self.diagonal = np.zeros(())
        needed = max(c.scratch_count for c in (kernel.rates, kernel.prepare, kernel.solve))
        self.scratch = list(np.zeros((needed, count)))
        self.hoisted_rates = hoist(kernel.rates, parameters)
        self.hoisted_prepare = hoist(kernel.prepare, parameters)
        self.rows_prepared = [*self.rate, *self.by_time, *self.factors]
        self.rows_of_argument, self.rows_of_rate = list(self.argument), list(self.rate)
        self.rows_to_solve = [*self.factors, *self.right]
        self.rows_of_k = [list(k) for k in self.k]
        self.drives: list[Array] = []

    def run(self, start: Array, drive: Drive) -> Iterator[int]:
        """Yield after each pair of steps; ``y`` holds the last state at last."""
        self._begin(start)
        for first, last in _blocks(len(self.grid) - 1, self.count, self.decisions):
            at_stages, at_starts = self._drive(drive, first, last)
            for step in range(first, last):
                time, place = (step - first) * len(STAGE_TIMES), step % 2
                stages = [at_stages(time + at) for at in _TIME_OF_STAGE]
                self.points[place] = self.y
                self._step(step, at_starts(step - first), stages)
                if not np.isfinite(self.end).all():
                    self._blame(step, time)
                if place:
                    self.points[2], self.at_end = self.end, stages[-1]
                    yield step
                self.y[:] = self.jump(self.end, step + 1) if place else self.end

    def jump(self, y: Array, at: int, *, is_deciding: bool = True) -> Array:
        """Return the states after what happens at a grid point."""
        names, time_h = self.kernel.equations.states, float(self.grid[at])
        for decide in self.decisions.get(at, []) if is_deciding else []:
            decide(Declared("state", dict(zip(names, y, strict=True))))
        for jump in self.jumps.get(at, []):
            before = Declared("state", dict(zip(names, y, strict=True)))
            after = dict(jump(NUMPY, before, self.parameters))
            y = y.copy()
            for name, value in after.items():
                if name not in names:
                    raise unknown("state", name, names, cure="A jump may set states only.")
                y[names.index(name)] = value
                _check_finite(y[names.index(name)], time_h, name, "the new value of a jump")
        return y

    def _drive(self, drive: Drive, first: int, last: int) -> Any:
        """Return what drives decide at each stage time and at each start of a block of steps."""
        times, is_left = stage_times(self.grid[first : last + 1])
        values, slopes = drive_values(drive, self.kernel.equations.drives, times, is_left, self.count)
        starts = slice(None, None, len(STAGE_TIMES))
        self.drives = values
        stages = self.kernel.rates.along(self.hoisted_rates, values)
        begun = self.kernel.prepare.along(
            self.hoisted_prepare, [value[starts] for value in (*values, *slopes)]
        )
        return (lambda at: [array[at] for array in stages]), (lambda at: [array[at] for array in begun])

    def _step(self, step: int, begun: list[Any], stages: Sequence[list[Any]]) -> None:
        """Take one step from ``y`` to ``end``."""
        h = float(self.grid[step + 1] - self.grid[step])
        self.diagonal[()] = 1.0 / (h * RODAS4.gamma)
        kernel, scratch = self.kernel, self.scratch
        kernel.prepare.at(self.hoisted_prepare, begun, [*self.y, self.diagonal], self.rows_prepared, scratch)
        self.slopes[step % 2] = self.rate
        for stage, along in enumerate(stages):
            if stage:
                self._set_argument(stage)
                kernel.rates.at(self.hoisted_rates, along, self.rows_of_argument, self.rows_of_rate, scratch)
            self._set_right(stage, h)
            kernel.solve.at([], [], self.rows_to_solve, self.rows_of_k[stage], scratch)
        np.add(self.argument, self.k[-1], out=self.end)

    def _set_argument(self, stage: int) -> None:
        weights = RODAS4.arguments[stage]
        if weights[:-1] == RODAS4.arguments[stage - 1] and weights[-1] == 1.0:
            np.add(self.argument, self.k[stage - 1], out=self.argument)
        else:
            self._add_up(self.y, weights, self.argument)

    def _set_right(self, stage: int, h: float) -> None:
        self._add_up(self.rate, [weight / h for weight in RODAS4.corrections[stage]], self.right)
        if RODAS4.time_weights[stage]:
            np.multiply(self.by_time, h * RODAS4.time_weights[stage], out=self.product)
            np.add(self.right, self.product, out=self.right)

    def _add_up(self, first: Array, weights: Sequence[float], out: Array) -> None:
        """Write first + sum of weight x k."""
        base = first
        for weight, k in zip(weights, self.k, strict=False):
            np.multiply(k, weight, out=self.product)
            np.add(base, self.product, out=out)
            base = out
        if base is first:
            np.copyto(out, first)

    def within(self, step: int, times: Array) -> Array:
        """Return the states at some times within the pair of steps that ends with one, (times, n, P)."""
        rows, out = list(self.points[2]), list(self.slopes[2])
        self.kernel.rates.at(self.hoisted_rates, self.at_end, rows, out, self.scratch)
        start, middle, end = self.grid[step - 1 : step + 2]
        length = end - start
        of_points, of_slopes = quintic((times - start) / length, (middle - start) / length)
        parts = [*(point - self.points[0] for point in self.points[1:]), *(length * self.slopes)]
        found = np.repeat(self.points[:1], len(times), axis=0)
        for weights, part in zip((*of_points, *of_slopes), parts, strict=True):
            found += weights[:, None, None] * part
        return found

    def _blame(self, step: int, time: int) -> NoReturn:
        """Raise for the first patient of a step that is not finite, naming the state and the term."""
        patient = int(np.flatnonzero(~np.isfinite(self.end).all(axis=0))[0])
        names, program = self.kernel.equations.states, self.kernel.rates.program
        chosen = slice(patient, patient + 1)
        state = names[int(np.flatnonzero(~np.isfinite(self.end[:, patient]))[0])]
        term = "the linear solve of the step"
        for stage, weights in enumerate(RODAS4.arguments):
            y = self.y[:, chosen].copy()
            for weight, k in zip(weights, self.k, strict=False):
                y += weight * k[:, chosen]
            at = time + _TIME_OF_STAGE[stage]
            found = _first_infinite(program, self._inputs(y, at, patient), names)
            if found:
                state, term = found
                break
        raise SolveFailedError(patient=patient, time_h=float(self.grid[step]), state=state, term=term)

    def _inputs(self, y: Array, at: int, patient: int) -> dict[str, Any]:
        equations = self.kernel.equations
        inputs: dict[str, Any] = {f"state.{name}": row for name, row in zip(equations.states, y, strict=True)}
        for name, value in zip(equations.drives, self.drives, strict=True):
            inputs[f"drive.{name}"] = np.broadcast_to(value[at], self.count)[patient]
        for name, value in self.parameters.items():
            if not isinstance(value, (Table2, float)):
                inputs[f"parameter.{name}"] = np.broadcast_to(value, self.count)[patient]
        return inputs


def _blocks(steps: int, count: int, breaks: Collection[int]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of steps whose drives are evaluated at once; none reaches over a break."""
    size = 2 * min(max(_NUMBERS_PER_BLOCK // (2 * len(STAGE_TIMES) * count), 1), _PAIRS_PER_BLOCK)
    for begin, end in pairwise(sorted({0, *(at for at in breaks if 0 < at < steps), steps})):
        for first in range(begin, end, size):
            yield first, min(first + size, end)


def stage_times(grid: Array) -> tuple[Array, Flags]:
    """Return all stage times of some steps in order, and where the limit from the left is meant.

    The first and the last of a step lie just inside it, on the right side of what happens at its ends.
    """
    start, length = grid[:-1, None], np.diff(grid)[:, None]
    times = start + length * np.asarray(STAGE_TIMES)
    times[:, 0] = grid[:-1] + INSIDE_H
    times[:, -1] = grid[1:] - INSIDE_H
    is_left = np.zeros(times.shape, dtype=bool)
    is_left[:, -1] = True
    return times.reshape(-1), is_left.reshape(-1)


def _check_finite(values: Array, time_h: float, name: str, term: str) -> None:
    if not np.isfinite(values).all():
        patient = int(np.flatnonzero(~np.isfinite(np.atleast_1d(values)))[0])
        raise SolveFailedError(patient=patient, time_h=time_h, state=name, term=term)


def _first_infinite(
    program: Program, inputs: Mapping[str, Any], states: Sequence[str]
) -> tuple[str, str] | None:
    """Return the first state whose rate is not finite, and the first term that its rate is made of so."""
    values = evaluate(program, inputs)
    for state in states:
        result = program.outputs[f"rate.{state}"]
        if not np.isfinite(values[result]).all():
            return state, _first_term(program, values, result)
    return None


def _first_term(program: Program, values: Mapping[str, Any], result: str) -> str:
    nodes = {node.name: node for node in program.nodes}
    name = result
    while name in nodes:
        bad = [
            argument
            for argument in nodes[name].args
            if argument not in program.tables and not np.isfinite(values[argument]).all()
        ]
        if not bad:
            break
        name = bad[0]
    return expression(program, name)


# --- recording -------------------------------------------------------------------------------------


class _Record:
    """The states at the times asked for, and what is made of them at the end."""

    def __init__(
        self, kernel: Kernel, asked: Sequence[str] | None, times: Array, grid: Array, count: int
    ) -> None:
        names, outputs = kernel.equations.states, kernel.outputs.outputs
        self.asked = tuple(dict.fromkeys((*names, *outputs) if asked is None else asked))
        for name in self.asked:
            if name not in names and name not in outputs:
                raise unknown("output", name, (*names, *outputs))
        observed = tuple(name for name in self.asked if name in outputs)
        self.observer = compile_outputs(kernel.outputs, observed)
        read = {name for node in self.observer.program.nodes for name in node.args}
        read.update(self.observer.program.outputs.values())
        self.kept = [at for at, name in enumerate(names) if name in self.asked or f"state.{name}" in read]
        self.equations, self.times, self.count, self.steps = kernel.equations, times, count, len(grid) - 1
        self.grid = grid
        self.step_of_time = np.searchsorted(grid, times, side="right") - 1
        self.states = np.zeros((len(self.kept), len(times), count))

    def keep(self, step: int, march: _March) -> None:
        """Keep what was asked for within a pair of steps, its end left out."""
        first, last = np.searchsorted(self.step_of_time, [step - 1, step + 1])
        if last > first:
            found = march.within(step, self.times[first:last])
            self.states[:, first:last] = found[:, self.kept].transpose(1, 0, 2)

    def within(self, first: int, last: int) -> Array:
        """Return the times within some steps, their end left out."""
        return self.times[slice(*np.searchsorted(self.step_of_time, [first, last]))]

    def finish(self, last: Array, parameters: Values, drive: Drive) -> dict[str, Array]:
        """Return everything asked for, each (P, T)."""
        self.states[:, self.step_of_time == self.steps] = last[self.kept, None]
        values = self._observe(parameters, drive)
        for name, value in values.items():
            _check_all(value, self.times, name)
        for at, row in zip(self.kept, self.states, strict=True):
            values[self.equations.states[at]] = np.ascontiguousarray(row.T)
        return {name: values[name] for name in self.asked}

    def _observe(self, parameters: Values, drive: Drive) -> dict[str, Array]:
        """Return the outputs asked for, a block of times after the other."""
        observer, names = self.observer, self.equations.drives
        values = {name: np.zeros((self.count, len(self.times))) for name in observer.program.outputs}
        if not values:
            return values
        hoisted = hoist(observer, parameters)
        rows = [np.zeros(1)] * len(observer.program.inputs_of(Level.STATE))
        size = max(_NUMBERS_PER_BLOCK // self.count, 1)
        for first in range(0, len(self.times), size):
            block = slice(first, first + size)
            times = self.times[block]
            drives, _ = drive_values(drive, names, times, np.zeros(len(times), dtype=bool), self.count)
            for at, row in zip(self.kept, self.states, strict=True):
                rows[at] = row[block]
            results = np.zeros((len(values), len(times), self.count))
            scratch = list(np.zeros((observer.scratch_count, len(times), self.count)))
            observer.at(hoisted, observer.along(hoisted, drives), rows, list(results), scratch)
            for name, result in zip(values, results, strict=True):
                values[name][:, block] = result.T
        return values


def _check_all(values: Array, times: Array, name: str) -> None:
    """Raise for the first patient and time at which an output is not finite."""
    if not np.isfinite(values).all():
        patient, at = (int(place[0]) for place in np.nonzero(~np.isfinite(values)))
        raise SolveFailedError(
            patient=patient, time_h=float(times[at]), state=name, term=f"the output {name}"
        )
