"""Asks axe-core what on a page keeps people out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

LIBRARY = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
GRAVE = ("serious", "critical")


def serious(page: Page) -> list[str]:
    """Return what axe-core calls serious or critical, each with the first element it is found on."""
    page.evaluate(LIBRARY.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:160]}"
        for one in found["violations"]
        if one["impact"] in GRAVE
    ]
