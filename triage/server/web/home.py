"""The home page: a form to triage a write-up, and the latest incidents."""

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
from triage.server.web.incident_lists import headlines
from triage.server.web.rendering import go_to, is_part, page_router, show
from triage.server.web.template_filters import incident_path

router = page_router()

_LATEST = 20
_FIELDS = ("title", "service", "severity", "started_at", "team")


@router.get("/")
async def home(request: Request, service: Parts, principal: Reader) -> Response:
    """Show the form and the latest incidents."""
    return await _page(request, service, principal, {})


@router.post("/")
async def post(request: Request, service: Parts, principal: Poster) -> Response:
    """Accept a write-up, and lead to the page of its incident."""
    form: Mapping[str, str] = {}
    try:
        form = await read_form(request, service.max_write_up_bytes)
        incident = await service.intake.post(principal, _parse(form))
    except TriageError as error:
        if is_part(request) or not principal.may("read"):
            raise
        # Without JavaScript the page is loaded again: keep what was typed.
        return await _page(request, service, principal, form, error)
    return go_to(request, incident_path(incident.id))


@router.get("/latest")
async def latest(request: Request, service: Parts, principal: Reader) -> Response:
    return show(request, "_latest.html", **await _latest(service, principal))


async def _page(
    request: Request, service: Service, principal: Principal, form: Mapping[str, str], error: TriageError | None = None
) -> Response:
    teams = principal.teams or ()
    return show(
        request,
        "home.html",
        status=200 if error is None else error.status,
        headers=None if error is None else error.headers,
        form={name: form.get(name, "") for name in ("write_up", *_FIELDS)},
        error=error,
        teams=sorted(teams) if len(teams) > 1 else [],
        most_bytes=service.max_write_up_bytes,
        **await _latest(service, principal),
    )


async def _latest(service: Service, principal: Principal) -> dict[str, Any]:
    listed = await service.store.incidents.list_posted(_LATEST, principal.teams)
    return {
        "latest": listed,
        "headlines": await headlines(service.store, listed),
        "is_waiting": any(incident.status == "pending" for incident in listed),
    }


def _parse(form: Form | Mapping[str, str]) -> NewIncident:
    """The incident in a form. Fields override the front matter of the Markdown text. Raises `InvalidInput`."""
    text = form.get("write_up", "")
    if not text.strip():
        raise InvalidInput("There is no write-up: paste or type what happened, then send it.", field="write_up")
    fields = {name: value.strip() for name in _FIELDS if (value := form.get(name, "")).strip()}
    try:
        return NewIncident.model_validate(parse_markdown(text, has_title="title" in fields) | fields)
    except ValidationError as error:
        raise InvalidFields.of(error) from error
