"""Webhooks in: incidents from monitoring and incident tools, and the sources that may send them."""

from __future__ import annotations

import secrets
import time

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError

from triage.domain.enums import SourceKind
from triage.domain.errors import Conflict, NotFound
from triage.domain.incident import Incident
from triage.domain.principal import Principal, TeamName, act_as, team_id
from triage.intake.webhooks import BadSignature, check_secret, read, verify
from triage.server.api.access import Administrator
from triage.server.api.answers import answer
from triage.server.api.bodies import read_bytes, read_model
from triage.server.api.examples import source_secret_body, webhook_body, webhook_source_body
from triage.server.api.problems import InvalidFields, documented
from triage.server.api.service import Parts, Service
from triage.server.api.subscriptions import checked
from triage.store import WebhookSource

router = APIRouter(prefix="/v1", tags=["webhooks"])

_MAX_BYTES = 2_000_000
_NOBODYS_SECRET = secrets.token_urlsafe(32)


class Received(BaseModel, frozen=True):
    """What became of a webhook: incidents that are new, those that were known, and why the rest makes none."""

    accepted: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class NewWebhookSource(BaseModel, frozen=True, extra="forbid"):
    """Who will send incidents, and whose they are. Where the sender makes the secret it can be set later."""

    kind: SourceKind
    team: TeamName | None = Field(default=None, description="Left out: the key's only team, or `default`.")
    secret: str | None = Field(default=None, description="Left out: one is made.")


class SourceSecret(BaseModel, frozen=True, extra="forbid"):
    """The secret that the sender made."""

    secret: str


class SourceWithSecret(WebhookSource, frozen=True):
    """A new source: where to send to, and the secret to sign with, which is shown here and never again."""

    url: str = Field(description="The path at this service.")
    secret: str


class WebhookSources(BaseModel, frozen=True):
    """Sources, oldest first."""

    sources: tuple[WebhookSource, ...]


@router.post(
    "/webhooks/{source_id}",
    operation_id="receive_webhook",
    status_code=202,
    response_model=Received,
    openapi_extra=webhook_body(),
    responses=documented(401, 413, 422, 503) | {200: {"model": Received, "description": "Nothing new in it."}},
)
async def receive_webhook(request: Request, service: Parts, source_id: str) -> Response:
    """Take a webhook of a source, signed as its kind signs.

    Answers 202 once its incidents are safely stored. What was sent before, or makes no incident, is answered with 200,
    so that its sender does not send it again.
    """
    body = await read_bytes(request, _MAX_BYTES)
    source = await _verified(request, service, source_id, body)
    try:
        reading = read(source.kind, body, source.id)
    except ValidationError as error:
        raise InvalidFields.of(error) from error
    accepted: list[str] = []
    known: list[str] = []
    for incident in reading.incidents:
        incident_id = team_id(source.team, incident.id)
        is_new = await _accept(service, incident.model_copy(update={"id": incident_id}), source.team)
        (accepted if is_new else known).append(incident_id)
    received = Received(accepted=tuple(accepted), known=tuple(known), ignored=reading.ignored)
    return answer(received, 202 if accepted else 200)


@router.post(
    "/webhook-sources",
    operation_id="post_webhook_source",
    status_code=201,
    response_model=SourceWithSecret,
    openapi_extra=webhook_source_body(),
    responses=documented(413, 415, 422),
)
async def post_webhook_source(request: Request, service: Parts, who: Administrator) -> Response:
    """Let a tool send incidents of a team. The answer holds the path to send to, and the secret, once."""
    given = await read_model(request, NewWebhookSource, 20_000)
    secret = check_secret(given.kind, given.secret) if given.secret else None
    source, secret = await service.store.webhook_sources.add(given.kind, who.team(given.team), secret)
    return answer(SourceWithSecret(**source.model_dump(), url=f"/v1/webhooks/{source.id}", secret=secret), 201)


@router.get("/webhook-sources", operation_id="list_webhook_sources", response_model=WebhookSources)
async def list_webhook_sources(service: Parts, who: Administrator) -> Response:
    """List the sources, without their secrets."""
    found = await service.store.webhook_sources.all()
    return answer(WebhookSources(sources=tuple(each for each in found if who.sees(each.team))))


@router.put(
    "/webhook-sources/{source_id}/secret",
    operation_id="put_webhook_secret",
    status_code=204,
    openapi_extra=source_secret_body(),
    responses=documented(404, 413, 415, 422),
)
async def put_webhook_secret(request: Request, service: Parts, who: Administrator, source_id: str) -> Response:
    """Set the secret that the sender made when it was given the URL."""
    given = await read_model(request, SourceSecret, 20_000)
    source = await _theirs(service, who, source_id)
    await service.store.webhook_sources.set_secret(source.id, check_secret(source.kind, given.secret))
    return Response(status_code=204)


@router.delete(
    "/webhook-sources/{source_id}",
    operation_id="delete_webhook_source",
    status_code=204,
    responses=documented(404),
)
async def delete_webhook_source(service: Parts, who: Administrator, source_id: str) -> Response:
    """Take nothing more from a source. Its incidents stay."""
    await service.store.webhook_sources.remove((await _theirs(service, who, source_id)).id)
    return Response(status_code=204)


async def _theirs(service: Service, who: Principal, source_id: str) -> WebhookSource:
    """The source. Raises `NotFound`, also for one of a team that is not theirs."""
    for source in await service.store.webhook_sources.all():
        if source.id == source_id and who.sees(source.team):
            return source
    raise NotFound(f"There is no webhook source {source_id!r}.", source_id=source_id)


async def _verified(request: Request, service: Service, source_id: str, body: bytes) -> WebhookSource:
    """The source. Raises the same `BadSignature` for one that there is not as for one that did not sign this."""
    headers = dict(request.headers)
    try:
        found = await service.store.webhook_sources.find(checked(source_id))
    except NotFound:
        found = None
    if found is None:
        verify("pagerduty", _NOBODYS_SECRET, headers, body, time.time())
        raise BadSignature("signature")
    source, secret = found
    act_as(f"webhook:{source.id}")
    verify(source.kind, secret, headers, body, time.time())
    return source


async def _accept(service: Service, incident: Incident, team: str) -> bool:
    """Store and queue it. False where it is known, also where the sender tells more of it by now."""
    is_new = False
    if await service.store.find(incident.id) is None:
        await service.jobs.admit(incident.id)
        try:
            is_new = await service.casebook.accept(incident, team)
        except Conflict:
            # Two deliveries of it at the same time, of which the other one was faster.
            is_new = False
    await service.jobs.enqueue(incident.id)
    return is_new
