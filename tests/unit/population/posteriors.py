"""Posteriors made by hand: few draws, no fit behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from euthymia.population.posterior import Posterior, calibrated_parameters, posterior_json

DIAGNOSTICS = {"r_hat": {}, "ess": {}}


def posterior_of(chain: Sequence[Mapping[str, float]], **more: Any) -> Posterior:
    """Return a posterior of one chain; draws are in SDs of the prior, the middle where not named."""
    known = calibrated_parameters()
    values = [[float(one.from_normal(draw.get(one.name, 0.0))) for one in known] for draw in chain]
    given: dict[str, Any] = {
        "name": "hand-made",
        "version": "0.0",
        "set": "composed",
        "parameters": known,
        "draws": np.array([values]),
        "diagnostics": DIAGNOSTICS,
        "evidence": {},
    }
    return Posterior(**(given | more))


def middle(count: int = 1, **more: Any) -> Posterior:
    """Return a posterior whose draws are all the numbers of the tables, to the bit."""
    values = [one.middle for one in calibrated_parameters()]
    return posterior_of([{}], **({"draws": np.array([[values] * count])} | more))


def spread(scale: float = 0.5, **more: Any) -> Posterior:
    """Return a posterior of two draws, one below and one further above the middle in everything."""
    names = [one.name for one in calibrated_parameters()]
    return posterior_of([dict.fromkeys(names, -scale), dict.fromkeys(names, 1.5 * scale)], **more)


def write(posterior: Posterior, path: Path) -> Path:
    """Write a posterior as `euthymia fit` does."""
    path.write_text(json.dumps(posterior_json(posterior)), encoding="utf-8")
    return path
