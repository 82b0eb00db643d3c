"""The equations as a compiled library, and the march over a grid that it makes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from threading import Lock
from typing import Any

import numpy as np

from euthymia.engine import build
from euthymia.engine.c_source import c_program
from euthymia.engine.equations import Array
from euthymia.engine.kernel import Kernel
from euthymia.engine.program import Level, Program
from euthymia.engine.rosenbrock import RODAS4
from euthymia.engine.table import Table2

STAGE_TIMES = tuple(sorted(set(RODAS4.nodes)))
_MARK = "/*PROGRAMS*/"


class _Given(ctypes.Structure):
    _fields_ = (("values", ctypes.c_void_p), ("by_time", ctypes.c_long), ("by_patient", ctypes.c_long))


class _Table(ctypes.Structure):
    _fields_ = (("coefficients", ctypes.c_void_p), ("width", ctypes.c_long))


class Native:
    """A compiled kernel with one batch's parameters."""

    def __init__(self, kernel: Kernel, parameters: Mapping[str, Any], count: int) -> None:
        self.kernel, self.count = kernel, count
        self.library, tables = library_of(kernel, build.lanes())
        self.held: list[Any] = []  # what the library points to
        self.of_rates = self._parameters(kernel.rates.program, parameters)
        self.of_prepare = self._parameters(kernel.prepare.program, parameters)
        self.tables = (_Table * max(len(tables), 1))()
        for place, table in enumerate(tables):
            self.tables[place] = _Table(self._pointer(table.coefficients), table.coefficients.shape[1])

    def _parameters(self, program: Program, parameters: Mapping[str, Any]) -> Any:
        names = [name.removeprefix("parameter.") for name in program.inputs_of(Level.PARAMETER)]
        given = (_Given * max(len(names), 1))()
        for place, name in enumerate(names):
            array = np.ascontiguousarray(parameters[name], float)  # a number becomes an array of one
            given[place] = _Given(self._pointer(array), 0, 0 if np.ndim(parameters[name]) == 0 else 1)
        return given

    def _pointer(self, array: Array) -> int:
        self.held.append(array)
        return array.ctypes.data

    def advance(
        self,
        grid_h: Array,
        drives: Sequence[Array],
        slopes: Sequence[Array],
        y: Array,
        steps: Sequence[int],
        shares: Sequence[float],
    ) -> Array:
        """Take the states over some steps, in place, and return those asked for on the way.

        Parameters
        ----------
        grid_h : array (S + 1,)
        drives, slopes : sequences of array (5 S, P) or (5 S, 1)
            At the stage times of each step.
        y : array (n, P)
            Contiguous.
        steps, shares : sequences (R,)
            Step, and how far through it (0 to below 1), ascending.

        Returns
        -------
        recorded : array (R, n, P)
        """
        recorded = np.empty((len(steps), *y.shape))
        at, share = np.asarray(steps, ctypes.c_long), np.asarray(shares, float)
        grid = np.ascontiguousarray(grid_h)
        self.library.advance(
            ctypes.c_long(self.count),
            ctypes.c_long(len(grid) - 1),
            grid.ctypes.data_as(ctypes.c_void_p),
            self.of_rates,
            self.of_prepare,
            _given(drives),
            _given(slopes),
            self.tables,
            y.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_long(len(at)),
            at.ctypes.data_as(ctypes.c_void_p),
            share.ctypes.data_as(ctypes.c_void_p),
            recorded.ctypes.data_as(ctypes.c_void_p),
        )
        return recorded


def _given(arrays: Sequence[Array]) -> Any:
    """Return where values by time and patient lie; one column is shared by all patients."""
    found = (_Given * max(len(arrays), 1))()
    for place, array in enumerate(arrays):
        columns = array.shape[1]
        found[place] = _Given(array.ctypes.data, columns, 0 if columns == 1 else 1)
    return found


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


def c_kernel(kernel: Kernel, width: int) -> tuple[str, tuple[Table2, ...]]:
    """Return the C source of a kernel, and its tables in the order in which it is handed them."""
    parts = {"rates": kernel.rates, "prepare": kernel.prepare, "solve": kernel.solve}
    programs = {name: part.program for name, part in parts.items()}
    tables: dict[str, Table2] = {}
    for program in programs.values():
        tables |= program.tables
    number = {name: place for place, name in enumerate(tables)}
    body = "\n".join(c_program(name, program, number) for name, program in programs.items())
    template = files("euthymia.engine").joinpath("march.c").read_text(encoding="utf-8")
    source = "\n".join(_constants(kernel, width)) + "\n" + template.replace(_MARK, body)
    return source, tuple(tables.values())


def _constants(kernel: Kernel, width: int) -> list[str]:
    """Return the sizes of a kernel and the coefficients of the method as lines of C."""
    states, stages = len(kernel.equations.states), len(RODAS4.nodes)
    numbers = [len(one.program.inputs_of(Level.PARAMETER)) for one in (kernel.rates, kernel.prepare)]
    sizes = {
        "LANES": width,
        "STATES": states,
        "STAGES": stages,
        "STAGE_TIMES": len(STAGE_TIMES),
        "DRIVES": len(kernel.equations.drives),
        "FACTORS": len(kernel.prepare.program.outputs) - 2 * states,
        "PARAMETERS_OF_RATES": numbers[0],
        "PARAMETERS_OF_PREPARE": numbers[1],
        "PARAMETERS": max(numbers),
    }
    return [
        *(f"#define {name} {size}" for name, size in sizes.items()),
        f"#define GAMMA {float(RODAS4.gamma).hex()}",
        _row("static const int TIME_OF_STAGE", [STAGE_TIMES.index(node) for node in RODAS4.nodes]),
        _row("static const double TIME_WEIGHT", [float(one).hex() for one in RODAS4.time_weights]),
        _matrix("ARGUMENT", RODAS4.arguments, stages),
        _matrix("CORRECTION", RODAS4.corrections, stages),
        _row("static const double DENSE_U", [float(one).hex() for one in RODAS4.dense[0]]),
        _row("static const double DENSE_V", [float(one).hex() for one in RODAS4.dense[1]]),
    ]


def _row(head: str, values: Sequence[Any]) -> str:
    return f"{head}[{len(values)}] = {{{', '.join(str(one) for one in values)}}};"


def _matrix(name: str, rows: Sequence[Sequence[float]], width: int) -> str:
    filled = [(*row, *(0.0,) * (width - len(row))) for row in rows]
    lines = ["{" + ", ".join(float(one).hex() for one in row) + "}" for row in filled]
    return f"static const double {name}[{len(rows)}][{width}] = {{{', '.join(lines)}}};"
