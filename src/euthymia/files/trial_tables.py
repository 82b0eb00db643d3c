"""Tables of the patients of a virtual trial, in the shape of SDTM: DM, EX, QS, VS, AE and DS.

Day 1 is the day of the first dose and the day before it is day -1; there is no day 0. Nothing has a date: a
simulated trial has no calendar. Every ``STUDYID`` begins with ``SIMULATED``, and so does every label.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from euthymia.errors import RunFailedError, invalid, unknown
from euthymia.files.results import dump_json, write_frame
from euthymia.files.trial_domains import (
    FIRST_DOSE_CLOCK_H,
    NOTE,
    adverse_events,
    demographics,
    disposition,
    exposure,
    study_id,
)
from euthymia.files.trial_findings import questionnaires, vital_signs
from euthymia.files.writing import write_whole
from euthymia.files.xpt import XptColumn, write_xpt
from euthymia.tables import list_files, read_table, read_text

if TYPE_CHECKING:
    import polars

    from euthymia.trials.records import Cohort

COLUMNS = "patient_tables.csv"
STATUS = "simulated patients of a model; nobody was treated"
TITLES = {
    "DM": "Demographics",
    "EX": "Exposure",
    "QS": "Questionnaires",
    "VS": "Vital Signs",
    "AE": "Adverse Events",
    "DS": "Disposition",
}
FORMATS = ("parquet", "csv", "xpt")


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientTable:
    """One table of patients.

    Parameters
    ----------
    name : str
        ``DM``, ``EX``, ``QS``, ``VS``, ``AE`` or ``DS``.
    frame : polars.DataFrame
        Columns as ``data/patient_tables.csv`` has them; missing is null.
    """

    name: str
    frame: polars.DataFrame

    @property
    def label(self) -> str:
        """What it is called in files: ``SIMULATED Demographics``."""
        return f"{NOTE} {TITLES[self.name]}"

    @property
    def columns(self) -> tuple[Mapping[str, str], ...]:
        """Each column's name, kind, label, and whether it is a key and of the standard."""
        return _columns(self.name)

    @property
    def keys(self) -> list[str]:
        """Columns that tell rows apart."""
        return [one["name"] for one in self.columns if one["is_key"] == "yes"]


def patient_tables(cohorts: Cohort | Sequence[Cohort]) -> dict[str, PatientTable]:
    """Return the patients of one replicate of a trial, or of several, as tables by name.

    Parameters
    ----------
    cohorts : Cohort or sequence of Cohort
        Of one protocol.

    Raises
    ------
    RunFailedError
        The tables contradict themselves; see `table_problems`.
    """
    from euthymia.trials.records import Cohort

    every = [cohorts] if isinstance(cohorts, Cohort) else list(cohorts)
    if not every:
        raise invalid("cohorts", must="one or more", got="none")
    builders: dict[str, Callable[[Cohort], dict[str, Any]]] = {
        "DM": demographics,
        "EX": exposure,
        "QS": questionnaires,
        "VS": vital_signs,
        "AE": adverse_events,
        "DS": disposition,
    }
    tables = {
        name: PatientTable(name=name, frame=_frame(name, [(study_id(one), build(one)) for one in every]))
        for name, build in builders.items()
    }
    problems = table_problems(tables)
    if problems:
        message = f"The tables of the trial contradict themselves: {'; '.join(problems)}."
        raise RunFailedError(message)
    return tables


def table_problems(tables: Mapping[str, PatientTable]) -> tuple[str, ...]:
    """Return what is wrong with tables, one line each: keys, subjects, totals outside their scale."""
    import polars

    known = tables["DM"].frame["USUBJID"]
    found = []
    for name, table in tables.items():
        frame = table.frame
        if frame.select(table.keys).is_duplicated().any():
            found.append(f"{name} has two rows of the same {' and '.join(table.keys)}")
        strangers = frame.filter(~polars.col("USUBJID").is_in(known.implode()))["USUBJID"]
        if len(strangers):
            found.append(f"{name} names {strangers[0]!r}, who is not in DM")
    return (*found, *_outside(tables["QS"].frame), *_impossible(tables["VS"].frame))


def write_tables(
    tables: Mapping[str, PatientTable], folder: Path, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Write tables into a folder as ``dm.parquet``, ``dm.csv``, ``dm.xpt`` and so on; return the paths.

    ``tables.json`` describes them: labels, columns, keys. Parquet carries the label as metadata, XPT as its
    own; CSV can carry none, and has it in ``STUDYID``.
    """
    for one in formats:
        if one not in FORMATS:
            raise unknown("format of tables", one, FORMATS)
    written = [
        _write_one(table, folder / f"{name.lower()}.{one}")
        for name, table in tables.items()
        for one in formats
    ]
    text = dump_json(_description(tables))
    write_whole(folder / "tables.json", lambda target: target.write_text(text, encoding="utf-8"))
    return [*written, folder / "tables.json"]


# --- frames, checks, files ----------------------------------------------------------------------------------


@cache
def _columns(table: str) -> tuple[Mapping[str, str], ...]:
    return tuple(row for row in read_table(COLUMNS) if row["table"] == table)


def _frame(name: str, parts: Sequence[tuple[str, Mapping[str, Any]]]) -> polars.DataFrame:
    """Return the rows of each cohort, by the name of its study, as one frame numbered within each subject."""
    import polars

    frame = polars.concat([_part(name, study, part) for study, part in parts])
    if f"{name}SEQ" not in frame.columns:
        return frame
    number = polars.int_range(1, polars.len() + 1, dtype=polars.Int64).over("USUBJID")
    return frame.with_columns(number.alias(f"{name}SEQ"))


def _part(name: str, study: str, given: Mapping[str, Any]) -> polars.DataFrame:
    import polars

    kinds = {"text": polars.String, "whole": polars.Int64, "number": polars.Float64}
    count = len(given["USUBJID"])
    content = {"STUDYID": [study] * count, "DOMAIN": [name] * count, f"{name}SEQ": [0] * count, **given}
    return polars.DataFrame(
        {
            one["name"]: polars.Series(list(content[one["name"]]), dtype=kinds[one["kind"]])
            for one in _columns(name)
        }
    )


def _outside(frame: polars.DataFrame) -> list[str]:
    """Return which totals lie outside their scale."""
    found = []
    for (scale,), rows in frame.group_by(["QSCAT"], maintain_order=True):
        low, high = _ranges()[str(scale)]
        wrong = [value for value in rows["QSSTRESN"] if not low <= value <= high]
        if wrong:
            found.append(f"QS holds a {scale} of {wrong[0]:g}, which goes from {low:g} to {high:g}")
    return found


@cache
def _ranges() -> dict[str, tuple[float, float]]:
    """Return the smallest and largest total of every scale, of mood and of sessions."""
    read = [tomllib.loads(read_text(path)) for path in list_files("scales", ".toml")]
    return {one["id"]: (float(one["minimum"]), float(one["maximum"])) for one in read}


def _impossible(frame: polars.DataFrame) -> list[str]:
    wrong = frame.filter(~(frame["VSSTRESN"] > 0) | frame["VSSTRESN"].is_infinite())
    return [f"VS holds a {wrong['VSTEST'][0]} of {wrong['VSSTRESN'][0]:g}"] if wrong.height else []


def _write_one(table: PatientTable, path: Path) -> Path:
    if path.suffix == ".xpt":
        columns = [_xpt_column(one, table.frame[one["name"]]) for one in table.columns]
        return write_xpt(path, name=table.name, label=table.label, columns=columns)
    return write_frame(table.frame, path, metadata={"label": table.label, "status": STATUS})


def _xpt_column(column: Mapping[str, str], values: polars.Series) -> XptColumn:
    if column["kind"] == "text":
        return XptColumn(name=column["name"], label=column["label"], values=values.to_list())
    numbers = values.cast(float).fill_null(np.nan).to_numpy()
    return XptColumn(name=column["name"], label=column["label"], values=numbers)


def _description(tables: Mapping[str, PatientTable]) -> dict[str, Any]:
    return {
        "schema": "euthymia.patient-tables/1",
        "status": STATUS,
        "study_day": "day 1 is the day of the first dose, day -1 the day before; there is no day 0",
        "first_dose_clock_h": FIRST_DOSE_CLOCK_H,
        "tables": {
            name: {
                "label": table.label,
                "rows": table.frame.height,
                "keys": table.keys,
                "columns": [
                    {
                        "name": one["name"],
                        "label": one["label"],
                        "kind": one["kind"],
                        "is_standard": one["is_standard"] == "yes",
                    }
                    for one in table.columns
                ],
            }
            for name, table in tables.items()
        },
    }
