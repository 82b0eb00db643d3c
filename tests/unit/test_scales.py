"""How scales see severity or ideation: maps, rounding, range, and noise that scales of one visit share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from scipy.stats import norm
from tests.strategies import fractions

from euthymia.errors import UnknownNameError
from euthymia.mechanism.symptoms.scales import Map, Parameters, expected, observed
from euthymia.model.parameters import load_parameters
from euthymia.model.scales import Scale, find_scale, scales
from euthymia.model.variables import find_variable
from euthymia.population.outcomes import rate

SCALES = tuple(scales())
EACH = pytest.mark.parametrize("scale", scales().values(), ids=SCALES)
COUNT = 20_000


def seen(severity: Any, scale: Scale, common: Any = 0.0, own: Any = 0.0, share: float = 0.5) -> Any:
    return observed(
        np.asarray(severity, float),
        scale.map,
        Parameters(share),
        common=np.asarray(common),
        own=np.asarray(own),
    )


# --- the map ---------------------------------------------------------------------------------------


@EACH
def test_the_map_goes_from_the_least_to_the_largest_total(scale: Scale):
    ends = expected(np.array([0.0, 1.0]), scale.map)
    assert ends.tolist() == [scale.map.minimum_points, scale.map.maximum_points]


@EACH
def test_worse_severity_never_lowers_a_total(scale: Scale):
    assert np.all(np.diff(expected(np.linspace(0.0, 1.0, 2001), scale.map)) > 0)


@EACH
def test_the_map_passes_its_knots_and_is_straight_between_them(scale: Scale):
    knots, points = scale.map.latent_fraction, scale.map.points
    np.testing.assert_allclose(expected(knots, scale.map), points, rtol=1e-14, atol=0)
    halfway = expected(0.5 * (knots[1:] + knots[:-1]), scale.map)
    np.testing.assert_allclose(halfway, 0.5 * (points[1:] + points[:-1]), rtol=1e-12, atol=0)


def test_the_ssi_is_38_times_ideation():
    ideation = np.linspace(0.0, 1.0, 20)
    np.testing.assert_allclose(expected(ideation, scales()["SSI"].map), 38 * ideation, rtol=1e-14, atol=0)


def test_madrs_is_sixty_times_severity():
    severity = np.linspace(0.0, 1.0, 31)
    np.testing.assert_allclose(expected(severity, scales()["MADRS"].map), 60 * severity, rtol=1e-14, atol=0)


# --- what is rated ---------------------------------------------------------------------------------


@EACH
def test_without_noise_the_expected_total_is_rounded_to_whole_points(scale: Scale):
    severity = np.linspace(0.0, 1.0, 301)
    found = seen(severity, scale)
    assert np.array_equal(found, np.rint(expected(severity, scale.map)))
    assert np.abs(found - expected(severity, scale.map)).max() <= 0.5


@given(severity=fractions(), common=fractions(), own=fractions())
def test_totals_are_whole_and_stay_in_the_range_under_any_noise(severity: float, common: float, own: float):
    for scale in scales().values():
        for size in (-40.0, 40.0):
            total = float(seen(severity, scale, size * common, size * own))
            assert scale.map.minimum_points <= total <= scale.map.maximum_points
            assert total == round(total)


@EACH
def test_noise_too_large_for_the_range_ends_at_its_edges(scale: Scale):
    assert seen(0.5, scale, 1000.0, 1000.0) == scale.map.maximum_points
    assert seen(0.5, scale, -1000.0, -1000.0) == scale.map.minimum_points


def test_noise_is_the_stated_mixture_of_common_and_own():
    wide = replace(
        scales()["MADRS"], map=scales()["MADRS"].map._replace(noise_sd_points=1e6, maximum_points=1e9)
    )
    found = seen(0.5, wide, common=1.0, own=0.5, share=0.36)
    assert found == pytest.approx(30.0 + 1e6 * (0.6 * 1.0 + 0.8 * 0.5), abs=0.5)


@pytest.mark.parametrize(("share", "common", "own"), [(1.0, 0.7, 1e3), (0.0, 1e3, 0.7)])
def test_all_or_none_of_the_noise_may_be_common(share: float, common: float, own: float):
    found = seen(0.5, scales()["MADRS"], common, own, share)
    assert found == np.rint(30.0 + 0.7 * scales()["MADRS"].map.noise_sd_points)


# --- raters ----------------------------------------------------------------------------------------

PARAMETERS = load_parameters()
SHARE = PARAMETERS.chain["rating.common_noise_fraction"].value
ROUNDING = 1.0 / 12.0
"""Variance that rounding to whole points adds, where noise is not small beside a point."""


def rated(name: str, severity: float, *, time_h: float = 24.0, seed: int = 3) -> np.ndarray:
    numbers = np.arange(1, COUNT + 1)
    return rate(
        np.full((COUNT, 1), severity), name, [time_h], parameters=PARAMETERS, numbers=numbers, seed=seed
    )[:, 0]


def middle(name: str) -> float:
    """Return a severity at the middle of a scale's range, far from both edges."""
    one = scales()[name].map
    return float(np.interp(0.5 * (one.minimum_points + one.maximum_points), one.points, one.latent_fraction))


def rounded_normal(mean: float, sd: float, scale: Map) -> tuple[float, float]:
    """Return mean and SD of a normal that is rounded to whole points within the range of a scale."""
    points = np.arange(scale.minimum_points, scale.maximum_points + 1.0)
    below = norm.cdf((points[:-1] + 0.5 - mean) / sd)
    share = np.diff(below, prepend=0.0, append=1.0)
    centre = float(points @ share)
    return centre, float(np.sqrt((points - centre) ** 2 @ share))


@pytest.mark.parametrize("name", SCALES)
def test_raters_scatter_by_the_stated_noise_around_the_expected_total(name: str):
    one = scales()[name].map
    found = rated(name, middle(name))
    mean, sd = rounded_normal(float(expected(np.asarray(middle(name)), one)), one.noise_sd_points, one)
    # 5 standard errors of a mean and of an SD; the seed is fixed
    assert found.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(COUNT))
    assert found.std() == pytest.approx(sd, abs=5 * sd / np.sqrt(2 * COUNT))


def correlation_of(first: str, second: str, *, apart_h: float = 0.0) -> float:
    one = rated(first, middle(first))
    two = rated(second, middle(second), time_h=24.0 + apart_h)
    return float(np.corrcoef(one, two)[0, 1])


@pytest.mark.parametrize("other", [name for name in SCALES if name != "MADRS"])
def test_scales_of_one_visit_share_the_stated_part_of_their_noise(other: str):
    variances = [scales()[name].map.noise_sd_points ** 2 for name in ("MADRS", other)]
    diluted = SHARE * np.prod([one / (one + ROUNDING) for one in variances]) ** 0.5
    # 5 standard errors of a correlation
    assert correlation_of("MADRS", other) == pytest.approx(diluted, abs=5 / np.sqrt(COUNT))


@pytest.mark.parametrize("other", ["MADRS", "PHQ-9"])
def test_ratings_of_two_visits_share_nothing(other: str):
    assert correlation_of("MADRS", other, apart_h=24.0) == pytest.approx(0.0, abs=5 / np.sqrt(COUNT))


# --- names -----------------------------------------------------------------------------------------


def test_five_scales_of_mood_are_known_with_madrs_first_then_two_of_ideation():
    assert SCALES[0] == "MADRS"
    assert set(SCALES[:5]) == {"MADRS", "HAM-D17", "QIDS-SR16", "PHQ-9", "BDI-II"}
    assert SCALES[5:] == ("C-SSRS ideation", "SSI")
    assert list(SCALES[1:5]) == sorted(SCALES[1:5])


@EACH
def test_a_scale_maps_mood_or_ideation_and_not_the_other(scale: Scale):
    is_mood = SCALES.index(scale.name) < 5
    assert scale.latent == ("severity_fraction" if is_mood else "suicidal_ideation_fraction")
    assert find_variable(scale.latent).unit == "1"


@EACH
def test_a_scale_is_found_by_any_usual_spelling_and_by_its_variable(scale: Scale):
    spellings = (
        scale.name,
        scale.name.lower(),
        scale.name.replace("-", ""),
        scale.name.replace("-", "_"),
        scale.name.replace("-", " "),
        scale.variable.removesuffix("_points"),
    )
    assert {find_scale(one).name for one in spellings} == {scale.name}
    assert find_variable(scale.variable).unit == "points"


def test_an_unknown_scale_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"Unknown scale 'MADR'. Did you mean 'MADRS'"):
        find_scale("MADR")


@EACH
def test_a_scale_knows_its_minimum_its_response_and_its_remissions(scale: Scale):
    assert scale.minimum_points == scale.map.minimum_points == 0.0
    assert scale.response_fraction == 0.5
    assert all(0.0 < cut.at_most_points < scale.map.maximum_points for cut in scale.remissions)
    is_mood = scale.latent == "severity_fraction"
    assert bool(scale.remissions) == is_mood, "no published remission of ideation"
    assert bool(scale.bands) == is_mood
    if scale.bands:
        assert scale.bands[0][1] == scale.minimum_points
        assert scale.bands[-1][2] == scale.map.maximum_points


def test_the_record_of_a_map_is_what_the_file_says():
    one = scales()["QIDS-SR16"].map
    assert isinstance(one, Map)
    assert (one.minimum_points, one.maximum_points, one.noise_sd_points) == (0.0, 27.0, 1.8)
