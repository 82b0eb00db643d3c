"""A virtual patient: what is known of a person that changes the model's parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from euthymia.dosing.limits import within
from euthymia.errors import invalid, unknown
from euthymia.tables import read_table

ANCESTRIES = ("none stated", "asian", "japanese")
"""Groups for which PerezRuixo2021 found different values (set perez-ruixo-2021 only)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """A pseudonymous patient; what is absent is None and has no effect.

    Use :meth:`create`, which validates; the constructor trusts.
    """

    weight_kg: float = 70.0
    age_years: float | None = None
    ancestry: str | None = None
    hepatic_class: str | None = None
    comedications: tuple[str, ...] = ()
    is_hypertensive: bool | None = None

    @classmethod
    def create(
        cls,
        *,
        weight_kg: float = 70.0,
        age_years: float | None = None,
        ancestry: str | None = None,
        hepatic_class: str | None = None,
        comedications: Iterable[str] = (),
        is_hypertensive: bool | None = None,
    ) -> Patient:
        """Return a patient after checking every field.

        Raises
        ------
        InvalidInputError
            Names the field, what is allowed, and what was given.
        """
        weight_kg = within("weight_kg", "weight_kg", weight_kg, cure=_pounds(weight_kg))
        if age_years is not None and not (isfinite(age_years) and 0 <= age_years <= 120):
            raise invalid("age_years", must="0–120 years", got=f"{age_years:g}")
        if ancestry is not None and ancestry not in ANCESTRIES:
            raise unknown("ancestry", ancestry, ANCESTRIES)
        classes = {row["class"]: row for row in read_table("hepatic.csv")}
        if hepatic_class is not None and hepatic_class not in classes:
            raise unknown("hepatic class", hepatic_class, classes)
        if hepatic_class is not None and not classes[hepatic_class]["systemic_auc_ratio"]:
            known = [name for name, row in classes.items() if row["systemic_auc_ratio"]]
            note = classes[hepatic_class]["note"] or classes[hepatic_class]["location"]
            raise invalid(
                "hepatic_class",
                must=f"{' or '.join(known)} (hepatic.csv)",
                got=f"{hepatic_class!r}, for which no exposure ratio is known ({note})",
            )
        if isinstance(comedications, str):
            comedications = (comedications,)
        known_drugs = {row["name"] for row in read_table("comedications.csv")}
        for drug in comedications:
            if drug not in known_drugs:
                raise unknown("comedication", drug, known_drugs, cure="Only these have measured ratios.")
        return cls(
            weight_kg=weight_kg,
            age_years=age_years,
            ancestry=None if ancestry == "none stated" else ancestry,
            hepatic_class=hepatic_class,
            comedications=tuple(dict.fromkeys(comedications)),
            is_hypertensive=is_hypertensive,
        )


def _pounds(weight_kg: float) -> str:
    return (
        f"Pounds? {weight_kg:g} lb is {weight_kg * 0.45359237:.0f} kg."
        if weight_kg > 300
        else "In kilograms."
    )
