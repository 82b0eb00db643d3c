"""How long virtual trials take, and how much memory: commands as a user runs them, on all cores and on one.

The issue asks for 200 replicates of fava-2018 in under a minute and under 1 GB. Every command runs twice; the
second time, grids and kernels lie in the cache.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

COMMANDS = {
    "fava-2018, 200 replicates": ("trial", "run", "fava-2018", "--replicates", "200"),
    "the same in one process": ("trial", "run", "fava-2018", "--replicates", "200", "--workers", "1"),
    "transform-2, 50 replicates": ("trial", "run", "transform-2", "--replicates", "50"),
    "power of murrough-2013, 20 to 200": ("trial", "power", "murrough-2013", "--n", "20:200"),
}


def run(words: tuple[str, ...]) -> tuple[float, float]:
    """Return seconds and the peak memory of the largest process in MB."""
    start = time.perf_counter()
    command = [sys.executable, "-c", "from euthymia.cli.main import run; run()", *words, "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024.0
    return time.perf_counter() - start, peak


def main() -> None:
    print(f"{os.cpu_count()} cores; Python {sys.version.split()[0]}")
    for name, words in COMMANDS.items():
        run(words)
        seconds, peak = run(words)
        print(f"{name:36s} {seconds:6.1f} s, largest process so far {peak:5.0f} MB")


if __name__ == "__main__":
    main()
