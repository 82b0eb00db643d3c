"""Claim: each way into the body does what its rows say: share, rate, duration, first pass.

Written from the parameters by name, not from the flows; values lie away from 0 and 1, where shares hide.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.registry import COMBINATIONS, Combination

from euthymia import simulate_concentrations
from euthymia.engine.linear import respond
from euthymia.model.concentrations import Epoch, solve_pk
from euthymia.model.parameters import ParameterSet
from euthymia.model.pk import Given, PkModel, way_of, wire_pk
from euthymia.population.individual import individual_values

MOVED = {
    "first_pass_norketamine_fraction": 0.6,
    "sublingual_swallowed_fraction": 0.7,
    "nasal_spray_recovered_fraction": 0.8,
    "norketamine_formed_fraction": 0.75,
    "gut_escape_fraction": 0.55,
}
ABSORBED = [
    one
    for one in COMBINATIONS
    if one.drug != "ketamine"
    and way_of(one.drug, one.route) != "iv"
    and one.parameters.structure != "mammillary"
]
EACH = pytest.mark.parametrize("combination", ABSORBED, ids=str)


def changed(combination: Combination) -> ParameterSet:
    rows = combination.parameters.rows
    return combination.parameters.with_overrides({key: value for key, value in MOVED.items() if key in rows})


def values_of(combination: Combination) -> dict[str, Any]:
    return individual_values(changed(combination), [combination.patient], numbers=None, seed=1)


def plain(combination: Combination) -> SimpleNamespace:
    return SimpleNamespace(**{name: float(np.ravel(one)[0]) for name, one in values_of(combination).items()})


def model(combination: Combination) -> PkModel:
    given = [Given(dose) for dose in combination.doses()]
    return wire_pk(changed(combination), values_of(combination), given, patient_count=1)


def shares(combination: Combination) -> tuple[float, float]:
    """Return the shares of a dose that reach the blood as ketamine, and that become norketamine before it."""
    p, way = plain(combination), way_of(combination.drug, combination.route)
    if combination.parameters.structure == "hepatic":
        intrinsic = p.liver_volume_L * (p.liver_elimination_per_h + p.liver_formation_per_h)
        escapes = p.liver_flow_L_per_h / (p.liver_flow_L_per_h + intrinsic)
        at_once = p.nasal_spray_fraction if way == "nasal_spray" else 0.0
        return at_once + (1 - at_once) * p.gut_escape_fraction * escapes, np.nan
    formed = p.first_pass_norketamine_fraction
    if way == "intramuscular":
        return p.intramuscular_fraction, 0.0
    if way == "subcutaneous":
        return p.subcutaneous_fraction, 0.0
    if way == "oral":
        return p.oral_fraction, (1 - p.oral_fraction) * formed
    if way == "oral_extended_release":
        letter = "s" if combination.drug == "esketamine" else "r"
        reaches = getattr(p, f"oral_extended_release_{letter}_fraction")
        return reaches, (1 - reaches) * formed
    if way == "nasal_solution":
        swallowed = 1 - p.nasal_solution_fraction
        return p.nasal_solution_fraction + swallowed * p.oral_fraction, swallowed * (
            1 - p.oral_fraction
        ) * formed
    if way == "nasal_spray":
        swallowed = 1 - p.nasal_spray_fraction
        reaches = p.nasal_spray_fraction + swallowed * p.nasal_spray_swallowed_fraction
        lost = swallowed * (1 - p.nasal_spray_swallowed_fraction)
        return p.nasal_spray_recovered_fraction * reaches, p.nasal_spray_recovered_fraction * lost * formed
    if way == "sublingual":
        taken = 1 - np.exp(-p.sublingual_uptake_rate_per_h * p.sublingual_hold_h)
        return taken, (1 - taken) * p.sublingual_swallowed_fraction * formed
    raise AssertionError(f"write down the shares of the way {way!r}")


@EACH
def test_the_bioavailable_share_is_that_of_the_rows(combination: Combination):
    one = model(combination)
    np.testing.assert_allclose(one.reaching_umol / one.given_umol, shares(combination)[0], rtol=1e-13)


# the clearance of the liver structure is checked with the intravenous areas
@pytest.mark.parametrize(
    "combination", [one for one in ABSORBED if one.parameters.structure == "enantiomers"], ids=str
)
def test_areas_follow_from_the_shares(combination: Combination):
    """Ketamine: F dose / CL. Norketamine: dose (F fm + first pass) / CL of norketamine."""
    p, letter = plain(combination), "s" if combination.drug == "esketamine" else "r"
    given = tuple(Given(dose) for dose in combination.doses())
    found = solve_pk(
        changed(combination),
        values_of(combination),
        [Epoch(0.0, given)],
        np.array([1.0]),
        patient_count=1,
        stems=None,
        horizon_h=48.0,
    ).metrics
    dose = sum(float(one.dose.amount_umol) for one in given)
    reaches, first_pass = shares(combination)
    clearance = p.s_clearance_L_per_h if letter == "s" else p.r_clearance_L_per_h
    norketamine = dose * (reaches * p.norketamine_formed_fraction + first_pass)
    areas = {
        f"{letter}_ketamine_arterial": dose * reaches / clearance,
        f"{letter}_norketamine": norketamine / p.norketamine_clearance_L_per_h,
        f"{letter}_hydroxynorketamine": norketamine
        * p.hydroxynorketamine_formed_fraction
        / p.hydroxynorketamine_clearance_L_per_h,
    }
    for name, area in areas.items():
        assert found[name].auc_infinity[0] == pytest.approx(area, rel=1e-10), name


# node of a depot -> (field of its rate, field of the duration over which it fills or "" where at once)
DEPOTS = {
    "muscle": ("intramuscular_rate_per_h", ""),
    "subcutis": ("subcutaneous_rate_per_h", ""),
    "spray": ("nasal_spray_rate_per_h", ""),
    "spray_gut": ("nasal_spray_swallowed_rate_per_h", "nasal_spray_swallowed_duration_h"),
    "nose": ("nasal_solution_rate_per_h", ""),
    "gut": ("oral_rate_per_h", "oral_duration_h"),
    "mucosa": ("sublingual_rate_per_h", "sublingual_duration_h"),
    "film_gut": ("sublingual_swallowed_rate_per_h", "sublingual_swallowed_duration_h"),
}
BY_RELEASE = {"central", "delay_1", "elsewhere"}
"""Nodes that extended release feeds directly, and where the share lost in the gut is booked."""


@EACH
def test_a_depot_fills_and_empties_as_its_rows_say(combination: Combination):
    """Of an amount given at once exp(-k t) is left; over T it is (1 - exp(-k t)) / (k T), then it decays."""
    p, one = plain(combination), model(combination)
    times = np.concatenate([[0.0], np.geomspace(0.01, 6.0, 40)])
    for item in one.inputs:
        name = item.node.rsplit(".", 1)[-1]
        if name in BY_RELEASE:
            continue
        rate_field, duration_field = DEPOTS[name]
        rate, duration = getattr(p, rate_field), getattr(p, duration_field) if duration_field else 0.0
        found = respond(one.system, [item], times, {"a": {item.node: 1.0}}).values["a"][0]
        if duration:
            filled = -np.expm1(-rate * np.minimum(times, duration)) / (rate * duration)
            left = filled * np.exp(-rate * np.maximum(times - duration, 0.0))
        else:
            left = np.exp(-rate * times)
        np.testing.assert_allclose(found, item.amount[0] * left, rtol=0, atol=1e-13 * item.amount[0])


def test_a_later_nasal_device_gives_the_mucosa_less():
    for one in ABSORBED:
        if way_of(one.drug, one.route) != "nasal_spray":
            continue
        p, shares_of_devices = plain(one), []
        for index in (0, 1, 2):
            (dose,) = one.doses()
            given = [Given(replace(dose, device_index=index))]
            inputs = wire_pk(changed(one), values_of(one), given, patient_count=1).inputs
            spray = sum(item.amount[0] for item in inputs if item.node == "S.spray")
            recovered = getattr(p, "nasal_spray_recovered_fraction", 1.0)
            shares_of_devices.append(spray / (recovered * sum(item.amount[0] for item in inputs)))
        ratio = p.nasal_spray_further_device_ratio
        wanted = p.nasal_spray_fraction * np.array([1.0, ratio, ratio])
        np.testing.assert_allclose(shares_of_devices, wanted, rtol=1e-13)


def test_uptake_under_the_tongue_grows_with_the_hold():
    """F = 1 - exp(-k hold)."""
    p = plain(next(one for one in ABSORBED if way_of(one.drug, one.route) == "sublingual"))
    for minutes in (2.0, 10.0, 30.0):
        course = simulate_concentrations(f"ketamine 50 mg sublingual held {minutes:g} min")
        wanted = 1 - np.exp(-p.sublingual_uptake_rate_per_h * minutes / 60.0)
        assert course.bioavailable_fraction[0] == pytest.approx(wanted, rel=1e-12)
