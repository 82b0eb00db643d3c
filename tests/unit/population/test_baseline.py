"""Severity before entry, solved from the table after it; what cannot be; what falls by itself afterwards."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.model.parameters import ParameterSet, load_parameters
from euthymia.population.baseline import FIELD, BaselineTable, expect_rating, match_baseline
from euthymia.population.individual import chain_values
from euthymia.population.patient import Patient
from euthymia.population.screening import Entry, ratings_before, screen

PARAMETERS = load_parameters()
COUNT = 20_000
# As printed in trials whose rows may be fitted; rows print few entry rules, those here are the test's own.
TABLES = {
    "T0056": (BaselineTable(mean_points=37.7, sd_points=6.11), Entry(at_least_points=28)),
    "T0023": (BaselineTable(mean_points=33.2, sd_points=6.26), Entry(at_least_points=24)),
    "T0085": (BaselineTable(mean_points=27.6, sd_points=5.8), Entry(at_least_points=20)),
    "T0034": (BaselineTable(mean_points=31.3, sd_points=7.09), Entry(at_least_points=20)),
    "T0272": (
        BaselineTable(mean_points=22.2, sd_points=4.6, scale="HAM-D17"),
        Entry(at_least_points=17, scale="HAM-D17"),
    ),
}
SCREENED = Entry(at_least_points=20, also=(Entry(at_least_points=20, day=-14),))
OTHER_SCALE = Entry(at_least_points=11, at_most_points=24, scale="QIDS-SR16")
TWO_SCALES = Entry(at_least_points=22, also=(Entry(at_least_points=16, scale="HAM-D17"),))


def rated(parameters: ParameterSet, scale: str, day: float, numbers: np.ndarray, seed: int) -> np.ndarray:
    return ratings_before(parameters, [scale], [24.0 * day], numbers=numbers, seed=seed)[0]


def check(values: np.ndarray, mean: float, sd: float) -> None:
    """Hold mean and SD against what is expected, within four standard errors."""
    error = values.std() / np.sqrt(len(values))
    fourth = float(((values - values.mean()) ** 4).mean())
    assert abs(values.mean() - mean) < 4 * error
    assert abs(values.std() - sd) < 4 * np.sqrt((fourth - sd**4) / len(values)) / (2 * sd)


# --- what is solved ----------------------------------------------------------------------------


@pytest.mark.parametrize("row", TABLES)
def test_published_tables_are_met_by_a_fresh_cohort_within_a_tenth_of_a_point(row: str):
    table, entry = TABLES[row]
    found = match_baseline(table, entry, PARAMETERS)
    assert found.is_met
    parameters = found.apply(PARAMETERS)
    enrolled = screen(entry, parameters, COUNT, seed=2)
    totals = rated(parameters, table.scale, 0, enrolled.numbers, 2)
    assert abs(totals.mean() - table.mean_points) < 0.1
    assert abs(totals.std() - table.sd_points) < 0.1
    share = found.rated.enrolled_fraction
    assert abs(COUNT / enrolled.screened_count - share) < 4 * np.sqrt(share * (1 - share) / COUNT)


@pytest.mark.parametrize(
    ("table", "entry"),
    [
        (BaselineTable(mean_points=27.6, sd_points=5.8), SCREENED),
        (BaselineTable(mean_points=31.0, sd_points=8.3), OTHER_SCALE),
        (BaselineTable(mean_points=30.0, sd_points=6.3), TWO_SCALES),
        (BaselineTable(mean_points=30.0, sd_points=9.5), None),
        (
            BaselineTable(mean_points=16.5, sd_points=4.2, scale="QIDS-SR16"),
            Entry(at_least_points=22, day=-7),
        ),
        (
            BaselineTable(mean_points=29.0, sd_points=6.2),
            Entry(
                at_least_points=20,
                also=(Entry(at_least_points=20, day=-7), Entry(at_least_points=20, day=-21)),
            ),
        ),
    ],
    ids=["screening visit", "other scale", "two scales a visit", "no rule", "earlier rule", "three visits"],
)
def test_rules_of_any_shape_are_met_in_expectation(table: BaselineTable, entry: Entry | None):
    found = match_baseline(table, entry, PARAMETERS)
    parameters = found.apply(PARAMETERS)
    numbers = np.arange(1, COUNT + 1)
    if entry is not None:
        numbers = screen(entry, parameters, COUNT, seed=6).numbers
    check(rated(parameters, table.scale, 0, numbers, 6), table.mean_points, table.sd_points)


def test_expectation_agrees_with_an_independent_simulation_of_the_same_model():
    """Own normals and own formulas: severity and swings on the logit, rater's error, whole points."""
    random, count = np.random.default_rng(7), 400_000
    typical, spread, swing_sd, memory = 0.5, 0.3, 0.5, np.exp(-14 * 24 / 504)
    person = np.log(typical / (1 - typical)) + spread * random.standard_normal(count)
    swing = swing_sd * random.standard_normal(count)
    before = memory * swing + np.sqrt(1 - memory**2) * swing_sd * random.standard_normal(count)

    def madrs(logit: np.ndarray) -> np.ndarray:
        noisy = 60 / (1 + np.exp(-logit)) + 4.0 * random.standard_normal(count)
        return np.clip(np.rint(noisy), 0, 60)

    first, second = madrs(person + before), madrs(person + swing)
    enrolled = second[(first >= 20) & (second >= 20)]
    parameters = PARAMETERS.with_spread(FIELD, value=typical, sd=spread, tag="test", note="")
    expected = expect_rating(parameters, "MADRS", SCREENED)
    check(enrolled, expected.mean_points, expected.sd_points)
    share = len(enrolled) / count
    assert abs(expected.enrolled_fraction - share) < 4 * np.sqrt(share * (1 - share) / count)


def test_of_people_alike_and_without_swings_only_the_rater_scatters():
    alike = PARAMETERS.with_spread(FIELD, value=0.55, sd=0.0, tag="test", note="")
    found = expect_rating(alike, "MADRS", has_swings=False)
    assert found.mean_points == pytest.approx(33.0, abs=1e-4)
    # rounding to whole points adds 1/12 (Sheppard)
    assert found.sd_points**2 == pytest.approx(16 + 1 / 12, abs=5e-4)
    chosen = expect_rating(alike, "MADRS", Entry(at_least_points=35), has_swings=False)
    cut = stats.norm(33.0, 4.0)
    totals = np.arange(35, 61)
    shares = np.diff(cut.cdf([*(totals - 0.5), 60.5]))
    assert chosen.enrolled_fraction == pytest.approx(shares.sum(), abs=1e-5)
    assert chosen.mean_points == pytest.approx((totals * shares).sum() / shares.sum(), abs=1e-4)


def test_of_people_without_a_rule_the_spread_is_that_of_severity_swings_and_raters():
    """Small spreads make the map from logit to points a line."""
    near = PARAMETERS.with_spread(FIELD, value=0.5, sd=0.05, tag="test", note="")
    near = near.with_overrides({"noise.mood_noise_sd_logit": 0.05})
    found = expect_rating(near, "MADRS")
    slope = 60 * 0.25
    assert found.sd_points**2 == pytest.approx(slope**2 * 2 * 0.05**2 + 16 + 1 / 12, rel=2e-3)


# --- regression to the mean --------------------------------------------------------------------


@pytest.mark.parametrize("day", [7.0, 28.0, 180.0])
def test_those_enrolled_fall_back_by_the_amount_expected(day: float):
    table, entry = TABLES["T0034"]
    parameters = match_baseline(table, entry, PARAMETERS).apply(PARAMETERS)
    numbers = screen(entry, parameters, COUNT, seed=3).numbers
    later = expect_rating(parameters, "MADRS", entry, day=day)
    check(rated(parameters, "MADRS", day, numbers, 3), later.mean_points, later.sd_points)
    assert later.mean_points < table.mean_points - 0.5
    assert later.sd_points > table.sd_points


def test_nobody_falls_back_where_nobody_was_chosen():
    first, last = (expect_rating(PARAMETERS, "MADRS", day=day) for day in (0.0, 28.0))
    assert last.mean_points == pytest.approx(first.mean_points, abs=1e-9)


def test_people_alike_whose_swings_are_gone_fall_back_wholly():
    alike = PARAMETERS.with_spread(FIELD, value=0.55, sd=0.0, tag="test", note="")
    chosen = expect_rating(alike, "MADRS", Entry(at_least_points=35), day=1.0, has_swings=False)
    assert chosen.mean_points == pytest.approx(33.0, abs=1e-4)


def test_the_further_away_the_next_rating_the_further_they_fall():
    falls = [
        expect_rating(PARAMETERS, "MADRS", Entry(at_least_points=34), day=day) for day in (0, 1, 7, 28, 365)
    ]
    means = [one.mean_points for one in falls]
    assert all(after < before - 0.1 for before, after in pairwise(means))


# --- what is applied ---------------------------------------------------------------------------


def test_a_baseline_changes_one_row_and_says_what_it_is():
    table, entry = TABLES["T0085"]
    found = match_baseline(table, entry, PARAMETERS)
    parameters = found.apply(PARAMETERS)
    changed = {name for name, row in parameters.chain.items() if row != PARAMETERS.chain[name]}
    assert changed == {FIELD}
    row = parameters.chain[FIELD]
    assert (row.value, row.sd, row.tag) == (found.severity_fraction, found.sd_logit, "baseline")
    assert row.note == found.text
    assert found.text.startswith(
        "baseline MADRS 27.6 (SD 5.8), entry MADRS of 20 or more at the start: severity 0.3"
    )
    assert parameters.overrides == {FIELD: found.severity_fraction}
    assert parameters.rows is PARAMETERS.rows


def test_a_baseline_moves_no_other_draw():
    parameters = match_baseline(*TABLES["T0085"], PARAMETERS).apply(PARAMETERS)
    numbers, people = np.arange(1, 41), [Patient()] * 40
    before, after = (chain_values(one, people, numbers=numbers, seed=1) for one in (PARAMETERS, parameters))
    for name, values in before.items():
        assert (np.asarray(values).tobytes() == np.asarray(after[name]).tobytes()) == (name != FIELD), name


def test_the_same_table_gives_the_same_bytes():
    first, second = (match_baseline(*TABLES["T0023"], PARAMETERS) for _ in range(2))
    assert (first.severity_fraction, first.sd_logit) == (second.severity_fraction, second.sd_logit)


# --- what cannot be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "entry", "message"),
    [
        ((61.0, 5.0), None, r"'baseline mean' must be within 0–60 on the MADRS. Got 61"),
        ((27.0, 5.0), Entry(at_least_points=28), r"within 28–60 on the MADRS \(entry MADRS of 28 or more"),
        ((31.0, 2.0), Entry(at_least_points=20, at_most_points=30), "within 20–30 on the MADRS"),
        (
            (30.0, 31.0),
            None,
            r"'baseline SD' must be above 0 and at most 30, .* A standard error is not an SD",
        ),
        ((30.0, 0.0), None, "Got 0"),
        ((33.0, 12.1), Entry(at_least_points=28), "at most 11.6"),
        (
            (37.7, 5.0),
            Entry(at_least_points=28),
            r"SD' must be 6\.\d\d–7\.\d\d .*swings of mood and raters alone",
        ),
        ((32.0, 8.0), Entry(at_least_points=28), "the rule cuts off what is wider"),
        (
            (58.0, 1.4),
            Entry(at_least_points=28),
            "'baseline mean' must be .*, what severities of the model give",
        ),
    ],
)
def test_a_table_that_cannot_be_is_refused(asked: tuple[float, float], entry: Entry | None, message: str):
    mean, sd = asked
    with pytest.raises(InvalidInputError, match=message):
        match_baseline(BaselineTable(mean_points=mean, sd_points=sd), entry, PARAMETERS)


def test_scales_that_do_not_rate_mood_are_refused():
    with pytest.raises(InvalidInputError, match=r"'baseline' must be a table of a scale of mood\. Got SSI"):
        match_baseline(BaselineTable(mean_points=6.0, sd_points=6.0, scale="SSI"), None, PARAMETERS)
    with pytest.raises(InvalidInputError, match=r"'entry' must be a scale of mood\. Got SSI"):
        match_baseline(TABLES["T0056"][0], Entry(at_least_points=4, scale="SSI"), PARAMETERS)
    with pytest.raises(UnknownNameError, match="Unknown scale 'MARDS'"):
        match_baseline(BaselineTable(mean_points=30, sd_points=6, scale="MARDS"), None, PARAMETERS)


def test_a_rule_of_more_days_than_can_be_summed_over_is_refused():
    many = Entry(at_least_points=20, also=tuple(Entry(at_least_points=20, day=day) for day in (-7, -14, -21)))
    with pytest.raises(InvalidInputError, match="'entry' must be a rule that spans at most 3 days"):
        match_baseline(TABLES["T0085"][0], many, PARAMETERS)


def test_where_the_sd_is_out_of_reach_the_mean_can_be_met_alone_and_it_is_said():
    table, entry = BaselineTable(mean_points=37.7, sd_points=5.49), Entry(at_least_points=28)
    found = match_baseline(table, entry, PARAMETERS, accepts_other_sd=True)
    assert found.rated.mean_points == pytest.approx(37.7, abs=1e-6)
    assert found.sd_logit == PARAMETERS.chain[FIELD].sd
    assert not found.is_met
    assert found.text.endswith(f"; the SD asked for is out of reach, it comes to {found.rated.sd_points:.2f}")
    wide = BaselineTable(mean_points=32.0, sd_points=8.0)
    widest = match_baseline(wide, entry, PARAMETERS, accepts_other_sd=True)
    assert widest.rated.mean_points == pytest.approx(32.0, abs=1e-6)
    assert not widest.is_met
    with pytest.raises(InvalidInputError, match=f"–{widest.rated.sd_points:.2f} for a mean of 32 "):
        match_baseline(wide, entry, PARAMETERS)


def test_a_spread_can_be_given_only_to_what_varies_between_people():
    asked: dict[str, Any] = {"value": 0.5, "tag": "test", "note": ""}
    with pytest.raises(InvalidInputError, match="must be a field that varies between people"):
        PARAMETERS.with_spread("noise.mood_noise_sd_logit", sd=0.1, **asked)
    with pytest.raises(InvalidInputError, match=r"with an SD from 0\. Got SD -0\.1"):
        PARAMETERS.with_spread(FIELD, sd=-0.1, **asked)
    with pytest.raises(UnknownNameError, match=r"Unknown parameter 'severity\.episode_severity'"):
        PARAMETERS.with_spread("severity.episode_severity", sd=0.1, **asked)
    with pytest.raises(InvalidInputError, match=r"must be 0\.2–0\.9"):
        PARAMETERS.with_spread(FIELD, sd=0.1, value=0.95, tag="test", note="")
