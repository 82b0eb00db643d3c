"""One patient's numbers are the same bytes in any batch, at any other times, in any blocks."""

from __future__ import annotations

import numpy as np
import pytest
from tests.equivalence.engine_systems import EVERYTHING, START, Doses, everything_parameters

from euthymia.engine import integrate as module
from euthymia.engine.grid import make_grid
from euthymia.engine.integrate import integrate

GRID = make_grid(0, 12, [0.0, 5.0])
TIMES = np.array([0.0, 0.3, 4.999, 5.0, 7.7, 12.0])
LARGEST = 1000


class SomeDoses(Doses):
    """The doses of some patients."""

    def __init__(self, chosen):
        super().__init__(LARGEST)
        self.sizes = self.sizes[chosen]


def values(chosen, times=TIMES):
    chosen = np.asarray(chosen)
    parameters = {
        name: value if name == "table" else value[chosen]
        for name, value in everything_parameters(LARGEST).items()
    }
    solution = integrate(
        EVERYTHING,
        parameters,
        START,
        SomeDoses(chosen),
        grid_h=GRID,
        times_h=times,
        outputs=None,
        patient_count=len(chosen),
    )
    return solution.values


@pytest.fixture(scope="module")
def whole():
    return values(range(LARGEST))


@pytest.mark.parametrize("patient", [0, 15, 17, 99])
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_patient_is_the_same_in_any_batch(whole, patient, size):
    chosen = [patient, *(other for other in range(100, 100 + size - 1))]
    for name, found in values(chosen).items():
        assert found[0].tobytes() == whole[name][patient].tobytes(), name


@pytest.mark.parametrize("place", [0, 3, 12, 32])
def test_a_patient_is_the_same_at_any_place_in_the_batch(whole, place):
    chosen = [*range(200, 200 + place), 17, *range(300, 333 - place)]
    for name, found in values(chosen).items():
        assert found[place].tobytes() == whole[name][17].tobytes(), name


def test_two_halves_are_the_whole(whole):
    halves = [values(range(437)), values(range(437, LARGEST))]
    for name, expected in whole.items():
        assert np.concatenate([half[name] for half in halves]).tobytes() == expected.tobytes(), name


def test_other_times_asked_for_move_nothing(whole):
    more = np.sort(np.concatenate([TIMES, np.linspace(0, 12, 101)]))
    found = values([17], more)
    for name, expected in whole.items():
        picked = found[name][0, np.searchsorted(more, TIMES)]
        assert picked.tobytes() == expected[17].tobytes(), name


@pytest.mark.parametrize(("pairs", "numbers"), [(5, 10**6), (32, 40), (3, 700)])
def test_the_size_of_blocks_moves_nothing(whole, monkeypatch, pairs, numbers):
    monkeypatch.setattr(module, "_PAIRS_PER_BLOCK", pairs)
    monkeypatch.setattr(module, "_NUMBERS_PER_BLOCK", numbers)
    for name, found in values(range(20)).items():
        assert found.tobytes() == whole[name][:20].tobytes(), name


def test_one_number_for_all_and_the_same_number_for_each_agree():
    parameters = everything_parameters(3) | {"K": 0.8, "n": 2.0}
    each = parameters | {"K": np.full(3, 0.8), "n": np.full(3, 2.0)}
    one, other = (
        integrate(
            EVERYTHING,
            given,
            START,
            Doses(3),
            grid_h=GRID,
            times_h=TIMES,
            outputs=None,
            patient_count=3,
        ).values
        for given in (parameters, each)
    )
    for name, found in one.items():
        assert found.tobytes() == other[name].tobytes(), name
