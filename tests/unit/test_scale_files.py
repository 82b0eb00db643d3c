"""Files of the rating scales: regular keys, consistent ranges, anchors that rise, sources that exist."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import pytest

from euthymia.citations import load_sources
from euthymia.tables import list_files, read_text

SHARED = {
    *("id", "full_name", "kind", "variable", "rater", "item_count", "item_minimum", "item_maximum"),
    *("minimum", "maximum", "higher_means", "recall_period", "scoring", "item_text", "recalled"),
    *("source_keys", "severity_bands", "thresholds"),
}
MAPPED = {"response", "anchors", "rating_noise"}
OF_KIND = {"mood": MAPPED | {"remission"}, "ideation": MAPPED, "acute": set(), "anxiety": set()}
KNOTS = {"mood": "severity_fraction", "ideation": "ideation_fraction"}
STATUS = {"measured", "definition", "crosswalk", "assumed"}
SCALES: dict[str, dict[str, Any]] = {
    path.rsplit("/", 1)[1].removesuffix(".toml"): tomllib.loads(read_text(path))
    for path in list_files("scales", ".toml")
}
MOODS = [name for name, scale in SCALES.items() if scale["kind"] == "mood"]
IDEATIONS = [name for name, scale in SCALES.items() if scale["kind"] == "ideation"]


def expected_points(name: str, severity_fraction: float) -> float:
    anchors = SCALES[name]["anchors"]
    return float(np.interp(severity_fraction, anchors["severity_fraction"], anchors["points"]))


def test_five_scales_of_mood_two_of_ideation_one_of_anxiety_and_two_of_the_session_are_shipped():
    assert sorted(MOODS) == ["bdi", "hamd17", "madrs", "phq9", "qids_sr16"]
    assert sorted(IDEATIONS) == ["cssrs_ideation", "ssi"]
    assert sorted(set(SCALES) - {*MOODS, *IDEATIONS}) == ["cadss", "gad7", "moaas"]


@pytest.mark.parametrize("name", SCALES)
def test_keys_are_regular_and_explained(name: str):
    scale = SCALES[name]
    assert set(scale) == SHARED | OF_KIND[scale["kind"]]
    assert set(scale["recalled"]) <= set(scale)
    explained = read_text("scales/madrs.toml").split("\nid =")[0]
    assert [key for key in scale if key not in explained] == []
    for one in (scale[key] for key in ("response", "anchors", "rating_noise") if key in scale):
        assert one["status"] in STATUS


@pytest.mark.parametrize("name", SCALES)
def test_every_source_is_in_the_bibliography(name: str):
    scale = SCALES[name]
    parts = [*scale["thresholds"], *scale.get("remission", [])]
    parts += [scale[key] for key in ("response", "anchors", "rating_noise") if key in scale]
    assert {*scale["source_keys"], *(part["source"] for part in parts)} <= set(load_sources())
    assert len(scale["source_keys"]) == len(set(scale["source_keys"])) > 0


def test_totals_agree_with_the_items_where_all_items_have_one_range():
    for name in ("madrs", "phq9", "bdi", "cadss", "moaas", "ssi", "cssrs_ideation"):
        scale = SCALES[name]
        assert scale["maximum"] == scale["item_count"] * scale["item_maximum"], name
    assert SCALES["qids_sr16"]["maximum"] == 9 * SCALES["qids_sr16"]["item_maximum"]
    assert [SCALES["hamd17"][key] for key in ("minimum", "maximum")] == [0, 52]


@pytest.mark.parametrize("name", [name for name, scale in SCALES.items() if scale["severity_bands"]])
def test_bands_cover_the_range_without_gap_or_overlap(name: str):
    scale = SCALES[name]
    bands = scale["severity_bands"]
    assert (bands[0]["from"], bands[-1]["to"]) == (scale["minimum"], scale["maximum"])
    assert [band["from"] for band in bands[1:]] == [band["to"] + 1 for band in bands[:-1]]


@pytest.mark.parametrize("name", [*MOODS, *IDEATIONS])
def test_anchors_rise_from_the_minimum_to_the_maximum(name: str):
    scale = SCALES[name]
    knots, points = (np.array(scale["anchors"][key]) for key in (KNOTS[scale["kind"]], "points"))
    assert knots.shape == points.shape
    assert np.all(np.diff(knots) > 0.0)
    assert np.all(np.diff(points) > 0.0)
    assert (knots[0], knots[-1], points[0], points[-1]) == (0.0, 1.0, scale["minimum"], scale["maximum"])


@pytest.mark.parametrize("name", MOODS)
def test_response_is_a_fall_by_half_and_remission_lies_below_moderate_illness(name: str):
    scale = SCALES[name]
    moderate = next(band["from"] for band in scale["severity_bands"] if band["label"] == "moderate")
    assert scale["response"]["fraction"] == 0.5
    assert scale["remission"]
    assert all(rule["at_most"] < moderate and rule["status"] in STATUS for rule in scale["remission"])


def test_madrs_is_sixty_times_severity_with_its_three_remission_rules():
    assert expected_points("madrs", 0.57) == pytest.approx(34.2, rel=1e-12)
    assert [rule["at_most"] for rule in SCALES["madrs"]["remission"]] == [10, 12, 9]


def test_anchors_give_the_printed_equivalent_totals():
    for madrs, hamd17 in ((13, 10), (26, 20), (39, 30), (52.5, 40)):
        assert expected_points("hamd17", madrs / 60) == pytest.approx(hamd17, abs=1e-3)
    for madrs, bdi in ((13, 13), (26, 32), (39, 50)):
        assert expected_points("bdi", madrs / 60) == pytest.approx(bdi, abs=1e-3)
    for madrs, qids in ((7.5, 5), (17.5, 10.5), (24.5, 15.5), (33.5, 20.5)):
        assert expected_points("qids_sr16", madrs / 60) == pytest.approx(qids, abs=1e-3)


def test_anchors_agree_with_a_crosswalk_that_was_not_used_for_them():
    """QIDS-SR16 against HRSD17 on the page IdsQids; both reach here through the MADRS.

    Whole points on either side and two different samples: 1.5 points.
    """
    for qids, low, high in ((5, 7, 7), (10, 13, 13), (12, 16, 16), (15, 18, 19), (18, 23, 23), (20, 25, 25)):
        madrs = np.interp(qids, SCALES["qids_sr16"]["anchors"]["points"], 60.0 * np.array(
            SCALES["qids_sr16"]["anchors"]["severity_fraction"]))  # fmt: skip
        assert low - 1.5 <= expected_points("hamd17", float(madrs) / 60) <= high + 1.5, qids


def test_rating_noise_is_in_proportion_to_the_range():
    for name in MOODS:
        scale = SCALES[name]
        expected = 4.0 * scale["maximum"] / 60.0
        assert scale["rating_noise"]["sd_points"] == pytest.approx(expected, abs=0.05), name
        assert scale["rating_noise"]["status"] == "assumed"


def test_nothing_about_ideation_is_taken_for_measured():
    for name in IDEATIONS:
        scale = SCALES[name]
        assert scale["anchors"]["source"] == scale["rating_noise"]["source"] == "EuthymiaAssumed"
        assert scale["severity_bands"] == []


def test_no_item_text_is_shipped():
    for name, scale in SCALES.items():
        assert not any(isinstance(value, list) and len(value) >= 9 for value in scale.values()), name
