"""Claim: typical numbers of the published sets do not move unless someone means them to.

The numbers are what the package gave when they were frozen, not measurements; nasal, intramuscular and oral
doses of the set ``composed`` are left out, because their absorption is re-estimated now and then.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from euthymia import simulate_concentrations
from euthymia.population.patient import Patient

FILE = Path(__file__).with_name("frozen_pk.json")
FROZEN = json.loads(FILE.read_text(encoding="utf-8"))
RELATIVE = 1e-9
CASES = [(case, variable) for case in FROZEN["cases"] for variable in FROZEN["cases"][case]["numbers"]]
_SEEN: dict[str, dict[str, dict[str, float]]] = {}


def numbers_now(case: str) -> dict[str, dict[str, float]]:
    """Return {variable: {metric: value}} of a case; patient 2 of a drawn cohort, else the typical patient."""
    if case not in _SEEN:
        about = FROZEN["cases"][case]
        patients = about.get("patients")
        patient = Patient(weight_kg=about["weight_kg"])
        course = simulate_concentrations(
            about["regimen"],
            parameters=about["set"],
            patient=patient,
            patients=patients,
            seed=about.get("seed", 1),
        )
        row = 0 if patients is None else 1
        _SEEN[case] = {
            name: {
                metric: float(getattr(metrics, metric)[row])
                for metric in ("cmax", "tmax_h", "auc_horizon", "auc_infinity", "half_life_h")
            }
            for name, metrics in course.metrics.items()
        }
    return _SEEN[case]


@pytest.mark.parametrize(("case", "variable"), CASES)
def test_typical_numbers_stay(case: str, variable: str):
    now = numbers_now(case)[variable]
    moved = {
        metric: (was, now[metric])
        for metric, was in FROZEN["cases"][case]["numbers"][variable].items()
        if now[metric] != pytest.approx(was, rel=RELATIVE, abs=0)
    }
    assert not moved, (
        f"{case}, {variable}: moved (was, is): {moved}. A default result that moves is breaking: "
        "if it is meant, write a line under 'Changed numbers' in CHANGELOG (which, by how much, why), "
        f"then change {FILE.name}."
    )


def test_every_set_has_a_frozen_case():
    from euthymia.model.parameters import set_names

    assert {about["set"] for about in FROZEN["cases"].values()} == set(set_names())
