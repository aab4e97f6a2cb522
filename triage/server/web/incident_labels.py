"""Confirm and correct the labels on the page of an incident."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from triage.domain.annotation import NOT_TOLD, Annotation, Labels
from triage.domain.errors import InvalidInput, Outdated
from triage.domain.taxonomy import Taxonomy
from triage.labels.annotation_job.corrections import Draft, check_given
from triage.render.quantities import plural
from triage.server.api.access import requires
from triage.server.api.parameters import IncidentInPath
from triage.server.web.forms import FormFields, read_form
from triage.server.web.incident import Sheet, read_sheet, sheet_context, show_incident
from triage.server.web.incident_sections import show_section
from triage.server.web.label import read_note
from triage.server.web.rendering import page_router, remember_annotator
from triage.server.web.template_filters import incident_path
from triage.server.web.visit import REVEALS_LABELS, AnnotatorVisit, Visit

router = page_router([requires("annotate"), REVEALS_LABELS])

_MOST_BYTES = 20_000


@router.post("/incidents/{incident_id}/labels")
async def label(visit: AnnotatorVisit, incident_id: IncidentInPath) -> Response:
    """Pick, toggle or save labels, depending on the button."""
    taxonomy = visit.taxonomy
    form = await read_form(visit.request, _MOST_BYTES)
    draft = Draft(_labels(taxonomy, form, "shown"), _labels(taxonomy, form, "chosen"))
    options: dict[str, Any] = {"is_gold": form.get("gold") == "yes", "note": read_note(form, "note")}
    if "save" in form:
        return await _save(visit, incident_id, form, draft, **options)
    for button, change in (("pick", draft.pick), ("toggle", draft.toggle)):
        if button in form:
            draft = change(taxonomy, *_parse(form[button]))
    sheet = await read_sheet(visit, incident_id, draft, is_picked=True, **options)
    return await _show_sheet(visit, sheet)


@router.post("/incidents/{incident_id}/preview")
async def preview(visit: AnnotatorVisit, incident_id: IncidentInPath) -> Response:
    """Show which recent incidents would change if the chosen labels joined the history as gold."""
    chosen = _labels(visit.taxonomy, await read_form(visit.request, _MOST_BYTES), "chosen")
    # Nothing is stored, so the annotator's name does not matter.
    annotations = [
        Annotation(incident_id=incident_id, facet=facet, labels=labels, annotator="preview", is_gold=True)
        for facet, labels in chosen.items()
    ]
    effect = await visit.service.previewer.preview(incident_id, annotations, visit.teams)
    return show_section(visit, incident_id, "preview", found=effect)


async def _save(
    visit: Visit, incident_id: str, form: FormFields, draft: Draft, *, is_gold: bool, note: str
) -> Response:
    annotator = visit.required_annotator(form.get("annotator", ""))
    labels = draft.corrected if form["save"] == "corrected" else draft.chosen
    sheet = await read_sheet(visit, incident_id)
    if confirmed := {facet: ids for facet, ids in draft.confirmed.items() if facet in labels}:
        if form.get("run", "") != sheet.run_id:
            raise Outdated("The incident was triaged again meanwhile: load the page anew, then confirm its labels.")
        check_given(visit.taxonomy, confirmed, Draft.of(visit.taxonomy, sheet.shown).shown)
    shown = sheet.run if form.get("run", "") == sheet.run_id else None
    annotations = await visit.corrections.give(incident_id, labels, annotator, shown=shown, is_gold=is_gold, note=note)
    if visit.is_part:
        saved = f"Saved: {plural(len(annotations), 'label')} by {annotator}"
        saved += ", and part of the history." if is_gold else "."
        sheet = await read_sheet(visit, incident_id, is_gold=is_gold, saved=saved)
        response = await _show_sheet(visit, sheet)
        response.headers["HX-Trigger"] = "annotated"
    else:
        response = visit.go_to(incident_path(incident_id))
    remember_annotator(response, annotator)
    return response


async def _show_sheet(visit: Visit, sheet: Sheet) -> Response:
    """The sheet as a part of the page; without JavaScript the whole page."""
    if not visit.is_part:
        return await show_incident(visit, sheet)
    return visit.show("_incident_labels.html", **sheet_context(visit, sheet))


def _labels(taxonomy: Taxonomy, form: FormFields, field: str) -> Labels:
    """The labels in the form's hidden fields. Raises `UnknownFacet` or `UnknownLabel`."""
    labels: Labels = {}
    for value in form.getlist(field):
        facet, label = _parse(value)
        ids = () if label == NOT_TOLD else (taxonomy.facet(facet).label(label).id,)
        labels[facet] = (*labels.get(facet, ()), *ids)
    return labels


def _parse(value: str) -> tuple[str, str]:
    facet, separator, label = value.partition(":")
    if not separator:
        raise InvalidInput(f"{value!r} names no facet with a label: load the page anew.", field="labels")
    return facet, label
