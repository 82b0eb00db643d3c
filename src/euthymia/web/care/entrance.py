"""Coming in and going out: set-up, passphrase, authenticator, PIN, lock, the demonstration's open door."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from euthymia.web.care import passwords
from euthymia.web.care.accounts import Account, read_account
from euthymia.web.care.guards import Ask, cookie_name
from euthymia.web.care.pages import Screens, Shown, render, see_other, set_cookie
from euthymia.web.care.refusals import NotAllowedError, NotFoundError, NotSignedInError
from euthymia.web.care.roles import ROLES
from euthymia.web.care.sessions import CODE, ENROL, FULL, LOCKED

SCREENS = Screens()
DEMO = Screens()
BEFORE = "nobody is signed in yet"
Short = Annotated[str, Form(max_length=200)]


def _enter(ask: Ask, account: Account, stage: str, *, path: str) -> Response:
    """Begin a session under a new token and go on to a page."""
    old = ask.session
    until = old.until if old and old.stage == LOCKED else None
    token, _ = ask.care.sessions.begin(account, stage=stage, replaces=old.key if old else None, until=until)
    response = see_other(path)
    set_cookie(ask, response, cookie_name(is_tls=ask.care.settings.is_tls), token)
    return response


@SCREENS.public("GET", "/login", why=BEFORE)
def login_page(ask: Ask) -> Response:
    """Show the form to sign in."""
    return render(ask, "login.html", title="Sign in", roles=dict(ROLES))


@SCREENS.public("POST", "/login", why=BEFORE)
def login(ask: Ask, account: Short, passphrase: Short) -> Response:
    """Take account and passphrase; the code comes next."""
    found = ask.care.accounts.check_passphrase(account, passphrase, address=ask.address)
    stage = CODE if found.is_enrolled else ENROL
    return _enter(ask, found, stage, path=f"/{stage}")


@SCREENS.public("GET", "/set-up", why=BEFORE)
def set_up_page(ask: Ask) -> Response:
    """Show the form for the first account."""
    return render(ask, "set_up.html", title="First account")


@SCREENS.public("POST", "/set-up", why=BEFORE)
def set_up(ask: Ask, token: Short, account: Short, name: Short, passphrase: Short) -> Response:
    """Make the first account of who holds the printed token."""
    found = ask.care.accounts.set_up(token=token.strip(), account=account, name=name, passphrase=passphrase)
    return _enter(ask, found, ENROL, path="/enrol")


@SCREENS.public("GET", "/join", why=BEFORE)
def join_page(ask: Ask) -> Response:
    """Show the form for who got a token from the owner."""
    return render(ask, "join.html", title="First sign-in")


@SCREENS.public("POST", "/join", why=BEFORE)
def join(ask: Ask, account: Short, token: Short, passphrase: Short) -> Response:
    """Set the passphrase of who holds the token of an account."""
    found = ask.care.accounts.join(account=account, token=token.strip(), passphrase=passphrase)
    return _enter(ask, found, ENROL, path="/enrol")


@SCREENS.show("/enrol", right="", stages=(ENROL,))
def enrol_page(ask: Ask) -> Response:
    """Show the secret for an authenticator."""
    secret = passwords.new_secret()
    address = passwords.address_of(secret, account=ask.actor)
    return render(ask, "enrol.html", title="Authenticator and PIN", secret=secret, address=address)


@SCREENS.act("/enrol", right="", stages=(ENROL,))
def enrol(ask: Ask, secret: Short, code: Short, pin: Short) -> Response:
    """Set authenticator and PIN; show the recovery codes this once."""
    codes = ask.care.accounts.enrol(ask.actor, secret=secret, code=code, pin=pin)
    with ask.care.store.reading() as connection:
        account = read_account(connection, ask.actor)
    if account is None:
        message = "There is no such account."
        raise NotFoundError(message)
    token, session = ask.care.sessions.begin(account, stage=FULL, replaces=ask.signed_in.key)
    now = Ask(care=ask.care, request=ask.request, right="", session=session)
    response = render(now, "recovery.html", title="Recovery codes", codes=codes)
    set_cookie(ask, response, cookie_name(is_tls=ask.care.settings.is_tls), token)
    return response


@SCREENS.show("/code", right="", stages=(CODE,))
def code_page(ask: Ask) -> Response:
    """Show the form for the authenticator's code."""
    return render(ask, "code.html", title="Code")


@SCREENS.act("/code", right="", stages=(CODE,))
def code(ask: Ask, code: Short) -> Response:
    """Take the code; from here on somebody is signed in."""
    ask.care.accounts.check_code(ask.actor, code, address=ask.address)
    return _enter(ask, ask.signed_in.account, FULL, path="/")


@SCREENS.act("/lock", right="")
def lock(ask: Ask) -> Response:
    """Lock now."""
    ask.care.sessions.lock(ask.signed_in, why="asked")
    return see_other("/unlock")


@SCREENS.show("/unlock", right="", stages=(LOCKED, FULL))
def unlock_page(ask: Ask) -> Response:
    """Show the form for the PIN."""
    return render(ask, "unlock.html", title="Locked", name=ask.signed_in.account.name)


@SCREENS.act("/unlock", right="", stages=(LOCKED,))
def unlock(ask: Ask, pin: Short) -> Response:
    """Take the PIN and open the session under a new token."""
    if not ask.care.accounts.is_pin(ask.actor, pin):
        if ask.care.sessions.fail_pin(ask.signed_in):
            message = "Too many wrong PINs. Sign in again."
            raise NotSignedInError(message)
        message = "This PIN is wrong."
        raise NotAllowedError(message, field="pin")
    return _enter(ask, ask.signed_in.account, FULL, path="/")


@SCREENS.act("/logout", right="", stages=(FULL, LOCKED, CODE, ENROL))
def logout(ask: Ask) -> Response:
    """End the session and let the browser forget everything."""
    ask.care.sessions.end(ask.signed_in)
    response = see_other("/login")
    response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return response


@SCREENS.screen("/", right="home.read", template="home.html")
def home(ask: Ask) -> Shown:
    """Show what this account may open."""
    roles = {role: ROLES[role] for role in ask.roles}
    return Shown(
        data={"account": ask.actor, "name": ask.signed_in.account.name, "roles": roles}, title="Start"
    )


@DEMO.public("POST", "/demo", why="a demonstration of invented patients is open to everybody")
def demo(ask: Ask, role: Short) -> Response:
    """Come in as one of the demonstration's people."""
    with ask.care.store.reading() as connection:
        found = read_account(connection, f"demo.{role}")
    if found is None or not ask.care.settings.is_demo:
        message = "There is no such role."
        raise NotFoundError(message)
    return _enter(ask, found, FULL, path="/")
