"""SAS transport files: read back by pandas, exact numbers, same bytes, and what the format cannot hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.errors import InvalidInputError
from euthymia.files.xpt import XptColumn, to_ibm, write_xpt, xpt_bytes

NUMBERS = np.array([1.0, -0.1, 0.0, np.nan, 1e-70, -7e75, 123456789.123456789, 5.0])
WORDS = ["a", "", None, "longer words", "x" * 200, "b", "c", "d"]


def columns(count: int = len(NUMBERS)) -> list[XptColumn]:
    return [
        XptColumn(name="AGE", label="Age", values=NUMBERS[:count]),
        XptColumn(name="ARM_2", label="l" * 40, values=WORDS[:count]),
    ]


def read(path: Path) -> pd.DataFrame:
    """Read as pandas does, which takes the eight zero bytes of 0 for 16^-65, the smallest number there is."""
    frame = pd.read_sas(path, format="xport", encoding="utf-8")
    assert isinstance(frame, pd.DataFrame)
    numbers = frame.select_dtypes("number").columns
    frame[numbers] = frame[numbers].mask(frame[numbers] == 16.0**-65, 0.0)
    return frame


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_pandas_reads_what_was_written(tmp_path: Path, count: int):
    path = write_xpt(tmp_path / "dm.xpt", name="DM", label="SIMULATED", columns=columns(count))
    frame = read(path)
    assert list(frame.columns) == ["AGE", "ARM_2"]
    np.testing.assert_array_equal(frame["AGE"].to_numpy(), NUMBERS[:count])
    assert [text or "" for text in frame["ARM_2"].fillna("")] == [text or "" for text in WORDS[:count]]


def test_pandas_reads_names_and_labels_of_table_and_columns(tmp_path: Path):
    path = write_xpt(tmp_path / "dm.xpt", name="DM", label="SIMULATED Demographics", columns=columns())
    with pd.read_sas(path, format="xport", encoding="utf-8", iterator=True) as reader:
        assert reader.member_info["set_name"] == "DM"  # pyright: ignore[reportAttributeAccessIssue]
        fields = reader.fields  # pyright: ignore[reportAttributeAccessIssue]
        assert [one["name"].decode().strip() for one in fields] == ["AGE", "ARM_2"]
        assert [one["label"].decode().strip() for one in fields] == ["Age", "l" * 40]
    assert b"SIMULATED Demographics" in path.read_bytes()


def test_every_record_has_80_bytes():
    assert len(xpt_bytes(name="DM", label="", columns=columns())) % 80 == 0


def test_table_without_rows_reads_as_one(tmp_path: Path):
    content = xpt_bytes(name="AE", label="", columns=columns(0))
    assert content.endswith(b"HEADER RECORD*******OBS     HEADER RECORD!!!!!!!" + b"0" * 30 + b"  ")


def test_numbers_of_the_note_have_its_bytes():
    # 1 is 1/16 * 16^1; -118.625 is the example of every description of the format
    assert to_ibm(np.array([1.0, -118.625, 0.0, np.nan])).tobytes() == bytes.fromhex(
        "4110000000000000 c276a00000000000 0000000000000000 2e00000000000000"
    )


@given(st.floats(min_value=1e-70, max_value=1e70) | st.floats(min_value=-1e70, max_value=-1e-70))
def test_doubles_survive_to_the_last_bit(value: float):
    raw = int.from_bytes(to_ibm(np.array([value])).tobytes(), "big")
    sign, exponent, fraction = raw >> 63, (raw >> 56) & 127, raw & (2**56 - 1)
    assert fraction >= 2**52, "not normalised"
    # integers and powers of two alone: exact in Python
    scaled = fraction * 16 ** (exponent - 64 + 80)
    assert (-1) ** sign * scaled / (2**56 * 16**80) == value


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e76, 1e-80])
def test_number_that_the_format_lacks_is_refused(value: float):
    with pytest.raises(InvalidInputError, match=r"from 5\.4e-79 to 7\.2e75"):
        to_ibm(np.array([1.0, value]))


def test_largest_and_smallest_numbers_fit():
    largest, smallest = np.nextafter(16.0**63, 0), 16.0**-65
    assert to_ibm(np.array([largest, smallest])).tobytes()[::8] == b"\x7f\x00"
    with pytest.raises(InvalidInputError):
        to_ibm(np.array([np.nextafter(smallest, 0)]))


@pytest.mark.parametrize(
    ("name", "label", "values", "words"),
    [
        ("TOOLONGNAME", "", ["a"], "at most 8"),
        ("lower", "", ["a"], "capitals"),
        ("A B", "", ["a"], "capitals"),
        ("A", "l" * 41, ["a"], "label of A"),
        ("A", "Größe", ["a"], "plain characters"),
        ("A", "", ["x" * 201], "at most 200 bytes"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(name: str, label: str, values: list[str], words: str):
    with pytest.raises(InvalidInputError, match=words):
        xpt_bytes(name="DM", label="", columns=[XptColumn(name=name, label=label, values=values)])


def test_letters_beyond_ascii_are_counted_in_bytes(tmp_path: Path):
    one = XptColumn(name="A", label="", values=["µg", "plain"])
    frame = read(write_xpt(tmp_path / "a.xpt", name="A", label="", columns=[one]))
    assert list(frame["A"]) == ["µg", "plain"]


@pytest.mark.parametrize("words", [["a", ""], ["", ""], ["y" * 8 + " " * 16 + "y"] * 9, ["a"] * 80])
def test_blank_rows_and_short_rows_are_not_lost(tmp_path: Path, words: list[str]):
    one = XptColumn(name="A", label="", values=words)
    frame = read(write_xpt(tmp_path / "a.xpt", name="A", label="", columns=[one]))
    assert list(frame["A"].fillna("")) == words


def test_same_table_gives_the_same_bytes():
    made = [xpt_bytes(name="DM", label="x", columns=columns()) for _ in range(2)]
    assert made[0] == made[1]
