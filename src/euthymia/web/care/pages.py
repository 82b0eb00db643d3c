"""How a screen is added: one function gives its data; page, JSON twin, guard and trail come of it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from euthymia.web.care import guards
from euthymia.web.care.guards import Ask, Guard, Public
from euthymia.web.care.sessions import FULL

API = "/api"
TEMPLATES = Path(__file__).parent / "templates"
NOTICE = (
    "Research and record-keeping software. No regulator has reviewed it. It monitors nobody and raises no "
    "dependable alarm: a qualified person watches the patient, measures, and decides."
)
PROBLEMS = (400, 401, 403, 404, 409, 413, 415, 422, 423, 429, 503)
RESPONSES: dict[int | str, dict[str, Any]] = {one: {"description": "refused; see errors"} for one in PROBLEMS}
"""Every status that a route may answer beside its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What a screen shows.

    Attributes
    ----------
    data : mapping
        Plain JSON: the JSON twin is this, and the template sees it as ``data``.
    about : tuple of str
        Patients, or else things, whose data it shows: each gets a row in the trail. Checked against
        restrictions.
    title : str
    """

    data: Mapping[str, Any]
    about: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """An entry of the menu."""

    path: str
    right: str
    says: str


MENU: list[Link] = []
"""Filled by ``Screens.screen`` with ``menu=``; each account sees those it may open."""


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    found.globals.update(notice=NOTICE)
    return found


ENVIRONMENT = _environment()


def render(ask: Ask, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a page; who asks, the menu and the token of its forms are filled in."""
    name = guards.form_cookie_name(is_tls=ask.care.settings.is_tls)
    cookie = ask.request.cookies.get(name) or guards.new_form_cookie()
    html = ENVIRONMENT.get_template(template).render(**_surroundings(ask, cookie), **context)
    response = HTMLResponse(html, status_code=status)
    if ask.session is None:
        set_cookie(ask, response, name, cookie)
    return response


def _surroundings(ask: Ask, cookie: str) -> dict[str, Any]:
    session = ask.session
    is_open = session is not None and session.stage == FULL
    return {
        "ask": ask,
        "is_demo": ask.care.settings.is_demo,
        "account": session.account if session else None,
        "is_live": is_open and ask.may("board.read"),
        "menu": [link for link in MENU if is_open and ask.may(link.right)],
        "csrf": session.csrf if session else guards.form_token(ask.care, cookie),
        "is_open": is_open,
    }


def set_cookie(ask: Ask, response: Response, name: str, value: str) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send; it goes when the browser closes."""
    response.set_cookie(
        name, value, path="/", httponly=True, samesite="strict", secure=ask.care.settings.is_tls
    )


def see_other(path: str) -> RedirectResponse:
    """Return the answer to a form that was done: go and look at a page."""
    return RedirectResponse(path, status_code=303)


@dataclass(frozen=True, kw_only=True, slots=True)
class Screens:
    """A router that takes no route without a guard.

    Attributes
    ----------
    router : APIRouter
    """

    router: APIRouter = field(default_factory=APIRouter)

    def screen(
        self, path: str, *, right: str, template: str, menu: str = "", needs_secret: bool = False
    ) -> Callable[[Callable[..., Shown]], Callable[..., Shown]]:
        """Register a page and its JSON twin under ``/api``.

        Parameters
        ----------
        path : str
            Identifiers only: no name, date of birth or number of a patient stands in an address.
        right : str
        template : str
            Extends ``base.html``.
        menu : str
            Words of the menu's entry; none where empty.
        needs_secret : bool
            See ``Guard``.
        """
        guard = Guard(right, needs_secret=needs_secret)
        if menu:
            MENU.append(Link(path=path, right=right, says=menu))

        def register(function: Callable[..., Shown]) -> Callable[..., Shown]:
            page = _seen(function, guard, functools.partial(_html, template))
            twin = _seen(function, guard, _json)
            self.router.get(path, response_class=HTMLResponse, responses=RESPONSES)(page)
            self.router.get(API + path, response_class=JSONResponse, responses=RESPONSES)(twin)
            return function

        return register

    def act(
        self, path: str, *, right: str, needs_secret: bool = False, stages: tuple[str, ...] = (FULL,)
    ) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
        """Register what a form does (``POST``)."""
        guard = Guard(right, needs_secret=needs_secret, stages=stages)
        return self._plain("POST", path, guard)

    def show(
        self, path: str, *, right: str, stages: tuple[str, ...] = (FULL,)
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a page that makes its own response and has no JSON twin: forms, streams, downloads."""
        return self._plain("GET", path, Guard(right, stages=stages))

    def public(
        self, method: str, path: str, *, why: str
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a route for which nobody has to be signed in, and say why."""
        return self._plain(method, path, Public(why))

    def _plain(self, method: str, path: str, guard: Guard | Public) -> Callable[[Callable[..., Any]], Any]:
        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            asked = _guarded(function, guard, function)
            route = self.router.api_route(
                path, methods=[method], response_class=HTMLResponse, responses=RESPONSES
            )
            route(asked)
            return function

        return register


def _guarded(
    function: Callable[..., Any], guard: Guard | Public, call: Callable[..., Any]
) -> Callable[..., Any]:
    """Return a function that FastAPI calls, its parameter ``ask`` filled by the guard."""

    @functools.wraps(function)
    def asked(**given: Any) -> Any:
        return call(**given)

    @functools.wraps(function)
    async def awaited(**given: Any) -> Any:
        return await call(**given)

    if inspect.iscoroutinefunction(call):
        asked = awaited
    hints = get_type_hints(function, include_extras=True)
    parameters = [
        one.replace(
            annotation=hints.get(one.name, one.annotation),
            kind=inspect.Parameter.KEYWORD_ONLY,
            default=Depends(guard) if one.name == "ask" else one.default,
        )
        for one in inspect.signature(function).parameters.values()
    ]
    del asked.__wrapped__
    asked.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
    asked.__annotations__ = {one.name: one.annotation for one in parameters}
    return asked


def _seen(
    function: Callable[..., Shown], guard: Guard, answer: Callable[[Ask, Shown], Response]
) -> Callable[..., Response]:
    """Return what makes the data, checks and notes whose they are, and only then answers."""

    def call(ask: Ask, **given: Any) -> Response:
        shown = function(ask=ask, **given)
        if shown.about:
            ask.require_patient(*shown.about)
        ask.note("read", *shown.about, screen=function.__name__)
        return answer(ask, shown)

    return _guarded(function, guard, call)


def _html(template: str, ask: Ask, shown: Shown) -> HTMLResponse:
    return render(ask, template, data=shown.data, title=shown.title)


def _json(ask: Ask, shown: Shown) -> JSONResponse:
    del ask
    return JSONResponse({"ok": True, "data": shown.data})


def guard_of(route: Any) -> Guard | Public | None:
    """Return the guard of a route; None where it has none."""
    tree = getattr(route, "dependant", None)  # codespell:ignore dependant
    found = [one.call for one in getattr(tree, "dependencies", ())]
    return next((one for one in found if isinstance(one, Guard | Public)), None)


def check_guarded(routes: Sequence[Any]) -> None:
    """Refuse an application with a route that says nothing about who may use it.

    Raises
    ------
    RuntimeError
    """
    bare = [
        route.path for route in routes if guard_of(route) is None and not getattr(route, "is_static", False)
    ]
    if bare:
        message = f"routes without a guard: {', '.join(bare)}"
        raise RuntimeError(message)
