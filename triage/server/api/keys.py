"""API keys over HTTP: make, list, rotate, revoke."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, field_validator

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import ZonedMoment
from triage.domain.principal import Forbidden, Principal, Scope, TeamName
from triage.server.api.access import Administrator
from triage.server.api.answers import answer
from triage.server.api.bodies import read_model
from triage.server.api.problems import documented
from triage.server.api.service import Parts, Service
from triage.store.keys import Key, MadeKey

router = APIRouter(prefix="/v1/keys", tags=["administration"])

_MAX_BYTES = 20_000
_DAY_S = 86_400


class NewKey(BaseModel, frozen=True, extra="forbid"):
    """What a key is to be for. Without `teams` it is for all teams."""

    name: str = Field(min_length=1, max_length=150, examples=["pager"])
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=4)
    teams: tuple[TeamName, ...] | None = Field(default=None, min_length=1, max_length=100)
    expires_at: ZonedMoment | None = None
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("holds characters that can't be printed")
        return name


class Rotation(BaseModel, frozen=True, extra="forbid"):
    """For how long the secret before goes on to open, beside the new one."""

    grace_s: float = Field(default=_DAY_S, ge=0, le=30 * _DAY_S)


class NewKeyAnswer(BaseModel, frozen=True):
    """A key, and once, and never again, the text that its user sends."""

    key: Key
    text: str


class KeysAnswer(BaseModel, frozen=True):
    """Keys, oldest first."""

    keys: tuple[Key, ...]


@router.post(
    "",
    operation_id="create_key",
    status_code=201,
    response_model=NewKeyAnswer,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/NewKey"},
                    "example": {"name": "pager", "scopes": ["triage", "read"], "teams": ["payments"]},
                }
            },
        }
    },
    responses=documented(413, 415, 422),
)
async def create_key(request: Request, service: Parts, who: Administrator) -> Response:
    """Make a key. A key that is limited to teams makes keys for these teams only."""
    new = await read_model(request, NewKey, _MAX_BYTES)
    made = await make_key(service, who, new)
    return answer(NewKeyAnswer(key=made.key, text=made.text), 201, _place(made.key))


async def make_key(service: Service, who: Principal, new: NewKey) -> MadeKey:
    """Make a key for `who`. Raises `Forbidden` for teams beyond theirs, `InvalidInput` for a past expiry."""
    teams = None if new.teams is None else frozenset(new.teams)
    if not who.sees_all_of(teams):
        raise Forbidden(
            "A key that is limited to teams makes keys for these teams only.", teams=sorted(who.teams or ())
        )
    if new.expires_at is not None and new.expires_at <= datetime.now(UTC):
        raise InvalidInput("expires_at is in the past.", field="expires_at")
    return await service.store.keys.create(
        new.name, new.scopes, teams, expires_at=new.expires_at, requests_per_minute=new.requests_per_minute
    )


@router.get("", operation_id="list_keys", response_model=KeysAnswer)
async def list_keys(service: Parts, who: Administrator) -> Response:
    """List the keys, without their texts."""
    return answer(KeysAnswer(keys=tuple(await keys_of(service, who))))


async def keys_of(service: Service, who: Principal) -> list[Key]:
    """The keys that `who` may see, oldest first: those that reach no further than their own."""
    return [key for key in await service.store.keys.all() if who.sees_all_of(key.team_limit)]


@router.post(
    "/{key_id}/rotate",
    operation_id="rotate_key",
    response_model=NewKeyAnswer,
    openapi_extra={
        "requestBody": {
            "required": False,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Rotation"}}},
        }
    },
    responses=documented(404, 409, 413, 415, 422),
)
async def rotate_key(request: Request, service: Parts, who: Administrator, key_id: str) -> Response:
    """Give a key a new text. The one before opens for another day, or as long as `grace_s` says."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    rotation = await read_model(request, Rotation, _MAX_BYTES) if has_body else Rotation()
    await check_key(service, who, key_id)
    made = await service.store.keys.rotate(key_id, rotation.grace_s)
    return answer(NewKeyAnswer(key=made.key, text=made.text))


@router.delete("/{key_id}", operation_id="revoke_key", response_model=Key, responses=documented(404))
async def revoke_key(service: Parts, who: Administrator, key_id: str) -> Response:
    """End a key for good. Within seconds it opens nothing, in any process."""
    await check_key(service, who, key_id)
    return answer(await service.store.keys.revoke(key_id))


async def check_key(service: Service, who: Principal, key_id: str) -> None:
    """Raise `NotFound` for a key that is not there, or reaches further than that of `who`."""
    if not who.sees_all_of((await service.store.keys.get(key_id)).team_limit):
        raise NotFound(f"There is no key {key_id!r}.", key_id=key_id)


def _place(key: Key) -> dict[str, Any]:
    return {"Location": f"/v1/keys/{key.id}"}
