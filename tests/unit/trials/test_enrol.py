"""Who takes part and what they are allocated to, held against brute force and against distributions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare
from tests.unit.trials.cohorts import CROSSOVER
from tests.unit.trials.protocol_text import edited, read

from euthymia.errors import InvalidInputError
from euthymia.model.parameters import load_parameters
from euthymia.population.baseline import expect_rating
from euthymia.population.patient import numbers_of
from euthymia.population.screening import ratings_before
from euthymia.trials.design import Protocol
from euthymia.trials.enrol import Intake, allocate, enrol, intake, mood_scale, strata_of

ARM: dict[str, Any] = {"regimen": "saline iv over 40 min"}
LEAST_P = 1e-3


def protocol_of(sizes: tuple[int, ...], **randomisation: Any) -> Protocol:
    arms = {f"arm{place}": ARM | {"n": n, "is_control": place == 0} for place, n in enumerate(sizes)}
    return Protocol.model_validate(
        {
            "id": "a",
            "title": "b",
            "arms": arms,
            "visits": [{"at": "day 0"}, {"at": "day 1"}],
            "endpoints": {"one": {"kind": "change", "at": "day 1"}},
            "randomisation": randomisation,
        }
    )


# --- allocation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(40, 20), (7, 9, 11), (1, 100)])
def test_without_strata_and_blocks_every_arm_gets_exactly_its_size(sizes: tuple[int, ...]):
    protocol = protocol_of(sizes)
    for replicate in range(5):
        found = allocate(protocol, np.zeros(sum(sizes), int), seed=1, replicate=replicate)
        assert tuple(np.bincount(found, minlength=len(sizes))) == sizes


def test_a_replicate_is_allocated_alike_each_time_and_others_otherwise():
    protocol, strata = protocol_of((20, 20), strata=["age_years >= 50"]), np.arange(40) % 2
    first = [allocate(protocol, strata, seed=1, replicate=3).tolist() for _ in range(2)]
    others = {
        tuple(allocate(protocol, strata, seed=seed, replicate=replicate))
        for seed, replicate in ((1, 3), (1, 4), (2, 3), (1, 5))
    }
    assert first[0] == first[1]
    assert len(others) == 4


def test_who_comes_later_changes_nothing_for_those_before():
    protocol = protocol_of((40, 20), blocks=[3, 6])
    long = allocate(protocol, np.zeros(60, int), seed=1, replicate=0)
    for count in (1, 7, 59):
        assert np.array_equal(allocate(protocol, np.zeros(count, int), seed=1, replicate=0), long[:count])


@pytest.mark.parametrize(
    ("sizes", "blocks"), [((20, 20), (4,)), ((20, 20), (4, 8)), ((40, 20), (3, 6)), ((30, 20, 10), (6,))]
)
def test_at_no_time_is_a_stratum_out_of_balance_by_more_than_part_of_a_block(
    sizes: tuple[int, ...], blocks: tuple[int, ...]
):
    """Whole blocks hold the ratio, so that what is uneven lies within one."""
    protocol = protocol_of(sizes, strata=["age_years >= 50"], blocks=blocks)
    ratio = np.array(protocol.ratio)
    strata = np.random.default_rng(1).integers(0, 3, 200)
    for replicate in range(20):
        found = allocate(protocol, strata, seed=1, replicate=replicate)
        for one in range(3):
            given_ = found[strata == one]
            counts = np.cumsum(given_[:, None] == np.arange(len(sizes)), axis=0)
            expected = np.arange(1, len(given_) + 1)[:, None] * ratio / ratio.sum()
            most = max(blocks) / ratio.sum() * ratio * (1.0 - ratio / ratio.sum())
            assert (np.abs(counts - expected) <= most + 1e-9).all()


def test_blocks_are_whole_where_their_size_is_known():
    found = allocate(protocol_of((40, 20), blocks=[6]), np.zeros(60, int), seed=1, replicate=0)
    assert (found.reshape(10, 6) == 0).sum(axis=1).tolist() == [4] * 10


Allocator = Callable[[int], np.ndarray]
SIX = protocol_of((4, 2), blocks=[6])


def own(replicate: int) -> np.ndarray:
    return allocate(SIX, np.zeros(6, int), seed=1, replicate=replicate)


def sorted_ones(replicate: int) -> np.ndarray:
    """Give a deliberately wrong allocation: whom the coin meets first gets the larger arm more often."""
    found = own(replicate)
    return np.sort(found) if replicate % 8 == 0 else found


def rotated(replicate: int) -> np.ndarray:
    """Give another wrong one: each place is fair, the orders are three of fifteen."""
    return np.roll(np.array([0, 0, 1, 0, 0, 1]), replicate)


def p_of_places(allocator: Allocator, replicates: int = 3000) -> float:
    """Return the smallest p of a chi-square test that a place of a block has the arms in their ratio."""
    found = np.array([allocator(replicate) for replicate in range(replicates)])
    counts = np.array([(found == arm).sum(axis=0) for arm in range(2)])
    return float(chisquare(counts, np.array([[4.0], [2.0]]) / 6.0 * replicates, axis=0).pvalue.min())


def p_of_orders(allocator: Allocator, replicates: int = 3000) -> float:
    """Return the p of a chi-square test that all orders of a block are equally likely."""
    orders = sorted(set(permutations([0, 0, 0, 0, 1, 1])))
    found = [orders.index(tuple(int(arm) for arm in allocator(replicate))) for replicate in range(replicates)]
    return float(chisquare(np.bincount(found, minlength=len(orders))).pvalue)


@pytest.mark.slow
def test_every_place_of_a_block_and_every_order_is_fair():
    assert p_of_places(own) > LEAST_P
    assert p_of_orders(own) > LEAST_P


@pytest.mark.slow
def test_an_unfair_allocation_is_found_out():
    assert p_of_places(sorted_ones) < LEAST_P
    assert p_of_places(rotated) > LEAST_P
    assert p_of_orders(rotated) < LEAST_P


@pytest.mark.slow
def test_without_blocks_every_place_is_fair_and_neighbours_are_independent_but_for_the_fixed_sizes():
    protocol = protocol_of((4, 2))
    assert p_of_orders(lambda one: allocate(protocol, np.zeros(6, int), seed=2, replicate=one)) > LEAST_P


def test_blocks_of_several_sizes_come_equally_often():
    protocol = protocol_of((20, 20), blocks=[2, 40])
    # a first block of 2 is balanced after two patients for certain, one of 40 about half of the time
    balanced = sum(
        len(set(allocate(protocol, np.zeros(2, int), seed=1, replicate=one))) == 2 for one in range(800)
    )
    assert binomtest(balanced, 800, 0.5 * (1.0 + 20 / 39)).pvalue > LEAST_P


def test_sequences_of_a_crossover_share_its_patients():
    protocol = Protocol.model_validate(CROSSOVER | {"crossover": CROSSOVER["crossover"] | {"n": 9}})
    found = allocate(protocol, np.zeros(9, int), seed=1, replicate=0)
    assert np.bincount(found).tolist() == [5, 4]


# --- enrolment -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def given() -> Intake:
    return intake(read(), load_parameters(), seed=5)


@pytest.fixture(scope="module")
def plain() -> Intake:
    """Return an intake without randomisation by strata, of which any number can be enrolled."""
    return intake(read(edited(("strata: [age_years >= 50]", "strata: []"))), load_parameters(), seed=5)


def rated(given: Intake, day: float, keys: np.ndarray, scale: str = "MADRS") -> np.ndarray:
    return ratings_before(given.parameters, [scale], [24.0 * day], numbers=keys, seed=given.seed)[0]


def test_the_first_who_meet_the_rule_at_both_visits_are_enrolled(given: Intake):
    found = enrol(given, 2)
    everyone = numbers_of(2, np.arange(1, found.screened + 1))
    meets = (rated(given, -7.0, everyone) >= 20) & (rated(given, 0.0, everyone) >= 20)
    assert len(found.key) == given.protocol.size == 60
    assert found.key.tolist() == everyone[meets].tolist()
    assert not meets.all()
    assert found.number.tolist() == (np.flatnonzero(meets) + 1).tolist()


def test_without_a_rule_the_first_ones_take_part():
    text = edited(("  entry:\n    - {scale: MADRS, at_least: 20, at: [screening, baseline]}\n", ""))
    found = enrol(intake(read(text), load_parameters(), seed=5), 0)
    assert (found.number.tolist(), found.screened) == (list(range(1, 61)), 60)


def test_who_is_chosen_by_ideation_has_it_as_rated():
    text = edited(("at: [screening, baseline]}", "}\n    - {scale: SSI, at_least: 6}"))
    chosen = intake(read(text), load_parameters(), seed=5)
    found = enrol(chosen, 0)
    assert rated(chosen, 0.0, found.key, "SSI").min() >= 6
    assert rated(chosen, 0.0, found.key).min() >= 20
    assert any("without the rule about ideation" in one for one in chosen.notes)


@pytest.mark.slow
def test_the_rule_about_ideation_moves_mood_by_no_more_than_the_note_says():
    """A rule that about a third meet, in a population that is not suicidal: the mean of 4000 enrolled."""
    text = edited(
        ("at: [screening, baseline]}", "}\n    - {scale: SSI, at_least: 6}"), ("[age_years >= 50]", "[]")
    )
    chosen = intake(read(text), load_parameters(), seed=5)
    keys = enrol(chosen, 0, 4000).key
    assert 0.0 < rated(chosen, 0.0, keys).mean() - 33.0 < 1.3


def test_a_patient_is_the_same_alone_in_a_replicate_and_among_more(plain: Intake):
    few, many = enrol(plain, 1, 20), enrol(plain, 1, 200)
    assert few.key.tolist() == many.key[:20].tolist()
    assert few.people == many.people[:20]
    assert plain.people(many.key[[150]]) == (many.people[150],)
    assert few.arm.tolist() == many.arm[:20].tolist()


def test_another_replicate_has_other_people(plain: Intake):
    one, other = enrol(plain, 1), enrol(plain, 2)
    assert not set(one.key) & set(other.key)
    assert one.people != other.people


@pytest.mark.slow
def test_baseline_tables_are_met_within_monte_carlo_error(plain: Intake):
    """Of 4000 enrolled: mean and SD of the rated total, of age, and the share of women."""
    found = enrol(plain, 0, 4000)
    assert not [one for one in plain.notes if one.startswith("Baseline")]
    ages = np.array([one.age_years for one in found.people])
    for values, mean, sd in ((rated(plain, 0.0, found.key), 33.0, 8.0), (ages, 45.0, 12.0)):
        centred = values - values.mean()
        sd_error = np.sqrt((np.mean(centred**4) - sd**4) / (4.0 * sd**2 * len(values)))
        assert abs(values.mean() - mean) < 4.0 * sd / np.sqrt(len(values))
        assert abs(values.std(ddof=1) - sd) < 4.0 * sd_error
    assert (ages.min(), ages.max()) >= (18.0, 60.0)
    assert ages.max() <= 65.0
    women = sum(one.sex == "female" for one in found.people)
    assert binomtest(women, 4000, 0.6).pvalue > LEAST_P


def test_dropout_compares_severity_with_the_mean_that_is_expected_at_baseline(given: Intake):
    rule = given.protocol.population.mood_rule
    assert given.mean_points == expect_rating(given.parameters, "MADRS", rule).mean_points
    assert given.mean_points == pytest.approx(33.0, abs=1e-3)


def test_dropout_follows_a_scale_of_mood_where_the_primary_endpoint_is_of_ideation():
    text = edited(("{kind: change, at", "{kind: change, scale: SSI, at"))
    assert mood_scale(read(text)) == "MADRS"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age_years >= 50", lambda one: one.age_years >= 50),
        ("weight_kg < 80", lambda one: one.weight_kg < 80),
        ("is_hypertensive == 1", lambda one: bool(one.is_hypertensive)),
        ("bmi_kg_per_m2 > 27", lambda one: one.bmi_kg_per_m2 > 27),
    ],
)
def test_strata_follow_covariates(plain: Intake, text: str, expected: Callable[[Any], bool]):
    people = enrol(plain, 0).people
    protocol = read(edited(("age_years >= 50", text)))
    asked = Intake(protocol=protocol, parameters=plain.parameters, entry=plain.entry, seed=plain.seed)
    found = strata_of(asked, enrol(plain, 0).key, people)
    assert found.tolist() == [int(expected(one)) for one in people]
    assert 0 < found.sum() < len(found)


def test_several_strata_make_all_their_combinations_and_scales_count_as_rated(plain: Intake):
    protocol = read(edited(("[age_years >= 50]", "[MADRS >= 34, SSI >= 6, age_years >= 50]")))
    asked = Intake(protocol=protocol, parameters=plain.parameters, entry=plain.entry, seed=plain.seed)
    one = enrol(plain, 0, 200)
    found = strata_of(asked, one.key, one.people)
    is_severe, is_suicidal = rated(plain, 0.0, one.key) >= 34, rated(plain, 0.0, one.key, "SSI") >= 6
    is_older = np.array([person.age_years >= 50 for person in one.people])  # pyright: ignore[reportOptionalOperand]
    assert np.array_equal(found, 4 * is_severe + 2 * is_suicidal + is_older)
    assert set(found) == set(range(8))


def test_an_arm_and_a_stratum_stand_for_each_patient(given: Intake):
    found = enrol(given, 0)
    assert set(found.stratum) == {0, 1}
    for one in (0, 1):
        arms = found.arm[found.stratum == one]
        assert abs((arms == 0).sum() - 2 * (arms == 1).sum()) <= 4


# --- what cannot be met ----------------------------------------------------------------------------


def test_a_mean_that_no_severity_gives_is_refused():
    text = edited(("mean: 33, sd: 8", "mean: 59.9, sd: 0.1"))
    with pytest.raises(
        InvalidInputError, match=r"'baseline mean' must be .*what severities of the model give"
    ):
        intake(read(text), load_parameters(), seed=1)


def test_what_is_left_to_the_model_is_said():
    narrow = intake(read(edited(("sd: 8}", "sd: 3}"))), load_parameters(), seed=1)
    assert any("is out of reach" in one for one in narrow.notes)
    two = intake(
        read(edited(("sd: 8}", "sd: 8}\n    HAM-D17: {mean: 24, sd: 5}"))), load_parameters(), seed=1
    )
    assert two.notes == ("Baseline: HAM-D17 is as the model has it; MADRS is met.",)
    early = intake(
        read(edited(("over 40 min, weekly x 3\n", "over 40 min, weekly x 3 from -7 d\n"))),
        load_parameters(),
        seed=1,
    )
    assert any("Entry: rated as if nothing happened before day 0" in one for one in early.notes)
