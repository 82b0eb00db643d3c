"""Claim: the engines give what SciPy's LSODA gives for the same equations, to 1e-4.

The compiled engine does so on the grid of each schedule, for it checks every patient. NumPy's takes the usual
grid and no check: it needs steps half as long. The error of an output is its largest difference over patients
and times, relative to its largest value, which is its own scale. Shorter steps show the same error without
SciPy.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.equivalence.engine_runs import over, run, steps
from tests.standard.assembled import INFUSION, MECHANISMS, assemble, typical, with_

from euthymia import simulate
from euthymia.model.chain import FINENESS
from euthymia.model.chain import TOLERANCE as GRID_TOLERANCE
from euthymia.model.course import Pulse
from euthymia.model.trajectory import Trajectory
from euthymia.population.run import Life
from euthymia.population.surroundings import Taken

pytestmark = pytest.mark.slow

ER = "ketamine 180 mg er"
FINE = 2.0 * FINENESS
"""Steps of NumPy's engine with which every route keeps the tolerance."""
UNCHECKED_TOLERANCE = 5e-4
"""What the usual steps keep without a check: 4e-4 where an anaesthesia ends, 3e-4 after a bolus."""
EVENTFUL = with_({"life.event_rate_per_year": 20.0})


class Case(NamedTuple):
    """What both engines are asked."""

    regimen: str
    days: float
    more: dict[str, Any]


CASES = {
    "infusion": Case(INFUSION, 3.0, {}),
    "two bolus doses": Case("ketamine 0.5 mg/kg iv bolus at 0, 30 h", 2.0, {"setting": "none"}),
    "nasal, therapy and antidepressant": Case(
        "esketamine 84 mg in; CBT 50 min at 24 h; escitalopram 10 mg po, daily x 5 from -1 d", 3.0, {}
    ),
    "oral, other mechanisms, hard life": Case(
        "ketamine 140 mg oral",
        2.0,
        {
            "parameters": with_(MECHANISMS["all routes, half trapped"]),
            "life": Life(stress=(Pulse(1.0, 30.0, 3.0),), inflammation=(Pulse(6.0, 40.0, 2.0),)),
        },
    ),
    "virtual patients with swings of mood": Case(INFUSION, 2.0, {"patients": 3}),
    "extended release": Case(ER, 1.5, {"setting": "none"}),
    "asleep, ECT, prepared, on an antidepressant": Case(
        f"preparation 60 min at -20 h; {INFUSION}; ECT at 26 h",
        2.0,
        {
            "setting": "anaesthesia+admission",
            "life": Life(taken=(Taken.create("sertraline 50 mg until day 1"),)),
        },
    ),
    "events of life": Case(
        INFUSION, 3.0, {"patients": 2, "life": Life(has_events=True), "parameters": EVENTFUL}
    ),
    "all that may surround the drug": Case(
        "preparation 60 min at -1 d; escitalopram 10 mg po, daily x 5 from -1 d; "
        f"{INFUSION}; midazolam 0.045 mg/kg iv over 40 min; CBT 50 min at 26 h; ECT at 50 h",
        3.0,
        {
            "setting": "midazolam+admission",
            "life": Life(
                stress=(Pulse(30.0, 60.0, 3.0),),
                taken=(Taken(drug="sertraline", daily_mg=50.0, until_h=24.0),),
                has_events=True,
            ),
            "patients": 2,
        },
    ),
}


@cache
def right(name: str) -> Trajectory:
    """Return what SciPy gives."""
    case = CASES[name]
    return run(case.regimen, days=case.days, engine="reference", **case.more)


@pytest.mark.parametrize("name", CASES)
def test_every_output_of_the_compiled_engine_equals_the_reference_to_1e_4(name: str):
    case = CASES[name]
    found = run(case.regimen, days=case.days, engine="c", **case.more)
    assert found.provenance.engine.startswith("c ")
    assert len(found.values) > 40
    assert over(found, right(name), GRID_TOLERANCE) == {}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("fineness", "tolerance"), [(FINE, GRID_TOLERANCE), (FINENESS, UNCHECKED_TOLERANCE)])
def test_every_output_by_numpy_equals_the_reference(name: str, fineness: float, tolerance: float):
    case = CASES[name]
    with steps(fineness):
        found = run(case.regimen, days=case.days, engine="numpy", **case.more)
    assert over(found, right(name), tolerance) == {}


def test_the_reference_says_how_it_was_made():
    course = simulate(None, days=1, engine="reference", times_h=[0.0, 24.0])
    assert "LSODA" in course.certificate.method
    assert course.certificate.patients_by_reference_solver == 1
    assert course.certificate.tolerance_relative < GRID_TOLERANCE


def test_engines_agree_where_an_antidepressant_ends_with_the_run():
    regimen = "escitalopram 10 mg po, daily x 2"
    last = [
        simulate(regimen, days=2, engine=engine, times_h=[0.0, 48.0])["sert_occupancy_fraction"][0, -1]
        for engine in ("numpy", "reference", "c")
    ]
    assert last[0] == last[1]
    assert last[2] == np.float32(last[1])


# --- shorter steps ---------------------------------------------------------------------------------

ROUTES = {
    "infusion": INFUSION,
    "bolus": "ketamine 0.5 mg/kg iv bolus",
    "intramuscular": "ketamine 0.5 mg/kg im",
    "nasal": "esketamine 84 mg in",
    "sublingual": "ketamine 60 mg sublingual",
    "oral": "ketamine 140 mg oral",
    "extended release": ER,
    "therapy and antidepressant": f"{INFUSION}; CBT 50 min at 24 h; escitalopram 10 mg po, daily x 3",
}


FELT = ("expectancy.felt_dissociation_points", "expectancy.felt_drowsiness_fraction")
"""Memories of a peak that is followed within minutes. No observable: what becomes of them is the belief."""
FELT_TOLERANCE = 3e-4


def by_steps(route: str, fineness: float, setting: str = "open") -> dict[str, np.ndarray]:
    """Return every state and output of 40 virtual patients over two days."""
    times = np.unique(np.concatenate([np.linspace(0.0, 6.0, 181), np.linspace(6.0, 48.0, 85)]))
    return assemble(
        ROUTES[route],
        days=2.0,
        people=typical(40),
        is_drawn=True,
        is_noisy=True,
        setting=setting,
        times_h=times,
        fineness=fineness,
    ).values


@cache
def halving(route: str, setting: str = "open") -> dict[str, float]:
    """Return by how much each state and output moves when steps are half as long."""
    coarse, fine = (by_steps(route, fineness, setting) for fineness in (FINE, 2.0 * FINE))
    return {
        name: float(np.abs(coarse[name] - values).max() / max(np.abs(values).max(), 1e-12))
        for name, values in fine.items()
    }


@pytest.mark.parametrize("route", ROUTES)
def test_shorter_steps_move_nothing_by_more_than_1e_4(route: str):
    moved = halving(route)
    assert len(moved) > 60
    assert {name: error for name, error in moved.items() if not error <= allowed(name)} == {}


def allowed(name: str) -> float:
    return FELT_TOLERANCE if name in FELT else GRID_TOLERANCE


BLINDED = pytest.mark.parametrize("route", ["infusion", "intramuscular", "oral"])


@BLINDED
def test_shorter_steps_move_no_belief_that_is_concluded_from_what_is_felt(route: str):
    moved = halving(route, "midazolam")
    for name in ("belief_to_be_on_drug_fraction", "expectancy_fraction"):
        assert moved[name] <= GRID_TOLERANCE
    assert all(moved[name] <= FELT_TOLERANCE for name in FELT)


def test_shorter_steps_move_nothing_by_more_than_1e_4_where_a_verdict_shifts_the_steps():
    moved = halving("oral", "midazolam")
    assert {name: error for name, error in moved.items() if not error <= allowed(name)} == {}


def test_error_falls_with_the_length_of_steps():
    """Kinks of the equations lie between grid points, so that the order is below the method's four."""
    finest = by_steps("infusion", 16.0)["severity_fraction"]
    off = [
        np.abs(by_steps("infusion", fineness)["severity_fraction"] - finest).max()
        for fineness in (1.0, 2.0, 4.0)
    ]
    assert off[1] < 0.4 * off[0]
    assert off[2] < 0.4 * off[1]
