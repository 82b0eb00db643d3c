"""Stress and inflammation: loads that the brain carries for days after life or gloom brings them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Loads of usual life, the load that full negative beliefs keep up, and how slowly loads follow."""

    usual_stress_relative: Any
    usual_inflammation_relative: Any
    generated_stress_relative: Any
    stress_time_h: Any
    inflammation_time_h: Any


class Inputs(NamedTuple):
    """What life brings beyond the usual load at this time, and the strength of negative beliefs."""

    extra_stress_relative: Any
    extra_inflammation_relative: Any
    belief_fraction: Any


class State(NamedTuple):
    """Loads as the brain carries them (0 = none, 1 = that of an untreated episode)."""

    stress_relative: Any
    inflammation_relative: Any


def target(inputs: Inputs, parameters: Parameters) -> State:
    """Return the loads that life and beliefs bring in the end.

    Negative beliefs keep up a load of their own: an episode needs no stress from outside to go on
    (stress generation; assumed).
    """
    p = parameters
    return State(
        stress_relative=p.usual_stress_relative
        + inputs.extra_stress_relative
        + p.generated_stress_relative * inputs.belief_fraction,
        inflammation_relative=p.usual_inflammation_relative + inputs.extra_inflammation_relative,
    )


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Let the loads follow: dl/dt = (l_usual + extra + c_b b - l) / tau_l, inflammation likewise."""
    del m
    aim, p = target(inputs, parameters), parameters
    return State(
        stress_relative=(aim.stress_relative - state.stress_relative) / p.stress_time_h,
        inflammation_relative=(aim.inflammation_relative - state.inflammation_relative)
        / p.inflammation_time_h,
    )
