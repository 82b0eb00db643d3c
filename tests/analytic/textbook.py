"""Textbook pharmacokinetics with 80 digits: what the engine must equal, written without the engine.

A disposition is a list of modes (coefficient, rate): the concentration after a unit bolus is
sum_i c_i exp(-rate_i t). Inputs, absorption and repetition act on modes, as in the usual tables
(Gibaldi and Perrier, Pharmacokinetics; Bertrand and Mentre, Monolix library of models).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, getcontext

import numpy as np

getcontext().prec = 80
Mode = tuple[Decimal, Decimal]


def exact(number: float) -> Decimal:
    """Return a float as the number that it is, all digits."""
    return Decimal(float(number))


def one_compartment(*, volume: float, clearance: float) -> list[Mode]:
    """C = 1/V exp(-CL/V t)."""
    return [(1 / exact(volume), exact(clearance) / exact(volume))]


def two_compartments(*, volume: float, clearance: float, peripheral: Sequence[float]) -> list[Mode]:
    """A = (alpha - k21) / V / (alpha - beta), B = (k21 - beta) / V / (alpha - beta)."""
    v, k10 = exact(volume), exact(clearance) / exact(volume)
    k12, k21 = exact(peripheral[1]) / v, exact(peripheral[1]) / exact(peripheral[0])
    total = k10 + k12 + k21
    root = (total * total - 4 * k10 * k21).sqrt()
    alpha, beta = (total + root) / 2, (total - root) / 2
    return [((alpha - k21) / v / (alpha - beta), alpha), ((k21 - beta) / v / (alpha - beta), beta)]


def three_compartments(
    *, volume: float, clearance: float, first: Sequence[float], second: Sequence[float]
) -> list[Mode]:
    """A_i = (k21 - l_i)(k31 - l_i) / V / prod_(j != i) (l_j - l_i), l the roots of the cubic.

    l^3 - (k10 + k12 + k13 + k21 + k31) l^2
        + (k10 k21 + k10 k31 + k12 k31 + k13 k21 + k21 k31) l - k10 k21 k31 = 0
    """
    v, k10 = exact(volume), exact(clearance) / exact(volume)
    k12, k21 = exact(first[1]) / v, exact(first[1]) / exact(first[0])
    k13, k31 = exact(second[1]) / v, exact(second[1]) / exact(second[0])
    cubic = (
        Decimal(1),
        -(k10 + k12 + k13 + k21 + k31),
        k10 * k21 + k10 * k31 + k12 * k31 + k13 * k21 + k21 * k31,
        -k10 * k21 * k31,
    )
    rates = polynomial_roots(cubic)
    modes = []
    for place, rate in enumerate(rates):
        others = [other for index, other in enumerate(rates) if index != place]
        modes.append(((k21 - rate) * (k31 - rate) / v / ((others[0] - rate) * (others[1] - rate)), rate))
    return modes


def polynomial_roots(coefficients: Sequence[Decimal]) -> list[Decimal]:
    """Return real, separate roots: Newton's method from those that NumPy finds in doubles."""
    found = []
    for start in np.roots([float(one) for one in coefficients]):
        root = exact(start.real)
        for _ in range(12):  # doubles the digits each time
            value, slope = Decimal(0), Decimal(0)
            for one in coefficients:
                slope = slope * root + value
                value = value * root + one
            root -= value / slope
        found.append(root)
    return found


def absorbed(modes: Sequence[Mode], rate: float | Decimal) -> list[Mode]:
    """Return the modes after a unit dose into a depot that empties at a rate: the Bateman function.

    c ka / (ka - l) (exp(-l t) - exp(-ka t)) for each mode; ka must not equal a rate.
    """
    ka = rate if isinstance(rate, Decimal) else exact(rate)
    driven = [(c * ka / (ka - one), one) for c, one in modes]
    return [*driven, (-sum(c for c, _ in driven), ka)]


def after_input(modes: Sequence[Mode], *, amount: float, duration: float) -> list[Mode]:
    """Return the modes of an amount given from time 0 over a duration, once it has ended."""
    d, length = exact(amount), exact(duration)
    if not length:
        return [(c * d, rate) for c, rate in modes]
    return [(c * d / length * ((rate * length).exp() - 1) / rate, rate) for c, rate in modes]


def single_dose(
    modes: Sequence[Mode], *, amount: float, duration: float, times: Sequence[float | Decimal]
) -> list[Decimal]:
    """Return concentrations at times since the start of one dose; 0 before it."""
    d, length, late = exact(amount), exact(duration), after_input(modes, amount=amount, duration=duration)
    values = []
    for time in times:
        t = time if isinstance(time, Decimal) else exact(time)
        if t < 0:
            values.append(Decimal(0))
        elif t < length:
            values.append(sum(c * d / length * (1 - (-rate * t).exp()) / rate for c, rate in modes))
        else:
            values.append(sum(c * (-rate * t).exp() for c, rate in late))
    return values


def earlier_doses(
    modes: Sequence[Mode],
    *,
    amount: float,
    duration: float,
    interval: float,
    times: Sequence[float | Decimal],
) -> list[Decimal]:
    """Return what endless earlier doses, ended within their intervals, leave at times since the latest dose.

    sum over n >= 1 of exp(-rate (t + n tau)) = exp(-rate (t + tau)) / (1 - exp(-rate tau))
    """
    tau, late = exact(interval), after_input(modes, amount=amount, duration=duration)
    return [
        sum(
            c
            * (-rate * ((t if isinstance(t, Decimal) else exact(t)) + tau)).exp()
            / (1 - (-rate * tau).exp())
            for c, rate in late
        )
        for t in times
    ]
