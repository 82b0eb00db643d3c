"""Program -> C functions over lanes: what a patient's line of biology becomes before a compiler sees it.

Each program gives two functions, ``<name>_once`` for what parameters alone decide and ``<name>_at``.
A node becomes one line, such as ``const V v17 = v12 * v3;``, where ``V`` holds a few patients side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from euthymia.engine.program import Level, Node, Program

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
_COMPARISONS = {"less": "<", "less_equal": "<="}
_CALLS = {
    "exp": "lanes_exp",
    "log": "lanes_log",
    "sqrt": "lanes_sqrt",
    "tanh": "lanes_tanh",
    "maximum": "lanes_maximum",
    "minimum": "lanes_minimum",
    "hill": "lanes_hill",
    "where": "lanes_where",
    "table2": "lanes_table",
    "table2_x": "lanes_table_x",
    "table2_y": "lanes_table_y",
}


def c_program(name: str, program: Program, tables: Mapping[str, int]) -> str:
    """Return the two functions of a program.

    Parameters
    ----------
    name : str
        What the functions are called.
    program : Program
    tables : {name of a table: its number among those handed over}
    """
    writer = _Writer(program, tables)
    kept = program.surviving(Level.PARAMETER)
    return "\n".join(
        [
            f"#define {name.upper()}_KEPT {max(len(kept), 1)}",
            f"static void {name}_once(const V *restrict parameters, const T *restrict tables,",
            "    V *restrict kept) {",
            "  (void)parameters; (void)tables; (void)kept;",
            *writer.inputs(program.inputs_of(Level.PARAMETER), "parameters"),
            *writer.nodes(Level.PARAMETER),
            *(f"  kept[{at}] = {writer.as_value(one)};" for at, one in enumerate(kept)),
            "}",
            f"static void {name}_at(const V *restrict kept, const V *restrict drives,",
            "    const V *restrict states, const T *restrict tables, V *restrict results) {",
            "  (void)kept; (void)drives; (void)states; (void)tables;",
            *writer.inputs(kept, "kept"),
            *writer.inputs(program.inputs_of(Level.DRIVE), "drives"),
            *writer.inputs(program.inputs_of(Level.STATE), "states"),
            *writer.nodes(Level.DRIVE),
            *writer.nodes(Level.STATE),
            *(
                f"  results[{at}] = {writer.as_value(one)};"
                for at, one in enumerate(program.outputs.values())
            ),
            "}",
        ]
    )


class _Writer:
    """Writes the lines of one program."""

    def __init__(self, program: Program, tables: Mapping[str, int]) -> None:
        self.program, self.tables = program, tables
        self.levels = program.levels()
        self.masks = {node.name for node in program.nodes if node.op in _COMPARISONS}
        self.names = {name: f"i{at}" for at, name in enumerate(program.inputs)}

    def inputs(self, names: Sequence[str], source: str) -> list[str]:
        """Return a line for each value that is read from an array."""
        return [
            f"  const M {self.name(one)} = (M){source}[{at}];"
            if one in self.masks
            else f"  const V {self.name(one)} = {source}[{at}];"
            for at, one in enumerate(names)
        ]

    def nodes(self, level: Level) -> list[str]:
        """Return a line for each node of a level, in order."""
        return [self.line(node) for node in self.program.nodes if self.levels[node.name] == level]

    def name(self, value: str) -> str:
        """Return how a value is written."""
        if value in self.program.constants:
            return f"K({float(self.program.constants[value]).hex()})"
        if value in self.tables:
            return f"tables[{self.tables[value]}]"
        return self.names.get(value, value)

    def as_value(self, value: str) -> str:
        """Return a value as numbers, a comparison by its bits."""
        return f"(V){self.name(value)}" if value in self.masks else self.name(value)

    def line(self, node: Node) -> str:
        """Return the line of one node."""
        args = [self.name(one) for one in node.args]
        if node.op in _COMPARISONS:
            return f"  const M {node.name} = {args[0]} {_COMPARISONS[node.op]} {args[1]};"
        if node.op == "negative":
            return f"  const V {node.name} = -{args[0]};"
        if node.op in _INFIX:
            return f"  const V {node.name} = {args[0]} {_INFIX[node.op]} {args[1]};"
        return f"  const V {node.name} = {_CALLS[node.op]}({', '.join(args)});"
