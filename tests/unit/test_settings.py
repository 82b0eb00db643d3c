"""Settings by name: spellings, additions, and what is refused."""

from __future__ import annotations

import pytest
from tests.registry import CHAIN

from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.population.settings import ADDED, DEFAULT_SETTING, find_setting, settings


@pytest.mark.parametrize("name", settings())
def test_a_setting_is_what_its_row_says(name: str):
    found, row = find_setting(name), settings()[name]
    assert found.name == name
    for field, value in row.items():
        if field not in ("name", "meaning", "tag", "note"):
            assert getattr(found, field) == float(value), field
    assert found.is_hopeful == (found.prior_belief_fraction > 0.0)


@pytest.mark.parametrize("text", ["nasal placebo", "nasal-placebo", "NASAL_Placebo", "  nasal placebo "])
def test_capitals_hyphens_and_spaces_do_not_matter(text: str):
    assert find_setting(text) == find_setting("nasal_placebo")


@pytest.mark.parametrize("text", ["saline+admission", "saline + admission", "Saline+Admission"])
def test_admission_may_be_added_to_any_setting(text: str):
    found, plain = find_setting(text), find_setting("saline")
    assert found.name == "saline+admission"
    assert found.values() == plain.values()
    assert found.care_days == find_setting(ADDED).care_days > plain.care_days == 0.0


def test_admission_alone_is_an_open_setting_with_care():
    found, default = find_setting(ADDED), find_setting(DEFAULT_SETTING)
    assert found.values() == default.values()
    assert found.care_days > default.care_days


def test_who_is_certain_or_cannot_tell_makes_no_verdict():
    can_be_told = {name for name in settings() if find_setting(name).clue_weight_fraction > 0.0}
    assert can_be_told == {"saline", "midazolam", "nasal_placebo"}


@pytest.mark.parametrize("name", settings())
def test_what_a_setting_sets_are_parameters_of_expectancy_within_their_range(name: str):
    found = find_setting(name).values()
    assert len(found) == 4
    for key, value in found.items():
        assert key.startswith("expectancy.")
        assert CHAIN[key].low <= value <= CHAIN[key].high


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("salin", r"Unknown setting 'salin'. Did you mean 'saline'.*'\+admission' may follow"),
        ("saline+hospital", r"Unknown setting 'hospital'"),
        ("", r"Unknown setting ''"),
        ("saline+", r"Unknown setting ''"),
    ],
)
def test_an_unknown_setting_is_refused(text: str, message: str):
    with pytest.raises(UnknownNameError, match=message):
        find_setting(text)


@pytest.mark.parametrize(
    "text", ["saline+midazolam", "admission+saline", "saline+admission+admission", "open+none"]
)
def test_only_admission_may_be_added_and_only_once(text: str):
    with pytest.raises(InvalidInputError, match=r"'setting' must be one setting, or one with '\+admission'"):
        find_setting(text)
