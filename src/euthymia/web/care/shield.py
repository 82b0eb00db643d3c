"""Around a request: which host, how large, what browsers may do with an answer, a log without patients."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from euthymia.web.care.settings import CareSettings

LOG = logging.getLogger("euthymia.care.requests")
MOST_BYTES = 512 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send "Origin: null" with our own forms
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STRICT_TRANSPORT = "max-age=31536000"


class Shield:
    """Middleware; see the top of this module.

    Parameters
    ----------
    app : ASGIApp
    settings : CareSettings
    unforeseen : callable
        Answers for an error that nobody expected; what it says must not reach a log or a page.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: CareSettings,
        unforeseen: Callable[[Request, Exception], Awaitable[Response]],
    ) -> None:
        self.app = app
        self.settings = settings
        self.unforeseen = unforeseen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = [0]

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                self._head(scope, message)
            await send(message)

        try:
            await (self._problem(scope) or self.app)(scope, _Limited(receive).receive, headed)
        except Exception as error:
            answer = await self.unforeseen(Request(scope), error)
            if not status[0]:  # else the answer breaks off, which a browser notices
                await answer(scope, receive, headed)
        _log(scope, status[0], time.perf_counter() - started)

    def _problem(self, scope: Scope) -> PlainTextResponse | None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in self.settings.hosts:
            return PlainTextResponse("This record is not served under that name.", status_code=400)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return PlainTextResponse("Too large.", status_code=413)
        return None

    def _head(self, scope: Scope, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
            headers[name] = value
        if scope["path"].startswith(("/static/", "/vendor/")):
            headers["Cache-Control"] = "no-cache"
        if self.settings.is_tls:
            headers["Strict-Transport-Security"] = STRICT_TRANSPORT


class _Limited:
    """Reads a body up to a size, for requests that do not say theirs."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._count = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._count += len(message.get("body", b""))
        if self._count > MOST_BYTES:
            return {"type": "http.disconnect"}
        return message


def _log(scope: Scope, status: int, seconds: float) -> None:
    """Log the form of the route, not the address: it may name a patient's identifier."""
    route: Any = scope.get("route")
    path = getattr(route, "path", "-")
    LOG.info("%s %s %s %.0f ms", scope["method"], path, status, 1000 * seconds)
