"""RODAS4 as a table of coefficients."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rosenbrock:
    """A Rosenbrock method in the form without matrix products.

    With W = I / (h gamma) - df/dy, stage i of a step from (t, y) solves

    W k_i = f(t + c_i h, y + sum_j a_ij k_j) + h d_i df/dt + sum_j (e_ij / h) k_j

    and the step ends at the argument of the last stage plus k_last.

    References
    ----------
    Hairer & Wanner, Solving Ordinary Differential Equations II, 2nd ed. (1996), section IV.7, eq. 7.25.
    """

    gamma: float
    nodes: tuple[float, ...]
    time_weights: tuple[float, ...]
    arguments: tuple[tuple[float, ...], ...]
    corrections: tuple[tuple[float, ...], ...]


_FIFTH = (1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950)

RODAS4 = Rosenbrock(
    gamma=0.25,
    nodes=(0.0, 0.386, 0.21, 0.63, 1.0, 1.0),
    time_weights=(0.25, -0.1043, 0.1035, -0.0362, 0.0, 0.0),
    arguments=(
        (),
        (1.544,),
        (0.9466785280815826, 0.2557011698983284),
        (3.314825187068521, 2.896124015972201, 0.9986419139977817),
        _FIFTH,
        (*_FIFTH, 1.0),
    ),
    corrections=(
        (),
        (-5.6688,),
        (-2.430093356833875, -0.2063599157091915),
        (-0.1073529058151375, -9.594562251023355, -20.47028614809616),
        (7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160),
        (8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054),
    ),
)
"""Six stages, order 4, stiffly accurate and L-stable.

Coefficients as in Hairer and Wanner's code RODAS (https://www.unige.ch/~hairer/software.html, METH = 1).
"""

STAGE_TIMES = tuple(sorted(set(RODAS4.nodes)))
"""Shares of a step at which its stages lie."""
