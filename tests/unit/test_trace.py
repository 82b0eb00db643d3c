"""Equations as recorded programs: the same values, exact sparse derivatives, sparse elimination."""

from __future__ import annotations

import numpy as np
import pytest
from tests.equivalence.engine_systems import EVERYTHING, TABLE

from euthymia.engine.equations import Equations
from euthymia.engine.jacobian import elimination_order, jacobian_program, trace_step
from euthymia.engine.maths import NUMPY, OPERATIONS
from euthymia.engine.numpy_source import compile_program
from euthymia.engine.program import Level, evaluate, expression
from euthymia.engine.trace import Graph, Symbol, SymbolMaths
from euthymia.errors import InvalidInputError, UnknownNameError

COUNT = 200
FIXED = {"table": TABLE}
PROGRAMS = trace_step(EVERYTHING, FIXED)


def draws(seed=1):
    rng = np.random.default_rng(seed)
    values = {f"state.{name}": rng.random(COUNT) for name in EVERYTHING.states}
    values |= {f"drive.{name}": 0.1 + rng.random(COUNT) for name in EVERYTHING.drives}
    values |= {f"slope.{name}": rng.normal(size=COUNT) for name in EVERYTHING.drives}
    values |= {"parameter.K": 0.5 + rng.random(COUNT), "parameter.n": 1.0 + rng.random(COUNT)}
    return values | {"parameter.fast": 50.0 * rng.random(COUNT), "step.diagonal": np.asarray(40.0)}


def named(values, kind):
    return {key.split(".", 1)[1]: value for key, value in values.items() if key.startswith(f"{kind}.")}


def plain_rates(values):
    parameter = named(values, "parameter") | FIXED
    return EVERYTHING.rates(NUMPY, named(values, "state"), named(values, "drive"), parameter)


def results(program, values):
    every = evaluate(program, values)
    return {name: every[at] for name, at in program.outputs.items()}


def run_compiled(program, values):
    compiled = compile_program(program)
    own = {level: [values[name] for name in program.inputs_of(level)] for level in Level}
    hoisted = compiled.once(own[Level.PARAMETER])
    along = compiled.along(hoisted, own[Level.DRIVE])
    found = np.zeros((len(program.outputs), COUNT))
    scratch = list(np.zeros((compiled.scratch_count, COUNT)))
    compiled.at(hoisted, along, own[Level.STATE], list(found), scratch)
    return dict(zip(program.outputs, found, strict=True))


def recorded(function):
    graph = Graph()
    x = Symbol(graph, graph.input("state.x", Level.STATE))
    return graph, function(SymbolMaths(graph), x)


def test_the_made_up_system_uses_every_operation():
    used = {node.op for program in (PROGRAMS.prepare, PROGRAMS.outputs) for node in program.nodes}
    assert used == set(OPERATIONS)


def test_recorded_rates_equal_plain_evaluation():
    values = draws()
    expected = plain_rates(values)
    for name, found in results(PROGRAMS.rates, values).items():
        np.testing.assert_allclose(found, expected[name.removeprefix("rate.")], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("part", ["rates", "prepare", "outputs"])
def test_compiled_programs_give_the_bytes_of_node_by_node_evaluation(part):
    program, values = getattr(PROGRAMS, part), draws()
    with np.errstate(all="ignore"):
        expected, found = results(program, values), run_compiled(program, values)
    for name, value in found.items():
        assert np.broadcast_to(expected[name], COUNT).tobytes() == value.tobytes(), name


def difference(values, key, by=1e-6):
    up, down = ({**values, key: values[key] + sign * by} for sign in (1, -1))
    high, low = plain_rates(up), plain_rates(down)
    return {name: (high[name] - low[name]) / (2 * by) for name in high}


@pytest.mark.parametrize("key", [*(f"state.{n}" for n in "abce"), "drive.dose", "drive.blocked"])
def test_jacobian_equals_central_differences(key):
    values = draws()
    jacobian = results(jacobian_program(EVERYTHING, FIXED), values)
    by = key.split(".")[1]
    for name, expected in difference(values, key).items():
        found = np.broadcast_to(jacobian.get(f"{name}.{by}", 0.0), COUNT)
        kinked = np.isclose(values["state.b"], values["state.a"], atol=1e-5)
        np.testing.assert_allclose(found[~kinked], expected[~kinked], rtol=1e-6, atol=1e-6)


def test_time_derivative_follows_the_slopes_of_the_drives():
    values = draws()
    prepared = results(PROGRAMS.prepare, values)
    jacobian = results(jacobian_program(EVERYTHING, FIXED), values)
    for state in EVERYTHING.states:
        expected = sum(
            jacobian.get(f"{state}.{drive}", 0.0) * values[f"slope.{drive}"] for drive in EVERYTHING.drives
        )
        np.testing.assert_allclose(prepared[f"time.{state}"], expected, rtol=1e-12, atol=1e-14)


def test_sparse_elimination_equals_a_dense_solve():
    values = draws()
    prepared = results(PROGRAMS.prepare, values)
    jacobian = results(jacobian_program(EVERYTHING, FIXED), values)
    size = len(EVERYTHING.states)
    matrix = np.zeros((COUNT, size, size))
    matrix[:, range(size), range(size)] = 40.0
    for i, row in enumerate(EVERYTHING.states):
        for j, column in enumerate(EVERYTHING.states):
            matrix[:, i, j] -= jacobian.get(f"{row}.{column}", 0.0)
    right = np.random.default_rng(2).normal(size=(COUNT, size))
    expected = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
    inputs = {name: prepared[name] for name in prepared if name.startswith("factor.")}
    inputs |= {f"right.{name}": right[:, i] for i, name in enumerate(EVERYTHING.states)}
    found = results(PROGRAMS.solve, inputs)
    for i, name in enumerate(EVERYTHING.states):
        np.testing.assert_allclose(found[f"solution.{name}"], expected[:, i], rtol=1e-11, atol=1e-13)


def test_elimination_of_an_arrow_fills_nothing():
    size = 6
    arrow = {(i, i) for i in range(size)} | {(0, i) for i in range(size)} | {(i, 0) for i in range(size)}
    assert elimination_order(arrow, size)[-1] in (0, size - 1)
    assert elimination_order(arrow, size)[0] != 0


@pytest.mark.parametrize("n", [1.0, 1.5, 2.0, 4.0])
def test_hill_and_its_slope_are_defined_at_zero_and_far_from_it(n):
    equations = Equations(
        states=("u",),
        drives=(),
        parameters=("K", "n"),
        rates=lambda m, s, d, p: {"u": m.hill(s["u"], p["K"], p["n"])},
        outputs=lambda m, s, d, p: {},
    )
    u = np.array([0.0, -0.1, 1e-200, 0.3, 2.0, 1e200])
    values = {"state.u": u, "parameter.K": np.asarray(2.0), "parameter.n": np.asarray(n)}
    with np.errstate(all="ignore"):
        value = results(trace_step(equations, {}).rates, values)["rate.u"]
        slope = results(jacobian_program(equations, {}), values)["u.u"]
        r = np.maximum(u, 0.0) / 2.0
        exact = np.where(u < 1e100, r**n / (1 + r**n), 1.0)
    np.testing.assert_allclose(value, exact, rtol=1e-12 if n < 4 else 1e-11, atol=1e-250)
    start = 0.5 if n == 1 else 0.0
    middle = n * exact[3:5] * (1 - exact[3:5]) / u[3:5]
    np.testing.assert_allclose(slope[[0, 1, 3, 4, 5]], [start, 0.0, *middle, 0.0], rtol=1e-13, atol=0)


def test_a_hill_exponent_that_is_a_state_is_refused():
    equations = Equations(
        states=("u",),
        drives=(),
        parameters=(),
        rates=lambda m, s, d, p: {"u": m.hill(1.0, 2.0, s["u"])},
        outputs=lambda m, s, d, p: {},
    )
    with pytest.raises(InvalidInputError, match="exponent"):
        trace_step(equations, {})


def test_the_same_expression_is_recorded_once():
    graph, _ = recorded(lambda m, x: m.exp(x * 2.0) + m.exp(2.0 * x) * m.exp(x * 2))
    assert [node.op for node in graph.nodes] == ["multiply", "exp", "multiply", "add"]


def test_constants_are_folded():
    graph, _ = recorded(lambda m, x: (x + 0.0) * 1.0 / m.exp(0.0) + m.where(m.sqrt(4.0) > 1, 0, x) * x)
    assert graph.nodes == []


def test_what_parameters_or_drives_decide_leaves_the_loop():
    levels, program = PROGRAMS.rates.levels(), PROGRAMS.rates
    hill = [node for node in program.nodes if node.op == "hill" and "parameter.n" in node.args]
    assert [levels[node.name] for node in hill] == [Level.DRIVE]
    prepared = PROGRAMS.prepare
    reciprocal = [n for n in prepared.nodes if n.op == "divide" and n.args[1] == "parameter.K"]
    assert {prepared.levels()[node.name] for node in reciprocal} >= {Level.PARAMETER}


def test_programs_read_as_expressions():
    graph, y = recorded(lambda m, x: m.log(x - 2.0) / (m.tanh(x) + 1.5))
    program = graph.program({"y": y.name})
    assert expression(program, y.name) == "log(x - 2) / (1.5 + tanh(x))"
    assert expression(program, y.name, depth=2) == "log(...) / (1.5 + ...)"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: 1.0 if x > 2 else 0.0, "m.where"),
        (lambda m, x: x == 2, "<= or >="),
        (lambda m, x: x**0.5, "whole number"),
        (lambda m, x: x**-1, "whole number"),
        (lambda m, x: x**x, "whole number"),
        (lambda m, x: x * np.ones(3), "no arrays|unsupported"),
        (lambda m, x: np.exp(x), "ufunc|Symbol"),
    ],
)
def test_what_cannot_be_recorded_is_a_type_error(function, message):
    with pytest.raises(TypeError, match=message):
        recorded(function)


def test_an_undeclared_name_is_offered_its_neighbour():
    equations = Equations(
        states=("severity",),
        drives=(),
        parameters=(),
        rates=lambda m, s, d, p: {"severity": s["severty"]},
        outputs=lambda m, s, d, p: {},
    )
    with pytest.raises(UnknownNameError, match="severity"):
        trace_step(equations, {})


def test_rates_must_be_given_for_every_state():
    equations = Equations(
        states=("a", "b"),
        drives=(),
        parameters=(),
        rates=lambda m, s, d, p: {"a": s["b"]},
        outputs=lambda m, s, d, p: {},
    )
    with pytest.raises(InvalidInputError, match="every state"):
        trace_step(equations, {})
