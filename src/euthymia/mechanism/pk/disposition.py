"""The vocabulary of every pharmacokinetic structure: flows, mammillary groups, delays, ways into the body."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Observed = dict[str, dict[str, Array]]
"""{name of a concentration: {node: 1 / volume}}; the concentration is the weighted sum of amounts."""


class Flow(NamedTuple):
    """Amount that flows from a node to a node (None: out of what is modelled) at a first-order rate.

    ``depletes`` is False for an observer, which reads its source without draining it.
    """

    source: str
    target: str | None
    rate_per_h: Array
    depletes: bool = True


class Entry(NamedTuple):
    """Where a share of a dose enters, and how: as given (None) or at a constant rate over a duration."""

    node: str
    fraction: Array
    duration_h: Array | None = None
    lag_h: Array | None = None


class Peripheral(NamedTuple):
    """A compartment that exchanges with the central one."""

    name: str
    volume_L: Array
    flow_L_per_h: Array


def mammillary(prefix: str, central_volume_L: Array, *peripherals: Peripheral) -> list[Flow]:
    """Return the exchange flows of a central compartment with its peripherals.

    dA_c/dt = sum_i Q_i (A_i / V_i - A_c / V_c),   dA_i/dt = Q_i (A_c / V_c - A_i / V_i)

    Parameters
    ----------
    prefix : str
        Of the node names: ``S.ketamine`` gives ``S.ketamine.central`` and so on.
    central_volume_L : array (P,)
    """
    central = f"{prefix}.central"
    flows: list[Flow] = []
    for name, volume_L, flow_L_per_h in peripherals:
        flows.append(Flow(central, f"{prefix}.{name}", flow_L_per_h / central_volume_L))
        flows.append(Flow(f"{prefix}.{name}", central, flow_L_per_h / volume_L))
    return flows


def elimination(source: str, product: str, rate_per_h: Array, formed_fraction: Array) -> list[Flow]:
    """Return the flows of an elimination of which a fraction becomes a product and the rest leaves.

    What leaves goes to the node ``elsewhere``, so that moles can be counted.
    """
    return [
        Flow(source, product, formed_fraction * rate_per_h),
        Flow(source, "elsewhere", (1.0 - formed_fraction) * rate_per_h),
    ]


def two_step_delay(prefix: str, target: str, mean_transit_h: Array) -> list[Flow]:
    """Return a chain of two equal compartments that delays what enters ``{prefix}.delay_1``.

    Each compartment drains at 2 / mean transit time; one and the same array, so that the engine knows
    that the rates are equal.
    """
    rate_per_h = 2.0 / mean_transit_h
    return [
        Flow(f"{prefix}.delay_1", f"{prefix}.delay_2", rate_per_h),
        Flow(f"{prefix}.delay_2", target, rate_per_h),
    ]
