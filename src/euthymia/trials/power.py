"""Power by size of the arms: a large trial many times over, analysed at every size that it passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.errors import invalid, unknown
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.population.posterior import Posterior, find_posterior
from euthymia.trials.analysis.power import power_of_means, power_of_shares
from euthymia.trials.analysis.proportions import share
from euthymia.trials.conduct import run_replicates
from euthymia.trials.design import Protocol
from euthymia.trials.enrol import Intake, intake
from euthymia.trials.estimates import estimates_of
from euthymia.trials.looks import CONTRASTS
from euthymia.trials.records import Estimate, PowerCurve
from euthymia.trials.replicate import PATIENTS_PER_BATCH, Batch, batches, first_of_each_arm, notes_alone

Array = NDArray[np.float64]
POINTS = 10
"""Sizes that are tried where no step is asked for."""
SMALLEST = 4
"""Patients of an arm below which no analysis makes sense."""


def sizes_of(text: str) -> tuple[int, ...]:
    """Return the sizes that a text such as ``20:200``, ``20:200:20`` or ``40`` names.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> sizes_of("20:60:20"), sizes_of("40")
    ((20, 40, 60), (40,))
    """
    parts = text.split(":")
    must = f"N, LOW:HIGH or LOW:HIGH:STEP, whole patients from {SMALLEST}, LOW below HIGH, such as 20:200"
    if len(parts) > 3 or not all(part.strip().isdigit() for part in parts):
        raise invalid("--n", must=must, got=repr(text))
    low, high = int(parts[0]), int(parts[min(1, len(parts) - 1)])
    if low < SMALLEST or (len(parts) > 1 and low >= high):
        raise invalid("--n", must=must, got=repr(text))
    if len(parts) < 3:
        sizes = np.linspace(low, high, POINTS).round().astype(int)
        return tuple(int(size) for size in np.unique(sizes))
    step = int(parts[2])
    if step < 1:
        raise invalid("--n", must=must, got=repr(text), cure="A step is 1 or more.")
    return tuple(range(low, high + 1, step))


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The contrasts and shares of one replicate at one size."""

    size: int
    estimates: tuple[Estimate, ...]


def power_curves(
    protocol: Protocol,
    sizes: Sequence[int],
    *,
    replicates: int = 200,
    endpoint: str | None = None,
    seed: int = 1,
    parameters: str | ParameterSet = DEFAULT_SET,
    posterior: str | Posterior | None = None,
    engine: str | None = None,
    executor: Executor | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[PowerCurve, ...]:
    """Return the share of replicates with a significant contrast at each size, one curve an active arm.

    The largest trial is run; smaller ones are its first patients, so that a curve is smooth and its points
    belong together. With strata or blocks an arm of the largest trial may lack a few of its patients.

    Parameters
    ----------
    protocol : Protocol
    sizes : sequence of int
        Patients of each arm, 4 or more; of all together in a crossover.
    replicates : int
    endpoint : str, optional
        By default the primary.
    seed, parameters, posterior, engine, executor, on_done
        As for `euthymia.trials.replicate.run_trial`. With a posterior power is that over its draws: the
        chance of success before anybody knows the effect (assurance).

    Raises
    ------
    InvalidInputError
        Where there is no control to compare with, or a size is too small.
    """
    if protocol.control is None:
        raise invalid("protocol", must="one with a control arm to compare with", got=protocol.id)
    name = endpoint or protocol.primary
    if name not in protocol.endpoints:
        raise unknown("endpoint", name, protocol.endpoints)
    _check_sizes(sizes)
    chosen = load_parameters(parameters) if isinstance(parameters, str) else parameters
    believed = find_posterior(posterior, chosen)
    given = intake(of_size(protocol, max(sizes)), chosen, seed=seed, posterior=believed)
    run_replicates(given, [0], engine=engine)  # chooses the grids, which the other processes then find
    planned = batches(given.protocol, replicates, patients_per_batch=PATIENTS_PER_BATCH)
    work = partial(_tried, given, endpoint=name, sizes=tuple(sizes), engine=engine)
    done = 0

    def tell(place: int, _: object) -> None:
        nonlocal done
        done += len(planned[place].replicates)
        if on_done is not None:
            on_done(done, replicates)

    with notes_alone():
        parts = (executor or SerialExecutor()).map(work, planned, on_result=tell)
    found = [one for part in parts for one in part]
    return tuple(_curve(given.protocol, name, arm, sizes, found) for arm in protocol.active)


def _check_sizes(sizes: Sequence[int]) -> None:
    if not sizes or min(sizes) < SMALLEST:
        got = ", ".join(map(str, sizes)) or "none"
        raise invalid("sizes", must=f"one or more numbers of patients per arm, from {SMALLEST}", got=got)


def of_size(protocol: Protocol, count: int) -> Protocol:
    """Return a protocol with so many patients in each arm, or of all together in a crossover.

    Arms are then of one size, so blocks that do not hold all of them equally are left out.
    """
    crossover = protocol.crossover
    if crossover is not None:
        return protocol.model_copy(update={"crossover": crossover.model_copy(update={"n": count})})
    rules = protocol.randomisation
    blocks = tuple(size for size in rules.blocks if size % len(protocol.arms) == 0)
    changed: dict[str, Any] = {
        "arms": {name: arm.model_copy(update={"n": count}) for name, arm in protocol.arms.items()},
        "randomisation": rules.model_copy(update={"blocks": blocks}),
    }
    return protocol.model_copy(update=changed)


def _tried(
    given: Intake, batch: Batch, *, endpoint: str, sizes: Sequence[int], engine: str | None
) -> list[Found]:
    """Return what some replicates show at every size."""
    cohorts, _ = run_replicates(given, batch.replicates, engine=engine, executor=SerialExecutor())
    return [
        Found(size=size, estimates=tuple(estimates_of(first_of_each_arm(cohort, size), endpoint=endpoint)))
        for cohort in cohorts
        for size in sizes
    ]


def _curve(
    protocol: Protocol, endpoint: str, arm: str, sizes: Sequence[int], found: Sequence[Found]
) -> PowerCurve:
    shown = []
    for size in sizes:
        contrasts = [one for each in found if each.size == size for one in _contrasts(each, arm)]
        events = sum(one.p < protocol.alpha for one in contrasts)  # what could not be analysed shows nothing
        shown.append(share(events, len(contrasts)))
    return PowerCurve(
        endpoint=endpoint,
        arm=arm,
        reference=protocol.control or "",
        sizes=np.array(sizes),
        power=np.array([one.value for one in shown]),
        low=np.array([one.low for one in shown]),
        high=np.array([one.high for one in shown]),
        replicates=len(found) // len(sizes),
        alpha=protocol.alpha,
        closed_form=_closed_form(protocol, endpoint, arm, sizes, found),
    )


def _contrasts(found: Found, arm: str) -> list[Estimate]:
    return [one for one in found.estimates if one.arm == arm and one.measure in CONTRASTS]


def _closed_form(
    protocol: Protocol, endpoint: str, arm: str, sizes: Sequence[int], found: Sequence[Found]
) -> Array | None:
    """Return power by a formula, from mean effect and spread at the largest size; None where none fits."""
    largest = [one for one in found if one.size == max(sizes)]
    kind = protocol.endpoints[endpoint].kind
    if protocol.crossover is not None or kind == "relapse":
        return None
    if kind in ("change", "score"):
        contrasts = [one for each in largest for one in _contrasts(each, arm) if np.isfinite(one.se)]
        if not contrasts:
            return None
        gap = float(np.mean([one.value for one in contrasts]))
        sd = float(np.sqrt(np.mean([one.se**2 for one in contrasts]) * max(sizes) / 2.0))
        return np.array([power_of_means(size, difference=gap, sd=sd, alpha=protocol.alpha) for size in sizes])
    shares = [_mean_share(largest, name) for name in (arm, protocol.control or "")]
    if not all(0.0 < one < 1.0 for one in shares):
        return None
    return np.array(
        [
            power_of_shares(size, share=shares[0], share_control=shares[1], alpha=protocol.alpha)
            for size in sizes
        ]
    )


def _mean_share(found: Sequence[Found], arm: str) -> float:
    every = [one for each in found for one in each.estimates]
    shares = [one.value for one in every if (one.arm, one.measure) == (arm, "share")]
    known = [one for one in shares if np.isfinite(one)]
    return float(np.mean(known)) if known else float("nan")
