"""The home page: a form to triage a write-up, and the latest incidents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Response
from pydantic import ValidationError

from triage.domain.errors import InvalidInput, TriageError
from triage.intake.markdown import parse_markdown
from triage.server.api.bodies import NewIncident
from triage.server.api.problems import InvalidFields
from triage.server.web.forms import FormFields, read_form
from triage.server.web.rendering import page_router
from triage.server.web.template_filters import incident_path
from triage.server.web.visit import PosterVisit, ReaderVisit, Visit

router = page_router()

_LATEST = 20
_FIELDS = ("title", "service", "severity", "started_at", "team")


@router.get("/")
async def home(visit: ReaderVisit) -> Response:
    """Show the form and the latest incidents."""
    return await _page(visit, {})


@router.post("/")
async def post(visit: PosterVisit) -> Response:
    """Accept a write-up, and lead to the page of its incident."""
    form: Mapping[str, str] = {}
    try:
        form = await read_form(visit.request, visit.service.max_write_up_bytes)
        incident = await visit.service.intake.post(visit.principal, _parse(form))
    except TriageError as error:
        if visit.is_part or not visit.principal.may("read"):
            raise
        # Without JavaScript the page is loaded again: keep what was typed.
        return await _page(visit, form, error)
    return visit.go_to(incident_path(incident.id))


@router.get("/latest")
async def latest(visit: ReaderVisit) -> Response:
    return visit.show("_latest.html", **await _latest(visit))


async def _page(visit: Visit, form: Mapping[str, str], error: TriageError | None = None) -> Response:
    teams = visit.teams or ()
    return visit.show(
        "home.html",
        status=200 if error is None else error.status,
        headers=None if error is None else error.headers,
        form={name: form.get(name, "") for name in ("write_up", *_FIELDS)},
        error=error,
        teams=sorted(teams) if len(teams) > 1 else [],
        most_bytes=visit.service.max_write_up_bytes,
        **await _latest(visit),
    )


async def _latest(visit: Visit) -> dict[str, Any]:
    listed = await visit.store.incidents.list_posted(_LATEST, visit.teams)
    return {
        "latest": listed,
        "headlines": await visit.headlines(listed),
        "is_waiting": any(incident.status == "pending" for incident in listed),
    }


def _parse(form: FormFields | Mapping[str, str]) -> NewIncident:
    """The incident in a form. Fields override the front matter of the Markdown text. Raises `InvalidInput`."""
    text = form.get("write_up", "")
    if not text.strip():
        raise InvalidInput("There is no write-up: paste or type what happened, then send it.", field="write_up")
    fields = {name: value.strip() for name in _FIELDS if (value := form.get(name, "")).strip()}
    try:
        return NewIncident.model_validate(parse_markdown(text, has_title="title" in fields) | fields)
    except ValidationError as error:
        raise InvalidFields.of(error) from error
