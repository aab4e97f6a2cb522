"""One incident: how far it is, what the triage says with its evidence, what resembles it, and what helped then."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from triage.domain.principal import Principal
from triage.domain.triage_result import Triage
from triage.intake.markdown import write_markdown
from triage.labels.annotation_job.draft import Corrections
from triage.pipeline.pipeline import STEPS
from triage.server.api.access import Poster, Reader, requires
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import annotator_of
from triage.server.web.beside import beside
from triage.server.web.blind import is_withheld
from triage.server.web.downloads import MARKDOWN, kept_file
from triage.server.web.incident_sheet import Sheet, read_sheet, sheet_shown
from triage.server.web.passages import read
from triage.server.web.rendering import go_to, page_router, show
from triage.server.web.visible import visible
from triage.server.web.words import incident_path
from triage.store import StoredIncident

router = page_router()

_STEP_NAMES = {
    "redact": "Take out secrets and personal data",
    "withhold": "Set aside what reads like orders to a model",
    "retrieve": "Find similar incidents",
    "learn": "Learn from the history",
    "classify": "Ask for labels and evidence",
    "contrast": "Tell it from the nearest other kind",
    "suggest": "Rank mitigations",
}
_SHOWN_CHARACTERS = 40_000
"""Of a longer write-up the page shows so much, unless asked for all of it."""


@router.get("/incidents/{incident_id}")
async def incident(
    request: Request,
    service: Parts,
    who: Reader,
    incident_id: IncidentInPath,
    whole: bool = False,
    see: bool = False,
) -> Response:
    """Show an incident; to who has yet to label it blind without what the triage says, unless they want to `see` it."""
    sheet = await read_sheet(request, service, incident_id)
    if await is_withheld(request, service, incident_id, see=see):
        known = {"stored": sheet.stored, "incident": sheet.stored.incident, **_write_up(None, sheet, whole=whole)}
        return show(request, "incident_blind.html", **known)
    return await show_incident(request, service, who, sheet, whole=whole)


@router.get("/incidents/{incident_id}/progress", dependencies=[requires("read")])
async def progress(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Show how far it is, as a part of its page; when there is more to see, the whole page is loaded anew."""
    stored = await service.store.incidents.get(incident_id)
    if not _is_under_way(stored):
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return show(request, "_incident_progress.html", stored=stored, **await _progress(service, stored))


@router.get("/incidents/{incident_id}/export.md", dependencies=[requires("read")])
async def export_markdown(service: Parts, incident_id: IncidentInPath) -> Response:
    """Send the incident as a file that can be posted and classified again: front matter and write-up."""
    stored = await service.store.incidents.get(incident_id)
    return kept_file(write_markdown(stored.incident), MARKDOWN, f"{incident_id}.md")


@router.post("/incidents/{incident_id}/triage")
async def triage(request: Request, service: Parts, who: Poster, incident_id: IncidentInPath) -> Response:  # noqa: ARG001 - says the scope
    """Have an incident triaged that failed for good, or came in as history."""
    stored = await service.store.incidents.get(incident_id)
    await service.intake.take_in(stored.incident, stored.team)
    return go_to(request, incident_path(incident_id))


async def show_incident(
    request: Request, service: Service, who: Principal, sheet: Sheet, *, whole: bool = False, status: int = 200
) -> Response:
    """The page of an incident, with the labels as they stand on the sheet."""
    stored, triage = sheet.stored, sheet.triage
    annotator = annotator_of(request)
    if triage is not None and annotator and who.may("annotate"):
        # Whoever labels it later, also elsewhere, has seen what the triage says.
        await Corrections(service.casebook, service.store).show(stored.incident.id, annotator)
    known = {
        "stored": stored,
        "incident": stored.incident,
        "triage": triage,
        "is_under_way": _is_under_way(stored),
        **sheet_shown(sheet, who, service.casebook.taxonomy),
        **_write_up(triage, sheet, whole=whole),
    }
    if known["is_under_way"]:
        known |= await _progress(service, stored)
    if triage is not None:
        known |= await _similar(service, who, sheet, triage)
    return show(request, "incident.html", status=status, **known)


def _is_under_way(stored: StoredIncident) -> bool:
    return stored.status == "pending" or (stored.status == "failed" and stored.retry_at is not None)


async def _progress(service: Service, stored: StoredIncident) -> dict[str, Any]:
    phase = await service.jobs.phase(stored) if stored.status == "pending" else "retry"
    at = len(STEPS) if phase == "done" else STEPS.index(phase) if phase in STEPS else -1
    steps = [
        (_STEP_NAMES.get(step, step), "done" if place < at else "now" if place == at else "")
        for place, step in enumerate(STEPS)
    ]
    return {"phase": phase, "steps": steps}


def _write_up(triage: Triage | None, sheet: Sheet, *, whole: bool) -> dict[str, Any]:
    """The text, each piece with the facets that it is evidence for by this triage."""
    evidence = {facet: result.evidence for facet, result in triage.facets.items()} if triage else {}
    return {
        "text": read(sheet.stored.incident, evidence, None if whole else _SHOWN_CHARACTERS),
        "numbers": {row.facet.id: row.place for row in sheet.rows},
    }


async def _similar(service: Service, who: Principal, sheet: Sheet, triage: Triage) -> dict[str, Any]:
    """Neighbours and mitigations, and which of the incidents behind them may be seen."""
    taxonomy = service.casebook.taxonomy
    suggestions = triage.suggestions
    contrast = triage.contrast
    ids = {neighbour.incident_id for neighbour in triage.neighbours}
    ids |= {supporter.incident_id for each in suggestions for supporter in each.supporters}
    ids |= {step.incident_id for each in suggestions for step in each.steps}
    ids |= {one.incident_id for one in (contrast.same, contrast.different) if one} if contrast else set()
    return {
        "beside": [beside(taxonomy, sheet.labels, neighbour) for neighbour in triage.neighbours],
        "supported": [one for one in suggestions if not one.is_general_advice],
        "general": [one for one in suggestions if one.is_general_advice],
        "contrast": contrast,
        "visible": await visible(service, who, ids),
        "mitigation": taxonomy.mitigation,
    }
