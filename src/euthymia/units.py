"""The unit system, and the only module that imports pint.

Inside: h, L, umol, kg, umol/L. Units are read and converted where a value enters or leaves; in between they
stand in the names. A name and its unit must agree (:func:`unit_in_name`).
"""

from __future__ import annotations

from functools import cache
from tokenize import TokenError
from typing import TYPE_CHECKING, cast

from euthymia.errors import InvalidInputError

if TYPE_CHECKING:
    import pint

NAME_ENDINGS = (
    ("_L_per_umol_per_h", "L/umol/h"),
    ("_Hz_per_nA", "Hz/nA"),
    ("_L_per_h_per_year", "L/h/year"),
    ("_per_year", "1/year"),
    ("_years", "year"),
    ("_increase_per_h", "1/h"),
    ("_L_per_h", "L/h"),
    ("_umol_per_L", "umol/L"),
    ("_per_h", "1/h"),
    ("_per_min", "1/min"),
    ("_mg_per_kg", "mg/kg"),
    ("_kg", "kg"),
    ("_L", "L"),
    ("_h", "h"),
    ("_ms", "ms"),
    ("_Hz", "Hz"),
    ("_nA", "nA"),
    ("_mmHg", "mmHg"),
    ("_points", "1"),
    ("_logit", "1"),
    ("_relative", "1"),
    ("_probability", "1"),
    ("_share", "1"),
    ("_fraction", "1"),
    ("_ratio", "1"),
    ("_exponent", "1"),
)
"""What a name ends in, and the unit that it promises; longer endings first."""


def unit_in_name(name: str) -> str:
    """Return the unit that a name promises.

    Examples
    --------
    >>> unit_in_name("central_volume_L"), unit_in_name("norketamine_formed_fraction")
    ('L', '1')
    """
    for ending, unit in NAME_ENDINGS:
        if name.endswith(ending):
            return unit
    message = (
        f"{name!r} does not end in a unit. Known endings: {', '.join(ending for ending, _ in NAME_ENDINGS)}."
    )
    raise InvalidInputError(message)


@cache
def registry() -> pint.UnitRegistry:
    """Return the one unit registry."""
    import pint

    units = pint.UnitRegistry(cache_folder=None)
    units.define("@alias year = yr")
    return units


def convert(value: float, unit: str, to: str, *, molar_mass_g_per_mol: float | None = None) -> float:
    """Return a value in another unit; between mass and moles by a molar mass.

    Raises
    ------
    InvalidInputError
        Where the units do not measure the same thing.

    Examples
    --------
    >>> round(convert(1.0, "umol/L", "ng/mL", molar_mass_g_per_mol=237.73), 2)
    237.73
    """
    import pint

    units = registry()
    try:
        quantity = units.Quantity(value, unit)
        target = units.Unit(to)
        if quantity.dimensionality == target.dimensionality:
            return float(cast(float, quantity.to(target).magnitude))
        if molar_mass_g_per_mol is not None:
            molar_mass = units.Quantity(molar_mass_g_per_mol, "g/mol")
            for other in (quantity * molar_mass, quantity / molar_mass):
                if other.dimensionality == target.dimensionality:
                    return float(cast(float, other.to(target).magnitude))
    except (pint.PintError, TokenError, ValueError, TypeError, SyntaxError) as error:
        message = f"Unknown unit in {unit!r} or {to!r}: {error}."
        raise InvalidInputError(message) from None
    cure = "" if molar_mass_g_per_mol else " Between mass and moles a molar mass is needed."
    message = f"{unit!r} cannot be converted to {to!r}: they measure different things.{cure}"
    raise InvalidInputError(message)
