"""Simulations with a posterior: every virtual patient has the numbers of its own draw, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.unit.population.posteriors import middle, spread, write

from euthymia import simulate
from euthymia.compute.serial import SerialExecutor
from euthymia.errors import InvalidInputError
from euthymia.files.results import simulation_json
from euthymia.model.parameters import load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population import solve
from euthymia.population.patient import Patient
from euthymia.population.posterior import PRIOR, Posterior
from euthymia.population.run import Life
from euthymia.population.screening import Entry
from euthymia.population.summarising import summarise
from euthymia.population.summary import totals

PARAMETERS = load_parameters()
REGIMEN = "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 2; escitalopram 10 mg po daily x 7"
NAMES = ["severity_fraction", "madrs_points", "suicidal_ideation_fraction", "ketamine_arterial"]
LIFE = Life(has_events=True)
TWELVE = 12


def run(patients: Any = TWELVE, **more: Any) -> Trajectory:
    given: dict[str, Any] = {"times_h": [0.0, 4.0, 24.0, 168.0], "variables": NAMES, "seed": 4, "life": LIFE}
    return simulate(REGIMEN, patients=patients, **(given | more))


def differing(
    found: Trajectory, right: Trajectory, rows: Any = slice(None), of: Any = slice(None)
) -> list[str]:
    """Return the variables whose bytes differ between patients of two results."""
    return [name for name in found.values if found[name][rows].tobytes() != right[name][of].tobytes()]


@pytest.fixture(scope="module")
def two() -> Posterior:
    return spread()


@pytest.fixture(scope="module", params=["numpy", "c"])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def whole(two: Posterior, engine: str) -> Trajectory:
    return run(posterior=two, engine=engine)


def test_the_prior_is_what_a_run_without_posterior_gives():
    plain, prior = run(), run(posterior=PRIOR)
    assert differing(prior, plain) == []
    assert plain.provenance == prior.provenance
    assert plain.provenance.posterior == ""
    document = simulation_json(plain, unit="ng/mL", command=[])
    assert "posterior" not in document["provenance"]


@pytest.mark.parametrize("count", [1, 2])
def test_draws_at_the_middle_of_the_prior_give_the_prior(engine: str, count: int):
    found, right = run(posterior=middle(count), engine=engine), run(engine=engine)
    for name in NAMES:
        assert_allclose(found[name], right[name], rtol=1e-12 if engine == "numpy" else 1e-6, atol=1e-12)


def test_each_patient_is_the_one_of_the_set_at_its_draw(two: Posterior, whole: Trajectory, engine: str):
    taken = two.draws_of(np.arange(1, TWELVE + 1), 4)
    assert 0 < taken.sum() < TWELVE
    for draw in (0, 1):
        alone = run(parameters=two.at_draw(PARAMETERS, draw), engine=engine)
        assert differing(whole, alone, taken == draw, taken == draw) == []
        assert "severity_fraction" in differing(whole, alone, taken != draw, taken != draw)


def test_a_patient_is_the_same_alone_and_in_any_company(
    two: Posterior, whole: Trajectory, engine: str, monkeypatch: pytest.MonkeyPatch
):
    more: dict[str, Any] = {"posterior": two, "engine": engine}
    assert differing(run([Patient()], numbers=[7], **more), whole, of=slice(6, 7)) == []
    some = run([Patient()] * 3, numbers=[9, 2, 12], **more)
    assert differing(some, whole, of=np.array([8, 1, 11])) == []
    monkeypatch.setattr(solve, "PATIENTS_PER_CHUNK", 5)
    assert differing(run(executor=SerialExecutor(), **more), whole) == []


def test_the_typical_patient_is_the_one_of_the_mean(two: Posterior, engine: str):
    found = run(None, posterior=two, engine=engine, life=None)
    right = run(None, parameters=two.at_center(PARAMETERS), engine=engine, life=None)
    assert differing(found, right) == []
    assert differing(found, run(None, engine=engine, life=None)) != []


def test_the_mean_is_one_set_for_all(two: Posterior, engine: str):
    found = run(posterior=two.mean(), engine=engine)
    right = run(parameters=two.mean().at_center(PARAMETERS), engine=engine)
    assert differing(found, right) == []


@pytest.mark.slow
def test_the_reference_solver_agrees(two: Posterior):
    taken = two.draws_of(np.arange(1, 5), 4)
    assert len(set(taken)) == 2
    asked: dict[str, Any] = {"times_h": [0.0, 2.0, 24.0], "days": 6, "posterior": two, "life": None}
    right, found = (run(4, engine=one, **asked) for one in ("reference", "c"))
    for name in ("severity_fraction", "suicidal_ideation_fraction"):
        assert_allclose(found[name], right[name], rtol=0, atol=1e-4)  # the tolerance of the engine


def test_what_is_enrolled_meets_the_rule_with_the_draw_that_the_run_gives(two: Posterior):
    entry = Entry(at_least_points=32)
    found = run(20, posterior=two, entry=entry)
    rated = totals(found, "MADRS", [0.0], parameters=PARAMETERS)[:, 0]
    assert rated.min() >= 32.0
    plain = run(20, entry=entry)
    assert found.patients != plain.patients  # swings of mood, which the draws change, are part of a rating


def test_overrides_stand_over_the_posterior(two: Posterior):
    own = PARAMETERS.with_overrides({name: PARAMETERS.chain[name].value for name in two.fields})
    assert differing(run(parameters=own, posterior=two), run(parameters=own)) == []


def test_the_result_names_the_posterior(two: Posterior, whole: Trajectory):
    label = f"hand-made {two.digest[:12]}"
    assert whole.provenance.posterior == label
    assert f"posterior {label}" in whole.provenance.covariates
    assert simulation_json(whole, unit="ng/mL", command=[])["provenance"]["posterior"] == label


def test_a_file_is_taken_by_its_path(two: Posterior, tmp_path: Path):
    path = write(two, tmp_path / "two.json")
    found = run(posterior=str(path))
    assert found.provenance.posterior == f"hand-made {two.digest[:12]}"
    for name in NAMES:  # a file holds six digits
        assert_allclose(found[name], run(posterior=two)[name], rtol=1e-3, atol=1e-6)


def test_a_summary_is_of_the_same_patients(two: Posterior):
    asked: dict[str, Any] = {
        "times_h": [0.0, 24.0],
        "variables": ["madrs_points"],
        "posterior": two,
        "seed": 4,
    }
    found = summarise(REGIMEN, patients=64, **asked)
    right = simulate(REGIMEN, patients=64, **asked)["madrs_points"]
    assert_allclose(found.curves["madrs_points"].mean, right.mean(axis=0), rtol=1e-12)
    assert found.provenance.posterior


@pytest.mark.parametrize(
    ("asked", "said"),
    [("posterior.json", "cannot be read"), ("mene", "Did you mean 'mean'"), ("mean", "is frozen")],
)
def test_bad_names_are_told(asked: str, said: str, monkeypatch: pytest.MonkeyPatch):
    from euthymia.population import posterior

    monkeypatch.setattr(posterior, "default_names", tuple)
    with pytest.raises(InvalidInputError, match=said):
        run(1, posterior=asked)
