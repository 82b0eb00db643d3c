"""What every answer carries, and from where it may be asked."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SHIPPED_FOR = "public, max-age=3600"
LONGEST_QUERY = 4096
"""Bytes of a query string; every page's state takes less than a quarter of it."""


class SecurityHeaders:
    """Adds the headers to every answer and refuses foreign host names and overlong queries."""

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                is_shipped = scope["path"].startswith("/static/")
                headers.setdefault("Cache-Control", SHIPPED_FOR if is_shipped else "no-store")
            await send(message)

        if (refused := self._refusal(scope)) is not None:
            await refused(scope, receive, send_with)
            return
        await self.app(scope, receive, send_with)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        if "*" not in self.hosts and _name(Headers(scope=scope).get("host", "")) not in self.hosts:
            return _refused(400, "host", "This server answers under its own name only; see '--host'.")
        if len(scope["query_string"]) > LONGEST_QUERY:
            return _refused(414, "query", f"The query must be at most {LONGEST_QUERY} bytes long.")
        return None


def _refused(status: int, field: str, message: str) -> JSONResponse:
    content = {"ok": False, "status": status, "errors": [{"field": field, "message": message}]}
    return JSONResponse(content, status_code=status)


def _name(host: str) -> str:
    """Return a host without its port; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
