"""Two couplings of the default mode network as read-outs; nothing else in the model depends on them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Weights, ceilings and the disputed sign of the change in depression (+1 hyper-, -1 hypoconnected)."""

    sign_relative: Any
    within_ceiling_fraction: Any
    between_ceiling_fraction: Any
    within_by_synapses_relative: Any
    within_by_belief_relative: Any
    within_by_ampa_relative: Any
    within_by_drug_relative: Any
    between_by_synapses_relative: Any
    between_by_ampa_relative: Any
    between_by_drug_relative: Any
    half_effect_umol_per_L: Any


class Inputs(NamedTuple):
    """From synapses, beliefs, AMPA and the site of action."""

    deficit_relative: Any
    belief_fraction: Any
    ampa_fraction: Any
    s_ketamine_site_umol_per_L: Any


class Outputs(NamedTuple):
    """Change of coupling against health, as a share."""

    within_default_coupling_change_fraction: Any
    default_to_others_coupling_change_fraction: Any


def outputs(m: Any, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Return both changes; 0 in health without drug.

    within  = c_w tanh(h [k1 deficit + k2 b - k3 a] - k7 acute)
    between = c_b tanh(h [-k4 deficit + k5 a] + k8 acute),   acute = c / (c + C50)
    """
    one, p = inputs, parameters
    acute = m.hill(one.s_ketamine_site_umol_per_L, p.half_effect_umol_per_L, 1)
    within = p.sign_relative * (
        p.within_by_synapses_relative * one.deficit_relative
        + p.within_by_belief_relative * one.belief_fraction
        - p.within_by_ampa_relative * one.ampa_fraction
    )
    between = p.sign_relative * (
        p.between_by_ampa_relative * one.ampa_fraction - p.between_by_synapses_relative * one.deficit_relative
    )
    return Outputs(
        within_default_coupling_change_fraction=p.within_ceiling_fraction
        * m.tanh(within - p.within_by_drug_relative * acute),
        default_to_others_coupling_change_fraction=p.between_ceiling_fraction
        * m.tanh(between + p.between_by_drug_relative * acute),
    )
