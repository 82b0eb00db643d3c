"""Drugs, therapies and procedures that a regimen may name, read from ``treatments.csv``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

from euthymia.dosing.limits import finite, positive, refused
from euthymia.errors import invalid, unknown
from euthymia.tables import Row, number, read_table

TABLE = "treatments.csv"
KETAMINE_CLASS = "ketamine"

TreatmentKind = Literal["drug", "therapy", "procedure"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Drug:
    """A substance: what turns milligrams of it into micromoles of base.

    Parameters
    ----------
    name : str
    drug_class : str
        ``ketamine``, ``benzodiazepine``, ``ssri``, ``snri`` or ``placebo``.
    molar_mass_g_per_mol : float or None
        Of the base; None for an inactive substance, which takes no amount.
    base_per_salt_fraction : float or None
        Mass of base in one unit of mass of the hydrochloride; None where no hydrochloride is used.
    s_fraction : float or None
        Molar share of the S enantiomer; None where the drug is not a ketamine.
    """

    name: str
    drug_class: str
    molar_mass_g_per_mol: float | None = None
    base_per_salt_fraction: float | None = None
    s_fraction: float | None = None

    @classmethod
    def create(
        cls,
        *,
        name: str,
        drug_class: str,
        molar_mass_g_per_mol: float | None = None,
        base_per_salt_fraction: float | None = None,
        s_fraction: float | None = None,
    ) -> Drug:
        """Return a drug whose numbers have been checked."""
        if molar_mass_g_per_mol is not None:
            molar_mass_g_per_mol = positive("molar_mass_g_per_mol", molar_mass_g_per_mol, of=name)
        if base_per_salt_fraction is not None:
            base_per_salt_fraction = _fraction("base_per_salt_fraction", base_per_salt_fraction, of=name)
            if base_per_salt_fraction == 0:
                raise refused(field="base_per_salt_fraction", must="above 0", got=0, of=name)
        if s_fraction is not None:
            s_fraction = _fraction("s_fraction", s_fraction, of=name)
        if drug_class == KETAMINE_CLASS and s_fraction is None:
            raise refused(field="s_fraction", must="given for a ketamine", got="nothing", of=name)
        return cls(
            name=name,
            drug_class=drug_class,
            molar_mass_g_per_mol=molar_mass_g_per_mol,
            base_per_salt_fraction=base_per_salt_fraction,
            s_fraction=s_fraction,
        )

    @property
    def is_ketamine(self) -> bool:
        """Whether the drug is ketamine or one of its enantiomers."""
        return self.drug_class == KETAMINE_CLASS

    @property
    def is_active(self) -> bool:
        """Whether the drug has an amount; saline and placebo have none."""
        return self.molar_mass_g_per_mol is not None

    def umol_per_mg(self, salt_form: str = "base") -> float:
        """Return the micromoles of base in one milligram of base or of hydrochloride; 0 where inactive."""
        if salt_form != "base" and self.base_per_salt_fraction is None:
            raise refused(field="salt_form", must="'base'", got=repr(salt_form), of=self.name)
        if self.molar_mass_g_per_mol is None:
            return 0.0
        base_fraction = 1.0 if salt_form == "base" else self.base_per_salt_fraction or 1.0
        return 1000.0 * base_fraction / self.molar_mass_g_per_mol


@dataclass(frozen=True, kw_only=True, slots=True)
class Treatment:
    """One row of the registry: something that can be given or done."""

    name: str
    kind: TreatmentKind
    treatment_class: str
    aliases: tuple[str, ...]
    source: str
    drug: Drug | None


@cache
def treatments() -> tuple[Treatment, ...]:
    """Return every treatment of the registry, in the order of the table."""
    return tuple(_treatment(row) for row in read_table(TABLE))


@cache
def treatment_names() -> dict[str, Treatment]:
    """Return the treatments by every name and alias, in the plain form of `plain_name`."""
    names: dict[str, Treatment] = {}
    for treatment in treatments():
        for name in (treatment.name, *treatment.aliases):
            if plain_name(name) in names:
                raise invalid(field="name", must=f"used once in {TABLE}", got=repr(name))
            names[plain_name(name)] = treatment
    return names


def plain_name(name: str) -> str:
    """Return a name without capitals and hyphens, and with single spaces."""
    return " ".join(name.lower().replace("-", " ").split())


def find_treatment(name: str) -> Treatment:
    """Return the treatment with that name or alias.

    Raises
    ------
    UnknownNameError
        No treatment has it; the message offers the nearest.
    """
    treatment = treatment_names().get(plain_name(name))
    if treatment is None:
        raise unknown(kind="treatment", name=name, known=known_names())
    return treatment


def find_drug(name: str) -> Drug:
    """Return the drug with that name or alias."""
    treatment = find_treatment(name)
    if treatment.drug is None:
        raise refused(field="drug", must="a drug", got=f"{treatment.name}, a {treatment.kind}")
    return treatment.drug


def known_names() -> list[str]:
    """Return the names that messages offer: all names and aliases as the table writes them."""
    return [name for treatment in treatments() for name in (treatment.name, *treatment.aliases)]


def _treatment(row: Row) -> Treatment:
    if row["kind"] not in ("drug", "therapy", "procedure"):
        raise refused(field="kind", must="drug, therapy or procedure", got=repr(row["kind"]), of=row["name"])
    kind = cast(TreatmentKind, row["kind"])
    return Treatment(
        name=row["name"],
        kind=kind,
        treatment_class=row["class"],
        aliases=tuple(alias.strip() for alias in row["aliases"].split("|") if alias.strip()),
        source=row["source"],
        drug=_drug(row) if kind == "drug" else None,
    )


def _drug(row: Row) -> Drug:
    base = number(row, "molar_mass_g_per_mol")
    salt = number(row, "hydrochloride_molar_mass_g_per_mol")
    return Drug.create(
        name=row["name"],
        drug_class=row["class"],
        molar_mass_g_per_mol=base,
        base_per_salt_fraction=base / salt if base and salt else None,
        s_fraction=number(row, "s_fraction"),
    )


def _fraction(field: str, value: float, *, of: str) -> float:
    result = finite(field, value, of=of)
    if not 0 <= result <= 1:
        raise refused(field, must="0 to 1", got=value, of=of)
    return result
