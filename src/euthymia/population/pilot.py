"""The grid of a schedule, calibrated on a fixed pilot cohort, and what errors are held against.

The cohort is keyed by nothing but its own seed: never the caller's patients, so that a patient's numbers do
not depend on the company. What it found is kept in the cache by a digest of the model and the schedule.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import numpy as np

from euthymia.engine.build import kept_json
from euthymia.model.chain import FINENESS, TOLERANCE, ChainSolution

PILOTS = 64
PILOT_SEED = 20_261_121
FINEST = 4.0
CANDIDATES = (0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0)
"""Fineness of the grid, relative to the one that suits most schedules."""
SHARE_OF_TOLERANCE = 0.6
"""Every pilot lies within this share of the tolerance: of the caller's patients few then have to be solved
again, which costs more than a somewhat finer grid for all."""
SMALLEST_SCALE = 1e-5
"""What an observable that stays at 0 in all pilots is held against."""
SMALLEST_ESTIMATE = 1e-6
"""An estimate below single precision says nothing."""
_CODE = ("mechanism", "engine", "model", "data/parameters", "data/mechanisms", "population/pilot.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a schedule's pilots have shown.

    Parameters
    ----------
    fineness : float
        Of the grid.
    scales : {name: number}
        Each observable's own scale, its largest size in the pilots, over ``safety``.
    safety : float
        How many times larger an error is than the check of half steps says, at most in the pilots: the check
        looks at the ends of pairs of steps only, and between these errors are larger.
    """

    fineness: float
    scales: Mapping[str, float]
    safety: float = 1.0


class _NotCompiledError(Exception):
    """There is no compiled library to calibrate a grid for."""


def calibrated(key: object, solve: Callable[[float], ChainSolution]) -> Calibration:
    """Return the calibration of a schedule, found once for each model and schedule.

    Parameters
    ----------
    key : object
        Whatever decides the schedule and the model's numbers; its representation is digested.
    solve : callable (fineness) -> ChainSolution
        The pilots, every observable, by the compiled library; with the check of half steps.
    """
    digest = sha256(f"{_model_digest()}{key!r}".encode()).hexdigest()

    def find() -> str:
        return json.dumps(asdict(_find(solve)))

    try:
        return _read(_kept(digest, find))
    except _NotCompiledError:  # NumPy takes the steps, on the usual grid; nothing to keep
        return Calibration(fineness=FINENESS, scales={})
    except (TypeError, KeyError, AttributeError):  # something else stood in the cache
        _known[digest] = find()
        return _read(_known[digest])


def _read(text: str) -> Calibration:
    found = json.loads(text)
    return Calibration(fineness=found["fineness"], scales=dict(found["scales"]), safety=found["safety"])


_known: dict[str, str] = {}


def _kept(digest: str, find: Callable[[], str]) -> str:
    if digest not in _known:
        _known[digest] = kept_json(f"grid-{digest[:32]}", find)
    return _known[digest]


def _find(solve: Callable[[float], ChainSolution]) -> Calibration:
    finest = solve(FINEST)
    if finest.check is None:
        raise _NotCompiledError
    scales = {
        name: max(float(np.abs(values).max()), _peak(finest.check, name), SMALLEST_SCALE)
        for name, values in finest.values.items()
    }
    for fineness in CANDIDATES:
        found = solve(fineness)
        error = _largest(
            {name: np.abs(found.values[name] - right).max(axis=1) for name, right in finest.values.items()},
            scales,
        )
        if error.max() <= SHARE_OF_TOLERANCE * TOLERANCE:
            break
    else:
        fineness, error, found = FINEST, np.zeros(1), finest
    estimate = _largest({name: one.difference / 15.0 for name, one in (found.check or {}).items()}, scales)
    safety = max(1.0, float((error / np.maximum(estimate, SMALLEST_ESTIMATE)).max()))
    return Calibration(
        fineness=fineness, scales={name: one / safety for name, one in scales.items()}, safety=safety
    )


def _peak(check: Mapping[str, Any], name: str) -> float:
    return float(check[name].size.max()) if name in check else 0.0


def _largest(errors: Mapping[str, Any], scales: Mapping[str, float]) -> Any:
    """Return each patient's largest error relative to the scales, (P,)."""
    return np.max([one / scales[name] for name, one in errors.items()], axis=0)


@cache
def _model_digest() -> str:
    """Return a digest of everything that decides what the pilots go through."""
    found, root = sha256(), files("euthymia")
    for folder in _CODE:
        waiting = [root.joinpath(folder)]
        while waiting:
            item = waiting.pop()
            if item.is_dir():
                waiting += sorted(item.iterdir(), key=lambda one: one.name)
            elif item.name.endswith((".py", ".c", ".csv", ".toml")):
                found.update(item.name.encode() + b"\0" + item.read_bytes())
    return found.hexdigest()
