"""Checks of the code and of its calculations that are made again for every report, each with its number.

A small set that runs in seconds: laws that must hold, closed forms, and independent solvers. The test suite
holds many more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.notation import parse_regimen
from euthymia.engine.exponential import respond_by_exponential
from euthymia.engine.linear import Input, LinearSystem, assemble, respond
from euthymia.engine.reference import respond_by_ode
from euthymia.errors import ResultWarning
from euthymia.model.chain import TOLERANCE
from euthymia.model.parameters import ParameterSet
from euthymia.model.pk import Given, PkModel, wire_pk
from euthymia.model.trajectory import Trajectory
from euthymia.population.individual import individual_values
from euthymia.population.patient import Patient
from euthymia.population.posterior import PRIOR, Posterior
from euthymia.population.simulate import simulate
from euthymia.streams import inverse_normal_cdf, normals, philox4x32
from euthymia.trials.analysis.ancova import ancova, ancova_replicates
from euthymia.trials.analysis.mmrm import mmrm
from euthymia.trials.analysis.survival import kaplan_meier

Array = NDArray[np.float64]
INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
PEOPLE = (1, 2, 3, 4, 5, 6)
TIMES_H = np.concatenate([[0.0, 0.01], np.geomspace(0.05, 60.0, 30)])
SINGLE = 5e-7
"""What single precision may leave of sums of terms of order one."""
CODE, CALCULATION = "code", "calculation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One claim with the number that decides it.

    Attributes
    ----------
    of : {"code", "calculation"}
        Verification of the code, against what is known; or of calculations, against a finer or another one.
    claim, against : str
    value, tolerance : float
        It passes where the value is at most the tolerance.
    unit : str
        What the value is.
    """

    of: str
    claim: str
    against: str
    value: float
    tolerance: float
    unit: str

    @property
    def passes(self) -> bool:
        """Whether the claim holds."""
        return bool(self.value <= self.tolerance)


def run_checks(
    parameters: ParameterSet,
    *,
    posterior: Posterior | None = None,
    engine: str | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[Check, ...]:
    """Return every check.

    Parameters
    ----------
    parameters : ParameterSet
        With the whole chain.
    posterior : Posterior, optional
        At whose mean the chain is solved; None: the prior.
    engine : str, optional
        Held against LSODA; by default the compiled one.
    """
    at = parameters if posterior is None else posterior.at_center(parameters)
    parts: list[Callable[[], Iterator[Check]]] = [
        lambda: _pharmacokinetics(parameters),
        _textbook,
        _random_numbers,
        _analyses,
        lambda: _no_drug(at, engine),
        lambda: _chain(at, engine),
    ]
    found = list[Check]()
    for place, part in enumerate(parts):
        found += part()
        if on_done is not None:
            on_done(place + 1, len(parts))
    return tuple(found)


# --- pharmacokinetics ----------------------------------------------------------------------------


def _pharmacokinetics(parameters: ParameterSet) -> Iterator[Check]:
    both = _model(parameters, (0.0, 1.0), (7.5, 0.4))
    first, second = _model(parameters, (0.0, 1.0)), _model(parameters, (7.5, 0.4))
    yield Check(
        of=CODE,
        claim="Moles are conserved: what has been infused is somewhere, at any time",
        against=f"the dose, two infusions, {len(PEOPLE)} virtual patients",
        value=_imbalance(both),
        tolerance=5e-12,
        unit="of what was given",
    )
    curves = _curves(both)
    sums = {name: _curves(first)[name] + _curves(second)[name] for name in curves}
    yield Check(
        of=CODE,
        claim="Superposition: two infusions give the sum of what each gives alone",
        against="the sum of two runs",
        value=_apart(curves, sums),
        tolerance=1e-12,
        unit="of the peak",
    )
    for solver, name, tolerance in (
        (respond_by_exponential, "matrix exponentials (expm)", 1e-10),
        (respond_by_ode, "SciPy's LSODA at 1e-11", 1e-8),
    ):
        alone = {key: row[0] for key, row in curves.items()}
        right = solver(both.system, both.inputs, TIMES_H, both.observed, 0)
        yield Check(
            of=CALCULATION,
            claim="Exact concentrations are those of an independent solver",
            against=name,
            value=_apart(alone, right),
            tolerance=tolerance,
            unit="of the peak",
        )


def _model(parameters: ParameterSet, *given: tuple[float, float]) -> PkModel:
    """Return the pharmacokinetics of some virtual patients after infusions at times (h), times a factor."""
    patient = Patient(weight_kg=70.0)
    values = individual_values(parameters, [patient] * len(PEOPLE), numbers=np.array(PEOPLE), seed=1)
    dose = next(iter(parse_regimen(INFUSION).doses(70.0)))
    doses = [replace(dose, start_h=at, amount_umol=dose.amount_umol * factor) for at, factor in given]
    return wire_pk(parameters, values, [Given(one) for one in doses], patient_count=len(PEOPLE))


def _curves(model: PkModel) -> dict[str, Array]:
    return respond(model.system, model.inputs, TIMES_H, model.observed).values


def _imbalance(model: PkModel) -> float:
    inputs, system = list(model.inputs), model.system
    held = _holding(system, inputs)
    inside = sum(respond(system, inputs, TIMES_H, {name: {name: 1.0} for name in held}).values.values())
    given = np.zeros((system.patient_count, len(TIMES_H)))
    for item in inputs:
        start = (item.start_h + np.asarray(item.lag_h, float))[..., None]
        length = np.asarray(item.duration_h, float)[..., None]
        share = np.clip((TIMES_H - start) / np.where(length > 0.0, length, 1.0), 0.0, 1.0)
        given += item.amount[:, None] * np.where(length > 0.0, share, start <= TIMES_H)
    return float((np.abs(inside - given) / given[:, -1:]).max())


def _holding(system: LinearSystem, inputs: Sequence[Input]) -> list[str]:
    """Return the nodes that drug flows into; those fed by observing flows only are left out."""
    reached = {item.node for item in inputs}
    while True:
        to = {end for start, end, _, depletes in system.flows if depletes and end and start in reached}
        if not to - reached:
            return [name for name in system.nodes if name in reached]
        reached |= to


def _apart(found: dict[str, Array], right: dict[str, Array]) -> float:
    """Return the largest difference over the largest value of each curve."""
    return max(float(np.abs(found[name] - right[name]).max() / np.abs(right[name]).max()) for name in found)


def _textbook() -> Iterator[Check]:
    volume, clearance, amount, duration = np.array([90.0]), np.array([60.0]), np.array([147.0]), 2.0 / 3.0
    system = assemble([("central", "out", clearance / volume, True)], 1)
    dose = Input("central", amount, 0.0, duration, 0.0)
    found = respond(system, [dose], TIMES_H, {"c": {"central": 1.0 / volume}}).values["c"][0]
    rate = float(clearance[0] / volume[0])
    ran, since = np.minimum(TIMES_H, duration), np.maximum(TIMES_H - duration, 0.0)
    steady = float(amount[0] / duration / clearance[0])
    right = steady * -np.expm1(-rate * ran) * np.exp(-rate * since)
    yield Check(
        of=CODE,
        claim="An infusion into one compartment follows the closed form",
        against="R / CL (1 - exp(-k t)) exp(-k (t - T))",
        value=float(np.abs(found - right).max() / right.max()),
        tolerance=1e-12,
        unit="of the peak",
    )


# --- random numbers ------------------------------------------------------------------------------


def _random_numbers() -> Iterator[Check]:
    from scipy.special import ndtri

    # Random123 1.14, kat_vectors: philox4x32, 10 rounds, counter and key 0.
    known = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], np.uint32)
    words = philox4x32(np.zeros(4, np.uint32), (0, 0))
    yield Check(
        of=CODE,
        claim="The generator gives the published known answer",
        against="Random123, philox4x32 with ten rounds",
        value=float((words != known).sum()),
        tolerance=0.0,
        unit="words of four that differ",
    )
    shares = np.concatenate([np.geomspace(1e-12, 0.5, 200), 1.0 - np.geomspace(1e-12, 0.5, 200)])
    yield Check(
        of=CODE,
        claim="Normal quantiles are right",
        against="SciPy",
        value=float(np.abs(inverse_normal_cdf(shares) - ndtri(shares)).max()),
        tolerance=1e-13,
        unit="SD",
    )
    few = normals(seed=1, purpose="individual", field="check", patients=[17])
    many = normals(seed=1, purpose="individual", field="check", patients=np.arange(1, 1001))
    yield Check(
        of=CODE,
        claim="Patient 17 draws the same alone and among a thousand",
        against="itself",
        value=float(abs(few[0] - many[16])),
        tolerance=0.0,
        unit="SD",
    )


# --- analyses of trials --------------------------------------------------------------------------


def _analyses() -> Iterator[Check]:
    count, visits = 60, 3
    people = np.arange(1, count + 1)
    arm = np.arange(count) % 2
    noise = [normals(seed=2, purpose="check", field="score", patients=people, occasion=k) for k in range(4)]
    before = 30.0 + 5.0 * noise[0]
    after = np.stack([before - 4.0 * arm + 6.0 * one for one in noise[1:]], axis=1)
    design = np.column_stack([np.ones(count), arm, before])
    slope = np.linalg.lstsq(design, after[:, -1], rcond=None)[0][1]
    found = float(ancova(after[:, -1], arm, covariates=before[:, None]).contrast.value[0])
    yield Check(
        of=CODE,
        claim="Analysis of covariance gives the coefficient of least squares",
        against="NumPy's lstsq",
        value=abs(found - float(slope)),
        tolerance=1e-10,
        unit="points",
    )
    means = after[arm == 1].mean(axis=0) - after[arm == 0].mean(axis=0)
    fitted = np.asarray(mmrm(after, arm).contrast.value).reshape(visits)
    yield Check(
        of=CODE,
        claim="The mixed model of complete data gives the differences of means",
        against="closed form; against R's gls and mmrm in tests/reference",
        value=float(np.abs(fitted - means).max()),
        tolerance=1e-6,
        unit="points",
    )
    days = np.arange(1.0, 21.0)
    curve = kaplan_meier(days, np.ones(20, bool))
    yield Check(
        of=CODE,
        claim="Kaplan-Meier without censoring gives the share that is left",
        against="counting",
        value=float(np.abs(curve.share - (1.0 - days / 20.0)).max()),
        tolerance=1e-12,
        unit="share",
    )
    yield _type_one_error()


def _type_one_error(trials: int = 4000, size: int = 40) -> Check:
    """Return how far the share of null trials with p < 0.05 lies from 0.05, in standard errors."""
    people = np.arange(1, size + 1)
    scores = np.stack(
        [
            normals(seed=3, purpose="check", field="null", patients=people, replicate=one)
            for one in range(trials)
        ]
    )
    before = np.stack(
        [
            normals(seed=3, purpose="check", field="before", patients=people, replicate=one)
            for one in range(trials)
        ]
    )
    found = ancova_replicates(0.5 * before + scores, np.arange(size) % 2, covariates=before[..., None])
    share = float((np.asarray(found.contrast.p) < 0.05).mean())
    return Check(
        of=CODE,
        claim=f"Of {trials} trials without effect one in twenty is significant ({100.0 * share:.1f} %)",
        against="5 %, analysis of covariance, 40 patients",
        value=abs(share - 0.05) / float(np.sqrt(0.05 * 0.95 / trials)),
        tolerance=3.29,
        unit="standard errors",
    )


# --- the chain -----------------------------------------------------------------------------------


def _run(regimen: str | None, parameters: ParameterSet, engine: str | None, **more: object) -> Trajectory:
    believed = None if parameters.posterior else PRIOR
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        return simulate(regimen, parameters=parameters, posterior=believed, engine=engine, **more)  # type: ignore[arg-type]


def _no_drug(parameters: ParameterSet, engine: str | None) -> Iterator[Check]:
    flat = _run(None, parameters, engine, days=60.0, times_h=np.linspace(0.0, 1440.0, 13))
    moves = [
        float(np.abs(row - row[:, :1]).max() / max(1.0, np.abs(row).max())) for row in flat.values.values()
    ]
    yield Check(
        of=CODE,
        claim="Without drug the typical patient stays where they are for sixty days",
        against="time 0, every observable",
        value=max(moves),
        tolerance=1e-6,
        unit="of its size",
    )


def _chain(parameters: ParameterSet, engine: str | None) -> Iterator[Check]:
    times = np.array([0.0, 0.5, 2.0, 24.0, 72.0, 168.0])
    found = _run(INFUSION, parameters, engine, times_h=times, days=7.0)
    right = _run(INFUSION, parameters, "reference", times_h=times, days=7.0)
    noise = SINGLE if found.provenance.engine.startswith("c ") else 0.0
    apart = [
        max(float(np.abs(found.values[name] - row).max()) - noise, 0.0) / max(float(np.abs(row).max()), 1e-12)
        for name, row in right.values.items()
    ]
    yield Check(
        of=CALCULATION,
        claim="The whole chain, from dose to mood, is that of an adaptive solver",
        against=f"SciPy's LSODA; {found.provenance.engine}, typical patient, seven days",
        value=max(apart),
        tolerance=TOLERANCE,
        unit="of each observable's size",
    )
    many = _run(INFUSION, parameters, engine, patients=64, days=7.0, times_h=times)
    made = many.certificate
    if made.largest_error_relative is None:  # only the compiled engine checks every patient
        return
    yield Check(
        of=CALCULATION,
        claim="The certificate of the engine holds for virtual patients",
        against="steps of half the length, 64 patients",
        value=made.largest_error_relative,
        tolerance=made.tolerance_relative,
        unit="of each observable's size",
    )
