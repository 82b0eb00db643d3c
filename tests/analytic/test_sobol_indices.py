"""Sobol indices and local effects against closed forms, through the code that the command uses."""

from __future__ import annotations

from math import erf, pi, sqrt
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError, MissingExtraError
from euthymia.population.sensitivity_indices import Sobol, local_effects, sobol_indices

Array = NDArray[np.float64]
A, B = 7.0, 0.1
NAMES = ("x1", "x2", "x3", "idle")


def angles(z: Array) -> Array:
    """Return angles, even from -pi to pi, of standard normals; by an own distribution function."""
    below = np.vectorize(lambda one: 0.5 * (1.0 + erf(one / sqrt(2.0))))(z)
    return -pi + 2.0 * pi * below


def ishigami(z: Array) -> dict[str, Array]:
    """Return Ishigami's function of three inputs, and what does not move; a fourth input does nothing."""
    x = angles(z)
    value = np.sin(x[:, 0]) + A * np.sin(x[:, 1]) ** 2 + B * x[:, 2] ** 4 * np.sin(x[:, 0])
    return {"ishigami": value, "still": np.full(len(z), 3.0)}


PARTS = {
    "x1": 0.5 * (1.0 + B * pi**4 / 5.0) ** 2,
    "x2": A**2 / 8.0,
    "x1 x3": B**2 * pi**8 * (1.0 / 18.0 - 1.0 / 50.0),
}
VARIANCE = sum(PARTS.values())
FIRST = {"x1": PARTS["x1"] / VARIANCE, "x2": PARTS["x2"] / VARIANCE, "x3": 0.0, "idle": 0.0}
TOTAL = FIRST | {"x1": 1.0 - PARTS["x2"] / VARIANCE, "x3": PARTS["x1 x3"] / VARIANCE}


@pytest.fixture(scope="module")
def found() -> Sobol:
    return sobol_indices(ishigami, NAMES, samples=2048, seed=3)["ishigami"]


@pytest.mark.parametrize("name", NAMES)
def test_indices_are_those_of_the_closed_form_within_their_intervals(found: Sobol, name: str):
    one = found.indices[name]
    assert abs(one.first - FIRST[name]) <= one.first_half_width
    assert abs(one.total - TOTAL[name]) <= one.total_half_width
    # intervals that said nothing would pass the lines above
    assert max(one.first_half_width, one.total_half_width) < 0.08


def test_mean_and_spread_are_those_of_the_closed_form(found: Sobol):
    assert found.mean == pytest.approx(A / 2.0, abs=0.05)
    assert found.sd == pytest.approx(sqrt(VARIANCE), rel=0.02)


def test_an_input_that_cannot_matter_has_no_index_at_all(found: Sobol):
    one = found.indices["idle"]
    assert (one.first, one.total, one.first_half_width, one.total_half_width) == (0.0, 0.0, 0.0, 0.0)


def test_what_does_not_move_has_no_indices():
    still = sobol_indices(ishigami, NAMES, samples=64, seed=3)["still"]
    assert still.indices == {}
    assert (still.mean, still.sd) == (3.0, 0.0)


def test_groups_take_in_the_interactions_within_them():
    groups = ("one and three", "two", "one and three", "idle")
    found = sobol_indices(ishigami, NAMES, samples=2048, seed=3, groups=groups)["ishigami"].indices
    apart = 1.0 - FIRST["x2"]
    assert list(found) == ["one and three", "two", "idle"]
    for name, share in (("one and three", apart), ("two", FIRST["x2"]), ("idle", 0.0)):
        assert abs(found[name].first - share) <= found[name].first_half_width
        assert abs(found[name].total - share) <= found[name].total_half_width


def test_intervals_cover_at_about_their_level():
    is_inside = []
    for seed in range(1, 41):
        one = sobol_indices(ishigami, NAMES, samples=256, seed=seed)["ishigami"].indices
        is_inside += [abs(one[name].total - TOTAL[name]) <= one[name].total_half_width for name in NAMES[:3]]
    # resampling takes the points as independent, which a balanced sequence is better than
    assert np.mean(is_inside) >= 0.9


def test_same_seed_same_numbers_another_seed_others():
    first, again, other = (sobol_indices(ishigami, NAMES, samples=256, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first["ishigami"].indices["x1"] != other["ishigami"].indices["x1"]


def test_no_global_generator_is_read_or_moved():
    np.random.seed(5)  # the global generator is what is looked at
    before = np.random.get_state()[1].tolist()  # pyright: ignore[reportArgumentType]
    first = sobol_indices(ishigami, NAMES, samples=64, seed=0)
    assert np.random.get_state()[1].tolist() == before
    np.random.seed(6)
    assert sobol_indices(ishigami, NAMES, samples=64, seed=0) == first


def _identity(z: Any) -> Any:
    return z


def test_local_effects_are_those_of_a_polynomial():
    def cubic(z: Array) -> dict[str, Array]:
        return {"y": 2.0 + 3.0 * z[:, 0] + z[:, 1] ** 2 - 0.5 * z[:, 0] * z[:, 1] + 0.0 * z[:, 2]}

    typical, local = local_effects(cubic, (0.0, 2.0, 0.0), (np.exp, _identity, _identity))
    first, second, idle = local["y"]
    assert typical == {"y": 6.0}
    assert first.slope_per_sd == pytest.approx(3.0 - 0.5 * 2.0, rel=1e-12)
    assert (first.at_low, first.at_high) == pytest.approx((6.0 - 2.0, 6.0 + 2.0), rel=1e-12)
    assert second.slope_per_sd == pytest.approx(2.0 * 2.0, rel=1e-12)
    assert (second.at_low, second.at_high) == pytest.approx((3.0, 3.0), rel=1e-12)
    # d ln y / d ln p: p = exp(z) for the first (sinh(0.1) / 0.1 by central differences), p = z for the second
    assert first.elasticity == pytest.approx(2.0 / 6.0, rel=0.0017)
    assert second.elasticity == pytest.approx(4.0 * 2.0 / 6.0, rel=1e-12)
    assert (idle.size, idle.share, idle.elasticity) == (0.0, 0.0, None)
    assert first.share + second.share == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("samples", [0, 32, 1000, 2**17])
def test_samples_are_a_power_of_two(samples: int):
    with pytest.raises(InvalidInputError, match=r"'samples' must be a power of two from 64 to 65536\. Got"):
        sobol_indices(ishigami, NAMES, samples=samples, seed=1)


def test_without_salib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    import sys

    for name in [one for one in sys.modules if one.split(".")[0] == "SALib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "SALib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'euthymia\[fit\]'"):
        sobol_indices(ishigami, NAMES, samples=64, seed=1)
