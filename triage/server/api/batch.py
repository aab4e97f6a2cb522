"""Many incidents in one request: each is accepted or refused by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import pydantic_core
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError

from triage.domain.errors import Conflict, InvalidInput, TriageError
from triage.domain.incident import Incident
from triage.domain.principal import Principal
from triage.server.api.access import Poster
from triage.server.api.answers import Links, answer, links
from triage.server.api.bodies import JSON, NewIncident, decode, media_type, read_bytes
from triage.server.api.incidents import EXAMPLE
from triage.server.api.openapi import Body, reference
from triage.server.api.parameters import TeamHeader
from triage.server.api.problems import InvalidFields, Problem, UnsupportedMediaType, problem_of
from triage.server.api.service import Parts, Service

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

NDJSON = "application/x-ndjson"
_MOST = 1_000
_MOST_BYTES = 20_000_000


class BatchItem(BaseModel, frozen=True):
    """The outcome for one incident of a batch. `index` counts from 0 in the order of the request.

    `accepted`: stored, and will be triaged. `known`: the same incident was stored before. `conflict`: its id belongs
    to other content. `invalid`: not a valid incident. `problem` explains the last two.
    """

    index: int
    id: str | None
    status: Literal["accepted", "known", "conflict", "invalid"]
    problem: Problem | None = None
    links: Links | None = None


class Batch(BaseModel, frozen=True):
    """The outcome for each incident of a batch, in the order of the request."""

    accepted: int
    known: int
    failed: int
    items: tuple[BatchItem, ...]
    triages: str = Field(description="Where the triages appear as they finish, from now on.")


# An item may be anything: each is validated by itself.
_ITEMS = {"type": "array", "items": {"anyOf": [reference(NewIncident), {}]}, "minItems": 1, "maxItems": _MOST}
_BODY = Body(
    {
        JSON: {
            "schema": {
                "type": "object",
                "properties": {"incidents": _ITEMS},
                "required": ["incidents"],
                "additionalProperties": False,
            },
            "example": {"incidents": [EXAMPLE]},
        },
        NDJSON: {"schema": {"type": "string"}, "example": json.dumps(EXAMPLE)},
    },
    NewIncident,
)
_OUTCOMES: dict[int | str, dict[str, Any]] = {
    202: {"model": Batch, "description": "Each incident was accepted or known."},
    207: {"model": Batch, "description": "Some incidents were refused; the others were accepted or known."},
}


@router.post("/batch", status_code=202, openapi_extra=_BODY, responses=_OUTCOMES)
async def post_batch(request: Request, service: Parts, principal: Poster, team_header: TeamHeader) -> Response:
    """Post up to 1,000 incidents of one team, as JSON or as one JSON document a line.

    Each is validated and accepted by itself: an invalid one doesn't hold up the others. Sending the batch again adds
    nothing. Follow the triages at `triages` as they finish.
    """
    team = principal.team(team_header)
    contents = await _contents(request)
    newest = await service.store.triages.get_newest_cursor()
    read = [_read(content, service, team, principal) for content in contents]
    outcomes = iter(await service.intake.take_in_all([each for each in read if isinstance(each, Incident)], team))
    items = [
        _item(request, index, each.id, next(outcomes))
        if isinstance(each, Incident)
        else _item(request, index, None, each)
        for index, each in enumerate(read)
    ]
    accepted, known = (sum(item.status == status for item in items) for status in ("accepted", "known"))
    failed = len(items) - accepted - known
    triages = f"/v1/triages?cursor={newest}"
    batch = Batch(accepted=accepted, known=known, failed=failed, items=tuple(items), triages=triages)
    return answer(batch, 207 if failed else 202)


async def _contents(request: Request) -> Sequence[bytes]:
    """Each incident of the body as JSON."""
    kind = media_type(request)
    if kind not in (JSON, NDJSON):
        raise UnsupportedMediaType(f"Send the incidents as {JSON} or {NDJSON}.", content_type=kind)
    text = decode(await read_bytes(request, _MOST_BYTES)).removeprefix("\ufeff")
    if kind == NDJSON:
        contents = [line.encode() for line in text.split("\n") if line.strip()]
    else:
        try:
            body = pydantic_core.from_json(text, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidInput(f"is not JSON: {error}", field="body") from error
        if not isinstance(body, dict) or body.keys() != {"incidents"} or not isinstance(body["incidents"], list):
            raise InvalidInput('Send an object with a list: {"incidents": [...]}.', field="incidents")
        contents = [pydantic_core.to_json(each) for each in body["incidents"]]
    if not 1 <= len(contents) <= _MOST:
        raise InvalidInput(f"Send 1 to {_MOST:,} incidents at once, not {len(contents):,}.", field="incidents")
    return contents


def _read(content: bytes, service: Service, team: str, principal: Principal) -> Incident | TriageError:
    """The incident of an item, or the reason why it is not valid."""
    try:
        posted = NewIncident.model_validate_json(content, strict=True)
        if posted.team and posted.team != team:
            raise InvalidInput(f"is {posted.team!r}, but the batch is of team {team!r}: split it.", field="team")
        return service.intake.validated(principal, posted, team)
    except ValidationError as error:
        return InvalidFields.of(error)
    except TriageError as error:
        return error


def _item(request: Request, index: int, incident_id: str | None, outcome: TriageError | bool) -> BatchItem:
    if isinstance(outcome, TriageError):
        status: Literal["conflict", "invalid"] = "conflict" if isinstance(outcome, Conflict) else "invalid"
        return BatchItem(index=index, id=incident_id, status=status, problem=problem_of(request, outcome))
    assert incident_id is not None  # noqa: S101 - only incidents are accepted
    return BatchItem(index=index, id=incident_id, status="accepted" if outcome else "known", links=links(incident_id))
