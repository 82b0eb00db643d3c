"""The installed program: exit codes, Ctrl-C, a reader that leaves, a full disk."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest
from tests.cli.commands import INFUSION, PROGRAM, names_in, program, python

LONG = "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 8"
INTERRUPTED = """
import os, signal, sys
import {module} as inner
from euthymia.cli.main import run

solve, calls = inner.{function}, []

def solve_then_interrupt(*arguments, **options):
    calls.append(1)
    if len(calls) == 2:  # the chunks before and after it run on their threads
        os.kill(os.getpid(), signal.SIGINT)
    return solve(*arguments, **options)

inner.{function} = solve_then_interrupt
run(sys.argv[1:])
"""


@pytest.mark.slow
def test_exit_codes_are_those_documented(tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert program("--version").code == 0
    assert program("simulate", INFUSION, "--times", "1").code == 0
    assert program("simulate", "ketamin 35 mg im").code == 2
    assert program("simulate", INFUSION, "--nosuch").code == 2
    failed = program("simulate", INFUSION, "--out", tmp_path / "file" / "a.json")
    assert failed.code == 1
    assert "Traceback" not in failed.err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.parquet", "run"])
@pytest.mark.parametrize(
    ("module", "function", "options"),
    [
        ("euthymia.population.concentrations", "solve_pk", ("--patients", 4000, "--concentrations")),
        ("euthymia.population.solve", "solve_chain", ("--patients", 600)),
    ],
)
def test_ctrl_c_in_a_long_run_ends_with_130_and_leaves_nothing(
    tmp_path: Path, name: str, module: str, function: str, options: tuple[object, ...]
):
    script = INTERRUPTED.format(module=module, function=function)
    done = python(script, "simulate", LONG, *options, "--out", tmp_path / name)
    assert (done.code, done.out) == (130, "")
    assert done.err == "error: Interrupted; nothing half-written was left.\n"
    assert names_in(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("sets", "composed", "--json"), ("simulate", LONG, "--json")])
def test_reader_that_leaves_is_no_failure(arguments: tuple[str, ...]):
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [str(PROGRAM), *arguments],
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_head_takes_one_line():
    script = f'set -o pipefail; {PROGRAM} simulate "{LONG}" --json | head -n 1'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    "arguments", [("sets",), ("simulate", LONG, "--json"), ("routes", "--csv"), ("cite",)]
)
def test_standard_output_that_is_full_is_a_failure(arguments: tuple[str, ...]):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.json", "run"])
def test_disk_that_fills_up_while_writing_leaves_nothing_half_written(tmp_path: Path, name: str):
    done = program(
        *("simulate", LONG, "--patients", 60, "--quiet", "--out", tmp_path / name), preexec_fn=_small_files
    )
    assert done.code == 1
    assert "Cannot write" in done.err
    assert done.err.count("Cannot write") == 1
    assert "File too large" in done.err
    assert "Traceback" not in done.err
    assert names_in(tmp_path) == []


@pytest.mark.slow
def test_report_on_a_disk_that_fills_up_leaves_nothing(tmp_path: Path):
    done = program("simulate", INFUSION, "--report", tmp_path / "a.html", preexec_fn=_small_files)
    assert done.code == 1
    assert "Cannot write" in done.err
    assert names_in(tmp_path) == []


def test_program_needs_no_terminal_and_no_home():
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = program("simulate", INFUSION, env=environment)
    assert (done.code, done.err) == (0, "")
    assert "not a medical device" in done.out
