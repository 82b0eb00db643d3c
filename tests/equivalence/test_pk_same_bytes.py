"""Claim: same seed, same bytes: whoever runs it, however it is cut, whoever else is simulated beside."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from tests.registry import COMBINATIONS, INTEGRATED_SETS, REPRESENTATIVES, Combination, every, model_of

from euthymia import simulate_concentrations
from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.order import Order, Route
from euthymia.dosing.regimen import single
from euthymia.dosing.schedule import Repeated
from euthymia.engine.linear import TOLERANCE, Input, assemble, respond
from euthymia.model.concentrations import Epoch
from euthymia.model.pk import Given
from euthymia.model.trajectory import Metrics, Trajectory
from euthymia.population import concentrations as population
from euthymia.population.concentrations import Subject, simulate_subjects
from euthymia.population.patient import Patient

METRICS = tuple(field.name for field in fields(Metrics))
ALL = every(is_run=True)
FIRST_OF_A_SET = list(
    {one.set: one for one in reversed(COMBINATIONS) if one.set not in INTEGRATED_SETS}.values()
)


def numbers_of(course: Trajectory, rows: slice | list[int] = slice(None)) -> dict[str, np.ndarray]:
    """Return every number of a result by name, of some patients."""
    found = {name: values[rows] for name, values in course.values.items()}
    for name, metrics in course.metrics.items():
        found |= {f"{field} of {name}": getattr(metrics, field)[rows] for field in METRICS}
    return found | {"bioavailable_fraction": course.bioavailable_fraction[rows]}


def differing(found: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> list[str]:
    """Return the names whose bytes differ; -0.0 differs from 0.0, and NaN equals NaN."""
    return [name for name in found if found[name].tobytes() != right[name].tobytes()]


def assert_same_bytes(found: Trajectory, right: Trajectory, rows: slice | list[int] = slice(None)) -> None:
    one, other = numbers_of(found), numbers_of(right, rows)
    assert one.keys() == other.keys()
    assert differing(one, other) == []
    assert found.times_h.tobytes() == right.times_h.tobytes()


def run(combination: Combination, patients: int | None, **more: Any) -> Trajectory:
    regimen = more.pop("regimen", single(combination.order))
    kept = {"patient": combination.patient, "parameters": combination.set, "seed": 11}
    return simulate_concentrations(regimen, patients=patients, **kept, **more)


def few(combination: Combination) -> int:
    """Return a number of patients that makes some chunks."""
    return 3 if combination.set in INTEGRATED_SETS else 6


def cut(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(population, "CHUNK_SIZE_RANGE", (size, size))


@ALL
def test_threads_change_no_byte(combination: Combination, monkeypatch: pytest.MonkeyPatch):
    count = few(combination)
    cut(monkeypatch, 1 if count < 5 else 2)
    serial = run(combination, count, executor=SerialExecutor())
    for workers in (1, 2, 3):
        assert_same_bytes(run(combination, count, executor=ThreadExecutor(workers)), serial)


@ALL
def test_chunks_change_no_byte(combination: Combination, monkeypatch: pytest.MonkeyPatch):
    count = few(combination)
    whole = run(combination, count, executor=SerialExecutor())
    for size in (1, count - 1):
        cut(monkeypatch, size)
        assert_same_bytes(run(combination, count, executor=SerialExecutor()), whole)


SOLVED = [one for one in REPRESENTATIVES if one.set not in INTEGRATED_SETS]


@pytest.mark.slow
@pytest.mark.parametrize("combination", SOLVED, ids=str)
def test_patient_17_is_the_same_among_40_or_1000_however_they_are_cut(
    combination: Combination, monkeypatch: pytest.MonkeyPatch
):
    """Vector instructions take odd lengths differently at their ends; patients must not notice."""
    many, some = run(combination, 1000), run(combination, 40)
    assert_same_bytes(some, many, slice(40))
    assert differing(numbers_of(some, [16]), numbers_of(many, [16])) == []
    cut(monkeypatch, 333)
    assert_same_bytes(run(combination, 1000, executor=ThreadExecutor(2)), many)


def test_number_of_values_in_a_chunk_changes_no_byte(monkeypatch: pytest.MonkeyPatch):
    whole = run(COMBINATIONS[0], 30)
    monkeypatch.setattr(population, "CHUNK_VALUES", 1)
    monkeypatch.setattr(population, "CHUNK_SIZE_RANGE", (7, 2500))
    assert_same_bytes(run(COMBINATIONS[0], 30), whole)


@pytest.mark.parametrize("combination", SOLVED, ids=str)
def test_a_run_repeats_to_the_byte(combination: Combination):
    assert_same_bytes(run(combination, 3), run(combination, 3))


@ALL
def test_patient_3_is_the_same_among_3_or_20(combination: Combination):
    assert_same_bytes(
        run(combination, 3), run(combination, 20 if combination.set not in INTEGRATED_SETS else 4), slice(3)
    )


def test_patients_differ_and_seeds_matter():
    one = run(COMBINATIONS[0], 20)
    cmax = next(iter(one.metrics.values())).cmax
    assert len(set(cmax)) == 20
    other = simulate_concentrations(
        single(COMBINATIONS[0].order), patients=20, parameters=COMBINATIONS[0].set, seed=12
    )
    assert not np.any(cmax == next(iter(other.metrics.values())).cmax)


@pytest.mark.parametrize("combination", FIRST_OF_A_SET, ids=str)
def test_a_list_of_patients_equals_their_number(combination: Combination):
    listed = simulate_concentrations(
        single(combination.order), patients=[combination.patient] * 5, parameters=combination.set, seed=11
    )
    assert_same_bytes(listed, run(combination, 5))


def test_a_neighbour_of_another_weight_moves_no_byte():
    text = "ketamine 0.5 mg/kg iv over 40 min; ketamine 50 mg sublingual at 24 h"
    alike = simulate_concentrations(text, patients=[Patient(weight_kg=70.0)] * 4, seed=5)
    mixed = simulate_concentrations(
        text, patients=[Patient(weight_kg=weight) for weight in (70.0, 55.0, 70.0, 110.0)], seed=5
    )
    for row in (0, 2):
        assert differing(numbers_of(mixed, [row]), numbers_of(alike, [row])) == []
    assert not np.array_equal(mixed.values["norketamine"][1], alike.values["norketamine"][1])


def test_a_neighbour_with_comedication_moves_no_byte():
    # exposure ratios of 1 multiply and divide by 1.0, which is exact
    plain, ill = Patient(), Patient.create(comedications=["ticlopidine"])
    alike = simulate_concentrations("ketamine 60 mg oral", patients=[plain] * 3, seed=5)
    mixed = simulate_concentrations("ketamine 60 mg oral", patients=[plain, ill, plain], seed=5)
    for row in (0, 2):
        assert differing(numbers_of(mixed, [row]), numbers_of(alike, [row])) == []


# --- how it was written --------------------------------------------------------------------------

COURSE = single(
    Order.create(
        drug="ketamine", route=Route.IV_INFUSION, amount=0.5, amount_unit="mg/kg", duration_min=40.0
    ),
    schedule=Repeated.create(pattern="twice weekly", count=4),
)


@pytest.mark.parametrize(
    "text",
    [
        "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 4",
        "Ketamine  0.5 mg/kg  IV over 40 min, twice weekly x 4",
        print_regimen(COURSE),
    ],
)
def test_text_and_objects_are_the_same_regimen(text: str):
    assert_same_bytes(simulate_concentrations(text, patients=3), simulate_concentrations(COURSE, patients=3))
    assert_same_bytes(
        simulate_concentrations(parse_regimen(text), patients=3), simulate_concentrations(COURSE, patients=3)
    )


def subject(number: int, text: str, *, weight_kg: float = 70.0) -> Subject:
    doses = parse_regimen(text).doses(weight_kg)
    epoch = Epoch(0.0, tuple(Given(dose) for dose in doses))
    return Subject(label=str(number), patient=Patient(weight_kg=weight_kg), number=number, epochs=(epoch,))


INFUSION = "ketamine 0.5 mg/kg iv over 40 min"


def test_subject_17_of_an_event_table_is_patient_17():
    table = simulate_subjects([subject(17, INFUSION)], is_random=True, seed=11, days=3)
    assert_same_bytes(table, simulate_concentrations(INFUSION, patients=40, seed=11, days=3), [16])


def test_order_and_company_of_subjects_move_no_byte():
    times = np.linspace(0.0, 60.0, 61)
    group = [
        subject(1, INFUSION),
        subject(2, "esketamine 28 mg in, daily x 2"),
        subject(3, INFUSION),
        subject(4, INFUSION),
    ]
    keep: dict[str, Any] = {"is_random": True, "seed": 4, "times_h": times, "days": 4}
    together = simulate_subjects(group, **keep)
    backwards = simulate_subjects(group[::-1], **keep)
    for row in range(4):
        for name, values in backwards.values.items():
            assert values[3 - row].tobytes() == together.values[name][row].tobytes(), (row, name)
    alone = simulate_subjects([group[2]], **keep)
    for name, values in alone.values.items():
        assert values[0].tobytes() == together.values[name][2].tobytes(), name


# --- what was asked for --------------------------------------------------------------------------


def moved_by_asking_for_less(combination: Combination) -> dict[str, float]:
    """Return by how much of its peak each variable moves when it is asked for alone, where its bytes do."""
    everything = run(combination, 60)
    moved = {}
    for name, values in everything.values.items():
        alone = run(combination, len(values), variables=[name]).values[name]
        if alone.tobytes() != values.tobytes():
            moved[name] = float((np.abs(alone - values).max(axis=1) / values.max(axis=1)).max())
    return moved


@pytest.mark.parametrize("combination", FIRST_OF_A_SET, ids=str)
def test_asking_for_one_variable_moves_it_within_the_certificate(combination: Combination):
    assert all(off <= TOLERANCE for off in moved_by_asking_for_less(combination).values())


def test_asking_for_one_variable_moves_no_byte():
    moved = {str(one): found for one in FIRST_OF_A_SET if (found := moved_by_asking_for_less(one))}
    assert moved == {}


TIMES_ASKED = ([0.25, 1.0, 2.0, 7.3, 30.0], [2.0], [1.0, 2.0, 2.5, 40.0])


def moved_by_other_times(combination: Combination) -> np.ndarray:
    """Return whether each of 60 drawn patients moved, and whether they took the fallback, (2, P)."""
    model = model_of(combination, combination.doses(), numbers=range(1, 61), seed=11)
    answers = [respond(model.system, model.inputs, np.array(times), model.observed) for times in TIMES_ASKED]
    moved = np.zeros(60, dtype=bool)
    for answer, times in zip(answers, TIMES_ASKED, strict=True):
        for name, values in answer.values.items():
            moved |= values[:, times.index(2.0)] != answers[1].values[name][:, 0]
    return np.stack([moved, answers[0].by_exponential])


@ALL
def test_other_times_asked_for_move_no_byte(combination: Combination):
    moved, is_fallback = moved_by_other_times(combination)
    assert not np.any(moved & ~is_fallback)


def test_other_times_asked_for_move_no_byte_of_the_fallback():
    """Rates that are equal but not one array: every patient is solved by matrix exponentials."""
    rate, count = np.array([0.4, 0.97, 3.1]), 3
    flows = [("a", "b", rate, True), ("b", "c", rate.copy(), True), ("c", None, 0.3 * rate, True)]
    inputs = [Input("a", np.ones(count), 0.0, 0.7), Input("b", np.ones(count), 1.1)]
    outputs = {"b": {"b": 1.0}, "c": {"c": 1.0}}
    answers = [respond(assemble(flows, count), inputs, np.array(times), outputs) for times in TIMES_ASKED]
    assert answers[0].by_exponential.all()
    for answer, times in zip(answers, TIMES_ASKED, strict=True):
        for name, values in answer.values.items():
            assert values[:, times.index(2.0)].tobytes() == answers[1].values[name][:, 0].tobytes(), name


@pytest.mark.parametrize("combination", FIRST_OF_A_SET, ids=str)
def test_metrics_or_none_move_no_byte_of_the_curve(combination: Combination):
    times = np.linspace(0.0, 20.0, 33)
    with_metrics = run(combination, 5, times_h=times)
    without = run(combination, 5, times_h=times, with_metrics=False)
    assert differing(dict(without.values), dict(with_metrics.values)) == []


DIGEST = """
import hashlib
from euthymia import simulate_concentrations
from euthymia.model.parameters import load_parameters
meet = {"sublingual_gut_transit_h": 0.4, "sublingual_swallowed_rate_per_h": 2.5}
equal = load_parameters().with_overrides(meet)
asked = {"patients": 4, "seed": 11, "variables": ["norketamine"]}
course = simulate_concentrations("ketamine 0.5 mg/kg sublingual", parameters=equal, **asked)
assert course.certificate.patients_by_matrix_exponential > 0
print(hashlib.sha256(b"".join(values.tobytes() for values in course.values.values())).hexdigest())
"""


@pytest.mark.slow
def test_threads_of_the_linear_algebra_library_change_no_byte():
    """Matrix exponentials and eigenvectors come from OpenBLAS, which has threads of its own."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "OPENBLAS_NUM_THREADS": count},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for count in ("1", "2")
    }
    assert len(digests) == 1
