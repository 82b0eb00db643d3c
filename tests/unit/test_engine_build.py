"""Libraries are built once and kept; whatever is wrong with compiler or cache, no run is lost."""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from euthymia.engine import build
from euthymia.errors import ResultWarning
from euthymia.population import pilot
from euthymia.population.simulate import simulate

slow = pytest.mark.slow
SOURCE = "double answer(void) { return 42.0; }\n"
INJECTION = "ketamine 35 mg im"


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is built in a folder of the test's own, and forget what was kept in memory."""
    monkeypatch.setenv("EUTHYMIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pilot, "_known", {})
    return tmp_path / "cache"


def answer(library: ctypes.CDLL) -> float:
    library.answer.restype = ctypes.c_double
    return library.answer()


def source(number: float) -> str:
    """Return a source of its own: a library that is loaded once stays in memory under its name."""
    return SOURCE.replace("42.0", str(float(number)))


# --- libraries -------------------------------------------------------------------------------------------


def test_a_library_is_kept_and_found_again(cache_folder: Path, monkeypatch: pytest.MonkeyPatch):
    assert answer(build.load(SOURCE, 4)) == 42.0
    kept = list(cache_folder.rglob("*.so"))
    assert len(kept) == 1
    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("built again"))
    assert answer(build.load(SOURCE, 4)) == 42.0


def test_another_source_width_flag_or_compiler_makes_another_library(
    cache_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def count() -> int:
        build.load(source(41.0), 4)
        return len(list(cache_folder.rglob("*.so")))

    assert count() == 1
    build.load(source(40.0), 4)
    assert count() == 2
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DANOTHER"))
    assert count() == 3
    monkeypatch.setattr(build, "_version", lambda compiler: "a newer one")
    assert count() == 4
    monkeypatch.setitem(build.WIDTH_FLAGS, 4, ("-DWIDE",))
    assert count() == 5


def test_a_spoiled_library_is_built_again(cache_folder: Path):
    build.load(source(43.0), 4)
    (kept,) = cache_folder.rglob("*.so")
    kept.unlink()
    kept.write_bytes(b"no library")
    assert answer(build.load(source(43.0), 4)) == 43.0


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocked = tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("EUTHYMIA_CACHE", str(blocked))
    assert answer(build.load(source(44.0), 4)) == 44.0
    assert build.kept_json("some", lambda: "[1]") == "[1]"


def _build(folder: str, found: Any) -> None:
    os.environ["EUTHYMIA_CACHE"] = folder
    found.put(answer(build.load(source(45.0), 4)))


@slow
def test_two_processes_may_build_at_once(cache_folder: Path):
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    both = [context.Process(target=_build, args=(str(cache_folder), found)) for _ in range(2)]
    for one in both:
        one.start()
    assert [found.get(timeout=60) for _ in both] == [45.0, 45.0]
    for one in both:
        one.join()
    assert len(list(cache_folder.rglob("*.so"))) == 1
    assert not list(cache_folder.rglob("*.part"))


def test_a_source_that_does_not_compile_is_a_reason():
    with pytest.raises(build.BuildError, match="error"):
        build.load("this is no C", 4)


@pytest.mark.parametrize("compiler", ["false", "true"], ids=["fails", "makes nothing"])
def test_a_compiler_that_is_none_is_a_reason(compiler: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "_compiler", lambda: f"/bin/{compiler}")
    with pytest.raises(build.BuildError):
        build.load(source(46.0), 4)


def test_a_compiler_that_never_ends_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    waiting = tmp_path / "cc"
    waiting.write_text('#!/bin/sh\n[ "$1" = --version ] || exec sleep 60\n', encoding="utf-8")
    waiting.chmod(0o755)
    monkeypatch.setattr(build, "_compiler", lambda: str(waiting))
    monkeypatch.setattr(build, "SECONDS", 0.2)
    with pytest.raises(build.BuildError, match="timed out"):
        build.load(source(47.0), 4)


# --- lanes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "width"),
    [
        ("fpu sse sse2 avx avx2 fma avx512f avx512dq avx512vl", 16),
        ("fpu sse sse2 avx avx2 fma avx512f", 8),
        ("fpu sse sse2 avx avx2", 4),
        ("fpu sse sse2", 4),
        ("", 4),
    ],
)
def test_lanes_follow_the_processor(flags: str, width: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("EUTHYMIA_LANES", raising=False)
    monkeypatch.setattr(build, "_processor_flags", lambda: frozenset(flags.split()))
    assert build.lanes() == width


@pytest.mark.parametrize(("asked", "width"), [("4", 4), ("8", 8), ("16", 16), ("2", 8), ("many", 8), ("", 8)])
def test_fewer_lanes_may_be_asked_for(asked: str, width: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EUTHYMIA_LANES", asked)
    monkeypatch.setattr(build, "_processor_flags", lambda: frozenset({"avx2", "fma"}))
    assert build.lanes() == width


# --- small texts -----------------------------------------------------------------------------------------


def test_a_text_is_kept_and_read_again(cache_folder: Path):
    assert build.kept_json("some", lambda: '{"a": 1}') == '{"a": 1}'
    assert build.kept_json("some", lambda: pytest.fail("found again")) == '{"a": 1}'
    assert [one.name for one in cache_folder.rglob("*") if one.is_file()] == ["some.json"]


@pytest.mark.parametrize("spoiled", [b"", b"{", b"\xff\xfe", b"\0" * 100])
def test_a_text_that_cannot_be_read_is_found_anew(spoiled: bytes, cache_folder: Path):
    build.kept_json("some", lambda: "[1]")
    (kept,) = cache_folder.rglob("*.json")
    kept.write_bytes(spoiled)
    assert build.kept_json("some", lambda: "[2]") == "[2]"
    assert kept.read_text(encoding="utf-8") == "[2]"


# --- runs ------------------------------------------------------------------------------------------------

ASKED: dict[str, Any] = {"patients": 2, "days": 1.0, "times_h": [0.0, 1.0, 24.0], "engine": "c"}


def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        message = "no C compiler was found"
        raise build.BuildError(message)

    from euthymia.engine import native

    native._library.cache_clear()  # libraries of this process are used whatever became of the compiler
    monkeypatch.setattr(build, "_compiler", none)


@slow
def test_without_a_compiler_numpy_steps_and_says_so_once(monkeypatch: pytest.MonkeyPatch):
    without_compiler(monkeypatch)
    with pytest.warns(ResultWarning, match=r"No compiled engine \(no C compiler was found\)") as told:
        found = simulate(INJECTION, **ASKED)
    assert len([one for one in told if "compiled engine" in str(one.message)]) == 1
    assert found.provenance.engine == "numpy (RODAS4)"
    assert found.certificate.largest_error_relative is None
    assert len([note for note in found.warnings if "no C compiler was found" in note]) == 1
    plain = simulate(INJECTION, **ASKED | {"engine": "numpy"})
    for name, values in plain.values.items():
        assert found.values[name].tobytes() == values.tobytes(), name


@slow
def test_many_chunks_without_a_compiler_say_so_once(monkeypatch: pytest.MonkeyPatch):
    from euthymia.population import solve as module

    monkeypatch.setattr(module, "PATIENTS_PER_CHUNK", 1)
    monkeypatch.setattr(module, "_calibration", lambda run: None)
    without_compiler(monkeypatch)
    with pytest.warns(ResultWarning, match="No compiled engine"):
        found = simulate(INJECTION, **ASKED | {"patients": 3})
    assert len([note for note in found.warnings if "compiler" in note]) == 1


@slow
def test_a_compiler_that_comes_later_finds_a_calibration_of_its_own(monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        without_compiler(patch)
        with pytest.warns(ResultWarning, match="No compiled engine"):
            simulate(INJECTION, **ASKED)
    pilot._known.clear()
    found = simulate(INJECTION, **ASKED)
    assert found.provenance.engine == "c (RODAS4)"
    assert found.certificate.largest_error_relative is not None


def alone(**changed: str) -> subprocess.CompletedProcess[str]:
    """Return a run in a process of its own, which prints its engine and a number."""
    text = (
        "from euthymia.population.simulate import simulate\n"
        f"found = simulate({INJECTION!r}, **{ASKED!r})\n"
        "print(found.provenance.engine, found['severity_fraction'][:, -1].tolist(), sep='\\n')\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "EUTHYMIA_ENGINE")}
    return subprocess.run(
        [sys.executable, "-c", text],
        env=environment | changed,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def right() -> np.ndarray:
    return simulate(INJECTION, **ASKED | {"engine": "numpy"})["severity_fraction"][:, -1]


@slow
@pytest.mark.parametrize(
    ("changed", "engine"),
    [
        ({"PATH": "/nowhere"}, "numpy (RODAS4)"),
        ({"CC": "/bin/false"}, "numpy (RODAS4)"),
        ({"CC": "no-such-compiler"}, "c (RODAS4)"),
        ({"EUTHYMIA_CACHE": "/dev/null"}, "c (RODAS4)"),
        ({"EUTHYMIA_LANES": "4"}, "c (RODAS4)"),
        ({"EUTHYMIA_ENGINE": "numpy"}, "c (RODAS4)"),
    ],
    ids=["no compiler", "broken compiler", "misspelt compiler", "no cache", "few lanes", "asked in the call"],
)
def test_a_run_is_not_lost(changed: dict[str, str], engine: str):
    done = alone(**changed)
    assert done.returncode == 0, done.stderr
    told, numbers = done.stdout.splitlines()
    assert told == engine
    assert done.stderr.count("ResultWarning") == int(engine.startswith("numpy"))
    np.testing.assert_allclose(json.loads(numbers), right(), rtol=2e-4)


@slow
@pytest.mark.parametrize(
    ("what", "kept_share"),
    [
        ("*.so", 0.001),
        ("*.so", 0.3),
        ("*.so", 0.9),
        ("*.json", 0.0),
        ("*.json", 0.3),
    ],
)
def test_no_spoiled_file_of_the_cache_loses_a_run(what: str, kept_share: float, cache_folder: Path):
    """The first share of the file is as it was, the rest zeros or, of a text, nothing."""
    first = alone()
    assert first.returncode == 0, first.stderr
    for kept in list(cache_folder.rglob(what)):
        whole = kept.read_bytes()
        left = whole[: int(kept_share * len(whole))]
        kept.unlink()
        kept.write_bytes(left if what == "*.json" else left + bytes(len(whole) - len(left)))
    again = alone()
    assert again.returncode == 0, f"{again.returncode} {again.stderr}"
    assert again.stdout == first.stdout
