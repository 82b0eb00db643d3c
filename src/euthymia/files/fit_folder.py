"""Folders of a calibration: what points gave, kept as they are done, so that a stopped fit goes on.

``manifest.json`` says what the points belong to; ``points/*.json`` hold one point or piece each, written
whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from euthymia.errors import InvalidInputError, invalid
from euthymia.files.trial_json import number_in, number_out
from euthymia.files.writing import write_whole

SCHEMA = "euthymia.fit-folder/1"


class FitFolder:
    """A folder that keeps what points gave; it belongs to one seed, version, evidence and model."""

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        """Open a folder, or begin one.

        Parameters
        ----------
        path : Path
        manifest : mapping
            What the points depend on.

        Raises
        ------
        InvalidInputError
            The folder holds something else, or points of another fit.
        """
        self.path = path
        self.manifest = {"schema": SCHEMA, **json.loads(json.dumps(manifest))}
        place = path / "manifest.json"
        if place.exists():
            _require_same("--out", path, _read("--out", place), self.manifest)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise invalid("--out", must="a new or empty folder, or one of this fit", got=str(path))
        self.write("manifest.json", self.manifest)

    def load(self, name: str) -> dict[str, list[float]] | None:
        """Implement `euthymia.calibration.runs.PointStore`."""
        try:
            kept = json.loads((self.path / "points" / f"{name}.json").read_text(encoding="utf-8"))
            return {key: [number_in(one) for one in row] for key, row in kept.items()}
        except (OSError, ValueError, AttributeError, TypeError):  # none, half of one, or something else
            return None

    def save(self, name: str, values: Mapping[str, Sequence[float]]) -> None:
        """Implement `euthymia.calibration.runs.PointStore`."""
        plain = {key: [number_out(one) for one in row] for key, row in values.items()}
        self.write(f"points/{name}.json", plain)

    def write(self, name: str, content: Any) -> Path:
        """Write a file of the folder, whole, and return its path."""
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        place = self.path / name
        write_whole(place, lambda target: target.write_text(text, encoding="utf-8"))
        return place


def opened(path: Path, manifest: Mapping[str, Any], *, but: Sequence[str] = ()) -> FitFolder:
    """Return the folder of an earlier fit, which may differ from one that is asked for in some things only.

    Raises
    ------
    InvalidInputError
        It is no such folder, or differs in more.
    """
    there = _read("--from", path / "manifest.json")
    _require_same("--from", path, there, {name: one for name, one in manifest.items() if name not in but})
    return FitFolder(path, there)


def _require_same(option: str, path: Path, there: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    other = [name for name in given if there.get(name) != given[name]]
    if other:
        cure = "Give another folder, or the same options and version."
        message = f"{option!r} {path} holds another fit: {', '.join(other)} differ. {cure}"
        raise InvalidInputError(message)


def _read(option: str, place: Path) -> dict[str, Any]:
    try:
        there = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        there = None
    if not isinstance(there, dict):
        raise invalid(option, must="a folder whose manifest.json can be read", got=str(place.parent))
    return there
