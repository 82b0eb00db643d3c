"""Equations run on symbols: a straight-line program without repeats, constants folded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from euthymia.engine.maths import OPERATIONS
from euthymia.engine.program import Level, Node, Program, reachable
from euthymia.engine.table import Table2
from euthymia.errors import unknown

_HIGHEST_POWER = 16
_COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum"})


class Graph:
    """Collects assignments; the same operation on the same values is recorded once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.by_name: dict[str, Node] = {}
        self.inputs: dict[str, Level] = {}
        self.constants: dict[str, float] = {}
        self.tables: dict[str, Table2] = {}
        self._known: dict[Any, str] = {}

    def input(self, name: str, level: Level) -> str:
        """Declare an input and return its name."""
        self.inputs[name] = level
        return name

    def constant(self, value: float) -> str:
        """Return the name of a number."""
        key = ("constant", float(value).hex())
        if key not in self._known:
            self._known[key] = f"c{len(self.constants)}"
            self.constants[self._known[key]] = float(value)
        return self._known[key]

    def table(self, table: Table2) -> str:
        """Return the name of a table."""
        if table not in self._known:
            self._known[table] = f"t{len(self.tables)}"
            self.tables[self._known[table]] = table
        return self._known[table]

    def emit(self, op: str, *args: str) -> str:
        """Return the name of op(args): a new node, an old one, or what it simplifies to."""
        if op in _COMMUTATIVE:
            args = tuple(sorted(args))
        if all(name in self.constants for name in args):
            with np.errstate(all="ignore"):
                return self.constant(float(OPERATIONS[op](*(self.constants[name] for name in args))))
        simpler = _simplified(self, op, args)
        if simpler is not None:
            return simpler
        key = (op, args)
        if key not in self._known:
            node = Node(f"v{len(self.nodes)}", op, args)
            self.nodes.append(node)
            self.by_name[node.name] = node
            self._known[key] = node.name
        return self._known[key]

    def is_constant(self, name: str, value: float) -> bool:
        """Return whether a name stands for a given number."""
        return self.constants.get(name) == value

    def program(self, outputs: Mapping[str, str]) -> Program:
        """Return what some results need, as plain data."""
        nodes = reachable(self.nodes, outputs.values())
        read = {name for node in nodes for name in node.args} | set(outputs.values())
        return Program(
            inputs=dict(self.inputs),
            nodes=nodes,
            outputs=dict(outputs),
            constants={name: value for name, value in self.constants.items() if name in read},
            tables={name: value for name, value in self.tables.items() if name in read},
        )


def _simplified(graph: Graph, op: str, args: tuple[str, ...]) -> str | None:
    """Return what an operation with a 0, a 1 or a sign amounts to, or None."""
    rule = _RULES.get(op)
    return rule(graph, *args) if rule else None


def _negated(graph: Graph, name: str) -> str | None:
    """Return x where a name stands for -x."""
    node = graph.by_name.get(name)
    return node.args[0] if node and node.op == "negative" else None


def _add(graph: Graph, a: str, b: str) -> str | None:
    for one, other in ((a, b), (b, a)):
        if graph.is_constant(one, 0.0):
            return other
        positive = _negated(graph, one)
        if positive is not None:
            return graph.emit("subtract", other, positive)
    return None


def _subtract(graph: Graph, a: str, b: str) -> str | None:
    if graph.is_constant(b, 0.0):
        return a
    if graph.is_constant(a, 0.0):
        return graph.emit("negative", b)
    positive = _negated(graph, b)
    return graph.emit("add", a, positive) if positive is not None else None


def _multiply(graph: Graph, a: str, b: str) -> str | None:
    for one, other in ((a, b), (b, a)):
        if graph.is_constant(one, 0.0):
            return one
        if graph.is_constant(one, 1.0):
            return other
        if graph.is_constant(one, -1.0):
            return graph.emit("negative", other)
        positive = _negated(graph, one)
        if positive is not None:
            return graph.emit("negative", graph.emit("multiply", positive, other))
    return None


def _divide(graph: Graph, a: str, b: str) -> str | None:
    if graph.is_constant(b, 1.0) or graph.is_constant(a, 0.0):
        return a
    positive = _negated(graph, a)
    return graph.emit("negative", graph.emit("divide", positive, b)) if positive is not None else None


def _negative(graph: Graph, a: str) -> str | None:
    return _negated(graph, a)


def _where(graph: Graph, condition: str, a: str, b: str) -> str | None:
    if a == b:
        return a
    if condition in graph.constants:
        return a if graph.constants[condition] else b
    return None


def _hill(graph: Graph, u: str, half: str, exponent: str) -> str | None:
    del half, exponent
    return graph.constant(0.0) if graph.constants.get(u, 1.0) <= 0.0 else None


_RULES: dict[str, Any] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": _negative,
    "where": _where,
    "hill": _hill,
}


class Symbol:
    """A value of the program, as the equations see it."""

    __array_ufunc__ = None
    __hash__ = None  # pyright: ignore[reportAssignmentType]
    __slots__ = ("graph", "name")

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name

    def _of(self, op: str, a: Any, b: Any) -> Symbol:
        return Symbol(self.graph, self.graph.emit(op, lift(self.graph, a), lift(self.graph, b)))

    def __add__(self, other: Any) -> Symbol:
        return self._of("add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return self._of("add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return self._of("subtract", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return self._of("subtract", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return self._of("multiply", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return self._of("multiply", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return self._of("divide", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self._of("divide", other, self)

    def __neg__(self) -> Symbol:
        return Symbol(self.graph, self.graph.emit("negative", self.name))

    def __pos__(self) -> Symbol:
        return self

    def __pow__(self, exponent: Any) -> Symbol:
        is_whole = isinstance(exponent, (int, np.integer)) or (
            isinstance(exponent, float) and exponent.is_integer()
        )
        if not is_whole or not 1 <= exponent <= _HIGHEST_POWER:
            message = (
                f"A power must be a whole number from 1 to {_HIGHEST_POWER}: use m.hill, m.exp and m.log"
            )
            raise TypeError(message)
        result, square, left = None, self, int(exponent)
        while left:
            if left & 1:
                result = square if result is None else result * square
            left >>= 1
            square = square * square if left else square
        return self if result is None else result

    def __lt__(self, other: Any) -> Symbol:
        return self._of("less", self, other)

    def __gt__(self, other: Any) -> Symbol:
        return self._of("less", other, self)

    def __le__(self, other: Any) -> Symbol:
        return self._of("less_equal", self, other)

    def __ge__(self, other: Any) -> Symbol:
        return self._of("less_equal", other, self)

    def __eq__(self, other: object) -> Any:
        message = "Symbols are not compared with == or !=: use <= or >="
        raise TypeError(message)

    def __bool__(self) -> bool:
        message = "A symbol has no truth value: use m.where"
        raise TypeError(message)


def lift(graph: Graph, value: Any) -> str:
    """Return the name of a symbol, or of a plain number made a constant."""
    if isinstance(value, Symbol):
        return value.name
    if np.ndim(value) != 0:
        message = "Equations hold numbers and symbols, no arrays: name the array as a parameter"
        raise TypeError(message)
    return graph.constant(float(value))


class SymbolMaths:
    """The namespace of :class:`euthymia.engine.maths.NumpyMaths`, over symbols."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def _of(self, op: str, *values: Any) -> Symbol:
        return Symbol(self.graph, self.graph.emit(op, *(lift(self.graph, value) for value in values)))

    def exp(self, x: Any) -> Symbol:
        """Record e^x."""
        return self._of("exp", x)

    def log(self, x: Any) -> Symbol:
        """Record the natural logarithm."""
        return self._of("log", x)

    def sqrt(self, x: Any) -> Symbol:
        """Record the square root."""
        return self._of("sqrt", x)

    def tanh(self, x: Any) -> Symbol:
        """Record the hyperbolic tangent."""
        return self._of("tanh", x)

    def maximum(self, a: Any, b: Any) -> Symbol:
        """Record the larger of two."""
        return self._of("maximum", a, b)

    def minimum(self, a: Any, b: Any) -> Symbol:
        """Record the smaller of two."""
        return self._of("minimum", a, b)

    def where(self, condition: Any, a: Any, b: Any) -> Symbol:
        """Record a choice."""
        return self._of("where", condition, a, b)

    def hill(self, u: Any, K: Any, n: Any) -> Symbol:
        """Record u^n / (u^n + K^n)."""
        return self._of("hill", u, K, n)

    def table2(self, table: Table2, x: Any, y: Any) -> Symbol:
        """Record a look-up."""
        names = self.graph.table(table), lift(self.graph, x), lift(self.graph, y)
        return Symbol(self.graph, self.graph.emit("table2", *names))


class Declared(dict[str, Any]):
    """Values by declared name; reading another name says which exist."""

    def __init__(self, kind: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.kind = kind

    def __missing__(self, name: str) -> Any:
        raise unknown(self.kind, name, self, cure=f"Equations read what they declare as {self.kind}s.")


def symbols(graph: Graph, kind: str, names: Iterable[str], level: Level) -> Declared:
    """Return a symbol for each name, as inputs ``kind.name`` of the graph."""
    return Declared(kind, {name: Symbol(graph, graph.input(f"{kind}.{name}", level)) for name in names})
