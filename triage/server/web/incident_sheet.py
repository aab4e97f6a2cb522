"""The sheet of an incident: what the triage and people say of each facet, and what its reader is about to say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from fastapi import Request

from triage.domain.annotation import Annotation, Labels
from triage.domain.principal import Principal
from triage.domain.taxonomy import DisplayNames, Facet, Label, Taxonomy
from triage.domain.triage_result import FacetResult, LabelProbability, Triage
from triage.insights.summary.material import Said
from triage.labels.annotation_job.draft import Draft
from triage.server.api.service import Service
from triage.server.web.annotator import annotator_of
from triage.store import StoredIncident

_CLOSE = 0.1
"""A label that was not given is shown from this probability on."""
_MOST_BARS = 4


class Row(NamedTuple):
    """One facet of the sheet. `place` counts from 1 and is its key, as far as there are keys."""

    place: int
    facet: Facet
    said: Said
    chosen: tuple[str, ...]
    is_corrected: bool

    @property
    def result(self) -> FacetResult | None:
        """What the triage says."""
        return self.said.triage

    @property
    def is_calibrated(self) -> bool:
        """True if the probabilities are frequencies, and not only a ranking."""
        return self.result is not None and self.result.is_calibrated

    @property
    def bars(self) -> list[LabelProbability]:
        """The labels that are given or close, with their probabilities, best first."""
        if self.result is None:
            return []
        given = self.result.labels
        told = [one for one in self.result.distribution if one.label in given or one.probability >= _CLOSE]
        return told[:_MOST_BARS]

    def offered(self, chosen: Labels) -> list[tuple[str, list[Label]]]:
        """All labels, by the id of the label that they belong under; those that fit what is chosen first."""
        above = chosen.get(self.facet.parent or "", ())
        ordered = sorted(self.facet.labels, key=lambda label: label.parent not in above)
        return [(parent or "", list(labels)) for parent, labels in groupby(ordered, key=lambda label: label.parent)]


class Sheet(NamedTuple):
    """All that is said of one incident, and what its reader is about to say."""

    stored: StoredIncident
    triage: Triage | None
    annotations: Sequence[Annotation]
    rows: list[Row]
    draft: Draft
    is_gold: bool
    note: str = ""
    saved: str = ""
    is_picked: bool = False

    @property
    def foreign(self) -> dict[str, FacetResult]:
        """What the triage says of facets that the taxonomy in use does not have."""
        own = {row.facet.id for row in self.rows}
        said = self.triage.facets if self.triage else {}
        return {facet: result for facet, result in said.items() if facet not in own}

    @property
    def labels(self) -> Labels:
        """The labels that count, by facet: a person's before the triage's."""
        return {row.facet.id: row.said.labels for row in self.rows if row.said.labels}


async def read_sheet(
    request: Request, service: Service, incident_id: str, draft: Draft | None = None, **more: Any
) -> Sheet:
    """The sheet of an incident; without a draft it confirms what is shown. Raises `NotFound`."""
    stored = await service.store.incidents.get(incident_id)
    triage = await service.store.triages.find(incident_id)
    annotations = await service.store.annotations.list(incident_id)
    taxonomy = service.casebook.taxonomy
    said = {facet.id: Said.of(facet.id, triage, annotations) for facet in taxonomy.facets}
    draft = draft or Draft.of(taxonomy, {facet: one.labels for facet, one in said.items()})
    rows = [
        Row(place, facet, said[facet.id], draft.chosen.get(facet.id, ()), facet.id in draft.corrected)
        for place, facet in enumerate(taxonomy.facets, start=1)
    ]
    annotator = annotator_of(request)
    own = [each for one in said.values() for each in one.people if each.annotator == annotator]
    return Sheet(stored, triage, annotations, rows, draft, **{"is_gold": any(each.is_gold for each in own)} | more)


def sheet_shown(sheet: Sheet, who: Principal, taxonomy: Taxonomy) -> dict[str, Any]:
    """What the templates of the sheet know."""
    return {
        "sheet": sheet,
        "rows": sheet.rows,
        "draft": sheet.draft,
        "names": DisplayNames(taxonomy),
        "may_label": who.may("annotate"),
        "ranked_only": [row.facet.name for row in sheet.rows if row.bars and not row.is_calibrated],
        "is_calibrated": any(row.bars and row.is_calibrated for row in sheet.rows),
    }
