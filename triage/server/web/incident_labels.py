"""Confirm and correct the labels on the page of an incident."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from triage.domain.annotation import Annotation, Labels
from triage.domain.errors import InvalidInput
from triage.domain.principal import Principal
from triage.domain.taxonomy import DisplayNames, Taxonomy
from triage.labels.annotation_job.corrections import Corrections, Draft
from triage.render.quantities import plural
from triage.server.api.access import Annotator, requires
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import REVEALS_LABELS, remember_annotator, required_annotator
from triage.server.web.forms import Form, read_form
from triage.server.web.incident import show_incident
from triage.server.web.label_sheet import Sheet, read_sheet, sheet_context
from triage.server.web.questions import read_note
from triage.server.web.rendering import go_to, is_part, page_router, show
from triage.server.web.template_filters import incident_path

router = page_router([requires("annotate"), REVEALS_LABELS])

_MOST_BYTES = 20_000


@router.post("/incidents/{incident_id}/labels")
async def label(request: Request, service: Parts, principal: Annotator, incident_id: IncidentInPath) -> Response:
    """Pick, toggle or save labels, depending on the button."""
    taxonomy = service.casebook.taxonomy
    form = await read_form(request, _MOST_BYTES)
    draft = Draft(_labels(taxonomy, form, "shown"), _labels(taxonomy, form, "chosen"))
    options: dict[str, Any] = {"is_gold": form.get("gold") == "yes", "note": read_note(form, "note")}
    if "save" in form:
        return await _save(request, service, principal, incident_id, form, draft, **options)
    for button, change in (("pick", draft.pick), ("toggle", draft.toggle)):
        if button in form:
            draft = change(taxonomy, *_parse(form[button]))
    sheet = await read_sheet(request, service, incident_id, draft, is_picked=True, **options)
    return await _show_sheet(request, service, principal, sheet)


@router.post("/incidents/{incident_id}/preview")
async def preview(request: Request, service: Parts, principal: Annotator, incident_id: IncidentInPath) -> Response:
    """Show which recent incidents would change if the chosen labels joined the history as gold."""
    taxonomy = service.casebook.taxonomy
    chosen = _labels(taxonomy, await read_form(request, _MOST_BYTES), "chosen")
    # Nothing is stored, so the annotator's name does not matter.
    annotations = [
        Annotation(incident_id=incident_id, facet=facet, labels=labels, annotator="preview", is_gold=True)
        for facet, labels in chosen.items()
    ]
    found = await service.previewer.preview(incident_id, annotations, principal.teams)
    template = "_incident_preview.html" if is_part(request) else "incident_section.html"
    names = DisplayNames(taxonomy)
    return show(request, template, incident_id=incident_id, section="preview", found=found, names=names)


async def _save(
    request: Request,
    service: Service,
    principal: Principal,
    incident_id: str,
    form: Form,
    draft: Draft,
    *,
    is_gold: bool,
    note: str,
) -> Response:
    annotator = required_annotator(request, form.get("annotator", ""))
    labels = draft.corrected if form["save"] == "corrected" else draft.chosen
    corrections = Corrections(service.casebook, service.store)
    given = await corrections.give(incident_id, labels, annotator, is_gold=is_gold, note=note)
    if is_part(request):
        saved = f"Saved: {plural(len(given), 'label')} by {annotator}"
        saved += ", and part of the history." if is_gold else "."
        sheet = await read_sheet(request, service, incident_id, is_gold=is_gold, saved=saved)
        response = await _show_sheet(request, service, principal, sheet)
        response.headers["HX-Trigger"] = "annotated"
    else:
        response = go_to(request, incident_path(incident_id))
    remember_annotator(response, annotator)
    return response


async def _show_sheet(request: Request, service: Service, principal: Principal, sheet: Sheet) -> Response:
    """The sheet as a part of the page; without JavaScript the whole page."""
    if not is_part(request):
        return await show_incident(request, service, principal, sheet)
    return show(request, "_incident_labels.html", **sheet_context(sheet, principal, service.casebook.taxonomy))


def _labels(taxonomy: Taxonomy, form: Form, field: str) -> Labels:
    """The labels in the form's hidden fields. Raises `UnknownFacet` or `UnknownLabel`."""
    labels: Labels = {}
    for value in form.getlist(field):
        facet, label = _parse(value)
        labels[facet] = (*labels.get(facet, ()), taxonomy.facet(facet).label(label).id)
    return labels


def _parse(value: str) -> tuple[str, str]:
    facet, separator, label = value.partition(":")
    if not separator:
        raise InvalidInput(f"{value!r} names no facet with a label: load the page anew.", field="labels")
    return facet, label
