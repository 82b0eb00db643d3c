"""The generated pages of facts and outcomes: each row once, closed ones unseen, misses explained."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from euthymia.evidence import fact_compare
from euthymia.evidence.fact_compare import Table, facts_of, is_closed
from euthymia.tables import read_table

ROOT = Path(__file__).resolve().parents[2]
PAGES: dict[str, tuple[Table, ...]] = {"facts": ("mechanism", "safety"), "outcomes": ("efficacy",)}
EACH_PAGE = pytest.mark.parametrize("name", PAGES)
FIRST_CELL = re.compile(r"^\| ((?:Q\d{3}|AE-[A-Z]+-\d{3}|[PSCT]\d{4})[a-z]) \|")
OPEN_CELLS, CLOSED_CELLS, LEFT_CELLS = 9, 5, 4


def make_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "tools" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Page = Callable[[str], str]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """Return a page with every value of the model 1, without running it."""
    monkeypatch.setattr(fact_compare, "simulate_scenes", lambda *_, **__: {})
    monkeypatch.setattr(fact_compare, "statistic_of", lambda *_: 1.0)
    return lambda name: getattr(make_docs(), name)()


def lines_of(page: str) -> list[tuple[str, list[str]]]:
    """Return the name and the cells of every line about a single fact, in the order of the page."""
    found = []
    for line in page.splitlines():
        start = FIRST_CELL.match(line)
        if start:
            found.append((start[1], re.split(r"(?<!\\) \| ", line.strip("| "))))
    return found


@EACH_PAGE
def test_every_part_of_every_fact_is_on_the_page_once(page: Page, name: str):
    expected = sorted(
        f"{row.row_id}{run.part}" for table in PAGES[name] for row in facts_of(table) for run in row.runs
    )
    named = [row for row, cells in lines_of(page(name)) if len(cells) > 2]
    assert sorted(named) == expected


@EACH_PAGE
def test_closed_facts_have_neither_column_for_what_was_printed_nor_for_a_verdict(page: Page, name: str):
    closed = {
        f"{row.row_id}{run.part}"
        for table in PAGES[name]
        for row in facts_of(table)
        for run in row.runs
        if is_closed(table, row) and run.is_comparable
    }
    lines = [(row, cells) for row, cells in lines_of(page(name)) if len(cells) == CLOSED_CELLS]
    assert {row for row, _ in lines} == closed
    assert "reproduced" not in "".join(cell for _, cells in lines for cell in cells)


@EACH_PAGE
def test_facts_that_are_not_compared_show_their_reason(page: Page, name: str):
    reasons = {
        f"{row.row_id}{run.part}": run.reason
        for table in PAGES[name]
        for row in facts_of(table)
        for run in row.runs
        if not run.is_comparable
    }
    shown = {row: cells[-1] for row, cells in lines_of(page(name)) if len(cells) == LEFT_CELLS}
    assert shown == {row: reason.replace("|", "\\|") for row, reason in reasons.items()}


def test_open_facts_show_source_bounds_value_and_verdict(page: Page):
    cells = dict(lines_of(page("facts")))["Q022a"]
    assert len(cells) == OPEN_CELLS
    assert "human PCC, 12 healthy men; seen in source; [Front Neurosci 2021" in cells[3]
    assert cells[5:8] == ["0.96 to 1.04", "1.00", "reproduced"]


def test_a_blocker_stands_beside_the_regimen_in_words(page: Page):
    cells = dict(lines_of(page("facts")))["Q038d"]
    assert cells[4].endswith("ketamine 0.5 mg/kg iv over 40 min, with mTORC1 off (rapamycin) (typical)")
    assert cells[5] == "below 0 (direction)"


def test_open_outcomes_show_what_was_printed_with_its_spread(page: Page):
    cells = dict(lines_of(page("outcomes")))["P0017a"]
    assert len(cells) == OPEN_CELLS
    assert cells[2].endswith("24 h: -5.7 (SE 1.79); response 3 %")
    assert "seen in source, table yoi170092t1; [Daly 2018" in cells[3]
    assert "setting nasal_placebo" in cells[4]
    assert cells[5:8] == ["-9.21 to -2.19 points", "1.00 points", "not reproduced"]


def test_outcomes_are_counted_by_group(page: Page):
    counts = page("outcomes").partition("## Counts")[2].partition("## What")[0]
    groups = re.findall(r"^\| \[([\w ]+)\]\(#([\w-]+)\) \|", counts, flags=re.MULTILINE)
    assert [title for title, _ in groups] == list(make_docs().GROUPS.values())
    assert all(f"\n## {title}\n" in page("outcomes") for title, _ in groups)
    assert "280 more cannot be compared." in counts


@EACH_PAGE
def test_misses_on_the_shipped_page_are_those_that_are_explained(name: str):
    shipped = (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")
    missed = {row for row, cells in lines_of(shipped) if "**not reproduced**" in cells}
    explained = {
        run
        for table in PAGES[name]
        for row in read_table(f"evidence/{table}/misfits.csv")
        for run in row["runs"].split(";")
    }
    assert missed == explained
