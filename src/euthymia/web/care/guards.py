"""One guard before every route: who asks, from one of our pages, unlocked, with the right; else refused."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from euthymia.care.record import Event, to_text
from euthymia.web.care import access, audit, passwords
from euthymia.web.care.refusals import CareError, LockedError, NotAllowedError, NotSignedInError
from euthymia.web.care.roles import may, role_for
from euthymia.web.care.sessions import FULL, LOCKED, Session

if TYPE_CHECKING:
    from euthymia.web.care.app import Care
    from euthymia.web.care.store import Stored

SAFE = ("GET", "HEAD")
FIELD, HEADER = "_csrf", "x-csrf-token"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
BACKGROUND = "x-background"
"""Header of what a page asks for by itself: it does not count as somebody being there."""


def cookie_name(*, is_tls: bool) -> str:
    """Return the name of the session's cookie; browsers hold ``__Host-`` to this host and to TLS."""
    return "__Host-care" if is_tls else "care"


def form_cookie_name(*, is_tls: bool) -> str:
    """Return the name of the cookie that guards the forms before somebody is signed in."""
    return "__Host-care-form" if is_tls else "care-form"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A request that its guard let through.

    Attributes
    ----------
    care : Care
    request : Request
    right : str
        Empty on a public route.
    session : Session or None
        None on a public route.
    """

    care: Care
    request: Request
    right: str
    session: Session | None

    @property
    def signed_in(self) -> Session:
        """Return the session of who asks."""
        if self.session is None:
            message = "Sign in."
            raise NotSignedInError(message)
        return self.session

    @property
    def actor(self) -> str:
        """Return the account that asks."""
        return self.signed_in.account.account

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the roles of who asks."""
        return self.signed_in.account.roles if self.session else ()

    @property
    def role(self) -> str:
        """Return the role in which the right of this route is used."""
        return role_for(self.roles, self.right) or ""

    @property
    def now(self) -> datetime:
        """Return the present instant, UTC."""
        return self.care.store.now()

    @property
    def address(self) -> str:
        """Return where the request came from."""
        return self.request.client.host if self.request.client else ""

    def may(self, right: str) -> bool:
        """Return whether who asks has a right."""
        return may(self.roles, right)

    def require(self, right: str) -> str:
        """Return the role in which a right is used.

        Raises
        ------
        NotAllowedError
        """
        role = role_for(self.roles, right)
        if role is None:
            raise self.refuse("right " + right)
        return role

    def refuse(self, why: str) -> NotAllowedError:
        """Note a refusal in the trail and return its error."""
        note_refusal(self.care, self.session, self.request, why)
        message = "Your account may not do this."
        return NotAllowedError(message)

    def require_patient(self, *patients: str) -> None:
        """Let only those open a restricted patient who are of the team or have broken the glass.

        Raises
        ------
        NotAllowedError
        """
        with self.care.store.reading() as connection:
            closed = self.closed(connection, patients)
        if closed:
            note_refusal(self.care, self.session, self.request, "restricted patient")
            message = "This patient is open to the team only. In an emergency, break the glass and say why."
            raise NotAllowedError(message)

    def closed(self, connection: Connection, patients: Iterable[str]) -> set[str]:
        """Return those of some patients that who asks may not open: leave them out of lists."""
        return access.closed_to(connection, self.actor, patients, at=to_text(self.now))

    def note(self, action: str, *about: str, **detail: Any) -> None:
        """Write in the trail what was done or seen, one row for each patient or thing."""
        names = about or ("",)
        entries = [
            audit.Entry(actor=self.actor, role=self.role, action=action, about=one, detail=detail)
            for one in names
        ]
        self.care.store.note(*entries)

    def record(
        self, events: Sequence[Event], *, expected: Mapping[str, int], deviation: str | None = None
    ) -> list[Stored]:
        """Append events in the name of who asks; the rights and patients of each are checked first.

        Raises
        ------
        NotAllowedError, StaleError, RefusedError, UnusableError, NotSavedError
        """
        from euthymia.web.care.writing import write

        return write(self, events, expected=expected, deviation=deviation)


def _route(request: Request) -> str:
    return getattr(request.scope.get("route"), "path", "?")


def note_refusal(care: Care, session: Session | None, request: Request, why: str) -> None:
    """Write a refusal in the trail: who, which route, why; not the address, which may name a patient."""
    if session is not None:
        detail = {"route": f"{request.method} {_route(request)}", "why": why}
        account = session.account
        care.store.note(
            audit.Entry(actor=account.account, role=",".join(account.roles), action="refused", detail=detail)
        )


class Guard:
    """Lets a request through, or raises.

    Parameters
    ----------
    right : str
        Which right it needs.
    stages : tuple of str
        In which stages a session may ask.
    needs_secret : bool
        Whether a secret must have been given within five minutes, or the PIN comes along.
    """

    is_public = False

    def __init__(self, right: str, *, stages: tuple[str, ...] = (FULL,), needs_secret: bool = False) -> None:
        self.right = right
        self.stages = stages
        self.needs_secret = needs_secret

    async def __call__(self, request: Request) -> Ask:
        """Return who asks and what for."""
        care: Care = request.app.state.care
        given = await given_fields(request)
        ask = await run_in_threadpool(self._check, care, request, given)
        if self.needs_secret:
            await run_in_threadpool(self._require_secret, ask, given)
        return ask

    def _check(self, care: Care, request: Request, given: Mapping[str, str]) -> Ask:
        session = find_session(care, request)
        if session is None:
            message = "Sign in."
            raise NotSignedInError(message)
        check_origin(care, session, request)
        if request.method not in SAFE:
            check_csrf(care, session, request, given, session.csrf)
        self._require_stage(session)
        if self.right and not may(session.account.roles, self.right):
            note_refusal(care, session, request, f"right {self.right}")
            message = "Your account may not do this."
            raise NotAllowedError(message)
        if session.stage == FULL and BACKGROUND not in request.headers:
            care.sessions.touch(session)
        return Ask(care=care, request=request, right=self.right, session=session)

    def _require_stage(self, session: Session) -> None:
        if session.stage in self.stages:
            return
        if session.stage == LOCKED:
            message = "Locked. Your PIN opens it."
            raise LockedError(message)
        message = "Sign in."
        raise NotSignedInError(message)

    def _require_secret(self, ask: Ask, given: Mapping[str, str]) -> None:
        session = ask.signed_in
        if ask.care.sessions.is_fresh(session):
            return
        if given.get("pin") and ask.care.accounts.is_pin(ask.actor, given["pin"]):
            ask.care.sessions.freshen(session)
            return
        if given.get("pin") and ask.care.sessions.fail_pin(session):
            message = "Too many wrong PINs. Sign in again."
            raise NotSignedInError(message)
        message = "Give your PIN: this needs to be you."
        raise NotAllowedError(message, field="pin")


class Public:
    """Lets anybody through; forms still have to come from one of our pages.

    Parameters
    ----------
    why : str
        Why nobody has to be signed in.
    """

    is_public = True
    right = ""

    def __init__(self, why: str) -> None:
        self.why = why

    async def __call__(self, request: Request) -> Ask:
        """Return what is asked for."""
        care: Care = request.app.state.care
        check_origin(care, None, request)
        if request.method not in SAFE:
            cookie = request.cookies.get(form_cookie_name(is_tls=care.settings.is_tls), "")
            given = await given_fields(request)
            check_csrf(care, None, request, given, form_token(care, cookie) if cookie else "")
        return Ask(care=care, request=request, right="", session=None)


def find_session(care: Care, request: Request) -> Session | None:
    """Return the session of the cookie; None where there is none."""
    token = request.cookies.get(cookie_name(is_tls=care.settings.is_tls))
    return care.sessions.find(token) if token else None


def new_form_cookie() -> str:
    """Return a value for the cookie that guards the forms before somebody is signed in."""
    return secrets.token_urlsafe(24)


def form_token(care: Care, cookie: str) -> str:
    """Return what the form has to send along with its cookie."""
    return hmac.new(care.form_key, cookie.encode(), "sha256").hexdigest()


async def given_fields(request: Request) -> dict[str, str]:
    """Return the text fields of a form; nothing where the body is no form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in SAFE or kind not in FORMS:
        return {}
    try:
        form = await request.form()
    except Exception as error:
        message = "The form cannot be read."
        raise CareError(message) from error
    return {name: value for name, value in form.items() if isinstance(value, str)}


def check_origin(care: Care, session: Session | None, request: Request) -> None:
    """Refuse what another site's page sends.

    Raises
    ------
    NotAllowedError
    """
    if request.method in SAFE:
        return
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    is_ours = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if site not in ("same-origin", "none") or not is_ours:
        note_refusal(care, session, request, "another site")
        message = "This did not come from a page of this record."
        raise NotAllowedError(message)


def check_csrf(
    care: Care, session: Session | None, request: Request, given: Mapping[str, str], wanted: str
) -> None:
    """Refuse what does not carry the token of our own page.

    Raises
    ------
    NotAllowedError
    """
    token = request.headers.get(HEADER) or given.get(FIELD) or ""
    if not wanted or not passwords.is_same(token, wanted):
        note_refusal(care, session, request, "no token of a form")
        message = "This page is too old. Load it again."
        raise NotAllowedError(message, field=FIELD)
