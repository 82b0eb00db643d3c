"""Dissociation: effect site of S-ketamine, sigmoid intensity, tolerance over sessions, and its domains."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Sensitivity, steepness, tolerance, and how the domains differ in sensitivity."""

    half_effect_umol_per_L: Any
    steepness_exponent: Any
    cadss_ceiling_points: Any
    tolerance_rate_per_h: Any
    tolerance_time_h: Any
    depersonalisation_half_effect_relative: Any
    derealisation_half_effect_relative: Any
    time_half_effect_relative: Any
    perception_half_effect_relative: Any
    relaxation_half_effect_relative: Any


class Inputs(NamedTuple):
    """Unbound S-ketamine at the site, and general anaesthesia (0-1), under which nothing is felt."""

    s_ketamine_site_umol_per_L: Any
    anaesthesia_fraction: Any


class State(NamedTuple):
    """Tolerance (0 = none); intensity is divided by 1 + tolerance."""

    tolerance_relative: Any


class Outputs(NamedTuple):
    """Intensity as a whole and by domain (0-1), and the expected CADSS total."""

    intensity_fraction: Any
    cadss_points: Any
    depersonalisation_fraction: Any
    derealisation_fraction: Any
    time_fraction: Any
    perception_fraction: Any
    relaxation_fraction: Any


def initial() -> State:
    """Return the state before any dose."""
    return State(tolerance_relative=0.0)


def outputs(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Intensity I = c^n / (c^n + C50^n) / (1 + tolerance); CADSS = ceiling x I.

    References
    ----------
    S-ketamine moves perception with C50 0.51 nmol/mL total and t1/2 ke0 8.3 min, R-ketamine does not
    (AE-PKPD-001, -003); volunteers and a visual scale, not CADSS: that link is an assumption.
    """
    p, site = parameters, inputs.s_ketamine_site_umol_per_L

    def intensity(ratio: Any) -> Any:
        steep = m.hill(site, p.half_effect_umol_per_L * ratio, p.steepness_exponent)
        return steep * (1.0 - inputs.anaesthesia_fraction) / (1.0 + state.tolerance_relative)

    whole = intensity(1.0)
    return Outputs(
        intensity_fraction=whole,
        cadss_points=p.cadss_ceiling_points * whole,
        depersonalisation_fraction=intensity(p.depersonalisation_half_effect_relative),
        derealisation_fraction=intensity(p.derealisation_half_effect_relative),
        time_fraction=intensity(p.time_half_effect_relative),
        perception_fraction=intensity(p.perception_half_effect_relative),
        relaxation_fraction=intensity(p.relaxation_half_effect_relative),
    )


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Tolerance grows with what is felt and fades over weeks: dL/dt = k I - L / tau (size assumed)."""
    p = parameters
    intensity = outputs(m, state, inputs, p).intensity_fraction
    return State(
        tolerance_relative=p.tolerance_rate_per_h * intensity - state.tolerance_relative / p.tolerance_time_h
    )
