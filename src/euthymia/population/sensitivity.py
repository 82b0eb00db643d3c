"""Which inputs a prediction hangs on: the dose, what differs between people, and what is not known."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.executor import Executor
from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.regimen import Regimen
from euthymia.errors import ResultWarning, invalid
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population.batch_of_sets import solve_sets
from euthymia.population.patient import Patient
from euthymia.population.posterior import PRIOR, Posterior, find_posterior
from euthymia.population.run import Run, prepare
from euthymia.population.sensitivity_indices import (
    Local,
    Sobol,
    check_salib,
    check_samples,
    local_effects,
    sobol_indices,
)
from euthymia.population.sensitivity_inputs import (
    CHOSEN,
    DOSE_RANGE,
    Input,
    base_set,
    chosen_inputs,
    inputs_of,
    values_of,
)
from euthymia.population.settings import DEFAULT_SETTING
from euthymia.population.simulate import simulate
from euthymia.population.solve import calibrate

Array = NDArray[np.float64]
SAMPLES, TOP = 4096, 20
"""Twelve inputs would leave a quarter of the variance of a change of MADRS to those that are held."""
DAY_H = 24.0
FIRST_DAY, LAST_DAY = 1.0, 28.0
VARIABLES = ("madrs_points", "cadss_points", "systolic_rise_mmHg")
ENGINES = ("c", "numpy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One number that is read off a course."""

    name: str
    meaning: str
    unit: str


OUTPUTS = (
    Output(name="madrs_day_1_points", meaning="MADRS on day 1", unit="points"),
    Output(name="madrs_day_28_points", meaning="MADRS on day 28", unit="points"),
    Output(name="madrs_change_day_1_points", meaning="Change of MADRS by day 1", unit="points"),
    Output(name="madrs_change_day_28_points", meaning="Change of MADRS by day 28", unit="points"),
    Output(name="peak_cadss_points", meaning="Peak dissociation (CADSS)", unit="points"),
    Output(name="peak_systolic_rise_mmHg", meaning="Peak rise of systolic pressure", unit="mmHg"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sensitivity:
    """What an analysis found.

    Attributes
    ----------
    course : Trajectory
        Of the typical patient, around which inputs are moved.
    inputs : tuple of Input
        All that were moved, one at a time.
    typical : {output: float}
    local : {output: {input: Local}}
    varied : tuple of str
        The inputs of the Sobol analysis; the others were held.
    sobol : {output: Sobol}
        By input, with the others held.
    by_group : {output: Sobol}
        By group, with all inputs moving; empty where all are of one group.
    samples, seed : int
    sets : int
        Parameter sets that were solved.
    """

    course: Trajectory
    inputs: tuple[Input, ...]
    typical: Mapping[str, float]
    local: Mapping[str, Mapping[str, Local]]
    varied: tuple[str, ...]
    sobol: Mapping[str, Sobol]
    by_group: Mapping[str, Sobol]
    samples: int
    seed: int
    sets: int

    @property
    def held(self) -> tuple[Input, ...]:
        """Inputs that were held in the Sobol analysis."""
        return tuple(one for one in self.inputs if one.name not in self.varied)

    @property
    def without_effect(self) -> tuple[Input, ...]:
        """Inputs that move no output at all, such as what belongs to another route."""
        return tuple(
            one
            for one in self.inputs
            if all(effects[one.name].size <= 0.0 for effects in self.local.values())
        )

    def held_share(self, output: str) -> float:
        """Return the share of the sum of squared local sizes that belongs to the inputs that were held."""
        return sum(self.local[output][one.name].share for one in self.held)

    def variance_kept(self, output: str) -> float | None:
        """Return the variance with some inputs held over that with all moving; None without the latter."""
        if output not in self.by_group or not self.by_group[output].indices:
            return None
        return (self.sobol[output].sd / self.by_group[output].sd) ** 2


def sensitivity(
    regimen: Regimen | str,
    *,
    parameters: str | ParameterSet = DEFAULT_SET,
    patient: Patient | None = None,
    setting: str = DEFAULT_SETTING,
    posterior: str | Posterior | None = None,
    dose_range: tuple[float, float] = DOSE_RANGE,
    only: Collection[str] = (),
    samples: int = SAMPLES,
    top: int = TOP,
    seed: int = 1,
    engine: str | None = None,
    executor: Executor | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> Sensitivity:
    """Return how mood, dissociation and pressure after a regimen hang on the dose and on parameters.

    A typical patient without chance: every input is moved alone, then the largest together (Sobol).

    Parameters
    ----------
    regimen : Regimen or str
        With ketamine.
    parameters : str or ParameterSet
        With the whole chain. What it overrides is known and not moved.
    patient : Patient, optional
        Weight, age and so on; not moved.
    setting : str
        What the patient believes (``settings.csv``).
    posterior : str, Posterior or None
        What is not known varies by the margins of a posterior's draws (name, path; None: the default), or
        by the priors (``prior``).
    dose_range : (low, high)
        Times the regimen's dose, with 1 between.
    only : collection of str
        Names or groups of the inputs to move; by default all.
    samples : int
        Of the Sobol sequence, a power of two.
    top : int
        How many inputs the Sobol analysis moves.
    seed : int
        Keys scrambling and resampling.
    engine : str
        ``c`` or ``numpy``.
    executor : Executor, optional
        By default threads. The result does not depend on it.
    on_done : callable, optional
        Called with (done, in all) in parameter sets.

    Raises
    ------
    InvalidInputError, MissingExtraError, RunFailedError

    Notes
    -----
    Inputs are independent by construction: what a posterior says of several together is not kept.
    """
    check_salib()
    check_samples(samples)
    if top < 1:
        raise invalid("top", must="1 or more", got=top)
    plan = parse_regimen(regimen) if isinstance(regimen, str) else regimen
    chosen = load_parameters(parameters) if isinstance(parameters, str) else parameters
    believed = find_posterior(posterior, chosen)
    asked: dict[str, Any] = {
        "patient": patient,
        "parameters": base_set(chosen, believed),
        "posterior": PRIOR,  # the base holds its mean already
        "setting": setting,
        "engine": engine,
        "variables": VARIABLES,
    } | _times(plan)
    run = _prepared(plan, asked)
    inputs = chosen_inputs(inputs_of(chosen, dose_range=dose_range, posterior=believed), only)
    counted = _Counted(on_done, _sets(inputs, samples, min(top, len(inputs))))

    def moving(some: Sequence[Input]) -> Callable[[Array], Mapping[str, Array]]:
        def evaluate(z: Array) -> Mapping[str, Array]:
            values, dose_relative = values_of(run.parameters, some, z)
            return counted.of(
                len(z),
                lambda report: solve_sets(
                    run, values, dose_relative=dose_relative, read=read, executor=executor, on_done=report
                ),
            )

        return evaluate

    typical, local = local_effects(
        moving(inputs), [one.nominal for one in inputs], [one.value for one in inputs]
    )
    effects = {
        name: {one.name: effect for one, effect in zip(inputs, found, strict=True)}
        for name, found in local.items()
    }
    varied = largest(inputs, effects, top)
    counted.total = _sets(inputs, samples, len(varied))
    keyed: dict[str, Any] = {"samples": samples, "seed": seed}
    return Sensitivity(
        course=_course(plan, asked, seed),
        inputs=inputs,
        typical=typical,
        local=effects,
        varied=tuple(one.name for one in varied),
        sobol=sobol_indices(moving(varied), [one.name for one in varied], **keyed),
        by_group=_by_group(moving(inputs), inputs, keyed),
        sets=counted.total,
        **keyed,
    )


def read(times_h: Array, values: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs of some courses, {name: array (P,)}; see :data:`OUTPUTS`.

    Parameters
    ----------
    times_h : array (T,)
        With the start and both days among them, dense after doses.
    values : {variable: array (P, T)}
    """
    first, last = (int(np.searchsorted(times_h, day * DAY_H)) for day in (FIRST_DAY, LAST_DAY))
    madrs = values["madrs_points"]
    return {
        "madrs_day_1_points": madrs[:, first],
        "madrs_day_28_points": madrs[:, last],
        "madrs_change_day_1_points": madrs[:, first] - madrs[:, 0],
        "madrs_change_day_28_points": madrs[:, last] - madrs[:, 0],
        "peak_cadss_points": values["cadss_points"].max(axis=1),
        "peak_systolic_rise_mmHg": values["systolic_rise_mmHg"].max(axis=1),
    }


def largest(inputs: Sequence[Input], local: Mapping[str, Mapping[str, Local]], top: int) -> tuple[Input, ...]:
    """Return the inputs that leave least of any output to those held, in their own order.

    What is chosen comes first; then, one by one, the input with the largest share of the output of which
    most is still held. Inputs without any effect are never among them.
    """
    held = {name: {one.name: effects[one.name].share for one in inputs} for name, effects in local.items()}
    kept = [
        one.name
        for one in inputs
        if one.group == CHOSEN and any(shares[one.name] > 0.0 for shares in held.values())
    ][:top]
    for shares in held.values():
        for name in kept:
            del shares[name]
    while len(kept) < top:
        worst = max(held.values(), key=lambda shares: sum(shares.values()))
        name = max(worst, key=lambda one: worst[one], default="")
        if not name or worst[name] <= 0.0:
            break
        kept.append(name)
        for shares in held.values():
            del shares[name]
    if not kept:
        raise invalid("inputs", must="some that move an output of this regimen", got="none that does")
    return tuple(one for one in inputs if one.name in kept)


def _times(plan: Regimen) -> dict[str, Any]:
    """Return the times of a run: dense, both days, to day 28 or the end of the regimen."""
    end_h = max((start_h + (item.duration_min or 0.0) / 60.0 for start_h, item in plan.items), default=0.0)
    days = max(LAST_DAY, float(np.ceil(end_h / DAY_H)))
    return {"times_h": [FIRST_DAY * DAY_H, LAST_DAY * DAY_H], "is_dense": True, "days": days}


def _prepared(plan: Regimen, asked: Mapping[str, Any]) -> Run:
    run = prepare(plan, **asked)
    if not run.slots:
        raise invalid("regimen", must="one with ketamine, whose dose is moved", got="one without")
    if run.engine not in ENGINES:
        raise invalid("engine", must=" or ".join(ENGINES), got=run.engine)
    return calibrate(run)


def _course(plan: Regimen, asked: Mapping[str, Any], seed: int) -> Trajectory:
    """Return the typical course, with its warnings and sources."""
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore", ResultWarning)  # they stand in the result
        return simulate(plan, seed=seed, **asked)


def _by_group(
    evaluate: Callable[[Array], Mapping[str, Array]], inputs: Sequence[Input], keyed: Mapping[str, Any]
) -> dict[str, Sobol]:
    groups = [one.group for one in inputs]
    if len(set(groups)) < 2:
        return {}
    return sobol_indices(evaluate, [one.name for one in inputs], groups=groups, **keyed)


def _sets(inputs: Sequence[Input], samples: int, together: int) -> int:
    """Return how many sets are solved where some of the inputs are moved together."""
    groups = len({one.group for one in inputs})
    by_group = samples * (groups + 2) if groups > 1 else 0
    return 1 + 4 * len(inputs) + samples * (together + 2) + by_group


class _Counted:
    """Adds up how many sets are done over several batches."""

    def __init__(self, on_done: Callable[[int, int], None] | None, total: int) -> None:
        self.on_done, self.total, self.before = on_done, total, 0

    def of(self, count: int, solve: Callable[[Callable[[int], object]], Any]) -> Any:
        """Solve a batch, given what it calls with the number of its sets that are done."""

        def report(done: int) -> None:
            if self.on_done is not None:
                self.on_done(self.before + done, self.total)

        found = solve(report)
        self.before += count
        return found
