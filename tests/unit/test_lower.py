"""Programs made ready for a machine: the same values, what is decided early computed early, once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from tests.equivalence.engine_systems import EVERYTHING, TABLE

from euthymia.engine.equations import Equations
from euthymia.engine.jacobian import StepPrograms, trace_step
from euthymia.engine.lower import Lowered, lower
from euthymia.engine.program import Level, Program, evaluate
from euthymia.engine.trace import Graph
from euthymia.model import wiring
from euthymia.model.chain import EQUATIONS, circuit_table, node_constants
from euthymia.model.parameters import load_parameters

COUNT = 200
PARTS = ("rates", "prepare", "outputs", "solve")


def made_up() -> tuple[StepPrograms, dict[str, Any]]:
    """Return the programs of equations that use every operation, and values for their inputs."""
    rng = np.random.default_rng(3)
    values: dict[str, Any] = {f"state.{name}": rng.random(COUNT) for name in EVERYTHING.states}
    values |= {f"drive.{name}": rng.random(COUNT) - 0.2 for name in EVERYTHING.drives}
    values |= {f"slope.{name}": rng.normal(size=COUNT) for name in EVERYTHING.drives}
    values |= {"parameter.K": 0.5 + rng.random(COUNT), "parameter.n": 1.0 + rng.random(COUNT)}
    values |= {"parameter.fast": 50.0 * rng.random(COUNT), "step.diagonal": np.asarray(40.0)}
    return trace_step(EVERYTHING, {"table": TABLE}), values


def chain() -> tuple[StepPrograms, dict[str, Any]]:
    """Return the programs of the model, and values for their inputs around those of a typical patient."""
    rng, known = np.random.default_rng(4), load_parameters().chain
    table = circuit_table(node_constants(load_parameters()))
    fixed = {wiring.CIRCUIT_TABLE: table} | {name: known[name].value for name in EQUATIONS.structural}
    values: dict[str, Any] = {f"state.{name}": rng.random(COUNT) for name in EQUATIONS.states}
    values |= {f"drive.{name}": rng.random(COUNT) for name in EQUATIONS.drives}
    values |= {f"slope.{name}": rng.normal(size=COUNT) for name in EQUATIONS.drives}
    for name in EQUATIONS.parameters:
        typical = known[name].value if name in known else 1.0
        values[f"parameter.{name}"] = typical * (1.0 + 0.2 * rng.random(COUNT))
    return trace_step(EQUATIONS, fixed), values | {"step.diagonal": np.asarray(40.0)}


SYSTEMS = {"made up": made_up, "the model": chain}
BOTH = pytest.mark.parametrize("system", SYSTEMS)


def results(program: Program, values: dict[str, Any]) -> dict[str, Any]:
    with np.errstate(all="ignore"):
        every = evaluate(program, values)
    return {name: np.broadcast_to(every[at], COUNT) for name, at in program.outputs.items()}


def with_factors(programs: StepPrograms, values: dict[str, Any]) -> dict[str, Any]:
    """Return values with those that the solve reads: factors of a real step, and right sides."""
    prepared = results(programs.prepare, values)
    right = {
        name: np.random.default_rng(5).normal(size=COUNT)
        for name in programs.solve.inputs
        if name.startswith("right.")
    }
    return values | prepared | right


@pytest.mark.parametrize("part", PARTS)
@BOTH
def test_lowered_programs_give_what_the_recorded_ones_give(system: str, part: str):
    programs, values = SYSTEMS[system]()
    values = with_factors(programs, values)
    expected, found = (results(getattr(one, part), values) for one in (programs, lower(programs)))
    assert found.keys() == expected.keys()
    for name, right in expected.items():
        assert np.isfinite(right).all(), name
        size = np.abs(right).max()
        np.testing.assert_allclose(found[name], right, rtol=1e-12, atol=1e-12 * size, err_msg=name)


@BOTH
def test_nothing_is_divided_by_what_parameters_decide_once_the_run_is_on(system: str):
    lowered = lower(SYSTEMS[system]()[0])
    levels, programs = lowered.levels, (lowered.rates, lowered.prepare, lowered.outputs)
    divisions = [node for one in programs for node in one.nodes if node.op == "divide"]
    once = {node.name for node in lowered.once}
    assert {node.name for node in divisions} & once
    for node in divisions:
        assert levels[node.args[1]] > Level.PARAMETER or node.name in once


@BOTH
def test_every_division_left_is_an_inverse_and_no_two_are_of_the_same(system: str):
    lowered = lower(SYSTEMS[system]()[0])
    for one in (lowered.rates, lowered.prepare, lowered.outputs, lowered.solve):
        inverses = [node.args for node in one.nodes if node.op == "divide"]
        assert all(one.constants.get(top) == 1.0 for top, _ in inverses)
        assert max(Counter(bottom for _, bottom in inverses).values(), default=1) == 1
        assert "hill" not in {node.op for node in one.nodes}


@BOTH
def test_levels_hold_what_they_say_and_hand_on_what_later_ones_read(system: str):
    lowered = lower(SYSTEMS[system]()[0])
    assert {lowered.levels[node.name] for node in lowered.once} == {Level.PARAMETER}
    assert {lowered.levels[node.name] for node in lowered.along} <= {Level.DRIVE}
    made = {node.name for node in lowered.once} | {node.name for node in lowered.along}
    for one in (lowered.rates, lowered.prepare, lowered.outputs):
        for node in one.nodes:
            if lowered.levels[node.name] != Level.STATE:
                continue
            for name in node.args:
                if lowered.levels[name] == Level.PARAMETER:
                    assert name in lowered.kept
                if one is lowered.rates and lowered.levels[name] == Level.DRIVE and name in made:
                    assert name in lowered.passed


# --- hill ------------------------------------------------------------------------------------------------


def hills(rate: Any, parameters: tuple[str, ...]) -> tuple[StepPrograms, Lowered]:
    equations = Equations(
        states=("u",),
        drives=(),
        parameters=parameters,
        rates=lambda m, s, d, p: {"u": rate(m, s["u"], p)},
        outputs=lambda m, s, d, p: {},
    )
    programs = trace_step(equations, {})
    return programs, lower(programs)


def operations(program: Program) -> Counter[str]:
    return Counter(node.op for node in program.nodes)


def test_a_hill_function_with_exponent_one_takes_no_exponential():
    _, lowered = hills(lambda m, u, p: m.hill(u, p["K"], 1.0), ("K",))
    assert not operations(lowered.rates) & Counter(("exp", "log"))


def test_hill_functions_of_the_same_value_share_its_logarithm():
    programs, lowered = hills(
        lambda m, u, p: m.hill(u, p["K"], p["n"]) + m.hill(u, p["L"], 2.0) * m.hill(u, p["K"], 3.0),
        ("K", "L", "n"),
    )
    levels = lowered.levels
    logs = [node for node in lowered.rates.nodes if node.op == "log"]
    assert [levels[node.name] for node in logs].count(Level.STATE) == 1
    assert [levels[node.name] for node in logs].count(Level.PARAMETER) == 2
    assert operations(lowered.rates)["exp"] == 3
    assert operations(programs.rates)["hill"] == 3


@pytest.mark.parametrize("exponent", [1.0, 1.7, 4.0])
def test_hill_functions_keep_their_ends(exponent: float):
    programs, lowered = hills(lambda m, u, p: m.hill(u, p["K"], exponent), ("K",))
    u = np.array([-np.inf, -1.0, -0.0, 0.0, 1e-39, 1e-30, 1e-6, 1.0, 1e6, 1e30, np.inf])
    u = np.concatenate([u, np.full(COUNT - len(u), np.nan)])
    values = {"state.u": u, "parameter.K": np.asarray(0.3)}
    expected, found = (results(one.rates, values)["rate.u"] for one in (programs, lowered))
    finite = np.isfinite(u)  # below 1e-37 all count as that
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-12, atol=1e-36)
    assert found[0] == 0.0
    assert found[10] == 1.0 or exponent == 1.0  # there u / (u + K) of infinity: no run reaches it
    assert np.isnan(found[11:]).all()


def test_what_several_programs_need_has_one_name():
    lowered = lower(made_up()[0])
    by_operation: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for one in (lowered.rates, lowered.prepare, lowered.outputs):
        for node in one.nodes:
            by_operation.setdefault((node.op, node.args), set()).add(node.name)
    assert max(len(names) for names in by_operation.values()) == 1
    shared = {node.name for node in lowered.rates.nodes} & {node.name for node in lowered.prepare.nodes}
    assert len(shared) > 0.9 * len(lowered.rates.nodes)


def test_an_inverse_of_a_constant_is_folded():
    graph = Graph()
    assert graph.is_constant(graph.emit("divide", graph.constant(1.0), graph.constant(4.0)), 0.25)
    _, lowered = hills(lambda m, u, p: -u / 4.0, ())
    assert set(operations(lowered.rates)) <= {"multiply", "negative"}
    assert 0.25 in lowered.rates.constants.values()
