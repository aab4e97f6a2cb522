"""Settings: the annotator's name, health, spending, all settings, taxonomies and keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Form, Request, Response
from pydantic import ValidationError

from triage.domain.errors import NotFound
from triage.domain.principal import Principal, Scope
from triage.render.tables import Column, Row, Table
from triage.server.api.access import Administrator, Reader, requires
from triage.server.api.keys import NewKey, Rotation, check_key, keys_of, make_key
from triage.server.api.operations import check_readiness
from triage.server.api.problems import InvalidFields
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import remember_annotator, required_annotator
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.rendering import Options, go_to, page_router, show
from triage.store.keys import MadeKey
from triage.store.processes import SEEN_WITHIN

router = page_router()

_DAYS = 30
_OF_MODELS = ("TRIAGE_MODEL", "TRIAGE_FALLBACK_MODELS", "TRIAGE_EMBEDDING_MODEL", "TRIAGE_CALIBRATOR")


@router.get("/settings")
async def settings(request: Request, service: Parts, principal: Reader, options: Options) -> Response:
    """Show the annotator's name, models and spending. Health is loaded after the page."""
    models = {name: options.settings.get(name, "") for name in _OF_MODELS}
    spending = await _spending(service) if principal.teams is None else None
    return show(request, "settings.html", models=models, warnings=options.warnings, spending=spending)


@router.post("/settings/annotator", dependencies=[requires("read")])
async def set_annotator(request: Request, name: Annotated[str, Form(max_length=400)] = "") -> Response:
    """Keep the annotator's name in this browser."""
    chosen = required_annotator(request, name)
    response = go_to(request, "/settings")
    remember_annotator(response, chosen)
    return response


@router.get("/settings/health")
async def health(request: Request, service: Parts, principal: Reader) -> Response:
    """Show whether each part works, and which processes are alive."""
    readiness = await check_readiness(service)
    now = datetime.now(UTC)
    processes = await service.store.processes.list() if principal.teams is None else []
    alive = [(process, now - process.seen_at < SEEN_WITHIN) for process in processes]
    return show(request, "_health.html", readiness=readiness, processes=alive)


@router.get("/settings/spending.{extension}", dependencies=[requires("read", all_teams=True)])
async def spending_file(service: Parts, extension: TableFormat) -> Response:
    return table_file(await _spending(service), extension)


@router.get("/settings/all")
async def all_settings(request: Request, options: Options, _principal: Administrator) -> Response:
    return show(request, "all_settings.html", settings=options.settings)


@router.get("/settings/taxonomies", dependencies=[requires("read")])
async def list_taxonomies(request: Request, service: Parts) -> Response:
    """Show the available taxonomies, and which one is in use."""
    in_use = service.casebook.taxonomy.id
    return show(request, "taxonomies.html", taxonomies=list(service.taxonomies.values()), in_use=in_use)


@router.get("/settings/taxonomies/{name}", dependencies=[requires("read")])
async def show_taxonomy(request: Request, service: Parts, name: str) -> Response:
    if name not in service.taxonomies:
        raise NotFound(f"There is no taxonomy {name!r}. There are: {', '.join(service.taxonomies)}.", taxonomy=name)
    taxonomy = service.taxonomies[name]
    return show(request, "taxonomy.html", taxonomy=taxonomy, is_in_use=name == service.casebook.taxonomy.id)


@router.get("/settings/keys")
async def list_keys(request: Request, service: Parts, principal: Administrator) -> Response:
    """Show the keys, without their secrets."""
    return await _keys_page(request, service, principal)


@router.post("/settings/keys")
async def create_key(
    request: Request,
    service: Parts,
    principal: Administrator,
    name: Annotated[str, Form(max_length=400)] = "",
    scopes: Annotated[list[Scope] | None, Form()] = None,
    teams: Annotated[str, Form(max_length=4_000)] = "",
    days: Annotated[int | None, Form(ge=1, le=3_660)] = None,
) -> Response:
    """Create a key, and show its secret once."""
    limit = tuple(teams.replace(",", " ").split()) or None
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    try:
        new = NewKey(name=name.strip(), scopes=tuple(scopes or ()), teams=limit, expires_at=expires_at)
    except ValidationError as error:
        raise InvalidFields.of(error) from error
    return await _keys_page(request, service, principal, await make_key(service, principal, new))


@router.post("/settings/keys/{key_id}/rotate")
async def rotate_key(request: Request, service: Parts, principal: Administrator, key_id: str) -> Response:
    """Give a key a new secret, shown once. The old one stays valid for a day."""
    await check_key(service, principal, key_id)
    made = await service.store.keys.rotate(key_id, Rotation().grace_s)
    return await _keys_page(request, service, principal, made)


@router.post("/settings/keys/{key_id}/revoke")
async def revoke_key(request: Request, service: Parts, principal: Administrator, key_id: str) -> Response:
    """Revoke a key for good."""
    await check_key(service, principal, key_id)
    await service.store.keys.revoke(key_id)
    return await _keys_page(request, service, principal)


async def _keys_page(request: Request, service: Service, principal: Principal, made: MadeKey | None = None) -> Response:
    now = datetime.now(UTC)
    keys = [(key, key.is_expired(now)) for key in await keys_of(service, principal)]
    return show(request, "keys.html", keys=keys, made=made, is_on=service.authenticator.is_on)


async def _spending(service: Parts) -> Table:
    days = await service.store.spending.list(_DAYS)
    columns = (
        Column("day (UTC)"),
        Column("model"),
        Column("calls", "count"),
        Column("prompt tokens", "count"),
        Column("completion tokens", "count"),
        Column("cost, USD", "number"),
    )
    rows = tuple(
        Row((day.day, day.model, day.calls, day.prompt_tokens, day.completion_tokens, day.cost)) for day in days
    )
    return Table("spending", "What the models took", f"The latest {_DAYS} days with calls.", columns, rows)
