"""Slow antidepressants alone: adaptation to occupancy of the transporter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from tests.registry import layer_course, typical
from tests.strategies import fractions, layer_parameters

from euthymia.engine.maths import NUMPY
from euthymia.mechanism.comparators import ssri

TYPICAL = typical("ssri")
TIMES_H = np.linspace(0.0, 42 * 24.0, 43)


def test_adaptation_follows_occupancy_by_one_exponential():
    found = layer_course("ssri", ssri.initial(), TYPICAL, TIMES_H, ssri.Inputs(0.8))
    expected = 0.8 * (1.0 - np.exp(-TIMES_H / TYPICAL.adaptation_time_h))
    np.testing.assert_allclose(found.adaptation_fraction, expected, rtol=1e-9, atol=1e-12)


def test_the_time_constant_is_when_63_percent_is_reached():
    times_h = [0.0, TYPICAL.adaptation_time_h]
    found = layer_course("ssri", ssri.initial(), TYPICAL, times_h, ssri.Inputs(1.0))
    assert found.adaptation_fraction[-1] == pytest.approx(1.0 - np.exp(-1.0), rel=1e-9, abs=0)


def test_four_sevenths_of_the_plateau_are_reached_on_day_3():
    """LePoul1995 (mechanism rows Q086, Q087): 40 % of autoreceptors at day 3, plateau 70 %."""
    found = layer_course("ssri", ssri.initial(), TYPICAL, [0.0, 72.0], ssri.Inputs(1.0))
    assert found.adaptation_fraction[-1] == pytest.approx(40 / 70, abs=0.01)  # whole percents printed


def test_adaptation_fades_when_the_drug_is_stopped():
    found = layer_course("ssri", ssri.State(0.8), TYPICAL, TIMES_H, ssri.Inputs(0.0))
    np.testing.assert_allclose(
        found.adaptation_fraction, 0.8 * np.exp(-TIMES_H / TYPICAL.adaptation_time_h), rtol=1e-8, atol=1e-12
    )


@given(occupancy=fractions(), parameters=layer_parameters("ssri"))
def test_adaptation_cannot_leave_0_to_1(occupancy: float, parameters: ssri.Parameters):
    given_now = ssri.Inputs(occupancy)
    assert ssri.rates(NUMPY, ssri.State(0.0), given_now, parameters).adaptation_fraction >= 0.0
    assert ssri.rates(NUMPY, ssri.State(1.0), given_now, parameters).adaptation_fraction <= 0.0


def test_without_an_antidepressant_nothing_moves():
    assert ssri.rates(NUMPY, ssri.initial(), ssri.Inputs(0.0), TYPICAL) == ssri.State(0.0)
