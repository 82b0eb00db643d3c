"""Expectancy: hope that a visit raises, and the belief to be on the drug that what is felt changes."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Size of a visit's effect, how long it lasts, and what people conclude from what they feel.

    ``*_on_drug_fraction`` and ``*_on_control_fraction`` are the probabilities that somebody takes note of a
    sensation with the drug and with the control of the trial; they make what is felt a clue.
    """

    fast_gain_fraction: Any
    slow_gain_fraction: Any
    fast_time_h: Any
    slow_time_h: Any
    prior_belief_fraction: Any
    nocebo_gain_relative: Any
    preparation_on_hope_relative: Any
    antidepressant_hope_fraction: Any
    clue_weight_fraction: Any
    dissociation_noticed_points: Any
    dissociation_on_drug_fraction: Any
    dissociation_on_control_fraction: Any
    drowsiness_noticed_fraction: Any
    drowsiness_on_drug_fraction: Any
    drowsiness_on_control_fraction: Any
    memory_rate_per_h: Any


class Verdict(NamedTuple):
    """How long after the start of a visit people have made up their mind what they were given."""

    verdict_after_h: Any


class Inputs(NamedTuple):
    """What is felt now: dissociation in points of CADSS, drowsiness (0-1)."""

    cadss_points: Any
    drowsiness_fraction: Any


class State(NamedTuple):
    """Fast and slow expectancy (-1 to 1), belief to be on the drug (0-1), strongest sensations so far."""

    fast_fraction: Any
    slow_fraction: Any
    belief_fraction: Any
    felt_dissociation_points: Any
    felt_drowsiness_fraction: Any


SMOOTHING_POINTS, SMOOTHING_FRACTION = 0.1, 0.01
"""Rises below these hardly move the memory of the strongest sensation, which keeps its law smooth."""


def initial(parameters: Parameters) -> State:
    """Return the state before the first visit."""
    return State(
        fast_fraction=0.0,
        slow_fraction=0.0,
        belief_fraction=parameters.prior_belief_fraction,
        felt_dissociation_points=0.0,
        felt_drowsiness_fraction=0.0,
    )


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Hope fades, dx/dt = -x / tau; the memory of a sensation follows it upwards and stays."""
    p = parameters
    return State(
        fast_fraction=-state.fast_fraction / p.fast_time_h,
        slow_fraction=-state.slow_fraction / p.slow_time_h,
        belief_fraction=0.0,
        felt_dissociation_points=p.memory_rate_per_h
        * _rise(m, inputs.cadss_points - state.felt_dissociation_points, SMOOTHING_POINTS),
        felt_drowsiness_fraction=p.memory_rate_per_h
        * _rise(m, inputs.drowsiness_fraction - state.felt_drowsiness_fraction, SMOOTHING_FRACTION),
    )


def _rise(m: Any, gap: Any, smoothing: float) -> Any:
    """Return the gap where it is positive, else 0; smooth at 0: g^2 / (g + smoothing)."""
    up = m.maximum(gap, 0.0)
    return up * up / (up + smoothing)


def at_visit(m: Any, state: State, parameters: Parameters, preparation_fraction: float = 0.0) -> State:
    """Return the state after arriving at a visit at which a drug is expected: x + min(k p, 1) (1 - x).

    Preparation makes k larger; sensations of earlier visits are set aside.
    """
    p = parameters
    hope = state.belief_fraction * (1.0 + p.preparation_on_hope_relative * preparation_fraction)
    fast, slow = (m.minimum(gain * hope, 1.0) for gain in (p.fast_gain_fraction, p.slow_gain_fraction))
    return State(
        fast_fraction=state.fast_fraction + fast * (1.0 - state.fast_fraction),
        slow_fraction=state.slow_fraction + slow * (1.0 - state.slow_fraction),
        belief_fraction=state.belief_fraction,
        felt_dissociation_points=0.0 * state.felt_dissociation_points,
        felt_drowsiness_fraction=0.0 * state.felt_drowsiness_fraction,
    )


def at_antidepressant(state: State, parameters: Parameters) -> State:
    """Return the state after a contact about a newly started antidepressant: x_s + k_s c (1 - x_s)."""
    p = parameters
    gain = p.slow_gain_fraction * p.antidepressant_hope_fraction
    return state._replace(slow_fraction=state.slow_fraction + gain * (1.0 - state.slow_fraction))


def after_visit(m: Any, state: State, parameters: Parameters) -> State:
    """Return the state once people have made up their mind what they were given.

    odds(p) = odds(prior) prod_j L_j,   log L_j = n_j log(a_j / c_j) + (1 - n_j) log((1 - a_j) / (1 - c_j))
    n_j = felt_j^2 / (felt_j^2 + noticed_j^2)
    x + k (p' - p)(1 - x) where belief rises, x - min(nu k (p - p'), 1)(1 + x) where it falls (nocebo)
    """
    p, belief = parameters, posterior(m, state, parameters)
    more = m.maximum(belief - state.belief_fraction, 0.0)
    less = m.maximum(state.belief_fraction - belief, 0.0) * p.nocebo_gain_relative

    def moved(hope: Any, gain: Any) -> Any:
        return hope + gain * more * (1.0 - hope) - m.minimum(gain * less, 1.0) * (1.0 + hope)

    return State(
        fast_fraction=moved(state.fast_fraction, p.fast_gain_fraction),
        slow_fraction=moved(state.slow_fraction, p.slow_gain_fraction),
        belief_fraction=belief,
        felt_dissociation_points=state.felt_dissociation_points,
        felt_drowsiness_fraction=state.felt_drowsiness_fraction,
    )


def posterior(m: Any, state: State, parameters: Parameters) -> Any:
    """Return the belief to be on the drug after what was felt in a session (0-1)."""
    p = parameters

    def clue(felt: Any, half: Any, on_drug: Any, on_control: Any) -> Any:
        noticed = m.hill(felt, half, 2)
        for_drug, against = m.log(on_drug / on_control), m.log((1.0 - on_drug) / (1.0 - on_control))
        return noticed * for_drug + (1.0 - noticed) * against

    clues = clue(
        state.felt_dissociation_points,
        p.dissociation_noticed_points,
        p.dissociation_on_drug_fraction,
        p.dissociation_on_control_fraction,
    ) + clue(
        state.felt_drowsiness_fraction,
        p.drowsiness_noticed_fraction,
        p.drowsiness_on_drug_fraction,
        p.drowsiness_on_control_fraction,
    )
    likelihood = m.exp(p.clue_weight_fraction * clues)
    prior = p.prior_belief_fraction
    return prior * likelihood / (prior * likelihood + (1.0 - prior))
