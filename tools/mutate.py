"""Mutate the safety code of care in a copy of the source, and count the mutants that the tests notice."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("clock", "checks", "stock", "readiness", "gate", "timing", "scores")
TESTS = (
    "tests/frozen/test_frozen_criteria.py",
    "tests/care/test_limits.py",
    "tests/care/test_session.py",
    "tests/care/test_around_sessions.py",
    "tests/unit/care",
)
CONFIG = """
[project]
name = "euthymia"
version = "0"

[tool.pytest.ini_options]
pythonpath = [".", "src"]
addopts = "-q --import-mode=importlib -p no:cacheprovider"
markers = ["slow: slow", "browser: browser"]

[tool.mutmut]
source_paths = ["src/"]
only_mutate = [{modules}]
pytest_add_cli_args_test_selection = [{tests}]
also_copy = ["tests"]
"""


def copy_tree(target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "src", target / "src", ignore=ignore)
    for folder in ("tests/care", "tests/unit/care"):
        shutil.copytree(ROOT / folder, target / folder, ignore=ignore)
    shutil.copy(ROOT / "tests/conftest.py", target / "tests/conftest.py")
    (target / "tests/frozen").mkdir()
    for file in (ROOT / "tests/frozen").glob("*criteria*"):
        shutil.copy(file, target / "tests/frozen")


def write_config(target: Path, modules: list[str]) -> None:
    paths = ", ".join(f'"src/euthymia/care/{name}.py"' for name in modules)
    tests = ", ".join(f'"{name}"' for name in TESTS)
    text = CONFIG.format(modules=paths, tests=tests)
    (target / "pyproject.toml").write_text(text, encoding="utf-8")


def count(target: Path) -> dict[str, Counter[str]]:
    command = [sys.executable, "-m", "mutmut", "results", "--all", "true"]
    shown = subprocess.run(command, cwd=target, capture_output=True, text=True, check=True).stdout
    found: dict[str, Counter[str]] = {}
    for line in shown.splitlines():
        name, _, status = line.strip().rpartition(": ")
        if name.startswith("euthymia.care."):
            found.setdefault(name.split(".")[2], Counter())[status] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(MODULES))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    target = ROOT / "build" / "mutate"
    copy_tree(target)
    write_config(target, given.modules)
    run = [sys.executable, "-m", "mutmut", "run", "--max-children", str(given.jobs)]
    subprocess.run(run, cwd=target, env=os.environ | {"CI": "1"}, check=False)
    for module, counts in count(target).items():
        made = sum(counts.values())
        killed = counts["killed"] + counts["timeout"]
        print(f"{module:12} {killed} of {made} killed ({killed / made:.1%}); {dict(counts)}")


if __name__ == "__main__":
    main()
