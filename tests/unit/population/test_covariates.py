"""Who virtual patients are: marginals, correlations, baseline tables, and what may not matter."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from euthymia import streams
from euthymia.citations import load_sources
from euthymia.engine.draws import use_compiled_draws
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.model.parameters import load_parameters
from euthymia.population.covariates import (
    IDEATION,
    NUMBERS,
    ORDER,
    OTHERWISE,
    Stated,
    laws_of,
    sample_patients,
    with_ideation,
)
from euthymia.population.individual import chain_values, individual_values
from euthymia.population.marginals import correlations, fields, marginals, populations, solve_law
from euthymia.population.patient import Patient, numbers_of, replicate_and_patient
from euthymia.population.request import covariates_of
from euthymia.tables import read_table

COUNT = 20_000
EVERYONE = {name: sample_patients(COUNT, population=name, seed=1) for name in populations()}
ADULTS = EVERYONE["trd-adult"]


def column(people: tuple[Patient, ...], field: str) -> np.ndarray:
    return np.array([getattr(one, field) for one in people])


def check_moments(values: np.ndarray, mean: float, sd: float) -> None:
    """Hold mean and SD against what is expected, within four standard errors."""
    count = len(values)
    fourth = float(((values - values.mean()) ** 4).mean())
    error_of_sd = np.sqrt((fourth - sd**4) / count) / (2 * sd)
    assert abs(values.mean() - mean) < 4 * sd / np.sqrt(count)
    assert abs(values.std() - sd) < 4 * error_of_sd


# --- laws --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "sd", "low", "high"), [(45.7, 12, 18, 64), (40, 8, 18, 64), (72, 4, 65, 85), (30, 9, 18, 64)]
)
def test_parent_of_a_cut_normal_has_the_moments_of_a_truncated_normal(
    mean: float, sd: float, low: float, high: float
):
    law = solve_law("age_years", "normal", mean, sd, low=low, high=high, step=0.1)
    ends = (np.array([low - 0.05, high + 0.05]) - law.centre) / law.spread
    cut = stats.truncnorm(*ends, loc=law.centre, scale=law.spread)
    assert cut.mean() == pytest.approx(mean, abs=1e-4)
    # Sheppard: recording in steps adds step^2 / 12
    assert cut.var() + 0.01 / 12 == pytest.approx(sd**2, abs=0.01)


def test_far_from_its_range_a_lognormal_is_the_one_of_the_textbook():
    law = solve_law("weight_kg", "lognormal", 80.0, 8.0, low=5.0, high=280.0, step=0.1)
    assert law.spread == pytest.approx(np.sqrt(np.log(1.01)), rel=1e-4)
    assert law.centre == pytest.approx(np.log(80.0) - np.log(1.01) / 2, rel=1e-6)


def test_widest_count_above_a_lower_bound_is_the_geometric_one():
    asked: dict[str, Any] = {"low": 2.0, "high": 400.0, "step": 1.0}
    largest = np.sqrt(0.5 * 1.5)
    law = solve_law("failed_trials", "normal", 2.5, 0.99 * largest, **asked)
    assert law.mean_and_sd() == pytest.approx((2.5, 0.99 * largest), rel=1e-9)
    with pytest.raises(InvalidInputError, match=r"'baseline SD of failed_trials' must be 0\.5–0\.86"):
        solve_law("failed_trials", "normal", 2.5, 1.01 * largest, **asked)


@pytest.mark.parametrize("share", [1e-12, 0.02, 0.5, 0.98, 1 - 1e-12])
@pytest.mark.parametrize("mean", [18.6, 63.4])
def test_quantiles_of_a_far_tail_keep_within_the_range_and_the_law(share: float, mean: float):
    law = solve_law("age_years", "normal", mean, 0.5, low=18, high=64, step=0.1)
    value = float(law.values(stats.norm.ppf(np.array([share])))[0])
    assert 18 <= value <= 64
    assert law.share_between(18, value - 0.1) <= share + 1e-9
    assert law.share_between(18, value) >= share - 1e-9


# --- populations -------------------------------------------------------------------------------


@pytest.mark.parametrize("population", populations())
@pytest.mark.parametrize("field", [field for field in NUMBERS if field != "bmi_kg_per_m2"])
def test_sampled_marginals_are_those_of_the_rows(population: str, field: str):
    people = EVERYONE[population]
    values, sex = column(people, field), column(people, "sex")
    for row in marginals(population)[field]:
        mine = values if not row.given else values[sex == row.given]
        law = laws_of(field, population, {})[row.given]
        expected = law.mean_and_sd()
        if row.mean is not None:
            assert expected == pytest.approx((row.mean, row.sd), abs=1e-6)
        check_moments(mine, *expected)
        assert mine.min() >= row.low
        assert mine.max() <= row.high


@pytest.mark.parametrize("population", populations())
def test_shares_are_those_of_the_rows_within_ages(population: str):
    people = EVERYONE[population]
    ages = np.floor(column(people, "age_years"))
    for field in ("sex", "is_hypertensive", "cyp2b6_genotype"):
        for row in marginals(population)[field]:
            values = column(people, field)
            if row.given:
                low, _, high = row.given.partition("-")
                values = values[(ages >= int(low)) & (ages <= int(high or 200))]
            if len(values) > 100:
                share = np.mean(values == (True if row.level == "yes" else row.level))
                error = np.sqrt(row.share * (1 - row.share) / len(values))  # pyright: ignore
                assert abs(share - row.share) < 4 * error  # pyright: ignore


@pytest.mark.parametrize("population", populations())
def test_correlations_are_those_of_the_table(population: str):
    people = EVERYONE[population]
    sex, pairs = column(people, "sex"), correlations(population)
    for first, second in (("height_cm", "weight_kg"), ("age_years", "weight_kg"), ("age_years", "height_cm")):
        asked = pairs.get((first, second), 0.0)
        for one in ("female", "male"):
            mine = [stats.rankdata(column(people, name)[sex == one]) for name in (first, second)]
            scores = [stats.norm.ppf((ranks - 0.5) / len(ranks)) for ranks in mine]
            found = float(stats.pearsonr(*scores)[0])  # pyright: ignore
            assert abs(np.arctanh(found) - np.arctanh(asked)) < 4 / np.sqrt(len(mine[0]))


def test_heavier_people_have_hypertension_more_often_at_any_age():
    weight, has = column(ADULTS, "weight_kg"), column(ADULTS, "is_hypertensive")
    women = column(ADULTS, "sex") == "female"
    middle = women & (column(ADULTS, "age_years") >= 40) & (column(ADULTS, "age_years") < 60)
    heavy = weight > np.median(weight[middle])
    # closed form: P(h | w above its median) = P(h) + P(h, w) for two normals of correlation 0.19
    joint = stats.multivariate_normal(np.zeros(2), np.array([[1.0, 0.19], [0.19, 1.0]]))  # pyright: ignore
    expected = 2 * float(joint.cdf([stats.norm.ppf(0.332), 0.0]))
    mine = has[middle & heavy]
    assert abs(mine.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / len(mine))


def test_body_mass_index_follows_from_weight_and_height_and_is_near_that_of_the_survey():
    assert ADULTS[0].bmi_kg_per_m2 == ADULTS[0].weight_kg / (ADULTS[0].height_cm / 100) ** 2  # pyright: ignore
    for row in marginals("trd-adult")["bmi_kg_per_m2"]:
        mine = np.array([one.bmi_kg_per_m2 for one in ADULTS if one.sex == row.given])
        assert mine.mean() == pytest.approx(row.mean, rel=0.02)
        assert mine.std() == pytest.approx(row.sd, rel=0.1)


@pytest.mark.parametrize("population", populations())
def test_whoever_is_sampled_is_a_patient_that_could_be_made_by_hand(population: str):
    for one in EVERYONE[population][:300]:
        known = {field.name: getattr(one, field.name) for field in dataclass_fields(Patient)}
        assert Patient.create(**known) == one


# --- draws -------------------------------------------------------------------------------------


@pytest.mark.parametrize("population", populations())
def test_patient_17_is_the_same_alone_in_any_cohort_and_in_any_order(population: str):
    alone = sample_patients([17], population=population, seed=1)
    assert alone == EVERYONE[population][16:17]
    assert sample_patients([400, 17, 3], population=population, seed=1)[1:2] == alone
    assert sample_patients(20, population=population, seed=1) == EVERYONE[population][:20]
    assert sample_patients([17], population=population, seed=2) != alone


def test_a_table_of_one_covariate_moves_no_other():
    table = {"age_years": Stated.create(mean=50, sd=6, low=30, high=64)}
    older = sample_patients(200, seed=1, baseline=table)
    for field in {one.name for one in dataclass_fields(Patient)} - {"age_years", "is_hypertensive"}:
        assert column(older, field).tolist() == column(ADULTS[:200], field).tolist(), field
    assert column(older, "age_years").tolist() != column(ADULTS[:200], "age_years").tolist()


def test_nobody_is_sampled_where_nobody_is_asked_for():
    assert sample_patients(0, seed=1) == ()


def test_replicates_have_people_of_their_own():
    numbers = numbers_of(3, np.arange(1, 51))
    assert numbers.tolist() == [3 * 2**32 + place for place in range(1, 51)]
    replicates, within = replicate_and_patient(numbers)
    assert set(replicates.tolist()) == {3}
    assert within.tolist() == list(range(1, 51))
    assert not set(sample_patients(numbers, seed=1)) & set(ADULTS[:50])
    assert numbers_of(2**31 - 1, [2**32 - 1]).tolist() == [2**63 - 1]


@pytest.mark.parametrize(
    ("replicate", "patients", "message"),
    [
        (0, [0], "'patients' must be from 1 to 4294967295 in a replicate. Got 0"),
        (0, [1, 2**32], "Got 4294967296"),
        (-1, [1], "'replicate' must be from 0 to 2147483647. Got -1"),
        (2**31, [1], "Got 2147483648"),
        (0, [1.5], "whole numbers from 1. Got float64"),
    ],
)
def test_numbers_that_would_meet_those_of_another_replicate_are_refused(
    replicate: int, patients: list[int], message: str
):
    with pytest.raises(InvalidInputError, match=message):
        numbers_of(replicate, patients)


def test_compiled_and_plain_draws_agree_bit_for_bit_for_numbers_of_any_replicate():
    if not use_compiled_draws():
        pytest.skip("no compiler")
    compiled = streams._faster[0]
    numbers = np.concatenate([numbers_of(one, np.arange(1, 2001)) for one in (0, 1, 77, 2**31 - 1)])
    asked: dict[str, Any] = {"seed": 3, "purpose": "covariates", "field": "covariate.age_years"}
    fast = streams.normals(patients=numbers, occasion=2**31 + 5, **asked)
    try:
        streams._faster.clear()
        plain = streams.normals(patients=numbers, occasion=2**31 + 5, **asked)
    finally:
        streams.accelerate(compiled)
    assert fast.tobytes() == plain.tobytes()
    by_hand = streams.inverse_normal_cdf(streams.uniforms(patients=numbers, occasion=2**31 + 5, **asked))
    assert by_hand.tobytes() == plain.tobytes()
    assert len(set(plain.tolist())) == len(plain)


# --- baseline tables ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "stated"),
    [
        ("age_years", Stated.create(mean=45.7, sd=12, low=18, high=64)),
        ("age_years", Stated.create(mean=41, sd=9.5, low=21, high=60)),
        ("weight_kg", Stated.create(mean=85, sd=20)),
        ("height_cm", Stated.create(mean=170, sd=10)),
        ("failed_trials", Stated.create(mean=2.6, sd=0.8)),
        ("episode_weeks", Stated.create(mean=132, sd=209)),
        ("ssi_points", Stated.create(mean=14.5, sd=7.4)),
    ],
    ids=lambda one: one if isinstance(one, str) else f"{one.mean:g}",
)
def test_a_stated_mean_and_sd_are_those_of_the_sample_in_expectation(field: str, stated: Stated):
    people = sample_patients(COUNT, seed=8, baseline={field: stated})
    check_moments(column(people, field), stated.mean or 0.0, stated.sd or 0.0)


def test_sexes_keep_the_ratio_of_their_mean_weights_under_a_table_and_another_share():
    table = {"weight_kg": Stated.create(mean=85, sd=20), "sex": Stated.create(shares={"female": 0.4})}
    laws = laws_of("weight_kg", "trd-adult", table)
    means = {sex: law.mean_and_sd()[0] for sex, law in laws.items()}
    assert means["male"] / means["female"] == pytest.approx(90.09 / 78.27, rel=1e-9)
    assert 0.4 * means["female"] + 0.6 * means["male"] == pytest.approx(85, abs=1e-6)


def test_a_stated_body_mass_index_replaces_weight():
    people = sample_patients(COUNT, seed=8, baseline={"bmi_kg_per_m2": Stated.create(mean=28.1, sd=5.2)})
    found = np.array([one.bmi_kg_per_m2 for one in people])
    # weight is recorded to 0.1 kg, and nobody weighs less than 35 kg
    assert found.mean() == pytest.approx(28.1, abs=4 * 5.2 / np.sqrt(COUNT) + 0.01)
    assert found.std() == pytest.approx(5.2, abs=0.15)


def test_a_range_alone_cuts_the_population_and_keeps_its_parent():
    law = laws_of("age_years", "trd-adult", {})[""]
    ends = (np.array([50 - 0.05, 60 + 0.05]) - law.centre) / law.spread
    expected = stats.truncnorm(*ends, loc=law.centre, scale=law.spread)
    people = sample_patients(COUNT, seed=8, baseline={"age_years": Stated.create(low=50, high=60)})
    check_moments(column(people, "age_years"), expected.mean(), np.sqrt(expected.var() + 0.01 / 12))


def test_a_stated_share_of_hypertension_is_met_over_all_ages_and_still_rises_with_age():
    people = sample_patients(COUNT, seed=8, baseline={"is_hypertensive": Stated.create(shares={"yes": 0.18})})
    has, ages = column(people, "is_hypertensive"), column(people, "age_years")
    assert abs(has.mean() - 0.18) < 4 * np.sqrt(0.18 * 0.82 / COUNT)
    bands = [has[(ages >= low) & (ages < high)].mean() for low, high in ((18, 40), (40, 60), (60, 65))]
    odds = np.array(bands) / (1 - np.array(bands))
    published = np.array([0.075, 0.332, 0.631]) / (1 - np.array([0.075, 0.332, 0.631]))
    np.testing.assert_allclose(odds / odds[0], published / published[0], rtol=0.25)


def test_stated_drugs_are_taken_independently_by_their_shares():
    shares = {"rifampicin": 0.3, "ticlopidine": 0.2}
    people = sample_patients(COUNT, seed=8, baseline={"comedications": Stated.create(shares=shares)})
    both = np.mean([set(one.comedications) == set(shares) for one in people])
    assert abs(both - 0.06) < 4 * np.sqrt(0.06 * 0.94 / COUNT)
    assert {drug for one in people for drug in one.comedications} == set(shares)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"age_years": {"mean": 45, "sd": 20, "low": 18, "high": 64}}, "'baseline SD of age_years' must be"),
        (
            {"age_years": {"mean": 70, "sd": 5, "low": 18, "high": 64}},
            "mean of age_years' must be within 18–64",
        ),
        ({"weight_kg": {"mean": 80, "sd": 3}}, "SD of weight_kg' must be above 5.37"),
        ({"age_years": {"mean": 40, "sd": 0}}, "'baseline SD' must be above 0. Got 0"),
        ({"age_years": {"low": 64, "high": 18}}, "'baseline range' must be from low to high"),
        ({"sex": {"shares": {"female": 68}}}, "A share, not a percentage"),
        ({"sex": {"mean": 0.68}}, "'baseline shares of sex' must be given by level"),
        ({"age_years": {"shares": {"female": 0.5}}}, "'baseline table of age_years' must be a mean"),
        ({"sex": {"shares": {"woman": 0.5}}}, "Unknown level of sex 'woman'"),
        ({"ages": {"mean": 45}}, "Unknown covariate 'ages'. Did you mean 'age_years'"),
        ({"weight_kg": {"mean": 80}, "bmi_kg_per_m2": {"mean": 28}}, "weight or body mass index. Got both"),
        ({"ssi_points": {"low": 4}}, "'baseline range of ssi_points'"),
        ({"cyp2b6_genotype": {"shares": {"*1/*6": 0.7, "*6/*6": 0.4}}}, "must be 1 at most in sum"),
        ({"age_years": {"mean": float("nan")}}, "'baseline' must be made of finite numbers"),
    ],
)
def test_a_table_that_no_people_could_have_is_refused(table: dict[str, dict[str, Any]], message: str):
    with pytest.raises(InvalidInputError, match=message):
        sample_patients(
            3, seed=1, baseline={field: Stated.create(**stated) for field, stated in table.items()}
        )


def test_an_unknown_population_is_offered_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Unknown population 'older'. Did you mean 'older-adult'"):
        sample_patients(3, population="older", seed=1)


# --- the model ---------------------------------------------------------------------------------


@pytest.mark.parametrize("population", populations())
@pytest.mark.parametrize(
    "table", [None, {"ssi_points": Stated.create(mean=9.0, sd=6.0)}], ids=["rows", "table"]
)
def test_recorded_ideation_is_that_of_the_model(population: str, table: Any):
    numbers = np.arange(1, 201)
    people = sample_patients(numbers, population=population, seed=5, baseline=table)
    parameters = with_ideation(load_parameters(), population=population, baseline=table)
    own = chain_values(parameters, [Patient()] * 200, numbers=numbers, seed=5)[IDEATION]
    np.testing.assert_allclose(column(people, "ssi_points"), 38 * own, atol=0.05 + 1e-9)


def test_ideation_of_the_default_population_is_that_of_the_set_itself():
    parameters = load_parameters()
    assert with_ideation(parameters) is parameters


def test_what_is_recorded_only_changes_no_parameter():
    acting = {row["field"] for row in fields() if row["acts_on"]} | {"ancestry"}
    people = ADULTS[:50]
    silent = {
        one.name: one.default for one in dataclass_fields(Patient) if one.name not in acting - {"ssi_points"}
    }
    bare = [replace(one, **silent) for one in people]
    assert set(silent) >= {
        "sex",
        "height_cm",
        "episode_weeks",
        "failed_trials",
        "cyp2b6_genotype",
        "diagnosis",
    }
    parameters, numbers = load_parameters(), np.arange(1, 51)
    for draw in (individual_values, chain_values):
        full, left = (draw(parameters, whom, numbers=numbers, seed=1) for whom in (people, bare))
        for name, values in full.items():
            assert np.asarray(values).tobytes() == np.asarray(left[name]).tobytes(), name


# --- data --------------------------------------------------------------------------------------


def test_every_row_has_a_source_that_exists_and_says_where_from():
    rows = [*read_table("population/covariates.csv"), *read_table("population/correlations.csv")]
    for row in rows:
        assert row["source"] in load_sources()
        assert row["location"]
        assert row["confidence"] != "recalled-not-verified"
        assert (row["tag"] == "assumed") == (row["source"] == "EuthymiaAssumed")


@pytest.mark.parametrize("population", populations())
def test_populations_state_every_covariate_and_sound_correlations(population: str):
    rows = marginals(population)
    assert set(rows) == set(ORDER)
    pairs = correlations(population)
    names = sorted({name for pair in pairs for name in pair})
    assert set(names) <= set(ORDER)
    assert not any(first == "ssi_points" or second == "ssi_points" for first, second in pairs)
    matrix = np.eye(len(names))
    for (first, second), value in pairs.items():
        matrix[names.index(first), names.index(second)] = matrix[names.index(second), names.index(first)] = (
            value
        )
    assert np.linalg.eigvalsh(matrix).min() > 0.1
    for field, own in rows.items():
        assert all(row.kind in ("normal", "lognormal", "logitnormal", "share", "parameter") for row in own)
        shares = [row.share for row in own if row.share is not None]
        assert all(0 <= share <= 1 for share in shares)
        if field in OTHERWISE and not own[0].given:
            assert sum(shares) <= 1


def test_fields_of_the_table_are_those_of_a_patient():
    known = {one.name for one in dataclass_fields(Patient)} | {"bmi_kg_per_m2"}
    assert {row["field"] for row in fields()} | {"ancestry"} == known


def test_a_run_of_sampled_patients_says_who_they_are_in_a_few_words():
    said = covariates_of(ADULTS[:60])
    ages = column(ADULTS[:60], "age_years")
    assert f"age {ages.min():g}–{ages.max():g} years" in said
    assert len(said) < 5
    few = covariates_of(ADULTS[:3])
    assert [one for one in few if one.startswith("age")] == [
        f"age {one.age_years:g} years" for one in ADULTS[:3]
    ]
