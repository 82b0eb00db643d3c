"""Nausea, dizziness, headache and anxiety of a session, as hazards that grow with exposure."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Sensitivity, and the hazard of each symptom at full exposure."""

    half_effect_umol_per_L: Any
    nausea_hazard_per_h: Any
    dizziness_hazard_per_h: Any
    headache_hazard_per_h: Any
    anxiety_hazard_per_h: Any
    preparation_on_anxiety_fraction: Any


class Inputs(NamedTuple):
    """Unbound S-ketamine at the site, and how well the patient was prepared (0-1)."""

    s_ketamine_site_umol_per_L: Any
    preparation_fraction: Any


class State(NamedTuple):
    """Exposure of this session in hours at full effect; back to 0 when the next one starts."""

    exposure_h: Any


class Outputs(NamedTuple):
    """Probability that the symptom has appeared in this session (0-1)."""

    nausea_probability: Any
    dizziness_probability: Any
    headache_probability: Any
    anxiety_probability: Any


def initial() -> State:
    """Return the state before any dose."""
    return State(exposure_h=0.0)


def outputs(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Probability 1 - exp(-hazard x exposure); preparation takes its share off that of anxiety (assumed)."""
    p, exposure = parameters, state.exposure_h

    def until_now(hazard_per_h: Any) -> Any:
        return 1.0 - m.exp(-hazard_per_h * exposure)

    return Outputs(
        nausea_probability=until_now(p.nausea_hazard_per_h),
        dizziness_probability=until_now(p.dizziness_hazard_per_h),
        headache_probability=until_now(p.headache_hazard_per_h),
        anxiety_probability=until_now(
            p.anxiety_hazard_per_h * (1.0 - p.preparation_on_anxiety_fraction * inputs.preparation_fraction)
        ),
    )


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Exposure grows with the effect: dH/dt = c / (c + C50)."""
    del state
    effect = m.hill(inputs.s_ketamine_site_umol_per_L, parameters.half_effect_umol_per_L, 1)
    return State(exposure_h=effect)


def at_session(state: State) -> State:
    """Return the state at the start of a session."""
    return State(exposure_h=0.0 * state.exposure_h)
