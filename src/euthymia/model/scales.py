"""Rating scales as data: structure, scoring and definitions of outcome; no wording of any item."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from euthymia.errors import unknown
from euthymia.mechanism.symptoms.scales import Map
from euthymia.tables import list_files, read_text

LATENT = {
    "mood": ("severity_fraction", "severity_fraction"),
    "ideation": ("suicidal_ideation_fraction", "ideation_fraction"),
}
"""Observable that scales of a kind map, and what their knots are called in the files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Remission:
    """A cut-off at or below which a definition speaks of remission."""

    label: str
    at_most_points: float
    status: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """A scale of mood or ideation: how it is scored, what it sees, what counts as response and remission.

    ``latent`` is the observable that it maps.
    """

    name: str
    full_name: str
    variable: str
    latent: str
    rater: str
    item_count: int
    map: Map
    map_status: str
    response_fraction: float
    remissions: tuple[Remission, ...]
    bands: tuple[tuple[str, float, float], ...]

    @property
    def minimum_points(self) -> float:
        """Smallest total."""
        return self.map.minimum_points


@cache
def scales() -> Mapping[str, Scale]:
    """Return every scale of mood by its name, MADRS first, then those of ideation."""
    read = [tomllib.loads(read_text(path)) for path in list_files("scales", ".toml")]
    found = [_scale(one) for one in read if one["kind"] in LATENT]
    latent = tuple(variable for variable, _ in LATENT.values())

    def place(one: Scale) -> tuple[int, bool, str]:
        return latent.index(one.latent), one.name != "MADRS", one.name

    return {one.name: one for one in sorted(found, key=place)}


def find_scale(name: str) -> Scale:
    """Return a scale by its name, whatever its capitals, hyphens and underscores.

    Raises
    ------
    UnknownNameError
        With the nearest names.

    Examples
    --------
    >>> find_scale("phq9").name, find_scale("ham-d17").map.maximum_points
    ('PHQ-9', 52.0)
    """
    table = {_plain(one): one for one in scales()}
    table |= {_plain(scale.variable.removesuffix("_points")): one for one, scale in scales().items()}
    if _plain(name) not in table:
        raise unknown("scale", name, scales())
    return scales()[table[_plain(name)]]


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def _scale(one: Mapping[str, Any]) -> Scale:
    anchors = one["anchors"]
    latent, knots = LATENT[one["kind"]]
    return Scale(
        name=one["id"],
        full_name=one["full_name"],
        variable=one["variable"],
        latent=latent,
        rater=one["rater"],
        item_count=one["item_count"],
        map=Map(
            latent_fraction=np.array(anchors[knots], float),
            points=np.array(anchors["points"], float),
            noise_sd_points=float(one["rating_noise"]["sd_points"]),
            minimum_points=float(one["minimum"]),
            maximum_points=float(one["maximum"]),
        ),
        map_status=anchors["status"],
        response_fraction=float(one["response"]["fraction"]),
        remissions=tuple(
            Remission(
                label=cut["label"],
                at_most_points=float(cut["at_most"]),
                status=cut["status"],
                source=cut["source"],
            )
            for cut in one.get("remission", ())
        ),
        bands=tuple(
            (band["label"], float(band["from"]), float(band["to"])) for band in one["severity_bands"]
        ),
    )
