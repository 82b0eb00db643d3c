"""C source -> a loaded library: compiled once, kept in a cache by a digest of all that it depends on."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess  # nosec B404
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

FLAGS = (
    "-std=gnu11",
    "-O3",
    "-shared",
    "-fPIC",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-psabi",
)
"""No fast-math and no contraction, so that lane widths agree bit for bit."""
LANES_OF: dict[int, frozenset[str]] = {
    16: frozenset({"avx512f", "avx512dq", "avx512vl", "fma"}),
    8: frozenset({"avx2", "fma"}),
}
"""Patients side by side by the widest instructions of the processor; 4 where it has neither."""
WIDTH_FLAGS = {
    16: ("-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"),
    8: ("-mavx2", "-mfma"),
    4: (),
}
SECONDS = 120


class BuildError(Exception):
    """Why no library could be made; the caller goes on without it and says so."""


def lanes() -> int:
    """Return how many patients go side by side: by the processor, or as ``EUTHYMIA_LANES`` says."""
    asked = os.environ.get("EUTHYMIA_LANES", "")
    if asked in ("4", "8", "16"):
        return int(asked)
    return next((width for width, needed in LANES_OF.items() if needed <= _processor_flags()), 4)


@cache
def _processor_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(line.split())


def load(source: str, width: int) -> ctypes.CDLL:
    """Return the library of a source, compiled or from the cache.

    Two processes may build at once: each writes a file of its own and renames it. A file that cannot be
    loaded is built again; a cache that cannot be written is done without.

    Raises
    ------
    BuildError
        Without a compiler, or where it fails.
    """
    compiler = _compiler()
    digest = sha256("\0".join((source, *FLAGS, *WIDTH_FLAGS[width], _version(compiler))).encode()).hexdigest()
    kept = _cache_folder() / f"{digest[:32]}.so"
    if _is_whole(kept):
        with suppress(OSError):
            return ctypes.CDLL(str(kept))
    with tempfile.TemporaryDirectory(prefix="euthymia-") as folder:
        built = _compile(compiler, source, width, Path(folder))
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_name(f"{kept.stem}.{os.getpid()}.part")
            shutil.copyfile(built, part)
            kept.with_suffix(".sum").write_text(sha256(part.read_bytes()).hexdigest(), encoding="ascii")
            part.replace(kept)
            return ctypes.CDLL(str(kept))
        except OSError:
            return _loaded(built)  # stays loaded after its file is gone


def _is_whole(library: Path) -> bool:
    """Tell whether a library is as it was written: the loader of a spoiled one would end the process."""
    try:
        said = library.with_suffix(".sum").read_text(encoding="ascii")
        return sha256(library.read_bytes()).hexdigest() == said
    except (OSError, ValueError):
        return False


def kept_json(name: str, find: Callable[[], str]) -> str:
    """Return a small text kept in the cache, found anew where it is not there or cannot be read."""
    path = _cache_folder() / f"{name}.json"
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, ValueError):
        text = find()
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{name}.{os.getpid()}.part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)
    return text


def _loaded(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildError(str(error)) from error


def _compile(compiler: str, source: str, width: int, folder: Path) -> Path:
    text, built = folder / "kernel.c", folder / "kernel.so"
    text.write_text(source, encoding="utf-8")
    command = [compiler, *FLAGS, *WIDTH_FLAGS[width], str(text), "-o", str(built), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # nosec B603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(str(error)) from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["the compiler failed"]
        raise BuildError(said[0])
    return built


@cache
def _compiler() -> str:
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    message = "no C compiler was found"
    raise BuildError(message)


@cache
def _version(compiler: str) -> str:
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)  # nosec B603
    except OSError as error:
        raise BuildError(str(error)) from error
    return done.stdout


def _cache_folder() -> Path:
    base = os.environ.get("EUTHYMIA_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "euthymia" / "kernels"
