"""The application: one record, its pages, and answers to what goes wrong that tell nothing of the inside."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from euthymia.errors import EuthymiaError, InvalidInputError
from euthymia.web.care import (
    administration,
    board,
    board_here,
    entrance,
    entries,
    live,
    patient,
    people,
    session,
    shield,
    writing,
)
from euthymia.web.care.accounts import Accounts
from euthymia.web.care.backup import back_up
from euthymia.web.care.guards import Ask, cookie_name, find_session
from euthymia.web.care.live import Hub
from euthymia.web.care.pages import API, Screens, check_guarded, render, see_other
from euthymia.web.care.pseudonyms import make_key
from euthymia.web.care.refusals import CareError, LockedError, NotSignedInError, not_saved, of_fields
from euthymia.web.care.sessions import FULL, Sessions
from euthymia.web.care.settings import CareSettings
from euthymia.web.care.store import Store

LOG = logging.getLogger("euthymia.care")
STATIC = Path(__file__).parent / "static"
SHARED = Path(__file__).parents[1] / "static" / "vendor"
SCREENS: tuple[Screens, ...] = (
    entrance.SCREENS,
    administration.SCREENS,
    people.SCREENS,
    board.SCREENS,
    board_here.SCREENS,
    session.SCREENS,
    patient.SCREENS,
    *entries.GROUPS,
    writing.SCREENS,
    live.SCREENS,
)
"""Every group of screens; a new module of screens is one entry here."""
THREADS = 80
WORDS = {400: "The request cannot be read.", 404: "There is no such page.", 405: "This cannot be done here."}


@dataclass(eq=False, slots=True)
class Care:
    """All that a request may need.

    Attributes
    ----------
    settings : CareSettings
    store : Store
    accounts : Accounts
    sessions : Sessions
    hub : Hub
    keeper : Keeper
    form_key : bytes
        For the forms before somebody is signed in; new at each start.
    """

    settings: CareSettings
    store: Store
    accounts: Accounts
    sessions: Sessions
    hub: Hub
    keeper: Keeper
    form_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))


class Keeper:
    """Lets time pass and anchors the head each minute; backs up each quarter of an hour if there is news.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="care-keeper", daemon=True)
        self._head = 0
        self._turn = threading.Lock()
        self.failure = ""
        self.time_failure = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is being done."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        settings = self.store.settings
        rounds = max(1, round(settings.backup_every_min * 60 / settings.anchor_every_s))
        count = 0
        while not self._stop.wait(settings.anchor_every_s):
            count += 1
            self._pass_time()
            try:
                head = self.store.anchor()
                if count % rounds == 0 and head.seq != self._head:
                    self.back_up()
                self.failure = ""
            except (EuthymiaError, OSError, DBAPIError, sqlite3.Error) as error:
                self.failure = f"the last backup or anchor failed ({type(error).__name__})"
                LOG.error("%s", self.failure)

    def _pass_time(self) -> None:
        try:
            self.store.settings.pass_time(self.store)
            self.time_failure = ""
        except Exception as error:  # whatever it is, anchors and backups go on
            self.time_failure = f"overdue checks and escalations were not worked out ({type(error).__name__})"
            LOG.error("%s", self.time_failure)

    def back_up(self) -> str:
        """Make a backup now and return its name."""
        with self._turn:
            found = back_up(self.store, self.store.settings.backups)
        self._head = found.head.seq + 1  # the row that says there is a backup
        return found.path.name


def create_care_app(settings: CareSettings) -> FastAPI:
    """Return the application for a record; the file is opened now and closed when the application ends.

    Parameters
    ----------
    settings : CareSettings

    Raises
    ------
    InvalidInputError, RunFailedError
        See ``Store.open``.
    """
    store = Store.open(settings)
    make_key(store)
    sessions = Sessions(store)
    care = Care(
        settings=settings,
        store=store,
        accounts=Accounts(store),
        sessions=sessions,
        hub=Hub(store, sessions),
        keeper=Keeper(store),
    )
    app = FastAPI(title="Euthymia care", openapi_url=None, docs_url=None, redoc_url=None, lifespan=_lifespan)
    app.state.care = care
    groups = (*SCREENS, entrance.DEMO) if settings.is_demo else SCREENS
    for screens in groups:
        app.include_router(screens.router)
    _answer_errors(app)
    check_guarded(routes_of(app))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.mount("/vendor", StaticFiles(directory=SHARED, check_dir=False), name="vendor")
    app.add_middleware(shield.Shield, settings=settings, unforeseen=_unforeseen)
    return app


def routes_of(app: FastAPI) -> list[Any]:
    """Return every route that answers requests, those of included routers too."""
    from fastapi import routing

    contexts = getattr(routing, "iter_route_contexts", None)  # older releases copy included routes instead
    found = [one.route for one in contexts(app.routes)] if contexts else app.routes
    return [one for one in found if isinstance(one, routing.APIRoute)]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    from anyio.to_thread import current_default_thread_limiter

    care: Care = app.state.care
    current_default_thread_limiter().total_tokens = THREADS
    await care.hub.start()
    care.keeper.start()
    try:
        yield
    finally:
        await care.hub.stop()
        care.keeper.stop()
        care.store.close()


def _answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(CareError, _care_error)
    app.add_exception_handler(RequestValidationError, _unusable)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(InvalidInputError, _invalid)
    app.add_exception_handler(DBAPIError, _database)


async def _care_error(request: Request, error: Exception) -> Response:
    found = error if isinstance(error, CareError) else CareError("refused")
    return _answer(request, found.to_dict(), error=found)


async def _unusable(request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    fields = [(".".join(map(str, one["loc"][1:])), str(one["msg"])) for one in problems]  # not what was given
    return _answer(request, of_fields(fields, status=422))


async def _invalid(request: Request, error: Exception) -> Response:
    return _answer(request, of_fields([("", str(error))], status=422))


async def _plain(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _answer(request, of_fields([("", WORDS.get(status, "Refused."))], status=status))


async def _database(request: Request, error: Exception) -> Response:
    LOG.error("database: %s", type(error).__name__)
    return _answer(request, not_saved(error).to_dict())


async def _unforeseen(request: Request, error: Exception) -> Response:
    where = error.__traceback__
    while where and where.tb_next:
        where = where.tb_next
    place = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else "?"
    LOG.error("unforeseen: %s at %s", type(error).__name__, place)  # the message may hold what a person typed
    return _answer(
        request, of_fields([("", "Something went wrong here. Nothing more is known.")], status=500)
    )


def wants_json(request: Request) -> bool:
    """Return whether JSON is asked for, rather than a page."""
    accepts = request.headers.get("accept", "")
    return request.url.path.startswith(API + "/") or "application/json" in accepts


def _answer(request: Request, plain: dict[str, Any], *, error: CareError | None = None) -> Response:
    if wants_json(request):
        return JSONResponse(plain, status_code=plain["status"])
    if request.method == "GET" and isinstance(error, NotSignedInError):
        return see_other("/login")
    if request.method == "GET" and isinstance(error, LockedError):
        return see_other("/unlock")
    care: Care = request.app.state.care
    session = (
        find_session(care, request) if cookie_name(is_tls=care.settings.is_tls) in request.cookies else None
    )
    ask = Ask(
        care=care, request=request, right="", session=session if session and session.stage == FULL else None
    )
    return render(ask, "refused.html", status=plain["status"], problem=plain, title="Not done")
