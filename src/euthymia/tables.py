"""Reads the tables that ship in ``euthymia/data``; below the evidence level nobody else opens a file."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from io import StringIO

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import RunFailedError

Row = dict[str, str]


@cache
def read_text(path: str) -> str:
    """Return the text of a shipped data file.

    Parameters
    ----------
    path : str
        Path below ``euthymia/data``, with forward slashes: ``"parameters/pk.csv"``.
    """
    file = resources.files("euthymia").joinpath("data", *path.split("/"))
    if not file.is_file():
        message = f"The data file 'data/{path}' is missing from this installation. Install Euthymia again."
        raise RunFailedError(message)
    return file.read_text(encoding="utf-8")


@cache
def read_array(path: str) -> NDArray[np.float64]:
    """Return a shipped array (``.npy``); read-only."""
    with resources.files("euthymia").joinpath("data", *path.split("/")).open("rb") as file:
        array = np.load(file, allow_pickle=False)
    array.flags.writeable = False
    return array


@cache
def read_table(path: str) -> tuple[Row, ...]:
    """Return the rows of a shipped CSV table as dictionaries of stripped strings.

    Lines that start with ``#`` are comments. Do not change the rows: they are shared.
    """
    lines = (line for line in StringIO(read_text(path)) if not line.startswith("#"))
    return tuple({key: (value or "").strip() for key, value in row.items()} for row in csv.DictReader(lines))


def list_files(folder: str, suffix: str) -> tuple[str, ...]:
    """Return the shipped files of a folder below ``euthymia/data`` that end in a suffix, sorted."""
    root = resources.files("euthymia").joinpath("data", *folder.split("/"))
    return tuple(sorted(f"{folder}/{file.name}" for file in root.iterdir() if file.name.endswith(suffix)))


def number(row: Row, column: str) -> float | None:
    """Return a cell as a number, or None where it is empty."""
    text = row[column]
    return float(text) if text else None
