"""How numbers of a trial scatter: hand-made cases, gaps, none between studies, tasks that cover all."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.calibration.problems import parameters, spreads

from euthymia.calibration.runs import POINT, Task
from euthymia.calibration.scatter import FEWEST, UNKNOWN_SD, covariance_of, joined, scatter_tasks
from euthymia.calibration.targets import load_targets
from euthymia.model.parameters import DEFAULT_SET, load_parameters
from euthymia.trials.protocols import load_protocol

COUNT = 60


def _values(names: list[str], covariance: np.ndarray, count: int = COUNT) -> dict[str, list[float]]:
    drawn = np.random.default_rng(5).multivariate_normal(np.zeros(len(names)), covariance, count)
    return {name: list(column) for name, column in zip(names, drawn.T, strict=True)}


def test_covariance_is_that_of_the_replicates_with_correlations_drawn_towards_none():
    targets = spreads(2)
    values = _values([one.name for one in targets], np.array([[1.0, 0.8], [0.8, 4.0]]))
    found = covariance_of(targets, values)
    sample = np.cov(np.array([values[one.name] for one in targets]))
    np.testing.assert_allclose(np.diag(found), np.diag(sample), rtol=1e-12)
    assert found[0, 1] == pytest.approx(sample[0, 1] * COUNT / (COUNT + 2), rel=1e-12)


def test_numbers_of_different_studies_do_not_hang_together():
    targets = spreads(4)
    assert targets[0].trials == targets[1].trials
    shared = np.random.default_rng(1).normal(size=COUNT)
    found = covariance_of(targets, {one.name: list(shared * (k + 1)) for k, one in enumerate(targets)})
    for i, one in enumerate(targets):
        for j, other in enumerate(targets):
            assert (found[i, j] != 0.0) == (one.trials == other.trials)


def test_few_replicates_say_nothing_of_correlations():
    targets = spreads(2)
    values = _values([one.name for one in targets], np.array([[1.0, 0.9], [0.9, 1.0]]), 3 * FEWEST - 1)
    found = covariance_of(targets, values)
    assert found[0, 1] == 0.0
    assert found[0, 0] == pytest.approx(np.var(values[targets[0].name], ddof=1))


def test_gaps_are_left_out_and_a_number_with_many_hangs_together_with_nothing():
    targets = spreads(2)
    values = _values([one.name for one in targets], np.array([[1.0, 0.8], [0.8, 4.0]]))
    rare = values[targets[1].name]
    rare[: COUNT // 2] = [np.nan] * (COUNT // 2)
    found = covariance_of(targets, values)
    assert found[1, 1] == pytest.approx(np.var(rare[COUNT // 2 :], ddof=1), rel=1e-12)
    assert found[0, 1] == 0.0


def test_a_number_that_no_replicate_has_is_hardly_known():
    targets = spreads(2)
    values = _values([one.name for one in targets], np.eye(2))
    values[targets[1].name] = [np.nan] * COUNT
    found = covariance_of(targets, values)
    np.testing.assert_allclose(found[1], [0.0, UNKNOWN_SD**2], rtol=1e-12)


def test_a_printed_interval_stands_in_place_of_the_scatter():
    targets = spreads(2)
    targets = (targets[0], replace(targets[1], printed_sd=0.7))
    values = _values([one.name for one in targets], np.eye(2))
    assert covariance_of(targets, values)[1, 1] == pytest.approx(0.49, rel=1e-12)


def test_covariances_can_be_factored_with_a_number_printed_twice():
    targets = spreads(2)
    same = list(np.random.default_rng(1).normal(size=COUNT))
    found = covariance_of(targets, {one.name: same for one in targets})
    assert np.linalg.eigvalsh(found).min() > 0.0


@pytest.fixture(scope="module")
def like() -> Task:
    return Task(
        name="scatter",
        z=(0.0, 0.0),
        calibrated=parameters(2),
        targets=load_targets(),
        parameters=load_parameters(DEFAULT_SET),
        seed=1,
    )


def test_every_replicate_of_every_target_is_run_once(like: Task):
    tasks = scatter_tasks(like, 40)
    assert len({one.name for one in tasks}) == len(tasks)
    assert not any(one.is_pooled for one in tasks)
    runs = Counter(
        (target.name, number) for task in tasks for target in task.targets for number in task.replicates
    )
    assert set(runs.values()) == {1}
    for target in like.targets:
        numbers = sorted(number for name, number in runs if name == target.name)
        assert numbers == list(range(len(numbers)))
        days = max(load_protocol(name).visits_h[-1] for name in target.trials) / 24.0
        assert len(numbers) == (40 if days <= 120.0 else FEWEST), target.name


def test_targets_that_pool_trials_are_run_with_all_of_them(like: Task):
    for task in scatter_tasks(like, 10):
        trials = {name for one in task.targets for name in one.trials}
        assert all(set(one.trials) <= trials for one in task.targets)
        assert all(part in task.name for part in trials)


def test_pieces_are_joined_in_order_without_their_points():
    parts = [{POINT: [0.0], "a": [1.0, 2.0]}, {POINT: [0.0], "a": [3.0]}]
    assert joined(iter(parts)) == {"a": [1.0, 2.0, 3.0]}
