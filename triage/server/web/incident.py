"""The page of an incident: its progress, triage with evidence, labels, similar incidents, and what helped in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from fastapi import Response

from triage.domain.annotation import NOT_TOLD, Annotation, Labels
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.domain.triage_result import Evidence, FacetResult, LabelProbability, Neighbour, Triage
from triage.insights.summary.material import FacetLabel
from triage.intake.markdown import write_markdown
from triage.labels.annotation_job.corrections import Draft
from triage.pipeline.pipeline import STEPS
from triage.server.api.parameters import IncidentInPath
from triage.server.web.downloads import MARKDOWN, attachment
from triage.server.web.rendering import page_router
from triage.server.web.template_filters import incident_path
from triage.server.web.visit import PosterVisit, ReaderVisit, Visit
from triage.store import StoredIncident, TriageRun

router = page_router()

_STEP_NAMES = {
    "redact": "Take out secrets and personal data",
    "withhold": "Set aside what reads like orders to a model",
    "retrieve": "Find similar incidents",
    "learn": "Learn from the history",
    "decide": "Label from the history",
    "classify": "Ask for labels and evidence",
    "contrast": "Tell it from the nearest other kind",
    "suggest": "Rank mitigations",
}
_SHOWN_CHARACTERS = 40_000
"""Of longer write-ups, the page shows only so much unless asked for the whole."""

Verdict = Literal["same", "partly", "different", "open"]
"""`partly`: they share labels, but not all or not the primary one. `open`: the incident itself has no label."""


class FacetComparison(NamedTuple):
    """The labels of one facet: `here` the incident's own, `there` the neighbour's."""

    facet: Facet
    here: tuple[str, ...]
    there: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether the labels are the same; in a facet with a primary label, whether that is."""
        if not self.here:
            return "open"
        is_ordered = self.facet.cardinality == "primary_first"
        if self.here[:1] == self.there[:1] if is_ordered else set(self.here) == set(self.there):
            return "same"
        return "partly" if set(self.here) & set(self.there) else "different"


class NeighbourComparison(NamedTuple):
    """A similar incident with the comparison of its labels, and the mitigations known to have been used in it."""

    neighbour: Neighbour
    facets: tuple[FacetComparison, ...]
    mitigations: tuple[str, ...]


class TextSpan(NamedTuple):
    """A piece of a text, the facets that it is evidence for, and those whose evidence starts with it."""

    text: str
    facets: tuple[str, ...] = ()
    starting: tuple[str, ...] = ()


class HighlightedText(NamedTuple):
    """Title and write-up with evidence marked. `is_cut` if this is only the beginning of the write-up."""

    title: list[TextSpan]
    write_up: list[TextSpan]
    is_cut: bool


@router.get("/incidents/{incident_id}")
async def incident(visit: ReaderVisit, incident_id: IncidentInPath, whole: bool = False, see: bool = False) -> Response:
    """Show an incident, but to annotators who have yet to label it blind no triage unless they ask to `see` it."""
    sheet = await read_sheet(visit, incident_id)
    if await visit.is_withheld(incident_id, see=see):
        context = {"stored": sheet.stored, "incident": sheet.stored.incident, **_text(sheet, None, whole=whole)}
        return visit.show("incident_blind.html", **context)
    return await show_incident(visit, sheet, whole=whole)


@router.get("/incidents/{incident_id}/progress")
async def progress(visit: ReaderVisit, incident_id: IncidentInPath, provisional: bool = False) -> Response:
    """Show the progress of the triage, as a part of the page.

    The whole page is loaded again when the triage ends, and when there is a provisional one which it does not show yet.
    """
    stored = await visit.store.incidents.get(incident_id)
    is_new = not provisional and await visit.store.triages.find_provisional(incident_id) is not None
    if is_new or not _is_under_way(stored):
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    context = {"stored": stored, "is_provisional": provisional, **await _progress(visit, stored)}
    return visit.show("_incident_progress.html", **context)


@router.get("/incidents/{incident_id}/export.md")
async def export_markdown(visit: ReaderVisit, incident_id: IncidentInPath) -> Response:
    """Send the incident as a Markdown file with front matter, which can be posted again."""
    stored = await visit.store.incidents.get(incident_id)
    return attachment(write_markdown(stored.incident), MARKDOWN, f"{incident_id}.md")


@router.post("/incidents/{incident_id}/triage")
async def triage(visit: PosterVisit, incident_id: IncidentInPath) -> Response:
    """Triage an incident whose triage failed for good, or that was imported."""
    stored = await visit.store.incidents.get(incident_id)
    await visit.service.intake.take_in(stored.incident, stored.team)
    return visit.go_to(incident_path(incident_id))


async def show_incident(visit: Visit, sheet: Sheet, *, whole: bool = False) -> Response:
    """The page of an incident with the labels of this sheet."""
    stored, triage = sheet.stored, sheet.triage
    if triage is not None and visit.annotator and visit.principal.may("annotate"):
        # Labels that they give later, here or elsewhere, count as given after seeing the triage.
        await visit.corrections.show(stored.incident.id, visit.annotator)
    context = {
        "stored": stored,
        "incident": stored.incident,
        "triage": triage,
        "is_under_way": _is_under_way(stored),
        "is_provisional": triage is not None and triage.is_provisional,
        **sheet_context(visit, sheet),
        **_text(sheet, triage, whole=whole),
    }
    if context["is_under_way"]:
        context |= await _progress(visit, stored)
    if triage is not None:
        context |= await _similar(visit, sheet, triage)
    return visit.show("incident.html", **context)


def compare_neighbour(
    taxonomy: Taxonomy, labels: Mapping[str, Sequence[str]], neighbour: Neighbour
) -> NeighbourComparison:
    """Compare a neighbour's labels with an incident's `labels`. Mitigations are listed, not compared."""
    mitigation = taxonomy.mitigation
    facets = [
        FacetComparison(facet, tuple(labels.get(facet.id, ())), there)
        for facet in taxonomy.facets
        if facet is not mitigation and (there := neighbour.labels.get(facet.id, ()))
    ]
    undisclosed = {label.id for label in mitigation.labels if label.undisclosed} if mitigation else set()
    used = neighbour.labels.get(mitigation.id, ()) if mitigation else ()
    mitigations = tuple(label for label in used if label not in undisclosed)
    return NeighbourComparison(neighbour, tuple(facets), mitigations)


def highlight(
    incident: Incident, evidence: Mapping[str, Iterable[Evidence]], most: int | None = None
) -> HighlightedText:
    """Mark evidence (facet -> spans of `Incident.text`) in the title and up to `most` characters of the write-up."""
    title_end, start = len(incident.title), len(incident.text) - len(incident.write_up)
    text = incident.text if most is None else incident.text[: start + most]
    title, write_up, place = [], [], 0
    for span in split_by_evidence(text, evidence, breaks=[title_end, start]):
        # The separator between the two belongs to neither.
        if place < title_end:
            title.append(span)
        elif place >= start:
            write_up.append(span)
        place += len(span.text)
    return HighlightedText(title, write_up, len(text) < len(incident.text))


def split_by_evidence(
    text: str, evidence: Mapping[str, Iterable[Evidence]], breaks: Iterable[int] = ()
) -> list[TextSpan]:
    """Split `text` where evidence (facet -> spans) begins or ends, and at `breaks`. Spans may overlap or exceed it.

    >>> found = split_by_evidence("It broke.", {"what": [Evidence(start=3, end=8, quote="broke")]})
    >>> [(span.text, span.facets) for span in found]
    [('It ', ()), ('broke', ('what',)), ('.', ())]
    """
    spans = [
        (facet, each.start, min(each.end, len(text)))
        for facet, found in evidence.items()
        for each in found
        if each.start < min(each.end, len(text))
    ]
    cuts = {0, len(text), *(place for _, start, end in spans for place in (start, end))}
    cuts |= {place for place in breaks if 0 < place < len(text)}
    return [
        TextSpan(
            text[start:end],
            tuple(dict.fromkeys(facet for facet, first, last in spans if first <= start < last)),
            tuple(dict.fromkeys(facet for facet, first, _ in spans if first == start)),
        )
        for start, end in itertools.pairwise(sorted(cuts))
    ]


def _is_under_way(stored: StoredIncident) -> bool:
    return stored.status == "pending" or (stored.status == "failed" and stored.retry_at is not None)


async def _progress(visit: Visit, stored: StoredIncident) -> dict[str, Any]:
    phase = await visit.service.jobs.phase(stored) if stored.status == "pending" else "retry"
    at = len(STEPS) if phase == "done" else STEPS.index(phase) if phase in STEPS else -1
    steps = [
        (_STEP_NAMES.get(step, step), "done" if place < at else "now" if place == at else "")
        for place, step in enumerate(STEPS)
    ]
    return {"phase": phase, "steps": steps}


def _text(sheet: Sheet, triage: Triage | None, *, whole: bool) -> dict[str, Any]:
    evidence = {facet: result.evidence for facet, result in triage.facets.items()} if triage else {}
    return {
        "text": highlight(sheet.stored.incident, evidence, None if whole else _SHOWN_CHARACTERS),
        "numbers": {row.facet.id: row.place for row in sheet.rows},
    }


async def _similar(visit: Visit, sheet: Sheet, triage: Triage) -> dict[str, Any]:
    """Neighbours and mitigations, and which of the incidents behind them are visible."""
    suggestions, contrast, precedent = triage.suggestions, triage.contrast, triage.precedent
    ids = {neighbour.incident_id for neighbour in triage.neighbours}
    ids |= {supporter.incident_id for suggestion in suggestions for supporter in suggestion.supporters}
    ids |= {step.incident_id for suggestion in suggestions for step in suggestion.steps}
    ids |= {precedent.incident_id} if precedent else set()
    if contrast:
        ids |= {contrasted.incident_id for contrasted in (contrast.same, contrast.different) if contrasted}
    return {
        "comparisons": [compare_neighbour(visit.taxonomy, sheet.labels, neighbour) for neighbour in triage.neighbours],
        "precedent": precedent,
        "nothing_close": triage.nothing_close,
        "suggestions": suggestions,
        "contrast": contrast,
        "visible": await visit.visible(ids),
        "mitigation": visit.taxonomy.mitigation,
    }


_CLOSE = 0.1
"""Labels that were not given are shown from this probability on."""
_MOST_BARS = 4


class SheetRow(NamedTuple):
    """A facet of the sheet. `place` counts from 1; up to 9 it is the facet's key."""

    place: int
    facet: Facet
    current: FacetLabel
    chosen: tuple[str, ...]
    is_corrected: bool

    @property
    def result(self) -> FacetResult | None:
        """The triage of the facet."""
        return self.current.triage

    @property
    def is_calibrated(self) -> bool:
        """True if the probabilities are calibrated, not only scores for ranking."""
        return self.result is not None and self.result.is_calibrated

    @property
    def bars(self) -> list[LabelProbability]:
        """The labels that are given or close, with their probabilities, best first."""
        if self.result is None:
            return []
        given = self.result.labels
        shown = [each for each in self.result.distribution if each.label in given or each.probability >= _CLOSE]
        return shown[:_MOST_BARS]

    def offered(self, chosen: Labels) -> list[tuple[str, list[Label]]]:
        """All labels by the id of their parent label. Those under chosen parents come first."""
        parents = chosen.get(self.facet.parent or "", ())
        ordered = sorted(self.facet.labels, key=lambda label: label.parent not in parents)
        return [
            (parent or "", list(labels))
            for parent, labels in itertools.groupby(ordered, key=lambda label: label.parent)
        ]


class Sheet(NamedTuple):
    """The labels of an incident and the reader's draft. `is_picked` if the reader just picked a label.

    `run` is that of its latest triage. While a model is being asked, `triage` is the provisional one.
    """

    stored: StoredIncident
    run: TriageRun | None
    triage: Triage | None
    annotations: Sequence[Annotation]
    rows: list[SheetRow]
    draft: Draft
    is_gold: bool
    note: str = ""
    saved: str = ""
    is_picked: bool = False

    @property
    def run_id(self) -> str:
        """The id of the run, empty without one."""
        return self.run.run_id if self.run else ""

    @property
    def shown(self) -> Labels:
        """The labels to confirm, as in `labels`, with no labels for a facet that is not told."""
        return self.labels | {row.facet.id: () for row in self.rows if row.current.is_untold}

    @property
    def foreign(self) -> dict[str, FacetResult]:
        """The triage of facets that the taxonomy in use doesn't have."""
        own = {row.facet.id for row in self.rows}
        results = self.triage.facets if self.triage else {}
        return {facet: result for facet, result in results.items() if facet not in own}

    @property
    def labels(self) -> Labels:
        """Facet -> the labels that count: people's before the triage's."""
        return {row.facet.id: row.current.labels for row in self.rows if row.current.labels}


async def read_sheet(visit: Visit, incident_id: str, draft: Draft | None = None, **more: Any) -> Sheet:
    """The sheet of an incident. By default, the draft confirms the labels shown. Raises `NotFound`."""
    taxonomy, store = visit.taxonomy, visit.store
    stored = await store.incidents.get(incident_id)
    run = next(iter(await store.triages.list(incident_id, 1)), None)
    provisional = await store.triages.find_provisional(incident_id) if _is_under_way(stored) else None
    triage = Triage.model_validate_json(provisional) if provisional else run.triage if run else None
    annotations = await store.annotations.list(incident_id)
    current = {facet.id: FacetLabel.of(facet.id, triage, annotations) for facet in taxonomy.facets}
    shown = {facet: each.labels for facet, each in current.items() if each.labels or each.is_untold}
    draft = draft or Draft.of(taxonomy, shown)
    chosen = {facet: labels or (NOT_TOLD,) for facet, labels in draft.chosen.items()}
    rows = [
        SheetRow(place, facet, current[facet.id], chosen.get(facet.id, ()), facet.id in draft.corrected)
        for place, facet in enumerate(taxonomy.facets, start=1)
    ]
    people = [annotation for each in current.values() for annotation in each.people]
    is_gold = any(annotation.is_gold for annotation in people if annotation.annotator == visit.annotator)
    return Sheet(stored, run, triage, annotations, rows, draft, **{"is_gold": is_gold} | more)


def sheet_context(visit: Visit, sheet: Sheet) -> dict[str, Any]:
    """The variables of the sheet's templates."""
    return {
        "sheet": sheet,
        "rows": sheet.rows,
        "draft": sheet.draft,
        # What is confirmed is what a triage said in the end.
        "may_label": visit.principal.may("annotate") and not (sheet.triage and sheet.triage.is_provisional),
        "ranked_only": [row.facet.name for row in sheet.rows if row.bars and not row.is_calibrated],
        "is_calibrated": any(row.bars and row.is_calibrated for row in sheet.rows),
    }
