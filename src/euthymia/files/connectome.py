"""One's own connectome, from an .npz file or a zip as The Virtual Brain exports it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError, invalid
from euthymia.model.connectome import MOST_NODES, NAMES, Connectome, load_connectome, network_names

Array = NDArray[np.float64]

SUFFIXES = (".npz", ".zip")
ARRAYS = ("fc", "networks", "labels", "strength", "length_mm", "places_mm")
"""What an .npz may hold; the first two it must."""
MOST_BYTES = 64_000_000
_CURE = f"Give 'networks': for each node one of {', '.join(network_names())}."


def read_connectome(text: str) -> Connectome:
    """Return a connectome by its name, or from a file.

    Parameters
    ----------
    text : str
        ``schaefer-100``, ``synthetic``, or the path of an ``.npz`` or ``.zip``.

    Raises
    ------
    InvalidInputError
        Names the file, the array, what must hold of it and what was given.
    """
    if text in NAMES:
        return load_connectome(text)
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES:
        return load_connectome(text)  # which says what is known
    if not path.is_file():
        raise invalid("connectome", must="a file that exists", got=repr(text))
    if path.stat().st_size > MOST_BYTES:
        raise invalid("connectome", must=f"at most {MOST_BYTES:,} bytes", got=f"{path.stat().st_size:,}")
    try:
        return read_npz(path) if path.suffix.lower() == ".npz" else read_tvb(path)
    except InvalidInputError as error:
        message = f"In {str(path)!r}: {error}"
        raise InvalidInputError(message) from None


def read_npz(path: Path) -> Connectome:
    """Return a connectome from an .npz with ``fc`` (N, N) and ``networks`` (N,).

    ``networks`` are names or whole numbers 0 to 6 in their order. ``labels`` (N,), ``strength`` and
    ``length_mm`` (N, N) and ``places_mm`` (N, 3) may be there as well.
    """
    arrays = _arrays(path)
    for name in ("fc", "networks"):
        if name not in arrays:
            got = f"{', '.join(arrays) or 'nothing'}"
            raise invalid(name, must="in the file", got=got, cure=_CURE if name == "networks" else "")
    networks = _networks(arrays["networks"].ravel().tolist())
    labels = [str(one) for one in arrays["labels"].ravel().tolist()] if "labels" in arrays else None
    return Connectome.create(
        name=path.name,
        networks=networks,
        correlation=_numbers("fc", arrays["fc"]),
        labels=labels,
        strength=_optional(arrays, "strength"),
        length_mm=_optional(arrays, "length_mm"),
        places_mm=_optional(arrays, "places_mm"),
        note=_own(path),
    )


def read_tvb(path: Path) -> Connectome:
    """Return a connectome from a zip with ``weights.txt``, ``centres.txt`` and ``tract_lengths.txt``.

    Lines of ``centres.txt`` are a name and three places. Networks stand in ``networks.txt``, a name a line,
    or within the names of regions, as in ``7Networks_LH_Default_PFC_1``. Correlations stand in ``fc.txt``:
    fibres alone give none that hold a default mode network, so that without it nothing is made up.
    """
    texts = _texts(path)
    for name in ("weights", "centres", "tract_lengths"):
        if name not in texts:
            missing, got = f"{name}.txt", ", ".join(f"{one}.txt" for one in texts) or "no text files"
            raise invalid(missing, must="in the zip", got=got)
    labels, places = _centres(texts["centres"])
    if "fc" not in texts:
        cure = "Correlations of a scan, a line for each region; fibres alone give no default mode network."
        raise invalid("fc.txt", must="in the zip", got="fibres alone", cure=cure)
    written = texts["networks"].split() if "networks" in texts else [_network_in(name) for name in labels]
    return Connectome.create(
        name=path.name,
        networks=_networks(written),
        correlation=_matrix("fc.txt", texts["fc"]),
        labels=labels,
        strength=_without_diagonal(_matrix("weights.txt", texts["weights"])),
        length_mm=_without_diagonal(_matrix("tract_lengths.txt", texts["tract_lengths"])),
        places_mm=places,
        note=_own(path),
    )


def _own(path: Path) -> str:
    return f"Read from {path.name}; its terms and its quality are those of its source."


def _arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise invalid("connectome", must="an .npz of several arrays", got="a single array")
            return {name: archive[name] for name in ARRAYS if name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InvalidInputError):
            raise
        cure = "Arrays of objects are not read; save numbers and strings."
        raise invalid("connectome", must="a readable .npz", got=str(error).split(".")[0], cure=cure) from None


def _texts(path: Path) -> dict[str, str]:
    """Return the text files of a zip by their stems, wherever in it they lie."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {}
            for one in archive.infolist():
                name = Path(one.filename)
                if name.suffix.lower() != ".txt" or name.name.startswith("."):
                    continue
                if one.file_size > MOST_BYTES:
                    raise invalid(name.name, must=f"at most {MOST_BYTES:,} bytes", got=f"{one.file_size:,}")
                found[name.stem.lower()] = archive.read(one).decode("utf-8-sig")
            return found
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise invalid("connectome", must="a readable zip", got=str(error)) from None
    except UnicodeDecodeError:
        raise invalid("connectome", must="a zip of UTF-8 text files", got="other bytes") from None


def _centres(text: str) -> tuple[list[str], Array]:
    labels, places = [], []
    for number, line in enumerate(filter(str.strip, text.splitlines()), start=1):
        cells = line.replace(",", " ").split()
        if len(cells) != 4:
            raise invalid(
                "centres.txt", must="a name and three numbers a line", got=f"line {number}: {line!r}"
            )
        labels.append(cells[0])
        places.append(_row("centres.txt", number, cells[1:]))
    if not labels:
        raise invalid("centres.txt", must="a line for each region", got="nothing")
    return labels, np.array(places)


def _matrix(name: str, text: str) -> Array:
    lines = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_NODES:
        raise invalid(name, must=f"of {MOST_NODES} lines at most", got=len(lines))
    for number, cells in enumerate(lines, start=1):
        if len(cells) != len(lines):
            raise invalid(
                name, must=f"square: {len(lines)} numbers a line", got=f"{len(cells)} in line {number}"
            )
    return np.array([_row(name, number, cells) for number, cells in enumerate(lines, start=1)])


def _row(name: str, number: int, cells: Sequence[str]) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        raise invalid(name, must="numbers", got=f"line {number}: {error}") from None


def _network_in(label: str) -> str:
    for name in network_names():
        if name.lower() in label.lower().split("_"):
            return name
    cure = f"Add networks.txt, a line for each region. {_CURE}"
    raise invalid("centres.txt", must="names that hold a network", got=repr(label), cure=cure)


def _networks(written: Sequence[object]) -> list[str]:
    names = network_names()
    found = []
    for one in written:
        text = str(one).strip()
        is_code = text.isdigit() and int(text) < len(names)
        found.append(names[int(text)] if is_code else _spelt(text))
    return found


def _spelt(text: str) -> str:
    """Return a network whatever its capitals; what is unknown stays, and is refused by name."""
    return {name.lower(): name for name in network_names()}.get(text.lower(), text)


def _numbers(name: str, array: NDArray[np.generic]) -> Array:
    if array.dtype.kind not in "fiu":
        raise invalid(name, must="numbers", got=f"an array of {array.dtype}")
    return array.astype(float)


def _optional(arrays: Mapping[str, NDArray[np.generic]], name: str) -> Array | None:
    return _numbers(name, arrays[name]) if name in arrays else None


def _without_diagonal(matrix: Array) -> Array:
    """Return fibres between different regions; exports may hold those within."""
    return matrix * (1.0 - np.eye(len(matrix)))
