"""Entity tags (RFC 9110): unchanged answers are not sent again, and stale changes are refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from triage.domain.annotation import Annotation
from triage.domain.errors import InvalidInput
from triage.server.api.answers import Annotations
from triage.store import Labelled

_ETAG = {
    "ETag": {
        "description": "Changes with the content: send it in `If-None-Match`.",
        "required": True,
        "schema": {"type": "string", "examples": ['"6f1ed002ab5595859014ebf0951522d9"']},
    }
}
TAGGED: dict[int | str, dict[str, Any]] = {
    200: {"headers": _ETAG},
    304: {"description": "Not changed: `If-None-Match` names the current ETag.", "headers": _ETAG},
}

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LABELLED = re.compile(r'"(\d{1,9})-(\d{1,18})"')


def _document_if_none_match(
    if_none_match: Annotated[
        str | None, Header(max_length=4000, description="ETags: 304 without a body if one of them is current.")
    ] = None,
) -> None:
    """`tagged` reads the header; this adds it to the description."""


CONDITIONAL = Depends(_document_if_none_match)
"""A dependency of endpoints that answer with `tagged`."""


def _expected(
    if_match: Annotated[
        str | None,
        Header(max_length=200, description="The `ETag` of the incident's annotations: 412 if they changed since."),
    ] = None,
) -> Labelled | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _LABELLED.fullmatch(if_match.strip())
    if found is None:
        raise InvalidInput("is not an ETag of annotations: send the one of their GET, in quotes.", field="If-Match")
    return Labelled(int(found[1]), int(found[2]))


ExpectedAnnotations = Annotated[Labelled | None, Depends(_expected)]
"""The state of the annotations in `If-Match`; None for any. Raises `InvalidInput`."""


def tagged(
    request: Request,
    content: BaseModel | str,
    headers: Mapping[str, str] | None = None,
    *,
    media_type: str = "application/json",
    tag: str = "",
) -> Response:
    """The content with a strong entity tag, by default of its bytes; 304 if the client has it already."""
    document = content if isinstance(content, str) else content.model_dump_json()
    tag = tag or hashlib.sha256(document.encode()).hexdigest()[:32]
    tags = {"ETag": f'"{tag}"', **(headers or {})}
    known = ",".join(request.headers.getlist("if-none-match"))
    if known.strip() == "*" or tag in _TAG.findall(known):
        return Response(None, 304, tags)
    return Response(document, 200, tags, media_type=media_type)


def tagged_annotations(request: Request, annotations: Sequence[Annotation]) -> Response:
    """All annotations of an incident. They are only ever added, so their number and last id are the tag."""
    labelled = Labelled(len(annotations), max((each.id or 0 for each in annotations), default=0))
    content = Annotations(annotations=tuple(annotations))
    return tagged(request, content, tag=f"{labelled.number}-{labelled.last}")
