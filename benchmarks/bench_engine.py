"""The engine beside its rivals on one workload, in one run: speed, error, and what the first call costs.

Workload (`workload.py`): 13 linear and 17 nonlinear states, 30 log-normal parameters, racemic ketamine
0.5 mg/kg over 40 min, 10 outputs; 8 doses in 28 days at 217 times, and 34 doses in 365 days at 1048 times.
Error of a patient: the largest over times and outputs of |y - right| / max(|right|, 1 % of the patient's
peak), against LSODA at 1e-10; maximum and 95th percentile over the first patients of the same cohort.
Speed is the median of three runs. A rival that is not installed is left out and said to be.

    python benchmarks/bench_engine.py --json build/bench_engine.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rival_diffrax
import rival_libroadrunner
import rival_scipy
import workload
from equations_text import has_numba
from euthymia.compute.batch import chunks
from euthymia.compute.threads import ThreadExecutor
from euthymia.engine.grid import Event, Growth, make_grid
from euthymia.engine.integrate import integrate
from workload import Cohort

Array = NDArray[np.float64]
Run = Callable[[Cohort, Array], tuple[Array, float]]

CORES = len(os.sched_getaffinity(0))
REPEATS = 3
FIRST_H = (0.0096, 0.13)
GROWTH = Growth(early_h=21.0, early=0.26, late=0.34, longest_h=33.0)
"""First steps after an infusion starts and ends, and how they grow: searched on the patients whose error is
taken, as the prototype's grid was; leaves an error like that of the rivals at 1e-5."""
CHUNK = 1024
"""Patients that go together."""
DISTRIBUTIONS = (
    "euthymia",
    "numpy",
    "scipy",
    "numba",
    "libroadrunner",
    "antimony",
    "jax",
    "diffrax",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many patients a course is timed with, and on how many the error is taken."""

    days: int
    ours: int
    one_by_one: int
    batch: int
    """Of a batch of Diffrax, on each core."""
    compared: int
    checked: int
    """Patients on whom two methods say how right the right answer is."""


FULL = (
    Size(days=28, ours=16_384, one_by_one=64, batch=64, compared=64, checked=2),
    Size(days=365, ours=4096, one_by_one=16, batch=16, compared=16, checked=1),
)
QUICK = (Size(days=28, ours=4096, one_by_one=8, batch=8, compared=8, checked=1),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One engine on one course; what was not measured is None."""

    engine: str
    days: int
    cores: int | None = None
    patients: int | None = None
    compared: int | None = None
    patients_per_s: float | None = None
    error_max: float | None = None
    error_p95: float | None = None
    times_slower_per_core: float | None = None
    first_call_s: float | None = None
    note: str = ""


# --- ours ------------------------------------------------------------------------------------------


def ours(cohort: Cohort, times_h: Array, *, workers: int) -> tuple[Array, float]:
    """Return outputs (P, T, 10) by the engine, and the seconds of solving, without those of compiling."""
    _compiled()
    edges = workload.edges_h(cohort.days)
    events = [Event(float(time_h), FIRST_H[at % 2]) for at, time_h in enumerate(edges)]
    grid = make_grid(0.0, 24.0 * cohort.days, events, growth=GROWTH)
    started = time.perf_counter()
    found = ThreadExecutor(workers).map(
        lambda some: _solved(cohort.take(some), grid, times_h), chunks(cohort.count, CHUNK)
    )
    seconds = time.perf_counter() - started
    stacked = [np.stack([one[name] for name in workload.OUTPUTS], axis=-1) for one in found]
    return np.concatenate(stacked), seconds


def _solved(cohort: Cohort, grid: Array, times_h: Array) -> dict[str, Array]:
    return integrate(
        workload.EQUATIONS,
        cohort.parameters,
        workload.INITIAL,
        workload.Drug(cohort),
        grid_h=grid,
        times_h=times_h,
        outputs=workload.OUTPUTS,
        patient_count=cohort.count,
        is_compiled=True,
    ).values


@cache
def _compiled() -> None:
    """Have the equations recorded and compiled, by one patient's first hour."""
    _solved(workload.make_cohort(1, days=28), np.array([0.0, 0.5, 1.0]), np.array([1.0]))


# --- measuring -------------------------------------------------------------------------------------


def engines(size: Size) -> list[tuple[str, ModuleType | None, int, int, Run]]:
    """Return name, module, cores, patients and function of each engine; ours on one core is the first."""
    one, rates = size.one_by_one, "Numba" if has_numba() else "Python"
    found: list[tuple[str, ModuleType | None, int, int, Run]] = [
        (f"euthymia, {workers} thread(s)", None, workers, size.ours, partial(ours, workers=workers))
        for workers in sorted({1, CORES})
    ]
    for tolerance in (1e-5, 1e-6):
        run = partial(rival_libroadrunner.run, tolerance=tolerance)
        found.append((f"libroadrunner CVODE {tolerance:.0e}", rival_libroadrunner, 1, one, run))
    batch = size.batch * CORES
    found.append(("diffrax vmap Tsit5 f64 1e-05", rival_diffrax, CORES, batch, rival_diffrax.run))
    for tolerance in (1e-5, 1e-6):
        run = partial(rival_scipy.run, tolerance=tolerance)
        found.append((f"scipy LSODA {tolerance:.0e}, rates by {rates}", rival_scipy, 1, one, run))
    return found


def missing(rival: ModuleType | None) -> str:
    """Return what to install for a rival; empty where nothing is missing."""
    needs: dict[str, str] = {} if rival is None else rival.NEEDS
    if all(find_spec(module) for module in needs):
        return ""
    return f"not installed: pip install {' '.join(needs.values())}"


def measure(row: Row, run: Run, right: Array, *, other_model: Sequence[str] = ()) -> Row:
    """Return a row filled: the median of three runs, and the errors of the last."""
    cohort, times = workload.make_cohort(row.patients or 0, days=row.days), workload.times_h(row.days)
    started = time.perf_counter()
    found, first_s = run(cohort, times)
    first_call_s = time.perf_counter() - started - first_s
    seconds = [first_s]
    while len(seconds) < REPEATS:
        found, again_s = run(cohort, times)
        seconds.append(again_s)
    compared = min(len(right), cohort.count)
    found, right = found[:compared], right[:compared]
    errors = workload.errors(found, right)
    filled = replace(
        row,
        compared=compared,
        patients_per_s=cohort.count / median(seconds),
        error_max=float(errors.max()),
        error_p95=p95(errors),
        first_call_s=first_call_s,
    )
    if not other_model:
        return filled
    same = [at for at, name in enumerate(workload.OUTPUTS) if name not in other_model]
    errors = workload.errors(found[..., same], right[..., same])
    kept = " and ".join(name.split("_")[0] for name in other_model)
    return replace(filled, note=f"besides {kept}, of another model: {errors.max():.1e} / {p95(errors):.1e}")


def p95(errors: Array) -> float:
    """Return the error that 95 % of the patients do not exceed."""
    return float(np.quantile(errors, 0.95, method="higher"))


def compare(size: Size, only: Sequence[str]) -> list[Row]:
    """Print and return the rows of one course."""
    cohort, times = workload.make_cohort(size.compared, days=size.days), workload.times_h(size.days)
    right = rival_scipy.right(cohort, times)
    checked = rival_scipy.right_otherwise(cohort.take(slice(size.checked)), times)
    doubt = workload.errors(right[: size.checked], checked).max()
    print(
        f"\n{size.days} days, {len(workload.doses_h(size.days))} infusions, {len(times)} times; error over "
        f"{size.compared} patients (right: LSODA 1e-10; DOP853 1e-10 differs by {doubt:.0e} on "
        f"{size.checked})"
    )
    print(header())
    rows: list[Row] = []
    base: float | None = None
    for name, rival, cores, patients, run in engines(size):
        if only and not any(name.startswith(one) for one in only):
            continue
        row = Row(engine=name, days=size.days, cores=cores, patients=patients, note=missing(rival))
        if not row.note:
            is_compiled = rival is None and _compiled.cache_info().currsize > 0
            if rival is not None:
                rival.forget()
            row = measure(row, run, right, other_model=getattr(rival, "OTHER_MODEL", ()))
            row = replace(row, first_call_s=None) if is_compiled else row
            per_core = (row.patients_per_s or 0.0) / cores
            base = per_core if rival is None and cores == 1 else base
            row = replace(row, times_slower_per_core=base and base / per_core)
        rows.append(row)
        print(line(row), flush=True)
    return rows


# --- what is printed -------------------------------------------------------------------------------


def header() -> str:
    """Return the head of the table; ``rival_mrgsolve.R`` prints rows of the same form."""
    return (
        f"{'engine':<36}{'cores':>6}{'patients':>9}{'patients/s':>11}{'error max':>10}{'p95':>9}"
        f"{'ours/its per core':>18}{'first call s':>13}"
    )


def line(row: Row) -> str:
    """Return a row as text, what was not measured as a dash."""
    if row.patients_per_s is None:
        return f"{row.engine:<36}{row.note}"
    ratio = "-" if row.times_slower_per_core is None else f"{row.times_slower_per_core:.1f}"
    first = "-" if row.first_call_s is None else f"{row.first_call_s:.1f}"
    text = (
        f"{row.engine:<36}{row.cores:>6}{row.patients:>9}{row.patients_per_s:>11,.1f}{row.error_max:>10.1e}"
        f"{row.error_p95:>9.1e}{ratio:>18}{first:>13}"
    )
    return f"{text}\n    {row.note}" if row.note else text


def this_platform() -> dict[str, Any]:
    """Return processor, usable cores, load and versions."""
    return {
        "processor": _processor(),
        "usable_cores": CORES,
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in DISTRIBUTIONS},
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = [each.split(":", 1)[1].strip() for each in text.splitlines() if each.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="28 days only, and few patients")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write platform and rows there, too")
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="NAME", help="engines whose names start so, such as euthymia"
    )
    asked = parser.parse_args()
    where = this_platform()
    versions = ", ".join(f"{name} {one}" for name, one in where["versions"].items() if one)
    print(
        f"{where['processor']}, {CORES} usable core(s), load {where['load_before']}, "
        f"Python {where['python']}, {versions}"
    )
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="euthymia-") as folder:
        os.environ["EUTHYMIA_CACHE"] = folder  # so that compiling is always part of the first call
        for size in QUICK if asked.quick else FULL:
            rows += compare(size, asked.only)
    print("\nmrgsolve needs R: python benchmarks/rival_mrgsolve.py, then Rscript benchmarks/rival_mrgsolve.R")
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(
            json.dumps({"platform": where, "rows": [asdict(row) for row in rows]}, indent=2) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
