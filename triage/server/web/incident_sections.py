"""Sections of an incident's record, such as timeline and annotations: parts of its page, or pages of their own."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from triage.domain.annotation import Annotation
from triage.domain.taxonomy import DisplayNames
from triage.domain.triage_result import Triage
from triage.insights.timeline import timeline
from triage.render.tables import Column, Row, Table
from triage.server.api.access import Administrator, Reader, requires
from triage.server.api.answers import IncidentAnswer
from triage.server.api.incidents import summary_of
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import REVEALS_LABELS
from triage.server.web.downloads import MARKDOWN, TableFormat, attachment, table_file
from triage.server.web.rendering import is_part, page_router, show

router = page_router([requires("read"), REVEALS_LABELS])

_MOST = 100
_MOST_TRIAGES = 20


class IncidentFile(BaseModel, frozen=True):
    """The export of an incident as JSON."""

    incident: IncidentAnswer
    triage: Triage | None
    annotations: tuple[Annotation, ...]


@router.get("/incidents/{incident_id}/timeline")
async def show_timeline(request: Request, service: Parts, principal: Reader, incident_id: IncidentInPath) -> Response:
    store = service.store
    stored = await store.incidents.get(incident_id)
    triages = await store.triages.list(incident_id, _MOST_TRIAGES)
    annotations = await store.annotations.list(incident_id)
    # Only administrators see the recipients of notifications, as in the API.
    sent = await store.notifications.list(incident_id=incident_id, limit=_MOST) if principal.may("admin") else []
    events = timeline(stored, triages, annotations, sent)
    return show_section(request, service, incident_id, "timeline", events=events)


@router.get("/incidents/{incident_id}/annotations")
async def show_annotations(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    await service.store.incidents.get(incident_id)
    annotations = await service.store.annotations.list(incident_id)
    return show_section(request, service, incident_id, "annotations", annotations=annotations[::-1])


@router.get("/incidents/{incident_id}/annotations.{extension}")
async def annotations_file(service: Parts, incident_id: IncidentInPath, extension: TableFormat) -> Response:
    await service.store.incidents.get(incident_id)
    names = ("created_at", "facet", "labels", "annotator", "origin", "is_gold", "saw_model", "note")
    rows = [
        Row(
            (
                annotation.created_at.isoformat(),
                annotation.facet,
                ";".join(annotation.labels),
                annotation.annotator,
                annotation.origin,
                int(annotation.is_gold),
                None if annotation.saw_model is None else int(annotation.saw_model),
                annotation.note,
            )
        )
        for annotation in await service.store.annotations.list(incident_id)
    ]
    title = f"Annotations of {incident_id}"
    table = Table("annotations", title, "Oldest first.", tuple(map(Column, names)), tuple(rows))
    return table_file(table, extension, incident_id)


@router.get("/incidents/{incident_id}/triages")
async def show_triages(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    await service.store.incidents.get(incident_id)
    made = await service.store.triages.list(incident_id, _MOST_TRIAGES)
    return show_section(request, service, incident_id, "triages", made=made)


@router.get("/incidents/{incident_id}/provenance")
async def show_provenance(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    stored = await service.store.incidents.get(incident_id)
    triage = await service.store.triages.find(incident_id)
    return show_section(request, service, incident_id, "provenance", stored=stored, triage=triage)


@router.get("/incidents/{incident_id}/audit")
async def show_audit(
    request: Request, service: Parts, principal: Administrator, incident_id: IncidentInPath
) -> Response:
    page = await service.store.audit.list(_MOST, None, incident_id, principal.teams)
    return show_section(request, service, incident_id, "audit", page=page)


@router.get("/incidents/{incident_id}/summary")
async def show_summary(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    return show_section(request, service, incident_id, "summary", draft=await summary_of(service, incident_id))


@router.get("/incidents/{incident_id}/summary.md")
async def summary_file(service: Parts, incident_id: IncidentInPath) -> Response:
    return attachment(await summary_of(service, incident_id), MARKDOWN, f"{incident_id}-summary.md")


@router.get("/incidents/{incident_id}/export.json")
async def export_json(service: Parts, incident_id: IncidentInPath) -> Response:
    stored = await service.store.incidents.get(incident_id)
    content = IncidentFile(
        incident=IncidentAnswer.of(stored),
        triage=await service.store.triages.find(incident_id),
        annotations=tuple(await service.store.annotations.list(incident_id)),
    )
    return attachment(content.model_dump_json(indent=1), "application/json", f"{incident_id}.json")


def show_section(request: Request, service: Service, incident_id: str, section: str, **context: Any) -> Response:
    """The section as a part of the incident's page if htmx asks, else as a page of its own."""
    taxonomy = service.casebook.taxonomy
    return show(
        request,
        f"_incident_{section}.html" if is_part(request) else "incident_section.html",
        incident_id=incident_id,
        section=section,
        names=DisplayNames(taxonomy),
        taxonomy=taxonomy,
        **context,
    )
