"""From evidence to a posterior, in stages that are kept: points, emulator, draws, points nearby, checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.checks import (
    Combination,
    Profile,
    Recovery,
    combinations,
    profiles,
    recovery,
    shifts,
)
from euthymia.calibration.design import WIDER, bounds, posterior_points, prior_points
from euthymia.calibration.emulator import columns, fit_emulator, slopes
from euthymia.calibration.likelihood import STUDY_EFFECTS, Likelihood, make_likelihood, rules
from euthymia.calibration.runs import MEAN_OF, POINT, PointStore, Task, numbers_at, repeats, run_point
from euthymia.calibration.sampling import Drawn, sample
from euthymia.calibration.scatter import covariance_of, joined, scatter_tasks
from euthymia.calibration.targets import Left, Target
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.errors import invalid
from euthymia.model.parameters import ParameterSet
from euthymia.population.posterior import Calibrated, Posterior, digest_of, posterior_json
from euthymia.tables import read_text
from euthymia.trials.protocols import load_protocol
from euthymia.trials.replicate import digest_of as protocol_digest

Array = NDArray[np.float64]
Values = dict[str, list[float]]
Progress = Callable[[int, int], None]
Stage = Callable[[str], AbstractContextManager[Progress | None]]
KEPT, SHIPPED = 1000, 100
"""Draws of each ensemble that are looked at, and the first of them, which the posterior has."""
LEAST_WEIGHT = 0.02
"""Of points of the first wave that lie far from where the posterior is."""

LEAST = {
    "points": 8,
    "second_points": 0,
    "replicates": 8,
    "steps": 100,
    "recoveries": 0,
    "patients": 1,
}
"""The least that a plan may ask for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How much is run.

    Attributes
    ----------
    points, second_points : int
        Of the parameter space, over the prior and around what the first ones leave.
    replicates : int
        Of every trial, for its scatter.
    steps : int
        Of every ensemble of walkers.
    recoveries : int
        Data sets with known truths.
    """

    points: int = 160
    second_points: int = 128
    replicates: int = 100
    steps: int = 6000
    recoveries: int = 60
    patients: int = 400
    seed: int = 1

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise invalid(name, must=f"{least} or more", got=getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A posterior and everything that a report says of it.

    Attributes
    ----------
    predicted : array (D, M)
        Every target at the draws, by the emulator, with chance and effects of studies.
    left : tuple of Left
        Rows that were not fitted.
    """

    posterior: Posterior
    drawn: Drawn
    predicted: Array
    recovered: Recovery
    profiles: tuple[Profile, ...]
    combinations: tuple[Combination, ...]
    left: tuple[Left, ...]
    learnt: Learnt
    work: Work

    @property
    def plan(self) -> Plan:
        """How much was run."""
        return self.work.plan

    @property
    def likelihood(self) -> Likelihood:
        """With the last emulator."""
        return self.learnt.likelihood

    @property
    def points_without(self) -> Mapping[str, int]:
        """Targets that some points do not give, and how many."""
        return self.learnt.points_without


def fit(
    calibrated: tuple[Calibrated, ...],
    targets: Sequence[Target],
    parameters: ParameterSet,
    *,
    name: str,
    plan: Plan | None = None,
    left: Sequence[Left] = (),
    store: PointStore | None = None,
    earlier: PointStore | None = None,
    executor: Executor | None = None,
    engine: str | None = None,
    stage: Stage | None = None,
) -> Fit:
    """Return the posterior of calibrated parameters given published numbers.

    Parameters
    ----------
    calibrated : tuple of Calibrated (K)
    targets : sequence of Target (M)
    parameters : ParameterSet
        With the chain; its values are the middle of the priors.
    name : str
        Of the posterior.
    plan : Plan, optional
    left : sequence of Left
        What is not fitted and why, for the report.
    store : PointStore, optional
        Points that it holds are not run again.
    earlier : PointStore, optional
        Of a fit to fewer numbers: its points are taken over, and only what it lacks is run there.
    executor : Executor, optional
        Runs the points; the result does not depend on it.
    stage : callable (title) -> context of a progress, optional

    Raises
    ------
    InvalidInputError
        Where nothing is left to fit.
    """
    work = Work(
        calibrated=calibrated,
        targets=tuple(targets),
        parameters=parameters,
        plan=plan or Plan(),
        store=store,
        earlier=earlier,
        executor=executor or SerialExecutor(),
        engine=engine,
        stage=stage or (lambda title: nullcontext()),
    )
    known = learn(work)
    with work.stage("draws of the posterior") as on_done:
        plan = work.plan
        drawn = sample(known.likelihood, steps=plan.steps, kept=KEPT, seed=plan.seed + 1, on_done=on_done)
    return _checked(name, work, known, drawn, left)


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What points have taught: the likelihood, and the points with what they gave.

    Attributes
    ----------
    z : array (N, K)
        The last ones are those around the first posterior.
    points_without : {target: number of points that do not give it}
    """

    likelihood: Likelihood
    z: Array
    values: list[Values]
    points_without: Mapping[str, int]


def learn(work: Work) -> Learnt:
    """Return the likelihood that the points of a fit teach; what is kept of them is not run again."""
    plan, calibrated = work.plan, work.calibrated
    first_z = prior_points(calibrated, plan.points, seed=plan.seed)
    first_z, first = work.points("points over the prior", "prior", first_z)
    scatter = work.scatter("scatter at the middle of the prior", "scatter-prior", first_z[0])
    known = _learnt(work, first_z, first, scatter)
    if not plan.second_points:
        return known
    with work.stage("draws of the first posterior") as on_done:
        drawn = sample(known.likelihood, steps=plan.steps, seed=plan.seed, on_done=on_done)
    z = _z_of(drawn, calibrated)
    second_z = posterior_points(calibrated, z, plan.second_points, seed=plan.seed + 1)
    second_z, second = work.points("points around the first posterior", "second", second_z)
    scatter = work.scatter("scatter at the mean of the first posterior", "scatter-second", second_z[0])
    weights = np.append(_weights(first_z, z), np.ones(len(second_z)))
    return _learnt(work, np.concatenate([first_z, second_z]), [*first, *second], scatter, weights)


def _learnt(
    work: Work, z: Array, values: list[Values], scatter: Values, weights: Array | None = None
) -> Learnt:
    usable, without = _usable(work.targets, values)
    likelihood = _likelihood(work.calibrated, usable, z, values, scatter, work.plan.patients, weights)
    return Learnt(likelihood=likelihood, z=z, values=values, points_without=without)


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Runs trials at points, and keeps what they give; see :func:`fit`."""

    calibrated: tuple[Calibrated, ...]
    targets: tuple[Target, ...]
    parameters: ParameterSet
    plan: Plan
    store: PointStore | None
    earlier: PointStore | None
    executor: Executor
    engine: str | None
    stage: Stage

    def __post_init__(self) -> None:
        if not self.targets or not self.calibrated:
            raise invalid("fit", must="given parameters and published numbers", got="none of one of them")

    def points(self, title: str, name: str, z: Array) -> tuple[Array, list[Values]]:
        """Return the points, which an earlier fit may have placed otherwise, and what each gives, (N)."""
        tasks = [self.task(f"{name}-{place:04d}", one) for place, one in enumerate(z)]
        found = self.run(title, tasks)
        return np.array([one[POINT] for one in found]), found

    def scatter(self, title: str, name: str, z: Array) -> Values:
        """Return what replicates of the published size give at a point."""
        tasks = scatter_tasks(self.task(name, z), self.plan.replicates)
        return joined(iter(self.run(title, tasks)))

    def task(self, name: str, z: Array) -> Task:
        """Return the trials at a point."""
        return Task(
            name=name,
            z=tuple(float(x) for x in z),
            calibrated=self.calibrated,
            targets=self.targets,
            parameters=self.parameters,
            seed=self.plan.seed,
            patients=self.plan.patients,
        )

    def run(self, title: str, tasks: Sequence[Task]) -> list[Values]:
        """Return what tasks give; what is kept of them is not run again."""
        earlier = {task.name: _fitting(task, self._kept(self.earlier, task.name)) for task in tasks}
        found = {task.name: _whole(task, self._kept(self.store, task.name)) for task in tasks}
        before = {name: earlier[name] for name, values in found.items() if values is None}
        missing = [_rest(task, before[task.name]) for task in tasks if found[task.name] is None]
        with self.stage(title) as on_done:

            def keep(place: int, values: Values) -> None:
                name = missing[place].name
                whole = found[name] = before[name] | values
                if self.store is not None:
                    self.store.save(name, whole)
                if on_done is not None:
                    on_done(sum(one is not None for one in found.values()), len(tasks))

            if on_done is not None and len(missing) < len(tasks):
                on_done(len(tasks) - len(missing), len(tasks))
            self.executor.map(partial(run_point, engine=self.engine), missing, on_result=keep)
        return [found[task.name] or {} for task in tasks]

    @staticmethod
    def _kept(store: PointStore | None, name: str) -> Values:
        return (store.load(name) if store else None) or {}


def _fitting(task: Task, kept: Values) -> Values:
    """Return what is kept of a task that is as long as it asks for: a shorter fit may have left less."""
    if len(kept.get(POINT, ())) != len(task.z):
        return {}
    length = 1 if task.is_pooled else len(task.replicates)
    return {name: values for name, values in kept.items() if name == POINT or len(values) == length}


def _whole(task: Task, kept: Values) -> Values | None:
    """Return what is kept of a task, if it is all of it."""
    found = _fitting(task, kept)
    return found if all(one.name in found for one in task.targets) and POINT in found else None


def _rest(task: Task, before: Values) -> Task:
    """Return what is left of a task, at the point where an earlier fit was."""
    targets = tuple(one for one in task.targets if one.name not in before)
    return replace(task, targets=targets, z=tuple(before.get(POINT, task.z)))


def _usable(targets: Sequence[Target], points: Sequence[Values]) -> tuple[tuple[Target, ...], dict[str, int]]:
    """Return the targets that enough points give, and at how many each of the others and these is missing."""
    values = columns(points, [one.name for one in targets])
    missing = (~np.isfinite(values)).sum(axis=0)
    most = (1.0 - rules()["emulator"]["least_share_of_points"]) * len(points)
    kept = tuple(one for one, count in zip(targets, missing, strict=True) if count <= most)
    if not kept:
        raise invalid("fit", must="given numbers that virtual trials have", got="none", cure="More points.")
    return kept, {one.name: int(count) for one, count in zip(targets, missing, strict=True) if count}


def _likelihood(
    calibrated: tuple[Calibrated, ...],
    targets: tuple[Target, ...],
    z: Array,
    points: Sequence[Values],
    scatter: Mapping[str, Sequence[float]],
    patients: int,
    weights: Array | None = None,
) -> Likelihood:
    """Return the likelihood that points and replicates make.

    All points have the same people, so that what these people by chance are like does not show in the error
    of the emulator: it is added as the scatter of as many replicates as are pooled at a point.
    """
    alike = [min(repeats(load_protocol(name), patients) for name in one.trials) for one in targets]
    wider = np.sqrt(1.0 + 1.0 / np.array(alike))
    values = columns(points, [one.name for one in targets])
    followed = columns(points, [MEAN_OF + one.name for one in targets])
    return make_likelihood(
        calibrated,
        targets,
        fit_emulator(z, values, weights=weights),
        covariance_of(targets, scatter) * np.outer(wider, wider),
        slopes(values, followed),
        bounds(calibrated),
    )


def _z_of(drawn: Drawn, calibrated: Sequence[Calibrated]) -> Array:
    """Return the parameters of all draws, (D, K), in SDs of the priors."""
    return drawn.draws.reshape(-1, drawn.draws.shape[-1])[:, : len(calibrated)]


def _weights(points: Array, draws: Array) -> Array:
    """Return weights of points by how far they lie from draws of a posterior, (N,)."""
    covariance = WIDER**2 * np.cov(draws.T) + 1e-9 * np.eye(draws.shape[1])
    away = points - draws.mean(axis=0)
    squared = np.einsum("nk,nk->n", away, np.linalg.solve(covariance, away.T).T)
    size = draws.shape[1]
    return np.maximum(np.exp(-0.5 * np.maximum(squared / size - 1.0, 0.0)), LEAST_WEIGHT)


def _checked(name: str, work: Work, known: Learnt, drawn: Drawn, left: Sequence[Left]) -> Fit:
    plan, stage, likelihood, calibrated = work.plan, work.stage, known.likelihood, work.calibrated
    flat = drawn.draws.reshape(-1, likelihood.size)
    with stage("profiles") as on_done:
        found_profiles = profiles(likelihood, flat.mean(axis=0), on_done=on_done)
    with stage("known truths found again") as on_done:
        recovered = recovery(likelihood, count=plan.recoveries, seed=plan.seed, on_done=on_done)
    names = [one.name for one in calibrated]
    gone = [one for one in work.targets if one.name not in {kept.name for kept in likelihood.targets}]
    return Fit(
        posterior=_posterior(name, plan, likelihood, drawn, recovered, work.parameters),
        drawn=drawn,
        predicted=predicted(likelihood, flat, seed=plan.seed),
        recovered=recovered,
        profiles=found_profiles,
        combinations=combinations(names, _z_of(drawn, calibrated)),
        left=(*left, *(Left(name=one.name, reason="too few virtual trials have it") for one in gone)),
        learnt=known,
        work=work,
    )


def predicted(likelihood: Likelihood, points: Array, *, seed: int) -> Array:
    """Return what published numbers would be at points (D, K + 2), each with chance of its own, (D, M)."""
    size = len(likelihood.calibrated)
    mean = likelihood.emulator(points[:, :size])
    rng = np.random.default_rng(seed)
    noise = [
        np.linalg.cholesky(likelihood.covariance(np.exp(point[size:]))) @ rng.standard_normal(mean.shape[1])
        for point in points
    ]
    return mean + np.array(noise)


def _posterior(
    name: str,
    plan: Plan,
    likelihood: Likelihood,
    drawn: Drawn,
    recovered: Recovery,
    parameters: ParameterSet,
) -> Posterior:
    calibrated = likelihood.calibrated
    numbers = np.array(
        [[numbers_at(calibrated, one[: len(calibrated)]) for one in chain[:SHIPPED]] for chain in drawn.draws]
    )
    made = Posterior(
        name=name,
        version=version("euthymia"),
        set=parameters.name,
        parameters=calibrated,
        draws=numbers,
        diagnostics=_diagnostics(likelihood, drawn, recovered),
        evidence=evidence_digests(likelihood.targets, plan),
        mechanisms=parameters.mechanisms,
    )
    content = posterior_json(made)
    return replace(made, digest=digest_of(content))


def _diagnostics(likelihood: Likelihood, drawn: Drawn, recovered: Recovery) -> dict[str, Any]:
    names = [one.name for one in likelihood.calibrated]
    every = [*names, *(f"log {one}" for one in STUDY_EFFECTS)]
    flat = drawn.draws.reshape(-1, likelihood.size)
    sds = np.exp(drawn.draws[:, :SHIPPED, len(names) :]).reshape(-1, len(STUDY_EFFECTS))
    return {
        "r_hat": {name: round(float(x), 4) for name, x in zip(every, drawn.r_hat, strict=True)},
        "ess": {name: round(float(x)) for name, x in zip(every, drawn.ess, strict=True)},
        "acceptance": round(drawn.acceptance, 3),
        "shifts": [
            {key: value if isinstance(value, str) else round(value, 4) for key, value in row.items()}
            for row in shifts(names, flat[:, : len(names)])
        ],
        "recovery": _recovery_json(names, recovered),
        "study_sd_points": {
            name: {"mean": round(float(x.mean()), 3), "draws": [float(f"{one:.4g}") for one in x]}
            for name, x in zip(STUDY_EFFECTS, sds.T, strict=True)
        },
    }


def _recovery_json(names: Sequence[str], recovered: Recovery) -> dict[str, Any]:
    if not len(recovered.ranks):
        return {"data_sets": 0, "smallest_p": None, "coverage_90": {}}
    return {
        "data_sets": len(recovered.ranks),
        "smallest_p": round(recovered.smallest_p, 4),
        "coverage_90": {
            name: round(float(x), 3) for name, x in zip(names, recovered.coverage[0.9], strict=True)
        },
    }


def evidence_digests(targets: Sequence[Target], plan: Plan) -> dict[str, Any]:
    """Return what tells the evidence and the effort of one fit from another."""
    trials = sorted({name for one in targets for name in one.trials})
    rows = "\n".join(f"{one.name} {one.role} {one.observed:.12g}" for one in targets)
    tables = ("calibration/parameters.csv", "calibration/likelihood.toml")
    return {
        "rows": len(targets),
        "rows_digest": sha256(rows.encode()).hexdigest()[:16],
        "protocols": {name: protocol_digest(load_protocol(name)) for name in trials},
        "tables": {name: sha256(read_text(name).encode()).hexdigest()[:16] for name in tables},
        "points": plan.points + plan.second_points,
        "seed": plan.seed,
    }
