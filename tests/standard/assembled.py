"""The assembled model with every state in sight, and the mechanisms it can be assembled from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.notation import parse_regimen
from euthymia.errors import ResultWarning
from euthymia.model import wiring
from euthymia.model.chain import FINENESS, solve_chain
from euthymia.model.concentrations import session_starts_h
from euthymia.model.course import Pulse
from euthymia.model.mechanisms import mechanisms
from euthymia.model.parameters import ParameterSet, load_parameters
from euthymia.model.pk import Given
from euthymia.population.individual import chain_values, individual_values
from euthymia.population.patient import Patient
from euthymia.population.request import is_ketamine_dose
from euthymia.population.run import Life
from euthymia.population.settings import find_setting
from euthymia.population.simulate import simulate
from euthymia.population.summary import change
from euthymia.population.surroundings import life_events, midazolam_of, mood_noise, surround

Array = NDArray[np.float64]

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
REGIMENS = {
    "IV 1.0": "ketamine 1 mg/kg iv over 40 min",
    "nasal 84": "esketamine 84 mg in",
    "IV 0.5": INFUSION,
    "oral 140": "ketamine 140 mg oral",
    "ER 180": "ketamine 180 mg er",
}
"""In the order of their effect at 24 h (model: 'ordering')."""
MECHANISMS: dict[str, dict[str, float]] = {
    **{one.name: dict(one.overrides) for one in mechanisms().values()},
    "all routes, half trapped": {
        "receptor.trapping_share_fraction": 0.5,
        "signalling.direct_weight_fraction": 1.0,
        "signalling.trapping_weight_fraction": 1.0,
    },
    "no adaptation": {"surge.adaptation_relative": 0.0},
    "full adaptation": {"surge.adaptation_relative": 1.0},
    "linear drive": {"signalling.drive_exponent": 1.0},
    "steep drive": {"signalling.drive_exponent": 4.0},
    "homeostasis": {
        "prefrontal.homeostasis_rate_per_h": 1.0,
        "hippocampus.homeostasis_rate_per_h": 1.0,
        "prefrontal.largest_density_relative": 1.3,
        "hippocampus.largest_density_relative": 1.3,
    },
    "therapy stabilises": {
        "prefrontal.stabilisation_by_therapy_relative": 5.0,
        "hippocampus.stabilisation_by_therapy_relative": 5.0,
    },
    "TrkB blocked": {"signalling.trkb_block_fraction": 1.0},
    "opioid receptors needed and blocked": {
        "signalling.opioid_share_fraction": 1.0,
        "signalling.opioid_block_fraction": 1.0,
    },
}
"""Every structural switch of the wiring is turned in at least one of them (under test)."""


def with_(overrides: Mapping[str, float]) -> ParameterSet:
    """Return the default set with some values replaced."""
    return load_parameters().with_overrides(overrides)


class Everything(NamedTuple):
    """Times (T,), and every state and observable (P, T) by name."""

    times_h: Array
    values: dict[str, Array]


def assemble(
    regimen: str | None,
    *,
    days: float,
    people: Sequence[Patient] = (Patient(),),
    is_drawn: bool = False,
    is_noisy: bool = False,
    parameters: ParameterSet | None = None,
    life: Life | None = None,
    setting: str = "none",
    factors: Array | None = None,
    values: Mapping[str, Any] | None = None,
    times_h: Array | None = None,
    fineness: float = FINENESS,
    outputs: Sequence[str] | None = None,
) -> Everything:
    """Return every state and observable of people side by side, typical ones or drawn ones.

    ``simulate`` returns observables only; that both agree to the byte is under test.

    Parameters
    ----------
    factors : array (P, doses) or None
        Doses relative to those of the regimen.
    values : {"layer.field": array (P,)} or None
        Numbers of the chain that differ between the people.
    """
    chosen, life = parameters or load_parameters(), life or Life()
    numbers = np.arange(1, len(people) + 1) if is_drawn else None
    plan = parse_regimen(regimen) if regimen else None
    weights = np.array([one.weight_kg for one in people])
    doses = [dose for dose in plan.doses(weights) if is_ketamine_dose(dose)] if plan else []
    given = tuple(Given(dose) for dose in doses)
    chain = chain_values(chosen, people, numbers=numbers, seed=1)
    chain |= {name: np.asarray(value) for name, value in find_setting(setting).values().items()}
    chain |= dict(values or {})
    start_h = min([0.0, *(start for start, _ in plan.items)]) if plan else 0.0
    span = {"start_h": start_h, "end_h": days * 24.0}
    is_many = numbers is not None
    course = replace(
        surround(plan, find_setting(setting), chain, taken=life.taken, **span),
        given=given,
        midazolam=midazolam_of(plan, weights) if plan else (),
        factors=factors,
        sessions_h=tuple(session_starts_h(given)),
        stress=life.stress,
        inflammation=life.inflammation,
        mood_noise=mood_noise(chain, numbers, 1, **span) if is_noisy and is_many else None,
        events=life_events(chain, numbers, 1, **span) if life.has_events and is_many else None,
    )
    times = np.linspace(start_h, days * 24.0, 200) if times_h is None else np.asarray(times_h, float)
    solution = solve_chain(
        chosen,
        individual_values(chosen, people, numbers=numbers, seed=1),
        chain,
        course,
        times,
        start_h=start_h,
        end_h=days * 24.0,
        patient_count=len(people),
        is_well=life.is_well,
        fineness=fineness,
        outputs=outputs,
    )
    return Everything(times, solution.values)


def typical(count: int) -> tuple[Patient, ...]:
    """Return people who are all the typical patient."""
    return (Patient(),) * count


def strained(days: float, *, stress: float = 5.0, inflammation: float = 5.0, is_well: bool = False) -> Life:
    """Return a life with loads from an hour after time 0 to the last day but one."""
    span = (1.0, (days - 1.0) * 24.0)
    return Life(stress=(Pulse(*span, stress),), inflammation=(Pulse(*span, inflammation),), is_well=is_well)


def madrs_change(
    regimen: str | None, days: Sequence[float], *, overrides: Mapping[str, float] | None = None, **more: Any
) -> Array:
    """Return the change of MADRS from time 0 to some days in the typical patient, (days,)."""
    times = np.union1d([0.0], 24.0 * np.asarray(days, float))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        course = simulate(
            regimen,
            times_h=times,
            variables=["madrs_points"],
            parameters=with_(overrides or {}),
            **{"setting": "none", "days": float(days[-1]) + 1.0} | more,
        )
    return change(course, "madrs_points", days)[0]


STATES = wiring.state_names()
