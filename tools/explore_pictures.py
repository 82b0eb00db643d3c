"""Take the pictures of ``docs/explore.md``: every chapter of the story and the other pages.

Starts the server itself and needs Chromium. After a change of the page: python tools/explore_pictures.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(__file__).parents[1] / "docs" / "images" / "explore"
WIDE, PHONE = {"width": 1160, "height": 900}, {"width": 390, "height": 844}
DARK = ("network", "session", "therapy")
PAGES = (
    ("page-session", "/session", "light", WIDE, 0, 1750),
    ("page-session-phone", "/session?route=nasal&dose=84", "light", PHONE, 480, 1500),
    ("page-routes", "/routes", "light", WIDE, 0, 1680),
    ("page-trials", "/trials", "light", WIDE, 0, 1250),
    ("page-trial", "/trials/fava-2018", "dark", WIDE, 0, 1450),
    ("page-lab", "/lab", "light", WIDE, 0, 1800),
)
"""Name, address, scheme, size, and from where to how many pixels down."""
LARGEST_BYTES, COLOURS = 200_000, 128


def main() -> int:
    """Write every picture; return 1 if one is too large."""
    program = Path(sys.executable).parent / "euthymia"
    command = [str(program), "explore", "--port", "0", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+", server.stdout.readline())[0]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            _take(browser, address)
            take_pages(browser, address)
    finally:
        server.terminate()
        server.wait()
    for one in FOLDER.iterdir():
        Image.open(one).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(one, optimize=True)
    large = [one.name for one in FOLDER.iterdir() if one.stat().st_size > LARGEST_BYTES]
    print(f"{len(list(FOLDER.iterdir()))} pictures. Too large: {', '.join(large) or 'none'}.")
    return 1 if large else 0


def _take(browser: Browser, address: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for scheme, size in (("light", WIDE), ("dark", WIDE), ("light", PHONE)):
        page = browser.new_page(color_scheme=scheme, viewport=size)
        page.goto(address, wait_until="networkidle")
        page.locator("html[data-settled=true]").wait_for(state="attached")
        ending = "-phone" if size is PHONE else "-dark" if scheme == "dark" else ""
        if scheme == "light":
            page.screenshot(path=FOLDER / f"top{ending}.png")
        page.evaluate("document.getElementById('bar').remove()")
        for section in page.locator("section.chapter[id]").all():
            name = section.get_attribute("id")
            if not ending or (ending == "-dark" and name in DARK) or (size is PHONE and name == "surge"):
                section.scroll_into_view_if_needed()
                page.wait_for_timeout(400)  # the brain is drawn after its mesh has come
                section.screenshot(path=FOLDER / f"{name}{ending}.png")
        page.close()


def take_pages(browser: Browser, address: str) -> None:
    """Write a picture of each page beside the story."""
    for name, path, scheme, size, top, height in PAGES:
        page = browser.new_page(color_scheme=scheme, viewport=size)
        page.goto(f"{address.rstrip('/')}{path}", wait_until="networkidle")
        inside = {"x": 0, "y": top, "width": size["width"], "height": height}
        page.screenshot(path=FOLDER / f"{name}.png", full_page=True, clip=inside)
        page.close()


if __name__ == "__main__":
    sys.exit(main())
