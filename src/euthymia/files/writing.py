"""Writes files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile

from euthymia.errors import RunFailedError


def check_writable(path: Path) -> None:
    """Raise before a long run where a file could not be written at its end.

    Raises
    ------
    RunFailedError
        Names the path and the system's reason.
    """
    if path.is_dir():
        message = f"Cannot write {str(path)!r}: it is a folder. Give a file name."
        raise RunFailedError(message)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        raise _cannot(path, error) from None


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let a function write to a temporary neighbour, then put it in place; on failure nothing is left.

    Parameters
    ----------
    path : Path
    write : callable (path) -> anything
    """
    check_writable(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def _cannot(path: Path, error: OSError) -> RunFailedError:
    return RunFailedError(
        f"Cannot write {str(path)!r}: {error.strerror or error}. Nothing was left there. "
        "Check the folder, its rights and the space on the disk."
    )
