"""Many patients in little memory: quantiles, moments and endpoints added up while the patients are solved.

Trajectories are dropped chunk by chunk. Quantiles come from integer histograms on a fixed scale of each
variable, and so are the same whatever the chunks; moments are summed in blocks of :data:`BLOCK` patients, and
these are merged in the order of the patients.
"""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import cpu_count
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.compute.executor import Executor
from euthymia.compute.threads import ThreadExecutor
from euthymia.errors import ResultWarning, invalid
from euthymia.model.scales import scales
from euthymia.model.trajectory import QUANTILES, Certificate, Provenance, Trajectory
from euthymia.population.run import Run, prepare
from euthymia.population.simulate import notes_of, trajectory_of
from euthymia.population.solve import Part, calibrate, pilots_of, solve_part

Array = NDArray[np.float64]
BINS = 4096
BLOCK = 256
"""Patients whose moments are summed together; chunks are whole numbers of blocks."""
WIDENED = 1.0
"""How far the scale of a histogram reaches beyond the pilots' values on each side, in widths of these."""
NARROWEST, SMALLEST_SPAN = 1e-9, 1e-12
"""Span of the pilots' values, relative to that over all times and at all, below which it counts as this."""
MEMORY_MB = 500.0
LARGEST_CHUNK = 8 * BLOCK
_BYTES_PER_NUMBER = 20
"""Of a chunk's values: as solved, as reduced, and what is made of them on the way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One variable over time in many patients; everything is (T,) but the quantiles, (levels, T).

    ``resolution`` is the width of a bin, and the largest error of a quantile within the scale of the
    histogram. ``outside_fraction`` is the largest share of patients, at any time, whom that scale does not
    cover.
    """

    quantiles: Array
    mean: Array
    sd: Array
    smallest: Array
    largest: Array
    resolution: float
    outside_fraction: float

    def at(self, place: NDArray[np.int64]) -> Curve:
        """Return the curve at some places of its times; the histogram stays that of all."""
        return replace(
            self,
            quantiles=self.quantiles[:, place],
            mean=self.mean[place],
            sd=self.sd[place],
            smallest=self.smallest[place],
            largest=self.largest[place],
        )

    def scaled(self, factor: float) -> Curve:
        """Return the curve in a unit that many times smaller."""
        return Curve(
            quantiles=self.quantiles * factor,
            mean=self.mean * factor,
            sd=self.sd * factor,
            smallest=self.smallest * factor,
            largest=self.largest * factor,
            resolution=self.resolution * factor,
            outside_fraction=self.outside_fraction,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What many patients go through, without the patients.

    Parameters
    ----------
    times_h : array (T,)
    curves : {variable: Curve}
    levels : tuple of float
        Of the quantiles.
    shares : {endpoint: array (T,)}
        Share of patients who meet it at each time: ``MADRS response`` is a fall of the expected total by half
        of what it was at the first time, ``MADRS remission`` an expected total at or below the first cut-off
        of the scale.
    last : {variable: array (P,)} or None
        Each patient's value at the last time, single precision, where asked for.
    patients : int
    session_starts_h : tuple of float
    certificate : Certificate
    provenance : Provenance
    warnings : tuple of str
    """

    times_h: Array
    curves: Mapping[str, Curve]
    levels: tuple[float, ...]
    shares: Mapping[str, Array]
    last: Mapping[str, NDArray[np.float32]] | None
    patients: int
    session_starts_h: tuple[float, ...]
    certificate: Certificate
    provenance: Provenance
    warnings: tuple[str, ...]

    def at(self, times_h: Sequence[float] | Array) -> Summary:
        """Return the summary at some of its times only; shares stay those since the first of all."""
        place = np.searchsorted(self.times_h, times_h)
        return replace(
            self,
            times_h=self.times_h[place],
            curves={name: curve.at(place) for name, curve in self.curves.items()},
            shares={name: share[place] for name, share in self.shares.items()},
        )


def summarise(
    regimen: Any,
    *,
    patients: int,
    variables: Sequence[str] = ("madrs_points",),
    levels: tuple[float, ...] = QUANTILES,
    memory_mb: float = MEMORY_MB,
    keeps_last: bool = False,
    executor: Executor | None = None,
    on_done: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Summary:
    """Return quantiles, moments and endpoints of any number of virtual patients.

    Parameters
    ----------
    regimen, patients, variables
        As for :func:`euthymia.population.simulate.simulate`, as are further options.
    levels : tuple of float
        Of quantiles, above 0 and below 1.
    memory_mb : float
        What values of patients may take at a time; the program itself takes about 200 MB more.
    keeps_last : bool
        Whether to keep each patient's last values.
    executor : Executor, optional
        By default as many threads as there are cores. The result does not depend on it.
    on_done : callable, optional
        Called with (patients done, in all) now and then.

    Raises
    ------
    InvalidInputError
        Names what was given and what is allowed.
    RunFailedError
        A solve failed: names patient, time, state and term.
    """
    if patients < 1:
        raise invalid("patients", must="a whole number from 1", got=patients)
    if not all(0.0 < level < 1.0 for level in levels):
        raise invalid("levels", must="above 0 and below 1", got=levels)
    run = prepare(regimen, patients=patients, variables=variables, **options)
    chunk = chunk_size(run, memory_mb)
    run = calibrate(run)
    workers = executor or ThreadExecutor(cpu_count() or 1)
    totals = _Totals(run, keeps_last=keeps_last)
    parts = [slice(first, min(first + chunk, patients)) for first in range(0, patients, chunk)]

    def work(part: slice) -> Part:
        solved = solve_part(run, part, None)
        totals.add(part, solved)
        if on_done is not None:
            totals.report(on_done)
        return solved.without_values()

    solved = workers.map(work, parts)
    notes = notes_of(run, solved)
    for note in notes:
        python_warnings.warn(note, ResultWarning, stacklevel=2)
    bare = trajectory_of(replace(run, chain_names=(), pk_stems=()), solved, notes)
    return totals.summary(levels, bare)


def chunk_size(run: Run, memory_mb: float) -> int:
    """Return how many patients are solved at a time by each worker, a whole number of blocks."""
    numbers = max(len(run.times_h) * (len(run.chain_names) + len(run.pk_stems) + 1), 1)
    workers = cpu_count() or 1
    fitting = memory_mb * 1e6 / (_BYTES_PER_NUMBER * numbers * workers)
    if not fitting >= BLOCK:  # also where it is not a number
        needed = _BYTES_PER_NUMBER * numbers * workers * BLOCK / 1e6
        raise invalid(
            "memory_mb",
            must=f"at least {needed:.0f} for {len(run.times_h)} times of these variables",
            got=memory_mb,
            cure="Name fewer variables or times.",
        )
    return int(min(fitting, LARGEST_CHUNK)) // BLOCK * BLOCK


def values_of(part: Part) -> dict[str, Any]:
    """Return every value of a chunk, (P, T) by name."""
    return {**(part.pk.values if part.pk else {}), **part.solution.values}


class _Totals:
    """What is added up over chunks, in any order; integers and blocks make the order no matter."""

    def __init__(self, run: Run, *, keeps_last: bool) -> None:
        self.run, self.names = run, (*run.pk_stems, *run.chain_names)
        self.times, self.patients, self.lock = len(run.times_h), len(run.people), Lock()
        self.low, self.width = self._ranges()
        self.counts = {name: np.zeros((self.times, BINS), np.int64) for name in self.names}
        blocks = -(-self.patients // BLOCK)
        self.sums = {name: np.zeros((blocks, 2, self.times)) for name in self.names}
        self.extremes = {
            name: np.stack([np.full(self.times, np.inf), np.full(self.times, -np.inf)]) for name in self.names
        }
        self.outside = {name: np.zeros(self.times, np.int64) for name in self.names}
        self.met: dict[str, NDArray[np.int64]] = {}
        self.last = {name: np.zeros(self.patients, np.float32) for name in self.names} if keeps_last else None
        self.done = self.by_exponential = 0

    def _ranges(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return where each histogram begins, and the width of its bins, (T, 1), by the pilots."""
        pilots = pilots_of(self.run)
        found = values_of(solve_part(pilots, slice(None), None))
        low, width = {}, {}
        for name in self.names:
            values = np.asarray(found[name], float)
            smallest, largest = values.min(axis=0)[:, None], values.max(axis=0)[:, None]
            span = np.maximum(largest - smallest, max(NARROWEST * np.ptp(values), SMALLEST_SPAN))
            low[name] = smallest - WIDENED * span
            width[name] = (1.0 + 2.0 * WIDENED) * span / BINS
        return low, width

    def add(self, part: slice, solved: Part) -> None:
        """Add a chunk, which begins with a block."""
        values = values_of(solved)
        rows = BINS * np.arange(self.times)[:, None]
        for name in self.names:
            by_time = np.ascontiguousarray(np.asarray(values[name]).T, float)
            place = np.floor((by_time - self.low[name]) / self.width[name])
            is_outside = (place < 0) | (place >= BINS)
            place = np.clip(place, 0, BINS - 1).astype(np.int64) + rows
            counts = np.bincount(place.ravel(), minlength=BINS * self.times).reshape(self.times, BINS)
            sums = [
                [block.sum(axis=1), (block * block).sum(axis=1)]
                for block in np.split(by_time, range(BLOCK, by_time.shape[1], BLOCK), axis=1)
            ]
            met = _endpoints(name, by_time)
            with self.lock:
                self.counts[name] += counts
                self.outside[name] += is_outside.sum(axis=1)
                self.sums[name][part.start // BLOCK :][: len(sums)] = sums
                extremes = self.extremes[name]
                np.minimum(extremes[0], by_time.min(axis=1), out=extremes[0])
                np.maximum(extremes[1], by_time.max(axis=1), out=extremes[1])
                for endpoint, is_met in met.items():
                    self.met.setdefault(endpoint, np.zeros(self.times, np.int64))
                    self.met[endpoint] += is_met.sum(axis=1)
                if self.last is not None:
                    self.last[name][part] = by_time[-1]
        with self.lock:
            self.done += part.stop - part.start
            self.by_exponential += int(solved.pk.by_exponential.sum()) if solved.pk else 0

    def report(self, on_done: Callable[[int, int], None]) -> None:
        """Say how many patients are done, from one thread at a time."""
        with self.lock:
            on_done(self.done, self.patients)

    def summary(self, levels: tuple[float, ...], bare: Trajectory) -> Summary:
        """Return what was added up, with what a result without values says of the run."""
        solved = replace(bare.certificate, patients_by_matrix_exponential=self.by_exponential)
        return Summary(
            times_h=self.run.times_h,
            curves={name: self._curve(name, levels) for name in self.names},
            levels=levels,
            shares={name: count / self.patients for name, count in self.met.items()},
            last=self.last,
            patients=self.patients,
            session_starts_h=bare.session_starts_h,
            certificate=solved,
            provenance=bare.provenance,
            warnings=bare.warnings,
        )

    def _curve(self, name: str, levels: tuple[float, ...]) -> Curve:
        total, squares = self.sums[name].sum(axis=0)
        mean = total / self.patients
        smallest, largest = self.extremes[name]
        found = np.stack([self._quantile(name, level) for level in levels])
        return Curve(
            quantiles=np.clip(found, smallest, largest),
            mean=mean,
            sd=np.sqrt(np.maximum(squares / self.patients - mean * mean, 0.0)),
            smallest=smallest,
            largest=largest,
            resolution=float(self.width[name].max()),
            outside_fraction=float(self.outside[name].max()) / self.patients,
        )

    def _quantile(self, name: str, level: float) -> Array:
        """Return a quantile at each time, linear within the bin that it falls into."""
        upto = np.cumsum(self.counts[name], axis=1)
        rank = level * (self.patients - 1) + 0.5
        place = (upto < rank).sum(axis=1)
        at = np.arange(self.times)
        before = np.where(place > 0, upto[at, place - 1], 0)
        share = (rank - before) / np.maximum(self.counts[name][at, place], 1)
        return self.low[name][:, 0] + self.width[name][:, 0] * (place + np.clip(share, 0.0, 1.0))


def _endpoints(name: str, by_time: Array) -> dict[str, NDArray[np.bool_]]:
    """Return who meets the endpoints of a scale, (T, P) by their names, by expected totals."""
    found: dict[str, NDArray[np.bool_]] = {}
    for scale in scales().values():
        if scale.variable != name:
            continue
        start = by_time[0] - scale.minimum_points
        fallen = start - (by_time - scale.minimum_points)
        found[f"{scale.name} response"] = (start > 0) & (fallen >= scale.response_fraction * start)
        for remission in scale.remissions[:1]:
            found[f"{scale.name} remission"] = by_time <= remission.at_most_points
    return found
