"""The generated page of studies: current, complete, and without anything that a closed row observed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from tests.unit.evidence.marked import MARKS, marked_library

from euthymia.evidence import studies
from euthymia.evidence.studies import load_studies

ROOT = Path(__file__).resolve().parents[3]


def make_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "tools" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_shipped_page_is_current_and_names_every_study_once():
    shipped = (ROOT / "docs" / "reference" / "studies.md").read_text(encoding="utf-8")
    assert shipped == make_docs().studies()
    assert [shipped.count(f"| `{key}` |") for key in load_studies()] == [1] * len(load_studies())


def test_page_has_no_observed_number_of_a_closed_row(monkeypatch: pytest.MonkeyPatch):
    library = marked_library()
    monkeypatch.setattr(studies, "load_library", lambda: library)
    assert not MARKS.search(make_docs().studies())
