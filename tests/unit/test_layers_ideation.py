"""Suicidal ideation alone, and how much of its fall after a dose goes through mood."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry import layer_course, typical
from tests.strategies import fractions, layer_parameters, loads

from euthymia import simulate
from euthymia.engine.maths import NUMPY
from euthymia.mechanism.symptoms import ideation
from euthymia.model.parameters import load_parameters

TYPICAL = typical("ideation")
ILL = typical("severity").episode_severity_fraction
UNTREATED = ideation.Inputs(
    severity_fraction=ILL,
    ampa_fraction=0.0,
    extra_stress_relative=0.0,
    care_fraction=0.0,
    offset_logit=float(ideation.offset(NUMPY, ILL, TYPICAL)),
)


def target(**changes: Any) -> Any:
    return ideation.target(NUMPY, UNTREATED._replace(**changes), TYPICAL)


def logit(fraction: Any) -> Any:
    return np.log(fraction / (1.0 - fraction))


@st.composite
def troubles(draw: st.DrawFn) -> ideation.Inputs:
    """Any mood, drug effect, life, care and offset."""
    return ideation.Inputs(
        severity_fraction=draw(st.floats(0.01, 0.99)),
        ampa_fraction=draw(fractions()),
        extra_stress_relative=draw(loads()),
        care_fraction=draw(fractions()),
        offset_logit=draw(st.floats(-8.0, 8.0)),
    )


@given(parameters=layer_parameters("ideation"), severe=st.floats(0.05, 0.95))
def test_the_offset_holds_ones_own_ideation_in_the_untreated_episode(
    parameters: ideation.Parameters, severe: float
):
    inputs = UNTREATED._replace(
        severity_fraction=severe, offset_logit=ideation.offset(NUMPY, severe, parameters)
    )
    own = parameters.episode_ideation_fraction
    assert ideation.target(NUMPY, inputs, parameters) == pytest.approx(own, rel=1e-9)
    change = ideation.rates(NUMPY, ideation.State(own), inputs, parameters)
    assert change.ideation_fraction == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("field", "value", "shift"),
    [
        ("ampa_fraction", 0.4, -0.4 * TYPICAL.ampa_weight_logit),
        ("extra_stress_relative", 1.0, 0.5 * TYPICAL.crisis_weight_logit),
        ("extra_stress_relative", 1e9, TYPICAL.crisis_weight_logit),
        ("care_fraction", 1.0, -TYPICAL.care_weight_logit),
        ("severity_fraction", 0.2, TYPICAL.mood_weight_logit * (logit(0.2) - logit(ILL))),
    ],
)
def test_each_cause_shifts_the_logit_of_ideation_by_its_weight(field: str, value: float, shift: float):
    moved = logit(target(**{field: value})) - logit(target())
    assert moved == pytest.approx(shift, rel=1e-8)
    assert shift != 0.0


def test_at_the_same_mood_ampa_lowers_ideation_and_a_crisis_raises_it():
    assert np.all(np.diff(target(ampa_fraction=np.linspace(0.0, 1.0, 50))) < 0.0)
    assert np.all(np.diff(target(extra_stress_relative=np.linspace(0.0, 5.0, 50))) > 0.0)
    assert np.all(np.diff(target(care_fraction=np.linspace(0.0, 1.0, 50))) < 0.0)


@given(inputs=troubles(), parameters=layer_parameters("ideation"))
def test_ideation_stays_between_0_and_1(inputs: ideation.Inputs, parameters: ideation.Parameters):
    aim = ideation.target(NUMPY, inputs, parameters)
    assert 0.0 < aim < 1.0
    assert ideation.rates(NUMPY, ideation.State(0.0), inputs, parameters).ideation_fraction > 0.0
    assert ideation.rates(NUMPY, ideation.State(1.0), inputs, parameters).ideation_fraction < 0.0


def test_ideation_follows_by_one_exponential():
    hours = np.linspace(0.0, 48.0, 25)
    helped = UNTREATED._replace(ampa_fraction=0.8)
    aim, own = ideation.target(NUMPY, helped, TYPICAL), TYPICAL.episode_ideation_fraction
    found = layer_course("ideation", ideation.State(own), TYPICAL, hours, helped).ideation_fraction
    expected = aim + (own - aim) * np.exp(-hours / TYPICAL.ideation_time_h)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=0)


# --- in the chain ------------------------------------------------------------------------------------


def fall_of_ideation(regimen: str | None, **overrides: float) -> float:
    """Return by how much ideation of the typical patient has fallen a day after a dose."""
    course = simulate(
        regimen,
        times_h=[0.0, 24.0],
        days=2,
        variables=["suicidal_ideation_fraction"],
        setting="none",
        parameters=load_parameters().with_overrides(overrides),
    )
    before, after = course["suicidal_ideation_fraction"][0]
    return float(before - after)


def test_about_a_third_of_the_fall_a_day_after_a_dose_goes_through_mood():
    infusion = "ketamine 0.5 mg/kg iv over 40 min"
    whole = fall_of_ideation(infusion)
    through_mood = fall_of_ideation(infusion, **{"ideation.ampa_weight_logit": 0.0})
    assert whole > 0.02
    assert 0.25 < through_mood / whole < 0.45


def test_without_treatment_ideation_stays():
    assert fall_of_ideation(None) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("own", [0.02, 0.3, 0.7])
def test_everybody_starts_with_an_ideation_of_their_own(own: float):
    course = simulate(
        None,
        days=1,
        times_h=[0.0, 24.0],
        variables=["suicidal_ideation_fraction", "ssi_points"],
        parameters=load_parameters().with_overrides({"ideation.episode_ideation_fraction": own}),
    )
    np.testing.assert_allclose(course["suicidal_ideation_fraction"], own, rtol=1e-9, atol=0)
    np.testing.assert_allclose(course["ssi_points"], 38.0 * own, rtol=1e-6, atol=0)


def test_admission_lowers_ideation_beyond_what_it_does_to_mood():
    asked = {"days": 3, "times_h": [0.0, 48.0], "variables": ["suicidal_ideation_fraction"]}
    end = {
        weight: simulate(
            "ketamine 0.5 mg/kg iv over 40 min",
            setting="admission",
            parameters=load_parameters().with_overrides({"ideation.care_weight_logit": weight}),
            **asked,
        )["suicidal_ideation_fraction"][0, -1]
        for weight in (0.0, 0.5)
    }
    assert end[0.5] < 0.8 * end[0.0]
