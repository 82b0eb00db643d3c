"""The excitation-inhibition node in time: what the steady state leaves out, and the check on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from euthymia.errors import invalid
from euthymia.mechanism.circuit.steady import (
    MS_PER_S,
    Array,
    Inputs,
    Parameters,
    currents,
    flow_per_ms,
    interneuron_rate,
    pyramidal_rate,
    read_inputs,
    steady,
)


class Course(NamedTuple):
    """Times (T,) in ms; rates in Hz and gating variables, each (T, ...)."""

    times_ms: Array
    pyramidal_rate_Hz: Array
    interneuron_rate_Hz: Array
    s_e: Array
    s_i: Array


def simulate(
    effective_block_pyramidal: ArrayLike,
    effective_block_interneuron: ArrayLike,
    parameters: Parameters,
    *,
    duration_ms: float,
    step_ms: float,
    inhibition_gain: ArrayLike = 1.0,
    start: tuple[ArrayLike, ArrayLike] | None = None,
    noise_sd: float = 0.0,
    normals: Array | None = None,
) -> Course:
    """Return the course of the node after its block is set, by Heun's method.

    Parameters
    ----------
    effective_block_pyramidal, effective_block_interneuron, inhibition_gain : array (...)
        As for :func:`euthymia.mechanism.circuit.steady.steady`; constant in time.
    duration_ms : float
        Rounded to a whole number of steps.
    step_ms : float
        At most the shortest time constant that interneurons can have, 1 / (1/tau_I + v a_I).
    start : (S_E, S_I), arrays (...)
        The drug-free steady state where absent.
    noise_sd : float
        Of white noise added to both gating variables, per square root of a millisecond. Whole-brain
        studies use 0.01; a gating variable is held within its range (S_E 0 to 1, S_I 0 and above).
    normals : array (steps, 2, ...)
        Standard normal numbers for S_E and S_I; needed with noise, so that nothing here is random.

    Returns
    -------
    Course
        From time 0, the start, on; T is steps + 1.

    Raises
    ------
    InvalidInputError

    Notes
    -----
    Order 2 without noise. A fixed point of the equations is one of the method, so the settled state has no
    step error.
    """
    inputs = read_inputs(effective_block_pyramidal, effective_block_interneuron, inhibition_gain)
    steps = _count_steps(duration_ms, step_ms, parameters)
    shape = inputs.pyramidal_block.shape
    kicks = _kicks(noise_sd, normals, steps, shape, step_ms)
    states = np.empty((steps + 1, 2, *shape))
    states[0, 0], states[0, 1] = _drug_free(parameters) if start is None else start
    for step in range(steps):
        kick = None if kicks is None else kicks[step]
        states[step + 1] = _advance(states[step], inputs, parameters, step_ms, kick)
    times_ms = np.arange(steps + 1, dtype=float) * step_ms
    return _course(times_ms, states[:, 0], states[:, 1], inputs, parameters)


def _advance(state: Array, inputs: Inputs, p: Parameters, step_ms: float, kick: Array | None) -> Array:
    """Return the state a step later: the mean of the slopes at both ends, and the noise."""
    given = 0.0 if kick is None else kick
    slope = np.array(flow_per_ms(state[0], state[1], inputs, p))
    ahead = _in_range(state + step_ms * slope + given)
    slope_ahead = np.array(flow_per_ms(ahead[0], ahead[1], inputs, p))
    return _in_range(state + 0.5 * step_ms * (slope + slope_ahead) + given)


def _in_range(state: Array) -> Array:
    return np.stack([np.clip(state[0], 0.0, 1.0), np.maximum(state[1], 0.0)])


def _course(times_ms: Array, s_e: Array, s_i: Array, inputs: Inputs, p: Parameters) -> Course:
    """Return a course with the rates that belong to its states."""
    current = currents(s_e, s_i, inputs, p)
    return Course(
        times_ms=times_ms,
        pyramidal_rate_Hz=pyramidal_rate(current.pyramidal_nA, p).rate_Hz,
        interneuron_rate_Hz=interneuron_rate(current.interneuron_nA, p).rate_Hz,
        s_e=s_e,
        s_i=s_i,
    )


def _drug_free(p: Parameters) -> tuple[Array, Array]:
    rest = steady(0.0, 0.0, p)
    return rest.s_e, rest.s_i


def _count_steps(duration_ms: float, step_ms: float, p: Parameters) -> int:
    """Return how many steps a duration takes, of a length that the method bears."""
    shortest_ms = 1.0 / (
        1.0 / p.interneuron_decay_ms + p.interneuron_inhibition_nA * p.interneuron_slope_Hz_per_nA / MS_PER_S
    )
    if not 0.0 < step_ms <= shortest_ms:
        must = f"above 0 and at most {shortest_ms:.2g} ms (shortest time constant of the node)"
        raise invalid("step_ms", must=must, got=f"{step_ms:g}")
    if not (np.isfinite(duration_ms) and duration_ms >= step_ms):
        raise invalid("duration_ms", must="finite and at least one step", got=f"{duration_ms:g}")
    return round(duration_ms / step_ms)


def _kicks(
    noise_sd: float, normals: Array | None, steps: int, shape: tuple[int, ...], step_ms: float
) -> Array | None:
    """Return what noise adds in each step, (steps, 2, ...); None without noise."""
    if not (np.isfinite(noise_sd) and noise_sd >= 0.0):
        raise invalid("noise_sd", must="0 or more", got=f"{noise_sd:g}")
    if noise_sd == 0.0:
        return None
    wanted = (steps, 2, *shape)
    if normals is None or np.shape(normals) != wanted:
        got = "none" if normals is None else f"an array {np.shape(normals)}"
        raise invalid("normals", must=f"an array {wanted} of standard normal numbers", got=got)
    return noise_sd * np.sqrt(step_ms) * normals
