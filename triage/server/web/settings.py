"""Settings: the annotator's name, health, spending, all settings, taxonomies and keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Form, Response
from pydantic import ValidationError

from triage.domain.errors import NotFound
from triage.domain.principal import Scope
from triage.render.tables import Row, Table, columns_of
from triage.server.api.keys import NewKey, Rotation, check_key, keys_of, make_key
from triage.server.api.operations import check_readiness
from triage.server.api.problems import InvalidFields
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.rendering import page_router, remember_annotator
from triage.server.web.visit import AdministratorVisit, OverseerVisit, ReaderVisit, Visit
from triage.store.keys import MadeKey
from triage.store.processes import SEEN_WITHIN

router = page_router()

_DAYS = 30
_OF_MODELS = ("TRIAGE_MODEL", "TRIAGE_FALLBACK_MODELS", "TRIAGE_EMBEDDING_MODEL", "TRIAGE_CALIBRATOR")


@router.get("/settings")
async def settings(visit: ReaderVisit) -> Response:
    """Show the annotator's name, models and spending. Health is loaded after the page."""
    models = {name: visit.options.settings.get(name, "") for name in _OF_MODELS}
    spending = await _spending(visit) if visit.teams is None else None
    return visit.show("settings.html", models=models, warnings=visit.options.warnings, spending=spending)


@router.post("/settings/annotator")
async def set_annotator(visit: ReaderVisit, name: Annotated[str, Form(max_length=400)] = "") -> Response:
    """Keep the annotator's name in this browser."""
    chosen = visit.required_annotator(name)
    response = visit.go_to("/settings")
    remember_annotator(response, chosen)
    return response


@router.get("/settings/health")
async def health(visit: ReaderVisit) -> Response:
    """Show whether each part works, and which processes are alive."""
    readiness = await check_readiness(visit.service)
    now = datetime.now(UTC)
    processes = await visit.store.processes.list() if visit.teams is None else []
    alive = [(process, now - process.seen_at < SEEN_WITHIN) for process in processes]
    return visit.show("_health.html", readiness=readiness, processes=alive)


@router.get("/settings/spending.{extension}")
async def spending_file(visit: OverseerVisit, extension: TableFormat) -> Response:
    return table_file(await _spending(visit), extension)


@router.get("/settings/all")
async def all_settings(visit: AdministratorVisit) -> Response:
    return visit.show("all_settings.html", settings=visit.options.settings)


@router.get("/settings/taxonomies")
async def list_taxonomies(visit: ReaderVisit) -> Response:
    """Show the available taxonomies, and which one is in use."""
    taxonomies = list(visit.service.taxonomies.values())
    return visit.show("taxonomies.html", taxonomies=taxonomies, in_use=visit.taxonomy.id)


@router.get("/settings/taxonomies/{name}")
async def show_taxonomy(visit: ReaderVisit, name: str) -> Response:
    taxonomies = visit.service.taxonomies
    if name not in taxonomies:
        raise NotFound(f"There is no taxonomy {name!r}. There are: {', '.join(taxonomies)}.", taxonomy=name)
    return visit.show("taxonomy.html", taxonomy=taxonomies[name], is_in_use=name == visit.taxonomy.id)


@router.get("/settings/keys")
async def list_keys(visit: AdministratorVisit) -> Response:
    """Show the keys, without their secrets."""
    return await _keys_page(visit)


@router.post("/settings/keys")
async def create_key(
    visit: AdministratorVisit,
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
    return await _keys_page(visit, await make_key(visit.service, visit.principal, new))


@router.post("/settings/keys/{key_id}/rotate")
async def rotate_key(visit: AdministratorVisit, key_id: str) -> Response:
    """Give a key a new secret, shown once. The old one stays valid for a day."""
    await check_key(visit.service, visit.principal, key_id)
    return await _keys_page(visit, await visit.store.keys.rotate(key_id, Rotation().grace_s))


@router.post("/settings/keys/{key_id}/revoke")
async def revoke_key(visit: AdministratorVisit, key_id: str) -> Response:
    """Revoke a key for good."""
    await check_key(visit.service, visit.principal, key_id)
    await visit.store.keys.revoke(key_id)
    return await _keys_page(visit)


async def _keys_page(visit: Visit, made: MadeKey | None = None) -> Response:
    now = datetime.now(UTC)
    keys = [(key, key.is_expired(now)) for key in await keys_of(visit.service, visit.principal)]
    return visit.show("keys.html", keys=keys, made=made)


async def _spending(visit: Visit) -> Table:
    days = await visit.store.spending.list(_DAYS)
    columns = columns_of(
        "day (UTC) | model | calls:count | prompt tokens:count | completion tokens:count | cost, USD:number"
    )
    rows = tuple(
        Row((day.day, day.model, day.calls, day.prompt_tokens, day.completion_tokens, day.cost)) for day in days
    )
    return Table("spending", "What the models took", f"The latest {_DAYS} days with calls.", columns, rows)
