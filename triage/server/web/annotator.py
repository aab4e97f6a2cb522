"""Who labels on the pages: the name that a browser was given, else the name of its key."""

from __future__ import annotations

from urllib.parse import quote, unquote

from fastapi import Request, Response

from triage.domain.annotation import LONGEST_NAME, clean_name
from triage.domain.errors import InvalidInput
from triage.domain.principal import Principal

COOKIE = "triage_annotator"

_LASTS_S = 365 * 86_400
_OF_MODELS = "model:"


def annotator_of(request: Request) -> str:
    """The annotator's name; empty where none is known, and the page has to ask for it."""
    given = getattr(request.state, "annotator", "") or _cleaned(unquote(request.cookies.get(COOKIE, "")))
    if given:
        return given
    who: Principal | None = getattr(request.state, "principal", None)
    return who.name if who is not None and who.key_id is not None else ""


def required_annotator(request: Request, given: str = "") -> str:
    """The name `given` on the page, else `annotator_of`. Raises `InvalidInput` for none, and for one of a model."""
    name = _cleaned(given) or annotator_of(request)
    if not name:
        raise InvalidInput("Say who labels: type your name, or a name for yourself.", field="annotator")
    if name.startswith(_OF_MODELS):
        raise InvalidInput(
            f"Names that begin with {_OF_MODELS!r} are those of models: choose another.", field="annotator"
        )
    # The answer to this request knows it too, before the browser does.
    request.state.annotator = name
    return name


def remember_annotator(response: Response, name: str) -> None:
    """Keep the name in the browser for a year."""
    # Not "strict": who follows a link in a chat to an incident that is theirs to label blind is known there too.
    response.set_cookie(COOKIE, quote(name), max_age=_LASTS_S, httponly=True, samesite="lax", path="/")


def forget_annotator(response: Response) -> None:
    """Take the name out of the browser."""
    response.delete_cookie(COOKIE, path="/")


def _cleaned(name: str) -> str:
    return clean_name(name)[:LONGEST_NAME]
