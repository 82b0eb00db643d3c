"""The same steps as :mod:`euthymia.engine.integrate`, by JAX: an oracle for values and for gradients.

RODAS4 over a fixed grid as one ``lax.scan``, the Jacobian by forward differentiation of the rates and a dense
solve; times within a pair of steps by the same polynomial. Nothing is recorded or generated: the equations
are called as they stand, so a fault of the tracer, of its derivatives or of its elimination shows as a
difference. Each new shape of grid, times, outputs or jumps is compiled anew, which takes seconds; the steps
then take little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from euthymia.engine.equations import (
    Array,
    Drive,
    Equations,
    Flags,
    Jump,
    SolveFailedError,
    Values,
)
from euthymia.engine.integrate import (
    Solution,
    by_step,
    check_times,
    checked_grid,
    quintic,
    stage_times,
)
from euthymia.engine.jax_maths import jax_maths, load_jax
from euthymia.engine.kernel import drive_values
from euthymia.engine.rosenbrock import RODAS4, STAGE_TIMES
from euthymia.engine.table import Table2
from euthymia.engine.trace import Declared
from euthymia.errors import invalid, unknown


class _Stages(NamedTuple):
    """The coefficients of the method as arrays: one row a stage, zeros where a stage does not come yet."""

    number: Any
    time: Any
    arguments: Array
    corrections: Array
    time_weights: Array


def _filled(rows: Sequence[Sequence[float]]) -> Array:
    table = np.zeros((len(rows), len(RODAS4.nodes)))
    for filled, row in zip(table, rows, strict=True):
        filled[: len(row)] = row
    return table


_STAGES = _Stages(
    np.arange(len(RODAS4.nodes)),
    np.array([STAGE_TIMES.index(node) for node in RODAS4.nodes]),
    _filled(RODAS4.arguments),
    _filled(RODAS4.corrections),
    np.asarray(RODAS4.time_weights),
)

Solve = Callable[[Mapping[str, Any], Mapping[str, Any], "Driven"], dict[str, Any]]
"""solve(parameters, initial, driven) -> {output: (P, T)}: pure, and differentiable by every number in it."""


class Driven(NamedTuple):
    """Drives by name where a march reads them; the last axis is P, or 1 where all patients share a drive.

    Parameters
    ----------
    values : {drive: array (S, 5, P)}
        At the stage times of each step, the first and the last just inside it.
    slopes : {drive: array (S, P)}
        Derivatives per hour at the first of them.
    at_times : {drive: array (T, P)}
        At the times asked for.
    """

    values: Mapping[str, Any]
    slopes: Mapping[str, Any]
    at_times: Mapping[str, Any]


def sample(
    drive: Drive, names: Sequence[str], *, grid_h: Array, times_h: Array, patient_count: int
) -> Driven:
    """Return a drive read off where a march over a grid needs it."""
    if not names:
        return Driven({}, {}, {})
    times, is_left = stage_times(np.asarray(grid_h, float))
    values, slopes = drive_values(drive, names, times, is_left, patient_count)
    asked = np.asarray(times_h, float)
    later = [np.zeros((0, 1)) for _ in names]
    if len(asked):
        later, _ = drive_values(drive, names, asked, np.zeros(len(asked), dtype=bool), patient_count)
    shape = (len(grid_h) - 1, len(STAGE_TIMES), -1)
    return Driven(
        values={name: one.reshape(shape) for name, one in zip(names, values, strict=True)},
        slopes={name: one.reshape(shape)[:, 0] for name, one in zip(names, slopes, strict=True)},
        at_times=dict(zip(names, later, strict=True)),
    )


def integrate_by_jax(
    equations: Equations,
    parameters: Mapping[str, Any],
    initial: Mapping[str, Array],
    drive: Drive,
    *,
    grid_h: Array,
    times_h: Array,
    outputs: Sequence[str] | None,
    jumps: Sequence[Jump] = (),
    patient_count: int,
) -> Solution:
    """Return states and outputs of every patient; arguments as for ``engine.integrate.integrate``.

    A jump is called with JAX arrays while the march is compiled: it may change states and nothing else.

    Raises
    ------
    SolveFailedError
        For the first patient with a state or output that is not finite; JAX does not say at which term.
    """
    plan = _Plan.make(equations, grid_h, times_h, outputs, jumps)
    driven = sample(drive, equations.drives, grid_h=grid_h, times_h=times_h, patient_count=patient_count)
    solved, is_finite = _quick_march()(*plan.arguments(parameters, initial, driven, patient_count))
    _check_states(np.asarray(is_finite), equations, np.asarray(grid_h, float))
    found = {name: np.array(value) for name, value in solved.items()}
    times = np.asarray(times_h, float)
    check_finite(found, times)
    return Solution(times_h=times, values=found, steps=len(grid_h) - 1)


def _check_states(is_finite: Flags, equations: Equations, grid: Array) -> None:
    """Raise for the first patient whose states stop being finite numbers, (S + 1, n, P)."""
    if not is_finite.all():
        point = int(np.flatnonzero(~is_finite.all(axis=(1, 2)))[0])
        patient = int(np.flatnonzero(~is_finite[point].all(axis=0))[0])
        state = equations.states[int(np.flatnonzero(~is_finite[point, :, patient])[0])]
        time_h = float(grid[max(point - 1, 0)])
        raise SolveFailedError(patient=patient, time_h=time_h, state=state, term=_UNNAMED)


def check_finite(values: Mapping[str, Array], times_h: Array) -> None:
    """Raise for the first value (P, T) that is not finite: patient, time and name."""
    for name, value in values.items():
        if not np.isfinite(value).all():
            patient, at = (int(place[0]) for place in np.nonzero(~np.isfinite(value)))
            raise SolveFailedError(patient=patient, time_h=float(times_h[at]), state=name, term=_UNNAMED)


_UNNAMED = "that JAX does not name"


def jit_quickly(function: Callable[..., Any], static: Sequence[int] = ()) -> Callable[..., Any]:
    """Return a function compiled with little optimisation, which takes a quarter of the time.

    What it computes is the same but for the last bits. Not for use inside another ``jit``.
    """
    jax = load_jax()
    quick = jax.jit(function, static_argnums=tuple(static), compiler_options=_QUICK)
    plain = jax.jit(function, static_argnums=tuple(static))

    def call(*arguments: Any) -> Any:
        try:
            return quick(*arguments)
        except jax.errors.JaxRuntimeError as error:
            if "No such compile option" not in str(error):
                raise
            return plain(*arguments)  # options come and go with the versions of XLA

    return call


_QUICK = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}


def make_solver(
    equations: Equations,
    *,
    grid_h: Array,
    times_h: Array,
    outputs: Sequence[str] | None,
    jumps: Sequence[Jump] = (),
    patient_count: int,
) -> Solve:
    """Return the march over a grid as a pure function that ``jax.grad``, ``jvp`` and ``jit`` may be put to.

    Parameters
    ----------
    equations, grid_h, times_h, outputs, jumps, patient_count
        As for :func:`integrate_by_jax`. Jumps that are equal are compiled once.

    Returns
    -------
    solve : callable (parameters, initial, driven) -> {output: array (P, T)}
        ``parameters`` {name: array (P,), number, or Table2}, whose coefficients may be a JAX array;
        ``initial`` {state: array (P,) or number} at the first grid point, before a jump there;
        ``driven`` a :class:`Driven`. To get each patient's own derivative by a parameter, hand it over
        as (P,): that of one number shared by all is the sum over patients.
    """
    plan = _Plan.make(equations, grid_h, times_h, outputs, jumps)

    def solve(parameters: Mapping[str, Any], initial: Mapping[str, Any], driven: Driven) -> dict[str, Any]:
        found, _ = _march(*plan.arguments(parameters, initial, driven, patient_count))
        return found

    return solve


# --- what is asked for -----------------------------------------------------------------------------


class _Fixed(NamedTuple):
    """What a march is compiled for; ``is_within`` says whether a time lies within a pair of steps."""

    equations: Equations
    asked: tuple[str, ...] | None
    jumps: tuple[tuple[_Hashable, ...], ...]
    is_within: bool


class _Steps(NamedTuple):
    """Lengths (S,), and which of the jumps at one time follows each grid point, (S + 1,); 0 is none."""

    length_h: Array
    jump: Any


class _Reading(NamedTuple):
    """Where each time asked for lies: its pair of steps, or the grid's last point, and weights within it.

    Parameters
    ----------
    pair : array (T,)
    of_changes : array (2, T)
        Weights of the states at middle and end of the pair, less those at its start.
    of_slopes_h : array (3, T)
        Weights of the rates at start, middle and end, times the length of the pair.
    """

    pair: Any
    of_changes: Array
    of_slopes_h: Array

    @classmethod
    def make(cls, grid: Array, times: Array) -> _Reading:
        start, middle, end = grid[:-1:2], grid[1::2], grid[2::2]
        length = end - start
        pair = np.searchsorted(grid[::2], times, side="right") - 1
        of_changes, of_slopes_h = np.zeros((2, len(times))), np.zeros((3, len(times)))
        for at in np.unique(pair[times > grid[::2][pair]]):
            there = pair == at
            share, half = (times[there] - start[at]) / length[at], (middle[at] - start[at]) / length[at]
            of_changes[:, there], of_slopes = quintic(share, float(half))
            of_slopes_h[:, there] = length[at] * of_slopes
        return cls(pair, of_changes, of_slopes_h)


class _Plan(NamedTuple):
    """A march: what it is compiled for, and the arrays that it is run with."""

    fixed: _Fixed
    steps: _Steps
    reading: _Reading

    @classmethod
    def make(
        cls,
        equations: Equations,
        grid_h: Array,
        times_h: Array,
        outputs: Sequence[str] | None,
        jumps: Sequence[Jump],
    ) -> _Plan:
        grid, times = checked_grid(grid_h), np.asarray(times_h, float)
        check_times(times, grid)
        found = {at: tuple(map(_Hashable, there)) for at, there in by_step(jumps, grid).items()}
        kinds = list(dict.fromkeys(found.values()))
        which = np.zeros(len(grid), dtype=np.int32)
        for at, one in found.items():
            which[at] = 1 + kinds.index(one)
        reading = _Reading.make(grid, times)
        return cls(
            _Fixed(
                equations,
                None if outputs is None else tuple(dict.fromkeys(outputs)),
                tuple(kinds),
                bool(reading.of_changes.any()),
            ),
            _Steps(np.diff(grid), which),
            reading,
        )

    def arguments(
        self, parameters: Mapping[str, Any], initial: Mapping[str, Any], driven: Driven, count: int
    ) -> tuple[Any, ...]:
        """Return what the march is called with: patients' values as arrays, tables as coefficients."""
        numpy, equations = load_jax().numpy, self.fixed.equations
        values, tables = _split(equations, parameters, count)
        for name in initial:
            if name not in equations.states:
                raise unknown("state", name, equations.states, cure="The start is given for states only.")
        start = numpy.stack([_wide(initial, name, count) for name in equations.states])
        return self.fixed, values, tables, start, driven, self.steps, self.reading


class _Hashable:
    """A jump that equals another made of the same function and arguments, so that both are compiled once."""

    def __init__(self, jump: Any) -> None:
        self.jump = jump
        parts = (
            (jump.func, jump.args, tuple(sorted(jump.keywords.items())))
            if isinstance(jump, partial)
            else jump
        )
        try:
            hash(parts)
        except TypeError:
            parts = id(jump)
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashable) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)


def _split(
    equations: Equations, parameters: Mapping[str, Any], count: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return parameters as arrays, (P,) or (), and the coefficients of tables."""
    numpy = load_jax().numpy
    values, tables = {}, {}
    for name in equations.parameters:
        if name not in parameters:
            raise unknown("parameter", name, parameters, cure="The equations declare it; give it a value.")
        value = parameters[name]
        if isinstance(value, Table2):
            tables[name] = numpy.asarray(value.coefficients)
            continue
        values[name] = numpy.asarray(value, float)
        if values[name].shape not in ((), (count,)):
            raise invalid(
                name,
                must=f"one number, or one for each of {count} patients",
                got=f"shape {values[name].shape}",
            )
    return values, tables


def _wide(values: Mapping[str, Any], name: str, count: int) -> Any:
    if name not in values:
        raise unknown("state", name, values, cure="The equations declare it; give it a value at the start.")
    numpy = load_jax().numpy
    return numpy.broadcast_to(numpy.asarray(values[name], float), (count,))


# --- stepping --------------------------------------------------------------------------------------


@cache
def _quick_march() -> Any:
    """Return the compiled march; the same equations, jumps and shapes are compiled once a process."""
    return jit_quickly(_march, static=(0,))


def _march(
    fixed: _Fixed,
    parameters: Mapping[str, Any],
    tables: Mapping[str, Any],
    start: Any,
    driven: Driven,
    steps: _Steps,
    reading: _Reading,
) -> tuple[dict[str, Any], Any]:
    """Return what is asked for, each (P, T), and whether states are finite at grid points, (S + 1, n, P)."""
    driven, steps, reading = load_jax().tree.map(load_jax().numpy.asarray, (driven, steps, reading))
    own = {**parameters, **{name: Table2(coefficients) for name, coefficients in tables.items()}}
    return _March(fixed, own, start.shape[1]).run(start, driven, steps, reading)


class _March:
    """All patients side by side, as they are traced: every value is (P,), or (1,) or () where it is shared.

    No patient's number enters another's, so a derivative along a direction that moves one state of every
    patient holds each patient's own derivative by it.
    """

    def __init__(self, fixed: _Fixed, parameters: Values, count: int) -> None:
        self.jax, self.m, self.count = load_jax(), jax_maths(), count
        self.numpy = self.jax.numpy
        self.fixed, self.equations = fixed, fixed.equations
        self.parameters = Declared("parameter", parameters)

    def run(self, y: Any, driven: Driven, steps: _Steps, reading: _Reading) -> tuple[dict[str, Any], Any]:
        """Step the states (n, P) over the grid; see :func:`_march`."""
        numpy = self.numpy
        y = self.jump(steps.jump[0], y)
        along = (steps.length_h, driven.values, driven.slopes, steps.jump[1:])
        last, (starts, ends) = self.jax.lax.scan(self.step, y, along)
        at_points = numpy.concatenate([starts, last[None]])
        states = at_points[::2][reading.pair]
        if self.fixed.is_within:
            states = states + self.within(starts, ends, driven, reading)
        return self.observe(states.transpose(1, 0, 2), driven.at_times), numpy.isfinite(at_points)

    def within(self, starts: Any, ends: Any, driven: Driven, reading: _Reading) -> Any:
        """Return what states at the times asked for are beyond those at the start of the pair, (T, n, P)."""
        numpy = self.numpy
        points = numpy.stack([starts[::2], starts[1::2], ends[1::2]])
        drives = {
            name: numpy.stack([value[::2, 0], value[1::2, 0], value[1::2, -1]])
            for name, value in driven.values.items()
        }
        slopes = self.jax.vmap(self.jax.vmap(self.rates))(points, drives)
        pair = numpy.minimum(reading.pair, len(ends) // 2 - 1)  # at the last point all weights are 0
        return numpy.einsum(
            "kt,ktnp->tnp", reading.of_changes, (points[1:] - points[0])[:, pair]
        ) + numpy.einsum("kt,ktnp->tnp", reading.of_slopes_h, slopes[:, pair])

    def step(self, y: Any, given: Any) -> tuple[Any, Any]:
        """Return the states after a step and the jumps at its end, and those at its start and its end."""
        numpy = self.numpy
        h, values, slopes, jump = given
        jacobian, by_time = self.derivatives(y, {name: value[0] for name, value in values.items()}, slopes)
        solve = self.solver(numpy.eye(len(y)) / (h * RODAS4.gamma) - jacobian)

        def stage(k: Any, at: _Stages) -> tuple[Any, None]:
            drive = {name: value[at.time] for name, value in values.items()}
            rate = self.rates(y + numpy.tensordot(at.arguments, k, 1), drive)
            right = rate + h * at.time_weights * by_time + numpy.tensordot(at.corrections, k, 1) / h
            return k.at[at.number].set(solve(right)), None

        k, _ = self.jax.lax.scan(stage, numpy.zeros((len(RODAS4.nodes), *y.shape)), _STAGES)
        end = y + numpy.tensordot(_STAGES.arguments[-1], k, 1) + k[-1]
        return self.jump(jump, end), (y, end)

    def derivatives(self, y: Any, drive: Mapping[str, Any], slopes: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return df/dy, (P, n, n), and df/dt by way of the drives, (n, P), in one sweep."""
        jax, numpy = self.jax, self.numpy
        which = numpy.arange(len(y) + 1)
        by_y = (which[:, None] == numpy.arange(len(y)))[:, :, None] * numpy.ones(self.count)
        shapes = {name: numpy.broadcast_shapes(one.shape, slopes[name].shape) for name, one in drive.items()}
        drive = {name: numpy.broadcast_to(one, shapes[name]) for name, one in drive.items()}
        by_drive = {
            name: (which == len(y))[:, None] * numpy.broadcast_to(slopes[name], shape)
            for name, shape in shapes.items()
        }
        found = jax.vmap(lambda *way: jax.jvp(self.rates, (y, drive), way)[1])(by_y, by_drive)
        return found[:-1].transpose(2, 1, 0), found[-1]

    def solver(self, matrix: Any) -> Callable[[Any], Any]:
        """Return the solution (n, P) of matrix x = right; factors are found once, for derivatives too."""
        linalg, lax, numpy = self.jax.scipy.linalg, self.jax.lax, self.numpy
        factors = linalg.lu_factor(lax.stop_gradient(matrix))

        def solve(right: Any) -> Any:
            return lax.custom_linear_solve(
                lambda x: numpy.einsum("pij,jp->ip", matrix, x),
                right,
                lambda _, b: linalg.lu_solve(factors, b.T[..., None])[..., 0].T,
                lambda _, b: linalg.lu_solve(factors, b.T[..., None], trans=1)[..., 0].T,
            )

        return solve

    def rates(self, y: Any, drive: Mapping[str, Any]) -> Any:
        """Return dy/dt per hour, (n, P)."""
        found = self.equations.rates(self.m, self.named(y), Declared("drive", drive), self.parameters)
        numpy = self.numpy
        return numpy.stack([numpy.broadcast_to(found[name], (self.count,)) for name in self.equations.states])

    def observe(self, y: Any, drive: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is asked for, each (P, T), from states (n, T, P) and drives (T, P)."""
        state = self.named(y)
        found = self.equations.outputs(self.m, state, Declared("drive", drive), self.parameters)
        everything = {**state, **found}
        asked = everything if self.fixed.asked is None else self.fixed.asked
        for name in asked:
            if name not in everything:
                raise unknown("output", name, everything)
        return {name: self.numpy.broadcast_to(everything[name], y.shape[1:]).T for name in asked}

    def jump(self, which: Any, y: Any) -> Any:
        """Return the states after the jumps at a grid point."""
        if not self.fixed.jumps:
            return y
        kinds = [lambda y: y, *(partial(self.after, jumps) for jumps in self.fixed.jumps)]
        return self.jax.lax.switch(which, kinds, y)

    def after(self, jumps: Sequence[_Hashable], y: Any) -> Any:
        """Return the states after some jumps, in order."""
        for one in jumps:
            changed = one.jump(self.m, self.named(y), self.parameters)
            for name, value in changed.items():
                if name not in self.equations.states:
                    raise unknown("state", name, self.equations.states, cure="A jump may set states only.")
                y = y.at[self.equations.states.index(name)].set(value)
        return y

    def named(self, y: Any) -> Declared:
        """Return the states by name."""
        return Declared("state", {name: y[at] for at, name in enumerate(self.equations.states)})
