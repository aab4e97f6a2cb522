"""Parameters that several endpoints share."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Header, Path, Query, Request
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from triage.domain.enums import Status
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import IncidentId, Moment
from triage.domain.principal import TeamName
from triage.server.api.problems import FieldError, InvalidFields
from triage.server.api.service import Parts
from triage.store import IncidentQuery

IncidentInPath = Annotated[
    str,
    Path(
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$",
        description="The incident's id.",
        examples=["INC-1042"],
    ),
]


def _not_a_number(value: object) -> object:
    if isinstance(value, str) and value.lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("is a number: send a date and time, as in 2026-03-02T09:12:00Z")
    return value


MomentInQuery = Annotated[Moment, BeforeValidator(_not_a_number)]
Limit = Annotated[int, Query(ge=1, le=200, description="The maximum number of items.")]
Cursor = Annotated[str | None, Query(max_length=100, description="`next_cursor` of the previous page.")]

PAGED: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "Link": {
                "description": 'The next page, as `rel="next"`; absent on the last.',
                "required": False,
                "schema": {"type": "string"},
            }
        }
    }
}

_ID = TypeAdapter[str](IncidentId)
_TEAM = TypeAdapter[str](TeamName)


def _idempotency_key(
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Names this request. Sent again with the same body it gets the same answer, with another body "
            "409. It becomes the incident's id if the body has none, and has no effect otherwise.",
            examples=["INC-1042"],
        ),
    ] = None,
) -> str:
    if not idempotency_key:
        return ""
    message = "must be 1 to 128 letters, digits, '.', '_', ':' or '-', and start with a letter or digit"
    # The header's draft standard puts the key in quotes.
    return _checked(_ID, idempotency_key.strip().strip('"'), "Idempotency-Key", message)


def _team_header(
    x_team: Annotated[str | None, Header(description="The team, if the incident names none.")] = None,
) -> str:
    return _checked(_TEAM, x_team.strip(), "X-Team", "is not a valid team name") if x_team else ""


def _checked(adapter: TypeAdapter[str], text: str, header: str, message: str) -> str:
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        raise InvalidFields([FieldError(field=header, message=message)]) from error


def _preferred_wait(
    request: Request,
    service: Parts,
    prefer: Annotated[str | None, Header(examples=["wait=30"], description="`wait=N`: seconds to wait.")] = None,  # noqa: ARG001 - read from all headers of the name
) -> float | None:
    for preference in ",".join(request.headers.getlist("prefer")).split(","):
        match = re.fullmatch(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?', preference, re.IGNORECASE)
        if match:
            return min(float(match[1]), service.wait_limit_s)
    return None


IdempotencyKey = Annotated[str, Depends(_idempotency_key)]
"""The key of the `Idempotency-Key` header, or "". Raises `InvalidFields`."""

TeamHeader = Annotated[str, Depends(_team_header)]
"""The team of the `X-Team` header, or "". Raises `InvalidFields`."""

PreferredWait = Annotated[float | None, Depends(_preferred_wait)]
"""The seconds of `Prefer: wait=N` (RFC 7240), at most the service's limit; None without a valid one."""


def _filter(
    status: Annotated[Status | None, Query(description="Only incidents in this state.")] = None,
    team: Annotated[str | None, Query(max_length=64, description="Only incidents of this team.")] = None,
    service: Annotated[str | None, Query(max_length=200, description="Only incidents of this service.")] = None,
    severity: Annotated[str | None, Query(max_length=50, description="Only incidents of this severity.")] = None,
    since: Annotated[MomentInQuery | None, Query(description="Only incidents posted at this moment or later.")] = None,
    until: Annotated[MomentInQuery | None, Query(description="Only incidents posted before this moment.")] = None,
    degraded: Annotated[
        bool | None, Query(description="Only incidents whose latest triage is, or is not, degraded.")
    ] = None,
) -> IncidentQuery:
    return IncidentQuery(status, None if team is None else (team,), service, severity, since, until, degraded)


IncidentFilter = Annotated[IncidentQuery, Depends(_filter)]


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """The `Link` header (RFC 8288) to the next page."""
    if cursor is None:
        return {}
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return {"Link": f'<{request.url.path}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'}


def checked_id(text: str) -> str:
    """`text` if it can be an id that the service made. Raises `NotFound`: some databases fail on other characters."""
    if not text.isascii() or not text.replace("_", "").isalnum() or len(text) > 64:
        raise NotFound("There is nothing with this id.")
    return text


async def refuse_nul(request: Request) -> None:
    """Refuse NUL characters in the path and the query: PostgreSQL can't store them."""
    for name, value in (*request.path_params.items(), *request.query_params.multi_items()):
        if "\x00" in str(value) or "\x00" in name:
            raise InvalidInput("contains NUL characters: send text.", field=name.replace("\x00", "?"))
