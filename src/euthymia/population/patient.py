"""A virtual patient: what is known of a person that changes the model's parameters."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import isfinite
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.dosing.limits import finite, within
from euthymia.errors import invalid, unknown
from euthymia.tables import read_table, read_text

ANCESTRIES = ("none stated", "asian", "japanese")
"""Groups for which PerezRuixo2021 found different values (set perez-ruixo-2021 only)."""
SEXES = ("female", "male")
RULES = "rules/patient.toml"
LONGEST_DIAGNOSIS = 200
PATIENTS_PER_REPLICATE = 2**32
"""Patient numbers of one replicate of a trial; the next replicate has the next as many."""
REPLICATES = 2**31


def numbers_of(replicate: int, patients: ArrayLike) -> NDArray[np.int64]:
    """Return the numbers that key the draws of some patients in a replicate of a trial.

    number = replicate 2**32 + patient, so that each replicate has people of its own.

    Parameters
    ----------
    replicate : int
        0 to 2**31 - 1; patients of replicate 0 are those of any other run.
    patients : array of int (P,)
        Within the replicate, from 1 to 2**32 - 1.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> numbers_of(2, [1, 17]).tolist()
    [8589934593, 8589934609]
    """
    within_one = np.asarray(patients)
    if within_one.size and within_one.dtype.kind not in "iu":
        raise invalid("patients", must="whole numbers from 1", got=f"{within_one.dtype} values")
    if within_one.size and not 1 <= within_one.min() <= within_one.max() < PATIENTS_PER_REPLICATE:
        worst = within_one.min() if within_one.min() < 1 else within_one.max()
        raise invalid("patients", must=f"from 1 to {PATIENTS_PER_REPLICATE - 1} in a replicate", got=worst)
    if isinstance(replicate, bool) or not 0 <= index(replicate) < REPLICATES:
        raise invalid("replicate", must=f"from 0 to {REPLICATES - 1}", got=replicate)
    return index(replicate) * PATIENTS_PER_REPLICATE + within_one.astype(np.int64)


def replicate_and_patient(numbers: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the replicate and the patient within it of each number: the inverse of `numbers_of`."""
    replicates, patients = np.divmod(np.asarray(numbers, dtype=np.int64), PATIENTS_PER_REPLICATE)
    return replicates, patients


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """A pseudonymous patient; what is absent is None and has no effect.

    Use :meth:`create`, which validates; the constructor trusts.

    Weight, age (pressure; in one set clearance), ancestry (in one set), hypertension, hepatic class and
    comedications change the model. The other fields are recorded only: published predictors of response
    explain little, and none of these has a number that could be used. Of ``cyp2b6_genotype`` one study of
    infusions over days found slower clearance and one of single oral doses found nothing.
    """

    weight_kg: float = 70.0
    age_years: float | None = None
    ancestry: str | None = None
    hepatic_class: str | None = None
    comedications: tuple[str, ...] = ()
    is_hypertensive: bool | None = None
    sex: str | None = None
    height_cm: float | None = None
    episode_weeks: float | None = None
    failed_trials: int | None = None
    ssi_points: float | None = None
    diagnosis: str | None = None
    cyp2b6_genotype: str | None = None

    @property
    def bmi_kg_per_m2(self) -> float | None:
        """Weight over height squared; None where the height is unknown."""
        return None if self.height_cm is None else self.weight_kg / (self.height_cm / 100.0) ** 2

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
        sex: str | None = None,
        height_cm: float | None = None,
        episode_weeks: float | None = None,
        failed_trials: int | None = None,
        ssi_points: float | None = None,
        diagnosis: str | None = None,
        cyp2b6_genotype: str | None = None,
    ) -> Patient:
        """Return a patient after checking every field.

        Parameters
        ----------
        weight_kg, age_years, ancestry, hepatic_class, comedications, is_hypertensive
            Change the model.
        sex : str, optional
            female or male.
        height_cm : float, optional
        episode_weeks : float, optional
            Since the present episode began.
        failed_trials : int, optional
            Antidepressants that were tried in vain in it.
        ssi_points : float, optional
            Total of the Scale for Suicide Ideation, 0 to 38.
        diagnosis : str, optional
            Free text.
        cyp2b6_genotype : str, optional
            Two star alleles: ``"*1/*6"``.

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
            sex=_sex(sex),
            height_cm=_in_range("height_cm", height_cm),
            episode_weeks=_in_range("episode_weeks", episode_weeks),
            failed_trials=_count("failed_trials", failed_trials),
            ssi_points=_in_range("ssi_points", ssi_points),
            diagnosis=_text("diagnosis", diagnosis),
            cyp2b6_genotype=_genotype(cyp2b6_genotype),
        )


@cache
def ranges() -> dict[str, dict[str, Any]]:
    """Return what may be recorded of a patient by field: low, high, unit, reason, source, cure."""
    return tomllib.loads(read_text(RULES))


def _in_range(field: str, value: float | None) -> float | None:
    if value is None:
        return None
    rule, number = ranges()[field], finite(field, value)
    if not rule["low"] <= number <= rule["high"]:
        must = f"{rule['low']}–{rule['high']} {rule['unit']} ({RULES})"
        raise invalid(field, must=must, got=f"{number:g}", cure=rule["cure"])
    return number


def _count(field: str, value: int | None) -> int | None:
    number = _in_range(field, value)
    if number is None:
        return None
    if not number.is_integer() or isinstance(value, bool):
        raise invalid(field, must="a whole number", got=repr(value), cure=ranges()[field]["cure"])
    return int(number)


def _sex(sex: str | None) -> str | None:
    if sex is not None and sex not in SEXES:
        raise unknown("sex", str(sex), SEXES, cure="Leave it out where it is not known.")
    return sex


def _text(field: str, text: str | None) -> str | None:
    if text is not None and not 0 < len(text.strip()) <= LONGEST_DIAGNOSIS:
        must = f"1 to {LONGEST_DIAGNOSIS} characters"
        raise invalid(field, must=must, got=f"{len(text.strip())}", cure="Leave it out where there is none.")
    return None if text is None else text.strip()


def _genotype(genotype: str | None) -> str | None:
    if genotype is not None and not re.fullmatch(r"\*\d{1,3}/\*\d{1,3}", genotype):
        raise invalid("cyp2b6_genotype", must="two star alleles, such as '*1/*6'", got=repr(genotype))
    return genotype


def _pounds(weight_kg: float) -> str:
    return (
        f"Pounds? {weight_kg:g} lb is {weight_kg * 0.45359237:.0f} kg."
        if weight_kg > 300
        else "In kilograms."
    )
