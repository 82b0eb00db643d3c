"""New and stable synapses of one region; the same law serves prefrontal cortex and hippocampus."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Rates and time constants of one region. ``density 1`` is health."""

    formation_rate_per_h: Any
    formation_by_ssri_relative: Any
    largest_density_relative: Any
    new_time_h: Any
    stabilisation_rate_per_h: Any
    stabilisation_by_therapy_relative: Any
    recovery_time_h: Any
    loss_time_h: Any
    deficit_fraction: Any
    inflammation_on_synapses_relative: Any
    homeostasis_rate_per_h: Any


class Inputs(NamedTuple):
    """From signalling, stress, antidepressant and therapy."""

    protein_relative: Any
    stress_relative: Any
    inflammation_relative: Any
    ssri_adaptation_fraction: Any
    learning_relative: Any


class State(NamedTuple):
    """Density of new and of stable synapses (health: 0 and 1)."""

    new_fraction: Any
    stable_fraction: Any


class Outputs(NamedTuple):
    """Density of all synapses, and what is missing in units of the deficit of an episode."""

    density_fraction: Any
    deficit_relative: Any


SMOOTHING = 0.01
"""Density over which recovery turns into loss; keeps the law smooth where the two time constants meet."""


def stable_target(inputs: Inputs, parameters: Parameters) -> Any:
    """Stable density under a load: 1 / (1 + delta (l + c_F f)), delta = d_S / (1 - d_S).

    One unit of stress takes the deficit d_S away from 1; positive for any load.
    """
    p = parameters
    delta = p.deficit_fraction / (1.0 - p.deficit_fraction)
    load = inputs.stress_relative + p.inflammation_on_synapses_relative * inputs.inflammation_relative
    return 1.0 / (1.0 + delta * load)


def initial(inputs: Inputs, parameters: Parameters) -> State:
    """Return the state in balance with stress and inflammation, without drug."""
    target = stable_target(inputs, parameters)
    return State(new_fraction=0.0 * target, stable_fraction=target)


def adapted(m: Any, inputs: Inputs, parameters: Parameters) -> State:
    """Return the state in balance with an antidepressant taken for months: dn/dt = ds/dt = 0, by halving.

    Below the density of health, where nothing is pruned.
    """
    p = parameters
    born = p.formation_rate_per_h * p.formation_by_ssri_relative * inputs.ssri_adaptation_fraction
    lost = 1.0 / p.new_time_h + p.stabilisation_rate_per_h
    target = stable_target(inputs, p)

    def new(stable: Any) -> Any:
        return born * (p.largest_density_relative - stable) / (born + lost)

    def change(stable: Any) -> Any:
        back = _relaxation(m, target - stable, p.recovery_time_h, p.loss_time_h)
        return p.stabilisation_rate_per_h * new(stable) + back

    low, high = target, p.largest_density_relative + 0.0 * target
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        is_rising = change(middle) > 0.0
        low, high = m.where(is_rising, middle, low), m.where(is_rising, high, middle)
    stable = 0.5 * (low + high)
    # Newton's step moves the last bits only; to one who differentiates it gives what halving hides
    slope = -p.stabilisation_rate_per_h * born / (born + lost) - _relaxation_rate(
        m, target - stable, p.recovery_time_h, p.loss_time_h
    )
    stable = stable - change(stable) / slope
    return State(new_fraction=new(stable), stable_fraction=stable)


HALVINGS = 60


def outputs(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Density rho = s + n, deficit (1 - rho) / d_S (0 in health, 1 in the episode of the population)."""
    del m, inputs
    density = state.new_fraction + state.stable_fraction
    return Outputs(density_fraction=density, deficit_relative=(1.0 - density) / parameters.deficit_fraction)


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Birth into free sites, death, and maturation of new synapses; slow relaxation of stable ones.

    dn/dt = k_N (q + q_R r)(rho_max - s - n) - n / tau_N - k_s (1 + l_s L) n - k_H max(rho - 1, 0)^2 n / rho
    ds/dt = k_s (1 + l_s L) n + (s_inf - s) / tau_S(sign) - k_H max(rho - 1, 0)^2 s / rho
    """
    p, new, stable = parameters, state.new_fraction, state.stable_fraction
    drive = inputs.protein_relative + p.formation_by_ssri_relative * inputs.ssri_adaptation_fraction
    formed = p.formation_rate_per_h * drive * (p.largest_density_relative - stable - new)
    matured = (
        p.stabilisation_rate_per_h * (1.0 + p.stabilisation_by_therapy_relative * inputs.learning_relative)
    ) * new
    excess = m.maximum(new + stable - 1.0, 0.0)
    pruned_share = p.homeostasis_rate_per_h * excess * excess / (1.0 + excess)
    gap = stable_target(inputs, parameters) - stable
    return State(
        new_fraction=formed - new / p.new_time_h - matured - pruned_share * new,
        stable_fraction=matured
        + _relaxation(m, gap, p.recovery_time_h, p.loss_time_h)
        - pruned_share * stable,
    )


def _relaxation(m: Any, gap: Any, recovery_time_h: Any, loss_time_h: Any) -> Any:
    """Relax a gap with one time constant upwards and another downwards, smoothly through zero."""
    up, down = 1.0 / recovery_time_h, 1.0 / loss_time_h
    size = m.sqrt(gap * gap + SMOOTHING * SMOOTHING) - SMOOTHING
    return 0.5 * (up + down) * gap + 0.5 * (up - down) * size


def _relaxation_rate(m: Any, gap: Any, recovery_time_h: Any, loss_time_h: Any) -> Any:
    """Return the derivative of the relaxation by its gap."""
    up, down = 1.0 / recovery_time_h, 1.0 / loss_time_h
    return 0.5 * (up + down) + 0.5 * (up - down) * gap / m.sqrt(gap * gap + SMOOTHING * SMOOTHING)
