"""Program -> Python functions over NumPy arrays, one for each level of the program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from euthymia.engine.maths import OPERATIONS, WRITING
from euthymia.engine.program import Level, Node, Program

_NAME_OF_SCRATCH = "w{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A program as functions.

    Parameters
    ----------
    program : Program
    once : callable (parameters) -> values
        Lists of arrays, in the order of the program's inputs; what the later levels read.
    along : callable (once, drives) -> values
        The same for what drives decide, over any number of times at once.
    at : callable (once, along, states, results, scratch) -> None
        Writes every result into the array given for it; ``scratch`` is a list of ``scratch_count`` arrays.
    source : str
    """

    program: Program
    once: Callable[[Sequence[Any]], list[Any]]
    along: Callable[[Sequence[Any], Sequence[Any]], list[Any]]
    at: Callable[[Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any]], None]
    scratch_count: int
    source: str


def compile_program(program: Program) -> Compiled:
    """Return the functions of a program."""
    names = _Names(program)
    last, scratch_count = _last_level(program, names)
    source = "\n".join(
        [
            _early_level(program, names, Level.PARAMETER, "once", ("parameters",)),
            _early_level(program, names, Level.DRIVE, "along", ("hoisted", "drives")),
            last,
        ]
    )
    scope: dict[str, Any] = {**OPERATIONS, **program.tables, "copyto": np.copyto}
    scope |= {names[name]: np.asarray(value) for name, value in program.constants.items()}
    # The text is what this module has just written, from names it made up itself.
    exec(compile(source, "<euthymia program>", "exec"), scope)  # nosec B102
    return Compiled(
        program=program,
        once=scope["once"],
        along=scope["along"],
        at=scope["at"],
        scratch_count=scratch_count,
        source=source,
    )


class _Names(dict[str, str]):
    """Identifiers by value: those of nodes, constants and tables as they are, inputs by number."""

    def __init__(self, program: Program) -> None:
        super().__init__({name: f"i{at}" for at, name in enumerate(program.inputs)})

    def __missing__(self, name: str) -> str:
        return name

    def call(self, node: Node, out: str = "") -> str:
        args = ", ".join(self[name] for name in node.args)
        return f"{node.op}({args}{', ' + out if out else ''})"

    def unpack(self, names: Sequence[str], source: str) -> list[str]:
        return [f"  [{', '.join(self[name] for name in names)}] = {source}"] if names else []


def _early_level(
    program: Program, names: _Names, level: Level, function: str, arguments: tuple[str, ...]
) -> str:
    """Return a function that computes all of one level, in fresh arrays that go as soon as they can."""
    levels, kept = program.levels(), set(program.surviving(level))
    nodes = [node for node in program.nodes if levels[node.name] == level]
    own = program.inputs_of(level)
    lines = [f"def {function}({', '.join(arguments)}):"]
    if level > Level.PARAMETER:
        lines += names.unpack(program.surviving(Level.PARAMETER), arguments[0])
    lines += names.unpack(own, arguments[-1])
    last_use = {name: at for at, node in enumerate(nodes) for name in (*node.args, node.name)}
    for at, node in enumerate(nodes):
        lines.append(f"  {node.name} = {names.call(node)}")
        gone = [
            name
            for name in dict.fromkeys((*node.args, node.name))
            if last_use[name] == at and name not in kept and levels[name] == level
        ]
        if gone:
            lines.append(f"  del {', '.join(names[name] for name in gone)}")
    lines.append(f"  return [{', '.join(names[name] for name in program.surviving(level))}]")
    return "\n".join(lines)


def _last_level(program: Program, names: _Names) -> tuple[str, int]:
    """Return the function of the last level and how many scratch arrays it takes.

    A node that is a result is written where the result goes; others share scratch arrays, each taken again
    as soon as its value has been read for the last time.
    """
    levels = program.levels()
    nodes = [node for node in program.nodes if levels[node.name] == Level.STATE]
    last_use = {name: at for at, node in enumerate(nodes) for name in (*node.args, node.name)}
    place: dict[str, str] = {}
    for at, name in enumerate(program.outputs.values()):
        place.setdefault(name, f"o{at}")
    free: list[str] = []
    taken: dict[str, str] = {}
    count, lines = 0, []
    for at, node in enumerate(nodes):
        if node.op not in WRITING:
            lines.append(f"  {node.name} = {names.call(node)}")
            continue
        for name in dict.fromkeys(node.args):
            if last_use[name] == at and name in taken:
                free.append(taken.pop(name))
        if node.name in place:
            target = place[node.name]
        else:
            if not free:
                free.append(_NAME_OF_SCRATCH.format(count))
                count += 1
            target = taken[node.name] = free.pop()
        names[node.name] = target
        lines.append(f"  {names.call(node, target)}")
    for at, name in enumerate(program.outputs.values()):
        if names[name] != f"o{at}":
            lines.append(f"  copyto(o{at}, {names[name]})")
    head = [
        "def at(hoisted, along, states, results, scratch):",
        *names.unpack(program.surviving(Level.PARAMETER), "hoisted"),
        *names.unpack(program.surviving(Level.DRIVE), "along"),
        *names.unpack(program.inputs_of(Level.STATE), "states"),
        *(
            [f"  [{', '.join(f'o{at}' for at in range(len(program.outputs)))}] = results"]
            if program.outputs
            else []
        ),
        *(
            [f"  [{', '.join(_NAME_OF_SCRATCH.format(k) for k in range(count))}] = scratch[:{count}]"]
            if count
            else []
        ),
        *(lines or ["  pass"]),
    ]
    return "\n".join(head), count
