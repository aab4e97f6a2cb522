"""The first page: give a write-up and have it triaged; below it what was given last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from pydantic import ValidationError

from triage.domain.errors import InvalidInput, TriageError
from triage.domain.principal import Principal
from triage.intake.markdown import parse_markdown
from triage.server.api.access import Poster, Reader
from triage.server.api.bodies import NewIncident
from triage.server.api.problems import InvalidFields
from triage.server.api.service import Parts, Service
from triage.server.web.forms import Form, read_form
from triage.server.web.headlines import headlines
from triage.server.web.rendering import go_to, is_part, page_router, show
from triage.server.web.words import incident_path

router = page_router()

_LATEST = 20
_FIELDS = ("title", "service", "severity", "started_at", "team")


@router.get("/")
async def home(request: Request, service: Parts, who: Reader) -> Response:
    """Show the form for a write-up, and the latest incidents."""
    return await _page(request, service, who, {})


@router.post("/")
async def post(request: Request, service: Parts, who: Poster) -> Response:
    """Take a write-up in, and lead to the page of its incident."""
    form: Mapping[str, str] = {}
    try:
        form = await read_form(request, service.max_write_up_bytes)
        incident = await service.intake.post(who, _posted(form))
    except TriageError as error:
        if is_part(request) or not who.may("read"):
            raise
        # Without the script the page comes anew: what was typed stays in it.
        return await _page(request, service, who, form, error)
    return go_to(request, incident_path(incident.id))


@router.get("/latest")
async def latest(request: Request, service: Parts, who: Reader) -> Response:
    """Show the latest incidents, as a part of the first page."""
    return show(request, "_latest.html", **await _latest(service, who))


async def _page(
    request: Request, service: Service, who: Principal, form: Mapping[str, str], error: TriageError | None = None
) -> Response:
    headers = getattr(error, "headers", None)
    return show(
        request,
        "home.html",
        status=200 if error is None else error.status,
        headers=headers,
        form={name: form.get(name, "") for name in ("write_up", *_FIELDS)},
        error=error,
        teams=sorted(who.teams) if who.teams is not None and len(who.teams) > 1 else [],
        most_bytes=service.max_write_up_bytes,
        **await _latest(service, who),
    )


async def _latest(service: Service, who: Principal) -> dict[str, Any]:
    listed = await service.store.incidents.list_posted(_LATEST, who.teams)
    return {
        "latest": listed,
        "headlines": await headlines(service.store, listed),
        "is_waiting": any(one.status == "pending" for one in listed),
    }


def _posted(form: Form | Mapping[str, str]) -> NewIncident:
    """The incident in a form: its text is read as Markdown is, and what stands in the other fields counts before it.

    Raises `InvalidInput`.
    """
    text = form.get("write_up", "")
    if not text.strip():
        raise InvalidInput("There is no write-up: paste or type what happened, then send it.", field="write_up")
    given = {name: value.strip() for name in _FIELDS if (value := form.get(name, "")).strip()}
    try:
        return NewIncident.model_validate(parse_markdown(text, has_title="title" in given) | given)
    except ValidationError as error:
        raise InvalidFields.of(error) from error
