"""``euthymia explore``: the story and the lab in a browser, on this machine alone."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from euthymia.cli import show
from euthymia.errors import RunFailedError, invalid, missing_extra

LOCAL = "127.0.0.1"
NEEDED = ("fastapi", "uvicorn", "multipart")
"""What the pages import beyond the core, by the names of the modules."""


def explore(
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="Where it listens; 0 takes a free one.")
    ] = 8520,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than this machine then reach it.")
    ] = LOCAL,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    country: Annotated[
        str, typer.Option("--country", metavar="CODE", help="Whose crisis lines are shown: GB, US, DE ...")
    ] = "international",
) -> None:
    """Serve the story of how ketamine therapy works, with the model running under every paragraph.

    Example: euthymia explore --port 8520 --no-browser
    """
    if not 0 <= port <= 65535:
        raise invalid("--port", must="0–65535", got=port)
    _require()
    import uvicorn

    from euthymia.web.app import create_app
    from euthymia.web.crisis import find_lines
    from euthymia.web.security import LOCAL_HOSTS

    find_lines(country)
    bound = _bound(host, port)
    address = f"http://{host}:{bound.getsockname()[1]}/"

    def ready() -> None:
        print(f"Euthymia is at {address} (Ctrl-C ends it)", flush=True)
        if not no_browser:
            import webbrowser

            webbrowser.open(address)

    hosts = LOCAL_HOSTS if host in LOCAL_HOSTS else ("*",)
    if hosts == ("*",):
        show.note("note: other machines can reach this server; it has no login.")
    app = create_app(country=country, hosts=hosts, is_warmed=True, on_ready=ready)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[bound])


def _require() -> None:
    from importlib.util import find_spec

    for name in NEEDED:
        if find_spec(name) is None:
            raise missing_extra(name, extra="web", needed_for="'euthymia explore'")


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens, or raise naming the cure."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        message = (
            f"Cannot listen at {host}, port {port}: {error.strerror or error}. "
            "Give another '--port', or 0 for a free one."
        )
        raise RunFailedError(message) from error
    return bound
