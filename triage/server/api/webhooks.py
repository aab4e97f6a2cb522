"""Incoming webhooks: incidents from monitoring and incident tools, and the sources that may send them."""

from __future__ import annotations

import secrets
import time

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError

from triage.domain.errors import NotFound
from triage.domain.principal import Principal, TeamName, act_as, team_id
from triage.intake.webhooks import PROVIDERS, BadSignature, SourceKind
from triage.server.api.access import Administrator
from triage.server.api.answers import answer
from triage.server.api.bodies import read_bytes, read_model
from triage.server.api.openapi import Body, json_body
from triage.server.api.parameters import checked_id
from triage.server.api.problems import InvalidFields, documented
from triage.server.api.service import Parts, Service
from triage.store import WebhookSource

router = APIRouter(prefix="/v1", tags=["webhooks"])

_MOST_BYTES = 2_000_000
_UNKNOWN_SECRET = secrets.token_urlsafe(32)


class Received(BaseModel, frozen=True):
    """The outcome of a webhook: new incidents, known ones, and why other parts make none."""

    accepted: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class NewWebhookSource(BaseModel, frozen=True, extra="forbid"):
    """A sender of incidents, and their team. If the sender makes the secret, set it later."""

    kind: SourceKind
    team: TeamName | None = Field(default=None, description="Default: the key's only team, or `default`.")
    secret: str | None = Field(default=None, description="Default: a new one.")


class SourceSecret(BaseModel, frozen=True, extra="forbid"):
    """The secret that the sender made."""

    secret: str


class SourceWithSecret(WebhookSource, frozen=True):
    """A new source: where to send to, and the secret to sign with, which is not shown again."""

    url: str = Field(description="The path at this service.")
    secret: str


class WebhookSources(BaseModel, frozen=True):
    """Sources, oldest first."""

    sources: tuple[WebhookSource, ...]


@router.post(
    "/webhooks/{source_id}",
    status_code=202,
    response_model=Received,
    openapi_extra=Body({"application/json": {"schema": {"type": "object"}}}),
    responses=documented(401) | {200: {"model": Received, "description": "It contains nothing new."}},
)
async def receive_webhook(request: Request, service: Parts, source_id: str) -> Response:
    """Receive a webhook of a source, signed as its kind signs.

    Answers 202 once its incidents are stored, and 200 for known incidents and messages that make none, so that the
    sender does not repeat them.
    """
    body = await read_bytes(request, _MOST_BYTES)
    source = await _verified(request, service, source_id, body)
    try:
        reading = PROVIDERS[source.kind].read(body, source.id)
    except ValidationError as error:
        raise InvalidFields.of(error) from error
    accepted: list[str] = []
    known: list[str] = []
    for each in reading.incidents:
        incident = each.model_copy(update={"id": team_id(source.team, each.id)})
        # A sender may repeat an incident with more details: the first version is kept.
        is_new = await service.intake.take_in(incident, source.team, keep_known=True)
        (accepted if is_new else known).append(incident.id)
    received = Received(accepted=tuple(accepted), known=tuple(known), ignored=reading.ignored)
    return answer(received, 202 if accepted else 200)


@router.post(
    "/webhook-sources",
    status_code=201,
    response_model=SourceWithSecret,
    openapi_extra=json_body(NewWebhookSource, {"kind": "alertmanager", "team": "serving"}),
)
async def post_webhook_source(request: Request, service: Parts, principal: Administrator) -> Response:
    """Let a tool send incidents of a team. Only this answer contains the secret, beside the path to send to."""
    new = await read_model(request, NewWebhookSource)
    secret = PROVIDERS[new.kind].check_secret(new.secret) if new.secret else None
    source, secret = await service.store.webhook_sources.create(new.kind, principal.team(new.team), secret)
    return answer(SourceWithSecret(**source.model_dump(), url=f"/v1/webhooks/{source.id}", secret=secret), 201)


@router.get("/webhook-sources", response_model=WebhookSources)
async def list_webhook_sources(service: Parts, principal: Administrator) -> Response:
    """List the sources, without their secrets."""
    return answer(WebhookSources(sources=tuple(await _visible(service, principal))))


@router.put(
    "/webhook-sources/{source_id}/secret",
    status_code=204,
    openapi_extra=json_body(SourceSecret, {"secret": "from the sender"}),
)
async def put_webhook_secret(request: Request, service: Parts, principal: Administrator, source_id: str) -> Response:
    """Set the secret that the sender made for the URL."""
    secret = (await read_model(request, SourceSecret)).secret
    source = await _get(service, principal, source_id)
    await service.store.webhook_sources.set_secret(source.id, PROVIDERS[source.kind].check_secret(secret))
    return Response(status_code=204)


@router.delete("/webhook-sources/{source_id}", status_code=204)
async def delete_webhook_source(service: Parts, principal: Administrator, source_id: str) -> Response:
    """Remove a source; its incidents are kept."""
    await service.store.webhook_sources.delete((await _get(service, principal, source_id)).id)
    return Response(status_code=204)


async def _visible(service: Service, principal: Principal) -> list[WebhookSource]:
    return [source for source in await service.store.webhook_sources.list() if principal.sees(source.team)]


async def _get(service: Service, principal: Principal, source_id: str) -> WebhookSource:
    """The source. Raises `NotFound`, also for one of another team."""
    for source in await _visible(service, principal):
        if source.id == source_id:
            return source
    raise NotFound(f"There is no webhook source {source_id!r}.", source_id=source_id)


async def _verified(request: Request, service: Service, source_id: str, body: bytes) -> WebhookSource:
    """The source that signed this. Raises the same `BadSignature` for an unknown source as for a wrong signature."""
    headers, now = dict(request.headers), time.time()
    try:
        found = await service.store.webhook_sources.find(checked_id(source_id))
    except NotFound:
        found = None
    if found is None:
        PROVIDERS["pagerduty"].verify(_UNKNOWN_SECRET, headers, body, now)
        raise BadSignature("signature")
    source, secret = found
    act_as(f"webhook:{source.id}")
    PROVIDERS[source.kind].verify(secret, headers, body, now)
    return source
