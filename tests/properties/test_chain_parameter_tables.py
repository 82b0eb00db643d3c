"""Claim: the tables of the chain hold just what its layers read, with unit, range, spread and source."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import fields

import numpy as np
import pytest
from tests.registry import CHAIN, CHAIN_FIELDS, CHAIN_RECORDS, SETS

from euthymia.citations import load_sources
from euthymia.dosing.drug import treatments
from euthymia.errors import InvalidInputError
from euthymia.mechanism.circuit import steady
from euthymia.model import wiring
from euthymia.model.parameters import CHAIN_TABLES, DEFAULT_SET, load_parameters
from euthymia.population.individual import chain_values
from euthymia.population.patient import Patient
from euthymia.population.settings import DEFAULT_SETTING, settings
from euthymia.population.surroundings import EXPECTED_CLASSES
from euthymia.tables import list_files, read_table, read_text
from euthymia.units import unit_in_name

ROWS = [row for table in CHAIN_TABLES for row in read_table(f"parameters/{table}.csv")]
EACH = pytest.mark.parametrize("row", ROWS, ids=[f"{row['layer']}.{row['field']}" for row in ROWS])
BY_PLACEMENT = {
    "receptor": {"site", "receptor"},
    "circuit": {"circuit"},
    "plasticity": {"surge", "signalling", "stress", "prefrontal", "hippocampus", "life"},
    "network": {"network"},
    "comparators": {"ssri", "midazolam", "gaba", "ect"},
    "symptoms": {"belief", "expectancy", "severity", "noise", "rating", "ideation"},
    "acute": {"dissociation", "cardiovascular", "sedation", "discomfort", "reading"},
}
TAGS = ("literature", "derived", "calibrated", "assumed")
NUMBERLESS = {"EuthymiaAssumed": "assumed", "EuthymiaHandSet": "calibrated"}
"""Sources that are no papers, and the tag that a row must carry which rests on nothing else."""


def name_of(row: dict[str, str]) -> str:
    return f"{row['layer']}.{row['field']}"


# --- one to one ------------------------------------------------------------------------------------


def test_no_parameter_is_given_twice():
    counts = Counter((row["set"], name_of(row)) for row in ROWS)
    assert [key for key, count in counts.items() if count > 1] == []


def test_no_two_records_share_a_field():
    assert [name for name, count in Counter(CHAIN_FIELDS).items() if count > 1] == []


def test_rows_and_record_fields_match_one_to_one():
    given = {name_of(row) for row in ROWS if row["set"] == DEFAULT_SET}
    assert set(CHAIN_FIELDS) - given == set(), "the records need them"
    assert given - set(CHAIN_FIELDS) == set(), "nothing reads them"


def test_everything_that_the_equations_read_has_a_row():
    read = {name for name in wiring.parameter_names() if not name.startswith("start.")}
    assert read - set(CHAIN) == {wiring.CIRCUIT_TABLE}


def test_every_layer_with_a_state_stands_in_the_list_of_records():
    assert set(wiring.LAYERS) < set(CHAIN_RECORDS)
    assert set(CHAIN_RECORDS) == {row["layer"] for row in ROWS}


@pytest.mark.parametrize("table", CHAIN_TABLES)
def test_a_table_holds_the_layers_of_its_part_of_biology(table: str):
    assert {row["layer"] for row in read_table(f"parameters/{table}.csv")} == BY_PLACEMENT[table]


def test_every_table_of_parameters_is_read():
    known = {f"parameters/{name}.csv" for name in (*CHAIN_TABLES, "pk", "correlations", "sets")}
    assert set(list_files("parameters", ".csv")) == known


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_the_whole_chain_or_none_of_it(name: str):
    assert set(load_parameters(name).chain) in (set(CHAIN), set())


def test_no_field_of_the_chain_is_taken_for_one_of_the_pharmacokinetics():
    for name in SETS:
        assert not set(load_parameters(name).rows) & set(CHAIN)


# --- each row --------------------------------------------------------------------------------------


@EACH
def test_the_unit_is_the_one_that_the_name_promises(row: dict[str, str]):
    assert row["unit"] == unit_in_name(row["field"])


@EACH
def test_the_value_lies_in_a_finite_range_of_some_width(row: dict[str, str]):
    low, value, high = (float(row[column]) for column in ("low", "value", "high"))
    assert low <= value <= high
    assert low >= 0 or row["field"] == "sign_relative"
    assert low < high < np.inf


@EACH
def test_shares_and_probabilities_stay_between_0_and_1(row: dict[str, str]):
    if row["field"].endswith(("_fraction", "_probability", "_share")):
        assert float(row["high"]) <= 1


@EACH
def test_what_is_divided_by_cannot_be_0(row: dict[str, str]):
    is_time = row["unit"] in ("h", "ms")
    is_half = "half_" in row["field"] or "_noticed_" in row["field"]
    is_width = row["field"] in ("threshold_width_fraction", "surge_half_drive_relative", "deficit_fraction")
    if is_time or is_half or is_width or row["field"].endswith("_exponent"):
        assert float(row["low"]) > 0


@pytest.mark.parametrize(
    "name", [name for name in CHAIN if name.endswith(("_on_drug_fraction", "_on_control_fraction"))]
)
def test_a_clue_is_never_certain(name: str):
    assert 0 < CHAIN[name].low < CHAIN[name].high < 1


@EACH
def test_words_are_known_ones(row: dict[str, str]):
    assert row["set"] == DEFAULT_SET
    assert row["kind"] in ("structural", "population", "individual")
    assert row["distribution"] in ("fixed", "lognormal", "logitnormal", "normal")
    assert row["tag"] in TAGS
    assert row["form"] == ("" if row["layer"] == "circuit" else "base")
    assert row["scaling"] == "", "no parameter behind the pharmacokinetics follows weight"
    assert row["sampling"] == "", "where blood was taken is a matter of the pharmacokinetics"


@EACH
def test_the_source_is_in_the_bibliography_and_says_where(row: dict[str, str]):
    assert set(row["source"].split(";")) <= set(load_sources())
    assert row["location"]


@EACH
def test_nothing_recalled_drives_a_default(row: dict[str, str]):
    assert row["confidence"]
    assert "recalled" not in row["confidence"].lower()


@EACH
def test_a_number_without_a_paper_is_tagged_as_such_and_only_such_a_number(row: dict[str, str]):
    sources = set(row["source"].split(";"))
    without = sources & set(NUMBERLESS)
    assert without in (set(), sources), "either papers or none"
    if without:
        assert {NUMBERLESS[source] for source in sources} == {row["tag"]}
    else:
        assert row["tag"] != "assumed"


@EACH
def test_spread_is_given_exactly_where_a_person_has_a_value_of_their_own(row: dict[str, str]):
    given = [column for column in ("cv_percent", "sd") if row[column]]
    is_fixed = row["distribution"] == "fixed"
    assert (row["kind"] == "individual") == (not is_fixed)
    assert len(given) == (0 if is_fixed else 1)
    assert all(float(row[column]) > 0 for column in given)
    if row["cv_percent"]:
        assert row["distribution"] == "lognormal", "a CV has no meaning on the logit scale"


@EACH
def test_the_distribution_fits_the_range(row: dict[str, str]):
    if row["distribution"] == "logitnormal":
        assert 0 < float(row["value"]) < 1
        assert 0 <= float(row["low"]) < float(row["high"]) <= 1
    if row["distribution"] == "normal":
        value, sd = float(row["value"]), float(row["sd"])
        assert value - 5 * sd > 0, "or a person would have a value below 0"
    if row["distribution"] == "lognormal":
        assert float(row["value"]) > 0
        assert row["unit"] != "1" or not row["field"].endswith(("_fraction", "_probability"))


@EACH
def test_a_shared_draw_names_a_field_that_is_drawn_and_not_shared_itself(row: dict[str, str]):
    if row["draw_with"]:
        assert row["draw_with"] in CHAIN
        other = CHAIN[row["draw_with"]]
        assert row["distribution"] == other.distribution != "fixed"
        assert not other.draw_with


def test_structural_rows_are_the_switches_and_the_constants_of_the_node():
    constants = {f"circuit.{field.name}" for field in fields(steady.Parameters)}
    found = {name_of(row) for row in ROWS if row["kind"] == "structural"}
    assert found == set(wiring.STRUCTURAL) | constants


# --- relations between rows that the notes state ----------------------------------------------------


def test_both_regions_have_the_same_law_and_the_same_values():
    regions = [{row["field"]: row for row in ROWS if row["layer"] == region} for region in wiring.REGIONS]
    for field, row in regions[0].items():
        for column in ("value", "unit", "distribution", "cv_percent", "sd", "low", "high", "kind"):
            assert regions[1][field][column] == row[column], (field, column)


def test_trapping_in_balance_is_the_equilibrium_form():
    ratio = CHAIN["receptor.trapping_off_per_h"].value / CHAIN["receptor.trapping_on_L_per_umol_per_h"].value
    assert ratio == pytest.approx(CHAIN["receptor.interneuron_half_block_umol_per_L"].value, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    "name", ["receptor.pyramidal_half_block_umol_per_L", "hippocampus.formation_rate_per_h"]
)
def test_people_differ_in_affinity_and_growth_but_not_in_the_ratio_of_two(name: str):
    first = CHAIN[CHAIN[name].draw_with]
    assert CHAIN[name].sd == pytest.approx(first.sd, rel=1e-12, abs=0)


def test_potency_of_r_ketamine_is_the_ratio_of_the_printed_affinities():
    assert CHAIN["site.r_ketamine_weight_relative"].value == pytest.approx(0.3 / 1.4, rel=1e-12, abs=0)


def test_the_effect_site_has_the_printed_half_life():
    rate_per_h = CHAIN["site.equilibration_rate_per_h"].value
    assert 60 * np.log(2) / rate_per_h == pytest.approx(8.3, abs=0.05)  # printed to one decimal


# --- draws -----------------------------------------------------------------------------------------

COUNT = 4000
DRAWN = [name for name, row in CHAIN.items() if row.distribution != "fixed"]


@pytest.fixture(scope="module")
def effects() -> dict[str, np.ndarray]:
    """Return the draws behind the values of virtual patients, in SDs of the stated distribution."""
    values = chain_values(load_parameters(), [Patient()] * COUNT, numbers=np.arange(1, COUNT + 1), seed=7)
    found = {}
    for name in DRAWN:
        row = CHAIN[name]
        plain = {"logitnormal": lambda x: np.log(x / (1 - x)), "lognormal": np.log, "normal": np.asarray}
        drawn, centre = (plain[row.distribution](one) for one in (values[name], row.value))
        found[name] = (drawn - centre) / row.sd
    return found


def test_draws_have_the_stated_spread(effects: dict[str, np.ndarray]):
    assert len(effects) > 10
    for name, draws in effects.items():
        # 5 standard errors of a mean and of an SD of 4000 draws; the seed is fixed
        assert abs(draws.mean()) < 5 / np.sqrt(COUNT), name
        assert abs(draws.std() - 1) < 5 / np.sqrt(2 * COUNT), name


def test_draws_are_shared_or_independent_as_stated(effects: dict[str, np.ndarray]):
    found = np.corrcoef([effects[name] for name in DRAWN])
    own = [CHAIN[name].draw_with or name for name in DRAWN]
    for row, first in enumerate(DRAWN):
        for column, second in enumerate(DRAWN[:row]):
            right = 1.0 if own[row] == own[column] else 0.0
            assert abs(found[row, column] - right) < 5 / np.sqrt(COUNT), (first, second)


def test_a_typical_patient_has_the_values_of_the_table():
    values = chain_values(load_parameters(), [Patient()], numbers=None, seed=1)
    assert {name: float(value) for name, value in values.items()} == {
        name: row.value for name, row in CHAIN.items()
    }


@pytest.mark.parametrize("name", CHAIN)
def test_an_override_holds_to_the_range(name: str):
    row, default = CHAIN[name], load_parameters()
    for bound in (row.low, row.high):
        assert default.with_overrides({name: bound}).chain[name].value == bound
    with pytest.raises(InvalidInputError, match=rf"'{name}' must be"):
        default.with_overrides({name: row.high * 1.001})


# --- settings, therapies, antidepressants, relapse ---------------------------------------------------

THERAPIES, ANTIDEPRESSANTS = read_table("therapies.csv"), read_table("antidepressants.csv")


def test_settings_say_what_is_believed_from_nothing_to_certainty():
    beliefs = {name: float(row["prior_belief_fraction"]) for name, row in settings().items()}
    blind = dict.fromkeys(("saline", "midazolam", "nasal_placebo", "anaesthesia"), 0.5)
    assert beliefs == {"open": 1.0, **blind, "admission": 1.0, "none": 0.0}
    assert DEFAULT_SETTING in beliefs
    assert all(row["meaning"] and row["note"] and row["tag"] == "assumed" for row in settings().values())


def test_every_therapy_has_a_quality_and_no_other_thing_has():
    named = Counter(row["name"] for row in THERAPIES)
    assert named == Counter(one.name for one in treatments() if one.drug is None)


@pytest.mark.parametrize("row", THERAPIES, ids=lambda row: row["name"])
def test_a_therapy_says_how_good_it_is_and_why(row: dict[str, str]):
    assert 0 <= float(row["quality_relative"]) <= 1
    assert row["tag"] in TAGS
    assert set(row["source"].split(";")) <= set(load_sources())
    assert row["evidence"]
    assert "recalled" not in row["evidence"].lower()


@pytest.mark.parametrize("field", ["pyramidal_nmda_share", "interneuron_nmda_share"])
def test_effective_block_cannot_leave_the_table_of_the_circuit(field: str):
    """Block lies in 0-1 and its share too, so the table's constant beyond its square is never read."""
    row = load_parameters().chain[f"circuit.{field}"]
    assert (row.low, row.high, row.distribution) == (0.0, 1.0, "fixed")


@pytest.mark.parametrize("row", THERAPIES, ids=lambda row: row["name"])
def test_what_a_therapy_teaches_lies_between_its_ends(row: dict[str, str]):
    low, middle, high = (float(row[f"quality_{end}"]) for end in ("low", "relative", "high"))
    assert 0 <= low <= middle <= high


def test_procedures_teach_nothing_and_everything_else_teaches_or_prepares():
    procedures = {one.name for one in treatments() if one.kind == "procedure"}
    assert procedures == {row["name"] for row in THERAPIES if float(row["quality_high"]) == 0}
    for row in THERAPIES:
        prepares = 0 < float(row["preparation_fraction"]) < 1
        assert prepares == (row["name"] == "preparation")
        assert prepares or row["name"] in procedures or float(row["quality_relative"]) > 0


def test_every_antidepressant_has_an_occupancy_and_nothing_else_has():
    named = Counter(row["name"] for row in ANTIDEPRESSANTS)
    assert named == Counter(one.name for one in treatments() if one.treatment_class in ("ssri", "snri"))


@pytest.mark.parametrize("row", ANTIDEPRESSANTS, ids=lambda row: row["name"])
def test_half_of_the_transporter_is_occupied_at_a_quarter_of_the_minimum_dose(row: dict[str, str]):
    lowest, half = float(row["minimum_effective_dose_mg"]), float(row["half_occupancy_dose_mg"])
    assert half == lowest / 4 > 0
    assert row["tag"] in TAGS
    assert set(row["source"].split(";")) <= set(load_sources())
    assert row["note"]


def test_classes_whose_visits_raise_hope_are_classes_of_drugs():
    assert set(EXPECTED_CLASSES) <= {one.treatment_class for one in treatments() if one.drug is not None}


def test_definitions_of_relapse_have_a_source_and_are_told_apart():
    rules = tomllib.loads(read_text("relapse.toml"))["rule"]
    assert len({rule["name"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["source"] in load_sources()
        assert rule["status"] in ("definition", "assumed")
        assert (rule["status"] == "assumed") == (rule["source"] == "EuthymiaAssumed")
        assert rule["visits"] >= 1
        assert rule["lost_response"] == (rule["at_least"] == 0)
