"""The application: pages found by themselves, shipped files, headers, and what a mistake answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from pkgutil import iter_modules
from types import ModuleType

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from euthymia.web import pages, problems
from euthymia.web.crisis import DEFAULT_COUNTRY, find_lines
from euthymia.web.security import LOCAL_HOSTS, SecurityHeaders
from euthymia.web.warm import Warmth


def page_modules() -> tuple[ModuleType, ...]:
    """Return every module of ``web.pages``, in the order of their links."""
    found = [import_module(f"{pages.__name__}.{one.name}") for one in iter_modules(pages.__path__)]
    return tuple(sorted(found, key=lambda one: one.LINK.place))


def create_app(
    *,
    country: str = DEFAULT_COUNTRY,
    hosts: Sequence[str] = LOCAL_HOSTS,
    is_warmed: bool = False,
    on_ready: Callable[[], None] | None = None,
) -> FastAPI:
    """Return the web application.

    Parameters
    ----------
    country : str
        Whose crisis lines the pages show where they name suicidality; see ``data/crisis_lines.toml``.
    hosts : sequence of str
        Names under which it may be called; ``*`` is any. Others are refused, so that no page elsewhere can
        reach a server on this machine through a name of its own.
    is_warmed : bool
        Whether kernels are compiled and first answers computed in the background once it has started.
    on_ready : callable, optional
        Called when the application has started.

    Raises
    ------
    UnknownNameError
        A country without an entry.
    """
    find_lines(country)
    warmth = Warmth([one.warm for one in page_modules() if hasattr(one, "warm")])

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if is_warmed:
            warmth.start()
        if on_ready is not None:
            on_ready()
        yield
        warmth.stop()

    app = FastAPI(
        title="Euthymia",
        version=version("euthymia"),
        description="Simulated. Research software, not a medical device; no dosing advice.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.country = country
    app.state.links = tuple(one.LINK for one in page_modules())
    app.state.warmth = warmth
    app.mount("/static", StaticFiles(directory=str(files("euthymia") / "web" / "static")), name="static")
    for one in page_modules():
        app.include_router(one.router)
    problems.answer_in(app)
    app.add_middleware(SecurityHeaders, hosts=tuple(hosts))
    return app
