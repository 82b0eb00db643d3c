"""Sparse derivatives of a recorded program, and the programs of one implicit step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from euthymia.engine.equations import Equations
from euthymia.engine.program import Level, Node, Program, reachable
from euthymia.engine.trace import Declared, Graph, SymbolMaths, lift, symbols
from euthymia.errors import InvalidInputError, invalid

Tangent = dict[Any, str]
"""{with respect to: name of the derivative}; what is missing is zero."""


def differentiate(
    graph: Graph, values: Sequence[str], seeds: Mapping[str, Mapping[Any, str]]
) -> list[Tangent]:
    """Return the sparse derivatives of some values, recorded in the same graph (forward mode).

    Parameters
    ----------
    values : names in the graph
    seeds : {input: {with respect to: derivative}}
    """
    tangents: dict[str, Tangent] = {name: dict(seed) for name, seed in seeds.items()}
    for node in reachable(list(graph.nodes), values):
        own = _tangent(graph, node, tangents)
        if own:
            tangents[node.name] = own
    return [dict(tangents.get(name, {})) for name in values]


def _tangent(graph: Graph, node: Node, tangents: Mapping[str, Tangent]) -> Tangent:
    if not any(argument in tangents for argument in node.args):
        return {}
    if node.op in _CHOICES:
        return _choose(graph, node, tangents)
    total: Tangent = {}
    for argument, partial in zip(node.args, _PARTIALS.get(node.op, ()), strict=False):
        for by, inner in tangents.get(argument, {}).items():
            term = graph.emit("multiply", partial(graph, node), inner)
            total[by] = graph.emit("add", total[by], term) if by in total else term
    return {by: name for by, name in total.items() if not graph.is_constant(name, 0.0)}


def _choose(graph: Graph, node: Node, tangents: Mapping[str, Tangent]) -> Tangent:
    """Return the tangent of the value chosen; at a tie of max and min that of the first."""
    condition, first, second = _CHOICES[node.op](graph, node)
    one, other, zero = tangents.get(first, {}), tangents.get(second, {}), graph.constant(0.0)
    chosen = {
        by: graph.emit("where", condition, one.get(by, zero), other.get(by, zero)) for by in one | other
    }
    return {by: name for by, name in chosen.items() if not graph.is_constant(name, 0.0)}


def _compare(graph: Graph, node: Node, low: str, high: str) -> tuple[str, str, str]:
    return graph.emit("less_equal", low, high), node.args[0], node.args[1]


_CHOICES: dict[str, Callable[[Graph, Node], tuple[str, str, str]]] = {
    "where": lambda graph, node: (node.args[0], node.args[1], node.args[2]),
    "maximum": lambda graph, node: _compare(graph, node, node.args[1], node.args[0]),
    "minimum": lambda graph, node: _compare(graph, node, *node.args),
}

Partial = Callable[[Graph, Node], str]


def _one(graph: Graph, node: Node) -> str:
    return graph.constant(1.0)


def _minus_one(graph: Graph, node: Node) -> str:
    return graph.constant(-1.0)


def _argument(index: int) -> Partial:
    return lambda graph, node: node.args[index]


def _itself(graph: Graph, node: Node) -> str:
    return node.name


def _over_divisor(graph: Graph, node: Node) -> str:
    return graph.emit("divide", graph.constant(1.0), node.args[1])


def _quotient_over_divisor(graph: Graph, node: Node) -> str:
    return graph.emit("negative", graph.emit("multiply", node.name, _over_divisor(graph, node)))


def _reciprocal(graph: Graph, node: Node) -> str:
    return graph.emit("divide", graph.constant(1.0), node.args[0])


def _half_over_root(graph: Graph, node: Node) -> str:
    return graph.emit("divide", graph.constant(0.5), node.name)


def _one_less_square(graph: Graph, node: Node) -> str:
    return graph.emit("subtract", graph.constant(1.0), graph.emit("multiply", node.name, node.name))


def _hill_slope(graph: Graph, node: Node) -> str:
    """Record n h (1 - h) / u; at u = 0 what it tends to, 1/K for n = 1 and 0 above; 0 below."""
    (u, constant, exponent), h = node.args, node.name
    zero, one = graph.constant(0.0), graph.constant(1.0)
    rest = graph.emit("multiply", h, graph.emit("subtract", one, h))
    inside = graph.emit("divide", graph.emit("multiply", exponent, rest), u)
    is_linear = graph.emit("less_equal", exponent, one)
    start = graph.emit("where", is_linear, graph.emit("divide", one, constant), zero)
    at_zero = graph.emit("where", graph.emit("less", u, zero), zero, start)
    return graph.emit("where", graph.emit("less", zero, u), inside, at_zero)


def _hill_by_constant(graph: Graph, node: Node) -> str:
    """Record -(u / K) times the slope: Hill's function depends on u / K alone."""
    share = graph.emit("divide", node.args[0], node.args[1])
    return graph.emit("negative", graph.emit("multiply", share, _hill_slope(graph, node)))


def _hill_by_exponent(graph: Graph, node: Node) -> str:
    message = "The exponent of m.hill may not depend on states or drives: make it a parameter"
    raise InvalidInputError(message)


_PARTIALS: dict[str, tuple[Partial, ...]] = {
    "add": (_one, _one),
    "subtract": (_one, _minus_one),
    "multiply": (_argument(1), _argument(0)),
    "divide": (_over_divisor, _quotient_over_divisor),
    "negative": (_minus_one,),
    "exp": (_itself,),
    "log": (_reciprocal,),
    "sqrt": (_half_over_root,),
    "tanh": (_one_less_square,),
    "hill": (_hill_slope, _hill_by_constant, _hill_by_exponent),
    "table2": (
        _one,  # a table has no tangent
        lambda graph, node: graph.emit("table2_x", *node.args),
        lambda graph, node: graph.emit("table2_y", *node.args),
    ),
}


# --- sparse elimination ------------------------------------------------------------------------

Entry = tuple[int, int]


def elimination_order(pattern: set[Entry], size: int) -> list[int]:
    """Return an order of diagonal pivots that keeps a sparse matrix sparse.

    The next pivot has the smallest (entries in its row - 1) x (entries in its column - 1) of what is left;
    the first of equals.

    References
    ----------
    Markowitz, Management Science 3 (1957) 255-269.
    """
    rows = {i: {j for a, j in pattern if a == i and j != i} for i in range(size)}
    columns = {j: {i for i, b in pattern if b == j and i != j} for j in range(size)}
    order: list[int] = []
    while len(order) < size:
        left = [k for k in range(size) if k not in order]
        pivot = min(left, key=lambda k: (len(rows[k]) * len(columns[k]), k))
        order.append(pivot)
        for i in columns[pivot]:
            rows[i] = (rows[i] | rows[pivot]) - {i, pivot}
        for j in rows[pivot]:
            columns[j] = (columns[j] | columns[pivot]) - {j, pivot}
    return order


def factorise(graph: Graph, matrix: Mapping[Entry, str], order: Sequence[int]) -> dict[Entry, str]:
    """Record the factors of a sparse matrix without pivoting: L below, U above, 1 / U on the diagonal."""
    entries, place = dict(matrix), {index: at for at, index in enumerate(order)}
    one = graph.constant(1.0)
    for at, k in enumerate(order):
        entries[k, k] = graph.emit("divide", one, entries[k, k])
        row = [j for j in order[at + 1 :] if (k, j) in entries]
        for i in order[at + 1 :]:
            if (i, k) not in entries:
                continue
            factor = entries[i, k] = graph.emit("multiply", entries[i, k], entries[k, k])
            for j in row:
                product = graph.emit("multiply", factor, entries[k, j])
                old = entries.get((i, j))
                entries[i, j] = (
                    graph.emit("negative", product) if old is None else graph.emit("subtract", old, product)
                )
    return dict(sorted(entries.items(), key=lambda item: (place[item[0][0]], place[item[0][1]])))


def substitute(
    graph: Graph, factors: Mapping[Entry, str], right: Sequence[str], order: Sequence[int]
) -> list[str]:
    """Record the solution of (L U) x = right, in the order of the unknowns."""
    x = dict(enumerate(right))
    for at, i in enumerate(order):
        for j in order[:at]:
            if (i, j) in factors:
                x[i] = graph.emit("subtract", x[i], graph.emit("multiply", factors[i, j], x[j]))
    for at in reversed(range(len(order))):
        i = order[at]
        for j in order[at + 1 :]:
            if (i, j) in factors:
                x[i] = graph.emit("subtract", x[i], graph.emit("multiply", factors[i, j], x[j]))
        x[i] = graph.emit("multiply", x[i], factors[i, i])
    return [x[i] for i in range(len(order))]


# --- the programs of a step ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPrograms:
    """What one implicit step evaluates.

    Parameters
    ----------
    rates : Program
        Inputs ``state.*``, ``drive.*``, ``parameter.*``; results ``rate.*`` by state.
    prepare : Program
        At the start of a step, with the further inputs ``slope.*`` (derivatives of the drives per hour) and
        ``step.diagonal`` = 1 / (h gamma): results ``rate.*``, ``time.*`` (the rates' partial derivatives by
        time) and ``factor.i.j`` (the sparse factors of W = diagonal - J).
    solve : Program
        Inputs ``factor.i.j`` and ``right.*``; results ``solution.*``.
    outputs : Program
        Results by the names of the outputs.
    """

    rates: Program
    prepare: Program
    solve: Program
    outputs: Program


def trace_step(equations: Equations, fixed: Mapping[str, Any], absent: Collection[str] = ()) -> StepPrograms:
    """Record the programs of a step.

    Parameters
    ----------
    equations : Equations
    fixed : {name: value}
        Parameters that are written in as constants.
    absent : collection of str
        Drives that are 0 all the time: what they alone decide is left out.
    """
    prepare, entries, order = _prepare(equations, fixed, absent)
    graph, rates = _recorded(equations, fixed, absent)
    observed, outputs = _recorded(equations, fixed, absent, of_outputs=True)
    if set(outputs) & set(equations.states):
        names = ", ".join(sorted(set(outputs) & set(equations.states)))
        raise invalid("outputs", must="named otherwise than the states", got=names)
    return StepPrograms(
        rates=graph.program({f"rate.{name}": rates[name] for name in equations.states}),
        prepare=prepare,
        solve=_solve(equations.states, entries, order),
        outputs=observed.program(outputs),
    )


def jacobian_program(equations: Equations, fixed: Mapping[str, Any]) -> Program:
    """Return a program with results ``i.j`` = d rate of state i / d state or drive j, non-zero ones only."""
    graph, rates = _recorded(equations, fixed)
    one = graph.constant(1.0)
    seeds = {f"state.{name}": {name: one} for name in equations.states}
    seeds |= {f"drive.{name}": {name: one} for name in equations.drives}
    tangents = differentiate(graph, [rates[name] for name in equations.states], seeds)
    return graph.program(
        {
            f"{state}.{by}": name
            for state, tangent in zip(equations.states, tangents, strict=True)
            for by, name in tangent.items()
        }
    )


def _recorded(
    equations: Equations, fixed: Mapping[str, Any], absent: Collection[str] = (), *, of_outputs: bool = False
) -> tuple[Graph, dict[str, str]]:
    """Return a graph that holds the rates or the outputs, and their names in it."""
    graph = Graph()
    state = symbols(graph, "state", equations.states, Level.STATE)
    drive = symbols(graph, "drive", equations.drives, Level.DRIVE)
    drive.update(dict.fromkeys(absent, 0.0))
    free = [name for name in equations.parameters if name not in fixed]
    parameter = symbols(graph, "parameter", free, Level.PARAMETER)
    given = Declared("parameter", {**parameter, **fixed})
    function = equations.outputs if of_outputs else equations.rates
    results = function(SymbolMaths(graph), state, drive, given)
    if not of_outputs and set(results) != set(equations.states):
        raise invalid(
            "rates",
            must=f"given for every state and nothing else ({', '.join(equations.states)})",
            got=", ".join(sorted(results)),
        )
    return graph, {name: lift(graph, value) for name, value in results.items()}


def _prepare(
    equations: Equations, fixed: Mapping[str, Any], absent: Collection[str]
) -> tuple[Program, dict[Entry, str], list[int]]:
    graph, rates = _recorded(equations, fixed, absent)
    slopes = {name: graph.input(f"slope.{name}", Level.DRIVE) for name in equations.drives}
    diagonal = graph.input("step.diagonal", Level.STATE)
    one, zero = graph.constant(1.0), graph.constant(0.0)
    seeds: dict[str, Tangent] = {f"state.{name}": {at: one} for at, name in enumerate(equations.states)}
    seeds |= {f"drive.{name}": {"time": slope} for name, slope in slopes.items()}
    tangents = differentiate(graph, [rates[name] for name in equations.states], seeds)
    size = len(equations.states)
    matrix: dict[Entry, str] = {(i, i): diagonal for i in range(size)}
    for i, tangent in enumerate(tangents):
        for j, name in tangent.items():
            if j != "time":
                matrix[i, j] = graph.emit("subtract", diagonal if i == j else zero, name)
    order = elimination_order(set(matrix), size)
    factors = factorise(graph, matrix, order)
    results = {f"rate.{name}": rates[name] for name in equations.states}
    results |= {
        f"time.{name}": tangent.get("time", zero)
        for name, tangent in zip(equations.states, tangents, strict=True)
    }
    results |= {f"factor.{i}.{j}": name for (i, j), name in factors.items()}
    return graph.program(results), factors, order


def _solve(states: Sequence[str], entries: Mapping[Entry, str], order: Sequence[int]) -> Program:
    graph = Graph()
    factors = {(i, j): graph.input(f"factor.{i}.{j}", Level.STATE) for i, j in entries}
    right = [graph.input(f"right.{name}", Level.STATE) for name in states]
    solution = substitute(graph, factors, right, order)
    return graph.program({f"solution.{name}": x for name, x in zip(states, solution, strict=True)})
