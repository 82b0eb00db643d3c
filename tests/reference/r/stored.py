"""What the R scripts here stored: data sets as columns, results as nested dictionaries."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent


def results(name: str) -> dict[str, Any]:
    """Return the results of a script."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def columns(name: str) -> dict[str, NDArray[np.float64]]:
    """Return a data set by column, NaN where a cell is empty."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {key: np.array([float(row[key] or "nan") for row in rows]) for key in rows[0]}


def visits(data: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the columns v1, v2, ... as patients by visits."""
    return np.column_stack([data[key] for key in sorted(data) if key[0] == "v"])


def whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return codes as whole numbers."""
    return values.astype(np.int64)
