"""What comes from outside as functions of time: drugs at their sites, therapy, care, life and chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.order import Dose
from euthymia.engine.equations import Knots
from euthymia.engine.linear import Responder, assemble
from euthymia.model import sites, wiring
from euthymia.model.course import Course, Learning, Pulse
from euthymia.model.parameters import ParameterSet

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
CHEBYSHEV_NODES = 13


class CourseDrive:
    """Drugs at their sites, therapy, care, life and chance as functions of time."""

    def __init__(
        self,
        parameters: ParameterSet,
        pk_values: Mapping[str, Array],
        chain_values: Mapping[str, Any],
        course: Course,
        patient_count: int,
    ) -> None:
        self.parameters, self.pk_values, self.chain_values = parameters, pk_values, chain_values
        self.course, self.count, self.factors = course, patient_count, course.factors
        if course.decisions:
            slots = (patient_count, len(course.given))
            self.factors = np.ones(slots) if self.factors is None else self.factors.copy()
            self.planned = self.factors.copy()
        self.drugs = [
            (inputs, Responder(system, inputs, readings)) for system, inputs, readings in self._models()
        ]

    def _models(self) -> list[Any]:
        """Return each drug's linear system, inputs and readings: ketamine, midazolam, or neither."""
        found = []
        if self.course.given:
            course = replace(self.course, factors=self.factors)
            found.append(site_model(self.parameters, self.pk_values, self.chain_values, course, self.count))
        if self.course.midazolam:
            found.append(midazolam_model(self.chain_values, self.course.midazolam, self.count))
        return found

    def give(self, slots: Sequence[int], factor: Array) -> None:
        """Set what each patient gets of doses still to come, (P,) or (P, slots); what is missed stays so."""
        if self.factors is None:
            raise RuntimeError("no decisions were announced")
        if not slots:
            return
        # from what was planned, so that a run which starts again decides the same once more
        self.factors[:, list(slots)] = self.planned[:, list(slots)] * (
            factor[:, None] if factor.ndim == 1 else factor
        )
        models = self._models()
        self.drugs = [
            (inputs, responder.with_inputs(inputs))
            for (_, inputs, _), (_, responder) in zip(models, self.drugs, strict=True)
        ]

    def __call__(self, times_h: Array, *, is_left: Flags) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return values and slopes by name, (P, T) or (T,); see ``engine.equations.Drive``."""
        values, slopes = self.outside(times_h, is_left=is_left)
        of_drugs, drug_slopes = self._drug(times_h)
        for name, known in self.knots().items():
            swing, slope = piecewise(known, times_h)
            values[name], slopes[name] = values[name] + swing, slopes[name] + slope
        return values | of_drugs, slopes | drug_slopes

    @property
    def is_beside(self) -> bool:
        """Whether there is more than ketamine and swings of mood: any of ``wiring.BESIDE``."""
        course = self.course
        given = {name for _, respond in self.drugs for name in respond.outputs}
        return bool(course.pulses or course.events or course.ect_h or given & set(wiring.BESIDE))

    def linear(self) -> list[Responder]:
        """Return the drugs as responses of linear systems."""
        return [respond for _, respond in self.drugs]

    def knots(self) -> dict[str, Knots]:
        """Return what is known by the day: swings of mood, and stress by events of life."""
        known = {"mood_noise_logit": self.course.mood_noise, "extra_stress_relative": self.course.events}
        return {name: one.knots for name, one in known.items() if one is not None}

    def outside(self, times_h: Array, *, is_left: Flags) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return values and slopes of everything else, (T,)."""
        course, values, slopes = self.course, {}, {}
        for name, pulses in (
            ("occupancy_fraction", course.occupancy),
            ("anaesthesia_fraction", course.anaesthesia),
            ("care_fraction", course.care),
            ("preparation_fraction", course.preparation),
            ("extra_stress_relative", course.stress),
            ("extra_inflammation_relative", course.inflammation),
        ):
            values[name] = _steps(pulses, times_h, is_left)
            slopes[name] = np.zeros(len(times_h))
        values["learning_relative"], slopes["learning_relative"] = _taught(course.learning, times_h, is_left)
        for name in ("mood_noise_logit", *wiring.SITES, "midazolam_site_umol_per_L"):
            values[name] = slopes[name] = np.zeros(len(times_h))
        return values, slopes

    def inputs_h(self) -> list[tuple[float, float]]:
        """Return when inputs start and end, where that is the same for all patients."""
        inputs = [one for given, _ in self.drugs for one in given]
        spans = [(one.start_h, one.start_h + one.lag_h, one.duration_h) for one in inputs]
        shared = [span for span in spans if not any(np.ndim(one) for one in span)]
        given = [(float(one.start_h), float(one.start_h)) for one in inputs]  # lags are counted from here
        return given + [(float(start), float(start + length)) for _, start, length in shared]

    def individual_h(self) -> list[float]:
        """Return when inputs are given that start or end at times of each patient's own."""
        inputs = [one for given, _ in self.drugs for one in given]
        return [float(one.start_h) for one in inputs if np.ndim(one.lag_h) or np.ndim(one.duration_h)]

    def _drug(self, times_h: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        values: dict[str, Array] = {}
        slopes: dict[str, Array] = {}
        unique, back = np.unique(times_h, return_inverse=True)
        for _, respond in self.drugs:
            found = respond(unique)
            for name in wiring.DRIVES:
                if name not in found:
                    continue
                values[name] = np.maximum(found[name], 0.0)[:, back]
                slopes[name] = found[f"{name}.slope"][:, back]
        return values, slopes


def piecewise(known: Knots, times_h: Array) -> tuple[Array, Array]:
    """Return values and slopes of what is linear between knots, (P, T)."""
    place = np.clip(np.searchsorted(known.times_h, times_h, side="right") - 1, 0, len(known.times_h) - 2)
    length = known.times_h[place + 1] - known.times_h[place]
    slope = (known.values[:, place + 1] - known.values[:, place]) / length
    return known.values[:, place] + slope * (times_h - known.times_h[place]), slope


class Interpolated:
    """One patient's drive, read off Chebyshev polynomials of each grid step: cheap at one time after another.

    Thirteen nodes a step leave an error near rounding, since a step is short against what happens in it.
    """

    def __init__(self, drive: CourseDrive, grid: Array) -> None:
        self.drive, self.grid = drive, grid
        self.nodes = -np.cos(np.linspace(0.0, np.pi, CHEBYSHEV_NODES))
        half = 0.5 * np.diff(grid)
        times = 0.5 * (grid[:-1] + grid[1:])[:, None] + half[:, None] * self.nodes
        times[:, 0], times[:, -1] = grid[:-1], grid[1:]
        is_left = np.zeros(times.shape, dtype=bool)
        is_left[:, -1] = True
        values, _ = drive(times.ravel(), is_left=is_left.ravel())
        to_coefficients = np.linalg.inv(np.polynomial.chebyshev.chebvander(self.nodes, CHEBYSHEV_NODES - 1))
        self.names = tuple(values)
        stacked = np.stack([np.broadcast_to(values[name], (1, times.size))[0] for name in self.names])
        self.coefficients = np.einsum("kj,nsj->snk", to_coefficients, stacked.reshape(-1, *times.shape))

    def __call__(self, times_h: Array, *, is_left: Flags) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return values by name, (T,), and no slopes: the reference takes its own differences."""
        rows = np.empty((len(times_h), len(self.names)))
        for at, (time, left) in enumerate(zip(times_h, is_left, strict=True)):
            if time >= self.grid[-1] and not left:  # the polynomials end with the value before the end
                values, _ = self.drive(np.array([time]), is_left=np.array([False]))
                rows[at] = [np.ravel(values[name])[0] for name in self.names]
                continue
            side = "left" if left else "right"
            step = int(np.clip(np.searchsorted(self.grid, time, side=side) - 1, 0, len(self.grid) - 2))
            start, end = self.grid[step], self.grid[step + 1]
            place = (2.0 * time - start - end) / (end - start)
            angles = np.cos(np.arange(CHEBYSHEV_NODES) * np.arccos(np.clip(place, -1.0, 1.0)))
            rows[at] = self.coefficients[step] @ angles
        return {name: rows[:, at] for at, name in enumerate(self.names)}, {}


def site_model(
    parameters: ParameterSet,
    pk_values: Mapping[str, Array],
    chain_values: Mapping[str, Any],
    course: Course,
    count: int,
) -> Any:
    """Return the linear system with effect sites, its inputs, and what is read off the sites."""
    given = [
        one if course.factors is None else one._replace(dose=_scaled(one.dose, course.factors[:, slot]))
        for slot, one in enumerate(course.given)
    ]
    return _assembled(sites.wire_sites(parameters, pk_values, chain_values, given), count)


def midazolam_model(chain_values: Mapping[str, Any], doses: Sequence[Dose], count: int) -> Any:
    """Return the linear system of midazolam, its inputs, and what is read off its site."""
    return _assembled(sites.wire_midazolam(chain_values, doses), count)


def _assembled(wired: sites.Wired, count: int) -> Any:
    system = assemble(wired.flows, count)
    inputs = [
        one._replace(amount=np.broadcast_to(np.asarray(one.amount, float), (count,)))
        for one in wired.inputs
        if one.node in system.nodes
    ]
    return system, inputs, wired.readings


def _scaled(dose: Any, factor: Array) -> Any:
    return replace(dose, amount_umol=dose.amount_umol * factor)


def _steps(pulses: Sequence[Pulse], times_h: Array, is_left: Flags) -> Array:
    """Return the sum of pulses at some times; at an edge the value after it, or before it where asked."""
    total = np.zeros(len(times_h))
    for start, end, height in pulses:
        total += height * _inside(start, end, times_h, is_left)
    return total


def _inside(start_h: float, end_h: float, times_h: Array, is_left: Flags) -> Array:
    after_start = np.where(is_left, times_h > start_h, times_h >= start_h)
    before_end = np.where(is_left, times_h <= end_h, times_h < end_h)
    return (after_start & before_end).astype(float)


def _taught(stretches: Sequence[Learning], times_h: Array, is_left: Flags) -> tuple[Array, Array]:
    """Return learning per hour and its slope: exp(-t / T_s) while a session lasts."""
    value, slope = np.zeros(len(times_h)), np.zeros(len(times_h))
    for start, end, height, time in stretches:
        now = height * np.exp(-np.maximum(times_h - start, 0.0) / time)
        now = now * _inside(start, end, times_h, is_left)
        value += now
        slope -= now / time
    return value, slope
