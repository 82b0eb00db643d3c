"""Writes what `rival_mrgsolve.R` needs: model, patients, infusions, times and what is right.

All of it goes to `build/mrgsolve`; from the root of the repository:

    python benchmarks/rival_mrgsolve.py
    Rscript benchmarks/rival_mrgsolve.R
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import rival_scipy
import workload
from equations_text import RATE_MG_PER_H, mrgsolve

FOLDER = Path("build/mrgsolve")
PATIENTS = {28: 64, 365: 16}
"""By days of the course."""


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "workload.cpp").write_text(mrgsolve(), encoding="utf-8")
    for days, count in PATIENTS.items():
        cohort, times = workload.make_cohort(count, days=days), workload.times_h(days)
        own = zip(*(cohort.parameters[name] for name in workload.PARAMETERS), strict=True)
        patients = ([number, *map(float, row)] for number, row in enumerate(own, start=1))
        _write(f"patients_{days}.csv", ("ID", *workload.PARAMETERS), patients)
        _write(f"times_{days}.csv", ("time",), ([float(time)] for time in times))
        _write(f"infusions_{days}.csv", ("time", "cmt", "amt", "rate"), _infusions(days))
        names = [f"seen_{name}" for name in workload.OUTPUTS]
        right = rival_scipy.right(cohort, times).reshape(-1, len(names))
        _write(f"right_{days}.csv", names, (map(float, row) for row in right))
    print(f"Wrote {FOLDER}; now: Rscript benchmarks/rival_mrgsolve.R")


def _infusions(days: int) -> list[list[Any]]:
    """Return a row for each infusion into each central compartment; these are numbered from 1."""
    places = [workload.STATES.index(f"{one}_central_mg") + 1 for one in workload.ENANTIOMERS]
    return [
        [float(start), place, workload.DOSE_MG, RATE_MG_PER_H]
        for start in workload.doses_h(days)
        for place in places
    ]


def _write(name: str, head: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    with (FOLDER / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
