"""Leaving parts of a run out, and therapy at the ends of what it may teach."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from euthymia import simulate
from euthymia.errors import UnknownNameError
from euthymia.population.surroundings import PARTS

EVERYTHING = (
    "preparation 60 min at -24 h; ketamine 0.5 mg/kg iv over 40 min, weekly x 2; CBT 60 min at 30 h; "
    "escitalopram 10 mg, daily x 8; midazolam 1 mg iv bolus at 3 d; ECT at 5 d"
)
TIMES_H = [-24.0, 0.0, 0.5, 30.5, 72.1, 100.0, 130.0, 240.0]


def run(regimen: str | None = EVERYTHING, **more: Any) -> Any:
    asked: dict[str, Any] = {"times_h": TIMES_H, "days": 12, "setting": "saline"}
    return simulate(regimen, **(asked | more))


@cache
def without(*omit: str) -> Any:
    """Return the typical patient's course with some parts left out."""
    return run(omit=omit)


@pytest.mark.parametrize("patients", [None, 4])
def test_leaving_everything_out_is_life_without_treatment(patients: int | None):
    less = run(omit=PARTS, patients=patients)
    none = run(None, setting="none", patients=patients)
    names = [name for name in none.values if name != "belief_to_be_on_drug_fraction"]
    assert len(names) > 50
    for name in names:
        np.testing.assert_allclose(less[name], none[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert {f"without {part}" for part in PARTS} <= set(less.provenance.covariates)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "silent"),
    [
        ("therapy", ("learning_relative",)),
        ("antidepressant", ("sert_occupancy_fraction", "ssri_adaptation_fraction")),
        ("expectancy", ("expectancy_fraction",)),
        ("drug", ("ketamine_arterial_umol_per_L", "midazolam_site_umol_per_L", "ect_effect_fraction")),
    ],
)
def test_what_is_left_out_is_not_there_and_the_rest_is(part: str, silent: tuple[str, ...]):
    whole, less = without(), without(part)
    everything = {
        *("learning_relative", "sert_occupancy_fraction", "ssri_adaptation_fraction"),
        *("expectancy_fraction", "midazolam_site_umol_per_L", "ect_effect_fraction"),
        "s_ketamine_site_umol_per_L",
    }
    for name in everything:
        assert np.any(whole[name] != 0.0), name
        expected = name not in silent and not (part == "drug" and name.startswith("s_ketamine"))
        assert np.any(less[name] != 0.0) == expected, name


@pytest.mark.slow
def test_the_parts_together_make_the_whole_change():
    """Left out one after the other, what each makes adds up by construction; each must make some of it."""
    ends = [without(*PARTS[:count])["madrs_points"][0, -1] for count in range(len(PARTS) + 1)]
    made = np.diff(ends)
    assert np.all(made > 0.0), "every part lowers severity here"
    assert ends[-1] == pytest.approx(33.0, rel=1e-9)


@pytest.mark.parametrize("omit", [["therapies"], ["drug", "hope"], ["Drug"]])
def test_an_unknown_part_is_refused_with_those_known(omit: list[str]):
    with pytest.raises(UnknownNameError, match=r"Unknown part '(therapies|hope|Drug)'"):
        run(omit=omit)


@pytest.mark.slow
def test_therapy_at_the_ends_of_what_it_may_teach_brackets_its_effect():
    text = "ketamine 0.5 mg/kg iv over 40 min; CBT 60 min at 26 h, 50 h; integration 60 min at 75 h"
    end = {
        quality: run(text, quality=f"quality_{quality}")["madrs_points"][0, -1]
        for quality in ("low", "relative", "high")
    }
    assert end["high"] < end["relative"] < end["low"]
    untaught = run(text, omit=["therapy"])["madrs_points"][0, -1]
    assert end["low"] == pytest.approx(untaught, abs=1e-9), "at the low end these teach nothing"


@pytest.mark.slow
def test_a_therapy_that_teaches_for_certain_teaches_also_at_its_low_end():
    text = "ketamine 0.5 mg/kg iv over 40 min; automated self-association training 20 min at 26 h"
    low = run(text, quality="quality_low")["madrs_points"][0, -1]
    assert low < run(text, omit=["therapy"])["madrs_points"][0, -1] - 0.01


def test_an_unknown_quality_is_refused():
    with pytest.raises(UnknownNameError, match="Unknown quality 'quality_best'"):
        run(quality="quality_best")
