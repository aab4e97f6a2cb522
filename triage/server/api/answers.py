"""Answers that several endpoints share, and entity tags (RFC 9110).

With tags, unchanged answers are not sent again, and stale changes are refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Header, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.annotation import Annotation
from triage.domain.enums import Status
from triage.domain.errors import InvalidInput
from triage.domain.incident import Incident
from triage.domain.principal import DEFAULT_TEAM
from triage.domain.triage_result import Triage
from triage.store import Labelled, StoredIncident


class Links(BaseModel, frozen=True):
    """The paths of an incident."""

    incident: str
    triage: str
    annotations: str


class IncidentStatus(BaseModel, frozen=True):
    """The state of an incident. A failed one with `retry_at` is retried automatically."""

    id: str
    team: str = DEFAULT_TEAM
    status: Status
    taxonomy: str
    attempts: int = Field(description="Failed attempts so far.")
    failure: str | None = None
    retry_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    links: Links

    @classmethod
    def of(cls, stored: StoredIncident) -> IncidentStatus:
        """The state of a stored incident."""
        values = {name: getattr(stored, name) for name in cls.model_fields if name not in ("id", "links")}
        return cls(id=stored.incident.id, links=links(stored.incident.id), **values)


class PendingTriage(IncidentStatus, frozen=True):
    """The state of an incident that is not triaged yet.

    `provisional` is its triage without the chat model while that is being asked, null before.
    """

    provisional: Triage | None = None


class IncidentAnswer(IncidentStatus, frozen=True):
    """An incident as posted, and its state."""

    incident: Incident

    @classmethod
    def of(cls, stored: StoredIncident) -> IncidentAnswer:
        """The answer for a stored incident."""
        return cls(incident=stored.incident, **IncidentStatus.of(stored).model_dump())


class Annotations(BaseModel, frozen=True):
    """Annotations of one incident, oldest first."""

    annotations: tuple[Annotation, ...]


def links(incident_id: str) -> Links:
    """The paths of an incident."""
    path = f"/v1/incidents/{quote(incident_id, safe='')}"
    return Links(incident=path, triage=f"{path}/triage", annotations=f"{path}/annotations")


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A model as a JSON response."""
    return raw_answer(model.model_dump_json(), status, headers)


def raw_answer(document: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document as a response."""
    return Response(document, status, dict(headers or {}), media_type="application/json")


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
    match = _LABELLED.fullmatch(if_match.strip())
    if match is None:
        raise InvalidInput("is not an ETag of annotations: send the one of their GET, in quotes.", field="If-Match")
    return Labelled(int(match[1]), int(match[2]))


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
