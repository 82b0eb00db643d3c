"""Sobol indices and local effects of any function of inputs that are standard normal."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid, missing_extra
from euthymia.streams import inverse_normal_cdf, uniforms

Array = NDArray[np.float64]
Evaluate = Callable[[Array], Mapping[str, Array]]
"""Takes standard normals (P, K), gives outputs {name: array (P,)}."""
LEAST_SAMPLES, MOST_SAMPLES = 64, 2**16
RESAMPLES, LEVEL = 200, 0.95
STEP = 0.1
"""Half the width of central differences, in standard deviations of the input."""
STILL = 1e-6
"""An output that moves by less than this share of its size does not move."""
_EDGE = 2.0**-40
"""How far uniforms stay from 0 and 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """First-order and total index of an input or a group, each with half the width of its 95 % interval."""

    first: float
    first_half_width: float
    total: float
    total_half_width: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Sobol:
    """How an output varies under a design, and what of it goes with each input or group.

    Attributes
    ----------
    mean, sd, p05, p50, p95 : float
        Of the output.
    indices : {name: Index}
        Empty where the output does not vary.
    """

    mean: float
    sd: float
    p05: float
    p50: float
    p95: float
    indices: Mapping[str, Index]


@dataclass(frozen=True, kw_only=True, slots=True)
class Local:
    """What an input alone does to an output around the typical values.

    Attributes
    ----------
    slope_per_sd : float
        Derivative by central differences, in units of the output for one standard deviation of the input.
    elasticity : float or None
        Per cent of the output for one per cent of the input; None where the output is 0.
    at_low, at_high : float
        The output where the input stands at the 16 % and the 84 % point of its distribution.
    size : float
        The largest of the slope and the two changes, as a size.
    share : float
        The square of the size over the sum of those of all inputs.
    """

    slope_per_sd: float
    elasticity: float | None
    at_low: float
    at_high: float
    size: float
    share: float


def check_samples(samples: int) -> int:
    """Return a number of samples that a Sobol sequence keeps its balance with.

    Raises
    ------
    InvalidInputError
    """
    if not LEAST_SAMPLES <= samples <= MOST_SAMPLES or samples & (samples - 1):
        near = 2 ** round(float(np.log2(min(max(samples, LEAST_SAMPLES), MOST_SAMPLES))))
        raise invalid(
            "samples",
            must=f"a power of two from {LEAST_SAMPLES} to {MOST_SAMPLES}",
            got=samples,
            cure=f"The nearest is {near}.",
        )
    return samples


def sobol_indices(
    evaluate: Evaluate,
    names: Sequence[str],
    *,
    samples: int,
    seed: int,
    groups: Sequence[str] | None = None,
) -> dict[str, Sobol]:
    """Return first-order and total indices of every output.

    Parameters
    ----------
    evaluate : callable (z (P, K)) -> {output: array (P,)}
        Called once, with P = samples times (inputs, or groups, + 2).
    names : sequence of str (K)
        Of the inputs, which are independent.
    samples : int
        A power of two.
    seed : int
        Keys scrambling and resampling.
    groups : sequence of str (K), optional
        The group of each input; indices are then those of the groups, two or more.

    Raises
    ------
    InvalidInputError, MissingExtraError

    Notes
    -----
    Saltelli's design on a scrambled Sobol sequence, estimators of Saltelli and colleagues (2010), both by
    SALib; intervals by resampling the rows of the design.
    """
    sample, analyze = _salib()
    problem: dict[str, Any] = {
        "num_vars": len(names),
        "names": list(names),
        "bounds": [[0.0, 1.0]] * len(names),
    }
    units = list(names)
    if groups is not None:
        problem["groups"] = list(groups)
        units = list(dict.fromkeys(groups))
    key = "inputs" if groups is None else "groups"
    design = sample(
        problem, check_samples(samples), calc_second_order=False, seed=_whole(seed, f"scramble {key}")
    )
    found = evaluate(inverse_normal_cdf(np.clip(design, _EDGE, 1.0 - _EDGE)))

    def of(name: str, output: Array) -> Sobol:
        own = _own_rows(output, len(units))
        if np.ptp(output) <= STILL * np.abs(output).max():
            return _varied(own, {})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            one = analyze(
                problem,
                output,
                calc_second_order=False,
                num_resamples=RESAMPLES,
                conf_level=LEVEL,
                seed=_whole(seed, f"resample {key} {name}"),
            )
        columns = ("S1", "S1_conf", "ST", "ST_conf")
        rows = zip(*([float(value) for value in one[column]] for column in columns), strict=True)
        return _varied(own, {unit: _index(*row) for unit, row in zip(units, rows, strict=True)})

    return {name: of(name, np.asarray(output, float)) for name, output in found.items()}


def _index(first: float, first_half_width: float, total: float, total_half_width: float) -> Index:
    return Index(
        first=first,
        first_half_width=first_half_width,
        total=total,
        total_half_width=total_half_width,
    )


def _own_rows(output: Array, units: int) -> Array:
    """Return the rows of a design that are independent draws: the first and the last of each block."""
    blocks = output.reshape(-1, units + 2)
    return blocks[:, [0, -1]].ravel()


def _varied(own: Array, indices: Mapping[str, Index]) -> Sobol:
    low, middle, high = (float(value) for value in np.quantile(own, (0.05, 0.5, 0.95)))
    return Sobol(mean=float(own.mean()), sd=float(own.std()), p05=low, p50=middle, p95=high, indices=indices)


def _whole(seed: int, what: str) -> int:
    """Return a whole number above 0 for a library that seeds a generator of its own."""
    draw = uniforms(seed=seed, purpose="sensitivity", field=what, patients=[1])
    return int(draw[0] * 2.0**53)


def _salib() -> tuple[Callable[..., Any], Callable[..., Any]]:
    try:
        from SALib.analyze.sobol import analyze
        from SALib.sample.sobol import sample
    except ImportError as error:
        raise missing_extra("SALib", extra="fit", needed_for="A Sobol analysis") from error
    return sample, analyze


def check_salib() -> None:
    """Raise before a long run where SALib is missing.

    Raises
    ------
    MissingExtraError
    """
    _salib()


def local_effects(
    evaluate: Evaluate,
    nominal: Sequence[float] | Array,
    values: Sequence[Callable[[Any], Any]],
) -> tuple[dict[str, float], dict[str, list[Local]]]:
    """Return the outputs at the typical values, and what every input does to each of them.

    Parameters
    ----------
    evaluate : callable (z (P, K)) -> {output: array (P,)}
        Called once, with P = 1 + 4 K.
    nominal : array (K,)
        Standard normals of the typical values.
    values : sequence of callable (K)
        Give the number of a standard normal, for elasticities.
    """
    at = np.asarray(nominal, float)
    count = len(at)
    design = np.tile(at, (1 + 4 * count, 1))
    for place in range(count):
        moved = (at[place] - STEP, at[place] + STEP, -1.0, 1.0)
        design[1 + 4 * place : 5 + 4 * place, place] = moved
    found = evaluate(design)
    relative = [_relative(value, one) for value, one in zip(values, at, strict=True)]
    typical = {name: float(output[0]) for name, output in found.items()}
    return typical, {name: _locals(np.asarray(output, float), relative) for name, output in found.items()}


def _relative(value: Callable[[Any], Any], at: float) -> float:
    """Return by how much of itself an input changes over the central difference; NaN at 0."""
    below, middle, above = (float(value(at + step)) for step in (-STEP, 0.0, STEP))
    return (above - below) / middle if middle else np.nan


def _locals(output: Array, relative: Sequence[float]) -> list[Local]:
    typical, blocks = output[0], output[1:].reshape(-1, 4)
    slopes = (blocks[:, 1] - blocks[:, 0]) / (2.0 * STEP)
    sizes = np.max(np.abs(np.column_stack([slopes, blocks[:, 2:] - typical])), axis=1)
    total = float((sizes**2).sum()) or 1.0
    return [
        Local(
            slope_per_sd=float(slope),
            elasticity=_elasticity(float(block[1] - block[0]), float(typical), change),
            at_low=float(block[2]),
            at_high=float(block[3]),
            size=float(size),
            share=float(size**2) / total,
        )
        for slope, block, size, change in zip(slopes, blocks, sizes, relative, strict=True)
    ]


def _elasticity(difference: float, typical: float, relative: float) -> float | None:
    if typical == 0.0 or not np.isfinite(relative) or relative == 0.0:
        return None
    return difference / typical / relative
