"""Names end in their unit, and units are converted at the edges only."""

from __future__ import annotations

import subprocess
import sys

import pytest

from euthymia.errors import InvalidInputError
from euthymia.model.variables import CONCENTRATION_UNITS, variables
from euthymia.tables import read_table
from euthymia.units import NAME_ENDINGS, convert, registry, unit_in_name


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("clearance_L_per_h", "L/h"),
        ("central_volume_L", "L"),
        ("nasal_spray_rate_per_h", "1/h"),
        ("liver_flow_loss_L_per_h_per_year", "L/h/year"),
        ("norketamine_clearance_increase_per_h", "1/h"),
        ("oral_duration_h", "h"),
        ("oral_fraction", "1"),
        ("asian_elimination_ratio", "1"),
        ("clearance_exponent", "1"),
        ("ketamine_venous_umol_per_L", "umol/L"),
        ("dose_mg_per_kg", "mg/kg"),
        ("weight_kg", "kg"),
    ],
)
def test_longest_ending_of_a_name_gives_its_unit(name: str, unit: str):
    assert unit_in_name(name) == unit


def test_name_without_a_unit_is_refused_with_the_endings_known():
    with pytest.raises(
        InvalidInputError, match=r"'clearance' does not end in a unit. Known endings: .*_L_per_h"
    ):
        unit_in_name("clearance")


def test_no_ending_hides_a_longer_one():
    endings = [ending for ending, _ in NAME_ENDINGS]
    for place, ending in enumerate(endings):
        assert not any(later.endswith(ending) for later in endings[place + 1 :])


@pytest.mark.parametrize("unit", sorted({unit for _, unit in NAME_ENDINGS}))
def test_every_unit_of_a_name_is_known_to_pint(unit: str):
    assert registry().Unit(unit)


def test_unit_of_every_parameter_is_the_one_in_its_name():
    rows = read_table("parameters/pk.csv")
    assert rows
    assert [
        row["field"]
        for row in rows
        if registry().Unit(unit_in_name(row["field"])) != registry().Unit(row["unit"])
    ] == []


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (40.0, "min", "h", 2.0 / 3.0),
        (1.0, "d", "h", 24.0),
        (12.0, "ug/kg/min", "mg/kg/h", 0.72),
        (1.0, "L/min", "L/h", 60.0),
        (154.0, "lb", "kg", 154 * 0.45359237),
        (1.0, "ng/mL", "mg/L", 1e-3),
        (1.0, "nmol/mL", "umol/L", 1.0),
        (8766.0, "L/h/year", "L/h/h", 1.0),
    ],
)
def test_conversion_by_hand(value: float, unit: str, to: str, expected: float):
    assert convert(value, unit, to) == pytest.approx(expected, rel=1e-12)


def test_conversion_there_and_back_gives_the_same():
    there = convert(3.7, "ng/mL", "umol/L", molar_mass_g_per_mol=223.7)
    assert convert(there, "umol/L", "ng/mL", molar_mass_g_per_mol=223.7) == pytest.approx(3.7, rel=1e-14)


@pytest.mark.parametrize("variable", variables().values(), ids=lambda one: one.stem)
@pytest.mark.parametrize("unit", CONCENTRATION_UNITS)
def test_factor_of_every_observable_is_that_of_pint(variable, unit: str):
    if variable.molar_mass_g_per_mol is None:
        assert variable.factor_to(unit) == 1.0
        assert variable.unit_in(unit) == variable.unit
        return
    expected = convert(1.0, variable.unit, unit, molar_mass_g_per_mol=variable.molar_mass_g_per_mol)
    assert variable.factor_to(unit) == pytest.approx(expected, rel=1e-12)


def test_mass_and_moles_need_a_molar_mass():
    with pytest.raises(
        InvalidInputError, match=r"they measure different things. Between mass and moles a molar"
    ):
        convert(1.0, "umol/L", "ng/mL")


def test_things_that_differ_are_not_converted():
    with pytest.raises(
        InvalidInputError, match=r"'L/h' cannot be converted to 'kg': they measure different things.$"
    ):
        convert(1.0, "L/h", "kg", molar_mass_g_per_mol=237.73)


@pytest.mark.parametrize(("unit", "to"), [("flagon", "L"), ("L", "flagon")])
def test_unknown_unit_is_refused(unit: str, to: str):
    with pytest.raises(InvalidInputError, match=r"Unknown unit in .*'flagon' is not defined"):
        convert(1.0, unit, to)


def test_pint_is_loaded_only_when_something_is_converted():
    code = "import sys, euthymia.units as units; units.unit_in_name('a_kg'); sys.exit('pint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
