"""How weight, liver and comedication change individual pharmacokinetic parameters."""

from __future__ import annotations

from euthymia.mechanism.pk.disposition import Array


def allometric(value: Array, weight_kg: Array, exponent: Array, *, reference_kg: float = 70.0) -> Array:
    """Return a clearance or volume scaled from the reference weight.

    value (weight / reference)^exponent

    Notes
    -----
    Exponents of 0.75 (clearances) and 1 (volumes) are a convention; the pooled analysis of 820 people found
    no effect of weight (39-170 kg).
    """
    return value * (weight_kg / reference_kg) ** exponent


def systemic_clearance(clearance_L_per_h: Array, systemic_exposure_ratio: Array) -> Array:
    """Return the clearance that gives the AUC ratio seen after intravenous doses."""
    return clearance_L_per_h / systemic_exposure_ratio


def first_pass_fraction(
    fraction: Array, oral_exposure_ratio: Array, systemic_exposure_ratio: Array, *, ceiling: float = 0.98
) -> Array:
    """Return the swallowed share that reaches the circulation, so that the oral AUC changes by its ratio.

    F' = F x oral ratio / systemic ratio, at most the ceiling; the rest of an oral effect is first pass.
    """
    from numpy import minimum

    return minimum(fraction * oral_exposure_ratio / systemic_exposure_ratio, ceiling)
