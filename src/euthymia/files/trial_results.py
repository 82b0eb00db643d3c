"""Results of virtual trials as JSON, CSV, and a folder with the patients of the first replicate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import InvalidInputError
from euthymia.files.results import dump_json, write_frame
from euthymia.files.trial_events import write_trial_events
from euthymia.files.trial_json import protocol_digest
from euthymia.files.trial_tables import FORMATS, patient_tables, write_tables
from euthymia.files.writing import check_writable, write_whole

if TYPE_CHECKING:
    import polars

    from euthymia.trials.records import ArmSummary, Estimate, TrialResult

Array = NDArray[np.float64]
SCHEMA = "euthymia.trial/1"
STATUS = "simulated; research software, not a medical device"
LEVELS = {"p05": 0.05, "p50": 0.5, "p95": 0.95}
CURVES = ("n", "mean", "sd", "mean_change", "sd_change")
FIRST = "first"
"""Folder of the patients of replicate 0, within that of the result."""
SILENT = {"--workers": 1, "--out": 1, "--report": 1, "--quiet": 0, "--json": 0, "--csv": 0}
"""Options that change no number, and how many words follow each: a result is the same bytes without them."""
_Key = tuple[str, str, str, str, str]


def trial_json(result: TrialResult, *, command: Sequence[str] = ()) -> dict[str, Any]:
    """Return a result in the shape of ``euthymia.trial/1``; what is not defined is null, no dates.

    Parameters
    ----------
    result : TrialResult
    command : sequence of str
        The arguments that made it; those that change no number are left out.
    """
    protocol = result.protocol
    return {
        "schema": SCHEMA,
        "status": STATUS,
        "command": telling(command),
        "protocol": {
            "id": protocol.id,
            "digest": protocol_digest(protocol),
            "title": protocol.title,
            "study": protocol.study,
            "design": protocol.design,
            "alpha": protocol.alpha,
            "primary": protocol.primary,
            "assumed": list(protocol.assumed),
        },
        "seed": int(result.seed),
        "parameters": result.parameters,
        "replicates": len(result.replicates),
        "screened": spread([one.screened for one in result.replicates]),
        "groups": _groups(result),
        "visits": _visits(result),
        "arms": _arms(result),
        "estimates": [_estimate(result, key, ones) for key, ones in _collected(result).items()],
        "provenance": _plain(result.provenance),
        "warnings": list(result.warnings),
    }


def spread(values: ArrayLike) -> dict[str, float | None]:
    """Return the 5th, 50th and 95th percentile and the mean over replicates of what is finite.

    Examples
    --------
    >>> spread([1.0, 2.0, 3.0, float("nan")])
    {'p05': 1.1, 'p50': 2.0, 'p95': 2.9, 'mean': 2.0}
    """
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return dict.fromkeys((*LEVELS, "mean"))
    quantiles = {name: float(np.quantile(known, level)) for name, level in LEVELS.items()}
    return {**quantiles, "mean": float(known.mean())}


def telling(command: Sequence[str]) -> list[str]:
    """Return the arguments of a command that can change a number.

    Examples
    --------
    >>> telling(["trial", "run", "fava-2018", "--workers", "2", "--seed", "3", "--out=run", "--json"])
    ['trial', 'run', 'fava-2018', '--seed', '3']
    """
    kept, skipped = [], 0
    for word in command:
        name = word.partition("=")[0]
        if skipped:
            skipped -= 1
        elif name in SILENT:
            skipped = SILENT[name] if name == word else 0
        else:
            kept.append(word)
    return kept


def estimates_table(result: TrialResult) -> polars.DataFrame:
    """Return the estimates over replicates as a table, one row for each; undefined numbers are null."""
    import polars

    rows = [_estimate(result, key, ones) for key, ones in _collected(result).items()]
    return polars.DataFrame(rows, infer_schema_length=None, schema_overrides=_number_columns(polars.Float64))


def estimates_csv(result: TrialResult) -> str:
    """Return the estimates over replicates as the text of a CSV file."""
    return estimates_table(result).write_csv()


def replicates_table(result: TrialResult) -> polars.DataFrame:
    """Return the estimates of every replicate as a long table; NaN is null."""
    import polars

    names = ("endpoint", "arm", "reference", "measure", "method", "value", "se", "low", "high", "p", "n")
    rows = [
        {"replicate": replicate.replicate, **{name: getattr(one, name) for name in names}}
        for replicate in result.replicates
        for one in replicate.estimates
    ]
    return polars.DataFrame(rows, infer_schema_length=None).fill_nan(None)


def check_trial_out(path: Path) -> None:
    """Raise before a long run where its result could not be written to a path.

    Raises
    ------
    InvalidInputError
        The suffix is neither ``.json`` nor ``.csv`` nor absent.
    RunFailedError
        Nothing can be written there.
    """
    if path.suffix not in ("", ".json", ".csv"):
        must = "end in .json or .csv, or have no suffix for a folder with everything"
        message = f"'--out' of a trial must {must}. Got {str(path)!r}."
        raise InvalidInputError(message)
    check_writable(path if path.suffix else path / "result.json")


def write_trial(
    result: TrialResult,
    path: Path,
    tables: Sequence[str] = FORMATS,
    *,
    command: Sequence[str] = (),
) -> list[Path]:
    """Write a trial to a file by its suffix, or into a folder, and return what was written.

    ``.json`` holds the result, ``.csv`` the estimates. A folder, new or that of a run, holds ``first/`` with
    the patients of replicate 0 and their event table, ``estimates.csv``, ``replicates.csv`` and, last, so
    that a folder which has it is complete, ``result.json``.

    Parameters
    ----------
    result : TrialResult
    path : Path
    tables : sequence of str
        Formats of the tables of patients: parquet, csv, xpt.
    command : sequence of str
        The arguments that made it.
    """
    check_trial_out(path)
    if path.suffix == ".csv":
        return [write_frame(estimates_table(result), path)]
    if path.suffix == ".json":
        return [_write_json(result, path, command)]
    return [
        *write_tables(patient_tables(result.first), path / FIRST, tables),
        write_trial_events(result.first, path / FIRST / "events.csv"),
        write_frame(estimates_table(result), path / "estimates.csv"),
        write_frame(replicates_table(result), path / "replicates.csv"),
        _write_json(result, path / "result.json", command),
    ]


def _write_json(result: TrialResult, path: Path, command: Sequence[str]) -> Path:
    text = dump_json(trial_json(result, command=command))
    write_whole(path, lambda target: target.write_text(text, encoding="utf-8"))
    return path


def _groups(result: TrialResult) -> dict[str, Any]:
    """Return who took part, by arm or by sequence of a crossover."""
    names = dict.fromkeys(name for one in result.replicates for name in one.enrolled)
    return {
        name: {
            "enrolled": spread([one.enrolled.get(name, 0) for one in result.replicates]),
            "completed": spread([one.completed.get(name, 0) for one in result.replicates]),
            "events": {
                event: spread([one.events[name][event] for one in result.replicates])
                for event in next((one.events[name] for one in result.replicates if name in one.events), ())
            },
        }
        for name in names
    }


def _visits(result: TrialResult) -> list[dict[str, Any]]:
    from euthymia.trials.fields import time_text

    return [
        {"at_h": visit.at, "at": time_text(visit.at), "scales": list(visit.scales)}
        for visit in result.protocol.visits
    ]


def _arms(result: TrialResult) -> dict[str, Any]:
    """Return what each arm, or treatment of a crossover, is given, and how its patients fared."""
    summaries: dict[tuple[str, str], list[ArmSummary]] = {}
    for replicate in result.replicates:
        for one in replicate.arms:
            summaries.setdefault((one.arm, one.scale), []).append(one)
    return {
        name: {
            "label": arm.label or name,
            "regimen": arm.text,
            "setting": arm.setting,
            "is_control": arm.is_control,
            "scales": {scale: _curves(ones) for (own, scale), ones in summaries.items() if own == name},
        }
        for name, arm in result.protocol.arms.items()
    }


def _curves(ones: Sequence[ArmSummary]) -> dict[str, Any]:
    """Return percentiles over replicates of each number of an arm, at every visit."""
    found = {}
    for curve in CURVES:
        values = np.array([getattr(one, curve) for one in ones], float)
        at_visits = [spread(column) for column in values.T]
        found[curve] = {level: [one[level] for one in at_visits] for level in LEVELS}
    return found


def _collected(result: TrialResult) -> dict[_Key, list[Estimate]]:
    """Return the estimates of all replicates by what they are of."""
    found: dict[_Key, list[Estimate]] = {}
    for replicate in result.replicates:
        for one in replicate.estimates:
            key = (one.endpoint, one.arm, one.reference, one.measure, one.method)
            found.setdefault(key, []).append(one)
    return found


def _estimate(result: TrialResult, key: _Key, ones: Sequence[Estimate]) -> dict[str, Any]:
    """Return an estimate over replicates; ``share_significant`` is the power at the protocol's alpha."""
    endpoint, arm, reference, measure, method = key
    values, p = np.array([one.value for one in ones]), np.array([one.p for one in ones])
    known = values[np.isfinite(values)]
    is_tested = bool(np.isfinite(p).any())
    return {
        "endpoint": endpoint,
        "arm": arm,
        "reference": reference,
        "measure": measure,
        "method": method,
        **spread(values),
        "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "share_significant": float((p < result.protocol.alpha).mean()) if is_tested else None,
        "replicates": len(ones),
        "undefined": len(ones) - len(known),
    }


def _number_columns(kind: Any) -> dict[str, Any]:
    return dict.fromkeys((*LEVELS, "mean", "sd", "share_significant"), kind)


def _plain(value: Any) -> Any:
    """Return provenance as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return [_plain(one) for one in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    return value if value is None else str(value)
