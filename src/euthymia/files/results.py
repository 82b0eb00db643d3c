"""Results as JSON, CSV, Parquet and run folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.files.writing import check_writable, write_whole
from euthymia.model.trajectory import QUANTILES, Provenance, Trajectory
from euthymia.model.variables import Variable, find_variable

if TYPE_CHECKING:
    import polars

    from euthymia.population.summarising import Curve, Summary

SCHEMA = "euthymia.simulation/1"
SUMMARY_SCHEMA = "euthymia.summary/1"
SUFFIXES = (".parquet", ".csv", ".json")


def simulation_json(
    trajectory: Trajectory,
    *,
    unit: str,
    command: Sequence[str],
    with_individuals: bool = False,
    outcomes: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a result in the shape of ``euthymia.simulation/1``; NaN is null, no wall times or dates.

    Parameters
    ----------
    trajectory : Trajectory
    unit : str
        Of every concentration: ``"ng/mL"`` or ``"umol/L"``.
    command : sequence of str
        The arguments that made it.
    with_individuals : bool
        Whether to add each patient's values.
    outcomes : sequence of mapping
        Shares of patients: day, scale, definition, share.
    """
    made = trajectory.provenance
    is_typical = trajectory.patients == ("typical",)
    variables = {v.name_in(unit): _curve(trajectory, v, unit) for v in trajectory.variables()}
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "command": list(command),
        "version": made.version,
        "seed": made.seed,
        "regimen": made.regimen,
        "provenance": _provenance(made, patients=len(trajectory.patients), is_typical=is_typical),
        "times_h": _numbers(trajectory.times_h),
        "variables": variables,
        "metrics": {
            "bioavailable_fraction": _summary(trajectory.bioavailable_fraction, "1"),
            **{
                v.name_in(unit): _exposure(trajectory, v, unit)
                for v in trajectory.variables()
                if v.stem in trajectory.metrics
            },
        },
        "certificate": asdict(trajectory.certificate),
        "warnings": list(trajectory.warnings),
    }
    if outcomes:
        document["outcomes"] = list(outcomes)
    if with_individuals:
        document["individuals"] = {
            v.name_in(unit): {
                label: _numbers(row)
                for label, row in zip(
                    trajectory.patients, trajectory.values[v.stem] * v.factor_to(unit), strict=True
                )
            }
            for v in trajectory.variables()
        }
    return document


def summary_json(summary: Summary, *, unit: str, command: Sequence[str]) -> dict[str, Any]:
    """Return a summary in the shape of ``euthymia.summary/1``; NaN is null, no wall times or dates."""
    made = summary.provenance
    return {
        "schema": SUMMARY_SCHEMA,
        "command": list(command),
        "version": made.version,
        "seed": made.seed,
        "regimen": made.regimen,
        "provenance": _provenance(made, patients=summary.patients, is_typical=False),
        "times_h": _numbers(summary.times_h),
        "levels": list(summary.levels),
        "variables": {
            variable.name_in(unit): {
                "unit": variable.unit_in(unit),
                "meaning": variable.meaning,
                "quantiles": [_numbers(row) for row in curve.quantiles],
                "mean": _numbers(curve.mean),
                "sd": _numbers(curve.sd),
                "smallest": _numbers(curve.smallest),
                "largest": _numbers(curve.largest),
                "resolution": curve.resolution,
                "outside_fraction": curve.outside_fraction,
            }
            for variable, curve in summary_curves(summary, unit)
        },
        "shares": {endpoint: _numbers(share) for endpoint, share in summary.shares.items()},
        "patients": summary.patients,
        "certificate": asdict(summary.certificate),
        "warnings": list(summary.warnings),
    }


def summary_table(summary: Summary, *, unit: str) -> polars.DataFrame:
    """Return a summary as a long table; the share of patients with an endpoint stands under ``mean``."""
    import polars

    count = len(summary.times_h)
    quantiles = [f"p{100.0 * level:04.1f}".removesuffix(".0") for level in summary.levels]
    columns = ("time_h", "variable", "unit", *quantiles, "mean", "sd", "smallest", "largest")
    parts = [
        {
            "variable": [variable.stem] * count,
            "unit": [variable.unit_in(unit)] * count,
            **dict(zip(quantiles, curve.quantiles, strict=True)),
            "mean": curve.mean,
            "sd": curve.sd,
            "smallest": curve.smallest,
            "largest": curve.largest,
        }
        for variable, curve in summary_curves(summary, unit)
    ]
    parts += [
        {"variable": [endpoint] * count, "unit": ["1"] * count, "mean": share}
        for endpoint, share in summary.shares.items()
    ]
    frames = [polars.DataFrame({"time_h": summary.times_h, **part}) for part in parts]
    return polars.concat(frames, how="diagonal").select(columns)


def summary_curves(summary: Summary, unit: str) -> list[tuple[Variable, Curve]]:
    """Return each variable of a summary with its curve, concentrations in some unit."""
    found = [(find_variable(stem), curve) for stem, curve in summary.curves.items()]
    return [(variable, curve.scaled(variable.factor_to(unit))) for variable, curve in found]


def _provenance(made: Provenance, *, patients: int, is_typical: bool) -> dict[str, Any]:
    return {
        "parameters": made.parameters,
        "overrides": dict(made.overrides),
        **({"posterior": made.posterior} if made.posterior else {}),
        "engine": made.engine,
        "sources": list(made.sources),
        "weight_kg": list(made.weight_kg),
        "covariates": list(made.covariates),
        "horizon_h": made.horizon_h,
        "patients": patients,
        "is_typical": is_typical,
        "status": "simulated; research software, not a medical device",
    }


def dump_json(document: dict[str, Any]) -> str:
    """Return a document as JSON text, ending in a newline."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def quantile_table(trajectory: Trajectory, *, unit: str) -> polars.DataFrame:
    """Return the curves as a long table: time_h, variable, unit, p05, p50, p95, mean."""
    import polars

    parts = []
    for variable in trajectory.variables():
        curve = trajectory.values[variable.stem] * variable.factor_to(unit)
        low, middle, high = np.quantile(curve, QUANTILES, axis=0)
        parts.append(
            polars.DataFrame(
                {
                    "time_h": trajectory.times_h,
                    "variable": [variable.stem] * len(trajectory.times_h),
                    "unit": [variable.unit_in(unit)] * len(trajectory.times_h),
                    "p05": low,
                    "p50": middle,
                    "p95": high,
                    "mean": _mean(curve),
                }
            )
        )
    return polars.concat(parts)


def check_out(path: Path) -> None:
    """Raise where a result could not be written to a path: unknown suffix, or no way to write there."""
    if not path.suffix:
        check_writable(path / "result.json")
        return
    if path.suffix not in SUFFIXES:
        endings = ", ".join(SUFFIXES)
        message = f"'--out' must end in {endings}, or have no suffix for a run folder. Got {str(path)!r}."
        raise InvalidInputError(message)
    check_writable(path)


def write_result(
    trajectory: Trajectory,
    path: Path,
    *,
    unit: str,
    command: Sequence[str],
    outcomes: Sequence[Mapping[str, Any]] = (),
) -> list[Path]:
    """Write a result to a file by its suffix, or to a run folder, and return what was written.

    ``.parquet`` and ``.csv`` hold every patient (long table), ``.json`` the summary; a folder holds JSON,
    individuals as Parquet, and quantiles as CSV.
    """
    if not path.suffix:
        # result.json comes last: a folder that holds it is complete
        return [
            *write_result(trajectory, path / "individuals.parquet", unit=unit, command=command),
            write_frame(quantile_table(trajectory, unit=unit), path / "quantiles.csv"),
            *write_result(trajectory, path / "result.json", unit=unit, command=command, outcomes=outcomes),
        ]
    if path.suffix == ".json":
        text = dump_json(simulation_json(trajectory, unit=unit, command=command, outcomes=outcomes))
        write_whole(path, lambda target: target.write_text(text, encoding="utf-8"))
        return [path]
    return [write_frame(trajectory.to_polars(unit=unit), path)]


def write_frame(frame: polars.DataFrame, path: Path, *, metadata: Mapping[str, str] | None = None) -> Path:
    """Write a table by the suffix of a path; polars reports a full disk by an error of its own.

    ``metadata`` goes into Parquet; CSV has no place for it.
    """
    from polars.exceptions import PolarsError

    with_metadata = {"metadata": dict(metadata)} if metadata else {}
    write_parquet = partial(frame.write_parquet, **with_metadata)
    try:
        write_whole(path, write_parquet if path.suffix == ".parquet" else frame.write_csv)
    except PolarsError as error:
        message = f"Cannot write {str(path)!r}: {error}. Nothing was left there."
        raise RunFailedError(message) from None
    return path


def _curve(trajectory: Trajectory, variable: Variable, unit: str) -> dict[str, Any]:
    curve = trajectory.values[variable.stem] * variable.factor_to(unit)
    low, middle, high = np.quantile(curve, QUANTILES, axis=0)
    return {
        "unit": variable.unit_in(unit),
        "meaning": variable.meaning,
        "p05": _numbers(low),
        "p50": _numbers(middle),
        "p95": _numbers(high),
        "mean": _numbers(_mean(curve)),
    }


def _exposure(trajectory: Trajectory, variable: Variable, unit: str) -> dict[str, Any]:
    one = trajectory.metrics[variable.stem].in_unit(variable.factor_to(unit))
    return {
        "cmax": _summary(one.cmax, unit),
        "tmax_h": _summary(one.tmax_h, "h"),
        "auc_0_to_horizon": _summary(one.auc_horizon, f"h*{unit}"),
        "auc_0_to_infinity": _summary(one.auc_infinity, f"h*{unit}"),
        "half_life_h": _summary(one.half_life_h, "h"),
    }


def _summary(values: NDArray[np.float64], unit: str) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    if not len(known):
        return {"unit": unit, "p05": None, "p50": None, "p95": None, "mean": None}
    low, middle, high = (float(value) for value in np.quantile(known, QUANTILES))
    return {"unit": unit, "p05": low, "p50": middle, "p95": high, "mean": float(_mean(known[:, None])[0])}


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means over patients, summed in blocks of 256 in order, so that no grouping changes a byte."""
    blocks = [values[start : start + 256].sum(axis=0) for start in range(0, len(values), 256)]
    total = blocks[0].copy()
    for block in blocks[1:]:
        total += block
    return total / len(values)


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
