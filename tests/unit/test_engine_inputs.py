"""What integrate refuses, and how a failed solve is named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from euthymia.engine.equations import Equations, SolveFailedError
from euthymia.engine.integrate import integrate
from euthymia.errors import InvalidInputError, RunFailedError, UnknownNameError

DECAY = Equations(
    states=("depth", "other"),
    drives=("push",),
    parameters=("rate", "limit"),
    rates=lambda m, s, d, p: {
        "depth": d["push"] - p["rate"] * m.sqrt(s["other"] - p["limit"]),
        "other": -p["rate"] * s["other"],
    },
    outputs=lambda m, s, d, p: {"worst": m.log(s["other"] - 0.5)},
)


def push(times_h, *, is_left):
    return {"push": np.sin(times_h)}, {"push": np.cos(times_h)}


def run(**changes):
    arguments = {
        "equations": DECAY,
        "parameters": {"rate": np.array([0.1, 0.1, 0.2]), "limit": np.zeros(3)},
        "initial": {"depth": 0.0, "other": np.ones(3)},
        "drive": push,
        "grid_h": np.linspace(0, 10, 41),
        "times_h": np.array([0.0, 2.0, 10.0]),
        "outputs": ["other"],
        "jumps": (),
        "patient_count": 3,
    }
    return integrate(**(arguments | changes))


def test_only_what_is_asked_for_comes_back_by_patient_and_time():
    solution = run(outputs=["other", "depth"])
    assert list(solution.values) == ["other", "depth"]
    assert solution.steps == 40
    expected = np.exp(-np.array([[0.1], [0.1], [0.2]]) * [0.0, 2.0, 10.0])
    np.testing.assert_allclose(solution.values["other"], expected, rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid_h": np.array([0.0])}, "'grid_h' must be"),
        ({"grid_h": np.array([0.0, 2.0, 2.0, 10.0])}, "'grid_h' must be"),
        ({"grid_h": np.array([0.0, np.nan, 10.0])}, "'grid_h' must be"),
        ({"grid_h": np.linspace(0, 10, 42)}, "'grid_h' must be .*an even number of steps"),
        ({"times_h": np.array([2.0, 1.0])}, "'times_h' must be"),
        ({"times_h": np.array([-0.1])}, "'times_h' must be"),
        ({"times_h": np.array([10.1])}, "'times_h' must be"),
        ({"times_h": np.array([np.nan])}, "'times_h' must be"),
        ({"initial": {"depth": 0.0}}, "missing .'other'"),
        ({"initial": {"depth": 0.0, "other": 1.0, "more": 1.0}}, "extra .'more'"),
        ({"initial": {"depth": 0.0, "other": np.ones(2)}}, "'other' must be"),
        ({"parameters": {"rate": np.ones(2), "limit": 0.0}}, "'rate' must be"),
        ({"jumps": [(0.1, lambda m, s, p: {})]}, "'jumps' must be at grid points"),
        ({"jumps": [(0.25, lambda m, s, p: {})]}, "'jumps' must be .*an even number of steps"),
        ({"drive": lambda t, is_left: ({"push": np.zeros((2, len(t)))}, {"push": 0 * t})}, "'push' must be"),
    ],
)
def test_what_cannot_be_used_is_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        run(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": {"rate": 1.0}}, "Unknown parameter 'limit'"),
        ({"outputs": ["othr"]}, "Unknown output 'othr'. Did you mean 'other'"),
        ({"jumps": [(0.0, lambda m, s, p: {"dept": 1.0})]}, "Unknown state 'dept'"),
        ({"drive": lambda t, is_left: ({}, {})}, "Unknown drive 'push'"),
        ({"drive": lambda t, is_left: ({"push": t}, {})}, "Unknown slope of a drive 'push'"),
    ],
)
def test_unknown_names_are_refused(changes, message):
    with pytest.raises(UnknownNameError, match=message):
        run(**changes)


def test_a_drive_may_be_constant_in_time_for_each_patient():
    constant = np.array([[1.0], [2.0], [3.0]])
    found = run(
        drive=lambda t, is_left: ({"push": constant}, {"push": 0 * constant}),
        parameters={"rate": 0.0, "limit": 0.0},
        outputs=["depth"],
    )
    np.testing.assert_allclose(found.values["depth"][:, -1], 10 * constant[:, 0], rtol=1e-13, atol=0)


def test_a_failed_solve_names_patient_time_state_and_term():
    with pytest.raises(SolveFailedError, match=r"patient 2 .* 'depth' .*sqrt\(other - limit\)") as caught:
        run(parameters={"rate": np.array([0.0, 0.0, 0.2]), "limit": np.array([0.0, 0.0, 0.5])})
    error = caught.value
    assert isinstance(error, RunFailedError)
    assert (error.patient, error.state, error.term) == (2, "depth", "sqrt(other - limit)")
    crossing = np.log(2) / 0.2
    assert crossing - 0.25 <= error.time_h <= crossing


def test_an_output_asked_for_alone_is_what_it_is_among_all():
    equations = dataclasses.replace(
        DECAY,
        outputs=lambda m, s, d, p: {"one": s["other"] * p["rate"], "two": s["depth"] + d["push"]},
    )
    every = run(equations=equations, outputs=None).values
    assert list(every) == ["depth", "other", "one", "two"]
    for name in every:
        alone = run(equations=equations, outputs=[name]).values
        assert list(alone) == [name]
        assert alone[name].tobytes() == every[name].tobytes()


def test_an_output_may_not_take_the_name_of_a_state():
    equations = dataclasses.replace(DECAY, outputs=lambda m, s, d, p: {"depth": s["other"]})
    with pytest.raises(InvalidInputError, match="depth"):
        run(equations=equations)


def test_an_output_that_is_not_finite_names_itself():
    with pytest.raises(SolveFailedError, match="'worst'") as caught:
        run(outputs=["worst"])
    assert (caught.value.patient, caught.value.time_h) == (0, 10.0)


def test_a_jump_to_what_is_not_a_number_is_named():
    with pytest.raises(SolveFailedError, match="jump") as caught:
        run(jumps=[(5.0, lambda m, s, p: {"other": np.array([1.0, np.nan, 1.0])})])
    assert (caught.value.patient, caught.value.time_h, caught.value.state) == (1, 5.0, "other")


def test_structural_numbers_are_written_into_the_program():
    structural = dataclasses.replace(DECAY, structural=("limit",))
    parameters = {"rate": np.array([0.1, 0.1, 0.2]), "limit": 0.01}
    one = run(equations=structural, parameters=parameters, outputs=["depth"])
    other = run(parameters=parameters, outputs=["depth"])
    np.testing.assert_allclose(one.values["depth"], other.values["depth"], rtol=1e-14, atol=0)
    with pytest.raises(InvalidInputError, match="structural"):
        run(equations=structural, parameters=parameters | {"limit": np.ones(3)})
