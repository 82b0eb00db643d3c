"""What an import loads, and what the package promises to whoever imports it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import euthymia

HEAVY = ("scipy", "polars", "plotly", "pydantic", "pint", "jinja2", "typer", "xarray", "rich", "jax")
REGIMEN = "ketamine 0.5 mg/kg iv over 40 min"
CALL = f"""
import io
from contextlib import redirect_stdout
from euthymia.cli.main import call
with redirect_stdout(io.StringIO()):
    assert call(["simulate", {REGIMEN!r}, "--patients", "40", "--json"]) == 0
"""
TYPER_ALONE = """
import typer
app = typer.Typer(rich_markup_mode=None)
@app.command()
def one(number: int = 1): pass
app(args=["--number", "2"], standalone_mode=False)
"""


def loaded_by(code: str) -> set[str]:
    """Return the top-level names of all modules that some code loads."""
    listing = "\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code + listing], capture_output=True, text=True, timeout=60, check=True
    )
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_import_euthymia_loads_numpy_at_most():
    assert not loaded_by("import euthymia") & set(HEAVY)


def test_simulate_from_python_loads_nothing_heavy():
    code = f"import euthymia\neuthymia.simulate_concentrations({REGIMEN!r}, patients=40)"
    loaded = loaded_by(code)
    assert "numpy" in loaded
    assert not loaded & set(HEAVY)


def test_simulate_json_loads_nothing_heavy_but_what_typer_itself_loads():
    # typer 0.2x and later reads options with pydantic; nothing of ours does
    loaded = loaded_by(CALL)
    assert not loaded & {"scipy", "polars", "plotly", "pint", "jinja2", "xarray", "rich"}
    assert not (loaded & {"pydantic"}) - loaded_by(TYPER_ALONE)


def test_nothing_depends_on_a_click_that_typer_may_not_bring():
    loaded = loaded_by(CALL)
    assert "click" not in loaded - loaded_by(TYPER_ALONE)


def test_time_variant_set_is_the_one_that_needs_scipy():
    code = (
        "import euthymia\neuthymia.simulate_concentrations('esketamine 1 mg/kg/h iv over 600 min', "
        "parameters='flint-2017', "
        "patient=euthymia.Patient(weight_kg=10.0, age_years=2.0))"
    )
    assert "scipy" in loaded_by(code)


def test_there_are_at_most_30_public_names():
    assert len(euthymia.__all__) <= 30
    assert euthymia.__all__ == sorted(euthymia.__all__)


@pytest.mark.parametrize("name", euthymia.__all__)
def test_public_name_resolves_and_says_what_it_is(name: str):
    found = getattr(euthymia, name)
    own = found.__dict__.get("__doc__") if isinstance(found, type) else found.__doc__
    assert own
    assert not own.startswith(f"{name}("), "the docstring is the one that dataclass makes up"
    assert name in dir(euthymia)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'euthymia' has no attribute 'simulat'"):
        _ = euthymia.simulat  # pyright: ignore[reportAttributeAccessIssue]


def test_version_is_that_of_the_installed_package():
    from importlib.metadata import version

    assert euthymia.__version__ == version("euthymia")
