"""Runs of the pages: within the tolerance of the library's own, computed once, bounded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from euthymia.model.chain import TOLERANCE
from euthymia.model.course import Pulse
from euthymia.population.run import Life
from euthymia.population.simulate import simulate
from euthymia.web import runs
from euthymia.web.problems import BusyError
from euthymia.web.runs import Ask, Memory, simulated

OBSERVED = (
    "madrs_points",
    "cadss_points",
    "glutamate_surge_relative",
    "prefrontal_synapses_fraction",
    "window_of_plasticity_fraction",
    "systolic_rise_mmHg",
)


@pytest.mark.parametrize(
    "regimen",
    [
        "ketamine 0.63 mg/kg iv over 40 min",
        "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 8; escitalopram 10 mg daily x 40",
        "esketamine 84 mg intranasal, twice weekly x 4; CBT 60 min at 12, 13, 15 d",
        "ketamine 120 mg er",
    ],
)
@pytest.mark.parametrize("stress", [0.0, 2.5])
def test_the_grid_of_the_reference_keeps_to_the_tolerance_of_the_command_line(regimen: str, stress: float):
    life = Life(stress=(Pulse(400.0, 800.0, stress),) if stress else ())
    found = simulated(Ask(regimen=regimen, days=45.0, variables=OBSERVED, life=life))
    wanted = simulate(regimen, days=45.0, variables=OBSERVED, life=life, engine="c")
    assert found.certificate.patients_over == 0
    for name in OBSERVED:
        scale = np.abs(wanted[name]).max()
        np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=2 * TOLERANCE * scale)


def test_the_grid_of_a_well_start_keeps_to_the_tolerance_too():
    life = Life(stress=(Pulse(0.0, 1000.0, 2.5),), is_well=True)
    names = ("madrs_points", "prefrontal_synapses_fraction")
    found = simulated(Ask(regimen=None, days=200.0, variables=names, life=life))
    wanted = simulate(None, days=200.0, variables=names, life=life, engine="c")
    for name in names:
        np.testing.assert_allclose(
            found[name], wanted[name], rtol=0, atol=2 * TOLERANCE * np.abs(wanted[name]).max()
        )


def test_equal_asks_are_one_run():
    one, other = (Ask(regimen=None, days=3.0, variables=("madrs_points",)) for _ in range(2))
    assert simulated(one) is simulated(other)


def test_who_asks_while_it_is_computed_waits_for_the_same():
    memory, begun, go, calls = Memory(10), Event(), Event(), []

    def slow() -> object:
        calls.append(1)
        begun.set()
        assert go.wait(10)
        return object()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(memory.get, "key", slow)
        assert begun.wait(10)
        others = [pool.submit(memory.get, "key", slow) for _ in range(2)]
        assert "key" not in memory
        go.set()
        found = {id(one.result(10)) for one in (first, *others)}
    assert len(found) == len(calls) == 1
    assert "key" in memory


def test_a_failure_is_not_remembered():
    memory = Memory(10)

    def fail() -> None:
        message = "once"
        raise ValueError(message)

    with pytest.raises(ValueError, match="once"):
        memory.get("key", fail)
    assert memory.get("key", lambda: 5) == 5


def test_the_least_used_is_forgotten():
    memory = Memory(2)
    for key in "ab":
        memory.get(key, lambda: 0)
    memory.get("a", lambda: 0)
    memory.get("c", lambda: 0)
    assert ["a" in memory, "b" in memory, "c" in memory] == [True, False, True]


def test_too_many_at_once_are_refused_and_may_try_again(monkeypatch: pytest.MonkeyPatch, client):
    monkeypatch.setattr(runs, "_queue", runs.BoundedSemaphore(1))
    runs._queue.acquire()
    with pytest.raises(BusyError):
        simulated(Ask(regimen=None, days=4.0, variables=("madrs_points",)))
    answer = client.get("/api/story/chapters/pace?dose=0.123")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    runs._queue.release()
    assert client.get("/api/story/chapters/pace?dose=0.123").status_code == 200
