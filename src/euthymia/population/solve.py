"""How a simulation is solved: a grid for its schedule, patients in chunks, concentrations and the chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import cpu_count
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.batch import chunks
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.dosing.notation import print_regimen
from euthymia.engine.equations import SolveFailedError
from euthymia.errors import RunFailedError
from euthymia.mechanism.symptoms.scales import expected
from euthymia.model.chain import FINENESS, ChainSolution, gamma_index, solve_chain
from euthymia.model.concentrations import Epoch, PkSolution, default_times_h, session_starts_h, solve_pk
from euthymia.model.connectivity import COUPLINGS, Change, change_names, changes_from_health
from euthymia.model.course import Course
from euthymia.model.pk import Given
from euthymia.model.scales import scales
from euthymia.model.variables import find_variable
from euthymia.model.variables import variables as all_variables
from euthymia.population.individual import chain_values, individual_values
from euthymia.population.patient import Patient
from euthymia.population.pilot import PILOT_SEED, PILOTS, Calibration, calibrated
from euthymia.population.run import CHAIN_LAYERS, Run, slots_of, times_of
from euthymia.population.surroundings import (
    life_events,
    midazolam_of,
    mood_noise,
    surround,
)

Array = NDArray[np.float64]
PATIENTS_PER_CHUNK = 512
MOST_TOGETHER, NUMBERS_PER_CHUNK = 4, 40_000_000
"""Most such chunks that a fast engine takes at once, and most values that these may have."""


class Part(NamedTuple):
    """What one chunk of patients gave."""

    pk: PkSolution | None
    solution: ChainSolution

    def without_values(self) -> Part:
        """Return how the chunk was solved, without what came out."""
        return Part(None, self.solution._replace(values={}, check=None))


def solved(run: Run, executor: Executor | None, on_done: Callable[[int, int], None] | None) -> list[Part]:
    """Return what every chunk of patients gave, in order."""
    tasks = list(chunks(len(run.people), _patients_per_chunk(run)))
    runner = executor or (ThreadExecutor(cpu_count() or 1) if len(tasks) > 1 else SerialExecutor())
    progress = None if on_done is None else _Progress(on_done, len(tasks))
    return runner.map(lambda part: solve_part(run, part, progress), tasks)


def _patients_per_chunk(run: Run) -> int:
    """Return how many patients go together: more where the engine is fast, if there are many and it fits."""
    if run.engine != "c":
        return PATIENTS_PER_CHUNK
    in_all = len(run.people) // (2 * PATIENTS_PER_CHUNK * (cpu_count() or 1))
    numbers = max(len(run.times_h) * (len(run.chain_names) + len(run.pk_stems)), 1)
    fitting = NUMBERS_PER_CHUNK // (numbers * PATIENTS_PER_CHUNK)
    return PATIENTS_PER_CHUNK * max(1, min(in_all, fitting, MOST_TOGETHER))


class _Progress:
    """Adds up how far chunks are that run at the same time."""

    def __init__(self, on_done: Callable[[int, int], None], chunk_count: int) -> None:
        self.on_done, self.total = on_done, 100 * chunk_count
        self.shares: dict[int, float] = {}
        self.lock = Lock()

    def of(self, part: slice) -> Callable[[float], None]:
        """Return what a chunk calls with its share."""

        def report(share: float) -> None:
            with self.lock:
                self.shares[part.start] = share
                self.on_done(int(100.0 * sum(self.shares.values()) + 0.5), self.total)

        return report


def calibrate(run: Run) -> Run:
    """Return a run with the grid of its schedule and the scales of its observables, where it is compiled."""
    return replace(run, calibration=_calibration(run)) if run.engine == "c" else run


def pilots_of(run: Run) -> Run:
    """Return the same for the pilot cohort, with no decisions on the way."""
    pilots = [Patient()] * PILOTS
    plan = run.plan
    return replace(
        run,
        parameters=run.parameters.pilots or run.parameters,
        people=pilots,
        numbers=np.arange(1, PILOTS + 1),
        seed=PILOT_SEED,
        slots=slots_of(plan, pilots),
        midazolam=midazolam_of(plan, np.array([one.weight_kg for one in pilots])) if plan else (),
        factors=None,
        policy=None,
        entry=None,
    )


def _calibration(run: Run) -> Calibration | None:
    plan = run.plan
    pilot = replace(
        pilots_of(run),
        times_h=times_of(run.slots, plan, run.life, run.start_h, run.horizon_h, None, is_dense=True),
        pk_stems=(),
        chain_names=(),
    )
    key = (
        plan and print_regimen(plan),
        pilot.parameters.name,
        sorted(pilot.parameters.overrides.items()),
        pilot.parameters.mechanisms,
        *([pilot.parameters.posterior] if pilot.parameters.posterior else []),
        run.setting,
        run.life,
        sorted(run.omit),
        run.quality,
        run.is_noisy,
        run.is_drug_given,
        run.start_h,
        run.horizon_h,
    )

    everyone = slice(None)
    drawn = _drawn(pilot, everyone)
    every_name = [stem for stem, one in all_variables().items() if one.layer in CHAIN_LAYERS]

    def solve(fineness: float) -> ChainSolution:
        return _chain_of(
            pilot, everyone, drawn, fineness=fineness, is_checked=True, outputs=_solved_for(every_name)
        )

    try:
        return calibrated(key, solve)
    except SolveFailedError:
        return None  # the run itself says what fails, for whom


def solve_part(run: Run, part: slice, progress: _Progress | None) -> Part:
    """Solve a chunk of patients: the chain, then the concentrations before it."""
    numbers = None if run.numbers is None else run.numbers[part]
    factors = None if run.factors is None else run.factors[part]
    drawn = _drawn(run, part)
    calibration = run.calibration or Calibration(fineness=FINENESS, scales={})
    report = None if progress is None else progress.of(part)
    try:
        found = _chain_of(
            run,
            part,
            drawn,
            fineness=calibration.fineness,
            scales=calibration.scales or None,
            outputs=_solved_for(run.chain_names),
            on_progress=report,
        )
    except SolveFailedError as error:
        label = "typical" if numbers is None else str(numbers[error.patient])
        message = (
            f"The solve of patient {label} failed after {error.time_h:g} h: {error.state} is not finite, "
            f"first at the term {error.term}. A parameter far outside its usual size is the usual cause."
        )
        raise RunFailedError(message) from error
    if report is not None:
        report(1.0)
    if found.factors is not None and factors is not None:  # what was missed stays missed
        found = found._replace(factors=found.factors * factors)
    got = factors if found.factors is None else found.factors
    given = tuple(_of_some(one, part, got, slot) for slot, one in enumerate(run.slots))
    pk = _pk(run, drawn.pk, given if run.is_drug_given else (), len(run.people[part]))
    return Part(pk, _with_made(run, drawn.chain, found))


class _Drawn(NamedTuple):
    """Parameters of some of the patients: of pharmacokinetics, and of the chain."""

    pk: Mapping[str, Array]
    chain: Mapping[str, Any]


def _drawn(run: Run, part: slice) -> _Drawn:
    who: dict[str, Any] = {"numbers": None if run.numbers is None else run.numbers[part], "seed": run.seed}
    people = run.people[part]
    values = chain_values(run.parameters, people, **who) | _set_by_setting(run)
    return _Drawn(individual_values(run.parameters, people, **who), values)


def _chain_of(run: Run, part: slice, drawn: _Drawn, **more: Any) -> ChainSolution:
    """Solve the chain of some of the patients."""
    numbers = None if run.numbers is None else run.numbers[part]
    factors = None if run.factors is None else run.factors[part]
    given = tuple(_of_some(one, part, factors, slot) for slot, one in enumerate(run.slots))
    return solve_chain(
        run.parameters,
        drawn.pk,
        drawn.chain,
        _course(run, part, drawn.chain, given if run.is_drug_given else (), numbers),
        run.times_h,
        start_h=run.start_h,
        end_h=run.horizon_h,
        is_well=run.life.is_well,
        engine=run.engine,
        patient_count=len(run.people[part]),
        **more,
    )


def _with_made(run: Run, values: Mapping[str, Any], found: ChainSolution) -> ChainSolution:
    """Return a solution with what is made of its observables: scales, gamma index, what the network shows."""
    by_stem = {find_variable(name).stem: array for name, array in found.values.items()}
    for scale in scales().values():
        if scale.variable in run.chain_names:
            by_stem[scale.variable] = expected(by_stem[scale.latent], scale.map)
    if "gamma_index_relative" in run.chain_names:
        by_stem["gamma_index_relative"] = gamma_index(run.parameters, values, by_stem)
    if {*run.chain_names} & {*change_names()}:
        by_stem |= changes_from_health(Change(*(by_stem[name] for name in COUPLINGS)))
    return found._replace(values={name: by_stem[name] for name in run.chain_names})


def _set_by_setting(run: Run) -> dict[str, Any]:
    """Return the parameters that the setting sets, but for those that the caller has set."""
    own = run.parameters.overrides
    return {name: np.asarray(value) for name, value in run.setting.values().items() if name not in own}


def _of_some(given: Given, part: slice, factors: Array | None, slot: int) -> Given:
    """Return a dose of some of the patients, times what each gets of it."""
    amount = np.asarray(given.dose.amount_umol)[part]
    scaled = amount if factors is None else amount * factors[:, slot]
    return given._replace(dose=replace(given.dose, amount_umol=scaled))


def _course(
    run: Run,
    part: slice,
    values: Mapping[str, Any],
    given: tuple[Given, ...],
    numbers: NDArray[np.int64] | None,
) -> Course:
    span = {"start_h": run.start_h, "end_h": run.horizon_h}
    around = surround(
        run.plan,
        run.setting,
        values,
        taken=run.life.taken,
        omit=run.omit,
        quality=run.quality,
        **span,
    )
    is_many = numbers is not None
    midazolam = () if "drug" in run.omit else run.midazolam
    return replace(
        around,
        given=given,
        midazolam=tuple(replace(dose, amount_umol=_of(dose.amount_umol, part)) for dose in midazolam),
        sessions_h=tuple(session_starts_h(given)),
        decisions=(
            run.policy.decisions(run.parameters, numbers, run.seed)
            if run.policy is not None and given
            else ()
        ),
        stress=run.life.stress,
        inflammation=run.life.inflammation,
        mood_noise=mood_noise(values, numbers, run.seed, **span) if run.is_noisy and is_many else None,
        events=life_events(values, numbers, run.seed, **span) if run.life.has_events and is_many else None,
    )


def _of(amount_umol: Any, part: slice) -> Any:
    return amount_umol if np.ndim(amount_umol) == 0 else np.asarray(amount_umol)[part]


def _solved_for(chain_names: Sequence[str]) -> list[str]:
    """Return what the equations must give for some observables: scales, gamma index, network."""
    made_of: dict[str, tuple[str, ...]] = {scale.variable: (scale.latent,) for scale in scales().values()}
    made_of["gamma_index_relative"] = ("nmda_block_pyramidal_fraction", "nmda_block_interneuron_fraction")
    made_of |= dict.fromkeys(change_names(), COUPLINGS)
    stems = dict.fromkeys(part for name in chain_names for part in made_of.get(name, (name,)))
    return [find_variable(stem).name for stem in stems]


def _pk(run: Run, pk_values: Mapping[str, Array], given: tuple[Given, ...], count: int) -> PkSolution | None:
    if not given or not run.pk_stems:
        return None
    dense = default_times_h(given, run.horizon_h)
    times = np.unique(np.concatenate([dense, run.times_h]))
    solution = solve_pk(
        run.parameters,
        pk_values,
        (Epoch(run.start_h, given),),
        times,
        patient_count=count,
        stems=run.pk_stems,
        horizon_h=run.horizon_h,
    )
    place = np.searchsorted(times, run.times_h)
    return solution._replace(values={name: array[:, place] for name, array in solution.values.items()})
