"""Mechanisms after the same calibration: scores, weights, and emulators made of a difference."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from euthymia.calibration.emulator import features, fit_emulator
from euthymia.calibration.rivals import Compared, standings

STUDIES = tuple((f"s{one}",) for one in range(8))


def compared(name: str, predicted: list[float]) -> Compared:
    values = np.array(predicted, float)
    return Compared(
        mechanism=name,
        studies=STUDIES,
        predicted=values,
        fitted=values + 0.5,
        center={},
        differs=True,
        r_hat=1.0,
    )


def test_who_predicts_best_comes_first_and_gaps_have_their_standard_error():
    best = [-2.0, -1.0, -3.0, -2.0, -1.0, -2.0, -3.0, -2.0]
    gaps = np.array([-1.0, -2.0, -1.0, -2.0, -1.0, -2.0, -1.0, -2.0])
    rows = standings([compared("b", list(np.array(best) + gaps)), compared("a", best)])
    assert [row["mechanism"] for row in rows] == ["a", "b"]
    assert rows[0]["behind"] == rows[0]["behind_sd"] == 0.0
    assert rows[1]["behind"] == pytest.approx(-12.0)
    assert rows[1]["behind_sd"] == pytest.approx(np.sqrt(8) * gaps.std(ddof=1))
    assert rows[1]["is_separated"]
    assert rows[0]["weight"] > 0.99
    assert sum(row["weight"] for row in rows) == pytest.approx(1.0)
    assert rows[1]["worst"][0][1] == -2.0


def test_a_small_gap_separates_nothing_and_alike_weigh_alike():
    first = [-2.0] * 8
    rows = standings([compared("a", first), compared("b", [-2.1] * 8), compared("c", first)])
    assert not any(row["is_separated"] for row in rows)
    weights = {row["mechanism"]: row["weight"] for row in rows}
    assert weights["a"] == pytest.approx(weights["c"])
    assert weights["a"] > weights["b"]


def test_a_difference_that_is_the_same_everywhere_is_learnt_from_fewer_points_than_terms():
    rng = np.random.default_rng(1)
    z = rng.standard_normal((20, 12))
    noise = 0.05 * rng.standard_normal(20)
    found = fit_emulator(z, (3.0 + noise)[:, None], is_difference=True)
    away = features(rng.standard_normal((200, 12))) @ found.coefficients
    assert_allclose(away[:, 0], 3.0, atol=0.1)
    plain = fit_emulator(z, (3.0 + noise)[:, None])
    assert found.error_sd[0] <= plain.error_sd[0]
