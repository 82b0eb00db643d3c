"""The dynamic mean field on the fibres of a connectome: an independent check of what block does to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.lyapunov import lyapunov
from euthymia.errors import invalid
from euthymia.mechanism.network import balloon, meanfield
from euthymia.mechanism.network.meanfield import Block, Field, Scan
from euthymia.model.chain import node, node_constants
from euthymia.model.connectome import Connectome
from euthymia.model.parameters import ParameterSet, load_parameters
from euthymia.streams import normals
from euthymia.tables import read_table

Array = NDArray[np.float64]

PURPOSE = "brain"
CHUNK_STEPS = 2000
"""Steps whose noise is drawn at once."""


@cache
def constants() -> Mapping[str, float]:
    """Return every constant of ``connectome/dynamics.csv`` by its name."""
    return {row["name"]: float(row["value"]) for row in read_table("connectome/dynamics.csv")}


def field_of(
    connectome: Connectome, *, parameters: ParameterSet | None = None, coupling_relative: float | None = None
) -> Field:
    """Return the mean field on the fibres of a connectome, balanced without drug.

    Parameters
    ----------
    connectome : Connectome
        With fibres.
    parameters : ParameterSet, optional
        Constants of the node.
    coupling_relative : float, optional
        G; by default the published one.

    Raises
    ------
    InvalidInputError
        Where no fibres are known.
    """
    if connectome.strength is None:
        cure = f"The connectome {connectome.name!r} holds correlations alone."
        raise invalid("strength", must="given for the mean field", got="nothing", cure=cure)
    held = constants()
    scale = held["fibre_maximum_relative"] / float(connectome.strength.max())
    chosen = held["global_coupling_relative"] if coupling_relative is None else coupling_relative
    constants_of_node = node_constants(parameters or load_parameters())
    return meanfield.balanced(node(constants_of_node), chosen * scale * connectome.strength)


def effective_block(
    pyramidal_fraction: float, interneuron_fraction: float, parameters: ParameterSet | None = None
) -> Block:
    """Return effective blocks: blocked receptors times the share of current that a blocker can block."""
    chain = (parameters or load_parameters()).chain
    return Block(
        chain["circuit.pyramidal_nmda_share"].value * pyramidal_fraction,
        chain["circuit.interneuron_nmda_share"].value * interneuron_fraction,
    )


def linear_connectivity(field: Field, block: Block, *, by: Literal["numpy", "jax"] = "numpy") -> Array:
    """Return the correlations (N, N) of S_E under small noise: the Lyapunov equation at the steady state."""
    matrix = meanfield.settle(field, block).drift_per_ms
    noise = constants()["noise_sd_per_root_ms"] ** 2 * np.eye(len(matrix))
    covariance = lyapunov(matrix, noise, by=by)[: len(matrix) // 2, : len(matrix) // 2]
    return _as_correlation(covariance)


def slow_connectivity(field: Field, block: Block) -> Array:
    """Return the correlations (N, N) of the slowest fluctuations of S_E: those of A^-1 Q A^-T."""
    inverse = np.linalg.inv(meanfield.settle(field, block).drift_per_ms)
    count = len(inverse) // 2
    return _as_correlation((inverse @ inverse.T)[:count, :count])


def scan(
    field: Field,
    blocks: Sequence[Block],
    *,
    seed: int,
    replicate: int = 0,
    duration_s: float = 600.0,
    discarded_s: float | None = None,
) -> Scan:
    """Return simulated scans, one for each block, all with the same noise.

    Parameters
    ----------
    seed, replicate : int
        Key the noise.
    duration_s, discarded_s : float
        How long is sampled, and what is thrown away before.
    """
    held = constants()
    nodes = len(field.coupling)

    def noise(first: int, steps: int) -> Array:
        chunk, offset = divmod(first, CHUNK_STEPS)
        drawn = _drawn(seed, replicate, nodes, chunk)
        if offset + steps > CHUNK_STEPS:
            drawn = np.concatenate([drawn, _drawn(seed, replicate, nodes, chunk + 1)])
        return drawn[offset : offset + steps]

    return meanfield.scan(
        field,
        tuple(blocks),
        vessels(),
        normals=noise,
        noise_sd=held["noise_sd_per_root_ms"],
        duration_s=duration_s,
        discarded_s=held["discarded_s"] if discarded_s is None else discarded_s,
        repetition_s=held["repetition_s"],
        step_ms=held["integration_step_ms"],
    )


def vessels() -> balloon.Parameters:
    """Return the constants of the vessels."""
    return balloon.Parameters(*(constants()[name] for name in balloon.Parameters._fields))


_kept: dict[tuple[int, int, int, int], Array] = {}


def _drawn(seed: int, replicate: int, nodes: int, chunk: int) -> Array:
    """Return the noise of a chunk of steps, (steps, 2, N); the last two chunks are kept."""
    key = (seed, replicate, nodes, chunk)
    if key not in _kept:
        while len(_kept) > 1:
            _kept.pop(next(iter(_kept)))
        numbers = np.arange(1, CHUNK_STEPS * 2 * nodes + 1)
        found = normals(
            seed=seed, purpose=PURPOSE, field="gating", patients=numbers, occasion=chunk, replicate=replicate
        )
        _kept[key] = found.reshape(CHUNK_STEPS, 2, nodes)
    return _kept[key]


def _as_correlation(covariance: Array) -> Array:
    size = np.sqrt(np.diagonal(covariance))
    return covariance / np.outer(size, size)
