"""The posterior that ships, its points, and whether this version would still give them."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from euthymia.calibration.fit import Plan, Work, evidence_digests, learn
from euthymia.calibration.runs import POINT, Task, run_point
from euthymia.calibration.sampling import sample
from euthymia.calibration.targets import load_targets
from euthymia.compute.serial import SerialExecutor
from euthymia.files.fit_folder import PointArchive
from euthymia.model.parameters import load_parameters
from euthymia.population.posterior import (
    calibrated_parameters,
    digest_of,
    load_posterior,
    posterior_json,
    posterior_names,
)
from euthymia.population.run import ENGINE_VARIABLE

DATA = Path(str(resources.files("euthymia"))) / "data" / "calibration"
NAMES = posterior_names()
SECOND = 94
PLAN = Plan(second_points=SECOND)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def archive(name: str) -> PointArchive:
    return PointArchive(DATA / "points" / f"{name}.zip")


def test_one_ships():
    assert NAMES == ("euthymia-1",)


def test_its_digest_is_that_of_its_content(name: str):
    content = json.loads((DATA / "posteriors" / f"{name}.json").read_text(encoding="utf-8"))
    assert content["digest"] == digest_of(content)
    assert digest_of(posterior_json(load_posterior(name))) == content["digest"]


def test_its_draws_can_be_trusted(name: str):
    diagnostics = load_posterior(name).diagnostics
    assert max(diagnostics["r_hat"].values()) < 1.01
    assert min(diagnostics["ess"].values()) > 400
    assert diagnostics["recovery"]["data_sets"] >= 60
    assert diagnostics["recovery"]["smallest_p"] > 0.01


def test_evidence_priors_and_rules_are_still_those_that_it_was_fitted_to(name: str):
    """Where this fails, rows, protocols or priors have changed: run 'euthymia fit' again."""
    fitted, now = load_posterior(name).evidence, evidence_digests(load_targets(), PLAN)
    for key in ("rows", "rows_digest", "protocols", "tables"):
        assert fitted[key] == now[key]
        if key in archive(name).manifest:
            assert archive(name).manifest[key] == now[key]


@pytest.mark.slow
def test_the_model_still_gives_the_points(name: str, monkeypatch: pytest.MonkeyPatch):
    """Where this fails, the model has changed: run 'euthymia fit' again."""
    monkeypatch.setenv(ENGINE_VARIABLE, "c")
    kept = archive(name).load("second-0000")
    assert kept is not None
    wanted = {("murrough-2013",), ("singh-2016-thrice",), ("zarate-2006",)}
    targets = tuple(one for one in load_targets() if one.trials in wanted)
    task = Task(
        name="again",
        z=tuple(kept[POINT]),
        calibrated=calibrated_parameters(),
        targets=targets,
        parameters=load_parameters(),
        seed=PLAN.seed,
        patients=PLAN.patients,
    )
    found = run_point(task, engine="c")
    for one in targets:
        assert found[one.name] == pytest.approx(kept[one.name], rel=1e-6), one.name


@pytest.mark.slow
def test_fewer_draws_from_the_same_points_are_of_the_same_posterior(name: str):
    work = Work(
        calibrated=calibrated_parameters(),
        targets=load_targets(),
        parameters=load_parameters(),
        plan=replace(PLAN, steps=600),
        store=None,
        earlier=archive(name),
        executor=SerialExecutor(),
        engine="c",
        stage=_silent,
    )
    known = learn(work)
    drawn = sample(known.likelihood, steps=1200, kept=400, ensembles=2, seed=3)
    size = len(work.calibrated)
    again = drawn.draws.reshape(-1, drawn.draws.shape[-1])[:, :size]
    shipped = load_posterior(name)
    z = np.stack(
        [one.to_normal(shipped.flat[:, place]) for place, one in enumerate(shipped.parameters)], axis=1
    )
    z = np.clip(z, *known.likelihood.limits.T)
    error = np.sqrt(z.var(axis=0) / 400 + again.var(axis=0) / 100)
    assert (np.abs(z.mean(axis=0) - again.mean(axis=0)) < 4.5 * error).all()
    assert again.std(axis=0) == pytest.approx(z.std(axis=0), rel=0.3)


def _silent(title: str):
    from contextlib import nullcontext

    del title
    return nullcontext()
