"""Exact pharmacokinetics against SciPy's LSODA: speed side by side in one run, accuracy stated.

Workload: 10 000 virtual patients, racemic ketamine 0.5 mg/kg over 40 min twice weekly x 8, 200 times over
27 days, both enantiomers of ketamine (arterial and venous), norketamine and hydroxynorketamine, and their
totals (12 variables). The rival integrates a few patients of the same cohort at rtol 1e-8 and is scaled up.
"""

from __future__ import annotations

import os
import platform
import time

import numpy as np

from euthymia.compute.threads import ThreadExecutor
from euthymia.dosing.notation import parse_regimen
from euthymia.engine import reference
from euthymia.model.parameters import load_parameters
from euthymia.model.pk import Given, wire_pk
from euthymia.population.concentrations import simulate_concentrations
from euthymia.population.individual import individual_values
from euthymia.population.patient import Patient

REGIMEN = "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 8"
PATIENTS = 10_000
RIVALS = 4
TIMES_H = np.linspace(0.0, 27 * 24.0, 200)


def ours(workers: int) -> float:
    best = np.inf
    for _ in range(3):
        started = time.perf_counter()
        simulate_concentrations(
            REGIMEN, patients=PATIENTS, times_h=TIMES_H, with_metrics=False, executor=ThreadExecutor(workers)
        )
        best = min(best, time.perf_counter() - started)
    return best


def rival() -> tuple[float, float]:
    """Return seconds a patient by LSODA, and the largest difference from ours relative to each peak."""
    parameters = load_parameters()
    people = [Patient()] * RIVALS
    values = individual_values(parameters, people, numbers=np.arange(1, RIVALS + 1), seed=1)
    given = [Given(dose) for dose in parse_regimen(REGIMEN).doses(np.full(RIVALS, 70.0))]
    model = wire_pk(parameters, values, given, patient_count=RIVALS)
    exact = simulate_concentrations(REGIMEN, patients=RIVALS, times_h=TIMES_H, with_metrics=False).values
    reference.RELATIVE_TOLERANCE = 1e-8
    started, worst = time.perf_counter(), 0.0
    for patient in range(RIVALS):
        found = reference.respond_by_ode(model.system, model.inputs, TIMES_H, model.observed, patient)
        for name, row in found.items():
            worst = max(worst, float(np.abs(exact[name][patient] - row).max() / np.abs(row).max()))
    return (time.perf_counter() - started) / RIVALS, worst


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, NumPy {np.__version__}")
    per_patient_s, worst = rival()
    for workers in (1, 2):
        seconds = ours(workers)
        ratio = per_patient_s * PATIENTS / seconds
        print(
            f"exact, {workers} worker(s): {PATIENTS} patients x 8 doses x {len(TIMES_H)} times x "
            f"12 variables in {seconds:.2f} s ({PATIENTS / seconds:,.0f} patients/s; "
            f"{ratio:,.0f} times LSODA on one core)"
        )
    print(f"LSODA rtol 1e-8: {1 / per_patient_s:.1f} patients/s; largest difference {worst:.1e} of each peak")


if __name__ == "__main__":
    main()
