"""Reads the shipped evidence tables into records, after the checks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache

from euthymia.citations import load_sources
from euthymia.evidence.check import (
    exposure_problems,
    given_quantity,
    require_sound,
    split_keys,
    time_course_problems,
)
from euthymia.evidence.records import ExposureRow, ExposureRun, Role, TimeCourse
from euthymia.tables import Row, list_files, number, read_table

_FOLDER = "evidence/pk"
_EXPOSURES = f"{_FOLDER}/exposure.csv"
_RUNS = f"{_FOLDER}/exposure_runs.csv"
_SERIES = f"{_FOLDER}/timecourses"
_SETS = "parameters/sets.csv"
_MANIFEST = f"{_SERIES}/manifest.csv"


@cache
def load_exposures() -> tuple[ExposureRow, ...]:
    """Return the published exposures that ship with Euthymia, of every role.

    Code that fits takes them through ``select.fitting_rows``.
    """
    sets = {row["set"] for row in read_table(_SETS)}
    return read_exposures(read_table(_EXPOSURES), read_table(_RUNS), sources=load_sources(), sets=sets)


@cache
def load_time_courses() -> tuple[TimeCourse, ...]:
    """Return the published concentration-time courses that ship with Euthymia, of every role."""
    files = [path for path in list_files(_SERIES, ".csv") if path != _MANIFEST]
    points = {path.rsplit("/", 1)[1]: read_table(path) for path in files}
    return read_time_courses(read_table(_MANIFEST), points, sources=load_sources())


def read_exposures(
    rows: Sequence[Row], runs: Sequence[Row], *, sources: Collection[str], sets: Collection[str]
) -> tuple[ExposureRow, ...]:
    """Return exposures from their two tables.

    Raises
    ------
    InvalidInputError
        If any check fails; a row without a role is refused.
    """
    require_sound(_EXPOSURES, exposure_problems(rows, runs, sources=sources, sets=sets))
    by_id = {run["row_id"]: read_run(run) for run in runs}
    return tuple(_exposure(row, by_id[row["row_id"]]) for row in rows)


def read_time_courses(
    manifest: Sequence[Row], points: Mapping[str, Sequence[Row]], *, sources: Collection[str]
) -> tuple[TimeCourse, ...]:
    """Return time courses from their manifest and the rows of each file.

    Raises
    ------
    InvalidInputError
        If any check fails; a row without a role is refused.
    """
    require_sound(_MANIFEST, time_course_problems(manifest, points, sources=sources))
    return tuple(_time_course(row, points[row["file"]]) for row in manifest)


def read_run(run: Row) -> ExposureRun:
    """Return how to run an exposure from a checked row of its table."""
    return ExposureRun(
        row_id=run["row_id"],
        reason=run["reason"],
        regimen=run["regimen"],
        analyte=run["analyte"],
        auc_analyte=run["auc_analyte"],
        at=run["at"],
        cmax_ng_per_mL=given_quantity(run, "cmax_ng_per_mL"),
        tmax_h=given_quantity(run, "tmax_h"),
        auc_ng_h_per_mL=given_quantity(run, "auc_ng_h_per_mL"),
        half_life_h=given_quantity(run, "half_life_h"),
        bioavailable_fraction=given_quantity(run, "bioavailable_fraction"),
        auc_ratio=given_quantity(run, "auc_ratio"),
        is_runnable=run["runnable"] == "yes",
        site=run["site"],
        sets=split_keys(run["sets"]),
        weight_kg=float(run["weight_kg"]),
        age_years=float(run["age_years"]),
        ancestry=run["ancestry"],
        at_h=float(run["at"].removesuffix(" h")) if run["at"].endswith(" h") else None,
        auc_from_h=number(run, "auc_from_h"),
        auc_to_h=number(run, "auc_to_h"),
        is_auc_per_mg=run["auc_per_mg"] == "yes",
        half_life_window_h=number(run, "half_life_window_h"),
        assumption=run["assumption"],
    )


def _exposure(row: Row, run: ExposureRun) -> ExposureRow:
    return ExposureRow(
        row_id=row["row_id"],
        role=Role(row["role"]),
        source_keys=split_keys(row["source_key"]),
        study=row["study"],
        population=row["population"],
        data_kind=row["data_kind"],
        confidence=row["confidence"],
        run=run,
        printed=row,
    )


def _time_course(row: Row, series: Sequence[Row]) -> TimeCourse:
    return TimeCourse(
        row_id=row["file"].removesuffix(".csv"),
        role=Role(row["role"]),
        source_keys=split_keys(row["source_key"]),
        study=row["study"],
        analyte=row["analyte"],
        variable=None if row["variable"] == "none" else row["variable"],
        site=row["site"],
        regimen=row["regimen"],
        weight_kg=float(row["weight_kg"]),
        unit=row["unit"],
        times_h=tuple(float(point["time_h"]) for point in series),
        concentrations=tuple(float(point["conc"]) for point in series),
        censored_from_h=number(row, "censored_from_h"),
        is_first_point_artefact=row["drop_first_point"] == "true",
        printed=row,
    )
