"""Signing in with a key, and out again. A service without keys has nothing to sign in to."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Query, Request, Response

from triage.domain.principal import TooManyRequests, Unauthenticated
from triage.server.api.authentication import SESSION_COOKIE
from triage.server.api.service import Parts
from triage.server.web.annotator import forget_annotator
from triage.server.web.rendering import go_to, ours, page_router, show
from triage.store.sessions import LASTS

router = page_router()

_WHY = {
    "invalid": "Your session is over: give your key again.",
    "expired": "Your key has expired: ask for a new one.",
}


@router.get("/login")
async def login(
    request: Request,
    service: Parts,
    wanted: Annotated[str, Query(alias="next")] = "/",
    reason: str = "",
) -> Response:
    """Ask for a key."""
    if not service.authenticator.is_on:
        return go_to(request, ours(wanted))
    return show(request, "login.html", wanted=ours(wanted), failure=_WHY.get(reason, ""))


@router.post("/login")
async def sign_in(
    request: Request,
    service: Parts,
    key: Annotated[str, Form(max_length=500)],
    wanted: Annotated[str, Form(alias="next")] = "/",
) -> Response:
    """Begin a session, and go on to the page that was wanted."""
    if not service.authenticator.is_on:
        return go_to(request, ours(wanted))
    try:
        token = await service.authenticator.begin_session(request, key.strip())
    except (Unauthenticated, TooManyRequests) as error:
        failure = error.detail if key.strip() else "Give a key."
        return show(request, "login.html", status=error.status, wanted=ours(wanted), failure=failure)
    response = go_to(request, ours(wanted))
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(LASTS.total_seconds()),
        httponly=True,
        # Not "strict": who follows a link in a chat to an incident is signed in there. What changes something is also
        # checked for where it comes from, see `triage/server/api/guarding.py`.
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )
    return response


@router.post("/logout")
async def sign_out(request: Request, service: Parts) -> Response:
    """End the session of this browser, and forget who labelled in it."""
    await service.authenticator.end_session(request.cookies.get(SESSION_COOKIE, ""))
    response = go_to(request, "/login")
    response.delete_cookie(SESSION_COOKIE, path="/")
    forget_annotator(response)
    return response
