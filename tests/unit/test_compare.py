"""Published exposures beside the model's: nothing dropped, verdicts by rule, every misfit explained."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from euthymia import simulate_concentrations
from euthymia.evidence.compare import (
    CLOSE_FRACTION,
    Comparison,
    _verdict,
    compare_exposures,
    is_misfit,
    run_row,
)
from euthymia.evidence.load import load_exposures
from euthymia.evidence.records import Quantity
from euthymia.model.parameters import load_parameters
from euthymia.population.patient import Patient
from euthymia.tables import Row, read_table

MISFITS = "evidence/pk/misfits.csv"
QUANTITIES = (
    "cmax_ng_per_mL",
    "tmax_h",
    "auc_ng_h_per_mL",
    "half_life_h",
    "bioavailable_fraction",
    "auc_ratio",
)


@cache
def everything() -> tuple[Comparison, ...]:
    return compare_exposures()


def exactly(value: float) -> Quantity:
    return Quantity(value=value, low=None, high=None, spread_kind="none")


def between(low: float, high: float, kind: str, value: float | None = None) -> Quantity:
    return Quantity(value=value, low=low, high=high, spread_kind=kind)


# --- completeness ------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_row_appears_in_the_order_of_the_table():
    assert list(dict.fromkeys(one.row_id for one in everything())) == [row.row_id for row in load_exposures()]


@pytest.mark.slow
def test_every_printed_number_is_compared_with_every_set_of_its_row():
    found = {}
    for one in everything():
        found.setdefault((one.row_id, one.parameters), []).append(one.quantity)
    for row in load_exposures():
        printed = sum(getattr(row.run, name) is not None for name in QUANTITIES)
        for name in row.run.sets:
            assert len(found[row.row_id, name]) == printed, (row.row_id, name)
            assert len(set(found[row.row_id, name])) == printed


@pytest.mark.slow
def test_every_number_that_was_run_has_a_verdict_other_than_not_comparable():
    assert [one for one in everything() if one.verdict == "not comparable"] == []


def test_rows_that_cannot_be_run_stay_with_the_reason():
    rows = [row for row in load_exposures() if not row.run.is_runnable]
    assert rows
    for row, one in zip(rows, compare_exposures(rows), strict=True):
        assert one.verdict == f"not run: {row.run.reason}"
        assert one.ratio is None
        assert not is_misfit(one)


def test_one_set_may_be_asked_for():
    rows = [row for row in load_exposures() if row.row_id == "E054"]
    assert {one.parameters for one in compare_exposures(rows)} == {"composed", "simons-2022"}
    assert {one.parameters for one in compare_exposures(rows, parameters="composed")} == {"composed"}


def test_simulated_numbers_are_those_of_the_simulation():
    row = next(row for row in load_exposures() if row.row_id == "E107")
    found = {one.quantity: one for one in compare_exposures([row], parameters="perez-ruixo-2021")}
    course = run_row(row.run, load_parameters("perez-ruixo-2021"))
    peak = course.values["s_ketamine_venous"].max() * 237.73
    assert found["Cmax"].simulated == pytest.approx(peak, rel=1e-12)
    area = course.metrics["s_ketamine_venous"].auc_horizon[0] * 237.73
    assert found["AUC 0-48"].simulated == pytest.approx(area, rel=1e-12)
    assert found["Cmax"].ratio == pytest.approx(peak / 99.3, rel=1e-12)


# --- verdicts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("observed", "simulated", "verdict"),
    [
        (exactly(100.0), 100.0, "within 20 %"),
        (exactly(100.0), 119.9, "within 20 %"),
        (exactly(100.0), 120.1, "off by more than 20 %"),
        (exactly(100.0), 83.4, "within 20 %"),
        (exactly(100.0), 83.2, "off by more than 20 %"),
        (between(80.0, 120.0, "sd", 100.0), 80.0, "within 1 SD"),
        (between(80.0, 120.0, "sd", 100.0), 120.0, "within 1 SD"),
        (between(80.0, 120.0, "sd", 100.0), 120.1, "outside 1 SD"),
        (between(10.0, 190.0, "sd", 100.0), 15.0, "within 1 SD"),
        (between(99.0, 101.0, "ci95", 100.0), 102.0, "outside the 95 % CI"),
        (between(99.0, 101.0, "ci90", 100.0), 100.5, "within the 90 % CI"),
        (between(7.0, 9.0, "range"), 8.5, "within the range"),
        (between(7.0, 9.0, "range"), 3.0, "outside the range"),
    ],
)
def test_printed_spread_decides_and_else_a_fifth(observed: Quantity, simulated: float, verdict: str):
    middle = observed.value if observed.value is not None else 8.0
    assert _verdict(observed, simulated, simulated / middle) == verdict


def test_closeness_is_the_same_above_and_below():
    for ratio in (1.0 + CLOSE_FRACTION, 1.0 / (1.0 + CLOSE_FRACTION)):
        inside, outside = ratio ** (1 - 1e-9), ratio ** (1 + 1e-9)
        assert _verdict(exactly(1.0), inside, inside) == "within 20 %"
        assert _verdict(exactly(1.0), outside, outside) == "off by more than 20 %"


def test_without_a_number_nothing_is_compared():
    assert _verdict(exactly(1.0), float("nan"), None) == "not comparable"


@pytest.mark.slow
def test_misfits_are_those_outside_their_spread_or_off():
    for one in everything():
        assert is_misfit(one) == one.verdict.startswith(("outside", "off"))
        if one.ratio is not None and one.spread_kind == "none":
            assert is_misfit(one) == (abs(np.log(one.ratio)) > np.log(1.2))


# --- explanations ------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_misfit_is_explained():
    assert [
        (one.row_id, one.parameters, one.quantity, one.ratio)
        for one in everything()
        if is_misfit(one) and not one.comment
    ] == []


@pytest.mark.slow
def test_every_explanation_is_used_by_a_misfit_of_every_row_it_names():
    misfits = [one for one in everything() if is_misfit(one)]
    for row in read_table(MISFITS):
        used = {one.row_id for one in misfits if one.comment == row["explanation"]}
        assert used >= set(row["row_ids"].split(";")), row


def test_explanations_name_rows_and_sets_that_exist():
    known = {row.row_id: row.run.sets for row in load_exposures()}
    for row in read_table(MISFITS):
        for row_id in row["row_ids"].split(";"):
            assert row["set"] == "any" or row["set"] in known[row_id]


# --- composed routes against their own source --------------------------------------------------

OWN_SOURCES = {
    "E034": "intramuscular, Hirlinger 1984",
    "E068": "nasal spray, Perez-Ruixo 2021",
    "E070": "nasal spray, Perez-Ruixo 2021",
    "E072": "nasal spray, Perez-Ruixo 2021",
    "E048": "sublingual film, Simons 2022",
    "E051": "sublingual film, Simons 2022",
    "E108": "oral, Perez-Ruixo 2021",
    "E054": "intravenous, Simons 2022",
    "E055": "intravenous, Simons 2022",
    "E024": "oral extended-release, Hasan 2021",
    "E025": "oral extended-release, Hasan 2021",
    "E060": "nasal solution, Yanagihara 2003",
}
NAMED_MISFITS = {
    ("E034", "Tmax"): "the printed 0.5 h is the sampling time with the highest median",
    ("E024", "half-life"): "release is zero order over 10 h; the source shows slow absorption after it",
    ("E025", "half-life"): "release is zero order over 10 h; the source shows slow absorption after it",
}


@cache
def own(row_id: str) -> dict[str, Comparison]:
    rows = [row for row in load_exposures() if row.row_id == row_id]
    return {one.quantity: one for one in compare_exposures(rows, parameters="composed")}


@pytest.mark.parametrize("row_id", OWN_SOURCES)
def test_composed_route_is_within_a_fifth_of_its_own_source(row_id: str):
    found = own(row_id)
    assert any(name.startswith(("Cmax", "C at", "AUC", "F")) for name in found)
    for quantity, one in found.items():
        assert one.ratio is not None
        if (row_id, quantity) not in NAMED_MISFITS:
            assert abs(np.log(one.ratio)) <= np.log(1.2), one


@pytest.mark.parametrize(("row_id", "quantity"), NAMED_MISFITS)
def test_named_misfit_still_misfits(row_id: str, quantity: str):
    ratio = own(row_id)[quantity].ratio
    assert ratio is not None
    assert abs(np.log(ratio)) > np.log(1.2), "fits now: take it out of NAMED_MISFITS"


# --- comedication and liver --------------------------------------------------------------------


def exposure(regimen: str, drugs: tuple[str, ...] = ()) -> float:
    course = simulate_concentrations(regimen, patient=Patient.create(comedications=drugs), times_h=[1.0])
    stem = next(name for name in course.metrics if name.endswith("ketamine_venous"))
    return float(course.metrics[stem].auc_infinity[0])


def ratio(regimen: str, drug: str) -> float:
    return exposure(regimen, (drug,)) / exposure(regimen)


@pytest.mark.parametrize("row", read_table("comedications.csv"), ids=lambda row: row["name"])
@pytest.mark.parametrize(
    ("regimen", "column"),
    [
        ("ketamine 50 mg po", "oral_auc_ratio"),
        ("esketamine 50 mg po", "oral_auc_ratio"),
        ("ketamine 60 mg er", "oral_auc_ratio"),
        ("ketamine 0.5 mg/kg iv over 40 min", "systemic_auc_ratio"),
        ("esketamine 0.5 mg/kg iv over 40 min", "systemic_auc_ratio"),
        ("ketamine 0.5 mg/kg im", "systemic_auc_ratio"),
    ],
)
def test_simulation_gives_the_measured_ratio_of_a_comedication(row: Row, regimen: str, column: str):
    assert ratio(regimen, row["name"]) == pytest.approx(float(row[column]), rel=1e-9)


@pytest.mark.parametrize("row", read_table("comedications.csv"), ids=lambda row: row["name"])
def test_nasal_spray_lies_between_intravenous_and_oral(row: Row):
    bounds = sorted(float(row[column]) for column in ("oral_auc_ratio", "systemic_auc_ratio"))
    assert bounds[0] - 1e-9 <= ratio("esketamine 84 mg intranasal", row["name"]) <= bounds[1] + 1e-9


def test_first_pass_rule_predicts_what_the_label_says_of_ticlopidine():
    # the label says +29 %; the rule was fitted to the oral ratio of 2.4 only
    assert 1.25 <= ratio("esketamine 84 mg intranasal", "ticlopidine") <= 1.33
