"""Sections of an incident's record, such as timeline and annotations: parts of its page, or pages of their own."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic import BaseModel

from triage.domain.annotation import Annotation
from triage.domain.triage_result import Triage
from triage.insights.timeline import timeline
from triage.render.tables import Column, Row, Table
from triage.server.api.access import requires
from triage.server.api.answers import IncidentAnswer
from triage.server.api.incidents import summary_of
from triage.server.api.parameters import IncidentInPath
from triage.server.web.downloads import MARKDOWN, TableFormat, attachment, table_file
from triage.server.web.rendering import page_router
from triage.server.web.visit import REVEALS_LABELS, AdministratorVisit, ReaderVisit, Visit

router = page_router([requires("read"), REVEALS_LABELS])

_MOST = 100
_MOST_TRIAGES = 20


class IncidentFile(BaseModel, frozen=True):
    """The export of an incident as JSON."""

    incident: IncidentAnswer
    triage: Triage | None
    annotations: tuple[Annotation, ...]


@router.get("/incidents/{incident_id}/timeline")
async def show_timeline(visit: ReaderVisit, incident_id: IncidentInPath) -> Response:
    store = visit.store
    stored = await store.incidents.get(incident_id)
    triages = await store.triages.list(incident_id, _MOST_TRIAGES)
    annotations = await store.annotations.list(incident_id)
    # Only administrators see the recipients of notifications, as in the API.
    sent = await store.notifications.list(incident_id=incident_id, limit=_MOST) if visit.principal.may("admin") else []
    events = timeline(stored, triages, annotations, sent)
    return show_section(visit, incident_id, "timeline", events=events)


@router.get("/incidents/{incident_id}/annotations")
async def show_annotations(visit: ReaderVisit, incident_id: IncidentInPath) -> Response:
    await visit.store.incidents.get(incident_id)
    annotations = await visit.store.annotations.list(incident_id)
    return show_section(visit, incident_id, "annotations", annotations=annotations[::-1])


@router.get("/incidents/{incident_id}/annotations.{extension}")
async def annotations_file(visit: ReaderVisit, incident_id: IncidentInPath, extension: TableFormat) -> Response:
    await visit.store.incidents.get(incident_id)
    names = ("created_at", "facet", "labels", "annotator", "origin", "is_gold", "saw_model", "note")
    rows = [
        Row(
            (
                annotation.created_at.isoformat(),
                annotation.facet,
                ";".join(annotation.answer),
                annotation.annotator,
                annotation.origin,
                int(annotation.is_gold),
                None if annotation.saw_model is None else int(annotation.saw_model),
                annotation.note,
            )
        )
        for annotation in await visit.store.annotations.list(incident_id)
    ]
    title = f"Annotations of {incident_id}"
    table = Table("annotations", title, "Oldest first.", tuple(map(Column, names)), tuple(rows))
    return table_file(table, extension, incident_id)


@router.get("/incidents/{incident_id}/triages")
async def show_triages(visit: ReaderVisit, incident_id: IncidentInPath) -> Response:
    await visit.store.incidents.get(incident_id)
    made = await visit.store.triages.list(incident_id, _MOST_TRIAGES)
    return show_section(visit, incident_id, "triages", made=made)


@router.get("/incidents/{incident_id}/provenance")
async def show_provenance(visit: ReaderVisit, incident_id: IncidentInPath) -> Response:
    stored = await visit.store.incidents.get(incident_id)
    triage = await visit.store.triages.find(incident_id)
    return show_section(visit, incident_id, "provenance", stored=stored, triage=triage)


@router.get("/incidents/{incident_id}/audit")
async def show_audit(visit: AdministratorVisit, incident_id: IncidentInPath) -> Response:
    page = await visit.store.audit.list(_MOST, None, incident_id, visit.teams)
    return show_section(visit, incident_id, "audit", page=page)


@router.get("/incidents/{incident_id}/summary")
async def show_summary(visit: ReaderVisit, incident_id: IncidentInPath) -> Response:
    return show_section(visit, incident_id, "summary", draft=await summary_of(visit.service, incident_id))


@router.get("/incidents/{incident_id}/summary.md")
async def summary_file(visit: ReaderVisit, incident_id: IncidentInPath) -> Response:
    return attachment(await summary_of(visit.service, incident_id), MARKDOWN, f"{incident_id}-summary.md")


@router.get("/incidents/{incident_id}/export.json")
async def export_json(visit: ReaderVisit, incident_id: IncidentInPath) -> Response:
    stored = await visit.store.incidents.get(incident_id)
    content = IncidentFile(
        incident=IncidentAnswer.of(stored),
        triage=await visit.store.triages.find(incident_id),
        annotations=tuple(await visit.store.annotations.list(incident_id)),
    )
    return attachment(content.model_dump_json(indent=1), "application/json", f"{incident_id}.json")


def show_section(visit: Visit, incident_id: str, section: str, **context: Any) -> Response:
    """The section as a part of the incident's page if htmx asks, else as a page of its own."""
    template = f"_incident_{section}.html" if visit.is_part else "incident_section.html"
    return visit.show(template, incident_id=incident_id, section=section, **context)
