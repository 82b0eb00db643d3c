"""What a mistake or a failure answers: a page for people, JSON for programs, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from euthymia.errors import EuthymiaError, InvalidInputError
from euthymia.web.render import render

BUSY = "The server has more to compute than it takes on at once. Try again in a few seconds."


class BusyError(EuthymiaError):
    """More is asked for at once than is computed at once; try again."""


class ErrorItem(BaseModel):
    """A field and what is wrong with it; the field is empty where none is to blame."""

    field: str
    message: str


class ErrorAnswer(BaseModel):
    """What every mistake answers as JSON."""

    ok: bool
    status: int
    errors: list[ErrorItem]


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "A value that cannot be used, or a foreign host name"},
    404: {"model": ErrorAnswer, "description": "Nothing of that name"},
    414: {"model": ErrorAnswer, "description": "A query that is too long"},
    422: {"model": ErrorAnswer, "description": "A value outside its limits"},
    503: {"model": ErrorAnswer, "description": "Too much is asked for at once"},
}
"""For ``responses=`` of every JSON twin: what its mistakes answer."""


def answer_in(app: FastAPI) -> None:
    """Let an application answer mistakes and failures."""

    @app.exception_handler(RequestValidationError)
    def _limits(request: Request, error: RequestValidationError) -> Response:
        items = [ErrorItem(field=_field(one["loc"]), message=_said(one)) for one in error.errors()]
        return _answer(request, 422, items)

    @app.exception_handler(InvalidInputError)
    def _input(request: Request, error: InvalidInputError) -> Response:
        return _answer(request, 400, [ErrorItem(field=_quoted(str(error)), message=str(error))])

    @app.exception_handler(BusyError)
    def _busy(request: Request, _: BusyError) -> Response:
        answer = _answer(request, 503, [ErrorItem(field="", message=BUSY)])
        answer.headers["Retry-After"] = "2"
        return answer

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        said = error.detail if error.detail != _phrase(error.status_code) else _plain(error.status_code)
        answer = _answer(request, error.status_code, [ErrorItem(field="", message=str(said))])
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    def _failure(request: Request, error: Exception) -> Response:
        logging.getLogger("euthymia.web").error("%s failed", request.url.path, exc_info=error)
        said = "The computation failed; the terminal that runs the server says how."
        return _answer(request, 500, [ErrorItem(field="", message=said)])


def _answer(request: Request, status: int, items: Sequence[ErrorItem]) -> Response:
    if is_for_programs(request):
        content = ErrorAnswer(ok=False, status=status, errors=list(items))
        return JSONResponse(content.model_dump(), status_code=status)
    name = "problem_part.html" if "HX-Request" in request.headers else "problem.html"
    return render(request, name, status_code=status, status=status, phrase=_plain(status), items=items)


def is_for_programs(request: Request) -> bool:
    """Tell whether a request is for JSON: a path below ``/api``, or a header that asks for it."""
    accepted = request.headers.get("accept", "")
    return request.url.path.startswith("/api/") or (
        "application/json" in accepted and "text/html" not in accepted
    )


def _field(place: Sequence[int | str]) -> str:
    return ".".join(str(one) for one in place if one not in ("query", "path", "body"))


def _said(problem: dict[str, Any]) -> str:
    got = problem.get("input")
    text = problem["msg"].removeprefix("Value error, ")
    is_short = isinstance(got, str | int | float) and len(str(got)) <= 60
    return f"{text}. Got {got}." if is_short else f"{text}."


def _quoted(message: str) -> str:
    """Return the field that an error of the library names in quotes at its start."""
    return message.split("'")[1] if message.startswith("'") and message.count("'") >= 2 else ""


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _plain(status: int) -> str:
    return {
        400: "That value cannot be used",
        404: "There is no page here",
        405: "This address does not take that",
        422: "A value lies outside its limits",
        500: "The computation failed",
        503: "Busy: try again in a few seconds",
    }.get(status, _phrase(status))
