"""SAS transport files, version 5 (XPT), the form in which tables of trials are submitted.

The layout is that of SAS technical support note TS-140: records of 80 bytes, numbers as IBM doubles, names of
at most 8 characters and labels of at most 40. The dates in the headers are those of the epoch, so that the
same table gives the same bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid
from euthymia.files.writing import write_whole

LONGEST_NAME, LONGEST_LABEL, LONGEST_TEXT = 8, 40, 200
_RECORD, _NAMESTR, _NUMBER = 80, 140, 8
_EPOCH = b"01JAN60:00:00:00"
_SAS = b"SAS     "
_VERSION_AND_SYSTEM = b"6.06    " + b"any     "
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class XptColumn:
    """One variable of a transport file.

    Parameters
    ----------
    name : str
        Capitals, digits and underscores, at most 8.
    label : str
        At most 40 characters.
    values : array (N,) of float, or sequence (N) of str or None
        A missing number is NaN; a missing text is None or empty, which the format cannot tell apart.
    """

    name: str
    label: str
    values: NDArray[np.float64] | Sequence[str | None]

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return isinstance(self.values, np.ndarray)


def write_xpt(path: Path, *, name: str, label: str, columns: Sequence[XptColumn]) -> Path:
    """Write one table as a transport file, whole or not at all; see `xpt_bytes`."""
    content = xpt_bytes(name=name, label=label, columns=columns)
    write_whole(path, lambda target: target.write_bytes(content))
    return path


def xpt_bytes(*, name: str, label: str, columns: Sequence[XptColumn]) -> bytes:
    """Return a table as the bytes of a transport file of version 5.

    Parameters
    ----------
    name : str
        Of the table.
    label : str
    columns : sequence of XptColumn
        All of one length.

    Raises
    ------
    InvalidInputError
        A name, label or text is too long, or a number is beyond an IBM double.

    Notes
    -----
    Text is written as UTF-8 and counted in bytes; plain ASCII stays what it is. The format does not say how
    many rows there are, and files are filled up with blanks: rows of text are made longer than a record, so
    that what follows the last cannot be taken for one.
    """
    for kind, one, most in (("name", name, LONGEST_NAME), ("label", label, LONGEST_LABEL)):
        _check_length(f"{kind} of the table", one, most)
    cells = _lengthened([_cells(column) for column in columns], columns)
    return b"".join(
        (
            _library_header(),
            _member_header(name, label),
            _descriptions(columns, [one.dtype.itemsize for one in cells]),
            _header("OBS", ""),
            _padded(_rows(cells)),
        )
    )


def to_ibm(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return numbers as IBM doubles, (N, 8) bytes, most significant first; NaN is the missing value of SAS.

    value = (-1)^sign * fraction * 16^(exponent - 64),  1/16 <= fraction < 1, 56 bits

    Every double of 53 bits fits exactly.

    Raises
    ------
    InvalidInputError
        A number is infinite, or beyond 5.4e-79 to 7.2e75 in size.

    Examples
    --------
    >>> to_ibm(np.array([1.0, -118.625])).tolist()[1]
    [194, 118, 160, 0, 0, 0, 0, 0]
    """
    is_missing = np.isnan(values)
    known = np.where(is_missing, 0.0, values)
    fraction, twos = np.frexp(known)
    sixteens = -(-twos // 4)
    outside = ~np.isfinite(known) | (known != 0) & ((sixteens < -64) | (sixteens > 63))
    if outside.any():
        raise invalid("value", must="finite, from 5.4e-79 to 7.2e75 (XPT)", got=known[outside][0])
    mantissa = np.ldexp(np.abs(fraction), 56 + twos - 4 * sixteens).astype(np.uint64)
    head = np.where(known == 0, 0, sixteens + 64 + 128 * (known < 0)).astype(np.uint64)
    found = ((head << np.uint64(56)) | mantissa).astype(">u8").view(np.uint8).reshape(-1, 8)
    found[is_missing] = [ord("."), 0, 0, 0, 0, 0, 0, 0]
    return found


def _cells(column: XptColumn) -> NDArray[np.void]:
    """Return a column as cells of one width, in bytes."""
    if not _NAME.fullmatch(column.name):
        raise invalid("name of a column", must="capitals, digits and underscores (XPT)", got=column.name)
    _check_length("name of a column", column.name, LONGEST_NAME)
    _check_length(f"label of {column.name}", column.label, LONGEST_LABEL)
    if isinstance(column.values, np.ndarray):
        return to_ibm(np.asarray(column.values, np.float64)).view("V8").ravel()
    texts = [(text or "").encode() for text in column.values]
    width = max(1, *map(len, texts)) if texts else 1
    if width > LONGEST_TEXT:
        raise invalid(column.name, must=f"at most {LONGEST_TEXT} bytes a text (XPT)", got=width)
    return np.frombuffer(b"".join(text.ljust(width) for text in texts), dtype=f"V{width}")


def _rows(cells: Sequence[NDArray[np.void]]) -> bytes:
    """Return the rows of a table, cell beside cell."""
    if not cells or not len(cells[0]):
        return b""
    return np.concatenate([one.view(np.uint8).reshape(len(one), -1) for one in cells], axis=1).tobytes()


def _lengthened(
    cells: Sequence[NDArray[np.void]], columns: Sequence[XptColumn]
) -> Sequence[NDArray[np.void]]:
    """Return cells with the first text widened so that a row is longer than a record."""
    lacking = _RECORD + 1 - sum(one.dtype.itemsize for one in cells)
    place = next((place for place, one in enumerate(columns) if not one.is_number), None)
    if lacking <= 0 or place is None:
        return cells
    width = cells[place].dtype.itemsize + lacking
    wide = np.frombuffer(b"".join(bytes(one).ljust(width) for one in cells[place]), dtype=f"V{width}")
    return [*cells[:place], wide, *cells[place + 1 :]]


def _header(kind: str, numbers: str) -> bytes:
    return f"HEADER RECORD*******{kind:<8}HEADER RECORD!!!!!!!{numbers:0<30}  ".encode("ascii")


def _library_header() -> bytes:
    return (
        _header("LIBRARY", "")
        + _SAS * 2
        + b"SASLIB  "
        + _VERSION_AND_SYSTEM
        + b" " * 24
        + _EPOCH
        + _EPOCH.ljust(_RECORD)
    )


def _member_header(name: str, label: str) -> bytes:
    return (
        _header("MEMBER", f"{'0' * 17}16{'0' * 8}{_NAMESTR}")
        + _header("DSCRPTR", "")
        + _SAS
        + name.encode("ascii").ljust(8)
        + b"SASDATA "
        + _VERSION_AND_SYSTEM
        + b" " * 24
        + _EPOCH
        + _EPOCH
        + b" " * 16
        + label.encode("ascii").ljust(LONGEST_LABEL)
        + b" " * 8
    )


def _descriptions(columns: Sequence[XptColumn], widths: Sequence[int]) -> bytes:
    """Return the header that counts the variables, and 140 bytes on each."""
    starts = [sum(widths[:place]) for place in range(len(widths))]
    each = [
        _description(column, number, width, start)
        for number, (column, width, start) in enumerate(zip(columns, widths, starts, strict=True), start=1)
    ]
    return _header("NAMESTR", f"000000{len(columns):04d}") + _padded(b"".join(each))


def _description(column: XptColumn, number: int, width: int, start: int) -> bytes:
    kind = 1 if column.is_number else 2
    name, label = column.name.encode("ascii").ljust(8), column.label.encode("ascii").ljust(LONGEST_LABEL)
    no_format = b" " * 8 + struct.pack(">hhhh", 0, 0, 0, 0)
    no_informat = b" " * 8 + struct.pack(">hh", 0, 0)
    what = struct.pack(">hhhh", kind, 0, width, number) + name + label
    return (what + no_format + no_informat + struct.pack(">l", start)).ljust(_NAMESTR, b"\0")


def _padded(content: bytes) -> bytes:
    return content + b" " * (-len(content) % _RECORD)


def _check_length(field: str, text: str, most: int) -> None:
    if not text.isascii() or len(text) > most:
        raise invalid(field, must=f"at most {most} plain characters (XPT)", got=repr(text))
