"""Drugs that strengthen GABA-A receptors (midazolam, anaesthetics): a quieter circuit, and sedation."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Sensitivity to midazolam, the largest gain of inhibition, and what anaesthesia adds."""

    midazolam_half_gain_umol_per_L: Any
    largest_gain_relative: Any
    comedication_gain_relative: Any
    anaesthetic_gain_relative: Any
    circuit_exponent: Any
    circuit_exponent_by_block_relative: Any
    circuit_exponent_by_square_block_relative: Any


class Inputs(NamedTuple):
    """Midazolam at its site (total in plasma, delayed), general anaesthesia (0-1), block of interneurons."""

    midazolam_site_umol_per_L: Any
    anaesthesia_fraction: Any
    effective_interneuron_block_fraction: Any


class Outputs(NamedTuple):
    """Gain of GABA-A receptors (1 without a drug), and what of the circuit's rate is left (1 = all)."""

    inhibition_gain_relative: Any
    circuit_factor_relative: Any


def outputs(m: Any, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Return the gain G and the factor G^-(e_0 + e_1 y + e_2 y^2) G_0^e_0 on the circuit's rate.

    G = G_0 + g_max c / (c + C50) + anaesthesia; G_0 is that of what is taken every day, to which the circuit
    at rest is used.

    The power law stands in for the solved node at other gains than 1 (test); y is the effective block of
    interneurons.
    """
    p, y = parameters, inputs.effective_interneuron_block_fraction
    usual = 1.0 + p.comedication_gain_relative
    gain = (
        usual
        + p.largest_gain_relative
        * m.hill(inputs.midazolam_site_umol_per_L, p.midazolam_half_gain_umol_per_L, 1)
        + p.anaesthetic_gain_relative * inputs.anaesthesia_fraction
    )
    exponent = (
        p.circuit_exponent
        + (p.circuit_exponent_by_block_relative + p.circuit_exponent_by_square_block_relative * y) * y
    )
    return Outputs(
        inhibition_gain_relative=gain,
        circuit_factor_relative=m.exp(p.circuit_exponent * m.log(usual) - exponent * m.log(gain)),
    )
