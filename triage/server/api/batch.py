"""Many incidents in one request: each is taken or refused by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import pydantic_core
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, Field, ValidationError

from triage.domain.errors import Conflict, InvalidInput, TriageError
from triage.domain.incident import Incident
from triage.domain.principal import Principal
from triage.server.api.acceptance import check_id, checked_team
from triage.server.api.access import Poster
from triage.server.api.answers import Links, answer, links
from triage.server.api.bodies import JSON, NewIncident, check_size, check_taxonomy, decode, media_type, read_bytes
from triage.server.api.examples import batch_body
from triage.server.api.problems import InvalidFields, Problem, UnsupportedMediaType, describe, documented
from triage.server.api.service import Parts, Service

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

NDJSON = "application/x-ndjson"
MOST = 1_000
MOST_BYTES = 20_000_000


class BatchItem(BaseModel, frozen=True):
    """What became of one incident of a batch. `index` counts from 0 in the order in which they were sent.

    `accepted`: it is stored and will be triaged. `known`: the same was there before. `conflict`: its id is taken by
    other content. `invalid`: it is no incident. `problem` says what is wrong with the last two.
    """

    index: int
    id: str | None
    status: Literal["accepted", "known", "conflict", "invalid"]
    problem: Problem | None = None
    links: Links | None = None


class Batch(BaseModel, frozen=True):
    """What became of each incident of a batch, in the order in which they were sent."""

    accepted: int
    known: int
    failed: int
    items: tuple[BatchItem, ...]
    triages: str = Field(description="Where the triages are listed as they are finished, from now on.")


class _Read(NamedTuple):
    """One item as it was read: an incident, or why it is none."""

    incident: Incident | None
    problem: TriageError | None = None


_TAKEN: dict[int | str, dict[str, Any]] = {
    202: {"model": Batch, "description": "Each incident was taken, or was known."},
    207: {"model": Batch, "description": "Some incidents were refused; the others were taken."},
}


@router.post(
    "/batch",
    operation_id="post_batch",
    status_code=202,
    openapi_extra=batch_body(),
    responses=_TAKEN | documented(413, 415, 422, 500, 503),
)
async def post_batch(
    request: Request,
    service: Parts,
    who: Poster,
    x_team: Annotated[str | None, Header(description="The team of all of them.")] = None,
) -> Response:
    """Post up to 1,000 incidents of one team, as JSON or as one JSON document a line.

    Each is validated and taken by itself: a wrong one doesn't hold up the others. Sent again, it adds nothing. The
    triages can be followed at `triages` as they are finished.
    """
    team = who.team(checked_team(x_team))
    contents = await _contents(request)
    await service.jobs.admit(None)
    newest = await service.store.newest_cursor()
    read = [_read(content, service, team, who) for content in contents]
    taken = await service.casebook.accept_many([each.incident for each in read if each.incident is not None], team)
    outcomes = iter(taken)
    items = []
    for index, each in enumerate(read):
        outcome = each.problem or next(outcomes)
        items.append(_item(request, index, each.incident, outcome))
    service.jobs.enqueue_soon([item.id for item in items if item.id and item.status in ("accepted", "known")])
    count = {status: sum(item.status == status for item in items) for status in ("accepted", "known")}
    failed = len(items) - sum(count.values())
    batch = Batch(**count, failed=failed, items=tuple(items), triages=f"/v1/triages?cursor={newest}")
    return answer(batch, 207 if failed else 202)


async def _contents(request: Request) -> Sequence[bytes]:
    """Each incident of the body as JSON."""
    kind = media_type(request)
    if kind not in (JSON, NDJSON):
        raise UnsupportedMediaType(f"Send the incidents as {JSON} or {NDJSON}.", content_type=kind)
    text = decode(await read_bytes(request, MOST_BYTES)).removeprefix("\ufeff")
    if kind == NDJSON:
        contents = [line.encode() for line in text.split("\n") if line.strip()]
    else:
        try:
            whole = pydantic_core.from_json(text, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidInput(f"is not JSON: {error}", field="body") from error
        if not isinstance(whole, dict) or whole.keys() != {"incidents"} or not isinstance(whole["incidents"], list):
            raise InvalidInput('Send an object with a list: {"incidents": [...]}.', field="incidents")
        contents = [pydantic_core.to_json(each) for each in whole["incidents"]]
    if not 1 <= len(contents) <= MOST:
        raise InvalidInput(f"Send 1 to {MOST:,} incidents at once, not {len(contents):,}.", field="incidents")
    return contents


def _read(content: bytes, service: Service, team: str, who: Principal) -> _Read:
    try:
        posted = NewIncident.model_validate_json(content, strict=True)
        check_size(posted, service.max_write_up_bytes)
        check_taxonomy(posted, service.casebook.taxonomy.id)
        if posted.team and posted.team != team:
            raise InvalidInput(f"is {posted.team!r}: a batch is of one team, {team!r}.", field="team")
        incident = posted.incident("", team)
        check_id(incident.id, team, who)
    except ValidationError as error:
        return _Read(None, InvalidFields.of(error))
    except TriageError as error:
        return _Read(None, error)
    return _Read(incident)


def _item(request: Request, index: int, incident: Incident | None, outcome: TriageError | bool) -> BatchItem:
    if incident is None or isinstance(outcome, TriageError):
        assert isinstance(outcome, TriageError)  # noqa: S101 - what is no incident has a reason
        status: Any = "conflict" if isinstance(outcome, Conflict) else "invalid"
        name = incident.id if incident else None
        return BatchItem(index=index, id=name, status=status, problem=describe(request, outcome))
    return BatchItem(index=index, id=incident.id, status="accepted" if outcome else "known", links=links(incident.id))
