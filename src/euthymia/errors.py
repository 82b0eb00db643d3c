"""One exception tree, and the one template that its messages follow.

A message says what must hold and who says so, what was given, and the usual cure.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_LIST = 12
"""Names that fit into one message."""


class EuthymiaError(Exception):
    """Base of every error that Euthymia raises on purpose."""


class InvalidInputError(EuthymiaError, ValueError):
    """Something that a user gave cannot be used; the message names the field and the cure."""


class UnknownNameError(InvalidInputError, KeyError):
    """A name is not among those known; the message offers the nearest ones."""

    def __str__(self) -> str:
        """Return the message itself (``KeyError`` would print its ``repr``)."""
        return str(self.args[0]) if self.args else ""


class RunFailedError(EuthymiaError, RuntimeError):
    """The computation or its output failed: solver, disk, interrupted resource."""


class MissingExtraError(EuthymiaError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


class ResultWarning(UserWarning):
    """A result may not mean what it seems to: extrapolation, few draws, unverified source."""


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> list[str]:
    """Return the known names closest to a misspelt one, best first."""
    table = {candidate.lower(): candidate for candidate in known}
    return [table[match] for match in get_close_matches(name.lower(), table, n=count, cutoff=0.5)]


def invalid(field: str, *, must: str, got: object, cure: str = "") -> InvalidInputError:
    """Build the error for a field whose value cannot be used.

    Parameters
    ----------
    field : str
        Name of the field as the user wrote it or would write it.
    must : str
        What must hold, with the source of a limit in brackets.
    got : object
        What was given.
    cure : str
        The usual cure, as a short sentence or question.
    """
    return InvalidInputError(
        " ".join(part for part in (f"'{field}' must be {must}. Got {got}.", cure) if part)
    )


def unknown(kind: str, name: str, known: Iterable[str], *, cure: str = "") -> UnknownNameError:
    """Build the error for a name that is not known, offering the nearest match, or the list if it is short.

    Where the list is long, ``cure`` says where it stands.
    """
    names = sorted(known)
    close = nearest(name, names)
    if close:
        hint = f"Did you mean {' or '.join(repr(match) for match in close)}?"
    elif len(names) > LONGEST_LIST and cure:
        hint = ""
    else:
        hint = f"Known: {', '.join(names)}."
    return UnknownNameError(" ".join(part for part in (f"Unknown {kind} {name!r}.", hint, cure) if part))


def missing_extra(library: str, *, extra: str, needed_for: str) -> MissingExtraError:
    """Build the error for an optional library that is not installed."""
    return MissingExtraError(
        f"{needed_for} needs {library}, which is not installed. It comes with the extra: "
        f"pip install 'euthymia[{extra}]'."
    )
