"""Entry point: the commands, and what a mistake, a failure and Ctrl-C end with."""

from __future__ import annotations

import os
import sys

import typer

from euthymia.errors import EuthymiaError, InvalidInputError

app = typer.Typer(
    name="euthymia",
    help="Ketamine therapy of depression, from dose to mood: an open, evidence-traced model. "
    "Research software, not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:  # noqa: FBT001 - the signature that typer calls
    if value:
        from importlib.metadata import version

        typer.echo(f"euthymia {version('euthymia')}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(  # noqa: FBT001 - the signature that typer reads
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Ketamine therapy of depression, from dose to mood: an open, evidence-traced model.

    Research software, not a medical device: it monitors nobody and gives no dosing advice.
    """


def _register() -> None:
    from euthymia.cli import (
        brain,
        care,
        catalogue,
        demo,
        evidence,
        explore,
        fit,
        patient,
        qualify,
        rivals,
        sensitivity,
        simulate,
        story,
        summarise,
        trial,
    )

    app.command("simulate")(simulate.simulate)
    app.command("summarise")(summarise.summarise)
    app.command("story")(story.story)
    app.command("episode")(story.episode)
    app.command("brain")(brain.brain)
    app.command("patient")(patient.patient)
    app.command("rivals")(rivals.rivals)
    app.command("fit")(fit.fit)
    app.command("qualify")(qualify.qualify)
    app.command("sensitivity")(sensitivity.sensitivity)
    app.add_typer(trial.app, name="trial")
    app.add_typer(evidence.app, name="evidence")
    app.add_typer(care.app, name="care")
    app.command("sets")(catalogue.sets)
    app.command("routes")(catalogue.routes)
    app.command("settings")(catalogue.list_settings)
    app.command("therapies")(catalogue.list_therapies)
    app.command("variables")(catalogue.list_variables)
    app.command("cite")(catalogue.cite)
    app.command("explore")(explore.explore)
    app.command("demo")(demo.demo)


_register()


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0 done; 1 a run failed (solver, disk, interrupted resource); 2 bad input; 130 Ctrl-C.
    """
    code = call(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        # what is left in the buffer cannot be written; Python would try once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _unwritten(error)
    sys.exit(code)


def call(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app(args=given, prog_name="euthymia", obj=list(given))
    except InvalidInputError as error:
        return _failed(str(error), 2)
    except EuthymiaError as error:
        return _failed(str(error), 1)
    except OSError as error:
        return _unwritten(error)
    except SystemExit as left:
        return _left(left)
    return 0


def _left(left: SystemExit) -> int:
    """Return the exit code of a command that typer ended: done, misused, interrupted, or its reader gone."""
    behind: BaseException | None = left
    while behind is not None:
        if isinstance(behind, KeyboardInterrupt):
            return _failed("Interrupted; nothing half-written was left.", 130)
        if isinstance(behind, BrokenPipeError):
            return 0
        behind = behind.__context__
    return left.code if isinstance(left.code, int) else 0


def _unwritten(error: OSError) -> int:
    """Return the exit code where standard output cannot be written; a reader that left is no failure."""
    if isinstance(error, BrokenPipeError):
        return 0
    return _failed(f"Cannot write or read: {error.strerror or error}. Check the space on the disk.", 1)


def _failed(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
