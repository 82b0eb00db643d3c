"""Folders of a calibration: what points gave, kept as they are done, so that a stopped fit goes on.

``manifest.json`` says what the points belong to; ``points/*.json`` hold one point or piece each, written
whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from euthymia.errors import InvalidInputError, RunFailedError, invalid
from euthymia.files.trial_json import number_in, number_out
from euthymia.files.writing import write_whole

SCHEMA = "euthymia.fit-folder/1"
SHIPPED = "calibration/points"
"""Folder of the data that holds the points of posteriors that ship."""
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""Date of everything in an archive."""


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
        if not place.exists():
            self.write("manifest.json", self.manifest)

    def load(self, name: str) -> dict[str, list[float]] | None:
        """Implement `euthymia.calibration.runs.PointStore`."""
        try:
            kept = json.loads((self.path / "points" / f"{name}.json").read_text(encoding="utf-8"))
            return _numbers(kept)
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


class PointArchive:
    """The points of a fit in one file (``.zip``), to be read."""

    def __init__(self, path: Path) -> None:
        """Open a file that `archive_points` wrote.

        Raises
        ------
        InvalidInputError
        """
        try:
            with ZipFile(path) as archive:
                self.manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
                self._points = {
                    Path(name).stem: archive.read(name)
                    for name in archive.namelist()
                    if name.startswith("points/")
                }
        except (OSError, BadZipFile, KeyError, ValueError):
            raise invalid("--from", must="a folder of 'euthymia fit', or its points", got=str(path)) from None

    def load(self, name: str) -> dict[str, list[float]] | None:
        """Implement `euthymia.calibration.runs.PointStore`."""
        kept = self._points.get(name)
        return None if kept is None else _numbers(json.loads(kept))

    def save(self, name: str, values: Mapping[str, Sequence[float]]) -> None:
        """Refuse: what an archive holds stays as it is."""
        del values
        message = f"{name} cannot be added to an archive of points."
        raise RunFailedError(message)


def archive_points(folder: Path, target: Path) -> None:
    """Write the points of a folder into one file: the same bytes for the same points."""

    def write(place: Path) -> None:
        with ZipFile(place, "w", ZIP_DEFLATED, compresslevel=9) as archive:
            for one in (folder / "manifest.json", *sorted((folder / "points").glob("*.json"))):
                text = json.dumps(json.loads(one.read_text(encoding="utf-8")), separators=(",", ":"))
                archive.writestr(ZipInfo(str(one.relative_to(folder)), EARLIEST), text, ZIP_DEFLATED)

    write_whole(target, write)


def opened(path: Path, manifest: Mapping[str, Any], *, but: Sequence[str] = ()) -> FitFolder | PointArchive:
    """Return the points of an earlier fit, which may differ from one that is asked for in some things only.

    Parameters
    ----------
    path : Path
        A folder of a fit, a file of points, or the name of a posterior that ships.
    manifest : mapping
        Of the fit that is asked for.
    but : sequence of str
        What may differ.

    Raises
    ------
    InvalidInputError
        There are no such points, or they differ in more.
    """
    asked = {name: one for name, one in manifest.items() if name not in but}
    shipped = Path(str(resources.files("euthymia"))) / "data" / SHIPPED / f"{path}.zip"
    if path.is_dir():
        there = _read("--from", path / "manifest.json")
        _require_same("--from", path, there, asked)
        return FitFolder(path, there)
    found = PointArchive(shipped if shipped.is_file() else path)
    _require_same("--from", path, found.manifest, asked)
    return found


def _numbers(kept: Mapping[str, Sequence[Any]]) -> dict[str, list[float]]:
    return {key: [number_in(one) for one in row] for key, row in kept.items()}


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
