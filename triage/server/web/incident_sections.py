"""What else is known of one incident, section by section: a part of its page, or a page of its own."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from triage.domain.annotation import Annotation
from triage.domain.taxonomy import DisplayNames
from triage.domain.triage_result import Triage
from triage.insights.timeline import timeline
from triage.render.tables import Column, Table
from triage.render.tables import Row as TableRow
from triage.server.api.access import Administrator, Reader, requires
from triage.server.api.answers import IncidentAnswer
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.api.summary import summary_of
from triage.server.web.blind import TELLS
from triage.server.web.downloads import MARKDOWN, TableFormat, kept_file, table_file
from triage.server.web.rendering import is_part, page_router, show

router = page_router([requires("read"), TELLS])

_MOST = 100
_MOST_TRIAGES = 20


class IncidentFile(BaseModel, frozen=True):
    """All that is kept of one incident, as a file."""

    incident: IncidentAnswer
    triage: Triage | None
    annotations: tuple[Annotation, ...]


@router.get("/incidents/{incident_id}/timeline")
async def show_timeline(request: Request, service: Parts, who: Reader, incident_id: IncidentInPath) -> Response:
    """Show what happened, in order."""
    store = service.store
    stored = await store.incidents.get(incident_id)
    # To whom it was told is an administrator's business, as at the API.
    told = await store.notifications.list(incident_id=incident_id, limit=_MOST) if who.may("admin") else []
    events = timeline(
        stored, await store.triages.list(incident_id, _MOST_TRIAGES), await store.annotations.list(incident_id), told
    )
    return show_section(request, service, incident_id, "timeline", events=events)


@router.get("/incidents/{incident_id}/annotations")
async def show_annotations(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Show who labelled what, newest first."""
    await service.store.incidents.get(incident_id)
    annotations = await service.store.annotations.list(incident_id)
    return show_section(request, service, incident_id, "annotations", annotations=annotations[::-1])


@router.get("/incidents/{incident_id}/annotations.{ending}")
async def get_annotations(service: Parts, incident_id: IncidentInPath, ending: TableFormat) -> Response:
    """Send the annotations as a file."""
    await service.store.incidents.get(incident_id)
    annotations = await service.store.annotations.list(incident_id)
    names = ("created_at", "facet", "labels", "annotator", "origin", "is_gold", "saw_model", "note")
    rows = [
        TableRow(
            (
                one.created_at.isoformat(),
                one.facet,
                ";".join(one.labels),
                one.annotator,
                one.origin,
                int(one.is_gold),
                None if one.saw_model is None else int(one.saw_model),
                one.note,
            )
        )
        for one in annotations
    ]
    table = Table(
        "annotations", f"Annotations of {incident_id}", "Oldest first.", tuple(map(Column, names)), tuple(rows)
    )
    return table_file(table, ending, incident_id)


@router.get("/incidents/{incident_id}/triages")
async def show_triages(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Show every triage of the incident, newest first."""
    await service.store.incidents.get(incident_id)
    made = await service.store.triages.list(incident_id, _MOST_TRIAGES)
    return show_section(request, service, incident_id, "triages", made=made)


@router.get("/incidents/{incident_id}/provenance")
async def show_provenance(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Show where the latest triage comes from, and what it took."""
    stored = await service.store.incidents.get(incident_id)
    return show_section(
        request, service, incident_id, "provenance", stored=stored, triage=await service.store.triages.find(incident_id)
    )


@router.get("/incidents/{incident_id}/audit")
async def show_audit(request: Request, service: Parts, who: Administrator, incident_id: IncidentInPath) -> Response:
    """Show who changed what."""
    page = await service.store.audit.list(_MOST, None, incident_id, who.teams)
    return show_section(request, service, incident_id, "audit", page=page)


@router.get("/incidents/{incident_id}/summary")
async def show_summary(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Show the draft of a post-incident summary."""
    return show_section(request, service, incident_id, "summary", draft=await summary_of(service, incident_id))


@router.get("/incidents/{incident_id}/summary.md")
async def get_summary(service: Parts, incident_id: IncidentInPath) -> Response:
    """Send that draft as a file."""
    return kept_file(await summary_of(service, incident_id), MARKDOWN, f"{incident_id}-summary.md")


@router.get("/incidents/{incident_id}/export.json")
async def export_json(service: Parts, incident_id: IncidentInPath) -> Response:
    """Send the incident, its latest triage and its annotations as a file."""
    stored = await service.store.incidents.get(incident_id)
    content = IncidentFile(
        incident=IncidentAnswer.of(stored),
        triage=await service.store.triages.find(incident_id),
        annotations=tuple(await service.store.annotations.list(incident_id)),
    )
    return kept_file(content.model_dump_json(indent=1), "application/json", f"{incident_id}.json")


def show_section(request: Request, service: Service, incident_id: str, section: str, **known: Any) -> Response:
    """The section as a part of its page where the script asks for it, else by itself."""
    template = f"_incident_{section}.html" if is_part(request) else "incident_section.html"
    names = DisplayNames(service.casebook.taxonomy)
    return show(
        request,
        template,
        incident_id=incident_id,
        section=section,
        names=names,
        taxonomy=service.casebook.taxonomy,
        **known,
    )
