"""Every command says in one line what it does, shows an example, and is documented."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from tests.cli.commands import Command

from euthymia.cli.main import app

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def _commands() -> dict[str, list[str]]:
    """Return every command with its words, groups opened."""
    found = {}
    for name, one in typer.main.get_command(app).commands.items():
        for words in [[name, inner] for inner in one.commands] if hasattr(one, "commands") else [[name]]:
            found[" ".join(words)] = words
    return found


COMMANDS = _commands()


def test_the_commands_are_those_decided():
    shown = {"sets", "routes", "settings", "therapies", "variables", "cite"}
    evidence = {"evidence pk", "evidence mechanism", "evidence safety", "evidence efficacy"}
    evidence |= {"evidence list", "evidence show", "evidence check", "evidence replicate"}
    trials = {f"trial {one}" for one in ("list", "show", "check", "init", "schema", "run", "power")}
    runs = {"simulate", "summarise", "story", "episode", "brain", "patient", "rivals", "sensitivity", "demo"}
    runs |= {"fit", "qualify", "explore"}
    clinic = ("serve", "verify", "backup", "restore", "reset", "rebuild", "simulate-day")
    care = {f"care {one}" for one in ("init", "screen", "plan", *clinic)}
    assert set(COMMANDS) == runs | shown | evidence | trials | care


@pytest.mark.parametrize("name", COMMANDS)
def test_short_and_long_help_are_the_same(command: Command, name: str):
    short, long = command(*COMMANDS[name], "-h"), command(*COMMANDS[name], "--help")
    assert short.code == long.code == 0
    assert short.out == long.out
    assert not short.err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_one_sentence(command: Command, name: str):
    first = command(*COMMANDS[name], "-h").out.split("\n\n")[1]
    sentence = " ".join(first.split())
    assert re.fullmatch(r"[A-Z][^.]+\.", sentence), sentence


@pytest.mark.parametrize("name", COMMANDS)
def test_example_in_the_help_names_options_that_exist(command: Command, name: str):
    text = command(*COMMANDS[name], "-h").out
    example = " ".join(text.split("Example: ")[1].split("\n\n")[0].split())
    assert example.startswith(f"euthymia {name}")
    options = [word for word in shlex.split(example) if word.startswith("--")]
    assert all(f"\n  {option} " in text for option in options)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_in_the_reference(command: Command, name: str):
    assert f"euthymia {name}" in REFERENCE.read_text(encoding="utf-8")


def test_help_shows_defaults(command: Command):
    text = command("simulate", "-h").out
    assert all(f"[default: {value}]" in text for value in ("1", "composed", "70.0", "both", "ng/mL"))


def test_help_without_arguments_lists_the_commands_and_is_bad_input(command: Command):
    done = command()
    assert done.code == 2
    assert all(name.split()[0] in done.err for name in COMMANDS)


def test_version_is_that_of_the_package(command: Command):
    from euthymia import __version__

    assert command("--version") == (0, f"euthymia {__version__}\n", "")
