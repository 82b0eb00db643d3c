"""Many parameter sets at once give what each gives alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.errors import UnknownNameError
from euthymia.model.parameters import load_parameters
from euthymia.population import batch_of_sets
from euthymia.population.batch_of_sets import solve_sets, with_arrays
from euthymia.population.patient import Patient
from euthymia.population.run import Run, prepare
from euthymia.population.sensitivity_inputs import BETWEEN_PEOPLE, inputs_of, values_of
from euthymia.population.simulate import simulate
from euthymia.population.solve import calibrate
from euthymia.streams import normals

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
TIMES_H = [0.0, 0.5, 24.0, 168.0]
NAMES = ("madrs_points", "cadss_points", "systolic_rise_mmHg")


def prepared(regimen: str = INFUSION, **more: object) -> Run:
    return calibrate(prepare(regimen, times_h=TIMES_H, variables=NAMES, **more))  # pyright: ignore[reportArgumentType]


def everything(times_h: np.ndarray, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Read every value of every course."""
    del times_h
    return dict(values)


@pytest.mark.parametrize("engine", ["numpy", "c"])
def test_people_of_a_batch_are_the_virtual_patients_of_simulate(engine: str):
    chosen = load_parameters()
    inputs = [one for one in inputs_of(chosen) if one.group == BETWEEN_PEOPLE]
    people = np.array([3, 17, 18])
    # the draws of these patients, by the key that the population uses
    z = np.column_stack(
        [normals(seed=9, purpose="individual", field=one.name, patients=people) for one in inputs]
    )
    values, dose_relative = values_of(chosen, inputs, z)
    found = solve_sets(prepared(engine=engine), values, dose_relative=dose_relative, read=everything)
    course = simulate(
        INFUSION,
        patients=[Patient()] * 3,
        numbers=people,
        seed=9,
        times_h=TIMES_H,
        variables=NAMES,
        has_mood_noise=False,
        engine=engine,
    )
    for name in NAMES:
        assert np.array_equal(found[name], course[name]), name


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("severity.synapse_weight_logit", 1.2),
        ("expectancy.slow_time_h", 700.0),
        ("pk.s_clearance_L_per_h", 60.0),
        ("site.equilibration_rate_per_h", 4.0),
    ],
)
def test_a_set_of_a_batch_is_the_set_with_that_override(name: str, number: float):
    # others beside it must not leak into it
    values = {
        name: np.array([load_parameters().with_overrides({name: number}).overrides[name], number * 1.3])
    }
    found = solve_sets(prepared(), values, dose_relative=np.ones(2), read=everything)
    alone = simulate(
        INFUSION,
        times_h=TIMES_H,
        variables=NAMES,
        parameters=load_parameters().with_overrides({name: number}),
    )
    for stem in NAMES:
        np.testing.assert_allclose(found[stem][0], alone[stem][0], rtol=1e-12, atol=1e-12)
    assert any(not np.allclose(found[stem][0], found[stem][1], rtol=1e-6) for stem in NAMES)


def test_doses_are_those_of_the_regimen_times_their_factor():
    regimen = f"{INFUSION}, weekly x 2"
    found = solve_sets(prepared(regimen), {}, dose_relative=np.array([0.5, 1.0, 1.5]), read=everything)
    for place, mg_per_kg in enumerate((0.25, 0.5, 0.75)):
        alone = simulate(regimen.replace("0.5", f"{mg_per_kg:g}"), times_h=TIMES_H, variables=NAMES)
        for name in NAMES:
            np.testing.assert_allclose(found[name][place], alone[name][0], rtol=1e-9, atol=1e-9)


def test_chunks_and_executors_change_nothing(monkeypatch: pytest.MonkeyPatch):
    values = {"severity.synapse_weight_logit": np.linspace(1.0, 3.0, 7)}
    run, ones = prepared(engine="c"), np.ones(7)
    whole = solve_sets(run, values, dose_relative=ones, read=everything, executor=SerialExecutor())
    monkeypatch.setattr(batch_of_sets, "SETS_PER_CHUNK", 2)
    done: list[int] = []
    cut = solve_sets(
        run,
        values,
        dose_relative=ones,
        read=everything,
        executor=ThreadExecutor(2),
        on_done=done.append,
    )
    assert all(np.array_equal(whole[name], cut[name]) for name in NAMES)
    assert done == [2, 4, 6, 7]


def test_unknown_fields_are_refused():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'severity\.synapse_weight_logit'"):
        with_arrays(load_parameters(), {"severity.synapse_weight_logits": np.ones(2)})
