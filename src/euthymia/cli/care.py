"""``euthymia care``: the record and the safeguards of a clinic."""

from __future__ import annotations

import typer

from euthymia.cli import care_day, care_screen, care_serve

app = typer.Typer(
    help="The record of a clinic, from screening to follow-up: research software, not a medical device.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("serve")(care_serve.serve)
app.command("verify")(care_serve.verify)
app.command("backup")(care_serve.backup)
app.command("restore")(care_serve.restore)
app.command("reset")(care_serve.reset)
app.command("rebuild")(care_serve.rebuild)
app.command("init")(care_screen.init)
app.command("screen")(care_screen.screen)
app.command("plan")(care_screen.plan)
app.command("simulate-day")(care_day.simulate_day)
