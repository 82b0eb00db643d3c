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

from euthymia.errors import RunFailedError, invalid
from euthymia.files.value_folder import ValueFolder, read_manifest, require_same, values_in
from euthymia.files.writing import write_whole

SCHEMA = "euthymia.fit-folder/1"
SHIPPED = "calibration/points"
"""Folder of the data that holds the points of posteriors that ship."""
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""Date of everything in an archive."""


class FitFolder(ValueFolder):
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
        super().__init__(path, {"schema": SCHEMA, **manifest}, of="fit", kept="points")


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
            raise invalid(
                "--from",
                must="a folder of 'euthymia fit', or its points",
                got=str(path),
                cure=_shipped_cure(),
            ) from None

    def load(self, name: str) -> dict[str, list[float]] | None:
        """Implement `euthymia.calibration.runs.PointStore`."""
        kept = self._points.get(name)
        return None if kept is None else values_in(json.loads(kept))

    def save(self, name: str, values: Mapping[str, Sequence[float]]) -> None:
        """Refuse: what an archive holds stays as it is."""
        del values
        message = f"{name} cannot be added to an archive of points."
        raise RunFailedError(message)


def _shipped_cure() -> str:
    folder = resources.files("euthymia").joinpath("data", SHIPPED)
    names = sorted(Path(one.name).stem for one in folder.iterdir() if one.name.endswith(".zip"))
    return f"Points of these posteriors ship: {', '.join(names)}."


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
    manifest = {"schema": SCHEMA, **json.loads(json.dumps(manifest))}
    shipped = Path(str(resources.files("euthymia"))) / "data" / SHIPPED / f"{path}.zip"
    if path.is_dir():
        there = read_manifest("--from", path)
        require_same("--from", path, there, manifest, of="fit", but=but)
        return FitFolder(path, there)
    found = PointArchive(shipped if shipped.is_file() else path)
    require_same("--from", path, found.manifest, manifest, of="fit", but=but)
    return found
