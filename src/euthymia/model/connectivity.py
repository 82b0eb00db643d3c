"""From changed couplings to what a scan would show: a table for speed, the exact network for the rest."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import unknown
from euthymia.mechanism.network import gaussian
from euthymia.mechanism.network.gaussian import Change
from euthymia.model.connectome import Connectome, load_connectome, observables, read_off
from euthymia.tables import read_array, read_text

Array = NDArray[np.float64]

DEFAULT_SCENARIO = "hyper"
WITHIN, BETWEEN = "within_default_coupling_change_fraction", "default_to_others_coupling_change_fraction"
COUPLINGS = (WITHIN, BETWEEN)
"""What the composed model gives: d_w and d_b."""
CHANGE_SUFFIX = "_change_r"
TABLE_PATH = "connectome/observables_table.npy"
"""Chebyshev coefficients (observables, K_w, K_b, K_l), made by ``tools/make_connectome.py --table``."""
RANGES = (0.4, 0.1, 0.1)
"""Largest d_w, d_b and d_l, of either sign, that the table holds: the ceilings of the shipped set."""
NODE_COUNTS, QUICK_COUNTS = (14, 10, 6), (9, 7, 5)
"""Chebyshev nodes along each of them, and for one's own connectome; errors are under test."""
MOST_SOLVED = 200
"""Changes of one's own connectome that are solved one by one; a table is made for more."""
MOST_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """What depression is taken to have done to the network, and what is set in the composed model for it.

    ``within`` are parameters of the run that gives d_w and d_b; ``limbic`` those of the run whose d_w, times
    ``limbic_share``, is d_l; empty where there is none.
    """

    name: str
    title: str
    claim: str
    doubt: str
    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]
    within: Mapping[str, float]
    limbic: Mapping[str, float]
    limbic_share: float


@cache
def scenarios() -> Mapping[str, Scenario]:
    """Return every scenario by its name, the default first."""
    return {
        name: Scenario(
            name=name,
            title=one["title"],
            claim=one["claim"],
            doubt=one["doubt"],
            speaks_for=tuple(one["speaks_for"]),
            speaks_against=tuple(one["speaks_against"]),
            within=one["within"],
            limbic=one.get("limbic", {}),
            limbic_share=one["limbic_share"],
        )
        for name, one in tomllib.loads(read_text("connectome/scenarios.toml")).items()
    }


def find_scenario(name: str) -> Scenario:
    """Return a scenario by its name.

    Raises
    ------
    UnknownNameError
    """
    if name not in scenarios():
        raise unknown("scenario", name, scenarios())
    return scenarios()[name]


def change_names() -> tuple[str, ...]:
    """Return the variables that hold the change of every observable against health, in order."""
    return tuple(f"{one.name}{CHANGE_SUFFIX}" for one in observables())


def network_at(change: Change, connectome: Connectome) -> Array:
    """Return the correlations (..., N, N) of a connectome whose couplings are changed."""
    return gaussian.correlations(connectome.coupled, connectome.groups, change)


def levels(change: Change, connectome: Connectome | None = None) -> dict[str, Array]:
    """Return every observable (...) of a network whose couplings are changed.

    Parameters
    ----------
    change : Change
        Arrays that broadcast. The shipped connectome is read off a table within ``RANGES``, elsewhere and
        for any other connectome the network is solved for every different change.
    connectome : Connectome, optional
        By default ``schaefer-100``.

    Notes
    -----
    The table that ships is off by less than 1e-7, one made for many changes of another connectome by about
    1e-5.
    """
    knobs = np.stack(np.broadcast_arrays(*(np.asarray(one, float) for one in change)))
    shape, flat = knobs.shape[1:], knobs.reshape(3, -1)
    chosen = connectome or load_connectome()
    is_inside = bool((np.abs(flat) <= np.array(RANGES)[:, None] * (1.0 + 1e-12)).all())
    if is_inside and chosen is load_connectome():
        values, names = table_at(read_array(TABLE_PATH), flat), [one.name for one in observables()]
    elif is_inside and np.unique(flat, axis=1).shape[1] > MOST_SOLVED:
        is_still = not flat[2].any()
        counts = (*QUICK_COUNTS[:2], 1) if is_still else QUICK_COUNTS
        values, names = table_at(fit_table(chosen, counts), flat), list(_solved(np.zeros((3, 1)), chosen)[1])
    else:
        values, names = _solved(flat, chosen)
    return {name: array.reshape(shape) for name, array in zip(names, values, strict=True)}


def changes_from_health(change: Change, connectome: Connectome | None = None) -> dict[str, Array]:
    """Return how far every observable (...) is from health, by the name of its variable."""
    chosen = connectome or load_connectome()
    health = read_off(chosen.correlation, chosen)
    now = levels(change, connectome)
    return {f"{name}{CHANGE_SUFFIX}": array - health[name] for name, array in now.items()}


def fit_table(connectome: Connectome | None = None, counts: tuple[int, int, int] = NODE_COUNTS) -> Array:
    """Return Chebyshev coefficients (observables, K_w, K_b, K_l) of what is read off a connectome.

    The network is solved at every node; a count of 1 holds that change at 0.
    """
    axes = [_nodes(count) * top for count, top in zip(counts, RANGES, strict=True)]
    points = np.array(list(product(*axes))).T
    values = _solved(points, connectome or load_connectome())[0].reshape(-1, *counts)
    for axis, count in enumerate(counts, start=1):
        values = np.moveaxis(np.tensordot(_to_coefficients(count), values, (1, axis)), 0, axis)
    return np.ascontiguousarray(values)


def _nodes(count: int) -> Array:
    return np.cos(np.pi * (np.arange(count) + 0.5) / count)


def _to_coefficients(count: int) -> Array:
    """Return the matrix from values at Chebyshev nodes to coefficients."""
    waves = np.cos(np.pi * np.outer(np.arange(count), np.arange(count) + 0.5) / count) * (2.0 / count)
    waves[0] /= 2.0
    return waves


def table_at(coefficients: Array, knobs: Array) -> Array:
    """Return every observable (observables, K) at changes (3, K), within ``RANGES``."""
    bases = []
    for one, top, count in zip(knobs, RANGES, coefficients.shape[1:], strict=True):
        angle = np.arccos(np.clip(one / top, -1.0, 1.0))
        bases.append(np.cos(np.arange(count)[:, None] * angle))
    by_within = np.tensordot(coefficients, bases[2], (3, 0))
    by_both = np.einsum("oabk,bk->oak", by_within, bases[1])
    return np.einsum("oak,ak->ok", by_both, bases[0])


def _solved(knobs: Array, connectome: Connectome) -> tuple[Array, list[str]]:
    """Return every observable (observables, K) at changes (3, K) by solving the network, and their names."""
    different, place = np.unique(knobs, axis=1, return_inverse=True)
    parts: list[dict[str, Array]] = []
    for first in range(0, different.shape[1], MOST_AT_ONCE):
        some = different[:, first : first + MOST_AT_ONCE]
        parts.append(read_off(network_at(Change(*some), connectome), connectome))
    names = list(parts[0])
    values = np.stack([np.concatenate([part[name] for part in parts]) for name in names])
    return values[:, np.ravel(place)], names
