"""How a page stands in the navigation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """Where a page is, what it is called, and its place in the navigation; pages share none."""

    path: str
    title: str
    place: int
