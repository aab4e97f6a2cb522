"""Keys: made, rotated and revoked by administrators. A key's text is shown once, where it was made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Form, Request, Response
from pydantic import ValidationError

from triage.domain.principal import Principal, Scope
from triage.server.api.access import Administrator
from triage.server.api.keys import NewKey, Rotation, check_key, keys_of, make_key
from triage.server.api.problems import InvalidFields
from triage.server.api.service import Parts, Service
from triage.server.web.rendering import page_router, show
from triage.store.keys import MadeKey

router = page_router()


@router.get("/settings/keys")
async def list_keys(request: Request, service: Parts, who: Administrator) -> Response:
    """Show the keys, without their texts."""
    return await _shown(request, service, who)


@router.post("/settings/keys")
async def create_key(
    request: Request,
    service: Parts,
    who: Administrator,
    name: Annotated[str, Form(max_length=400)] = "",
    scopes: Annotated[list[Scope] | None, Form()] = None,
    teams: Annotated[str, Form(max_length=4_000)] = "",
    days: Annotated[int | None, Form(ge=1, le=3_660)] = None,
) -> Response:
    """Make a key, and show its text this once."""
    limit = tuple(teams.replace(",", " ").split()) or None
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    try:
        new = NewKey(name=name.strip(), scopes=tuple(scopes or ()), teams=limit, expires_at=expires_at)
    except ValidationError as error:
        raise InvalidFields.of(error) from error
    return await _shown(request, service, who, await make_key(service, who, new))


@router.post("/settings/keys/{key_id}/rotate")
async def rotate_key(request: Request, service: Parts, who: Administrator, key_id: str) -> Response:
    """Give a key a new text, shown this once; the one before opens for another day."""
    await check_key(service, who, key_id)
    return await _shown(request, service, who, await service.store.keys.rotate(key_id, Rotation().grace_s))


@router.post("/settings/keys/{key_id}/revoke")
async def revoke_key(request: Request, service: Parts, who: Administrator, key_id: str) -> Response:
    """End a key for good."""
    await check_key(service, who, key_id)
    await service.store.keys.revoke(key_id)
    return await _shown(request, service, who)


async def _shown(request: Request, service: Service, who: Principal, made: MadeKey | None = None) -> Response:
    now = datetime.now(UTC)
    keys = [(key, key.is_expired(now)) for key in await keys_of(service, who)]
    return show(request, "keys.html", keys=keys, made=made, is_on=service.authenticator.is_on)
