"""The label sheet of an incident: the labels by triage and people, facet by facet, and the reader's draft."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from triage.domain.annotation import Annotation, Labels
from triage.domain.taxonomy import Facet, Label
from triage.domain.triage_result import FacetResult, LabelProbability, Triage
from triage.insights.summary.material import FacetLabel
from triage.labels.annotation_job.corrections import Draft
from triage.server.web.visit import Visit
from triage.store import StoredIncident

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
        return [(parent or "", list(labels)) for parent, labels in groupby(ordered, key=lambda label: label.parent)]


class Sheet(NamedTuple):
    """The labels of an incident and the reader's draft. `is_picked` if the reader just picked a label."""

    stored: StoredIncident
    triage: Triage | None
    annotations: Sequence[Annotation]
    rows: list[SheetRow]
    draft: Draft
    is_gold: bool
    note: str = ""
    saved: str = ""
    is_picked: bool = False

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
    triage = await store.triages.find(incident_id)
    annotations = await store.annotations.list(incident_id)
    current = {facet.id: FacetLabel.of(facet.id, triage, annotations) for facet in taxonomy.facets}
    draft = draft or Draft.of(taxonomy, {facet: each.labels for facet, each in current.items()})
    rows = [
        SheetRow(place, facet, current[facet.id], draft.chosen.get(facet.id, ()), facet.id in draft.corrected)
        for place, facet in enumerate(taxonomy.facets, start=1)
    ]
    people = [annotation for each in current.values() for annotation in each.people]
    is_gold = any(annotation.is_gold for annotation in people if annotation.annotator == visit.annotator)
    return Sheet(stored, triage, annotations, rows, draft, **{"is_gold": is_gold} | more)


def sheet_context(visit: Visit, sheet: Sheet) -> dict[str, Any]:
    """The variables of the sheet's templates."""
    return {
        "sheet": sheet,
        "rows": sheet.rows,
        "draft": sheet.draft,
        "may_label": visit.principal.may("annotate"),
        "ranked_only": [row.facet.name for row in sheet.rows if row.bars and not row.is_calibrated],
        "is_calibrated": any(row.bars and row.is_calibrated for row in sheet.rows),
    }
