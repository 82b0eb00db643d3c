"""Folders that keep numbers piece by piece as they are done, so that a long run which was stopped goes on.

``manifest.json`` says what the numbers belong to; one file a piece holds them, written whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from euthymia.errors import InvalidInputError, invalid
from euthymia.files.trial_json import number_in, number_out
from euthymia.files.writing import write_whole

Values = dict[str, list[float]]


class ValueFolder:
    """A folder that keeps named numbers; it belongs to what its manifest says."""

    def __init__(
        self, path: Path, manifest: Mapping[str, Any], *, of: str = "run", kept: str = "values"
    ) -> None:
        """Open a folder, or begin one.

        Parameters
        ----------
        path : Path
        manifest : mapping
            What the numbers depend on.
        of : str
            What the folder is of, for messages.
        kept : str
            Folder inside that holds the pieces.

        Raises
        ------
        InvalidInputError
            The folder holds something else, or numbers of another run.
        """
        self.path, self._kept = path, kept
        self.manifest: dict[str, Any] = json.loads(json.dumps(manifest))
        place = path / "manifest.json"
        if place.exists():
            require_same("--out", path, read_manifest("--out", path), self.manifest, of=of)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise invalid("--out", must=f"a new or empty folder, or one of this {of}", got=str(path))
        else:
            self.write("manifest.json", self.manifest)

    def load(self, name: str) -> Values | None:
        """Return what is kept under a name, None where there is nothing that can be read."""
        try:
            return values_in(
                json.loads((self.path / self._kept / f"{name}.json").read_text(encoding="utf-8"))
            )
        except (OSError, ValueError, AttributeError, TypeError):  # none, half of one, or something else
            return None

    def save(self, name: str, values: Mapping[str, Sequence[float]]) -> None:
        """Keep values, whole."""
        self.write(
            f"{self._kept}/{name}.json",
            {key: [number_out(one) for one in row] for key, row in values.items()},
        )

    def write(self, name: str, content: Any) -> Path:
        """Write a file of the folder, whole, and return its path."""
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        place = self.path / name
        write_whole(place, lambda target: target.write_text(text, encoding="utf-8"))
        return place


def values_in(kept: Mapping[str, Sequence[Any]]) -> Values:
    """Return numbers that were read from JSON."""
    return {key: [number_in(one) for one in row] for key, row in kept.items()}


def read_manifest(option: str, path: Path) -> dict[str, Any]:
    """Return what a folder says that it belongs to.

    Raises
    ------
    InvalidInputError
    """
    try:
        there = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        there = None
    if not isinstance(there, dict):
        raise invalid(option, must="a folder whose manifest.json can be read", got=str(path))
    return there


def require_same(
    option: str,
    path: Path,
    there: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    of: str,
    but: Sequence[str] = (),
) -> None:
    """Refuse a folder that belongs to something else.

    Raises
    ------
    InvalidInputError
        Names what differs.
    """
    every = [name for name in dict.fromkeys((*given, *there)) if name not in but]
    other = [name for name in every if there.get(name) != given.get(name)]
    if other:
        cure = "Give another folder, or the same options and version."
        message = f"{option!r} {path} holds another {of}: {', '.join(other)} differ. {cure}"
        raise InvalidInputError(message)
