"""MkDocs hook: turns $...$ and $$...$$ into MathML, which browsers draw without fetching anything."""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert

_BLOCK = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
_INLINE = re.compile(r"(?<![\\$\w])\$([^$\n]+?)\$(?!\w)")
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the page with its equations as MathML; code is left alone."""
    parts = _CODE.split(markdown)
    return "".join(part if place % 2 else _convert(part) for place, part in enumerate(parts))


def _convert(text: str) -> str:
    text = _BLOCK.sub(lambda found: f"\n\n{convert(found[1].strip(), display='block')}\n\n", text)
    return _INLINE.sub(lambda found: convert(found[1].strip()), text)
