"""Standard normal draws by a compiled library: the same bits as :mod:`euthymia.streams`, sooner."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia import streams
from euthymia.engine import build


def use_compiled_draws() -> bool:
    """Let :mod:`euthymia.streams` draw by the compiled library; return whether there is one."""
    try:
        library = _library()
    except build.BuildError:
        return False
    streams.accelerate(lambda *call: _normals(library, *call))
    return True


def _normals(
    library: ctypes.CDLL,
    key: tuple[int, int],
    patients: NDArray[np.uint64],
    occasion: int,
    replicate: int,
) -> NDArray[np.float64]:
    """Return one draw a patient, (P,)."""
    numbers = np.ascontiguousarray(patients)
    draws = np.empty(numbers.shape)
    library.normals(
        _constants().ctypes.data_as(ctypes.c_void_p),
        ctypes.c_long(numbers.size),
        ctypes.c_uint32(key[0]),
        ctypes.c_uint32(key[1]),
        numbers.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_uint32(occasion),
        ctypes.c_uint32(replicate),
        draws.ctypes.data_as(ctypes.c_void_p),
    )
    return draws


@cache
def _constants() -> NDArray[np.float64]:
    """Return the numbers of the structure that the library reads."""
    rows: list[Any] = [row for ratio in streams.RATIOS for row in ratio]
    return np.concatenate([*rows, streams.ATANH, [streams.LOG_2, streams.HALF_SQRT_2, streams.UNIFORM_STEP]])


@cache
def _library() -> ctypes.CDLL:
    source = files("euthymia.engine").joinpath("draws.c").read_text(encoding="utf-8")
    return build.load(source, build.lanes())
