"""A recorded straight-line program: plain data that emitters print and tests can evaluate.

Every value is assigned once, from an operation on earlier values (:data:`euthymia.engine.maths.OPERATIONS`).
What a value depends on sets its level, and the level says how often it must be computed: once a run
(patients' parameters), once a time (drives), or once a stage of a step (states).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from euthymia.engine.maths import OPERATIONS
from euthymia.engine.table import Table2


class Level(IntEnum):
    """What a value depends on, at most."""

    CONSTANT = 0
    PARAMETER = 1
    DRIVE = 2
    STATE = 3


class Node(NamedTuple):
    """One assignment: name = op(args)."""

    name: str
    op: str
    args: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """Inputs, assignments in order, and which values are its results.

    Parameters
    ----------
    inputs : {name: Level}
        For example ``state.depth``. Order is the order of arrays handed over.
    nodes : tuple of Node
        Arguments are names of inputs, constants, tables or earlier nodes.
    outputs : {result: name}
    constants : {name: number}
    tables : {name: Table2}
    """

    inputs: Mapping[str, Level]
    nodes: tuple[Node, ...]
    outputs: Mapping[str, str]
    constants: Mapping[str, float]
    tables: Mapping[str, Table2]

    def inputs_of(self, level: Level) -> tuple[str, ...]:
        """Return the inputs of one level, in order."""
        return tuple(name for name, own in self.inputs.items() if own == level)

    def levels(self) -> dict[str, Level]:
        """Return the level of every value."""
        known = {name: Level.CONSTANT for name in (*self.constants, *self.tables)} | dict(self.inputs)
        for node in self.nodes:
            known[node.name] = max(known[argument] for argument in node.args)
        return known

    def surviving(self, level: Level) -> tuple[str, ...]:
        """Return the values up to a level, inputs included, that later levels or the results read."""
        levels = self.levels()
        read = {name for node in self.nodes if levels[node.name] > level for name in node.args}
        wanted = read | set(self.outputs.values())
        names = [*self.inputs, *(node.name for node in self.nodes)]
        return tuple(name for name in names if levels[name] == level and name in wanted)


def reachable(nodes: Sequence[Node], wanted: Iterable[str]) -> tuple[Node, ...]:
    """Return the nodes that some values need, in order."""
    needed, kept = set(wanted), []
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.args)
            kept.append(node)
    return tuple(reversed(kept))


def evaluate(program: Program, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return every value of a program by name, computed node by node: slow, for tests and for blame."""
    values: dict[str, Any] = {**program.constants, **program.tables, **inputs}
    for node in program.nodes:
        values[node.name] = OPERATIONS[node.op](*(values[name] for name in node.args))
    return values


_SIGNS = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negative": "-{}",
    "less": "{} < {}",
    "less_equal": "{} <= {}",
}


def expression(program: Program, name: str, *, depth: int = 4) -> str:
    """Return a value as an expression of the inputs, cut off below some depth."""
    nodes = {node.name: node for node in program.nodes}

    def text(of: str, left: int, *, is_operand: bool) -> str:
        if of not in nodes:
            return f"{program.constants[of]:g}" if of in program.constants else of.split(".", 1)[-1]
        if left == 0:
            return "..."
        node = nodes[of]
        sign = _SIGNS.get(node.op)
        parts = [text(argument, left - 1, is_operand=bool(sign)) for argument in node.args]
        if sign is None:
            return f"{node.op}({', '.join(parts)})"
        return f"({sign.format(*parts)})" if is_operand else sign.format(*parts)

    return text(name, depth, is_operand=False)
