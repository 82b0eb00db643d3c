"""Reads a figure back out of the HTML that draws it."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np


def drawn(html: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the traces and the layout of the first figure in a piece of HTML, arrays decoded."""
    found = figures(html)
    return found[0]


def figures(html: str) -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Return traces and layout of every figure in a piece of HTML."""
    decoder, found = json.JSONDecoder(), []
    for part in html.split("Plotly.newPlot(")[1:]:
        start = part.find("[{") if "[{" in part[:400] else part.index("[")
        traces, end = decoder.raw_decode(part, start)
        layout, _ = decoder.raw_decode(part, part.index("{", end))
        found.append((_decoded(traces), _decoded(layout)))
    return found


def _decoded(value: Any) -> Any:
    if isinstance(value, dict) and "bdata" in value:
        flat = np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
        shape = [int(one) for one in str(value["shape"]).split(",")] if "shape" in value else [-1]
        return flat.reshape(shape)
    if isinstance(value, dict):
        return {key: _decoded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    return value
