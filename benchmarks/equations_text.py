"""The workload's equations as text that other engines read, written from one recorded program.

The program is that of the engine's own recorder, so every engine gets the same operations in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import workload
from euthymia.engine.program import Level, Program
from euthymia.engine.trace import Graph, Symbol, SymbolMaths, symbols

INFUSION = "infusion_mg_per_h"
RATE_MG_PER_H = workload.DOSE_MG / workload.INFUSION_H
FAST_STATES = ("excitation_fraction", "inhibition_fraction")
FAST_H = 5e-4
"""Time constant of the circuit where it is made of two states: 1.8 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How operations and assignments are written.

    Parameters
    ----------
    assign : str
        With places for name and value.
    functions : {operation: text with places for its arguments}
    """

    assign: str
    functions: Mapping[str, str]

    def lines(self, program: Program, prefix: str = "v") -> list[str]:
        """Return one assignment a node, in order; nodes are called by the prefix and a number."""
        names = names_of(program, prefix)
        return [
            self.assign.format(
                names[node.name], self.functions[node.op].format(*(names[one] for one in node.args))
            )
            for node in program.nodes
        ]


_INFIX = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negative": "-{}",
    "exp": "exp({})",
}
PYTHON = Language(assign="{} = {}", functions=_INFIX | {"log": "log({})", "maximum": "max({}, {})"})
CPP = Language(assign="double {} = {};", functions=_INFIX | {"log": "log({})", "maximum": "fmax({}, {})"})
ANTIMONY = Language(
    assign="{} := {};",
    functions=_INFIX | {"log": "ln({})", "maximum": "piecewise({0}, {0} > {1}, {1})"},
)


def names_of(program: Program, prefix: str = "v") -> dict[str, str]:
    """Return how each value of a program is written: inputs without their kind, constants as numbers."""
    names = {name: name.split(".", 1)[1] for name in program.inputs}
    names |= {name: f"({value!r})" for name, value in program.constants.items()}
    return names | {node.name: f"{prefix}{at}" for at, node in enumerate(program.nodes)}


def record(equations: Callable[..., Mapping[str, Any]], *, more_states: tuple[str, ...] = ()) -> Program:
    """Return the program of some function of (m, state, parameter, infusion), such as all rates."""
    graph = Graph()
    state = symbols(graph, "state", (*workload.STATES, *more_states), Level.STATE)
    parameter = symbols(graph, "parameter", workload.PARAMETERS, Level.PARAMETER)
    given = symbols(graph, "drive", (INFUSION,), Level.DRIVE)[INFUSION]
    found = equations(SymbolMaths(graph), state, parameter, given)
    return graph.program({name: value.name for name, value in found.items() if isinstance(value, Symbol)})


def rates_and_outputs(m: Any, state: Any, parameter: Any, infusion: Any) -> dict[str, Any]:
    """Return the derivatives of all states by name, and the outputs as ``seen_`` and their name."""
    return workload.all_rates(m, state, parameter, infusion) | seen(m, state, parameter)


def seen(m: Any, state: Any, parameter: Any, infusion: Any = None) -> dict[str, Any]:
    """Return the outputs as ``seen_`` and their name."""
    values = workload.observe(m, state, parameter)
    return {f"seen_{name}": value for name, value in zip(workload.OUTPUTS, values, strict=True)}


def with_fast_circuit(m: Any, state: Any, parameter: Any, infusion: Any) -> dict[str, Any]:
    """Return the same with the circuit as two fast states, for engines that know no algebra in steps.

    The circuit then settles where its sigmoids cross, and not where three steps of Newton's method end.
    """
    drive = workload.concentrations(state, parameter)
    occupied = workload.occupancy(m, drive, parameter)
    inputs = workload.circuit_inputs(parameter, occupied, state["synapses_relative"])
    now = [state[name] for name in FAST_STATES]
    called = workload.sigmoids(m, parameter, inputs, *now)
    return {
        **workload.linear_rates(state, parameter, infusion),
        **workload.nonlinear_rates(m, state, drive, parameter, occupied, now[0]),
        **{name: (to - at) / FAST_H for name, to, at in zip(FAST_STATES, called, now, strict=True)},
        **seen(m, state, parameter),
    }


# --- Antimony --------------------------------------------------------------------------------------


def antimony(days: int) -> str:
    """Return the model as Antimony text, with the circuit as two fast states and doses as events.

    The infusion that starts with the course is no event: it is on at the start.
    """
    program = record(with_fast_circuit, more_states=FAST_STATES)
    names = names_of(program)
    starts = {name: workload.INITIAL.get(name, 0.0) for name in workload.STATES}
    starts |= dict(zip(FAST_STATES, workload.NEWTON_START, strict=True))
    typical = {name: value for name, (value, _) in workload.RANDOM.items()} | workload.FIXED
    typical[workload.AT_REST] = workload.NEWTON_START[0]
    return "\n".join(
        [
            "model workload",
            *ANTIMONY.lines(program),
            *(f"{name}' = {names[program.outputs[name]]};" for name in starts),
            *(f"{name} = {value!r};" for name, value in starts.items()),
            *(f"seen_{name} := {names[program.outputs[f'seen_{name}']]};" for name in workload.OUTPUTS),
            *(f"{name} = {value!r};" for name, value in typical.items()),
            *_events(days),
            "end",
        ]
    )


def _events(days: int) -> list[str]:
    found = [f"{INFUSION} = {RATE_MG_PER_H!r};"]
    for start in map(float, workload.doses_h(days)):
        if start > 0.0:
            found.append(f"at time > {start!r}: {INFUSION} = {RATE_MG_PER_H!r};")
        found.append(f"at time > {start + workload.INFUSION_H!r}: {INFUSION} = 0;")
    return found


# --- Python ----------------------------------------------------------------------------------------


def python_rates() -> str:
    """Return a Python function of time, states (30,), parameters (61,) and infusion as text."""
    program = record(workload.all_rates)
    names = names_of(program)
    body = [
        *(f"{name} = y[{at}]" for at, name in enumerate(workload.STATES)),
        *(f"{name} = p[{at}]" for at, name in enumerate(workload.PARAMETERS)),
        *PYTHON.lines(program),
        f"rates = empty({len(workload.STATES)})",
        *(f"rates[{at}] = {names[program.outputs[name]]}" for at, name in enumerate(workload.STATES)),
        "return rates",
    ]
    return "\n    ".join([f"def rates(t, y, p, {INFUSION}):", *body])


@cache
def scalar_rates() -> Callable[..., Any]:
    """Return that function, by Numba where it is installed."""
    import math

    import numpy as np

    scope: dict[str, Any] = {"exp": math.exp, "log": math.log, "empty": np.empty}
    exec(compile(python_rates(), "<workload>", "exec"), scope)
    if not has_numba():
        return scope["rates"]
    from numba import njit

    return njit("f8[:](f8, f8[::1], f8[::1], f8)")(scope["rates"])


def has_numba() -> bool:
    """Tell whether SciPy's rates are compiled."""
    return find_spec("numba") is not None


# --- C++ of mrgsolve ---------------------------------------------------------------------------------


def mrgsolve() -> str:
    """Return the model in mrgsolve's form; infusions come by its data set."""
    rates = record(lambda m, state, p, _: workload.all_rates(m, state, p, 0.0))
    observed = record(seen)
    names, seen_names = names_of(rates), names_of(observed, "w")
    typical = {name: value for name, (value, _) in workload.RANDOM.items()} | workload.FIXED
    typical[workload.AT_REST] = workload.NEWTON_START[0]
    return "\n".join(
        [
            "$PARAM",
            *(f"{name} = {value!r}" for name, value in typical.items()),
            "$CMT",
            *workload.STATES,
            "$MAIN",
            *(f"{name}_0 = {value!r};" for name, value in workload.INITIAL.items()),
            "$ODE",
            *CPP.lines(rates),
            *(f"dxdt_{name} = {names[rates.outputs[name]]};" for name in workload.STATES),
            "$TABLE",
            *CPP.lines(observed, "w"),
            *(
                f"double seen_{name} = {seen_names[observed.outputs[f'seen_{name}']]};"
                for name in workload.OUTPUTS
            ),
            "$CAPTURE",
            *(f"seen_{name}" for name in workload.OUTPUTS),
            "",
        ]
    )
