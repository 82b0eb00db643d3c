"""Patient + typical parameters + random effects -> individual parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.mechanism.acute import cardiovascular
from euthymia.mechanism.pk.covariates import allometric, first_pass_fraction, systemic_clearance
from euthymia.model.parameters import Draws, ParameterRow, ParameterSet
from euthymia.model.wiring import record
from euthymia.population.patient import Patient
from euthymia.streams import normals
from euthymia.tables import read_table

Array = NDArray[np.float64]


def individual_values(
    parameters: ParameterSet,
    patients: Sequence[Patient],
    *,
    numbers: NDArray[np.int64] | None,
    seed: int,
) -> dict[str, Array]:
    """Return each patient's parameters, (P,), or () where they are the same for everyone by construction.

    Parameters
    ----------
    parameters : ParameterSet
    patients : sequence of Patient (P)
    numbers : array (P,) of int or None
        Numbers of the virtual patients, which key their random effects; None for typical patients.
    seed : int
    """
    effects = (
        {}
        if numbers is None
        else _random_effects(parameters.rows, numbers, seed, correlations=parameters.correlations)
    )
    values = {name: _drawn(row, effects.get(name)) for name, row in parameters.rows.items()}
    return _with_covariates(parameters, values, patients)


def chain_values(
    parameters: ParameterSet,
    patients: Sequence[Patient],
    *,
    numbers: NDArray[np.int64] | None,
    seed: int,
) -> dict[str, Any]:
    """Return each patient's parameters behind the pharmacokinetics by ``layer.field``.

    Structural ones are plain numbers, the rest (P,), or () where they are the same for everyone.
    """
    rows = parameters.chain
    effects = {} if numbers is None else _random_effects(rows, numbers, seed)
    values: dict[str, Any] = {
        name: row.value if row.kind == "structural" else _drawn(row, effects.get(name))
        for name, row in rows.items()
    }
    if parameters.draws is not None and numbers is not None:
        values |= _of_draws(parameters.draws, rows, effects, numbers, seed)
    age_years = np.array([np.nan if one.age_years is None else one.age_years for one in patients])
    is_hypertensive = np.array([bool(one.is_hypertensive) for one in patients])
    if np.isnan(age_years).all() and not is_hypertensive.any():
        return values
    covariates = record(cardiovascular.Covariates, "cardiovascular", values)
    for field in RISES:
        values[field] = cardiovascular.for_person(
            values[field], covariates, age_years=age_years, is_hypertensive=is_hypertensive
        )
    return values


def _of_draws(
    draws: Draws,
    rows: Mapping[str, ParameterRow],
    effects: Mapping[str, Array],
    numbers: NDArray[np.int64],
    seed: int,
) -> dict[str, Array]:
    """Return what differs from patient to patient because they take different draws, (P,)."""
    places = draws.places(numbers, seed)
    return {
        name: spread(rows[name].distribution, values[places], draws.sds[name][places], effects.get(name))
        for name, values in draws.values.items()
        if name in rows
    }


RISES = ("cardiovascular.largest_systolic_rise_mmHg", "cardiovascular.largest_diastolic_rise_mmHg")
"""Fields that age and hypertension change."""


def _random_effects(
    rows: Mapping[str, ParameterRow],
    numbers: NDArray[np.int64],
    seed: int,
    *,
    correlations: Sequence[tuple[str, str, float]] = (),
) -> dict[str, Array]:
    """Return standard normal effects by field; shared and correlated as the tables say."""
    own = [name for name, row in rows.items() if row.distribution != "fixed" and not row.draw_with]
    effects = {
        name: normals(seed=seed, purpose="individual", field=rows[name].name, patients=numbers)
        for name in own
    }
    effects |= _correlated(correlations, effects)
    shared = {name: effects[row.draw_with] for name, row in rows.items() if row.draw_with}
    return effects | shared


def _correlated(pairs: Sequence[tuple[str, str, float]], effects: dict[str, Array]) -> dict[str, Array]:
    """Return the effects of correlated fields, mixed by the Cholesky factor of their correlations."""
    names = list(dict.fromkeys(name for first, second, _ in pairs for name in (first, second)))
    matrix = np.eye(len(names))
    for first, second, correlation in pairs:
        row, column = names.index(first), names.index(second)
        matrix[row, column] = matrix[column, row] = correlation
    factor = np.linalg.cholesky(matrix) if names else matrix
    mixed = {}
    for row, name in enumerate(names):
        total = factor[row, 0] * effects[names[0]]
        for column in range(1, row + 1):
            total = total + factor[row, column] * effects[names[column]]
        mixed[name] = total
    return mixed


def _drawn(row: ParameterRow, effect: Array | None) -> Array:
    """Return the value of a field: typical, or spread by its random effect."""
    return spread(row.distribution, row.value, row.sd, effect)


def spread(distribution: str, value: Any, sd: Any, effect: Array | None) -> Array:
    """Return values spread by a random effect; value and SD are numbers, or one for each patient."""
    if effect is None or distribution == "fixed":
        return np.asarray(value)
    if distribution == "lognormal":
        return value * np.exp(sd * effect)
    if distribution == "logitnormal":
        return 1.0 / (1.0 + (1.0 / value - 1.0) * np.exp(-sd * effect))
    return value + sd * effect


def _with_covariates(
    parameters: ParameterSet, values: dict[str, Array], patients: Sequence[Patient]
) -> dict[str, Array]:
    weight_kg = np.array([patient.weight_kg for patient in patients])
    for name, row in parameters.rows.items():
        if row.scaling:
            values[name] = allometric(values[name], weight_kg, values[row.scaling])
    _apply_exposure_ratios(parameters, values, patients)
    if parameters.structure == "hepatic":
        _apply_esketamine_covariates(parameters, values, patients)
    return values


def _apply_exposure_ratios(
    parameters: ParameterSet, values: dict[str, Array], patients: Sequence[Patient]
) -> None:
    """Change clearance and first pass for liver function and comedication, in place."""
    if not any(patient.hepatic_class or patient.comedications for patient in patients):
        return
    liver = {row["class"]: row["systemic_auc_ratio"] for row in read_table("hepatic.csv")}
    drugs = {row["name"]: row for row in read_table("comedications.csv")}
    systemic, oral = np.ones(len(patients)), np.ones(len(patients))
    for place, patient in enumerate(patients):
        ratio = float(liver[patient.hepatic_class]) if patient.hepatic_class else 1.0
        systemic[place] *= ratio
        oral[place] *= ratio
        for drug in patient.comedications:
            systemic[place] *= float(drugs[drug]["systemic_auc_ratio"])
            oral[place] *= float(drugs[drug]["oral_auc_ratio"])
    for name in values:
        if name in ("s_clearance_L_per_h", "r_clearance_L_per_h", "clearance_L_per_h"):
            values[name] = systemic_clearance(values[name], systemic)
    for name in values:
        if name in SWALLOWED_FRACTIONS and parameters.structure == "enantiomers":
            values[name] = first_pass_fraction(values[name], oral, systemic)


SWALLOWED_FRACTIONS = (
    "oral_fraction",
    "nasal_spray_swallowed_fraction",
    "oral_extended_release_s_fraction",
    "oral_extended_release_r_fraction",
)
"""Fields that hold the share of swallowed drug that escapes first pass."""


def _apply_esketamine_covariates(
    parameters: ParameterSet, values: dict[str, Array], patients: Sequence[Patient]
) -> None:
    """Apply age and ancestry as PerezRuixo2021 (Table 3) found them, in place."""
    from_age = float(values["liver_flow_loss_from_age_years"])
    age_years = np.array([from_age if one.age_years is None else one.age_years for one in patients])
    is_japanese = np.array([patient.ancestry == "japanese" for patient in patients])
    is_asian = is_japanese | np.array([patient.ancestry == "asian" for patient in patients])
    # the loss acts on the typical flow, before its random effect
    loss_L_per_h = values["liver_flow_loss_L_per_h_per_year"] * np.maximum(age_years - from_age, 0.0)
    kept = 1.0 - loss_L_per_h / parameters.rows["liver_flow_L_per_h"].value
    values["liver_flow_L_per_h"] = values["liver_flow_L_per_h"] * kept
    values["liver_elimination_per_h"] = values["liver_elimination_per_h"] * np.where(
        is_asian, values["asian_elimination_ratio"], 1.0
    )
    values["norketamine_clearance_L_per_h"] = values["norketamine_clearance_L_per_h"] * np.where(
        is_asian, values["asian_norketamine_clearance_ratio"], 1.0
    )
    values["nasal_spray_fraction"] = np.minimum(
        values["nasal_spray_fraction"] * np.where(is_japanese, values["japanese_nasal_fraction_ratio"], 1.0),
        1.0,
    )
