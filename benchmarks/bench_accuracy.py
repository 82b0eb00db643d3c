"""How right the compiled engine is: a thousand patients a schedule, none of whom any grid was chosen on.

Each schedule is solved as a user's run is (calibrated grid, every patient checked, those over tolerance
solved again), and once more on a grid several times finer. The error of a patient is the largest difference
over observables and times, relative to the own scale of each, as in the certificate. For two patients the
NumPy engine in double precision, on a grid finer still, says how right the fine grid is.

    python benchmarks/bench_accuracy.py
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import numpy as np

from euthymia.errors import ResultWarning
from euthymia.model import chain
from euthymia.model.mechanisms import mechanisms, with_mechanisms
from euthymia.model.parameters import load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population import pilot
from euthymia.population import simulate as population
from euthymia.population import solve as solving

PATIENTS, SEED = 1000, 777
FINE = 4.0
INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
EVERYTHING = (
    f"{INFUSION}, twice weekly x 2; midazolam 2 mg iv over 30 min at 2 d; escitalopram 10 mg daily x 7; "
    "CBT 50 min at 1 d after each dose; ECT at 5 d; preparation 60 min at 0 d"
)
SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "one infusion": (INFUSION, {}),
    "twice weekly x 8": (f"{INFUSION}, twice weekly x 8", {"days": 28.0}),
    "bolus": ("ketamine 0.3 mg/kg iv bolus", {}),
    "intramuscular": ("ketamine 35 mg im, weekly x 2", {}),
    "subcutaneous": ("ketamine 35 mg sc, twice weekly x 2", {}),
    "spray": ("esketamine 84 mg intranasal, twice weekly x 4", {}),
    "film": ("ketamine 100 mg sl held 10 min, daily x 3", {}),
    "oral": ("ketamine 140 mg oral, daily x 5", {}),
    "extended release": ("ketamine 120 mg er, daily x 4", {}),
    "everything at once": (EVERYTHING, {"setting": "midazolam+admission"}),
}


def solved(regimen: str, **more: Any) -> Trajectory:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        return population.simulate(regimen, **{"patients": PATIENTS, "seed": SEED, "engine": "c"} | more)


def finely(regimen: str, **more: Any) -> Trajectory:
    """Return the same on a grid several times finer than the calibrated one."""
    found = pilot.calibrated

    def finer(*given: Any) -> Any:
        one = found(*given)
        return pilot.Calibration(fineness=FINE * max(one.fineness, 1.0), scales=one.scales, safety=one.safety)

    solving.calibrated = finer
    try:
        return solved(regimen, **more)
    finally:
        solving.calibrated = found


def errors(found: Trajectory, right: Trajectory) -> np.ndarray:
    """Return each patient's largest error over observables of the chain, relative to their scales."""
    worst = np.zeros(len(right.patients))
    for name, values in right.values.items():
        if name not in right.metrics:  # concentrations are exact
            scale = max(float(np.abs(values).max()), pilot.SMALLEST_SCALE)
            off = np.abs(found.values[name][: len(values)] - values).max(axis=1)
            worst = np.maximum(worst, off / scale)
    return worst


def row(name: str, regimen: str, **more: Any) -> str:
    found, right = solved(regimen, **more), finely(regimen, **more)
    off, made = errors(found, right), found.certificate
    few = {"patients": 2, "engine": "numpy", "times_h": right.times_h[::9]}
    solving.FINENESS = 2.0 * FINE
    exact = solved(regimen, **{**more, **few})
    solving.FINENESS = chain.FINENESS
    doubt = max(
        float(np.abs(right.values[stem][:2, ::9] - values).max() / max(np.abs(values).max(), 1e-9))
        for stem, values in exact.values.items()
        if stem not in right.metrics
    )
    return (
        f"{name:<28}{made.method.split()[1]:>6}{off.max():>10.1e}{np.quantile(off, 0.95):>10.1e}"
        f"{made.largest_error_relative or np.nan:>11.1e}{made.patients_finer:>8}{made.patients_over:>6}"
        f"{int((off > chain.TOLERANCE).sum()):>8}{doubt:>10.0e}"
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="schedules only, no rivals")
    asked = parser.parse_args()
    print(f"{PATIENTS} patients each; relative to each observable's own scale, tolerance {chain.TOLERANCE:g}")
    print(
        f"{'schedule or rival':<28}{'steps':>6}{'max':>10}{'p95':>10}{'estimated':>11}{'finer':>8}{'over':>6}"
        f"{'really':>8}{'NumPy':>10}"
    )
    for name, (regimen, more) in SCHEDULES.items():
        print(row(name, regimen, **more), flush=True)
    for name in () if asked.quick else mechanisms():
        parameters = with_mechanisms(load_parameters(), [name])
        print(row(name, INFUSION, parameters=parameters, days=7.0), flush=True)


if __name__ == "__main__":
    main()
