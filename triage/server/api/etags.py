"""Entity tags (RFC 9110): what a client has is not sent again, and nobody writes over what they have not seen."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Header, Request, Response
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
    304: {"description": "It is what `If-None-Match` names.", "headers": _ETAG},
}
IfNoneMatch = Annotated[
    str | None, Header(max_length=4000, description="Entity tags: 304 without a body if it still has one of them.")
]
IfMatch = Annotated[
    str | None,
    Header(max_length=200, description="The `ETag` of the incident's annotations: 412 if they changed since."),
]

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LABELLED = re.compile(r'"(\d{1,9})-(\d{1,18})"')


def tagged(
    request: Request,
    content: BaseModel | str,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    """The content as a response with a strong entity tag of its bytes; 304 if the client has just that."""
    document = content if isinstance(content, str) else content.model_dump_json()
    return _with_tag(request, document, hashlib.sha256(document.encode()).hexdigest()[:32], headers, media_type)


def tagged_annotations(request: Request, annotations: Sequence[Annotation]) -> Response:
    """All annotations of an incident, tagged by how far they have got: they are only ever added."""
    labelled = Labelled(len(annotations), max((each.id or 0 for each in annotations), default=0))
    content = Annotations(annotations=tuple(annotations))
    return _with_tag(request, content.model_dump_json(), f"{labelled.number}-{labelled.last}")


def expected(if_match: str | None) -> Labelled | None:
    """How far the annotations had got by `If-Match`; None where any will do. Raises `InvalidInput` for no such tag."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = _LABELLED.fullmatch(if_match.strip())
    if found is None:
        raise InvalidInput("is no ETag of annotations: send the one that came with them, in quotes.", field="If-Match")
    return Labelled(int(found[1]), int(found[2]))


def _with_tag(
    request: Request,
    document: str,
    tag: str,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    tags = {"ETag": f'"{tag}"', **(headers or {})}
    known = ",".join(request.headers.getlist("if-none-match"))
    if known.strip() == "*" or tag in _TAG.findall(known):
        return Response(None, 304, tags)
    return Response(document, 200, tags, media_type=media_type)
