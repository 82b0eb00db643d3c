"""The story: how ketamine therapy works, in twelve chapters, one patient running through them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from euthymia.web.link import Link
from euthymia.web.render import render

LINK = Link(path="/", title="The story", place=0)
router = APIRouter()


@router.get("/", include_in_schema=False)
def page(request: Request) -> HTMLResponse:
    """Return the page."""
    return render(request, "story.html")
