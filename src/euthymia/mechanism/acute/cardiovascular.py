"""Blood pressure and heart rate: a sympathetic effect that follows S-ketamine, without tolerance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Parameters(NamedTuple):
    """Sensitivity, delay and the largest rises."""

    half_effect_umol_per_L: Any
    follow_rate_per_h: Any
    largest_systolic_rise_mmHg: Any
    largest_diastolic_rise_mmHg: Any
    largest_heart_rate_rise_per_min: Any


class Covariates(NamedTuple):
    """How age and hypertension change the rises of a person."""

    age_slope_per_year: Any
    age_reference_years: Any
    hypertension_ratio: Any


def for_person(parameter: Any, covariates: Covariates, *, age_years: Any, is_hypertensive: Any) -> Any:
    """Return a largest rise for a person's age and history; never negative.

    rise x max(1 + slope (age - reference), 0) x (ratio where hypertensive)

    Unknown age is the reference age (NaN), unknown history is none.
    """
    c = covariates
    years = np.where(np.isnan(age_years), 0.0, age_years - c.age_reference_years)
    return (
        parameter
        * np.maximum(1.0 + c.age_slope_per_year * years, 0.0)
        * np.where(is_hypertensive, c.hypertension_ratio, 1.0)
    )


class Inputs(NamedTuple):
    """Unbound S-ketamine at the site."""

    s_ketamine_site_umol_per_L: Any


class State(NamedTuple):
    """Sympathetic effect (0-1)."""

    effect_fraction: Any


class Outputs(NamedTuple):
    """Rises above the value before the dose, without measurement noise."""

    systolic_rise_mmHg: Any
    diastolic_rise_mmHg: Any
    heart_rate_rise_per_min: Any


def initial() -> State:
    """Return the state before any dose."""
    return State(effect_fraction=0.0)


def outputs(m: Any, state: State, parameters: Parameters) -> Outputs:
    """Return each rise: its ceiling times the effect."""
    del m
    p, effect = parameters, state.effect_fraction
    return Outputs(
        systolic_rise_mmHg=p.largest_systolic_rise_mmHg * effect,
        diastolic_rise_mmHg=p.largest_diastolic_rise_mmHg * effect,
        heart_rate_rise_per_min=p.largest_heart_rate_rise_per_min * effect,
    )


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Let the effect follow the site: dP/dt = k (c / (c + C50) - P)."""
    p = parameters
    aim = m.hill(inputs.s_ketamine_site_umol_per_L, p.half_effect_umol_per_L, 1)
    return State(effect_fraction=p.follow_rate_per_h * (aim - state.effect_fraction))
