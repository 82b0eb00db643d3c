"""``euthymia explore`` serves this machine, says how to mend what is missing, and ends when told to."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest
from tests.cli.commands import PROGRAM, Command, python

from euthymia.cli import explore


@pytest.fixture
def served() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the program at a free port; yield it and its address."""
    arguments = [str(PROGRAM), "explore", "--port", "0", "--no-browser", "--country", "GB"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    yield process, re.search(r"http://\S+", line)[0]
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=30)


@pytest.mark.slow
def test_it_serves_the_story_and_ends_with_ctrl_c(served: tuple[subprocess.Popen[str], str]):
    process, address = served
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address, timeout=30) as answer:
        text = answer.read().decode()
    assert "How does ketamine therapy work?" in text
    assert "Samaritans" in text
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) in (0, 130, -signal.SIGINT)
    assert "Traceback" not in process.stderr.read()


def test_a_port_that_is_taken_is_named_with_the_cure(command: Command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = command("explore", "--port", port, "--no-browser")
    assert found.code == 1
    assert re.search(rf"Cannot listen at 127.0.0.1, port {port}: .* Give another '--port'", found.err)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--port", 70000, "'--port' must be 0–65535"), ("--country", "XX", "Unknown country 'XX'")],
)
def test_a_value_that_cannot_be_used_ends_with_2(command: Command, option: str, value: object, said: str):
    found = command("explore", "--no-browser", "--port", 0, option, value)
    assert found.code == 2
    assert said in found.err


def test_without_the_extra_it_says_how_to_install_it(command: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(explore, "NEEDED", ("a_library_that_is_not_there",))
    found = command("explore", "--no-browser")
    assert found.code == 1
    assert "pip install 'euthymia[web]'" in found.err


def test_other_commands_do_not_load_the_web():
    names = "('fastapi', 'uvicorn', 'starlette')"
    said = python(f"import sys, euthymia.cli.main; print([one for one in {names} if one in sys.modules])")
    assert said.out.strip() == "[]"
