"""Runs the command line in this process, or as a program of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from euthymia.cli.main import call
from euthymia.tables import read_text

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
PROGRAM = Path(sys.executable).parent / "euthymia"


class Outcome(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    pytest.fail(f"{constant} is not JSON")


Command = Callable[..., Outcome]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process: fast, and covered."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = call([str(one) for one in arguments])
        return Outcome(code, *capsys.readouterr())

    return run


def program(*arguments: object, **options: Any) -> Outcome:
    """Run the installed program."""
    done = subprocess.run(
        [str(PROGRAM), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def python(code: str, *arguments: object) -> Outcome:
    """Run Python code in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def check_schema(document: Any, name: str) -> None:
    """Hold a document against a shipped schema, which must itself be sound."""
    schema = json.loads(read_text(f"schemas/{name}.schema.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)


def names_in(folder: Path) -> Sequence[str]:
    """Return every file of a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def check_stands_alone(html: str) -> None:
    """Refuse a page that needs another file: only links to sources may lead away."""
    body = re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)
    assert "<link" not in body
    assert "@import" not in body
    assert not re.search(r"<script[^>]+src=", html)
    assert 'src="http' not in html
    assert 'src="//' not in html
    links = re.findall(r'href="(http[^"]*)"', body)
    assert links
    assert all(link.startswith("https://doi.org/10.") for link in links)
