"""Claim: the tables of parameters hold just what the equations read, with unit, range, spread and source."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from tests.registry import DRUGS, ROUTES, SETS

from euthymia.citations import load_sources
from euthymia.dosing.drug import find_drug
from euthymia.model.parameters import load_parameters
from euthymia.model.pk import STRUCTURES, record_fields, way_of
from euthymia.model.variables import variables
from euthymia.population.individual import individual_values
from euthymia.population.patient import Patient
from euthymia.population.request import offered_stems
from euthymia.tables import read_table
from euthymia.units import unit_in_name

ROWS = read_table("parameters/pk.csv")
CORRELATIONS = read_table("parameters/correlations.csv")
ABOUT = read_table("parameters/sets.csv")
ALL = pytest.mark.parametrize("name", SETS)
EACH = pytest.mark.parametrize("row", ROWS, ids=[f"{row['set']}.{row['field']}" for row in ROWS])


def test_every_row_belongs_to_a_set_and_every_set_has_rows():
    assert {row["set"] for row in ROWS} == set(SETS)
    assert {row["set"] for row in CORRELATIONS} <= set(SETS)


def test_no_field_is_given_twice():
    counts = Counter((row["set"], row["layer"], row["field"]) for row in ROWS)
    assert [key for key, count in counts.items() if count > 1] == []
    names = Counter(row["set"] for row in ABOUT)
    assert max(names.values()) == 1


@ALL
def test_rows_and_record_fields_match_one_to_one(name: str):
    parameters = load_parameters(name)
    may_be_absent = record_fields(parameters.structure)
    required = {field for field, optional in may_be_absent.items() if not optional}
    assert required - set(parameters.rows) == set(), "the record needs them"
    assert set(parameters.rows) - set(may_be_absent) == set(), "nothing reads them"


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_field_of_a_record_is_used_by_a_set(structure: str):
    given = {
        field
        for name in SETS
        if load_parameters(name).structure == structure
        for field in load_parameters(name).rows
    }
    assert set(record_fields(structure)) - given == set(), "no set gives them"


@EACH
def test_the_unit_is_the_one_that_the_name_promises(row: dict[str, str]):
    assert row["unit"] == unit_in_name(row["field"])


@EACH
def test_the_value_lies_in_its_range(row: dict[str, str]):
    assert 0 <= float(row["low"]) <= float(row["value"]) <= float(row["high"])
    assert np.isfinite(float(row["high"]))


@EACH
def test_the_source_is_in_the_bibliography_and_says_where(row: dict[str, str]):
    assert set(row["source"].split(";")) <= set(load_sources())
    assert row["location"]


@EACH
def test_nothing_recalled_drives_a_default(row: dict[str, str]):
    assert "recalled" not in row["confidence"].lower()
    assert row["confidence"]


@EACH
def test_words_are_known_ones(row: dict[str, str]):
    assert row["layer"] == "pk"
    assert row["kind"] in ("structural", "population", "individual")
    assert row["distribution"] in ("fixed", "lognormal", "logitnormal", "normal")
    assert row["form"] == "base", "amounts are of the base"
    assert row["tag"] in ("literature", "derived", "assumed", "re-estimated")


@EACH
def test_spread_is_given_exactly_where_the_distribution_has_one(row: dict[str, str]):
    given = [column for column in ("cv_percent", "sd") if row[column]]
    is_fixed = row["distribution"] == "fixed"
    assert len(given) == (0 if is_fixed else 1)
    assert (row["kind"] == "individual") == (not is_fixed)
    assert all(float(row[column]) > 0 for column in given)
    if row["cv_percent"]:
        # a printed CV is exp(sd^2) - 1 of a lognormal; it has no meaning on the logit scale
        assert row["distribution"] == "lognormal"


@EACH
def test_a_logit_needs_a_share_between_0_and_1(row: dict[str, str]):
    if row["distribution"] == "logitnormal":
        assert 0 < float(row["value"]) < 1
        assert (float(row["low"]), float(row["high"])) == (0, 1)
    if row["field"].endswith("_fraction") and row["set"] != "simons-2022":
        # Simons 2022 fitted a recovery above the dose, and its disclaimer says so
        assert float(row["high"]) <= 1


@EACH
def test_shared_draws_and_exponents_name_fields_of_the_set(row: dict[str, str]):
    rows = load_parameters(row["set"]).rows
    if row["draw_with"]:
        shared = rows[row["draw_with"]]
        assert row["distribution"] != "fixed"
        assert shared.distribution != "fixed", "shares a draw that is never made"
        assert not shared.draw_with, "shares a draw that is itself shared"
    if row["scaling"]:
        assert row["scaling"].endswith("_exponent")
        assert rows[row["scaling"]].distribution == "fixed"


@EACH
def test_clearances_and_flows_scale_by_one_exponent_and_volumes_by_the_other(row: dict[str, str]):
    right = {"L/h": "clearance_exponent", "L": "volume_exponent"}
    assert row["scaling"] in ("", right.get(row["unit"], ""))


@ALL
def test_correlations_are_positive_definite_and_between_fields_that_are_drawn(name: str):
    parameters = load_parameters(name)
    names = sorted({field for first, second, _ in parameters.correlations for field in (first, second)})
    matrix = np.eye(len(names))
    seen = set()
    for first, second, correlation in parameters.correlations:
        assert first != second
        assert frozenset((first, second)) not in seen, "given twice"
        seen.add(frozenset((first, second)))
        for field in (first, second):
            assert parameters.rows[field].distribution != "fixed"
            assert not parameters.rows[field].draw_with
        place = names.index(first), names.index(second)
        matrix[place] = matrix[place[::-1]] = correlation
    assert np.all(np.linalg.eigvalsh(matrix) > 0)


@pytest.mark.parametrize("row", CORRELATIONS, ids=lambda row: f"{row['set']}.{row['field_a']}")
def test_correlations_have_a_source_and_nothing_is_recalled(row: dict[str, str]):
    assert set(row["source"].split(";")) <= set(load_sources())
    assert row["confidence"]
    assert "recalled" not in row["confidence"].lower()
    assert -1 < float(row["correlation"]) < 1


@pytest.mark.parametrize("row", ABOUT, ids=[row["set"] for row in ABOUT])
def test_a_set_says_what_it_covers(row: dict[str, str]):
    parameters = load_parameters(row["set"])
    assert parameters.structure in STRUCTURES
    assert all(find_drug(drug).is_ketamine for drug in parameters.drugs)
    assert all(source in load_sources() for source in parameters.sources)
    assert {source for source in parameters.sources} & {one.source for one in parameters.rows.values()}
    for low, high in (
        parameters.valid.weight_kg,
        parameters.valid.age_years,
        parameters.valid.dose_mg_per_kg,
    ):
        assert 0 <= low < high
    assert parameters.population
    assert parameters.summary
    assert parameters.disclaimer


@ALL
def test_everything_that_a_set_offers_is_a_known_variable(name: str):
    parameters = load_parameters(name)
    assert set(offered_stems(parameters, parameters.drugs)) <= set(variables())


@ALL
def test_ways_are_those_that_some_route_means(name: str):
    known = {way_of(drug, route) for drug in DRUGS for route in ROUTES}
    assert set(load_parameters(name).ways) <= known


# --- draws ---------------------------------------------------------------------------------------


def drawn(name: str, count: int) -> dict[str, np.ndarray]:
    parameters = load_parameters(name)
    numbers = np.arange(1, count + 1)
    # 70 kg is the weight at which nothing is scaled
    return individual_values(parameters, [Patient(weight_kg=70.0)] * count, numbers=numbers, seed=7)


def effects_of(name: str, field: str, values: np.ndarray) -> np.ndarray:
    """Return the draws behind individual values, in SDs of the stated distribution."""
    row = load_parameters(name).rows[field]
    if row.distribution == "lognormal":
        return np.log(values / row.value) / row.sd
    if row.distribution == "logitnormal":
        return (np.log(values / (1 - values)) - np.log(row.value / (1 - row.value))) / row.sd
    return (values - row.value) / row.sd


COUNT = 4000
SETS_WITH_SPREAD = [name for name in SETS if any(row.sd for row in load_parameters(name).rows.values())]


@pytest.mark.parametrize("name", SETS_WITH_SPREAD)
def test_draws_have_the_stated_spread(name: str):
    values = drawn(name, COUNT)
    for field, row in load_parameters(name).rows.items():
        if row.distribution == "fixed":
            assert np.all(values[field] == row.value), field
            continue
        effects = effects_of(name, field, values[field])
        # 5 standard errors of a mean and of an SD of 4000 draws; the seed is fixed
        assert abs(effects.mean()) < 5 / np.sqrt(COUNT), field
        assert abs(effects.std() - 1) < 5 / np.sqrt(2 * COUNT), field


@pytest.mark.parametrize("name", SETS_WITH_SPREAD)
def test_draws_are_shared_correlated_or_independent_as_stated(name: str):
    parameters = load_parameters(name)
    values = drawn(name, COUNT)
    random = [field for field, row in parameters.rows.items() if row.distribution != "fixed"]
    wanted = {frozenset((a, b)): correlation for a, b, correlation in parameters.correlations}
    own = {field: parameters.rows[field].draw_with or field for field in random}
    effects = np.array([effects_of(name, field, values[field]) for field in random])
    found = np.corrcoef(effects)
    for row, first in enumerate(random):
        for column, second in enumerate(random[:row]):
            right = (
                1.0 if own[first] == own[second] else wanted.get(frozenset((own[first], own[second])), 0.0)
            )
            assert abs(found[row, column] - right) < 5 / np.sqrt(COUNT), (first, second)


@ALL
def test_a_typical_patient_of_70_kg_has_the_values_of_the_table(name: str):
    parameters = load_parameters(name)
    values = individual_values(parameters, [Patient(weight_kg=70.0)], numbers=None, seed=1)
    for field, row in parameters.rows.items():
        assert float(np.ravel(values[field])[0]) == pytest.approx(row.value, rel=1e-15, abs=0), field


@ALL
def test_weight_scales_by_the_stated_exponent(name: str):
    parameters = load_parameters(name)
    values = individual_values(parameters, [Patient(weight_kg=35.0)], numbers=None, seed=1)
    for field, row in parameters.rows.items():
        exponent = parameters.rows[row.scaling].value if row.scaling else 0.0
        assert float(np.ravel(values[field])[0]) == pytest.approx(row.value * 0.5**exponent, rel=1e-14), field
