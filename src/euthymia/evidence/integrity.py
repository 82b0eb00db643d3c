"""Runs every check over every table of evidence and goes on after a finding; builds no record."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from euthymia.citations import load_sources
from euthymia.errors import InvalidInputError, invalid, unknown
from euthymia.evidence.check import exposure_problems, split_keys, time_course_problems
from euthymia.evidence.fact_check import fact_problems
from euthymia.evidence.facts import ACUTE, MECHANISM, OUTCOMES, known_variables
from euthymia.evidence.studies import MEASURES, STUDIES
from euthymia.evidence.study_check import study_problems
from euthymia.model.parameters import load_parameters
from euthymia.tables import list_files, read_table, read_text

_DIGEST = re.compile(r"|[0-9a-f]{16,64}")
_SERIES = "evidence/pk/timecourses"


@dataclass(frozen=True, kw_only=True, slots=True)
class TableCheck:
    """What was found in a table, or in tables that are checked together.

    Attributes
    ----------
    tables : str
        Paths below ``data/evidence``.
    counts : str
        Rows, studies or files, in words.
    problems : tuple of str
        Empty where the tables are sound.
    """

    tables: str
    counts: str
    problems: tuple[str, ...]


def check_evidence() -> tuple[TableCheck, ...]:
    """Return what is found in every table of evidence, tables that belong together in one line."""
    return (
        _checked("efficacy/studies.toml + measures.csv", _count_studies, _studies),
        *(_checked(_pair(stem), _counter(stem), _facts(stem)) for stem in (OUTCOMES, ACUTE, MECHANISM)),
        _checked("pk/exposure.csv + exposure_runs.csv", _counter("evidence/pk/exposure"), _exposures),
        _checked("pk/timecourses/manifest.csv + files", _count_series, _time_courses),
        *(
            _checked(f"{table}/misfits.csv", _one_counter(f"evidence/{table}/misfits.csv"), _misfits(table))
            for table in ("efficacy", "safety", "mechanism", "pk")
        ),
        _checked("expectations.csv", _one_counter("evidence/expectations.csv"), _expectations),
        _checked("posterior.toml", lambda: "frozen" if _digest() else "none frozen", _posterior),
    )


def _checked(tables: str, count: Callable[[], str], find: Callable[[], Iterable[str]]) -> TableCheck:
    try:
        return TableCheck(tables=tables, counts=count(), problems=tuple(find()))
    except (KeyError, tomllib.TOMLDecodeError, InvalidInputError) as error:
        what = f"column {error} is missing" if type(error) is KeyError else str(error)
        return TableCheck(tables=tables, counts="", problems=(f"cannot be read: {what}",))


def _pair(stem: str) -> str:
    folder, name = stem.removeprefix("evidence/").split("/")
    return f"{folder}/{name}.csv + {name}_runs.csv"


def _counter(stem: str) -> Callable[[], str]:
    return lambda: f"{len(read_table(f'{stem}.csv'))} rows, {len(read_table(f'{stem}_runs.csv'))} runs"


def _one_counter(path: str) -> Callable[[], str]:
    return lambda: f"{len(read_table(path))} rows"


def _count_studies() -> str:
    raw = tomllib.loads(read_text(STUDIES))
    arms = sum(len(one.get("arms", ())) for one in raw.values())
    return f"{len(raw)} studies, {arms} arms, {len(read_table(MEASURES))} rows"


def _studies() -> Iterator[str]:
    raw = tomllib.loads(read_text(STUDIES))
    yield from study_problems(
        raw, read_table(f"{OUTCOMES}.csv"), read_table(MEASURES), sources=load_sources()
    )


def _facts(stem: str) -> Callable[[], Iterable[str]]:
    return lambda: fact_problems(
        read_table(f"{stem}.csv"),
        read_table(f"{stem}_runs.csv"),
        sources=load_sources(),
        variables=known_variables(),
        parameters=load_parameters(),
    )


def _exposures() -> Iterator[str]:
    yield from exposure_problems(
        read_table("evidence/pk/exposure.csv"),
        read_table("evidence/pk/exposure_runs.csv"),
        sources=load_sources(),
        sets={row["set"] for row in read_table("parameters/sets.csv")},
    )


def _series_files() -> list[str]:
    return [path for path in list_files(_SERIES, ".csv") if not path.endswith("manifest.csv")]


def _count_series() -> str:
    return f"{len(read_table(f'{_SERIES}/manifest.csv'))} rows, {len(_series_files())} files"


def _time_courses() -> Iterator[str]:
    points = {path.rsplit("/", 1)[1]: read_table(path) for path in _series_files()}
    yield from time_course_problems(read_table(f"{_SERIES}/manifest.csv"), points, sources=load_sources())


def _misfits(table: str) -> Callable[[], Iterable[str]]:
    stems = {"efficacy": OUTCOMES, "safety": ACUTE, "mechanism": MECHANISM}

    def find() -> Iterator[str]:
        column = "row_ids" if table == "pk" else "runs"
        known = (
            {row["row_id"] for row in read_table("evidence/pk/exposure.csv")}
            if table == "pk"
            else {f"{run['row_id']}{run['part']}" for run in read_table(f"{stems[table]}_runs.csv")}
        )
        for row in read_table(f"evidence/{table}/misfits.csv"):
            yield from _name_problems(split_keys(row[column]), known)
            if not row["explanation"]:
                yield str(invalid("explanation", must="given", got=f"nothing for {row[column]}"))

    return find


def _expectations() -> Iterator[str]:
    known = {row["row_id"] for stem in (OUTCOMES, ACUTE, MECHANISM) for row in read_table(f"{stem}.csv")}
    for row in read_table("evidence/expectations.csv"):
        yield from _name_problems(split_keys(row["row_ids"]), known)


def _name_problems(names: Iterable[str], known: Collection[str]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield str(unknown("row", name, known))


def _digest() -> str:
    return tomllib.loads(read_text("evidence/posterior.toml"))["digest"]


def _posterior() -> Iterator[str]:
    if not _DIGEST.fullmatch(_digest()):
        yield str(invalid("digest", must="empty or a digest in small hex digits", got=repr(_digest())))
