"""Evidence in which every observed cell of a closed row is a mark that can be searched for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

from euthymia.citations import load_sources
from euthymia.evidence import facts
from euthymia.evidence.fact_records import FactRow
from euthymia.evidence.records import Role
from euthymia.evidence.studies import MEASURES, OUTCOMES, STUDIES, Library, read_library
from euthymia.tables import Row, read_table, read_text

NUMBER, COUNT, WORDS = "71.2953", "712953", "unheardof"
MARKS = re.compile(rf"{re.escape(NUMBER)}|{COUNT}|{WORDS}")
OBSERVED = ("contrast", "response_percent", "remission_percent")
SPREADS = ("spread", "contrast_spread")
SHOWN_OF_ACUTE = frozenset(
    "row_id role domain measure drug route dose population comparator citation url source_quality "
    "confidence source_key".split()
)


def marked_library() -> Library:
    """Return the studies and outcomes with what was observed of closed rows replaced by marks.

    Scores before treatment stay: they are what a trial is set up with, and stand with its arms.
    """
    measures = read_table(MEASURES)
    entry = {one["row_id"] for one in measures if one["kind"] == "baseline"}
    shut = {row["row_id"] for row in read_table(OUTCOMES) if row["role"] == Role.VALIDATE} - entry
    rows = [_marked(row) if row["row_id"] in shut else row for row in read_table(OUTCOMES)]
    beside = [_marked_measure(one) if one["row_id"] in shut else one for one in measures]
    return read_library(tomllib.loads(read_text(STUDIES)), rows, beside, sources=load_sources())


def _marked(row: Row) -> Row:
    value = NUMBER if re.fullmatch(r"-?[\d.]+", row["value"]) else WORDS
    cells = {name: NUMBER if row[name] else "" for name in OBSERVED}
    spreads = {name: f"95 % CI {NUMBER} to {NUMBER}" if row[name] else "" for name in SPREADS}
    return {**row, **cells, **spreads, "value": value, "n": COUNT, "note": WORDS}


def _marked_measure(one: Row) -> Row:
    numbers = {name: NUMBER for name in ("effect", "effect_low", "effect_high")}
    return {**one, **numbers, "effect_kind": WORDS, "p": WORDS}


def marked_acute_facts() -> tuple[FactRow, ...]:
    """Return the acute facts with every cell of a closed row but what is shown of it replaced by a mark."""
    stem = facts.ACUTE
    rows = [_marked_fact(row) if row["role"] == Role.VALIDATE else row for row in read_table(f"{stem}.csv")]
    known: Mapping[str, FactRow] = {row.row_id: row for row in facts.load_acute_facts()}
    return tuple(
        FactRow(**{**_fields(known[row["row_id"]]), "printed": row})  # the runs are as shipped
        for row in rows
    )


def _fields(row: FactRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in FactRow.__dataclass_fields__}


def _marked_fact(row: Row) -> Row:
    return {name: cell if name in SHOWN_OF_ACUTE else WORDS for name, cell in row.items()}
