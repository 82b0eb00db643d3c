"""The whole chain from dose to MADRS: speed of the compiled engine, NumPy's and SciPy's LSODA in one run.

Virtual patients with swings of mood, racemic ketamine 0.5 mg/kg over 40 min, MADRS every six hours. Every
compiled run is certified: calibrated grid, each patient checked by steps of half the length, those over 1e-4
solved again. LSODA (relative tolerance 1e-10) solves one patient of the same cohort and is scaled up. The
command and the import are timed in fresh processes with warm caches.

    python benchmarks/bench_chain.py [--million]
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from euthymia import simulate
from euthymia.compute.threads import ThreadExecutor
from euthymia.errors import ResultWarning
from euthymia.population.summarising import summarise

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
COURSES = {
    "28 days, 8 doses": (f"{INFUSION}, twice weekly x 8", 28.0, 16_384),
    "365 days, 34 doses": (f"{INFUSION}, twice weekly x 8 then weekly x 4 then every 14 d x 22", 365.0, 2048),
}
SHOWN = ("madrs_points",)
COMMAND = ["simulate", INFUSION, "--patients", "1000", "--json", "--quiet"]


def seconds_of(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the median of a few runs, in seconds."""
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return median(found)


def solved(regimen: str, days: float, patients: int, **more: Any) -> Any:
    every = 6.0 if days < 100.0 else 24.0
    times_h = np.arange(0.0, 24.0 * days + 1e-9, every)
    return simulate(regimen, patients=patients, days=days, times_h=times_h, variables=SHOWN, **more)


def course(name: str) -> None:
    """Print one course by every engine."""
    regimen, days, patients = COURSES[name]
    first = solved(regimen, days, 64, engine="c")
    right, found = solved(regimen, days, 1, engine="reference"), solved(regimen, days, 1, engine="c")
    started = time.perf_counter()
    solved(regimen, days, 1, engine="reference")
    lsoda_s = time.perf_counter() - started
    off = float(np.abs(found[SHOWN[0]] - right[SHOWN[0]]).max() / np.abs(right[SHOWN[0]]).max())
    print(f"{name}: {first.certificate.method}; MADRS within {off:.0e} of LSODA")
    for engine, count in (("c", patients), ("numpy", 512)):
        for workers in (1, 2):
            made = solved(regimen, days, count, engine=engine, executor=ThreadExecutor(workers)).certificate
            run_s = seconds_of(
                lambda: solved(regimen, days, count, engine=engine, executor=ThreadExecutor(workers))  # noqa: B023
            )
            said = (
                f"; error {made.largest_error_relative:.1e}, {made.patients_finer} solved again"
                if made.largest_error_relative is not None
                else ""
            )
            print(
                f"  {engine:<6}{workers} thread(s){count:>8} patients{count / run_s:>10,.0f}/s, "
                f"{lsoda_s * count / run_s:>9,.0f} times LSODA on one core{said}",
                flush=True,
            )
    print(f"  LSODA 1 core: {1.0 / lsoda_s:.2f} patients/s")


def in_a_fresh_process(name: str, code: list[str]) -> None:
    run_s = seconds_of(lambda: subprocess.run(code, check=True, capture_output=True), repeats=5)
    print(f"{name}: {run_s:.2f} s")


def million() -> None:
    """Print time and memory of a million patients."""
    regimen, days, _ = COURSES["28 days, 8 doses"]
    started = time.perf_counter()
    found = summarise(
        regimen,
        patients=1_000_000,
        days=days,
        times_h=np.arange(0.0, 24.0 * days + 1.0, 24.0),
        variables=SHOWN,
    )
    run_s = time.perf_counter() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"1 000 000 patients x 28 days, quantiles and endpoints: {run_s:.0f} s, {1e6 / run_s:,.0f}/s, peak "
        f"memory {peak_mb:.0f} MB; {found.certificate.patients_finer} solved again, "
        f"{found.certificate.patients_over} over"
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--million", action="store_true", help="a million patients too: some minutes")
    asked = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    warnings.simplefilter("ignore", ResultWarning)
    for name in COURSES:
        course(name)
    python = [sys.executable, "-c"]
    in_a_fresh_process("import euthymia", [*python, "import euthymia"])
    in_a_fresh_process(
        "simulate, 1000 patients, all variables, JSON",
        [*python, "import sys; from euthymia.cli.main import run; run(sys.argv[1:])", *COMMAND],
    )
    if asked.million:
        million()


if __name__ == "__main__":
    main()
