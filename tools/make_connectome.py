"""Write ``data/connectome`` from the unpacked wheels of cubnm 0.1.0 and BrainSpace 0.3.0.

    python tools/make_connectome.py FOLDER        # holds cubnm/ and brainspace/
    python tools/make_connectome.py               # only the table of observables, from what ships

Group averages only. The names of parcels stay as they are in ``parcels.csv``; centroids and the surface are
made from the averaged surfaces, without the metadata of the files, which name participants.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from euthymia.model.connectivity import fit_table
from euthymia.tables import read_table

TARGET = Path(__file__).resolve().parent.parent / "src" / "euthymia" / "data" / "connectome"
GROUP = "hcp/{kind}/group-train706/{folder}ctx_parc-schaefer-100_desc-{what}.npz"
ARRAYS = {
    "fc": GROUP.format(kind="fc", folder="REST/", what="fc"),
    "sc_strength": GROUP.format(kind="sc", folder="", what="strength"),
    "sc_length_mm": GROUP.format(kind="sc", folder="", what="length"),
}
COARSER = 3
"""Edges of the fine mesh that one edge of the coarse mesh spans; 57 between corners is 19 times this."""
TENTHS_PER_MM = 10.0


def main(folder: Path) -> None:
    """Write every file."""
    source = folder / "cubnm" / "data"
    for name, path in ARRAYS.items():
        with np.load(source / path) as archive:
            np.save(TARGET / f"{name}.npy", np.ascontiguousarray(archive["arr_0"], dtype=float))
    codes = np.loadtxt(source / "maps" / "ctx_parc-schaefer-100_desc-yeo7.txt").astype(int)
    datasets = folder / "brainspace" / "datasets"
    labels = np.loadtxt(datasets / "parcellations" / "schaefer_100_conte69.csv").astype(int)
    meshes = [read_gifti(datasets / "surfaces" / f"conte69_32k_{side}h.gii") for side in "lr"]
    write_centroids(np.concatenate([points for points, _ in meshes]), labels, codes)
    sides = zip(("left", "right"), meshes, np.split(labels, 2), strict=True)
    document: dict[str, Any] = {"schema": "euthymia.surface/1", "unit": "tenths of a millimetre"}
    document |= {name: coarse(points, faces, own) for name, (points, faces), own in sides}
    text = json.dumps(document, separators=(",", ":"))
    (TARGET / "surface.json").write_text(text + "\n", encoding="ascii")
    write_table()


def write_table() -> None:
    """Write the table of observables, and print the digests of every file."""
    np.save(TARGET / "observables_table.npy", fit_table())
    for path in sorted(TARGET.iterdir()):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")


def read_gifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (V, 3) and triangles (F, 3) of a surface file."""
    kinds = {"NIFTI_TYPE_FLOAT32": "<f4", "NIFTI_TYPE_INT32": "<i4"}
    found = []
    for one in ElementTree.parse(path).getroot().findall("DataArray"):
        raw = base64.b64decode((one.findtext("Data") or "").strip())
        raw = zlib.decompress(raw) if one.attrib["Encoding"].startswith("GZip") else raw
        shape = int(one.attrib["Dim0"]), int(one.attrib["Dim1"])
        found.append(np.frombuffer(raw, kinds[one.attrib["DataType"]]).reshape(shape))
    return found[0].astype(float), found[1].astype(int)


def write_centroids(points: np.ndarray, labels: np.ndarray, codes: np.ndarray) -> None:
    """Set the places in ``parcels.csv``: of each parcel, its point nearest to the mean of its points."""
    rows = [dict(row) for row in read_table("connectome/parcels.csv")]
    order = [row["name"] for row in read_table("connectome/networks.csv")]
    for number, (row, code) in enumerate(zip(rows, codes, strict=True), start=1):
        if order.index(row["network"]) != code:
            message = f"Parcel {number} is of network {code} in the wheel, not {row['network']}."
            raise SystemExit(message)
        own = points[labels == number]
        centre = own[np.square(own - own.mean(axis=0)).sum(axis=1).argmin()]
        row |= {axis: f"{value:.1f}" for axis, value in zip(("x_mm", "y_mm", "z_mm"), centre, strict=True)}
    with (TARGET / "parcels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def coarse(points: np.ndarray, faces: np.ndarray, labels: np.ndarray) -> dict[str, list[int]]:
    """Return every third point of the regular mesh along each of its lines, and the triangles between them.

    The mesh is a subdivided icosahedron: all points have six neighbours but for the twelve corners with five.
    From a corner, straight lines of ``COARSER`` edges reach the next points that are kept.
    """
    rings = rings_of(faces, len(points))
    corner = next(vertex for vertex, ring in enumerate(rings) if len(ring) == 5)
    kept, waiting, triangles = {corner: 0}, [corner], set()
    for vertex in waiting:
        reached = [straight(rings, vertex, first) for first in rings[vertex]]
        for one in reached:
            if one not in kept:
                kept[one] = len(kept)
                waiting.append(one)
        for one, other in zip(reached, [*reached[1:], reached[0]], strict=True):
            turned = [kept[vertex], kept[one], kept[other]]
            least = turned.index(min(turned))
            triangles.add(tuple(turned[least:] + turned[:least]))
    chosen = list(kept)
    return {
        "points": np.rint(points[chosen] * TENTHS_PER_MM).astype(int).ravel().tolist(),
        "triangles": np.array(sorted(triangles)).ravel().tolist(),
        "labels": labels[chosen].tolist(),
    }


def rings_of(faces: np.ndarray, count: int) -> list[list[int]]:
    """Return the neighbours of every point in the order in which triangles turn round it."""
    following: list[dict[int, int]] = [{} for _ in range(count)]
    for a, b, c in faces.tolist():
        following[a][b], following[b][c], following[c][a] = c, a, b
    rings = []
    for after in following:
        ring = [next(iter(after))]
        while len(ring) < len(after):
            ring.append(after[ring[-1]])
        rings.append(ring)
    return rings


def straight(rings: list[list[int]], start: int, first: int) -> int:
    """Return the point reached from one by ``COARSER`` edges in a straight line."""
    before, now = start, first
    for _ in range(COARSER - 1):
        ring = rings[now]
        before, now = now, ring[(ring.index(before) + 3) % 6]
    return now


if __name__ == "__main__":
    main(Path(sys.argv[1])) if len(sys.argv) > 1 else write_table()
