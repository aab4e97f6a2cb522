"""API keys over HTTP: create, list, rotate, revoke."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, field_validator

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import ZonedMoment
from triage.domain.principal import Forbidden, Principal, Scope, TeamName
from triage.server.api.access import Administrator
from triage.server.api.answers import answer
from triage.server.api.bodies import read_model
from triage.server.api.openapi import json_body
from triage.server.api.problems import documented
from triage.server.api.service import Parts, Service
from triage.store.keys import Key, MadeKey

router = APIRouter(prefix="/v1/keys", tags=["administration"])

_DAY_S = 86_400


class NewKey(BaseModel, frozen=True, extra="forbid"):
    """A key to create. Without `teams` it is for all teams."""

    name: str = Field(min_length=1, max_length=150, examples=["pager"])
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=4)
    teams: tuple[TeamName, ...] | None = Field(default=None, min_length=1, max_length=100)
    expires_at: ZonedMoment | None = None
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("contains characters that can't be printed")
        return name


class Rotation(BaseModel, frozen=True, extra="forbid"):
    """How long the previous secret stays valid beside the new one."""

    grace_s: float = Field(default=_DAY_S, ge=0, le=30 * _DAY_S)


class NewKeyAnswer(BaseModel, frozen=True):
    """A key and its secret, which is not shown again."""

    key: Key
    text: str


class KeysAnswer(BaseModel, frozen=True):
    """Keys, oldest first."""

    keys: tuple[Key, ...]


@router.post(
    "",
    status_code=201,
    response_model=NewKeyAnswer,
    openapi_extra=json_body(NewKey, {"name": "pager", "scopes": ["triage", "read"], "teams": ["payments"]}),
)
async def create_key(request: Request, service: Parts, principal: Administrator) -> Response:
    """Create a key. A key that is limited to teams creates keys for these teams only."""
    made = await make_key(service, principal, await read_model(request, NewKey))
    return answer(NewKeyAnswer(key=made.key, text=made.text), 201, {"Location": f"/v1/keys/{made.key.id}"})


async def make_key(service: Service, principal: Principal, new: NewKey) -> MadeKey:
    """Create a key. Raises `Forbidden` for teams beyond the principal's, `InvalidInput` for a past expiry."""
    teams = None if new.teams is None else frozenset(new.teams)
    if not principal.sees_all_of(teams):
        raise Forbidden(
            "A key that is limited to teams creates keys for these teams only.", teams=sorted(principal.teams or ())
        )
    if new.expires_at is not None and new.expires_at <= datetime.now(UTC):
        raise InvalidInput("expires_at is in the past.", field="expires_at")
    return await service.store.keys.create(
        new.name, new.scopes, teams, expires_at=new.expires_at, requests_per_minute=new.requests_per_minute
    )


@router.get("", response_model=KeysAnswer)
async def list_keys(service: Parts, principal: Administrator) -> Response:
    """List the keys, without their secrets."""
    return answer(KeysAnswer(keys=tuple(await keys_of(service, principal))))


async def keys_of(service: Service, principal: Principal) -> list[Key]:
    """The keys that the principal may see, oldest first: those that reach no further than their own."""
    return [key for key in await service.store.keys.list() if principal.sees_all_of(key.team_limit)]


@router.post(
    "/{key_id}/rotate",
    response_model=NewKeyAnswer,
    openapi_extra=json_body(Rotation, {"grace_s": 3_600}, is_required=False),
    responses=documented(409),
)
async def rotate_key(request: Request, service: Parts, principal: Administrator, key_id: str) -> Response:
    """Give a key a new secret. The previous one stays valid for a day, or for `grace_s` seconds."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    rotation = await read_model(request, Rotation) if has_body else Rotation()
    await check_key(service, principal, key_id)
    made = await service.store.keys.rotate(key_id, rotation.grace_s)
    return answer(NewKeyAnswer(key=made.key, text=made.text))


@router.delete("/{key_id}", response_model=Key)
async def revoke_key(service: Parts, principal: Administrator, key_id: str) -> Response:
    """Revoke a key for good. It stops working within seconds, in every process."""
    await check_key(service, principal, key_id)
    return answer(await service.store.keys.revoke(key_id))


async def check_key(service: Service, principal: Principal, key_id: str) -> None:
    """Raise `NotFound` for a key that does not exist, or reaches further than the principal's."""
    if not principal.sees_all_of((await service.store.keys.get(key_id)).team_limit):
        raise NotFound(f"There is no key {key_id!r}.", key_id=key_id)
