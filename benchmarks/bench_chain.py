"""The whole chain on the grid engine against SciPy's LSODA: speed side by side in one run, error stated.

Workload: virtual patients with swings of mood, racemic ketamine 0.5 mg/kg over 40 min twice weekly x 8, 28
days from dose to MADRS, asked for every six hours (113 times). The rival solves one patient of the same
cohort with the same equations (relative tolerance 1e-10) and is scaled up.
"""

from __future__ import annotations

import os
import platform
import time

import numpy as np

from euthymia import simulate
from euthymia.compute.threads import ThreadExecutor
from euthymia.model.trajectory import Trajectory

REGIMEN = "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 8"
PATIENTS = 1024
RIVALS = 1
DAYS = 28.0
TIMES_H = np.linspace(0.0, DAYS * 24.0, 113)
SHOWN = ("madrs_points",)
COMPARED = ("madrs_points", "severity_fraction", "ampa_potentiation_fraction", "synaptic_protein_relative")


def ours(workers: int) -> float:
    """Return the best of two runs, in seconds."""
    best = np.inf
    for _ in range(2):
        started = time.perf_counter()
        simulate(
            REGIMEN,
            patients=PATIENTS,
            days=DAYS,
            times_h=TIMES_H,
            variables=SHOWN,
            executor=ThreadExecutor(workers),
        )
        best = min(best, time.perf_counter() - started)
    return best


def solved(engine: str) -> tuple[Trajectory, float]:
    """Return the first patients of the cohort by an engine, and its seconds a patient."""
    started = time.perf_counter()
    course = simulate(REGIMEN, patients=RIVALS, days=DAYS, times_h=TIMES_H, variables=COMPARED, engine=engine)
    return course, (time.perf_counter() - started) / RIVALS


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, NumPy {np.__version__}")
    right, per_patient_s = solved("reference")
    found, _ = solved("numpy")
    for workers in (1, 2):
        seconds = ours(workers)
        print(
            f"numpy engine, {workers} worker(s): {PATIENTS} patients x 8 infusions x {DAYS:g} days in "
            f"{seconds:.1f} s ({PATIENTS / seconds:,.0f} patients/s; "
            f"{per_patient_s * PATIENTS / seconds:,.0f} times LSODA on one core)"
        )
    print(f"LSODA, one core: {1 / per_patient_s:.2f} patients/s")
    for name in COMPARED:
        off = float(np.abs(found[name] - right[name]).max() / np.abs(right[name]).max())
        print(f"largest difference of {name}: {off:.1e} of its largest value")


if __name__ == "__main__":
    main()
