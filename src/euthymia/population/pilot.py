"""The grid of a schedule, calibrated on a fixed pilot cohort, and what errors are held against.

The cohort is keyed by nothing but its own seed: never the caller's patients, so that a patient's numbers do not
depend on the company. What it found is kept in the cache by a digest of the model and the schedule.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

import numpy as np

from euthymia.engine.build import kept_json
from euthymia.model.chain import FINENESS, TOLERANCE, ChainSolution

PILOTS = 32
PILOT_SEED = 20_261_121
FINEST = 4.0
CANDIDATES = (0.6, 0.7, 0.85, 1.0, 1.25, 1.6, 2.2, 3.0)
"""Fineness of the grid, relative to the one that suits most schedules."""
SHARE_WITHIN = 0.9
"""Share of the pilots that must lie within half the tolerance; others are solved again, finer."""
SMALLEST_SCALE = 1e-9
"""What an observable that stays at 0 in all pilots is held against."""
_CODE = ("mechanism", "engine", "model", "data/parameters", "data/mechanisms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The fineness of a schedule's grid, and each observable's own scale: its largest size in the pilots."""

    fineness: float
    scales: Mapping[str, float]


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
        found = _find(solve)
        return json.dumps({"fineness": found.fineness, "scales": dict(found.scales)})

    document = json.loads(_kept(digest, find))
    return Calibration(fineness=document["fineness"], scales=document["scales"])


_known: dict[str, str] = {}


def _kept(digest: str, find: Callable[[], str]) -> str:
    if digest not in _known:
        _known[digest] = kept_json(f"grid-{digest[:32]}", find)
    return _known[digest]


def _find(solve: Callable[[float], ChainSolution]) -> Calibration:
    finest = solve(FINEST)
    if finest.check is None:  # not compiled: NumPy takes the steps, on the usual grid
        return Calibration(fineness=FINENESS, scales={})
    scales = {
        name: max(float(np.abs(values).max(initial=0.0)), float(finest.check[name].size.max()), SMALLEST_SCALE)
        for name, values in finest.values.items()
    }
    for fineness in CANDIDATES:
        found = solve(fineness)
        error = np.max(
            [
                np.abs(found.values[name] - right).max(axis=1, initial=0.0) / scales[name]
                for name, right in finest.values.items()
            ],
            axis=0,
        )
        if np.quantile(error, SHARE_WITHIN) <= 0.5 * TOLERANCE:
            return Calibration(fineness=fineness, scales=scales)
    return Calibration(fineness=FINEST, scales=scales)


@cache
def _model_digest() -> str:
    """Return a digest of everything that decides what the pilots go through."""
    found, root = sha256(), files("euthymia")
    for folder in _CODE:
        waiting = [root.joinpath(folder)]
        while waiting:
            here = waiting.pop()
            for item in sorted(here.iterdir(), key=lambda one: one.name):
                if item.is_dir():
                    waiting.append(item)
                elif item.name.endswith((".py", ".c", ".csv", ".toml")):
                    found.update(item.name.encode() + b"\0" + item.read_bytes())
    return found.hexdigest()
