"""Evidence has one door: nobody else opens its tables, and who loads rows asks for their role."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import euthymia

PACKAGE = Path(euthymia.__file__).parent
INSIDE = ("evidence", "cli")
LOADERS = {
    *("load_exposures", "load_time_courses", "load_mechanism_facts", "load_acute_facts"),
    *("load_outcome_facts", "load_outcome_rows", "load_library", "facts_of"),
}
GATES = {
    "fitting_rows",
    "require_fittable",
    "runs_to_fit",
    "is_open",
    "is_closed",
    "is_kept",
    "state_outcome",
    "stated_rows",
}
COMPARES_ONLY = {"population/rival_facts.py"}
"""Holds open rows of the mechanism table beside rival mechanisms; fits nothing."""


SAYS_ONLY_HOW = {"trials/replication_runs.py": ["evidence/efficacy/replication.csv"]}
"""Tables that hold no printed number, only which number of a simulated trial a row is held against."""
GUIDANCE = {"evidence/safety/screening_rules.csv", "evidence/safety/session_protocols.csv"}
"""Tables of labels and guidelines: what to do, nothing that was observed in a trial."""


def outside() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.split("/")[0] not in INSIDE:
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def strings(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a module that are no docstring."""
    spoken = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    for one in ast.walk(tree):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in spoken:
            yield one.value


def imported(tree: ast.Module) -> set[str]:
    """Return the names that a module takes from evidence."""
    return {
        alias.name
        for one in ast.walk(tree)
        if isinstance(one, ast.ImportFrom) and (one.module or "").startswith("euthymia.evidence")
        for alias in one.names
    }


def opened(tree: ast.Module) -> list[str]:
    return [text for text in strings(tree) if text.startswith("evidence/") or "data/evidence" in text]


def test_no_module_outside_opens_a_table_of_evidence():
    found = {
        name: texts
        for name, tree in outside()
        if (texts := [one for one in opened(tree) if one not in GUIDANCE])
    }
    assert {name: texts for name, texts in found.items() if texts != SAYS_ONLY_HOW.get(name)} == {}


def test_who_loads_rows_outside_asks_for_their_role():
    ungated = {
        name: names & LOADERS
        for name, tree in outside()
        if (names := imported(tree)) & LOADERS and not names & GATES and name not in COMPARES_ONLY
    }
    assert ungated == {}


def test_no_module_outside_takes_evidence_whole():
    """A module imported whole would hide which of its names are used."""
    whole = {
        name: alias.name
        for name, tree in outside()
        for one in ast.walk(tree)
        if isinstance(one, ast.Import)
        for alias in one.names
        if alias.name.startswith("euthymia.evidence")
    }
    assert whole == {}
    assert not any({"facts", "studies", "load"} & imported(tree) for _, tree in outside())


def test_the_search_finds_what_it_looks_for():
    bad = 'def fit():\n    """Reads data/evidence."""\n    return read_table("evidence/pk/exposure.csv")\n'
    assert opened(ast.parse(bad)) == ["evidence/pk/exposure.csv"]
    loads = ast.parse("from euthymia.evidence.studies import load_outcome_rows\n")
    assert imported(loads) & LOADERS
