"""Parameter sets: one row a number, with its unit, spread, source and how far it may be moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import log, sqrt
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError, invalid, unknown
from euthymia.tables import Row, number, read_table

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Distribution = Literal["fixed", "lognormal", "logitnormal", "normal"]
DEFAULT_SET = "composed"
CHAIN_TABLES = ("receptor", "circuit", "plasticity", "network", "comparators", "symptoms", "acute")
"""Tables of everything behind the pharmacokinetics, one a folder of biology."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterRow:
    """One number of a published or composed set.

    ``sd`` is on the scale of the distribution (log, logit or as is). ``scaling`` names the allometric
    exponent that applies, ``draw_with`` the field whose random draw is shared.
    """

    set: str
    layer: str
    field: str
    value: float
    unit: str
    distribution: Distribution
    sd: float
    low: float
    high: float
    kind: str
    scaling: str
    draw_with: str
    tag: str
    source: str
    location: str
    sampling: str
    form: str
    confidence: str
    note: str

    @property
    def name(self) -> str:
        """Name by which the parameter is overridden: ``layer.field``."""
        return f"{self.layer}.{self.field}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """The range that a set was estimated in; outside it a result is an extrapolation.

    ``basis`` says whether the source states it: ``"stated"``, ``"partly assumed"`` or ``"assumed"``.
    """

    weight_kg: tuple[float, float]
    age_years: tuple[float, float]
    dose_mg_per_kg: tuple[float, float]
    basis: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Draws:
    """Values and spreads of which there are several: each virtual patient takes one set of them.

    Attributes
    ----------
    values, sds : {layer.field: array (D,)}
        In place of ``value`` and ``sd`` of the row.
    places : callable (numbers (P,), seed) -> (P,)
        Which of them the patients of some numbers take, from 0.
    """

    values: Mapping[str, Array]
    sds: Mapping[str, Array]
    places: Callable[[Codes, int], Codes]


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterSet:
    """A set of parameters that runs on its own, with what it covers and what must be said about it.

    ``rows`` are the pharmacokinetics by field; ``chain`` everything behind them by ``layer.field``, empty
    where the set does not give both enantiomers in arterial plasma. ``posterior`` says which draw of
    calibrated numbers it has, if any; ``pilots`` is the set that grids are then chosen for. ``draws`` stand
    in place of some rows in virtual patients, and never in the typical one.
    """

    name: str
    title: str
    structure: str
    site: str
    drugs: tuple[str, ...]
    ways: tuple[str, ...]
    valid: Range
    population: str
    sources: tuple[str, ...]
    summary: str
    disclaimer: str
    rows: Mapping[str, ParameterRow]
    chain: Mapping[str, ParameterRow]
    correlations: tuple[tuple[str, str, float], ...]
    overrides: Mapping[str, float]
    mechanisms: tuple[str, ...] = ()
    posterior: str = ""
    pilots: ParameterSet | None = None
    draws: Draws | None = None

    def with_overrides(self, overrides: Mapping[str, float]) -> ParameterSet:
        """Return the set with some values replaced, each within its stated range.

        Parameters
        ----------
        overrides : mapping
            ``field`` or ``layer.field`` to value, in the unit that the name ends in.

        Raises
        ------
        UnknownNameError, InvalidInputError
        """
        rows, chain = dict(self.rows), dict(self.chain)
        for key, value in overrides.items():
            field = key.removeprefix("pk.")
            table = chain if key in chain else rows
            if table is rows and field not in rows:
                names = [row.name for row in (*rows.values(), *chain.values())]
                raise unknown("parameter", key, names, cure=f"Set: {self.name}.")
            place = key if table is chain else field
            _check_range(key, table[place], value, self.name)
            table[place] = replace(table[place], value=value, tag="override", note="set by the user")
        return replace(self, rows=rows, chain=chain, overrides={**self.overrides, **overrides})

    def with_spread(self, name: str, *, value: float, sd: float, tag: str, note: str) -> ParameterSet:
        """Return the set with the typical value and the spread of one field replaced.

        Parameters
        ----------
        name : str
            ``layer.field``, behind the pharmacokinetics.
        value : float
            In the unit that the name ends in, within the range of the row.
        sd : float
            On the scale of the row's distribution.
        tag, note : str
            Where the two come from.

        Raises
        ------
        UnknownNameError, InvalidInputError
        """
        if name not in self.chain:
            raise unknown("parameter", name, self.chain, cure=f"Set: {self.name}.")
        _check_range(name, self.chain[name], value, self.name)
        if not sd >= 0.0 or self.chain[name].distribution == "fixed":
            raise invalid(
                name, must="a field that varies between people, with an SD from 0", got=f"SD {sd:g}"
            )
        row = replace(self.chain[name], value=value, sd=sd, tag=tag, note=note)
        changed = {**self.overrides, name: value}
        return replace(self, chain={**self.chain, name: row}, overrides=changed)


def _check_range(key: str, row: ParameterRow, value: float, name: str) -> None:
    if not row.low <= value <= row.high:
        unit = "" if row.unit == "1" else f" {row.unit}"
        raise invalid(
            key,
            must=f"{row.low:g}–{row.high:g}{unit} (parameters, set {name})",
            got=f"{value:g}",
            cure=f"The set's value is {row.value:g}.",
        )


def set_names() -> tuple[str, ...]:
    """Return the names of all parameter sets, the default first."""
    return tuple(row["set"] for row in read_table("parameters/sets.csv"))


@cache
def load_parameters(name: str = DEFAULT_SET) -> ParameterSet:
    """Return a named parameter set.

    Raises
    ------
    UnknownNameError
        With the nearest set name.

    Examples
    --------
    >>> load_parameters("kamp-2020").rows["clearance_L_per_h"].value
    84.0
    """
    about = {row["set"]: row for row in read_table("parameters/sets.csv")}
    if name not in about:
        raise unknown("parameter set", name, about, cure="See 'euthymia sets'.")
    row = about[name]
    rows = {one["field"]: _parameter(one) for one in read_table("parameters/pk.csv") if one["set"] == name}
    pairs = tuple(
        (one["field_a"], one["field_b"], float(one["correlation"]))
        for one in read_table("parameters/correlations.csv")
        if one["set"] == name
    )
    return ParameterSet(
        name=name,
        title=row["title"],
        structure=row["structure"],
        site=row["site"],
        drugs=tuple(row["drugs"].split(";")),
        ways=tuple(row["ways"].split(";")),
        valid=Range(
            weight_kg=(float(row["weight_low_kg"]), float(row["weight_high_kg"])),
            age_years=(float(row["age_low_years"]), float(row["age_high_years"])),
            dose_mg_per_kg=(float(row["dose_low_mg_per_kg"]), float(row["dose_high_mg_per_kg"])),
            basis=row["range_basis"],
        ),
        population=row["population"],
        sources=tuple(row["sources"].split(";")),
        summary=row["summary"],
        disclaimer=row["disclaimer"],
        rows=rows,
        chain=_chain_rows() if row["structure"] == "enantiomers" else {},
        correlations=pairs,
        overrides={},
    )


@cache
def _chain_rows() -> Mapping[str, ParameterRow]:
    """Return every parameter behind the pharmacokinetics by ``layer.field``, in the order of the tables."""
    rows = (
        _parameter(one)
        for table in CHAIN_TABLES
        for one in read_table(f"parameters/{table}.csv")
        if one["set"] == DEFAULT_SET
    )
    return {row.name: row for row in rows}


def parse_override(text: str) -> tuple[str, float]:
    """Read ``key=value`` as given to ``--set``.

    Examples
    --------
    >>> parse_override("s_clearance_L_per_h=80")
    ('s_clearance_L_per_h', 80.0)
    """
    key, sign, value = text.partition("=")
    try:
        if not sign or not key.strip():
            raise ValueError
        return key.strip(), float(value)
    except ValueError:
        message = (
            f"'--set' must be KEY=NUMBER, such as s_clearance_L_per_h=80. Got {text!r}. "
            "'euthymia sets NAME' lists the keys of a set."
        )
        raise InvalidInputError(message) from None


def _parameter(row: Row) -> ParameterRow:
    distribution = cast(Distribution, row["distribution"])
    printed_cv, sd = number(row, "cv_percent"), number(row, "sd")
    if printed_cv is not None:
        sd = sqrt(log(1.0 + (printed_cv / 100.0) ** 2))
    return ParameterRow(
        set=row["set"],
        layer=row["layer"],
        field=row["field"],
        value=float(row["value"]),
        unit=row["unit"],
        distribution=distribution,
        sd=sd or 0.0,
        low=float(row["low"]),
        high=float(row["high"]),
        **{
            column: row[column]
            for column in ("kind scaling draw_with tag source location sampling form confidence note".split())
        },
    )
