"""A client without a browser, a server in a thread, and Debian's Chromium for the rest."""

from __future__ import annotations

import shutil
import socket
import warnings
from collections.abc import Iterator
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
import uvicorn

from euthymia.web.app import create_app

with warnings.catch_warnings():  # it asks for another HTTP library, which is not needed
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CURE = "No Chromium was found. 'make test' installs it where it may; else: apt-get install chromium"


@pytest.fixture(scope="session")
def client() -> Iterator[TestClient]:
    """Call the application in this process."""
    with TestClient(create_app(), base_url="http://localhost", raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Serve the application from a thread at a free port."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    is_ready = Event()
    app = create_app(country="GB", on_ready=is_ready.set)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    assert is_ready.wait(30)
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)
    bound.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium; a machine without one fails with the cure."""
    from playwright.sync_api import sync_playwright

    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.fail(CURE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page in a context of its own, which notes what it asks for elsewhere and what it complains of."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.outside: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._noted)
        page.on("console", lambda one: self.complaints.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _noted(self, request: object) -> None:
        url = str(getattr(request, "url", ""))
        if not url.startswith((self.address, "data:", "blob:")):
            self.outside.append(url)

    def open(self, path: str = "/") -> Page:
        """Open a page of the server and wait until nothing is loaded any more."""
        self.page.goto(f"{self.address}{path}", wait_until="networkidle")
        return self.page


@pytest.fixture
def visit(chromium: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Open pages; ``@pytest.mark.parametrize("visit", [{...}], indirect=True)`` gives options of the context.

    Afterwards nothing may have been asked of another host, and nothing complained of.
    """
    context = chromium.new_context(**getattr(request, "param", {}))
    made = Visit(context.new_page(), address)
    yield made
    context.close()
    assert not made.outside, made.outside
    assert not made.complaints, made.complaints
