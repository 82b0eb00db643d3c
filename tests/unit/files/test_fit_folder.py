"""Folders of a fit: they keep points whole, and refuse what belongs to another fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.files.fit_folder import SCHEMA, FitFolder, PointArchive, archive_points, opened

MANIFEST = {"version": "0.1", "seed": 1, "free": ["a", "b"], "rows_digest": "0" * 16}
POINT = {"point": [0.25, -1.5], "T1": [float("nan")], "T2": [0.1 + 0.2, float("inf")]}


@pytest.fixture
def folder(tmp_path: Path) -> FitFolder:
    return FitFolder(tmp_path / "fit", MANIFEST)


def test_points_come_back_bit_for_bit(folder: FitFolder):
    folder.save("prior-0000", POINT)
    found = folder.load("prior-0000")
    assert found is not None
    assert repr(found) == repr(POINT)


def test_what_is_not_there_is_none(folder: FitFolder):
    assert folder.load("prior-0001") is None


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"T1": 3}', '{"T1": [{}]}', "null", "\x00"])
def test_a_point_that_is_broken_counts_as_not_there(folder: FitFolder, text: str):
    folder.save("prior-0000", POINT)
    (folder.path / "points" / "prior-0000.json").write_text(text, encoding="utf-8")
    assert folder.load("prior-0000") is None


def test_a_folder_of_the_same_fit_goes_on(folder: FitFolder):
    folder.save("prior-0000", POINT)
    again = FitFolder(folder.path, MANIFEST)
    assert again.load("prior-0000") is not None
    assert json.loads((folder.path / "manifest.json").read_text())["schema"] == SCHEMA


@pytest.mark.parametrize(("name", "value"), [("seed", 2), ("free", ["a"]), ("version", "0.2"), ("extra", 1)])
def test_a_folder_of_another_fit_is_refused_with_what_differs(folder: FitFolder, name: str, value: object):
    with pytest.raises(InvalidInputError, match=rf"'--out' .* holds another fit: {name} differ"):
        FitFolder(folder.path, {**MANIFEST, name: value})


def test_a_file_is_no_folder(tmp_path: Path):
    place = tmp_path / "file"
    place.write_text("x")
    with pytest.raises(InvalidInputError, match=r"'--out' must be a new or empty folder"):
        FitFolder(place, MANIFEST)
    assert place.read_text() == "x"


def test_a_folder_of_something_else_is_refused(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match=r"'--out' must be a new or empty folder"):
        FitFolder(tmp_path, MANIFEST)
    assert [one.name for one in tmp_path.iterdir()] == ["notes.txt"]


def test_a_manifest_that_cannot_be_read_is_refused(folder: FitFolder):
    (folder.path / "manifest.json").write_text("[", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"manifest\.json"):
        FitFolder(folder.path, MANIFEST)


def test_an_earlier_fit_may_differ_only_in_what_is_named(folder: FitFolder):
    folder.save("prior-0000", POINT)
    asked = {"schema": SCHEMA, **MANIFEST, "rows_digest": "1" * 16}
    found = opened(folder.path, asked, but=("rows_digest",))
    assert repr(found.load("prior-0000")) == repr(POINT)
    with pytest.raises(InvalidInputError, match=r"'--from' .* holds another fit: seed differ"):
        opened(folder.path, {**asked, "seed": 9}, but=("rows_digest",))


def test_points_in_one_file_are_the_same_and_come_again_byte_for_byte(folder: FitFolder, tmp_path: Path):
    folder.save("prior-0000", POINT)
    folder.save("second-0000", {"point": [1.0, 1.0]})
    first, again = tmp_path / "a.zip", tmp_path / "b.zip"
    archive_points(folder.path, first)
    archive_points(folder.path, again)
    assert first.read_bytes() == again.read_bytes()
    found = opened(first, {"schema": SCHEMA, **MANIFEST})
    assert isinstance(found, PointArchive)
    assert repr(found.load("prior-0000")) == repr(POINT)
    assert found.load("prior-0001") is None
    with pytest.raises(RunFailedError, match="cannot be added"):
        found.save("prior-0001", POINT)


@pytest.mark.parametrize("content", [None, b"", b"PK no archive"])
def test_what_holds_no_points_is_refused(tmp_path: Path, content: bytes | None):
    place = tmp_path / "points.zip"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(InvalidInputError, match="'--from' must be a folder of 'euthymia fit'"):
        opened(place, MANIFEST)
