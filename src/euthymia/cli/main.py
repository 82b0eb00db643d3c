"""Entry point: the commands, and what a mistake, a failure and Ctrl-C end with."""

from __future__ import annotations

import sys

import click
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
    from euthymia.cli import catalogue, demo, evidence, simulate

    app.command("simulate")(simulate.simulate)
    app.add_typer(evidence.app, name="evidence")
    app.command("sets")(catalogue.sets)
    app.command("routes")(catalogue.routes)
    app.command("variables")(catalogue.list_variables)
    app.command("cite")(catalogue.cite)
    app.command("demo")(demo.demo)


_register()


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0 done; 1 a run failed (solver, disk, interrupted resource); 2 bad input; 130 Ctrl-C.
    """
    sys.exit(call(arguments))


def call(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except InvalidInputError as error:
        return _failed(str(error), 2)
    except EuthymiaError as error:
        return _failed(str(error), 1)
    except click.exceptions.Abort:
        return _failed("Interrupted; nothing half-written was left.", 130)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return code if isinstance(code, int) else 0


def _failed(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
