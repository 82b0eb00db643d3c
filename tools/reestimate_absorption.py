"""Re-estimate the absorption constants of the composed set on its own disposition.

An absorption constant belongs to the disposition that it was estimated with. The rows used here were
estimated with, or observed as, venous concentrations; the composed set is arterial with a venous observer.
Least squares on the log of model over printed, typical patient; only rows that may be fitted.

    python tools/reestimate_absorption.py            # prints the estimates and what they leave
    python tools/reestimate_absorption.py --check    # fails where the shipped rows differ by more than 2 %
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.optimize import least_squares

from euthymia.evidence.compare import compare_exposures
from euthymia.evidence.load import load_exposures
from euthymia.evidence.select import fitting_rows
from euthymia.model.parameters import load_parameters

FITS = {
    "nasal spray": (
        ("nasal_spray_rate_per_h", "nasal_spray_recovered_fraction"),
        ("E068", "E070", "E072"),
        ("Cmax", "AUC 0-24"),
        "PerezRuixo2021, Table 4, printed Cmax and AUC of 28, 56 and 84 mg",
    ),
    "intramuscular": (
        ("intramuscular_rate_per_h",),
        ("E034", "E035"),
        ("Cmax", "Tmax"),
        "Hirlinger1984, highest medians and their times at 0.5 and 1 mg/kg",
    ),
    "oral": (
        ("oral_rate_per_h",),
        ("E108",),
        ("Cmax", "Tmax"),
        "PerezRuixo2021, 84 mg oral solution, simulated with the printed parameters",
    ),
}


def residuals(
    fields: tuple[str, ...], row_ids: tuple[str, ...], quantities: tuple[str, ...], logs: np.ndarray
) -> np.ndarray:
    values = dict(zip(fields, np.exp(logs), strict=True))
    changed = load_parameters().with_overrides({name: float(value) for name, value in values.items()})
    rows = [row for row in fitting_rows(load_exposures()) if row.row_id in row_ids]
    found = [one for one in compare_exposures(rows, parameters=changed) if one.quantity in quantities]
    return np.log([one.ratio for one in found])


def fit(name: str) -> dict[str, float]:
    fields, row_ids, quantities, _ = FITS[name]
    start = np.log([load_parameters().rows[field].value for field in fields])
    high = np.array([0.0 if field.endswith("_fraction") else np.log(60.0) for field in fields])
    solution = least_squares(
        lambda logs: residuals(fields, row_ids, quantities, logs),
        np.minimum(start, high - 1e-3),
        bounds=(high - 8.0, high),
        diff_step=1e-3,
    )
    print(f"{name}: {FITS[name][3]}")
    for field, value in zip(fields, np.exp(solution.x), strict=True):
        print(f"  {field:34s} {value:8.4g}   shipped {load_parameters().rows[field].value:g}")
    print(f"  left: {', '.join(f'{np.exp(residual):.2f}' for residual in solution.fun)} (model / printed)")
    return dict(zip(fields, np.exp(solution.x), strict=True))


def main() -> int:
    estimates = {field: value for name in FITS for field, value in fit(name).items()}
    off = {
        field: value
        for field, value in estimates.items()
        if abs(value / load_parameters().rows[field].value - 1.0) > 0.02
    }
    misfits = [
        one for one in compare_exposures(parameters="composed") if one.role == "validate" and one.ratio
    ]
    print(f"{len(misfits)} numbers of validate rows were not read by any fit.")
    if "--check" in sys.argv[1:] and off:
        print(f"Shipped rows differ from the estimates: {off}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
