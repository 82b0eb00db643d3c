"""Drugs and the registry of treatments."""

from __future__ import annotations

import re

import pytest

from euthymia.dosing import drug as drug_module
from euthymia.dosing.drug import Drug, find_drug, find_treatment, plain_name, treatment_names, treatments
from euthymia.dosing.limits import device, horizon, limit, maximum
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.tables import read_table

# IUPAC 2021 abridged standard atomic weights.
ATOMIC_WEIGHTS = {
    "C": 12.011, "H": 1.008, "Cl": 35.45, "N": 14.007, "O": 15.999, "F": 18.998, "S": 32.06,
}  # fmt: skip
ROWS = [row for row in read_table("treatments.csv") if row["formula"]]


def molar_mass(formula: str) -> float:
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    assert "".join(symbol + count for symbol, count in parts) == formula
    return sum(ATOMIC_WEIGHTS[symbol] * int(count or 1) for symbol, count in parts)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_molar_masses_follow_from_the_formula(row: dict[str, str]) -> None:
    base = molar_mass(row["formula"])
    assert float(row["molar_mass_g_per_mol"]) == pytest.approx(base, abs=0.0051)
    if row["hydrochloride_molar_mass_g_per_mol"]:
        salt = base + molar_mass("HCl")
        # 0.01 g/mol: ketamine hydrochloride is listed as 274.19 where the weights give 274.185
        assert float(row["hydrochloride_molar_mass_g_per_mol"]) == pytest.approx(salt, abs=0.01)


def test_hydrochloride_of_esketamine_holds_the_labelled_base() -> None:
    fraction = find_drug("esketamine").base_per_salt_fraction
    assert fraction is not None
    assert 28 / fraction == pytest.approx(32.3, abs=0.05)
    assert 50 / fraction == pytest.approx(57.7, abs=0.05)


@pytest.mark.parametrize(("name", "s_fraction"), [("ketamine", 0.5), ("esketamine", 1), ("arketamine", 0)])
def test_ketamines_have_their_share_of_the_s_enantiomer(name: str, s_fraction: float) -> None:
    assert find_drug(name).s_fraction == s_fraction
    assert find_drug(name).is_ketamine
    assert find_drug(name).molar_mass_g_per_mol == 237.73


def test_only_ketamines_are_ketamines() -> None:
    ketamines = {t.name for t in treatments() if t.drug is not None and t.drug.is_ketamine}
    assert ketamines == {"ketamine", "esketamine", "arketamine"}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("S-Ketamine", "esketamine"),
        ("spravato", "esketamine"),
        ("Racemic  ketamine", "ketamine"),
        ("cbt", "CBT"),
        ("electroconvulsive therapy", "ECT"),
        ("meaning centered therapy", "meaning-centred therapy"),
    ],
)
def test_aliases_capitals_and_hyphens_find_the_treatment(written: str, name: str) -> None:
    assert find_treatment(written).name == name


def test_every_treatment_is_found_by_each_of_its_names() -> None:
    for treatment in treatments():
        for name in (treatment.name, *treatment.aliases):
            assert treatment_names()[plain_name(name)] is treatment


def test_a_name_used_twice_in_the_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = (*treatments(), treatments()[0])
    monkeypatch.setattr(drug_module, "treatments", lambda: twice)
    with pytest.raises(InvalidInputError, match=r"'name' must be used once in treatments.csv"):
        treatment_names.__wrapped__()


def test_unknown_treatments_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown treatment 'sertralin'. Did you mean 'sertraline'"):
        find_treatment("sertralin")


def test_a_therapy_is_no_drug() -> None:
    with pytest.raises(InvalidInputError, match=r"'drug' must be a drug. Got CBT, a therapy"):
        find_drug("CBT")


def test_micromoles_in_a_milligram() -> None:
    assert find_drug("ketamine").umol_per_mg() == pytest.approx(1000 / 237.73, rel=1e-15)
    assert find_drug("ketamine").umol_per_mg("hcl") == pytest.approx(1000 / 274.19, rel=1e-15)
    assert find_drug("saline").umol_per_mg() == 0


@pytest.mark.parametrize("name", ["escitalopram", "saline"])
def test_a_drug_without_hydrochloride_refuses_it(name: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"'salt_form' of {name} must be 'base'. Got 'hcl'"):
        find_drug(name).umol_per_mg("hcl")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"molar_mass_g_per_mol": 0}, "'molar_mass_g_per_mol' of x must be above 0. Got 0"),
        (
            {"molar_mass_g_per_mol": float("nan")},
            "'molar_mass_g_per_mol' of x must be a finite number. Got nan",
        ),
        ({"base_per_salt_fraction": 1.2}, "'base_per_salt_fraction' of x must be 0 to 1. Got 1.2"),
        ({"base_per_salt_fraction": 0}, "'base_per_salt_fraction' of x must be above 0. Got 0"),
        ({"s_fraction": -0.1}, "'s_fraction' of x must be 0 to 1. Got -0.1"),
        ({}, "'s_fraction' of x must be given for a ketamine. Got nothing"),
    ],
)
def test_drugs_with_impossible_numbers_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        Drug.create(name="x", drug_class="ketamine", **change)


def test_rules_are_read_with_their_numbers() -> None:
    assert (limit("weight_kg").low, limit("weight_kg").high) == (3, 300)
    assert str(limit("infusion_duration_min")) == "2\N{EN DASH}1440 (rules/dosing.toml)"
    spray = device("esketamine", "intranasal")
    assert spray is not None
    assert (spray.amount_mg, spray.interval_min) == (28, 5)
    assert device("esketamine", "oral") is None
    assert device("ketamine", "intranasal") is None
    assert maximum("placebo") is None
    assert horizon().after_last_dose_h == 48
