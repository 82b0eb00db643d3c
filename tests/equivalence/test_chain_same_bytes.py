"""Claim: a virtual patient is the same to the byte, however it is cut, whoever is beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from euthymia import simulate
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.dosing.notation import parse_regimen
from euthymia.model.trajectory import Trajectory
from euthymia.population import solve as population
from euthymia.population.patient import Patient

pytestmark = pytest.mark.slow

REGIMEN = (
    "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 2; CBT 50 min at 26 h; "
    "escitalopram 10 mg po, daily x 4"
)
TIMES_H = np.unique(np.concatenate([np.linspace(0.0, 3.0, 13), np.linspace(3.0, 96.0, 32)]))


def run(patients: Any = 40, regimen: Any = REGIMEN, **more: Any) -> Trajectory:
    return simulate(regimen, **{"patients": patients, "times_h": TIMES_H, "days": 5, "seed": 11} | more)


def differing(found: Trajectory, right: Trajectory, rows: Any = slice(None)) -> list[str]:
    """Return the names whose bytes differ from those of some rows of another result."""
    assert found.values.keys() <= right.values.keys()
    return [
        name
        for name, values in found.values.items()
        if values.tobytes() != right.values[name][rows].tobytes()
    ]


@pytest.fixture(scope="module")
def whole() -> Trajectory:
    """Forty virtual patients with swings of mood, in one chunk."""
    return run(executor=SerialExecutor())


def test_patients_differ_and_seeds_matter(whole: Trajectory):
    last = whole["madrs_points"][:, -1]
    assert len(set(last)) == 40
    other = run(seed=12, variables=["madrs_points"])
    assert not np.any(other["madrs_points"][:, -1] == last)


@pytest.mark.parametrize("size", [1, 7, 39])
def test_chunks_change_no_byte(whole: Trajectory, size: int, monkeypatch: pytest.MonkeyPatch):
    count = 3 if size == 1 else 40
    monkeypatch.setattr(population, "PATIENTS_PER_CHUNK", size)
    assert differing(run(count, executor=SerialExecutor()), whole, slice(count)) == []


@pytest.mark.parametrize("executor", [ThreadExecutor(1), ThreadExecutor(3), None], ids=["1", "3", "default"])
def test_threads_change_no_byte(
    whole: Trajectory, executor: Executor | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(population, "PATIENTS_PER_CHUNK", 16)
    assert differing(run(executor=executor), whole) == []


def test_a_run_repeats_to_the_byte(whole: Trajectory):
    assert differing(run(executor=SerialExecutor()), whole) == []


@pytest.mark.parametrize("count", [1, 2, 17])
def test_the_first_patients_are_the_same_among_40(whole: Trajectory, count: int):
    assert differing(run(count), whole, slice(count)) == []


def test_patient_17_alone_in_its_chunk_equals_patient_17_of_40(
    whole: Trajectory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(population, "PATIENTS_PER_CHUNK", 16)
    alone = run(17)
    assert alone.patients[16] == "17"
    for name, values in alone.values.items():
        assert values[16].tobytes() == whole.values[name][16].tobytes(), name
    assert differing(whole.of_patient("17"), alone, [16]) == []


def test_a_list_of_patients_equals_their_number(whole: Trajectory):
    assert differing(run([Patient()] * 5), whole, slice(5)) == []


def test_a_neighbour_of_another_weight_or_history_moves_no_byte(whole: Trajectory):
    crowd = [Patient(), Patient(weight_kg=110.0), Patient(), Patient(is_hypertensive=True), Patient()]
    mixed = run(crowd)
    for row in (0, 2, 4):
        for name, values in mixed.values.items():
            assert values[row].tobytes() == whole.values[name][row].tobytes(), (row, name)
    assert not np.array_equal(mixed["madrs_points"][1], whole["madrs_points"][1])


def test_a_neighbour_whose_doses_are_held_moves_no_byte(whole: Trajectory):
    factors = np.ones((6, 2))
    factors[[1, 4]] = 0.0
    some = run(6, factors=factors)
    for row in (0, 2, 3, 5):
        for name, values in some.values.items():
            assert values[row].tobytes() == whole.values[name][row].tobytes(), (row, name)
    assert (some["ketamine_arterial"][[1, 4]] == 0.0).all()


def test_other_times_asked_for_move_no_byte(whole: Trajectory):
    places = [0, 3, 12, 20, 43]
    few = run(times_h=TIMES_H[places])
    chain = [name for name in few.values if not name.endswith(("ketamine_arterial", "ketamine_venous"))]
    assert len(chain) > 40
    for name in chain:
        assert few.values[name].tobytes() == whole.values[name][:, places].tobytes(), name


@pytest.mark.parametrize(
    "variables",
    [
        ["madrs_points"],
        ["bdi_points", "severity_fraction", "gamma_index_relative"],
        ["cadss_points", "s_ketamine_site", "mtorc1_relative", "stress_relative"],
        ["mood_noise_logit"],
    ],
    ids=len,
)
def test_asking_for_less_moves_no_byte(whole: Trajectory, variables: list[str]):
    less = run(variables=variables)
    assert list(less.values) == variables
    assert differing(less, whole) == []


def test_a_longer_horizon_moves_mood_by_no_more_than_its_grid(whole: Trajectory):
    """The last steps are fitted to the end of a run; what is drawn for a day stays."""
    longer = run(days=9)
    assert longer["mood_noise_logit"].tobytes() == whole["mood_noise_logit"].tobytes()
    np.testing.assert_allclose(longer["madrs_points"], whole["madrs_points"], rtol=0, atol=60 * 1e-4)


def test_text_and_objects_are_the_same_regimen(whole: Trajectory):
    assert differing(run(3, regimen=parse_regimen(REGIMEN)), whole, slice(3)) == []


def test_the_typical_patient_knows_no_seed():
    one, other = (run(None, seed=seed) for seed in (1, 2))
    assert differing(one, other) == []
    assert one.patients == ("typical",)


def test_progress_is_told_within_chunks_and_ends_at_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(population, "PATIENTS_PER_CHUNK", 2)
    seen: list[tuple[int, int]] = []
    run(5, variables=["madrs_points"], on_done=lambda done, count: seen.append((done, count)))
    assert seen[-1] == (300, 300)
    assert len(seen) > 9
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
