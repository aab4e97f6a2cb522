"""The sign-in page, and signing out. A service without keys needs neither."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Query, Request, Response

from triage.domain.principal import TooManyRequests, Unauthenticated
from triage.server.api.authentication import SESSION_COOKIE
from triage.server.api.service import Parts
from triage.server.web.rendering import forget_annotator, go_to, own_path, page_router, show
from triage.store.keys import LASTS

router = page_router()

_REASONS = {
    "invalid": "Your session is over: give your key again.",
    "expired": "Your key has expired: ask for a new one.",
}


@router.get("/login")
async def login(
    request: Request,
    service: Parts,
    next_path: Annotated[str, Query(alias="next")] = "/",
    reason: str = "",
) -> Response:
    """Ask for a key."""
    if not service.authenticator.is_on:
        return go_to(request, own_path(next_path))
    return show(request, "login.html", next_path=own_path(next_path), failure=_REASONS.get(reason, ""))


@router.post("/login")
async def sign_in(
    request: Request,
    service: Parts,
    key: Annotated[str, Form(max_length=500)],
    next_path: Annotated[str, Form(alias="next")] = "/",
) -> Response:
    """Start a session and continue to the requested page."""
    if not service.authenticator.is_on:
        return go_to(request, own_path(next_path))
    try:
        token = await service.authenticator.begin_session(request, key.strip())
    except (Unauthenticated, TooManyRequests) as error:
        failure = error.detail if key.strip() else "Give a key."
        return show(request, "login.html", status=error.status, next_path=own_path(next_path), failure=failure)
    response = go_to(request, own_path(next_path))
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(LASTS.total_seconds()),
        httponly=True,
        # Not "strict", so that links in chats open signed in. Changes are also checked for their origin, see
        # `triage/server/api/guard.py`.
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )
    return response


@router.post("/logout")
async def sign_out(request: Request, service: Parts) -> Response:
    """End the session of this browser, and forget its annotator."""
    await service.authenticator.end_session(request.cookies.get(SESSION_COOKIE, ""))
    response = go_to(request, "/login")
    response.delete_cookie(SESSION_COOKIE, path="/")
    forget_annotator(response)
    return response
