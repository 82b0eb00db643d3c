"""Claim: any two mechanisms are joined and run, or refused by name; any comparator runs in any setting."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from tests.standard.assembled import INFUSION

from euthymia import simulate
from euthymia.errors import InvalidInputError
from euthymia.model.mechanisms import find_mechanism, mechanisms, with_mechanisms
from euthymia.model.parameters import load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population.settings import settings

pytestmark = pytest.mark.slow

COURSE: dict[str, Any] = {"days": 2, "times_h": np.linspace(0.0, 48.0, 49)}
COMPARATORS = {
    "ketamine": INFUSION,
    "esketamine": "esketamine 84 mg in",
    "saline": "saline iv over 40 min",
    "midazolam": "midazolam 0.045 mg/kg iv over 40 min",
    "placebo": "placebo in",
    "ECT": "ECT at 24 h",
    "escitalopram": "escitalopram 10 mg daily x 2",
    "CBT": "CBT 50 min at 24 h",
}
ADMITTED = tuple(f"{name}+admission" for name in settings() if name != "admission")
RAISES_HOPE = ("ketamine", "esketamine", "saline", "midazolam", "placebo", "escitalopram")
ACTS_ALONE = ("ketamine", "esketamine", "ECT", "escitalopram", "CBT")
"""Comparators that move mood within two days without hope."""


def check_sound(course: Trajectory) -> None:
    """Refuse what is not finite, and severity or ideation at or beyond their ends."""
    assert len(course.values) > 40
    assert [name for name, values in course.values.items() if not np.isfinite(values).all()] == []
    for name in ("severity_fraction", "suicidal_ideation_fraction"):
        assert np.all((course[name] > 0.0) & (course[name] < 1.0)), name


def contradictions(pair: tuple[str, str]) -> list[tuple[str, float, float]]:
    """Return the switches that two mechanisms turn in different ways."""
    first, second = (find_mechanism(name).overrides for name in pair)
    return [
        (key, value, second[key]) for key, value in first.items() if key in second and second[key] != value
    ]


PAIRS = tuple(combinations(mechanisms(), 2))


@pytest.mark.parametrize("pair", [one for one in PAIRS if not contradictions(one)], ids="+".join)
def test_two_mechanisms_that_agree_run_together(pair: tuple[str, str]):
    course = simulate(INFUSION, parameters=with_mechanisms(load_parameters(), pair), **COURSE)
    check_sound(course)
    assert {f"mechanism {name}" for name in pair} <= set(course.provenance.covariates)


@pytest.mark.parametrize("pair", [one for one in PAIRS if contradictions(one)], ids="+".join)
@pytest.mark.parametrize("order", [1, -1], ids=["as listed", "turned round"])
def test_two_mechanisms_that_contradict_are_refused_with_both_names_and_the_switch(
    pair: tuple[str, str], order: int
):
    turned = pair[::order]
    with pytest.raises(InvalidInputError) as caught:
        with_mechanisms(load_parameters(), turned)
    said = str(caught.value)
    assert all(repr(name) in said for name in pair)
    assert any(
        f"the first sets {key} to {first:g}, the second to {second:g}" in said
        for key, first, second in contradictions((turned[0], turned[1]))
    )


@pytest.mark.parametrize("comparator", COMPARATORS)
@pytest.mark.parametrize("setting", [*settings(), *ADMITTED])
def test_any_comparator_runs_in_any_setting(setting: str, comparator: str):
    course = simulate(COMPARATORS[comparator], setting=setting, **COURSE)
    check_sound(course)
    assert f"setting {setting}" in course.provenance.covariates


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_without_hope_only_what_acts_by_itself_moves_mood(comparator: str):
    moved = np.ptp(simulate(COMPARATORS[comparator], setting="none", **COURSE)["madrs_points"])
    assert (moved > 0.05) == (comparator in ACTS_ALONE)


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_only_what_is_expected_to_help_raises_hope(comparator: str):
    hope = simulate(COMPARATORS[comparator], setting="open", **COURSE)["expectancy_fraction"].max()
    assert (hope > 0.01) == (comparator in RAISES_HOPE)
