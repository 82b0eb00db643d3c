"""Templates to answers."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from euthymia.web.crisis import find_lines


@cache
def environment() -> Environment:
    """Return the templates: escaped, strict about names."""
    folder = files("euthymia") / "web" / "templates"
    made = Environment(
        loader=FileSystemLoader(str(folder)),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["version"] = version("euthymia")
    return made


def render(request: Request, name: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """Return a page or a part of one.

    Every template also gets ``links`` (the navigation), ``path`` (of the request) and ``crisis`` (lines of
    the country that the server was started for).
    """
    state = request.app.state
    text = (
        environment()
        .get_template(name)
        .render(links=state.links, path=request.url.path, crisis=find_lines(state.country), **values)
    )
    return HTMLResponse(text, status_code=status_code)
