"""Claim: no state leaves its range, whatever is given, whoever is treated and however hard life is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tests.registry import REPRESENTATIVES, Combination
from tests.standard.assembled import (
    INFUSION,
    MECHANISMS,
    STATES,
    Everything,
    assemble,
    strained,
    typical,
    with_,
)

from euthymia import simulate
from euthymia.dosing.notation import print_regimen
from euthymia.dosing.regimen import single
from euthymia.errors import ResultWarning
from euthymia.model import wiring
from euthymia.model.chain import FINENESS, TABLE_PATH
from euthymia.model.chain import TOLERANCE as GRID_TOLERANCE
from euthymia.model.course import Pulse
from euthymia.model.parameters import ParameterSet, load_parameters
from euthymia.population.patient import Patient
from euthymia.population.run import Life
from euthymia.population.settings import find_setting, settings
from euthymia.tables import read_array

pytestmark = pytest.mark.slow

BUSY = (
    "ketamine 1 mg/kg iv over 40 min, twice weekly x 2; CBT 50 min at 26 h; "
    "escitalopram 20 mg po, daily x 4 from -2 d"
)
EVERYTHING = f"preparation 60 min at -1 d; {BUSY}; midazolam 0.045 mg/kg iv over 40 min at 25 h; ECT at 50 h"
DAYS = 3.5
LARGEST_GAIN = float(read_array(TABLE_PATH).max())
LARGEST_LOAD = 5.0
COMPOSED = tuple(one for one in REPRESENTATIVES if one.parameters.chain) + tuple(
    Combination("composed", drug, one.route)
    for drug in ("esketamine", "arketamine")
    for one in REPRESENTATIVES
    if one.parameters.chain
)
ROUTES_AND_DRUGS = tuple(dict.fromkeys(COMPOSED))


def ranges(p: Mapping[str, Any], *, may_disappoint: bool = False) -> dict[str, tuple[Any, Any]]:
    """Return what each state must lie between, from the equations, for values by ``layer.field``.

    Hope falls below 0 where people may conclude that they were not given the drug.
    """
    share = (0.0, 1.0)
    hope = (-1.0, 1.0) if may_disappoint else share
    mtorc1 = 2.0 * p["signalling.mtorc1_scale_relative"]
    bdnf = p["signalling.bdnf_rate_per_h"] + p["signalling.bdnf_ssri_rate_per_h"]
    usual = p["stress.usual_stress_relative"]
    usual_f = p["stress.usual_inflammation_relative"]
    adapted = p["surge.adaptation_relative"]
    found: dict[str, tuple[Any, Any]] = {
        "receptor.trapped_block_fraction": share,
        "surge.glutamate_relative": (0.0, LARGEST_GAIN),
        "surge.adaptation_relative": (-adapted, adapted * (LARGEST_GAIN - 1.0)),
        "stress.stress_relative": (0.0, usual + LARGEST_LOAD + p["stress.generated_stress_relative"]),
        "stress.inflammation_relative": (0.0, usual_f + LARGEST_LOAD),
        "signalling.ampa_fraction": share,
        "signalling.bdnf_rise_relative": (0.0, bdnf * p["signalling.bdnf_time_h"]),
        "signalling.mtorc1_relative": (0.0, mtorc1),
        "signalling.protein_relative": (
            0.0,
            mtorc1 * p["signalling.protein_rate_per_h"] * p["signalling.protein_time_h"],
        ),
        "ssri.adaptation_fraction": share,
        "belief.window_fraction": share,
        "belief.belief_fraction": share,
        "ect.effect_fraction": share,
        "expectancy.fast_fraction": hope,
        "expectancy.slow_fraction": hope,
        "expectancy.belief_fraction": share,
        "expectancy.felt_dissociation_points": (0.0, p["dissociation.cadss_ceiling_points"]),
        "expectancy.felt_drowsiness_fraction": share,
        "ideation.ideation_fraction": share,
        "severity.severity_fraction": share,
        "dissociation.tolerance_relative": (
            0.0,
            p["dissociation.tolerance_rate_per_h"] * p["dissociation.tolerance_time_h"],
        ),
        "cardiovascular.effect_fraction": share,
        "sedation.depth_fraction": share,
        "discomfort.exposure_h": (0.0, DAYS * 24.0),
    }
    for region in wiring.REGIONS:
        found[f"{region}.new_fraction"] = (0.0, p[f"{region}.largest_density_relative"])
        found[f"{region}.stable_fraction"] = (0.0, p[f"{region}.largest_density_relative"])
    return found


def outside(
    found: Everything,
    p: Mapping[str, Any],
    *,
    scale: Mapping[str, float] | None = None,
    may_disappoint: bool = False,
) -> dict[str, tuple[float, float]]:
    """Return the states that leave their range by more than the engine's error, or are not finite.

    The error of the engine is 1e-4 of a state's own largest value, or of a stated one.
    """
    wrong = {}
    for state, (low, high) in ranges(p, may_disappoint=may_disappoint).items():
        values = found.values[state]
        slack = GRID_TOLERANCE * (scale[state] if scale else np.abs(values).max())
        under = values < np.reshape(low, (-1, 1)) - slack
        over = values > np.reshape(high, (-1, 1)) + slack
        if (under | over).any() or not np.isfinite(values).all():
            wrong[state] = (float(values.min()), float(values.max()))
    return wrong


def numbers_of(parameters: ParameterSet) -> dict[str, float]:
    return {name: row.value for name, row in parameters.chain.items()}


def test_every_state_has_a_range():
    assert set(ranges(numbers_of(load_parameters()))) == set(STATES)


def test_every_switch_of_the_wiring_is_turned_in_some_mechanism():
    turned = {name for changes in MECHANISMS.values() for name in changes}
    assert set(wiring.STRUCTURAL) <= turned


@pytest.mark.parametrize(
    "combination",
    [
        pytest.param(one, id=str(one), marks=() if one in REPRESENTATIVES else pytest.mark.slow)
        for one in ROUTES_AND_DRUGS
    ],
)
def test_any_drug_by_any_route_under_the_hardest_life(combination: Combination):
    regimen = print_regimen(single(combination.order))
    people = [Patient(weight_kg=weight) for weight in (combination.weight_kg, 45.0, 110.0)]
    found = assemble(
        regimen,
        days=DAYS,
        people=people,
        life=strained(DAYS),
        outputs=STATES,
        parameters=combination.parameters,
    )
    assert outside(found, numbers_of(combination.parameters)) == {}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_any_mechanism_under_the_hardest_life_with_therapy_and_antidepressant(mechanism: str):
    parameters = with_(MECHANISMS[mechanism])
    people = [Patient(weight_kg=weight) for weight in (70.0, 45.0, 110.0)]
    found = assemble(
        BUSY,
        days=DAYS,
        people=people,
        parameters=parameters,
        life=strained(DAYS),
        setting="open",
        outputs=STATES,
        fineness=2.0 * FINENESS,  # with which the engine keeps its error whatever the mechanism
    )
    assert outside(found, numbers_of(parameters)) == {}


@pytest.mark.parametrize("setting", [*settings(), "nasal_placebo+admission"])
def test_any_setting_under_the_hardest_life_with_all_that_may_surround_the_drug(setting: str):
    found = assemble(EVERYTHING, days=DAYS, life=strained(DAYS), setting=setting, outputs=STATES)
    may_disappoint = find_setting(setting).clue_weight_fraction > 0.0
    assert outside(found, numbers_of(load_parameters()), may_disappoint=may_disappoint) == {}


@pytest.mark.parametrize(("stress", "inflammation"), [(0.0, 0.0), (5.0, 0.0), (0.0, 5.0), (5.0, 5.0)])
def test_any_life_of_the_ill_and_the_well(stress: float, inflammation: float):
    for is_well in (False, True):
        life = strained(DAYS, stress=stress, inflammation=inflammation, is_well=is_well)
        found = assemble(INFUSION, days=DAYS, life=life, outputs=STATES)
        assert outside(found, numbers_of(load_parameters())) == {}


def test_any_virtual_patient_with_swings_of_mood_under_the_hardest_life():
    drawn: dict[str, Any] = {"people": typical(60), "is_drawn": True, "is_noisy": True}
    found = assemble(BUSY, days=DAYS, life=strained(DAYS), setting="open", outputs=STATES, **drawn)
    largest = numbers_of(load_parameters())
    for name, row in load_parameters().chain.items():
        if row.distribution == "lognormal":
            largest[name] = row.value * np.exp(5.0 * row.sd)
    assert outside(found, largest) == {}


def test_synapses_never_exceed_their_largest_density():
    for mechanism in ("disinhibition", "homeostasis"):
        parameters = with_(MECHANISMS[mechanism])
        daily = "ketamine 1 mg/kg iv over 40 min, daily x 3"
        found = assemble(daily, days=DAYS, parameters=parameters, outputs=STATES)
        for region in wiring.REGIONS:
            total = found.values[f"{region}.new_fraction"] + found.values[f"{region}.stable_fraction"]
            assert total.max() <= parameters.chain[f"{region}.largest_density_relative"].value


@pytest.fixture(scope="module")
def bounds() -> tuple[list[str], dict[str, np.ndarray], Everything]:
    """One patient for either bound of each parameter that may differ between people."""
    shared = "belief.session_saturation_h"
    rows = {
        name: row
        for name, row in load_parameters().chain.items()
        if row.kind != "structural" and name != shared
    }
    labels = [f"{name} {side}" for name in rows for side in ("low", "high")]
    values = {name: np.full(len(labels), row.value) for name, row in rows.items()}
    for place, (name, row) in enumerate(rows.items()):
        values[name][2 * place : 2 * place + 2] = row.low, row.high
    found = assemble(
        BUSY,
        days=DAYS,
        people=typical(len(labels)),
        values=values,
        life=strained(DAYS),
        setting="open",
        outputs=STATES,
    )
    return labels, values, found


def test_any_parameter_at_either_bound_of_its_row(
    bounds: tuple[list[str], dict[str, np.ndarray], Everything],
):
    labels, values, found = bounds
    scale = {state: float(np.abs(found.values[state]).max()) for state in STATES}
    wrong = {}
    for place, label in enumerate(labels):
        own = {name: numbers[place] for name, numbers in values.items()} | {
            name: number for name, number in numbers_of(load_parameters()).items() if name not in values
        }
        one = Everything(found.times_h, {state: found.values[state][place : place + 1] for state in STATES})
        if left := outside(one, own, scale=scale):
            wrong[label] = left
    assert wrong == {}


@pytest.mark.parametrize(
    "override",
    [
        {"signalling.trkb_block_fraction": 1.0},
        {"belief.resting_plasticity_fraction": 0.005},
        {"signalling.mtorc1_scale_relative": 0.0},
        {"stress.usual_stress_relative": 5.0},
        {"signalling.trkb_block_fraction": 0.99},
    ],
    ids=str,
)
def test_every_observable_can_be_asked_for_at_a_bound(override: dict[str, float]):
    found = simulate(INFUSION, days=1, parameters=with_(override), times_h=[0.0, 1.0, 24.0])
    assert all(np.isfinite(values).all() for values in found.values.values())


@pytest.mark.filterwarnings(f"ignore::{ResultWarning.__module__}.{ResultWarning.__name__}")
def test_an_anaesthetic_dose_under_the_hardest_life():
    life = Life(stress=(Pulse(0.0, 72.0, 5.0),), inflammation=(Pulse(0.0, 72.0, 5.0),))
    found = assemble("ketamine 10 mg/kg im", days=3.0, life=life, outputs=STATES)
    assert outside(found, numbers_of(load_parameters())) == {}
