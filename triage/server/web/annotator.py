"""The name of the annotator at the browser."""

from __future__ import annotations

from urllib.parse import quote, unquote

from fastapi import Request, Response

from triage.domain.annotation import LONGEST_NAME, clean_name
from triage.domain.principal import Principal

COOKIE = "triage_annotator"

_MAX_AGE_S = 365 * 86_400


def annotator_of(request: Request) -> str:
    """The annotator's name: from the cookie, else from the key; empty if unknown."""
    name = getattr(request.state, "annotator", "") or cleaned_name(unquote(request.cookies.get(COOKIE, "")))
    if name:
        return name
    principal: Principal | None = getattr(request.state, "principal", None)
    return principal.name if principal is not None and principal.key_id is not None else ""


def remember_annotator(response: Response, name: str) -> None:
    """Keep the name in the browser for a year."""
    # Not "strict": the name must be known when a link from a chat opens an incident that is to be labelled blind.
    response.set_cookie(COOKIE, quote(name), max_age=_MAX_AGE_S, httponly=True, samesite="lax", path="/")


def forget_annotator(response: Response) -> None:
    """Delete the name from the browser."""
    response.delete_cookie(COOKIE, path="/")


def cleaned_name(name: str) -> str:
    """The name on one line, without invisible characters, and not too long."""
    return clean_name(name)[:LONGEST_NAME]
