"""Program -> C functions over lanes: what a line of biology becomes before a compiler sees it.

A node becomes one line, such as ``const V v17 = v12 * v3;``, where ``V`` holds LANES patients side by side.
A product that is only added to something becomes one fused multiply-add, so that the same bits come out of
every width: the compiler itself is told to fuse nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from euthymia.engine.lower import Lowered
from euthymia.engine.program import Level, Node, Program, reachable

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
_COMPARISONS = {"less": "<", "less_equal": "<="}
_CALLS = {
    "exp": "lanes_exp",
    "log": "lanes_log",
    "sqrt": "lanes_sqrt",
    "tanh": "lanes_tanh",
    "maximum": "lanes_maximum",
    "minimum": "lanes_minimum",
    "where": "lanes_where",
}
_TABLES = ("table2", "table2_x", "table2_y")
"""Value and slopes of a table, in the order in which one look-up gives them."""


def c_functions(lowered: Lowered, tables: Mapping[str, int]) -> str:
    """Return the functions of a step as C.

    ``once`` turns parameters into what is kept, ``along`` drives into what is passed on, ``rates_at``,
    ``prepare_at``, ``solve_at`` and ``observe_at`` do the rest.

    Parameters
    ----------
    lowered : Lowered
    tables : {name: place among the tables handed over}
    """
    kept, passed = lowered.kept, lowered.passed
    programs = {"rates_at": lowered.rates, "prepare_at": lowered.prepare, "observe_at": lowered.outputs}
    of_parameters, of_drives = (_inputs(programs.values(), level) for level in (Level.PARAMETER, Level.DRIVE))
    states = _inputs(programs.values(), Level.STATE)
    writer = _Writer(programs.values(), tables, lowered.levels)
    parts = [
        _sizes({"KEPT": kept, "PASSED": passed}),
        writer.function("once", {"parameters": of_parameters}, lowered.once, {name: name for name in kept}),
        writer.function(
            "along", {"kept": kept, "drives": of_drives}, lowered.along, {name: name for name in passed}
        ),
    ]
    for name, program in programs.items():
        given = {"kept": kept, "drives": of_drives, "states": states}
        if name != "observe_at":
            given = {"kept": kept, "passed": passed, "drives": of_drives, "states": states}
        nodes = _needed(program, [one for names in given.values() for one in names])
        parts.append(writer.function(name, given, nodes, program.outputs))
    solve = _Writer([lowered.solve], tables, lowered.solve.levels())
    solved = {"states": _inputs([lowered.solve], Level.STATE)}
    parts.append(solve.function("solve_at", solved, lowered.solve.nodes, lowered.solve.outputs))
    return "\n".join(parts)


def parameter_names(lowered: Lowered) -> tuple[str, ...]:
    """Return the inputs that parameters give, in the order of the array that is read."""
    return _inputs([lowered.rates, lowered.prepare, lowered.outputs], Level.PARAMETER)


def _inputs(programs: Iterable[Program], level: Level) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in programs for name in one.inputs_of(level)))


def _sizes(names: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(f"#define {name} {max(len(values), 1)}" for name, values in names.items())


def _needed(program: Program, given: Sequence[str]) -> tuple[Node, ...]:
    """Return the nodes that the results need when some values are given."""
    known = set(given)
    return reachable([node for node in program.nodes if node.name not in known], program.outputs.values())


class _Writer:
    """Writes functions over the values of some programs."""

    def __init__(
        self, programs: Iterable[Program], tables: Mapping[str, int], levels: Mapping[str, Level]
    ) -> None:
        self.tables, self.levels = tables, levels
        self.constants: dict[str, float] = {}
        self.inputs: dict[str, str] = {}
        self.masks: set[str] = set()
        for one in programs:
            self.constants |= one.constants
            for name in one.inputs:
                self.inputs.setdefault(name, f"i{len(self.inputs)}")
            self.masks |= {node.name for node in one.nodes if node.op in _COMPARISONS}

    def function(
        self,
        name: str,
        given: Mapping[str, Sequence[str]],
        nodes: Sequence[Node],
        results: Mapping[str, str],
    ) -> str:
        """Return a function that reads arrays of values and writes an array of results."""
        read = {argument for node in nodes for argument in node.args} | set(results.values())
        arguments = [f"const V *restrict {one}" for one in given]
        head = f"static void {name}({', '.join(arguments)}, const T *restrict tables, V *restrict results) {{"
        lines = [f"  (void){one};" for one in (*given, "tables")]
        for source, names in given.items():
            lines += [self._read(one, source, at) for at, one in enumerate(names) if one in read]
        lines += self._lines(nodes, set(results.values()))
        lines += [f"  results[{at}] = {self._as_value(one)};" for at, one in enumerate(results.values())]
        return "\n".join([head, *lines, "}"])

    def _read(self, name: str, source: str, at: int) -> str:
        kind = "M" if name in self.masks else "V"
        return f"  const {kind} {self._name(name)} = ({kind}){source}[{at}];"

    def _lines(self, nodes: Sequence[Node], results: set[str]) -> list[str]:
        """Return a line for each node; products that are only added up are written where that happens."""
        uses = Counter(argument for node in nodes for argument in node.args)
        by_name = {node.name: node for node in nodes}
        inside: set[str] = set()
        lines: dict[str, str] = {}
        for node in nodes:
            product = self._product(node, by_name, uses, results)
            if product is not None:
                inside.add(product)
        looked_up: set[tuple[str, ...]] = set()
        for node in nodes:
            if node.name in inside:
                continue
            if node.op in _TABLES:
                lines[node.name] = self._look_up(node, nodes, looked_up)
            else:
                lines[node.name] = self._line(node, by_name, inside)
        return list(lines.values())

    def _product(
        self, node: Node, by_name: Mapping[str, Node], uses: Mapping[str, int], results: set[str]
    ) -> str | None:
        """Return the product that a sum or a difference can take into itself."""
        if node.op not in ("add", "subtract"):
            return None
        for name in reversed(node.args):
            made = by_name.get(name)
            if made is not None and made.op == "multiply" and uses[name] == 1 and name not in results:
                return name
        return None

    def _look_up(self, node: Node, nodes: Sequence[Node], looked_up: set[tuple[str, ...]]) -> str:
        """Return the line of one value of a table; the first of a place looks up all that is needed there."""
        table, x, y = node.args
        group = [one.op for one in nodes if one.op in _TABLES and one.args == node.args]
        array = f"found_{'_'.join(self._plain(one) for one in node.args)}"
        at = _TABLES.index(node.op)
        line = f"  const V {node.name} = {array}[{at}];"
        if node.args in looked_up:
            return line
        looked_up.add(node.args)
        has_slopes = int(any(op != "table2" for op in group))
        place = f"tables[{self.tables[table]}], {self._name(x)}, {self._name(y)}"
        return f"  V {array}[3];\n  lanes_table({place}, {has_slopes}, {array});\n{line}"

    def _plain(self, name: str) -> str:
        return self.inputs.get(name, name)

    def _name(self, value: str) -> str:
        if value in self.constants:
            return f"K({float(self.constants[value]).hex()})"
        return self.inputs.get(value, value)

    def _as_value(self, value: str) -> str:
        """Return a value as numbers, a comparison by its bits."""
        return f"(V){self._name(value)}" if value in self.masks else self._name(value)

    def _line(self, node: Node, by_name: Mapping[str, Node], inside: set[str]) -> str:
        head = f"  const {'M' if node.op in _COMPARISONS else 'V'} {node.name} = "
        args = [self._name(one) for one in node.args]
        if node.op in _COMPARISONS:
            return f"{head}{args[0]} {_COMPARISONS[node.op]} {args[1]};"
        for at in (1, 0):
            if node.op in ("add", "subtract") and node.args[at] in inside:
                a, b = (self._name(one) for one in by_name[node.args[at]].args)
                call = "FMA" if node.op == "add" else ("FNMA" if at else "FMS")
                return f"{head}{call}({a}, {b}, {args[1 - at]});"
        if node.op == "negative":
            return f"{head}-{args[0]};"
        if node.op in _INFIX:
            return f"{head}{args[0]} {_INFIX[node.op]} {args[1]};"
        return f"{head}{_CALLS[node.op]}({', '.join(args)});"
