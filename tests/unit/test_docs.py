"""The generated pages are current, the commands are documented, and the pages name every route."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_generated_pages_are_current():
    for path, text in tool("make_docs").pages().items():
        assert path.read_text(encoding="utf-8") == text, f"run: python tools/make_docs.py ({path.name})"


@pytest.mark.slow
def test_absorption_constants_are_those_that_the_tool_estimates(capsys: pytest.CaptureFixture[str]):
    estimating = tool("reestimate_absorption")
    shipped = estimating.load_parameters().rows
    for name in estimating.FITS:
        for field, value in estimating.fit(name).items():
            assert value == pytest.approx(shipped[field].value, rel=0.02), field
    assert "left:" in capsys.readouterr().out


def test_every_command_is_in_the_reference():
    from typer.main import get_command

    from euthymia.cli.main import app

    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for name in tool("make_docs")._commands(get_command(app)):
        assert f"## euthymia {name}\n" in page


def test_routes_table_names_every_route():
    from euthymia.dosing.order import Route
    from euthymia.tables import read_table

    named = {row["route"].split(" ")[0] for row in read_table("routes.csv")}
    assert named == {route.value for route in Route}


def test_every_source_of_the_routes_table_exists():
    from euthymia.citations import load_sources
    from euthymia.tables import read_table

    for row in read_table("routes.csv"):
        assert set(row["sources"].split(";")) <= set(load_sources())
