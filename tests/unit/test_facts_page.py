"""The generated page of facts: every fact once, closed ones without what was printed, misses explained."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from euthymia.evidence import fact_compare
from euthymia.evidence.fact_compare import Table, facts_of, is_closed
from euthymia.tables import read_table

ROOT = Path(__file__).resolve().parents[2]
TABLES: tuple[Table, ...] = ("mechanism", "safety")
FIRST_CELL = re.compile(r"^\| ((?:Q\d{3}|AE-[A-Z]+-\d{3})[a-z]) \|")
OPEN_CELLS, CLOSED_CELLS, LEFT_CELLS = 9, 5, 4


def make_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "tools" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> str:
    """The page with every value of the model 1, without running it."""
    monkeypatch.setattr(fact_compare, "simulate_scenes", lambda *_, **__: {})
    monkeypatch.setattr(fact_compare, "statistic_of", lambda *_: 1.0)
    return make_docs().facts()


def lines_of(page: str) -> list[tuple[str, list[str]]]:
    """Return the name and the cells of every line about a single fact, in the order of the page."""
    found = []
    for line in page.splitlines():
        start = FIRST_CELL.match(line)
        if start:
            found.append((start[1], re.split(r"(?<!\\) \| ", line.strip("| "))))
    return found


def test_every_part_of_every_fact_is_on_the_page_once(page: str):
    expected = sorted(
        f"{row.row_id}{run.part}" for table in TABLES for row in facts_of(table) for run in row.runs
    )
    named = [name for name, cells in lines_of(page) if len(cells) > 2]
    assert sorted(named) == expected


def test_closed_facts_have_neither_column_for_what_was_printed_nor_for_a_verdict(page: str):
    closed = {
        f"{row.row_id}{run.part}"
        for row in facts_of("safety")
        for run in row.runs
        if is_closed("safety", row) and run.is_comparable
    }
    assert {name for name, cells in lines_of(page) if len(cells) == CLOSED_CELLS} == closed
    assert "reproduced" not in "".join(
        cell for _, cells in lines_of(page) if len(cells) == CLOSED_CELLS for cell in cells
    )


def test_facts_that_are_not_compared_show_their_reason(page: str):
    reasons = {
        f"{row.row_id}{run.part}": run.reason
        for table in TABLES
        for row in facts_of(table)
        for run in row.runs
        if not run.is_comparable
    }
    shown = {name: cells[-1] for name, cells in lines_of(page) if len(cells) == LEFT_CELLS}
    assert shown == {name: reason.replace("|", "\\|") for name, reason in reasons.items()}


def test_open_facts_show_source_bounds_value_and_verdict(page: str):
    cells = dict(lines_of(page))["Q022a"]
    assert len(cells) == OPEN_CELLS
    assert "human PCC, 12 healthy men; seen in source; [Front Neurosci 2021" in cells[3]
    assert cells[5:8] == ["0.96 to 1.04", "1.00", "reproduced"]


def test_misses_on_the_shipped_page_are_those_that_are_explained():
    shipped = (ROOT / "docs" / "reference" / "facts.md").read_text(encoding="utf-8")
    missed = {name for name, cells in lines_of(shipped) if "**not reproduced**" in cells}
    explained = {
        name
        for table in TABLES
        for row in read_table(f"evidence/{table}/misfits.csv")
        for name in row["runs"].split(";")
    }
    assert missed == explained
