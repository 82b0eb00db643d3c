"""Diffrax on all 30 states: Tsit5 in 64 bits, patients batched by ``vmap``, one batch a core."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import workload
from equations_text import RATE_MG_PER_H
from euthymia.compute.batch import chunks
from euthymia.compute.threads import ThreadExecutor
from workload import Cohort

Array = NDArray[np.float64]

NEEDS = {"jax": "jax", "diffrax": "diffrax"}
CORES = len(os.sched_getaffinity(0))
ABSOLUTE_OF_RELATIVE = 1e-3
FIRST_STEP_H = 1e-3
MOST_STEPS = 1_000_000


def run(cohort: Cohort, times_h: Array, *, tolerance: float = 1e-5) -> tuple[Array, float]:
    """Return outputs (P, T, 10), and the seconds of solving, without those of compiling.

    The count of patients is a multiple of the cores, so that every batch has one shape.
    """
    size = cohort.count // CORES
    if size * CORES != cohort.count:
        message = f"The count must be a multiple of {CORES}. Got {cohort.count}."
        raise ValueError(message)
    solve = _compiled(cohort.days, tuple(times_h.tolist()), size, tolerance)

    def of(some: slice) -> Array:
        return np.asarray(solve(cohort.take(some).parameters))

    started = time.perf_counter()
    found = ThreadExecutor(CORES).map(of, chunks(cohort.count, size))
    return np.concatenate(found), time.perf_counter() - started


def forget() -> None:
    """Drop what is compiled, so that the next run compiles anew."""
    _compiled.cache_clear()


@cache
def _compiled(days: int, times_h: tuple[float, ...], size: int, tolerance: float) -> Callable[..., Any]:
    """Return the compiled solve of a batch of some size: parameters (size,) to outputs (size, T, 10)."""
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    maths = _JaxMaths()
    edges, starts = workload.edges_h(days), jnp.asarray(workload.doses_h(days))
    steps = diffrax.ClipStepSizeController(
        diffrax.PIDController(rtol=tolerance, atol=tolerance * ABSOLUTE_OF_RELATIVE),
        jump_ts=jnp.asarray(edges[1:-1]),
    )
    start = jnp.asarray([workload.INITIAL.get(name, 0.0) for name in workload.STATES])

    def rates(t: Any, y: Any, parameter: Any) -> Any:
        is_given = jnp.any((t >= starts) & (t < starts + workload.INFUSION_H))
        infusion = jnp.where(is_given, RATE_MG_PER_H, 0.0)
        found = workload.all_rates(maths, _named(y), parameter, infusion)
        return jnp.stack([found[name] for name in workload.STATES])

    def one(parameter: Any) -> Any:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(rates),
            diffrax.Tsit5(),
            0.0,
            24.0 * days,
            FIRST_STEP_H,
            start,
            parameter,
            saveat=diffrax.SaveAt(ts=jnp.asarray(times_h)),
            stepsize_controller=steps,
            max_steps=MOST_STEPS,
            adjoint=diffrax.ForwardMode(),  # the cheapest: no gradients are asked for
        )
        return jnp.stack(workload.observe(maths, _named(solution.ys.T), parameter), axis=-1)

    example = {name: jnp.zeros(size) for name in workload.PARAMETERS}
    return jax.jit(jax.vmap(one)).lower(example).compile()


def _named(states: Any) -> dict[str, Any]:
    return {name: states[at] for at, name in enumerate(workload.STATES)}


class _JaxMaths:
    """What the equations call of the engine's namespace, over JAX."""

    def __init__(self) -> None:
        import jax.numpy as jnp

        self.exp, self.log, self.maximum = jnp.exp, jnp.log, jnp.maximum
