"""From the surge to protein: AMPA potentiation, BDNF, the gate of activity and TrkB, mTORC1."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """Weights of the routes into the drive, rates and time constants."""

    disinhibition_weight_fraction: Any
    direct_weight_fraction: Any
    trapping_weight_fraction: Any
    trkb_binding_weight_fraction: Any
    metabolite_weight_fraction: Any
    r_route_weight_fraction: Any
    surge_half_drive_relative: Any
    direct_half_drive_fraction: Any
    trkb_half_binding_umol_per_L: Any
    trkb_binding_gain_relative: Any
    metabolite_half_drive_umol_per_L: Any
    r_route_half_drive_umol_per_L: Any
    drive_exponent: Any
    opioid_share_fraction: Any
    opioid_block_fraction: Any
    ampa_rate_per_h: Any
    ampa_time_h: Any
    bdnf_rate_per_h: Any
    bdnf_ssri_rate_per_h: Any
    bdnf_time_h: Any
    stress_on_bdnf_relative: Any
    inflammation_on_bdnf_relative: Any
    trkb_block_fraction: Any
    mtorc1_scale_relative: Any
    mtorc1_bypass_fraction: Any
    mtorc1_time_h: Any
    protein_rate_per_h: Any
    protein_time_h: Any


class Inputs(NamedTuple):
    """From circuit, receptor, site, stress and antidepressant."""

    surge_relative: Any
    pyramidal_block_fraction: Any
    trapped_block_fraction: Any
    s_ketamine_site_umol_per_L: Any
    r_ketamine_site_umol_per_L: Any
    r_hydroxynorketamine_site_umol_per_L: Any
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


def initial(ssri_adaptation_fraction: Any, parameters: Parameters) -> State:
    """Return the state without ketamine: BDNF in balance with an antidepressant that is taken, if any."""
    p = parameters
    return State(
        ampa_fraction=0.0,
        bdnf_rise_relative=p.bdnf_ssri_rate_per_h * ssri_adaptation_fraction * p.bdnf_time_h,
        mtorc1_relative=0.0,
        protein_relative=0.0,
    )


def gate(tone_relative: Any, trkb_block_fraction: Any) -> Any:
    """TrkB gate 2 T^2 / (1 + T^2), 1 at the tone of a rested brain, times what of TrkB is left."""
    square = tone_relative * tone_relative
    return (1.0 - trkb_block_fraction) * 2.0 * square / (1.0 + square)


def outputs(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> Outputs:
    """Drive and trophic tone.

    e = (1 - s_op opioid) (1 - prod_i (1 - e_i)),  e_dis = s_dis u^n / (u^n + K_u^n)
    e_dir = s_dir beta_E^n / (beta_E^n + K_d^n),   e_trap = s_trap T
    e_trkb = s_T tau,  tau = c / (c + K_T),  c = S + R at the site
    e_hnk = s_H h / (h + K_H), e_r = s_R R / (R + K_R)
    B_0 = 1 / (1 + a_L l + a_F f),                 BDNF = (B_0 + B) / B_0
    gate times 1 + s_T k_T (tau + r) where ketamine and antidepressants bind TrkB

    All but the first route are rivals, off unless a mechanism turns them on.
    """
    p = parameters
    disinhibition = p.disinhibition_weight_fraction * m.hill(
        inputs.surge_relative, p.surge_half_drive_relative, p.drive_exponent
    )
    direct = p.direct_weight_fraction * m.hill(
        inputs.pyramidal_block_fraction, p.direct_half_drive_fraction, p.drive_exponent
    )
    trapping = p.trapping_weight_fraction * inputs.trapped_block_fraction
    binding = m.hill(
        inputs.s_ketamine_site_umol_per_L + inputs.r_ketamine_site_umol_per_L,
        p.trkb_half_binding_umol_per_L,
        1,
    )
    metabolite = p.metabolite_weight_fraction * m.hill(
        inputs.r_hydroxynorketamine_site_umol_per_L, p.metabolite_half_drive_umol_per_L, 1
    )
    r_route = p.r_route_weight_fraction * m.hill(
        inputs.r_ketamine_site_umol_per_L, p.r_route_half_drive_umol_per_L, 1
    )
    no_drive = (
        (1.0 - disinhibition)
        * (1.0 - direct)
        * (1.0 - trapping)
        * (1.0 - p.trkb_binding_weight_fraction * binding)
        * (1.0 - metabolite)
        * (1.0 - r_route)
    )
    bound = 1.0 + p.trkb_binding_weight_fraction * p.trkb_binding_gain_relative * (
        binding + inputs.ssri_adaptation_fraction
    )
    tone = 1.0 / (
        1.0
        + p.stress_on_bdnf_relative * inputs.stress_relative
        + p.inflammation_on_bdnf_relative * inputs.inflammation_relative
    )
    total = tone + state.bdnf_rise_relative
    return Outputs(
        drive_fraction=(1.0 - p.opioid_share_fraction * p.opioid_block_fraction) * (1.0 - no_drive),
        tone_relative=tone,
        bdnf_relative=total / tone,
        resting_gate_relative=gate(tone, p.trkb_block_fraction),
        gate_relative=gate(total, p.trkb_block_fraction) * bound,
    )


def rates(m: Any, state: State, inputs: Inputs, parameters: Parameters) -> State:
    """Return an AND-gate of activity and TrkB: protein needs both (form of JainBhalla2009).

    da/dt = k_A e (1 - a) - a / tau_A
    dB/dt = k_B B_0 e + k_R r - B / tau_B
    dM/dt = ((s_M + (1 - s_M) f) e gate(B_0 + B) - M) / tau_M,   dq/dt = k_Q M - q / tau_Q

    f is the share of the path that does without mTORC1: 0 as in rodents, 1 as people under rapamycin suggest.
    """
    p, out = parameters, outputs(m, state, inputs, parameters)
    drive, scale = out.drive_fraction, p.mtorc1_scale_relative
    passed = scale + (1.0 - scale) * p.mtorc1_bypass_fraction
    return State(
        ampa_fraction=p.ampa_rate_per_h * drive * (1.0 - state.ampa_fraction)
        - state.ampa_fraction / p.ampa_time_h,
        bdnf_rise_relative=p.bdnf_rate_per_h * out.tone_relative * drive
        + p.bdnf_ssri_rate_per_h * inputs.ssri_adaptation_fraction
        - state.bdnf_rise_relative / p.bdnf_time_h,
        mtorc1_relative=(passed * drive * out.gate_relative - state.mtorc1_relative) / p.mtorc1_time_h,
        protein_relative=p.protein_rate_per_h * state.mtorc1_relative
        - state.protein_relative / p.protein_time_h,
    )
