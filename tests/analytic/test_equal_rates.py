"""Claim: rates that are equal or nearly equal cost no digits, and the closest gaps take the fallback."""

from __future__ import annotations

from decimal import Decimal
from math import exp, factorial

import numpy as np
import pytest
from tests.analytic import textbook

from euthymia.engine.linear import TOLERANCE, Input, assemble, respond, rounding_error

RELATIVE = 1e-10  # of the peak
GAPS = tuple(10.0**-power for power in range(2, 13))
TIMES = np.concatenate([[0.0, 1e-3, 0.01], np.linspace(0.05, 12.0, 60)])
K = 0.97
INPUTS = {"bolus": 0.0, "zero-order": 0.53}


def chain_modes(rates: list[float]) -> list[textbook.Mode]:
    """Modes of the amount in the last node of a chain after a unit bolus into the first; rates distinct.

    prod of the rates but the last x sum_i exp(-r_i t) / prod_(j != i) (r_j - r_i)
    """
    exact = [textbook.exact(rate) for rate in rates]
    factor = Decimal(1)
    for rate in exact[:-1]:
        factor *= rate
    modes = []
    for place, rate in enumerate(exact):
        divisor = Decimal(1)
        for index, other in enumerate(exact):
            if index != place:
                divisor *= other - rate
        modes.append((factor / divisor, rate))
    return modes


def chain(rates: list) -> list:
    arrays = [rate if isinstance(rate, np.ndarray) else np.array([rate]) for rate in rates]
    names = [f"n{place}" for place in range(len(rates))] + ["out"]
    return [(names[place], names[place + 1], array, True) for place, array in enumerate(arrays)]


def solve(flows: list, last: str, duration: float, *, steady: float | None = None):
    item = Input("n0", np.ones(1), 0.0, duration, 0.0, steady)
    return respond(assemble(flows, 1), [item], TIMES, {"a": {last: 1.0}})


def wanted(modes: list[textbook.Mode], duration: float, *, steady: float | None = None) -> np.ndarray:
    values = textbook.single_dose(modes, amount=1.0, duration=duration, times=TIMES)
    if steady is not None:
        earlier = textbook.earlier_doses(modes, amount=1.0, duration=duration, interval=steady, times=TIMES)
        values = [a + b for a, b in zip(values, earlier, strict=True)]
    return np.array([float(value) for value in values])


def assert_close(found: np.ndarray, right: np.ndarray) -> None:
    assert np.abs(found - right).max() / right.max() <= RELATIVE


@pytest.mark.parametrize("duration", INPUTS.values(), ids=INPUTS)
@pytest.mark.parametrize("gap", GAPS)
class TestNearlyEqual:
    def test_absorption_near_elimination(self, gap: float, duration: float):
        rates = [K * (1 + gap), K]
        assert_close(solve(chain(rates), "n1", duration).values["a"][0], wanted(chain_modes(rates), duration))

    def test_elimination_just_above_absorption(self, gap: float, duration: float):
        rates = [K, K * (1 + gap)]
        assert_close(solve(chain(rates), "n1", duration).values["a"][0], wanted(chain_modes(rates), duration))

    def test_two_delays_near_each_other(self, gap: float, duration: float):
        rates = [5.97, 5.97 * (1 + gap), K]
        assert_close(solve(chain(rates), "n2", duration).values["a"][0], wanted(chain_modes(rates), duration))

    def test_three_rates_near_each_other(self, gap: float, duration: float):
        rates = [K, K * (1 + gap), K * (1 - gap), 0.2]
        assert_close(solve(chain(rates), "n3", duration).values["a"][0], wanted(chain_modes(rates), duration))

    def test_absorption_near_an_equal_pair_of_delays(self, gap: float, duration: float):
        """The pair shares one array and is an Erlang term; its limit is taken with a gap of 1e-40."""
        delay = np.array([5.97])
        flows = chain([5.97 * (1 + gap), delay, delay, K])
        modes = limit_modes([5.97 * (1 + gap), 5.97, 5.97, K])
        assert_close(solve(flows, "n3", duration).values["a"][0], wanted(modes, duration))

    def test_absorption_near_a_rate_of_two_compartments(self, gap: float, duration: float):
        body = textbook.two_compartments(volume=11.6, clearance=88.8, peripheral=(39.0, 145.8))
        for _, rate in body:
            ka = float(rate) * (1 + gap)
            flows = [
                ("n0", "central", np.array([ka]), True),
                ("central", "out", np.array([88.8]) / 11.6, True),
                ("central", "fast", np.array([145.8]) / 11.6, True),
                ("fast", "central", np.array([145.8]) / 39.0, True),
            ]
            found = solve(flows, "central", duration).values["a"][0] / 11.6
            assert_close(found, wanted(textbook.absorbed(body, ka), duration))

    def test_steady_state_of_absorption_near_elimination(self, gap: float, duration: float):
        rates = [K * (1 + gap), K]
        found = solve(chain(rates), "n1", duration, steady=12.0)
        assert_close(found.values["a"][0], wanted(chain_modes(rates), duration, steady=12.0))

    def test_integral_of_absorption_near_elimination(self, gap: float, duration: float):
        rates = [K * (1 + gap), K]
        item = Input("n0", np.ones(1), 0.0, duration)
        system = assemble(chain(rates), 1)
        area = respond(system, [item], np.array([500.0]), {"a": {"n1": 1.0}}, integrated=True).values["a"]
        assert area[0, 0] == pytest.approx(1.0 / K, rel=RELATIVE)


def limit_modes(rates: list[float]) -> list[textbook.Mode]:
    """Modes of a chain with equal rates moved apart by 1e-25: off by about 1e-25, of 80 digits 50 remain."""
    moved = [textbook.exact(rate) * (1 + place * Decimal("1e-25")) for place, rate in enumerate(rates)]
    factor = Decimal(1)
    for rate in moved[:-1]:
        factor *= rate
    modes = []
    for place, rate in enumerate(moved):
        divisor = Decimal(1)
        for index, other in enumerate(moved):
            if index != place:
                divisor *= other - rate
        modes.append((factor / divisor, rate))
    return modes


@pytest.mark.parametrize("is_same_array", [True, False], ids=["one array", "two equal arrays"])
class TestEqual:
    """Limits written out: t exp(-k t) and its kin. One array gives Erlang terms, two the fallback."""

    def test_bateman_function_with_equal_rates(self, is_same_array: bool):
        """A = D k t exp(-k t)."""
        one = np.array([K])
        response = solve(chain([one, one if is_same_array else one.copy()]), "n1", 0.0)
        assert_close(response.values["a"][0], K * TIMES * np.exp(-K * TIMES))
        assert response.by_exponential[0] != is_same_array

    @pytest.mark.parametrize("count", [2, 3, 4, 6])
    def test_chain_of_equal_delays(self, is_same_array: bool, count: int):
        """A_n = D (k t)^(n-1) / (n-1)! exp(-k t)."""
        one = np.array([K])
        response = solve(
            chain([one if is_same_array else one.copy() for _ in range(count)]), f"n{count - 1}", 0.0
        )
        right = (K * TIMES) ** (count - 1) / factorial(count - 1) * np.exp(-K * TIMES)
        assert_close(response.values["a"][0], right)
        assert response.by_exponential[0] != is_same_array

    @pytest.mark.parametrize("duration", [0.05, 0.53, 4.0])
    def test_equal_delays_under_a_constant_input(self, is_same_array: bool, duration: float):
        """Rising: D/T (1 - exp(-k t)(1 + k t)) / k for the second of two nodes; then its difference."""
        one = np.array([K])
        response = solve(chain([one, one if is_same_array else one.copy()]), "n1", duration)

        def filled(time: float) -> float:
            if time <= 0:
                return 0.0
            d = textbook.exact(K) * textbook.exact(time)
            return float((1 - (-d).exp() * (1 + d)) / textbook.exact(K) / textbook.exact(duration))

        right = np.array([filled(time) - filled(time - duration) for time in TIMES])
        assert_close(response.values["a"][0], right)

    def test_steady_state_of_equal_rates(self, is_same_array: bool):
        """sum_n k (t + n tau) e^(-k (t + n tau)) = k e^(-k t) (t/(1-q) + tau q/(1-q)^2), q = e^(-k tau)."""
        one, tau = np.array([K]), 12.0
        response = solve(chain([one, one if is_same_array else one.copy()]), "n1", 0.0, steady=tau)
        q = exp(-K * tau)
        right = K * np.exp(-K * TIMES) * (TIMES / (1 - q) + tau * q / (1 - q) ** 2)
        assert_close(response.values["a"][0], right)


@pytest.mark.parametrize("gap", [*GAPS, 0.0])
def test_fallback_answers_exactly_where_digits_would_be_lost(gap: float):
    """Bateman: coefficients k / gap cancel; extended precision bears gaps to about 1e-7."""
    response = solve(chain([K * (1 + gap), K]), "n1", 0.0)
    if gap <= 1e-9:
        assert response.by_exponential[0]
    if gap >= 1e-2:
        assert not response.by_exponential[0]


@pytest.mark.parametrize("gap", GAPS)
def test_estimated_rounding_error_is_no_promise_too_many(gap: float):
    """What the modal sum really loses stays below its estimate (times 4: a sum of a few roundings)."""
    from euthymia.engine.linear import evaluate, output_terms

    rates = [K * (1 + gap), K]
    system = assemble(chain(rates), 1)
    terms = output_terms(system, "n0", {"n1": 1.0})
    right = wanted(chain_modes(rates), 0.0)
    lost = np.abs(evaluate(terms, system.poles, TIMES)[0] - right).max() / right.max()
    assert lost <= 4 * rounding_error(terms, system.poles)[0]


def test_only_the_patient_whose_rates_meet_takes_the_fallback():
    ka, k = np.array([4.0, K * (1 + 1e-9), 2.0]), np.array([K, K, 0.5])
    flows = [("n0", "n1", ka, True), ("n1", "out", k, True)]
    item = Input("n0", np.ones(3), 0.0)
    response = respond(assemble(flows, 3), [item], TIMES, {"a": {"n1": 1.0}})
    assert response.by_exponential.tolist() == [False, True, False]
    for patient in range(3):
        assert_close(response.values["a"][patient], wanted(chain_modes([ka[patient], k[patient]]), 0.0))
    rest = [("n0", "n1", ka[[0, 2]], True), ("n1", "out", k[[0, 2]], True)]
    alone = respond(assemble(rest, 2), [Input("n0", np.ones(2), 0.0)], TIMES, {"a": {"n1": 1.0}}).values["a"]
    assert np.array_equal(response.values["a"][[0, 2]], alone), "a neighbour's fallback moved another patient"


def test_tolerance_keeps_a_tenth_of_the_promise():
    assert TOLERANCE <= 0.1 * RELATIVE
