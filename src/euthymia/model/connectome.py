"""Connectomes: correlations, fibres and parcels of a group of people, a synthetic stand-in, and the surface.

The shipped arrays are averages over groups of the Human Connectome Project and stand under its terms
(``data/connectome/NOTICE.md``). One's own files are read by :mod:`euthymia.files.connectome`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid, unknown
from euthymia.mechanism.network import gaussian
from euthymia.tables import Row, read_array, read_table, read_text

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

DEFAULT_CONNECTOME = "schaefer-100"
SYNTHETIC = "synthetic"
NAMES = (DEFAULT_CONNECTOME, SYNTHETIC)
DEFAULT_MODE, LIMBIC = "Default", "Limbic"
COUPLED_WITH_DEFAULT = ("Cont", "SalVentAttn")
"""Networks whose positive couplings with the default mode network d_b scales."""
FEWEST_NODES, MOST_NODES = 6, 1000
NOTICE = "connectome/NOTICE.md"


@dataclass(frozen=True, kw_only=True, eq=False)
class Connectome:
    """A brain as nodes with their network, correlations, and where known fibres and places.

    Attributes
    ----------
    name : str
    labels : tuple of str (N,)
        Names of the nodes.
    networks : tuple of str (N,)
        The network of each, one of ``network_names()``.
    correlation : array (N, N)
        Functional connectivity: symmetric, 1 on the diagonal, positive definite.
    strength, length_mm : array (N, N) or None
        Fibres between nodes and how long they are.
    places_mm : array (N, 3) or None
        Right, front, up.
    regions : {str: array (N,) of bool}
        Parts of the cortex that cut across networks, as far as they are known.
    note : str
        What must be said with it.
    """

    name: str
    labels: tuple[str, ...]
    networks: tuple[str, ...]
    correlation: Array
    strength: Array | None = None
    length_mm: Array | None = None
    places_mm: Array | None = None
    regions: Mapping[str, Mask]
    note: str = ""

    @classmethod
    def create(
        cls,
        *,
        name: str,
        networks: Sequence[str],
        correlation: Array,
        labels: Sequence[str] | None = None,
        strength: Array | None = None,
        length_mm: Array | None = None,
        places_mm: Array | None = None,
        regions: Mapping[str, Mask] | None = None,
        note: str = "",
    ) -> Connectome:
        """Return a connectome that has been checked.

        Raises
        ------
        InvalidInputError
            Names the array, what must hold of it and what was given.
        """
        count = len(networks)
        if not FEWEST_NODES <= count <= MOST_NODES:
            raise invalid("networks", must=f"of {FEWEST_NODES} to {MOST_NODES} nodes", got=f"{count} nodes")
        _check_networks(list(networks))
        named = tuple(labels) if labels is not None else tuple(f"node_{n}" for n in range(1, count + 1))
        if len(named) != count:
            raise invalid("labels", must=f"{count}, one for each node", got=len(named))
        _require_shape("correlation", correlation, (count, count))
        gaussian.take_apart(correlation)
        for field, matrix in (("strength", strength), ("length_mm", length_mm)):
            if matrix is not None:
                _check_fibres(field, matrix, count)
        if places_mm is not None:
            _require_shape("places_mm", places_mm, (count, 3))
        return cls(
            name=name,
            labels=named,
            networks=tuple(networks),
            correlation=correlation,
            strength=strength,
            length_mm=length_mm,
            places_mm=places_mm,
            regions=regions or {},
            note=note,
        )

    @cached_property
    def coupled(self) -> gaussian.Coupled:
        """Leaks and couplings that give its correlations exactly."""
        return gaussian.take_apart(self.correlation)

    @cached_property
    def groups(self) -> gaussian.Groups:
        """Nodes whose couplings are changed."""
        others = np.isin(self.networks, COUPLED_WITH_DEFAULT)
        return gaussian.Groups(self.of_network(DEFAULT_MODE), others, self.of_network(LIMBIC))

    def of_network(self, name: str) -> Mask:
        """Return which nodes are of a network, (N,)."""
        return np.array([network == name for network in self.networks])

    def group(self, name: str) -> Mask | None:
        """Return which nodes are of a network, a region, or all; None where it is not known here."""
        if name == "all":
            return np.ones(len(self.networks), dtype=bool)
        mask = self.of_network(name) if name in network_names() else self.regions.get(name)
        return mask if mask is not None and mask.any() else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Observable:
    """A mean correlation that is read off a network: pairs with one node in either group."""

    name: str
    one: tuple[str, ...]
    other: tuple[str, ...]
    is_regressed: bool
    meaning: str

    def masks(self, connectome: Connectome) -> tuple[Mask, Mask] | None:
        """Return both groups in a connectome, or None where it does not have them."""
        sides = []
        for names in (self.one, self.other):
            found = [connectome.group(name) for name in names]
            if any(mask is None for mask in found):
                return None
            sides.append(np.any([mask for mask in found if mask is not None], axis=0))
        one, other = sides
        has_pair = bool(one.any() and other.any()) and not (one.sum() == 1 and (one == other).all())
        return (one, other) if has_pair else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """Both hemispheres as meshes, decimated from an average of many people.

    Attributes
    ----------
    points_mm : {"left", "right": array (V, 3)}
        Right, front, up.
    triangles : {"left", "right": array (F, 3) of int}
        Places in ``points_mm``, anticlockwise from outside.
    parcels : {"left", "right": array (V,) of int}
        Number of the parcel of each point in the connectome ``schaefer-100``, from 1; 0 belongs to none.
    """

    points_mm: Mapping[str, Array]
    triangles: Mapping[str, NDArray[np.int64]]
    parcels: Mapping[str, NDArray[np.int64]]


@cache
def network_names() -> tuple[str, ...]:
    """Return the seven networks of Yeo in the order of the shipped matrices."""
    return tuple(row["name"] for row in read_table("connectome/networks.csv"))


@cache
def network_rows() -> Mapping[str, Row]:
    """Return title and colour of every network by its name."""
    return {row["name"]: row for row in read_table("connectome/networks.csv")}


def load_connectome(name: str = DEFAULT_CONNECTOME) -> Connectome:
    """Return a connectome that ships: ``schaefer-100`` (people) or ``synthetic`` (network means alone).

    Raises
    ------
    UnknownNameError
    """
    if name not in NAMES:
        raise unknown("connectome", name, NAMES, cure="One's own: give an .npz or a .zip file.")
    return _shipped(name)


@cache
def _shipped(name: str) -> Connectome:
    rows = read_table("connectome/parcels.csv")
    networks = tuple(row["network"] for row in rows)
    is_measured = name == DEFAULT_CONNECTOME
    return Connectome.create(
        name=name,
        labels=[row["name"] for row in rows],
        networks=networks,
        correlation=read_array("connectome/fc.npy") if is_measured else _synthetic(networks),
        strength=read_array("connectome/sc_strength.npy") if is_measured else None,
        length_mm=read_array("connectome/sc_length_mm.npy") if is_measured else None,
        places_mm=np.array([[float(row[axis]) for axis in ("x_mm", "y_mm", "z_mm")] for row in rows]),
        regions=_regions(rows),
        note=(
            "Averages over 706 people of the Human Connectome Project, Young Adult, under its Open Access "
            "terms: no attempt may be made to identify anybody (data/connectome/NOTICE.md)."
            if is_measured
            else "Made from seven by seven means: every pair of two networks has their mean correlation."
        ),
    )


@cache
def surface() -> Surface:
    """Return the surface that ships, both hemispheres, with the parcel of every point."""
    held = json.loads(read_text("connectome/surface.json"))
    sides = ("left", "right")
    return Surface(
        points_mm={side: np.array(held[side]["points"], float).reshape(-1, 3) / 10.0 for side in sides},
        triangles={side: np.array(held[side]["triangles"], np.int64).reshape(-1, 3) for side in sides},
        parcels={side: np.array(held[side]["labels"], np.int64) for side in sides},
    )


@cache
def observables() -> tuple[Observable, ...]:
    """Return everything that is read off a network, in the order of the table."""
    return tuple(
        Observable(
            name=row["name"],
            one=tuple(row["one"].split(";")),
            other=tuple(row["other"].split(";")),
            is_regressed=row["regressed"] == "yes",
            meaning=row["meaning"],
        )
        for row in read_table("connectome/observables.csv")
    )


def read_off(correlation: Array, connectome: Connectome) -> dict[str, Array]:
    """Return every observable (...) of correlations (..., N, N), those that the connectome has."""
    regressed = gaussian.without_global_signal(correlation)
    found = {}
    for one in observables():
        masks = one.masks(connectome)
        if masks is not None:
            found[one.name] = gaussian.mean_between(regressed if one.is_regressed else correlation, *masks)
    return found


def block_means(correlation: Array, networks: Sequence[str]) -> Array:
    """Return the mean correlation of pairs by network, (7, 7); NaN where a network has no pair."""
    masks = [np.array([one == name for one in networks]) for name in network_names()]
    means = np.full((len(masks), len(masks)), np.nan)
    for row, one in enumerate(masks):
        for column, other in enumerate(masks):
            if one.any() and other.any() and (row != column or one.sum() > 1):
                means[row, column] = gaussian.mean_between(correlation, one, other)
    return means


def _synthetic(networks: Sequence[str]) -> Array:
    rows = {row["network"]: row for row in read_table("connectome/block_means.csv")}
    matrix = np.array([[float(rows[one][other]) for other in networks] for one in networks])
    np.fill_diagonal(matrix, 1.0)
    return matrix


def _regions(rows: Sequence[Row]) -> dict[str, Mask]:
    named = [tuple(filter(None, row["regions"].split(";"))) for row in rows]
    every = dict.fromkeys(region for regions in named for region in regions)
    return {region: np.array([region in regions for regions in named]) for region in every}


def _check_networks(networks: list[str]) -> None:
    for network in dict.fromkeys(networks):
        if network not in network_names():
            raise unknown("network", network, network_names())
    for network, least in {DEFAULT_MODE: 2, **dict.fromkeys(COUPLED_WITH_DEFAULT, 1)}.items():
        found = networks.count(network)
        if found < least:
            cure = "The model changes what the default mode network is coupled with."
            raise invalid("networks", must=f"{least} or more nodes of {network}", got=found, cure=cure)


def _require_shape(field: str, array: Array, shape: tuple[int, ...]) -> None:
    if np.shape(array) != shape:
        raise invalid(field, must=f"of shape {shape}, for {shape[0]} nodes", got=f"shape {np.shape(array)}")
    if not np.isfinite(array).all():
        raise invalid(field, must="finite", got="values that are not")


def _check_fibres(field: str, matrix: Array, count: int) -> None:
    _require_shape(field, matrix, (count, count))
    if (matrix < 0.0).any():
        raise invalid(field, must="0 or more", got=f"{matrix.min():g}")
    if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-9 * float(matrix.max(initial=1.0))):
        cure = "A directed connectome? Give the mean of both directions."
        raise invalid(field, must="symmetric", got=f"{np.abs(matrix - matrix.T).max():.2g} off", cure=cure)
    if np.diagonal(matrix).any():
        raise invalid(field, must="0 on its diagonal", got=f"{np.diagonal(matrix).max():g} there")
