"""Write the shipped samples of the circuit's gain, which take a second or two to solve."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from euthymia.mechanism.circuit import steady
from euthymia.model.chain import TABLE_KNOTS, TABLE_PATH, node, node_constants
from euthymia.model.parameters import load_parameters


def main() -> None:
    samples = steady.gain_samples(TABLE_KNOTS, node(node_constants(load_parameters())))
    path = Path(__file__).parents[1] / "src/euthymia/data" / TABLE_PATH
    np.save(path, samples)
    print(f"Wrote {path.name}: {TABLE_KNOTS} x {TABLE_KNOTS} samples.")


if __name__ == "__main__":
    main()
