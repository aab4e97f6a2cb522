"""The name of the annotator at the browser."""

from __future__ import annotations

from urllib.parse import quote, unquote

from fastapi import Request, Response

from triage.domain.annotation import LONGEST_NAME, clean_name
from triage.domain.errors import InvalidInput
from triage.domain.principal import Principal

COOKIE = "triage_annotator"

_MAX_AGE_S = 365 * 86_400
_OF_MODELS = "model:"


def annotator_of(request: Request) -> str:
    """The annotator's name: from the cookie, else from the key; empty if unknown."""
    name = getattr(request.state, "annotator", "") or _cleaned(unquote(request.cookies.get(COOKIE, "")))
    if name:
        return name
    principal: Principal | None = getattr(request.state, "principal", None)
    return principal.name if principal is not None and principal.key_id is not None else ""


def required_annotator(request: Request, typed: str = "") -> str:
    """The name `typed` on the page, else `annotator_of`. Raises `InvalidInput` if it is empty or a model's."""
    name = _cleaned(typed) or annotator_of(request)
    if not name:
        raise InvalidInput("Say who labels: type your name, or a name for yourself.", field="annotator")
    if name.startswith(_OF_MODELS):
        raise InvalidInput(
            f"Names that begin with {_OF_MODELS!r} are those of models: choose another.", field="annotator"
        )
    # So that the response to this request shows the name before the cookie is set.
    request.state.annotator = name
    return name


def remember_annotator(response: Response, name: str) -> None:
    """Keep the name in the browser for a year."""
    # Not "strict": the name must be known when a link from a chat opens an incident that is to be labelled blind.
    response.set_cookie(COOKIE, quote(name), max_age=_MAX_AGE_S, httponly=True, samesite="lax", path="/")


def forget_annotator(response: Response) -> None:
    """Delete the name from the browser."""
    response.delete_cookie(COOKIE, path="/")


def _cleaned(name: str) -> str:
    return clean_name(name)[:LONGEST_NAME]
