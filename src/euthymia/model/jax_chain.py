"""The whole chain by JAX: an oracle for its values, and gradients of any observable by any parameter.

The equations, their wiring, the start of the episode and the grid are those of :mod:`euthymia.model.chain`;
only how they are stepped and differentiated is another (:mod:`euthymia.engine.jax_march`). Needs the extra
``bayes``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.engine.grid import make_grid
from euthymia.engine.jax_linear import propagate
from euthymia.engine.jax_march import Driven, check_finite, jit_quickly, make_solver, sample
from euthymia.engine.jax_maths import jax_maths, load_jax
from euthymia.errors import InvalidInputError, unknown
from euthymia.mechanism.comparators import midazolam
from euthymia.mechanism.pk import brain
from euthymia.model import wiring
from euthymia.model.chain import (
    EQUATIONS,
    FINENESS,
    ChainSolution,
    circuit_table,
    events_of,
    jumps_of,
    node_constants,
)
from euthymia.model.course import Course
from euthymia.model.drive import CourseDrive, piecewise
from euthymia.model.parameters import ParameterSet
from euthymia.model.sites import Wired, wire_midazolam, wire_sites

Array = NDArray[np.float64]
PK = "pk."
"""What the names of pharmacokinetic fields begin with, as in ``ParameterSet.with_overrides``."""
_FIXED_ENDINGS = ("_duration_h", "_lag_h", "_exponent")
"""Fields that set grid points, or that have been used up before a patient's values are handed over."""
_FIXED_FIELDS = ("sublingual_uptake_rate_per_h", "sublingual_hold_h")
"""Fields that a dose is made of outside the equations."""
_OF_SITE = tuple(f"site.{field}" for field in brain.Parameters._fields)
_OF_MIDAZOLAM = tuple(f"midazolam.{field}" for field in midazolam.Parameters._fields)


class JaxChain:
    """The chain of a batch of patients as a pure function of parameters.

    ``chain(changed)`` gives {output: array (P, T)} with some parameters changed, {name: array (P,) or ()};
    ``jax.grad``, ``jvp`` and ``jit`` may be put to it. Names are those of :attr:`names`: ``layer.field``, or
    ``pk.field`` for a pharmacokinetic one. What is not changed keeps the value handed over here.

    Concentrations are those of the NumPy engine unless a name of ``pk``, ``site`` or ``midazolam`` is
    changed; then they are solved by JAX too, and lags and durations of absorption that differ between
    patients are not covered. Doses that are decided on during the run are not covered at all.

    Parameters
    ----------
    parameters, pk_values, chain_values, course, times_h, start_h, end_h, patient_count, is_well, fineness
        As for ``model.chain.solve_chain``.
    outputs : sequence of str or None
        Names of observables or states; None for everything.
    """

    def __init__(
        self,
        parameters: ParameterSet,
        pk_values: Mapping[str, Any],
        chain_values: Mapping[str, Any],
        course: Course,
        times_h: Array,
        *,
        start_h: float,
        end_h: float,
        patient_count: int,
        is_well: bool = False,
        fineness: float = FINENESS,
        outputs: Sequence[str] | None = None,
    ) -> None:
        if course.decisions:
            message = (
                "Doses that are decided on during the run need the engine 'numpy'. "
                "Solve the chain by JAX with the doses that were given: 'factors'."
            )
            raise InvalidInputError(message)
        self.parameters, self.pk_values, self.course = parameters, dict(pk_values), course
        self.values = {**chain_values, wiring.CIRCUIT_TABLE: circuit_table(node_constants(parameters))}
        self.times_h, self.count, self.is_well = np.asarray(times_h, float), patient_count, is_well
        drive = CourseDrive(parameters, pk_values, self.values, course, patient_count)
        self.grid_h = make_grid(start_h, end_h, events_of(course, drive), fineness=fineness)
        swings = drive.knots().get("mood_noise_logit")
        self.swing = 0.0 if swings is None else piecewise(swings, np.array([start_h]))[0][..., 0]
        where = {"grid_h": self.grid_h, "times_h": self.times_h, "patient_count": patient_count}
        self.driven = sample(drive, EQUATIONS.drives, **where)
        self.solve = make_solver(
            EQUATIONS,
            outputs=outputs,
            jumps=[jump for jump in jumps_of(course) if start_h <= jump[0] <= end_h],
            **where,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters that may be changed and differentiated by; switches and whole exponents may not."""
        fixed = {wiring.CIRCUIT_TABLE, *wiring.STRUCTURAL, *(f"start.{one}" for one in wiring.Start._fields)}
        behind = [name for name in EQUATIONS.parameters if name not in fixed]
        kinetic = [
            f"{PK}{field}"
            for field in self.pk_values
            if not field.endswith(_FIXED_ENDINGS) and field not in _FIXED_FIELDS
        ]
        return (*behind, *_OF_SITE, *_OF_MIDAZOLAM, *kinetic)

    def value_of(self, name: str) -> Array:
        """Return the value that a parameter has here, (P,)."""
        if name not in self.names:
            raise unknown(
                "parameter to differentiate by",
                name,
                self.names,
                cure="Switches, whole exponents, constants of the circuit, lags and durations are fixed.",
            )
        value = self.pk_values[name.removeprefix(PK)] if name.startswith(PK) else self.values[name]
        return np.broadcast_to(np.asarray(value, float), (self.count,))

    def __call__(self, changed: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return observables, each (P, T), with some parameters changed."""
        changed = dict(changed or {})
        for name in changed:
            self.value_of(name)
        values = self.values | {name: one for name, one in changed.items() if not name.startswith(PK)}
        states, start = wiring.initial(
            jax_maths(),
            values,
            is_well=self.is_well,
            mood_noise_logit=self.swing,
            occupancy_fraction=self.course.adapted_occupancy_fraction,
            repeat=_in_a_loop,
        )
        return self.solve(values | start, states, self._driven(changed, values))

    def _driven(self, changed: Mapping[str, Any], values: Mapping[str, Any]) -> Driven:
        """Return the drives, with concentrations solved anew where what is changed bears on them."""
        driven, systems = self.driven, []
        own = self.pk_values | {
            name.removeprefix(PK): one for name, one in changed.items() if name.startswith(PK)
        }
        if self.course.given and any(name.startswith((PK, "site.")) for name in changed):
            has_all = any(name.endswith("_weight_relative") for name in changed if name in _OF_SITE)
            systems.append(wire_sites(self.parameters, own, values, self._given(), has_all=has_all))
        if self.course.midazolam and any(name in _OF_MIDAZOLAM for name in changed):
            systems.append(wire_midazolam(values, self.course.midazolam))
        for system in systems:
            driven = self._with_sites(driven, system)
        return driven

    def _given(self) -> list[Any]:
        factors = self.course.factors
        if factors is None:
            return list(self.course.given)
        return [
            one._replace(dose=replace(one.dose, amount_umol=one.dose.amount_umol * factors[:, slot]))
            for slot, one in enumerate(self.course.given)
        ]

    def _with_sites(self, driven: Driven, system: Wired) -> Driven:
        """Return the drives with those of one linear system in place of what was sampled."""
        numpy = load_jax().numpy
        found = propagate(
            system.flows,
            system.inputs,
            system.readings,
            grid_h=self.grid_h,
            times_h=self.times_h,
            patient_count=self.count,
        )
        names = [name for name in system.readings if name in EQUATIONS.drives]

        def positive(values: Mapping[str, Any]) -> dict[str, Any]:
            return {name: numpy.where(values[name] < 0.0, 0.0, values[name]) for name in names}

        return Driven(
            values={**driven.values, **positive(found.at_stages)},
            slopes={**driven.slopes, **{name: found.at_starts[f"{name}.slope"] for name in names}},
            at_times={**driven.at_times, **positive(found.at_times)},
        )


def _in_a_loop(count: int, step: Callable[[Any], Any], value: Any) -> Any:
    """Repeat a step as one compiled loop."""
    return load_jax().lax.fori_loop(0, count, lambda _, value: step(value), value)


def solve_chain_by_jax(
    parameters: ParameterSet,
    pk_values: Mapping[str, Any],
    chain_values: Mapping[str, Any],
    course: Course,
    times_h: Array,
    *,
    start_h: float,
    end_h: float,
    patient_count: int,
    is_well: bool = False,
    fineness: float = FINENESS,
    outputs: Sequence[str] | None = None,
) -> ChainSolution:
    """Return observables of the chain for a batch of patients, as ``model.chain.solve_chain`` does.

    Arguments as there. Each call is compiled anew (seconds): for many, make a :class:`JaxChain` and jit it.

    Raises
    ------
    SolveFailedError
        For the first patient with a state or output that is not finite.
    """
    chain = JaxChain(
        parameters,
        pk_values,
        chain_values,
        course,
        times_h,
        start_h=start_h,
        end_h=end_h,
        patient_count=patient_count,
        is_well=is_well,
        fineness=fineness,
        outputs=outputs,
    )
    found = {name: np.array(value) for name, value in jit_quickly(chain)().items()}
    check_finite(found, chain.times_h)
    return ChainSolution(found, len(chain.grid_h) - 1, course.factors)


def gradients(chain: JaxChain, by: Sequence[str]) -> dict[str, dict[str, Array]]:
    """Return derivatives of each output by some parameters, each patient's by the patient's own.

    Forward mode, all parameters in one sweep; compiled anew at each call (5 to 15 s). Time and memory grow
    with their number, above all where kinetics are among them: ask for some tens at most.

    Parameters
    ----------
    by : sequence of str
        Among ``chain.names``.

    Returns
    -------
    derivatives : {output: {parameter: array (P, T)}}
        Units of the output per unit of the parameter.
    """
    jax = load_jax()
    values = {name: chain.value_of(name) for name in by}
    ways = {
        name: np.equal(np.arange(len(values)), at)[:, None] * np.ones(chain.count)
        for at, name in enumerate(values)
    }

    def along(values: Mapping[str, Any], ways: Mapping[str, Any]) -> dict[str, Any]:
        return jax.vmap(lambda way: jax.jvp(chain, (values,), (way,))[1])(ways)

    found = jit_quickly(along)(values, ways)
    derivatives = {
        output: {name: np.array(rows[at]) for at, name in enumerate(values)} for output, rows in found.items()
    }
    for one in derivatives.values():
        check_finite(one, chain.times_h)
    return derivatives
