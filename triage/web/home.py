"""The first page: give a write-up, and have it triaged."""

from __future__ import annotations

from fastapi import Request, Response

from triage.api.access import requires
from triage.web.rendering import page_router, show

router = page_router()


@router.get("/", dependencies=[requires("read")])
async def home(request: Request) -> Response:
    """Show the form for a write-up."""
    return show(request, "home.html")
