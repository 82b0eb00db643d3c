"""The likelihood: the normal density with its covariance written out, effects of studies, the prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import halfnorm, multivariate_normal, norm
from tests.unit.calibration.problems import parameters, problem

from euthymia.calibration import likelihood as module
from euthymia.calibration.emulator import Emulator, features
from euthymia.calibration.likelihood import (
    STUDY_EFFECTS,
    Likelihood,
    loadings_of,
    make_likelihood,
    own_sd,
    rules,
)
from euthymia.calibration.targets import Target, load_targets
from euthymia.trials.protocols import load_protocol
from euthymia.trials.replication_all import bundles

SIZE = 3
BOUNDS = np.tile([-2.0, 2.5], (SIZE, 1))


def _scatter(count: int, seed: int) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(size=(count, count))
    return factor @ factor.T / count + 0.1 * np.eye(count)


@pytest.fixture(scope="module")
def whole() -> tuple[Likelihood, np.ndarray, np.ndarray]:
    """Every target under an emulator, a scatter and slopes of chance."""
    targets = load_targets()
    count, rng = len(targets), np.random.default_rng(2)
    emulator = Emulator(
        coefficients=rng.normal(size=(features(np.zeros((1, SIZE))).shape[1], count)),
        error_sd=rng.uniform(0.05, 0.5, count),
        explained=np.ones(count),
    )
    scatter, slope = _scatter(count, 3), -rng.uniform(0.0, 0.05, count)
    return make_likelihood(parameters(SIZE), targets, emulator, scatter, slope, BOUNDS), scatter, slope


def _study_of(targets: tuple[Target, ...]) -> list[int]:
    groups = bundles([one.run for one in targets])
    return [next(k for k, names in enumerate(groups) if set(one.trials) <= set(names)) for one in targets]


def _written_out(
    likelihood: Likelihood, scatter: np.ndarray, loads: Sequence[tuple[float, float]], sds: np.ndarray
) -> np.ndarray:
    """The covariance element by element: what the description says, with none of the code."""
    targets, study = likelihood.targets, _study_of(likelihood.targets)
    found = np.zeros_like(scatter)
    for i, one in enumerate(targets):
        for j in range(len(targets)):
            if study[i] != study[j]:
                continue
            found[i, j] = scatter[i, j]
            found[i, j] += sum(loads[i][k] * loads[j][k] * sds[k] ** 2 for k in range(2))
            if i == j:
                found[i, j] += own_sd(one) ** 2 + likelihood.emulator.error_sd[i] ** 2
    return found


def test_log_density_is_that_of_the_covariance_written_out(whole):
    likelihood, scatter, slope = whole
    points = np.random.default_rng(4).normal(size=(5, likelihood.size))
    loads = [loadings_of(one, x) for one, x in zip(likelihood.targets, slope, strict=True)]
    found = likelihood.log_likelihood(points)
    for point, value in zip(points, found, strict=True):
        covariance: Any = _written_out(likelihood, scatter, loads, np.exp(point[SIZE:]))
        mean = features(point[None, :SIZE])[0] @ likelihood.emulator.coefficients
        expected = multivariate_normal.logpdf(likelihood.observed, mean, covariance)
        assert value == pytest.approx(expected, rel=1e-10)
        np.testing.assert_allclose(likelihood.covariance(np.exp(point[SIZE:])), covariance, atol=1e-10)


def test_studies_stand_by_themselves(whole):
    likelihood, _, _ = whole
    points = np.random.default_rng(4).normal(size=(3, likelihood.size)) * 0.5
    parts = likelihood.by_study(points)
    assert parts.shape == (3, len(likelihood.blocks))
    np.testing.assert_allclose(parts.sum(axis=1), likelihood.log_likelihood(points), rtol=1e-12)
    others = likelihood.without(2).log_likelihood(points)
    np.testing.assert_allclose(others, np.delete(parts, 2, axis=1).sum(axis=1), rtol=1e-12)


def test_each_row_of_points_is_judged_by_itself(whole):
    likelihood, _, _ = whole
    points = np.random.default_rng(4).normal(size=(4, likelihood.size)) * 0.5
    alone = [likelihood.log_posterior(point[None])[0] for point in points]
    np.testing.assert_allclose(likelihood.log_posterior(points), alone, rtol=1e-12)


def test_prior_is_normal_and_half_normal_in_the_sds_between_studies(whole):
    likelihood, _, _ = whole
    points = np.random.default_rng(5).normal(size=(6, likelihood.size)) * 0.7
    expected = norm.logpdf(points[:, :SIZE]).sum(axis=1)
    for place, name in enumerate(STUDY_EFFECTS):
        sd = np.exp(points[:, SIZE + place])
        expected += halfnorm.logpdf(sd, scale=rules()["study"][name]) + np.log(sd)  # d sd / d log sd
    found = likelihood.log_prior(points)
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=1e-12)


@pytest.mark.parametrize(
    ("place", "value"), [(0, -2.01), (1, 2.51), (SIZE, 6.1), (SIZE + 1, -6.1), (0, np.nan)]
)
def test_nothing_lies_beyond_the_bounds(whole, place: int, value: float):
    likelihood, _, _ = whole
    points = np.zeros((2, likelihood.size))
    points[1, place] = value
    found = likelihood.log_posterior(points)
    assert np.isfinite(found[0])
    assert found[1] == -np.inf


def _named(quantity: str, trial: str = "murrough-2013") -> list[Target]:
    return [one for one in load_targets() if one.trials == (trial,) and one.run.quantity == quantity]


def test_a_point_in_all_arms_moves_means_alike_and_leaves_contrasts():
    means = _named("mean_change")
    control = load_protocol("murrough-2013").control
    by_arm = {one.run.arms: loadings_of(one, 0.0) for one in means}
    assert by_arm == {(control,): (1.0, 0.0), ("ketamine",): (1.0, 1.0)}
    (contrast,) = _named("contrast_change")
    assert loadings_of(contrast, 0.0) == (0.0, 1.0)
    (standardised,) = _named("standardised_difference")
    assert loadings_of(standardised, 0.0) == (0.0, pytest.approx(-0.1))


def test_loadings_of_a_contrast_are_those_of_its_means():
    """Also where both arms are active, or the arm of the row is the control."""
    (contrast,) = _named("contrast_change")
    mean = _named("mean_change")[0]
    arms = ("ketamine",), ("midazolam",)
    for ours in arms:
        for theirs in arms:
            run = replace(contrast.run, arms=ours, reference=theirs)
            first, second = (
                np.array(loadings_of(replace(mean, run=replace(mean.run, arms=one)), 0.0))
                for one in (ours, theirs)
            )
            found = loadings_of(replace(contrast, run=run), 0.0)
            np.testing.assert_array_equal(found, first - second)


def test_shares_follow_the_mean_by_their_slope_and_spreads_do_not_move():
    active, control = (
        next(o for o in _named("response_share") if o.run.arms == (a,)) for a in ("ketamine", "midazolam")
    )
    assert loadings_of(active, -0.03) == (-0.03, -0.03)
    assert loadings_of(control, -0.03) == (-0.03, 0.0)
    assert loadings_of(_named("sd_change")[0], -0.03) == (0.0, 0.0)


def test_a_number_printed_twice_counts_once(monkeypatch: pytest.MonkeyPatch):
    """Two means and their difference say as much of the parameters as the two means."""
    size = 1e-4
    small = {name: dict.fromkeys(group, size) for name, group in rules().items()}
    small["study"] = dict(rules()["study"])
    monkeypatch.setattr(module, "rules", lambda: small)
    means = sorted(_named("mean_change"), key=lambda one: one.run.arms)  # ketamine, midazolam
    (contrast,) = _named("contrast_change")
    observed = [-15.0, -9.0]
    given = [replace(one, observed=x) for one, x in zip(means, observed, strict=True)]
    both = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])
    slopes = np.array([[-4.0, -1.0], [-1.5, -2.5]])
    scatter = np.array([[2.0, 0.3], [0.3, 1.5]])
    points = np.random.default_rng(6).normal(size=(6, 4)) * 0.5
    found = []
    for targets, mix in (
        (given, both[:2]),
        ([*given, replace(contrast, observed=-6.0)], both),
    ):
        coefficients = np.zeros((6, len(targets)))
        coefficients[1:3] = slopes @ mix.T
        emulator = Emulator(
            coefficients=coefficients, error_sd=np.full(len(targets), size), explained=np.ones(len(targets))
        )
        made = make_likelihood(
            parameters(2),
            targets,
            emulator,
            mix @ scatter @ mix.T,
            np.zeros(len(targets)),
            np.tile([-9, 9], (2, 1)),
        )
        found.append(made.log_likelihood(points))
    twice_less_once = found[1] - found[0]
    np.testing.assert_allclose(twice_less_once, twice_less_once[0], atol=1e-5)
    assert np.ptp(found[0]) > 1.0


def test_every_target_has_a_size_of_what_is_left_of_it():
    assert all(0.0 < own_sd(one) <= 0.5 for one in load_targets())
    assert own_sd(_named("sd_change")[0]) == rules()["own"]["log_sd"]
    assert own_sd(_named("mean_change")[0]) == rules()["own"]["points"]


def test_a_problem_without_effects_of_studies_does_not_hang_on_their_size():
    made = problem(np.ones((2, 4)), np.zeros(4), 0.04 * np.eye(4))
    points = np.zeros((2, 4))
    points[1, 2:] = 2.0
    np.testing.assert_allclose(*made.log_likelihood(points), rtol=1e-12)
