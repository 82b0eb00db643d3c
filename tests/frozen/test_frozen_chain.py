"""Claim: typical numbers of the whole chain do not move unless someone means them to.

The numbers are what the package gave when they were frozen, not measurements. To freeze them anew, run
``python tests/frozen/test_frozen_chain.py``; it prints what moved.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from euthymia import simulate
from euthymia.model.course import Pulse
from euthymia.population.patient import Patient
from euthymia.population.run import Life

FILE = Path(__file__).with_name("frozen_chain.json")
RELATIVE = 1e-6
DIGITS = 10
CASES: dict[str, dict[str, Any]] = {
    "infusion": {"regimen": "ketamine 0.5 mg/kg iv over 40 min", "days": 14},
    "nasal course": {"regimen": "esketamine 84 mg in, twice weekly x 4", "days": 14, "setting": "saline"},
    "oral with therapy": {
        "regimen": "ketamine 100 mg oral; CBT 50 min at 26 h, 98 h",
        "days": 14,
        "setting": "none",
        "patient": {"weight_kg": 90.0},
    },
    "antidepressant first": {
        "regimen": "escitalopram 10 mg po, daily x 28 from -14 d; ketamine 0.5 mg/kg sc",
        "days": 14,
    },
    "a virtual patient": {"regimen": "ketamine 1 mg/kg iv over 60 min", "days": 14, "patients": 2, "seed": 5},
    "a well person under stress": {
        "regimen": None,
        "days": 28,
        "is_well": True,
        "stress": [0.0, 500.0, 3.0],
        "times_h": [0.0, 24.0, 336.0, 672.0],
    },
}
TIMES_H = (0.0, 0.5, 2.0, 24.0, 168.0, 336.0)
VARIABLES = (
    "s_equivalents_site",
    "s_ketamine_site",
    "nmda_block_interneuron_fraction",
    "nmda_block_pyramidal_fraction",
    "circuit_gain_relative",
    "gamma_index_relative",
    "glutamate_surge_relative",
    "plasticity_drive_fraction",
    "ampa_potentiation_fraction",
    "bdnf_relative",
    "mtorc1_relative",
    "synaptic_protein_relative",
    "prefrontal_synapses_fraction",
    "hippocampal_new_synapses_fraction",
    "stress_relative",
    "ssri_adaptation_fraction",
    "window_of_plasticity_fraction",
    "negative_belief_fraction",
    "expectancy_fraction",
    "severity_fraction",
    "madrs_points",
    "hamd17_points",
    "phq9_points",
    "rumination_relative",
    "flexibility_relative",
    "cadss_points",
    "systolic_rise_mmHg",
    "sedation_fraction",
    "nausea_probability",
)
_SEEN: dict[str, dict[str, list[float]]] = {}


def numbers_now(case: str) -> dict[str, list[float]]:
    """Return {variable: values at the times of a case}; of the last patient of a drawn cohort."""
    if case not in _SEEN:
        about = CASES[case]
        pulses = (Pulse(*about["stress"]),) if "stress" in about else ()
        course = simulate(
            about["regimen"],
            days=about["days"],
            times_h=about.get("times_h", TIMES_H),
            variables=VARIABLES,
            setting=about.get("setting", "open"),
            patient=Patient(**about.get("patient", {})),
            patients=about.get("patients"),
            seed=about.get("seed", 1),
            life=Life(stress=pulses, is_well=about.get("is_well", False)),
        )
        _SEEN[case] = {
            name: [float(f"{value:.{DIGITS}g}") for value in course[name][-1]] for name in VARIABLES
        }
    return _SEEN[case]


def frozen() -> dict[str, dict[str, list[float]]]:
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def moved_in(case: str) -> dict[str, tuple[list[float] | None, list[float]]]:
    """Return {variable: (was, is)} of what has moved by more than 1e-6 of its value."""
    was = frozen().get(case, {})
    return {
        name: (was.get(name), values)
        for name, values in numbers_now(case).items()
        if name not in was or values != pytest.approx(was[name], rel=RELATIVE, abs=1e-9)
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_typical_numbers_stay(case: str):
    moved = moved_in(case)
    assert not moved, (
        f"{case}: moved (was, is): {moved}. A default result that moves is breaking: if it is meant, write a "
        "line under 'Changed numbers' in CHANGELOG (which, by how much, why), then run "
        "'python tests/frozen/test_frozen_chain.py'."
    )


def test_what_is_frozen_is_what_is_asked():
    found = frozen()
    assert tuple(found) == tuple(CASES)
    assert all(tuple(numbers) == VARIABLES for numbers in found.values())


def main() -> None:
    """Freeze the numbers of today."""
    for case in CASES:
        for name, (was, now) in moved_in(case).items():
            print(f"{case}, {name}: {was} -> {now}")
    text = json.dumps({case: numbers_now(case) for case in CASES}, indent=1)
    FILE.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
