"""Why a request is not done: one tree of errors, each with its status and what may be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from euthymia.errors import EuthymiaError


class CareError(EuthymiaError):
    """A request that is refused; the message may be shown.

    Parameters
    ----------
    message : str
    field : str
        What of the request it is about; empty for all of it.
    """

    status = 400

    def __init__(self, message: str, *, field: str = "", **more: Any) -> None:
        super().__init__(message)
        self.field = field
        self.more: Mapping[str, Any] = more

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of an error, the same shape everywhere."""
        errors = [{"field": self.field, "message": str(self)}]
        return {"ok": False, "status": self.status, "errors": errors, **self.more}


class NotSignedInError(CareError):
    """Nobody is signed in, or the session has ended."""

    status = 401


class NotAllowedError(CareError):
    """The account lacks the right, or the request did not come from one of our pages."""

    status = 403


class NotFoundError(CareError):
    """There is no such thing."""

    status = 404


class StaleError(CareError):
    """Somebody else wrote in between; what they wrote is in ``since``."""

    status = 409


class RefusedError(CareError):
    """A rule of the record refuses the event; ``findings`` say why."""

    status = 409


class UnusableError(CareError):
    """What was given cannot be used."""

    status = 422


class LockedError(CareError):
    """The session is locked; the PIN opens it."""

    status = 423


class TooOftenError(CareError):
    """Too many attempts."""

    status = 429


class NotSavedError(CareError):
    """The record could not be written: nothing of the request was kept."""

    status = 503


def not_saved(cause: BaseException) -> NotSavedError:
    """Return the error for a disk or database that fails; details go to the log, not to the page."""
    found = NotSavedError("NOT SAVED. The record cannot be written now: note it on paper and call for help.")
    found.__cause__ = cause
    return found


def of_fields(fields: Sequence[tuple[str, str]], *, status: int) -> dict[str, Any]:
    """Return the JSON of an error about several fields."""
    errors = [{"field": name, "message": message} for name, message in fields]
    return {"ok": False, "status": status, "errors": errors}
