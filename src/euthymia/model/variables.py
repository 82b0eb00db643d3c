"""Every observable: its name with its unit, what it means, and the layer it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from euthymia.errors import unknown
from euthymia.tables import number, read_table

CONCENTRATION_UNITS = {"umol/L": "umol_per_L", "ng/mL": "ng_per_mL"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """An observable of the composed model; its name ends in its unit."""

    name: str
    unit: str
    meaning: str
    layer: str
    molar_mass_g_per_mol: float | None
    symbol: str

    @property
    def is_concentration(self) -> bool:
        """Whether it may be shown in another unit of concentration."""
        return self.molar_mass_g_per_mol is not None

    @property
    def stem(self) -> str:
        """Name without the unit of a concentration: ``ketamine_arterial``; else the name itself."""
        return self.name.removesuffix("_umol_per_L")

    def factor_to(self, unit: str) -> float:
        """Return what a value is multiplied by to be shown where concentrations are in some unit.

        1 umol/L of a substance of M g/mol is M ng/mL; what is no concentration stays as it is.
        """
        if unit not in CONCENTRATION_UNITS:
            raise unknown("unit of concentration", unit, CONCENTRATION_UNITS)
        return 1.0 if self.molar_mass_g_per_mol is None or unit == self.unit else self.molar_mass_g_per_mol

    def name_in(self, unit: str) -> str:
        """Return the name where concentrations are in some unit."""
        self.factor_to(unit)
        return f"{self.stem}_{CONCENTRATION_UNITS[unit]}" if self.is_concentration else self.name

    def unit_in(self, unit: str) -> str:
        """Return the unit where concentrations are in some unit."""
        return unit if self.is_concentration else self.unit


@cache
def variables() -> Mapping[str, Variable]:
    """Return every observable by its stem, in the order of the table."""
    found = (
        Variable(
            name=row["name"],
            unit=row["unit"],
            meaning=row["meaning"],
            layer=row["layer"],
            molar_mass_g_per_mol=number(row, "molar_mass_g_per_mol"),
            symbol=row["symbol"],
        )
        for row in read_table("variables.csv")
    )
    return {variable.stem: variable for variable in found}


def find_variable(name: str) -> Variable:
    """Return an observable by its stem or by its name with either unit."""
    table = variables()
    stem = name
    for ending in CONCENTRATION_UNITS.values():
        stem = stem.removesuffix(f"_{ending}")
    if stem not in table:
        raise unknown("variable", name, table, cure="See 'euthymia variables'.")
    return table[stem]
