"""Equations compiled, and drives brought into the shape in which compiled programs read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from euthymia.engine.equations import Array, Drive, Equations, Flags
from euthymia.engine.jacobian import trace_step
from euthymia.engine.numpy_source import Compiled, compile_program
from euthymia.engine.program import Program, reachable
from euthymia.engine.table import Table2
from euthymia.errors import invalid, unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The compiled parts of a step, and the program of the outputs."""

    equations: Equations
    rates: Compiled
    prepare: Compiled
    solve: Compiled
    outputs: Program
    absent: frozenset[str] = frozenset()


def compile_equations(
    equations: Equations, parameters: Mapping[str, Any], absent: Collection[str] = ()
) -> Kernel:
    """Return the kernel of some equations; the same equations and constants are compiled once a process.

    Drives that are ``absent`` count as 0.
    """
    fixed = {
        name: value
        for name, value in parameters.items()
        if isinstance(value, Table2) or name in equations.structural
    }
    return _compiled(equations, tuple(fixed.items()), frozenset(absent))


@lru_cache(maxsize=32)
def _compiled(equations: Equations, fixed: tuple[tuple[str, Any], ...], absent: frozenset[str]) -> Kernel:
    programs = trace_step(equations, dict(fixed), absent)
    return Kernel(
        equations=equations,
        rates=compile_program(programs.rates),
        prepare=compile_program(programs.prepare),
        solve=compile_program(programs.solve),
        outputs=programs.outputs,
        absent=absent,
    )


@lru_cache(maxsize=64)
def compile_outputs(outputs: Program, names: tuple[str, ...]) -> Compiled:
    """Return what computes some of the outputs."""
    wanted = {name: outputs.outputs[name] for name in names}
    return compile_program(replace(outputs, outputs=wanted, nodes=reachable(outputs.nodes, wanted.values())))


def hoist(compiled: Compiled, parameters: Mapping[str, Any]) -> list[Any]:
    """Return what parameters alone decide."""
    names = [name for name in compiled.program.inputs if name.startswith("parameter.")]
    return compiled.once([parameters[name.removeprefix("parameter.")] for name in names])


def drive_values(drive: Drive, names: Sequence[str], times: Array, is_left: Flags, count: int) -> Any:
    """Return values and slopes of the drives in order, each (T, P) or (T, 1) and contiguous."""
    if not names:
        return [], []
    values, slopes = drive(times, is_left=is_left)
    return (
        [_by_time(kind, name, given, len(times), count) for name in names]
        for kind, given in (("drive", values), ("slope of a drive", slopes))
    )


def _by_time(kind: str, name: str, given: Mapping[str, Array], length: int, count: int) -> Array:
    if name not in given:
        raise unknown(kind, name, given, cure="The equations declare it; the drive must give it.")
    array = np.asarray(given[name], float)
    shape = np.broadcast_shapes(array.shape, (1, length))
    if shape not in ((1, length), (count, length)):
        raise invalid(
            name, must=f"({count}, {length}), ({length},) or ({count}, 1)", got=f"shape {array.shape}"
        )
    return np.ascontiguousarray(np.broadcast_to(array, shape).T)
