"""Totals come from complete scales only; every cut is tried at and beside its number."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.care.scores import (
    Cssrs,
    Instrument,
    band,
    concern,
    dissociated,
    find_instrument,
    improvement_percent,
    instruments,
    remitted,
    responded,
    score,
)
from euthymia.errors import InvalidInputError, UnknownNameError

KINDS = list(instruments().values())
SUMS = [one for one in KINDS if one.name != "QIDS-SR16"]


def spread(kind: Instrument, total: int) -> list[int]:
    """Items whose sum is a total, filled from the front."""
    items, left = [kind.item_minimum] * kind.item_count, total - kind.minimum
    for place, most in enumerate(kind.item_maxima):
        items[place] = min(most, left)
        left -= items[place]
    assert left == 0
    return items


def scored(scale: str, total: int) -> Any:
    if scale == "QIDS-SR16":
        items = [0] * 16
        for place in (0, 4, 5, 9, 10, 11, 12, 13, 14):
            items[place] = min(3, total)
            total -= items[place]
        return score(scale, items)
    return score(scale, spread(find_instrument(scale), total))


@pytest.mark.parametrize("kind", KINDS, ids=lambda one: one.name)
def test_items_and_domains_give_the_range_that_the_source_states(kind: Instrument):
    tops = [max(kind.item_maxima[place - 1] for place in domain) for domain in kind.domains]
    assert sum(tops) == kind.maximum
    assert sorted(place for domain in kind.domains for place in domain) == list(range(1, kind.item_count + 1))
    assert score(kind.name, list(kind.item_maxima)).total == kind.maximum
    assert score(kind.name, [kind.item_minimum] * kind.item_count).total == kind.minimum


@pytest.mark.parametrize("kind", SUMS, ids=lambda one: one.name)
@given(data=st.data())
def test_a_total_is_the_sum_of_its_items(kind: Instrument, data: st.DataObject):
    items = [data.draw(st.integers(kind.item_minimum, most)) for most in kind.item_maxima]
    found = score(kind.name, items)
    assert (found.total, found.missing) == (sum(items), ())
    assert found.at_least == found.at_most == found.total


@given(items=st.lists(st.integers(0, 3), min_size=16, max_size=16))
def test_the_total_of_the_qids_is_the_sum_of_nine_highest_answers(items: list[int]):
    sleep, appetite, motion = max(items[0:4]), max(items[5:9]), max(items[14:16])
    by_hand = sleep + items[4] + appetite + sum(items[9:14]) + motion
    assert score("QIDS-SR16", items).total == by_hand


@pytest.mark.parametrize("kind", SUMS, ids=lambda one: one.name)
def test_one_item_missing_leaves_the_total_unknown_within_bounds(kind: Instrument):
    full: list[int | None] = [1, *[kind.item_minimum] * (kind.item_count - 1)]
    for place in range(kind.item_count):
        items = [*full]
        items[place] = None
        found = score(kind.name, items)
        assert (found.total, found.band, found.missing) == (None, None, (place + 1,))
        rest = sum(one for one in items if one is not None)
        assert found.at_least == rest + kind.item_minimum
        assert found.at_most == rest + kind.item_maxima[place]


@given(data=st.data())
def test_what_is_missing_fits_between_the_bounds(data: st.DataObject):
    kind = data.draw(st.sampled_from(KINDS))
    whole = [data.draw(st.integers(kind.item_minimum, most)) for most in kind.item_maxima]
    holes = data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)))
    gappy = score(kind.name, [None if hole else one for one, hole in zip(whole, holes, strict=True)])
    total = score(kind.name, whole).total
    assert total is not None
    if not kind.one_of:
        assert gappy.at_least <= total <= gappy.at_most
        assert gappy.total in {None, total}


def test_of_two_items_of_the_qids_only_one_is_answered():
    items: list[int | None] = [0, 0, 0, 0, 1, 2, None, None, 1, 1, 1, 1, 1, 1, 1, 1]
    assert score("QIDS-SR16", items).total == 0 + 1 + 2 + 5 + 1
    items[8] = None
    assert score("QIDS-SR16", items).missing == (8, 9)
    items[5] = 3
    assert score("QIDS-SR16", items).total == 10, "the highest answer of the domain is reached"


BANDS = [(one.name, *each) for one in KINDS for each in one.bands]


@pytest.mark.parametrize(("name", "label", "low", "high"), BANDS)
def test_bands_hold_both_their_ends_and_nothing_beyond(name: str, label: str, low: int, high: int):
    kind = find_instrument(name)
    assert band(name, low) == band(name, high) == label
    assert low == kind.minimum or band(name, low - 1) != label
    assert high == kind.maximum or band(name, high + 1) != label


@pytest.mark.parametrize("kind", [one for one in KINDS if one.bands], ids=lambda one: one.name)
def test_every_total_has_one_band(kind: Instrument):
    for total in range(kind.minimum, kind.maximum + 1):
        assert sum(low <= total <= high for _, low, high in kind.bands) == 1
    for outside in (kind.minimum - 1, kind.maximum + 1):
        with pytest.raises(InvalidInputError, match="'total' must be"):
            band(kind.name, outside)


@pytest.mark.parametrize(
    ("name", "low", "high", "label"),
    [
        ("MADRS", 0, 6, "none"),
        ("MADRS", 20, 34, "moderate"),
        ("PHQ-9", 15, 19, "moderately severe"),
        ("GAD-7", 10, 14, "moderate"),
        ("QIDS-SR16", 16, 20, "severe"),
    ],
)
def test_bands_are_those_of_the_evidence(name: str, low: int, high: int, label: str):
    assert (label, low, high) in find_instrument(name).bands


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("MADRS", 30, 15, True),
        ("MADRS", 30, 16, False),
        ("MADRS", 31, 15, True),
        ("MADRS", 31, 16, False),
        ("MADRS", 1, 0, True),
        ("MADRS", 0, 0, None),
        ("PHQ-9", 20, 10, True),
        ("PHQ-9", 20, 11, False),
    ],
)
def test_response_is_a_fall_of_half(name: str, before: int, after: int, expected: bool | None):
    assert responded(scored(name, before), scored(name, after)) is expected


def test_response_is_unknown_where_a_total_is():
    gap = score("PHQ-9", [0] * 8 + [None])
    assert responded(scored("PHQ-9", 20), gap) is None
    assert responded(gap, scored("PHQ-9", 2)) is None
    assert improvement_percent(gap, scored("PHQ-9", 2)) is None
    assert set(remitted(gap).values()) == {None}


@pytest.mark.parametrize(
    ("name", "cut"), [(one.name, cut) for one in KINDS for cut in one.remissions], ids=str
)
def test_remission_holds_at_the_cut_and_not_above(name: str, cut: Any):
    at = int(cut.at_most_points)
    assert remitted(scored(name, at))[cut.label] is True
    assert remitted(scored(name, at - 1))[cut.label] is True
    assert remitted(scored(name, at + 1))[cut.label] is False


def test_both_definitions_of_remission_are_told():
    assert set(remitted(scored("MADRS", 11)).values()) == {False, True}


def test_a_scale_without_definition_has_no_response():
    with pytest.raises(InvalidInputError, match="a definition of response"):
        responded(scored("GAD-7", 10), scored("GAD-7", 2))


def test_improvement_is_a_share_of_the_baseline():
    assert improvement_percent(scored("MADRS", 40), scored("MADRS", 30)) == pytest.approx(25.0)
    assert improvement_percent(scored("MADRS", 40), scored("MADRS", 44)) == pytest.approx(-10.0)


@pytest.mark.parametrize(
    ("before", "now", "expected"), [(0, 4, False), (0, 5, True), (5, 5, False), (5, 6, True), (9, 6, False)]
)
def test_dissociation_counts_above_the_cut_and_above_its_baseline(before: int, now: int, expected: bool):
    assert dissociated(scored("CADSS", before), scored("CADSS", now)) is expected


@pytest.mark.parametrize(("given", "expected"), [(0, False), (1, True), (3, True), (None, None)])
def test_an_answer_about_suicide_is_flagged_also_on_an_incomplete_form(given: int | None, expected: bool):
    for other in (0, None):
        found = score("PHQ-9", [other, *[0] * 7, given])
        assert found.is_concern is expected


def test_scales_without_such_an_item_flag_nothing():
    assert score("GAD-7", [3] * 7).is_concern is None


@pytest.mark.parametrize(
    ("scale", "items", "message"),
    [
        ("PHQ-9", [0] * 8, "'items' must be 9 of PHQ-9. Got 8"),
        ("PHQ-9", [4] + [0] * 8, r"0 to 3, or missing \(item 1 of PHQ-9\)'?.* Got 4"),
        ("PHQ-9", [-1] + [0] * 8, "Got -1"),
        ("PHQ-9", [True] + [0] * 8, "Got True"),
        ("PHQ-9", [1.0] + [0] * 8, "Got 1.0"),
        ("HAM-D17", [0, 0, 0, 3] + [0] * 13, "0 to 2"),
        ("C-SSRS ideation", [0] * 5, "Unknown scale"),
    ],
)
def test_items_that_cannot_be_are_refused(scale: str, items: list[Any], message: str):
    with pytest.raises(InvalidInputError, match=message):
        score(scale, items)


def test_scales_of_different_kinds_are_not_compared():
    with pytest.raises(InvalidInputError, match="the same twice"):
        responded(scored("MADRS", 30), scored("PHQ-9", 10))
    with pytest.raises(InvalidInputError, match="CADSS"):
        dissociated(scored("MADRS", 30), scored("MADRS", 10))


def test_names_are_read_without_capitals_and_hyphens():
    assert find_instrument("phq9").name == "PHQ-9"
    assert find_instrument("moaas").is_higher_worse is False
    with pytest.raises(UnknownNameError, match="PHQ-9"):
        find_instrument("phq 8")


IDEATION = ("wish_to_be_dead", "active_thoughts", "method", "intent", "plan")
ALL = (*IDEATION, "recent_behaviour")


@pytest.mark.parametrize("answers", list(product([True, False, None], repeat=5)), ids=str)
def test_the_level_of_ideation_is_the_highest_yes_if_all_above_are_no(answers: tuple[bool | None, ...]):
    found = Cssrs.create(**dict(zip(IDEATION, answers, strict=True))).level
    highest = max((place for place, one in enumerate(answers, 1) if one), default=0)
    above = answers[highest:]
    assert found == (highest if None not in above else None)


def no(**changed: Any) -> Cssrs:
    return Cssrs.create(**{**dict.fromkeys(ALL, False), **changed})


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (no(), "none"),
        (no(wish_to_be_dead=True), "before leaving"),
        (no(active_thoughts=True), "before leaving"),
        (no(method=True), "before leaving"),
        (no(intent=True), "now"),
        (no(plan=True), "now"),
        (no(recent_behaviour=True), "now"),
        (no(intent=True, plan=None), "now"),
        (no(wish_to_be_dead=True, intent=None), "now"),
        (no(wish_to_be_dead=None), "unknown"),
        (no(recent_behaviour=None), "unknown"),
        (Cssrs.create(), "unknown"),
    ],
)
def test_what_answers_about_suicide_ask_for(answers: Cssrs, expected: str):
    assert concern(answers) == expected


@pytest.mark.parametrize(("given", "expected"), [(0, "none"), (1, "before leaving"), (3, "before leaving")])
def test_item_nine_above_zero_asks_for_a_clinician_before_leaving(given: int, expected: str):
    assert concern(no(), phq9_item9=given) == expected


def test_item_nine_alone_never_says_that_there_is_nothing():
    assert concern(phq9_item9=0) == "unknown"
    assert concern(phq9_item9=2) == "before leaving"
    assert concern() == "unknown"


def test_items_are_skipped_only_after_the_no_that_leaves_them_out():
    found = no(wish_to_be_dead=True, method="skipped", intent="skipped", plan="skipped")
    assert (found.level, concern(found)) == (1, "before leaving")
    with pytest.raises(InvalidInputError, match="skipped only after a no"):
        no(active_thoughts=True, intent="skipped")
    with pytest.raises(InvalidInputError, match="skipped only after a no"):
        no(recent_behaviour="skipped")


@pytest.mark.parametrize(("name", "given"), [("intent", "perhaps"), ("intend", True)])
def test_answers_that_cannot_be_are_refused(name: str, given: object):
    with pytest.raises(InvalidInputError, match=name):
        Cssrs.create(**{name: given})  # pyright: ignore[reportArgumentType]
