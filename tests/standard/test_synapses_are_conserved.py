"""Claim: synapses are conserved: the formed die, are pruned or mature, and the matured are stable."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.standard.assembled import Everything, assemble, strained
from tests.standard.assembled import with_ as overridden

from euthymia.engine.grid import make_grid
from euthymia.model.parameters import load_parameters
from euthymia.model.wiring import REGIONS

pytestmark = pytest.mark.slow

Array = NDArray[np.float64]
DAYS = 5.0
REGIMEN = "ketamine 1 mg/kg iv over 40 min; CBT 60 min at 24 h; escitalopram 10 mg po, daily x 5"
MARKS_H = (0.0, 2.0 / 3.0, 24.0, 25.0, 1.0, 96.0)
CASES: dict[str, dict[str, float]] = {
    "shipped": {},
    "fast maturation": {f"{region}.stabilisation_rate_per_h": 0.01 for region in REGIONS},
    "therapy stabilises": {
        f"{region}.{field}": number
        for region in REGIONS
        for field, number in (("stabilisation_rate_per_h", 0.01), ("stabilisation_by_therapy_relative", 5.0))
    },
    "homeostasis": {
        f"{region}.{field}": number
        for region in REGIONS
        for field, number in (
            ("homeostasis_rate_per_h", 1.0),
            ("largest_density_relative", 1.3),
            ("formation_rate_per_h", 0.1),
        )
    },
}


def nodes() -> tuple[Array, Array]:
    """Return Gauss points and weights of pieces that follow every mark, (pieces, 5)."""
    edges = make_grid(0.0, DAYS * 24.0, MARKS_H, fineness=1.5)
    points, weights = np.polynomial.legendre.leggauss(5)
    half, middle = 0.5 * np.diff(edges), 0.5 * (edges[1:] + edges[:-1])
    return middle[:, None] + half[:, None] * points, half[:, None] * weights


TIMES, WEIGHTS = nodes()


def terms(values: dict[str, Array], region: str, p: Any) -> dict[str, Array]:
    """Return what the model's equations (section 6) say of one region, per hour, at every Gauss point."""
    new, stable = values[f"{region}.new_fraction"], values[f"{region}.stable_fraction"]
    drive = (
        values["signalling.protein_relative"]
        + p(f"{region}.formation_by_ssri_relative") * values["ssri.adaptation_fraction"]
    )
    deficit = p(f"{region}.deficit_fraction")
    load = (
        values["stress.stress_relative"]
        + p(f"{region}.inflammation_on_synapses_relative") * values["stress.inflammation_relative"]
    )
    gap = 1.0 / (1.0 + deficit / (1.0 - deficit) * load) - stable
    up, down = 1.0 / p(f"{region}.recovery_time_h"), 1.0 / p(f"{region}.loss_time_h")
    size = np.sqrt(gap**2 + 0.01**2) - 0.01
    by_therapy = p(f"{region}.stabilisation_by_therapy_relative") * values["learning_relative"]
    excess = np.maximum(new + stable - 1.0, 0.0)
    pruned_share = p(f"{region}.homeostasis_rate_per_h") * excess**2 / (1.0 + excess)
    room = p(f"{region}.largest_density_relative") - stable - new
    return {
        "formed": p(f"{region}.formation_rate_per_h") * drive * room,
        "died": new / p(f"{region}.new_time_h"),
        "matured": p(f"{region}.stabilisation_rate_per_h") * (1.0 + by_therapy) * new,
        "pruned": pruned_share * new,
        "pruned stable": pruned_share * stable,
        "relaxed": 0.5 * (up + down) * gap + 0.5 * (up - down) * size,
    }


@cache
def solved(case: str) -> Everything:
    """Return every state and output of a case at the Gauss points and at both ends."""
    times = np.union1d(TIMES.ravel(), [0.0, DAYS * 24.0])
    life, parameters = strained(DAYS, stress=1.0), overridden(CASES[case])
    return assemble(REGIMEN, days=DAYS, parameters=parameters, life=life, times_h=times, fineness=2.0)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("case", CASES)
def test_what_matures_leaves_the_new_and_enters_the_stable(case: str, region: str):
    parameters, found = overridden(CASES[case]), solved(case)
    inner = {name: values[0, 1:-1].reshape(TIMES.shape) for name, values in found.values.items()}
    flows = terms(inner, region, lambda name: parameters.chain[name].value)
    total = {name: float((rate * WEIGHTS).sum()) for name, rate in flows.items()}
    new, stable = (found.values[f"{region}.{kind}_fraction"][0] for kind in ("new", "stable"))
    scale = total["formed"]
    assert scale > 0.02
    assert total["matured"] > 1e-2 * scale
    lost = total["died"] + total["pruned"] + total["matured"]
    assert new[-1] - new[0] == pytest.approx(total["formed"] - lost, abs=1e-5 * scale)
    gained = total["matured"] + total["relaxed"] - total["pruned stable"]
    assert stable[-1] - stable[0] == pytest.approx(gained, abs=1e-5 * scale)
    if case == "homeostasis":
        assert total["pruned"] > 1e-3 * scale


def test_both_regions_start_in_balance_with_the_episode():
    found = assemble(None, days=1.0)
    for region in REGIONS:
        inner = {name: values[0, :1] for name, values in found.values.items()}
        flows = terms(inner, region, lambda name: load_parameters().chain[name].value)
        assert all(abs(float(rate[0])) <= 1e-12 for rate in flows.values())
        assert inner[f"{region}.new_fraction"][0] == 0.0
