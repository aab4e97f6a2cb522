"""Confirming and correcting the labels of an incident on its page."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from triage.domain.annotation import Annotation, Labels
from triage.domain.errors import InvalidInput
from triage.domain.principal import Principal
from triage.domain.taxonomy import DisplayNames, Taxonomy
from triage.labels.annotation_job.draft import Corrections, Draft
from triage.render.quantities import plural
from triage.server.api.access import Annotator, requires
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import remember_annotator, required_annotator
from triage.server.web.blind import TELLS
from triage.server.web.choices import read_note
from triage.server.web.forms import Form, read_form
from triage.server.web.incident import show_incident
from triage.server.web.incident_sheet import Sheet, read_sheet, sheet_shown
from triage.server.web.rendering import go_to, is_part, page_router, show
from triage.server.web.words import incident_path

router = page_router([requires("annotate"), TELLS])

_MOST_BYTES = 20_000


@router.post("/incidents/{incident_id}/labels")
async def label(request: Request, service: Parts, who: Annotator, incident_id: IncidentInPath) -> Response:
    """Choose a label, or keep what was chosen: the button that was pressed says which."""
    taxonomy = service.casebook.taxonomy
    form = await read_form(request, _MOST_BYTES)
    draft = Draft(_labels(taxonomy, form, "shown"), _labels(taxonomy, form, "chosen"))
    given = {"is_gold": form.get("gold") == "yes", "note": read_note(form, "note")}
    if "save" in form:
        return await _save(request, service, who, incident_id, form, draft, given)
    for button, change in (("pick", draft.pick), ("toggle", draft.toggle)):
        if button in form:
            draft = change(taxonomy, *_named(form[button]))
    sheet = await read_sheet(request, service, incident_id, draft, is_picked=True, **given)
    return await _answer(request, service, who, sheet)


@router.post("/incidents/{incident_id}/preview")
async def preview(request: Request, service: Parts, who: Annotator, incident_id: IncidentInPath) -> Response:
    """Show which other recent incidents would be decided otherwise if what is chosen joined the history as gold."""
    taxonomy = service.casebook.taxonomy
    chosen = _labels(taxonomy, await read_form(request, _MOST_BYTES), "chosen")
    # Nobody's name: nothing is stored, and a person's newest gold label counts whoever gives it.
    given = [
        Annotation(incident_id=incident_id, facet=facet, labels=labels, annotator="preview", is_gold=True)
        for facet, labels in chosen.items()
    ]
    found = await service.previewer.preview(incident_id, given, who.teams)
    template = "_incident_preview.html" if is_part(request) else "incident_section.html"
    return show(
        request, template, incident_id=incident_id, section="preview", found=found, names=DisplayNames(taxonomy)
    )


async def _save(
    request: Request,
    service: Service,
    who: Principal,
    incident_id: str,
    form: Form,
    draft: Draft,
    given: dict[str, Any],
) -> Response:
    annotator = required_annotator(request, form.get("annotator", ""))
    labels = draft.corrected if form["save"] == "corrected" else draft.chosen
    kept = await Corrections(service.casebook, service.store).give(
        incident_id, labels, annotator, is_gold=given["is_gold"], note=given["note"]
    )
    if not is_part(request):
        response = go_to(request, incident_path(incident_id))
    else:
        told = f"Saved: {plural(len(kept), 'label')} by {annotator}"
        told += ", and part of the history." if given["is_gold"] else "."
        sheet = await read_sheet(request, service, incident_id, is_gold=given["is_gold"], saved=told)
        response = await _answer(request, service, who, sheet)
        response.headers["HX-Trigger"] = "annotated"
    remember_annotator(response, annotator)
    return response


async def _answer(request: Request, service: Service, who: Principal, sheet: Sheet) -> Response:
    """The sheet as a part of the page, without the script the whole page."""
    if not is_part(request):
        return await show_incident(request, service, who, sheet)
    return show(request, "_incident_labels.html", **sheet_shown(sheet, who, service.casebook.taxonomy))


def _labels(taxonomy: Taxonomy, form: Form, field: str) -> Labels:
    """The labels that the form carries along. Raises `UnknownFacet` or `UnknownLabel`."""
    labels: Labels = {}
    for each in form.getlist(field):
        facet, label = _named(each)
        labels[facet] = (*labels.get(facet, ()), taxonomy.facet(facet).label(label).id)
    return labels


def _named(value: str) -> tuple[str, str]:
    facet, separator, label = value.partition(":")
    if not separator:
        raise InvalidInput(f"{value!r} names no facet with a label: load the page anew.", field="labels")
    return facet, label
