"""Settings: who labels here, whether all parts work, what the models took, and what is set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Form, Request, Response

from triage.render.tables import Column, Row, Table
from triage.server.api.access import Administrator, Reader, requires
from triage.server.api.operations import check_readiness
from triage.server.api.service import Parts
from triage.server.web.annotator import remember_annotator, required_annotator
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.options import Options
from triage.server.web.rendering import go_to, page_router, show
from triage.store.processes import SEEN_WITHIN

router = page_router()

_DAYS = 30
_OF_MODELS = ("TRIAGE_MODEL", "TRIAGE_FALLBACK_MODELS", "TRIAGE_EMBEDDING_MODEL", "TRIAGE_CALIBRATOR")


@router.get("/settings")
async def settings(request: Request, service: Parts, who: Reader, options: Options) -> Response:
    """Show who labels here, and what answers; health comes after the page."""
    models = {name: options.settings.get(name, "") for name in _OF_MODELS}
    spending = await _spending(service) if who.teams is None else None
    return show(request, "settings.html", models=models, warnings=options.warnings, spending=spending)


@router.post("/settings/annotator", dependencies=[requires("read")])
async def set_annotator(request: Request, name: Annotated[str, Form(max_length=400)] = "") -> Response:
    """Keep in this browser who labels."""
    chosen = required_annotator(request, name)
    response = go_to(request, "/settings")
    remember_annotator(response, chosen)
    return response


@router.get("/settings/health")
async def health(request: Request, service: Parts, who: Reader) -> Response:
    """Show whether each part works, and which processes are at work."""
    readiness = await check_readiness(service)
    now = datetime.now(UTC)
    processes = await service.store.processes.list() if who.teams is None else []
    at_work = [(process, now - process.seen_at < SEEN_WITHIN) for process in processes]
    return show(request, "_health.html", readiness=readiness, processes=at_work)


@router.get("/settings/spending.{ending}", dependencies=[requires("read", all_teams=True)])
async def spending_file(service: Parts, ending: TableFormat) -> Response:
    """What the models took, as a file."""
    return table_file(await _spending(service), ending)


@router.get("/settings/all")
async def all_settings(request: Request, options: Options, _who: Administrator) -> Response:
    """Show every setting in effect."""
    return show(request, "all_settings.html", settings=options.settings)


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
        Row((one.day, one.model, one.calls, one.prompt_tokens, one.completion_tokens, one.cost)) for one in days
    )
    return Table("spending", "What the models took", f"The latest {_DAYS} days with calls.", columns, rows)
