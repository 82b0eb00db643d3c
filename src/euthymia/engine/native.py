"""The equations as a compiled library, and the march over a grid that it makes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.engine import build
from euthymia.engine.c_source import c_functions, parameter_names
from euthymia.engine.equations import Array, Knots, PartedDrive
from euthymia.engine.grid import CLOSEST_H, INSIDE_H
from euthymia.engine.jacobian import StepPrograms
from euthymia.engine.kernel import Kernel
from euthymia.engine.linear import Input, Responder, taken
from euthymia.engine.lower import lower
from euthymia.engine.modal import loses_digits, modes_of, nodes_reached, span_of, with_slopes
from euthymia.engine.rosenbrock import RODAS4
from euthymia.engine.table import Table2

_MARK = "/*PROGRAMS*/"
SLOPE = ".slope"
"""Ending of the output of a linear system that is the slope of the output before."""

NEAR_SHARE = 1e-3
"""How far into a step the slope of a sampled response is looked at once more, for its curvature."""

Pointer = ctypes.c_void_p
Long = ctypes.c_long


class _Given(ctypes.Structure):
    _fields_ = (("values", Pointer), ("by_row", Long), ("by_patient", Long))


class _Table(ctypes.Structure):
    _fields_ = (("coefficients", Pointer), ("width", Long))


class _Inflow(ctypes.Structure):
    _fields_ = (
        *((name, _Given) for name in ("amount", "start", "length")),
        *((name, ctypes.c_double) for name in ("opens", "closes")),
        *((name, ctypes.c_int) for name in ("first_mode", "last_mode", "is_shared", "is_bolus")),
    )


class _Linear(ctypes.Structure):
    _fields_ = (
        *((name, Long) for name in ("poles", "modes", "terms", "outputs", "inflows")),
        *((name, Pointer) for name in ("rate", "weight", "pole_of_mode", "power_of_mode")),
        *((name, Pointer) for name in ("mode_of_term", "drive_of_output", "first_term")),
        *((name, Pointer) for name in ("inflow", "amount")),
    )


class _Batch(ctypes.Structure):
    _fields_ = (
        *((name, Long) for name in ("patients", "steps", "linears", "knotted", "records")),
        *((name, Long) for name in ("all_records", "first_record", "wanted", "tables", "is_checked")),
        *(
            (name, Pointer)
            for name in ("grid", "parameters", "values", "slopes", "curves", "kinds", "linear")
        ),
        *((name, Pointer) for name in ("knots", "knot_drive", "knot_count", "knot_place", "knot_time")),
        *((name, Pointer) for name in ("table", "y", "y_coarse")),
        *((name, Pointer) for name in ("record_time", "wanted_value")),
        *((name, Pointer) for name in ("recorded", "error", "peak")),
    )


class Native:
    """A compiled kernel on its way over a grid with one batch of patients.

    Parameters
    ----------
    kernel : Kernel
    parameters : {name: array (P,), number or Table2}
    y : array (n, P)
        The states, carried from call to call.
    times : int
        Number of records in all.
    wanted : sequence of str
        States and outputs that are recorded.
    is_checked : bool
        Whether steps of twice the length are taken beside: ``error`` is the largest difference of what is
        wanted at the ends of pairs, ``peak`` its largest size, each (wanted, P).
    """

    def __init__(
        self,
        kernel: Kernel,
        parameters: Mapping[str, Any],
        y: Array,
        times: int,
        wanted: Sequence[str],
        *,
        is_checked: bool,
    ) -> None:
        self.kernel, self.count = kernel, y.shape[1]
        self.library, tables = library_of(kernel, build.lanes())
        self.y = np.array(y, order="C")
        self.y_coarse = self.y.copy() if is_checked else None
        self.recorded = np.zeros((len(wanted), times, self.count), np.float32)
        self.error = np.zeros((len(wanted), self.count), np.float32)
        self.peak = self.error.copy()
        self.done = 0
        self.batch = _Batch(patients=self.count, wanted=len(wanted), all_records=times, tables=len(tables))
        self.held: list[Any] = []
        values = (*kernel.equations.states, *kernel.outputs.outputs)
        self._set("wanted_value", np.array([values.index(name) for name in wanted], ctypes.c_int))
        self.batch.is_checked = int(is_checked)
        names = _names(kernel)
        self._set_given("parameters", [_row(parameters[name]) for name in names])
        coefficients = [np.ascontiguousarray(table.coefficients, np.float32) for table in tables]
        self.held += coefficients
        looked_up = (_Table * max(len(tables), 1))(
            *(_Table(one.ctypes.data, one.shape[1]) for one in coefficients)
        )
        self._hold("table", looked_up)
        self.amounts: list[Array] = []
        self.sampled: dict[int, tuple[Responder, NDArray[np.bool_]]] = {}

    def set_linear(self, responders: Sequence[Responder]) -> None:
        """Set the linear systems and what enters them; their modes go on where they are.

        The few patients whose modes lose too many digits are given values at the ends of steps instead.
        """
        before, self.sampled = dict(self.sampled), {}
        drives = list(self.kernel.equations.drives)
        found, absent = [], self.kernel.absent
        kinds = np.array([-1 if name in absent else 0 for name in drives] or [0], ctypes.c_int)
        for place, responder in enumerate(responders):
            outputs = [name for name in responder.outputs if name in drives and name not in absent]
            modes = modes_of(responder, outputs)
            for order in range(2):  # slopes, and the slopes of these
                modes = with_slopes(modes, range(order * len(outputs), (order + 1) * len(outputs)))
            lost = loses_digits(responder)
            if lost.any():
                modes.weights[:, lost] = 0.0
                kept = before.get(place)
                inputs = [taken(item, lost) for item in responder.inputs]
                some = responder.take(lost) if kept is None else kept[0].with_inputs(inputs)
                self.sampled[place] = some, lost
            if place == len(self.amounts):
                self.amounts.append(np.zeros((len(modes.modes), self.count)))
            reached, of_output = nodes_reached(modes), [output for output, _ in modes.terms]
            inflows = [
                self._inflow(one, reached[one.node]) for one in responder.inputs if one.node in reached
            ]
            kinds[[drives.index(name) for name in outputs]] = 1
            found.append(
                _Linear(
                    poles=len(modes.rates),
                    modes=len(modes.modes),
                    terms=len(modes.terms),
                    outputs=3 * len(outputs),
                    inflows=len(inflows),
                    rate=self._pointer(modes.rates),
                    weight=self._pointer(modes.weights),
                    pole_of_mode=self._pointer(_whole(mode.pole for mode in modes.modes)),
                    power_of_mode=self._pointer(_whole(mode.power for mode in modes.modes)),
                    mode_of_term=self._pointer(_whole(mode for _, mode in modes.terms)),
                    drive_of_output=self._pointer(_whole(drives.index(name) for name in outputs)),
                    first_term=self._pointer(_whole(np.searchsorted(of_output, range(3 * len(outputs) + 1)))),
                    inflow=ctypes.addressof(self._array(_Inflow, inflows)),
                    amount=self.amounts[place].ctypes.data,
                )
            )
        self._set("kinds", kinds)
        self._hold("linear", self._array(_Linear, found))
        self.batch.linears = len(found)

    def _inflow(self, item: Input, modes: slice) -> _Inflow:
        start, length = span_of(item)
        ends = start + length
        return _Inflow(
            amount=self._given(_row(item.amount)),
            start=self._given(_row(start)),
            length=self._given(_row(length)),
            opens=float(np.min(start)),
            closes=float(np.max(ends)),
            first_mode=modes.start,
            last_mode=modes.stop,
            is_shared=int(start.ndim == 0 and length.ndim == 0),
            is_bolus=int(not np.any(length > 0)),
        )

    def advance(
        self,
        grid_h: Array,
        drive: PartedDrive,
        times_h: Array,
    ) -> None:
        """Take the states over some steps, and record what was asked for on the way.

        Parameters
        ----------
        grid_h : array (S + 1,)
            An even number of steps.
        drive : PartedDrive
            But for its linear systems, which :meth:`set_linear` sets.
        times_h : array (R,)
            Of the next records: ascending, from the first grid point to before the last.
        """
        grid, before = np.ascontiguousarray(grid_h, float), len(self.held)
        times, is_left = _ends(grid)
        drives = self.kernel.equations.drives
        values, slopes = (dict(one) for one in drive.outside(times, is_left=is_left))
        curves: dict[str, Array] = {}
        for responder, lost in self.sampled.values():
            near = NEAR_SHARE * np.repeat(np.diff(grid), 2) * np.where(is_left, -1.0, 1.0)
            order = np.argsort(np.concatenate([times, times + near]), kind="stable")
            both = responder(np.concatenate([times, times + near])[order])
            found = {name: _unsorted(one, order) for name, one in both.items()}
            for name in (found.keys() & set(drives)) - self.kernel.absent:
                value, _ = np.split(found[name], 2, axis=1)
                slope, beside = np.split(found[name + SLOPE], 2, axis=1)
                values[name] = _scattered(np.maximum(value, 0.0), lost)
                slopes[name] = _scattered(slope, lost)
                curves[name] = _scattered((beside - slope) / near, lost)
        self._set("grid", grid)
        self._set_given("values", [_rows(values.get(name, 0.0), len(times)) for name in drives])
        self._set_given("slopes", [_rows(slopes.get(name, 0.0), len(times)) for name in drives])
        self._set_given("curves", [_rows(curves.get(name, 0.0), len(times)) for name in drives])
        known = drive.knots()
        self._set_given("knots", [np.ascontiguousarray(one.values.T) for one in known.values()])
        self._set("knot_drive", _whole(drives.index(name) for name in known))
        self._set("knot_count", np.array([len(one.times_h) for one in known.values()], int))
        places = [_places(one, grid) for one in known.values()]
        self._set("knot_place", np.concatenate([*places, np.zeros(0, int)]))
        self._set("knot_time", np.concatenate([*(one.times_h for one in known.values()), np.zeros(0)]))
        self._set("record_time", np.ascontiguousarray(times_h, float))
        one = self.batch
        one.steps, one.knotted = len(grid) - 1, len(known)
        one.records, one.first_record = len(times_h), self.done
        one.y, one.recorded = self.y.ctypes.data, self.recorded.ctypes.data
        one.error, one.peak = self.error.ctypes.data, self.peak.ctypes.data
        one.y_coarse = None if self.y_coarse is None else self.y_coarse.ctypes.data
        self.library.march(ctypes.byref(one))
        self.done += len(times_h)
        del self.held[before:]

    # --- handing arrays over ---

    def _pointer(self, array: Array | NDArray[np.intc]) -> int:
        self.held.append(array)
        return array.ctypes.data

    def _array(self, kind: Any, values: Sequence[Any]) -> Any:
        array = (kind * max(len(values), 1))(*values)
        self.held.append(array)
        return array

    def _hold(self, field: str, array: Any) -> None:
        self.held.append(array)
        setattr(self.batch, field, ctypes.addressof(array))

    def _set(self, field: str, array: Any) -> None:
        setattr(self.batch, field, self._pointer(array))

    def _given(self, array: Array) -> _Given:
        return _Given(self._pointer(array), array.shape[1], 0 if array.shape[1] == 1 else 1)

    def _set_given(self, field: str, arrays: Sequence[Array]) -> None:
        self._hold(field, self._array(_Given, [self._given(one) for one in arrays]))


def _whole(values: Any) -> NDArray[np.intc]:
    return np.fromiter(values, ctypes.c_int)


def _row(value: Any) -> Array:
    """Return one value for all, (1, 1), or one for each patient, (1, P)."""
    return np.ascontiguousarray(np.reshape(np.asarray(value, float), (1, -1)))


def _rows(value: Any, rows: int) -> Array:
    """Return values (P, T), (T,) or (P, 1) as (T, P) or (T, 1)."""
    array = np.atleast_2d(np.asarray(value, float))
    return np.ascontiguousarray(np.broadcast_to(array, (len(array), rows)).T)


def _ends(grid: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return start and end of each step in order, both just inside it."""
    times = np.stack([grid[:-1] + INSIDE_H, grid[1:] - INSIDE_H], axis=1)
    is_left = np.zeros(times.shape, dtype=bool)
    is_left[:, 1] = True
    return times.reshape(-1), is_left.reshape(-1)


def _unsorted(values: Array, order: NDArray[np.intp]) -> Array:
    found = np.empty_like(values)
    found[:, order] = values
    return found


def _scattered(some: Array, chosen: NDArray[np.bool_]) -> Array:
    """Return values of some patients as values of all, 0 for the others."""
    values = np.zeros((len(chosen), some.shape[1]))
    values[chosen] = some
    return values


def _places(knots: Knots, grid: Array) -> NDArray[np.int_]:
    """Return the knot before each step, (S,); it bends on grid points."""
    place = np.searchsorted(knots.times_h, grid[:-1] + INSIDE_H, side="right") - 1
    return np.clip(place, 0, len(knots.times_h) - 2)


_ONE_AT_A_TIME = Lock()


def library_of(kernel: Kernel, width: int) -> tuple[ctypes.CDLL, tuple[Table2, ...]]:
    """Return the library of a kernel and the tables it reads; a process builds each once.

    Raises
    ------
    BuildError
    """
    with _ONE_AT_A_TIME:
        return _library(kernel, width)


@lru_cache(maxsize=32)
def _library(kernel: Kernel, width: int) -> tuple[ctypes.CDLL, tuple[Table2, ...]]:
    source, tables = c_kernel(kernel, width)
    return build.load(source, width), tables


@lru_cache(maxsize=32)
def _lowered(kernel: Kernel) -> Any:
    return lower(
        StepPrograms(
            rates=kernel.rates.program,
            prepare=kernel.prepare.program,
            solve=kernel.solve.program,
            outputs=kernel.outputs,
        )
    )


def _names(kernel: Kernel) -> list[str]:
    """Return the parameters by name in the order in which they are handed over."""
    return [name.removeprefix("parameter.") for name in parameter_names(_lowered(kernel))]


def c_kernel(kernel: Kernel, width: int) -> tuple[str, tuple[Table2, ...]]:
    """Return the C source of a kernel, and its tables in the order in which it is handed them."""
    lowered = _lowered(kernel)
    tables: dict[str, Table2] = {}
    for program in (lowered.rates, lowered.prepare, lowered.outputs):
        tables |= program.tables
    body = c_functions(lowered, {name: place for place, name in enumerate(tables)})
    template = files("euthymia.engine").joinpath("march.c").read_text(encoding="utf-8")
    source = "\n".join(_constants(kernel, width)) + "\n" + template.replace(_MARK, body)
    return source, tuple(tables.values())


def _constants(kernel: Kernel, width: int) -> list[str]:
    """Return the sizes of a kernel and the coefficients of the method as lines of C."""
    states, stages, drives = len(kernel.equations.states), len(RODAS4.nodes), len(kernel.equations.drives)
    sizes = {
        "LANES": width,
        "STATES": states,
        "STAGES": stages,
        "DRIVES": drives,
        "FACTORS": len(kernel.prepare.program.outputs) - 2 * states,
        "PARAMETERS": len(_names(kernel)),
        "OUTPUTS": len(kernel.outputs.outputs),
        "CLOSEST_H": CLOSEST_H,
    }
    return [
        *(f"#define {name} {size}" for name, size in sizes.items()),
        f"#define GAMMA {float(RODAS4.gamma).hex()}",
        _row_of_c("static const float NODE", RODAS4.nodes),
        _row_of_c("static const float TIME_WEIGHT", RODAS4.time_weights),
        _matrix("ARGUMENT", RODAS4.arguments, stages),
        _matrix("CORRECTION", RODAS4.corrections, stages),
    ]


def _row_of_c(head: str, values: Sequence[float]) -> str:
    return f"{head}[{len(values)}] = {{{', '.join(float(one).hex() for one in values)}}};"


def _matrix(name: str, rows: Sequence[Sequence[float]], width: int) -> str:
    filled = [(*row, *(0.0,) * (width - len(row))) for row in rows]
    lines = ["{" + ", ".join(float(one).hex() for one in row) + "}" for row in filled]
    return f"static const float {name}[{len(rows)}][{width}] = {{{', '.join(lines)}}};"
