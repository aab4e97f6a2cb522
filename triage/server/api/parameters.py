"""Parameters that several endpoints share."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Header, Path, Query, Request
from pydantic import BeforeValidator

from triage.domain.enums import Status
from triage.domain.errors import InvalidInput
from triage.domain.incident import Moment
from triage.store import Wanted

IncidentInPath = Annotated[
    str,
    Path(
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$",
        description="The incident's id.",
        examples=["INC-1042"],
    ),
]


def _written_out(value: object) -> object:
    if isinstance(value, str) and value.lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("is a number: write the moment out, as in 2026-03-02T09:12:00Z")
    return value


MomentInQuery = Annotated[Moment, BeforeValidator(_written_out)]
Limit = Annotated[int, Query(ge=1, le=200, description="At most so many items.")]
Cursor = Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before.")]


IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Names this request: sent again with the same body it has the same answer, with another body 409. "
        "It becomes the incident's id where the body has none, and has no effect otherwise.",
        examples=["INC-1042"],
    ),
]
LINK = {
    "Link": {
        "description": 'The next page, as `rel="next"`; missing on the last.',
        "required": False,
        "schema": {"type": "string"},
    }
}


def wanted_incidents(
    status: Annotated[Status | None, Query(description="Only incidents in this state.")] = None,
    team: Annotated[str | None, Query(max_length=64, description="Only incidents of this team.")] = None,
    service: Annotated[str | None, Query(max_length=200, description="Only incidents of this service.")] = None,
    severity: Annotated[str | None, Query(max_length=50, description="Only incidents of this severity.")] = None,
    since: Annotated[MomentInQuery | None, Query(description="Only what came in at this moment or later.")] = None,
    until: Annotated[MomentInQuery | None, Query(description="Only what came in before this moment.")] = None,
    degraded: Annotated[
        bool | None, Query(description="Only incidents whose latest triage is, or is not, degraded.")
    ] = None,
) -> Wanted:
    """Which incidents a list is to hold."""
    return Wanted(status, None if team is None else (team,), service, severity, since, until, degraded)


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """The `Link` header (RFC 8288) to the page behind this one."""
    if cursor is None:
        return {}
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return {"Link": f'<{request.url.path}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'}


async def refuse_nul(request: Request) -> None:
    """Refuse NUL characters in the path and the query: PostgreSQL has no text with them."""
    for name, value in (*request.path_params.items(), *request.query_params.multi_items()):
        if "\x00" in str(value) or "\x00" in name:
            raise InvalidInput("holds NUL characters: send text.", field=name.replace("\x00", "?"))
