"""From the surge to protein: AMPA potentiation, BDNF, the gate of activity and TrkB, mTORC1."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Weights of the routes into the drive, rates and time constants."""

    disinhibition_weight_fraction: Any
    direct_weight_fraction: Any
    trapping_weight_fraction: Any
    surge_half_drive_relative: Any
    direct_half_drive_fraction: Any
    drive_exponent: Any
    ampa_rate_per_h: Any
    ampa_time_h: Any
    bdnf_rate_per_h: Any
    bdnf_ssri_rate_per_h: Any
    bdnf_time_h: Any
    stress_on_bdnf_relative: Any
    inflammation_on_bdnf_relative: Any
    trkb_block_fraction: Any
    mtorc1_scale_relative: Any
    mtorc1_time_h: Any
    protein_rate_per_h: Any
    protein_time_h: Any


class Inputs(NamedTuple):
    """From circuit, receptor, stress and antidepressant."""

    surge_relative: Any
    pyramidal_block_fraction: Any
    trapped_block_fraction: Any
    stress_relative: Any
    inflammation_relative: Any
    ssri_adaptation_fraction: Any


class State(NamedTuple):
    """AMPA potentiation (0-1), BDNF above baseline tone, mTORC1 activity, synaptic protein (0 = baseline)."""

    ampa_fraction: Any
    bdnf_rise_relative: Any
    mtorc1_relative: Any
    protein_relative: Any


class Outputs(NamedTuple):
    """The drive of plasticity, trophic tone without drug and with it, and the two gates."""

    drive_fraction: Any
    tone_relative: Any
    bdnf_relative: Any
    resting_gate_relative: Any
    gate_relative: Any


def initial() -> State:
    """Return the state without drug."""
    return State(ampa_fraction=0.0, bdnf_rise_relative=0.0, mtorc1_relative=0.0, protein_relative=0.0)


def gate(tone_relative: Any, trkb_block_fraction: Any) -> Any:
    """TrkB gate 2 T^2 / (1 + T^2), 1 at the tone of a rested brain, times what of TrkB is left."""
    square = tone_relative * tone_relative
    return (1.0 - trkb_block_fraction) * 2.0 * square / (1.0 + square)


def outputs(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Drive and trophic tone.

    e = 1 - (1 - e_dis)(1 - e_dir)(1 - e_trap),   e_dis = s_dis u^n / (u^n + K_u^n)
    e_dir = s_dir beta_E^n / (beta_E^n + K_d^n),  e_trap = s_trap T
    B_0 = 1 / (1 + a_L l + a_F f),                BDNF = (B_0 + B) / B_0
    """
    p = parameters
    disinhibition = p.disinhibition_weight_fraction * m.hill(
        inputs.surge_relative, p.surge_half_drive_relative, p.drive_exponent
    )
    direct = p.direct_weight_fraction * m.hill(
        inputs.pyramidal_block_fraction, p.direct_half_drive_fraction, p.drive_exponent
    )
    trapping = p.trapping_weight_fraction * inputs.trapped_block_fraction
    tone = 1.0 / (
        1.0
        + p.stress_on_bdnf_relative * inputs.stress_relative
        + p.inflammation_on_bdnf_relative * inputs.inflammation_relative
    )
    total = tone + state.bdnf_rise_relative
    return Outputs(
        drive_fraction=1.0 - (1.0 - disinhibition) * (1.0 - direct) * (1.0 - trapping),
        tone_relative=tone,
        bdnf_relative=total / tone,
        resting_gate_relative=gate(tone, p.trkb_block_fraction),
        gate_relative=gate(total, p.trkb_block_fraction),
    )


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Return an AND-gate of activity and TrkB: protein needs both (form of JainBhalla2009).

    da/dt = k_A e (1 - a) - a / tau_A
    dB/dt = k_B B_0 e + k_R r - B / tau_B
    dM/dt = (s_M e gate(B_0 + B) - M) / tau_M,   dq/dt = k_Q M - q / tau_Q
    """
    p, out = parameters, outputs(m, state, inputs, parameters)
    drive = out.drive_fraction
    return State(
        ampa_fraction=p.ampa_rate_per_h * drive * (1.0 - state.ampa_fraction)
        - state.ampa_fraction / p.ampa_time_h,
        bdnf_rise_relative=p.bdnf_rate_per_h * out.tone_relative * drive
        + p.bdnf_ssri_rate_per_h * inputs.ssri_adaptation_fraction
        - state.bdnf_rise_relative / p.bdnf_time_h,
        mtorc1_relative=(p.mtorc1_scale_relative * drive * out.gate_relative - state.mtorc1_relative)
        / p.mtorc1_time_h,
        protein_relative=p.protein_rate_per_h * state.mtorc1_relative
        - state.protein_relative / p.protein_time_h,
    )
