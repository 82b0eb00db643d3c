"""A small real fit: resumed it is the same, in two processes too, and knows what it was made from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from euthymia.calibration import runs
from euthymia.calibration.fit import Fit, Plan, Values, evidence_digests, fit
from euthymia.calibration.runs import MEAN_OF, POINT, Task, numbers_at, run_point
from euthymia.calibration.targets import Target, load_targets
from euthymia.compute.executor import Executor
from euthymia.compute.processes import ProcessExecutor
from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.model.parameters import DEFAULT_SET, load_parameters
from euthymia.population.posterior import calibrated_parameters, posterior_json, read_posterior
from euthymia.trials.replication_values import quantity_of

FREE = tuple(one for one in calibrated_parameters() if one.name in ("synapse_weight", "expectancy_weight"))
TRIAL = "murrough-2013"
PLAN = Plan(points=12, second_points=4, replicates=8, steps=100, recoveries=0, patients=72)


def _targets() -> tuple[Target, ...]:
    return tuple(one for one in load_targets() if one.trials == (TRIAL,))


@dataclass
class Memory:
    """Keeps points in memory, until there are so many."""

    points: dict[str, Values] = field(default_factory=dict)
    stops_after: int = 10_000

    def load(self, name: str) -> Values | None:
        found = self.points.get(name)
        return None if found is None else {key: list(row) for key, row in found.items()}

    def save(self, name: str, values: Mapping[str, Sequence[float]]) -> None:
        self.stops_after -= 1
        if self.stops_after < 0:
            raise KeyboardInterrupt
        self.points[name] = {key: list(row) for key, row in values.items()}


def _fit(
    store: Memory | None = None,
    *,
    plan: Plan = PLAN,
    earlier: Memory | None = None,
    executor: Executor | None = None,
) -> Fit:
    return fit(
        FREE,
        _targets(),
        load_parameters(DEFAULT_SET),
        name="small",
        plan=plan,
        store=store,
        earlier=earlier,
        executor=executor,
    )


def _bytes(found: Fit) -> tuple[str, bytes]:
    return str(posterior_json(found.posterior)), found.predicted.tobytes()


@pytest.fixture(scope="module")
def kept() -> Memory:
    return Memory()


@pytest.fixture(scope="module")
def whole(kept: Memory) -> Fit:
    return _fit(kept)


@pytest.mark.slow
def test_a_fit_gives_a_posterior_that_can_be_read(whole: Fit):
    posterior = whole.posterior
    assert posterior.draws.shape == (4, 100, 2)
    for place, one in enumerate(FREE):
        assert one.low <= posterior.flat[:, place].min()
        assert posterior.flat[:, place].max() <= one.high
    again = read_posterior(json.dumps(posterior_json(posterior)), "here")
    assert again.digest == posterior.digest
    assert posterior.evidence == evidence_digests(_targets(), PLAN)
    assert posterior.fits(load_parameters(DEFAULT_SET))
    assert whole.predicted.shape == (4000, len(whole.likelihood.targets))


@pytest.mark.slow
def test_numbers_beside_each_other_pull_the_posterior_to_the_published_trial(whole: Fit):
    """Hope alone gives less than the midazolam arm had: the weight of hope must rise."""
    rows = {row["name"]: row for row in whole.posterior.diagnostics["shifts"]}
    assert rows["expectancy_weight"]["left_sd"] < 1.0
    names = [one.name for one in whole.likelihood.targets]
    control = names.index("T0007a")
    prior = whole.likelihood.emulator(np.zeros((1, 2)))[0, control]
    published = whole.likelihood.observed[control]
    assert abs(whole.predicted[:, control].mean() - published) < abs(prior - published)


@pytest.mark.slow
@pytest.mark.parametrize("after", [5, 14])
def test_a_fit_that_was_stopped_goes_on_to_the_same_bytes(whole: Fit, kept: Memory, after: int):
    """Stopped among the first points, and while the scatter is run."""
    stopped = Memory(stops_after=after)
    with pytest.raises(KeyboardInterrupt):
        _fit(stopped)
    assert len(stopped.points) == after
    assert all(stopped.points[name] == kept.points[name] for name in stopped.points)
    assert _bytes(_fit(Memory(points=stopped.points))) == _bytes(whole)


@pytest.mark.slow
def test_a_whole_folder_runs_nothing_again(whole: Fit, kept: Memory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runs, "run_replicates", _refuse)
    assert _bytes(_fit(Memory(points=kept.points))) == _bytes(whole)


def _refuse(*_: object, **__: object) -> None:
    pytest.fail("A trial was run that was kept.")


@pytest.mark.slow
def test_broken_and_incomplete_points_are_run_again(whole: Fit, kept: Memory):
    damaged = Memory(points={**kept.points})
    names = sorted(damaged.points)
    first = next(name for name in names if name.startswith("prior"))
    scatter = next(name for name in names if name.startswith("scatter-prior"))
    damaged.points[first] = {POINT: damaged.points[first][POINT], "T0006a": [0.0]}
    damaged.points[scatter] = {name: row[:1] for name, row in damaged.points[scatter].items()}
    assert _bytes(_fit(damaged)) == _bytes(whole)


@pytest.mark.slow
def test_an_earlier_fit_gives_its_points_and_only_what_it_lacks_is_run(whole: Fit, kept: Memory):
    lacking = Memory(
        points={
            name: {key: row for key, row in values.items() if "T0103b" not in key}
            for name, values in kept.points.items()
        }
    )
    again = Memory()
    assert _bytes(_fit(again, earlier=lacking)) == _bytes(whole)
    assert again.points == kept.points


@pytest.mark.slow
def test_two_processes_give_the_bytes_of_one(whole: Fit):
    assert _bytes(_fit(executor=ProcessExecutor(2))) == _bytes(whole)


@pytest.mark.slow
def test_truths_of_a_small_fit_are_found_again(kept: Memory, whole: Fit):
    found = _fit(Memory(points=kept.points), plan=replace(PLAN, recoveries=3))
    assert found.recovered.ranks.shape == (3, 2)
    check = found.posterior.diagnostics["recovery"]
    assert check["data_sets"] == 3
    assert set(check["coverage_90"]) == {one.name for one in FREE}
    assert whole.posterior.diagnostics["recovery"] == {"data_sets": 0, "smallest_p": None, "coverage_90": {}}


@pytest.mark.slow
def test_a_number_that_hardly_any_point_has_is_left_out_and_named(kept: Memory):
    gone = Memory(
        points={
            name: {key: [float("nan")] * len(row) if key == "T0103b" else row for key, row in values.items()}
            for name, values in kept.points.items()
        }
    )
    found = _fit(gone)
    assert "T0103b" not in {one.name for one in found.likelihood.targets}
    assert [one.name for one in found.left] == ["T0103b"]
    assert found.points_without == {"T0103b": 16}


@pytest.mark.slow
def test_stages_are_told_in_order(kept: Memory, whole: Fit):
    titles: list[str] = []

    @contextmanager
    def stage(title: str) -> Iterator[None]:
        titles.append(title)
        yield None

    store, model = Memory(points=kept.points), load_parameters(DEFAULT_SET)
    fit(FREE, _targets(), model, name="small", plan=PLAN, store=store, stage=stage)
    assert titles[0] == "points over the prior"
    assert titles[-1] == "known truths found again"
    assert titles.index("draws of the first posterior") < titles.index("points around the first posterior")


def test_nothing_to_fit_is_refused():
    with pytest.raises(InvalidInputError, match="published numbers"):
        fit(FREE, (), load_parameters(DEFAULT_SET), name="none", plan=PLAN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("points", 7),
        ("second_points", -1),
        ("replicates", 7),
        ("steps", 99),
        ("recoveries", -1),
        ("patients", 0),
    ],
)
def test_too_little_is_refused(name: str, value: int):
    with pytest.raises(InvalidInputError, match=f"'{name}' must be .* or more. Got {value}"):
        replace(PLAN, **{name: value})


def _task(**more: object) -> Task:
    given = {
        "name": "one",
        "z": (0.4, -0.3),
        "calibrated": FREE,
        "targets": _targets(),
        "parameters": load_parameters(DEFAULT_SET),
        "seed": 1,
        "patients": 72,
    }
    return Task(**(given | more))  # type: ignore[arg-type]


def test_numbers_at_a_point_are_kept_within_their_bounds():
    low, high = numbers_at(FREE, (-50.0, 50.0))
    assert (low, high) == (FREE[0].low, FREE[1].high)
    np.testing.assert_allclose(numbers_at(FREE, (0.0, 0.0)), [one.middle for one in FREE], rtol=1e-12)


def test_a_point_gives_every_number_and_the_means_that_shares_follow():
    found = run_point(_task())
    shares = {one.name for one in _targets() if one.mean_run is not None}
    assert set(found) == {POINT, *(one.name for one in _targets()), *(MEAN_OF + name for name in shares)}
    assert found[POINT] == [0.4, -0.3]
    assert all(len(row) == 1 for name, row in found.items() if name != POINT)
    means = {one.run.arms: found[one.name][0] for one in _targets() if one.run.quantity == "mean_change"}
    (contrast,) = (found[one.name][0] for one in _targets() if one.run.quantity == "contrast_change")
    assert np.isfinite(contrast)
    assert means["ketamine",] < means["midazolam",]


def test_points_differ_by_their_parameters_alone():
    """Common people and chance: a point comes again to the bit, more hope moves the control arm down."""
    first, again = run_point(_task()), run_point(_task(name="another"))
    assert first == again
    hopeful = run_point(_task(z=(0.4, 1.2)))
    assert hopeful["T0007a"][0] < first["T0007a"][0]


@pytest.mark.parametrize(("is_pooled", "count"), [(True, 1), (False, 3)])
def test_a_trial_that_cannot_be_run_leaves_gaps(monkeypatch: pytest.MonkeyPatch, is_pooled: bool, count: int):
    def fail(*_: object, **__: object) -> None:
        message = "no such course"
        raise RunFailedError(message)

    monkeypatch.setattr(runs, "run_replicates", fail)
    found = run_point(_task(replicates=(0, 1, 2), is_pooled=is_pooled))
    assert all(np.isnan(found[one.name]).all() and len(found[one.name]) == count for one in _targets())


def test_replicates_read_one_by_one_are_those_read_alone(monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []

    def counted(cohorts: Sequence[object], run: object) -> float:
        seen.append(len(cohorts))
        return quantity_of(cohorts, run)  # type: ignore[arg-type]

    monkeypatch.setattr("euthymia.calibration.targets.quantity_of", counted)
    both = run_point(_task(replicates=(0, 1), is_pooled=False))
    assert set(seen) == {1}
    second = run_point(_task(replicates=(1,), is_pooled=False))
    assert all(both[one.name][1] == second[one.name][0] for one in _targets())
