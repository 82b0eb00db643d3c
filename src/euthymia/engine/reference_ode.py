"""SciPy on the same equations, one patient at a time: slow, adaptive, and independent of the tracer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from euthymia.engine.equations import Array, Drive, Equations, Jump
from euthymia.engine.maths import NUMPY
from euthymia.engine.table import Table2
from euthymia.engine.trace import Declared
from euthymia.errors import RunFailedError, invalid

_METHODS = ("LSODA", "Radau")
"""The second is tried where the first gives up."""
_MOST_EVALUATIONS = 200_000
"""Of the rates, per method and segment: LSODA may go on for ever where a solution escapes."""


def integrate_by_scipy(
    equations: Equations,
    parameters: Mapping[str, Any],
    initial: Mapping[str, Array],
    drive: Drive,
    times_h: Array,
    *,
    segments_h: Iterable[float],
    jumps: Sequence[Jump] = (),
    patient: int,
    rtol: float = 1e-10,
    atol: float = 1e-12,
) -> dict[str, Array]:
    """Return all states and outputs of one patient, each (T,), restarting at every segment.

    Parameters
    ----------
    times_h : array (T,)
        Ascending, from the first segment on; at a segment the value after any jump.
    segments_h : iterable of float
        Start, every time at which a drive jumps or bends, and the end; times of jumps are added.

    Raises
    ------
    RunFailedError
        With patient, time and the solver's words.
    """
    system = _OnePatient(equations, parameters, drive, patient)
    times = np.asarray(times_h, float)
    stops = sorted({float(stop) for stop in segments_h} | {float(time) for time, _ in jumps})
    if len(stops) < 2 or (len(times) and (times[0] < stops[0] or times[-1] > stops[-1])):
        raise invalid("segments_h", must="at least two times that enclose 'times_h'", got=stops)
    y = np.array([_one(initial[name], patient) for name in equations.states])
    y = system.jump(y, stops[0], jumps)
    states = np.empty((len(y), len(times)))
    for start, end in pairwise(stops):
        inside = (times >= start) & (times < end)
        states[:, inside], y = _solve(system, y, start, end, times[inside], rtol, atol)
        y = system.jump(y, end, jumps)
    states[:, times == stops[-1]] = y[:, None]
    observed = [system.observe(time, state) for time, state in zip(times, states.T, strict=True)]
    values = dict(zip(equations.states, states, strict=True))
    names = observed[0] if observed else ()
    return values | {name: np.array([float(one[name]) for one in observed]) for name in names}


class _OnePatient:
    """The equations with one patient's numbers, over plain arithmetic."""

    def __init__(
        self, equations: Equations, parameters: Mapping[str, Any], drive: Drive, patient: int
    ) -> None:
        self.equations, self.drive, self.patient = equations, drive, patient
        own = {name: _one(parameters[name], patient) for name in equations.parameters}
        self.parameters = Declared("parameter", own)

    def rates(self, time: float, y: Array, *, is_left: bool) -> Array:
        """Return dy/dt per hour, (n,)."""
        state = Declared("state", dict(zip(self.equations.states, y, strict=True)))
        found = self.equations.rates(NUMPY, state, self._drive(time, is_left=is_left), self.parameters)
        return np.array([float(found[name]) for name in self.equations.states])

    def observe(self, time: float, y: Array) -> Mapping[str, Any]:
        """Return the outputs at a time."""
        state = Declared("state", dict(zip(self.equations.states, y, strict=True)))
        return self.equations.outputs(NUMPY, state, self._drive(time, is_left=False), self.parameters)

    def jump(self, y: Array, time: float, jumps: Sequence[Jump]) -> Array:
        """Return the states after the jumps at a time."""
        for at, jump in jumps:
            if at == time:
                state = dict(zip(self.equations.states, y, strict=True))
                after = {**state, **jump(NUMPY, Declared("state", state), self.parameters)}
                y = np.array([float(after[name]) for name in self.equations.states])
        return y

    def _drive(self, time: float, *, is_left: bool) -> Declared:
        if not self.equations.drives:
            return Declared("drive", {})
        values, _ = self.drive(np.array([time]), is_left=np.array([is_left]))
        return Declared("drive", {name: _one(values[name], self.patient) for name in self.equations.drives})


class _GaveUp(Exception):
    """Why a method cannot go on."""


class _Rates:
    """The rates of one segment, as SciPy calls them; counts the calls."""

    def __init__(self, system: _OnePatient, end: float) -> None:
        self.system, self.end, self.left = system, end, _MOST_EVALUATIONS

    def __call__(self, time: float, state: Array) -> Array:
        self.left -= 1
        rates = self.system.rates(min(time, self.end), state, is_left=time >= self.end)
        if self.left < 0 or not np.isfinite(rates).all():
            why = "too many evaluations" if self.left < 0 else "rates are not finite"
            message = f"{why} at {time:g} h"
            raise _GaveUp(message)
        return rates


def _solve(
    system: _OnePatient, y: Array, start: float, end: float, times: Array, rtol: float, atol: float
) -> tuple[Array, Array]:
    """Return the states at some times of a segment, (n, T), and at its end, (n,)."""
    from scipy.integrate import solve_ivp

    words = ""
    for method in _METHODS:
        try:
            solution = solve_ivp(
                _Rates(system, end),
                (start, end),
                y,
                method=method,
                t_eval=[*times, end],
                rtol=rtol,
                atol=atol,
            )
        except _GaveUp as reason:
            words += f" {method}: {reason}."
            continue
        if solution.success and np.isfinite(solution.y).all():
            return solution.y[:, :-1], solution.y[:, -1]
        words += f" {method}: {solution.message}"
    message = f"SciPy failed for patient {system.patient} between {start:g} and {end:g} h.{words}"
    raise RunFailedError(message)


def _one(value: Any, patient: int) -> Any:
    """Return one patient's number of something that may be shared, (P,), (P, 1), (1,) or plain."""
    if isinstance(value, Table2):
        return value
    array = np.asarray(value, float)
    if array.ndim == 2:
        return float(array[patient if array.shape[0] > 1 else 0, 0])
    return float(array[patient if array.size > 1 else 0] if array.ndim else array)
