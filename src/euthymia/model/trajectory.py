"""The result of a simulation: times, values by variable, units, and where it all came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import unknown
from euthymia.model.variables import Variable, find_variable

if TYPE_CHECKING:
    import polars
    import xarray

Array = NDArray[np.float64]
QUANTILES = (0.05, 0.5, 0.95)
METRIC_FIELDS = ("cmax", "tmax_h", "auc_horizon", "auc_infinity", "half_life_h")


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What stands behind a result, enough to make it again.

    ``posterior`` is the name of what calibrated numbers are drawn from and the start of its digest; empty
    where they stand as in the set.
    """

    version: str
    seed: int
    regimen: str
    parameters: str
    overrides: Mapping[str, float]
    engine: str
    sources: tuple[str, ...]
    weight_kg: tuple[float, float]
    horizon_h: float
    covariates: tuple[str, ...] = ()
    posterior: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """How the numbers were obtained, and how far they may be off for numerical reasons.

    Parameters
    ----------
    method : str
    tolerance_relative : float
        Relative to each observable's own scale.
    patients_by_matrix_exponential, patients_by_reference_solver : int
    largest_error_relative, p95_error_relative : float or None
        Over patients, each patient's largest error by the check of half steps; None where none was made.
    patients_finer, patients_over : int
        How many were solved again on a finer grid, and how many stayed over the tolerance.
    """

    method: str
    tolerance_relative: float
    patients_by_matrix_exponential: int
    patients_by_reference_solver: int
    largest_error_relative: float | None = None
    p95_error_relative: float | None = None
    patients_finer: int = 0
    patients_over: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """Exposure of one variable, one value a patient (P,), concentrations in umol/L.

    ``cmax`` is read off a grid of a minute or two around doses, ``tmax_h`` counts from the start of the
    session before it; areas and half-lives are closed forms.
    ``auc_infinity`` is NaN where the regimen has no end.
    """

    cmax: Array
    tmax_h: Array
    auc_horizon: Array
    auc_infinity: Array
    half_life_h: Array

    def in_unit(self, factor: float) -> Metrics:
        """Return the metrics with concentrations and areas multiplied by a factor."""
        return Metrics(
            cmax=self.cmax * factor,
            tmax_h=self.tmax_h,
            auc_horizon=self.auc_horizon * factor,
            auc_infinity=self.auc_infinity * factor,
            half_life_h=self.half_life_h,
        )


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Trajectory:
    """What a patient, or many, go through: ``values[name]`` is (P, T) at ``times_h`` (T,).

    Concentrations are in umol/L, everything else in the unit of ``variables.csv``. ``given_fraction`` is what
    each patient got of each dose of ketamine, (P, doses): 1 as planned; None where that is so for all.

    Indexing takes a variable by any of its names: ``trajectory["ketamine_arterial"]``.
    """

    times_h: Array
    values: Mapping[str, Array]
    metrics: Mapping[str, Metrics]
    bioavailable_fraction: Array
    patients: tuple[str, ...]
    session_starts_h: tuple[float, ...]
    provenance: Provenance
    certificate: Certificate
    warnings: tuple[str, ...]
    given_fraction: Array | None = None

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Numbers of the patients, which key their draws; the typical patient is 1."""
        return np.array([int(label) if label.isdigit() else 1 for label in self.patients])

    def __repr__(self) -> str:
        made, count = self.provenance, len(self.patients)
        return (
            f"<Trajectory {made.regimen!r}: {count} {'patient' if count == 1 else 'patients'}, "
            f"{len(self.times_h)} times to {self.times_h[-1]:g} h, {len(self.values)} variables, "
            f"set {made.parameters}, seed {made.seed}>"
        )

    def at(self, times_h: Sequence[float]) -> Trajectory:
        """Return the result at some of its times only; exposure stays that of the whole course."""
        place = np.searchsorted(self.times_h, times_h)
        values = {name: array[:, place] for name, array in self.values.items()}
        return replace(self, times_h=self.times_h[place], values=values)

    def only(self, names: Sequence[str]) -> Trajectory:
        """Return the result with some of its observables only."""
        stems = dict.fromkeys(find_variable(name).stem for name in names)
        return replace(
            self,
            values={stem: self.values[stem] for stem in stems},
            metrics={stem: self.metrics[stem] for stem in stems if stem in self.metrics},
        )

    def of_patient(self, label: str) -> Trajectory:
        """Return the result of one patient."""
        if label not in self.patients:
            raise unknown("patient", label, self.patients)
        one = [self.patients.index(label)]
        return replace(
            self,
            values={name: array[one] for name, array in self.values.items()},
            metrics={
                name: Metrics(**{field: getattr(metrics, field)[one] for field in METRIC_FIELDS})
                for name, metrics in self.metrics.items()
            },
            bioavailable_fraction=self.bioavailable_fraction[one],
            patients=(label,),
            given_fraction=None if self.given_fraction is None else self.given_fraction[one],
        )

    def __getitem__(self, name: str) -> Array:
        variable = find_variable(name)
        if variable.stem not in self.values:
            raise unknown("variable of this result", name, self.values)
        return self.values[variable.stem] * variable.factor_to(_unit_of(name))

    def variables(self) -> tuple[Variable, ...]:
        """Return the observables that the result holds."""
        return tuple(find_variable(stem) for stem in self.values)

    def quantiles(self, name: str, levels: tuple[float, ...] = QUANTILES) -> Array:
        """Return quantiles over patients, (levels, T), in umol/L (or ng/mL if the name ends in it)."""
        return np.quantile(self[name], levels, axis=0)

    def to_polars(self, *, unit: str = "ng/mL") -> polars.DataFrame:
        """Return a long table: patient, time_h, variable, value, unit."""
        import polars

        parts = []
        for variable in self.variables():
            values = self.values[variable.stem] * variable.factor_to(unit)
            parts.append(
                polars.DataFrame(
                    {
                        "patient": np.repeat(np.array(self.patients), len(self.times_h)),
                        "time_h": np.tile(self.times_h, len(self.patients)),
                        "variable": [variable.stem] * values.size,
                        "value": values.ravel(),
                        "unit": [variable.unit_in(unit)] * values.size,
                    }
                )
            )
        return polars.concat(parts)

    def to_xarray(self, *, unit: str = "ng/mL") -> xarray.Dataset:
        """Return a dataset with dimensions patient and time_h; units and meanings as attributes."""
        import xarray

        data: dict[str, Any] = {}
        for variable in self.variables():
            values = self.values[variable.stem] * variable.factor_to(unit)
            attributes = {"units": variable.unit_in(unit), "long_name": variable.meaning}
            data[variable.stem] = (("patient", "time_h"), values, attributes)
        coordinates = {"patient": list(self.patients), "time_h": ("time_h", self.times_h, {"units": "h"})}
        return xarray.Dataset(data, coords=coordinates, attrs={"regimen": self.provenance.regimen})


def _unit_of(name: str) -> str:
    return "ng/mL" if name.endswith("_ng_per_mL") else "umol/L"
