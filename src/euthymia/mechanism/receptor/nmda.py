"""Block of NMDA current by ketamine and its metabolites, stronger on interneurons than on pyramidal cells."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Affinities in S-ketamine equivalents, unbound at the synapse."""

    interneuron_half_block_umol_per_L: Any
    pyramidal_half_block_umol_per_L: Any
    trapping_on_L_per_umol_per_h: Any
    trapping_off_per_h: Any
    trapping_share_fraction: Any


class Inputs(NamedTuple):
    """What reaches the receptors."""

    s_equivalents_site_umol_per_L: Any


class State(NamedTuple):
    """Receptors that hold a trapped molecule, as a share of all (0-1)."""

    trapped_block_fraction: Any


class Outputs(NamedTuple):
    """Share of NMDA current that is blocked (0-1)."""

    interneuron_block_fraction: Any
    pyramidal_block_fraction: Any


def initial() -> State:
    """Return the state without drug."""
    return State(trapped_block_fraction=0.0)


def outputs(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Block of NMDA current on the two cell classes.

    beta_I = (1 - q) x / (x + K_I) + q T,   beta_E = x / (x + K_E)

    x in S-equivalents; q is the share of the interneuron block that is trapped (0: equilibrium only).

    References
    ----------
    Affinity order Ebert1997; saturating form: one site a channel.
    """
    x, p = inputs.s_equivalents_site_umol_per_L, parameters
    free = m.hill(x, p.interneuron_half_block_umol_per_L, 1)
    share = p.trapping_share_fraction
    return Outputs(
        interneuron_block_fraction=(1.0 - share) * free + share * state.trapped_block_fraction,
        pyramidal_block_fraction=m.hill(x, p.pyramidal_half_block_umol_per_L, 1),
    )


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Trapping: dT/dt = k_on x (1 - T) - k_off T, per hour (Ma2023: released over hours in people)."""
    p, trapped = parameters, state.trapped_block_fraction
    bound_per_h = p.trapping_on_L_per_umol_per_h * inputs.s_equivalents_site_umol_per_L
    return State(trapped_block_fraction=bound_per_h * (1.0 - trapped) - p.trapping_off_per_h * trapped)
