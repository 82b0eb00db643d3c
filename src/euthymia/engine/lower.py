"""The programs of a step made ready for a machine: one set of hoisted values, few divisions and logarithms.

The recorded programs are replayed into one graph, so that what several of them need is computed once, with
two rewritings that change a value by its rounding alone:

* ``a / b`` becomes ``a * (1 / b)``: a divisor that a patient's parameters decide is inverted once a run, and
  one that several terms share is inverted once;
* ``hill(u, K, n)`` becomes ``1 / (1 + exp(n (log K - log u)))``: terms with the same u share its logarithm;
  where n is 1 for everybody it becomes ``u / (u + K)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from euthymia.engine.jacobian import StepPrograms
from euthymia.engine.program import Level, Node, Program, reachable
from euthymia.engine.trace import Graph

SMALLEST = 1e-37
"""Below this a value counts as this where its logarithm is taken: near the end of single precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """Programs over one set of names, and which of their values are handed from level to level.

    Parameters
    ----------
    rates, prepare, outputs, solve : Program
        As in :class:`euthymia.engine.jacobian.StepPrograms`.
    once : tuple of Node
        What parameters alone decide, for all of them.
    along : tuple of Node
        What drives decide as well, for the rates: the same at every stage of one time.
    kept, passed : tuple of str
        What ``once`` leaves behind, inputs included, and what ``along`` does, without.
    levels : {name: Level}
    """

    rates: Program
    prepare: Program
    outputs: Program
    solve: Program
    once: tuple[Node, ...]
    along: tuple[Node, ...]
    kept: tuple[str, ...]
    passed: tuple[str, ...]
    levels: Mapping[str, Level]


def lower(programs: StepPrograms) -> Lowered:
    """Return the programs of a step in the form that is compiled."""
    graph = Graph()
    rates, prepare, outputs = (
        _Replay(graph).program(one) for one in (programs.rates, programs.prepare, programs.outputs)
    )
    solve = _Replay(Graph()).program(programs.solve)
    joint = (rates, prepare, outputs)
    levels: dict[str, Level] = {}
    for one in joint:
        levels |= one.levels()
    once = _of_level(graph, joint, levels, Level.PARAMETER)
    along = _of_level(graph, (rates,), levels, Level.DRIVE)
    return Lowered(
        rates=rates,
        prepare=prepare,
        outputs=outputs,
        solve=solve,
        once=once,
        along=along,
        kept=_read_later(joint, levels, Level.PARAMETER),
        passed=tuple(name for name in _read_later((rates,), levels, Level.DRIVE) if name not in rates.inputs),
        levels=levels,
    )


def _of_level(
    graph: Graph, programs: tuple[Program, ...], levels: Mapping[str, Level], level: Level
) -> tuple[Node, ...]:
    wanted = [name for one in programs for name in _read_later((one,), levels, level)]
    return tuple(node for node in reachable(graph.nodes, wanted) if levels[node.name] == level)


def _read_later(programs: tuple[Program, ...], levels: Mapping[str, Level], level: Level) -> tuple[str, ...]:
    """Return the values of a level, inputs included, that later levels or the results read."""
    return tuple(dict.fromkeys(name for one in programs for name in one.surviving(level)))


class _Replay:
    """Records a program anew in another graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.names: dict[str, str] = {}

    def program(self, program: Program) -> Program:
        """Return the program as recorded anew."""
        for name, level in program.inputs.items():
            self.names[name] = self.graph.input(name, level)
        for name, value in program.constants.items():
            self.names[name] = self.graph.constant(value)
        for name, table in program.tables.items():
            self.names[name] = self.graph.table(table)
        for node in program.nodes:
            self.names[node.name] = self.node(node)
        found = self.graph.program({name: self.names[value] for name, value in program.outputs.items()})
        return Program(
            inputs=dict(program.inputs),
            nodes=found.nodes,
            outputs=found.outputs,
            constants=found.constants,
            tables=found.tables,
        )

    def node(self, node: Node) -> str:
        """Return the name of one operation on the values recorded so far."""
        args = tuple(self.names[name] for name in node.args)
        if node.op == "divide":
            return self.graph.emit("multiply", args[0], self._inverse(args[1]))
        if node.op == "hill":
            return self._hill(*args)
        return self.graph.emit(node.op, *args)

    def _inverse(self, name: str) -> str:
        return self.graph.emit("divide", self.graph.constant(1.0), name)

    def _hill(self, u: str, half: str, exponent: str) -> str:
        emit, constant = self.graph.emit, self.graph.constant
        if self.graph.is_constant(exponent, 1.0):
            positive = emit("maximum", u, constant(0.0))
            return emit("multiply", positive, self._inverse(emit("add", positive, half)))
        log_u = emit("log", emit("maximum", u, constant(SMALLEST)))
        away = emit("multiply", exponent, emit("subtract", emit("log", half), log_u))
        found = self._inverse(emit("add", constant(1.0), emit("exp", away)))
        return emit("where", emit("less_equal", u, constant(0.0)), constant(0.0), found)
