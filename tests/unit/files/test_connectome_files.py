"""One's own connectome: read from npz and TVB zips, and every mistake named."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from euthymia.errors import InvalidInputError
from euthymia.files.connectome import read_connectome

NETWORKS = ["Default", "Default", "Cont", "SalVentAttn", "Limbic", "Vis"]
COUNT = len(NETWORKS)
FC = 0.3 * np.ones((COUNT, COUNT)) + 0.7 * np.eye(COUNT)
FIBRES = np.arange(1.0, 7.0)[:, None] * np.arange(1.0, 7.0) * (1 - np.eye(COUNT))
Save = Callable[..., str]


@pytest.fixture
def npz(tmp_path: Path) -> Save:
    def save(**arrays: Any) -> str:
        held = {"fc": FC, "networks": np.array(NETWORKS), **arrays}
        path = tmp_path / "own.npz"
        np.savez(path, **{name: one for name, one in held.items() if one is not None})
        return str(path)

    return save


def lines(matrix: np.ndarray) -> str:
    return "\n".join(" ".join(f"{one:.17g}" for one in row) for row in matrix) + "\n"


@pytest.fixture
def tvb(tmp_path: Path) -> Save:
    def save(**texts: str | None) -> str:
        held = {
            "weights": lines(FIBRES),
            "tract_lengths": lines(10 * FIBRES),
            "centres": "".join(f"LH_{name}_{n} {n} {2 * n} -3\n" for n, name in enumerate(NETWORKS)),
            "fc": lines(FC),
            **texts,
        }
        path = tmp_path / "own.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in held.items():
                if text is not None:
                    archive.writestr(f"connectivity/{name}.txt", text)
        return str(path)

    return save


def test_an_npz_is_read_whole(npz: Save):
    found = read_connectome(npz(strength=FIBRES, labels=np.array(list("abcdef")), places_mm=np.zeros((6, 3))))
    np.testing.assert_array_equal(found.correlation, FC)
    assert found.networks == tuple(NETWORKS)
    assert found.labels == tuple("abcdef")
    assert found.strength is not None
    assert found.length_mm is None
    assert found.name == "own.npz"


@pytest.mark.parametrize(
    "written", [[6, 6, 5, 3, 4, 0], ["default", "DEFAULT", "cont", "salventattn", "limbic", "vis"]]
)
def test_networks_may_be_numbers_or_of_any_capitals(npz: Save, written: list[object]):
    assert read_connectome(npz(networks=np.array(written))).networks == tuple(NETWORKS)


def test_a_tvb_zip_is_read_whole(tvb: Save):
    found = read_connectome(tvb())
    np.testing.assert_allclose(found.correlation, FC, rtol=1e-15)
    np.testing.assert_array_equal(found.strength, FIBRES)
    assert found.networks == tuple(NETWORKS)
    assert found.places_mm is not None
    np.testing.assert_array_equal(found.places_mm[2], [2, 4, -3])


def test_networks_of_a_zip_may_stand_in_a_file_of_their_own(tvb: Save):
    names = "".join(f"region{n} 0 0 0\n" for n in range(COUNT))
    assert read_connectome(tvb(centres=names, networks="\n".join(NETWORKS))).networks == tuple(NETWORKS)


def test_fibres_within_a_region_are_left_out(tvb: Save):
    found = read_connectome(tvb(weights=lines(FIBRES + 5 * np.eye(COUNT))))
    np.testing.assert_array_equal(found.strength, FIBRES)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"fc": None}, r"'fc' must be in the file. Got networks"),
        (
            {"networks": None},
            r"'networks' must be in the file. Got fc. Give 'networks': for each node one of Vis",
        ),
        ({"networks": np.array(NETWORKS[:5])}, r"'networks' must be of 6 to 1000 nodes. Got 5 nodes"),
        ({"networks": np.array([*NETWORKS[:5], "Visual"])}, r"Unknown network 'Visual'. Did you mean 'Vis'"),
        ({"networks": np.array([*NETWORKS[:5], 9])}, r"Unknown network '9'"),
        ({"networks": np.array(["Cont", *NETWORKS[1:]])}, r"2 or more nodes of Default. Got 1"),
        ({"networks": np.array(["Default"] * 6)}, r"1 or more nodes of Cont. Got 0"),
        ({"fc": FC[:5, :5]}, r"'correlation' must be of shape \(6, 6\), for 6 nodes. Got shape \(5, 5\)"),
        ({"fc": FC.astype(str)}, r"'fc' must be numbers. Got an array of <U"),
        ({"fc": FC + 0j}, r"'fc' must be numbers. Got an array of complex128"),
        ({"fc": 2 * FC}, r"must be 1 on its diagonal. Got 2 there"),
        ({"fc": np.ones((6, 6))}, r"must be positive definite"),
        ({"fc": np.triu(FC)}, r"must be symmetric"),
        ({"fc": np.where(FC == 1, 1, np.nan)}, r"must be finite"),
        ({"labels": np.array(["a"])}, r"'labels' must be 6, one for each node. Got 1"),
        ({"strength": -FIBRES}, r"'strength' must be 0 or more. Got -30"),
        ({"strength": FIBRES + np.eye(6)}, r"'strength' must be 0 on its diagonal"),
        ({"strength": np.triu(FIBRES)}, r"must be symmetric. .* Give the mean of both directions"),
        ({"length_mm": FIBRES[:2]}, r"'length_mm' must be of shape \(6, 6\)"),
        ({"places_mm": np.zeros((6, 2))}, r"'places_mm' must be of shape \(6, 3\)"),
        ({"fc": np.array([{}] * 6, dtype=object)}, r"must be a readable .npz"),
    ],
)
def test_what_is_wrong_in_an_npz_is_named(npz: Save, arrays: dict[str, Any], message: str):
    with pytest.raises(InvalidInputError, match=rf"In '.*own.npz': .*{message}"):
        read_connectome(npz(**arrays))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"weights": None}, r"'weights.txt' must be in the zip. Got tract_lengths.txt, centres.txt, fc.txt"),
        ({"centres": None}, r"'centres.txt' must be in the zip"),
        ({"fc": None}, r"'fc.txt' must be in the zip. Got fibres alone"),
        ({"weights": "1 2\n3\n"}, r"'weights.txt' must be square: 2 numbers a line. Got 1 in line 2"),
        ({"weights": "1 x\n3 4\n"}, r"'weights.txt' must be numbers. Got line 1: could not convert"),
        ({"weights": "0 1\n1 0\n"}, r"'strength' must be of shape \(6, 6\)"),
        ({"centres": ""}, r"'centres.txt' must be a line for each region. Got nothing"),
        (
            {"centres": "a 1 2\n"},
            r"'centres.txt' must be a name and three numbers a line. Got line 1: 'a 1 2'",
        ),
        (
            {"centres": "a 1 2 3\n"},
            r"'centres.txt' must be names that hold a network. Got 'a'. Add networks.txt",
        ),
        ({"networks": "Default\n"}, r"'networks' must be of 6 to 1000 nodes. Got 1 nodes"),
    ],
)
def test_what_is_wrong_in_a_zip_is_named(tvb: Save, texts: dict[str, Any], message: str):
    with pytest.raises(InvalidInputError, match=rf"In '.*own.zip': {message}"):
        read_connectome(tvb(**texts))


@pytest.mark.parametrize(
    ("name", "message"), [("own.zip", "must be a readable zip"), ("own.npz", "readable .npz")]
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, name: str, message: str):
    path = tmp_path / name
    path.write_bytes(b"not this")
    with pytest.raises(InvalidInputError, match=message):
        read_connectome(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("none.npz", "'connectome' must be a file that exists"),
        ("brain.mat", "Unknown connectome 'brain.mat'"),
    ],
)
def test_what_is_not_there_is_refused(text: str, message: str):
    with pytest.raises(InvalidInputError, match=message):
        read_connectome(text)
